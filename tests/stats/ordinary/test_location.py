"""t tests and analysis of variance against R, closed forms, and where there is no result."""

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.ordinary.location import anova, paired_t_test, t_test
from tests.stats.ordinary.made_up import X, Y, Z


def test_welch() -> None:
    found = t_test(X, [*Z, np.nan])

    assert (found.t, found.df, found.p) == pytest.approx(
        (4.61389091353884, 13.2267162560169, 0.00046427218455989), rel=1e-12
    )
    assert (found.low, found.high) == pytest.approx((2.69842121003645, 7.43491212329688))
    assert (found.method, found.n_1, found.n_2, found.n_dropped) == ('welch', 12, 12, 1)
    assert found.effect is not None
    assert found.effect.d == pytest.approx(found.t * np.sqrt(2 / 12))


def test_student() -> None:
    found = t_test(X, Z, equal_variances=True)

    assert (found.t, found.df) == pytest.approx((4.61389091353884, 22))
    assert found.p == pytest.approx(0.000134704112728156, rel=1e-12)


def test_paired() -> None:
    found = paired_t_test([*X, 3.0], [*Y, np.nan])

    assert (found.t, found.p) == pytest.approx((0.632032074459411, 0.540279491538636), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((-0.951584643348105, 1.71825131001477))
    assert (found.n_1, found.n_dropped, found.df) == (12, 1, 11)
    assert found.effect is not None
    assert found.effect.d == pytest.approx(found.t / np.sqrt(12))


def test_one_value_against_many_is_possible_with_one_variance_only() -> None:
    assert t_test([5.0], X, equal_variances=True).df == 11
    assert np.isnan(t_test([5.0], X, equal_variances=True).sd_1)
    assert t_test([5.0], X).not_available == 'groups of 1 and 12; each needs 2, both at least 3'


@pytest.mark.parametrize(
    ('found', 'reason'),
    [
        (t_test([1.0, 1], [2.0, 2]), 'all values of each group are the same'),
        (t_test([], X), 'groups of 0 and 12; each needs 2, both at least 3'),
        (paired_t_test([1.0], [2.0]), '1 complete pairs; at least 2 are needed'),
        (paired_t_test([0.1, 0.2, 0.3], [1.1, 1.2, 1.3]), 'all differences are the same'),
        (anova([X, []]), 'too few values: groups of 12, 0'),
        (anova([X]), 'too few values: groups of 12'),
        (anova([[1.0, 1], [2.0, 2]]), 'all values of each group are the same'),
    ],
)
def test_no_result_without_a_reason(found, reason: str) -> None:
    assert found.not_available == reason
    assert np.isnan(found.p)


def test_one_constant_group_is_no_obstacle() -> None:
    found = t_test([1.0, 1, 1], X)

    assert found.df == pytest.approx(11)
    assert found.not_available is None


def test_infinite_values_are_named() -> None:
    with pytest.raises(InputError, match='Second group is infinite in row 2 of 2'):
        t_test(X, [1.0, np.inf])
    with pytest.raises(InputError, match='Group b is infinite in row 1'):
        anova({'a': X, 'b': [-np.inf, 1]})


def test_anova() -> None:
    found = anova([X, Y, Z])

    assert (found.statistic, found.p) == pytest.approx(
        (11.0605769033922, 0.000210730822579272), rel=1e-12
    )
    assert (found.num_df, found.den_df, found.n) == (2, 33, (12, 12, 12))


def test_two_groups_by_anova_are_students_t_squared() -> None:
    f, t = anova([X, Z]), t_test(X, Z, equal_variances=True)

    assert f.statistic == pytest.approx(t.t**2)
    assert f.p == pytest.approx(t.p)
