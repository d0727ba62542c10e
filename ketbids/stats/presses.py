"""Which press belongs to which trial: times in a column, or rows of their own."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.eventcells import describe, line, matches
from ketbids.stats.eventrules import ResponseRule

__all__ = ['Responses', 'check_spacing', 'column_responses', 'row_responses']

#: Differences of times are rounded to it (s): 12.044 - 11.244 is not quite 0.8 in binary.
_RESOLUTION = 6
_NONE = 'no response'


class Responses(NamedTuple):
    """What is known of the response in each row of an events table.

    Attributes
    ----------
    time : ndarray of float
        Seconds from the onset of the trial to its press, also where that does not count; NaN if
        there is none.
    responded : ndarray of bool
        There was a press in the window.
    presses : ndarray of int
        Presses in the window.
    source : ndarray of int
        Row with the press that counts; -1 if there is none.
    reason : ndarray of object
        In few words, so that rows can be counted by it: what became of the response of a trial,
        or of a row that is a press.
    note : ndarray of object
        What a reader should know of this row; empty if all is well.
    """

    time: npt.NDArray[np.float64]
    responded: npt.NDArray[np.bool_]
    presses: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]
    reason: npt.NDArray[np.object_]
    note: npt.NDArray[np.object_]

    @classmethod
    def none(cls, n_rows: int, reason: str = _NONE) -> 'Responses':
        """No response anywhere."""
        return cls(
            np.full(n_rows, np.nan),
            np.zeros(n_rows, dtype=bool),
            np.zeros(n_rows, dtype=np.int64),
            np.full(n_rows, -1, dtype=np.int64),
            np.full(n_rows, reason, dtype=object),
            np.full(n_rows, '', dtype=object),
        )


def check_spacing(
    events: pd.DataFrame,
    onset: npt.NDArray[np.float64],
    trials: npt.NDArray[np.bool_],
    window: tuple[float, float],
) -> None:
    """Refuse a response window that is longer than the time between two trials.

    Parameters
    ----------
    events : DataFrame
        For the message.
    onset : ndarray, shape (n_rows,)
        Seconds.
    trials : ndarray of bool, shape (n_rows,)
        Rows that may have a response.
    window : tuple of float
        First and last time (s after onset) at which a response belongs to the trial.

    Raises
    ------
    InputError
        A press could belong to two trials; the message names the lines of the first such pair.
    """
    rows = _by_onset(onset, trials)
    spacing = np.round(np.diff(onset[rows]), _RESOLUTION)
    for before in np.flatnonzero(spacing < round(window[1] - window[0], _RESOLUTION))[:1]:
        one, two = (line(events, int(row)) for row in rows[before : before + 2])
        apart = f'{spacing[before]:g} s apart' if spacing[before] else 'of the same time'
        raise InputError(
            f'Lines {one} and {two} of the file are trials {apart}, but the response window of '
            f'{window[0]:g} to {window[1]:g} s is longer: a press could belong to both. Shorten '
            'Window in the model file, or correct the events.'
        )


def column_responses(
    events: pd.DataFrame, time: npt.NDArray[np.float64], rule: ResponseRule
) -> Responses:
    """Responses whose times stand in the rows of their trials.

    A missing time, or one of exactly 0, as stimulus programs write it for "no press", is no
    response.

    Parameters
    ----------
    events : DataFrame
    time : ndarray, shape (n_rows,)
        Seconds from onset to the press; NaN if missing.
    rule : ResponseRule

    Returns
    -------
    Responses
    """
    pressed = matches(events, rule.press)
    found = Responses.none(len(events))
    first, last = rule.window
    in_window = (time >= first) & (time <= last) & (time != 0)
    found.time[:] = time
    found.responded[:] = in_window & pressed
    found.presses[:] = found.responded
    found.source[found.responded] = np.flatnonzero(found.responded)
    found.reason[found.responded] = 'response in the window'
    for row in map(int, np.flatnonzero(~found.responded)):
        seen = not np.isnan(time[row]) and time[row] != 0
        if seen and not pressed[row]:
            values = describe(events, row, rule.press)
            found.reason[row] = 'response is no press'
            found.note[row] = f'response time {time[row]:g} s, but {values} is no press'
        elif not seen and pressed[row] and rule.press:
            found.reason[row] = 'press without its time'
            values = describe(events, row, rule.press)
            found.note[row] = f'{values}, but no response time: read as no response'
        elif time[row] == 0:
            found.reason[row] = found.note[row] = 'response time 0 read as no response'
        elif seen:
            found.reason[row] = _outside(time[row], rule.window)
            found.note[row] = f'{found.reason[row]} ({time[row]:g} s)'
    return found


def row_responses(
    events: pd.DataFrame,
    onset: npt.NDArray[np.float64],
    trials: npt.NDArray[np.bool_],
    responses: npt.NDArray[np.bool_],
    rule: ResponseRule,
) -> Responses:
    """Responses that stand in rows of their own.

    A press belongs to the trial in whose window it falls; of several, the first one counts. One
    at the very onset of a trial is none, as a time of 0 is none in a column.

    Parameters
    ----------
    events : DataFrame
    onset : ndarray, shape (n_rows,)
        Seconds.
    trials : ndarray of bool, shape (n_rows,)
        Rows that may have a response; their windows do not overlap (`check_spacing`).
    responses : ndarray of bool, shape (n_rows,)
        Rows that are responses.
    rule : ResponseRule

    Returns
    -------
    Responses
    """
    found = Responses.none(len(events))
    pressed = matches(events, rule.press)
    rows = _by_onset(onset, trials)
    for row in map(int, _by_onset(onset, responses)):
        if not pressed[row]:
            found.reason[row] = 'a response that is no press'
            found.note[row] = f'{describe(events, row, rule.press)} is no press'
            continue
        since = np.round(onset[row] - onset[rows], _RESOLUTION)
        inside = np.flatnonzero(
            (since >= rule.window[0]) & (since <= rule.window[1]) & (since != 0)
        )
        if len(inside):
            _inside(events, found, row, rows[inside[0]], since[inside[0]])
        else:
            _stray(events, found, row, rows, since, rule.window)
    for trial in np.flatnonzero(found.presses > 1):
        found.reason[trial] = 'more than one response in the window, the first counts'
        several = (
            f'{found.presses[trial]} presses in the window, the first ({found.time[trial]:g} s) '
            'counts'
        )
        found.note[trial] = '; '.join(filter(None, (found.note[trial], several)))
    return found


def _inside(events: pd.DataFrame, found: Responses, row: int, trial: int, time: float) -> None:
    """Put a press to its trial."""
    found.presses[trial] += 1
    if found.responded[trial]:
        found.reason[row] = 'further press of a trial'
        found.note[row] = f'another press of the trial of line {line(events, trial)}'
        return
    found.time[trial], found.responded[trial], found.source[trial] = time, True, row
    found.reason[row], found.reason[trial] = 'press of a trial', 'response in the window'


def _stray(
    events: pd.DataFrame,
    found: Responses,
    row: int,
    rows: npt.NDArray[np.int64],
    since: npt.NDArray[np.float64],
    window: tuple[float, float],
) -> None:
    """Say where a press is that belongs to no trial, and note it at the trial before it."""
    before = np.flatnonzero(since >= 0)
    after = np.flatnonzero(since < 0)
    places = []
    if len(before):
        last = before[-1]
        trial, time = rows[last], since[last]
        places.append(f'{time:g} s after the onset of the trial of line {line(events, trial)}')
        reason = 'press at the onset of a trial' if time == 0 else _outside(time, window)
        if np.isnan(found.time[trial]):
            found.time[trial], found.reason[trial] = time, reason
            found.note[trial] = f'{reason} ({time:g} s)'
        elif found.responded[trial] and time > window[1]:
            another = f'another press after the window ({time:g} s)'
            found.note[trial] = '; '.join(filter(None, (found.note[trial], another)))
    else:
        reason = 'press before the first trial' if len(after) else 'no trial to belong to'
    if len(after):
        following = rows[after[0]]
        places.append(f'{-since[after[0]]:g} s before that of line {line(events, following)}')
    found.reason[row] = {
        'press after the window': 'press between trials'
        if len(after)
        else 'press after the last trial',
        'press before the window': 'press before the window of a trial',
    }.get(reason, reason)
    found.note[row] = f'belongs to no trial: {", ".join(places) or "there is none"}'


def _outside(time: float, window: tuple[float, float]) -> str:
    if time < 0:
        return 'press before onset'
    return f'press {"before" if time < window[0] else "after"} the window'


def _by_onset(
    onset: npt.NDArray[np.float64], wanted: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Indices of wanted rows, by time."""
    rows = np.flatnonzero(wanted)
    return rows[np.argsort(onset[rows], kind='stable')]
