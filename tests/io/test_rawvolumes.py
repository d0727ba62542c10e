"""Volumes of the raw image, from its header."""

import nibabel as nib
import numpy as np
import pytest

from ketbids.io.rawvolumes import raw_volumes


@pytest.fixture
def events(tmp_path):
    path = tmp_path / 'sub-01_task-carit_run-1_events.tsv'
    path.write_text('onset\tduration\n')
    return path


def save(events, name, shape=(2, 2, 2, 7)):
    path = events.with_name(events.name.replace('_events.tsv', name))
    nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)).to_filename(path)
    return path


@pytest.mark.parametrize('name', ['_bold.nii', '_bold.nii.gz'])
def test_the_header_says_it(events, name):
    save(events, name)
    assert raw_volumes(events) == 7


def test_echoes(events):
    for echo in (1, 2):
        save(events, f'_echo-{echo}_bold.nii.gz')
    assert raw_volumes(events) == 7
    save(events, '_echo-3_bold.nii.gz', (2, 2, 2, 5))
    assert raw_volumes(events) is None


def test_not_there_or_not_readable(events):
    assert raw_volumes(events) is None
    path = events.with_name('sub-01_task-carit_run-1_bold.nii.gz')
    path.symlink_to('nowhere')
    assert raw_volumes(events) is None
    path.unlink()
    path.write_bytes(b'')
    assert raw_volumes(events) is None
    path.write_bytes(b'no image' * 100)
    assert raw_volumes(events) is None
    save(events, '_bold.nii.gz', (2, 2, 2))
    assert raw_volumes(events) is None
    assert raw_volumes(events.with_name('sub-01_other.tsv')) is None


def test_another_run_does_not_count(events):
    other = events.with_name('sub-01_task-carit_run-11_events.tsv')
    save(other, '_bold.nii.gz')
    assert raw_volumes(events) is None
