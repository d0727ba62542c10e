"""Smoothing weights in a file of the work folder."""

import zlib
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ketbids.errors import InputError
from ketbids.io.files import written_aside
from ketbids.stats.brainmodels import BrainModels

__all__ = ['Weights', 'read_weights', 'write_weights']


class Weights(NamedTuple):
    """Smoothing weights, shape (n_grayordinates, n_grayordinates), and their FWHM in mm."""

    matrix: sparse.csr_matrix
    fwhm: float


def write_weights(
    target: Path, matrix: sparse.csr_matrix, models: BrainModels, fwhm: float
) -> Path:
    """Write smoothing weights as ``.npz``, in single precision, with what they are for.

    Parameters
    ----------
    target : Path
    matrix : sparse matrix, shape (n_grayordinates, n_grayordinates)
    models : BrainModels
        The grayordinates.
    fwhm : float
        Full width at half maximum of the kernel, mm.
    """
    weights = matrix.tocsr()
    arrays: dict[str, Any] = {
        'fwhm': np.float64(fwhm),
        'data': weights.data.astype(np.float32),
        'indices': weights.indices.astype(np.int32),
        'indptr': weights.indptr.astype(np.int64),
        **_described(models),
    }
    with written_aside(target) as aside:
        np.savez(aside, **arrays)
    return Path(target)


def read_weights(path: Path, models: BrainModels, series: Path) -> Weights:
    """Read smoothing weights that are to be applied to a series.

    Parameters
    ----------
    path : Path
        File of `write_weights`.
    models : BrainModels
        Grayordinates of the series.
    series : Path
        Where the series is, for messages.

    Raises
    ------
    InputError
        The file is missing or damaged, or is for other grayordinates.
    """
    try:
        with Path(path).open('rb') as opened, np.load(opened, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        meant = _models(content)
        matrix = _matrix(content, len(meant))
        fwhm = float(content['fwhm'])
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except (OSError, EOFError, KeyError, ValueError, TypeError, BadZipFile, zlib.error) as error:
        raise InputError(
            f'{path} cannot be read as smoothing weights ({error}): remove it, and it is made '
            'again.'
        ) from error
    if not models.same_as(meant):
        raise InputError(
            f'The smoothing weights in {path} are for {len(meant)} other grayordinates than the '
            f'{len(models)} of {series}: the runs of a session must share their brain models.'
        )
    return Weights(matrix, fwhm)


def _described(models: BrainModels) -> dict[str, npt.NDArray[Any]]:
    """Give the brain models as arrays."""
    described = {
        'names': np.array(models.names, dtype=np.str_),
        'structure': models.structure,
        'vertex': models.vertex,
        'voxel': models.voxel,
        'surfaces': np.array(list(models.n_vertices), dtype=np.str_),
        'n_vertices': np.array(list(models.n_vertices.values()), dtype=np.int64),
    }
    if models.affine is not None:
        described['affine'] = np.asarray(models.affine, dtype=np.float64)
    if models.volume_shape is not None:
        described['volume_shape'] = np.array(models.volume_shape, dtype=np.int64)
    return described


def _models(content: dict[str, npt.NDArray[Any]]) -> BrainModels:
    counts = zip(content['surfaces'], content['n_vertices'], strict=True)
    i, j, k = content.get('volume_shape', (0, 0, 0))
    return BrainModels(
        names=tuple(str(name) for name in content['names']),
        structure=content['structure'],
        vertex=content['vertex'],
        voxel=content['voxel'],
        n_vertices={str(name): int(count) for name, count in counts},
        affine=content.get('affine'),
        volume_shape=(int(i), int(j), int(k)) if 'volume_shape' in content else None,
    )


def _matrix(content: dict[str, npt.NDArray[Any]], n: int) -> sparse.csr_matrix:
    """Put the matrix together; what smooths with it does not look for indices outside."""
    data, indices, indptr = (content[name] for name in ('data', 'indices', 'indptr'))
    whole = (
        indptr.shape == (n + 1,)
        and indptr[0] == 0
        and (np.diff(indptr) >= 0).all()
        and indptr[-1] == len(indices) == len(data)
        and indices.min(initial=0) >= 0
        and indices.max(initial=-1) < n
        and np.isfinite(data).all()
    )
    if not whole:
        raise ValueError('its parts do not fit together')
    return sparse.csr_matrix((data, indices, indptr), shape=(n, n))
