"""What a dry run can tell of declared statistics without maps: variables, sessions, subsets."""

from collections.abc import Collection, Sequence

import pandas as pd

from ketbids.cli.statisticdata import with_derived
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion
from ketbids.model import StudyModel
from ketbids.stats import expressions
from ketbids.stats.clinical.comparisons import find_variables
from ketbids.stats.clinical.data import EXCLUDED_COLUMNS, ClinicalData
from ketbids.stats.clinical.rows import in_subset, nobody
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    FlowStatistic,
    LinearStatistic,
    MixedStatistic,
    ReferenceStatistic,
    Statistic,
    TableStatistic,
)
from ketbids.stats.clinical.uses import need_numbers, statistic_uses
from ketbids.stats.mixed.design import parse_formula
from ketbids.stats.people import is_missing

__all__ = ['check_statistics']


def check_statistics(
    model: StudyModel,
    names: Collection[str],
    people: pd.DataFrame,
    exclusions: Sequence[Exclusion] = (),
) -> dict[str, str]:
    """Find statistics that cannot be made of the people that there are, whatever the maps.

    Parameters
    ----------
    model : StudyModel
    names : collection of str
        Those that are asked for.
    people : DataFrame
        Those of this call, indexed by label.
    exclusions : sequence of Exclusion

    Returns
    -------
    dict of str to str
        Why a statistic cannot be made, by its name.
    """
    data = ClinicalData(
        people=with_derived(people, model),
        excluded=pd.DataFrame(
            [(e.participant, e.session, e.reason) for e in exclusions if not e.run],
            columns=list(EXCLUDED_COLUMNS),
        ),
        levels=model.levels,
    )
    failures = {}
    for statistic in model.statistics:
        if statistic.name in names:
            try:
                _check(statistic, model, data)
            except InputError as error:
                failures[statistic.name] = str(error)
    return failures


def _check(statistic: Statistic, model: StudyModel, data: ClinicalData) -> None:
    """Refuse variables and sessions that no table has, and a subset without anybody."""
    names = statistic_uses(statistic, model.scores).names
    if isinstance(statistic, TableStatistic):
        find_variables(statistic.variables, statistic.sessions, data.people, data)
        # A session that one of several scores has is enough.
        names -= {f'{v}_{s}' for v in statistic.variables for s in statistic.sessions}
    lacking = [_lacking(name, model, data.people) for name in sorted(names)]
    found = list(dict.fromkeys(why for why in lacking if why is not None))
    found += [
        f'nobody has a value of {name}'
        for name in _needed(statistic)
        if name in data.people.columns and data.people[name].map(is_missing).all()
    ]
    if found:
        raise InputError('; '.join(found))
    need_numbers(statistic, data.people)
    flow = isinstance(statistic, FlowStatistic)
    members, losses = in_subset(data, statistic.subset, excluded=flow)
    if not members:
        raise InputError(nobody(statistic.subset, losses))
    if isinstance(statistic, ReferenceStatistic):
        _check_groups(statistic, data, set(members))


def _check_groups(statistic: ReferenceStatistic, data: ClinicalData, members: set[str]) -> None:
    """Refuse groups without anybody, and who would be compared with himself."""
    reference = members & set(in_subset(data, statistic.reference_subset)[0])
    if not reference:
        raise InputError(f"nobody is in {statistic.reference} ('{statistic.reference_subset}')")
    groups = {
        name: members & set(in_subset(data, rule)[0]) for name, rule in statistic.groups.items()
    }
    if not any(groups.values()):
        raise InputError(f'nobody is in {", ".join(groups)}')
    for name, own in groups.items():
        if shared := reference & own:
            raise InputError(
                f'sub-{min(shared)} is in {name} and in {statistic.reference}, which it is '
                'compared with'
            )


def _needed(statistic: Statistic) -> list[str]:
    """Variables without which nobody can be analysed."""
    match statistic:
        case MixedStatistic(formula=formula) | LinearStatistic(formula=formula):
            return sorted(set(parse_formula(formula).variables) - {'time'})
        case ReferenceStatistic(covariates=covariates):
            return list(covariates)
        case CorrelationStatistic(variable=variable):
            return [variable]
    return []


def _lacking(name: str, model: StudyModel, people: pd.DataFrame) -> str | None:
    """Say why a variable is not there."""
    if name in people.columns:
        return None
    if name in model.derived:
        used = expressions.names(model.derived[name])
        gone = [why for n in sorted(used) if (why := _lacking(n, model, people)) is not None]
        return f'{name} cannot be worked out: {"; ".join(gone)}'
    for score in model.scores:
        session = name.removeprefix(f'{score}_')
        if session != name:
            return f'no table has a value of {score} at ses-{session}'
    return f'no table of people has a column {name}'
