"""Estimated marginal means and their differences, as rows on the coefficients of a design.

The reference grid has all combinations of factor levels, with equal weights, and covariates at
their mean over the rows that were used (Searle, Speed & Milliken 1980, Am. Stat. 34:216-221).
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.mixed.design import Design

__all__ = ['MarginalRows', 'Means', 'PairRows', 'check_means', 'marginal_rows', 'pair_rows']
__all__ += ['parse_means']


#: Bounds beyond which means and pairs help nobody, and the arrays get big.
_MAX_MEANS, _MAX_PAIRS, _MAX_GRID = 1000, 1000, 5_000_000


class Means(NamedTuple):
    """Which marginal means.

    Attributes
    ----------
    factors : tuple of str
        Factors whose cells are compared in pairs.
    by : tuple of str
        Factors at each level of which they are.
    """

    factors: tuple[str, ...]
    by: tuple[str, ...]


class MarginalRows(NamedTuple):
    """Rows whose products with the coefficients are marginal means.

    Attributes
    ----------
    cells : DataFrame, m rows
        Level of each factor; the first one varies fastest.
    rows : array, shape (m, p)
    """

    cells: pd.DataFrame
    rows: np.ndarray


class PairRows(NamedTuple):
    """Rows of the differences of all pairs of means.

    Attributes
    ----------
    by : DataFrame, k rows
        Levels of the factors behind the bar; no columns if there are none.
    contrast : tuple of str
        Such as ``TP1 - TP2``.
    rows : array, shape (k, p)
    family : array of int, shape (k,)
        Pairs that are corrected together.
    n_means : int
        Means that are compared in each family.
    pairs : array of int, shape (k, 2)
        Which of `marginal_rows`.
    """

    by: pd.DataFrame
    contrast: tuple[str, ...]
    rows: np.ndarray
    family: np.ndarray
    n_means: int
    pairs: np.ndarray


def parse_means(spec: str) -> Means:
    """Read ``time``, ``time:group`` (all cells) or ``time|group`` (time within each group).

    Raises
    ------
    InputError
        Any other form.
    """
    compared, bar, by = spec.partition('|')
    found = Means(*(tuple(re.split(r'\s*:\s*', part.strip())) for part in (compared, by or ' ')))
    found = Means(found.factors, found.by if bar else ())
    every = found.factors + found.by
    if not all(every) or len(set(every)) < len(every) or '|' in by:
        raise InputError(
            f"Means '{spec}': write factors as time, time:group (all cells) or time|group (time "
            'at each level of group), each once'
        )
    return found


def check_means(spec: str, sizes: Mapping[str, int]) -> None:
    """Refuse more means or pairs than are made, before a model is fitted.

    Parameters
    ----------
    spec : str
        See `parse_means`.
    sizes : mapping of str to int
        Number of the levels of each factor; a name that is not there is not looked at.

    Raises
    ------
    InputError
        More than 1,000 means or pairs.
    """
    means = parse_means(spec)
    every = means.factors + means.by
    if not set(every) <= set(sizes):
        return
    _count_means(spec, means, sizes)
    n_means = math.prod(sizes[name] for name in means.factors)
    n_pairs = math.prod(sizes[name] for name in means.by) * math.comb(n_means, 2)
    if n_pairs > _MAX_PAIRS:
        raise InputError(
            f"Means '{spec}': {n_pairs} pairs, more than {_MAX_PAIRS} ({_told(sizes, every)}); "
            'compare one factor within the levels of another (a|b), or put levels together'
        )


def marginal_rows(design: Design, spec: str) -> MarginalRows:
    """Rows of the marginal means of a specification.

    Parameters
    ----------
    design : Design
    spec : str
        See `parse_means`.

    Returns
    -------
    MarginalRows

    Raises
    ------
    InputError
        A name that is no factor of the model; more than 1,000 means, or a grid of more than 5
        million numbers.
    """
    means = parse_means(spec)
    factors = means.factors + means.by
    for name in factors:
        if name not in design.factors:
            what = 'is a number, not a factor,' if name in design.covariates else 'is no factor'
            have = ', '.join(design.factors) or 'none'
            raise InputError(f"Means '{spec}': {name} {what} of the model; its factors: {have}")
    sizes = _sizes(design)
    n_cells = _count_means(spec, means, sizes)
    if math.prod(sizes.values()) * design.matrix.shape[1] > _MAX_GRID:
        raise InputError(
            f"Means '{spec}': the cells of all factors, over which means are averaged, are too "
            f'many ({_told(sizes, sizes)})'
        )
    # Factors that are averaged over vary fastest, so that each mean is a block of the grid.
    ordered = [name for name in design.factors if name not in factors] + list(factors)
    levels = [design.factors[name] for name in reversed(ordered)]
    grid = pd.DataFrame(itertools.product(*levels), columns=ordered[::-1]).assign(**design.means)
    block = len(grid) // n_cells
    rows = design.rows_at(grid).reshape(n_cells, block, -1).mean(axis=1)
    cells = grid.loc[::block, list(factors)].reset_index(drop=True)
    return MarginalRows(cells, rows)


def pair_rows(design: Design, spec: str) -> PairRows:
    """Rows of the differences of all pairs of a specification; see `marginal_rows`.

    Returns
    -------
    PairRows
        In the order of emmeans: first minus second, first minus third, ...

    Raises
    ------
    InputError
        As `marginal_rows`; more than 1,000 pairs.
    """
    means = parse_means(spec)
    cells, rows = marginal_rows(design, spec)
    check_means(spec, _sizes(design))
    n_means = math.prod(len(design.factors[name]) for name in means.factors)
    n_families = len(cells) // n_means
    pairs = np.array(
        [
            (family * n_means + first, family * n_means + second)
            for family in range(n_families)
            for first, second in itertools.combinations(range(n_means), 2)
        ]
    )
    labels = [' '.join(row) for row in cells[list(means.factors)].itertuples(index=False)]
    return PairRows(
        by=cells.loc[pairs[:, 0], list(means.by)].reset_index(drop=True),
        contrast=tuple(f'{labels[first]} - {labels[second]}' for first, second in pairs),
        rows=rows[pairs[:, 0]] - rows[pairs[:, 1]],
        family=pairs[:, 0] // n_means,
        n_means=n_means,
        pairs=pairs,
    )


def _count_means(spec: str, means: Means, sizes: Mapping[str, int]) -> int:
    every = means.factors + means.by
    n_means = math.prod(sizes[name] for name in every)
    if n_means > _MAX_MEANS:
        raise InputError(
            f"Means '{spec}': {n_means} means, more than {_MAX_MEANS} ({_told(sizes, every)})"
        )
    return n_means


def _sizes(design: Design) -> dict[str, int]:
    return {name: len(levels) for name, levels in design.factors.items()}


def _told(sizes: Mapping[str, int], names: Iterable[str]) -> str:
    return ', '.join(f'{name}: {sizes[name]} levels' for name in names)
