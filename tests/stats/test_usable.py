"""Which locations can be tested: PALM's rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ketbids.stats.usable import UsableScan, usable


def test_each_reason_is_counted_once():
    data = np.array(
        [
            [1.0, np.nan, 5.0, 0.0, 1.0, np.inf, 0.0],
            [2.0, 1.00000, 5.0, 0.0, 1.0, np.inf, 0.0],
            [3.0, 1.00000, 5.0, 0.0, 2.0, np.inf, 1.0],
        ]
    )
    found = usable(data)
    np.testing.assert_array_equal(found.mask, [True, False, False, False, True, False, True])
    assert found[1:] == (2, 1, 1)
    assert found.sentence() == (
        '4 of 7 locations are left out: 2 with NaN or Inf, 1 constant, 1 zero in all observations.'
    )


def test_differences_whose_squares_vanish_are_none():
    """In double precision, as PALM sums them."""
    data = np.array([[0.0, 0.0], [1e-170, 1e-150]])
    np.testing.assert_array_equal(usable(data).mask, [False, True])


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(2, 5), st.integers(1, 6)),
        elements=st.sampled_from([0.0, 1.0, -2.5, np.nan, np.inf]),
    )
)
def test_the_rule_written_plainly(data):
    found = usable(data)
    for column, kept in zip(data.T.astype(float), found.mask, strict=True):
        assert kept == (np.isfinite(column).all() and len(set(column.tolist())) > 1)
    assert sum(found[1:]) == (~found.mask).sum()


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_observation_by_observation_is_the_same(dtype):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 2, (3, 200)).astype(dtype)
    scan = UsableScan(200)
    for row in data:
        scan.add(row)
    np.testing.assert_array_equal(scan.result().mask, usable(data).mask)
    assert scan.result()[1:] == usable(data)[1:]
