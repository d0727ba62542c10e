"""PALM's own inputs and outputs (``../shared/reference/palm``), for tests."""

import nibabel as nib
import numpy as np

from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.graph import adjacency
from ketbids.stats.zscore import z_from_t

from .small_brain import LEFT, STEM

#: Grid of the volumes.
GRID = (18, 16, 14)


def image(path) -> np.ndarray:
    """Values of an image, in the order of PALM's maps."""
    return np.asarray(nib.load(path).dataobj, dtype=float).ravel()


def table(path) -> np.ndarray:
    """Numbers of a table without names, two-dimensional."""
    return np.loadtxt(path, delimiter=',', ndmin=2)


def observed_z(path, design) -> np.ndarray:
    """z of a map of t; 0 outside of the mask."""
    dof = len(design) - np.linalg.matrix_rank(design)
    return z_from_t(image(path), dof)


def mesh(path) -> Surface:
    """A surface in FreeSurfer's text format."""
    lines = path.read_text().splitlines()
    n = int(lines[1].split()[0])
    rows = [line.split()[:3] for line in lines[2:]]
    return Surface(np.array(rows[:n], dtype=float), np.array(rows[n:], dtype=np.int32))


def surface_models(n: int) -> BrainModels:
    """Every vertex of one surface."""
    return BrainModels(
        (LEFT,),
        np.zeros(n, np.int16),
        np.arange(n, dtype=np.int32),
        np.full((n, 3), -1, np.int32),
        {LEFT: n},
    )


def volume_models(shape=GRID, size=1.0) -> BrainModels:
    """Every voxel of a grid."""
    voxel = np.argwhere(np.ones(shape, bool)).astype(np.int32)
    n = len(voxel)
    affine = np.diag([size, size, size, 1.0])
    return BrainModels(
        (STEM,), np.zeros(n, np.int16), np.full(n, -1, np.int32), voxel, {}, affine, shape
    )


def mesh_graph(surface: Surface):
    """Neighbours on a whole mesh."""
    return adjacency(surface_models(len(surface.coordinates)), {LEFT: surface})


def voxel_graph(connectivity: int = 6, shape=GRID):
    """Neighbours on a whole grid."""
    return adjacency(volume_models(shape), {}, connectivity)
