"""Maps in NIfTI, GIFTI and CIFTI files, for `ketbids.io.palminputs` and `ketbids.io.palmmasks`."""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.gifti import open_gifti

__all__ = ['file_kind', 'load_gifti', 'load_nifti', 'plain_float']

Kind = Literal['cifti', 'gifti', 'nifti', 'csv']

#: CIFTI files whose columns are grayordinates, and the others.
_DENSE = ('.dscalar.nii', '.dtseries.nii')
_OTHER_CIFTI = ('dlabel', 'dconn', 'pscalar', 'ptseries', 'plabel', 'pconn', 'pdconn')
_MORE_CIFTI = ('dpconn', 'pconnscalar', 'pconnseries', 'dfan', 'dfibersamp', 'dfansamp')

#: Nothing gets smaller than by this factor in a .gz file.
_MOST_PACKED = 1100


def file_kind(path: Path) -> Kind:
    """Tell the kind of a file of maps by its name.

    Raises
    ------
    InputError
        It is none that can be read.
    """
    name = path.name.lower()
    parts = name.split('.')
    if name.endswith(_DENSE):
        return 'cifti'
    if len(parts) > 2 and name.endswith('.nii') and parts[-2] in _OTHER_CIFTI + _MORE_CIFTI:
        raise InputError(
            f'{path} is a CIFTI file of the kind {parts[-2]}: ketbids-palm reads dscalar and '
            'dtseries. Run PALM itself, or convert the file.'
        )
    if name.endswith(tuple(f'{suffix}.gz' for suffix in _DENSE)):
        raise InputError(f'{path}: CIFTI files are not compressed as a whole. Run gunzip on it.')
    if name.endswith(('.nii', '.nii.gz')):
        return 'nifti'
    if name.endswith('.gii'):
        return 'gifti'
    if name.endswith('.csv'):
        return 'csv'
    raise InputError(
        f'{path}: data must be .dscalar.nii, .dtseries.nii, .gii, .nii, .nii.gz or .csv.'
    )


def load_nifti(path: Path) -> Any:
    """Open a NIfTI file; its data are read when they are asked for.

    Raises
    ------
    InputError
        It is missing, damaged, or of another kind.
    """
    import nibabel as nb

    try:
        # Volumes of a compressed file are read in order: it need not start again for each.
        image: Any = nb.load(path, keep_file_open=True)
    except Exception as error:  # nibabel and zlib have errors of their own
        raise InputError(f'{path} cannot be read as a NIfTI file: {error}.') from error
    if isinstance(image, nb.Cifti2Image):
        raise InputError(
            f'{path} is a CIFTI file: its name must end in .dscalar.nii or .dtseries.nii.'
        )
    if not isinstance(image, nb.Nifti1Image):  # of which Nifti2Image is a kind
        raise InputError(f'{path} is not a NIfTI file.')
    if 0 in image.shape:
        raise InputError(f'{path} is damaged: a dimension has size 0.')
    opened: Any = image
    size, each = path.stat().st_size, opened.get_data_dtype().itemsize
    needed = opened.dataobj.offset + math.prod(image.shape) * each
    packed = path.suffix.lower() == '.gz'
    if not packed and size < needed:
        raise InputError(f'{path} is truncated: {size} bytes instead of {needed}.')
    if packed and size * _MOST_PACKED < needed:
        raise InputError(
            f'{path} is damaged: its header describes {needed} bytes, which {size} cannot hold.'
        )
    return opened


def load_gifti(path: Path) -> tuple[npt.NDArray[np.floating], str]:
    """Read the data arrays of a GIFTI file.

    Returns
    -------
    values : ndarray, shape (n_arrays, n_vertices)
        Columns of the array if there is one with two dimensions.
    structure : str
        ``AnatomicalStructurePrimary``; empty if the file does not say.

    Raises
    ------
    InputError
        It is missing, damaged, keeps its data in another folder, or holds no data per vertex or
        arrays of different lengths.
    """
    import nibabel as nb

    image: Any = open_gifti(path)
    try:
        arrays = [np.asarray(array.data) for array in image.darrays]
        intents = {nb.nifti1.intent_codes.niistring[array.intent] for array in image.darrays}
        metadata = [image.meta, *(array.meta for array in image.darrays)]
        structures = [meta.get('AnatomicalStructurePrimary', '') for meta in metadata]
    except Exception as error:  # whatever a damaged header makes of them
        raise InputError(f'{path} cannot be read as a GIFTI file: {error}.') from error
    if intents & {'NIFTI_INTENT_POINTSET', 'NIFTI_INTENT_TRIANGLE'}:
        raise InputError(f'{path} is a surface, not data on one: surfaces are given with -s.')
    if not arrays or any(not array.size for array in arrays):
        raise InputError(f'{path} holds no data.')
    if len(arrays) == 1 and arrays[0].ndim == 2:
        values = np.ascontiguousarray(arrays[0].T)
    else:
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1 or arrays[0].ndim != 1:
            raise InputError(
                f'{path}: its data arrays must have one value for each vertex, the same number '
                f'in each; they have {", ".join(str(shape) for shape in sorted(shapes))}.'
            )
        values = np.stack(arrays)
    return plain_float(path, values), next((name for name in structures if name), '')


def plain_float(path: Path, values: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
    """Values as float32 if that holds them exactly, else as float64.

    Raises
    ------
    InputError
        They are no real numbers.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind not in 'fiub':
        raise InputError(f'{path}: values of the type {values.dtype} are not real numbers.')
    small = size <= 4 if kind == 'f' else size <= 2
    return values.astype(np.float32 if small else np.float64, copy=False)
