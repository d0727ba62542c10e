"""Raw images: what their names and headers say. Data are not read."""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from ketbids.errors import InputError
from ketbids.io.folders import Folders, labels_of, same_run
from ketbids.io.raw.sidecars import suffix_of

__all__ = ['RawImage', 'duplicates', 'grid_difference', 'image_paths', 'product', 'read_image']
__all__ += ['same_labels', 'try_image', 'unusable_path']

#: Folders of a session that are looked into.
DATATYPES = ('anat', 'func', 'fmap')

#: Headers in other units than millimetres and seconds.
_SPACE = {'meter': 1000.0, 'micron': 0.001}
_TIME = {'msec': 0.001, 'usec': 0.000001}

#: What nibabel raises for files that are damaged, or something else.
_UNREADABLE = (ImageFileError, HeaderDataError, EOFError, ValueError, KeyError, zlib.error)

#: Other characters are taken for something else by the shell scripts of the HCP.
_SAFE = re.compile(r'[A-Za-z0-9._/+:=,-]+')

#: Affines that differ less are those of one grid, mm: headers are rounded.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class RawImage:
    """A raw image.

    Attributes
    ----------
    path : Path
    labels : mapping of str to str
        Entities of the name by their short keys, e.g. ``{'sub': '01'}``.
    shape : tuple of int
        Without trailing dimensions of 1.
    zooms : tuple of float
        Voxel size, mm; of a series also the time between volumes, s (0 if not known).
    affine : numpy.ndarray, shape (4, 4)
        From voxel indices to mm.
    broken : str
        Why it cannot be read; empty if it can. Of such an image, only `path` and `labels` are
        known.
    """

    path: Path
    labels: Mapping[str, str] = field(compare=False)
    shape: tuple[int, ...] = field(compare=False)
    zooms: tuple[float, ...] = field(compare=False)
    affine: np.ndarray = field(compare=False, repr=False)
    broken: str = field(default='', compare=False)

    @property
    def suffix(self) -> str:
        """E.g. ``bold``."""
        return suffix_of(self.path.name)

    @property
    def datatype(self) -> str:
        """Name of its folder, e.g. ``func``."""
        return self.path.parent.name

    @property
    def n_volumes(self) -> int:
        """1 for a volume."""
        return int(np.prod(self.shape[3:], dtype=int))


def read_image(path: Path) -> RawImage:
    """Read the header of an image.

    Parameters
    ----------
    path : Path
        NIfTI, ``.nii`` or ``.nii.gz``.

    Raises
    ------
    InputError
        If it cannot be read, is no NIfTI, or does not say how it is oriented.
    """
    path = Path(path)
    if not path.is_file():
        reason = 'there is no such file'
        if path.is_symlink():
            reason = (
                'it is a link to nothing; if it is one of DataLad or git-annex, fetch its content'
            )
        elif path.exists():
            reason = 'it is no file'
        raise InputError(f'{path} cannot be read: {reason}.')
    if path.stat().st_size == 0:
        raise InputError(f'{path} is empty. Copy or convert it again.')
    try:
        header = nib.load(path).header
        # Subclasses of the NIfTI header have what is read below.
        if not isinstance(header, nib.Nifti1Header):
            raise InputError(f'{path} is no NIfTI image. Convert it.')
        shape = tuple(int(size) for size in header.get_data_shape())
        zooms = tuple(float(size) for size in header.get_zooms())
        space, time = header.get_xyzt_units()
        affine = header.get_best_affine()
        oriented = int(header['qform_code']) > 0 or int(header['sform_code']) > 0
    except InputError:
        raise
    except OSError as error:
        raise InputError(f'{path} cannot be read: {error.strerror or error}.') from error
    except _UNREADABLE as error:
        raise InputError(
            f'{path} is no readable NIfTI image ({error}). Copy or convert it again.'
        ) from error
    while len(shape) > 3 and shape[-1] == 1:
        shape, zooms = shape[:-1], zooms[:-1]
    if len(shape) < 3 or min(shape) < 1 or not np.isfinite(affine).all():
        raise InputError(f'{path} is no image of a volume: its size is {product(shape)}.')
    if not oriented:
        raise InputError(
            f'{path} does not say how it is oriented (qform_code and sform_code are 0), so left '
            'and right cannot be told apart. Convert it again.'
        )
    mm, seconds = _SPACE.get(space, 1.0), _TIME.get(time, 1.0)
    # Headers hold single precision: 0.8 is 0.800000012 there.
    zooms = tuple(
        round(size * (mm if axis < 3 else seconds), 6) for axis, size in enumerate(zooms)
    )
    return RawImage(path, labels_of(path.name), shape, zooms, np.diag([mm, mm, mm, 1.0]) @ affine)


def try_image(path: Path) -> RawImage:
    """Read the header of an image; if it cannot be read, `RawImage.broken` says why."""
    try:
        return read_image(path)
    except InputError as error:
        labels = labels_of(path.name)
        return RawImage(path, labels, (1, 1, 1), (1.0, 1.0, 1.0), np.eye(4), str(error))


def product(sizes: Sequence[float]) -> str:
    """Write sizes for a message, e.g. ``104 x 90 x 72``."""
    return ' x '.join(f'{size:.6g}' for size in sizes) or 'nothing'


def grid_difference(one: RawImage, other: RawImage) -> str | None:
    """Say how the grids of two images differ; None if they do not.

    Parameters
    ----------
    one, other : RawImage
        Volumes or series: time does not matter.
    """
    if one.shape[:3] != other.shape[:3]:
        return f'{product(one.shape[:3])} and {product(other.shape[:3])} voxels'
    if not np.allclose(one.zooms[:3], other.zooms[:3], rtol=0, atol=_TOLERANCE):
        return f'voxels of {product(one.zooms[:3])} and {product(other.zooms[:3])} mm'
    far = float(np.abs((one.affine - other.affine) @ _corners(one.shape)).max())
    if far > _TOLERANCE * 10:
        return f'up to {far:.3g} mm apart'
    return None


def _corners(shape: tuple[int, ...]) -> np.ndarray:
    """Voxel indices of the corners of a grid, shape (4, 8)."""
    x, y, z = np.meshgrid(*[(0, size - 1) for size in shape[:3]])
    return np.stack([x.ravel(), y.ravel(), z.ravel(), np.ones(8)])


def image_paths(folder: Path, folders: Folders) -> list[Path]:
    """List the images of a session, sorted.

    Parameters
    ----------
    folder : Path
        Folder of the session, or of a participant without sessions.
    folders : Folders
    """
    return [
        folder / datatype / name
        for datatype in DATATYPES
        for name in folders.names(folder / datatype)
        if name.startswith('sub-') and name.endswith(('.nii', '.nii.gz'))
    ]


def same_labels(one: Path, other: Path) -> bool:
    """Tell if two names have the same labels: run 1 is 01, and ``part-mag`` the default."""
    labels = [dict(labels_of(path.name)) for path in (one, other)]
    runs = [found.pop('run', '') for found in labels]
    for found in labels:
        if found.get('part') == 'mag':
            del found['part']
    return labels[0] == labels[1] and same_run(*runs)


def duplicates(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """List pairs of images of one suffix with the same labels, e.g. ``.nii`` and ``.nii.gz``."""
    return [
        (one, other)
        for one, other in combinations(paths, 2)
        if suffix_of(one.name) == suffix_of(other.name) and same_labels(one, other)
    ]


def unusable_path(path: Path) -> str | None:
    """Say why a path cannot be given to the scripts of the HCP pipelines; None if it can.

    They take words apart at whitespace, and lists at ``@`` and ``%``.
    """
    wrong = sorted(set(_SAFE.sub('', str(path))))
    if not wrong:
        return None
    named = ', '.join('a space' if c == ' ' else repr(c) for c in wrong)
    return (
        f'{path} holds {named}: the HCP pipelines take paths of letters, digits and . _ / + : = , '
        '- only. Rename the file or folder.'
    )
