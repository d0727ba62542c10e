"""Dunnett's comparison of several groups with one control."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from ketbids.stats.ordinary.samples import (
    is_constant,
    samples_of,
    t_interval,
    too_few,
    two_sided_t,
)

__all__ = ['DunnettTest', 'dunnett']

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DunnettTest:
    """One comparison with the control.

    Attributes
    ----------
    group : str
    n, n_control : int
    difference : float
        Mean of the group minus that of the control.
    se, df, t : float
        With the variance pooled over all groups.
    p_uncorrected : float
        Two-sided, of t alone.
    p : float
        Corrected for all comparisons.
    low, high : float
        Simultaneous confidence interval.
    single_low, single_high : float
        Interval of this comparison alone.
    not_available : str or None
        Why there is no result: then the numbers are NaN.
    """

    group: str
    n: int
    n_control: int
    difference: float = np.nan
    se: float = np.nan
    df: float = np.nan
    t: float = np.nan
    p_uncorrected: float = np.nan
    p: float = np.nan
    low: float = np.nan
    high: float = np.nan
    single_low: float = np.nan
    single_high: float = np.nan
    not_available: str | None = None


def dunnett(
    groups: Mapping[str, npt.ArrayLike], control: npt.ArrayLike, level: float = 0.95
) -> tuple[DunnettTest, ...]:
    """Compare several groups with one control (Dunnett 1955, J Am Stat Assoc 50:1096-1121).

    The correlations of the comparisons are products of one factor per group, so that their joint
    distribution is a double integral, computed here by quadrature to about 1e-9: the same input
    has the same p each time. (scipy's integral is random: its p changes in the third digit.)

    Parameters
    ----------
    groups : mapping of str to array_like
        Values of each group, NaN where missing.
    control : array_like
    level : float
        Of the intervals.

    Returns
    -------
    tuple of DunnettTest
        In the order of `groups`, all of them two-sided.
    """
    (base,) = samples_of({'control': control})
    samples = samples_of(groups)
    everyone = [base, *samples]
    df = sum(map(len, everyone)) - len(everyone)
    reason = None
    if not samples or not all(map(len, everyone)) or df < 1:
        reason = too_few(everyone)
    elif all(is_constant(s) for s in everyone):
        reason = 'all values of each group are the same'
    if reason:
        return tuple(
            DunnettTest(name, len(s), len(base), not_available=reason)
            for name, s in zip(groups, samples, strict=True)
        )
    variance = sum(((s - s.mean()) ** 2).sum() for s in everyone) / df
    sizes = np.array([len(s) for s in samples])
    se = np.sqrt(variance * (1 / sizes + 1 / len(base)))
    differences = np.array([s.mean() - base.mean() for s in samples])
    t = differences / se
    joint = _Joint(np.sqrt(sizes / (sizes + len(base))), df)
    critical = joint.critical(level)
    return tuple(
        DunnettTest(
            name,
            int(sizes[i]),
            len(base),
            float(differences[i]),
            float(se[i]),
            float(df),
            float(t[i]),
            two_sided_t(t[i], df),
            joint.p(float(t[i])),
            float(differences[i] - critical * se[i]),
            float(differences[i] + critical * se[i]),
            *t_interval(differences[i], se[i], df, level),
        )
        for i, name in enumerate(groups)
    )


class _Joint:
    """Distribution of the largest of several |t| that share a control and a variance.

    Parameters
    ----------
    loadings : ndarray, shape (k,)
        Correlation of each difference with the control's mean, without its sign.
    df : int
    """

    def __init__(self, loadings: Floats, df: int) -> None:
        self.loadings, self.df = loadings, df
        self.z = np.linspace(-8.5, 8.5, 171)
        self.z_weights = np.exp(-(self.z**2) / 2)
        self.z_weights /= self.z_weights.sum()
        # log s, where s squared is chi-squared over its degrees of freedom.
        low = -(39 / df + 0.5) if df < 100 else -9.5 / np.sqrt(df)
        high = min(6.5 / np.sqrt(df), 0.5 * np.log1p(90 / df) + 0.3)
        logs = np.linspace(low, high, max(101, int((high - low) * np.sqrt(2 * df) * 4)))
        self.scale_weights = np.exp(df * logs - df / 2 * np.expm1(2 * logs))
        self.scale_weights /= self.scale_weights.sum()
        kept = self.scale_weights > 1e-18
        self.scale, self.scale_weights = np.exp(logs[kept]), self.scale_weights[kept]

    def within(self, t: float) -> float:
        """Probability that no |t| is larger."""
        inside = np.ones((len(self.scale), len(self.z)))
        for loading in self.loadings:
            own = np.sqrt(1 - loading**2)
            shift = loading * self.z / own
            reach = (t * self.scale / own)[:, np.newaxis]
            inside *= special.ndtr(reach - shift) - special.ndtr(-reach - shift)
        return float(self.scale_weights @ inside @ self.z_weights)

    def p(self, t: float) -> float:
        """Corrected p: at least that of t alone, at most Bonferroni's."""
        single = two_sided_t(t, self.df)
        found = 1 - self.within(abs(t))
        # From 1 a small p cannot be told; there Bonferroni's is as good.
        bounds = single, min(1.0, len(self.loadings) * single)
        return float(np.clip(found if found > 1e-10 else bounds[1], *bounds))

    def critical(self, level: float) -> float:
        """The |t| that is exceeded with a probability of 1 - level."""
        tail = (1 - level) / 2
        low = special.stdtrit(self.df, 1 - tail)
        high = special.stdtrit(self.df, 1 - tail / len(self.loadings))
        if high - low < 1e-9:
            return float(low)
        return float(
            optimize.brentq(lambda t: self.within(t) - level, 0.999 * low, 1.001 * high, xtol=1e-9)
        )
