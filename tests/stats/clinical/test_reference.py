import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.clinical.reference import run_reference
from ketbids.stats.clinical.specs import Outcome, ReferenceStatistic
from tests.stats.clinical.study import BEHAVIOUR, CHOSEN, CONTROLS, PATIENTS, REGIONS, WHOLE, study

PLAIN = ReferenceStatistic(
    'r',
    outcome=BEHAVIOUR,
    groups={'remitters': "group == 'TRD' and remitter", 'patients': "group == 'TRD'"},
    reference='controls',
    reference_subset="group == 'HC'",
    reference_session='TP1',
    sessions=('TP1', 'TP3'),
)


def values(data, who: list[str], when: str) -> np.ndarray:  # type: ignore[no-untyped-def]
    own = data.outcomes.query('outcome == "accuracy" and session_id == @when')
    return own.set_index('participant_id').loc[who, 'value'].to_numpy(float)


def test_without_covariates_it_is_students_t() -> None:
    data = study()
    table = run_reference(PLAIN, data).tables['comparisons']
    assert table[['group', 'session_id']].to_numpy().tolist() == [
        ['remitters', 'TP1'],
        ['remitters', 'TP3'],
        ['patients', 'TP1'],
        ['patients', 'TP3'],
    ]
    for (_, row), who in zip(
        table.iterrows(), (PATIENTS[:10], PATIENTS[:10], PATIENTS, PATIENTS), strict=True
    ):
        a, b = values(data, who, row['session_id']), values(data, CONTROLS, 'TP1')
        t = stats.ttest_ind(a, b)
        interval = t.confidence_interval()
        assert row['estimate'] == pytest.approx(a.mean() - b.mean())
        assert (row['t'], row['p']) == pytest.approx((t.statistic, t.pvalue))
        assert (row['ci95_low'], row['ci95_high']) == pytest.approx(tuple(interval))
        assert (row['n'], row['n_reference']) == (len(a), 12)
        assert (row['mean'], row['sd_reference']) == pytest.approx((a.mean(), b.std(ddof=1)))
        assert row['d'] == pytest.approx(t.statistic * np.sqrt(1 / len(a) + 1 / len(b)))
    np.testing.assert_allclose(table['p_holm_outcome'], _holm(table['p'].to_numpy()))


def _holm(p: np.ndarray) -> np.ndarray:
    from statsmodels.stats.multitest import multipletests

    return np.asarray(multipletests(p, method='holm')[1])


def test_adjusted_it_is_the_coefficient_of_the_group() -> None:
    import statsmodels.formula.api as smf

    data = study()
    statistic = dataclasses.replace(PLAIN, covariates=('age', 'sex'))
    row = run_reference(statistic, data).tables['comparisons'].iloc[3]
    frame = data.people.assign(y=np.nan, patient=data.people['group'].eq('TRD').astype(float))
    frame.loc[PATIENTS, 'y'] = values(data, PATIENTS, 'TP3')
    frame.loc[CONTROLS, 'y'] = values(data, CONTROLS, 'TP1')
    fit = smf.ols('y ~ patient + age + C(sex)', frame).fit()
    assert row['estimate'] == pytest.approx(fit.params['patient'], rel=1e-9)
    assert row['se'] == pytest.approx(fit.bse['patient'], rel=1e-9)
    assert (row['df'], row['p']) == pytest.approx((28, fit.pvalues['patient']))


def test_selected_regions_are_qualified_and_their_parcels_tested() -> None:
    tables = run_reference(dataclasses.replace(PLAIN, outcome=REGIONS), study()).tables
    table = tables['comparisons']
    chosen, whole = (table[table['outcome'] == name] for name in (CHOSEN, WHOLE))
    assert set(chosen['selection']) == {'shared-data'}
    assert chosen['p'].isna().all()
    assert chosen['p_circular'].notna().all()
    assert whole['p'].notna().all()
    assert table['outcome'].drop_duplicates().tolist()[:2] == [CHOSEN, WHOLE]
    parcels = table[(table['source'] == 'parcel') & (table['group'] == 'patients')]
    at_first = parcels[parcels['session_id'] == 'TP1']
    np.testing.assert_allclose(at_first['p_holm'], _holm(at_first['p'].to_numpy()))
    assert set(at_first['family']) == {'parcels of DK'}
    assert set(tables['families']['test']) == {
        f'{group} {session}' for group in PLAIN.groups for session in PLAIN.sessions
    }


def test_who_is_unknown_is_told_but_not_of_the_reference_group() -> None:
    data = study()
    data.people.loc['21', 'remitter'] = None
    missing = run_reference(PLAIN, data).tables['missing']
    assert missing.to_numpy().tolist() == [
        [
            'accuracy',
            '21',
            None,
            'subset',
            'not known whether in the subset: remitter is unknown',
            'not in remitters',
        ]
    ]


def test_nobody_is_compared_with_himself() -> None:
    statistic = dataclasses.replace(PLAIN, groups={'everybody': 'age > 0'})
    with pytest.raises(InputError, match='sub-01 is in everybody and in controls'):
        run_reference(statistic, study())


def test_a_comparison_that_cannot_be_made_has_the_reason() -> None:
    data = study()
    outcomes = data.outcomes.copy()
    # Of somebody who is in no group at that session.
    outcomes.loc[outcomes['session_id'] == 'TP3', 'participant_id'] = '01'
    outcomes = outcomes.drop_duplicates(['participant_id', 'session_id', 'outcome'])
    table = run_reference(PLAIN, study(outcomes=outcomes)).tables['comparisons']
    assert table['not_available'].notna().tolist() == [False, True, False, True]
    assert table['n'].tolist() == [10, 0, 20, 0]
    assert table['not_available'].dropna().tolist() == [
        'nobody of remitters has a value at TP3',
        'nobody of patients has a value at TP3',
    ]


def test_warnings_and_reasons_do_not_name_the_factor_of_the_fit() -> None:
    data = study()
    few = dataclasses.replace(
        PLAIN, groups={'one': f'hdrs_TP1 == {data.people["hdrs_TP1"].max()}'}
    )
    result = run_reference(few, data)
    assert any('group one has one participant' in words for words in result.warnings)
    assert 'group.' not in ' '.join(result.warnings)


def test_nothing_to_compare_is_an_error() -> None:
    statistic = dataclasses.replace(PLAIN, outcome=Outcome(behaviour=('dprime',)))
    with pytest.raises(InputError, match='r: nothing could be compared'):
        run_reference(statistic, study())


def test_the_methods_name_groups_and_covariates() -> None:
    text = run_reference(dataclasses.replace(PLAIN, covariates=('age',)), study()).methods
    for words in ('remitters', 'controls', 'at TP1', 'adjusted for age', "Holm's method"):
        assert words in text
    assert 'lacks the value of a session or a covariate was' in text
    assert 'covariate' not in run_reference(PLAIN, study()).methods


def test_a_group_without_anybody_does_not_stop_the_others() -> None:
    groups = {**PLAIN.groups, 'old': 'age > 200'}
    result = run_reference(dataclasses.replace(PLAIN, groups=groups), study())
    plain = run_reference(PLAIN, study()).tables['comparisons']
    table = result.tables['comparisons']
    old = table['group'] == 'old'
    assert set(table.loc[old, 'not_available']) == {"old: nobody is in the subset 'age > 200'"}
    assert table.loc[old, ['n', 'p', 'estimate']].fillna(0).eq(0).all(axis=None)
    pd.testing.assert_series_equal(
        table.loc[~old, 'p'].reset_index(drop=True), plain['p'].reset_index(drop=True)
    )
    nobody = dataclasses.replace(PLAIN, reference_subset='age > 200')
    with pytest.raises(InputError, match="controls: nobody is in the subset 'age > 200'"):
        run_reference(nobody, study())


def test_a_session_that_there_is_not() -> None:
    statistic = dataclasses.replace(PLAIN, sessions=('TP1', 'T9'))
    with pytest.raises(InputError, match='Nobody has a value at T9; there are values at TP1, TP2'):
        run_reference(statistic, study())


def test_an_excluded_control_is_no_unknown_patient() -> None:
    data = study()
    people = data.people.copy()
    people['remitter'] = people['remitter'].astype(object)
    people.loc[CONTROLS, 'remitter'] = None
    excluded = pd.DataFrame(
        [(CONTROLS[0], '', 'metal')], columns=['participant_id', 'session_id', 'reason']
    )
    data = dataclasses.replace(data, people=people, excluded=excluded)
    missing = run_reference(PLAIN, data).tables['missing']
    own = missing[missing['participant_id'] == CONTROLS[0]]
    assert own['missing'].tolist() == ['excluded']
    assert not missing['consequence'].str.startswith('not in').any()
