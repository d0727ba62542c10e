"""The time axis of a run, from its header and its JSON files."""

import json
import re

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.cifti import write_series
from ketbids.io.timing import run_timing
from tests.stats.small_brain import SmallBrain

BRAIN = SmallBrain()


@pytest.fixture
def run(tmp_path):
    """Make a series with a time step, and JSON files, the most specific first."""

    def make(step, *contents):
        series = tmp_path / 'bold.dtseries.nii'
        write_series(series, np.ones((7, len(BRAIN))), BRAIN.models, step)
        sidecars = []
        for number, content in enumerate(contents):
            sidecars.append(tmp_path / f'{number}.json')
            sidecars[-1].write_text(json.dumps(content))
        return series, sidecars

    return make


@pytest.mark.parametrize(
    ('step', 'contents', 'expected'),
    [
        (0.8, [], 0.8),
        (0.8, [{}], 0.8),
        (2.0, [{'RepetitionTime': 2}], 2.0),
        (0.8000000119, [{'RepetitionTime': 0.8}], 0.8),
        # The more specific file counts.
        (0.8, [{'RepetitionTime': 0.8}, {'RepetitionTime': 3.0}], 0.8),
        (0.8, [{'TaskName': 'x'}, {'RepetitionTime': 0.8}], 0.8),
    ],
)
def test_repetition_time(run, step, contents, expected):
    found = run_timing(*run(step, *contents))
    assert found == (7, expected, 0.5, ())


def test_a_header_without_a_step_is_noted(run):
    found = run_timing(*run(np.nan, {'RepetitionTime': 0.8}))
    assert found.repetition_time == 0.8
    assert found.notes == (
        'the header of the series has no time step; 0.8 s is from the JSON file',
    )


@pytest.mark.parametrize(('step', 'said'), [(1.0, 2.0), (2000.0, 2.0), (2.0, 2000), (0.8, 0.809)])
def test_contradictions(run, step, said):
    series, sidecars = run(step, {'RepetitionTime': said})
    with pytest.raises(InputError) as caught:
        run_timing(series, sidecars)
    assert f'{step:g} s in the header of {series}, but {said:g} s in {sidecars[0]}' in str(
        caught.value
    )


@pytest.mark.parametrize('contents', [[], [{}], [{'RepetitionTime': None}]])
def test_nobody_knows(run, contents):
    series, sidecars = run(np.nan, *contents)
    looked = str(sidecars[0]) if sidecars else 'there is none'
    with pytest.raises(InputError, match=re.escape(f'{series}: the header has no time step')) as e:
        run_timing(series, sidecars)
    assert f'looked in: {looked}' in str(e.value)


@pytest.mark.parametrize('said', ['fast', 0, -2.0, True, [2.0], float('inf'), float('nan')])
def test_a_repetition_time_that_is_none(run, said):
    series, sidecars = run(0.8, {'RepetitionTime': said})
    with pytest.raises(InputError, match=re.escape(f'{sidecars[0]}: RepetitionTime is ')):
        run_timing(series, sidecars)


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ({'SliceTimingCorrected': True, 'StartTime': 0.975}, 0.4875),
        ({'SliceTimingCorrected': True, 'StartTime': 0.0}, 0.0),
        ({'SliceTimingCorrected': True}, 0.5),
        ({'SliceTimingCorrected': False, 'StartTime': 0.0}, 0.5),
        ({'StartTime': 0.0}, 0.5),
    ],
)
def test_time_of_a_volume(run, content, expected):
    series, sidecars = run(2.0, content, {'RepetitionTime': 2.0})
    assert run_timing(series, sidecars).slice_time_ref == pytest.approx(expected)


@pytest.mark.parametrize('start', [-0.1, 2.1, 975, 'half', True])
def test_a_start_time_outside_the_volume(run, start):
    series, sidecars = run(2.0, {'SliceTimingCorrected': True, 'StartTime': start})
    with pytest.raises(InputError, match=re.escape(f'{sidecars[0]}: StartTime is {start!r}')):
        run_timing(series, sidecars)


@pytest.mark.parametrize(
    ('step', 'contents'), [(800.0, []), (np.nan, [{'RepetitionTime': 800}]), (800.0, [{}])]
)
def test_milliseconds(run, step, contents):
    series, sidecars = run(step, *contents)
    named = sidecars[0] if np.isnan(step) else series
    words = f'{named}: the repetition time is 800 s. This looks like milliseconds'
    with pytest.raises(InputError, match=re.escape(words)):
        run_timing(series, sidecars)
