"""Removed volumes, and events that lie elsewhere than they should."""

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.eventtiming import EventSpan, Message, compare_spans, timing_messages

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
        (300, 0, None, 'unchecked', 'there is no raw image (300 volumes'),
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


def standing_out(spans):
    return {name: m for name, m in compare_spans(spans).items() if m.level == 'warn'}


def test_runs_are_compared():
    spans = {f'run {n}': span(8 + 0.1 * (n % 3), 225 + 0.1 * (n % 3)) for n in range(8)}
    found = compare_spans(spans)
    assert set(found) == set(spans)
    assert {m.level for m in found.values()} == {'ok'}
    assert found['run 1'].text == (
        'Other runs: the first trial starts at 8.1 s, in all 8 runs at 8.1 s (median).'
    )
    spans |= {
        'shifted': span(0.0, 217.0),
        'other': span(20.0, 225.0),
        'short': span(8.0, 225.0, length=232.0),
    }
    found = standing_out(spans)
    assert set(found) == {'shifted', 'other', 'short'}
    said = '8.1 s earlier than in the other runs (median 8.1 s; 10.1 volumes), and the last one'
    assert said in found['shifted'].text
    assert '--drop-volumes' in found['shifted'].text
    assert '11.9 s later' in found['other'].text
    assert 'complete and of this run' in found['other'].text
    assert 'The run goes on for 7.9 s less after the last trial' in found['short'].text


def test_an_end_that_varies_by_nature_hides_no_shift():
    """The last trial lies elsewhere in each run (SD 2.4 s); one run is shifted by 8 s."""
    jitter = 2.4 * np.random.default_rng(2).standard_normal(30)
    spans = {str(n): span(8.0, 222.0 + late) for n, late in enumerate(jitter)}
    spans['shifted'] = span(0.0, 214.0 + 4.0)
    (message,) = standing_out(spans).values()
    assert message.text.startswith('The first trial starts 8.0 s earlier than in the other runs')
    assert message.text.endswith(': check --drop-volumes and the clock of the events.')
    # Events that stop early are another matter.
    spans['shifted'] = span(0.0, 235.0)
    assert 'check whether the events are complete' in standing_out(spans)['shifted'].text


@pytest.mark.parametrize('volumes', [-2, -1, 1, 2])
def test_a_shift_of_single_volumes_is_seen(volumes):
    spans = {str(n): span() for n in range(5)}
    spans['shifted'] = span(8 + volumes * TR, 225 + volumes * TR)
    found = standing_out(spans)
    assert set(found) == {'shifted'}
    assert f'; {abs(volumes):.1f} volumes)' in found['shifted'].text
    assert '--drop-volumes' in found['shifted'].text


def test_less_than_a_volume_is_no_shift():
    spans = {str(n): span() for n in range(5)}
    assert standing_out({**spans, 'a': span(8.5, 225.5)}) == {}


def test_few_runs_are_not_compared():
    found = compare_spans({'a': span(), 'b': span(), 'c': span(90, 200)})
    said = Message('unchecked', 'Other runs: not compared (3 runs; 4 are needed).')
    assert found == dict.fromkeys('abc', said)
    assert 'this is the only run' in compare_spans({'a': span()})['a'].text
    assert compare_spans({}) == {}


def test_onsets_that_differ_by_design():
    """No run stands out."""
    assert standing_out({str(n): span(5.0 + 3 * n, 220.0) for n in range(8)}) == {}
