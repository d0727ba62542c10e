"""The index of a whole dataset, made once and then read."""

import logging
import multiprocessing
import shutil
import sqlite3

import pytest

from ketbids.errors import InputError
from ketbids.io.bids import find_events
from tests.io.test_bids import EVENTS, make_dataset


@pytest.fixture
def dataset(tmp_path):
    names = [f'sub-{n:02d}_ses-{s}_task-carit' for n in range(1, 6) for s in ('TP1', 'TP2')]
    return make_dataset(tmp_path / 'bids', *names)


def find(dataset, database, participants=('01', '02'), **options):
    found = find_events(dataset, participants, database_dir=database, **options)
    return [str(key) for key in found]


def test_it_is_made_once_and_gives_what_a_search_gives(dataset, tmp_path):
    database = tmp_path / 'new' / 'index'
    found = find(dataset, database)
    assert found == [str(key) for key in find_events(dataset, ['01', '02'])]
    assert len(found) == 4
    (path,) = database.iterdir()
    before = path.stat()
    assert find(dataset, database, sessions=['TP2']) == [
        'sub-01_ses-TP2_task-carit',
        'sub-02_ses-TP2_task-carit',
    ]
    assert find(dataset, database, ['05'])[0] == 'sub-05_ses-TP1_task-carit'
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [p.name for p in database.parent.iterdir()] == ['index']


def test_it_need_not_be_made(dataset, tmp_path):
    database = tmp_path / 'index'
    assert len(find(dataset, database, make_database=False)) == 4
    assert not database.exists()
    find(dataset, database)
    shutil.rmtree(dataset / 'sub-01' / 'ses-TP2')
    assert len(find(dataset, database, make_database=False)) == 3
    (tmp_path / 'mine').touch()
    with pytest.raises(InputError, match=r'mine .* is not a database of pybids'):
        find(dataset, tmp_path / 'mine', make_database=False)


def test_it_can_be_read_only(dataset, tmp_path):
    database = tmp_path / 'index'
    find(dataset, database)
    (database / 'layout_index.sqlite').chmod(0o444)
    database.chmod(0o555)
    try:
        assert len(find(dataset, database)) == 4
    finally:
        database.chmod(0o755)


def test_another_way_to_the_same_dataset(dataset, tmp_path):
    find(dataset, tmp_path / 'index')
    link = tmp_path / 'link'
    link.symlink_to(dataset)
    found = find_events(link, ['01'], database_dir=tmp_path / 'index')
    assert [path.is_relative_to(link) for path in found.values()] == [True, True]


def together(dataset, database, barrier, results):
    barrier.wait()
    try:
        results.put(find(dataset, database))
    except Exception as error:  # the test shows it
        results.put(repr(error))


def test_four_processes_at_once(dataset, tmp_path):
    context = multiprocessing.get_context('spawn')
    barrier, results = context.Barrier(4), context.Queue()
    database = tmp_path / 'index'
    workers = [
        context.Process(target=together, args=(dataset, database, barrier, results))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [find(dataset, database)] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bids', 'index']


def test_files_that_are_newer_or_gone(dataset, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('ketbids'), 'propagate', True)
    database = tmp_path / 'index'
    before = find(dataset, database)
    assert caplog.text == '' or 'does not know' not in caplog.text
    new = dataset / 'sub-01' / 'ses-TP2' / 'func' / 'sub-01_ses-TP2_task-carit_run-2_events.tsv'
    new.write_text(EVENTS)
    shutil.rmtree(dataset / 'sub-02' / 'ses-TP2')
    assert find(dataset, database) == [n for n in before if n != 'sub-02_ses-TP2_task-carit']
    assert f'does not know 1 events file such as {new}: it is older' in caplog.text
    assert 'sub-02_ses-TP2_task-carit_events.tsv, which are gone' in caplog.text
    assert 'Remove its folder to make it anew' in caplog.text
    caplog.clear()
    assert find(dataset, database, ['03']) == [
        f'sub-03_ses-{s}_task-carit' for s in ('TP1', 'TP2')
    ]
    assert caplog.text == ''


def test_of_another_dataset(dataset, tmp_path):
    other = shutil.copytree(dataset, tmp_path / 'other')
    find(other, tmp_path / 'index')
    with pytest.raises(InputError, match=f'is of another dataset, {other}. Remove that folder'):
        find(dataset, tmp_path / 'index')


def test_half_a_database(dataset, tmp_path):
    database = tmp_path / 'index'
    find(dataset, database)
    path = database / 'layout_index.sqlite'
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r'(is damaged|cannot be read).*Remove that folder'):
        find(dataset, database)
    path.write_bytes(b'')
    with pytest.raises(InputError, match=r'is damaged or incomplete.*Remove that folder'):
        find(dataset, database)
    path.write_bytes(content)
    with sqlite3.connect(path) as connection:
        connection.execute('DELETE FROM files')
    with pytest.raises(InputError, match='is incomplete: it lists no files'):
        find(dataset, database)


def test_a_folder_of_something_else(dataset, tmp_path):
    (tmp_path / 'index').mkdir()
    assert len(find(dataset, tmp_path / 'index')) == 4  # an empty one is filled
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'notes.txt').touch()
    with pytest.raises(InputError, match=r'mine .* is not a database of pybids'):
        find(dataset, tmp_path / 'mine')
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=r'file .* is not a database of pybids'):
        find(dataset, tmp_path / 'file')
    with pytest.raises(InputError, match='cannot be made'):
        find(dataset, tmp_path / 'file' / 'index')
