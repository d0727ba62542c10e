"""From the events and confounds of a run to its design matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pandas as pd
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.errors import InputError
from ketbids.io.confounds import read_confounds
from ketbids.io.files import write_json
from ketbids.io.tables import read_table, write_table
from ketbids.io.timing import RunTiming, run_timing

if TYPE_CHECKING:
    from ketbids.stats.designchecks import DesignChecks
    from ketbids.stats.runcontrasts import ContrastWeights
    from ketbids.stats.rundesign import RunDesign

__all__ = ['BuildRunDesign', 'RunPlan', 'TimedInputSpec', 'paths', 'plan_run']


class TimedInputSpec(BaseInterfaceInputSpec):
    """Inputs that tell the time axis of a run."""

    series_file = File(exists=True, mandatory=True, desc='dense time series of the run')
    sidecars = traits.List(
        File(exists=True), desc='JSON files that describe it, the most specific first'
    )


def paths(files: Any) -> list[Path]:
    """A list of files that may be undefined."""
    return [Path(path) for path in files] if isdefined(files) else []


class _BuildRunDesignInputSpec(TimedInputSpec):
    trials_file = File(exists=True, mandatory=True, desc='coded trials')
    notes = traits.List(traits.Str, desc='of the trials')
    confounds_file = File(exists=True, desc='table of confounds')
    confounds_sidecar = File(exists=True, desc='JSON file that describes the confounds')
    origin = traits.Enum('hcp', 'fmriprep', usedefault=True, desc='who preprocessed the run')
    sets = traits.List(traits.Str, desc='sets of confounds to put into the model')
    conditions = traits.List(traits.Str, mandatory=True, desc='names of the conditions')
    contrasts = traits.Dict(
        traits.Str,
        traits.Dict,
        mandatory=True,
        desc="per contrast: rows, a list of weights by condition, and test, 't' or 'F'",
    )
    hrf_model = traits.Str(mandatory=True, desc='haemodynamic model')
    high_pass = traits.Range(low=0.0, mandatory=True, desc='cut-off, Hz')
    drop_volumes = traits.Range(low=0, value=0, usedefault=True, desc='volumes removed before')
    raw_volumes = traits.Int(desc='volumes of the raw image, if it is there')


class _BuildRunDesignOutputSpec(TraitedSpec):
    design_file = File(exists=True, desc='design matrix, one row per volume')
    contrasts_file = File(exists=True, desc='weights, regressor heights, checks of the design')


class BuildRunDesign(SimpleInterface):
    """Make the design matrix of a run and the weights of its contrasts."""

    input_spec = _BuildRunDesignInputSpec
    output_spec = _BuildRunDesignOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        timing = run_timing(Path(i.series_file), paths(i.sidecars))
        plan = self._plan(timing)
        design_file = write_table(Path(runtime.cwd) / 'design.tsv', plan.design.matrix)[0]
        weights = plan.weights.weights
        content = {
            'weights': {name: w.tolist() for name, w in weights.items() if w is not None},
            'tests': {name: about['test'] for name, about in i.contrasts.items()},
            'not_estimable': plan.weights.reasons,
            'few': plan.checks.few,
            'dropped': list(plan.design.dropped),
            'peaks': plan.design.peaks,
            'confounds': list(plan.design.confounds),
            'repetition_time': timing.repetition_time,
            'slice_time_ref': timing.slice_time_ref,
            'checks': plan.checks.to_dict(),
            'notes': [*(i.notes if isdefined(i.notes) else []), *plan.notes],
        }
        contrasts_file = write_json(Path(runtime.cwd) / 'contrasts.json', content)
        self._results.update(design_file=str(design_file), contrasts_file=str(contrasts_file))
        return runtime

    def _plan(self, timing: RunTiming) -> 'RunPlan':
        i = self.inputs
        confounds, sidecar = (
            Path(path) if isdefined(path) else None
            for path in (i.confounds_file, i.confounds_sidecar)
        )
        return plan_run(
            read_table(Path(i.trials_file)),
            timing,
            i.conditions,
            {name: about['rows'] for name, about in i.contrasts.items()},
            hrf_model=i.hrf_model,
            high_pass=i.high_pass,
            sets=tuple(i.sets) if isdefined(i.sets) else (),
            confounds_file=confounds,
            confounds_sidecar=sidecar,
            origin=i.origin,
            drop_volumes=i.drop_volumes,
            raw_volumes=i.raw_volumes if isdefined(i.raw_volumes) else None,
            series=i.series_file,
        )


class RunPlan(NamedTuple):
    """What will be fitted to a run.

    Attributes
    ----------
    design : RunDesign
    weights : ContrastWeights
    checks : DesignChecks
    notes : tuple of str
        What was done to confounds and events.
    """

    design: 'RunDesign'
    weights: 'ContrastWeights'
    checks: 'DesignChecks'
    notes: tuple[str, ...]


def plan_run(
    trials: pd.DataFrame,
    timing: RunTiming,
    conditions: Sequence[str],
    contrasts: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    hrf_model: str,
    high_pass: float,
    sets: Sequence[str],
    confounds_file: Path | None,
    confounds_sidecar: Path | None,
    origin: Literal['hcp', 'fmriprep'],
    drop_volumes: int,
    raw_volumes: int | None,
    series: str,
) -> RunPlan:
    """Make the design of a run and check it, from tables alone.

    Parameters
    ----------
    trials : DataFrame
        Coded trials.
    timing : RunTiming
    conditions : sequence of str
    contrasts : mapping
        Rows of each contrast, which give the weight of every condition.
    hrf_model, high_pass
        See `ketbids.stats.rundesign.run_design`.
    sets : sequence of str
        Sets of confounds.
    confounds_file, confounds_sidecar : Path or None
    origin : {'hcp', 'fmriprep'}
    drop_volumes : int
    raw_volumes : int or None
        Volumes of the raw image, if it is there.
    series : str
        The time series, for messages.

    Raises
    ------
    InputError
        The confounds or the design cannot be made; it names the file.
    """
    from ketbids.stats.designchecks import design_checks
    from ketbids.stats.runcontrasts import contrast_weights
    from ketbids.stats.rundesign import run_design

    confounds, notes = _confounds(
        sets, confounds_file, confounds_sidecar, timing.n_volumes, origin, series
    )
    try:
        design = run_design(
            trials,
            conditions,
            timing.n_volumes,
            timing.repetition_time,
            slice_time_ref=timing.slice_time_ref,
            hrf_model=hrf_model,
            high_pass=high_pass,
            confounds=confounds,
        )
    except InputError as error:
        raise InputError(f'{series}: {error}') from error
    weights = contrast_weights(design.matrix, contrasts, design.dropped)
    checks = design_checks(
        design,
        weights,
        trials,
        timing.repetition_time,
        drop_volumes=drop_volumes,
        raw_volumes=raw_volumes,
    )
    return RunPlan(design, weights, checks, (*notes, *design.notes))


def _confounds(
    sets: Sequence[str],
    path: Path | None,
    sidecar: Path | None,
    n_volumes: int,
    origin: Literal['hcp', 'fmriprep'],
    series: str,
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    from ketbids.stats.confounds import choose_confounds

    if not sets:
        return None, ()
    if path is None:
        raise InputError(
            f'{series}: there is no file of confounds for the sets {", ".join(sets)}. '
            'Put it beside the time series, or do without: --confounds none.'
        )
    table, masks = read_confounds(path, n_volumes, origin, sidecar)
    try:
        return choose_confounds(table, tuple(sets), n_volumes, masks)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
