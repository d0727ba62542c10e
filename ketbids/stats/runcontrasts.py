"""Contrasts of the parameters of a run: their weights, and whether they can be estimated."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.stats.glmresults import separable

__all__ = ['ContrastWeights', 'contrast_variance', 'contrast_weights']

#: Singular values below this share of the largest, of columns of length 1, count as 0.
_RANK_TOLERANCE = 1e-8
#: Share of a contrast that may lie outside the row space of the design.
_ESTIMABLE = 1e-6
#: Share of a column in what cannot be told, above which it is named.
_NAMED = 1e-3


class ContrastWeights(NamedTuple):
    """Contrasts as weights of the columns of one design.

    Attributes
    ----------
    weights : dict of str to (ndarray of shape (q, n_columns) or None)
        Weights of each contrast, one row for t, one or more that do not depend linearly on each
        other for F; None if it is not estimable.
    reasons : dict of str to str
        Why, for each contrast that is not estimable.
    """

    weights: dict[str, npt.NDArray[np.float64] | None]
    reasons: dict[str, str]


class _RowSpace(NamedTuple):
    """What can be estimated: rows that span it, of columns of length 1, and their sizes."""

    rows: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]

    @classmethod
    def of(cls, matrix: npt.NDArray[np.float64]) -> '_RowSpace':
        scale = np.linalg.norm(matrix, axis=0)
        scale[scale == 0] = 1
        _, size, rows = np.linalg.svd(matrix / scale, full_matrices=False)
        kept = size > size[0] * _RANK_TOLERANCE
        return cls(rows[kept], size[kept], scale)

    def outside(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        """Part of weights of shape (n_columns,) that cannot be estimated; None if all can."""
        # In the scaled columns, x / s, the same contrast has weights c / s.
        scaled = weights / self.scale
        left = scaled - self.rows.T @ (self.rows @ scaled)
        small = np.linalg.norm(left) <= _ESTIMABLE * np.linalg.norm(scaled)
        return None if small else left


def contrast_weights(
    matrix: pd.DataFrame,
    contrasts: Mapping[str, Sequence[Mapping[str, float]]],
    dropped: Sequence[str] = (),
) -> ContrastWeights:
    """Turn contrasts of named columns into weights, where they can be estimated.

    A contrast is estimable if all its rows lie in the row space of the design. A row that
    depends linearly on those before it is left out, since it adds nothing to an F test.

    Parameters
    ----------
    matrix : DataFrame, shape (n_volumes, n_columns)
        Design matrix.
    contrasts : mapping of str to sequence of (mapping of str to float)
        Contrast name to its rows, each the weight of every column it needs.
    dropped : sequence of str
        Conditions that have no column because they had no trials, for the reasons.

    Returns
    -------
    ContrastWeights
        Weights, None where not estimable, and the reasons.
    """
    columns = list(matrix.columns)
    values = matrix.to_numpy(dtype=np.float64)
    space = _RowSpace.of(values)
    weights: dict[str, npt.NDArray[np.float64] | None] = {}
    reasons: dict[str, str] = {}
    for name, terms in contrasts.items():
        weights[name] = None
        rows = [{c: float(w) for c, w in row.items() if w != 0} for row in terms]
        if not rows or not all(rows):
            reasons[name] = 'all its weights are 0'
            continue
        absent = list(dict.fromkeys(c for row in rows for c in row if c not in columns))
        if absent:
            reasons[name] = _absent(absent, dropped)
            continue
        vectors = np.zeros((len(rows), len(columns)))
        for number, row in enumerate(rows):
            vectors[number, [columns.index(c) for c in row]] = list(row.values())
        why = [_confused(vector, space, values, columns) for vector in vectors]
        if any(why):
            reasons[name] = '; '.join(dict.fromkeys(filter(None, why)))
            continue
        kept = _independent_rows(vectors)
        covariance = contrast_variance(values, kept)
        if covariance is not None and separable(covariance):
            weights[name] = kept
        else:
            needed = dict.fromkeys(c for row in rows for c in row)
            reasons[name] = (
                f'its rows cannot be told apart: the columns of {", ".join(needed)} are nearly '
                'linearly dependent'
            )
    return ContrastWeights(weights, reasons)


def contrast_variance(
    matrix: npt.ArrayLike, weights: npt.ArrayLike
) -> npt.NDArray[np.float64] | None:
    """Covariance of a contrast for white noise of variance 1, C (X'X)^- C'.

    Parameters
    ----------
    matrix : array_like, shape (n_volumes, n_columns)
        Design; it may have less than full rank.
    weights : array_like, shape (q, n_columns) or (n_columns,)

    Returns
    -------
    ndarray of shape (q, q), or None
        None if a row is not estimable.
    """
    space = _RowSpace.of(np.asarray(matrix, dtype=np.float64))
    rows = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if any(space.outside(row) is not None for row in rows):
        return None
    half = (rows / space.scale) @ space.rows.T / space.size
    return np.asarray(half @ half.T)


def _absent(absent: Sequence[str], dropped: Sequence[str]) -> str:
    without = [column for column in absent if column in dropped]
    unknown = [column for column in absent if column not in dropped]
    parts = []
    if without:
        parts.append(f'no trials of {", ".join(without)} in this run')
    if unknown:
        parts.append(f'the design has no column {", ".join(unknown)}')
    return '; '.join(parts)


def _confused(
    weights: npt.NDArray[np.float64],
    space: _RowSpace,
    values: npt.NDArray[np.float64],
    columns: Sequence[str],
) -> str:
    """Say why weights are not estimable; empty text if they are."""
    left = space.outside(weights)
    if left is None:
        return ''
    needed = [c for c, weight in zip(columns, weights, strict=True) if weight]
    empty = [c for c in needed if not values[:, columns.index(c)].any()]
    if empty:
        return f'the regressor of {", ".join(empty)} is 0 throughout the run'
    mixed = np.abs(left) > _NAMED * np.abs(left).max()
    others = [
        c for c, is_mixed in zip(columns, mixed, strict=True) if is_mixed and c not in needed
    ]
    if not others:
        return f'{", ".join(needed)} cannot be told from each other'
    return f'{", ".join(needed)} cannot be told from {", ".join(others)}'


def _independent_rows(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows that do not depend linearly on those before them."""
    kept: list[int] = []
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for number in range(len(rows)):
        if np.linalg.matrix_rank(unit[[*kept, number]], tol=_RANK_TOLERANCE) > len(kept):
            kept.append(number)
    return rows[kept]
