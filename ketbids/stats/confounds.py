"""Nuisance regressors: which columns of a table of confounds enter the model of a run."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError

__all__ = [
    'MOTION',
    'Confounds',
    'check_rows',
    'choose_confounds',
    'current_names',
    'head_movement',
    'resolve_sets',
]

#: Translations, then rotations, by fMRIPrep's present names.
MOTION = ('trans_x', 'trans_y', 'trans_z', 'rot_x', 'rot_y', 'rot_z')

#: Components of each mask's signals that enter as aCompCor (Muschelli et al. 2014).
_PER_MASK = 5
_MASKS = ('WM', 'CSF')

#: Names up to fMRIPrep 1.1, and what they became in 1.2.
_OLD_NAMES = {
    **dict(zip(('X', 'Y', 'Z', 'RotX', 'RotY', 'RotZ'), MOTION, strict=True)),
    'CSF': 'csf',
    'WhiteMatter': 'white_matter',
    'GlobalSignal': 'global_signal',
    'FramewiseDisplacement': 'framewise_displacement',
}
_OLD_NUMBERED = {
    'aCompCor': 'a_comp_cor_',
    'tCompCor': 't_comp_cor_',
    'Cosine': 'cosine',
    'NonSteadyStateOutlier': 'non_steady_state_outlier',
}
_NUMBERED = re.compile(rf'({"|".join(_OLD_NUMBERED)})(\d+)')
_COMPONENT = re.compile(r'(?P<mask>[acw])_comp_cor_(?P<number>\d+)')
_MASK_OF = {'w': 'WM', 'c': 'CSF', 'a': 'combined'}
_MOTION_OUTLIER = re.compile(r'motion_outlier_?\d+')
_NON_STEADY = re.compile(r'non_steady_state_outlier_?\d+')
#: Columns named in a message about a column that is absent.
_SHOWN = 12


class Confounds(NamedTuple):
    """Regressors of no interest.

    Attributes
    ----------
    matrix : DataFrame, shape (n_volumes, n_confounds)
        Finite numbers; no column is constant.
    notes : tuple of str
        What was done, for the report.
    """

    matrix: pd.DataFrame
    notes: tuple[str, ...]


def resolve_sets(
    sets: Sequence[str], *, origin: Literal['hcp', 'fmriprep'], denoised: bool
) -> tuple[str, ...]:
    """Say which sets of confounds a run gets: the one place that knows what ``auto`` means.

    Parameters
    ----------
    sets : sequence of str
        ``('auto',)``, ``('none',)`` or names of sets.
    origin : {'hcp', 'fmriprep'}
        Who preprocessed the run. The HCP pipelines give no aCompCor.
    denoised : bool
        It went through FIX, which has removed the confounds already.

    Returns
    -------
    tuple of str
        Names of sets; empty for none.
    """
    if tuple(sets) == ('auto',):
        if denoised:
            return ()
        return ('24', 'acompcor') if origin == 'fmriprep' else ('24',)
    return tuple(name for name in sets if name != 'none')


def current_names(table: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of fMRIPrep 1.0 and 1.1 the names that they have had since."""

    def renamed(name: object) -> str:
        match = _NUMBERED.fullmatch(str(name))
        if match:
            return f'{_OLD_NUMBERED[match[1]]}{match[2]}'
        return _OLD_NAMES.get(str(name), str(name))

    return table.rename(columns=renamed)


def check_rows(table: pd.DataFrame, n_volumes: int) -> None:
    """Check that a table has one row per volume.

    Raises
    ------
    InputError
        It has not.
    """
    if len(table) != n_volumes:
        raise InputError(
            f'{len(table)} rows of confounds, but the time series has {n_volumes} volumes: give '
            'the confounds of this run, cut as its volumes are.'
        )


def choose_confounds(
    table: pd.DataFrame,
    sets: Sequence[str],
    n_volumes: int,
    masks: Mapping[str, str] | None = None,
) -> Confounds:
    """Take or make the nuisance regressors of sets.

    ``6``: translations and rotations. ``12``: and their first differences, which are 0 for the
    first volume. ``24``: and the squares of these 12 (as fMRIPrep has them; Satterthwaite et al.
    2013, NeuroImage 64:240, after Friston et al. 1996, MRM 35:346). ``acompcor``: the first five
    components of white matter and of CSF; where nobody says which is which, the first ten of
    all. ``wmcsf``: mean signals of white matter and CSF. ``global``: mean signal of the brain.
    ``outliers``: one column per volume with sudden movement. Columns of volumes before the
    steady state enter with every set. Differences and squares that the table lacks are computed.

    Parameters
    ----------
    table : DataFrame, shape (n_volumes, n_columns)
        All confounds, by present or old names of fMRIPrep (:func:`current_names`).
    sets : sequence of str
        Resolved sets (:func:`resolve_sets`).
    n_volumes : int
        Volumes of the time series.
    masks : mapping of str to str, optional
        ``'WM'``, ``'CSF'`` or ``'combined'`` of each aCompCor column, from fMRIPrep's JSON file.

    Returns
    -------
    Confounds
        The regressors in the order of the sets, and notes.

    Raises
    ------
    InputError
        The number of rows is another one, a set's columns are absent, or a value is not a number.
    """
    if not sets:
        return Confounds(pd.DataFrame(index=range(n_volumes)), ())
    check_rows(table, n_volumes)
    table = current_names(table)
    parts: list[pd.DataFrame] = []
    notes: list[str] = []
    for name in sets:
        if name in ('6', '12', '24'):
            parts.append(_movement_terms(table, name))
            if name != '6' and _lacks_first(table):
                notes.append('confounds: first differences, n/a for the first volume, are 0 there')
            continue
        columns, more = _columns_of(table, name, masks or {})
        notes += more
        parts.append(table[columns])
    parts.append(table[_matching(table, _NON_STEADY)])
    chosen = pd.concat([part.reset_index(drop=True) for part in parts], axis=1)
    chosen = chosen.loc[:, ~chosen.columns.duplicated()]
    matrix, more = _cleaned(chosen)
    return Confounds(matrix, (*notes, *more))


def head_movement(table: pd.DataFrame) -> pd.DataFrame:
    """Give the six movement parameters of a table, in its units.

    Returns
    -------
    DataFrame, shape (n_volumes, 6)
        Translations, then rotations.

    Raises
    ------
    InputError
        A column is absent, or holds something else than numbers.
    """
    table = current_names(table)
    _require(table, MOTION, 'the head movement')
    return pd.DataFrame({name: _numbers(table[name], name) for name in MOTION})


def _movement_terms(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """6, 12 or 24 columns; what the table lacks is computed from what it has."""
    _require(table, MOTION, f'the set {name}')
    terms = {column: _numbers(table[column], column) for column in MOTION}
    if name in ('12', '24'):
        for column in MOTION:
            difference = f'{column}_derivative1'
            terms[difference] = (
                _numbers(table[difference], difference, first=0.0)
                if difference in table.columns
                else np.diff(terms[column], prepend=terms[column][:1])
            )
    if name == '24':
        terms |= {f'{column}_power2': values**2 for column, values in list(terms.items())}
    return pd.DataFrame(terms)


def _lacks_first(table: pd.DataFrame) -> bool:
    columns = [f'{name}_derivative1' for name in MOTION if f'{name}_derivative1' in table.columns]
    return bool(table[columns].iloc[:1].isna().to_numpy().any())


def _columns_of(
    table: pd.DataFrame, name: str, masks: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Columns of a set other than movement, and notes."""
    if name == 'acompcor':
        return _components(table, masks)
    if name == 'wmcsf':
        _require(table, ('white_matter', 'csf'), 'the set wmcsf')
        return ['white_matter', 'csf'], []
    if name == 'global':
        _require(table, ('global_signal',), 'the set global')
        return ['global_signal'], []
    if name == 'outliers':
        columns = _matching(table, _MOTION_OUTLIER)
        if not columns:
            # fMRIPrep writes none for a run without sudden movements; then this one is there.
            _require(
                table, ('framewise_displacement',), 'the set outliers (motion_outlier00, ...)'
            )
        return columns, [] if columns else ['confounds: no volume is marked as an outlier']
    raise InputError(f'There is no set of confounds {name!r}.')


def _components(table: pd.DataFrame, masks: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Columns of aCompCor, those of white matter first; and notes.

    fMRIPrep writes a column of n/a for a mask that has no voxel.
    """
    found: dict[str, list[tuple[int, str]]] = {'WM': [], 'CSF': [], 'combined': []}
    empty = []
    for column in table.columns:
        match = _COMPONENT.fullmatch(str(column))
        if match and table[column].isna().all():
            empty.append(str(column))
        elif match:
            mask = masks.get(str(column), _MASK_OF[match['mask']])
            found.setdefault(mask, []).append((int(match['number']), str(column)))
    notes = [f'aCompCor: n/a throughout, left out: {", ".join(empty)}'] if empty else []
    ordered = {mask: [column for _, column in sorted(pairs)] for mask, pairs in found.items()}
    if any(ordered[mask] for mask in _MASKS):
        chosen = [column for mask in _MASKS for column in ordered[mask][:_PER_MASK]]
        few = [f'{len(ordered[m])} of {m}' for m in _MASKS if len(ordered[m]) < _PER_MASK]
        return chosen, notes + ([f'aCompCor: there are only {" and ".join(few)}'] if few else [])
    chosen = ordered['combined'][: 2 * _PER_MASK]
    if not chosen:
        nothing = f'{", ".join(empty)} have no value. ' if empty else ''
        raise InputError(
            f'{nothing}The set acompcor needs the columns a_comp_cor_00, ... (or w_comp_cor_00, '
            f'... and c_comp_cor_00, ...); {_there_are(table)}'
        )
    which = 'no file says which component is of which mask'
    return chosen, [*notes, f'aCompCor: {which}; the first {len(chosen)} are in the model']


def _matching(table: pd.DataFrame, pattern: re.Pattern[str]) -> list[str]:
    return [str(column) for column in table.columns if pattern.fullmatch(str(column))]


def _require(table: pd.DataFrame, columns: Sequence[str], user: str) -> None:
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise InputError(
            f'There is no column {", ".join(absent)}, which {user} needs; {_there_are(table)}'
        )


def _there_are(table: pd.DataFrame) -> str:
    names = [str(column) for column in table.columns]
    more = len(names) - _SHOWN
    listed = ', '.join(names[:_SHOWN]) + (f' and {more} more' if more > 0 else '')
    return f'there are: {listed or "none"}. Choose other sets with --confounds.'


def _numbers(
    column: pd.Series, name: str, *, first: float | None = None
) -> npt.NDArray[np.float64]:
    """A column as finite numbers; `first` stands for a missing value of the first volume."""
    values = pd.to_numeric(column, errors='coerce').to_numpy(np.float64, copy=True)
    if first is not None and len(values) and pd.isna(column.iloc[0]):
        values[0] = first
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        row = int(bad[0])
        value = column.iloc[row]
        what = 'n/a' if pd.isna(value) else repr(value) if isinstance(value, str) else f'{value}'
        raise InputError(
            f'Row {row + 1} (line {row + 2} of a file with a header) has {name} {what}, which is '
            'not a number. Correct it, or choose other sets with --confounds.'
        )
    return values


def _cleaned(chosen: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Leave out constant columns."""
    columns = {str(name): _numbers(chosen[name], str(name)) for name in chosen.columns}
    constant = [name for name, values in columns.items() if np.ptp(values) == 0]
    kept = {name: values for name, values in columns.items() if name not in constant}
    notes = [f'confounds that are constant, left out: {", ".join(constant)}'] if constant else []
    return pd.DataFrame(kept, index=range(len(chosen))), notes
