"""Checks of a design: variance inflation, efficiency, few trials, empty and equal conditions."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.designchecks import contrast_vif, design_checks, vif_level
from ketbids.stats.eventtiming import Message
from ketbids.stats.runcontrasts import contrast_variance, contrast_weights
from ketbids.stats.rundesign import run_design

N, TR = 300, 0.8


def table(**onsets):
    """Coded trials of 0.6 s, by condition."""
    rows = [(onset, 0.6, name) for name, times in onsets.items() for onset in times]
    frame = pd.DataFrame(rows, columns=['onset', 'duration', 'condition'])
    return frame.sort_values('onset', ignore_index=True)


def check(trials, conditions, contrasts, **options):
    design = run_design(trials, conditions, N, TR, **options)
    weights = contrast_weights(design.matrix, contrasts, design.dropped)
    return design, design_checks(design, weights, trials, TR)


@pytest.fixture
def matrix():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4))
    x[:, 1] += 2 * x[:, 0]
    x[:, 2] *= 30
    return np.column_stack([x, np.ones(200)])


@pytest.mark.parametrize('column', range(4))
def test_one_column_has_the_vif_of_its_regression(matrix, column):
    others = np.delete(matrix, column, axis=1)
    y = matrix[:, column]
    rest = y - others @ np.linalg.lstsq(others, y, rcond=None)[0]
    expected = ((y - y.mean()) ** 2).sum() / (rest**2).sum()
    weights = np.eye(5)[column]
    assert contrast_vif(matrix, weights) == pytest.approx(expected)
    assert contrast_vif(matrix, -3 * weights) == pytest.approx(expected)


@pytest.mark.parametrize('r', [-0.8, 0.0, 0.5, 0.9])
def test_a_difference_of_two_has_the_vif_of_theory(r):
    """Of columns of one size and correlation r: 1 / (1 - r), the sum 1 / (1 + r)."""
    base = np.linalg.qr(
        np.column_stack([np.ones(50), np.random.default_rng(1).normal(size=(50, 2))])
    )
    a, b = base[0][:, 1], base[0][:, 2]
    x = np.column_stack([a, r * a + np.sqrt(1 - r**2) * b, np.ones(50)])
    assert contrast_vif(x, [1, -1, 0]) == pytest.approx(1 / (1 - r))
    assert contrast_vif(x, [1, 1, 0]) == pytest.approx(1 / (1 + r))
    # Of several rows, the worst combination; whichever rows span them.
    worst = 1 / (1 - abs(r))
    assert contrast_vif(x, [[1, 0, 0], [0, 1, 0]]) == pytest.approx(worst)
    assert contrast_vif(x, [[1, -1, 0], [2, 5, 0]]) == pytest.approx(worst)


def test_variance_is_that_of_least_squares(matrix):
    c = np.array([[1.0, -1, 0, 0, 0], [0, 0, 1, 0, 0]])
    expected = c @ np.linalg.inv(matrix.T @ matrix) @ c.T
    np.testing.assert_allclose(contrast_variance(matrix, c), expected, rtol=1e-9)
    twice = np.column_stack([matrix, matrix[:, 0]])
    more = np.column_stack([c, np.zeros(2)])
    assert contrast_variance(twice, more) is None
    assert contrast_vif(twice, more) is None
    # The sum of what is there twice can be estimated.
    both = np.array([1.0, 0, 0, 0, 0, 1])
    single = contrast_variance(matrix, np.eye(5)[0])
    np.testing.assert_allclose(contrast_variance(twice, both), single)


@pytest.mark.parametrize(
    ('vif', 'level'), [(1, 'ok'), (5, 'ok'), (5.1, 'warn'), (10, 'warn'), (11, 'alarm')]
)
def test_levels(vif, level):
    assert vif_level(vif) == level
    assert vif_level(None) == 'alarm'


def test_a_good_run():
    rng = np.random.default_rng(3)
    onsets = 8 + 2.4 * np.arange(90) + rng.uniform(0, 0.8, 90)
    stop = rng.permutation(90) < 25
    trials = table(go=onsets[~stop], stop=onsets[stop])
    design, found = check(
        trials, ['go', 'stop'], {'difference': [{'stop': 1, 'go': -1}], 'go': [{'go': 1}]}
    )
    x = design.matrix.to_numpy()
    variance = np.linalg.inv(x.T @ x)[:2, :2]
    difference, go = found.contrasts
    assert difference.efficiency == pytest.approx(1 / ([-1, 1] @ variance @ [-1, 1]))
    assert go.efficiency == pytest.approx(1 / variance[0, 0])
    assert [(c.name, c.trials, c.level, c.mark) for c in found.regressors] == [
        ('go', 65, 'ok', ''),
        ('stop', 25, 'ok', ''),
    ]
    r = np.corrcoef(x[:, 0], x[:, 1])[0, 1]
    assert found.regressors[0].correlation == pytest.approx(r)
    assert found.regressors[0].partner == 'stop'
    task = found.correlations[['go', 'stop']]
    np.testing.assert_allclose(task, [[1, r], [r, 1]])
    # The others follow; the constant has no correlation.
    drifts = [f'drift_{n}' for n in (1, 2)]
    assert list(found.correlations) == ['go', 'stop', *drifts]
    expected = np.corrcoef(x[:, :4], rowvar=False)[:2, 2:]
    np.testing.assert_allclose(found.correlations[drifts], expected, atol=1e-9)
    assert go.vif == found.regressors[0].vif
    assert found.few == {}
    assert {m.level for m in found.messages} == {'ok', 'unchecked'}
    json.dumps(found.to_dict(), allow_nan=False)


def test_trials_that_always_follow_each_other_raise_an_alarm():
    """One condition 0.4 s after the other: they can be told in principle only."""
    onsets = np.arange(10, 220, 12.0)
    trials = table(a=onsets, b=onsets + 0.4)
    _, found = check(trials, ['a', 'b'], {'a': [{'a': 1}], 'sum': [{'a': 1, 'b': 1}]})
    assert found.contrasts[0].vif > 20
    assert found.contrasts[0].level == 'alarm'
    # The VIF of a contrast counts: the sum is as good as ever.
    assert found.contrasts[1].vif < 1
    assert found.contrasts[1].level == 'ok'
    (message,) = [m for m in found.messages if m.kind == 'design']
    assert message.level == 'alarm'
    assert message.text.startswith('Variance inflation (VIF) above 10: regressors a (')
    assert 'contrast a (' in message.text
    assert 'sum' not in message.text


def test_empty_single_and_equal_conditions():
    """The run goes on; each contrast says what is wrong with it."""
    onsets = np.arange(10, 200, 7.0)
    trials = table(go=onsets, same=onsets, once=[33.0], few=[21.0, 60.0, 99.0], late=[239.5])
    conditions = ['go', 'same', 'once', 'few', 'late', 'never']
    contrasts = {
        'go': [{'go': 1}],
        'sum': [{'go': 1, 'same': 1}],
        'once': [{'once': 1, 'few': -1}],
        'never': [{'never': 1, 'few': -1}],
        'any': [{'few': 1}, {'never': 1}],
        'late': [{'late': 1}],
    }
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        design, found = check(trials, conditions, contrasts)
    assert design.dropped == ('never',)
    by_name = {c.name: c for c in found.contrasts}
    assert by_name['go'].vif is by_name['go'].efficiency is None
    assert by_name['go'].mark == 'go cannot be told from same'
    assert by_name['sum'].level == 'ok'
    assert by_name['once'].mark == 'rests on one trial of once and 3 trials of few'
    assert by_name['once'].level == 'warn'
    assert by_name['never'].mark == 'no trials of never in this run'
    assert by_name['any'].level == 'alarm'
    assert found.few == {
        'once': 'rests on one trial of once and 3 trials of few',
        **({'late': by_name['late'].mark} if by_name['late'].vif else {}),
    }
    marks = {c.name: (c.trials, c.level, c.mark) for c in found.regressors}
    assert marks['go'][1:] == ('alarm', 'depends linearly on other regressors')
    assert marks['once'] == (1, 'warn', 'one trial only')
    assert marks['few'] == (3, 'warn', '3 trials only')
    assert marks['late'][1] == 'alarm'
    assert marks['late'][2].endswith('after the end of the run')
    assert marks['never'] == (0, 'warn', 'no trial: not in the design')
    texts = [m.text for m in found.messages]
    assert 'The contrast go cannot be estimated: go cannot be told from same.' in texts
    assert 'No trial of never: the condition is not in the design.' in texts
    assert Message('warn', 'once has one trial only: a single trial decides much.', 'design') in (
        found.messages
    )
    json.dumps(found.to_dict(), allow_nan=False)


def test_no_trial_at_all():
    trials = table(other=[5.0, 20.0])
    design, found = check(trials, ['go'], {'go': [{'go': 1}]})
    assert list(design.matrix.columns) == ['drift_1', 'drift_2', 'constant']
    assert design.notes == ('no event of the run belongs to a condition (go)',)
    assert len(found.correlations) == 0
    assert found.contrasts[0].mark == 'no trials of go in this run'
    json.dumps(found.to_dict(), allow_nan=False)


def test_derivatives_are_in_the_table_and_not_in_messages():
    onsets = np.arange(10, 220, 12.0)
    trials = table(a=onsets, b=onsets)
    _, found = check(trials, ['a', 'b'], {'a': [{'a': 1}]}, hrf_model='spm + derivative')
    names = ['a', 'a_derivative', 'b', 'b_derivative']
    assert [c.name for c in found.regressors] == names
    assert not any('_derivative' in m.text for m in found.messages if 'contrast' not in m.text)


def test_a_response_after_the_end_of_the_run():
    """One trial in the last moment: 0 throughout, without a warning of numpy."""
    trials = table(go=[239.7])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        _, found = check(trials, ['go'], {'go': [{'go': 1}]})
    assert found.correlations.loc['go', 'go'] == 0
    texts = [m.text for m in found.messages]
    assert (
        'The regressor go is 0 throughout: its response comes after the end of the run.' in texts
    )
    assert found.few == {}
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize(('n_volumes', 'told'), [(103, False), (102, True)])
def test_few_degrees_of_freedom_are_told(n_volumes, told):
    """A condition, the constant and a drift: three columns."""
    trials = table(go=[4.0, 20.0, 36.0, 52.0, 60.0, 68.0])
    design = run_design(trials, ['go'], n_volumes, TR, high_pass=0.012)
    weights = contrast_weights(design.matrix, {'go': [{'go': 1.0}]}, design.dropped)
    assert n_volumes - design.matrix.shape[1] == 100 - told
    texts = [m.text for m in design_checks(design, weights, trials, TR).messages]
    words = f'{n_volumes} volumes leave 99 degrees of freedom: with fewer than 100 the noise'
    assert any(words in text for text in texts) == told
