import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.exchangeability import block_tree, block_variance_groups, check_blocks

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
        ([1, 1e300], {}, 'smaller than'),
        ([], {}, 'one row per observation'),
        (np.ones((2, 2, 2)), {}, 'one row per observation'),
        (np.ones((3, 60)), {}, '60 columns'),
        ([1, 1, 1, 2, 2], {'whole': True}, 'one has 3 observations and another 2'),
        ([1, 1, -2, -2], {'whole': True}, 'positive number and another a negative'),
        ([[1, 1], [2, 2]], {}, 'must be 1 .* or -1'),
        (
            [[1, 1, 1], [1, 1, 1], [1, 1, 2], [1, 2, 1], [1, 2, 2], [1, 2, 2]],
            {},
            'column 3 .* one has 2 observations and another 1',
        ),
        (
            [[-1, 1, 1, 1], [-1, 1, 1, 2], [-1, 1, 2, 1], [-1, 1, 2, 2], [-1, 1, 2, 3]],
            {},
            r'column 3 .* one has 2 observations and another 3',
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


def test_blocks_that_are_not_full():
    with pytest.raises(InputError, match='at least two'):
        check_blocks(np.ones((3, 1), dtype=int))
    with pytest.raises(InputError, match='same numbers'):
        check_blocks(np.array([[1, 1], [1, 1]]))
