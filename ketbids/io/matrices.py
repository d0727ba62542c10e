"""Tables of numbers without header: CSV as PALM reads it, and FSL's .mat, .con, .fts and .grp."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['check_file', 'read_csv_numbers', 'read_matrix', 'read_vest']

Floats = npt.NDArray[np.float64]

#: Extensions of FSL's text files of matrices.
_VEST = ('.mat', '.con', '.fts', '.grp')
#: What Octave and MATLAB take for the start of a comment in a file of numbers.
_COMMENT = re.compile(r'[#%]')
#: Longest piece of a cell that a message shows.
_SHOWN = 40


def check_file(path: Path) -> Path:
    """Make sure that there is a file with content.

    Raises
    ------
    InputError
        It does not exist, is a folder, is empty or may not be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f'{path} is a folder: a file is needed.')
        with path.open('rb') as file:
            if not file.read(1):
                raise InputError(f'{path} is empty.')
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except OSError as error:
        raise InputError(f'{path} cannot be read: {error.strerror}.') from error
    return path


def read_matrix(path: Path, *, finite: bool = True) -> Floats:
    """Read a matrix; the extension says how.

    Parameters
    ----------
    path : Path
        ``.csv``, or FSL's ``.mat``, ``.con``, ``.fts`` or ``.grp``.
    finite : bool
        Refuse NaN and infinities.

    Returns
    -------
    ndarray, shape (n_rows, n_columns)

    Raises
    ------
    InputError
        The file cannot be read; the message names line and column.
    """
    suffix = Path(path).suffix.lower()
    if suffix == '.csv':
        return read_csv_numbers(path, finite=finite)
    if suffix in _VEST:
        return read_vest(path, finite=finite)
    raise InputError(
        f'{path}: a table must be a .csv file without header, or a {", ".join(_VEST[:-1])} or '
        f'{_VEST[-1]} file of FSL.'
    )


def read_csv_numbers(path: Path, *, finite: bool = False) -> Floats:
    """Read numbers separated by commas, spaces or tabs, without header.

    Blank lines and what follows ``#`` or ``%`` are passed over, as Octave and MATLAB do.

    Raises
    ------
    InputError
        A cell is no number (or, with `finite`, NaN or infinite), rows differ in length, or there
        are none. The message names line and column.
    """
    rows: list[Floats] = []
    first = 0
    for number, line in _lines(Path(path)):
        if ';' in line:
            raise InputError(
                f'{path}, line {number}: values are separated by semicolons. Separate them by '
                'commas, with points as decimal marks.'
            )
        row = _numbers(path, number, _cells(line), header=not rows, finite=finite)
        first = first or number
        if rows and len(row) != len(rows[0]):
            raise InputError(
                f'{path}, line {number}: {len(row)} values, but line {first} has {len(rows[0])}. '
                'All rows must have the same number of values.'
            )
        rows.append(row)
    if not rows:
        raise InputError(f'{path} holds no numbers.')
    return np.stack(rows)


def read_vest(path: Path, *, finite: bool = True) -> Floats:
    """Read a matrix that FSL's design tools have written.

    Raises
    ------
    InputError
        A keyword is missing, a value is no number (or, with `finite`, NaN or infinite), or the
        values are not as many as the header says.
    """
    header: dict[str, str] = {}
    values: list[tuple[int, Floats]] = []
    matrix = False
    for number, line in _lines(Path(path), comments=False):
        words = line.split()
        if matrix:
            values.append((number, _numbers(path, number, words, header=False, finite=finite)))
        elif words[0] == '/Matrix':
            matrix = True
            if words[1:]:
                row = _numbers(path, number, words[1:], header=False, finite=finite)
                values.append((number, row))
        else:
            header[words[0]] = words[1] if len(words) > 1 else ''
    if not matrix:
        raise InputError(
            f'{path} is not an FSL design or contrast file: it has no line /Matrix. A table of '
            'numbers alone must be named .csv.'
        )
    n_columns = _count(path, header, ('/NumWaves',))
    n_rows = _count(path, header, ('/NumPoints', '/NumContrasts'))
    found = sum(len(row) for _, row in values)
    if found != n_rows * n_columns:
        wrong = next(((i, len(row)) for i, row in values if len(row) != n_columns), None)
        where = f' Line {wrong[0]} has {wrong[1]}.' if wrong else ''
        raise InputError(
            f'{path}: the header announces {n_rows} rows of {n_columns} values, but {found} '
            f'values follow /Matrix.{where}'
        )
    return np.concatenate([row for _, row in values]).reshape(n_rows, n_columns)


def _lines(path: Path, *, comments: bool = True) -> list[tuple[int, str]]:
    """Number and text of the lines that are not blank."""
    content = check_file(path).read_bytes()
    advice = 'save it as plain text in UTF-8'
    if content.startswith(b'MATLAB 5.0'):
        raise InputError(f"{path} is a MATLAB file, not FSL's text format: export a .csv file.")
    if content.startswith((b'PK', b'\x1f\x8b', b'\xd0\xcf')):
        raise InputError(f'{path} is no text, but a workbook or archive: {advice}.')
    if b'\0' in content:
        raise InputError(f'{path} is no text in UTF-8 (it has NUL bytes): {advice}.')
    text = content.decode('utf-8-sig', 'replace').replace('\r\n', '\n').replace('\r', '\n')
    found = []
    for number, line in enumerate(text.split('\n'), start=1):
        kept = _COMMENT.split(line, maxsplit=1)[0].strip() if comments else line.strip()
        if kept:
            found.append((number, kept))
    return found


def _cells(line: str) -> list[str]:
    """Cells of a line; one comma at its end separates nothing."""
    if ',' in line:
        return [cell.strip() for cell in line.removesuffix(',').split(',')]
    return line.split()


def _numbers(
    path: Path, number: int, cells: Sequence[str], *, header: bool, finite: bool
) -> Floats:
    """Turn the cells of a line into numbers."""
    # Python's numbers may have underscores; nobody means them in a table.
    plain = not any('_' in cell for cell in cells)
    try:
        row = np.array(cells, dtype=np.float64)
    except ValueError:
        plain = False
    if not plain:
        _refuse_cell(path, number, cells, header)
    if finite and not np.isfinite(row).all():
        column = int(np.flatnonzero(~np.isfinite(row))[0])
        raise InputError(
            f'{path}, line {number}, column {column + 1}: {cells[column]} cannot be used here. '
            'All values must be finite.'
        )
    return row


def _refuse_cell(path: Path, number: int, cells: Sequence[str], header: bool) -> NoReturn:
    """Name the first cell that is no number."""
    for column, cell in enumerate(cells, start=1):
        try:
            float(cell)
        except ValueError:
            pass
        else:
            if '_' not in cell:
                continue
        what = f"'{cell[:_SHOWN]}' is not a number" if cell else 'the value is missing'
        advice = (
            'If this is a header line, remove it: these tables have none.'
            if header and cell
            else 'All values must be numbers.'
        )
        raise InputError(f'{path}, line {number}, column {column}: {what}. {advice}')
    raise InputError(f'{path}, line {number}: these values cannot be read as numbers.')


def _count(path: Path, header: dict[str, str], names: tuple[str, ...]) -> int:
    """A count that the header must give under one of several names."""
    found = next((name for name in names if name in header), None)
    text = header.get(found or '', '')
    if found is None or not text.isascii() or not text.isdigit() or int(text) < 1:
        told = f'says {found} {text}' if found else f'lacks {" or ".join(names)}'
        raise InputError(f'{path}: the header {told}; a whole number above 0 is needed there.')
    return int(text)
