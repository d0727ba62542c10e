"""Files of the PALM program in formats that it reads and writes without compiled parts.

Surface data are NIfTI volumes of n_vertices x 1 x 1 x n_maps, meshes are FreeSurfer's ASCII
surfaces, areas, designs and contrasts are tables of numbers separated by commas.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError, KetbidsError
from ketbids.io.files import write_text, written_aside
from ketbids.stats.brainmodels import Surface

__all__ = [
    'MOST_VERTICES',
    'last_words',
    'plain_words',
    'read_palm_image',
    'read_palm_maxima',
    'write_palm_image',
    'write_palm_surface',
    'write_palm_table',
]

#: Largest size of a dimension of a NIfTI-1 file.
MOST_VERTICES = 32767
#: Characters of another program's words that go into a message.
_MOST_CHARACTERS = 300
#: Bytes at the end of a log that are looked at.
_LOG_END = 1 << 16


def write_palm_image(
    target: Path, data: npt.ArrayLike, affine: npt.NDArray[np.float64] | None = None
) -> Path:
    """Write maps as a plain NIfTI-1 file of doubles.

    Parameters
    ----------
    target : Path
        Ends in ``.nii``.
    data : array_like, shape (n_maps, n_vertices) or (n_maps, x, y, z)
    affine : ndarray, shape (4, 4), optional
        Place of the voxels; default: the identity.

    Raises
    ------
    InputError
        A dimension is larger than the format can say.
    """
    import nibabel as nb

    values = np.asarray(data, dtype=np.float64)
    if values.ndim == 2:
        values = values[:, :, None, None]
    if max(values.shape) > MOST_VERTICES:
        raise InputError(
            f'{target}: a NIfTI-1 file holds at most {MOST_VERTICES} vertices or maps, not '
            f'{max(values.shape)}. Use --engine native.'
        )
    image = nb.Nifti1Image(
        np.moveaxis(values, 0, -1), np.eye(4) if affine is None else affine, dtype=np.float64
    )
    image.header.set_xyzt_units('mm')
    with written_aside(target) as aside:
        nb.save(image, aside)
    return Path(target)


def write_palm_surface(target: Path, surface: Surface) -> Path:
    """Write a mesh as FreeSurfer's ASCII surface (``.srf``): vertices, then triangles from 0."""
    lines = ['#!ascii', f'{len(surface.coordinates)} {len(surface.triangles)}']
    lines += [f'{x:.8g} {y:.8g} {z:.8g} 0' for x, y, z in surface.coordinates.tolist()]
    lines += [f'{a} {b} {c} 0' for a, b, c in surface.triangles.tolist()]
    return write_text(target, '\n'.join(lines) + '\n')


def write_palm_table(target: Path, rows: npt.ArrayLike) -> Path:
    """Write numbers to the last bit, one row a line; a vector is one row."""
    table = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    return write_text(target, ''.join(','.join(map(repr, row)) + '\n' for row in table.tolist()))


def read_palm_image(path: Path) -> npt.NDArray[np.float64]:
    """Read a map that PALM has written, in the shape that its input had.

    Raises
    ------
    KetbidsError
        PALM has not written it, or not whole.
    """
    import nibabel as nb

    try:
        return np.asarray(nb.load(path).dataobj, dtype=np.float64)  # type: ignore[attr-defined]
    except FileNotFoundError as error:
        raise KetbidsError(f'PALM ended without an error, but {path} is missing.') from error
    except Exception as error:  # nibabel and zlib have errors of their own
        why = plain_words(error)
        raise KetbidsError(f'PALM has left {path}, which cannot be read: {why}.') from error


def read_palm_maxima(path: Path) -> npt.NDArray[np.float64]:
    """Read the maximum of each shuffle (``-savemax``), shape (n_shuffles,).

    Raises
    ------
    KetbidsError
        PALM has not written them, or not only numbers.
    """
    try:
        return np.atleast_1d(np.loadtxt(path, dtype=np.float64))
    except FileNotFoundError as error:
        raise KetbidsError(f'PALM ended without an error, but {path} is missing.') from error
    except ValueError as error:
        why = plain_words(error)
        raise KetbidsError(f'PALM has left {path}, which cannot be read: {why}.') from error


def last_words(log: Path, lines: int = 5) -> str:
    """Give what a program said last, without PALM's banner and Octave's farewell.

    Parameters
    ----------
    log : Path
        What it said; of any size and content.
    lines : int
        At most so many lines, joined by ``|``.
    """
    with log.open('rb') as stream:
        stream.seek(max(0, stream.seek(0, 2) - _LOG_END))
        text = stream.read().decode('utf-8', errors='replace')
    said = [
        line.strip()
        for line in text.splitlines()
        if line.strip() and 'execution_exception' not in line
    ]
    banner = [n for n, line in enumerate(said) if set(line) == {'='}]
    words = ' | '.join(said[banner[-1] + 1 if banner else 0 :][-lines:])
    return plain_words(words) or 'without a word'


def plain_words(words: object) -> str:
    """Give what another program said as one line of printable characters, not too long."""
    text = ''.join(c if c.isprintable() else ' ' for c in str(words))
    text = ' '.join(text.split())
    return text if len(text) <= _MOST_CHARACTERS else f'{text[:_MOST_CHARACTERS].rstrip()} ...'
