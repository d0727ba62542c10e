"""What a fit of the general linear model gives."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.stats.whiteness import Whiteness

__all__ = ['FContrast', 'GlmFit', 'covariance_matrices', 'f_statistic', 'separable']

Floats = npt.NDArray[np.float64]

#: Smallest eigenvalue of the correlation of the rows of an F contrast.
_SINGULAR = 1e-10
#: The same for white noise, where a run is refused at all; noise models differ from white.
_INSEPARABLE = 1e-8


class FContrast(NamedTuple):
    """An F contrast of q rows; NaN where there are no data.

    Attributes
    ----------
    effect : ndarray, shape (q, n_grayordinates)
        Estimates of the rows.
    covariance : ndarray, shape (q (q + 1) / 2, n_grayordinates)
        Their covariances, row by row, each from the diagonal on.
    f, z : ndarray, shape (n_grayordinates,)
        F with q and the residual degrees of freedom, and the normal deviate of the same tail.
    """

    effect: Floats
    covariance: Floats
    f: Floats
    z: Floats


class GlmFit(NamedTuple):
    """Result of a fit; NaN where the data are constant or not finite.

    Attributes
    ----------
    effect : ndarray, shape (n_contrasts, n_grayordinates)
        Contrast estimates in units of the data.
    variance : ndarray, shape (n_contrasts, n_grayordinates)
        Their variances.
    t, z : ndarray, shape (n_contrasts, n_grayordinates)
        Student's t and the normal deviate of the same tail.
    df_nominal : int
        Residual degrees of freedom, volumes less rank of the design.
    ar : ndarray, shape (n_grayordinates, order)
        Autoregressive coefficients, noise(t) = sum_i ar_i noise(t - i) + white.
    f : tuple of FContrast
        One per F contrast.
    whiteness : Whiteness or None
        Autocorrelations before and after whitening; None if the engine cannot tell.
    """

    effect: Floats
    variance: Floats
    t: Floats
    z: Floats
    df_nominal: int
    ar: Floats
    f: tuple[FContrast, ...] = ()
    whiteness: Whiteness | None = None


def covariance_matrices(covariance: Floats) -> Floats:
    """Turn covariances of q rows, shape (q (q + 1) / 2, n), into matrices (n, q, q)."""
    size = int((np.sqrt(8 * len(covariance) + 1) - 1) / 2)
    matrices = np.empty((covariance.shape[1], size, size))
    above = np.triu_indices(size)
    matrices[:, above[0], above[1]] = matrices[:, above[1], above[0]] = covariance.T
    return matrices


def separable(covariance: Floats) -> bool:
    """Tell whether the rows of an F contrast can be told apart in a design.

    Parameters
    ----------
    covariance : ndarray, shape (q, q)
        Of the estimates, for white noise.

    Returns
    -------
    bool
        False if the correlation of the estimates is singular but for rounding, as with regressors
        that differ by less than 1e-4 of their size.
    """
    scale = np.sqrt(np.diagonal(covariance))
    return bool(np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] > _INSEPARABLE)


def f_statistic(effect: Floats, covariance: Floats) -> Floats:
    """F = e' V^-1 e / q.

    Parameters
    ----------
    effect : ndarray, shape (q, n)
    covariance : ndarray, shape (q (q + 1) / 2, n)
        As in `FContrast`.

    Returns
    -------
    ndarray, shape (n,)
        NaN where a value is not finite or the covariances are singular.
    """
    f = np.full(effect.shape[1], np.nan)
    matrices = covariance_matrices(covariance)
    usable = np.isfinite(effect).all(axis=0) & np.isfinite(covariance).all(axis=0)
    usable &= (np.diagonal(matrices, axis1=1, axis2=2) > 0).all(axis=1)
    chosen = effect.T[usable, :, None]
    # Standard errors of very different size would make the matrices look singular.
    scale = np.sqrt(np.diagonal(matrices[usable], axis1=1, axis2=2))[:, :, None]
    correlation = matrices[usable] / scale / scale.transpose(0, 2, 1)
    regular = np.linalg.eigvalsh(correlation)[:, 0] > _SINGULAR
    scores = (chosen / scale)[regular]
    solved = np.linalg.solve(correlation[regular], scores)
    f[np.flatnonzero(usable)[regular]] = (scores * solved).sum(axis=(1, 2)) / len(effect)
    return f
