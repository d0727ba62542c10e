"""Tab-separated tables of BIDS, with their data dictionaries."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ketbids.errors import InputError
from ketbids.io.files import write_json, write_text

__all__ = ['read_participants', 'read_sessions', 'read_table', 'write_table']

#: What BIDS and its users write for a missing value.
_MISSING = ['n/a', 'N/A', 'NA', 'NaN', 'nan', '']


def read_table(path: Path, required: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a TSV file; ``n/a`` becomes missing, identifiers and labels stay text.

    Raises
    ------
    InputError
        If the file is missing, not a table in UTF-8, or lacks one of the `required` columns.
    """
    text = dict.fromkeys(('participant_id', 'session_id', 'run', 'run_id', 'reason'), 'str')
    try:
        table = pd.read_csv(
            path,
            sep='\t',
            na_values=_MISSING,
            keep_default_na=False,
            dtype=text,
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
        table = read_table(path, ('session_id',))
        table['participant_id'] = path.parent.name
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else None
