"""Table 1: descriptions and tests of a made-up study."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.columns import column_descriptions
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.specs import TableStatistic
from ketbids.stats.clinical.tableone import run_table
from ketbids.stats.ordinary.contingency import chi_squared, fisher_exact
from ketbids.stats.ordinary.location import anova, t_test
from ketbids.stats.ordinary.ranks import mann_whitney
from tests.stats.clinical.patients import HDRS_1, study

TABLE = TableStatistic(
    'table1', variables=('age', 'sex', 'hdrs'), by='group', sessions=('TP1', 'TP3')
)


def row(result: Result, table: str, **keys: str | None) -> pd.Series:
    found = result.tables[table]
    for name, value in keys.items():
        found = found[found[name].isna() if value is None else found[name] == value]
    assert len(found) == 1
    return found.iloc[0]


def test_numbers_are_described_by_group() -> None:
    result = run_table(TABLE, study())

    patients = row(result, 'table', variable='hdrs', session_id='TP1', group='TRD')
    assert (patients['n'], patients['n_missing'], patients['mean']) == (15, 0, 21.0)
    assert patients['sd'] == pytest.approx(np.std(HDRS_1, ddof=1))
    assert (patients['median'], patients['minimum'], patients['maximum']) == (21, 17, 26)
    assert patients['shown'] == '21.0 (2.7)'
    controls = row(result, 'table', variable='age', group='HC')
    assert (controls['n'], controls['n_missing']) == (7, 1)
    everybody = row(result, 'table', variable='age', group='all')
    assert everybody['n'] == 22


def test_factors_are_counted_by_level() -> None:
    result = run_table(TABLE, study())

    women = row(result, 'table', variable='sex', group='TRD', level='F')
    assert (women['count'], women['n'], women['percent']) == (8, 15, pytest.approx(100 * 8 / 15))
    assert women['shown'] == '8 (53.3 %)'
    assert np.isnan(women['mean'])


def test_two_groups_are_compared_by_welchs_test() -> None:
    data = study()

    found = row(run_table(TABLE, data), 'tests', variable='age')

    people = data.people
    ages = [people['age'][people['group'] == level] for level in ('HC', 'TRD')]
    expected = t_test(*ages)
    assert (found['test'], found['groups'], found['n']) == ('Welch t', 'HC, TRD', 22)
    assert (found['statistic'], found['den_df'], found['p']) == pytest.approx(
        (expected.t, expected.df, expected.p)
    )
    assert expected.effect is not None
    assert (found['d'], found['g_ci95_low']) == pytest.approx(
        (float(expected.effect.d), float(expected.effect.g_low))
    )
    assert (found['rank_test'], found['rank_p']) == (
        'Mann-Whitney',
        pytest.approx(mann_whitney(*ages).p),
    )


def test_factors_are_compared_exactly_where_counts_are_small() -> None:
    data = study()
    table = [[5, 3], [8, 7]]

    found = row(run_table(TABLE, data), 'tests', variable='sex')

    assert (found['test'], found['p']) == ('Fisher exact', pytest.approx(fisher_exact(table).p))
    assert found['smallest_expected'] == pytest.approx(chi_squared(table).smallest_expected)
    assert np.isnan(found['statistic'])
    twice = study(people=pd.concat([data.people, data.people.rename(index=lambda w: f'{w}b')]))
    found = row(run_table(TABLE, twice), 'tests', variable='sex')
    doubled = chi_squared(np.multiply(table, 2))
    assert (found['test'], found['statistic'], found['p']) == (
        'chi-squared',
        pytest.approx(doubled.statistic),
        pytest.approx(doubled.p),
    )


def test_more_groups_are_compared_by_anova() -> None:
    data = study()
    site = [['x', 'y', 'z'][i % 3] for i in range(len(data.people))]
    data = study(people=data.people.assign(site=site))

    found = row(run_table(TableStatistic('t', variables=('age',), by='site'), data), 'tests')

    people = data.people
    expected = anova([people['age'][people['site'] == s] for s in 'xyz'])
    assert (found['test'], found['rank_test']) == ('ANOVA', 'Kruskal-Wallis')
    assert (found['statistic'], found['p']) == pytest.approx((expected.statistic, expected.p))
    assert 0 <= found['eta2_ci90_low'] <= found['eta2'] <= found['eta2_ci90_high']


def test_a_score_that_a_group_does_not_have_is_described_and_not_tested() -> None:
    found = row(run_table(TABLE, study()), 'tests', variable='hdrs', session_id='TP1')

    assert found['not_available'] == 'no value in HC'
    assert np.isnan(found['p'])


def test_what_defines_the_groups_says_so() -> None:
    statistic = TableStatistic(
        'r',
        subset="group == 'TRD'",
        variables=('age', 'hdrs'),
        by='remitter',
        sessions=('TP1', 'TP3'),
    )

    result = run_table(statistic, study())

    after = row(result, 'tests', variable='hdrs', session_id='TP3')
    assert after['note'] == 'remitter is made of hdrs_TP3: a difference is there by definition'
    before = row(result, 'tests', variable='hdrs', session_id='TP1')
    assert before['note'] == 'related to what defines the groups: remitter is made of hdrs_TP3'
    assert row(result, 'tests', variable='age')['note'] is None
    assert result.warnings == (
        'hdrs_TP3 differs between the levels of remitter by definition (remitter is made of '
        'hdrs_TP3): its p says nothing',
    )
    assert result.summary['GroupSizes'] == {'no': 6, 'yes': 7}
    assert result.summary['NWithoutGroup'] == 2
    lost = result.tables['missing']
    assert set(lost[lost['missing'] == 'factor']['participant_id']) == {'p08', 'p12'}


def test_what_shares_a_column_with_the_groups_says_so() -> None:
    data = study()
    people = data.people.assign(change=data.people['hdrs_TP1'] - data.people['hdrs_TP3'])
    data = study(
        people=people,
        roots={**data.roots, 'change': frozenset({'hdrs'})},
        inputs={**data.inputs, 'change': frozenset({'hdrs_TP1', 'hdrs_TP3'})},
    )
    statistic = TableStatistic('r', variables=('change',), by='remitter')

    result = run_table(statistic, data)

    assert row(result, 'tests', variable='change')['note'] == (
        'remitter is made of hdrs_TP3: a difference is there by definition'
    )


def three_sites() -> ClinicalData:
    """Sites x, y and z; at z nobody has an age, and nobody's sex is known."""
    data = study()
    site = [['x', 'y', 'z'][i % 3] for i in range(len(data.people))]
    people = data.people.assign(site=site)
    people.loc[people['site'] == 'z', ['age', 'sex']] = None
    return study(people=people)


def test_a_level_without_values_is_left_out_of_the_test_and_named() -> None:
    data = three_sites()
    people = data.people

    result = run_table(TableStatistic('t', variables=('age', 'sex'), by='site'), data)

    age = row(result, 'tests', variable='age')
    expected = t_test(*[people['age'][people['site'] == s].astype(float) for s in 'xy'])
    assert (age['test'], age['groups'], age['n']) == ('Welch t', 'x, y', 15)
    assert (age['statistic'], age['p']) == pytest.approx((expected.t, expected.p))
    assert age['note'] == 'no value in z: over x and y'
    assert age['not_available'] is None
    assert result.sentences[0].startswith('age (x vs. y): t(')
    sex = row(result, 'tests', variable='sex')
    assert (sex['groups'], sex['note']) == ('x, y', 'no value in z: over x and y')
    assert sex['test'] == 'Fisher exact'


def test_sentences_methods_and_dictionaries() -> None:
    result = run_table(TABLE, study())

    assert result.sentences[0].startswith('age (HC vs. TRD): t(')
    assert "Fisher's exact test, N = 23, p" in result.sentences[1]
    assert 'HC: n = 8, TRD: n = 15' in result.methods
    for name in ('table', 'tests'):
        assert list(result.tables[name].columns) == list(column_descriptions(f'statistics_{name}'))


def test_one_group_has_no_tests() -> None:
    one = TableStatistic('t', subset="group == 'HC'", variables=('age',), by='group')

    assert row(run_table(one, study()), 'tests')['not_available'] == 'only the group HC is there'


@pytest.mark.parametrize(
    ('statistic', 'message'),
    [
        (
            TableStatistic('t', variables=('iq',), by='group'),
            'iq is neither a variable of people; at',
        ),
        (
            TableStatistic('t', variables=('iq',), by='group', sessions=('TP1',)),
            'iq is neither a variable of people nor a score of TP1; at hand: group, age',
        ),
        (
            TableStatistic('t', variables=('age',), by='site'),
            'no variable site to group people by',
        ),
        (
            TableStatistic('t', variables=('sex',), by='age'),
            r'age cannot make groups: it has 16 values, more than 10 \(28, 30, 31, \.\.\.\)',
        ),
        (
            TableStatistic('t', subset='age > 90', variables=('age',), by='group'),
            "Statistic t: nobody is in the subset 'age > 90'",
        ),
    ],
)
def test_bad_input(statistic: TableStatistic, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_table(statistic, study())


def test_a_number_with_decimals_does_not_make_groups() -> None:
    data = study()
    data.people['dose'] = [0.5, 1.0] * 11 + [np.nan]
    with pytest.raises(InputError, match=r'dose cannot make groups: it is a number, such as 0\.5'):
        run_table(TableStatistic('t', variables=('age',), by='dose'), data)
    data.people['dose'] *= 2
    result = run_table(TableStatistic('t', variables=('age',), by='dose'), data)
    assert result.summary['GroupSizes'] == {'1': 11, '2': 11}
    listed = replace(data, levels={'dose': ('2', '1')})
    result = run_table(TableStatistic('t', variables=('age',), by='dose'), listed)
    assert list(result.summary['GroupSizes']) == ['2', '1']
