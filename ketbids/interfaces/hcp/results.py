"""What the HCP pipelines made of a run: its confounds, and how good it is."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
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
from ketbids.interfaces.motion import by_fact, motion_columns, motion_summary, plain_number
from ketbids.io.cifti import assert_same_models, series_blocks, series_models, series_timing
from ketbids.io.confounds import read_confounds
from ketbids.io.files import read_json, write_json
from ketbids.io.fixfiles import read_components, read_surface_metric
from ketbids.io.tables import write_table
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX, BrainModels
from ketbids.stats.quality import (
    SeriesQuality,
    median_where,
    noise_share,
    series_quality,
    surface_coverage,
)

__all__ = ['DescribeConfounds', 'RunQuality']

#: Structure and BIDS label of each hemisphere.
_HEMISPHERES = {'L': 'CIFTI_STRUCTURE_CORTEX_LEFT', 'R': 'CIFTI_STRUCTURE_CORTEX_RIGHT'}
_TRANSLATIONS = [f'trans_{axis}' for axis in 'xyz']
_ROTATIONS = [f'rot_{axis}' for axis in 'xyz']


class _DescribeConfoundsInputSpec(BaseInterfaceInputSpec):
    series = File(exists=True, mandatory=True, desc='dense time series before FIX')
    cleaned = File(exists=True, desc='dense time series after FIX; undefined: without FIX')
    movement = File(exists=True, mandatory=True, desc='Movement_Regressors.txt')
    descriptions = traits.Dict(
        traits.Str, traits.Dict, mandatory=True, desc='data dictionary of all columns'
    )


class _DescribeConfoundsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='confounds, one row per volume')
    dictionary = traits.List(traits.Dict, desc='data dictionary of the table')
    summary = File(exists=True, desc='what can be said of the whole run, JSON')


class DescribeConfounds(SimpleInterface):
    """Read the movement and the time series of a run, one grayordinate after the other.

    Rotations become radians; framewise displacement and DVARS have no value in the first row.
    """

    input_spec = _DescribeConfoundsInputSpec
    output_spec = _DescribeConfoundsOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i, cwd = self.inputs, Path(runtime.cwd)
        series = Path(i.series)
        n_volumes, repetition_time = series_timing(series)
        models = series_models(series)
        before = series_quality(series_blocks(series), n_volumes)
        after = _quality_after(series, Path(i.cleaned)) if isdefined(i.cleaned) else None
        table, missing = _movement(Path(i.movement), n_volumes, repetition_time)
        table['dvars'] = before.dvars
        if after is not None:
            table['dvars_fix'] = after.dvars
        summary = {
            'NumberOfVolumes': n_volumes,
            'RepetitionTime': plain_number(repetition_time),
            **motion_summary({name: table[name].to_numpy() for name in table.columns}),
            'GrayordinatesWithoutData': int((~before.has_data).sum()),
            'MeanDVARS': _mean_dvars(before),
            'MeanDVARSAfterFIX': None if after is None else _mean_dvars(after),
            'MedianTSNR': _tsnr(before, models),
            'MedianTSNRAfterFIX': None if after is None else _tsnr(after, models),
            'NotAvailable': missing,
        }
        out_file, *_ = write_table(cwd / 'confounds.tsv', table)
        self._results.update(
            out_file=str(out_file),
            dictionary=[{name: i.descriptions[name] for name in table.columns}],
            summary=str(write_json(cwd / 'summary.json', summary)),
        )
        return runtime


def _movement(
    path: Path, n_volumes: int, repetition_time: float
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Read head movement and its changes, rotations in radians; and say what cannot be known."""
    table = read_confounds(path, n_volumes, 'hcp').table
    columns, reasons = motion_columns(
        table[[*_TRANSLATIONS, *_ROTATIONS]].to_numpy(), repetition_time
    )
    turned = [name for name in table.columns if name.startswith('rot_')]
    table[turned] = np.deg2rad(table[turned])
    return table.assign(**columns), by_fact(reasons)


def _quality_after(series: Path, cleaned: Path) -> SeriesQuality:
    """Describe the cleaned series, which must be of the same volumes and grayordinates."""
    n_volumes, there = series_timing(series)[0], series_timing(cleaned)[0]
    if there != n_volumes:
        raise InputError(
            f'{cleaned} has {there} volumes, {series} {n_volumes}: they are not of the same run. '
            'Do the stage ICAFIX again.'
        )
    assert_same_models([series_models(series), series_models(cleaned)], [series, cleaned])
    return series_quality(series_blocks(cleaned), n_volumes)


def _mean_dvars(quality: SeriesQuality) -> float | None:
    return plain_number(np.mean(quality.dvars[1:]))


def _tsnr(quality: SeriesQuality, models: BrainModels) -> dict[str, float | None]:
    return {
        name: plain_number(median_where(quality.tsnr, models.partition == code))
        for name, code in (('Cortex', CORTEX), ('Subcortex', SUBCORTEX))
    }


class _RunQualityInputSpec(BaseInterfaceInputSpec):
    summary = File(exists=True, mandatory=True, desc='of DescribeConfounds')
    series = File(exists=True, mandatory=True, desc='dense time series before FIX')
    goodvoxels = traits.Dict(
        traits.Str, traits.Str, mandatory=True, desc='files of the hemispheres L and R'
    )
    ica = traits.Str(desc='folder of the components; undefined: without FIX')
    fix = traits.Dict(desc='how FIX was called: Threshold, and what the file is to say of it')
    without_fix = traits.Str('FIX was not applied.', usedefault=True, desc='why there is none')
    metadata = traits.Dict(mandatory=True, desc='what the file says beside the numbers')


class _RunQualityOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='JSON file')


class RunQuality(SimpleInterface):
    """Put together how good a run is: movement, noise, components, coverage of the cortex.

    What cannot be known is null, and ``NotAvailable`` says why.
    """

    input_spec = _RunQualityInputSpec
    output_spec = _RunQualityOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        content = dict(read_json(Path(i.summary)))
        missing: dict[str, str] = content['NotAvailable']
        content['GoodVoxelsCoverage'] = _coverage(
            i.goodvoxels, series_models(Path(i.series)), missing
        )
        if isdefined(i.ica):
            content['FIX'] = {**i.fix, **_components(Path(i.ica), i.fix['Threshold'], missing)}
        else:
            content['FIX'] = None
            for key in ('FIX', 'MeanDVARSAfterFIX', 'MedianTSNRAfterFIX'):
                missing[key] = i.without_fix
        if content['RepetitionTime'] is None:
            missing['RepetitionTime'] = 'The header of the time series does not say it.'
        content['NotAvailable'] = missing
        out_file = write_json(Path(runtime.cwd) / 'metrics.json', {**content, **i.metadata})
        self._results['out_file'] = str(out_file)
        return runtime


def _coverage(
    files: dict[str, str], models: BrainModels, missing: dict[str, str]
) -> dict[str, float | None]:
    """Tell which share of the cortex of each hemisphere was seen by voxels that are not noisy."""
    found: dict[str, float | None] = {}
    for hemi, structure in _HEMISPHERES.items():
        path = Path(files[hemi])
        found[hemi] = None
        if structure not in models.names:
            missing[f'GoodVoxelsCoverage.{hemi}'] = 'The time series lacks this hemisphere.'
        elif not path.is_file():
            missing[f'GoodVoxelsCoverage.{hemi}'] = f'There is no {path.name}.'
        else:
            vertices: npt.NDArray[np.int32] = models.vertex[models.where(structure)]
            try:
                found[hemi] = plain_number(surface_coverage(read_surface_metric(path), vertices))
            except InputError as error:
                raise InputError(f'{path}: {error}') from error
    return found


def _components(ica: Path, threshold: int, missing: dict[str, str]) -> dict[str, Any]:
    """Count the components, and tell how much of the variance is that of noise."""
    found = read_components(ica, threshold)
    share = None if found.percent is None else noise_share(found.percent, found.noise)
    if share is None:
        missing['FIX.NoiseShareOfExplainedVariance'] = missing['FIX.NoiseShareOfTotalVariance'] = (
            'There is no table melodic_ICstats.'
        )
    return {
        'TrainingData': found.training,
        'NumberOfComponents': found.number,
        'NumberOfNoiseComponents': len(found.noise),
        'NoiseShareOfExplainedVariance': None if share is None else plain_number(share.explained),
        'NoiseShareOfTotalVariance': None if share is None else plain_number(share.total),
        'ReclassifiedAsNoise': list(found.as_noise),
        'ReclassifiedAsSignal': list(found.as_signal),
        'ReclassificationApplied': found.applied,
    }
