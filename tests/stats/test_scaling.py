import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.scaling import GRAND_MEAN, has_data, moments, scale_factor


def test_scaling():
    sd = np.full(5, 100.0)
    mean = np.array([9000.0, 11000.0, 12000.0, np.nan, 9500.0])
    kept = scale_factor(mean, sd, 'grandMean')
    assert (kept.factor, kept.mean) == (1.0, GRAND_MEAN)
    assert 'grand mean is 10000' in kept.text
    scaled = scale_factor(mean / 10, sd / 10)
    assert scaled.factor == pytest.approx(GRAND_MEAN / 1025)
    assert scaled.mean == GRAND_MEAN
    surprised = scale_factor(mean / 10, sd / 10, 'grandMean')
    assert surprised.factor == scaled.factor
    assert 'was not found' in surprised.text


def test_no_percent_signal_without_a_mean():
    sd = np.full(4, 80.0)
    none = scale_factor(np.array([0.5, -1.0, 2.0, 1.0]), sd)
    assert none.factor == 1
    assert np.isnan(none.mean)
    assert 'no percent signal' in none.text
    assert scale_factor(np.array([0.0, 1000, 1000]), np.array([0.0, 9, 9])).factor == 10
    with pytest.raises(InputError, match='No grayordinate'):
        scale_factor(np.zeros(3), np.zeros(3))
    with pytest.raises(InputError, match="'mode'; choose"):
        scale_factor(np.ones(3), np.ones(3), 'mode')


def test_what_has_data():
    data = np.random.default_rng(0).standard_normal((9, 8)).astype(np.float32)
    data[:, 1], data[:, 2], data[3, 3], data[3, 4], data[3, 5] = 0, 7, np.nan, -np.inf, 1e30
    data[:8, 6] = 4
    data[0, 7] = -1e30
    expected = [True, False, False, False, False, False, True, False]
    for same in (data, np.asfortranarray(data), data.astype(float)):
        assert has_data(same).tolist() == expected


def test_moments_in_double_precision():
    data = np.random.default_rng(0).standard_normal((50, 9000)).astype(np.float32) + 1e4
    mean, sd = moments(data)
    np.testing.assert_allclose(mean, data.mean(axis=0, dtype=float), rtol=1e-14)
    np.testing.assert_allclose(sd, data.std(axis=0, dtype=float), rtol=1e-12)
    data[3, 7] = np.nan
    assert np.flatnonzero(np.isnan(moments(data)[0])).tolist() == [7]
