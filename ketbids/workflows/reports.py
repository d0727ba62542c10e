"""Tables and figures of the participant level."""

from collections.abc import Sequence
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.reports import DescribeRun, MapFigures, RunFigures
from ketbids.io.inventory import RunFiles
from ketbids.settings import Settings
from ketbids.workflows.outputs import column_descriptions, figure_sink, sink

__all__ = ['init_run_report_wf']


def init_run_report_wf(
    settings: Settings, run: RunFiles, conditions: list[dict[str, Any]], sets: Sequence[str]
) -> pe.Workflow:
    """Write the tables and figures of a run, and its section of the participant's page.

    Parameters
    ----------
    settings : Settings
    run : RunFiles
    conditions : list of dict
        Conditions of the model file.
    sets : sequence of str
        Sets of confounds in the model.
    """
    workflow = pe.Workflow(name='report_wf')
    output_dir, source = str(settings.paths.output_dir), str(run.events)
    inputnode = pe.Node(
        niu.IdentityInterface(
            fields=[
                *('trials_file', 'design_file', 'contrasts_file'),
                *('contrasts', 'z', 'sidecars', 'notes'),
            ]
        ),
        name='inputnode',
    )
    outputnode = pe.Node(niu.IdentityInterface(fields=['section']), name='outputnode')
    confounds = run.preprocessed.confounds
    found: dict[str, Any] = {
        'series_file': str(run.preprocessed.series),
        'sidecars': [str(path) for path in run.preprocessed.sidecars],
        'origin': run.preprocessed.origin,
    }
    if confounds is not None:
        found['confounds_file'] = str(confounds)
    figures = pe.Node(
        RunFigures(conditions=[c['name'] for c in conditions], **found), name='figures'
    )
    maps = pe.Node(MapFigures(), name='maps')
    left, right = (str(path) for path in run.preprocessed.anatomy.inflated)
    maps.inputs.left_inflated, maps.inputs.right_inflated = left, right
    describe = pe.Node(
        DescribeRun(
            title=run.key.title,
            base_directory=output_dir,
            conditions=conditions,
            fwhm=settings.first_level.smoothing_fwhm,
            denoised=run.preprocessed.denoised,
            sets=list(sets),
            **found,
        ),
        name='describe',
    )
    tables = {'datatype': 'func', 'extension': '.tsv'}
    ds_trials = sink('ds_trials', output_dir, source, desc='trials', suffix='events', **tables)
    ds_trials.inputs.meta_dict = column_descriptions('trials')
    ds_design = sink('ds_design', output_dir, source, desc='design', suffix='timeseries', **tables)
    ds_design.inputs.meta_dict = column_descriptions('design')
    ds_figures = figure_sink('ds_figures', output_dir, source, suffix='timeseries')
    ds_maps = figure_sink('ds_maps', output_dir, source, suffix='statmap')
    workflow.connect([
        (inputnode, figures, [('trials_file', 'trials_file'), ('design_file', 'design_file')]),
        (inputnode, maps, [('z', 'z'), ('contrasts', 'contrasts')]),
        (inputnode, describe, [
            *((field, field) for field in ('trials_file', 'contrasts_file', 'contrasts')),
            ('sidecars', 'maps_sidecars'),
            ('notes', 'series_notes'),
        ]),
        (inputnode, ds_trials, [('trials_file', 'in_file')]),
        (inputnode, ds_design, [('design_file', 'in_file')]),
        (inputnode, ds_maps, [('contrasts', 'contrast')]),
        (figures, ds_figures, [('pictures', 'in_file'), ('names', 'desc')]),
        (maps, ds_maps, [('figures', 'in_file')]),
        (figures, describe, [('names', 'names')]),
        (ds_figures, describe, [('out_file', 'pictures')]),
        (ds_maps, describe, [('out_file', 'maps')]),
        (describe, outputnode, [('out_file', 'section')]),
    ])  # fmt: skip
    return workflow
