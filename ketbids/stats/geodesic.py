"""Lengths of short paths along a triangle mesh."""

import heapq

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import sparse

from ketbids.stats.brainmodels import Surface

__all__ = ['crossing_lengths', 'distances_within', 'edge_lengths']


def edge_lengths(surface: Surface) -> sparse.csr_matrix:
    """Lengths of the edges, symmetric; shape (n_vertices, n_vertices)."""
    points = np.asarray(surface.coordinates, dtype=np.float64)
    n = len(points)
    ends = np.sort(surface.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    a, b = np.divmod(np.unique(ends[:, 0] * np.int64(n) + ends[:, 1]), n)
    return _symmetric(a, b, np.linalg.norm(points[a] - points[b], axis=1), n)


def crossing_lengths(surface: Surface, edges: sparse.csr_matrix) -> sparse.csr_matrix:
    """Lengths of straight paths between the far corners of two triangles that share an edge.

    The two are unfolded into one plane; the path must cross the shared edge inside.

    Parameters
    ----------
    surface : Surface
    edges : sparse matrix, shape (n_vertices, n_vertices)
        What `edge_lengths` gives; two vertices that share an edge have no other path.

    Returns
    -------
    sparse matrix, shape (n_vertices, n_vertices)
        Symmetric.
    """
    points = np.asarray(surface.coordinates, dtype=np.float64)
    triangles = surface.triangles
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    far = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    ends = np.sort(ends, axis=1)
    key = ends[:, 0] * np.int64(len(points)) + ends[:, 1]
    order = np.argsort(key, kind='stable')
    key, ends, far = key[order], ends[order], far[order]
    pair = np.flatnonzero(key[1:] == key[:-1])
    a, b = ends[pair].T
    c, d = far[pair], far[pair + 1]
    length = np.linalg.norm(points[b] - points[a], axis=1)
    with np.errstate(invalid='ignore', divide='ignore'):
        along = (points[b] - points[a]) / length[:, None]
        x_c, y_c = _in_plane(points[c] - points[a], along)
        x_d, y_d = _in_plane(points[d] - points[a], along)
        where = x_c + (x_d - x_c) * y_c / (y_c + y_d)
        inside = (where > 0) & (where < length) & (c != d)
    straight = np.hypot(x_c - x_d, y_c + y_d)[inside]
    found = _symmetric(c[inside], d[inside], straight, len(points))
    # In a closed mesh of few triangles the far corners may be neighbours already.
    return (found - found.multiply(edges > 0)).tocsr()


def _in_plane(
    offset: npt.NDArray[np.float64], along: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    x = (offset * along).sum(axis=1)
    return x, np.sqrt(np.maximum((offset**2).sum(axis=1) - x**2, 0))


def _symmetric(
    a: npt.NDArray[np.int32], b: npt.NDArray[np.int32], value: npt.NDArray[np.float64], n: int
) -> sparse.csr_matrix:
    """Sparse matrix with ``value`` at (a, b) and (b, a); the smaller one of repeated pairs."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    order = np.lexsort((value, high, low))
    low, high, value = low[order], high[order], value[order]
    first = np.ones(len(low), dtype=bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    low, high, value = low[first], high[first], value[first]
    where = np.concatenate([low, high]), np.concatenate([high, low])
    return sparse.csr_matrix((np.concatenate([value, value]), where), shape=(n, n))


@njit(nogil=True, cache=True)
def distances_within(indptr, indices, lengths, radius):
    """Shortest paths up to a radius from every vertex, as compressed rows (self included)."""
    n = len(indptr) - 1
    found_ptr = np.zeros(n + 1, np.int64)
    size = 32 * n
    found = np.empty(size, np.int64)
    found_distance = np.empty(size, np.float64)
    shortest = np.full(n, np.inf)
    count = 0
    for source in range(n):
        start = count
        shortest[source] = 0.0
        touched = [source]
        heap = [(0.0, source)]
        while len(heap) > 0:
            distance, vertex = heapq.heappop(heap)
            if distance > shortest[vertex]:
                continue
            if count == size:
                size *= 2
                longer = np.empty(size, np.int64)
                longer[:count] = found
                found = longer
                longer_distance = np.empty(size, np.float64)
                longer_distance[:count] = found_distance
                found_distance = longer_distance
            found[count] = vertex
            found_distance[count] = distance
            count += 1
            for e in range(indptr[vertex], indptr[vertex + 1]):
                further = distance + lengths[e]
                other = indices[e]
                if further <= radius and further < shortest[other]:
                    if shortest[other] == np.inf:
                        touched.append(other)
                    shortest[other] = further
                    heapq.heappush(heap, (further, other))
        for vertex in touched:
            shortest[vertex] = np.inf
        order = np.argsort(found[start:count])
        found[start:count] = found[start:count][order]
        found_distance[start:count] = found_distance[start:count][order]
        found_ptr[source + 1] = count
    return found_ptr, found[:count], found_distance[:count]
