"""Gaussian smoothing within each structure: along the cortex, and in the voxel grid."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import sparse

from ketbids.errors import InputError
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.fwhm import fwhm_to_sigma
from ketbids.stats.geodesic import crossing_lengths, distances_within, edge_lengths
from ketbids.stats.graph import vertex_areas

__all__ = ['apply_smoothing', 'smoothed_parts', 'smoothing_matrix']

#: Kernels end at this many standard deviations.
_CUT_OFF = 3.0
#: Grayordinates that a thread takes at a time.
_ROWS = 1024


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
    for code in np.unique(models.structure):
        name = models.names[code]
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
    *,
    valid: npt.NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> npt.NDArray[np.floating]:
    """Smooth maps; grayordinates without data neither give nor get any.

    Without `valid`, a grayordinate has no data if any of its values is not finite or all are 0.
    Its values are returned as they are, and its weight is shared out among the others. Products
    of single precision data are added up eight at a time in that precision, these sums in double
    precision, in an order that does not depend on the number of threads.

    Parameters
    ----------
    matrix : sparse matrix, shape (n_grayordinates, n_grayordinates)
        Weights of :func:`smoothing_matrix`; rows need not sum to 1.
    data : ndarray of float, shape (n_frames, n_grayordinates)
        Maps. Fastest if the values of a grayordinate follow each other (Fortran order, as
        :func:`ketbids.io.cifti.read_series` gives it).
    valid : ndarray of bool, shape (n_grayordinates,), optional
        Which grayordinates have data.
    threads : int

    Returns
    -------
    ndarray, shape (n_frames, n_grayordinates), type of ``data``
        Smoothed maps, in Fortran order.

    Raises
    ------
    InputError
        The matrix is for another number of grayordinates.
    """
    rows, fill = _averaging(matrix, data, valid)
    out = np.empty(rows, np.float32 if np.asarray(data).dtype == np.float32 else np.float64)
    firsts = range(0, len(out), _ROWS)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda first: fill(first, out[first : first + _ROWS]), firsts))
    return out.T


def smoothed_parts(
    matrix: sparse.csr_matrix,
    data: npt.NDArray[np.float32],
    *,
    valid: npt.NDArray[np.bool_] | None = None,
    threads: int = 1,
) -> Iterator[npt.NDArray[np.float32]]:
    """Do what :func:`apply_smoothing` does, some grayordinates after the others.

    Parameters
    ----------
    matrix, data, valid, threads
        See there; single precision only.

    Yields
    ------
    ndarray of float32, shape (n_frames, some grayordinates)
        In Fortran order. Its memory is used again: it holds until a later one is asked for.

    Raises
    ------
    InputError
        The matrix is for another number of grayordinates.
    """
    (n, n_frames), fill = _averaging(matrix, np.asarray(data, np.float32), valid)
    room = np.empty((threads, min(n, _ROWS), n_frames), np.float32)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, n, threads * _ROWS):
            firsts = range(start, min(start + threads * _ROWS, n), _ROWS)
            parts = [part[: n - first] for part, first in zip(room, firsts, strict=False)]
            list(pool.map(fill, firsts, parts))
            yield from (part.T for part in parts)


def _averaging(
    matrix: sparse.csr_matrix,
    data: npt.NDArray[np.floating],
    valid: npt.NDArray[np.bool_] | None,
) -> tuple[tuple[int, int], Callable[[int, npt.NDArray[np.floating]], None]]:
    """Give the shape of the result (grayordinates first), and what fills rows of it."""
    data = np.asarray(data)
    if data.ndim != 2 or matrix.shape != (data.shape[1], data.shape[1]):
        raise InputError(
            f'Smoothing weights of shape {matrix.shape} do not fit data of shape {data.shape}: '
            'take both from files with the same grayordinates.'
        )
    kind = np.float32 if data.dtype == np.float32 else np.float64
    values: npt.NDArray[np.floating] = np.ascontiguousarray(data.T, dtype=kind)
    if valid is None:
        valid = np.isfinite(values).all(axis=1) & (values != 0).any(axis=1)
    valid = np.ascontiguousarray(valid, dtype=np.bool_)
    weights = matrix.tocsr()
    starts = weights.indptr.astype(np.int64, copy=False)
    columns = weights.indices.astype(np.int32, copy=False)
    most = int(np.diff(starts).max(initial=0))
    fill = partial(_average, starts, columns, weights.data, valid, values, most)
    return values.shape, fill


@njit(nogil=True, cache=True, error_model='numpy')
def _average(starts, columns, weights, valid, values, most, first, out):
    """Fill `out` with weighted averages of rows of `values`, for the row `first` and on."""
    n_frames = values.shape[1]
    total = np.empty(n_frames, np.float64)
    near = np.empty(most + 8, np.int32)
    share = np.empty(most + 8, values.dtype)
    for row in range(first, first + len(out)):
        count, norm = 0, 0.0
        if valid[row]:
            for j in range(starts[row], starts[row + 1]):
                if valid[columns[j]]:
                    near[count], share[count] = columns[j], weights[j]
                    norm += share[count]
                    count += 1
        if norm <= 0:
            out[row - first] = values[row]
            continue
        # Eight at a time, so that the sums are loaded and stored less often; the last ones are
        # filled up with nothing of the row itself.
        near[count : count + 8], share[count : count + 8] = row, 0
        total[:] = 0
        for k in range(0, count, 8):
            p, q, r, s = share[k], share[k + 1], share[k + 2], share[k + 3]
            t, u, v, w = share[k + 4], share[k + 5], share[k + 6], share[k + 7]
            a, b = values[near[k]], values[near[k + 1]]
            c, d = values[near[k + 2]], values[near[k + 3]]
            e, f = values[near[k + 4]], values[near[k + 5]]
            g, h = values[near[k + 6]], values[near[k + 7]]
            for i in range(n_frames):
                one = (p * a[i] + q * b[i]) + (r * c[i] + s * d[i])
                two = (t * e[i] + u * f[i]) + (v * g[i] + w * h[i])
                total[i] += one + two
        for i in range(n_frames):
            out[row - first, i] = total[i] / norm


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
    edges = edge_lengths(surface)
    graph = (edges + crossing_lengths(surface, edges)).tocsr()
    indptr, indices, distances = distances_within(
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


def _voxel_weights(
    voxels: npt.NDArray[np.int32], affine: npt.NDArray[np.float64], sigma: float
) -> sparse.csr_matrix:
    """Weights between the voxels of one structure."""
    n = len(voxels)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    reach = np.maximum(1, np.floor(_CUT_OFF * sigma / spacing)).astype(int)
    low = voxels.min(axis=0) - reach
    shape = voxels.max(axis=0) + reach + 1 - low
    place = np.ravel_multi_index(tuple((voxels - low).T), shape)
    grid = np.full(shape.prod(), -1, dtype=np.int32)
    grid[place] = np.arange(n, dtype=np.int32)
    rows, cols, weights = [], [], []
    for offset in product(*(range(-step, step + 1) for step in reach)):
        step = offset @ np.array([shape[1] * shape[2], shape[2], 1])
        other = grid[place + step]
        here = np.flatnonzero(other >= 0).astype(np.int32)
        distance = np.linalg.norm(affine[:3, :3] @ offset)
        rows.append(here)
        cols.append(other[here])
        weights.append(np.full(len(here), np.exp(-0.5 * (distance / sigma) ** 2)))
    kernel = sparse.csr_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(cols))), shape=(n, n)
    )
    return (sparse.diags(1 / np.asarray(kernel.sum(axis=1)).ravel()) @ kernel).tocsr()
