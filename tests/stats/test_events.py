import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.events import UNMATCHED, Condition, code_trials, count_trials

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


def test_each_kind_of_trial_and_response():
    table = events(
        ['frequent', 'frequent', 'rare', 'Rare', 'frequent', 'frequent', 'rare', 'xyz'],
        ['0.41', 'n/a', '', '0.8', '-0.05', '0.81', '0', '0.3'],
    )
    coded = code_trials(table, PRESS, 'response_time')
    assert coded['condition'].tolist() == [
        *('hit', 'miss', 'withheld', 'alarm', 'miss', 'miss', 'withheld'),
        UNMATCHED,
    ]
    assert coded['responded'].tolist() == [True, False, False, True, False, False, False, True]
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
    counts = count_trials(code_trials(table, PRESS, 'response_time'), PRESS)
    assert counts['condition'].tolist() == ['hit', 'miss', 'withheld', 'alarm', 'n/a']
    assert counts['n_trials'].tolist() == [2, 0, 1, 0, 1]


def test_numeric_columns_match_as_text():
    table = events(['a', 'a', 'b'], [np.nan] * 3, level=[1.0, 2.0, np.nan])
    conditions = [
        Condition('one', {'level': ('1',)}),
        Condition('twoA', {'level': ('2',), 'trial_type': ('a',)}),
        Condition('none', {'level': ('n/a',)}),
    ]
    assert code_trials(table, conditions)['condition'].tolist() == ['one', 'twoA', 'none']


def test_the_window_is_the_caller_s():
    coded = code_trials(events(['frequent'] * 2, [0.1, 1.1]), PRESS, 'response_time', (0.15, 1.2))
    assert coded['condition'].tolist() == ['miss', 'hit']
    assert coded['note'].tolist() == ['press before the window (0.1 s)', '']


def test_no_rows():
    with pytest.raises(InputError, match='a header, but no event'):
        code_trials(events([], []), PRESS, 'response_time')


def test_rows_that_are_all_of_no_condition():
    """The message has both sides, so that a misspelling is seen."""
    with pytest.raises(InputError) as caught:
        code_trials(events(['Go', 'Go', 'stop'], [0.2, 0.3, np.nan]), PRESS, 'response_time')
    message = str(caught.value)
    assert "The file has: trial_type='Go' (2); trial_type='stop' (1)." in message
    assert "hit: trial_type='frequent', with a response" in message
    many = events([f'kind{n}' for n in range(20)], [np.nan] * 20)
    with pytest.raises(InputError, match=r"trial_type='kind11' \(1\); 8 more\."):
        code_trials(many, PRESS, 'response_time')


def test_blanks_are_seen_where_nothing_matches():
    with pytest.raises(InputError) as caught:
        code_trials(events(['stop  ', 3, 'n/a'], [np.nan] * 3), PRESS, 'response_time')
    message = str(caught.value)
    assert "trial_type='stop  ' (1); trial_type='3' (1); trial_type='n/a' (1)." in message


def test_repeated_rows_count_once():
    table = events(['rare', 'frequent', 'xyz'], [0.2, 0.4, np.nan])
    coded = code_trials(pd.concat([table, table], ignore_index=True), PRESS, 'response_time')
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
    coded = code_trials(table, PRESS, 'response_time')
    assert len(coded) == len(table)
    assert count_trials(coded, PRESS)['n_trials'].sum() == len(table)
    unmatched = coded['condition'] == UNMATCHED
    assert coded.loc[unmatched, 'note'].str.contains('no condition matches').all()
    known = table['trial_type'].isin(['frequent', 'rare', 'Rare'])
    assert (known == ~unmatched).all()
    pressed = coded['condition'].isin(['hit', 'alarm'])
    assert (pressed == (coded['responded'] & known)).all()
    outside = coded['response_time'].notna() & ~coded['responded']
    assert (coded.loc[outside, 'note'] != '').all()


def test_a_row_of_two_conditions_names_both():
    both = [Condition('any', {'trial_type': ('frequent',)}), *PRESS]
    with pytest.raises(InputError, match=r'Row 2 .*trial_type=frequent.*any and miss'):
        code_trials(events(['rare', 'frequent'], [0.2, np.nan]), both, 'response_time')


def test_a_missing_column_is_named_with_those_present():
    table = events(['rare'], [0.2]).drop(columns='trial_type')
    with pytest.raises(InputError, match=r"'trial_type'.*onset, duration, response_time"):
        code_trials(table, PRESS, 'response_time')
    with pytest.raises(InputError, match=r"'rt', which the response rule needs"):
        code_trials(events(['rare'], [0.2]), PRESS, 'rt')


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
        code_trials(table, PRESS, 'response_time')


def test_an_onset_before_the_first_volume_is_noted():
    table = events(['rare', 'rare'], [np.nan, 0.9])
    table['onset'] = [-3.5, -2.0]
    coded = code_trials(table, PRESS, 'response_time', (0.0, 0.8))
    assert coded['onset'].tolist() == [-3.5, -2.0]
    assert coded['note'].tolist() == [
        'starts before the first volume of the scan',
        'press after the window (0.9 s); starts before the first volume of the scan',
    ]


def test_a_response_time_must_be_a_number_or_missing():
    with pytest.raises(InputError, match=r"Row 1 .*response_time 'left'"):
        code_trials(events(['rare'], ['left']), PRESS, 'response_time')


def test_conditions_that_cannot_work():
    table = events(['rare'], [0.2])
    with pytest.raises(InputError, match='no response column'):
        code_trials(table, PRESS)
    with pytest.raises(InputError, match='unique'):
        code_trials(table, [PRESS[0], PRESS[0]], 'response_time')
    with pytest.raises(InputError, match=r'window 0\.8 to 0\.0'):
        code_trials(table, PRESS, 'response_time', (0.8, 0.0))
