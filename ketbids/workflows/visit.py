"""One visit: all runs of a task in one session, from the time series to maps and a report."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.errors import InputError
from ketbids.interfaces.behaviour import Performance
from ketbids.interfaces.combineruns import CombineRuns
from ketbids.interfaces.reports import MapFigures
from ketbids.interfaces.runreports import DescribeVisit
from ketbids.interfaces.series import read_surfaces
from ketbids.interfaces.smoothing import SmoothingWeights
from ketbids.io.cifti import labels_misfit, series_models
from ketbids.io.columns import column_descriptions
from ketbids.io.inventory import Visit, bids_uri, link_name
from ketbids.io.meshes import make_anatomy
from ketbids.model import RunModel
from ketbids.settings import Settings
from ketbids.stats.autoregression import NOISE_FWHM
from ketbids.stats.brainmodels import BrainModels
from ketbids.workflows.metadata import kernel_of, map_metadata
from ketbids.workflows.outputs import (
    MAP_FIELDS,
    RUN_ENTITIES,
    figure_sink,
    init_ds_anatomy_wf,
    init_ds_statmaps_wf,
    sink,
)
from ketbids.workflows.run import init_run_wf

__all__ = ['init_visit_wf', 'visit_wf_name']

logger = logging.getLogger('ketbids')

#: What CombineRuns needs of each run.
_COMBINED = (
    *('contrasts', 'effect', 'variance', 'sidecars'),
    *('f_contrasts', 'f_joint', 'f_sidecars', 'not_estimable'),
)


def visit_wf_name(visit: Visit) -> str:
    """Name of a visit's workflow."""
    return visit.name.replace('-', '_') + '_wf'


def init_visit_wf(settings: Settings, model: RunModel, visit: Visit) -> pe.Workflow:
    """Fit every run of a visit, combine them, write maps, tables and the section of the page.

    Parameters
    ----------
    settings : Settings
    model : RunModel
    visit : Visit
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
        run_wf = init_run_wf(settings, model, run, uris, alone=not several)
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
    _connect_weights(workflow, runs, settings, visit)
    if model.events.stimuli is not None:
        _connect_behaviour(workflow, runs, describe, settings, model, visit)
    if several:
        _connect_combination(workflow, runs, describe, settings, model, visit, uris)
    return workflow


def _connect_weights(
    workflow: pe.Workflow, runs: Sequence[pe.Workflow], settings: Settings, visit: Visit
) -> None:
    """Compute smoothing weights, once per surfaces and kernel, for all runs that need them."""
    first = settings.first_level
    nodes: dict[tuple[Any, ...], pe.Node] = {}
    grids = _grids(visit)
    for run_wf, run, grid in zip(runs, visit.runs, grids, strict=True):
        kernels = {}
        if first.smoother == 'native' and kernel_of(first, run):
            kernels['weights_file'] = kernel_of(first, run)
        if first.noise_model.startswith('ar'):
            kernels['noise_weights_file'] = NOISE_FWHM
        left, right = (str(path) for path in run.preprocessed.anatomy.midthickness)
        for field, kernel in kernels.items():
            key = (left, right, grid, kernel)
            if key not in nodes:
                interface = SmoothingWeights(
                    series_file=str(run.preprocessed.series),
                    left_surface=left,
                    right_surface=right,
                    fwhm=kernel,
                )
                nodes[key] = pe.Node(interface, name=f'weights_{len(nodes)}', mem_gb=1)
            workflow.connect(nodes[key], 'out_file', run_wf, f'inputnode.{field}')


def _grids(visit: Visit) -> list[int]:
    """Number the grayordinates of the runs: runs with the same ones have the same number."""
    known: list[BrainModels] = []
    numbers = []
    for run in visit.runs:
        try:
            models = series_models(run.preprocessed.series)
        except InputError:  # for the node that needs the series to say
            numbers.append(-1)
            continue
        number = next((n for n, m in enumerate(known) if m.same_as(models)), len(known))
        if number == len(known):
            known.append(models)
        numbers.append(number)
    return numbers


def _connect_behaviour(
    workflow: pe.Workflow,
    runs: Sequence[pe.Workflow],
    describe: pe.Node,
    settings: Settings,
    model: RunModel,
    visit: Visit,
) -> None:
    """Add a table of how the task was done."""
    trials = pe.Node(niu.Merge(len(runs)), name='trials')
    for number, run_wf in enumerate(runs, start=1):
        workflow.connect(run_wf, 'outputnode.trials_file', trials, f'in{number}')
    performance = pe.Node(
        Performance(runs=[run.key.label for run in visit.runs], rules=model.events.to_dict()),
        name='performance',
    )
    ds_performance = sink(
        'ds_performance',
        str(settings.paths.output_dir),
        str(visit.runs[0].events),
        desc='performance',
        suffix='beh',
        datatype='beh',
        extension='.tsv',
        dismiss_entities=list(RUN_ENTITIES),
        meta_dict=column_descriptions('performance'),
    )
    workflow.connect([
        (trials, performance, [('out', 'trials_files')]),
        (performance, ds_performance, [('out_file', 'in_file')]),
        (performance, describe, [('out_file', 'performance_file')]),
    ])  # fmt: skip


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
    runs: Sequence[pe.Workflow],
    describe: pe.Node,
    settings: Settings,
    model: RunModel,
    visit: Visit,
    uris: Mapping[str, Path],
) -> None:
    """Add fixed effects over the runs of a visit."""
    output_dir, first = str(settings.paths.output_dir), visit.runs[0]
    series = [str(run.preprocessed.series) for run in visit.runs]
    combine = pe.Node(
        CombineRuns(
            series_files=series,
            labels=[run.key.label for run in visit.runs],
            metadata=[map_metadata(settings, run, uris) for run in visit.runs],
        ),
        name='combine',
        mem_gb=1,
    )
    for field in _COMBINED:
        merge = pe.Node(niu.Merge(len(runs), no_flatten=True), name=f'merge_{field}')
        for number, run_wf in enumerate(runs, start=1):
            workflow.connect(run_wf, f'outputnode.{field}', merge, f'in{number}')
        workflow.connect(merge, 'out', combine, field)
    ds_statmaps_wf = init_ds_statmaps_wf(
        output_dir=output_dir,
        source_file=str(first.events),
        metadata={},
        f_contrasts=any(c.test == 'F' for c in model.contrasts),
        dismiss_run=True,
    )
    figures = pe.Node(MapFigures(), name='figures')
    left, right = (str(path) for path in first.preprocessed.anatomy.inflated)
    figures.inputs.left_inflated, figures.inputs.right_inflated = left, right
    # Maps of F contrasts come after those of t contrasts.
    names, z, sidecars = (pe.Node(niu.Merge(2), name=name) for name in ('names', 'z', 'sidecars'))
    ds_maps = figure_sink(
        'ds_maps', output_dir, str(first.events), dismiss_run=True, suffix='statmap'
    )
    workflow.connect([
        (combine, ds_statmaps_wf, [(f, f'inputnode.{f}') for f in MAP_FIELDS]),
        (combine, names, [('contrasts', 'in1'), ('f_contrasts', 'in2')]),
        (combine, z, [('z', 'in1'), ('f_z', 'in2')]),
        (z, figures, [('out', 'z')]),
        (names, figures, [('out', 'contrasts')]),
        (names, ds_maps, [('out', 'contrast')]),
        (names, describe, [('out', 'contrasts')]),
        (combine, sidecars, [('sidecars', 'in1'), ('f_sidecars', 'in2')]),
        (sidecars, describe, [('out', 'maps_sidecars')]),
        (figures, ds_maps, [('figures', 'in_file')]),
        (ds_maps, describe, [('out_file', 'maps')]),
    ])  # fmt: skip
