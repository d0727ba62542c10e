"""Autoregressive noise: from autocovariances of residuals to a stationary model."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ketbids.errors import InputError
from ketbids.stats.smoothing import apply_smoothing

__all__ = [
    'LARGEST_REFLECTION',
    'NOISE_FWHM',
    'autocorrelations',
    'bias_correction',
    'coefficients',
    'implied_correlations',
    'levinson',
    'noise_reflections',
    'tail_correction',
    'whitened_basis',
    'with_tail',
]

Floats = npt.NDArray[np.float64]

#: Largest partial autocorrelation; below 1, so that the noise model is stationary.
LARGEST_REFLECTION = 0.99
#: FWHM in mm of the weights that smooth the autocorrelations: the compromise between noisy
#: coefficients and those of the neighbours (benchmarks/calibration_glm.py).
NOISE_FWHM = 5.0

#: Beyond this condition number the bias of the residuals cannot be told from the noise.
_WORST_CONDITION = 1e8
#: Lags up to which the noise model continues autocorrelations, and how often.
_TAIL, _ROUNDS = 40, 2
#: Least variance that the continued correction may leave, of that without it.
_LEAST_OUTSIDE = 0.2


def bias_correction(basis: Floats, order: int) -> Floats:
    """What autocovariances become in residuals, as a matrix.

    With R = I - Q Q' and D_j the indicator of volumes j apart (both directions; D_0 = I), the
    expected sum of products of residuals i apart is sum_j tr(R D_i R D_j) gamma_j, halved for
    i > 0, where each pair of volumes counts once (Worsley et al. 2002, NeuroImage 15:1, appendix
    A.3). The traces are taken of products with Q, without any matrix of volumes by volumes.

    Parameters
    ----------
    basis : ndarray, shape (n_volumes, n_columns)
        Orthonormal basis Q of the design.
    order : int

    Returns
    -------
    ndarray, shape (order + 1, order + 1)
        For white noise of variance 1 the part without lag 0 is also the covariance of the sums,
        whatever the design, if the noise is normal.

    Raises
    ------
    InputError
        The lags are too many for what the design leaves of the run.
    """
    n_volumes = len(basis)
    matrix = _expected_sums(basis, order, order)
    singular = np.linalg.svd(matrix, compute_uv=False)
    if not singular[-1] * _WORST_CONDITION > singular[0]:
        raise InputError(
            f'A run of {n_volumes} volumes with a design of rank {basis.shape[1]} is too short '
            f'for autocorrelations up to lag {order}: choose a noise model of lower order with '
            '--noise-model, or fewer confounds with --confounds.'
        )
    return matrix


def _expected_sums(basis: Floats, lags: int, other: int) -> Floats:
    """Entries 0 to `lags` by 0 to `other` of the matrix of `bias_correction`."""
    n_volumes = len(basis)
    shifted = [basis]
    for lag in range(1, max(lags, other) + 1):
        both = np.zeros_like(basis)
        both[lag:] += basis[:-lag]
        both[:-lag] += basis[lag:]
        shifted.append(both)
    within = [basis.T @ both for both in shifted]
    matrix = np.empty((lags + 1, other + 1))
    for i in range(lags + 1):
        for j in range(other + 1):
            whole = 0 if i != j else n_volumes if i == 0 else 2 * (n_volumes - i)
            matrix[i, j] = (
                whole - 2 * np.sum(shifted[i] * shifted[j]) + np.sum(within[i] * within[j].T)
            )
    matrix[1:] /= 2
    return matrix


def tail_correction(basis: Floats, order: int, correct: Floats) -> Floats:
    """What autocorrelations beyond the order do to those within it in the correction.

    Returns
    -------
    ndarray, shape (order + 1, n_later)
        For lags order + 1, order + 2, ..., up to 40 or a quarter of the run.
    """
    last = max(min(_TAIL, len(basis) // 4), order)
    later = _expected_sums(basis, order, last)[:, order + 1 :]
    return np.linalg.solve(correct, later).astype(np.float64)


def with_tail(correlations: Floats, tail: Floats) -> Floats:
    """Correct autocorrelations for those beyond the order, as their own model continues them.

    Worsley's correction takes autocovariances beyond the order as 0, which noise of long memory
    under a slow design does not allow. With later autocorrelations g, the sums of products are
    those of M gamma + M_later g gamma_0, so that with u = M^-1 M_later g a corrected
    autocorrelation r is r (1 + u_0) - u. It is done twice: the model changes by it.

    Parameters
    ----------
    correlations : ndarray, shape (order, n)
        Of `autocorrelations`.
    tail : ndarray, shape (order + 1, n_later)
        Of `tail_correction`.

    Returns
    -------
    ndarray, shape (order, n)
    """
    order, first = len(correlations), correlations
    if not order or not tail.shape[1]:
        return correlations
    for _ in range(_ROUNDS):
        reflections = levinson(correlations)
        phi, known = coefficients(reflections), list(implied_correlations(reflections))
        for _ in range(tail.shape[1]):
            known.append(_sum_of_products(phi, known[: -order - 1 : -1]))
        later = known[order:]
        change = np.stack([_sum_of_products(row, later) for row in tail])
        whole = 1 + change[0]
        # So much of the noise would be within the design that the model cannot tell.
        usable = whole > _LEAST_OUTSIDE
        correlations = np.where(usable, first * whole - change[1:], first)
    return correlations


def autocorrelations(sums: Floats, correct: Floats) -> Floats:
    """Bias-corrected residual autocorrelations.

    Parameters
    ----------
    sums : ndarray, shape (order + 1, n)
        Sums of products of residuals that are 0, 1, ... volumes apart.
    correct : ndarray, shape (order + 1, order + 1)
        Of :func:`bias_correction`.

    Returns
    -------
    ndarray, shape (order, n)
        At lags 1, 2, ...; not bounded by 1. 0 where there are no residuals.
    """
    covariances = np.stack([_sum_of_products(row, sums) for row in np.linalg.inv(correct)])
    # Where noise is so smooth that the correction overshoots, the raw values stay.
    raw = covariances[0] <= 0
    covariances[:, raw] = sums[:, raw]
    none = covariances[0] <= 0
    return np.where(none, 0, covariances[1:]) / np.where(none, 1, covariances[0])


def _sum_of_products(left: Iterable[Any], right: Iterable[Any]) -> Any:
    """Sum over rows, one by one: the same bits whatever the number of grayordinates."""
    total = 0.0
    for a, b in zip(left, right, strict=True):
        total = total + a * b
    return total


def levinson(correlations: Floats) -> Floats:
    """Partial autocorrelations (reflections) of autocorrelations, kept below 1.

    One that is at its limit ends the recursion of its grayordinate: later ones are 0. So the
    model is stationary whatever the autocorrelations.

    Parameters
    ----------
    correlations : ndarray, shape (order, n)
        At lags 1, 2, ...

    Returns
    -------
    ndarray, shape (order, n)
    """
    order, n = correlations.shape
    phi, reflections = np.zeros((order, n)), np.zeros((order, n))
    error, going = np.ones(n), np.ones(n, dtype=bool)
    for step in range(order):
        known = phi[:step]
        left = correlations[step] - _sum_of_products(known, correlations[:step][::-1])
        reflection = np.where(going, left / error, 0)
        going &= np.abs(reflection) < LARGEST_REFLECTION
        reflection = np.clip(reflection, -LARGEST_REFLECTION, LARGEST_REFLECTION)
        phi[:step] = known - reflection * known[::-1]
        phi[step] = reflections[step] = reflection
        error *= 1 - reflection**2
    return reflections


def coefficients(reflections: Floats) -> Floats:
    """Autoregressive coefficients of partial autocorrelations; both of shape (order, n)."""
    phi = np.zeros_like(reflections)
    for step, reflection in enumerate(reflections):
        known = phi[:step]
        phi[:step] = known - reflection * known[::-1]
        phi[step] = reflection
    return phi


def implied_correlations(reflections: Floats) -> Floats:
    """Autocorrelations at lags 1 to p of a model; both of shape (order, n)."""
    phi, correlations = np.zeros_like(reflections), np.zeros_like(reflections)
    error = np.ones(reflections.shape[1])
    for step, reflection in enumerate(reflections):
        known = phi[:step]
        correlations[step] = reflection * error + _sum_of_products(
            known, correlations[:step][::-1]
        )
        phi[:step] = known - reflection * known[::-1]
        phi[step] = reflection
        error = error * (1 - reflection**2)
    return correlations


def noise_reflections(
    correlations: Floats,
    valid: npt.NDArray[np.bool_],
    smoother: sparse.csr_matrix | None,
    threads: int = 1,
) -> Floats:
    """Partial autocorrelations of the noise at every grayordinate.

    Parameters
    ----------
    correlations : ndarray, shape (order, n_grayordinates)
        Bias-corrected residual autocorrelations.
    valid : ndarray of bool, shape (n_grayordinates,)
        Grayordinates with data.
    smoother : sparse matrix, shape (n_grayordinates, n_grayordinates), or None
        Weights that are applied to the autocorrelations. These are made those of stationary
        noise before, so that their averages are it too.
    threads : int

    Returns
    -------
    ndarray, shape (order, n_grayordinates)
        0 where there are no data.
    """
    reflections = levinson(np.where(valid, correlations, 0))
    if smoother is None or not len(correlations):
        return reflections
    smooth = apply_smoothing(
        smoother, implied_correlations(reflections), valid=valid, threads=threads
    )
    return levinson(np.where(valid, smooth, 0))


def whitened_basis(basis: Floats, reflections: Floats) -> Floats:
    """Orthonormal basis of a design after whitening.

    Parameters
    ----------
    basis : ndarray, shape (n_volumes, n_columns)
    reflections : ndarray, shape (order,)
        Of one noise model.

    Returns
    -------
    ndarray, shape (n_volumes, n_columns)
    """
    order = len(reflections)
    white = basis.copy()
    error = np.ones(order + 1)
    for step in range(order):
        phi = coefficients(reflections[: step + 1, None])[:, 0]
        error[step + 1] = error[step] * (1 - reflections[step] ** 2)
        rows = np.arange(step + 1, len(basis) if step + 1 == order else step + 2)
        for lag, value in enumerate(phi, 1):
            white[rows] -= value * basis[rows - lag]
    white[:order] *= np.sqrt(error[order] / error[:order])[:, None]
    return np.linalg.qr(white)[0]
