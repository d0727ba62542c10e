"""Range checks: who is inside, who is outside, and what cannot be known."""

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.checks import Check, evaluate_checks, range_text, summarize

PEOPLE = pd.DataFrame(
    {
        'group': ['HC', 'TRD', 'TRD', None],
        'age': [20.0, 64.0, 64.1, np.nan],
        'scan': [0.0, 60.0, 100.0, 3.0],
        'drip': [np.nan, 12.0, 20.0, 1.0],
    },
    index=['04', '01', '02', '03'],
)


def outcomes(*checks, derived=None):
    table, notes = evaluate_checks(checks, PEOPLE, derived or {})
    keys = zip(table['participant_id'], table['outcome'], strict=True)
    return list(keys), notes


def test_bounds_are_inside():
    found, notes = outcomes(Check('age', 'age', 20, 64))
    assert found == [
        ('sub-01', 'inside'),
        ('sub-02', 'outside'),
        ('sub-03', 'unknown'),
        ('sub-04', 'inside'),
    ]
    assert notes == ()


def test_subset_and_what_is_not_known_of_it():
    found, _ = outcomes(Check('hours', 'scan - drip', 24, 72, "group == 'TRD'"))
    # Of sub-03 it is not known whether the check is about them.
    assert found == [('sub-01', 'inside'), ('sub-02', 'outside'), ('sub-03', 'unknown')]


def test_values_and_columns():
    table, _ = evaluate_checks(
        [Check('hours', 'wait', 24, None, "group == 'TRD'")], PEOPLE, {'wait': 'scan - drip'}
    )
    assert list(table.columns) == [
        *('participant_id', 'check', 'value', 'minimum', 'maximum', 'outcome')
    ]
    np.testing.assert_array_equal(table['value'], [48, 80, np.nan])
    assert table['minimum'].tolist() == [24, 24, 24]
    assert table['maximum'].isna().all()


@pytest.mark.parametrize(
    ('check', 'words'),
    [
        (Check('a', 'weight', 1), 'there is no column weight'),
        (Check('a', 'age', 1, subset="site == '1'"), 'there is no column site'),
        (Check('a', 'age > 3', 1), "Value 'age > 3' is not a number"),
        (Check('a', 'group', 1), "Value 'group' is not a number"),
        (Check('a', 'age', 1, subset='age'), "Subset 'age' is not a condition"),
    ],
)
def test_a_check_that_cannot_be_made_stops_nothing(check, words):
    found, notes = outcomes(check, Check('b', 'age', 0))
    assert [outcome for _, outcome in found[:4]] == ['unknown'] * 4
    assert [outcome for _, outcome in found[4:]] == ['inside', 'inside', 'unknown', 'inside']
    assert len(notes) == 1
    assert notes[0].startswith('The check a could not be made: ')
    assert words in notes[0]


def test_nobody_has_a_value():
    people = PEOPLE.assign(age=np.nan)
    table, notes = evaluate_checks([Check('a', 'age', 1)], people, {})
    assert table['outcome'].tolist() == ['unknown'] * 4
    assert notes == ()


def test_nobody_and_nothing():
    table, _ = evaluate_checks([], PEOPLE, {})
    assert len(table) == 0
    table, _ = evaluate_checks([Check('a', 'age', 1)], PEOPLE.iloc[:0], {})
    assert len(table) == 0


def test_summary():
    checks = [Check('age', 'age', 20, 64), Check('drip', 'drip', maximum=30)]
    table, _ = evaluate_checks(checks, PEOPLE, {})
    rows = summarize(checks, table).to_dict('records')
    assert rows[0] == {
        'check': 'age',
        'range': '20 to 64',
        'inside': 2,
        'outside': 1,
        'unknown': 1,
        'who is outside': 'sub-02 (64.1)',
    }
    assert (rows[1]['range'], rows[1]['who is outside']) == ('30 or less', 'nobody')
    assert range_text(Check('a', 'age', 17)) == '17 or more'
