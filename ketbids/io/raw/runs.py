"""BOLD runs of raw data: their series and reference images, checked by their headers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ketbids.errors import InputError
from ketbids.io.filters import BidsFilter, raw_labels
from ketbids.io.folders import labels_of
from ketbids.io.raw.acquisition import is_number
from ketbids.io.raw.anat import is_phase
from ketbids.io.raw.images import RawImage, grid_difference, product, same_labels, try_image
from ketbids.io.raw.sidecars import Sidecars, sidecar_path, suffix_of

__all__ = ['RawRun', 'find_reference', 'only_series', 'read_run']

#: With fewer volumes, ICA and the first level have hardly a chance.
_FEW_VOLUMES = 20
#: Times between volumes that headers have if the converter did not set them, s.
_NOT_SET = (0.0, 1.0)
#: Longest time between volumes, s.
_LONGEST = 30.0
#: Repetition times that differ by more than this share contradict each other.
_TOLERANCE = 0.001


class RawRun(NamedTuple):
    """A BOLD run.

    Attributes
    ----------
    series : RawImage
    reference : RawImage or None
        Single-band reference image.
    repetition_time : float
        Seconds; 0 if it is not known, which is a problem.
    notes : tuple of str
    """

    series: RawImage
    reference: RawImage | None
    repetition_time: float
    notes: tuple[str, ...] = ()


def only_series(paths: Sequence[Path]) -> Path:
    """Give the only series of a run.

    Raises
    ------
    InputError
        If there are several, e.g. of several echoes, or ``run-1`` and ``run-01``.
    """
    if len(paths) == 1:
        return paths[0]
    names = ', '.join(path.name for path in paths)
    if all('echo' in labels_of(path.name) for path in paths):
        raise InputError(
            f'{paths[0].parent}: {names} are echoes of one run. Multi-echo series are not '
            'supported. Leave the run out (--exclusions, --run-id), or combine its echoes.'
        )
    agents = [labels_of(path.name).get('ce', '') for path in paths]
    if len(set(agents)) == len(paths):
        chosen = f'{{"bold": {{"ceagent": "{max(agents)}"}}}}'
        raise InputError(
            f'{paths[0].parent}: {names} are told apart by ce- only, which ketbids does not take '
            'for different runs. Give them different run- or acq- labels, or choose one with '
            f'--bids-filter-file, such as {chosen}.'
        )
    raise InputError(
        f'{paths[0].parent}: {names} are series of one run. Keep one of them, give them different '
        'run- labels, or choose one with --bids-filter-file.'
    )


def find_reference(series: Path, paths: Sequence[Path], filters: BidsFilter) -> Path | None:
    """Find the single-band reference image of a series: the one with the same labels.

    Raises
    ------
    InputError
        If there are two.
    """
    found = [
        path
        for path in paths
        if suffix_of(path.name) == 'sbref'
        and not is_phase(path)
        and same_labels(path, series)
        and filters.admits(raw_labels(labels_of(path.name)))
    ]
    if len(found) > 1:
        names = ' and '.join(path.name for path in found)
        raise InputError(
            f'{series.parent}: {names} are both the reference image of {series.name}. Keep one of '
            'them.'
        )
    return found[0] if found else None


def read_run(series: Path, reference: Path | None, sidecars: Sidecars) -> tuple[RawRun, list[str]]:
    """Read the headers of a run and check what does not depend on field maps.

    Returns
    -------
    run : RawRun
    problems : list of str
        Images that cannot be read; a series without time axis; a repetition time that is missing
        or contradicted; a reference image that is no single volume, or of another grid.
    """
    problems: list[str] = []
    notes: list[str] = []
    image = try_image(series)
    if image.broken:
        problems.append(image.broken)
    elif len(image.shape) != 4:
        axes = 'no time axis' if len(image.shape) == 3 else 'more than four axes'
        problems.append(
            f'{series} is no series: it has {axes} ({product(image.shape)}). Convert it again, or '
            'leave the run out (--exclusions).'
        )
    elif image.n_volumes < _FEW_VOLUMES:
        notes.append(
            f'{series.name} has {image.n_volumes} volumes only; if the run was aborted, leave it '
            'out (--exclusions)'
        )
    repetition_time = 0.0
    try:
        repetition_time, note = _repetition_time(image, sidecars)
        notes += [note] if note else []
    except InputError as error:
        problems.append(str(error))
    volume = None
    if reference is not None:
        volume = try_image(reference)
        problems += _unfit(image, volume)
    return RawRun(image, volume, repetition_time, tuple(notes)), problems


def _unfit(series: RawImage, reference: RawImage) -> list[str]:
    """Say why an image is no reference image of a series."""
    if reference.broken:
        return [reference.broken]
    problems = []
    if len(reference.shape) != 3:
        problems.append(
            f'{reference.path} has {reference.n_volumes} volumes ({product(reference.shape)}), '
            'but a reference image is one. Keep its first volume only.'
        )
    difference = None if series.broken else grid_difference(series, reference)
    if difference:
        problems.append(
            f'{series.path} and its reference image {reference.path.name} are of different grids: '
            f'{difference}. Remove the reference image if it is not of this run.'
        )
    return problems


def _repetition_time(image: RawImage, sidecars: Sidecars) -> tuple[float, str | None]:
    """Time between volumes, s, and a note if the header does not have it."""
    found = sidecars.value(image.path, 'RepetitionTime')
    if found is None:
        raise InputError(
            f'{sidecar_path(image.path)}: RepetitionTime is missing, for {image.path.name}. Write '
            'there the time between volumes in s.'
        )
    value, path = found
    if not is_number(value) or not value > 0:
        raise InputError(f'{path}: RepetitionTime is {value!r}; it must be a number above 0.')
    if value > _LONGEST:
        raise InputError(
            f'{path}: RepetitionTime is {value:g} s. This looks like milliseconds; write '
            f'{value / 1000:g}.'
        )
    in_header = image.zooms[3] if len(image.zooms) == 4 else value
    if abs(value - in_header) <= _TOLERANCE * value:
        return float(value), None
    if in_header in _NOT_SET:
        return float(value), (
            f'{image.path.name}: RepetitionTime is {value:g} s in {path.name}, but in the header '
            f'it is {in_header:g} s, as if it had not been set. {value:g} s is taken; the scripts '
            'of the HCP pipelines read the header, so better correct it'
        )
    raise InputError(
        f'{path}: RepetitionTime is {value:g} s, but in the header of {image.path} it is '
        f'{in_header:g} s. The HCP pipelines go by the header: correct the one that is wrong.'
    )
