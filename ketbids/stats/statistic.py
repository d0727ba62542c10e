"""z maps of shuffles, of one model or of several where rows lack values.

With e the residuals of the nuisance, everything that t or F of a shuffle needs is in the products
of the shuffled basis with e (``ketbids.stats.freedman_lane``). With r^2 the share of the explained
sum of squares in what the shuffled nuisance leaves, t is r sqrt(dof / (1 - r^2)), and F is
r^2 / (1 - r^2) dof / rank.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.stats.freedman_lane import PartitionedDesign, StatisticKind, statistic_kind
from ketbids.stats.incomplete import IncompleteStatistic, Pattern
from ketbids.stats.products import interleave, tile_residuals
from ketbids.stats.shuffledmodel import fill_z, model_table
from ketbids.stats.shuffling import Shuffles, ShuffleSet
from ketbids.stats.variancegroups import GroupedStatistic

__all__ = ['CombinedStatistic', 'IncompleteStatistic', 'Pattern', 'ShuffledStatistic']
__all__ += ['Statistic', 'make_statistic']

Floats = npt.NDArray[np.float64]


class Statistic(Protocol):
    """z maps of shuffles; safe to use from many threads."""

    @property
    def n(self) -> int:
        """Number of locations."""

    @property
    def kind(self) -> StatisticKind:
        """What becomes z."""

    def z(self, shuffles: Shuffles, numbers: range) -> Floats:
        """Maps of z of some shuffles.

        Parameters
        ----------
        shuffles : Shuffles
        numbers : range
            Which; few, because a map of each is held.

        Returns
        -------
        ndarray, shape (len(numbers), n)
            Signed for t and v, of the upper tail for F and G; the same to the last bit whatever
            other shuffles are in ``numbers``.
        """


def make_statistic(
    data: npt.NDArray[np.floating],
    parts: PartitionedDesign,
    groups: npt.ArrayLike | None = None,
) -> Statistic:
    """t, F, v or G of the shuffles of one model.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_locations)
        Finite; float32 will do, sums are of doubles.
    parts : PartitionedDesign
    groups : array_like of int, shape (n_rows,), optional
        Variance groups.

    Returns
    -------
    Statistic

    Raises
    ------
    InputError
        See `ketbids.stats.variancegroups.group_design`.
    """
    if groups is None:
        return ShuffledStatistic(data, parts)
    return GroupedStatistic(data, parts, groups)


class ShuffledStatistic:
    """z maps of the shuffles of t or F; safe to use from many threads.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_all)
    parts : PartitionedDesign
    columns : ndarray of int or slice, optional
        Which of the data; all of them finite.
    """

    def __init__(
        self,
        data: npt.NDArray[np.floating],
        parts: PartitionedDesign,
        columns: npt.NDArray[np.integer] | slice = slice(None),
    ) -> None:
        self.n = len(np.arange(data.shape[1])[columns])
        self.kind: StatisticKind = statistic_kind(parts)
        self._tiles, self._squares = tile_residuals(data, columns, parts.nuisance)
        self._basis = parts.basis
        self._rank = parts.rank
        self._table = model_table(parts)

    def z(self, shuffles: Shuffles, numbers: range) -> Floats:
        """Maps of z of some shuffles.

        Parameters
        ----------
        shuffles : Shuffles
        numbers : range
            Which; few, because a map of each is held.

        Returns
        -------
        ndarray, shape (len(numbers), n)
            The same to the last bit whatever other shuffles are in ``numbers``.
        """
        n_rows, n_columns = self._basis.shape
        weights = np.empty((len(numbers), n_columns, n_rows))
        for i, number in enumerate(numbers):
            rows, signs = shuffles.shuffle(number)
            weights[i] = (signs[:, None] * self._basis[rows]).T
        out = np.empty((len(numbers), self.n))
        fill_z(
            self._tiles,
            self._squares,
            interleave(weights.reshape(-1, n_rows)),
            n_columns,
            self._rank,
            self._table,
            out,
        )
        return out


class CombinedStatistic:
    """z maps of the shuffles over all tested grayordinates, complete or not.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
        Not finite where a value is missing.
    parts : PartitionedDesign
        The whole design, for the grayordinates that are in no pattern.
    patterns : sequence of Pattern
    groups : array_like of int, shape (n_rows,), optional
        Variance groups.

    Raises
    ------
    InputError
        Variance groups and patterns; see also `ketbids.stats.variancegroups.group_design`.
    """

    def __init__(
        self,
        data: npt.NDArray[np.floating],
        parts: PartitionedDesign,
        patterns: Sequence[Pattern],
        groups: npt.ArrayLike | None = None,
    ) -> None:
        if patterns and groups is not None:
            raise InputError(
                'Variance groups cannot be had where maps lack values; set the minimum coverage '
                'to 1, or leave the variance groups out.'
            )
        self.n = data.shape[1]
        self.kind: StatisticKind = statistic_kind(parts, groups is not None)
        self._missing = np.concatenate(
            [np.empty(0, dtype=np.int64), *(pattern.columns for pattern in patterns)]
        )
        self._filled = np.setdiff1d(np.arange(self.n), self._missing)
        self._complete: Statistic | None = None
        self._incomplete: IncompleteStatistic | None = None
        if not patterns:
            self._complete = make_statistic(data, parts, groups)
        else:
            self._incomplete = IncompleteStatistic(data, patterns)
            if len(self._filled):
                self._complete = ShuffledStatistic(data, parts, self._filled)

    def z(self, shuffles: ShuffleSet, numbers: range) -> Floats:
        """Maps of z of some shuffles, as `ShuffledStatistic.z`."""
        if self._complete is not None and self._incomplete is None:
            return self._complete.z(shuffles, numbers)
        out = np.empty((len(numbers), self.n))
        if self._complete is not None:
            out[:, self._filled] = self._complete.z(shuffles, numbers)
        if self._incomplete is not None:
            out[:, self._missing] = self._incomplete.z(shuffles, numbers)
        return out
