"""Correlations against R's cor.test, by hand where R has none, and where there is none."""

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.ordinary.correlations import correlate
from tests.stats.ordinary.made_up import X, Y, Z


def test_pearson() -> None:
    found = correlate(X, Z)

    assert found.estimate == pytest.approx(0.145853198048507, rel=1e-12)
    assert found.p == pytest.approx(0.651052363350423, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((-0.467151517120179, 0.664160964982753))
    assert (found.n, found.n_dropped, found.df, found.p_by) == (12, 0, 10, 't')


@pytest.mark.parametrize(
    ('x', 'y', 'rho', 'p'),
    [
        (X, Y, 0.79020979020979, 0.00361681438239293),  # Edgeworth's series
        (X, -Y, -0.79020979020979, 0.00361681438239293),
        (X, Z, 0.0769230769230769, 0.817283290706317),
        (X[:9], Z[:9], 0.133333333333333, 0.743540564373898),  # counted
        (X[:8], Y[:8], 0.857142857142857, 0.0107142857142857),
    ],
)
def test_spearman_without_ties_has_an_exact_p(x, y, rho: float, p: float) -> None:
    """The library's p is an approximation (0.4 % to several per cent off)."""
    found = correlate(x, y, 'spearman')

    assert found.estimate == pytest.approx(rho, rel=1e-12)
    assert found.p == pytest.approx(p, rel=1e-12)
    assert found.p_by == 'exact'


def test_spearman_by_t_if_asked_for_and_with_ties() -> None:
    asked = correlate(X, Y, 'spearman', exact=False)
    ties = correlate(np.round(X / 3), Y, 'spearman')

    rho = 0.79020979020979
    assert asked.statistic == pytest.approx(rho * np.sqrt(10 / (1 - rho**2)))
    assert asked.p != pytest.approx(0.0036168, rel=1e-3)
    assert (asked.p_by, ties.p_by) == ('t', 't')


def test_a_perfect_order_is_as_probable_as_one_permutation_and_its_mirror() -> None:
    assert correlate([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], 'spearman').p == pytest.approx(2 / 120)
    assert correlate(np.arange(12), -np.arange(12), 'spearman').p >= 2 / 479001600


def test_kendall() -> None:
    plain = correlate(X, Y, 'kendall')
    ties = correlate(np.round(X / 3), Y, 'kendall')

    assert (plain.estimate, plain.p) == pytest.approx((0.636363636363636, 0.00318164699241086))
    assert plain.p_by == 'exact'
    expected = 0.780089703113418, 3.33733653173461, 0.000845854622660452
    assert (ties.estimate, ties.statistic, ties.p) == pytest.approx(expected, rel=1e-12)
    assert ties.p_by == 'normal'


def test_kendall_is_exact_by_the_number_of_pairs_and_not_by_the_librarys_limits() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 45))

    assert correlate(x, y, 'kendall').p_by == 'exact'
    assert correlate(x, y, 'kendall', exact=False).p_by == 'normal'


def test_partial_correlations() -> None:
    pearson = correlate(X, Y, covariates=Z)
    kendall = correlate(X, Y, 'kendall', covariates=Z)

    assert (pearson.estimate, pearson.statistic, pearson.p) == pytest.approx(
        (0.843095420673152, 4.7033388200938, 0.00111491624314465), rel=1e-12
    )
    assert (pearson.low, pearson.high) == pytest.approx((0.492101832523769, 0.958305585646452))
    assert (pearson.df, pearson.n_covariates) == (9, 1)
    assert (kendall.estimate, kendall.statistic, kendall.p) == pytest.approx(
        (0.660686365499671, 2.82889000879874, 0.0046709749285057), rel=1e-12
    )


def test_partial_spearman_is_partial_pearson_of_ranks() -> None:
    ranks = [np.argsort(np.argsort(v)) + 1.0 for v in (X, Y, Z)]

    found = correlate(X, Y, 'spearman', covariates=Z)

    assert found.estimate == pytest.approx(
        correlate(ranks[0], ranks[1], covariates=ranks[2]).estimate
    )
    assert found.p_by == 't'


def test_a_repeated_or_constant_covariate_counts_once_or_not_at_all() -> None:
    alone = correlate(X, Y, covariates=Z)

    found = correlate(X, Y, covariates=np.column_stack([Z, 2 * Z + 1, np.ones(12)]))

    assert found.n_covariates == 1
    assert found.p == pytest.approx(alone.p)


def test_pairs_with_a_missing_value_are_left_out_and_counted() -> None:
    x = X.copy()
    x[[2, 5]] = np.nan
    covariate = Z.copy()
    covariate[7] = np.nan

    found = correlate(x, Y, covariates=covariate)

    assert (found.n, found.n_dropped) == (9, 3)


def test_large_offsets_lose_nothing() -> None:
    assert correlate(X + 1e9, Y * 1e-9).estimate == pytest.approx(
        correlate(X, Y).estimate, rel=1e-6
    )


@pytest.mark.parametrize(
    ('x', 'y', 'covariates', 'reason'),
    [
        (np.ones(12), Y, None, 'x has one value in all 12 complete pairs'),
        (X, np.full(12, 0.1), None, 'y has one value in all 12 complete pairs'),
        (X[:2], Y[:2], None, '2 complete pairs; a correlation needs at least 3'),
        (
            X[:3],
            Y[:3],
            Z[:3],
            '3 complete pairs; a correlation with 1 covariates needs at least 4',
        ),
        (X, Y, 2 * X - 1, 'the covariates explain all of x'),
    ],
)
def test_no_result_without_a_reason(x, y, covariates, reason: str) -> None:
    found = correlate(x, y, covariates=covariates)

    assert found.not_available == reason
    assert np.isnan(found.p)


def test_reasons_name_the_variables() -> None:
    found = correlate(X, np.ones(12), names=('L_insula', 'hdrs_change'))

    assert found.not_available == 'hdrs_change has one value in all 12 complete pairs'
    found = correlate(X, Y, covariates=2 * X - 1, names=('L_insula', 'hdrs_change'))
    assert found.not_available == 'the covariates explain all of L_insula'


def test_kendalls_partial_correlation_needs_orders_that_are_not_the_same() -> None:
    found = correlate(X, Y, 'kendall', covariates=np.exp(X))

    assert found.not_available == 'the covariates explain the order of x or y'


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(InputError, match=r'x is infinite in row 3 of 12: give a number, or n/a'):
        correlate([*X[:2], np.inf, *X[3:]], Y)
    with pytest.raises(InputError, match='of the same length, not 11, 12'):
        correlate(X, Y[:11])
    with pytest.raises(InputError, match="not 'phi'"):
        correlate(X, Y, 'phi')


@pytest.mark.parametrize('method', ['pearson', 'spearman', 'kendall'])
def test_the_level_is_kept_under_the_null(method: str) -> None:
    rng = np.random.default_rng(5)
    p = [correlate(*rng.normal(size=(2, 12)), method).p for _ in range(400)]

    assert np.mean(np.array(p) < 0.05) < 0.085


def test_texts_are_refused() -> None:
    with pytest.raises(InputError, match='x holds something that is no number'):
        correlate(['a', 'b', 'c'], [1, 2, 3])
    with pytest.raises(InputError, match='Covariate 1 holds something that is no number'):
        correlate([1, 2, 3, 5], [1, 2, 3, 4], covariates=['a', 'b', 'c', 'd'])
