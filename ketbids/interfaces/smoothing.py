"""Smoothing of dense time series without wb_command: weights once per surfaces, then each run."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from ketbids.interfaces.series import read_surfaces, with_data
from ketbids.io.cifti import read_series, series_models, write_series_parts
from ketbids.io.weights import read_weights, write_weights

__all__ = ['SmoothSeries', 'SmoothingWeights']


class _SmoothingWeightsInputSpec(BaseInterfaceInputSpec):
    series_file = File(
        exists=True, mandatory=True, desc='dense time series, of which only the header is read'
    )
    left_surface = File(exists=True, mandatory=True, desc='left midthickness')
    right_surface = File(exists=True, mandatory=True, desc='right midthickness')
    fwhm = traits.Range(low=0.0, exclude_low=True, mandatory=True, desc='kernel, mm')


class _SmoothingWeightsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='weights and the grayordinates that they are for')


class SmoothingWeights(SimpleInterface):
    """Compute the weights that smooth along surfaces and within each subcortical structure.

    They serve all series with the same grayordinates.
    """

    input_spec = _SmoothingWeightsInputSpec
    output_spec = _SmoothingWeightsOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.smoothing import smoothing_matrix

        i = self.inputs
        models = series_models(Path(i.series_file))
        surfaces = read_surfaces([i.left_surface, i.right_surface], models)
        matrix = smoothing_matrix(models, surfaces, i.fwhm)
        out_file = write_weights(Path(runtime.cwd) / 'weights.npz', matrix, models, i.fwhm)
        self._results['out_file'] = str(out_file)
        return runtime


class _SmoothSeriesInputSpec(BaseInterfaceInputSpec):
    in_file = File(exists=True, mandatory=True, desc='dense time series')
    weights_file = File(exists=True, mandatory=True, desc='of SmoothingWeights')
    num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True, desc='threads')


class _SmoothSeriesOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='smoothed dense time series')


class SmoothSeries(SimpleInterface):
    """Smooth a dense time series with weights that exist.

    Grayordinates without data (constant, or not finite) neither give nor get anything, and stay
    as they are.
    """

    input_spec = _SmoothSeriesInputSpec
    output_spec = _SmoothSeriesOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.smoothing import smoothed_parts

        path = Path(self.inputs.in_file)
        series = read_series(path)
        weights = read_weights(Path(self.inputs.weights_file), series.models, path)
        filled = with_data(series.data, path)
        smoothed = smoothed_parts(
            weights.matrix, series.data, valid=filled, threads=self.inputs.num_threads
        )
        out_file = Path(runtime.cwd) / 'smoothed.dtseries.nii'
        write_series_parts(
            out_file, smoothed, len(series.data), series.models, series.repetition_time
        )
        self._results['out_file'] = str(out_file)
        return runtime
