"""Disks that are full or cannot be written to: what is said, and what is left behind."""

import errno
import os
import shutil
import subprocess

import pytest

from ketbids.cli.main import main
from ketbids.errors import KetbidsError
from ketbids.io.files import written_aside


@pytest.fixture
def disk(tmp_path):
    """Mount a small file system of its own; only root can."""
    mounted = []

    def mount(options):
        folder = tmp_path / f'disk{len(mounted)}'
        folder.mkdir()
        command = [shutil.which('mount') or 'mount', '-t', 'tmpfs', '-o', options, 'tmpfs']
        if subprocess.run([*command, str(folder)], capture_output=True, check=False).returncode:
            pytest.skip('mounting a file system is not permitted here')
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(['umount', '--lazy', str(folder)], check=True)


def call(study, out, *options):
    folders = [str(study.bids), str(out), 'participant', '--derivatives', str(study.hcp)]
    return main([*folders, '--participant-label', '01', '--nprocs', '1', *options])


def test_read_only_output(demo_study, disk, capsys):
    folder = disk('ro')
    for out in (folder, folder / 'out'):
        assert call(demo_study, out) == 3
        assert f'{folder} is not writable: name another folder' in capsys.readouterr().err


def test_read_only_work_directory(demo_study, disk, capsys, tmp_path):
    folder = disk('ro')
    assert call(demo_study, tmp_path / 'out', '--work-dir', str(folder / 'work')) == 3
    assert f'{folder} is not writable' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_full_disk_leaves_nothing_half_written(demo_study, disk, capsys, tmp_path):
    """The visit fails with the reason; with room, the same command goes on."""
    folder = disk('size=600k')
    out, work = folder / 'out', str(tmp_path / 'work')
    assert call(demo_study, out, '--work-dir', work) == 1
    said = ''.join(capsys.readouterr())
    assert 'cannot be written: No space left on device. Make room and repeat' in said
    assert 'Traceback' not in said
    files = [path for path in out.rglob('*') if path.is_file()]
    assert files
    assert not [path for path in files if path.name.startswith('.') and path.name != '.bidsignore']
    assert not list(out.glob('logs/records/*.json'))
    subprocess.run(['mount', '-o', 'remount,size=50m', str(folder)], check=True)
    assert call(demo_study, out, '--work-dir', work) == 0
    assert list(out.glob('logs/records/*.json'))


def test_no_room_is_told_from_other_faults(tmp_path):
    def fail(number):
        with written_aside(tmp_path / 'map.nii') as aside:
            aside.write_text('half')
            raise OSError(number, os.strerror(number))

    with pytest.raises(KetbidsError, match=r'map\.nii cannot be written: No space'):
        fail(errno.ENOSPC)
    with pytest.raises(IsADirectoryError):
        fail(errno.EISDIR)
    assert list(tmp_path.iterdir()) == []
