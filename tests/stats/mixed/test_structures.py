import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.mixed.structures import STRUCTURES, get_structure
from tests.stats.mixed.dense import positive

NAMES = list(STRUCTURES)
LABELS = ['TP1', 'TP2', 'TP3']


@pytest.mark.parametrize(
    ('name', 'names'),
    [
        ('ri', ['var(intercept)', 'var(residual)']),
        ('cs', ['covariance', 'var(residual)']),
        ('csh', ['var(TP1)', 'var(TP2)', 'var(TP3)', 'rho']),
        (
            'un',
            [
                'var(TP1)',
                'cov(TP1, TP2)',
                'var(TP2)',
                'cov(TP1, TP3)',
                'cov(TP2, TP3)',
                'var(TP3)',
            ],
        ),
        ('ar1', ['variance', 'rho']),
        ('arh1', ['var(TP1)', 'var(TP2)', 'var(TP3)', 'rho']),
        ('toep', ['variance', 'cov(lag 1)', 'cov(lag 2)']),
        ('diag', ['var(TP1)', 'var(TP2)', 'var(TP3)']),
        ('independent', ['var(residual)']),
    ],
)
def test_every_parameter_has_a_name(name, names):
    structure = get_structure(name)
    assert structure.names(LABELS) == names
    assert structure.n_parameters(3) == len(names)
    correlations = [label == 'rho' for label in names]
    assert structure.powers(3).tolist() == [0.0 if rho else 1.0 for rho in correlations]


def test_an_unknown_structure_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match=r"'us'.* ri, cs, csh, un, ar1, arh1, toep, diag"):
        get_structure('us')


@pytest.mark.parametrize(
    ('name', 'theta', 'sigma'),
    [
        ('ri', [2, 3], [[5, 2, 2], [2, 5, 2], [2, 2, 5]]),
        ('cs', [-1, 4], [[3, -1, -1], [-1, 3, -1], [-1, -1, 3]]),
        ('csh', [1, 4, 9, 0.5], [[1, 1, 1.5], [1, 4, 3], [1.5, 3, 9]]),
        ('un', [4, 1, 5, 2, 3, 6], [[4, 1, 2], [1, 5, 3], [2, 3, 6]]),
        ('ar1', [4, -0.5], [[4, -2, 1], [-2, 4, -2], [1, -2, 4]]),
        ('ar1', [4, 0], [[4, 0, 0], [0, 4, 0], [0, 0, 4]]),
        ('arh1', [1, 4, 9, 0.5], [[1, 1, 0.75], [1, 4, 3], [0.75, 3, 9]]),
        ('toep', [5, 2, -1], [[5, 2, -1], [2, 5, 2], [-1, 2, 5]]),
        ('diag', [1, 2, 3], [[1, 0, 0], [0, 2, 0], [0, 0, 3]]),
        ('independent', [2], [[2, 0, 0], [0, 2, 0], [0, 0, 2]]),
    ],
)
def test_a_covariance_matrix_is_what_its_parameters_say(name, theta, sigma):
    np.testing.assert_allclose(get_structure(name).sigma(theta, 3), sigma, atol=1e-14)


@pytest.mark.parametrize('rho', [0.4, 0.0, -0.2])
@pytest.mark.parametrize('n_visits', [2, 4])
@pytest.mark.parametrize('name', NAMES)
def test_derivatives_agree_with_differences(name, n_visits, rho):
    structure = get_structure(name)
    theta = positive(name, n_visits)
    if not structure.linear:
        theta[-1] = rho
    at = structure.at(theta, n_visits)
    step = 1e-5
    for k, move in enumerate(np.eye(len(theta)) * step):
        up, down = structure.at(theta + move, n_visits), structure.at(theta - move, n_visits)
        first = (up.sigma - down.sigma) / (2 * step)
        np.testing.assert_allclose(at.first[k], first, atol=1e-9)
        second = (up.first - down.first) / (2 * step)
        expected = np.zeros_like(second) if at.second is None else at.second[k]
        np.testing.assert_allclose(expected, second, atol=1e-8)
    assert (at.second is None) == structure.linear


@pytest.mark.parametrize('name', NAMES)
def test_a_start_of_its_own_kind_is_met(name):
    structure = get_structure(name)
    theta = positive(name, 4)
    np.testing.assert_allclose(structure.start(structure.sigma(theta, 4)), theta, atol=1e-12)


@pytest.mark.parametrize('name', NAMES)
def test_two_visits_and_one_are_enough_for_a_start(name):
    structure = get_structure(name)
    assert np.linalg.eigvalsh(structure.sigma(positive(name, 2), 2))[0] > 0
    if name != 'ri' and name != 'cs':
        assert structure.sigma(structure.start(np.array([[2.0]])), 1) == pytest.approx(2)
