"""Figures, and the sections of the pages that show them."""

from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.errors import InputError
from ketbids.interfaces.firstlevel import read_surfaces
from ketbids.interfaces.rundesign import TimedInputSpec, paths
from ketbids.io.cifti import read_maps
from ketbids.io.confounds import read_movement
from ketbids.io.files import read_json, write_bytes, write_json
from ketbids.io.tables import read_table
from ketbids.io.timing import run_timing
from ketbids.reports.page import Picture, RunSection, SessionSection
from ketbids.reports.tables import Table

__all__ = ['AnalysisFigures', 'DescribeRun', 'DescribeVisit', 'MapFigures', 'RunFigures']

#: Smoothing that the HCP pipelines apply to every dense time series, mm FWHM.
HCP_FWHM = 2.0


class _MovedInputSpec(TimedInputSpec):
    confounds_file = File(exists=True, desc='table with the head movement; undefined: none')
    origin = traits.Enum('hcp', 'fmriprep', usedefault=True, desc='who preprocessed the run')


class _RunFiguresInputSpec(_MovedInputSpec):
    trials_file = File(exists=True, mandatory=True, desc='coded trials')
    design_file = File(exists=True, mandatory=True, desc='design matrix')
    conditions = traits.List(traits.Str, mandatory=True, desc='names of the conditions')


class _RunFiguresOutputSpec(TraitedSpec):
    names = traits.List(traits.Str, desc='of the pictures: design, and motion if it is known')
    pictures = traits.List(File(exists=True), desc='in the order of the names')


class RunFigures(SimpleInterface):
    """Draw what went into the GLM of a run."""

    input_spec = _RunFiguresInputSpec
    output_spec = _RunFiguresOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.reports.figures import design_figure, motion_figure

        i, cwd = self.inputs, Path(runtime.cwd)
        timing = run_timing(Path(i.series_file), paths(i.sidecars))
        repetition_time = timing.repetition_time
        trials = read_table(Path(i.trials_file))
        onsets = {
            name: trials.loc[trials['condition'] == name, 'onset'].tolist()
            for name in i.conditions
        }
        design = design_figure(read_table(Path(i.design_file)), repetition_time, onsets=onsets)
        pictures = {'design': write_bytes(cwd / 'design.png', design)}
        movement, _ = _movement(i, timing.n_volumes)
        if movement is not None:
            motion = motion_figure(movement, repetition_time=repetition_time)
            pictures['motion'] = write_bytes(cwd / 'motion.png', motion)
        self._results.update(names=list(pictures), pictures=list(map(str, pictures.values())))
        return runtime


def _movement(inputs: Any, n_volumes: int) -> tuple[pd.DataFrame | None, str]:
    """Head movement for the page, or why it is not known: no reason to fail a fitted run."""
    if not isdefined(inputs.confounds_file):
        return None, 'there is no table of it'
    try:
        return read_movement(Path(inputs.confounds_file), n_volumes, inputs.origin), ''
    except InputError as error:
        return None, str(error)


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


class _DescribeRunInputSpec(_MovedInputSpec):
    title = traits.Str(mandatory=True, desc='heading')
    base_directory = traits.Str(mandatory=True, nohash=True, desc='what picture paths are below')
    trials_file = File(exists=True, mandatory=True)
    contrasts_file = File(exists=True, mandatory=True)
    maps_sidecars = traits.List(traits.Dict, mandatory=True, desc='metadata of the maps')
    conditions = traits.List(traits.Dict, mandatory=True, desc='conditions of the model file')
    fwhm = traits.Float(mandatory=True, desc='added smoothing, mm')
    denoised = traits.Bool(mandatory=True, desc='the series went through FIX')
    sets = traits.List(traits.Str, desc='sets of confounds in the model')
    contrasts = traits.List(traits.Str, mandatory=True)
    names = traits.List(traits.Str, mandatory=True, desc='of the pictures of the design')
    pictures = traits.Either(traits.Str, traits.List(traits.Str), mandatory=True)
    maps = traits.Either(traits.Str, traits.List(traits.Str), mandatory=True, desc='pictures')
    series_notes = traits.List(traits.Str, desc='of the time series')


class _DescribeRunOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='section of the page')


class DescribeRun(SimpleInterface):
    """Put the facts and figures of a run into a section of the participant's page."""

    input_spec = _DescribeRunInputSpec
    output_spec = _DescribeRunOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.events import UNMATCHED, Condition, count_trials

        i = self.inputs
        trials = read_table(Path(i.trials_file))
        trials['condition'] = trials['condition'].fillna(UNMATCHED)
        counts = count_trials(trials, [Condition(**c) for c in i.conditions])
        counts = counts[(counts['condition'] != UNMATCHED) | (counts['n_trials'] > 0)]
        maps = [i.maps] if isinstance(i.maps, str) else i.maps
        pictures = [i.pictures] if isinstance(i.pictures, str) else i.pictures
        shown = dict(zip(i.names, map(self._relative, pictures), strict=True))
        section = RunSection(
            title=i.title,
            facts=tuple(self._facts()),
            trials=Table.from_frame(counts),
            notes=tuple(trial_notes(trials)),
            warnings=tuple(self._warnings()),
            design=Picture(shown['design'], 'Design'),
            motion=Picture(shown['motion'], 'Head movement') if 'motion' in shown else None,
            maps=tuple(
                Picture(self._relative(path), f'{name}: z')
                for name, path in zip(i.contrasts, maps, strict=True)
            ),
        )
        visit = SessionSection(session_id='', runs=(section,))
        out_file = write_json(Path(runtime.cwd) / 'run.json', visit.to_dict())
        self._results['out_file'] = str(out_file)
        return runtime

    def _relative(self, path: str) -> str:
        return Path(path).relative_to(self.inputs.base_directory).as_posix()

    def _facts(self) -> list[tuple[str, str]]:
        i = self.inputs
        timing = run_timing(Path(i.series_file), paths(i.sidecars))
        return [
            ('Time series', Path(i.series_file).name),
            ('Volumes', str(timing.n_volumes)),
            ('Repetition time', f'{timing.repetition_time:g} s'),
            ('Time of a volume', f'{timing.slice_time_ref * timing.repetition_time:g} s'),
            ('Smoothing', self._smoothing()),
            ('Noise model', str(i.maps_sidecars[0]['NoiseModel'])),
            ('Degrees of freedom', f'{i.maps_sidecars[0]["DegreesOfFreedom"]:g}'),
            ('Units', str(i.maps_sidecars[0]['SignalUnits'])),
            ('Confounds in the model', self._confounds()),
            *self._movement(timing.n_volumes),
        ]

    def _smoothing(self) -> str:
        i = self.inputs
        if i.origin != 'hcp':
            return f'{i.fwhm:g} mm FWHM added'
        return (
            f'{i.fwhm:g} mm FWHM added; {hypot(i.fwhm, HCP_FWHM):.2f} mm with the '
            f'{HCP_FWHM:g} mm of the HCP pipelines'
        )

    def _confounds(self) -> str:
        i = self.inputs
        if not (isdefined(i.sets) and i.sets):
            return 'none (FIX)' if i.denoised else 'none'
        number = len(i.maps_sidecars[0]['ConfoundColumns'])
        return f'{", ".join(i.sets)}: {number} regressors'

    def _movement(self, n_volumes: int) -> list[tuple[str, str]]:
        from ketbids.stats.motion import framewise_displacement
        from ketbids.stats.quality import summarize_motion

        movement, why = _movement(self.inputs, n_volumes)
        if movement is None:
            return [('Head movement', f'unknown: {why}')]
        displacement = framewise_displacement(movement.to_numpy(), rotation_unit='deg')
        mean = summarize_motion(displacement).mean
        return [('Mean framewise displacement', f'{mean:.3f} mm')]

    def _warnings(self) -> list[str]:
        i = self.inputs
        plan = read_json(Path(i.contrasts_file))
        dropped = [
            f'No trial of {name}: the condition is not in the design.' for name in plan['dropped']
        ]
        empty = i.maps_sidecars[0]['GrayordinatesWithoutData']
        without = [f'{empty} grayordinates are constant or not finite over time: NaN in the maps.']
        return (
            plan['notes']
            + dropped
            + [
                f'The contrast {name} cannot be estimated: {why}'
                for name, why in plan['not_estimable'].items()
            ]
            + (without if empty else [])
            + list(i.series_notes or [])
        )


def trial_notes(trials: pd.DataFrame) -> list[str]:
    """Count the notes of coded trials: one sentence per kind."""
    notes = trials['note'].dropna()
    return [
        f'{count} {"row" if count == 1 else "rows"} of the events file: {note}.'
        for note, count in notes[notes != ''].value_counts().items()
    ]


class _DescribeVisitInputSpec(BaseInterfaceInputSpec):
    session_id = traits.Str(mandatory=True)
    base_directory = traits.Str(mandatory=True, nohash=True, desc='what picture paths are below')
    runs = traits.List(File(exists=True), mandatory=True, desc='sections of the runs')
    contrasts = traits.List(traits.Str, desc='of the combined runs')
    maps = traits.Either(traits.Str, traits.List(traits.Str), desc='pictures of combined runs')
    messages = traits.List(traits.Str, desc='what was left out')


class DescribeVisit(SimpleInterface):
    """Join the sections of a visit's runs."""

    input_spec = _DescribeVisitInputSpec
    output_spec = _DescribeRunOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        parts = [SessionSection.from_dict(read_json(Path(path))) for path in i.runs]
        maps = i.maps if isdefined(i.maps) else []
        pictures = zip(i.contrasts or [], [maps] if isinstance(maps, str) else maps, strict=True)
        root = Path(i.base_directory)
        section = SessionSection(
            session_id=i.session_id,
            runs=tuple(run for part in parts for run in part.runs),
            maps=tuple(
                Picture(Path(path).relative_to(root).as_posix(), f'{name}: z, all runs')
                for name, path in pictures
            ),
            messages=tuple(i.messages or ()),
        )
        out_file = write_json(Path(runtime.cwd) / 'section.json', section.to_dict())
        self._results['out_file'] = str(out_file)
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
