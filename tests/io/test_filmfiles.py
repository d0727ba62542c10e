"""Files that go to film_gls and come from it."""

import nibabel as nb
import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.filmfiles import read_metric, read_voxels, write_metric, write_voxels
from ketbids.io.fsldesign import read_contrasts, read_design, write_contrasts, write_design
from tests.stats.small_brain import RIGHT, SmallBrain


@pytest.fixture(scope='module')
def models():
    return SmallBrain().models


def numbers(*shape):
    return np.random.default_rng(4).normal(1e4, 50, shape).astype(np.float32)


def test_voxels_there_and_back(tmp_path, models):
    voxels = ~models.is_surface
    data = numbers(5, voxels.sum())
    path = write_voxels(tmp_path / 'a.nii.gz', data, models, 0.8)
    np.testing.assert_array_equal(read_voxels(path, models), data)
    image = nb.load(path)
    assert image.header.get_zooms()[3] == pytest.approx(0.8)
    assert image.header.get_xyzt_units() == ('mm', 'sec')
    # a voxel is where it was, though the box is smaller than the grid
    assert np.prod(image.shape[:3]) < np.prod(models.volume_shape)
    corner = models.voxel[voxels].min(axis=0)
    there = models.affine @ [*models.voxel[voxels][3], 1]
    np.testing.assert_allclose(image.affine @ [*(models.voxel[voxels][3] - corner), 1], there)
    assert np.count_nonzero(image.get_fdata()[..., 0]) == voxels.sum()


def test_one_map_of_voxels(tmp_path, models):
    n = int((~models.is_surface).sum())
    path = write_voxels(tmp_path / 'a.nii.gz', numbers(1, n), models)
    image = nb.load(path)
    flat = nb.Nifti1Image(image.get_fdata()[..., 0], image.affine)
    nb.save(flat, tmp_path / 'b.nii.gz')
    assert read_voxels(tmp_path / 'b.nii.gz', models).shape == (1, n)


def test_voxels_of_another_grid_or_no_image(tmp_path, models):
    nb.save(nb.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4)), tmp_path / 'a.nii.gz')
    with pytest.raises(InputError, match=r'a.nii.gz is a grid of \(2, 2, 2\) instead of'):
        read_voxels(tmp_path / 'a.nii.gz', models)
    (tmp_path / 'b.nii.gz').write_bytes(b'no image')
    with pytest.raises(InputError, match=r'b.nii.gz cannot be read as a NIfTI image'):
        read_voxels(tmp_path / 'b.nii.gz', models)


def test_metrics_there_and_back(tmp_path):
    data = numbers(4, 42)
    path = write_metric(tmp_path / 'a.func.gii', data, RIGHT)
    np.testing.assert_array_equal(read_metric(path, 42), data)
    assert nb.load(path).meta['AnatomicalStructurePrimary'] == 'CortexRight'
    with pytest.raises(InputError, match=r'a.func.gii has no map of 43 vertices'):
        read_metric(path, 43)


def test_metrics_with_a_mesh_in_the_same_file(tmp_path):
    """fslsurface may write the mesh with the maps, and maps as columns."""
    arrays = [
        nb.gifti.GiftiDataArray(numbers(42, 3), 'NIFTI_INTENT_POINTSET'),
        nb.gifti.GiftiDataArray(np.zeros((80, 3), np.int32), 'NIFTI_INTENT_TRIANGLE'),
        nb.gifti.GiftiDataArray(numbers(42, 1), 'NIFTI_INTENT_ESTIMATE'),
    ]
    nb.save(nb.GiftiImage(darrays=arrays), tmp_path / 'a.func.gii')
    found = read_metric(tmp_path / 'a.func.gii', 42)
    np.testing.assert_array_equal(found, numbers(42, 1).T)


def test_designs_and_contrasts_there_and_back(tmp_path):
    design = np.random.default_rng(5).normal(size=(9, 3)) * [1, 1e-5, 1e4]
    path = write_design(tmp_path / 'design.mat', design)
    np.testing.assert_array_equal(read_design(path, 9), design)
    head = path.read_text().splitlines()[:3]
    assert head[:2] == ['/NumWaves\t3', '/NumPoints\t9']
    heights = np.array(head[2].removeprefix('/PPheights').split(), float)
    np.testing.assert_allclose(heights, np.ptp(design, axis=0), rtol=1e-6)
    path = write_contrasts(tmp_path / 'design.con', [[1, -1, 0], [0, 0, 1 / 3]])
    np.testing.assert_array_equal(read_contrasts(path, 3), [[1, -1, 0], [0, 0, 1 / 3]])
    assert path.read_text().startswith('/NumWaves\t3\n/NumContrasts\t2\n')
