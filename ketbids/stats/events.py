"""Rows of an events table, coded into trials of the conditions of a model."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.eventcells import (
    MISSING,
    asked,
    describe,
    kinds,
    lines,
    matches,
    renamed,
    row_name,
    seconds,
)
from ketbids.stats.eventcheck import check_columns, check_rules, check_times
from ketbids.stats.eventrules import Condition, EventRules
from ketbids.stats.presses import Responses, check_spacing, column_responses, row_responses

__all__ = ['STATUSES', 'UNMATCHED', 'code_trials', 'count_rows', 'count_trials']

#: Condition of a row that belongs to none.
UNMATCHED = MISSING
#: What a row of an events file can be.
STATUSES = ('trial', 'unmatched', 'repeated', 'early', 'response', 'ignored')
_REPEATED = 'repeats an earlier row (onset, duration and condition), modelled once'
_REPEATED_PRESS = 'repeats an earlier row (onset and kind of response), counted once'

_Mask = npt.NDArray[np.bool_]


class _Rows(NamedTuple):
    """What the cells of each row say, before responses are looked at."""

    ignored: _Mask
    response: _Mask
    where: dict[str, _Mask]
    asking: _Mask
    stimulus: npt.NDArray[np.object_]
    onset: npt.NDArray[np.float64]
    duration: npt.NDArray[np.float64]

    @property
    def known(self) -> _Mask:
        """Rows of a kind that the model names."""
        return np.logical_or.reduce([*self.where.values(), self.stimulus != MISSING])

    def takers(self, rules: EventRules) -> _Mask:
        """Rows that may have a response; in rows of their own, only if it matters to them."""
        if rules.response is None:
            return np.zeros_like(self.ignored)
        if rules.response.rows is not None and self.asking.any():
            return self.asking
        return self.known


def code_trials(events: pd.DataFrame, rules: EventRules) -> pd.DataFrame:
    """Say of each row of an events table what it is, and give trials their condition.

    A response belongs to the trial if its time lies within the window, both ends included. A
    missing time (``n/a``, empty) or a time of exactly 0, as stimulus programs write it for "no
    press", is no response. Times outside the window are no response within it, and are noted;
    so are rows that repeat an earlier one. Ignored rows are not looked at any further, whatever
    else they match.

    Parameters
    ----------
    events : DataFrame
        Columns ``onset`` and ``duration``, and those that the rules name; text or numbers. An
        index named ``line`` has the lines of the file (`ketbids.io.events.read_events`).
    rules : EventRules

    Returns
    -------
    DataFrame
        One row per row of ``events`` in the same order and with these columns:

        - ``onset``, ``duration`` (s; NaN where a row that is not modelled has none)
        - ``condition``: ``'n/a'`` if the status is not ``trial``
        - ``status``: ``trial``; ``unmatched``, a row of no condition; ``repeated``; ``response``,
          a row that is a response; ``ignored``. (``early`` comes in by `ketbids.stats.runevents`.)
        - ``stimulus``: ``go``, ``nogo`` or ``'n/a'``
        - ``correct``: of a Go or NoGo stimulus True or False, else None
        - ``responded``: True or False for rows that may have a response, else None
        - ``response_time``: s after the onset, also where it does not count; NaN if missing
        - ``presses``: presses in the window (with times in a column 0 or 1), else None
        - ``reason``: in few words why the row is what it is, or what became of its response
        - ``line``: line of the file
        - ``note``: what is odd; empty if all is well

    Raises
    ------
    InputError
        There is no row, a column is missing, a value is not a time, no row is of a kind that a
        condition names, a row belongs to two, the rules do not go together, or the response
        window is longer than the time between two trials.
    """
    check_rules(rules)
    check_columns(events, rules)
    # What a message quotes is what the file has, so that it can be found there.
    raw, events = events, renamed(events, rules.rename)
    rows = _kinds(events, rules)
    if not np.logical_or.reduce(list(rows.where.values())).any():
        raise InputError(_nothing_matches(raw, rules))
    repeated = _repeated_presses(events, rows, rules)
    time = _column_times(events, rows, rules)
    twins = _twins(rows, time)
    found = _responses(events, rows, rules, time, twins | repeated)
    name = _conditions(events, rows, rules, found)
    keys = pd.DataFrame({
        'onset': rows.onset,
        'duration': rows.duration,
        'condition': name,
        'stimulus': rows.stimulus,
    })  # fmt: skip
    twins |= keys.duplicated().to_numpy() & ((name != UNMATCHED) | (rows.stimulus != MISSING))
    twins &= ~rows.ignored & ~rows.response
    status = np.select(
        [rows.ignored, rows.response, twins, name == UNMATCHED],
        ['ignored', 'response', 'repeated', 'unmatched'],
        'trial',
    ).astype(object)
    reason, note = _reasons(events, rows, rules, found, status)
    for row in np.flatnonzero(twins):
        reason[row], note[row] = _REPEATED, '; '.join(filter(None, (note[row], _REPEATED)))
    for row in np.flatnonzero(repeated):
        reason[row] = note[row] = _REPEATED_PRESS
    for row in np.flatnonzero((rows.onset < 0) & ~rows.ignored & ~rows.response):
        early = 'starts before the first volume of the scan'
        note[row] = '; '.join(filter(None, (note[row], early)))
    counts = (status == 'trial') | ((status == 'unmatched') & rows.known)
    takes = counts & rows.takers(rules)
    reason[(status == 'trial') & ~takes] = MISSING
    stimulus = np.where(counts, rows.stimulus, MISSING)
    right = np.ones(len(events), dtype=bool)
    if rules.stimuli is not None:
        right = matches(events, rules.stimuli.correct)[found.source]
    correct = np.where(stimulus == 'go', found.responded & right, ~found.responded)
    name[status != 'trial'] = UNMATCHED
    return pd.DataFrame(
        {
            'onset': rows.onset,
            'duration': rows.duration,
            'condition': pd.Series(name, dtype=str),
            'status': pd.Series(status, dtype=str),
            'stimulus': pd.Series(stimulus, dtype=str),
            'correct': _where(takes & (stimulus != MISSING), correct),
            'responded': _where(takes, found.responded),
            'response_time': np.where(rows.ignored | rows.response, np.nan, found.time),
            'presses': _where(takes, found.presses),
            'reason': pd.Series(reason, dtype=str),
            'line': lines(events),
            'note': pd.Series(note, dtype=str),
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


def count_rows(coded: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Say where every row of an events file went.

    Parameters
    ----------
    coded : DataFrame
        Result of :func:`code_trials`.
    conditions : sequence of str
        Names of the conditions; one without trials has a line, too.

    Returns
    -------
    DataFrame
        Columns ``status``, ``condition``, ``reason`` and ``n_rows``, whose sum is the number of
        rows of the file. Each of them is in exactly one line.
    """
    keys = ['status', 'condition', 'reason']
    sizes = coded.groupby(keys, sort=False).size().reset_index(name='n_rows')
    found = [
        (str(status), str(name), str(reason), int(size))
        for status, name, reason, size in sizes.itertuples(index=False)
    ]
    present = set(coded.loc[coded['status'] == 'trial', 'condition'])
    found += [('trial', name, 'no trial', 0) for name in conditions if name not in present]
    order = {name: number for number, name in enumerate(conditions)} | {UNMATCHED: len(found)}
    found.sort(
        key=lambda row: (STATUSES.index(row[0]), order.get(row[1], len(found)), -row[3], row[2])
    )
    return pd.DataFrame(found, columns=[*keys, 'n_rows'])


def _where(wanted: _Mask, values: npt.NDArray[np.generic]) -> pd.Series:
    """Values of the wanted rows, None in the others."""
    return pd.Series(
        [v if use else None for use, v in zip(wanted, values.tolist(), strict=True)], dtype=object
    )


def _kinds(events: pd.DataFrame, rules: EventRules) -> _Rows:
    """Sort rows by their cells alone."""
    nowhere = np.zeros(len(events), dtype=bool)
    ignored = nowhere.copy()
    for kind in rules.ignore:
        ignored |= matches(events, kind)
    response = nowhere
    if rules.response is not None and rules.response.rows is not None:
        response = matches(events, rules.response.rows) & ~ignored
    conditions = {c.name: matches(events, c.where) & ~ignored for c in rules.conditions}
    go, nogo = nowhere, nowhere
    if rules.stimuli is not None:
        go, nogo = (
            matches(events, kind) & ~ignored for kind in (rules.stimuli.go, rules.stimuli.nogo)
        )
    for row in np.flatnonzero(go & nogo)[:1]:
        columns = dict.fromkeys([*rules.stimuli.go, *rules.stimuli.nogo])  # type: ignore[union-attr]
        raise InputError(
            f'{row_name(events, row)} of the events ({describe(events, row, columns)}) is both a '
            'Go and a NoGo stimulus: make them exclusive in the model.'
        )
    known = {f'condition {name}': rows for name, rows in conditions.items()}
    for user, rows in {**known, 'the Go stimuli': go, 'the NoGo stimuli': nogo}.items():
        for row in np.flatnonzero(rows & response)[:1]:
            columns = dict.fromkeys(rules.response.rows or ())  # type: ignore[union-attr]
            raise InputError(
                f'{row_name(events, row)} of the events ({describe(events, row, columns)}) is a '
                f'response, but belongs to {user}, too: make them exclusive in the model.'
            )
    asking = go | nogo
    for condition in rules.conditions:
        if condition.response is not None:
            asking = asking | conditions[condition.name]
    named = np.logical_or.reduce([go, nogo, *conditions.values()])
    onset, duration = check_times(events, rules, ~ignored, response, named)
    stimulus = np.select([go, nogo], ['go', 'nogo'], MISSING).astype(object)
    return _Rows(ignored, response, conditions, asking, stimulus, onset, duration)


def _column_times(events: pd.DataFrame, rows: _Rows, rules: EventRules) -> npt.NDArray[np.float64]:
    """Response times that stand in a column, s."""
    if rules.response is None or rules.response.column is None:
        return np.full(len(events), np.nan)
    column = rules.response.column
    time = seconds(events, column, rules.units.get(column, 's'), ~rows.ignored)
    return np.where(rows.ignored, np.nan, time)


def _twins(rows: _Rows, time: npt.NDArray[np.float64]) -> _Mask:
    """Rows of the same time, kind and response as an earlier one."""
    keys = pd.DataFrame({'onset': rows.onset, 'duration': rows.duration, **rows.where})
    keys['a stimulus'], keys['its response'] = rows.stimulus, time
    return keys.duplicated().to_numpy() & rows.known


def _repeated_presses(events: pd.DataFrame, rows: _Rows, rules: EventRules) -> _Mask:
    """Responses of the same time and kind as an earlier one."""
    if rules.response is None or rules.response.rows is None:
        return np.zeros(len(events), dtype=bool)
    # Of two keys at one instant, one may be the right one.
    correct = {} if rules.stimuli is None else rules.stimuli.correct
    columns = dict.fromkeys([*rules.response.rows, *rules.response.press, *correct])
    keys = pd.DataFrame({'onset': rows.onset, 'response': rows.response})
    for number, column in enumerate(columns):
        keys[number] = events[column].astype(str).to_numpy()
    return keys.duplicated().to_numpy() & rows.response


def _responses(
    events: pd.DataFrame,
    rows: _Rows,
    rules: EventRules,
    time: npt.NDArray[np.float64],
    repeated: _Mask,
) -> Responses:
    rule = rules.response
    if rule is None:
        return Responses.none(len(events), MISSING)
    if rule.rows is not None:
        trials = rows.takers(rules) & ~repeated
        check_spacing(events, rows.onset, trials, rule.window)
        return row_responses(events, rows.onset, trials, rows.response & ~repeated, rule)
    check_spacing(events, rows.onset, rows.asking & ~repeated, rule.window)
    return column_responses(events, time, rule)


def _conditions(
    events: pd.DataFrame, rows: _Rows, rules: EventRules, found: Responses
) -> npt.NDArray[np.object_]:
    name = np.full(len(events), UNMATCHED, dtype=object)
    for condition in rules.conditions:
        matched = rows.where[condition.name].copy()
        if condition.response is not None:
            matched &= found.responded == condition.response
        for row in np.flatnonzero(matched & (name != UNMATCHED))[:1]:
            raise InputError(
                f'{row_name(events, row)} of the events '
                f'({describe(events, row, condition.where)}) belongs to two conditions, '
                f'{name[row]} and {condition.name}: make them exclusive in the model.'
            )
        name[matched] = condition.name
    return name


def _reasons(
    events: pd.DataFrame,
    rows: _Rows,
    rules: EventRules,
    found: Responses,
    status: npt.NDArray[np.object_],
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    """Reason and note of each row, but for those that repeat others."""
    reason, note = found.reason.copy(), found.note.copy()
    columns = list(dict.fromkeys(c for condition in rules.conditions for c in condition.where))
    for row in map(int, np.flatnonzero(status == 'unmatched')):
        text = f'no condition matches {describe(events, row, columns)}'
        if rules.response is not None and (rules.response.rows is None or rows.known[row]):
            text += ' with a response' if found.responded[row] else ' without a response'
        reason[row], note[row] = text, '; '.join(filter(None, (note[row], text)))
    for where in reversed(rules.ignore):
        for row in map(int, np.flatnonzero((status == 'ignored') & matches(events, where))):
            reason[row], note[row] = describe(events, row, where), ''
    return reason, note


def _nothing_matches(events: pd.DataFrame, rules: EventRules) -> str:
    """Say what there is, and what the model looks for."""
    columns = list(dict.fromkeys(c for condition in rules.conditions for c in condition.where))
    endings = {None: '', True: ', with a response', False: ', without a response'}
    wanted = [f'{c.name}: {asked(c.where)}{endings[c.response]}' for c in rules.conditions]
    return (
        'No row of the events belongs to a condition of the model. The file has: '
        f'{kinds(events, columns)}. The model has: {"; ".join(wanted)}. Correct one of them.'
    )
