"""Volume and surface processing of runs by the HCP pipelines."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import File, InputMultiObject, traits

from ketbids.errors import ToolError
from ketbids.interfaces.hcp.runscript import (
    DIRECTIONS,
    RunScript,
    RunScriptInputSpec,
    matlab_mode,
    yes_or_no,
)
from ketbids.interfaces.hcp.script import HcpScriptOutputSpec

__all__ = ['FMRISurface', 'FMRIVolume']

_SPIN_ECHO = ('spin_echo_negative', 'spin_echo_positive', 'topup_config')
_GRADIENT_ECHO = ('magnitude', 'phase', 'echo_difference')
#: What each correction of distortion needs, beside echo spacing and direction of the run.
_NEEDS = {
    'TOPUP': _SPIN_ECHO,
    'TOPUP_MISMATCHED': (*_SPIN_ECHO, 'spin_echo_spacing', 'spin_echo_direction'),
    'FIELDMAP': _GRADIENT_ECHO,
    'SiemensFieldMap': _GRADIENT_ECHO,
    'PhilipsFieldMap': _GRADIENT_ECHO,
    'GEHealthCareFieldMap': _GRADIENT_ECHO,
    'GEHealthCareLegacyFieldMap': ('combined_field_map', 'echo_difference'),
    'PRECOMPUTED_FIELDMAP': ('precomputed_field_map', 'precomputed_magnitude'),
    'NONE': (),
    'OnScanner': (),
}
_NEW_METHODS = ('TOPUP_MISMATCHED', 'PRECOMPUTED_FIELDMAP', 'OnScanner')
_MASKS = ('T1_fMRI_FOV', 'T1_DILATED_fMRI_FOV', 'T1_DILATED2x_fMRI_FOV', 'fMRI_FOV')


def _raw(option: str, desc: str, **metadata: Any) -> Any:
    return File(exists=True, argstr=f'--{option}=%s', desc=desc, **metadata)


class _FMRIVolumeInputSpec(RunScriptInputSpec):
    fmri_series = _raw('fmritcs', 'series of images', mandatory=True)
    fmri_name = traits.Str(
        mandatory=True, argstr='--fmriname=%s', label=True, desc='name of the run'
    )
    resolution = traits.Float(
        mandatory=True, argstr='--fmrires=%s', desc='voxel size of what is made, mm'
    )
    bias_correction = traits.Enum(
        'SEBASED',
        'LEGACY',
        'NONE',
        mandatory=True,
        argstr='--biascorrection=%s',
        desc='correction of the receive field',
    )
    reference_image = _raw('fmriscout', 'single-band reference image', xor=['fmri_reference'])
    motion_correction = traits.Enum(
        'MCFLIRT', 'FLIRT', argstr='--mctype=%s', desc='motion correction'
    )
    gradient_coefficients = File(
        argstr='--gdcoeffs=%s',
        otherwise='NONE',
        at_run=True,
        stamp=True,
        desc='gradient coefficients of the scanner',
    )
    distortion_correction = traits.Enum(
        *_NEEDS, mandatory=True, argstr='--dcmethod=%s', desc='correction of distortions'
    )
    echo_spacing = traits.Float(argstr='--echospacing=%s', desc='effective, of the run, s')
    unwarp_direction = traits.Enum(
        *DIRECTIONS, argstr='--unwarpdir=%s', desc='phase-encoding direction of the run'
    )
    spin_echo_negative = _raw('SEPhaseNeg', 'spin-echo image of negative polarity')
    spin_echo_positive = _raw('SEPhasePos', 'spin-echo image of positive polarity')
    spin_echo_negative_2 = _raw(
        'SEPhaseNeg2', 'second of negative polarity', requires=['spin_echo_positive_2']
    )
    spin_echo_positive_2 = _raw(
        'SEPhasePos2', 'second of positive polarity', requires=['spin_echo_negative_2']
    )
    spin_echo_zero = _raw('SEPhaseZero', 'spin-echo image without phase encoding')
    topup_config = File(argstr='--topupconfig=%s', at_run=True, desc='configuration of topup')
    spin_echo_spacing = traits.Float(
        argstr='--seechospacing=%s', desc='effective echo spacing of the spin-echo images, s'
    )
    spin_echo_direction = traits.Enum(
        *DIRECTIONS, argstr='--seunwarpdir=%s', desc='phase encoding of the spin-echo images'
    )
    magnitude = InputMultiObject(
        File(exists=True),
        argstr='--fmapmag=%s',
        sep='@',
        desc='magnitude images of a gradient-echo field map',
    )
    phase = _raw('fmapphase', 'phase difference, or field in Hz (GE)')
    echo_difference = traits.Float(argstr='--echodiff=%s', desc='between the echo times, ms')
    combined_field_map = _raw('fmap', 'field and magnitude in one file (GE, older)')
    precomputed_field_map = _raw('precomputedfmap', 'field map, Hz')
    precomputed_magnitude = _raw('precomputedfmapmag', 'image in the space of the field map')
    dof = traits.Enum(6, 9, 12, argstr='--dof=%s', desc='degrees of freedom of EPI to T1w')
    use_jacobian = traits.Bool(
        argstr='--usejacobian=%s', desc='modulate intensities by the correction of distortions'
    )
    processing_mode = traits.Enum(
        'HCPStyleData',
        'LegacyStyleData',
        argstr='--processing-mode=%s',
        desc='whether data unlike those of the HCP are accepted',
    )
    wb_resample = traits.Bool(argstr='--wb-resample=%s', desc='resample by wb_command')
    echo_times = traits.List(
        traits.Float(), argstr='--echoTE=%s', sep='@', desc='of each echo, for several'
    )
    matlab_run_mode = matlab_mode()
    bbr_contrast = traits.Enum(
        'T2w', 'T1w', 'NONE', argstr='--bbr-contrast=%s', desc='for other species than humans'
    )
    wm_projection = traits.Float(argstr='--wmprojabs=%s', desc='into the white matter, mm')
    run_mode = traits.Enum(
        'Default',
        'DistortionCorrection',
        'OneStepResampling',
        argstr='--runmode=%s',
        desc='where to begin',
    )
    initial_world_matrix = _raw('initworldmat', 'applied to the sform first')
    true_patient_position = traits.Str(argstr='--truepatientposition=%s', desc='such as HFS')
    scanner_patient_position = traits.Str(argstr='--scannerpatientposition=%s', desc='such as HFS')
    spin_echo_zero_brain_mask = _raw(
        'SEPhaseZeroFSBrainmask', 'brain mask of spin_echo_zero', requires=['spin_echo_zero']
    )
    species = traits.Str(argstr='--species=%s', desc='such as Human')
    brain_scale_factor = traits.Float(argstr='--brainscalefactor=%s', desc='1 for humans')
    preregister_tool = traits.Enum(
        'epi_reg', 'flirt', argstr='--preregistertool=%s', desc='first step of EPI to T1w'
    )
    slice_timing = traits.Bool(argstr='--doslicetime=%s', desc='correct slice timing')
    slice_timing_parameters = traits.List(
        traits.Str(),
        argstr='--slicetimerparams=%s',
        sep='@',
        requires=['slice_timing'],
        desc='arguments of slicetimer',
    )
    fmri_mask = traits.Enum(*_MASKS, argstr='--fmrimask=%s', desc='final mask')
    fmri_reference = traits.Str(
        argstr='--fmriref=%s',
        label=True,
        xor=['reference_image'],
        desc='finished run that this one is registered to',
    )
    fmri_reference_registration = traits.Enum(
        'linear',
        'nonlinear',
        argstr='--fmrirefreg=%s',
        requires=['fmri_reference'],
        desc='registration to fmri_reference',
    )
    is_longitudinal = traits.Bool(
        argstr='--is-longitudinal=%s',
        requires=['longitudinal_session'],
        desc='a time point of a longitudinal template',
    )
    longitudinal_session = traits.Str(
        argstr='--longitudinal-session=%s', label=True, desc='folder of that time point'
    )


class _FMRIVolumeOutputSpec(HcpScriptOutputSpec):
    fmri = File(desc='series in MNI space, grand mean 10000')
    reference = File(desc='single-band reference image, or first volume')
    reference_nomask = File(desc='the same beyond the brain')
    jacobian = File(desc='of the correction of distortions')
    brain_mask = File(desc='brain mask of FreeSurfer at the resolution of the series')
    field_of_view_mask = File(desc='voxels that all volumes have')
    final_mask = File(desc='mask of the series')
    final_mask_stats = File(desc='how much of the brain it covers')
    movement_regressors = File(desc='12 columns: mm, degrees, and their derivatives')
    movement_regressors_detrended = File(desc='the same without linear trend')
    relative_rms = File(desc='movement between volumes, mm')
    absolute_rms = File(desc='movement from the reference, mm')
    relative_rms_mean = File(desc='mean, mm')
    absolute_rms_mean = File(desc='mean, mm')
    fmri_to_structural = File(desc='warp to the T1w image')
    fmri_to_standard = File(desc='warp to MNI space')
    standard_to_fmri = File(desc='its inverse')
    phase_one = File(desc='spin-echo image, corrected')
    phase_two = File(desc='spin-echo image of the other polarity, corrected')
    spin_echo_bias = File(desc='receive field')
    spin_echo_reference = File(desc='spin-echo image without receive field')
    dropouts = File(desc='signal dropouts')
    pseudo_transmit_raw = File(desc='transmit field, unsmoothed')
    pseudo_transmit_field = File(desc='transmit field')
    echoes = File(desc='series of all echoes')
    reference_echoes = File(desc='reference images of all echoes')
    t2star = File(desc='T2*')
    s0 = File(desc='S0')
    echo_weights = File(desc='weights of the echoes')
    echo_means = File(desc='means of the echoes')


class FMRIVolume(RunScript):
    """Correct motion and distortions of a run and resample it to MNI space.

    Options are named after what they are; the flag stands in each trait's `argstr`. The series is
    to have echo spacing (s) and direction unless nothing corrects its distortions.
    """

    input_spec = _FMRIVolumeInputSpec
    output_spec = _FMRIVolumeOutputSpec
    _script = 'fMRIVolume/GenericfMRIVolumeProcessingPipeline.sh'
    _stage = 'fMRIVolume'
    _variables = ('HCPPIPEDIR', 'FSLDIR', 'FREESURFER_HOME', 'HCPPIPEDIR_Global', 'CARET7DIR')

    def _check_values(self) -> None:
        super()._check_values()
        inputs, method = self.inputs, self.inputs.distortion_correction
        needed = list(_NEEDS[method])
        if method not in ('NONE', 'OnScanner'):
            needed += ['echo_spacing', 'unwarp_direction']
        lacking = [name for name in needed if self._given(name, None) is None]
        if lacking:
            flags = [self.inputs.trait(name).argstr.partition('=')[0] for name in lacking]
            self._refuse(f'--dcmethod={method} needs {", ".join(flags)} too.')
        for name in ('echo_spacing', 'spin_echo_spacing', 'echo_difference', 'resolution'):
            if self._given(name, 1.0) <= 0:
                flag = inputs.trait(name).argstr.partition('=')[0]
                self._refuse(f'{flag} must be greater than 0.')
        if inputs.bias_correction == 'SEBASED' and not method.startswith('TOPUP'):
            self._refuse('--biascorrection=SEBASED needs spin-echo images: --dcmethod=TOPUP.')
        self._check_new_method(method)
        self._check_legacy(method)
        if self._given('slice_timing', False) and len(self._given('echo_times', [])) > 1:
            self._refuse('slice timing cannot be corrected for several echoes.')
        if self._given('fmri_reference', '') == inputs.fmri_name:
            self._refuse('--fmriref must be another run.')

    def _check_new_method(self, method: str) -> None:
        if method in _NEW_METHODS and self.script.is_file():
            text = self.script.read_text(encoding='utf-8', errors='replace')
            if 'METHOD_OPT=' in text and f'"{method}"' not in text:
                raise ToolError(
                    f'{self._stage}: HCP pipelines {self.version} do not know '
                    f'--dcmethod={method}. Name a newer version with --hcp-dir.'
                )

    def _check_legacy(self, method: str) -> None:
        """Refuse what the script takes for data of lower quality only."""
        unusual = {
            '--dcmethod=NONE': method == 'NONE',
            '--doslicetime=TRUE': self._given('slice_timing', False),
            '--fmrimask': self._given('fmri_mask', _MASKS[0]) != _MASKS[0],
            '--fmrirefreg=nonlinear': self._given('fmri_reference_registration', '')
            == 'nonlinear',
        }
        found = [flag for flag, is_so in unusual.items() if is_so]
        if found and self._given('processing_mode', 'HCPStyleData') == 'HCPStyleData':
            self._refuse(f'{", ".join(found)}: only with --processing-mode=LegacyStyleData.')

    @property
    def _top(self) -> Path:
        if self._given('is_longitudinal', False):
            return self.folders.study / str(self.inputs.longitudinal_session)
        return self.folders.top

    def _list_outputs(self) -> dict[str, Any]:
        run = self.inputs.fmri_name
        results = self._top / 'MNINonLinear' / 'Results' / run
        xfms = self._top / 'MNINonLinear' / 'xfms'
        resolution = f'{self.inputs.resolution:g}'
        names = {
            'fmri': f'{run}.nii.gz',
            'reference': f'{run}_SBRef.nii.gz',
            'reference_nomask': f'{run}_SBRef_nomask.nii.gz',
            'jacobian': f'{run}_Jacobian.nii.gz',
            'brain_mask': f'brainmask_fs.{resolution}.nii.gz',
            'field_of_view_mask': f'{run}_fovmask.nii.gz',
            'final_mask': f'{run}_finalmask.nii.gz',
            'final_mask_stats': f'{run}_finalmask.stats.txt',
            'movement_regressors': 'Movement_Regressors.txt',
            'movement_regressors_detrended': 'Movement_Regressors_dt.txt',
            'relative_rms': 'Movement_RelativeRMS.txt',
            'absolute_rms': 'Movement_AbsoluteRMS.txt',
            'relative_rms_mean': 'Movement_RelativeRMS_mean.txt',
            'absolute_rms_mean': 'Movement_AbsoluteRMS_mean.txt',
        }
        names |= self._names_by_method(run)
        return {
            **super()._list_outputs(),
            **{key: str(results / name) for key, name in names.items()},
            'fmri_to_structural': str(self._top / 'T1w' / 'xfms' / f'{run}2str.nii.gz'),
            'fmri_to_standard': str(xfms / f'{run}2standard.nii.gz'),
            'standard_to_fmri': str(xfms / f'standard2{run}.nii.gz'),
        }

    def _names_by_method(self, run: str) -> dict[str, str]:
        """Give the names of images that not all methods make."""
        names = {}
        if self.inputs.distortion_correction == 'TOPUP':
            names = {
                'phase_one': f'{run}_PhaseOne_gdc_dc.nii.gz',
                'phase_two': f'{run}_PhaseTwo_gdc_dc.nii.gz',
            }
        if self.inputs.bias_correction == 'SEBASED':
            names |= {
                'spin_echo_bias': f'{run}_sebased_bias.nii.gz',
                'spin_echo_reference': f'{run}_sebased_reference.nii.gz',
                'dropouts': f'{run}_dropouts.nii.gz',
                'pseudo_transmit_raw': f'{run}_pseudo_transmit_raw.nii.gz',
                'pseudo_transmit_field': f'{run}_pseudo_transmit_field.nii.gz',
            }
        if len(self._given('echo_times', [])) > 1:
            names |= {
                'echoes': f'{run}_Echoes.nii.gz',
                'reference_echoes': f'{run}_SBRef_Echoes.nii.gz',
                't2star': f'{run}_T2star.nii.gz',
                's0': f'{run}_S0.nii.gz',
                'echo_weights': f'{run}_EchoWeights.nii.gz',
                'echo_means': f'{run}_EchoMeans.nii.gz',
            }
        return names

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        run = self.inputs.fmri_name
        outputs = [path for path in self.expected() if path.parent.name == 'xfms']
        results = self._top / 'MNINonLinear' / 'Results' / run
        if self._given('run_mode', 'Default') != 'Default':
            return [results]
        return [self._top / run, results, self._top / 'T1w' / 'Results' / run, *outputs]


class _FMRISurfaceInputSpec(RunScriptInputSpec):
    fmri_name = traits.Str(
        mandatory=True, argstr='--fmriname=%s', label=True, desc='name of the run'
    )
    low_res_mesh = traits.Int(
        mandatory=True, argstr='--lowresmesh=%s', desc='thousands of vertices'
    )
    resolution = traits.Float(
        mandatory=True, argstr='--fmrires=%s', desc='voxel size of the series, mm'
    )
    smoothing = traits.Float(
        mandatory=True, argstr='--smoothingFWHM=%s', desc='FWHM along the surface, mm'
    )
    grayordinates_resolution = traits.Float(
        mandatory=True, argstr='--grayordinatesres=%s', desc='voxel size of subcortex, mm'
    )
    registration_name = traits.Str(
        argstr='--regname=%s', label=True, desc='registration of the surfaces'
    )
    quality_control = traits.Enum(
        'YES', 'NO', 'ONLY', argstr='--fmri-qc=%s', desc='make a scene and pictures'
    )
    good_voxels = yes_or_no('goodvoxel', 'leave out voxels that vary much')
    species = traits.Str(argstr='--species=%s', desc='such as Human')


class _FMRISurfaceOutputSpec(HcpScriptOutputSpec):
    dense_series = File(desc='series of all grayordinates')
    dense_mean = File(desc='mean over time')
    coverage = File(desc='share of grayordinates with data, %')
    native_left = File(desc='series of the left hemisphere on its own mesh')
    native_right = File(desc='the same of the right hemisphere')
    good_voxels = File(desc='voxels that were used')
    mean = File(desc='mean over time, volume')
    standard_deviation = File(desc='over time, volume')
    scene = File(desc='for looking at the result in Workbench')
    snapshots = traits.List(File(), desc='pictures of the scene')


class FMRISurface(RunScript):
    """Sample a run along the cortex and make its dense series."""

    input_spec = _FMRISurfaceInputSpec
    output_spec = _FMRISurfaceOutputSpec
    _script = 'fMRISurface/GenericfMRISurfaceProcessingPipeline.sh'
    _stage = 'fMRISurface'
    _variables = ('HCPPIPEDIR', 'FSLDIR', 'CARET7DIR')
    # A wb_command without offscreen rendering makes none.
    _not_checked = ('snapshots',)

    def _check_values(self) -> None:
        super()._check_values()
        for name in ('resolution', 'grayordinates_resolution', 'low_res_mesh'):
            if getattr(self.inputs, name) <= 0:
                flag = self.inputs.trait(name).argstr.partition('=')[0]
                self._refuse(f'{flag} must be greater than 0.')
        if self.inputs.smoothing < 0:
            self._refuse('--smoothingFWHM must not be negative.')

    @property
    def _results(self) -> Path:
        return self.folders.results(self.inputs.fmri_name)

    def _list_outputs(self) -> dict[str, Any]:
        run, quality = self.inputs.fmri_name, self._given('quality_control', 'YES')
        names = {}
        if quality != 'ONLY':
            names = {
                'dense_series': f'{run}_Atlas.dtseries.nii',
                'dense_mean': f'{run}_Atlas_mean.dscalar.nii',
                'coverage': f'{run}_Atlas_nonzero.stats.txt',
                'native_left': f'{run}.L.native.func.gii',
                'native_right': f'{run}.R.native.func.gii',
                'mean': 'RibbonVolumeToSurfaceMapping/mean.nii.gz',
                'standard_deviation': 'RibbonVolumeToSurfaceMapping/std.nii.gz',
            }
            if self._given('good_voxels', 'YES') == 'YES':
                names['good_voxels'] = 'RibbonVolumeToSurfaceMapping/goodvoxels.nii.gz'
        outputs = {
            **super()._list_outputs(),
            **{key: str(self._results / name) for key, name in names.items()},
        }
        if quality != 'NO':
            scene = f'{self.session}_{run}.fMRIQC.wb_scene'
            folder = self._results / 'fMRIQC'
            outputs['scene'] = str(folder / scene)
            outputs['snapshots'] = [
                str(folder / 'snapshots' / f'{scene}{number}.png') for number in (1, 2)
            ]
        return outputs

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        if self._given('quality_control', 'YES') == 'ONLY':
            return [self._results / 'fMRIQC']
        run, mesh = self.inputs.fmri_name, f'{self.inputs.low_res_mesh}k_fs_LR'
        smoothed = f'{run}_s{self.inputs.smoothing:g}'
        between = [f'{run}.{side}.atlasroi.{mesh}.func.gii' for side in 'LR']
        between += [f'{smoothed}.atlasroi.{side}.{mesh}.func.gii' for side in 'LR']
        between += [
            f'{run}_AtlasSubcortical_s{self.inputs.smoothing:g}.nii.gz',
            f'{run}_Atlas.stdev.dscalar.nii',
            f'{run}_Atlas_nonzero.dscalar.nii',
            'RibbonVolumeToSurfaceMapping',
            'fMRIQC',
        ]
        own = [path for path in self.expected() if path.parent == self._results]
        return [*own, *(self._results / name for name in between)]
