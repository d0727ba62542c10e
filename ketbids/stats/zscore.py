"""t and F to z, accurate far into the tails."""

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ['LARGEST_RATIO', 'parametric_p', 'z_from_f', 'z_from_t']

Floats = npt.NDArray[np.float64]

#: Largest explained over unexplained sum of squares that is told from a perfect fit.
LARGEST_RATIO = 1e14

_SMALLEST_P = 1e-290
_LARGEST_T = 1e100
_LARGEST_F = 1e200


def z_from_t(t: npt.ArrayLike, dof: npt.ArrayLike) -> Floats:
    """Standard normal deviate with the same tail probability as Student's t.

    Parameters
    ----------
    t : array_like
        t statistics; infinite ones are taken as 1e100.
    dof : array_like
        Degrees of freedom, > 0; one, or one for each value of ``t``.

    Returns
    -------
    ndarray, the shape of ``t``
        z, finite (NaN where ``t`` is), with the sign of ``t``.

    Notes
    -----
    The tail of t is the incomplete beta function I_x(dof/2, 1/2) / 2 with x = dof / (dof + t^2).
    Where it is too small for a double, its logarithm comes from the hypergeometric form (DLMF
    8.17.8) and z from the logarithm.
    """
    values = np.asarray(t, dtype=np.float64)
    size = np.minimum(np.abs(values.reshape(-1)), _LARGEST_T)
    df = np.broadcast_to(np.asarray(dof, dtype=np.float64), values.shape).reshape(-1)
    square = size**2
    x, y = df / (df + square), square / (df + square)
    # Of the tail and the probability between -t and t, the smaller one has the digits.
    inside = special.betainc(0.5, df / 2, y)
    z = np.sqrt(2) * special.erfinv(inside)
    tail = 0.5 * (1 - inside)
    beyond = np.flatnonzero(inside > 0.5)
    # So it is with x and y, which add up to 1.
    large = square[beyond] > df[beyond]
    for chosen, first in ((beyond[large], True), (beyond[~large], False)):
        half = df[chosen] / 2
        part = (
            special.betainc(half, 0.5, x[chosen])
            if first
            else special.betaincc(0.5, half, y[chosen])
        )
        tail[chosen] = 0.5 * part
        z[chosen] = -special.ndtri(tail[chosen])
    far = tail < _SMALLEST_P
    log_tail = np.log(0.5) + _log_beta_tail(df[far] / 2, 0.5, df[far] / square[far])
    z[far] = -special.ndtri_exp(log_tail)
    return np.copysign(z.reshape(values.shape), values)


def z_from_f(f: npt.ArrayLike, rank: int, dof: npt.ArrayLike) -> Floats:
    """Standard normal deviate with the same upper tail probability as F.

    Parameters
    ----------
    f : array_like
        F statistics, >= 0; what is outside of 1e-200 to 1e200 is taken as these.
    rank : int
        Degrees of freedom of the numerator.
    dof : array_like
        Degrees of freedom of the denominator, > 0; one, or one for each value of ``f``.

    Returns
    -------
    ndarray, the shape of ``f``
        z, finite (NaN where ``f`` is), negative below the median of F.

    Notes
    -----
    With x = rank f / (rank f + dof), the lower tail is I_x(rank/2, dof/2), and the upper one is
    I_{1 - x}(dof/2, rank/2); z comes from the smaller of them, as in PALM (``palm_gtoz``).
    """
    values = np.asarray(f, dtype=np.float64)
    size = np.clip(values.reshape(-1), 1 / _LARGEST_F, _LARGEST_F)
    df = np.broadcast_to(np.asarray(dof, dtype=np.float64), values.shape).reshape(-1)
    ratio = rank * size / df
    x, y = ratio / (1 + ratio), 1 / (1 + ratio)
    lower = special.betainc(rank / 2, df / 2, x)
    upper = special.betainc(df / 2, rank / 2, y)
    above = upper < lower
    z = np.where(above, -special.ndtri(upper), special.ndtri(lower))
    far = above & (upper < _SMALLEST_P)
    z[far] = -special.ndtri_exp(_log_beta_tail(df[far] / 2, rank / 2, 1 / ratio[far]))
    far = ~above & (lower < _SMALLEST_P)
    z[far] = special.ndtri_exp(_log_beta_tail(rank / 2, df[far] / 2, ratio[far]))
    return z.reshape(values.shape)


def _log_beta_tail(a: Floats | float, b: Floats | float, odds: Floats) -> Floats:
    """Logarithm of the incomplete beta function I_x(a, b), x = odds / (1 + odds), x small."""
    log_x = -np.log1p(1 / odds)
    return (
        a * log_x
        - b * np.log1p(odds)
        - np.log(a)
        - special.betaln(a, b)
        + np.log(special.hyp2f1(a + b, 1.0, a + 1, np.exp(log_x)))
    )


def parametric_p(z: npt.ArrayLike, two_tailed: bool = False) -> Floats:
    """P of a normal deviate, without shuffles.

    For a z that comes from t, F, v or G it is the p of these.

    Parameters
    ----------
    z : array_like
    two_tailed : bool
        p of both tails, as PALM saves it with ``-twotail``; else that of the upper tail.

    Returns
    -------
    ndarray, the shape of ``z``
    """
    values = np.asarray(z, dtype=np.float64)
    if two_tailed:
        return 2 * special.ndtr(-np.abs(values))
    return special.ndtr(-values)
