"""Tables and figures of the participant level."""

from collections.abc import Sequence

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.reports import MapFigures
from ketbids.interfaces.runreports import DescribeRun, RunFigures
from ketbids.io.columns import column_descriptions
from ketbids.io.inventory import RunFiles
from ketbids.settings import Settings
from ketbids.workflows.outputs import figure_sink, sink

__all__ = ['REPORT_FIELDS', 'init_run_report_wf']

_TABLES = ('trials_file', 'design_file', 'contrasts_file')
#: What the report shows of the GLM of a run.
REPORT_FIELDS = (
    *(*_TABLES, 'counts_file'),
    *('contrasts', 'z', 'sidecars', 'f_contrasts', 'f_z', 'quality', 'notes'),
)


def init_run_report_wf(
    settings: Settings,
    run: RunFiles,
    conditions: Sequence[str],
    sets: Sequence[str],
    *,
    smoothing: str,
) -> pe.Workflow:
    """Write the tables and figures of a run, and its section of the participant's page.

    Parameters
    ----------
    settings : Settings
    run : RunFiles
    conditions : sequence of str
        Names of the conditions of the model file.
    sets : sequence of str
        Sets of confounds in the model.
    smoothing : str
        How the series was smoothed, in words.

    Inputs
    ------
    trials_file, counts_file
        Of `CodeTrials`.
    design_file, contrasts_file
        Of `BuildRunDesign`.
    contrasts, z, sidecars, f_contrasts, f_z, quality, notes
        Of `FitGLM` or another engine.
    motion_file, motion_facts
        Of `RunQuality` (``out_file``, ``facts``).

    Outputs
    -------
    section
        Section of the page.
    """
    workflow = pe.Workflow(name='report_wf')
    output_dir, source = str(settings.paths.output_dir), str(run.events)
    inputnode = pe.Node(
        niu.IdentityInterface(fields=[*REPORT_FIELDS, 'motion_file', 'motion_facts']),
        name='inputnode',
    )
    outputnode = pe.Node(niu.IdentityInterface(fields=['section']), name='outputnode')
    timing = {
        'series_file': str(run.preprocessed.series),
        'sidecars': [str(path) for path in run.preprocessed.sidecars],
    }
    figures = pe.Node(
        RunFigures(conditions=list(conditions), origin=run.preprocessed.origin, **timing),
        name='figures',
    )
    if run.preprocessed.confounds is not None:
        figures.inputs.confounds_file = str(run.preprocessed.confounds)
    # Maps of F contrasts come after those of t contrasts.
    names = pe.Node(niu.Merge(2), name='names')
    z = pe.Node(niu.Merge(2), name='z')
    maps = pe.Node(MapFigures(), name='maps')
    left, right = (str(path) for path in run.preprocessed.anatomy.inflated)
    maps.inputs.left_inflated, maps.inputs.right_inflated = left, right
    describe = pe.Node(
        DescribeRun(
            title=run.key.title,
            base_directory=output_dir,
            smoothing=smoothing,
            denoised=run.preprocessed.denoised,
            sets=list(sets),
            **timing,
        ),
        name='describe',
    )
    ds_figures = figure_sink('ds_figures', output_dir, source, suffix='timeseries')
    ds_maps = figure_sink('ds_maps', output_dir, source, suffix='statmap')
    workflow.connect([
        (inputnode, figures, [(f, f) for f in (*_TABLES, 'quality', 'motion_file')]),
        (inputnode, names, [('contrasts', 'in1'), ('f_contrasts', 'in2')]),
        (inputnode, z, [('z', 'in1'), ('f_z', 'in2')]),
        (names, maps, [('out', 'contrasts')]),
        (z, maps, [('out', 'z')]),
        (inputnode, describe, [
            *((f, f) for f in ('trials_file', 'contrasts_file', 'counts_file', 'quality')),
            ('motion_facts', 'motion_facts'),
            ('sidecars', 'maps_sidecars'),
            ('notes', 'series_notes'),
        ]),
        (names, describe, [('out', 'contrasts')]),
        (names, ds_maps, [('out', 'contrast')]),
        (figures, ds_figures, [('pictures', 'in_file'), ('names', 'desc')]),
        (maps, ds_maps, [('figures', 'in_file')]),
        (figures, describe, [('names', 'names')]),
        (ds_figures, describe, [('out_file', 'pictures')]),
        (ds_maps, describe, [('out_file', 'maps')]),
        (describe, outputnode, [('out_file', 'section')]),
    ])  # fmt: skip
    nodes = {}
    for field, desc, suffix in (
        ('trials_file', 'trials', 'events'),
        ('counts_file', 'counts', 'events'),
        ('design_file', 'design', 'timeseries'),
    ):
        nodes[desc] = sink(
            f'ds_{desc}',
            output_dir,
            source,
            desc=desc,
            suffix=suffix,
            datatype='func',
            extension='.tsv',
            meta_dict=column_descriptions(desc),
        )
        workflow.connect(inputnode, field, nodes[desc], 'in_file')
    workflow.connect(describe, 'design_sidecar', nodes['design'], 'sidecars')
    return workflow
