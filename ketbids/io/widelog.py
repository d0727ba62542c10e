"""Rows of a wide CSV file of PsychoPy, as texts and numbers that know their line."""

import csv
import io
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.io.newevents import decoded
from ketbids.stats.eventcells import is_missing

__all__ = ['WideLog', 'named_lines']

#: Lines that a note names.
_NAMED = 8
#: Columns that a message names.
_SHOWN = 12


class WideLog:
    """Rows of a log.

    Parameters
    ----------
    path : Path
        For messages.
    rows : DataFrame
        Texts, or None where a cell is empty (also ``None``, ``[]``); the index is the line.
    """

    def __init__(self, path: Path, rows: pd.DataFrame) -> None:
        self.path, self._rows = path, rows
        self.lines: list[int] = [int(line) for line in rows.index]

    @classmethod
    def read(
        cls, path: Path, kind: str, needed: Sequence[str], used: Collection[str]
    ) -> 'WideLog':
        """Read a file.

        Parameters
        ----------
        path : Path
        kind : str
            What the file should be, for messages.
        needed : sequence of str
            Columns that it must have.
        used : collection of str
            Columns that it must not have twice.

        Raises
        ------
        InputError
            It is no such table.
        """
        reader = csv.reader(io.StringIO(decoded(path, kind), newline=''), strict=True)
        rows: dict[int, list[str | None]] = {}
        header: list[str] = []
        try:
            for row in reader:
                if not header:
                    header = [name.strip() for name in row]
                    _check_header(path, header, kind, needed, used)
                elif any(cell.strip() for cell in row):
                    if len(row) != len(header):
                        raise InputError(
                            f'{path}, line {reader.line_num}: {len(row)} values, but the header '
                            f'has {len(header)} columns: the line is cut off, or a comma stands '
                            'in a value without quotation marks.'
                        )
                    rows[reader.line_num] = [_cell(cell) for cell in row]
        except csv.Error as error:
            raise InputError(f'{path}, line {reader.line_num}: no CSV: {error}.') from error
        if not rows:
            raise InputError(f'{path} has no row: it must be {kind}.')
        table = pd.DataFrame(list(rows.values()), columns=header, index=list(rows), dtype=object)
        return cls(path, table)

    def __len__(self) -> int:
        return len(self._rows)

    def where(self, wanted: npt.NDArray[np.bool_]) -> 'WideLog':
        """Some of the rows."""
        return WideLog(self.path, self._rows[wanted])

    def texts(self, column: str) -> list[str | None]:
        """Cells of a column; None throughout if there is no such column."""
        if column not in self._rows.columns:
            return [None] * len(self)
        return list(self._rows[column])

    def number(self, row: int, column: str, text: str) -> float:
        """Take a number, or say where it is none."""
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise self.error(row, f'{column} is {text!r}, which is not a number.')
        return value

    def numbers(self, column: str) -> npt.NDArray[np.float64]:
        """Numbers of a column, shape (n_rows,); NaN where the cell is empty."""
        cells = enumerate(self.texts(column))
        return np.array(
            [np.nan if text is None else self.number(row, column, text) for row, text in cells]
        )

    def error(self, row: int, text: str) -> InputError:
        """Make an error of a row."""
        return InputError(f'{self.path}, line {self.lines[row]}: {text}')

    def named(self, wanted: npt.NDArray[np.bool_]) -> str:
        """Name the lines of some rows."""
        return named_lines([self.lines[row] for row in np.flatnonzero(wanted)])


def named_lines(lines: Sequence[Any]) -> str:
    """Name some lines of a file."""
    named = ', '.join(map(str, lines[:_NAMED]))
    more = f' and {len(lines) - _NAMED} more' if len(lines) > _NAMED else ''
    return f'line{"s" if len(lines) > 1 else ""} {named}{more}'


def _cell(text: str) -> str | None:
    return None if is_missing(text) or text.strip() == '[]' else text.strip()


def _check_header(
    path: Path, header: Sequence[str], kind: str, needed: Sequence[str], used: Collection[str]
) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        apart = len(header) == 1 and re.search(r'[;\t]', header[0])
        hint = ' Its columns are not separated by commas: export it again.' if apart else ''
        shown = ', '.join(header[:_SHOWN]) + (', ...' if len(header) > _SHOWN else '')
        raise InputError(
            f'{path} lacks the column {", ".join(missing)}; it has {shown}.{hint} It must be '
            f'{kind}.'
        )
    twice = sorted(name for name in used if list(header).count(name) > 1)
    if twice:
        raise InputError(f'{path} has two columns {twice[0]}: which one counts cannot be known.')
