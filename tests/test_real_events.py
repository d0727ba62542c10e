"""Events files as people have published them, against counts that use no code of the package.

The files are not part of the repository; the tests that need them are skipped without them.
"""

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.io.events import read_events
from ketbids.stats.eventrules import Condition, EventRules, ResponseRule, StimulusRules, Where
from ketbids.stats.events import code_trials, count_rows
from ketbids.stats.responsecheck import odd_response_times

DATA = Path(__file__).parents[2] / 'shared' / 'data'


def files(folder, pattern, n):
    """Events files of a data set, all of them."""
    if not (DATA / folder).is_dir():
        pytest.skip(f'no folder {DATA / folder}')
    found = sorted((DATA / folder).glob(pattern))
    assert len(found) == n
    return found


def rows_of(path):
    with path.open(newline='', encoding='utf-8-sig') as stream:
        return list(csv.DictReader(stream, delimiter='\t'))


def four(go: Where, nogo: Where):
    """Trials of two kinds, with and without a response."""
    return (
        Condition('correctGo', go, True),
        Condition('correctNogo', nogo, False),
        Condition('incorrectNogo', nogo, True),
        Condition('incorrectGo', go, False),
    )


def coded_of(path, rules):
    """Coded trials; every line of the file is there once, and in one line of the account."""
    events = read_events(path)
    coded = code_trials(events, rules)
    counts = count_rows(coded, [condition.name for condition in rules.conditions])
    assert coded['line'].tolist() == list(range(2, len(rows_of(path)) + 2))
    assert counts['n_rows'].sum() == len(coded)
    assert not counts.duplicated(['status', 'condition', 'reason']).any()
    assert coded['reason'].ne('').all()
    return coded


def tally(coded):
    trials = coded[coded['status'] == 'trial']
    return Counter(trials['condition'])


KINDS = ('animal', 'easy', 'difficult', 'nonanimal')
GO = {'value': tuple(f'{kind}_target' for kind in KINDS)}
NOGO = {'value': tuple(f'{kind}_distractor' for kind in KINDS)}
STIMULI = StimulusRules(GO, NOGO)
PRESS = {'trial_type': ('response',)}
IN_ROWS = EventRules(
    four(GO, NOGO), ResponseRule((0.0, 0.8), rows=PRESS), duration=0.02, stimuli=STIMULI
)
IN_COLUMN = EventRules(
    four(GO, NOGO),
    ResponseRule((0.0, 0.8), 'response_time'),
    units={'response_time': 'ms'},
    ignore=(PRESS,),
    duration=0.02,
    stimuli=STIMULI,
)
#: Their response rows are at onset + time / 1000 ms: the files contradict themselves.
BAD = frozenset(f'sub-003_ses-{n}_task-gonogo_run-1_events.tsv' for n in ('01', '02'))


def expected_of(rows, responded):
    found = Counter()
    for row in rows:
        if row['trial_type'] == 'stimulus':
            go, pressed = row['value'].endswith('_target'), responded(row)
            name = f'{"" if go == pressed else "in"}correct{"Go" if go else "Nogo"}'
            found[name] += 1
    return found


def test_times_in_ms_and_presses_in_rows():
    """Times in ms in the rows of the trials, and responses in rows of their own as well."""
    differing, totals, reasons = set(), Counter(), Counter()
    for path in files('ds002680_gonogo', 'sub-*/ses-*/eeg/*_events.tsv', 350):
        rows = rows_of(path)
        column, presses = coded_of(path, IN_COLUMN), coded_of(path, IN_ROWS)
        by_column = expected_of(
            rows, lambda r: r['response_time'] != 'n/a' and 0 < int(r['response_time']) <= 800
        )
        pressed = [Decimal(r['onset']) for r in rows if r['trial_type'] == 'response']
        by_rows = expected_of(
            rows,
            lambda r, pressed=pressed: any(
                0 < p - Decimal(r['onset']) <= Decimal('0.8') for p in pressed
            ),
        )
        assert tally(column) == by_column, path
        assert tally(presses) == by_rows, path
        assert (column['status'] == 'ignored').sum() == len(pressed), path
        assert (presses['status'] == 'response').sum() == len(pressed), path
        trials = column['status'] == 'trial'
        same = ['condition', 'stimulus', 'correct', 'responded', 'presses', 'line']
        if column.loc[trials, same].equals(presses.loc[trials, same]):
            np.testing.assert_allclose(
                column.loc[trials, 'response_time'],
                presses.loc[trials, 'response_time'],
                atol=0.0015,
            )
            assert odd_response_times(IN_ROWS, presses) == (), path
        else:
            differing.add(path.name)
            (note,) = odd_response_times(IN_ROWS, presses)
            assert 'faster than anybody responds' in note
        totals += tally(column)
        reasons += Counter(presses.loc[presses['status'] == 'response', 'reason'])
    assert differing == BAD
    assert totals.total() == 34996
    assert reasons.total() == 17666
    assert reasons['press at the onset of a trial'] == 15


def test_stop_signals_with_null_rows_and_junk_keys():
    """NULL rows have onset 0; a reaction time of 0 is none; other keys have no button."""
    go, stop = {'trial_type': ('GO',)}, {'trial_type': ('STOP',)}
    rules = EventRules(
        four(go, stop),
        ResponseRule(
            (0.0, 1.0), 'ReactionTime', press={'SubjectResponseButton': ('LEFT', 'RIGHT')}
        ),
        rename={'TrialOutcome': {'UnuccessfulGo': 'UnsuccessfulGo'}},
        ignore=({'trial_type': ('NULL',)},),
        stimuli=StimulusRules(go, stop, {'SubjectResponseCorrectness': ('CorrectResponse',)}),
    )
    reasons, expected_reasons, right = Counter(), Counter(), 0
    for path in files('ds000030', 'sub-*/func/*_task-stopsignal_events.tsv', 266):
        expected, correct = Counter(), 0
        for row in rows_of(path):
            if row['trial_type'] == 'NULL':
                continue
            time, button = float(row['ReactionTime']), row['SubjectResponseButton']
            pressed = 0 < time <= 1 and button in ('LEFT', 'RIGHT')
            going = row['trial_type'] == 'GO'
            expected[f'{"" if pressed == going else "in"}correct{"Go" if going else "Nogo"}'] += 1
            good = row['SubjectResponseCorrectness'] == 'CorrectResponse'
            correct += going and pressed and good
            expected_reasons['junk'] += time != 0 and button == 'n/a'
            expected_reasons['late'] += time > 1 and button != 'n/a'
            expected_reasons['none'] += time == 0
        coded = coded_of(path, rules)
        assert tally(coded) == expected, path
        assert set(coded['status']) == {'trial', 'ignored'}, path
        assert (coded['correct'] & (coded['stimulus'] == 'go')).sum() == correct, path
        reasons += Counter(coded['reason'])
        right += correct
    assert reasons['trial_type=NULL'] == 34048
    assert reasons['response is no press'] == expected_reasons['junk'] == 115
    assert reasons['press after the window'] == expected_reasons['late']
    assert reasons['response time 0 read as no response'] == expected_reasons['none'] == 4489
    assert reasons.total() == 34048 + 34048
    assert right > 20000


def test_misspelt_outcomes_are_renamed():
    outcome = {'TrialOutcome': {'UnuccessfulGo': 'UnsuccessfulGo'}}
    names = ('SuccessfulGo', 'UnsuccessfulGo', 'JUNK', 'SuccessfulStop', 'UnsuccessfulStop')
    rules = EventRules(
        tuple(Condition(name, {'TrialOutcome': (name,)}) for name in names),
        rename=outcome,
        ignore=({'trial_type': ('NULL',)},),
    )
    # Every fifth: all are coded above.
    for path in files('ds000030', 'sub-*/func/*_task-stopsignal_events.tsv', 266)[::5]:
        coded = coded_of(path, rules)
        assert set(coded['status']) == {'trial', 'ignored'}
        assert tally(coded) == Counter(
            'UnsuccessfulGo' if row['TrialOutcome'] == 'UnuccessfulGo' else row['TrialOutcome']
            for row in rows_of(path)
            if row['trial_type'] != 'NULL'
        )


def test_stop_signals_with_misspelt_types():
    """Response times up to 3.4 s; n/a is no response; the types say what became of a trial."""
    go = {'trial_type': ('go',)}
    stop = {'trial_type': ('successful_stop', 'unsuccessful_stop')}
    rules = EventRules(
        four(go, stop),
        ResponseRule((0.0, 2.5), 'response_time'),
        rename={
            'trial_type': {
                'succesful_stop': 'successful_stop',
                'unsuccesful_stop': 'unsuccessful_stop',
            }
        },
        stimuli=StimulusRules(go, stop, {'response_accuracy': ('correct',)}),
    )
    totals = Counter()
    for path in files('ds002790_piop2', 'sub-*/func/*_task-stopsignal_*events.tsv', 29):
        expected, late, correct = Counter(), 0, 0
        for row in rows_of(path):
            going = row['trial_type'] == 'go'
            time = row['response_time']
            pressed = time != 'n/a' and float(time) <= 2.5
            expected[f'{"" if pressed == going else "in"}correct{"Go" if going else "Nogo"}'] += 1
            late += time != 'n/a' and not pressed
            correct += pressed and row['response_accuracy'] == 'correct' if going else not pressed
        coded = coded_of(path, rules)
        assert tally(coded) == expected, path
        assert coded['status'].eq('trial').all(), path
        assert (coded['reason'] == 'press after the window').sum() == late, path
        assert coded['correct'].sum() == correct, path
        totals += expected
    assert totals.total() == 2900


@pytest.mark.parametrize('window', [1.7, 3.0])
def test_a_window_longer_than_the_real_spacing(window):
    """Stop-signal trials are 2.5 s apart; of the Go/NoGo run with 100 trials, 1.8 s."""
    go = {'trial_type': ('go',)}
    path = files('ds002790_piop2', 'sub-0016/func/*_task-stopsignal_*events.tsv', 1)[0]
    rules = EventRules(
        (Condition('go', go, True), Condition('stop', {'trial_type': ('succesful_stop',)}, False)),
        ResponseRule((0.0, window), 'response_time'),
    )
    if window < 2.5:
        assert isinstance(code_trials(read_events(path), rules), pd.DataFrame)
        return
    with pytest.raises(Exception, match=r'Lines \d+ and \d+ of the file are trials 2\.5\d+ s'):
        code_trials(read_events(path), rules)
