"""Commands of Connectome Workbench, each executed as an argument list without a shell."""

import os
import subprocess
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.errors import KetbidsError, ToolError, UsageError
from ketbids.interfaces.series import read_surfaces, with_data
from ketbids.io.cifti import read_series, write_maps

__all__ = [
    'CiftiSmoothing',
    'Workbench',
    'WorkbenchInputSpec',
    'cifti_kind',
    'option',
    'smoothing_command',
]

_KINDS = ('dtseries', 'dscalar', 'dlabel', 'dconn')


class WorkbenchInputSpec(BaseInterfaceInputSpec):
    """Inputs of every command."""

    num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True, desc='OpenMP threads')


class Workbench(SimpleInterface):
    """Run ``wb_command`` with the arguments that a subclass gives.

    A subclass names the files that the command writes, in the working directory, in `_written`.
    """

    input_spec = WorkbenchInputSpec
    _said = ''

    def _arguments(self) -> list[str]:
        raise NotImplementedError

    def _written(self) -> dict[str, Any]:
        """Give the outputs: a name of a file, or a dictionary of such names, for each."""
        return {}

    @property
    def argv(self) -> list[str]:
        """The command as it is executed; its files need not exist yet.

        Raises
        ------
        UsageError
            Inputs are missing, or do not go together.
        """
        try:
            self._check_mandatory_inputs()
        except ValueError as error:
            raise UsageError(f'wb_command: {error}') from error
        return ['wb_command', *map(str, self._arguments())]

    def _run_interface(self, runtime: Any) -> Any:
        argv = self.argv
        try:
            done = subprocess.run(  # noqa: S603
                argv,
                cwd=runtime.cwd,
                env={**os.environ, 'OMP_NUM_THREADS': str(self.inputs.num_threads)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors='replace',
                check=False,
            )
        except FileNotFoundError as error:
            raise ToolError(
                f'wb_command is not on PATH, but {argv[1]} needs it: install Connectome Workbench.'
            ) from error
        if done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            # Before the error it repeats the command.
            reason = said[max(said.rfind('ERROR: '), 0) :]
            raise KetbidsError(f'wb_command {argv[1]} ended with code {done.returncode}: {reason}')
        self._said = done.stdout
        for name, files in self._written().items():
            self._results[name] = self._found(argv[1], Path(runtime.cwd), files)
        return runtime

    def _found(self, command: str, folder: Path, files: Any) -> Any:
        """Give absolute paths of what was to be written; it must be there."""
        if isinstance(files, dict):
            return {key: self._found(command, folder, name) for key, name in files.items()}
        path = folder / files
        if not path.is_file():
            raise KetbidsError(f'wb_command {command} ended without an error, but without {path}.')
        return str(path)


def option(flag: str, *values: Any) -> list[str]:
    """Give a flag and its values if all of them are set; else nothing."""
    if all(isdefined(value) for value in values):
        return [flag, *(repr(float(v)) if isinstance(v, float) else str(v) for v in values)]
    return []


def cifti_kind(path: str | Path) -> str:
    """Tell from its name what a dense CIFTI file is: ``dtseries``, ``dscalar``, ``dlabel`` ...

    Raises
    ------
    UsageError
        The name does not say; wb_command writes files that fit their names only.
    """
    name = Path(path).name
    kinds = [kind for kind in _KINDS if name.endswith(f'.{kind}.nii')]
    if not kinds:
        endings = ', '.join(f'.{kind}.nii' for kind in _KINDS)
        raise UsageError(f'{path}: the name of a dense CIFTI file must end in one of {endings}.')
    return kinds[0]


def smoothing_command(
    in_file: str | Path,
    left_surface: str | Path,
    right_surface: str | Path,
    fwhm: float,
    *,
    roi: str | Path | None = None,
    out_file: str | Path = 'smoothed.dtseries.nii',
) -> list[str]:
    """Give the command that smooths a dense time series.

    Parameters
    ----------
    in_file, left_surface, right_surface : path
        Need not exist yet.
    fwhm : float
        Kernel, mm.
    roi : path, optional
        What is outside neither gives nor gets anything. The first level makes one for series
        with empty grayordinates.
    out_file : path

    Returns
    -------
    list of str
        ``wb_command`` first.
    """
    width = f'{fwhm:.10g}'
    kernel = [width, width, 'COLUMN', str(out_file), '-fwhm']
    surfaces = ['-left-surface', str(left_surface), '-right-surface', str(right_surface)]
    inside = [] if roi is None else ['-cifti-roi', str(roi)]
    return ['wb_command', '-cifti-smoothing', str(in_file), *kernel, *surfaces, *inside]


class _CiftiSmoothingInputSpec(WorkbenchInputSpec):
    # Looked for when it runs, so that a command can be shown before its files are made.
    in_file = File(mandatory=True, desc='dense time series')
    left_surface = File(mandatory=True, desc='left midthickness')
    right_surface = File(mandatory=True, desc='right midthickness')
    fwhm = traits.Range(low=0.0, exclude_low=True, mandatory=True, desc='kernel, mm')


class _CiftiSmoothingOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='smoothed dense time series')


class CiftiSmoothing(Workbench):
    """Smooth along the surfaces and within each subcortical structure.

    Grayordinates without data (constant, or not finite) neither give nor get anything: they are
    kept out by ``-cifti-roi`` and are 0 in the result.
    """

    input_spec = _CiftiSmoothingInputSpec
    output_spec = _CiftiSmoothingOutputSpec
    _roi: Path | None = None

    def _arguments(self) -> list[str]:
        i = self.inputs
        return smoothing_command(
            i.in_file, i.left_surface, i.right_surface, i.fwhm, roi=self._roi
        )[1:]

    def _written(self) -> dict[str, Any]:
        return {'out_file': 'smoothed.dtseries.nii'}

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        series = read_series(Path(i.in_file))
        # The command's own messages do not say which surface does not fit.
        read_surfaces([i.left_surface, i.right_surface], series.models)
        filled = with_data(series.data, Path(i.in_file))
        if not filled.all():
            roi = Path(runtime.cwd) / 'roi.dscalar.nii'
            self._roi = write_maps(roi, {'data': filled}, series.models)
        return super()._run_interface(runtime)
