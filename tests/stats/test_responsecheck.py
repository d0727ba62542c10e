"""What is odd about the responses of a run."""

from dataclasses import replace

import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.eventrules import Condition, EventRules, ResponseRule
from ketbids.stats.events import code_trials
from ketbids.stats.responsecheck import absent_responses, odd_response_times

CONDITIONS = (
    Condition('hit', {'kind': ('go',)}, response=True),
    Condition('miss', {'kind': ('go',)}, response=False),
)
COLUMN = EventRules(CONDITIONS, ResponseRule((0.0, 0.8), 'rt', press={'key': ('1', '2')}))
ROWS = EventRules(
    CONDITIONS, ResponseRule((0.0, 0.8), rows={'kind': ('press',)}, press={'key': ('1', '2')})
)


def trials(times, key='1', spacing=2.5):
    """Go trials with response times, or None."""
    return pd.DataFrame(
        [
            (
                str(spacing * n),
                '0.6',
                'go',
                None if time is None else str(time),
                None if time is None else key,
            )
            for n, time in enumerate(times)
        ],
        columns=['onset', 'duration', 'kind', 'rt', 'key'],
    )


def odd(times, rules=COLUMN, **more):
    return odd_response_times(rules, code_trials(trials(times, **more), rules))


@pytest.mark.parametrize('times', [[400] * 60, [900] * 60, [900, 950, 870, 1200], [1100], [850.5]])
def test_milliseconds_taken_for_seconds(times):
    """Also where a median of 0.9 s is longer than the window, and of a single press."""
    with pytest.raises(InputError) as caught:
        odd([*times, None])
    assert 'The values of rt look like milliseconds (half of them are' in str(caught.value)
    assert '"Units": {"rt": "ms"}' in str(caught.value)
    in_ms = replace(COLUMN, units={'rt': 'ms'})
    assert odd([*times, None], in_ms) == ()


@pytest.mark.parametrize('times', [[0.3], [0.9, 1.2, 2.1], [0.4] * 5 + [900], [None] * 4, [0] * 4])
def test_times_that_can_be(times):
    assert odd(times) == ()


def test_times_of_the_run_are_not_milliseconds():
    """A press at 202.8 s of the run is one at 0.3 s of its trial, not at 0.2028 s."""
    times = [2.5 * n + 0.3 for n in range(100)]
    with pytest.raises(InputError, match=r'since the start of the run.*median 0\.3 s.*subtract'):
        odd(times)


def test_a_code_for_no_response_in_milliseconds():
    with pytest.raises(InputError, match=r'cannot be milliseconds .* half of them are 99999 or'):
        odd([99999] * 5, replace(COLUMN, units={'rt': 'ms'}))


@pytest.mark.parametrize('times', [[0.4], [0.3] * 8])
def test_seconds_taken_for_milliseconds(times):
    (note,) = odd(times, replace(COLUMN, units={'rt': 'ms'}))
    assert 'faster than anybody responds' in note


def test_presses_of_a_column_that_are_no_presses():
    events = trials([0.4, 0.5, None], key='5')
    (note,) = absent_responses(events, COLUMN, code_trials(events, COLUMN))
    assert note.startswith(
        "no row is a press: Response.Press of the model file asks for key='1' or '2', the file "
        "has key='5' (2); key='n/a' (1); every trial is taken for one without a response"
    )
    events.loc[0, 'key'] = '2'
    assert absent_responses(events, COLUMN, code_trials(events, COLUMN)) == ()


def test_a_column_without_times():
    events = trials([None, 0])
    (note,) = absent_responses(events, COLUMN, code_trials(events, COLUMN))
    assert note.startswith('no row has a response time in rt: every trial is taken for one')


def test_no_row_of_a_response():
    events = trials([None, None])
    events.loc[2] = ['0.4', '0', 'Press', None, '1']
    (note,) = absent_responses(events, ROWS, code_trials(events, ROWS))
    assert note.startswith(
        "no row is a response: Response.Rows of the model file asks for kind='press', the file "
        "has kind='go' (2); kind='Press' (1); every trial"
    )
    renaming = replace(ROWS, rename={'kind': {'Press': 'press'}})
    assert absent_responses(events, renaming, code_trials(events, renaming)) == ()
    events.loc[2, 'key'] = '7'
    (note,) = absent_responses(events, renaming, code_trials(events, renaming))
    assert "asks for key='1' or '2', the file has key='7' (1)" in note


def test_a_model_without_responses():
    rules = EventRules((Condition('go', {'kind': ('go',)}),))
    events = trials([900, 900])
    coded = code_trials(events, rules)
    assert absent_responses(events, rules, coded) == odd_response_times(rules, coded) == ()
