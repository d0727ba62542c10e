"""Figures of a run, and the sections of the participant's page."""

from collections.abc import Sequence
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
from ketbids.interfaces.rundesign import TimedInputSpec, paths
from ketbids.io.confounds import read_movement
from ketbids.io.files import read_json, write_bytes, write_json
from ketbids.io.tables import read_table
from ketbids.io.timing import run_timing
from ketbids.reports import runparts
from ketbids.reports.behaviourpart import behaviour_part
from ketbids.reports.checkrecord import checks_record
from ketbids.reports.page import Part, Picture, RunSection, SessionSection

__all__ = ['DescribeRun', 'DescribeVisit', 'RunFigures']


class _RunFiguresInputSpec(TimedInputSpec):
    confounds_file = File(exists=True, desc='table with the head movement; undefined: none')
    origin = traits.Enum('hcp', 'fmriprep', usedefault=True, desc='who preprocessed the run')
    motion_file = File(exists=True, mandatory=True, desc='of RunQuality, one row per volume')
    quality = traits.Dict(desc='of the fit: autocorrelations, noise model, degrees of freedom')
    trials_file = File(exists=True, mandatory=True, desc='coded trials')
    design_file = File(exists=True, mandatory=True, desc='design matrix')
    contrasts_file = File(exists=True, mandatory=True, desc='what BuildRunDesign says')
    conditions = traits.List(traits.Str, mandatory=True, desc='names of the conditions')


class _RunFiguresOutputSpec(TraitedSpec):
    names = traits.List(traits.Str, desc='design, correlations, whiteness, motion: those known')
    pictures = traits.List(File(exists=True), desc='in the order of the names')


class RunFigures(SimpleInterface):
    """Draw what went into the GLM of a run, and what it left."""

    input_spec = _RunFiguresInputSpec
    output_spec = _RunFiguresOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.reports.checkfigures import correlation_figure, whiteness_figure
        from ketbids.reports.figures import design_figure

        i = self.inputs
        step = run_timing(Path(i.series_file), paths(i.sidecars)).repetition_time
        trials, design = read_table(Path(i.trials_file)), read_table(Path(i.design_file))
        plan = read_json(Path(i.contrasts_file))
        onsets = {
            name: trials.loc[trials['condition'] == name, 'onset'].tolist()
            for name in i.conditions
        }
        drawn = {'design': design_figure(design, step, onsets=onsets)}
        correlations = _correlations(plan['checks']['correlations'])
        if len(correlations):
            drawn['correlations'] = correlation_figure(correlations)
        if isdefined(i.quality) and i.quality.get('Lags'):
            drawn['whiteness'] = whiteness_figure(i.quality)
        motion = self._motion(len(design), step)
        if motion is not None:
            drawn['motion'] = motion
        written = [write_bytes(Path(runtime.cwd) / f'{k}.png', v) for k, v in drawn.items()]
        self._results.update(names=list(drawn), pictures=list(map(str, written)))
        return runtime

    def _motion(self, n_volumes: int, step: float) -> bytes | None:
        from ketbids.reports.figures import motion_figure

        i = self.inputs
        if not isdefined(i.confounds_file):
            return None
        try:
            movement = read_movement(Path(i.confounds_file), n_volumes, i.origin)
        except InputError:  # the facts of the run say why: no reason to fail a fitted run
            return None
        table = read_table(Path(i.motion_file)).astype(float)
        return motion_figure(
            movement,
            table['framewise_displacement'],
            filtered=table['framewise_displacement_filtered'],
            dvars=table['dvars'],
            repetition_time=step,
        )


def _correlations(content: dict[str, Any]) -> pd.DataFrame:
    """Correlations of the design, of the regressors of the task that vary."""
    names, columns = content['names'], content['columns']
    values = np.reshape(np.array(content['values'], dtype=float), (len(names), len(columns)))
    table = pd.DataFrame(values, index=names, columns=columns)
    constant = [name for name in names if not table.loc[name, name]]
    return table.drop(index=constant, columns=constant)


class _DescribeRunInputSpec(TimedInputSpec):
    title = traits.Str(mandatory=True, desc='heading')
    base_directory = traits.Str(mandatory=True, nohash=True, desc='what picture paths are below')
    trials_file = File(exists=True, mandatory=True)
    counts_file = File(exists=True, desc='where every row of the events file went')
    contrasts_file = File(exists=True, mandatory=True)
    maps_sidecars = traits.List(traits.Dict, desc='metadata of the maps')
    smoothing = traits.Str(mandatory=True, desc='smoothing in words')
    denoised = traits.Bool(mandatory=True, desc='the series went through FIX')
    sets = traits.List(traits.Str, desc='sets of confounds in the model')
    contrasts = traits.List(traits.Str, mandatory=True, desc='of the maps')
    names = traits.List(traits.Str, mandatory=True, desc='of the pictures of the design')
    pictures = traits.Either(traits.Str, traits.List(traits.Str), mandatory=True)
    maps = traits.Either(traits.Str, traits.List(traits.Str), desc='pictures')
    series_notes = traits.List(traits.Str, desc='of the time series')
    quality = traits.Dict(desc='of the fit: autocorrelations, noise model, degrees of freedom')
    motion_facts = traits.Dict(mandatory=True, desc='facts of RunQuality')


class _DescribeRunOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='section of the page')
    design_sidecar = traits.List(traits.Dict, desc='checks of the design, for its sidecar')


class DescribeRun(SimpleInterface):
    """Put the facts and figures of a run into a section of the participant's page."""

    input_spec = _DescribeRunInputSpec
    output_spec = _DescribeRunOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        plan = read_json(Path(i.contrasts_file))
        trials = read_table(Path(i.trials_file))
        section = RunSection(
            title=i.title,
            facts=tuple(self._facts(plan)),
            notes=tuple(runparts.trial_notes(trials)),
            warnings=tuple(self._warnings(plan)),
            parts=tuple(self._parts(plan)),
            maps=tuple(_maps(i, 'z')),
            span=plan['checks']['span'],
        )
        visit = SessionSection(session_id='', runs=(section,))
        out_file = write_json(Path(runtime.cwd) / 'run.json', visit.to_dict())
        self._results['out_file'] = str(out_file)
        self._results['design_sidecar'] = [{'Checks': checks_record(plan)}]
        return runtime

    def _parts(self, plan: dict[str, Any]) -> list[Part]:
        i = self.inputs
        pictures = [i.pictures] if isinstance(i.pictures, str) else i.pictures
        shown = {
            name: Path(path).relative_to(i.base_directory).as_posix()
            for name, path in zip(i.names, pictures, strict=True)
        }
        counts = read_table(Path(i.counts_file)) if isdefined(i.counts_file) else None
        quality = i.quality if isdefined(i.quality) else {}
        return runparts.run_parts(plan, counts, quality, shown)

    def _facts(self, plan: dict[str, Any]) -> list[tuple[str, str]]:
        i = self.inputs
        timing = run_timing(Path(i.series_file), paths(i.sidecars))
        sidecars = i.maps_sidecars if isdefined(i.maps_sidecars) else []
        quality = i.quality if isdefined(i.quality) else {}
        return [
            ('Time series', Path(i.series_file).name),
            ('Volumes', str(timing.n_volumes)),
            ('Repetition time', f'{timing.repetition_time:g} s'),
            ('Time of a volume', f'{timing.slice_time_ref * timing.repetition_time:g} s'),
            ('Smoothing', i.smoothing),
            *runparts.fit_facts(sidecars, quality),
            ('Confounds in the model', self._confounds(plan)),
            *runparts.motion_facts(i.motion_facts),
        ]

    def _confounds(self, plan: dict[str, Any]) -> str:
        i = self.inputs
        if not (isdefined(i.sets) and i.sets):
            return 'none (FIX)' if i.denoised else 'none'
        return f'{", ".join(i.sets)}: {len(plan["confounds"])} regressors'

    def _warnings(self, plan: dict[str, Any]) -> list[str]:
        i = self.inputs
        sidecars = i.maps_sidecars if isdefined(i.maps_sidecars) else []
        return [
            *plan['notes'],
            *(m['text'] for m in plan['checks']['messages'] if m['level'] in ('warn', 'alarm')),
            *runparts.empty_grayordinates(sidecars),
            *(i.series_notes if isdefined(i.series_notes) else []),
        ]


class _DescribeVisitInputSpec(BaseInterfaceInputSpec):
    session_id = traits.Str(mandatory=True)
    base_directory = traits.Str(mandatory=True, nohash=True, desc='what picture paths are below')
    runs = traits.List(File(exists=True), mandatory=True, desc='sections of the runs')
    contrasts = traits.List(traits.Str, desc='of the combined runs')
    maps = traits.Either(traits.Str, traits.List(traits.Str), desc='pictures of combined runs')
    maps_sidecars = traits.List(traits.Dict, desc='metadata of these maps')
    messages = traits.List(traits.Str, desc='what was left out')
    performance_file = File(exists=True, desc='behaviour, of Performance; undefined: none')


class _DescribeVisitOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='section of the page')


class DescribeVisit(SimpleInterface):
    """Join the sections of a visit's runs."""

    input_spec = _DescribeVisitInputSpec
    output_spec = _DescribeVisitOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        parts = [SessionSection.from_dict(read_json(Path(path))) for path in i.runs]
        behaviour, flags = None, list[str]()
        sidecars = i.maps_sidecars if isdefined(i.maps_sidecars) else []
        captions = [runparts.runs_caption(sidecar) for sidecar in sidecars]
        if isdefined(i.performance_file):
            table = read_table(Path(i.performance_file))
            behaviour, flags = behaviour_part(table)
        section = SessionSection(
            session_id=i.session_id,
            runs=tuple(run for part in parts for run in part.runs),
            maps=tuple(_maps(i, 'z, runs together', captions)),
            messages=(*(i.messages if isdefined(i.messages) else ()), *flags),
            behaviour=behaviour,
        )
        out_file = write_json(Path(runtime.cwd) / 'section.json', section.to_dict())
        self._results['out_file'] = str(out_file)
        return runtime


def _maps(inputs: Any, what: str, captions: Sequence[str] = ()) -> list[Picture]:
    """Pictures of maps, which Nipype hands on as one text or as a list."""
    maps = inputs.maps if isdefined(inputs.maps) else []
    maps = [maps] if isinstance(maps, str) else maps
    names = inputs.contrasts if isdefined(inputs.contrasts) else []
    root = Path(inputs.base_directory)
    return [
        Picture(Path(path).relative_to(root).as_posix(), f'{name}: {what}', caption=caption)
        for name, path, caption in zip(names, maps, captions or [''] * len(maps), strict=True)
    ]
