import numpy as np
import pytest
from scipy import integrate, special, stats

from ketbids.stats.zscore import parametric_p, z_from_f, z_from_t


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


def test_degrees_of_freedom_by_location():
    t, dof = np.array([[0.5, -3.0], [60.0, 1e9]]), np.array([[2.5, 7.0], [400.0, 30.0]])
    found = z_from_t(t, dof)
    for place in np.ndindex(t.shape):
        assert found[place] == z_from_t(t[place], dof[place])
    found = z_from_f(t**2, 3, dof)
    for place in np.ndindex(t.shape):
        assert found[place] == z_from_f(t[place] ** 2, 3, dof[place])


@pytest.mark.parametrize('t', [0.01, 0.6, 1.0, 2.0, 5.0])
def test_many_degrees_of_freedom(t):
    # The expansion in 1 / dof (Fisher 1926); what is left out is below 1e-15.
    dof = 1e6
    expected = t - (t**3 + t) / (4 * dof) + (13 * t**5 + 8 * t**3 + 3 * t) / (96 * dof**2)
    assert z_from_t(t, dof) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize('dof', [1.5, 8, 34, 300])
def test_f_of_two_degrees_has_a_closed_form(dof):
    """The upper tail of F with 2 and d degrees of freedom is (1 + 2 f / d)^(-d / 2)."""
    f = np.concatenate([np.geomspace(1e-12, 1, 50), np.geomspace(1, 1e9, 50)])
    log_tail = -dof / 2 * np.log1p(2 * f / dof)
    z = z_from_f(f, 2, dof)
    upper = z > 0
    np.testing.assert_allclose(special.log_ndtr(-z[upper]), log_tail[upper], rtol=1e-11)
    np.testing.assert_allclose(special.ndtr(z[~upper]), -np.expm1(log_tail[~upper]), rtol=1e-12)


def test_f_with_one_degree_is_t_squared():
    t, dof = np.array([0.3, 1.0, 4.0, 80.0]), 12
    two_tailed = 2 * special.ndtr(-z_from_t(t, dof))
    np.testing.assert_allclose(special.ndtr(-z_from_f(t**2, 1, dof)), two_tailed, rtol=1e-12)


def test_f_is_increasing_and_finite():
    f = np.concatenate([[0], np.geomspace(1e-199, 1e-8, 100), np.geomspace(1e-7, 1e199, 900)])
    for rank, dof in ((2, 5), (4, 60), (20, 170)):
        z = z_from_f(np.append(f, np.inf), rank, dof)
        assert np.isfinite(z).all()
        assert (np.diff(z[1:-1]) > 0).all()
    assert np.isnan(z_from_f(np.nan, 2, 5))


def test_parametric_p():
    z = np.array([-1.0, 0.0, 3.0])
    np.testing.assert_allclose(parametric_p(z), stats.norm.sf(z), rtol=1e-14)
    np.testing.assert_allclose(parametric_p(z, two_tailed=True), 2 * stats.norm.sf(np.abs(z)))
    assert parametric_p(z_from_t(2.3, 9)) == pytest.approx(stats.t.sf(2.3, 9), rel=1e-12)
    assert parametric_p(z_from_f(2.3, 3, 9)) == pytest.approx(stats.f.sf(2.3, 3, 9), rel=1e-12)
