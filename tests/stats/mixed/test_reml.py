import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.mixed.criterion import Criterion
from ketbids.stats.mixed.inference import satterthwaite_df
from ketbids.stats.mixed.layout import lay_out
from ketbids.stats.mixed.newton import minimise
from ketbids.stats.mixed.reml import fit_layout, fit_reml
from ketbids.stats.mixed.structures import STRUCTURES, get_structure
from tests.stats.mixed.dense import deviance, numeric_hessian, random_rows, small_trial

NAMES = list(STRUCTURES)
# Made with R 4.2.2 from tests/data/small_trial.csv: lmerTest 3.1-3 (ri), nlme 3.1-162 (gls).
R_LOGLIK = {
    'ri': -80.028325620284,
    'cs': -80.028325620284,
    'csh': -75.7308448551988,
    'un': -74.689289280363,
    'ar1': -80.3284672921355,
    'arh1': -74.9870701312727,
    'diag': -82.6923009382444,
}
R_ESTIMATES = {
    'ri': [
        (21.8151525923539, 3.4974657998284),
        (-3.3155120254552, 1.2371745221198),
        (-5.5682708335552, 1.4500299163568),
        (-1.9218765006036, 1.9298831863576),
        (0.0216790309859, 0.0709310225249),
        (-2.3618546400255, 1.8127735996030),
        (-2.9637582095000, 1.9050026716769),
    ],
    'csh': [
        (22.434107548772, 2.60488378120),
        (-3.230470229392, 1.35840628727),
        (-5.660912632171, 0.96634151223),
        (-1.953018888348, 1.66828720599),
        (0.008054236348, 0.05115575709),
        (-1.878429817222, 2.00171543073),
        (-2.805556186420, 1.28832331625),
    ],
    'un': [
        (22.57984348881, 2.10209568177),
        (-3.17091677198, 1.25947798310),
        (-5.98890674935, 1.07707946911),
        (-1.96035151426, 1.63175598616),
        (0.00484621251, 0.03870338105),
        (-1.77659584765, 1.81991521287),
        (-2.26060655448, 1.47001630625),
    ],
    'arh1': [
        (22.504155103053, 2.31429235739),
        (-3.149554807463, 1.23354000371),
        (-5.892901700731, 1.05893407996),
        (-1.956543293595, 1.66712729299),
        (0.006512309052, 0.04386703868),
        (-1.780925041677, 1.80125233843),
        (-2.425248095751, 1.42780805766),
    ],
    'diag': [
        (22.19063664571, 2.22700736944),
        (-3.44648689890, 2.30513373007),
        (-5.94637982688, 1.66636872518),
        (-1.94076878002, 1.63669129534),
        (0.01341365874, 0.04190937585),
        (-2.90040926893, 3.38228843943),
        (-2.28149357639, 2.24053175063),
    ],
}


def complete(seed, n_subjects=12, n_visits=3, effect=1.0):
    """Every participant at every visit, two groups; X: a column for each visit and group."""
    rng = np.random.default_rng(seed)
    subject, visit = np.divmod(np.arange(n_subjects * n_visits), n_visits)
    group = subject % 2
    X = np.zeros((len(subject), 2 * n_visits))
    X[np.arange(len(subject)), visit + n_visits * group] = 1
    spread = 1 + visit / 4
    y = effect * rng.normal(0, 2, n_subjects)[subject] + spread * rng.normal(size=len(subject))
    return y + visit * (1 + group), X, subject, visit


@pytest.mark.parametrize('name', R_LOGLIK)
def test_the_likelihood_is_that_of_r(name):
    fit = fit_reml(*small_trial(), name)
    assert fit.loglik == pytest.approx(R_LOGLIK[name], abs=2e-9)
    assert fit.converged
    assert (fit.n_obs, fit.n_subjects, fit.n_visits) == (35, 14, 3)


@pytest.mark.parametrize('name', R_ESTIMATES)
def test_estimates_and_standard_errors_are_those_of_r(name):
    fit = fit_reml(*small_trial(), name)
    estimate, se = np.transpose(R_ESTIMATES[name])
    np.testing.assert_array_less(np.abs(fit.beta - estimate), 1e-5 * se)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.vcov)), se, rtol=1e-5)


def test_variances_of_a_random_intercept_are_those_of_lmer():
    fit = fit_reml(*small_trial())
    np.testing.assert_allclose(fit.theta, [8.15104376369642, 4.79252886397906], rtol=1e-7)
    assert fit.total_variance == pytest.approx(fit.theta.sum())
    np.testing.assert_allclose(fit.sigma, fit.theta[0] + fit.theta[1] * np.eye(3))


@pytest.mark.parametrize('name', NAMES)
def test_a_fit_is_a_maximum_and_its_derivatives_are_right(name):
    rows = small_trial()
    fit = fit_reml(*rows, name)
    dense = [deviance(name, fit.theta, 3, *rows)]
    assert -2 * fit.loglik == pytest.approx(dense[0], rel=1e-12)
    for k in range(len(fit.theta)):
        for sign in (-1, 1):
            theta = fit.theta.copy()
            theta[k] += sign * 0.01 * abs(theta[k])
            dense.append(deviance(name, theta, 3, *rows))
    assert min(dense) == dense[0]
    hessian = numeric_hessian(lambda theta: deviance(name, theta, 3, *rows), fit.theta)
    scale = np.sqrt(np.outer(np.diag(fit.hessian), np.diag(fit.hessian)))
    np.testing.assert_allclose(hessian / scale, fit.hessian / scale, atol=1e-4)
    np.testing.assert_allclose(fit.theta_cov @ fit.hessian, 2 * np.eye(len(fit.theta)), atol=1e-9)


def test_ordinary_least_squares():
    y, X, subject, visit = random_rows(5)
    fit = fit_reml(y, X, subject, visit, 'independent')
    n, p = X.shape
    beta, rss = np.linalg.lstsq(X, y, rcond=None)[:2]
    np.testing.assert_allclose(fit.beta, beta, rtol=1e-12)
    np.testing.assert_allclose(fit.theta, rss / (n - p), rtol=1e-12)
    np.testing.assert_allclose(fit.vcov, rss / (n - p) * np.linalg.inv(X.T @ X), rtol=1e-11)
    np.testing.assert_allclose(satterthwaite_df(fit, np.eye(p)), n - p, rtol=1e-9)
    log_det = np.linalg.slogdet(X.T @ X)[1]
    loglik = -((n - p) * (np.log(2 * np.pi * rss[0] / (n - p)) + 1) + log_det) / 2
    assert fit.loglik == pytest.approx(loglik, rel=1e-12)


def test_an_unstructured_covariance_is_the_pooled_one_of_complete_groups():
    y, X, subject, visit = complete(1)
    wide = y.reshape(12, 3)
    pooled = sum(np.cov(wide[group::2].T) for group in (0, 1)) / 2
    fit = fit_reml(y, X, subject, visit, 'un')
    np.testing.assert_allclose(fit.sigma, pooled, rtol=1e-9)
    np.testing.assert_allclose(fit.beta[:3], wide[::2].mean(axis=0), rtol=1e-12)


def test_compound_symmetry_of_complete_groups_has_a_closed_form():
    y, X, subject, visit = complete(2)
    wide = y.reshape(12, 3)
    pooled = sum(np.cov(wide[group::2].T) for group in (0, 1)) / 2
    covariance = (pooled.sum() - np.trace(pooled)) / 6
    expected = [covariance, np.trace(pooled) / 3 - covariance]
    for name in ('cs', 'ri'):
        fit = fit_reml(y, X, subject, visit, name)
        np.testing.assert_allclose(fit.theta, expected, rtol=1e-9)
        assert not fit.singular


def negative(seed=0):
    """Rows of a participant that are more different than those of different participants."""
    y, X, subject, visit = complete(seed, effect=0)
    wide = y.reshape(12, 3)
    return (wide - 0.8 * wide.mean(axis=1, keepdims=True)).ravel(), X, subject, visit


def test_a_negative_covariance_is_one_of_compound_symmetry_only():
    y, X, subject, visit = negative()
    pooled = sum(np.cov(y.reshape(12, 3)[group::2].T) for group in (0, 1)) / 2
    covariance = (pooled.sum() - np.trace(pooled)) / 6
    assert covariance < 0
    free = fit_reml(y, X, subject, visit, 'cs')
    assert free.theta[0] == pytest.approx(covariance, rel=1e-8)
    assert not free.singular
    bound = fit_reml(y, X, subject, visit, 'ri')
    ols = fit_reml(y, X, subject, visit, 'independent')
    assert bound.singular
    assert bound.converged
    assert bound.free.tolist() == [False, True]
    np.testing.assert_allclose(bound.theta, [0, ols.theta[0]], rtol=1e-12)
    np.testing.assert_allclose(bound.vcov, ols.vcov, rtol=1e-12)
    assert bound.loglik == pytest.approx(ols.loglik, rel=1e-13)
    np.testing.assert_allclose(satterthwaite_df(bound, np.eye(6)), 30, rtol=1e-9)
    assert bound.theta_cov[0].tolist() == [0, 0]
    assert free.loglik > bound.loglik


def test_a_singular_intercept_is_found_where_compound_symmetry_has_no_estimate():
    # Differences alone vary: the most negative correlation there can be.
    rng = np.random.default_rng(1)
    change = rng.normal(size=10)
    y = np.column_stack([change, -change]).ravel() + np.tile([3.0, 4.0], 10)
    subject, visit = np.divmod(np.arange(20), 2)
    X = np.column_stack([np.ones(20), visit]).astype(float)
    with pytest.raises(InputError, match=r'cs .*its estimate is a singular matrix.*Try ri'):
        fit_reml(y, X, subject, visit, 'cs')
    assert fit_reml(y, X, subject, visit, 'ri').singular


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize(('unit', 'offset'), [(1e-9, 0), (1e9, 0), (1, 1e6), (1e-6, 1)])
def test_neither_unit_nor_offset_matter(name, unit, offset):
    y, X, subject, visit = small_trial()
    plain = fit_reml(y, X, subject, visit, name)
    other = fit_reml(unit * y + offset, X, subject, visit, name)
    powers = get_structure(name).powers(3)
    # An offset costs the digits that it takes from the response.
    digits = 1e-7 if offset else 1e-9
    np.testing.assert_allclose(other.theta, plain.theta * unit ** (2 * powers), rtol=digits)
    slopes = plain.beta[1:] * unit
    np.testing.assert_allclose(other.beta[1:], slopes, rtol=10 * digits)
    assert other.loglik == pytest.approx(plain.loglik - 28 * np.log(unit), abs=1e-5)
    rows = np.eye(7)
    np.testing.assert_allclose(
        satterthwaite_df(other, rows), satterthwaite_df(plain, rows), rtol=10 * digits
    )


@pytest.mark.parametrize('name', ['ri', 'csh'])
def test_a_coding_of_the_same_model_changes_only_the_coefficients(name):
    y, X, subject, visit = small_trial()
    turn = np.random.default_rng(0).normal(size=(7, 7))
    plain, other = (fit_reml(y, columns, subject, visit, name) for columns in (X, X @ turn))
    np.testing.assert_allclose(other.theta, plain.theta, rtol=1e-8)
    np.testing.assert_allclose(turn @ other.beta, plain.beta, rtol=1e-7)
    np.testing.assert_allclose(turn @ other.vcov @ turn.T, plain.vcov, rtol=1e-6, atol=1e-9)
    log_det = np.linalg.slogdet(turn)[1]
    assert other.loglik == pytest.approx(plain.loglik - log_det, abs=1e-9)


def test_one_layout_serves_many_responses_in_any_order_of_rows():
    y, X, subject, visit = small_trial()
    layout = lay_out(X, subject, visit)
    order = np.random.default_rng(0).permutation(len(y))
    for response in (y, y**2):
        one = fit_layout(response, layout, 'un')
        other = fit_reml(response[order], X[order], subject[order], visit[order], 'un')
        np.testing.assert_allclose(one.theta, other.theta, rtol=1e-9)
        np.testing.assert_allclose(one.spread, other.spread, rtol=1e-6, atol=1e-12)


def test_many_rows_of_a_participant():
    rng = np.random.default_rng(3)
    subject, visit = np.nonzero(rng.random((15, 40)) < 0.8)
    x = rng.normal(size=len(subject))
    y = rng.normal(0, 2, 15)[subject] + x + rng.normal(size=len(subject))
    fit = fit_reml(y, np.column_stack([np.ones(len(y)), x]), subject, visit)
    dense = deviance('ri', fit.theta, 40, y, fit_columns(x), subject, visit)
    assert -2 * fit.loglik == pytest.approx(dense, rel=1e-12)
    np.testing.assert_allclose(fit.theta, [4, 1], rtol=0.5)


def fit_columns(x):
    return np.column_stack([np.ones(len(x)), x])


@pytest.mark.parametrize('name', NAMES)
def test_a_response_without_residuals_is_refused(name):
    _, X, subject, visit = small_trial()
    for y in (np.full(35, 7.1), X @ np.arange(7.0), np.zeros(35)):
        with pytest.raises(InputError, match='residual variance is 0: the fixed effects explain'):
            fit_reml(y, X, subject, visit, name)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_a_response_that_is_not_finite_is_refused(bad):
    y, X, subject, visit = small_trial()
    y = np.where(np.arange(35) == 3, bad, y)
    with pytest.raises(InputError, match='must be 35 finite numbers'):
        fit_reml(y, X, subject, visit)


@pytest.mark.parametrize('name', ['ri', 'cs'])
def test_visits_that_agree_perfectly_are_refused(name):
    rng = np.random.default_rng(0)
    subject, visit = np.divmod(np.arange(30), 3)
    y = rng.normal(size=10)[subject] + 2.0 * visit
    X = np.column_stack([np.ones(30), visit == 1, visit == 2]).astype(float)
    with pytest.raises(InputError, match='residual variance is 0: beyond the fixed effects the'):
        fit_reml(y, X, subject, visit, name)


@pytest.mark.parametrize('name', [n for n in NAMES if n not in ('diag', 'independent')])
def test_one_row_per_participant_is_refused(name):
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=r'Every participant has one row.*ordinary regression'):
        fit_reml(rng.normal(size=9), np.ones((9, 1)), np.arange(9), np.arange(9) % 3, name)


def test_an_unstructured_covariance_of_too_few_is_refused_with_a_way_out():
    y, X, subject, visit = random_rows(2, 8, 4, 0.0)
    few = (subject < 3) | (visit == subject % 4)
    with pytest.raises(InputError, match=r'un \(unstructured\).*10 parameters from 3 complete'):
        fit_reml(y[few], X[few], subject[few], visit[few], 'un')
    assert fit_reml(y[few], X[few], subject[few], visit[few], 'ri').converged


@pytest.mark.parametrize('name', ['un', 'toep'])
def test_a_covariance_that_nobody_shows_is_not_determined(name):
    rng = np.random.default_rng(0)
    subject, visit = np.repeat(np.arange(12), 2), np.tile([0, 1, 1, 2], 6)
    with pytest.raises(InputError, match=r'parameters from 0 complete participants.*Try cs'):
        fit_reml(rng.normal(size=24), np.ones((24, 1)), subject, visit, name)


def test_a_visit_that_nobody_has_is_named():
    rng = np.random.default_rng(0)
    subject, visit = np.repeat(np.arange(12), 2), np.tile([0, 2], 12)
    with pytest.raises(InputError, match='No participant has visit 2'):
        fit_reml(rng.normal(size=24), np.ones((24, 1)), subject, visit, 'diag')
    assert fit_reml(rng.normal(size=24), np.ones((24, 1)), subject, visit, 'ri').n_visits == 3


def test_fixed_effects_that_take_every_participant_leave_no_intercept():
    rng = np.random.default_rng(0)
    subject, visit = np.divmod(np.arange(12), 2)
    X = (subject[:, None] == np.arange(6)).astype(float)
    with pytest.raises(InputError, match=r'ri .*2 parameters.*Try ordinary regression'):
        fit_reml(rng.normal(size=12), X, subject, visit)


@st.composite
def trials(draw):
    """Trials of any size with any covariance, some visits missing."""
    n_subjects, n_visits = draw(st.integers(4, 50)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    root = rng.normal(size=(n_visits, n_visits)) * draw(st.sampled_from([0.2, 1]))
    sigma = root @ root.T + draw(st.sampled_from([0.1, 1])) * np.eye(n_visits)
    wide = rng.multivariate_normal(np.zeros(n_visits), sigma, size=n_subjects)
    missing = draw(st.sampled_from([0, 0.1, 0.3, 0.5]))
    subject, visit = np.nonzero(rng.random(wide.shape) >= missing)
    group = rng.integers(0, 2, n_subjects)[subject]
    columns = [np.ones(len(subject)), *(visit == k for k in range(1, n_visits))]
    if draw(st.booleans()):
        columns += [group, rng.normal(40, 10, n_subjects)[subject]]
    if draw(st.booleans()):
        columns += [(visit == k) * group for k in range(n_visits)]
    unit = 10.0 ** draw(st.integers(-6, 6))
    y = unit * (wide[subject, visit] + draw(st.sampled_from([0, 100])))
    return y, np.column_stack(columns).astype(float), subject, visit, n_visits


def fitted(y, layout, name):
    try:
        return fit_layout(y, layout, name)
    except InputError as error:
        return str(error)


@settings(
    max_examples=500, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(trials(), st.sampled_from(NAMES))
def test_any_trial_is_fitted_or_refused_with_a_reason(trial, name):
    y, X, subject, visit, n_visits = trial
    try:
        layout = lay_out(X, subject, visit, n_visits)
    except (InputError, ValueError):
        return
    fit = fitted(y, layout, name)
    if isinstance(fit, str):
        assert 'did not converge' not in fit
        assert name != 'independent'
        return
    assert fit.converged
    scale = np.sqrt(fit.total_variance)
    unit = scale ** (2 * get_structure(name).powers(n_visits))
    point = Criterion(layout, get_structure(name), y / scale).at(fit.theta / unit)
    gradient = point.gradient[fit.free]
    information = point.expected[np.ix_(fit.free, fit.free)]
    # At most 1e-5 standard errors from the maximum, far above what rounding leaves.
    assert gradient @ np.linalg.solve(information, gradient) < 1e-10
    assert fit.singular <= (point.gradient[0] >= 0)
    hessian = point.hessian[np.ix_(fit.free, fit.free)]
    assert np.linalg.eigvals(np.linalg.solve(information, hessian)).real.min() > 0
    assert (satterthwaite_df(fit, np.eye(X.shape[1])) > 0).all()


def several_maxima(seed, n_subjects=12, n_visits=4):
    """Visits of which a quarter is missing, with a covariance of no structure."""
    rng = np.random.default_rng(seed)
    sigma = np.cov(rng.normal(size=(n_visits, n_visits + 2)))
    wide = rng.multivariate_normal(np.zeros(n_visits), sigma, n_subjects)
    subject, visit = np.nonzero(rng.random(wide.shape) > 0.25)
    return wide[subject, visit], np.eye(n_visits)[visit], subject, visit


@pytest.mark.parametrize('seed', [6, 149])
def test_the_highest_of_several_maxima_is_found(seed):
    y, X, subject, visit = several_maxima(seed)
    layout, kind = lay_out(X, subject, visit), get_structure('toep')
    criterion = Criterion(layout, kind, y)
    rng, found = np.random.default_rng(0), []
    for extra in range(25):
        start = criterion.at(kind.start(np.cov(rng.normal(size=(4, 6 + extra)))))
        minimum = None if start is None else minimise(criterion.at, start)
        if minimum is not None and minimum.converged:
            found.append(-(minimum.point.deviance + layout.log_det) / 2)
    assert max(found) - min(found) > 0.01, 'there are several'
    assert fit_layout(y, layout, 'toep').loglik >= max(found) - 1e-8
