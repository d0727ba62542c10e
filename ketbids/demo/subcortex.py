"""Subcortical structures as disjoint ellipsoids of voxels where the real ones lie."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.demo.tables import packaged

__all__ = ['Subcortex', 'subcortex']

#: Field of view in mm, from the voxel with the largest x to that with the smallest.
_FIELD = np.array([180.0, 216.0, 180.0])
_ORIGIN = np.array([90.0, -126.0, -72.0])


class Subcortex(NamedTuple):
    """Voxels of each structure (CIFTI names without prefix, in CIFTI order) on an MNI grid."""

    voxels: dict[str, npt.NDArray[np.int32]]
    affine: npt.NDArray[np.float64]
    shape: tuple[int, int, int]


def subcortex(size: float) -> Subcortex:
    """Place the 19 structures of the standard grayordinates.

    Parameters
    ----------
    size : float
        Voxel size in mm. With 2 mm, the grid is MNI's 91 x 109 x 91 and each structure has the
        standard number of voxels; otherwise the same volume as nearly as can be.

    Returns
    -------
    Subcortex
    """
    affine = np.diag([-size, size, size, 1.0])
    affine[:3, 3] = _ORIGIN
    shape = tuple(int(n) for n in np.floor(_FIELD / size) + 1)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing='ij'), axis=-1).reshape(-1, 3)
    place = grid @ affine[:3, :3].T + affine[:3, 3]
    free = np.ones(len(grid), bool)
    wanted = packaged('subcortex.json')['structures']
    voxels: dict[str, npt.NDArray[np.int32]] = {}
    # The small ones choose first; the large ones grow around them.
    for entry in sorted(wanted, key=lambda entry: entry['voxels']):
        side = np.sign(entry['centre'][0])
        near = np.flatnonzero(
            free & (place[:, 0] * side >= 0) & ((side == 0) | (place[:, 0] != 0))
        )
        distance = np.linalg.norm((place[near] - entry['centre']) / entry['spread'], axis=1)
        count = max(1, round(entry['voxels'] * (2.0 / size) ** 3))
        taken = near[np.argsort(distance, kind='stable')[:count]]
        free[taken] = False
        order = np.lexsort(grid[taken].T)
        voxels[entry['name']] = grid[taken][order].astype(np.int32)
    return Subcortex({e['name']: voxels[e['name']] for e in wanted}, affine, shape)  # type: ignore[arg-type]
