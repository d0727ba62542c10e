import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma

from ketbids.errors import InputError
from ketbids.stats.firstlevel import fit_glm
from ketbids.stats.runcontrasts import contrast_weights
from ketbids.stats.rundesign import HRF_MODELS, run_design

TR, N = 0.8, 200


def coded(onsets, conditions, duration=0.6):
    return pd.DataFrame({'onset': onsets, 'duration': duration, 'condition': conditions})


@pytest.fixture
def trials():
    rng = np.random.default_rng(3)
    onsets = np.sort(rng.uniform(2, N * TR - 5, 40)).round(3)
    return coded(onsets, ['z go', 'a-stop'] * 20)


def double_gamma(onsets, duration, times, step=0.004):
    """Sum of events convolved with SPM's double gamma of unit area."""
    grid = np.arange(0, 32, step)
    response = gamma.pdf(grid, 6) - gamma.pdf(grid, 16) / 6
    response /= response.sum()
    fine = np.arange(0, times[-1] + 1, step)
    on = sum(((fine >= o) & (fine < o + duration)).astype(float) for o in onsets)
    return np.interp(times, fine, np.convolve(on, response)[: len(fine)])


def test_columns_keep_the_order_and_names_of_the_conditions(trials):
    design = run_design(trials, ['z go', 'never', 'a-stop'], N, TR)
    assert list(design.matrix.columns) == ['z go', 'a-stop', 'drift_1', 'constant']
    assert design.conditions == ('z go', 'a-stop')
    assert design.dropped == ('never',)
    assert set(design.peaks) == {'z go', 'a-stop'}
    assert design.notes == ()
    np.testing.assert_allclose(design.matrix.index, (np.arange(N) + 0.5) * TR)


def test_regressors_are_events_convolved_with_the_double_gamma(trials):
    design = run_design(trials, ['z go', 'a-stop'], N, TR)
    for name in design.conditions:
        onsets = trials.loc[trials['condition'] == name, 'onset']
        expected = double_gamma(onsets, 0.6, design.matrix.index.to_numpy())
        found = design.matrix[name].to_numpy()
        assert np.corrcoef(expected, found)[0, 1] > 0.99999
        assert found @ expected / (expected @ expected) == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize('duration', [0.0, 0.6, 2.0, 30.0])
def test_peak_is_the_height_of_one_event(duration):
    design = run_design(coded([8.0], ['a'], duration), ['a'], N, TR)
    assert design.matrix['a'].max() == pytest.approx(design.peaks['a'], rel=0.03)
    if duration:
        expected = double_gamma([0.0], duration, np.arange(0, duration + 30, 0.1)).max()
        assert design.peaks['a'] == pytest.approx(expected, rel=0.005)


def test_peak_takes_the_most_frequent_duration():
    several = coded([5.0, 20.0, 40.0], ['a'] * 3, [0.6, 3.0, 0.6])
    alone = coded([5.0], ['a'], 0.6)
    assert (
        run_design(several, ['a'], N, TR).peaks['a'] == run_design(alone, ['a'], N, TR).peaks['a']
    )


@pytest.mark.parametrize('hrf_model', HRF_MODELS)
def test_responses_on_offer(trials, hrf_model):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        matrix = run_design(trials, ['z go', 'a-stop'], N, TR, hrf_model=hrf_model).matrix
    derivatives = [name for name in matrix.columns if name.endswith('_derivative')]
    wanted = ['z go_derivative', 'a-stop_derivative'] if 'derivative' in hrf_model else []
    assert derivatives == wanted
    assert np.linalg.matrix_rank(matrix.to_numpy()) == matrix.shape[1]


@pytest.mark.parametrize(
    ('n_volumes', 'high_pass', 'n_cosines'), [(300, 0.005, 2), (200, 0.01, 3), (200, 0.0, 0)]
)
def test_cosines_up_to_the_cut_off(n_volumes, high_pass, n_cosines):
    matrix = run_design(coded([5.0], ['a']), ['a'], n_volumes, TR, high_pass=high_pass).matrix
    cosines = matrix.filter(like='drift_').to_numpy()
    assert cosines.shape[1] == n_cosines
    times = np.arange(n_volumes)
    for k in range(n_cosines):
        expected = np.cos(np.pi * (k + 1) * (times + 0.5) / n_volumes)
        assert abs(np.corrcoef(expected, cosines[:, k])[0, 1]) == pytest.approx(1)
        assert (k + 1) / (2 * n_volumes * TR) <= high_pass + 1e-12


def test_volume_time_shifts_the_regressors():
    early = run_design(coded([8.0], ['a']), ['a'], N, TR, slice_time_ref=0.0).matrix
    late = run_design(coded([8.0 + TR / 2], ['a']), ['a'], N, TR, slice_time_ref=0.5).matrix
    np.testing.assert_allclose(early['a'], late['a'], atol=1e-2 * early['a'].max())


def test_events_before_the_first_volume_still_count():
    design = run_design(coded([-3.0, -50.0], ['a', 'a']), ['a'], N, TR)
    assert design.matrix['a'].iloc[0] > 0.1 * design.peaks['a']
    assert design.notes == ('events more than 24 s before the first volume, left out: 1',)


def test_impulses_and_repeats_are_noted():
    table = coded([5.0, 5.0, 20.0], ['a'] * 3, 0.0)
    design = run_design(table, ['a'], N, TR)
    assert design.notes[0] == 'events repeated in the file, modelled once: 1'
    assert design.notes[1].startswith('events of a with duration 0')
    assert design.notes[1].endswith(': 2')
    once = run_design(table.iloc[1:], ['a'], N, TR)
    np.testing.assert_array_equal(design.matrix, once.matrix)


def test_confounds_stand_between_conditions_and_cosines(trials):
    rng = np.random.default_rng(0)
    confounds = pd.DataFrame(
        {'trans_x': rng.standard_normal(N), 'trans_x_derivative1': rng.standard_normal(N)}
    )
    confounds['flat'] = 3.0
    confounds['twice'] = 5 + 2 * confounds['trans_x']
    design = run_design(trials, ['z go', 'a-stop'], N, TR, confounds=confounds)
    assert list(design.matrix.columns)[2:] == [
        *('trans_x', 'trans_x_derivative1', 'drift_1', 'constant')
    ]
    np.testing.assert_array_equal(design.matrix['trans_x'], confounds['trans_x'])
    assert design.confounds == ('trans_x', 'trans_x_derivative1')
    (note,) = design.notes
    assert note.endswith('depend linearly on other regressors, left out: flat, twice')


def test_collinear_confounds_leave_the_contrasts_alone(trials):
    """Spikes at one volume, a cosine of the model, and a sum of other confounds."""
    rng = np.random.default_rng(2)
    names, contrasts = ['z go', 'a-stop'], {'c': [{'z go': 1.0, 'a-stop': -1.0}]}
    plain = pd.DataFrame({'a': rng.standard_normal(N), 'b': 1e6 + rng.standard_normal(N)})
    plain['spike'] = (np.arange(N) == 20).astype(float)
    drift = run_design(trials, names, N, TR).matrix['drift_1'].to_numpy()
    more = plain.assign(spike2=plain['spike'], cosine=drift, sum=plain['a'] - 3 * plain['b'])
    designs = [run_design(trials, names, N, TR, confounds=c) for c in (plain, more)]
    assert designs[1].confounds == ('a', 'b', 'spike')
    data = rng.standard_normal((N, 5)) + 100
    fits = []
    for design in designs:
        found = contrast_weights(design.matrix, contrasts, design.dropped)
        assert found.reasons == {}
        fits.append(fit_glm(data, design.matrix.to_numpy(), found.weights['c'], order=1))
    np.testing.assert_array_equal(fits[0].effect, fits[1].effect)


def test_more_confounds_than_volumes(trials):
    confounds = pd.DataFrame(np.random.default_rng(0).standard_normal((N, N - 4))).add_prefix('x')
    with pytest.raises(InputError, match=r'200 regressors .*196 confounds.* for 200 volumes') as e:
        run_design(trials, ['z go', 'a-stop'], N, TR, confounds=confounds)
    assert '--confounds' in str(e.value)


def test_confounds_that_do_not_fit(trials):
    names = ['z go', 'a-stop']
    confounds = pd.DataFrame({'x': np.arange(N, dtype=float)})
    with pytest.raises(InputError, match=r'199 rows.*200 volumes'):
        run_design(trials, names, N, TR, confounds=confounds.iloc[1:])
    with pytest.raises(InputError, match='z go'):
        run_design(trials, names, N, TR, confounds=confounds.rename(columns={'x': 'z go'}))
    confounds.loc[7, 'x'] = np.nan
    with pytest.raises(InputError, match=r'Confound x .*row 8'):
        run_design(trials, names, N, TR, confounds=confounds)


def test_events_of_another_run(trials):
    with pytest.raises(InputError, match=r'events start after the run has ended.*80 s'):
        run_design(trials, ['z go', 'a-stop'], 100, TR)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'hrf_model': 'fir'}, r"'fir'; choose from: spm, spm \+ derivative"),
        ({'repetition_time': 0.0}, 'repetition time is 0.0 s'),
        ({'n_volumes': 1}, '1 volumes'),
        ({'slice_time_ref': 2.0}, '0 to 1'),
        ({'high_pass': 1.0}, 'less than 0.625 Hz'),
        ({'conditions': ['a', 'a']}, 'different names'),
    ],
)
def test_options_out_of_range(change, message):
    options = {'conditions': ['a'], 'n_volumes': N, 'repetition_time': TR, **change}
    with pytest.raises(InputError, match=message):
        run_design(coded([5.0], ['a']), **options)


def test_a_run_without_a_trial_has_a_design_all_the_same(trials):
    design = run_design(trials, ['other'], N, TR)
    assert design.notes == ('no event of the run belongs to a condition (other)',)
    assert (design.conditions, design.dropped) == ((), ('other',))
    assert set(design.matrix.columns) == {'drift_1', 'constant'}


@pytest.mark.filterwarnings('error')
def test_what_is_0_or_1_throughout_stays_so_whatever_else_is_singular():
    onsets = [5.0, 30.0, 60.0]
    table = coded([*onsets, *onsets, N * TR - 0.1], ['a'] * 3 + ['b'] * 3 + ['late'])
    matrix = run_design(table, ['a', 'b', 'late'], N, TR, slice_time_ref=0.0).matrix
    assert (matrix['constant'] == 1).all()
    assert not matrix['late'].any()
    np.testing.assert_allclose(matrix['a'], matrix['b'], atol=1e-12)
