import numpy as np
import pytest
from scipy import stats

from ketbids.stats.assumptions import residual_skewness, variance_ratio


def centred(values):
    return values - values.mean(axis=0)


def test_skewness_of_normal_errors_is_not_worth_a_word():
    for n in (8, 12, 32, 80):
        residuals = centred(np.random.default_rng(n).standard_normal((n, 4000)))
        summary, warnings = residual_skewness(residuals)
        assert warnings == []
        assert summary['skewness_share'] < 0.03
        expected = np.median(stats.skew(residuals, bias=False))
        assert summary['skewness_median'] == pytest.approx(expected)


@pytest.mark.parametrize('sign', [1, -1])
@pytest.mark.parametrize('n', [12, 32])
def test_skewness_of_log_normal_errors_is_said(n, sign):
    errors = sign * np.exp(np.random.default_rng(0).standard_normal((n, 2000)))
    summary, warnings = residual_skewness(centred(errors))
    assert len(warnings) == 1
    assert 'not symmetric' in warnings[0]
    assert sign * summary['skewness_median'] > 1


def test_skewness_of_too_few_rows_is_not_judged():
    assert residual_skewness(np.ones((3, 5))) == ({}, [])


def two_groups(n_small, n_large, ratio, seed=0):
    labels = np.repeat([0, 1], [n_small, n_large])
    errors = np.random.default_rng(seed).standard_normal((len(labels), 3000))
    errors[labels == 0] *= np.sqrt(ratio)
    for label in (0, 1):
        errors[labels == label] = centred(errors[labels == label])
    return errors, labels, 1 / np.bincount(labels)[labels]


def test_equal_variances_are_not_worth_a_word():
    summary, warnings = variance_ratio(*two_groups(8, 20, 1))
    assert warnings == []
    assert summary['variance_ratio_median'] == pytest.approx(1, abs=0.1)
    assert summary['variance_ratio_share'] == pytest.approx(0.01, abs=0.006)


@pytest.mark.parametrize(('ratio', 'wrong'), [(4, 'too small'), (1 / 4, 'too large')])
def test_unequal_variances_are_said_with_their_consequence(ratio, wrong):
    summary, warnings = variance_ratio(*two_groups(8, 20, ratio))
    assert summary['variance_ratio_median'] == pytest.approx(ratio, rel=0.1)
    assert len(warnings) == 1
    assert 'group of 8' in warnings[0]
    assert wrong in warnings[0]


def test_other_than_two_groups_are_not_judged():
    errors, _, leverage = two_groups(8, 8, 4)
    assert variance_ratio(errors, np.arange(16), leverage) == ({}, [])
