"""Sets of shuffles as PALM makes them: free or with blocks, all in its order, or random."""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.stats.exchangeability import check_blocks
from ketbids.stats.shuffletree import (
    Branch,
    Orders,
    Places,
    branch,
    by_appearance,
    exchanged,
    places_of,
)
from ketbids.stats.shuffling import RANKS, SHUFFLES, Shuffles, label_codes, random_words

__all__ = ['MOST_SHUFFLES', 'GivenShuffles', 'PalmShuffles', 'given_shuffles', 'palm_shuffles']

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: More shuffles than this are not run, where so many exist.
MOST_SHUFFLES = 10_000_000


def palm_shuffles(
    labels: npt.ArrayLike,
    *,
    blocks: npt.ArrayLike | None = None,
    permute: bool = True,
    flip: bool = False,
    n: int = 10000,
    seed: int = 0,
    stream: int = 0,
) -> Shuffles:
    """Choose the shuffles of a contrast as PALM does.

    All possible ones come in PALM's order: permutations by the lexicographic order of the sorted
    labels, where the rows travel with their labels (Knuth's algorithm L), the first block and the
    innermost level the fastest; flips by the bits of their number, the first row by label (or the
    first block) the lowest; of both, flips the faster. Others are drawn: without repeats if no
    more than twice as many are possible, each for itself otherwise. A drawn permutation is any
    that the blocks admit, each as likely: not only those that PALM lists, which hold one of each
    arrangement of the labels. Shuffle j depends on the seed, the stream and j only.

    Parameters
    ----------
    labels : array_like, shape (n_rows,) or (n_rows, n_columns)
        Tested columns of the design (those with a weight in the contrast): rows that are equal
        are not told apart. Blocks are not told apart if they hold the same labels, in whatever
        order.
    blocks : array_like of int, shape (n_rows, n_levels), optional
        From `ketbids.stats.exchangeability.block_tree`; without it all rows are exchangeable.
    permute, flip : bool
        Permutations (PALM's ``-ee``), sign flips (``-ise``) or both. Blocks that change places
        as a whole flip as a whole.
    n : int
        Wanted number of shuffles, the identity included; 0, or more than are possible, for all.
    seed : int
        From 0 to 2^128 - 1.
    stream : int
        From 0 to 2^64 - 1; different ones give independent draws of one seed.

    Returns
    -------
    Shuffles

    Raises
    ------
    InputError
        Only the identity is possible, there are too many, or an argument is out of its range.
    """
    if not permute and not flip:
        raise InputError('Neither permutations nor sign flips are asked for.')
    if n < 0:
        raise InputError(f'The number of shuffles must be positive, or 0 for all, not {n}.')
    if not (0 <= seed < 1 << 128 and 0 <= stream < 1 << 64):
        raise InputError(f'The seed must be a number from 0 to 2^128 - 1, not {seed}.')
    values = np.asarray(labels, dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError('The tested columns of the design are empty or hold NaN or Inf.')
    numbers = _checked(blocks, len(values))
    places = places_of(numbers)
    tree = branch(numbers, label_codes(values), np.arange(len(values)), places.keys)
    n_flips = 1 << int(places.units.max() + 1) if flip else 1
    possible = (tree.n if permute else 1) * n_flips
    if possible == 1:
        raise InputError(_why_only_one(numbers, blocks is None, permute))
    if n == 0 and possible > MOST_SHUFFLES:
        raise InputError(
            f'{_about(possible)} shuffles are possible, too many to run them all: give their '
            'number (-n 10000, for example).'
        )
    if min(n, possible) > MOST_SHUFFLES:
        raise InputError(
            f'{_about(n)} shuffles are asked for, but at most {MOST_SHUFFLES:,} are run: give '
            'a smaller number (-n 10000, for example).'
        )
    exhaustive = n == 0 or possible <= n
    n = possible if exhaustive else n
    ranks = None
    if not exhaustive and possible <= 2 * n:
        random = random_words(seed, 0, RANKS, possible - 1, stream)
        ranks = np.concatenate([[0], 1 + np.argsort(random, kind='stable')[: n - 1]])
    orders = {}
    if permute and (exhaustive or ranks is not None):
        orders = {part.codes.tobytes(): part.codes for part in exchanged(tree)}
    return PalmShuffles(
        n, len(values), possible, exhaustive, seed, stream, blocks is None,
        permute, n_flips, places, by_appearance(places.units, tree.rows), tree,
        {key: Orders(codes) for key, codes in orders.items()}, ranks,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class PalmShuffles:
    """Shuffles of the rows of a design, free or with blocks; from `palm_shuffles`.

    Attributes
    ----------
    n, n_rows, n_possible, exhaustive
        As of `Shuffles`.
    seed, stream : int
        Of the draws; without effect on an exhaustive set.
    free : bool
        Whether there are no blocks.
    """

    n: int
    n_rows: int
    n_possible: int
    exhaustive: bool
    seed: int
    stream: int
    free: bool
    _permute: bool
    _n_flips: int
    _places: Places = field(repr=False)
    _bits: Integers = field(repr=False)
    _tree: Branch = field(repr=False)
    _orders: dict[bytes, Orders] = field(repr=False)
    _ranks: Integers | None = field(repr=False)

    def shuffle(self, number: int) -> tuple[Integers, Floats]:
        """Shuffle ``number`` as row numbers and signs.

        Parameters
        ----------
        number : int
            From 0 (the identity) to ``n - 1``.

        Returns
        -------
        rows : ndarray of int, shape (n_rows,)
            Row i of the shuffled design is row ``rows[i]`` of the design ...
        signs : ndarray of float, shape (n_rows,)
            ... times ``signs[i]``.
        """
        if not 0 <= number < self.n:
            raise IndexError(f'shuffle {number} of a set of {self.n}')
        rows = np.arange(self.n_rows)
        signs = np.ones(self.n_rows)
        if number == 0:
            return rows, signs
        if self.exhaustive:
            ordinal, flips = divmod(number, self._n_flips)
            if self._permute:
                rows[self._tree.rows] = self._arranged(self._tree, ordinal, None)
        elif self._ranks is not None:
            ordinal, flips = divmod(int(self._ranks[number]), self._n_flips)
            if self._permute:
                rows[self._tree.rows] = self._arranged(self._tree, ordinal, self._words(number))
        else:
            return self._drawn(number)
        if self._n_flips > 1:
            signs -= 2.0 * ((flips >> self._bits) & 1)
        # PALM flips the rows before it permutes blocks, but after it permutes free rows.
        return rows, signs if self.free else signs[rows]

    def _words(self, number: int) -> npt.NDArray[np.uint64]:
        """Random numbers: of each row, each block inside the whole, and each unit of flips."""
        size = self._places.n_keys if self._permute else 0
        size += self._n_flips.bit_length() - 1
        return random_words(self.seed, number, SHUFFLES, size, self.stream)

    def _drawn(self, number: int) -> tuple[Integers, Floats]:
        """Any shuffle that the blocks admit, each as likely."""
        places, random = self._places, self._words(number)
        rows = np.arange(self.n_rows)
        signs = np.ones(self.n_rows)
        if self._permute:
            keys = np.where(places.changes, random[places.keys], places.fixed)
            rows[places.order] = np.lexsort(keys[::-1])
            random = random[places.n_keys :]
        if self._n_flips > 1:
            signs -= 2.0 * (random[places.units] >> np.uint64(63)).astype(np.float64)
        return rows, signs

    def _arranged(
        self, block: Branch, ordinal: int, random: npt.NDArray[np.uint64] | None
    ) -> Integers:
        """Rows of a branch in the order of one arrangement.

        With random numbers, branches (or rows) that PALM does not tell apart are in any order.
        """
        if block.n == 1 and random is None:
            return block.rows
        own, below = divmod(ordinal, block.n // block.n_orders)
        order = np.arange(len(block.codes))
        if block.n_orders > 1:
            order = self._orders[block.codes.tobytes()].order(own)
        if block.changes and random is not None:
            by_kind = np.lexsort((random[block.keys], block.kinds))
            order[np.argsort(block.kinds[order], kind='stable')] = by_kind
        if not block.children:
            return block.rows[order]
        parts = []
        for place in order.tolist():
            child = block.children[place]
            below, inside = divmod(below, child.n)
            parts.append(self._arranged(child, inside, random))
        return np.concatenate(parts)


class GivenShuffles:
    """Shuffles from a table; from `given_shuffles`.

    Attributes
    ----------
    n, n_rows, n_possible, exhaustive
        As of `Shuffles`. How many are possible is not known: ``n_possible`` is ``n``, and the
        set is not called exhaustive.
    """

    def __init__(self, table: npt.NDArray[np.int32]) -> None:
        self.n, self.n_rows = table.shape
        self.n_possible, self.exhaustive = self.n, False
        self._table = table

    def shuffle(self, number: int) -> tuple[Integers, Floats]:
        """Shuffle ``number``, as `PalmShuffles.shuffle`."""
        if not 0 <= number < self.n:
            raise IndexError(f'shuffle {number} of a set of {self.n}')
        signed = self._table[number].astype(np.int64)
        return np.abs(signed) - 1, np.sign(signed).astype(np.float64)


def given_shuffles(
    table: npt.ArrayLike, n_rows: int | None = None, n: int | None = None
) -> GivenShuffles:
    """Take shuffles from a table, as PALM writes it with ``-saveperms``.

    Parameters
    ----------
    table : array_like, shape (n_shuffles, n_rows)
        Row numbers of the design from 1, negative where the sign is flipped.
    n_rows : int, optional
        Rows of the design.
    n : int, optional
        Use the first so many shuffles; all if not given or 0.

    Returns
    -------
    GivenShuffles

    Raises
    ------
    InputError
        The table has another number of columns, too few rows, something that is not a shuffle,
        or its first row is not the identity.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise InputError('The table of shuffles must have one row per shuffle.')
    if n_rows is not None and values.shape[1] != n_rows:
        raise InputError(
            f'The table of shuffles has {values.shape[1]} columns, but the design has {n_rows} '
            'rows. One column per observation is needed.'
        )
    if n is not None and n < 0:
        raise InputError(f'The number of shuffles must not be negative: {n}.')
    if n is not None and n > len(values):
        raise InputError(
            f'{n:,} shuffles are asked for, but the table has {len(values):,}. Ask for so many '
            'at most, or give a longer table.'
        )
    values = values[: n or None]
    identity = np.arange(1, values.shape[1] + 1)
    # NaN sorts last and equals nothing.
    for row in np.flatnonzero((np.sort(np.abs(values), axis=1) != identity).any(axis=1))[:1]:
        raise InputError(
            f'Row {row + 1} of the table of shuffles is no shuffle: it must hold each number '
            f'from 1 to {values.shape[1]} once, with a minus sign where the observation is '
            'flipped.'
        )
    if (values[0] != identity).any():
        raise InputError(
            'The first row of the table of shuffles must be 1, 2, 3, ..., which leaves every '
            'observation in its place: the data as they are count as the first shuffle.'
        )
    return GivenShuffles(values.astype(np.int32))


def _checked(blocks: npt.ArrayLike | None, n_rows: int) -> Integers:
    """Blocks of each row; one for all rows if there are none."""
    if blocks is None:
        return np.stack([np.ones(n_rows, dtype=np.int64), np.arange(1, n_rows + 1)], axis=1)
    numbers = np.asarray(blocks)
    if numbers.ndim != 2 or not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(
            'Exchangeability blocks must be whole numbers with one row per observation.'
        )
    if len(numbers) != n_rows:
        raise InputError(
            f'The exchangeability blocks have {len(numbers)} observations, but the design has '
            f'{n_rows}: one row per observation is needed.'
        )
    check_blocks(numbers)
    return numbers.astype(np.int64)


def _about(number: int) -> str:
    """A number, or its power of ten where that would be long."""
    return f'{number:,}' if number < 10**15 else f'About 10^{math.log10(number):.0f}'


def _why_only_one(blocks: Integers, free: bool, permute: bool) -> str:
    """Say why a set has the identity only, and what to do."""
    if free:
        return (
            'Only one permutation is possible: the tested columns of the design are equal in all '
            'rows, so that exchanging rows changes nothing and every p would be 1. Use sign '
            'flips (-ise) for a one-sample test.'
        )
    inside = bool((blocks[:, -2] > 0).any())
    outside = bool((blocks[:, :-2] > 0).any())
    if not permute:
        advice = (
            'all observations are one block that stays as it is (-1), so that none may flip. '
            'Write 1 in the first column, or leave the blocks out.'
        )
    elif inside and not outside:
        advice = (
            'all observations of a block have the same values of the tested columns of the '
            'design, so that exchanging them inside the block changes nothing. To test an '
            'effect between blocks, exchange the blocks as a whole (-whole, for blocks of one '
            'column), or use sign flips (-ise).'
        )
    elif outside and not inside:
        advice = (
            'the blocks that may change places hold the same values of the tested columns of '
            'the design (in whatever order), so that exchanging them counts as no change. To '
            'test an effect inside blocks, exchange the observations in them (-within, for '
            'blocks of one column), or use sign flips (-ise).'
        )
    elif outside:
        advice = (
            'all observations and blocks that may change places have the same values of the '
            'tested columns of the design. Use sign flips (-ise) to test a mean, or other '
            'blocks.'
        )
    else:
        advice = (
            'all numbers of the blocks are negative, which lets nothing change places. Give '
            'positive numbers to the blocks in which observations may change places, or use '
            'sign flips (-ise).'
        )
    return (
        f'Only one shuffle is possible with these exchangeability blocks, and every p would be '
        f'1: {advice}'
    )
