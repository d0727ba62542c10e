"""What the scripts of FIX have in common: training data, outputs, and what they need."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ketbids.errors import InputError, ToolError
from ketbids.interfaces.hcp.options import stamp
from ketbids.interfaces.hcp.runscript import RunScript

__all__ = ['DEFAULT_MODEL', 'PYFIX_MODELS', 'FixScript', 'ica_outputs', 'is_file', 'logs_of']
__all__ += ['model_name', 'needed_of', 'training_problem']

#: What several runs are classified by if nothing else is said.
DEFAULT_MODEL = 'HCP_Style_Single_Multirun_Dedrift'
#: Models that come with pyfix.
PYFIX_MODELS = (
    *('HCP25_hp2000', 'HCP7T_hp2000', DEFAULT_MODEL, 'NHP_HCP_Macaque', 'NHP_HCP_MacaqueCyno'),
    *('Standard', 'UKBiobank', 'WhII_MB6', 'WhII_Standard'),
)
#: Scripts up to 4.8 start MATLAB by a program of the older FIX; later ones only write of it.
_CALLS_MATLAB = re.compile(r'^[^#\n]*\$\{?FSL_FIXDIR\}?/call_matlab\.sh', re.MULTILINE)


def training_problem(training: str, kind: str) -> str | None:
    """Say why training data cannot be used.

    Parameters
    ----------
    training : str
        Name of a model, or path of a file.
    kind : {'pyfix', 'legacy'}

    Returns
    -------
    str or None
        A sentence, or None if nothing speaks against them.
    """
    suffixes = ('.RData', '.pyfix_model') if kind == 'pyfix' else ('.RData',)
    if '/' in training or Path(training).is_file():
        if not training.endswith(suffixes):
            return f'Training data of FIX must end in {" or ".join(suffixes)}, not {training}.'
        if not Path(training).is_file():
            return (
                f'{training} does not exist: --fix-training needs a file or the name of a model.'
            )
        return None
    if kind == 'pyfix' and training.removesuffix('.RData') not in PYFIX_MODELS:
        return (
            f'pyfix has no model {training!r}: it has {", ".join(PYFIX_MODELS)}. Or name a '
            '.pyfix_model or .RData file.'
        )
    return None


def is_file(training: str) -> bool:
    """Tell whether training data are a file, and not the name of a model."""
    return '/' in training or Path(training).is_file()


def model_name(training: str) -> str:
    """Give the part of file names that tells of the training data."""
    return re.sub(r'\.(RData|pyfix_model)$', '', Path(training).name)


class FixScript(RunScript):
    """What both scripts of FIX have in common."""

    _not_checked: ClassVar[tuple[str, ...]] = ('classes', 'noise_components')

    @property
    def _ica(self) -> Path:
        raise NotImplementedError

    @property
    def _training(self) -> str:
        """Training data as they were given."""
        raise NotImplementedError

    def expected(self) -> list[Path]:
        """List the outputs that must be whole for the stage to be done.

        Once hand labels were applied, the cleaned data are those of ReApplyFix.
        """
        cleaned = set(self._cleaned()) if (self._ica / 'HandNoise.txt').exists() else set()
        return [path for path in super().expected() if path not in cleaned]

    def _cleaned(self) -> list[Path]:
        """List the files that are made again after labels by hand."""
        raise NotImplementedError

    def _resolved(self, training: str) -> str:
        """Give training data of the older FIX with their path, if it is known where they are."""
        if is_file(training):
            return os.path.abspath(training)
        folder = self.inputs.environ.get('FSL_FIXDIR') or os.environ.get('FSL_FIXDIR')
        name = training if training.endswith('.RData') else f'{training}.RData'
        return str(Path(folder, 'training_files', name)) if folder else training

    def mark(self) -> dict[str, Any]:
        """Say what the stage is made with; training data of a file count by their content."""
        found = super().mark()
        if self._training:
            given = self._training
            of_file = is_file(given) and Path(given).is_file()
            found['training_file'] = [stamp(Path(given)) if of_file else model_name(given)]
        return found

    def _check_legacy(self, environment: Mapping[str, str]) -> None:
        """Look for the older FIX, which needs MATLAB and R."""
        self._need_variable(environment, 'FSL_FIXDIR')
        folder = Path(environment['FSL_FIXDIR'])
        needed = ['fix', 'settings.sh']
        if _CALLS_MATLAB.search(self.script.read_text(encoding='utf-8', errors='replace')):
            needed.append('call_matlab.sh')
        missing = [name for name in needed if not (folder / name).is_file()]
        if missing:
            raise ToolError(
                f'{self.title}: {folder} (FSL_FIXDIR) does not hold {" and ".join(missing)} of '
                'the older FIX. Install it there, or use --fix pyfix.'
            )
        training = self._training and self._resolved(self._training)
        if training and Path(training).is_absolute() and not Path(training).is_file():
            raise InputError(f'{self.title}: there are no training data {training}.')


def needed_of(results: Path, run: str) -> list[Path]:
    """List what FIX needs of a run."""
    files = (f'{run}.nii.gz', f'{run}_Atlas.dtseries.nii', 'Movement_Regressors.txt')
    return [results / name for name in files]


def logs_of(ica: Path) -> list[Path]:
    """List the logs of the programs that FIX calls."""
    inside = ('.fix.log', '.fix_2b_predict.log', 'fix/logMatlab.txt')
    melodic = ica / 'filtered_func_data.ica' / 'log.txt'
    return [ica.parent / 'pyfix.log', *(ica / name for name in inside), melodic]


def ica_outputs(ica: Path, model: str, threshold: int) -> dict[str, str]:
    """Give the files of the components, by output."""
    return {
        'ica': str(ica),
        'mixing': str(ica / 'filtered_func_data.ica' / 'melodic_mix'),
        'components': str(ica / 'filtered_func_data.ica' / 'melodic_oIC.nii.gz'),
        'classes': str(ica / f'fix4melview_{model}_thr{threshold}.txt'),
        'noise_components': str(ica / '.fix'),
    }
