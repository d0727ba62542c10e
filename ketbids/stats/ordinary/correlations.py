"""Correlations, plain and partial, with confidence intervals."""

from dataclasses import dataclass
from math import factorial
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.errors import InputError
from ketbids.stats.ordinary.samples import is_constant, numbers, paired, two_sided_t

__all__ = ['Correlation', 'CorrelationMethod', 'correlate']

Floats = npt.NDArray[np.float64]
CorrelationMethod = Literal['pearson', 'spearman', 'kendall']

#: Largest samples with an exact p, as in R's cor.test.
_EXACT_SPEARMAN, _EXACT_KENDALL = 1290, 50
#: Up to here all permutations are counted; above, Edgeworth's series is as good.
_COUNTED = 9


@dataclass(frozen=True)
class Correlation:
    """A correlation of two variables over participants.

    Attributes
    ----------
    method : str
        pearson, spearman or kendall (tau-b).
    n : int
        Complete pairs.
    n_dropped : int
        Pairs with a missing value.
    n_covariates : int
        Covariates that were partialled out, each level of a factor but one counted.
    estimate : float
    low, high : float
        Confidence interval.
    statistic : float
        t; z of Kendall's tau.
    df : float
        Degrees of freedom of t; NaN with z.
    p : float
        Two-sided.
    p_by : str
        Whence p: t, exact, or normal.
    not_available : str or None
        Why there is no result: then the numbers are NaN.
    """

    method: str
    n: int
    n_dropped: int
    n_covariates: int = 0
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    statistic: float = np.nan
    df: float = np.nan
    p: float = np.nan
    p_by: str = 't'
    not_available: str | None = None


def correlate(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    method: CorrelationMethod = 'pearson',
    *,
    covariates: npt.ArrayLike | None = None,
    exact: bool | None = None,
    level: float = 0.95,
    names: tuple[str, str] = ('x', 'y'),
) -> Correlation:
    """Correlate two variables, maybe with others partialled out of both.

    - Pearson: t with n - 2 - k degrees of freedom (k covariates, which leave both variables by
      least squares).
    - Spearman: Pearson's of the ranks (those of covariates, too). p of a plain correlation
      without ties is exact up to 1290 pairs: by counting for up to 9, by Edgeworth's series above
      (Best & Roberts 1975, Appl Stat 24:377-379); with ties, or covariates, by t.
    - Kendall's tau-b: p exact without ties for less than 50 pairs, else by the normal
      approximation with the variance under ties. Partial: from the inverse of the matrix of tau
      (Kim 2015, Commun Stat Appl Methods 22:665-674).

    Intervals are Fisher's z with standard error 1/sqrt(n - k - 3), also of ranks (there a little
    short where the correlation is high); for tau sqrt(0.437/(n - k - 4)) (Fieller, Hartley &
    Pearson 1957, Biometrika 44:470-481).

    Parameters
    ----------
    x, y : array_like, shape (n,)
        NaN where missing: the pair is left out.
    method : {'pearson', 'spearman', 'kendall'}
    covariates : array_like, shape (n, k), optional
        Numbers; a factor as indicators of all levels but one.
    exact : bool, optional
        False: p of Spearman's and Kendall's by the approximations; True: exact also above the
        limits (not with ties). By default as said above, which is what R does.
    level : float
    names : tuple of two str
        What x and y are called in messages and reasons.

    Returns
    -------
    Correlation

    Raises
    ------
    InputError
        If the method is unknown, the lengths differ, or a value is infinite.
    """
    if method not in get_args(CorrelationMethod):
        raise InputError(
            f'A correlation is one of {", ".join(get_args(CorrelationMethod))}, not {method!r}'
        )
    columns = [numbers(x, names[0]), numbers(y, names[1])]
    if covariates is not None:
        table = np.asarray(covariates)
        table = table[:, np.newaxis] if table.ndim == 1 else table
        columns += [numbers(c, f'Covariate {i + 1}') for i, c in enumerate(table.T)]
    total = len(columns[0])
    first, second, *others = paired(*columns)
    others = _independent(others)
    k, n = len(others), len(first)
    found = Correlation(method, n, total - n, k)
    reason = _no_correlation(first, second, others, names)
    if reason:
        return _without(found, reason)
    if method == 'kendall':
        return _kendall(found, first, second, others, exact, level)
    if method == 'spearman':
        first, second, *others = (_ranks(c) for c in (first, second, *others))
    a, b = _residuals(first, others), _residuals(second, others)
    if a is None or b is None:
        return _without(found, f'the covariates explain all of {names[0 if a is None else 1]}')
    r = float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))
    df = n - 2 - k
    with np.errstate(divide='ignore'):
        t = float(r * np.sqrt(df / np.float64(1 - r * r)))
    p, p_by = two_sided_t(t, df), 't'
    ties = len(np.unique(first)) < n or len(np.unique(second)) < n
    wanted = n <= _EXACT_SPEARMAN if exact is None else exact
    if method == 'spearman' and not k and not ties and wanted:
        p, p_by = _spearman_exact(r, n), 'exact'
    low, high = _fisher(r, 1 / (n - k - 3) if n - k > 3 else np.nan, level)
    return Correlation(method, n, total - n, k, r, low, high, t, float(df), p, p_by)


def _without(found: Correlation, reason: str) -> Correlation:
    return Correlation(
        found.method, found.n, found.n_dropped, found.n_covariates, not_available=reason
    )


def _no_correlation(
    x: Floats, y: Floats, others: list[Floats], names: tuple[str, str]
) -> str | None:
    """Reason why there cannot be a correlation."""
    needed = 3 + len(others)
    if len(x) < needed:
        beside = f' with {len(others)} covariates' if others else ''
        return f'{len(x)} complete pairs; a correlation{beside} needs at least {needed}'
    if is_constant(x) or is_constant(y):
        return f'{names[0 if is_constant(x) else 1]} has one value in all {len(x)} complete pairs'
    return None


def _independent(columns: list[Floats]) -> list[Floats]:
    """Covariates without those that the constant and the ones before explain."""
    kept: list[Floats] = []
    for column in columns:
        if not is_constant(column) and _residuals(column, kept) is not None:
            kept.append(column)
    return kept


def _residuals(column: Floats, others: list[Floats]) -> Floats | None:
    """Deviations from the mean, or from a regression on the others; None if nothing is left."""
    centred = column - column.mean()
    size = np.sqrt(centred @ centred)
    if size == 0:
        return None
    centred /= size
    if others:
        X = np.column_stack([other - other.mean() for other in others])
        X /= np.sqrt((X * X).sum(axis=0))
        q = np.linalg.qr(X)[0]
        # Twice, as one subtraction leaves rounding that is not orthogonal.
        for _ in range(2):
            centred = centred - q @ (q.T @ centred)
        if centred @ centred < 1e-16:
            return None
    return centred


def _ranks(values: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), dtype=np.float64)


def _fisher(r: float, variance: float, level: float) -> tuple[float, float]:
    half = special.ndtri((1 + level) / 2) * np.sqrt(variance)
    if not np.isfinite(half):
        return np.nan, np.nan
    if abs(r) == 1:
        return r, r
    return float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half))


def _spearman_exact(rho: float, n: int) -> float:
    """Two-sided p of Spearman's rho without ties, by the sum of squared rank differences."""
    largest = (n**3 - n) // 3
    found = round((n**3 - n) * (1 - rho) / 6)
    # The sum is even and symmetric around half of the largest: the smaller tail, twice.
    lower = min(found, largest - found)
    if n <= _COUNTED:
        tail = _counted_tail(n, lower)
    else:
        tail = 1 - _edgeworth_tail(n, lower + 2) if lower + 2 <= largest else 1.0
    # The series may end below what a single permutation and its mirror image have.
    least = 2 / factorial(n) if n < 150 else 0.0
    return float(min(1.0, max(least, 2 * tail)))


def _counted_tail(n: int, at_most: int) -> float:
    """P(sum <= at_most) over all permutations of n ranks."""
    # Of each set of partners that were given to the first ranks: how often each sum arises.
    sums = {0: np.eye(1, (n**3 - n) // 3 + 1, dtype=np.int64)[0]}
    for rank in range(n):
        longer: dict[int, npt.NDArray[np.int64]] = {}
        for taken, counts in sums.items():
            for partner in range(n):
                if not taken >> partner & 1:
                    # What would be rolled over the end is 0: no sum is above the largest.
                    moved = np.roll(counts, (rank - partner) ** 2)
                    key = taken | 1 << partner
                    longer[key] = longer[key] + moved if key in longer else moved
        sums = longer
    counts = sums[2**n - 1]
    return float(counts[: at_most + 1].sum() / counts.sum())


def _edgeworth_tail(n: int, at_least: int) -> float:
    """P(sum >= at_least) by Edgeworth's series to the order of n^-3 (Best & Roberts 1975)."""
    b = 1 / n
    x = (6 * (at_least - 1) * b / (n**2 - 1) - 1) * np.sqrt(1 / b - 1)
    y = x * x
    constant = 0.2274 + b * (0.2531 + 0.1745 * b)
    first = -0.0758 + b * (0.1033 + 0.3932 * b)
    second = 0.0879 + 0.0151 * b
    third = 0.0072 - 0.0831 * b
    fourth = 0.0131 - 4.6e-4 * y
    series = constant + y * (first - y * b * (second - y * (third + y * b * fourth)))
    return float(x * b * series * np.exp(-y / 2) + special.ndtr(-x))


def _kendall(
    found: Correlation,
    x: Floats,
    y: Floats,
    others: list[Floats],
    exact: bool | None,
    level: float,
) -> Correlation:
    from scipy.stats import kendalltau

    n, k = found.n, len(others)
    if k:
        taus = np.eye(k + 2)
        columns = [x, y, *others]
        for i in range(k + 2):
            for j in range(i):
                taus[i, j] = taus[j, i] = kendalltau(columns[i], columns[j]).statistic
        if np.linalg.cond(taus) > 1e12:
            return _without(found, 'the covariates explain the order of x or y')
        inverse = np.linalg.inv(taus)
        tau = float(-inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]))
        m = n - k
        z = tau / np.sqrt(2 * (2 * m + 5) / (9 * m * (m - 1)))
        p, p_by = float(2 * special.ndtr(-abs(z))), 'normal'
    else:
        ties = len(np.unique(x)) < n or len(np.unique(y)) < n
        wanted = (n < _EXACT_KENDALL if exact is None else exact) and not ties
        # The library would choose by other limits than R.
        result = kendalltau(x, y, method='exact' if wanted else 'asymptotic')
        tau, p, p_by = float(result.statistic), float(result.pvalue), 'normal'
        z = float(np.sign(tau) * special.ndtri(p / 2) * -1)
        if wanted:
            p_by = 'exact'
            z = float(tau / np.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1))))
    low, high = _fisher(tau, 0.437 / (n - k - 4) if n - k > 4 else np.nan, level)
    return Correlation(
        'kendall', n, found.n_dropped, k, tau, low, high, z, np.nan, min(p, 1.0), p_by
    )
