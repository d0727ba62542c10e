"""Tables of counts and proportions against R, by enumeration, and where there is no result."""

from itertools import product
from math import factorial

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.ordinary.contingency import chi_squared, fisher_exact, proportion


def test_chi_squared_has_no_yates_correction() -> None:
    found = chi_squared([[10, 4], [3, 9]])

    expected = 5.57142857142857, 0.0182558605874593
    assert (found.statistic, found.p, found.df) == pytest.approx((*expected, 1), rel=1e-12)
    assert found.cramers_v == pytest.approx(np.sqrt(found.statistic / 26))
    assert found.smallest_expected == pytest.approx(13 * 12 / 26)


def test_fisher_of_two_by_two() -> None:
    found = fisher_exact([[10, 3], [4, 9]])

    assert found.p == pytest.approx(0.0471799703863237, rel=1e-12)
    assert found.odds_ratio == pytest.approx(90 / 12)
    # R's own root is good to about 2e-4.
    assert found.conditional_odds_ratio == pytest.approx(6.84691416424481, rel=1e-3)
    assert (found.low, found.high) == pytest.approx((1.01895326086601, 62.6953150678284), rel=1e-3)


def test_fisher_with_an_empty_cell() -> None:
    found = fisher_exact([[10, 3], [0, 9]])

    assert found.p == pytest.approx(0.00046238591130232, rel=1e-10)
    assert found.odds_ratio == np.inf


def test_larger_tables_are_enumerated_and_not_drawn() -> None:
    """The library's p of this table is another one each time."""
    table = [[3, 1, 2], [0, 4, 1], [5, 2, 2], [6, 0, 1]]

    found = [fisher_exact(table).p, fisher_exact(np.transpose(table)).p]

    assert found == pytest.approx([0.0507878066903499] * 2, rel=1e-10)  # R


def test_the_enumeration_is_that_of_all_tables() -> None:
    table = np.array([[2, 0, 1], [0, 3, 1]])
    rows, columns = table.sum(axis=1), table.sum(axis=0)

    def weight(t: np.ndarray) -> float:
        return 1 / np.prod([float(factorial(int(v))) for v in t.ravel()])

    every = [
        np.array([first, columns - first])
        for first in product(*(range(c + 1) for c in columns))
        if sum(first) == rows[0]
    ]
    weights = np.array([weight(t) for t in every])

    expected = weights[weights <= weight(table) * (1 + 1e-9)].sum() / weights.sum()
    assert fisher_exact(table).p == pytest.approx(expected, rel=1e-12)


def test_tables_that_are_too_many_are_refused_with_the_reason() -> None:
    found = fisher_exact(np.full((5, 6), 40))

    assert found.not_available == 'more than 200000 tables have these margins: too many'
    assert np.isnan(found.p)


@pytest.mark.parametrize('test', [chi_squared, fisher_exact])
@pytest.mark.parametrize(
    ('table', 'reason'),
    [
        ([[1, 2], [0, 0]], 'row 2 of the table is empty'),
        ([[0, 2], [0, 3]], 'column 1 of the table is empty'),
        ([[1, 2]], 'a table of 1 x 2 counts; at least 2 x 2 are needed'),
    ],
)
def test_no_result_without_a_reason(test, table, reason: str) -> None:
    assert test(table).not_available == reason


@pytest.mark.parametrize(
    ('table', 'message'),
    [
        ([[1.5, 2], [1, 1]], 'whole numbers'),
        ([[-1, 2], [1, 1]], 'not below 0'),
        ([[np.nan, 2], [1, 1]], 'whole numbers'),
        ([1, 2], 'two dimensions'),
        ([['a', 'b'], ['c', 'd']], 'holds numbers'),
    ],
)
def test_what_is_no_table_is_refused(table, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chi_squared(table)


def test_wilsons_interval() -> None:
    found = proportion(14, 37)

    assert found.percent == pytest.approx(100 * 14 / 37)
    assert (found.low, found.high) == pytest.approx((24.0639991757983, 53.8995695607823))


def test_proportions_at_the_ends() -> None:
    assert proportion(0, 10).low == 0
    assert proportion(10, 10).high == 100
    assert np.isnan(proportion(0, 0).percent)
    with pytest.raises(InputError, match='3 of 2 is no proportion'):
        proportion(3, 2)
