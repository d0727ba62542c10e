"""How images lie: directions of voxel axes, slices and phase encoding in the patient."""

import nibabel as nib
import numpy as np

from ketbids.io.raw.images import RawImage
from ketbids.io.raw.sidecars import Sidecars

__all__ = ['patient_direction', 'slice_plane', 'unsupported_orientation', 'voxel_axes']

_DIRECTIONS = ('i', 'i-', 'j', 'j-', 'k', 'k-')


def voxel_axes(image: RawImage) -> str:
    """Give the directions in which the voxel axes go, e.g. ``LAS``."""
    return ''.join(code or '?' for code in nib.aff2axcodes(image.affine))


def patient_direction(image: RawImage, direction: str) -> str:
    """Give the direction in the patient, e.g. ``P`` for ``j-`` in an image with axes ``LAS``."""
    code = voxel_axes(image)['ijk'.index(direction[0])]
    opposite = dict(zip('LRPAIS', 'RLAPSI', strict=True))
    return opposite.get(code, code) if direction.endswith('-') else code


def unsupported_orientation(image: RawImage) -> str | None:
    """Say why the HCP pipelines cannot correct the distortion of an image that is stored so.

    Newer scripts reorient field maps to the axes of the MNI template, but neither the series nor
    the phase-encoding direction that they are given.

    Returns
    -------
    str or None
        None if the axes are left-right, posterior-anterior and inferior-superior.
    """
    axes = voxel_axes(image)
    if axes in ('LAS', 'RAS'):
        return None
    return (
        f'{image.path}: its voxel axes go to {", ".join(axes)}, and the HCP pipelines can correct '
        'distortion only for images stored as LAS or RAS. Reorient it (fslreorient2std), with '
        'PhaseEncodingDirection in its sidecar.'
    )


def slice_plane(image: RawImage, sidecars: Sidecars) -> tuple[str | None, str]:
    """Find out how the slices of an image lie.

    Returns
    -------
    plane : {'sagittal', 'coronal', 'axial'} or None
        None if nothing says so.
    said_by : str
        What says so; empty if nothing does.
    """
    names = {'LR': 'sagittal', 'PA': 'coronal', 'IS': 'axial'}

    def plane(code: str) -> str:
        return next(name for pair, name in names.items() if code in pair or code == '?')

    axes = voxel_axes(image)
    found = sidecars.value(image.path, 'SliceEncodingDirection')
    if found is not None and found[0] in _DIRECTIONS:
        return plane(axes['ijk'.index(found[0][0])]), f'SliceEncodingDirection in {found[1].name}'
    found = sidecars.value(image.path, 'ImageOrientationPatientDICOM')
    if found is not None and isinstance(found[0], list) and len(found[0]) == 6:
        values = found[0]
        if all(isinstance(value, int | float) for value in values):
            normal = np.abs(np.cross(values[:3], values[3:]))
            said_by = f'ImageOrientationPatientDICOM in {found[1].name}'
            return plane('LPS'[int(normal.argmax())]), said_by
    found = sidecars.value(image.path, 'ImageOrientationText')
    starts = {'sag': 'sagittal', 'cor': 'coronal', 'tra': 'axial', 'ax': 'axial'}
    for start, name in starts.items():
        if found is not None and str(found[0]).lower().startswith(start):
            return name, f'ImageOrientationText in {found[1].name}'
    # Converters turn volumes to axial order, so that only the other orders tell something.
    if axes[2] in 'LR':
        return 'sagittal', 'order of the voxels'
    return None, ''
