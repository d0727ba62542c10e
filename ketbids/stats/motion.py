"""Head movement in numbers."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['framewise_displacement']


def framewise_displacement(
    movement: npt.ArrayLike,
    *,
    radius: float = 50.0,
    rotation_unit: Literal['deg', 'rad'] = 'deg',
) -> npt.NDArray[np.float64]:
    """Framewise displacement: how far the head moved from one volume to the next.

    The sum of the absolute backward differences of the six realignment parameters, rotations
    taken as arcs on a sphere (Power et al. 2012, NeuroImage 59:2142, p. 2144).

    Parameters
    ----------
    movement : array_like, shape (n_volumes, 6)
        Three translations in mm, then three rotations.
    radius : float
        Radius of the sphere in mm.
    rotation_unit : {'deg', 'rad'}
        Unit of the rotations: degrees in HCP's ``Movement_Regressors.txt``, radians in
        fMRIPrep's confounds.

    Returns
    -------
    ndarray, shape (n_volumes,)
        Millimetres; 0 for the first volume, which has nothing before it.

    Raises
    ------
    InputError
        `movement` is not (n_volumes, 6) or the unit is unknown.
    """
    moved = np.asarray(movement, dtype=np.float64)
    if moved.ndim != 2 or moved.shape[1] != 6:
        raise InputError(
            f'Movement parameters have shape {moved.shape}, not (volumes, 6): give three '
            'translations and three rotations per volume.'
        )
    if rotation_unit not in ('deg', 'rad'):
        raise InputError(f'Unknown unit of rotations {rotation_unit!r}: use deg or rad.')
    arcs = np.deg2rad(moved[:, 3:]) if rotation_unit == 'deg' else moved[:, 3:]
    path = np.concatenate([moved[:, :3], radius * arcs], axis=1)
    displacement = np.zeros(len(path))
    displacement[1:] = np.abs(np.diff(path, axis=0)).sum(axis=1)
    return displacement
