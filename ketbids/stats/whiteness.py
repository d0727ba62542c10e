"""How much autocorrelation a noise model leaves."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.errors import InputError
from ketbids.stats.autoregression import (
    autocorrelations,
    bias_correction,
    implied_correlations,
    levinson,
    whitened_basis,
)

__all__ = [
    'Whiteness',
    'departures',
    'n_lags',
    'portmanteau',
    'whiteness',
    'whiteness_maps',
    'whiteness_summary',
]

Floats = npt.NDArray[np.float64]

#: Lags of the test in a run that is long enough; the more of the noise model at most.
_LAGS, _MORE = 20, 10
#: Share of the residual degrees of freedom that the lags may be.
_SHARE = 1 / 3
_ALPHA = 0.05
_PERCENTILES = (5, 50, 95)


class Whiteness(NamedTuple):
    """Autocorrelations before and after whitening, and a portmanteau test of the latter.

    Attributes
    ----------
    before, after : ndarray, shape (n_lags, n_grayordinates)
        Autocorrelations at lags 1, 2, ... of the least-squares residuals, corrected for the bias
        of the design, and of the innovations, less what the design gives white noise.
    statistic : ndarray, shape (n_grayordinates,)
        Of Ljung and Box; NaN where there are no data.
    df : int
        Its degrees of freedom; 0: the run is too short for a test, `statistic` is NaN.
    logp : ndarray, shape (n_grayordinates,)
        -log10 of its p.
    """

    before: Floats
    after: Floats
    statistic: Floats
    df: int
    logp: Floats


def n_lags(df: int, order: int) -> int:
    """Lags that are looked at, for residual degrees of freedom and an order of the noise model."""
    return min(max(_LAGS, order + _MORE), int(df * _SHARE))


def departures(sums: Floats, matrix: Floats) -> Floats:
    """Autocorrelations of residuals, less those that the design gives white noise.

    Parameters
    ----------
    sums : ndarray, shape (n_lags + 1, n)
        Sums of products of residuals 0, 1, ... volumes apart.
    matrix : ndarray, shape (n_lags + 1, n_lags + 1)
        Of :func:`~ketbids.stats.autoregression.bias_correction`.

    Returns
    -------
    ndarray, shape (n_lags, n)
        Sums at lags 1, 2, ... less their expectation, per residual variance.
    """
    share = matrix[1:, 0] / matrix[0, 0]
    return (sums[1:] / sums[0] - share[:, None]) * matrix[0, 0]


def portmanteau(found: Floats, matrix: Floats, n_volumes: int) -> Floats:
    """Test statistic of Ljung & Box (1978, Biometrika 65:297) for residuals of a regression.

    Residuals of white noise are not white: the design gives their autocovariances an expectation
    and correlates them. With R = I - Q Q', the sums c_k of products of white normal residuals are
    quadratic forms; u_k = c_k - c_0 M_k0 / M_00 has mean 0 and covariances C_kl = M_kl - 2 M_k0
    M_l0 / M_00 (M of :func:`~ketbids.stats.autoregression.bias_correction`, noise of variance 1).
    So Q = (T + 2) / T times u' C^-1 u is chi-squared with as many degrees of freedom as lags, as
    Ljung and Box's is, to which it is equal without a design (C = diag(T - k)).

    Parameters
    ----------
    found : ndarray, shape (n_lags, n)
        Of `departures`.
    matrix : ndarray, shape (n_lags + 1, n_lags + 1)
        Of `bias_correction`.
    n_volumes : int

    Returns
    -------
    ndarray, shape (n,)
    """
    first = matrix[1:, 0]
    covariance = matrix[1:, 1:] - 2 * np.outer(first, first) / matrix[0, 0]
    whitened = np.linalg.solve(covariance, found)
    return (n_volumes + 2) / n_volumes * (found * whitened).sum(axis=0)


def whiteness(
    before: Floats, after: Floats, basis: Floats, reflections: Floats, smoothed: bool
) -> Whiteness:
    """Test what a noise model leaves.

    The degrees of freedom are the lags less the coefficients that were estimated at the
    grayordinate (Box & Pierce 1970); none count where they were smoothed in space, since the
    neighbours fix them, though not wholly: then the test is conservative by up to the order (six
    coefficients smoothed by 5 mm: a mean of 16 instead of 20, and about 1 % of white
    grayordinates rejected). How much depends on how smooth the noise is in space. The bias of the
    innovations is that of the design whitened by the mean model of all grayordinates.

    Parameters
    ----------
    before, after : ndarray, shape (at least n_lags + 1, n) and (n_lags + 1, n)
        Sums of products of least-squares residuals, and of innovations, 0, 1, ... volumes apart;
        NaN where there are no data.
    basis : ndarray, shape (n_volumes, n_columns)
        Orthonormal basis of the design.
    reflections : ndarray, shape (order, n_valid)
        Noise models.
    smoothed : bool
        The noise models were smoothed in space.
    """
    n_volumes, lags, n = len(basis), len(after) - 1, after.shape[1]
    order, n_valid = reflections.shape
    df = max(lags - (0 if smoothed else order), 0)
    white = basis
    if n_valid:
        mean = implied_correlations(reflections).mean(axis=1, keepdims=True)
        white = whitened_basis(basis, levinson(mean)[:, 0])
    try:
        correct, white_correct = bias_correction(basis, lags), bias_correction(white, lags)
    except InputError:  # the lags are too many for a test: uncorrected ones are shown
        correct = white_correct = np.diag(n_volumes - np.arange(lags + 1.0))
        df = 0
    with np.errstate(invalid='ignore'):
        raw = departures(after, white_correct)
    first = np.full((lags, n), np.nan)
    found = np.isfinite(before).all(axis=0)
    first[:, found] = autocorrelations(before[: lags + 1, found], correct)
    pairs = n_volumes - np.arange(1, lags + 1)[:, None]
    nothing = np.full(n, np.nan)
    if not df:
        return Whiteness(first, raw / pairs, nothing, 0, nothing.copy())
    statistic = portmanteau(raw, white_correct, n_volumes)
    logp = -np.log10(np.maximum(special.chdtrc(df, statistic), 1e-300))
    return Whiteness(first, raw / pairs, statistic, df, logp)


def whiteness_maps(found: Whiteness) -> dict[str, Floats]:
    """Maps of the test and of the first autocorrelations, by name; shape (n_grayordinates,)."""
    maps = {'ljungBox': found.statistic, 'ljungBoxLogP': found.logp}
    if len(found.after):
        maps |= {'lag1Before': found.before[0], 'lag1After': found.after[0]}
    return maps


def whiteness_summary(found: Whiteness) -> dict[str, Any]:
    """Describe it by plain values: lags, quantiles over grayordinates, share that is rejected.

    Returns
    -------
    dict
        ``Lags``; ``AutocorrelationBefore`` and ``AutocorrelationAfter``, each with
        ``Percentile5``, ``Median`` and ``Percentile95`` (lists over lags; None without data);
        ``PortmanteauDegreesOfFreedom`` and ``PortmanteauRejected`` (share of grayordinates with
        p < .05), None if the run is too short for the test.
    """
    summary: dict[str, Any] = {'Lags': list(range(1, len(found.after) + 1))}
    for name, values in (('Before', found.before), ('After', found.after)):
        here = values[:, np.isfinite(values).all(axis=0)]
        low, middle, high = (
            np.percentile(here, _PERCENTILES, axis=1)
            if here.size
            else np.full((3, len(values)), np.nan)
        )
        summary[f'Autocorrelation{name}'] = {
            'Percentile5': _plain(low),
            'Median': _plain(middle),
            'Percentile95': _plain(high),
        }
    tested = np.isfinite(found.statistic)
    usable = bool(found.df) and bool(tested.any())
    summary['PortmanteauDegreesOfFreedom'] = found.df if usable else None
    summary['PortmanteauRejected'] = (
        float((found.logp[tested] > -np.log10(_ALPHA)).mean()) if usable else None
    )
    return summary


def _plain(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
