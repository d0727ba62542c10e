"""Who is in an analysis: the table of participants, and the choice of their maps by key."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions

__all__ = ['as_text', 'build_people', 'is_code', 'is_missing', 'labels', 'listing']
__all__ += ['refuse_repeats', 'select_maps']


def build_people(
    participants: pd.DataFrame,
    sessions: pd.DataFrame | None = None,
    scores: Iterable[str] = (),
    levels: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """One row per participant: what participants.tsv says, and scores as one column per session.

    Parameters
    ----------
    participants : DataFrame
        ``participant_id`` and any other columns.
    sessions : DataFrame, optional
        One row per participant and session: ``participant_id``, ``session_id``, scores.
    scores : iterable of str
        Columns of ``sessions`` to take: ``hdrs`` gives ``hdrs_TP1``, ``hdrs_TP2``, ... A score
        that no session has is left out: an analysis that needs it says that it is absent.
    levels : mapping of str to sequence of str, optional
        The values that a column may have.

    Returns
    -------
    DataFrame
        Indexed by participant label (without ``sub-``); ``n/a`` and empty texts are missing.

    Raises
    ------
    InputError
        A participant or participant-session that stands twice, a value outside ``levels``.
    """
    for name, table in (('participants', participants), ('sessions', sessions)):
        keys = ('participant_id',) if name == 'participants' else ('participant_id', 'session_id')
        for column in keys:
            if table is not None and column not in table.columns:
                raise InputError(f'The {name} table has no column {column}')
    people = participants.drop(columns='participant_id')
    people.index = labels(participants['participant_id'], 'sub-')
    refuse_repeats(people.index, 'The participants table has more than one row of')
    if sessions is not None and len(sessions):
        who = labels(sessions['participant_id'], 'sub-')
        when = labels(sessions['session_id'], 'ses-')
        refuse_repeats(
            pd.MultiIndex.from_arrays([who, when]), 'The sessions tables have more than one row of'
        )
        for score in dict.fromkeys(scores):
            if score not in sessions.columns:
                continue
            for label in sorted(set(when) - {''}):
                name = f'{score}_{label}'
                if name in people.columns:
                    raise InputError(
                        f'participants.tsv has a column {name}, which is the name of the '
                        f'score {score} at session {label}: rename it'
                    )
                values = sessions[score].set_axis(who, axis='index')[when == label]
                people[name] = values.reindex(people.index)
    people = people.mask(people.map(is_missing))
    for column, allowed in (levels or {}).items():
        if column in people.columns:
            values = as_text(people[column])
            wrong = values[values.notna() & ~values.isin(list(allowed))]
            if len(wrong):
                raise InputError(
                    f"{column} of sub-{wrong.index[0]} is '{wrong.iloc[0]}', which is not one of "
                    f'{", ".join(allowed)} (Levels of the model file; {len(wrong)} such rows): '
                    'correct participants.tsv, or the table that has this column, or the Levels'
                )
    return people


class _Line(NamedTuple):
    """Line of an exclusion list; '' for all."""

    who: str
    when: str
    run: str
    why: str


def select_maps(
    maps: pd.DataFrame,
    people: pd.DataFrame,
    *,
    sessions: Sequence[str] | None,
    subset: str | None,
    variables: Sequence[str],
    derived: Mapping[str, str],
    excluded: pd.DataFrame | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of an analysis, found by key, and who of the subset is not in it, and why.

    Parameters
    ----------
    maps : DataFrame
        ``participant_id``, ``session_id``, ``path``.
    people : DataFrame
        Indexed by participant label, with all variables that are named.
    sessions : sequence of str, or None
        Labels of the sessions whose maps a participant needs; None: the only map.
    subset : str, or None
        Expression that is true for whoever is in the analysis.
    variables : sequence of str
        Columns of ``people`` that must not be missing.
    derived : mapping of str to str
        Expressions of derived variables, to say why one is missing.
    excluded : DataFrame, or None
        Exclusion list: ``participant_id``, ``session_id``, ``reason``, maybe ``run``.

    Returns
    -------
    rows : DataFrame
        Sorted by participant, indexed by label: ``participant_id``, ``session_id``, ``path``;
        with a second session also ``minus_session_id`` and ``minus_path``.
    exclusions : DataFrame
        ``participant_id``, ``session_id`` (NA where the reason concerns the participant),
        ``reason``. Whoever is not in the subset has no row.

    Raises
    ------
    InputError
        Two maps of one participant and session, or, without ``sessions``, of one participant of
        the subset.
    """
    paths = _paths(maps)
    listed = _exclusion_list(excluded)
    member = None if subset is None else expressions.evaluate(subset, people)
    if member is not None and not pd.api.types.is_bool_dtype(member):
        raise InputError(f"Subset '{subset}' is not a condition that is true or false")
    rows: list[dict[str, Any]] = []
    dropped: list[tuple[str, str, str]] = []
    for who in sorted(set(people.index) | set(paths)):
        own = paths.get(who, {})
        needed = list(sessions) if sessions is not None else list(own) or ['']
        lacking: dict[str, str] = {}
        inside: Any = True
        if who in people.index:
            person = people.loc[[who]].iloc[0]
            lacking = {
                name: _why_missing(name, person, derived)
                for name in people.columns
                if is_missing(person[name])
            }
            inside = True if member is None else member[who]
        has_map = any(when in own for when in needed)
        if who not in people.index:
            if has_map:
                dropped.append((who, '', 'not in participants.tsv'))
        elif pd.isna(inside):
            if has_map:
                reasons = [lacking[n] for n in expressions.names(subset or '') if n in lacking]
                why = '; '.join(reasons) or 'undefined'
                dropped.append((who, '', f'not known whether in the subset: {why}'))
        elif inside:
            if sessions is None and len(own) > 1:
                raise InputError(
                    f'sub-{who} has maps of {len(own)} sessions ({", ".join(sorted(own))}): say '
                    'which by Session or Difference of the analysis in the model file'
                )
            reasons_here = _session_reasons(who, own, needed, listed)
            reasons_here += [('', lacking[name]) for name in variables if name in lacking]
            if reasons_here:
                dropped += [(who, when, why) for when, why in reasons_here]
            else:
                rows.append(_row(who, own, needed))
    frame = pd.DataFrame(rows)
    if rows:
        frame.index = labels(frame['participant_id'], 'sub-')
    exclusions = pd.DataFrame(
        [(f'sub-{who}', f'ses-{when}' if when else None, why) for who, when, why in dropped],
        columns=['participant_id', 'session_id', 'reason'],
        dtype='object',
    )
    return frame, exclusions


def labels(values: Iterable[Any], prefix: str) -> pd.Index:
    """Labels without their BIDS prefix; '' where missing."""
    words = ['' if is_missing(value) else str(value).removeprefix(prefix) for value in values]
    return pd.Index(words, dtype='object')


def refuse_repeats(index: pd.Index, message: str) -> None:
    """InputError that names the first key that stands twice."""
    repeats = index[index.duplicated()]
    if len(repeats):
        key = repeats[0]
        shown = ', '.join(map(str, key)) if isinstance(key, tuple) else key
        raise InputError(f'{message} {shown}: keep one')


def is_missing(value: Any) -> bool:
    """True for None, NaN, NA, an infinite number, an empty text and BIDS's n/a."""
    if isinstance(value, str):
        return value.strip() in {'', 'n/a'}
    return bool(pd.isna(value)) or (isinstance(value, float | np.floating) and np.isinf(value))


def is_code(value: Any) -> bool:
    """True for a text such as ``01``: digits that name something, as no number is written."""
    return isinstance(value, str) and re.match(r'\s*[+-]?0\d', value) is not None


def as_text(column: pd.Series) -> pd.Series:
    """Values as level names (yes and no for booleans, 2 for 2.0), None where missing."""

    def word(value: Any) -> str | None:
        if is_missing(value):
            return None
        if isinstance(value, bool | np.bool_):
            return 'yes' if value else 'no'
        return f'{value:g}' if isinstance(value, float | np.floating) else str(value).strip()

    return pd.Series([word(value) for value in column], index=column.index, dtype='object')


def listing(items: Sequence[str]) -> str:
    """Words joined as in a sentence."""
    return ' and '.join([', '.join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _paths(maps: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Path of each map by participant and session ('' where a study has none)."""
    found: dict[str, dict[str, str]] = {}
    who_when = zip(
        labels(maps['participant_id'], 'sub-'), labels(maps['session_id'], 'ses-'), strict=True
    )
    for (who, when), path in zip(who_when, maps['path'], strict=True):
        own = found.setdefault(who, {})
        if when in own:
            raise InputError(
                f'Two maps of sub-{who}{f" ses-{when}" if when else ""}: {own[when]} and {path}; '
                'remove one'
            )
        own[when] = str(path)
    return found


def _exclusion_list(excluded: pd.DataFrame | None) -> list[_Line]:
    if excluded is None:
        return []
    columns = [
        labels(excluded.get(name, [''] * len(excluded)), prefix)
        for name, prefix in (
            ('participant_id', 'sub-'),
            ('session_id', 'ses-'),
            ('run', 'run-'),
            ('reason', ''),
        )
    ]
    return [_Line(*line) for line in zip(*columns, strict=True)]


def _session_reasons(
    who: str, own: Mapping[str, str], needed: Sequence[str], listed: Sequence[_Line]
) -> list[tuple[str, str]]:
    """Session ('' for the whole participant) and reason, by the exclusion list and the maps.

    A line with a run concerns the first level: here it only explains why a map is absent.
    """
    lines = [line for line in listed if line.who == who and line.when in {'', *needed}]
    reasons = [
        (line.when, f'excluded: {line.why or "no reason given"}') for line in lines if not line.run
    ]
    left_out = {line.when for line in lines if not line.run}
    for when in needed:
        if when not in own and not left_out & {'', when}:
            runs = [
                f'run {line.run} excluded: {line.why or "no reason given"}'
                for line in lines
                if line.run and line.when in {'', when}
            ]
            reasons.append((when, '; '.join(['no map', *runs])))
    return reasons


def _row(who: str, own: Mapping[str, str], needed: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {'participant_id': f'sub-{who}'}
    for prefix, when in zip(('', 'minus_'), needed, strict=False):
        row[f'{prefix}session_id'] = f'ses-{when}' if when else None
        row[f'{prefix}path'] = own[when]
    return row


def _why_missing(name: str, person: pd.Series, derived: Mapping[str, str]) -> str:
    """Reason for a missing variable, by its inputs if it is derived."""
    if name not in derived:
        return f'{name} is missing'
    inputs = [
        n for n in expressions.names(derived[name]) if n not in person or is_missing(person[n])
    ]
    return f'{name} is unknown ({listing(inputs)} missing)' if inputs else f'{name} is undefined'
