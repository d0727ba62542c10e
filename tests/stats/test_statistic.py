"""Products, t and F of shuffles."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from ketbids.stats.estimates import estimate
from ketbids.stats.freedman_lane import partition_design, restrict_design, same_as_identity
from ketbids.stats.products import BLOCK, fma, interleave, multiply, tile_residuals
from ketbids.stats.shuffling import RestrictedShuffles, make_shuffles
from ketbids.stats.statistic import CombinedStatistic, Pattern, ShuffledStatistic, make_statistic
from ketbids.stats.zscore import z_from_f


def three_groups(rng, n=17, covariates=1):
    group = np.arange(n) % 3
    columns = [group == g for g in range(3)] + list(rng.standard_normal((covariates, n)))
    contrast = np.zeros((3 + covariates, 2))
    contrast[:3] = [[1, 0], [-1, 1], [0, -1]]
    return np.column_stack(columns).astype(float), contrast


def slow_f(data, design, contrast, rows, signs):
    """F of a shuffle: two models fitted to the shuffled data, their residuals compared."""
    n = len(data)
    rank = np.linalg.matrix_rank(contrast)
    null = np.linalg.svd(contrast.T)[2][rank:].T
    reduced = design @ null
    hat = reduced @ np.linalg.pinv(reduced)
    permutation = np.zeros((n, n))
    permutation[np.arange(n), rows] = signs
    shuffled = (permutation.T @ (np.eye(n) - hat) + hat) @ data
    dof = n - design.shape[1]

    def left(model):
        return ((shuffled - model @ np.linalg.pinv(model) @ shuffled) ** 2).sum(axis=0)

    return (left(reduced) - left(design)) / rank / (left(design) / dof), dof


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
@pytest.mark.parametrize('case', ['groups', 'covariates', 'all', 'dependent'])
def test_f_is_that_of_two_models(kind, case):
    rng = np.random.default_rng(3)
    design, contrast = three_groups(rng, covariates=2 if case == 'covariates' else 0)
    if case == 'all':
        contrast = np.eye(3)
    if case == 'dependent':
        contrast = np.column_stack([contrast, contrast @ [1, 1], [0, 0, 0]])
    data = rng.standard_normal((17, 200)) + 3
    parts = partition_design(design, contrast)
    assert parts.rank == np.linalg.matrix_rank(contrast)
    statistic = make_statistic(data, parts)
    assert (statistic.kind, statistic.n) == ('F', 200)
    shuffles = make_shuffles(kind, design[:, :3], 12, seed=1)
    found = statistic.z(shuffles, range(12))
    for j in range(12):
        f, dof = slow_f(data, design, contrast, *shuffles.shuffle(j))
        assert dof == parts.dof
        np.testing.assert_allclose(found[j], z_from_f(f, parts.rank, dof), rtol=1e-9, atol=1e-9)
        again = estimate(data, parts, shuffle=shuffles.shuffle(j))
        np.testing.assert_allclose(again.statistic, f, rtol=1e-9)


def test_f_of_one_contrast_is_t():
    rng = np.random.default_rng(0)
    design, contrast = three_groups(rng)
    data = rng.standard_normal((17, 30))
    alone = partition_design(design, contrast[:, 0])
    column = partition_design(design, contrast[:, :1])
    assert column.tested.shape == (17,)
    assert make_statistic(data, column).kind == 't'
    np.testing.assert_array_equal(column.tested, alone.tested)


def test_one_rounding_per_step():
    @njit
    def added(a, b, c):
        return fma(a, b, c)

    for a, b, c in np.random.default_rng(0).standard_normal((200, 3)) * [1, 1, 1e-9]:
        c -= a * b
        assert added(a, b, c) == float(Fraction(a) * Fraction(b) + Fraction(c))


@pytest.mark.parametrize('n_sums', [1, 4, 7])
@pytest.mark.parametrize('n_rows', [2, 4, 11])
def test_products_are_sums_in_the_order_of_the_rows(n_sums, n_rows):
    rng = np.random.default_rng(0)
    tile, weights = rng.standard_normal((n_rows, BLOCK)), rng.standard_normal((n_sums, n_rows))
    woven = interleave(weights)
    sums = np.full(len(woven) * 4 * BLOCK, np.nan)
    multiply(tile, woven, sums)
    np.testing.assert_allclose(sums.reshape(-1, BLOCK)[:n_sums], weights @ tile, atol=1e-13)
    for k, v in ((0, 0), (n_sums - 1, 77)):
        expected = 0.0
        for row in range(n_rows):
            product = Fraction(weights[k, row]) * Fraction(tile[row, v])
            expected = float(product + Fraction(expected))
        assert sums[k * BLOCK + v] == expected


def test_residuals_in_tiles():
    rng = np.random.default_rng(0)
    data = (rng.standard_normal((9, 300)) + 1000).astype(np.float32)
    nuisance = np.linalg.qr(np.column_stack([np.ones(9), np.arange(9)]))[0]
    columns = np.arange(299, 20, -2)
    tiles, squares = tile_residuals(data, columns, nuisance)
    assert tiles.shape == (2, 9, BLOCK)
    flat = tiles.transpose(1, 0, 2).reshape(9, -1)
    part = data[:, columns].astype(float)
    expected = part - nuisance @ (nuisance.T @ part)
    np.testing.assert_allclose(flat[:, : len(columns)], expected, atol=1e-9)
    np.testing.assert_allclose(nuisance.T @ flat, 0, atol=1e-13)
    assert not flat[:, len(columns) :].any()
    total = squares.reshape(-1)
    np.testing.assert_allclose(total[: len(columns)], (expected**2).sum(axis=0), rtol=1e-9)
    assert (total[len(columns) :] == 1).all()


@pytest.mark.parametrize('kind', ['t', 'F', 'v', 'G'])
def test_the_same_bytes_for_any_cut_and_threads(kind):
    rng = np.random.default_rng(0)
    design, contrast = three_groups(rng)
    parts = partition_design(design, contrast if kind in 'FG' else contrast[:, 0])
    groups = np.arange(17) % 2 if kind in 'vG' else None
    data = rng.standard_normal((17, 3 * BLOCK + 5))
    shuffles = make_shuffles('permutations', design[:, :3], 21)
    statistic = make_statistic(data, parts, groups)
    assert statistic.kind == kind
    whole = statistic.z(shuffles, range(21))
    with ThreadPoolExecutor(3) as pool:
        apart = list(pool.map(lambda j: statistic.z(shuffles, range(j, j + 1)), range(21)))
    np.testing.assert_array_equal(np.concatenate(apart), whole)
    some = np.arange(7, 300)
    shifted = make_statistic(data[:, some], parts, groups).z(shuffles, range(2, 5))
    np.testing.assert_array_equal(shifted, whole[2:5, some])


def test_single_precision_maps_are_added_in_double():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((12, 50)).astype(np.float32)
    parts = partition_design(np.ones((12, 1)), np.ones(1))
    shuffles = make_shuffles('flips', 12, 5)
    np.testing.assert_array_equal(
        make_statistic(data, parts).z(shuffles, range(5)),
        make_statistic(data.astype(float), parts).z(shuffles, range(5)),
    )


def test_f_where_maps_lack_values():
    rng = np.random.default_rng(5)
    design, contrast = three_groups(rng, n=18)
    data = rng.standard_normal((18, 300))
    rows = np.setdiff1d(np.arange(18), [0, 5])
    columns = np.arange(10, 290, 2)
    data[np.ix_([0, 5], columns)] = np.nan
    pattern = Pattern(rows, columns, restrict_design(design, contrast, rows))
    whole = partition_design(design, contrast)
    combined = CombinedStatistic(data, whole, [pattern])
    assert combined.kind == 'F'
    shuffles = make_shuffles('permutations', design[:, :3], 10)
    found = combined.z(shuffles, range(10))
    restricted = RestrictedShuffles(shuffles, rows)
    others = np.setdiff1d(np.arange(300), columns)
    alone = ShuffledStatistic(data, whole, others).z(shuffles, range(10))
    np.testing.assert_array_equal(found[:, others], alone)
    for j in range(10):
        f, dof = slow_f(
            data[np.ix_(rows, columns)], design[rows], contrast, *restricted.shuffle(j)
        )
        np.testing.assert_allclose(found[j, columns], z_from_f(f, 2, dof), rtol=1e-8, atol=1e-9)
    flipped = restrict_design(design, contrast, np.arange(0, 18, 3))
    assert flipped is None  # one group only


def test_f_has_no_mirror():
    """Two groups of one size that are exchanged, among three: F stays as it is."""
    design = np.kron(np.eye(3), np.ones((3, 1)))
    contrast = np.array([[1.0, 0], [-1, 1], [0, -1]])
    parts = partition_design(design, contrast)
    shuffles = make_shuffles('permutations', design, 2000)
    same, mirrored = same_as_identity(shuffles, parts)
    assert (same.sum(), mirrored.sum()) == (6, 0)
    data = np.random.default_rng(0).standard_normal((9, 4))
    z = ShuffledStatistic(data, parts).z(shuffles, range(shuffles.n))
    equal = (np.abs(z - z[0]) < 1e-9).all(axis=1)
    np.testing.assert_array_equal(equal, same)
