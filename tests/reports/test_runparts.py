"""Words and tables of a run."""

import pandas as pd

from ketbids.reports.behaviourpart import behaviour_part
from ketbids.reports.runparts import fit_facts, run_parts, trial_notes


def test_notes_are_counted_by_kind_with_the_range_of_their_times():
    notes = [
        'press after the window (0.93 s)',
        'press after the window (1.2 s); starts before the first volume of the scan',
        '',
        'press before onset (-0.05 s)',
        None,
        'n/a',
    ]
    assert trial_notes(pd.DataFrame({'note': notes})) == [
        '2 rows of the events file: press after the window (0.93 to 1.2 s).',
        '1 row of the events file: starts before the first volume of the scan.',
        '1 row of the events file: press before onset (-0.05 s).',
    ]


def test_facts_of_engines_that_tell_less():
    assert fit_facts([{'NoiseModel': 'OLS', 'DegreesOfFreedomNominal': 280.0}], {}) == [
        ('Noise model', 'OLS'),
        ('Degrees of freedom', '280'),
    ]
    assert fit_facts([], {}) == [('Model', 'not fitted: no contrast can be estimated')]


def test_judgements():
    regressor = {'trials': 20, 'correlation': -0.001, 'partner': 'b', 'mark': ''}
    regressors = [
        {'name': 'a', 'vif': 6.0, 'level': 'warn', **regressor},
        {'name': 'b', 'vif': 60.0, 'level': 'alarm', **regressor},
    ]
    contrasts = [
        {'name': 'x', 'vif': 0.5, 'efficiency': 123.4, 'level': 'ok', 'mark': ''},
        {'name': 'y', 'vif': 2.0, 'efficiency': 0.01234, 'level': 'warn', 'mark': 'rests on 3'},
        {'name': 'z', 'vif': None, 'efficiency': None, 'level': 'alarm', 'mark': 'no trials'},
    ]
    messages = [
        {'level': 'alarm', 'text': 'shifted', 'kind': 'timing'},
        {'level': 'alarm', 'text': 'collinear', 'kind': 'design'},
    ]
    checks = {'regressors': regressors, 'contrasts': contrasts, 'messages': messages}
    plan = {'checks': checks, 'tests': {'x': 't', 'y': 'F', 'z': 't'}}
    parts = {part.heading: part for part in run_parts(plan, None, {}, {})}
    assert list(parts) == ['Trials', 'Contrasts', 'Times']
    assert parts['Trials'].table.rows == (
        ('a', '20', '6.00', '0.00 (b)', 'doubtful'),
        ('b', '20', '60.00', '0.00 (b)', 'bad'),
    )
    assert parts['Contrasts'].table.rows == (
        ('x', 't', '0.50', '123', 'fine'),
        ('y', 'F', '2.00', '0.0123', 'doubtful: rests on 3'),
        ('z', 't', 'n/a', 'n/a', 'not estimable: no trials'),
    )
    assert parts['Times'].table.rows == (('bad', 'shifted'),)


def test_behaviour_of_an_only_run_is_shown_once():
    row = {'run': None, 'n_go': 0, 'n_correct_go': 0, 'dprime': float('nan'), 'valid': None}
    table = pd.DataFrame([row, row | {'run': 'all', 'invalid_reason': None}])
    part, flags = behaviour_part(table)
    assert part.table.columns == ('', 'value')
    rows = dict(part.table.rows)
    assert rows['Go trials with a correct response'] == '0 of 0'
    assert rows["Sensitivity d'"] == 'n/a'
    assert rows['Task done'] == 'no rule'
    assert flags == []


def test_behaviour_that_cannot_be_judged_is_flagged():
    row = {
        'run': 'run-1',
        'n_go': 40,
        'n_unmatched': 25,
        'n_omissions': 4,
        'n_outside': 1,
        'valid': None,
    }
    odd = row | {'invalid_reason': '25 of 65 rows of events are neither Go nor NoGo'}
    part, flags = behaviour_part(pd.DataFrame([odd, row, row | {'run': 'all', 'valid': True}]))
    assert flags == [
        'Behaviour does not tell whether the task was done (run 1): 25 of 65 rows of events are '
        'neither Go nor NoGo.'
    ]
    rows = {line[0]: line[1:] for line in part.table.rows}
    assert rows['Task done'] == ('not known', 'no rule', 'yes')
    assert rows['Rows of events that are of no kind of trial'][0] == '25'
    assert rows['Of them with a response outside of the window'][0] == '1 of 4 (25.0 %)'
