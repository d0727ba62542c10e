"""Smoothing weights in a file."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from ketbids.errors import InputError
from ketbids.io.weights import read_weights, write_weights
from ketbids.stats.smoothing import smoothing_matrix
from tests.stats.small_brain import SmallBrain

SERIES = Path('sub-01_bold.dtseries.nii')


@pytest.fixture
def brain():
    return SmallBrain()


@pytest.fixture
def path(brain, tmp_path):
    matrix = smoothing_matrix(brain.models, brain.surfaces, 20.0)
    return write_weights(tmp_path / 'weights.npz', matrix, brain.models, 20.0)


def test_there_and_back(brain, path):
    matrix, fwhm = read_weights(path, brain.models, SERIES)
    expected = smoothing_matrix(brain.models, brain.surfaces, 20.0)
    assert fwhm == 20.0
    assert matrix.shape == expected.shape
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix.indices, expected.indices)
    np.testing.assert_allclose(matrix.data, expected.data, rtol=6e-8)
    assert list(path.parent.iterdir()) == [path]


def test_without_voxels(tmp_path):
    brain = SmallBrain(volume=False)
    matrix = smoothing_matrix(brain.models, brain.surfaces, 20.0)
    path = write_weights(tmp_path / 'weights.npz', matrix, brain.models, 20.0)
    assert read_weights(path, brain.models, SERIES).matrix.nnz == matrix.nnz


@pytest.mark.parametrize('change', ['other vertices', 'other grid', 'fewer', 'no voxels'])
def test_weights_for_other_grayordinates(brain, path, change):
    from dataclasses import replace

    models = brain.models
    n = len(models)
    if change == 'other vertices':
        other = replace(models, vertex=np.where(models.is_surface, models.vertex[::-1], -1))
    elif change == 'other grid':
        other = replace(models, affine=models.affine + np.diag([0.5, 0, 0, 0]))
    else:
        other = models.select(models.is_surface if change == 'no voxels' else np.arange(n) > 0)
    with pytest.raises(InputError, match=r'weights\.npz are for .* of sub-01_bold') as caught:
        read_weights(path, other, SERIES)
    assert f'{n} other grayordinates than the {len(other)} of' in str(caught.value)


def test_a_missing_file(brain, tmp_path):
    with pytest.raises(InputError, match=r'none\.npz does not exist'):
        read_weights(tmp_path / 'none.npz', brain.models, SERIES)


def damage(path, **changes):
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    np.savez(path, **{k: v for k, v in {**content, **changes}.items() if v is not None})


def test_a_damaged_file(brain, path):
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 3] ^= 0xFF
    for content in (b'', b'no archive', whole[:-100], whole[: len(whole) // 2], bytes(broken)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r'cannot be read as smoothing weights .* remove it'):
            read_weights(path, brain.models, SERIES)


@pytest.mark.parametrize(
    'changes',
    [
        {'indptr': None},
        {'indices': np.array([0, 1], np.int32)},
        {'data': np.array([0.5], np.float32)},
        {'names': np.array(['a'], dtype=object)},
    ],
)
def test_parts_that_do_not_fit(brain, path, changes):
    damage(path, **changes)
    with pytest.raises(InputError, match='cannot be read as smoothing weights'):
        read_weights(path, brain.models, SERIES)


@pytest.mark.parametrize(
    ('name', 'value'), [('indices', 10**6), ('indices', -1), ('data', np.nan)]
)
def test_numbers_out_of_range(brain, path, name, value):
    with np.load(path) as file:
        values = file[name].copy()
    values[3] = value
    damage(path, **{name: values})
    with pytest.raises(InputError, match='its parts do not fit together'):
        read_weights(path, brain.models, SERIES)


def test_a_matrix_of_another_kind_is_written_as_rows(brain, tmp_path):
    n = len(brain.models)
    path = write_weights(tmp_path / 'w.npz', sparse.identity(n, format='coo'), brain.models, 1.0)
    assert (read_weights(path, brain.models, SERIES).matrix.diagonal() == 1).all()
