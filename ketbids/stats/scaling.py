"""Which grayordinates have data, and how their intensities become percent signal."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.errors import InputError

__all__ = ['GRAND_MEAN', 'Scaling', 'has_data', 'moments', 'scale_factor']

#: Mean that intensities are brought to; that of the HCP pipelines.
GRAND_MEAN = 10000.0

#: Intensities beyond it have no square in single precision: the file is damaged.
_ABSURD = 1e18
#: Grayordinates in work at a time.
_COLUMNS = 4096


class Scaling(NamedTuple):
    """How intensities become percent signal.

    Attributes
    ----------
    factor : float
        Multiply the data by it.
    mean : float
        Mean of the scaled data, 100 % of the signal; NaN if there is none.
    text : str
        What was done, for a sidecar.
    """

    factor: float
    mean: float
    text: str


def has_data(data: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Tell which grayordinates of a time series can be analysed.

    Parameters
    ----------
    data : ndarray, shape (n_volumes, n_grayordinates)

    Returns
    -------
    ndarray of bool, shape (n_grayordinates,)
        False where a value is not finite (or as large as only a damaged file has), or where all
        are equal.
    """
    if data.dtype == np.float32 and data.flags.f_contiguous and len(data):
        return _usable(data.T, np.float32(_ABSURD))
    low, high = data.min(axis=0), data.max(axis=0)  # NaN and infinity come through
    return (low > -_ABSURD) & (high < _ABSURD) & (low < high)


@njit(nogil=True, cache=True)
def _usable(values, absurd):
    """Do it in one pass over rows of a series as it is in a file, (n_grayordinates, n_volumes)."""
    usable = np.empty(len(values), np.bool_)
    for row in range(len(values)):
        x = values[row]
        first, bad, other = x[0], 0, 0
        for i in range(len(x)):
            bad += not abs(x[i]) < absurd  # NaN too
            other += x[i] != first
        usable[row] = bad == 0 and other > 0
    return usable


def scale_factor(
    mean_map: npt.NDArray[np.floating],
    sd_map: npt.NDArray[np.floating],
    mode: Literal['grandMean', 'median'] = 'median',
) -> Scaling:
    """Decide how a run's intensities are scaled.

    Parameters
    ----------
    mean_map, sd_map : ndarray, shape (n_grayordinates,)
        Mean and standard deviation over time. Grayordinates that are not finite, or whose mean
        and standard deviation are 0, are left out.
    mode : {'grandMean', 'median'}
        ``'grandMean'``: the pipeline gave the run a grand mean of 10000 (HCP), which is kept if
        the data bear it out within a factor of 2. ``'median'``: the median of the temporal means
        is brought to 10000.

    Returns
    -------
    Scaling
        The factor, the mean after scaling and a text. Where the mean is not far from 0 against
        the changes over time, the mean was removed: factor 1, mean NaN.

    Raises
    ------
    InputError
        No grayordinate has data, or the mode is unknown.
    """
    if mode not in ('grandMean', 'median'):
        raise InputError(f'There is no scaling {mode!r}; choose grandMean or median.')
    mean_map = np.asarray(mean_map, dtype=np.float64)
    sd_map = np.asarray(sd_map, dtype=np.float64)
    found = np.isfinite(mean_map) & np.isfinite(sd_map) & ((mean_map != 0) | (sd_map != 0))
    if not found.any():
        raise InputError('No grayordinate of the run has data: every value is 0 or not finite.')
    median, spread = float(np.median(mean_map[found])), float(np.median(sd_map[found]))
    if median <= spread:
        return Scaling(
            1.0,
            float('nan'),
            f'arbitrary units; median temporal mean {median:.4g} is near 0 (median temporal '
            f'standard deviation {spread:.4g}): no percent signal change can be given',
        )
    if mode == 'grandMean' and GRAND_MEAN / 2 <= median <= GRAND_MEAN * 2:
        return Scaling(
            1.0,
            GRAND_MEAN,
            f'units of the input, whose grand mean is {GRAND_MEAN:g} (median temporal mean '
            f'{median:.5g})',
        )
    factor = GRAND_MEAN / median
    text = (
        f'scaled by {factor:.6g}, so that the median temporal mean, {median:.5g}, is '
        f'{GRAND_MEAN:g}'
    )
    if mode == 'grandMean':
        text += f'; the grand mean of {GRAND_MEAN:g} expected of this input was not found'
    return Scaling(factor, GRAND_MEAN, text)


def moments(
    data: npt.NDArray[np.floating],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation over time, in double precision.

    Parameters
    ----------
    data : ndarray, shape (n_volumes, n_grayordinates)

    Returns
    -------
    mean, sd : ndarray, shape (n_grayordinates,)
    """
    mean, sd = np.empty((2, data.shape[1]))
    with np.errstate(invalid='ignore', over='ignore'):
        for start in range(0, data.shape[1], _COLUMNS):
            part = slice(start, start + _COLUMNS)
            values = data[:, part].astype(np.float64)
            mean[part], sd[part] = values.mean(axis=0), values.std(axis=0)
    return mean, sd
