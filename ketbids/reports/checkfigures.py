"""Figures that check the model of a run: correlations of regressors, autocorrelation of noise."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.reports.canvas import INK, SOFT, WIDTH, new_figure, pixel_axes, png, text, tidy
from ketbids.reports.figures import PALETTE, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ['correlation_figure', 'whiteness_figure']

#: Pixels: left of the cells, between the two blocks, right of all.
_LEFT, _BETWEEN, _RIGHT = 310, 46, 40
_BAR = 16
#: Cells of this width have room for a number, and for one in the usual size.
_NARROW, _WIDE = 46, 64
#: From blue over white to red-brown: signs can be told with every common colour vision.
_COLOURS = 'RdBu_r'


def correlation_figure(
    correlations: pd.DataFrame, *, title: str = 'Correlation of regressors'
) -> bytes:
    """Draw the correlations of the task's regressors with each other and with all others.

    Parameters
    ----------
    correlations : DataFrame, shape (n_task, n_task + n_others)
        Regressors of the task down, the same and all others across.
    title : str
        Title of the figure.

    Returns
    -------
    bytes
        A PNG, 1600 pixels wide.
    """
    rows = list(correlations.index)
    others = [name for name in correlations.columns if name not in rows]
    if not rows:
        raise InputError('The design has no regressor of the task that varies: nothing to draw.')
    values = correlations[rows + others].to_numpy(dtype=np.float64)
    room = WIDTH - _LEFT - _RIGHT - (_BETWEEN if others else 0)
    # Cells of the task have room for their numbers, those of the others share what is left.
    cell = min(120.0, (0.5 if others else 1.0) * room / len(rows))
    high = min(cell, 64.0)
    top = 84
    longest = max(len(shorten(c)) for c in rows + others)
    below = top + high * len(rows) + 26 + 11 * longest
    figure = new_figure(int(below + 120))
    text(figure, 24, 18, title, size=12, weight='bold')
    axes = pixel_axes(figure, _LEFT, top, cell * len(rows), high * len(rows))
    _cells(axes, values[:, : len(rows)], rows, size=8)
    axes.set_yticks(range(len(rows)), [shorten(c) for c in rows], parse_math=False, size=8)
    if cell >= _NARROW:
        for i, j in np.ndindex(len(rows), len(rows)):
            dark = abs(values[i, j]) > 0.6
            axes.text(
                j, i, _two(float(values[i, j])), ha='center', va='center',
                size=7.5 if cell >= _WIDE else 6,
                color='white' if dark else INK,
            )  # fmt: skip
    if others:
        left = _LEFT + cell * len(rows) + _BETWEEN
        wide = min(WIDTH - _RIGHT - left, 60.0 * len(others))
        axes = pixel_axes(figure, left, top, wide, high * len(rows))
        _cells(axes, values[:, len(rows) :], others, size=8 if wide / len(others) > 26 else 5)
        axes.set_yticks([])
    bar = pixel_axes(figure, _LEFT, below + 24, 420, _BAR)
    bar.set_axis_on()
    bar.imshow(np.linspace(-1, 1, 201)[None], cmap=_COLOURS, aspect='auto', extent=(-1, 1, 0, 1))
    bar.set_yticks([])
    bar.set_xticks([-1, -0.5, 0, 0.5, 1], ['\N{MINUS SIGN}1', '\N{MINUS SIGN}.5', '0', '.5', '1'])
    bar.tick_params(length=3, width=0.6, labelsize=7.5, pad=2, color=SOFT, labelcolor=INK)
    for spine in bar.spines.values():
        spine.set(linewidth=0.6, color=SOFT)
    words = 'Pearson correlation; left: regressors of the task, right: all other regressors'
    text(figure, _LEFT + 450, below + 22, words if others else words[:19], size=8, color=SOFT)
    return png(figure)


def _cells(
    axes: 'Axes', values: npt.NDArray[np.float64], names: Sequence[str], *, size: float
) -> None:
    axes.set_axis_on()
    axes.imshow(values, cmap=_COLOURS, vmin=-1, vmax=1, aspect='auto', interpolation='nearest')
    labels = [shorten(name) for name in names]
    axes.set_xticks(
        range(len(names)), labels, rotation=90, ha='center', va='top', parse_math=False, size=size
    )
    axes.tick_params(length=0, pad=5, labelcolor=INK)
    axes.set_xticks(np.arange(1, len(names)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(values)) - 0.5, minor=True)
    axes.grid(which='minor', color='white', linewidth=1)
    axes.tick_params(which='minor', length=0)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=SOFT)


def _two(value: float) -> str:
    """Write a correlation with two digits, as ``.25`` or ``1``."""
    words = f'{abs(value):.2f}'.removeprefix('0')
    words = '1' if words == '1.00' else words
    return ('\N{MINUS SIGN}' if value < 0 and words != '.00' else '') + words


def whiteness_figure(
    quality: Mapping[str, Any], *, title: str = 'Autocorrelation of the residuals'
) -> bytes:
    """Draw the autocorrelation of the residuals before and after whitening, over lags.

    Parameters
    ----------
    quality : mapping
        ``Lags``; ``AutocorrelationBefore`` and ``AutocorrelationAfter`` with ``Percentile5``,
        ``Median`` and ``Percentile95`` over grayordinates, in the order of the lags.
    title : str
        Title of the figure.

    Returns
    -------
    bytes
        A PNG, 1600 pixels wide.
    """
    lags = np.asarray(quality['Lags'], dtype=np.float64)
    figure = new_figure(600)
    text(figure, 24, 18, title, size=12, weight='bold')
    axes = pixel_axes(figure, _LEFT, 110, WIDTH - _LEFT - _RIGHT, 390)
    axes.set_axis_on()
    tidy(axes)
    axes.axhline(0, color=SOFT, linewidth=0.6)
    shift = 0.09
    kinds = (
        ('Before', 'before whitening', 1, 's', -shift),
        ('After', 'after whitening', 0, 'o', shift),
    )
    for key, label, colour, marker, aside in kinds:
        known = quality.get(f'Autocorrelation{key}') or {}
        if not known:
            continue
        low, middle, high = (
            np.asarray(known[q], dtype=np.float64)
            for q in ('Percentile5', 'Median', 'Percentile95')
        )
        axes.vlines(lags + aside, low, high, color=PALETTE[colour], linewidth=2.2, alpha=0.45)
        axes.plot(
            lags + aside, middle, marker=marker, color=PALETTE[colour], linewidth=1, markersize=4,
            label=label,
        )  # fmt: skip
    axes.set_xlim(lags[0] - 0.6, lags[-1] + 0.6)
    axes.locator_params(axis='x', integer=True)
    axes.set_xlabel('Lag (volumes)', size=8, color=INK, labelpad=2)
    axes.text(
        -0.055, 0.5, 'Correlation\n(median and 5th\nto 95th percentile)', ha='right', va='center',
        transform=axes.transAxes, size=8.5, color=INK,
    )  # fmt: skip
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc='lower right', bbox_to_anchor=(1, 1.0), ncols=2, frameon=False, fontsize=8,
            handlelength=1.8, columnspacing=1.6, borderpad=0,
        )  # fmt: skip
    return png(figure)
