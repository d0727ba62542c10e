"""The Go/NoGo task: trials, responses, and the haemodynamic responses that they evoke."""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.demo.streams import stream

__all__ = [
    'CONDITIONS',
    'DURATION',
    'REPETITION_TIME',
    'WINDOW',
    'condition_of',
    'draw_events',
    'event_regressor',
    'haemodynamic_response',
    'regressors',
]

#: What a trial can be, in the order of the columns of `regressors`.
CONDITIONS = ('correctGo', 'correctNogo', 'incorrectNogo', 'incorrectGo')

REPETITION_TIME = 0.8
#: Stimulus duration in seconds.
DURATION = 0.6
#: A press within this many seconds after onset belongs to the trial.
WINDOW = 0.8

#: CARIT in the HCP's lifespan studies: 300 volumes, 68 Go and 24 NoGo trials.
_VOLUMES, _GO, _NOGO = 300, 68, 24
_LEAD_IN, _LEAD_OUT = 8.0, 10.0
_STEP = 0.1
_OMISSION, _LATE, _EARLY, _COMMISSION = 0.02, 0.03, 0.01, 0.2


def draw_events(
    seed: int, label: str, session: str, n_volumes: int, without_incorrect_go: bool = False
) -> pd.DataFrame:
    """Draw the trials of one run and what the participant did.

    NoGo trials follow one to four Go trials. Some NoGo trials are answered, some Go trials are
    answered late (more than 0.8 s after onset), before the stimulus (a negative response time,
    as BIDS has it) or not at all. At least one trial of each condition occurs, except that
    `without_incorrect_go` makes every Go trial correct.

    Returns
    -------
    DataFrame
        Columns ``onset``, ``duration``, ``trial_type`` (``go``, ``nogo``), ``response_time``
        (seconds after onset; nan without a press).
    """
    rng = stream(seed, 'events', label, session)
    n_go = max(6, round(_GO * n_volumes / _VOLUMES))
    n_nogo = max(3, round(_NOGO * n_volumes / _VOLUMES))
    kinds = _sequence(n_go, n_nogo, rng)
    room = n_volumes * REPETITION_TIME - _LEAD_IN - _LEAD_OUT
    gaps = 0.4 + rng.exponential(1.0, len(kinds)).clip(max=3.0)
    gaps *= (room - DURATION * len(kinds)) / gaps.sum()
    onsets = _LEAD_IN + np.concatenate([[0.0], np.cumsum(DURATION + gaps)[:-1]])
    pressed = np.where(kinds == 'go', 0.38, 0.33) * np.exp(rng.normal(0, 0.18, len(kinds)))
    times = pressed.clip(0.2, 0.75)
    go, nogo = np.flatnonzero(kinds == 'go'), np.flatnonzero(kinds == 'nogo')
    answered = rng.random(len(nogo)) < _COMMISSION
    # Neither none nor so many that correct NoGo trials become rare.
    answered[rng.integers(len(nogo))] = True
    answered[np.flatnonzero(answered)[max(1, len(nogo) // 3) :]] = False
    times[nogo[~answered]] = np.nan
    if not without_incorrect_go:
        fate = rng.random(len(go))
        fate[rng.integers(len(go))] = _OMISSION  # at least one late press
        late, early = fate < _OMISSION + _LATE, fate > 1 - _EARLY
        times[go[late]] = rng.uniform(WINDOW + 0.02, WINDOW + 0.3, int(late.sum()))
        times[go[early]] = rng.uniform(-0.15, -0.02, int(early.sum()))
        times[go[fate < _OMISSION]] = np.nan
    return pd.DataFrame(
        {
            'onset': onsets.round(3),
            'duration': DURATION,
            'trial_type': kinds,
            'response_time': times.round(3),
        }
    )


def condition_of(events: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Say of each trial which of `CONDITIONS` it is."""
    pressed = events['response_time'].between(0, WINDOW).to_numpy()
    go = (events['trial_type'] == 'go').to_numpy()
    return np.select(
        [go & pressed, ~go & ~pressed, ~go & pressed],
        ['correctGo', 'correctNogo', 'incorrectNogo'],
        'incorrectGo',
    )


def haemodynamic_response(times: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """SPM's double gamma function: shapes 6 and 16, ratio 6, scale 1 s; not normalised."""
    t = np.maximum(np.asarray(times, float), 0)
    first = t**5 * np.exp(-t) / math.factorial(5)
    second = t**15 * np.exp(-t) / math.factorial(15)
    return first - second / 6


def regressors(events: pd.DataFrame, n_volumes: int) -> npt.NDArray[np.float64]:
    """Expected responses at the middle of each volume.

    Returns
    -------
    ndarray, shape (n_volumes, 4)
        One column per condition; the response to one trial apart from others has the peak 1.
        A condition without trials is 0.
    """
    fine = np.arange(0, 32, _STEP)
    kernel = haemodynamic_response(fine)
    box = np.ones(round(DURATION / _STEP))
    response = np.convolve(kernel, box)
    response /= response.max()
    delays = _STEP * np.arange(len(response))
    frames = REPETITION_TIME * (np.arange(n_volumes) + 0.5)
    columns = np.zeros((n_volumes, len(CONDITIONS)))
    for onset, condition in zip(events['onset'], condition_of(events), strict=True):
        columns[:, CONDITIONS.index(condition)] += np.interp(
            frames - onset, delays, response, left=0, right=0
        )
    return columns


def event_regressor(
    onsets: npt.ArrayLike, durations: npt.ArrayLike, times: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Expected response to events of any duration, without a time grid.

    The convolution of a box with the double gamma function is a difference of the function's
    integrals, which are incomplete gamma functions.

    Parameters
    ----------
    onsets, durations : array_like, shape (n_events,)
        Seconds; durations above 0.
    times : array_like, shape (n_times,)
        When the response is wanted, in seconds.

    Returns
    -------
    ndarray, shape (n_times,)
        One event of the most frequent duration, apart from others, has the peak 1.
    """
    onset, length = np.asarray(onsets, float), np.asarray(durations, float)
    found, counts = np.unique(length.round(3), return_counts=True)
    usual = max(float(found[counts.argmax()]), 1e-3)
    fine = np.arange(0, usual + 32, min(_STEP, usual) / 10)
    after = np.asarray(times, float)[:, None] - onset
    response = _integral(after) - _integral(after - length)
    peak = float((_integral(fine) - _integral(fine - usual)).max())
    return np.asarray(response.sum(axis=1) / peak)


def _integral(times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Integral of `haemodynamic_response` from 0."""
    from scipy.special import gammainc

    t = np.maximum(times, 0)
    return np.asarray(gammainc(6, t) - gammainc(16, t) / 6)


def _sequence(n_go: int, n_nogo: int, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    """Shuffle trials so that each NoGo trial follows at least one Go trial, as a rule 2 to 4."""
    runs = np.full(n_nogo, n_go // n_nogo)
    runs[rng.permutation(n_nogo)[: n_go % n_nogo]] += 1
    for _ in range(2 * n_nogo):
        i, j = rng.integers(n_nogo, size=2)
        if i != j and runs[i] > 1 and runs[j] < 4:
            runs[i] -= 1
            runs[j] += 1
    return np.concatenate([['go'] * int(length) + ['nogo'] for length in runs])
