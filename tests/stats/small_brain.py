"""A small brain for tests, and slow ways to compute what the package computes fast."""

import itertools

import numpy as np
from scipy.sparse.csgraph import connected_components

from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.graph import Graph, adjacency, extents, vertex_areas

LEFT, RIGHT = 'CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_CORTEX_RIGHT'
PUTAMEN, PALLIDUM = 'CIFTI_STRUCTURE_PUTAMEN_RIGHT', 'CIFTI_STRUCTURE_PALLIDUM_RIGHT'
STEM = 'CIFTI_STRUCTURE_BRAIN_STEM'


def icosphere(level: int, radius: float = 50.0) -> Surface:
    """A sphere of 10 * 4**level + 2 vertices."""
    golden = (1 + 5**0.5) / 2
    corners = [np.roll((0, a, b * golden), k) for k in range(3) for a in (-1, 1) for b in (-1, 1)]
    points = np.array(corners, dtype=float)
    near = np.linalg.norm(points[:, None] - points, axis=2) < 2.1
    faces = [
        f
        for f in itertools.combinations(range(12), 3)
        if all(near[i, j] for i, j in itertools.combinations(f, 2))
    ]
    for _ in range(level):
        middle: dict[tuple[int, int], int] = {}
        new = list(points)

        def half(i: int, j: int, middle=middle, new=new) -> int:
            key = (min(i, j), max(i, j))
            if key not in middle:
                middle[key] = len(new)
                new.append((new[i] + new[j]) / 2)
            return middle[key]

        divided = []
        for a, b, c in faces:
            ab, bc, ca = half(a, b), half(b, c), half(c, a)
            divided += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        faces, points = divided, np.array(new)
    points = radius * points / np.linalg.norm(points, axis=1, keepdims=True)
    return Surface(points, np.array(faces, dtype=np.int32))


class SmallBrain:
    """Two spheres without their medial wall, two subcortical boxes that touch, and one apart."""

    def __init__(self, level: int = 1, surfaces: bool = True, volume: bool = True) -> None:
        mesh = icosphere(level)
        n = len(mesh.coordinates)
        self.surfaces = {}
        names, structure, vertex, voxel = [], [], [], []

        def add(name, vertices, voxels):
            structure.append(np.full(max(len(vertices), len(voxels)), len(names)))
            names.append(name)
            vertex.append(vertices if len(vertices) else np.full(len(voxels), -1))
            voxel.append(voxels if len(voxels) else np.full((len(vertices), 3), -1))

        if surfaces:
            side = mesh.coordinates[:, 0]
            for name, wall in ((LEFT, side > 40), (RIGHT, side < -40)):
                self.surfaces[name] = mesh
                add(name, np.flatnonzero(~wall), [])
        if volume:
            box = np.array(list(itertools.product(range(3), range(3), range(2))))
            for name, corner in ((PUTAMEN, (1, 1, 1)), (PALLIDUM, (4, 1, 1)), (STEM, (1, 6, 4))):
                add(name, [], box + corner)
        self.models = BrainModels(
            tuple(names),
            np.concatenate(structure).astype(np.int16),
            np.concatenate(vertex).astype(np.int32),
            np.concatenate(voxel).astype(np.int32),
            dict.fromkeys(self.surfaces, n),
            np.diag([2.0, 2.0, 2.0, 1.0]) if volume else None,
            (8, 10, 7) if volume else None,
        )
        self.graph = adjacency(self.models, self.surfaces)
        self.areas = {name: vertex_areas(mesh) for name in self.surfaces}
        self.extent = extents(self.models, self.areas)

    def __len__(self) -> int:
        return len(self.models)


def slow_tfce(statistic, graph: Graph, extent, partition, exponents) -> np.ndarray:
    """The exact integral by labelling the components at each height that occurs."""
    values = np.nan_to_num(np.asarray(statistic, dtype=float), nan=-1.0)
    matrix = graph.matrix().tocsr()
    power = np.array([exponents[int(code)] for code in partition])
    H, E = power[:, 0], power[:, 1]
    out = np.zeros(len(values))
    below = 0.0
    for height in np.unique(values[values > 0]):
        here = np.flatnonzero(values >= height)
        _, label = connected_components(matrix[here][:, here], directed=False)
        size = np.bincount(label, extent[here])[label]
        step = (height ** (H[here] + 1) - below ** (H[here] + 1)) / (H[here] + 1)
        out[here] += size ** E[here] * step
        below = height
    return out


def slow_t(data, design, contrast, rows, signs):
    """The t of a shuffle by the matrices of Freedman-Lane, written out; also dof."""
    n = len(data)
    C = np.asarray(contrast, dtype=float)[:, None]
    M = np.asarray(design, dtype=float)
    columns = M.shape[1]
    Z = np.linalg.svd(M @ (np.eye(columns) - C @ np.linalg.pinv(C)))[0][:, : columns - 1]
    Hz = Z @ Z.T
    X = M @ np.linalg.pinv(C.T)
    X = X - Hz @ X
    P = np.zeros((n, n))
    P[np.arange(n), rows] = signs
    model = np.c_[X, Z]
    shuffled = (P.T @ (np.eye(n) - Hz) + Hz) @ data
    beta = np.linalg.lstsq(model, shuffled, rcond=None)[0]
    dof = n - columns
    variance = ((shuffled - model @ beta) ** 2).sum(axis=0) / dof
    return beta[0] / np.sqrt(np.linalg.inv(model.T @ model)[0, 0] * variance), dof
