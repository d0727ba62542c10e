import numpy as np
import pytest
from scipy import stats

from ketbids.stats.coverage import estimate_covered
from ketbids.stats.estimates import estimate, glm_maps, intervals
from ketbids.stats.freedman_lane import partition_design, restrict_design
from ketbids.stats.statistic import Pattern
from ketbids.stats.zscore import parametric_p


def two_groups(n=15, covariate=True):
    rng = np.random.default_rng(0)
    group = np.arange(n) % 3 == 0
    columns = [group, ~group] + [rng.standard_normal(n)] * covariate
    return np.column_stack(columns).astype(float), np.array([1.0, -1, 0])[: 2 + covariate]


def test_f_of_three_groups_is_the_analysis_of_variance():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], [4, 5, 7])
    data = rng.standard_normal((16, 9000)) + group[:, None]
    design = (group[:, None] == np.arange(3)).astype(float)
    fit = estimate(data, partition_design(design, np.array([[1.0, 0], [-1, 1], [0, -1]])))
    expected = stats.f_oneway(*(data[group == g] for g in range(3)))
    assert fit.kind == 'F'
    np.testing.assert_allclose(fit.statistic, expected.statistic, rtol=1e-11)
    np.testing.assert_allclose(parametric_p(fit.z), expected.pvalue, rtol=1e-9)
    assert (fit.dof == 13).all()
    for values in (fit.effect, fit.variance, *intervals(fit)):
        assert np.isnan(values).all()


def test_one_sample():
    data = np.random.default_rng(1).standard_normal((11, 5)) * 3 + 2
    fit = estimate(data, partition_design(np.ones((11, 1)), np.ones(1)))
    expected = stats.ttest_1samp(data, 0)
    found = intervals(fit)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(fit.statistic, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, stats.sem(data), rtol=1e-12)
    np.testing.assert_allclose(found.low, interval.low, rtol=1e-11)
    np.testing.assert_allclose(found.high, interval.high, rtol=1e-11)
    np.testing.assert_allclose(found.cohen_d, data.mean(axis=0) / data.std(axis=0, ddof=1))
    narrow = intervals(fit, 0.5)
    np.testing.assert_allclose(narrow.low, expected.confidence_interval(0.5).low, rtol=1e-11)
    assert (fit.n_maps == 11).all()


@pytest.mark.parametrize('grouped', [False, True])
def test_two_samples(grouped):
    design, contrast = two_groups(covariate=False)
    first = design[:, 0] == 1
    data = np.random.default_rng(1).standard_normal((15, 6)) * np.where(first, 5, 1)[:, None]
    fit = estimate(data, partition_design(design, contrast), first if grouped else None)
    expected = stats.ttest_ind(data[first], data[~first], equal_var=not grouped)
    assert fit.kind == ('v' if grouped else 't')
    found = intervals(fit)
    np.testing.assert_allclose(fit.statistic, expected.statistic, rtol=1e-12)
    np.testing.assert_allclose(found.low, expected.confidence_interval().low, rtol=1e-11)
    np.testing.assert_allclose(found.high, expected.confidence_interval().high, rtol=1e-11)
    spread = (4 * data[first].var(axis=0, ddof=1) + 9 * data[~first].var(axis=0, ddof=1)) / 13
    difference = data[first].mean(axis=0) - data[~first].mean(axis=0)
    np.testing.assert_allclose(found.cohen_d, difference / np.sqrt(spread), rtol=1e-12)
    assert fit.residuals.shape == (0, 6)


def test_residuals_and_the_variance_of_the_statistic():
    design, contrast = two_groups()
    data = np.random.default_rng(1).standard_normal((15, 9000)) + 50
    parts = partition_design(design, contrast)
    beta = np.linalg.lstsq(design, data, rcond=None)[0]
    for groups in (None, design[:, 0]):
        fit = estimate(data, parts, groups, residuals=True)
        np.testing.assert_allclose(fit.residuals, data - design @ beta, atol=1e-11)
        np.testing.assert_allclose(fit.effect, contrast @ beta, atol=1e-11)
        np.testing.assert_allclose(fit.statistic**2 * fit.variance, fit.effect**2, rtol=1e-10)


def test_what_palm_saves():
    design, contrast = two_groups()
    data = np.random.default_rng(1).standard_normal((15, 7))
    parts = partition_design(design, contrast)
    fit = estimate(data, parts)
    found = glm_maps(fit, parts)
    np.testing.assert_array_equal(found.cope, fit.effect)
    np.testing.assert_allclose(found.varcope, fit.variance, rtol=1e-12)
    # The tested column is what the covariate leaves of half the difference of the groups.
    rest = np.column_stack([np.ones(15), design[:, 2]])
    column = (design[:, 0] - design[:, 1]) / 2
    column = column - rest @ np.linalg.pinv(rest) @ column
    reach = column.max() - column.min()
    np.testing.assert_allclose(found.cohen, intervals(fit).cohen_d * reach, rtol=1e-10)
    np.testing.assert_allclose(found.cfvar * found.cohen, 1, rtol=1e-14)
    grouped = estimate(data, parts, design[:, 0])
    np.testing.assert_allclose(glm_maps(grouped, parts).varcope, fit.variance, rtol=1e-12)


def test_where_maps_lack_values():
    design, contrast = two_groups()
    data = np.random.default_rng(1).standard_normal((15, 5))
    data[2, 1:3] = np.nan
    rows = np.setdiff1d(np.arange(15), 2)
    parts = partition_design(design, contrast)
    pattern = Pattern(rows, np.array([1, 2]), restrict_design(design, contrast, rows))
    fit = estimate_covered(data, parts, [pattern])
    alone = estimate(data[rows, 1:3], pattern.parts)
    np.testing.assert_array_equal(fit.n_maps, [15, 14, 14, 15, 15])
    np.testing.assert_array_equal(fit.dof, [12, 11, 11, 12, 12])
    for values, expected in zip(intervals(fit), intervals(alone), strict=True):
        np.testing.assert_array_equal(values[1:3], expected)
    np.testing.assert_array_equal(np.isnan(fit.residuals), np.isnan(data))


@pytest.mark.parametrize('case', ['onesample_cov', 'twosample_cov', 'paired_signflip_exact'])
@pytest.mark.parametrize('two_tailed', [False, True])
def test_agrees_with_palm(shared, case, two_tailed):
    nib = pytest.importorskip('nibabel')
    folder = shared / 'reference' / 'palm' / case

    def read(path):
        return np.asarray(nib.load(path).dataobj, dtype=float)

    image = read(folder / 'inputs' / 'L.nii')
    data = image.reshape(-1, image.shape[3]).T
    mask = np.ptp(data, axis=0) > 0
    design = np.loadtxt(folder / 'inputs' / 'design.csv', delimiter=',', ndmin=2)
    contrast = np.loadtxt(folder / 'inputs' / 'con_pos.csv', delimiter=',', ndmin=1)
    parts = partition_design(design, contrast)
    fit = estimate(data[:, mask], parts)
    run, ending = ('uni_twotail', '_m1') if two_tailed else ('uni_onetail', '_m1_c1')
    found = {'tstat_uncparap': parametric_p(fit.z, two_tailed), 'tstat': fit.statistic}
    if not two_tailed:
        found |= glm_maps(fit, parts)._asdict()
    for name, values in found.items():
        expected = read(folder / 'out' / run / f'palm_vox_{name}{ending}.nii.gz').ravel()[mask]
        np.testing.assert_allclose(values, expected, rtol=1e-9, err_msg=name)
