"""Tests of means: t tests and one-way analysis of variance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.stats import effectsizes
from ketbids.stats.ordinary.samples import (
    f_between,
    is_constant,
    numbers,
    paired,
    samples_of,
    t_interval,
    too_few,
    two_sided_t,
)

__all__ = ['OmnibusTest', 'TTest', 'anova', 'paired_t_test', 't_test']

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TTest:
    """A t test of two groups, or of differences within participants.

    Attributes
    ----------
    method : str
        welch, student or paired.
    n_1, n_2 : int
        Values of each sample; pairs, for differences.
    n_dropped : int
        Missing values; pairs of which one is missing.
    mean_1, mean_2, sd_1, sd_2 : float
    difference : float
        First mean minus second.
    se, df, t, p : float
        p is two-sided.
    low, high : float
        Confidence interval of the difference.
    effect : StandardisedDifference or None
        d over the pooled standard deviation (also beside Welch's test), or dz; with g and exact
        intervals.
    not_available : str or None
        Why there is no result: then the numbers are NaN.
    """

    method: str
    n_1: int
    n_2: int
    n_dropped: int
    mean_1: float = np.nan
    mean_2: float = np.nan
    sd_1: float = np.nan
    sd_2: float = np.nan
    difference: float = np.nan
    se: float = np.nan
    df: float = np.nan
    t: float = np.nan
    p: float = np.nan
    low: float = np.nan
    high: float = np.nan
    effect: effectsizes.StandardisedDifference | None = None
    not_available: str | None = None


@dataclass(frozen=True)
class OmnibusTest:
    """A test of several groups.

    Attributes
    ----------
    method : str
        anova, kruskal-wallis, levene or brown-forsythe.
    n : tuple of int
        Values of each group.
    statistic : float
        F, or H of Kruskal and Wallis.
    num_df, den_df : float
        den_df is NaN for H.
    p : float
    not_available : str or None
    """

    method: str
    n: tuple[int, ...]
    statistic: float = np.nan
    num_df: float = np.nan
    den_df: float = np.nan
    p: float = np.nan
    not_available: str | None = None


def t_test(
    a: npt.ArrayLike, b: npt.ArrayLike, *, equal_variances: bool = False, level: float = 0.95
) -> TTest:
    """Compare the means of two independent groups by Welch's, or Student's, t test.

    Parameters
    ----------
    a, b : array_like
        NaN where missing.
    equal_variances : bool
        Student's test instead of Welch's.
    level : float
        Of the intervals.

    Returns
    -------
    TTest
        Of mean a - mean b.
    """
    whole = numbers(a, 'First group'), numbers(b, 'Second group')
    x, y = (values[~np.isnan(values)] for values in whole)
    n1, n2 = len(x), len(y)
    dropped = sum(map(len, whole)) - n1 - n2
    found = TTest('student' if equal_variances else 'welch', n1, n2, dropped)
    # One value has no variance of its own: only the pooled one can stand for it.
    least = 1 if equal_variances else 2
    if min(n1, n2) < least or n1 + n2 < 3:
        return replace(
            found, not_available=f'groups of {n1} and {n2}; each needs {least}, both at least 3'
        )
    if is_constant(x) and is_constant(y):
        return replace(found, not_available='all values of each group are the same')
    v1, v2 = (values.var(ddof=1) if len(values) > 1 else 0.0 for values in (x, y))
    if equal_variances:
        df = float(n1 + n2 - 2)
        se = np.sqrt(((n1 - 1) * v1 + (n2 - 1) * v2) / df * (1 / n1 + 1 / n2))
    else:
        se = np.sqrt(v1 / n1 + v2 / n2)
        # Welch 1947 and Satterthwaite; by shares, so that no square of a small variance is lost.
        s1, s2 = v1 / n1 / se**2, v2 / n2 / se**2
        df = float(1 / (s1**2 / (n1 - 1) + s2**2 / (n2 - 1)))
    means = float(x.mean()), float(y.mean())
    found = replace(found, mean_1=means[0], mean_2=means[1])
    found = replace(
        found,
        sd_1=float(np.sqrt(v1)) if n1 > 1 else np.nan,
        sd_2=float(np.sqrt(v2)) if n2 > 1 else np.nan,
        effect=effectsizes.cohens_d(x, y, level),
    )
    return _completed(found, means[0] - means[1], float(se), df, level)


def paired_t_test(a: npt.ArrayLike, b: npt.ArrayLike, *, level: float = 0.95) -> TTest:
    """Compare two values of each participant by a t test of the differences.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        NaN where missing: the pair is left out.
    level : float

    Returns
    -------
    TTest
        Of mean a - mean b; the effect is dz.
    """
    whole = numbers(a, 'First value'), numbers(b, 'Second value')
    x, y = paired(*whole)
    n = len(x)
    found = TTest('paired', n, n, len(whole[0]) - n)
    if n < 2:
        return replace(found, not_available=f'{n} complete pairs; at least 2 are needed')
    difference = x - y
    size = np.abs(np.append(x, y)).max()
    if np.ptp(difference) <= 1e-12 * size:
        return replace(found, not_available='all differences are the same')
    found = replace(
        found,
        mean_1=float(x.mean()),
        mean_2=float(y.mean()),
        sd_1=float(x.std(ddof=1)),
        sd_2=float(y.std(ddof=1)),
        effect=effectsizes.dz(difference, level),
    )
    se = float(difference.std(ddof=1) / np.sqrt(n))
    return _completed(found, float(difference.mean()), se, n - 1.0, level)


def _completed(found: TTest, difference: float, se: float, df: float, level: float) -> TTest:
    t = difference / se
    low, high = t_interval(difference, se, df, level)
    return replace(
        found, difference=difference, se=se, df=df, t=t, p=two_sided_t(t, df), low=low, high=high
    )


def anova(groups: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike]) -> OmnibusTest:
    """Compare the means of several groups by one-way analysis of variance.

    Parameters
    ----------
    groups : sequence or mapping of array_like
        Values of each group, NaN where missing.

    Returns
    -------
    OmnibusTest
    """
    samples = samples_of(groups)
    n, k = sum(map(len, samples)), len(samples)
    found = OmnibusTest('anova', tuple(map(len, samples)))
    reason = _no_omnibus(samples, n - k)
    if reason:
        return replace(found, not_available=reason)
    f = f_between(samples)
    return replace(
        found,
        statistic=f,
        num_df=k - 1.0,
        den_df=float(n - k),
        p=float(special.fdtrc(k - 1, n - k, f)),
    )


def _no_omnibus(samples: Sequence[Floats], den_df: int) -> str | None:
    if len(samples) < 2 or not all(map(len, samples)) or den_df < 1:
        return too_few(samples)
    if all(is_constant(s) for s in samples):
        return 'all values of each group are the same'
    return None
