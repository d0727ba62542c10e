"""Small inputs of every format that ketbids-palm takes, with the same values."""

from pathlib import Path

import nibabel as nb
import numpy as np
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

from ketbids.io.cifti import write_maps, write_series
from tests.stats.small_brain import SmallBrain

BRAIN = SmallBrain()
GRID = (4, 3, 2)
AFFINE = np.array([[2.0, 0, 0, -3], [0, 2, 0, 5], [0, 0, 2, 7], [0, 0, 0, 1]])


def observations(n_locations, n=5):
    """Values with one location constant (3), one zero (5) and one not finite (7)."""
    data = np.random.default_rng(4).normal(size=(n, n_locations)).astype(np.float32)
    data[:, 3], data[:, 5], data[2, 7] = 1.5, 0, np.nan
    return data


def save_nifti(path, volumes, kind=nb.Nifti1Image, dtype=np.float32):
    """Write (n, x, y, z), or one (x, y, z)."""
    data = np.moveaxis(volumes, 0, -1) if volumes.ndim == 4 else volumes
    image = kind(data.astype(dtype), AFFINE)
    nb.save(image, path)
    return Path(path)


def save_gifti(path, arrays, structure='CortexLeft', intent='NIFTI_INTENT_NORMAL'):
    meta = GiftiMetaData({'AnatomicalStructurePrimary': structure} if structure else {})
    darrays = [GiftiDataArray(np.asarray(array), intent) for array in arrays]
    nb.save(GiftiImage(meta=meta, darrays=darrays), path)
    return Path(path)


def save_csv(path, data):
    np.savetxt(path, data, delimiter=',', fmt='%.9g')
    return Path(path)


def every_input(folder):
    """One file of each format: name -> path and the values (n, n_locations) it must give."""
    data = observations(24)
    gray = observations(len(BRAIN.models))
    return {
        'dscalar': (
            write_maps(
                folder / 'a.dscalar.nii',
                {f's{i}': row for i, row in enumerate(gray)},
                BRAIN.models,
            ),
            gray,
        ),
        'dtseries': (write_series(folder / 'a.dtseries.nii', gray, BRAIN.models, 0.8), gray),
        'gifti': (save_gifti(folder / 'a.func.gii', data), data),
        'gifti2d': (save_gifti(folder / 'b.shape.gii', [data.T]), data),
        'nifti': (save_nifti(folder / 'a.nii', data.reshape(5, *GRID)), data),
        'nifti.gz': (save_nifti(folder / 'a.nii.gz', data.reshape(5, *GRID)), data),
        'nifti2': (
            save_nifti(folder / 'b.nii', data.reshape(5, *GRID), nb.Nifti2Image, np.float64),
            data,
        ),
        'surface': (save_nifti(folder / 'c.nii', data.reshape(5, 24, 1, 1)), data),
        'csv': (save_csv(folder / 'a.csv', data), data),
    }


INPUTS = (
    'dscalar',
    'dtseries',
    'gifti',
    'gifti2d',
    'nifti',
    'nifti.gz',
    'nifti2',
    'surface',
    'csv',
)
