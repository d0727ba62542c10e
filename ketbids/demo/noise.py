"""Noise with the temporal and spatial correlation of cleaned BOLD data."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ketbids.demo.brain import Brain

__all__ = [
    'BROAD_FWHM',
    'BROAD_SHARE',
    'autocovariance',
    'broad_fields',
    'diffuse',
    'local_kernel',
    'local_noise',
    'noise_deviation',
    'power_spectrum',
    'smooth_noise',
    'temporal_noise',
]

#: Shares of the temporal variance: white, first-order autoregressive, 1/f.
_WHITE, _AUTOREGRESSIVE, _PINK = 0.45, 0.35, 0.2
_COEFFICIENT = 0.7
#: Below this frequency (Hz), 1/f noise is flat: the high-pass filter of the preprocessing.
_FLOOR = 1 / 200

#: Share of the variance that distant places have in common, and how far it reaches (mm).
BROAD_SHARE = 0.1
BROAD_FWHM = 20.0
_UNCORRELATED, _LOCAL_FWHM, _N_BROAD = 0.3, 4.0, 16

#: Standard deviation over time in percent of the mean: vertices, voxels.
_CORTEX_SD, _SUBCORTEX_SD = 1.0, 1.4

_PADDING = 64
_CHUNK = 16384


def power_spectrum(
    frequencies: npt.NDArray[np.floating], repetition_time: float
) -> npt.NDArray[np.float64]:
    """Power at each frequency of a discrete Fourier transform, with mean about 1.

    The sum of white noise, of a first-order autoregressive process with coefficient 0.7, and of
    1/f noise that is flat below 1/200 Hz.
    """
    angle = np.cos(2 * np.pi * frequencies * repetition_time)
    process = (1 - _COEFFICIENT**2) / (1 - 2 * _COEFFICIENT * angle + _COEFFICIENT**2)
    pink = 1 / np.maximum(frequencies, _FLOOR)
    # The integral of the 1/f part from 0 to the Nyquist frequency, per unit of frequency.
    nyquist = 0.5 / repetition_time
    pink /= (1 + np.log(nyquist / _FLOOR)) / nyquist
    return _WHITE + _AUTOREGRESSIVE * process + _PINK * pink


def _length(n_volumes: int) -> int:
    """Length of the transform: long enough that a run's end does not meet its beginning."""
    from scipy.fft import next_fast_len

    return next_fast_len(n_volumes + _PADDING + n_volumes // 4, real=True)


def autocovariance(n_volumes: int, repetition_time: float) -> npt.NDArray[np.float64]:
    """Autocovariance of `temporal_noise` at lags 0 to ``n_volumes - 1``."""
    length = _length(n_volumes)
    spectrum = power_spectrum(np.fft.rfftfreq(length, repetition_time), repetition_time)
    spectrum[0] = 0
    return np.fft.irfft(spectrum, length)[:n_volumes]


def temporal_noise(
    n_volumes: int, n_series: int, repetition_time: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Draw independent series with the spectrum of `power_spectrum` and a variance of about 1.

    Returns
    -------
    ndarray of float32, shape (n_volumes, n_series)
    """
    from scipy.fft import irfft

    length = _length(n_volumes)
    frequencies = np.fft.rfftfreq(length, repetition_time)
    height = np.sqrt(power_spectrum(frequencies, repetition_time) * length / 2)
    height[0] = 0
    drawn = np.empty((n_volumes, n_series), np.float32)
    for start in range(0, n_series, _CHUNK):
        stop = min(start + _CHUNK, n_series)
        parts = rng.standard_normal((2, stop - start, len(height)), np.float32)
        coefficients = np.empty(parts.shape[1:], np.complex64)
        coefficients.real, coefficients.imag = parts
        coefficients *= height.astype(np.float32)
        drawn[:, start:stop] = irfft(coefficients, length, axis=1)[:, :n_volumes].T
    return drawn


def noise_deviation(brain: Brain) -> npt.NDArray[np.float32]:
    """Standard deviation of the noise in percent of the mean, shape (n_grayordinates,)."""
    return np.where(brain.models.is_surface, _CORTEX_SD, _SUBCORTEX_SD).astype(np.float32)


def diffuse(brain: Brain, fields: npt.NDArray[np.float32], steps: int) -> npt.NDArray[np.float32]:
    """Diffuse fields, shape (n, n_grayordinates), over the brain's neighbours."""
    columns = np.ascontiguousarray(fields.T)
    for _ in range(steps):
        columns = brain.diffusion @ columns
    return columns.T


def smooth_noise(
    brain: Brain, n_fields: int, fwhm: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Draw white fields and diffuse them to about `fwhm` mm; each then has mean square 1.

    Returns
    -------
    ndarray of float32, shape (n_fields, n_grayordinates)
    """
    white = rng.standard_normal((n_fields, len(brain.models)), np.float32)
    fields = diffuse(brain, white, brain.steps(fwhm))
    return fields / np.sqrt(np.mean(fields**2, axis=1, keepdims=True))


def broad_fields(brain: Brain, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw the spatial patterns of fluctuations that distant places share.

    Returns
    -------
    ndarray of float32, shape (16, n_grayordinates)
        Their squares sum to about 1 at each grayordinate.
    """
    return smooth_noise(brain, _N_BROAD, BROAD_FWHM, rng) / np.float32(_N_BROAD**0.5)


@lru_cache(maxsize=1)
def local_kernel(brain: Brain) -> Any:
    """Spatial correlation of the data between near places, as a sparse matrix.

    Its product with white noise has variance 1 everywhere. A part stays uncorrelated; the other
    is diffused by 4 mm, or one step where the mesh is coarser.
    """
    from scipy import sparse

    smooth = brain.diffusion
    for _ in range(brain.steps(_LOCAL_FWHM) - 1):
        smooth = brain.diffusion @ smooth
    own = sparse.eye_array(len(brain.models), dtype=np.float32)
    kernel = _UNCORRELATED * own + (1 - _UNCORRELATED) * smooth
    deviation = np.sqrt(kernel.multiply(kernel).sum(axis=1))
    return (sparse.diags_array(1 / deviation) @ kernel).astype(np.float32).tocsr()


def local_noise(brain: Brain, white: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Give rows of spatially white noise the local correlation of `local_kernel`."""
    return (local_kernel(brain) @ np.ascontiguousarray(white.T)).T
