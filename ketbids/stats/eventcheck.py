"""What must hold of event rules and of an events table before its rows are sorted."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.eventcells import MISSING, cell, is_missing, row_name, seconds
from ketbids.stats.eventrules import EventRules, Where

__all__ = ['check_columns', 'check_rules', 'check_times']


def check_rules(rules: EventRules) -> None:
    """Refuse rules that do not go together.

    Raises
    ------
    InputError
        Names of conditions are not unique, a window is empty, or there is no rule for responses
        that a condition asks for.
    """
    names = [condition.name for condition in rules.conditions]
    if len(set(names)) < len(names) or MISSING in names:
        raise InputError(
            f'Condition names must be unique and not {MISSING!r}; there are: {", ".join(names)}.'
        )
    if not names:
        raise InputError('The model has no condition: it needs one or more.')
    rule = rules.response
    if rule is not None and not rule.window[0] < rule.window[1]:
        raise InputError(
            f'The response window {rule.window[0]} to {rule.window[1]} s is empty: give its start '
            'first.'
        )
    if rule is not None and (rule.column is None) == (rule.rows is None):
        raise InputError(
            'Responses stand either in a column of the trials or in rows of their own: give one '
            'of Column and Rows in the model.'
        )
    for condition in rules.conditions:
        if condition.response is not None and rule is None:
            raise InputError(
                f'Condition {condition.name} asks for {"a" if condition.response else "no"} '
                'response, but no response column is named: name it in the model.'
            )


def check_columns(events: pd.DataFrame, rules: EventRules) -> None:
    """Refuse a table without rows, or without a column that a rule needs.

    Raises
    ------
    InputError
        The message names what is missing, what needs it, and the columns that there are.
    """
    if not len(events):
        raise InputError(
            'The file has a header, but no event. Write the events of the run into it, or remove '
            'the file.'
        )
    needed: dict[str, str] = {'onset': 'every model', 'duration': 'every model'}

    def need(columns: Where, user: str) -> None:
        for column in columns:
            needed.setdefault(column, user)

    for condition in rules.conditions:
        need(condition.where, f'condition {condition.name}')
    if rules.response is not None:
        for where in (rules.response.rows or {}, rules.response.press):
            need(where, 'the response rule')
        if rules.response.column is not None:
            needed.setdefault(rules.response.column, 'the response rule')
    if rules.stimuli is not None:
        for where in (rules.stimuli.go, rules.stimuli.nogo, rules.stimuli.correct):
            need(where, 'the rule of Go and NoGo stimuli')
    for where in rules.ignore:
        need(where, 'the rule of ignored rows')
    for column in rules.rename:
        needed.setdefault(column, 'the renaming of values')
    for column, user in needed.items():
        if column not in events.columns:
            raise InputError(
                f'The events have no column {column!r}, which {user} needs; their columns are: '
                f'{", ".join(map(str, events.columns))}.'
            )


def check_times(
    events: pd.DataFrame,
    rules: EventRules,
    wanted: npt.NDArray[np.bool_],
    response: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Onsets and durations in seconds.

    Parameters
    ----------
    events : DataFrame
    rules : EventRules
    wanted : ndarray of bool, shape (n_rows,)
        Rows that are not ignored: they need an onset and, unless they are a response, a duration.
    response : ndarray of bool, shape (n_rows,)
        Rows that are a response.
    known : ndarray of bool, shape (n_rows,)
        Rows of a kind that the model names. Others are not modelled: they need no duration.

    Returns
    -------
    tuple of ndarray
        Onsets and durations, s; NaN where a row needs none.

    Raises
    ------
    InputError
        One that is needed is missing or not a time; the message names row, line and column.
    """
    unit = {column: rules.units.get(column, 's') for column in ('onset', 'duration')}
    onset = seconds(events, 'onset', unit['onset'], wanted)
    duration = seconds(events, 'duration', unit['duration'], wanted & ~response)
    if rules.duration is not None:
        missing = np.array([is_missing(value) for value in events['duration']], dtype=bool)
        duration[missing & ~response] = rules.duration
    lasting = wanted & ~response & (known | ~np.isnan(duration))
    bad = {'onset': np.isnan(onset) & wanted, 'duration': ~(duration >= 0) & lasting}
    for column, where in bad.items():
        for row in np.flatnonzero(where)[:1]:
            value = cell(events[column].iloc[row])
            least = ', 0 or more' if column == 'duration' else ''
            words = 'seconds' if unit[column] == 's' else 'milliseconds'
            advice = ''
            if column == 'duration' and value == MISSING:
                advice = ', or give the Duration of such rows in the model file'
            if not known[row] and not response[row]:
                advice = (
                    ', or, as it is of no condition, name it in Events.Ignore of the model file'
                )
            raise InputError(
                f'{row_name(events, row)} of the events has {column} {value}: it must be a number '
                f'of {words}{least}. Correct or remove the row{advice}.'
            )
    return onset, duration
