import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.shuffling import make_shuffles

TWO_GROUPS = np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0)


def palm_index(shuffles, number):
    """A shuffle as PALM writes it: signed numbers from 1."""
    rows, signs = shuffles.shuffle(number)
    return (signs * (rows + 1)).astype(int)


def test_flips_are_enumerated_by_the_bits_of_their_number():
    shuffles = make_shuffles('flips', 3, 8)
    assert (shuffles.n, shuffles.n_possible, shuffles.exhaustive) == (8, 8, True)
    found = [shuffles.shuffle(j)[1].tolist() for j in range(8)]
    assert found == [
        [1, 1, 1], [-1, 1, 1], [1, -1, 1], [-1, -1, 1],
        [1, 1, -1], [-1, 1, -1], [1, -1, -1], [-1, -1, -1],
    ]  # fmt: skip
    assert all((shuffles.shuffle(j)[0] == np.arange(3)).all() for j in range(8))


def test_permutations_are_enumerated_as_palm_does():
    # Worked by hand with Knuth's algorithm L over labels 0 0 1 1 (rows 3 4 1 2).
    shuffles = make_shuffles('permutations', [1, 1, 0, 0], 6)
    found = [palm_index(shuffles, j).tolist() for j in range(6)]
    assert found[0] == [1, 2, 3, 4]
    assert found[1] == [4, 1, 3, 2]
    labels = {tuple(np.array([1, 1, 0, 0])[np.array(row) - 1]) for row in found}
    assert len(labels) == 6


@pytest.mark.parametrize('case', ['twosample_exact', 'paired_signflip_exact'])
def test_the_enumerated_sets_are_those_of_palm(shared, case):
    folder = shared / 'reference' / 'palm' / case
    design = np.loadtxt(folder / 'inputs' / 'design.csv', delimiter=',', ndmin=2)
    theirs = np.loadtxt(
        folder / 'out' / 'permidx' / 'single_permidx.csv', delimiter=',', dtype=int
    )
    kind = 'flips' if 'flip' in case else 'permutations'
    shuffles = make_shuffles(kind, design, 5000)
    ours = np.array([palm_index(shuffles, j) for j in range(shuffles.n)])
    np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=6).filter(lambda x: len(set(x)) > 1)
)
def test_an_exhaustive_set_has_each_labelling_once(labels):
    everything = set(itertools.permutations(labels))
    shuffles = make_shuffles('permutations', labels, 1000)
    assert shuffles.exhaustive
    assert shuffles.n == shuffles.n_possible == len(everything)
    rows = [shuffles.shuffle(j)[0] for j in range(shuffles.n)]
    assert all(sorted(row) == list(range(len(labels))) for row in rows)
    assert {tuple(np.array(labels)[row]) for row in rows} == everything
    np.testing.assert_array_equal(rows[0], np.arange(len(labels)))


def test_a_set_up_to_twice_as_large_is_drawn_without_repeats():
    shuffles = make_shuffles('permutations', TWO_GROUPS, 200, seed=3)
    assert (shuffles.n, shuffles.n_possible, shuffles.exhaustive) == (200, 252, False)
    rows = [shuffles.shuffle(j)[0] for j in range(200)]
    assert all(sorted(row) == list(range(10)) for row in rows)
    assert len({tuple(TWO_GROUPS[row, 0]) for row in rows}) == 200
    np.testing.assert_array_equal(rows[0], np.arange(10))
    flips = make_shuffles('flips', 8, 130)
    assert not flips.exhaustive
    assert len({tuple(flips.shuffle(j)[1]) for j in range(130)}) == 130


@pytest.mark.parametrize('n_shuffles', [130, 200, 251])
def test_a_draw_without_repeats_depends_on_its_number_only(n_shuffles):
    shuffles = make_shuffles('permutations', TWO_GROUPS, n_shuffles, seed=3)
    longest = make_shuffles('permutations', TWO_GROUPS, 251, seed=3)
    for j in range(n_shuffles):
        np.testing.assert_array_equal(shuffles.shuffle(j)[0], longest.shuffle(j)[0])


@pytest.mark.parametrize('kind', ['flips', 'permutations'])
def test_a_draw_depends_on_the_seed_and_its_number_only(kind):
    labels = np.arange(40) % 2
    short, long = (make_shuffles(kind, labels, n, seed=7) for n in (20, 300))
    other = make_shuffles(kind, labels, 20, seed=8)
    for j in (13, 1, 19, 0, 2):  # in any order
        for mine, theirs in zip(short.shuffle(j), long.shuffle(j), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    different = [
        not np.array_equal(np.multiply(*short.shuffle(j)), np.multiply(*other.shuffle(j)))
        for j in range(1, 20)
    ]
    assert all(different)


def test_the_draws_stay_what_they_are():
    # Results of a seed must not change with versions of this package or of NumPy.
    flips = make_shuffles('flips', 20, 100, seed=2020)
    assert ''.join('+-'[int(s < 0)] for s in flips.shuffle(1)[1]) == '--+---+-+++--+++-+-+'
    assert ''.join('+-'[int(s < 0)] for s in flips.shuffle(99)[1]) == '+--+---+-++++-++--++'
    permutations = make_shuffles('permutations', np.arange(15), 100, seed=2020)
    assert permutations.shuffle(1)[0].tolist() == [
        14,
        10,
        13,
        9,
        8,
        6,
        2,
        1,
        5,
        0,
        7,
        4,
        12,
        11,
        3,
    ]


def test_huge_numbers_of_shuffles_are_exact():
    flips = make_shuffles('flips', 300, 10)
    assert flips.n_possible == 2**300
    assert not flips.exhaustive
    groups = make_shuffles('permutations', [0] * 100 + [1] * 126, 10)
    assert groups.n_possible == math.comb(226, 100)
    slope = make_shuffles('permutations', np.arange(226), 10)
    assert slope.n_possible == math.factorial(226)
    assert sorted(slope.shuffle(9)[0]) == list(range(226))


def test_draws_are_uniform():
    n = 6000
    rows = np.array(
        [make_shuffles('permutations', np.arange(20), n, 5).shuffle(j)[0] for j in range(1, n, 3)]
    )
    # Row 0 of the shuffled design is each row equally often: chi-square with 19 df.
    counts = np.bincount(rows[:, 0], minlength=20)
    expected = len(rows) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # p = .001
    flips = make_shuffles('flips', 60, n, 5)
    signs = np.array([flips.shuffle(j)[1] for j in range(1, n, 3)])
    assert np.abs(signs.mean(axis=0)).max() < 4.5 / np.sqrt(len(signs))
    assert np.abs(np.corrcoef(signs.T) - np.eye(60)).max() < 4.9 / np.sqrt(len(signs))


def test_labels_that_differ_by_rounding_are_one():
    ages = np.array([0.1 + 0.2, 0.3, 0.3, 1.7, 1.7, 1.7])
    assert make_shuffles('permutations', ages, 1000).n_possible == math.comb(6, 3)


def test_labels_of_several_columns_are_their_rows():
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert make_shuffles('permutations', factors, 1000).n_possible == 24


def test_nothing_to_permute_is_refused_with_advice():
    with pytest.raises(InputError, match=r'Only one permutation .* Use sign flips'):
        make_shuffles('permutations', np.ones(12), 100)


def test_bad_input():
    with pytest.raises(InputError, match='at least 1'):
        make_shuffles('flips', 12, 0)
    with pytest.raises(InputError, match='seed'):
        make_shuffles('flips', 12, 10, seed=-1)
    with pytest.raises(InputError, match='label of each row'):
        make_shuffles('permutations', 12, 10)
    with pytest.raises(InputError, match="'rotations'"):
        make_shuffles('rotations', 12, 10)
    with pytest.raises(IndexError):
        make_shuffles('flips', 12, 10).shuffle(10)
