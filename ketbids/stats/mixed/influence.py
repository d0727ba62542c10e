"""How much each participant moves the coefficients, and residuals for checks of normality."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.stats.mixed.layout import Layout
from ketbids.stats.mixed.reml import RemlFit

__all__ = ['Influence', 'cooks_distances', 'whitened_residuals']

Floats = npt.NDArray[np.float64]


class Influence(NamedTuple):
    """Influence of each participant.

    Attributes
    ----------
    cooks_distance : array, shape (m,)
        NaN where `estimable` is False.
    estimable : array of bool, shape (m,)
        All coefficients can be estimated without the participant.
    """

    cooks_distance: Floats
    estimable: npt.NDArray[np.bool_]


def whitened_residuals(fit: RemlFit, layout: Layout, y: Floats) -> tuple[Floats, Floats]:
    """Marginal residuals y - X beta, and the same multiplied by the inverse Cholesky factor of V.

    If the model holds, the latter are independent with variance 1 (but for the estimation of
    beta), whatever the covariance structure (SAS calls them scaled residuals, VCIRY).

    Parameters
    ----------
    fit : RemlFit
    layout : Layout
        What was fitted.
    y : array, shape (n,)

    Returns
    -------
    residuals, whitened : arrays, shape (n,)
    """
    residuals = y - layout.X @ fit.beta
    whitened = np.empty_like(residuals)
    for rows, factor in _patterns(fit, layout):
        whitened[rows] = np.linalg.solve(factor, residuals[rows].T).T
    return residuals, whitened


def cooks_distances(fit: RemlFit, layout: Layout, y: Floats) -> Influence:
    """Cook's distance of each participant: all rows left out, covariance parameters held.

    D = (b - b(i))' (X' V^-1 X) (b - b(i)) / p, with b(i) the coefficients without the participant
    (Christensen, Pearson & Johnson 1992, Technometrics 34:38-45; noniterative in SAS's terms).

    Parameters
    ----------
    fit : RemlFit
    layout : Layout
    y : array, shape (n,)

    Returns
    -------
    Influence
        In the order of the participants' codes.
    """
    p = layout.X.shape[1]
    # In coordinates where X' V^-1 X is the identity, nothing loses digits to units of columns.
    root = np.linalg.cholesky(fit.vcov)
    moved = layout.X @ root
    residuals = y - layout.X @ fit.beta
    distances, estimable = np.empty(layout.n_subjects), np.ones(layout.n_subjects, dtype=bool)
    for rows, factor in _patterns(fit, layout):
        Z = np.linalg.solve(factor, moved[rows])
        r = np.linalg.solve(factor, residuals[rows][..., None])
        who = layout.subject[rows[:, 0]]
        kept = np.eye(p) - Z.swapaxes(1, 2) @ Z
        estimable[who] = np.linalg.eigvalsh(kept)[:, 0] > 1e-9
        kept[~estimable[who]] = np.eye(p)
        shift = np.linalg.solve(kept, Z.swapaxes(1, 2) @ r)[..., 0]
        distances[who] = (shift**2).sum(axis=1) / p
    distances[~estimable] = np.nan
    return Influence(distances, estimable)


def _patterns(fit: RemlFit, layout: Layout) -> list[tuple[npt.NDArray[np.int64], Floats]]:
    """Rows (participants, visits) of each pattern of visits, and the Cholesky factor of V."""
    grid = np.full((layout.n_subjects, layout.n_visits), -1)
    grid[layout.subject, layout.visit] = np.arange(len(layout.subject))
    patterns, pattern = np.unique(grid >= 0, axis=0, return_inverse=True)
    found = []
    for number, seen in enumerate(patterns):
        rows = grid[pattern == number][:, seen].astype(np.int64)
        found.append((rows, np.asarray(np.linalg.cholesky(fit.sigma[np.ix_(seen, seen)]), float)))
    return found
