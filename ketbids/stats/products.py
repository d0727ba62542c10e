"""Sums of products of shuffled designs with residuals, the same bits however they are cut up.

A sum runs over the rows one by one, each step one fused multiply-add (one rounding, by IEEE 754).
So a value depends neither on the other locations or shuffles that are done with it nor on the
width of a processor's vectors; a matrix product of BLAS does not promise that.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
from numba import njit, types
from numba.extending import intrinsic

__all__ = ['BLOCK', 'fma', 'interleave', 'multiply', 'tile_residuals']

Floats = npt.NDArray[np.float64]

#: Locations in a tile: its rows and the sums stay in the fastest cache.
BLOCK = 128


@intrinsic
def _fma(typingctx, a, b, c):
    signature = types.float64(types.float64, types.float64, types.float64)

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return signature, codegen


#: a * b + c with one rounding, in compiled functions.
fma = cast(Callable[[float, float, float], float], _fma)


def interleave(weights: Floats) -> Floats:
    """Weights in the order in which `multiply` reads them: four sums at a time.

    Parameters
    ----------
    weights : ndarray, shape (n_sums, n_rows)

    Returns
    -------
    ndarray, shape (n_quartets, n_rows, 4)
        Filled up with 0.
    """
    n_sums, n_rows = weights.shape
    n_quartets = -(-n_sums // 4)
    padded = np.zeros((n_quartets * 4, n_rows))
    padded[:n_sums] = weights
    return np.ascontiguousarray(padded.reshape(n_quartets, 4, n_rows).transpose(0, 2, 1))


@njit(nogil=True, cache=True)
def multiply(tile, weights, sums):
    """Fill ``sums`` with weighted sums over the rows of a tile.

    Parameters
    ----------
    tile : ndarray, shape (n_rows, BLOCK)
    weights : ndarray, shape (n_quartets, n_rows, 4)
        From `interleave`.
    sums : ndarray, shape (n_quartets * 4 * BLOCK,)
        Filled: sum k has the places k BLOCK to (k + 1) BLOCK.
    """
    n_quartets, n_rows, _ = weights.shape
    rows = tile.reshape(-1)
    for quartet in range(n_quartets):
        # The places in e and s are a constant away from each other: that makes it vectorise.
        s = sums[quartet * 4 * BLOCK : (quartet + 1) * 4 * BLOCK]
        s[:] = 0.0
        row = 0
        while row + 4 <= n_rows:
            e = rows[row * BLOCK : (row + 4) * BLOCK]
            w = weights[quartet, row]
            a0, b0, c0, d0 = w[0], w[1], w[2], w[3]
            w = weights[quartet, row + 1]
            a1, b1, c1, d1 = w[0], w[1], w[2], w[3]
            w = weights[quartet, row + 2]
            a2, b2, c2, d2 = w[0], w[1], w[2], w[3]
            w = weights[quartet, row + 3]
            a3, b3, c3, d3 = w[0], w[1], w[2], w[3]
            for v in range(BLOCK):
                e0, e1, e2, e3 = e[v], e[v + BLOCK], e[v + 2 * BLOCK], e[v + 3 * BLOCK]
                a, b, c, d = s[v], s[v + BLOCK], s[v + 2 * BLOCK], s[v + 3 * BLOCK]
                s[v] = fma(a3, e3, fma(a2, e2, fma(a1, e1, fma(a0, e0, a))))
                s[v + BLOCK] = fma(b3, e3, fma(b2, e2, fma(b1, e1, fma(b0, e0, b))))
                s[v + 2 * BLOCK] = fma(c3, e3, fma(c2, e2, fma(c1, e1, fma(c0, e0, c))))
                s[v + 3 * BLOCK] = fma(d3, e3, fma(d2, e2, fma(d1, e1, fma(d0, e0, d))))
            row += 4
        while row < n_rows:
            e = rows[row * BLOCK : (row + 1) * BLOCK]
            w = weights[quartet, row]
            a0, b0, c0, d0 = w[0], w[1], w[2], w[3]
            for v in range(BLOCK):
                s[v] = fma(a0, e[v], s[v])
                s[v + BLOCK] = fma(b0, e[v], s[v + BLOCK])
                s[v + 2 * BLOCK] = fma(c0, e[v], s[v + 2 * BLOCK])
                s[v + 3 * BLOCK] = fma(d0, e[v], s[v + 3 * BLOCK])
            row += 1


def tile_residuals(
    data: npt.NDArray[np.floating],
    columns: npt.NDArray[np.integer] | slice,
    nuisance: Floats,
) -> tuple[Floats, Floats]:
    """What orthonormal nuisance columns leave of the data, in tiles.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_all)
    columns : ndarray of int or slice
        Which of the data; n of them.
    nuisance : ndarray, shape (n_rows, n_nuisance)

    Returns
    -------
    tiles : ndarray, shape (n_tiles, n_rows, BLOCK)
        Residuals; the last tile is filled up with 0.
    squares : ndarray, shape (n_tiles, BLOCK)
        Sums of their squares; 1 where it is filled up.
    """
    numbers = np.arange(data.shape[1])[columns]
    n, n_rows = len(numbers), len(data)
    tiles = np.zeros((-(-n // BLOCK), n_rows, BLOCK))
    for i, tile in enumerate(tiles):
        some = numbers[i * BLOCK : (i + 1) * BLOCK]
        tile[:, : len(some)] = data[:, some]
    squares = np.empty((len(tiles), BLOCK))
    _subtract(tiles, np.ascontiguousarray(nuisance.T), interleave(nuisance.T), squares)
    squares.reshape(-1)[n:] = 1.0
    return tiles, squares


@njit(nogil=True, cache=True)
def _subtract(tiles, columns, weights, squares):
    """Project tiles on what is orthogonal to columns, (n_columns, n_rows); sum the squares."""
    n_tiles, n_rows, _ = tiles.shape
    sums = np.empty(weights.shape[0] * 4 * BLOCK)
    for t in range(n_tiles):
        for _ in range(2):  # once more removes what rounding left
            multiply(tiles[t], weights, sums)
            for column in range(len(columns)):
                s = sums[column * BLOCK : (column + 1) * BLOCK]
                for row in range(n_rows):
                    e = tiles[t, row]
                    w = -columns[column, row]
                    for v in range(BLOCK):
                        e[v] = fma(w, s[v], e[v])
        total = squares[t]
        total[:] = 0.0
        for row in range(n_rows):
            e = tiles[t, row]
            for v in range(BLOCK):
                total[v] = fma(e[v], e[v], total[v])
