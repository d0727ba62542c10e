"""Coded trials on the time axis of their run, and what is odd about them as a whole."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.eventcells import is_missing
from ketbids.stats.eventrules import EventRules
from ketbids.stats.events import UNMATCHED
from ketbids.stats.rundesign import LONGEST_BEFORE

__all__ = ['RunEvents', 'filled_durations', 'odd_response_times', 'place_in_run']

#: Nobody's usual response is faster than this (s).
_FASTEST = 0.05
#: Nobody's usual response is slower than this (s).
_SLOWEST = 50.0
#: Response times that are needed to say so.
_ENOUGH = 5
#: Status of rows that have a time and a duration.
_TRIALS = ('trial', 'unmatched', 'repeated')
_EARLY = f'more than {LONGEST_BEFORE:g} s before the first volume, not modelled'


class RunEvents(NamedTuple):
    """Coded trials of a run.

    Attributes
    ----------
    trials : DataFrame
        As `ketbids.stats.events.code_trials` gives it, by onset; onsets in seconds from the first
        volume that is left.
    notes : tuple of str
        What was done to the table or is odd about it.
    """

    trials: pd.DataFrame
    notes: tuple[str, ...]


def place_in_run(
    coded: pd.DataFrame,
    n_volumes: int,
    repetition_time: float,
    *,
    drop_volumes: int = 0,
    series: str = 'the time series',
) -> RunEvents:
    """Put coded trials on the time axis of their run.

    Parameters
    ----------
    coded : DataFrame
        Result of `ketbids.stats.events.code_trials`.
    n_volumes : int
        Volumes of the series.
    repetition_time : float
        Seconds.
    drop_volumes : int
        Volumes that were removed from its start: onsets become earlier by their time.
    series : str
        Name of the series, for messages.

    Returns
    -------
    RunEvents
        Trials more than `LONGEST_BEFORE` seconds before the first volume have the status
        ``early`` and no condition.

    Raises
    ------
    InputError
        All trials end before the series starts, or one starts after its end.
    """
    coded, notes = coded.copy(), []
    dropped = drop_volumes * repetition_time
    coded['onset'] -= dropped
    shown = coded['status'].isin(_TRIALS)
    onset, duration = coded.loc[shown, 'onset'], coded.loc[shown, 'duration']
    if dropped and (onset + duration <= 0).all():
        raise InputError(
            f'every event ends within the {drop_volumes} volumes ({dropped:g} s) that '
            f'--drop-volumes says were removed from the start of {series}. Give the number that '
            'was removed there, 0 if none.'
        )
    end = n_volumes * repetition_time
    if onset.max() >= end:
        at = coded.iloc[int(np.flatnonzero(shown)[onset.argmax()])]
        raise InputError(
            f'the last event starts at {at["onset"]:g} s (line {at["line"]}), but {series} ends '
            f'at {end:g} s ({n_volumes} volumes). {_late_events(onset, end)}'
        )
    early = (coded['onset'] < -LONGEST_BEFORE) & (coded['status'] == 'trial')
    told = coded['note'].where(coded['note'] != '', 'a trial of ' + coded['condition'])
    coded.loc[early, 'note'] = told[early] + f'; {_EARLY}'
    coded.loc[early, ['status', 'condition', 'reason']] = ['early', UNMATCHED, _EARLY]
    long = duration > end
    if long.any():
        notes.append(
            f'rows of the events file that last longer than the run ({end:g} s), the longest '
            f'{duration.max():g} s: {int(long.sum())}; durations must be in seconds'
        )
    if not onset.is_monotonic_increasing:
        notes.append('the rows of the events file were not in the order of their onsets, sorted')
    # Of rows at one time, a trial comes before the press at its onset, as in the file.
    coded = coded.sort_values('onset', kind='stable', ignore_index=True)
    return RunEvents(coded, tuple(notes))


def filled_durations(
    events: pd.DataFrame, rules: EventRules, coded: pd.DataFrame
) -> tuple[str, ...]:
    """Say how many trials had no duration of their own.

    Parameters
    ----------
    events : DataFrame
        The table as it was read.
    rules : EventRules
    coded : DataFrame
        Result of `ketbids.stats.events.code_trials` for them, in the same order.

    Returns
    -------
    tuple of str
        One sentence, or none.
    """
    filled = np.array([is_missing(value) for value in events['duration']], dtype=bool)
    filled &= coded['status'].isin(_TRIALS).to_numpy()
    if rules.duration is None or not filled.any():
        return ()
    return (
        f'trials whose duration is n/a, modelled with the {rules.duration:g} s of the model '
        f'file: {int(filled.sum())}',
    )


def odd_response_times(rules: EventRules, coded: pd.DataFrame) -> tuple[str, ...]:
    """Find response times that look like those of another unit.

    Parameters
    ----------
    rules : EventRules
    coded : DataFrame
        Result of `ketbids.stats.events.code_trials`.

    Returns
    -------
    tuple of str
        One sentence, or none.

    Raises
    ------
    InputError
        They are a thousand times as long as people's are.
    """
    times = coded.loc[coded['response_time'].abs() > 0, 'response_time']
    if rules.response is None or len(times) < _ENOUGH:
        return ()
    middle, column = float(times.median()), rules.response.column
    in_seconds = column is not None and rules.units.get(column, 's') == 's'
    if in_seconds and middle > _SLOWEST and middle / 1000 <= rules.response.window[1]:
        raise InputError(
            f'The values of {column} look like milliseconds (half of them are {middle:g} or '
            'more), but are taken for seconds. Say so in the model file: '
            f'"Units": {{"{column}": "ms"}}.'
        )
    if not 0 < middle < _FASTEST:
        return ()
    return (
        f'the median response time is {middle * 1000:.3g} ms, faster than anybody responds: '
        'check the unit of the times and the clock of the responses',
    )


def _late_events(onset: pd.Series, end: float) -> str:
    """Say what may be wrong with events after the end of a run of `end` seconds."""
    # Half of the trials of a run are in its first half; in milliseconds they are long after it.
    if onset.median() > 10 * end and 0.1 * end < onset.max() / 1000 < end:
        return (
            'The onsets look like milliseconds; BIDS has seconds. Correct the file, or say so in '
            'the model file: "Units": {"onset": "ms"}.'
        )
    return (
        'The events belong to another run, or volumes are missing: if volumes were removed from '
        'the start, say how many with --drop-volumes.'
    )
