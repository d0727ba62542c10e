"""BOLD runs of raw data: their series and reference images, checked by their headers."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ketbids.errors import InputError
from ketbids.io.filters import BidsFilter, raw_labels
from ketbids.io.folders import labels_of
from ketbids.io.raw.anat import is_phase
from ketbids.io.raw.images import RawImage, grid_difference, product, read_image, same_labels
from ketbids.io.raw.sidecars import Sidecars, sidecar_path, suffix_of

__all__ = ['RawRun', 'find_reference', 'only_series', 'read_run']

#: With fewer volumes there is nothing to preprocess: ICA and the first level have no chance.
_FEWEST_VOLUMES = 20
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
        Seconds.
    """

    series: RawImage
    reference: RawImage | None
    repetition_time: float


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


def read_run(series: Path, reference: Path | None, sidecars: Sidecars) -> RawRun:
    """Read the headers of a run and check what does not depend on field maps.

    Raises
    ------
    InputError
        If an image cannot be read; if the series has no time axis, is too short, or its
        repetition time is missing or contradicted; or if the reference image is no single
        volume, or of another grid.
    """
    image = read_image(series)
    if len(image.shape) != 4:
        axes = 'no time axis' if len(image.shape) == 3 else 'more than four axes'
        raise InputError(
            f'{series} is no series: it has {axes} ({product(image.shape)}). Convert it again, or '
            'leave the run out (--exclusions).'
        )
    if image.n_volumes < _FEWEST_VOLUMES:
        raise InputError(
            f'{series} has {image.n_volumes} volumes only; with fewer than {_FEWEST_VOLUMES} '
            'nothing can be made of it. If the run was aborted, leave it out (--exclusions).'
        )
    repetition_time = _repetition_time(image, sidecars)
    if reference is None:
        return RawRun(image, None, repetition_time)
    volume = read_image(reference)
    if len(volume.shape) != 3:
        raise InputError(
            f'{reference} has {volume.n_volumes} volumes ({product(volume.shape)}), but a '
            'reference image is one. Keep its first volume only.'
        )
    difference = grid_difference(image, volume)
    if difference:
        raise InputError(
            f'{series} and its reference image {reference.name} are of different grids: '
            f'{difference}. Remove the reference image if it is not of this run.'
        )
    return RawRun(image, volume, repetition_time)


def _repetition_time(image: RawImage, sidecars: Sidecars) -> float:
    found = sidecars.value(image.path, 'RepetitionTime')
    if found is None:
        raise InputError(
            f'{sidecar_path(image.path)}: RepetitionTime is missing, for {image.path.name}. Write '
            'there the time between volumes in s.'
        )
    value, path = found
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InputError(f'{path}: RepetitionTime is {value!r}; it must be a number above 0.')
    if value > _LONGEST:
        raise InputError(
            f'{path}: RepetitionTime is {value:g} s. This looks like milliseconds; write '
            f'{value / 1000:g}.'
        )
    in_header = image.zooms[3]
    if abs(value - in_header) > _TOLERANCE * value:
        said = f'{in_header:g} s' if in_header > 0 else 'missing'
        raise InputError(
            f'{path}: RepetitionTime is {value:g} s, but in the header of {image.path} it is '
            f'{said}. The HCP pipelines go by the header: correct the one that is wrong.'
        )
    return float(value)
