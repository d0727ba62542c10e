"""Cells of an events table: as text, as times, and where they stand."""

import json
import re
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.eventrules import Where

__all__ = ['MISSING', 'asked', 'cell', 'cell_text', 'describe', 'is_missing', 'is_time', 'kinds']
__all__ += ['line', 'lines', 'matches', 'renamed', 'row_name', 'seconds']

#: Text of a cell without a value.
MISSING = 'n/a'
#: In a column of times, words for none.
_MISSING = frozenset({'', 'n/a', 'na', 'nan', 'none', '<na>'})
#: Texts that are none wherever they stand, as tables are read (`ketbids.io.tables`).
_NO_TEXT = frozenset({'', 'n/a', 'N/A', 'NA', 'NaN', 'nan'})
#: Numbers as people write them, but not codes such as ``01``.
_NUMBER = re.compile(r'[+-]?(((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[+-]?\d+)?)', re.ASCII | re.IGNORECASE)
_TIME = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?', re.ASCII | re.IGNORECASE)
_TRUTH = {'true': 'True', 'TRUE': 'True', 'false': 'False', 'FALSE': 'False'}
#: Kinds of rows that a message lists.
_SHOWN = 12
_PER_SECOND = {'s': 1.0, 'ms': 1000.0}


def is_missing(value: object) -> bool:
    """Whether a cell has no time or number, however that is written."""
    if isinstance(value, str):
        return value.strip().lower() in _MISSING
    return bool(pd.isna(value)) or str(value).lower() in _MISSING  # type: ignore[call-overload]


def is_time(value: object) -> bool:
    """Whether a cell is a number as people write times."""
    return _TIME.fullmatch(str(value).strip()) is not None


def cell_text(value: object) -> str:
    """A cell as text to compare: no blanks around it, numbers and truth values in one writing.

    Words such as ``none`` are texts: somebody's key or type of trial.
    """
    if _no_text(value):
        return MISSING
    text = str(value).strip()
    if _NUMBER.fullmatch(text) and not text.lstrip('+-').isdigit():
        number = float(text)
        return str(int(number)) if number.is_integer() else repr(number)
    return _TRUTH.get(text, text)


def cell(value: object) -> str:
    """A cell for messages."""
    if _no_text(value):
        return MISSING
    return repr(value) if isinstance(value, str) else f'{value}'


def asked(where: Where) -> str:
    """What a rule asks for, for messages."""
    return ', '.join(f'{k}={" or ".join(map(repr, values))}' for k, values in where.items())


def kinds(events: pd.DataFrame, columns: Iterable[str]) -> str:
    """Values that there are in some columns, with their blanks, and in how many rows each."""
    columns, counts = list(columns), dict[str, int]()
    for row in range(len(events)):
        text = ', '.join(f'{name}={_quoted(events[name].iloc[row])}' for name in columns)
        counts[text] = counts.get(text, 0) + 1
    found = [f'{text} ({count})' for text, count in counts.items()]
    more = f'; {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''
    return '; '.join(found[:_SHOWN]) + more


def _quoted(value: object) -> str:
    return repr(value if isinstance(value, str) else cell_text(value))


def lines(events: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Line of the file of each row: the index if it is named so, else rows follow the header."""
    if events.index.name == 'line':
        return events.index.to_numpy(dtype=np.int64)
    return np.arange(2, len(events) + 2, dtype=np.int64)


def line(events: pd.DataFrame, row: int) -> int:
    """Line of the file of a row."""
    return int(lines(events)[row])


def row_name(events: pd.DataFrame, row: int) -> str:
    """A row for messages."""
    return f'Row {row + 1} (line {line(events, row)} of the file)'


def describe(events: pd.DataFrame, row: int, columns: Iterable[str]) -> str:
    """Values of some columns of a row, for messages."""
    return ', '.join(f'{name}={cell_text(events[name].iloc[row])}' for name in columns)


def renamed(events: pd.DataFrame, rename: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Read values as what the model says that they mean; each is replaced once."""
    found = events.copy()
    for column, meanings in rename.items():
        known = {cell_text(old): new for old, new in meanings.items()}
        found[column] = pd.Series(
            [known.get(cell_text(value), value) for value in events[column].tolist()],
            index=events.index,
            dtype=object,
        )
    return found


def matches(events: pd.DataFrame, where: Where) -> npt.NDArray[np.bool_]:
    """Which rows have an accepted value in every column of `where`, shape (n_rows,)."""
    matched = np.ones(len(events), dtype=bool)
    for column, accepted in where.items():
        wanted = {cell_text(value) for value in accepted}
        values = events[column].tolist()
        # In a mixed column True and 1 are different texts, but equal keys.
        kinds = values if events[column].dtype == object else set(values)
        fits = [cell_text(value) in wanted for value in kinds]
        if kinds is not values:
            known = dict(zip(kinds, fits, strict=True))
            fits = [known[value] for value in values]
        matched &= np.array(fits, dtype=bool)
    return matched


def seconds(
    events: pd.DataFrame, column: str, unit: str, wanted: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Times of a column in seconds, shape (n_rows,).

    Parameters
    ----------
    events : DataFrame
    column : str
    unit : {'s', 'ms'}
        What its numbers are.
    wanted : ndarray of bool, shape (n_rows,)
        Rows whose value must be a number or missing. Others are NaN if theirs is no number.

    Raises
    ------
    InputError
        A wanted value is neither.
    """
    times = np.full(len(events), np.nan)
    for row, value in enumerate(events[column].tolist()):
        if is_missing(value):
            continue
        time = float(str(value)) if is_time(value) else np.nan
        if np.isfinite(time):
            times[row] = time / _PER_SECOND[unit]
        elif wanted[row]:
            advice = ' Correct the row, or name such rows in Events.Ignore of the model file.'
            if column == 'duration':
                advice = ' Correct the row, or write n/a if there is no value.'
            elif column != 'onset':
                rename = json.dumps({'Rename': {column: {str(value).strip(): MISSING}}})
                advice = (
                    ' Correct the row; if it says that there is no value, write n/a, or Rename it '
                    f'to n/a in the model file ("Events": {rename}).'
                )
            raise InputError(
                f'{row_name(events, row)} of the events has {column} {cell(value)}, which is not '
                f'a number of {"seconds" if unit == "s" else "milliseconds"}.{advice}'
            )
    return times


def _no_text(value: object) -> bool:
    return value.strip() in _NO_TEXT if isinstance(value, str) else is_missing(value)
