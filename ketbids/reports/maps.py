"""Pictures of grayordinate maps: inflated cortex beside axial slices of the subcortex."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.reports.canvas import INK, SOFT, WIDTH, new_figure, pixel_axes, png, text
from ketbids.reports.slices import draw_slices
from ketbids.reports.surface import BASE_GREY, MISSING_GREY, Side, SurfacePainter, paint
from ketbids.stats.brainmodels import BrainModels, Surface

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ['map_figure', 'robust_limit']

#: Lightness falls evenly towards both ends and the hues are orange-red and blue: readable with
#: every common colour vision, and the magnitude survives a grey print.
_COOL = ('#08264f', '#0f4c94', '#2f7fc0', '#72b2dc', '#b9d9ea', '#e9ebec')
_WARM = ('#f0ebe4', '#fcd49b', '#fca259', '#ec6a35', '#c42a1c', '#6f0712')
_N_COLOURS = 512
#: Opacity of the strongest colour outside of the significant regions.
_DIM = 0.55

#: Vertical places in pixels: picture from _TOP to _BOTTOM, colour bar beneath.
_TOP, _BOTTOM, _HEIGHT = 104, 884, 1010
_CORTEX_WIDTH = 1110


def robust_limit(values: npt.NDArray[np.floating], percentile: float = 99.0) -> float:
    """Upper end of a colour scale: a percentile of the magnitudes, to two significant digits.

    Returns 1.0 where there is nothing but zeros and missing values.
    """
    size = np.abs(np.asarray(values, dtype=np.float64))
    size = size[np.isfinite(size)]
    limit = float(np.percentile(size, percentile)) if len(size) else 0.0
    if limit == 0 and len(size):
        limit = float(size.max())
    return float(f'{limit:.2g}') if limit > 0 else 1.0


def _colours(signed: bool) -> npt.NDArray[np.float64]:
    """(n_colours, 4) opaque colours from the lower limit to the upper."""
    stops = (*_COOL, *_WARM) if signed else _WARM
    rgb = np.array([[int(stop[k : k + 2], 16) / 255 for k in (1, 3, 5)] for stop in stops])
    half = len(_COOL)
    # the two middle stops sit at zero: warm and cool begin there
    place = np.r_[np.linspace(-1, -1e-6, half), np.linspace(1e-6, 1, half)] if signed else None
    place = np.linspace(0, 1, len(stops)) if place is None else place
    grid = np.linspace(place[0], place[-1], _N_COLOURS)
    channels = [np.interp(grid, place, rgb[:, channel]) for channel in range(3)]
    return np.stack([*channels, np.ones(_N_COLOURS)], axis=1)


@dataclass(frozen=True)
class _Style:
    """How one map is coloured."""

    opaque: npt.NDArray[np.float64]
    ordinary: npt.NDArray[np.float64]
    limits: tuple[float, float]
    emphasised: npt.NDArray[np.bool_] | None

    def rgb(
        self, values: npt.NDArray[np.floating], strong: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Colours on the plain underlay; grey where missing; shape (n, 3)."""
        low, high = self.limits
        missing = ~np.isfinite(values)
        step = np.clip((np.where(missing, low, values) - low) / (high - low), 0, 1)
        index = np.rint(step * (_N_COLOURS - 1)).astype(int)
        alpha = np.where(strong, 1, self.ordinary[index, 3])[:, None]
        rgb = BASE_GREY + alpha * (self.ordinary[index, :3] - BASE_GREY)
        rgb[missing] = MISSING_GREY
        return rgb


def map_figure(
    values: npt.NDArray[np.floating],
    models: BrainModels,
    surfaces: Mapping[str, Surface],
    *,
    title: str,
    label: str,
    threshold: float | None = None,
    significant: npt.NDArray[np.bool_] | None = None,
    significance_label: str = 'significant',
    vmax: float | None = None,
    sulc: Mapping[str, npt.NDArray[np.floating]] | None = None,
    painter: SurfacePainter | None = None,
) -> bytes:
    """Draw a map on both hemispheres and on axial slices of the subcortical structures.

    The slices are in neurological convention (right is right). Of each of six parts of the
    volume, from below, the slice with the largest significant magnitude is shown, else the
    middle one, over the silhouette of all voxels.

    Parameters
    ----------
    values : ndarray, shape (n_grayordinates,)
        The map; what is not finite is grey.
    models : BrainModels
        Where each value is.
    surfaces : mapping of str to Surface
        Inflated surfaces by CIFTI structure name.
    title, label : str
        Title of the figure; quantity and unit beside the colour bar.
    threshold : float, optional
        Magnitudes from here on count as `significant`.
    significant : ndarray of bool, shape (n_grayordinates,), optional
        What is drawn opaque and outlined; the rest becomes translucent.
    significance_label : str
        What opaque and outlined means, for the legend; e.g. ``'FWE-corrected p < .05'``.
    vmax : float, optional
        End of the colour scale; by default the 99th percentile of the magnitudes.
    sulc : mapping of str to ndarray, shape (n_vertices,), optional
        Folding for the underlay, positive on gyri.
    painter : SurfacePainter, optional
        Built once from `surfaces` for many maps: drawing then takes a fraction of the time.

    Returns
    -------
    bytes
        A PNG, 1600 pixels wide.

    Raises
    ------
    InputError
        The map, the mask or the surfaces don't fit the brain models.
    """
    array = np.asarray(values, dtype=np.float64)
    _check_shapes(array, models, significant)
    if threshold is not None:
        above = np.abs(array) >= threshold
        significant = above if significant is None else above & significant
        if significance_label == 'significant':
            significance_label = f'magnitude of at least {threshold:g}'
    style = _style(array, significant, vmax)
    figure = new_figure(_HEIGHT)
    has_voxels = bool((~models.is_surface).any())
    has_cortex = bool(models.surface_names)
    text(figure, 24, 18, title, size=12, weight='bold')
    if has_cortex:
        right = _CORTEX_WIDTH if has_voxels else WIDTH
        painter = SurfacePainter(surfaces) if painter is None else painter
        _draw_cortex(figure, right, array, models, style, sulc, painter)
    if has_voxels:
        columns = 2 if has_cortex else 3
        left = _CORTEX_WIDTH + 16 if has_cortex else 240
        right = WIDTH - 16 if has_cortex else WIDTH - 240
        voxels = ~models.is_surface
        strong = np.zeros(len(models), dtype=bool)
        if style.emphasised is not None:
            strong = style.emphasised
        colour = style.rgb(array[voxels], strong[voxels])
        box = (left, _TOP, right, _BOTTOM)
        draw_slices(figure, box, columns, array[voxels], models, colour, strong[voxels])
    shown_above = array[np.isfinite(array)]
    _draw_colour_bar(figure, style, label, significance_label, shown_above)
    return png(figure)


def _check_shapes(
    values: npt.NDArray[np.float64],
    models: BrainModels,
    significant: npt.NDArray[np.bool_] | None,
) -> None:
    for what, array in (('map', values), ('mask of significance', significant)):
        if array is not None and array.shape != (len(models),):
            raise InputError(
                f'A {what} of shape {array.shape} does not fit brain models with {len(models)} '
                'grayordinates. Use the brain models of the same file.'
            )


def _style(
    values: npt.NDArray[np.float64],
    significant: npt.NDArray[np.bool_] | None,
    vmax: float | None,
) -> _Style:
    limit = robust_limit(values) if vmax is None else float(vmax)
    if not (np.isfinite(limit) and limit > 0):
        raise InputError(f'The end of a colour scale must be positive, not {limit:g}.')
    signed = not bool((values[np.isfinite(values)] >= 0).all()) or not np.isfinite(values).any()
    opaque = _colours(signed)
    ordinary = opaque.copy()
    limits = (-limit if signed else 0.0, limit)
    if significant is not None:
        ordinary[:, 3] = _DIM * np.abs(np.linspace(*limits, _N_COLOURS) / limit)
        significant = np.asarray(significant, dtype=bool) & np.isfinite(values)
    return _Style(opaque, ordinary, limits, significant)


def _draw_cortex(
    figure: 'Figure',
    right: int,
    values: npt.NDArray[np.float64],
    models: BrainModels,
    style: _Style,
    sulc: Mapping[str, npt.NDArray[np.floating]] | None,
    painter: SurfacePainter,
) -> None:
    cell_width, cell_height = right // 2, (_BOTTOM - _TOP) // 2
    left_margin = (cell_width - painter.width) // 2
    top_margin = (cell_height - painter.height) // 2
    rows: tuple[Side, ...] = ('lateral', 'medial')
    for name in painter.structures:
        column = 0 if name.endswith('LEFT') else 1
        if name not in models.surface_names:
            continue
        n_vertices = models.n_vertices[name]
        where = models.where(name)
        vertex = models.vertex[where]
        on_mesh = np.full(n_vertices, np.nan)
        on_mesh[vertex] = values[where]
        emphasis = None
        if style.emphasised is not None:
            emphasis = np.zeros(n_vertices, dtype=bool)
            emphasis[vertex] = style.emphasised[where]
        fold = None if sulc is None else sulc.get(name)
        for row, side in enumerate(rows):
            picture = paint(
                painter.views[name, side],
                on_mesh,
                style.ordinary,
                style.limits,
                emphasis=emphasis,
                sulc=fold,
            )
            x = column * cell_width + left_margin
            y = _TOP + row * cell_height + top_margin
            axes = pixel_axes(figure, x, y, painter.width, painter.height)
            axes.imshow(picture, interpolation='nearest', aspect='auto')
        heading = 'Left hemisphere' if column == 0 else 'Right hemisphere'
        text(figure, (column + 0.5) * cell_width, 74, heading, color=SOFT, ha='center')
    for row, side in enumerate(rows):
        y = _TOP + row * cell_height + 4
        text(figure, cell_width, y, side, color=SOFT, ha='center', size=8)


def _draw_colour_bar(
    figure: 'Figure',
    style: _Style,
    label: str,
    significance_label: str,
    finite: npt.NDArray[np.float64],
) -> None:
    width, left, top = 520, 64, 902
    dimmed = style.emphasised is not None
    bar = style.opaque[None, :, :3]
    if dimmed:
        alpha = style.ordinary[None, :, 3:]
        bar = np.concatenate([bar, BASE_GREY + alpha * (bar - BASE_GREY)])
    axes = pixel_axes(figure, left, top, width, 34)
    low, high = style.limits
    axes.imshow(bar, extent=(low, high, 0, 1), interpolation='nearest', aspect='auto')
    axes.set_axis_on()
    axes.set_yticks([])
    axes.set_xticks(np.linspace(low, high, 5))
    names = [f'{tick:.4g}'.replace('-', '\N{MINUS SIGN}') for tick in np.linspace(low, high, 5)]
    if len(finite) and finite.max() > high:
        names[-1] = f'\N{GREATER-THAN OR EQUAL TO} {names[-1]}'
    if len(finite) and finite.min() < low:
        names[0] = f'\N{LESS-THAN OR EQUAL TO} {names[0]}'
    axes.set_xticklabels(names, size=8, color=INK)
    axes.tick_params(length=3, width=0.6, color=SOFT, pad=2)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=SOFT)
    beside = left + width + 66
    text(figure, beside, top + 2, label, size=9)
    if style.emphasised is not None:
        note = f'Opaque and outlined: {significance_label}. Translucent: the rest.'
        if not style.emphasised.any():
            note = f'Nothing is opaque: no grayordinate with {significance_label}.'
        text(figure, beside, top + 38, note, size=8, color=SOFT)
    note = 'Grey: no data (medial wall, outside of the mask).'
    text(figure, beside, top + (70 if dimmed else 38), note, size=8, color=SOFT)
