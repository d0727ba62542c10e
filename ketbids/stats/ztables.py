"""Tables that turn the statistics of shuffles to z: fast, without a logarithm.

The argument is a share of a sum of squares, in (0, 1]. Its leading bits, the exponent and the
first bits after the point, number the piece, and the bits left are the place in it; on each piece
z, divided by what makes it smooth, is a polynomial.
"""

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import interpolate

from ketbids.stats.zscore import z_from_f, z_from_t

__all__ = ['FLOOR', 'OCTAVES', 'f_table', 'locate', 'look_up', 't_table']

Floats = npt.NDArray[np.float64]

#: Octaves below 1 that the tables cover, down to `FLOOR`; it is below 1 / LARGEST_RATIO.
OCTAVES = 47
FLOOR = 2.0**-OCTAVES

_BITS = 8
_SHIFT = np.uint64(52 - _BITS)
_FIRST = np.uint64((1023 - OCTAVES) << _BITS)
_LOW = np.uint64((1 << (52 - _BITS)) - 1)
_ONE = np.uint64(1023 << 52)


def t_table(dof: float) -> Floats:
    """Z of t, divided by r, where r^2 is the explained share of the sum of squares.

    With y = 1 - r^2 = dof / (dof + t^2), z / r is smooth in y from 0 to 1.

    Parameters
    ----------
    dof : float

    Returns
    -------
    ndarray, shape (OCTAVES * 2^8 + 1, 4)
        Coefficients of 1, u, u^2, u^3 of the pieces of y; right to 1.3e-12 of z.
    """
    nodes = _nodes(OCTAVES)
    share = 1 - nodes[:-1]
    t = np.sqrt(dof * share / nodes[:-1])
    values = z_from_t(t, dof) / np.sqrt(share)
    # At y = 1, t = sqrt(dof) r and z are proportional.
    tiny = 1e-9
    limit = z_from_t(np.sqrt(dof) * tiny, dof) / tiny
    return _cubics(nodes, np.append(values, limit), OCTAVES)


def f_table(rank: int, dof: float) -> Floats:
    """Z of F as a function of the smaller of two shares.

    The explained share x of the sum of squares of x and y = 1 - x is below 1/2 for one of them;
    the smaller one has the digits.

    Parameters
    ----------
    rank : int
        Degrees of freedom of the numerator.
    dof : float
        Of the denominator.

    Returns
    -------
    ndarray, shape (2 * (OCTAVES * 2^8 + 1), 4)
        Pieces of x, then pieces of y, as in `t_table`; right to about 1e-12.
    """
    nodes = _nodes(OCTAVES)
    nodes = nodes[nodes < 0.75]  # beyond 1/2, so that no piece in use is at an end
    odds = nodes / (1 - nodes) * dof / rank
    inverse = (1 - nodes) / nodes * dof / rank
    table = np.zeros((2, (OCTAVES << _BITS) + 1, 4))
    for side, f in enumerate((odds, inverse)):
        pieces = _cubics(nodes, z_from_f(f, rank, dof), OCTAVES)
        table[side, : len(pieces)] = pieces
    return table.reshape(-1, 4)


def _nodes(octaves: int) -> Floats:
    """Ends of the pieces, from `FLOOR` to 1."""
    steps = 1 + np.arange(1 << _BITS) / (1 << _BITS)
    starts = 2.0 ** np.arange(-octaves, 0)
    return np.append((starts[:, None] * steps).reshape(-1), 1.0)


def _cubics(nodes: Floats, values: Floats, octaves: int) -> Floats:
    """Coefficients in u, the distance from the start of a piece in units of the octave's."""
    spline = interpolate.CubicSpline(nodes, values)
    unit = 2.0 ** (np.arange(len(nodes) - 1) // (1 << _BITS) - octaves)
    pieces = spline.c[::-1].T * unit[:, None] ** np.arange(4)
    return np.vstack([pieces, [values[-1], 0, 0, 0]])


@njit(nogil=True, cache=True)
def locate(share_bits, last, piece, place_bits):
    """Find the piece of each share, and its place u there, as u + 1.

    Parameters
    ----------
    share_bits : ndarray of uint64
        The bits of the shares.
    last : uint64
        Number of the last piece; also where a share is not a number.
    piece : ndarray of uint64
        Filled.
    place_bits : ndarray of uint64
        Filled with the bits of u + 1.
    """
    for v in range(len(share_bits)):
        bits = share_bits[v]
        # Below the first piece the difference wraps around and is large.
        piece[v] = min((bits >> _SHIFT) - _FIRST, last)
        place_bits[v] = (bits & _LOW) | _ONE


@njit(nogil=True, cache=True)
def look_up(table, piece, place, out):
    """Fill ``out`` with the cubics of the pieces at the places (u + 1)."""
    for v in range(len(out)):
        u = place[v] - 1.0
        c = table[piece[v]]
        out[v] = c[0] + u * (c[1] + u * (c[2] + u * c[3]))
