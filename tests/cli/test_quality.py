"""Quality of the runs on the participant's page."""

import json

import pytest

from ketbids.cli.pages import write_participant_page
from ketbids.cli.quality import quality_section
from ketbids.errors import InputError
from ketbids.io.files import write_json

TOP = 'bids::sourcedata/hcp/sub-01_ses-TP1/MNINonLinear/Results/ICAFIX_ALL'
FIX = {
    'Runs': ['task-carit_run-1', 'task-carit_run-2'],
    'Components': f'{TOP}/ICAFIX_ALL_hp0.ica',
    'Scene': f'{TOP}/a_singlescreen.scene',
    'NumberOfComponents': 40,
    'NumberOfNoiseComponents': 31,
    'NoiseShareOfExplainedVariance': 0.764,
    'NoiseShareOfTotalVariance': 0.4,
    'ReclassifiedAsNoise': [],
    'ReclassifiedAsSignal': [],
    'ReclassificationApplied': None,
}
METRICS = {
    'NumberOfVolumes': 300,
    'MeanFramewiseDisplacement': 0.1234,
    'MeanFramewiseDisplacementFiltered': 0.0876,
    'FramewiseDisplacementLimit': 0.5,
    'ShareAboveFramewiseDisplacementLimit': 0.0267,
    'MeanDVARS': 120.4,
    'MeanDVARSAfterFIX': 60.2,
    'MedianTSNR': {'Cortex': 50.1, 'Subcortex': 40},
    'MedianTSNRAfterFIX': {'Cortex': 80, 'Subcortex': 70},
    'GoodVoxelsCoverage': {'L': 0.951, 'R': None},
    'FIX': FIX,
}
WITHOUT = {'FIX': None, 'MeanDVARSAfterFIX': None, 'MedianTSNRAfterFIX': None}


def put(root, run='ses-TP1_task-carit_run-1', **changes):
    session = run.split('_')[0] if run.startswith('ses-') else ''
    path = root / 'sub-01' / session / 'func' / f'sub-01_{run}_desc-quality_metrics.json'
    write_json(path, {**METRICS, **changes})


def test_nothing_without_preprocessing(tmp_path):
    assert quality_section(tmp_path, '01') is None


def test_a_row_per_run(tmp_path):
    put(tmp_path)
    put(tmp_path, 'ses-TP2_task-carit', **WITHOUT)
    put(tmp_path, 'task-rest')
    table = quality_section(tmp_path, '01').table
    assert table.columns[2:5] == (
        'Mean FD, mm',
        'FD without breathing, mm',
        'FD above 0.5 mm',
    )
    assert [row[0] for row in table.rows] == [
        'task-rest',
        'ses-TP1 task-carit run-1',
        'ses-TP2 task-carit',
    ]
    assert table.rows[1][1:] == (
        *('300', '0.12', '0.09', '3 %', '120 → 60', '50 → 80', '40 → 70'),
        *('31 of 40, 76 % of variance', '95 % / n/a'),
    )
    assert table.rows[2][5:9] == ('120', '50', '40', 'n/a (no FIX)')


def test_breathing_could_not_be_filtered_out(tmp_path):
    put(tmp_path, MeanFramewiseDisplacementFiltered=None)
    assert quality_section(tmp_path, '01').table.rows[0][2:4] == ('0.12', 'n/a')


@pytest.mark.parametrize(
    ('applied', 'text'),
    [(True, '; 3 by hand'), (False, '; 3 by hand, not applied')],
)
def test_classes_by_hand(tmp_path, applied, text):
    fix = {'ReclassifiedAsNoise': [1, 2], 'ReclassifiedAsSignal': [5]}
    put(tmp_path, FIX={**FIX, **fix, 'ReclassificationApplied': applied})
    assert quality_section(tmp_path, '01').table.rows[0][8].endswith(f'of variance{text}')


def test_where_the_components_are(tmp_path):
    put(tmp_path)
    put(tmp_path, 'ses-TP1_task-carit_run-2')
    alone = 'bids::sourcedata/hcp/sub-01_ses-TP2/MNINonLinear/Results/task-carit'
    fix = {'Runs': ['task-carit'], 'Components': f'{alone}/task-carit_hp2000.ica', 'Scene': None}
    put(tmp_path, 'ses-TP2_task-carit', FIX={**FIX, **fix})
    section = quality_section(tmp_path, '01')
    assert section.components.rows == (
        (
            'ses-TP1: 2 runs, cleaned together',
            TOP.removeprefix('bids::'),
            'a_singlescreen.scene',
            'ICAFIX_ALL_hp0.ica',
        ),
        (
            'ses-TP2 task-carit',
            alone.removeprefix('bids::'),
            'n/a',
            'task-carit_hp2000.ica',
        ),
    )
    assert [text.split(',')[0] for text in section.advice[1:]] == [
        'To look at the components',
        'To change the class of components',
        'To leave a run out',
    ]
    assert not any('sourcedata' in text for text in section.advice)


def test_without_fix_there_are_no_components(tmp_path):
    put(tmp_path, **WITHOUT)
    section = quality_section(tmp_path, '01')
    assert section.components is None
    assert len(section.advice) == 2


def test_no_scene(tmp_path):
    put(tmp_path, 'task-carit', FIX={**FIX, 'Scene': None})
    section = quality_section(tmp_path, '01')
    assert not [text for text in section.advice if 'wb_view' in text]
    assert section.components.rows[0][0] == '2 runs, cleaned together'


def test_runs_that_the_first_level_left_out_are_marked(tmp_path):
    runs = ('ses-TP1_task-carit_run-1', 'ses-TP1_task-carit_run-2', 'ses-TP1_task-rest')
    for run in runs:
        put(tmp_path, run)
    section = quality_section(tmp_path, '01')
    assert [row[0] for row in section.table.rows] == [run.replace('_', ' ') for run in runs]
    assert not [text for text in section.advice if 'left out' in text]
    fitted = tmp_path / 'sub-01/ses-TP1/func' / f'sub-01_{runs[0]}_desc-trials_events.tsv'
    fitted.touch()
    section = quality_section(tmp_path, '01')
    assert [row[0] for row in section.table.rows] == [
        'ses-TP1 task-carit run-1',
        'ses-TP1 task-carit run-2 (left out)',
        'ses-TP1 task-rest',
    ]
    assert section.advice[1].startswith('Runs marked "left out" have no maps of the first level')


def test_on_the_page(tmp_path):
    write_participant_page(tmp_path, '01', ())
    assert 'id="quality"' not in (tmp_path / 'sub-01.html').read_text()
    put(tmp_path, FIX={**FIX, 'Scene': '<script>alert(1)</script>'})
    html = write_participant_page(tmp_path, '01', ()).read_text()
    assert '<section id="quality">' in html
    assert '<a href="#quality">Preprocessing</a>' in html
    assert '31 of 40, 76 % of variance' in html
    assert '<caption>Components of FIX</caption>' in html
    assert 'ICAFIX_ALL_hp0.ica</td>' in html
    assert '<script>alert' not in html


@pytest.mark.parametrize('change', [{'MedianTSNR': None}, {'GoodVoxelsCoverage': {}}, {'FIX': {}}])
def test_numbers_that_are_not_whole(tmp_path, change):
    put(tmp_path, **change)
    with pytest.raises(InputError, match=r'The numbers of the runs in .*sub-01 cannot be read'):
        quality_section(tmp_path, '01')


def test_a_file_that_is_none(tmp_path):
    put(tmp_path)
    (path,) = tmp_path.rglob('*_metrics.json')
    path.write_text(json.dumps(METRICS)[:30])
    with pytest.raises(InputError, match='is not valid JSON'):
        quality_section(tmp_path, '01')
