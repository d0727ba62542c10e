"""What ``ketbids-palm`` tests: maps of many observations, read within a mask."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.cifti import read_maps, read_series
from ketbids.io.matrices import check_file, read_csv_numbers
from ketbids.io.palmmasks import Mask
from ketbids.io.rawmaps import file_kind, load_gifti, load_nifti, plain_float
from ketbids.stats.brainmodels import BrainModels
from ketbids.stats.usable import Usable, UsableScan, usable

__all__ = ['PalmInput', 'read_input', 'read_inputs', 'volume_models']

Bools = npt.NDArray[np.bool_]
Values = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class PalmInput:
    """One ``-i``: observations at the locations that can be tested.

    Attributes
    ----------
    path : Path
    kind : {'cifti', 'gifti', 'nifti', 'csv'}
    data : ndarray of float32 or float64, shape (n_observations, n_inside)
        Values at the locations of ``mask``, in their order.
    mask : ndarray of bool, shape (n_locations,)
        Locations of the user's mask (all without one) that are finite and vary. Those of a
        volume are in C order of its grid: the last index runs fastest.
    usable : Usable
        Why the others are left out, over the locations of the user's mask.
    grid : tuple of 3 int, or None
        Shape of a NIfTI file's volume.
    header : nibabel header, or None
        Of a NIfTI file.
    models : BrainModels or None
        Of a CIFTI file, all its grayordinates.
    structure : str
        ``AnatomicalStructurePrimary`` of a GIFTI file; empty if it does not say.
    notes : tuple of str
        Sentences for the log.
    """

    path: Path
    kind: Literal['cifti', 'gifti', 'nifti', 'csv']
    data: Values
    mask: Bools
    usable: Usable
    grid: tuple[int, int, int] | None = None
    header: Any = None
    models: BrainModels | None = None
    structure: str = ''
    notes: tuple[str, ...] = ()

    @property
    def n_observations(self) -> int:
        """Number of maps."""
        return len(self.data)

    @property
    def n_locations(self) -> int:
        """Number of locations of the file, inside and outside the mask."""
        return len(self.mask)

    def whole(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Put values (n_inside,) at their locations (n_locations,); 0 elsewhere, as PALM does."""
        target = np.zeros(self.n_locations)
        target[self.mask] = values
        return target


def read_inputs(paths: Sequence[Path], masks: Sequence[Mask | None]) -> list[PalmInput]:
    """Read all ``-i`` with the mask of each.

    Raises
    ------
    InputError
        One cannot be read, or they differ in the number of observations.
    """
    inputs: list[PalmInput] = []
    for path, mask in zip(paths, masks, strict=True):
        inputs.append(read_input(path, mask))
        if inputs[-1].n_observations != inputs[0].n_observations:
            raise InputError(
                f'{path} has {inputs[-1].n_observations} observations, but {paths[0]} has '
                f'{inputs[0].n_observations}. All inputs must have the same, in the same order.'
            )
    return inputs


def read_input(path: Path, mask: Mask | None = None) -> PalmInput:
    """Read one file of observations.

    Parameters
    ----------
    path : Path
        ``.dscalar.nii`` or ``.dtseries.nii``: each row is an observation. ``.gii``: each data
        array, or each column of the only one. ``.nii`` or ``.nii.gz``: each volume of 4-D data,
        which may be surface data of shape (n_vertices, 1, 1, n_observations). ``.csv`` without
        header: each row.
    mask : Mask, optional
        Nothing outside is kept in memory. Locations inside that are not finite or constant are
        left out all the same, as by PALM.

    Raises
    ------
    InputError
        The file is missing, damaged or of another kind, holds fewer than 2 observations, does not
        fit the mask, or has no location that can be tested.
    """
    path = check_file(path)
    kind = file_kind(path)
    if kind == 'nifti':
        found = _read_nifti(path, mask)
    elif kind == 'cifti':
        found = _read_cifti(path, mask)
    elif kind == 'gifti':
        values, structure = load_gifti(path)
        found = _in_mask(path, kind, values, mask, structure=structure)
    else:
        found = _in_mask(path, kind, read_csv_numbers(path), mask)
    if not found.mask.any():
        inside = '' if mask is None else f' within {mask.path}'
        raise InputError(
            f'{path}: no location{inside} can be tested: {found.usable.n_not_finite} have NaN or '
            f'Inf, {found.usable.n_constant} are constant, {found.usable.n_zero} are zero in all '
            'observations.'
        )
    return found


def _check_observations(path: Path, n: int) -> None:
    if n < 2:
        raise InputError(
            f'{path} has {n} observation: at least 2 are needed, as volumes of a 4-D NIfTI file, '
            'rows of a CIFTI or CSV file, or data arrays of a GIFTI file.'
        )


def _in_mask(
    path: Path,
    kind: Literal['cifti', 'gifti', 'csv'],
    values: Values,
    mask: Mask | None,
    *,
    models: BrainModels | None = None,
    structure: str = '',
) -> PalmInput:
    """Keep the locations that can be tested of data that are in memory."""
    _check_observations(path, len(values))
    if mask is None:
        found = usable(values)
        inside = found.mask
    else:
        mask.check(path, values.shape[1], models=models)
        inside = mask.inside.copy()
        values = np.ascontiguousarray(values[:, inside])
        found = usable(values)
        inside[inside] = found.mask
    if not found.mask.all():
        values = np.ascontiguousarray(values[:, found.mask])
    return PalmInput(path, kind, values, inside, found, models=models, structure=structure)


def _read_cifti(path: Path, mask: Mask | None) -> PalmInput:
    if path.name.lower().endswith('.dtseries.nii'):
        values, models, _ = read_series(path)
    else:
        values, models = read_maps(path)
    return _in_mask(path, 'cifti', values, mask, models=models)


def _read_nifti(path: Path, mask: Mask | None) -> PalmInput:
    """Read a 4-D file volume by volume; without a mask twice, the first time to find one."""
    image = load_nifti(path)
    if len(image.shape) != 4:
        raise InputError(
            f'{path} has {len(image.shape)} dimensions ({" x ".join(map(str, image.shape))}): 4 '
            'are needed, the last for the observations. Surface data are n_vertices x 1 x 1 x '
            'n_observations.'
        )
    x, y, z, n_observations = (int(n) for n in image.shape)
    _check_observations(path, n_observations)
    notes: tuple[str, ...] = ()
    inside = np.ones(x * y * z, dtype=bool)
    if mask is not None:
        notes = mask.check(path, x * y * z, grid=(x, y, z), affine=image.affine)
        inside = mask.inside.copy()
    if mask is None:
        scan = UsableScan(x * y * z)
        for volume in _volumes(path, image, inside):
            scan.add(volume)
        found = scan.result()
        values = _stack(path, image, found.mask)
    else:
        values = _stack(path, image, inside)
        found = usable(values)
        if not found.mask.all():
            values = np.ascontiguousarray(values[:, found.mask])
    inside[inside] = found.mask
    return PalmInput(path, 'nifti', values, inside, found, (x, y, z), image.header, notes=notes)


def _stack(path: Path, image: Any, inside: Bools) -> Values:
    """All volumes at the locations inside, shape (n_observations, n_inside)."""
    values: Values | None = None
    for number, volume in enumerate(_volumes(path, image, inside)):
        if values is None:
            values = np.empty((image.shape[3], len(volume)), volume.dtype)
        values[number] = volume
    assert values is not None
    return values


def _volumes(path: Path, image: Any, inside: Bools) -> Iterator[Values]:
    """Each volume at the locations inside."""
    for number in range(image.shape[3]):
        try:
            volume = np.asarray(image.dataobj[..., number])
        except Exception as error:  # a truncated file fails late, with many kinds of error
            raise InputError(
                f'{path} is damaged or truncated: volume {number + 1} of {image.shape[3]} cannot '
                f'be read ({error}).'
            ) from error
        yield plain_float(path, volume.reshape(-1)[inside])


def volume_models(source: PalmInput) -> BrainModels:
    """Describe the voxels inside the mask of a NIfTI input, for finding neighbours.

    Returns
    -------
    BrainModels
        One structure, with the voxels in the order of the columns of ``data``.
    """
    if source.grid is None:
        raise ValueError(f'{source.path} is no volume')
    voxels = np.argwhere(source.mask.reshape(source.grid)).astype(np.int32)
    return BrainModels(
        names=('CIFTI_STRUCTURE_OTHER',),
        structure=np.zeros(len(voxels), np.int16),
        vertex=np.full(len(voxels), -1, np.int32),
        voxel=voxels,
        n_vertices={},
        affine=np.asarray(source.header.get_best_affine(), float),
        volume_shape=source.grid,
    )
