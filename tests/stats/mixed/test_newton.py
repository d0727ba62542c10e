import numpy as np
import pytest

from ketbids.stats.mixed.criterion import Point
from ketbids.stats.mixed.newton import is_determined, minimise


def point(theta, deviance, gradient, hessian, expected):
    empty = np.zeros((0, 0))
    return Point(
        theta, deviance, np.asarray(gradient, float), np.asarray(hessian, float),
        np.asarray(expected, float), empty, empty, empty, empty, empty,
    )  # fmt: skip


def valley(theta):
    """Rosenbrock's curved valley: its minimum is at (1, 1)."""
    x, y = theta
    return point(
        theta,
        (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        [-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)],
        [[2 - 400 * (y - 3 * x**2), -400 * x], [-400 * x, 200]],
        np.diag([10, 200]),
    )


@pytest.mark.parametrize('unit', [1e-6, 1.0, 1e6])
def test_a_curved_valley_is_followed_whatever_the_units(unit):
    def scaled(theta):
        here = valley(theta / [unit, 1])
        by = np.array([unit, 1])
        both = by[:, None] * by
        return here._replace(
            theta=theta,
            gradient=here.gradient / by,
            hessian=here.hessian / both,
            expected=here.expected / both,
        )

    found = minimise(scaled, scaled(np.array([-1.2 * unit, 1.0])))
    assert found.converged
    np.testing.assert_allclose(found.point.theta, [unit, 1], rtol=1e-9)
    assert found.n_steps < 60


def saddle(theta):
    x, y = theta
    return point(
        theta,
        x**2 + (y**2 - 1) ** 2,
        [2 * x, 4 * y * (y**2 - 1)],
        [[2, 0], [0, 12 * y**2 - 4]],
        np.eye(2),
    )


def test_a_saddle_is_left():
    found = minimise(saddle, saddle(np.array([1.0, 0.0])))
    assert found.converged
    np.testing.assert_allclose(np.abs(found.point.theta), [0, 1], atol=1e-9)


def test_the_border_of_what_is_defined_is_not_crossed():
    def log_barrier(theta):
        x = theta[0]
        if x <= 0:
            return None
        return point(theta, x - np.log(x), [1 - 1 / x], [[1 / x**2]], [[1 / x**2]])

    found = minimise(log_barrier, log_barrier(np.array([40.0])))
    assert found.converged
    assert found.point.theta[0] == pytest.approx(1, rel=1e-12)


def test_a_deviance_without_a_minimum_does_not_converge():
    def endless(theta):
        x = theta[0]
        if x <= 1e-6:
            return None
        return point(theta, np.log(x), [1 / x], [[-1 / x**2]], [[1 / x**2]])

    found = minimise(endless, endless(np.array([1.0])))
    assert not found.converged
    assert found.determined
    assert found.point.theta[0] < 1e-5


def test_a_parameter_that_changes_nothing_is_not_determined():
    def flat(theta):
        x = theta[0]
        return point(theta, x**2, [2 * x, 0], np.diag([2.0, 0]), np.diag([2.0, 0]))

    start = flat(np.array([1.0, 1.0]))
    assert not is_determined(start)
    found = minimise(flat, start)
    assert not found.converged
    assert not found.determined
