"""Surfaces that no brain has: damaged, collapsed, or in another unit than mm."""

import numpy as np

from ketbids.stats.brainmodels import Surface

__all__ = ['surface_fault']

#: Longest side (mm) of the box around a hemisphere: from smaller than a mouse's to larger than
#: anybody's, inflated. Metres and micrometres are far outside.
_SMALLEST, _LARGEST = 5.0, 1000.0
#: Area as a multiple of the square of that side: about 3 for a sphere and for a folded cortex.
_LEAST_AREA, _MOST_AREA = 0.05, 50.0


def surface_fault(surface: Surface) -> str | None:
    """Say what is wrong with a surface of a hemisphere; None if nothing is.

    Parameters
    ----------
    surface : Surface
        Triangles that fit the points.

    Returns
    -------
    str or None
        Points that are not finite, a size that is none of a brain in mm, an area near 0
        (collapsed), or one that only triangles between points of all places have.
    """
    points = surface.coordinates
    lost = int((~np.isfinite(points).all(axis=1)).sum())
    if lost:
        return f'{lost} of its {len(points)} points are not finite'
    side = float(np.ptp(points, axis=0).max())
    if side == 0:
        return 'it is collapsed: all its points are at one place'
    if not _SMALLEST <= side <= _LARGEST:
        return f'it is {side:.3g} mm long, which no brain is: coordinates must be in mm'
    corners = points[surface.triangles]
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    area = float(areas.sum()) / 2
    flat = float((areas <= 1e-9 * side**2 / len(areas)).mean())
    if area < _LEAST_AREA * side**2 or flat > 0.5:
        return (
            f'it is collapsed: its area is {area:.3g} mm2 at a length of {side:.3g} mm, '
            f'and {flat:.0%} of its triangles have none'
        )
    if area > _MOST_AREA * side**2:
        return (
            f'its area is {area:.3g} mm2 at a length of {side:.3g} mm: its triangles do not fit '
            'the order of its points'
        )
    return None
