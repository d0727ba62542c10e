"""Tab-separated tables of BIDS, with their data dictionaries."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.io.files import write_json, write_text

__all__ = ['read_header', 'read_participants', 'read_table', 'read_texts', 'table_text']
__all__ += ['typed_column', 'write_table']

#: What BIDS and its users write for a missing value.
_MISSING = ('n/a', 'N/A', 'NA', 'NaN', 'nan', '')

#: Columns whose values are names, even where they look like numbers.
_NAMES = ('participant_id', 'session_id', 'run', 'run_id', 'reason')

#: Numbers as people write them, but not codes such as 01 (`ketbids.stats.people.is_code`).
_NUMBER = re.compile(
    r'[+-]?(?!0\d)((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)', re.ASCII | re.IGNORECASE
)
_TRUTH = {'True': True, 'TRUE': True, 'true': True}
_TRUTH |= {'False': False, 'FALSE': False, 'false': False}


def read_table(path: Path, required: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a TSV file; ``n/a`` becomes missing, identifiers and labels stay text.

    A column becomes numbers if each of its values is one as people write them, and booleans if
    each is True or False. Codes such as ``01`` keep their zeros: their column is text.

    Raises
    ------
    InputError
        If the file is missing, not a table in UTF-8, or lacks one of the `required` columns.
    """
    return _typed(read_texts(path, required).reset_index(drop=True))


def read_texts(path: Path, required: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a TSV file with every value as text or missing, indexed by line.

    Raises
    ------
    InputError
        If the file is missing, is not a table in UTF-8, has a row of another length than its
        header or two columns of one name, or lacks one of the `required` columns.
    """
    rows = _rows(Path(path), _bytes(Path(path)))
    _, header = next(rows, (0, []))
    header = [name.strip() for name in header]
    if not any(header):
        raise InputError(f'{path} is empty: a header line with column names is needed.')
    lines, cells = [], []
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f'{path}, line {line}: {len(row)} values, but the header has {len(header)} '
                'columns. Put one tab between values, and n/a where one is missing.'
            )
        lines.append(line)
        cells.append([None if cell.strip() in _MISSING else cell for cell in row])
    # A tab at the end of every line makes a column without name and values.
    named = [i for i, name in enumerate(header) if name or any(row[i] for row in cells)]
    header = [header[i] for i in named]
    for i, name in enumerate(header):
        if not name or name in header[:i]:
            what = f'two columns {name}' if name else f'a column without name (number {i + 1})'
            raise InputError(f'{path} has {what}: each needs its own name.')
    missing = [column for column in required if column not in header]
    if missing:
        raise InputError(
            f'{path} lacks the column {", ".join(missing)}; it has {", ".join(header)}.'
            f'{_separator(header, missing)}'
        )
    return pd.DataFrame(
        [[row[i] for i in named] for row in cells], columns=header, index=lines, dtype='str'
    )


def _separator(header: Sequence[str], missing: Sequence[str]) -> str:
    """Say so if columns are apart, but not by tabs."""
    for sign, name in ((',', 'commas'), (';', 'semicolons'), (None, 'blanks')):
        if any(set(missing) & {word.strip() for word in cell.split(sign)} for cell in header):
            return f' Its columns are separated by {name}: put one tab between them instead.'
    return ''


def read_header(path: Path) -> list[str]:
    """Column names of a TSV file; nothing else of it is read."""
    content = _bytes(Path(path), first_line=True)
    # A letter that is not UTF-8 does not matter in a table of which nothing else is needed.
    if b'\0' not in content:
        content = content.decode('utf-8-sig', 'replace').encode()
    return [name.strip() for name in next(_rows(Path(path), content), (0, []))[1]]


def _bytes(path: Path, *, first_line: bool = False) -> bytes:
    try:
        with path.open('rb') as stream:
            return stream.readline() if first_line else stream.read()
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except OSError as error:
        raise InputError(
            f'{path} cannot be read as a tab-separated table: {error.strerror}.'
        ) from error


def _rows(path: Path, content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row that is not blank."""
    reader = csv.reader(io.StringIO(_decoded(path, content), newline=''), 'excel-tab', strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as error:
        raise InputError(
            f'{path}, line {reader.line_num}: cannot be read as a tab-separated table: {error} '
            '(a text that holds a quotation mark or a tab must stand in quotation marks).'
        ) from error


def _decoded(path: Path, content: bytes) -> str:
    """Text of a table, without byte order mark."""
    advice = 'save it as tab-separated text in UTF-8'
    if content.startswith((b'\xff\xfe', b'\xfe\xff')):
        raise InputError(f'{path} is in UTF-16: {advice}.')
    if content.startswith((b'PK', b'\x1f\x8b', b'\xd0\xcf')):
        raise InputError(f'{path} is no text, but a workbook or archive: {advice}.')
    place = content.find(b'\0')
    if place >= 0:
        line = content.count(b'\n', 0, place) + 1
        raise InputError(f'{path}, line {line}: a NUL byte, so this is no text: {advice}.')
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise InputError(
            f'{path}, line {line}: byte {error.start} (0x{content[error.start]:02x}) is not '
            f'UTF-8, perhaps Latin-1: {advice}.'
        ) from error


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of text into numbers or booleans where all their values are."""
    columns = {
        name: column if name in _NAMES else typed_column(column) for name, column in table.items()
    }
    return pd.DataFrame(columns, index=table.index)


def typed_column(column: pd.Series) -> pd.Series:
    """Turn texts into numbers or booleans if all that are not missing are such."""
    if not len(column):
        return column.astype(object)
    present = column.notna().to_numpy()
    # Tables of confounds have 100,000 cells: an array of objects is passed through much faster.
    words = [word.strip() for word in column.to_numpy(dtype=object)[present]]
    if all(map(_NUMBER.fullmatch, words)):
        if present.all() and all(word.lstrip('+-').isdigit() for word in words):
            return pd.Series([int(word) for word in words], index=column.index)
        numbers = np.full(len(column), np.nan)
        numbers[present] = [float(word) for word in words]
        return pd.Series(numbers, index=column.index)
    if all(word in _TRUTH for word in words):
        return pd.Series(
            [_TRUTH.get(str(word).strip(), np.nan) for word in column], index=column.index
        )
    return column


def table_text(table: pd.DataFrame) -> str:
    """Text of a TSV file."""
    return table.to_csv(sep='\t', index=False, na_rep='n/a', lineterminator='\n')


def write_table(
    target: Path, table: pd.DataFrame, descriptions: Mapping[str, str] | None = None
) -> list[Path]:
    """Write a TSV file and, beside it, the JSON data dictionary of its columns.

    Returns
    -------
    list of Path
        The table and, with `descriptions`, its sidecar.
    """
    written = [write_text(target, table_text(table))]
    if descriptions is not None:
        undescribed = set(map(str, table.columns)) - set(descriptions)
        if undescribed:
            raise ValueError(f'{target.name}: no description of {sorted(undescribed)}')
        dictionary = {
            str(name): {'Description': descriptions[str(name)]} for name in table.columns
        }
        written.append(write_json(target.with_suffix('.json'), dictionary))
    return written


def read_participants(bids_dir: Path) -> pd.DataFrame:
    """Read participants.tsv."""
    return read_table(Path(bids_dir) / 'participants.tsv', ('participant_id',))
