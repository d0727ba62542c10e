"""Figures of one run: arrays and frames in, PNG out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.reports.canvas import INK, SOFT, WIDTH, new_figure, pixel_axes, png, text, tidy
from ketbids.reports.maps import map_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['PALETTE', 'design_figure', 'map_figure', 'motion_figure', 'shorten']

#: Okabe and Ito's colours, distinguishable with every common colour vision; no yellow on white.
PALETTE = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#444444')

_LEFT, _RIGHT = 310, 40
_BETWEEN = 18


def design_figure(
    matrix: pd.DataFrame,
    repetition_time: float,
    *,
    onsets: Mapping[str, Sequence[float]] | None = None,
    title: str = 'Design matrix',
) -> bytes:
    """Draw a design matrix, time from left to right, one row per regressor.

    Above it, on the same time axis, each condition's regressor with ticks at its trials' onsets.

    Parameters
    ----------
    matrix : DataFrame, shape (n_volumes, n_regressors)
        One column per regressor. Each is scaled to its largest magnitude: white is +1, mid-grey
        0, black -1.
    repetition_time : float
        Seconds per volume; volume i spans i to i + 1 repetition times.
    onsets : mapping of str to sequence of float, optional
        Onsets in seconds of each condition's trials. A condition without a column is drawn
        as 'not in the design'.
    title : str
        Title of the figure.

    Returns
    -------
    bytes
        A PNG, 1600 pixels wide.
    """
    if matrix.empty:
        raise InputError(f'The design matrix has shape {matrix.shape}: there is nothing to draw.')
    onsets = {} if onsets is None else onsets
    n_volumes, n_columns = matrix.shape
    duration = n_volumes * repetition_time
    strip, row = 120, max(16, min(34, 900 // n_columns))
    top = 84
    matrix_top = top + len(onsets) * strip + (44 if onsets else 0)
    height = matrix_top + row * n_columns + 110
    figure = new_figure(height)
    text(figure, 24, 18, title, size=12, weight='bold')
    middle = (np.arange(n_volumes) + 0.5) * repetition_time
    for place, (name, times) in enumerate(onsets.items()):
        axes = _strip(figure, top + place * strip, strip - _BETWEEN, duration)
        _condition(axes, name, times, matrix, middle, PALETTE[place % len(PALETTE)])
    axes = _strip(figure, matrix_top, row * n_columns, duration)
    values = matrix.to_numpy(dtype=np.float64)
    values = _finite(values)
    largest = np.nanmax(np.abs(np.where(np.isfinite(values), values, 0)), axis=0)
    scaled = values / np.where(largest > 0, largest, 1)
    axes.imshow(
        scaled.T,
        extent=(0, duration, n_columns, 0),
        cmap='gray',
        vmin=-1,
        vmax=1,
        aspect='auto',
        interpolation='nearest',
    )
    axes.hlines(np.arange(1, n_columns), 0, duration, color='white', linewidth=0.8)
    size = 8 if row >= 24 else 5.5
    names = [shorten(str(name)) for name in matrix.columns]
    axes.set_yticks(np.arange(n_columns) + 0.5, names, parse_math=False, size=size)
    axes.tick_params(axis='y', length=0)
    for spine in axes.spines.values():
        spine.set_visible(True)
    _time_axis(axes)
    return png(figure)


def _condition(
    axes: 'Axes',
    name: str,
    times: Sequence[float],
    matrix: pd.DataFrame,
    middle: npt.NDArray[np.floating],
    colour: str,
) -> None:
    trials = np.asarray(times, dtype=np.float64)
    noun = 'trial' if len(trials) == 1 else 'trials'
    note = f'{shorten(name)}\n{len(trials)} {noun}'
    low, high = 0.0, 1.0
    if name in matrix.columns:
        regressor = _finite(matrix[name])
        axes.fill_between(middle, 0, regressor, color=colour, alpha=0.18, linewidth=0)
        axes.plot(middle, regressor, color=colour, linewidth=1)
        if np.isfinite(regressor).any():
            low, high = min(0.0, float(np.nanmin(regressor))), float(np.nanmax(regressor))
    else:
        note += '\nnot in the design'
    span = (high - low) or 1.0
    axes.axhline(0, color=SOFT, linewidth=0.5)
    axes.vlines(trials, low - 0.34 * span, low - 0.12 * span, color=colour, linewidth=1)
    axes.set_ylim(low - 0.4 * span, high + 0.08 * span)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks([])
    axes.text(
        -0.012, 0.5, note, transform=axes.transAxes, ha='right', va='center', size=8,
        color=INK, parse_math=False,
    )  # fmt: skip


def motion_figure(
    movement: npt.ArrayLike,
    displacement: npt.ArrayLike,
    *,
    filtered: npt.ArrayLike | None = None,
    dvars: npt.ArrayLike | None = None,
    repetition_time: float | None = None,
    threshold: float = 0.5,
    title: str = 'Head movement',
) -> bytes:
    """Draw realignment parameters and framewise displacement over time.

    Parameters
    ----------
    movement : array_like, shape (n_volumes, 6)
        Translations along x, y and z in mm, rotations about them in degrees.
    displacement : array_like, shape (n_volumes,)
        Framewise displacement in mm.
    filtered : array_like, shape (n_volumes,), optional
        Framewise displacement without breathing, mm; not drawn if nothing in it is finite.
    dvars : array_like, shape (n_volumes,), optional
        Change of the signal from volume to volume; not drawn if nothing in it is finite.
    repetition_time : float, optional
        Seconds per volume; without it the axis counts volumes.
    threshold : float
        Displacement in mm beyond which volumes are counted and marked.
    title : str
        Title of the figure.

    Returns
    -------
    bytes
        A PNG, 1600 pixels wide.
    """
    moved, jump = _finite(movement), _finite(displacement)
    if moved.ndim != 2 or moved.shape[1] != 6 or jump.shape != moved.shape[:1] or not len(moved):
        raise InputError(
            f'Movement of shape {moved.shape} and displacement of shape {jump.shape} cannot be '
            'drawn: expected (volumes, 6) and (volumes,).'
        )
    calm, change = _known(filtered, len(moved)), _known(dvars, len(moved))
    # The legend of two lines needs a line of its own.
    top = 484 if calm is None else 518
    figure = new_figure(top + 276 + (0 if change is None else 212))
    text(figure, 24, 18, title, size=12, weight='bold')
    step = 1.0 if repetition_time is None else repetition_time
    offset = 1.0 if repetition_time is None else 0.5 * repetition_time
    time = np.arange(len(moved), dtype=np.float64) * step + offset
    duration = len(moved) * step + (1 if repetition_time is None else 0)
    panels = (('Translation\n(mm)', moved[:, :3]), ('Rotation\n(degrees)', moved[:, 3:]))
    for place, (name, lines) in enumerate(panels):
        axes = _strip(figure, 84 + place * 190, 160, duration)
        axes.axhline(0, color=SOFT, linewidth=0.5)
        for axis, line, colour in zip('xyz', lines.T, PALETTE, strict=False):
            axes.plot(time, line, color=colour, linewidth=1.1, label=axis)
        _panel_name(axes, name)
        axes.set_xticklabels([])
        _legend(axes, 3)
    axes = _strip(figure, top, 180, duration)
    _displacement(axes, time, jump, calm, threshold)
    # the first volume has no predecessor
    later = jump[1:][np.isfinite(jump[1:])]
    words = (
        f'mean {later.mean():.2f} mm, maximum {later.max():.2f} mm, '
        f'{(jump > threshold).sum()} of {len(jump)} volumes > {threshold:g} mm'
        if len(later)
        else 'not known'
    )
    if calm is not None:
        words += f'; without breathing: mean {np.nanmean(calm[1:]):.2f} mm'
    text(figure, WIDTH - _RIGHT, 448, words, size=8, color=SOFT, ha='right')
    if change is not None:
        axes.set_xticklabels([])
        axes = _strip(figure, top + 212, 180, duration)
        axes.plot(time, change, color=PALETTE[2], linewidth=1)
        low, high = float(np.nanmin(change[1:])), float(np.nanmax(change[1:]))
        pad = 0.08 * ((high - low) or 1.0)
        axes.set_ylim(low - pad, high + pad)
        _panel_name(axes, 'DVARS')
    if repetition_time is None:
        axes.set_xlabel('Volume', size=8, color=INK, labelpad=2)
    else:
        _time_axis(axes)
    return png(figure)


def _known(values: npt.ArrayLike | None, n_volumes: int) -> npt.NDArray[np.float64] | None:
    """One number per volume; None if there are none."""
    if values is None:
        return None
    numbers = _finite(values)
    if numbers.shape != (n_volumes,):
        raise InputError(
            f'{numbers.shape[0] if numbers.ndim else 0} values cannot be drawn over {n_volumes} '
            'volumes.'
        )
    return numbers if np.isfinite(numbers[1:]).any() else None


def _finite(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """What cannot be drawn is left out."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _displacement(
    axes: 'Axes',
    time: npt.NDArray[np.float64],
    jump: npt.NDArray[np.float64],
    calm: npt.NDArray[np.float64] | None,
    threshold: float,
) -> None:
    beyond = jump > threshold
    axes.fill_between(time, 0, jump, color=PALETTE[6], alpha=0.15, linewidth=0)
    axes.plot(time, jump, color=PALETTE[6], linewidth=1, label='as measured')
    if calm is not None:
        axes.plot(time, calm, color=PALETTE[0], linewidth=1, label='without breathing')
        _legend(axes, 2, above=1.02)
    axes.plot(time[beyond], jump[beyond], '.', color=PALETTE[1], markersize=4)
    axes.axhline(threshold, color=PALETTE[1], linewidth=0.8, linestyle=(0, (4, 3)))
    highest = float(np.nanmax(jump)) if np.isfinite(jump).any() else 0.0
    axes.set_ylim(0, 1.08 * max(highest, 1.1 * threshold))
    _panel_name(axes, 'Framewise\ndisplacement\n(mm)')


def _legend(axes: 'Axes', columns: int, *, above: float = 0.92) -> None:
    """Write a legend at the upper right of axes, at this share of their height."""
    axes.legend(
        loc='lower right',
        bbox_to_anchor=(1, above),
        ncols=columns,
        frameon=False,
        fontsize=7.5,
        handlelength=1.4,
        columnspacing=1.2,
        borderpad=0,
    )


def _strip(figure: 'Figure', top: float, height: float, duration: float) -> 'Axes':
    axes = pixel_axes(figure, _LEFT, top, WIDTH - _LEFT - _RIGHT, height)
    axes.set_axis_on()
    tidy(axes)
    axes.set_xlim(0, duration)
    return axes


def _panel_name(axes: 'Axes', name: str) -> None:
    axes.text(
        -0.055, 0.5, name, transform=axes.transAxes, ha='right', va='center', size=8.5, color=INK
    )
    axes.locator_params(axis='y', nbins=4)


def _time_axis(axes: 'Axes') -> None:
    axes.set_xlabel('Time (s)', size=8, color=INK, labelpad=2)


def shorten(name: str, longest: int = 21) -> str:
    """Cut a name that would not fit."""
    return name if len(name) <= longest else name[: longest - 1] + '\N{HORIZONTAL ELLIPSIS}'
