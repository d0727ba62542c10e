"""The participant level: find runs, fit what is not yet fitted, write the pages."""

import logging
import re
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ketbids.cli.dataset import describe_dataset, lock_path, record_path, remove_if_empty
from ketbids.cli.finding import find_work
from ketbids.cli.listing import list_visits
from ketbids.cli.needs import first_level_lacks
from ketbids.cli.parser import installed_version
from ketbids.cli.participantpages import write_pages
from ketbids.cli.progress import Progress, counted
from ketbids.errors import InputError, ToolError, cannot_use
from ketbids.io.bids import RunKey
from ketbids.io.files import claims, modification_times, read_json, remove_unchanged
from ketbids.io.inventory import Visit
from ketbids.io.records import file_stamp, fingerprint, is_whole, write_record
from ketbids.io.tables import read_table
from ketbids.io.validation import check_dataset
from ketbids.model import RunContrast, RunModel, StudyModel
from ketbids.settings import Settings

if TYPE_CHECKING:
    from nipype.pipeline.engine import Workflow

__all__ = ['run', 'runs_to_fit', 'with_smoother']

logger = logging.getLogger('ketbids')

#: Visits that are given to Nipype at a time: enough to keep all processes busy. Its scheduler
#: slows down with the number of nodes, and what is recorded survives an interruption.
_VISITS_PER_PROCESS = 4

#: Runs that a message names.
_NAMED = 5

#: How the names of files that this level writes end.
_OURS = re.compile(
    r'_contrast-\w+_stat-\w+_statmap\.|_contrast-\w+_statmap\.png|_section\.json'
    r'|_desc-whiteness_statmap\.|_desc-(design|correlations|whiteness|motion)_timeseries\.'
    r'|_desc-(trials|counts)_events\.|_desc-performance_beh\.'
    r'|_space-fsLR_den-\w+_(midthickness|inflated|atlas-DesikanKilliany_dseg)\.'
)


def run(
    settings: Settings,
    model: StudyModel,
    *,
    verbosity: int = 0,
    desc: Collection[str | None] = (),
    unprepared: Mapping[str, str] | None = None,
) -> int:
    """Run the participant level; see `ketbids.cli.main.main` for the exit code.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    verbosity : int
    desc, unprepared
        What was made just before; see `find_work`.
    """
    started = time.time()
    settings = with_smoother(settings)
    lacking = first_level_lacks(settings)
    if lacking:
        raise ToolError(' '.join(lacking))
    output_dir = settings.paths.output_dir
    visits, left_out, errors = find_work(settings, model.tasks, desc=desc, unprepared=unprepared)
    failures = {name: str(error).removeprefix(f'{name}: ') for name, error in errors.items()}
    marks: dict[str, str] = {}
    for visit in visits:
        try:
            marks[visit.name] = _fingerprint(settings, model, visit)
        except OSError as error:
            failures[visit.name] = cannot_use(error)
    visits = [visit for visit in visits if visit.name in marks]

    def unfinished(visit: Visit) -> bool:
        return not _is_done(output_dir, visit, marks[visit.name])

    todo = [visit for visit in visits if unfinished(visit)]
    if todo and not settings.inputs.skip_bids_validation:
        invalid = _validate(settings, sorted({visit.participant for visit in todo}))
        failures |= {v.name: invalid[v.participant] for v in todo if v.participant in invalid}
        visits = [visit for visit in visits if visit.name not in failures]
        todo = [visit for visit in todo if visit.name not in failures]
    logger.info(
        '%s: %d to do, %d done before, %d that cannot be done.',
        counted(len(visits) + len(failures), 'visit'),
        len(todo),
        len(visits) - len(todo),
        len(failures),
    )
    if settings.dry_run:
        from ketbids.cli.designpreview import preview_designs  # of Nipype, slow to import

        states = {visit.name: _state(output_dir, visit, visit in todo) for visit in visits}
        designs = preview_designs(settings, model.run, visits)
        print(list_visits(visits, states, left_out, failures, designs))
        failed = {str(path): '' for path, design in designs.items() if design.level == 'failed'}
        return _exit_code(visits, {**failures, **failed})
    if todo:
        roots = {run.preprocessed.root for visit in visits for run in visit.runs}
        describe_dataset(settings, model.source, roots)
        with claims(lock_path(output_dir)) as claim:
            busy = [visit for visit in todo if not claim(visit.name)]
            failures |= {visit.name: 'Another process is at work on it.' for visit in busy}
            todo = [visit for visit in todo if visit not in busy and unfinished(visit)]
            failures |= _fit(settings, model, todo, marks, verbosity=verbosity)
        _report_trials(output_dir, model, [v for v in todo if v.name not in failures])
    for name, message in failures.items():
        logger.error('%s failed: %s', name, message)
    write_pages(settings, {visit.participant for visit in visits}, failures)
    logger.info(
        'Participant level: %d of %s done, %d failed, in %.0f s.',
        sum(visit.name not in failures for visit in visits),
        counted(len({*failures, *marks}), 'visit'),
        len(failures),
        time.time() - started,
    )
    return _exit_code(visits, failures)


def runs_to_fit(
    settings: Settings,
    model: StudyModel,
    *,
    desc: Collection[str | None],
    unprepared: Mapping[str, str],
) -> set[RunKey]:
    """Name the runs of visits that `run` would fit, since they are not finished."""
    settings = with_smoother(settings)
    visits, _, _ = find_work(settings, model.tasks, desc=desc, unprepared=unprepared)
    found: set[RunKey] = set()
    for visit in visits:
        mark = _fingerprint(settings, model, visit)
        if not _is_done(settings.paths.output_dir, visit, mark):
            found |= {run.key for run in visit.runs}
    return found


def _is_done(output_dir: Path, visit: Visit, mark: str) -> bool:
    return is_whole(record_path(output_dir, visit.name), mark, output_dir)


def _validate(settings: Settings, participants: list[str]) -> dict[str, str]:
    """Ask the validator; in a dry run, an error of the whole dataset is one of everybody."""
    record = settings.paths.output_dir / 'logs' / 'validation.json'
    bids_dir = settings.paths.bids_dir
    try:
        return check_dataset(bids_dir, participants, record, keep=not settings.dry_run)
    except InputError as error:
        if not settings.dry_run:
            raise
        return dict.fromkeys(participants, str(error))


def _exit_code(visits: list[Visit], failures: Mapping[str, str]) -> int:
    if not visits:
        return InputError.exit_code
    return 1 if failures else 0


def _state(output_dir: Path, visit: Visit, to_do: bool) -> str:
    if not to_do:
        return 'already done'
    if record_path(output_dir, visit.name).is_file():
        return 'to do again: input or settings have changed'
    return 'to do'


def with_smoother(settings: Settings) -> Settings:
    """Resolve who smooths: wb_command where it is on the PATH, unless the choice was made."""
    if settings.first_level.smoother != 'auto':
        return settings
    smoother = 'wb_command' if shutil.which('wb_command') else 'native'
    return replace(settings, first_level=replace(settings.first_level, smoother=smoother))


def _fingerprint(settings: Settings, model: StudyModel, visit: Visit) -> str:
    """Hash all that a visit's outputs depend on."""
    return fingerprint(
        {
            'version': installed_version(),
            'settings': repr(settings.first_level),
            'model': repr(replace(model.run, contrasts=_without_comments(model.run))),
            'files': [file_stamp(path) for run in visit.runs for path in run.files],
        }
    )


def _without_comments(model: RunModel) -> tuple[RunContrast, ...]:
    return tuple(replace(contrast, description='') for contrast in model.contrasts)


def _fit(
    settings: Settings,
    model: StudyModel,
    todo: list[Visit],
    marks: Mapping[str, str],
    *,
    verbosity: int,
) -> dict[str, str]:
    """Fit visits, a few at a time, and record each that is whole; give why others failed."""
    from ketbids.workflows.base import executor
    from ketbids.workflows.visit import visit_wf_name

    first, output_dir = settings.first_level, settings.paths.output_dir
    work_dir = settings.paths.work_dir
    logger.info('Smoother: %s. Noise model: %s.', first.smoother, first.noise_model)
    failures: dict[str, str] = {}
    started = 0
    size = _VISITS_PER_PROCESS * settings.resources.nprocs
    names = {visit_wf_name(visit): visit.name for visit in todo}
    with executor(settings, verbosity=verbosity, report=Progress(names)) as execute:
        for start in range(0, len(todo), size):
            batch = todo[start : start + size]
            before = {visit.name: _open_record(output_dir, visit) for visit in batch}
            built, broken = _build(settings, model.run, batch)
            failures |= broken
            for node, message in execute(built).items() if len(broken) < len(batch) else ():
                failures.setdefault(names[node.split('.')[1]], message)
            for visit in batch:
                if visit.name not in failures:
                    _close_record(output_dir, visit, marks[visit.name], before[visit.name])
                    shutil.rmtree(work_dir / built.name / visit_wf_name(visit), ignore_errors=True)
            started = start + len(batch)
            if failures and settings.resources.stop_on_first_crash:
                break
    for visit in todo[started:]:
        failures[visit.name] = 'It was not started, because of the error before it.'
    for folder in (work_dir / 'participant_wf', work_dir):
        remove_if_empty(folder)
    return failures


def _report_trials(output_dir: Path, model: StudyModel, visits: Sequence[Visit]) -> None:
    """Warn of conditions that nobody has trials of, and of rows that are of no condition."""
    ending = '_desc-trials_events.tsv'
    tables = {
        path.name.removesuffix(ending): read_table(path)
        for visit in visits
        for path in _outputs(output_dir, visit)
        if path.name.endswith(ending)
    }
    if not tables:
        return
    found = pd.concat([table['condition'] for table in tables.values()])
    for condition in model.run.events.conditions:
        if condition.name not in set(found):
            logger.warning(
                'Condition %s has no trials in any of %s: check its Where in the model file.',
                condition.name,
                counted(len(tables), 'run'),
            )
    lost = {name: int(_named_nowhere(table).sum()) for name, table in tables.items()}
    names = sorted((name for name, n in lost.items() if n), key=lambda name: -lost[name])
    if names:
        shown = ', '.join(f'{n} ({lost[n]} of {len(tables[n])})' for n in names[:_NAMED])
        logger.warning(
            '%d of %d rows of events are of no kind that the model file names, and not modelled: '
            '%s%s. Their pages say which. Give misspelt types their right names with Rename of '
            'the model file, and put what is no trial into Ignore.',
            sum(lost.values()),
            len(found),
            shown,
            f' and {counted(len(names) - _NAMED, "more run")}' if len(names) > _NAMED else '',
        )
    unmodelled = sum(int((t['status'] == 'unmatched').sum()) for t in tables.values())
    if unmodelled > sum(lost.values()):
        logger.info(
            '%d of %d rows of events are trials that no condition takes, with or without their '
            'response, and not modelled; the pages say which.',
            unmodelled - sum(lost.values()),
            len(found),
        )


def _named_nowhere(table: pd.DataFrame) -> pd.Series:
    """Rows that are neither of a condition nor of one but for their response, nor a stimulus."""
    return (table['status'] == 'unmatched') & ~table['responded'].isin([True, False])


def _build(
    settings: Settings, model: RunModel, batch: list[Visit]
) -> tuple['Workflow', dict[str, str]]:
    """Build the workflow of visits; one that cannot be built does not stop the others."""
    from ketbids.workflows.base import init_participant_wf

    build = partial(init_participant_wf, settings, model)
    try:
        return build(batch), {}
    except Exception:  # of an input whose kind Nipype does not accept, for one
        broken = {}
        for visit in batch:
            try:
                build([visit])
            except Exception as error:
                broken[visit.name] = str(error).strip() or repr(error)
        return build([visit for visit in batch if visit.name not in broken]), broken


def _open_record(output_dir: Path, visit: Visit) -> dict[Path, int]:
    """Begin a visit: what an earlier run left is not finished work any more.

    Returns
    -------
    dict of Path to int
        Its files and their times of change.
    """
    record = record_path(output_dir, visit.name)
    if record.is_file():
        logger.info('%s: input or settings have changed; it is done again.', visit.name)
        record.unlink()
    return modification_times(_outputs(output_dir, visit))


def _close_record(output_dir: Path, visit: Visit, mark: str, before: Mapping[Path, int]) -> None:
    """Record a finished visit; files of an earlier run that were not made again go."""
    others = _recorded_by_others(output_dir, visit)
    outputs = [
        path
        for path in _outputs(output_dir, visit)
        if path not in others or path.stat().st_mtime_ns != before.get(path)
    ]
    outputs = remove_unchanged(outputs, before)
    write_record(record_path(output_dir, visit.name), mark, outputs, output_dir)


def _recorded_by_others(output_dir: Path, visit: Visit) -> set[Path]:
    """List the files of other visits in this session: their surfaces stand in the same folder."""
    own = record_path(output_dir, visit.name)
    session = str(RunKey(visit.participant, visit.session, ''))
    found: set[Path] = set()
    for record in own.parent.glob(f'{session}_*.json'):
        if record != own:
            with suppress(InputError):  # another process may have just begun it anew
                found |= {output_dir / name for name in read_json(record).get('Outputs', ())}
    return found


def _outputs(output_dir: Path, visit: Visit) -> list[Path]:
    """List the files that a visit has in the output folder; what others put there is not ours."""
    folder = output_dir / f'sub-{visit.participant}'
    session = folder / f'ses-{visit.session}' if visit.session else folder
    whole = str(RunKey(visit.participant, visit.session, ''))
    found = [
        *(path for kind in ('func', 'beh') for path in session.glob(f'{kind}/{visit.name}_*')),
        *folder.glob(f'figures/{visit.name}_*'),
    ]
    if not visit.acquisition:  # what follows may be the name of another visit
        found = [path for path in found if not path.name.startswith(f'{visit.name}_acq-')]
    found += session.glob(f'anat/{whole}_*')
    # Links lead to what the preprocessing made; their sidecars are not of this level, either.
    links = {path.name.split('.')[0] for path in found if path.is_symlink()}
    found = [path for path in found if path.name.split('.')[0] not in links]
    return [path for path in found if _OURS.search(path.name)]
