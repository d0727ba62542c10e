"""Names and headers of raw images."""

import gzip
import os
import re

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.folders import Folders
from ketbids.io.raw.images import (
    duplicates,
    grid_difference,
    image_paths,
    read_image,
    same_labels,
    unusable_path,
)
from tests.io import rawtrees


def test_a_header_without_data(tmp_path):
    name = 'sub-01_ses-TP1_task-carit_dir-PA_run-1_bold.nii.gz'
    found = read_image(rawtrees.echo_planar(tmp_path / 'func' / name, volumes=300))
    assert found.shape == (104, 90, 72, 300)
    assert found.zooms == (2.0, 2.0, 2.0, 0.8)
    assert found.n_volumes == 300
    assert (found.suffix, found.datatype) == ('bold', 'func')
    assert found.labels == {
        'sub': '01',
        'ses': 'TP1',
        'task': 'carit',
        'dir': 'PA',
        'run': '1',
    }
    np.testing.assert_allclose(found.affine[:, 3], [103, -89, -71, 1])
    assert found == read_image(found.path)


def test_a_volume_may_be_stored_as_a_series_of_one(tmp_path):
    found = read_image(rawtrees.image(tmp_path / 'sub-01_T1w.nii', (8, 8, 8, 1), (1, 1, 1, 1)))
    assert (found.shape, found.zooms, found.n_volumes) == ((8, 8, 8), (1, 1, 1), 1)


def test_units_are_those_of_the_header(tmp_path):
    path = rawtrees.image(tmp_path / 'sub-01_bold.nii', (8, 8, 8, 9), (2, 2, 2, 800))
    content = bytearray(path.read_bytes())
    content[123] = 1 + 16  # metres, milliseconds
    path.write_bytes(content)
    found = read_image(path)
    assert found.zooms == (2000, 2000, 2000, 0.8)
    assert abs(found.affine[0, 0]) == pytest.approx(2000)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty'),
        (b'nothing', 'is no readable NIfTI image'),
        (gzip.compress(b'nothing', mtime=0), 'is no readable NIfTI image'),
        (gzip.compress(bytes(range(256)), mtime=0)[:200], 'is no readable NIfTI image'),
        (gzip.compress(b'x' * 400, mtime=0), 'is no readable NIfTI image'),
    ],
)
def test_files_that_are_no_images(tmp_path, content, message):
    path = tmp_path / 'sub-01_T1w.nii.gz'
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f'{path} {message}')):
        read_image(path)


def test_files_that_are_not_there(tmp_path):
    path = tmp_path / 'sub-01_T1w.nii.gz'
    with pytest.raises(InputError, match='cannot be read: there is no such file'):
        read_image(path)
    path.symlink_to('../.git/annex/objects/x')
    with pytest.raises(InputError, match='DataLad or git-annex, fetch its content'):
        read_image(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match='cannot be read: it is no file'):
        read_image(path)


def test_orientation_must_be_known(tmp_path):
    path = rawtrees.image(tmp_path / 'sub-01_T1w.nii', (8, 8, 8), (1, 1, 1), codes=(0, 0))
    with pytest.raises(InputError, match='qform_code and sform_code are 0'):
        read_image(path)
    path = rawtrees.image(tmp_path / 'sub-01_T1w.nii', (8, 8, 8), (1, 1, 1), codes=(1, 0))
    assert read_image(path).shape == (8, 8, 8)
    content = bytearray(path.read_bytes())
    content[40] = 2  # dimensions
    path.write_bytes(content)
    with pytest.raises(InputError, match='is no image of a volume: its size is 8 x 8'):
        read_image(path)


@pytest.mark.parametrize(
    ('changes', 'difference'),
    [
        ({}, None),
        ({'volumes': 3}, None),
        ({'origin': (0.05, 0, 0)}, None),
        ({'origin': (0, 1, 0)}, 'up to 1 mm apart'),
        ({'shape': (104, 90, 60)}, '104 x 90 x 72 and 104 x 90 x 60 voxels'),
        ({'zooms': (2, 2, 2.5)}, 'voxels of 2 x 2 x 2 and 2 x 2 x 2.5 mm'),
    ],
)
def test_grids(tmp_path, changes, difference):
    one = rawtrees.echo_planar(tmp_path / 'sub-01_task-x_bold.nii.gz', volumes=20)
    other = rawtrees.echo_planar(tmp_path / 'sub-01_task-x_sbref.nii.gz', **changes)
    assert grid_difference(read_image(one), read_image(other)) == difference


def test_images_of_a_session(tmp_path):
    folder = rawtrees.session(rawtrees.dataset(tmp_path))
    (folder / 'anat' / '.sub-01_T1w.nii.gz').touch()
    (folder / 'dwi').mkdir()
    (folder / 'dwi' / 'sub-01_ses-TP1_dwi.nii.gz').touch()
    names = [path.name for path in image_paths(folder, Folders())]
    assert names == [
        'sub-01_ses-TP1_T1w.nii.gz',
        'sub-01_ses-TP1_T2w.nii.gz',
        'sub-01_ses-TP1_task-carit_dir-PA_run-1_bold.nii.gz',
        'sub-01_ses-TP1_task-carit_dir-PA_run-1_sbref.nii.gz',
        'sub-01_ses-TP1_dir-AP_epi.nii.gz',
        'sub-01_ses-TP1_dir-PA_epi.nii.gz',
    ]


@pytest.mark.parametrize(
    ('one', 'other', 'same'),
    [
        ('sub-01_run-1_bold.nii.gz', 'sub-01_run-01_bold.nii', True),
        ('sub-01_part-mag_bold.nii.gz', 'sub-01_bold.nii.gz', True),
        ('sub-01_run-1_bold.nii.gz', 'sub-01_run-2_bold.nii.gz', False),
        ('sub-01_run-1_bold.nii.gz', 'sub-01_bold.nii.gz', False),
        ('sub-01_acq-a_bold.nii.gz', 'sub-01_acq-b_bold.nii.gz', False),
        ('sub-01_ce-a_bold.nii.gz', 'sub-01_bold.nii.gz', False),
    ],
)
def test_labels(tmp_path, one, other, same):
    assert same_labels(tmp_path / one, tmp_path / other) == same
    assert bool(duplicates([tmp_path / one, tmp_path / other])) == same


@pytest.mark.parametrize('name', ['a b', "a'b", 'a@b', 'a%b', 'a$b', 'a;b', 'ä', 'a\nb', 'a(b)'])
def test_paths_that_the_scripts_cannot_take(tmp_path, name):
    path = tmp_path / name / 'x.nii.gz'
    message = unusable_path(path)
    assert message is not None
    assert f'{path} holds ' in message
    assert 'Rename the file or folder.' in message


def test_paths_that_they_can_take(tmp_path):
    assert unusable_path(tmp_path / 'A_b-c.d+e:f=g,h' / 'sub-01_T1w.nii.gz') is None
