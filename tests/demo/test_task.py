from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from ketbids.demo.task import (
    CONDITIONS,
    REPETITION_TIME,
    condition_of,
    draw_events,
    event_regressor,
    haemodynamic_response,
    regressors,
)


@pytest.mark.parametrize('session', ['TP1', 'TP2'])
@pytest.mark.parametrize('n_volumes', [100, 200, 300])
def test_events_are_a_go_nogo_task(session, n_volumes):
    events = draw_events(1, '07', session, n_volumes)
    assert events['onset'].is_monotonic_increasing
    assert (events['onset'].diff().dropna() > 0.9).all()
    assert events['onset'].iloc[-1] + 8 < n_volumes * REPETITION_TIME
    assert (events['duration'] == 0.6).all()
    assert 2 < (events['trial_type'] == 'go').sum() / (events['trial_type'] == 'nogo').sum() < 3.5
    kinds = events['trial_type'].tolist()
    assert kinds[0] == 'go'
    assert ('nogo', 'nogo') not in set(pairwise(kinds))


def test_full_length_has_the_trials_of_carit():
    counts = Counter(draw_events(1, '01', 'TP1', 300)['trial_type'])
    assert counts == {'go': 68, 'nogo': 24}


def test_all_conditions_occur_but_where_asked():
    for label in map(str, range(30)):
        conditions = Counter(condition_of(draw_events(3, label, 'TP1', 200)))
        assert set(conditions) == set(CONDITIONS)
        assert conditions['correctNogo'] >= 10
        regular = condition_of(draw_events(3, label, 'TP1', 200, without_incorrect_go=True))
        assert 'incorrectGo' not in regular


def test_there_are_omissions_late_presses_and_anticipations():
    every = pd.concat([draw_events(3, str(i), 'TP1', 200) for i in range(40)])
    go = every[every['trial_type'] == 'go']['response_time']
    assert go.isna().any()
    assert (go > 0.8).any()
    assert (go < 0).any()
    assert 0.3 < go[go.between(0, 0.8)].median() < 0.5


def test_events_are_a_function_of_seed_and_run():
    first = draw_events(1, '01', 'TP1', 200)
    pd.testing.assert_frame_equal(first, draw_events(1, '01', 'TP1', 200))
    assert not first.equals(draw_events(1, '01', 'TP2', 200))
    assert not first.equals(draw_events(2, '01', 'TP1', 200))


def test_window_of_the_response():
    events = pd.DataFrame(
        {
            'onset': range(6),
            'trial_type': ['go', 'go', 'go', 'go', 'nogo', 'nogo'],
            'response_time': [0.8, 0.801, -0.1, np.nan, 0.5, np.nan],
        }
    )
    assert list(condition_of(events)) == [
        'correctGo',
        *['incorrectGo'] * 3,
        'incorrectNogo',
        'correctNogo',
    ]


def test_response_function_is_the_usual_one():
    from nilearn.glm.first_level import spm_hrf

    mine = haemodynamic_response(np.arange(0, 32, 0.1))
    theirs = spm_hrf(0.1, oversampling=1, time_length=32)
    assert np.corrcoef(mine, theirs)[0, 1] > 0.999


def test_one_trial_has_the_peak_one():
    events = pd.DataFrame({'onset': [4.0], 'trial_type': ['go'], 'response_time': [0.3]})
    columns = regressors(events, 60)
    assert columns.shape == (60, 4)
    assert columns[:, 0].max() == pytest.approx(1, abs=0.01)
    peak = (columns[:, 0].argmax() + 0.5) * REPETITION_TIME
    assert 4 + 4.5 < peak < 4 + 6.5
    assert not columns[:, 1:].any()


def test_event_regressor_is_the_convolution_at_any_duration():
    times = np.arange(0, 80, 0.5)
    alone = event_regressor([10.0], [3.0], times)
    step = 0.01
    kernel = haemodynamic_response(np.arange(0, 40, step))
    fine = np.convolve(kernel, np.ones(300))
    expected = np.interp(times - 10, step * np.arange(len(fine)), fine / fine.max(), left=0)
    assert alone == pytest.approx(expected, abs=2e-3)
    assert event_regressor([10.0], [3.0], np.arange(0, 80, 0.01)).max() == pytest.approx(1)


def test_event_regressor_has_the_height_of_the_usual_duration():
    times = np.arange(0, 200, 0.1)
    both = event_regressor([10.0, 60.0, 110.0], [1.0, 1.0, 2.0], times)
    assert both[times < 50].max() == pytest.approx(1, abs=1e-4)
    assert 1.8 < both[times > 105].max() < 2
    assert event_regressor([10.0], [1e-3], times).max() == pytest.approx(1, abs=1e-3)
