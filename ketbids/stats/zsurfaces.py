"""Tables in two arguments, for statistics whose degrees of freedom differ by location.

As in ``ketbids.stats.ztables``, leading bits number the piece: of a share of a sum of squares, and
of q = 1 / dof. On each piece z, divided by what makes it smooth, is a polynomial of degree 5 in
both, from its values at Chebyshev nodes.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.stats.zscore import z_from_f, z_from_t
from ketbids.stats.ztables import OCTAVES

__all__ = ['Surface', 'g_surface', 'surface_value', 'v_surface']

Floats = npt.NDArray[np.float64]

_BITS = 3
_SHIFT = np.uint64(52 - _BITS)
_LOW = np.uint64((1 << (52 - _BITS)) - 1)
_ONE = np.uint64(1023 << 52)
_FIRST = np.uint64((1023 - OCTAVES) << _BITS)
_DEGREE = 5
_TERMS = _DEGREE + 1


class Surface(NamedTuple):
    """Polynomial pieces in q and a share.

    Attributes
    ----------
    coefficients : ndarray, shape (n_pieces_of_q, n_pieces_of_share, 36)
        Powers of the share's place change first. For G the pieces of the explained share are
        followed by those of its complement. Not writable: equal arguments share one.
    first : uint64
        Leading bits of the first piece of q.
    lowest, highest : float
        Range of q.
    """

    coefficients: Floats
    first: np.uint64
    lowest: float
    highest: float


@lru_cache(maxsize=8)
def v_surface(lowest: float, highest: float) -> Surface:
    """Z / (v sqrt(y)) as a function of y = dof / (dof + v^2) and of q = 1 / dof.

    Parameters
    ----------
    lowest, highest : float
        Range of q.

    Returns
    -------
    Surface
        Right to about 1e-10 of z.
    """

    def smooth(share: Floats, q: Floats) -> Floats:
        share, q = np.broadcast_arrays(share, q)
        v = np.sqrt((1 - share) / share / q)
        return z_from_t(v, 1 / q) / (v * np.sqrt(share))

    return _surface([smooth], lowest, highest)


@lru_cache(maxsize=8)
def g_surface(rank: int, lowest: float, highest: float) -> Surface:
    """Z sqrt(q) of F as a function of the smaller of x and y = 1 - x, and of q = 1 / dof.

    x is rank F / (rank F + dof).

    Parameters
    ----------
    rank : int
    lowest, highest : float
        Range of q.

    Returns
    -------
    Surface
        z sqrt(q) is right to about 1e-9.
    """

    def of_x(share: Floats, q: Floats) -> Floats:
        share, q = np.broadcast_arrays(share, q)
        return z_from_f(share / (1 - share) / q / rank, rank, 1 / q) * np.sqrt(q)

    def of_y(share: Floats, q: Floats) -> Floats:
        share, q = np.broadcast_arrays(share, q)
        return z_from_f((1 - share) / share / q / rank, rank, 1 / q) * np.sqrt(q)

    return _surface([of_x, of_y], lowest, highest)


def _surface(
    sides: list[Callable[[Floats, Floats], Floats]], lowest: float, highest: float
) -> Surface:
    """Interpolate functions on all pieces of the shares, side by side, and of q."""
    bits = np.array([lowest, highest]).view(np.uint64) >> _SHIFT
    leading = np.arange(bits[0], bits[1] + np.uint64(1), dtype=np.uint64)
    order = np.arange(_TERMS)
    # Chebyshev nodes in -1 to 1, and from values there to coefficients of powers.
    nodes = np.cos((2 * order + 1) * np.pi / (2 * _TERMS))
    powers = np.linalg.inv(np.vander(nodes, increasing=True))
    q = _places(leading << _SHIFT, nodes)
    shares = _places((_FIRST + np.arange(OCTAVES << _BITS, dtype=np.uint64)) << _SHIFT, nodes)
    pieces = []
    for function in sides:
        values = function(shares.reshape(-1), q.reshape(-1, 1))
        values = values.reshape(*q.shape, *shares.shape)
        found = np.einsum('kn,pnsm,lm->pskl', powers, values, powers, optimize=True)
        pieces.append(found.reshape(len(q), len(shares), _TERMS**2))
    coefficients = np.concatenate(pieces, axis=1)
    coefficients.setflags(write=False)
    return Surface(coefficients, leading[0], lowest, highest)


def _places(starts: npt.NDArray[np.uint64], nodes: Floats) -> Floats:
    """Nodes within pieces; shape (n_pieces, n_nodes)."""
    ends = (starts + (np.uint64(1) << _SHIFT)).view(np.float64)
    begin = starts.view(np.float64)
    return begin[:, None] + (ends - begin)[:, None] * (nodes + 1) / 2


@njit(nogil=True, cache=True)
def surface_value(surface, side, share_bits, q_bits, place):
    """Value of a surface; ``side`` is 0 or, for the second function, 1.

    ``share_bits`` and ``q_bits`` are the bits of the share and of q, and ``place`` is an array of
    at least two that this may use.
    """
    coefficients = surface.coefficients
    per_side = np.uint64(OCTAVES << _BITS)
    last_share, last_q = per_side - np.uint64(1), np.uint64(len(coefficients) - 1)
    i = min((share_bits >> _SHIFT) - _FIRST, last_share) + per_side * np.uint64(side)
    j = min((q_bits >> _SHIFT) - surface.first, last_q)
    bits = place.view(np.uint64)
    bits[0], bits[1] = (share_bits & _LOW) | _ONE, (q_bits & _LOW) | _ONE
    a = (place[0] - 1.0) * (2 << _BITS) - 1.0
    b = (place[1] - 1.0) * (2 << _BITS) - 1.0
    c = coefficients[j, i]
    value = 0.0
    for k in range(_DEGREE, -1, -1):
        term = 0.0
        for m in range(_DEGREE, -1, -1):
            term = term * a + c[k * _TERMS + m]
        value = value * b + term
    return value
