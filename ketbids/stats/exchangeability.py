"""Exchangeability blocks: which observations, or blocks of them, may change places.

The convention is that of multi-level blocks: each column divides the blocks of the column before
it, and the sign of a number says whether what is inside that block may change places (positive)
or not (negative) (Winkler AM, Webster MA, Vidaurre D, Nichols TE, Smith SM, 2015, NeuroImage 123:
253-268). The rules for a single column, the numbering and with it the order of the shuffles are
those of PALM.
"""

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['block_tree', 'block_variance_groups', 'check_blocks']

Integers = npt.NDArray[np.int64]

_MOST_LEVELS = 50


def block_tree(blocks: npt.ArrayLike, within: bool = False, whole: bool = False) -> Integers:
    """Multi-level blocks from what a person gives.

    Parameters
    ----------
    blocks : array_like of integers, shape (n_rows,) or (n_rows, n_levels)
        The number of the block of each observation; or blocks of several levels, from the whole
        to the parts.
    within, whole : bool
        For a single column: whether observations change places inside their block (also where
        neither is given), blocks change places as a whole, or both. Several columns say this by
        their signs, so that there the two have no effect.

    Returns
    -------
    ndarray of int, shape (n_rows, n_levels)
        The last column tells the observations of a block apart. The blocks inside one block are
        numbered 1, 2, ... with their sign.

    Raises
    ------
    InputError
        The numbers are not whole, missing or 0, or blocks that are to change places are not
        alike.
    """
    given = _whole_numbers(blocks)
    n_rows = len(given)
    if given.shape[1] == 1:
        first = 1 if whole else -1
        second = -given[:, 0] if whole and not within else given[:, 0]
        if whole:
            _check_column(given[:, 0])
        given = np.stack([np.full(n_rows, first), second, np.arange(1, n_rows + 1)], axis=1)
    full, several, at_end = _renumbered(given)
    if several and not at_end:
        # There PALM forgets to tell the observations apart, and flips them together.
        raise InputError(
            'In the last column of the exchangeability blocks some blocks have several '
            'observations, but the block with the highest number has one: it is not clear '
            'whether observations or blocks are to be shuffled. Add a last column that numbers '
            'the observations 1, 2, 3, ...; in the column before it, give a negative number to '
            'each block whose observations must not change places with each other.'
        )
    if several:
        full, _, _ = _renumbered(np.column_stack([full, np.arange(1, n_rows + 1)]))
    check_blocks(full)
    return full


def block_variance_groups(blocks: npt.ArrayLike) -> Integers:
    """Variance groups that follow from exchangeability: what changes places varies alike.

    These are the groups of PALM's ``-vg auto``; without that option PALM assumes one variance,
    with blocks or not.

    Parameters
    ----------
    blocks : array_like of int, shape (n_rows, n_levels)
        From `block_tree`.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        Number of the group of each observation, from 1.
    """
    full = _whole_numbers(blocks)
    check_blocks(full)
    # Two observations are alike if their places differ only where places can be changed.
    fixed = np.where(full[:, :-1] < 0, full[:, 1:], 0)
    return np.unique(fixed, axis=0, return_inverse=True)[1].reshape(-1) + 1


def check_blocks(blocks: Integers) -> None:
    """Check that blocks which are to change places are alike.

    Parameters
    ----------
    blocks : ndarray of int, shape (n_rows, n_levels)
        As `block_tree` makes them.

    Raises
    ------
    InputError
        They are not, or the first column is not one number, or two observations are not told
        apart.
    """
    if blocks.shape[1] < 2:
        raise InputError(
            'The exchangeability blocks have one column: at least two are needed, the last of '
            'which numbers the observations.'
        )
    if len(np.unique(blocks[:, 0])) > 1:
        raise InputError(
            'The first column of the exchangeability blocks has different numbers. With more '
            'than one column it stands for the whole sample and must be 1 in every row (the '
            'blocks of the second column change places) or -1 (they stay in place): put such a '
            'column before the others.'
        )
    _, first = np.unique(blocks, axis=0, return_index=True)
    for row in np.setdiff1d(np.arange(len(blocks)), first)[:1].tolist():
        raise InputError(
            f'Observation {row + 1} has the same numbers as another one in all columns of the '
            'exchangeability blocks: number the observations of a block in the last column.'
        )
    _check_inside(blocks, np.arange(1, len(blocks) + 1), level=1)


def _check_column(column: Integers) -> None:
    """Check blocks of one level that are to change places as a whole."""
    numbers, sizes = np.unique(column, return_counts=True)
    other = int(np.argmax(sizes != sizes[0]))
    if other:
        raise InputError(
            f'Exchangeability block {numbers[0]} has {_observations(sizes[0])} and block '
            f'{numbers[other]} has {sizes[other]}: blocks that change places as a whole (-whole) '
            'must be of one size. Use -within without -whole to exchange the observations '
            'inside each block; or let only blocks of the same size change places, with four '
            'columns in the file: -1 in every row; the size of the block; the number of the '
            'block, negative if its observations must not change places with each other; the '
            'number of the observation in its block.'
        )
    if numbers[0] < 0 < numbers[-1]:
        raise InputError(
            f'Exchangeability block {numbers[0]} has a negative number and block {numbers[-1]} '
            'a positive one: blocks that change places as a whole (-whole) must be numbered '
            'alike, 1, 2, 3, ... without signs.'
        )


def _check_inside(blocks: Integers, rows: Integers, level: int) -> None:
    """Check the blocks of one block, all of which have one number in their first column.

    ``rows`` has the number of each observation in the whole sample, for messages.
    """
    places = [blocks[:, 1] == number for number in np.unique(blocks[:, 1])]
    insides = [(blocks[inside, 1:], rows[inside]) for inside in places]
    if blocks[0, 0] > 0:
        for other in insides[1:]:
            _check_alike(insides[0], other, level + 1)
    if blocks.shape[1] > 2:
        for inside in insides:
            _check_inside(*inside, level + 1)


def _check_alike(
    one: tuple[Integers, Integers], two: tuple[Integers, Integers], level: int
) -> None:
    """Check that blocks have one size, one sign and the same division."""
    (first, its_rows), (other, other_rows) = one, two
    where = (
        f'Column {level} of the exchangeability blocks: the block of observation {its_rows[0]} '
        f'and that of observation {other_rows[0]} are to change places as a whole, but '
    )
    if len(other) != len(first):
        raise InputError(
            f'{where}the first has {_observations(len(first))} and the second {len(other)}. '
            'Only blocks of one size can change places: put a new column with the size of the '
            f'block before this one, and make the numbers in column {level - 1} negative.'
        )
    if (other[0, 0] > 0) != (first[0, 0] > 0):
        raise InputError(
            f'{where}one has a positive number and the other a negative one. Give the blocks '
            'that change places with each other numbers of the same sign.'
        )
    if not np.array_equal(_sorted(other[:, 1:]), _sorted(first[:, 1:])):
        raise InputError(
            f'{where}they are not divided alike in the columns after it. Number their parts '
            'alike: as many parts, of the same sizes in the order of their numbers, and with '
            'the same signs.'
        )


def _observations(number: int) -> str:
    return f'{number} observation' if number == 1 else f'{number} observations'


def _sorted(blocks: Integers) -> Integers:
    """Rows in lexicographic order."""
    if blocks.shape[1] == 0:
        return blocks
    return blocks[np.lexsort(blocks.T[::-1])]


def _whole_numbers(blocks: npt.ArrayLike) -> Integers:
    """Blocks as integers, shape (n_rows, n_levels)."""
    values = np.asarray(blocks, dtype=np.float64)
    if values.ndim not in (1, 2) or values.size == 0:
        raise InputError('Exchangeability blocks must be a table with one row per observation.')
    values = values.reshape(len(values), -1)
    if values.shape[1] > _MOST_LEVELS:
        raise InputError(
            f'The exchangeability blocks have {values.shape[1]} columns, more than '
            f'{_MOST_LEVELS}: the file must have one row per observation and one column per '
            'level.'
        )
    for row, column in np.argwhere(~np.isfinite(values))[:1]:
        raise InputError(
            f'The exchangeability block of observation {row + 1} (column {column + 1}) is '
            'missing or not a number: give the number of its block.'
        )
    for row, column in np.argwhere((values != np.round(values)) | (values == 0))[:1]:
        raise InputError(
            f'The exchangeability block of observation {row + 1} (column {column + 1}) is '
            f'{values[row, column]:g}: number the blocks with whole numbers other than 0.'
        )
    if np.abs(values).max() > 1 << 53:
        raise InputError(
            f'An exchangeability block has the number {np.abs(values).max():g}, which is too '
            'large: number the blocks 1, 2, 3, ...'
        )
    return values.astype(np.int64)


def _renumbered(blocks: Integers) -> tuple[Integers, bool, bool]:
    """Blocks numbered 1, 2, ... inside each block, with their signs.

    Returns
    -------
    numbers : ndarray of int, shape (n_rows, n_levels)
        Parts of the last level with several observations become negative: these do not change
        places.
    several : bool
        Whether there are such parts ...
    at_end : bool
        ... that have the highest number in their block.
    """
    numbers = np.zeros_like(blocks)
    different = np.unique(blocks[:, 0])
    several = at_end = False
    for place, number in enumerate(different.tolist(), start=1):
        inside = blocks[:, 0] == number
        numbers[inside, 0] = place if number > 0 else -place
        if blocks.shape[1] > 1:
            numbers[inside, 1:], *deeper = _renumbered(blocks[inside, 1:])
            several, at_end = several or deeper[0], at_end or deeper[1]
        elif inside.sum() > 1:
            numbers[inside, 0] = -abs(number)
            several, at_end = True, at_end or place == len(different)
    if len(np.unique(numbers[:, 0])) < len(different):
        raise InputError(
            'The last column of the exchangeability blocks has positive and negative numbers, '
            'and blocks of several observations. These stay in their order whatever the sign: '
            'give the blocks of the last column different positive numbers.'
        )
    return numbers, several, at_end
