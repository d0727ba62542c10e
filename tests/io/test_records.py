"""Records of finished work."""

import json

import pytest

from ketbids.io.records import file_stamp, fingerprint, is_whole, write_record


@pytest.fixture
def work(tmp_path):
    """Two outputs and their record."""
    outputs = [tmp_path / 'out' / name for name in ('a.txt', 'deep/b.txt')]
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    record = tmp_path / 'records' / 'x.json'
    write_record(record, 'mark', outputs, tmp_path / 'out')
    return record, outputs, tmp_path / 'out'


def test_whole(work):
    record, _, root = work
    assert is_whole(record, 'mark', root)
    assert json.loads(record.read_text())['Outputs'] == {'a.txt': 5, 'deep/b.txt': 5}


def test_the_folder_may_move(work, tmp_path):
    record, _, root = work
    assert is_whole(record, 'mark', root.rename(tmp_path / 'moved'))


def test_other_fingerprint(work):
    record, _, root = work
    assert not is_whole(record, 'other', root)


def test_changed_size(work):
    record, outputs, root = work
    outputs[0].write_text('longer than before')
    assert not is_whole(record, 'mark', root)


def test_missing_file(work):
    record, outputs, root = work
    outputs[1].unlink()
    assert not is_whole(record, 'mark', root)


def test_missing_record(work, tmp_path):
    assert not is_whole(tmp_path / 'none.json', 'mark', work[2])


@pytest.mark.parametrize(
    'content',
    [
        '',
        '{"Fingerprint": "mark", "Out',
        '[]',
        '{}',
        '{"Fingerprint": "mark"}',
        '{"Fingerprint": "mark", "Outputs": []}',
        '{"Fingerprint": "mark", "Outputs": {}}',
        '{"Fingerprint": "mark", "Outputs": {"a.txt": "5"}}',
        '{"Fingerprint": "mark", "Outputs": {"nowhere/a.txt": 5}}',
    ],
)
def test_damaged_record(work, content):
    record, _, root = work
    record.write_text(content)
    assert not is_whole(record, 'mark', root)


def test_fingerprints_do_not_depend_on_order():
    assert fingerprint({'a': 1, 'b': [1, 2]}) == fingerprint({'b': [1, 2], 'a': 1})
    different = [{'a': 1}, {'a': 2}, {'b': 1}, {'a': '1'}, {'a': [1]}, {'a': 1, 'b': None}]
    assert len({fingerprint(content) for content in different}) == len(different)


def test_stamp_changes_with_the_file(tmp_path):
    path = tmp_path / 'a'
    path.write_text('one')
    first = file_stamp(path)
    assert file_stamp(path) == first
    path.write_text('three')
    assert file_stamp(path) != first
