"""ketbids-events as a command, and what the first level makes of its files."""

import json
from importlib.resources import files

import pandas as pd
import pytest

from ketbids.cli.events import main
from ketbids.io.carit import OFFSET, SHAPE_DURATION
from ketbids.io.events import read_events
from ketbids.io.tables import read_table
from ketbids.model import default_model_path, load_model
from ketbids.stats.events import code_trials
from tests.io.caritlogs import outcomes, rows, write_log
from tests.io.test_fslevents import CONDITIONS, PREPOTENCY, write

REGRESSORS = {
    'Hit': 'correctGo',
    'Miss': 'incorrectGo',
    'corReject': 'correctNogo',
    'falseAlarm': 'incorrectNogo',
}


@pytest.fixture
def log(tmp_path):
    return write_log(tmp_path / 'CARIT_HCD0000001_V1_A_run1_wide.csv')


@pytest.fixture
def target(tmp_path):
    return tmp_path / 'sub-01' / 'func' / 'sub-01_task-carit_run-01_events.tsv'


def call(*words):
    return main([str(word) for word in words])


def fails(capsys, code, *words):
    def check(actual):
        text = capsys.readouterr().err
        assert actual == code, text
        for word in words:
            assert word in text

    return check


@pytest.mark.parametrize('clock', ['run', 'trial'])
def test_the_default_model_agrees_with_the_program(tmp_path, target, capsys, clock):
    """From the log through events to coded trials: Hit is correctGo, and so on."""
    content = rows(clock=clock, seed=11)
    assert call('carit', write_log(tmp_path / 'x_wide.csv', content), target) == 0
    text = capsys.readouterr().out
    counts = outcomes(content)
    for name, count in counts.items():
        assert f' {name} {count}' in text
    rules = load_model(default_model_path()).run.events
    events = read_events(target)
    coded = code_trials(events, rules)
    assert coded['condition'].value_counts().to_dict() == {
        REGRESSORS[name]: count for name, count in counts.items()
    }
    assert list(coded['condition']) == [REGRESSORS[name] for name in events['outcome']]
    assert (coded['note'] == '').all()


def test_onsets_and_sidecar(log, target):
    assert call('carit', log, target) == 0
    table = read_table(target)
    first = float(rows()[5]['shapeStartTime'])
    assert table['onset'][0] == pytest.approx(first - OFFSET, abs=1e-9)
    assert list(table.columns[:2]) == ['onset', 'duration']
    dictionary = json.loads(target.with_suffix('.json').read_text(encoding='utf-8'))
    assert set(table.columns) | {'StimulusPresentation'} == set(dictionary)
    assert dictionary['onset'] == {
        'Description': 'Seconds from the first volume: the time of the source minus 8 s.',
        'Units': 's',
    }
    assert sorted(p.name for p in target.parent.iterdir()) == [
        target.with_suffix('.json').name,
        target.name,
    ]


def test_removed_volumes_shift_the_onsets(log, target, capsys):
    assert call('carit', log, target, '--dropped-volumes', 5, '--repetition-time', 0.8) == 0
    text = capsys.readouterr().out
    assert 'start before the first volume, the first at -3.987 s' in text
    assert 'do not give ketbids --drop-volumes for them, too' in text
    table = read_table(target)
    assert table['onset'][0] == pytest.approx(8.013 - 8 - 4)
    sidecar = json.loads(target.with_suffix('.json').read_text(encoding='utf-8'))
    assert 'minus 8 s and minus 5 removed volumes of 0.8 s' in sidecar['onset']['Description']


def test_another_offset(log, target):
    assert call('carit', log, target, '--offset', 0) == 0
    assert read_table(target)['onset'][0] == pytest.approx(8.013)
    assert call('carit', log, target, '--offset', -2, '--overwrite') == 0
    assert read_table(target)['onset'][0] == pytest.approx(10.013)


def test_an_offset_after_all_events(log, target, capsys):
    words = (str(log), 'every event ends before the first volume', '--offset')
    fails(capsys, 3, *words)(call('carit', log, target, '--offset', 5000))
    assert not target.parent.exists()


def test_nothing_is_replaced_unasked(log, target, capsys):
    assert call('carit', log, target) == 0
    before = target.read_bytes()
    again = call('carit', log, target, '--offset', 1)
    fails(capsys, 2, f'{target} exists already', '--overwrite')(again)
    assert target.read_bytes() == before
    assert call('carit', log, target, '--offset', 1, '--overwrite') == 0
    assert target.read_bytes() != before
    target.unlink()
    sidecar = target.with_suffix('.json')
    fails(capsys, 2, f'{sidecar} exists already')(call('carit', log, target))


def test_a_damaged_log_writes_nothing(log, target, capsys):
    log.write_text(log.read_text().replace(',go,', ',g0,', 1))
    fails(capsys, 3, f'{log}, line 7', 'corrAns')(call('carit', log, target))
    assert not target.parent.exists()


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (('--dropped-volumes', '2'), '--dropped-volumes needs --repetition-time'),
        (('--repetition-time', '0.8'), '--repetition-time is for --dropped-volumes'),
        (('--dropped-volumes', '-1'), 'must be at least 0'),
        (('--offset', 'x'), "'x' is not a number"),
        (('--offset', 'nan'), 'nan must be above'),
        (('--duration', '0'), '0 must be above 0'),
        (('--overwrit',), 'unrecognized arguments'),
    ],
)
def test_wrong_usage(log, target, capsys, words, said):
    fails(capsys, 2, said, '--help' if 'needs' not in said and 'is for' not in said else '')(
        call('carit', log, target, *words)
    )


def test_names_that_are_not_of_events(log, tmp_path, capsys):
    for name in (
        *('events.tsv', '_events.tsv', 'sub-01_events.csv', 'sub-01_events.tsv'),
        *('sub-01_task-go nogo_events.tsv', 'sub-01_task-carit_run-1 _events.tsv'),
        *('task-carit_events.tsv', 'sub-0_1_task-carit_events.tsv', 'x_events.tsv'),
    ):
        words = (name, 'must end in _events.tsv')
        fails(capsys, 2, *words)(call('carit', log, tmp_path / name))


def test_a_folder_that_cannot_be_made(log, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    target = tmp_path / 'file' / 'sub-01_task-carit_events.tsv'
    fails(capsys, 3, str(tmp_path / 'file'))(call('carit', log, target))


@pytest.mark.parametrize('content', [PREPOTENCY, CONDITIONS], ids=['prepotency', 'condition'])
def test_evs_of_carit(tmp_path, target, content, capsys):
    """A model file takes the outcomes as conditions; there are no times of presses."""
    evs = write(tmp_path / 'EVs', content)
    assert call('fsl', tmp_path / 'EVs', target) == 0
    text = capsys.readouterr().out
    for name in evs:
        assert f'\n{name}: ' in text
    model = json.loads(default_model_path().read_text(encoding='utf-8'))
    own = model['Nodes'][0]['Model']['Software']['ketbids']
    del own['Response'], own['Stimuli']
    # There is no table of behaviour, then.
    model['Nodes'][1]['Model']['Software']['ketbids'].pop('Statistics')
    own['Conditions'] = [
        {'Name': name, 'Where': {'outcome': [outcome]}} for outcome, name in REGRESSORS.items()
    ]
    (tmp_path / 'model.json').write_text(json.dumps(model))
    coded = code_trials(read_events(target), load_model(tmp_path / 'model.json').run.events)
    expected = {
        REGRESSORS[outcome]: sum(
            len([line for line in text.splitlines() if line.split() and line.split()[2] != '0'])
            for name, text in content.items()
            if name.split('_')[0] == outcome
        )
        for outcome in REGRESSORS
    }
    expected = {name: count for name, count in expected.items() if count}
    assert coded['condition'].value_counts().to_dict() == expected


@pytest.mark.parametrize('how', ['same', 'symlink', 'hardlink', 'sidecar'])
def test_the_source_is_never_replaced(tmp_path, capsys, how):
    """Whatever it is called, and by whatever links it is reached."""
    target = tmp_path / 'sub-01_task-carit_events.tsv'
    source = target if how == 'same' else tmp_path / 'log.csv'
    if how == 'sidecar':
        source = target.with_suffix('.json')
    write_log(source)
    before = source.read_bytes()
    if how == 'symlink':
        target.symlink_to(source)
    elif how == 'hardlink':
        target.hardlink_to(source)
    fails(capsys, 2, 'is the same file as', str(source))(
        call('carit', source, target, '--overwrite')
    )
    assert source.read_bytes() == before


def test_no_ev_is_replaced(tmp_path, target, capsys):
    write(tmp_path / 'EVs', {'a': '1 1 1\n', 'b': '3 1 1\n'})
    target.parent.mkdir(parents=True)
    target.symlink_to(tmp_path / 'EVs' / 'b.txt')
    fails(capsys, 2, 'is the same file as', 'b.txt')(
        call('fsl', tmp_path / 'EVs', target, '--overwrite')
    )
    assert (tmp_path / 'EVs' / 'b.txt').read_text() == '3 1 1\n'


def test_evs_with_names(tmp_path, target):
    write(tmp_path / 'EVs', {'ev1': '8 1 1\n', 'ev2': '9 1 1\n'})
    one, two = (tmp_path / 'EVs' / f'ev{n}.txt' for n in (1, 2))
    assert call('fsl', f'go={one}', two, target, '--offset', 8) == 0
    table = read_table(target)
    assert list(table['trial_type']) == ['go', 'ev2']
    assert list(table['onset']) == [0, 1]


def test_evs_of_one_name(tmp_path, target, capsys):
    write(tmp_path / 'a', {'ev1': '8 1 1\n'})
    write(tmp_path / 'b', {'ev1': '9 1 1\n'})
    words = ('same name, ev1', 'NAME=FILE')
    fails(capsys, 2, *words)(call('fsl', tmp_path / 'a', tmp_path / 'b', target))
    fails(capsys, 2, 'a folder has the names')(call('fsl', f'x={tmp_path / "a"}', target))
    fails(capsys, 2, 'no name before the =')(call('fsl', f'={tmp_path / "a" / "ev1.txt"}', target))


def test_defaults_that_stand_twice():
    """Parsing must not wait for pandas, so the parser has the numbers once more."""
    from ketbids.cli.events import parsers

    carit = parsers()['carit']
    assert (carit.get_default('offset'), carit.get_default('duration')) == (OFFSET, SHAPE_DURATION)


def test_the_validator_accepts_what_is_written(tmp_path, log):
    """As one dataset with an image that is as long as the events."""
    pytest.importorskip('bids_validator_deno')
    import nibabel as nib
    import numpy as np

    from ketbids.io.validation import check_dataset

    bids = tmp_path / 'bids'
    stem = bids / 'sub-01' / 'func' / 'sub-01_task-carit'
    assert call('carit', log, f'{stem}_events.tsv') == 0
    image = nib.Nifti1Image(np.zeros((2, 2, 2, 400), np.int16), np.eye(4))
    image.header.set_xyzt_units('mm', 'sec')
    image.header['pixdim'][4] = 0.8
    nib.save(image, f'{stem}_bold.nii.gz')
    stem.with_name(f'{stem.name}_bold.json').write_text(
        json.dumps({'TaskName': 'carit', 'RepetitionTime': 0.8})
    )
    (bids / 'dataset_description.json').write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    (bids / 'README').write_text('x' * 200)
    assert check_dataset(bids, ['01'], tmp_path / 'record.json', keep=True) == {}


def test_columns_are_those_of_the_model(log, target):
    """The packaged model names columns and values that are there."""
    call('carit', log, target)
    content = json.loads(files('ketbids.data').joinpath('models/default.json').read_text())
    own = content['Nodes'][0]['Model']['Software']['ketbids']
    table = pd.read_csv(target, sep='\t')
    assert own['Response']['Column'] in table.columns
    assert set(table['trial_type']) == {'go', 'nogo'}
