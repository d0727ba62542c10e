"""Runs without activation for the benchmarks of the first level: places, noise and designs.

Places are a patch of the 32k mesh and two subcortical structures of 2 mm voxels. The mesh is the
average one of the HCP, enlarged to the area that the surface of one person has.

Noise has a spectrum of its own at each place, whose parameters are smooth fields over the brain.
The spectrum is put on spatially smooth white noise four times as long as the run, so that the
ends of the run don't meet.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft, stats

from ketbids.demo.subcortex import subcortex
from ketbids.demo.task import CONDITIONS, condition_of, draw_events
from ketbids.io.templates import cortex_vertices, template_surface
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.rundesign import run_design
from ketbids.stats.smoothing import smoothing_matrix

Floats = npt.NDArray[np.float64]

N_VOLUMES, REPETITION_TIME = 300, 0.8
#: Vertices of the patch, the place in its middle, and structures with all their voxels.
VERTICES, CENTRE = 4000, 20000
STRUCTURES = ('THALAMUS_LEFT', 'PUTAMEN_LEFT')
#: Length of a person's cortex over that of the average of many (areas 1016 and 566 cm^2).
ENLARGED = (101_600 / 56_600) ** 0.5
#: FWHM in mm: of the data (5 mm added to the 2 mm of the HCP pipelines), and of the fields of the
#: parameters of the noise.
DATA_FWHM, FIELD_FWHM = 5.4, 10.0
MEAN, DEVIATION = 10_000, 100
LENGTH = 4 * N_VOLUMES

NOISES = ('white', 'AR(2)', 'AR(4), respiratory peak', '1/f', 'mixed')
CONTRASTS = {
    'NoGo-Go': {'correctNogo': 1.0, 'correctGo': -1.0},
    'Go': {'correctGo': 1.0},
    'NoGo': {'correctNogo': 1.0},
}
#: The t contrasts against baseline, and the F contrast of both.
BASELINES, EITHER = ('Go', 'NoGo'), 'Go or NoGo'
#: Confounds as those that ketbids takes of fMRIPrep: movement (6 parameters, their derivatives,
#: and the squares of all) and components of noise.
MOVEMENT, COMPONENTS = 6, 6


class Places(NamedTuple):
    """Where the data are; kernels as sparse matrices over the places.

    Attributes
    ----------
    models : BrainModels
    surfaces : dict of str to Surface
    data, fields : sparse matrix
        Make smooth noise of variance 1 from white noise.
    """

    models: BrainModels
    surfaces: dict[str, Surface]
    data: Any
    fields: Any


class Run(NamedTuple):
    """One run without activation.

    Attributes
    ----------
    data : ndarray of float32, shape (n_volumes, n_places)
    lag1 : ndarray, shape (n_places,)
        True autocorrelation of neighbouring volumes.
    """

    data: npt.NDArray[np.float32]
    lag1: Floats


class Design(NamedTuple):
    """Design matrix of one run, weights of `CONTRASTS` and names of the columns.

    The F contrast `EITHER` is of the rows of `weights` that `BASELINES` names.
    """

    matrix: Floats
    weights: Floats
    names: tuple[str, ...]


def patch_models() -> tuple[BrainModels, dict[str, Surface]]:
    """Grayordinates of the patch and the structures, and the surface that carries the patch."""
    name = 'CIFTI_STRUCTURE_CORTEX_LEFT'
    average, sphere = (template_surface('L', kind) for kind in ('midthickness', 'sphere'))
    cortex = cortex_vertices('L')
    away = np.linalg.norm(sphere.coordinates[cortex] - sphere.coordinates[cortex[CENTRE]], axis=1)
    vertices = np.sort(cortex[np.argsort(away, kind='stable')[:VERTICES]])
    grid = subcortex(2.0)
    voxels = [grid.voxels[structure] for structure in STRUCTURES]
    sizes = [len(vertices), *map(len, voxels)]
    n_voxels = sum(sizes[1:])
    models = BrainModels(
        names=(name, *(f'CIFTI_STRUCTURE_{structure}' for structure in STRUCTURES)),
        structure=np.repeat(np.arange(len(sizes)), sizes).astype(np.int16),
        vertex=np.concatenate([vertices, np.full(n_voxels, -1)]).astype(np.int32),
        voxel=np.concatenate([np.full((len(vertices), 3), -1), *voxels]).astype(np.int32),
        n_vertices={name: len(average.coordinates)},
        affine=grid.affine,
        volume_shape=grid.shape,
    )
    return models, {name: Surface(ENLARGED * average.coordinates, average.triangles)}


@cache
def places() -> Places:
    """Build the places once per process."""
    models, surfaces = patch_models()
    data, fields = (smoothing_matrix(models, surfaces, f) for f in (DATA_FWHM, FIELD_FWHM))
    return Places(models, surfaces, unit_variance(data), unit_variance(fields))


def unit_variance(kernel: Any) -> Any:
    """Scale the rows of a kernel so that it makes variance 1 from white noise."""
    scale = np.sqrt(np.asarray(kernel.multiply(kernel).sum(axis=1)).ravel())
    return kernel.multiply(1 / scale[:, None]).tocsr()


def draw_run(noise: str, number: int) -> Run:
    """Draw a run; a function of the kind of noise and the number."""
    rng = np.random.default_rng([NOISES.index(noise), number])
    here = places()
    n = len(here.models)
    fields = stats.norm.cdf(here.fields @ rng.standard_normal((n, 4))).T
    power = spectrum(noise, fields, breathing=rng.uniform(0.2, 0.36))
    white = (here.data @ rng.standard_normal((n, LENGTH))).T
    series = fft.irfft(fft.rfft(white, axis=0) * np.sqrt(power), LENGTH, axis=0)[:N_VOLUMES]
    covariance = fft.irfft(power, LENGTH, axis=0)
    scaled = MEAN + DEVIATION * series / series.std(axis=0)
    return Run(scaled.astype(np.float32), covariance[1] / covariance[0])


def spectrum(noise: str, fields: Floats, breathing: float) -> Floats:
    """Power at each frequency and place, shape (LENGTH / 2 + 1, n_places).

    Parameters
    ----------
    noise : str
        One of `NOISES`.
    fields : ndarray, shape (4, n_places)
        From 0 to 1, each evenly spread: what varies in space.
    breathing : float
        Frequency of breathing in Hz, the same everywhere.
    """
    frequency = fft.rfftfreq(LENGTH, REPETITION_TIME)[:, None]
    first, second, third, fourth = fields
    one = np.ones_like(first)
    if noise == 'white':
        return np.ones((len(frequency), len(first)))
    if noise == 'AR(2)':
        return process(frequency, [0.15 + 0.45 * first, -0.1 + 0.3 * second])
    if noise == 'AR(4), respiratory peak':
        slow = process(frequency, [0.3 + 0.5 * second, 0.1 * one])
        return slow * process(frequency, peak(0.9 + 0.08 * first, breathing))
    # Without mean; flat below one cycle in 16 minutes.
    falling = np.maximum(frequency, frequency[1]) ** -(0.6 + 0.6 * first)
    falling[0] = 0
    if noise == '1/f':
        return falling
    parts = [
        (0.5 + 0.3 * first, np.ones((len(frequency), 1))),
        (0.3 * second, process(frequency, [0.6 * one])),
        (0.3 * third, falling),
        (0.15 * fourth, process(frequency, peak(0.9 * one, breathing))),
    ]
    return np.sum([share * power / power.mean(axis=0) for share, power in parts], axis=0)


def process(frequency: Floats, coefficients: Sequence[Floats]) -> Floats:
    """Spectrum of an autoregressive process."""
    angle = 2 * np.pi * frequency * REPETITION_TIME
    filtered = sum(c * np.exp(-1j * angle * (lag + 1)) for lag, c in enumerate(coefficients))
    return 1 / np.abs(1 - filtered) ** 2


def peak(radius: Floats, frequency: float) -> list[Floats]:
    """Coefficients of an autoregressive process that resonates at a frequency."""
    return [2 * radius * np.cos(2 * np.pi * frequency * REPETITION_TIME), -(radius**2)]


def draw_confounds(number: int) -> pd.DataFrame:
    """Draw 24 columns like those of movement and 6 slow ones; shape (n_volumes, 30)."""
    rng = np.random.default_rng([len(NOISES), number])
    steps = (
        rng.standard_normal((N_VOLUMES, MOVEMENT))
        * (1 + 4 * (rng.random(N_VOLUMES) < 0.03))[:, None]
    )
    movement = steps.cumsum(axis=0) + 0.5 * rng.standard_normal(steps.shape)
    change = np.diff(movement, axis=0, prepend=movement[:1])
    linear = np.hstack([movement, change])
    slow = np.zeros((N_VOLUMES, COMPONENTS))
    fresh = rng.standard_normal(slow.shape)
    for volume in range(N_VOLUMES):
        slow[volume] = 0.9 * slow[volume - 1] + fresh[volume]
    columns = np.hstack([linear, linear**2, slow])
    return pd.DataFrame(columns, columns=[f'confound{k + 1}' for k in range(columns.shape[1])])


def draw_design(number: int, confounds: bool = False) -> Design:
    """Draw a run of the Go/NoGo task: 68 Go and 24 NoGo trials, some answered wrongly."""
    events = draw_events(number, 'benchmark', '', N_VOLUMES)
    coded = events.assign(condition=condition_of(events))
    more = draw_confounds(number) if confounds else None
    matrix = run_design(coded, CONDITIONS, N_VOLUMES, REPETITION_TIME, confounds=more).matrix
    weights = [[terms.get(name, 0.0) for name in matrix] for terms in CONTRASTS.values()]
    return Design(matrix.to_numpy(np.float64), np.array(weights), tuple(matrix.columns))
