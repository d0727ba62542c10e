import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.stats.multiplicity import corrected_p, count_reaching, lowest_corrected_p


def test_counting_reaches_ties_but_for_rounding():
    maxima = np.array([3.0, 1.0, 3.0 * (1 - 1e-13), 2.0])
    counts = count_reaching(maxima, np.array([3.0, 2.0, 2.0 + 1e-6, 0.0, 4.0]))
    assert counts.tolist() == [2, 3, 2, 4, 0]


def test_smallest_p_by_hand():
    # Ranks from the top: first partition 1 2 3 4, second 3 1 2 4; smallest 1 1 2 4.
    maxima = np.array([[40.0, 2.0], [30.0, 4.0], [20.0, 3.0], [10.0, 1.0]])
    observed = np.array([40.0, 25.0, 2.0, 0.5])
    found = corrected_p(maxima, observed, np.array([0, 0, 1, 1]))
    # p_k: 1/4, 2/4, 3/4, 4/4 -> how many shuffles have as small a smallest p.
    np.testing.assert_array_equal(found, [0.5, 0.75, 0.75, 1.0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=2, max_size=40))
def test_one_partition_is_the_distribution_of_the_maximum(maxima):
    maxima = np.array(maxima, dtype=float)
    observed = np.linspace(0, maxima[0], 7)
    found = corrected_p(maxima[:, None], observed, np.zeros(7, int))
    expected = [(maxima >= v * (1 - 1e-9)).mean() for v in observed]
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 60), k=st.integers(1, 3))
def test_the_rank_of_the_data_among_shuffles_is_uniform_or_rarer(seed, n, k):
    # Whichever shuffle is the data: p <= a happens for at most a share a of them.
    maxima = np.round(np.random.default_rng(seed).gamma(2, 3, (n, k)))
    found = [
        corrected_p(np.roll(maxima, -i, axis=0), maxima[i], np.arange(k)).min() for i in range(n)
    ]
    for p in found:
        assert np.mean(np.array(found) <= p) <= p + 1e-12
        assert p >= 1 / n


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-3, 1e3))
def test_the_units_of_a_partition_have_no_effect(seed, factor):
    rng = np.random.default_rng(seed)
    maxima = rng.gamma(2, 3, (50, 2))
    column = np.repeat([0, 1], 20)
    observed = maxima[0, column] * rng.random(40)
    scale = np.array([1.0, factor])
    found = corrected_p(maxima * scale, observed * scale[column], column)
    np.testing.assert_array_equal(found, corrected_p(maxima, observed, column))
    order = np.argsort(observed[column == 1])
    assert (np.diff(found[column == 1][order]) <= 0).all()


def test_lowest_p():
    assert lowest_corrected_p(1000, 1, 2) == pytest.approx(0.002)
    assert lowest_corrected_p(64, 2, 2) == pytest.approx(1 / 16)
    assert lowest_corrected_p(2, 2, 2) == 1
