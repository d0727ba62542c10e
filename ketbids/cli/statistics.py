"""Declared statistics at the group level: which are to do, and which hold as they are."""

import hashlib
import logging
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ketbids.cli.dataset import record_path, remove_if_empty
from ketbids.cli.parser import installed_version
from ketbids.cli.progress import Progress
from ketbids.cli.statisticdata import StatisticSource, statistic_data, with_derived
from ketbids.errors import InputError
from ketbids.io.clinicaldata import clinical_texts, write_clinical_data
from ketbids.io.records import fingerprint, is_whole, write_record
from ketbids.io.statistics import remove_statistic, statistic_files, statistic_names
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.families import check_families
from ketbids.stats.clinical.specs import Statistic, to_dict

if TYPE_CHECKING:
    from ketbids.workflows.statistics import StatisticPlan

__all__ = ['StatisticsDone', 'region_contrasts', 'run_statistics', 'undeclared_statistics']

logger = logging.getLogger('ketbids')

#: Start of the names of records.
_RECORD = 'statistic-'


class StatisticsDone(NamedTuple):
    """What a group call has of the statistics of its model file.

    Attributes
    ----------
    current : list of str
        Those whose files are of these data, whether this call asked for them or not; in the
        order of the model file.
    failures : dict of str to str
        Why one that was asked for failed, by its name. Its files of an earlier call are removed.
    messages : list of str
        Of which there are files that are not of these data.
    """

    current: list[str]
    failures: dict[str, str]
    messages: list[str]


class _Planned(NamedTuple):
    """A statistic, what it is made of, and the fingerprint of that."""

    statistic: Statistic
    data: ClinicalData
    notes: list[str]
    mark: str


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
) -> StatisticsDone:
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
    StatisticsDone
    """
    output_dir = settings.paths.output_dir
    _remove_undeclared(output_dir, {statistic.name for statistic in model.statistics})
    planned, unmade = _plan_all(settings, model, source)
    failures = {name: why for name, why in unmade.items() if name in names}
    chosen = [item for item in planned if item.statistic.name in names]
    todo = [item for item in chosen if not _is_current(output_dir, item)]
    logger.info(
        'Statistics: %d to do, %d done before, %d that cannot be made.',
        len(todo),
        len(chosen) - len(todo),
        len(failures),
    )
    for item in todo:
        for words in check_families(item.statistic, item.data):
            logger.warning('%s: %s', item.statistic.name, words)
    if todo:
        failures |= _compute(settings, todo, verbosity)
    for name in failures:
        record_path(output_dir, _record(name)).unlink(missing_ok=True)
        remove_statistic(output_dir, name)
    current = [i.statistic.name for i in planned if _is_current(output_dir, i)]
    messages = [
        f'{statistic.name} was made with other settings, scores or maps: not shown until it is '
        'made again.'
        for statistic in model.statistics
        if statistic.name not in current and statistic_files(output_dir, statistic.name)
    ]
    return StatisticsDone(current, failures, messages)


def _plan_all(
    settings: Settings, model: StudyModel, source: StatisticSource
) -> tuple[list[_Planned], dict[str, str]]:
    """Collect what each statistic is made of; why one cannot be made, by its name."""
    people = with_derived(source.people, model)
    planned, failures = [], {}
    for statistic in model.statistics:
        try:
            data, notes = statistic_data(settings, model, statistic, source, people)
            check_families(statistic, data)
        except InputError as error:
            failures[statistic.name] = str(error)
            continue
        texts = clinical_texts(data)
        mark = fingerprint(
            {
                'version': installed_version(),
                'statistic': to_dict(statistic),
                'notes': notes,
                'data': {n: hashlib.sha256(t.encode()).hexdigest() for n, t in texts.items()},
            }
        )
        planned.append(_Planned(statistic, data, notes, mark))
    return planned, failures


def _is_current(output_dir: Path, item: _Planned) -> bool:
    record = record_path(output_dir, _record(item.statistic.name))
    return is_whole(record, item.mark, output_dir)


def _record(name: str) -> str:
    return f'{_RECORD}{name}'


def undeclared_statistics(output_dir: Path, declared: Collection[str]) -> list[str]:
    """List the statistics of earlier calls that are not declared: the next call removes them."""
    records = record_path(output_dir, f'{_RECORD}*')
    known = {path.stem.removeprefix(_RECORD) for path in records.parent.glob(records.name)}
    return sorted((known | set(statistic_names(output_dir))) - set(declared))


def _remove_undeclared(output_dir: Path, declared: Collection[str]) -> None:
    """Remove what earlier calls left of statistics that the model file has no more."""
    for name in undeclared_statistics(output_dir, declared):
        record_path(output_dir, _record(name)).unlink(missing_ok=True)
        remove_statistic(output_dir, name)
        logger.info('%s: no longer in the model file; its files were removed.', name)


def _plan(item: _Planned, folder: Path) -> 'StatisticPlan':
    """Write what a statistic is made of, for the node that computes it."""
    from ketbids.workflows.statistics import StatisticPlan

    statistic = item.statistic
    shutil.rmtree(folder, ignore_errors=True)
    write_clinical_data(folder, item.data)
    metadata: dict[str, Any] = {
        'Name': statistic.name,
        'Description': statistic.description,
        'Statistic': to_dict(statistic),
        'SoftwareVersion': installed_version(),
        'SessionOrder': list(item.data.sessions),
        'Notes': [f'{note[0].upper()}{note[1:]}.' for note in item.notes],
    }
    return StatisticPlan(statistic.name, to_dict(statistic), folder, item.mark, metadata)


def _compute(settings: Settings, todo: Sequence[_Planned], verbosity: int) -> dict[str, str]:
    """Run the workflow and record what is whole; give the reason for what failed."""
    from ketbids.workflows.base import executor
    from ketbids.workflows.statistics import init_statistics_wf, statistic_wf_name

    output_dir, work_dir = settings.paths.output_dir, settings.paths.work_dir
    plan_dir = work_dir / 'statistics_plan'
    plans = [_plan(item, plan_dir / item.statistic.name) for item in todo]
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
        shutil.rmtree(work_dir / workflow.name, ignore_errors=True)
        shutil.rmtree(plan_dir, ignore_errors=True)
        remove_if_empty(work_dir)
    return failures
