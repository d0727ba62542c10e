"""Time series as FSL's film_gls reads them, and what it writes: a hemisphere, or voxels."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.files import written_aside
from ketbids.io.gifti import open_gifti
from ketbids.stats.brainmodels import BrainModels

__all__ = ['read_metric', 'read_voxels', 'write_metric', 'write_voxels']

_STRUCTURES = {
    'CIFTI_STRUCTURE_CORTEX_LEFT': 'CortexLeft',
    'CIFTI_STRUCTURE_CORTEX_RIGHT': 'CortexRight',
}


def write_metric(target: Path, data: npt.NDArray[np.floating], structure: str) -> Path:
    """Write maps of a hemisphere as a ``.func.gii``.

    Parameters
    ----------
    target : Path
    data : ndarray, shape (n_maps, n_vertices)
    structure : str
        ``CIFTI_STRUCTURE_CORTEX_LEFT`` or ``CIFTI_STRUCTURE_CORTEX_RIGHT``.
    """
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    maps = [
        GiftiDataArray(np.ascontiguousarray(row, np.float32), intent='NIFTI_INTENT_TIME_SERIES')
        for row in data
    ]
    meta = GiftiMetaData({'AnatomicalStructurePrimary': _STRUCTURES[structure]})
    with written_aside(target) as aside:
        GiftiImage(darrays=maps, meta=meta).to_filename(aside)
    return target


def read_metric(path: Path, n_vertices: int) -> npt.NDArray[np.float32]:
    """Read the maps of a ``.func.gii``, shape (n_maps, n_vertices).

    Raises
    ------
    InputError
        It cannot be read, or is of another number of vertices.
    """
    image = open_gifti(path, 'a GIFTI metric file')
    surface = ('NIFTI_INTENT_POINTSET', 'NIFTI_INTENT_TRIANGLE')
    others = {
        array for intent in surface for array in map(id, image.get_arrays_from_intent(intent))
    }
    maps = [np.ravel(array.data) for array in image.darrays if id(array) not in others]
    if not maps or any(len(values) != n_vertices for values in maps):
        raise InputError(f'{path} has no map of {n_vertices} vertices.')
    return np.stack(maps).astype(np.float32)


def write_voxels(
    target: Path,
    data: npt.NDArray[np.floating],
    models: BrainModels,
    repetition_time: float = 0.0,
) -> Path:
    """Write the voxels of a series as a ``.nii.gz``: the box around them, the rest of it 0.

    Parameters
    ----------
    target : Path
    data : ndarray, shape (n_maps, n_voxels)
        In the order of the grayordinates that are voxels.
    models : BrainModels
    repetition_time : float
        Seconds.
    """
    import nibabel as nb

    places, corner, shape = _box(models)
    volume = np.zeros((*shape, len(data)), np.float32)
    volume[tuple(places.T)] = data.T
    affine = np.array(models.affine, np.float64)
    affine[:3, 3] += affine[:3, :3] @ corner
    image = nb.Nifti1Image(volume, affine)
    image.header.set_zooms((*image.header.get_zooms()[:3], np.nan_to_num(repetition_time)))
    image.header.set_xyzt_units('mm', 'sec')
    with written_aside(target) as aside:
        image.to_filename(aside)
    return target


def read_voxels(path: Path, models: BrainModels) -> npt.NDArray[np.float32]:
    """Read what was made of the file of `write_voxels`, shape (n_maps, n_voxels).

    Raises
    ------
    InputError
        It cannot be read, or has another grid.
    """
    import nibabel as nb

    places, _, shape = _box(models)
    try:
        image = nb.load(path)
        values = np.asarray(image.dataobj, np.float32)  # type: ignore[attr-defined]
    except Exception as error:  # of nibabel, zlib and numpy
        raise InputError(f'{path} cannot be read as a NIfTI image: {error}.') from error
    if values.shape[:3] != shape:
        raise InputError(f'{path} is a grid of {values.shape[:3]} instead of {shape} voxels.')
    maps = values.reshape(*shape, -1)[tuple(places.T)]
    return np.ascontiguousarray(maps.T)


def _box(
    models: BrainModels,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], tuple[int, int, int]]:
    """Places of the voxels in the box around them, its first corner, and its size."""
    voxels = models.voxel[~models.is_surface]
    corner = voxels.min(axis=0)
    size = voxels.max(axis=0) - corner + 1
    return voxels - corner, corner, (int(size[0]), int(size[1]), int(size[2]))
