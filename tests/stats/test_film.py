"""The design that FILM gets, and statistics from its estimates."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.film import film_fit, film_model, film_whiteness

N = 50


@pytest.fixture
def design():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {'a': rng.normal(size=N), 'constant': 1.0, 'b': rng.normal(3, 1, N), 'c': np.arange(N)}
    )


def weights(*rows):
    return np.array(rows, float)


def test_columns_lose_their_mean_and_the_intercept_goes(design):
    model = film_model(design, {'a': weights([1, 0, 0, 0])[0]}, {})
    assert model.design.shape == (N, 3)
    np.testing.assert_allclose(model.design.mean(axis=0), 0, atol=1e-13)
    values = design[['a', 'b', 'c']].to_numpy()
    np.testing.assert_allclose(np.diff(model.design, axis=0), np.diff(values, axis=0), atol=1e-12)
    np.testing.assert_array_equal(model.contrasts, [[1, 0, 0]])


def test_rows_of_f_contrasts_and_their_sums(design):
    three = weights([1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, -1])
    one = weights([0, 0, 0, 2])
    model = film_model(design, {'a': three[0], 'b': three[1]}, {'F': three, 'G': one})
    assert (model.n_t, model.ranks) == (2, (3, 1))
    expected = [
        *([1, 0, 0], [0, 1, 0]),
        *([1, 0, 0], [0, 1, 0], [0, 1, -1], [1, 1, 0], [1, 1, -1], [0, 2, -1]),
        [0, 0, 2],
    ]
    np.testing.assert_array_equal(model.contrasts, expected)


def test_contrasts_of_the_intercept_are_refused(design):
    with pytest.raises(InputError, match='The contrast F gives a weight to the constant constant'):
        film_model(design, {}, {'F': weights([1, 0, 0, 0], [0, 1, 0, 0])})


def test_a_design_of_constants_is_refused(design):
    with pytest.raises(InputError, match='no column that changes'):
        film_model(design[['constant']], {}, {})


def test_statistics_are_those_of_least_squares(design):
    """What FILM would tell of white noise gives the textbook's t and F."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(N, 7)) + design[['a']].to_numpy() * rng.normal(size=7)
    rows = weights([1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, -1])
    model = film_model(design, {'a': rows[0]}, {'F': rows})
    x, centred = model.design, y - y.mean(axis=0)
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ centred
    df = N - 3
    sigma = ((centred - x @ beta) ** 2).sum(axis=0) / df
    scales = np.einsum('ij,jk,ik->i', model.contrasts, inverse, model.contrasts)
    fit = film_fit(model, model.contrasts @ beta, scales[:, None] * sigma, df)
    t = beta[0] / np.sqrt(sigma * inverse[0, 0])
    np.testing.assert_allclose(fit.t[0], t, rtol=1e-12)
    z = np.sign(t) * stats.norm.isf(stats.t.sf(np.abs(t), df))
    np.testing.assert_allclose(fit.z[0], z, rtol=1e-7)
    three = rows[:, [0, 2, 3]]
    middle = np.linalg.inv(three @ inverse @ three.T)
    f = np.einsum('in,ij,jn->n', three @ beta, middle, three @ beta) / 3 / sigma
    np.testing.assert_allclose(fit.f[0].f, f, rtol=1e-9)
    np.testing.assert_allclose(fit.f[0].z, stats.norm.isf(stats.f.sf(f, 3, df)), rtol=1e-7)
    np.testing.assert_allclose(fit.f[0].effect, three @ beta)
    covariance = (three @ inverse @ three.T)[np.triu_indices(3)]
    np.testing.assert_allclose(fit.f[0].covariance, covariance[:, None] * sigma, rtol=1e-9)
    assert fit.df_nominal == df
    assert fit.ar.shape == (7, 0)


def test_what_film_did_not_fit_is_nan(design):
    model = film_model(design, {'a': weights([1, 0, 0, 0])[0]}, {'F': np.eye(4)[[0, 2]]})
    effect, variance = np.ones((4, 3)), np.full((4, 3), 2.0)
    variance[3] = 4.0
    effect[:, 1] = variance[:, 1] = 0
    variance[1, 2] = np.nan
    fit = film_fit(model, effect, variance, 40)
    for values in (fit.effect[0], fit.t[0], fit.z[0], fit.f[0].f, fit.f[0].effect[1]):
        np.testing.assert_array_equal(np.isnan(values), [False, True, True])


def test_rows_that_cancel_spoil_their_f_contrast_only(design):
    rows = weights([1, 0, 0, 0], [-1, 0, 0, 0])
    model = film_model(design, {'a': rows[0]}, {'F': rows})
    fit = film_fit(model, weights([2], [2], [-2], [0]), weights([1], [1], [1], [0]), 40)
    assert fit.t[0, 0] == 2
    assert np.isnan(fit.f[0].f[0])


def test_what_autocorrelation_is_left(design):
    """Before: AR(1) noise of .5; after, the white noise that it was made of."""
    rng = np.random.default_rng(6)
    design = pd.concat([design] * 6, ignore_index=True).assign(a=rng.normal(size=6 * N))
    white = rng.normal(size=(6 * N, 5000)).astype(np.float32)
    noise = white.copy()
    for row in range(1, len(noise)):
        noise[row] += 0.5 * noise[row - 1]
    noise[:, 7] = white[:, 7] = np.nan
    white[:, 8] = 0
    model = film_model(design, {'a': weights([1, 0, 0, 0])[0]}, {})
    found = film_whiteness(noise, white, model)
    assert np.nanmedian(found.before[0]) == pytest.approx(0.5, abs=0.02)
    assert np.nanmedian(found.before[1]) == pytest.approx(0.25, abs=0.03)
    assert np.nanmedian(found.after[0]) == pytest.approx(0, abs=0.02)
    rejected = (found.logp[9:] > -np.log10(0.05)).mean()
    assert rejected == pytest.approx(0.05, abs=0.02)
    assert np.isnan(found.statistic[[7, 8]]).all()
    assert np.isfinite(found.statistic[9:]).all()
