import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ketbids.errors import InputError
from ketbids.stats.exchangeability import block_tree
from ketbids.stats.palmshuffles import given_shuffles, palm_shuffles
from ketbids.stats.shuffling import Shuffles, make_shuffles
from tests.stats.palm_tables import PALM

# Blocks for slow comparisons.
TREES = {
    'within': block_tree([1, 2, 1, 2, 2], within=True),
    'whole': block_tree([1, 2, 3, 1, 2, 3], whole=True),
    'both': block_tree([2, 2, 1, 1, 3, 3], within=True, whole=True),
    'fixed parts': block_tree([[1, -part, row] for part in (1, 2, 3) for row in (1, 2)]),
    'three levels': block_tree([[1, 1, 1], [1, 2, 1], [1, 1, 2], [1, 2, 2]]),
    'signs': block_tree(
        [[-1, 1, -part, row] for part in (1, 2) for row in (1, 2)]
        + [[-1, -2, 1, row] for row in (1, 2)]
    ),
}


def tree_of(given, options):
    if given is None:
        return None
    return block_tree(given, '-within' in options, '-whole' in options)


def signed(shuffles, number):
    """A shuffle as PALM writes it: signed numbers from 1."""
    rows, signs = shuffles.shuffle(number)
    assert (rows.dtype, signs.dtype) == (np.int64, np.float64)
    return tuple((signs * (rows + 1)).astype(int).tolist())


def everything(shuffles):
    return [signed(shuffles, number) for number in range(shuffles.n)]


def admissible_orders(blocks, rows):
    """Every order of ``rows`` that blocks (from their level on) admit, by brute force."""
    if blocks.shape[1] == 1:
        yield (rows[0],)
        return
    inside = [blocks[:, 1] == number for number in np.unique(blocks[:, 1])]
    parts = [(blocks[own, 1:], rows[own]) for own in inside]
    orders = itertools.permutations(parts) if blocks[0, 0] > 0 else [parts]
    for order in orders:
        for orders_inside in itertools.product(*(list(admissible_orders(*p)) for p in order)):
            yield tuple(itertools.chain(*orders_inside))


def admissible(blocks):
    """All permutations, as signed tuples."""
    orders = list(admissible_orders(blocks, np.arange(len(blocks))))
    places = np.argsort(orders[0])
    return {tuple((np.array(order)[places] + 1).tolist()) for order in orders}


def flipping_units(blocks, rows):
    """Sets of rows that flip together, by brute force."""
    inside = [blocks[:, 1] == number for number in np.unique(blocks[:, 1])]
    if blocks[0, 0] > 0 or blocks.shape[1] == 2:
        return [rows[own] for own in inside]
    return [unit for own in inside for unit in flipping_units(blocks[own, 1:], rows[own])]


@pytest.mark.parametrize('case', PALM)
def test_all_shuffles_come_as_in_palm(case):
    given, labels, options, table = PALM[case]
    shuffles = palm_shuffles(
        np.array(labels)[:, np.newaxis],
        blocks=tree_of(given, options),
        permute='-ee' in options,
        flip='-ise' in options,
        n=0,
    )
    theirs = [tuple('hgfedcba.12345678'.index(x) - 8 for x in word) for word in table.split()]
    assert everything(shuffles) == theirs
    assert (shuffles.n, shuffles.n_possible) == (len(theirs), len(theirs))
    assert shuffles.exhaustive
    assert shuffles.n_rows == len(labels)


@pytest.mark.parametrize(
    'case', ['twosample_exact', 'paired_signflip_exact', 'eb_within_paired_exact']
)
@pytest.mark.parametrize('contrast', ['single', 'onetail_c1', 'onetail_c2'])
def test_the_reference_sets_are_those_of_palm(shared, case, contrast):
    folder = shared / 'reference' / 'palm' / case
    design = np.loadtxt(folder / 'inputs' / 'design.csv', delimiter=',', ndmin=2)
    weights = np.loadtxt(folder / 'inputs' / 'con_pos.csv', delimiter=',', ndmin=1)
    blocks = None
    if case.startswith('eb'):
        blocks = block_tree(np.loadtxt(folder / 'inputs' / 'eb.csv'), within=True)
    flip = 'flip' in case
    shuffles = palm_shuffles(
        design[:, weights != 0], blocks=blocks, permute=not flip, flip=flip, n=0
    )
    theirs = np.loadtxt(folder / 'out' / 'permidx' / f'{contrast}_permidx.csv', delimiter=',')
    np.testing.assert_array_equal(everything(shuffles), theirs)
    given = given_shuffles(theirs, len(design))
    assert everything(given) == everything(shuffles)


@pytest.mark.parametrize('tree', TREES)
def test_all_that_blocks_admit_and_nothing_else(tree):
    blocks = TREES[tree]
    labels = np.arange(len(blocks)) * 1.5
    everyone = admissible(blocks)
    shuffles = palm_shuffles(labels, blocks=blocks, n=0)
    found = everything(shuffles)
    assert set(found) == everyone
    assert len(found) == shuffles.n_possible == len(everyone)
    units = flipping_units(blocks, np.arange(len(blocks)))
    flips = everything(palm_shuffles(labels, blocks=blocks, permute=False, flip=True, n=0))
    assert len(set(flips)) == len(flips) == 2 ** len(units)
    for unit in units:
        assert (np.sign(np.array(flips)[:, unit]).std(axis=1) == 0).all()
    both = palm_shuffles(labels, blocks=blocks, flip=True, n=0)
    if both.n <= 1000:
        all_both = everything(both)
        assert len(set(all_both)) == both.n == len(found) * len(flips)
        assert {tuple(np.abs(one).tolist()) for one in all_both} == everyone


@pytest.mark.parametrize('flip', [False, True])
@pytest.mark.parametrize('tree', TREES)
def test_draws_are_admissible_and_each_is_as_likely(tree, flip):
    blocks = TREES[tree]
    labels = np.arange(len(blocks))
    everyone = everything(palm_shuffles(labels, blocks=blocks, flip=flip, n=0))
    if len(everyone) > 100:
        everyone = [one for one in everyone if min(one) > 0]
        flip = False
    # Drawn for themselves: sets of single draws of many streams, so that no set is exhaustive.
    draws = [
        signed(palm_shuffles(labels, blocks=blocks, flip=flip, n=2, seed=11, stream=k), 1)
        for k in range(20 * len(everyone))
    ]
    counts = np.array([draws.count(one) for one in everyone])
    assert counts.sum() == len(draws)
    if len(everyone) <= 4:  # drawn without repeats: any but the identity
        assert counts[0] == 0
        counts = counts[1:]
    assert stats.chisquare(counts).pvalue > 0.001


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    tree=st.sampled_from(['both', 'whole', 'within']),
    seed=st.integers(0, 2**128 - 1),
    stream=st.integers(0, 2**64 - 1),
    data=st.data(),
)
def test_draws_without_repeats(labels, tree, seed, stream, data):
    blocks = TREES[tree]
    labels = np.array(labels[: len(blocks)])
    try:
        whole = palm_shuffles(labels, blocks=blocks, n=0)
    except InputError:
        return
    if whole.n < 3:
        return
    images = [tuple(labels[np.array(one) - 1].tolist()) for one in everything(whole)]
    n = data.draw(st.integers((whole.n + 1) // 2, whole.n - 1))
    drawn = palm_shuffles(labels, blocks=blocks, n=n, seed=seed, stream=stream)
    assert (drawn.n, drawn.n_possible, drawn.exhaustive) == (n, whole.n, False)
    found = everything(drawn)
    assert set(found) <= admissible(blocks)
    assert found[0] == tuple(range(1, len(labels) + 1))
    # Where the order of labels inside a block can change or there is one row only, arrangements
    # are what the design becomes; none comes twice.
    if tree != 'whole':
        assert len(set(images)) == whole.n
        assert len({tuple(labels[np.array(one) - 1].tolist()) for one in found}) == n


def test_draws_depend_on_seed_stream_and_number_only():
    blocks = block_tree(np.repeat(np.arange(20), 2) + 1, within=True, whole=True)
    labels = np.arange(40) % 7

    def make(n, seed=3, stream=5):
        return palm_shuffles(labels, blocks=blocks, flip=True, n=n, seed=seed, stream=stream)

    short, long = make(20), make(3000)
    for j in (13, 1, 19, 0, 2, 13):
        assert signed(short, j) == signed(long, j)
    for other in (make(20, seed=4), make(20, stream=6), make(20, stream=0)):
        assert not set(everything(other)[1:]) & set(everything(short)[1:])
    assert not short.exhaustive
    assert short.n_possible > 10**15


def test_draws_stay_what_they_are():
    # Results of a seed must not change with versions of this package or of NumPy.
    blocks = block_tree([1, 1, 2, 2, 3, 3, 4, 4, 5, 5], within=True, whole=True)
    shuffles = palm_shuffles(np.arange(10), blocks=blocks, flip=True, n=100, seed=2020, stream=1)
    assert signed(shuffles, 1) == (-1, -2, 3, 4, 5, 6, 8, 7, 10, 9)
    assert signed(shuffles, 99) == (8, 7, -5, -6, -1, -2, -9, -10, -3, -4)


@pytest.mark.parametrize('labels', [np.arange(15) % 2, np.arange(15)])
@pytest.mark.parametrize('n', [50, 4000])
def test_free_draws_are_those_of_the_pipeline(labels, n):
    # 6435 arrangements of the two groups: 4000 are drawn without repeats.
    ours = palm_shuffles(labels, n=n, seed=9)
    theirs = make_shuffles('permutations', labels, n, seed=9)
    for j in range(0, n, 7):
        np.testing.assert_array_equal(ours.shuffle(j)[0], theirs.shuffle(j)[0])
    flips = palm_shuffles(np.ones(30), permute=False, flip=True, n=n, seed=9)
    pipeline = make_shuffles('flips', 30, n, seed=9)
    for j in range(0, n, 7):
        np.testing.assert_array_equal(flips.shuffle(j)[1], pipeline.shuffle(j)[1])


def test_large_sets_are_stepped_to_from_kept_orders():
    # 77,520 orders of 20 rows are more numbers than are kept.
    labels = np.array([1] * 4 + [0] * 13 + [1] * 3)
    shuffles = palm_shuffles(labels, n=0)
    assert shuffles.n == math.comb(20, 7)
    theirs = make_shuffles('permutations', labels, shuffles.n)
    for j in [*range(1, shuffles.n, 1001), shuffles.n - 1]:
        np.testing.assert_array_equal(shuffles.shuffle(j)[0], theirs.shuffle(j)[0])
    # All 10! orders, the last the reverse, the middle one known.
    shuffles = palm_shuffles(np.arange(10), n=0)
    assert shuffles.n == math.factorial(10)
    assert shuffles.shuffle(shuffles.n - 1)[0].tolist() == list(range(9, -1, -1))
    middle = [5, 0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert shuffles.shuffle(shuffles.n // 2)[0].tolist() == middle


@settings(max_examples=30, deadline=None)
@given(labels=st.lists(st.integers(0, 3), min_size=2, max_size=6), flip=st.booleans())
def test_a_free_exhaustive_set_has_each_image_once(labels, flip):
    if len(set(labels)) == 1 and not flip:
        return
    shuffles = palm_shuffles(labels, flip=flip, n=0)
    # Labels from 1, so that a flipped label is another one.
    images = {
        tuple((signs * (np.array(labels)[rows] + 1)).tolist())
        for rows, signs in map(shuffles.shuffle, range(shuffles.n))
    }
    signs = itertools.product([-1, 1], repeat=len(labels)) if flip else [(1,) * len(labels)]
    expected = {
        tuple(s * (x + 1) for s, x in zip(sign, order, strict=True))
        for sign in signs
        for order in set(itertools.permutations(labels))
    }
    assert images == expected
    assert len(expected) == shuffles.n == shuffles.n_possible


def test_sets_are_of_the_protocol():
    def size(shuffles: Shuffles) -> int:
        return shuffles.n

    assert size(palm_shuffles([1, 2, 3], n=4)) == 4
    assert size(make_shuffles('flips', 3, 8)) == 8
    assert size(given_shuffles([[1, 2], [2, -1]])) == 2
    for shuffles in (palm_shuffles([1, 2, 3], n=4), given_shuffles([[1, 2], [2, -1]])):
        with pytest.raises(IndexError):
            shuffles.shuffle(shuffles.n)
        with pytest.raises(IndexError):
            shuffles.shuffle(-1)


ONE = np.ones(6)
PAIRS = [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ('labels', 'blocks', 'flip', 'message'),
    [
        (ONE, None, False, r'equal in all rows.*every p would be 1.*\(-ise\) for a one-sample'),
        ([1, 1, 2, 2, 3, 3], block_tree(PAIRS), False, r'all observations of a block.*\(-whole,'),
        ([1, 2, 2, 1, 1, 2], block_tree(PAIRS, whole=True), False, r'same values.*\(-within,'),
        (
            ONE,
            block_tree(PAIRS, whole=True, within=True),
            False,
            r'that may change places have the same.*-ise',
        ),
        (range(6), block_tree(range(1, 7)), False, r'all observations of a block.*\(-whole,'),
        (range(6), block_tree([[-1, -x] for x in PAIRS]), False, 'lets nothing change places'),
        (range(6), block_tree([[-1, x] for x in range(1, 7)]), True, 'none may flip. Write 1'),
    ],
)
def test_a_set_of_the_identity_alone_is_refused_with_advice(labels, blocks, flip, message):
    with pytest.raises(InputError, match=message):
        palm_shuffles(list(labels), blocks=blocks, permute=not flip, flip=flip)


def test_sets_that_cannot_be_run_are_refused():
    with pytest.raises(InputError, match=r'39,916,800 shuffles are possible.*-n 10000'):
        palm_shuffles(np.arange(11), n=0)
    with pytest.raises(InputError, match=r'About 10\^68 shuffles are possible'):
        palm_shuffles(np.ones(226), permute=False, flip=True, n=0)
    with pytest.raises(InputError, match=r'10,000,001 shuffles .* at most 10,000,000 are run'):
        palm_shuffles(np.arange(11), n=10_000_001)
    with pytest.raises(InputError, match=r'About 10\^99 shuffles are asked for'):
        palm_shuffles(np.arange(11), n=10**99)
    assert palm_shuffles(np.arange(226)).n_possible == math.factorial(226)


@pytest.mark.parametrize('n', [56, 10_000_001, 20_000_000, 10**30])
def test_more_than_exist_are_all(n):
    shuffles = palm_shuffles([0, 0, 0, 1, 1, 1, 1, 1], n=n)
    assert (shuffles.n, shuffles.n_possible, shuffles.exhaustive) == (56, 56, True)
    same = palm_shuffles([0, 0, 0, 1, 1, 1, 1, 1], n=0)
    np.testing.assert_array_equal(everything(shuffles), everything(same))


def test_bad_arguments():
    with pytest.raises(InputError, match='Neither'):
        palm_shuffles([1, 2], permute=False)
    with pytest.raises(InputError, match='not -1'):
        palm_shuffles([1, 2], n=-1)
    with pytest.raises(InputError, match='seed'):
        palm_shuffles([1, 2], seed=-1)
    with pytest.raises(InputError, match='NaN'):
        palm_shuffles([1, np.nan])
    with pytest.raises(InputError, match='have 6 observations, but the design has 5'):
        palm_shuffles(range(5), blocks=block_tree(PAIRS))
    with pytest.raises(InputError, match='must be whole numbers'):
        palm_shuffles(range(6), blocks=PAIRS)


def test_given_shuffles():
    shuffles = given_shuffles([[1, 2, 3], [-3, 1, -2], [2, 1, 3]], n_rows=3)
    assert (shuffles.n, shuffles.n_rows, shuffles.exhaustive) == (3, 3, False)
    rows, signs = shuffles.shuffle(1)
    assert rows.tolist() == [2, 0, 1]
    assert signs.tolist() == [-1.0, 1.0, -1.0]
    assert given_shuffles([[1, 2], [2, 1]], n=1).n == 1
    assert given_shuffles([[1, 2], [2, 1]], n=0).n == 2


@pytest.mark.parametrize(
    ('table', 'message'),
    [
        ([[1, 2], [2, 1]], 'has 2 columns, but the design has 3 rows'),
        ([1, 2, 3], 'one row per shuffle'),
        (np.empty((0, 3)), 'one row per shuffle'),
        ([[2, 1, 3]], 'first row .* must be 1, 2, 3'),
        ([[1, 2, -3]], 'first row .* must be 1, 2, 3'),
        ([[1, 2, 3], [1, 2, 2]], r'Row 2 .* once'),
        ([[1, 2, 3], [1, 2, 3], [0, 1, 2]], 'Row 3'),
        ([[1, 2, 3], [1, 2, np.nan]], 'Row 2'),
        ([[1, 2, 3], [1, 2.5, 3]], 'Row 2'),
        ([[1, 2, 3], [1, np.inf, 3]], 'Row 2'),
        ([[1, 2, 3]] * 4, '5 shuffles are asked for, but the table has 4'),
    ],
)
def test_a_table_that_is_none_is_refused(table, message):
    with pytest.raises(InputError, match=message):
        given_shuffles(table, n_rows=3, n=5 if len(table) == 4 else None)
