"""Tables of counts: chi-squared, Fisher's exact test, proportions."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.errors import InputError

__all__ = ['ChiSquaredTest', 'ExactTest', 'Proportion', 'chi_squared', 'fisher_exact']
__all__ += ['proportion']

Floats = npt.NDArray[np.float64]

#: Tables with more alternatives of the same margins are not enumerated.
_MOST_TABLES = 200_000


@dataclass(frozen=True)
class ChiSquaredTest:
    """Pearson's chi-squared test of independence, without Yates' correction.

    Attributes
    ----------
    n : int
    statistic, df, p : float
    smallest_expected : float
        Below 5 the approximation is poor.
    cramers_v : float
    not_available : str or None
        Why there is no result: then the numbers are NaN.
    """

    n: int
    statistic: float = np.nan
    df: float = np.nan
    p: float = np.nan
    smallest_expected: float = np.nan
    cramers_v: float = np.nan
    not_available: str | None = None


@dataclass(frozen=True)
class ExactTest:
    """Fisher's exact test.

    Attributes
    ----------
    n : int
    p : float
        Two-sided: of all tables with these margins that are no more probable.
    odds_ratio : float
        Of a 2 x 2 table: a d / (b c).
    conditional_odds_ratio : float
        Its maximum likelihood estimate given the margins, R's.
    low, high : float
        Exact 95 % interval of the latter.
    not_available : str or None
    """

    n: int
    p: float = np.nan
    odds_ratio: float = np.nan
    conditional_odds_ratio: float = np.nan
    low: float = np.nan
    high: float = np.nan
    not_available: str | None = None


@dataclass(frozen=True)
class Proportion:
    """Part of those whose answer is known.

    Attributes
    ----------
    count, n : int
    percent, low, high : float
        With Wilson's interval, in per cent; NaN for n = 0.
    """

    count: int
    n: int
    percent: float
    low: float
    high: float


def proportion(count: int, n: int, level: float = 0.95) -> Proportion:
    """Percentage with Wilson's score interval (1927, J Am Stat Assoc 22:209-212).

    Parameters
    ----------
    count, n : int
        Yes, and yes or no.
    level : float

    Returns
    -------
    Proportion
    """
    if not 0 <= count <= n:
        raise InputError(f'{count} of {n} is no proportion')
    if not n:
        return Proportion(0, 0, np.nan, np.nan, np.nan)
    share = count / n
    z2 = float(special.ndtri((1 + level) / 2)) ** 2
    centre = share + z2 / (2 * n)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n)
    # At the ends rounding would leave a limit just outside.
    low = 0.0 if count == 0 else (centre - half) / (1 + z2 / n)
    high = 1.0 if count == n else (centre + half) / (1 + z2 / n)
    return Proportion(count, n, 100 * share, float(100 * low), float(100 * high))


def chi_squared(table: npt.ArrayLike) -> ChiSquaredTest:
    """Test whether rows and columns of a table of counts are independent.

    Parameters
    ----------
    table : array_like, shape (r, c)
        Counts. Rows and columns that are empty make it impossible: leave them out before.

    Returns
    -------
    ChiSquaredTest
    """
    counts = _counts(table)
    n = int(counts.sum())
    found = ChiSquaredTest(n)
    reason = _no_table(counts)
    if reason:
        return replace(found, not_available=reason)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    statistic = float(((counts - expected) ** 2 / expected).sum())
    r, c = counts.shape
    df = (r - 1) * (c - 1)
    return replace(
        found,
        statistic=statistic,
        df=float(df),
        p=float(special.chdtrc(df, statistic)),
        smallest_expected=float(expected.min()),
        cramers_v=float(np.sqrt(statistic / (n * (min(r, c) - 1)))),
    )


def fisher_exact(table: npt.ArrayLike) -> ExactTest:
    """Test independence given the margins, exactly.

    Tables larger than 2 x 2 are enumerated, too, as long as there are no more than 200,000
    with the same margins; beyond, there is no result. (scipy draws larger tables at random.)

    Parameters
    ----------
    table : array_like, shape (r, c)

    Returns
    -------
    ExactTest
    """
    counts = _counts(table)
    found = ExactTest(int(counts.sum()))
    reason = _no_table(counts)
    if reason:
        return replace(found, not_available=reason)
    probabilities = _log_probabilities(counts)
    if probabilities is None:
        return replace(
            found, not_available=f'more than {_MOST_TABLES} tables have these margins: too many'
        )
    own = -special.gammaln(counts + 1.0).sum()
    weights = np.exp(probabilities - probabilities.max())
    # The tolerance of R's fisher.test: the same probability may differ in its last digits.
    as_rare = probabilities <= own + np.log1p(1e-7)
    p = float(min(1.0, weights[as_rare].sum() / weights.sum()))
    if counts.shape != (2, 2):
        return replace(found, p=p)
    from scipy.stats.contingency import odds_ratio

    (a, b), (c, d) = counts.astype(float)
    with np.errstate(divide='ignore'):
        ratio = float(np.float64(a * d) / (b * c))
    conditional = odds_ratio(counts, kind='conditional')
    low, high = conditional.confidence_interval(0.95)
    return replace(
        found,
        p=p,
        odds_ratio=ratio,
        low=float(low),
        high=float(high),
        conditional_odds_ratio=float(conditional.statistic),
    )


def _counts(table: npt.ArrayLike) -> npt.NDArray[np.int64]:
    array = np.asarray(table)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.number):
        raise InputError('A table of counts has two dimensions and holds numbers')
    if np.any(~np.isfinite(array)) or np.any(array < 0) or np.any(array != np.round(array)):
        raise InputError('A table of counts holds whole numbers, not below 0')
    return array.astype(np.int64)


def _no_table(counts: npt.NDArray[np.int64]) -> str | None:
    r, c = counts.shape
    if min(r, c) < 2:
        return f'a table of {r} x {c} counts; at least 2 x 2 are needed'
    for axis, name in ((1, 'row'), (0, 'column')):
        empty = np.flatnonzero(counts.sum(axis=axis) == 0)
        if len(empty):
            return f'{name} {empty[0] + 1} of the table is empty'
    return None


def _log_probabilities(counts: npt.NDArray[np.int64]) -> Floats | None:
    """Log probability, but for a constant, of every table with these margins.

    Column by column: each way to fill one meets each way in which the rows were filled before.
    None if there are too many.
    """
    counts = counts if counts.shape[0] <= counts.shape[1] else counts.T
    left = counts.sum(axis=1)[np.newaxis, :]
    logs = np.zeros(1)
    columns = np.sort(counts.sum(axis=0))[::-1]
    for total in columns[:-1]:
        fillings = _fillings(int(total), left.max(axis=0))
        if fillings is None or len(fillings) * len(left) > 10 * _MOST_TABLES:
            return None
        cost = special.gammaln(fillings + 1.0).sum(axis=1)
        remaining = left[:, np.newaxis, :] - fillings[np.newaxis, :, :]
        possible = (remaining >= 0).all(axis=2)
        logs = (logs[:, np.newaxis] - cost[np.newaxis, :])[possible]
        left = remaining[possible]
        if len(left) > _MOST_TABLES:
            return None
    # The last column is what the others leave.
    result: Floats = logs - special.gammaln(left + 1.0).sum(axis=1)
    return result


def _fillings(total: int, most: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """All ways to share a column's total among rows with room for so many."""
    number = np.ones(1)
    for room in most:
        number = np.convolve(number, np.ones(int(room) + 1))[: total + 1]
    if number[-1] > _MOST_TABLES:
        return None
    ways = np.zeros((1, 0), dtype=np.int64)
    for i, room in enumerate(most):
        given = ways.sum(axis=1)
        later = int(most[i + 1 :].sum())
        values = np.arange(min(int(room), total) + 1)
        sums = given[:, np.newaxis] + values[np.newaxis, :]
        where, which = np.nonzero((sums <= total) & (sums + later >= total))
        ways = np.column_stack([ways[where], values[which]])
    return ways
