import numpy as np
import pytest

from ketbids.stats.mixed.criterion import Criterion
from ketbids.stats.mixed.layout import lay_out
from ketbids.stats.mixed.structures import STRUCTURES, get_structure
from tests.stats.mixed.dense import (
    STEPS,
    deviance,
    numeric_hessian,
    pieces,
    positive,
    random_rows,
)

NAMES = list(STRUCTURES)


@pytest.fixture(scope='module')
def rows():
    return random_rows(1)


def at(name, theta, rows):
    y, X, subject, visit = rows
    layout = lay_out(X, subject, visit, 4)
    return Criterion(layout, get_structure(name), y).at(np.asarray(theta, float)), layout


@pytest.mark.parametrize('name', NAMES)
def test_the_deviance_and_its_parts_are_those_of_dense_matrices(name, rows):
    theta = positive(name, 4)
    y, X, subject, visit = rows
    point, layout = at(name, theta, rows)
    V, P, C, G = pieces(name, theta, 4, X, subject, visit)
    dense = deviance(name, theta, 4, *rows)
    assert point.deviance + layout.log_det == pytest.approx(dense, rel=1e-13)
    back = layout.to_given
    np.testing.assert_allclose(back @ point.C @ back.T, C, rtol=1e-11)
    beta = C @ X.T @ np.linalg.solve(V, y)
    np.testing.assert_allclose(back @ point.gamma, beta, rtol=1e-10, atol=1e-13)
    expected = [[np.trace(P @ one @ P @ two) for one in G] for two in G]
    np.testing.assert_allclose(point.expected, expected, rtol=1e-10, atol=1e-11)
    gradient = [np.trace(P @ one) - y @ P @ one @ P @ y for one in G]
    np.testing.assert_allclose(point.gradient, gradient, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize('name', NAMES)
def test_gradient_and_hessian_agree_with_differences(name, rows):
    theta = positive(name, 4)
    point, _ = at(name, theta, rows)
    for k, move in enumerate(np.eye(len(theta)) * STEPS[0]):
        up, down = (at(name, theta + sign * move, rows)[0] for sign in (1, -1))
        slope = (up.deviance - down.deviance) / (2 * STEPS[0])
        assert point.gradient[k] == pytest.approx(slope, rel=1e-6, abs=1e-7)
        slopes = (up.gradient - down.gradient) / (2 * STEPS[0])
        np.testing.assert_allclose(point.hessian[k], slopes, rtol=1e-6, atol=1e-6)
    dense = numeric_hessian(lambda values: deviance(name, values, 4, *rows), theta)
    np.testing.assert_allclose(point.hessian, dense, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', NAMES)
def test_the_slopes_of_the_covariance_of_coefficients_agree_with_differences(name, rows):
    theta = positive(name, 4)
    point, _ = at(name, theta, rows)
    for k, move in enumerate(np.eye(len(theta)) * STEPS[0]):
        up, down = (at(name, theta + sign * move, rows)[0] for sign in (1, -1))
        slopes = (up.C - down.C) / (2 * STEPS[0])
        np.testing.assert_allclose(point.C @ point.P[k] @ point.C, slopes, atol=1e-8)


@pytest.mark.parametrize('name', NAMES)
def test_what_kenward_roger_needs_is_that_of_dense_matrices(name, rows):
    _, X, subject, visit = rows
    theta = positive(name, 4)
    point, layout = at(name, theta, rows)
    V, _, _, G = pieces(name, theta, 4, X, subject, visit)
    weight = np.linalg.inv(V)
    left = layout.orthonormal.T @ weight
    for k, first in enumerate(G):
        for m, second in enumerate(G):
            Q = left @ first @ weight @ second @ left.T
            np.testing.assert_allclose(point.Q[k, m], (Q + Q.T) / 2, atol=1e-10)


@pytest.mark.parametrize(
    ('name', 'theta'),
    [
        ('cs', [-0.4, 1.0]),
        ('ri', [1.0, 0.0]),
        ('csh', [1.0, 1, -1, 1, 0.3]),
        ('csh', [1.0, 1, 1, 1, 1.0]),
        ('ar1', [1.0, -1.0]),
        ('toep', [1.0, 0.9, -0.9, 0]),
        ('diag', [1.0, 0, 1, 1]),
        ('diag', [1.0, 1e-14, 1, 1]),
        ('independent', [-1.0]),
        ('cs', [np.nan, 1.0]),
    ],
)
def test_there_is_no_point_where_the_matrix_is_not_positive_definite(name, theta, rows):
    assert at(name, theta, rows)[0] is None
