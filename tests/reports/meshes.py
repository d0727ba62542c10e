"""Small closed surfaces and brain models for the reports' tests."""

import io

import numpy as np

from ketbids.stats.brainmodels import BrainModels, Surface

LEFT, RIGHT = 'CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_CORTEX_RIGHT'
CEREBELLUM = ('CIFTI_STRUCTURE_CEREBELLUM_LEFT', 'CIFTI_STRUCTURE_CEREBELLUM_RIGHT')


def ellipsoid(centre=(0.0, 0.0, 0.0), radii=(30.0, 80.0, 50.0), steps=24) -> Surface:
    """An ellipsoid, triangles counter-clockwise from outside."""
    polar = np.linspace(0, np.pi, steps + 1)[1:-1]
    around = np.arange(2 * steps) * np.pi / steps
    p, a = (grid.ravel() for grid in np.meshgrid(polar, around, indexing='ij'))
    unit = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], axis=1)
    unit = np.vstack([unit, [[0, 0, 1], [0, 0, -1]]])
    n, rows = 2 * steps, steps - 1
    top, bottom = rows * n, rows * n + 1
    triangles = []
    for k in range(n):
        following = (k + 1) % n
        triangles.append((top, k, following))
        triangles.append((bottom, (rows - 1) * n + following, (rows - 1) * n + k))
        for row in range(rows - 1):
            a0, a1 = row * n + k, row * n + following
            triangles += [(a0, a0 + n, a1), (a1, a0 + n, a1 + n)]
    return Surface(unit * radii + centre, np.array(triangles, dtype=np.int32))


def brain(flip_x=False):
    """Two hemispheres and two cerebellar boxes; returns (models, surfaces, mm of each)."""
    surfaces = {LEFT: ellipsoid((-34, -20, 10)), RIGHT: ellipsoid((34, -20, 10))}
    n_vertices = len(surfaces[LEFT].coordinates)
    # a medial wall: vertices near the middle are in no brain model
    keep = {
        name: np.flatnonzero(np.abs(surface.coordinates[:, 0]) > 8)
        for name, surface in surfaces.items()
    }
    affine = np.diag([-4.0 if flip_x else 4.0, 4, 4, 1])
    affine[:3, 3] = [60 if flip_x else -60, -100, -60]
    indices = np.stack(np.meshgrid(*[np.arange(30)] * 3, indexing='ij'), -1).reshape(-1, 3)
    mm = indices @ affine[:3, :3].T + affine[:3, 3]
    boxes = [
        indices[(np.abs(mm - centre) <= [16, 14, 12]).all(axis=1)]
        for centre in ((-28, -60, -32), (28, -60, -32))
    ]
    counts = [len(keep[LEFT]), len(keep[RIGHT]), len(boxes[0]), len(boxes[1])]
    n_surface = counts[0] + counts[1]
    models = BrainModels(
        names=(LEFT, RIGHT, *CEREBELLUM),
        structure=np.repeat(np.arange(4), counts).astype(np.int16),
        vertex=np.r_[keep[LEFT], keep[RIGHT], np.full(sum(counts[2:]), -1)].astype(np.int32),
        voxel=np.vstack([np.full((n_surface, 3), -1), *boxes]).astype(np.int32),
        n_vertices={LEFT: n_vertices, RIGHT: n_vertices},
        affine=affine,
        volume_shape=(30, 30, 30),
    )
    places = [surfaces[name].coordinates[keep[name]] for name in (LEFT, RIGHT)]
    places += [box @ affine[:3, :3].T + affine[:3, 3] for box in boxes]
    return models, surfaces, np.vstack(places)


def pixels(png: bytes) -> np.ndarray:
    """RGB of a PNG, shape (height, width, 3)."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert('RGB')).astype(int)
