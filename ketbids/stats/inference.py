"""Permutation inference on grayordinates: TFCE, corrected across cortex and subcortex."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import assumptions, multiplicity
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX, BrainModels
from ketbids.stats.coverage import Coverage, estimate_covered, find_coverage, leverages
from ketbids.stats.freedman_lane import (
    Estimate,
    PartitionedDesign,
    check_design,
    partition_design,
    same_as_identity,
)
from ketbids.stats.graph import Graph, restrict
from ketbids.stats.shuffling import Kind, RestrictedShuffles, ShuffleSet, make_shuffles
from ketbids.stats.statistic import CombinedStatistic
from ketbids.stats.tfce import Enhancer

__all__ = ['PARTITION_NAMES', 'Tails', 'TestOptions', 'TestResult', 'permutation_test']

Floats = npt.NDArray[np.float64]
Tails = Literal['two', 'each', 'positive']
Progress = Callable[[int, int], None]

#: Column names of the partitions in tables.
PARTITION_NAMES = {CORTEX: 'cortex', SUBCORTEX: 'subcortex'}

# Shuffles of which a thread holds the maps at a time.
_CHUNK = 8


@dataclass(frozen=True)
class TestOptions:
    """How to test.

    Attributes
    ----------
    kind : {'flips', 'permutations'}
        Sign flips (one-sample and paired tests) or permutations (group differences).
    n_shuffles : int
        Wanted number, the data as they are included; fewer if fewer are possible.
    seed : int
        Makes the draws repeatable.
    tails : {'two', 'each', 'positive'}
        Both directions with one distribution of the maximum; both, each tested for itself at
        ``alpha``; or the positive one only.
    alpha : float
        Familywise error rate that is claimed.
    threads : int
        Number of threads; without effect on the result.
    min_coverage : float
        Share of the maps that must have a value where it is tested, in (0, 1].
    """

    __test__: ClassVar[bool] = False  # not a test case, whatever its name

    kind: Kind
    n_shuffles: int = 5000
    seed: int = 0
    tails: Tails = 'two'
    alpha: float = 0.05
    threads: int = 1
    min_coverage: float = 1.0

    def __post_init__(self) -> None:
        if self.tails not in get_args(Tails):
            raise InputError(f"tails is 'two', 'each' or 'positive', not {self.tails!r}.")
        if self.kind not in get_args(Kind):
            raise InputError(f"kind is 'flips' or 'permutations', not {self.kind!r}.")
        if not 0 < self.alpha < 1:
            raise InputError(f'alpha is a rate between 0 and 1, not {self.alpha}.')
        if self.threads < 1:
            raise InputError(f'threads is at least 1, not {self.threads}.')
        if not 0 < self.min_coverage <= 1:
            raise InputError(
                f'min_coverage is a share above 0 and up to 1, not {self.min_coverage}.'
            )

    @property
    def directions(self) -> tuple[str, ...]:
        """Directions that are tested: 'pos' and, unless positive only, 'neg'."""
        return ('pos',) if self.tails == 'positive' else ('pos', 'neg')

    @property
    def total_alpha(self) -> float:
        """Rate of a false positive in any direction."""
        return self.alpha * (2 if self.tails == 'each' else 1)


class TestResult(NamedTuple):
    """Maps of an analysis; NaN outside the mask.

    Attributes
    ----------
    effect, variance, t, z : ndarray, shape (n_grayordinates,)
        Estimate of the contrast, its variance (``t = effect / sqrt(variance)``), t and z.
    dof : int
        Residual degrees of freedom where all maps have values.
    tfce : dict of str to ndarray, shape (n_grayordinates,)
        Enhanced z for direction 'pos' and, unless positive only, 'neg' (values are >= 0 in both).
    puncorrected : dict of str to ndarray, shape (n_grayordinates,)
        p of the enhanced value at the grayordinate alone. With ``tails='two'`` a shuffle counts
        if either direction reaches the observed value.
    pfwe : dict of str to ndarray, shape (n_grayordinates,)
        p corrected over all grayordinates of all partitions (and, with ``tails='two'``, over
        both directions).
    null_max : DataFrame
        One row per shuffle: ``shuffle`` and the maximum of each partition (``cortex``,
        ``subcortex``; with ``tails='each'`` ``cortex_pos``, ``cortex_neg``, ...).
    n_shuffles, n_possible : int
        Shuffles that were done, and that are possible.
    exhaustive : bool
        Whether all possible ones were done.
    lowest_p : float
        The lowest corrected p that an effect in one partition is sure to reach where all maps
        have values; above alpha no familywise claim can be made.
    mask : ndarray of bool, shape (n_grayordinates,)
        Where enough maps have values, and these vary and tell the contrast.
    coverage : ndarray, shape (n_grayordinates,)
        Share of the maps with a value, outside the mask too.
    assumptions : dict of str to float
        Skewness or variance ratio of the residuals (see ``ketbids.stats.assumptions``).
    warnings : list of str
        Sentences for the reader.
    """

    effect: Floats
    variance: Floats
    t: Floats
    z: Floats
    dof: int
    tfce: dict[str, Floats]
    puncorrected: dict[str, Floats]
    pfwe: dict[str, Floats]
    null_max: pd.DataFrame
    n_shuffles: int
    n_possible: int
    exhaustive: bool
    lowest_p: float
    mask: npt.NDArray[np.bool_]
    coverage: Floats
    assumptions: dict[str, float]
    warnings: list[str]


TestResult.__test__ = False  # type: ignore[attr-defined]


class _Shuffled(NamedTuple):
    """What remains of all shuffles: observed (direction -> map), counts, and maxima."""

    observed: dict[str, Floats]
    counts: dict[str, npt.NDArray[np.int64]]
    maxima: Floats  # (n_shuffles, n_directions or 1, n_partitions)


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
) -> TestResult:
    """Test a contrast at every grayordinate by shuffling, with TFCE.

    Statistics follow PALM (Winkler et al. 2014, NeuroImage 92:381-397): the method of Freedman
    and Lane, t turned to z, the identity counted first, p = #{>=} / J. TFCE is exact. The
    correction is over all grayordinates of cortex and subcortex (``multiplicity.corrected_p``).

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
    fit = estimate_covered(inside, parts, coverage.patterns)
    shuffled = _run_shuffles(
        CombinedStatistic(inside, parts, coverage.patterns),
        shuffles,
        lambda: Enhancer(restrict(graph, mask), np.asarray(extent)[mask], partition),
        options,
        progress,
    )
    codes, column = np.unique(partition, return_inverse=True)
    maxima = shuffled.maxima[:, :, codes]
    pfwe = {
        direction: multiplicity.corrected_p(
            maxima[:, min(i, maxima.shape[1] - 1)], shuffled.observed[direction], column
        )
        for i, direction in enumerate(options.directions)
    }
    lowest_p = _lowest_p(shuffles, parts, coverage, options, len(codes))
    if lowest_p > options.alpha:
        warnings.append(
            f'With {shuffles.n} shuffles the lowest corrected p that an effect in one of '
            f'{len(codes)} partition(s) is sure to reach is {lowest_p:.3g}, above '
            f'{options.alpha:g}: no familywise claim can be made. '
            + ('More maps are needed.' if shuffles.exhaustive else 'Use more shuffles.')
        )
    summary, sentences = _check_assumptions(fit, parts, coverage, shuffles)

    def whole(values: Floats) -> Floats:
        full = np.full(len(mask), np.nan)
        full[mask] = values
        return full

    return TestResult(
        effect=whole(fit.effect),
        variance=whole(fit.variance),
        t=whole(fit.t),
        z=whole(fit.z),
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
    make_enhancer: Callable[[], Enhancer],
    options: TestOptions,
    progress: Progress | None,
) -> _Shuffled:
    """Enhance the map of every shuffle; keep maxima and counts only."""
    enhancers = [make_enhancer()]
    n, n_partitions = statistic.n, enhancers[0].n_partitions
    n_directions = len(options.directions)
    joined = options.tails == 'two'
    maxima = np.empty((shuffles.n, 1 if joined else n_directions, n_partitions))

    def enhance(enhancer: Enhancer, z: Floats, out: Floats) -> Floats:
        """Fill ``out`` (one row per direction); the maxima of the directions."""
        found = np.stack(
            [enhancer.enhance(z, sign, out[i]) for i, sign in enumerate((1.0, -1.0)[: len(out)])]
        )
        return found.max(axis=0, keepdims=True) if joined else found

    observed = np.empty((n_directions, n))
    maxima[0] = enhance(enhancers[0], statistic.z(shuffles, range(1))[0], observed)
    threshold = multiplicity.tie_threshold(observed, float(observed.max()))
    chunks = [
        range(start, min(start + _CHUNK, shuffles.n)) for start in range(1, shuffles.n, _CHUNK)
    ]
    enhancers += [make_enhancer() for _ in range(min(options.threads, len(chunks)) - 1)]
    counts = [np.zeros((n_directions, n), dtype=np.int64) for _ in enhancers]
    counts[0] += 1  # the data as they are
    idle: SimpleQueue[int] = SimpleQueue()
    for worker in range(len(enhancers)):
        idle.put(worker)

    def work(numbers: range) -> range:
        worker = idle.get()
        try:
            enhanced = np.empty((n_directions, n))
            for number, z in zip(numbers, statistic.z(shuffles, numbers), strict=True):
                maxima[number] = enhance(enhancers[worker], z, enhanced)
                # At a grayordinate one direction is 0: the larger is the enhanced |z|.
                counts[worker] += (enhanced.max(axis=0) if joined else enhanced) >= threshold
        finally:
            idle.put(worker)
        return numbers

    with ThreadPoolExecutor(max_workers=len(enhancers)) as pool:
        for numbers in pool.map(work, chunks):
            if progress is not None:
                progress(numbers.stop, shuffles.n)
    total = np.sum(counts, axis=0)
    return _Shuffled(
        dict(zip(options.directions, observed, strict=True)),
        dict(zip(options.directions, total, strict=True)),
        maxima,
    )


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
    return multiplicity.lowest_corrected_p(shuffles.n, n_equal, n_partitions)


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
