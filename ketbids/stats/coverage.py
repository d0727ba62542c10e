"""Which grayordinates can be tested if maps lack values, and each with which maps."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.stats.estimates import Estimate, estimate
from ketbids.stats.freedman_lane import PartitionedDesign, restrict_design, statistic_kind
from ketbids.stats.incomplete import Pattern
from ketbids.stats.shuffling import ShuffleSet

__all__ = ['Coverage', 'estimate_covered', 'find_coverage', 'leverages']

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: A grayordinate lacks few maps up to this share, and it is said if so many do.
_FEW_MAPS = 0.2
_MANY_GRAYORDINATES = 0.01


class Coverage(NamedTuple):
    """What can be tested.

    Attributes
    ----------
    n_maps : ndarray of int, shape (n_grayordinates,)
        Maps with a value.
    mask : ndarray of bool, shape (n_grayordinates,)
        Whether the contrast can be tested with them.
    patterns : list of Pattern
        Grayordinates of the mask that lack values, by the rows that have them; their columns
        number the grayordinates of the mask.
    warnings : list of str
        Sentences about what is lost or incomplete.
    """

    n_maps: npt.NDArray[np.int64]
    mask: Bools
    patterns: list[Pattern]
    warnings: list[str]


def find_coverage(
    maps: Floats,
    design: Floats,
    contrast: Floats,
    parts: PartitionedDesign,
    shuffles: ShuffleSet,
    min_coverage: float = 1.0,
    row_names: Sequence[str] | None = None,
) -> Coverage:
    """Find what can be tested.

    A grayordinate can be tested if at least ``min_coverage`` of the maps have a value there and
    if these vary, tell the contrast, leave a residual degree of freedom and can be shuffled (for
    permutations: they differ in the tested columns).

    Parameters
    ----------
    maps : ndarray, shape (n_rows, n_grayordinates)
        Not finite where a value is missing.
    design : ndarray, shape (n_rows, n_columns)
    contrast : ndarray, shape (n_columns,)
    parts : PartitionedDesign
        Of all rows.
    shuffles : ShuffleSet
    min_coverage : float
        Share of the maps, in (0, 1].
    row_names : sequence of str, optional
        Names of the maps for sentences.

    Returns
    -------
    Coverage

    Raises
    ------
    InputError
        Nothing can be tested.
    """
    n_rows = len(maps)
    finite = np.isfinite(maps)
    n_maps = finite.sum(axis=0)
    fewest = max(1, math.ceil(min_coverage * n_rows - 1e-9))
    covered = n_maps >= fewest
    if not covered.any():
        where = 'all' if fewest == n_rows else f'at least {fewest} of the'
        raise InputError(
            f'No grayordinate has a value in {where} {n_rows} maps; look for a map that is empty.'
        )
    complete = n_maps == n_rows
    mask = complete.copy()
    mask[complete] = _varies(maps if complete.all() else maps[:, complete], parts)
    labels = shuffles.labels if shuffles.kind == 'permutations' else None
    groups = _same_rows(finite, np.flatnonzero(covered & ~complete))
    patterns, not_told = [], 0
    for rows, columns in groups:
        restricted = restrict_design(design, contrast, rows)
        if restricted is None or (labels is not None and len(np.unique(labels[rows])) < 2):
            not_told += len(columns)
            continue
        columns = columns[_varies(maps[np.ix_(rows, columns)], restricted)]
        mask[columns] = True
        if len(columns):
            patterns.append(Pattern(rows, columns, restricted))
    if not mask.any():
        raise InputError('All maps are constant over rows; there is nothing to test.')
    place = np.cumsum(mask) - 1
    patterns = [pattern._replace(columns=place[pattern.columns]) for pattern in patterns]
    constant = int((covered & ~mask).sum()) - not_told
    warnings = _lost(mask, int((~covered).sum()), not_told, constant, fewest, n_rows)
    if patterns:
        fewest_found = min(len(pattern.rows) for pattern in patterns)
        n = sum(len(pattern.columns) for pattern in patterns)
        warnings.append(
            f'{n} of the {int(mask.sum())} grayordinates that are tested lack a value in some '
            f'maps (they have {fewest_found} of {n_rows} at least); each is tested with the maps '
            'that have one.'
        )
    if fewest == n_rows:
        warnings += _costly_map(finite, n_maps, row_names)
    return Coverage(n_maps, mask, patterns, warnings)


def _varies(values: Floats, parts: PartitionedDesign) -> Bools:
    """Columns that are not constant and not explained wholly by the nuisance; finite values."""
    nuisance = parts.nuisance
    left = ((values - nuisance @ (nuisance.T @ values)) ** 2).sum(axis=0)
    # What is left of a map that the nuisance explains wholly is rounding.
    return (np.ptp(values, axis=0) > 0) & (left > 1e-26 * (values**2).sum(axis=0))


def _same_rows(
    finite: Bools, columns: npt.NDArray[np.int64]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Columns that have values in the same rows: these rows, and the columns."""
    if not len(columns):
        return []
    packed = np.packbits(finite[:, columns], axis=0)
    _, first, code = np.unique(packed.T, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(code.reshape(-1), kind='stable')
    ends = np.cumsum(np.bincount(code.reshape(-1)))
    return [
        (np.flatnonzero(finite[:, columns[i]]), columns[part])
        for i, part in zip(first, np.split(order, ends[:-1]), strict=True)
    ]


def _lost(
    mask: Bools, uncovered: int, not_told: int, constant: int, fewest: int, n_rows: int
) -> list[str]:
    """A sentence about the grayordinates that are not tested."""
    lost = len(mask) - int(mask.sum())
    if lost == 0:
        return []
    if fewest == n_rows:
        reasons = f'{uncovered} lack a value in at least one map'
    else:
        reasons = (
            f'{uncovered} have a value in fewer than {fewest} of the {n_rows} maps, {not_told} in '
            'maps that cannot tell the contrast'
        )
    return [
        f'{lost} of {len(mask)} grayordinates ({lost / len(mask):.1%}) are outside the mask: '
        f'{reasons}, {constant} do not vary.'
    ]


def _costly_map(
    finite: Bools, n_maps: npt.NDArray[np.int64], row_names: Sequence[str] | None
) -> list[str]:
    """A sentence if many grayordinates are lost to a few maps, and to which most."""
    n_rows = len(finite)
    few = max(1, int(_FEW_MAPS * n_rows))
    short = (n_maps < n_rows) & (n_maps >= n_rows - few)
    n_short = int(short.sum())
    if n_short <= _MANY_GRAYORDINATES * int((n_maps > 0).sum()):
        return []
    most = n_rows - int(n_maps[short].min())
    missing = ~finite[:, short]
    alone = missing[:, n_maps[short] == n_rows - 1].sum(axis=1)
    worst = int(alone.argmax()) if alone.any() else int(missing.sum(axis=1).argmax())
    name = f'map {worst + 1}' if row_names is None else row_names[worst]
    costs = (
        f'{name} costs most: {int(alone[worst])} of them lack a value in no other map.'
        if alone.any()
        else f'{name} costs most: it lacks a value at {int(missing[worst].sum())} of them.'
    )
    count = '1' if most == 1 else f'1 to {most}'
    return [
        f'{n_short} grayordinates are lost because {count} of {n_rows} maps lack a value there; a '
        f'minimum coverage of {math.floor(100 * (n_rows - most) / n_rows) / 100:g} would test '
        f'them. {costs}'
    ]


def estimate_covered(
    data: Floats,
    parts: PartitionedDesign,
    patterns: Sequence[Pattern],
    groups: npt.ArrayLike | None = None,
) -> Estimate:
    """Fit the model, at each grayordinate to the rows that have a value.

    Parameters
    ----------
    data : ndarray, shape (n_rows, n_grayordinates)
    parts : PartitionedDesign
        Of all rows, for the grayordinates that are in no pattern.
    patterns : sequence of Pattern
    groups : array_like of int, shape (n_rows,), optional
        Variance groups; for data without patterns only.

    Returns
    -------
    Estimate
        With residuals, which are NaN where a value is missing.
    """
    if not patterns:
        return estimate(data, parts, groups, residuals=True)
    n_rows, n = data.shape
    missing = np.concatenate([pattern.columns for pattern in patterns])
    every = Pattern(np.arange(n_rows), np.setdiff1d(np.arange(n), missing), parts)
    residuals = np.full((n_rows, n), np.nan)
    statistic, z, effect, variance, residual_sd, dof = maps = np.full((6, n), np.nan)
    n_maps = np.zeros(n, dtype=np.int64)
    for rows, columns, restricted in (every, *patterns):
        fit = estimate(data[np.ix_(rows, columns)], restricted, residuals=True)
        maps[:, columns] = np.stack(
            [fit.statistic, fit.z, fit.effect, fit.variance, fit.residual_sd, fit.dof]
        )
        n_maps[columns] = len(rows)
        residuals[np.ix_(rows, columns)] = fit.residuals
    kind = statistic_kind(parts)
    return Estimate(kind, statistic, z, effect, variance, residual_sd, dof, n_maps, residuals)


def leverages(parts: PartitionedDesign, patterns: Sequence[Pattern], n: int) -> Floats:
    """Diagonal of the projection on the design.

    Parameters
    ----------
    parts : PartitionedDesign
        Of all rows.
    patterns : sequence of Pattern
    n : int
        Number of grayordinates.

    Returns
    -------
    ndarray, shape (n_rows,) without patterns, else (n_rows, n)
        NaN where a value is missing.
    """
    leverage = (parts.basis**2).sum(axis=1)
    if not patterns:
        return leverage
    whole = np.repeat(leverage[:, None], n, axis=1)
    for rows, columns, restricted in patterns:
        whole[:, columns] = np.nan
        whole[np.ix_(rows, columns)] = (restricted.basis**2).sum(axis=1)[:, None]
    return whole
