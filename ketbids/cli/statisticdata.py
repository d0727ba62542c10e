"""What declared statistics are made of: people, scores, behaviour and regions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ketbids.cli.behaviour import Behaviour
from ketbids.cli.planning import PlannedAnalysis
from ketbids.cli.statisticregions import REGION_COLUMNS, VALUE_COLUMNS, region_values
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, excluded_by
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.stats import expressions
from ketbids.stats.circularity import DataUse, uses_of_analysis
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.order import session_order
from ketbids.stats.clinical.specs import Statistic
from ketbids.stats.clinical.uses import statistic_uses
from ketbids.stats.formulas import column_variables

__all__ = ['StatisticSource', 'statistic_data', 'with_derived']


@dataclass(frozen=True)
class StatisticSource:
    """What the statistics of one group call are made of.

    Attributes
    ----------
    people : DataFrame
        Those of this call, indexed by label.
    visits : DataFrame
        All visits that were scanned: see `ketbids.cli.planning.scanned_visits`.
    exclusions : list of Exclusion
    behaviour : Behaviour or None
    analyses : list of PlannedAnalysis
        Group analyses whose files are whole.
    contrasts : collection of str
        First-level contrasts whose table of parcels is of the present maps.
    """

    people: pd.DataFrame
    visits: pd.DataFrame
    exclusions: list[Exclusion]
    behaviour: Behaviour | None
    analyses: list[PlannedAnalysis] = field(default_factory=list)
    contrasts: Collection[str] = ()


def with_derived(people: pd.DataFrame, model: StudyModel) -> pd.DataFrame:
    """Add the derived variables that can be worked out; a statistic says which it lacks.

    Parameters
    ----------
    people : DataFrame
    model : StudyModel
    """
    for name, expression in model.derived.items():
        if set(expressions.names(expression)) <= set(people.columns):
            people = expressions.derive(people, {name: expression})
    return people


def statistic_data(
    settings: Settings,
    model: StudyModel,
    statistic: Statistic,
    source: StatisticSource,
    people: pd.DataFrame,
) -> tuple[ClinicalData, list[str]]:
    """Collect what a statistic needs, and nothing that would change its fingerprint in vain.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    statistic : Statistic
    source : StatisticSource
    people : DataFrame
        With derived variables.

    Returns
    -------
    data : ClinicalData
    notes : list of str
        Which of the regions that are asked for are not there, and why.

    Raises
    ------
    InputError
        There is nothing to analyse.
    """
    outcome = getattr(statistic, 'outcome', None)
    values, regions = (
        pd.DataFrame(columns=list(VALUE_COLUMNS)),
        pd.DataFrame(columns=list(REGION_COLUMNS)),
    )
    selecting: dict[str, DataUse] = {}
    notes: list[str] = []
    roots = _roots(model, people)
    if outcome is not None and outcome.regions is not None:
        found = region_values(
            settings.paths.output_dir, outcome.regions, source.analyses, source.contrasts
        )
        values, regions, notes = found
        selecting = {
            item.analysis.name: _use(item, roots)
            for item in source.analyses
            if item.analysis.name in outcome.regions.selected_by
            and item.contrast == outcome.regions.contrast
        }
    elif outcome is not None and outcome.behaviour:
        values = _behaviour_values(statistic.name, outcome.behaviour, source)
    everybody = set(people.index)
    inputs = _inputs(model, people)
    used = _used(model, statistic, people, inputs)
    data = ClinicalData(
        people=people[used],
        outcomes=values[values['participant_id'].isin(everybody)],
        regions=regions,
        selecting=selecting,
        excluded=pd.DataFrame(
            [(e.participant, e.session, e.reason) for e in source.exclusions if not e.run],
            columns=['participant_id', 'session_id', 'reason'],
        ),
        visits=source.visits[source.visits['participant_id'].isin(everybody)],
        sessions=session_order(model.statistics, source.visits['session_id']),
        levels=model.levels,
        roots={name: roots[name] for name in used if name in roots},
        inputs={name: inputs[name] for name in used if name in inputs},
    )
    return data, notes


def _used(
    model: StudyModel,
    statistic: Statistic,
    people: pd.DataFrame,
    inputs: Mapping[str, frozenset[str]],
) -> list[str]:
    """Columns of people that a statistic uses, and those behind them.

    If one of them is not there, all: a message may have to name what there is.
    """
    names = statistic_uses(statistic, model.scores).names
    if not names <= set(people.columns):
        return list(people.columns)
    names |= {column for name in names for column in inputs.get(name, frozenset())}
    return [name for name in people.columns if name in names]


def _roots(model: StudyModel, people: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Columns behind every variable; a score is one column, whatever the session.

    Two sessions of a score resemble each other, so that a region which was chosen by one is not
    independent of the other.
    """
    roots = {
        str(name): frozenset(score for score in model.scores if str(name).startswith(f'{score}_'))
        for name in people.columns
    }
    roots = {name: found for name, found in roots.items() if found}
    for name, expression in model.derived.items():
        used = expressions.names(expression)
        roots[name] = frozenset().union(*(roots.get(n, frozenset({n})) for n in used))
    return roots


def _inputs(model: StudyModel, people: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Columns of tables from which each derived variable among those of people is computed."""
    inputs: dict[str, frozenset[str]] = {}
    for name, expression in model.derived.items():
        used = expressions.names(expression)
        inputs[name] = frozenset().union(*(inputs.get(n, frozenset({n})) for n in used))
    return {name: found for name, found in inputs.items() if name in people.columns}


def _use(item: PlannedAnalysis, roots: Mapping[str, frozenset[str]]) -> DataUse:
    """Say what a group analysis used."""
    design, analysis = item.design, item.analysis
    tested = [n for column in analysis.contrast.weights for n in column_variables(column)]
    people = [name.removeprefix('sub-') for name in design.rows['participant_id']]
    sessions = [session.removeprefix('ses-') for session in design.sessions or ()]
    return uses_of_analysis(sessions, tested, people, roots)


def _behaviour_values(name: str, measures: Sequence[str], source: StatisticSource) -> pd.DataFrame:
    """Behaviour of the sessions that are not excluded, one value per row."""
    if source.behaviour is None or not len(source.behaviour.table):
        raise InputError(f'{name} asks for behaviour, and there is no table of it.')
    table = source.behaviour.table
    keys = zip(table['participant_id'], table['session_id'], strict=True)
    table = table[[excluded_by(source.exclusions, *key) is None for key in keys]]
    long = table.melt(
        ['participant_id', 'session_id'], list(measures), var_name='outcome', value_name='value'
    )
    return long[list(VALUE_COLUMNS)]
