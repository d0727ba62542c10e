"""Figures of maps."""

from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from ketbids.interfaces.firstlevel import read_surfaces
from ketbids.io.cifti import read_maps
from ketbids.io.files import read_json, write_bytes

__all__ = ['AnalysisFigures', 'MapFigures']


class _MapFiguresInputSpec(BaseInterfaceInputSpec):
    z = traits.List(File(exists=True), mandatory=True, desc='z maps')
    contrasts = traits.List(traits.Str, mandatory=True, desc='their names')
    left_inflated = File(exists=True, mandatory=True)
    right_inflated = File(exists=True, mandatory=True)


class _MapFiguresOutputSpec(TraitedSpec):
    figures = traits.List(File(exists=True), desc='one per map')


class MapFigures(SimpleInterface):
    """Draw the z maps of all contrasts."""

    input_spec = _MapFiguresInputSpec
    output_spec = _MapFiguresOutputSpec
    _threshold = 3.1

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.reports.maps import map_figure
        from ketbids.reports.surface import SurfacePainter

        i = self.inputs
        painter, figures = None, []
        for name, path in zip(i.contrasts, i.z, strict=True):
            values, models = read_maps(Path(path))
            surfaces = read_surfaces([i.left_inflated, i.right_inflated], models)
            # Pictures to check a run by: without the smooth edges of the group's.
            painter = painter or SurfacePainter(surfaces, supersample=1)
            figure = map_figure(
                values[0],
                models,
                surfaces,
                title=name,
                label='z',
                threshold=self._threshold,
                significance_label=f'|z| of at least {self._threshold} (uncorrected)',
                painter=painter,
            )
            figures.append(str(write_bytes(Path(runtime.cwd) / f'map_{name}.png', figure)))
        self._results['figures'] = figures
        return runtime


class _AnalysisFiguresInputSpec(BaseInterfaceInputSpec):
    title = traits.Str(mandatory=True)
    maps = traits.Dict(mandatory=True, desc='maps of GroupTest')
    summary = File(exists=True, mandatory=True)
    inflated = traits.List(File(exists=True), mandatory=True, desc='average: left, right')


class _AnalysisFiguresOutputSpec(TraitedSpec):
    figure = File(exists=True)


class AnalysisFigures(SimpleInterface):
    """Draw the z map of an analysis, with what is significant in either direction."""

    input_spec = _AnalysisFiguresInputSpec
    output_spec = _AnalysisFiguresOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.reports.maps import map_figure

        i = self.inputs
        summary = read_json(Path(i.summary))
        z, models = read_maps(Path(i.maps['z']))
        significant = np.zeros(len(models), bool)
        for direction in summary['SmallestP']:
            pfwe = read_maps(Path(i.maps[f'pfwe_{direction}']))[0][0]
            significant |= pfwe < summary['ClaimBelow']
        figure = map_figure(
            z[0],
            models,
            read_surfaces(list(i.inflated), models),
            title=i.title,
            label='z',
            significant=significant,
            significance_label=f'FWE-corrected p < {summary["Alpha"]:g}'.replace('0.', '.'),
        )
        out_file = write_bytes(Path(runtime.cwd) / 'figure.png', figure)
        self._results['figure'] = str(out_file)
        return runtime
