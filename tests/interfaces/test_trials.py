"""From events files to coded trials, and to an account of their rows."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.trials import CodeTrials
from ketbids.io.tables import read_table
from ketbids.stats.eventrules import Condition, EventRules, ResponseRule
from tests.interfaces.files import RULES, TR, code, write_events

N_VOLUMES = 170
COLUMNS = Path(__file__).parents[2] / 'ketbids' / 'data' / 'columns.json'


@pytest.fixture
def series(brain):
    return brain.series('bold', brain.noise(N_VOLUMES))


@pytest.fixture
def trials(tmp_path, series):
    return code(write_events(tmp_path / 'events.tsv'), series)


def coding(events, series, rules=RULES, **inputs):
    node = CodeTrials(events_file=str(events), series_file=series, rules=rules.to_dict(), **inputs)
    return node.run().outputs


def test_rows_and_columns(tmp_path, trials):
    events, coded = read_table(tmp_path / 'events.tsv'), read_table(Path(trials))
    assert list(coded.columns) == list(json.loads(COLUMNS.read_text(encoding='utf-8'))['trials'])
    np.testing.assert_allclose(coded['onset'], events['onset'])
    counts = coded['condition'].value_counts().to_dict()
    assert counts == {'correctGo': 45, 'correctNogo': 13, 'incorrectNogo': 2}


def test_removed_volumes_shift_the_onsets(tmp_path, series):
    path = write_events(tmp_path / 'events.tsv')
    shifted = read_table(Path(code(path, series, drop_volumes=10)))['onset']
    np.testing.assert_allclose(shifted, read_table(Path(path))['onset'] - 10 * TR)


@pytest.mark.parametrize('n_dropped', [159, 500])
def test_events_before_the_first_volume(tmp_path, series, n_dropped):
    """The last event is from 126.5 to 127.1 s."""
    path = write_events(tmp_path / 'events.tsv')
    with pytest.raises(InputError, match='every event ends within') as caught:
        code(path, series, drop_volumes=n_dropped)
    seconds = f'{n_dropped} volumes ({n_dropped * TR:g} s)'
    for words in (path, series, seconds, '--drop-volumes'):
        assert words in str(caught.value)
    # An event that has begun still counts.
    code(path, series, drop_volumes=158)


def test_events_after_the_end(brain, tmp_path):
    short = brain.series('short', brain.noise(100))
    path = write_events(tmp_path / 'events.tsv')
    with pytest.raises(InputError, match='--drop-volumes') as caught:
        code(path, short)
    for words in (path, short, '100 volumes', 'ends at 80 s', 'starts at 126.5 s'):
        assert words in str(caught.value)
    # Said to be without its first 60 volumes, the run goes on until 128 s.
    code(path, short, drop_volumes=60)


def test_a_bad_row_names_the_file(tmp_path, series):
    path = tmp_path / 'events.tsv'
    path.write_text('onset\tduration\ttrial_type\tresponse_time\nsoon\t0.6\tgo\t0.4\n')
    with pytest.raises(InputError, match='soon') as caught:
        code(str(path), series)
    assert str(path) in str(caught.value)


def test_missing_column_names_the_file(tmp_path, series):
    path = tmp_path / 'events.tsv'
    path.write_text('onset\tduration\ttrial_type\n1\t0.6\tgo\n')
    with pytest.raises(InputError, match='response_time') as caught:
        code(str(path), series)
    assert str(path) in str(caught.value)


def test_rows_are_sorted_and_it_is_said(tmp_path, series):
    path = Path(write_events(tmp_path / 'events.tsv'))
    header, *rows = path.read_text().splitlines()
    unsorted = tmp_path / 'unsorted.tsv'
    unsorted.write_text('\n'.join([header, *rows[30:], *rows[:30]]) + '\n')
    found = {}
    for name in (path, unsorted):
        result = coding(name, series)
        found[name] = (Path(result.out_file).read_text(), list(result.notes))
    one, two = (pd.read_csv(StringIO(found[name][0]), sep='\t') for name in (path, unsorted))
    pd.testing.assert_frame_equal(one.drop(columns='line'), two.drop(columns='line'))
    assert (one['line'] != two['line']).any()
    assert found[path][1] == []
    (note,) = found[unsorted][1]
    assert 'not in the order of their onsets, sorted' in note


@pytest.mark.parametrize(
    ('factor', 'message'),
    [(1000, 'The onsets look like milliseconds'), (3, 'belong to another run, or volumes')],
)
def test_what_may_be_wrong_with_late_events(tmp_path, series, factor, message):
    path = Path(write_events(tmp_path / 'events.tsv'))
    events = pd.read_csv(path, sep='\t', keep_default_na=False)
    events['onset'] *= factor
    events.to_csv(path, sep='\t', index=False)
    with pytest.raises(InputError, match=message) as caught:
        code(str(path), series)
    assert f'starts at {126.5 * factor:g} s' in str(caught.value)


def test_a_short_series_is_not_one_of_milliseconds(brain, tmp_path):
    short = brain.series('short', brain.noise(5))
    path = write_events(tmp_path / 'events.tsv')
    with pytest.raises(InputError, match=r'ends at 4 s \(5 volumes\)\. The events belong to'):
        code(path, short)


def test_durations_longer_than_the_run_are_told(tmp_path, series):
    path = Path(write_events(tmp_path / 'events.tsv'))
    path.write_text(path.read_text().replace('\t0.6\t', '\t600\t'))
    (note,) = coding(path, series).notes
    assert 'last longer than the run (136 s), the longest 600 s: 60; durations must be' in note


def test_what_is_not_modelled_is_of_no_condition(tmp_path, series):
    """Rows that are there twice, or long before the first volume, in the table of trials too."""
    path = Path(write_events(tmp_path / 'events.tsv'))
    header, *rows = path.read_text().splitlines()
    path.write_text('\n'.join([header, '-30\t0.6\tgo\t0.4', *rows, *rows]) + '\n')
    result = coding(path, series)
    coded = read_table(Path(result.out_file))
    assert coded['condition'].value_counts().to_dict() == {
        'correctGo': 45,
        'correctNogo': 13,
        'incorrectNogo': 2,
    }
    assert 'more than 24 s before the first volume, not modelled' in coded['note'][0]
    assert coded['note'].str.contains('repeats an earlier row').sum() == 60
    assert coded['status'].value_counts().to_dict() == {'trial': 60, 'repeated': 60, 'early': 1}
    counts = read_table(Path(result.counts_file))
    assert counts['n_rows'].sum() == 121
    assert counts.iloc[-1].fillna('n/a').tolist() == [
        *('early', 'n/a', 'more than 24 s before the first volume, not modelled', 1)
    ]


def test_the_account_of_a_run(tmp_path, series):
    """Every line of the file, blank ones apart, is in exactly one line of the table."""
    path = Path(write_events(tmp_path / 'events.tsv'))
    lines = path.read_text().splitlines()
    lines[5:5] = ['', 'n/a\tn/a\tpause\tn/a', '9.9\t0.1\tfeedback\t0']
    path.write_text('\n'.join(lines) + '\n')
    rules = replace(RULES, ignore=({'trial_type': ('pause',)},))
    found = coding(path, series, rules)
    coded, counts = (read_table(Path(f)) for f in (found.out_file, found.counts_file))
    assert sorted(coded['line']) == [n for n, line in enumerate(lines, 1) if line and n > 1]
    assert coded['line'].iloc[-1] == 7
    assert counts['n_rows'].sum() == len(coded) == 62
    assert counts.fillna('n/a').to_numpy().tolist() == [
        ['trial', 'correctGo', 'response in the window', 45],
        ['trial', 'correctNogo', 'no response', 13],
        ['trial', 'incorrectNogo', 'response in the window', 2],
        [
            *('unmatched', 'n/a'),
            'no condition matches trial_type=feedback without a response',
            1,
        ],
        ['ignored', 'n/a', 'trial_type=pause', 1],
    ]
    assert list(counts.columns) == list(json.loads(COLUMNS.read_text(encoding='utf-8'))['counts'])


def test_ignored_rows_and_responses_may_be_after_the_end(tmp_path, series):
    path = tmp_path / 'events.tsv'
    rows = ['1\t0.6\tgo', '1.4\tn/a\tpress', '200\t1\tend', '140\t0\tpress', '0\t1\tstart']
    path.write_text('\n'.join(['onset\tduration\ttrial_type', *rows]) + '\n')
    rules = EventRules(
        (Condition('go', {'trial_type': ('go',)}, response=True),),
        ResponseRule((0.0, 0.8), rows={'trial_type': ('press',)}),
        ignore=({'trial_type': ('end', 'start')},),
    )
    found = coding(path, series, rules, drop_volumes=1)
    coded = read_table(Path(found.out_file))
    assert coded['status'].tolist() == ['ignored', 'trial', 'response', 'response', 'ignored']
    assert coded['presses'].tolist()[1] == 1
    # Trials were in order; what lies between them need not be.
    assert found.notes == []


def test_response_times_of_another_unit(tmp_path, series):
    path = Path(write_events(tmp_path / 'events.tsv'))
    path.write_text(path.read_text().replace('\t0.4\n', '\t400\n'))
    with pytest.raises(InputError) as caught:
        coding(path, series)
    message = str(caught.value)
    assert message.startswith(f'{path}: The values of response_time look like milliseconds')
    assert '"Units": {"response_time": "ms"}' in message
    assert coding(path, series, replace(RULES, units={'response_time': 'ms'})).notes == []
    path = Path(write_events(tmp_path / 'again.tsv'))
    (note,) = coding(path, series, replace(RULES, units={'response_time': 'ms'})).notes
    assert note.startswith('the median response time is 0.4 ms, faster than anybody responds')


def test_presses_that_can_never_match_are_told(tmp_path, series):
    path = write_events(tmp_path / 'events.tsv')
    rules = replace(RULES, response=ResponseRule((0.0, 0.8), rows={'trial_type': ('press',)}))
    (note,) = coding(path, series, rules).notes
    assert note.startswith('no row is a response: Response.Rows of the model file asks for')
    rules = replace(
        RULES, response=ResponseRule((0.0, 0.8), 'response_time', press={'trial_type': ('x',)})
    )
    (note,) = coding(path, series, rules).notes
    assert note.startswith('no row is a press: Response.Press of the model file asks for')


def test_durations_of_the_model_are_told(tmp_path, series):
    path = Path(write_events(tmp_path / 'events.tsv'))
    path.write_text(path.read_text().replace('\t0.6\tnogo', '\tn/a\tnogo'))
    with pytest.raises(
        InputError, match=r'events.tsv: Row 4 \(line 5 of the file\).*duration n/a'
    ):
        coding(path, series)
    found = coding(path, series, replace(RULES, duration=0.5))
    assert found.notes == [
        'trials whose duration is n/a, modelled with the 0.5 s of the model file: 15'
    ]
    coded = read_table(Path(found.out_file))
    assert coded.groupby('condition')['duration'].unique().map(list).to_dict() == {
        'correctGo': [0.6],
        'correctNogo': [0.5],
        'incorrectNogo': [0.5],
    }


def test_a_window_longer_than_the_spacing_names_the_file(tmp_path, series):
    path = write_events(tmp_path / 'events.tsv')
    rules = replace(RULES, response=ResponseRule((0.0, 2.0), 'response_time'))
    with pytest.raises(
        InputError, match=r'Lines 4 and 5 of the file are trials 1\.5 s apart'
    ) as e:
        code(path, series, rules)
    assert str(e.value).startswith(f'{path}: ')


def test_a_model_without_responses(tmp_path, series):
    events = write_events(tmp_path / 'events.tsv')
    found = coding(events, series, EventRules((Condition('go', {'trial_type': ('go',)}),)))
    coded = read_table(Path(found.out_file))
    assert coded['condition'].value_counts().to_dict() == {'go': 45}
    assert coded[['responded', 'response_time', 'presses', 'correct']].isna().all(axis=None)
    assert read_table(Path(found.counts_file))['n_rows'].tolist() == [45, 15]
