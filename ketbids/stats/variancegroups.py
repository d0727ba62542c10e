"""v and G: tests where groups of rows have variances of their own.

Definitions are those of PALM (``-vg``), after Welch 1951 (Biometrika 38:330-336) and Winkler et
al. 2014 (NeuroImage 92:381-397). With the ordinary least squares fit of a shuffle, W_b is the
inverse of the residual variance of group b, its degrees of freedom d_b being the sum over its rows
of the diagonal of the residual-forming matrix of the design as it is. With M the design, A the sum
of W_b M_b'M_b over groups, n_b their sizes, w_b = W_b n_b / sum(W n), s the rank of the contrast
and c the estimates:

    B = sum_b (1 - w_b)^2 / d_b
    v = c / sqrt((A^-1)_cc),                                             dof = 1 / (3 B)
    G = c' ((A^-1)_cc)^-1 c / s / (1 + 2 (s - 1) B / (s (s + 2))),       dof = s (s + 2) / (3 B)

The degrees of freedom of v are a third of Welch's 1 / B, which those of G become with s = 1: so
PALM has it, and z, which is what is compared over locations, follows PALM. Intervals take Welch's
(``ketbids.stats.estimates``).

A group is rows of the design: what is shuffled takes the group of the row that it comes to. Only
where there is no nuisance are the rows of the data the groups, because then the design moves.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.errors import InputError
from ketbids.stats.freedman_lane import PartitionedDesign, StatisticKind, statistic_kind
from ketbids.stats.products import BLOCK, fma, interleave, multiply, tile_residuals
from ketbids.stats.shuffling import Shuffles
from ketbids.stats.zscore import LARGEST_RATIO
from ketbids.stats.zsurfaces import g_surface, surface_value, v_surface
from ketbids.stats.ztables import FLOOR

__all__ = ['GroupedStatistic', 'VarianceGroups', 'group_design', 'welch']

Floats = npt.NDArray[np.float64]

_BELOW_ONE = 1 - 2.0**-53


class VarianceGroups(NamedTuple):
    """Groups of rows, and what a design leaves of them.

    Attributes
    ----------
    codes : ndarray of int, shape (n_rows,)
        Group of each row, from 0.
    sizes : ndarray, shape (n_groups,)
        Rows of each.
    dofs : ndarray, shape (n_groups,)
        Residual degrees of freedom of each; they add up to those of the design.
    """

    codes: npt.NDArray[np.int64]
    sizes: Floats
    dofs: Floats


def group_design(parts: PartitionedDesign, groups: npt.ArrayLike) -> VarianceGroups:
    """Variance groups of a design.

    Parameters
    ----------
    parts : PartitionedDesign
    groups : array_like of int, shape (n_rows,)
        Equal numbers are one group.

    Returns
    -------
    VarianceGroups

    Raises
    ------
    InputError
        Not one number for each row; one group only; a group that the design fits without error.
    """
    values = np.asarray(groups)
    n_rows = len(parts.tested)
    if values.shape != (n_rows,):
        raise InputError(
            f'The variance groups have shape {values.shape}, but the design has {n_rows} rows; '
            'give one number for each row.'
        )
    names, codes = np.unique(values, return_inverse=True)
    if len(names) < 2:
        raise InputError('There is only one variance group; leave the variance groups out.')
    leverage = (parts.basis**2).sum(axis=1)
    dofs = np.bincount(codes, 1 - leverage)
    fitted = np.flatnonzero(dofs < 1e-8)
    if len(fitted):
        raise InputError(
            f'The design fits the rows of variance group {names[fitted[0]]:g} without any error, '
            'so that they have no variance; join that group with another one.'
        )
    sizes = np.bincount(codes).astype(np.float64)
    return VarianceGroups(codes, sizes, dofs.astype(np.float64))


def welch(
    products: Floats, squares: Floats, gram: Floats, groups: VarianceGroups, rank: int
) -> tuple[Floats, Floats, Floats]:
    """V or G of locations, and its degrees of freedom.

    Parameters
    ----------
    products : ndarray, shape (n_columns, n)
        Estimates in an orthonormal basis, the tested columns first.
    squares : ndarray, shape (n_groups, n)
        Sums of squared residuals, > 0.
    gram : ndarray, shape (n_groups, n_columns, n_columns)
        Of the basis, over the rows of each group.
    groups : VarianceGroups
    rank : int
        Number of tested columns.

    Returns
    -------
    statistic, dof : ndarray, shape (n,)
    precision : ndarray, shape (n, rank, rank)
        Inverse of the covariance of the tested estimates.
    """
    weights = groups.dofs[:, None] / squares
    matrix = np.einsum('bn,bij->nij', weights, gram)
    tested, nuisance = slice(0, rank), slice(rank, None)
    precision = matrix[:, tested, tested]
    if matrix.shape[1] > rank:
        cross = matrix[:, nuisance, tested]
        solved = np.linalg.solve(matrix[:, nuisance, nuisance], cross)
        precision = precision - np.einsum('nki,nkj->nij', cross, solved)
    weights = weights * groups.sizes[:, None]
    shares = weights / weights.sum(axis=0)
    spread = ((1 - shares) ** 2 / groups.dofs[:, None]).sum(axis=0)
    if rank == 1:
        return products[0] * np.sqrt(precision[:, 0, 0]), 1 / (3 * spread), precision
    spread = spread / (rank * (rank + 2))
    form = np.einsum('in,nij,jn->n', products[:rank], precision, products[:rank])
    return form / rank / (1 + 2 * (rank - 1) * spread), 1 / (3 * spread), precision


class GroupedStatistic:
    """z maps of the shuffles of v or G; safe to use from many threads.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
        Finite.
    parts : PartitionedDesign
    groups : array_like of int, shape (n_rows,)

    Raises
    ------
    InputError
        See `group_design`.
    """

    def __init__(
        self, data: npt.NDArray[np.floating], parts: PartitionedDesign, groups: npt.ArrayLike
    ) -> None:
        self.n = data.shape[1]
        self.kind: StatisticKind = statistic_kind(parts, grouped=True)
        self._groups = group_design(parts, groups)
        self._tiles, self._squares = tile_residuals(data, slice(None), parts.nuisance)
        self._rank = parts.rank
        # The nuisance first: elimination leaves what is to be tested last.
        self._basis = np.roll(parts.basis, -parts.rank, axis=1)
        self._group_moves = parts.nuisance.shape[1] > 0
        dofs, n_groups = self._groups.dofs, len(self._groups.dofs)
        # B is least where all terms are in proportion, and largest where one group has all weight.
        factor = 3.0 if self._rank == 1 else 3.0 / (self._rank * (self._rank + 2))
        lowest = factor * (n_groups - 1) ** 2 / dofs.sum() * (1 - 1e-12)
        highest = factor * ((1 / dofs).sum() - (1 / dofs).min()) * (1 + 1e-12)
        self._surface = (
            v_surface(lowest, highest)
            if self._rank == 1
            else g_surface(self._rank, lowest, highest)
        )

    def z(self, shuffles: Shuffles, numbers: range) -> Floats:
        """Maps of z of some shuffles, as `ShuffledStatistic.z`.

        Returns
        -------
        ndarray, shape (len(numbers), n_grayordinates)
        """
        n_rows, n_columns = self._basis.shape
        n_groups = len(self._groups.dofs)
        basis = np.empty((len(numbers), n_columns, n_rows))
        codes = np.empty((len(numbers), n_rows), dtype=np.int64)
        gram = np.empty((len(numbers), n_groups, n_columns, n_columns))
        for i, number in enumerate(numbers):
            rows, signs = shuffles.shuffle(number)
            basis[i] = (signs[:, None] * self._basis[rows]).T
            codes[i] = self._groups.codes[rows] if self._group_moves else self._groups.codes
            for group in range(n_groups):
                part = basis[i][:, codes[i] == group]
                gram[i, group] = part @ part.T
        out = np.empty((len(numbers), self.n))
        _fill(
            self._tiles,
            self._squares,
            interleave(basis.reshape(-1, n_rows)),
            basis,
            codes,
            gram,
            self._groups.sizes,
            self._groups.dofs,
            self._rank,
            self._surface,
            out,
        )
        return out


@njit(nogil=True, cache=True)
def _group_squares(tile, basis, codes, sums, residual, squares):
    """Fill ``squares``, (n_groups, BLOCK), with the sums of squared residuals of the groups."""
    n_columns, n_rows = basis.shape
    squares[:] = 0.0
    for row in range(n_rows):
        e = tile[row]
        for v in range(BLOCK):
            residual[v] = e[v]
        for column in range(n_columns):
            w = -basis[column, row]
            s = sums[column * BLOCK : (column + 1) * BLOCK]
            for v in range(BLOCK):
                residual[v] = fma(w, s[v], residual[v])
        total = squares[codes[row]]
        for v in range(BLOCK):
            total[v] = fma(residual[v], residual[v], total[v])


@njit(nogil=True, cache=True, error_model='numpy')
def _eliminate(weights, gram, rank, matrix):
    """Fill ``matrix``, (n_columns, n_columns, BLOCK), and reduce it to its last rank columns.

    Only the lower triangle is meant; what is left of the last columns is the Schur complement.
    """
    n_groups, n_columns, _ = gram.shape
    for i in range(n_columns):
        for j in range(i + 1):
            entry = matrix[i, j]
            entry[:] = 0.0
            for group in range(n_groups):
                g = gram[group, i, j]
                w = weights[group]
                for v in range(BLOCK):
                    entry[v] = fma(w[v], g, entry[v])
    for pivot in range(n_columns - rank):
        p = matrix[pivot, pivot]
        for i in range(pivot + 1, n_columns):
            below = matrix[i, pivot]
            for j in range(pivot + 1, i + 1):
                entry, other = matrix[i, j], matrix[j, pivot]
                for v in range(BLOCK):
                    entry[v] -= below[v] / p[v] * other[v]


@njit(nogil=True, cache=True, error_model='numpy')
def _z_of_block(sums, weights, sizes, dofs, rank, matrix, surface, scratch, out):
    """Fill ``out`` with z of one shuffle; ``sums`` are of the tested columns."""
    n_groups = len(sizes)
    first = len(matrix) - rank
    share, q = scratch[0], scratch[1]
    place = scratch[2]
    share_bits, q_bits = share.view(np.uint64), q.view(np.uint64)
    factor = 3.0 if rank == 1 else 3.0 / (rank * (rank + 2))
    for v in range(len(out)):
        total = 0.0
        for group in range(n_groups):
            total += weights[group, v] * sizes[group]
        spread = 0.0
        for group in range(n_groups):
            left = 1 - weights[group, v] * sizes[group] / total
            spread += left * left / dofs[group]
        q[v] = min(max(factor * spread, surface.lowest), surface.highest)
        form = 0.0
        for i in range(rank):
            a = sums[i * BLOCK + v]
            form += a * a * matrix[first + i, first + i, v]
            for j in range(i):
                form += 2 * a * sums[j * BLOCK + v] * matrix[first + i, first + j, v]
        if rank == 1:
            y = 1 / (1 + form * q[v])
            share[v] = min(max(y, FLOOR), _BELOW_ONE)
            value = surface_value(surface, 0, share_bits[v], q_bits[v], place)
            z = np.sqrt(form * y) * value
            out[v] = z if sums[v] >= 0 else -z
        else:
            # rank G / dof
            odds = form * q[v] / (1 + 2 * (rank - 1) * q[v] / 3)
            side = 0 if odds < 1 else 1
            share[v] = max((odds if odds < 1 else 1.0) / (1 + odds), FLOOR)
            value = surface_value(surface, side, share_bits[v], q_bits[v], place)
            out[v] = value / np.sqrt(q[v])


@njit(nogil=True, cache=True)
def _fill(tiles, squares, woven, basis, codes, gram, sizes, dofs, rank, surface, out):
    """Fill z; ``woven`` are all of ``basis``, (n_shuffles, n_columns, n_rows), interleaved."""
    n_shuffles, n = out.shape
    n_columns, n_groups = basis.shape[1], len(sizes)
    sums = np.empty(woven.shape[0] * 4 * BLOCK)
    matrix = np.empty((n_columns, n_columns, BLOCK))
    weights = np.empty((n_groups, BLOCK))
    scratch = np.empty((3, BLOCK))
    for t in range(len(tiles)):
        multiply(tiles[t], woven, sums)
        start, stop = t * BLOCK, min((t + 1) * BLOCK, n)
        for shuffle in range(n_shuffles):
            own = sums[shuffle * n_columns * BLOCK : (shuffle + 1) * n_columns * BLOCK]
            _group_squares(tiles[t], basis[shuffle], codes[shuffle], own, scratch[0], weights)
            for group in range(n_groups):
                for v in range(BLOCK):
                    floor = squares[t, v] / LARGEST_RATIO
                    weights[group, v] = dofs[group] / max(weights[group, v], floor)
            _eliminate(weights, gram[shuffle], rank, matrix)
            _z_of_block(
                own[(n_columns - rank) * BLOCK :], weights, sizes, dofs, rank, matrix, surface,
                scratch, out[shuffle, start:stop],
            )  # fmt: skip
