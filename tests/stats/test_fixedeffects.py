import numpy as np
import pytest
from scipy.linalg import block_diag, toeplitz

from ketbids.errors import InputError
from ketbids.stats.firstlevel import fit_glm
from ketbids.stats.fixedeffects import combine_joint, combine_runs
from ketbids.stats.glmresults import f_statistic
from tests.stats.noise import autocovariance, noise


@pytest.fixture(scope='module')
def runs():
    """Three runs of different length and noise, with designs whose first 3 columns are shared."""
    rng = np.random.default_rng(0)
    found = []
    for n_volumes, spare, sd in ((80, 2, 1.0), (110, 4, 2.0), (60, 3, 0.7)):
        design = np.c_[rng.standard_normal((n_volumes, 3 + spare)), np.ones(n_volumes)]
        data = sd * noise(rng, [0.4, 0.2], n_volumes, 4) + 100
        data += design[:, :1] * 0.3
        rows = np.eye(design.shape[1])[:3]
        found.append((data, design, fit_glm(data, design, rows, 2, f_contrasts=[rows])))
    return found


def stacked(runs, v):
    """All runs in one dense model: 3 parameters in common, all others by run."""
    common = np.concatenate([design[:, :3] for _, design, _ in runs])
    others = block_diag(*[design[:, 3:] for _, design, _ in runs])
    covariances = []
    for data, design, fit in runs:
        sigma = toeplitz(autocovariance(fit.ar[v], len(design)).astype(float))
        inverse = np.linalg.inv(sigma)
        beta = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ data[:, v])
        left = data[:, v] - design @ beta
        covariances.append(sigma * (left @ inverse @ left) / fit.df_nominal)
    inverse = np.linalg.inv(block_diag(*covariances))
    whole = np.c_[common, others]
    covariance = np.linalg.inv(whole.T @ inverse @ whole)
    beta = covariance @ whole.T @ inverse @ np.concatenate([data[:, v] for data, _, _ in runs])
    return beta[:3], covariance[:3, :3]


def test_joint_is_generalised_least_squares_of_all_runs_stacked(runs):
    joint = combine_joint(
        np.stack([fit.f[0].effect for *_, fit in runs]),
        np.stack([fit.f[0].covariance for *_, fit in runs]),
    )
    f = f_statistic(joint.effect, joint.variance)
    assert joint.counts.all()
    for v in range(4):
        effect, covariance = stacked(runs, v)
        np.testing.assert_allclose(joint.effect[:, v], effect, rtol=1e-8)
        np.testing.assert_allclose(
            joint.variance[:, v], covariance[np.triu_indices(3)], rtol=1e-8, atol=1e-12
        )
        expected = effect @ np.linalg.solve(covariance, effect) / 3
        np.testing.assert_allclose(f[v], expected, rtol=1e-8)


def test_a_row_alone_is_that_model_of_one_parameter_in_common(runs):
    """With one shared column, the dense model has the other conditions by run."""
    moved = [(data, design[:, [0]], design[:, 1:], fit) for data, design, fit in runs]
    effect, variance, _ = combine_runs(
        np.stack([fit.effect[0] for *_, fit in runs]),
        np.stack([fit.variance[0] for *_, fit in runs]),
    )
    for v in range(4):
        blocks, covariances = [], []
        for data, one, others, fit in moved:
            design = np.c_[one, others]
            sigma = toeplitz(autocovariance(fit.ar[v], len(design)).astype(float))
            inverse = np.linalg.inv(sigma)
            beta = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ data[:, v])
            left = data[:, v] - design @ beta
            covariances.append(sigma * (left @ inverse @ left) / fit.df_nominal)
            blocks.append(others)
        whole = np.c_[np.concatenate([one for _, one, *_ in moved]), block_diag(*blocks)]
        inverse = np.linalg.inv(block_diag(*covariances))
        covariance = np.linalg.inv(whole.T @ inverse @ whole)
        beta = covariance @ whole.T @ inverse @ np.concatenate([d[:, v] for d, *_ in moved])
        np.testing.assert_allclose(effect[v], beta[0], rtol=1e-8)
        np.testing.assert_allclose(variance[v], covariance[0, 0], rtol=1e-8)


def test_one_row_is_the_same_by_both_ways(runs):
    effects = np.stack([fit.effect[1] for *_, fit in runs])
    variances = np.stack([fit.variance[1] for *_, fit in runs])
    one, joint = (
        combine_runs(effects, variances),
        combine_joint(effects[:, None], variances[:, None]),
    )
    np.testing.assert_allclose(joint.effect[0], one.effect)
    np.testing.assert_allclose(joint.variance[0], one.variance)
    np.testing.assert_array_equal(joint.counts, one.counts)


def test_runs_without_data_do_not_count():
    effects = np.array([[1.0, np.nan, np.nan, 2.0], [3.0, 5.0, np.nan, 4.0]])
    variances = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 2.0, np.nan, 2.0]])
    effect, variance, counts = combine_runs(effects, variances)
    np.testing.assert_array_equal(effect, [2, 5, np.nan, 4])
    np.testing.assert_array_equal(variance, [0.5, 2, np.nan, 2])
    np.testing.assert_array_equal(counts.sum(axis=0), [2, 1, 0, 1])


def test_runs_of_an_f_contrast_without_data_do_not_count(runs):
    effects = np.stack([fit.f[0].effect for *_, fit in runs])
    covariances = np.stack([fit.f[0].covariance for *_, fit in runs])
    plain = combine_joint(effects[1:], covariances[1:])
    effects, covariances = effects.copy(), covariances.copy()
    effects[0, 1, 0] = np.nan
    covariances[:, 0, 1] = np.nan
    covariances[0, :, 2] = 1.0  # singular
    found = combine_joint(effects, covariances)
    np.testing.assert_array_equal(found.counts.sum(axis=0), [2, 0, 2, 3])
    np.testing.assert_allclose(found.effect[:, [0, 2]], plain.effect[:, [0, 2]])
    assert np.isnan(found.effect[:, 1]).all()
    assert np.isnan(f_statistic(found.effect, found.variance)[1])


def test_rows_of_very_different_size():
    """Covariances look singular if the units of the rows are not taken out."""
    scale = np.array([1e-7, 1e7])
    effect = np.array([[1.0], [2.0]])
    covariance = np.array([[1.0], [0.5], [2.0]])
    units = np.array([[scale[0] ** 2], [1.0], [scale[1] ** 2]])
    np.testing.assert_allclose(
        f_statistic(effect * scale[:, None], covariance * units), f_statistic(effect, covariance)
    )


def test_combining_two_halves_of_a_run_gives_the_run_with_known_variance():
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal((2, 100))
    halves = [slice(0, 50), slice(50, 100)]
    effects = np.array([[x[h] @ y[h] / (x[h] @ x[h])] for h in halves])
    variances = np.array([[1 / (x[h] @ x[h])] for h in halves])
    effect, variance, _ = combine_runs(effects, variances)
    assert effect[0] == pytest.approx(x @ y / (x @ x))
    assert variance[0] == pytest.approx(1 / (x @ x))


def test_shapes_must_agree():
    with pytest.raises(InputError, match='cannot be combined'):
        combine_runs(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(InputError, match='all rows of the F contrast'):
        combine_joint(np.ones((2, 2, 3)), np.ones((2, 2, 3)))
