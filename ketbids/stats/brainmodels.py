"""Grayordinates as plain arrays: which vertex or voxel each column of a map is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

__all__ = ['CORTEX', 'SUBCORTEX', 'BrainModels', 'Surface']

#: Partition codes: grayordinates whose TFCE is comparable share one.
CORTEX, SUBCORTEX = 0, 1


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh.

    Attributes
    ----------
    coordinates : ndarray of float, shape (n_vertices, 3)
        Positions in mm.
    triangles : ndarray of int, shape (n_triangles, 3)
        Vertex numbers of each triangle.
    """

    coordinates: npt.NDArray[np.float64]
    triangles: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class BrainModels:
    """The brain models of a CIFTI file.

    Attributes
    ----------
    names : tuple of str
        CIFTI structure names (``CIFTI_STRUCTURE_CORTEX_LEFT``, ...) in file order.
    structure : ndarray of int, shape (n_grayordinates,)
        Index into ``names``.
    vertex : ndarray of int, shape (n_grayordinates,)
        Vertex number on the structure's surface; -1 for voxels.
    voxel : ndarray of int, shape (n_grayordinates, 3)
        Voxel indices; -1 for vertices.
    n_vertices : mapping of str to int
        Vertices of the whole surface (medial wall included), per surface structure.
    affine : ndarray of float, shape (4, 4), or None
        Voxel indices to mm; None without voxels.
    volume_shape : tuple of 3 int, or None
        Grid of the voxels; None without voxels.
    """

    names: tuple[str, ...]
    structure: npt.NDArray[np.int16]
    vertex: npt.NDArray[np.int32]
    voxel: npt.NDArray[np.int32]
    n_vertices: Mapping[str, int]
    affine: npt.NDArray[np.float64] | None = None
    volume_shape: tuple[int, int, int] | None = None
    _slices: dict[str, slice] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for code, name in enumerate(self.names):
            found = np.flatnonzero(self.structure == code)
            self._slices[name] = (
                slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0)
            )

    def __len__(self) -> int:
        return len(self.structure)

    @property
    def surface_names(self) -> tuple[str, ...]:
        """Structures that are surfaces."""
        return tuple(name for name in self.names if name in self.n_vertices)

    @property
    def is_surface(self) -> npt.NDArray[np.bool_]:
        """True where the grayordinate is a vertex; shape (n_grayordinates,)."""
        return self.vertex >= 0

    @property
    def partition(self) -> npt.NDArray[np.int8]:
        """``CORTEX`` for vertices and ``SUBCORTEX`` for voxels; shape (n_grayordinates,)."""
        return np.where(self.is_surface, CORTEX, SUBCORTEX).astype(np.int8)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in mm^3 (nan without voxels)."""
        return (
            float('nan')
            if self.affine is None
            else round(abs(float(np.linalg.det(self.affine[:3, :3]))), 6)
        )

    @property
    def density(self) -> str:
        """BIDS ``den`` label: thousands of grayordinates (``91k`` for 91282)."""
        return f'{round(len(self) / 1000)}k'

    @property
    def mesh(self) -> str:
        """BIDS ``den`` label of the surfaces: thousands of vertices (``32k`` for 32492)."""
        return f'{round(max(self.n_vertices.values(), default=0) / 1000)}k'

    def where(self, name: str) -> slice:
        """Columns of one structure (CIFTI keeps the grayordinates of a structure together)."""
        return self._slices[name]

    def select(self, mask: npt.NDArray[np.bool_]) -> 'BrainModels':
        """Some of the grayordinates, in their order.

        Parameters
        ----------
        mask : ndarray of bool, shape (n_grayordinates,)

        Returns
        -------
        BrainModels
            With the same structures, some of which may be empty.
        """
        return replace(
            self,
            structure=self.structure[mask],
            vertex=self.vertex[mask],
            voxel=self.voxel[mask],
        )

    def same_as(self, other: 'BrainModels') -> bool:
        """True if both describe the same grayordinates in the same order."""
        if self is other:
            return True
        if self.names != other.names or dict(self.n_vertices) != dict(other.n_vertices):
            return False
        arrays = (
            (self.structure, other.structure),
            (self.vertex, other.vertex),
            (self.voxel, other.voxel),
        )
        if not all(np.array_equal(mine, theirs) for mine, theirs in arrays):
            return False
        if self.affine is None or other.affine is None:
            return self.affine is None and other.affine is None
        return bool(np.allclose(self.affine, other.affine, atol=1e-4))
