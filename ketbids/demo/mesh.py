"""A coarse mesh for both hemispheres, cut from the group-average surfaces of the HCP."""

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.stats.brainmodels import Surface

__all__ = ['CoarseMesh', 'coarse_mesh', 'icosphere', 'interpolate']

Hemisphere = Literal['L', 'R']


class CoarseMesh(NamedTuple):
    """One hemisphere: its surfaces, and the nearest vertex of the 32k mesh of each vertex."""

    midthickness: Surface
    inflated: Surface
    nearest: npt.NDArray[np.int64]


def icosphere(frequency: int) -> Surface:
    """Divide each edge of an icosahedron into `frequency` parts and push onto the unit sphere.

    Returns
    -------
    Surface
        10 f^2 + 2 vertices and 20 f^2 triangles, their normals pointing outwards.
    """
    golden = (1 + 5**0.5) / 2
    corners = np.array([(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)])
    corners = np.concatenate([np.roll(corners, shift, axis=1) for shift in range(3)])
    distance = np.linalg.norm(corners[:, None] - corners, axis=2)
    faces = [
        (a, b, c)
        for a in range(12)
        for b in range(a + 1, 12)
        for c in range(b + 1, 12)
        if max(distance[a, b], distance[b, c], distance[a, c]) < 2.1
    ]
    points, triangles = [], []
    index = {
        (i, j): n
        for n, (i, j) in enumerate(
            (i, j) for i in range(frequency + 1) for j in range(frequency + 1 - i)
        )
    }
    local = [
        (index[i, j], index[i + 1, j], index[i, j + 1]) for i, j in index if i + j < frequency
    ] + [
        (index[i + 1, j], index[i + 1, j + 1], index[i, j + 1])
        for i, j in index
        if i + j < frequency - 1
    ]
    weights = np.array([(frequency - i - j, i, j) for i, j in index]) / frequency
    for number, face in enumerate(faces):
        points.append(weights @ corners[list(face)])
        triangles.append(np.array(local) + number * len(index))
    # The faces' common edges hold the same points: join them.
    everything = np.concatenate(points)
    everything /= np.linalg.norm(everything, axis=1, keepdims=True)
    _, first, inverse = np.unique(
        np.round(everything, 9), axis=0, return_index=True, return_inverse=True
    )
    joined = np.asarray(inverse).reshape(-1)
    return outward(everything[first], joined[np.concatenate(triangles)])


def outward(points: npt.NDArray[np.float64], triangles: npt.NDArray[np.integer]) -> Surface:
    """Turn the triangles of a sphere around the origin so that their normals point outwards."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    inward = np.einsum('ij,ij->i', np.cross(b - a, c - a), a + b + c) < 0
    turned = np.where(inward[:, None], triangles[:, ::-1], triangles)
    return Surface(points, turned.astype(np.int32))


def interpolate(
    sphere: Surface, points: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Find the triangle of a sphere in which each point lies, and its barycentric weights.

    Parameters
    ----------
    sphere : Surface
        A mesh of a sphere around the origin, of any radius.
    points : ndarray, shape (n, 3)
        Directions.

    Returns
    -------
    corners : ndarray of int, shape (n, 3)
        Vertices of the triangle, the nearest vertex first.
    weights : ndarray, shape (n, 3)
        At least 0; they sum to 1.
    """
    from scipy.spatial import KDTree

    unit = sphere.coordinates / np.linalg.norm(sphere.coordinates, axis=1, keepdims=True)
    nearest = np.asarray(KDTree(unit).query(points)[1])
    # Triangles around each vertex, padded by repetition (a vertex has 5 to 7 as a rule).
    flat = sphere.triangles.ravel()
    order = np.argsort(flat, kind='stable')
    counts = np.bincount(flat, minlength=len(unit))
    start = np.cumsum(counts) - counts
    slots = np.minimum(np.arange(counts.max()), counts[nearest][:, None] - 1)
    candidates = order[start[nearest][:, None] + slots] // 3
    corners = sphere.triangles[candidates]
    weights = np.linalg.solve(
        np.swapaxes(unit[corners], -1, -2),
        np.broadcast_to(points[:, None, :, None], (*candidates.shape, 3, 1)),
    )[..., 0]
    best = weights.min(axis=2).argmax(axis=1)
    rows = np.arange(len(points))
    chosen, share = corners[rows, best].astype(np.int64), weights[rows, best].clip(0)
    share /= share.sum(axis=1, keepdims=True)
    first = np.argsort(chosen != nearest[:, None], axis=1, kind='stable')
    return np.take_along_axis(chosen, first, axis=1), np.take_along_axis(share, first, axis=1)


def coarse_mesh(hemisphere: Hemisphere, frequency: int) -> CoarseMesh:
    """Cut one hemisphere of the S1200 group average down to 10 f^2 + 2 vertices.

    The right mesh is the mirror image of the left one on the sphere, so that vertex i of both
    is the same place, as in fs_LR.
    """
    from ketbids.io.templates import template_surface

    ball = icosphere(frequency)
    if hemisphere == 'R':
        ball = outward(ball.coordinates * [-1, 1, 1], ball.triangles)
    corners, weights = interpolate(template_surface(hemisphere, 'sphere'), ball.coordinates)

    def cut(kind: str) -> Surface:
        fine = template_surface(hemisphere, kind).coordinates
        return Surface(np.einsum('ij,ijk->ik', weights, fine[corners]), ball.triangles)

    return CoarseMesh(cut('midthickness'), cut('inflated'), corners[:, 0])
