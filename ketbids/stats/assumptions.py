"""What sign flips and permutations take for granted, seen in the residuals."""

import numpy as np
import numpy.typing as npt
from scipy import stats

__all__ = ['residual_skewness', 'variance_ratio']

Floats = npt.NDArray[np.float64]

#: Part of the grayordinates that may look strange before it is said.
_TOLERATED = 0.05
_LARGE_RATIO = 2.0


def residual_skewness(residuals: Floats) -> tuple[dict[str, float], list[str]]:
    """Skewness of the residuals, because sign flips need symmetric errors.

    Parameters
    ----------
    residuals : ndarray, shape (n_rows, n_grayordinates)
        NaN where a value is missing; grayordinates with fewer than 4 are not judged.

    Returns
    -------
    summary : dict of str to float
        ``skewness_median``; ``skewness_share``: part of the grayordinates whose absolute skewness
        is above 1 and above 2.6 standard errors of a normal sample (about .01 of a normal map).
    warnings : list of str
        A sentence if that part is above .05.
    """
    if len(residuals) < 4:
        return {}, []
    present = np.isfinite(residuals)
    n = present.sum(axis=0)
    judged = n >= 4
    if not judged.any():
        return {}, []
    n, filled = n[judged], np.ascontiguousarray(np.where(present, residuals, 0)[:, judged])
    spread = np.sqrt((filled**2).sum(axis=0) / n)
    scaled = filled / np.where(spread > 0, spread, 1)
    cubes = (scaled * scaled * scaled).sum(axis=0) / n
    skewness = cubes * np.sqrt(n * (n - 1)) / (n - 2)
    error = np.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3)))
    limits = np.maximum(1.0, 2.6 * error)
    share = float((np.abs(skewness) > limits).mean())
    median = float(np.median(skewness))
    strong = float(np.median(limits))
    warnings = []
    if share > _TOLERATED:
        warnings.append(
            f'The errors are not symmetric: {share:.0%} of the grayordinates have residuals with '
            f'an absolute skewness above {strong:.1f} (median over all: {median:+.2f}). Sign '
            'flips need symmetric errors, so the p-values of this analysis can be too small.'
        )
    return {'skewness_median': median, 'skewness_share': share}, warnings


def variance_ratio(
    residuals: Floats, labels: npt.NDArray[np.integer], leverage: Floats
) -> tuple[dict[str, float], list[str]]:
    """Ratio of the residual variances of two groups, because permutations need equal ones.

    Parameters
    ----------
    residuals : ndarray, shape (n_rows, n_grayordinates)
        NaN where a value is missing; grayordinates with fewer than 3 in a group are not judged.
    labels : ndarray of int, shape (n_rows,)
        Group of each row; with more or fewer than two groups nothing is said.
    leverage : ndarray, shape (n_rows,) or (n_rows, n_grayordinates)
        Diagonal of the projection on the design; NaN where a value is missing.

    Returns
    -------
    summary : dict of str to float
        ``variance_ratio_median``, of the smaller to the larger group (the first to the second if
        equal); ``variance_ratio_share``: part of the grayordinates outside the central 99 % of F.
    warnings : list of str
        A sentence if the median is above 2 or below 1/2.
    """
    groups, sizes = np.unique(labels, return_counts=True)
    if len(groups) != 2 or sizes.min() < 3:
        return {}, []
    small, large = np.argsort(sizes, kind='stable')
    members = [labels == groups[group] for group in (small, large)]
    present = np.isfinite(residuals)
    # The expected sum of squares of these rows if all errors had variance 1.
    dofs = [np.nansum(1 - leverage[rows], axis=0) for rows in members]
    judged = np.all(
        [
            (present[rows].sum(axis=0) >= 3) & (dof > 0.5)
            for rows, dof in zip(members, dofs, strict=True)
        ],
        axis=0,
    )
    if not judged.any():
        return {}, []
    filled = np.ascontiguousarray(np.where(present, residuals, 0)[:, judged])
    dofs = [dof[judged] if np.ndim(dof) else dof for dof in dofs]
    variances = [
        (filled[rows] ** 2).sum(axis=0) / dof for rows, dof in zip(members, dofs, strict=True)
    ]
    ratio = variances[0] / np.maximum(variances[1], np.finfo(float).tiny)
    low, high = (stats.f.ppf(q, dofs[0], dofs[1]) for q in (0.005, 0.995))
    median = float(np.median(ratio))
    summary = {
        'variance_ratio_median': median,
        'variance_ratio_share': float(((ratio < low) | (ratio > high)).mean()),
    }
    warnings = []
    if not 1 / _LARGE_RATIO <= median <= _LARGE_RATIO:
        # The pooled variance follows the larger group.
        wrong = 'too large' if median < 1 and sizes[small] < sizes[large] else 'too small'
        warnings.append(
            f'The two groups vary differently: the residual variance of the group of '
            f'{sizes[small]} is {median:.2f} times that of the group of {sizes[large]} (median '
            'over grayordinates). Permutations need equal variances, so the p-values of this '
            f'analysis can be {wrong}. VarianceGroups in the model file gives each group a '
            'variance of its own.'
        )
    return summary, warnings
