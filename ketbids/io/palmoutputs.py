"""Files as PALM writes them: maps in the format of their input, and tables of numbers."""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.io.cifti import write_maps
from ketbids.io.files import write_bytes, write_text
from ketbids.io.palminputs import PalmInput

__all__ = [
    'map_extension',
    'write_configuration',
    'write_dof',
    'write_elapsed',
    'write_map',
    'write_mask',
    'write_maxima',
    'write_shuffles',
]

Floats = npt.NDArray[np.float64]


def map_extension(kind: str, *, double: bool) -> str:
    """Extension of the maps of an input.

    Parameters
    ----------
    kind : {'cifti', 'gifti', 'nifti', 'csv'}
    double : bool
        Of ``-noniiclass``: NIfTI files are then compressed doubles.
    """
    nifti = '.nii.gz' if double else '.nii'
    return {'cifti': '.dscalar.nii', 'gifti': '.gii', 'nifti': nifti, 'csv': '.csv'}[kind]


def write_map(name: str, values: npt.ArrayLike, source: PalmInput, *, double: bool) -> Path:
    """Write one map in the format of its input, with 0 outside the mask, whatever it is.

    Parameters
    ----------
    name : str
        Without extension (:func:`ketbids.io.palmnames.output_name`).
    values : array_like, shape (n_inside,)
    source : PalmInput
        Where the values belong.
    double : bool
        Of ``-noniiclass``: NIfTI as compressed double instead of plain float32. CIFTI and GIFTI
        files are float32, and CSV has four decimals, always.

    Returns
    -------
    Path
        The file.
    """
    target = Path(name + map_extension(source.kind, double=double))
    whole = source.whole(values)
    if source.kind == 'cifti':
        assert source.models is not None
        # PALM leaves the name of the first input map there.
        return write_maps(target, {Path(name).name: whole}, source.models)
    if source.kind == 'gifti':
        return write_bytes(target, _gifti(whole, source.structure, Path(name).name))
    if source.kind == 'nifti':
        content = _nifti(whole, source, double)
        if double:
            # No time of day: the same maps are the same bytes.
            content = gzip.compress(content, compresslevel=6, mtime=0)
        return write_bytes(target, content)
    return write_text(target, ','.join(_text(value, '.4f') for value in whole.tolist()) + '\n')


def write_mask(name: str, source: PalmInput, *, double: bool) -> Path:
    """Write the mask that was used (1 inside, 0 outside) in the format of the input."""
    return write_map(name, np.ones(int(source.mask.sum())), source, double=double)


def _nifti(whole: Floats, source: PalmInput, double: bool) -> bytes:
    """A NIfTI file with the geometry of the input."""
    import nibabel as nb

    assert source.grid is not None
    header = source.header.copy()
    dtype = np.dtype(np.float64 if double else np.float32).newbyteorder('<')
    data = whole.reshape(source.grid).astype(dtype)
    # PALM's -noniiclass files keep a fourth dimension of size 1.
    data = data[..., None] if double else data
    header.extensions.clear()
    header.set_data_dtype(dtype)
    header.set_data_shape(data.shape)
    header['pixdim'][4:] = [0, 1, 1, 1]
    header.set_slope_inter(1, 0)
    finite = whole[np.isfinite(whole)]
    header['cal_max'], header['cal_min'] = (finite.max(), finite.min()) if len(finite) else (0, 0)
    kind = nb.Nifti2Image if isinstance(header, nb.Nifti2Header) else nb.Nifti1Image
    return kind(data, None, header).to_bytes()


def _gifti(whole: Floats, structure: str, name: str) -> bytes:
    """A GIFTI file of one float32 array; unlike PALM's it says which hemisphere it is of."""
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    array = GiftiDataArray(
        whole.astype(np.float32),
        'NIFTI_INTENT_NONE',
        datatype='NIFTI_TYPE_FLOAT32',
        meta=GiftiMetaData({'Name': name}),
    )
    meta = GiftiMetaData({'AnatomicalStructurePrimary': structure} if structure else {})
    return GiftiImage(meta=meta, darrays=[array]).to_bytes()


def write_maxima(name: str, maxima: npt.ArrayLike) -> Path:
    """Write the maximum of each shuffle (``-savemax``), one a line with 16 digits.

    Parameters
    ----------
    name : str
        Without extension.
    maxima : array_like, shape (n_shuffles,) or (n_shuffles, n_partitions)
        One column for each partition that has a maximum of its own; PALM knows of one only.
    """
    values = np.asarray(maxima, dtype=np.float64)
    rows = values.reshape(len(values), -1).tolist()
    lines = (','.join(map(_text, row)) + '\n' for row in rows)
    return write_text(Path(f'{name}.csv'), ''.join(lines))


def write_dof(name: str, denominators: Iterable[float]) -> Path:
    """Write degrees of freedom (``-savedof``): a line of 0, and below it those of the errors.

    PALM means the first line for the numerator, but writes 0 whatever the statistic.

    Parameters
    ----------
    name : str
        Without extension.
    """
    errors = ','.join(f'{value:g}' for value in denominators)
    return write_text(Path(f'{name}.txt'), f'0\n{errors}\n')


def write_shuffles(target: Path, shuffles: Iterable[npt.NDArray[np.int64]]) -> Path:
    """Write shuffles (``-saveperms``), one a row: row numbers from 1, negative if flipped."""
    return write_text(target, ''.join(','.join(map(str, row.tolist())) + '\n' for row in shuffles))


def write_elapsed(target: Path, seconds: Sequence[float]) -> Path:
    """Write the seconds for reading, shuffling and saving; the last file of a call."""
    return write_text(target, ','.join(_text(value) for value in seconds) + '\n')


def write_configuration(target: Path, arguments: Sequence[str], heading: str) -> Path:
    """Write the options of a call, each on a line with its values, as PALM can read them.

    Parameters
    ----------
    target : Path
    arguments : sequence of str
        Those of the command line, without the name of the program.
    heading : str
        Program and version; becomes a comment.
    """
    text = f'# {" ".join(heading.split())}\n'
    for argument in arguments:
        option = argument.startswith('-') and not _is_number(argument)
        text += ('\n' if option else ' ') + argument
    return write_text(target, text + '\n')


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _text(value: float, form: str = '.16g') -> str:
    """A number as Octave prints it."""
    special = {'nan': 'NaN', 'inf': 'Inf', '-inf': '-Inf'}
    text = format(value, form)
    return special.get(text, text)
