"""Normality and equality of variances against R, and where there is no result."""

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.ordinary.distribution import levene, shapiro
from ketbids.stats.ordinary.location import anova
from tests.stats.ordinary.made_up import X, Y, Z


def test_shapiro() -> None:
    found = shapiro([*Z, np.nan])

    assert (found.w, found.p) == pytest.approx((0.978894875142864, 0.978870366058341), rel=1e-6)
    assert found.n == 12


def test_shapiro_does_not_depend_on_origin_and_unit() -> None:
    assert shapiro(1e8 + 1e-3 * Z).w == pytest.approx(shapiro(Z).w, rel=1e-5)


@pytest.mark.parametrize(
    ('values', 'reason'),
    [
        ([1.0, 2.0], '2 values; 3 to 5000 are needed'),
        (np.arange(5001.0), '5001 values; 3 to 5000 are needed'),
        ([0.1, 0.1, 0.1], 'all values are the same'),
    ],
)
def test_no_normality_without_a_reason(values, reason: str) -> None:
    assert shapiro(values).not_available == reason
    assert np.isnan(shapiro(values).p)


def test_brown_forsythe() -> None:
    found = levene([X, Y, Z])

    assert (found.statistic, found.p) == pytest.approx(
        (6.81707222951145, 0.00332555229892663), rel=1e-12
    )
    assert found.method == 'brown-forsythe'


def test_levene_is_an_anova_of_deviations_from_the_means() -> None:
    by_hand = anova([np.abs(v - v.mean()) for v in (X, Z)])

    assert levene([X, Z], 'mean').p == pytest.approx(by_hand.p)
    assert levene([X, Z], 'mean').method == 'levene'


def test_what_cannot_be_compared() -> None:
    assert (
        levene([[1.0], [2.0, 3]]).not_available == 'the deviations of each group are all the same'
    )
    assert levene([X]).not_available == 'too few values: groups of 12'
    with pytest.raises(InputError, match="not 'mode'"):
        levene([X, Y], 'mode')
