"""The general linear model under shuffling, after Freedman and Lane.

Definitions follow Winkler et al. 2014 (NeuroImage 92:381-397). The design M with the contrast c is
split into a tested column x and nuisance columns Z that are orthogonal to it (the partition of
Ridgway), so that the coefficient of x is the contrast's estimate c'b. The data of a shuffle P are
Y* = (P'Rz + Hz) Y with Hz the projection on Z and Rz = I - Hz. With e = Rz Y, everything that the
t of a shuffle needs is in the few products (P x)'e and (P Z)'e, because shuffling leaves the sum
of squares of e as it is:

    t = b / sqrt((e'e - b^2 - |(P Z)'e|^2) / dof),    b = (P x)'e / |x|,  Z orthonormal.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit

from ketbids.errors import InputError
from ketbids.stats.shuffling import ShuffleSet
from ketbids.stats.zscore import LARGEST_RATIO, STEP, conversion_table, z_from_t

__all__ = [
    'Estimate',
    'PartitionedDesign',
    'ShuffledStatistic',
    'check_design',
    'estimate',
    'partition_design',
    'same_as_identity',
]

Floats = npt.NDArray[np.float64]

_BLOCK = 256


class PartitionedDesign(NamedTuple):
    """A design split by a contrast.

    Attributes
    ----------
    tested : ndarray, shape (n_rows,)
        The tested column; its coefficient is the contrast's estimate.
    nuisance : ndarray, shape (n_rows, n_columns - 1)
        The rest, orthonormal and orthogonal to ``tested``.
    dof : int
        Residual degrees of freedom.
    """

    tested: Floats
    nuisance: Floats
    dof: int

    @property
    def basis(self) -> Floats:
        """Orthonormal columns, the tested one first; shape (n_rows, n_columns)."""
        return np.column_stack([self.tested / np.linalg.norm(self.tested), self.nuisance])


class Estimate(NamedTuple):
    """The contrast in the data as they are.

    Attributes
    ----------
    effect : ndarray, shape (n_grayordinates,)
        Estimate of the contrast, in units of the data.
    variance : ndarray, shape (n_grayordinates,)
        Its variance: ``effect / sqrt(variance)`` is t.
    t, z : ndarray, shape (n_grayordinates,)
        Student's t and the z of the same tail probability.
    residuals : ndarray, shape (n_rows, n_grayordinates)
        Residuals of the whole model.
    """

    effect: Floats
    variance: Floats
    t: Floats
    z: Floats
    residuals: Floats


def check_design(
    design: npt.ArrayLike | pd.DataFrame,
    contrast: npt.ArrayLike,
    names: Sequence[str] | None = None,
) -> tuple[Floats, Floats]:
    """Design and contrast as arrays, if they can be tested.

    Parameters
    ----------
    design : array_like or DataFrame, shape (n_rows, n_columns)
        Design matrix; a data frame brings the names of its columns.
    contrast : array_like, shape (n_columns,)
        Weights.
    names : sequence of str, optional
        Names of the columns for messages.

    Returns
    -------
    design : ndarray, shape (n_rows, n_columns)
    contrast : ndarray, shape (n_columns,)

    Raises
    ------
    InputError
        The design is not finite, rank deficient or has too few rows; the contrast has another
        length than the design has columns, is not finite or all zero.
    """
    if isinstance(design, pd.DataFrame) and names is None:
        names = [str(name) for name in design.columns]
    try:
        matrix = np.asarray(design, dtype=np.float64)
        weights = np.asarray(contrast, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f'The design and the contrast must be numbers: {error}.') from error
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise InputError(f'The design must be rows x columns, not of shape {matrix.shape}.')
    n_rows, n_columns = matrix.shape
    names = [f'column {i + 1}' for i in range(n_columns)] if names is None else list(names)
    if len(names) != n_columns:
        raise InputError(f'The design has {n_columns} columns, but {len(names)} names are given.')
    if weights.shape != (n_columns,):
        raise InputError(
            f'The contrast has shape {weights.shape}, but the design has {n_columns} columns '
            f'({", ".join(names)}); give one weight for each.'
        )
    if not np.isfinite(weights).all() or not weights.any():
        raise InputError('The contrast must have finite weights, and at least one that is not 0.')
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise InputError(
            f'The design has no value in row {row + 1} of {names[column]}; '
            'leave that row out or fill the value in.'
        )
    if n_rows < n_columns + 1:
        raise InputError(
            f'{n_rows} maps are too few for a design of {n_columns} columns '
            f'({", ".join(names)}): at least {n_columns + 1} are needed.'
        )
    dependent = _dependent_columns(matrix)
    if len(dependent):
        listed = ', '.join(names[column] for column in dependent)
        raise InputError(
            f'The design is rank deficient: a combination of {listed} is 0 in every row; '
            'leave one of them out.'
        )
    return matrix, weights


def _dependent_columns(matrix: Floats) -> npt.NDArray[np.int64]:
    """Columns that take part in a linear dependence (a column of zeros does alone)."""
    norms = np.linalg.norm(matrix, axis=0)
    if not norms.all():
        return np.flatnonzero(norms == 0)
    _, singular, right = np.linalg.svd(matrix / norms, full_matrices=False)
    null = right[singular < 1e-10 * singular[0]]
    return np.flatnonzero((np.abs(null) > 1e-6).any(axis=0))


def partition_design(design: Floats, contrast: Floats) -> PartitionedDesign:
    """Split a design of full rank into the tested column and the nuisance.

    The partition is Ridgway's (Winkler et al. 2014, appendix A): Z spans M (I - c c^+), and
    x = Rz M (c')^+.

    Parameters
    ----------
    design : ndarray, shape (n_rows, n_columns)
    contrast : ndarray, shape (n_columns,)

    Returns
    -------
    PartitionedDesign
    """
    n_rows, n_columns = design.shape
    weights = contrast / (contrast @ contrast)
    rest = design - np.outer(design @ weights, contrast)
    nuisance = np.linalg.svd(rest, full_matrices=False)[0][:, : n_columns - 1]
    tested = design @ weights
    for _ in range(2):  # once more removes what rounding left
        tested = tested - nuisance @ (nuisance.T @ tested)
    return PartitionedDesign(tested, nuisance, n_rows - n_columns)


def estimate(data: Floats, parts: PartitionedDesign) -> Estimate:
    """Fit the model to the data as they are.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
        Finite, not constant.
    parts : PartitionedDesign

    Returns
    -------
    Estimate
    """
    scale = parts.tested @ parts.tested
    effect = parts.tested @ data / scale
    basis = parts.basis
    residuals = data - basis @ (basis.T @ data)
    squares = (residuals**2).sum(axis=0)
    squares = np.maximum(squares, (effect**2 * scale + squares) / LARGEST_RATIO)
    variance = squares / parts.dof / scale
    t = effect / np.sqrt(variance)
    return Estimate(effect, variance, t, z_from_t(t, parts.dof), residuals)


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
        out = np.empty((len(numbers), len(self.squares)))
        _shuffled_z(self._residuals, self.squares, weights, self._dof, self._table, out)
        return out


def same_as_identity(
    shuffles: ShuffleSet, parts: PartitionedDesign
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Shuffles whose t is that of the identity, or its negative, whatever the data are.

    Such are all flips at once, or the exchange of two groups of one size without covariates.

    Parameters
    ----------
    shuffles : ShuffleSet
    parts : PartitionedDesign

    Returns
    -------
    same, mirrored : ndarray of bool, shape (n_shuffles,)
    """
    basis = parts.basis
    same = np.zeros(shuffles.n, dtype=bool)
    mirrored = np.zeros(shuffles.n, dtype=bool)
    for number in range(shuffles.n):
        rows, signs = shuffles.shuffle(number)
        tested = signs * basis[rows, 0]
        overlap = tested @ basis[:, 0]
        if abs(overlap) < 1 - 1e-9:
            continue
        nuisance = signs[:, None] * parts.nuisance[rows]
        kept = ((parts.nuisance.T @ nuisance) ** 2).sum()
        if kept > parts.nuisance.shape[1] - 1e-9:
            same[number] = overlap > 0
            mirrored[number] = overlap < 0
    return same, mirrored


@njit(nogil=True, cache=True)
def _shuffled_z(residuals, squares, weights, dof, table, out):
    """Fill z; ``weights`` are the shuffled basis, shape (n_shuffles, n_columns, n_rows).

    Sums over rows run in one fixed order for each value, so that nothing depends on the blocks;
    a matrix product of BLAS does not promise that.
    """
    n_shuffles, n_columns, n_rows = weights.shape
    n = residuals.shape[1]
    products = np.empty((n_columns, _BLOCK))
    last = table.shape[0] - 1
    for start in range(0, n, _BLOCK):
        width = min(_BLOCK, n - start)
        for shuffle in range(n_shuffles):
            products[:] = 0.0
            for column in range(n_columns):
                w = weights[shuffle, column]
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
                out[shuffle, start + v] = z if products[0, v] >= 0 else -z
