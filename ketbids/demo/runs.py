"""One synthetic run: time series, head movement, and the participant's own surfaces."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.demo.brain import Brain
from ketbids.demo.noise import (
    BROAD_SHARE,
    broad_fields,
    local_noise,
    noise_deviation,
    smooth_noise,
    temporal_noise,
)
from ketbids.demo.sample import Participant, Sample
from ketbids.demo.streams import stream
from ketbids.demo.task import REPETITION_TIME, regressors
from ketbids.demo.truth import Planted, condition_maps
from ketbids.stats.brainmodels import Surface

__all__ = [
    'Run',
    'head_movement',
    'mean_map',
    'participant_surfaces',
    'run_noise',
    'simulate_run',
]

#: Mean of the HCP's data.
GRAND_MEAN = 10000.0
_TEMPLATE_SD, _PERSON_SD = 0.08, 0.03
_N_JERKS, _JERK_MM, _JERK_PERCENT = 8, 2.0, 4.0


class Run(NamedTuple):
    """Series (n_volumes, n_grayordinates), and movement (n_volumes, 12) as in HCP's files."""

    series: npt.NDArray[np.float32]
    movement: npt.NDArray[np.float64]


def simulate_run(
    planted: Planted,
    sample: Sample,
    person: Participant,
    session: str,
    events: pd.DataFrame,
    n_volumes: int,
) -> Run:
    """Simulate a cleaned run.

    Responses to the trials as in `events`, in percent of a mean that varies over the brain and
    over people around 10000, and noise (see `ketbids.demo.noise`). The run of the participant to
    be excluded has sudden movements that remain in the data.
    """
    brain, seed = planted.brain, planted.seed
    key = (person.label, session)
    jerks = np.zeros(n_volumes)
    if person.label == sample.excluded:
        rng = stream(seed, 'jerks', *key)
        onsets = rng.choice(np.arange(5, n_volumes - 5), _N_JERKS, replace=False)
        jerks[onsets] = rng.choice([-1, 1], _N_JERKS) * rng.uniform(0.5, 1.5, _N_JERKS)
    series = run_noise(brain, n_volumes, REPETITION_TIME, stream(seed, 'noise', *key))
    series *= noise_deviation(brain)
    responses = regressors(events, n_volumes).astype(np.float32)
    effects = condition_maps(planted, person, session)
    # One condition after the other: the result does not depend on a matrix library's threads.
    for column, effect in zip(responses.T, effects, strict=True):
        series += column[:, None] * effect
    if jerks.any():
        pattern = 1 + smooth_noise(brain, 1, 20.0, stream(seed, 'artefact', *key))[0]
        series -= np.float32(_JERK_PERCENT) * np.abs(jerks).astype(np.float32)[:, None] * pattern
    series *= np.float32(0.01)
    series += 1
    series *= mean_map(brain, seed, person.label, GRAND_MEAN)
    return Run(series, head_movement(n_volumes, jerks, stream(seed, 'movement', *key)))


def run_noise(
    brain: Brain, n_volumes: int, repetition_time: float, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Draw noise of variance 1 over time at each grayordinate.

    Returns
    -------
    ndarray of float32, shape (n_volumes, n_grayordinates)
    """
    fields = broad_fields(brain, rng)
    courses = temporal_noise(n_volumes, len(fields), repetition_time, rng)
    near = temporal_noise(n_volumes, len(brain.models), repetition_time, rng)
    series = np.ascontiguousarray(local_noise(brain, near))
    series *= np.float32((1 - BROAD_SHARE) ** 0.5)
    for course, field in zip(courses.T, fields, strict=True):
        series += (np.float32(BROAD_SHARE**0.5) * course)[:, None] * field
    return series


def mean_map(brain: Brain, seed: int, label: str, level: float) -> npt.NDArray[np.float32]:
    """Draw a participant's mean image, which has the mean `level`; shape (n_grayordinates,)."""
    template = smooth_noise(brain, 1, 15.0, stream(seed, 'mean'))[0]
    own = smooth_noise(brain, 1, 15.0, stream(seed, 'mean', label))[0]
    relative = np.exp(np.float32(_TEMPLATE_SD) * template + np.float32(_PERSON_SD) * own)
    return np.float32(level) * relative / relative.mean()


def head_movement(
    n_volumes: int, jerks: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Draw the columns of ``Movement_Regressors.txt``.

    Parameters
    ----------
    n_volumes : int
    jerks : ndarray, shape (n_volumes,)
        Sudden movements, in units of 2 mm and 2 degrees; mostly 0.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (n_volumes, 12)
        Translations in mm, rotations in degrees, and their backward differences.
    """
    times = REPETITION_TIME * np.arange(n_volumes)
    drift = np.cumsum(rng.normal(0, 0.008, (n_volumes, 6)), axis=0)
    breathing = np.sin(2 * np.pi * rng.uniform(0.22, 0.33) * times + rng.uniform(0, 2 * np.pi))
    pose = drift - drift[0] + 0.03 * breathing[:, None] * rng.normal(0, 1, 6)
    # The head comes most of the way back at once, and stays a little displaced.
    moved = jerks + 0.15 * np.cumsum(jerks)
    pose += _JERK_MM * moved[:, None] * rng.uniform(0.2, 0.6, 6)
    return np.hstack([pose, np.diff(pose, axis=0, prepend=pose[:1])])


def participant_surfaces(brain: Brain, seed: int, label: str) -> dict[str, Mapping[str, Surface]]:
    """Make a participant's own surfaces: the template's, scaled by a few percent and warped.

    Returns
    -------
    dict
        ``midthickness`` and ``inflated``, each by CIFTI structure name.
    """
    rng = stream(seed, 'surfaces', label)
    scale = (1 + rng.normal(0, 0.03)) * (1 + rng.normal(0, 0.015, 3))
    waves = rng.normal(0, 2 * np.pi / 90, (6, 3))
    phases, directions = rng.uniform(0, 2 * np.pi, 6), rng.normal(0, 0.5, (6, 3))

    def warped(surface: Surface) -> Surface:
        places = surface.coordinates * scale
        return Surface(places + np.sin(places @ waves.T + phases) @ directions, surface.triangles)

    return {
        'midthickness': {name: warped(s) for name, s in brain.midthickness.items()},
        'inflated': {
            name: Surface(s.coordinates * scale, s.triangles) for name, s in brain.inflated.items()
        },
    }
