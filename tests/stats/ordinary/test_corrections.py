"""Corrections against R's p.adjust."""

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.ordinary.corrections import adjust

P = [0.01, 0.04, np.nan, 0.03, 0.5]


@pytest.mark.parametrize(
    ('method', 'expected'),
    [
        ('none', [0.01, 0.04, 0.03, 0.5]),
        ('bonferroni', [0.04, 0.16, 0.12, 1]),
        ('holm', [0.04, 0.09, 0.09, 0.5]),
        ('sidak', [1 - 0.99**4, 1 - 0.96**4, 1 - 0.97**4, 1 - 0.5**4]),
        ('bh', [0.04, 0.16 / 3, 0.16 / 3, 0.5]),
        ('by', [1 / 12, 1 / 9, 1 / 9, 1]),
    ],
)
def test_what_is_missing_stays_and_does_not_count(method, expected: list[float]) -> None:
    """The library refuses NaN."""
    found = adjust(P, method)

    assert np.isnan(found[2])
    assert found[[0, 1, 3, 4]] == pytest.approx(expected, rel=1e-12)


def test_tiny_p_do_not_become_0() -> None:
    assert adjust([1e-300, 0.5], 'sidak')[0] == pytest.approx(2e-300)


def test_more_tests_than_are_given() -> None:
    assert adjust([0.01], 'bonferroni', n_tests=6) == pytest.approx([0.06])


@pytest.mark.parametrize('method', ['none', 'bonferroni', 'holm', 'sidak', 'bh', 'by'])
def test_nothing_in_nothing_out(method) -> None:
    assert len(adjust([], method)) == 0
    assert np.isnan(adjust([np.nan], method)).all()


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(InputError, match=r"one of none, bonferroni, .*, not 'tukey'"):
        adjust([0.1], 'tukey')
    with pytest.raises(InputError, match='not between 0 and 1'):
        adjust([1.2], 'holm')


@pytest.mark.parametrize('method', ['none', 'bonferroni', 'holm', 'sidak', 'bh', 'by'])
def test_fewer_tests_than_p_are_refused(method) -> None:
    with pytest.raises(InputError, match='1 tests are fewer than the 2 p-values'):
        adjust([0.01, np.nan, 0.02], method, 1)
