"""Contrast maps drawn straight from the planted model, without making time series first."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.demo.brain import Brain
from ketbids.demo.noise import (
    BROAD_FWHM,
    BROAD_SHARE,
    autocovariance,
    local_noise,
    noise_deviation,
    smooth_noise,
)
from ketbids.demo.sample import Sample
from ketbids.demo.streams import stream
from ketbids.demo.task import CONDITIONS, REPETITION_TIME, draw_events, regressors
from ketbids.demo.truth import Planted, contrast_map

__all__ = ['analysis_rows', 'draw_contrasts', 'estimation_error']


def estimation_error(events: pd.DataFrame, n_volumes: int) -> float:
    """Standard error of correct NoGo - correct Go by least squares, for noise of deviation 1.

    In units of the peak response to one trial; the noise has the autocovariance of
    `ketbids.demo.noise.temporal_noise`.
    """
    from scipy.linalg import toeplitz

    responses = regressors(events, n_volumes)
    present = responses.any(axis=0)
    design = np.column_stack([responses[:, present], np.ones(n_volumes)])
    weights = np.zeros(len(CONDITIONS))
    weights[CONDITIONS.index('correctNogo')] = 1
    weights[CONDITIONS.index('correctGo')] = -1
    row = np.append(weights[present], 0) @ np.linalg.pinv(design)
    covariance = toeplitz(autocovariance(n_volumes, REPETITION_TIME))
    return float(np.sqrt(row @ covariance @ row))


def draw_contrasts(
    planted: Planted, sample: Sample, n_volumes: int, smoothing: Any | None = None
) -> dict[tuple[str, str], npt.NDArray[np.float32]]:
    """Draw the estimated contrast correct NoGo - correct Go of every run.

    Effects and differences between people and sessions are those of the time series with the
    same seed; estimation errors have the same size and spatial correlation.

    Parameters
    ----------
    planted : Planted
    sample : Sample
    n_volumes : int
        Volumes of a run.
    smoothing : sparse matrix, optional
        Weights of the analysis' spatial smoothing, shape (n_grayordinates, n_grayordinates).

    Returns
    -------
    dict of (label, session) to ndarray of float32, shape (n_grayordinates,)
        Percent signal change.
    """
    brain = planted.brain
    maps = {}
    for person, session in sample.runs:
        events = draw_events(
            planted.seed,
            person.label,
            session,
            n_volumes,
            (person.label, session) == sample.without_incorrect_go,
        )
        error = estimation_error(events, n_volumes)
        drawn = contrast_map(planted, person, session) + np.float32(error) * _noise_map(
            brain, planted.seed, person.label, session
        )
        maps[person.label, session] = drawn if smoothing is None else smoothing @ drawn
    return maps


def analysis_rows(
    sample: Sample, maps: dict[tuple[str, str], npt.NDArray[np.float32]], first: str, second: str
) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Differences ``first - second`` of the patients seen at both sessions.

    Returns
    -------
    labels : list of str
    differences : ndarray, shape (n_patients, n_grayordinates)
    """
    labels = [p.label for p in sample.patients if {first, second} <= set(p.sessions)]
    return labels, np.stack([maps[label, first] - maps[label, second] for label in labels])


def _noise_map(brain: Brain, seed: int, label: str, session: str) -> npt.NDArray[np.float32]:
    rng = stream(seed, 'estimation', label, session)
    white = rng.standard_normal((1, len(brain.models)), np.float32)
    near = local_noise(brain, white)[0]
    far = smooth_noise(brain, 1, BROAD_FWHM, rng)[0]
    mixed = np.float32((1 - BROAD_SHARE) ** 0.5) * near + np.float32(BROAD_SHARE**0.5) * far
    return noise_deviation(brain) * mixed
