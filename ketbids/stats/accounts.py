"""What an analysis used of each person: map, covariates, score, and what followed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from ketbids.stats import expressions
from ketbids.stats.people import as_text, is_missing, labels

__all__ = ['account', 'members']

_FIXED = ('participant_id', 'status', 'reason', 'map', 'minus_map')


def members(people: pd.DataFrame, subset: str | None, derived: Mapping[str, str]) -> pd.Series:
    """Who is in the subset of an analysis.

    Parameters
    ----------
    people : DataFrame
        Indexed by label.
    subset : str, or None
        Expression; None: everybody is.
    derived : mapping of str to str

    Returns
    -------
    Series of boolean
        NA where it is not known.
    """
    if subset is None:
        return pd.Series(True, index=people.index, dtype='boolean')
    frame = expressions.derive(people, derived, needed=expressions.names(subset))
    return expressions.evaluate(subset, frame).astype('boolean')


def account(
    people: pd.DataFrame,
    maps: pd.DataFrame,
    rows: pd.DataFrame,
    exclusions: pd.DataFrame,
    *,
    sessions: Sequence[str],
    variables: Sequence[str],
    subset: str | None,
    derived: Mapping[str, str],
    not_chosen: Collection[str] = (),
) -> pd.DataFrame:
    """One row per person: what the analysis found of them, and what followed.

    The group test is listwise: whoever lacks a map or a covariate is left out of it.

    Parameters
    ----------
    people : DataFrame
        Everybody, indexed by label.
    maps : DataFrame
        ``participant_id``, ``session_id``, ``path``: the maps that the analysis may use.
    rows, exclusions : DataFrame
        Of the group design.
    sessions : sequence of str
        Labels: none (the only map), one, or the two of a difference.
    variables : sequence of str
        Of the formula.
    subset : str, or None
    derived : mapping of str to str
    not_chosen : collection of str
        Labels of people whom this call does not look at.

    Returns
    -------
    DataFrame
        ``participant_id``, ``status`` (``used``, ``left out``, ``not in the subset``), ``reason``,
        ``map``, ``minus_map``, and one column per variable. Missing where there is nothing.
        Sorted by participant.
    """
    own: dict[str, dict[str, str]] = {}
    who_when = zip(
        labels(maps['participant_id'], 'sub-'), labels(maps['session_id'], 'ses-'), strict=True
    )
    for (who, when), path in zip(who_when, maps['path'], strict=True):
        own.setdefault(who, {})[when] = str(path)
    frame = expressions.derive(people, derived, needed=variables)
    member = members(people, subset, derived)
    used = set(labels(rows['participant_id'], 'sub-'))
    reasons = _reasons(exclusions)
    table = []
    for who in sorted({*people.index, *reasons}):
        found = own.get(who, {})
        inside = member[who] if who in member.index else True
        status, reason = 'left out', reasons.get(who)
        if who in used:
            status, reason = 'used', None
        elif who in not_chosen:
            reason = 'not chosen in this call'
        elif reason is None and pd.isna(inside):
            unknown = [n for n in expressions.names(subset or '') if _lacks(frame, people, who, n)]
            reason = f'not known whether in the subset: {", ".join(unknown)} unknown; no map'
        elif reason is None:
            status = 'not in the subset'
        when = list(sessions) or list(found)[:1]
        row: dict[str, Any] = {'participant_id': f'sub-{who}', 'status': status, 'reason': reason}
        for column, label in zip(('map', 'minus_map'), [*when, None, None], strict=False):
            row[column] = None if label is None else found.get(label)
        table.append(row)
    result = pd.DataFrame(table, columns=list(_FIXED), dtype='object')
    order = [str(who).removeprefix('sub-') for who in result['participant_id']]
    for name in variables:
        result[_free(name)] = _plain(frame[name]).reindex(order).to_numpy()
    return result


def _lacks(frame: pd.DataFrame, people: pd.DataFrame, who: str, name: str) -> bool:
    table = frame if name in frame.columns else people
    return name not in table.columns or is_missing(table.loc[who, name])


def _reasons(exclusions: pd.DataFrame) -> dict[str, str]:
    """Reasons of each person in one text."""
    found: dict[str, list[str]] = {}
    columns = (exclusions[name] for name in ('participant_id', 'session_id', 'reason'))
    for who, when, why in zip(*columns, strict=True):
        text = str(why) if is_missing(when) else f'{when}: {why}'
        found.setdefault(str(who).removeprefix('sub-'), []).append(text)
    return {who: '; '.join(several) for who, several in found.items()}


def _free(name: str) -> str:
    """Name of a variable's column, apart from those that every table has."""
    return f'{name}_value' if name in _FIXED else name


def _plain(column: pd.Series) -> pd.Series:
    """Values as they are written: levels for conditions, None where missing."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column
    return as_text(column)
