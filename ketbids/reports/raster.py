"""Triangles to pixels in numpy."""

import numpy as np
import numpy.typing as npt

__all__ = ['rasterise']

#: Candidate samples that are worked on at once; bounds the memory.
CHUNK = 2_000_000


def rasterise(
    corners: npt.NDArray[np.float64],
    depth: npt.NDArray[np.float64],
    width: int,
    height: int,
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer], npt.NDArray[np.float64]]:
    """Find the front-most triangle of every sample (a z-buffer).

    Parameters
    ----------
    corners : ndarray, shape (n_triangles, 3, 2)
        Across and down, in samples; sample i lies at i + 0.5.
    depth : ndarray, shape (n_triangles, 3)
        Nearness of the corners to the observer.
    width, height : int
        Size of the grid.

    Returns
    -------
    sample : ndarray of int, shape (n_hit,)
        Flat indices of the samples that see a triangle, ascending.
    triangle : ndarray of int, shape (n_hit,)
        Which one.
    weights : ndarray, shape (n_hit, 3)
        Barycentric weights of its corners.
    """
    low = np.maximum(np.ceil(corners.min(axis=1) - 0.5), 0).astype(np.int32)
    high = np.floor(corners.max(axis=1) - 0.5).astype(np.int32)
    extent = np.maximum(np.minimum(high, [width - 1, height - 1]) - low + 1, 0)
    total = np.cumsum(extent.prod(axis=1))
    planes = _barycentric_planes(corners)
    best = np.full(width * height, -np.inf)
    triangle = np.full(width * height, -1, dtype=np.int32)
    start = 0
    while start < len(total):
        before = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + CHUNK, side='right')))
        which = np.repeat(np.arange(start, stop, dtype=np.int32), extent[start:stop].prod(axis=1))
        first = (total[start:stop] - extent[start:stop].prod(axis=1) - before).astype(np.int32)
        within = np.arange(len(which), dtype=np.int32) - first[which - start]
        row, column = np.divmod(within, extent[which, 0])
        column += low[which, 0]
        row += low[which, 1]
        start = stop
        wa, wb = _weights(planes, which, column, row)
        wc = 1 - wa - wb
        inside = np.flatnonzero((wa >= -1e-9) & (wb >= -1e-9) & (wc >= -1e-9))
        which = which[inside]
        near = wa[inside] * depth[which, 0] + wb[inside] * depth[which, 1]
        near += wc[inside] * depth[which, 2]
        flat = row[inside] * width + column[inside]
        order = np.argsort(near)
        order = order[near[order] > best[flat[order]]]
        # of repeated indices the last assignment stays: the nearest
        best[flat[order]] = near[order]
        triangle[flat[order]] = which[order]
    hit = np.flatnonzero(triangle >= 0)
    row, column = np.divmod(hit, width)
    wa, wb = _weights(planes, triangle[hit], column, row)
    return hit, triangle[hit], np.stack([wa, wb, 1 - wa - wb], axis=1)


def _barycentric_planes(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shape (2, 3, n_triangles): the first two weights as a x + b y + c; edge-on: never inside."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k].T for k in range(3))
    area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
    with np.errstate(divide='ignore'):
        scale = np.where(np.abs(area) < 1e-12, 0, 1 / area)
    planes = np.empty((2, 3, len(corners)))
    for weight, (along_x, along_y) in enumerate(((by - cy, cx - bx), (cy - ay, ax - cx))):
        planes[weight, 0] = along_x * scale
        planes[weight, 1] = along_y * scale
        planes[weight, 2] = -(along_x * cx + along_y * cy) * scale
    planes[:, 2, scale == 0] = -1
    return planes


def _weights(
    planes: npt.NDArray[np.float64],
    which: npt.NDArray[np.integer],
    column: npt.NDArray[np.integer],
    row: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """First two barycentric weights at the centres of samples."""
    x, y = column + 0.5, row + 0.5
    wa, wb = (a.take(which) * x + b.take(which) * y + c.take(which) for a, b, c in planes)
    return wa, wb
