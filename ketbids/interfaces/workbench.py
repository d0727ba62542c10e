"""Commands of Connectome Workbench, each executed as an argument list without a shell."""

import os
import subprocess
from pathlib import Path
from typing import Any

from nipype.interfaces.base import BaseInterfaceInputSpec, SimpleInterface, traits

from ketbids.errors import KetbidsError
from ketbids.interfaces.firstlevel import (
    SmoothingInputSpec,
    SmoothingOutputSpec,
    read_surfaces,
    with_data,
)
from ketbids.io.cifti import read_series, write_maps

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


class _CiftiSmoothingInputSpec(SmoothingInputSpec, _WorkbenchInputSpec):
    pass


class CiftiSmoothing(_Workbench):
    """Smooth along the surfaces and within each subcortical structure.

    Grayordinates without data (constant, or not finite) neither give nor get anything: they are
    kept out by ``-cifti-roi`` and are 0 in the result.
    """

    input_spec = _CiftiSmoothingInputSpec
    output_spec = SmoothingOutputSpec
    _roi: Path | None = None

    def _arguments(self) -> list[str]:
        i = self.inputs
        kernel = [f'{i.fwhm:g}', f'{i.fwhm:g}', 'COLUMN', 'smoothed.dtseries.nii', '-fwhm']
        surfaces = ['-left-surface', i.left_surface, '-right-surface', i.right_surface]
        roi = ['-cifti-roi', str(self._roi)] if self._roi else []
        return ['-cifti-smoothing', i.in_file, *kernel, *surfaces, *roi]

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        series = read_series(Path(i.in_file))
        # The command's own messages do not say which surface does not fit.
        read_surfaces([i.left_surface, i.right_surface], series.models)
        filled = with_data(series.data, Path(i.in_file))
        if not filled.all():
            roi = Path(runtime.cwd) / 'roi.dscalar.nii'
            self._roi = write_maps(roi, {'data': filled}, series.models)
        runtime = super()._run_interface(runtime)
        self._results['out_file'] = str(Path(runtime.cwd) / 'smoothed.dtseries.nii')
        return runtime
