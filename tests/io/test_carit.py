"""Logs of the CARIT program become events."""

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.carit import read_carit
from tests.io.caritlogs import COLUMNS, outcomes, rows, write_log

FIRST_TRIAL = 5
NAME = 'CARIT_HCD0000001_V1_A_run1_wide.csv'


@pytest.fixture
def log(tmp_path):
    return write_log(tmp_path / NAME)


def changed(tmp_path, row, column, value, content=None):
    content = rows() if content is None else content
    content[row][column] = value
    return write_log(tmp_path / NAME, content)


def fails(path, *words, **options):
    with pytest.raises(InputError) as caught:
        read_carit(path, **options)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_every_trial_is_an_event(log):
    new, content = read_carit(log), rows()[FIRST_TRIAL:]
    table = new.table
    assert len(table) == 92
    np.testing.assert_allclose(table['onset'], [float(r['shapeStartTime']) for r in content])
    assert set(table['duration']) == {0.6}
    assert list(table['trial_type']) == [r['corrAns'] for r in content]
    assert list(table['outcome']) == [r['corrRespTrialType'] for r in content]
    assert list(table['prepotency'].fillna('')) == [r['prepotency'] for r in content]
    assert list(table['nogo_condition'].fillna('')) == [r['nogoCondition'] for r in content]
    assert list(table['trial_number']) == list(range(1, 93))
    assert set(table['late_presses']) == {0}
    assert new.notes == ('97 rows: 92 trials, 5 that are none (no trialNum, or 0)',)
    assert set(table.columns) - {'onset'} <= set(new.dictionary)


@pytest.mark.parametrize('clock', ['run', 'trial'])
def test_times_of_presses_by_either_clock(tmp_path, clock):
    """HCP's presses are on the clock of the onsets; other versions count from the shape."""
    content = rows(clock=clock)
    table = read_carit(write_log(tmp_path / NAME, content)).table
    pressed = table['outcome'].isin(['Hit', 'falseAlarm'])
    assert list(pressed) == list(table['response_time'].notna())
    assert table['response_time'].dropna().between(0.2, 0.79).all()
    other = read_carit(write_log(tmp_path / NAME, rows())).table
    np.testing.assert_allclose(table['response_time'], other['response_time'], atol=2e-6)
    assert list(table['response_key'].fillna('')) == ['2' if p else '' for p in pressed]


def test_a_clock_that_cannot_be_told_is_asked_for(tmp_path):
    content = rows(8)
    for number, row in enumerate(content[FIRST_TRIAL:]):
        row['shapeStartTime'] = str(0.1 + 2.5 * number)
        row['trialResp.firstRt'] = '0.6' if number == 0 else ''
    path = write_log(tmp_path / NAME, content)
    fails(path, 'cannot be told', '--response-clock')
    assert read_carit(path, clock='run').table['response_time'][0] == 0.5
    assert read_carit(path, clock='trial').table['response_time'][0] == 0.6


def test_one_press_on_another_clock(tmp_path):
    content = rows()
    row = next(i for i, r in enumerate(content) if i > 20 and r['trialResp.firstRt'])
    path = changed(tmp_path, row, 'trialResp.firstRt', '0.4', content)
    fails(path, f'line {row + 2}', 'trialResp.firstRt is 0.4', '--response-clock run')
    new = read_carit(path, clock='run')
    assert any(f'kept as it is: line {row + 2}' in note for note in new.notes)
    fails(path, 'values of trialResp.firstRt are not between', clock='trial')


@pytest.mark.parametrize('number', ['1.5', '-3', '0.5'])
def test_numbers_of_trials_that_cannot_be(tmp_path, number):
    path = changed(tmp_path, 9, 'trialNum', number)
    fails(path, 'line 11', f'trialNum is {number}; it must be a whole number')


def test_a_number_of_a_trial_twice(tmp_path):
    new = read_carit(changed(tmp_path, 9, 'trialNum', '4'))
    assert len(new.table) == 92
    assert any('(trialNum) of an earlier one, kept: 1 (line 11)' in note for note in new.notes)


def test_a_press_before_its_shape(tmp_path):
    content = rows()
    row = next(i for i, r in enumerate(content) if i > 20 and r['trialResp.firstRt'])
    start = float(content[row]['shapeStartTime'])
    path = changed(tmp_path, row, 'trialResp.firstRt', f'{start - 0.2:.3f}', content)
    new = read_carit(path)
    assert (new.table['response_time'] < 0).sum() == 1
    (note,) = [n for n in new.notes if 'before their shape' in n]
    assert note.endswith(f'count in no window: 1 (line {row + 2})')


def test_times_in_milliseconds(tmp_path):
    content = rows()
    for row in content[FIRST_TRIAL:]:
        for column in ('shapeStartTime', 'trialResp.firstRt'):
            row[column] = row[column] and str(1000 * float(row[column]))
    fails(write_log(tmp_path / NAME, content), 'a shape is shown every', 'are milliseconds')
    content = rows(clock='trial')
    for row in content[FIRST_TRIAL:]:
        row['trialResp.firstRt'] = row['trialResp.firstRt'] and '412'
    path = write_log(tmp_path / NAME, content)
    fails(path, 'trialResp.firstRt is 412', 'It looks like milliseconds')


def test_presses_during_the_fixation(tmp_path):
    """One after a press of its own counts only as a further one."""
    content = rows()
    trials = content[FIRST_TRIAL:]
    missed = next(r for r in trials if r['corrRespTrialType'] == 'Miss')
    hit = next(r for r in trials if r['corrRespTrialType'] == 'Hit')
    for row in (missed, hit):
        row['isiPress.keys'] = "['3', '2']"
        start = float(row['shapeStartTime'])
        row['isiPress.rt'] = f'[{start + 0.7:.3f}, {start + 0.9:.3f}]'
    path = write_log(tmp_path / NAME, content)
    new = read_carit(path)
    at = new.table.set_index('trial_number')
    late, first = at.loc[int(missed['trialNum'])], at.loc[int(hit['trialNum'])]
    assert late['response_time'] == pytest.approx(0.7, abs=1e-3)
    assert (late['response_key'], late['outcome'], late['late_presses']) == ('3', 'Miss', 2)
    assert first['response_time'] < 0.79
    assert (first['response_key'], first['late_presses']) == ('2', 2)
    line = content.index(missed) + 2
    assert any(
        f'(isiPress), which is their response_time: 1 (line {line})' in n for n in new.notes
    )


def test_presses_during_the_fixation_by_their_own_clock(tmp_path):
    content = rows(clock='trial')
    missed = next(r for r in content if r['corrRespTrialType'] == 'Miss')
    missed['isiPress.rt'] = '0.1'
    table = read_carit(write_log(tmp_path / NAME, content)).table.set_index('trial_number')
    assert table.loc[int(missed['trialNum']), 'response_time'] == pytest.approx(0.702)
    missed['fixStartTime'] = ''
    new = read_carit(write_log(tmp_path / NAME, content))
    at = new.table.set_index('trial_number').loc[int(missed['trialNum'])]
    assert np.isnan(at['response_time'])
    assert at['late_presses'] == 1
    assert any('not taken as response' in note for note in new.notes)


def test_a_program_that_was_stopped(tmp_path):
    """What was not shown is no event; what has no outcome is one."""
    content = rows()
    for row in content[-3:]:
        row |= dict.fromkeys(COLUMNS[6:], '')
    content[-4] |= {'corrRespTrialType': '', 'trialResp.firstRt': ''}
    new = read_carit(write_log(tmp_path / NAME, content))
    assert len(new.table) == 89
    assert pd.isna(new.table['outcome'].iloc[-1])
    assert '89 trials, 5 that are none' in new.notes[0]
    assert '3 that were never shown (no shapeStartTime): lines 96, 97, 98' in new.notes[0]
    assert any('without corrRespTrialType (outcome n/a): 1 (line 95)' in n for n in new.notes)


def test_counters_that_do_not_agree(tmp_path):
    content = rows()
    counts = outcomes(content)
    removed = next(r for r in content if r['corrRespTrialType'] == 'Hit')
    content.remove(removed)
    notes = read_carit(write_log(tmp_path / NAME, content)).notes
    words = (
        f'hitCount of the last trial is {counts["Hit"]}, but {counts["Hit"] - 1} trials are Hit'
    )
    assert any(words in note for note in notes)


def test_words_of_the_program_against_its_times(tmp_path):
    content = rows()
    hit = next(r for r in content if r['corrRespTrialType'] == 'Hit')
    miss = next(r for r in content if r['corrRespTrialType'] == 'Miss')
    hit['trialResp.firstRt'] = ''
    miss['trialResp.firstRt'] = str(float(miss['shapeStartTime']) + 0.79)
    notes = read_carit(write_log(tmp_path / NAME, content)).notes
    lines = [content.index(row) + 2 for row in (hit, miss)]
    assert any(f'without the time of a press: 1 (line {lines[0]})' in note for note in notes)
    assert any(f'but with the time of a press: 1 (line {lines[1]})' in note for note in notes)


def test_shapes_of_another_duration(log):
    (note,) = read_carit(log, duration=0.5).notes[1:]
    assert note == (
        'shapes were shown for 0.601 s (median), but the events last 0.5 s: see --duration'
    )


@pytest.mark.parametrize(
    ('column', 'value', 'words'),
    [
        ('trialNum', 'x', "trialNum is 'x', which is not a number"),
        ('corrAns', 'g0', "corrAns is 'g0'; it must be go or nogo"),
        ('corrAns', '', "corrAns is 'empty'"),
        ('shapeStartTime', '1,5', "shapeStartTime is '1,5', which is not a number"),
        ('shapeStartTime', 'inf', "shapeStartTime is 'inf'"),
        ('shapeStartTime', '3', 'the file holds two runs, or lines were moved'),
        ('trialResp.firstRt', '?', "trialResp.firstRt is '?'"),
        (
            'corrRespTrialType',
            'hits',
            "'hits'; it must be one of Hit, Miss, corReject, falseAlarm",
        ),
        ('isiPress.rt', '[a]', "isiPress.rt is 'a'"),
        ('hitCount', 'many', "hitCount is 'many'"),
    ],
)
def test_cells_that_cannot_be(tmp_path, column, value, words):
    fails(changed(tmp_path, 30, column, value), 'line 32', words)


def test_an_outcome_of_the_other_kind(tmp_path):
    content = rows()
    row = next(i for i, r in enumerate(content) if r['corrAns'] == 'go')
    path = changed(tmp_path, row, 'corrRespTrialType', 'falseAlarm', content)
    fails(path, f'line {row + 2}', 'is falseAlarm, but corrAns is go')


def test_two_runs_in_one_file(tmp_path):
    content = rows(10) + rows(10)[FIRST_TRIAL:]
    fails(write_log(tmp_path / NAME, content), 'line 17', 'not after that of line 16', 'two runs')


def test_files_that_are_no_log(tmp_path):
    path = tmp_path / NAME
    fails(path, 'cannot be read: No such file')
    path.write_bytes(b'PK\3\4workbook')
    fails(path, 'is no text in UTF-8, but a workbook')
    path.write_bytes('a,ü\n'.encode('latin-1'))
    fails(path, 'line 1: byte 0xfc is not UTF-8')
    path.write_text('')
    fails(path, 'has no row')
    path.write_text('onset\tduration\n1\t2\n')
    fails(path, 'lacks the column trialNum, corrAns', 'not separated by commas')
    write_log(path, columns=[c for c in COLUMNS if c != 'corrAns'])
    fails(path, 'lacks the column corrAns; it has condFile, trialNum, stim', '..._wide.csv')
    write_log(path, rows(0))
    fails(path, 'has no trial: trialNum is empty or 0 in every row')
    content = rows(2)
    for row in content:
        row['shapeStartTime'] = ''
    write_log(path, content)
    fails(path, 'no trial has a shapeStartTime')


def test_lines_that_are_cut_off_or_quoted_wrongly(log):
    lines = log.read_text().splitlines()
    log.write_text('\n'.join([*lines[:40], lines[40][:50]]))
    fails(log, 'line 41', 'values, but the header has 28 columns', 'cut off')
    log.write_text('\n'.join([*lines[:40], '"' + lines[40]]))
    fails(log, 'line 41')


def test_a_column_twice(log):
    lines = log.read_text().splitlines()
    log.write_text('\n'.join([lines[0] + ',corrAns', *(line + ',go' for line in lines[1:])]))
    fails(log, 'two columns corrAns')


def test_a_byte_order_mark_and_blank_lines(log):
    before = read_carit(log).table
    log.write_bytes(b'\xef\xbb\xbf' + log.read_bytes().replace(b'\r\n', b'\n') + b'\n,,,\n\n')
    pd.testing.assert_frame_equal(read_carit(log).table, before)
