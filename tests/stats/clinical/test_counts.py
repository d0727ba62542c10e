"""Counts of conditions, such as remission and response."""

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.columns import column_descriptions
from ketbids.stats.clinical.counts import run_counts
from ketbids.stats.clinical.specs import CountStatistic
from ketbids.stats.ordinary.contingency import proportion
from tests.stats.clinical.patients import study

REMISSION = CountStatistic(
    'remission',
    subset="group == 'TRD'",
    conditions={
        'remission': 'hdrs_TP3 <= 7',
        'below7': 'hdrs_TP3 < 7',
        'exactly7': 'hdrs_TP3 == 7',
        'response': '100 * (hdrs_TP1 - hdrs_TP3) / hdrs_TP1 >= 50',
    },
)


def test_each_condition_is_counted_among_those_for_whom_it_is_known() -> None:
    counts = run_counts(REMISSION, study()).tables['counts'].set_index('condition')

    assert dict(counts['count']) == {'remission': 7, 'below7': 4, 'exactly7': 3, 'response': 10}
    assert set(counts['n']) == {13}
    assert set(counts['n_missing']) == {2}
    found, expected = counts.loc['remission'], proportion(7, 13)
    assert (found['percent'], found['ci95_low'], found['ci95_high']) == (
        expected.percent,
        expected.low,
        expected.high,
    )
    assert found['percent_of_all'] == pytest.approx(100 * 7 / 15)
    assert found['expression'] == 'hdrs_TP3 <= 7'


def test_groups_are_counted_apart() -> None:
    by_sex = CountStatistic('c', conditions={'remission': 'hdrs_TP3 <= 7'}, by='sex')

    counts = run_counts(by_sex, study()).tables['counts'].set_index('group')

    assert list(counts.index) == ['all', 'F', 'M']
    assert counts.loc['all', 'count'] == counts.loc[['F', 'M'], 'count'].sum()
    assert counts.loc['all', 'n_missing'] == 10


def test_who_is_missing_and_what_is_said() -> None:
    result = run_counts(REMISSION, study())

    missing = result.tables['missing']
    assert set(missing['participant_id']) == {'p08', 'p12'}
    assert set(missing['reason']) == {'hdrs_TP3 missing'}
    assert result.sentences[0] == (
        'remission: 7/13 (53.8 %, 95% CI [29.14, 76.79]); not known for 2.'
    )
    assert 'remission: hdrs_TP3 <= 7; below7: hdrs_TP3 < 7' in result.methods
    assert list(result.tables['counts'].columns) == list(column_descriptions('statistics_counts'))


def test_a_condition_that_is_known_of_nobody() -> None:
    result = run_counts(
        CountStatistic('c', subset="group == 'HC'", conditions={'remission': 'hdrs_TP3 <= 7'}),
        study(),
    )

    assert np.isnan(result.tables['counts']['percent'][0])
    assert result.sentences == ('remission: not known for any of 8 participants.',)


def test_what_is_no_condition_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"condition half \('hdrs_TP3 / 2'\) is not true or false"
    ):
        run_counts(CountStatistic('c', conditions={'half': 'hdrs_TP3 / 2'}), study())
