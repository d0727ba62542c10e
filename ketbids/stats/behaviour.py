"""How a participant did a Go/NoGo task: accuracy, response times, sensitivity, drift."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from ketbids.stats.eventrules import StimulusRules
from ketbids.stats.taskdone import validity

__all__ = ['COUNTS', 'MEASURES', 'SESSION', 'distinct_measures', 'performance']
__all__ += ['performance_table']

#: Name of the row that describes all runs of a session together.
SESSION = 'all'

#: Rows of a coded table that are trials which the participant did, modelled or not.
_DONE = ('trial', 'unmatched', 'early')

#: Numbers of trials, in the order of the columns.
COUNTS = (
    *('n_trials', 'n_go', 'n_nogo', 'n_correct_go', 'n_correct_nogo'),
    *('n_omissions', 'n_wrong_go', 'n_commissions', 'n_post_error'),
    *('n_outside', 'n_unmatched'),
)

#: What is computed of them and of response times, in the order of the columns.
MEASURES = (
    'accuracy',
    'go_accuracy',
    'nogo_accuracy',
    'omission_rate',
    'commission_rate',
    'rt_correct_go_mean',
    'rt_correct_go_median',
    'rt_correct_go_sd',
    'rt_incorrect_nogo_mean',
    'rt_incorrect_nogo_median',
    'rt_incorrect_nogo_sd',
    'dprime',
    'criterion',
    'post_error_slowing',
    'post_error_slowing_mean',
    'rt_drift',
    'go_accuracy_drift',
    'nogo_accuracy_drift',
)

_Bools = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]


class _Run(NamedTuple):
    """The trials of a run in the order of their onsets."""

    onset: _Floats
    go: _Bools
    pressed: _Bools
    correct: _Bools
    time: _Floats
    #: How many rows of unknown kind are before each trial: neighbours have the same number.
    lost_before: npt.NDArray[np.int64]
    n_lost: int
    #: Whether there is a press, but outside of the window.
    outside: _Bools


class _MissingError(Exception):
    """Why a measure cannot be computed."""


def distinct_measures(rules: StimulusRules) -> tuple[str, ...]:
    """Give the measures that don't say the same twice.

    The share of commission errors is 1 minus the NoGo accuracy, and the share of omissions is 1
    minus the Go accuracy unless a press in a Go trial can be wrong.
    """
    twice = {'commission_rate'} if rules.correct else {'commission_rate', 'omission_rate'}
    return tuple(name for name in MEASURES if name not in twice)


def performance_table(
    trials: Sequence[pd.DataFrame], runs: Sequence[str], rules: StimulusRules
) -> pd.DataFrame:
    """Describe every run of a session, and the session.

    Parameters
    ----------
    trials : sequence of DataFrame
        Coded trials of each run (see `performance`).
    runs : sequence of str
        Their labels; empty for the only run of a session.
    rules : StimulusRules

    Returns
    -------
    DataFrame
        One row per run and a last one, ``run`` = ``all``, of their trials together; columns
        ``run`` and those of `performance`.
    """
    rows: list[dict[str, Any]] = [
        {'run': run or None} | performance([table], rules)
        for run, table in zip(runs, trials, strict=True)
    ]
    return pd.DataFrame([*rows, {'run': SESSION} | performance(trials, rules)])


def performance(trials: Sequence[pd.DataFrame], rules: StimulusRules) -> dict[str, Any]:
    """Describe what a participant did in one run, or in several together.

    A trial counts if it is one of Go or NoGo and was presented, also where it started before the
    first volume or belongs to no condition; repeated rows count once. Rows that
    the model names nowhere (misspelt types, say) are counted apart. What
    compares a trial with others (slowing, drift) is computed within runs.

    Parameters
    ----------
    trials : sequence of DataFrame
        One table per run: ``onset`` and ``response_time`` (s), ``status``, ``stimulus`` (``go``,
        ``nogo``), ``responded`` (whether there was a press in the window), ``correct``, and
        maybe ``note``.
    rules : StimulusRules
        When the task counts as done.

    Returns
    -------
    dict
        `COUNTS`; `MEASURES`, NaN where they cannot be computed; ``valid`` and
        ``invalid_reason`` (see `ketbids.stats.taskdone.validity`), and ``not_available``: why
        each missing measure is missing.

    Notes
    -----
    *Sensitivity and criterion.* A press in a Go trial (whichever button) is a hit, one in a NoGo
    trial a false alarm: d' = z(H) - z(F) and c = -(z(H) + z(F)) / 2 (Macmillan and Creelman 2005,
    Detection Theory, chapters 1 and 2), with H = (hits + 0.5) / (Go trials + 1) and F likewise:
    the log-linear correction of Hautus (1995, Behav Res Methods Instrum Comput 27:46), always
    applied, so that rates of 0 and 1 need no special case.

    *Slowing after errors.* An error is a trial with a wrong press. ``post_error_slowing`` is the
    mean over errors of the response time in the trial after minus that in the trial before, both
    correct Go (Dutilh et al. 2012, J Math Psychol 56:208): slow changes of speed cancel. Trials
    with a row of unknown kind between them are no neighbours.
    ``post_error_slowing_mean`` is the older difference: mean response time of the correct Go
    trials that follow an error minus the mean of those that follow a correct trial (Rabbitt 1966,
    J Exp Psychol 71:264).

    *Drift.* ``rt_drift`` is the least-squares slope of the response time of correct Go trials on
    their onset (s per minute), with a level for each run; ``go_accuracy_drift`` and
    ``nogo_accuracy_drift`` are the share of correct trials in the second half of the trials of
    that kind minus that in the first (a middle trial is left out), halves of all runs together.
    """
    done = [_done(table) for table in trials]
    go = np.concatenate([run.go for run in done]) if done else np.zeros(0, bool)
    pressed = np.concatenate([run.pressed for run in done]) if done else go
    correct = np.concatenate([run.correct for run in done]) if done else go
    time = np.concatenate([run.time for run in done]) if done else np.zeros(0)
    slowing = [_slowing(run) for run in done]
    changes = [change for run in slowing for change in run[0]]
    counts = {
        'n_trials': len(go),
        'n_go': int(go.sum()),
        'n_nogo': int((~go).sum()),
        'n_correct_go': int((go & correct).sum()),
        'n_correct_nogo': int((~go & correct).sum()),
        'n_omissions': int((go & ~pressed).sum()),
        'n_wrong_go': int((go & pressed & ~correct).sum()),
        'n_commissions': int((~go & pressed).sum()),
        'n_post_error': len(changes),
        'n_outside': sum(int(run.outside.sum()) for run in done),
        'n_unmatched': sum(run.n_lost for run in done),
    }
    measures: dict[str, Callable[[], float]] = {
        'accuracy': partial(_share, correct, 'Go or NoGo trial'),
        'go_accuracy': partial(_share, correct[go], 'Go trial'),
        'nogo_accuracy': partial(_share, correct[~go], 'NoGo trial'),
        'omission_rate': partial(_share, ~pressed[go], 'Go trial'),
        'commission_rate': partial(_share, pressed[~go], 'NoGo trial'),
        **_of_times('rt_correct_go', time[go & correct], 'correct Go trial'),
        **_of_times('rt_incorrect_nogo', time[~go & pressed], 'NoGo trial with a press'),
        'dprime': partial(_sensitivity, pressed, go),
        'criterion': partial(_criterion, pressed, go),
        'post_error_slowing': partial(_mean, changes, 'error between two correct Go trials'),
        'post_error_slowing_mean': partial(_slowing_of_means, slowing),
        'rt_drift': partial(_slope, done),
        'go_accuracy_drift': partial(_half_change, [r.correct[r.go] for r in done], 'Go'),
        'nogo_accuracy_drift': partial(_half_change, [r.correct[~r.go] for r in done], 'NoGo'),
    }
    values: dict[str, Any] = {}
    missing: dict[str, list[str]] = {}
    for name in MEASURES:
        try:
            values[name] = measures[name]()
        except _MissingError as why:
            values[name] = np.nan
            missing.setdefault(str(why), []).append(name)
    valid, reason = validity(counts, rules.validity)
    if rules.validity.correct_nogo is None and rules.validity.go_accuracy is None:
        missing['the model has no rule'] = ['valid']
    listed = '; '.join(f'{", ".join(names)}: {why}' for why, names in missing.items())
    return {
        **counts,
        **values,
        'valid': valid,
        'invalid_reason': reason,
        'not_available': listed or None,
    }


def _done(table: pd.DataFrame) -> _Run:
    """Take the trials that were done out of a coded table."""
    known = table['stimulus'].isin(['go', 'nogo'])
    answerable = table['responded'].isin([True, False])
    lost = table['status'].eq('unmatched') & ~known & ~answerable
    kept = table['status'].isin(_DONE) & known & answerable
    both = table.assign(lost=lost)[kept | lost].sort_values('onset', kind='stable')
    rows = both[~both['lost']]
    go, pressed = rows['stimulus'].eq('go'), rows['responded'].eq(True)
    time = pd.to_numeric(rows['response_time'], errors='coerce')
    # What is no press, by the rule of the model file, has a time as well.
    outside = go & ~pressed & time.notna() & (time != 0)
    if 'note' in rows:
        outside &= ~rows['note'].astype(str).str.contains('is no press')
    return _Run(
        rows['onset'].to_numpy(float),
        go.to_numpy(bool),
        pressed.to_numpy(bool),
        rows['correct'].eq(True).to_numpy(bool),
        time.to_numpy(float),
        both['lost'].cumsum()[~both['lost']].to_numpy(int),
        int(lost.sum()),
        outside.to_numpy(bool),
    )


def _share(hits: _Bools, what: str) -> float:
    if not len(hits):
        raise _MissingError(f'no {what}')
    return float(np.mean(hits))


def _enough(values: npt.ArrayLike, what: str, fewest: int = 1) -> _Floats:
    found = np.asarray(values, float)
    if len(found) < fewest:
        n = f'only {len(found)}' if len(found) else 'no'
        raise _MissingError(f'{n} {what}' + (f', {fewest} are needed' if fewest > 1 else ''))
    return found


def _of_times(name: str, times: _Floats, what: str) -> dict[str, Callable[[], float]]:
    return {
        f'{name}_mean': partial(_mean, times, what),
        f'{name}_median': partial(_median, times, what),
        f'{name}_sd': partial(_deviation, times, what),
    }


def _mean(values: npt.ArrayLike, what: str) -> float:
    return float(np.mean(_enough(values, what)))


def _median(values: npt.ArrayLike, what: str) -> float:
    return float(np.median(_enough(values, what)))


def _deviation(values: npt.ArrayLike, what: str) -> float:
    return float(np.std(_enough(values, what, 2), ddof=1))


def _corrected_z(pressed: _Bools, kind: str) -> float:
    """Normal deviate of a rate with the log-linear correction."""
    if not len(pressed):
        raise _MissingError(f'no {kind} trial')
    return float(norm.ppf((pressed.sum() + 0.5) / (len(pressed) + 1)))


def _sensitivity(pressed: _Bools, go: _Bools) -> float:
    return _corrected_z(pressed[go], 'Go') - _corrected_z(pressed[~go], 'NoGo')


def _criterion(pressed: _Bools, go: _Bools) -> float:
    return -(_corrected_z(pressed[go], 'Go') + _corrected_z(pressed[~go], 'NoGo')) / 2


def _slowing(run: _Run) -> tuple[_Floats, _Floats, _Floats]:
    """Changes of response time around errors, and the times after errors and correct trials."""
    wrong = run.pressed & ~run.correct
    right = run.go & run.correct
    next_to = run.lost_before[1:] == run.lost_before[:-1]
    around = wrong[1:-1] & right[:-2] & right[2:] & next_to[1:] & next_to[:-1]
    changes = (run.time[2:] - run.time[:-2])[around]
    return (
        changes,
        run.time[1:][right[1:] & wrong[:-1] & next_to],
        run.time[1:][right[1:] & run.correct[:-1] & next_to],
    )


def _slowing_of_means(slowing: Sequence[tuple[_Floats, _Floats, _Floats]]) -> float:
    after_error = np.concatenate([run[1] for run in slowing] or [np.zeros(0)])
    after_correct = np.concatenate([run[2] for run in slowing] or [np.zeros(0)])
    return _mean(after_error, 'correct Go trial after an error') - _mean(
        after_correct, 'correct Go trial after a correct trial'
    )


def _slope(runs: Sequence[_Run]) -> float:
    """Slope of response time on onset, s per minute, with a level for each run."""
    onset, time, n, levels = [], [], 0, 0
    for run in runs:
        where = run.go & run.correct
        if where.any():
            onset.append(run.onset[where] - run.onset[where].mean())
            time.append(run.time[where] - run.time[where].mean())
            n, levels = n + int(where.sum()), levels + 1
    if n < levels + 2:
        raise _MissingError(f'{n} correct Go trials in {levels} runs are too few for a slope')
    x, y = np.concatenate(onset), np.concatenate(time)
    spread = float(x @ x)
    if not spread > 0:
        raise _MissingError('all correct Go trials have one onset')
    return 60 * float(x @ y) / spread


def _half_change(runs: Sequence[_Bools], kind: str) -> float:
    """Share of correct trials in second halves minus that in first halves."""
    halves = [(run[: len(run) // 2], run[len(run) - len(run) // 2 :]) for run in runs]
    first = np.concatenate([half[0] for half in halves] or [np.zeros(0, bool)])
    second = np.concatenate([half[1] for half in halves] or [np.zeros(0, bool)])
    if not len(first):
        raise _MissingError(f'fewer than two {kind} trials in every run')
    return float(second.mean() - first.mean())
