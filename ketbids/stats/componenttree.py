"""The component tree of a map on a graph: how the parts above a threshold grow and join.

Locations enter from the largest absolute value to the smallest. Each is a node of the tree, and
the node below it is the next location that enters the same part. Positive and negative locations
never join, so that one sweep builds the trees of both directions.

Most locations need no look at their neighbours: a path of steepest ascent leads from each to a
peak without ever going down, so that it enters the part of that peak. The locations with the same
peak are a basin; parts are sets of basins, of which there are few. Only where a neighbour that is
as high lies in another basin may parts join.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ['DIGIT', 'build_tree', 'in_decreasing_order', 'tree_memory']

#: Values of a digit of the sort.
DIGIT = 1 << 11
_LARGEST_KEY = DIGIT * DIGIT - 1
# Beyond these, the scale of the keys could overflow.
_SORTED_BY_KEYS = (1e-290, 1e290)
# Moves per location that a map may need after the sort by keys.
_MOVES = 16

_SIGN = np.int64(-0x8000000000000000)
_NONE = np.uint32(0xFFFFFFFF)
_LAST = np.uint32(0x80000000)


@njit(nogil=True, cache=True, error_model='numpy')
def in_decreasing_order(values, order, height, key, packed, counts):
    """Locations that are not 0 from the largest absolute value down; ties by position.

    A radix sort by keys of 22 bits, linear in the value, leaves few neighbours in the wrong
    order, which are then put right one by one. Maps that leave many are sorted by comparison.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Not NaN.
    order : ndarray of uint32, shape (n,)
        Filled with the locations.
    height : ndarray of float64, shape (n,)
        Filled with their absolute values.
    key, packed : ndarray of uint32 and of uint64, shape (n,)
        Memory.
    counts : ndarray of uint32, shape (2, DIGIT)
        Memory.

    Returns
    -------
    int
        Number of locations.
    """
    bits = values.view(np.int64)
    top_bits = np.int64(0)
    for i in range(len(bits)):
        top_bits = max(top_bits, bits[i] & ~_SIGN)
    if top_bits == 0:
        return 0
    top = 0.0
    for i in range(len(values)):
        if bits[i] & ~_SIGN == top_bits:
            top = abs(values[i])
            break
    if not _SORTED_BY_KEYS[0] < top < _SORTED_BY_KEYS[1]:
        return _by_comparison(values, order, height)
    scale = _LARGEST_KEY / top
    for i in range(len(values)):
        key[i] = np.uint32(_LARGEST_KEY) - np.uint32(np.int32(abs(values[i]) * scale))
    low, high = counts[0], counts[1]
    counts[:] = 0
    digit = np.uint32(DIGIT - 1)
    width = np.uint32(11)
    for i in range(len(values)):
        low[key[i] & digit] += np.uint32(1)
        high[key[i] >> width] += np.uint32(1)
    _to_starts(low)
    _to_starts(high)
    n = len(values)
    for i in range(n):
        place = key[i] & digit
        to = low[place]
        low[place] = to + np.uint32(1)
        packed[to] = (np.uint64(key[i] >> width) << np.uint64(32)) | np.uint64(i)
    for i in range(n):
        place = packed[i] >> np.uint64(32)
        to = high[place]
        high[place] = to + np.uint32(1)
        order[to] = np.uint32(packed[i] & np.uint64(0xFFFFFFFF))
    for k in range(n):
        height[k] = abs(values[order[k]])
    if not _repaired(order, height):
        return _by_comparison(values, order, height)
    # What is 0 stands last.
    while height[n - 1] == 0:
        n -= 1
    return n


@njit(nogil=True, cache=True)
def _to_starts(counts):
    """Turn how many there are of each into where the first of each stands."""
    total = np.uint32(0)
    for value in range(len(counts)):
        here = counts[value]
        counts[value] = total
        total += here


@njit(nogil=True, cache=True)
def _repaired(order, height):
    """Insertion sort; false if it would take long."""
    left = _MOVES * len(order)
    for k in range(1, len(order)):
        here = height[k]
        if height[k - 1] >= here:
            continue
        location = order[k]
        j = k
        while j > 0 and height[j - 1] < here:
            height[j] = height[j - 1]
            order[j] = order[j - 1]
            j -= 1
        height[j] = here
        order[j] = location
        left -= k - j
        if left < 0:
            return False
    return True


@njit(nogil=True, cache=True)
def _by_comparison(values, order, height):
    """The same order by a merge sort."""
    n = 0
    for k in np.argsort(-np.abs(values), kind='mergesort'):
        if values[k] != 0:
            order[n] = k
            height[n] = abs(values[k])
            n += 1
    return n


@njit(nogil=True, cache=True, error_model='numpy')
def build_tree(values, order, n, indptr, indices, tree, basins, memory):
    """Sweep the locations in their order and join the parts they belong to.

    Parameters
    ----------
    values : ndarray of float64, shape (n_locations,)
        Not NaN; 0 takes no part.
    order : ndarray of uint32
        From `in_decreasing_order`; the first ``n`` are used.
    n : int
    indptr, indices : ndarray of uint32
        Neighbours, compressed rows.
    tree : tuple of ndarray, shape (n_locations + 1,)
        Filled for each node: ``below``, uint32: the node below it (``n`` if there is none);
        ``area``, float64: extent of its part; ``basin``, uint32: a basin of its part.
    basins : ndarray of uint32, shape (n_locations,)
        Filled with the node of the peak of each basin, highest first.
    memory : tuple
        From `tree_memory`.

    Returns
    -------
    int
        Number of basins.
    """
    bits = values.view(np.int64)
    basin, higher, todo, crossing, record = memory[0]
    _ascend(bits, indptr, indices, basin, higher)
    n_basins = _number_basins(basin, order, n)
    _list_crossings(bits, indptr, indices, basin, higher, todo, crossing, record)
    _sweep(order, n, record, record.view(np.float64), crossing, tree, basins, memory[1])
    return n_basins


def tree_memory(extent: npt.NDArray[np.float64], n_edges: int) -> tuple:
    """Memory of `build_tree` for locations of these extents and ``n_edges`` entries of the graph.

    What the sweep needs of a location stands together in a record: its extent, its basin, and
    where its list of crossings begins.
    """
    n = len(extent)
    integers = np.empty((7, n), dtype=np.uint32)
    crossing = np.empty(n_edges + 1, dtype=np.uint32)
    record = np.empty((n, 4), dtype=np.uint32)
    record.view(np.float64)[:, 0] = extent
    basin, higher, todo = integers[:3]
    return (basin, higher, todo, crossing, record), (*integers[3:], np.empty(n))


@njit(nogil=True, cache=True)
def _ascend(bits, indptr, indices, up, higher):
    """The highest neighbour of each location (itself at a peak), and which are as high as it.

    The bits of doubles of one sign, read as integers, have the order of their absolute values;
    with the sign of the location removed, neighbours of the other sign are negative.
    Neighbours from the 33rd on share the bits of ``higher`` with the first ones.
    """
    for v in range(len(bits)):
        sign = bits[v] & _SIGN
        here = bits[v] ^ sign
        best, place = here, np.uint32(v)
        found, slot = np.uint32(0), np.uint32(0)
        for j in range(indptr[v], indptr[v + 1]):
            u = indices[j]
            there = bits[u] ^ sign
            found |= np.uint32(there >= here) << (slot & np.uint32(31))
            slot += np.uint32(1)
            place = u if there > best else place
            best = max(there, best)
        up[v] = place
        higher[v] = found


@njit(nogil=True, cache=True)
def _number_basins(basin, order, n):
    """Turn the way up into the number of the basin, in the order of the peaks."""
    n_basins = np.uint32(0)
    for k in range(n):
        v = order[k]
        up = basin[v]
        if up == v:
            basin[v] = n_basins
            n_basins += np.uint32(1)
        else:
            # It stands earlier in the order: its number is known.
            basin[v] = basin[up]
    return n_basins


@njit(nogil=True, cache=True)
def _list_crossings(bits, indptr, indices, basin, higher, todo, crossing, record):
    """Other basins in which a location has a neighbour as high as it; the last is marked."""
    n_todo = 0
    for v in range(len(bits)):
        here = basin[v]
        found, slot = np.uint32(0), np.uint32(0)
        for j in range(indptr[v], indptr[v + 1]):
            found |= np.uint32(basin[indices[j]] != here) << (slot & np.uint32(31))
            slot += np.uint32(1)
        todo[n_todo] = v
        n_todo += int(((found & higher[v]) != 0) & (bits[v] != 0))
        record[v, 2] = here
        record[v, 3] = _NONE
    end = 0
    for k in range(n_todo):
        v = todo[k]
        sign = bits[v] & _SIGN
        height = bits[v] ^ sign
        start = end
        for j in range(indptr[v], indptr[v + 1]):
            u = indices[j]
            crossing[end] = basin[u]
            end += int(((bits[u] ^ sign) >= height) & (basin[u] != basin[v]))
        if end > start:
            record[v, 3] = start
            crossing[end - 1] |= _LAST


@njit(nogil=True, cache=True)
def _sweep(order, n, record, extents, crossing, tree, basins, memory):
    """Let the locations enter; parts are known by one of their basins."""
    below, areas, part = tree
    root, link, latest, size, area = memory
    n_open = 0
    for k in range(n):
        v = order[k]
        b = record[v, 2]
        if b == n_open:
            n_open += 1
            basins[b] = k
            root[b] = link[b] = b
            size[b] = 1
            area[b] = extents[v, 0]
            r = b
        else:
            r = root[b]
            below[latest[r]] = k
            area[r] += extents[v, 0]
        j = record[v, 3]
        while j != _NONE:
            entry = crossing[j]
            other = entry & ~_LAST
            # Of two that are as high, the later one sees the other.
            if other < n_open and root[other] != r:
                u = root[other]
                below[latest[u]] = k
                if size[u] > size[r]:
                    u, r = r, u
                area[r] += area[u]
                size[r] += size[u]
                # The basins of a part are a ring: all of the smaller get the new name.
                w = u
                root[w] = r
                while link[w] != u:
                    w = link[w]
                    root[w] = r
                link[w] = link[r]
                link[r] = u
            j = _NONE if entry & _LAST else j + np.uint32(1)
        latest[r] = k
        below[k] = n
        areas[k] = area[r]
        part[k] = b
    return n_open
