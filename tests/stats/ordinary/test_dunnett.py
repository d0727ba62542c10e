"""Dunnett's test against the multivariate t distribution of R's mvtnorm, and special cases."""

import numpy as np
import pytest

from ketbids.stats.ordinary.dunnett import dunnett
from ketbids.stats.ordinary.location import t_test
from tests.stats.ordinary.made_up import X, Y, Z


def test_two_groups_and_a_control() -> None:
    first, second = dunnett({'x': X, 'y': Y}, Z)

    assert (first.t, second.t) == pytest.approx((4.22354944969232, 3.90400459001165), rel=1e-12)
    assert (first.p, second.p) == pytest.approx((0.000347307459311, 0.000858842077936), rel=1e-8)
    # The probability beyond this is .0499999999825 by mvtnorm.
    assert (first.high - first.difference) / first.se == pytest.approx(2.310484758649141, abs=1e-8)


def test_groups_of_different_sizes() -> None:
    first, second = dunnett({'x': X[:5], 'y': [*Y[:9], np.nan]}, Z)

    assert (first.n, second.n, first.n_control, first.df) == (5, 9, 12, 23)
    assert (first.p, second.p) == pytest.approx((0.00904304323909544, 0.00240092089373), rel=1e-7)


def test_the_same_input_has_the_same_p() -> None:
    """The library's integral is random."""
    assert dunnett({'x': X, 'y': Y}, Z) == dunnett({'x': X, 'y': Y}, Z)


def test_one_group_is_students_t() -> None:
    (found,) = dunnett({'x': X}, Z)
    student = t_test(X, Z, equal_variances=True)

    assert found.p == pytest.approx(student.p, rel=1e-8)
    assert (found.low, found.high) == pytest.approx((student.low, student.high))


def test_p_is_between_the_uncorrected_one_and_bonferronis() -> None:
    found = dunnett({str(i): X + i for i in range(4)} | {'far': X + 100}, X)

    for row in found:
        assert row.p_uncorrected <= row.p <= min(1, 5 * row.p_uncorrected)
    assert found[-1].p > 0


def test_no_result_without_a_reason() -> None:
    assert dunnett({'x': X, 'y': []}, Z)[0].not_available == 'too few values: groups of 12, 12, 0'
    assert dunnett({'x': [1.0, 1]}, [2.0, 2])[0].not_available == (
        'all values of each group are the same'
    )
