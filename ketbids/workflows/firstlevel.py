"""The GLM of one run."""

from collections.abc import Mapping, Sequence
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.firstlevel import FitGLM
from ketbids.interfaces.rundesign import BuildRunDesign, CodeTrials

__all__ = ['FIT_OUTPUTS', 'RUN_FIELDS', 'init_run_glm_wf']

#: What nodes need to know of a run beside its time series and events.
RUN_FIELDS = ('sidecars', 'confounds_file', 'confounds_sidecar', 'origin')

#: What FitGLM and CombineRuns hand to the sinks.
FIT_OUTPUTS = ('contrasts', 'effect', 'variance', 't', 'z', 'sidecars', 'density')


def init_run_glm_wf(
    *,
    conditions: Sequence[Mapping[str, Any]],
    response: tuple[str, tuple[float, float]] | None,
    contrasts: Mapping[str, Mapping[str, float]],
    hrf_model: str,
    high_pass: float,
    drop_volumes: int,
    confounds: Sequence[str] = (),
    name: str = 'run_glm_wf',
) -> pe.Workflow:
    """Sort trials into conditions, make the design, fit the prewhitened GLM.

    Parameters
    ----------
    conditions : sequence of mapping
        Fields of `ketbids.stats.events.Condition`.
    response : tuple or None
        Column with response times, and the window in seconds.
    contrasts : mapping
        Weights of conditions, per contrast.
    hrf_model : str
        Name of nilearn's haemodynamic model.
    high_pass : float
        Cut-off, Hz.
    drop_volumes : int
        Volumes removed from the start of the run.
    confounds : sequence of str
        Sets of confounds to put into the model (`ketbids.stats.confounds.choose_confounds`).

    Inputs
    ------
    events_file, series_file, smoothed_file
        Of the run.
    sidecars
        JSON files of the time series.
    confounds_file, confounds_sidecar
        Table of confounds and its JSON file; undefined: there is none.
    origin
        Who preprocessed the run: ``hcp`` or ``fmriprep``.

    Outputs
    -------
    trials_file, design_file, contrasts_file
        What was modelled.
    contrasts, effect, variance, t, z, sidecars, density
        See `FitGLM`.
    notes
        What is odd about the time series.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(
        niu.IdentityInterface(fields=['events_file', 'series_file', 'smoothed_file', *RUN_FIELDS]),
        name='inputnode',
    )
    outputnode = pe.Node(
        niu.IdentityInterface(
            fields=['trials_file', 'design_file', 'contrasts_file', 'notes', *FIT_OUTPUTS]
        ),
        name='outputnode',
    )
    trials = pe.Node(
        CodeTrials(conditions=[dict(c) for c in conditions], drop_volumes=drop_volumes),
        name='trials',
    )
    if response is not None:
        trials.inputs.response_column, trials.inputs.window = response
    design = pe.Node(
        BuildRunDesign(
            conditions=[c['name'] for c in conditions],
            contrasts={key: dict(weights) for key, weights in contrasts.items()},
            hrf_model=hrf_model,
            high_pass=high_pass,
            sets=list(confounds),
        ),
        name='design',
    )
    fit = pe.Node(FitGLM(), name='fit', mem_gb=1.5)
    workflow.connect([
        (inputnode, trials, [
            (field, field) for field in ('events_file', 'series_file', 'sidecars')
        ]),
        (inputnode, design, [(field, field) for field in ('series_file', *RUN_FIELDS)]),
        (inputnode, fit, [
            ('smoothed_file', 'series_file'),
            ('series_file', 'source_file'),
            ('origin', 'origin'),
        ]),
        (trials, design, [('out_file', 'trials_file'), ('notes', 'notes')]),
        (design, fit, [('design_file', 'design_file'), ('contrasts_file', 'contrasts_file')]),
        (trials, outputnode, [('out_file', 'trials_file')]),
        (design, outputnode, [
            ('design_file', 'design_file'),
            ('contrasts_file', 'contrasts_file'),
        ]),
        (fit, outputnode, [(field, field) for field in (*FIT_OUTPUTS, 'notes')]),
    ])  # fmt: skip
    return workflow
