import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.exchangeability import block_tree, block_variance_groups, check_blocks
from ketbids.stats.palmshuffles import palm_shuffles

# Blocks 7 and 4 of two observations.
COLUMN = [7, 4, 4, 7]


def test_a_column_says_what_changes_places_by_the_signs_of_three_levels():
    # As palm_takeargs.m and palm_reindex.m of PALM (commit 04095fe) make them.
    within = [[-1, 2, 1], [-1, 1, 1], [-1, 1, 2], [-1, 2, 2]]
    assert block_tree(COLUMN).tolist() == within
    assert block_tree(COLUMN, within=True).tolist() == within
    assert block_tree(np.array(COLUMN)[:, np.newaxis], within=True).tolist() == within
    # Negative numbers are numbered from the lowest, so that 7 comes first.
    assert block_tree(COLUMN, whole=True).tolist() == [
        [1, -1, 1], [1, -2, 1], [1, -2, 2], [1, -1, 2],
    ]  # fmt: skip
    assert block_tree(COLUMN, within=True, whole=True).tolist() == [
        [1, 2, 1], [1, 1, 1], [1, 1, 2], [1, 2, 2],
    ]  # fmt: skip


def test_observations_of_the_last_level_are_told_apart_and_do_not_change_places():
    # What PALM makes of it; the second numbering turns the order of negative numbers again.
    given = [[1, 1], [1, 2], [1, 1], [1, 2]]
    assert block_tree(given).tolist() == [[1, -2, 1], [1, -1, 1], [1, -2, 2], [1, -1, 2]]
    full = [[1, 1, 1], [1, 2, 5], [1, 1, 9], [1, 2, 7]]
    assert block_tree(full, within=True).tolist() == [[1, 1, 1], [1, 2, 1], [1, 1, 2], [1, 2, 2]]


@given(numbers=st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_blocks_inside_are_those_given(numbers):
    full = block_tree(numbers)
    assert (full[:, 0] == -1).all()
    same = np.equal.outer(numbers, numbers)
    np.testing.assert_array_equal(np.equal.outer(full[:, 1], full[:, 1]), same)
    assert len(np.unique(full, axis=0)) == len(numbers)
    check_blocks(full)


@pytest.mark.parametrize(
    ('blocks', 'groups'),
    [
        (block_tree([1, 2, 1, 2, 3]), [1, 2, 1, 2, 3]),
        (block_tree([1, 2, 1, 2], whole=True), [1, 1, 2, 2]),
        (block_tree([1, 2, 1, 2], whole=True, within=True), [1, 1, 1, 1]),
        (block_tree([[-1, -5], [-1, -5], [-1, -5]]), [1, 2, 3]),
    ],
)
def test_variance_groups_are_what_changes_places(blocks, groups):
    # As palm_ptree2vg.m of PALM.
    assert block_variance_groups(blocks).tolist() == groups


def test_variance_groups_of_several_levels():
    # Families of twins and a sibling; PALM numbers from the lowest block.
    fixed = [[-1, -1, 1, 1], [-1, -1, 1, 2], [-1, -1, -2, 1], [-1, -3, 1, 1], [-1, -3, 1, 2]]
    assert block_variance_groups(block_tree(fixed)).tolist() == [2, 2, 1, 3, 3]
    swapped = [
        [1, -1, 1, 1],
        [1, -1, 1, 2],
        [1, -1, -2, 1],
        [1, -3, 1, 1],
        [1, -3, 1, 2],
        [1, -3, -2, 1],
    ]
    assert block_variance_groups(block_tree(swapped)).tolist() == [2, 2, 1, 2, 2, 1]


@pytest.mark.parametrize(
    ('blocks', 'options', 'message'),
    [
        ([1, np.nan, 2], {}, r'observation 2 \(column 1\) is missing'),
        ([1, 2, np.inf], {}, 'observation 3'),
        ([1, 1.5, 2], {}, r'observation 2 \(column 1\) is 1.5'),
        ([[1, 1], [1, 0]], {}, r'observation 2 \(column 2\) is 0'),
        ([1, 1e300], {}, r'the number 1e\+300, which is too large'),
        ([], {}, 'one row per observation'),
        (np.ones((2, 2, 2)), {}, 'one row per observation'),
        (np.ones((3, 60)), {}, '60 columns'),
        ([1, 1, 1, 2, 2], {'whole': True}, 'block 1 has 3 observations and block 2 has 2: '),
        ([7, 7, 7, 3], {'whole': True, 'within': True}, 'block 3 has 1 observation and block 7 '),
        ([1, 1, -2, -2], {'whole': True}, 'block -2 has a negative number and block 1 a positive'),
        (
            [[1, -1, 1], [1, -1, 2], [1, 2, 1], [1, 2, 2]],
            {},
            'Column 2 .* observation 1 .* observation 3 .* one has a positive number',
        ),
        ([[1, 1], [2, 2]], {}, 'must be 1 in every row .* or -1'),
        (
            [[1, 1, 1], [1, 1, 1], [1, 1, 2], [1, 2, 1], [1, 2, 2], [1, 2, 2]],
            {},
            'Column 3 .* the first has 2 observations and the second 1',
        ),
        (
            [[-1, 1, 1, 1], [-1, 1, 1, 2], [-1, 1, 2, 1], [-1, 1, 2, 2], [-1, 1, 2, 3]],
            {},
            'Column 3 .* observation 1 .* observation 3 .* has 2 observations .* second 3',
        ),
        (
            # Parts of 2 and 1 in one block, of 1 and 2 in the other: PALM only warns.
            [
                [-1, 3, *x]
                for x in ((1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2))
            ],
            {},
            'not divided alike',
        ),
        ([[-1, 1], [-1, 1], [-1, -1], [-1, -1]], {}, 'different positive numbers'),
        ([[-1, 1], [-1, 1], [-1, 2]], {}, 'Add a last column'),
        ([[1, 1, 1], [1, 1, 1], [1, 1, 2]], {}, 'Add a last column'),
    ],
)
def test_bad_blocks(blocks, options, message):
    with pytest.raises(InputError, match=message):
        block_tree(blocks, **options)


#: Blocks of 2, 2, 3 and 3 observations, of which only those of one size can change places.
SIZES = [1, 1, 2, 2, 3, 3, 3, 4, 4, 4]


@pytest.mark.parametrize('within', [False, True])
def test_a_message_about_one_column_speaks_of_one_column(within):
    with pytest.raises(InputError) as caught:
        block_tree(SIZES, whole=True, within=within)
    message = str(caught.value)
    assert message.startswith('Exchangeability block 1 has 2 observations and block 3 has 3: ')
    assert 'Use -within without -whole' in message
    assert not re.search(r'[Cc]olumn \d', message)


@pytest.mark.parametrize(('sign', 'inside'), [(-1, 1), (1, 2 * 2 * 6 * 6)])
def test_the_advice_about_blocks_of_different_sizes_works(sign, inside):
    # -1; the size of the block; its number, with a sign; the number of the observation in it.
    size = [SIZES.count(block) for block in SIZES]
    own = [SIZES[:row].count(block) + 1 for row, block in enumerate(SIZES)]
    given = np.column_stack([np.full(10, -1), size, sign * np.array(SIZES), own])
    full = block_tree(given)
    # The two of 2 change places, and the two of 3.
    assert palm_shuffles(np.arange(10), blocks=full, n=0).n == 2 * 2 * inside


def test_the_advice_about_sizes_in_several_columns_works():
    given = np.array([[1, 1, 1], [1, 1, 2], [1, 2, 1], [1, 3, 1], [1, 3, 2]])
    with pytest.raises(InputError, match=r'Column 2 .* numbers in column 1 negative'):
        block_tree(given)
    advised = np.column_stack([-given[:, 0], [2, 2, 1, 2, 2], given[:, 1:]])
    assert palm_shuffles(np.arange(5), blocks=block_tree(advised), n=0).n == 2 * 2 * 2


def test_blocks_that_are_not_full():
    with pytest.raises(InputError, match='at least two'):
        check_blocks(np.ones((3, 1), dtype=int))
    with pytest.raises(InputError, match='Observation 2 has the same numbers'):
        check_blocks(np.array([[1, 1], [1, 1]]))
