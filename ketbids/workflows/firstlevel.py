"""The GLM of one run."""

from collections.abc import Mapping
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.film import FitFilm
from ketbids.interfaces.firstlevel import FitGLM
from ketbids.interfaces.rundesign import BuildRunDesign
from ketbids.interfaces.trials import CodeTrials
from ketbids.workflows.outputs import MAP_FIELDS

__all__ = ['FIT_OUTPUTS', 'RUN_FIELDS', 'init_run_glm_wf']

#: What nodes need to know of a run beside its time series and events.
RUN_FIELDS = ('sidecars', 'confounds_file', 'confounds_sidecar', 'origin')

#: What the fit of a run hands on.
FIT_OUTPUTS = (
    *(*MAP_FIELDS, 'f_joint', 'not_estimable', 'notes'),
    *('whiteness', 'whiteness_sidecars', 'quality'),
)

_TABLES = ('trials_file', 'counts_file', 'design_file', 'contrasts_file')


def init_run_glm_wf(
    *,
    rules: Mapping[str, Any],
    contrasts: Mapping[str, Mapping[str, Any]],
    design: Mapping[str, Any],
    noise_model: str,
    removed_components: int | None,
    num_threads: int,
    name: str = 'run_glm_wf',
) -> pe.Workflow:
    """Sort trials into conditions, make the design, fit the prewhitened GLM.

    Parameters
    ----------
    rules : mapping
        Fields of `ketbids.stats.eventrules.EventRules`.
    contrasts : mapping
        Per contrast, its ``rows`` (weights of conditions) and its ``test``.
    design : mapping
        ``hrf_model``, ``high_pass``, ``sets``, ``drop_volumes`` and ``raw_volumes`` of
        `BuildRunDesign`.
    noise_model : str
        ``ols``, ``arN`` or ``film``.
    removed_components : int or None
        Components that FIX took out of the run, if that is known.
    num_threads : int

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
    weights_file
        Weights that smooth the noise model in space.
    left_surface, right_surface
        Midthickness surfaces; for film.

    Outputs
    -------
    trials_file, counts_file, design_file, contrasts_file
        What was modelled.
    contrasts, effect, variance, t, z, sidecars, ...
        See `ketbids.interfaces.fitspecs.FitOutputSpec`.
    """
    workflow = pe.Workflow(name=name)
    surfaces = ['left_surface', 'right_surface']
    inputnode = pe.Node(
        niu.IdentityInterface(
            fields=[
                *('events_file', 'series_file', 'smoothed_file', 'weights_file'),
                *(*surfaces, *RUN_FIELDS),
            ]
        ),
        name='inputnode',
    )
    outputnode = pe.Node(niu.IdentityInterface(fields=[*_TABLES, *FIT_OUTPUTS]), name='outputnode')
    trials = pe.Node(
        CodeTrials(rules=dict(rules), drop_volumes=design['drop_volumes']), name='trials'
    )
    build = pe.Node(
        BuildRunDesign(
            conditions=[c['name'] for c in rules['conditions']],
            contrasts={key: dict(about) for key, about in contrasts.items()},
            **design,
        ),
        name='design',
    )
    fit = _fit_node(noise_model, removed_components, num_threads)
    own = surfaces if noise_model == 'film' else []
    if noise_model.startswith('ar'):
        workflow.connect(inputnode, 'weights_file', fit, 'smoothing_file')
    workflow.connect([
        (inputnode, trials, [
            (field, field) for field in ('events_file', 'series_file', 'sidecars')
        ]),
        (inputnode, build, [(field, field) for field in ('series_file', *RUN_FIELDS)]),
        (inputnode, fit, [
            ('smoothed_file', 'series_file'),
            ('series_file', 'source_file'),
            ('origin', 'origin'),
            *((field, field) for field in own),
        ]),
        (trials, build, [('out_file', 'trials_file'), ('notes', 'notes')]),
        (build, fit, [('design_file', 'design_file'), ('contrasts_file', 'contrasts_file')]),
        (trials, outputnode, [('out_file', 'trials_file'), ('counts_file', 'counts_file')]),
        (build, outputnode, [(field, field) for field in ('design_file', 'contrasts_file')]),
        (fit, outputnode, [(field, field) for field in FIT_OUTPUTS]),
    ])  # fmt: skip
    return workflow


def _fit_node(noise_model: str, removed_components: int | None, num_threads: int) -> pe.Node:
    """Make the node of the engine; film_gls has a noise model of its own."""
    film = noise_model == 'film'
    engine = FitFilm if film else FitGLM
    fit = pe.Node(
        engine(noise_model=noise_model, num_threads=num_threads),
        name='fit',
        # Hemispheres and volume side by side, each a process of its own.
        mem_gb=1 + 1.5 * min(num_threads, 3) if film else 1.5,
        n_procs=num_threads,
    )
    if removed_components is not None:
        fit.inputs.removed_components = removed_components
    return fit
