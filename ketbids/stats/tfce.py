"""Threshold-free cluster enhancement as an exact integral over the component tree.

The enhanced value of a grayordinate p with statistic D(p) > 0 is

    TFCE(p) = integral from 0 to D(p) of e_p(h)^E h^H dh

where e_p(h) is the extent of the connected part of {D >= h} that contains p (Smith & Nichols
2009, NeuroImage 44:83-98). e_p is a step function: it changes only where the part that contains p
takes in another grayordinate. Adding grayordinates from the highest to the lowest and joining
parts with union-find meets all of these steps, so that the integral is a finite sum and needs no
step size.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.errors import InputError
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX
from ketbids.stats.graph import Graph

__all__ = ['DEFAULT_EXPONENTS', 'Enhancer', 'Exponents', 'tfce']

_DIGIT_BITS = 11
_N_DIGITS = 6


class Exponents(NamedTuple):
    """Exponents of TFCE: ``height`` (H) of the threshold, ``extent`` (E) of the cluster."""

    height: float
    extent: float


#: Smith & Nichols 2009 for volumes; PALM's ``-tfce2D`` for surfaces.
DEFAULT_EXPONENTS: Mapping[int, Exponents] = MappingProxyType(
    {CORTEX: Exponents(2.0, 1.0), SUBCORTEX: Exponents(2.0, 0.5)}
)


class Enhancer:
    """TFCE of many maps over the same grayordinates, with memory that is reused.

    One instance serves one thread at a time.

    Parameters
    ----------
    graph : Graph
        Neighbours.
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex, 1 for a voxel.
    partition : ndarray of int, shape (n_grayordinates,)
        Code of the partition of each grayordinate.
    exponents : mapping of int to Exponents
        H and E of each partition code.

    Attributes
    ----------
    n_partitions : int
        One more than the highest partition code of ``exponents``.

    Raises
    ------
    InputError
        The arguments have different lengths, an extent is not finite or negative, or a partition
        has no exponents.
    """

    def __init__(
        self,
        graph: Graph,
        extent: npt.NDArray[np.float64],
        partition: npt.NDArray[np.integer],
        exponents: Mapping[int, Exponents] = DEFAULT_EXPONENTS,
    ) -> None:
        n = len(graph.indptr) - 1
        if len(extent) != n or len(partition) != n:
            raise InputError(
                f'TFCE: the graph has {n} grayordinates, the extents {len(extent)}, '
                f'the partitions {len(partition)}; they must describe the same map.'
            )
        if not np.all(np.isfinite(extent) & (np.asarray(extent) >= 0)):
            raise InputError('TFCE: the extents (mm^2 or voxels) must be finite and >= 0.')
        missing = sorted(set(np.unique(partition).tolist()) - set(exponents))
        if missing:
            raise InputError(f'TFCE: no exponents H and E for partition {missing[0]}.')
        self.n_partitions = max(exponents) + 1
        self._height = np.full(self.n_partitions, 2.0)
        self._size = np.ones(self.n_partitions)
        for code, pair in exponents.items():
            self._height[code], self._size[code] = pair
        self._graph = graph
        self._extent = np.ascontiguousarray(extent, dtype=np.float64)
        self._partition = np.ascontiguousarray(partition, dtype=np.int8)
        self._integers = np.empty((6, n), dtype=np.int32)
        self._floats = np.empty((3, n))
        self._keys = np.empty((2, n), dtype=np.uint64)
        self._counts = np.empty((_N_DIGITS, 1 << _DIGIT_BITS), dtype=np.int64)

    def enhance(
        self, statistic: npt.NDArray[np.float64], sign: float, out: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """TFCE of the positive part of ``sign * statistic``.

        Parameters
        ----------
        statistic : ndarray of float64, shape (n_grayordinates,)
            Map, finite or NaN; NaN takes no part and joins nothing.
        sign : {1, -1}
            Direction.
        out : ndarray of float64, shape (n_grayordinates,)
            Filled with the enhanced map; 0 where ``sign * statistic`` is not positive.

        Returns
        -------
        ndarray, shape (n_partitions,)
            The largest enhanced value of each partition (0 if nothing is positive).
        """
        order = _decreasing(statistic, sign, self._integers, self._keys, self._counts)
        return _enhance(
            order,
            statistic,
            sign,
            self._graph.indptr,
            self._graph.indices,
            self._extent,
            self._partition,
            self._height,
            self._size,
            self._integers,
            self._floats,
            out,
        )


def tfce(
    statistic: npt.ArrayLike,
    graph: Graph,
    extent: npt.NDArray[np.float64],
    partition: npt.NDArray[np.integer],
    exponents: Mapping[int, Exponents] = DEFAULT_EXPONENTS,
) -> npt.NDArray[np.float64]:
    """Exact TFCE of the positive part of a map; negate the map for the other direction.

    Parameters
    ----------
    statistic : array_like, shape (n_grayordinates,)
        Map (z units in group analyses). NaN takes no part, joins nothing and stays NaN.
    graph : Graph
        Neighbours.
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex, 1 for a voxel.
    partition : ndarray of int, shape (n_grayordinates,)
        Which exponents are used; connected grayordinates must share their partition.
    exponents : mapping of int to Exponents
        H and E of each partition; default: cortex 2 and 1, subcortex 2 and 0.5.

    Returns
    -------
    ndarray, shape (n_grayordinates,)
        Enhanced values >= 0, NaN where ``statistic`` is.

    Raises
    ------
    InputError
        Lengths differ, or a value is infinite.

    References
    ----------
    Smith & Nichols 2009, NeuroImage 44:83-98.
    """
    values = np.ascontiguousarray(statistic, dtype=np.float64)
    enhancer = Enhancer(graph, extent, partition, exponents)
    if values.shape != (len(graph.indptr) - 1,):
        raise InputError(
            f'TFCE: the map has shape {values.shape}, the graph {len(graph.indptr) - 1} '
            'grayordinates; they must describe the same map.'
        )
    if np.isinf(values).any():
        raise InputError('TFCE: the map has infinite values; mask them with NaN.')
    out = np.empty_like(values)
    enhancer.enhance(values, 1.0, out)
    out[np.isnan(values)] = np.nan
    return out


@njit(nogil=True, cache=True)
def _decreasing(statistic, sign, integers, keys, counts):
    """Grayordinates with a positive value from the highest to the lowest; ties by position.

    A radix sort: the bits of positive doubles, read as integers, have the order of the doubles.
    """
    bits = statistic.view(np.uint64)
    largest = np.uint64(0x7FFFFFFFFFFFFFFF)
    digit = np.uint64((1 << _DIGIT_BITS) - 1)
    order, spare = integers[0], integers[1]
    key, spare_key = keys[0], keys[1]
    counts[:] = 0
    n = 0
    for i in range(len(statistic)):
        if sign * statistic[i] > 0:
            # Without the sign bit and complemented: increasing keys are decreasing values.
            code = largest - (bits[i] & largest)
            order[n] = i
            key[n] = code
            n += 1
            for place in range(_N_DIGITS):
                counts[place, (code >> np.uint64(_DIGIT_BITS * place)) & digit] += 1
    for place in range(_N_DIGITS):
        shift = np.uint64(_DIGIT_BITS * place)
        if n == 0 or counts[place, (key[0] >> shift) & digit] == n:
            continue
        total = 0
        for value in range(counts.shape[1]):
            here = counts[place, value]
            counts[place, value] = total
            total += here
        for i in range(n):
            value = (key[i] >> shift) & digit
            to = counts[place, value]
            counts[place, value] = to + 1
            spare[to] = order[i]
            spare_key[to] = key[i]
        order, spare = spare, order
        key, spare_key = spare_key, key
    return order[:n]


@njit(nogil=True, cache=True)
def _power(base, exponent):
    """``base ** exponent`` with the common exponents done without pow."""
    if exponent == 1.0:
        return base
    if exponent == 0.5:
        return np.sqrt(base)
    if exponent == 3.0:
        return base * base * base
    return base**exponent


@njit(nogil=True, cache=True)
def _enhance(
    order, statistic, sign, indptr, indices, extent, partition, height, size, integers, floats, out
):
    """Sum the integral over the component tree; returns the maximum of each partition.

    Each grayordinate is a node of the tree, at its own height, from the highest down. The sets of
    union-find are kept apart from the tree, so that they can be joined by size: ``node`` says
    which node is the lowest of a set so far. When a lower grayordinate joins a set, the extent of
    that set has held from its node's height down to this one: that is the node's share.
    """
    up, node, below = integers[2], integers[3], integers[4]
    members = integers[5]
    area, share, level = floats[0], floats[1], floats[2]
    up[:] = -1
    for v in order:
        code = partition[v]
        level[v] = _power(sign * statistic[v], height[code] + 1) / (height[code] + 1)
        root = v
        up[v] = v
        below[v] = -1
        area[v] = extent[v]
        members[v] = 1
        for k in range(indptr[v], indptr[v + 1]):
            u = indices[k]
            if up[u] < 0:
                continue
            while up[u] != u:
                up[u] = up[up[u]]
                u = up[u]
            if u == root:
                continue
            closed = node[u]
            share[closed] = _power(area[u], size[code]) * (level[closed] - level[v])
            below[closed] = v
            if members[u] >= members[root]:
                root, u = u, root
            up[u] = root
            area[root] += area[u]
            members[root] += members[u]
        node[root] = v
    out[:] = 0.0
    highest = np.zeros(len(height))
    for k in range(len(order) - 1, -1, -1):
        v = order[k]
        code = partition[v]
        if below[v] >= 0:
            out[v] = out[below[v]] + share[v]
        else:
            root = v
            while up[root] != root:
                root = up[root]
            out[v] = _power(area[root], size[code]) * level[v]
        highest[code] = max(highest[code], out[v])
    return highest
