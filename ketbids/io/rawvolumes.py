"""The number of volumes of the raw image of a run, from its header."""

from pathlib import Path

import nibabel as nib

__all__ = ['raw_volumes']


def raw_volumes(events: Path) -> int | None:
    """Count the volumes of the image that an events file belongs to.

    Parameters
    ----------
    events : Path
        ``*_events.tsv`` of a run; the image is ``*_bold.nii[.gz]`` beside it, or its echoes.

    Returns
    -------
    int or None
        None if there is no image that can be read, or if echoes have different numbers: the
        first level does not need it.
    """
    stem = events.name.removesuffix('_events.tsv')
    if stem == events.name:
        return None
    found = {
        _volumes(path)
        for pattern in (f'{stem}_bold.nii*', f'{stem}_echo-*_bold.nii*')
        for path in sorted(events.parent.glob(pattern))
        if path.name.endswith(('.nii', '.nii.gz')) and '_part-phase' not in path.name
    }
    return found.pop() if len(found) == 1 else None


def _volumes(path: Path) -> int | None:
    try:
        shape: tuple[int, ...] = nib.load(path).shape  # type: ignore[attr-defined]
    # A broken link of git-annex, an empty or a damaged file.
    except (OSError, EOFError, ValueError, nib.filebasedimages.ImageFileError):
        return None
    return int(shape[3]) if len(shape) == 4 else None
