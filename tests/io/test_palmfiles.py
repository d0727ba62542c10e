"""Files for PALM and from PALM."""

import nibabel as nb
import numpy as np
import pytest

from ketbids.errors import InputError, KetbidsError
from ketbids.io.palmfiles import (
    last_words,
    plain_words,
    read_palm_image,
    read_palm_maxima,
    write_palm_image,
    write_palm_surface,
    write_palm_table,
)
from ketbids.stats.brainmodels import Surface


def test_maps_of_a_surface(tmp_path):
    data = np.random.default_rng(0).normal(size=(3, 7))
    path = write_palm_image(tmp_path / 'left.nii', data)
    image = nb.load(path)
    assert image.shape == (7, 1, 1, 3)
    assert image.get_data_dtype() == np.float64
    np.testing.assert_array_equal(image.get_fdata()[:, 0, 0].T, data)
    np.testing.assert_array_equal(read_palm_image(path)[:, 0, 0].T, data)


def test_maps_of_voxels_keep_their_place(tmp_path):
    data = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -4, 6, 8
    image = nb.load(write_palm_image(tmp_path / 'v.nii', data, affine))
    np.testing.assert_array_equal(image.affine, affine)
    np.testing.assert_array_equal(image.get_fdata(), np.moveaxis(data, 0, -1))


@pytest.mark.parametrize('shape', [(1, 32768), (32768, 1)])
def test_what_the_format_cannot_hold_is_refused(tmp_path, shape):
    with pytest.raises(InputError, match='at most 32767 vertices or maps, not 32768'):
        write_palm_image(tmp_path / 'x.nii', np.zeros(shape))
    assert not list(tmp_path.iterdir())


def test_surface(tmp_path):
    mesh = Surface(
        np.array([[0, 0, 0], [1, 0, 0], [0, 1.5, 0.1]]), np.array([[0, 1, 2]], np.int32)
    )
    lines = write_palm_surface(tmp_path / 'm.srf', mesh).read_text().splitlines()
    assert lines == ['#!ascii', '3 1', '0 0 0 0', '1 0 0 0', '0 1.5 0.1 0', '0 1 2 0']


def test_tables_are_read_back_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 3)) * 1e-7
    path = write_palm_table(tmp_path / 'd.csv', values)
    np.testing.assert_array_equal(np.loadtxt(path, delimiter=','), values)
    assert write_palm_table(path, [1, 2.5]).read_text() == '1.0,2.5\n'


def test_maxima(tmp_path):
    path = tmp_path / 'max.csv'
    path.write_text('1.5\n2.25\n')
    np.testing.assert_array_equal(read_palm_maxima(path), [1.5, 2.25])
    path.write_text('1.5\nerror\n')
    with pytest.raises(KetbidsError, match=r'max\.csv, which cannot be read'):
        read_palm_maxima(path)
    with pytest.raises(KetbidsError, match=r'gone\.csv is missing'):
        read_palm_maxima(tmp_path / 'gone.csv')


def test_damaged_images_are_named(tmp_path):
    path = write_palm_image(tmp_path / 'x.nii', np.ones((2, 100)))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(KetbidsError, match=r'x\.nii, which cannot be read'):
        read_palm_image(path)
    with pytest.raises(KetbidsError, match=r'gone\.nii is missing'):
        read_palm_image(tmp_path / 'gone.nii')


def test_rubbish_does_not_reach_messages(tmp_path):
    assert plain_words('a\x1b[31m b\0\n\t c\u202e d') == 'a [31m b c d'
    assert plain_words('x' * 300) == 'x' * 300
    assert plain_words('x' * 301) == 'x' * 300 + ' ...'
    log = tmp_path / 'log'
    log.write_bytes(b'first\n' + bytes(range(256)) * 10000 + b'\n======\nthe\x07 end\n')
    assert last_words(log) == 'the end'
    log.write_bytes(b'\x07\n')
    assert last_words(log) == 'without a word'
    path = tmp_path / 'maxima.csv'
    path.write_text('\x1b[2J' + 'y' * 5000)
    with pytest.raises(KetbidsError, match='cannot be read') as caught:
        read_palm_maxima(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400 + len(str(path))
