"""From the events and confounds of a run to its design matrix."""

import logging
from pathlib import Path
from typing import Any

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
from ketbids.io.confounds import read_confounds
from ketbids.io.files import write_json
from ketbids.io.tables import read_table, write_table
from ketbids.io.timing import run_timing

__all__ = ['BuildRunDesign', 'CodeTrials', 'TimedInputSpec', 'paths']

logger = logging.getLogger('ketbids')


class TimedInputSpec(BaseInterfaceInputSpec):
    """Inputs that tell the time axis of a run."""

    series_file = File(exists=True, mandatory=True, desc='dense time series of the run')
    sidecars = traits.List(
        File(exists=True), desc='JSON files that describe it, the most specific first'
    )


class _CodeTrialsInputSpec(TimedInputSpec):
    events_file = File(exists=True, mandatory=True, desc='events of the run')
    conditions = traits.List(traits.Dict, mandatory=True, desc='conditions of the model file')
    response_column = traits.Str(desc='column with response times')
    window = traits.Tuple(traits.Float, traits.Float, desc='response window, s')
    drop_volumes = traits.Range(low=0, value=0, usedefault=True, desc='volumes removed before')


class _CodeTrialsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per row of the events file, with its condition')
    notes = traits.List(traits.Str, desc='what was done to the table')


class CodeTrials(SimpleInterface):
    """Sort the rows of an events file into conditions."""

    input_spec = _CodeTrialsInputSpec
    output_spec = _CodeTrialsOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.events import UNMATCHED, Condition, code_trials
        from ketbids.stats.rundesign import LONGEST_BEFORE

        i, path = self.inputs, Path(self.inputs.events_file)
        events = read_table(path, ('onset', 'duration'))
        options: dict[str, Any] = {}
        if isdefined(i.response_column):
            options = {'response_column': i.response_column, 'window': i.window}
        try:
            coded = code_trials(events, [Condition(**c) for c in i.conditions], **options)
        except InputError as error:
            raise InputError(f'{path}: {error}') from error
        timing = run_timing(Path(i.series_file), paths(i.sidecars))
        dropped = i.drop_volumes * timing.repetition_time
        coded['onset'] -= dropped
        if dropped and (coded['onset'] + coded['duration'] <= 0).all():
            raise InputError(
                f'{path}: every event ends within the {i.drop_volumes} volumes '
                f'({dropped:g} s) that --drop-volumes says were removed from the start of '
                f'{i.series_file}. Give the number that was removed there, 0 if none.'
            )
        end = timing.n_volumes * timing.repetition_time
        if coded['onset'].max() >= end:
            raise InputError(
                f'{path}: the last event starts at {coded["onset"].max():g} s, but '
                f'{i.series_file} ends at {end:g} s ({timing.n_volumes} volumes). '
                + late_events(coded['onset'], end)
            )
        notes = list(timing.notes)
        early = (coded['onset'] < -LONGEST_BEFORE) & (coded['condition'] != UNMATCHED)
        coded.loc[early, 'condition'] = UNMATCHED
        far = f'; more than {LONGEST_BEFORE:g} s before the first volume, not modelled'
        coded.loc[early, 'note'] += far
        coded['note'] = coded['note'].str.removeprefix('; ').replace('', None)
        long = coded['duration'] > end
        if long.any():
            notes.append(
                f'rows of the events file that last longer than the run ({end:g} s), the longest '
                f'{coded["duration"].max():g} s: {int(long.sum())}; durations must be in seconds'
            )
            logger.warning('%s: %s.', path, notes[-1])
        if not coded['onset'].is_monotonic_increasing:
            coded = coded.sort_values('onset', kind='stable', ignore_index=True)
            notes.append(
                'the rows of the events file were not in the order of their onsets, sorted'
            )
            logger.warning('%s: the rows are not in the order of their onsets; sorted.', path)
        out_file = Path(runtime.cwd) / 'trials.tsv'
        write_table(out_file, coded)
        self._results.update(out_file=str(out_file), notes=notes)
        return runtime


def paths(files: Any) -> list[Path]:
    """A list of files that may be undefined."""
    return [Path(path) for path in files] if isdefined(files) else []


def late_events(onset: pd.Series, end: float) -> str:
    """Say what may be wrong with events after the end of a run of `end` seconds."""
    # Half of the trials of a run are in its first half; in milliseconds they are long after it.
    if onset.median() > 10 * end and 0.1 * end < onset.max() / 1000 < end:
        return 'The onsets look like milliseconds; BIDS has seconds. Correct the file.'
    return (
        'The events belong to another run, or volumes are missing: if volumes were removed from '
        'the start, say how many with --drop-volumes.'
    )


class _BuildRunDesignInputSpec(TimedInputSpec):
    trials_file = File(exists=True, mandatory=True, desc='coded trials')
    notes = traits.List(traits.Str, desc='of the trials')
    confounds_file = File(exists=True, desc='table of confounds')
    confounds_sidecar = File(exists=True, desc='JSON file that describes the confounds')
    origin = traits.Enum('hcp', 'fmriprep', usedefault=True, desc='who preprocessed the run')
    sets = traits.List(traits.Str, desc='sets of confounds to put into the model')
    conditions = traits.List(traits.Str, mandatory=True, desc='names of the conditions')
    contrasts = traits.Dict(
        traits.Str, traits.Dict, mandatory=True, desc='weights of conditions, per contrast'
    )
    hrf_model = traits.Str(mandatory=True, desc='haemodynamic model')
    high_pass = traits.Range(low=0.0, mandatory=True, desc='cut-off, Hz')


class _BuildRunDesignOutputSpec(TraitedSpec):
    design_file = File(exists=True, desc='design matrix, one row per volume')
    contrasts_file = File(exists=True, desc='weights, regressor heights, what was dropped')


class BuildRunDesign(SimpleInterface):
    """Make the design matrix of a run and the weights of its contrasts."""

    input_spec = _BuildRunDesignInputSpec
    output_spec = _BuildRunDesignOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.rundesign import contrast_weights, run_design

        i = self.inputs
        timing = run_timing(Path(i.series_file), paths(i.sidecars))
        confounds, notes = self._confounds(timing.n_volumes)
        try:
            design = run_design(
                read_table(Path(i.trials_file)),
                i.conditions,
                timing.n_volumes,
                timing.repetition_time,
                slice_time_ref=timing.slice_time_ref,
                hrf_model=i.hrf_model,
                high_pass=i.high_pass,
                confounds=confounds,
            )
        except InputError as error:
            raise InputError(f'{i.series_file}: {error}') from error
        found = contrast_weights(design.matrix, i.contrasts, design.dropped)
        weights = {name: w.tolist() for name, w in found.weights.items() if w is not None}
        design_file = Path(runtime.cwd) / 'design.tsv'
        write_table(design_file, design.matrix)
        contrasts_file = write_json(
            Path(runtime.cwd) / 'contrasts.json',
            {
                'weights': weights,
                'not_estimable': found.reasons,
                'dropped': list(design.dropped),
                'peaks': design.peaks,
                'confounds': list(design.confounds),
                'repetition_time': timing.repetition_time,
                'slice_time_ref': timing.slice_time_ref,
                'notes': [*(i.notes if isdefined(i.notes) else []), *notes, *design.notes],
            },
        )
        self._results.update(design_file=str(design_file), contrasts_file=str(contrasts_file))
        return runtime

    def _confounds(self, n_volumes: int) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
        from ketbids.stats.confounds import choose_confounds

        i = self.inputs
        sets = tuple(i.sets) if isdefined(i.sets) else ()
        if not sets:
            return None, ()
        if not isdefined(i.confounds_file):
            raise InputError(
                f'{i.series_file}: there is no file of confounds for the sets {", ".join(sets)}. '
                'Put it beside the time series, or do without: --confounds none.'
            )
        path = Path(i.confounds_file)
        sidecar = Path(i.confounds_sidecar) if isdefined(i.confounds_sidecar) else None
        table, masks = read_confounds(path, n_volumes, i.origin, sidecar)
        try:
            return choose_confounds(table, sets, n_volumes, masks)
        except InputError as error:
            raise InputError(f'{path}: {error}') from error
