"""The node that describes how the task was done."""

from pathlib import Path

import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.behaviour import Performance
from ketbids.io.columns import column_descriptions
from ketbids.io.tables import read_table, write_table
from ketbids.stats.behaviour import MEASURES
from ketbids.stats.eventrules import (
    Condition,
    EventRules,
    ResponseRule,
    StimulusRules,
    ValidityRules,
)
from ketbids.stats.events import code_trials

RULES = EventRules(
    conditions=(Condition('go', {'trial_type': ('go',)}),),
    response=ResponseRule((0, 0.8), column='response_time'),
    stimuli=StimulusRules(
        {'trial_type': ('go',)}, {'trial_type': ('nogo',)}, validity=ValidityRules(correct_nogo=2)
    ),
)


def run(folder, name, *times):
    """Coded trials as the node before writes them: every third trial is NoGo."""
    events = pd.DataFrame(
        {
            'onset': [2.0 * i for i in range(len(times))],
            'duration': 0.6,
            'trial_type': ['nogo' if i % 3 == 2 else 'go' for i in range(len(times))],
            'response_time': times,
        }
    )
    path = folder / name
    write_table(path, code_trials(events, RULES))
    return str(path)


def performance(folder, monkeypatch, files, labels, rules=RULES):
    monkeypatch.chdir(folder)
    result = Performance(trials_files=files, runs=labels, rules=rules.to_dict()).run()
    return read_table(Path(result.outputs.out_file))


def test_runs_and_session(tmp_path, monkeypatch):
    files = [
        run(tmp_path, '1.tsv', 0.4, 0.5, 'n/a', 0.6, 'n/a', 0.3),
        run(tmp_path, '2.tsv', 0.4, 0.9, 'n/a', 0.5, 0, 'n/a'),
    ]
    found = performance(tmp_path, monkeypatch, files, ['run-1', 'run-2'])
    assert found['run'].tolist() == ['run-1', 'run-2', 'all']
    assert found['n_correct_go'].tolist() == [3, 2, 5]
    assert found['n_omissions'].tolist() == [1, 2, 3]
    assert found['n_correct_nogo'].tolist() == [1, 2, 3]
    assert found['valid'].tolist() == [False, False, False]
    assert found['invalid_reason'].tolist() == [
        '1 correct NoGo trials of 2, fewer than 2',
        'Go accuracy 0.500, below 0.7 (1 of 4 Go trials without a press, 1 with a press outside '
        'of the window, 0 with a wrong one)',
        'Go accuracy 0.625, below 0.7 (2 of 8 Go trials without a press, 1 with a press outside '
        'of the window, 0 with a wrong one)',
    ]


def test_nothing_is_missing_without_a_reason(tmp_path, monkeypatch):
    """Whoever never pressed has no response times, and the file says so."""
    files = [run(tmp_path, '1.tsv', *['n/a'] * 6)]
    found = performance(tmp_path, monkeypatch, files, [''])
    assert found['run'].isna().tolist() == [True, False]
    row = found.iloc[-1]
    missing = [name for name in MEASURES if pd.isna(row[name])]
    assert 'rt_correct_go_mean' in missing
    assert all(name in row['not_available'] for name in missing)


def test_every_column_is_in_the_data_dictionary(tmp_path, monkeypatch):
    found = performance(tmp_path, monkeypatch, [run(tmp_path, '1.tsv', 0.4, 0.5, 0.3)], [''])
    assert list(found.columns) == list(column_descriptions('performance'))


def test_a_model_without_stimuli_describes_no_behaviour(tmp_path, monkeypatch):
    rules = EventRules(conditions=RULES.conditions, response=RULES.response)
    files = [run(tmp_path, '1.tsv', 0.4, 0.5, 0.3)]
    with pytest.raises(InputError, match='which trials are Go and which NoGo'):
        performance(tmp_path, monkeypatch, files, [''], rules)
