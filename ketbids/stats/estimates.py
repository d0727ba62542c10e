"""The contrast in the data as they are: statistic, effect, standard error, effect size."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.stats.freedman_lane import PartitionedDesign, StatisticKind, statistic_kind
from ketbids.stats.products import BLOCK, tile_residuals
from ketbids.stats.variancegroups import group_design, welch
from ketbids.stats.zscore import LARGEST_RATIO, z_from_f, z_from_t

__all__ = ['Estimate', 'GlmMaps', 'Intervals', 'estimate', 'glm_maps', 'intervals']

Floats = npt.NDArray[np.float64]

# Locations that are done at a time.
_CHUNK = 64 * BLOCK


class Estimate(NamedTuple):
    """The contrast in the data as they are.

    Attributes
    ----------
    kind : {'t', 'F', 'v', 'G'}
        What ``statistic`` is.
    statistic, z : ndarray, shape (n_grayordinates,)
        The statistic, and the z of the same tail probability (of the upper tail for F and G).
    effect : ndarray, shape (n_grayordinates,)
        Estimate of the contrast, in units of the data; NaN for F and G, which have none.
    variance : ndarray, shape (n_grayordinates,)
        Its variance: ``effect / sqrt(variance)`` is t or v; NaN for F and G.
    residual_sd : ndarray, shape (n_grayordinates,)
        Residual standard deviation, of all rows together also for v and G.
    dof : ndarray, shape (n_grayordinates,)
        Degrees of freedom of the denominator, by which the statistic becomes z.
    n_maps : ndarray of int, shape (n_grayordinates,)
        Rows that the estimate is from.
    residuals : ndarray, shape (n_rows, n_grayordinates)
        Residuals of the whole model; no rows where they were not asked for.
    """

    kind: StatisticKind
    statistic: Floats
    z: Floats
    effect: Floats
    variance: Floats
    residual_sd: Floats
    dof: Floats
    n_maps: npt.NDArray[np.int64]
    residuals: Floats

    @property
    def t(self) -> Floats:
        """The statistic; Student's t where ``kind`` says so."""
        return self.statistic


class Intervals(NamedTuple):
    """How sure and how large an effect is; each of shape (n_grayordinates,), NaN for F and G.

    Attributes
    ----------
    standard_error : ndarray
        Of the effect, in its units.
    low, high : ndarray
        Limits of the confidence interval of the effect.
    cohen_d : ndarray
        Effect by residual standard deviation, both of the same model. With one group or pairs and
        an effect that is a mean, that is the mean in standard deviations of the maps (d_z for
        differences of pairs); with two groups and the contrast 1, -1 the difference of the means
        by the pooled standard deviation; with other contrasts, or weights, in their units. What
        covariates explain is not in the standard deviation.
    """

    standard_error: Floats
    low: Floats
    high: Floats
    cohen_d: Floats


class GlmMaps(NamedTuple):
    """Maps of PALM's ``-saveglm``; each of shape (n_grayordinates,).

    Attributes
    ----------
    cope : ndarray
        Estimate of the contrast.
    varcope : ndarray
        Its variance under one residual variance of all rows, also for v.
    cohen : ndarray
        ``cope`` by the residual standard deviation, times the range of the tested column of the
        partitioned design together with 0.
    cfvar : ndarray
        1 by ``cohen``.
    """

    cope: Floats
    varcope: Floats
    cohen: Floats
    cfvar: Floats


def estimate(
    data: npt.NDArray[np.floating],
    parts: PartitionedDesign,
    groups: npt.ArrayLike | None = None,
    residuals: bool = False,
    shuffle: tuple[npt.NDArray[np.int64], Floats] | None = None,
) -> Estimate:
    """Fit the model to the data as they are, or as one shuffle has them.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
        Finite, not constant.
    parts : PartitionedDesign
    groups : array_like of int, shape (n_rows,), optional
        Variance groups.
    residuals : bool
        Keep the residuals.
    shuffle : tuple of ndarray, optional
        ``rows`` and ``signs``: row i of the shuffled design is ``signs[i]`` times row ``rows[i]``
        of the design. The residuals are then in the order of the design.

    Returns
    -------
    Estimate

    Raises
    ------
    InputError
        See `ketbids.stats.variancegroups.group_design`.
    """
    n_rows, n = data.shape
    rank, basis = parts.rank, parts.basis
    kept = np.empty((n_rows if residuals else 0, n))
    statistic, dof, effect, variance, residual_sd = np.full((5, n), np.nan)
    variances = None if groups is None else group_design(parts, groups)
    if shuffle is not None:
        data = _shuffled_data(data, parts, *shuffle)
        if variances is not None and parts.nuisance.shape[1] == 0:
            # The groups are rows of the data: they move with them.
            codes = np.empty_like(variances.codes)
            codes[shuffle[0]] = variances.codes
            variances = variances._replace(codes=codes)
    if variances is not None:
        members = variances.codes == np.arange(len(variances.sizes))[:, None]
        gram = np.stack([basis[rows].T @ basis[rows] for rows in members])
    # Coefficients of the orthonormal basis are this times those of the tested column.
    scale = np.linalg.norm(parts.tested)
    for start in range(0, n, _CHUNK):
        here = slice(start, min(start + _CHUNK, n))
        tiles, _ = tile_residuals(data, here, basis)
        left = tiles.transpose(1, 0, 2).reshape(n_rows, -1)[:, : here.stop - here.start]
        products = np.stack([(basis[:, i, None] * data[:, here]).sum(axis=0) for i in range(rank)])
        explained, squares = (products**2).sum(axis=0), (left**2).sum(axis=0)
        floor = (explained + squares) / LARGEST_RATIO
        squares = np.maximum(squares, floor)
        residual_sd[here] = np.sqrt(squares / parts.dof)
        if variances is not None:
            grouped = np.stack([(left[rows] ** 2).sum(axis=0) for rows in members])
            grouped = np.maximum(grouped, floor)
            statistic[here], dof[here], precision = welch(products, grouped, gram, variances, rank)
            if rank == 1:
                variance[here] = 1 / precision[:, 0, 0] / scale**2
        elif rank == 1:
            variance[here] = squares / parts.dof / scale**2
        else:
            statistic[here] = explained / rank / (squares / parts.dof)
        if rank == 1:
            effect[here] = products[0] / scale
            statistic[here] = effect[here] / np.sqrt(variance[here])
        if residuals:
            kept[:, here] = left
    if variances is None:
        dof[:] = parts.dof
    z = z_from_t(statistic, dof) if rank == 1 else z_from_f(statistic, rank, dof)
    kind = statistic_kind(parts, groups is not None)
    n_maps = np.full(n, n_rows)
    return Estimate(kind, statistic, z, effect, variance, residual_sd, dof, n_maps, kept)


def intervals(fit: Estimate, level: float = 0.95) -> Intervals:
    """Standard error and confidence interval of the effect, and Cohen's d.

    Parameters
    ----------
    fit : Estimate
        Of a contrast of rank 1.
    level : float
        Of confidence, in (0, 1).

    Returns
    -------
    Intervals

    Notes
    -----
    The quantile is that of Student's t; for v with Welch's degrees of freedom (1947, Biometrika
    34:28-35), which are three times those by which v becomes z
    (``ketbids.stats.variancegroups``). The interval is parametric: it goes neither with the
    p-values of shuffles nor with a correction over grayordinates.
    """
    dof = 3 * fit.dof if fit.kind == 'v' else fit.dof
    error = np.sqrt(fit.variance)
    reach = special.stdtrit(dof, (1 + level) / 2) * error
    return Intervals(error, fit.effect - reach, fit.effect + reach, fit.effect / fit.residual_sd)


def glm_maps(fit: Estimate, parts: PartitionedDesign) -> GlmMaps:
    """What PALM saves with ``-saveglm``, by its ``palm_cohen``.

    Parameters
    ----------
    fit : Estimate
        Of a contrast of rank 1 (PALM has none of these maps for others).
    parts : PartitionedDesign
        Of the fit.

    Returns
    -------
    GlmMaps
    """
    reach = max(float(parts.tested.max()), 0.0) - min(float(parts.tested.min()), 0.0)
    cohen = fit.effect * reach / fit.residual_sd
    with np.errstate(divide='ignore'):
        inverse = 1 / cohen
    varcope = fit.residual_sd**2 / (parts.tested**2).sum()
    return GlmMaps(fit.effect, varcope, cohen, inverse)


def _shuffled_data(
    data: npt.NDArray[np.floating],
    parts: PartitionedDesign,
    rows: npt.NDArray[np.int64],
    signs: Floats,
) -> Floats:
    """The data that give the statistic of a shuffle when the model itself is fitted to them.

    By Freedman and Lane, (P' Rz + Hz) Y: what the nuisance leaves, shuffled, and what it explains.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
    parts : PartitionedDesign
    rows, signs : ndarray, shape (n_rows,)
        Row i of the shuffled design P M is ``signs[i]`` times row ``rows[i]`` of the design.

    Returns
    -------
    ndarray, shape (n_rows, n_grayordinates)
    """
    explained = parts.nuisance @ (parts.nuisance.T @ data)
    out = np.empty(data.shape)
    out[rows] = signs[:, None] * (data - explained)
    return out + explained
