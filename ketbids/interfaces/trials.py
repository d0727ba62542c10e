"""From an events file to coded trials, and to an account of its rows."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from nipype.interfaces.base import File, SimpleInterface, TraitedSpec, traits

from ketbids.errors import InputError
from ketbids.interfaces.rundesign import TimedInputSpec, paths
from ketbids.io.events import read_events
from ketbids.io.tables import write_table
from ketbids.io.timing import RunTiming, run_timing
from ketbids.stats.eventrules import EventRules

__all__ = ['CodeTrials', 'RunTrials', 'read_trials']

logger = logging.getLogger('ketbids')


class _CodeTrialsInputSpec(TimedInputSpec):
    events_file = File(exists=True, mandatory=True, desc='events of the run')
    rules = traits.Dict(mandatory=True, desc='what its rows mean (EventRules.to_dict)')
    drop_volumes = traits.Range(low=0, value=0, usedefault=True, desc='volumes removed before')


class _CodeTrialsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per row of the events file, with its condition')
    counts_file = File(exists=True, desc='how many rows of the events file went where, and why')
    notes = traits.List(traits.Str, desc='what was done to the table')


class CodeTrials(SimpleInterface):
    """Sort the rows of an events file into conditions, and account for each of them."""

    input_spec = _CodeTrialsInputSpec
    output_spec = _CodeTrialsOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i, path = self.inputs, Path(self.inputs.events_file)
        found = read_trials(
            path,
            run_timing(Path(i.series_file), paths(i.sidecars)),
            EventRules.from_dict(i.rules),
            drop_volumes=i.drop_volumes,
            series=i.series_file,
        )
        for note in found.warnings:
            logger.warning('%s: %s.', path, note)
        folder = Path(runtime.cwd)
        trials = found.trials.assign(note=found.trials['note'].replace('', None))
        write_table(folder / 'trials.tsv', trials)
        write_table(folder / 'counts.tsv', found.counts)
        self._results.update(
            out_file=str(folder / 'trials.tsv'),
            counts_file=str(folder / 'counts.tsv'),
            notes=list(found.notes),
        )
        return runtime


class RunTrials(NamedTuple):
    """Coded trials of a run.

    Attributes
    ----------
    trials : DataFrame
        As `ketbids.stats.runevents.place_in_run` gives them.
    counts : DataFrame
        As `ketbids.stats.events.count_rows` gives them.
    notes : tuple of str
        What was done to the table, and to the time axis of the run.
    warnings : tuple of str
        Those that must not be missed.
    """

    trials: pd.DataFrame
    counts: pd.DataFrame
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def read_trials(
    events_file: Path, timing: RunTiming, rules: EventRules, *, drop_volumes: int, series: str
) -> RunTrials:
    """Read the events of a run and code them.

    Parameters
    ----------
    events_file : Path
    timing : RunTiming
        Of its time series.
    rules : EventRules
    drop_volumes : int
        Volumes that were removed from its start.
    series : str
        Its time series, for messages.

    Raises
    ------
    InputError
        The events cannot be read, coded, or belong to another run; it names the file.
    """
    from ketbids.stats.events import code_trials, count_rows
    from ketbids.stats.responsecheck import absent_responses, odd_response_times
    from ketbids.stats.runevents import filled_durations, place_in_run

    events = read_events(events_file)
    run = (timing.n_volumes, timing.repetition_time)
    try:
        coded = code_trials(events, rules)
        odd = (*odd_response_times(rules, coded), *absent_responses(events, rules, coded))
        placed = place_in_run(coded, *run, drop_volumes=drop_volumes, series=series)
    except InputError as error:
        raise InputError(f'{events_file}: {error}') from error
    counts = count_rows(placed.trials, [c.name for c in rules.conditions])
    warnings = (*placed.notes, *odd)
    notes = (*timing.notes, *warnings, *filled_durations(events, rules, coded))
    return RunTrials(placed.trials, counts, notes, warnings)
