"""A session of raw data, from its images to cleaned grayordinates."""

from collections.abc import Mapping, Sequence

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.io.handlabels import labels_matter
from ketbids.io.hcpinputs import BoldInputs, HcpSession
from ketbids.io.hcpnames import FixGroup, SessionFolders, fix_groups, study_folder
from ketbids.settings import Settings
from ketbids.workflows.fix import FixOptions, init_fix_wf, init_msmall_wf
from ketbids.workflows.hcp import Pipelines, init_hcp_anat_wf, init_hcp_func_wf, node_name

__all__ = [
    'groups_of',
    'init_preprocessing_wf',
    'init_session_wf',
    'msmall_problem',
    'session_wf_name',
]

#: Runs that MSMAll can use, together, s. The connectivity of shorter ones is no basis for it.
_MSMALL_SECONDS = 600
_REST = 'rest'


def session_wf_name(session: HcpSession) -> str:
    """Name of a session's workflow."""
    return node_name(session.name) + '_hcp_wf'


def groups_of(settings: Settings, session: HcpSession) -> tuple[FixGroup, ...]:
    """Decide which runs of a session FIX cleans together."""
    return fix_groups(
        [run.name for run in session.runs],
        fix=settings.hcp.fix,
        grouping=settings.hcp.fix_runs,
        high_pass=settings.hcp.fix_high_pass,
    )


def _is_rest(run: BoldInputs) -> bool:
    return run.key.task.lower().startswith(_REST)


def msmall_problem(settings: Settings, session: HcpSession) -> str | None:
    """Say why MSMAll cannot be done with a session; None if it can, or is not asked for.

    It needs myelin maps (T2w), cleaned runs (FIX), and enough of them: runs of a resting-state
    task, or at least 10 minutes together.
    """
    if not settings.hcp.msmall or not session.runs:
        return None
    start = f'{session.name}: --msmall'
    if settings.hcp.fix == 'none':
        return f'{start} needs runs that FIX cleaned. Leave out --fix none, or --msmall.'
    if not session.anat.t2w:
        return (
            f'{start} needs a T2w image, for the myelin map, and there is none. Add it, or leave '
            'out --msmall.'
        )
    seconds = sum(run.n_volumes * run.repetition_time for run in session.runs)
    if seconds >= _MSMALL_SECONDS or any(map(_is_rest, session.runs)):
        return None
    return (
        f'{start} needs runs of a resting-state task (task-{_REST}), or at least '
        f'{_MSMALL_SECONDS // 60} minutes of other runs; there are {seconds / 60:.2f} minutes. '
        'Leave out --msmall: the surfaces are then aligned by folding (MSMSulc).'
    )


def init_preprocessing_wf(
    settings: Settings,
    sessions: Sequence[HcpSession],
    *,
    environ: Mapping[str, str],
    matlab_mode: int | None,
) -> pe.Workflow:
    """Preprocess sessions, independent of each other (see `init_session_wf`)."""
    workflow = pe.Workflow(name='preprocessing_wf', base_dir=str(settings.paths.work_dir))
    workflow.add_nodes(
        [
            init_session_wf(settings, session, environ=environ, matlab_mode=matlab_mode)
            for session in sessions
        ]
    )
    return workflow


def init_session_wf(
    settings: Settings,
    session: HcpSession,
    *,
    environ: Mapping[str, str],
    matlab_mode: int | None,
) -> pe.Workflow:
    """Take a session through the HCP pipelines.

    PreFreeSurfer, FreeSurfer, PostFreeSurfer; fMRIVolume and fMRISurface of each run; FIX and
    PostFix of each group of runs; ReApplyFix where there are labels given by hand; MSMAll and
    DeDriftAndResample if asked for.

    Parameters
    ----------
    settings : Settings
    session : HcpSession
    environ : mapping of str to str
        All environment variables that the scripts get.
    matlab_mode : int or None
        0: compiled, 1: MATLAB, 2: Octave; None: as the scripts do it.

    Raises
    ------
    InputError
        If files with hand labels cannot be read (see `ketbids.io.handlabels`).
    """
    workflow = pe.Workflow(name=session_wf_name(session), base_dir=str(settings.paths.work_dir))
    pipelines = Pipelines(
        hcp_dir=settings.hcp.hcp_dir,
        environ=environ,
        gdcoeffs=settings.hcp.gdcoeffs,
        legacy=settings.hcp.processing_mode == 'legacy',
        matlab_mode=matlab_mode,
        threads=settings.resources.omp_nthreads,
    )
    folders = SessionFolders(study_folder(settings.paths.output_dir), session.name)
    anat_wf = init_hcp_anat_wf(pipelines, folders=folders, anat=session.anat)
    workflow.add_nodes([anat_wf])
    func_wfs = {}
    for run in session.runs:
        func_wf = init_hcp_func_wf(pipelines, folders=folders, run=run)
        workflow.connect(anat_wf, 'outputnode.record', func_wf, 'inputnode.after')
        func_wfs[run.name] = func_wf
    groups = groups_of(settings, session)
    fix_wfs = [
        _connect_fix(workflow, pipelines, settings, folders, group, func_wfs) for group in groups
    ]
    if settings.hcp.msmall and groups:
        rest = [run.name for run in session.runs if _is_rest(run)]
        msmall_wf = init_msmall_wf(
            pipelines,
            folders=folders,
            groups=groups,
            use=rest or [run.name for run in session.runs],
            motion_regression=settings.hcp.fix_motion_regression,
        )
        cleaned = pe.Node(niu.Merge(len(fix_wfs)), name='cleaned')
        for number, fix_wf in enumerate(fix_wfs, start=1):
            workflow.connect(fix_wf, 'outputnode.record', cleaned, f'in{number}')
        workflow.connect(cleaned, 'out', msmall_wf, 'inputnode.after')
    return workflow


def _connect_fix(
    workflow: pe.Workflow,
    pipelines: Pipelines,
    settings: Settings,
    folders: SessionFolders,
    group: FixGroup,
    func_wfs: Mapping[str, pe.Workflow],
) -> pe.Workflow:
    """Add FIX of a group of runs."""
    options = FixOptions(
        training=settings.hcp.fix_training,
        threshold=settings.hcp.fix_threshold,
        motion_regression=settings.hcp.fix_motion_regression,
        labelled=labels_matter(group.ica(folders)),
    )
    fix_wf = init_fix_wf(
        pipelines,
        folders=folders,
        group=group,
        options=options,
        name=f'fix_{node_name(group.name)}_wf',
    )
    records = pe.Node(niu.Merge(len(group.runs)), name=f'records_{node_name(group.name)}')
    for number, run in enumerate(group.runs, start=1):
        workflow.connect(func_wfs[run], 'outputnode.record', records, f'in{number}')
    workflow.connect(records, 'out', fix_wf, 'inputnode.after')
    return fix_wf
