"""Which grayordinates are neighbours, and how much surface or volume each stands for."""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ketbids.errors import InputError
from ketbids.stats.brainmodels import BrainModels, Surface

__all__ = ['Graph', 'adjacency', 'extents', 'restrict', 'vertex_areas']

#: Largest number of steps along the axes between two voxels that are neighbours.
_STEPS = {6: 1, 18: 2, 26: 3}


class Graph(NamedTuple):
    """Neighbours of each grayordinate as compressed rows; symmetric, without loops.

    Attributes
    ----------
    indptr : ndarray of int32, shape (n_grayordinates + 1,)
        The neighbours of ``i`` are ``indices[indptr[i]:indptr[i + 1]]``.
    indices : ndarray of int32, shape (2 * n_edges,)
        Neighbours, in increasing order.
    """

    indptr: npt.NDArray[np.int32]
    indices: npt.NDArray[np.int32]

    def matrix(self) -> sparse.csr_array:
        """The graph as a sparse matrix of ones, shape (n_grayordinates, n_grayordinates)."""
        n = len(self.indptr) - 1
        ones = np.ones(len(self.indices), dtype=np.int8)
        return sparse.csr_array((ones, self.indices, self.indptr), shape=(n, n))


def adjacency(
    models: BrainModels,
    surfaces: Mapping[str, Surface],
    connectivity: int = 6,
    *,
    within_structure: bool = False,
) -> Graph:
    """Neighbours of every grayordinate.

    Two vertices are neighbours if they share an edge of a triangle and both are in the brain
    models (the medial wall joins nothing). Two voxels are neighbours over the whole grid:
    structures that touch are joined, unless it is to be within structures. A vertex and a voxel
    never are.

    Parameters
    ----------
    models : BrainModels
        The grayordinates.
    surfaces : mapping of str to Surface
        A mesh for each surface structure of ``models``.
    connectivity : {6, 18, 26}
        Voxels that share a face; a face or an edge; a face, an edge or a corner.
    within_structure : bool
        Voxels of different structures are no neighbours.

    Returns
    -------
    Graph

    Raises
    ------
    InputError
        A surface is missing or has another number of vertices than the brain models say, or the
        connectivity is not one of 6, 18 and 26.
    """
    if connectivity not in _STEPS:
        raise InputError(
            f'Voxels cannot have {connectivity} neighbours; use 6 (faces), 18 (and edges) '
            'or 26 (and corners).'
        )
    pairs = [_surface_edges(models, name, surfaces) for name in models.surface_names]
    voxels = _voxel_edges(models, _STEPS[connectivity])
    if within_structure:
        structure = models.structure[voxels]
        voxels = voxels[structure[:, 0] == structure[:, 1]]
    pairs.append(voxels)
    edges = np.concatenate(pairs)
    n = len(models)
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = sparse.coo_array(
        (np.ones(len(both), dtype=np.int32), (both[:, 0], both[:, 1])), shape=(n, n)
    ).tocsr()
    matrix.sort_indices()
    return Graph(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32))


def restrict(graph: Graph, keep: npt.NDArray[np.bool_]) -> Graph:
    """The graph of some of the grayordinates, renumbered in their order.

    Parameters
    ----------
    graph : Graph
        Neighbours of all grayordinates.
    keep : ndarray of bool, shape (n_grayordinates,)
        Those that stay.

    Returns
    -------
    Graph
        Over ``keep.sum()`` grayordinates.
    """
    kept = np.flatnonzero(keep)
    if len(kept) == len(graph.indptr) - 1:
        return graph
    part = graph.matrix()[kept][:, kept].tocsr()
    part.sort_indices()
    return Graph(part.indptr.astype(np.int32), part.indices.astype(np.int32))


def vertex_areas(surface: Surface) -> npt.NDArray[np.float64]:
    """Area that each vertex stands for: a third of each triangle that it is a corner of.

    Parameters
    ----------
    surface : Surface
        Mesh, coordinates in mm.

    Returns
    -------
    ndarray, shape (n_vertices,)
        Areas in mm^2; their sum is the area of the surface.
    """
    points = np.asarray(surface.coordinates, dtype=np.float64)
    a, b, c = (points[surface.triangles[:, corner]] for corner in range(3))
    thirds = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    areas = np.zeros(len(points))
    np.add.at(areas, surface.triangles, thirds[:, None])
    return areas


def extents(
    models: BrainModels, areas: Mapping[str, npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """What each grayordinate adds to the extent of a cluster.

    Parameters
    ----------
    models : BrainModels
        The grayordinates.
    areas : mapping of str to ndarray, shape (n_vertices,)
        Area of each vertex of the whole surface in mm^2, per surface structure.

    Returns
    -------
    ndarray, shape (n_grayordinates,)
        mm^2 for vertices, 1 for voxels.

    Raises
    ------
    InputError
        The areas of a structure are missing, of another length, or not finite.
    """
    extent = np.ones(len(models))
    for name in models.surface_names:
        if name not in areas:
            raise InputError(f'Vertex areas of {name} are missing; give its midthickness surface.')
        values = np.asarray(areas[name], dtype=np.float64)
        _same_vertices(name, len(values), models, 'vertex areas')
        part = models.where(name)
        extent[part] = values[models.vertex[part]]
        if not np.all(np.isfinite(extent[part]) & (extent[part] >= 0)):
            raise InputError(f'Vertex areas of {name} are not all finite and >= 0 mm^2.')
    return extent


def _same_vertices(name: str, found: int, models: BrainModels, what: str) -> None:
    """Refuse a surface or its areas if they belong to another mesh than the brain models."""
    wanted = models.n_vertices[name]
    if found != wanted:
        raise InputError(
            f'{name}: the {what} have {found} vertices, but the brain models of the maps say '
            f'{wanted}; use the surface of the same mesh as the maps.'
        )


def _surface_edges(
    models: BrainModels, name: str, surfaces: Mapping[str, Surface]
) -> npt.NDArray[np.int64]:
    """Each triangle edge between two vertices of the brain models once, shape (n_edges, 2)."""
    if name not in surfaces:
        raise InputError(f'The surface of {name} is missing; give its midthickness mesh.')
    surface = surfaces[name]
    _same_vertices(name, len(surface.coordinates), models, 'surface')
    part = models.where(name)
    column = np.full(models.n_vertices[name], -1, dtype=np.int64)
    column[models.vertex[part]] = np.arange(part.start, part.stop)
    triangles = column[surface.triangles]
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = edges[(edges >= 0).all(axis=1) & (edges[:, 0] != edges[:, 1])]
    edges.sort(axis=1)
    return np.unique(edges, axis=0)


def _voxel_edges(models: BrainModels, steps: int) -> npt.NDArray[np.int64]:
    """Each pair of neighbouring voxels once, shape (n_edges, 2)."""
    columns = np.flatnonzero(~models.is_surface)
    if len(columns) == 0:
        return np.empty((0, 2), dtype=np.int64)
    # A margin of one voxel: neighbours beyond the grid are then found to be empty.
    voxel = models.voxel[columns].astype(np.int64) + 1
    column = np.full(voxel.max(axis=0) + 2, -1, dtype=np.int64)
    column[tuple(voxel.T)] = columns
    pairs = []
    for offset in product((-1, 0, 1), repeat=3):
        # Half of the neighbours: the other half are the same pairs from the other end.
        if offset > (0, 0, 0) and np.abs(offset).sum() <= steps:
            there = column[tuple((voxel + offset).T)]
            pairs.append(np.stack([columns, there], axis=1)[there >= 0])
    return np.concatenate(pairs)
