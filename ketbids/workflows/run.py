"""One run: from the time series and the events to maps, tables and a section of the page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.motion import RunQuality
from ketbids.io.columns import column_descriptions
from ketbids.io.inventory import RunFiles
from ketbids.io.rawvolumes import raw_volumes
from ketbids.model import RunModel
from ketbids.settings import Settings
from ketbids.workflows.firstlevel import FIT_OUTPUTS, init_run_glm_wf
from ketbids.workflows.metadata import confound_sets, kernel_of, map_metadata, smoothing_text
from ketbids.workflows.outputs import MAP_FIELDS, init_ds_statmaps_wf, sink
from ketbids.workflows.reports import REPORT_FIELDS, init_run_report_wf
from ketbids.workflows.smoothing import init_smoothing_wf

__all__ = ['init_run_wf']


def init_run_wf(
    settings: Settings,
    model: RunModel,
    run: RunFiles,
    uris: Mapping[str, Path],
    *,
    alone: bool,
) -> pe.Workflow:
    """Smooth and fit one run; write its maps, tables and figures.

    The maps of a run that is alone are those of the visit: they carry no run label.

    Inputs
    ------
    weights_file, noise_weights_file
        Of `SmoothingWeights`, for the time series and for the noise model; undefined: not needed.

    Outputs
    -------
    section
        Section of the page.
    trials_file, contrasts, effect, variance, ...
        What was modelled and estimated.
    """
    label = run.key.label.replace('run-', '').replace('-', '_') or 'single'
    workflow = pe.Workflow(name=f'run_{label}_wf')
    first, resources = settings.first_level, settings.resources
    output_dir, found = str(settings.paths.output_dir), run.preprocessed
    sets = confound_sets(settings, run)
    inputnode = pe.Node(
        niu.IdentityInterface(fields=['weights_file', 'noise_weights_file']), name='inputnode'
    )
    outputnode = pe.Node(
        niu.IdentityInterface(fields=['section', 'trials_file', *FIT_OUTPUTS]), name='outputnode'
    )
    smoothing_wf = init_smoothing_wf(
        kernel=kernel_of(first, run),
        smoother=first.smoother,
        num_threads=resources.omp_nthreads,
        mem_gb=1,
    )
    glm_wf = init_run_glm_wf(
        rules=model.events.to_dict(),
        contrasts={
            c.name: {'rows': [dict(row) for row in c.rows], 'test': c.test}
            for c in model.contrasts
        },
        design=_design(settings, run, sets),
        noise_model=first.noise_model,
        removed_components=found.removed_components,
        num_threads=resources.omp_nthreads,
    )
    _set_inputs(smoothing_wf, glm_wf, run)
    metadata = map_metadata(settings, run, uris)
    ds_statmaps_wf = init_ds_statmaps_wf(
        output_dir=output_dir,
        source_file=str(run.events),
        metadata=metadata,
        f_contrasts=any(c.test == 'F' for c in model.contrasts),
        dismiss_run=alone,
    )
    report_wf = init_run_report_wf(
        settings,
        run,
        [c.name for c in model.events.conditions],
        sets,
        smoothing=smoothing_text(first, run),
    )
    workflow.connect([
        (inputnode, smoothing_wf, [('weights_file', 'inputnode.weights_file')]),
        (inputnode, glm_wf, [('noise_weights_file', 'inputnode.weights_file')]),
        (smoothing_wf, glm_wf, [('outputnode.out_file', 'inputnode.smoothed_file')]),
        (glm_wf, ds_statmaps_wf, [(f'outputnode.{f}', f'inputnode.{f}') for f in MAP_FIELDS]),
        (glm_wf, report_wf, [(f'outputnode.{f}', f'inputnode.{f}') for f in REPORT_FIELDS]),
        (glm_wf, outputnode, [(f'outputnode.{f}', f) for f in ('trials_file', *FIT_OUTPUTS)]),
        (report_wf, outputnode, [('outputnode.section', 'section')]),
    ])  # fmt: skip
    _connect_quality(workflow, glm_wf, report_wf, run, metadata, output_dir)
    return workflow


def _design(settings: Settings, run: RunFiles, sets: tuple[str, ...]) -> dict[str, Any]:
    """Inputs of the design matrix that do not come from other nodes."""
    first, volumes = settings.first_level, raw_volumes(run.events)
    design = {
        'hrf_model': first.hrf_model,
        'high_pass': first.high_pass,
        'drop_volumes': first.drop_volumes,
        'sets': list(sets),
    }
    return design if volumes is None else {**design, 'raw_volumes': volumes}


def _set_inputs(smoothing_wf: pe.Workflow, glm_wf: pe.Workflow, run: RunFiles) -> None:
    """Name the files of a run."""
    found = run.preprocessed
    left, right = (str(path) for path in found.anatomy.midthickness)
    smoothing_wf.inputs.inputnode.trait_set(
        in_file=str(found.series), left_surface=left, right_surface=right
    )
    inputs = glm_wf.inputs.inputnode
    inputs.trait_set(
        events_file=str(run.events),
        series_file=str(found.series),
        sidecars=[str(path) for path in found.sidecars],
        origin=found.origin,
        left_surface=left,
        right_surface=right,
    )
    if found.confounds is not None:
        inputs.confounds_file = str(found.confounds)
    if found.confounds_sidecar is not None:
        inputs.confounds_sidecar = str(found.confounds_sidecar)


def _connect_quality(
    workflow: pe.Workflow,
    glm_wf: pe.Workflow,
    report_wf: pe.Workflow,
    run: RunFiles,
    metadata: Mapping[str, Any],
    output_dir: str,
) -> None:
    """Add what tells how good a run is: movement and DVARS, and whiteness of the residuals."""
    found, source = run.preprocessed, str(run.events)
    quality = pe.Node(
        RunQuality(
            series_file=str(found.series),
            sidecars=[str(path) for path in found.sidecars],
            origin=found.origin,
            descriptions=column_descriptions('motion'),
        ),
        name='quality',
    )
    if found.confounds is not None:
        quality.inputs.confounds_file = str(found.confounds)
    ds_motion = sink(
        'ds_motion',
        output_dir,
        source,
        desc='motion',
        suffix='timeseries',
        datatype='func',
        extension='.tsv',
    )
    ds_whiteness = sink(
        'ds_whiteness',
        output_dir,
        source,
        space='fsLR',
        desc='whiteness',
        suffix='statmap',
        datatype='func',
        optional=True,
        meta_dict=dict(metadata),
    )
    workflow.connect([
        (quality, ds_motion, [('out_file', 'in_file'), ('dictionary', 'sidecars')]),
        (quality, report_wf, [
            ('out_file', 'inputnode.motion_file'),
            ('facts', 'inputnode.motion_facts'),
        ]),
        (glm_wf, ds_whiteness, [
            ('outputnode.whiteness', 'in_file'),
            ('outputnode.whiteness_sidecars', 'sidecars'),
            ('outputnode.density', 'den'),
        ]),
    ])  # fmt: skip
