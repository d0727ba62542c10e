"""Sizes of effects with exact confidence intervals, by the noncentral F and t distributions."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

__all__ = ['EtaSquared', 'StandardisedDifference', 'cohens_d', 'dz', 'from_t', 'hedges_j']
__all__ += ['partial_eta2']

Floats = npt.NDArray[np.float64]

#: Points per standard deviation, and standard deviations each side, of the sums that stand for
#: integrals: the trapezoid rule on so smooth a function is exact to rounding.
_DENSITY, _REACH = 4, 9.5

#: Above so many standard errors the noise of a mean is nothing beside that of its scale.
_HUGE = 2000


class EtaSquared(NamedTuple):
    """Partial eta squared and its interval; arrays of the shape of F.

    Attributes
    ----------
    eta2, low, high : ndarray
    """

    eta2: Floats
    low: Floats
    high: Floats


class StandardisedDifference(NamedTuple):
    """A difference in standard deviations, with and without the correction for small samples.

    Attributes
    ----------
    d, d_low, d_high : ndarray
        Cohen's d (or dz, or the difference over another standard deviation) and its interval.
    g, g_low, g_high : ndarray
        Hedges' g: the same times `hedges_j`.
    """

    d: Floats
    d_low: Floats
    d_high: Floats
    g: Floats
    g_low: Floats
    g_high: Floats


def partial_eta2(
    f: npt.ArrayLike, num_df: npt.ArrayLike, den_df: npt.ArrayLike, level: float = 0.90
) -> EtaSquared:
    """Partial eta squared of F tests, with an exact interval.

    eta2 = F q / (F q + df); the limits are nc / (nc + df), with the noncentralities nc for which
    the F that was found is at the upper and the lower (1 - `level`) / 2 of its distribution
    (Steiger 2004, Psychol Methods 9:164-182; 90 % agrees with a test at .05: F is significant if
    the lower limit is above 0).

    Parameters
    ----------
    f, num_df, den_df : array_like
        Of one shape, or scalars.
    level : float
        Two-sided.

    Returns
    -------
    EtaSquared
        NaN where one of the numbers is not finite or a number of degrees of freedom is not
        positive.
    """
    fs, qs, dfs = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (f, num_df, den_df)))
    known = np.isfinite(fs) & (fs >= 0) & (qs > 0) & np.isfinite(qs) & (dfs > 0) & np.isfinite(dfs)
    eta2, low, high = (np.full(fs.shape, np.nan) for _ in range(3))
    product = fs[known] * qs[known]
    eta2[known] = product / (product + dfs[known])
    tail = (1 - level) / 2
    for place in np.ndindex(fs.shape):
        if not known[place]:
            continue
        own = float(fs[place]), float(qs[place]), float(dfs[place])
        below, above = _noncentrality(*own, 1 - tail), _noncentrality(*own, tail)
        low[place], high[place] = below / (below + own[2]), above / (above + own[2])
    return EtaSquared(eta2, low, high)


def hedges_j(df: npt.ArrayLike) -> Floats:
    """Factor that makes d unbiased: Gamma(df/2) / (sqrt(df/2) Gamma((df - 1)/2)).

    Source: Hedges 1981, J Educ Stat 6:107-128. NaN for a single degree of freedom or less.
    """
    df = np.asarray(df, np.float64)
    with np.errstate(invalid='ignore', divide='ignore'):
        j = np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    return np.where(df > 1, j, np.nan)


def from_t(
    t: npt.ArrayLike, df: npt.ArrayLike, unit: npt.ArrayLike, level: float = 0.95
) -> StandardisedDifference:
    """Standardised difference from a t test.

    Parameters
    ----------
    t, df : array_like
    unit : array_like
        Standard error of the difference over the standard deviation that it is measured in:
        sqrt(1/n1 + 1/n2) for two groups, sqrt(1/n) for differences within participants.
    level : float

    Returns
    -------
    StandardisedDifference
        d = t x unit; limits: noncentralities for which the t that was found is at the upper and
        the lower (1 - `level`) / 2 of its distribution, times unit; those of g are those of d
        times `hedges_j` of df. NaN where a number is not finite or df not positive.
    """
    ts, dfs, units = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (t, df, unit)))
    known = np.isfinite(ts) & np.isfinite(dfs) & (dfs > 0) & np.isfinite(units)
    ts, dfs, units = (np.where(known, a, np.nan) for a in (ts, dfs, units))
    tail = (1 - level) / 2
    d = ts * units
    # Of the mirrored t for negative ones: tiny probabilities are added, never taken from 1.
    size, sign = np.abs(ts), np.where(ts < 0, -1.0, 1.0)
    near, far = np.full(ts.shape, np.nan), np.full(ts.shape, np.nan)
    for place in np.ndindex(ts.shape):
        if known[place]:
            limits = _t_noncentralities(float(size[place]), float(dfs[place]), tail)
            near[place], far[place] = np.multiply(limits, units[place])
    low, high = np.where(sign > 0, near, -far), np.where(sign > 0, far, -near)
    j = hedges_j(dfs)
    return StandardisedDifference(d, low, high, j * d, j * low, j * high)


def cohens_d(a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95) -> StandardisedDifference:
    """Difference of two groups' means over their pooled standard deviation.

    Parameters
    ----------
    a, b : array_like, shapes (n1,) and (n2,)
        Values of the groups; missing ones are left out.
    level : float

    Returns
    -------
    StandardisedDifference
        Of mean a - mean b; NaN if the groups are too small or without any variance.
    """
    first, second = _finite(a), _finite(b)
    n1, n2 = len(first), len(second)
    df = n1 + n2 - 2
    if min(n1, n2) < 1 or df < 1:
        return _unknown()
    squares = ((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()
    unit = np.sqrt(1 / n1 + 1 / n2)
    difference = first.mean() - second.mean()
    return _of_groups(difference, np.sqrt(squares / df), np.append(first, second), unit, df, level)


def dz(differences: npt.ArrayLike, level: float = 0.95) -> StandardisedDifference:
    """Mean of differences within participants over their standard deviation.

    Parameters
    ----------
    differences : array_like, shape (n,)
        Missing ones are left out.
    level : float

    Returns
    -------
    StandardisedDifference
        NaN for fewer than two differences, or if all are equal.
    """
    values = _finite(differences)
    n = len(values)
    if n < 2:
        return _unknown()
    return _of_groups(values.mean(), values.std(ddof=1), values, np.sqrt(1 / n), n - 1, level)


def _of_groups(
    difference: float, sd: float, values: Floats, unit: float, df: int, level: float
) -> StandardisedDifference:
    """Standardised difference, unless the deviations are rounding."""
    if sd <= 1e-12 * np.abs(values).max():
        return _unknown()
    return from_t(difference / (sd * unit), df, unit, level)


def _unknown() -> StandardisedDifference:
    return StandardisedDifference(*(np.array(np.nan) for _ in range(6)))


def _finite(values: npt.ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    return array[np.isfinite(array)]


def _below(f: float, num_df: float, den_df: float, noncentrality: float) -> float:
    """Distribution function of the noncentral F.

    A mixture of beta distributions with Poisson weights (Johnson, Kotz & Balakrishnan 1995,
    Continuous univariate distributions 2, chapter 30). The library's own function and its inverse
    stop at a noncentrality of 1e4 and are good to 1e-4 only.
    """
    mean = noncentrality / 2
    spread = np.sqrt(mean) + 1
    step = max(1.0, np.floor(spread / _DENSITY))
    start = max(0.0, np.floor(mean - _REACH * spread))
    # The tail of a small mean is longer than a normal one.
    places = np.arange(start, mean + _REACH * spread + 20, step)
    weights = np.exp(special.xlogy(places, mean) - mean - special.gammaln(places + 1)) * step
    x = num_df * f / (num_df * f + den_df)
    return float(weights @ special.betainc(num_df / 2 + places, den_df / 2, x))


def _noncentrality(f: float, num_df: float, den_df: float, probability: float) -> float:
    """Noncentrality at which P(F <= f) is a probability; 0 if it is less even at 0."""

    def excess(noncentrality: float) -> float:
        return _below(f, num_df, den_df, noncentrality) - probability

    at_none = excess(0.0)
    if at_none <= 0:
        return 0.0
    # The inverse that is not exact tells where to look.
    guess = float(special.ncfdtrinc(num_df, den_df, probability, f))
    if not 0 < guess < 9e3:
        guess = num_df * f
    low, high = guess * (1 - 1e-3), guess * (1 + 1e-3)
    widening = 1e-2
    while excess(low) < 0:
        low, widening = max(0.0, low * (1 - min(widening, 0.9))), widening * 3
    widening = 1e-2
    while excess(high) > 0:
        high, widening = high * (1 + widening), widening * 3
    if low == high:
        return float(low)
    return float(optimize.brentq(excess, low, high, rtol=1e-11, xtol=1e-300))


def _t_noncentralities(t: float, df: float, tail: float) -> tuple[float, float]:
    """Noncentralities at which P(T <= t) is 1 - tail and tail, for t of 0 or more.

    P(T <= t) is the mean of Phi(t s - noncentrality) over s, whose square is chi-squared over its
    degrees of freedom; integrated over log s. The library's own function loses digits as t grows.
    """
    if t / np.sqrt(2 * df) > _HUGE:
        ends = np.sqrt(special.chdtri(df, [1 - tail, tail]) / df)
        return float(t * ends[0]), float(t * ends[1])
    # Beyond these logarithms the density is below 1e-16 of its peak.
    low = -(39 / df + 0.5) if df < 100 else -_REACH / np.sqrt(df)
    high = min(6.5 / np.sqrt(df), 0.5 * np.log1p(90 / df) + 0.3)
    step = min(1 / np.sqrt(2 * df) / _DENSITY, 0.4 / max(t * np.exp(high), 1e-9))
    logs = np.arange(low, high, step)
    weights = np.exp(df * logs - df / 2 * np.expm1(2 * logs))
    weights /= weights.sum()
    means = t * np.exp(logs)

    def root(probability: float) -> float:
        def excess(noncentrality: float) -> float:
            return float(weights @ special.ndtr(means - noncentrality)) - probability

        spread = np.sqrt(1 + t * t / (2 * df))
        guess = t - special.ndtri(probability) * spread
        below, above = guess - spread / 4, guess + spread / 4
        while excess(below) < 0:
            below -= spread
        while excess(above) > 0:
            above += spread
        return float(optimize.brentq(excess, below, above, rtol=1e-12, xtol=1e-12))

    return root(1 - tail), root(tail)
