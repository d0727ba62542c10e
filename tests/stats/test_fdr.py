import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.fdr import adjusted_p, adjusted_together

# A run of PALM (commit 04095fe, GNU Octave 7.3): two inputs of 4 and 3 locations, two contrasts,
# 20 permutations, -corrmod -corrcon, once with -fdr BH and once with -fdr BKY.
PALM_P = (
    ([0.05, 0.45, 0.1, 0.3], [1, 0.6, 0.95, 0.75]),
    ([0.7, 1, 0.8], [0.35, 0.05, 0.25]),
)
PALM_ALL = {
    'BH': (
        [0.35, 0.9, 0.46666666666666673, 0.8166666666666665],
        [1, 1, 1, 1],
        [1, 1, 1],
        [0.8166666666666665, 0.35, 0.8166666666666665],
    ),
    'BKY': (
        [0.35897435897435903, 0.935064935064935, 0.4444444444444445, 0.8369565217391304],
        [1, 1, 1, 1],
        [1, 1, 1],
        [0.8369565217391304, 0.35897435897435903, 0.8369565217391304],
    ),
}
PALM_OVER_INPUTS = {
    'BH': ([0.35, 0.7875, 0.35, 0.7], [0.9333333333333335, 1, 0.9333333333333335]),
    'BKY': (
        [0.368421052631579, 0.8181818181818181, 0.368421052631579, 0.7142857142857143],
        [1, 1, 1],
    ),
}
PALM_OVER_CONTRASTS = {
    'BH': ([0.4, 0.9, 0.4, 0.8], [1, 0.96, 1, 1]),
    'BKY': ([0.4210526315789474, 1, 0.4210526315789474, 0.857142857142857], [1, 1, 1, 1]),
}
PALM_PARAMETRIC = [
    0.0017973244660927318, 0.4090071672381304, 0.06075486395354257, 0.34602560769522683
]  # fmt: skip
PALM_PARAMETRIC_ADJUSTED = {
    'BH': [0.007189297864370927, 0.4090071672381304, 0.12150972790708514, 0.4090071672381304],
    'BKY': [0.007202242631262832, 0.2949948349696896, 0.09702716834277673, 0.2949948349696896],
}
METHODS = ['BH', 'BKY']


def close(found, expected):
    for values, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize('method', METHODS)
def test_maps_are_adjusted_together_as_by_palm(method):
    (a1, a2), (b1, b2) = PALM_P
    close(adjusted_together([a1, a2, b1, b2], method), PALM_ALL[method])
    close(adjusted_together([a1, b1], method), PALM_OVER_INPUTS[method])
    close(adjusted_together([a1, a2], method), PALM_OVER_CONTRASTS[method])
    close([adjusted_p(PALM_PARAMETRIC, method)], [PALM_PARAMETRIC_ADJUSTED[method]])


def slow_bky(p):
    """Each rank against all that follow, as in the definition."""
    p = np.sort(p)
    n, out, largest = len(p), [], 0.0
    for i in range(1, n + 1):
        # Where j = i and p = 1 nothing is rejected.
        steps = [
            p[j - 1] * (n + 1 - i) / (j - i * p[j - 1])
            for j in range(i, n + 1)
            if j > i * p[j - 1]
        ]
        largest = max(largest, min([1.0, *steps]))
        out.append(largest)
    return np.array(out)


p_values = st.lists(
    st.one_of(st.integers(0, 20).map(lambda k: k / 20), st.floats(0, 1)), min_size=1, max_size=40
)


@settings(max_examples=200, deadline=None)
@given(p_values)
def test_bky_is_its_definition(p):
    found = adjusted_p(p)
    order = np.argsort(p, kind='stable')
    np.testing.assert_allclose(found[order], slow_bky(p), rtol=1e-9, atol=1e-15)


@settings(max_examples=100, deadline=None)
@given(p_values)
def test_bh_is_that_of_scipy(p):
    np.testing.assert_allclose(
        adjusted_p(p, 'BH'), stats.false_discovery_control(p, method='bh'), rtol=1e-12
    )


@settings(max_examples=100, deadline=None)
@given(p_values, st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_adjusted_p_keep_the_order_and_equal_p_stay_equal(p, method, random):
    p = np.array(p)
    found = adjusted_p(p, method)
    assert ((found >= 0) & (found <= 1)).all()
    order = np.argsort(p)
    assert (np.diff(found[order]) >= 0).all()
    assert len(np.unique(found)) <= len(np.unique(p))
    shuffled = np.array(random.sample(range(len(p)), len(p)))
    np.testing.assert_array_equal(adjusted_p(p[shuffled], method), found[shuffled])


def test_bky_rejects_what_the_two_steps_reject():
    # Step one counts the rejections at q / (1 + q) without the others; steps down from there.
    rng = np.random.default_rng(3)
    p = np.sort(np.concatenate([rng.random(60) ** 4, rng.random(60)]))
    n = len(p)
    rank = np.arange(1, n + 1)
    for q in (0.01, 0.05, 0.2):
        # Definition 7: reject i while some j >= i has p_j <= q j / (n + 1 - i (1 - q)).
        rejected = 0
        for i in range(1, n + 1):
            if not (p[i - 1 :] <= q * rank[i - 1 :] / (n + 1 - i * (1 - q))).any():
                break
            rejected = i
        assert (adjusted_p(p) <= q).sum() == rejected


@pytest.mark.parametrize('method', METHODS)
def test_what_has_no_p_does_not_count(method):
    p = np.array([[0.01, np.nan], [0.2, 0.04]])
    found = adjusted_p(p, method)
    assert np.isnan(found[0, 1])
    np.testing.assert_array_equal(found[~np.isnan(p)], adjusted_p([0.01, 0.2, 0.04], method))
    assert adjusted_p(np.empty((0, 3)), method).shape == (0, 3)


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match="is 'BH' or 'BKY', not 'holm'"):
        adjusted_p([0.5], 'holm')


class TestReference:
    """PALM's own maps (mask: where the statistic is not 0)."""

    @staticmethod
    def read(base, name, ending=''):
        def load(path):
            return nb.load(path).get_fdata().ravel()

        inside = load(f'{base}_tstat{ending}.nii.gz') != 0
        return load(f'{base}_tstat_{name}{ending}.nii.gz')[inside]

    @pytest.mark.parametrize('case', ['twosample_cov', 'paired_signflip_exact'])
    @pytest.mark.parametrize(('run', 'last'), [('uni_onetail', '_c2'), ('uni_twotail', '')])
    def test_bh_of_one_input_of_all_and_of_parametric_p(self, shared, case, run, last):
        base = shared / 'reference' / 'palm' / case / 'out' / run / 'palm_vox'
        endings = [f'_m{number}{last}' for number in (1, 2, 3)]
        maps = [self.read(base, 'uncp', ending) for ending in endings]
        merged = adjusted_together(maps, 'BH')
        for ending, p, together in zip(endings, maps, merged, strict=True):
            close([adjusted_p(p, 'BH')], [self.read(base, 'fdrp', ending)])
            close([together], [self.read(base, 'mfdrp', ending)])
            parametric = self.read(base, 'uncparap', ending)
            if run == 'uni_twotail':
                parametric = parametric / 2  # PALM adjusts the p of one tail here
            close([adjusted_p(parametric, 'BH')], [self.read(base, 'fdrparap', ending)])

    def test_bky(self, shared):
        base = shared / 'reference/palm/twosample_cov/out/opt_V_fdrBKY/palm_vox'
        close([adjusted_p(self.read(base, 'uncp'))], [self.read(base, 'fdrp')])
