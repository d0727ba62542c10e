"""Ranges that values of people are expected in: whoever is outside is named, never dropped."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions

__all__ = ['Check', 'Checked', 'evaluate_checks', 'range_text', 'summarize']

_COLUMNS = ('participant_id', 'check', 'value', 'minimum', 'maximum', 'outcome')

#: Bounds are inside themselves: hours are differences of large numbers, right to less than this.
_ROUNDING = 1e-6


class Check(NamedTuple):
    """Range that a value is expected in.

    Attributes
    ----------
    name : str
    value : str
        Expression that gives a number (see `ketbids.stats.expressions`).
    minimum, maximum : float or None
        Bounds, which are inside themselves; None: there is none.
    subset : str or None
        Expression that is true for whoever is checked; None: everybody.
    description : str
    """

    name: str
    value: str
    minimum: float | None = None
    maximum: float | None = None
    subset: str | None = None
    description: str = ''


class Checked(NamedTuple):
    """Outcome of all checks.

    Attributes
    ----------
    table : DataFrame
        ``participant_id`` (``sub-..``), ``check``, ``value``, ``minimum``, ``maximum`` (NaN where
        there is none), ``outcome`` (``inside``, ``outside`` or ``unknown``); sorted by the
        order of the checks and by participant.
    notes : tuple of str
        A sentence for each check that could not be made at all.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]


def evaluate_checks(
    checks: Sequence[Check], people: pd.DataFrame, derived: Mapping[str, str]
) -> Checked:
    """Compare everybody's values with the ranges.

    Parameters
    ----------
    checks : sequence of Check
    people : DataFrame
        One row per participant, indexed by label (see `ketbids.stats.people.build_people`).
    derived : mapping of str to str
        Derived variables that checks may use.

    Returns
    -------
    Checked
        Who is not in the subset of a check has no row; who may be in it has the outcome unknown.
    """
    people = people.sort_index()
    parts, notes = [], []
    for check in checks:
        try:
            values, member = _values(check, people, derived)
        except InputError as error:
            notes.append(f'The check {check.name} could not be made: {error}')
            values = pd.Series(np.nan, index=people.index)
            member = pd.Series(pd.NA, index=people.index, dtype='boolean')
        values = values.where(member.fillna(False).astype(bool))
        inside = pd.Series(True, index=people.index)
        if check.minimum is not None:
            inside &= values >= check.minimum - _ROUNDING
        if check.maximum is not None:
            inside &= values <= check.maximum + _ROUNDING
        outcome = np.where(inside, 'inside', 'outside').astype(object)
        outcome[values.isna()] = 'unknown'
        part = pd.DataFrame(
            {
                'participant_id': [f'sub-{who}' for who in people.index],
                'check': check.name,
                'value': values.to_numpy(),
                'minimum': np.nan if check.minimum is None else check.minimum,
                'maximum': np.nan if check.maximum is None else check.maximum,
                'outcome': outcome,
            }
        )
        parts.append(part[member.fillna(True).to_numpy(dtype=bool)])
    empty = pd.DataFrame(columns=list(_COLUMNS))
    return Checked(pd.concat(parts, ignore_index=True) if parts else empty, tuple(notes))


def _values(
    check: Check, people: pd.DataFrame, derived: Mapping[str, str]
) -> tuple[pd.Series, pd.Series]:
    """Value of everybody, and who is in the subset."""
    needed = (*expressions.names(check.value), *expressions.names(check.subset or check.value))
    frame = expressions.derive(people, derived, needed=needed)
    values = expressions.evaluate(check.value, frame)
    # Where nobody has a value, its kind is not known.
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        raise InputError(f"Value '{check.value}' is not a number")
    member = pd.Series(True, index=people.index, dtype='boolean')
    if check.subset is not None:
        member = expressions.evaluate(check.subset, frame)
        if not pd.api.types.is_bool_dtype(member) and member.notna().any():
            raise InputError(f"Subset '{check.subset}' is not a condition that is true or false")
        member = member.astype('boolean')
    return values.astype(float), member


def range_text(check: Check) -> str:
    """Give the range in words: ``20 to 64``, ``17 or more``, ``7 or less``."""
    if check.maximum is None:
        return f'{check.minimum:g} or more'
    if check.minimum is None:
        return f'{check.maximum:g} or less'
    return f'{check.minimum:g} to {check.maximum:g}'


def summarize(checks: Sequence[Check], table: pd.DataFrame) -> pd.DataFrame:
    """Count outcomes of each check, and name who is outside.

    Returns
    -------
    DataFrame
        ``check``, ``range``, ``inside``, ``outside``, ``unknown`` and ``who is outside``
        (participants with their values).
    """
    rows = []
    for check in checks:
        own = table[table['check'] == check.name]
        counts = own['outcome'].value_counts()
        out = own[own['outcome'] == 'outside']
        named = [
            f'{w} ({v:.4g})' for w, v in zip(out['participant_id'], out['value'], strict=True)
        ]
        rows.append(
            {'check': check.name, 'range': range_text(check)}
            | {name: int(counts.get(name, 0)) for name in ('inside', 'outside', 'unknown')}
            | {'who is outside': ', '.join(named) or 'nobody'}
        )
    columns = ['check', 'range', 'inside', 'outside', 'unknown', 'who is outside']
    return pd.DataFrame(rows, columns=columns)
