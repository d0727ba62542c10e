"""ICA and FIX of the HCP pipelines: components of runs are found, classified and removed."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces.base import Directory, File, traits

from ketbids.errors import InputError, ToolError
from ketbids.interfaces.fixbase import (
    DEFAULT_MODEL,
    PYFIX_MODELS,
    FixScript,
    ica_outputs,
    is_file,
    logs_of,
    model_name,
    needed_of,
    training_problem,
)
from ketbids.interfaces.hcp.runscript import high_pass_string, knows_option, matlab_mode, names
from ketbids.interfaces.hcp.script import HcpScriptInputSpec, HcpScriptOutputSpec

__all__ = ['DEFAULT_MODEL', 'IcaFix', 'IcaFixMultiRun']

_MULTI_RUN_HIGH_PASS = re.compile(r'0|[1-9][0-9]*|pd[0-5]')
_SINGLE_RUN_HIGH_PASS = re.compile(r'-?[1-9][0-9]*')
#: How newer scripts make a path of whatever names the training data.
_MAKES_PATH = re.compile(r'TrainingData="?\$\(pwd\)/')


class _IcaFixInputSpec(HcpScriptInputSpec):
    study_folder = Directory(mandatory=True, desc='study folder')
    session = traits.Str(mandatory=True, label=True, desc='folder of the session')
    fmri_name = traits.Str(mandatory=True, argstr='%s', label=True, desc='name of the run')
    high_pass = traits.Str(
        mandatory=True, argstr='%s', desc='full width of the filter, s; below 0: no filter'
    )
    motion_regression = traits.Bool(
        False, usedefault=True, argstr='%s', desc='remove 24 motion parameters too'
    )
    training_file = traits.Str(argstr='%s', desc='.RData file, or its name in training_files')
    fix_threshold = traits.Range(
        low=0, high=100, argstr='%s', requires=['training_file'], desc='between the classes'
    )
    delete_intermediates = traits.Bool(
        argstr='%s', requires=['training_file', 'fix_threshold'], desc='remove filtered series'
    )


class _IcaFixOutputSpec(HcpScriptOutputSpec):
    ica = Directory(desc='folder of the components')
    cleaned = File(desc='cleaned series, volume')
    dense_cleaned = File(desc='cleaned series, grayordinates')
    cleaned_noise = File(desc='noise level of each voxel')
    dense_cleaned_noise = File(desc='noise level of each grayordinate')
    mixing = File(desc='courses of the components')
    components = File(desc='maps of the components')
    classes = File(desc='class of each component')
    noise_components = File(desc='numbers of the components that are removed')


class IcaFix(FixScript):
    """Clean one run by the older FIX, which needs MATLAB and R (``hcp_fix``).

    pyfix cleans single runs by `IcaFixMultiRun`.
    """

    input_spec = _IcaFixInputSpec
    output_spec = _IcaFixOutputSpec
    _script = 'ICAFIX/hcp_fix'
    _stage = 'ICAFIX'
    _variables = ('HCPPIPEDIR', 'FSLDIR', 'FSL_FIXDIR')
    _positional = True
    # FIX before 1.067 does not make them.
    _not_checked = (*FixScript._not_checked, 'cleaned_noise', 'dense_cleaned_noise')

    @property
    def _training(self) -> str:
        return str(self._given('training_file', f'HCP_hp{self.inputs.high_pass}'))

    @property
    def _stem(self) -> str:
        return f'{self.inputs.fmri_name}{high_pass_string(self.inputs.high_pass)}'

    @property
    def _results(self) -> Path:
        return self.folders.results(self.inputs.fmri_name)

    @property
    def _ica(self) -> Path:
        return self._results / f'{self._stem}.ica'

    def _check_values(self) -> None:
        super()._check_values()
        high_pass = self.inputs.high_pass
        if not _SINGLE_RUN_HIGH_PASS.fullmatch(high_pass):
            self._refuse(
                'the filter of a single run is a number of seconds other than 0, not '
                f'{high_pass}. Trends (0, pd0 to pd5) are removed from several runs, or by pyfix.'
            )
        problem = training_problem(self._training, 'legacy')
        if problem:
            raise InputError(problem)

    def _options(self) -> Iterator[tuple[str, list[str]]]:
        for name, tokens in super()._options():
            if name == 'fmri_name':
                tokens = [str(self._results / self.inputs.fmri_name)]
            elif name == 'training_file' and is_file(self.inputs.training_file):
                tokens = [os.path.abspath(self.inputs.training_file)]
            yield name, tokens

    def needed(self) -> list[Path]:
        """List the files that must be there before the script starts."""
        return needed_of(self._results, self.inputs.fmri_name)

    def _check_before(self, environment: Mapping[str, str]) -> None:
        super()._check_before(environment)
        self._check_legacy(environment)

    def _list_outputs(self) -> dict[str, Any]:
        run, threshold = self.inputs.fmri_name, self._given('fix_threshold', 10)
        dense = f'{run}_Atlas{high_pass_string(self.inputs.high_pass)}_clean'
        return {
            **super()._list_outputs(),
            'cleaned': str(self._results / f'{self._stem}_clean.nii.gz'),
            'dense_cleaned': str(self._results / f'{dense}.dtseries.nii'),
            'cleaned_noise': str(self._results / f'{self._stem}_clean_vn.nii.gz'),
            'dense_cleaned_noise': str(self._results / f'{dense}_vn.dscalar.nii'),
            **ica_outputs(self._ica, model_name(self._training), threshold),
        }

    def _cleaned(self) -> list[Path]:
        outputs = self._list_outputs()
        return [Path(outputs[name]) for name in ('cleaned', 'dense_cleaned')]

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        outputs = self._list_outputs()
        mine = [name for name in outputs if 'cleaned' in name]
        found = [self._ica, *(Path(outputs[name]) for name in mine)]
        if not self.inputs.high_pass.startswith('-'):
            run = self.inputs.fmri_name
            dense = f'{run}_Atlas{high_pass_string(self.inputs.high_pass)}.dtseries.nii'
            found += [self._results / f'{self._stem}.nii.gz', self._results / dense]
        return found

    def inner_logs(self) -> list[Path]:
        """List logs that programs within the script write."""
        return logs_of(self._ica)


class _IcaFixMultiRunInputSpec(HcpScriptInputSpec):
    study_folder = Directory(mandatory=True, desc='study folder')
    session = traits.Str(mandatory=True, label=True, desc='folder of the session')
    fmri_names = names('fmri-names', 'names of the runs', mandatory=True, minlen=1)
    high_pass = traits.Str(
        mandatory=True,
        argstr='--high-pass=%s',
        desc='full width of the filter, s; 0 linear trend; pd0 to pd5 polynomial',
    )
    concat_fmri_name = traits.Str(
        mandatory=True, argstr='--concat-fmri-name=%s', label=True, desc='name of what is joined'
    )
    motion_regression = traits.Bool(
        argstr='--motion-regression=%s', desc='remove 24 motion parameters too'
    )
    enable_legacy_fix = traits.Bool(
        argstr='--enable-legacy-fix=%s', desc='the older FIX, which needs MATLAB and R; not pyfix'
    )
    training_file = traits.Str(
        argstr='--training-file=%s', desc='.RData or .pyfix_model file, or name of a model'
    )
    fix_threshold = traits.Range(
        low=0, high=100, argstr='--fix-threshold=%s', desc='between the classes'
    )
    template_brain = File(argstr='--T1wTemplateBrain=%s', at_run=True, desc='for masks of pyfix')
    delete_intermediates = traits.Bool(
        argstr='--delete-intermediates=%s', desc='remove the joined series'
    )
    fallback_threshold = traits.Float(
        argstr='--fallback-threshold=%s',
        desc='of the mean noise, above which one Wishart distribution is used',
    )
    volume_wisharts = traits.Range(low=1, argstr='--vol-wisharts=%s', desc='for the volume')
    dense_wisharts = traits.Range(low=1, argstr='--cifti-wisharts=%s', desc='for grayordinates')
    ica_dimension_mode = traits.Enum(
        'default', 'fewtimepoints', argstr='--icadim-mode=%s', desc='estimation of the dimension'
    )
    processing_mode = traits.Enum(
        'HCPStyleData', 'LegacyStyleData', argstr='--processing-mode=%s', desc='kind of data'
    )
    concatenate_only = traits.Bool(argstr='--concatenate-only=%s', desc='stop before ICA')
    ica_method = traits.Enum('MELODIC', 'ICASSO', argstr='--ica-method=%s', desc='one ICA or many')
    parallel_limit = traits.Int(argstr='--parallel-limit=%s', desc='programs at a time (ICASSO)')
    matlab_run_mode = matlab_mode()
    reuse_existing_ica = traits.Bool(
        argstr='--reuse-existing-ica=%s', desc='classify the components that are there'
    )
    fix_backup = traits.Str(
        argstr='--fix-backup=%s',
        label=True,
        requires=['reuse_existing_ica'],
        desc='folder for the earlier classes, within that of the components',
    )


class _IcaFixMultiRunOutputSpec(_IcaFixOutputSpec):
    runs_cleaned = traits.List(File(), desc='cleaned series of each run, volume')
    runs_dense_cleaned = traits.List(File(), desc='cleaned series of each run, grayordinates')
    runs_noise = traits.List(File(), desc='noise level of each run, volume')
    runs_dense_noise = traits.List(File(), desc='noise level of each run, grayordinates')
    joined = File(desc='all runs, volume')
    joined_dense = File(desc='all runs, grayordinates')
    joined_filtered = File(desc='the same after the filter')
    joined_dense_filtered = File(desc='the same after the filter')
    joined_noise = File(desc='mean noise level, volume')
    joined_dense_noise = File(desc='mean noise level, grayordinates')


class IcaFixMultiRun(FixScript):
    """Clean runs together, or one by pyfix (``hcp_fix_multi_run``).

    HCP pipelines 4.8 have the older FIX only, and take the kind of MATLAB from FIX's own
    ``settings.sh``; options that say just that are left out there.
    """

    input_spec = _IcaFixMultiRunInputSpec
    output_spec = _IcaFixMultiRunOutputSpec
    _script = 'ICAFIX/hcp_fix_multi_run'
    _stage = 'ICAFIX'
    _variables = ('HCPPIPEDIR', 'FSLDIR', 'CARET7DIR', 'HCPCIFTIRWDIR')

    @property
    def label(self) -> str:
        """Name of the joined runs."""
        return str(self.inputs.concat_fmri_name)

    @property
    def _is_legacy(self) -> bool:
        return bool(self._given('enable_legacy_fix', True))

    @property
    def _training(self) -> str:
        given = str(self._given('training_file', DEFAULT_MODEL))
        # Models of pyfix have no ending, but people know them by that of the older FIX.
        name = given.removesuffix('.RData')
        is_model = not self._is_legacy and not is_file(given) and name in PYFIX_MODELS
        return name if is_model else given

    @property
    def _results(self) -> Path:
        return self.folders.results(self.inputs.concat_fmri_name)

    @property
    def _ica(self) -> Path:
        stem = f'{self.inputs.concat_fmri_name}_hp{self.inputs.high_pass}'
        return self._results / f'{stem}.ica'

    def _check_values(self) -> None:
        if not self._is_legacy and not knows_option(self.script, '--enable-legacy-fix'):
            raise ToolError(
                f'{self._stage}: HCP pipelines {self.version} cannot use pyfix: 5.0 or newer can '
                '(--hcp-dir), or use --fix legacy.'
            )
        super()._check_values()
        inputs, joined = self.inputs, self.inputs.concat_fmri_name
        if not _MULTI_RUN_HIGH_PASS.fullmatch(inputs.high_pass):
            self._refuse(
                'the filter is a number of seconds, 0 (linear trend), or pd0 to pd5 (polynomial), '
                f'not {inputs.high_pass}.'
            )
        if joined in inputs.fmri_names:
            self._refuse(
                f'what is joined cannot be called {joined} as one of the runs: the script empties '
                'that folder.'
            )
        if len(set(inputs.fmri_names)) < len(inputs.fmri_names):
            self._refuse('a run stands twice in --fmri-names.')
        if self._given('volume_wisharts', 2) == 1 and self._given('fallback_threshold', 0.0) > 0:
            self._refuse('--fallback-threshold does nothing with --vol-wisharts=1.')
        few = self._given('ica_dimension_mode', 'default') == 'fewtimepoints'
        if few and self._given('processing_mode', 'HCPStyleData') == 'HCPStyleData':
            self._refuse(
                '--icadim-mode=fewtimepoints: only with --processing-mode=LegacyStyleData.'
            )
        problem = training_problem(self._training, 'legacy' if self._is_legacy else 'pyfix')
        if problem:
            raise InputError(problem)
        self._check_model_name()

    def _options(self) -> Iterator[tuple[str, list[str]]]:
        for name, tokens in super()._options():
            flag = tokens[0].partition('=')[0]
            if name == 'fmri_names':
                paths = (str(self.folders.results(run) / run) for run in self.inputs.fmri_names)
                tokens = [f'{flag}={"@".join(paths)}']
            elif name == 'concat_fmri_name':
                tokens = [f'{flag}={self._results / self.inputs.concat_fmri_name}']
            elif name == 'training_file':
                tokens = [f'{flag}={text}' for text in self._training_argument()]
            elif self._says_nothing_new(name) and not knows_option(self.script, flag):
                continue
            yield name, tokens

    def _says_nothing_new(self, name: str) -> bool:
        return name == 'matlab_run_mode' or (name == 'enable_legacy_fix' and self._is_legacy)

    def _training_argument(self) -> list[str]:
        """Give the training data as the script finds them."""
        training = self._training
        if self._is_legacy:
            return [self._resolved(training)]
        if not is_file(training):
            # Newer scripts make a path of any name, by which pyfix does not know its model;
            # without a name they take this one.
            return [] if training == DEFAULT_MODEL else [training]
        if training.endswith('.RData'):
            return [str(self._copy)]
        return [os.path.abspath(training)]

    @property
    def _copy(self) -> Path:
        """Where training data of the older FIX are converted for pyfix."""
        log = Path(self.inputs.log)
        return log.parent / f'{log.stem}_training' / Path(self._training).name

    def _prepare(self, environment: Mapping[str, str]) -> None:
        super()._prepare(environment)
        if not self._is_legacy and is_file(self._training) and self._training.endswith('.RData'):
            # The script writes the converted model beside it.
            self._copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._training, self._copy)

    def _check_before(self, environment: Mapping[str, str]) -> None:
        super()._check_before(environment)
        legacy = environment.get('FSL_FIXDIR', '')
        converter = Path(legacy, 'convert_fix_model')
        if self._is_legacy:
            self._check_legacy(environment)
            if converter.is_file():
                raise ToolError(
                    f'{self.title}: {legacy} (FSL_FIXDIR) holds pyfix, not the older FIX. Use '
                    '--fix pyfix, or set FSL_FIXDIR to the folder of the older one.'
                )
            return
        if not (legacy and converter.is_file()):
            self._need_variable(environment, 'FSL_DIR')

    def _check_model_name(self) -> None:
        """Refuse a name of which the script makes a path that leads nowhere."""
        name = self._training
        if self._is_legacy or is_file(name) or name == DEFAULT_MODEL or not self.script.is_file():
            return
        text = self.script.read_text(encoding='utf-8', errors='replace')
        if _MAKES_PATH.search(text):
            raise ToolError(
                f'{self._stage}: HCP pipelines {self.version} take the name of a model, {name}, '
                f'for a file in the current folder. Give the path of {name}.pyfix_model of your '
                'FSL with --fix-training.'
            )

    def needed(self) -> list[Path]:
        """List the files that must be there before the script starts."""
        runs = self.inputs.fmri_names
        found = [path for run in runs for path in needed_of(self.folders.results(run), run)]
        return [*found, *super().needed()]

    def _list_outputs(self) -> dict[str, Any]:
        joined, high_pass = self.inputs.concat_fmri_name, f'_hp{self.inputs.high_pass}'
        outputs = super()._list_outputs()
        names = {}
        if not self._given('delete_intermediates', False):
            names = {
                'joined': f'{joined}.nii.gz',
                'joined_dense': f'{joined}_Atlas.dtseries.nii',
                'joined_filtered': f'{joined}{high_pass}.nii.gz',
                'joined_dense_filtered': f'{joined}_Atlas{high_pass}.dtseries.nii',
            }
        names |= {
            'joined_noise': f'{joined}{high_pass}_vn.nii.gz',
            'joined_dense_noise': f'{joined}_Atlas{high_pass}_vn.dscalar.nii',
        }
        if not self._given('concatenate_only', False):
            names |= {
                'cleaned': f'{joined}{high_pass}_clean.nii.gz',
                'dense_cleaned': f'{joined}_Atlas{high_pass}_clean.dtseries.nii',
                'cleaned_noise': f'{joined}{high_pass}_clean_vn.nii.gz',
                'dense_cleaned_noise': f'{joined}_Atlas{high_pass}_clean_vn.dscalar.nii',
            }
            threshold = self._given('fix_threshold', 10)
            outputs |= ica_outputs(self._ica, model_name(self._training), threshold)
            outputs |= {
                'runs_cleaned': self._of_runs(f'{high_pass}_clean.nii.gz'),
                'runs_dense_cleaned': self._of_runs(f'_Atlas{high_pass}_clean.dtseries.nii'),
            }
        return {
            **outputs,
            **{key: str(self._results / name) for key, name in names.items()},
            'runs_noise': self._of_runs(f'{high_pass}_vn.nii.gz'),
            'runs_dense_noise': self._of_runs(f'_Atlas{high_pass}_vn.dscalar.nii'),
        }

    def _of_runs(self, ending: str) -> list[str]:
        runs = self.inputs.fmri_names
        return [str(self.folders.results(run) / f'{run}{ending}') for run in runs]

    def expected(self) -> list[Path]:
        """List the outputs that must be whole for the stage to be done."""
        found, outputs = super().expected(), self._list_outputs()
        if not self._is_legacy:
            return found
        # FIX before 1.067 does not make them.
        noise = {outputs.get('cleaned_noise'), outputs.get('dense_cleaned_noise')}
        return [path for path in found if str(path) not in noise]

    def _cleaned(self) -> list[Path]:
        outputs = self._list_outputs()
        single = ('cleaned', 'dense_cleaned', 'cleaned_noise', 'dense_cleaned_noise')
        found = [Path(outputs[name]) for name in single if name in outputs]
        runs = (*outputs.get('runs_cleaned', []), *outputs.get('runs_dense_cleaned', []))
        return [*found, *map(Path, runs)]

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        if self._given('reuse_existing_ica', False):
            return self._cleaned()
        filtered = f'_hp{self.inputs.high_pass}'
        endings = (
            *(f'{filtered}_clean.nii.gz', f'_Atlas{filtered}_clean.dtseries.nii'),
            *(f'_Atlas{filtered}_clean.README.txt', f'{filtered}.ica', '_dims.txt'),
            *(f'{filtered}_vn.nii.gz', f'_Atlas{filtered}_vn.dscalar.nii', '_mean.nii.gz'),
            # What is left of a run that was interrupted.
            *('_demean.nii.gz', '_Atlas_demean.dtseries.nii', f'{filtered}.nii.gz'),
            *(f'_Atlas{filtered}.dtseries.nii', f'{filtered}_vnts.nii.gz'),
            f'_Atlas{filtered}_vn.dtseries.nii',
        )
        found = [Path(path) for ending in endings for path in self._of_runs(ending)]
        texts = ('Movement_Regressors_demean.txt', f'Movement_Regressors{filtered}_clean.txt')
        for run in self.inputs.fmri_names:
            found += [self.folders.results(run) / name for name in texts]
        return [self._results, *found]

    def inner_logs(self) -> list[Path]:
        """List logs that programs within the script write."""
        return logs_of(self._ica)
