"""Which variables of people a statistic uses."""

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    CountStatistic,
    FlowStatistic,
    LinearStatistic,
    MixedStatistic,
    ReferenceStatistic,
    Statistic,
    TableStatistic,
)
from ketbids.stats.mixed.design import parse_formula
from ketbids.stats.people import is_missing

__all__ = ['Uses', 'need_numbers', 'statistic_uses']


class Uses(NamedTuple):
    """Variables of people, derived ones as such; a score has one per session (``hdrs_TP1``).

    Attributes
    ----------
    names : frozenset of str
    numbers : frozenset of str
        Those of them that must be numbers.
    """

    names: frozenset[str]
    numbers: frozenset[str]


def statistic_uses(statistic: Statistic, scores: Collection[str]) -> Uses:
    """List the variables of people that a statistic uses.

    Parameters
    ----------
    statistic : Statistic
    scores : collection of str
        Scores of visits.

    Returns
    -------
    Uses
    """
    written = [*_expressions(statistic), *([statistic.subset] if statistic.subset else [])]
    names = {name for expression in written for name in expressions.names(expression)}
    numbers = {name for expression in written for name in expressions.numbers(expression)}
    match statistic:
        case MixedStatistic(formula=formula, center=center):
            names.update(set(parse_formula(formula).variables) - {'time'})
            numbers.update(center)
            numbers.update(_visits(statistic.outcome.score, statistic.sessions))
        case LinearStatistic(formula=formula, center=center):
            names.update(parse_formula(formula).variables)
            numbers.update(center)
            numbers.update(_visits(statistic.outcome.score, statistic.value))
        case ReferenceStatistic(covariates=covariates):
            names.update(covariates)
            sessions = (statistic.reference_session, *statistic.sessions)
            numbers.update(_visits(statistic.outcome.score, sessions))
        case CorrelationStatistic(covariates=covariates):
            names.update(covariates)
            numbers.add(statistic.variable)
            for value in statistic.values.values():
                numbers.update(_visits(statistic.outcome.score, value))
        case TableStatistic(variables=variables, by=by, sessions=sessions):
            names.add(by)
            names.update(*(_of(name, sessions, scores) for name in variables))
        case CountStatistic(by=str(by)):
            names.add(by)
        case FlowStatistic(variables=variables, by=grouped, sessions=sessions):
            names.update([] if grouped is None else [grouped])
            names.update(*(_of(name, sessions[:1], scores) for name in variables))
    return Uses(frozenset(names | numbers), frozenset(numbers))


def need_numbers(statistic: Statistic, people: pd.DataFrame) -> None:
    """Refuse a text in a variable that a statistic uses as a number.

    Parameters
    ----------
    statistic : Statistic
    people : DataFrame
        Variables of people, indexed by label; one that is not there is not looked for.

    Raises
    ------
    InputError
        Names the statistic, the variable, and the first participant with a text.
    """
    for name in sorted(statistic_uses(statistic, ()).numbers & set(people.columns)):
        column = people[name]
        texts = column[pd.to_numeric(column, errors='coerce').isna() & ~column.map(is_missing)]
        if len(texts):
            raise InputError(
                f'Statistic {statistic.name}: {name} must be a number, and sub-{texts.index[0]} '
                f"has '{texts.iloc[0]}'; correct the table, or take a variable of numbers"
            )


def _expressions(statistic: Statistic) -> list[str]:
    """Expressions of a statistic, but its subset."""
    match statistic:
        case ReferenceStatistic():
            return [*statistic.groups.values(), statistic.reference_subset]
        case CountStatistic():
            return list(statistic.conditions.values())
        case FlowStatistic(completers=str(completers)):
            return [completers]
    return []


def _visits(score: str, sessions: Collection[str]) -> set[str]:
    """Names of a score at sessions; its own name where there are none."""
    if not score:
        return set()
    return {f'{score}_{session}' if session else score for session in sessions} or {score}


def _of(name: str, sessions: Collection[str], scores: Collection[str]) -> set[str]:
    return _visits(name, sessions) if name in scores else {name}
