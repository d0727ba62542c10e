"""Confounds and quality of a run, from the files of the HCP pipelines."""

import json
from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.hcp.results import DescribeConfounds, RunQuality
from ketbids.io.cifti import write_series
from ketbids.io.columns import column_descriptions
from ketbids.io.confounds import read_confounds
from ketbids.io.tables import read_table
from ketbids.stats.motion import filtered_displacement, framewise_displacement
from ketbids.stats.quality import series_quality
from tests.interfaces.files import TR, BrainFiles, write_movement
from tests.io.fixtrees import ica_folder, metric

N = 70
COLUMNS = column_descriptions('confounds')


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = BrainFiles(tmp_path)
    made.before, made.after = made.noise(N), made.noise(N, seed=1) / 2
    made.inputs = {
        'series': made.series('run_Atlas', made.before),
        'cleaned': made.series('run_Atlas_hp0_clean', made.after),
        'movement': write_movement(tmp_path / 'Movement_Regressors.txt', N),
        'descriptions': COLUMNS,
    }
    return made


def describe(inputs):
    found = DescribeConfounds(**inputs).run().outputs
    summary = json.loads(Path(found.summary).read_text())
    return read_table(Path(found.out_file)), found.dictionary[0], summary


def test_every_column_and_its_description(files):
    table, dictionary, _ = describe(files.inputs)
    assert list(table.columns) == list(COLUMNS)
    assert dictionary == COLUMNS
    assert len(table) == N
    first = [line.split('\t') for line in Path('confounds.tsv').read_text().splitlines()][1]
    assert first[-4:] == ['n/a'] * 4


def test_rotations_become_radians_and_nothing_else_changes(files):
    table, _, _ = describe(files.inputs)
    given = np.loadtxt(files.inputs['movement'])
    turned = np.array([0, 0, 0, 1, 1, 1] * 2, bool)
    expected = np.where(turned, np.pi / 180, 1) * given
    np.testing.assert_allclose(table.iloc[:, :12], expected, rtol=1e-10)
    displacement = framewise_displacement(given[:, :6])
    np.testing.assert_allclose(table['framewise_displacement'][1:], displacement[1:])


def test_dvars_before_and_after(files):
    table, _, summary = describe(files.inputs)
    for column, key, data in (
        ('dvars', 'MeanDVARS', files.before),
        ('dvars_fix', 'MeanDVARSAfterFIX', files.after),
    ):
        expected = series_quality([data.astype(np.float32)], N).dvars
        np.testing.assert_allclose(table[column], expected)
        assert summary[key] == pytest.approx(expected[1:].mean(), rel=1e-5)


def test_summary(files):
    table, _, summary = describe(files.inputs)
    displacement = table['framewise_displacement'][1:]
    assert summary['NumberOfVolumes'] == N
    assert summary['RepetitionTime'] == TR
    assert summary['MeanFramewiseDisplacement'] == pytest.approx(displacement.mean(), rel=1e-5)
    share = summary['ShareAboveFramewiseDisplacementLimit']
    assert share == pytest.approx(np.mean(displacement > 0.5), rel=1e-5)
    assert summary['FramewiseDisplacementLimit'] == 0.5
    assert summary['GrayordinatesWithoutData'] == 0
    tsnr, cortex = (
        series_quality([files.before.astype(np.float32)], N).tsnr,
        files.models.is_surface,
    )
    assert summary['MedianTSNR'] == {
        'Cortex': pytest.approx(np.median(tsnr[cortex]), rel=1e-5),
        'Subcortex': pytest.approx(np.median(tsnr[~cortex]), rel=1e-5),
    }
    assert summary['MedianTSNRAfterFIX']['Cortex'] != summary['MedianTSNR']['Cortex']


def test_displacement_without_breathing(files):
    table, dictionary, summary = describe(files.inputs)
    movement = np.loadtxt(files.inputs['movement'])[:, :6]
    expected = filtered_displacement(movement, TR).values
    filtered = table['framewise_displacement_filtered']
    assert np.isnan(filtered[0])
    np.testing.assert_allclose(filtered[1:], expected[1:])
    mean = summary['MeanFramewiseDisplacementFiltered']
    assert mean == pytest.approx(expected[1:].mean(), rel=1e-5)
    assert mean < 0.95 * summary['MeanFramewiseDisplacement']
    assert summary['BreathingBand'] == [0.2, 0.3]
    assert '0.2 to 0.3 Hz' in dictionary['framewise_displacement_filtered']['Description']
    assert summary['NotAvailable'] == {}


def test_a_run_too_short_to_filter_breathing(files, tmp_path):
    short = {
        'series': files.series('short', files.before[:50]),
        'movement': write_movement(tmp_path / 'short.txt', 50),
        'descriptions': COLUMNS,
    }
    table, _, summary = describe(short)
    assert table['framewise_displacement_filtered'].isna().all()
    assert table['framewise_displacement'].notna().sum() == 49
    assert summary['MeanFramewiseDisplacementFiltered'] is None
    assert summary['NotAvailable'] == {
        'MeanFramewiseDisplacementFiltered': 'The run lasts 40 s; 50 s are needed to filter '
        'breathing out.'
    }


def test_without_fix(files):
    del files.inputs['cleaned']
    table, dictionary, summary = describe(files.inputs)
    assert list(table.columns) == list(dictionary) == [c for c in COLUMNS if c != 'dvars_fix']
    assert summary['MeanDVARSAfterFIX'] is None
    assert summary['MedianTSNRAfterFIX'] is None


def test_six_columns_of_movement(files):
    write_movement(Path(files.inputs['movement']), N, 6)
    table, dictionary, _ = describe(files.inputs)
    assert list(table.columns) == list(dictionary)
    assert [c for c in table if 'derivative' in c] == []


def test_what_was_written_can_be_read_as_fmripreps(files):
    describe(files.inputs)
    found = read_confounds(Path('confounds.tsv'), N, 'fmriprep').table
    assert found['rot_x'].abs().max() < 0.02


def test_grayordinates_without_signal(files):
    files.before[:, :5] = 0
    files.inputs['series'] = files.series('run_Atlas', files.before)
    _, _, summary = describe(files.inputs)
    assert summary['GrayordinatesWithoutData'] == 5


def broken(files, name):
    inputs = files.inputs
    if name == 'volumes':
        inputs['cleaned'] = files.series('short', files.after[1:])
        return 'short.dtseries.nii has 69 volumes, .*run_Atlas.dtseries.nii 70'
    if name == 'models':
        keep = np.arange(len(files.models)) > 0
        write_series(Path('few.dtseries.nii'), files.after[:, keep], files.models.select(keep), TR)
        inputs['cleaned'] = str(Path('few.dtseries.nii').absolute())
        return 'do not have the same brain models'
    if name == 'truncated':
        path = Path(inputs['series'])
        path.write_bytes(path.read_bytes()[:-100])
        return 'run_Atlas.dtseries.nii cannot be read .* truncated'
    if name == 'movement':
        write_movement(Path(inputs['movement']), N - 1)
        return r'Movement_Regressors.txt: .*69'
    Path(inputs['movement']).write_text('1 2 3 4 5 six\n' * N)
    return "Movement_Regressors.txt, line 1: 'six' is not a number"


@pytest.mark.parametrize('name', ['volumes', 'models', 'truncated', 'movement', 'words'])
def test_files_that_do_not_fit(files, name):
    message = broken(files, name)
    with pytest.raises(InputError, match=message):
        describe(files.inputs)


@pytest.fixture
def run(files, tmp_path):
    describe(files.inputs)
    n = max(files.models.n_vertices.values())
    values = np.zeros(n)
    values[: n // 2] = 1
    goodvoxels = {
        'L': str(metric(tmp_path / 'L.func.gii', np.ones(n))),
        'R': str(metric(tmp_path / 'R.func.gii', values)),
    }
    inputs = {
        'summary': str(tmp_path / 'summary.json'),
        'series': files.inputs['series'],
        'goodvoxels': goodvoxels,
        'metadata': {'Sources': ['bids::x'], 'SoftwareVersions': {'FSL': '6.0.7'}},
    }

    def go(**changes):
        out_file = RunQuality(**inputs, **changes).run().outputs.out_file
        return json.loads(Path(out_file).read_text())

    go.values, go.inputs, go.models = values, inputs, files.models
    return go


FIX = {'Method': 'pyfix', 'Threshold': 10}


def test_components(run, tmp_path):
    ica = ica_folder(tmp_path / 'a.ica', n=5, noise=(1, 3), as_noise=(4,), hand=(1, 3, 4))
    found = run(ica=str(ica), fix=FIX)
    assert found['FIX'] == {
        'Method': 'pyfix',
        'Threshold': 10,
        'TrainingData': 'HCP_Style',
        'NumberOfComponents': 5,
        'NumberOfNoiseComponents': 3,
        'NoiseShareOfExplainedVariance': 0.6,
        'NoiseShareOfTotalVariance': 0.24,
        'ReclassifiedAsNoise': [4],
        'ReclassifiedAsSignal': [],
        'ReclassificationApplied': True,
    }
    assert found['NotAvailable'] == {}
    assert found['Sources'] == ['bids::x']
    assert found['SoftwareVersions'] == {'FSL': '6.0.7'}
    assert found['NumberOfVolumes'] == N


def test_no_table_of_variances(run, tmp_path):
    ica = ica_folder(tmp_path / 'a.ica')
    (ica / 'filtered_func_data.ica' / 'melodic_ICstats').unlink()
    found = run(ica=str(ica), fix=FIX)
    assert found['FIX']['NoiseShareOfTotalVariance'] is None
    assert found['FIX']['NumberOfNoiseComponents'] == 2
    assert list(found['NotAvailable'].values()) == ['There is no table melodic_ICstats.'] * 2


def test_quality_without_fix(run):
    found = run(without_fix='FIX was not asked for (--fix none).')
    assert found['FIX'] is None
    assert found['NotAvailable'] == dict.fromkeys(
        ('FIX', 'MeanDVARSAfterFIX', 'MedianTSNRAfterFIX'), 'FIX was not asked for (--fix none).'
    )


def test_coverage_of_each_hemisphere(run):
    right = run.models.vertex[run.models.where('CIFTI_STRUCTURE_CORTEX_RIGHT')]
    found = run()['GoodVoxelsCoverage']
    assert found == {'L': 1.0, 'R': pytest.approx(run.values[right].mean(), rel=1e-5)}
    assert 0 < found['R'] < 1


def test_coverage_that_is_not_known(run):
    Path(run.inputs['goodvoxels']['R']).unlink()
    found = run()
    assert found['GoodVoxelsCoverage'] == {'L': 1.0, 'R': None}
    assert found['NotAvailable']['GoodVoxelsCoverage.R'] == 'There is no R.func.gii.'


def test_coverage_of_another_mesh(run, tmp_path):
    metric(Path(run.inputs['goodvoxels']['L']), np.ones(3))
    with pytest.raises(
        InputError, match=r'L\.func\.gii: There is no vertex \d+: the surface has 3'
    ):
        run()
