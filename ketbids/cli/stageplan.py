"""What the preprocessing has to do, and with which commands."""

import shlex
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nipype.pipeline import engine as pe

from ketbids.cli.selection import chosen_participants, read_exclusion_list
from ketbids.cli.versions import mixed_versions
from ketbids.errors import InputError, KetbidsError, ToolError
from ketbids.interfaces.hcp.tools import hcp_environment, matlab_mode
from ketbids.interfaces.workbench import smoothing_command
from ketbids.io.bids import RunKey, find_events, participant_labels
from ketbids.io.events import read_events
from ketbids.io.filters import read_filters
from ketbids.io.handlabels import labels_matter, read_hand_labels
from ketbids.io.hcpinputs import HcpSession
from ketbids.io.hcpnames import STAGES, SessionFolders, series_name, study_folder
from ketbids.io.raw.session import RawOptions, find_hcp_sessions
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.stats.events import code_trials
from ketbids.stats.fwhm import INHERENT_FWHM, kernel_fwhm
from ketbids.stats.runevents import place_in_run
from ketbids.workflows.session import groups_of, init_preprocessing_wf, msmall_problem
from ketbids.workflows.stages import StageCommand, lacking_stages, to_run, walk

__all__ = ['FIRST_LEVEL', 'Plan', 'command_lines']
__all__ += ['find_run_events', 'is_chosen', 'make_plan', 'refreshed', 'session_workflow']

#: The stage that is no script.
FIRST_LEVEL = 'FirstLevel'


class Plan(NamedTuple):
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
    events : dict of RunKey to Path
        Of the runs that the first level will fit.
    doubts : list of str
        What the first level would stumble over.
    """

    sessions: list[HcpSession]
    environ: dict[str, str]
    commands: list[StageCommand]
    todo: list[StageCommand]
    events: dict[RunKey, Path]
    doubts: list[str]


def is_chosen(settings: Settings, stage: str) -> bool:
    """Tell if a stage was chosen (--stages)."""
    return not settings.hcp.stages or stage in settings.hcp.stages


def make_plan(settings: Settings, model: StudyModel) -> tuple[Plan, list[str], list[str]]:
    """Find the sessions and what is to be done with them; nothing is written.

    Parameters
    ----------
    settings : Settings
    model : StudyModel

    Returns
    -------
    plan : Plan
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
    useless = _useless_coefficients(hcp.gdcoeffs)
    problems += useless
    events, doubts = dict[RunKey, Path](), list[str]()
    if is_chosen(settings, FIRST_LEVEL):
        try:
            events = find_run_events(settings, model, sessions)
        except InputError as error:
            problems.append(str(error))
        else:
            doubts = _doubts(settings, model, sessions, events)
    if useless:  # no command can name them
        return Plan(sessions, environ, [], [], events, doubts), problems, []
    commands: list[StageCommand] = []
    lacking: list[str] = []
    for session in sessions:
        found, why = _hand_labels(settings, session)
        doubts += found
        problems += why
        try:
            commands += walk(session_workflow(settings, [session], environ))
        except ToolError as error:
            lacking.append(str(error))
        except KetbidsError as error:
            if str(error) not in problems:
                problems.append(f'{session.name}: {error}')
    lacking += [command.lacking for command in commands if command.lacking]
    stages = hcp.stages or STAGES
    problems += lacking_stages(commands, stages)
    todo = to_run(commands, stages)
    begun = {command.session for command in todo}
    problems += mixed_versions([c for c in commands if c.session in begun], hcp.hcp_dir)
    return Plan(sessions, environ, commands, todo, events, doubts), problems, lacking


def refreshed(settings: Settings, plan: Plan, sessions: Sequence[HcpSession]) -> Plan:
    """Look again at what is to be done with sessions: another process may have done it."""
    commands = [
        command
        for session in sessions
        for command in walk(session_workflow(settings, [session], plan.environ))
    ]
    todo = to_run(commands, settings.hcp.stages or STAGES)
    return plan._replace(sessions=list(sessions), commands=commands, todo=todo)


def _hand_labels(settings: Settings, session: HcpSession) -> tuple[list[str], list[str]]:
    """Check the labels by hand of a session: what they do not change, and what is wrong."""
    folders = SessionFolders(study_folder(settings.paths.output_dir), session.name)
    notes, problems = list[str](), list[str]()
    for group in groups_of(settings, session):
        ica = group.ica(folders)
        try:
            # Without PostFix's lists nothing is known of the components yet.
            if labels_matter(ica) and (ica / 'Signal.txt').is_file():
                notes += read_hand_labels(ica).notes
        except InputError as error:
            problems.append(str(error))
    return notes, problems


def _useless_coefficients(path: Path | None) -> list[str]:
    """Say why gradient coefficients cannot be used."""
    if path is None:
        return []
    try:
        if path.read_bytes()[:1]:
            return []
        reason = 'is empty'
    except OSError as error:
        reason = f'cannot be read: {error.strerror}'
    return [f'{path} (--gdcoeffs) {reason}. Name the file of coefficients of your scanner.']


def session_workflow(
    settings: Settings, sessions: Sequence[HcpSession], environ: Mapping[str, str]
) -> pe.Workflow:
    """Build the workflow of sessions, whose scripts see the variables of `environ`."""
    return init_preprocessing_wf(
        settings, sessions, environ=environ, matlab_mode=matlab_mode(environ)
    )


def _sessions(settings: Settings, model: StudyModel) -> tuple[list[HcpSession], list[str]]:
    """Find the chosen sessions, and what is wrong with them."""
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
    return sessions, problems


def find_run_events(
    settings: Settings, model: StudyModel, sessions: Sequence[HcpSession]
) -> dict[RunKey, Path]:
    """Find the events of the runs of sessions; a run need not have any."""
    runs = {run.key for session in sessions for run in session.runs}
    events = find_events(
        settings.paths.bids_dir,
        sorted({session.participant for session in sessions}),
        sessions=settings.selection.sessions,
        tasks=settings.selection.tasks or model.tasks,
        database_dir=settings.paths.bids_database_dir,
        make_database=False,
    )
    return {key: path for key, path in events.items() if key in runs}


def _doubts(
    settings: Settings,
    model: StudyModel,
    sessions: Sequence[HcpSession],
    events: Mapping[RunKey, Path],
) -> list[str]:
    """Say what the first level would stumble over; there is time to correct it until then."""
    rules, doubts = model.run.events, []
    dropped = settings.first_level.drop_volumes
    for run in (run for session in sessions for run in session.runs):
        path = events.get(run.key)
        if path is None:
            doubts.append(f'{run.series.name} has no events: it is preprocessed, but not fitted.')
            continue
        try:
            place_in_run(
                code_trials(read_events(path), rules),
                run.n_volumes,
                run.repetition_time,
                drop_volumes=dropped,
                series=run.series.name,
            )
        except InputError as error:
            text = str(error)
            doubts.append(text if str(path) in text else f'{path}: {text}')
    return doubts


def command_lines(settings: Settings, plan: Plan, fits: Collection[RunKey]) -> list[str]:
    """Give every command as ``session<TAB>stage<TAB>command``.

    Parameters
    ----------
    settings : Settings
    plan : Plan
    fits : collection of RunKey
        Runs that the first level will fit.
    """
    lines = []
    for session in plan.sessions:
        lines += [
            f'{command.session}\t{command.stage}\t{command.command}'
            for command in plan.todo
            if command.session == session.name and command.command
        ]
        if is_chosen(settings, FIRST_LEVEL):
            lines += [
                f'{session.name}\t{FIRST_LEVEL}\t{shlex.join(command)}'
                for command in _smoothing(settings, session, fits)
            ]
    return lines


def _smoothing(
    settings: Settings, session: HcpSession, fits: Collection[RunKey]
) -> list[list[str]]:
    """Give the commands by which the first level will smooth the runs of a session."""
    first = settings.first_level
    fwhm = kernel_fwhm(first.smoothing_fwhm, first.smoothing_mode, INHERENT_FWHM['hcp'])
    if not fwhm or first.smoother == 'native' or not shutil.which('wb_command'):
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
        if run.key in fits
    ]
