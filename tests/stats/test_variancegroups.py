"""v and G."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from ketbids.errors import InputError
from ketbids.stats.estimates import estimate
from ketbids.stats.freedman_lane import partition_design, same_as_identity
from ketbids.stats.shuffling import make_shuffles
from ketbids.stats.statistic import CombinedStatistic, Pattern, make_statistic
from ketbids.stats.variancegroups import group_design
from ketbids.stats.zscore import z_from_f, z_from_t

# Written by PALM, commit 04095fe, under Octave 7.3: three locations of 12 rows,
#   palm -i Y.nii -d d.csv -t t.csv -tonly -vg vg.csv -n 4 -seed 1 -savemax -saveperms -savedof
#        -noniiclass (v, contrast 1)
#   ... -t t.csv -f f.csv -fonly -vg vg.csv (G), the same without -vg (F)
#   ... -d ones.csv -t one.csv -vg vg.csv -ise -ee (one sample, no nuisance)
MAPS = np.array(
    [
        [1.7, 1.5, 0.8, -2.0, -2.8, -1.4, 2.8, -1.8, -1.4, -5.4, 0.3, -5.5],
        [0.9, 1.8, 1.7, 1.8, -0.6, -2.0, 0.5, 3.2, 4.1, 2.0, -2.9, -4.2],
        [0.6, 0.8, 0.1, -0.3, 0.1, 1.1, -0.5, 3.1, 3.4, 4.7, 2.0, 4.4],
    ]
).T
COVARIATE = [0.0, 1.4, 1.2, -0.5, -0.3, -0.5, 0.6, -0.1, 0.7, -1.8, 1.6, -0.1]
GROUP = np.repeat([1, 2, 3], [3, 4, 5])
DESIGN = np.column_stack([GROUP == 1, GROUP == 2, GROUP == 3, COVARIATE]).astype(float)
CONTRAST = np.array([[1.0, -1, 0, 0], [0, 1, -1, 0]]).T
IDENTITY = list(range(1, 13))
PERMUTED = [
    IDENTITY,
    [7, 12, 5, 9, 3, 1, 4, 2, 11, 10, 6, 8],
    [11, 3, 4, 12, 5, 8, 9, 10, 2, 7, 1, 6],
    [11, 10, 12, 9, 4, 2, 7, 3, 6, 1, 5, 8],
]
PALM = {
    'F': (
        (DESIGN, CONTRAST, None),
        [3.2282306883178067, 0.3870578081167492, 41.503305391734436],
        [8, 8, 8],
        [3.847301830854976, 0.5854471935944771, 2.219950809956889, 0.07678905968867884],
        PERMUTED,
    ),
    'G': (
        (DESIGN, CONTRAST, GROUP),
        [2.9278270941997775, 1.2616668481587536, 36.22840017182873],
        [4.717141014734956, 5.145399389061347, 4.776813196709229],
        [3.011966991100798, 0.2469933046345088, 2.023982741037206, 0.2656525199639787],
        PERMUTED,
    ),
    'v': (
        (DESIGN, CONTRAST[:, 0], GROUP),
        [0.29533484400309784, 1.6654254522102734, 2.1348134066743967],
        [0.5896426268418695, 0.6431749236326681, 0.5971016495886537],
        [0.8589003233275676, 0.7218398275662641, 0.7096762824920944, 0.4462193615717664],
        [
            IDENTITY,
            [12, 10, 8, 6, 9, 5, 4, 2, 1, 11, 7, 3],
            [11, 5, 3, 8, 4, 9, 10, 1, 7, 12, 2, 6],
            [6, 1, 2, 9, 10, 8, 12, 3, 7, 5, 4, 11],
        ],
    ),
    'v, one sample': (
        (np.ones((12, 1)), np.ones(1), GROUP),
        [-1.4726704800066501, 1.1274967800818672, 3.409311038267893],
        [0.8474221713017368, 0.909011211513415, 0.9126991303481518],
        [1.280726031287907, 1.031990744613047, 0.7937896371854334, 0.0203468186809076],
        [
            IDENTITY,
            [1, -2, -3, 4, 5, 6, -7, -8, 9, 10, -11, 12],
            [-1, 2, 3, -4, 5, -6, -7, 8, 9, -10, -11, 12],
            [-1, -2, -3, 4, -5, -6, 7, 8, -9, -10, -11, 12],
        ],
    ),
}


class GivenShuffles:
    """Shuffles as PALM writes them."""

    def __init__(self, index):
        self.index = np.array(index)
        self.n, self.n_rows = self.index.shape

    def shuffle(self, number):
        return np.abs(self.index[number]) - 1, np.sign(self.index[number]).astype(float)


@pytest.mark.parametrize('case', PALM)
def test_agrees_with_palm(case):
    (design, contrast, groups), statistic, dof, maxima, index = PALM[case]
    parts = partition_design(design, contrast)
    found = estimate(MAPS, parts, groups)
    assert found.kind == case[0]
    np.testing.assert_allclose(found.statistic, statistic, rtol=1e-12)
    np.testing.assert_allclose(found.dof, dof, rtol=1e-12)
    z = make_statistic(MAPS, parts, groups).z(GivenShuffles(index), range(4))
    np.testing.assert_allclose(z.max(axis=1), maxima, rtol=1e-9)
    np.testing.assert_allclose(z[0], found.z, rtol=1e-9, atol=1e-9)


def slow_v(data, design, contrast, groups, rows, signs):
    """v or G of a shuffle with all matrices written out; also its degrees of freedom."""
    n, columns = design.shape
    C = contrast.reshape(columns, -1)
    rank = C.shape[1]
    Z = np.linalg.svd(design @ (np.eye(columns) - C @ np.linalg.pinv(C)))[0][:, : columns - rank]
    X = design @ np.linalg.pinv(C.T)
    X = X - Z @ Z.T @ X
    model = np.hstack([X, Z])
    d_of_row = 1 - np.diag(model @ np.linalg.pinv(model))
    P = np.zeros((n, n))
    P[np.arange(n), rows] = signs
    if columns == rank:
        model, shuffled = P @ X, data
    else:
        shuffled = (P.T @ (np.eye(n) - Z @ Z.T) + Z @ Z.T) @ data
    beta = np.linalg.pinv(model) @ shuffled
    left = shuffled - model @ beta
    found, dofs = [], []
    for v in range(data.shape[1]):
        A, weights, d = 0, [], []
        for group in np.unique(groups):
            here = groups == group
            d.append(d_of_row[here].sum())
            w = d[-1] / (left[here, v] ** 2).sum()
            A = A + w * model[here].T @ model[here]
            weights.append(w * here.sum())
        share = np.array(weights) / sum(weights)
        B = ((1 - share) ** 2 / np.array(d)).sum()
        b = beta[:rank, v]
        covariance = np.linalg.inv(A)[:rank, :rank]
        if rank == 1:
            found.append(b[0] / np.sqrt(covariance[0, 0]))
            dofs.append(1 / (3 * B))
        else:
            s = rank
            form = b @ np.linalg.inv(covariance) @ b / s
            found.append(form / (1 + 2 * (s - 1) * B / (s * (s + 2))))
            dofs.append(s * (s + 2) / (3 * B))
    return np.array(found), np.array(dofs)


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
@pytest.mark.parametrize('rank', [1, 2, 3, 4])
@pytest.mark.parametrize('n_groups', [2, 3, 5])
def test_shuffles_are_those_of_the_matrices_written_out(kind, rank, n_groups):
    rng = np.random.default_rng(rank)
    n = 19
    site = np.arange(n) % 3
    design = np.column_stack([site == 0, site == 1, site == 2, rng.standard_normal(n)])
    design = design.astype(float)
    groups = rng.permutation(np.arange(n) % n_groups) * 7
    contrast = np.linalg.qr(rng.standard_normal((4, 4)))[0][:, :rank]
    contrast = contrast[:, 0] if rank == 1 else contrast
    data = rng.standard_normal((n, 140)) * (1 + groups[:, None]) + rng.standard_normal(140)
    parts = partition_design(design, contrast)
    shuffles = make_shuffles(kind, np.arange(n), 6, seed=1)
    z = make_statistic(data, parts, groups).z(shuffles, range(6))
    for j in range(6):
        statistic, dof = slow_v(data, design, contrast, groups, *shuffles.shuffle(j))
        expected = z_from_t(statistic, dof) if rank == 1 else z_from_f(statistic, rank, dof)
        np.testing.assert_allclose(z[j], expected, rtol=1e-8, atol=1e-8)
        again = estimate(data, parts, groups, shuffle=shuffles.shuffle(j))
        np.testing.assert_allclose(again.statistic, statistic, rtol=1e-8)
        np.testing.assert_allclose(again.dof, dof, rtol=1e-8)
    observed = estimate(data, parts, groups)
    statistic, dof = slow_v(data, design, contrast, groups, np.arange(n), np.ones(n))
    np.testing.assert_allclose(observed.statistic, statistic, rtol=1e-9)
    np.testing.assert_allclose(observed.dof, dof, rtol=1e-9)


def test_two_groups_are_welch_s_test():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], [6, 13])
    data = rng.standard_normal((19, 8)) * np.where(group, 1, 4)[:, None]
    design = np.column_stack([group == 0, group == 1]).astype(float)
    found = estimate(data, partition_design(design, np.array([1.0, -1])), group)
    expected = stats.ttest_ind(data[group == 0], data[group == 1], equal_var=False)
    np.testing.assert_allclose(found.statistic, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(3 * found.dof, expected.df, rtol=1e-12)


def test_three_groups_are_welch_s_analysis_of_variance():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((12, 5)) * GROUP[:, None]
    found = estimate(data, partition_design(DESIGN[:, :3], CONTRAST[:3]), GROUP)
    for v in range(5):
        expected = anova_oneway([data[g == GROUP, v] for g in (1, 2, 3)], use_var='unequal')
        assert found.statistic[v] == pytest.approx(expected.statistic, rel=1e-12)
        assert found.dof[v] == pytest.approx(expected.df_denom, rel=1e-12)


def test_a_group_of_one_row_or_without_any_spread():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((10, 300))
    data[:5, 0] = 2.0
    groups = np.repeat([4, 9], 5)
    parts = partition_design(np.column_stack([np.ones(10), np.arange(10)]), np.array([0.0, 1]))
    shuffles = make_shuffles('permutations', np.arange(10), 50)
    for codes in (groups, np.arange(10) == 3):
        assert np.isfinite(make_statistic(data, parts, codes).z(shuffles, range(50))).all()
        assert np.isfinite(estimate(data, parts, codes).z).all()


@pytest.mark.parametrize('covariate', [False, True])
@pytest.mark.parametrize('own', [False, True])
def test_shuffles_that_change_nothing(covariate, own):
    """Without and with variance groups that are the groups; two of one size."""
    group = np.repeat([0, 1], 4)
    design = np.column_stack([group == 0, group == 1] + [np.arange(8.0) ** 2] * covariate)
    design = design.astype(float)
    parts = partition_design(design, np.array([1.0, -1, 0])[: 2 + covariate])
    groups = group if own else np.array([0, 0, 1, 1, 0, 0, 0, 1])
    # Within the groups, too.
    shuffles = make_shuffles('permutations', np.arange(8), 41000)
    assert shuffles.n == 40320
    data = np.random.default_rng(0).standard_normal((8, 3))
    some = np.r_[0:500, 39820:40320]

    class Some:
        n = len(some)

        def shuffle(self, number):
            return shuffles.shuffle(int(some[number]))

    z = make_statistic(data, parts, groups).z(Some(), range(len(some)))
    same, mirrored = same_as_identity(Some(), parts, groups)
    np.testing.assert_array_equal(same, (np.abs(z - z[0]) < 1e-9).all(axis=1))
    np.testing.assert_array_equal(mirrored, (np.abs(z + z[0]) < 1e-9).all(axis=1))
    assert same.sum() >= 1
    assert bool(mirrored.any()) == (own and not covariate)


def test_degrees_of_freedom_add_up():
    parts = partition_design(DESIGN, CONTRAST)
    found = group_design(parts, GROUP * 10)
    assert found.codes.tolist() == (GROUP - 1).tolist()
    assert found.sizes.tolist() == [3, 4, 5]
    assert found.dofs.sum() == pytest.approx(8)


def test_bad_groups_are_refused():
    parts = partition_design(DESIGN, CONTRAST)
    with pytest.raises(InputError, match=r'shape \(4,\), but the design has 12 rows'):
        make_statistic(MAPS, parts, [1, 2, 1, 2])
    with pytest.raises(InputError, match='only one variance group'):
        estimate(MAPS, parts, np.ones(12))
    alone = np.column_stack([DESIGN[:, :3], np.arange(12) == 0]).astype(float)
    with pytest.raises(InputError, match='fits the rows of variance group 5 without any error'):
        make_statistic(
            MAPS, partition_design(alone, np.array([1.0, -1, 0, 0])), np.r_[5, np.ones(11)]
        )
    pattern = Pattern(np.arange(11), np.array([0]), parts)
    with pytest.raises(InputError, match='minimum coverage to 1, or leave the variance groups'):
        CombinedStatistic(MAPS, parts, [pattern], GROUP)


def test_agrees_with_palm_on_every_location(shared):
    nib = pytest.importorskip('nibabel')
    folder = shared / 'reference' / 'palm' / 'twosample_exact'

    def read(path):
        return np.asarray(nib.load(path).dataobj, dtype=float)

    image = read(folder / 'inputs' / 'V.nii')
    data = image.reshape(-1, image.shape[3]).T
    mask = np.ptp(data, axis=0) > 0
    design = np.loadtxt(folder / 'inputs' / 'design.csv', delimiter=',')
    groups = np.loadtxt(folder / 'inputs' / 'vg.csv', delimiter=',')
    parts = partition_design(design, np.array([1.0, -1]))
    out = folder / 'out' / 'opt_V_vg_vstat'
    found = estimate(data[:, mask], parts, groups)
    expected = read(out / 'palm_vox_vstat.nii.gz').ravel()[mask]
    np.testing.assert_allclose(found.statistic, expected, rtol=1e-9)
    index = np.loadtxt(folder / 'out' / 'permidx' / 'single_permidx.csv', delimiter=',', dtype=int)
    z = make_statistic(data[:, mask], parts, groups).z(GivenShuffles(index), range(len(index)))
    size = np.abs(z)
    np.testing.assert_allclose(
        size.max(axis=1), np.loadtxt(out / 'palm_vox_vstat_max.csv'), rtol=1e-9
    )
    counts = (size >= size[0] * (1 - 1e-9)).sum(axis=0)
    theirs = read(out / 'palm_vox_vstat_uncp.nii.gz').ravel()[mask] * len(index)
    # PALM loses the mirror of the data to rounding at some locations.
    assert set(counts - np.round(theirs).astype(int)) <= {0, 1}
