"""CIFTI files taken apart into surfaces and volumes, and put together, by wb_command."""

from typing import Any, ClassVar

from nipype.interfaces.base import File, TraitedSpec, isdefined, traits

from ketbids.errors import UsageError
from ketbids.interfaces.workbench import Workbench, WorkbenchInputSpec, option

__all__ = [
    'SURFACES',
    'VOLUMES',
    'CiftiCreateDenseScalar',
    'CiftiCreateDenseTimeseries',
    'CiftiCreateLabel',
    'CiftiSeparate',
]

#: Structures as wb_command names them: those that are surfaces, and those that are volumes.
SURFACES = ('CORTEX_LEFT', 'CORTEX_RIGHT', 'CEREBELLUM')
_BILATERAL = (
    *('ACCUMBENS', 'AMYGDALA', 'CAUDATE', 'CEREBELLUM', 'DIENCEPHALON_VENTRAL'),
    *('HIPPOCAMPUS', 'PALLIDUM', 'PUTAMEN', 'THALAMUS'),
    *('CEREBELLAR_WHITE_MATTER', 'CEREBRAL_WHITE_MATTER'),
)
VOLUMES = (
    *(f'{name}_{side}' for name in _BILATERAL for side in ('LEFT', 'RIGHT')),
    *('BRAIN_STEM', 'CORTEX', 'CEREBELLUM', 'INVALID', 'OTHER', 'CORTEX_LEFT', 'CORTEX_RIGHT'),
    *('ALL_GREY_MATTER', 'ALL_WHITE_MATTER', 'OTHER_GREY_MATTER', 'OTHER_WHITE_MATTER'),
)


class _CiftiSeparateInputSpec(WorkbenchInputSpec):
    in_file = File(exists=True, mandatory=True, desc='CIFTI file')
    direction = traits.Enum(
        'COLUMN', 'ROW', usedefault=True, desc='dimension of the brain models; of a dconn either'
    )
    metric = traits.List(traits.Enum(*SURFACES), desc='surfaces whose values are wanted')
    label = traits.List(traits.Enum(*SURFACES), desc='surfaces whose labels are wanted')
    volume = traits.List(traits.Enum(*VOLUMES), desc='volume structures that are wanted')
    volume_all = traits.Bool(desc='all volume structures in one file')
    volume_label = traits.Bool(
        requires=['volume_all'], desc='also say which structure each voxel is of'
    )
    roi = traits.Bool(desc='also write where each part has data')
    crop = traits.Bool(desc='volumes without their empty margins')


class _CiftiSeparateOutputSpec(TraitedSpec):
    metric_files = traits.Dict(traits.Str, File(exists=True), desc='metric of each surface')
    metric_rois = traits.Dict(traits.Str, File(exists=True), desc='vertices with data')
    label_files = traits.Dict(traits.Str, File(exists=True), desc='labels of each surface')
    label_rois = traits.Dict(traits.Str, File(exists=True), desc='vertices with data')
    volume_files = traits.Dict(traits.Str, File(exists=True), desc='volume of each structure')
    volume_rois = traits.Dict(traits.Str, File(exists=True), desc='voxels with data')
    volume_file = File(exists=True, desc='all volume structures')
    volume_roi = File(exists=True, desc='voxels with data')
    volume_label_file = File(exists=True, desc='structure of each voxel')


class CiftiSeparate(Workbench):
    """Write parts of a CIFTI file as metric, label and volume files (``-cifti-separate``)."""

    input_spec = _CiftiSeparateInputSpec
    output_spec = _CiftiSeparateOutputSpec
    _endings: ClassVar[dict[str, tuple[str, str]]] = {
        'metric': ('.func.gii', '_metric_roi.shape.gii'),
        'label': ('.label.gii', '_label_roi.shape.gii'),
        'volume': ('.nii.gz', '_roi.nii.gz'),
    }

    def _arguments(self) -> list[str]:
        i = self.inputs
        wanted = [name for name in self._endings if isdefined(getattr(i, name))]
        all_volumes = isdefined(i.volume_all) and i.volume_all
        if not all_volumes and not any(getattr(i, name) for name in wanted):
            raise UsageError(
                f'{i.in_file}: nothing to separate; name surfaces in metric or label, structures '
                'in volume, or set volume_all.'
            )
        if isdefined(i.crop) and i.crop and not (all_volumes or isdefined(i.volume)):
            raise UsageError('crop needs volume or volume_all: surfaces cannot be cropped.')
        roi, crop = isdefined(i.roi) and i.roi, isdefined(i.crop) and i.crop
        parts: list[str] = []
        for name in ('label', 'metric', 'volume'):
            for structure in getattr(i, name) if name in wanted else ():
                file, mask = (f'{structure}{ending}' for ending in self._endings[name])
                parts += [f'-{name}', structure, file, *(['-roi', mask] if roi else [])]
                parts += ['-crop'] if crop and name == 'volume' else []
        # Last, since it has a -label of its own: what follows it would be taken for that.
        if all_volumes:
            parts += ['-volume-all', 'volume_all.nii.gz']
            parts += ['-roi', 'volume_all_roi.nii.gz'] if roi else []
            parts += ['-label', 'volume_all_label.nii.gz'] if self._labels_volume() else []
            parts += ['-crop'] if crop else []
        return ['-cifti-separate', i.in_file, i.direction, *parts]

    def _labels_volume(self) -> bool:
        return bool(isdefined(self.inputs.volume_label) and self.inputs.volume_label)

    def _written(self) -> dict[str, Any]:
        i = self.inputs
        files: dict[str, Any] = {}
        roi = isdefined(i.roi) and i.roi
        for name, endings in self._endings.items():
            structures = getattr(i, name)
            if not isdefined(structures):
                continue
            for output, ending in zip(('files', 'rois'), endings, strict=True):
                if output == 'files' or roi:
                    files[f'{name}_{output}'] = {s: f'{s}{ending}' for s in structures}
        if isdefined(i.volume_all) and i.volume_all:
            files['volume_file'] = 'volume_all.nii.gz'
            if roi:
                files['volume_roi'] = 'volume_all_roi.nii.gz'
            if self._labels_volume():
                files['volume_label_file'] = 'volume_all_label.nii.gz'
        return files


def _surface_input(what: str, side: str) -> Any:
    return File(exists=True, desc=f'{what} of the {side}')


def _surface_roi(side: str, name: str) -> Any:
    return File(exists=True, requires=[name], desc=f'vertices of the {side} to be used')


class _CreateInputSpec(WorkbenchInputSpec):
    volume = File(exists=True, requires=['structures'], desc='values of all voxels')
    structures = File(
        exists=True, requires=['volume'], desc='label volume: structure of each voxel'
    )


class _CreateValuesInputSpec(_CreateInputSpec):
    left_metric = _surface_input('metric', 'left cortex')
    left_roi = _surface_roi('left cortex', 'left_metric')
    right_metric = _surface_input('metric', 'right cortex')
    right_roi = _surface_roi('right cortex', 'right_metric')
    cerebellum_metric = _surface_input('metric', 'cerebellum')
    cerebellum_roi = _surface_roi('cerebellum', 'cerebellum_metric')


class _CreateDenseTimeseriesInputSpec(_CreateValuesInputSpec):
    timestep = traits.Range(low=0.0, exclude_low=True, desc='time between volumes')
    timestart = traits.Float(desc='time of the first volume')
    unit = traits.Enum('SECOND', 'HERTZ', 'METER', 'RADIAN', desc='of both')


class _CreateDenseScalarInputSpec(_CreateValuesInputSpec):
    name_file = File(exists=True, desc='names of the maps, one a line')


class _CreateLabelInputSpec(_CreateInputSpec):
    left_label = _surface_input('labels', 'left cortex')
    left_roi = _surface_roi('left cortex', 'left_label')
    right_label = _surface_input('labels', 'right cortex')
    right_roi = _surface_roi('right cortex', 'right_label')
    cerebellum_label = _surface_input('labels', 'cerebellum')
    cerebellum_roi = _surface_roi('cerebellum', 'cerebellum_label')


class _CreateOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='dense CIFTI file')


class _Create(Workbench):
    """Put surfaces and a volume together."""

    output_spec = _CreateOutputSpec
    _command: ClassVar[str]
    _file: ClassVar[str]
    _part: ClassVar[str] = 'metric'

    def _options(self) -> list[str]:
        return []

    def _arguments(self) -> list[str]:
        i = self.inputs
        parts = option('-volume', i.volume, i.structures)
        for side in ('left', 'right', 'cerebellum'):
            parts += option(f'-{side}-{self._part}', getattr(i, f'{side}_{self._part}'))
            parts += option(f'-roi-{side}', getattr(i, f'{side}_roi'))
        if not parts:
            raise UsageError(
                f'wb_command {self._command}: no surface and no volume is given; at least one '
                'is needed.'
            )
        return [self._command, self._file, *parts, *self._options()]

    def _written(self) -> dict[str, Any]:
        return {'out_file': self._file}


class CiftiCreateDenseTimeseries(_Create):
    """Make a dense time series (``-cifti-create-dense-timeseries``)."""

    input_spec = _CreateDenseTimeseriesInputSpec
    _command = '-cifti-create-dense-timeseries'
    _file = 'dense.dtseries.nii'

    def _options(self) -> list[str]:
        i = self.inputs
        # All digits of the time: a run's length is computed from it.
        times = [(f'-{name}', getattr(i, name)) for name in ('timestep', 'timestart')]
        given = [text for flag, v in times if isdefined(v) for text in (flag, repr(float(v)))]
        return [*given, *option('-unit', i.unit)]


class CiftiCreateDenseScalar(_Create):
    """Make dense maps (``-cifti-create-dense-scalar``)."""

    input_spec = _CreateDenseScalarInputSpec
    _command = '-cifti-create-dense-scalar'
    _file = 'dense.dscalar.nii'

    def _options(self) -> list[str]:
        return option('-name-file', self.inputs.name_file)


class CiftiCreateLabel(_Create):
    """Make dense labels (``-cifti-create-label``)."""

    input_spec = _CreateLabelInputSpec
    _command = '-cifti-create-label'
    _file = 'dense.dlabel.nii'
    _part = 'label'
