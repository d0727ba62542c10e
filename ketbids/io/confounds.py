"""Tables of confounds, as the HCP pipelines and fMRIPrep write them."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.io.tables import read_table
from ketbids.stats.confounds import MOTION, check_rows, head_movement

__all__ = ['ConfoundTable', 'read_confounds', 'read_movement']


class ConfoundTable(NamedTuple):
    """All confounds of a run.

    Attributes
    ----------
    table : DataFrame, shape (n_volumes, n_columns)
    masks : dict of str to str
        ``'WM'``, ``'CSF'`` or ``'combined'`` of each aCompCor column, if a JSON file says so.
    """

    table: pd.DataFrame
    masks: dict[str, str]


def read_confounds(
    path: Path, n_volumes: int, origin: Literal['hcp', 'fmriprep'], sidecar: Path | None = None
) -> ConfoundTable:
    """Read the confounds of a run.

    Parameters
    ----------
    path : Path
        HCP: ``Movement_Regressors.txt``, 6 or 12 columns (translations in mm, rotations in
        degrees, their differences). fMRIPrep: ``*_confounds.tsv``,
        ``*_desc-confounds_regressors.tsv`` or ``*_desc-confounds_timeseries.tsv``.
    n_volumes : int
        Volumes of the run.
    origin : {'hcp', 'fmriprep'}
    sidecar : Path, optional
        fMRIPrep's JSON file of the table; by default the one beside it, if there is one.

    Raises
    ------
    InputError
        The file is missing, not a table, or has another number of rows.
    """
    if origin == 'hcp':
        table, masks = _read_hcp(path), {}
    else:
        table = read_table(path)
        beside = path.with_suffix('.json')
        sidecar = beside if sidecar is None and beside.is_file() else sidecar
        masks = {} if sidecar is None else _masks(sidecar)
    try:
        check_rows(table, n_volumes)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    return ConfoundTable(table, masks)


def read_movement(path: Path, n_volumes: int, origin: Literal['hcp', 'fmriprep']) -> pd.DataFrame:
    """Read the head movement of a run.

    Returns
    -------
    DataFrame, shape (n_volumes, 6)
        Translations in mm and rotations in degrees.
    """
    table = read_confounds(path, n_volumes, origin).table
    try:
        movement = head_movement(table)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    if origin == 'fmriprep':
        movement.iloc[:, 3:] = np.rad2deg(movement.iloc[:, 3:])
    return movement


def _read_hcp(path: Path) -> pd.DataFrame:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is not text'
        raise InputError(f'{path} cannot be read as a table of numbers: {reason}.') from error
    rows = [(n, line.split()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not rows:
        raise InputError(f'{path} is empty: a line of 6 or 12 numbers per volume is needed.')
    for line, row in rows:
        if len(row) != len(rows[0][1]):
            raise InputError(
                f'{path}, line {line}: {len(row)} values, but the line before has '
                f'{len(rows[0][1])}. Take the file from the HCP pipelines again.'
            )
        for cell in row:
            if not _is_number(cell):
                raise InputError(
                    f'{path}, line {line}: {cell!r} is not a number. Take the file from the HCP '
                    'pipelines again.'
                )
    values = np.array([row for _, row in rows], float)
    if values.shape[1] not in (6, 12):
        raise InputError(f'{path} has {values.shape[1]} columns; it must have 6 or 12.')
    names = [*MOTION, *(f'{name}_derivative1' for name in MOTION)]
    return pd.DataFrame(values, columns=names[: values.shape[1]])


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _masks(path: Path) -> dict[str, str]:
    """Mask of each column that has one; other content is of no interest here."""
    return {
        column: str(about['Mask'])
        for column, about in read_json(path).items()
        if isinstance(about, dict) and 'Mask' in about
    }
