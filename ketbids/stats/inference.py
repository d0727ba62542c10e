"""Permutation inference on grayordinates: TFCE, corrected across cortex and subcortex."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from numba import njit

from ketbids.errors import InputError, KetbidsError
from ketbids.stats import assumptions, multiplicity
from ketbids.stats.brainmodels import BrainModels
from ketbids.stats.coverage import Coverage, estimate_covered, find_coverage, leverages
from ketbids.stats.estimates import Estimate, intervals
from ketbids.stats.freedman_lane import (
    PartitionedDesign,
    check_design,
    partition_design,
    same_as_identity,
)
from ketbids.stats.graph import Graph, restrict
from ketbids.stats.nulls import null_distributions
from ketbids.stats.runner import Progress
from ketbids.stats.shuffling import RestrictedShuffles, ShuffleSet, make_shuffles
from ketbids.stats.statistic import CombinedStatistic
from ketbids.stats.testoptions import PARTITION_NAMES, Tails, TestOptions, TestResult
from ketbids.stats.tfce import Enhancer

__all__ = ['PARTITION_NAMES', 'Engine', 'Shuffled', 'Tails', 'TestOptions', 'TestResult']
__all__ += ['permutation_test']

Floats = npt.NDArray[np.float64]


class Shuffled(NamedTuple):
    """What remains of all shuffles.

    Attributes
    ----------
    observed : dict of str to ndarray, shape (n_in_mask,)
        Enhanced map of each direction.
    counts : dict of str to ndarray, shape (n_in_mask,)
        Shuffles that reach the observed value, the identity included; NaN if not known.
    maxima : ndarray, shape (n_shuffles, 1 or n_directions, n_partitions)
        Largest value of each partition code; one for both directions with ``tails='two'``.
    """

    observed: dict[str, Floats]
    counts: Mapping[str, npt.NDArray[np.int64] | Floats]
    maxima: Floats


#: Shuffles the maps by another program: mask of the grayordinates -> what remains.
Engine = Callable[[npt.NDArray[np.bool_]], Shuffled]


def permutation_test(
    data: npt.ArrayLike,
    design: npt.ArrayLike | pd.DataFrame,
    contrast: npt.ArrayLike,
    models: BrainModels,
    graph: Graph,
    extent: Floats,
    options: TestOptions,
    progress: Progress | None = None,
    names: Sequence[str] | None = None,
    row_names: Sequence[str] | None = None,
    engine: Engine | None = None,
    groups: npt.ArrayLike | None = None,
) -> TestResult:
    """Test a contrast at every grayordinate by shuffling, with TFCE.

    Statistics follow PALM (Winkler et al. 2014, NeuroImage 92:381-397): the method of Freedman
    and Lane, t turned to z, the identity counted first, p = #{>=} / J. TFCE is exact
    unless ``options.tfce_steps``. The correction is over all grayordinates of cortex and
    subcortex (``multiplicity.corrected_p``).

    Parameters
    ----------
    data : array_like, shape (n_rows, n_grayordinates)
        One map a row, not finite where a value is missing.
    design : array_like or DataFrame, shape (n_rows, n_columns)
        Design matrix, its rows in the order of ``data``.
    contrast : array_like, shape (n_columns,)
        Weights of the tested combination.
    models : BrainModels
        The grayordinates.
    graph : Graph
        Their neighbours.
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex, 1 for a voxel.
    options : TestOptions
    progress : callable, optional
        Called with the number of shuffles done and the number of all.
    names : sequence of str, optional
        Names of the columns for messages (a data frame brings its own).
    row_names : sequence of str, optional
        Names of the maps for warnings.
    engine : callable, optional
        Does the shuffles in place of this module. Its sets have as many shuffles; those that
        are not exhaustive may be others.
    groups : array_like of int, shape (n_rows,), optional
        Rows of one number share a variance; default: all do.

    Returns
    -------
    TestResult

    Raises
    ------
    InputError
        Shapes differ; the design or the contrast cannot be tested; no grayordinate has data; only
        one shuffle is possible.

    Notes
    -----
    With ``options.min_coverage`` below 1, a grayordinate that lacks values in some maps is tested
    with the rows that have them: the design restricted to these, their own degrees of freedom
    (t becomes z by them, so that TFCE joins like with like), and the shuffle of all rows
    restricted to them (``ketbids.stats.statistic``). All of it takes the missing values as given:
    which are missing must not depend on what they would have been.

    - Each grayordinate's own statistic has an exact distribution under shuffling, as one with all
      maps has (exact without nuisance; Freedman and Lane's method is asymptotic with it). One
      exception: if the labels of a permutation repeat and all of their arrangements are done (or
      some, without repeats), those that they induce on some of the rows cannot be equally
      frequent and are drawn; the rate of false positives is then right to about 1 / J.
    - Sign flips act on all grayordinates at once, whatever is missing: TFCE and the correction
      over grayordinates are as exact as with complete maps.
    - Permutations induce other ones where other rows are missing. How such grayordinates vary
      together under shuffling is nearly, not exactly, how they do in the data; TFCE and the
      correction over grayordinates are approximate by so much (null simulation with 18 smooth
      maps, most of them without some region: .051-.054 at .05, 1500 data sets).
    """
    matrix, weights = check_design(design, contrast, names)
    maps = np.asarray(data, dtype=np.float64)
    _check_shapes(maps, matrix, models, graph, extent)
    # Rows that are equal in the tested columns are one label.
    labels = matrix[:, weights != 0]
    shuffles = make_shuffles(options.kind, labels, options.n_shuffles, options.seed)
    parts = partition_design(matrix, weights)
    coverage = find_coverage(
        maps, matrix, weights, parts, shuffles, options.min_coverage, row_names
    )
    mask, warnings = coverage.mask, coverage.warnings
    inside = np.ascontiguousarray(maps[:, mask])
    partition = models.partition[mask]
    if groups is not None and coverage.patterns:
        raise InputError(
            'Variance groups need a value of every map where it is tested: take VarianceGroups '
            'out of the analysis, or use --min-coverage 1.'
        )
    fit = estimate_covered(inside, parts, coverage.patterns, groups)
    sure = intervals(fit)
    if engine is not None:
        shuffled = engine(mask)
        if len(shuffled.maxima) != shuffles.n:
            raise KetbidsError(
                f'{len(shuffled.maxima)} shuffles were made in place of {shuffles.n}.'
            )
    else:
        shuffled = _run_shuffles(
            CombinedStatistic(inside, parts, coverage.patterns, groups),
            shuffles,
            Enhancer(
                restrict(graph, mask),
                np.asarray(extent)[mask],
                partition,
                steps=options.tfce_steps,
                # As in PALM, each surface has steps of its own; all voxels share theirs.
                groups=np.where(models.is_surface, models.structure, -1)[mask],
            ),
            options,
            progress,
        )
    codes, column = np.unique(partition, return_inverse=True)
    maxima = shuffled.maxima[:, :, codes]
    pfwe = {
        direction: multiplicity.corrected_p(
            maxima[:, min(i, maxima.shape[1] - 1)],
            shuffled.observed[direction],
            column,
            options.joint,
        )
        for i, direction in enumerate(options.directions)
    }
    lowest_p = _lowest_p(shuffles, parts, coverage, options, len(codes))
    if engine is not None and not shuffles.exhaustive and options.tails == 'two':
        # Its draws are not known: the mirror image of the data may be among them.
        lowest_p = max(
            lowest_p, multiplicity.lowest_corrected_p(shuffles.n, 2, len(codes), options.joint)
        )
    if lowest_p >= options.alpha:
        warnings.append(
            f'With {shuffles.n} shuffles the lowest corrected p that an effect in one of '
            f'{len(codes)} partition(s) is sure to reach is {lowest_p:.3g}, not '
            f'below {options.alpha:g}: no familywise claim is made. '
            + ('More maps are needed.' if shuffles.exhaustive else 'Use more shuffles.')
        )
    summary, sentences = _check_assumptions(fit, parts, coverage, shuffles)
    if groups is not None and shuffles.kind == 'permutations':
        sentences = []  # the groups may vary differently

    def whole(values: Floats) -> Floats:
        full = np.full(len(mask), np.nan)
        full[mask] = values
        return full

    return TestResult(
        effect=whole(fit.effect),
        variance=whole(fit.variance),
        t=whole(fit.t),
        z=whole(fit.z),
        standard_error=whole(sure.standard_error),
        ci_low=whole(sure.low),
        ci_high=whole(sure.high),
        cohen_d=whole(sure.cohen_d),
        dof=parts.dof,
        tfce={key: whole(values) for key, values in shuffled.observed.items()},
        puncorrected={key: whole(n / shuffles.n) for key, n in shuffled.counts.items()},
        pfwe={key: whole(values) for key, values in pfwe.items()},
        null_max=_null_table(maxima, [PARTITION_NAMES[int(code)] for code in codes], options),
        n_shuffles=shuffles.n,
        n_possible=shuffles.n_possible,
        exhaustive=shuffles.exhaustive,
        lowest_p=lowest_p,
        mask=mask,
        n_maps=coverage.n_maps,
        coverage=coverage.n_maps / len(maps),
        assumptions=summary,
        warnings=warnings + sentences,
    )


def _check_shapes(
    maps: Floats, design: Floats, models: BrainModels, graph: Graph, extent: Floats
) -> None:
    """Refuse maps that are not one row for each row of the design, one column per grayordinate."""
    if maps.ndim != 2:
        raise InputError(f'The maps must be rows x grayordinates, not of shape {maps.shape}.')
    if len(maps) != len(design):
        raise InputError(
            f'There are {len(maps)} maps, but the design has {len(design)} rows; each map needs '
            'its row.'
        )
    sizes = {
        'the maps': maps.shape[1],
        'the brain models': len(models),
        'the graph': len(graph.indptr) - 1,
        'the extents': len(extent),
    }
    if len(set(sizes.values())) > 1:
        found = ', '.join(f'{what} {n}' for what, n in sizes.items())
        raise InputError(f'Numbers of grayordinates differ: {found}.')


def _run_shuffles(
    statistic: CombinedStatistic,
    shuffles: ShuffleSet,
    enhancer: Enhancer,
    options: TestOptions,
    progress: Progress | None,
) -> Shuffled:
    """Enhance the map of every shuffle; keep maxima and counts only."""
    sign = np.sign(statistic.z(shuffles, range(1))[0])
    (null,) = null_distributions(
        statistic,
        shuffles,
        [lambda: _Enhanced(enhancer.twin(), options, sign)],
        threads=options.threads,
        progress=progress,
    )
    signs = dict(zip(options.directions, (1, -1), strict=False))
    # In the other direction the enhanced value is 0, which every shuffle reaches.
    return Shuffled(
        {name: np.where(sign == one, null.observed, 0.0) for name, one in signs.items()},
        {name: np.where(sign == one, null.counts, shuffles.n) for name, one in signs.items()},
        null.maxima.reshape(shuffles.n, -1, enhancer.n_partitions),
    )


class _Enhanced:
    """TFCE as a measure of a map; its maxima are those of each direction and partition.

    Parameters
    ----------
    enhancer : Enhancer
    options : TestOptions
        With both tails together a direction counts as the other; with each for itself, values
        of the other direction are 0.
    sign : ndarray, shape (n_grayordinates,)
        Of the observed map.
    """

    def __init__(self, enhancer: Enhancer, options: TestOptions, sign: Floats) -> None:
        self._enhancer, self._options, self._sign = enhancer, options, sign

    def __call__(self, z: Floats, out: Floats) -> Floats:
        found = self._enhancer.enhance(z, out, self._options.tfce_directions)
        if self._options.tails == 'two':
            return found.max(axis=0)
        if self._options.tails == 'each':
            _clear_others(z, self._sign, out)
        return found.reshape(-1)


@njit(nogil=True, cache=True)
def _clear_others(z, sign, out):
    """Set to 0 what is of the other direction."""
    for i in range(len(z)):
        if not z[i] * sign[i] > 0:
            out[i] = 0.0


def _lowest_p(
    shuffles: ShuffleSet,
    parts: PartitionedDesign,
    coverage: Coverage,
    options: TestOptions,
    n_partitions: int,
) -> float:
    """The lowest corrected p of this set of shuffles, tails and partitions."""
    some: ShuffleSet | RestrictedShuffles = shuffles
    if sum(len(pattern.columns) for pattern in coverage.patterns) == coverage.mask.sum():
        # No grayordinate has all maps.
        most = max(coverage.patterns, key=lambda pattern: len(pattern.rows))
        some, parts = RestrictedShuffles(shuffles, most.rows), most.parts
    same, mirrored = same_as_identity(some, parts)
    n_equal = int(same.sum()) + (int(mirrored.sum()) if options.tails == 'two' else 0)
    return multiplicity.lowest_corrected_p(shuffles.n, n_equal, n_partitions, options.joint)


def _check_assumptions(
    fit: Estimate, parts: PartitionedDesign, coverage: Coverage, shuffles: ShuffleSet
) -> tuple[dict[str, float], list[str]]:
    """What the kind of shuffles takes for granted."""
    if shuffles.kind == 'flips':
        return assumptions.residual_skewness(fit.residuals)
    leverage = leverages(parts, coverage.patterns, len(fit.t))
    return assumptions.variance_ratio(fit.residuals, shuffles.labels, leverage)


def _null_table(maxima: Floats, partitions: list[str], options: TestOptions) -> pd.DataFrame:
    """Maxima as a table, one row per shuffle."""
    columns: dict[str, npt.NDArray] = {'shuffle': np.arange(len(maxima))}
    for k, name in enumerate(partitions):
        for i, direction in enumerate(options.directions[: maxima.shape[1]]):
            key = f'{name}_{direction}' if options.tails == 'each' else name
            columns[key] = maxima[:, i, k]
    return pd.DataFrame(columns)
