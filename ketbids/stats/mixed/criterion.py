"""-2 times the restricted log-likelihood and its exact derivatives by the covariance parameters.

With ``C = (X' V^-1 X)^-1``, ``P = V^-1 - V^-1 X C X' V^-1``, ``r = y - X b``, and G_k and G_kl the
first and second derivatives of V (Searle, Casella and McCulloch, Variance Components, 1992,
chapter 6; Lindstrom and Bates 1988)::

    D        = (n - p) log 2 pi + log |V| + log |X' V^-1 X| + r' V^-1 r
    gradient = tr(P G_k) - y' P G_k P y
    expected = tr(P G_k P G_l)
    hessian  = -expected + 2 y' P G_k P G_l P y + tr(P G_kl) - y' P G_kl P y

V is block diagonal, so each term is a sum, over patterns of visits, of a small matrix times the
sums of products of a `ketbids.stats.mixed.layout.Layout`.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.stats.mixed.layout import Layout
from ketbids.stats.mixed.structures import Structure

__all__ = ['Criterion', 'Point']

Floats = npt.NDArray[np.float64]

# Share of a visit's variance that the visits before it must leave, and of the smallest variance
# in the largest: below them the covariance matrix has collapsed.
_LEFT, _SMALLEST = 1e-10, 1e-12


class Point(NamedTuple):
    """Everything at one value of the K parameters; p coefficients of the orthonormal design.

    Attributes
    ----------
    theta, gradient : array of (K,)
    deviance : float
        -2 restricted log-likelihood (of the orthonormal design).
    hessian, expected : array of (K, K)
    sigma : array of (T, T)
    gamma : array of (p,)
    C : array of (p, p)
        Their covariance.
    P : array of (K, p, p)
        ``X' V^-1 G_k V^-1 X`` (minus the derivative of ``X' V^-1 X``).
    Q : array of (K, K, p, p)
        ``X' V^-1 G_k V^-1 G_l V^-1 X``, its symmetric part.
    """

    theta: Floats
    deviance: float
    gradient: Floats
    hessian: Floats
    expected: Floats
    sigma: Floats
    gamma: Floats
    C: Floats
    P: Floats
    Q: Floats


class Criterion:
    """The restricted likelihood of a response for one covariance structure.

    Parameters
    ----------
    layout : Layout
    structure : Structure
    response : array of (n,)
        Best as residuals of ordinary least squares of unit size: the sums lose no digits then.
    """

    def __init__(self, layout: Layout, structure: Structure, response: Floats) -> None:
        self.structure = structure
        self._n, self._p = layout.X.shape
        self._n_visits = layout.n_visits
        self._cells = layout.cells
        self._counts = layout.counts.astype(float)
        both = layout.observed[:, :, None] & layout.observed[:, None, :]
        self._both = both.astype(float)
        self._unseen = np.eye(layout.n_visits) * ~layout.observed[:, None, :]
        self._sums = layout.with_response(response)
        self._pairs = np.triu_indices(structure.n_parameters(layout.n_visits))

    def at(self, theta: Floats) -> Point | None:
        """Evaluate the criterion; None where the covariance matrix is not positive definite."""
        if not self.structure.linear and theta[:-1].min() <= 0:
            return None
        sigma, G, G2 = self.structure.at(theta, self._n_visits)
        if not _is_definite(sigma):
            return None
        V = self._both * sigma + self._unseen
        W = np.linalg.inv(V) * self._both
        k, m = self._pairs
        WG = W @ G[:, None]
        WGW = WG @ W
        twice = WG[k] @ WGW[m]
        matrices = [W[None], WGW, (twice + twice.swapaxes(-1, -2)) / 2]
        if G2 is not None:
            WG2 = W @ G2[k, m][:, None]
            matrices.append(WG2 @ W)
        XX, Xy, yy = self._sum(np.concatenate(matrices))
        C = np.linalg.inv(XX[0])
        gamma = C @ Xy[0]
        Xr = Xy - XX @ gamma
        # r'Mr of every matrix M; the middle term is 0 for V^-1 itself.
        rr = yy - (Xy + Xr) @ gamma
        in_C = (XX * C).sum((-2, -1))

        K = len(theta)
        first, second, curved = slice(1, K + 1), slice(K + 1, K + 1 + len(k)), slice(-len(k), None)
        CP = C @ XX[first]
        gradient = self._trace(WG) - in_C[first] - rr[first]
        expected = (
            self._counts @ (WG[k] * WG[m].swapaxes(-1, -2)).sum((-2, -1)).T
            - 2 * in_C[second]
            + (CP[k] * CP[m].swapaxes(-1, -2)).sum((-2, -1))
        )
        hessian = 2 * (rr[second] - (Xr[first][k] @ C * Xr[first][m]).sum(-1)) - expected
        if G2 is not None:
            hessian += self._trace(WG2) - in_C[curved] - rr[curved]
        log_det = self._counts @ np.linalg.slogdet(V)[1] + np.linalg.slogdet(XX[0])[1]
        deviance = (self._n - self._p) * math.log(2 * math.pi) + log_det + rr[0]
        return Point(
            theta, float(deviance), gradient, self._square(hessian), self._square(expected),
            sigma, gamma, C, XX[first], self._square(XX[second]),
        )  # fmt: skip

    def _sum(self, matrices: Floats) -> tuple[Floats, Floats, Floats]:
        """X'MX, X'My and y'My of symmetric matrices, given by pattern: (matrices, G, T, T)."""
        p = self._p
        number, a, b = self._cells
        sums = matrices[:, number, a, b] @ self._sums
        return sums[:, : p * p].reshape(-1, p, p), sums[:, p * p : -1], sums[:, -1]

    def _trace(self, matrices: Floats) -> Floats:
        return np.trace(matrices, axis1=-2, axis2=-1) @ self._counts

    def _square(self, values: Floats) -> Floats:
        """Fill a symmetric (K, K, ...) from its upper triangle."""
        k, m = self._pairs
        K = k[-1] + 1
        square = np.empty((K, K, *values.shape[1:]))
        square[k, m] = square[m, k] = values
        return square


def _is_definite(sigma: Floats) -> bool:
    variances = np.diag(sigma)
    if not variances.min() > _SMALLEST * variances.max():
        return False
    try:
        left = np.diag(np.linalg.cholesky(sigma)) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool((left > _LEFT * variances).all())
