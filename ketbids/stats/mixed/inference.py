"""Tests of linear hypotheses about the coefficients, with small-sample degrees of freedom.

Satterthwaite's degrees of freedom use the observed Hessian, as lmerTest and mmrm do; for several
rows at once they are those of Fai and Cornelius (1996), which depend on the rows that stand for
the hypothesis (F does not).

Kenward-Roger leaves out second derivatives of V (they are 0 if V is linear in its parameters):
as pbkrtest with the expected information, as SAS (``ddfm=kr(linear)``) and mmrm
(``Kenward-Roger-Linear``) with the observed one.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.errors import InputError
from ketbids.stats.mixed.reml import RemlFit

__all__ = ['Ddf', 'FTest', 'Information', 'TTests', 'f_test', 'kenward_roger']
__all__ += ['kr_information', 'kr_vcov', 'log10_f_tail', 'satterthwaite_df', 't_tests']

Floats = npt.NDArray[np.float64]
Information = Literal['expected', 'observed']
Ddf = Literal['satterthwaite', 'kenward-roger']

# Below this share of the largest one, an eigenvalue of L C L' is 0 (as in lmerTest).
_RANK = math.sqrt(float(np.finfo(float).eps))
# Degrees of freedom that differ by less are the same (as in lmerTest).
_SAME = 1e-8
_TINY = 1e-290
# Below it, what is 0 in exact designs is so but for the rounding of the estimates; and how much
# larger than the rounding of numbers that may be, times the condition of their information.
_EXACT, _AMPLIFIED = 1e-6, 1e3


class TTests(NamedTuple):
    """Tests of one hypothesis per row, two-sided; each an array of (rows,)."""

    estimate: Floats
    se: Floats
    df: Floats
    t: Floats
    p: Floats
    log10p: Floats


class FTest(NamedTuple):
    """Test of several hypotheses at once."""

    f: float
    num_df: int
    den_df: float
    p: float
    log10p: float


def satterthwaite_df(fit: RemlFit, rows: npt.ArrayLike) -> Floats:
    """Degrees of freedom of each row l.

    They are ``2 v^2 / (g' A g)``: ``v = l C l'``, g its derivatives by the covariance parameters,
    A twice the inverse of the observed Hessian.

    Parameters
    ----------
    fit : RemlFit
    rows : array of (rows, p) or (p,)

    Returns
    -------
    array of (rows,)
    """
    return _moment_df(fit, np.atleast_2d(np.asarray(rows, dtype=float)), fit.theta_cov)


def t_tests(
    fit: RemlFit,
    rows: npt.ArrayLike,
    ddf: Ddf = 'satterthwaite',
    information: Information | None = None,
) -> TTests:
    """Test each row l by itself: ``l beta = 0``.

    Parameters
    ----------
    fit : RemlFit
    rows : array of (rows, p) or (p,)
    ddf : 'satterthwaite' or 'kenward-roger'
        The latter also enlarges the standard errors.
    information : 'expected' or 'observed', optional
        For Kenward-Roger; `kr_information` unless given.

    Raises
    ------
    InputError
        Kenward-Roger: the information is not positive definite.
    """
    rows = np.atleast_2d(np.asarray(rows, dtype=float))
    if ddf == 'satterthwaite':
        vcov, df = fit.vcov, satterthwaite_df(fit, rows)
    else:
        vcov = kr_vcov(fit, information)
        df = _moment_df(fit, rows, _theta_cov(fit, information))
    estimate = rows @ fit.beta
    se = np.sqrt((rows @ vcov * rows).sum(axis=1))
    t = estimate / se
    p = special.fdtrc(1, df, t**2)
    return TTests(estimate, se, df, t, p, log10_f_tail(t**2, 1, df))


def f_test(fit: RemlFit, L: npt.ArrayLike) -> FTest:
    """Test ``L beta = 0`` with Satterthwaite's degrees of freedom.

    The hypothesis is turned into independent rows (eigenvectors of ``L C L'``), each with
    degrees of freedom nu of its own. The sum of their squared t has the mean
    ``E = sum nu / (nu - 2)``; q times F with ``2 E / (E - q)`` has the same (Fai and Cornelius
    1996). If a nu is not above 2, they are 2.

    Parameters
    ----------
    fit : RemlFit
    L : array of (q, p)
        Rows that repeat others count once.

    Raises
    ------
    InputError
        L is 0.
    """
    rows = _whitened(fit, L)
    q = len(rows)
    f = float(((rows @ fit.beta) ** 2).mean())
    nu = satterthwaite_df(fit, rows)
    if np.ptp(nu) < _SAME:
        den_df = float(nu.mean())
    elif nu.min() <= 2:
        den_df = 2.0
    else:
        expected = float((nu / (nu - 2)).sum())
        den_df = 2 * expected / (expected - q)
    return _f(f, q, den_df)


def kr_information(structure: str) -> Information:
    """Flavour of Kenward-Roger: expected for a random intercept (as pbkrtest), else observed."""
    return 'expected' if structure in ('ri', 'independent') else 'observed'


def kr_vcov(fit: RemlFit, information: Information | None = None) -> Floats:
    """Covariance of the coefficients, (p, p), enlarged for estimated covariance parameters."""
    return fit.vcov + 2 * np.tensordot(_theta_cov(fit, information), fit.spread, 2)


def kenward_roger(fit: RemlFit, L: npt.ArrayLike, information: Information | None = None) -> FTest:
    """Test ``L beta = 0`` by Kenward and Roger (1997), without second derivatives of V.

    A singular random intercept keeps both variances, as in pbkrtest.

    Parameters
    ----------
    fit : RemlFit
    L : array of (q, p)
        Rows that repeat others count once; any rows of the same hypothesis give the same.
    information : 'expected' or 'observed', optional
        Of the covariance parameters; `kr_information` unless given.

    Returns
    -------
    FTest
        f, den_df and p are NaN if no F distribution has the moments that the method needs, as
        can be with very few participants.

    Raises
    ------
    InputError
        L is 0, or the information is not positive definite.
    """
    rows = _whitened(fit, L)
    q = len(rows)
    W = _theta_cov(fit, information)
    M = rows @ fit.dvcov @ rows.T
    traces = np.trace(M, axis1=1, axis2=2)
    A1 = float(traces @ W @ traces)
    A2 = float((W * np.tensordot(M, M, ((1, 2), (2, 1)))).sum())
    scale, den_df = _kr_scale(q, A1, A2, _rounding(W))
    estimate = rows @ fit.beta
    wald = estimate @ np.linalg.solve(rows @ kr_vcov(fit, information) @ rows.T, estimate)
    return _f(scale * float(wald) / q, q, den_df)


def _kr_scale(q: int, A1: float, A2: float, rounding: float = 0.0) -> tuple[float, float]:
    """Scale and degrees of freedom that match two moments of F (names of the paper).

    NaN if no F distribution has them. Where F is exact with 2 degrees of freedom (its mean is
    infinite), ``mean``, ``V1`` and ``den_df - 2`` are all 0: the limit is along A1 and A2 that
    grow at one rate, as they do when there are fewer participants; there mean = V1. For one
    variance the scale is 1 then, and for Hotelling's T^2 that of its own F. `rounding` says what
    is 0.
    """
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    V0, V1, V2 = 1 + c[0] * B, 1 - c[1] * B, 1 - c[2] * B
    mean = 1 - A2 / q
    exact = max(abs(mean), abs(V1)) < max(_EXACT, rounding)
    ratio = 1.0 if exact else mean / V1
    rho = ratio**2 * (V0 if abs(V0) > 1e-10 else 0.0) / (V2 * q)
    den_df = 4 + (q + 2) / (q * rho - 1)
    if exact:
        # Derivatives by the rate; that of the mean is -A2 / q.
        rho_slope = (c[0] * B * V2 + c[2] * B * V0) / (V2**2 * q)
        den_slope = -(q + 2) * q * rho_slope / (q * rho - 1) ** 2
        scale = -2 * A2 / q / den_slope
        den_df = 2.0
    else:
        scale = den_df * mean / (den_df - 2)
    if not (np.isfinite(scale) and scale > 0 and den_df > 0):
        return math.nan, math.nan
    return float(scale), float(den_df)


def _rounding(W: Floats) -> float:
    """Relative error of functions of an inverted information, by its condition."""
    unit = 1 / np.sqrt(np.diag(W))
    condition = float(np.linalg.cond(W * unit[:, None] * unit))
    return _AMPLIFIED * float(np.finfo(float).eps) * condition


def _theta_cov(fit: RemlFit, information: Information | None) -> Floats:
    """Twice the inverse of the information of all covariance parameters."""
    flavour = information or kr_information(fit.structure)
    matrix = fit.information if flavour == 'expected' else fit.hessian
    unit = 1 / np.sqrt(np.diag(fit.information))
    scaled = matrix * unit[:, None] * unit
    if not np.linalg.eigvalsh(scaled)[0] > 0:
        raise InputError(
            f'Kenward-Roger: the {flavour} information of the covariance parameters '
            f'({fit.structure}) is not positive definite; use Satterthwaite'
            + (' or the expected information.' if flavour == 'observed' else '.')
        )
    return 2 * np.linalg.inv(scaled) * unit[:, None] * unit


def _moment_df(fit: RemlFit, rows: Floats, theta_cov: Floats) -> Floats:
    variance = (rows @ fit.vcov * rows).sum(axis=1)
    slopes = (rows @ fit.dvcov * rows).sum(axis=2)
    return 2 * variance**2 / (slopes * (theta_cov @ slopes)).sum(axis=0)


def _whitened(fit: RemlFit, L: npt.ArrayLike) -> Floats:
    """Rows of the same hypothesis whose estimates are independent with variance 1."""
    L = np.atleast_2d(np.asarray(L, dtype=float))
    values, vectors = np.linalg.eigh(L @ fit.vcov @ L.T)
    if not values[-1] > 0:
        raise InputError('The hypothesis has no row that is not 0.')
    kept = values > _RANK * values[-1]
    return (vectors[:, kept] / np.sqrt(values[kept])).T @ L


def _f(f: float, num_df: int, den_df: float) -> FTest:
    p = float(special.fdtrc(num_df, den_df, f))
    return FTest(f, num_df, den_df, p, float(log10_f_tail(f, num_df, den_df)))


def log10_f_tail(f: npt.ArrayLike, num_df: npt.ArrayLike, den_df: npt.ArrayLike) -> Floats:
    """log10 of P(F > f), also where P is smaller than the smallest number.

    Parameters
    ----------
    f, num_df, den_df : arrays of one shape, or numbers
        Two-sided p of t: ``f = t^2``, ``num_df = 1``.
    """
    f, num_df, den_df = np.broadcast_arrays(
        *(np.asarray(value, dtype=float) for value in (f, num_df, den_df))
    )
    p = np.asarray(special.fdtrc(num_df, den_df, f))
    logs = np.full(p.shape, np.nan)
    np.log10(p, out=logs, where=p > _TINY)
    for index in map(tuple, np.argwhere(p <= _TINY)):
        logs[index] = _log_tail(f[index], num_df[index], den_df[index]) / math.log(10)
    return logs


def _log_tail(f: float, num_df: float, den_df: float) -> float:
    """Natural log of the tail: the incomplete beta function by its continued fraction.

    Lentz's method; Abramowitz and Stegun (1964), 26.5.8.
    """
    if math.isinf(f):
        return -math.inf
    a, b = den_df / 2, num_df / 2
    log_x = -math.log1p(num_df * f / den_df)
    x = math.exp(log_x)
    front = a * log_x + b * math.log(-math.expm1(log_x)) - math.log(a) - special.betaln(a, b)
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, 100_000):
        last = total
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + factor * d)
            c = 1 + factor / c
            total *= c * d
        if abs(total - last) < 1e-15 * abs(total):
            break
    return float(front + math.log(total))
