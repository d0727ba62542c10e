"""Runs of a session together: fixed effects, weighted by precision."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.stats.glmresults import covariance_matrices

__all__ = ['Combined', 'combine_joint', 'combine_runs']

Floats = npt.NDArray[np.float64]

#: Smallest eigenvalue of a correlation matrix that is inverted.
_SINGULAR = 1e-10


class Combined(NamedTuple):
    """Effects of several runs as one; NaN where no run counts.

    Attributes
    ----------
    effect : ndarray, shape (n_grayordinates,) or (q, n_grayordinates)
        Of one row, or of the q rows of an F contrast.
    variance : ndarray, shape (n_grayordinates,) or (q (q + 1) / 2, n_grayordinates)
        Its variance, or the covariances of the rows, row by row, each from the diagonal on.
    counts : ndarray of bool, shape (n_runs, n_grayordinates)
        Which runs the values are from.
    """

    effect: Floats
    variance: Floats
    counts: npt.NDArray[np.bool_]


def combine_runs(
    effects: npt.NDArray[np.floating], variances: npt.NDArray[np.floating]
) -> Combined:
    """Combine runs of one contrast: fixed effects, weighted by precision.

    Parameters
    ----------
    effects, variances : ndarray, shape (n_runs, n_grayordinates)
        Effects in the same units, and their variances. A run counts at a grayordinate if both
        are finite and the variance is positive.

    Returns
    -------
    Combined
        Effect sum(e / v) / sum(1 / v) and variance 1 / sum(1 / v): generalised least squares of
        all runs stacked, with a parameter for the contrast in common and all others by run.

    Raises
    ------
    InputError
        The shapes differ.
    """
    effects = np.asarray(effects, dtype=np.float64)
    variances = np.asarray(variances, dtype=np.float64)
    if effects.ndim != 2 or effects.shape != variances.shape:
        raise InputError(
            f'Effects of shape {effects.shape} and variances of shape {variances.shape} cannot '
            'be combined: one row per run is needed in both, over the same grayordinates.'
        )
    counts = np.isfinite(effects) & np.isfinite(variances) & (variances > 0)
    precision = np.divide(1.0, variances, out=np.zeros_like(variances), where=counts)
    total = precision.sum(axis=0)
    weighted = (precision * np.where(counts, effects, 0)).sum(axis=0)
    with np.errstate(invalid='ignore', divide='ignore'):
        return Combined(weighted / total, np.where(total > 0, 1 / total, np.nan), counts)


def combine_joint(
    effects: npt.NDArray[np.floating], covariances: npt.NDArray[np.floating]
) -> Combined:
    """Combine runs of one F contrast.

    Parameters
    ----------
    effects : ndarray, shape (n_runs, q, n_grayordinates)
        Effects of the q rows, in the same units.
    covariances : ndarray, shape (n_runs, q (q + 1) / 2, n_grayordinates)
        As in `Combined`. A run counts at a grayordinate if all is finite and its covariance
        matrix has an inverse.

    Returns
    -------
    Combined
        Covariance V = (sum V_r^-1)^-1 and effects V sum V_r^-1 e_r.

    Raises
    ------
    InputError
        The shapes do not agree.
    """
    effects = np.asarray(effects, dtype=np.float64)
    covariances = np.asarray(covariances, dtype=np.float64)
    n_runs, q, n = effects.shape if effects.ndim == 3 else (0, 0, 0)
    if not n_runs or covariances.shape != (n_runs, q * (q + 1) // 2, n):
        raise InputError(
            f'Effects of shape {effects.shape} and covariances of shape {covariances.shape} '
            'cannot be combined: all rows of the F contrast are needed for every run, over the '
            'same grayordinates.'
        )
    counts = np.zeros((n_runs, n), dtype=bool)
    total, weighted = np.zeros((n, q, q)), np.zeros((n, q))
    for run, (effect, covariance) in enumerate(zip(effects, covariances, strict=True)):
        precision = _inverse(covariance_matrices(covariance))
        counts[run] = np.isfinite(precision).all(axis=(1, 2)) & np.isfinite(effect).all(axis=0)
        here = counts[run]
        total[here] += precision[here]
        weighted[here] += (precision[here] @ effect.T[here, :, None])[:, :, 0]
    joint = _inverse(total)
    above = np.triu_indices(q)
    effect = (joint @ weighted[:, :, None])[:, :, 0].T
    return Combined(effect, joint[:, above[0], above[1]].T, counts)


def _inverse(matrices: Floats) -> Floats:
    """Invert symmetric matrices (n, q, q); NaN where they are not positive definite."""
    out = np.full_like(matrices, np.nan)
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    usable = np.flatnonzero(np.isfinite(matrices).all(axis=(1, 2)) & (diagonal > 0).all(axis=1))
    scale = np.sqrt(diagonal[usable])
    scale = scale[:, :, None] * scale[:, None, :]
    correlation = matrices[usable] / scale
    regular = np.linalg.eigvalsh(correlation)[:, 0] > _SINGULAR
    out[usable[regular]] = np.linalg.inv(correlation[regular]) / scale[regular]
    return out
