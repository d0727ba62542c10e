"""fMRIPrep's confounds of a real run, as what disturbs a synthetic one."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.confounds import MOTION, current_names

__all__ = ['SHARES', 'Confounds', 'read_confounds']

#: Share of the temporal variance without the task, by source; the rest (0.7) is noise.
SHARES = {'motion': 0.12, 'tissue': 0.08, 'aCompCor': 0.10}

_TISSUE = ('csf', 'white_matter')
_COMPONENT = re.compile(r'([acw])_comp_cor_(\d+)')
#: As many components as fMRIPrep once wrote, of all masks together or of each; they come in the
#: order of their variance.
_N_COMPONENTS = {'a': 6, 'w': 3, 'c': 3}


class Confounds(NamedTuple):
    """Time series of one run.

    Attributes
    ----------
    names : tuple of str
        Columns of the table by fMRIPrep's present names; differences of motion parameters end
        in ``_derivative1``.
    sources : tuple of str
        Key of `SHARES` of each.
    series : ndarray of float, shape (n_volumes, n_series)
        Mean 0 and standard deviation 1 each.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    series: npt.NDArray[np.float64]


def read_confounds(path: Path) -> Confounds:
    """Read what the synthetic images take from a table of confounds.

    Six motion parameters and their backward differences, the mean signals of CSF and white
    matter, and the first six components of aCompCor, as far as they are there. A missing value
    in the first row, as of differences, becomes 0; a column that is constant or has no value at
    all (of a mask that came out empty) is left out.

    Raises
    ------
    InputError
        If the table cannot be read, has fewer than 2 rows, none of these columns, or a missing
        value elsewhere.
    """
    from ketbids.io.tables import read_table

    table = current_names(read_table(path))
    if len(table) < 2:
        raise InputError(f'{path} has {len(table)} rows; one per volume is needed')
    columns: dict[str, tuple[str, npt.NDArray[np.float64]]] = {}
    for name in (name for name in MOTION if name in table):
        values = _values(table, name, path)
        columns[name] = ('motion', values)
        columns[f'{name}_derivative1'] = ('motion', np.diff(values, prepend=values[:1]))
    columns |= {n: ('tissue', _values(table, n, path)) for n in _TISSUE if n in table}
    columns |= {n: ('aCompCor', _values(table, n, path)) for n in _components(table)}
    if not columns:
        raise InputError(
            f'{path} has none of the columns trans_x, csf, white_matter, a_comp_cor_00, ... or '
            'their older names: these are not the confounds of fMRIPrep'
        )
    varying = {name: entry for name, entry in columns.items() if np.ptp(entry[1]) > 0}
    centred = [values - values.mean() for _, values in varying.values()]
    series = np.array([values / values.std() for values in centred]).reshape(-1, len(table)).T
    return Confounds(tuple(varying), tuple(source for source, _ in varying.values()), series)


def _components(table: pd.DataFrame) -> list[str]:
    """Choose columns of aCompCor: those of all masks together, failing that of each mask."""
    found: dict[str, list[tuple[int, str]]] = {'a': [], 'w': [], 'c': []}
    for name in map(str, table.columns):
        if match := _COMPONENT.fullmatch(name):
            found[match[1]].append((int(match[2]), name))
    masks = 'a' if found['a'] else 'wc'
    return [name for mask in masks for _, name in sorted(found[mask])[: _N_COMPONENTS[mask]]]


def _values(table: pd.DataFrame, name: str, path: Path) -> npt.NDArray[np.float64]:
    values = pd.to_numeric(table[name], errors='coerce').to_numpy(float, copy=True)
    if table[name].isna().all():
        return np.zeros(len(table))
    if not np.isfinite(values[0]):
        values[0] = 0
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InputError(
            f'{path}: column {name} has no number in row {bad[0] + 1} ({table[name].iloc[bad[0]]})'
        )
    return values
