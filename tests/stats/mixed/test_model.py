"""Whole models: closed forms, lmerTest's and emmeans' numbers, invariances, influence."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.stats.effectsizes import hedges_j
from ketbids.stats.mixed.model import MixedModel, fit_mixed
from tests.stats.mixed.simulated import trial

FORMULA = 'y ~ time * group + age + sex'
WHO: dict[str, Any] = {'subject': 'subject', 'visit': 'time'}
STRUCTURES = ('ri', 'cs', 'csh', 'un', 'ar1', 'arh1', 'toep', 'diag')


def complete(seed=1, visits=('TP1', 'TP2', 'TP3'), groups=(9, 14)):
    """Complete data, wide and long; between-participant variance is large."""
    rng = np.random.default_rng(seed)
    n = sum(groups)
    wide = rng.normal(0, 3, (n, 1)) + rng.normal(0, 1, (n, len(visits)))
    wide += np.linspace(20, 17, len(visits))
    group = np.repeat(['a', 'b'], groups)
    wide[group == 'b', -1] += 1
    long = pd.DataFrame(
        {
            'subject': np.repeat([f's{i:02d}' for i in range(n)], len(visits)),
            'time': np.tile(visits, n),
            'group': np.repeat(group, len(visits)),
            'y': wide.ravel(),
        }
    )
    return wide, long


def row(table, term):
    return table.set_index('term').loc[term]


def test_complete_data_give_the_repeated_measures_anova():
    wide, long = complete()
    n, k = wide.shape
    centred = wide - wide.mean(axis=1, keepdims=True) - wide.mean(axis=0) + wide.mean()
    error = (centred**2).sum() / ((n - 1) * (k - 1))
    f = n * ((wide.mean(axis=0) - wide.mean()) ** 2).sum() / (k - 1) / error
    fit = fit_mixed(long, 'y ~ time', **WHO)
    for ddf in ('satterthwaite', 'kenward-roger'):
        for basis in ('spss', 'lmertest'):
            found = row(fit.terms(ddf, basis), 'time')
            assert found['f'] == pytest.approx(f, rel=1e-9)
            assert (found['num_df'], found['den_df']) == (2, pytest.approx((n - 1) * (k - 1)))
            assert found['p'] == pytest.approx(stats.f.sf(f, 2, (n - 1) * (k - 1)), rel=1e-6)
            assert found['partial_eta2'] == pytest.approx(2 * f / (2 * f + (n - 1) * (k - 1)))
            assert found['ci90_low'] < found['partial_eta2'] < found['ci90_high']


@pytest.mark.parametrize('covariance', ['ri', 'cs', 'un', 'csh'])
def test_two_groups_and_two_visits_give_the_t_test_of_the_differences(covariance):
    wide, long = complete(visits=('TP1', 'TP3'))
    difference = wide[:, 1] - wide[:, 0]
    t = stats.ttest_ind(difference[:9], difference[9:])
    found = row(fit_mixed(long, 'y ~ time * group', covariance=covariance, **WHO).terms(),
                'time:group')  # fmt: skip
    assert found['f'] == pytest.approx(t.statistic**2, rel=1e-6)
    assert found['p'] == pytest.approx(t.pvalue, rel=1e-5)
    if covariance != 'csh':
        assert found['den_df'] == pytest.approx(len(wide) - 2, rel=1e-6)


def test_two_visits_give_the_paired_t_test():
    wide, long = complete(visits=('TP1', 'TP3'))
    t = stats.ttest_rel(wide[:, 0], wide[:, 1])
    pair = fit_mixed(long, 'y ~ time', **WHO).pairs('time').iloc[0]
    assert pair['contrast'] == 'TP1 - TP3'
    assert pair['t'] == pytest.approx(t.statistic)
    assert pair['df'] == pytest.approx(len(wide) - 1)
    low, high = t.confidence_interval(0.95)
    np.testing.assert_allclose([pair['ci95_low'], pair['ci95_high']], [low, high])
    corrected = pair[['p', 'p_bonferroni', 'p_holm', 'p_sidak', 'p_tukey']].to_numpy(float)
    np.testing.assert_allclose(corrected, t.pvalue, rtol=1e-7)


def test_effect_sizes_of_pairs():
    wide, long = complete(visits=('TP1', 'TP3'))
    pair = fit_mixed(long, 'y ~ time', **WHO).pairs('time').iloc[0]
    # Complete data: the mean variance of the visits, and the noncentral t around it.
    sd = np.sqrt(wide.var(axis=0, ddof=1).mean())
    assert pair['d'] == pytest.approx((wide[:, 0] - wide[:, 1]).mean() / sd)
    df, unit = len(wide) - 1, pair['se'] / sd
    for limit, probability in (('low', 0.975), ('high', 0.025)):
        nc = pair[f'd_ci95_{limit}'] / unit
        assert stats.nct.cdf(pair['t'], df, nc) == pytest.approx(probability, abs=1e-6)
        g = pair[f'd_ci95_{limit}'] * hedges_j(df)
        assert pair[f'g_ci95_{limit}'] == pytest.approx(g)
    assert pair['g'] == pytest.approx(pair['d'] * hedges_j(df))
    assert pair['denominator'] == 'sqrt(var(intercept) + var(residual))'


def test_independent_rows_are_ordinary_least_squares():
    table = trial(5)
    fit = fit_mixed(table, FORMULA, subject='subject', covariance='independent')
    X, y = fit.design.matrix, table['y'].to_numpy()
    rss = ((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2).sum()
    df = len(X) - X.shape[1]
    for term, columns in fit.design.slices.items():
        kept = np.delete(X, columns, axis=1)
        without = ((y - kept @ np.linalg.lstsq(kept, y, rcond=None)[0]) ** 2).sum()
        q = columns.stop - columns.start
        for ddf in ('satterthwaite', 'kenward-roger'):
            found = row(fit.terms(ddf), term)
            assert found['f'] == pytest.approx((without - rss) / q / (rss / df), rel=1e-9)
            assert found['den_df'] == pytest.approx(df)
    assert fit.covariance()['estimate'].tolist() == [pytest.approx(rss / df)]


# Made-up data; the numbers below are lmerTest 3.1-3's and emmeans 1.8.4's.
SMALL = """subject,time,group,age,y
a,TP1,x,21,14.2\na,TP2,x,21,11.9\na,TP3,x,21,7.1\nb,TP1,x,35,18.0\nb,TP2,x,35,12.2
b,TP3,x,35,10.4\nc,TP1,x,44,16.1\nc,TP3,x,44,9.9\nd,TP1,x,52,20.3\nd,TP2,x,52,15.5
e,TP1,z,29,17.7\ne,TP2,z,29,16.3\ne,TP3,z,29,15.9\nf,TP1,z,33,15.0\nf,TP2,z,33,15.8
f,TP3,z,33,11.2\ng,TP1,z,61,21.9\ng,TP2,z,61,17.0\nh,TP1,z,47,19.4\nh,TP2,z,47,18.8
h,TP3,z,47,18.1\ni,TP1,z,38,16.6\ni,TP3,z,38,14.7\nj,TP1,z,40,18.5\n"""


@pytest.fixture(scope='module')
def small():
    return fit_mixed(pd.read_csv(io.StringIO(SMALL)), 'y ~ time * group + age', **WHO)


def test_terms_as_lmertest_prints_them(small):
    assert (small.n_obs, small.n_subjects, small.singular) == (24, 10, False)
    found = small.terms('satterthwaite', 'lmertest')
    assert found['term'].tolist() == ['time', 'group', 'age', 'time:group']
    assert found['num_df'].tolist() == [2, 1, 1, 2]
    np.testing.assert_allclose(
        found['den_df'], [11.810421241, 7.339353482, 7.360692906, 11.946419457], rtol=2e-6
    )
    np.testing.assert_allclose(found['f'], [27.68640, 11.84724, 11.83658, 6.08442], rtol=1e-6)
    roger = small.terms('kenward-roger')
    np.testing.assert_allclose(
        roger['den_df'], [11.102567345, 6.554587130, 6.575197803, 11.250358972], rtol=2e-6
    )
    np.testing.assert_allclose(roger['f'], [27.15631, 11.63736, 11.75583, 5.90484], rtol=1e-6)
    one = fit_mixed(pd.read_csv(io.StringIO(SMALL)), 'y ~ time', **WHO)
    assert one.terms(basis='lmertest')['den_df'][0] == pytest.approx(13.25678919, rel=2e-6)
    assert one.terms(basis='spss')['den_df'][0] != pytest.approx(13.25678919, rel=1e-5)


def test_coefficients_and_covariance_as_lmertest_prints_them(small):
    found = small.estimates()
    assert found['term'].tolist()[-2:] == ['timeTP2:groupz', 'timeTP3:groupz']
    expected = [12.1698215, -3.9202306, -7.2499783, 0.5964756, 0.1310573, 2.5004861, 4.6069400]
    np.testing.assert_allclose(found['estimate'], expected, atol=1e-6)
    age = row(found, 'age')
    assert age['se'] == pytest.approx(0.03809326331, rel=1e-6)
    assert age['p'] == pytest.approx(0.01001960448, rel=1e-5)
    found = small.covariance()
    assert found['parameter'].tolist() == ['var(intercept)', 'var(residual)']
    np.testing.assert_allclose(found['estimate'], [0.967713533, 1.705751791], rtol=1e-5)
    np.testing.assert_allclose(found['wald_z'], found['estimate'] / found['se'])


def test_criteria_say_what_they_count(small):
    found = small.criteria()
    assert found['loglik'] == pytest.approx(-39.4957685446, abs=1e-8)
    two = found['minus2_restricted_loglik']
    assert two == pytest.approx(78.9915370892, abs=1e-7)
    assert (found['n_covariance_parameters'], found['n_fixed_parameters']) == (2, 7)
    assert found['aic'] == two + 4
    assert found['aicc'] == pytest.approx(two + 2 * 2 * 17 / (17 - 2 - 1))
    assert found['bic'] == pytest.approx(two + 2 * np.log(17))
    assert found['bic_sas'] == pytest.approx(two + 2 * np.log(10))
    assert found['aic_lme4'] == pytest.approx(two + 18)
    assert found['bic_lme4'] == pytest.approx(two + 9 * np.log(24))
    assert found['count'].startswith('aic, aicc, bic, bic_sas: covariance parameters')


def test_means_and_simple_effects_as_emmeans_prints_them(small):
    found = small.emmeans('time|group')
    assert found[['time', 'group']].to_numpy().tolist()[3] == ['TP1', 'z']
    expected = [17.220989386, 13.300758814, 9.971011075, 17.817464959, 16.397720468, 15.174426621]
    np.testing.assert_allclose(found['emmean'], expected, rtol=1e-6)
    np.testing.assert_allclose(found['se'][0], 0.8177970939, rtol=1e-5)
    np.testing.assert_allclose(found['df'][[0, 3]], [14.02, 13.84], atol=0.006)
    np.testing.assert_allclose(found['ci95_low'][3], 16.366180635, rtol=1e-5)
    assert found['n'].tolist() == [4, 3, 3, 6, 4, 4]
    assert found['mean'][1] == pytest.approx(np.mean([11.9, 12.2, 15.5]))
    assert found['sd'][1] == pytest.approx(np.std([11.9, 12.2, 15.5], ddof=1))
    pairs = small.pairs('time|group')
    assert list(pairs)[:3] == ['group', 'contrast', 'estimate']
    corrected = {
        'p': [2.444136871e-03, 1.565533094e-05, 1.104439933e-02, 1.280821816e-01],
        'p_holm': [4.888273742e-03, 4.696599281e-05, 1.104439933e-02, 2.561643633e-01],
        'p_tukey': [6.368328236e-03, 4.297796023e-05, 2.775890036e-02, 2.695739398e-01],
        'p_sidak': [7.314503798e-03, 4.696525755e-05, 3.276860892e-02, 3.371326031e-01],
    }
    for name, expected in corrected.items():
        np.testing.assert_allclose(pairs[name][:4], expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize('covariance', STRUCTURES)
def test_units_and_the_order_of_rows_change_nothing(covariance):
    table = trial(7)
    expected = fit_mixed(table, FORMULA, covariance=covariance, **WHO)
    shuffled = table.sample(frac=1, random_state=1).assign(y=lambda t: 1e4 + 1e-6 * t['y'])
    found = fit_mixed(shuffled, FORMULA, covariance=covariance, **WHO)
    for name in ('f', 'den_df', 'p'):
        np.testing.assert_allclose(found.terms()[name], expected.terms()[name], rtol=2e-5)
    means = (found.emmeans('time')['emmean'] - 1e4) / 1e-6
    np.testing.assert_allclose(means, expected.emmeans('time')['emmean'], rtol=1e-5)


@pytest.mark.parametrize('covariance', ['ri', 'csh', 'un'])
def test_reversed_levels_turn_the_basis_of_lmertest_into_that_of_spss(covariance):
    table = trial(2)
    levels = {'time': ['TP3', 'TP2', 'TP1'], 'group': ['remitter', 'nonremitter']}
    formula = 'y ~ time * group'
    spss = fit_mixed(table, formula, covariance=covariance, **WHO).terms(basis='spss')
    turned = fit_mixed(table, formula, covariance=covariance, levels=levels, **WHO)
    found = turned.terms(basis='lmertest')
    np.testing.assert_allclose(found['f'], spss['f'], rtol=1e-8)
    np.testing.assert_allclose(found['den_df'], spss['den_df'], rtol=1e-6)
    same = fit_mixed(table, formula, covariance=covariance, **WHO).terms(basis='lmertest')
    np.testing.assert_allclose(same['f'], spss['f'], rtol=1e-10)
    assert abs(same['den_df'][0] / spss['den_df'][0] - 1) > 1e-5


def test_many_responses_share_their_preparation():
    table = trial(4)
    model = MixedModel(table, 'time * group + age', covariance='csh', **WHO)
    rng = np.random.default_rng(0)
    responses = [table['y'].to_numpy(), rng.normal(size=len(table)), rng.normal(size=len(table))]
    responses[2][[3, 8]] = np.nan
    prepared = []
    for y in responses:
        found = model.fit(y, name='roi')
        single = fit_mixed(
            table.assign(roi=y), 'roi ~ time * group + age', covariance='csh', **WHO
        )
        pd.testing.assert_frame_equal(found.terms(), single.terms())
        pd.testing.assert_frame_equal(found.pairs('time|group'), single.pairs('time|group'))
        prepared.append(found.prepared)
    assert prepared[0] is prepared[1] is not prepared[2]
    assert found.dropped['reason'].tolist() == ['roi missing'] * 2
    assert found.n_obs == len(table) - 2
    assert model.fit(responses[0], covariance='un').structure == 'un'


def test_centring_moves_tests_of_factors_and_nothing_else():
    table = trial(6)
    raw = fit_mixed(table, 'y ~ time * age', **WHO)
    centred = fit_mixed(table, 'y ~ time * age', center=['age'], **WHO)
    for term in ('age', 'time:age'):
        assert row(raw.terms(), term)['f'] == pytest.approx(row(centred.terms(), term)['f'])
    assert row(raw.terms(), 'time')['f'] < row(centred.terms(), 'time')['f'] / 2
    pd.testing.assert_frame_equal(raw.emmeans('time'), centred.emmeans('time'), rtol=1e-6)


def test_visits_are_found_without_being_named():
    table = trial(8)
    found = fit_mixed(table, FORMULA, subject='subject')
    pd.testing.assert_frame_equal(found.terms(), fit_mixed(table, FORMULA, **WHO).terms())
    assert found.prepared.rows.visits == ('TP1', 'TP2', 'TP3')
    numbered = fit_mixed(table, 'y ~ age', subject='subject')
    assert numbered.prepared.rows.visits == ('1', '2', '3')


def test_a_singular_fit_is_ordinary_least_squares_and_says_so():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(12, 3))
    values -= values.mean(axis=1, keepdims=True)
    table = pd.DataFrame(values, columns=list('abc')).rename_axis('subject').reset_index()
    table = table.melt('subject', var_name='time', value_name='y')
    fit = fit_mixed(table, 'y ~ time', **WHO)
    ols = fit_mixed(table, 'y ~ time', covariance='independent', **WHO)
    assert fit.singular
    assert fit.warnings[-1].startswith('Singular: the variance between participants is 0')
    pd.testing.assert_frame_equal(fit.terms(), ols.terms(), rtol=1e-6)
    assert fit.terms()['den_df'][0] == pytest.approx(33)
    found = fit.covariance()
    assert found['estimate'][0] == 0
    assert np.isnan(found['se'][0])
    assert found['note'][0] == 'on the boundary: no standard error'
    assert found['note'].isna().tolist() == [False, True]
    assert row(fit.terms('kenward-roger'), 'time')['den_df'] < 33


def test_p_that_are_too_small_for_numbers_have_a_logarithm():
    _, long = complete(3, groups=(60, 60))
    long['y'] += long['time'].map({'TP1': 1e5, 'TP2': 0, 'TP3': -1e5})
    found = fit_mixed(long, 'y ~ time', **WHO).terms().iloc[0]
    assert found['p'] == 0
    half = found['den_df'] / 2  # with 2 numerator df the tail is (1 + 2 F / df)^(-df / 2)
    exact = -half * np.log10(1 + 2 * found['f'] / found['den_df'])
    assert exact < -308
    assert found['p_log10'] == pytest.approx(exact, rel=1e-9)


def test_parameters_are_named_by_visit():
    names = fit_mixed(trial(9), 'y ~ time', covariance='csh', **WHO).covariance()['parameter']
    assert names.tolist() == ['var(TP1)', 'var(TP2)', 'var(TP3)', 'rho']


@pytest.mark.parametrize('covariance', ['ri', 'csh', 'un'])
def test_cooks_distance_is_that_of_deleted_participants(covariance):
    fit = fit_mixed(trial(1, n=12), 'y ~ time + age', covariance=covariance, **WHO)
    rows, X = fit.prepared.rows, fit.design.matrix
    same = rows.subject[:, None] == rows.subject
    inverse = np.linalg.inv(np.where(same, fit.fit.sigma[np.ix_(rows.visit, rows.visit)], 0))
    whole = X.T @ inverse @ X
    expected = []
    for who in range(12):
        kept = rows.subject != who
        part = X[kept].T @ inverse[np.ix_(kept, kept)]
        shift = fit.fit.beta - np.linalg.solve(part @ X[kept], part @ fit.y[kept])
        expected.append(shift @ whole @ shift / X.shape[1])
    found = fit.influence()
    assert list(found) == ['subject', 'n', 'cooks_distance', 'not_available']
    np.testing.assert_allclose(found['cooks_distance'], expected, rtol=1e-8)
    assert found['n'].tolist() == np.bincount(rows.subject).tolist()


def test_a_participant_who_alone_determines_a_coefficient_has_no_distance():
    table = trial(1, n=12)
    table['odd'] = np.where(table['subject'] == 's04', 'yes', 'no')
    found = fit_mixed(table, 'y ~ time + odd', **WHO).influence()
    lost = found['cooks_distance'].isna()
    assert found['subject'][lost].tolist() == ['s04']
    assert found['not_available'].notna().tolist() == lost.tolist()
    assert 'a coefficient cannot be estimated' in str(found['not_available'][lost].iloc[0])


def test_whitened_residuals_have_the_quadratic_form_of_the_likelihood():
    fit = fit_mixed(trial(2), FORMULA, covariance='csh', **WHO)
    found, rows = fit.residuals(), fit.prepared.rows
    np.testing.assert_allclose(found['fitted'] + found['residual'], found['value'])
    same = rows.subject[:, None] == rows.subject
    V = np.where(same, fit.fit.sigma[np.ix_(rows.visit, rows.visit)], 0)
    r = found['residual'].to_numpy()
    # At the REML estimates r' V^-1 r = n - p for structures that hold a scale.
    assert (found['whitened'] ** 2).sum() == pytest.approx(r @ np.linalg.solve(V, r))
    assert (found['whitened'] ** 2).sum() == pytest.approx(fit.n_obs - len(fit.fit.beta))
    ri = fit_mixed(trial(2), FORMULA, covariance='independent', **WHO)
    sd = np.sqrt(ri.covariance()['estimate'][0])
    np.testing.assert_allclose(ri.residuals()['whitened'], ri.residuals()['residual'] / sd)


def test_normality_of_the_whitened_residuals():
    fit = fit_mixed(trial(2), FORMULA, **WHO)
    found = fit.normality()
    expected = stats.shapiro(fit.residuals()['whitened'])
    assert found == {
        'n': fit.n_obs,
        'w': pytest.approx(expected.statistic),
        'p': pytest.approx(expected.pvalue),
        'not_available': None,
    }


def test_columns_of_the_tables(small):
    assert list(small.terms()) == [
        'term', 'num_df', 'den_df', 'f', 'p', 'p_log10', 'partial_eta2', 'ci90_low', 'ci90_high',
    ]  # fmt: skip
    assert list(small.estimates()) == [
        'term', 'estimate', 'se', 'df', 't', 'p', 'ci95_low', 'ci95_high',
    ]  # fmt: skip
    assert list(small.emmeans('time')) == [
        'time', 'n', 'mean', 'sd', 'emmean', 'se', 'df', 'ci95_low', 'ci95_high',
    ]  # fmt: skip
    assert list(small.pairs('time')) == [
        'contrast', 'estimate', 'se', 'df', 't', 'p', 'p_bonferroni', 'p_holm', 'p_sidak',
        'p_tukey', 'ci95_low', 'ci95_high', 'd', 'd_ci95_low', 'd_ci95_high', 'g', 'g_ci95_low',
        'g_ci95_high', 'denominator',
    ]  # fmt: skip


@pytest.mark.parametrize('covariance', ['cs', 'ar1', 'toep'])
def test_d_of_one_variance_names_its_denominator(covariance):
    fit = fit_mixed(complete()[1], 'y ~ time', **WHO, covariance=covariance)
    pairs = fit.pairs('time')
    assert set(pairs['denominator']) == {'model SD of a visit'}
    sd = np.sqrt(fit.fit.sigma[0, 0])
    np.testing.assert_allclose(pairs['d'], pairs['estimate'] / sd)
