"""Mixed models as the textbooks write them, with n x n matrices: slow, and easy to see through."""

from pathlib import Path

import numpy as np
import pandas as pd

from ketbids.stats.mixed.structures import get_structure

__all__ = [
    'STEPS',
    'deviance',
    'numeric_hessian',
    'pieces',
    'positive',
    'random_rows',
    'small_trial',
]

#: For central differences of first and of second order.
STEPS = 1e-5, 1e-4


def small_trial():
    """Scores of 14 made-up participants at 3 visits, 7 rows missing.

    Returns
    -------
    y, X, subject, visit
        Columns of X as R's ``visit * group + age`` in treatment coding.
    """
    table = pd.read_csv(Path(__file__).parents[2] / 'data' / 'small_trial.csv')
    second, third = (table.visit == 1).to_numpy(float), (table.visit == 2).to_numpy(float)
    group = table.group.to_numpy(float)
    X = np.column_stack(
        [np.ones(len(table)), second, third, group, table.age, second * group, third * group]
    )
    return table.y.to_numpy(), X, table.subject.to_numpy(), table.visit.to_numpy()


def random_rows(seed, n_subjects=9, n_visits=4, missing=0.25):
    """A response, a design, participants and visits in random order."""
    rng = np.random.default_rng(seed)
    subject, visit = np.nonzero(rng.random((n_subjects, n_visits)) >= missing)
    order = rng.permutation(len(subject))
    subject, visit = subject[order], visit[order]
    X = np.column_stack(
        [np.ones(len(subject)), visit == 1, rng.normal(size=n_subjects)[subject]]
    ).astype(float)
    y = rng.normal(size=n_subjects)[subject] + rng.normal(size=len(subject)) * (1 + visit / 3)
    return y, X, subject, visit


def positive(name, n_visits, seed=0):
    """Parameters of a structure whose matrix is positive definite, all different."""
    rng = np.random.default_rng(seed)
    sd = rng.uniform(0.8, 1.3, n_visits)
    distance = np.abs(np.subtract.outer(np.arange(n_visits), np.arange(n_visits)))
    target = 0.4**distance * sd[:, None] * sd
    return get_structure(name).start(target + np.diag(rng.uniform(0, 0.2, n_visits)))


def _expand(matrix, subject, visit):
    return np.where(subject[:, None] == subject, matrix[np.ix_(visit, visit)], 0)


def pieces(name, theta, n_visits, X, subject, visit):
    """V, P, C and the derivatives of V by theta."""
    at = get_structure(name).at(np.asarray(theta, float), n_visits)
    V = _expand(at.sigma, subject, visit)
    weight = np.linalg.inv(V)
    C = np.linalg.inv(X.T @ weight @ X)
    P = weight - weight @ X @ C @ X.T @ weight
    return V, P, C, [_expand(first, subject, visit) for first in at.first]


def deviance(name, theta, n_visits, y, X, subject, visit):
    """-2 restricted log-likelihood."""
    V, P, C, _ = pieces(name, theta, n_visits, X, subject, visit)
    n, p = X.shape
    log_dets = np.linalg.slogdet(V)[1] - np.linalg.slogdet(C)[1]
    return (n - p) * np.log(2 * np.pi) + log_dets + y @ P @ y


def numeric_hessian(function, theta, step=STEPS[1]):
    """Second derivatives by central differences, steps relative to the parameters."""
    theta = np.asarray(theta, float)
    moves = np.diag(step * np.maximum(np.abs(theta), 0.1))
    hessian = np.empty((len(theta), len(theta)))
    for k, first in enumerate(moves):
        for m, second in enumerate(moves):
            total = (
                function(theta + first + second)
                - function(theta + first - second)
                - function(theta - first + second)
                + function(theta - first - second)
            )
            hessian[k, m] = total / (4 * first[k] * second[m])
    return hessian
