"""Long tables for statistics, one row per measurement: CSV and TSV, typed strictly."""

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.io.newevents import decoded
from ketbids.stats.mixed.rows import MISSING

__all__ = ['LINE', 'read_long_table', 'type_columns']

#: Name of the index: the line of the file where a row stands.
LINE = 'line'

#: Numbers as programs and people write them; a code such as 01 is a name.
_NUMBER = re.compile(
    r'[+-]?((?!0\d)\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?', re.ASCII | re.IGNORECASE
)
_COMMA = re.compile(r'[+-]?(?!0\d)\d*,\d+(e[+-]?\d+)?', re.ASCII | re.IGNORECASE)
_KIND = 'a table (CSV or TSV) with a header line'
_SEPARATORS = {',': 'commas', ';': 'semicolons', '\t': 'tabs'}
#: Squares of larger numbers, summed, come near the largest one there is.
_LARGEST = 1e100
#: Columns that a message names.
_SHOWN = 12


def read_long_table(path: Path, needed: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table with every cell as text, or None where its value is missing.

    Columns are separated by commas, tabs or semicolons, whichever the header holds most of;
    among semicolons, ``0,5`` is a half, as spreadsheets of many countries write it. Empty cells,
    ``n/a``, ``NA`` and ``NaN`` are missing; blanks around values do not count.

    Parameters
    ----------
    path : Path
    needed : sequence of str
        Columns that must be there.

    Returns
    -------
    DataFrame
        Indexed by the line of the file (`LINE`).

    Raises
    ------
    InputError
        The file cannot be read or is no such table, a row has more or fewer cells than the
        header, or a `needed` column is not there or there twice.
    """
    path = Path(path)
    text = decoded(path, _KIND)
    separator = _separator(text)
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=separator, strict=True)
    header: list[str] = []
    lines: list[int] = []
    cells: list[list[str | None]] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = [name.strip() for name in row]
            elif len(row) != len(header):
                raise InputError(
                    f'{path}, line {reader.line_num}: {len(row)} values, but the header has '
                    f'{len(header)} columns (separated by {_SEPARATORS[separator]}). A value that '
                    'holds the separator must stand in quotation marks.'
                )
            else:
                lines.append(reader.line_num)
                cells.append([_cell(cell, separator) for cell in row])
    except csv.Error as error:
        raise InputError(
            f'{path}, line {reader.line_num}: cannot be read as a table: {error}. Quotation marks '
            'stand around a whole value, and are doubled inside it.'
        ) from error
    _check_header(path, header, needed)
    if not lines:
        raise InputError(f'{path} has a header, but no row below it.')
    # The row numbers of R and pandas are a first column without a name.
    kept = [i for i, name in enumerate(header) if name]
    table = pd.DataFrame(cells, columns=pd.RangeIndex(len(header)), index=lines, dtype=object)
    table = table.iloc[:, kept].set_axis([header[i] for i in kept], axis='columns')
    return table.loc[:, ~table.columns.duplicated()].rename_axis(index=LINE)


def _separator(text: str) -> str:
    """Find what separates the columns of the first line that is not blank."""
    header = next((line for line in text.splitlines() if line.strip()), '')
    bare = re.sub(r'"[^"]*"', '', header)
    return max(_SEPARATORS, key=bare.count)


def _cell(text: str, separator: str) -> str | None:
    word = text.strip()
    if word.casefold() in MISSING:
        return None
    return word.replace(',', '.') if separator == ';' and _COMMA.fullmatch(word) else word


def _check_header(path: Path, header: Sequence[str], needed: Sequence[str]) -> None:
    if not header:
        raise InputError(f'{path} is empty: it must be {_KIND}.')
    shown = ', '.join(header[:_SHOWN]) + (', ...' if len(header) > _SHOWN else '')
    for name in needed:
        if header.count(name) > 1:
            raise InputError(
                f'{path} has {header.count(name)} columns {name}, and which one counts cannot be '
                'known: rename or remove one.'
            )
        if name not in header:
            close = [other for other in header if other.casefold() == name.casefold()]
            hint = f' Is {close[0]} meant?' if close else ''
            raise InputError(f'{path} has no column {name}; it has {shown}.{hint}')


def type_columns(
    path: Path,
    table: pd.DataFrame,
    *,
    names: Collection[str] = (),
    numbers: Collection[str] = (),
    either: Collection[str] = (),
) -> pd.DataFrame:
    """Take columns of a table as names or numbers.

    Parameters
    ----------
    path : Path
        For messages.
    table : DataFrame of str or None
        As `read_long_table` gives it.
    names : collection of str
        Columns that hold names, also where these look like numbers.
    numbers : collection of str
        Columns that hold numbers.
    either : collection of str
        Columns that hold numbers if one of their values is a number, else names.

    Returns
    -------
    DataFrame
        The columns in the order of `table`: float with NaN, or str with None.

    Raises
    ------
    InputError
        A text or an infinite number among numbers: the message names its line.
    """
    wanted = {*names, *numbers, *either}
    columns = {}
    for name in table.columns:
        if name not in wanted:
            continue
        column = table[name]
        if name in names:
            columns[name] = column
            continue
        present = column.dropna()
        are = present.map(lambda word: _NUMBER.fullmatch(word) is not None).astype(bool)
        if name in numbers or are.any():
            if not are.all():
                raise _not_a_number(path, name, present, are, must=name in numbers)
            columns[name] = _floats(path, column, present)
        else:
            columns[name] = column
    return pd.DataFrame(columns, index=table.index)


def _floats(path: Path, column: pd.Series, present: pd.Series) -> pd.Series:
    values = pd.Series(np.nan, index=column.index)
    values[present.index] = present.map(float).astype(float)
    for line in values.index[np.abs(values.to_numpy()) > _LARGEST]:
        kind = 'not a finite number' if np.isinf(values[line]) else 'too large to compute with'
        raise InputError(
            f'{path}, line {line}: {column.name} is {column[line]}, which is {kind}. Write n/a if '
            'it is unknown.'
        )
    return values


def _not_a_number(
    path: Path, name: str, present: pd.Series, are: pd.Series, *, must: bool
) -> InputError:
    """Name the first text, and a number beside which it stands."""
    texts = present[~are]
    line, word = texts.index[0], texts.iloc[0]
    others = len(texts) - 1
    more = f' ({others} more {"lines have" if others > 1 else "line has"} text, too)' * bool(
        others
    )
    problem = f"{path}, line {line}: {name} is '{word}'{more}, where "
    if must:
        return InputError(f'{problem}a number is needed. Write a number, or n/a if it is missing.')
    number = present.index[are.to_numpy()][0]
    return InputError(
        f'{problem}other lines have numbers (line {number}: {present[number]}). Write a number, '
        f'or n/a if it is missing; if {name} is a factor, list its levels.'
    )
