"""Rank tests of two or more samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.stats.ordinary.location import OmnibusTest
from ketbids.stats.ordinary.samples import is_constant, numbers, paired, samples_of, too_few

__all__ = ['RankTest', 'kruskal_wallis', 'mann_whitney', 'wilcoxon']

Floats = npt.NDArray[np.float64]

#: Samples with an exact p of rank tests have fewer values, as in R's wilcox.test.
_EXACT_BELOW = 50


@dataclass(frozen=True)
class RankTest:
    """A rank test of two samples.

    Attributes
    ----------
    method : str
        mann-whitney or wilcoxon.
    n_1, n_2 : int
        Values of each sample; for differences the pairs, and those that differ.
    statistic : float
        U of the first sample (R's W), or the sum of the ranks of positive differences (R's V).
    z : float
        Of the normal approximation with continuity correction; NaN if p is exact.
    p : float
        Two-sided.
    p_by : str
        exact or normal.
    rank_biserial : float
        From -1 to 1: how much more often the first is larger, or how much more of the ranks
        belongs to positive differences.
    not_available : str or None
    """

    method: str
    n_1: int
    n_2: int
    statistic: float = np.nan
    z: float = np.nan
    p: float = np.nan
    p_by: str = 'normal'
    rank_biserial: float = np.nan
    not_available: str | None = None


def mann_whitney(a: npt.ArrayLike, b: npt.ArrayLike, *, exact: bool | None = None) -> RankTest:
    """Compare two independent groups by Mann and Whitney's test (Wilcoxon's rank sum).

    Exact p without ties if both groups have fewer than 50 values, else the normal approximation
    with the variance under ties and a correction for continuity: R's choice. (scipy's own choice
    depends on other limits.)

    Parameters
    ----------
    a, b : array_like
        NaN where missing.
    exact : bool, optional
        Overrides the choice; without effect where there are ties.

    Returns
    -------
    RankTest
    """
    from scipy.stats import mannwhitneyu

    x, y = (v[~np.isnan(v)] for v in (numbers(a, 'First group'), numbers(b, 'Second group')))
    n1, n2 = len(x), len(y)
    found = RankTest('mann-whitney', n1, n2)
    if not n1 or not n2:
        return replace(found, not_available=f'groups of {n1} and {n2}; each needs a value')
    both = np.append(x, y)
    if is_constant(both):
        return replace(found, not_available='all values are the same')
    ties = len(np.unique(both)) < len(both)
    wanted = (max(n1, n2) < _EXACT_BELOW if exact is None else exact) and not ties
    result = mannwhitneyu(
        x, y, alternative='two-sided', method='exact' if wanted else 'asymptotic'
    )
    u, p = float(result.statistic), float(result.pvalue)
    return replace(
        found,
        statistic=u,
        z=np.nan if wanted else _signed_z(p, u - n1 * n2 / 2),
        p=p,
        p_by='exact' if wanted else 'normal',
        rank_biserial=2 * u / (n1 * n2) - 1,
    )


def wilcoxon(a: npt.ArrayLike, b: npt.ArrayLike, *, exact: bool | None = None) -> RankTest:
    """Compare two values of each participant by Wilcoxon's signed rank test.

    Pairs without a difference are left out. Exact p without them and without ties for fewer than
    50 pairs, else the normal approximation with the variance under ties and a correction for
    continuity: R's choice.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        NaN where missing: the pair is left out.
    exact : bool, optional
        Overrides the choice; without effect where there are ties or pairs without a difference.

    Returns
    -------
    RankTest
        `statistic` is the sum of the positive differences' ranks (scipy gives the smaller sum).
    """
    from scipy.stats import rankdata

    x, y = paired(numbers(a, 'First value'), numbers(b, 'Second value'))
    differences: Floats = x - y
    if len(x):
        # Decimal numbers differ in their last digits: equal differences must stay ties.
        size = max(np.abs(x).max(), np.abs(y).max()) or 1.0
        differences = np.asarray(np.round(differences / size, 12), dtype=np.float64)
    moved = differences[differences != 0]
    n = len(moved)
    found = RankTest('wilcoxon', len(x), n)
    if not n:
        reason = 'no pair has a difference' if len(x) else 'no complete pair'
        return replace(found, not_available=reason)
    ranks = rankdata(np.abs(moved))
    total = n * (n + 1) / 2
    v = float(ranks[moved > 0].sum())
    repeats = np.unique(ranks, return_counts=True)[1]
    plain = n == len(x) and len(repeats) == n
    wanted = (n < _EXACT_BELOW if exact is None else exact) and plain
    effect = 2 * v / total - 1
    if wanted:
        p = _signed_rank_p(n, round(v))
        return replace(found, statistic=v, p=p, p_by='exact', rank_biserial=effect)
    away = v - total / 2
    variance = n * (n + 1) * (2 * n + 1) / 24 - (repeats**3 - repeats).sum() / 48
    z = (away - np.sign(away) / 2) / np.sqrt(variance)
    p = float(min(1.0, 2 * special.ndtr(-abs(z))))
    return replace(found, statistic=v, z=float(z), p=p, rank_biserial=effect)


def _signed_z(p: float, away: float) -> float:
    """Normal deviate of a two-sided p on the side of a deviation."""
    return float(-np.sign(away) * special.ndtri(p / 2))


def _signed_rank_p(n: int, v: int) -> float:
    """Two-sided p of a sum of positive ranks, from the sums of all subsets of 1..n."""
    counts = np.zeros(n * (n + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, n + 1):
        counts[rank:] += counts[:-rank].copy()
    smaller = min(v, len(counts) - 1 - v)
    return float(min(1.0, 2 * counts[: smaller + 1].sum() / counts.sum()))


def kruskal_wallis(groups: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike]) -> OmnibusTest:
    """Compare several groups by Kruskal and Wallis' test, with the correction for ties.

    Parameters
    ----------
    groups : sequence or mapping of array_like
        Values of each group, NaN where missing.

    Returns
    -------
    OmnibusTest
        p by the chi-squared approximation.
    """
    from scipy.stats import kruskal

    samples = samples_of(groups)
    found = OmnibusTest('kruskal-wallis', tuple(map(len, samples)))
    reason = None
    if len(samples) < 2 or not all(map(len, samples)):
        reason = too_few(samples)
    elif is_constant(np.concatenate(samples)):
        reason = 'all values are the same'
    if reason:
        return replace(found, not_available=reason)
    result = kruskal(*samples)
    return replace(
        found,
        statistic=float(result.statistic),
        num_df=len(samples) - 1.0,
        p=float(result.pvalue),
    )
