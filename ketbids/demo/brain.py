"""The grayordinates of the synthetic study: surfaces, voxels, and what lies where."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ketbids.demo.mesh import coarse_mesh
from ketbids.demo.subcortex import subcortex
from ketbids.errors import InputError
from ketbids.io.templates import MESH_SIZE, cortex_vertices, parcellation, template_surface
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.graph import Graph, adjacency

__all__ = ['HEMISPHERES', 'Brain', 'brain_like', 'full_brain', 'small_brain']

Hemisphere = Literal['L', 'R']

#: CIFTI structure of each hemisphere.
HEMISPHERES: Mapping[Hemisphere, str] = {
    'L': 'CIFTI_STRUCTURE_CORTEX_LEFT',
    'R': 'CIFTI_STRUCTURE_CORTEX_RIGHT',
}

#: Divisions of an icosahedron's edge: 3242 vertices per hemisphere, about 4.5 mm apart.
_FREQUENCY = 18
_COARSE_VOXEL, _FINE_VOXEL = 4.0, 2.0


@dataclass(frozen=True, eq=False)
class Brain:
    """A template brain.

    Attributes
    ----------
    models : BrainModels
    midthickness, inflated : mapping of CIFTI structure name to Surface
        Whole hemispheres.
    area : ndarray of str, shape (n_grayordinates,)
        Area of the HCP multimodal parcellation, such as ``L_4``; empty for voxels.
    mesh : str
        What HCP file names call the mesh: ``32k``, ``3k``.
    """

    models: BrainModels
    midthickness: Mapping[str, Surface]
    inflated: Mapping[str, Surface]
    area: npt.NDArray[np.str_]
    mesh: str

    @cached_property
    def coordinates(self) -> npt.NDArray[np.float64]:
        """Places in mm, shape (n_grayordinates, 3)."""
        models = self.models
        places = np.empty((len(models), 3))
        for name in models.surface_names:
            part = models.where(name)
            places[part] = self.midthickness[name].coordinates[models.vertex[part]]
        if models.affine is not None:
            voxels = ~models.is_surface
            places[voxels] = models.voxel[voxels] @ models.affine[:3, :3].T + models.affine[:3, 3]
        return places

    @cached_property
    def graph(self) -> Graph:
        """Neighbours."""
        return adjacency(self.models, self.midthickness)

    @cached_property
    def spacing(self) -> float:
        """Median distance of neighbours in mm."""
        rows = np.repeat(np.arange(len(self.models)), np.diff(self.graph.indptr))
        apart = self.coordinates[rows] - self.coordinates[self.graph.indices]
        return float(np.median(np.linalg.norm(apart, axis=1)))

    @cached_property
    def diffusion(self) -> Any:
        """One step of diffusion as a sparse matrix: the mean over oneself and one's neighbours."""
        from scipy import sparse

        joined = self.graph.matrix().astype(np.float32) + sparse.eye_array(
            len(self.models), dtype=np.float32
        )
        return (sparse.diags_array(1 / joined.sum(axis=1)) @ joined).astype(np.float32).tocsr()

    def steps(self, fwhm: float) -> int:
        """Diffusion steps (at least 1) that make a kernel of about `fwhm` mm on the surface.

        One step over six neighbours at distance d has the variance 6/7 d^2 / 2 along each axis.
        """
        return max(1, round((fwhm / 2.3548) ** 2 / (3 / 7 * self.spacing**2)))


def small_brain() -> Brain:
    """About 10,000 grayordinates: meshes of 3242 vertices, 4 mm voxels, 19 structures."""
    meshes = {side: coarse_mesh(side, _FREQUENCY) for side in HEMISPHERES}
    names: dict[str, npt.NDArray[np.str_]] = {}
    kept: dict[str, npt.NDArray[np.int64]] = {}
    for side, structure in HEMISPHERES.items():
        nearest = meshes[side].nearest
        names[structure] = parcellation('mmp_1.0', side)[nearest]
        kept[structure] = np.flatnonzero(np.isin(nearest, cortex_vertices(side)))
    n_vertices = {HEMISPHERES[side]: len(mesh.nearest) for side, mesh in meshes.items()}
    models = _models(kept, n_vertices, _COARSE_VOXEL)
    return Brain(
        models,
        {HEMISPHERES[side]: mesh.midthickness for side, mesh in meshes.items()},
        {HEMISPHERES[side]: mesh.inflated for side, mesh in meshes.items()},
        _areas(models, names),
        '3k',
    )


def full_brain() -> Brain:
    """The standard 91,282 grayordinates' numbers: 32k meshes and 2 mm voxels."""
    kept = {structure: cortex_vertices(side) for side, structure in HEMISPHERES.items()}
    return _fine_brain(_models(kept, dict.fromkeys(HEMISPHERES.values(), MESH_SIZE), _FINE_VOXEL))


def brain_like(path: Path) -> Brain:
    """Take the brain models of a CIFTI file.

    Raises
    ------
    InputError
        If the file cannot be read, has no columns of grayordinates, or has a surface that is
        not a hemisphere of the fs_LR 32k mesh.
    """
    import nibabel as nb

    from ketbids.io.cifti import brain_models

    try:
        image = nb.load(path)
        axis = image.header.get_axis(image.ndim - 1)  # type: ignore[attr-defined]
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except Exception as error:  # nibabel, zlib and expat each have errors of their own
        raise InputError(f'{path} cannot be read as a CIFTI-2 file: {error}.') from error
    if not isinstance(axis, nb.cifti2.BrainModelAxis):
        raise InputError(f'{path} has no grayordinates: its columns are {type(axis).__name__}.')
    models = brain_models(axis)
    for structure in HEMISPHERES.values():
        if models.n_vertices.get(structure) != MESH_SIZE:
            raise InputError(
                f'{path}: {structure} has {models.n_vertices.get(structure, 0)} vertices; the '
                f'synthetic study needs both hemispheres on the fs_LR 32k mesh ({MESH_SIZE}).'
            )
    if not models.is_surface[: int(models.is_surface.sum())].all():
        raise InputError(f'{path} has voxels before vertices; the cortex must come first.')
    strange = set(models.surface_names) - set(HEMISPHERES.values())
    if strange:
        raise InputError(f'{path} has surfaces that are no hemispheres: {sorted(strange)}.')
    return _fine_brain(models)


def _fine_brain(models: BrainModels) -> Brain:
    def surfaces(kind: str) -> dict[str, Surface]:
        return {name: template_surface(side, kind) for side, name in HEMISPHERES.items()}

    names = {name: parcellation('mmp_1.0', side) for side, name in HEMISPHERES.items()}
    return Brain(
        models, surfaces('midthickness'), surfaces('inflated'), _areas(models, names), '32k'
    )


def _areas(models: BrainModels, names: Mapping[str, npt.NDArray[np.str_]]) -> npt.NDArray[np.str_]:
    area = np.full(len(models), '', dtype='U12')
    for structure in models.surface_names:
        part = models.where(structure)
        area[part] = names[structure][models.vertex[part]]
    return area


def _models(
    kept: Mapping[str, npt.NDArray[np.int64]], n_vertices: dict[str, int], voxel_size: float
) -> BrainModels:
    grid = subcortex(voxel_size)
    vertices = {name: np.asarray(v, np.int32) for name, v in kept.items()}
    voxels = {f'CIFTI_STRUCTURE_{name}': v for name, v in grid.voxels.items()}
    sizes = [*map(len, vertices.values()), *map(len, voxels.values())]
    n_surface, n_voxels = sum(map(len, vertices.values())), sum(map(len, voxels.values()))
    return BrainModels(
        names=(*vertices, *voxels),
        structure=np.repeat(np.arange(len(sizes)), sizes).astype(np.int16),
        vertex=np.concatenate([*vertices.values(), np.full(n_voxels, -1, np.int32)]),
        voxel=np.concatenate([np.full((n_surface, 3), -1, np.int32), *voxels.values()]),
        n_vertices=n_vertices,
        affine=grid.affine,
        volume_shape=grid.shape,
    )
