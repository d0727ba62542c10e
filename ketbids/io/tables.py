"""Tab-separated tables of BIDS, with their data dictionaries."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.io.files import write_json, write_text
from ketbids.stats.people import is_code

__all__ = ['read_participants', 'read_sessions', 'read_table', 'write_table']

#: What BIDS and its users write for a missing value.
_MISSING = ['n/a', 'N/A', 'NA', 'NaN', 'nan', '']


#: Columns whose values are names, even where they look like numbers.
_NAMES = ('participant_id', 'session_id', 'run', 'run_id', 'reason')

_NUMBER = re.compile(r'[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?)', re.ASCII | re.IGNORECASE)
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
    return _typed(_read_text(path, required))


def _read_text(path: Path, required: tuple[str, ...]) -> pd.DataFrame:
    """Read a TSV file with every value as text or missing."""
    try:
        table = pd.read_csv(
            path,
            sep='\t',
            na_values=_MISSING,
            keep_default_na=False,
            dtype='str',
            encoding='utf-8-sig',
            index_col=False,
        )
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except pd.errors.EmptyDataError as error:
        raise InputError(f'{path} is empty: a header line with column names is needed.') from error
    except (OSError, ValueError) as error:
        raise InputError(f'{path} cannot be read as a tab-separated table: {error}') from error
    missing = [column for column in required if column not in table.columns]
    if missing:
        raise InputError(
            f'{path} lacks the column {", ".join(missing)}; it has {", ".join(table.columns)}.'
        )
    return table


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Turn columns of text into numbers or booleans where all their values are."""
    columns = {
        name: column if name in _NAMES else _typed_column(column) for name, column in table.items()
    }
    return pd.DataFrame(columns, index=table.index)


def _typed_column(column: pd.Series) -> pd.Series:
    if not len(column):
        return column.astype(object)
    present = column.notna().to_numpy()
    words = [word.strip() for word in column[present]]
    if all(_NUMBER.fullmatch(word) and not is_code(word) for word in words):
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


def write_table(
    target: Path, table: pd.DataFrame, descriptions: Mapping[str, str] | None = None
) -> list[Path]:
    """Write a TSV file and, beside it, the JSON data dictionary of its columns.

    Returns
    -------
    list of Path
        The table and, with `descriptions`, its sidecar.
    """
    text = table.to_csv(sep='\t', index=False, na_rep='n/a', lineterminator='\n')
    written = [write_text(target, text)]
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


def read_sessions(bids_dir: Path) -> pd.DataFrame | None:
    """Read every ``sub-*_sessions.tsv`` into one table; None if there is none.

    Returns
    -------
    DataFrame
        ``participant_id``, ``session_id`` and the scores.
    """
    tables = []
    for path in sorted(Path(bids_dir).glob('sub-*/sub-*_sessions.tsv')):
        table = _read_text(path, ('session_id',))
        table['participant_id'] = path.parent.name
        tables.append(table)
    # Types are those of the whole study: one participant's site may be 10, another's 01.
    return _typed(pd.concat(tables, ignore_index=True)) if tables else None
