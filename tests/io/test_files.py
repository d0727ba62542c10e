"""Files appear whole or not at all."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ketbids.errors import InputError, KetbidsError
from ketbids.io import files
from ketbids.io.files import (
    claims,
    delivered_together,
    modification_times,
    publish,
    read_json,
    remove_unchanged,
    write_bytes,
    write_json,
    write_text,
    written_aside,
)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*'))


def test_written_aside_then_renamed(tmp_path):
    target = tmp_path / 'new' / 'a.dtseries.nii'
    with written_aside(target) as aside:
        assert aside.parent == target.parent
        assert aside.name.startswith('.')
        assert aside.name.endswith('a.dtseries.nii')
        aside.write_text('content')
        assert not target.exists()
    assert target.read_text() == 'content'
    assert names(target.parent) == ['a.dtseries.nii']


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, error):
    target = write_text(tmp_path / 'a.txt', 'old')

    def interrupted():
        with written_aside(target) as aside:
            aside.write_text('half of the n')
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_text() == 'old'
    assert names(tmp_path) == ['a.txt']


def test_text_is_utf8_and_bytes_are_bytes(tmp_path):
    assert write_text(tmp_path / 'a', 'mm²\n').read_bytes() == b'mm\xc2\xb2\n'
    assert write_bytes(tmp_path / 'b', b'\x00\xff').read_bytes() == b'\x00\xff'


def test_json_round_trip(tmp_path):
    content = {'b': [1, 2.5, None], 'a': {'c': 'ü'}}
    assert read_json(write_json(tmp_path / 'a.json', content)) == content


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_json_has_no_nan(tmp_path, value):
    write_json(tmp_path / 'a.json', {'a': 1})
    with pytest.raises(ValueError, match='JSON compliant'):
        write_json(tmp_path / 'a.json', {'a': value})
    assert json.loads((tmp_path / 'a.json').read_text()) == {'a': 1}


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'{"a": ', 'not valid JSON'),
        (b'', 'not valid JSON'),
        (b'\xff\xfe', 'not valid JSON'),
        (b'[1]', 'must hold a JSON object, not a list'),
        (None, 'Cannot read'),
    ],
)
def test_bad_json(tmp_path, content, words):
    path = tmp_path / 'a.json'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_json_with_byte_order_mark(tmp_path):
    (tmp_path / 'a.json').write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / 'a.json') == {'a': 1}


def test_publish_moves_all(tmp_path):
    stage, destination = tmp_path / 'stage', tmp_path / 'out'
    for name in ('b.txt', 'sub/deep/a.nii', 'sub/a.json'):
        write_text(stage / name, f'new {name}')
    write_text(destination / 'sub' / 'a.json', 'old')
    write_text(destination / 'sub' / 'kept.json', 'kept')
    published = publish(stage, destination)
    assert published == [destination / name for name in ('b.txt', 'sub/a.json', 'sub/deep/a.nii')]
    for path in published:
        assert path.read_text() == f'new {path.relative_to(destination)}'
    assert (destination / 'sub' / 'kept.json').read_text() == 'kept'
    assert [path for path in stage.rglob('*') if path.is_file()] == []
    assert [n for n in names(destination) if '/.' in n or n.startswith('.')] == []


OLDER = {'b': 'old b', 'd': 'old d', 'other': 'old other'}


class TestTogether:
    """Four new files, two of which replace older ones; `d` is to be the last."""

    @pytest.fixture
    def out(self, tmp_path):
        for name, content in OLDER.items():
            write_text(tmp_path / 'out' / name, content)
        return tmp_path / 'out'

    @staticmethod
    def deliver(folder, error=None):
        with delivered_together(folder, 'd') as stage:
            for name in 'dcba':
                write_text(stage / name, f'new {name}')
            if error is not None:
                raise error

    @staticmethod
    def contents(folder):
        return {path.name: path.read_text() for path in folder.iterdir()}

    @pytest.fixture
    def renames(self, monkeypatch):
        """Note names of renamed files; and let one of the renames fail."""
        real, noted = Path.rename, []

        def fail_at(number, error):
            def rename(path, target):
                noted.append(path.name)
                if len(noted) == number:
                    raise error
                return real(path, target)

            monkeypatch.setattr(Path, 'rename', rename)
            return noted

        return fail_at

    def test_all(self, out, renames):
        noted = renames(0, None)
        self.deliver(out)
        assert self.contents(out) == {**{n: f'new {n}' for n in 'abcd'}, 'other': 'old other'}
        # The last file of before goes first, that of now comes last.
        assert noted == ['d', 'b', 'a', 'b', 'c', 'd']

    def test_new_folder(self, tmp_path):
        self.deliver(tmp_path / 'new' / 'deep')
        assert names(tmp_path) == ['new', *(f'new/deep{n}' for n in ['', '/a', '/b', '/c', '/d'])]

    def test_working_directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.deliver(Path())
        assert names(tmp_path) == ['a', 'b', 'c', 'd']

    def test_links_are_replaced(self, out):
        (out / 'a').symlink_to(out.parent)
        (out / 'c').symlink_to('nowhere')
        self.deliver(out)
        assert not any(path.is_symlink() for path in out.iterdir())
        assert self.contents(out)['a'] == 'new a'

    @pytest.mark.parametrize('number', range(1, 7))
    @pytest.mark.parametrize('code', [errno.EPERM, errno.ENOSPC])
    def test_a_failed_rename_is_undone(self, out, renames, number, code):
        renames(number, OSError(code, os.strerror(code), str(out / '.hidden' / 'x')))
        name = ['d', 'b', 'a', 'b', 'c', 'd'][number - 1]
        with pytest.raises(KetbidsError) as caught:
            self.deliver(out)
        assert self.contents(out) == OLDER
        assert str(caught.value).startswith(f'{out / name} cannot be written: {os.strerror(code)}')
        assert str(caught.value).endswith('nothing was written.')
        assert isinstance(caught.value, InputError) == (code == errno.EPERM)

    @pytest.mark.parametrize('number', range(1, 7))
    def test_an_interrupted_rename_is_undone(self, out, renames, number):
        renames(number, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            self.deliver(out)
        assert self.contents(out) == OLDER

    def test_older_files_that_cannot_be_put_back_are_kept(self, out, monkeypatch):
        real = Path.rename

        def rename(path, target):
            if path.parent.name != 'out':
                raise OSError(errno.EIO, 'Input/output error')
            return real(path, target)

        monkeypatch.setattr(Path, 'rename', rename)
        with pytest.raises(InputError, match='Older files could not be put back') as caught:
            self.deliver(out)
        kept = Path(str(caught.value).split('they are in ')[1].removesuffix('.'))
        assert self.contents(kept) == {'b': 'old b', 'd': 'old d'}
        assert [path.name for path in kept.parent.iterdir()] == ['old']

    @pytest.mark.parametrize('name', ['a', 'd'])
    def test_a_folder_in_the_way(self, out, renames, name):
        (out / name).unlink(missing_ok=True)
        (out / name).mkdir()
        noted, before = renames(0, None), names(out)
        with pytest.raises(InputError) as caught:
            self.deliver(out)
        assert str(caught.value).startswith(f'{out / name} is a folder, but a new file has')
        assert names(out) == before
        assert noted == []

    def test_what_is_not_a_file_stays(self, out):
        os.mkfifo(out / 'c')
        with pytest.raises(InputError, match='c is not a file, but'):
            self.deliver(out)
        assert (out / 'c').is_fifo()
        assert names(out) == ['b', 'c', 'd', 'other']

    @pytest.mark.parametrize('error', [ValueError(), KeyboardInterrupt(), OSError(), SystemExit()])
    def test_a_failing_block(self, out, error):
        for folder in (out, out / 'new' / 'deep'):
            with pytest.raises(type(error)) as caught:
                self.deliver(folder, error)
            assert caught.value is error
            assert self.contents(out) == OLDER

    def test_new_folders_with_files_of_others_stay(self, tmp_path):
        def work():
            with delivered_together(tmp_path / 'new' / 'deep'):
                write_text(tmp_path / 'new' / 'theirs', 'content')
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work()
        assert names(tmp_path) == ['new', 'new/theirs']

    def test_no_room(self, out):
        """The message is of the folder; that within it, where it was noticed, is gone."""

        def work(folder, **aside):
            with delivered_together(folder) as stage:
                error = OSError(errno.ENOSPC, 'No space left on device', *aside.values())
                if aside:
                    raise error
                with written_aside(stage / 'map.nii') as path:
                    path.write_text('half')
                    raise error

        for aside in ({}, {'name': 'x'}):
            with pytest.raises(KetbidsError) as caught:
                work(out / 'new', **aside)
            assert str(caught.value) == (
                f'{out / "new"} cannot be written: No space left on device. Make room and repeat '
                'the command; nothing was written.'
            )
            assert self.contents(out) == OLDER

    def test_errors_of_the_stage_name_the_folder(self, out):
        def work():
            with delivered_together(out) as stage:
                write_text(stage / ('x' * 250), 'content')

        with pytest.raises(InputError) as caught:
            work()
        assert str(caught.value).startswith(f'{out} cannot be written: File name too long.')
        assert self.contents(out) == OLDER

    def test_errors_of_other_files_stay(self, out, tmp_path):
        def work():
            with delivered_together(out):
                (tmp_path / 'absent').read_text()

        with pytest.raises(FileNotFoundError) as caught:
            work()
        assert caught.value.filename == str(tmp_path / 'absent')
        assert self.contents(out) == OLDER

    def test_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / 'link').symlink_to('nowhere')
        with pytest.raises(InputError, match='link cannot be written: No such file'):
            self.deliver(tmp_path / 'link')
        assert names(tmp_path) == ['link']

    def test_interrupts_wait_until_all_are_there(self, out, monkeypatch):
        real, seen = Path.rename, []

        def rename(path, target):
            signal.raise_signal(signal.SIGINT)
            seen.append(path.name)
            return real(path, target)

        monkeypatch.setattr(Path, 'rename', rename)
        with pytest.raises(KeyboardInterrupt):
            self.deliver(out)
        assert len(seen) == 6
        assert self.contents(out) == {**{n: f'new {n}' for n in 'abcd'}, 'other': 'old other'}
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


CLAIM = """
import sys
from pathlib import Path
from ketbids.io.files import claims
with claims(Path(sys.argv[1])) as claim:
    print(*(claim(name) for name in sys.argv[2:]))
"""


def claimed_elsewhere(path, *names):
    command = [sys.executable, '-c', CLAIM, str(path), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_work_that_is_claimed_is_not_claimed_again(tmp_path):
    path = tmp_path / 'logs' / 'lock'
    with claims(path) as claim:
        assert claim('one')
        assert claimed_elsewhere(path, 'one', 'two') == ['False', 'True']
    assert claimed_elsewhere(path, 'one', 'two') == ['True', 'True']


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_people_are_warned_once(tmp_path, monkeypatch, caplog, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    files._warn_of.cache_clear()
    monkeypatch.setattr(fcntl, 'lockf', no_locks)
    monkeypatch.setattr(Path, 'is_mount', lambda path: path == tmp_path)
    for _ in range(2):
        with claims(tmp_path / 'logs' / 'lock') as claim:
            assert claim('one')
            assert claim('two')
    assert caplog.messages == [
        f'Locks do not work on the file system of {tmp_path}: do not run two jobs on one session '
        'at the same time, for nothing would keep them apart.'
    ]


def test_a_lock_that_another_has_is_no_reason_to_warn(tmp_path, monkeypatch, caplog):
    def taken(*_):
        raise OSError(errno.EAGAIN, 'taken')

    files._warn_of.cache_clear()
    monkeypatch.setattr(fcntl, 'lockf', taken)
    with claims(tmp_path / 'lock') as claim:
        assert not claim('one')
    assert not caplog.messages


def test_files_that_were_not_made_again_are_removed(tmp_path):
    old, again, new = (tmp_path / name for name in ('old', 'again', 'new'))
    old.write_text('a')
    again.write_text('a')
    os.utime(again, (1, 1))
    before = modification_times([old, again])
    again.write_text('b')
    new.write_text('c')
    assert remove_unchanged([old, again, new], before) == [again, new]
    assert sorted(tmp_path.iterdir()) == [again, new]
