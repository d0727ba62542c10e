"""Scripts of the HCP pipelines: how they are called, and whether a stage is done."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    CommandLine,
    Directory,
    File,
    InputMultiObject,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.errors import KetbidsError, ToolError, UsageError
from ketbids.interfaces.hcp.checkout import (
    check_script,
    pipelines_version,
    program_versions,
)
from ketbids.interfaces.hcp.options import (
    decimal,
    declared,
    formatted,
    is_stamped,
    paths_of,
    refuse_label,
    refuse_special,
    stamp,
)
from ketbids.interfaces.hcp.stagerun import Stage, held, remove_stale, run_stage
from ketbids.io.handlabels import assert_no_labels
from ketbids.io.hcpnames import STAGES, SessionFolders
from ketbids.io.stages import broken, read_record, write_record

__all__ = [
    'STAGES',
    'HcpScript',
    'HcpScriptInputSpec',
    'HcpScriptOutputSpec',
    'StageState',
    'decimal',
]


@dataclass(frozen=True)
class StageState:
    """Whether a stage is done.

    Attributes
    ----------
    done : bool
    why : str
        Why it must be done; or that it is done.
    """

    done: bool
    why: str


class HcpScriptInputSpec(BaseInterfaceInputSpec):
    """What all scripts need. Options are traits with `argstr`, in the order of the command line.

    Metadata of options: `at_run` (a file that the checkout or an earlier stage provides: looked
    for just before the script starts), `stamp` (its content, and not its name, decides whether
    the stage must be done again: always so for files that must exist), `label` (a part of names
    of files), `otherwise` (given to the script if the option is not set).
    """

    hcp_dir = Directory(mandatory=True, nohash=True, desc='folder of the HCP pipelines')
    record = File(mandatory=True, nohash=True, desc='where the finished stage is recorded')
    log = File(mandatory=True, nohash=True, desc='what the script says')
    after = InputMultiObject(File(), nohash=True, desc='records of the stages that it builds on')
    redo = traits.Bool(False, usedefault=True, nohash=True, desc='do it even if it is done')
    skip = traits.Bool(False, usedefault=True, nohash=True, desc='do not do it in any case')
    environ = traits.DictStrStr(
        usedefault=True, nohash=True, desc='the whole environment; none: that of this process'
    )


class HcpScriptOutputSpec(TraitedSpec):
    """What all scripts give."""

    record = File(desc='record of the finished stage')


class HcpScript(CommandLine):
    """Run a script of the HCP pipelines, unless its stage is done.

    Subclasses give the script, the stage and the variables; their specs are its options. They
    give the outputs in `_list_outputs` (real paths, from the inputs alone), and what is removed
    before the stage is done again in `stale`.

    Attributes
    ----------
    _script : str
        Path below the folder of the HCP pipelines.
    _stage : str
        One of `STAGES`.
    _variables : tuple of str
        Environment variables that the script insists on.
    _positional : bool
        The script has no options, and so no parser whose generation could be checked.
    """

    input_spec = HcpScriptInputSpec
    output_spec = HcpScriptOutputSpec
    _script: ClassVar[str] = ''
    _stage: ClassVar[str] = ''
    _variables: ClassVar[tuple[str, ...]] = ('HCPPIPEDIR',)
    _positional: ClassVar[bool] = False

    def __init__(self, **inputs: Any) -> None:
        super().__init__(command=self._script, **inputs)

    # Names

    @property
    def stage(self) -> str:
        """One of `STAGES`."""
        return self._stage

    @property
    def folders(self) -> SessionFolders:
        """Folders of the session."""
        return SessionFolders(Path(self.inputs.study_folder), self.inputs.session)

    @property
    def session(self) -> str:
        """Name of the session's folder."""
        return self.folders.session

    @property
    def label(self) -> str:
        """Run, or what FIX cleans together; empty for the anatomy."""
        return ''

    @property
    def title(self) -> str:
        """Stage, session and label in words."""
        of = ', '.join(filter(None, (self.session, self.label)))
        return f'{self._stage} of {of}'

    @property
    def script(self) -> Path:
        """The script."""
        return Path(self.inputs.hcp_dir) / self._script

    @property
    def version(self) -> str:
        """Version of the HCP pipelines, such as ``v5.0.0``; ``unknown`` without the file."""
        return pipelines_version(Path(self.inputs.hcp_dir)) or 'unknown'

    # The command

    @property
    def argv(self) -> list[str]:
        """The command as it is executed.

        Raises
        ------
        InputError
            A path or a label has characters that the scripts cannot take.
        UsageError
            An option is missing, or options do not go together.
        """
        try:
            self._check_mandatory_inputs()
        except ValueError as error:
            raise UsageError(f'{self._stage}: {" ".join(str(error).split())}') from error
        self._check_values()
        arguments = [token for _, tokens in self._options() for token in tokens]
        command = [str(self.script), *arguments]
        for token in command:
            refuse_special(token, self._stage)
        refuse_special(str(self.folders.top), self._stage, path=True)
        refuse_label(self.session, self._stage)
        return command

    @property
    def cmdline(self) -> str:
        """The command, quoted for a shell."""
        return shlex.join(self.argv)

    def _check_values(self) -> None:
        """Check what the script checks too late, or not at all; subclasses do."""

    def _options(self) -> Iterator[tuple[str, list[str]]]:
        """Give name and arguments of each option that is set, in the order of the spec."""
        for name in declared(type(self.inputs)):
            trait, value = self.inputs.trait(name), getattr(self.inputs, name)
            if trait.argstr is None:
                continue
            if not isdefined(value):
                if trait.otherwise is not None:
                    yield name, [trait.argstr % trait.otherwise]
                continue
            if trait.label:
                for text in value if isinstance(value, list) else [value]:
                    refuse_label(text, self._stage)
            for path in paths_of(trait, value):
                refuse_special(path, self._stage, path=True)
            yield name, formatted(trait, value)

    # What it makes

    def _list_outputs(self) -> dict[str, Any]:
        return {'record': str(self.inputs.record)}

    def expected(self) -> list[Path]:
        """List the outputs that must be whole for the stage to be done."""
        outputs = self._list_outputs()
        outputs.pop('record', None)
        found = []
        for value in outputs.values():
            values = value if isinstance(value, list) else [value]
            found += [Path(item) for item in values if isdefined(item)]
        return list(dict.fromkeys(found))

    def stale(self) -> list[Path]:
        """List what is removed before the stage is done (again)."""
        return self.expected()

    def inner_logs(self) -> list[Path]:
        """List logs that programs within the script write."""
        return []

    # Whether it is done

    def mark(self) -> dict[str, Any]:
        """Say what the stage is made with, by option.

        Images count by their content; where the data, the study folder and the HCP pipelines are
        plays no part, so that a study can be moved.
        """
        found: dict[str, Any] = {}
        for name, tokens in self._options():
            trait, value = self.inputs.trait(name), getattr(self.inputs, name)
            if is_stamped(trait) and isdefined(value):
                found[name] = [stamp(Path(path)) for path in paths_of(trait, value)]
            else:
                # Releases spell some options in different ways.
                found[name] = [self._rootless(_value(token)) for token in tokens]
        return found

    def _rootless(self, text: str) -> str:
        roots = {str(self.folders.study): 'STUDY', str(self.inputs.hcp_dir): 'HCPPIPEDIR'}
        for root in sorted(roots, key=len, reverse=True):
            text = re.sub(
                rf'(?<![\w.-]){re.escape(root.rstrip("/"))}(?=[/@%]|$)', roots[root], text
            )
        return text

    def state(self, redo: bool = False) -> StageState:
        """Say whether the stage is done.

        Parameters
        ----------
        redo : bool
            A stage that it builds on will be done.

        Raises
        ------
        InputError
            If an image that it is made of cannot be read.
        """
        record = read_record(Path(self.inputs.record))
        if record is None:
            return StageState(False, 'it has not been finished yet')
        if redo:
            return StageState(False, 'a stage that it builds on is done again')
        if self.inputs.redo:
            return StageState(False, 'it has to be done again')
        mark = self.mark()
        changed = [key for key in {**mark, **record.mark} if mark.get(key) != record.mark.get(key)]
        if changed:
            what = ', '.join(name.replace('_', ' ') for name in sorted(changed))
            return StageState(False, f'it was made with something else: {what}')
        if self._tokens() != record.after:
            return StageState(False, 'a stage that it builds on was done again')
        for path in self.expected():
            reason = broken(path)
            if reason:
                return StageState(False, f'{path} is not whole: {reason}')
        return StageState(True, 'it is done')

    def _tokens(self) -> dict[str, str]:
        """Give the tokens of the stages before, by their records."""
        folder = Path(self.inputs.record).parent
        found = {}
        for path in self.inputs.after if isdefined(self.inputs.after) else ():
            record = read_record(Path(path))
            found[os.path.relpath(path, folder)] = record.token if record else ''
        return found

    # Running

    def _run_interface(self, runtime: Any, correct_return_codes: tuple[int, ...] = (0,)) -> Any:
        if self.inputs.skip:
            return runtime
        command = self.argv
        record = Path(self.inputs.record)
        after = [Path(path) for path in self.inputs.after] if isdefined(self.inputs.after) else []
        with held(record, after, self.title) as lock:
            state = self.state()
            if state.done:
                return _succeeded(runtime, command)
            environment = self._environment()
            self._check_before(environment)
            mark, tokens = self.mark(), self._tokens()
            version = self.version
            programs = program_versions(Path(self.inputs.hcp_dir), environment)
            record.unlink(missing_ok=True)
            remove_stale(self.stale(), self.folders.top)
            self._prepare(environment)
            stage = Stage(
                title=self.title,
                command=tuple(command),
                environment=environment,
                folder=Path(runtime.cwd),
                record=record,
                log=Path(self.inputs.log),
                inner_logs=tuple(self.inner_logs()),
                expected=tuple(self.expected()),
            )
            run_stage(stage, lock)
            write_record(
                record,
                mark=mark,
                after=tokens,
                version=version,
                programs=programs,
                command=shlex.join(command),
                outputs=stage.expected,
            )
        return _succeeded(runtime, command)

    def _environment(self) -> dict[str, str]:
        # Nothing of this process's is added: what was left out was left out on purpose.
        given = dict(self.inputs.environ) or dict(os.environ)
        # Bash would run, or obey, what these name.
        unwanted = ('BASH_ENV', 'ENV', 'POSIXLY_CORRECT', 'SHELLOPTS', 'BASHOPTS')
        kept = {
            name: value
            for name, value in given.items()
            if name not in unwanted and not name.startswith('BASH_FUNC_')
        }
        return {**kept, 'HCPPIPEDIR': str(self.inputs.hcp_dir)}

    def _check_before(self, environment: Mapping[str, str]) -> None:
        """Check what must be there just before the script starts."""
        check_script(Path(self.inputs.hcp_dir), self._script, options=not self._positional)
        lacking = [name for name in self._variables if not environment.get(name)]
        if lacking:
            raise ToolError(
                f'{self.title}: {", ".join(lacking)} must be set in the environment, as the HCP '
                'pipelines need it. See the documentation of the preprocessing.'
            )
        missing = [str(path) for path in self.needed() if not _is_there(path)]
        if missing:
            raise KetbidsError(
                f'{self.title} cannot begin, because files are missing: {", ".join(missing)}. '
                'Those of the study folder are made by earlier stages: leave out --stages, or do '
                'these first. Those of the HCP pipelines belong to a complete copy.'
            )
        assert_no_labels(self.stale(), self.title)

    def needed(self) -> list[Path]:
        """List the files that must be there before the script starts."""
        found = []
        for name in declared(type(self.inputs)):
            trait, value = self.inputs.trait(name), getattr(self.inputs, name)
            if trait.at_run and isdefined(value):
                found += [Path(path) for path in paths_of(trait, value)]
        return list(dict.fromkeys(found))

    def _prepare(self, environment: Mapping[str, str]) -> None:
        """Make what the script needs beside files of earlier stages; subclasses do."""


def _value(token: str) -> str:
    return token.partition('=')[2] if re.match('--[^=]+=', token) else token


def _succeeded(runtime: Any, command: list[str]) -> Any:
    """Tell Nipype what it wants to know of a command."""
    runtime.cmdline = shlex.join(command)
    runtime.stdout = runtime.stderr = ''
    runtime.returncode, runtime.success_codes = 0, (0,)
    return runtime


def _is_there(path: Path) -> bool:
    # FSL takes names of images without their ending.
    return path.exists() or path.with_name(f'{path.name}.nii.gz').exists()
