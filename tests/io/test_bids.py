"""What is found in a BIDS dataset, and what is left out of it."""

import re

import pytest

from ketbids.errors import InputError
from ketbids.io.bids import (
    Exclusion,
    RunKey,
    excluded_by,
    find_events,
    inherited_events,
    participant_labels,
    read_exclusions,
    runs_of_visits,
    sessions_with_events,
)

EVENTS = 'onset\tduration\ttrial_type\n1\t0.6\tgo\n'


def make_dataset(root, *names):
    """A BIDS dataset with events files, named by what follows the session's folder."""
    root.mkdir(exist_ok=True)
    (root / 'dataset_description.json').write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    for name in names:
        parts = name.split('_')
        folder = root.joinpath(*(p for p in parts if p.startswith(('sub-', 'ses-'))), 'func')
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'{name}_events.tsv').write_text(EVENTS)
    return root


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(
        tmp_path / 'bids',
        'sub-01_ses-TP1_task-carit_run-01',
        'sub-01_ses-TP1_task-carit_run-2',
        'sub-01_ses-TP2_task-carit',
        'sub-01_ses-TP2_task-rest',
        'sub-02_ses-TP1_task-carit',
        'sub-021_ses-TP1_task-carit',
    )


def keys(found):
    return [str(key) for key in found]


def test_participants(dataset):
    (dataset / 'sub-file.txt').touch()
    (dataset / 'derivatives').mkdir()
    assert participant_labels(dataset) == ['01', '02', '021']


def test_not_a_folder(tmp_path):
    with pytest.raises(InputError, match='is not a folder'):
        participant_labels(tmp_path / 'absent')


def test_not_a_dataset(tmp_path):
    (tmp_path / 'sub-01').mkdir()
    with pytest.raises(InputError, match='not a BIDS dataset'):
        participant_labels(tmp_path)


def test_nobody(tmp_path):
    with pytest.raises(InputError, match='no participant folder'):
        participant_labels(make_dataset(tmp_path))


def test_all_events(dataset):
    found = find_events(dataset, ['01', '02', '021'])
    assert keys(found) == [
        'sub-01_ses-TP1_task-carit_run-01',
        'sub-01_ses-TP1_task-carit_run-2',
        'sub-01_ses-TP2_task-carit',
        'sub-01_ses-TP2_task-rest',
        'sub-02_ses-TP1_task-carit',
        'sub-021_ses-TP1_task-carit',
    ]
    for key, path in found.items():
        assert path.is_file()
        assert path.name == f'{key}_events.tsv'


def test_no_sessions(tmp_path):
    root = make_dataset(tmp_path, 'sub-01_task-carit', 'sub-02_task-carit_run-1')
    found = find_events(root, ['01', '02'])
    assert list(found) == [RunKey('01', '', 'carit'), RunKey('02', '', 'carit', '1')]


@pytest.mark.parametrize(
    ('selection', 'expected'),
    [
        ({'sessions': ['TP2']}, ['sub-01_ses-TP2_task-carit', 'sub-01_ses-TP2_task-rest']),
        ({'tasks': ['rest']}, ['sub-01_ses-TP2_task-rest']),
        ({'runs': ['01']}, ['sub-01_ses-TP1_task-carit_run-01']),
        ({'runs': ['1']}, ['sub-01_ses-TP1_task-carit_run-01']),
        ({'runs': ['3']}, []),
        ({'sessions': ['TP2'], 'tasks': ['carit']}, ['sub-01_ses-TP2_task-carit']),
    ],
)
def test_selection(dataset, selection, expected):
    assert keys(find_events(dataset, ['01'], **selection)) == expected


def test_others_are_not_indexed(dataset, monkeypatch):
    import bids.layout

    indexed = []
    real = bids.layout.BIDSLayoutIndexer._index_file

    def watch(self, path, *args, **kwargs):
        indexed.append(str(path))
        return real(self, path, *args, **kwargs)

    monkeypatch.setattr(bids.layout.BIDSLayoutIndexer, '_index_file', watch)
    found = find_events(dataset, ['02'])
    assert keys(found) == ['sub-02_ses-TP1_task-carit']
    assert any('sub-02/' in path for path in indexed)
    assert not any('sub-01/' in path or 'sub-021/' in path for path in indexed)


def test_derivatives_and_sourcedata_are_no_raw_data(dataset):
    for folder in ('derivatives/other', 'sourcedata'):
        make_dataset(dataset / folder.split('/')[0])
        (dataset / folder).mkdir(exist_ok=True)
        make_dataset(dataset / folder, 'sub-02_ses-TP1_task-carit_run-9')
    assert keys(find_events(dataset, ['02'])) == ['sub-02_ses-TP1_task-carit']


def test_two_events_files_of_one_run(dataset):
    folder = dataset / 'sub-02' / 'ses-TP1' / 'func'
    (folder / 'sub-02_ses-TP1_task-carit_ce-b_events.tsv').write_text(EVENTS)
    with pytest.raises(InputError, match='two events files of one run') as caught:
        find_events(dataset, ['02'])
    assert 'sub-02_ses-TP1_task-carit_ce-b_events.tsv' in str(caught.value)
    assert 'sub-02_ses-TP1_task-carit_events.tsv' in str(caught.value)


def test_events_for_everybody_are_not_a_run(dataset):
    (dataset / 'task-carit_events.tsv').write_text(EVENTS)
    assert keys(find_events(dataset, ['02'])) == ['sub-02_ses-TP1_task-carit']


HEADER = 'participant_id\tsession_id\trun\treason\n'


def exclusions(tmp_path, *rows, header=HEADER):
    path = tmp_path / 'exclusions.tsv'
    path.write_text(header + ''.join('\t'.join(row) + '\n' for row in rows))
    return path


def test_exclusions(tmp_path):
    path = exclusions(
        tmp_path,
        ('sub-01', 'ses-TP1', 'run-02', 'motion'),
        ('02', 'n/a', 'n/a', 'withdrew'),
        ('03', 'TP2', 'n/a', 'asleep'),
    )
    assert read_exclusions(path) == [
        Exclusion('01', 'TP1', '02', 'motion'),
        Exclusion('02', '', '', 'withdrew'),
        Exclusion('03', 'TP2', '', 'asleep'),
    ]


def test_columns_of_exclusions_may_lack_id(tmp_path):
    header = 'participant\tsession\trun\treason\n'
    path = exclusions(tmp_path, ('sub-01', 'TP1', '2', 'motion'), header=header)
    assert read_exclusions(path) == [Exclusion('01', 'TP1', '2', 'motion')]


@pytest.mark.parametrize('row', [('n/a', 'TP1', 'n/a', 'why'), ('01', 'TP1', 'n/a', 'n/a')])
def test_exclusion_must_say_who_and_why(tmp_path, row):
    path = exclusions(tmp_path, ('01', 'TP1', 'n/a', 'motion'), row)
    with pytest.raises(InputError, match=re.escape(f'{path}, line 3')):
        read_exclusions(path)


def test_exclusions_need_their_columns(tmp_path):
    path = exclusions(tmp_path, ('01', 'why'), header='participant_id\treason\n')
    with pytest.raises(InputError, match='session_id, run'):
        read_exclusions(path)


@pytest.mark.parametrize(
    ('line', 'run', 'expected'),
    [
        (('01', '', ''), ('01', 'TP1', '1'), True),
        (('01', '', ''), ('01', 'TP1'), True),
        (('01', '', ''), ('02', 'TP1', '1'), False),
        (('01', 'TP1', ''), ('01', 'TP1', '2'), True),
        (('01', 'TP1', ''), ('01', 'TP2', '2'), False),
        (('01', 'TP1', '2'), ('01', 'TP1', '2'), True),
        (('01', 'TP1', '2'), ('01', 'TP1', '1'), False),
        (('01', 'TP1', '2'), ('01', 'TP1', ''), False),
        # One run of a session does not take out the session.
        (('01', 'TP1', '2'), ('01', 'TP1'), False),
        (('01', '', '2'), ('01', 'TP3', '2'), True),
    ],
)
def test_what_a_line_covers(line, run, expected):
    lines = [Exclusion('99', '', '', 'another'), Exclusion(*line, 'why')]
    assert excluded_by(lines, *run) == ('why' if expected else None)


@pytest.mark.parametrize(
    ('line', 'run', 'covered'),
    [('1', '01', True), ('01', '1', True), ('a', 'a', True), ('1', '10', False), ('1', '', False)],
)
def test_runs_are_numbers(line, run, covered):
    assert Exclusion('01', '', line, 'motion').covers('01', 'TP1', run) is covered


def test_sessions_with_events(dataset):
    (dataset / 'sub-01' / 'ses-TP3' / 'anat').mkdir(parents=True)
    assert sessions_with_events(dataset, '01') == ['TP1', 'TP2']
    assert sessions_with_events(dataset, '03') == []


def test_inherited_events_are_known_but_not_read(dataset):
    above = ['task-carit_events.tsv', 'sub-02/sub-02_task-carit_events.tsv']
    above += ['sub-02/ses-TP1/sub-02_ses-TP1_task-carit_events.tsv']
    for name in [*above, 'task-rest_events.tsv', 'sub-01/sub-01_task-carit_events.tsv']:
        (dataset / name).write_text(EVENTS)
    assert inherited_events(dataset, ['02'], ['carit']) == [dataset / name for name in above]
    assert keys(find_events(dataset, ['02'])) == ['sub-02_ses-TP1_task-carit']


def test_runs_of_visits_have_events_or_images(dataset):
    func = dataset / 'sub-03' / 'func'
    func.mkdir(parents=True)
    for name in ('run-1_bold.nii.gz', 'run-2_sbref.nii.gz', 'run-3_bold.json'):
        (func / f'sub-03_task-carit_{name}').touch()
    assert runs_of_visits(dataset, ['carit']) == {
        ('01', 'TP1'): {'01', '2'},
        ('01', 'TP2'): {''},
        ('02', 'TP1'): {''},
        ('021', 'TP1'): {''},
        ('03', ''): {'1'},
    }
    assert list(runs_of_visits(dataset, ['rest'])) == [('01', 'TP2')]
