"""The participant level: smoothing, the GLM of a run, and the runs of a visit together."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
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
from ketbids.io.cifti import assert_same_models, read_maps, read_series, write_maps
from ketbids.io.cifti import write_series as save_series
from ketbids.io.files import read_json
from ketbids.io.surfaces import read_surface
from ketbids.io.tables import read_table
from ketbids.stats.brainmodels import BrainModels, Surface

__all__ = ['CombineRuns', 'FitGLM', 'SmoothSeries']

logger = logging.getLogger('ketbids')

STATISTICS = ('effect', 'variance', 't', 'z')

#: Fields of a sidecar that may differ from run to run.
_BY_RUN = ('SignalUnits', 'MeanSignal', 'RepetitionTime', 'SliceTimingReference', 'NotEstimable')
#: Peaks of runs that differ by less than this share count as one.
_SAME_PEAK = 0.05
_PEAKS_DIFFER = (
    'The runs have events of different lengths, so that percent signal change of the combined map '
    'is not defined by one peak; effects are responses to activity of height 1 in every run.'
)


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


def with_data(data: npt.NDArray[np.floating], path: Path) -> npt.NDArray[np.bool_]:
    """Tell which grayordinates of a time series have data; shape (n_grayordinates,).

    Raises
    ------
    InputError
        None has.
    """
    from ketbids.stats.firstlevel import has_data
    from ketbids.stats.seriescheck import volumes_text

    filled = has_data(data)
    if not filled.any():
        empty = np.flatnonzero(~np.isfinite(data).any(axis=1))
        which = f' Nothing is finite in {volumes_text(empty)}.' if len(empty) else ''
        raise InputError(
            f'{path} has no data: every grayordinate is constant or not finite over time.{which} '
            'Preprocess the run again.'
        )
    return filled


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

        path = Path(self.inputs.in_file)
        series = read_series(path)
        surfaces = read_surfaces(
            [self.inputs.left_surface, self.inputs.right_surface], series.models
        )
        filled = with_data(series.data, path)
        matrix = smoothing_matrix(series.models, surfaces, self.inputs.fwhm)
        out_file = Path(runtime.cwd) / 'smoothed.dtseries.nii'
        smoothed = apply_smoothing(matrix, series.data, valid=filled)
        save_series(out_file, smoothed, series.models, series.repetition_time)
        self._results['out_file'] = str(out_file)
        return runtime


class _FitGLMInputSpec(BaseInterfaceInputSpec):
    series_file = File(exists=True, mandatory=True, desc='smoothed dense time series')
    source_file = File(exists=True, desc='time series before smoothing, for messages')
    origin = traits.Enum('hcp', 'fmriprep', usedefault=True, desc='who preprocessed the run')
    design_file = File(exists=True, mandatory=True, desc='design matrix')
    contrasts_file = File(exists=True, mandatory=True, desc='weights of the contrasts')


class _CombineRunsOutputSpec(TraitedSpec):
    contrasts = traits.List(traits.Str, desc='names of the estimable contrasts')
    effect = traits.List(File(exists=True), desc='one file per contrast')
    variance = traits.List(File(exists=True))
    t = traits.List(File(exists=True))
    z = traits.List(File(exists=True))
    sidecars = traits.List(traits.Dict, desc='metadata per contrast')
    density = traits.Str(desc='BIDS den label')


class _FitGLMOutputSpec(_CombineRunsOutputSpec):
    notes = traits.List(traits.Str, desc='what is odd about the time series')


class FitGLM(SimpleInterface):
    """Fit the prewhitened GLM of one run at every grayordinate."""

    input_spec = _FitGLMInputSpec
    output_spec = _FitGLMOutputSpec
    _order = 6

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.firstlevel import fit_glm, scale_factor
        from ketbids.stats.seriescheck import series_notes

        source = self.inputs.source_file
        source = source if isdefined(source) else self.inputs.series_file
        series = read_series(Path(self.inputs.series_file))
        design = read_table(Path(self.inputs.design_file))
        plan = read_json(Path(self.inputs.contrasts_file))
        if not plan['weights']:
            reasons = '; '.join(f'{name}: {why}' for name, why in plan['not_estimable'].items())
            raise InputError(f'{source}: no contrast can be estimated. {reasons}')
        filled = with_data(series.data, Path(source))
        self._results['notes'] = series_notes(series.data, filled)
        for note in self._results['notes']:
            logger.warning('%s: %s', source, note)
        names = list(plan['weights'])
        weights = np.array(list(plan['weights'].values()))
        mean = np.where(filled, series.data.mean(axis=0, dtype=float), np.nan)
        sd = series.data.std(axis=0, dtype=float)
        scale = scale_factor(mean, sd, 'grandMean' if self.inputs.origin == 'hcp' else 'median')
        data = series.data * np.float32(scale.factor)
        data[:, ~filled] = np.nan
        try:
            fit = fit_glm(
                data,
                design.to_numpy(float),
                weights,
                order=self._order,
                names=list(design.columns),
            )
        except InputError as error:
            raise InputError(f'{source}: {error}') from error
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
                'ConfoundColumns': plan['confounds'],
                'RepetitionTime': plan['repetition_time'],
                'SliceTimingReference': plan['slice_time_ref'],
                'GrayordinatesWithoutData': int(np.isnan(fit.effect[0]).sum()),
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
    series_files = traits.List(traits.Str, desc='time series of each run, for messages')
    caveat = traits.Str(desc='what the sidecars of all maps say')


class CombineRuns(SimpleInterface):
    """Combine the runs of a session by precision-weighted fixed effects."""

    input_spec = _CombineRunsInputSpec
    output_spec = _CombineRunsOutputSpec

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
        firsts = [Path(effect[0]) for effect in i.effect]
        geometry = [read_maps(path)[1] for path in firsts]
        series = [Path(path) for path in (i.series_files if isdefined(i.series_files) else firsts)]
        assert_same_models(geometry, series)
        _assert_same_units([sidecars[0] for sidecars in i.sidecars], series)
        caveat = i.caveat if isdefined(i.caveat) else ''
        models = geometry[0]
        results: dict[str, list[Any]] = {key: [] for key in (*STATISTICS, 'sidecars')}
        for name in names:
            parts = [run[name] for run in runs if name in run]
            stacks = [
                np.concatenate([read_maps(Path(part[which]))[0] for part in parts]).astype(float)
                for which in (0, 1)
            ]
            dof = sum(part[2]['DegreesOfFreedom'] for part in parts)
            effect, variance = combine_runs(*stacks)
            t = effect / np.sqrt(variance)
            combined = {'effect': effect, 'variance': variance, 't': t, 'z': z_from_t(t, dof)}
            for statistic, values in combined.items():
                stem = f'{statistic}_{name}'
                results[statistic].append(_save(runtime, stem, name, values, models))
            sidecar = _combined_sidecar([part[2] for part in parts], caveat)
            sidecar['GrayordinatesWithoutData'] = int(np.isnan(effect).sum())
            results['sidecars'].append(sidecar)
        self._results.update(results, contrasts=names, density=models.density)
        return runtime


def _assert_same_units(sidecars: Sequence[Mapping[str, Any]], series: Sequence[Path]) -> None:
    """Check that the effects of all runs are in percent, or those of none."""
    having = {
        sidecar['MeanSignal'] is not None: path
        for sidecar, path in zip(sidecars, series, strict=True)
        if 'MeanSignal' in sidecar
    }
    if len(having) == 2:
        raise InputError(
            f'The mean was removed from {having[False]}, but not from {having[True]}: their '
            'effects are in different units and cannot be combined. Preprocess both in the same '
            'way, or choose runs that go together with --run-id.'
        )


def _combined_sidecar(sidecars: Sequence[Mapping[str, Any]], caveat: str = '') -> dict[str, Any]:
    """Describe a map of several runs; what differs between them is a list, one entry per run."""
    combined: dict[str, Any] = {
        **sidecars[0],
        'ConfoundColumns': _union(s.get('ConfoundColumns', ()) for s in sidecars),
        'DegreesOfFreedom': sum(s['DegreesOfFreedom'] for s in sidecars),
        'Runs': len(sidecars),
        'Estimator': 'fixed effects',
    }
    for key in _BY_RUN:
        values = [s.get(key) for s in sidecars]
        if any(value != values[0] for value in values):
            combined[key] = values
    peaks = {}
    for name in _union(s.get('RegressorPeaks', ()) for s in sidecars):
        heights = [s['RegressorPeaks'][name] for s in sidecars if name in s['RegressorPeaks']]
        same = max(heights) - min(heights) <= _SAME_PEAK * max(heights)
        peaks[name] = heights[0] if same else heights
    if peaks:
        combined['RegressorPeaks'] = peaks
    differ = any(isinstance(height, list) for height in peaks.values())
    caveats = [text for text in (caveat, _PEAKS_DIFFER if differ else '') if text]
    if caveats:
        combined['Caveat'] = ' '.join(caveats)
    return combined


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
