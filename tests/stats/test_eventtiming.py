"""Removed volumes, and events that lie elsewhere than they should."""

import pandas as pd
import pytest

from ketbids.stats.eventtiming import EventSpan, compare_spans, timing_messages

TR = 0.8


def span(first=8.0, last=225.0, end=None, length=240.0):
    return EventSpan(first, last, last + 0.6 if end is None else end, length, TR)


def test_span_of_trials_leaves_out_what_is_no_trial():
    trials = pd.DataFrame(
        {
            'onset': [1.0, 9.0, 30.0, 100.0, 200.0],
            'duration': [5.0, 0.6, 90.0, float('nan'), 5.0],
            'condition': ['n/a', 'go', 'n/a', 'go', 'n/a'],
            'status': ['ignored', 'trial', 'unmatched', 'trial', 'response'],
        }
    )
    found = EventSpan.of_trials(trials, 300, TR)
    assert found == EventSpan(9.0, 100.0, 120.0, 240.0, TR)
    assert found.tail == 140.0
    assert EventSpan.of_trials(trials.iloc[:0], 300, TR) is None
    plain = trials.drop(columns='status')
    assert EventSpan.of_trials(plain, 300, TR).first == 1.0


@pytest.mark.parametrize(
    ('n', 'dropped', 'raw', 'level', 'words'),
    [
        (300, 0, 300, 'ok', 'the raw image has 300 (300 volumes, --drop-volumes 0)'),
        (300, 10, 310, 'ok', 'the raw image has 310'),
        (300, 0, None, 'ok', 'not checked, there is no raw image'),
        (300, 0, 310, 'alarm', '10 were removed, but --drop-volumes says 0. If they were removed '
         'from the start, give --drop-volumes 10.'),
        (300, 4, 310, 'alarm', 'give --drop-volumes 10.'),
        (300, 10, 300, 'alarm', 'all 300 volumes of the raw image, but --drop-volumes says'),
        (300, 0, 200, 'alarm', 'more than the raw image (200): it is of another run'),
    ],
)  # fmt: skip
def test_removed_volumes(n, dropped, raw, level, words):
    first, *rest = timing_messages(span(), n, drop_volumes=dropped, raw_volumes=raw)
    assert first.level == level
    assert words in first.text
    assert [m.level for m in rest] == ['ok']


@pytest.mark.parametrize(
    ('found', 'words'),
    [
        (span(first=-8), 'starts 8.0 s before the first volume (10.0 volumes)'),
        (span(first=50), 'starts 50.0 s after the first volume'),
        (span(last=238), 'The run ends 2.0 s after the onset of the last trial'),
        (span(end=250), 'The last trial ends 10.0 s after the end of the run'),
        (span(last=150), 'The run goes on for 89.4 s after the last trial'),
    ],
)
def test_events_against_the_run(found, words):
    (message,) = timing_messages(found, 300, raw_volumes=300)[1:]
    assert message.level == 'warn'
    assert words in message.text


def test_events_that_fit_and_none():
    (message,) = timing_messages(span(), 300)[1:]
    assert message.level == 'ok'
    assert message.text == (
        'The first trial starts at 8.0 s; the run goes on for 15.0 s after the onset of the last '
        'one.'
    )
    assert timing_messages(None, 300)[1].level == 'alarm'


def test_runs_are_compared():
    spans = {f'run {n}': span(8 + 0.1 * (n % 3), 225 + 0.1 * (n % 3)) for n in range(8)}
    assert compare_spans(spans) == {}
    spans |= {
        'shifted': span(0.0, 217.0),
        'other': span(20.0, 225.0),
        'short': span(8.0, 225.0, length=232.0),
    }
    found = compare_spans(spans)
    assert set(found) == {'shifted', 'other', 'short'}
    assert {m.level for m in found.values()} == {'warn'}
    said = '8.1 s earlier than in the other runs (median 8.1 s; 10.1 volumes), and the last one'
    assert said in found['shifted'].text
    assert '--drop-volumes' in found['shifted'].text
    assert '11.9 s later' in found['other'].text
    assert 'complete and of this run' in found['other'].text
    assert 'The run goes on for 7.9 s less after the last trial' in found['short'].text


def test_few_runs_and_random_designs_are_not_compared():
    assert compare_spans({'a': span(), 'b': span(), 'c': span(90, 200)}) == {}
    # Onsets that differ by design: no run stands out.
    assert compare_spans({str(n): span(5.0 + 3 * n, 220.0) for n in range(8)}) == {}
