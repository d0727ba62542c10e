"""p-values from the maxima of shuffles, over several partitions at once."""

import numpy as np
import numpy.typing as npt

__all__ = ['TIE', 'corrected_p', 'count_reaching', 'lowest_corrected_p', 'tie_threshold']

#: Values closer than this, relatively, are ties: mirrored shuffles differ in the last bits.
TIE = 1e-9
#: Part of a map's maximum below which differences are rounding.
_NOISE = 1e-15


def tie_threshold(values: npt.NDArray[np.float64], largest: float) -> npt.NDArray[np.float64]:
    """What a shuffle must reach to count as at least as large as ``values``.

    Parameters
    ----------
    values : ndarray
        Observed values >= 0.
    largest : float
        Maximum of the map they come from.

    Returns
    -------
    ndarray, the shape of ``values``
    """
    return values * (1 - TIE) - _NOISE * largest


def count_reaching(
    maxima: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Number of shuffles whose maximum reaches each value, ties included.

    Parameters
    ----------
    maxima : ndarray, shape (n_shuffles,)
        One of each shuffle, the identity included.
    values : ndarray

    Returns
    -------
    ndarray of int, the shape of ``values``
    """
    ordered = np.sort(maxima)
    reached = tie_threshold(values, float(ordered[-1]))
    return len(maxima) - np.searchsorted(ordered, reached, side='left')


def corrected_p(
    maxima: npt.NDArray[np.float64],
    observed: npt.NDArray[np.float64],
    column: npt.NDArray[np.integer],
) -> npt.NDArray[np.float64]:
    """Familywise-corrected p over all partitions, by the smallest p of each shuffle.

    Partitions have other units (mm^2 and voxels), so that each is ranked among its own maxima:
    p_k(j) = #{i: max_k(i) >= max_k(j)} / J. What is corrected over all of them is then
    p(v) = #{j: min_k p_k(j) <= p_k(v)} / J, where one shuffle serves all partitions (Tippett's
    combination; Pesarin & Salmaso 2010; Winkler et al. 2016, Hum Brain Mapp 37:1486-1511). With
    one partition this is the usual p by the distribution of the maximum.

    Parameters
    ----------
    maxima : ndarray, shape (n_shuffles, n_partitions)
        Maximum of each partition in each shuffle; the first row is the data as they are.
    observed : ndarray, shape (n_grayordinates,)
        Values of the data as they are, >= 0.
    column : ndarray of int, shape (n_grayordinates,)
        Column of ``maxima`` of each grayordinate.

    Returns
    -------
    ndarray, shape (n_grayordinates,)
        From 1 / n_shuffles to 1.
    """
    n_shuffles, n_partitions = maxima.shape
    smallest = np.full(n_shuffles, n_shuffles, dtype=np.int64)
    counts = np.empty(len(observed), dtype=np.int64)
    for k in range(n_partitions):
        smallest = np.minimum(smallest, count_reaching(maxima[:, k], maxima[:, k]))
        here = column == k
        counts[here] = count_reaching(maxima[:, k], observed[here])
    return np.searchsorted(np.sort(smallest), counts, side='right') / n_shuffles


def lowest_corrected_p(n_shuffles: int, n_equal: int, n_partitions: int) -> float:
    """The lowest corrected p that an effect in one partition is sure to reach.

    The largest effect ties with the ``n_equal`` shuffles that give the same statistic whatever
    the data are, and in each of the other partitions as many shuffles are the most extreme.

    Parameters
    ----------
    n_shuffles : int
    n_equal : int
        Shuffles equal to the identity, itself included (2 in an exhaustive set of flips with
        both tails).
    n_partitions : int

    Returns
    -------
    float
    """
    return min(1.0, n_equal * n_partitions / n_shuffles)
