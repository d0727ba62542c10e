"""Axial slices of the voxels of a grayordinate map."""

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.reports.canvas import SOFT, pixel_axes, text
from ketbids.reports.surface import OUTLINE
from ketbids.stats.brainmodels import BrainModels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['AxialGrid', 'axial_grid', 'choose_slices', 'draw_slices']

_N_SLICES = 6


@dataclass(frozen=True)
class AxialGrid:
    """Voxels on a grid that grows to the right (x), forwards (y) and upwards (z).

    Attributes
    ----------
    x, y, z : ndarray of int, shape (n_voxels,)
        Indices from 0.
    mm : ndarray, shape (3, 2)
        Per axis the coordinate of index 0 and the step, in mm.
    """

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    z: npt.NDArray[np.int64]
    mm: npt.NDArray[np.float64]


def axial_grid(models: BrainModels) -> AxialGrid:
    """Turn voxel indices so that they grow to the right, forwards and upwards."""
    affine = models.affine
    if affine is None:
        raise InputError('The brain models have voxels but no affine: their file is damaged.')
    voxel = models.voxel[~models.is_surface].astype(np.int64)
    linear = affine[:3, :3]
    axes = max(
        permutations(range(3)),
        key=lambda order: np.prod([abs(linear[w, v]) for w, v in enumerate(order)]),
    )
    mm = voxel @ linear.T + affine[:3, 3]
    index = np.empty_like(voxel)
    line = np.empty((3, 2))
    for world, axis in enumerate(axes):
        step = linear[world, axis]
        along = voxel[:, axis] if step > 0 else -voxel[:, axis]
        index[:, world] = along - along.min()
        line[world] = mm[:, world].mean() - abs(step) * index[:, world].mean(), abs(step)
    return AxialGrid(index[:, 0], index[:, 1], index[:, 2], line)


def choose_slices(
    grid: AxialGrid, values: npt.NDArray[np.float64], strong: npt.NDArray[np.bool_], number: int
) -> list[int]:
    """One slice of each part of the volume, lowest first.

    The parts are a compromise between equal heights and equal numbers of voxels, so that small
    structures and large ones are seen. The slice with the largest significant magnitude
    is taken; without any, the middle one, so that such maps show the same slices.
    """
    cumulative = np.cumsum(np.sqrt(np.bincount(grid.z)))
    middle = cumulative - np.diff(cumulative, prepend=0) / 2
    part = number * middle // cumulative[-1]
    peak = np.full(len(cumulative), -1.0)
    np.maximum.at(peak, grid.z[strong], np.abs(values[strong]))
    chosen = set()
    for code in np.unique(part[np.unique(grid.z)]):
        slices = np.flatnonzero(part == code)
        slices = slices[np.isin(slices, grid.z)]
        best = slices[peak[slices].argmax()]
        chosen.add(int(best if peak[best] >= 0 else slices[len(slices) // 2]))
    return sorted(chosen)


def draw_slices(
    figure: 'Figure',
    box: tuple[int, int, int, int],
    columns: int,
    values: npt.NDArray[np.float64],
    models: BrainModels,
    colour: npt.NDArray[np.float64],
    strong: npt.NDArray[np.bool_],
) -> None:
    """Draw six axial slices, right on the right.

    Parameters
    ----------
    figure : Figure
        Where to draw.
    box : (int, int, int, int)
        Left, top, right and bottom in pixels; the heading stands above.
    columns : int
        Slices side by side.
    values : ndarray, shape (n_voxels,)
        Values of the voxels, to choose the slices by.
    models : BrainModels
        Where each voxel is.
    colour : ndarray, shape (n_voxels, 3)
        Colour of each voxel.
    strong : ndarray of bool, shape (n_voxels,)
        What is outlined.
    """
    voxels = ~models.is_surface
    grid = axial_grid(models)
    structure = models.structure[voxels]
    chosen = choose_slices(grid, values, strong, _N_SLICES)
    rows = -(-_N_SLICES // columns)
    width, height = (box[2] - box[0]) // columns, (box[3] - box[1]) // rows
    shape = (int(grid.y.max()) + 1, int(grid.x.max()) + 1)
    (x0, dx), (y0, dy), (z0, dz) = grid.mm.tolist()
    extent = (x0 - dx / 2, x0 + (shape[1] - 0.5) * dx, y0 - dy / 2, y0 + (shape[0] - 0.5) * dy)
    middle = (box[0] + box[2]) / 2
    text(figure, middle, box[1] - 30, 'Subcortical voxels, axial', color=SOFT, ha='center')
    silhouette = np.zeros((*shape, 4))
    silhouette[grid.y, grid.x] = [*[0.945] * 3, 1]
    for place, z in enumerate(chosen):
        here = grid.z == z
        at = grid.y[here], grid.x[here]
        picture = silhouette.copy()
        picture[at] = np.c_[colour[here], np.ones(here.sum())]
        code = np.zeros(shape, dtype=int)
        code[at] = structure[here] + 1
        mask = np.zeros(shape, dtype=bool)
        mask[at] = strong[here]
        x = box[0] + (place % columns) * width
        y = box[1] + (place // columns) * height
        axes = pixel_axes(figure, x + 8, y, width - 16, height - 38)
        axes.imshow(picture, origin='lower', extent=extent, interpolation='nearest', zorder=1)
        _edges(axes, code, extent, '#ffffff', 0.6)
        _edges(axes, code > 0, extent, '#8c9097', 0.6)
        _edges(axes, mask, extent, OUTLINE, 0.8)
        axes.set_xlim(extent[0] - dx, extent[1] + dx)
        axes.set_ylim(extent[2] - dy, extent[3] + dy)
        axes.set_aspect('equal')
        for letter, spot, side in (('L', 0.0, 'left'), ('R', 1.0, 'right')):
            axes.text(
                spot, 0.99, letter, transform=axes.transAxes, ha=side, va='top', size=7, color=SOFT
            )
        height_mm = f'z = {z0 + dz * z:.0f} mm'.replace('-', '\N{MINUS SIGN}')
        text(figure, x + width / 2, y + height - 33, height_mm, size=7.5, ha='center')


def _edges(
    axes: 'Axes',
    image: npt.NDArray[np.generic],
    extent: tuple[float, float, float, float],
    colour: str | tuple[float, float, float],
    width: float,
) -> None:
    """Lines along the voxel faces where neighbours differ."""
    from matplotlib.collections import LineCollection

    padded = np.pad(image, 1)
    x = np.linspace(extent[0], extent[1], image.shape[1] + 1)
    y = np.linspace(extent[2], extent[3], image.shape[0] + 1)
    row, column = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    upright = np.stack([np.c_[x[column], y[row]], np.c_[x[column], y[row + 1]]], axis=1)
    row, column = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    level = np.stack([np.c_[x[column], y[row]], np.c_[x[column + 1], y[row]]], axis=1)
    lines = np.concatenate([upright, level])
    axes.add_collection(
        LineCollection(list(lines), colors=[colour], linewidths=width, capstyle='projecting')
    )
