"""Coded trials on the time axis of their run, and what is odd about them as a whole."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.eventcells import is_missing
from ketbids.stats.eventrules import EventRules
from ketbids.stats.events import UNMATCHED
from ketbids.stats.rundesign import LONGEST_BEFORE

__all__ = ['RunEvents', 'filled_durations', 'place_in_run']

#: Status of rows that have a time and a duration.
_TRIALS = ('trial', 'unmatched', 'repeated')
#: Trials that last so many times as long as from one to the next are told.
_OVERLAPPING = 3
_LATE = 'starts after the end of the run'
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
        All trials end before the series starts, or one starts after its end. Rows of no
        condition may: they are noted.
    """
    coded, notes = coded.copy(), []
    dropped = drop_volumes * repetition_time
    coded['onset'] -= dropped
    shown = coded['status'].isin(_TRIALS)
    stray = _of_no_kind(coded)
    onset, duration = coded.loc[shown, 'onset'], coded.loc[shown, 'duration']
    of_kinds = onset[~stray[shown]]
    if dropped and (of_kinds + duration[~stray[shown]] <= 0).all():
        raise InputError(
            f'every event ends within the {drop_volumes} volumes ({dropped:g} s) that '
            f'--drop-volumes says were removed from the start of {series}. Give the number that '
            'was removed there, 0 if none.'
        )
    end = n_volumes * repetition_time
    if of_kinds.max() >= end:
        at = coded[shown & ~stray].iloc[int(of_kinds.argmax())]
        raise InputError(
            f'the last event starts at {at["onset"]:g} s (line {at["line"]}), but {series} ends '
            f'at {end:g} s ({n_volumes} volumes). {_late_events(of_kinds, end)}'
        )
    late = stray & (coded['onset'] >= end)
    if late.any():
        coded.loc[late, 'note'] += f'; {_LATE}'
        notes.append(
            f'rows of no condition that start after the end of the run ({end:g} s): '
            f'{_counted(coded, late)}'
        )
    early = (coded['onset'] < -LONGEST_BEFORE) & (coded['status'] == 'trial')
    told = coded['note'].where(coded['note'] != '', 'a trial of ' + coded['condition'])
    coded.loc[early, 'note'] = told[early] + f'; {_EARLY}'
    coded.loc[early, ['status', 'condition', 'reason']] = ['early', UNMATCHED, _EARLY]
    notes += _long_durations(coded[shown], end)
    if not onset.is_monotonic_increasing:
        notes.append('the rows of the events file were not in the order of their onsets, sorted')
    # Of rows at one time, a trial comes before the press at its onset, as in the file.
    coded = coded.sort_values('onset', kind='stable', ignore_index=True)
    return RunEvents(coded, tuple(notes))


def filled_durations(
    events: pd.DataFrame, rules: EventRules, coded: pd.DataFrame
) -> tuple[str, ...]:
    """Say how many trials, and how many rows of no condition, had no duration of their own.

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
        A sentence, or none.
    """
    filled = np.array([is_missing(value) for value in events['duration']], dtype=bool)
    filled &= coded['status'].isin(_TRIALS).to_numpy()
    if not filled.any():
        return ()
    if rules.duration is None:
        return (f'rows of no condition without a duration: {_counted(coded, filled)}',)
    return (
        f'trials whose duration is n/a, modelled with the {rules.duration:g} s of the model '
        f'file: {int(filled.sum())}',
    )


def _of_no_kind(coded: pd.DataFrame) -> pd.Series:
    """Rows that the model names nowhere: of no condition, no stimulus and no response."""
    nothing = coded['responded'].isna() & (coded['stimulus'] == UNMATCHED)
    return (coded['status'] == 'unmatched') & nothing


def _counted(coded: pd.DataFrame, rows: pd.Series | npt.NDArray[np.bool_]) -> str:
    """How many rows there are, where the first one is, and what to do about them."""
    found = coded[np.asarray(rows)]
    first = found.iloc[0]
    return (
        f'{len(found)}, the first in line {first["line"]} ({first["reason"]}); if they are no '
        'trials, name them in Events.Ignore of the model file'
    )


def _long_durations(shown: pd.DataFrame, end: float) -> list[str]:
    """Find durations that can hardly be, in a run of `end` seconds."""
    long = shown['duration'] > end
    if long.any():
        return [
            f'rows of the events file that last longer than the run ({end:g} s), the longest '
            f'{shown["duration"].max():g} s: {int(long.sum())}; durations must be in seconds'
        ]
    found = []
    for name, trials in shown[shown['status'] == 'trial'].groupby('condition', sort=False):
        spacing = float(np.median(np.diff(np.sort(trials['onset'])))) if len(trials) > 1 else 0.0
        duration = float(trials['duration'].median())
        if 0 < _OVERLAPPING * spacing < duration:
            found.append(
                f'trials of {name} last {duration:g} s (median), but one starts every '
                f'{spacing:.3g} s: durations must be in seconds; if the file has milliseconds, '
                'say so in the model file: "Units": {"duration": "ms"}'
            )
    return found


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
