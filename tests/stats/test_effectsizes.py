"""Sizes of effects: values of R (noncentral distributions), closed forms, extremes."""

import numpy as np
import pytest
from scipy import integrate, special

from ketbids.stats.effectsizes import cohens_d, dz, from_t, hedges_j, partial_eta2

# R 4.2: roots of pf(4.5, 2, 40, nc) = .95, .05 and of pt(2.5, 20, nc) = .975, .025.
F_LIMITS = 0.865635465132889, 21.0135611368352
T_LIMITS = 0.367313842974851, 4.57871354999638


def test_partial_eta2_and_its_interval_are_those_of_the_noncentral_f() -> None:
    eta2, low, high = partial_eta2(4.5, 2, 40)

    assert eta2 == pytest.approx(9 / 49, rel=1e-14)
    assert low == pytest.approx(F_LIMITS[0] / (F_LIMITS[0] + 40), rel=1e-8)
    assert high == pytest.approx(F_LIMITS[1] / (F_LIMITS[1] + 40), rel=1e-8)


def test_the_lower_limit_is_above_0_exactly_if_f_is_significant() -> None:
    critical = special.fdtri(2, 40, 0.95)

    assert partial_eta2(critical * 0.999, 2, 40).low == 0
    assert partial_eta2(critical * 1.001, 2, 40).low > 0


def test_an_f_of_0_has_no_size() -> None:
    assert [float(v) for v in partial_eta2(0, 2, 40)] == [0, 0, 0]


@pytest.mark.parametrize('f', [1e3, 67180.855, 1e7, 1e9])
def test_huge_f_keep_their_interval(f: float) -> None:
    """Where scipy's inverse stops. log F is then normal, but for the noise of its numerator."""
    eta2, low, high = partial_eta2(f, 2, 55)

    # With F that large, nc is q F times a chi-squared over its degrees of freedom.
    expected = [2 * f * c / 55 for c in special.chdtri(55, [0.95, 0.05])]
    assert low < eta2 < high
    assert low / (1 - low) * 55 == pytest.approx(expected[0], rel=30 / np.sqrt(f))
    assert high / (1 - high) * 55 == pytest.approx(expected[1], rel=30 / np.sqrt(f))


def test_partial_eta2_takes_arrays_and_keeps_what_is_missing() -> None:
    found = partial_eta2([4.5, np.nan, 3.0], [2, 2, 1], [40, 40, 0])

    assert found.eta2[0] == pytest.approx(9 / 49)
    assert np.isnan(found.eta2[1:]).all()
    assert np.isnan(found.low[1:]).all()


def test_d_from_t_has_the_limits_of_the_noncentral_t() -> None:
    found = from_t(2.5, 20, 0.4)

    assert found.d == pytest.approx(1.0)
    assert found.d_low == pytest.approx(0.4 * T_LIMITS[0], rel=1e-8)
    assert found.d_high == pytest.approx(0.4 * T_LIMITS[1], rel=1e-8)


def test_a_negative_t_is_the_mirror_image() -> None:
    plus, minus = from_t(2.5, 20, 0.4), from_t(-2.5, 20, 0.4)

    assert (minus.d, minus.d_low, minus.d_high) == (-plus.d, -plus.d_high, -plus.d_low)


@pytest.mark.parametrize(('t', 'df'), [(30.0, 1.0), (200.0, 118.0), (1000.0, 35.0)])
def test_limits_hold_where_library_functions_lose_digits(t: float, df: float) -> None:
    low, high = (float(v) for v in from_t(t, df, 1.0)[1:3])

    def below(noncentrality: float) -> float:
        """P(T <= t) by adaptive quadrature over the chi-squared."""
        log_constant = df / 2 * np.log(df / 2) - special.gammaln(df / 2) + np.log(2)

        def integrand(log_s: float) -> float:
            density = np.exp(log_constant + df * log_s - df / 2 * np.exp(2 * log_s))
            return float(special.ndtr(t * np.exp(log_s) - noncentrality) * density)

        edge = np.log(noncentrality / t)
        near = [edge - 8 / noncentrality, edge, edge + 8 / noncentrality]
        ends = (-40, 4) if df < 10 else (-12 / np.sqrt(2 * df), 12 / np.sqrt(2 * df))
        return float(integrate.quad(integrand, *ends, points=near, limit=500)[0])

    assert below(low) == pytest.approx(0.975, abs=1e-7)
    assert below(high) == pytest.approx(0.025, abs=1e-7)


def test_the_interval_is_continuous_where_the_noise_of_the_mean_is_dropped() -> None:
    below, above = from_t(2000 * np.sqrt(20) * np.array([0.9999, 1.0001]), 10, 1.0).d_high

    assert above / below == pytest.approx(1.0001 / 0.9999, rel=1e-5)


def test_hedges_factor() -> None:
    assert hedges_j(10) == pytest.approx(0.9227456, rel=1e-6)  # 1 - 3 / (4 df - 1), nearly
    assert hedges_j(1e6) == pytest.approx(1, abs=1e-5)
    assert np.isnan(hedges_j(1))


def test_d_of_two_groups() -> None:
    a, b = [1.0, 2, 3, np.nan], [2.0, 4, 6, 8]

    found = cohens_d(a, b)

    pooled = np.sqrt((2 * 1 + 3 * 20 / 3) / 5)
    assert found.d == pytest.approx(-3 / pooled)
    assert found.g == pytest.approx(float(hedges_j(5)) * -3 / pooled)
    assert found.d_low < found.d < found.d_high


def test_d_of_differences() -> None:
    differences = np.array([1.0, 2, 3, 6])

    assert dz(differences).d == pytest.approx(3 / differences.std(ddof=1))


@pytest.mark.parametrize(
    'found', [cohens_d([1], [2]), cohens_d([1.0, 1], [2.0, 2]), dz([1.0]), dz([0.3, 0.3, 0.3])]
)
def test_without_variance_there_is_no_size(found) -> None:
    assert np.isnan(found.d)
    assert np.isnan(found.g_high)
