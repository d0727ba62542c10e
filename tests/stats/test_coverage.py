"""Maps that lack values: each grayordinate is tested with the maps that have one."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats import nulls
from ketbids.stats.assumptions import residual_skewness, variance_ratio
from ketbids.stats.brainmodels import CORTEX, BrainModels
from ketbids.stats.coverage import find_coverage, leverages
from ketbids.stats.freedman_lane import partition_design, restrict_design
from ketbids.stats.graph import adjacency
from ketbids.stats.inference import TestOptions, permutation_test
from ketbids.stats.shuffling import RestrictedShuffles, make_shuffles
from ketbids.stats.statistic import CombinedStatistic, ShuffledStatistic
from ketbids.stats.tfce import DEFAULT_EXPONENTS
from ketbids.stats.zscore import z_from_t

from .small_brain import SmallBrain, slow_t, slow_tfce

BRAIN = SmallBrain(level=0)
V = len(BRAIN)
ONE = np.array([1.0])


def run(data, design, contrast, kind='flips', brain=BRAIN, row_names=None, **options):
    return permutation_test(
        data,
        design,
        contrast,
        brain.models,
        brain.graph,
        brain.extent,
        TestOptions(kind, **options),
        row_names=row_names,
    )


class LoneVoxels:
    """Voxels without neighbours: TFCE is z^3 / 3, and each has the p of its own test."""

    def __init__(self, n):
        voxel = np.stack([2 * np.arange(n), np.zeros(n), np.zeros(n)], axis=1).astype(np.int32)
        self.models = BrainModels(
            ('CIFTI_STRUCTURE_BRAIN_STEM',), np.zeros(n, np.int16), np.full(n, -1, np.int32),
            voxel, {}, np.eye(4), (2 * n, 1, 1),
        )  # fmt: skip
        self.graph = adjacency(self.models, {})
        self.extent = np.ones(n)

    def __len__(self):
        return len(self.extent)


def noise(n, columns=V, seed=0):
    return np.random.default_rng(seed).standard_normal((n, columns))


def with_holes(data, share, most, seed=0):
    """Take up to `most` values from a share of the columns."""
    rng = np.random.default_rng(seed)
    for column in np.flatnonzero(rng.random(data.shape[1]) < share):
        data[rng.choice(len(data), rng.integers(1, most + 1), replace=False), column] = np.nan
    return data


def two_groups(sizes, covariates=1, seed=0):
    group = np.repeat([1.0, 0.0], sizes)
    rest = np.random.default_rng(seed).standard_normal((sum(sizes), covariates))
    contrast = np.array([1.0, -1.0] + [0.0] * covariates)
    return np.column_stack([group, 1 - group, rest]), contrast


def first_return(rows, present):
    """The induced permutation of the rows present, by going on until one is met."""
    induced = []
    for start in present:
        row = rows[start]
        while row not in present:
            row = rows[row]
        induced.append(present.index(row))
    return np.array(induced)


def slow_z(data, design, contrast, rows, signs):
    """z of a shuffle, each column by its own rows and matrices."""
    z = np.empty(data.shape[1])
    for column in range(data.shape[1]):
        present = np.flatnonzero(np.isfinite(data[:, column])).tolist()
        t, dof = slow_t(
            data[present, column][:, None],
            design[present],
            contrast,
            first_return(rows, present),
            signs[present],
        )
        z[column] = z_from_t(t, dof)[0]
    return z


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
def test_the_whole_agrees_with_each_column_written_out(kind):
    design, contrast = two_groups((5, 7))
    data = with_holes(noise(12, seed=1), 0.5, 3)
    data[:5, :20] += 1
    found = run(data, design, contrast, kind, n_shuffles=25, seed=4, min_coverage=0.7)
    shuffles = make_shuffles(kind, design[:, :2], 25, 4)
    assert found.mask.all()
    signs = (1, -1)
    maps = np.empty((25, 2, V))
    for j in range(25):
        z = slow_z(data, design, contrast, *shuffles.shuffle(j))
        for i in range(2):
            maps[j, i] = slow_tfce(
                signs[i] * z, BRAIN.graph, BRAIN.extent, BRAIN.models.partition, DEFAULT_EXPONENTS
            )
        if j == 0:
            np.testing.assert_allclose(found.z, z, rtol=1e-8)
    reached = maps[0] * (1 - 1e-9)
    counted = maps.max(axis=1)
    cortical = BRAIN.models.partition == CORTEX
    maxima = np.stack([counted[:, part].max(axis=1) for part in (cortical, ~cortical)])
    ranks = (maxima[:, None, :] >= maxima[:, :, None] * (1 - 1e-9)).mean(axis=2)
    smallest = ranks.min(axis=0)
    for i, direction in enumerate(('pos', 'neg')):
        np.testing.assert_allclose(found.tfce[direction], maps[0, i], rtol=1e-7)
        p = (counted >= reached[i]).mean(axis=0)
        np.testing.assert_allclose(found.puncorrected[direction], p)
        own = np.array([(maxima[int(~cortical[v])] >= reached[i, v]).mean() for v in range(V)])
        expected = (smallest[:, None] <= own + 1e-12).mean(axis=0)
        np.testing.assert_allclose(found.pfwe[direction], expected)


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
def test_each_location_has_the_exact_test_of_its_own_rows(kind):
    """All flips, or all permutations, of the rows: as if the others had never been there."""
    n, brain = 6, LoneVoxels(12)
    design = np.column_stack([np.ones(n), [1.0, 2, 4, 5, 7, 11]])
    contrast = np.array([1.0, 0]) if kind == 'flips' else np.array([0.0, 1])
    data = with_holes(noise(n, 12, seed=3) + 0.5, 0.8, 2)
    found = run(data, design, contrast, kind, brain, tails='each', min_coverage=0.5)
    assert found.exhaustive
    assert (found.coverage < 1).sum() > 6
    for column in range(12):
        rows = np.isfinite(data[:, column])
        alone = LoneVoxels(1)
        own = run(
            data[rows, column : column + 1], design[rows], contrast, kind, alone, tails='each'
        )
        assert own.exhaustive
        for name in ('effect', 'variance', 't', 'z'):
            expected = getattr(own, name)[0]
            assert getattr(found, name)[column] == pytest.approx(expected, rel=1e-9)
        for direction in ('pos', 'neg'):
            assert found.puncorrected[direction][column] == own.puncorrected[direction][0]


def test_complete_columns_are_the_same_to_the_last_bit():
    design, contrast = two_groups((5, 9))
    data = noise(14, 700)
    shuffles = make_shuffles('permutations', design[:, :2], 40)
    parts = partition_design(design, contrast)
    alone = ShuffledStatistic(data[:, 1::2].copy(), parts).z(shuffles, range(1, 40))
    data[3, ::2] = np.nan
    coverage = find_coverage(data, design, contrast, parts, shuffles, 0.9)
    both = CombinedStatistic(data, parts, coverage.patterns)
    found = both.z(shuffles, range(1, 40))
    np.testing.assert_array_equal(found[:, 1::2], alone)
    apart = np.concatenate([both.z(shuffles, range(j, j + 1)) for j in range(1, 40)])
    np.testing.assert_array_equal(found, apart)


def assert_same(a, b):
    for name in ('effect', 'variance', 't', 'z', 'mask', 'coverage'):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ('tfce', 'puncorrected', 'pfwe'):
        for direction, values in getattr(a, name).items():
            np.testing.assert_array_equal(values, getattr(b, name)[direction])
    assert a.null_max.equals(b.null_max)
    assert (a.lowest_p, a.warnings, a.assumptions) == (b.lowest_p, b.warnings, b.assumptions)


def test_without_holes_the_minimum_has_no_effect():
    design, contrast = two_groups((5, 9))
    results = [
        run(noise(14), design, contrast, 'permutations', n_shuffles=50, min_coverage=share)
        for share in (1.0, 0.3)
    ]
    assert_same(*results)
    assert (results[0].coverage == 1).all()


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
def test_threads_and_chunks_have_no_effect(kind, monkeypatch):
    design, contrast = two_groups((5, 9))
    data = with_holes(noise(14, seed=3), 0.4, 4)
    options = {'kind': kind, 'n_shuffles': 61, 'min_coverage': 0.7}
    plain = run(data, design, contrast, **options)
    assert_same(plain, run(data, design, contrast, threads=3, **options))
    monkeypatch.setattr(nulls, 'CHUNK', 3)
    assert_same(plain, run(data, design, contrast, threads=2, **options))


def test_the_familywise_error_rate_of_flips_is_exact():
    """Each flip of the data is as likely as the data, whatever is missing."""
    shuffles = make_shuffles('flips', 5, 1000)
    data = with_holes(noise(5, seed=2), 0.5, 1)
    lowest = []
    for j in range(shuffles.n):
        _, signs = shuffles.shuffle(j)
        found = run(signs[:, None] * data, np.ones((5, 1)), ONE, min_coverage=0.8)
        assert found.exhaustive
        lowest.append(min(np.nanmin(p) for p in found.pfwe.values()))
    for alpha in np.unique(lowest):
        assert (lowest <= alpha).mean() <= alpha + 1e-12


def test_the_familywise_error_rate_of_permutations_holds():
    """Neighbours that are alike but lack values in other maps."""
    design, contrast = two_groups((8, 10), covariates=0)
    smooth = BRAIN.graph.matrix() + 3 * np.eye(V)
    n_found, n = 0, 100
    for seed in range(n):
        data = with_holes(np.asarray(noise(18, seed=seed) @ smooth), 0.4, 3, seed)
        found = run(
            data, design, contrast, 'permutations', n_shuffles=99, seed=seed, min_coverage=0.8
        )
        n_found += min(p.min() for p in found.pfwe.values()) <= 0.1
    # 0.1 and three standard errors
    assert n_found / n <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / n)
    assert n_found > 0


def test_the_induced_permutations_are_equally_frequent():
    shuffles = make_shuffles('permutations', np.arange(5.0), 1000)
    assert shuffles.n == 120
    present = np.array([0, 2, 4])
    restricted = RestrictedShuffles(shuffles, present)
    counts: Counter[tuple[int, ...]] = Counter()
    for j in range(120):
        rows, signs = restricted.shuffle(j)
        expected = first_return(shuffles.shuffle(j)[0].tolist(), present.tolist())
        np.testing.assert_array_equal(rows, expected)
        assert (signs == 1).all()
        counts[tuple(rows)] += 1
    assert set(counts) == set(itertools.permutations(range(3)))
    assert set(counts.values()) == {20}


def test_arrangements_of_labels_are_spread_over_their_permutations():
    labels = np.array([0.0, 1, 0, 1, 1])
    sets = [make_shuffles('permutations', labels, 100, seed) for seed in range(300)]
    assert sets[0].n == 10
    left = np.array([0, 1, 3])
    kept: Counter[tuple[float, ...]] = Counter()
    for shuffles in sets:
        np.testing.assert_array_equal(shuffles.spread(0)[0], np.arange(5))
        for j in range(10):
            rows, _ = shuffles.spread(j)
            assert sorted(rows) == list(range(5))
            np.testing.assert_array_equal(labels[rows], labels[shuffles.shuffle(j)[0]])
            induced, _ = RestrictedShuffles(shuffles, left).shuffle(j)
            kept[tuple(labels[left][induced])] += 1
    # Without row 2 and row 4 the three arrangements of 0, 1, 1 are as frequent.
    assert len(kept) == 3
    for count in kept.values():
        assert count / 3000 == pytest.approx(1 / 3, abs=0.04)


def test_what_the_rows_left_cannot_tell_is_not_tested():
    design, contrast = two_groups((4, 6))
    data = noise(10, seed=7)
    data[:4, 0] = np.nan  # one group is gone
    data[[0, 4, 5, 6, 7, 8], 1] = np.nan  # below the minimum
    data[5:, 2] = np.nan  # 5 rows for 3 columns
    data[[1, 6], 3] = np.nan
    data[[0, 9], 4] = np.nan
    data[1:9, 4] = 2.5  # what is left does not vary
    found = run(data, design, contrast, 'permutations', n_shuffles=50, min_coverage=0.5)
    assert np.flatnonzero(~found.mask).tolist() == [0, 1, 4]
    np.testing.assert_allclose(found.coverage[:6], [0.6, 0.4, 0.5, 0.8, 0.8, 1])
    for values in (found.z, *found.tfce.values(), *found.pfwe.values()):
        np.testing.assert_array_equal(np.isnan(values), ~found.mask)
    assert (
        f'3 of {V} grayordinates ({3 / V:.1%}) are outside the mask: 1 have a value in fewer than '
        '5 of the 10 maps, 1 in maps that cannot tell the contrast, 1 do not vary.'
    ) in found.warnings
    assert (
        f'2 of the {V - 3} grayordinates that are tested lack a value in some maps (they have 5 '
        'of 10 at least); each is tested with the maps that have one.'
    ) in found.warnings
    assert found.dof == 7


def test_a_share_is_not_missed_by_rounding():
    data = noise(10)
    data[:3, 0] = np.nan
    assert run(data, np.ones((10, 1)), ONE, n_shuffles=5, min_coverage=0.7).mask.all()
    assert not run(data, np.ones((10, 1)), ONE, n_shuffles=5, min_coverage=0.71).mask[0]


def test_a_nuisance_column_that_is_constant_in_the_rows_left_is_dropped():
    """Two sites, and all maps that have a value are from one."""
    group = np.array([1.0, 0] * 6)
    site = np.repeat([1.0, 0.0], [4, 8])
    design, contrast = np.column_stack([group, 1 - group, site]), np.array([1.0, -1, 0])
    data = noise(12)
    data[:4, 5] = np.nan
    found = run(data, design, contrast, 'permutations', n_shuffles=30, min_coverage=0.6)
    t, dof = slow_t(data[4:, 5:6], design[4:, :2], [1, -1], np.arange(8), np.ones(8))
    assert dof == 6
    assert found.t[5] == pytest.approx(t[0])
    assert found.z[5] == pytest.approx(z_from_t(t, dof)[0])
    effect = data[4:, 5][group[4:] == 1].mean() - data[4:, 5][group[4:] == 0].mean()
    assert found.effect[5] == pytest.approx(effect)


def test_restricted_designs():
    design, contrast = two_groups((4, 4))

    def shape(design, contrast, rows):
        parts = restrict_design(design, np.array(contrast, dtype=float), np.array(rows))
        return None if parts is None else (parts.dof, parts.nuisance.shape)

    assert shape(design, contrast, range(4)) is None  # one group only
    assert shape(design, contrast, [0, 1, 5]) is None  # no residuals
    assert shape(design, contrast, [0, 1, 5, 6]) == (1, (4, 2))
    # Age alone can be told from one group.
    assert shape(design, [0, 0, 1], range(4)) == (2, (4, 1))
    # A column of 0 takes no degree of freedom, and tells nothing.
    zero = np.column_stack([np.ones(6), [0, 0, 0, 0, 0, 1.0]])
    assert shape(zero, [1, 0], range(5)) == (4, (5, 0))
    assert shape(zero, [0, 1], range(5)) is None


def test_rows_that_are_one_label_cannot_be_permuted():
    dose = np.array([[1.0], [1], [1], [2], [2], [3]])
    data = noise(6)
    data[3:, 0] = np.nan
    for kind, tested in (('flips', True), ('permutations', False)):
        assert run(data, dose, ONE, kind, min_coverage=0.5).mask[0] == tested


def test_the_lowest_p_where_no_grayordinate_has_all_maps():
    data = noise(9)
    data[0, : V // 2] = np.nan
    data[1, V // 2 :] = np.nan
    found = run(data, np.ones((9, 1)), ONE, min_coverage=0.8)
    assert found.n_shuffles == 512
    # 8 maps: each flip twice, and its mirror.
    assert found.lowest_p == pytest.approx(2 * 4 / 512)
    data[0, 0] = 1.0
    assert run(data, np.ones((9, 1)), ONE, min_coverage=0.8).lowest_p == pytest.approx(4 / 512)


def test_the_costly_map_is_named():
    data = noise(10)
    data[7, :12] = np.nan
    data[2, 10:14] = np.nan
    names = [f'sub-{n:02}' for n in range(10)]
    found = run(data, np.ones((10, 1)), ONE, n_shuffles=5, row_names=names)
    assert (
        '14 grayordinates are lost because 1 to 2 of 10 maps lack a value there; a minimum '
        'coverage of 0.8 would test them. sub-07 costs most: 10 of them lack a value in no other '
        'map.'
    ) in found.warnings
    unnamed = run(data, np.ones((10, 1)), ONE, n_shuffles=5)
    assert any('map 8 costs most' in sentence for sentence in unnamed.warnings)
    relaxed = run(data, np.ones((10, 1)), ONE, n_shuffles=5, min_coverage=0.8)
    assert not any('costs most' in sentence for sentence in relaxed.warnings)
    data[2, :12] = np.nan
    both = run(data, np.ones((10, 1)), ONE, n_shuffles=5, row_names=names)
    assert any('sub-02 costs most: 2 of them' in sentence for sentence in both.warnings)


def test_a_few_lost_grayordinates_are_not_worth_a_name():
    brain = LoneVoxels(300)
    data = noise(10, 300)
    data[0, :3] = np.nan
    found = run(data, np.ones((10, 1)), ONE, brain=brain, n_shuffles=5)
    assert not any('costs most' in sentence for sentence in found.warnings)
    assert any('3 lack a value in at least one map' in sentence for sentence in found.warnings)


def test_bad_input_is_refused():
    empty = np.full((6, V), np.nan)
    empty[:2] = 1
    with pytest.raises(InputError, match='No grayordinate has a value in at least 4 of the 6'):
        run(empty, np.ones((6, 1)), ONE, min_coverage=0.6)
    for share in (0, 1.5, float('nan')):
        with pytest.raises(InputError, match='min_coverage is a share above 0 and up to 1'):
            TestOptions('flips', min_coverage=share)


def test_skewness_is_judged_by_the_values_that_are_there():
    rng = np.random.default_rng(0)
    residuals = np.exp(rng.standard_normal((20, 500)))
    residuals[rng.random(residuals.shape) < 0.2] = np.nan
    residuals[3:, 0] = np.nan  # too few
    summary, warnings = residual_skewness(residuals - np.nanmean(residuals, axis=0))
    expected = stats.skew(residuals[:, 1:], bias=False, nan_policy='omit')
    assert summary['skewness_median'] == pytest.approx(np.median(expected))
    assert 'not symmetric' in warnings[0]
    assert residual_skewness(np.full((6, 4), np.nan)) == ({}, [])


def test_variances_are_compared_by_the_values_that_are_there():
    design, contrast = two_groups((10, 20))
    data = noise(30, 3000)
    data[:10] *= 2
    data[0, 1000:] = np.nan
    data[2:9, -1] = np.nan  # too few in the first group
    parts = partition_design(design, contrast)
    shuffles = make_shuffles('permutations', design[:, :2], 9)
    coverage = find_coverage(data, design, contrast, parts, shuffles, 0.5)
    leverage = leverages(parts, coverage.patterns, 3000)
    assert leverage.shape == data.shape
    np.testing.assert_array_equal(np.isnan(leverage), np.isnan(data))
    np.testing.assert_allclose(np.nansum(leverage, axis=0), 3)
    found = run(data[:, :V], design, contrast, 'permutations', n_shuffles=9)
    residuals = np.where(np.isfinite(data), data, 0)
    for rows in (slice(0, 10), slice(10, 30)):
        residuals[rows] -= np.nanmean(data[rows], axis=0)
    residuals[np.isnan(data)] = np.nan
    labels = shuffles.labels
    summary, warnings = variance_ratio(residuals, labels, leverage)
    assert summary['variance_ratio_median'] == pytest.approx(4, rel=0.1)
    assert len(warnings) == 1
    assert found.assumptions['variance_ratio_median'] == pytest.approx(4, rel=0.4)
    assert variance_ratio(np.full((30, 2), np.nan), labels, leverage[:, :2]) == ({}, [])
