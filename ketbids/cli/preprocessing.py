"""``--preproc hcp``: raw data through the HCP pipelines, and from there to the first level."""

import logging
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from nipype.pipeline import engine as pe

from ketbids.cli import participant
from ketbids.cli.dataset import describe_dataset, lock_path, remove_if_empty
from ketbids.cli.preflight import lacking_tools
from ketbids.cli.progress import counted, duration
from ketbids.cli.publishing import publish, withdraw
from ketbids.cli.room import lacking_room
from ketbids.cli.selection import chosen_participants, read_exclusion_list
from ketbids.errors import InputError, KetbidsError, ToolError
from ketbids.interfaces.hcp.tools import hcp_environment, matlab_mode
from ketbids.interfaces.workbench import smoothing_command
from ketbids.io.bids import find_events, participant_labels
from ketbids.io.files import claims
from ketbids.io.filters import read_filters
from ketbids.io.hcpinputs import HcpSession
from ketbids.io.hcpnames import STAGES, SessionFolders, series_name, study_folder
from ketbids.io.raw.session import RawOptions, find_hcp_sessions
from ketbids.io.validation import check_dataset
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.workflows.base import executor
from ketbids.workflows.session import (
    groups_of,
    init_preprocessing_wf,
    msmall_problem,
    session_wf_name,
)
from ketbids.workflows.stages import StageCommand, lacking_stages, settle, to_run, walk

__all__ = ['run']

logger = logging.getLogger('ketbids')

_FIRST_LEVEL = 'FirstLevel'
#: Participants that a message names.
_NAMED = 10


class _Plan(NamedTuple):
    """What is to be done.

    Attributes
    ----------
    sessions : list of HcpSession
    environ : dict of str to str
        What the scripts see.
    commands : list of StageCommand
        Of all stages of all sessions.
    todo : list of StageCommand
        Of those that will run.
    """

    sessions: list[HcpSession]
    environ: dict[str, str]
    commands: list[StageCommand]
    todo: list[StageCommand]


def run(settings: Settings, model: StudyModel, *, verbosity: int = 0) -> int:
    """Preprocess what is not preprocessed yet, then run the participant level on it."""
    plan, problems, lacking = _plan(settings, model)
    if problems:
        raise InputError(_listed('cannot be preprocessed', problems))
    stages = {command.stage for command in plan.todo}
    if lacking:
        stages |= set(settings.hcp.stages or STAGES)
    lacking += lacking_tools(settings, plan.sessions, stages, plan.environ) if stages else []
    _say_who_has_no_runs(settings, plan.sessions)
    for session in plan.sessions:
        for note in session.notes:
            logger.info('%s: %s', session.name, note)
    if settings.dry_run:
        for line in _command_lines(settings, plan):
            print(line)
        if lacking:
            raise ToolError(_listed('is missing on this machine', lacking))
        return 0
    if plan.todo:
        unfinished = {command.session for command in plan.todo}
        lacking += lacking_room(settings, unfinished, stages)
    if lacking:
        raise ToolError(_listed('is missing on this machine', lacking))
    _say_what_the_validator_says(settings, plan)
    settings.paths.output_dir.mkdir(parents=True, exist_ok=True)
    unprepared = _preprocess(settings, model, plan, verbosity=verbosity)
    for name, message in unprepared.items():
        logger.error('%s failed: %s', name, message)
    if not _is_chosen(settings, _FIRST_LEVEL) or len(unprepared) == len(plan.sessions):
        participants = {session.participant for session in plan.sessions}
        participant.write_pages(settings, participants, participants, unprepared)
        return 1 if unprepared else 0
    return _fit(settings, model, plan, unprepared, verbosity=verbosity)


def _say_who_has_no_runs(settings: Settings, sessions: Sequence[HcpSession]) -> None:
    having = {session.participant for session in sessions}
    lacking = [label for label in chosen_participants(settings) if label not in having]
    if lacking:
        names = ', '.join(f'sub-{label}' for label in lacking[:_NAMED])
        more = f' and {len(lacking) - _NAMED} more' if len(lacking) > _NAMED else ''
        logger.warning('%s%s: no BOLD run of what was chosen.', names, more)


def _listed(what: str, sentences: Sequence[str]) -> str:
    """Put all problems into one message."""
    lines = list(dict.fromkeys(sentences))
    return '\n'.join([f'{counted(len(lines), "thing")} {what}:', *(f'- {s}' for s in lines)])


def _is_chosen(settings: Settings, stage: str) -> bool:
    return not settings.hcp.stages or stage in settings.hcp.stages


def _plan(settings: Settings, model: StudyModel) -> tuple[_Plan, list[str], list[str]]:
    """Find the sessions and what is to be done with them.

    Returns
    -------
    plan : _Plan
    problems : list of str
        What is wrong with the input.
    lacking : list of str
        Commands that cannot be made with the tools that are there.
    """
    hcp = settings.hcp
    environ = hcp_environment(
        hcp.hcp_dir,
        license_file=hcp.fs_license_file,
        omp_nthreads=settings.resources.omp_nthreads,
    )
    sessions, problems = _sessions(settings, model)
    problems += [p for session in sessions if (p := msmall_problem(settings, session))]
    if hcp.gdcoeffs is not None and not hcp.gdcoeffs.is_file():
        problems.append(f'{hcp.gdcoeffs} (--gdcoeffs) is not a file.')
        return _Plan(sessions, environ, [], []), problems, []
    commands: list[StageCommand] = []
    lacking: list[str] = []
    for session in sessions:
        try:
            commands += walk(_workflow(settings, [session], environ))
        except ToolError as error:
            lacking.append(str(error))
        except KetbidsError as error:
            problems.append(f'{session.name}: {error}')
    stages = hcp.stages or STAGES
    problems += lacking_stages(commands, stages)
    if not sessions and not problems:
        problems.append(
            f'{settings.paths.bids_dir} has no BOLD runs of what was chosen: see --task-id, '
            '--session-label and --bids-filter-file.'
        )
    return _Plan(sessions, environ, commands, to_run(commands, stages)), problems, lacking


def _workflow(
    settings: Settings, sessions: Sequence[HcpSession], environ: Mapping[str, str]
) -> pe.Workflow:
    return init_preprocessing_wf(
        settings, sessions, environ=environ, matlab_mode=matlab_mode(environ)
    )


def _sessions(settings: Settings, model: StudyModel) -> tuple[list[HcpSession], list[str]]:
    """Find the chosen sessions; without events the first level could not follow."""
    paths, selection = settings.paths, settings.selection
    participants = chosen_participants(settings)
    exclusions = read_exclusion_list(settings, participant_labels(paths.bids_dir))
    filters = read_filters(paths.bids_filter_file)
    tasks = selection.tasks or model.tasks
    options = RawOptions(
        processing_mode=settings.hcp.processing_mode,
        anat_unwarpdir=settings.hcp.anat_unwarpdir,
        t1w=model.run.t1w,
        t2w=model.run.t2w,
    )
    sessions, problems = find_hcp_sessions(
        paths.bids_dir,
        participants,
        sessions=selection.sessions,
        tasks=tasks,
        runs=selection.runs,
        filters=filters,
        exclusions=exclusions,
        options=options,
    )
    if _is_chosen(settings, _FIRST_LEVEL):
        events = find_events(
            paths.bids_dir,
            participants,
            sessions=selection.sessions,
            tasks=tasks,
            database_dir=paths.bids_database_dir,
            make_database=False,
        )
        problems += [
            f'{run.series}: the run has no events file (*_events.tsv). Add it, or leave out the '
            f'first level: --stages {" ".join(stage for stage in STAGES if stage != _FIRST_LEVEL)}'
            for session in sessions
            for run in session.runs
            if run.key not in events
        ]
    return sessions, problems


def _command_lines(settings: Settings, plan: _Plan) -> list[str]:
    """Give every command as ``session<TAB>stage<TAB>command``."""
    lines = []
    for session in plan.sessions:
        lines += [
            f'{command.session}\t{command.stage}\t{command.command}'
            for command in plan.todo
            if command.session == session.name
        ]
        if _is_chosen(settings, _FIRST_LEVEL) and shutil.which('wb_command'):
            lines += [
                f'{session.name}\t{_FIRST_LEVEL}\t{shlex.join(command)}'
                for command in _smoothing(settings, session)
            ]
    return lines


def _smoothing(settings: Settings, session: HcpSession) -> list[list[str]]:
    """Give the commands by which the first level will smooth the runs of a session."""
    fwhm = settings.first_level.smoothing_fwhm
    if not fwhm:
        return []
    folders = SessionFolders(study_folder(settings.paths.output_dir), session.name)
    registration = '_MSMAll' if settings.hcp.msmall else ''
    left, right = (
        folders.mesh32 / f'{session.name}.{h}.midthickness{registration}.32k_fs_LR.surf.gii'
        for h in 'LR'
    )
    groups = {run: group for group in groups_of(settings, session) for run in group.runs}
    return [
        smoothing_command(
            folders.results(run.name)
            / series_name(run.name, groups.get(run.name), msmall=settings.hcp.msmall),
            left,
            right,
            fwhm,
        )
        for run in session.runs
    ]


def _preprocess(
    settings: Settings, model: StudyModel, plan: _Plan, *, verbosity: int
) -> dict[str, str]:
    """Run the stages, publish the results; give why sessions failed, by their names."""
    output_dir = settings.paths.output_dir
    describe_dataset(settings, model.source, [study_folder(settings.paths.output_dir)])
    failures: dict[str, str] = {}
    with claims(lock_path(output_dir)) as claim:
        busy = [s.name for s in plan.sessions if not claim(f'preprocessing_{s.name}')]
        failures |= dict.fromkeys(busy, 'Another process is at work on it.')
        sessions = [session for session in plan.sessions if session.name not in busy]
        todo = [command for command in plan.todo if command.session not in busy]
        if todo:
            failures |= _run_stages(settings, sessions, plan, todo, verbosity=verbosity)
        done = [session for session in sessions if session.name not in failures]
        commands = {
            session.name: [c.command for c in plan.commands if c.session == session.name]
            for session in done
        }
        failures |= publish(
            settings,
            done,
            plan.environ,
            _done_stages(plan),
            commands=commands,
            verbosity=verbosity,
        )
        if settings.hcp.clean_workdir:
            _remove_intermediate(settings, [s for s in done if s.name not in failures], plan)
    return failures


def _run_stages(
    settings: Settings,
    sessions: Sequence[HcpSession],
    plan: _Plan,
    todo: Sequence[StageCommand],
    *,
    verbosity: int,
) -> dict[str, str]:
    """Run what is to be done of all sessions."""
    for name in dict.fromkeys(command.session for command in todo):
        titles = [command.title for command in todo if command.session == name]
        logger.info('%s: to do: %s.', name, ', '.join(titles))
        withdraw(settings, name)
    chosen = [session for session in sessions if session.name in {c.session for c in todo}]
    workflow = _workflow(settings, chosen, plan.environ)
    settle(workflow, todo)
    owners = {command.node: command.session for command in plan.commands}
    failures: dict[str, str] = {}
    with executor(settings, verbosity=verbosity, watch=_Watch(todo)) as execute:
        for node, message in execute(workflow).items():
            name = owners.get(node) or _owner(node, chosen)
            failures.setdefault(name, message)
    for session in chosen:
        if session.name not in failures:
            folder = settings.paths.work_dir / workflow.name / session_wf_name(session)
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (settings.paths.work_dir / workflow.name, settings.paths.work_dir):
        remove_if_empty(folder)
    return failures


def _owner(node: str, sessions: Sequence[HcpSession]) -> str:
    """Name the session of a node that is no script."""
    part = node.split('.')[1]
    return next(s.name for s in sessions if session_wf_name(s) == part)


class _Watch:
    """Says when stages begin and end: they take hours."""

    def __init__(self, todo: Sequence[StageCommand]) -> None:
        self._names = {command.node: f'{command.session}: {command.title}' for command in todo}
        self._since: dict[str, float] = {}
        self._left = len(self._names)

    def __call__(self, what: str, node: str) -> None:
        """Log the begin or the end of a node."""
        if node not in self._names:
            return
        if what == 'started':
            self._since[node] = time.monotonic()
            logger.info('%s: started.', self._names[node])
        else:
            self._left -= 1
            took = duration(time.monotonic() - self._since[node])
            logger.info('%s: done in %s (%d to go).', self._names[node], took, self._left)


def _undone(plan: _Plan, session: str) -> set[str]:
    """Name the stages of a session that are neither done nor among those that run."""
    ran = {command.node for command in plan.todo}
    mine = [command for command in plan.commands if command.session == session]
    return {command.stage for command in mine if command.todo and command.node not in ran}


def _done_stages(plan: _Plan) -> dict[str, set[str]]:
    """Name the stages of each session that are whole in all its runs, once the run is over."""
    return {
        session.name: {c.stage for c in plan.commands if c.session == session.name}
        - _undone(plan, session.name)
        for session in plan.sessions
    }


def _remove_intermediate(settings: Settings, sessions: Sequence[HcpSession], plan: _Plan) -> None:
    """Remove what only the stages of finished sessions needed."""
    for session in sessions:
        if _undone(plan, session.name):
            logger.info('%s: some stages are not done; nothing is removed.', session.name)
            continue
        folders = SessionFolders(study_folder(settings.paths.output_dir), session.name)
        for run in session.runs:
            folder = folders.intermediate(run.name)
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
                logger.info('%s: %s is removed (--clean-workdir).', session.name, folder)


def _fit(
    settings: Settings,
    model: StudyModel,
    plan: _Plan,
    unprepared: Mapping[str, str],
    *,
    verbosity: int,
) -> int:
    """Run the participant level on what was preprocessed."""
    made = replace(
        settings,
        paths=replace(settings.paths, derivatives=(study_folder(settings.paths.output_dir),)),
        # Validated before the preprocessing.
        inputs=replace(settings.inputs, skip_bids_validation=True),
    )
    desc = {d for session in plan.sessions for d in _descriptions(settings, session)}
    return participant.run(made, model, verbosity=verbosity, desc=desc, unprepared=unprepared)


def _descriptions(settings: Settings, session: HcpSession) -> set[str | None]:
    """Say which series of a session are to be fitted, by the processing in their names."""
    registration = 'MSMAll' if settings.hcp.msmall else ''
    groups = groups_of(settings, session)
    return {f'{registration}hp{group.high_pass}clean' for group in groups} or {None}


def _say_what_the_validator_says(settings: Settings, plan: _Plan) -> None:
    """Warn of what is not valid BIDS: what the preprocessing needs, it has checked itself."""
    participants = sorted({command.session.split('_')[0][4:] for command in plan.todo})
    if not participants or settings.inputs.skip_bids_validation:
        return
    record = settings.paths.output_dir / 'logs' / 'validation.json'
    try:
        invalid = check_dataset(settings.paths.bids_dir, participants, record, keep=False)
    except InputError as error:
        invalid = {participants[0]: str(error)}
    for message in dict.fromkeys(invalid.values()):
        logger.warning('Not valid BIDS, but preprocessed: %s', message)
