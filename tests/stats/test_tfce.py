import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from ketbids.errors import InputError
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX
from ketbids.stats.componenttree import DIGIT, in_decreasing_order
from ketbids.stats.graph import Graph
from ketbids.stats.tfce import DEFAULT_EXPONENTS, Enhancer, Exponents, tfce

from .small_brain import SmallBrain, slow_tfce

BRAIN = SmallBrain()
N = len(BRAIN)
PARTITION = BRAIN.models.partition


def enhanced(z, exponents=DEFAULT_EXPONENTS):
    return tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, exponents)


def chain(n: int) -> Graph:
    pairs = [[j for j in (i - 1, i + 1) if 0 <= j < n] for i in range(n)]
    indptr = np.cumsum([0] + [len(row) for row in pairs])
    return Graph(indptr.astype(np.int32), np.concatenate(pairs).astype(np.int32))


def test_one_vertex_alone():
    alone = Graph(np.zeros(2, np.int32), np.empty(0, np.int32))
    found = tfce([3.0], alone, np.array([2.5]), np.array([CORTEX]))
    np.testing.assert_allclose(found, [2.5 * 3**3 / 3])


def test_two_peaks_by_hand():
    # Heights 3 1 2: above 1 the peaks stand apart, below it all three are one cluster.
    found = tfce([3.0, 1.0, 2.0], chain(3), np.array([1.0, 2.0, 4.0]), np.zeros(3, int))
    base = 7 * 1 / 3
    np.testing.assert_allclose(found, [base + 1 * 26 / 3, base, base + 4 * 7 / 3])


def test_subcortex_by_hand():
    found = tfce([2.0, 1.0], chain(2), np.ones(2), np.full(2, SUBCORTEX))
    base = np.sqrt(2) / 3
    np.testing.assert_allclose(found, [base + 7 / 3, base])


def test_equal_heights_are_one_step():
    # However the ties are ordered, the plateau enters at once.
    heights = [1.0, 2.0, 2.0, 2.0, 1.0]
    found = tfce(heights, chain(5), np.ones(5), np.zeros(5, int))
    np.testing.assert_allclose(found, [5 / 3] + [5 / 3 + 7] * 3 + [5 / 3])


@pytest.mark.parametrize('seed', range(5))
def test_equals_the_integral_by_labelling_at_each_height(seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(N)
    if seed % 2:
        z = np.round(2 * z) / 2  # many ties
    expected = slow_tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, DEFAULT_EXPONENTS)
    np.testing.assert_allclose(enhanced(z), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    heights=st.lists(st.integers(-3, 6), min_size=N, max_size=N),
    H=st.sampled_from([1.0, 2.0, 2.5]),
    E=st.sampled_from([0.5, 0.75, 1.0]),
)
def test_equals_the_integral_with_ties_and_any_exponents(heights, H, E):
    exponents = {CORTEX: Exponents(H, E), SUBCORTEX: Exponents(2.0, E / 2)}
    z = np.array(heights) / 3
    expected = slow_tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, exponents)
    np.testing.assert_allclose(enhanced(z, exponents), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.01, 100))
def test_scales_with_the_cube_of_the_statistic(seed, factor):
    z = np.random.default_rng(seed).standard_normal(N)
    np.testing.assert_allclose(enhanced(factor * z), factor**3 * enhanced(z), rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_map_that_is_higher_everywhere_is_enhanced_more_everywhere(seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(N)
    assert (enhanced(z + rng.random(N)) >= enhanced(z) - 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_numbering_of_the_grayordinates_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    z = np.round(rng.standard_normal(N), 1)
    order = rng.permutation(N)
    matrix = BRAIN.graph.matrix()[order][:, order].tocsr()
    graph = Graph(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32))
    found = tfce(z[order], graph, BRAIN.extent[order], PARTITION[order])
    np.testing.assert_allclose(found, enhanced(z)[order], rtol=1e-12)


def test_only_the_positive_part_takes_part():
    z = np.random.default_rng(1).standard_normal(N)
    found = enhanced(z)
    assert (found[z > 0] > 0).all()
    assert (found[z <= 0] == 0).all()
    np.testing.assert_array_equal(found, enhanced(np.maximum(z, 0)))
    assert (enhanced(np.zeros(N)) == 0).all()


def test_nan_takes_no_part_and_joins_nothing():
    found = tfce([2.0, np.nan, 1.0], chain(3), np.ones(3), np.zeros(3, int))
    np.testing.assert_allclose(found, [8 / 3, np.nan, 1 / 3])


def maxima(values, partition=PARTITION):
    return [values[partition == code].max(initial=0) for code in (CORTEX, SUBCORTEX)]


def test_both_signs_at_once_and_the_maximum_of_each_partition():
    z = np.random.default_rng(2).standard_normal(N)
    z[[3, 60]] = np.nan, 0
    enhancer = Enhancer(BRAIN.graph, BRAIN.extent, PARTITION)
    out = np.full(N, -1.0)
    for turned in (z, -z, z):  # a third time: memory is reused
        largest = enhancer.enhance(turned, out, 'signed')
        positive, negative = (np.nan_to_num(enhanced(sign * turned)) for sign in (1, -1))
        np.testing.assert_array_equal(out, positive + negative)
        np.testing.assert_array_equal(largest, [maxima(positive), maxima(negative)])
        largest = enhancer.twin().enhance(turned, out, 'positive')
        np.testing.assert_array_equal(out, positive)
        np.testing.assert_array_equal(largest, [maxima(positive)])


def test_maps_with_nothing_in_a_direction():
    enhancer = Enhancer(BRAIN.graph, BRAIN.extent, PARTITION)
    out = np.empty(N)
    for values in (np.zeros(N), np.full(N, np.nan)):
        assert (enhancer.enhance(values, out, 'signed') == 0).all()
        assert (out == 0).all()
    assert (enhancer.enhance(np.full(N, -1.0), out, 'positive') == 0).all()
    assert (out == 0).all()
    found = enhancer.enhance(np.full(N, -1.0), out, 'signed')
    assert (found[0] == 0).all()
    assert (found[1] > 0).all()


def test_a_hub_of_many_neighbours():
    # More neighbours than a location has bits to remember them by.
    n = 80
    indices = np.concatenate([np.arange(1, n), np.zeros(n - 1)]).astype(np.int32)
    star = Graph(np.r_[0, np.arange(n - 1, 2 * n - 1)].astype(np.int32), indices)
    rng = np.random.default_rng(6)
    for hub in (-1.0, 0.1, 1.5, 4.0):
        z = np.round(rng.random(n) * 3, 1)
        z[0] = hub
        partition = np.zeros(n, int)
        extent = rng.random(n)
        expected = slow_tfce(z, star, extent, partition, DEFAULT_EXPONENTS)
        np.testing.assert_allclose(tfce(z, star, extent, partition), expected, rtol=1e-12)


def thresholds(largest, steps, step_height):
    if step_height is None:
        width = largest / steps
        return [width + k * width for k in range(steps - 1)] + [largest], width
    heights, here = [], step_height
    while here <= largest:
        heights.append(here)
        here += step_height
    return heights, step_height


def slow_steps(z, partition, exponents, groups, steps=None, step_height=None, brain=BRAIN):
    """The sum over thresholds written out, for positive values."""
    out = np.zeros(len(z))
    matrix = brain.graph.matrix().tocsr()
    for group in np.unique(groups):
        part = groups == group
        largest = z[part].max()
        if largest <= 0:
            continue
        heights, width = thresholds(largest, steps, step_height)
        for height in heights:
            here = np.flatnonzero(part & (z >= height))
            _, label = connected_components(matrix[here][:, here], directed=False)
            size = np.bincount(label, brain.extent[here])[label]
            for k, e in zip(here, size, strict=True):
                H, E = exponents[int(partition[k])]
                out[k] += width * e**E * height**H
    return out


@pytest.mark.parametrize('by', ['partition', 'structure'])
@pytest.mark.parametrize(
    'rule', [{'steps': 100}, {'steps': 1}, {'steps': 7}, {'step_height': 0.1}, {'step_height': 5}]
)
@pytest.mark.parametrize('exponents', [DEFAULT_EXPONENTS, {0: (2.5, 0.75), 1: (0.0, 1.0)}])
def test_steps_equal_the_sum_written_out(rule, by, exponents):
    groups = PARTITION if by == 'partition' else np.minimum(BRAIN.models.structure, 2)
    rng = np.random.default_rng(7)
    enhancer = Enhancer(BRAIN.graph, BRAIN.extent, PARTITION, exponents, groups=groups, **rule)
    out = np.empty(N)
    for z in (rng.standard_normal(N), np.round(rng.standard_normal(N), 1), -rng.random(N)):
        largest = enhancer.enhance(z, out, 'signed')
        found = [
            slow_steps(sign * z, PARTITION, exponents, groups, **rule) for sign in (1.0, -1.0)
        ]
        np.testing.assert_allclose(out, found[0] + found[1], rtol=1e-12)
        np.testing.assert_allclose(largest, [maxima(found[0]), maxima(found[1])], rtol=1e-12)
        enhancer.enhance(z, out, 'positive')
        np.testing.assert_allclose(out, found[0], rtol=1e-12)


def test_many_steps_approach_the_integral():
    z = np.random.default_rng(8).standard_normal(N)
    enhancer = Enhancer(BRAIN.graph, BRAIN.extent, PARTITION, steps=100_000)
    out = np.empty(N)
    enhancer.enhance(z, out, 'positive')
    np.testing.assert_allclose(out, enhanced(z), rtol=1e-3, atol=1e-3)


def sorted_locations(values):
    n = len(values)
    order, key = np.empty((2, n), np.uint32)
    memory = key, np.empty(n, np.uint64), np.empty((2, DIGIT), np.uint32)
    height = np.empty(n)
    found = in_decreasing_order(values, order, height, *memory)
    return order[:found], height[:found]


@pytest.mark.parametrize(
    'values',
    [
        np.random.default_rng(0).standard_normal(5000),
        np.round(np.random.default_rng(1).standard_normal(5000), 1),
        np.random.default_rng(2).permutation(np.geomspace(1e-300, 1e300, 5000)),
        np.r_[np.random.default_rng(3).random(500) * 1e-9, 1.0],  # all but one in one bucket
        np.random.default_rng(4).random(50) * 1e-305,
        np.ones(100),
        np.zeros(4),
        np.array([0.0, 2.0]),
    ],
    ids=['noise', 'ties', 'any size', 'one large', 'tiny', 'equal', 'none', 'one'],
)
def test_the_sort_is_that_of_numpy(values):
    order, height = sorted_locations(values)
    expected = np.argsort(-np.abs(values), kind='stable')[: np.count_nonzero(values)]
    np.testing.assert_array_equal(order, expected)
    np.testing.assert_array_equal(height, np.abs(values[expected]))


def test_values_of_very_different_size_are_sorted_rightly():
    z = np.random.default_rng(3).permutation(np.geomspace(1e-12, 1e9, N))
    expected = slow_tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, DEFAULT_EXPONENTS)
    np.testing.assert_allclose(enhanced(z), expected, rtol=1e-10)


def test_bad_input():
    with pytest.raises(InputError, match='infinite'):
        enhanced(np.full(N, np.inf))
    with pytest.raises(InputError, match=r'shape \(3,\)'):
        enhanced(np.ones(3))
    with pytest.raises(InputError, match='extents 2'):
        tfce(np.ones(N), BRAIN.graph, np.ones(2), PARTITION)
    with pytest.raises(InputError, match='must be finite'):
        tfce(np.ones(N), BRAIN.graph, np.full(N, np.nan), PARTITION)
    with pytest.raises(InputError, match='partition 7'):
        tfce(np.ones(N), BRAIN.graph, BRAIN.extent, np.full(N, 7))


@pytest.mark.parametrize(
    ('match', 'options'),
    [
        ('not both', {'steps': 100, 'step_height': 0.1}),
        ('steps is from 1 to 1000000, not 0', {'steps': 0}),
        ('must be above 0, not -0.1', {'step_height': -0.1}),
        ('groups 3', {'groups': np.zeros(3, int)}),
        ('H = -1.0, E = 1.0 are not usable', {'exponents': {0: Exponents(-1.0, 1.0)}}),
    ],
)
def test_rules_that_make_no_sense_are_refused(match, options):
    with pytest.raises(InputError, match=match):
        Enhancer(BRAIN.graph, BRAIN.extent, PARTITION, **options)


def test_steps_without_end_are_refused():
    enhancer = Enhancer(BRAIN.graph, BRAIN.extent, PARTITION, step_height=1e-7)
    with pytest.raises(InputError, match='less than a millionth of the largest value'):
        enhancer.enhance(np.ones(N), np.empty(N), 'positive')
