import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.estimates import estimate
from ketbids.stats.freedman_lane import (
    check_design,
    partition_design,
    same_as_identity,
)
from ketbids.stats.shuffling import make_shuffles
from ketbids.stats.statistic import ShuffledStatistic
from ketbids.stats.zscore import z_from_t

from .small_brain import slow_t

PALM_CASES = [
    'onesample_cov',
    'twosample_cov',
    'twosample_exact',
    'paired_signflip_exact',
    'eb_within_paired_exact',
]


def two_groups(rng, n=14, covariates=2):
    group = np.arange(n) % 3 == 0
    columns = [group, ~group, *rng.standard_normal((covariates, n))]
    return np.column_stack(columns).astype(float), np.array([1.0, -1.0] + [0.0] * covariates)


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
@pytest.mark.parametrize('covariates', [0, 1, 3])
def test_shuffled_z_is_that_of_the_matrices_written_out(kind, covariates):
    rng = np.random.default_rng(covariates)
    design, contrast = two_groups(rng, covariates=covariates)
    data = rng.standard_normal((14, 300)) + 5 * rng.standard_normal(300)
    shuffles = make_shuffles(kind, design[:, :2], 20, seed=1)
    parts = partition_design(design, contrast)
    found = ShuffledStatistic(data, parts).z(shuffles, range(20))
    for j in range(20):
        t, dof = slow_t(data, design, contrast, *shuffles.shuffle(j))
        assert dof == parts.dof
        np.testing.assert_allclose(found[j], z_from_t(t, dof), rtol=1e-10, atol=1e-10)


def test_without_nuisance_too():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((9, 40)) + 1
    parts = partition_design(np.ones((9, 1)), np.array([1.0]))
    assert parts.nuisance.shape == (9, 0)
    shuffles = make_shuffles('flips', 9, 30)
    found = ShuffledStatistic(data, parts).z(shuffles, range(30))
    for j in range(30):
        t, dof = slow_t(data, np.ones((9, 1)), [1.0], *shuffles.shuffle(j))
        np.testing.assert_allclose(found[j], z_from_t(t, dof), rtol=1e-10, atol=1e-10)


def test_a_map_is_the_same_to_the_last_bit_whatever_is_done_with_it():
    rng = np.random.default_rng(0)
    design, contrast = two_groups(rng)
    statistic = ShuffledStatistic(
        rng.standard_normal((14, 700)), partition_design(design, contrast)
    )
    shuffles = make_shuffles('permutations', design[:, 0], 30)
    together = statistic.z(shuffles, range(30))
    apart = np.concatenate([statistic.z(shuffles, range(j, j + 1)) for j in range(30)])
    np.testing.assert_array_equal(together, apart)


def test_estimate_is_that_of_ordinary_least_squares():
    rng = np.random.default_rng(3)
    design, contrast = two_groups(rng)
    data = rng.standard_normal((14, 60)) * 3 + 100
    found = estimate(data, partition_design(design, contrast), residuals=True)
    beta = np.linalg.lstsq(design, data, rcond=None)[0]
    variance = ((data - design @ beta) ** 2).sum(axis=0) / 10
    variance *= contrast @ np.linalg.inv(design.T @ design) @ contrast
    np.testing.assert_allclose(found.effect, contrast @ beta, rtol=1e-9)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-9)
    np.testing.assert_array_equal(found.t, found.effect / np.sqrt(found.variance))
    np.testing.assert_allclose(found.residuals, data - design @ beta, atol=1e-11)


def test_a_perfect_fit_stays_finite():
    design = np.column_stack([np.ones(8), np.arange(8)])
    data = np.arange(8.0)[:, None] * [1, -1] + 3
    parts = partition_design(design, np.array([0.0, 1.0]))
    found = estimate(data, parts)
    assert np.isfinite(found.z).all()
    assert (np.abs(found.z) > 10).all()
    shuffles = make_shuffles('permutations', np.arange(8), 10)
    assert np.isfinite(ShuffledStatistic(data, parts).z(shuffles, range(10))).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
def test_what_the_nuisance_explains_has_no_effect(seed, shift, scale):
    rng = np.random.default_rng(seed)
    design, contrast = two_groups(rng)
    data = rng.standard_normal((14, 20))
    parts = partition_design(design, contrast)
    shuffles = make_shuffles('permutations', design[:, 0], 6, seed)
    plain = ShuffledStatistic(data, parts).z(shuffles, range(6))
    # The mean of both groups and the covariates are orthogonal to the contrast's weights.
    nuisance = design @ [1.0, 1.0, 2.0, -1.0] * shift
    moved = ShuffledStatistic(scale * data + nuisance[:, None], parts).z(shuffles, range(6))
    np.testing.assert_allclose(moved, plain, rtol=1e-6, atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_another_coding_of_the_same_design_gives_the_same(seed):
    rng = np.random.default_rng(seed)
    design, contrast = two_groups(rng)
    data = rng.standard_normal((14, 20))
    coding = rng.standard_normal((4, 4)) + 3 * np.eye(4)
    recoded = partition_design(design @ coding, contrast @ coding)
    plain = partition_design(design, contrast)
    np.testing.assert_allclose(
        estimate(data, recoded).effect, estimate(data, plain).effect, atol=1e-8
    )
    np.testing.assert_allclose(estimate(data, recoded).t, estimate(data, plain).t, atol=1e-8)


def test_the_partition_is_orthogonal_and_spans_the_design():
    design, contrast = two_groups(np.random.default_rng(5))
    parts = partition_design(design, contrast)
    np.testing.assert_allclose(parts.basis.T @ parts.basis, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(parts.basis @ (parts.basis.T @ design), design, atol=1e-12)
    assert parts.dof == 10


class PalmShuffles:
    """Shuffles that PALM has written."""

    def __init__(self, path):
        self.index = np.loadtxt(path, delimiter=',', dtype=int)
        self.n = len(self.index)

    def shuffle(self, number):
        index = self.index[number]
        return np.abs(index) - 1, np.sign(index).astype(float)


def palm_case(folder):
    nib = pytest.importorskip('nibabel')
    design = np.loadtxt(folder / 'inputs' / 'design.csv', delimiter=',', ndmin=2)
    contrast = np.loadtxt(folder / 'inputs' / 'con_pos.csv', delimiter=',', ndmin=1)
    maps = {}
    for number, name in enumerate('LRV', start=1):
        image = np.asarray(nib.load(folder / 'inputs' / f'{name}.nii').dataobj, dtype=float)
        data = image.reshape(-1, image.shape[3]).T
        maps[number] = data, (np.diff(data, axis=0) ** 2).sum(axis=0) != 0

    def output(name):
        return np.asarray(nib.load(folder / 'out' / name).dataobj, dtype=float).ravel()

    return design, contrast, maps, output


@pytest.mark.parametrize('case', PALM_CASES)
def test_agrees_with_palm_on_estimates_and_on_every_shuffle(shared, case):
    folder = shared / 'reference' / 'palm' / case
    design, contrast, maps, output = palm_case(folder)
    design, contrast = check_design(design, contrast)
    parts = partition_design(design, contrast)
    shuffles = PalmShuffles(folder / 'out' / 'permidx' / 'onetail_c1_permidx.csv')
    for number, (data, mask) in maps.items():
        found = estimate(data[:, mask], parts)
        prefix = 'uni_onetail/palm_vox'
        for ours, theirs in (('t', 'tstat'), ('effect', 'cope'), ('variance', 'varcope')):
            expected = output(f'{prefix}_{theirs}_m{number}_c1.nii.gz')[mask]
            np.testing.assert_allclose(getattr(found, ours), expected, rtol=1e-9, atol=1e-9)
        largest = np.loadtxt(folder / 'out' / f'{prefix}_tstat_max_m{number}_c1.csv')
        z = ShuffledStatistic(data[:, mask], parts).z(shuffles, range(shuffles.n))
        np.testing.assert_allclose(z.max(axis=1), largest, rtol=1e-9)
        np.testing.assert_allclose(z[0], found.z, atol=1e-10)


def test_the_mirror_of_an_exhaustive_set_of_flips_is_its_last():
    design = np.column_stack([np.ones(6), [1, 0, 2, 5, 3, 1]])
    parts = partition_design(design, np.array([1.0, 0.0]))
    same, mirrored = same_as_identity(make_shuffles('flips', 6, 64), parts)
    assert np.flatnonzero(same).tolist() == [0]
    assert np.flatnonzero(mirrored).tolist() == [63]


@pytest.mark.parametrize(
    ('sizes', 'covariate', 'n'), [((4, 4), 0, 1), ((3, 5), 0, 0), ((4, 4), 1, 0)]
)
def test_groups_of_one_size_can_be_exchanged_only_without_covariates(sizes, covariate, n):
    group = np.repeat([1.0, 0.0], sizes)
    columns = [group, 1 - group] + [np.arange(8.0) ** 2] * covariate
    design, contrast = np.column_stack(columns), np.array([1.0, -1.0, 0.0])[: 2 + covariate]
    shuffles = make_shuffles('permutations', group, 1000)
    same, mirrored = same_as_identity(shuffles, partition_design(design, contrast))
    assert (same.sum(), mirrored.sum()) == (1, n)


def refuse(match, design, contrast, **options):
    with pytest.raises(InputError, match=match):
        check_design(design, contrast, **options)


def test_designs_that_cannot_be_tested_are_refused():
    frame = pd.DataFrame(
        {'HC': [1, 1, 1, 0, 0, 0], 'TRD': [0, 0, 0, 1, 1, 1], 'age': [2.0, 3, 5, 7, 11, 13]}
    )
    refuse(
        'rank deficient: a combination of HC, TRD, mean is 0', frame.assign(mean=1), [1, -1, 0, 0]
    )
    refuse('rank deficient: a combination of age is 0', frame.assign(age=0), [1, -1, 0])
    refuse('no value in row 3 of age', frame.assign(age=[1, 2, np.nan, 4, 5, 6]), [1, -1, 0])
    refuse(
        r'contrast has shape \(2,\), but the design has 3 columns \(HC, TRD, age\)', frame, [1, -1]
    )
    refuse('at least one that is not 0', frame, [0, 0, 0])
    refuse('finite weights', frame, [1, np.nan, 0])
    refuse('3 maps are too few .* at least 4', frame[2:5], [1, -1, 0])
    refuse('must be numbers', frame.assign(age='old'), [1, -1, 0])
    refuse('rows x columns', np.ones(5), [1])
    refuse('3 columns, but 1 names', frame.to_numpy(), [1, -1, 0], names=['HC'])
    refuse('of a, b is 0', np.ones((5, 2)), [1, 0], names=['a', 'b'])


def test_columns_of_very_different_units_are_not_taken_for_dependent():
    days = 1e6 + np.random.default_rng(0).standard_normal(20) * 300
    design, _ = check_design(np.column_stack([np.ones(20), days, days**0.5 * 1e-9]), [1, 0, 0])
    assert design.shape == (20, 3)
