"""z maps of shuffles where rows lack values.

A location that lacks values in some rows is a model of its own: the design restricted to the rows
present, shuffled within them. One shuffle of all rows serves every location, so that neighbours
stay as alike under shuffling as they are in the data:

- sign flips are those of the rows present;
- a permutation r of all rows becomes the one that it induces on the rows present (its first
  return): row i gets row r(i) or, where that is missing, r(r(i)), and so on. It differs from r at
  as few rows as possible, and each permutation of the rows present comes from equally many r.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.stats.freedman_lane import PartitionedDesign
from ketbids.stats.products import BLOCK, fma
from ketbids.stats.shuffledmodel import model_table, z_of_block
from ketbids.stats.shuffling import ShuffleSet

__all__ = ['IncompleteStatistic', 'Pattern']

Floats = npt.NDArray[np.float64]


class Pattern(NamedTuple):
    """Locations that have values in the same rows, and not in all.

    Attributes
    ----------
    rows : ndarray of int, shape (n_present,)
        Rows with values, ascending.
    columns : ndarray of int, shape (n_locations,)
        The locations, ascending.
    parts : PartitionedDesign
        The design of these rows.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    parts: PartitionedDesign


class IncompleteStatistic:
    """z maps of the shuffles where rows lack values; safe to use from many threads.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
    patterns : sequence of Pattern
        At least one; contrasts of one rank.
    """

    def __init__(self, data: npt.NDArray[np.floating], patterns: Sequence[Pattern]) -> None:
        n_rows = len(data)
        widths = [len(pattern.columns) for pattern in patterns]
        n_columns = max(pattern.parts.basis.shape[1] for pattern in patterns)
        self._rank = patterns[0].parts.rank
        self._starts = np.concatenate([[0], np.cumsum(widths)])
        self._present = np.zeros((len(patterns), n_rows), dtype=bool)
        # What is missing counts as 0, in the data and in the design: it adds nothing to a sum.
        self._basis = np.zeros((len(patterns), n_columns, n_rows))
        self._residuals = np.zeros((n_rows, self.n))
        for p, (rows, columns, parts) in enumerate(patterns):
            self._present[p, rows] = True
            basis = parts.basis
            self._basis[p, : basis.shape[1], rows] = basis
            values = data[np.ix_(rows, columns)].astype(np.float64)
            for _ in range(2):  # once more removes what rounding left
                values -= parts.nuisance @ (parts.nuisance.T @ values)
            self._residuals[rows, self._starts[p] : self._starts[p + 1]] = values
        self._squares: Floats = (self._residuals**2).sum(axis=0)
        _, first, self._table_of = np.unique(
            [pattern.parts.dof for pattern in patterns], return_index=True, return_inverse=True
        )
        self._tables = np.stack([model_table(patterns[i].parts) for i in first])

    @property
    def n(self) -> int:
        """Number of grayordinates."""
        return int(self._starts[-1])

    def z(self, shuffles: ShuffleSet, numbers: range) -> Floats:
        """Maps of z of some shuffles, as `ShuffledStatistic.z`.

        Returns
        -------
        ndarray, shape (len(numbers), n_grayordinates)
            The columns of the first pattern, of the second, and so on.
        """
        rows = np.empty((len(numbers), self._present.shape[1]), dtype=np.int64)
        signs = np.empty(rows.shape)
        for i, number in enumerate(numbers):
            rows[i], signs[i] = shuffles.spread(number)
        out = np.empty((len(numbers), self.n))
        _fill(
            self._residuals,
            self._squares,
            self._starts,
            self._present,
            self._basis,
            self._rank,
            self._tables,
            self._table_of,
            rows,
            signs,
            out,
        )
        return out


@njit(nogil=True, cache=True)
def _induced(rows, present, out):
    """Fill ``out`` with the permutation of the rows present that ``rows`` induces.

    What is missing stays where it is.
    """
    for i in range(len(rows)):
        k = i
        if present[i]:
            k = rows[i]
            while not present[k]:
                k = rows[k]
        out[i] = k


@njit(nogil=True, cache=True)
def _add_products(residuals, weights, sums):
    """Fill ``sums`` with the sums that `multiply` makes, for a block of any width."""
    n_rows, width = residuals.shape
    s = sums[:width]
    s[:] = 0.0
    row = 0
    while row + 4 <= n_rows:
        w0, w1, w2, w3 = weights[row], weights[row + 1], weights[row + 2], weights[row + 3]
        e0, e1 = residuals[row], residuals[row + 1]
        e2, e3 = residuals[row + 2], residuals[row + 3]
        for v in range(width):
            s[v] = fma(w3, e3[v], fma(w2, e2[v], fma(w1, e1[v], fma(w0, e0[v], s[v]))))
        row += 4
    while row < n_rows:
        w0, e0 = weights[row], residuals[row]
        for v in range(width):
            s[v] = fma(w0, e0[v], s[v])
        row += 1


@njit(nogil=True, cache=True)
def _fill(
    residuals, squares, starts, present, basis, rank, tables, table_of, rows, signs, out
):  # fmt: skip
    """Fill z; pattern p has the columns ``starts[p] : starts[p + 1]``."""
    n_patterns, n_columns, n_rows = basis.shape
    weights = np.empty(n_rows)
    source = np.empty(n_rows, np.int64)
    sums = np.empty(n_columns * BLOCK)
    scratch = np.empty((4, BLOCK))
    for p in range(n_patterns):
        table = tables[table_of[p]]
        for shuffle in range(len(rows)):
            _induced(rows[shuffle], present[p], source)
            for start in range(starts[p], starts[p + 1], BLOCK):
                stop = min(start + BLOCK, starts[p + 1])
                block = residuals[:, start:stop]
                for column in range(n_columns):
                    for i in range(n_rows):
                        weights[i] = signs[shuffle, i] * basis[p, column, source[i]]
                    _add_products(block, weights, sums[column * BLOCK : (column + 1) * BLOCK])
                z_of_block(
                    sums, n_columns, rank, squares[start:stop], table, scratch,
                    out[shuffle, start:stop],
                )  # fmt: skip
