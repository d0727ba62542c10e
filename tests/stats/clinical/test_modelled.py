import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.modelled import run_linear, run_mixed
from ketbids.stats.clinical.specs import LinearStatistic, MixedStatistic, Outcome, RegionChoice
from tests.stats.clinical.study import (
    BEHAVIOUR,
    CHOSEN,
    CONTROLS,
    FOUND,
    LEFT,
    PATIENTS,
    REGIONS,
    SESSIONS,
    WHOLE,
    searched_study,
    study,
)

TRD = "group == 'TRD'"


def wide(data, outcome: str) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    own = data.outcomes[data.outcomes['outcome'] == outcome]
    return own.set_index(['participant_id', 'session_id'])['value'].unstack()


def mixed(**changes: object) -> MixedStatistic:
    base = MixedStatistic(
        'm', subset=TRD, outcome=REGIONS, formula='time * remitter', sessions=('TP1', 'TP3')
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def row(table: pd.DataFrame, **keys: str) -> pd.Series:
    for name, value in keys.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_two_by_two_is_the_t_test_of_the_differences() -> None:
    data = study()
    found = row(run_mixed(mixed(), data).tables['terms'], outcome=LEFT, term='time:remitter')
    change = wide(data, LEFT).loc[PATIENTS].eval('TP1 - TP3')
    t = stats.ttest_ind(change[:10], change[10:])
    assert found['f'] == pytest.approx(t.statistic**2, rel=1e-7)
    assert found['den_df'] == pytest.approx(18, rel=1e-6)
    assert found['p'] == pytest.approx(t.pvalue, rel=1e-6)
    assert (found['num_df'], found['n_subjects'], found['n_obs']) == (1, 20, 40)


def opposed(outcome: str) -> ClinicalData:
    """The study, with visits of an outcome that correlate negatively: no random intercept."""
    data = study()
    rng = np.random.default_rng(3)
    level = dict(zip(PATIENTS, rng.normal(0, 3, len(PATIENTS)), strict=True))
    sign = {'TP1': 1, 'TP2': 0, 'TP3': -1}
    outcomes = data.outcomes.copy()
    own = (outcomes['outcome'] == outcome) & outcomes['participant_id'].isin(PATIENTS)
    shift = outcomes['participant_id'].map(level) * outcomes['session_id'].map(sign)
    outcomes.loc[own, 'value'] += shift[own]
    return dataclasses.replace(data, outcomes=outcomes)


def test_a_singular_two_by_two_is_least_squares_and_cs_the_t_test_always() -> None:
    data = opposed(LEFT)
    result = run_mixed(mixed(compare=('cs', 'un')), data)
    change = wide(data, LEFT).loc[PATIENTS].eval('TP1 - TP3')
    t = stats.ttest_ind(change[:10], change[10:])
    found = row(result.tables['terms'], outcome=LEFT, term='time:remitter')
    assert found['singular']
    assert found['den_df'] == pytest.approx(36)
    assert found['f'] > 1.1 * t.statistic**2
    for name, outcome in itertools.product(('cs', 'un'), (LEFT, WHOLE)):
        change = wide(data, outcome).loc[PATIENTS].eval('TP1 - TP3')
        t = stats.ttest_ind(change[:10], change[10:])
        compared = row(
            result.tables['comparison'], outcome=outcome, covariance=name, term='time:remitter'
        )
        assert compared['f'] == pytest.approx(t.statistic**2, rel=1e-6)
        assert compared['den_df'] == pytest.approx(18, rel=1e-5)
        assert compared['p'] == pytest.approx(t.pvalue, rel=1e-5)
    assert f'In {LEFT}, the variance between participants was estimated as 0' in result.methods
    assert 'was estimated as 0' not in run_mixed(mixed(), study()).methods


def test_balanced_visits_give_the_repeated_measures_anova() -> None:
    data = study()
    result = run_mixed(mixed(outcome=Outcome('hdrs'), formula='time', sessions=SESSIONS), data)
    y = data.people.loc[PATIENTS, [f'hdrs_{s}' for s in SESSIONS]].to_numpy(float)
    n, k = y.shape
    between = n * ((y.mean(0) - y.mean()) ** 2).sum() / (k - 1)
    rest = y - y.mean(0) - y.mean(1, keepdims=True) + y.mean()
    f = between / ((rest**2).sum() / ((n - 1) * (k - 1)))
    found = row(result.tables['terms'], term='time')
    assert found['f'] == pytest.approx(f, rel=1e-7)
    assert found['den_df'] == pytest.approx((n - 1) * (k - 1), rel=1e-6)
    assert 'selection' not in result.tables['terms']
    assert 'families' not in result.tables


def test_a_circular_row_has_no_p_and_its_parcel_has_one() -> None:
    statistic = mixed(means=('time|remitter',), compare=('un',))
    tables = run_mixed(statistic, study()).tables
    chosen = row(tables['terms'], outcome=CHOSEN, term='time:remitter')
    whole = row(tables['terms'], outcome=WHOLE, term='time:remitter')
    assert chosen['selection'] == 'direct'
    assert np.isnan(chosen[['p', 'p_fdr', 'p_log10']].astype(float)).all()
    assert 0 < chosen['p_circular'] < 1
    assert chosen['companion'] == WHOLE
    assert whole['selection'] == 'independent'
    assert 0 < whole['p'] < 1
    assert tables['terms']['outcome'].drop_duplicates().tolist() == [CHOSEN, WHOLE, LEFT]
    for name in ('estimates', 'pairs', 'comparison'):
        table = tables[name]
        own = table['outcome'] == CHOSEN
        assert set(table.loc[own, 'selection']) <= {'direct', 'shared-data'}
        assert table.loc[own, 'p'].isna().all()
        assert table.loc[own, 'p_circular'].notna().all()
        assert table.loc[~own, 'p'].notna().all()
    pairs = tables['pairs']
    assert pairs.loc[pairs['outcome'] == CHOSEN, 'p_adjusted'].isna().all()
    assert set(tables['families']['outcome']) == {WHOLE, LEFT}
    assert set(tables['emmeans'].loc[tables['emmeans']['outcome'] == CHOSEN, 'selection']) == {
        'shared-data'
    }


def test_a_parcel_is_corrected_over_all_that_were_searched() -> None:
    statistic = mixed(outcome=FOUND, means=('time|remitter',), compare=('un',))
    result = run_mixed(statistic, searched_study())
    terms = result.tables['terms']
    own = terms[terms['term'] == 'time:remitter'].set_index('outcome')
    assert own.loc[[WHOLE, LEFT], 'family'].tolist() == ['parcels of DK'] * 2
    p = own.loc[[WHOLE, LEFT], 'p']
    np.testing.assert_allclose(own.loc[p.idxmin(), 'p_holm'], min(1, 2 * p.min()))
    assert own.loc[CHOSEN, ['family', 'p_holm', 'stars']].isna().all()
    pairs = result.tables['pairs']
    pair = pairs[(pairs['outcome'] != CHOSEN) & (pairs['remitter'] == 'yes')]
    assert pair['p_holm_family'].min() == pytest.approx(min(1, 2 * pair['p'].min()))
    assert pair['p_holm'].tolist() == pair['p'].tolist()
    for name in ('emmeans', 'values', 'influence', 'covariance', 'comparison'):
        assert set(result.tables[name]['outcome']) == {CHOSEN, WHOLE}, name
    assert set(result.summary['Models']) == {CHOSEN, WHOLE}
    assert LEFT in result.summary['Outcomes']
    assert 'all parcels were tested' in result.methods
    assert 'the 1 regions found by remitterChange' not in result.methods
    assert 'the 2 parcels of DK' in result.methods


def test_sentences_of_parcels_name_the_corrected_p_only() -> None:
    data = searched_study()
    shift = (data.outcomes['outcome'] == WHOLE) & (data.outcomes['session_id'] == 'TP3')
    outcomes = data.outcomes.assign(value=data.outcomes['value'] + 1.2 * shift)
    statistic = mixed(outcome=FOUND)
    result = run_mixed(statistic, dataclasses.replace(data, outcomes=outcomes))
    told = next(words for words in result.sentences if words.startswith(f'{WHOLE}, time: '))
    assert 'p(holm, 2 tests) ' in told
    assert ', p = ' not in told
    assert ', p < ' not in told


def test_people_whom_the_selection_never_saw_are_independent() -> None:
    use = study().selecting['remitterChange']
    others = dataclasses.replace(use, participants=frozenset(CONTROLS))
    terms = run_mixed(mixed(), study(selecting={'remitterChange': others})).tables['terms']
    assert set(terms['selection']) == {'independent'}


def test_simple_effects_are_corrected_within_each_level() -> None:
    statistic = mixed(sessions=SESSIONS, means=('time|remitter',), adjust='bonferroni')
    pairs = run_mixed(statistic, study()).tables['pairs']
    own = pairs[(pairs['outcome'] == LEFT) & (pairs['remitter'] == 'yes')]
    assert own['contrast'].tolist() == ['TP1 - TP2', 'TP1 - TP3', 'TP2 - TP3']
    np.testing.assert_allclose(own['p_bonferroni'], np.minimum(1, 3 * own['p']))
    assert own['p_adjusted'].tolist() == own['p_bonferroni'].tolist()
    assert set(pairs['adjust']) == {'bonferroni'}


def test_pairs_are_corrected_over_outcomes_too() -> None:
    families = run_mixed(mixed(means=('time|remitter',)), study()).tables['families']
    tests = families['test'].drop_duplicates().tolist()
    assert tests[:3] == ['time', 'remitter', 'time:remitter']
    assert 'time|remitter: TP1 - TP3 at remitter yes' in tests


def test_missing_visits_stay_in_and_are_told() -> None:
    data = study()
    kept = data.outcomes
    gone = (kept['participant_id'] == '21') & (kept['session_id'] == 'TP2')
    data = study(outcomes=kept[~gone])
    data.people.loc['22', 'age'] = np.nan
    result = run_mixed(mixed(sessions=SESSIONS, formula='time + age', center=('age',)), data)
    terms = row(result.tables['terms'], outcome=LEFT, term='time')
    assert (terms['n_subjects'], terms['n_obs'], terms['n_dropped']) == (19, 56, 4)
    assert result.tables['missing'].to_numpy().tolist() == [
        [
            'all',
            '21',
            'TP2',
            'map',
            'no map of the contrast, or no value of the region in it',
            'this visit is left out; TP1 and TP3 are analysed',
        ],
        ['all', '22', None, 'covariate', 'age is missing', 'not analysed'],
    ]
    assert result.summary['NParticipantsInSubset'] == 20
    assert result.summary['NParticipantsWithAllVariables'] == 19
    assert result.summary['Missing'] == {
        'covariate': {'Participants': 1, 'Visits': 0},
        'map': {'Participants': 1, 'Visits': 1},
    }


def test_what_cannot_be_fitted_has_the_reason() -> None:
    data = study()
    outcomes = data.outcomes.copy()
    outcomes.loc[outcomes['outcome'] == LEFT, 'value'] = 1.0
    result = run_mixed(mixed(), study(outcomes=outcomes))
    lost = row(result.tables['terms'], outcome=LEFT)
    assert 'L_precentral' in lost['not_available']
    assert np.isnan(lost['p'])
    assert LEFT not in set(result.tables['estimates']['outcome'])
    assert any(words.startswith('L_precentral: not fitted') for words in result.warnings)
    assert result.summary['Models'][LEFT] == {'NotAvailable': lost['not_available']}


def test_nothing_fitted_is_an_error_with_the_reasons() -> None:
    with pytest.raises(InputError, match=r'm: nothing could be fitted: .*dprime'):
        run_mixed(mixed(outcome=Outcome(behaviour=('dprime',))), study())


def test_nothing_significant_is_said_and_no_error() -> None:
    nothing = Outcome(regions=RegionChoice('nogoVsGo', selected_by=('pairedTP1TP3',)))
    result = run_mixed(mixed(outcome=nothing), study())
    assert result.tables == {}
    assert result.warnings == (
        'pairedTP1TP3 selected no region (see the notes), so there is none to analyse.',
    )


def test_structures_are_compared() -> None:
    statistic = mixed(
        outcome=Outcome('hdrs'), formula='time', sessions=SESSIONS, covariance='csh',
        compare=('ri', 'un'),
    )  # fmt: skip
    table = run_mixed(statistic, study()).tables['comparison']
    assert table['covariance'].tolist() == ['csh', 'ri', 'un']
    assert table['n_covariance_parameters'].tolist() == [4, 2, 6]
    np.testing.assert_allclose(
        table['aic'] - table['minus2_restricted_loglik'], 2 * table['n_covariance_parameters']
    )


def test_residuals_and_influence_are_recorded() -> None:
    result = run_mixed(mixed(outcome=Outcome('hdrs'), formula='time', sessions=SESSIONS), study())
    values = result.tables['values']
    np.testing.assert_allclose(values['value'] - values['fitted'], values['residual'])
    assert values['quantile'].sum() == pytest.approx(0, abs=1e-9)
    top = values['residual_whitened'].idxmax()
    assert values['quantile'].idxmax() == top
    influence = result.tables['influence']
    assert len(influence) == 20
    model = result.summary['Models']['hdrs']
    largest = influence.loc[influence['cooks_distance'].idxmax()]
    assert model['LargestCooksDistance'] == {
        'Participant': f'sub-{largest["participant_id"]}',
        'Distance': largest['cooks_distance'],
    }
    w = stats.shapiro(values['residual_whitened'])
    assert model['ShapiroWilk']['w'] == pytest.approx(w.statistic, rel=1e-6)


def test_sentences_and_methods_say_what_was_done() -> None:
    statistic = mixed(
        outcome=Outcome('hdrs'),
        formula='time',
        sessions=SESSIONS,
        covariance='csh',
        means=('time',),
    )
    result = run_mixed(statistic, study())
    found = row(result.tables['terms'], term='time')
    assert result.sentences[0].startswith(f'hdrs, time: F(2, {found["den_df"]:.2f}) = ')
    assert 'p(holm)' in result.sentences[1]
    for words in (
        'heterogeneous compound symmetry',
        'restricted maximum likelihood',
        "Satterthwaite's degrees of freedom",
        'as SAS and SPSS',
        'type III',
        "Holm's method",
        'nothing was imputed',
        'are given with normal quantiles in the table of values',
        TRD,
    ):
        assert words in result.methods
    # There are no covariates to lack.
    assert 'Who lacks' not in result.methods
    other = run_mixed(mixed(outcome=Outcome('hdrs'), formula='time * sex + age'), study())
    assert 'Who lacks sex or age was left out.' in other.methods


def test_circular_tests_have_no_sentence() -> None:
    sentences = run_mixed(mixed(), study()).sentences
    assert len(sentences) == 6
    assert not any('remitterChange' in sentence for sentence in sentences)


def test_a_linear_model_of_a_change() -> None:
    data = study()
    statistic = LinearStatistic(
        'l', subset=TRD, outcome=BEHAVIOUR, formula='remitter', value=('TP1', 'TP3'),
        means=('remitter',),
    )  # fmt: skip
    tables = run_linear(statistic, data).tables
    change = wide(data, 'accuracy').loc[PATIENTS].eval('TP1 - TP3')
    t = stats.ttest_ind(change[10:], change[:10])
    found = row(tables['terms'], term='remitter')
    assert found['f'] == pytest.approx(t.statistic**2, rel=1e-9)
    assert (found['den_df'], found['method']) == (pytest.approx(18), 'OLS')
    assert found['ddf_method'] == 'residual'
    pair = tables['pairs'].iloc[0]
    assert pair['contrast'] == 'no - yes'
    assert pair['t'] == pytest.approx(t.statistic, rel=1e-9)
    assert pair['d'] == pytest.approx(t.statistic * np.sqrt(1 / 10 + 1 / 10), rel=1e-9)
    assert set(tables['values']['session_id']) == {'TP1 - TP3'}
    assert 'covariance' not in tables


def test_analysis_of_covariance_agrees_with_statsmodels() -> None:
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    data = study()
    statistic = LinearStatistic(
        'l', outcome=BEHAVIOUR, formula='group * sex + age', value=('TP1',)
    )
    terms = run_linear(statistic, data).tables['terms'].set_index('term')
    frame = data.people.assign(y=wide(data, 'accuracy')['TP1'])
    fit = smf.ols('y ~ C(group, Sum) * C(sex, Sum) + age', frame).fit()
    expected = anova_lm(fit, typ=3)
    for term, name in {
        'group': 'C(group, Sum)',
        'sex': 'C(sex, Sum)',
        'age': 'age',
        'group:sex': 'C(group, Sum):C(sex, Sum)',
    }.items():
        assert terms.loc[term, 'f'] == pytest.approx(expected.loc[name, 'F'], rel=1e-8)
        assert terms.loc[term, 'p'] == pytest.approx(expected.loc[name, 'PR(>F)'], rel=1e-8)


def test_a_variable_of_people_is_an_outcome_too() -> None:
    data = study()
    statistic = LinearStatistic('l', subset=TRD, outcome=Outcome('hdrs_change'), formula='sex')
    tables = run_linear(statistic, data).tables
    values = data.people.loc[PATIENTS]
    t = stats.ttest_ind(*(values.loc[values['sex'] == s, 'hdrs_change'] for s in 'FM'))
    assert row(tables['terms'], term='sex')['f'] == pytest.approx(t.statistic**2, rel=1e-9)


def test_who_lacks_a_covariate_throughout_leaves_nobody() -> None:
    data = study()
    data.people['age'] = np.nan
    with pytest.raises(InputError, match='nobody has all of age'):
        run_linear(LinearStatistic('l', outcome=BEHAVIOUR, formula='age', value=('TP1',)), data)
