import json

import numpy as np
import pytest
from scipy import sparse, stats
from statsmodels.stats.diagnostic import acorr_ljungbox

from ketbids.stats.autoregression import bias_correction
from ketbids.stats.firstlevel import fit_glm
from ketbids.stats.whiteness import (
    departures,
    n_lags,
    portmanteau,
    whiteness,
    whiteness_maps,
    whiteness_summary,
)
from tests.stats.noise import noise


def sums_of(values, lags):
    return np.stack(
        [(values[: len(values) - k] * values[k:]).sum(axis=0) for k in range(lags + 1)]
    )


def test_equal_to_statsmodels_without_a_design():
    values = noise(np.random.default_rng(0), [0.2], 150, 4)
    values -= values.mean(axis=0)
    lags = 12
    sums = sums_of(values, lags)
    matrix = np.diag(150.0 - np.arange(lags + 1))
    np.testing.assert_allclose(bias_correction(np.zeros((150, 1)), lags), matrix)
    found = portmanteau(departures(sums, matrix), matrix, 150)
    for v in range(4):
        expected = acorr_ljungbox(values[:, v], lags=[lags])
        np.testing.assert_allclose(found[v], expected['lb_stat'].iloc[0], rtol=1e-10)


def test_close_to_statsmodels_with_a_mean_only():
    """There the bias of the design is small, and both are the same test."""
    rng = np.random.default_rng(1)
    design = np.ones((400, 1))
    data = noise(rng, [0.3], 400, 200) + 50
    fit = fit_glm(data, design, design[:1], order=1)
    white = fit.whiteness
    assert white.df == 20 - 1
    theirs = []
    for centred, coefficient in zip((data - fit.effect).T, fit.ar[:, 0], strict=True):
        innovations = centred[1:] - coefficient * centred[:-1]
        theirs.append(acorr_ljungbox(innovations, lags=[20], model_df=1)['lb_stat'].iloc[0])
    assert np.corrcoef(white.statistic, theirs)[0, 1] > 0.99
    assert abs(np.mean(white.statistic - theirs)) < 0.5
    np.testing.assert_allclose(10**-white.logp, stats.chi2.sf(white.statistic, 19))


def smooth_design(n_volumes, n_columns):
    """Slow regressors, which bias residual autocorrelations most, and an event-like one."""
    times = np.linspace(0, 1, n_volumes)
    slow = [np.cos(np.pi * k * times) for k in range(n_columns - 1)]
    events = np.convolve(
        np.random.default_rng(5).random(n_volumes) < 0.2, np.hanning(12), mode='same'
    )
    return np.column_stack([events, *slow])


@pytest.mark.parametrize(('coefficients', 'order'), [((), 0), ((0.5,), 1), ((0.4, 0.2, 0.1), 6)])
def test_false_positives(coefficients, order):
    """Standard error of a share: .004; the design has 20 columns for 300 volumes."""
    design = smooth_design(300, 20)
    data = noise(np.random.default_rng(2), coefficients, 300, 3000)
    fit = fit_glm(data, design, np.eye(20)[:1], order)
    assert fit.whiteness.df == 20 - order
    rejected = whiteness_summary(fit.whiteness)['PortmanteauRejected']
    assert 0.03 < rejected < 0.07
    # Without correction for the design nearly all would be.
    if not order:
        residual = data - design @ np.linalg.lstsq(design, data, rcond=None)[0]
        raw = [acorr_ljungbox(r, lags=[20])['lb_pvalue'].iloc[0] < 0.05 for r in residual.T[:300]]
        assert np.mean(raw) > 0.3


def test_what_is_left_is_found():
    design = smooth_design(300, 8)
    data = noise(np.random.default_rng(3), [0.3, 0, 0, 0.35], 300, 500)
    short, long = (fit_glm(data, design, np.eye(8)[:1], order).whiteness for order in (1, 4))
    assert (short.logp > 2).mean() > 0.8
    assert (long.logp > 2).mean() < 0.05
    assert np.median(short.after[3]) > 0.2
    assert abs(np.median(long.after[3])) < 0.02
    np.testing.assert_allclose(np.median(short.before, axis=1), np.median(long.before, axis=1))


def test_smoothed_noise_models_keep_all_degrees_of_freedom():
    """Models of neighbours are given from outside, nearly; independent noise is the worst case."""
    design = smooth_design(300, 12)
    data = noise(np.random.default_rng(4), [0.4, 0.2], 300, 1500)
    n = data.shape[1]
    mean = sparse.csr_matrix(np.full((n, n), 1 / n))
    white = fit_glm(data, design, np.eye(12)[:1], 6, smoother=mean).whiteness
    assert white.df == 20
    assert 0.03 < (white.logp > -np.log10(0.05)).mean() < 0.075


@pytest.mark.parametrize(
    ('df', 'order', 'lags'), [(280, 6, 20), (280, 0, 20), (280, 15, 25), (48, 6, 16), (2, 1, 0)]
)
def test_number_of_lags(df, order, lags):
    assert n_lags(df, order) == lags


def test_short_runs_have_no_test():
    rng = np.random.default_rng(0)
    design = np.c_[rng.standard_normal((24, 3)), np.ones(24)]
    white = fit_glm(rng.standard_normal((24, 6)), design, np.eye(4)[:1], 6).whiteness
    assert white.df == 0
    assert np.isnan(white.statistic).all()
    summary = whiteness_summary(white)
    assert summary['PortmanteauRejected'] is None
    assert summary['PortmanteauDegreesOfFreedom'] is None
    assert len(summary['AutocorrelationAfter']['Median']) == 6
    json.dumps(summary, allow_nan=False)


def test_maps_and_summary():
    values = np.random.default_rng(0).standard_normal((100, 7))
    basis = np.full((100, 1), 0.1)
    sums = sums_of(values - values.mean(axis=0), 5)
    sums[:, 2] = np.nan
    found = whiteness(sums, sums, basis, np.zeros((0, 6)), smoothed=False)
    maps = whiteness_maps(found)
    assert list(maps) == ['ljungBox', 'ljungBoxLogP', 'lag1Before', 'lag1After']
    for values in maps.values():
        assert np.flatnonzero(np.isnan(values)).tolist() == [2]
    summary = whiteness_summary(found)
    assert summary['Lags'] == [1, 2, 3, 4, 5]
    kept = np.delete(found.after, 2, axis=1)
    np.testing.assert_allclose(
        summary['AutocorrelationAfter']['Percentile95'], np.percentile(kept, 95, axis=1)
    )
    assert summary['PortmanteauDegreesOfFreedom'] == 5
