"""Which tests of a region use the data that chose it."""

import numpy as np
import pytest

from ketbids.stats.circularity import (
    DataUse,
    classify,
    uses_of_analysis,
    uses_of_pair,
    uses_of_reference,
    uses_of_term,
)

ORDER = ('TP1', 'TP2', 'TP3')
PATIENTS = [f'p{i}' for i in range(10)]
CONTROLS = [f'c{i}' for i in range(8)]
ROOTS = {'remitter': ['hdrs'], 'hdrs_change': ['hdrs']}
CHANGE = uses_of_analysis(['TP1', 'TP3'], ['remitter'], PATIENTS, ROOTS)
PAIRED = uses_of_analysis(['TP1', 'TP3'], ['Intercept'], PATIENTS)
MEAN = uses_of_analysis(['TP1'], ['Intercept'], PATIENTS)
GROUPS = uses_of_analysis(['TP1'], ['group'], PATIENTS + CONTROLS)


def against_change(*sessions):
    return uses_of_analysis(sessions, ['hdrs_change'], PATIENTS, ROOTS)


def term(text, sessions=ORDER):
    return uses_of_term(text, sessions, PATIENTS, ROOTS)


def pair(first, second, *variables, **options):
    return uses_of_pair(first, second, ORDER, variables, PATIENTS, ROOTS, **options)


@pytest.mark.parametrize(
    ('selecting', 'tested', 'expected'),
    [
        (None, against_change('TP1', 'TP3'), 'independent'),
        # Remitters against others in the change from TP1 to TP3 has selected.
        (CHANGE, against_change('TP1', 'TP3'), 'direct'),
        (CHANGE, against_change('TP1', 'TP2'), 'shared-data'),
        (CHANGE, against_change('TP1'), 'shared-data'),
        (CHANGE, against_change('TP3'), 'shared-data'),
        (CHANGE, against_change('TP2'), 'independent'),
        (CHANGE, term('time:remitter', ('TP1', 'TP3')), 'direct'),
        (CHANGE, term('time:remitter'), 'direct'),
        (CHANGE, term('time : remitter', ('TP2', 'TP3')), 'shared-data'),
        (CHANGE, term('time'), 'shared-data'),
        (CHANGE, term('remitter'), 'shared-data'),
        (CHANGE, term('age'), 'shared-data'),
        (CHANGE, pair('TP1', 'TP3', 'remitter'), 'direct'),
        (CHANGE, pair('TP2', 'TP2', 'remitter'), 'independent'),
        (CHANGE, pair('TP2', 'TP3', 'remitter'), 'shared-data'),
        (CHANGE, pair('TP1', 'TP3', 'remitter', same_people=False), 'direct'),
        (CHANGE, pair(None, None, 'remitter'), 'shared-data'),
        # The mean change has selected.
        (PAIRED, term('time'), 'direct'),
        (PAIRED, pair('TP3', 'TP1'), 'direct'),
        (PAIRED, term('time:remitter'), 'shared-data'),
        (PAIRED, against_change('TP1', 'TP3'), 'shared-data'),
        (PAIRED, against_change('TP2'), 'independent'),
        # A level has selected: it is like the same people's other levels.
        (MEAN, against_change('TP2'), 'shared-data'),
        (MEAN, against_change('TP2', 'TP3'), 'shared-data'),
        (MEAN, uses_of_analysis(['TP1'], [], PATIENTS), 'direct'),
        (MEAN, uses_of_analysis(['TP1'], [], CONTROLS), 'independent'),
        (GROUPS, uses_of_analysis(['TP1'], ['group'], PATIENTS[:2]), 'direct'),
        (GROUPS, uses_of_analysis(['TP1'], ['age'], CONTROLS), 'shared-data'),
    ],
)
def test_class_of_a_test(selecting, tested, expected):
    assert classify(selecting, tested, ORDER) == expected


def test_only_the_visit_in_the_middle_is_free_of_a_difference():
    order = ('TP1', 'TP2', 'TP3', 'TP4', 'TP5')
    found = {
        session: classify(CHANGE, uses_of_analysis([session], ['x'], PATIENTS), order)
        for session in order
    }
    assert [s for s, value in found.items() if value == 'independent'] == ['TP2']
    ends = uses_of_analysis(['TP1', 'TP5'], ['x'], PATIENTS)
    assert classify(ends, uses_of_analysis(['TP3'], ['x'], PATIENTS), order) == 'independent'
    assert classify(ends, uses_of_analysis(['TP2'], ['x'], PATIENTS), order) == 'shared-data'
    # At the same distance from the middle, before and after: together they are free, too.
    both = DataUse(({'TP2': 0.5, 'TP4': 0.5},), frozenset(), frozenset(PATIENTS))
    assert classify(ends, both, order) == 'independent'


def test_without_the_order_of_visits_nothing_of_the_same_people_is_independent():
    assert classify(CHANGE, against_change('TP2')) == 'shared-data'
    assert classify(CHANGE, against_change('TP2'), ('TP1', 'TP3')) == 'shared-data'
    assert classify(CHANGE, uses_of_analysis(['TP2'], [], CONTROLS)) == 'independent'


@pytest.mark.parametrize('correlation', [0.0, 0.3, 0.9])
def test_independent_is_uncorrelated_whatever_the_correlation_of_neighbours(correlation):
    V = correlation ** np.abs(np.subtract.outer(range(3), range(3)))
    weights = np.array([1.0, 0.0, -1.0])
    for session, d in zip(ORDER, np.eye(3), strict=True):
        found = classify(CHANGE, against_change(session), ORDER) == 'independent'
        assert found == (session == 'TP2')
        assert not found or weights @ V @ d == pytest.approx(0)


def test_a_comparison_with_controls_counts_its_worse_side():
    at_two = uses_of_reference('TP2', PATIENTS, 'TP1', CONTROLS, ['group'])
    assert classify(CHANGE, at_two, ORDER) == 'independent'
    at_one = uses_of_reference('TP1', PATIENTS, 'TP1', CONTROLS, ['group'])
    assert classify(CHANGE, at_one, ORDER) == 'shared-data'
    # Whom the controls helped to find: their data are in the test, whatever the patients' visit.
    assert classify(GROUPS, at_two, ORDER) == 'direct'


def test_a_study_without_sessions():
    selecting = uses_of_analysis([], ['group'], PATIENTS)
    assert selecting.sessions == {''}
    assert classify(selecting, uses_of_analysis([''], ['group'], PATIENTS)) == 'direct'
    assert classify(selecting, uses_of_analysis([''], ['age'], PATIENTS)) == 'shared-data'


def test_variables_are_compared_by_the_columns_behind_them():
    assert CHANGE.variables == {'hdrs'}
    assert term('time:remitter').variables == {'hdrs'}
    assert term('(Intercept)').variables == frozenset()
    named = uses_of_analysis(['TP1', 'TP3'], ['remitter'], PATIENTS)
    assert named.variables == {'remitter'}
    assert classify(named, against_change('TP1', 'TP3'), ORDER) == 'shared-data'
