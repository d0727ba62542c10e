"""``--preproc hcp``: raw data through the HCP pipelines, and from there to the first level."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ketbids.cli import participant
from ketbids.cli.dataset import describe_dataset, lock_path, record_path, remove_if_empty
from ketbids.cli.listing import list_designs
from ketbids.cli.needs import first_level_lacks
from ketbids.cli.participantpages import write_pages
from ketbids.cli.preflight import lacking_tools
from ketbids.cli.progress import duration
from ketbids.cli.publishing import publish, withdraw
from ketbids.cli.room import lacking_room
from ketbids.cli.selection import chosen_participants, read_exclusion_list
from ketbids.cli.stageplan import (
    FIRST_LEVEL,
    Plan,
    command_lines,
    find_run_events,
    is_chosen,
    make_plan,
    refreshed,
    session_workflow,
)
from ketbids.errors import InputError, ToolError
from ketbids.io.bids import RunKey, excluded_by, participant_labels
from ketbids.io.files import claims
from ketbids.io.hcpinputs import HcpSession
from ketbids.io.hcpnames import STAGES, SessionFolders, study_folder
from ketbids.io.validation import check_dataset
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.stats.fwhm import INHERENT_FWHM, kernel_fwhm
from ketbids.workflows.base import executor
from ketbids.workflows.session import groups_of, session_wf_name
from ketbids.workflows.stages import StageCommand, settle

__all__ = ['run']

logger = logging.getLogger('ketbids')

#: Participants that a message names.
_NAMED = 10


def run(settings: Settings, model: StudyModel, *, verbosity: int = 0) -> int:
    """Preprocess what is not preprocessed yet, then run the participant level on it."""
    first = settings.first_level
    if is_chosen(settings, FIRST_LEVEL):
        # Said now rather than after hours of preprocessing.
        kernel_fwhm(first.smoothing_fwhm, first.smoothing_mode, INHERENT_FWHM['hcp'])
    plan, problems, lacking = make_plan(settings, model)
    lacking += first_level_lacks(settings) if is_chosen(settings, FIRST_LEVEL) else []
    stages = {command.stage for command in plan.todo}
    if problems or lacking:  # not all commands are known
        stages = set(settings.hcp.stages or STAGES)
    unfinished = {command.session for command in plan.todo}
    lacking += lacking_tools(settings, plan.sessions, stages, plan.environ) if stages else []
    room = lacking_room(settings, unfinished, stages)
    if problems:
        raise InputError(
            _listed('What stands against the preprocessing', problems + lacking + room)
        )
    _say_who_has_no_runs(settings, plan.sessions)
    for session in plan.sessions:
        for note in session.notes:
            logger.info('%s: %s', session.name, note)
    for doubt in plan.doubts:
        logger.warning('%s', doubt)
    if settings.dry_run:
        fits = _fits(settings, model, plan)
        for line in command_lines(settings, plan, fits):
            print(line)
        events = {key: path for key, path in plan.events.items() if key in fits}
        if events:
            from ketbids.cli.designpreview import preview_raw

            # What is printed are commands, for other programs to read.
            designs = preview_raw(settings, model.run, plan.sessions, events)
            for line in list_designs(designs).splitlines():
                logger.info('%s', line)
        for sentence in room:
            logger.warning('%s', sentence)
        if lacking:
            raise ToolError(_listed('What is missing on this machine', lacking))
        return 0
    if lacking or room:
        raise ToolError(_listed('What is missing on this machine', lacking + room))
    _say_what_the_validator_says(settings, plan)
    settings.paths.output_dir.mkdir(parents=True, exist_ok=True)
    unprepared = _preprocess(settings, model, plan, verbosity=verbosity)
    for name, message in unprepared.items():
        logger.error('%s failed: %s', name, message)
    ready = [session for session in plan.sessions if session.name not in unprepared]
    fit = is_chosen(settings, FIRST_LEVEL) and find_run_events(settings, model, ready)
    if not fit:
        participants = {session.participant for session in plan.sessions}
        write_pages(settings, participants, unprepared)
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
    """Put all sentences into one message."""
    lines = list(dict.fromkeys(sentences))
    return '\n'.join([f'{what} ({len(lines)}):', *(f'- {line}' for line in lines)])


def _preprocess(
    settings: Settings, model: StudyModel, plan: Plan, *, verbosity: int
) -> dict[str, str]:
    """Run the stages, publish the results; give why sessions failed, by their names."""
    output_dir = settings.paths.output_dir
    describe_dataset(settings, model.source, [study_folder(settings.paths.output_dir)])
    failures: dict[str, str] = {}
    with claims(lock_path(output_dir)) as claim:
        busy = [s.name for s in plan.sessions if not claim(f'preprocessing_{s.name}')]
        failures |= dict.fromkeys(
            busy, 'Another process is at work on it. Give the command again when that has ended.'
        )
        sessions = [session for session in plan.sessions if session.name not in busy]
        plan = refreshed(settings, plan, sessions)
        if plan.todo:
            failures |= _run_stages(settings, plan, verbosity=verbosity)
        done = [session for session in sessions if session.name not in failures]
        commands = {
            session.name: [c.command for c in plan.commands if c.session == session.name]
            for session in done
        }
        failures |= publish(
            settings,
            done,
            _done_stages(plan),
            commands=commands,
            verbosity=verbosity,
        )
        if settings.hcp.clean_workdir:
            _remove_intermediate(settings, [s for s in done if s.name not in failures], plan)
    return failures


def _run_stages(settings: Settings, plan: Plan, *, verbosity: int) -> dict[str, str]:
    """Run what is to be done of all sessions."""
    for name in dict.fromkeys(command.session for command in plan.todo):
        titles = [command.title for command in plan.todo if command.session == name]
        logger.info('%s: to do: %s.', name, ', '.join(titles))
        withdraw(settings, name)
        _forget_fits(settings, name)
    chosen = [s for s in plan.sessions if s.name in {c.session for c in plan.todo}]
    workflow = session_workflow(settings, chosen, plan.environ)
    settle(workflow, plan.todo)
    owners = {command.node: command.session for command in plan.commands}
    failures: dict[str, str] = {}
    with executor(settings, verbosity=verbosity, watch=_Watch(plan.todo)) as execute:
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


def _forget_fits(settings: Settings, session: str) -> None:
    """See that no group takes maps of data that are made again, whether or not that ends well."""
    records = record_path(settings.paths.output_dir, session).parent
    for record in records.glob(f'{session}_task-*.json'):
        record.unlink(missing_ok=True)


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


def _undone(plan: Plan, session: str) -> set[str]:
    """Name the stages of a session that are neither done nor among those that run."""
    ran = {command.node for command in plan.todo}
    mine = [command for command in plan.commands if command.session == session]
    return {command.stage for command in mine if command.todo and command.node not in ran}


def _done_stages(plan: Plan) -> dict[str, set[str]]:
    """Name the stages of each session that are whole in all its runs, once the run is over."""
    return {
        session.name: {c.stage for c in plan.commands if c.session == session.name}
        - _undone(plan, session.name)
        for session in plan.sessions
    }


def _remove_intermediate(settings: Settings, sessions: Sequence[HcpSession], plan: Plan) -> None:
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
    plan: Plan,
    unprepared: Mapping[str, str],
    *,
    verbosity: int,
) -> int:
    """Run the participant level on what was preprocessed."""
    made, desc = _prepared(settings, plan)
    return participant.run(made, model, verbosity=verbosity, desc=desc, unprepared=unprepared)


def _fits(settings: Settings, model: StudyModel, plan: Plan) -> set[RunKey]:
    """Name the runs that the first level will fit."""
    exclusions = read_exclusion_list(settings, participant_labels(settings.paths.bids_dir))
    begun = {command.session: '' for command in plan.todo}
    fits = {
        key
        for key in plan.events
        if str(RunKey(key.participant, key.session, '')) in begun
        and excluded_by(exclusions, key.participant, key.session, key.run) is None
    }
    if plan.events and len(begun) < len(plan.sessions):
        made, desc = _prepared(settings, plan)
        with suppress(InputError):  # of all: nothing is fitted then
            fits |= participant.runs_to_fit(made, model, desc=desc, unprepared=begun)
    return fits


def _prepared(settings: Settings, plan: Plan) -> tuple[Settings, set[str | None]]:
    """Give the settings of a participant level on what is preprocessed, and which series."""
    made = replace(
        settings,
        paths=replace(settings.paths, derivatives=(study_folder(settings.paths.output_dir),)),
        # Validated before the preprocessing.
        inputs=replace(settings.inputs, skip_bids_validation=True),
    )
    return made, {d for session in plan.sessions for d in _descriptions(settings, session)}


def _descriptions(settings: Settings, session: HcpSession) -> set[str | None]:
    """Say which series of a session are to be fitted, by the processing in their names."""
    registration = 'MSMAll' if settings.hcp.msmall else ''
    groups = groups_of(settings, session)
    return {f'{registration}hp{group.high_pass}clean' for group in groups} or {None}


def _say_what_the_validator_says(settings: Settings, plan: Plan) -> None:
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
