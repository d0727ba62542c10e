"""The general linear model under shuffling, after Freedman and Lane.

Definitions follow Winkler et al. 2014 (NeuroImage 92:381-397). The design M with the contrast c is
split into a tested column x and nuisance columns Z that are orthogonal to it (the partition of
Ridgway), so that the coefficient of x is the contrast's estimate c'b. The data of a shuffle P are
Y* = (P'Rz + Hz) Y with Hz the projection on Z and Rz = I - Hz. With e = Rz Y, everything that the
t of a shuffle needs is in the few products (P x)'e and (P Z)'e, because shuffling leaves the sum
of squares of e as it is (``ketbids.stats.statistic``):

    t = b / sqrt((e'e - b^2 - |(P Z)'e|^2) / dof),    b = (P x)'e / |x|,  Z orthonormal.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.shuffling import RestrictedShuffles, ShuffleSet
from ketbids.stats.zscore import LARGEST_RATIO, z_from_t

__all__ = [
    'Estimate',
    'PartitionedDesign',
    'check_design',
    'estimate',
    'partition_design',
    'restrict_design',
    'same_as_identity',
]

Floats = npt.NDArray[np.float64]


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


def restrict_design(
    design: Floats, contrast: Floats, rows: npt.NDArray[np.integer]
) -> PartitionedDesign | None:
    """Split what some rows of a design can still tell by a contrast.

    Columns that are constant or dependent in these rows are not a hindrance by themselves: their
    rank is what counts. The contrast must be a combination of the rows, and at least one residual
    degree of freedom must be left.

    Parameters
    ----------
    design : ndarray, shape (n_all_rows, n_columns)
        Of full rank.
    contrast : ndarray, shape (n_columns,)
    rows : ndarray of int, shape (n_rows,)

    Returns
    -------
    PartitionedDesign or None
        Of the rows, with ``rank - 1`` nuisance columns; None if they cannot tell the contrast.
    """
    part = design[rows]
    norms = np.linalg.norm(part, axis=0)
    norms[norms == 0] = 1
    left, singular, right = np.linalg.svd(part / norms, full_matrices=False)
    rank = int((singular > 1e-10 * singular[:1]).sum())
    if len(rows) - rank < 1 or rank == 0:
        return None
    if rank == design.shape[1]:
        return partition_design(part, contrast)
    # Coordinates in the space that the rows span; b stands for the scaled coefficients.
    weights = contrast / norms
    inside = right[:rank] @ weights
    if np.linalg.norm(weights - inside @ right[:rank]) > 1e-8 * np.linalg.norm(weights):
        return None
    return partition_design(left[:, :rank] * singular[:rank], inside)


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


def same_as_identity(
    shuffles: ShuffleSet | RestrictedShuffles, parts: PartitionedDesign
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Shuffles whose t is that of the identity, or its negative, whatever the data are.

    Such are all flips at once, or the exchange of two groups of one size without covariates.

    Parameters
    ----------
    shuffles : ShuffleSet or RestrictedShuffles
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
