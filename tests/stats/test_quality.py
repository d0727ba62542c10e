"""Numbers that say how good a run is, against plain computations on the whole array."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.quality import (
    median_where,
    noise_share,
    reclassified,
    series_quality,
    summarize_motion,
    surface_coverage,
)

N = 40


def data(n_grayordinates=30, seed=0):
    rng = np.random.default_rng(seed)
    return 1e4 + rng.normal(0, 50, (N, n_grayordinates)) + np.linspace(0, 300, N)[:, None]


def test_dvars_is_the_root_mean_square_of_changes():
    series = data()
    found = series_quality([series], N)
    assert np.isnan(found.dvars[0])
    expected = np.sqrt(np.mean((series[1:] - series[:-1]) ** 2, axis=1))
    np.testing.assert_allclose(found.dvars[1:], expected, rtol=1e-12)


def test_tsnr_is_around_the_linear_trend():
    series, time = data(), np.column_stack([np.ones(N), np.arange(N)])
    left = series - time @ np.linalg.lstsq(time, series, rcond=None)[0]
    expected = series.mean(axis=0) / np.sqrt((left**2).sum(axis=0) / (N - 2))
    np.testing.assert_allclose(series_quality([series], N).tsnr, expected, rtol=1e-9)
    # A drift more makes no difference, a jump does.
    drifting = series + np.linspace(0, 5000, N)[:, None] - 2500
    np.testing.assert_allclose(series_quality([drifting], N).tsnr, expected, rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=4))
def test_pieces_give_what_the_whole_gives(cuts):
    series = data().astype(np.float32)
    series[:, 4] = 0
    pieces = np.split(series, sorted(cuts), axis=1)
    whole, parts = series_quality([series], N), series_quality(pieces, N)
    np.testing.assert_allclose(parts.dvars, whole.dvars, rtol=1e-12)
    np.testing.assert_allclose(parts.tsnr, whole.tsnr, rtol=1e-9)
    np.testing.assert_array_equal(parts.has_data, whole.has_data)


def test_grayordinates_without_data_do_not_count():
    series = data(6)
    series[:, 1], series[:, 2], series[3, 4] = 0, 7000, np.nan
    found, rest = series_quality([series], N), series_quality([series[:, [0, 3, 5]]], N)
    assert found.has_data.tolist() == [True, False, False, True, False, True]
    assert np.isnan(found.tsnr[[1, 2, 4]]).all()
    np.testing.assert_allclose(found.dvars[1:], rest.dvars[1:])


def test_nothing_but_empty_grayordinates():
    found = series_quality([np.zeros((N, 3))], N)
    assert np.isnan(found.dvars).all()
    assert np.isnan(found.tsnr).all()
    assert np.isnan(median_where(found.tsnr, [True] * 3))
    assert len(series_quality([], N).tsnr) == 0


@pytest.mark.parametrize(('shape', 'volumes'), [((N, 3), N + 1), ((N,), N), ((2, 3), 2)])
def test_wrong_shapes(shape, volumes):
    with pytest.raises(InputError, match='volumes'):
        series_quality([np.zeros(shape)], volumes)


def test_medians():
    assert median_where([1, np.nan, 5, 9, 100], [1, 1, 1, 1, 0]) == 5


def test_motion_leaves_the_first_volume_aside():
    found = summarize_motion([0, 0.2, 0.6, 0.5, 0.7])
    assert found.mean == pytest.approx(0.5)
    assert found.share_above == 0.5
    assert np.isnan(summarize_motion([0.0])).all()


PERCENT = [[50, 20], [30, 10], [20, 5]]


@pytest.mark.parametrize(
    ('noise', 'expected'),
    [((), (0, 0)), ((1,), (0.5, 0.2)), ((3, 2), (0.5, 0.15)), ((1, 2, 3), (1, 0.35))],
)
def test_share_of_noise(noise, expected):
    assert noise_share(PERCENT, noise) == pytest.approx(expected)


def test_share_of_what_is_not_there():
    with pytest.raises(InputError, match='no component 4: there are 3'):
        noise_share(PERCENT, (1, 4))
    with pytest.raises(InputError, match='no component 0'):
        noise_share(PERCENT, (0,))
    assert np.isnan(noise_share(np.zeros((3, 2)), (1,)).explained)


def test_classes_changed_by_hand():
    assert reclassified((1, 2, 5), as_noise=(3, 5), as_signal=(2, 4)) == (1, 3, 5)
    with pytest.raises(InputError, match='Component 3 is reclassified as noise and as signal'):
        reclassified((1,), as_noise=(3,), as_signal=(3, 4))


def test_coverage_is_of_the_cortex():
    metric = np.array([1.0, 0.5, 0.0, 1.0])
    assert surface_coverage(metric, [0, 1]) == 0.75
    assert np.isnan(surface_coverage(metric, np.zeros(0, int)))
    with pytest.raises(InputError, match='no vertex 4: the surface has 4'):
        surface_coverage(metric, [0, 4])
