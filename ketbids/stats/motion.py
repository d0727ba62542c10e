"""Head movement in numbers."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = [
    'BREATHING',
    'FilteredDisplacement',
    'filtered_displacement',
    'framewise_displacement',
    'without_breathing',
]

Floats = npt.NDArray[np.float64]

#: Frequencies of breathing of adults at rest, Hz: 12 to 18 breaths per minute.
BREATHING = (0.2, 0.3)
#: Breaths at the lower frequency that a run must hold, so that its ends don't rule the filter.
_BREATHS = 10


class FilteredDisplacement(NamedTuple):
    """Framewise displacement without what is at the frequencies of breathing.

    Attributes
    ----------
    values : ndarray, shape (n_volumes,)
        Millimetres; 0 for the first volume, NaN throughout if it cannot be computed.
    reason : str or None
        Why it cannot be computed.
    """

    values: Floats
    reason: str | None


def framewise_displacement(
    movement: npt.ArrayLike,
    *,
    radius: float = 50.0,
    rotation_unit: Literal['deg', 'rad'] = 'deg',
) -> Floats:
    """Framewise displacement: how far the head moved from one volume to the next.

    The sum of the absolute backward differences of the six realignment parameters, rotations
    taken as arcs on a sphere (Power et al. 2012, NeuroImage 59:2142, p. 2144).

    Parameters
    ----------
    movement : array_like, shape (n_volumes, 6)
        Three translations in mm, then three rotations.
    radius : float
        Radius of the sphere in mm.
    rotation_unit : {'deg', 'rad'}
        Unit of the rotations: degrees in HCP's ``Movement_Regressors.txt``, radians in
        fMRIPrep's confounds.

    Returns
    -------
    ndarray, shape (n_volumes,)
        Millimetres; 0 for the first volume, which has nothing before it.

    Raises
    ------
    InputError
        `movement` is not (n_volumes, 6) or the unit is unknown.
    """
    moved = _six_columns(movement)
    if rotation_unit not in ('deg', 'rad'):
        raise InputError(f'Unknown unit of rotations {rotation_unit!r}: use deg or rad.')
    arcs = np.deg2rad(moved[:, 3:]) if rotation_unit == 'deg' else moved[:, 3:]
    path = np.concatenate([moved[:, :3], radius * arcs], axis=1)
    displacement = np.zeros(len(path))
    displacement[1:] = np.abs(np.diff(path, axis=0)).sum(axis=1)
    return displacement


def without_breathing(
    movement: npt.ArrayLike,
    repetition_time: float,
    band: tuple[float, float] = BREATHING,
) -> Floats:
    """Take the frequencies of breathing out of realignment parameters.

    Breathing changes the magnetic field, which shifts the image along the phase-encoding
    direction although the head is still; with a short repetition time these shifts are seen as
    movement. A second-order notch (centre f0 between the edges of the band, Q = f0 / width) is
    run forwards and backwards over each parameter, so that nothing is delayed (Fair et al. 2020,
    NeuroImage 208:116400). At f0 the amplitude becomes 0, at the edges of the band about a half.
    The default band is that of adults, 12-18 breaths per minute, which XCP-D recommends; children
    breathe faster.

    Parameters
    ----------
    movement : array_like, shape (n_volumes, 6)
    repetition_time : float
        Seconds.
    band : (float, float)
        Hz.

    Returns
    -------
    ndarray, shape (n_volumes, 6)
        In the units of `movement`.

    Raises
    ------
    InputError
        The shape is wrong, the band is above what the repetition time can resolve, or the run is
        too short.
    """
    from scipy.signal import filtfilt, iirnotch

    moved = _six_columns(movement)
    reason = _cannot_filter(moved, repetition_time, band)
    if reason:
        raise InputError(f'Breathing cannot be filtered out of the head movement: {reason}.')
    low, high = band
    centre = (low + high) / 2
    b, a = iirnotch(centre, centre / (high - low), fs=1 / repetition_time)
    # The filter rings for a few times 1 / width; the ends are continued, mirrored, for that long.
    padding = min(len(moved) - 1, int(np.ceil(2 / (high - low) / repetition_time)))
    return np.asarray(filtfilt(b, a, moved, axis=0, padlen=padding), np.float64)


def filtered_displacement(
    movement: npt.ArrayLike,
    repetition_time: float,
    *,
    band: tuple[float, float] = BREATHING,
    radius: float = 50.0,
    rotation_unit: Literal['deg', 'rad'] = 'deg',
) -> FilteredDisplacement:
    """Framewise displacement of head movement from which breathing was filtered out.

    The realignment parameters are filtered, not the displacement: see `without_breathing`; then
    as `framewise_displacement`. Thresholds for one of the two do not suit the other.

    Parameters
    ----------
    movement : array_like, shape (n_volumes, 6)
        Three translations in mm, then three rotations.
    repetition_time : float
        Seconds; NaN if it is not known.
    band : (float, float)
        Frequencies of breathing, Hz.
    radius : float
        Radius of the sphere in mm.
    rotation_unit : {'deg', 'rad'}

    Returns
    -------
    FilteredDisplacement
        NaN with a reason where the repetition time or the length of the run does not allow it.

    Raises
    ------
    InputError
        As `framewise_displacement`.
    """
    moved = _six_columns(movement)
    reason = _cannot_filter(moved, repetition_time, band)
    if reason:
        return FilteredDisplacement(np.full(len(moved), np.nan), reason)
    values = framewise_displacement(
        without_breathing(moved, repetition_time, band), radius=radius, rotation_unit=rotation_unit
    )
    return FilteredDisplacement(values, None)


def _cannot_filter(moved: Floats, repetition_time: float, band: tuple[float, float]) -> str | None:
    """Say why breathing cannot be told from movement, if so."""
    low, high = band
    if not 0 < low < high:
        raise InputError(f'{low:g} to {high:g} Hz is no band of frequencies.')
    if not repetition_time > 0:
        return 'the repetition time is not known'
    highest = 0.5 / repetition_time
    if high >= highest:
        return (
            f'with a repetition time of {repetition_time:g} s, breathing ({low:g}-{high:g} Hz) is '
            f'above the highest frequency that can be seen ({highest:.3g} Hz)'
        )
    seconds, needed = len(moved) * repetition_time, _BREATHS / low
    if seconds < needed:
        return f'the run lasts {seconds:g} s; {needed:g} s are needed to filter breathing out'
    if not np.isfinite(moved).all():
        return 'the head movement has values that are not finite'
    return None


def _six_columns(movement: npt.ArrayLike) -> Floats:
    moved = np.asarray(movement, dtype=np.float64)
    if moved.ndim != 2 or moved.shape[1] != 6:
        raise InputError(
            f'Movement parameters have shape {moved.shape}, not (volumes, 6): give three '
            'translations and three rotations per volume.'
        )
    return moved
