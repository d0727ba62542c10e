import nibabel as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.multiplicity import (
    FAMILIES,
    corrected_p,
    count_reaching,
    familywise_p,
    lowest_corrected_p,
)
from ketbids.stats.zscore import z_from_t

# A run of PALM (commit 04095fe, GNU Octave 7.3): two inputs of 4 and 3 locations, two groups of 3,
# both contrasts, all 20 permutations, -corrmod -corrcon -savemax. t of the first contrast (the
# second has the other sign), maxima of z per input and contrast, and the p of its files.
PALM_T = (
    [6.127234711740121, 0.24568907567332154, 1.9603222921863837, 0.42596949248287536],
    [-0.5825676029168889, -10.776548673916658, -0.8518508054827689],
)
_MAXIMA = """
   2.911702437582153  -0.2300996530631226  -0.5367441031413991    3.526909656318459
      1.357471043087   0.5566406045375791    1.231895579054585   0.8889098902640546
   1.527874749397361   0.3531962860061342 -0.05477803903670046   0.9494905907683183
   0.810624336267923  0.01512618072821546    1.124903648829948   0.7676832539288013
  0.3979167658495611   0.9116573221899044   0.6722313743240599   0.7651182285051763
   1.071450016211319    1.758678220599105  0.03286225679161925    1.409982478750115
  0.5634536667826403   0.7858458099932872    1.243943175399442   0.4661841031566712
  0.2156179683102991     1.10760784900205   0.6329987449190483   0.2642060933449936
 0.05199528939189802    1.437552214875649    1.688349299297263  -0.5615028989977725
   1.977601106913266    1.896573501142936    2.117031814073471   0.4949999686208587
   1.896573501142937    1.977601106913268   0.4949999686208587    2.117031814073471
   1.437552214875648  0.05199528939189802  -0.5615028989977717    1.688349299297263
    1.10760784900205   0.2156179683102991   0.2642060933449936    0.632998744919048
  0.7858458099932865   0.5634536667826395   0.4661841031566712    1.243943175399442
   1.758678220599105    1.071450016211319    1.409982478750116  0.03286225679161925
  0.9116573221899044   0.3979167658495604   0.7651182285051763   0.6722313743240592
 0.01512618072821546    0.810624336267923   0.7676832539288009    1.124903648829948
  0.3531962860061342     1.52787474939736   0.9494905907683183 -0.05477803903670757
  0.5566406045375796       1.357471043087   0.8889098902640546    1.231895579054585
 -0.2300996530631226    2.911702437582154    3.526909656318459  -0.5367441031413991
"""
PALM_MAXIMA = np.array(_MAXIMA.split(), dtype=float).reshape(20, 2, 2)
PALM_P = {
    'fwep': ([0.05, 0.8, 0.2, 0.75], [1, 1, 1, 1], [0.95, 1, 1], [0.65, 0.05, 0.45]),
    'mfwep': ([0.1, 1, 0.3, 1], [1, 1, 1, 1], [1, 1, 1], [1, 0.05, 0.85]),
    'cfwep': ([0.1, 1, 0.3, 1], [1, 1, 1, 1], [1, 1, 1], [1, 0.1, 0.8]),
    'mcfwep': ([0.1, 1, 0.4, 1], [1, 1, 1, 1], [1, 1, 1], [1, 0.1, 1]),
}


def null_distribution(maxima, family, source, contrast):
    """Largest of each shuffle over what is corrected together."""
    over = FAMILIES[family]
    chosen = maxima if over.inputs else maxima[:, [source]]
    chosen = chosen if over.contrasts else chosen[:, :, [contrast]]
    return chosen.max(axis=(1, 2))


@pytest.mark.parametrize('family', FAMILIES)
def test_inputs_and_contrasts_are_corrected_together_as_by_palm(family):
    for k, expected in enumerate(PALM_P[family]):
        source, contrast = divmod(k, 2)
        z = z_from_t(np.array(PALM_T[source]) * (1 - 2 * contrast), 4)
        found = familywise_p(null_distribution(PALM_MAXIMA, family, source, contrast), z)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_negative_values_reach_themselves():
    maxima = np.array([-0.5, -2.0, -0.5 * (1 + 1e-13), -0.4])
    counts = count_reaching(maxima, np.array([-0.5, -2.0, -2.0 + 1e-6, -3.0, -0.3]))
    assert counts.tolist() == [3, 4, 3, 4, 0]
    assert count_reaching(-np.arange(1.0, 5.0), np.array([-1.0])).tolist() == [1]


def test_counting_reaches_ties_but_for_rounding():
    maxima = np.array([3.0, 1.0, 3.0 * (1 - 1e-13), 2.0])
    counts = count_reaching(maxima, np.array([3.0, 2.0, 2.0 + 1e-6, 0.0, 4.0]))
    assert counts.tolist() == [2, 3, 2, 4, 0]


def test_smallest_p_by_hand():
    # Ranks from the top: first partition 1 2 3 4, second 3 1 2 4; smallest 1 1 2 4.
    maxima = np.array([[40.0, 2.0], [30.0, 4.0], [20.0, 3.0], [10.0, 1.0]])
    observed = np.array([40.0, 25.0, 2.0, 0.5])
    found = corrected_p(maxima, observed, np.array([0, 0, 1, 1]))
    # p_k: 1/4, 2/4, 3/4, 4/4 -> how many shuffles have as small a smallest p.
    np.testing.assert_array_equal(found, [0.5, 0.75, 0.75, 1.0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=2, max_size=40))
def test_one_partition_is_the_distribution_of_the_maximum(maxima):
    maxima = np.array(maxima, dtype=float)
    observed = np.linspace(0, maxima[0], 7)
    found = corrected_p(maxima[:, None], observed, np.zeros(7, int))
    expected = [(maxima >= v * (1 - 1e-9)).mean() for v in observed]
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 60), k=st.integers(1, 3))
def test_the_rank_of_the_data_among_shuffles_is_uniform_or_rarer(seed, n, k):
    # Whichever shuffle is the data: p <= a happens for at most a share a of them.
    maxima = np.round(np.random.default_rng(seed).gamma(2, 3, (n, k)))
    found = [
        corrected_p(np.roll(maxima, -i, axis=0), maxima[i], np.arange(k)).min() for i in range(n)
    ]
    for p in found:
        assert np.mean(np.array(found) <= p) <= p + 1e-12
        assert p >= 1 / n


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-3, 1e3))
def test_the_units_of_a_partition_have_no_effect(seed, factor):
    rng = np.random.default_rng(seed)
    maxima = rng.gamma(2, 3, (50, 2))
    column = np.repeat([0, 1], 20)
    observed = maxima[0, column] * rng.random(40)
    scale = np.array([1.0, factor])
    found = corrected_p(maxima * scale, observed * scale[column], column)
    np.testing.assert_array_equal(found, corrected_p(maxima, observed, column))
    order = np.argsort(observed[column == 1])
    assert (np.diff(found[column == 1][order]) <= 0).all()


def test_bonferroni_and_sidak_by_hand():
    maxima = np.array([[40.0, 2.0], [30.0, 4.0], [20.0, 3.0], [10.0, 1.0]])
    observed = np.array([40.0, 25.0, 2.0, 0.5])
    column = np.array([0, 0, 1, 1])
    # p_k: 1/4, 2/4, 3/4, 4/4.
    found = corrected_p(maxima, observed, column, 'bonferroni')
    np.testing.assert_allclose(found, [0.5, 1, 1, 1], rtol=1e-15)
    found = corrected_p(maxima, observed, column, 'sidak')
    np.testing.assert_allclose(found, [7 / 16, 3 / 4, 15 / 16, 1], rtol=1e-15)


@pytest.mark.parametrize('joint', ['minp', 'bonferroni', 'sidak'])
def test_a_partition_without_grayordinates_costs_nothing(joint):
    maxima = np.random.default_rng(1).gamma(2, 3, (40, 3))
    observed = np.linspace(0, maxima[:, 1].max(), 9)
    found = corrected_p(maxima, observed, np.ones(9, int), joint)
    np.testing.assert_allclose(found, familywise_p(maxima[:, 1], observed), rtol=1e-14)


def test_smallest_p_lies_between_one_partition_and_bonferroni():
    rng = np.random.default_rng(5)
    maxima = rng.gamma(2, 3, (500, 3))
    column = np.repeat([0, 1, 2], 50)
    observed = rng.uniform(0, 25, 150)
    alone = np.concatenate([familywise_p(maxima[:, k], observed[column == k]) for k in range(3)])
    minp = corrected_p(maxima, observed, column)
    assert (minp >= alone).all()
    assert (minp <= corrected_p(maxima, observed, column, 'bonferroni') + 1e-12).all()
    # Of independent partitions, Sidak's is what the smallest p estimates.
    np.testing.assert_allclose(minp, corrected_p(maxima, observed, column, 'sidak'), atol=0.04)


def test_lowest_p():
    assert lowest_corrected_p(1000, 1, 2) == pytest.approx(0.002)
    assert lowest_corrected_p(64, 2, 2) == pytest.approx(1 / 16)
    assert lowest_corrected_p(2, 2, 2) == 1
    assert lowest_corrected_p(64, 2, 2, 'bonferroni') == pytest.approx(1 / 16)
    assert lowest_corrected_p(64, 2, 2, 'sidak') == pytest.approx(1 - (31 / 32) ** 2)
    assert lowest_corrected_p(2, 2, 2, 'sidak') == 1


@pytest.mark.parametrize('joint', ['minp', 'bonferroni', 'sidak'])
def test_the_strongest_effect_reaches_the_lowest_p(joint):
    # Alone at the top of its partition, and never the top of the other.
    maxima = np.column_stack([np.arange(50, 0, -1.0), np.arange(1, 51.0)])
    found = corrected_p(maxima, maxima[0, :1], np.array([0]), joint)
    assert found == pytest.approx([lowest_corrected_p(50, 1, 1, joint)])
    found = corrected_p(maxima, maxima[0], np.array([0, 1]), joint)
    assert found[0] == pytest.approx(lowest_corrected_p(50, 1, 2, joint))


def test_an_unknown_combination_is_refused():
    for call in (
        lambda: corrected_p(np.ones((2, 1)), np.ones(1), np.zeros(1, int), 'fisher'),
        lambda: lowest_corrected_p(10, 1, 2, 'fisher'),
    ):
        with pytest.raises(InputError, match="'minp', 'bonferroni' or 'sidak', not 'fisher'"):
            call()


class TestReference:
    """PALM's own maps from its own maxima; a tie may add one shuffle to a count."""

    @staticmethod
    def check(folder, kind, endings, family, dof, absolute=False, first='vox'):
        """Compare all inputs or contrasts of a run, which ``endings`` lists."""

        def load(name):
            return nb.load(folder / f'palm_{name}.nii.gz').get_fdata().ravel()

        columns = [np.loadtxt(folder / f'palm_{kind}_tstat_max{end}.csv') for end in endings]
        maxima = np.column_stack(columns)
        # Only what is corrected together differs from an own column.
        maxima = maxima[:, :, None] if family in ('fwep', 'mfwep') else maxima[:, None, :]
        for k, end in enumerate(endings):
            t = load(f'{first}_tstat{end}')
            values = z_from_t(t, dof) if kind == first else load(f'{kind}_tstat{end}')
            values = np.abs(values) if absolute else values
            source, contrast = (k, 0) if maxima.shape[2] == 1 else (0, k)
            null = null_distribution(maxima, family, source, contrast)
            found = familywise_p(null, values[t != 0])
            more = (found - load(f'{kind}_tstat_{family}{end}')[t != 0]) * len(null)
            assert np.abs(more - np.round(more)).max() < 1e-9
            assert more.min() > -0.5
            assert more.max() < 1.5

    @pytest.mark.parametrize('family', ['fwep', 'mfwep'])
    def test_inputs(self, shared, family):
        out = shared / 'reference' / 'palm' / 'twosample_cov' / 'out'
        for tails, contrast in (('onetail', '_c1'), ('twotail', '')):
            endings = [f'_m{number}{contrast}' for number in (1, 2, 3)]
            two = tails == 'twotail'
            self.check(out / f'uni_{tails}', 'vox', endings, family, 14, absolute=two)
            surfaces = out / f'tfceLR_{tails}'
            self.check(surfaces, 'tfce', ['_m1', '_m2'], family, 14, first='dpv')

    @pytest.mark.parametrize('kind', ['vox', 'tfce'])
    def test_contrasts(self, shared, kind):
        folder = shared / 'reference/palm/twosample_exact/out/opt_V_T_corrcon'
        for family in ('fwep', 'cfwep'):
            self.check(folder, kind, ['_c1', '_c2'], family, 8)
