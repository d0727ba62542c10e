"""What the scripts of the HCP pipelines for runs have in common."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from nipype.interfaces.base import Directory, isdefined, traits

from ketbids.errors import ToolError, UsageError
from ketbids.interfaces.hcp.options import refuse_label
from ketbids.interfaces.hcp.script import HcpScript, HcpScriptInputSpec

__all__ = [
    'DIRECTIONS',
    'MATLAB_MODE',
    'RunScript',
    'RunScriptInputSpec',
    'high_pass_string',
    'knows_option',
    'matlab_mode',
    'names',
    'removes_trend',
    'yes_or_no',
]

#: Axes of the voxel grid, and their directions; both spellings of both.
DIRECTIONS = tuple(text for axis in 'xyzijk' for text in (axis, f'{axis}-', f'-{axis}'))
#: The option is last, or nearly so, in all scripts that have it.
MATLAB_MODE = '--matlab-run-mode=%s'


def matlab_mode() -> Any:
    """Make the trait of ``--matlab-run-mode``."""
    return traits.Enum(0, 1, 2, argstr=MATLAB_MODE, desc='0 MATLAB Runtime, 1 MATLAB, 2 Octave')


def names(option: str, desc: str, **metadata: Any) -> Any:
    """Make the trait of a list of names."""
    return traits.List(
        traits.Str(), argstr=f'--{option}=%s', sep='@', label=True, desc=desc, **metadata
    )


def yes_or_no(option: str, desc: str, **metadata: Any) -> Any:
    """Make a trait of an option that is YES or NO."""
    return traits.Enum('YES', 'NO', argstr=f'--{option}=%s', desc=desc, **metadata)


def high_pass_string(high_pass: str) -> str:
    """Give the part of file names that tells of the filter, such as ``_hp2000``; '' for none."""
    return '' if high_pass.startswith('-') else f'_hp{high_pass}'


def removes_trend(high_pass: str) -> bool:
    """Tell whether it is no filter, but a trend that is removed: 0, or pd0 to pd5."""
    return not high_pass.strip('0') or high_pass.startswith('pd')


def knows_option(script: Path, flag: str) -> bool:
    """Tell whether a script has an option; True also for a script that cannot be read.

    Parameters
    ----------
    script : Path
    flag : str
        Such as ``--matlab-run-mode``; aliases count.
    """
    try:
        text = script.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return True
    if 'opts_AddMandatory' not in text:
        return True
    return re.search(rf"""['"]{re.escape(flag)}['"]""", text) is not None


class RunScriptInputSpec(HcpScriptInputSpec):
    """What the scripts for runs need."""

    study_folder = Directory(mandatory=True, argstr='--path=%s', desc='study folder')
    session = traits.Str(
        mandatory=True, argstr='--subject=%s', label=True, desc='folder of the session'
    )


class RunScript(HcpScript):
    """A script for runs of one session.

    Attributes
    ----------
    _not_checked : tuple of str
        Outputs that may rightly be missing or empty.
    """

    input_spec = RunScriptInputSpec
    _not_checked: ClassVar[tuple[str, ...]] = ()

    @property
    def label(self) -> str:
        """Name of the run, or of the concatenated runs."""
        return str(self.inputs.fmri_name)

    def _given(self, name: str, default: Any) -> Any:
        """Give the value of an option, or what the script takes without it."""
        value = getattr(self.inputs, name)
        return value if isdefined(value) else default

    def _check_values(self) -> None:
        for name in self.inputs.traits(labels=True):
            for value in _flat(self._given(name, [])):
                refuse_label(value, self._stage)
        for name, tokens in self._options():
            flags = [token.partition('=')[0] for token in tokens if token.startswith('--')]
            for flag in flags:
                if not self._positional and not knows_option(self.script, flag):
                    raise ToolError(
                        f'{self._stage}: HCP pipelines {self.version} do not know '
                        f'{flag} ({name.replace("_", " ")}). Leave it out, or name a newer '
                        'version with --hcp-dir.'
                    )

    def _options(self) -> Iterator[tuple[str, list[str]]]:
        for name, tokens in super()._options():
            value = getattr(self.inputs, name)
            if isinstance(value, list) and value and isinstance(value[0], list):
                joined = '%'.join('@'.join(group) for group in value)
                tokens = [self.inputs.trait(name).argstr.replace('%s', joined)]
            yield name, tokens

    def expected(self) -> list[Path]:
        """List the outputs that must be whole for the stage to be done."""
        free = {
            str(path)
            for name in self._not_checked
            for path in _flat(self._list_outputs().get(name))
        }
        return [path for path in super().expected() if str(path) not in free]

    def _check_before(self, environment: Mapping[str, str]) -> None:
        super()._check_before(environment)
        text = self.script.read_text(encoding='utf-8', errors='replace')
        # Releases differ; what is indented depends on options.
        for name in re.findall(r'^log_Check_Env_Var +(\w+)', text, re.MULTILINE):
            self._need_variable(environment, name)
        uses_matlab = 'matlab_run_mode' in self.inputs.get()
        if uses_matlab and self._given('matlab_run_mode', 1) == 0:
            self._need_variable(environment, 'MATLAB_COMPILER_RUNTIME')

    def _need_variable(self, environment: Mapping[str, str], name: str) -> None:
        if not environment.get(name):
            raise ToolError(
                f'{self.title}: {name} must be set in the environment. See the documentation of '
                'the preprocessing.'
            )

    def _refuse(self, reason: str) -> None:
        raise UsageError(f'{self._stage}: {reason}')


def _flat(value: Any) -> Iterator[str]:
    """Give the texts in a value, a list, or a list of lists."""
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif value is not None:
        yield str(value)
