"""Who enters a statistic with which values, and what was missing of the others."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions
from ketbids.stats.clinical.data import VISIT_COLUMNS, ClinicalData
from ketbids.stats.clinical.outcomes import Measure
from ketbids.stats.formulas import prepare
from ketbids.stats.people import is_missing, listing

__all__ = ['Loss', 'Sample', 'find_sample', 'in_subset', 'lost_values', 'missing_table']
__all__ += ['nobody', 'present_levels']

_COLUMNS = ('outcome', 'participant_id', 'session_id', 'missing', 'reason', 'consequence')


class Loss(NamedTuple):
    """Something that was missing.

    Attributes
    ----------
    who, when : str
        Labels; the empty text: of no session.
    missing : str
        subset, covariate, visit, map, score, behaviour or excluded.
    reason : str
    consequence : str
    """

    who: str
    when: str
    missing: str
    reason: str
    consequence: str = 'not analysed'


class Sample(NamedTuple):
    """Participants of a statistic.

    Attributes
    ----------
    people : DataFrame
        Variables of those who have all of them, numbers as float and factors as text; indexed by
        label, in order.
    members : tuple of str
        All who are in the subset and not excluded, complete or not.
    losses : tuple of Loss
        What the others lack.
    levels : mapping of str to tuple of str
        Levels of the factors that occur, in their order.
    """

    people: pd.DataFrame
    members: tuple[str, ...]
    losses: tuple[Loss, ...]
    levels: Mapping[str, tuple[str, ...]]


def in_subset(
    data: ClinicalData, subset: str | None, *, excluded: bool = False
) -> tuple[list[str], list[Loss]]:
    """Find who is in a subset and not excluded, and of whom that is not known.

    Parameters
    ----------
    data : ClinicalData
    subset : str or None
    excluded : bool
        Whether those whom the exclusion list excludes with all their visits are members too.

    Returns
    -------
    members : list of str
        Sorted.
    losses : list of Loss
        Those in the subset who are excluded, and those of whom it is not known.

    Raises
    ------
    InputError
        The expression is no condition, or uses a column that there is not.
    """
    people = data.people
    if subset is None:
        return _admitted(data, sorted(map(str, people.index)), [], excluded)
    member = expressions.evaluate(subset, people)
    if not pd.api.types.is_bool_dtype(member):
        raise InputError(f"Subset '{subset}' is not a condition that is true or false")
    members, unknown = [], []
    for who in sorted(map(str, people.index)):
        if pd.isna(member[who]):
            lacking = [n for n in expressions.names(subset) if is_missing(people.loc[who, n])]
            why = '; '.join(_why(name, who, data) for name in lacking) or 'undefined'
            why = f'not known whether in the subset: {why}'
            unknown.append(Loss(who, '', 'subset', why))
        elif member[who]:
            members.append(who)
    return _admitted(data, members, unknown, excluded)


def _admitted(
    data: ClinicalData, members: list[str], losses: list[Loss], excluded: bool
) -> tuple[list[str], list[Loss]]:
    """Take those out who are excluded wholly, if they are not to stay."""
    reasons = {} if excluded else {who: _excluded(data, who, '') for who in members}
    losses += [Loss(who, '', 'excluded', why) for who, why in reasons.items() if why]
    return [who for who in members if not reasons.get(who)], losses


def find_sample(
    data: ClinicalData, subset: str | None, variables: Sequence[str], formula: str = ''
) -> Sample:
    """Find the participants of a subset, and the variables of those who have all.

    Parameters
    ----------
    data : ClinicalData
    subset : str or None
    variables : sequence of str
        Of people.
    formula : str
        A variable that it has as ``C(name)`` is a factor even if it holds numbers.

    Raises
    ------
    InputError
        A variable that no table has; nobody in the subset.
    """
    for name in variables:
        if name not in data.people.columns:
            raise InputError(f'There is no variable {name}: no table of people has such a column')
    members, losses = in_subset(data, subset)
    if not members:
        raise InputError(nobody(subset, losses))
    complete = []
    for who in members:
        lacking = [name for name in variables if is_missing(data.people.loc[who, name])]
        if lacking:
            losses += [Loss(who, '', 'covariate', _why(name, who, data)) for name in lacking]
        else:
            complete.append(who)
    given = data.people.loc[complete, list(variables)]
    prepared = prepare(given, formula, data.levels)
    levels: dict[str, tuple[str, ...]] = {}
    for name in prepared.columns:
        if isinstance(prepared[name].dtype, pd.CategoricalDtype):
            levels[name] = tuple(map(str, prepared[name].cat.categories))
            prepared[name] = prepared[name].astype(str).astype(object)
    return Sample(prepared, tuple(members), tuple(losses), levels)


def nobody(subset: str | None, losses: Iterable[Loss]) -> str:
    """Say that there is nobody, and who would be there but for the exclusion list."""
    out = [f'sub-{loss.who}' for loss in losses if loss.missing == 'excluded']
    told = f"nobody is in the subset '{subset}'" if subset else 'there is nobody'
    return told + (f' who is not excluded (excluded: {listing(out)})' if out else '')


def present_levels(
    frame: pd.DataFrame, levels: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Levels that occur in the rows, in their order."""
    return {
        name: tuple(level for level in order if (frame[name] == level).any())
        for name, order in levels.items()
        if name in frame.columns
    }


def lost_values(
    measure: Measure,
    values: pd.DataFrame,
    data: ClinicalData,
    people: Collection[str],
    sessions: Sequence[str],
) -> tuple[pd.DataFrame, list[Loss]]:
    """Take out what must not be used, and say why a value is missing.

    Excluded visits lose their maps and behaviour; a score of such a visit stays.

    Parameters
    ----------
    measure : Measure
    values : DataFrame
        As `values_by_visit` gives them.
    data : ClinicalData
    people : collection of str
        Those who could be analysed.
    sessions : sequence of str

    Returns
    -------
    values : DataFrame
        Of these people and sessions.
    losses : list of Loss
    """
    kept = values.reindex(index=sorted(people), columns=list(dict.fromkeys(sessions))).copy()
    columns = (data.visits[name] for name in VISIT_COLUMNS)
    maps = {(who, when): has_map == 'yes' for who, when, has_map in zip(*columns, strict=True)}
    losses = []
    if measure.kind != 'score':
        for who, when in _listed(data, kept):
            losses.append(Loss(who, when, 'excluded', _excluded(data, who, when) or ''))
            kept.loc[who, when] = float('nan')
    done = {(loss.who, loss.when) for loss in losses}
    empty = kept.isna()
    for who in kept.index[empty.any(axis=1)]:
        for when in kept.columns[empty.loc[who]]:
            if (who, when) in done:
                continue
            seen = not maps or not when or (who, when) in maps
            losses.append(Loss(who, when, *_what(measure, seen, maps.get((who, when), True))))
    return kept, losses


def missing_table(losses: Mapping[str, Iterable[Loss]]) -> pd.DataFrame:
    """Table of all that was missing; what holds for several outcomes is one row.

    Parameters
    ----------
    losses : mapping of str to iterable of Loss
        By outcome.

    Returns
    -------
    DataFrame
        ``outcome`` (names joined by commas; ``all`` for every one of several),
        ``participant_id``, ``session_id`` (None: of no visit), ``missing``, ``reason``,
        ``consequence``.
    """
    outcomes: dict[Loss, list[str]] = {}
    for outcome, found in losses.items():
        for loss in dict.fromkeys(found):
            outcomes.setdefault(loss, []).append(outcome)
    every = len(losses) > 1
    rows = [
        (
            'all' if every and len(names) == len(losses) else ', '.join(names),
            loss.who,
            loss.when or None,
            *loss[2:],
        )
        for loss, names in sorted(outcomes.items(), key=lambda item: item[0][:2])
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS), dtype='object')


def _what(measure: Measure, seen: bool, has_map: bool) -> tuple[str, str]:
    """What is missing where there is no value, and the reason."""
    if measure.kind == 'score':
        why = f'{measure.name} is missing' + ('' if seen else ', and nothing was scanned')
        return 'score' if seen else 'visit', why
    if not seen:
        return 'visit', 'nothing was scanned'
    kind = 'map' if measure.kind == 'region' else 'behaviour'
    if not has_map:
        return kind, 'the first level failed or was not done'
    if measure.kind == 'region':
        return kind, 'no map of the contrast, or no value of the region in it'
    return kind, f'{measure.name} has no value'


def _why(name: str, who: str, data: ClinicalData) -> str:
    """Reason for a missing variable, by the columns behind it if it is derived."""
    roots = sorted(data.roots.get(name, frozenset()) - {name})
    lacking = [
        root
        for root in roots
        if root in data.people.columns and is_missing(data.people.loc[who, root])
    ]
    if lacking:
        return f'{name} is unknown ({listing(lacking)} missing)'
    return f'{name} is {"unknown" if roots else "missing"}'


def _excluded(data: ClinicalData, who: str, when: str) -> str | None:
    """Reason of a line of the exclusion list, None without one."""
    listed = data.excluded
    mine = listed[(listed['participant_id'] == who) & listed['session_id'].isin(['', when])]
    if not len(mine):
        return None
    why = mine['reason'].iloc[0]
    return f'excluded: {"no reason given" if is_missing(why) else why}'


def _listed(data: ClinicalData, values: pd.DataFrame) -> list[tuple[str, str]]:
    """Visits among these that the exclusion list names."""
    keys = zip(data.excluded['participant_id'], data.excluded['session_id'], strict=True)
    return [
        (who, when)
        for who, session in dict.fromkeys(keys)
        for when in values.columns
        if who in values.index and session in ('', when)
    ]
