"""Autoregressive noise and dense generalised least squares, for comparison."""

import numpy as np
from scipy.linalg import toeplitz
from scipy.signal import lfilter


def noise(rng, coefficients, n_volumes, n):
    """Stationary autoregressive noise."""
    white = rng.standard_normal((n_volumes + 500, n))
    return lfilter([1], np.r_[1, -np.asarray(coefficients)], white, axis=0)[500:]


def from_reflections(reflections):
    """Autoregressive coefficients of partial autocorrelations."""
    coefficients = np.zeros(0)
    for reflection in reflections:
        coefficients = np.r_[coefficients - reflection * coefficients[::-1], reflection]
    return coefficients


def solve(matrix, right):
    """Solve with a positive definite matrix, in extended precision."""
    matrix = np.array(matrix, dtype=np.longdouble)
    right = np.array(right, dtype=np.longdouble)
    for k in range(len(matrix)):
        pivot = k + int(np.argmax(np.abs(matrix[k:, k])))
        matrix[[k, pivot]], right[[k, pivot]] = matrix[[pivot, k]], right[[pivot, k]]
        factor = matrix[k + 1 :, k] / matrix[k, k]
        matrix[k + 1 :] -= factor[:, None] * matrix[k]
        right[k + 1 :] -= factor.reshape(-1, *[1] * (right.ndim - 1)) * right[k]
    for k in range(len(matrix) - 1, -1, -1):
        right[k] = (right[k] - matrix[k, k + 1 :] @ right[k + 1 :]) / matrix[k, k]
    return right


def autocovariance(coefficients, n_lags):
    """Autocovariances that coefficients imply, for innovations of variance 1."""
    phi = np.array(coefficients, dtype=np.longdouble)
    order = len(phi)
    system = np.eye(order + 1, dtype=np.longdouble)
    for lag in range(order + 1):
        for i, value in enumerate(phi, 1):
            system[lag, abs(lag - i)] -= value
    gamma = list(solve(system, np.r_[1.0, np.zeros(order)]))
    while len(gamma) < n_lags:
        gamma.append(sum((phi[i] * gamma[-1 - i] for i in range(order)), np.longdouble(0)))
    return np.array(gamma[:n_lags])


def dense(data, design, contrasts, coefficients):
    """Generalised least squares with the whole covariance matrix: effects and covariances."""
    df = len(design) - np.linalg.matrix_rank(design)
    sigma = toeplitz(autocovariance(coefficients, len(design)))
    data, design = (np.asarray(values, dtype=np.longdouble) for values in (data, design))
    whole = solve(sigma, np.c_[design, data])
    x, y = whole[:, :-1], whole[:, -1]
    information = design.T @ x
    beta = solve(information, x.T @ data)
    sigma2 = (data - design @ beta) @ (y - x @ beta) / df
    covariance = contrasts @ solve(information, np.asarray(contrasts, np.longdouble).T) * sigma2
    return (contrasts @ beta).astype(float), covariance.astype(float)
