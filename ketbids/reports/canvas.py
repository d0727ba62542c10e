"""Drawing boxes and words at places given in pixels; figures as PNG bytes."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['DPI', 'INK', 'SOFT', 'WIDTH', 'new_figure', 'pixel_axes', 'png', 'text', 'tidy']

#: Width of every figure in pixels: crisp where a page shows it 1000 wide.
WIDTH = 1600
DPI = 200
INK, SOFT = '#1b1b1f', '#5c5f66'


def new_figure(height: int) -> 'Figure':
    """A white figure, `height` pixels high, tied to no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor='white')


def pixel_axes(figure: 'Figure', x: float, y: float, width: float, height: float) -> 'Axes':
    """Axes without decoration at a box in pixels, y from the top."""
    total_width, total_height = figure.get_size_inches() * DPI
    box = (
        x / total_width,
        1 - (y + height) / total_height,
        width / total_width,
        height / total_height,
    )
    axes = figure.add_axes(box)
    axes.set_axis_off()
    return axes


def text(
    figure: 'Figure',
    x: float,
    y: float,
    words: str,
    *,
    size: float = 9,
    color: str = INK,
    weight: str = 'normal',
    ha: str = 'left',
    va: str = 'top',
) -> None:
    """Write at a place in pixels, y from the top; ``$`` is a dollar, never mathematics."""
    total_width, total_height = figure.get_size_inches() * DPI
    figure.text(
        x / total_width,
        1 - y / total_height,
        words,
        size=size,
        color=color,
        weight=weight,
        ha=ha,
        va=va,
        parse_math=False,
    )


def png(figure: 'Figure') -> bytes:
    """The figure as a PNG that is the same whenever and wherever it is drawn."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=DPI, metadata={'Software': None})
    return buffer.getvalue()


def tidy(axes: 'Axes', *, size: float = 7.5) -> None:
    """Two thin spines, short ticks, small quiet numbers."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set(linewidth=0.6, color=SOFT)
    axes.tick_params(length=3, width=0.6, color=SOFT, labelcolor=INK, labelsize=size, pad=2)
