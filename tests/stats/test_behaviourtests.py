"""Group tests of behaviour against scipy and statsmodels."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.stats.behaviourtests import analyse_measures

PEOPLE = [f'{number:02}' for number in range(1, 25)]


@pytest.fixture
def people():
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            'group': ['HC', 'TRD'] * 12,
            'age': rng.integers(20, 60, 24).astype(float),
            'sex': rng.choice(['F', 'M'], 24),
        },
        index=PEOPLE,
    )


@pytest.fixture
def values():
    rng = np.random.default_rng(2)
    rows = [
        {'participant_id': who, 'session_id': when}
        | {'dprime': rng.normal(2 + (when == 'TP2')), 'rt': rng.normal(0.4, 0.05), 'one': 1.0}
        for who in PEOPLE
        for when in ('TP1', 'TP2')
    ]
    return pd.DataFrame(rows)


def wide(values, measure):
    return values.pivot_table(index='participant_id', columns='session_id', values=measure)


def test_change_over_time_is_the_paired_t_test(values, people):
    found = analyse_measures(
        values,
        people,
        ('dprime', 'rt'),
        formula='1',
        contrast={'Intercept': 1},
        difference=('TP1', 'TP2'),
        subset="group == 'TRD'",
    )
    for row in found.itertuples():
        table = wide(values, row.measure).loc[people.index[people['group'] == 'TRD']]
        expected = stats.ttest_rel(table['TP1'], table['TP2'])
        interval = expected.confidence_interval(0.95)
        assert (row.n, row.df) == (12, 11)
        assert row.t == pytest.approx(expected.statistic)
        assert row.p == pytest.approx(expected.pvalue)
        assert (row.ci_low, row.ci_high) == pytest.approx((interval.low, interval.high))
        assert row.estimate == pytest.approx((table['TP1'] - table['TP2']).mean())
        assert row.estimate / row.stderr == pytest.approx(row.t)
    assert found['not_available'].isna().all()


@pytest.mark.parametrize('equal', [True, False])
def test_groups_are_compared_by_student_or_welch(values, people, equal):
    found = analyse_measures(
        values,
        people,
        ('dprime',),
        formula='0 + group',
        contrast={'group[TRD]': 1, 'group[HC]': -1},
        session='TP1',
        variance_groups=None if equal else 'group',
    ).iloc[0]
    table = wide(values, 'dprime')['TP1']
    groups = [table[people['group'] == name] for name in ('TRD', 'HC')]
    expected = stats.ttest_ind(*groups, equal_var=equal)
    assert found['t'] == pytest.approx(expected.statistic)
    assert found['p'] == pytest.approx(expected.pvalue, rel=1e-4)
    assert found['df'] == pytest.approx(expected.df, rel=1e-4)
    interval = expected.confidence_interval(0.95)
    assert found['ci_low'] == pytest.approx(interval.low, rel=1e-4)


def test_covariates_are_those_of_the_analysis(values, people):
    import statsmodels.api as sm

    found = analyse_measures(
        values,
        people,
        ('rt',),
        formula='0 + group + age + sex',
        contrast={'group[TRD]': 1, 'group[HC]': -1},
        session='TP2',
        center=('age', 'sex'),
    ).iloc[0]
    design = sm.add_constant(
        pd.DataFrame(
            {
                'trd': (people['group'] == 'TRD').astype(float),
                'age': people['age'],
                'male': (people['sex'] == 'M').astype(float),
            }
        )
    )
    expected = sm.OLS(wide(values, 'rt')['TP2'], design).fit()
    assert found['estimate'] == pytest.approx(expected.params['trd'])
    assert found['stderr'] == pytest.approx(expected.bse['trd'])
    assert found['p'] == pytest.approx(expected.pvalues['trd'])
    assert found['df'] == 20


MEAN = {'formula': '1', 'contrast': {'Intercept': 1}, 'session': 'TP1'}


def test_p_is_corrected_over_the_measures_of_the_analysis(values, people):
    """Holm: the smallest p times 3, the next times 2, and never smaller than one before."""
    rng = np.random.default_rng(3)
    values = values.assign(a=rng.normal(0.6, 1, 48), b=rng.normal(0, 1, 48), c=rng.normal(0.5))
    found = analyse_measures(values, people, ('a', 'b', 'dprime'), **MEAN).sort_values('p')
    p = found['p'].to_numpy()
    expected = np.minimum(np.maximum.accumulate(p * [3, 2, 1]), 1)
    assert found['p_holm'].to_numpy() == pytest.approx(expected)


def test_a_measure_that_cannot_be_tested_has_a_reason_and_costs_nothing(values, people):
    values = values.assign(gone=np.nan, few=np.where(values.index < 2, 1.0, np.nan))
    found = analyse_measures(
        values, people, ('rt', 'one', 'gone', 'few'), minimum_n=3, **MEAN
    ).set_index('measure')
    assert found['p'].isna().tolist() == [False, True, True, True]
    assert found.loc['rt', 'p_holm'] == found.loc['rt', 'p']
    reasons = found['not_available']
    assert reasons['one'] == 'the values do not vary: there is nothing to test'
    assert reasons['gone'] == 'no session has a value'
    assert reasons['few'].startswith('1 participants are left, at least 3 are needed')
    assert found['n'].tolist() == [24, 24, 0, 0]


def test_changes_that_do_not_vary_are_not_tested(values, people):
    """0.1 + 0.2 - 0.3 is rounding, not an effect."""
    first = values['session_id'] == 'TP1'
    values = values.assign(same=np.where(first, 0.1 + 0.2, 0.3) + values.index // 2)
    found = analyse_measures(
        values,
        people,
        ('same',),
        formula='1',
        contrast={'Intercept': 1},
        difference=('TP1', 'TP2'),
    ).iloc[0]
    assert 'do not vary' in found['not_available']
    assert np.isnan(found['t'])


def test_who_lacks_one_measure_is_in_the_tests_of_the_others(values, people):
    values.loc[0, 'dprime'] = np.nan
    found = analyse_measures(values, people, ('dprime', 'rt'), **MEAN)
    assert found['n'].tolist() == [23, 24]


def test_excluded_sessions_are_in_no_test(values, people):
    excluded = pd.DataFrame(
        [{'participant_id': '01', 'session_id': 'TP1', 'run': None, 'reason': 'asleep'}]
    )
    found = analyse_measures(values, people, ('rt',), excluded=excluded, **MEAN).iloc[0]
    expected = wide(values, 'rt')['TP1'].drop('01')
    assert found['n'] == 23
    assert found['estimate'] == pytest.approx(expected.mean())


def test_studies_without_sessions(values, people):
    single = values[values['session_id'] == 'TP1'].assign(session_id='')
    found = analyse_measures(single, people, ('rt',), formula='1', contrast={'Intercept': 1})
    assert found.loc[0, 'n'] == 24


LEVELS = [
    MEAN,
    {'formula': '0 + group', 'contrast': {'group[TRD]': 1}, 'session': 'TP1'},
    {'formula': '1 + age', 'contrast': {'Intercept': 1}, 'session': 'TP1', 'center': ('age',)},
]


@pytest.mark.parametrize('analysis', LEVELS)
def test_a_level_is_tested_only_where_zero_means_something(values, people, analysis):
    found = analyse_measures(values, people, ('dprime', 'rt'), against_zero={'dprime'}, **analysis)
    every = analyse_measures(values, people, ('dprime', 'rt'), **analysis)
    dprime, rt = found.to_dict('records')
    assert dprime['p'] == dprime['p_holm'] == every.loc[0, 'p']
    assert np.isnan([rt['t'], rt['p'], rt['p_holm']]).all()
    assert 'no question' in rt['not_available']
    kept = ['n', 'estimate', 'stderr', 'df', 'ci_low', 'ci_high']
    assert [rt[name] for name in kept] == every.loc[1, kept].tolist()


@pytest.mark.parametrize(
    'analysis',
    [
        {'formula': '1', 'contrast': {'Intercept': 1}, 'difference': ('TP1', 'TP2')},
        {
            'formula': '0 + group',
            'contrast': {'group[TRD]': 1, 'group[HC]': -1},
            'session': 'TP1',
        },
        {'formula': '1 + age', 'contrast': {'age': 1}, 'session': 'TP1', 'center': ('age',)},
    ],
)
def test_differences_and_slopes_are_questions(values, people, analysis):
    found = analyse_measures(values, people, ('dprime', 'rt'), against_zero=(), **analysis)
    assert found['p'].notna().all()
    assert found['not_available'].isna().all()
