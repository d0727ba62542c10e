"""From sums of products to z, for a block of locations: the kernels of t and F."""

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.stats.freedman_lane import PartitionedDesign
from ketbids.stats.products import BLOCK, multiply
from ketbids.stats.zscore import LARGEST_RATIO
from ketbids.stats.ztables import FLOOR, f_table, locate, look_up, t_table

__all__ = ['fill_z', 'model_table', 'z_of_block']

Floats = npt.NDArray[np.float64]


def model_table(parts: PartitionedDesign) -> Floats:
    """Table of t or, for a contrast of rank above 1, of F of a design."""
    if parts.rank == 1:
        return t_table(parts.dof)
    return f_table(parts.rank, parts.dof)


@njit(nogil=True, cache=True, error_model='numpy')
def z_of_block(sums, n_columns, rank, squares, table, scratch, out):
    """Fill ``out`` with z of one shuffle.

    Parameters
    ----------
    sums : ndarray, shape (n_columns * BLOCK,)
        Products of the shuffled basis with the residuals, the ``rank`` tested columns first.
    n_columns, rank : int
    squares : ndarray, shape (BLOCK,)
        Sum of squares of the residuals.
    table : ndarray
        From `model_table`.
    scratch : ndarray, shape (4, BLOCK)
    out : ndarray, shape (width,)
        At most BLOCK.
    """
    width = len(out)
    share, rest, place = scratch[0, :width], scratch[1, :width], scratch[2, :width]
    piece = scratch[3, :width].view(np.uint64)
    for v in range(width):
        rest[v] = squares[v]
    for column in range(rank, n_columns):
        s = sums[column * BLOCK : (column + 1) * BLOCK]
        for v in range(width):
            rest[v] -= s[v] * s[v]
    if rank == 1:
        root = rest
        for v in range(width):
            explained = sums[v] * sums[v]
            left = max(rest[v] - explained, squares[v] / LARGEST_RATIO)
            inverse = 1.0 / (left + explained)
            share[v] = left * inverse
            root[v] = sums[v] * np.sqrt(inverse)
        last = np.uint64(len(table) - 1)
        locate(share.view(np.uint64), last, piece, place.view(np.uint64))
        look_up(table, piece, place, out)
        for v in range(width):
            out[v] *= root[v]
    else:
        explained_sum = place
        explained_sum[:] = 0.0
        for column in range(rank):
            s = sums[column * BLOCK : (column + 1) * BLOCK]
            for v in range(width):
                explained_sum[v] += s[v] * s[v]
        half = len(table) // 2
        side = rest
        for v in range(width):
            explained = explained_sum[v]
            left = max(rest[v] - explained, squares[v] / LARGEST_RATIO)
            x, y = explained / (left + explained), left / (left + explained)
            share[v] = max(min(x, y), FLOOR)
            side[v] = 0.0 if x < y else float(half)
        last = np.uint64(half - 1)
        locate(share.view(np.uint64), last, piece, place.view(np.uint64))
        for v in range(width):
            piece[v] += np.uint64(side[v])
        look_up(table, piece, place, out)


@njit(nogil=True, cache=True)
def fill_z(tiles, squares, weights, n_columns, rank, table, out):
    """Fill z of some shuffles.

    Parameters
    ----------
    tiles : ndarray, shape (n_tiles, n_rows, BLOCK)
        Residuals of the nuisance.
    squares : ndarray, shape (n_tiles, BLOCK)
    weights : ndarray, shape (n_quartets, n_rows, 4)
        The shuffled bases, interleaved; those of a shuffle follow each other.
    n_columns, rank : int
    table : ndarray
    out : ndarray, shape (n_shuffles, n)
    """
    n_shuffles, n = out.shape
    sums = np.empty(weights.shape[0] * 4 * BLOCK)
    scratch = np.empty((4, BLOCK))
    for t in range(len(tiles)):
        multiply(tiles[t], weights, sums)
        start, stop = t * BLOCK, min((t + 1) * BLOCK, n)
        for shuffle in range(n_shuffles):
            first = shuffle * n_columns * BLOCK
            z_of_block(
                sums[first : first + n_columns * BLOCK], n_columns, rank, squares[t], table,
                scratch, out[shuffle, start:stop],
            )  # fmt: skip
