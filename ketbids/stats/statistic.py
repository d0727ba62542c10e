"""z maps of shuffles, where all rows have values and where some rows lack them.

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
from ketbids.stats.shuffling import ShuffleSet
from ketbids.stats.zscore import LARGEST_RATIO, STEP, conversion_table

__all__ = ['CombinedStatistic', 'IncompleteStatistic', 'Pattern', 'ShuffledStatistic']

Floats = npt.NDArray[np.float64]

_BLOCK = 256


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


class ShuffledStatistic:
    """z maps of the shuffles of one model; safe to use from many threads.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
        Finite.
    parts : PartitionedDesign

    Attributes
    ----------
    squares : ndarray, shape (n_grayordinates,)
        Sum of squares that the nuisance leaves; the same under every shuffle.
    """

    def __init__(self, data: Floats, parts: PartitionedDesign) -> None:
        nuisance = parts.nuisance
        self._residuals = np.ascontiguousarray(data - nuisance @ (nuisance.T @ data))
        self.squares: Floats = (self._residuals**2).sum(axis=0)
        self._basis = parts.basis
        self._dof = float(parts.dof)
        self._table = conversion_table(parts.dof)

    @property
    def n(self) -> int:
        """Number of grayordinates."""
        return len(self.squares)

    def z(self, shuffles: ShuffleSet, numbers: range) -> Floats:
        """Maps of z of some shuffles.

        Parameters
        ----------
        shuffles : ShuffleSet
        numbers : range
            Which; few, because a map of each is held.

        Returns
        -------
        ndarray, shape (len(numbers), n_grayordinates)
            The same to the last bit whatever other shuffles are in ``numbers``.
        """
        weights = np.empty((len(numbers), self._basis.shape[1], self._basis.shape[0]))
        for i, number in enumerate(numbers):
            rows, signs = shuffles.shuffle(number)
            weights[i] = (signs[:, None] * self._basis[rows]).T
        out = np.empty((len(numbers), self.n))
        _shuffled_z(self._residuals, self.squares, weights, self._dof, self._table, out)
        return out


class IncompleteStatistic:
    """z maps of the shuffles where rows lack values; safe to use from many threads.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
    patterns : sequence of Pattern
        At least one.
    """

    def __init__(self, data: Floats, patterns: Sequence[Pattern]) -> None:
        n_rows = len(data)
        widths = [len(pattern.columns) for pattern in patterns]
        rank = max(pattern.parts.nuisance.shape[1] for pattern in patterns) + 1
        self._starts = np.concatenate([[0], np.cumsum(widths)])
        self._present = np.zeros((len(patterns), n_rows), dtype=bool)
        # What is missing counts as 0, in the data and in the design: it adds nothing to a sum.
        self._basis = np.zeros((len(patterns), rank, n_rows))
        self._residuals = np.zeros((n_rows, self.n))
        for p, (rows, columns, parts) in enumerate(patterns):
            self._present[p, rows] = True
            self._basis[p, : parts.nuisance.shape[1] + 1, rows] = parts.basis
            values = data[np.ix_(rows, columns)]
            values -= parts.nuisance @ (parts.nuisance.T @ values)
            self._residuals[rows, self._starts[p] : self._starts[p + 1]] = values
        self._squares: Floats = (self._residuals**2).sum(axis=0)
        dofs, self._table_of = np.unique(
            [pattern.parts.dof for pattern in patterns], return_inverse=True
        )
        self._dofs = dofs.astype(np.float64)
        tables = [conversion_table(dof) for dof in self._dofs]
        self._table_starts = np.concatenate([[0], np.cumsum([len(table) for table in tables])])
        self._tables = np.concatenate(tables)

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
        _incomplete_z(
            self._residuals,
            self._squares,
            self._starts,
            self._present,
            self._basis,
            self._dofs,
            self._tables,
            self._table_starts,
            self._table_of,
            rows,
            signs,
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
    """

    def __init__(
        self, data: Floats, parts: PartitionedDesign, patterns: Sequence[Pattern]
    ) -> None:
        self.n = data.shape[1]
        self._missing = np.concatenate(
            [np.empty(0, dtype=np.int64), *(pattern.columns for pattern in patterns)]
        )
        self._filled = np.setdiff1d(np.arange(self.n), self._missing)
        self._complete = self._incomplete = None
        if len(self._filled):
            whole = data if not patterns else data[:, self._filled]
            self._complete = ShuffledStatistic(whole, parts)
        if patterns:
            self._incomplete = IncompleteStatistic(data, patterns)

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


@njit(nogil=True, cache=True)
def _z_of_block(residuals, squares, start, width, weights, dof, table, products, out):
    """Fill ``out[start : start + width]``; ``weights`` are the shuffled basis, (columns, rows).

    Sums over rows run in one fixed order for each value, so that nothing depends on the blocks;
    a matrix product of BLAS does not promise that.
    """
    n_columns, n_rows = weights.shape
    last = table.shape[0] - 1
    products[:] = 0.0
    for column in range(n_columns):
        w = weights[column]
        sums = products[column, :width]
        row = 0
        while row + 4 <= n_rows:
            w0, w1, w2, w3 = w[row], w[row + 1], w[row + 2], w[row + 3]
            e0 = residuals[row, start : start + width]
            e1 = residuals[row + 1, start : start + width]
            e2 = residuals[row + 2, start : start + width]
            e3 = residuals[row + 3, start : start + width]
            for v in range(width):
                sums[v] += (w0 * e0[v] + w1 * e1[v]) + (w2 * e2[v] + w3 * e3[v])
            row += 4
        while row < n_rows:
            w0 = w[row]
            e0 = residuals[row, start : start + width]
            for v in range(width):
                sums[v] += w0 * e0[v]
            row += 1
    for v in range(width):
        explained = products[0, v] * products[0, v]
        rest = squares[start + v] - explained
        for column in range(1, n_columns):
            rest -= products[column, v] * products[column, v]
        rest = max(rest, squares[start + v] / LARGEST_RATIO)
        u = np.sqrt(dof * np.log1p(explained / rest))
        piece = min(int(u / STEP), last)
        d = u - piece * STEP
        c = table[piece]
        z = c[0] + d * (c[1] + d * (c[2] + d * c[3]))
        out[start + v] = z if products[0, v] >= 0 else -z


@njit(nogil=True, cache=True)
def _shuffled_z(residuals, squares, weights, dof, table, out):
    """Fill z; ``weights`` are the shuffled basis, shape (n_shuffles, n_columns, n_rows)."""
    n_shuffles, n_columns, _ = weights.shape
    n = residuals.shape[1]
    products = np.empty((n_columns, _BLOCK))
    for start in range(0, n, _BLOCK):
        width = min(_BLOCK, n - start)
        for shuffle in range(n_shuffles):
            _z_of_block(
                residuals, squares, start, width, weights[shuffle], dof, table, products,
                out[shuffle],
            )  # fmt: skip


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
def _incomplete_z(
    residuals, squares, starts, present, basis, dofs, tables, table_starts, table_of, rows,
    signs, out,
):  # fmt: skip
    """Fill z; pattern p has the columns ``starts[p] : starts[p + 1]``."""
    n_patterns, n_columns, n_rows = basis.shape
    weights = np.empty((n_columns, n_rows))
    source = np.empty(n_rows, np.int64)
    products = np.empty((n_columns, _BLOCK))
    for p in range(n_patterns):
        code = table_of[p]
        table = tables[table_starts[code] : table_starts[code + 1]]
        for shuffle in range(len(rows)):
            _induced(rows[shuffle], present[p], source)
            for column in range(n_columns):
                for i in range(n_rows):
                    weights[column, i] = signs[shuffle, i] * basis[p, column, source[i]]
            for start in range(starts[p], starts[p + 1], _BLOCK):
                width = min(_BLOCK, starts[p + 1] - start)
                _z_of_block(
                    residuals, squares, start, width, weights, dofs[code], table, products,
                    out[shuffle],
                )  # fmt: skip
