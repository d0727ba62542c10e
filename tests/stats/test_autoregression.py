import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.linalg import toeplitz

from ketbids.errors import InputError
from ketbids.stats.autoregression import (
    LARGEST_REFLECTION,
    autocorrelations,
    bias_correction,
    coefficients,
    implied_correlations,
    levinson,
    noise_reflections,
    tail_correction,
    whitened_basis,
    with_tail,
)
from tests.stats.noise import autocovariance, from_reflections, noise


def test_bias_correction_is_exact_for_short_memory():
    rng = np.random.default_rng(2)
    n_volumes, order = 40, 3
    basis = np.linalg.qr(rng.standard_normal((n_volumes, 7)))[0]
    covariances = np.array([2.0, 0.9, -0.3, 0.1])
    former = np.eye(n_volumes) - basis @ basis.T
    whole = toeplitz(np.r_[covariances, np.zeros(n_volumes - 4)])
    expected = former @ whole @ former
    sums = np.array([np.trace(expected, offset=lag) for lag in range(order + 1)])
    matrix = bias_correction(basis, order)
    np.testing.assert_allclose(np.linalg.solve(matrix, sums), covariances)
    found = autocorrelations(sums[:, None], matrix)
    np.testing.assert_allclose(found[:, 0], covariances[1:] / 2)


def test_bias_correction_is_the_covariance_of_sums_of_white_noise():
    rng = np.random.default_rng(5)
    n_volumes, lags = 50, 3
    basis = np.linalg.qr(np.c_[rng.standard_normal((n_volumes, 8)), np.ones(n_volumes)])[0]
    white = rng.standard_normal((n_volumes, 40000))
    left = white - basis @ (basis.T @ white)
    sums = [(left[: n_volumes - k] * left[k:]).sum(axis=0) for k in range(1, lags + 1)]
    expected = bias_correction(basis, lags)[1:, 1:]
    np.testing.assert_allclose(np.cov(sums), expected, atol=0.05 * expected.max())


def test_a_run_too_short_for_the_order_says_so():
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 28)))[0]
    with pytest.raises(InputError, match=r'30 volumes .* rank 28 .* lag 6: choose a noise model'):
        bias_correction(basis, 6)


@given(arrays(np.float64, (6, 5), elements=st.floats(-1e6, 1e6)))
def test_stationary_whatever_the_autocorrelations(correlations):
    reflections = levinson(correlations)
    assert (np.abs(reflections) <= LARGEST_REFLECTION).all()
    for v in range(5):
        roots = np.roots(np.r_[1, -coefficients(reflections)[:, v]])
        assert (np.abs(roots) < 1).all()


@given(arrays(np.float64, (6, 1), elements=st.floats(-0.9, 0.9)))
def test_levinson_solves_yule_walker(reflections):
    phi = coefficients(reflections)[:, 0]
    np.testing.assert_allclose(phi, from_reflections(reflections[:, 0]))
    gamma = autocovariance(phi, 7).astype(float)
    implied = implied_correlations(reflections)
    np.testing.assert_allclose(implied[:, 0], gamma[1:] / gamma[0], atol=1e-9)
    # Six lags of slow noise determine reflections to fewer digits than they have.
    np.testing.assert_allclose(levinson(implied), reflections, atol=1e-5)


def test_smoothing_keeps_to_stationary_noise_and_to_data():
    """Corrected autocorrelations of a short run may be far out; they don't reach others."""
    correlations = np.array([[0.5, 1e5, 0.3, 0.4], [0.2, -3e4, 0.1, 9.0]])
    valid = np.array([True, True, True, False])
    mean = sparse.csr_matrix(np.full((4, 4), 0.25))
    found = noise_reflections(correlations, valid, mean)
    bounded = implied_correlations(levinson(correlations[:, :3]))
    assert np.abs(bounded).max() < 1
    expected = levinson(bounded.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(found[:, :3], np.repeat(expected, 3, axis=1))
    assert (found[:, 3] == 0).all()


def test_whitened_basis_spans_the_whitened_design():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((40, 4)))[0]
    reflections = np.array([0.7, -0.4, 0.2])
    inverse = np.linalg.inv(
        toeplitz(autocovariance(from_reflections(reflections), 40)).astype(float)
    )
    # The whitening filter is causal: lower triangular, with W'W the inverse.
    lower = np.linalg.cholesky(np.linalg.inv(inverse))
    expected = np.linalg.qr(np.linalg.solve(lower, basis))[0]
    found = whitened_basis(basis, reflections)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-10)


def test_bias_of_real_residuals_is_taken_out():
    rng = np.random.default_rng(7)
    data = noise(rng, [0.5], 120, 4000)
    times = np.linspace(0, 1, 120)
    basis = np.linalg.qr(np.c_[[np.cos(np.pi * k * times) for k in range(12)]].T)[0]
    left = data - basis @ (basis.T @ data)
    sums = np.stack([(left[: 120 - k] * left[k:]).sum(axis=0) for k in range(4)])
    raw = (sums[1:] / sums[0]).mean(axis=1)
    found = autocorrelations(sums, bias_correction(basis, 3)).mean(axis=1)
    true = 0.5 ** np.arange(1, 4)
    assert (np.abs(raw - true) > 0.1).all()
    np.testing.assert_allclose(found, true, atol=0.05)


def slow_basis(n_volumes, n_columns):
    times = np.linspace(0, 1, n_volumes)
    return np.linalg.qr(np.c_[[np.cos(np.pi * k * times) for k in range(n_columns)]].T)[0]


def expected_sums(basis, correlations):
    """Sums of products of residuals, exactly, for noise of known autocorrelations."""
    former = np.eye(len(basis)) - basis @ basis.T
    whole = former @ toeplitz(correlations) @ former
    return np.array([np.trace(whole, offset=lag) for lag in range(3)])[:, None]


@pytest.mark.parametrize('phi', [(0.5, 0.0), (0.5, 0.3), (0.8, -0.3)])
def test_later_lags_are_those_that_the_model_continues(phi):
    """The fixed point is the model itself; two rounds come near, and one lag too few does not."""
    n_volumes = 200
    gamma = autocovariance(phi, n_volumes).astype(float)
    true = gamma[1:3] / gamma[0]
    basis = slow_basis(n_volumes, 8)
    correct = bias_correction(basis, 2)
    first = autocorrelations(expected_sums(basis, gamma), correct)
    tail = tail_correction(basis, 2, correct)
    found = with_tail(first, tail)
    before, after = np.abs(first[:, 0] - true).max(), np.abs(found[:, 0] - true).max()
    assert after < 0.3 * before
    # With the true ones after the order, nothing is left to correct.
    later = gamma[3:41] / gamma[0]
    change = tail @ later
    np.testing.assert_allclose(first[:, 0] * (1 + change[0]) - change[1:], true, atol=2e-3)


def test_later_lags_of_noise_within_the_design_change_nothing():
    basis = slow_basis(60, 20)
    correct = bias_correction(basis, 2)
    first = np.array([[0.2, 5.0], [0.1, -3.0]])
    found = with_tail(first, tail_correction(basis, 2, correct))
    assert np.isfinite(found).all()
    assert with_tail(first[:0], np.zeros((1, 3))).shape == (0, 2)
    np.testing.assert_array_equal(with_tail(first, np.zeros((3, 0))), first)
