import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.clinical.outcomes import find_measures, measure_columns, values_by_visit
from ketbids.stats.clinical.specs import Outcome, RegionChoice
from tests.stats.clinical.study import (
    BEHAVIOUR,
    CHOSEN,
    FOUND,
    LEFT,
    PATIENTS,
    REGIONS,
    SESSIONS,
    WHOLE,
    searched_study,
    study,
)


def test_the_whole_parcel_stands_beside_the_region_cut_from_it() -> None:
    chosen = Outcome(regions=RegionChoice('nogoVsGo', selected_by=('remitterChange',)))
    found = find_measures(chosen, study())
    assert [(m.name, m.source, m.companion) for m in found] == [
        (CHOSEN, 'significant', WHOLE),
        (WHOLE, 'parcel', None),
    ]
    assert measure_columns(found[0]) == {
        'outcome': CHOSEN,
        'source': 'significant',
        'selected_by': 'remitterChange',
        'companion': WHOLE,
    }


def test_all_parcels_that_were_searched_come_last() -> None:
    found = find_measures(FOUND, searched_study())
    assert [(m.name, m.searched, m.detailed) for m in found] == [
        (CHOSEN, False, True),
        (WHOLE, True, True),
        (LEFT, True, False),
    ]


def test_parcels_are_of_no_interest_where_nothing_was_found() -> None:
    data = searched_study()
    assert find_measures(FOUND, study(regions=data.regions[:2])) == []


def test_all_parcels_of_an_atlas_each_once() -> None:
    assert {m.name for m in find_measures(REGIONS, study())} == {CHOSEN, WHOLE, LEFT}
    assert len(find_measures(REGIONS, study())) == 3


def test_labels_choose_parcels() -> None:
    chosen = Outcome(regions=RegionChoice('nogoVsGo', atlas='DK', labels=('L_precentral',)))
    assert [m.name for m in find_measures(chosen, study())] == [LEFT]


def test_apriori_regions_are_chosen_by_name() -> None:
    regions = pd.DataFrame(
        [('sma', 'apriori', None, 'DK', None), ('acc', 'apriori', None, 'DK', None)],
        columns=['outcome', 'source', 'selected_by', 'atlas', 'label'],
    )
    chosen = Outcome(regions=RegionChoice('nogoVsGo', apriori=('sma',)))
    assert [m.name for m in find_measures(chosen, study(regions=regions))] == ['sma']


def test_nothing_significant_is_no_region() -> None:
    chosen = Outcome(regions=RegionChoice('nogoVsGo', selected_by=('pairedTP1TP3',)))
    assert find_measures(chosen, study()) == []


def test_two_regions_of_one_name_are_refused() -> None:
    regions = study().regions
    with pytest.raises(InputError, match='Two regions are called L_precentral'):
        find_measures(REGIONS, study(regions=pd.concat([regions, regions.iloc[:1]])))


def test_values_of_a_score_come_from_the_people() -> None:
    data = study()
    (measure,) = find_measures(Outcome('hdrs'), data)
    values = values_by_visit([measure], data, SESSIONS)['hdrs']
    np.testing.assert_array_equal(values['TP2'], data.people['hdrs_TP2'])
    (change,) = find_measures(Outcome('hdrs_change'), data)
    of_people = values_by_visit([change], data, ('',))['hdrs_change']
    np.testing.assert_array_equal(of_people[''], data.people['hdrs_change'])


def test_a_score_that_there_is_not() -> None:
    data = study()
    with pytest.raises(InputError, match=r'no madrs at ses-TP1.*column madrs_TP1'):
        values_by_visit(find_measures(Outcome('madrs'), data), data, ('TP1',))


def test_text_among_the_values_of_a_score() -> None:
    data = study()
    data.people['hdrs_TP1'] = data.people['hdrs_TP1'].astype(object)
    data.people.loc['21', 'hdrs_TP1'] = 'high'
    with pytest.raises(InputError, match="hdrs_TP1 of sub-21 is 'high'"):
        values_by_visit(find_measures(Outcome('hdrs'), data), data, ('TP1',))


def test_two_values_of_a_visit_are_refused() -> None:
    data = study()
    twice = pd.concat([data.outcomes, data.outcomes[data.outcomes['outcome'] == 'accuracy'][:1]])
    with pytest.raises(InputError, match='accuracy has two values of sub-01 at ses-TP1'):
        values_by_visit(find_measures(BEHAVIOUR, data), study(outcomes=twice), SESSIONS)


def test_a_measure_without_any_value_is_empty() -> None:
    data = study()
    measures = find_measures(Outcome(behaviour=('dprime',)), data)
    values = values_by_visit(measures, data, SESSIONS)['dprime']
    assert values.isna().all(axis=None)
    assert set(PATIENTS) <= set(values.index)
