"""Declared statistics at the group level: what they need, and what is not yet whole."""

import hashlib
import logging
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ketbids.cli.behaviour import Behaviour
from ketbids.cli.dataset import record_path, remove_if_empty
from ketbids.cli.parser import installed_version
from ketbids.cli.planning import PlannedAnalysis
from ketbids.cli.progress import Progress
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, excluded_by
from ketbids.io.clinicaldata import write_clinical_data
from ketbids.io.records import fingerprint, is_whole, write_record
from ketbids.io.statistics import remove_statistic, statistic_files, statistic_names
from ketbids.io.tables import read_table
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.stats import expressions
from ketbids.stats.circularity import DataUse, uses_of_analysis
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.specs import RegionChoice, Statistic, to_dict
from ketbids.stats.formulas import column_variables
from ketbids.stats.regions import SUBCORTEX_ATLAS

if TYPE_CHECKING:
    from ketbids.workflows.statistics import StatisticPlan

__all__ = ['StatisticSource', 'region_contrasts', 'run_statistics']

logger = logging.getLogger('ketbids')

#: Start of the names of records.
_RECORD = 'statistic-'
_VALUES = ('participant_id', 'session_id', 'outcome', 'value')
_REGIONS = ('outcome', 'source', 'selected_by', 'atlas', 'label', 'searched')


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
    """

    people: pd.DataFrame
    visits: pd.DataFrame
    exclusions: list[Exclusion]
    behaviour: Behaviour | None
    analyses: list[PlannedAnalysis] = field(default_factory=list)


def region_contrasts(model: StudyModel, names: Collection[str]) -> list[str]:
    """List the first-level contrasts whose regions some statistics need."""
    outcomes = [getattr(s, 'outcome', None) for s in model.statistics if s.name in names]
    return [o.regions.contrast for o in outcomes if o is not None and o.regions is not None]


def run_statistics(
    settings: Settings,
    model: StudyModel,
    names: Collection[str],
    source: StatisticSource,
    *,
    verbosity: int,
) -> dict[str, str]:
    """Compute the statistics that are asked for and not yet whole.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    names : collection of str
        Those that are asked for.
    source : StatisticSource
    verbosity : int

    Returns
    -------
    dict of str to str
        Why a statistic failed, by its name. Its files of an earlier call are removed.
    """
    output_dir = settings.paths.output_dir
    _remove_undeclared(output_dir, {statistic.name for statistic in model.statistics})
    plan_dir = settings.paths.work_dir / 'statistics_plan'
    people = _with_derived(source.people, model)
    plans, failures = [], {}
    chosen = [statistic for statistic in model.statistics if statistic.name in names]
    for statistic in chosen:
        folder = plan_dir / statistic.name
        shutil.rmtree(folder, ignore_errors=True)
        try:
            data, notes = _data(settings, model, statistic, source, people)
        except InputError as error:
            failures[statistic.name] = str(error)
            continue
        files = write_clinical_data(folder, data)
        mark = fingerprint(
            {
                'version': installed_version(),
                'statistic': to_dict(statistic),
                'notes': notes,
                'data': [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
            }
        )
        if not is_whole(record_path(output_dir, _record(statistic.name)), mark, output_dir):
            plans.append(_plan(statistic, folder, mark, notes))
    logger.info(
        'Statistics: %d to do, %d done before, %d that cannot be made.',
        len(plans),
        len(chosen) - len(plans) - len(failures),
        len(failures),
    )
    if plans:
        failures |= _compute(settings, plans, verbosity)
    for name in failures:
        record_path(output_dir, _record(name)).unlink(missing_ok=True)
        remove_statistic(output_dir, name)
    if not failures:
        shutil.rmtree(plan_dir, ignore_errors=True)
        remove_if_empty(settings.paths.work_dir)
    return failures


def _record(name: str) -> str:
    return f'{_RECORD}{name}'


def _remove_undeclared(output_dir: Path, declared: Collection[str]) -> None:
    """Remove what earlier calls left of statistics that the model file has no more."""
    records = record_path(output_dir, f'{_RECORD}*')
    known = {path.stem.removeprefix(_RECORD) for path in records.parent.glob(records.name)}
    for name in sorted((known | set(statistic_names(output_dir))) - set(declared)):
        record_path(output_dir, _record(name)).unlink(missing_ok=True)
        remove_statistic(output_dir, name)
        logger.info('%s: no longer in the model file; its files were removed.', name)


def _plan(statistic: Statistic, folder: Path, mark: str, notes: Sequence[str]) -> 'StatisticPlan':
    from ketbids.workflows.statistics import StatisticPlan

    metadata: dict[str, Any] = {
        'Name': statistic.name,
        'Description': statistic.description,
        'Statistic': to_dict(statistic),
        'SoftwareVersion': installed_version(),
        'Notes': [f'{note[0].upper()}{note[1:]}.' for note in notes],
    }
    return StatisticPlan(statistic.name, to_dict(statistic), folder, mark, metadata)


def _compute(
    settings: Settings, plans: Sequence['StatisticPlan'], verbosity: int
) -> dict[str, str]:
    """Run the workflow and record what is whole; give the reason for what failed."""
    from ketbids.workflows.base import executor
    from ketbids.workflows.statistics import init_statistics_wf, statistic_wf_name

    output_dir = settings.paths.output_dir
    workflow = init_statistics_wf(settings, plans)
    for plan in plans:
        record_path(output_dir, _record(plan.name)).unlink(missing_ok=True)
    names = {statistic_wf_name(plan.name): plan.name for plan in plans}
    with executor(settings, verbosity=verbosity, report=Progress(names)) as execute:
        broken = execute(workflow)
    failures: dict[str, str] = {}
    for node, message in broken.items():
        failures.setdefault(names[node.split('.')[1]], message)
    for plan in plans:
        if plan.name not in failures:
            files = statistic_files(output_dir, plan.name)
            write_record(
                record_path(output_dir, _record(plan.name)), plan.stamp, files, output_dir
            )
    if not failures:
        shutil.rmtree(settings.paths.work_dir / workflow.name, ignore_errors=True)
    return failures


def _with_derived(people: pd.DataFrame, model: StudyModel) -> pd.DataFrame:
    """Add the derived variables that can be worked out; a statistic says which it lacks."""
    for name, expression in model.derived.items():
        if set(expressions.names(expression)) <= set(people.columns):
            people = expressions.derive(people, {name: expression})
    return people


def _data(
    settings: Settings,
    model: StudyModel,
    statistic: Statistic,
    source: StatisticSource,
    people: pd.DataFrame,
) -> tuple[ClinicalData, list[str]]:
    """Collect what a statistic needs, and nothing that would change its fingerprint in vain."""
    outcome = getattr(statistic, 'outcome', None)
    values, regions = pd.DataFrame(columns=list(_VALUES)), pd.DataFrame(columns=list(_REGIONS))
    selecting: dict[str, DataUse] = {}
    notes: list[str] = []
    roots = _roots(model, people)
    if outcome is not None and outcome.regions is not None:
        values, regions, notes = _region_values(settings, outcome.regions, source)
        selecting = {
            item.analysis.name: _use(item, roots)
            for item in source.analyses
            if item.analysis.name in outcome.regions.selected_by
            and item.contrast == outcome.regions.contrast
        }
    elif outcome is not None and outcome.behaviour:
        values = _behaviour_values(statistic.name, outcome.behaviour, source)
    everybody = set(people.index)
    data = ClinicalData(
        people=people,
        outcomes=values[values['participant_id'].isin(everybody)],
        regions=regions,
        selecting=selecting,
        excluded=pd.DataFrame(
            [(e.participant, e.session, e.reason) for e in source.exclusions if not e.run],
            columns=['participant_id', 'session_id', 'reason'],
        ),
        visits=source.visits[source.visits['participant_id'].isin(everybody)],
        sessions=_order(model),
        levels=model.levels,
        roots=roots,
    )
    return data, notes


def _order(model: StudyModel) -> tuple[str, ...]:
    """Sessions in the order of time, as the statistic that names most of them has them."""
    orders = [getattr(statistic, 'sessions', ()) for statistic in model.statistics]
    return max(orders, key=len, default=())


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


def _use(item: PlannedAnalysis, roots: Mapping[str, frozenset[str]]) -> DataUse:
    """Say what a group analysis used."""
    design, analysis = item.design, item.analysis
    tested = [n for column in analysis.contrast.weights for n in column_variables(column)]
    people = [name.removeprefix('sub-') for name in design.rows['participant_id']]
    sessions = [session.removeprefix('ses-') for session in design.sessions or ()]
    return uses_of_analysis(sessions, tested, people, roots)


def _region_values(
    settings: Settings, choice: RegionChoice, source: StatisticSource
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Read the mean values of regions, what each region is, and which are not there.

    If an analysis found something, all parcels are taken in which it looked for it.
    """
    parcels = _parcels(settings.paths.output_dir, choice.contrast)
    tables, atlases = [], {SUBCORTEX_ATLAS}
    for name in choice.selected_by:
        for item in source.analyses:
            if (item.analysis.name, item.contrast) == (name, choice.contrast):
                path = item.folder(settings.paths.output_dir) / f'{item.stem}_roi.tsv'
                found = read_table(path)
                tables.append(found.assign(outcome=f'{name}:' + found['roi'].astype(str)))
                atlases.add(item.analysis.roi_atlas)
    selected = pd.concat(tables) if tables else parcels.iloc[:0].assign(outcome='')
    declared = parcels['source'] == 'apriori'
    searched = ~declared & parcels['atlas'].isin(atlases) & bool(len(selected))
    asked = declared & parcels['roi'].isin(choice.apriori)
    whole = ~declared & (parcels['atlas'] == choice.atlas)
    asked |= whole & parcels['roi'].isin(choice.labels) if choice.labels else whole
    kept = parcels[searched | asked]
    kept = kept.assign(outcome=_named(kept), searched=searched[kept.index].map({True: 'yes'}))
    notes = [
        *_without_regions(choice, source, set(selected['selected_by'])),
        *_lacking(choice, parcels),
    ]
    table = pd.concat([selected.assign(searched=None), kept], ignore_index=True)
    if not len(table):
        raise InputError(f'There is no region to analyse: {"; ".join(notes)}.')
    table['value'] = table['value_area' if choice.area_weighted else 'value']
    regions = table[list(_REGIONS)].drop_duplicates('outcome').reset_index(drop=True)
    return _labelled(table[list(_VALUES)]), regions, notes


def _named(regions: pd.DataFrame) -> pd.Series:
    """Names of the outcomes; parcels of two atlases that share a name have the atlas in it."""
    name = regions['roi'].astype(str)
    shared = regions.groupby('roi')['atlas'].transform('nunique') > 1
    shared &= regions['source'] != 'apriori'
    return name.where(~shared, regions['atlas'].astype(str) + ':' + name)


def _without_regions(
    choice: RegionChoice, source: StatisticSource, found: Collection[str]
) -> list[str]:
    """Say which selecting analyses give no region, and why."""
    whole = {i.analysis.name for i in source.analyses if i.contrast == choice.contrast}
    return [
        f'nothing is significant in {name}'
        if name in whole
        else f'there are no regions of {name}, as that analysis failed or is not yet done'
        for name in choice.selected_by
        if name not in found
    ]


def _parcels(output_dir: Path, contrast: str) -> pd.DataFrame:
    path = output_dir / 'group' / f'group_contrast-{contrast}_parcels.tsv'
    if not (path.is_file() and record_path(output_dir, f'group_{contrast}').is_file()):
        raise InputError(f'{path} is not there, or not whole: the regions of {contrast} failed.')
    return read_table(path)


def _lacking(choice: RegionChoice, parcels: pd.DataFrame) -> list[str]:
    """Say which regions are not there; a label that its atlas does not have is an error."""
    declared = parcels['source'] == 'apriori'
    of_atlas = set(parcels.loc[~declared & (parcels['atlas'] == choice.atlas), 'roi'])
    source = f'group/group_contrast-{choice.contrast}_parcels.tsv'
    wrong = sorted(set(choice.labels) - of_atlas)
    if wrong and of_atlas:
        raise InputError(f'There is no region {", ".join(wrong)}: see the column roi of {source}.')
    notes = []
    if choice.atlas is not None and not of_atlas:
        notes.append(f'there are no labels of {choice.atlas} (see --atlas)')
    unmade = sorted(set(choice.apriori) - set(parcels.loc[declared, 'roi']))
    if unmade:
        notes.append(
            f'the regions {", ".join(unmade)} could not be made, as their atlas is not there '
            '(see --atlas)'
        )
    return notes


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
    return long[list(_VALUES)]


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    """Take the prefixes off the labels."""
    return table.assign(
        participant_id=table['participant_id'].astype(str).str.removeprefix('sub-'),
        session_id=table['session_id'].fillna('').astype(str).str.removeprefix('ses-'),
    )
