import numpy as np
import pytest
from scipy import sparse, stats

from ketbids.errors import InputError
from ketbids.stats import autoregression, firstlevel
from ketbids.stats.firstlevel import fit_glm
from ketbids.stats.scaling import GRAND_MEAN
from tests.stats.noise import dense, from_reflections, noise

ROWS = np.array([[1.0, 0, 0, 0], [1, -1, 0, 0], [0, 0, 0.5, 2]])


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    design = np.c_[rng.standard_normal((60, 3)), np.ones(60)]
    data = noise(rng, [0.5, -0.2, 0.3], 60, 12) + GRAND_MEAN
    return data, design, ROWS


def check(data, design, rows, f_rows, coefficients, fit):
    """Compare all that a fit gives with dense generalised least squares under its own model."""
    np.testing.assert_allclose(fit.ar, coefficients, atol=1e-12)
    df = len(design) - design.shape[1]
    assert fit.df_nominal == df
    for v in range(data.shape[1]):
        effect, covariance = dense(data[:, v], design, rows, fit.ar[v])
        variance = np.diag(covariance)
        t = effect / np.sqrt(variance)
        np.testing.assert_allclose(fit.t[:, v], t, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(fit.variance[:, v], variance, rtol=1e-7)
        np.testing.assert_allclose(
            fit.effect[:, v], effect, rtol=1e-8, atol=1e-8 * np.sqrt(variance.min())
        )
        effect, covariance = dense(data[:, v], design, f_rows, fit.ar[v])
        (found,) = fit.f
        f = effect @ np.linalg.solve(covariance, effect) / len(f_rows)
        np.testing.assert_allclose(found.f[v], f, rtol=1e-7)
        joint = covariance[np.triu_indices(len(f_rows))]
        scale = np.sqrt(np.diag(covariance)).max() ** 2
        np.testing.assert_allclose(found.covariance[:, v], joint, rtol=1e-7, atol=1e-8 * scale)
        z = stats.norm.isf(stats.f.sf(f, len(f_rows), df))
        np.testing.assert_allclose(found.z[v], z, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('order', [0, 1, 2, 6, 11])
def test_equal_to_dense_generalised_least_squares(problem, order):
    data, design, rows = problem
    f_rows = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 0, -2, 0]])
    fit = fit_glm(data, design, rows, order, f_contrasts=[f_rows])
    assert fit.ar.shape == (12, order)
    check(data, design, rows, f_rows, fit.ar, fit)


@pytest.mark.parametrize(
    'reflections',
    [
        (0.98,),
        (-0.98,),
        (0.985, -0.97),
        (0.9, 0.9),
        (-0.3, 0.98, 0.2),
        (0.985, -0.97, 0.9, -0.8, 0.7, -0.6),
        (0.99, -0.99, 0.5),
    ],
)
def test_strong_autocorrelation_costs_no_digits(monkeypatch, reflections):
    """The model is given, as no estimate from residuals is so strong."""
    rng = np.random.default_rng(1)
    n_volumes, n = 80, 3
    times = np.linspace(0, 1, n_volumes)
    design = np.c_[
        rng.standard_normal((n_volumes, 2)),
        *[np.cos(np.pi * k * times) for k in (1, 2)],
        np.ones(n_volumes),
    ]
    phi = from_reflections(reflections)
    white = rng.standard_normal((n_volumes, n))
    data = GRAND_MEAN + np.cumsum(white, axis=0)
    given = np.tile(np.array(reflections)[:, None], (1, n))
    monkeypatch.setattr(autoregression, 'noise_reflections', lambda *_: given.copy())
    rows = np.array([[1.0, 0, 0, 0, 0], [1, -1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]])
    f_rows = np.array([[1.0, 0, 0, 0, 0], [0, 0, 1, -1, 0]])
    fit = fit_glm(data, design, rows, len(phi), f_contrasts=[f_rows])
    check(data, design, rows, f_rows, np.tile(phi, (n, 1)), fit)


def test_order_0_is_ordinary_least_squares(problem):
    data, design, rows = problem
    fit = fit_glm(data, design, rows, order=0)
    beta, square, _, _ = np.linalg.lstsq(design, data, rcond=None)
    unscaled = np.diag(rows @ np.linalg.inv(design.T @ design) @ rows.T)
    np.testing.assert_allclose(fit.effect, rows @ beta)
    np.testing.assert_allclose(fit.variance, np.outer(unscaled, square / 56))


def same(one, other):
    """Compare all arrays of two fits, bit by bit."""
    for name in ('effect', 'variance', 't', 'z', 'ar'):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for a, b in zip(one.f, other.f, strict=True):
        for first, second in zip(a, b, strict=True):
            np.testing.assert_array_equal(first, second)


@pytest.fixture
def wide(problem):
    _, design, rows = problem
    data = noise(np.random.default_rng(3), [0.6, 0.2], 60, 2500).astype(np.float32) + GRAND_MEAN
    return data.astype(np.float32), design, rows


@pytest.mark.parametrize('smooth', [False, True])
def test_threads_and_memory_order_do_not_matter(wide, smooth):
    data, design, rows = wide
    n = data.shape[1]
    near = sparse.diags([0.25, 0.5, 0.25], [-1, 0, 1], shape=(n, n), format='csr')
    options = {'f_contrasts': [np.eye(4)[:2]], 'smoother': near if smooth else None}
    one = fit_glm(data, design, rows, **options)
    for threads in (2, 3):
        same(one, fit_glm(data, design, rows, threads=threads, **options))
    same(one, fit_glm(np.asfortranarray(data), design, rows, **options))


def test_neighbours_and_blocks_do_not_matter(wide, monkeypatch):
    data, design, rows = wide
    whole = fit_glm(data, design, rows)
    monkeypatch.setattr(firstlevel, '_TILES', 1)
    same(whole, fit_glm(data, design, rows))
    some = np.random.default_rng(0).permutation(data.shape[1])[:301]
    np.testing.assert_array_equal(fit_glm(data[:, some], design, rows).t, whole.t[:, some])
    np.testing.assert_array_equal(fit_glm(data[:, 7:8], design, rows).t, whole.t[:, 7:8])


def test_units_of_columns_do_not_matter(problem):
    data, design, rows = problem
    scale = np.array([1e-6, 1e5, 1, 300])
    fit = fit_glm(data, design, rows)
    scaled = fit_glm(data * 2 + 5e4, design * scale, rows * scale)
    np.testing.assert_allclose(scaled.effect[:2], 2 * fit.effect[:2], rtol=1e-6)
    np.testing.assert_allclose(scaled.t[:2], fit.t[:2], rtol=1e-6)


def test_grayordinates_without_data_are_nan(problem):
    data, design, rows = problem
    data = data.astype(np.float32)
    data[:, 0] = 0
    data[:, 1] = 7
    data[4, 2] = np.nan
    data[4, 3] = np.inf
    data[9, 4] = 3e38
    fit = fit_glm(data, design, rows, f_contrasts=[np.eye(4)[:2]])
    missing = [0, 1, 2, 3, 4]
    (f,) = fit.f
    found = [*fit[:4], *f, fit.ar.T, fit.whiteness.before, fit.whiteness.after]
    for values in (*found, fit.whiteness.statistic[None]):
        assert np.isnan(np.atleast_2d(values)[:, missing]).all()
        assert np.isfinite(np.atleast_2d(values)[:, 5:]).all()
    alone = fit_glm(data[:, 5:], design, rows)
    np.testing.assert_array_equal(fit.t[:, 5:], alone.t)


def test_what_the_design_fits_perfectly_has_no_t(problem):
    _, design, rows = problem
    fit = fit_glm(5 + 2 * design[:, :1], design, rows)
    assert np.isnan(fit.t).all()


def test_all_missing(problem):
    _, design, rows = problem
    fit = fit_glm(np.zeros((60, 3)), design, rows)
    assert fit.t.shape == (3, 3)
    assert np.isnan(fit.z).all()
    assert np.isnan(fit.whiteness.statistic).all()


def test_z_has_the_tail_of_t_and_stays_finite(problem):
    data, design, rows = problem
    small = fit_glm(data, design, rows[:2], order=2)
    np.testing.assert_allclose(stats.norm.sf(small.z), stats.t.sf(small.t, 56), rtol=1e-9)
    strong = fit_glm(data + 1e6 * design[:, :1], design, rows[:1], order=2)
    assert strong.t.min() > 1e4
    assert np.isfinite(strong.z).all()
    assert strong.z.min() > 15


def test_an_f_contrast_of_one_row_is_t_squared(problem):
    data, design, rows = problem
    fit = fit_glm(data, design, rows, f_contrasts=[rows[:1], rows[1:]])
    np.testing.assert_allclose(fit.f[0].f, fit.t[0] ** 2, rtol=1e-12)
    # The same hypothesis in other words.
    other = fit_glm(data, design, rows[:0], f_contrasts=[[[3, -3, 1, 4], [1, -1, 0, 0]]])
    assert other.t.shape == (0, 12)
    np.testing.assert_allclose(other.f[0].f, fit.f[1].f, rtol=1e-9)


def test_dependent_columns(problem):
    """What can be estimated all the same is as it is without the spare column."""
    data, design, _ = problem
    names = ['go', 'stop', 'rest', 'constant', 'spare']
    spare = np.c_[design, 3 * design[:, 0] - 1e3]
    plain = fit_glm(data, design, np.array([[0.0, 1, 0, 0], [0, 0, 1, 0]]))
    weights = np.array([[0.0, 1, 0, 0, 0], [0, 0, 1, 0, 0]])
    fit = fit_glm(data, spare, weights, names=names)
    assert fit.df_nominal == plain.df_nominal
    np.testing.assert_allclose(fit.t, plain.t, rtol=1e-6)
    whole = np.array([[1.0, 0, 0, 0, 3]])
    np.testing.assert_allclose(
        fit_glm(data, spare, whole).t, fit_glm(data, design, np.eye(4)[:1]).t, rtol=1e-6
    )
    with pytest.raises(InputError, match=r'dependent columns: go, constant, spare\. A contrast'):
        fit_glm(data, spare, np.eye(5)[:1], names=names)


def test_columns_that_cannot_be_used_are_named(problem):
    data, design, rows = problem
    design = design.copy()
    design[:, 2] = 0
    with pytest.raises(InputError, match=r'0 throughout: 3\.'):
        fit_glm(data, design, rows)
    design[5, 1] = np.nan
    with pytest.raises(InputError, match=r'not finite: stop\.'):
        fit_glm(data, design, rows, names=['go', 'stop', 'rest', 'constant'])


@pytest.mark.parametrize(
    ('n_rows', 'columns', 'order', 'message'),
    [
        (59, 4, 1, 'one row per volume'),
        (60, 3, 1, 'contrasts of 3 weights'),
        (60, 4, 56, 'too few .* order 56: choose a lower order with --noise-model'),
        (60, 4, -1, '0 or more'),
    ],
)
def test_what_does_not_fit(problem, n_rows, columns, order, message):
    data, design, rows = problem
    with pytest.raises(InputError, match=message):
        fit_glm(data[:n_rows], design, rows[:, :columns], order)


def test_rows_of_an_f_contrast_that_depend_on_each_other(problem):
    data, design, rows = problem
    with pytest.raises(InputError, match='depend on each other'):
        fit_glm(data, design, rows, f_contrasts=[[[1, 0, 0, 0], [2, 0, 0, 0]]])


def test_rows_of_an_f_contrast_that_cannot_be_told_apart(problem):
    """A message, or F everywhere; and never NaN without a reason."""
    data, design, _ = problem
    names = ['go', 'stop', 'rest', 'constant', 'twin']
    near = np.random.default_rng(3).standard_normal(len(design))
    both = np.eye(5)[[0, 4]]
    for size in (1e-2, 1e-3, 1e-5, 1e-6):
        twin = np.c_[design, design[:, 0] + size * design[:, 0].std() * near]
        if size > 1e-4:
            assert np.isfinite(fit_glm(data, twin, both, f_contrasts=[both]).f[0].f).all()
            continue
        with pytest.raises(InputError, match='F contrast of go, twin cannot be told apart'):
            fit_glm(data, twin, both, f_contrasts=[both], names=names)


@pytest.mark.parametrize(('n_columns', 'order'), [(53, 0), (53, 1), (40, 6), (52, 6)])
def test_almost_as_many_columns_as_volumes(n_columns, order):
    """Either a number that dense least squares gives as well, or a message; nothing in between."""
    rng = np.random.default_rng(8)
    design = np.c_[rng.standard_normal((60, n_columns - 1)), np.ones(60)]
    data = noise(rng, [0.4], 60, 5) + 100
    rows = np.eye(n_columns)[:2]
    try:
        fit = fit_glm(data, design, rows, order)
    except InputError as error:
        assert 'too short for autocorrelations up to lag' in str(error)  # noqa: PT017
        return
    for v in range(5):
        effect, covariance = dense(data[:, v], design, rows, fit.ar[v])
        np.testing.assert_allclose(fit.t[:, v], effect / np.sqrt(np.diag(covariance)), rtol=1e-8)


def test_coefficients_are_recovered():
    rng = np.random.default_rng(4)
    true = np.array([0.4, 0.2, -0.1])
    data = noise(rng, true, 300, 300)
    design = np.c_[rng.standard_normal((300, 12)), np.ones(300)]
    found = fit_glm(data, design, np.eye(13)[:1], order=3).ar.mean(axis=0)
    # Standard error of the means .003; least-squares residuals alone would be .03 off.
    np.testing.assert_allclose(found, true, atol=0.012)


def test_smoother_averages_the_autocorrelations(problem):
    data, design, rows = problem
    data = data.copy()
    data[:, 5] = 0
    n = data.shape[1]
    mean = sparse.csr_matrix(np.full((n, n), 1 / n))
    fit = fit_glm(data, design, rows, order=2, smoother=mean)
    assert np.isnan(fit.ar[5]).all()
    others = np.delete(np.arange(n), 5)
    np.testing.assert_allclose(fit.ar[others], np.tile(fit.ar[0], (n - 1, 1)))
    apart = fit_glm(data, design, rows, order=2, smoother=sparse.identity(n, format='csr'))
    plain = fit_glm(data, design, rows, order=2)
    np.testing.assert_allclose(apart.t, plain.t, rtol=1e-10)
    assert plain.ar[others, 0].min() < fit.ar[0, 0] < plain.ar[others, 0].max()


def test_false_positives_of_an_event_design():
    rng = np.random.default_rng(11)
    n_volumes, repetition_time, n = 240, 0.8, 1500
    times = np.arange(n_volumes) * repetition_time
    lags = np.arange(0, 24, repetition_time)
    response = stats.gamma.pdf(lags, 6) - stats.gamma.pdf(lags, 16) / 6
    events = rng.random((n_volumes, 2)) < [0.2, 0.08]
    regressors = [np.convolve(column, response)[:n_volumes] for column in events.T]
    drifts = [np.cos(np.pi * k * (times / times[-1])) for k in (1, 2)]
    design = np.column_stack([*regressors, *drifts, np.ones(n_volumes)])
    data = noise(rng, [0.45, 0.2, 0.1], n_volumes, n) + GRAND_MEAN
    rows = np.array([[-1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    f_rows = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    fits = {o: fit_glm(data, design, rows, o, f_contrasts=[f_rows]) for o in (0, 1, 6)}
    rates = {order: (np.abs(fit.z) > 1.96).mean() for order, fit in fits.items()}
    assert 0.035 < rates[6] < 0.075
    assert rates[0] > 0.15
    assert rates[6] < rates[1] < rates[0]
    f_rates = {order: (fit.f[0].z > 1.645).mean() for order, fit in fits.items()}
    assert 0.035 < f_rates[6] < 0.08
    assert f_rates[0] > 0.2
