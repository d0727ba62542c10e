"""Field maps that the HCP pipelines take: pairs of spin echoes, and Siemens gradient echoes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeVar

from ketbids.errors import InputError
from ketbids.io.hcpinputs import GradientEcho, SpinEcho
from ketbids.io.raw.acquisition import (
    Found,
    as_axis,
    as_number,
    effective_echo_spacing,
    is_siemens,
    manufacturer,
    milliseconds,
    phase_encoding,
    same_spacing,
)
from ketbids.io.raw.images import RawImage
from ketbids.io.raw.nearness import acquisition_time, seconds_apart, shims
from ketbids.io.raw.orientation import unsupported_orientation, voxel_axes
from ketbids.io.raw.sidecars import Sidecars, sidecar_path

__all__ = ['EchoPlanar', 'Pair', 'SpinEchoes', 'misfit', 'phase_differences', 'spin_echoes']

#: Voxel sizes that differ less are the same, mm.
_SAME_SIZE = 0.01
#: Differences of the echo times of gradient-echo field maps, ms: 1.02 at 7 T, 2.46 at 3 T.
_ECHO_DIFFERENCES = (0.3, 20.0)

_T = TypeVar('_T')


@dataclass(frozen=True)
class EchoPlanar:
    """An echo-planar image.

    Attributes
    ----------
    image : RawImage
    direction : str
        Of the phase encoding, e.g. ``j-``.
    spacing : Found
        Effective echo spacing, s.
    time : float or None
        Of acquisition, s of the day.
    shims : tuple of float or None
    """

    image: RawImage
    direction: str
    spacing: Found
    time: float | None
    shims: tuple[float, ...] | None

    @classmethod
    def read(cls, image: RawImage, sidecars: Sidecars, problems: list[str]) -> 'EchoPlanar | None':
        """Read what the sidecars say of an image; None with everything that is wrong."""
        before = len(problems)
        if image.broken:
            problems.append(image.broken)
        direction = noted(problems, phase_encoding, image, sidecars)
        spacing = noted(problems, effective_echo_spacing, image, sidecars)
        if direction is None or spacing is None or len(problems) > before:
            return None
        time = acquisition_time(image, sidecars)
        return cls(image, direction, spacing, time, shims(image, sidecars))


class Pair(NamedTuple):
    """Two images with opposite phase encoding."""

    negative: EchoPlanar
    positive: EchoPlanar

    @property
    def names(self) -> str:
        """Names of both files."""
        return f'{self.negative.image.path.name} and {self.positive.image.path.name}'

    @property
    def images(self) -> tuple[RawImage, RawImage]:
        """Both images."""
        return (self.negative.image, self.positive.image)

    @property
    def field_map(self) -> SpinEcho:
        """As the HCP pipelines take it."""
        return SpinEcho(
            self.negative.image.path,
            self.positive.image.path,
            self.negative.spacing.value,
            as_axis(self.negative.direction[0]),
        )


class SpinEchoes(NamedTuple):
    """What can be made of echo-planar images.

    Attributes
    ----------
    pairs : list of Pair
    problems : list of str
        Files that cannot be read; keys that are missing or wrong; why two images are no pair.
    lonely : str
        Why there is no pair though nothing is wrong: the other polarity is missing. Else empty.
    notes : list of str
        Where echo spacings are from, if they had to be computed.
    """

    pairs: list[Pair]
    problems: list[str]
    lonely: str = ''
    notes: Sequence[str] = ()


def noted(
    problems: list[str],
    read: Callable[[RawImage, Sidecars], _T],
    image: RawImage,
    sidecars: Sidecars,
) -> _T | None:
    """Read something of an image; None with a problem if that cannot be."""
    try:
        return read(image, sidecars)
    except InputError as error:
        problems.append(str(error))
        return None


def spin_echoes(images: Sequence[RawImage], sidecars: Sidecars) -> SpinEchoes:
    """Make pairs of images with opposite phase encoding.

    An image is paired with the one of the opposite polarity that is most like it: same shims,
    same labels, then nearest in time. Images that this leaves over are not used.

    Parameters
    ----------
    images : sequence of RawImage
        Echo-planar images that may belong together.
    sidecars : Sidecars

    Returns
    -------
    SpinEchoes
    """
    problems: list[str] = []
    found = [EchoPlanar.read(image, sidecars, problems) for image in images]
    read = [item for item in found if item is not None]
    usable = [item for item in read if item.image.suffix != 'bold']
    negatives = [item for item in usable if item.direction.endswith('-')]
    positives = [item for item in usable if not item.direction.endswith('-')]
    opposite = [
        Pair(*both)
        for both in product(negatives, positives)
        if both[0].direction[0] == both[1].direction[0]
    ]
    if not opposite:
        return SpinEchoes([], problems, '' if problems else _one_polarity(read, usable))
    differing = {pair: _differing(pair) for pair in opposite}
    pairs = [pair for pair in opposite if differing[pair] is None]
    if not pairs:
        best = min(opposite, key=_likeness)
        return SpinEchoes([], [*problems, str(differing[best])])
    likeness = {pair: _likeness(pair) for pair in pairs}
    of_negative = _best(pairs, likeness, lambda pair: pair.negative)
    of_positive = _best(pairs, likeness, lambda pair: pair.positive)
    pairs = [
        pair
        for pair in pairs
        if likeness[pair] == of_negative[pair.negative] == of_positive[pair.positive]
    ]
    notes = [item.spacing.note for pair in pairs for item in pair if item.spacing.note]
    return SpinEchoes(pairs, problems, '', list(dict.fromkeys(notes)))


def _best(
    pairs: Sequence[Pair],
    likeness: dict[Pair, tuple[float, ...]],
    part: Callable[[Pair], EchoPlanar],
) -> dict[EchoPlanar, tuple[float, ...]]:
    """Likeness of the best partner of each image."""
    best: dict[EchoPlanar, tuple[float, ...]] = {}
    for pair in pairs:
        best[part(pair)] = min(likeness[pair], best.get(part(pair), likeness[pair]))
    return best


def _likeness(pair: Pair) -> tuple[float, ...]:
    """The smaller, the more two images belong together."""
    one, other = pair
    shimmed = one.shims is not None and other.shims is not None and one.shims != other.shims
    labels = [{k: v for k, v in item.image.labels.items() if k != 'dir'} for item in pair]
    apart = math.inf
    if one.time is not None and other.time is not None:
        apart = round(seconds_apart(one.time, other.time), 3)
    return (float(shimmed), float(labels[0] != labels[1]), apart)


def _one_polarity(read: Sequence[EchoPlanar], usable: Sequence[EchoPlanar]) -> str:
    said = ', '.join(f'{item.image.path} ({item.direction})' for item in read)
    series = [item for item in read if item not in usable]
    if not usable:
        return (
            f'whole series ({said}) cannot be used as field maps. Write B0FieldIdentifier into '
            'the sidecars of their SBRef images instead.'
        )
    if series:
        name = sidecar_path(series[0].image.path).name.replace('_bold.json', '_sbref.json')
        hint = f'A whole series cannot be used; write B0FieldIdentifier into {name} instead.'
    else:
        hint = 'Check PhaseEncodingDirection, or add the image of the other polarity.'
    axes = {item.direction[0] for item in usable}
    signs = {item.direction for item in usable}
    if len(axes) > 1 and len(signs) > 1:
        return f'the phase encodings of {said} have no axis in common: {hint}'
    direction = usable[0].direction
    other = direction[0] if direction.endswith('-') else f'{direction}-'
    return (
        f'only one polarity of the phase encoding is there to correct distortion: {said}, and '
        f'none with {other}. {hint}'
    )


def _differing(pair: Pair) -> str | None:
    """Why two images with opposite phase encoding are no pair."""
    one, other = pair
    both = f'{one.image.path} and {other.image.path} are no pair of field maps: '
    grid = _grid(one.image, other.image)
    if grid:
        return f'{both}they have {grid}.'
    if not same_spacing(one.spacing.value, other.spacing.value):
        return (
            f'{both}their effective echo spacings are {as_number(one.spacing.value)} and '
            f'{as_number(other.spacing.value)} s. Check EffectiveEchoSpacing (or '
            'TotalReadoutTime) in their sidecars.'
        )
    return None


def _grid(one: RawImage, other: RawImage) -> str | None:
    """How the grids of two images differ; where they lie is no matter."""
    sizes = [' x '.join(str(size) for size in image.shape[:3]) for image in (one, other)]
    if sizes[0] != sizes[1]:
        return f'{sizes[0]} and {sizes[1]} voxels'
    zooms = zip(one.zooms[:3], other.zooms[:3], strict=True)
    if any(abs(a - b) > _SAME_SIZE for a, b in zooms):
        sizes = [' x '.join(f'{size:g}' for size in image.zooms[:3]) for image in (one, other)]
        return f'voxels of {sizes[0]} and {sizes[1]} mm'
    if voxel_axes(one) != voxel_axes(other):
        return f'voxel axes {voxel_axes(one)} and {voxel_axes(other)}'
    return None


def misfit(pair: Pair, target: RawImage, sidecars: Sidecars) -> str | None:
    """Say why a pair cannot correct a BOLD series with the HCP pipelines; None if it can.

    They take images with the dimensions of the single-band reference, and one echo spacing and
    one axis of the phase encoding for the pair and the series.

    Raises
    ------
    InputError
        If the sidecars of the series do not say how it was acquired.
    """
    if target.broken:
        return target.broken
    start = f'{target.path} and its field map ({pair.names}) '
    grid = _grid(target, pair.negative.image)
    if grid:
        return (
            f'{start}have {grid}: the HCP pipelines need the same grid. Use a field map with '
            'the geometry of the series.'
        )
    direction = phase_encoding(target, sidecars)
    if direction[0] != pair.negative.direction[0]:
        return (
            f'{start}are encoded along different axes: PhaseEncodingDirection is {direction}, and '
            f'{pair.negative.direction} and {pair.positive.direction}.'
        )
    spacing = effective_echo_spacing(target, sidecars).value
    if not same_spacing(spacing, pair.negative.spacing.value):
        return (
            f'{start}differ in effective echo spacing: {as_number(spacing)} and '
            f'{as_number(pair.negative.spacing.value)} s. The HCP pipelines take one for both. '
            'Check EffectiveEchoSpacing (or TotalReadoutTime) in their sidecars.'
        )
    return unsupported_orientation(target)


def phase_differences(
    images: Sequence[RawImage], everything: Sequence[RawImage], sidecars: Sidecars
) -> tuple[list[tuple[RawImage, GradientEcho]], list[str]]:
    """Make gradient-echo field maps of phase differences and their magnitudes.

    Parameters
    ----------
    images : sequence of RawImage
        Field maps that are wanted.
    everything : sequence of RawImage
        Where magnitudes are looked for: they have the labels of the phase difference.

    Returns
    -------
    maps : list of tuple of RawImage and GradientEcho
        Each with its phase difference.
    problems : list of str
        What is missing or wrong, or not supported.
    """
    maps: list[tuple[RawImage, GradientEcho]] = []
    problems: list[str] = []
    for image in images:
        if image.suffix == 'phasediff':
            try:
                maps.append((image, _gradient_echo(image, everything, sidecars)))
            except InputError as error:
                problems.append(str(error))
    for image in images:
        advice = (
            'Leave it out by the query fmap of --bids-filter-file, or give spin-echo field maps.'
        )
        if image.suffix == 'phase1':
            problems.append(
                f'{image.path}: two phase images (phase1, phase2) are not supported, only the '
                f'phase difference of a Siemens scanner (phasediff). {advice}'
            )
        elif image.suffix == 'fieldmap':
            problems.append(
                f'{image.path}: field maps in Hz (fieldmap) are not supported, only spin echoes '
                f'and the phase difference of a Siemens scanner (phasediff). {advice}'
            )
    return maps, problems


def _gradient_echo(
    phase: RawImage, everything: Sequence[RawImage], sidecars: Sidecars
) -> GradientEcho:
    if phase.broken:
        raise InputError(phase.broken)
    of_phase = {
        image.suffix: image
        for image in everything
        if image.suffix in ('magnitude1', 'magnitude2') and image.labels == phase.labels
    }
    magnitudes = {suffix: image for suffix, image in of_phase.items() if not image.broken}
    maker = manufacturer(phase, sidecars)
    if maker and not is_siemens(phase, sidecars):
        raise InputError(
            f'{sidecar_path(phase.path)}: Manufacturer is {maker!r}, and gradient-echo field maps '
            'of other scanners than those of Siemens are not supported. Leave it out by the query '
            'fmap of --bids-filter-file, or give spin-echo field maps.'
        )
    if of_phase and not magnitudes:
        raise InputError(of_phase[min(of_phase)].broken)
    if not magnitudes:
        name = phase.path.name.replace('_phasediff.', '_magnitude1.')
        raise InputError(f'{phase.path}: its magnitude image {name} is missing.')
    magnitude = magnitudes[min(magnitudes)]
    grid = _grid(phase, magnitude)
    if grid:
        raise InputError(f'{phase.path} and {magnitude.path} have {grid}: convert them again.')
    early, late = (_echo_time(phase, of_phase, number, sidecars) for number in (1, 2))
    difference = milliseconds(late, early)
    if not _ECHO_DIFFERENCES[0] <= difference <= _ECHO_DIFFERENCES[1]:
        raise InputError(
            f'{sidecar_path(phase.path)}: EchoTime1 and EchoTime2 (or EchoTime of the magnitudes) '
            f'are {as_number(early)} and {as_number(late)}, {as_number(difference)} ms apart. '
            'This cannot be: they must be in seconds, such as 0.00492 and 0.00738.'
        )
    return GradientEcho(magnitude.path, phase.path, difference)


def _echo_time(
    phase: RawImage, magnitudes: dict[str, RawImage], number: int, sidecars: Sidecars
) -> float:
    key = f'EchoTime{number}'
    found = sidecars.value(phase.path, key)
    magnitude = magnitudes.get(f'magnitude{number}')
    if found is None and magnitude is not None:
        key, found = 'EchoTime', sidecars.value(magnitude.path, 'EchoTime')
    if found is None:
        raise InputError(
            f'{sidecar_path(phase.path)}: EchoTime{number} is missing. Write there the echo time '
            f'of magnitude {number}, in s.'
        )
    value, path = found
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f'{path}: {key} is {value!r}; it must be a number of seconds above 0.')
    return float(value)
