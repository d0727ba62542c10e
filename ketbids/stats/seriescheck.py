"""What is odd about a time series: values far from all others, and ends without signal."""

import numpy as np
import numpy.typing as npt

__all__ = ['series_notes', 'volumes_text']

#: Values this many robust standard deviations from the median are no measurement.
_FAR = 50.0
#: Volumes from which median and spread are taken: enough for a limit that is so far away.
_SAMPLE = 25
#: Normal standard deviation of a median absolute deviation of 1.
_MAD = 1.4826
#: Volumes that a message lists.
_SHOWN = 5


def series_notes(data: npt.NDArray[np.floating], filled: npt.NDArray[np.bool_]) -> list[str]:
    """Look for values that are no measurement.

    Parameters
    ----------
    data : ndarray, shape (n_volumes, n_grayordinates)
        Time series.
    filled : ndarray of bool, shape (n_grayordinates,)
        Grayordinates with data (:func:`~ketbids.stats.firstlevel.has_data`).

    Returns
    -------
    list of str
        Sentences for the log and the page: how many grayordinates have values more than 50 robust
        standard deviations from their median, and in which volumes; how many volumes at the end
        are the same.
    """
    notes = []
    same = _same_at_end(data)
    if same > 1:
        notes.append(
            f'the last {same} of {len(data)} volumes are all the same: look at the data, the '
            'recording may have ended early'
        )
    # The end that stands still would be the median, and the signal far from it.
    moving = data[: len(data) - same] if 1 < same < len(data) else data
    sample = moving[:: max(1, len(moving) // _SAMPLE)]
    with np.errstate(invalid='ignore', over='ignore'):
        middle = np.median(sample, axis=0)
        spread = _MAD * np.median(np.abs(sample - middle), axis=0)
        typical = float(np.median(spread[filled]))
        reach = np.maximum(moving.max(axis=0) - middle, middle - moving.min(axis=0))
        limit = _FAR * np.maximum(spread, typical / 10)
        far = np.flatnonzero(filled & (reach > limit)) if typical > 0 else np.empty(0, int)
    if len(far):
        away = np.abs(moving[:, far] - middle[far]) > limit[far]
        where = volumes_text(np.flatnonzero(away.any(axis=1)))
        notes.append(
            f'{len(far)} grayordinate{"s have" if len(far) > 1 else " has"} values more than '
            f'{_FAR:g} robust standard deviations from the median, in {where}: look at the data'
        )
    return notes


def _same_at_end(data: npt.NDArray[np.floating]) -> int:
    """Number of volumes that are equal to the last one, up to the end."""
    last = len(data) - 1
    while last > 0 and np.array_equal(data[last], data[last - 1], equal_nan=True):
        last -= 1
    return len(data) - last


def volumes_text(volumes: npt.NDArray[np.integer]) -> str:
    """Name volumes, the first of a run being 1."""
    shown = ', '.join(str(int(volume) + 1) for volume in volumes[:_SHOWN])
    more = len(volumes) - _SHOWN
    return f'volume{"s" if len(volumes) > 1 else ""} {shown}' + (
        f' and {more} more' if more > 0 else ''
    )
