"""How an image was acquired, from its sidecars, in the terms of FSL and the HCP pipelines."""

import math
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from ketbids.errors import InputError
from ketbids.io.raw.images import RawImage
from ketbids.io.raw.orientation import slice_plane
from ketbids.io.raw.sidecars import Sidecars, sidecar_path

__all__ = [
    'DIRECTIONS',
    'Found',
    'as_axis',
    'as_number',
    'effective_echo_spacing',
    'is_number',
    'is_siemens',
    'manufacturer',
    'milliseconds',
    'phase_encoding',
    'readout_direction',
    'same_spacing',
    'sample_spacing',
    'template_size',
]

#: What PhaseEncodingDirection may be.
DIRECTIONS = ('i', 'i-', 'j', 'j-', 'k', 'k-')

#: What FSL calls them.
_AXES = {'i': 'x', 'j': 'y', 'k': 'z'}
#: What the readout direction may be.
_READOUTS = tuple(f'{axis}{sign}' for axis in 'xyz' for sign in ('', '-'))

#: Effective echo spacings of echo-planar imaging, s: from strong acceleration at 7 T (about
#: 0.1 ms) to old gradients (1-2 ms). A value in ms or us is far outside. Between the usual and the
#: longest lie those that a readout time gives for images of a few lines.
_ECHO_SPACINGS = (0.00005, 0.05)
_USUAL_SPACING = 0.005
#: Times between samples of anatomical images, s: the HCP has 2.1 and 7.4 us.
_SAMPLE_SPACINGS = (0.0000005, 0.0001)
#: Echo spacings that differ by more than this share are not the same.
_SAME_SPACING = 0.02

#: Voxel sizes of the templates, mm.
_TEMPLATES = ('0.7', '0.8', '1')


class Found(NamedTuple):
    """A value of the acquisition.

    Attributes
    ----------
    value : float
    note : str or None
        Where it is from, if it had to be computed or is contradicted.
    """

    value: float
    note: str | None = None


def as_number(value: float) -> str:
    """Write a number for a command line: exact, and never as ``7.4e-06``, which bc cannot read.

    Parameters
    ----------
    value : float
        `float` of the text gives the same value again.

    Raises
    ------
    ValueError
        If it is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f'{value} cannot be written on a command line.')
    text = format(Decimal(repr(float(value))), 'f')
    if '.' in text:
        text = text.rstrip('0').rstrip('.')
    return '0' if text == '-0' else text


def as_axis(direction: str) -> str:
    """Give FSL's name of a direction, e.g. ``y-`` for ``j-``."""
    return _AXES[direction[0]] + direction[1:]


def phase_encoding(image: RawImage, sidecars: Sidecars) -> str:
    """Give the direction of the phase encoding, one of `DIRECTIONS`.

    Raises
    ------
    InputError
        If it is missing or something else.
    """
    key = 'PhaseEncodingDirection'
    found = sidecars.value(image.path, key)
    if found is None:
        raise _missing(image, key, 'the direction of the phase encoding, such as "j-"')
    value, path = found
    if not isinstance(value, str) or value not in DIRECTIONS:
        raise InputError(
            f'{path}: {key} is {value!r}; it must be one of {", ".join(DIRECTIONS)} (axis of the '
            'voxel grid, with - if it goes down).'
        )
    return value


def effective_echo_spacing(image: RawImage, sidecars: Sidecars) -> Found:
    """Find the effective echo spacing of an echo-planar image.

    Parameters
    ----------
    image : RawImage
    sidecars : Sidecars

    Returns
    -------
    Found
        Seconds. ``EffectiveEchoSpacing``; else ``TotalReadoutTime / (N - 1)``; else
        ``1 / (BandwidthPerPixelPhaseEncode N)``, where N is ``ReconMatrixPE`` or the size of the
        image along the phase encoding (definitions: BIDS 1.10, MRI metadata; HCP pipelines,
        Examples/Scripts).

    Raises
    ------
    InputError
        If no key says it, or the value is implausible, e.g. in milliseconds.
    """
    spacing = _positive(image, 'EffectiveEchoSpacing', sidecars)
    readout = _positive(image, 'TotalReadoutTime', sidecars)
    if spacing is not None:
        value, path = spacing
        _plausible(value, path, f'EffectiveEchoSpacing is {as_number(value)}')
        notes = (_contradiction(image, sidecars, value, readout), _unusual(image, value))
        return Found(value, '; '.join(note for note in notes if note) or None)
    if readout is not None:
        lines, said_by = _lines(image, sidecars)
        value, path = readout[0] / (lines - 1), readout[1]
        formula = 'TotalReadoutTime / (N - 1)'
        _plausible(value, path, f'TotalReadoutTime is {as_number(readout[0])}', value)
    else:
        bandwidth = _positive(image, 'BandwidthPerPixelPhaseEncode', sidecars)
        if bandwidth is None:
            raise _missing(
                image,
                'EffectiveEchoSpacing',
                'the effective echo spacing in s (TotalReadoutTime, or '
                'BandwidthPerPixelPhaseEncode, would do, too)',
            )
        lines, said_by = _lines(image, sidecars)
        value, path = 1 / (bandwidth[0] * lines), bandwidth[1]
        formula = '1 / (BandwidthPerPixelPhaseEncode x N)'
        said = f'BandwidthPerPixelPhaseEncode is {as_number(bandwidth[0])}'
        _plausible(value, path, said, value)
    note = (
        f'{image.path.name}: no EffectiveEchoSpacing; {value:.4g} s is {formula} of {path.name}, '
        f'N = {lines} ({said_by})'
    )
    unusual = _unusual(image, value)
    return Found(value, f'{note}; {unusual}' if unusual else note)


def same_spacing(one: float, other: float) -> bool:
    """Tell if two echo spacings are the same but for rounding."""
    return abs(one - other) <= _SAME_SPACING * max(one, other)


def sample_spacing(image: RawImage, sidecars: Sidecars) -> Found:
    """Find the time between samples of the readout of an anatomical image.

    Returns
    -------
    Found
        Seconds: ``DwellTime``; else, for Siemens, ``1 / (2 PixelBandwidth BaseResolution)``,
        since Siemens samples the readout twice as densely as the image. For the HCP's T1w
        (210 Hz per pixel, 320) this is 7.4e-6, its ``--t1samplespacing``.

    Raises
    ------
    InputError
        If no key says it, or the value is implausible, e.g. in nanoseconds as in DICOM.
    """
    found = _positive(image, 'DwellTime', sidecars)
    if found is not None:
        value, path = found
        if not _SAMPLE_SPACINGS[0] <= value <= _SAMPLE_SPACINGS[1]:
            raise InputError(
                f'{path}: DwellTime is {as_number(value)}. This cannot be: it must be in seconds, '
                f'{as_number(_SAMPLE_SPACINGS[0])} to {as_number(_SAMPLE_SPACINGS[1])} (e.g. '
                '0.0000074). Correct the file.'
            )
        return Found(value)
    bandwidth = _positive(image, 'PixelBandwidth', sidecars)
    resolution = _positive(image, 'BaseResolution', sidecars)
    if bandwidth is None or resolution is None or not is_siemens(image, sidecars):
        raise _missing(
            image,
            'DwellTime',
            'the time between samples of the readout in s (for Siemens, PixelBandwidth and '
            'BaseResolution would do, with Manufacturer)',
        )
    value = 1 / (bandwidth[0] * resolution[0] * 2)
    if not _SAMPLE_SPACINGS[0] <= value <= _SAMPLE_SPACINGS[1]:
        raise InputError(
            f'{bandwidth[1]}: PixelBandwidth is {as_number(bandwidth[0])} and BaseResolution '
            f'{as_number(resolution[0])}, which makes the time between samples {value:.3g} s. '
            'This cannot be: PixelBandwidth must be in Hz per pixel. Correct the file, or add '
            'DwellTime.'
        )
    return Found(
        value,
        f'{image.path.name}: no DwellTime; {as_number(value)} s is 1 / (2 x PixelBandwidth x '
        f'BaseResolution) of {bandwidth[1].name}',
    )


def readout_direction(image: RawImage, sidecars: Sidecars, given: str | None = None) -> str:
    """Find the readout direction of an anatomical image.

    Slices that are sagittal are read along the head-feet axis, which is ``z`` once the HCP
    pipelines have reoriented the image to the axes of the MNI template; the HCP found its
    polarity for Siemens. Nothing in BIDS says the readout direction of other images. Where
    nothing says how the slices lie, they are taken for sagittal, as the HCP's protocols have them.

    Parameters
    ----------
    image : RawImage
    sidecars : Sidecars
    given : str or None
        What the user says, e.g. ``z``.

    Raises
    ------
    InputError
        If it is not given, and something says that it cannot be ``z`` for certain.
    """
    if given is not None:
        if given not in _READOUTS:
            raise InputError(
                f'--anat-unwarpdir is {given!r}; it must be one of {", ".join(_READOUTS)}.'
            )
        return given
    slices, said_by = slice_plane(image, sidecars)
    phase = sidecars.value(image.path, 'InPlanePhaseEncodingDirectionDICOM')
    maker = manufacturer(image, sidecars)
    if slices not in ('sagittal', None):
        what = f'its slices are {slices} ({said_by})'
    elif phase is not None and phase[0] != 'ROW':
        what = (
            'its phase encoding does not run from front to back '
            f'(InPlanePhaseEncodingDirectionDICOM in {phase[1].name})'
        )
    elif maker and not is_siemens(image, sidecars):
        what = f'the polarity on scanners of {maker} is not that of Siemens for certain'
    else:
        return 'z'
    raise InputError(
        f'{image.path}: the readout direction of the anatomical images is not known: {what}. Give '
        '--anat-unwarpdir (z for sagittal slices on a Siemens scanner, as the HCP has them).'
    )


def template_size(zooms: Sequence[float]) -> str:
    """Choose the template by the voxel size.

    Parameters
    ----------
    zooms : sequence of float
        Voxel size, mm. The smallest counts.

    Returns
    -------
    {'0.7', '0.8', '1'}
        The next one; of two that are as near, the finer.
    """
    smallest = min(zooms[:3])
    return min(_TEMPLATES, key=lambda size: round(abs(float(size) - smallest), 6))


def milliseconds(later: float, earlier: float) -> float:
    """Give the difference of two times in s, in ms, without the error of binary fractions."""
    difference = (Decimal(repr(float(later))) - Decimal(repr(float(earlier)))) * 1000
    return float(difference)


def is_siemens(image: RawImage, sidecars: Sidecars) -> bool:
    """Tell if ``Manufacturer`` is Siemens."""
    return 'siemens' in manufacturer(image, sidecars).lower()


def manufacturer(image: RawImage, sidecars: Sidecars) -> str:
    """Give what ``Manufacturer`` says; empty text if it is missing or says nothing."""
    found = sidecars.value(image.path, 'Manufacturer')
    return '' if found is None else str(found[0]).strip()


def _plausible(spacing: float, path: Path, said: str, computed: float | None = None) -> None:
    """Refuse an echo spacing that cannot be."""
    low, high = _ECHO_SPACINGS
    if low <= spacing <= high:
        return
    makes = f', which makes the effective echo spacing {computed:.3g} s' if computed else ''
    raise InputError(
        f'{path}: {said}{makes}. This cannot be: echo spacings are {as_number(low)} to '
        f'{as_number(high)} s. Times must be in seconds, bandwidths in Hz. Correct the file.'
    )


def _unusual(image: RawImage, spacing: float) -> str | None:
    if spacing <= _USUAL_SPACING:
        return None
    return (
        f'{image.path.name}: an effective echo spacing of {spacing:.3g} s is unusually long (the '
        f'usual is up to {as_number(_USUAL_SPACING)} s)'
    )


def _contradiction(
    image: RawImage, sidecars: Sidecars, spacing: float, readout: tuple[float, Path] | None
) -> str | None:
    """Say that the readout time is of another echo spacing."""
    directed = sidecars.value(image.path, 'PhaseEncodingDirection') is not None
    if readout is None or image.broken or not directed:
        return None
    lines, _ = _lines(image, sidecars)
    other = readout[0] / (lines - 1)
    if same_spacing(other, spacing):
        return None
    return (
        f'{image.path.name}: EffectiveEchoSpacing ({as_number(spacing)} s) is used, though '
        f'TotalReadoutTime ({as_number(readout[0])} s in {readout[1].name}) makes it {other:.3g} s'
    )


def _lines(image: RawImage, sidecars: Sidecars) -> tuple[int, str]:
    """Number of lines of the image along the phase encoding, and what says so."""
    found = _positive(image, 'ReconMatrixPE', sidecars)
    if found is not None:
        if found[0] < 2 or found[0] != int(found[0]):
            raise InputError(
                f'{found[1]}: ReconMatrixPE is {as_number(found[0])}; it must be the number of '
                'lines of the image along the phase encoding.'
            )
        return int(found[0]), 'ReconMatrixPE'
    axis = 'ijk'.index(phase_encoding(image, sidecars)[0])
    if image.broken:
        raise InputError(image.broken)
    size = image.shape[axis]
    if size < 2:
        raise InputError(f'{image.path} has one voxel along the phase encoding: it is no image.')
    return size, 'size of the image along the phase encoding'


def _positive(image: RawImage, key: str, sidecars: Sidecars) -> tuple[float, Path] | None:
    found = sidecars.value(image.path, key)
    if found is None:
        return None
    value, path = found
    if not is_number(value) or value <= 0:
        raise InputError(f'{path}: {key} is {value!r}; it must be a number above 0.')
    return float(value), path


def is_number(value: Any) -> bool:
    """Tell if a value of a sidecar is a number that is finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def _missing(image: RawImage, key: str, what: str) -> InputError:
    return InputError(
        f'{sidecar_path(image.path)}: {key} is missing, for {image.path.name}. Write there {what}.'
    )
