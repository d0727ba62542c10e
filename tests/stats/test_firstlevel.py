import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse, stats
from scipy.linalg import toeplitz
from scipy.signal import lfilter

from ketbids.errors import InputError
from ketbids.stats import autoregression, firstlevel
from ketbids.stats.firstlevel import GRAND_MEAN, combine_runs, fit_glm, has_data, scale_factor


def noise(rng, coefficients, n_volumes, n):
    """Stationary autoregressive noise."""
    white = rng.standard_normal((n_volumes + 500, n))
    return lfilter([1], np.r_[1, -np.asarray(coefficients)], white, axis=0)[500:]


def autocovariance(coefficients, n_lags):
    """Autocovariances that the coefficients imply, from the impulse response."""
    impulse = np.zeros(20000)
    impulse[0] = 1
    response = lfilter([1], np.r_[1, -coefficients], impulse)
    return np.array([response[: len(response) - k] @ response[k:] for k in range(n_lags)])


def dense(data, design, contrasts, coefficients):
    """Generalised least squares with the whole covariance matrix."""
    dof = len(design) - design.shape[1]
    inverse = np.linalg.inv(toeplitz(autocovariance(coefficients, len(design))))
    covariance = np.linalg.inv(design.T @ inverse @ design)
    beta = covariance @ design.T @ inverse @ data
    residual = data - design @ beta
    sigma2 = residual @ inverse @ residual / dof
    return contrasts @ beta, sigma2 * np.diag(contrasts @ covariance @ contrasts.T)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    design = np.c_[rng.standard_normal((60, 3)), np.ones(60)]
    data = noise(rng, [0.5, -0.2, 0.3], 60, 12) + GRAND_MEAN
    contrasts = np.array([[1, 0, 0, 0], [1, -1, 0, 0], [0, 0, 0.5, 2]])
    return data, design, contrasts


@pytest.mark.parametrize('order', [0, 1, 2, 6, 11])
def test_equal_to_dense_generalised_least_squares(problem, order):
    data, design, contrasts = problem
    fit = fit_glm(data, design, contrasts, order)
    assert fit.ar.shape == (12, order)
    assert fit.dof == 56
    for v in range(data.shape[1]):
        effect, variance = dense(data[:, v], design, contrasts, fit.ar[v])
        np.testing.assert_allclose(fit.effect[:, v], effect, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(fit.variance[:, v], variance, rtol=1e-8)
        np.testing.assert_allclose(fit.t[:, v], effect / np.sqrt(variance), rtol=1e-8, atol=1e-8)


def test_order_0_is_ordinary_least_squares(problem):
    data, design, contrasts = problem
    fit = fit_glm(data, design, contrasts, order=0)
    beta, square, _, _ = np.linalg.lstsq(design, data, rcond=None)
    unscaled = np.diag(contrasts @ np.linalg.inv(design.T @ design) @ contrasts.T)
    np.testing.assert_allclose(fit.effect, contrasts @ beta)
    np.testing.assert_allclose(fit.variance, np.outer(unscaled, square / 56))


def test_the_answer_does_not_depend_on_blocks_or_neighbours(problem, monkeypatch):
    data, design, contrasts = problem
    wide = np.tile(data, (1, 12))
    whole = fit_glm(wide, design, contrasts)
    monkeypatch.setattr(firstlevel, '_BLOCK', 1)
    parts = fit_glm(wide, design, contrasts)
    alone = fit_glm(data[:, 3:4], design, contrasts)
    np.testing.assert_allclose(whole.t, parts.t, rtol=1e-9)
    np.testing.assert_allclose(whole.t[:, 3], alone.t[:, 0], rtol=1e-9)


def test_units_of_columns_do_not_matter(problem):
    data, design, contrasts = problem
    scale = np.array([1e-6, 1e5, 1, 300])
    fit = fit_glm(data, design, contrasts)
    scaled = fit_glm(data * 2 + 5e4, design * scale, contrasts * scale)
    np.testing.assert_allclose(scaled.effect[:2], 2 * fit.effect[:2], rtol=1e-6)
    np.testing.assert_allclose(scaled.t[:2], fit.t[:2], rtol=1e-6)


def test_grayordinates_without_data_are_nan(problem):
    data, design, contrasts = problem
    data = data.astype(np.float32)
    data[:, 0] = 0
    data[:, 1] = 7
    data[4, 2] = np.nan
    data[4, 3] = np.inf
    data[:, 4] = 5 + 2 * design[:, 0]
    fit = fit_glm(data.astype(float), design, contrasts)
    missing = [0, 1, 2, 3]
    for values in (fit.effect, fit.variance, fit.t, fit.z):
        assert np.isnan(values[:, missing]).all()
        assert np.isfinite(values[:, 5:]).all()
    assert np.isnan(fit.ar[missing]).all()
    exact = fit_glm((5 + 2 * design[:, :1]), design, contrasts)
    assert np.isnan(exact.t).all()


def test_all_missing(problem):
    _, design, contrasts = problem
    fit = fit_glm(np.zeros((60, 3)), design, contrasts)
    assert fit.t.shape == (3, 3)
    assert np.isnan(fit.z).all()


def test_z_has_the_tail_of_t_and_stays_finite(problem):
    data, design, contrasts = problem
    small = fit_glm(data, design, contrasts[:2], order=2)
    np.testing.assert_allclose(stats.norm.sf(small.z), stats.t.sf(small.t, 56), rtol=1e-9)
    strong = fit_glm(data + 1e6 * design[:, :1], design, contrasts[:1], order=2)
    assert strong.t.min() > 1e4
    assert np.isfinite(strong.z).all()
    assert strong.z.min() > 15


def test_dependent_columns_are_named(problem):
    data, design, contrasts = problem
    design = design.copy()
    design[:, 2] = 3 * design[:, 0] - 1e3
    names = ['go', 'stop', 'rest', 'constant']
    with pytest.raises(InputError, match=r'dependent columns: go, rest, constant\.'):
        fit_glm(data, design, contrasts, names=names)
    design[:, 2] = 0
    with pytest.raises(InputError, match=r'0 throughout: 3\.'):
        fit_glm(data, design, contrasts)
    design[5, 1] = np.nan
    with pytest.raises(InputError, match=r'not finite: stop\.'):
        fit_glm(data, design, contrasts, names=names)


@pytest.mark.parametrize(
    ('rows', 'columns', 'order', 'message'),
    [
        (59, 4, 1, 'one row per volume'),
        (60, 3, 1, 'contrasts of 3 weights'),
        (60, 4, 56, 'too few'),
        (60, 4, -1, '0 or more'),
    ],
)
def test_what_does_not_fit(problem, rows, columns, order, message):
    data, design, contrasts = problem
    with pytest.raises(InputError, match=message):
        fit_glm(data[:rows], design, contrasts[:, :columns], order)


def test_bias_correction_is_exact_for_short_memory():
    rng = np.random.default_rng(2)
    n_volumes, order = 40, 3
    basis = np.linalg.qr(rng.standard_normal((n_volumes, 7)))[0]
    covariances = np.array([2.0, 0.9, -0.3, 0.1])
    residual_former = np.eye(n_volumes) - basis @ basis.T
    whole = toeplitz(np.r_[covariances, np.zeros(n_volumes - 4)])
    expected = residual_former @ whole @ residual_former
    sums = [np.trace(expected, offset=lag) for lag in range(order + 1)]
    matrix = autoregression.bias_correction(basis, order)
    np.testing.assert_allclose(np.linalg.solve(matrix, sums), covariances)


def test_coefficients_are_recovered():
    rng = np.random.default_rng(4)
    true = np.array([0.4, 0.2, -0.1])
    data = noise(rng, true, 300, 300)
    design = np.c_[rng.standard_normal((300, 12)), np.ones(300)]
    found = fit_glm(data, design, np.eye(13)[:1], order=3).ar.mean(axis=0)
    # Standard error of the means .003; least-squares residuals alone would be .03 off.
    np.testing.assert_allclose(found, true, atol=0.012)


@given(arrays(np.float64, (5, 6), elements=st.floats(-0.999, 0.999)))
def test_coefficients_are_stationary_whatever_the_autocorrelations(correlations):
    for coefficients in autoregression.levinson(correlations):
        # Stationary if and only if each partial autocorrelation is within (-1, 1).
        left = coefficients
        while len(left):
            last, rest = left[-1], left[:-1]
            assert abs(last) < 0.995
            left = (rest + last * rest[::-1]) / (1 - last**2)


@given(arrays(np.float64, 6, elements=st.floats(-0.9, 0.9)))
def test_levinson_solves_yule_walker(reflections):
    # Coefficients from partial autocorrelations; their own autocorrelations must give them back.
    coefficients = np.zeros(0)
    for reflection in reflections:
        coefficients = np.r_[coefficients - reflection * coefficients[::-1], reflection]
    system = np.eye(7)
    for lag in range(7):
        for i, coefficient in enumerate(coefficients, start=1):
            system[lag, abs(lag - i)] -= coefficient
    covariances = np.linalg.solve(system, np.r_[1.0, np.zeros(6)])
    found = autoregression.levinson((covariances[1:] / covariances[0])[None])[0]
    np.testing.assert_allclose(found, coefficients, atol=1e-4)


def test_smoother_averages_the_autocorrelations(problem):
    data, design, contrasts = problem
    data = data.copy()
    data[:, 5] = 0
    n = data.shape[1]
    mean = sparse.csr_matrix(np.full((n, n), 1 / n))
    fit = fit_glm(data, design, contrasts, order=2, smoother=mean)
    assert np.isnan(fit.ar[5]).all()
    others = np.delete(np.arange(n), 5)
    np.testing.assert_allclose(fit.ar[others], np.tile(fit.ar[0], (n - 1, 1)))
    apart = fit_glm(data, design, contrasts, order=2, smoother=sparse.identity(n, format='csr'))
    plain = fit_glm(data, design, contrasts, order=2)
    np.testing.assert_array_equal(apart.t, plain.t)
    assert plain.ar[others, 0].min() < fit.ar[0, 0] < plain.ar[others, 0].max()


def test_false_positives_of_an_event_design():
    rng = np.random.default_rng(11)
    n_volumes, repetition_time, n = 240, 0.8, 1500
    times = np.arange(n_volumes) * repetition_time
    lags = np.arange(0, 24, repetition_time)
    response = stats.gamma.pdf(lags, 6) - stats.gamma.pdf(lags, 16) / 6
    events = rng.random((n_volumes, 2)) < [0.2, 0.08]
    regressors = [np.convolve(column, response)[:n_volumes] for column in events.T]
    drifts = [np.cos(np.pi * k * (times / times[-1])) for k in (1, 2)]
    design = np.column_stack([*regressors, *drifts, np.ones(n_volumes)])
    data = noise(rng, [0.45, 0.2, 0.1], n_volumes, n) + GRAND_MEAN
    contrasts = np.array([[-1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    rates = {
        order: (np.abs(fit_glm(data, design, contrasts, order).z) > 1.96).mean()
        for order in (0, 1, 6)
    }
    assert 0.035 < rates[6] < 0.075
    assert rates[0] > 0.15
    assert rates[6] < rates[1] < rates[0]


def test_runs_combine_by_precision():
    effects = np.array([[1.0, 1.0, np.nan, np.nan], [4.0, 4.0, 4.0, np.nan]])
    variances = np.array([[1.0, np.nan, 1.0, 1.0], [2.0, 2.0, 2.0, np.nan]])
    effect, variance = combine_runs(effects, variances)
    np.testing.assert_allclose(effect, [2, 4, 4, np.nan])
    np.testing.assert_allclose(variance, [2 / 3, 2, 2, np.nan])


def test_combining_two_halves_of_a_run_gives_the_run_with_known_variance():
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((2, 100))
    halves = [slice(0, 50), slice(50, 100)]
    effects = np.array([[x[h] @ y[h] / (x[h] @ x[h])] for h in halves])
    variances = np.array([[1 / (x[h] @ x[h])] for h in halves])
    effect, variance = combine_runs(effects, variances)
    assert effect[0] == pytest.approx(x @ y / (x @ x))
    assert variance[0] == pytest.approx(1 / (x @ x))


def test_one_run_stays_as_it_is_and_shapes_must_agree():
    effect, variance = combine_runs(np.array([[3.0, 0.0]]), np.array([[2.0, 0.0]]))
    np.testing.assert_allclose(effect, [3, np.nan])
    np.testing.assert_allclose(variance, [2, np.nan])
    with pytest.raises(InputError, match='one row per run'):
        combine_runs(np.ones((2, 3)), np.ones((2, 4)))


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
    assert has_data(data).tolist() == [True, False, False, False, False, False, True, True]
