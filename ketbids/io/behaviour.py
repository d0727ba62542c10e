"""The tables of performance that the participant level wrote."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from ketbids.errors import InputError
from ketbids.io.tables import read_table

__all__ = ['find_performance', 'read_performance', 'remove_group_tables']

_TABLE = re.compile(
    r'sub-(?P<participant_id>[A-Za-z0-9]+)(?:_ses-(?P<session_id>[A-Za-z0-9]+))?'
    r'_task-(?P<task>[A-Za-z0-9]+)(?:_acq-(?P<acquisition>[A-Za-z0-9]+))?'
    r'_desc-performance_beh\.tsv'
)


def find_performance(output_dir: Path, tasks: Collection[str]) -> pd.DataFrame:
    """Find the tables of all visits.

    Returns
    -------
    DataFrame
        Columns ``participant_id`` and ``session_id`` (labels), ``task``, ``acquisition``,
        ``path`` (below `output_dir`); sorted.
    """
    rows = []
    for pattern in ('sub-*/ses-*/beh', 'sub-*/beh'):
        for path in Path(output_dir).glob(f'{pattern}/*_desc-performance_beh.tsv'):
            match = _TABLE.fullmatch(path.name)
            if match and match['task'] in tasks:
                row = {key: value or '' for key, value in match.groupdict().items()}
                rows.append({**row, 'path': path.relative_to(output_dir).as_posix()})
    columns = [*_TABLE.groupindex, 'path']
    return pd.DataFrame(rows, columns=columns).sort_values(columns, ignore_index=True)


def read_performance(
    output_dir: Path, found: pd.DataFrame, columns: Collection[str], session: str
) -> pd.DataFrame:
    """Read the row of every table that describes the whole session.

    Parameters
    ----------
    output_dir : Path
    found : DataFrame
        As `find_performance` gives it, or some rows of it.
    columns : collection of str
        Those to read.
    session : str
        What their row has as ``run``.

    Returns
    -------
    DataFrame
        `found` and the columns, in the same order.

    Raises
    ------
    InputError
        A table that lacks a column or has not one such row: it is of another version.
    """
    rows = []
    for path in found['path']:
        file = Path(output_dir) / path
        table = read_table(file, ('run', *columns))
        whole = table[table['run'] == session]
        if len(whole) != 1:
            raise InputError(
                f'{file} has {len(whole)} rows for the whole session instead of one: run the '
                'participant level again.'
            )
        rows.append({column: whole.iloc[0][column] for column in columns})
    values = pd.DataFrame(rows, columns=list(columns), index=found.index)
    return pd.concat([found, values], axis='columns')


def remove_group_tables(output_dir: Path, stems: Collection[str]) -> list[str]:
    """Remove tables of the group that an earlier call left, with their data dictionaries.

    Returns
    -------
    list of str
        Names of the files that were there, below `output_dir`.
    """
    names = [f'group/{stem}{ending}' for stem in stems for ending in ('.tsv', '.json')]
    found = [name for name in names if (Path(output_dir) / name).is_file()]
    for name in found:
        (Path(output_dir) / name).unlink()
    return found
