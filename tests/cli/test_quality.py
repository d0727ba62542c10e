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
    'Scene': f'{TOP}/a_dualscreen.scene',
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
    assert table.columns[3] == 'Moved more than 0.5 mm'
    assert [row[0] for row in table.rows] == [
        'task-rest',
        'ses-TP1 task-carit run-1',
        'ses-TP2 task-carit',
    ]
    assert table.rows[1][1:] == (
        *('300', '0.12', '3 %', '120 → 60', '50 → 80', '40 → 70'),
        *('31 of 40, 76 % of variance', '95 % / n/a'),
    )
    assert table.rows[2][4:8] == ('120', '50', '40', 'n/a (no FIX)')


@pytest.mark.parametrize(
    ('applied', 'text'),
    [(True, '; 3 by hand'), (False, '; 3 by hand, not applied')],
)
def test_classes_by_hand(tmp_path, applied, text):
    fix = {'ReclassifiedAsNoise': [1, 2], 'ReclassifiedAsSignal': [5]}
    put(tmp_path, FIX={**FIX, **fix, 'ReclassificationApplied': applied})
    assert quality_section(tmp_path, '01').table.rows[0][7].endswith(f'of variance{text}')


def test_what_can_be_done(tmp_path):
    put(tmp_path)
    put(tmp_path, 'ses-TP1_task-carit_run-2')
    advice = quality_section(tmp_path, '01').advice
    top = TOP.removeprefix('bids::')
    assert f'To look at the components, open in wb_view: {top}/a_dualscreen.scene.' in advice
    assert any(f'ReclassifyAsSignal.txt in {top}/ICAFIX_ALL_hp0.ica, and' in a for a in advice)
    assert 'Components are those of all runs of a session together.' in advice
    assert advice[-1].startswith('To leave a run out, add a line')
    put(tmp_path, **WITHOUT)
    put(tmp_path, 'ses-TP1_task-carit_run-2', **WITHOUT)
    assert len(quality_section(tmp_path, '01').advice) == 2


def test_no_scene(tmp_path):
    put(tmp_path, FIX={**FIX, 'Scene': None})
    assert not [text for text in quality_section(tmp_path, '01').advice if 'wb_view' in text]


def test_on_the_page(tmp_path):
    write_participant_page(tmp_path, '01', ())
    assert 'id="quality"' not in (tmp_path / 'sub-01.html').read_text()
    put(tmp_path, FIX={**FIX, 'Scene': '<script>alert(1)</script>'})
    html = write_participant_page(tmp_path, '01', ()).read_text()
    assert '<section id="quality">' in html
    assert '<a href="#quality">Preprocessing</a>' in html
    assert '31 of 40, 76 % of variance' in html
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
