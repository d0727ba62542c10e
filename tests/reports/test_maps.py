import dataclasses
import struct

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.reports.maps import map_figure, robust_limit
from ketbids.reports.slices import axial_grid, choose_slices
from ketbids.reports.surface import SurfacePainter
from tests.reports.meshes import LEFT, RIGHT, brain, pixels


@pytest.fixture(scope='module')
def study():
    models, surfaces, mm = brain()
    return models, surfaces, mm, SurfacePainter(surfaces)


def coloured(picture):
    """Masks of clearly warm and clearly cool pixels, without the colour bar."""
    body = picture[:880]
    warm = (body[..., 0] - body[..., 2]) > 70
    cool = (body[..., 2] - body[..., 0]) > 70
    return warm, cool


def test_picture_has_the_expected_size_and_is_the_same_each_time(study):
    models, surfaces, mm, painter = study
    values = mm[:, 0].copy()
    first = map_figure(values, models, surfaces, title='$x', label='mm', painter=painter)
    assert first[:8] == b'\x89PNG\r\n\x1a\n'
    assert struct.unpack('>II', first[16:24]) == (1600, 1010)
    assert first == map_figure(values, models, surfaces, title='$x', label='mm')


@pytest.mark.parametrize('flip_x', [False, True])
def test_right_is_right_and_positive_is_warm(flip_x):
    models, surfaces, mm = brain(flip_x=flip_x)
    values = np.sign(mm[:, 0])
    picture = map_figure(values, models, surfaces, title='t', label='l', vmax=2)
    warm, cool = coloured(pixels(picture))
    for area in (slice(0, 1110), slice(1110, 1600)):
        columns_warm = np.flatnonzero(warm[:, area].any(axis=0))
        columns_cool = np.flatnonzero(cool[:, area].any(axis=0))
        assert len(columns_warm) > 20
        assert len(columns_cool) > 20
    # cortex: the left hemisphere in the left column, the right one in the right
    assert warm[:, :555].sum() == 0
    assert cool[:, 555:1110].sum() == 0
    # slices: in the leftmost one the left cerebellum lies left of the right one
    first = slice(1120, 1350)
    assert np.flatnonzero(cool[:, first].any(axis=0)).max() < (
        np.flatnonzero(warm[:, first].any(axis=0)).min()
    )


def test_anterior_is_left_in_the_left_lateral_view_and_right_in_the_right_one(study):
    models, surfaces, mm, painter = study
    values = np.where(mm[:, 1] > -20, 1.0, 0.0)
    values[~models.is_surface] = 0
    picture = map_figure(values, models, surfaces, title='t', label='l', vmax=1.2, painter=painter)
    warm, _ = coloured(pixels(picture))
    lateral = warm[110:490]
    left, right = lateral[:, :555].sum(axis=0), lateral[:, 555:1110].sum(axis=0)
    assert left[:277].sum() > 8 * left[277:].sum() + 1000
    assert right[277:].sum() > 8 * right[:277].sum() + 1000


def test_significance_dims_the_rest(study):
    models, surfaces, _, painter = study
    values = np.full(len(models), 3.0)
    options = {'title': 't', 'label': 'l', 'vmax': 3.0, 'painter': painter}
    opaque = pixels(map_figure(values, models, surfaces, **options))
    nothing = np.zeros(len(models), dtype=bool)
    dimmed = pixels(map_figure(values, models, surfaces, significant=nothing, **options))
    by_value = pixels(map_figure(values, models, surfaces, threshold=2.9, **options))
    spot = (300, 280)
    assert np.ptp(dimmed[spot]) < np.ptp(opaque[spot])
    np.testing.assert_array_equal(by_value[spot], opaque[spot])


def test_missing_values_and_zero_maps_can_be_drawn(study):
    models, surfaces, _, painter = study
    for fill in (np.nan, 0.0):
        values = np.full(len(models), fill)
        picture = pixels(
            map_figure(values, models, surfaces, title='t', label='l', painter=painter)
        )
        warm, cool = coloured(picture)
        assert not warm.any()
        assert not cool.any()


def test_only_voxels_or_only_cortex(study):
    models, surfaces, mm, painter = study
    for keep in (models.is_surface, ~models.is_surface):
        names = tuple(n for n in models.names if models.is_surface[models.where(n)][0] == keep[0])
        part = dataclasses.replace(
            models,
            names=names,
            structure=np.unique(models.structure[keep], return_inverse=True)[1].astype(np.int16),
            vertex=models.vertex[keep],
            voxel=models.voxel[keep],
            n_vertices=models.n_vertices if keep[0] else {},
        )
        picture = pixels(
            map_figure(mm[keep, 0], part, surfaces, title='t', label='l', painter=painter)
        )
        warm, cool = coloured(picture)
        assert warm.any()
        assert cool.any()


def test_misfits_are_refused(study):
    models, surfaces, mm, painter = study
    options = {'title': 't', 'label': 'l', 'painter': painter}
    with pytest.raises(InputError, match='does not fit'):
        map_figure(mm[1:, 0], models, surfaces, **options)
    with pytest.raises(InputError, match='mask of significance'):
        map_figure(mm[:, 0], models, surfaces, significant=np.ones(3, dtype=bool), **options)
    with pytest.raises(InputError, match='positive'):
        map_figure(mm[:, 0], models, surfaces, vmax=0.0, **options)
    other = SurfacePainter(surfaces, 20, 20)
    wrong = dataclasses.replace(models, n_vertices={LEFT: 5000, RIGHT: 5000})
    with pytest.raises(InputError, match='surfaces that belong'):
        map_figure(mm[:, 0], wrong, surfaces, title='t', label='l', painter=other)


def test_robust_limit():
    assert robust_limit(np.r_[np.linspace(-1, 1, 10001), np.nan]) == pytest.approx(0.99)
    assert robust_limit(np.array([np.nan])) == 1
    assert robust_limit(np.zeros(5)) == 1
    spike = np.zeros(1000)
    spike[0] = -7
    assert robust_limit(spike) == 7


def test_voxels_of_any_orientation_come_out_right_anterior_superior():
    straight, flipped = (axial_grid(brain(flip_x=flip)[0]) for flip in (False, True))
    for grid in (straight, flipped):
        models, _, mm = brain(flip_x=grid is flipped)
        place = mm[~models.is_surface]
        for axis, index in enumerate((grid.x, grid.y, grid.z)):
            offset, step = grid.mm[axis]
            np.testing.assert_allclose(offset + step * index, place[:, axis], atol=1e-9)


def test_slices_show_the_strongest_significant_voxel_and_else_the_middle():
    models, _, _ = brain()
    grid = axial_grid(models)
    values = np.zeros(len(grid.z))
    nothing = np.zeros(len(grid.z), dtype=bool)
    plain = choose_slices(grid, values, nothing, 3)
    assert plain == choose_slices(
        grid, np.random.default_rng(0).normal(size=len(values)), nothing, 3
    )
    assert len(plain) == 3
    highest = max(set(range(grid.z.max() + 1)) - set(plain))
    peak = int(np.flatnonzero(grid.z == highest)[0])
    values[peak], strong = -5, nothing.copy()
    strong[peak] = True
    assert highest in choose_slices(grid, values, strong, 3)
