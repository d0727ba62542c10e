"""Gaussian smoothing within each structure: along the cortex, and in the voxel grid."""

import heapq
from collections.abc import Mapping
from itertools import product

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import sparse

from ketbids.errors import InputError
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.graph import vertex_areas

__all__ = ['apply_smoothing', 'fwhm_to_sigma', 'smoothing_matrix']

#: Kernels end at this many standard deviations.
_CUT_OFF = 3.0


def fwhm_to_sigma(fwhm: float) -> float:
    """Standard deviation of a Gaussian from its full width at half maximum (same unit)."""
    return fwhm / np.sqrt(8 * np.log(2))


def smoothing_matrix(
    models: BrainModels, surfaces: Mapping[str, Surface], fwhm: float
) -> sparse.csr_matrix:
    r"""Weights that smooth grayordinates, each structure by itself.

    The weights are those of ``wb_command -cifti-smoothing`` (Connectome Workbench 1.5), found by
    experiment. For vertices, vertex ``j`` spreads over the whole surface, and each vertex ``i``
    of the brain models averages what reaches it:

    .. math:: w_{ij} \propto \frac{K_{ij} a_j}{\sum_k K_{kj} a_k}, \qquad \sum_j w_{ij} = 1,

    where ``a`` are vertex areas, ``k`` runs over all vertices (medial wall included) and ``K`` is
    a Gaussian of the geodesic distance on the whole surface. Paths go along edges of triangles
    and straight across the shared edge of two triangles unfolded into a plane; they end at three
    standard deviations. A vertex ``j`` that reaches fewer vertices than it has neighbours
    (a coarse mesh, a narrow kernel) spreads over its neighbours along edges instead. For voxels
    the kernel is a Gaussian in a box of ``max(1, floor(3 sigma / voxel size))`` voxels either
    way, normalised over the voxels of the structure.

    Parameters
    ----------
    models : BrainModels
        The grayordinates.
    surfaces : mapping of str to Surface
        A mesh (midthickness) for each surface structure of ``models``.
    fwhm : float
        Full width at half maximum in mm; 0 does not smooth.

    Returns
    -------
    scipy.sparse.csr_matrix, shape (n_grayordinates, n_grayordinates)
        Rows sum to 1; ``matrix @ map`` is the smoothed map.

    Raises
    ------
    InputError
        The width is negative or not finite, or a surface is missing or does not fit.
    """
    if not np.isfinite(fwhm) or fwhm < 0:
        raise InputError(
            f'The smoothing FWHM is {fwhm} mm; it must be 0 (no smoothing) or a positive number.'
        )
    n = len(models)
    if fwhm == 0:
        return sparse.identity(n, dtype=np.float64, format='csr')
    sigma = fwhm_to_sigma(fwhm)
    blocks = []
    for name in models.names:
        columns = models.where(name)
        if name in models.n_vertices:
            surface = _surface_of(name, models, surfaces)
            block = _surface_weights(surface, models.vertex[columns], sigma)
        else:
            assert models.affine is not None
            block = _voxel_weights(models.voxel[columns], models.affine, sigma)
        blocks.append((columns.start, block.tocoo()))
    rows, cols, weights = (
        np.concatenate(parts)
        for parts in zip(
            *((start + b.row, start + b.col, b.data) for start, b in blocks), strict=True
        )
    )
    return sparse.csr_matrix((weights, (rows, cols)), shape=(n, n))


def apply_smoothing(
    matrix: sparse.csr_matrix,
    data: npt.NDArray[np.floating],
    frames: int = 32,
    valid: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.floating]:
    """Smooth maps; grayordinates without data neither give nor get any.

    Without `valid`, a grayordinate has no data if any of its values is not finite or all are 0.
    Its values are returned as they are, and its weight is shared out among the others.

    Parameters
    ----------
    matrix : sparse matrix, shape (n_grayordinates, n_grayordinates)
        Weights of :func:`smoothing_matrix`.
    data : ndarray of float, shape (n_frames, n_grayordinates)
        Maps.
    frames : int
        Frames in work at a time, which bounds the memory.
    valid : ndarray of bool, shape (n_grayordinates,), optional
        Which grayordinates have data.

    Returns
    -------
    ndarray, shape (n_frames, n_grayordinates), type of ``data``
        Smoothed maps.

    Raises
    ------
    InputError
        The matrix is for another number of grayordinates.
    """
    data = np.asarray(data)
    if data.ndim != 2 or matrix.shape != (data.shape[1], data.shape[1]):
        raise InputError(
            f'Smoothing weights of shape {matrix.shape} do not fit data of shape {data.shape}: '
            'take both from files with the same grayordinates.'
        )
    kind = data.dtype if np.issubdtype(data.dtype, np.floating) else np.dtype(np.float64)
    if valid is None:
        valid = np.isfinite(data).all(axis=0) & (data != 0).any(axis=0)
    out = data.astype(kind, copy=True)
    weights = matrix.tocsr()
    if not valid.all():
        weights = weights[valid][:, valid]
        total = np.asarray(weights.sum(axis=1)).ravel()
        weights = sparse.diags(1 / np.where(total > 0, total, 1)) @ weights
    for start in range(0, len(data), frames):
        part = slice(start, start + frames)
        out[part, valid] = (weights @ np.ascontiguousarray(data[part, valid].T)).T
    return out


def _surface_of(name: str, models: BrainModels, surfaces: Mapping[str, Surface]) -> Surface:
    if name not in surfaces:
        raise InputError(
            f'Smoothing needs a surface for {name}; there are surfaces for: '
            f'{", ".join(surfaces) or "none"}. Give the midthickness surface of this hemisphere.'
        )
    surface = surfaces[name]
    found = len(surface.coordinates)
    if found != models.n_vertices[name]:
        raise InputError(
            f'The surface for {name} has {found} vertices, the data are on a surface of '
            f'{models.n_vertices[name]}: give the surface of the same density.'
        )
    return surface


def _surface_weights(
    surface: Surface, vertices: npt.NDArray[np.int32], sigma: float
) -> sparse.csr_matrix:
    """Weights between the vertices of one surface that are in the brain models."""
    edges, crossings = _edges(surface), _crossings(surface)
    graph = (edges + crossings).tocsr()
    indptr, indices, distances = _distances_within(
        graph.indptr.astype(np.int64),
        graph.indices.astype(np.int64),
        graph.data,
        _CUT_OFF * sigma,
    )
    kernel = sparse.csr_matrix((_gaussian(distances, sigma), indices, indptr), shape=graph.shape)
    few = np.diff(indptr) <= np.diff(edges.indptr)
    if few.any():
        ring = edges.copy()
        ring.data = _gaussian(edges.data, sigma)
        ring = ring + sparse.identity(len(few))
        kernel = _select(~few) @ kernel + _select(few) @ ring
    areas = vertex_areas(surface)
    spread = kernel @ areas
    share = np.divide(areas, spread, out=np.zeros_like(areas), where=spread > 0)
    given = sparse.csr_matrix(_select(share) @ kernel)
    weights = given[vertices][:, vertices].T.tocsr()
    total = np.asarray(weights.sum(axis=1)).ravel()
    # Vertices of no triangle have neither area nor neighbours: they keep their own value.
    alone = total <= 0
    return (_select(1 / np.where(alone, 1, total)) @ weights + _select(alone)).tocsr()


def _select(factor: npt.NDArray) -> sparse.dia_matrix:
    """Diagonal matrix, to multiply (or choose) rows."""
    return sparse.diags(factor.astype(np.float64))


def _gaussian(distance: npt.NDArray[np.float64], sigma: float) -> npt.NDArray[np.float64]:
    return np.exp(-0.5 * (distance / sigma) ** 2)


def _edges(surface: Surface) -> sparse.csr_matrix:
    """Lengths of the edges, symmetric; shape (n_vertices, n_vertices)."""
    points = np.asarray(surface.coordinates, dtype=np.float64)
    ends = np.sort(surface.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    a, b = np.unique(ends, axis=0).T
    return _symmetric(a, b, np.linalg.norm(points[a] - points[b], axis=1), len(points))


def _crossings(surface: Surface) -> sparse.csr_matrix:
    """Lengths of straight paths between the far corners of two triangles that share an edge.

    The two are unfolded into one plane; the path must cross the shared edge inside.
    """
    points = np.asarray(surface.coordinates, dtype=np.float64)
    triangles = surface.triangles
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    far = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    ends = np.sort(ends, axis=1)
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    ends, far = ends[order], far[order]
    pair = np.flatnonzero((ends[1:] == ends[:-1]).all(axis=1))
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
    neighbours = _edges(surface)
    found = _symmetric(c[inside], d[inside], straight, len(points))
    # In a closed mesh of few triangles the far corners may be neighbours already.
    return (found - found.multiply(neighbours > 0)).tocsr()


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
def _distances_within(indptr, indices, lengths, radius):
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


def _voxel_weights(
    voxels: npt.NDArray[np.int32], affine: npt.NDArray[np.float64], sigma: float
) -> sparse.csr_matrix:
    """Weights between the voxels of one structure."""
    n = len(voxels)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    reach = np.maximum(1, np.floor(_CUT_OFF * sigma / spacing)).astype(int)
    low = voxels.min(axis=0) - reach
    grid = np.full(voxels.max(axis=0) + reach + 1 - low, -1, dtype=np.int32)
    place = voxels - low
    grid[tuple(place.T)] = np.arange(n, dtype=np.int32)
    rows, cols, weights = [], [], []
    for offset in product(*(range(-step, step + 1) for step in reach)):
        other = grid[tuple((place + offset).T)]
        here = np.flatnonzero(other >= 0)
        distance = np.linalg.norm(affine[:3, :3] @ offset)
        rows.append(here)
        cols.append(other[here])
        weights.append(np.full(len(here), np.exp(-0.5 * (distance / sigma) ** 2)))
    kernel = sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(cols))), shape=(n, n)
    )
    return (sparse.diags(1 / np.asarray(kernel.sum(axis=1)).ravel()) @ kernel).tocsr()
