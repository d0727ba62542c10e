import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.clinical.outcomes import find_measures, values_by_visit
from ketbids.stats.clinical.rows import (
    Loss,
    find_sample,
    in_subset,
    lost_values,
    missing_table,
)
from ketbids.stats.clinical.specs import Outcome
from tests.stats.clinical.study import CHOSEN, PATIENTS, REGIONS, SESSIONS, study


def test_who_is_in_a_subset_and_who_may_be() -> None:
    data = study()
    data.people.loc['21', 'group'] = None
    members, unknown = in_subset(data, "group == 'TRD'")
    assert members == PATIENTS[1:]
    assert unknown == [
        Loss('21', '', 'subset', 'not known whether in the subset: group is missing')
    ]


def test_a_subset_must_be_a_condition() -> None:
    with pytest.raises(InputError, match="'age' is not a condition"):
        in_subset(study(), 'age')


def test_variables_are_typed_and_who_lacks_one_is_named() -> None:
    data = study()
    data.people.loc['22', 'age'] = np.nan
    data.people.loc['23', ['remitter', 'hdrs_TP3']] = [pd.NA, np.nan]
    sample = find_sample(data, "group == 'TRD'", ('age', 'remitter'))
    assert sample.people['age'].dtype == float
    assert sample.levels == {'remitter': ('no', 'yes')}
    assert sample.members == tuple(PATIENTS)
    assert [(loss.who, loss.reason) for loss in sample.losses] == [
        ('22', 'age is missing'),
        ('23', 'remitter is unknown'),
    ]


def test_a_derived_variable_names_the_column_that_it_lacks() -> None:
    data = study(roots={'remitter': frozenset({'hdrs_TP3'})})
    data.people.loc['23', ['remitter', 'hdrs_TP3']] = [pd.NA, np.nan]
    (loss,) = find_sample(data, "group == 'TRD'", ('remitter',)).losses
    assert loss.reason == 'remitter is unknown (hdrs_TP3 missing)'


def test_a_variable_that_there_is_not_and_an_empty_subset() -> None:
    with pytest.raises(InputError, match='no variable weight'):
        find_sample(study(), None, ('weight',))
    with pytest.raises(InputError, match="nobody is in the subset 'group == 'XX''"):
        find_sample(study(), "group == 'XX'", ())


def losses_of(data, outcome: Outcome = REGIONS) -> dict[tuple[str, str], tuple[str, str]]:  # type: ignore[no-untyped-def]
    measure = find_measures(outcome, data)[0]
    values = values_by_visit([measure], data, SESSIONS)[measure.name]
    _, losses = lost_values(measure, values, data, PATIENTS, SESSIONS)
    return {(loss.who, loss.when): (loss.missing, loss.reason) for loss in losses}


def test_an_excluded_visit_loses_its_map_but_not_its_score() -> None:
    excluded = pd.DataFrame(
        [('21', 'TP1', 'moved'), ('22', '', None)],
        columns=['participant_id', 'session_id', 'reason'],
    )
    data = study(excluded=excluded)
    assert losses_of(data) == {
        ('21', 'TP1'): ('excluded', 'excluded: moved'),
        **{('22', when): ('excluded', 'excluded: no reason given') for when in SESSIONS},
    }
    assert losses_of(data, Outcome('hdrs')) == {}
    sample = find_sample(data, "group == 'TRD'", ())
    assert sample.losses == (Loss('22', '', 'excluded', 'excluded: no reason given'),)


def test_no_visit_no_map_and_no_score_are_told_apart() -> None:
    data = study()
    kept = data.outcomes
    gone = (kept['participant_id'] == '21') & (kept['session_id'] == 'TP2')
    visits = data.visits.set_index(['participant_id', 'session_id'])
    visits = visits.drop(('21', 'TP2'))
    visits.loc[('24', 'TP3'), 'has_map'] = 'no'
    no_map = kept['participant_id'].isin(['22', '24']) & (kept['session_id'] == 'TP3')
    data = study(
        outcomes=kept[~gone & ~(no_map & (kept['outcome'] == CHOSEN))],
        visits=visits.reset_index(),
    )
    data.people.loc['21', 'hdrs_TP2'] = np.nan
    data.people.loc['23', 'hdrs_TP1'] = np.nan
    assert losses_of(data) == {
        ('21', 'TP2'): ('visit', 'nothing was scanned'),
        ('22', 'TP3'): ('map', 'no map of the contrast, or no value of the region in it'),
        ('24', 'TP3'): ('map', 'the first level failed or was not done'),
    }
    assert losses_of(data, Outcome('hdrs')) == {
        ('21', 'TP2'): ('visit', 'hdrs is missing, and nothing was scanned'),
        ('23', 'TP1'): ('score', 'hdrs is missing'),
    }


def test_what_holds_for_all_outcomes_is_one_row() -> None:
    shared, own = Loss('21', 'TP2', 'map', 'no map'), Loss('22', '', 'covariate', 'age is missing')
    table = missing_table({'a': [shared, shared, own], 'b': [shared], 'c': [shared]})
    assert table.to_numpy().tolist() == [
        ['all', '21', 'TP2', 'map', 'no map', 'not analysed'],
        ['a', '22', None, 'covariate', 'age is missing', 'not analysed'],
    ]
    assert list(missing_table({'a': []})) == list(table)
