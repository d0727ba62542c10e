"""Trials and responses of an events table, coded into the conditions of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError

__all__ = ['UNMATCHED', 'Condition', 'code_trials', 'count_trials']

#: Condition of a row that belongs to none.
UNMATCHED = 'n/a'
#: Kinds of rows that a message lists.
_SHOWN = 12
_REPEATED = 'repeats an earlier row (onset, duration and condition), modelled once'
_MISSING = frozenset({'', 'n/a', 'na', 'nan', 'none', '<na>'})


@dataclass(frozen=True)
class Condition:
    """Which rows of an events table are trials of one condition.

    Attributes
    ----------
    name : str
        Name of the condition.
    where : mapping of str to tuple of str
        Column to the values accepted in it; every column must agree. Numbers are compared as
        text (``1`` and ``1.0`` are the same value ``'1'``).
    response : bool or None
        True if a response inside the window is required, False if there must be none, None if
        it does not matter.
    """

    name: str
    where: Mapping[str, tuple[str, ...]]
    response: bool | None = None


def code_trials(
    events: pd.DataFrame,
    conditions: Sequence[Condition],
    response_column: str | None = None,
    window: tuple[float, float] = (0.0, 0.8),
) -> pd.DataFrame:
    """Give each row of an events table its condition.

    A response belongs to the trial if its time lies within the window, both ends included. A
    missing time (``n/a``, empty) or a time of exactly 0, as stimulus programs write it for "no
    press", is no response. Times outside the window are no response within it, and are noted.
    So are onsets before the first volume, which BIDS allows.

    Parameters
    ----------
    events : DataFrame
        Columns ``onset`` and ``duration`` (s), those that ``conditions`` name, and the response
        column; text or numbers.
    conditions : sequence of Condition
        The conditions; no row may belong to two.
    response_column : str, optional
        Column with the time of the response in s after the onset.
    window : tuple of float
        First and last time (s after the onset) at which a response belongs to the trial.

    Returns
    -------
    DataFrame
        One row per row of ``events`` in the same order: ``onset`` and ``duration`` (s),
        ``condition`` (``'n/a'`` if none, or if the row repeats an earlier one), ``responded``
        (bool), ``response_time`` (s, NaN if missing), ``note`` (why a response or a row does
        not count; empty if all is well).

    Raises
    ------
    InputError
        There is no row, a column is missing, a value is not a time, no row belongs to a
        condition, a row belongs to two, or the conditions do not go together.
    """
    _check(events, conditions, response_column, window)
    onset = _times(events, 'onset')
    duration = _times(events, 'duration')
    bad = {'onset': np.isnan(onset), 'duration': ~(duration >= 0)}
    for column, where in bad.items():
        for row in np.flatnonzero(where)[:1]:
            least = ', 0 or more' if column == 'duration' else ''
            raise InputError(
                f'{_row(row)} of the events has {column} {_cell(events[column].iloc[row])}: it '
                f'must be a number of seconds{least}. Correct or remove the row.'
            )
    if response_column is None:
        time = np.full(len(events), np.nan)
    else:
        time = _times(events, response_column)
    responded = (time >= window[0]) & (time <= window[1]) & (time != 0)
    name = np.full(len(events), UNMATCHED, dtype=object)
    for condition in conditions:
        matched = _matches(events, condition, responded)
        for row in np.flatnonzero(matched & (name != UNMATCHED))[:1]:
            raise InputError(
                f'{_row(row)} of the events ({_describe(events, row, condition.where)}) belongs '
                f'to two conditions, {name[row]} and {condition.name}: make them exclusive in '
                'the model.'
            )
        name[matched] = condition.name
    columns = list(dict.fromkeys(c for condition in conditions for c in condition.where))
    if (name == UNMATCHED).all():
        raise InputError(_nothing_matches(events, conditions, columns))
    keys = pd.DataFrame({'onset': onset, 'duration': duration, 'condition': name})
    repeated = keys.duplicated().to_numpy() & (name != UNMATCHED)
    notes = []
    for row in range(len(events)):
        note = _response_note(time[row], window)
        if onset[row] < 0:
            early = 'starts before the first volume of the scan'
            note = '; '.join(filter(None, (note, early)))
        if name[row] == UNMATCHED:
            described = _describe(events, row, columns)
            if response_column is not None:
                described += ' with a response' if responded[row] else ' without a response'
            note = '; '.join(filter(None, (note, f'no condition matches {described}')))
        elif repeated[row]:
            note = '; '.join(filter(None, (note, _REPEATED)))
        notes.append(note)
    name[repeated] = UNMATCHED
    return pd.DataFrame(
        {
            'onset': onset,
            'duration': duration,
            'condition': pd.Series(name, dtype=str),
            'responded': responded,
            'response_time': time,
            'note': pd.Series(notes, dtype=str),
        }
    )


def count_trials(coded: pd.DataFrame, conditions: Sequence[Condition]) -> pd.DataFrame:
    """Count the trials of each condition.

    Parameters
    ----------
    coded : DataFrame
        Result of :func:`code_trials`.
    conditions : sequence of Condition
        The conditions, in the order wanted.

    Returns
    -------
    DataFrame
        Columns ``condition`` and ``n_trials``; the last row, ``'n/a'``, counts the rows that
        belong to no condition.
    """
    names = [*(condition.name for condition in conditions), UNMATCHED]
    counts = coded['condition'].value_counts()
    return pd.DataFrame(
        {'condition': names, 'n_trials': [int(counts.get(name, 0)) for name in names]}
    )


def _check(
    events: pd.DataFrame,
    conditions: Sequence[Condition],
    response_column: str | None,
    window: tuple[float, float],
) -> None:
    names = [condition.name for condition in conditions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or UNMATCHED in names:
        raise InputError(
            f'Condition names must be unique and not {UNMATCHED!r}; there are: {", ".join(names)}.'
        )
    if not window[0] < window[1]:
        raise InputError(
            f'The response window {window[0]} to {window[1]} s is empty: give its start first.'
        )
    if not len(events):
        raise InputError(
            'The file has a header, but no event. Write the events of the run into it, or remove '
            'the file.'
        )
    needed: dict[str, str] = {'onset': 'every model', 'duration': 'every model'}
    for condition in conditions:
        needed.update(dict.fromkeys(condition.where, f'condition {condition.name}'))
        if condition.response is not None and response_column is None:
            raise InputError(
                f'Condition {condition.name} asks for {"a" if condition.response else "no"} '
                'response, but no response column is named: name it in the model.'
            )
    if response_column is not None:
        needed[response_column] = 'the response rule'
    for column, user in needed.items():
        if column not in events.columns:
            raise InputError(
                f'The events have no column {column!r}, which {user} needs; their columns are: '
                f'{", ".join(map(str, events.columns))}.'
            )


def _nothing_matches(
    events: pd.DataFrame, conditions: Sequence[Condition], columns: list[str]
) -> str:
    """Say what there is, and what the model looks for."""
    counts: dict[str, int] = {}
    for row in range(len(events)):
        text = ', '.join(f'{c}={_quoted(events[c].iloc[row])}' for c in columns)
        counts[text] = counts.get(text, 0) + 1
    found = [f'{text} ({count})' for text, count in counts.items()]
    shown = '; '.join(found[:_SHOWN]) + (
        f'; {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''
    )
    rules = {None: '', True: ', with a response', False: ', without a response'}
    wanted = [
        f'{c.name}: '
        + ', '.join(f'{k}={" or ".join(map(repr, values))}' for k, values in c.where.items())
        + rules[c.response]
        for c in conditions
    ]
    return (
        f'No row of the events belongs to a condition of the model. The file has: {shown}. The '
        f'model has: {"; ".join(wanted)}. Correct one of them.'
    )


def _cell(value: object) -> str:
    if _is_missing(value):
        return 'n/a'
    return repr(value) if isinstance(value, str) else f'{value}'


def _quoted(value: object) -> str:
    """A cell in quotation marks, with its blanks."""
    return repr(value if isinstance(value, str) else _text(value))


def _row(row: int) -> str:
    return f'Row {row + 1} (line {row + 2} of the file)'


def _is_missing(value: object) -> bool:
    return bool(pd.isna(value)) or str(value).strip().lower() in _MISSING  # type: ignore[call-overload]


def _times(events: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    """A column as seconds; NaN where it is missing, an error where it is no number."""
    times = np.full(len(events), np.nan)
    for row, value in enumerate(events[column]):
        if _is_missing(value):
            continue
        try:
            times[row] = float(value)
        except (TypeError, ValueError):
            times[row] = np.inf
        if not np.isfinite(times[row]):
            raise InputError(
                f'{_row(row)} of the events has {column} {_cell(value)}, which is not a number of '
                'seconds. Correct the row, or write n/a if there is no value.'
            )
    return times


def _text(value: object) -> str:
    """A cell as text; whole numbers without decimals, missing values as ``n/a``."""
    if _is_missing(value):
        return UNMATCHED
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _matches(
    events: pd.DataFrame, condition: Condition, responded: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    matched = np.ones(len(events), dtype=bool)
    for column, accepted in condition.where.items():
        matched &= np.array([_text(value) in accepted for value in events[column]], dtype=bool)
    if condition.response is not None:
        matched &= responded == condition.response
    return matched


def _describe(events: pd.DataFrame, row: int, columns: Mapping[str, object] | list[str]) -> str:
    return ', '.join(f'{column}={_text(events[column].iloc[row])}' for column in columns)


def _response_note(time: float, window: tuple[float, float]) -> str:
    if np.isnan(time):
        return ''
    if time == 0:
        return 'response time 0 read as no response'
    if time < 0:
        return f'press before onset ({time:g} s)'
    if time < window[0]:
        return f'press before the window ({time:g} s)'
    if time > window[1]:
        return f'press after the window ({time:g} s)'
    return ''
