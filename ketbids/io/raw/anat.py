"""Which T1w and T2w images of a session are meant, and if they can be used."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io.filters import BidsFilter, raw_labels
from ketbids.io.folders import labels_of
from ketbids.io.raw.images import RawImage, duplicates, product, try_image
from ketbids.io.raw.sidecars import suffix_of

__all__ = ['choose_images', 'is_phase', 'read_volumes']

#: Parts of complex images that are no magnitude.
_NO_MAGNITUDE = ('phase', 'real', 'imag')


def is_phase(path: Path) -> bool:
    """Tell if an image is a part of a complex one that has no use, e.g. ``part-phase``."""
    return labels_of(path.name).get('part') in _NO_MAGNITUDE


def choose_images(
    paths: Sequence[Path], suffix: str, chosen_by: BidsFilter, name: str, *, optional: bool = False
) -> tuple[list[Path], str | None]:
    """Choose the anatomical images of one kind.

    Several are used, and averaged by the HCP pipelines, only if the filter names the labels of
    every one in a list.

    Parameters
    ----------
    paths : sequence of Path
        Images of one session.
    suffix : {'T1w', 'T2w'}
    chosen_by : BidsFilter
        Query of the filter file or of the model file.
    name : str
        Of the session, for messages.
    optional : bool
        The filter may leave none.

    Returns
    -------
    images : list of Path
        Empty if there is none.
    note : str or None
        Names images that are averaged, or passed over.

    Raises
    ------
    InputError
        If several are left and nothing says which is meant, or none is, or one stands twice.
    """
    present = [path for path in paths if suffix_of(path.name) == suffix and not is_phase(path)]
    labels = {path: raw_labels(labels_of(path.name)) for path in present}
    found = [path for path in present if chosen_by.admits(labels[path])]
    if present and not found and optional:
        return [], f'{_names(present)} is not what the filter asks for; no {suffix} is used'
    if present and not found:
        raise InputError(
            f'{name}: no {suffix} image is what the filter asks for, {_as_json(chosen_by)}. There '
            f'are {_names(present)}. Correct the {suffix} of --bids-filter-file, or of '
            'Preprocessing in the model file.'
        )
    for one, other in duplicates(found):
        raise InputError(f'{one} and {other} are two files of one image. Remove or rename one.')
    note = None
    if len(found) > 1:
        differing = [
            entity
            for entity in labels[found[0]]
            if len({labels[path][entity] for path in found}) > 1
        ]
        named = differing and all(
            '*' not in chosen_by.entities.get(entity, ('*',)) for entity in differing
        )
        if not named:
            raise InputError(_say_which(found, suffix, labels, differing, name))
        note = f'{suffix} is the average of {_names(found)}, as the filter asks for'
    elif len(present) > 1:
        others = [path for path in present if path not in found]
        note = f'{suffix} is {found[0].name}, as the filter asks for, not {_names(others)}'
    return found, note


def _say_which(
    found: Sequence[Path],
    suffix: str,
    labels: Mapping[Path, Mapping[str, str]],
    differing: Sequence[str],
    name: str,
) -> str:
    start = f'{name} has {len(found)} {suffix} images, {_names(found)}; '
    if not differing:
        every = [labels_of(path.name) for path in found]
        keys = sorted({key for one in every for key in one})
        other = [key for key in keys if len({one.get(key) for one in every}) > 1]
        return (
            f'{start}they differ in {", ".join(other)} only, by which images are not chosen. Keep '
            'one of them (of several echoes or inversions, the combined one).'
        )
    entity = max(differing, key=lambda entity: len({labels[path][entity] for path in found}))
    values = list(dict.fromkeys(labels[path][entity] or None for path in found))
    one, several = (json.dumps({entity: value}) for value in (values[0], values))
    return (
        f'{start}they are never averaged unasked. Say which is meant, in --bids-filter-file as '
        f'{{"{suffix.lower()}": {one}}}, or in the run node of the model file, '
        f'Software.ketbids, as "Preprocessing": {{"{suffix}": {one}}}. A list averages: {several}.'
    )


def read_volumes(paths: Sequence[Path]) -> tuple[list[RawImage], list[str]]:
    """Read the headers of anatomical images of one kind.

    Returns
    -------
    images : list of RawImage
    problems : list of str
        Images that cannot be read or are no single volume, or whose voxel sizes differ.
    """
    images = [try_image(path) for path in paths]
    problems = [image.broken for image in images if image.broken]
    read = [image for image in images if not image.broken]
    for image in read:
        if len(image.shape) != 3:
            problems.append(
                f'{image.path} has {image.n_volumes} volumes ({product(image.shape)}), but an '
                f'anatomical image is one. Make one of them, or take the {image.suffix} image '
                'that the scanner has combined.'
            )
    for image in read[1:]:
        sizes = [item.zooms[:3] for item in (read[0], image)]
        if any(abs(a - b) > 0.05 for a, b in zip(*sizes, strict=True)):
            problems.append(
                f'{read[0].path} has voxels of {product(sizes[0])} mm, {image.path.name} of '
                f'{product(sizes[1])} mm: such images are not averaged. Choose one of them.'
            )
    return images, problems


def _names(paths: Sequence[Path]) -> str:
    return ', '.join(path.name for path in paths)


def _as_json(chosen_by: BidsFilter) -> str:
    entities = chosen_by.entities.items()
    return json.dumps({k: v[0] if len(v) == 1 else list(v) for k, v in entities})
