"""A declared statistic as a node computes it, and what is written of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.statistics import RunStatistic, SaveStatistic
from ketbids.io.clinicaldata import write_clinical_data
from ketbids.io.files import read_json, write_json
from ketbids.io.statistics import results
from ketbids.io.tables import read_table, write_table
from ketbids.stats.clinical.run import run_statistic
from ketbids.stats.clinical.specs import CountStatistic, MixedStatistic, Outcome, to_dict
from tests.stats.clinical.study import PATIENTS, SESSIONS, study

HDRS = MixedStatistic(
    'hdrs',
    subset="group == 'TRD'",
    outcome=Outcome(score='hdrs'),
    formula='time * sex',
    sessions=SESSIONS,
    means=('time', 'time|sex'),
)


@pytest.fixture
def compute(tmp_path, monkeypatch):
    """Run a statistic of the small study in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(statistic, data=None):
        folder = tmp_path / 'plan'
        write_clinical_data(folder, data or study())
        node = RunStatistic(statistic=to_dict(statistic), data_dir=str(folder), stamp='a')
        return node.run(cwd=str(tmp_path)).outputs

    return run


def names(paths):
    return [path.rsplit('/', 1)[1] for path in paths]


def test_files_hold_what_was_computed(compute):
    found = compute(HDRS)
    direct = run_statistic(HDRS, study())
    assert names(found.tables) == [f'{name}.tsv' for name in direct.tables]
    for path, table in zip(found.tables, direct.tables.values(), strict=True):
        read = read_table(path)
        assert list(read.columns) == list(table.columns)
        for name in table.select_dtypes('number'):
            expected = table[name].astype(float)
            np.testing.assert_allclose(read[name].astype(float), expected, rtol=1e-9, err_msg=name)
    summary = read_json(Path(found.summary))
    assert summary['Methods'] == direct.methods
    assert summary['Sentences'] == list(direct.sentences)
    assert summary['Warnings'] == list(direct.warnings)
    assert summary['Models']['hdrs']['NParticipants'] == len(PATIENTS)
    results = summary['Results']
    assert list(results) == ['terms', 'estimates', 'covariance', 'emmeans', 'pairs']
    for name, rows in results.items():
        table = direct.tables[name]
        assert len(rows) == len(table)
        assert list(rows[0]) == list(table.columns)
    first = results['terms'][0]
    assert (first['term'], first['f']) == ('time', pytest.approx(direct.tables['terms']['f'][0]))
    assert first['n_subjects'] == len(PATIENTS)
    assert first['not_available'] is None


def test_results_are_values_that_json_knows():
    table = pd.DataFrame(
        {
            'n': np.array([3, 4]),
            'f': [np.inf, np.nan],
            'p': np.float32([0.5, 0.25]),
            'yes': [True, pd.NA],
            'level': ['01', None],
        }
    )
    assert results({'values': table, 'terms': table}) == {
        'terms': [
            {'n': 3, 'f': None, 'p': 0.5, 'yes': True, 'level': '01'},
            {'n': 4, 'f': None, 'p': 0.25, 'yes': None, 'level': None},
        ]
    }


def test_what_cannot_be_computed_says_why(compute):
    nobody = CountStatistic('none', subset='age > 200', conditions={'old': 'age > 90'})
    with pytest.raises(InputError, match='age > 200'):
        compute(nobody)


@pytest.fixture
def save(tmp_path, compute):
    def run(statistic=HDRS, out='out', **metadata):
        made = compute(statistic)
        node = SaveStatistic(
            base_directory=str(tmp_path / out),
            name=statistic.name,
            metadata=metadata,
            tables=made.tables,
            summary=made.summary,
        )
        return node.run().outputs.out_files, tmp_path / out / 'group' / 'statistics'

    return run


def test_every_column_is_described(save):
    files, folder = save(Name='hdrs', Notes=['One.'])
    assert sorted(names(files)) == sorted(path.name for path in folder.iterdir())
    tables = list(folder.glob('*.tsv'))
    assert {path.name for path in tables} >= {
        'hdrs_terms.tsv',
        'hdrs_emmeans.tsv',
        'hdrs_pairs.tsv',
    }
    for path in tables:
        words = json.loads(path.with_suffix('.json').read_text())
        assert list(words) == list(read_table(path).columns)
        assert all(entry['Description'] for entry in words.values())
    means = json.loads((folder / 'hdrs_emmeans.json').read_text())
    assert means['time']['Description'] == means['sex']['Description']
    assert means['time']['Description'].startswith('Variables of the formula')
    summary = json.loads((folder / 'hdrs.json').read_text())
    assert list(summary)[:2] == ['Name', 'Notes']
    assert summary['Sentences'][0].startswith('hdrs, ')


def test_what_an_earlier_call_left_goes(save, tmp_path):
    _, folder = save()
    (folder / 'hdrs_comparison.tsv').touch()
    (folder / 'hdrs2_terms.tsv').touch()
    files, _ = save()
    assert 'hdrs_comparison.tsv' not in {path.name for path in folder.iterdir()}
    assert (folder / 'hdrs2_terms.tsv').is_file()
    assert all(path.startswith(str(folder)) for path in files)


def test_a_column_without_words_is_not_written(tmp_path):
    (table,) = write_table(tmp_path / 'terms.tsv', study().people.rename_axis('x').reset_index())
    summary = write_json(tmp_path / 'summary.json', {})
    node = SaveStatistic(
        base_directory=str(tmp_path), name='a', tables=[str(table)], summary=str(summary)
    )
    with pytest.raises(ValueError, match='no description of'):
        node.run()
