import numpy as np
import pytest

from ketbids.stats.zscore import z_from_f, z_from_t
from ketbids.stats.zsurfaces import g_surface, surface_value, v_surface


def values(surface, side, share, q):
    place = np.empty(2)
    return np.array(
        [
            surface_value(surface, k, a, b, place)
            for k, a, b in zip(side, share.view(np.uint64), q.view(np.uint64), strict=True)
        ]
    )


@pytest.mark.parametrize(('lowest', 'highest'), [(0.004, 0.03), (0.11, 0.4), (0.9, 2.2)])
def test_v_at_any_degrees_of_freedom(lowest, highest):
    rng = np.random.default_rng(0)
    q = np.concatenate([rng.uniform(lowest, highest, 4000), np.full(1000, lowest)])
    v = np.concatenate([rng.uniform(0, 8, 3000), np.geomspace(1e-6, 1e6, 2000)])
    share = np.minimum(1 / (1 + v**2 * q), 1 - 2.0**-53)
    surface = v_surface(lowest, highest)
    z = v * np.sqrt(share) * values(surface, np.zeros(5000, int), share, q)
    np.testing.assert_allclose(z, z_from_t(v, 1 / q), rtol=3e-10)


@pytest.mark.parametrize('rank', [2, 3, 7])
@pytest.mark.parametrize(('lowest', 'highest'), [(0.004, 0.03), (0.11, 0.4)])
def test_g_at_any_degrees_of_freedom(rank, lowest, highest):
    rng = np.random.default_rng(0)
    q = rng.uniform(lowest, highest, 5000)
    g = np.concatenate([rng.uniform(0.01, 8, 3000), np.geomspace(1e-6, 1e6, 2000)])
    odds = rank * g * q
    side = (odds >= 1).astype(int)
    share = np.where(side, 1 / (1 + odds), odds / (1 + odds))
    z = values(g_surface(rank, lowest, highest), side, share, q) / np.sqrt(q)
    np.testing.assert_allclose(z, z_from_f(g, rank, 1 / q), rtol=2e-9, atol=2e-9)


@pytest.mark.parametrize(('build', 'arguments'), [(v_surface, ()), (g_surface, (2,))])
def test_equal_arguments_share_a_surface_that_nobody_can_change(build, arguments):
    surface = build(*arguments, 0.11, 0.14)
    assert build(*arguments, 0.11, 0.14) is surface
    assert build(*arguments, 0.11, 0.15) is not surface
    fresh = build.__wrapped__(*arguments, 0.11, 0.14)
    np.testing.assert_array_equal(surface.coefficients, fresh.coefficients)
    assert surface[1:] == fresh[1:]
    with pytest.raises(ValueError, match='read-only'):
        surface.coefficients[0, 0, 0] = 1
