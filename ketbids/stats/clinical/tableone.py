"""Table 1: variables of people, and scores at each session, by group, with tests."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ketbids.stats.apa import chi2_text, f_text, p_text, t_text
from ketbids.stats.clinical.comparisons import (
    METHODS,
    Variable,
    compare,
    comparison_table,
    describe,
    description_table,
    find_variables,
    group_levels,
    members,
)
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.rows import Loss, missing_table
from ketbids.stats.clinical.specs import TableStatistic
from ketbids.stats.people import as_text, is_missing, listing

__all__ = ['comparison_sentences', 'losses_of', 'run_table']


def run_table(statistic: TableStatistic, data: ClinicalData) -> Result:
    """Describe variables in each group, and test whether they differ.

    Parameters
    ----------
    statistic : TableStatistic
    data : ClinicalData

    Returns
    -------
    Result
        Tables ``table`` (one row per variable, session, group and level of a factor), ``tests``
        (one row per variable and session) and ``missing``.

    Raises
    ------
    InputError
        A variable or factor that there is not; nobody in the subset.
    """
    people, unknown = members(data, statistic)
    levels = group_levels(people, statistic.by, data)
    groups = as_text(people[statistic.by])
    variables = find_variables(statistic.variables, statistic.sessions, people, data)
    described = [row for v in variables for row in describe(people, groups, levels, v)]
    tests = comparison_table([compare(people, groups, levels, v) for v in variables])
    warnings = []
    for place, variable in enumerate(variables):
        told = _relation(variable.column, statistic.by, data)
        if told is None or not is_missing(tests['not_available'].iloc[place]):
            continue
        before = tests['note'].iloc[place]
        tests.loc[place, 'note'] = told.note if before is None else f'{told.note}; {before}'
        if told.warning is not None:
            warnings.append(told.warning)
    losses = [
        *unknown,
        *(
            Loss(str(who), '', 'factor', f'{statistic.by} is missing', 'in no group')
            for who in people.index[groups.isna().to_numpy()]
        ),
    ]
    missing = {'table': losses} | {v.column: losses_of(people, v) for v in variables}
    sizes = {level: int((groups == level).sum()) for level in levels}
    return Result(
        tables={
            'table': description_table(described),
            'tests': tests,
            'missing': missing_table({k: v for k, v in missing.items() if v}),
        },
        summary={
            'NParticipants': len(people),
            'GroupSizes': sizes,
            'NWithoutGroup': int(groups.isna().sum()),
            'Variables': [v.column for v in variables],
        },
        methods=(
            f'Participants were described by {statistic.by} '
            f'({", ".join(f"{level}: n = {n}" for level, n in sizes.items())}): mean and standard '
            f'deviation of numbers, counts and percentages of factors. {METHODS}'
        ),
        sentences=comparison_sentences(tests),
        warnings=tuple(warnings),
    )


class _Relation(NamedTuple):
    """What a variable has to do with what makes the groups."""

    note: str
    warning: str | None


def _relation(column: str, by: str, data: ClinicalData) -> _Relation | None:
    """Tell a variable that makes the groups from one of the same score at other visits."""
    makes = data.inputs.get(by, frozenset({by}))
    shared = makes & data.inputs.get(column, frozenset({column}))
    if shared:
        told = f'{by} is made of {listing(sorted(shared))}'
        return _Relation(
            f'{told}: a difference is there by definition',
            f'{column} differs between the levels of {by} by definition ({told}): its p says '
            'nothing',
        )
    roots = data.roots.get(column) or frozenset({column})
    if roots & (data.roots.get(by) or frozenset({by})):
        return _Relation(
            f'related to what defines the groups: {by} is made of {listing(sorted(makes))}', None
        )
    return None


def losses_of(people: pd.DataFrame, variable: Variable) -> list[Loss]:
    """Who lacks a value of a variable."""
    kind = 'score' if variable.session else 'covariate'
    reason = f'{variable.column} is missing'
    return [
        Loss(str(who), variable.session, kind, reason, 'left out of this variable only')
        for who, value in people[variable.column].items()
        if is_missing(value)
    ]


def comparison_sentences(tests: pd.DataFrame) -> tuple[str, ...]:
    """One sentence for each test that there is."""
    found: list[str] = []
    for row in tests.to_dict('records'):
        if not is_missing(row['not_available']):
            continue
        when = row['session_id']
        name = f'{row["variable"]} at {when}' if when else row['variable']
        found.append(f'{name} ({_versus(row["groups"].split(", "))}): {_result(row)}.')
    return tuple(found)


def _versus(groups: Sequence[str]) -> str:
    return ' vs. '.join(groups)


def _result(row: Mapping[Any, Any]) -> str:
    match row['test']:
        case 'Welch t':
            d = row['d'], row['d_ci95_low'], row['d_ci95_high']
            return t_text(row['statistic'], row['den_df'], row['p'], *d)
        case 'ANOVA':
            size = row['eta2'], row['eta2_ci90_low'], row['eta2_ci90_high']
            return f_text(row['statistic'], row['num_df'], row['den_df'], row['p'], *size)
        case 'chi-squared':
            return chi2_text(row['statistic'], row['num_df'], row['n'], row['p'])
        case _:
            return f"Fisher's exact test, N = {row['n']}, {p_text(row['p'])}"
