"""Whether the task was done, by counts alone."""

import pytest

from ketbids.stats.behaviour import performance
from ketbids.stats.eventrules import StimulusRules, ValidityRules
from ketbids.stats.taskdone import validity
from tests.stats.test_behaviour import trials


def counts(go=20, omitted=0, wrong=0, nogo=12, pressed=0, outside=0, lost=0):
    return {
        'n_trials': go + nogo,
        'n_go': go,
        'n_correct_go': go - omitted - wrong,
        'n_omissions': omitted,
        'n_outside': outside,
        'n_wrong_go': wrong,
        'n_nogo': nogo,
        'n_correct_nogo': nogo - pressed,
        'n_unmatched': lost,
    }


@pytest.mark.parametrize(
    ('done', 'rules', 'expected'),
    [
        (counts(), ValidityRules(), (True, None)),
        (counts(omitted=6, pressed=2), ValidityRules(), (True, None)),
        (
            counts(omitted=6, wrong=1, pressed=3),
            ValidityRules(),
            (
                False,
                '9 correct NoGo trials of 12, fewer than 10; Go accuracy 0.650, below 0.7 '
                '(6 of 20 Go trials without a press, 1 with a wrong one)',
            ),
        ),
        (counts(omitted=20), ValidityRules(go_accuracy=None), (True, None)),
        (counts(pressed=12), ValidityRules(correct_nogo=None), (True, None)),
        (counts(omitted=20), ValidityRules(None, None), (None, None)),
    ],
)
def test_rules(done, rules, expected):
    assert validity(done, rules) == expected


def test_late_presses_are_not_called_no_press():
    valid, reason = validity(counts(omitted=10, outside=4), ValidityRules())
    assert valid is False
    assert '(6 of 20 Go trials without a press, 4 with a press outside of the window, 0' in reason


@pytest.mark.parametrize('n', [20, 25, 100, 200])
def test_exactly_at_the_threshold_is_enough(n):
    """In floating point 0.55 * 100 is more than 55."""
    for right in range(1, n + 1):
        rules = ValidityRules(correct_nogo=None, go_accuracy=right / n)
        assert validity(counts(go=n, omitted=n - right), rules) == (True, None), right
        assert validity(counts(go=n, omitted=n - right + 1), rules)[0] is False, right


@pytest.mark.parametrize(
    ('done', 'valid', 'reason'),
    [
        (counts(nogo=0), None, 'there are no NoGo trials'),
        (counts(go=0), None, 'there are no Go trials'),
        (counts(go=0, pressed=12), False, '0 correct NoGo trials of 12, fewer than 10; there are'),
    ],
)
def test_trials_of_one_kind_only(done, valid, reason):
    found = validity(done, ValidityRules())
    assert found[0] is valid
    assert found[1].startswith(reason)


def test_a_run_without_nogo_was_not_done_badly():
    found = performance([trials(*['g .4'] * 20)], StimulusRules({}, {}))
    assert found['valid'] is None
    assert found['invalid_reason'] == 'there are no NoGo trials'


@pytest.mark.parametrize(('lost', 'valid'), [(0, True), (1, True), (2, None)])
def test_more_than_a_twentieth_of_unknown_rows_leaves_it_open(lost, valid):
    """1 of 33 is a stray row; 2 of 34 are more than 5 %."""
    found, reason = validity(counts(lost=lost), ValidityRules())
    assert found is valid
    assert (reason is None) == (valid is True)


def test_a_rule_is_broken_only_if_unknown_rows_cannot_mend_it():
    few = validity(counts(nogo=5, lost=20), ValidityRules())
    assert few[0] is None
    assert few[1].endswith('; 5 correct NoGo trials of 5, fewer than 10')
    never = validity(counts(pressed=12, lost=5), ValidityRules())
    assert never[0] is False
    assert never[1].startswith('0 correct NoGo trials of 12, fewer than 10; 5 of 37 rows')
    assert validity(counts(omitted=10, lost=10), ValidityRules())[0] is False
    assert validity(counts(omitted=10, lost=20), ValidityRules())[0] is None


def test_unknown_rows_are_said_without_any_rule():
    valid, reason = validity(counts(lost=10), ValidityRules(None, None))
    assert valid is None
    assert reason.startswith('10 of 42 rows')
