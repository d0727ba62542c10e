"""Statistics that a model file declares: of scores, behaviour and regions."""

from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    Directory,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from ketbids.io.clinicaldata import read_clinical_data
from ketbids.io.columns import column_descriptions
from ketbids.io.files import read_json, write_json
from ketbids.io.statistics import remove_statistic, results, statistic_path
from ketbids.io.tables import read_texts, write_table

__all__ = ['RunStatistic', 'SaveStatistic']


class _RunStatisticInputSpec(BaseInterfaceInputSpec):
    statistic = traits.Dict(mandatory=True, desc='the statistic as plain values')
    data_dir = Directory(exists=True, mandatory=True, nohash=True, desc='what it is made of')
    stamp = traits.Str(mandatory=True, desc='fingerprint of the data')


class _RunStatisticOutputSpec(TraitedSpec):
    tables = traits.List(File(exists=True), desc='tables, named by what they hold')
    summary = File(exists=True, desc='choices, methods, sentences, warnings and results')


class RunStatistic(SimpleInterface):
    """Compute one declared statistic."""

    input_spec = _RunStatisticInputSpec
    output_spec = _RunStatisticOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.clinical.run import run_statistic
        from ketbids.stats.clinical.specs import from_dict

        statistic = from_dict(self.inputs.statistic)
        result = run_statistic(statistic, read_clinical_data(Path(self.inputs.data_dir)))
        folder = Path(runtime.cwd)
        written = [
            write_table(folder / f'{name}.tsv', table)[0] for name, table in result.tables.items()
        ]
        summary = {
            **result.summary,
            'Methods': result.methods,
            'Sentences': list(result.sentences),
            'Warnings': list(result.warnings),
            'Results': results(result.tables),
        }
        self._results['tables'] = [str(path) for path in written]
        self._results['summary'] = str(write_json(folder / 'summary.json', summary))
        return runtime


class _SaveStatisticInputSpec(BaseInterfaceInputSpec):
    base_directory = Directory(mandatory=True, desc='output folder')
    name = traits.Str(mandatory=True, desc='name of the statistic')
    metadata = traits.Dict(desc='what the summary says besides')
    tables = traits.List(File(exists=True), mandatory=True)
    summary = File(exists=True, mandatory=True)


class _SaveStatisticOutputSpec(TraitedSpec):
    out_files = traits.List(File(exists=True), desc='all that was written')


class SaveStatistic(SimpleInterface):
    """Write the tables of a statistic, with their data dictionaries, and its summary."""

    input_spec = _SaveStatisticInputSpec
    output_spec = _SaveStatisticOutputSpec
    _always_run = True

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        output_dir = Path(i.base_directory)
        remove_statistic(output_dir, i.name)
        written = []
        for file in map(Path, i.tables):
            table = read_texts(file)
            target = statistic_path(output_dir, i.name, file.stem)
            written += write_table(target, table, _descriptions(file.stem, list(table.columns)))
        summary = {**i.metadata, **read_json(Path(i.summary))}
        written.append(write_json(statistic_path(output_dir, i.name), summary))
        self._results['out_files'] = [str(path) for path in written]
        return runtime


def _descriptions(table: str, columns: list[str]) -> dict[str, str]:
    """Describe columns; those that are named after factors of the model share one text."""
    entries = column_descriptions(f'statistics_{table}')
    words = {name: str(entry['Description']) for name, entry in entries.items()}
    factors = words.get('factor columns')
    # Variables of a formula are columns that no dictionary can name.
    return words if factors is None else dict.fromkeys(columns, factors) | words
