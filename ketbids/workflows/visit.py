"""One visit: all runs of a task in one session, from the time series to maps and a report."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.errors import InputError
from ketbids.interfaces.firstlevel import CombineRuns, read_surfaces
from ketbids.interfaces.reports import DescribeVisit, MapFigures
from ketbids.io.cifti import labels_misfit, series_models
from ketbids.io.inventory import RunFiles, Visit, bids_uri, link_name
from ketbids.io.meshes import make_anatomy
from ketbids.io.preprocessed import AVERAGE_SURFACES
from ketbids.model import RunModel
from ketbids.settings import Settings
from ketbids.stats.confounds import resolve_sets
from ketbids.workflows.firstlevel import FIT_OUTPUTS, init_run_glm_wf
from ketbids.workflows.outputs import figure_sink, init_ds_anatomy_wf, init_ds_statmaps_wf
from ketbids.workflows.reports import init_run_report_wf
from ketbids.workflows.smoothing import init_smoothing_wf

__all__ = ['init_visit_wf', 'visit_wf_name']

logger = logging.getLogger('ketbids')


def visit_wf_name(visit: Visit) -> str:
    """Name of a visit's workflow."""
    return visit.name.replace('-', '_') + '_wf'


def init_visit_wf(
    settings: Settings, model: RunModel, visit: Visit, *, workbench: bool
) -> pe.Workflow:
    """Fit every run of a visit, combine them, write maps, tables and the section of the page.

    Parameters
    ----------
    settings : Settings
    model : RunModel
    visit : Visit
    workbench : bool
        Smooth with wb_command.
    """
    visit, messages = _with_inflated(visit)
    workflow = pe.Workflow(name=visit_wf_name(visit))
    output_dir = str(settings.paths.output_dir)
    first = visit.runs[0]
    uris = {'': settings.paths.output_dir, 'raw': settings.paths.bids_dir}
    uris |= {link_name(root): root for root in {run.preprocessed.root for run in visit.runs}}
    several = len(visit.runs) > 1

    sections = pe.Node(niu.Merge(len(visit.runs)), name='sections')
    describe = pe.Node(
        DescribeVisit(session_id=visit.session, base_directory=output_dir, messages=messages),
        name='describe',
    )
    ds_section = figure_sink(
        'ds_section', output_dir, str(first.events), dismiss_run=several, suffix='section'
    )
    runs = []
    for number, run in enumerate(visit.runs, start=1):
        run_wf = init_run_wf(settings, model, run, uris, workbench=workbench, alone=not several)
        runs.append(run_wf)
        workflow.connect(run_wf, 'outputnode.section', sections, f'in{number}')
    anatomy = first.preprocessed.anatomy
    ds_anatomy_wf = init_ds_anatomy_wf(
        output_dir=output_dir,
        source_file=str(first.events),
        surfaces={
            f'{hemi}_{kind}': str(path)
            for kind in ('midthickness', 'inflated')
            for hemi, path in zip('LR', getattr(anatomy, kind), strict=True)
        },
        labels=_labels(visit),
        mesh=anatomy.mesh,
        sources={str(path): bids_uri(path, uris) for path in anatomy.files},
    )
    workflow.add_nodes([ds_anatomy_wf])
    workflow.connect([
        (sections, describe, [('out', 'runs')]),
        (describe, ds_section, [('out_file', 'in_file')]),
    ])  # fmt: skip
    if several:
        _connect_combination(workflow, runs, describe, settings, visit, uris, workbench=workbench)
    return workflow


def _with_inflated(visit: Visit) -> tuple[Visit, list[str]]:
    """Put others in the place of inflated surfaces that cannot be used: they serve pictures only.

    Returns
    -------
    visit : Visit
    messages : list of str
        For the page.
    """
    first = visit.runs[0].preprocessed
    try:
        models = series_models(first.series)
    except InputError:  # for the node that needs the series to say
        return visit, []
    try:
        read_surfaces([str(path) for path in first.anatomy.inflated], models)
    except InputError as error:
        found = make_anatomy(first.anatomy.midthickness, None, None, first.anatomy.mesh)
        assert found is not None
        kind = 'average inflated' if 'inflated' in found.template else 'midthickness'
        message = f'Pictures are on the {kind} surfaces. {error}'
        logger.warning('%s: %s', visit.name, message)
    else:
        return visit, []
    runs = []
    for run in visit.runs:
        anatomy = replace(run.preprocessed.anatomy, inflated=found.inflated)
        runs.append(replace(run, preprocessed=replace(run.preprocessed, anatomy=anatomy)))
    return replace(visit, runs=tuple(runs)), [message]


def _labels(visit: Visit) -> str | None:
    """Labels of a visit; those of another mesh are left out, as if there were none."""
    first = visit.runs[0].preprocessed
    labels = first.anatomy.labels
    if labels is None:
        return None
    try:
        reason = labels_misfit(labels, first.series)
    except InputError:  # for the node that needs the series to say
        return str(labels)
    if reason is None:
        return str(labels)
    logger.warning(
        '%s: the labels do not fit, and are left out: its regions do not count in the group. %s',
        visit.name,
        reason,
    )
    return None


def _connect_combination(
    workflow: pe.Workflow,
    runs: list[pe.Workflow],
    describe: pe.Node,
    settings: Settings,
    visit: Visit,
    uris: Mapping[str, Path],
    *,
    workbench: bool,
) -> None:
    """Add fixed effects over the runs of a visit."""
    output_dir = str(settings.paths.output_dir)
    first = visit.runs[0]
    fields = ('contrasts', 'effect', 'variance', 'sidecars')
    series = [str(run.preprocessed.series) for run in visit.runs]
    metadata = _metadata(settings, visit.runs, uris, workbench=workbench)
    combine = pe.Node(
        CombineRuns(series_files=series, caveat=metadata.get('Caveat', '')),
        name='combine',
        mem_gb=1,
    )
    for field in fields:
        merge = pe.Node(niu.Merge(len(runs), no_flatten=True), name=f'merge_{field}')
        for number, run_wf in enumerate(runs, start=1):
            workflow.connect(run_wf, f'outputnode.{field}', merge, f'in{number}')
        workflow.connect(merge, 'out', combine, field)
    ds_statmaps_wf = init_ds_statmaps_wf(
        output_dir=output_dir,
        source_file=str(first.events),
        metadata=metadata,
        dismiss_run=True,
    )
    figures = pe.Node(MapFigures(), name='figures')
    left, right = (str(path) for path in first.preprocessed.anatomy.inflated)
    figures.inputs.left_inflated, figures.inputs.right_inflated = left, right
    ds_maps = figure_sink(
        'ds_maps', output_dir, str(first.events), dismiss_run=True, suffix='statmap'
    )
    workflow.connect([
        (combine, ds_statmaps_wf, [(f, f'inputnode.{f}') for f in FIT_OUTPUTS]),
        (combine, figures, [('z', 'z'), ('contrasts', 'contrasts')]),
        (combine, ds_maps, [('contrasts', 'contrast')]),
        (combine, describe, [('contrasts', 'contrasts')]),
        (figures, ds_maps, [('figures', 'in_file')]),
        (ds_maps, describe, [('out_file', 'maps')]),
    ])  # fmt: skip


def init_run_wf(
    settings: Settings,
    model: RunModel,
    run: RunFiles,
    uris: Mapping[str, Path],
    *,
    workbench: bool,
    alone: bool,
) -> pe.Workflow:
    """Smooth and fit one run; write its maps, tables and figures.

    The maps of a run that is alone are those of the visit: they carry no run label.
    """
    label = run.key.label.replace('run-', '').replace('-', '_') or 'single'
    workflow = pe.Workflow(name=f'run_{label}_wf')
    first, output_dir = settings.first_level, str(settings.paths.output_dir)
    found = run.preprocessed
    sets = _sets(settings, run)
    conditions = [
        {
            'name': c.name,
            'where': {k: tuple(v) for k, v in c.where.items()},
            'response': c.response,
        }
        for c in model.conditions
    ]
    outputnode = pe.Node(
        niu.IdentityInterface(fields=['section', *FIT_OUTPUTS]), name='outputnode'
    )
    response = None
    if model.response_column is not None and model.response_window is not None:
        response = (model.response_column, model.response_window)
    smoothing_wf = init_smoothing_wf(fwhm=first.smoothing_fwhm, workbench=workbench, mem_gb=1)
    smoothing_wf.inputs.inputnode.in_file = str(found.series)
    left, right = (str(path) for path in found.anatomy.midthickness)
    smoothing_wf.inputs.inputnode.left_surface = left
    smoothing_wf.inputs.inputnode.right_surface = right
    glm_wf = init_run_glm_wf(
        conditions=conditions,
        response=response,
        contrasts={c.name: c.weights for c in model.contrasts},
        hrf_model=first.hrf_model,
        high_pass=first.high_pass,
        drop_volumes=first.drop_volumes,
        confounds=sets,
    )
    run_inputs = glm_wf.inputs.inputnode
    run_inputs.events_file, run_inputs.series_file = str(run.events), str(found.series)
    run_inputs.sidecars = [str(path) for path in found.sidecars]
    run_inputs.origin = found.origin
    if found.confounds is not None:
        run_inputs.confounds_file = str(found.confounds)
    if found.confounds_sidecar is not None:
        run_inputs.confounds_sidecar = str(found.confounds_sidecar)
    ds_statmaps_wf = init_ds_statmaps_wf(
        output_dir=output_dir,
        source_file=str(run.events),
        metadata=_metadata(settings, (run,), uris, workbench=workbench),
        dismiss_run=alone,
    )
    report_wf = init_run_report_wf(settings, run, conditions, sets)
    workflow.connect([
        (smoothing_wf, glm_wf, [('outputnode.out_file', 'inputnode.smoothed_file')]),
        (glm_wf, ds_statmaps_wf, [(f'outputnode.{f}', f'inputnode.{f}') for f in FIT_OUTPUTS]),
        (glm_wf, report_wf, [
            (f'outputnode.{f}', f'inputnode.{f}')
            for f in (
                *('trials_file', 'design_file', 'contrasts_file'),
                *('contrasts', 'z', 'sidecars', 'notes'),
            )
        ]),
        (glm_wf, outputnode, [(f'outputnode.{f}', f) for f in FIT_OUTPUTS]),
        (report_wf, outputnode, [('outputnode.section', 'section')]),
    ])  # fmt: skip
    return workflow


def _sets(settings: Settings, run: RunFiles) -> tuple[str, ...]:
    found = run.preprocessed
    return resolve_sets(
        settings.first_level.confounds, origin=found.origin, denoised=found.denoised
    )


def _common_sets(settings: Settings, runs: Sequence[RunFiles]) -> list[str]:
    """Sets of confounds of runs; if they differ, those of each run as one text."""
    found = list(dict.fromkeys(_sets(settings, run) for run in runs))
    return list(found[0]) if len(found) == 1 else [' '.join(sets) or 'none' for sets in found]


def _origin(run: RunFiles) -> str:
    if run.preprocessed.origin == 'fmriprep':
        return 'fMRIPrep'
    return 'HCP pipelines with FIX' if run.preprocessed.denoised else 'HCP pipelines'


def _metadata(
    settings: Settings, runs: Sequence[RunFiles], uris: Mapping[str, Path], *, workbench: bool
) -> dict[str, Any]:
    """Say in the sidecars of maps what they were made of."""
    denoised = all(run.preprocessed.denoised for run in runs)
    metadata: dict[str, Any] = {
        'Sources': [
            bids_uri(path, uris) for run in runs for path in (run.preprocessed.series, run.events)
        ],
        'SoftwareVersion': version('ketbids'),
        'Smoother': 'wb_command' if workbench else 'native',
        'SmoothingAddedFWHM': settings.first_level.smoothing_fwhm,
        'HRFModel': settings.first_level.hrf_model,
        'HighPassCutoffHz': settings.first_level.high_pass,
        'DroppedVolumes': settings.first_level.drop_volumes,
        'Preprocessing': ' and '.join(sorted({_origin(run) for run in runs})),
        'Confounds': _common_sets(settings, runs),
        'Surfaces': AVERAGE_SURFACES
        if any('midthickness' in run.preprocessed.anatomy.template for run in runs)
        else "participant's own",
    }
    if denoised:
        metadata['Caveat'] = (
            'The degrees of freedom that FIX removed are not counted: t and z of single runs are '
            'optimistic. Group inference uses effects only.'
        )
    return metadata
