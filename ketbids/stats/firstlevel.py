"""General linear model of a run with autoregressive noise, grayordinate by grayordinate."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ketbids.errors import InputError
from ketbids.stats import autoregression
from ketbids.stats.glmresults import FContrast, GlmFit, f_statistic, separable
from ketbids.stats.glskernels import PERFECT, interleave, lag_sums, project, solve_tile
from ketbids.stats.products import BLOCK
from ketbids.stats.scaling import has_data
from ketbids.stats.whiteness import n_lags, whiteness
from ketbids.stats.zscore import z_from_f, z_from_t

__all__ = ['fit_glm']

Floats = npt.NDArray[np.float64]

#: Singular values below this share of the largest, of columns of length 1, count as 0.
_RANK_TOLERANCE = 1e-8
#: Share of a contrast that may lie outside the row space of the design.
_ESTIMABLE = 1e-6
#: Tiles that a thread does at a time.
_TILES = 8


class _Design(NamedTuple):
    """A design in an orthonormal basis.

    Attributes
    ----------
    basis : ndarray, shape (n_volumes, rank)
    columns, rows : ndarray
        The basis as the compiled functions read it.
    contrasts : ndarray, shape (n_rows, rank)
        Rows of all contrasts, t before F.
    pairs : ndarray of int, shape (n_pairs, 2)
        Rows whose covariances are needed: t by themselves, F with each other.
    """

    basis: Floats
    columns: Floats
    rows: Floats
    contrasts: Floats
    pairs: npt.NDArray[np.int64]


def fit_glm(
    data: npt.NDArray[np.floating],
    design: npt.NDArray[np.floating],
    contrasts: npt.NDArray[np.floating],
    order: int = 6,
    *,
    f_contrasts: Sequence[npt.NDArray[np.floating]] = (),
    names: Sequence[str] | None = None,
    smoother: sparse.csr_matrix | None = None,
    threads: int = 1,
) -> GlmFit:
    r"""Fit a general linear model with AR(p) noise to every grayordinate.

    The autocovariances of the least-squares residuals are corrected for the bias that the design
    puts on them (Worsley et al. 2002, NeuroImage 15:1, appendix A.3), with those beyond the order
    as the model continues them and not 0, the Yule-Walker equations
    are solved by Levinson's recursion with partial autocorrelations below 1, and effects are
    generalised least-squares estimates under the exact stationary covariance of that model, which
    includes the first p volumes. For the design its inverse comes down to trimmed lagged
    cross-products (Box & Jenkins, Time Series Analysis, appendix A7.4),

    .. math:: X' \Sigma^{-1} X = \sum_{i, j = 0}^p a_i a_j \sum_{s = i}^{T - 1 - j}
        x_s x_{s + j - i}', \qquad a = (1, -\phi_1, ..., -\phi_p),

    written for i <= j, which all grayordinates share: one matrix product for all of them. Sums
    are in double precision whatever the type of the data.

    Parameters
    ----------
    data : ndarray, shape (n_volumes, n_grayordinates)
        Time series.
    design : ndarray, shape (n_volumes, n_columns)
        Design matrix; it may have dependent columns, if the contrasts can be estimated.
    contrasts : ndarray, shape (n_contrasts, n_columns)
        Weights of the t contrasts; there may be none.
    order : int
        Order p of the noise model; 0 is ordinary least squares.
    f_contrasts : sequence of ndarray, shape (q, n_columns)
        Independent rows of weights of each F contrast.
    names : sequence of str, optional
        Names of the columns of the design, for messages.
    smoother : sparse matrix, shape (n_grayordinates, n_grayordinates), optional
        Weights (:func:`~ketbids.stats.smoothing.smoothing_matrix`, FWHM
        `~ketbids.stats.autoregression.NOISE_FWHM`) that smooth the residual autocorrelations
        over the mesh before they become coefficients.
    threads : int
        The result does not depend on them.

    Returns
    -------
    GlmFit
        Effects, variances, t, z, F, degrees of freedom, noise coefficients and whiteness.

    Raises
    ------
    InputError
        Shapes do not agree, a contrast is not estimable, the design has values that are not
        finite, or there are too few volumes for it and the order.
    """
    data = np.asarray(data)
    matrix: Floats = np.asarray(design).astype(np.float64)
    t_rows: Floats = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    groups = [np.atleast_2d(np.asarray(rows, dtype=np.float64)) for rows in f_contrasts]
    if not t_rows.size:
        t_rows = np.zeros((0, matrix.shape[-1]))
    labels = _check(data, matrix, [t_rows, *groups], order, names)
    setting = _in_basis(matrix, t_rows, groups, labels, order)
    n, df = data.shape[1], len(matrix) - setting.basis.shape[1]

    lags = n_lags(df, order)
    valid = has_data(data)
    before = np.empty((max(order, lags) + 1, n))
    _over_tiles(n, threads, _least_squares, data, valid, setting, before)
    correct = autoregression.bias_correction(setting.basis, order)
    tail = autoregression.tail_correction(setting.basis, order, correct)
    raw = autoregression.autocorrelations(before[: order + 1], correct)
    whole = _in_parts(threads, partial(autoregression.with_tail, tail=tail), raw)
    reflections = autoregression.noise_reflections(whole, valid, smoother, threads)

    n_rows = len(setting.contrasts)
    effect, covariance = np.empty((n_rows, n)), np.empty((len(setting.pairs), n))
    after = np.empty((lags + 1, n))
    products = interleave(_lagged_products(setting.basis, order))
    outputs = reflections, products, effect, covariance, after
    _over_tiles(n, threads, _generalised, data, valid, setting, *outputs)
    covariance *= after[0] / df
    for values in (effect, covariance, before, after):
        values[:, ~valid] = np.nan
    ar = autoregression.coefficients(reflections)
    ar[:, ~valid] = np.nan

    n_t = len(t_rows)
    with np.errstate(invalid='ignore', divide='ignore'):
        t = effect[:n_t] / np.sqrt(covariance[:n_t])
    return GlmFit(
        effect[:n_t],
        covariance[:n_t],
        t,
        _in_parts(threads, partial(z_from_t, dof=df), t),
        df,
        ar.T,
        tuple(_f_contrasts(effect[n_t:], covariance[n_t:], [len(g) for g in groups], df, threads)),
        whiteness(before, after, setting.basis, reflections[:, valid], smoother is not None),
    )


def _check(
    data: npt.NDArray,
    design: Floats,
    contrasts: Sequence[Floats],
    order: int,
    names: Sequence[str] | None,
) -> list[str]:
    """Check shapes and values; the names of the columns."""
    if data.ndim != 2 or design.ndim != 2 or len(data) != len(design):
        raise InputError(
            f'Data of shape {data.shape} do not fit a design of shape {design.shape}: both need '
            'one row per volume.'
        )
    n_columns = design.shape[1]
    labels = [str(i + 1) for i in range(n_columns)] if names is None else list(names)
    for rows in contrasts:
        if len(labels) != n_columns or rows.shape[1] != n_columns:
            raise InputError(
                f'The design has {n_columns} columns, but there are {len(labels)} names and '
                f'contrasts of {rows.shape[1]} weights.'
            )
    bad = [labels[i] for i in np.flatnonzero(~np.isfinite(design).all(axis=0))]
    if bad:
        raise InputError(
            f'Design columns with values that are not finite: {", ".join(bad)}. Correct them or '
            'leave them out.'
        )
    if order < 0:
        raise InputError(f'The order of the noise model is {order}; it must be 0 or more.')
    zero = [labels[i] for i in np.flatnonzero(~design.any(axis=0))]
    if zero:
        raise InputError(f'Design columns that are 0 throughout: {", ".join(zero)}. Remove them.')
    return labels


def _in_basis(
    design: Floats, t_rows: Floats, groups: Sequence[Floats], labels: list[str], order: int
) -> _Design:
    """Bring design and contrasts into an orthonormal basis, in which systems are well posed."""
    size = np.linalg.norm(design, axis=0)
    left, singular, right = np.linalg.svd(design / size, full_matrices=False)
    rank = int((singular > singular[0] * _RANK_TOLERANCE).sum())
    n_volumes = len(design)
    if n_volumes <= rank + order:
        raise InputError(
            f'{n_volumes} volumes are too few for a design of rank {rank} and a noise model '
            f'of order {order}: choose a lower order with --noise-model, or fewer confounds with '
            '--confounds.'
        )
    rows = np.concatenate([t_rows, *groups]) / size
    inside = rows @ right[:rank].T
    outside = np.linalg.norm(rows - inside @ right[:rank], axis=1)
    if (outside > _ESTIMABLE * np.linalg.norm(rows, axis=1)).any():
        guilty = np.flatnonzero((np.abs(right[rank:]) > 1e-4).any(axis=0))
        raise InputError(
            'The design has linearly dependent columns: '
            f'{", ".join(labels[i] for i in guilty)}. A contrast of them cannot be estimated: '
            'leave out one of them, or the contrast.'
        )
    for group in groups:
        if not len(group) or np.linalg.matrix_rank(group / size) < len(group):
            raise InputError(
                'The rows of an F contrast depend on each other; leave out those that follow from '
                'others.'
            )
    pairs = [(row, row) for row in range(len(t_rows))]
    start = len(t_rows)
    scores = inside / singular[:rank]
    for group in groups:
        stop = start + len(group)
        if not separable(scores[start:stop] @ scores[start:stop].T):
            used = [labels[i] for i in np.flatnonzero(group.any(axis=0))]
            raise InputError(
                f'The rows of the F contrast of {", ".join(used)} cannot be told apart: their '
                'columns are nearly linearly dependent in this run. Leave out one of the rows.'
            )
        pairs += [(i, j) for i in range(start, stop) for j in range(i, stop)]
        start = stop
    basis = np.ascontiguousarray(left[:, :rank])
    return _Design(
        basis,
        interleave(basis.T),
        interleave(basis),
        scores,
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
    )


def _lagged_products(basis: Floats, order: int) -> Floats:
    """Trimmed lagged cross-products of the design.

    Shape (n (n + 1) / 2, (order + 1) (order + 2) / 2): entries of the lower triangle row by row,
    and pairs of lags i <= j. A pair is the sum over s = i .. T - 1 - j of x(s) x(s + j - i)', and
    of its transpose for i < j.
    """
    n_volumes, n_columns = basis.shape
    below = np.tril_indices(n_columns)
    pairs = []
    for i in range(order + 1):
        for j in range(i, order + 1):
            product = basis[i : n_volumes - j].T @ basis[j : n_volumes - i]
            pairs.append((product if i == j else product + product.T)[below])
    return np.stack(pairs, axis=1)


def _over_tiles(n: int, threads: int, work: Callable[..., None], *arrays: object) -> None:
    """Do `work` on tiles of grayordinates; each thread takes some tiles at a time."""
    step = BLOCK * _TILES
    starts = range(0, n, step)

    def some(start: int) -> None:
        for first in range(start, min(start + step, n), BLOCK):
            work(slice(first, min(first + BLOCK, n)), *arrays)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, starts))


def _residuals(
    here: slice, data: npt.NDArray, valid: npt.NDArray[np.bool_], setting: _Design
) -> tuple[Floats, Floats]:
    """Residuals (n_volumes, BLOCK) and coefficients of a tile; 0 where there are no data."""
    n_volumes, rank = setting.basis.shape
    width = here.stop - here.start
    tile, fitted = np.zeros((n_volumes, BLOCK)), np.empty((rank, BLOCK))
    tile[:, :width] = data[:, here]
    tile[:, :width][:, ~valid[here]] = 0
    project(tile, setting.columns, setting.rows, fitted)
    return tile, fitted


def _least_squares(
    here: slice,
    data: npt.NDArray,
    valid: npt.NDArray[np.bool_],
    setting: _Design,
    sums: Floats,
) -> None:
    """Fill `sums` of lagged products of residuals; what the design fits perfectly is no data."""
    tile, fitted = _residuals(here, data, valid, setting)
    found = np.empty((len(sums), BLOCK))
    lag_sums(tile, found)
    width = here.stop - here.start
    sums[:, here] = found[:, :width]
    left = found[0, :width]
    total = left + (fitted[:, :width] ** 2).sum(axis=0)
    valid[here] &= left > PERFECT * total


def _generalised(
    here: slice,
    data: npt.NDArray,
    valid: npt.NDArray[np.bool_],
    setting: _Design,
    reflections: Floats,
    products: Floats,
    effect: Floats,
    covariance: Floats,
    sums: Floats,
) -> None:
    """Fill effects, covariances for innovations of variance 1, and sums of lagged products."""
    tile, fitted = _residuals(here, data, valid, setting)
    width = here.stop - here.start
    noise = np.zeros((len(reflections), BLOCK))
    noise[:, :width] = reflections[:, here]
    filled = [np.empty((len(values), BLOCK)) for values in (effect, covariance, sums)]
    solve_tile(
        tile,
        noise,
        setting.basis,
        setting.columns,
        setting.rows,
        products,
        setting.contrasts,
        setting.pairs,
        fitted,
        *filled,
    )
    for values, found in zip((effect, covariance, sums), filled, strict=True):
        values[:, here] = found[:, :width]


def _in_parts(threads: int, function: Callable[[Floats], Floats], values: Floats) -> Floats:
    """Apply a function of single values; each thread takes some grayordinates at a time."""
    out = np.empty_like(values)

    def some(start: int) -> None:
        here = slice(start, start + BLOCK * _TILES)
        out[..., here] = function(values[..., here])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(some, range(0, values.shape[-1], BLOCK * _TILES)))
    return out


def _f_contrasts(
    effect: Floats, covariance: Floats, sizes: Sequence[int], df: int, threads: int
) -> list[FContrast]:
    """Cut the rows of all F contrasts into one result each."""
    results = []
    for size in sizes:
        n_pairs = size * (size + 1) // 2
        part, joint = effect[:size], covariance[:n_pairs]
        f = f_statistic(part, joint)
        z = _in_parts(threads, partial(z_from_f, rank=size, dof=df), f)
        results.append(FContrast(part, joint, f, z))
        effect, covariance = effect[size:], covariance[n_pairs:]
    return results
