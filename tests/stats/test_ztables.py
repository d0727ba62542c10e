import numpy as np
import pytest

from ketbids.stats.zscore import LARGEST_RATIO, z_from_f, z_from_t
from ketbids.stats.ztables import FLOOR, f_table, locate, look_up, t_table


def value(table, share, last, offset=0):
    """Interpolated values at shares."""
    piece, place = np.empty(len(share), np.uint64), np.empty(len(share))
    locate(share.view(np.uint64), np.uint64(last), piece, place.view(np.uint64))
    out = np.empty(len(share))
    look_up(table, piece + np.uint64(offset), place, out)
    return out


def z_of_t(table, t, dof):
    ratio = t**2 / dof
    share = 1 / (1 + ratio)
    return np.sign(t) * np.sqrt(ratio * share) * value(table, share, len(table) - 1)


@pytest.mark.parametrize('dof', [1, 2, 3, 5, 34, 76, 200, 500])
def test_t_is_right_to_twelve_digits(dof):
    t = np.concatenate([np.geomspace(1e-8, 1e6, 4000), np.linspace(0, 8, 4001)[1:]])
    found = z_of_t(t_table(dof), t, dof)
    np.testing.assert_allclose(found, z_from_t(t, dof), rtol=2e-12)
    np.testing.assert_array_equal(z_of_t(t_table(dof), -t, dof), -found)


@pytest.mark.parametrize('dof', [1, 20, 300])
def test_t_at_the_ends_of_pieces(dof):
    """A piece ends where the next one begins, without a step."""
    table = t_table(dof)
    ends = np.concatenate([2.0**-k * (1 + np.arange(256) / 256) for k in range(1, 46)])
    below, above = np.nextafter(ends, 0), np.nextafter(ends, 1)
    last = len(table) - 1
    low, at, high = (value(table, share, last) for share in (below, ends, above))
    np.testing.assert_allclose(low, at, rtol=1e-14)
    np.testing.assert_allclose(high, at, rtol=1e-14)


@pytest.mark.parametrize('dof', [1, 20, 300])
def test_more_t_is_more_z(dof):
    t = np.concatenate([np.geomspace(1e-8, 1e-3, 2000), np.arange(0.001, 20, 2e-4)[1:]])
    assert (np.diff(z_of_t(t_table(dof), t, dof)) > 0).all()


def test_shares_beyond_the_table():
    table = t_table(10)
    last = len(table) - 1
    assert FLOOR < 1 / LARGEST_RATIO / 1.01
    assert value(table, np.array([1.0]), last)[0] == pytest.approx(
        z_from_t(1e-6 * np.sqrt(10), 10) / 1e-6, rel=1e-11
    )
    # No reading outside of the table.
    odd = np.array([np.nan, -np.nan, np.inf, -1.0, 0.0, 1e-300, 2.0])
    assert len(value(table, odd, last)) == 7


@pytest.mark.parametrize('rank', [2, 3, 9])
@pytest.mark.parametrize('dof', [2, 7, 60, 400])
def test_f_is_right(rank, dof):
    f = np.concatenate([np.geomspace(1e-10, 1e10, 4000), np.linspace(0.01, 6, 3000)])
    odds = rank * f / dof
    x, y = odds / (1 + odds), 1 / (1 + odds)
    inside = np.minimum(x, y) > FLOOR
    f, x, y = f[inside], x[inside], y[inside]
    table = f_table(rank, dof)
    half = len(table) // 2
    found = np.where(x < y, value(table, x, half - 1), value(table, y, half - 1, half))
    np.testing.assert_allclose(found, z_from_f(f, rank, dof), rtol=1e-11, atol=2e-11)
    order = np.argsort(f)
    assert (np.diff(found[order]) > -1e-11).all()
