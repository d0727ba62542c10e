"""Restricted maximum likelihood for responses of participants over visits."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.stats.mixed.criterion import Criterion, Point
from ketbids.stats.mixed.layout import Layout, lay_out
from ketbids.stats.mixed.newton import Minimum, is_determined, minimise
from ketbids.stats.mixed.structures import Structure, get_structure

__all__ = ['RemlFit', 'fit_layout', 'fit_reml']

Floats = npt.NDArray[np.float64]

# Correlations of the starts, as a share of those of the residuals.
_SHARES = (0.95, 0.0, 0.8, 0.5, 0.2)
# Correlation of starts that have one at a single distance, and up to which distance: below a half,
# such a matrix is positive definite.
_AT_LAG, _LAGS = 0.45, 4
# With more participants no second maximum of an unstructured matrix was seen.
_FEW_SUBJECTS = 40
# Deviances that differ by less are those of one maximum.
_SAME = 1e-8
# Smallest variance of a visit to start from (of residuals with variance 1).
_SMALL = 1e-3
# What to try where a structure cannot be estimated; compound symmetry for all others.
_SIMPLER = {'cs': 'ri', 'ri': 'ordinary regression', 'diag': 'ordinary regression'}
# Residuals this small beside the SD of the response, or beside its values, are rounding.
_FITTED, _ROUNDING = 1e-9, 1e-13
# A variance between participants of this share of the residual one is 0.
_SINGULAR = 1e-9
# A covariance matrix with an eigenvalue this small (of its correlations) has collapsed.
_COLLAPSED = 1e-4


@dataclass(frozen=True)
class RemlFit:
    """A fitted model ``y ~ N(X beta, V)``; V has a block of Sigma for each participant.

    K covariance parameters, p coefficients, T visits. All on the scale of the response given.

    Attributes
    ----------
    structure : str
        Name in `ketbids.stats.mixed.structures.STRUCTURES`.
    n_obs, n_subjects, n_visits : int
    theta : array of (K,)
        Covariance parameters.
    free : array of (K,)
        False: on the boundary (the variance between participants of a singular random intercept
        is 0), and not counted as estimated by Satterthwaite's method.
    loglik : float
        Restricted log-likelihood of this X (another coding of the same model has another one).
    beta : array of (p,)
    vcov : array of (p, p)
        Covariance of the coefficients, ``(X' V^-1 X)^-1``.
    hessian, information : array of (K, K)
        Of -2 restricted log-likelihood by theta: observed, and its expectation.
    theta_cov : array of (K, K)
        2 / observed Hessian over the free parameters; 0 for the others.
    dvcov : array of (K, p, p)
        Derivatives of vcov by theta, of all parameters.
    spread : array of (K, K, p, p)
        ``C (Q_kl - P_k C P_l) C`` of Kenward and Roger (1997), symmetric in k and l.
    sigma : array of (T, T)
        Covariance matrix of the visits.
    total_variance : float
        Mean of its diagonal (random intercept: both variances together).
    singular, converged : bool
    n_iterations : int
    """

    structure: str
    n_obs: int
    n_subjects: int
    n_visits: int
    theta: Floats
    free: npt.NDArray[np.bool_]
    loglik: float
    beta: Floats
    vcov: Floats
    hessian: Floats
    information: Floats
    theta_cov: Floats
    dvcov: Floats
    spread: Floats
    sigma: Floats
    total_variance: float
    singular: bool
    converged: bool
    n_iterations: int


def fit_reml(
    y: npt.ArrayLike,
    X: npt.ArrayLike,
    subject: npt.ArrayLike,
    visit: npt.ArrayLike,
    structure: str = 'ri',
    n_visits: int | None = None,
) -> RemlFit:
    """Fit one response; see `fit_layout`, which fits many responses of one design."""
    return fit_layout(y, lay_out(X, subject, visit, n_visits), structure)


def fit_layout(y: npt.ArrayLike, layout: Layout, structure: str = 'ri') -> RemlFit:
    """Estimate the covariance parameters of a response by REML.

    Parameters
    ----------
    y : array of (n,)
        Finite. Residuals of ordinary least squares, scaled to unit size, are what is fitted, so
        neither an offset nor the unit of the response matters.
    layout : Layout
    structure : str
        Name in `ketbids.stats.mixed.structures.STRUCTURES`.

    Raises
    ------
    InputError
        The response is not finite, the residual variance is 0, the data do not determine the
        covariance parameters, or the estimates do not converge.
    """
    y = np.asarray(y, dtype=float)
    kind = get_structure(structure)
    _check_rows(layout, kind)
    ols, residuals, scale = _standardised(y, layout)
    singular = False
    if structure == 'ri':
        minimum, singular = _fit_intercept(layout, residuals)
    else:
        minimum = _fit(layout, kind, residuals)
        _check(minimum, layout, kind)
    return _describe(minimum, singular, layout, kind, ols, scale)


def _check_rows(layout: Layout, kind: Structure) -> None:
    if kind.correlated and len(layout.grid) == len(layout.X):
        raise InputError(
            f'Every participant has one row, so {kind.title} cannot be told from residual '
            'variance: use ordinary regression.'
        )
    empty = np.flatnonzero(~layout.observed.any(axis=0))
    if kind.heterogeneous and len(empty):
        raise InputError(
            f'No participant has visit {empty[0] + 1}, so its variance cannot be estimated.'
        )


def _standardised(y: Floats, layout: Layout) -> tuple[Floats, Floats, float]:
    """Coefficients of Q by least squares, the residuals in units of their SD, and that SD."""
    n, p = layout.X.shape
    if y.shape != (n,) or not np.isfinite(y).all():
        raise InputError(f'The response must be {n} finite numbers, one for each row.')
    Q = layout.orthonormal
    ols = Q.T @ y
    residuals = y - Q @ ols
    # Once more, for what rounding left of a large offset.
    rest = Q.T @ residuals
    residuals -= Q @ rest
    scale = float(np.sqrt(residuals @ residuals / (n - p)))
    if scale <= max(_FITTED * float(np.std(y)), _ROUNDING * float(np.abs(y).max())):
        raise InputError(
            'The residual variance is 0: the fixed effects explain the response exactly (it is '
            'constant, or constant within every combination of the factors).'
        )
    return ols + rest, residuals / scale, scale


def _fit(layout: Layout, kind: Structure, residuals: Floats) -> Minimum:
    """Search from moment estimates; from weaker correlations if there is nothing from there.

    With missing visits, or one variance for visits that differ, the likelihood can have several
    maxima: `_has_maxima` tells for which structures they were seen, and these are searched from
    several starts.
    """
    criterion = Criterion(layout, kind, residuals)
    moments = _moments(layout, residuals)
    variances = np.diag(np.diag(moments))
    starts = [share * moments + (1 - share) * variances for share in _SHARES]
    n_starts = 2 if kind.name == 'ar1' else 1
    if _has_maxima(layout, kind):
        starts = [starts[0], starts[1], *_one_lag(variances), *starts[2:]]
        n_starts = len(starts) - len(_SHARES) + 2
    best = None
    for start in starts:
        point = criterion.at(kind.start(start))
        if point is None:
            continue
        minimum = minimise(criterion.at, point)
        if best is None or _is_better(minimum, best):
            best = minimum
        n_starts -= minimum.converged
        if n_starts == 0:
            break
    assert best is not None, 'the last start has no correlations'
    return best


def _has_maxima(layout: Layout, kind: Structure) -> bool:
    """Whether the likelihood may have several maxima: Toeplitz; unstructured if visits miss."""
    few = layout.n_subjects <= _FEW_SUBJECTS
    return kind.name == 'toep' or (kind.name == 'un' and few and not layout.observed.all())


def _one_lag(variances: Floats) -> list[Floats]:
    """Matrices with a correlation, positive or negative, at one distance of visits only."""
    n_visits, sd = len(variances), np.sqrt(np.diag(variances))
    found = []
    for lag in range(1, min(n_visits, _LAGS + 1)):
        apart = np.eye(n_visits, k=lag) + np.eye(n_visits, k=-lag)
        found += [variances + sign * _AT_LAG * apart * sd[:, None] * sd for sign in (-1, 1)]
    return found


def _is_better(one: Minimum, other: Minimum) -> bool:
    if one.converged != other.converged:
        return one.converged
    return one.point.deviance < other.point.deviance - _SAME


def _moments(layout: Layout, residuals: Floats) -> Floats:
    """Covariance matrix (T, T) of the residuals, each pair of visits from those who have both."""
    seen = (layout.grid >= 0).astype(float)
    wide = seen * residuals[layout.grid]
    moments = wide.T @ wide / np.maximum(seen.T @ seen, 1)
    variances = np.maximum(np.diag(moments), _SMALL)
    np.fill_diagonal(moments, variances)
    sd = np.sqrt(variances)
    return np.clip(moments / sd[:, None] / sd, -1, 1) * sd[:, None] * sd


def _fit_intercept(layout: Layout, residuals: Floats) -> tuple[Minimum, bool]:
    """Random intercept: compound symmetry, unless its covariance would be negative.

    Then the variance between participants is 0 (singular), and the rest ordinary least squares,
    if the deviance rises from there.
    """
    kind = get_structure('ri')
    minimum = _fit(layout, get_structure('cs'), residuals)
    if minimum.converged and minimum.point.theta[0] > _SINGULAR * minimum.point.theta[1]:
        return minimum, False
    criterion = Criterion(layout, kind, residuals)
    zero = criterion.at(np.array([0.0, 1.0]))
    assert zero is not None, 'the identity is positive definite'
    if not is_determined(zero):
        _check(Minimum(zero, False, False, 0), layout, kind)
    if zero.gradient[0] >= 0:
        return Minimum(zero, True, True, minimum.n_steps), True

    def at(theta: Floats) -> Point | None:
        return criterion.at(theta) if theta[0] >= 0 else None

    for share in (0.5, 0.1, 0.01):
        point = at(np.array([share, 1 - share]))
        assert point is not None, 'both variances are positive'
        minimum = minimise(at, point)
        if minimum.converged:
            break
    _check(minimum, layout, kind)
    return minimum, False


def _check(minimum: Minimum, layout: Layout, kind: Structure) -> None:
    if minimum.converged:
        return
    sigma = minimum.point.sigma
    sd = np.sqrt(np.diag(sigma))
    smallest = float(np.linalg.eigvalsh(sigma / sd[:, None] / sd)[0])
    collapsed = smallest < _COLLAPSED or float((sd.min() / sd.max()) ** 2) < _COLLAPSED
    if kind.name in ('ri', 'cs') and collapsed and minimum.point.theta[0] > 0:
        raise InputError(
            'The residual variance is 0: beyond the fixed effects the rows of a participant do '
            'not differ.'
        )
    if collapsed or not minimum.determined:
        complete = int(layout.counts[layout.observed.all(axis=1)].sum())
        n_parameters = kind.n_parameters(layout.n_visits)
        what = 'its estimate is a singular matrix; ' if collapsed else ''
        raise InputError(
            f'The covariance structure {kind.name} ({kind.title}) cannot be estimated: {what}'
            f'{n_parameters} parameter{"s" * (n_parameters > 1)} from {complete} complete '
            f'participants (of {layout.n_subjects}, with {layout.n_visits} visits). Try '
            f'{_SIMPLER.get(kind.name, "cs")}.'
        )
    raise InputError(
        f'The covariance structure {kind.name} ({kind.title}) did not converge in '
        f'{minimum.n_steps} steps; try another one, such as cs.'
    )


def _describe(
    minimum: Minimum, singular: bool, layout: Layout, kind: Structure, ols: Floats, scale: float
) -> RemlFit:
    """Bring everything to the response's scale and the given columns."""
    point = minimum.point
    n, p = layout.X.shape
    units = scale ** (2 * kind.powers(layout.n_visits))
    free = np.ones(len(units), dtype=bool)
    free[0] = not singular
    theta_cov = np.zeros_like(point.hessian)
    # Inverted in units of the standardised response: none of them is too large or too small.
    theta_cov[np.ix_(free, free)] = 2 * np.linalg.inv(point.hessian[np.ix_(free, free)])
    back = layout.to_given * scale
    CP = point.C @ point.P
    spread = point.C @ point.Q @ point.C - CP[:, None] @ CP[None] @ point.C
    spread = (spread + spread.swapaxes(0, 1)) / 2
    both = units[:, None] * units
    loglik = -(point.deviance + 2 * (n - p) * np.log(scale) + layout.log_det) / 2
    sigma = point.sigma * scale**2
    return RemlFit(
        structure=kind.name,
        n_obs=n,
        n_subjects=layout.n_subjects,
        n_visits=layout.n_visits,
        theta=point.theta * units,
        free=free,
        loglik=float(loglik),
        beta=layout.to_given @ (ols + scale * point.gamma),
        vcov=back @ point.C @ back.T,
        hessian=point.hessian / both,
        information=point.expected / both,
        theta_cov=theta_cov * both,
        dvcov=back @ (CP @ point.C) @ back.T / units[:, None, None],
        spread=back @ spread @ back.T / both[:, :, None, None],
        sigma=sigma,
        total_variance=float(np.trace(sigma)) / layout.n_visits,
        singular=singular,
        converged=minimum.converged,
        n_iterations=minimum.n_steps,
    )
