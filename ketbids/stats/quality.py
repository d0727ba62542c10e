"""How good a preprocessed run is, in numbers."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = [
    'MOTION_LIMIT',
    'Motion',
    'NoiseShare',
    'SeriesQuality',
    'median_where',
    'noise_share',
    'reclassified',
    'series_quality',
    'summarize_motion',
    'surface_coverage',
]

#: Framewise displacement above which a volume counts as moved, mm (Power et al. 2012).
MOTION_LIMIT = 0.5

#: Below this share of its mean, a grayordinate's variance is that of rounding.
_CONSTANT = 1e-6


class SeriesQuality(NamedTuple):
    """What a time series looks like.

    Attributes
    ----------
    dvars : ndarray, shape (n_volumes,)
        NaN for the first volume.
    tsnr : ndarray, shape (n_grayordinates,)
        NaN without data.
    has_data : ndarray of bool, shape (n_grayordinates,)
        Finite, and not constant over time.
    """

    dvars: npt.NDArray[np.float64]
    tsnr: npt.NDArray[np.float64]
    has_data: npt.NDArray[np.bool_]


class Motion(NamedTuple):
    """Framewise displacement of a run: mean in mm, and share of the changes above the limit."""

    mean: float
    share_above: float


class NoiseShare(NamedTuple):
    """Share of the noise components in what all components explain, and in all variance."""

    explained: float
    total: float


def series_quality(blocks: Iterable[npt.ArrayLike], n_volumes: int) -> SeriesQuality:
    """Describe a time series that is given piece by piece.

    DVARS is the root mean square, over grayordinates, of the change from one volume to the next
    (Power et al. 2012, NeuroImage 59:2142). tSNR is the mean over time, divided by the standard
    deviation around the linear trend, so that drift that cleaning removes is not counted twice.

    Parameters
    ----------
    blocks : iterable of array_like, shape (n_volumes, n_some)
        All grayordinates, in their order.
    n_volumes : int

    Raises
    ------
    InputError
        A block has another number of volumes, or there are too few for a trend.
    """
    if n_volumes < 3:
        raise InputError(f'The time series has {n_volumes} volumes: 3 are needed to describe it.')
    time = np.arange(n_volumes) - (n_volumes - 1) / 2
    squares = np.zeros(n_volumes - 1)
    tsnr: list[npt.NDArray[np.float64]] = []
    found: list[npt.NDArray[np.bool_]] = []
    for block in blocks:
        data = np.asarray(block, np.float64)
        if data.ndim != 2 or len(data) != n_volumes:
            raise InputError(
                f'A part of the time series has shape {data.shape} instead of {n_volumes} volumes.'
            )
        here = np.isfinite(data).all(axis=0)
        data = np.where(here, data, 0.0)
        mean = data.mean(axis=0)
        centred = data - mean
        variation = np.square(centred).sum(axis=0)
        here &= variation > n_volumes * np.square(_CONSTANT * mean)
        trend = time @ centred
        # What is left may be 0, or below by rounding, where the series is nothing but a trend.
        left = np.maximum(variation - np.square(trend) / np.square(time).sum(), 0.0)
        spread = np.sqrt(left / (n_volumes - 2))
        values = np.full(data.shape[1], np.nan)
        np.divide(mean, spread, out=values, where=here & (spread > 0))
        squares += np.square(np.diff(data[:, here], axis=0)).sum(axis=1)
        tsnr.append(values)
        found.append(here)
    has_data = np.concatenate(found) if found else np.zeros(0, bool)
    dvars = np.full(n_volumes, np.nan)
    if has_data.any():
        dvars[1:] = np.sqrt(squares / has_data.sum())
    return SeriesQuality(dvars, np.concatenate(tsnr) if tsnr else np.zeros(0), has_data)


def median_where(values: npt.ArrayLike, where: npt.ArrayLike) -> float:
    """Give the median of the finite values at some places; NaN if there are none."""
    chosen = np.asarray(values, np.float64)[np.asarray(where, bool)]
    chosen = chosen[np.isfinite(chosen)]
    return float(np.median(chosen)) if len(chosen) else float('nan')


def summarize_motion(displacement: npt.ArrayLike, limit: float = MOTION_LIMIT) -> Motion:
    """Summarize framewise displacement.

    Parameters
    ----------
    displacement : array_like, shape (n_volumes,)
        Millimetres; the first volume, which has nothing before it, does not count.
    limit : float
        Millimetres.
    """
    changes = np.asarray(displacement, np.float64)[1:]
    if not len(changes):
        return Motion(float('nan'), float('nan'))
    return Motion(float(changes.mean()), float(np.mean(changes > limit)))


def reclassified(
    noise: Collection[int], as_noise: Collection[int], as_signal: Collection[int]
) -> tuple[int, ...]:
    """Give the noise components after some were reclassified by hand.

    Raises
    ------
    InputError
        A component is in both lists.
    """
    both = sorted(set(as_noise) & set(as_signal))
    if both:
        raise InputError(
            f'Component {", ".join(map(str, both))} is reclassified as noise and as signal: '
            'remove it from one of the lists.'
        )
    return tuple(sorted((set(noise) | set(as_noise)) - set(as_signal)))


def noise_share(percent: npt.ArrayLike, noise: Collection[int]) -> NoiseShare:
    """Tell how much of the variance is that of noise components.

    Parameters
    ----------
    percent : array_like, shape (n_components, 2)
        Percent of the variance that all components explain together, and of all variance.
    noise : collection of int
        Numbers of the noise components; the first is 1.

    Raises
    ------
    InputError
        There is no such component.
    """
    table = np.asarray(percent, np.float64)
    beyond = sorted(number for number in noise if not 1 <= number <= len(table))
    if beyond:
        raise InputError(f'There is no component {beyond[0]}: there are {len(table)}.')
    chosen = np.isin(np.arange(1, len(table) + 1), list(noise))
    explained = table[:, 0].sum()
    return NoiseShare(
        float(table[chosen, 0].sum() / explained) if explained > 0 else float('nan'),
        float(table[chosen, 1].sum() / 100),
    )


def surface_coverage(metric: npt.ArrayLike, vertices: npt.ArrayLike) -> float:
    """Give the mean of a metric from 0 to 1 over some vertices: the share that is covered.

    Parameters
    ----------
    metric : array_like, shape (n_vertices,)
    vertices : array_like of int
        Those that belong to the cortex.

    Raises
    ------
    InputError
        The metric has too few vertices.
    """
    values, chosen = np.asarray(metric, np.float64), np.asarray(vertices, np.intp)
    if not len(chosen):
        return float('nan')
    if chosen.max() >= len(values):
        raise InputError(
            f'There is no vertex {chosen.max()}: the surface has {len(values)} vertices.'
        )
    return float(values[chosen].mean())
