import numpy as np
import pytest
from scipy import integrate, special, stats

from ketbids.stats.zscore import LARGEST_RATIO, STEP, conversion_table, z_from_t


@pytest.mark.parametrize('t', [0.001, 0.5, 2.0, 7.0, 45.0, 1e4, 1e8])
def test_the_tail_probability_is_kept_where_it_has_a_closed_form(t):
    for dof, tail in (
        (1, np.arctan(1 / t) / np.pi),
        (2, 1 / ((2 + t**2) * (1 + t / np.sqrt(2 + t**2)))),
    ):
        assert special.ndtr(-z_from_t(t, dof)) == pytest.approx(tail, rel=1e-13)


@pytest.mark.parametrize('dof', [4, 29, 74, 400])
@pytest.mark.parametrize('t', [40.0, 500.0, 1e5, 1e12])
def test_the_tail_probability_is_kept_where_it_underflows(dof, t):
    # log of the integral of the density from t on, scaled by its value at t; s = t exp(y).
    def relative(y):
        return np.exp(y + stats.t.logpdf(t * np.exp(y), dof) - stats.t.logpdf(t, dof))

    area, _ = integrate.quad(relative, 0, 60 / dof + 1, epsabs=0, epsrel=1e-12, limit=200)
    expected = stats.t.logpdf(t, dof) + np.log(t) + np.log(area)
    z = z_from_t(t, dof)
    assert np.isfinite(z)
    assert special.log_ndtr(-z) == pytest.approx(expected, rel=1e-11)


def test_z_is_odd_increasing_and_smaller_than_t():
    t = np.concatenate([np.linspace(0.01, 9, 400), np.geomspace(10, 1e20, 300)])
    for dof in (3, 34, 150):
        z = z_from_t(t, dof)
        np.testing.assert_array_equal(z_from_t(-t, dof), -z)
        assert (np.diff(z) > 0).all()
        assert (z < t).all()


def test_zero_infinite_and_missing():
    found = z_from_t([0.0, np.inf, -np.inf, np.nan], 20)
    assert found[0] == 0
    assert 0 < found[1] < np.inf
    assert found[2] == -found[1]
    assert np.isnan(found[3])


@pytest.mark.parametrize('dof', [1, 2, 5, 34, 200])
def test_the_table_gives_the_same(dof):
    table = conversion_table(dof)
    t = np.sqrt(dof) * np.concatenate([np.linspace(0, 2, 500), np.geomspace(1e-6, 9.9e6, 500)])
    u = np.sqrt(dof * np.log1p(t**2 / dof))
    piece = (u / STEP).astype(int)
    assert np.sqrt(dof * np.log1p(LARGEST_RATIO)) / STEP < len(table)
    d = (u - piece * STEP)[:, None]
    found = (table[piece] * d ** np.arange(4)).sum(axis=1)
    np.testing.assert_allclose(found, z_from_t(t, dof), rtol=1e-10, atol=2e-12)


@pytest.mark.parametrize('t', [0.01, 0.6, 1.0, 2.0, 5.0])
def test_many_degrees_of_freedom(t):
    # The expansion in 1 / dof (Fisher 1926); what is left out is below 1e-15.
    dof = 1e6
    expected = t - (t**3 + t) / (4 * dof) + (13 * t**5 + 8 * t**3 + 3 * t) / (96 * dof**2)
    assert z_from_t(t, dof) == pytest.approx(expected, rel=1e-13)
