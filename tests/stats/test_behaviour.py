"""Measures of behaviour against values that were worked out by hand or by another formula."""

import csv
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from ketbids.io.events import read_events
from ketbids.model import load_model
from ketbids.stats.behaviour import (
    COUNTS,
    MEASURES,
    distinct_measures,
    performance,
    performance_table,
)
from ketbids.stats.eventrules import (
    Condition,
    EventRules,
    ResponseRule,
    StimulusRules,
    ValidityRules,
)
from ketbids.stats.events import code_trials

RULES = StimulusRules({'type': ('go',)}, {'type': ('nogo',)})
SHARED = Path(__file__).parents[3] / 'shared' / 'data'
EXAMPLES = Path(__file__).parents[2] / 'docs' / 'examples'


def trials(*rows, spacing=2.0):
    """Coded trials: g .4 = Go with a press, g - = omission, n - = stopped, n .3 = commission.

    ? - is a row of unknown kind.
    """
    table = []
    for number, row in enumerate(rows):
        kind, time, *more = row.split()
        if kind == '?':
            unknown = {'onset': spacing * number, 'status': 'unmatched', 'stimulus': 'n/a'}
            table.append(unknown | {'response_time': math.nan})
            continue
        pressed = time != '-'
        right = pressed == (kind == 'g') and 'wrong' not in more
        table.append(
            {
                'onset': spacing * number,
                'status': more[-1] if more and more[-1] != 'wrong' else 'trial',
                'stimulus': {'g': 'go', 'n': 'nogo'}[kind],
                'responded': pressed,
                'correct': right,
                'response_time': float(time) if pressed else math.nan,
            }
        )
    return pd.DataFrame(table)


RUN = trials('g .40', 'n .30', 'g .52', 'g -', 'n -', 'g .46 wrong', 'g .44', 'n -')


def test_counts_and_shares():
    found = performance([RUN], RULES)
    assert [found[name] for name in COUNTS] == [8, 5, 3, 3, 2, 1, 1, 1, 1, 0, 0]
    assert found['accuracy'] == 5 / 8
    assert found['go_accuracy'] == 3 / 5
    assert found['nogo_accuracy'] == pytest.approx(2 / 3)
    assert found['omission_rate'] == 1 / 5
    assert found['commission_rate'] == pytest.approx(1 / 3)


def test_response_times():
    found = performance([RUN], RULES)
    assert found['rt_correct_go_mean'] == pytest.approx((0.40 + 0.52 + 0.44) / 3)
    assert found['rt_correct_go_median'] == 0.44
    assert found['rt_correct_go_sd'] == pytest.approx(np.std([0.40, 0.52, 0.44], ddof=1))
    assert found['rt_incorrect_nogo_mean'] == found['rt_incorrect_nogo_median'] == 0.30


def test_what_cannot_be_computed_has_a_reason():
    found = performance([RUN], RULES)
    assert math.isnan(found['rt_incorrect_nogo_sd'])
    assert found['not_available'] == (
        'rt_incorrect_nogo_sd: only 1 NoGo trial with a press, 2 are needed; '
        'post_error_slowing_mean: no correct Go trial after a correct trial'
    )


@pytest.mark.parametrize(
    'table',
    [RUN, RUN.iloc[:0], trials('g -', 'n -'), trials('g .4'), trials('n .4', 'n -')],
)
def test_every_missing_measure_is_named(table):
    found = performance([table], RULES)
    missing = {name for name in MEASURES if math.isnan(found[name])}
    named = {
        name
        for part in (found['not_available'] or '').split('; ')
        for name in part.partition(':')[0].split(', ')
        if name
    }
    assert named == missing


def test_sensitivity_has_the_log_linear_correction():
    """Rates of 1 and 0 give finite values: (5 + .5) / 6 and .5 / 4."""
    found = performance([trials(*['g .4'] * 5, *['n -'] * 3)], RULES)
    z = NormalDist().inv_cdf
    assert found['dprime'] == pytest.approx(z(5.5 / 6) - z(0.5 / 4))
    assert found['criterion'] == pytest.approx(-(z(5.5 / 6) + z(0.5 / 4)) / 2)


def test_sensitivity_takes_a_wrong_press_for_a_press():
    wrong = performance([trials('g .4 wrong', 'g .4', 'n -')], RULES)
    assert wrong['dprime'] == performance([trials('g .4', 'g .4', 'n -')], RULES)['dprime']


def test_pressing_whatever_is_shown_is_no_sensitivity():
    found = performance([trials(*['g .4', 'n .4'] * 10)], RULES)
    assert found['dprime'] == pytest.approx(0)
    assert found['criterion'] < -1


def test_slowing_after_errors():
    """Around the commission .40 -> .52; the wrong press is not between two correct Go trials.

    After errors .52 and .44; after correct trials nothing: the first trial follows none.
    """
    found = performance([RUN], RULES)
    assert found['post_error_slowing'] == pytest.approx(0.12)
    assert math.isnan(performance([trials('g .4', 'g -')], RULES)['post_error_slowing'])
    table = trials('g .40', 'n .3', 'g .52', 'g .44', 'n -', 'g .42')
    found = performance([table], RULES)
    assert found['post_error_slowing_mean'] == pytest.approx(0.52 - (0.44 + 0.42) / 2)


def test_slow_change_of_speed_is_no_slowing_after_errors():
    """Errors early, getting faster all along: only the difference of means is biased."""
    times = np.linspace(0.6, 0.3, 40)
    rows = [f'n {t}' if i in (3, 7, 11) else f'g {t}' for i, t in enumerate(times)]
    found = performance([trials(*rows)], RULES)
    step = times[1] - times[0]
    assert found['post_error_slowing'] == pytest.approx(2 * step)
    assert found['post_error_slowing_mean'] > 0.08


def test_drift_is_the_slope_in_seconds_per_minute():
    rows = [f'g {0.4 + 0.001 * i}' for i in range(30)]
    found = performance([trials(*rows)], RULES)
    assert found['rt_drift'] == pytest.approx(0.001 * 30)


def test_drift_over_runs_has_a_level_for_each():
    first = trials(*[f'g {0.4 + 0.001 * i}' for i in range(10)])
    second = trials(*[f'g {0.7 + 0.001 * i}' for i in range(10)])
    assert performance([first, second], RULES)['rt_drift'] == pytest.approx(0.03)


def test_drift_of_accuracy_compares_halves():
    table = trials('g .4', 'g .4', 'g -', 'g .4', 'g -', 'n -', 'n .3')
    found = performance([table], RULES)
    assert found['go_accuracy_drift'] == 0.5 - 1
    assert found['nogo_accuracy_drift'] == -1


def test_order_of_rows_does_not_matter():
    shuffled = RUN.sample(frac=1, random_state=0)
    assert performance([shuffled], RULES) == pytest.approx(performance([RUN], RULES), nan_ok=True)


def test_what_counts_as_a_trial():
    """Early trials and those of no condition were done; repeated ones were done once."""
    table = trials('g .4', 'g .4 repeated', 'n - early', 'n .3 unmatched', 'g .4 ignored')
    assert [performance([table], RULES)[name] for name in COUNTS[:5]] == [3, 1, 2, 1, 1]


def test_misspelt_types_do_not_shrink_behaviour_silently():
    """25 of 45 Go are written Go: the 20 others are perfect, but what of these?"""
    rows = [*['g .4'] * 20, *['n -'] * 20, *['? -'] * 25]
    found = performance([trials(*rows)], RULES)
    assert (found['n_trials'], found['n_unmatched'], found['go_accuracy']) == (40, 25, 1)
    assert found['valid'] is None
    assert found['invalid_reason'].startswith('25 of 65 rows of events are neither Go nor NoGo')
    assert 'Rename and Ignore' in found['invalid_reason']


def test_misspelt_types_in_a_real_coded_table():
    types = ['go'] * 4 + ['Go', 'nogo', 'go', 'pause']
    events = pd.DataFrame(
        {
            'onset': np.arange(8) * 2.0,
            'duration': 0.6,
            'trial_type': types,
            'response_time': ['0.4', '0.9', 'n/a', '0.4', '0.4', 'n/a', '0.4', 'n/a'],
        }
    )
    go, nogo = {'trial_type': ('go',)}, {'trial_type': ('nogo',)}
    rules = EventRules(
        conditions=(Condition('correctGo', go, True),),
        response=ResponseRule((0, 0.8), column='response_time'),
        ignore=({'trial_type': ('pause',)},),
        stimuli=StimulusRules(go, nogo),
    )
    found = performance([code_trials(events, rules)], rules.stimuli)
    assert found['n_unmatched'] == 1  # omissions and NoGo are of no condition, but known
    assert (found['n_go'], found['n_nogo']) == (5, 1)
    assert (found['n_omissions'], found['n_outside']) == (2, 1)


def test_what_is_no_press_is_not_outside_of_the_window():
    table = trials('g -', 'g -', 'n -').assign(response_time=[0.5, 1.2, 1.2])
    table['note'] = ['response time 0.5 s, but key=9 is no press', 'press after the window', '']
    assert performance([table], RULES)['n_outside'] == 1
    assert performance([table.assign(response_time=0.0)], RULES)['n_outside'] == 0


@pytest.mark.parametrize(
    'rows', [('g .4', '? -', 'n .3', 'g .9'), ('g .4', 'n .3', '? -', 'g .9')]
)
def test_trials_beside_a_row_of_unknown_kind_are_not_neighbours(rows):
    found = performance([trials(*rows)], RULES)
    assert found['n_post_error'] == 0
    assert performance([trials(*rows, 'g .5', 'n .3', 'g .6')], RULES)['n_post_error'] == 1


def test_slowing_of_means_does_not_pair_over_a_row_of_unknown_kind():
    table = trials('g .40', 'n .3', '? -', 'g .90', 'g .44', 'n .3', 'g .52', '? -', 'g .10')
    found = performance([table], RULES)
    assert found['post_error_slowing_mean'] == pytest.approx(0.52 - 0.44)


def test_runs_are_not_neighbours():
    """An error at the end of a run slows nothing in the next."""
    first, second = trials('g .4', 'n .3'), trials('g .9', 'g .4')
    assert performance([first, second], RULES)['n_post_error'] == 0
    assert performance([trials('g .4', 'n .3', 'g .9')], RULES)['n_post_error'] == 1


def test_table_of_a_session():
    table = performance_table([RUN, RUN], ['run-1', 'run-2'], RULES)
    assert table['run'].tolist() == ['run-1', 'run-2', 'all']
    assert list(table.columns) == [
        *('run', *COUNTS, *MEASURES, 'valid', 'invalid_reason', 'not_available')
    ]
    assert table['n_trials'].tolist() == [8, 8, 16]
    alone = performance_table([RUN], [''], RULES)
    assert alone['run'].isna().tolist() == [True, False]
    assert alone['dprime'].nunique() == 1


def test_no_rule_is_said():
    rules = StimulusRules({}, {}, validity=ValidityRules(None, None))
    found = performance([trials('g .4', 'g .4', 'n .3', 'g .5', 'n .3')], rules)
    assert found['valid'] is None
    assert found['not_available'] == 'valid: the model has no rule'


def test_shares_that_say_the_same_are_given_once():
    assert 'commission_rate' not in distinct_measures(RULES)
    assert 'omission_rate' not in distinct_measures(RULES)
    keys = StimulusRules({}, {}, correct={'key': ('1',)})
    assert 'omission_rate' in distinct_measures(keys)


@pytest.fixture(scope='module')
def cnp():
    """Performance of everybody in the CNP stop-signal task."""
    folder = SHARED / 'ds000030'
    if not folder.is_dir():
        pytest.skip(f'{folder} is not here')
    rules = load_model(EXAMPLES / 'cnp_stopsignal.json').run.events
    files = sorted(folder.glob('sub-*/func/*_events.tsv'))
    return {
        path: performance([code_trials(read_events(path), rules)], rules.stimuli) for path in files
    }


def test_real_counts_are_those_of_a_plain_count(cnp):
    assert len(cnp) == 266
    for path, found in cnp.items():
        with path.open(newline='') as stream:
            rows = list(csv.DictReader(stream, delimiter='\t'))
        go = [row for row in rows if row['trial_type'] == 'GO']
        stop = [row for row in rows if row['trial_type'] == 'STOP']
        times = [
            float(row['ReactionTime'])
            for row in go
            if row['SubjectResponseCorrectness'] == 'CorrectResponse'
        ]
        assert (found['n_go'], found['n_nogo']) == (len(go), len(stop)), path.name
        assert found['n_correct_go'] == len(times), path.name
        assert found['n_commissions'] == sum(
            row['TrialOutcome'] == 'UnsuccessfulStop' for row in stop
        ), path.name
        if times:
            assert found['rt_correct_go_mean'] == pytest.approx(sum(times) / len(times))


def test_real_people_who_did_not_do_the_task_are_flagged(cnp):
    """Among them one who stopped never, and one who pressed the wrong key 93 times."""
    flagged = {
        path.name[:9]: found['invalid_reason'] for path, found in cnp.items() if not found['valid']
    }
    assert len(flagged) == 13
    assert flagged['sub-50010'] == '0 correct NoGo trials of 32, fewer than 10'
    assert flagged['sub-10527'] == (
        'Go accuracy 0.000, below 0.7 (3 of 96 Go trials without a press, 93 with a wrong one)'
    )
    assert '41 of 96 Go trials without a press' in flagged['sub-50052']


def test_real_omissions_are_flagged_in_another_study():
    folder = SHARED / 'ds002790_piop2'
    if not folder.is_dir():
        pytest.skip(f'{folder} is not here')
    go, stop = ('go',), ('succesful_stop', 'unsuccesful_stop')
    rules = EventRules(
        conditions=(Condition('go', {'trial_type': go}), Condition('stop', {'trial_type': stop})),
        response=ResponseRule((0, 2), column='response_time'),
        stimuli=StimulusRules({'trial_type': go}, {'trial_type': stop}),
    )
    files = sorted(folder.glob('sub-*/func/*task-stopsignal*_events.tsv'))
    assert len(files) == 29
    flagged = {}
    for path in files:
        found = performance([code_trials(read_events(path), rules)], rules.stimuli)
        with path.open(newline='') as stream:
            rows = list(csv.DictReader(stream, delimiter='\t'))
        assert found['n_omissions'] == sum(
            row['trial_type'] == 'go'
            and (row['response_time'] == 'n/a' or float(row['response_time']) > 2)
            for row in rows
        )
        assert found['n_commissions'] == sum(
            row['trial_type'] != 'go'
            and row['response_time'] != 'n/a'
            and float(row['response_time']) <= 2
            for row in rows
        )
        if not found['valid']:
            flagged[path.name[:8]] = found['invalid_reason']
    assert list(flagged) == ['sub-0004']
    assert 'Go accuracy 0.612' in flagged['sub-0004']
