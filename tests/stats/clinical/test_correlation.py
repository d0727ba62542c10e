import dataclasses

import numpy as np
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.clinical.correlation import run_correlation
from ketbids.stats.clinical.run import run_statistic
from ketbids.stats.clinical.specs import CorrelationStatistic, Outcome
from tests.stats.clinical.study import BEHAVIOUR, CHOSEN, PATIENTS, REGIONS, WHOLE, study

PLAIN = CorrelationStatistic(
    'c',
    subset="group == 'TRD'",
    outcome=BEHAVIOUR,
    variable='hdrs_change',
    values={'baseline': ('TP1',), 'acute': ('TP1', 'TP2'), 'serial': ('TP1', 'TP3')},
)


def values(data, when: str) -> np.ndarray:  # type: ignore[no-untyped-def]
    own = data.outcomes.query('outcome == "accuracy" and session_id == @when')
    return own.set_index('participant_id').loc[PATIENTS, 'value'].to_numpy(float)


def test_each_value_is_correlated_with_the_variable() -> None:
    data = study()
    table = run_correlation(PLAIN, data).tables['correlations']
    assert table['values'].tolist() == ['baseline', 'acute', 'serial']
    y = data.people.loc[PATIENTS, 'hdrs_change']
    first = values(data, 'TP1')
    for (_, row), x in zip(
        table.iterrows(),
        (first, first - values(data, 'TP2'), first - values(data, 'TP3')),
        strict=True,
    ):
        expected = stats.pearsonr(x, y)
        assert (row['r'], row['p']) == pytest.approx((expected.statistic, expected.pvalue))
        interval = expected.confidence_interval()
        assert (row['ci95_low'], row['ci95_high']) == pytest.approx(tuple(interval))
        assert (row['n'], row['df']) == (20, 18)


def test_partial_for_covariates() -> None:
    data = study()
    data.people.loc['40', 'age'] = np.nan
    statistic = dataclasses.replace(PLAIN, covariates=('age', 'sex'))
    result = run_correlation(statistic, data)
    row = result.tables['correlations'].iloc[0]
    people = data.people.loc[PATIENTS[:-1]]
    X = np.column_stack([np.ones(19), people['age'], people['sex'] == 'M']).astype(float)
    x, y = values(data, 'TP1')[:-1], people['hdrs_change'].to_numpy(float)
    a, b = (v - X @ np.linalg.lstsq(X, v, rcond=None)[0] for v in (x, y))
    r = (a @ b) / np.sqrt((a @ a) * (b @ b))
    t = r * np.sqrt(15 / (1 - r**2))
    assert (row['n'], row['partial_n'], row['partial_df']) == (20, 19, 15)
    assert row['partial_r'] == pytest.approx(r)
    assert row['p_partial'] == pytest.approx(2 * stats.t.sf(abs(t), 15))
    missing = result.tables['missing'].iloc[0].tolist()
    assert missing == [
        'accuracy', '40', None, 'covariate', 'age is missing', 'in no partial correlation',
    ]  # fmt: skip


def test_selected_regions_are_qualified_also_in_partial_p() -> None:
    statistic = dataclasses.replace(PLAIN, outcome=REGIONS, covariates=('age',))
    result = run_correlation(statistic, study())
    table = result.tables['correlations']
    chosen = table[table['outcome'] == CHOSEN].set_index('values')
    assert chosen['selection'].to_dict() == {
        'baseline': 'shared-data',
        'acute': 'shared-data',
        'serial': 'direct',
    }
    assert chosen[['p', 'p_partial']].isna().all(axis=None)
    assert chosen['p_circular'].notna().all()
    assert chosen[['family', 'p_holm', 'p_partial_holm']].isna().all(axis=None)
    serial = table[(table['values'] == 'serial') & (table['source'] == 'parcel')]
    for name, corrected in (('p', 'p_holm'), ('p_partial', 'p_partial_holm')):
        assert serial[corrected].min() == pytest.approx(min(1, 2 * serial[name].min()))
    assert table.loc[table['outcome'] == WHOLE, ['p', 'p_partial']].notna().all(axis=None)
    assert set(result.tables['families']['test']) == set(PLAIN.values)
    assert not any('remitterChange' in sentence for sentence in result.sentences)


@pytest.mark.parametrize('method', ['spearman', 'kendall'])
def test_ranks(method: str) -> None:
    data = study()
    statistic = dataclasses.replace(PLAIN, method=method)
    row = run_correlation(statistic, data).tables['correlations'].iloc[0]
    function = {'spearman': stats.spearmanr, 'kendall': stats.kendalltau}[method]
    expected = function(values(data, 'TP1'), data.people.loc[PATIENTS, 'hdrs_change'])
    assert row['r'] == pytest.approx(expected.statistic)


def test_who_is_missing_is_told_by_value() -> None:
    data = study()
    kept = data.outcomes
    gone = (kept['participant_id'] == '25') & (kept['session_id'] == 'TP2')
    result = run_correlation(PLAIN, study(outcomes=kept[~gone]))
    assert result.tables['correlations']['n'].tolist() == [20, 19, 20]
    assert result.tables['missing']['consequence'].tolist() == ['not in acute']


def test_a_factor_cannot_be_correlated() -> None:
    with pytest.raises(InputError, match='sex is not a number'):
        run_correlation(dataclasses.replace(PLAIN, variable='sex'), study())


def test_a_text_among_numbers_is_named_with_the_statistic() -> None:
    data = study()
    data.people['hdrs_change'] = data.people['hdrs_change'].astype(object)
    who = data.people.index[3]
    data.people.loc[who, 'hdrs_change'] = 'unknown'
    words = rf"Statistic \w+: hdrs_change must be a number, and sub-{who} has 'unknown'; correct"
    with pytest.raises(InputError, match=words):
        run_statistic(PLAIN, data)
    with pytest.raises(InputError, match=r"sex must be a number, and sub-\w+ has '[FM]'; "):
        run_statistic(dataclasses.replace(PLAIN, variable='sex'), data)


def test_a_variable_that_nobody_has_is_named() -> None:
    data = study()
    data.people['hdrs_change'] = np.nan
    with pytest.raises(InputError, match='c: none of 20 participants has a value of hdrs_change'):
        run_correlation(PLAIN, data)


def test_a_variable_that_does_not_vary_is_named() -> None:
    data = study()
    data.people['hdrs_change'] = 50.0
    told = 'nothing could be correlated: hdrs_change has one value in all 20 complete pairs'
    with pytest.raises(InputError, match=told):
        run_correlation(PLAIN, data)


def test_nothing_to_correlate_is_an_error() -> None:
    statistic = dataclasses.replace(PLAIN, outcome=Outcome(behaviour=('dprime',)))
    with pytest.raises(InputError, match='c: nothing could be correlated'):
        run_correlation(statistic, study())
