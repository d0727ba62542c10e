import numpy as np
import pytest

from ketbids.demo.noise import (
    autocovariance,
    broad_fields,
    local_noise,
    smooth_noise,
    temporal_noise,
)


def test_temporal_noise_has_the_stated_autocovariance():
    drawn = temporal_noise(200, 4000, 0.8, np.random.default_rng(1)).astype(float)
    expected = autocovariance(200, 0.8)
    assert drawn.dtype == float
    for lag in (0, 1, 2, 5, 10):
        found = (drawn[: 200 - lag] * drawn[lag:]).mean()
        assert found == pytest.approx(expected[lag], abs=0.01)
    assert expected[0] == pytest.approx(1, abs=0.05)
    # As in cleaned BOLD data at this repetition time; long memory, but no negative lobe nearby.
    assert 0.25 < expected[1] / expected[0] < 0.6
    assert expected[10] > 0.02


def test_ends_of_a_run_do_not_meet():
    drawn = temporal_noise(200, 4000, 0.8, np.random.default_rng(1)).astype(float)
    assert abs((drawn[0] * drawn[-1]).mean()) < 0.12


def test_spectrum_rises_towards_low_frequencies():
    drawn = temporal_noise(256, 500, 0.8, np.random.default_rng(2))
    power = (np.abs(np.fft.rfft(drawn, axis=0)) ** 2).mean(axis=1)
    assert power[1:4].mean() > 5 * power[-30:].mean()
    assert power[2:6].mean() > power[6:12].mean() > power[12:30].mean() > power[60:].mean()


def test_local_noise_is_correlated_with_neighbours_only(brain):
    white = np.random.default_rng(0).standard_normal((300, len(brain.models)), np.float32)
    noise = local_noise(brain, white)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert noise.var(axis=0).std() < 0.1  # nowhere more than elsewhere, but for chance
    rows = np.repeat(np.arange(len(brain.models)), np.diff(brain.graph.indptr))
    near = (noise[:, rows] * noise[:, brain.graph.indices]).mean()
    assert 0.3 < near < 0.6
    far = (noise[:, :1000] * noise[:, 5000:6000]).mean()
    assert abs(far) < 0.02


def test_smooth_noise_is_smoother_with_a_wider_kernel(brain):
    rows = np.repeat(np.arange(len(brain.models)), np.diff(brain.graph.indptr))

    def neighbours(fwhm):
        fields = smooth_noise(brain, 5, fwhm, np.random.default_rng(0))
        assert np.mean(fields**2, axis=1) == pytest.approx(1, abs=1e-4)
        return (fields[:, rows] * fields[:, brain.graph.indices]).mean()

    assert neighbours(20) > neighbours(10) > 0.4


def test_broad_fields_add_up(brain):
    fields = broad_fields(brain, np.random.default_rng(0))
    assert (fields**2).sum(axis=0).mean() == pytest.approx(1, abs=1e-3)
