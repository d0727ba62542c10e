"""From the coded trials of a session to what the participant did."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from ketbids.errors import InputError
from ketbids.io.tables import read_table, write_table
from ketbids.stats.eventrules import EventRules

__all__ = ['Performance']

_NEEDED = ('onset', 'status', 'stimulus', 'correct', 'responded', 'response_time', 'note')


class _PerformanceInputSpec(BaseInterfaceInputSpec):
    trials_files = traits.List(
        File(exists=True), mandatory=True, minlen=1, desc='coded trials of each run'
    )
    runs = traits.List(traits.Str, mandatory=True, desc='their labels; empty for an only run')
    rules = traits.Dict(mandatory=True, desc='EventRules as plain values; with stimuli')


class _PerformanceOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per run, and one for the session')


class Performance(SimpleInterface):
    """Describe how the task was done, per run and over the session."""

    input_spec = _PerformanceInputSpec
    output_spec = _PerformanceOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.behaviour import performance_table

        i = self.inputs
        stimuli = EventRules.from_dict(i.rules).stimuli
        if stimuli is None:
            raise InputError(
                'The model file does not say which trials are Go and which NoGo (Stimuli), so '
                'that behaviour cannot be described.'
            )
        tables = [read_table(Path(path), _NEEDED) for path in i.trials_files]
        out_file = Path(runtime.cwd) / 'performance.tsv'
        write_table(out_file, performance_table(tables, i.runs, stimuli))
        self._results['out_file'] = str(out_file)
        return runtime
