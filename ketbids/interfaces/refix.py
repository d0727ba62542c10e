"""After FIX: pictures of the components, and cleaning again by labels that a person gave."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.base import File, traits

from ketbids.errors import ToolError
from ketbids.interfaces.hcp.runscript import (
    RunScript,
    RunScriptInputSpec,
    high_pass_string,
    matlab_mode,
    names,
    removes_trend,
    yes_or_no,
)
from ketbids.interfaces.hcp.script import HcpScriptOutputSpec
from ketbids.io.handlabels import label_files, labels_given, read_hand_labels
from ketbids.io.stages import broken

__all__ = ['ApplyHandReClassifications', 'PostFix', 'ReApplyFix', 'ReApplyFixMultiRun']

_HIGH_PASS = re.compile(r'-?[1-9][0-9]*|0|pd[0-5]')


def _fmri_name() -> Any:
    return traits.Str(
        mandatory=True,
        argstr='--fmri-name=%s',
        label=True,
        desc='name of the run, or of the joined runs',
    )


def _high_pass() -> Any:
    return traits.Str(mandatory=True, argstr='--high-pass=%s', desc='the filter that FIX was told')


class _AfterFix(RunScript):
    """A script that works on the components of one FIX."""

    @property
    def _results(self) -> Path:
        return self.folders.results(self.label)

    @property
    def _stem(self) -> str:
        return f'{self.label}{high_pass_string(self.inputs.high_pass)}'

    @property
    def _ica(self) -> Path:
        return self._results / f'{self._stem}.ica'

    def _check_values(self) -> None:
        super()._check_values()
        if not _HIGH_PASS.fullmatch(self.inputs.high_pass):
            self._refuse(
                f'--high-pass={self.inputs.high_pass} is neither a number of seconds nor pd0 to '
                'pd5.'
            )


class _PostFixInputSpec(RunScriptInputSpec):
    fmri_name = _fmri_name()
    high_pass = _high_pass()
    dual_screen_template = File(
        mandatory=True, argstr='--template-scene-dual-screen=%s', at_run=True, desc='of a scene'
    )
    single_screen_template = File(
        mandatory=True, argstr='--template-scene-single-screen=%s', at_run=True, desc='of a scene'
    )
    reuse_high_pass = yes_or_no(
        'reuse-high-pass', 'take the filtered series; always so for joined runs', mandatory=True
    )
    matlab_run_mode = matlab_mode()


class _PostFixOutputSpec(HcpScriptOutputSpec):
    dual_screen_scene = File(desc='for looking at the components, on two screens')
    single_screen_scene = File(desc='the same on one screen')
    signal = File(desc='numbers of the components that are signal')
    noise = File(desc='numbers of the others')
    dense_components = File(desc='maps of the components, grayordinates')
    volume_components = File(desc='maps of the components, voxels')
    mixing = File(desc='courses of the components')
    spectra = File(desc='their spectra')


class PostFix(_AfterFix):
    """Make scenes for looking at components, and empty files for labels by hand."""

    input_spec = _PostFixInputSpec
    output_spec = _PostFixOutputSpec
    _script = 'ICAFIX/PostFix.sh'
    _stage = 'PostFix'
    _variables = ('HCPPIPEDIR', 'CARET7DIR', 'FSLDIR', 'HCPCIFTIRWDIR')
    # Empty if all components are of the other kind.
    _not_checked = ('signal', 'noise')

    def _check_values(self) -> None:
        super()._check_values()
        anew = self.inputs.reuse_high_pass in ('NO',)
        if anew and removes_trend(self.inputs.high_pass):
            self._refuse(
                f'--high-pass={self.inputs.high_pass} was a trend, which only FIX of joined runs '
                'removes: --reuse-high-pass=YES.'
            )

    def _list_outputs(self) -> dict[str, Any]:
        scene = self._results / f'{self.session}_{self._stem}_ICA_Classification'
        melodic = self._ica / 'filtered_func_data.ica'
        return {
            **super()._list_outputs(),
            'dual_screen_scene': f'{scene}_dualscreen.scene',
            'single_screen_scene': f'{scene}_singlescreen.scene',
            'signal': str(self._ica / 'Signal.txt'),
            'noise': str(self._ica / 'Noise.txt'),
            'dense_components': str(melodic / 'melodic_oIC.dscalar.nii'),
            'volume_components': str(melodic / 'melodic_oIC_vol.dscalar.nii'),
            'mixing': str(melodic / 'melodic_mix.sdseries.nii'),
            'spectra': str(melodic / 'melodic_FTmix.sdseries.nii'),
        }

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again); labels by hand stay."""
        melodic = self._ica / 'filtered_func_data.ica'
        between = ('melodic_oIC_vol.dtseries.nii', 'melodic_oIC.dtseries.nii')
        lists = (self._ica / name for name in ('Signal.txt', 'Noise.txt', 'ComponentList.txt'))
        return [*self.expected(), *lists, *(melodic / name for name in between)]


class _ApplyInputSpec(RunScriptInputSpec):
    fmri_name = _fmri_name()
    high_pass = _high_pass()
    signal_file = File(
        argstr='--reclassify-as-signal-file=%s', at_run=True, desc='components that are signal'
    )
    noise_file = File(
        argstr='--reclassify-as-noise-file=%s', at_run=True, desc='components that are noise'
    )
    matlab_run_mode = matlab_mode()


class _ApplyOutputSpec(HcpScriptOutputSpec):
    hand_signal = File(desc='numbers of the components that are signal in the end')
    hand_noise = File(desc='numbers of the others')
    training_labels = File(desc='the latter as FIX wants them for training')


class ApplyHandReClassifications(_AfterFix):
    """Merge labels that a person gave with the classes of FIX.

    The numbers of the components, and not the files, decide whether it is done again; they stand
    in the record. Without labels, what it gives are the classes of FIX: so labels are withdrawn.
    """

    input_spec = _ApplyInputSpec
    output_spec = _ApplyOutputSpec
    _script = 'ICAFIX/ApplyHandReClassifications.sh'
    _stage = 'ReApplyFix'
    _variables = ('HCPPIPEDIR', 'FSLDIR')

    def mark(self) -> dict[str, Any]:
        """Say what the stage is made with: the labels by number."""
        labels = read_hand_labels(self._ica)
        found = super().mark()
        for name in ('signal_file', 'noise_file'):
            found.pop(name, None)
        return {
            **found,
            'labelled_signal': list(labels.signal),
            'labelled_noise': list(labels.noise),
        }

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return labels_given(self._ica)

    def needed(self) -> list[Path]:
        """List the files that must be there before the script starts."""
        # A missing file where labels are looked for is as good as an empty one.
        return [path for path in super().needed() if path not in label_files(self._ica)]

    def _prepare(self, environment: Mapping[str, str]) -> None:
        super()._prepare(environment)
        for path in label_files(self._ica):
            if not path.exists():
                path.touch()

    def _list_outputs(self) -> dict[str, Any]:
        return {
            **super()._list_outputs(),
            'hand_signal': str(self._ica / 'HandSignal.txt'),
            'hand_noise': str(self._ica / 'HandNoise.txt'),
            'training_labels': str(self._ica / 'hand_labels_noise.txt'),
        }

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again): nothing.

        That labels were applied is known by ``HandNoise.txt``.
        """
        return []


def _registration() -> Any:
    return traits.Str(
        argstr='--reg-name=%s', label=True, desc='registration of the surfaces; NONE: MSMSulc'
    )


class _ReApplyFixInputSpec(RunScriptInputSpec):
    fmri_name = _fmri_name()
    high_pass = _high_pass()
    registration_name = _registration()
    low_res_mesh = traits.Int(argstr='--low-res-mesh=%s', desc='thousands of vertices')
    matlab_run_mode = matlab_mode()
    motion_regression = traits.Bool(argstr='--motion-regression=%s', desc='as FIX was told')
    delete_intermediates = traits.Bool(
        argstr='--delete-intermediates=%s', desc='remove filtered series'
    )
    clean_substring = traits.Str(
        argstr='--clean-substring=%s', label=True, desc='end of the names, such as clean'
    )


class _ReApplyFixOutputSpec(HcpScriptOutputSpec):
    cleaned = File(desc='cleaned series, volume')
    dense_cleaned = File(desc='cleaned series, grayordinates')
    dense_cleaned_noise = File(desc='noise level of each grayordinate')


class _ReApply(_AfterFix):
    # FIX before 1.067 does not make it.
    _not_checked = ('dense_cleaned_noise',)

    @property
    def _registration(self) -> str:
        """Part of the names of files that tells of the surfaces."""
        name, mesh = self._given('registration_name', 'NONE'), self._given('low_res_mesh', 32)
        text = '' if name in ('', 'NONE') else f'_{name}'
        return text if mesh == 32 else f'{text}.{mesh}k'

    @property
    def _makes_volume(self) -> bool:
        """Whether the volume is cleaned too: for labels by hand, the first time."""
        return self._given('registration_name', 'NONE') in ('', 'NONE')

    @property
    def _clean(self) -> str:
        return str(self._given('clean_substring', 'clean'))

    def _list_outputs(self) -> dict[str, Any]:
        high_pass = high_pass_string(self.inputs.high_pass)
        dense = f'{self.label}_Atlas{self._registration}{high_pass}_{self._clean}'
        outputs = {
            **super()._list_outputs(),
            'dense_cleaned': str(self._results / f'{dense}.dtseries.nii'),
            'dense_cleaned_noise': str(self._results / f'{dense}_vn.dscalar.nii'),
        }
        if self._makes_volume:
            outputs['cleaned'] = str(self._results / f'{self._stem}_{self._clean}.nii.gz')
        return outputs


class ReApplyFix(_ReApply):
    """Clean a run again that was cleaned for itself by the older FIX."""

    input_spec = _ReApplyFixInputSpec
    output_spec = _ReApplyFixOutputSpec
    _script = 'ICAFIX/ReApplyFixPipeline.sh'
    _stage = 'ReApplyFix'
    _variables = ('HCPPIPEDIR', 'CARET7DIR', 'FSLDIR', 'FSL_FIXDIR', 'HCPCIFTIRWDIR')

    def _check_values(self) -> None:
        super()._check_values()
        if removes_trend(self.inputs.high_pass):
            self._refuse(
                f'--high-pass={self.inputs.high_pass}: trends are removed from joined runs only '
                '(ReApplyFixMultiRun).'
            )

    def _check_before(self, environment: Mapping[str, str]) -> None:
        super()._check_before(environment)
        settings = Path(environment['FSL_FIXDIR'], 'settings.sh')
        if not settings.is_file():
            raise ToolError(
                f'{self.title}: {settings} is missing. FSL_FIXDIR must name the folder of the '
                'older FIX, by which the run was cleaned.'
            )

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        outputs = self._list_outputs()
        noise = Path(outputs['dense_cleaned_noise'])
        # Left over from a run that was interrupted, it would be taken as it is.
        filtered = self._results / f'{self._stem}.nii.gz'
        half = [filtered] if broken(filtered) else []
        return [*self.expected(), noise, *half]


class _ReApplyFixMultiRunInputSpec(RunScriptInputSpec):
    fmri_names = names(
        'fmri-names', 'names of the runs, as FIX was told', mandatory=True, minlen=1
    )
    concat_fmri_name = traits.Str(
        mandatory=True, argstr='--concat-fmri-name=%s', label=True, desc='name of what is joined'
    )
    high_pass = _high_pass()
    registration_name = _registration()
    low_res_mesh = traits.Int(argstr='--low-res-mesh=%s', desc='thousands of vertices')
    motion_regression = traits.Bool(argstr='--motion-regression=%s', desc='as FIX was told')
    delete_intermediates = traits.Bool(
        argstr='--delete-intermediates=%s', desc='remove the joined series'
    )
    volume_wisharts = traits.Range(low=1, argstr='--vol-wisharts=%s', desc='for the volume')
    dense_wisharts = traits.Range(low=1, argstr='--cifti-wisharts=%s', desc='for grayordinates')
    ica_dimension_mode = traits.Enum(
        'default', 'fewtimepoints', argstr='--icadim-mode=%s', desc='estimation of the dimension'
    )
    processing_mode = traits.Enum(
        'HCPStyleData', 'LegacyStyleData', argstr='--processing-mode=%s', desc='kind of data'
    )
    clean_substring = traits.Str(
        argstr='--clean-substring=%s', label=True, desc='end of the names, such as clean'
    )
    is_longitudinal = traits.Bool(
        argstr='--is-longitudinal=%s',
        requires=['longitudinal_session'],
        desc='a time point of a longitudinal template',
    )
    longitudinal_session = traits.Str(
        argstr='--longitudinal-session=%s', label=True, desc='folder of that time point'
    )
    matlab_run_mode = matlab_mode()


class _ReApplyFixMultiRunOutputSpec(_ReApplyFixOutputSpec):
    runs_cleaned = traits.List(File(), desc='cleaned series of each run, volume')
    runs_dense_cleaned = traits.List(File(), desc='cleaned series of each run, grayordinates')


class ReApplyFixMultiRun(_ReApply):
    """Clean runs again that were cleaned together, or one that pyfix cleaned."""

    input_spec = _ReApplyFixMultiRunInputSpec
    output_spec = _ReApplyFixMultiRunOutputSpec
    _script = 'ICAFIX/ReApplyFixMultiRunPipeline.sh'
    _stage = 'ReApplyFix'
    _variables = ('HCPPIPEDIR', 'CARET7DIR', 'FSLDIR', 'HCPCIFTIRWDIR')

    @property
    def label(self) -> str:
        """Name of the joined runs."""
        return str(self.inputs.concat_fmri_name)

    @property
    def _top(self) -> Path:
        if self._given('is_longitudinal', False):
            return self.folders.study / str(self.inputs.longitudinal_session)
        return self.folders.top

    @property
    def _results(self) -> Path:
        return self._top / 'MNINonLinear' / 'Results' / self.label

    @property
    def _makes_volume(self) -> bool:
        return super()._makes_volume or bool(self._given('is_longitudinal', False))

    def _check_values(self) -> None:
        super()._check_values()
        if self.inputs.high_pass.startswith('-'):
            self._refuse('joined runs cannot be without a filter: --high-pass is 0 or more.')
        few = self._given('ica_dimension_mode', 'default') == 'fewtimepoints'
        if few and self._given('processing_mode', 'HCPStyleData') == 'HCPStyleData':
            self._refuse(
                '--icadim-mode=fewtimepoints: only with --processing-mode=LegacyStyleData.'
            )

    def _of_runs(self, ending: str) -> list[str]:
        results = self._top / 'MNINonLinear' / 'Results'
        return [str(results / run / f'{run}{ending}') for run in self.inputs.fmri_names]

    def _list_outputs(self) -> dict[str, Any]:
        filtered = high_pass_string(self.inputs.high_pass)
        outputs = super()._list_outputs()
        dense = f'_Atlas{self._registration}{filtered}_{self._clean}.dtseries.nii'
        outputs['runs_dense_cleaned'] = self._of_runs(dense)
        # Older scripts call the volume otherwise than the rest.
        if self._makes_volume and self._clean == 'clean':
            outputs['runs_cleaned'] = self._of_runs(f'{filtered}_clean.nii.gz')
        return outputs

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        noise = Path(self._list_outputs()['dense_cleaned_noise'])
        # Without what it made, FIX would have to be done again.
        kept = [path for path in self._of_fix() if not broken(path)]
        return [*self.expected(), noise, *(path for path in self._between() if path not in kept)]

    def _between(self) -> list[Path]:
        """List what the script would take as it is, whatever it was made of."""
        filtered, registration = high_pass_string(self.inputs.high_pass), self._registration
        endings = [
            f'_Atlas{registration}{filtered}_vn.dtseries.nii',
            f'_Atlas{registration}{filtered}_vn.dscalar.nii',
            f'_Atlas{registration}_demean.dtseries.nii',
            f'_Atlas{registration}_vn.dscalar.nii',
        ]
        if self._makes_volume:
            endings += [f'{filtered}_vnts.nii.gz', f'{filtered}_vn.nii.gz', '_demean.nii.gz']
        found = [Path(path) for ending in endings for path in self._of_runs(ending)]
        found += [self._results / f'{self.label}_Atlas{registration}{filtered}.dtseries.nii']
        if self._makes_volume:
            found.append(self._results / f'{self._stem}.nii.gz')
        return found

    def _of_fix(self) -> list[Path]:
        """List those of them that FIX made, of the same series; they belong to its stage."""
        if self._given('is_longitudinal', False):
            return []
        filtered = high_pass_string(self.inputs.high_pass)
        endings = (f'{filtered}_vn.nii.gz', f'_Atlas{filtered}_vn.dscalar.nii')
        joined = (f'{filtered}.nii.gz', f'_Atlas{filtered}.dtseries.nii')
        return [
            *(Path(path) for ending in endings for path in self._of_runs(ending)),
            *(self._results / f'{self.label}{ending}' for ending in joined),
        ]
