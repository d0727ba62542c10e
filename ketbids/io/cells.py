"""Values of people with the places where they stand: their types, times and contradictions."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ketbids.errors import InputError
from ketbids.io.tables import typed_column

__all__ = ['Cell', 'Found', 'typed_values']

#: Times are hours since then. BIDS shifts the dates of anonymised data to before 1925.
_EPOCH = datetime(1900, 1, 1)
_TIME = re.compile(
    r'\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(?P<zone>Z|[+-]\d{2}:\d{2})?', re.ASCII
)
_DATE = re.compile(r'\d{4}-\d{2}-\d{2}', re.ASCII)


class Cell(NamedTuple):
    """One value and where it stands."""

    text: str
    path: Path
    line: int

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f'{self.path}, line {self.line}'


@dataclass
class Found:
    """Values by variable, person and session; an empty session is the person as a whole.

    Attributes
    ----------
    cells : dict
        Values by variable, then by labels of person and session.
    zones : dict of bool to str
        First time with a time zone, and first without: its place.
    notes : list of str
        Sentences on what was repaired or left aside.
    sessions : dict of str to str
        First place of each session that a table names.
    """

    cells: dict[str, dict[tuple[str, str], list[Cell]]] = field(default_factory=dict)
    zones: dict[bool, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, who: str, when: str, cell: Cell | None) -> None:
        """Keep a value; a missing one only makes the variable known."""
        known = self.cells.setdefault(name, {}).setdefault((who, when), [])
        if cell is not None:
            known.append(cell)


def typed_values(
    name: str,
    cells: Mapping[tuple[str, str], list[Cell]],
    found: Found,
    *,
    must: bool,
    used: Collection[str],
) -> pd.Series:
    """Values of a variable, in one type, by person and session.

    Every cell is looked at, also one that says the same as another.
    """
    flat = [(key, cell) for key, several in cells.items() for cell in several]
    own = any(name in used or f'{name}_{when}' in used for _, when in cells)
    hours = [_hours(cell, found) if own else None for _, cell in flat]
    if flat and all(hour is not None for hour in hours):
        typed = pd.Series(hours, dtype=float)
    else:
        typed = typed_column(pd.Series([cell.text for _, cell in flat], dtype='str'))
    number = pd.api.types.is_numeric_dtype(typed) and not pd.api.types.is_bool_dtype(typed)
    if must and flat and not number:
        _refuse_text(name, [cell for _, cell in flat], hours)
    merged: dict[tuple[str, str], tuple[object, Cell]] = {}
    for (key, cell), value in zip(flat, typed, strict=True):
        if own and isinstance(value, float) and math.isinf(value):
            raise InputError(
                f'{cell.place}: {name} is {cell.text}, which is not a finite number. Write n/a if '
                'it is unknown.'
            )
        if key in merged and merged[key][0] != value:
            other = merged[key][1]
            visit = f' ses-{key[1]}' if key[1] else ''
            raise InputError(
                f'{name} of sub-{key[0]}{visit} is {other.text} in {other.place}, but {cell.text} '
                f'in {cell.place}. Correct one of them.'
            )
        merged.setdefault(key, (value, cell))
    index = pd.MultiIndex.from_tuples(cells, names=['who', 'when'])
    known = [merged[key][0] if key in merged else None for key in cells]
    if number and flat:
        whole = typed.dtype.kind == 'i' and None not in known
        return pd.Series(known, index=index, dtype=int if whole else float)
    return pd.Series(known, index=index, dtype=object)


def _hours(cell: Cell, found: Found) -> float | None:
    """Hours since a fixed date, of a date with a time."""
    match = _TIME.fullmatch(cell.text)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(cell.text)
    except ValueError:
        return None
    has_zone = match['zone'] is not None
    found.zones.setdefault(has_zone, cell.place)
    if len(found.zones) > 1:
        raise InputError(
            f'Some times have a time zone ({found.zones[True]}) and some have none '
            f'({found.zones[False]}), so that their differences are not known: write all in one '
            'way.'
        )
    if has_zone:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - _EPOCH).total_seconds() / 3600


def _refuse_text(name: str, cells: Sequence[Cell], hours: Sequence[float | None]) -> None:
    """Refuse the first value that is no number (or, among times, no time)."""
    dates = [_DATE.fullmatch(cell.text) is not None for cell in cells]
    times = sum(hour is not None for hour in hours) + sum(dates) > len(cells) / 2
    for cell, hour, date in zip(cells, hours, dates, strict=True):
        alone = typed_column(pd.Series([cell.text], dtype='str'))
        number = alone.dtype.kind in 'if'
        if hour is None if times else not number:
            kind = 'a time such as 2019-03-01T10:30:00' if times else 'a number'
            lone = ', a date without a time,' if date else ','
            raise InputError(
                f"{cell.place}: {name} is '{cell.text}'{lone} where {kind} is needed. Write "
                f'{kind} alone, or n/a if it is unknown.'
            )
