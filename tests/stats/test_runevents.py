"""Coded trials on the time axis of their run."""

from dataclasses import replace

import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.eventrules import Condition, EventRules, ResponseRule, StimulusRules
from ketbids.stats.events import code_trials, count_rows
from ketbids.stats.eventtiming import EventSpan
from ketbids.stats.runevents import filled_durations, place_in_run

RULES = EventRules(
    (Condition('hit', {'kind': ('go',)}, response=True),),
    ResponseRule((0.0, 0.8), 'rt'),
    stimuli=StimulusRules({'kind': ('go',)}, {'kind': ('nogo',)}),
)


def table(*rows):
    return pd.DataFrame(rows, columns=['onset', 'duration', 'kind', 'rt'])


def go(n=20, duration='0.6'):
    return [(str(2.5 * i), duration, 'go', '0.4') for i in range(n)]


def placed(*rows, rules=RULES, n_volumes=100):
    return place_in_run(code_trials(table(*rows), rules), n_volumes, 0.8)


def test_rows_of_no_condition_need_no_duration():
    events = table(*go(), ('11', 'n/a', 'feedback', 'n/a'))
    coded = code_trials(events, RULES)
    assert count_rows(coded, ['hit'])['n_rows'].tolist() == [20, 1]
    (note,) = filled_durations(events, RULES, coded)
    assert note == (
        'rows of no condition without a duration: 1, the first in line 22 (no condition matches '
        'kind=feedback without a response); if they are no trials, name them in Events.Ignore of '
        'the model file'
    )
    found = place_in_run(coded, 100, 0.8)
    assert found.trials['duration'].isna().sum() == 1
    assert found.notes == ('the rows of the events file were not in the order of their onsets, '
                           'sorted',)  # fmt: skip


@pytest.mark.parametrize('kind', ['go', 'nogo'])
def test_trials_need_a_duration(kind):
    with pytest.raises(InputError, match=r'duration n/a.*give the Duration of such rows'):
        placed(*go(), ('60', 'n/a', kind, 'n/a'))


def test_a_row_of_no_condition_needs_an_onset():
    with pytest.raises(InputError, match=r'onset n/a.*name it in Events\.Ignore'):
        placed(*go(), ('n/a', '1', 'feedback', 'n/a'))


def test_rows_of_no_condition_after_the_end():
    found = placed(*go(), ('80', '1', 'end', 'n/a'), ('95', 'n/a', 'end', 'n/a'))
    (note,) = found.notes
    assert note.startswith(
        'rows of no condition that start after the end of the run (80 s): 2, the first in line 22 '
        '(no condition matches kind=end without a response); if they are no trials, name them in '
        'Events.Ignore'
    )
    assert found.trials['note'].str.endswith('; starts after the end of the run').sum() == 2
    # Nor is the task taken to go on until then.
    assert EventSpan.of_trials(found.trials, 100, 0.8).last == 47.5


@pytest.mark.parametrize(('kind', 'time'), [('go', '0.4'), ('go', 'n/a'), ('nogo', 'n/a')])
def test_trials_after_the_end(kind, time):
    with pytest.raises(InputError, match=r'the last event starts at 81 s \(line 22\)'):
        placed(*go(), ('81', '1', kind, time), ('95', '1', 'end', 'n/a'))


def test_rows_of_no_condition_do_not_hide_that_all_trials_are_before_the_run():
    coded = code_trials(table(*go(4), ('70', 'n/a', 'end', 'n/a')), RULES)
    with pytest.raises(InputError, match='every event ends within the 20 volumes'):
        place_in_run(coded, 100, 0.8, drop_volumes=20)


def test_durations_longer_than_the_spacing():
    (note,) = placed(*go(duration='40')).notes
    assert note.startswith('trials of hit last 40 s (median), but one starts every 2.5 s: dura')
    assert '"Units": {"duration": "ms"}' in note
    assert placed(*go(duration='3')).notes == ()
    assert placed(*go(duration='40'), rules=replace(RULES, units={'duration': 'ms'})).notes == ()
    (note,) = placed(*go(duration='100')).notes
    assert 'last longer than the run (80 s)' in note


def test_long_trials_among_short_ones():
    """A block that holds trials lasts longer than they are apart."""
    rules = EventRules((*RULES.conditions, Condition('block', {'kind': ('block',)})),
                       RULES.response)  # fmt: skip
    blocks = [(str(i), '24', 'block', 'n/a') for i in (0, 30, 55)]
    events = code_trials(table(*go(), *blocks), rules)
    assert not any('last' in note for note in place_in_run(events, 100, 0.8).notes)
