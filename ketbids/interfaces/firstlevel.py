"""The GLM of a run."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from nipype.interfaces.base import SimpleInterface, isdefined

from ketbids.errors import InputError
from ketbids.interfaces.combineruns import CombineRuns
from ketbids.interfaces.fitspecs import STATISTICS, FitInputSpec, FitOutputSpec
from ketbids.interfaces.series import read_surfaces, with_data
from ketbids.io.cifti import read_series, series_models, write_maps
from ketbids.io.files import read_json
from ketbids.io.tables import read_table
from ketbids.io.weights import read_weights
from ketbids.stats.brainmodels import BrainModels
from ketbids.stats.glmresults import GlmFit
from ketbids.stats.noisemodels import model_order
from ketbids.stats.scaling import Scaling
from ketbids.stats.whiteness import whiteness_maps, whiteness_summary

__all__ = [
    'CombineRuns',
    'FitGLM',
    'FitInputSpec',
    'FitOutputSpec',
    'PreparedRun',
    'not_fitted',
    'prepare_run',
    'read_surfaces',
    'with_data',
    'write_fit',
]

logger = logging.getLogger('ketbids')

#: Outputs that are lists with an entry per contrast.
_LISTS = (*STATISTICS, 'sidecars', 'f', 'f_z', 'f_joint', 'f_sidecars')
#: Fields of the sidecars that describe the noise model.
_QUALITY = (
    'NoiseModel',
    'NoiseSmoothingFWHM',
    'DegreesOfFreedomNominal',
    'ComponentsRemoved',
    'DegreesOfFreedomEffective',
)

_WHITENESS = {
    'Description': 'What autocorrelation the noise model left. ljungBox: portmanteau statistic of '
    'the innovations (Ljung and Box 1978). Where they are white, it is chi-square with '
    'PortmanteauDegreesOfFreedom if the noise model was not smoothed in space, and smaller if it '
    'was: the test is conservative then, and rejects less than 5 % (about 1 % for AR(6) smoothed '
    'by 5 mm). ljungBoxLogP: -log10 of its p; lag1Before, lag1After: autocorrelation of the '
    'residuals at lag 1 before and after whitening.',
    'Units': 'arbitrary',
}

_AFTER_FIX = (
    'FIX took the noise components out of the time series before this model was fitted, and '
    'their degrees of freedom with them. t and z use DegreesOfFreedomNominal and are optimistic; '
    'DegreesOfFreedomEffective is lower by the number of these components, but not by the '
    "movement parameters and the high-pass filter that were regressed out with them. A group's "
    'inference uses effects only.'
)


class PreparedRun(NamedTuple):
    """What a GLM needs of a run.

    Attributes
    ----------
    data : ndarray of float32, shape (n_volumes, n_grayordinates)
        Scaled time series; NaN where a grayordinate has no data.
    models : BrainModels
    repetition_time : float
        Seconds.
    scale : Scaling
    design : DataFrame, shape (n_volumes, n_columns)
    contrasts : dict of str to ndarray, shape (n_columns,)
        Weights of the t contrasts that can be estimated.
    f_contrasts : dict of str to ndarray, shape (q, n_columns)
        Weights of the F contrasts that can be estimated.
    plan : mapping
        Content of the file of contrasts.
    notes : list of str
        What is odd about the time series.
    source : str
        Path of the time series for messages.
    """

    data: npt.NDArray[np.float32]
    models: BrainModels
    repetition_time: float
    scale: Scaling
    design: pd.DataFrame
    contrasts: dict[str, npt.NDArray[np.float64]]
    f_contrasts: dict[str, npt.NDArray[np.float64]]
    plan: Mapping[str, Any]
    notes: list[str]
    source: str


def prepare_run(inputs: Any) -> PreparedRun:
    """Read and scale what `FitInputSpec` names.

    Raises
    ------
    InputError
        A file cannot be read, or no grayordinate has data.
    """
    from ketbids.stats.scaling import moments, scale_factor
    from ketbids.stats.seriescheck import series_notes

    source = inputs.source_file if isdefined(inputs.source_file) else inputs.series_file
    plan = read_json(Path(inputs.contrasts_file))
    series = read_series(Path(inputs.series_file))
    filled = with_data(series.data, Path(source))
    notes = series_notes(series.data, filled)
    for note in notes:
        logger.warning('%s: %s', source, note)
    mean, sd = moments(series.data)
    mean[~filled] = np.nan
    scale = scale_factor(mean, sd, 'grandMean' if inputs.origin == 'hcp' else 'median')
    data = series.data * np.float32(scale.factor)
    data[:, ~filled] = np.nan
    weights = {name: np.array(rows, dtype=np.float64) for name, rows in plan['weights'].items()}
    tests = plan['tests']
    return PreparedRun(
        data=data,
        models=series.models,
        repetition_time=series.repetition_time,
        scale=scale,
        design=read_table(Path(inputs.design_file)),
        contrasts={name: rows[0] for name, rows in weights.items() if tests[name] == 't'},
        f_contrasts={name: rows for name, rows in weights.items() if tests[name] == 'F'},
        plan=plan,
        notes=notes,
        source=source,
    )


def not_fitted(inputs: Any) -> dict[str, Any] | None:
    """Give the outputs of a run without any contrast; None if there is one."""
    plan = read_json(Path(inputs.contrasts_file))
    if plan['weights']:
        return None
    source = inputs.source_file if isdefined(inputs.source_file) else inputs.series_file
    reasons = '; '.join(f'{name}: {why}' for name, why in plan['not_estimable'].items())
    note = f'no contrast can be estimated, so no model was fitted ({reasons})'
    logger.warning('%s: %s.', source, note)
    lists: dict[str, Any] = {key: [] for key in (*_LISTS, 'contrasts', 'f_contrasts')}
    return lists | {
        'density': series_models(Path(inputs.series_file)).density,
        'not_estimable': plan['not_estimable'],
        'notes': [note],
        'whiteness_sidecars': [],
        'quality': {},
    }


def write_fit(
    cwd: Path, inputs: Any, run: PreparedRun, fit: GlmFit, noise: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the maps of a fit.

    Parameters
    ----------
    cwd : Path
        Folder to write to.
    inputs : FitInputSpec
    run : PreparedRun
    fit : GlmFit
        Rows in the order of the contrasts of `run`.
    noise : mapping
        ``NoiseModel`` and what else the sidecars say of it.

    Returns
    -------
    dict
        Outputs, as `FitOutputSpec` has them.
    """
    results: dict[str, Any] = {key: [] for key in _LISTS}
    common = _common_fields(inputs, run, fit, noise)
    for row, (name, weights) in enumerate(run.contrasts.items()):
        for statistic in STATISTICS:
            values = getattr(fit, statistic)[row]
            path = cwd / f'{statistic}_{name}.dscalar.nii'
            results[statistic].append(str(write_maps(path, {name: values}, run.models)))
        results['sidecars'].append(
            {
                'Contrast': name,
                'ConditionWeights': _by_column(run.design, weights),
                'GrayordinatesWithoutData': int(np.isnan(fit.effect[row]).sum()),
                **_few(run, name),
                **common,
            }
        )
    for (name, rows), result in zip(run.f_contrasts.items(), fit.f, strict=True):
        joint = {f'effect{n}': values for n, values in enumerate(result.effect, 1)}
        joint |= {f'covariance{n}': values for n, values in enumerate(result.covariance, 1)}
        for key, maps in (('f', {name: result.f}), ('f_z', {name: result.z}), ('f_joint', joint)):
            path = cwd / f'{key}_{name}.dscalar.nii'
            results[key].append(str(write_maps(path, maps, run.models)))
        results['f_sidecars'].append(
            {
                'Contrast': name,
                'ConditionWeights': [_by_column(run.design, row) for row in rows],
                'DegreesOfFreedomNumerator': len(rows),
                'GrayordinatesWithoutData': int(np.isnan(result.f).sum()),
                **_few(run, name),
                **common,
            }
        )
    results |= {
        'contrasts': list(run.contrasts),
        'f_contrasts': list(run.f_contrasts),
        'density': run.models.density,
        'not_estimable': run.plan['not_estimable'],
        'notes': run.notes,
        'quality': {key: common[key] for key in _QUALITY if key in common},
    }
    if fit.whiteness is not None:
        maps = whiteness_maps(fit.whiteness)
        results['whiteness'] = str(write_maps(cwd / 'whiteness.dscalar.nii', maps, run.models))
        results['quality'] |= whiteness_summary(fit.whiteness)
        results['whiteness_sidecars'] = [{**_WHITENESS, **results['quality']}]
    return results


def _by_column(design: pd.DataFrame, weights: npt.NDArray[np.float64]) -> dict[str, float]:
    return {
        column: float(weight)
        for column, weight in zip(design.columns, weights, strict=True)
        if weight
    }


def _few(run: PreparedRun, name: str) -> dict[str, str]:
    """Say that a contrast rests on very few trials."""
    reason = run.plan.get('few', {}).get(name)
    return {'FewTrials': reason} if reason else {}


def _common_fields(
    inputs: Any, run: PreparedRun, fit: GlmFit, noise: Mapping[str, Any]
) -> dict[str, Any]:
    """Fields of the sidecars of all maps of a run."""
    fields: dict[str, Any] = {'DegreesOfFreedomNominal': float(fit.df_nominal)}
    if isdefined(inputs.removed_components):
        removed = inputs.removed_components
        fields['ComponentsRemoved'] = removed
        fields['DegreesOfFreedomEffective'] = float(max(fit.df_nominal - removed, 0))
        fields['DegreesOfFreedomCaveat'] = _AFTER_FIX
    plan = run.plan
    return {
        **fields,
        **noise,
        'RegressorPeaks': plan['peaks'],
        'NotEstimable': plan['not_estimable'],
        'ConfoundColumns': plan['confounds'],
        'RepetitionTime': plan['repetition_time'],
        'SliceTimingReference': plan['slice_time_ref'],
        'SignalUnits': run.scale.text,
        'MeanSignal': None if np.isnan(run.scale.mean) else run.scale.mean,
    }


class FitGLM(SimpleInterface):
    """Fit the GLM of one run at every grayordinate, prewhitened by an autoregressive model."""

    input_spec = FitInputSpec
    output_spec = FitOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.firstlevel import fit_glm

        i = self.inputs
        order = model_order(i.noise_model)
        self._results = not_fitted(i) or {}
        if self._results:
            return runtime
        run = prepare_run(i)
        noise: dict[str, Any] = {'NoiseModel': noise_text(order)}
        smoother = None
        if order and isdefined(i.smoothing_file):
            smoother, noise['NoiseSmoothingFWHM'] = read_weights(
                Path(i.smoothing_file), run.models, Path(run.source)
            )
        try:
            fit = fit_glm(
                run.data,
                run.design.to_numpy(float),
                np.array(list(run.contrasts.values())).reshape(-1, run.design.shape[1]),
                order,
                f_contrasts=list(run.f_contrasts.values()),
                names=list(run.design.columns),
                smoother=smoother,
                threads=i.num_threads,
            )
        except InputError as error:
            raise InputError(f'{run.source}: {error}') from error
        self._results = write_fit(Path(runtime.cwd), i, run, fit, noise)
        return runtime


def noise_text(order: int) -> str:
    """Name a noise model of FitGLM for people."""
    if not order:
        return 'white (ordinary least squares)'
    return f'AR({order}), per grayordinate, stationary likelihood'
