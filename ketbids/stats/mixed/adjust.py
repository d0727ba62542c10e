"""Corrections of the p of pairs of means for their number."""

from typing import Literal

import numpy as np
from scipy.special import gammaln, ndtr

from ketbids.errors import InputError
from ketbids.stats.ordinary import corrections

__all__ = ['ADJUSTMENTS', 'Adjustment', 'adjust', 'tukey']

Adjustment = Literal['none', 'bonferroni', 'holm', 'sidak', 'tukey']
#: Points and weights over the log of the estimated standard deviation, whose distribution has a
#: long tail if its degrees of freedom are few.
_FEW = 10
_MANY_NODES, _NODES = (np.polynomial.legendre.leggauss(number) for number in (400, 64))
#: Points over the largest value, and the normal density there times the step: the trapezoidal rule
#: is exact to rounding for what falls off like it.
_STEP = 0.25
_Z = np.arange(-8.5, 8.5 + _STEP / 2, _STEP)
_BELOW = ndtr(_Z)
_DENSITY = np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi) * _STEP

ADJUSTMENTS: tuple[Adjustment, ...] = ('none', 'bonferroni', 'holm', 'sidak', 'tukey')


def adjust(
    p: np.ndarray,
    method: Adjustment,
    *,
    t: np.ndarray | None = None,
    df: np.ndarray | None = None,
    n_means: int = 2,
) -> np.ndarray:
    """Correct the p of one family of pairs.

    Parameters
    ----------
    p : array, shape (m,)
        Two-sided, uncorrected; NaN (a pair without a test) stays and is not counted.
    method : str
        One of `ADJUSTMENTS`.
    t, df : array, shape (m,)
        For ``tukey``: statistic and its degrees of freedom.
    n_means : int
        For ``tukey``: means that are compared.

    Returns
    -------
    array, shape (m,)

    Raises
    ------
    InputError
        An unknown method.
    """
    if method not in ADJUSTMENTS:
        raise InputError(
            f"Correction '{method}' is unknown: choose one of {', '.join(ADJUSTMENTS)}"
        )
    if method != 'tukey':
        return corrections.adjust(p, method)
    if t is None or df is None:
        raise InputError('The correction tukey needs t and its degrees of freedom')
    return np.array(p, dtype=float) if n_means == 2 else tukey(t, df, n_means)


def tukey(t: np.ndarray, df: np.ndarray, n_means: int) -> np.ndarray:
    """Tukey's p of differences: the upper tail of the studentized range at sqrt(2) abs(t).

    The range of `n_means` normal values exceeds w with probability
    1 - k * integral of phi(z) (Phi(z) - Phi(z - w))^(k - 1); this is averaged over the
    distribution of the estimated standard deviation (Lund & Lund 1983, Appl. Stat. 32:204-210).

    Parameters
    ----------
    t, df : array, shape (m,)
        Degrees of freedom need not be whole; NaN gives NaN.
    n_means : int

    Returns
    -------
    array, shape (m,)
        Absolute error about 1e-12.
    """
    t, df = np.broadcast_arrays(np.asarray(t, float), np.asarray(df, float))
    q, finite = np.sqrt(2) * np.abs(t), np.isfinite(t) & (df > 0)
    found = np.full(q.shape, np.nan)
    few = finite & (df < _FEW)
    for chosen, quadrature in ((few, _MANY_NODES), (finite & ~few, _NODES)):
        if chosen.any():
            limited = np.minimum(df[chosen], 1e6)
            found[chosen] = _range_tail(q[chosen], limited, n_means, quadrature)
    return found


def _range_tail(
    q: np.ndarray, df: np.ndarray, n_means: int, quadrature: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    nodes, weights = quadrature
    low, high = (_limit(df, side)[:, None] for side in (-1, 1))
    log_s = (low + high) / 2 + (high - low) / 2 * nodes  # (m, nodes)
    nu = df[:, None]
    constant = np.log(2) + nu / 2 * np.log(nu / 2) - gammaln(nu / 2)
    density = np.exp(constant + nu * (log_s - np.exp(2 * log_s) / 2))
    width = q[:, None] * np.exp(log_s)
    inner = np.empty_like(width)
    for row, w in enumerate(width):
        inner[row] = (_BELOW - ndtr(_Z - w[:, None])) ** (n_means - 1) @ _DENSITY
    tail = np.clip(1 - n_means * inner, 0, 1)
    return np.clip(((high - low) / 2 * weights * density * tail).sum(axis=1), 0, 1)


def _limit(df: np.ndarray, side: int) -> np.ndarray:
    """Where log s has fallen to e^-40 of its peak at 0: df (e^2x / 2 - x - 1/2) = 40."""
    x = side * np.sqrt(40 / df) if side > 0 else -(40 / df + 0.5)
    for _ in range(30):  # convex, from outside: Newton's steps stay outside
        x = x - ((np.exp(2 * x) - 1) / 2 - x - 40 / df) / (np.exp(2 * x) - 1)
    return x
