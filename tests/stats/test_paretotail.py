import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ketbids.stats.paretotail import fit_tail, tail_p, tail_p_columns
from ketbids.stats.zscore import z_from_t


def middles(n):
    return (np.arange(1, n + 1) - 0.5) / n


EXPONENTIAL = -np.log(middles(200))
SIZES = np.round(-12 * np.log(middles(300)))
MOSTLY_ZERO = np.concatenate([np.zeros(170), 3 * np.sqrt(np.arange(1, 31))])
LATER = np.concatenate([np.arange(1, 161) / 100, 4 - 40 / np.arange(10, 50) ** 1.2])

# What palm_pareto.m of commit 04095fe gave under GNU Octave 7.3, called with these distributions:
# (distribution, values, p, location, scale, shape).
PALM = {
    'exponential': (
        EXPONENTIAL,
        [EXPONENTIAL[0], 4, 3, 2.5, 2, 0.1],
        [
            0.002127534977788752,
            0.0176747065178969,
            0.04952171078258064,
            0.08224518029403149,
            0.135,
            0.905,
        ],
        (1.386344363620057, 1.012874053655081, 0.01997800465019017),
    ),
    'heavy': (
        middles(400) ** -0.2,
        [(0.5 / 400) ** -0.2, 3, 2, 1.7, 1.2],
        [
            0.0008951823901502273,
            0.003442380026915041,
            0.03091232219640259,
            0.07150512848136256,
            0.4025,
        ],
        (1.319511869354686, 0.2751528625308145, -0.1566375729848873),
    ),
    'uniform': (
        middles(300),
        [1, 0.97, 0.95, 0.92, 0.5],
        [0.002270895828903376, 0.03089115448130361, 0.05037516254314665, 0.07987518417619272, 0.5],
        (0.75, 0.2475328947368419, 0.9802631578947358),
    ),
    'sizes, many equal': (
        SIZES,
        [SIZES.max(), 50, 40, 30, 27, 12],
        [
            0.001412456824914093,
            0.01496568001601304,
            0.03521459483761821,
            0.08206399915409691,
            0.11,
            0.3833333333333334,
        ],
        (16.5, 12.06682112003235, 0.01334630400271697),
    ),
    'mostly zero': (
        MOSTLY_ZERO,
        [MOSTLY_ZERO.max(), 14, 12, 9, 0],
        [0.001492002196771283, 0.0441481888054735, 0.07151115043590923, 0.11, 1],
        (9.718353675785668, 8.303687842136224, 1.229877509967728),
    ),
    'tail begins later': (
        LATER,
        [LATER.max(), 3.5, 3.2, 2.4],
        [0.001068792058223573, 0.0539836861896166, 0.115, 0.175],
        (3.408255893582317, 0.3029579756267599, 1.393199543429377),
    ),
}


@pytest.mark.parametrize('name', PALM)
def test_one_distribution_as_by_palm(name):
    distribution, values, p, parameters = PALM[name]
    tail = fit_tail(distribution)
    np.testing.assert_allclose(tail[:3], parameters, rtol=1e-12)
    np.testing.assert_allclose(tail_p(distribution, np.array(values)), p, rtol=1e-11)


def test_the_first_is_left_out_as_by_palm():
    exponential = np.concatenate([[11], -np.log(middles(199))])
    found = tail_p(exponential, np.array([11.0, 6, 5, 3, 2]), first_out=True)
    expected = [6.712140701353423e-06, 0.0021069939844992, 0.006171174421960538]
    expected += [0.04951679657879656, 0.135678391959799]
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    # A distribution with an end: nothing is beyond it.
    uniform = np.concatenate([[1.2], middles(199)])
    found = tail_p(uniform, np.array([1.2, 0.99, 0.95]), first_out=True)
    np.testing.assert_allclose(found, [0, 0.01245045987570383, 0.05056245237697388], rtol=1e-11)


def test_without_a_fit_the_p_of_the_shuffles_stay():
    # PALM: all thresholds rejected.
    outlier = np.concatenate([np.arange(1, 171) / 100, 2 + np.arange(1, 31) / 30, [9]])
    assert fit_tail(outlier) is None
    found = tail_p(outlier, np.array([9.0, 2.9, 2.5, 2.0]))
    np.testing.assert_allclose(found, np.array([1, 5, 17, 31]) / 201, rtol=1e-14)
    for equal in (np.full(50, 5.0), np.zeros(50), np.repeat([0.0, 60.0], [46, 4])):
        # PALM stops with an error or doesn't return.
        assert fit_tail(equal) is None
        assert tail_p(equal, np.array([60.0]))[0] == pytest.approx((equal >= 60).mean())
    assert fit_tail(np.ones(1)) is None


def test_values_that_shuffles_reach_never_get_zero():
    # PALM: shape 7.8, and p = 0 for values that 8 of 200 shuffles reach.
    step = np.concatenate([np.arange(1, 161) / 100, 3 + np.sqrt(np.arange(1, 41)) / 8])
    tail = fit_tail(step)
    assert tail.location > 3
    assert tail.shape < 4.3
    assert (tail_p(step, np.array([step.max(), 3.7])) > 0.001).all()


def slow_tail_p(distribution, value):
    """Step by step, with scipy's distribution (its shape is -k)."""
    ordered = np.sort(distribution)
    n = len(ordered)
    p = (ordered >= value).mean()
    if p >= 0.1:
        return p
    share = np.array([(ordered <= x).mean() for x in ordered])
    for thousandths in range(751, 972, 10):
        first = np.flatnonzero(share >= thousandths / 1000)[0]
        location = (ordered[first - 1] + ordered[first]) / 2
        excess = ordered[first:] - location
        ratio = excess.mean() ** 2 / excess.var(ddof=1)
        shape, scale = (ratio - 1) / 2, excess.mean() * (ratio + 1) / 2
        above = stats.genpareto.sf(excess[::-1], -shape, scale=scale)
        if above[0] <= 0:
            continue
        odd = 2 * np.arange(1, len(excess) + 1) - 1
        statistic = -len(excess) - np.mean(odd * (np.log(above) + np.log1p(-above[::-1])))
        if statistic < np.interp(shape, [0.5, 0.9], [0.830, 0.771]):
            if value <= location:
                return p
            return len(excess) / n * stats.genpareto.sf(value - location, -shape, scale=scale)
    return p


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(60, 400), st.sampled_from(['t', 'max', 'gamma']))
def test_columns_are_fitted_as_step_by_step(seed, n, kind):
    rng = np.random.default_rng(seed)
    draws = {
        't': rng.standard_t(8, (n, 3)),
        'max': rng.standard_normal((n, 3, 50)).max(axis=2),
        'gamma': rng.gamma(0.7, 3, (n, 3)),
    }[kind]
    draws[0] = np.quantile(draws, 0.97, axis=0)
    found = tail_p_columns(draws, draws[0])
    np.testing.assert_allclose(
        found, [slow_tail_p(draws[:, k], draws[0, k]) for k in range(3)], rtol=1e-9
    )
    for k in range(3):
        assert found[k] == tail_p_columns(draws[:, k : k + 1], draws[0, k : k + 1])[0]
        assert found[k] == tail_p(draws[:, k], draws[0, k])


def test_values_equal_but_for_rounding_are_one_where_the_tail_is_cut():
    pairs = np.repeat(-np.log(middles(100)), 2)
    nearly = pairs.copy()
    nearly[::2] *= 1 + 3e-16
    values = np.array([4.0, 3.0])
    np.testing.assert_allclose(tail_p(nearly, values), tail_p(pairs, values), rtol=1e-12)


@pytest.mark.parametrize(('true', 'n'), [(0.01, 200), (0.01, 500), (0.002, 500)])
def test_fitted_p_are_closer_to_the_truth_than_those_of_the_shuffles(true, n):
    null = np.random.default_rng(8).standard_normal((n, 600))
    null[0] = stats.norm.isf(true)
    found = tail_p_columns(null, null[0])
    counted = (null >= null[0]).mean(axis=0)
    assert np.median(found) == pytest.approx(true, rel=0.2)
    assert np.mean((found - true) ** 2) < 0.8 * np.mean((counted - true) ** 2)
    assert found.min() > 0


class TestReference:
    """PALM with ``-accel tail``, 500 shuffles, two samples with covariates, a volume."""

    @staticmethod
    def load(folder, name):
        return nb.load(folder / f'palm_{name}.nii.gz').get_fdata().ravel()

    @pytest.mark.parametrize('run', ['opt_V_tail', 'opt_V_tail_nouncorr'])
    @pytest.mark.parametrize('kind', ['vox', 'tfce'])
    def test_familywise(self, shared, run, kind):
        folder = shared / 'reference' / 'palm' / 'twosample_cov' / 'out' / run
        statistic = self.load(folder, f'{kind}_tstat')
        inside = self.load(folder, 'vox_tstat') != 0
        values = z_from_t(statistic[inside], 14) if kind == 'vox' else statistic[inside]
        maxima = np.loadtxt(folder / f'palm_{kind}_tstat_max.csv')
        expected = self.load(folder, f'{kind}_tstat_fwep')[inside]
        assert (expected < 0.1).sum() > 3
        np.testing.assert_allclose(tail_p(maxima, values), expected, rtol=0, atol=1e-10)

    def test_uncorrected(self, shared):
        case = shared / 'reference' / 'palm' / 'twosample_cov'
        folder = case / 'out' / 'opt_V_tail'
        t = self.load(folder, 'vox_tstat')
        inside = np.flatnonzero(t)
        expected = self.load(folder, 'vox_tstat_uncp')[inside]
        chosen = inside[expected < 0.12]
        data = nb.load(case / 'inputs' / 'V.nii').get_fdata().reshape(-1, 18)[chosen].T
        design = np.loadtxt(case / 'inputs' / 'design.csv', delimiter=',')
        contrast = np.loadtxt(case / 'inputs' / 'con_pos.csv', delimiter=',')
        shuffles = np.loadtxt(case / 'out/permidx/single_permidx.csv', delimiter=',', dtype=int)
        t_null = shuffled_t(data, design, contrast, shuffles[:500] - 1)
        np.testing.assert_allclose(t_null[0], t[chosen], rtol=1e-9)
        null = z_from_t(t_null, 14)
        assert len(chosen) > 50
        np.testing.assert_allclose(
            tail_p_columns(null, null[0]), expected[expected < 0.12], rtol=0, atol=1e-10
        )


def shuffled_t(data, design, contrast, shuffles):
    """t of Freedman and Lane's method by full regressions; shape (n_shuffles, n_locations)."""
    weights = np.linalg.pinv(contrast[None])[:, 0]
    n, columns = design.shape
    rest = design @ (np.eye(columns) - np.outer(weights, contrast))
    nuisance = np.linalg.svd(rest)[0][:, : columns - 1]
    tested = design @ weights
    tested -= nuisance @ (nuisance.T @ tested)
    residuals = data - nuisance @ (nuisance.T @ data)
    out = np.empty((len(shuffles), data.shape[1]))
    for j, rows in enumerate(shuffles):
        shuffled = np.empty_like(residuals)
        shuffled[rows] = residuals
        model = np.column_stack([tested, nuisance])
        fit, squares, *_ = np.linalg.lstsq(model, shuffled, rcond=None)
        variance = np.linalg.inv(model.T @ model)[0, 0] * squares / (n - columns)
        out[j] = fit[0] / np.sqrt(variance)
    return out
