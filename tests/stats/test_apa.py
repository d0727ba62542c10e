"""Results of tests as sentences have them."""

import math

import pytest

from ketbids.stats.apa import (
    chi2_text,
    decimals,
    df_text,
    f_text,
    interval_text,
    p_text,
    r_text,
    share_text,
    t_text,
)


def test_the_f_test_of_the_style_guide() -> None:
    text = f_text(77.4803, 2, 65.7049, 3.2e-18, 0.70213, 0.5987, 0.7651)
    assert text == 'F(2, 65.70) = 77.48, p < .001, partial eta2 = .70, 90% CI [.60, .77]'


def test_an_f_test_without_size_or_interval() -> None:
    assert f_text(0.004, 1, 35, 0.9501) == 'F(1, 35) = 0.00, p = .950'
    text = f_text(1.5, 2, 46.0000000454, 0.2339, 0.0612, math.nan, math.nan)
    assert text == 'F(2, 46) = 1.50, p = .234, partial eta2 = .06'


@pytest.mark.parametrize(
    ('p', 'text'),
    [
        (0.01, 'p = .010'),
        (0.0004, 'p < .001'),
        (0.0, 'p < .001'),
        (0.001, 'p = .001'),
        (0.0495, 'p = .050'),
        (0.9994, 'p = .999'),
        (0.9996, 'p > .999'),
        (1.0, 'p > .999'),
        (math.nan, 'p n/a'),
    ],
)
def test_p(p: float, text: str) -> None:
    assert p_text(p) == text


def test_p_can_have_a_name() -> None:
    assert p_text(0.02, 'p_holm') == 'p_holm = .020'


@pytest.mark.parametrize(
    ('df', 'text'), [(65.7, '65.70'), (46.0, '46'), (46.000004, '46'), (2.5, '2.50')]
)
def test_degrees_of_freedom(df: float, text: str) -> None:
    assert df_text(df) == text
    assert df_text(math.nan) == 'n/a'


def test_numbers() -> None:
    assert decimals(-0.001) == '0.00'
    assert decimals(-1.005e3, 1) == '-1005.0'
    assert decimals(math.inf) == 'n/a'
    assert share_text(-0.424) == '-.42'
    assert share_text(1.0) == '1.00'
    assert share_text(-0.0001) == '.00'
    assert interval_text(-0.5, 0.25, 95) == '95% CI [-0.50, 0.25]'


def test_t_with_a_size() -> None:
    text = t_text(-2.104, 33.1, 0.0431, -0.688, -1.36, -0.02, effect='g')
    assert text == 't(33.10) = -2.10, p = .043, g = -0.69, 95% CI [-1.36, -0.02]'
    assert t_text(2, 35, 0.0533) == 't(35) = 2.00, p = .053'


def test_correlations() -> None:
    assert r_text(0.42, 35, 0.0096) == 'r(35) = .42, p = .010'
    text = r_text(-0.42, 35, 0.0096, -0.655, -0.111, symbol='r_s')
    assert text == 'r_s(35) = -.42, p = .010, 95% CI [-.66, -.11]'
    assert r_text(0.3, None, 0.02, symbol='tau') == 'tau = .30, p = .020'


def test_chi_square() -> None:
    assert chi2_text(4.2, 1, 37, 0.0404) == 'chi2(1, N = 37) = 4.20, p = .040'
