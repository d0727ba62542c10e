"""Movement and signal change of a run, whoever preprocessed it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.interfaces.motion import RunQuality
from ketbids.io.cifti import write_series
from ketbids.io.columns import column_descriptions
from ketbids.io.files import write_json
from ketbids.io.tables import read_table, write_table
from ketbids.stats.confounds import MOTION
from ketbids.stats.motion import filtered_displacement, framewise_displacement
from ketbids.stats.quality import series_quality
from tests.interfaces.files import TR, write_movement

N = 90
COLUMNS = ['framewise_displacement', 'framewise_displacement_filtered', 'dvars']
DESCRIPTIONS = column_descriptions('motion')


def quality(series, **inputs):
    found = RunQuality(series_file=series, descriptions=DESCRIPTIONS, **inputs).run().outputs
    table = read_table(Path(found.out_file))
    assert list(table.columns) == list(found.dictionary[0]) == COLUMNS
    return table, found.dictionary[0], found.facts


@pytest.fixture
def data(brain):
    return brain.noise(N)


@pytest.fixture
def series(brain, data):
    return brain.series('bold', data)


class TestHcp:
    def test_all_columns(self, series, data, tmp_path):
        path = write_movement(tmp_path / 'Movement_Regressors.txt', N)
        table, dictionary, facts = quality(series, confounds_file=path)
        movement = np.loadtxt(path)[:, :6]
        expected = {
            'framewise_displacement': framewise_displacement(movement),
            'framewise_displacement_filtered': filtered_displacement(movement, TR).values,
            'dvars': series_quality([data.astype(np.float32)], N).dvars,
        }
        for name, values in expected.items():
            assert np.isnan(table[name][0])
            np.testing.assert_allclose(table[name][1:], values[1:])
        assert facts == {
            'MeanFramewiseDisplacement': pytest.approx(table[COLUMNS[0]].mean(), rel=1e-5),
            'FramewiseDisplacementLimit': 0.5,
            'ShareAboveFramewiseDisplacementLimit': pytest.approx(
                (table[COLUMNS[0]][1:] > 0.5).mean(), rel=1e-5
            ),
            'MeanFramewiseDisplacementFiltered': pytest.approx(table[COLUMNS[1]].mean(), rel=1e-5),
            'BreathingBand': [0.2, 0.3],
            'MeanDVARS': pytest.approx(table['dvars'].mean(), rel=1e-5),
            'NotAvailable': {},
        }
        assert facts['MeanFramewiseDisplacementFiltered'] < facts['MeanFramewiseDisplacement']
        assert not any('NotAvailable' in entry for entry in dictionary.values())
        assert dictionary['dvars'] == DESCRIPTIONS['dvars']

    def test_without_a_table_of_movement(self, series):
        table, dictionary, facts = quality(series)
        assert table[COLUMNS[:2]].isna().all(axis=None)
        assert facts['MeanDVARS'] > 0
        assert facts['MeanFramewiseDisplacement'] is None
        assert facts['ShareAboveFramewiseDisplacementLimit'] is None
        reason = 'There is no table of the head movement.'
        assert dictionary['framewise_displacement']['NotAvailable'] == reason
        assert facts['NotAvailable'] == dict.fromkeys(
            ('MeanFramewiseDisplacement', 'MeanFramewiseDisplacementFiltered'), reason
        )

    def test_a_long_repetition_time(self, brain, data, tmp_path):
        path = tmp_path / 'slow.dtseries.nii'
        write_series(path, data, brain.models, 2.0)
        movement = write_movement(tmp_path / 'Movement_Regressors.txt', N)
        table, dictionary, facts = quality(str(path), confounds_file=movement)
        assert table['framewise_displacement'].notna().sum() == N - 1
        assert table['framewise_displacement_filtered'].isna().all()
        reason = dictionary['framewise_displacement_filtered']['NotAvailable']
        assert reason.startswith('With a repetition time of 2 s, breathing (0.2-0.3 Hz)')
        assert facts['NotAvailable'] == {'MeanFramewiseDisplacementFiltered': reason}

    def test_the_json_file_tells_the_repetition_time(self, brain, data, tmp_path):
        path = tmp_path / 'bold.dtseries.nii'
        write_series(path, data, brain.models, np.nan)
        sidecar = write_json(tmp_path / 'bold.json', {'RepetitionTime': TR})
        movement = write_movement(tmp_path / 'Movement_Regressors.txt', N)
        inputs = {'confounds_file': movement, 'sidecars': [str(sidecar)]}
        assert quality(str(path), **inputs)[2]['MeanFramewiseDisplacementFiltered'] > 0

    def test_grayordinates_without_data(self, brain):
        table, dictionary, facts = quality(brain.series('empty', np.zeros((N, len(brain.models)))))
        assert table['dvars'].isna().all()
        assert dictionary['dvars']['NotAvailable'] == 'No grayordinate has data.'
        assert facts['MeanDVARS'] is None

    def test_a_run_of_two_volumes(self, brain, data):
        _, _, facts = quality(brain.series('two', data[:2]))
        assert facts['NotAvailable']['MeanDVARS'] == 'The run has 2 volumes; 3 are needed.'

    def test_movement_of_another_run(self, series, tmp_path):
        path = write_movement(tmp_path / 'Movement_Regressors.txt', N - 1)
        table, _, facts = quality(series, confounds_file=path)
        assert table['framewise_displacement'].isna().all()
        assert np.isfinite(table['dvars'].to_numpy(float)[1:]).all()
        assert facts['MeanFramewiseDisplacement'] is None
        reason = facts['NotAvailable']['MeanFramewiseDisplacement']
        assert reason.startswith(f'{path}: 89 rows of confounds')


class TestFmriprep:
    def confounds(self, folder, **columns):
        values = np.random.default_rng(3).normal(0, 0.01, (N, 6))
        table = pd.DataFrame(dict(zip(MOTION, values.T, strict=True)) | columns)
        path = folder / 'sub-01_desc-confounds_timeseries.tsv'
        write_table(path, table)
        return values, {'confounds_file': str(path), 'origin': 'fmriprep'}

    def test_its_own_columns_are_taken(self, series, tmp_path):
        own = {
            name: np.r_[np.nan, np.arange(1.0, N)] for name in ('framewise_displacement', 'dvars')
        }
        values, inputs = self.confounds(tmp_path, **own)
        table, dictionary, _ = quality(series, **inputs)
        for name in own:
            np.testing.assert_allclose(table[name][1:], own[name][1:])
            assert dictionary[name]['Description'] == 'As fMRIPrep computed it, in the volume.'
        expected = filtered_displacement(values, TR, rotation_unit='rad').values
        np.testing.assert_allclose(table['framewise_displacement_filtered'][1:], expected[1:])

    def test_what_the_table_lacks_is_computed(self, series, data, tmp_path):
        values, inputs = self.confounds(tmp_path)
        table, dictionary, _ = quality(series, **inputs)
        expected = framewise_displacement(values, rotation_unit='rad')
        np.testing.assert_allclose(table['framewise_displacement'][1:], expected[1:])
        dvars = series_quality([data.astype(np.float32)], N).dvars
        np.testing.assert_allclose(table['dvars'][1:], dvars[1:])
        assert dictionary['dvars'] == DESCRIPTIONS['dvars']

    def test_a_table_without_movement(self, series, tmp_path):
        path = tmp_path / 'sub-01_desc-confounds_timeseries.tsv'
        own = {'framewise_displacement': np.full(N, 0.25), 'dvars': np.full(N, 30.0)}
        write_table(path, pd.DataFrame(own))
        table, dictionary, facts = quality(series, confounds_file=str(path), origin='fmriprep')
        assert facts['MeanFramewiseDisplacement'] == 0.25
        assert facts['MeanDVARS'] == 30
        assert table['framewise_displacement_filtered'].isna().all()
        assert 'trans_x' in dictionary['framewise_displacement_filtered']['NotAvailable']
        assert list(facts['NotAvailable']) == ['MeanFramewiseDisplacementFiltered']
