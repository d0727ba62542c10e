"""Explanatory variables of FSL in three columns: onset, duration and weight of each event."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.io.carit import OUTCOMES, SPLITS
from ketbids.io.newevents import NewEvents, decoded
from ketbids.stats.eventcells import MISSING, cell_text

__all__ = ['find_evs', 'read_evs']

_KIND = 'text with three numbers in each line: onset, duration, weight'
#: HCP's folders of EVs have the time of the first volume in a file of this name.
_SYNC = 'Sync.txt'
#: No run is as long as this (s).
_LONGEST_RUN = 3 * 3600.0
_CARIT = re.compile(
    r'(?P<outcome>' + '|'.join(OUTCOMES) + r')'
    r'(?:_(?P<prepotency>\d+)go|_(?P<nogo_condition>neutralNogo|prevRewNogo))?'
)
_COLUMNS: dict[str, Any] = {
    'duration': {'Description': 'How long the event lasts.', 'Units': 's'},
    'trial_type': {'Description': 'EV that the event is from.'},
    'weight': {'Description': 'Third column of the EV: the height of its regressor in FSL.'},
}
_CARIT_COLUMNS: dict[str, Any] = {
    **_COLUMNS,
    'trial_type': {
        'Description': 'What the shape asks for, by the name of the EV.',
        'Levels': {'go': 'a press', 'nogo': 'no press'},
    },
    **SPLITS,
    'prepotency': {
        'Description': 'Go trials in a row: before a NoGo trial, or up to and with a Go trial; '
        'n/a where the EVs are not split by it.'
    },
    'ev': {'Description': 'EV that the event is from.'},
}


def find_evs(folder: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Find the EVs in a folder, by the names of their files, and notes on others.

    Raises
    ------
    InputError
        There is none.
    """
    texts = sorted(path for path in folder.glob('*.txt') if not path.name.startswith('.'))
    found = {path.stem: path for path in texts if path.name != _SYNC}
    if not found:
        raise InputError(f'{folder} has no EV: no file ends in .txt.')
    if len(found) == len(texts):
        return found, ()
    return found, (f'{folder / _SYNC} is no EV (it has the time of the first volume): left out',)


def read_evs(evs: Mapping[str, Path]) -> NewEvents:
    """Turn EVs into events.

    An empty file is an EV without events, as is one line ``0 0 0``; other lines of weight 0 are
    left out, too, since they add nothing to FSL's regressor. If every EV has a name of the CARIT
    sets (``Hit_1go``, ``Miss``, ``corReject_neutralNogo``, ...), ``trial_type`` is ``go`` or
    ``nogo``, and ``outcome``, ``prepotency`` and ``nogo_condition`` are columns.

    Parameters
    ----------
    evs : mapping of str to Path
        File of each EV.

    Returns
    -------
    NewEvents

    Raises
    ------
    InputError
        A line is not an event, or there is no event at all; or an event of CARIT is in two EVs.
    """
    rows, notes = [], []
    for name, path in evs.items():
        if cell_text(name) == MISSING:
            raise InputError(
                f'{path}: an EV cannot be named {name or "(nothing)"}, which is read as no value: '
                'give NAME=FILE.'
            )
        events, zeros = _read(path)
        rows += [(*event, name) for event in events]
        notes.append(f'{name}: {len(events)} events' + ('' if events else ' (an empty EV)'))
        # One line 0 0 0 is how an empty EV is written.
        if zeros and (events or zeros > 1):
            notes[-1] += f', {zeros} lines of weight 0 left out'
    if not rows:
        raise InputError(f'There is no event in any of {", ".join(map(str, evs.values()))}.')
    table = pd.DataFrame(rows, columns=['onset', 'duration', 'weight', 'line', 'ev'])
    table = table.sort_values('onset', kind='stable', ignore_index=True)
    notes += _late(table)
    matched = {name: _CARIT.fullmatch(name) for name in evs}
    carit = all(match is not None for match in matched.values())
    notes += _twins(table, evs, refuse=carit)
    heights = sorted({float(w) for w in table['weight']} - {1.0})
    if heights:
        told = ', '.join(f'{height:g}' for height in heights[:5])
        told += ', ...' if len(heights) > 5 else ''
        notes.append(
            f'weights other than 1 ({told}) are in the column weight; ketbids models every event '
            'with height 1'
        )
    columns = ['onset', 'duration', 'trial_type']
    if not carit:
        table['trial_type'] = table['ev']
        return NewEvents(table[[*columns, 'weight']], dict(_COLUMNS), tuple(notes))
    for part in SPLITS:
        known = {name: match[part] for name, match in matched.items() if match is not None}
        table[part] = table['ev'].map(known).astype(object)
    table['trial_type'] = table['outcome'].map(OUTCOMES)
    columns += [*SPLITS, 'ev', 'weight']
    return NewEvents(table[columns], dict(_CARIT_COLUMNS), tuple(notes))


def _read(path: Path) -> tuple[list[tuple[float, float, float, int]], int]:
    """Events of an EV, each with its line, and how many lines have weight 0."""
    events, zeros = [], 0
    for number, line in enumerate(decoded(path, _KIND).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        where = f'{path}, line {number}'
        if len(words) != 3:
            raise InputError(
                f'{where}: {len(words)} values ({line.strip()[:60]}), but an event has three: '
                'onset, duration and weight.'
            )
        onset, duration, weight = (
            _value(where, kind, word)
            for kind, word in zip(('onset', 'duration', 'weight'), words, strict=True)
        )
        if duration < 0:
            raise InputError(f'{where}: the duration is {duration:g} s; it must be 0 or more.')
        if weight == 0:
            zeros += 1
        else:
            events.append((onset, duration, weight, number))
    return events, zeros


def _value(where: str, kind: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f'{where}: the {kind} is {word!r}, which is not a number.')
    return value


def _late(table: pd.DataFrame) -> list[str]:
    """Find onsets of a unit that FSL does not have."""
    last = float(table['onset'].max())
    if last <= _LONGEST_RUN:
        return []
    return [
        f'the last event starts at {last:g} s, which is {last / 3600:.3g} hours: FSL has seconds; '
        'if these are milliseconds, divide onsets and durations by 1000'
    ]


def _twins(table: pd.DataFrame, evs: Mapping[str, Path], *, refuse: bool) -> list[str]:
    """Find events at one time; a trial of CARIT has one outcome."""
    again = table['onset'].duplicated()
    if not again.any():
        return []
    onset = table.loc[again, 'onset'].iloc[0]
    places = [
        f'{evs[row["ev"]]}, line {row["line"]}'
        for _, row in table[table['onset'] == onset].iterrows()
    ]
    if refuse:
        raise InputError(
            f'{" and ".join(places)} are the same trial (onset {onset:g} s): give EVs of one set '
            'only, in which each trial is once.'
        )
    return [f'{int(again.sum())} events start when another one does, first: {"; ".join(places)}']
