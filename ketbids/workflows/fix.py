"""Cleaning of runs by ICA and FIX, by labels given by hand, and alignment of surfaces after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.fix import DEFAULT_MODEL, IcaFix, IcaFixMultiRun
from ketbids.interfaces.hcp.msmall import DeDriftAndResample, MSMAll
from ketbids.interfaces.refix import (
    ApplyHandReClassifications,
    PostFix,
    ReApplyFix,
    ReApplyFixMultiRun,
)
from ketbids.io.handlabels import label_files
from ketbids.io.hcpnames import FixGroup, SessionFolders
from ketbids.workflows.hcp import HIGH_MESH, LOW_MESH, REGISTRATION, SMOOTHING, Pipelines

__all__ = ['FixOptions', 'init_fix_wf', 'init_msmall_wf']

#: Training data of the older FIX for single runs; for all others there is a newer set.
_SINGLE_RUN_MODEL = 'HCP_hp2000'

#: Runs that MSMAll takes together. The name holds no BIDS label, so as not to look like a run.
_JOINED = 'MSMALL_RUNS'
#: Files of the templates of MSMAll.
_MYELIN_TARGET = (
    'Q1-Q6_RelatedParcellation210.MyelinMap_BC_MSMAll_2_d41_WRN_DeDrift.32k_fs_LR.dscalar.nii'
)
_DRIFT = 'DeDriftingGroup.{}.sphere.DeDriftMSMAll.164k_fs_LR.surf.gii'


@dataclass(frozen=True)
class FixOptions:
    """How FIX cleans.

    Attributes
    ----------
    training : str or None
        Training set; None: that of the HCP.
    threshold : int
        Components below this probability of being signal are noise, percent.
    motion_regression : bool
        Remove movement, too.
    labelled : bool
        Components have labels that were given by hand, or had.
    """

    training: str | None = None
    threshold: int = 10
    motion_regression: bool = False
    labelled: bool = False


def init_fix_wf(
    pipelines: Pipelines,
    *,
    folders: SessionFolders,
    group: FixGroup,
    options: FixOptions,
    name: str = 'fix_wf',
) -> pe.Workflow:
    """Clean runs: FIX, PostFix, and ReApplyFix where there are, or were, labels given by hand.

    Parameters
    ----------
    pipelines : Pipelines
    folders : SessionFolders
    group : FixGroup
        Runs that are cleaned together.
    options : FixOptions

    Inputs
    ------
    after
        Records of the runs.

    Outputs
    -------
    record
        Of the stage that cleaned the runs.
    cleaned
        Dense series: of the joined runs, or of the single run.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(niu.IdentityInterface(fields=['after']), name='inputnode')
    outputnode = pe.Node(niu.IdentityInterface(fields=['record', 'cleaned']), name='outputnode')
    study = _study(folders)
    fix = pipelines.node(_fix(pipelines, folders, group, options), 'fix', mem_gb=16)
    scenes = pipelines.hcp_dir / 'ICAFIX' / 'PostFixScenes'
    post_fix = pipelines.node(
        PostFix(
            **pipelines.common(folders, 'PostFix', group.name),
            **study,
            fmri_name=group.name,
            high_pass=group.high_pass,
            dual_screen_template=str(scenes / 'ICA_Classification_DualScreenTemplate.scene'),
            single_screen_template=str(scenes / 'ICA_Classification_SingleScreenTemplate.scene'),
            reuse_high_pass='YES' if group.concatenates else 'NO',
            **pipelines.matlab,
        ),
        'post_fix',
        mem_gb=4,
    )
    workflow.connect([
        (inputnode, fix, [('after', 'after')]),
        (fix, post_fix, [('record', 'after')]),
    ])  # fmt: skip
    last = fix
    if options.labelled:
        last = _connect_labels(workflow, pipelines, folders, group, options)
    workflow.connect([(last, outputnode, [('record', 'record'), ('dense_cleaned', 'cleaned')])])
    return workflow


def _study(folders: SessionFolders) -> dict[str, str]:
    return {'study_folder': str(folders.study), 'session': folders.session}


def _fix(
    pipelines: Pipelines, folders: SessionFolders, group: FixGroup, options: FixOptions
) -> IcaFix | IcaFixMultiRun:
    """Make the script for a group of runs."""
    given = {
        **pipelines.common(folders, 'ICAFIX', group.name),
        **_study(folders),
        'high_pass': group.high_pass,
        'motion_regression': options.motion_regression,
        'fix_threshold': options.threshold,
    }
    if not group.concatenates:
        training = options.training or _SINGLE_RUN_MODEL
        return IcaFix(**given, fmri_name=group.name, training_file=training)
    return IcaFixMultiRun(
        **given,
        fmri_names=list(group.runs),
        concat_fmri_name=group.name,
        enable_legacy_fix=group.kind == 'legacy',
        training_file=options.training or DEFAULT_MODEL,
        **pipelines.matlab,
    )


def _connect_labels(
    workflow: pe.Workflow,
    pipelines: Pipelines,
    folders: SessionFolders,
    group: FixGroup,
    options: FixOptions,
) -> pe.Node:
    """Merge labels given by hand with the classes of FIX, and clean again."""
    study = _study(folders)
    signal, noise = label_files(group.ica(folders))
    apply_labels = pipelines.node(
        ApplyHandReClassifications(
            **pipelines.common(folders, 'ApplyHandReClassifications', group.name),
            **study,
            fmri_name=group.name,
            high_pass=group.high_pass,
            signal_file=str(signal),
            noise_file=str(noise),
        ),
        'apply_labels',
        mem_gb=1,
    )
    given = {
        **pipelines.common(folders, 'ReApplyFix', group.name),
        **study,
        'high_pass': group.high_pass,
        'registration_name': 'NONE',
        'low_res_mesh': LOW_MESH,
        'motion_regression': options.motion_regression,
        **pipelines.matlab,
    }
    script: Any = (
        ReApplyFixMultiRun(**given, fmri_names=list(group.runs), concat_fmri_name=group.name)
        if group.concatenates
        else ReApplyFix(**given, fmri_name=group.name)
    )
    clean = pipelines.node(script, 'clean_again', mem_gb=16)
    post_fix = workflow.get_node('post_fix')
    workflow.connect([
        (post_fix, apply_labels, [('record', 'after')]),
        (apply_labels, clean, [('record', 'after')]),
    ])  # fmt: skip
    return clean


def init_msmall_wf(
    pipelines: Pipelines,
    *,
    folders: SessionFolders,
    groups: Sequence[FixGroup],
    use: Sequence[str],
    motion_regression: bool,
    name: str = 'msmall_wf',
) -> pe.Workflow:
    """Align the cortex by all features, and clean the runs again on the new surfaces.

    Parameters
    ----------
    pipelines : Pipelines
    folders : SessionFolders
    groups : sequence of FixGroup
        Not empty.
    use : sequence of str
        Names of the runs by which the cortex is aligned.
    motion_regression : bool
        As FIX was told.

    Inputs
    ------
    after
        Records of the stages that cleaned the runs.

    Outputs
    -------
    record
        Of the last stage.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(niu.IdentityInterface(fields=['after']), name='inputnode')
    outputnode = pe.Node(niu.IdentityInterface(fields=['record']), name='outputnode')
    templates = pipelines.hcp_dir / 'global' / 'templates' / 'MSMAll'
    high_pass = groups[0].high_pass
    common = {**_study(folders), 'high_res_mesh': HIGH_MESH, 'high_pass': high_pass}
    common |= {'myelin_target': str(templates / _MYELIN_TARGET), **pipelines.matlab}
    align = pipelines.node(
        MSMAll(
            **pipelines.common(folders, 'MSMAll'),
            **common,
            **_series_to_align_by(groups, use),
            output_fmri_name=_JOINED,
            processing_string=f'_Atlas_hp{high_pass}_clean',
            templates_dir=str(templates),
            input_registration=REGISTRATION,
            output_registration='MSMAll_InitialReg',
            low_res_mesh=LOW_MESH,
        ),
        'align',
        mem_gb=16,
    )
    resample = pipelines.node(
        DeDriftAndResample(
            **pipelines.common(folders, 'DeDriftAndResample'),
            **common,
            **_series_to_resample(groups),
            low_res_meshes=[LOW_MESH],
            registration_name=align.interface.registration,
            dedrift_spheres=[str(templates / _DRIFT.format(side)) for side in 'LR'],
            output_registration='MSMAll',
            maps=['sulc', 'curvature', 'corrThickness', 'thickness'],
            myelin_maps=['MyelinMap', 'SmoothedMyelinMap'],
            smoothing=SMOOTHING,
            motion_regression=motion_regression,
        ),
        'resample',
        mem_gb=16,
    )
    workflow.connect([
        (inputnode, align, [('after', 'after')]),
        (align, resample, [('record', 'after')]),
        (resample, outputnode, [('record', 'record')]),
    ])  # fmt: skip
    return workflow


def _series_to_align_by(groups: Sequence[FixGroup], use: Sequence[str]) -> dict[str, Any]:
    """Give the series of MSMAll: runs of the one group, or what was cleaned one by one."""
    if len(groups) == 1 and groups[0].concatenates:
        return {
            'fmri_names_list': [],
            'multirun_fix_names': list(groups[0].runs),
            'multirun_fix_concat_name': groups[0].name,
            'multirun_fix_names_to_use': list(use),
        }
    return {
        'fmri_names_list': [group.name for group in groups if set(group.runs) & set(use)],
        'multirun_fix_names': [],
        'multirun_fix_concat_name': '',
        'multirun_fix_names_to_use': [],
    }


def _series_to_resample(groups: Sequence[FixGroup]) -> dict[str, Any]:
    """Give the series of DeDriftAndResample."""
    joined = [group for group in groups if group.concatenates]
    if not joined:
        return {'fix_names': [group.name for group in groups]}
    return {
        'multirun_fix_names': [list(group.runs) for group in joined],
        'multirun_fix_concat_names': [group.name for group in joined],
    }
