"""Clusters and parcels of dense CIFTI files, by wb_command."""

from typing import Any

from nipype.interfaces.base import File, TraitedSpec, isdefined, traits

from ketbids.errors import UsageError
from ketbids.interfaces.workbench import Workbench, WorkbenchInputSpec, cifti_kind, option

__all__ = ['CiftiFindClusters', 'CiftiParcellate']

_SIDES = ('left', 'right', 'cerebellum')
_DIRECTION = 'dimension of the brain models; of a dconn either'


class _CiftiFindClustersInputSpec(WorkbenchInputSpec):
    in_file = File(exists=True, mandatory=True, desc='CIFTI file')
    surface_threshold = traits.Float(mandatory=True, desc='vertices beyond it count')
    surface_area = traits.Range(low=0.0, mandatory=True, desc='smallest cluster, mm^2')
    volume_threshold = traits.Float(mandatory=True, desc='voxels beyond it count')
    volume_size = traits.Range(low=0.0, mandatory=True, desc='smallest cluster, mm^3')
    direction = traits.Enum('COLUMN', 'ROW', usedefault=True, desc=_DIRECTION)
    less_than = traits.Bool(desc='values below the thresholds instead of above')
    left_surface = File(exists=True, desc='left midthickness')
    left_areas = File(exists=True, requires=['left_surface'], desc='vertex areas, a metric')
    right_surface = File(exists=True, desc='right midthickness')
    right_areas = File(exists=True, requires=['right_surface'], desc='vertex areas, a metric')
    cerebellum_surface = File(exists=True, desc='surface of the cerebellum')
    cerebellum_areas = File(
        exists=True, requires=['cerebellum_surface'], desc='vertex areas, a metric'
    )
    cifti_roi = File(exists=True, desc='where to look, a dense map')
    merged_volume = traits.Bool(desc='clusters may cross the borders of volume structures')
    surface_ratio = traits.Range(
        low=0.0, high=1.0, requires=['volume_ratio'], desc='share of the largest cluster'
    )
    volume_ratio = traits.Range(
        low=0.0, high=1.0, requires=['surface_ratio'], desc='share of the largest cluster'
    )
    surface_distance = traits.Range(
        low=0.0, requires=['volume_distance'], desc='farthest from the largest cluster, mm'
    )
    volume_distance = traits.Range(
        low=0.0, requires=['surface_distance'], desc='farthest from the largest cluster, mm'
    )
    start = traits.Int(desc='number of the first cluster')


class _CiftiFindClustersOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='number of the cluster of each grayordinate; 0 is none')


class CiftiFindClusters(Workbench):
    """Number the connected grayordinates beyond a threshold (``-cifti-find-clusters``)."""

    input_spec = _CiftiFindClustersInputSpec
    output_spec = _CiftiFindClustersOutputSpec

    def _arguments(self) -> list[str]:
        i = self.inputs
        sizes = (i.surface_threshold, i.surface_area, i.volume_threshold, i.volume_size)
        parts = ['-less-than'] if isdefined(i.less_than) and i.less_than else []
        for side in _SIDES:
            parts += option(f'-{side}-surface', getattr(i, f'{side}_surface'))
            parts += option('-corrected-areas', getattr(i, f'{side}_areas'))
        parts += option('-cifti-roi', i.cifti_roi)
        parts += ['-merged-volume'] if isdefined(i.merged_volume) and i.merged_volume else []
        parts += option('-size-ratio', i.surface_ratio, i.volume_ratio)
        parts += option('-distance', i.surface_distance, i.volume_distance)
        parts += option('-start', i.start)
        numbers = [repr(float(value)) for value in sizes]
        out_file = self._written()['out_file']
        return ['-cifti-find-clusters', i.in_file, *numbers, i.direction, out_file, *parts]

    def _written(self) -> dict[str, Any]:
        return {'out_file': f'clusters.{cifti_kind(self.inputs.in_file)}.nii'}


#: Ways to make one value of a parcel's, and those of them that can use weights.
_METHODS = (
    *('MAX', 'MIN', 'INDEXMAX', 'INDEXMIN', 'SUM', 'PRODUCT', 'MEAN', 'STDEV', 'SAMPSTDEV'),
    *('VARIANCE', 'TSNR', 'COV', 'L2NORM', 'MEDIAN', 'MODE', 'COUNT_NONZERO'),
)
_WEIGHTED = ('MEAN', 'SUM', 'STDEV', 'SAMPSTDEV', 'VARIANCE', 'MEDIAN', 'MODE')
#: What becomes of a dense file whose columns are parcellated, and of a dconn's rows.
_PARCELLATED = {
    ('dtseries', 'COLUMN'): 'ptseries',
    ('dscalar', 'COLUMN'): 'pscalar',
    ('dlabel', 'COLUMN'): 'plabel',
    ('dconn', 'COLUMN'): 'pdconn',
    ('dconn', 'ROW'): 'dpconn',
}


class _CiftiParcellateInputSpec(WorkbenchInputSpec):
    in_file = File(exists=True, mandatory=True, desc='dense CIFTI file')
    labels = File(exists=True, mandatory=True, desc='dense labels; each is a parcel')
    direction = traits.Enum('COLUMN', 'ROW', usedefault=True, desc=_DIRECTION)
    method = traits.Enum(*_METHODS, desc='default: MEAN, or MODE of labels')
    left_area_surface = File(
        exists=True, xor=['left_area_metric', 'cifti_weights'], desc='weights: areas of it'
    )
    left_area_metric = File(
        exists=True, xor=['left_area_surface', 'cifti_weights'], desc='weights, a metric'
    )
    right_area_surface = File(
        exists=True, xor=['right_area_metric', 'cifti_weights'], desc='weights: areas of it'
    )
    right_area_metric = File(
        exists=True, xor=['right_area_surface', 'cifti_weights'], desc='weights, a metric'
    )
    cerebellum_area_surface = File(
        exists=True, xor=['cerebellum_area_metric', 'cifti_weights'], desc='weights: areas of it'
    )
    cerebellum_area_metric = File(
        exists=True, xor=['cerebellum_area_surface', 'cifti_weights'], desc='weights, a metric'
    )
    cifti_weights = File(exists=True, desc='weights, a dense map')
    exclude_outliers = traits.Tuple(
        traits.Range(low=0.0),
        traits.Range(low=0.0),
        desc='keep what is within so many standard deviations below and above the mean',
    )
    only_numeric = traits.Bool(desc='leave out what is not a number')
    fill_value = traits.Float(desc='of parcels without data (default: 0)')
    nonempty_mask = traits.Bool(desc='also write which parcels have data')
    legacy_mode = traits.Bool(desc='parcels are where labels meet data; empty ones are left out')


class _CiftiParcellateOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per parcel')
    mask_file = File(exists=True, desc='1 for parcels with data, else 0')


class CiftiParcellate(Workbench):
    """Make one value of the grayordinates of each label (``-cifti-parcellate``)."""

    input_spec = _CiftiParcellateInputSpec
    output_spec = _CiftiParcellateOutputSpec

    def _weights(self) -> list[str]:
        i = self.inputs
        areas = [
            text
            for kind, short in (('surface', 'surf'), ('metric', 'metric'))
            for side in _SIDES
            for text in option(f'-{side}-area-{short}', getattr(i, f'{side}_area_{kind}'))
        ]
        weights = ['-spatial-weights', *areas] if areas else []
        weights += option('-cifti-weights', i.cifti_weights)
        if weights and isdefined(i.method) and i.method not in _WEIGHTED:
            raise UsageError(
                f'{i.in_file}: {i.method} cannot use weights; those that can are '
                f'{", ".join(_WEIGHTED)}.'
            )
        return weights

    def _arguments(self) -> list[str]:
        i = self.inputs
        parts = [*self._weights(), *option('-method', i.method)]
        if isdefined(i.exclude_outliers):
            parts += option('-exclude-outliers', *i.exclude_outliers)
        parts += ['-only-numeric'] if isdefined(i.only_numeric) and i.only_numeric else []
        parts += option('-fill-value', i.fill_value)
        files = self._written()
        parts += option('-nonempty-mask-out', files['mask_file']) if 'mask_file' in files else []
        parts += ['-legacy-mode'] if isdefined(i.legacy_mode) and i.legacy_mode else []
        return [
            *('-cifti-parcellate', i.in_file, i.labels, i.direction, files['out_file']),
            *parts,
        ]

    def _written(self) -> dict[str, Any]:
        i = self.inputs
        kind = _PARCELLATED.get((cifti_kind(i.in_file), i.direction))
        if kind is None:
            raise UsageError(f'{i.in_file} has brain models along its columns only, not its rows.')
        files = {'out_file': f'parcellated.{kind}.nii'}
        if isdefined(i.nonempty_mask) and i.nonempty_mask:
            files['mask_file'] = 'nonempty.pscalar.nii'
        return files
