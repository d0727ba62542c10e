"""The general linear model under shuffling, after Freedman and Lane.

Definitions follow Winkler et al. 2014 (NeuroImage 92:381-397). The design M with the contrast C is
split into tested columns X, as many as the rank of the contrast, and nuisance columns Z that are
orthogonal to them (the partition of Ridgway), so that the coefficients of X are the contrast's
estimates C'b. The data of a shuffle P are Y* = (P'Rz + Hz) Y with Hz the projection on Z and
Rz = I - Hz; without any nuisance that is the shuffled design with the data as they are. With
e = Rz Y, everything that the t of a shuffle needs is in the few products (P X)'e and (P Z)'e,
because shuffling leaves the sum of squares of e as it is (``ketbids.stats.statistic``):

    t = b / sqrt((e'e - b^2 - |(P Z)'e|^2) / dof),    b = (P x)'e / |x|,  Z orthonormal.

For a contrast of higher rank, F takes the sum of squares of all (P X)'e, X orthonormal, in place
of b^2.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.shuffling import Shuffles

__all__ = [
    'PartitionedDesign',
    'StatisticKind',
    'check_design',
    'partition_design',
    'restrict_design',
    'same_as_identity',
    'statistic_kind',
]

Floats = npt.NDArray[np.float64]
#: Names of the statistics, as PALM has them: t and F, and v and G with variance groups.
StatisticKind = Literal['t', 'F', 'v', 'G']


class PartitionedDesign(NamedTuple):
    """A design split by a contrast.

    Attributes
    ----------
    tested : ndarray, shape (n_rows,) or (n_rows, rank)
        The tested column, or columns; their coefficients are the contrast's estimates.
    nuisance : ndarray, shape (n_rows, n_columns - rank)
        The rest, orthonormal and orthogonal to ``tested``.
    dof : int
        Residual degrees of freedom.
    """

    tested: Floats
    nuisance: Floats
    dof: int

    @property
    def rank(self) -> int:
        """Rank of the contrast."""
        return 1 if self.tested.ndim == 1 else self.tested.shape[1]

    @property
    def basis(self) -> Floats:
        """Orthonormal columns, the tested ones first; shape (n_rows, n_columns)."""
        if self.tested.ndim == 1:
            return np.column_stack([self.tested / np.linalg.norm(self.tested), self.nuisance])
        return np.column_stack([np.linalg.qr(self.tested)[0], self.nuisance])


def statistic_kind(parts: PartitionedDesign, grouped: bool = False) -> StatisticKind:
    """What tests a contrast: t for rank 1, F above; v and G with variance groups."""
    if grouped:
        return 'v' if parts.rank == 1 else 'G'
    return 't' if parts.rank == 1 else 'F'


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
    contrast : array_like, shape (n_columns,) or (n_columns, n_contrasts)
        Weights of a t contrast, or those that an F contrast tests together.
    names : sequence of str, optional
        Names of the columns for messages.

    Returns
    -------
    design : ndarray, shape (n_rows, n_columns)
    contrast : ndarray, shape (n_columns,) or (n_columns, n_contrasts)
        The former too if an F contrast holds one t contrast only: it is that t contrast.

    Raises
    ------
    InputError
        The design is not finite, rank deficient or has too few rows; the contrast has another
        length than the design has columns, is not finite or all zero, or is an F contrast of
        several t contrasts that are multiples of one.

    Notes
    -----
    A design of deficient rank is refused even where the contrast could be told by it, as PALM
    does not: that it is meant that way is rare, a column too many is not.
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
    if weights.ndim not in (1, 2) or len(weights) != n_columns or not weights.size:
        raise InputError(
            f'The contrast has shape {weights.shape}, but the design has {n_columns} columns '
            f'({", ".join(names)}); give one weight for each.'
        )
    if not np.isfinite(weights).all() or not weights.any():
        raise InputError('The contrast must have finite weights, and at least one that is not 0.')
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    elif weights.ndim == 2 and len(_span(weights).T) == 1:
        raise InputError(
            f'The {weights.shape[1]} t contrasts of the F contrast are multiples of one; test '
            'that one alone.'
        )
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


def _span(contrast: Floats) -> Floats:
    """As many columns as the rank of a contrast, (n_columns, n_contrasts), that span the same."""
    norms = np.linalg.norm(contrast, axis=0)
    scaled = contrast[:, norms > 0] / norms[norms > 0]
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    rank = int((singular > 1e-10 * singular[0]).sum())
    return contrast if rank == contrast.shape[1] else left[:, :rank]


def partition_design(design: Floats, contrast: Floats) -> PartitionedDesign:
    """Split a design of full rank into the tested columns and the nuisance.

    The partition is Ridgway's (Winkler et al. 2014, appendix A): Z spans M (I - C C^+), and
    X = Rz M (C')^+.

    Parameters
    ----------
    design : ndarray, shape (n_rows, n_columns)
    contrast : ndarray, shape (n_columns,) or (n_columns, n_contrasts)
        Contrasts that depend on the others of an F contrast add nothing to it.

    Returns
    -------
    PartitionedDesign
    """
    n_rows, n_columns = design.shape
    columns = contrast[:, None] if contrast.ndim == 1 else _span(contrast)
    weights = np.linalg.pinv(columns.T)
    rest = design - design @ weights @ columns.T
    nuisance = np.linalg.svd(rest, full_matrices=False)[0][:, : n_columns - columns.shape[1]]
    tested = design @ weights
    for _ in range(2):  # once more removes what rounding left
        tested = tested - nuisance @ (nuisance.T @ tested)
    if tested.shape[1] == 1:
        tested = tested[:, 0]
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
    contrast : ndarray, shape (n_columns,) or (n_columns, n_contrasts)
    rows : ndarray of int, shape (n_rows,)

    Returns
    -------
    PartitionedDesign or None
        Of the rows; None if they cannot tell all of the contrast.
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
    weights = (contrast.T / norms).T
    inside = right[:rank] @ weights
    outside = np.linalg.norm(weights - right[:rank].T @ inside, axis=0)
    if (outside > 1e-8 * np.linalg.norm(weights, axis=0)).any():
        return None
    return partition_design(left[:, :rank] * singular[:rank], inside)


def same_as_identity(
    shuffles: Shuffles,
    parts: PartitionedDesign,
    groups: npt.NDArray[np.integer] | None = None,
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Shuffles whose statistic is that of the identity, or its negative, whatever the data are.

    Such are all flips at once, or the exchange of two groups of one size without covariates.

    Parameters
    ----------
    shuffles : Shuffles
    parts : PartitionedDesign
    groups : ndarray of int, shape (n_rows,), optional
        Variance groups.

    Returns
    -------
    same, mirrored : ndarray of bool, shape (n_shuffles,)
        F and G have no negative: none of theirs is mirrored.
    """
    basis, rank = parts.basis, parts.rank
    same = np.zeros(shuffles.n, dtype=bool)
    mirrored = np.zeros(shuffles.n, dtype=bool)
    for number in range(shuffles.n):
        rows, signs = shuffles.shuffle(number)
        overlap = basis[:, :rank].T @ (signs[:, None] * basis[rows, :rank])
        if (overlap**2).sum() < rank - 1e-9:
            continue
        nuisance = signs[:, None] * parts.nuisance[rows]
        if ((parts.nuisance.T @ nuisance) ** 2).sum() <= parts.nuisance.shape[1] - 1e-9:
            continue
        if groups is not None and parts.nuisance.shape[1] > 0 and _mixes(groups, groups[rows]):
            continue
        mirrored[number] = rank == 1 and overlap[0, 0] < 0
        same[number] = not mirrored[number]
    return same, mirrored


def _mixes(before: npt.NDArray[np.integer], after: npt.NDArray[np.integer]) -> bool:
    """Whether groups are not the same but for their names."""
    pairs = np.unique(np.stack([before, after]), axis=1)
    return pairs.shape[1] > len(np.unique(before))
