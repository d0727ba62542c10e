"""Masks (``-m``): which locations of the data are tested."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError, UsageError
from ketbids.io.cifti import read_maps
from ketbids.io.matrices import check_file, read_csv_numbers
from ketbids.io.rawmaps import file_kind, load_gifti, load_nifti
from ketbids.stats.brainmodels import BrainModels

__all__ = ['Mask', 'read_mask', 'read_masks']

#: Voxels of mask and data may differ by this much (mm) in their places without a note.
_SAME_PLACE = 1e-3


@dataclass(frozen=True, eq=False)
class Mask:
    """A user's mask.

    Attributes
    ----------
    path : Path
    kind : {'cifti', 'gifti', 'nifti', 'csv'}
    inside : ndarray of bool, shape (n_locations,)
        True where the value is finite and not 0; a volume in C order of its grid.
    grid, affine : tuple of 3 int and ndarray, shape (4, 4); or None
        Of a NIfTI file.
    models : BrainModels or None
        Of a CIFTI file.
    """

    path: Path
    kind: Literal['cifti', 'gifti', 'nifti', 'csv']
    inside: npt.NDArray[np.bool_]
    grid: tuple[int, int, int] | None = None
    affine: npt.NDArray[np.float64] | None = None
    models: BrainModels | None = None

    def check(
        self,
        data: Path,
        n_locations: int,
        *,
        grid: tuple[int, int, int] | None = None,
        affine: npt.NDArray[np.float64] | None = None,
        models: BrainModels | None = None,
    ) -> tuple[str, ...]:
        """Refuse to be used with data of another size.

        Parameters
        ----------
        data : Path
            For messages.
        n_locations : int
        grid, affine, models
            Of the data, as those of the mask.

        Returns
        -------
        tuple of str
            A sentence if the voxels are at other places (which PALM does not look at).

        Raises
        ------
        InputError
            Naming both sizes.
        """
        mine, theirs = self._size(), _size_text(n_locations, grid)
        # The order of a volume's voxels is known in NIfTI files only.
        volumes = [shape for shape in (self.grid, grid) if shape and shape[1:] != (1, 1)]
        if len(self.inside) != n_locations or (volumes and self.grid != grid):
            raise InputError(
                f'The mask {self.path} has {mine}, but {data} has {theirs}. A mask needs the '
                'same as the data.'
            )
        if models is not None and self.models is not None and not models.same_as(self.models):
            raise InputError(
                f'The mask {self.path} and {data} do not have the same brain models, though both '
                f'have {n_locations} grayordinates.'
            )
        if affine is None or self.affine is None or not volumes:
            return ()
        corners = np.array([[0, 0, 0, 1], [*np.subtract(volumes[0], 1), 1]]).T
        away = float(np.abs((self.affine - affine) @ corners).max())
        if away <= _SAME_PLACE:
            return ()
        return (
            f'The mask {self.path} and {data} have the same number of voxels, but these are up '
            f'to {away:.3g} mm apart. They are paired by their order, as PALM does.',
        )

    def _size(self) -> str:
        return _size_text(len(self.inside), self.grid)


def _size_text(n_locations: int, grid: tuple[int, int, int] | None) -> str:
    if grid is None or grid[1:] == (1, 1):
        return f'{n_locations} locations'
    return f'{" x ".join(map(str, grid))} voxels'


def read_masks(names: Sequence[str], n_inputs: int) -> list[Mask | None]:
    """Read the masks of all inputs.

    Parameters
    ----------
    names : sequence of str
        The ``-m`` in order; ``auto`` stands for none.
    n_inputs : int

    Returns
    -------
    list of Mask or None
        One for each input; a single mask serves all.

    Raises
    ------
    UsageError
        There are neither one nor as many masks as inputs.
    InputError
        One cannot be read, or is empty.
    """
    if len(names) not in (0, 1, n_inputs):
        raise UsageError(
            f'There are {len(names)} -m for {n_inputs} -i: give one for all, or one each.'
        )
    masks = [None if name.lower() == 'auto' else read_mask(Path(name)) for name in names]
    return masks if len(masks) == n_inputs else (masks or [None]) * n_inputs


def read_mask(path: Path) -> Mask:
    """Read a mask: one map of a NIfTI, GIFTI or dscalar file, or a CSV file of any shape.

    Raises
    ------
    InputError
        The file is missing, damaged or of another kind, holds several maps, or nothing is inside.
    """
    path = check_file(path)
    kind = file_kind(path)
    grid, affine, models = None, None, None
    values: npt.NDArray[np.floating]
    if kind == 'nifti':
        image = load_nifti(path)
        shape = tuple(int(n) for n in image.shape)
        if len(shape) < 3 or any(n != 1 for n in shape[3:]):
            raise InputError(
                f'The mask {path} must be one volume; its data are {" x ".join(map(str, shape))}.'
            )
        grid, affine = (shape[0], shape[1], shape[2]), np.asarray(image.affine, float)
        try:
            values = np.asarray(image.dataobj).reshape(1, -1)
        except Exception as error:  # a truncated file fails late, with many kinds of error
            raise InputError(f'{path} is damaged or truncated: {error}.') from error
    elif kind == 'cifti':
        values, models = read_maps(path)
    elif kind == 'gifti':
        values, _ = load_gifti(path)
    else:
        values = read_csv_numbers(path).reshape(1, -1)
    if len(values) != 1:
        raise InputError(f'The mask {path} must hold one map, but has {len(values)}.')
    inside = np.isfinite(values[0]) & (values[0] != 0)
    if not inside.any():
        raise InputError(f'The mask {path} is empty: no location has a value other than 0.')
    return Mask(path, kind, inside, grid, affine, models)
