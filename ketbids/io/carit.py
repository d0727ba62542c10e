"""Logs of the CARIT task of HCP-Lifespan: the wide CSV files of PsychoPy."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.io.newevents import NewEvents
from ketbids.io.widelog import WideLog, named_lines
from ketbids.stats.eventcells import is_missing

__all__ = ['CLOCKS', 'OFFSET', 'OUTCOMES', 'SHAPE_DURATION', 'SPLITS', 'read_carit']

#: Time of the first volume by the clock of the program (s): it waits so long after its start.
OFFSET = 8.0
#: How long a shape is shown (s).
SHAPE_DURATION = 0.6
#: What the program says of a trial, and what its shape asks for.
OUTCOMES = {'Hit': 'go', 'Miss': 'go', 'corReject': 'nogo', 'falseAlarm': 'nogo'}
#: When the clock of the presses starts.
CLOCKS = ('auto', 'run', 'trial')

Clock = Literal['auto', 'run', 'trial']
_Times = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]

_KIND = 'the wide CSV file (..._wide.csv) that the CARIT program writes'
_PRESS = 'trialResp.firstRt'
_SINCE = {'run': 'program', 'trial': 'shape'}
_NEEDED = ('trialNum', 'corrAns', 'shapeStartTime', _PRESS, 'corrRespTrialType')
_COUNTERS = dict(
    zip(OUTCOMES, ('hitCount', 'missCount', 'corrRejectCount', 'falseAlarmCount'), strict=True)
)
_LATE = 'isiPress.rt'
_USED = {*_NEEDED, *_COUNTERS.values(), 'prepotency', 'nogoCondition', 'stim', _LATE}
#: A press may be logged a little before the shape that it belongs to (s).
_BEFORE = 0.5
#: Nobody presses faster than this (s).
_FASTEST = 0.05
#: After the last shape, presses are taken for as long as this (s).
_AFTER_LAST = 10.0
#: Nobody shows shapes as rarely as this (s).
_LONGEST_SPACING = 100.0
#: Shapes whose durations differ by more than this from what is written are told (s).
_UNLIKE = 0.05

#: Columns that tell kinds of trials apart, in logs and in names of EVs.
SPLITS: dict[str, Any] = {
    'outcome': {
        'Description': 'What the program made of the trial, by its own rule.',
        'Levels': {
            'Hit': 'Go, pressed',
            'Miss': 'Go, not pressed',
            'corReject': 'NoGo, not pressed',
            'falseAlarm': 'NoGo, pressed',
        },
    },
    'prepotency': {'Description': 'Go trials in a row before a NoGo trial; n/a for Go.'},
    'nogo_condition': {
        'Description': 'What the NoGo shape meant in an earlier task; n/a for Go.',
        'Levels': {'prevRewNogo': 'rewarded', 'neutralNogo': 'not rewarded'},
    },
}
_COLUMNS: dict[str, Any] = {
    'duration': {'Description': 'How long the shape is shown.', 'Units': 's'},
    'trial_type': {
        'Description': 'What the shape asks for.',
        'Levels': {'go': 'a press', 'nogo': 'no press'},
    },
    'response_time': {
        'Description': 'First press after the onset of the shape; n/a: no press before the next '
        'shape. Whether it is in time is for the model to say.',
        'Units': 's',
    },
    'response_key': {'Description': 'Key of that press.'},
    **SPLITS,
    'shape': {'Description': 'File or name of the shape (stim).'},
    'late_presses': {'Description': 'Presses during the fixation after the shape (isiPress).'},
    'trial_number': {'Description': 'Number of the trial by the program (trialNum).'},
    'StimulusPresentation': {'SoftwareName': 'PsychoPy', 'SoftwareRRID': 'RRID:SCR_006571'},
}


def read_carit(
    path: Path, *, duration: float = SHAPE_DURATION, clock: Clock = 'auto'
) -> NewEvents:
    """Turn the log of a run into events; onsets are by the clock of the program.

    Rows without a number of a trial, or with 0 (instructions, feedback), are no trials. A press
    during the fixation counts as the response of a trial without an earlier one.

    Parameters
    ----------
    path : Path
        Wide CSV file, one row per trial.
    duration : float
        Of every event, s.
    clock : {'auto', 'run', 'trial'}
        Whether the times of presses count from the start of the program, as the onsets do, or
        from the start of what is shown; ``auto``: whichever all of them fit.

    Returns
    -------
    NewEvents

    Raises
    ------
    InputError
        The file is not such a table, or a cell cannot be: the message names line and column.
    """
    log = WideLog.read(path, _KIND, _NEEDED, _USED)
    trials = log.where(_numbered(log))
    if not len(trials):
        raise InputError(f'{path} has no trial: trialNum is empty or 0 in every row.')
    shown = ~np.isnan(trials.numbers('shapeStartTime'))
    if not shown.any():
        raise InputError(f'{path}: no trial has a shapeStartTime, so none was shown.')
    notes = [_account(log, trials, shown)]
    trials = trials.where(shown)
    start = trials.numbers('shapeStartTime')
    _check_order(trials, start)
    _check_unit(trials, start)
    kind = _kinds(trials)
    outcome = _outcomes(trials, kind)
    length = np.append(np.diff(start), _AFTER_LAST)
    press, odd = _presses(trials, start, length, clock)
    late, count, more = _late_presses(trials, start, length, press)
    use_late = np.isnan(press) & ~np.isnan(late)
    keys = zip(
        use_late,
        np.isnan(press),
        map(_first, trials.texts('isiPress.keys')),
        trials.texts('trialResp.firstKey'),
        strict=True,
    )
    table = pd.DataFrame(
        {
            'onset': start,
            'duration': duration,
            'trial_type': kind,
            'response_time': np.where(use_late, late, press).round(6),
            'response_key': [b if late else None if none else a for late, none, b, a in keys],
            'outcome': outcome,
            'prepotency': [_whole(text) for text in trials.texts('prepotency')],
            'nogo_condition': trials.texts('nogoCondition'),
            'shape': trials.texts('stim'),
            'late_presses': count,
            'trial_number': trials.numbers('trialNum').astype(int),
        }
    )
    notes += [*_repeated_numbers(trials), *_before_shape(trials, press)]
    notes += [*odd, *more, *_disagreements(trials, outcome, press), *_late_note(trials, use_late)]
    notes += [*_counter_notes(trials, outcome), *_duration_note(trials, start, duration)]
    return NewEvents(table, dict(_COLUMNS), tuple(notes))


def _numbered(log: WideLog) -> _Mask:
    """Rows that are trials: numbered from 1."""
    number = np.nan_to_num(log.numbers('trialNum'))
    odd = np.flatnonzero((number != np.round(number)) | (number < 0))
    if len(odd):
        row = int(odd[0])
        raise log.error(
            row,
            f'trialNum is {log.texts("trialNum")[row]}; it must be a whole number, 1 or more (0 '
            'or empty: no trial).',
        )
    return number != 0


def _repeated_numbers(trials: WideLog) -> list[str]:
    again = pd.Series(trials.numbers('trialNum')).duplicated().to_numpy()
    if not again.any():
        return []
    return [
        f'trials with the number (trialNum) of an earlier one, kept: {int(again.sum())} '
        f'({trials.named(again)}); are there two runs in the file?'
    ]


def _before_shape(trials: WideLog, press: _Times) -> list[str]:
    before = press < 0
    if not before.any():
        return []
    return [
        f'presses before their shape, which have a response_time below 0 and count in no window: '
        f'{int(before.sum())} ({trials.named(before)})'
    ]


def _first(text: str | None) -> str | None:
    """First of a list as Python writes it, or the text itself."""
    return None if text is None else text.strip('[] ').split(',')[0].strip(' \'"') or None


def _whole(text: str | None) -> str | None:
    """A whole number without its decimals."""
    return text if text is None else re.sub(r'\.0+$', '', text)


def _account(log: WideLog, trials: WideLog, shown: _Mask) -> str:
    other = len(log) - len(trials)
    text = f'{len(log)} rows: {int(shown.sum())} trials, {other} that are none (no trialNum, or 0)'
    if not shown.all():
        count = int((~shown).sum())
        text += f', {count} that were never shown (no shapeStartTime): {trials.named(~shown)}'
    return text


def _check_order(trials: WideLog, start: _Times) -> None:
    back = np.flatnonzero(np.diff(start) <= 0)
    if len(back):
        row = int(back[0])
        raise trials.error(
            row + 1,
            f'the trial starts at {start[row + 1]:g} s, not after that of line '
            f'{trials.lines[row]} ({start[row]:g} s): the file holds two runs, or lines were '
            'moved.',
        )


def _check_unit(trials: WideLog, start: _Times) -> None:
    spacing = float(np.median(np.diff(start))) if len(start) > 1 else 0.0
    if spacing > _LONGEST_SPACING:
        raise InputError(
            f'{trials.path}: by shapeStartTime, a shape is shown every {spacing:g} s (median): '
            'these are milliseconds. The CARIT program writes seconds: divide all times of the '
            'file by 1000.'
        )


def _kinds(trials: WideLog) -> list[str]:
    kinds = [(text or '').lower() for text in trials.texts('corrAns')]
    for row, kind in enumerate(kinds):
        if kind not in ('go', 'nogo'):
            raise trials.error(row, f'corrAns is {kind or "empty"!r}; it must be go or nogo.')
    return kinds


def _outcomes(trials: WideLog, kinds: Sequence[str]) -> list[str | None]:
    column = 'corrRespTrialType'
    names = {name.lower(): name for name in OUTCOMES}
    found = []
    for row, (text, kind) in enumerate(zip(trials.texts(column), kinds, strict=True)):
        name = names.get(text.lower()) if text else None
        if text and name is None:
            known = ', '.join(OUTCOMES)
            raise trials.error(row, f'{column} is {text!r}; it must be one of {known}.')
        if name is not None and OUTCOMES[name] != kind:
            raise trials.error(
                row,
                f'{column} is {name}, but corrAns is {kind}: the line is damaged, or the columns '
                'were edited.',
            )
        found.append(name)
    return found


def _presses(
    trials: WideLog, start: _Times, length: _Times, clock: Clock
) -> tuple[_Times, list[str]]:
    """Time of the press of each trial, s after its onset (NaN: none), and notes."""
    time = trials.numbers(_PRESS)
    by = {'run': time - start, 'trial': time}
    fits = {
        'run': (by['run'] >= -_BEFORE) & (by['run'] <= length),
        'trial': (by['trial'] >= 0) & (by['trial'] <= length),
    }
    pressed = ~np.isnan(time)
    if clock != 'auto':
        return _by_clock(trials, by[clock], fits[clock], clock)
    chosen = [name for name, ok in fits.items() if ok[pressed].all()]
    if len(chosen) == 2 and pressed.any():
        raise InputError(
            f'{trials.path}: whether {_PRESS} counts from the start of the program or of the '
            'shape cannot be told from its values. Say it with --response-clock run or trial.'
        )
    if not chosen:
        best = max(fits, key=lambda name: int(fits[name][pressed].sum()))
        row = int(np.flatnonzero(pressed & ~fits[best])[0])
        raise trials.error(
            row,
            f'{_PRESS} is {time[row]:g}, but the shape starts at {start[row]:g} s and the next '
            f'one {length[row]:.3g} s later: as a time since the start of the {_SINCE[best]} it '
            f'does not belong to this trial. {_advice(time[row], start[row], length[row], best)}',
        )
    return by[chosen[0]], []


def _advice(time: float, start: float, length: float, best: str) -> str:
    """Say what to do about a time of a press that fits no clock."""
    thousandth = time / 1000
    if _FASTEST <= thousandth <= length or -_BEFORE <= thousandth - start <= length:
        return 'It looks like milliseconds; the CARIT program writes seconds: divide it by 1000.'
    return f'Correct the line, or give --response-clock {best} to take it as it is.'


def _by_clock(
    trials: WideLog, press: _Times, fits: _Mask, clock: Clock
) -> tuple[_Times, list[str]]:
    """Take presses by the clock that the user names, unless that can hardly be."""
    pressed = ~np.isnan(press)
    odd = pressed & ~fits
    if 2 * odd.sum() > pressed.sum():
        raise InputError(
            f'{trials.path}: as times since the start of the {_SINCE[clock]} (--response-clock '
            f'{clock}), {int(odd.sum())} of {int(pressed.sum())} values of {_PRESS} are not '
            f'between their shape and the next one: {trials.named(odd)}.'
        )
    if not odd.any():
        return press, []
    where = trials.named(odd)
    return press, [f'{_PRESS} is not between its shape and the next one, kept as it is: {where}']


def _late_presses(
    trials: WideLog, start: _Times, length: _Times, press: _Times
) -> tuple[_Times, list[int], list[str]]:
    """First press during each fixation (s after the onset of the shape), how many, and notes."""
    first, counts, odd = np.full(len(trials), np.nan), [], []
    time, pressed = trials.numbers(_PRESS), ~np.isnan(press)
    # Without any press on a shape, the clock is that of HCP's files: the program's.
    by_run = bool(np.allclose(press[pressed], (time - start)[pressed]))
    fixation = trials.numbers('fixStartTime')
    for row, text in enumerate(trials.texts(_LATE)):
        parts = [part.strip() for part in (text or '').strip('[] ').split(',')]
        times = [trials.number(row, _LATE, part) for part in parts if not is_missing(part)]
        counts.append(len(times))
        if not times:
            continue
        since = min(times) - start[row] + (0.0 if by_run else fixation[row])
        if -_BEFORE <= since <= length[row]:
            first[row] = since
        else:
            odd.append(trials.lines[row])
    if not odd:
        return first, counts, []
    return first, counts, [
        f'{_LATE} is not between its shape and the next one by the clock of the other presses (or '
        f'fixStartTime is missing), counted but not taken as response: {named_lines(odd)}'
    ]  # fmt: skip


def _disagreements(trials: WideLog, outcome: Sequence[str | None], press: _Times) -> list[str]:
    """Say where the program's word and its own times contradict each other."""
    said = np.array([name in ('Hit', 'falseAlarm') for name in outcome])
    unknown = np.array([name is None for name in outcome])
    pressed = ~np.isnan(press)
    kinds = (
        (said & ~pressed, 'Hit or falseAlarm, but without the time of a press'),
        (~said & ~unknown & pressed, 'Miss or corReject, but with the time of a press'),
        (unknown, 'without corrRespTrialType (outcome n/a)'),
    )
    return [
        f'trials that are {text}: {int(wrong.sum())} ({trials.named(wrong)})'
        for wrong, text in kinds
        if wrong.any()
    ]


def _late_note(trials: WideLog, late: _Mask) -> list[str]:
    if not late.any():
        return []
    return [
        f'trials whose first press is during the fixation (isiPress), which is their '
        f'response_time: {int(late.sum())} ({trials.named(late)})'
    ]


def _counter_notes(trials: WideLog, outcome: Sequence[str | None]) -> list[str]:
    """Compare with the counters that the program kept."""
    notes = []
    for name, column in _COUNTERS.items():
        numbers = trials.numbers(column)
        numbers = numbers[~np.isnan(numbers)]
        found = list(outcome).count(name)
        if len(numbers) and int(numbers[-1]) != found:
            notes.append(
                f'{column} of the last trial is {int(numbers[-1])}, but {found} trials are '
                f'{name}: trials are missing, or it counts others'
            )
    return notes


def _duration_note(trials: WideLog, start: _Times, duration: float) -> list[str]:
    lasted = trials.numbers('shapeEndTime') - start
    if np.isnan(lasted).all() or abs(np.nanmedian(lasted) - duration) <= _UNLIKE:
        return []
    return [
        f'shapes were shown for {np.nanmedian(lasted):.3g} s (median), but the events last '
        f'{duration:g} s: see --duration'
    ]
