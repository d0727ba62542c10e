"""EVs of FSL become events."""

import pytest

from ketbids.errors import InputError
from ketbids.io.fslevents import find_evs, read_evs

PREPOTENCY = {
    'Hit_1go': '10\t0.6\t1\n30 0.6 1\n',
    'Hit_2go': '12\t0.6\t1\n',
    'Hit_3go': '14\t0.6\t1\n',
    'Hit_4go': '',
    'Miss': '16\t0.6\t1\n',
    'corReject_2go': '18.5\t0.6\t1\n',
    'corReject_3go': '\n',
    'corReject_4go': '20\t0.6\t1\n',
    'falseAlarm_2go': '0 0 0\n',
    'falseAlarm_3go': '22\t0.6\t1\n',
    'falseAlarm_4go': '24\t0.6\t1\n',
}
CONDITIONS = {
    'Hit': '10 0.6 1\n12 0.6 1\n',
    'Miss': '',
    'corReject_neutralNogo': '14 0.6 1\n',
    'corReject_prevRewNogo': '16 0.6 1\n',
    'falseAlarm_neutralNogo': '18 0.6 1\n',
    'falseAlarm_prevRewNogo': '20 0.6 1\n',
}


def write(folder, content):
    folder.mkdir(exist_ok=True)
    for name, text in content.items():
        (folder / f'{name}.txt').write_text(text)
    return find_evs(folder)[0]


def fails(evs, *words):
    with pytest.raises(InputError) as caught:
        read_evs(evs)
    for word in words:
        assert word in str(caught.value)


def test_evs_by_prepotency(tmp_path):
    new = read_evs(write(tmp_path / 'EVs', PREPOTENCY))
    table = new.table
    assert list(table['onset']) == [10, 12, 14, 16, 18.5, 20, 22, 24, 30]
    assert list(table['outcome'].value_counts().sort_index().items()) == [
        ('Hit', 4),
        ('Miss', 1),
        ('corReject', 2),
        ('falseAlarm', 2),
    ]
    assert list(table['trial_type']) == ['go'] * 4 + ['nogo'] * 4 + ['go']
    assert list(table['prepotency'].fillna('')) == ['1', '2', '3', '', '2', '4', '3', '4', '1']
    assert table['nogo_condition'].isna().all()
    assert 'response_time' not in table.columns
    assert {'Hit_4go: 0 events (an empty EV)', 'corReject_3go: 0 events (an empty EV)'} <= {
        *new.notes
    }
    assert 'falseAlarm_2go: 0 events (an empty EV)' in new.notes


def test_evs_by_condition(tmp_path):
    table = read_evs(write(tmp_path / 'EVs', CONDITIONS)).table
    assert list(table['nogo_condition'].dropna()) == [
        *('neutralNogo', 'prevRewNogo', 'neutralNogo', 'prevRewNogo')
    ]
    assert list(table['ev'][:2]) == ['Hit', 'Hit']
    assert table['prepotency'].isna().all()


def test_other_evs_keep_their_names_and_weights(tmp_path):
    evs = write(tmp_path / 'EVs', {'faces': '4.5 2 1\n0 2 1\n', 'modulation': '4.5 2 -0.25\n'})
    new = read_evs(evs)
    assert new.table.to_dict('list') == {
        'onset': [0.0, 4.5, 4.5],
        'duration': [2.0, 2.0, 2.0],
        'trial_type': ['faces', 'faces', 'modulation'],
        'weight': [1.0, 1.0, -0.25],
    }
    assert any('weights other than 1 (-0.25) are in the column weight' in n for n in new.notes)
    assert any('1 events start when another one does' in note for note in new.notes)


def test_lines_of_weight_0_are_counted(tmp_path):
    new = read_evs(write(tmp_path / 'EVs', {'a': '1 1 1\n2 1 0\n3 1 0\n'}))
    assert new.notes == ('a: 1 events, 2 lines of weight 0 left out',)


def test_a_trial_with_two_outcomes(tmp_path):
    evs = write(tmp_path / 'EVs', {**PREPOTENCY, 'Hit': '10 0.6 1\n'})
    fails(evs, 'Hit_1go.txt, line 1', 'Hit.txt, line 1', 'same trial (onset 10 s)', 'one set only')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('1 2 1\n3 4\n', ('line 2', '2 values (3 4)', 'onset, duration and weight')),
        ('1 2 x\n', ('line 1', "the weight is 'x'")),
        ('nan 2 1\n', ('line 1', "the onset is 'nan'")),
        ('1 -2 1\n', ('line 1', 'the duration is -2 s')),
        ('0\n1\n1\n0\n', ('line 1', '1 values (0)')),
        ('', ('There is no event in any of', 'a.txt')),
    ],
)
def test_files_that_are_no_ev(tmp_path, text, words):
    fails(write(tmp_path / 'EVs', {'a': text}), *words)


def test_a_file_that_is_not_there(tmp_path):
    fails({'a': tmp_path / 'a.txt'}, str(tmp_path / 'a.txt'), 'No such file')


@pytest.mark.parametrize('name', ['n/a', 'NA', 'nan'])
def test_a_name_that_is_read_as_missing(tmp_path, name):
    write(tmp_path / 'EVs', {'a': '1 1 1\n'})
    fails({name: tmp_path / 'EVs' / 'a.txt'}, f'cannot be named {name}', 'NAME=FILE', 'a.txt')


def test_onsets_in_milliseconds_are_told(tmp_path):
    evs = write(tmp_path / 'EVs', {'a': '8000 600 1\n412000 600 1\n'})
    (note,) = [n for n in read_evs(evs).notes if 'milliseconds' in n]
    assert note.startswith('the last event starts at 412000 s, which is 114 hours')


def test_folders_of_hcp_have_a_time_of_synchronisation(tmp_path):
    write(tmp_path / 'EVs', {'a': '1 1 1\n', 'Sync': '12.3\n'})
    evs, notes = find_evs(tmp_path / 'EVs')
    assert list(evs) == ['a']
    assert 'Sync.txt is no EV' in notes[0]


def test_a_folder_without_evs(tmp_path):
    with pytest.raises(InputError, match='has no EV'):
        find_evs(tmp_path)
