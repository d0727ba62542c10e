"""Alignment of the cortex by all features (MSMAll) in the HCP pipelines."""

import re
from pathlib import Path
from typing import Any

from nipype.interfaces.base import Directory, File, traits

from ketbids.interfaces.hcp.runscript import (
    RunScript,
    RunScriptInputSpec,
    high_pass_string,
    matlab_mode,
    names,
    yes_or_no,
)
from ketbids.interfaces.hcp.script import HcpScriptOutputSpec

__all__ = ['DeDriftAndResample', 'MSMAll']

_HIGH_PASS = re.compile(r'0|-?[1-9][0-9]*|pd[0-5]')
_ITERATIONS = re.compile(r'[CAT]+(_[CAT]+)*')


def _mesh(option: str, desc: str) -> Any:
    return traits.Int(mandatory=True, argstr=f'--{option}=%s', desc=desc)


def _high_pass() -> Any:
    return traits.Str(mandatory=True, argstr='--high-pass=%s', desc='the filter that FIX was told')


def _name(option: str, desc: str, *, mandatory: bool = False) -> Any:
    return traits.Str(mandatory=mandatory, argstr=f'--{option}=%s', label=True, desc=desc)


class _Aligning(RunScript):
    def _check_values(self) -> None:
        super()._check_values()
        if not _HIGH_PASS.fullmatch(self.inputs.high_pass):
            self._refuse(
                f'--high-pass={self.inputs.high_pass} is neither a number of seconds nor pd0 to '
                'pd5.'
            )

    @property
    def _native(self) -> Path:
        return self.folders.atlas / 'Native'

    def _spheres(self, registration: str) -> list[str]:
        start = self._native / self.session
        return [f'{start}.{side}.sphere.{registration}.native.surf.gii' for side in 'LR']


class _MSMAllInputSpec(RunScriptInputSpec):
    fmri_names_list = names(
        'fmri-names-list',
        'series that are joined, each with its noise level; empty: multirun_fix_names are used',
        mandatory=True,
    )
    multirun_fix_names = names(
        'multirun-fix-names', 'all runs that FIX cleaned together', mandatory=True
    )
    # Empty if there are none.
    multirun_fix_concat_name = traits.Str(
        mandatory=True, argstr='--multirun-fix-concat-name=%s', desc='name of these joined'
    )
    multirun_fix_names_to_use = names(
        'multirun-fix-names-to-use', 'those of them that are used', mandatory=True
    )
    output_fmri_name = _name('output-fmri-name', 'name of what is joined', mandatory=True)
    high_pass = _high_pass()
    processing_string = traits.Str(
        mandatory=True,
        argstr='--fmri-proc-string=%s',
        label=True,
        desc='part of file names, such as _Atlas_hp0_clean',
    )
    templates_dir = Directory(
        mandatory=True, argstr='--msm-all-templates=%s', at_run=True, desc='templates of MSMAll'
    )
    input_registration = _name(
        'input-registration-name', 'registration that it starts from', mandatory=True
    )
    output_registration = _name(
        'output-registration-name', 'start of the name of its own', mandatory=True
    )
    high_res_mesh = _mesh('high-res-mesh', 'thousands of vertices')
    low_res_mesh = _mesh('low-res-mesh', 'thousands of vertices')
    myelin_target = File(
        mandatory=True, argstr='--myelin-target-file=%s', at_run=True, desc='mean myelin map'
    )
    module_name = _name('module-name', 'script that aligns')
    iteration_modes = traits.Str(
        argstr='--iteration-modes=%s',
        desc='features of each iteration: C connectivity, A architecture, T topography',
    )
    method = traits.Enum(
        *('WRN', 'WR', 'WRZ', 'DR', 'DRZ', 'DRN'), argstr='--method=%s', desc='of regression'
    )
    use_migp = yes_or_no('use-migp', 'reduce the data first')
    ica_dimension = traits.Int(argstr='--ica-dim=%s', desc='number of networks')
    low_ica_dimensions = traits.List(
        traits.Int(), argstr='--low-sica-dims=%s', sep='@', desc='for the weights'
    )
    variance_normalization = yes_or_no('vn', 'divide by the noise level')
    rerun = yes_or_no('rerun-if-exists', 'do it even if there is a result')
    registration_config = traits.Str(
        argstr='--registration-configure-path=%s', desc='of MSM; below MSMCONFIGDIR, or a path'
    )
    registration_overrides = traits.Str(
        argstr='--registration-configure-override-variables=%s', desc='such as REGNUMBER=1'
    )
    rsn_template = traits.Str(argstr='--rsn-template-file=%s', desc='below templates_dir')
    rsn_weights = traits.Str(argstr='--rsn-weights-file=%s', desc='below templates_dir')
    topography_roi = traits.Str(argstr='--topography-roi-file=%s', desc='below templates_dir')
    topography_target = traits.Str(
        argstr='--topography-target-file=%s', desc='below templates_dir'
    )
    use_individual_mean = yes_or_no('use-ind-mean', 'of the myelin map')
    start_frame = traits.Range(low=1, argstr='--start-frame=%s', desc='first of each series')
    end_frame = traits.Range(low=1, argstr='--end-frame=%s', desc='last of each series')
    matlab_run_mode = matlab_mode()
    is_longitudinal = traits.Bool(
        argstr='--is-longitudinal=%s',
        requires=['longitudinal_subject', 'longitudinal_sessions', 'longitudinal_template'],
        desc='all time points of a participant at once',
    )
    longitudinal_subject = _name('subject-long', 'the participant')
    longitudinal_sessions = names('sessions-long', 'time points')
    longitudinal_template = _name('template-long', 'template of the participant')
    run_list_file = _name('fmri-out-config-file', 'file for the runs that were found')


class _MSMAllOutputSpec(HcpScriptOutputSpec):
    spheres = traits.List(File(), desc='registered spheres, left and right')
    joined = File(desc='series by which the cortex was aligned')
    areal_distortion = File(desc='of the registration')


class MSMAll(_Aligning):
    """Align the cortex by folding, myelin, and networks of activity.

    Two ways of use: `multirun_fix_names` and `multirun_fix_concat_name` for runs that FIX cleaned
    together (`fmri_names_list` is empty); or `fmri_names_list` for series that were cleaned one
    by one: those of the older FIX by their runs' names, those of pyfix by the names of what was
    joined, since only these have a noise level.
    """

    input_spec = _MSMAllInputSpec
    output_spec = _MSMAllOutputSpec
    _script = 'MSMAll/MSMAllPipeline.sh'
    _stage = 'MSMAll'
    _variables = ('HCPPIPEDIR', 'MSMCONFIGDIR', 'CARET7DIR', 'MSMBINDIR')

    @property
    def label(self) -> str:
        """Name of what is joined."""
        return str(self.inputs.output_fmri_name)

    @property
    def registration(self) -> str:
        """Name of the registration that it makes, such as ``MSMAll_InitialReg_2_d40_WRN``."""
        number = self._given('iteration_modes', 'CA_CAT').count('_') + 1
        dimension, method = self._given('ica_dimension', 40), self._given('method', 'WRN')
        return f'{self.inputs.output_registration}_{number}_d{dimension}_{method}'

    @property
    def _session(self) -> str:
        if not self._given('is_longitudinal', False):
            return str(self.inputs.session)
        inputs = self.inputs
        return f'{inputs.longitudinal_subject}.long.{inputs.longitudinal_template}'

    @property
    def _atlas(self) -> Path:
        return self.folders.study / self._session / 'MNINonLinear'

    def _check_values(self) -> None:
        super()._check_values()
        inputs = self.inputs
        together, single = list(inputs.multirun_fix_names), list(inputs.fmri_names_list)
        used = list(inputs.multirun_fix_names_to_use)
        if not self._given('is_longitudinal', False):
            if bool(together) == bool(single):
                self._refuse('it needs either --multirun-fix-names or --fmri-names-list.')
            if together and not (inputs.multirun_fix_concat_name and used):
                self._refuse(
                    '--multirun-fix-names needs --multirun-fix-concat-name and '
                    '--multirun-fix-names-to-use.'
                )
            unknown = [name for name in used if name not in together]
            if unknown:
                self._refuse(f'{", ".join(unknown)} must stand in --multirun-fix-names, too.')
        if len(set(together)) < len(together):
            self._refuse('a run stands twice in --multirun-fix-names.')
        if self.label in (*together, *single, inputs.multirun_fix_concat_name):
            self._refuse(f'what is joined cannot be called {self.label}, as what it is made of.')
        if not _ITERATIONS.fullmatch(self._given('iteration_modes', 'CA_CAT')):
            self._refuse('--iteration-modes is made of C, A and T, with _ between iterations.')
        if self._given('end_frame', 10**9) < self._given('start_frame', 1):
            self._refuse('--end-frame comes before --start-frame.')

    def needed(self) -> list[Path]:
        """List the files that must be there before the script starts."""
        inputs, results = self.inputs, self._atlas / 'Results'
        if self._given('is_longitudinal', False):
            return super().needed()
        if inputs.multirun_fix_names:
            joined = inputs.multirun_fix_concat_name
            stems = [f'{joined}_Atlas{high_pass_string(inputs.high_pass)}_clean']
            folders = [results / joined]
        else:
            stems = [f'{name}{inputs.processing_string}' for name in inputs.fmri_names_list]
            folders = [results / name for name in inputs.fmri_names_list]
        found = [
            folder / f'{stem}{ending}'
            for folder, stem in zip(folders, stems, strict=True)
            for ending in ('.dtseries.nii', '_vn.dscalar.nii')
        ]
        # Without a T2w image there is no myelin.
        myelin = self._native / f'{self.session}.MyelinMap.native.dscalar.nii'
        return [*found, myelin, *super().needed()]

    def _list_outputs(self) -> dict[str, Any]:
        start, registration = self._atlas / 'Native' / self._session, self.registration
        spheres = [f'{start}.{side}.sphere.{registration}.native.surf.gii' for side in 'LR']
        joined = f'{self.label}{self.inputs.processing_string}_vn.dtseries.nii'
        return {
            **super()._list_outputs(),
            'spheres': spheres,
            'joined': str(self._atlas / 'Results' / self.label / joined),
            'areal_distortion': f'{start}.ArealDistortion_{registration}.native.dscalar.nii',
        }

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        if self._given('rerun', 'YES') == 'NO':
            return []
        # The script takes this one as it is, even of a myelin map of before.
        mesh = self.inputs.low_res_mesh
        name = f'{self._session}.BiasField_{self.inputs.input_registration}.{mesh}k_fs_LR'
        bias = self._atlas / f'fsaverage_LR{mesh}k' / f'{name}.dscalar.nii'
        return [self._atlas / 'Results' / self.label, bias, *self.expected()]


class _DeDriftInputSpec(RunScriptInputSpec):
    high_res_mesh = _mesh('high-res-mesh', 'thousands of vertices')
    low_res_meshes = traits.List(
        traits.Int(),
        mandatory=True,
        minlen=1,
        argstr='--low-res-meshes=%s',
        sep='@',
        desc='thousands of vertices',
    )
    registration_name = _name('registration-name', 'made by MSMAll', mandatory=True)
    maps = names('maps', 'such as sulc, thickness', mandatory=True)
    smoothing = traits.Float(
        mandatory=True, argstr='--smoothing-fwhm=%s', desc='along the surface, mm'
    )
    high_pass = _high_pass()
    motion_regression = traits.Bool(
        mandatory=True, argstr='--motion-regression=%s', desc='as FIX was told'
    )
    myelin_target = File(
        mandatory=True, argstr='--myelin-target-file=%s', at_run=True, desc='mean myelin map'
    )
    dedrift_spheres = traits.List(
        File(),
        minlen=2,
        maxlen=2,
        argstr='--dedrift-reg-files=%s',
        sep='@',
        at_run=True,
        requires=['output_registration'],
        desc='mean displacement of a group, left and right',
    )
    output_registration = traits.Str(
        argstr='--concat-reg-name=%s',
        label=True,
        requires=['dedrift_spheres'],
        desc='name of the registration without that displacement',
    )
    myelin_maps = names('myelin-maps', 'such as MyelinMap')
    multirun_fix_names = traits.List(
        traits.List(traits.Str(), minlen=1),
        argstr='--multirun-fix-names=%s',
        labels=True,
        requires=['multirun_fix_concat_names'],
        desc='runs of each group that FIX cleaned together',
    )
    multirun_fix_concat_names = names(
        'multirun-fix-concat-names', 'name of each group', requires=['multirun_fix_names']
    )
    multirun_fix_extract_names = traits.List(
        traits.List(traits.Str(), minlen=1),
        argstr='--multirun-fix-extract-names=%s',
        labels=True,
        requires=['multirun_fix_extract_concat_names'],
        desc='runs of each group that are joined again, or NONE',
    )
    multirun_fix_extract_concat_names = names(
        'multirun-fix-extract-concat-names',
        'name of these, or NONE',
        requires=['multirun_fix_extract_names'],
    )
    multirun_fix_extract_registrations = names(
        'multirun-fix-extract-extra-regnames', 'other registrations to join them from'
    )
    multirun_fix_extract_volume = traits.Bool(
        argstr='--multirun-fix-extract-volume=%s', desc='join the volumes, too'
    )
    fix_names = names('fix-names', 'runs that the older FIX cleaned one by one')
    dont_fix_names = names('dont-fix-names', 'runs without FIX')
    input_registration = traits.Str(argstr='--input-reg-name=%s', desc='part of file names')
    use_individual_mean = yes_or_no('use-ind-mean', 'of the myelin map')
    matlab_run_mode = matlab_mode()


class _DeDriftOutputSpec(HcpScriptOutputSpec):
    spheres = traits.List(File(), desc='registered spheres, left and right')
    surfaces = traits.List(File(), desc='white, midthickness and pial surfaces, MNI space')
    native_surfaces = traits.List(File(), desc='the same in the space of the T1w image')
    vertex_areas = traits.List(File(), desc='areas of vertices, mm2')
    maps = traits.List(File(), desc='resampled maps; those of myelin with bias correction')
    uncorrected_myelin_maps = traits.List(
        File(), desc='resampled without bias correction; HCP pipelines up to 5.0.0 make none'
    )
    dense_series = traits.List(File(), desc='resampled series of each run')
    dense_cleaned = traits.List(File(), desc='the same after FIX')
    joined_dense_cleaned = traits.List(File(), desc='of joined runs')
    extracted = traits.List(File(), desc='of runs that were joined again')


class DeDriftAndResample(_Aligning):
    """Resample surfaces, maps and series by MSMAll, and clean the series again."""

    input_spec = _DeDriftInputSpec
    output_spec = _DeDriftOutputSpec
    _script = 'DeDriftAndResample/DeDriftAndResamplePipeline.sh'
    _stage = 'DeDriftAndResample'
    _variables = ('HCPPIPEDIR', 'CARET7DIR', 'FSLDIR', 'HCPCIFTIRWDIR')
    _not_checked = ('uncorrected_myelin_maps',)

    @property
    def label(self) -> str:
        """Nothing: it is one for all runs."""
        return ''

    @property
    def registration(self) -> str:
        """Name of the registration that it makes, such as ``MSMAll``."""
        return str(self._given('output_registration', self.inputs.registration_name))

    @property
    def _groups(self) -> list[list[str]]:
        return [list(group) for group in self._given('multirun_fix_names', [])]

    def _check_values(self) -> None:
        super()._check_values()
        groups, joined = self._groups, list(self._given('multirun_fix_concat_names', []))
        extracted = list(self._given('multirun_fix_extract_concat_names', []))
        if len(groups) != len(joined):
            self._refuse('--multirun-fix-names and --multirun-fix-concat-names differ in length.')
        if len(extracted) != len(self._given('multirun_fix_extract_names', [])):
            self._refuse(
                '--multirun-fix-extract-names and --multirun-fix-extract-concat-names differ in '
                'length.'
            )
        if extracted and len(extracted) != len(groups):
            self._refuse(
                'give NONE in --multirun-fix-extract-concat-names for each group that is left out.'
            )
        if self._given('multirun_fix_extract_volume', False) and not extracted:
            self._refuse(
                '--multirun-fix-extract-volume needs --multirun-fix-extract-concat-names.'
            )
        runs = [*self._runs, *joined, *(name for name in extracted if name != 'NONE')]
        twice = sorted({name for name in runs if runs.count(name) > 1})
        if twice:
            self._refuse(f'{", ".join(twice)} is named more than once.')
        if not self._runs:
            self._refuse('there are no runs to resample.')

    @property
    def _runs(self) -> list[str]:
        found = [run for group in self._groups for run in group]
        return [*found, *self._given('fix_names', []), *self._given('dont_fix_names', [])]

    def needed(self) -> list[Path]:
        """List the files that must be there before the script starts."""
        found = [Path(path) for path in self._spheres(self.inputs.registration_name)]
        for run in self._runs:
            series = f'{run}_Atlas{self._given("input_registration", "")}.dtseries.nii'
            native = [f'{run}.{side}.native.func.gii' for side in 'LR']
            found += [self.folders.results(run) / name for name in (series, *native)]
        return [*found, *super().needed()]

    def _list_outputs(self) -> dict[str, Any]:
        registration = self.registration
        filtered = f'_Atlas_{registration}{high_pass_string(self.inputs.high_pass)}_clean'
        fixed = [run for group in self._groups for run in group]
        fixed += self._given('fix_names', [])
        outputs = {
            **super()._list_outputs(),
            'spheres': self._spheres(registration),
            **self._anatomy(),
            'dense_series': self._of(self._runs, f'_Atlas_{registration}.dtseries.nii'),
        }
        series = {
            'dense_cleaned': fixed,
            'joined_dense_cleaned': self._given('multirun_fix_concat_names', []),
            'extracted': [
                name
                for name in self._given('multirun_fix_extract_concat_names', [])
                if name != 'NONE'
            ],
        }
        for key, runs in series.items():
            if runs:
                outputs[key] = self._of(runs, f'{filtered}.dtseries.nii')
        return outputs

    def _anatomy(self) -> dict[str, list[str]]:
        """Give surfaces and maps."""
        registration, session = self.registration, self.session
        kinds = [(side, kind) for side in 'LR' for kind in ('white', 'midthickness', 'pial')]
        corrected = [f'{name}_BC' for name in self._myelin_maps]
        surfaces, native, areas = [], [], []
        maps: dict[str, list[str]] = {'maps': [], 'uncorrected_myelin_maps': []}
        kinds_of_maps = ((*self.inputs.maps, *corrected), self._myelin_maps)
        for number in self.inputs.low_res_meshes:
            mesh, folder = f'{number}k_fs_LR', f'fsaverage_LR{number}k'
            atlas, t1w = self.folders.atlas / folder, self.folders.t1w / folder
            files = [
                f'{session}.{side}.{kind}_{registration}.{mesh}.surf.gii' for side, kind in kinds
            ]
            surfaces += [str(atlas / name) for name in files]
            native += [str(t1w / name) for name in files]
            area = f'{session}.midthickness_{registration}_va'
            areas += [str(t1w / f'{area}{end}.{mesh}.dscalar.nii') for end in ('', '_norm')]
            for found, names_of_maps in zip(maps.values(), kinds_of_maps, strict=True):
                found += [
                    str(atlas / f'{session}.{name}_{registration}.{mesh}.dscalar.nii')
                    for name in names_of_maps
                ]
        return {
            'surfaces': surfaces,
            'native_surfaces': native,
            'vertex_areas': areas,
            **{key: found for key, found in maps.items() if found},
        }

    @property
    def _myelin_maps(self) -> list[str]:
        return [name for name in self._given('myelin_maps', []) if name != 'NONE']

    def _of(self, runs: list[str], ending: str) -> list[str]:
        return [str(self.folders.results(run) / f'{run}{ending}') for run in runs]

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        made = self._list_outputs()
        series = ('dense_series', 'dense_cleaned', 'joined_dense_cleaned', 'extracted')
        removed = (*series, *self._not_checked)
        found = [Path(path) for name in removed for path in made.get(name, [])]
        if self.registration != self.inputs.registration_name:
            found += [Path(path) for path in made['spheres']]
        return [*found, *self._between()]

    def _between(self) -> list[Path]:
        """List what FIX would take as it is, though it was made by another registration."""
        filtered = high_pass_string(self.inputs.high_pass)
        start = f'_Atlas_{self.registration}'
        runs = [run for group in self._groups for run in group]
        endings = (
            *(f'{start}{filtered}_vn.dtseries.nii', f'{start}_demean.dtseries.nii'),
            *(f'{start}{filtered}_vn.dscalar.nii', f'{start}_mean.dscalar.nii'),
            *(f'{start}_vn.dscalar.nii', f'{start}{filtered}.dtseries.nii'),
        )
        joined = self._given('multirun_fix_concat_names', [])
        found = [path for ending in endings for path in self._of(runs, ending)]
        return [
            Path(path) for path in (*found, *self._of(joined, f'{start}{filtered}.dtseries.nii'))
        ]
