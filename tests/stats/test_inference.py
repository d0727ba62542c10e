import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats import nulls, statistic
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX, BrainModels, Surface
from ketbids.stats.graph import adjacency, extents
from ketbids.stats.inference import TestOptions, permutation_test
from ketbids.stats.shuffling import make_shuffles
from ketbids.stats.tfce import DEFAULT_EXPONENTS, Enhancer
from ketbids.stats.zscore import z_from_t

from .small_brain import SmallBrain, slow_t, slow_tfce

BRAIN = SmallBrain(level=0)
CORTICAL = BRAIN.models.partition == CORTEX
ONE = np.array([1.0])


def run(data, design, contrast, kind='flips', brain=BRAIN, progress=None, names=None, **options):
    return permutation_test(
        data,
        design,
        contrast,
        brain.models,
        brain.graph,
        brain.extent,
        TestOptions(kind, **options),
        progress,
        names,
    )


def noise(n, seed=0, brain=BRAIN):
    return np.random.default_rng(seed).standard_normal((n, len(brain)))


def two_groups(sizes, seed=0):
    group = np.repeat([1.0, 0.0], sizes)
    age = np.random.default_rng(seed).standard_normal(sum(sizes))
    return np.column_stack([group, 1 - group, age - age.mean()]), np.array([1.0, -1.0, 0.0])


def assert_same(a, b):
    """Two results are the same to the last bit."""
    for field in ('effect', 'variance', 't', 'z', 'mask'):
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
    for field in ('tfce', 'puncorrected', 'pfwe'):
        assert getattr(a, field).keys() == getattr(b, field).keys()
        for key, values in getattr(a, field).items():
            np.testing.assert_array_equal(values, getattr(b, field)[key])
    assert a.null_max.equals(b.null_max)
    assert (a.lowest_p, a.warnings) == (b.lowest_p, b.warnings)


def slow_test(data, design, contrast, shuffles, tails):
    """All of the inference written out, with every map held."""
    signs = (1, -1)[: 1 if tails == 'positive' else 2]
    maps = np.empty((shuffles.n, len(signs), len(BRAIN)))
    for j in range(shuffles.n):
        z = z_from_t(*slow_t(data, design, contrast, *shuffles.shuffle(j)))
        for i, sign in enumerate(signs):
            maps[j, i] = slow_tfce(
                sign * z, BRAIN.graph, BRAIN.extent, BRAIN.models.partition, DEFAULT_EXPONENTS
            )
    counted = maps.max(axis=1, keepdims=True).repeat(2, axis=1) if tails == 'two' else maps
    reached = maps[0] * (1 - 1e-9)
    uncorrected = (counted >= reached).mean(axis=0)
    maxima = np.stack([counted[..., part].max(axis=2) for part in (CORTICAL, ~CORTICAL)], axis=2)
    p = np.array([(maxima >= row * (1 - 1e-9)).mean(axis=0) for row in maxima])
    smallest = p.min(axis=2)
    corrected = np.empty_like(maps[0])
    for v in range(len(BRAIN)):
        k = int(~CORTICAL[v])
        for i in range(len(signs)):
            own = (maxima[:, i, k] >= reached[i, v]).mean()
            corrected[i, v] = (smallest[:, i] <= own + 1e-12).mean()
    return maps[0], uncorrected, corrected, maxima


@pytest.mark.parametrize('tails', ['two', 'each', 'positive'])
@pytest.mark.parametrize('kind', ['flips', 'permutations'])
def test_the_whole_agrees_with_all_of_it_written_out(kind, tails):
    design, contrast = two_groups((4, 6))
    data = noise(10, 1)
    data[:4, :20] += 1.5
    found = run(data, design, contrast, kind, n_shuffles=30, tails=tails, seed=4)
    shuffles = make_shuffles(kind, design[:, :2], 30, 4)
    tfce, uncorrected, corrected, maxima = slow_test(data, design, contrast, shuffles, tails)
    t, dof = slow_t(data, design, contrast, np.arange(10), np.ones(10))
    np.testing.assert_allclose(found.t, t, rtol=1e-9)
    np.testing.assert_allclose(found.z, z_from_t(t, dof), rtol=1e-9)
    assert found.dof == dof == 7
    directions = ['pos'] if tails == 'positive' else ['pos', 'neg']
    assert list(found.tfce) == list(found.pfwe) == list(found.puncorrected) == directions
    for i, direction in enumerate(directions):
        np.testing.assert_allclose(found.tfce[direction], tfce[i], rtol=1e-8)
        np.testing.assert_allclose(found.puncorrected[direction], uncorrected[i])
        np.testing.assert_allclose(found.pfwe[direction], corrected[i])
        for k, name in enumerate(('cortex', 'subcortex')):
            key = f'{name}_{direction}' if tails == 'each' else name
            np.testing.assert_allclose(found.null_max[key], maxima[:, i, k], rtol=1e-8)
    assert found.null_max['shuffle'].tolist() == list(range(30))
    assert found.n_shuffles == 30


@pytest.mark.parametrize('tails', ['two', 'each', 'positive'])
@pytest.mark.parametrize('kind', ['flips', 'permutations'])
def test_the_familywise_error_rate_is_exact(kind, tails):
    # Each shuffle of the data is as likely as the data: taken as the data in turn, a share alpha
    # of them at most may have any corrected p <= alpha.
    if kind == 'flips':
        design, contrast = np.ones((5, 1)), ONE
        shuffles = make_shuffles('flips', 5, 1000)
    else:
        design, contrast = np.repeat([[1.0, 0], [0, 1]], 3, axis=0), np.array([1.0, -1])
        shuffles = make_shuffles('permutations', design, 1000)
    data = noise(len(design), 2)
    lowest = {'pos': [], 'neg': []}
    for j in range(shuffles.n):
        rows, signs = shuffles.shuffle(j)
        shuffled = np.empty_like(data)
        shuffled[rows] = signs[:, None] * data  # its identity is shuffle j of the data
        found = run(shuffled, design, contrast, kind, n_shuffles=1000, tails=tails)
        assert found.exhaustive
        for direction, p in found.pfwe.items():
            lowest[direction].append(p.min())
    if tails == 'two':
        families = [np.minimum(lowest['pos'], lowest['neg'])]
    else:
        families = [np.array(p) for p in lowest.values() if p]
    for family in families:
        for alpha in np.unique(family):
            assert (family <= alpha).mean() <= alpha + 1e-12
        # and not needlessly strict
        assert family.min() <= found.lowest_p


def test_threads_and_chunks_have_no_effect(monkeypatch):
    design, contrast = two_groups((5, 9))
    data = noise(14, 3)
    data[3, 5] = np.nan
    plain = run(data, design, contrast, 'permutations', n_shuffles=101, threads=1)
    for threads in (2, 5):
        again = run(data, design, contrast, 'permutations', n_shuffles=101, threads=threads)
        assert_same(plain, again)
    for chunk in (1, 3, 200):
        monkeypatch.setattr(nulls, 'CHUNK', chunk)
        again = run(data, design, contrast, 'permutations', n_shuffles=101, threads=3)
        assert_same(plain, again)


def test_the_seed_decides():
    design, contrast = two_groups((5, 9))
    data = noise(14, 3)
    results = [
        run(data, design, contrast, 'permutations', n_shuffles=100, seed=s) for s in (1, 1, 2)
    ]
    assert_same(results[0], results[1])
    assert not results[0].null_max.equals(results[2].null_max)
    # The observed maps are those of the data, whatever the seed.
    np.testing.assert_array_equal(results[0].tfce['pos'], results[2].tfce['pos'])


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
def test_mirrored_shuffles_are_ties(kind):
    if kind == 'flips':
        design, contrast = np.column_stack([np.ones(7), np.arange(7.0) - 3]), [1, 0]
    else:
        design, contrast = np.repeat([[1.0, 0], [0, 1]], 4, axis=0), [1, -1]
    found = run(noise(len(design), 4), design, contrast, kind, tails='two')
    assert found.exhaustive
    for direction, z in (('pos', found.z), ('neg', -found.z)):
        counts = np.round(found.puncorrected[direction] * found.n_shuffles).astype(int)
        assert (counts[z > 0] % 2 == 0).all()
        assert (found.puncorrected[direction][z <= 0] == 1).all()
        assert found.pfwe[direction].min() >= 2 / found.n_shuffles
    assert found.lowest_p == pytest.approx(2 * 2 / found.n_shuffles)


def test_the_largest_effect_reaches_the_lowest_p():
    data = noise(9, 5)
    data[:, CORTICAL] += 20
    found = run(data, np.ones((9, 1)), ONE, tails='two')
    assert found.n_shuffles == found.n_possible == 512
    assert found.lowest_p == pytest.approx(4 / 512)
    assert found.pfwe['pos'].min() <= found.lowest_p
    assert found.pfwe['neg'].min() > 0.05
    assert not any('lowest corrected p' in sentence for sentence in found.warnings)
    assert (found.pfwe['pos'][CORTICAL] <= found.lowest_p).all()


@pytest.mark.parametrize(
    ('tails', 'n', 'expected'), [('two', 5, 4 / 32), ('each', 5, 2 / 32), ('positive', 4, 2 / 16)]
)
def test_too_few_shuffles_for_alpha_are_said(tails, n, expected):
    found = run(noise(n, 6), np.ones((n, 1)), ONE, tails=tails)
    assert found.lowest_p == pytest.approx(expected)
    assert any('no familywise claim is made. More maps' in s for s in found.warnings)
    random = run(noise(20, 6), np.ones((20, 1)), ONE, tails=tails, n_shuffles=19)
    assert random.lowest_p == pytest.approx(2 / 19)
    assert any('Use more shuffles' in s for s in random.warnings)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 1000), shift=st.floats(-100, 100))
def test_units_and_what_the_nuisance_explains_have_no_effect_on_p(seed, scale, shift):
    design, contrast = two_groups((5, 7), seed)
    data = noise(12, seed)
    plain = run(data, design, contrast, 'permutations', n_shuffles=40)
    moved = scale * data + shift * design[:, 2:] + shift
    other = run(moved, design, contrast, 'permutations', n_shuffles=40)
    np.testing.assert_allclose(other.effect, scale * plain.effect, rtol=1e-6, atol=1e-6 * scale)
    for direction in ('pos', 'neg'):
        np.testing.assert_array_equal(other.pfwe[direction], plain.pfwe[direction])


@pytest.mark.parametrize('tails', ['two', 'each'])
def test_the_opposite_contrast_exchanges_the_directions(tails):
    design, contrast = two_groups((5, 7))
    data = noise(12, 8)
    plain = run(data, design, contrast, 'permutations', n_shuffles=60, tails=tails)
    turned = run(data, design, -contrast, 'permutations', n_shuffles=60, tails=tails)
    np.testing.assert_allclose(turned.t, -plain.t)
    for one, other in (('pos', 'neg'), ('neg', 'pos')):
        np.testing.assert_allclose(turned.tfce[one], plain.tfce[other], rtol=1e-9)
        np.testing.assert_array_equal(turned.pfwe[one], plain.pfwe[other])


def test_variance_is_that_of_the_effect():
    design, contrast = two_groups((5, 7))
    found = run(noise(12), design, contrast, 'permutations', n_shuffles=10)
    np.testing.assert_array_equal(found.t, found.effect / np.sqrt(found.variance))


@pytest.mark.parametrize('kept', ['surfaces', 'volume'])
def test_one_partition_only(kept):
    brain = SmallBrain(level=0, surfaces=kept == 'surfaces', volume=kept == 'volume')
    data = noise(8, 9, brain) + 0.5
    found = run(data, np.ones((8, 1)), ONE, brain=brain, tails='each')
    name = 'cortex' if kept == 'surfaces' else 'subcortex'
    assert list(found.null_max) == ['shuffle', f'{name}_pos', f'{name}_neg']
    assert found.lowest_p == pytest.approx(1 / 256)
    for direction in ('pos', 'neg'):
        maxima = found.null_max[f'{name}_{direction}'].to_numpy()
        reached = found.tfce[direction][:, None] * (1 - 1e-9)
        np.testing.assert_allclose(found.pfwe[direction], (maxima >= reached).mean(axis=1))


@pytest.mark.parametrize('joint', ['minp', 'bonferroni', 'sidak'])
def test_partitions_are_joined_as_asked(joint):
    data = noise(8, 9) + 0.5
    found = run(data, np.ones((8, 1)), ONE, tails='each', joint=joint)
    own = np.empty(len(BRAIN))
    for name, part in (('cortex', CORTICAL), ('subcortex', ~CORTICAL)):
        maxima = found.null_max[f'{name}_pos'].to_numpy()
        reached = found.tfce['pos'][part, None] * (1 - 1e-9)
        own[part] = (maxima >= reached).mean(axis=1)
    if joint == 'minp':
        assert (found.pfwe['pos'] <= np.minimum(1, 2 * own) + 1e-12).all()
    else:
        expected = np.minimum(1, 2 * own) if joint == 'bonferroni' else 1 - (1 - own) ** 2
        np.testing.assert_allclose(found.pfwe['pos'], expected)
    lowest = 1 - (255 / 256) ** 2 if joint == 'sidak' else 2 / 256
    assert found.lowest_p == pytest.approx(lowest)


def test_steps_of_tfce_are_those_of_each_structure():
    data = noise(8, 9) + 0.5
    found = run(data, np.ones((8, 1)), ONE, n_shuffles=20, tfce_steps=100)
    structure = np.where(BRAIN.models.is_surface, BRAIN.models.structure, -1)
    enhancer = Enhancer(
        BRAIN.graph, BRAIN.extent, BRAIN.models.partition, steps=100, groups=structure
    )
    assert len(np.unique(structure)) == 3
    out = np.empty(len(BRAIN))
    for direction, z in (('pos', found.z), ('neg', -found.z)):
        enhancer.enhance(z, out, 'positive')
        np.testing.assert_allclose(found.tfce[direction], out, rtol=1e-9)
    largest = enhancer.enhance(found.z, out, 'signed').max(axis=0)
    assert found.null_max['cortex'][0] == pytest.approx(largest[CORTEX], rel=1e-9)
    exact = run(data, np.ones((8, 1)), ONE, n_shuffles=20)
    assert np.corrcoef(exact.tfce['pos'], found.tfce['pos'])[0, 1] > 0.99
    assert not np.allclose(exact.tfce['pos'], found.tfce['pos'], rtol=1e-6)


def test_missing_grayordinates_are_out_of_everything():
    data = noise(8, 10)
    lost = np.zeros(len(BRAIN), dtype=bool)
    lost[[2, 9, -1]] = True
    data[:, 2] = 7.0
    data[3, 9] = np.nan
    data[5, -1] = np.inf
    found = run(data, np.ones((8, 1)), ONE)
    np.testing.assert_array_equal(found.mask, ~lost)
    maps = [found.effect, found.variance, found.t, found.z]
    maps += [*found.tfce.values(), *found.puncorrected.values(), *found.pfwe.values()]
    for values in maps:
        np.testing.assert_array_equal(np.isnan(values), lost)
    assert any(f'3 of {len(BRAIN)} grayordinates' in s for s in found.warnings)
    assert any('2 lack a value' in s and '1 do not vary' in s for s in found.warnings)
    # They join nothing: as if their z were far below 0.
    z = np.where(lost, -9.0, found.z)
    expected = slow_tfce(z, BRAIN.graph, BRAIN.extent, BRAIN.models.partition, DEFAULT_EXPONENTS)
    np.testing.assert_allclose(found.tfce['pos'][~lost], expected[~lost], rtol=1e-9)


def test_a_partition_without_data_is_left_out_of_the_correction():
    data = noise(8, 11)
    data[0, BRAIN.models.partition == SUBCORTEX] = np.nan
    found = run(data, np.ones((8, 1)), ONE)
    assert list(found.null_max) == ['shuffle', 'cortex']
    assert found.lowest_p == pytest.approx(2 / 256)


def test_what_the_nuisance_explains_wholly_is_outside_the_mask():
    design, contrast = two_groups((5, 7))
    data = noise(12, 12)
    data[:, 4] = 3 * design[:, 2] + 1
    found = run(data, design, contrast, 'permutations', n_shuffles=10)
    assert not found.mask[4]
    assert found.mask.sum() == len(BRAIN) - 1


def test_the_identity_alone_shows_nothing():
    found = run(noise(9), np.ones((9, 1)), ONE, n_shuffles=1)
    assert (found.n_shuffles, found.lowest_p) == (1, 1)
    assert (found.pfwe['pos'] == 1).all()


def test_progress_is_told():
    calls = []
    run(noise(6), np.ones((6, 1)), ONE, progress=lambda *call: calls.append(call), threads=2)
    assert calls == sorted(calls)
    assert calls[-1] == (64, 64)


def test_assumptions_are_reported():
    skewed = np.exp(noise(30, 13))
    found = run(skewed - skewed.mean(), np.ones((30, 1)), ONE, n_shuffles=10)
    assert any('not symmetric' in sentence for sentence in found.warnings)
    assert found.assumptions['skewness_share'] > 0.05
    design, contrast = two_groups((9, 21))
    data = noise(30, 14)
    data[:9] *= 2
    found = run(data, design, contrast, 'permutations', n_shuffles=10)
    assert any('vary differently' in sentence for sentence in found.warnings)
    assert found.assumptions['variance_ratio_median'] == pytest.approx(4, rel=0.3)


def refuse(match, data, design, contrast, kind='flips', **options):
    with pytest.raises(InputError, match=match):
        run(data, design, contrast, kind, **options)


def test_bad_input_is_refused():
    ones = np.ones((6, 1))
    data = noise(6)
    refuse('6 maps, but the design has 5 rows', data, ones[:5], ONE)
    refuse('contrast has shape', data, ones, [1, 0])
    refuse('rank deficient: a combination of mean, same', data, np.ones((6, 2)), [1, 0],
           names=['mean', 'same'])  # fmt: skip
    refuse('Only one permutation', data, ones, ONE, 'permutations')
    refuse('too few', data[:1], ones[:1], ONE)
    refuse('No grayordinate has a value', np.full_like(data, np.nan), ones, ONE)
    refuse('nothing to test', np.ones_like(data), ones, ONE)
    refuse('rows x grayordinates', data[0], ones, ONE)
    refuse(f'the maps 5, the brain models {len(BRAIN)}', data[:, :5], ones, ONE)
    refuse('tails', data, ones, ONE, tails='both')
    refuse('kind', data, ones, ONE, 'rotations')
    refuse('alpha', data, ones, ONE, alpha=5)
    refuse('threads', data, ones, ONE, threads=0)
    refuse('tfce_steps is at least 1', data, ones, ONE, tfce_steps=0)
    refuse("joint is 'minp'", data, ones, ONE, joint='fisher')
    refuse('number of shuffles', data, ones, ONE, n_shuffles=0)


def test_an_error_in_a_thread_is_raised(monkeypatch):
    original = statistic.ShuffledStatistic.z

    def fail_later(self, shuffles, numbers):
        if numbers.start > 20:
            raise RuntimeError('broken')
        return original(self, shuffles, numbers)

    monkeypatch.setattr(statistic.ShuffledStatistic, 'z', fail_later)
    with pytest.raises(RuntimeError, match='broken'):
        run(noise(9), np.ones((9, 1)), ONE, threads=2)


def palm_maps(folder, names):
    nib = pytest.importorskip('nibabel')
    images = [np.asarray(nib.load(folder / 'inputs' / f'{n}.nii').dataobj, float) for n in names]
    return np.concatenate([image.reshape(-1, image.shape[3]).T for image in images], axis=1)


def palm_output(folder, name):
    nib = pytest.importorskip('nibabel')
    return np.asarray(nib.load(folder / 'out' / name).dataobj, dtype=float).ravel()


@pytest.mark.parametrize('steps', [None, 100])
@pytest.mark.parametrize('case', ['twosample_exact', 'paired_signflip_exact'])
def test_p_values_are_near_those_of_palm_in_a_volume(shared, case, steps):
    # The exact integral is near PALM's sum of 100 steps; the same sum gives the same p.
    folder = shared / 'reference' / 'palm' / case
    data = palm_maps(folder, ['V'])
    shape = (18, 16, 14)
    voxel = np.argwhere(np.ones(shape, bool)).astype(np.int32)
    n = len(voxel)
    models = BrainModels(
        ('CIFTI_STRUCTURE_BRAIN_STEM',), np.zeros(n, np.int16), np.full(n, -1, np.int32), voxel,
        {}, np.eye(4), shape,
    )  # fmt: skip
    design = np.loadtxt(folder / 'inputs' / 'design.csv', delimiter=',', ndmin=2)
    contrast = np.loadtxt(folder / 'inputs' / 'con_pos.csv', delimiter=',', ndmin=1)
    kind = 'flips' if 'flip' in case else 'permutations'
    found = permutation_test(
        data, design, contrast, models, adjacency(models, {}), np.ones(n),
        TestOptions(kind, tails='each', tfce_steps=steps),
    )  # fmt: skip
    for number, direction in ((1, 'pos'), (2, 'neg')):
        prefix = 'tfceV_onetail/palm_tfce_tstat'
        theirs = palm_output(folder, f'{prefix}_c{number}.nii.gz')[found.mask]
        ours = found.tfce[direction][found.mask]
        assert ours.max() == pytest.approx(theirs.max(), rel=0.02)
        assert np.corrcoef(ours, theirs)[0, 1] > 0.999
        p = palm_output(folder, f'{prefix}_fwep_c{number}.nii.gz')[found.mask]
        if steps:
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=0)
            np.testing.assert_allclose(found.pfwe[direction][found.mask], p, rtol=1e-6)
            p = palm_output(folder, f'{prefix}_uncp_c{number}.nii.gz')[found.mask]
            np.testing.assert_allclose(found.puncorrected[direction][found.mask], p, rtol=1e-6)
            continue
        difference = np.abs(found.pfwe[direction][found.mask] - p)
        assert difference.max() < 0.06
        assert difference.mean() < 0.01


@pytest.mark.parametrize('case', ['twosample_exact', 'paired_signflip_exact'])
def test_p_values_are_near_those_of_palm_on_both_hemispheres(shared, case):
    folder = shared / 'reference' / 'palm'
    names = ('CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_CORTEX_RIGHT')
    surfaces, areas = {}, {}
    for name, side in zip(names, 'LR', strict=True):
        lines = (folder / 'common' / f'{side}.srf').read_text().splitlines()
        n = int(lines[1].split()[0])
        rows = [line.split()[:3] for line in lines[2:]]
        surfaces[name] = Surface(np.array(rows[:n], float), np.array(rows[n:], np.int32))
        areas[name] = np.loadtxt(folder / 'common' / f'{side}_area.csv', delimiter=',')
    models = BrainModels(
        names, np.repeat([0, 1], n).astype(np.int16), np.tile(np.arange(n, dtype=np.int32), 2),
        np.full((2 * n, 3), -1, np.int32), dict.fromkeys(names, n),
    )  # fmt: skip
    folder = folder / case
    design = np.loadtxt(folder / 'inputs' / 'design.csv', delimiter=',', ndmin=2)
    contrast = np.loadtxt(folder / 'inputs' / 'con_pos.csv', delimiter=',', ndmin=1)
    kind = 'flips' if 'flip' in case else 'permutations'
    found = permutation_test(
        palm_maps(folder, 'LR'), design, contrast, models, adjacency(models, surfaces),
        extents(models, areas), TestOptions(kind, tails='each', n_shuffles=1024),
    )  # fmt: skip
    for number, direction in ((1, 'pos'), (2, 'neg')):
        p = np.concatenate(
            [
                palm_output(
                    folder, f'tfceLR_onetail/palm_tfce_tstat_mfwep_m{side}_c{number}.nii.gz'
                )
                for side in (1, 2)
            ]
        )
        difference = np.abs(found.pfwe[direction] - p)[found.mask]
        assert difference.max() < 0.06
        assert difference.mean() < 0.01
