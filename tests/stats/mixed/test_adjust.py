"""Corrections of pairs for their number."""

import numpy as np
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.mixed.adjust import ADJUSTMENTS, adjust, tukey

P = np.array([0.01, 0.04, 0.03])


def test_bonferroni_holm_and_sidak_as_by_hand():
    np.testing.assert_array_equal(adjust(P, 'none'), P)
    np.testing.assert_allclose(adjust(P, 'bonferroni'), [0.03, 0.12, 0.09])
    np.testing.assert_allclose(adjust(P, 'holm'), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(adjust(P, 'sidak'), 1 - (1 - P) ** 3)


def test_p_never_exceed_one_and_tiny_ones_stay():
    p = np.array([0.7, 1.0, 1e-200])
    for method in ('bonferroni', 'holm', 'sidak'):
        found = adjust(p, method)
        assert found[1] == 1
        assert found[2] == pytest.approx(3e-200)
        assert (found <= 1).all()


def test_pairs_without_a_test_are_not_counted():
    p = np.array([0.01, np.nan, 0.03])
    np.testing.assert_allclose(adjust(p, 'holm'), [0.02, np.nan, 0.03])
    np.testing.assert_allclose(adjust(p, 'bonferroni'), [0.02, np.nan, 0.06])


@pytest.mark.parametrize('n_means', [2, 3, 9, 20])
@pytest.mark.parametrize('df', [2.7, 12.3, 76.5, 900.0])
def test_tukey_is_the_tail_of_the_studentized_range(n_means, df):
    t = np.array([0.0, 0.4, 1.9, -4.2])
    found = tukey(t, np.full(4, df), n_means)
    expected = stats.studentized_range.sf(np.sqrt(2) * np.abs(t), n_means, df)
    # scipy's own quadrature is coarser for few degrees of freedom.
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 if df < 5 else 1e-7)


def test_tukey_of_two_means_is_the_t_test():
    t, df = np.array([0.3, 2.5, -7.0, 9.0]), np.array([4.4, 30.0, 3.0, 1.0])
    p = np.asarray(2 * stats.t.sf(np.abs(t), df))
    np.testing.assert_allclose(tukey(t, df, 2), p, atol=1e-12)
    np.testing.assert_array_equal(adjust(p, 'tukey', t=t, df=df, n_means=2), p)


def test_tukey_in_the_limit_of_many_degrees_of_freedom():
    found = tukey(np.array([3.314493 / np.sqrt(2)]), np.array([np.inf]), 3)
    assert found[0] == pytest.approx(0.05, abs=1e-6)  # tables of the studentized range


def test_unknown_and_incomplete_requests():
    assert np.isnan(tukey(np.array([np.nan, 1.0]), np.array([5.0, np.nan]), 3)).all()
    with pytest.raises(InputError, match='tukey needs t'):
        adjust(P, 'tukey')
    with pytest.raises(InputError, match=f'choose one of {", ".join(ADJUSTMENTS)}'):
        adjust(P, 'scheffe')  # type: ignore[arg-type]
