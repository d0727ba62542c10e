"""Presses in rows of their own."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.eventrules import Condition, EventRules, ResponseRule, StimulusRules
from ketbids.stats.events import code_trials, count_rows

CONDITIONS = (
    Condition('hit', {'kind': ('go',)}, response=True),
    Condition('miss', {'kind': ('go',)}, response=False),
    Condition('withheld', {'kind': ('nogo',)}, response=False),
    Condition('alarm', {'kind': ('nogo',)}, response=True),
)
STIMULI = StimulusRules({'kind': ('go',)}, {'kind': ('nogo',)}, {'key': ('1',)})


def rules(window=(0.0, 0.8), conditions=CONDITIONS, press=None, **more):
    response = ResponseRule(window, rows={'kind': ('press',)}, press=press or {})
    return EventRules(conditions, response, duration=0.5, **{'stimuli': STIMULI, **more})


def table(*rows):
    """Rows of onset, kind and maybe key."""
    return pd.DataFrame(
        [(onset, 'n/a', kind, key[0] if key else '1') for onset, kind, *key in rows],
        columns=['onset', 'duration', 'kind', 'key'],
    )


def counted(coded):
    found = count_rows(coded, [])
    assert found['n_rows'].sum() == len(coded)
    return {
        (status, name, reason): n
        for status, name, reason, n in found.itertuples(index=False)
    }  # fmt: skip


def test_every_place_of_a_press():
    coded = code_trials(
        table(
            (0.5, 'press'),  # before the first trial
            (1, 'go'),
            (1.3, 'press'),
            (1.6, 'press'),  # a second one
            (3, 'go'),
            (3.9, 'press'),  # too late
            (4.9, 'press'),  # nearly the next trial's
            (5, 'nogo'),
            (5, 'press'),  # at its very onset
            (7, 'nogo'),
            (7.4, 'press'),
            (9, 'go'),
            (9.5, 'press', '2'),  # the wrong key
            (30, 'press'),
        ),
        rules(),
    )
    assert coded['status'].tolist() == [
        *('response', 'trial', 'response', 'response', 'trial', 'response', 'response'),
        *('trial', 'response', 'trial', 'response', 'trial', 'response', 'response'),
    ]
    trials = coded[coded['status'] == 'trial']
    assert trials['condition'].tolist() == ['hit', 'miss', 'withheld', 'alarm', 'hit']
    assert trials['correct'].tolist() == [True, False, True, False, False]
    assert trials['presses'].tolist() == [2, 0, 0, 1, 1]
    np.testing.assert_allclose(trials['response_time'], [0.3, 0.9, 0, 0.4, 0.5])
    assert trials['note'].tolist() == [
        '2 presses in the window, the first (0.3 s) counts',
        'press after the window (0.9 s)',
        'press at the onset of a trial (0 s)',
        '',
        'another press after the window (21 s)',
    ]
    presses = coded[coded['status'] == 'response']
    assert presses['reason'].tolist() == [
        'press before the first trial',
        'press of a trial',
        'further press of a trial',
        'press between trials',
        'press between trials',
        'press at the onset of a trial',
        'press of a trial',
        'press of a trial',
        'press after the last trial',
    ]
    assert presses['note'].tolist() == [
        'belongs to no trial: 0.5 s before that of line 3',
        '',
        'another press of the trial of line 3',
        'belongs to no trial: 0.9 s after the onset of the trial of line 6, 1.1 s before that of '
        'line 9',
        'belongs to no trial: 1.9 s after the onset of the trial of line 6, 0.1 s before that of '
        'line 9',
        'belongs to no trial: 0 s after the onset of the trial of line 9, 2 s before that of '
        'line 11',
        '',
        '',
        'belongs to no trial: 21 s after the onset of the trial of line 13',
    ]
    assert presses[['responded', 'correct', 'presses', 'response_time']].isna().all(axis=None)
    assert presses['duration'].isna().all()
    several = 'more than one response in the window, the first counts'
    assert counted(coded)['trial', 'hit', several] == 1


def test_a_press_before_the_window_and_one_in_it():
    coded = code_trials(table((1, 'go'), (1.05, 'press'), (1.4, 'press')), rules((0.1, 0.8)))
    assert coded['condition'][0] == 'hit'
    assert coded['response_time'][0] == pytest.approx(0.4)
    assert coded['note'][0] == 'press before the window (0.05 s)'
    assert coded['reason'].tolist() == [
        *('response in the window', 'press before the window of a trial', 'press of a trial')
    ]


def test_both_ends_of_the_window_belong_to_it():
    """12.044 - 11.244 is 0.8000000000000007 for a computer."""
    coded = code_trials(table((11.244, 'go'), (12.044, 'press')), rules())
    assert coded['response_time'][0] == 0.8
    assert coded['condition'][0] == 'hit'


def test_rows_need_not_be_in_order():
    rows = [(1, 'go'), (1.3, 'press'), (3, 'nogo'), (5, 'go'), (5.2, 'press'), (5.4, 'press')]
    there, back = (code_trials(table(*order), rules()) for order in (rows, rows[::-1]))
    columns = ['condition', 'status', 'response_time', 'presses', 'correct', 'reason']
    pd.testing.assert_frame_equal(there[columns], back[columns][::-1].reset_index(drop=True))


def test_a_response_that_is_no_press():
    coded = code_trials(
        table((1, 'go'), (1.3, 'press', '9'), (3, 'nogo'), (3.3, 'press', '1')),
        rules(press={'key': ('1', '2')}),
    )
    assert coded['condition'].tolist() == ['miss', 'n/a', 'alarm', 'n/a']
    assert coded['reason'][1] == 'a response that is no press'
    assert coded['note'][1] == 'key=9 is no press'


def test_a_row_between_stimulus_and_press_does_not_take_it():
    fixation = (*CONDITIONS, Condition('fixation', {'kind': ('fixation',)}))
    rows = table((1, 'go'), (1.2, 'fixation'), (1.25, 'xyz'), (1.4, 'press'))
    coded = code_trials(rows, rules(conditions=fixation))
    assert coded['condition'].tolist() == ['hit', 'fixation', 'n/a', 'n/a']
    assert coded['responded'].tolist() == [True, None, None, None]
    assert coded['reason'].tolist()[1:3] == ['n/a', 'no condition matches kind=xyz']


def test_a_file_that_is_there_twice():
    rows = [(1, 'go'), (1.3, 'press'), (3, 'nogo')]
    coded = code_trials(table(*rows, *rows), rules())
    assert coded['status'].tolist()[3:] == ['repeated', 'response', 'repeated']
    assert coded['presses'].tolist()[:3] == [1, None, 0]
    assert coded['stimulus'].tolist()[3:] == ['n/a'] * 3
    assert coded['reason'][4].startswith('repeats an earlier row (onset and kind of response)')
    assert counted(coded)['trial', 'hit', 'response in the window'] == 1


def test_two_keys_at_one_instant():
    """They are two presses, not one that stands twice: the keys tell which is right."""
    rows = table((1, 'go'), (1.3, 'press', '2'), (1.3, 'press', '1'), (1.3, 'press', '1'))
    coded = code_trials(rows, rules())
    assert coded['presses'][0] == 2
    assert coded['reason'].tolist()[1:] == [
        *('press of a trial', 'further press of a trial'),
        'repeats an earlier row (onset and kind of response), counted once',
    ]


def test_trials_closer_than_the_window():
    rows = table((1, 'go'), (1.1, 'press'), (1.6, 'nogo'))
    with pytest.raises(InputError, match=r'Lines 2 and 4 of the file are trials 0\.6 s apart'):
        code_trials(rows, rules())
    assert code_trials(rows, rules((0.0, 0.6)))['condition'][0] == 'hit'


def test_a_response_that_is_a_trial():
    kinds = (*CONDITIONS, Condition('press', {'kind': ('press',)}))
    with pytest.raises(InputError, match=r'Row 2 .*kind=press\) is a response, but belongs to'):
        code_trials(table((1, 'go'), (1.3, 'press')), rules(conditions=kinds))


def test_a_response_needs_an_onset():
    rows = table((1, 'go'), ('n/a', 'press'))
    with pytest.raises(InputError, match=r'Row 2 \(line 3 of the file\).* onset n/a'):
        code_trials(rows, rules())


def test_no_trial_at_all_for_a_press():
    """The trials of the model ask for no response, and none is there for the press."""
    kinds = (Condition('cue', {'kind': ('cue',)}),)
    coded = code_trials(table((1, 'press'), (2, 'cue')), rules(conditions=kinds, stimuli=None))
    assert coded['reason'].tolist() == ['press before the first trial', 'no response']


@given(
    st.lists(st.sampled_from(['go', 'nogo', 'xyz']), min_size=1, max_size=12),
    st.lists(st.integers(0, 26000), max_size=30),
)
def test_every_press_is_accounted_for_and_a_column_agrees(kinds, times):
    """A column with the first press in the window says the same as the rows of presses."""
    kinds = ['go', *kinds]
    onset = [2000 * n for n in range(len(kinds))]
    trials = [(o / 1000, kind) for o, kind in zip(onset, kinds, strict=True)]
    presses = [(time / 1000, 'press') for time in times]
    coded = code_trials(table(*trials, *presses), rules())
    assert counted(coded)
    first = [min((t - o for t in times if 0 < t - o <= 800), default=np.nan) for o in onset]
    column = table(*trials)
    column['rt'] = first
    rule = EventRules(
        CONDITIONS,
        ResponseRule((0.0, 0.8), 'rt'),
        {'rt': 'ms'},
        duration=0.5,
        stimuli=STIMULI,
    )
    other = code_trials(column, rule)
    same = ['condition', 'status', 'stimulus', 'correct', 'line']
    pd.testing.assert_frame_equal(coded[same][: len(kinds)], other[same])
    known = np.array(kinds) != 'xyz'
    inside = sum(
        any(0 < t - o <= 800 for o in np.array(onset)[known]) for t in set(times)
    )  # fmt: skip
    assert sum(n for n in coded['presses'] if n is not None) == inside
