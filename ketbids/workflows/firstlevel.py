"""The GLM of one run."""

from collections.abc import Mapping, Sequence
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.firstlevel import BuildRunDesign, CodeTrials, FitGLM

__all__ = ['FIT_OUTPUTS', 'init_run_glm_wf']

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

    Inputs
    ------
    events_file, series_file, smoothed_file
        Of the run.
    movement_file
        Movement regressors to put into the model; undefined: none.

    Outputs
    -------
    trials_file, design_file, contrasts_file
        What was modelled.
    contrasts, effect, variance, t, z, sidecars, density
        See `FitGLM`.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(
        niu.IdentityInterface(
            fields=['events_file', 'series_file', 'smoothed_file', 'movement_file']
        ),
        name='inputnode',
    )
    outputnode = pe.Node(
        niu.IdentityInterface(
            fields=['trials_file', 'design_file', 'contrasts_file', *FIT_OUTPUTS]
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
        ),
        name='design',
    )
    fit = pe.Node(FitGLM(), name='fit', mem_gb=1.5)
    workflow.connect([
        (inputnode, trials, [('events_file', 'events_file'), ('series_file', 'series_file')]),
        (inputnode, design, [('series_file', 'series_file'), ('movement_file', 'movement_file')]),
        (inputnode, fit, [('smoothed_file', 'series_file')]),
        (trials, design, [('out_file', 'trials_file')]),
        (design, fit, [('design_file', 'design_file'), ('contrasts_file', 'contrasts_file')]),
        (trials, outputnode, [('out_file', 'trials_file')]),
        (design, outputnode, [
            ('design_file', 'design_file'),
            ('contrasts_file', 'contrasts_file'),
        ]),
        (fit, outputnode, [(field, field) for field in FIT_OUTPUTS]),
    ])  # fmt: skip
    return workflow
