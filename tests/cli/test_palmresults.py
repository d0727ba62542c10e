"""Results of ketbids-palm appear together, or not at all."""

import errno
import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ketbids.cli import palmresults
from ketbids.cli.palm import main

#: A call.
WORDS = ['-i', 'table.csv', '-d', 'one.csv', '-t', 'c.csv', '-ise', '-n', '5', '-quiet']
#: In the order of their appearance.
RESULTS = [
    'x_dat_tstat.csv',
    'x_dat_tstat_fwep.csv',
    'x_dat_tstat_uncp.csv',
    'x_palmconfig.txt',
    'x_elapsed.csv',
]


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Make the working directory one with a table of 6 x 3 numbers and their design."""
    monkeypatch.chdir(tmp_path)
    data = np.random.default_rng(1).standard_normal((6, 3))
    np.savetxt('table.csv', data, delimiter=',')
    (tmp_path / 'one.csv').write_text('1\n' * 6)
    (tmp_path / 'c.csv').write_text('1\n')
    return tmp_path


def contents(folder):
    """Give what is below a folder, hidden or not; None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob('*'))
    }


@pytest.fixture
def renames(monkeypatch):
    """Let one of the renames fail, counted from 1."""
    real = Path.rename

    def fail_at(number):
        calls = []

        def rename(path, target):
            calls.append(path.name)
            if len(calls) == number:
                raise PermissionError(errno.EPERM, 'Operation not permitted', str(path))
            return real(path, target)

        monkeypatch.setattr(Path, 'rename', rename)
        return calls

    return fail_at


def failing_map(monkeypatch, fail):
    """Call `fail` instead of writing the second map."""
    real, calls = palmresults.write_map, []

    def write_map(*args, **options):
        calls.append(args)
        if len(calls) == 2:
            fail()
        return real(*args, **options)

    monkeypatch.setattr(palmresults, 'write_map', write_map)


def raise_(error):
    raise error


def test_order(study, renames):
    calls = renames(0)
    assert main([*WORDS, '-o', 'new/deep/x']) == 0
    assert calls == RESULTS
    assert sorted(os.listdir('new/deep')) == sorted(RESULTS)


@pytest.mark.parametrize('name', [RESULTS[0], RESULTS[2], RESULTS[-1]])
def test_a_folder_has_the_name_of_a_result(study, capsys, name):
    (study / 'out' / name).mkdir(parents=True)
    before = contents(study)
    assert main([*WORDS, '-o', 'out/x']) == 3
    said = capsys.readouterr().err
    assert said.startswith(f'ketbids-palm: out/{name} is a folder, but')
    assert 'nothing was written' in said
    assert 'DataLad' not in said
    assert contents(study) == before


@pytest.mark.parametrize('number', range(1, 1 + 2 * len(RESULTS)))
def test_a_failing_rename_leaves_the_older_results(study, capsys, monkeypatch, renames, number):
    assert main([*WORDS, '-o', 'out/x']) == 0
    before = contents(study)
    calls = renames(number)
    assert main([*WORDS, '-twotail', '-o', 'out/x']) == 3
    assert contents(study) == before
    said = capsys.readouterr().err
    name = [*reversed(RESULTS), *RESULTS][number - 1]
    assert calls[number - 1] == name
    assert said.startswith(f'ketbids-palm: out/{name} cannot be written: Operation not permitted.')
    monkeypatch.undo()
    monkeypatch.chdir(study)
    assert main([*WORDS, '-twotail', '-o', 'out/x']) == 0
    after = contents(study)
    assert set(after) == set(before)
    assert after['out/x_dat_tstat_uncp.csv'] != before['out/x_dat_tstat_uncp.csv']


@pytest.mark.parametrize('number', range(1, 1 + len(RESULTS)))
def test_a_failing_rename_leaves_no_new_folder(study, renames, number):
    before = contents(study)
    renames(number)
    assert main([*WORDS, '-o', 'new/deep/x']) == 3
    assert contents(study) == before


@pytest.mark.parametrize(
    ('fail', 'code', 'words'),
    [
        (lambda: raise_(KeyboardInterrupt()), 130, 'appear all together'),
        (lambda: signal.raise_signal(signal.SIGINT), 130, 'appear all together'),
        (lambda: signal.raise_signal(signal.SIGTERM), 143, 'appear all together'),
        (lambda: raise_(OSError(errno.ENOSPC, 'No space left on device')), 1, 'Make room and'),
    ],
)
@pytest.mark.parametrize('prefix', ['x', 'new/deep/x', 'out/x'])
def test_failing_while_writing(study, monkeypatch, capsys, prefix, fail, code, words):
    assert main([*WORDS, '-o', 'out/x']) == 0
    before = contents(study)
    failing_map(monkeypatch, fail)
    assert main([*WORDS, '-twotail', '-o', prefix]) == code
    assert contents(study) == before
    said = capsys.readouterr().err
    assert words in said
    assert 'Traceback' not in said


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 4 pages; only root can."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = [shutil.which('mount') or 'mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs']
    if subprocess.run([*command, str(folder)], capture_output=True, check=False).returncode:
        pytest.skip('mounting a file system is not permitted here')
    yield folder
    subprocess.run(['umount', '--lazy', str(folder)], check=True)


def test_full_disk(study, small_disk, capsys):
    assert main([*WORDS, '-o', 'disk/new/x']) == 1
    assert capsys.readouterr().err == (
        f'ketbids-palm: {small_disk / "new"} cannot be written: No space left on device. Make '
        'room and repeat the command; nothing was written.\n'
    )
    assert contents(small_disk) == {}


def test_read_only_disk_is_noticed_before_computing(study, small_disk, capsys, monkeypatch):
    monkeypatch.setattr('ketbids.stats.palmtest.measure_map', None)
    subprocess.run(['mount', '-o', 'remount,ro', str(small_disk)], check=True)
    assert main([*WORDS, '-o', 'disk/new/x']) == 3
    assert 'nothing can be written in disk: Read-only file system' in capsys.readouterr().err
