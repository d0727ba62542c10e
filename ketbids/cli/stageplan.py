"""What the preprocessing has to do, and with which commands."""

import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nipype.pipeline import engine as pe

from ketbids.cli.selection import chosen_participants, read_exclusion_list
from ketbids.errors import KetbidsError, ToolError
from ketbids.interfaces.hcp.tools import hcp_environment, matlab_mode
from ketbids.interfaces.workbench import smoothing_command
from ketbids.io.bids import find_events, participant_labels
from ketbids.io.filters import read_filters
from ketbids.io.hcpinputs import HcpSession
from ketbids.io.hcpnames import STAGES, SessionFolders, series_name, study_folder
from ketbids.io.raw.session import RawOptions, find_hcp_sessions
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.workflows.session import groups_of, init_preprocessing_wf, msmall_problem
from ketbids.workflows.stages import StageCommand, lacking_stages, to_run, walk

__all__ = ['FIRST_LEVEL', 'Plan', 'command_lines', 'is_chosen', 'make_plan', 'session_workflow']

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
    """

    sessions: list[HcpSession]
    environ: dict[str, str]
    commands: list[StageCommand]
    todo: list[StageCommand]


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
    if hcp.gdcoeffs is not None and not hcp.gdcoeffs.is_file():
        problems.append(f'{hcp.gdcoeffs} (--gdcoeffs) is not a file.')
        return Plan(sessions, environ, [], []), problems, []
    commands: list[StageCommand] = []
    lacking: list[str] = []
    for session in sessions:
        try:
            commands += walk(session_workflow(settings, [session], environ))
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
    return Plan(sessions, environ, commands, to_run(commands, stages)), problems, lacking


def session_workflow(
    settings: Settings, sessions: Sequence[HcpSession], environ: Mapping[str, str]
) -> pe.Workflow:
    """Build the workflow of sessions, whose scripts see the variables of `environ`."""
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
    if is_chosen(settings, FIRST_LEVEL):
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
            f'first level: --stages {" ".join(stage for stage in STAGES if stage != FIRST_LEVEL)}'
            for session in sessions
            for run in session.runs
            if run.key not in events
        ]
    return sessions, problems


def command_lines(settings: Settings, plan: Plan) -> list[str]:
    """Give every command as ``session<TAB>stage<TAB>command``."""
    lines = []
    for session in plan.sessions:
        lines += [
            f'{command.session}\t{command.stage}\t{command.command}'
            for command in plan.todo
            if command.session == session.name
        ]
        if is_chosen(settings, FIRST_LEVEL) and shutil.which('wb_command'):
            lines += [
                f'{session.name}\t{FIRST_LEVEL}\t{shlex.join(command)}'
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
