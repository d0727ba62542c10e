"""Rank tests against R: exact or not by R's rules, whatever the library would choose."""

import numpy as np
import pytest

from ketbids.stats.ordinary.ranks import kruskal_wallis, mann_whitney, wilcoxon
from tests.stats.ordinary.made_up import X, Y, Z


def test_mann_whitney_without_ties_is_exact() -> None:
    """With 12 values the library would choose the normal approximation."""
    found = mann_whitney(X, Y)

    assert (found.statistic, found.p) == pytest.approx((76, 0.842835990231333), rel=1e-12)
    assert found.p_by == 'exact'
    assert found.rank_biserial == pytest.approx(2 * 76 / 144 - 1)


def test_mann_whitney_with_ties_is_normal_with_continuity_correction() -> None:
    found = mann_whitney(X, Z)  # 2.2 stands in both

    assert (found.statistic, found.p) == pytest.approx((130.5, 0.000809985477486877), rel=1e-12)
    assert found.p_by == 'normal'
    assert found.z > 0


def test_mann_whitney_of_50_values_is_normal() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=50), rng.normal(size=5)

    assert mann_whitney(a, b).p_by == 'normal'
    assert mann_whitney(a[:49], b).p_by == 'exact'
    assert mann_whitney(a[:8], b, exact=False).p_by == 'normal'


def test_wilcoxon_counts_positive_ranks() -> None:
    """The library gives the smaller sum, whichever side that is."""
    found = wilcoxon(X, Y + Z)
    other = wilcoxon(Y + Z, X)

    assert (found.statistic, found.p) == pytest.approx((18, 0.10986328125), rel=1e-12)
    assert (other.statistic, other.p) == pytest.approx((78 - 18, 0.10986328125), rel=1e-12)
    assert found.p_by == 'exact'
    assert found.rank_biserial == pytest.approx(-other.rank_biserial)


def test_equal_differences_of_decimals_are_ties() -> None:
    """5.4 - 3.9 and 9.3 - 7.8 are not the same to the last digit; in tenths they are."""
    found = wilcoxon(X, Y)

    # R 4.2 of wilcox.test(round(10 * x), round(10 * y), paired = TRUE)
    assert (found.statistic, found.p) == pytest.approx((46, 0.609569383082747), rel=1e-12)
    assert found.p_by == 'normal'
    assert found.z == pytest.approx(wilcoxon(np.round(10 * X), np.round(10 * Y)).z)


def test_pairs_without_a_difference_are_left_out() -> None:
    found = wilcoxon([1.0, 2, 3, 7], [1.0, 1, 1, 3])

    assert (found.n_1, found.n_2, found.p_by) == (4, 3, 'normal')


def test_kruskal_wallis() -> None:
    found = kruskal_wallis([X, Y, [*Z, np.nan]])

    assert (found.statistic, found.p) == pytest.approx(
        (15.5706976444845, 0.000415782270789945), rel=1e-12
    )
    assert (found.num_df, found.n) == (2, (12, 12, 12))


@pytest.mark.parametrize(
    ('found', 'reason'),
    [
        (mann_whitney([], X), 'groups of 0 and 12; each needs a value'),
        (mann_whitney([1.0, 1], [1.0]), 'all values are the same'),
        (wilcoxon(X, X), 'no pair has a difference'),
        (wilcoxon([np.nan], [1.0]), 'no complete pair'),
        (kruskal_wallis([X, []]), 'too few values: groups of 12, 0'),
        (kruskal_wallis([[1.0], [1.0, 1]]), 'all values are the same'),
    ],
)
def test_no_result_without_a_reason(found, reason: str) -> None:
    assert found.not_available == reason
    assert np.isnan(found.p)
