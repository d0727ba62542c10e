"""Autoregressive noise: its coefficients from residuals, and its inverse covariance."""

import numpy as np
import numpy.typing as npt

__all__ = [
    'LARGEST_REFLECTION',
    'autocorrelations',
    'bias_correction',
    'levinson',
    'pairs',
    'precision_times',
    'trimmed_products',
]

#: Largest partial autocorrelation; below 1, so that the noise model is stationary.
LARGEST_REFLECTION = 0.99


def bias_correction(basis: npt.NDArray[np.float64], order: int) -> npt.NDArray[np.float64]:
    """What autocovariances become in residuals, as a matrix; shape (order + 1, order + 1).

    Entry (i, j) is the expected sum of products of residuals i apart, for noise whose
    autocovariance is 1 at lag j (both directions) and 0 elsewhere.
    """
    n_volumes = len(basis)
    projector = np.eye(n_volumes) - basis @ basis.T
    shifted = [projector]
    for lag in range(1, order + 1):
        both = np.zeros_like(projector)
        both[:, lag:] += projector[:, :-lag]
        both[:, :-lag] += projector[:, lag:]
        shifted.append(both)
    matrix = np.array([[np.sum(left * right.T) for right in shifted] for left in shifted])
    matrix[1:] /= 2  # sums of products count each pair of volumes once
    return matrix


def autocorrelations(
    residual: npt.NDArray[np.float64], order: int, correct: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Bias-corrected residual autocorrelations at lags 1 to p; shape (V, p)."""
    n_volumes = len(residual)
    sums = np.stack(
        [
            np.einsum('tv,tv->v', residual[: n_volumes - lag], residual[lag:])
            for lag in range(order + 1)
        ]
    )
    covariances = np.linalg.solve(correct, sums)
    # Where noise is so smooth that the correction overshoots, the raw values stay.
    raw = covariances[0] <= 0
    covariances[:, raw] = sums[:, raw]
    return (covariances[1:] / covariances[0]).T


def levinson(correlations: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Solve the Yule-Walker equations, kept stationary; autocorrelations (V, p) -> (V, p).

    A partial autocorrelation at its limit ends the recursion of its grayordinate: later ones
    are 0.
    """
    n, order = correlations.shape
    coefficients = np.zeros((n, order))
    error = np.ones(n)
    going = np.ones(n, dtype=bool)
    for step in range(order):
        known = coefficients[:, :step]
        left = correlations[:, step] - np.einsum(
            'vi,vi->v', known, correlations[:, :step][:, ::-1]
        )
        reflection = np.where(going, left / error, 0)
        going &= np.abs(reflection) < LARGEST_REFLECTION
        reflection = np.clip(reflection, -LARGEST_REFLECTION, LARGEST_REFLECTION)
        coefficients[:, :step] = known - reflection[:, None] * known[:, ::-1]
        coefficients[:, step] = reflection
        error *= 1 - reflection**2
    return coefficients


def trimmed_products(basis: npt.NDArray[np.float64], order: int) -> npt.NDArray[np.float64]:
    """Lagged cross-products of the design; shape ((order + 1) (order + 2) / 2, K * K).

    With filters a = (1, -phi), X' Sigma^-1 X is the sum over pairs i <= j of a_i a_j times row
    (i, j), which is the sum over s = i .. T - 1 - j of x(s) x(s + j - i)' and its transpose
    (once, for i = j).
    """
    n_volumes = len(basis)
    rows = []
    for i, j in pairs(order):
        early, late = basis[i : n_volumes - j], basis[j : n_volumes - i]
        product = early.T @ late
        rows.append((product if i == j else product + product.T).ravel())
    return np.stack(rows)


def pairs(order: int) -> list[tuple[int, int]]:
    """Pairs i <= j of lags 0 to p, in the order of the rows of `trimmed_products`."""
    return [(i, j) for i in range(order + 1) for j in range(i, order + 1)]


def precision_times(
    values: npt.NDArray[np.float64], filters: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Sigma^-1 (for innovations of variance 1) times each column; (T, V) and (V, p + 1) -> (T, V).

    By symmetry about both diagonals Sigma^-1 is A1' A1 - A2' A2 as well, which filters forwards
    and then backwards.
    """
    order = filters.shape[1] - 1
    n_volumes = len(values)
    forward = values.copy()
    for lag in range(1, order + 1):
        forward[lag:] += filters[:, lag] * values[: n_volumes - lag]
    out = forward.copy()
    for lag in range(1, order + 1):
        out[: n_volumes - lag] += filters[:, lag] * forward[lag:]
    # A2 has its only rows at the end, where it meets the first p volumes.
    for row in range(order):
        corner = np.zeros(values.shape[1])
        for volume in range(row + 1):
            corner += filters[:, order - row + volume] * values[volume]
        for volume in range(row + 1):
            out[volume] -= filters[:, order - row + volume] * corner
    return out
