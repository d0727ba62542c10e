"""Covariance structures of the visits of a participant, with exact derivatives.

Parameters are variances, covariances and correlations, as SAS and SPSS print them. ``D`` below is
the distance of two visits in steps of the given order (visit 3 and visit 1: 2).

============ ===================================================================================
ri           random intercept: a variance between participants (not negative) and a residual one
cs           compound symmetry: the same matrix, and the covariance may be negative
csh          one variance per visit, one correlation
un           unstructured: each variance and each covariance
ar1          one variance, correlation ``rho ** D``
arh1         one variance per visit, correlation ``rho ** D``
toep         one variance, one covariance per distance
diag         one variance per visit, no covariance
independent  one variance, no covariance: ordinary least squares
============ ===================================================================================
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['STRUCTURES', 'Derivatives', 'Structure', 'get_structure']

Floats = npt.NDArray[np.float64]


class Derivatives(NamedTuple):
    """A covariance matrix and its derivatives by the K parameters.

    Attributes
    ----------
    sigma : array of (T, T)
    first : array of (K, T, T)
    second : array of (K, K, T, T) or None
        None: all are zero (the structure is linear in its parameters).
    """

    sigma: Floats
    first: Floats
    second: Floats | None


@dataclass(frozen=True)
class Structure:
    """One covariance structure for any number of visits.

    Attributes
    ----------
    name, title : str
        Short name and what it is.
    heterogeneous : bool
        Each visit has a variance of its own.
    correlated : bool
        Two rows of a participant are correlated.
    linear : bool
        Sigma is a sum of parameters times fixed matrices. Otherwise all parameters but the last
        are variances, which must be positive, and the last is a correlation.
    names : callable
        Labels of T visits -> names of the K parameters.
    powers : callable
        T -> array of K: 1 for variances and covariances (they scale with the square of the unit
        of the response), 0 for correlations.
    at : callable
        (theta, T) -> `Derivatives`.
    start : callable
        Covariance matrix (T, T) of any form -> theta of a similar one of this structure, which
        need not be positive definite.
    """

    name: str
    title: str
    heterogeneous: bool
    correlated: bool
    linear: bool
    names: Callable[[Sequence[str]], list[str]]
    powers: Callable[[int], Floats]
    at: Callable[[Floats, int], Derivatives]
    start: Callable[[Floats], Floats]

    def n_parameters(self, n_visits: int) -> int:
        """Count the parameters for this many visits."""
        return len(self.powers(n_visits))

    def sigma(self, theta: npt.ArrayLike, n_visits: int) -> Floats:
        """Covariance matrix of the visits, (T, T)."""
        return self.at(np.asarray(theta, dtype=float), n_visits).sigma


def get_structure(name: str) -> Structure:
    """Look a covariance structure up by its short name.

    Raises
    ------
    InputError
        There is none of this name.
    """
    if name not in STRUCTURES:
        raise InputError(
            f'Unknown covariance structure {name!r}: it must be one of {", ".join(STRUCTURES)}.'
        )
    return STRUCTURES[name]


def _distances(n_visits: int) -> Floats:
    visits = np.arange(n_visits, dtype=float)
    return np.abs(visits[:, None] - visits)


def _identity(n_visits: int) -> Floats:
    return np.eye(n_visits)[None]


def _exchangeable(n_visits: int) -> Floats:
    return np.stack([np.ones((n_visits, n_visits)), np.eye(n_visits)])


def _by_distance(n_visits: int) -> Floats:
    return (_distances(n_visits) == np.arange(n_visits)[:, None, None]).astype(float)


def _by_visit(n_visits: int) -> Floats:
    identity = np.eye(n_visits)
    return identity[:, :, None] * identity[:, None, :]


def _by_cell(n_visits: int) -> Floats:
    rows, columns = np.tril_indices(n_visits)
    basis = np.zeros((len(rows), n_visits, n_visits))
    number = np.arange(len(rows))
    basis[number, rows, columns] = basis[number, columns, rows] = 1
    return basis


def _correlations(covariance: Floats) -> Floats:
    sd = np.sqrt(np.diag(covariance))
    return covariance / sd[:, None] / sd


def _linear(
    name: str,
    title: str,
    basis: Callable[[int], Floats],
    names: Callable[[Sequence[str]], list[str]],
    *,
    heterogeneous: bool = False,
    correlated: bool = True,
) -> Structure:
    """Sigma is the sum of parameters times fixed matrices (the basis)."""

    def at(theta: Floats, n_visits: int) -> Derivatives:
        matrices = basis(n_visits)
        return Derivatives(np.tensordot(theta, matrices, 1), matrices, None)

    def start(moments: Floats) -> Floats:
        n_visits = len(moments)
        if not heterogeneous:
            moments = _correlations(moments) * np.trace(moments) / n_visits
        matrices = basis(n_visits).reshape(-1, n_visits**2)
        found = np.linalg.lstsq(matrices.T, moments.ravel(), rcond=None)[0]
        return np.asarray(found, dtype=np.float64)

    def powers(n_visits: int) -> Floats:
        return np.ones(len(basis(n_visits)))

    return Structure(name, title, heterogeneous, correlated, True, names, powers, at, start)


def _equal(distances: Floats, rho: float) -> tuple[Floats, Floats, Floats]:
    """Correlation rho of any two visits, and its derivatives by rho."""
    apart = (distances > 0).astype(float)
    return rho * apart + (1 - apart), apart, np.zeros(apart.shape)


def _powers_of(distances: Floats, rho: float) -> tuple[Floats, Floats, Floats]:
    """Correlation rho ** D, and its derivatives by rho (0 where D is too small for one)."""
    first = distances * rho ** np.maximum(distances - 1, 0)
    second = distances * (distances - 1) * rho ** np.maximum(distances - 2, 0)
    return rho**distances, first, second


def _scaled(
    name: str,
    title: str,
    correlation: Callable[[Floats, float], tuple[Floats, Floats, Floats]],
    *,
    heterogeneous: bool,
) -> Structure:
    """Variances (one, or one per visit) and a correlation matrix of one parameter, the last."""

    def shares(n_visits: int) -> Floats:
        """How often a variance stands under the root of each element, halved: (K - 1, T, T)."""
        if not heterogeneous:
            return np.ones((1, n_visits, n_visits))
        identity = np.eye(n_visits)
        return (identity[:, :, None] + identity[:, None, :]) / 2

    def at(theta: Floats, n_visits: int) -> Derivatives:
        variances, rho = theta[:-1], float(theta[-1])
        share = shares(n_visits)
        # An element is the product of variances to the power of their shares, times R.
        scale = np.exp(np.tensordot(np.log(variances), share, 1))
        R, by_rho, by_rho_twice = correlation(_distances(n_visits), rho)
        relative = share / variances[:, None, None]
        curved = relative[:, None] * relative[None]
        for k, variance in enumerate(variances):
            curved[k, k] -= relative[k] / variance
        last = len(variances)
        first = np.empty((last + 1, n_visits, n_visits))
        first[:last], first[last] = relative * scale * R, scale * by_rho
        second = np.empty((last + 1, last + 1, n_visits, n_visits))
        second[:last, :last] = curved * scale * R
        second[:last, last] = second[last, :last] = relative * scale * by_rho
        second[last, last] = scale * by_rho_twice
        return Derivatives(scale * R, first, second)

    def start(moments: Floats) -> Floats:
        variances, distances = np.diag(moments), _distances(len(moments))
        # The visits whose correlation is rho itself: all pairs, or neighbours.
        neighbours = (correlation(distances, 0.5)[0] == 0.5) & (distances > 0)
        rho = _correlations(moments)[neighbours].mean() if neighbours.any() else 0.0
        return np.append(variances if heterogeneous else variances.mean(), rho)

    def names(labels: Sequence[str]) -> list[str]:
        return [*(_variances(labels) if heterogeneous else ['variance']), 'rho']

    def powers(n_visits: int) -> Floats:
        return np.append(np.ones(n_visits if heterogeneous else 1), 0)

    return Structure(name, title, heterogeneous, True, False, names, powers, at, start)


def _variances(labels: Sequence[str]) -> list[str]:
    return [f'var({label})' for label in labels]


def _cells(labels: Sequence[str]) -> list[str]:
    return [
        f'var({first})' if first == second else f'cov({second}, {first})'
        for row, first in enumerate(labels)
        for second in labels[: row + 1]
    ]


def _lags(labels: Sequence[str]) -> list[str]:
    return ['variance', *(f'cov(lag {lag})' for lag in range(1, len(labels)))]


STRUCTURES: Mapping[str, Structure] = MappingProxyType(
    {
        structure.name: structure
        for structure in (
            _linear(
                'ri',
                'random intercept',
                _exchangeable,
                lambda _: ['var(intercept)', 'var(residual)'],
            ),
            _linear(
                'cs',
                'compound symmetry',
                _exchangeable,
                lambda _: ['covariance', 'var(residual)'],
            ),
            _scaled('csh', 'heterogeneous compound symmetry', _equal, heterogeneous=True),
            _linear('un', 'unstructured', _by_cell, _cells, heterogeneous=True),
            _scaled('ar1', 'first-order autoregressive', _powers_of, heterogeneous=False),
            _scaled(
                'arh1',
                'heterogeneous first-order autoregressive',
                _powers_of,
                heterogeneous=True,
            ),
            _linear('toep', 'Toeplitz', _by_distance, _lags),
            _linear(
                'diag',
                'diagonal, one variance per visit',
                _by_visit,
                _variances,
                heterogeneous=True,
                correlated=False,
            ),
            _linear(
                'independent',
                'independent, one variance',
                _identity,
                lambda _: ['var(residual)'],
                correlated=False,
            ),
        )
    }
)
