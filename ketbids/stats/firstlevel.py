"""General linear model of a run with autoregressive noise, grayordinate by grayordinate."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ketbids.errors import InputError
from ketbids.stats import autoregression
from ketbids.stats.smoothing import apply_smoothing
from ketbids.stats.zscore import z_from_t

__all__ = [
    'GRAND_MEAN',
    'GlmFit',
    'Scaling',
    'combine_runs',
    'fit_glm',
    'has_data',
    'scale_factor',
]

#: Mean that intensities are brought to; that of the HCP pipelines.
GRAND_MEAN = 10000.0

#: Singular values below this share of the largest, of columns of length 1, count as 0.
_RANK_TOLERANCE = 1e-8
#: A residual sum of squares below this share of the total counts as a perfect fit.
_PERFECT = 1e-18
#: Intensities beyond it have no square in single precision: the file is damaged.
_ABSURD = 1e18
#: Numbers in work at a time (16 MB).
_BLOCK = 2_000_000


class GlmFit(NamedTuple):
    """Result of a fit; NaN where the data are constant or not finite.

    Attributes
    ----------
    effect : ndarray, shape (n_contrasts, n_grayordinates)
        Contrast estimates in units of the data.
    variance : ndarray, shape (n_contrasts, n_grayordinates)
        Their variances.
    t, z : ndarray, shape (n_contrasts, n_grayordinates)
        Student's t and the normal deviate of the same tail.
    dof : int
        Residual degrees of freedom, volumes less columns.
    ar : ndarray, shape (n_grayordinates, order)
        Autoregressive coefficients, noise(t) = sum_i ar_i noise(t - i) + white.
    """

    effect: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    t: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64]
    dof: int
    ar: npt.NDArray[np.float64]


class Scaling(NamedTuple):
    """How intensities become percent signal.

    Attributes
    ----------
    factor : float
        Multiply the data by it.
    mean : float
        Mean of the scaled data, 100 % of the signal; NaN if there is none.
    text : str
        What was done, for a sidecar.
    """

    factor: float
    mean: float
    text: str


def fit_glm(
    data: npt.NDArray[np.floating],
    design: npt.NDArray[np.floating],
    contrasts: npt.NDArray[np.floating],
    order: int = 6,
    *,
    names: Sequence[str] | None = None,
    smoother: sparse.csr_matrix | None = None,
) -> GlmFit:
    r"""Fit a general linear model with AR(p) noise to every grayordinate.

    The autocovariances of the least-squares residuals are corrected for the bias that the design
    puts on them (Worsley et al. 2002, NeuroImage 15:1, appendix A.3), the Yule-Walker equations
    are solved by Levinson's recursion with partial autocorrelations below 1, and effects are
    generalised least-squares estimates under the exact stationary covariance, whose inverse is

    .. math:: \Sigma^{-1} = (A_1 A_1^T - A_2 A_2^T) / \sigma^2

    (Gohberg & Semencul 1972), with lower-triangular Toeplitz matrices of first columns
    :math:`(1, -\phi_1, ..., -\phi_p, 0, ...)` and :math:`(0, ..., 0, -\phi_p, ..., -\phi_1)`.
    For the design this comes down to trimmed lagged cross-products (Box & Jenkins, Time Series
    Analysis, appendix A7.4), which all grayordinates share.

    Parameters
    ----------
    data : ndarray, shape (n_volumes, n_grayordinates)
        Time series.
    design : ndarray, shape (n_volumes, n_columns)
        Design matrix, of full rank.
    contrasts : ndarray, shape (n_contrasts, n_columns)
        Weights.
    order : int
        Order p of the noise model; 0 is ordinary least squares.
    names : sequence of str, optional
        Names of the columns of the design, for messages.
    smoother : sparse matrix, shape (n_grayordinates, n_grayordinates), optional
        Weights (:func:`~ketbids.stats.smoothing.smoothing_matrix`) that smooth the residual
        autocorrelations over the mesh before they become coefficients.

    Returns
    -------
    GlmFit
        Effects, variances, t, z, degrees of freedom and noise coefficients.

    Raises
    ------
    InputError
        Shapes do not agree, the design has dependent columns, values that are not finite or too
        few volumes, or the order is too high.
    """
    data = np.asarray(data)
    matrix: npt.NDArray[np.float64] = np.asarray(design).astype(np.float64)
    rows: npt.NDArray[np.float64] = np.atleast_2d(contrasts).astype(np.float64)
    _check(data, matrix, rows, order, names)
    n_volumes, n_columns = matrix.shape
    n = data.shape[1]
    # In an orthonormal basis of the design every system below is well conditioned.
    basis, triangle = np.linalg.qr(matrix)
    weights = np.linalg.solve(triangle.T, rows.T).T
    blocks = _blocks(n, n_volumes, n_columns)
    valid = np.zeros(n, dtype=bool)
    for block in blocks:
        valid[block] = _has_signal(data[:, block], basis)

    ar = np.full((n, order), np.nan)
    if order:
        correlations = np.full((n, order), np.nan)
        correct = autoregression.bias_correction(basis, order)
        for block in blocks:
            keep = np.flatnonzero(valid[block]) + block.start
            residual = _residuals(data[:, keep], basis)[0]
            correlations[keep] = autoregression.autocorrelations(residual, order, correct)
        if smoother is not None:
            correlations = apply_smoothing(smoother, correlations.T).T
        ar[valid] = autoregression.levinson(correlations[valid])

    shape = (len(rows), n)
    effect, variance = np.full(shape, np.nan), np.full(shape, np.nan)
    products = autoregression.trimmed_products(basis, order)
    dof = n_volumes - n_columns
    for block in blocks:
        keep = np.flatnonzero(valid[block]) + block.start
        residual, fitted = _residuals(data[:, keep], basis)
        filters = np.concatenate([np.ones((len(keep), 1)), -ar[keep]], axis=1)
        effect[:, keep], variance[:, keep] = _generalised(
            residual, fitted, basis, filters, products, weights, dof
        )
    with np.errstate(invalid='ignore', divide='ignore'):
        t = effect / np.sqrt(variance)
    return GlmFit(effect, variance, t, z_from_t(t, dof), dof, ar)


def has_data(data: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Tell which grayordinates of a time series can be analysed.

    Parameters
    ----------
    data : ndarray, shape (n_volumes, n_grayordinates)

    Returns
    -------
    ndarray of bool, shape (n_grayordinates,)
        False where a value is not finite (or as large as only a damaged file has), or where all
        are equal.
    """
    low, high = data.min(axis=0), data.max(axis=0)  # NaN and infinity come through
    return (low > -_ABSURD) & (high < _ABSURD) & (low < high)


def combine_runs(
    effects: npt.NDArray[np.floating], variances: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Combine runs of one contrast: fixed effects, weighted by precision.

    Parameters
    ----------
    effects, variances : ndarray, shape (n_runs, n_grayordinates)
        Effects in the same units, and their variances. A run counts at a grayordinate if both
        are finite and the variance is positive.

    Returns
    -------
    effect, variance : ndarray, shape (n_grayordinates,)
        sum(e / v) / sum(1 / v) and 1 / sum(1 / v); NaN where no run counts.

    Raises
    ------
    InputError
        The shapes differ.
    """
    effects = np.asarray(effects, dtype=np.float64)
    variances = np.asarray(variances, dtype=np.float64)
    if effects.ndim != 2 or effects.shape != variances.shape:
        raise InputError(
            f'Effects of shape {effects.shape} and variances of shape {variances.shape} cannot '
            'be combined: one row per run is needed in both, over the same grayordinates.'
        )
    counts = np.isfinite(effects) & np.isfinite(variances) & (variances > 0)
    precision = np.divide(1.0, variances, out=np.zeros_like(variances), where=counts)
    total = precision.sum(axis=0)
    weighted = (precision * np.where(counts, effects, 0)).sum(axis=0)
    with np.errstate(invalid='ignore', divide='ignore'):
        return weighted / total, np.where(total > 0, 1 / total, np.nan)


def scale_factor(
    mean_map: npt.NDArray[np.floating],
    sd_map: npt.NDArray[np.floating],
    mode: Literal['grandMean', 'median'] = 'median',
) -> Scaling:
    """Decide how a run's intensities are scaled.

    Parameters
    ----------
    mean_map, sd_map : ndarray, shape (n_grayordinates,)
        Mean and standard deviation over time. Grayordinates that are not finite, or whose mean
        and standard deviation are 0, are left out.
    mode : {'grandMean', 'median'}
        ``'grandMean'``: the pipeline gave the run a grand mean of 10000 (HCP), which is kept if
        the data bear it out within a factor of 2. ``'median'``: the median of the temporal means
        is brought to 10000.

    Returns
    -------
    Scaling
        The factor, the mean after scaling and a text. Where the mean is not far from 0 against
        the changes over time, the mean was removed: factor 1, mean NaN.

    Raises
    ------
    InputError
        No grayordinate has data, or the mode is unknown.
    """
    if mode not in ('grandMean', 'median'):
        raise InputError(f'There is no scaling {mode!r}; choose grandMean or median.')
    mean_map = np.asarray(mean_map, dtype=np.float64)
    sd_map = np.asarray(sd_map, dtype=np.float64)
    found = np.isfinite(mean_map) & np.isfinite(sd_map) & ((mean_map != 0) | (sd_map != 0))
    if not found.any():
        raise InputError('No grayordinate of the run has data: every value is 0 or not finite.')
    median, spread = float(np.median(mean_map[found])), float(np.median(sd_map[found]))
    if median <= spread:
        return Scaling(
            1.0,
            float('nan'),
            f'arbitrary units; median temporal mean {median:.4g} is near 0 (median temporal '
            f'standard deviation {spread:.4g}): no percent signal change can be given',
        )
    if mode == 'grandMean' and GRAND_MEAN / 2 <= median <= GRAND_MEAN * 2:
        return Scaling(
            1.0,
            GRAND_MEAN,
            f'units of the input, whose grand mean is {GRAND_MEAN:g} (median temporal mean '
            f'{median:.5g})',
        )
    factor = GRAND_MEAN / median
    text = (
        f'scaled by {factor:.6g}, so that the median temporal mean, {median:.5g}, is '
        f'{GRAND_MEAN:g}'
    )
    if mode == 'grandMean':
        text += f'; the grand mean of {GRAND_MEAN:g} expected of this input was not found'
    return Scaling(factor, GRAND_MEAN, text)


def _blocks(n: int, n_volumes: int, n_columns: int) -> list[slice]:
    """Grayordinates in work at a time."""
    width = max(64, _BLOCK // max(n_volumes, n_columns**2))
    return [slice(start, start + width) for start in range(0, n, width)]


def _check(
    data: npt.NDArray,
    design: npt.NDArray[np.float64],
    contrasts: npt.NDArray[np.float64],
    order: int,
    names: Sequence[str] | None,
) -> None:
    if data.ndim != 2 or design.ndim != 2 or len(data) != len(design):
        raise InputError(
            f'Data of shape {data.shape} do not fit a design of shape {design.shape}: both need '
            'one row per volume.'
        )
    n_volumes, n_columns = design.shape
    labels = [str(i + 1) for i in range(n_columns)] if names is None else list(names)
    if len(labels) != n_columns or contrasts.shape[1] != n_columns:
        raise InputError(
            f'The design has {n_columns} columns, but there are {len(labels)} names and '
            f'contrasts of {contrasts.shape[1]} weights.'
        )
    bad = [labels[i] for i in np.flatnonzero(~np.isfinite(design).all(axis=0))]
    if bad:
        raise InputError(
            f'Design columns with values that are not finite: {", ".join(bad)}. Correct them or '
            'leave them out.'
        )
    if n_volumes <= n_columns + order:
        raise InputError(
            f'{n_volumes} volumes are too few for {n_columns} design columns and a noise model '
            f'of order {order}: choose fewer confounds with --confounds.'
        )
    if order < 0:
        raise InputError(f'The order of the noise model is {order}; it must be 0 or more.')
    size = np.linalg.norm(design, axis=0)
    if (size == 0).any():
        zero = [labels[i] for i in np.flatnonzero(size == 0)]
        raise InputError(f'Design columns that are 0 throughout: {", ".join(zero)}. Remove them.')
    _, singular, rows = np.linalg.svd(design / size, full_matrices=False)
    null = rows[singular <= singular[0] * _RANK_TOLERANCE]
    if len(null):
        guilty = np.flatnonzero((np.abs(null) > 1e-4).any(axis=0))
        raise InputError(
            'The design has linearly dependent columns: '
            f'{", ".join(labels[i] for i in guilty)}. Leave out one of them.'
        )


def _has_signal(data: npt.NDArray, basis: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Columns that are finite, not constant and not within the design; shape (V,)."""
    finite = np.isfinite(data).all(axis=0)
    some = np.where(finite, data, 0).astype(np.float64)
    changing = np.ptp(some, axis=0) > 0
    residual = _residuals(some, basis)[0]
    left = np.einsum('tv,tv->v', residual, residual)
    total = np.einsum('tv,tv->v', some, some)
    return finite & changing & (left > _PERFECT * total)


def _residuals(
    data: npt.NDArray, basis: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Least-squares residuals (T, V) and coefficients (K, V) on an orthonormal basis."""
    values = data.astype(np.float64)
    fitted = basis.T @ values
    values -= basis @ fitted
    return values, fitted


def _generalised(
    residual: npt.NDArray[np.float64],
    fitted: npt.NDArray[np.float64],
    basis: npt.NDArray[np.float64],
    filters: npt.NDArray[np.float64],
    products: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    dof: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Generalised least squares of a block; effects and variances, each (C, V).

    The least-squares residuals stand for the data, whose large mean would cost digits.
    """
    n_columns = basis.shape[1]
    pairs = np.stack(
        [filters[:, i] * filters[:, j] for i, j in autoregression.pairs(filters.shape[1] - 1)],
        axis=1,
    )
    information = (pairs @ products).reshape(-1, n_columns, n_columns)
    whitened = autoregression.precision_times(residual, filters)
    right = (basis.T @ whitened).T
    square = np.einsum('tv,tv->v', residual, whitened)
    systems = np.concatenate(
        [right[:, :, None], np.broadcast_to(weights.T, (len(right), *weights.T.shape))], axis=2
    )
    solved = np.linalg.solve(information, systems)
    change = solved[:, :, 0]
    noise = (square - np.einsum('vk,vk->v', change, right)) / dof
    effect = weights @ (fitted + change.T)
    variance = np.einsum('ck,vkc->cv', weights, solved[:, :, 1:]) * noise
    return effect, variance
