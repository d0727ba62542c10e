"""Null distributions: what remains of the maps of all shuffles."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.stats.multiplicity import tie_threshold
from ketbids.stats.runner import Progress, run_chunks
from ketbids.stats.shuffling import Shuffles

__all__ = ['MapStatistic', 'Measure', 'Null', 'collect_null', 'itself', 'null_distributions']

Floats = npt.NDArray[np.float64]

#: Shuffles of which a thread holds the maps at a time.
CHUNK = 16


S = TypeVar('S', bound=Shuffles)
S_contra = TypeVar('S_contra', bound=Shuffles, contravariant=True)


class MapStatistic(Protocol[S_contra]):
    """Statistic that has a map of z under every shuffle; shared by threads."""

    @property
    def n(self) -> int:
        """Number of locations."""

    def z(self, shuffles: S_contra, numbers: range) -> Floats:
        """Maps of some shuffles, shape (len(numbers), n)."""


class Measure(Protocol):
    """What is made of each map: itself, enhanced, or cluster sizes; of one thread at a time."""

    def __call__(self, z: Floats, out: Floats) -> npt.ArrayLike:
        """Fill `out`, shape (n,); give its maximum, or one of each part of the map."""


class Null(NamedTuple):
    """A measure of the data as they are, and how it compares with all shuffles.

    Attributes
    ----------
    observed : ndarray, shape (n,)
    counts : ndarray of int, shape (n,)
        Shuffles that reach the observed value at the same location, the identity included.
    maxima : ndarray, shape (n_shuffles, n_maxima)
        Of each shuffle; row 0 is the identity's.
    """

    observed: Floats
    counts: npt.NDArray[np.int64]
    maxima: Floats


def itself(z: Floats, out: Floats) -> float:
    """Measure the map itself."""
    out[:] = z
    return float(z.max())


def null_distributions(
    statistic: MapStatistic[S],
    shuffles: S,
    measures: Sequence[Callable[[], Measure]],
    *,
    absolute: bool = False,
    threads: int = 1,
    progress: Progress | None = None,
) -> list[Null]:
    """Apply measures to the map of every shuffle; keep counts and maxima only.

    Parameters
    ----------
    statistic : MapStatistic
    shuffles : Shuffles
    measures : sequence of callable
        Each makes a measure for one thread.
    absolute : bool
        Take the absolute value of the maps (a two-tailed test).
    threads : int
        Without effect on the result.
    progress : callable, optional

    Returns
    -------
    list of Null
        One per measure. Values that differ by rounding count as equal (``tie_threshold``).
    """

    def first(measure: Measure) -> tuple[Floats, Floats]:
        z = statistic.z(shuffles, range(1))[0]
        observed = np.empty(statistic.n)
        return observed, np.atleast_1d(measure(np.abs(z) if absolute else z, observed))

    observed, maxima, thresholds = [], [], []
    for make in measures:
        values, largest = first(make())
        observed.append(values)
        maxima.append(np.empty((shuffles.n, len(largest))))
        maxima[-1][0] = largest
        thresholds.append(tie_threshold(values, float(np.abs(values).max())))
    workers = run_chunks(
        range(1, shuffles.n),
        CHUNK,
        lambda: _Worker(statistic, shuffles, measures, thresholds, maxima, absolute),
        threads,
        progress,
    )
    return [
        Null(values, 1 + np.sum([worker.counts[k] for worker in workers], axis=0), maxima[k])
        for k, values in enumerate(observed)
    ]


def collect_null(
    statistic: MapStatistic[S],
    shuffles: S,
    make_measure: Callable[[], Measure],
    columns: npt.NDArray[np.integer],
    *,
    absolute: bool = False,
    threads: int = 1,
) -> Floats:
    """The whole null distribution of a measure, at some locations only.

    Parameters
    ----------
    statistic, shuffles, absolute, threads
        As of `null_distributions`.
    make_measure : callable
    columns : ndarray of int, shape (n_columns,)
        Few enough for all of their values to be held.

    Returns
    -------
    ndarray, shape (n_shuffles, n_columns)
    """
    found = np.empty((shuffles.n, len(columns)))
    run_chunks(
        range(shuffles.n),
        CHUNK,
        lambda: _Collector(statistic, shuffles, make_measure(), columns, found, absolute),
        threads,
    )
    return found


class _Worker(Generic[S]):
    """Counts of one thread; rows of the shared maxima."""

    def __init__(
        self,
        statistic: MapStatistic[S],
        shuffles: S,
        measures: Sequence[Callable[[], Measure]],
        thresholds: Sequence[Floats],
        maxima: Sequence[Floats],
        absolute: bool,
    ) -> None:
        self._statistic, self._shuffles, self._absolute = statistic, shuffles, absolute
        self._measures = [make() for make in measures]
        self._thresholds, self._maxima = thresholds, maxima
        self._out = np.empty(statistic.n)
        self.counts = [np.zeros(statistic.n, dtype=np.int64) for _ in measures]

    def work(self, numbers: range) -> None:
        for number, z in zip(numbers, self._statistic.z(self._shuffles, numbers), strict=True):
            if self._absolute:
                np.abs(z, out=z)
            for k, measure in enumerate(self._measures):
                self._maxima[k][number] = measure(z, self._out)
                _count(self._out, self._thresholds[k], self.counts[k])


class _Collector(Generic[S]):
    """Values of one thread's shuffles at some locations."""

    def __init__(
        self,
        statistic: MapStatistic[S],
        shuffles: S,
        measure: Measure,
        columns: npt.NDArray[np.integer],
        found: Floats,
        absolute: bool,
    ) -> None:
        self._statistic, self._shuffles, self._absolute = statistic, shuffles, absolute
        self._measure, self._columns, self._found = measure, columns, found
        self._out = np.empty(statistic.n)

    def work(self, numbers: range) -> None:
        for number, z in zip(numbers, self._statistic.z(self._shuffles, numbers), strict=True):
            self._measure(np.abs(z) if self._absolute else z, self._out)
            self._found[number] = self._out[self._columns]


@njit(nogil=True, cache=True)
def _count(values, thresholds, counts):
    """Add 1 where a value reaches its threshold."""
    for i in range(len(values)):
        counts[i] += values[i] >= thresholds[i]
