"""What an analysis used of each person: map, covariates, score, and what followed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from ketbids.stats import expressions
from ketbids.stats.people import as_text, is_missing, labels

__all__ = ['account', 'correlated_scores', 'members']

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
    score: pd.Series | None = None,
    values: Mapping[str, Sequence[str]] | None = None,
    not_chosen: Collection[str] = (),
) -> pd.DataFrame:
    """One row per person: what the analysis found of them, and what followed.

    The group test is listwise: whoever lacks a map or a covariate is left out of it. Correlations
    are pairwise: each uses whoever of the subset has its maps and the score.

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
    score : Series, optional
        What regional values are correlated with, by label; its name is that of the score.
    values : mapping of str to sequence of str, optional
        Sessions of each kind of regional value (the empty text: the visit of a study without
        sessions).
    not_chosen : collection of str
        Labels of people whom this call does not look at.

    Returns
    -------
    DataFrame
        ``participant_id``, ``status`` (``used``, ``left out``, ``not in the subset``), ``reason``,
        ``map``, ``minus_map``, one column per variable, and for correlations the score and a
        column ``correlation_<name>`` (``used``, ``no map``, ``no score``) per kind of value.
        Missing where there is nothing. Sorted by participant.
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
    if score is not None:
        result[_free(str(score.name))] = _plain(score).reindex(order).to_numpy()
        for name, labels_needed in (values or {}).items():
            result[f'correlation_{name}'] = [
                _pair(own.get(who, {}), labels_needed, score.get(who))
                if status != 'not in the subset' and who not in not_chosen and _is(member, who)
                else None
                for who, status in zip(order, result['status'], strict=True)
            ]
    return result


def correlated_scores(score: pd.Series, member: pd.Series) -> dict[str, float]:
    """Scores of those whose regional values are correlated: the subset, where not missing."""
    inside = member.reindex(score.index).fillna(False).astype(bool)
    return {str(who): float(value) for who, value in score[inside].dropna().items()}


def _is(member: pd.Series, who: str) -> bool:
    return who in member.index and not pd.isna(member[who]) and bool(member[who])


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


def _pair(own: Mapping[str, str], needed: Sequence[str], score: Any) -> str:
    if not all(when in own for when in needed):
        return 'no map'
    return 'no score' if is_missing(score) else 'used'


def _free(name: str) -> str:
    """Name of a variable's column, apart from those that every table has."""
    return f'{name}_value' if name in _FIXED else name


def _plain(column: pd.Series) -> pd.Series:
    """Values as they are written: levels for conditions, None where missing."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column
    return as_text(column)
