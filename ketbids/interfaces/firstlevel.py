"""The participant level: smoothing, trials, run designs, and the GLM."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.errors import InputError
from ketbids.io.cifti import (
    assert_same_models,
    read_maps,
    read_series,
    read_surface,
    series_timing,
    write_maps,
)
from ketbids.io.cifti import write_series as save_series
from ketbids.io.files import read_json, write_json
from ketbids.io.tables import read_table, write_table
from ketbids.stats.brainmodels import BrainModels, Surface

__all__ = ['BuildRunDesign', 'CodeTrials', 'CombineRuns', 'FitGLM', 'SmoothSeries']

STATISTICS = ('effect', 'variance', 't', 'z')


def read_surfaces(paths: list[str], models: BrainModels) -> dict[str, Surface]:
    """Read the left and the right surface and pair them with the structures of `models`."""
    surfaces = {}
    for path, side in zip(paths, ('LEFT', 'RIGHT'), strict=True):
        expected = f'CIFTI_STRUCTURE_CORTEX_{side}'
        surface, structure = read_surface(Path(path))
        if structure not in ('', expected):
            raise InputError(f'{path} is a surface of {structure}, not of {expected}.')
        vertices = models.n_vertices.get(expected)
        if vertices is not None and len(surface.coordinates) != vertices:
            raise InputError(
                f'{path} has {len(surface.coordinates)} vertices, the time series {vertices}: '
                'surfaces and data must be on the same mesh.'
            )
        surfaces[expected] = surface
    return surfaces


class SmoothingInputSpec(BaseInterfaceInputSpec):
    """Inputs of any smoother of a dense time series."""

    in_file = File(exists=True, mandatory=True, desc='dense time series')
    fwhm = traits.Range(low=0.0, exclude_low=True, mandatory=True, desc='kernel, mm')
    left_surface = File(exists=True, mandatory=True, desc='left midthickness')
    right_surface = File(exists=True, mandatory=True, desc='right midthickness')


class SmoothingOutputSpec(TraitedSpec):
    """Outputs of any smoother of a dense time series."""

    out_file = File(exists=True, desc='smoothed dense time series')


class SmoothSeries(SimpleInterface):
    """Smooth along the surfaces and within each subcortical structure, without wb_command."""

    input_spec = SmoothingInputSpec
    output_spec = SmoothingOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.smoothing import apply_smoothing, smoothing_matrix

        series = read_series(Path(self.inputs.in_file))
        surfaces = read_surfaces(
            [self.inputs.left_surface, self.inputs.right_surface], series.models
        )
        matrix = smoothing_matrix(series.models, surfaces, self.inputs.fwhm)
        out_file = Path(runtime.cwd) / 'smoothed.dtseries.nii'
        smoothed = apply_smoothing(matrix, series.data)
        save_series(out_file, smoothed, series.models, series.repetition_time)
        self._results['out_file'] = str(out_file)
        return runtime


class _CodeTrialsInputSpec(BaseInterfaceInputSpec):
    events_file = File(exists=True, mandatory=True, desc='events of the run')
    series_file = File(exists=True, mandatory=True, desc='dense time series of the run')
    conditions = traits.List(traits.Dict, mandatory=True, desc='conditions of the model file')
    response_column = traits.Str(desc='column with response times')
    window = traits.Tuple(traits.Float, traits.Float, desc='response window, s')
    drop_volumes = traits.Range(low=0, value=0, usedefault=True, desc='volumes removed before')


class _CodeTrialsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per row of the events file, with its condition')


class CodeTrials(SimpleInterface):
    """Sort the rows of an events file into conditions."""

    input_spec = _CodeTrialsInputSpec
    output_spec = _CodeTrialsOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.events import Condition, code_trials

        path = Path(self.inputs.events_file)
        events = read_table(path, ('onset', 'duration'))
        options: dict[str, Any] = {}
        if isdefined(self.inputs.response_column):
            options = {
                'response_column': self.inputs.response_column,
                'window': self.inputs.window,
            }
        try:
            coded = code_trials(
                events, [Condition(**c) for c in self.inputs.conditions], **options
            )
        except InputError as error:
            raise InputError(f'{path}: {error}') from error
        n_volumes, repetition_time = series_timing(Path(self.inputs.series_file))
        coded['note'] = coded['note'].replace('', None)
        dropped = self.inputs.drop_volumes * repetition_time
        coded['onset'] -= dropped
        if dropped and (coded['onset'] + coded['duration'] <= 0).all():
            raise InputError(
                f'{path}: every event ends within the {self.inputs.drop_volumes} volumes '
                f'({dropped:g} s) that --drop-volumes says were removed from the start of '
                f'{self.inputs.series_file}. Give the number that was removed there, 0 if none.'
            )
        end = n_volumes * repetition_time
        if len(coded) and coded['onset'].max() >= end:
            raise InputError(
                f'{path}: the last event starts at {coded["onset"].max():g} s, but '
                f'{self.inputs.series_file} ends at {end:g} s ({n_volumes} volumes). If volumes '
                'were removed from the start, say how many with --drop-volumes.'
            )
        out_file = Path(runtime.cwd) / 'trials.tsv'
        write_table(out_file, coded)
        self._results['out_file'] = str(out_file)
        return runtime


class _BuildRunDesignInputSpec(BaseInterfaceInputSpec):
    trials_file = File(exists=True, mandatory=True, desc='coded trials')
    series_file = File(exists=True, mandatory=True, desc='dense time series of the run')
    movement_file = File(exists=True, desc='movement regressors to put into the model')
    conditions = traits.List(traits.Str, mandatory=True, desc='names of the conditions')
    contrasts = traits.Dict(
        traits.Str, traits.Dict, mandatory=True, desc='weights of conditions, per contrast'
    )
    hrf_model = traits.Str(mandatory=True, desc='haemodynamic model')
    high_pass = traits.Range(low=0.0, mandatory=True, desc='cut-off, Hz')


class _BuildRunDesignOutputSpec(TraitedSpec):
    design_file = File(exists=True, desc='design matrix, one row per volume')
    contrasts_file = File(exists=True, desc='weights, regressor heights, what was dropped')


class BuildRunDesign(SimpleInterface):
    """Make the design matrix of a run and the weights of its contrasts."""

    input_spec = _BuildRunDesignInputSpec
    output_spec = _BuildRunDesignOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.rundesign import contrast_weights, run_design

        i = self.inputs
        n_volumes, repetition_time = series_timing(Path(i.series_file))
        confounds = None
        if isdefined(i.movement_file):
            confounds = read_movement(Path(i.movement_file), n_volumes)
        design = run_design(
            read_table(Path(i.trials_file)),
            i.conditions,
            n_volumes,
            repetition_time,
            hrf_model=i.hrf_model,
            high_pass=i.high_pass,
            confounds=confounds,
        )
        found = contrast_weights(design.matrix, i.contrasts, design.dropped)
        weights = {name: w.tolist() for name, w in found.weights.items() if w is not None}
        design_file = Path(runtime.cwd) / 'design.tsv'
        write_table(design_file, design.matrix)
        contrasts_file = write_json(
            Path(runtime.cwd) / 'contrasts.json',
            {
                'weights': weights,
                'not_estimable': found.reasons,
                'dropped': list(design.dropped),
                'peaks': design.peaks,
                'notes': list(design.notes),
            },
        )
        self._results.update(design_file=str(design_file), contrasts_file=str(contrasts_file))
        return runtime


def read_movement(path: Path, n_volumes: int) -> pd.DataFrame:
    """Read ``Movement_Regressors.txt`` of the HCP pipelines.

    Returns
    -------
    DataFrame
        Translations (mm), rotations (degrees) and, where the file has them, derivatives.
    """
    try:
        values = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f'{path} cannot be read as a table of numbers: {error}.') from error
    if values.shape[0] != n_volumes or values.shape[1] not in (6, 12):
        raise InputError(
            f'{path} has {values.shape[0]} rows and {values.shape[1]} columns; the time series '
            f'has {n_volumes} volumes, and 6 or 12 columns are needed.'
        )
    names = ['trans_x', 'trans_y', 'trans_z', 'rot_x', 'rot_y', 'rot_z']
    names += [f'{name}_derivative1' for name in names]
    return pd.DataFrame(values, columns=names[: values.shape[1]])


class _FitGLMInputSpec(BaseInterfaceInputSpec):
    series_file = File(exists=True, mandatory=True, desc='smoothed dense time series')
    design_file = File(exists=True, mandatory=True, desc='design matrix')
    contrasts_file = File(exists=True, mandatory=True, desc='weights of the contrasts')


class _FitGLMOutputSpec(TraitedSpec):
    contrasts = traits.List(traits.Str, desc='names of the estimable contrasts')
    effect = traits.List(File(exists=True), desc='one file per contrast')
    variance = traits.List(File(exists=True))
    t = traits.List(File(exists=True))
    z = traits.List(File(exists=True))
    sidecars = traits.List(traits.Dict, desc='metadata per contrast')
    density = traits.Str(desc='BIDS den label')


class FitGLM(SimpleInterface):
    """Fit the prewhitened GLM of one run at every grayordinate."""

    input_spec = _FitGLMInputSpec
    output_spec = _FitGLMOutputSpec
    _order = 6

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.firstlevel import fit_glm, scale_factor

        series = read_series(Path(self.inputs.series_file))
        design = read_table(Path(self.inputs.design_file))
        plan = read_json(Path(self.inputs.contrasts_file))
        if not plan['weights']:
            reasons = '; '.join(f'{name}: {why}' for name, why in plan['not_estimable'].items())
            raise InputError(f'{self.inputs.series_file}: no contrast can be estimated. {reasons}')
        names = list(plan['weights'])
        weights = np.array(list(plan['weights'].values()))
        mean, sd = series.data.mean(axis=0, dtype=float), series.data.std(axis=0, dtype=float)
        scale = scale_factor(mean, sd, mode='grandMean')
        fit = fit_glm(
            series.data * np.float32(scale.factor),
            design.to_numpy(float),
            weights,
            order=self._order,
            names=list(design.columns),
        )
        for statistic in STATISTICS:
            self._results[statistic] = [
                _save(runtime, f'{statistic}_{name}', name, values, series.models)
                for name, values in zip(names, getattr(fit, statistic), strict=True)
            ]
        self._results['contrasts'] = names
        self._results['density'] = series.models.density
        self._results['sidecars'] = [
            {
                'Contrast': name,
                'ConditionWeights': {
                    column: weight
                    for column, weight in zip(design.columns, plan['weights'][name], strict=True)
                    if weight
                },
                'DegreesOfFreedom': float(fit.dof),
                'NoiseModel': f'AR({self._order}), per grayordinate, stationary likelihood',
                'RegressorPeaks': plan['peaks'],
                'NotEstimable': plan['not_estimable'],
                'RepetitionTime': series.repetition_time,
                'SignalUnits': scale.text,
                'MeanSignal': None if np.isnan(scale.mean) else scale.mean,
            }
            for name in names
        ]
        return runtime


def _save(runtime: Any, stem: str, name: str, values: Any, models: BrainModels) -> str:
    return str(write_maps(Path(runtime.cwd) / f'{stem}.dscalar.nii', {name: values}, models))


class _CombineRunsInputSpec(BaseInterfaceInputSpec):
    contrasts = InputMultiObject(
        traits.List(traits.Str), mandatory=True, desc='contrasts of each run'
    )
    effect = InputMultiObject(traits.List(File(exists=True)), mandatory=True, desc='per run')
    variance = InputMultiObject(traits.List(File(exists=True)), mandatory=True, desc='per run')
    sidecars = InputMultiObject(traits.List(traits.Dict), mandatory=True, desc='per run')


class CombineRuns(SimpleInterface):
    """Combine the runs of a session by precision-weighted fixed effects."""

    input_spec = _CombineRunsInputSpec
    output_spec = _FitGLMOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.firstlevel import combine_runs
        from ketbids.stats.zscore import z_from_t

        i = self.inputs
        runs = [
            dict(zip(names, zip(effect, variance, sidecars, strict=True), strict=True))
            for names, effect, variance, sidecars in zip(
                i.contrasts, i.effect, i.variance, i.sidecars, strict=True
            )
        ]
        names = list(dict.fromkeys(name for run in runs for name in run))
        _, models = read_maps(Path(i.effect[0][0]))
        results: dict[str, list[Any]] = {key: [] for key in (*STATISTICS, 'sidecars')}
        for name in names:
            parts = [run[name] for run in runs if name in run]
            stacks = []
            for which in (0, 1):
                paths = [Path(part[which]) for part in parts]
                loaded = [read_maps(path) for path in paths]
                assert_same_models([found for _, found in loaded], paths)
                stacks.append(np.concatenate([data for data, _ in loaded]).astype(float))
            dof = sum(part[2]['DegreesOfFreedom'] for part in parts)
            effect, variance = combine_runs(*stacks)
            t = effect / np.sqrt(variance)
            combined = {'effect': effect, 'variance': variance, 't': t, 'z': z_from_t(t, dof)}
            for statistic, values in combined.items():
                stem = f'{statistic}_{name}'
                results[statistic].append(_save(runtime, stem, name, values, models))
            results['sidecars'].append(
                {
                    **parts[0][2],
                    'DegreesOfFreedom': dof,
                    'Runs': len(parts),
                    'Estimator': 'fixed effects',
                }
            )
        self._results.update(results, contrasts=names, density=models.density)
        return runtime
