import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.clinical.families import (
    automatic_families,
    check_families,
    corrected_in_family,
    family_table,
    family_warnings,
    with_family,
    with_stars,
)
from ketbids.stats.clinical.outcomes import Measure
from ketbids.stats.clinical.specs import MixedStatistic, Outcome, RegionChoice
from tests.stats.clinical.study import FOUND, LEFT, WHOLE, study

MEASURES = [Measure(name, 'behaviour') for name in ('a', 'b', 'c', 'd')]
TESTS = pd.DataFrame(
    {'outcome': list('abcd'), 'test': 'time', 'p': [0.01, 0.02, 0.03, np.nan]},
)


def test_p_are_corrected_over_what_has_one() -> None:
    found = corrected_in_family(TESTS, {}, MEASURES)
    assert found['family'].tolist() == ['all'] * 3
    assert found['n_tests'].tolist() == [3] * 3
    np.testing.assert_allclose(found['p_bonferroni'], [0.03, 0.06, 0.09])
    np.testing.assert_allclose(found['p_holm'], [0.03, 0.04, 0.04])
    np.testing.assert_allclose(found['p_fdr'], [0.03, 0.03, 0.03])
    assert found['stars'].tolist() == ['*', '*', '*']


def test_a_named_family_has_its_own_count() -> None:
    found = corrected_in_family(TESTS, {'paper': ('a', 'd', 'c')}, MEASURES)
    paper = found[found['family'] == 'paper']
    assert paper['outcome'].tolist() == ['a', 'c']
    np.testing.assert_allclose(paper['p_holm'], [0.02, 0.03])


def test_each_test_is_corrected_by_itself() -> None:
    both = pd.concat([TESTS, TESTS.assign(test='age', p=0.04)])
    found = corrected_in_family(both, {}, MEASURES).groupby('test')['p_bonferroni'].max()
    np.testing.assert_allclose(found.loc[['age', 'time']], [0.16, 0.09])


def test_one_outcome_is_no_family_and_unknown_ones_are_named() -> None:
    assert family_table(TESTS[:1], {}, MEASURES[:1]) == {}
    assert family_warnings({'paper': ('a', 'x')}, MEASURES) == [
        'Family paper: there is no outcome x.'
    ]


REGIONS = [
    Measure('x:one', 'region', 'significant', 'x', 'DK', 'one', 'one'),
    Measure('one', 'region', 'parcel', None, 'DK', 'one', searched=True),
    Measure('sma', 'region', 'apriori'),
    Measure('two', 'region', 'parcel', None, 'Subcortex', 'two', searched=True, detailed=False),
    Measure('three', 'region', 'parcel', None, 'Other', 'three'),
    Measure('L_Vis', 'region', 'network', None, 'Yeo7', 'L_Vis'),
]


def test_each_kind_of_region_is_a_family_and_what_was_searched_is_one() -> None:
    assert automatic_families(REGIONS) == {
        'regions found by x': ('x:one',),
        'parcels of DK and Subcortex': ('one', 'two'),
        'a-priori regions': ('sma',),
        'parcels of Other': ('three',),
        'networks of Yeo7': ('L_Vis',),
    }
    assert automatic_families(MEASURES) == {'all': ('a', 'b', 'c', 'd')}
    assert automatic_families([Measure('hdrs', 'score')]) == {}


def test_p_of_a_row_are_corrected_over_its_family_and_test() -> None:
    names = ['x:one', 'one', 'two', 'sma', 'one', 'two']
    table = pd.DataFrame(
        {
            'outcome': names,
            'term': ['time'] * 4 + ['age'] * 2,
            'p': [np.nan, 0.02, 0.03, 0.04, 0.2, np.nan],
            'f': 1.0,
        }
    )
    found = with_stars(with_family(table, ['term'], REGIONS))
    assert list(found) == ['outcome', 'term', 'p', 'family', 'p_holm', 'p_fdr', 'stars', 'f']
    np.testing.assert_allclose(found['p_holm'], [np.nan, 0.04, 0.04, 0.04, 0.2, np.nan])
    np.testing.assert_allclose(found['p_fdr'], [np.nan, 0.03, 0.03, 0.04, 0.2, np.nan])
    searched = 'parcels of DK and Subcortex'
    assert found['family'].tolist() == [
        None, searched, searched, 'a-priori regions', searched, None,
    ]  # fmt: skip
    assert found['stars'].tolist() == [None, '*', '*', '*', None, None]


def test_a_single_score_has_no_family_and_stars_by_its_p() -> None:
    table = pd.DataFrame({'outcome': ['hdrs'], 'term': ['time'], 'p': [0.002]})
    found = with_stars(with_family(table, ['term'], [Measure('hdrs', 'score')]))
    assert found[['family', 'p_holm', 'p_fdr']].isna().all(axis=None)
    assert found['stars'].tolist() == ['**']


def test_a_family_of_what_no_atlas_has_is_refused() -> None:
    outcome = Outcome(regions=RegionChoice('nogoVsGo', atlas='DK'))
    statistic = MixedStatistic('m', outcome=outcome, formula='time', sessions=('TP1', 'TP3'))
    wrong = dataclasses.replace(statistic, families={'paper': (LEFT, 'L_foo')})
    told = f'Family paper: there is no outcome L_foo. There are {LEFT}, {WHOLE}.'
    with pytest.raises(InputError, match=re.escape(told)):
        check_families(wrong, study())
    right = dataclasses.replace(statistic, families={'paper': (LEFT, WHOLE), 'every': ()})
    assert check_families(right, study()) == []
    assert check_families(statistic, study()) == []


def test_a_family_of_a_region_that_may_be_found_is_told() -> None:
    families = {'paper': (WHOLE, 'remitterChange:R_insula')}
    statistic = MixedStatistic(
        'm', outcome=FOUND, formula='time', sessions=('TP1', 'TP3'), families=families
    )
    assert check_families(statistic, study()) == [
        'Family paper: there is no outcome remitterChange:R_insula.'
    ]


def test_a_family_of_regions_without_labels_is_told() -> None:
    outcome = Outcome(regions=RegionChoice('nogoVsGo', apriori=('front',), atlas='Other'))
    statistic = MixedStatistic(
        'm',
        outcome=outcome,
        formula='time',
        sessions=('TP1', 'TP3'),
        families={'paper': ('front', 'L_any')},
    )
    assert check_families(statistic, study()) == [
        'Family paper: there is no outcome front, L_any.'
    ]
