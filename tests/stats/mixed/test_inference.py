import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.mixed.design import build_design, hypothesis, parse_formula
from ketbids.stats.mixed.inference import (
    _kr_scale,
    f_test,
    kenward_roger,
    kr_information,
    kr_vcov,
    log10_f_tail,
    satterthwaite_df,
    t_tests,
)
from ketbids.stats.mixed.reml import fit_reml
from ketbids.stats.mixed.structures import STRUCTURES
from tests.stats.mixed.dense import numeric_hessian, pieces, small_trial
from tests.stats.mixed.test_reml import complete, negative

NAMES = list(STRUCTURES)
# R 4.2.2, lmerTest 3.1-3 and pbkrtest 0.5.2, from tests/data/small_trial.csv.
R_DF = [
    11.5693606249,
    17.6597164055,
    18.2921373819,
    17.1160769688,
    10.7943122266,
    17.8009690526,
    18.0399726363,
]
R_KR_SE = [
    3.4986713910060,
    1.2404772447286,
    1.4614393909031,
    1.9298887183613,
    0.0709598260626,
    1.8198054042272,
    1.9160921569121,
]
R_KR_DF = [
    11.2454804966,
    17.3453278173,
    17.9860736972,
    16.7956463458,
    10.4782923721,
    17.4883188004,
    17.7304221992,
]
# Type III rows in treatment coding, level - first level: the visits at the mean of the groups.
TIME = [[0, 1, 0, 0, 0, 0.5, 0], [0, 0, 1, 0, 0, 0, 0.5]]
INTERACTION = [[0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1]]
R_NAMES = {'us': 'un', 'ar1h': 'arh1'}


@pytest.fixture(scope='module')
def small():
    return fit_reml(*small_trial())


def test_coefficients_have_the_degrees_of_freedom_of_lmertest(small):
    tests = t_tests(small, np.eye(7))
    np.testing.assert_allclose(tests.df, R_DF, rtol=1e-6)
    assert tests.t[1] == pytest.approx(-2.679906485444, rel=1e-6)
    assert tests.p[1] == pytest.approx(1.54642057889e-02, rel=1e-5)
    np.testing.assert_allclose(tests.log10p, np.log10(tests.p), rtol=1e-12)


def test_coefficients_have_the_kenward_roger_errors_of_pbkrtest(small):
    tests = t_tests(small, np.eye(7), 'kenward-roger')
    np.testing.assert_allclose(tests.se, R_KR_SE, rtol=1e-7)
    np.testing.assert_allclose(tests.df, R_KR_DF, rtol=1e-7)
    np.testing.assert_allclose(tests.se**2, np.diag(kr_vcov(small)), rtol=1e-12)
    assert tests.p[1] == pytest.approx(1.58676245877e-02, rel=1e-6)


def test_terms_are_those_of_lmertest_and_pbkrtest(small):
    time, interaction = f_test(small, TIME), f_test(small, INTERACTION)
    assert time.num_df == interaction.num_df == 2
    assert (time.f, interaction.f) == pytest.approx((30.10912, 1.51170), rel=1e-5)
    assert interaction.den_df == pytest.approx(18.10610249992, rel=1e-6)
    assert interaction.p == pytest.approx(0.247096, abs=1e-6)
    time, interaction = kenward_roger(small, TIME), kenward_roger(small, INTERACTION)
    assert (time.f, time.den_df) == pytest.approx((29.93746, 17.80997152937), rel=1e-6)
    assert (interaction.f, interaction.den_df) == pytest.approx(
        (1.50377, 17.80284934045), rel=4e-6
    )


def numeric_df(name, rows):
    """Satterthwaite from dense matrices and differences: no derivative of the package."""
    y, X, subject, visit = small_trial()
    fit = fit_reml(y, X, subject, visit, name)

    def vcov(theta):
        return pieces(name, theta, 3, X, subject, visit)[2]

    def deviance(theta):
        V, P, C, _ = pieces(name, theta, 3, X, subject, visit)
        return np.linalg.slogdet(V)[1] - np.linalg.slogdet(C)[1] + y @ P @ y

    A = 2 * np.linalg.inv(numeric_hessian(deviance, fit.theta))
    moves = np.diag(1e-5 * np.abs(fit.theta))
    slopes = np.array(
        [
            np.diag(rows @ (vcov(fit.theta + move) - vcov(fit.theta - move)) @ rows.T)
            / (2 * move.sum())
            for move in moves
        ]
    )
    variance = np.diag(rows @ vcov(fit.theta) @ rows.T)
    return fit, 2 * variance**2 / np.einsum('kr,km,mr->r', slopes, A, slopes)


@pytest.mark.parametrize('name', NAMES)
def test_degrees_of_freedom_agree_with_differences(name):
    rows = np.vstack([np.eye(7), TIME])
    fit, expected = numeric_df(name, rows)
    np.testing.assert_allclose(satterthwaite_df(fit, rows), expected, rtol=1e-4)


@pytest.mark.parametrize('name', ['ri', 'cs'])
@pytest.mark.parametrize('n_visits', [2, 3, 5])
def test_complete_data_give_the_repeated_measures_analysis_of_variance(name, n_visits):
    y, X, subject, visit = complete(4, 12, n_visits, effect=3)
    wide = y.reshape(12, n_visits)
    halves = [wide[group::2] for group in (0, 1)]
    fit = fit_reml(y, X, subject, visit, name)
    grand = (halves[0].mean(axis=0) - halves[1].mean(axis=0)) / 2
    between = 12 * np.sum((grand - grand.mean()) ** 2) / (n_visits - 1)
    left = np.vstack([half - half.mean(axis=0) for half in halves])
    left = left - left.mean(axis=1, keepdims=True)
    df = 10 * (n_visits - 1)
    f = between / (np.sum(left**2) / df)
    steps = np.eye(n_visits)[1:] - np.eye(n_visits)[0]
    L = np.hstack([steps, -steps])
    for found in (f_test(fit, L), kenward_roger(fit, L), f_test(fit, np.vstack([L, L[0]]))):
        assert found[:3] == pytest.approx((f, n_visits - 1, df), rel=1e-8)
        assert found.p == pytest.approx(stats.f.sf(f, n_visits - 1, df), rel=1e-8)


@pytest.mark.parametrize('name', ['ri', 'cs', 'un', 'csh'])
def test_two_complete_visits_of_two_groups_are_a_t_test_of_differences(name):
    y, X, subject, visit = complete(6, 14, 2, effect=3)
    change = np.diff(y.reshape(14, 2))[:, 0]
    t = stats.ttest_ind(change[::2], change[1::2])
    fit = fit_reml(y, X, subject, visit, name)
    row = [-1, 1, 1, -1]
    found = f_test(fit, row)
    assert found[:3] == pytest.approx((t.statistic**2, 1, 12), rel=1e-8)
    assert found.p == pytest.approx(t.pvalue, rel=1e-8)
    single = t_tests(fit, row)
    assert single.t[0] == pytest.approx(t.statistic, rel=1e-8)
    assert kenward_roger(fit, row, 'observed').den_df == pytest.approx(12, rel=1e-8)


def test_unequal_variances_of_independent_rows_are_welchs_test():
    rng = np.random.default_rng(0)
    visit = np.repeat([0, 1], [8, 14])
    y = rng.normal(size=22) * np.array([1, 3])[visit]
    X = np.column_stack([visit == 0, visit == 1]).astype(float)
    fit = fit_reml(y, X, np.arange(22), visit, 'diag')
    welch = stats.ttest_ind(y[:8], y[8:], equal_var=False)
    found = t_tests(fit, [1, -1])
    assert found.t[0] == pytest.approx(welch.statistic, rel=1e-8)
    assert found.df[0] == pytest.approx(welch.df, rel=1e-8)
    assert found.p[0] == pytest.approx(welch.pvalue, rel=1e-8)
    np.testing.assert_allclose(satterthwaite_df(fit, np.eye(2)), [7, 13], rtol=1e-8)


@pytest.mark.parametrize('name', NAMES)
def test_f_and_kenward_roger_do_not_depend_on_the_rows_of_a_hypothesis(name):
    fit = fit_reml(*small_trial(), name)
    turned = np.array([[1, 2], [0.3, -1]]) @ TIME
    assert f_test(fit, turned).f == pytest.approx(f_test(fit, TIME).f, rel=1e-9)
    for flavour in ('expected', 'observed'):
        one, other = (kenward_roger(fit, L, flavour) for L in (TIME, turned))
        assert one[:4] == pytest.approx(other[:4], rel=1e-9)


@pytest.mark.parametrize('name', NAMES)
def test_one_row_is_the_square_of_its_t(name):
    fit = fit_reml(*small_trial(), name)
    for ddf, test in (('satterthwaite', f_test), ('kenward-roger', kenward_roger)):
        one, square = t_tests(fit, TIME[0], ddf), test(fit, TIME[0])
        assert square.f == pytest.approx(one.t[0] ** 2, rel=1e-9)
        assert square.den_df == pytest.approx(one.df[0], rel=1e-9)
        assert square.p == pytest.approx(one.p[0], rel=1e-8)


def test_the_flavour_of_kenward_roger_follows_the_structure():
    flavours = {name: kr_information(name) for name in NAMES}
    assert [name for name in NAMES if flavours[name] == 'expected'] == ['ri', 'independent']
    fit = fit_reml(*small_trial(), 'un')
    assert kenward_roger(fit, TIME) == kenward_roger(fit, TIME, 'observed')
    assert kenward_roger(fit, TIME) != kenward_roger(fit, TIME, 'expected')


def test_a_singular_intercept_keeps_both_variances_in_kenward_roger():
    fit = fit_reml(*negative())
    L = [[-1, 1, 0, -1, 1, 0], [-1, 0, 1, -1, 0, 1]]
    plain, kr = f_test(fit, L), kenward_roger(fit, L)
    assert plain.den_df == pytest.approx(30)
    # Balanced: the same F, and the degrees of freedom of the analysis of variance.
    assert (kr.f, kr.den_df) == pytest.approx((plain.f, 20), rel=1e-8)


def test_few_degrees_of_freedom_are_two():
    visit = np.repeat([0, 1], [2, 9])
    X = np.column_stack([visit == 0, visit == 1]).astype(float)
    y = np.random.default_rng(0).normal(size=11)
    fit = fit_reml(y, X, np.arange(11), visit, 'diag')
    np.testing.assert_allclose(satterthwaite_df(fit, np.eye(2)), [1, 8], rtol=1e-8)
    assert f_test(fit, np.eye(2)).den_df == 2


def test_a_hypothesis_of_zeros_is_refused(small):
    for test in (f_test, kenward_roger):
        with pytest.raises(InputError, match='no row that is not 0'):
            test(small, np.zeros((2, 7)))


def test_kenward_roger_without_a_definite_information_is_refused(small):
    broken = type(small)(**{**vars(small), 'hessian': -small.hessian})
    with pytest.raises(InputError, match=r'observed information .* use Satterthwaite or the'):
        kenward_roger(broken, TIME, 'observed')


@pytest.mark.parametrize(
    ('f', 'num_df', 'den_df', 'expected'),
    [
        # pf(f, num_df, den_df, lower = FALSE, log = TRUE) / log(10) of R 4.2.2
        (1e5, 3, 800, -1028.72182294855),
        (900, 2, 1e5, -387.388900036997),
        (1e6, 1, 150, -287.9848382631),
        (30, 150, 3000, -485.010646988615),
        (3.2, 2, 17.4, -1.18344106633304),
        (1e4, 1, 1e6, -2162.78283409999),
        # closed form for two numerator degrees of freedom
        (1e9, 2, 300, -150 * np.log10(1 + 2e9 / 300)),
        (0, 2, 5, 0),
        (np.inf, 2, 5, -np.inf),
    ],
)
def test_the_log_of_p_goes_below_the_smallest_number(f, num_df, den_df, expected):
    assert log10_f_tail(f, num_df, den_df) == pytest.approx(expected, rel=1e-9)


def test_logs_of_many_p_at_once():
    f = np.array([[0.5, 1e9], [1e9, np.nan]])
    found = log10_f_tail(f, 2, 300)
    expected = -150 * np.log10(1 + 2 * f / 300)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def reference_cases():
    cases = ['balanced_3tp', 'big_offset', 'four_visits_rt', 'hdrs_47_37_37', 'large_effect']
    cases += ['hdrs_intermittent_cov', 'heteroscedastic', 'many_single_visits', 'tiny_n']
    cases += ['roi_2x2_balanced', 'roi_2x2_missing_cov', 'scale_1e-6', 'three_groups']
    return [*cases, 'singular_random_intercept', 'time_by_continuous', 'very_unequal_groups']


@pytest.mark.parametrize('name', reference_cases())
def test_reference_cases_agree_with_r(name, shared):
    folder = shared / 'reference' / 'mixed' / name
    if not (folder / 'expected_R.json').exists():
        pytest.skip(f'{folder} is absent')
    case = json.loads((folder / 'case.json').read_text())
    expected = json.loads((folder / 'expected_R.json').read_text())
    formula = parse_formula(case['formula'])
    visits, response = case['visit'], case['response']
    used = {response, case['subject'], visits, *formula.variables}
    rows = pd.read_csv(folder / 'data.csv')[sorted(used)].dropna()
    rows = rows.astype(dict.fromkeys(case['factors'], str))
    design = build_design(rows, formula, case['factors'])
    subject = pd.factorize(rows[case['subject']])[0]
    visit = pd.Categorical(rows[visits], case['factors'][visits]).codes
    unit = expected['y_scale']
    y = rows[response].to_numpy(float) * unit
    for kind in case['kinds']:
        block = expected['random_intercept' if kind == 'ri' else f'marginal_{kind}']
        block = block if kind == 'ri' else block.get('mmrm', block.get('numeric'))
        fit = fit_reml(y, design.matrix, subject, visit, R_NAMES.get(kind, kind))
        assert fit.loglik + design.log_determinant == pytest.approx(block['logLik'], abs=1e-6)
        agree_on_covariance(fit, block)
        agree_on_terms(fit, design, block, kind)


def agree_on_covariance(fit, block):
    if 'var_subject' in block:
        assert fit.singular == block['isSingular']
        total = block['var_subject'] + block['var_residual']
        expected = np.array([block['var_subject'], block['var_residual']])
        np.testing.assert_allclose(fit.theta, expected, rtol=1e-5, atol=1e-8 * total)
    elif 'varcor' in block:
        expected = np.array(block['varcor'])
        np.testing.assert_allclose(fit.sigma, expected, atol=1e-5 * np.diag(expected).min())
    else:
        np.testing.assert_allclose(fit.theta, list(block['visit_variances'].values()), rtol=1e-5)


def agree_on_terms(fit, design, block, kind):
    first = 'anova_satterthwaite_first_level_basis' if kind == 'ri' else 'anova_satterthwaite'
    roger = 'anova_kenward_roger' if kind == 'ri' else 'anova_kenward_roger_linear'
    for key, basis in (
        (first, 'first'),
        ('anova_satterthwaite_spss_basis', 'last'),
        (roger, 'last'),
    ):
        for term, row in block.get(key, {}).items():
            L = hypothesis(design, term, basis)
            found = kenward_roger(fit, L) if key == roger else f_test(fit, L)
            assert found.num_df == row['numDF']
            assert found.f == pytest.approx(row['F'], rel=1e-5, abs=1e-6)
            assert found.den_df == pytest.approx(row['denDF'], rel=1e-5)
            assert found.p == pytest.approx(row['p'], rel=1e-3, abs=1e-12)


@pytest.mark.parametrize(('n', 'n_visits'), [(5, 3), (6, 4), (7, 5), (7, 4), (9, 3)])
@pytest.mark.parametrize('seed', [1, 2, 3])
def test_kenward_roger_of_complete_visits_is_hotellings_test(n, n_visits, seed):
    """Two groups, unstructured: also where the degrees of freedom are exactly 2."""
    rng = np.random.default_rng(seed)
    wide = rng.normal(size=(n, n_visits)) + np.arange(n_visits) + rng.normal(size=(n, 1))
    group = np.arange(n) % 2 * 2.0 - 1
    subject, visit = np.divmod(np.arange(wide.size), n_visits)
    coding = np.vstack([np.eye(n_visits - 1), -np.ones(n_visits - 1)])
    base = np.hstack([np.ones((len(visit), 1)), coding[visit]])
    X = np.hstack([base, base * group[subject][:, None]])
    fit = fit_reml(wide.ravel(), X, subject, visit, 'un')
    L = np.eye(2 * n_visits)[1:n_visits]
    found, q, nu = kenward_roger(fit, L), n_visits - 1, n - 2
    change = wide[:, :-1] - wide[:, -1:]
    means = [change[group == sign].mean(axis=0) for sign in (-1, 1)]
    within = change - np.where(group[:, None] < 0, *means)
    mean, S = sum(means) / 2, within.T @ within / nu
    counts = [(group == sign).sum() for sign in (-1, 1)]
    t2 = mean @ np.linalg.solve(S, mean) / (sum(1 / count for count in counts) / 4)
    assert found.den_df == pytest.approx(nu - q + 1, rel=1e-9)
    # Some estimates are nearly singular (condition 50 000), which costs digits.
    assert found.f == pytest.approx(t2 * (nu - q + 1) / (nu * q), rel=2e-4)
    assert found.p == pytest.approx(stats.f.sf(found.f, q, nu - q + 1), rel=1e-9)


def test_kenward_roger_without_a_matching_f_has_none():
    """Moments of no F distribution: degrees of freedom that are negative, or a scale that is."""
    assert all(np.isnan(_kr_scale(2, 3, 6)))
    assert np.isfinite(_kr_scale(2, 0.5, 0.6)).all()
