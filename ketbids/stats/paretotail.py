"""p-values from a generalised Pareto distribution fitted to the tail of the shuffles.

With few shuffles a small p is coarse, and never below one in their number. Winkler et al. 2016
(NeuroImage 141:502-516, after Knijnenburg et al. 2009, Bioinformatics 25:i161-i168) fit the excess
y over a high threshold u by the survival function (1 - k y / a)^(1 / k), by the method of moments
(Hosking & Wallis 1987, Technometrics 29:339-349), and read small p from the fit. What is done here
is what PALM does for ``-accel tail``:

- only p < .10 are replaced, and only of values above u;
- u lies halfway between the first value of the tail and the one before. The tail begins at the
  quantile .751, and later by .01, up to .971, until the fit is not rejected by Anderson and
  Darling's test at .05; if all are rejected, the p of the shuffles stay as they are;
- the critical value is that of the shape k, at least .5 (Choulakian & Stephens 2001,
  Technometrics 43:478-484, table 2; for smaller k theirs are larger, PALM's is not).

Two things are not PALM's. Values that differ by rounding only are one value where the tail is cut.
And a tail of values that are nearly all equal (k above 4.3, where the extrapolated critical values
turn over; no variance) is rejected: PALM accepts some such fits, with p = 0 for values that a
quarter of the shuffles reach, stops with an error, or doesn't return.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.stats.multiplicity import TIE, familywise_p, tie_threshold

__all__ = ['REFINED_BELOW', 'Tail', 'fit_tail', 'tail_p', 'tail_p_columns']

Floats = npt.NDArray[np.float64]

#: p below this are replaced by those of the fit.
REFINED_BELOW = 0.10

# Quantiles at which the tail may begin, in thousandths.
_FIRST, _STEP, _LAST = 751, 10, 971
# Critical value at .05 for k = .5, and its change per unit of k (table: .830 at .5, .771 at .9).
_CRITICAL, _SLOPE, _TABLED_SHAPE = 0.830, (0.771 - 0.830) / (0.9 - 0.5), 0.5
_LARGEST_SHAPE = 4.3


class Tail(NamedTuple):
    """A fitted tail.

    Attributes
    ----------
    location : float
        Threshold u; values above it are in the tail.
    scale, shape : float
        a and k of the survival function (1 - k y / a)^(1 / k).
    share : float
        Part of the distribution that is above u.
    """

    location: float
    scale: float
    shape: float
    share: float


def fit_tail(distribution: Floats) -> Tail | None:
    """Fit the upper tail of one distribution.

    Parameters
    ----------
    distribution : ndarray, shape (n_shuffles,)
        Finite; in any order.

    Returns
    -------
    Tail or None
        None if no threshold gives a fit that is not rejected.
    """
    accepted, *parameters = _fit(np.sort(np.asarray(distribution, dtype=np.float64)))
    return Tail(*parameters) if accepted else None


def tail_p(distribution: Floats, values: Floats, first_out: bool = False) -> Floats:
    """Give many values their p in one distribution, such as that of the maximum.

    Parameters
    ----------
    distribution : ndarray, shape (n_shuffles,)
        Finite; the first is of the data as they are.
    values : ndarray
        Observed values.
    first_out : bool
        Leave the first out of the distribution (PALM's ``-accel tail out``).

    Returns
    -------
    ndarray, the shape of ``values``
        Share of the shuffles that reach the value, ties included; where that is below .10, that
        of the fit, if there is one. 0 beyond the end of a fitted distribution that has an end.
    """
    distribution = np.asarray(distribution, dtype=np.float64)[int(first_out) :]
    observed = np.atleast_1d(np.asarray(values, dtype=np.float64))
    p = familywise_p(distribution, observed)
    small = p < REFINED_BELOW
    if small.any() and (tail := fit_tail(distribution)) is not None:
        above = small & (observed > tail.location)
        p[above] = tail.share * _survival(observed[above] - tail.location, tail.scale, tail.shape)
    return p.reshape(np.shape(values))


def tail_p_columns(distributions: Floats, observed: Floats) -> Floats:
    """Give one value in each of many distributions its p, such as those of a block of locations.

    Parameters
    ----------
    distributions : ndarray, shape (n_shuffles, n_locations)
        Finite; the first row is the data as they are.
    observed : ndarray, shape (n_locations,)

    Returns
    -------
    ndarray, shape (n_locations,)
        As `tail_p` of each column; the same whatever other columns are there.
    """
    n_shuffles = len(distributions)
    p = np.empty(len(observed))
    for k, value in enumerate(observed):
        ordered = np.sort(distributions[:, k])
        reached = tie_threshold(observed[k : k + 1], ordered[-1])[0]
        p[k] = (n_shuffles - np.searchsorted(ordered, reached, side='left')) / n_shuffles
        if p[k] < REFINED_BELOW:
            accepted, location, scale, shape, share = _fit(ordered)
            if accepted and value > location:
                excess = observed[k : k + 1] - location
                p[k] = share * _survival(excess, scale, shape)[0]
    return p


@njit(nogil=True, cache=True)
def _survival(excess, scale, shape):
    """Share of a generalised Pareto distribution beyond each value >= 0."""
    out = np.empty(len(excess))
    for i in range(len(excess)):
        if abs(shape) < 2.220446049250313e-16:
            out[i] = np.exp(-excess[i] / scale)
        else:
            rest = 1 - shape * excess[i] / scale
            out[i] = rest ** (1 / shape) if rest > 0 else 0.0
    return out


@njit(nogil=True, cache=True)
def _anderson_darling(tails):
    """Anderson and Darling's statistic of descending tail probabilities."""
    n = len(tails)
    total = 0.0
    for i in range(n):
        low, high = tails[n - 1 - i], tails[i]
        if low <= 0 or high >= 1:
            return np.inf
        total += (2 * i + 1) * (np.log(low) + np.log(1 - high))
    return -n - total / n


@njit(nogil=True, cache=True)
def _tail_start(ordered, thousandths):
    """Where the values begin whose share of values not above them is at least a quantile."""
    n = len(ordered)
    quantile = thousandths / 1000
    rank = min(max(int(quantile * n), 1), n)
    while rank > 1 and (rank - 1) / n >= quantile:
        rank -= 1
    while rank < n and rank / n < quantile:
        rank += 1
    start = rank - 1
    lowest = ordered[start] - TIE * abs(ordered[start])
    while start > 0 and ordered[start - 1] >= lowest:
        start -= 1
    return start


@njit(nogil=True, cache=True)
def _fit(ordered):
    """Location, scale, shape and share of the first tail that is not rejected.

    The first of the tuple says whether there is one.
    """
    n = len(ordered)
    before = -1
    for thousandths in range(_FIRST, _LAST + 1, _STEP):
        start = _tail_start(ordered, thousandths)
        if start == before or n < 2:
            continue
        before = start
        # With no value below the tail, PALM has half the first step, downwards.
        below = ordered[start - 1] if start > 0 else ordered[1]
        location = (below + ordered[start]) / 2
        if start == 0:
            location = ordered[0] - location
        excess = ordered[start:] - location
        mean = excess.sum() / len(excess)
        variance = ((excess - mean) ** 2).sum() / max(len(excess) - 1, 1)
        # mean^2 / variance = 2 k + 1
        if mean**2 >= (2 * _LARGEST_SHAPE + 1) * variance:
            continue
        shape = (mean**2 / variance - 1) / 2
        scale = mean * (mean**2 / variance + 1) / 2
        critical = _CRITICAL + _SLOPE * (max(_TABLED_SHAPE, shape) - _TABLED_SHAPE)
        if _anderson_darling(_survival(excess, scale, shape)) < critical:
            return True, location, scale, shape, len(excess) / n
    return False, 0.0, 0.0, 0.0, 0.0
