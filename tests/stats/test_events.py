import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.eventrules import Condition, EventRules, ResponseRule, StimulusRules
from ketbids.stats.events import UNMATCHED, code_trials, count_rows, count_trials

PRESS = (
    Condition('hit', {'trial_type': ('frequent',)}, response=True),
    Condition('miss', {'trial_type': ('frequent',)}, response=False),
    Condition('withheld', {'trial_type': ('rare', 'Rare')}, response=False),
    Condition('alarm', {'trial_type': ('rare', 'Rare')}, response=True),
)


def events(trial_types, times, **more):
    n = len(trial_types)
    columns = {
        'onset': np.arange(n) * 2.5,
        'duration': [0.6] * n,
        'trial_type': trial_types,
        'response_time': times,
    }
    return pd.DataFrame({**columns, **more})


def code(table, conditions=PRESS, column='response_time', window=(0.0, 0.8), **more):
    response = (
        None if column is None else ResponseRule(window, column, press=more.pop('press', {}))
    )
    return code_trials(table, EventRules(tuple(conditions), response, **more))


def test_each_kind_of_trial_and_response():
    table = events(
        ['frequent', 'frequent', 'rare', 'Rare', 'frequent', 'frequent', 'rare', 'xyz'],
        ['0.41', 'n/a', '', '0.8', '-0.05', '0.81', '0', '0.3'],
    )
    coded = code(table)
    assert coded['condition'].tolist() == [
        *('hit', 'miss', 'withheld', 'alarm', 'miss', 'miss', 'withheld'),
        UNMATCHED,
    ]
    assert coded['responded'].tolist() == [True, False, False, True, *[False] * 3, None]
    assert coded['note'].tolist() == [
        '',
        '',
        '',
        '',
        'press before onset (-0.05 s)',
        'press after the window (0.81 s)',
        'response time 0 read as no response',
        'no condition matches trial_type=xyz with a response',
    ]
    np.testing.assert_array_equal(coded['onset'], table['onset'])
    np.testing.assert_allclose(
        coded['response_time'], [0.41, np.nan, np.nan, 0.8, -0.05, 0.81, 0, 0.3]
    )


def test_counts_follow_the_conditions_and_end_with_the_unmatched():
    table = events(['frequent', 'frequent', 'rare', 'xyz'], [0.4, 0.5, np.nan, np.nan])
    counts = count_trials(code(table), PRESS)
    assert counts['condition'].tolist() == ['hit', 'miss', 'withheld', 'alarm', 'n/a']
    assert counts['n_trials'].tolist() == [2, 0, 1, 0, 1]


def test_numeric_columns_match_as_text():
    table = events(['a', 'a', 'b'], [np.nan] * 3, level=[1.0, 2.0, np.nan])
    conditions = [
        Condition('one', {'level': ('1',)}),
        Condition('twoA', {'level': ('2',), 'trial_type': ('a',)}),
        Condition('none', {'level': ('n/a',)}),
    ]
    assert code(table, conditions, None)['condition'].tolist() == ['one', 'twoA', 'none']


def test_the_window_is_the_caller_s():
    coded = code(events(['frequent'] * 2, [0.1, 1.1]), window=(0.15, 1.2))
    assert coded['condition'].tolist() == ['miss', 'hit']
    assert coded['note'].tolist() == ['press before the window (0.1 s)', '']


def test_no_rows():
    with pytest.raises(InputError, match='a header, but no event'):
        code(events([], []))


def test_rows_that_are_all_of_no_condition():
    """The message has both sides, so that a misspelling is seen."""
    with pytest.raises(InputError) as caught:
        code(events(['Go', 'Go', 'stop'], [0.2, 0.3, np.nan]))
    message = str(caught.value)
    assert "The file has: trial_type='Go' (2); trial_type='stop' (1)." in message
    assert "hit: trial_type='frequent', with a response" in message
    many = events([f'kind{n}' for n in range(20)], [np.nan] * 20)
    with pytest.raises(InputError, match=r"trial_type='kind11' \(1\); 8 more\."):
        code(many)


def test_blanks_are_seen_where_nothing_matches():
    with pytest.raises(InputError) as caught:
        code(events(['stop  ', 3, 'n/a'], [np.nan] * 3))
    message = str(caught.value)
    assert "trial_type='stop  ' (1); trial_type='3' (1); trial_type='n/a' (1)." in message


def test_repeated_rows_count_once():
    table = events(['rare', 'frequent', 'xyz'], [0.2, 0.4, np.nan])
    coded = code(pd.concat([table, table], ignore_index=True))
    assert coded['condition'].tolist() == ['alarm', 'hit', *[UNMATCHED] * 4]
    assert coded['note'][3:5].str.startswith('repeats an earlier row').all()
    assert not coded['note'][:2].any()
    assert 'no condition matches' in coded['note'][5]
    assert count_trials(coded, PRESS)['n_trials'].tolist() == [1, 0, 0, 1, 4]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(['frequent', 'rare', 'Rare', 'other', 'n/a']),
            st.one_of(st.none(), st.floats(-2, 2)),
        ),
        min_size=1,
    )
)
def test_every_row_is_accounted_for(rows):
    rows = [('rare', None), *rows]
    table = events([kind for kind, _ in rows], [time for _, time in rows])
    coded = code(table)
    assert len(coded) == len(table)
    assert count_trials(coded, PRESS)['n_trials'].sum() == len(table)
    unmatched = coded['condition'] == UNMATCHED
    assert coded.loc[unmatched, 'note'].str.contains('no condition matches').all()
    known = table['trial_type'].isin(['frequent', 'rare', 'Rare'])
    assert (known == ~unmatched).all()
    assert (known == coded['responded'].notna()).all()
    pressed = coded['condition'].isin(['hit', 'alarm'])
    assert (pressed == (coded['responded'] == True)).all()  # noqa: E712
    outside = coded['response_time'].notna() & ~pressed
    assert (coded.loc[outside, 'note'] != '').all()
    counts = count_rows(coded, [condition.name for condition in PRESS])
    assert counts['n_rows'].sum() == len(table)
    assert not counts.duplicated(['status', 'condition', 'reason']).any()


def test_a_row_of_two_conditions_names_both():
    both = [Condition('any', {'trial_type': ('frequent',)}), *PRESS]
    with pytest.raises(InputError, match=r'Row 2 .*trial_type=frequent.*any and miss'):
        code(events(['rare', 'frequent'], [0.2, np.nan]), both)


def test_a_missing_column_is_named_with_those_present():
    table = events(['rare'], [0.2]).drop(columns='trial_type')
    with pytest.raises(InputError, match=r"'trial_type'.*onset, duration, response_time"):
        code(table)
    with pytest.raises(InputError, match=r"'rt', which the response rule needs"):
        code(events(['rare'], [0.2]), column='rt')


@pytest.mark.parametrize(
    ('column', 'value'),
    [
        ('onset', 'n/a'),
        ('duration', -0.1),
        ('onset', 'soon'),
        ('duration', 'n/a'),
        ('onset', np.inf),
    ],
)
def test_onsets_and_durations_must_be_times(column, value):
    table = events(['rare', 'rare', 'rare'], [np.nan] * 3).astype({column: object})
    table.loc[1, column] = value
    with pytest.raises(InputError, match=rf'Row 2 \(line 3 of the file\).*{column}'):
        code(table)


def test_an_onset_before_the_first_volume_is_noted():
    table = events(['rare', 'rare'], [np.nan, 0.9])
    table['onset'] = [-3.5, -2.0]
    coded = code(table)
    assert coded['onset'].tolist() == [-3.5, -2.0]
    assert coded['note'].tolist() == [
        'starts before the first volume of the scan',
        'press after the window (0.9 s); starts before the first volume of the scan',
    ]


def test_a_response_time_must_be_a_number_or_missing():
    with pytest.raises(InputError, match=r"Row 1 .*response_time 'left'"):
        code(events(['rare'], ['left']))


def test_conditions_that_cannot_work():
    table = events(['rare'], [0.2])
    with pytest.raises(InputError, match='no response column'):
        code(table, column=None)
    with pytest.raises(InputError, match='unique'):
        code(table, [PRESS[0], PRESS[0]])
    with pytest.raises(InputError, match=r'window 0\.8 to 0\.0'):
        code(table, window=(0.8, 0.0))


GO = {'trial_type': ('frequent',)}
STIMULI = StimulusRules(GO, {'trial_type': ('rare', 'Rare')}, {'button': ('left',)})


def account(coded):
    return {tuple(row[:3]): row[3] for row in count_rows(coded, []).itertuples(index=False)}


def test_stimuli_and_what_is_correct():
    table = events(
        ['frequent', 'frequent', 'frequent', 'rare', 'rare', 'xyz'],
        [0.3, 0.4, np.nan, np.nan, 0.5, 0.3],
        button=['left', 'right', 'n/a', 'n/a', 'left', 'left'],
    )
    coded = code(table, stimuli=STIMULI)
    assert coded['stimulus'].tolist() == ['go', 'go', 'go', 'nogo', 'nogo', 'n/a']
    assert coded['correct'].tolist() == [True, False, False, True, False, None]
    assert coded['presses'].tolist() == [1, 1, 0, 0, 1, None]
    # A trial that the model does not code is done all the same.
    coded = code(table, PRESS[:3], stimuli=STIMULI)
    assert coded['status'].tolist() == [*['trial'] * 4, 'unmatched', 'unmatched']
    assert coded['correct'].tolist() == [True, False, False, True, False, None]
    both = StimulusRules(GO, {'button': ('left',)})
    with pytest.raises(InputError, match=r'Row 1 .*button=left\) is both a Go and a NoGo'):
        code(table, stimuli=both)


def test_ignored_rows_are_not_looked_at_any_further():
    """Feedback may have no times; a trial that is ignored is of no condition."""
    table = events(
        ['frequent', 'feedback', 'rare'], ['0.3', 'left', '0'], outcome=['', '', 'JUNK']
    )
    table = table.astype({'onset': object})
    table.loc[1, ['onset', 'duration']] = ['?', np.nan]
    ignore = ({'trial_type': ('feedback', 'NULL')}, {'outcome': ('JUNK',)})
    coded = code(table, ignore=ignore)
    assert coded['status'].tolist() == ['trial', 'ignored', 'ignored']
    assert coded['condition'].tolist() == ['hit', UNMATCHED, UNMATCHED]
    assert coded['reason'].tolist()[1:] == ['trial_type=feedback', 'outcome=JUNK']
    assert coded['note'].tolist() == ['', '', '']
    assert np.isnan(coded['onset'][1])
    assert coded['onset'][2] == 5
    with pytest.raises(InputError, match=r"Row 2 .* has onset '\?'"):
        code(table, ignore=ignore[1:])
    with pytest.raises(InputError, match="'kind', which the rule of ignored rows needs"):
        code(table, ignore=({'kind': ('x',)},))


def test_values_are_read_as_what_they_mean():
    table = events(['frequnt', 'frequent ', 'frequent'], ['0.3', 'none yet', '-1'])
    rename = {
        'trial_type': {'frequnt': 'frequent', 'frequent': 'rare'},
        'response_time': {'none yet': 'n/a', '-1.0': 'n/a'},
    }
    # Once: frequnt is frequent then, not rare.
    coded = code(table, rename=rename)
    assert coded['condition'].tolist() == ['hit', 'withheld', 'withheld']
    assert coded['note'].tolist() == ['', '', '']
    assert table['trial_type'][0] == 'frequnt'
    with pytest.raises(InputError, match="'kind', which the renaming of values needs"):
        code(table, rename={'kind': {'a': 'b'}})
    # The message has what the file has.
    with pytest.raises(InputError, match=r"trial_type='frequnt' \(1\)"):
        code(table, rename={**rename, 'trial_type': {'frequnt': 'a', 'frequent': 'b'}})


def test_milliseconds():
    table = events(['frequent', 'frequent', 'rare'], [800, 800.001, np.nan])
    table['onset'], table['duration'] = [1500, 3500, 6000], 600
    units = {'onset': 'ms', 'duration': 'ms', 'response_time': 'ms'}
    coded = code(table, units=units)
    assert coded['onset'].tolist() == [1.5, 3.5, 6.0]
    assert coded['duration'].tolist() == [0.6] * 3
    assert coded['condition'].tolist() == ['hit', 'miss', 'withheld']
    table['duration'] = [600, -1, 600]
    with pytest.raises(InputError, match='must be a number of milliseconds, 0 or more'):
        code(table, units=units)


def test_durations_of_the_model():
    table = events(['frequent', 'rare'], [0.3, np.nan], duration=[np.nan, 0.7])
    assert code(table, duration=0.5)['duration'].tolist() == [0.5, 0.7]
    with pytest.raises(InputError, match=r'Row 1 .* duration n/a: .* give the Duration of such'):
        code(table)


def test_what_counts_as_a_press():
    table = events(
        ['frequent', 'frequent', 'rare', 'rare'], [0.3, 0.4, 0, 0.5], key=['5', '9', '5', 'n/a']
    )
    coded = code(table, press={'key': ('5', '28')})
    assert coded['condition'].tolist() == ['hit', 'miss', 'withheld', 'withheld']
    assert coded['note'].tolist() == [
        '',
        'response time 0.4 s, but key=9 is no press',
        'key=5, but no response time: read as no response',
        'response time 0.5 s, but key=n/a is no press',
    ]
    assert account(coded) == {
        ('trial', 'hit', 'response in the window'): 1,
        ('trial', 'miss', 'response is no press'): 1,
        ('trial', 'withheld', 'response is no press'): 1,
        ('trial', 'withheld', 'press without its time'): 1,
    }


def test_the_account_has_conditions_without_trials():
    counts = count_rows(code(events(['frequent'], [0.4])), [c.name for c in PRESS])
    assert counts.to_numpy().tolist() == [
        ['trial', 'hit', 'response in the window', 1],
        ['trial', 'miss', 'no trial', 0],
        ['trial', 'withheld', 'no trial', 0],
        ['trial', 'alarm', 'no trial', 0],
    ]


def test_somebody_who_never_presses():
    """Rows of the right kind are no misspelling, even if none belongs to a condition."""
    coded = code(events(['frequent'] * 3, [np.nan] * 3), PRESS[:1])
    assert coded['status'].tolist() == ['unmatched'] * 3
    assert coded['responded'].tolist() == [False] * 3
    reason = 'no condition matches trial_type=frequent without a response'
    assert account(coded) == {('unmatched', 'n/a', reason): 3}


@pytest.mark.parametrize(('window', 'fits'), [((0.0, 2.5), True), ((0.1, 2.65), False)])
def test_a_window_longer_than_the_spacing(window, fits):
    table = events(['frequent', 'frequent', 'xyz', 'rare'], [0.3] * 4)
    table['onset'] = [0, 2.5, 2.7, 6]
    if fits:
        assert len(code(table, window=window)) == 4
        return
    with pytest.raises(InputError) as caught:
        code(table, window=window)
    message = str(caught.value)
    assert message.startswith('Lines 2 and 3 of the file are trials 2.5 s apart, but the response')
    assert 'window of 0.1 to 2.65 s is longer' in message


def test_trials_of_one_time_that_contradict_each_other():
    table = events(['frequent', 'frequent'], [0.3, np.nan])
    table['onset'] = 1.0
    with pytest.raises(InputError, match='Lines 2 and 3 of the file are trials of the same time'):
        code(table)
    # Where no response is asked for, a row may be said to be of two kinds by two rows.
    kinds = [Condition('cue', {'trial_type': ('rare',)}), Condition('one', GO)]
    table['trial_type'] = ['rare', 'frequent']
    assert code(table, kinds)['condition'].tolist() == ['cue', 'one']


def test_lines_of_a_file_with_blank_ones():
    table = events(['frequent', 'frequent'], ['0.3', 'x'])
    table.index = pd.Index([2, 5], name='line')
    with pytest.raises(InputError, match=r"Row 2 \(line 5 of the file\) .* response_time 'x'"):
        code(table)
    table['response_time'] = '0.3'
    assert code(table)['line'].tolist() == [2, 5]


@pytest.mark.parametrize('text', ['1_0', '٣', 'nan s', '0,4', '0x1'])
def test_times_are_written_as_people_write_them(text):
    with pytest.raises(InputError, match='is not a number of seconds'):
        code(events(['rare'], [text]))


def test_values_are_compared_as_what_they_are():
    table = events(['a'] * 5, [np.nan] * 5, level=['1.0', '1', '01', 'TRUE', '0.50'])
    kinds = [Condition('one', {'level': ('1',)}), Condition('code', {'level': ('01',)})]
    kinds += [Condition('true', {'level': ('true',)}), Condition('half', {'level': ('.5',)})]
    assert code(table, kinds, None)['condition'].tolist() == ['one', 'one', 'code', 'true', 'half']


def test_a_word_is_not_a_missing_value():
    """Somebody's key or kind may be called none; what tables are read with is missing."""
    events = pd.DataFrame(
        [('1', '1', 'none'), ('2', '1', 'None'), ('3', '1', None), ('4', '1', 'go')],
        columns=['onset', 'duration', 'kind'],
    )
    rules = EventRules((
        Condition('blank', {'kind': ('none',)}),
        Condition('missing', {'kind': ('n/a',)}),
        Condition('go', {'kind': ('go',)}),
    ))  # fmt: skip
    coded = code_trials(events, rules)
    assert coded['condition'].tolist() == ['blank', 'n/a', 'missing', 'go']
    assert coded['reason'][1] == 'no condition matches kind=None'


def test_a_word_in_the_column_of_times_can_be_renamed():
    events = pd.DataFrame(
        [('1', '1', 'go', '0.3'), ('3', '1', 'go', 'no press'), ('5', '1', 'go', 'None')],
        columns=['onset', 'duration', 'kind', 'rt'],
    )
    rules = EventRules(
        (Condition('hit', {'kind': ('go',)}, response=True),), ResponseRule((0.0, 0.8), 'rt')
    )
    with pytest.raises(InputError, match=r'Row 2 .* has rt .no press.*or Rename it to n/a') as e:
        code_trials(events, rules)
    assert '"Events": {"Rename": {"rt": {"no press": "n/a"}}}' in str(e.value)
    renaming = EventRules(rules.conditions, rules.response, rename={'rt': {'no press': 'n/a'}})
    assert code_trials(events, renaming)['responded'].tolist() == [True, False, False]
