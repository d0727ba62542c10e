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
    traits,
)

from ketbids.errors import KetbidsError

__all__ = ['CiftiSmoothing']


class _WorkbenchInputSpec(BaseInterfaceInputSpec):
    num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True, desc='OpenMP threads')


class _Workbench(SimpleInterface):
    """Run ``wb_command`` with the arguments that a subclass gives."""

    def _arguments(self) -> list[str]:
        raise NotImplementedError

    @property
    def argv(self) -> list[str]:
        """The command as it is executed."""
        return ['wb_command', *self._arguments()]

    def _run_interface(self, runtime: Any) -> Any:
        environment = {**os.environ, 'OMP_NUM_THREADS': str(self.inputs.num_threads)}
        done = subprocess.run(  # noqa: S603
            self.argv,
            cwd=runtime.cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KetbidsError(
                f'wb_command {self.argv[1]} ended with code {done.returncode}: '
                f'{done.stderr.strip() or done.stdout.strip()}'
            )
        return runtime


class _CiftiSmoothingInputSpec(_WorkbenchInputSpec):
    in_file = File(exists=True, mandatory=True, desc='dense time series')
    fwhm = traits.Range(low=0.0, exclude_low=True, mandatory=True, desc='kernel, mm')
    left_surface = File(exists=True, mandatory=True, desc='left midthickness')
    right_surface = File(exists=True, mandatory=True, desc='right midthickness')


class _SmoothedOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='smoothed dense time series')


class CiftiSmoothing(_Workbench):
    """Smooth along the surfaces and within each subcortical structure."""

    input_spec = _CiftiSmoothingInputSpec
    output_spec = _SmoothedOutputSpec

    def _arguments(self) -> list[str]:
        i = self.inputs
        kernel = [f'{i.fwhm:g}', f'{i.fwhm:g}', 'COLUMN', 'smoothed.dtseries.nii', '-fwhm']
        surfaces = ['-left-surface', i.left_surface, '-right-surface', i.right_surface]
        return ['-cifti-smoothing', i.in_file, *kernel, *surfaces]

    def _run_interface(self, runtime: Any) -> Any:
        runtime = super()._run_interface(runtime)
        self._results['out_file'] = str(Path(runtime.cwd) / 'smoothed.dtseries.nii')
        return runtime
