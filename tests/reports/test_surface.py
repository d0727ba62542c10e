import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.reports.surface import (
    MISSING_GREY,
    SurfacePainter,
    fitting_scale,
    folding,
    interpolate,
    paint,
    view,
)
from ketbids.stats.brainmodels import Surface
from tests.reports.meshes import LEFT, RIGHT, ellipsoid

WIDTH, HEIGHT = 120, 80
RED = np.array([[1.0, 0, 0, 1], [1, 0, 0, 1]])


def places(seen):
    """Column and row of each sample, in samples, at its centre."""
    row, column = np.divmod(seen.sample, seen.width * seen.supersample)
    return column + 0.5, row + 0.5


@pytest.mark.parametrize(
    ('hemisphere', 'side', 'anterior', 'nearest_x'),
    [
        ('L', 'lateral', -1, -30),
        ('L', 'medial', 1, 30),
        ('R', 'lateral', 1, 30),
        ('R', 'medial', -1, -30),
    ],
)
def test_each_pixel_shows_the_place_that_lies_behind_it(hemisphere, side, anterior, nearest_x):
    surface = ellipsoid()
    seen = view(surface, hemisphere, side, WIDTH, HEIGHT, supersample=1)
    column, row = places(seen)
    scale = fitting_scale(surface, WIDTH, HEIGHT)
    x, y, z = (interpolate(seen, surface.coordinates[:, axis]) for axis in range(3))
    # coordinates are linear over a triangle, so that barycentric weights return them exactly
    np.testing.assert_allclose(y, anterior * (column - WIDTH / 2) / scale, atol=1e-3)
    np.testing.assert_allclose(z, (HEIGHT / 2 - row) / scale, atol=1e-3)
    # only the near half of the closed surface is seen
    assert (x * np.sign(nearest_x) > -0.5).all()
    assert abs(x).max() == pytest.approx(30, abs=0.5)


def test_weights_are_barycentric_and_the_picture_is_filled():
    surface = ellipsoid()
    seen = view(surface, 'L', 'lateral', WIDTH, HEIGHT, supersample=2)
    np.testing.assert_allclose(seen.weights.sum(axis=1), 1, atol=1e-5)
    assert seen.weights.min() > -1e-5
    assert len(np.unique(seen.sample)) == len(seen.sample)
    scale = 2 * fitting_scale(surface, WIDTH, HEIGHT)
    assert len(seen.sample) == pytest.approx(np.pi * 80 * 50 * scale**2, rel=0.02)


def test_the_nearer_of_two_sheets_hides_the_other():
    square = np.array([[0.0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]])
    both_sides = np.array([[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]])
    surface = Surface(
        np.vstack([square - np.array([5, 0, 0]), square + np.array([5, 0, 0])]),
        np.vstack([both_sides, both_sides + 4]).astype(np.int32),
    )
    values = np.repeat([1.0, 2.0], 4)
    for hemisphere, side, expected in [
        ('L', 'lateral', 1), ('L', 'medial', 2), ('R', 'lateral', 2), ('R', 'medial', 1)
    ]:  # fmt: skip
        seen = view(surface, hemisphere, side, 20, 20)
        np.testing.assert_allclose(interpolate(seen, values), expected, rtol=1e-5)


def test_missing_data_never_bleed():
    surface = ellipsoid()
    seen = view(surface, 'L', 'lateral', WIDTH, HEIGHT)
    values = np.where(surface.coordinates[:, 1] > 0, np.nan, 7.0)
    got = interpolate(seen, values)
    np.testing.assert_allclose(got[np.isfinite(got)], 7, rtol=1e-5)
    y = interpolate(seen, surface.coordinates[:, 1])
    assert np.isnan(got[y > 8]).all()
    assert np.isfinite(got[y < -8]).all()


def test_missing_vertices_are_grey_and_others_have_their_colour():
    surface = ellipsoid()
    seen = view(surface, 'R', 'lateral', WIDTH, HEIGHT)
    values = np.where(surface.coordinates[:, 1] > 0, np.nan, 1.0)
    picture = paint(seen, values, RED, (0, 1)).astype(int)
    assert picture.shape == (HEIGHT, WIDTH, 4)
    assert picture[0, 0, 3] == 0
    anterior, posterior = picture[HEIGHT // 2, 3 * WIDTH // 4], picture[HEIGHT // 2, WIDTH // 4]
    assert anterior[3] == posterior[3] == 255
    assert np.ptp(anterior[:3]) == 0
    assert 0.4 * MISSING_GREY * 255 < anterior[0] <= MISSING_GREY * 255 + 1
    assert posterior[0] > 120
    assert posterior[1] == posterior[2] == 0


def test_emphasis_is_opaque_and_outlined_and_the_rest_shows_the_underlay():
    surface = ellipsoid()
    seen = view(surface, 'R', 'lateral', WIDTH, HEIGHT)
    translucent = RED * [1, 1, 1, 0.2]
    strong = surface.coordinates[:, 1] > 0
    ones = np.ones(len(strong))
    picture = paint(seen, ones, translucent, (0, 1), emphasis=strong).astype(int)
    row = picture[HEIGHT // 2]
    assert row[3 * WIDTH // 4, 1] == 0
    assert row[WIDTH // 4, 1] > 80
    assert row[:, :3][row[:, 3] == 255].sum(axis=1).min() < 120  # the outline
    plain = paint(seen, ones, translucent, (0, 1)).astype(int)
    folded = paint(seen, ones, translucent, (0, 1), sulc=surface.coordinates[:, 2]).astype(int)
    assert folded[HEIGHT // 4, WIDTH // 2, 1] > plain[HEIGHT // 4, WIDTH // 2, 1]
    assert folded[3 * HEIGHT // 4, WIDTH // 2, 1] < plain[3 * HEIGHT // 4, WIDTH // 2, 1]


@settings(max_examples=25, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(0, 2**31))
def test_interpolation_stays_between_the_corners(low, high, seed):
    surface = ellipsoid(steps=6)
    seen = view(surface, 'L', 'medial', 30, 20, supersample=1)
    low, high = min(low, high), max(low, high)
    values = np.random.default_rng(seed).uniform(low, high, len(surface.coordinates))
    got = interpolate(seen, values)
    slack = 1e-4 * (1 + abs(low) + abs(high))
    assert got.min() >= low - slack
    assert got.max() <= high + slack


def test_painter_draws_hemispheres_to_one_scale():
    small, large = ellipsoid(), ellipsoid(radii=(30, 160, 100))
    painter = SurfacePainter({LEFT: small, RIGHT: large, 'OTHER': small}, 60, 40, supersample=1)
    assert painter.structures == (LEFT, RIGHT)
    area = {key: len(seen.sample) for key, seen in painter.views.items()}
    assert area[RIGHT, 'lateral'] == pytest.approx(4 * area[LEFT, 'lateral'], rel=0.1)


def test_folding_is_positive_on_a_bump_and_negative_in_a_dent():
    surface = ellipsoid(radii=(40, 40, 40), steps=16)
    xyz = surface.coordinates.copy()
    bump = np.argmin(np.linalg.norm(xyz - np.array([40, 0, 0]), axis=1))
    dent = np.argmin(np.linalg.norm(xyz - np.array([-40, 0, 0]), axis=1))
    xyz[bump] *= 1.3
    xyz[dent] *= 0.7
    height = folding(Surface(xyz, surface.triangles))
    assert height.argmax() == bump
    assert height.argmin() == dent


@pytest.mark.parametrize('broken', ['nan', 'flat', 'empty', 'inside out'])
def test_bad_surfaces_are_refused(broken):
    surface = ellipsoid(steps=4)
    xyz, triangles = surface.coordinates.copy(), surface.triangles
    if broken == 'nan':
        xyz[0, 1] = np.nan
    elif broken == 'flat':
        xyz[:, 2] = 0
    elif broken == 'empty':
        triangles = triangles[:0]
    else:
        square = np.array([[0.0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1]])
        xyz, triangles = square, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
    with pytest.raises(InputError, match='surface file'):
        view(Surface(xyz, triangles), 'L', 'lateral', 20, 20)


def test_a_map_of_another_mesh_and_no_cortex_are_refused():
    seen = view(ellipsoid(steps=4), 'L', 'lateral', 20, 20)
    with pytest.raises(InputError, match='surfaces that belong'):
        interpolate(seen, np.zeros(5))
    with pytest.raises(InputError, match='no cortical surface'):
        SurfacePainter({'CIFTI_STRUCTURE_CEREBELLUM': ellipsoid(steps=4)})
