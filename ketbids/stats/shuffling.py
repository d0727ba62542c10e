"""Sets of permutations or sign flips, each a function of the seed and its own number."""

import math
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['Kind', 'RestrictedShuffles', 'ShuffleSet', 'Shuffles', 'make_shuffles']
__all__ += ['RANKS', 'SHUFFLES', 'label_codes', 'n_arrangements', 'random_words']

Kind = Literal['flips', 'permutations']

#: Purposes of random numbers: the shuffle itself, or which of the possible ones are drawn.
SHUFFLES, RANKS = 0, 1


class Shuffles(Protocol):
    """Any set of shuffles of the rows of a design; number 0 is the identity.

    Safe to share between threads.
    """

    @property
    def n(self) -> int:
        """Number of shuffles, the identity included."""

    @property
    def n_rows(self) -> int:
        """Rows of the design."""

    @property
    def n_possible(self) -> int:
        """Number of different shuffles that exist."""

    @property
    def exhaustive(self) -> bool:
        """Whether the set holds each possible shuffle once."""

    def shuffle(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Shuffle ``number`` as row numbers and signs.

        Row i of the shuffled design is ``signs[i]`` times row ``rows[i]`` of the design.
        """


@dataclass(frozen=True, eq=False)
class ShuffleSet:
    """Shuffles of the rows of a design; number 0 is the identity.

    Attributes
    ----------
    kind : {'flips', 'permutations'}
        Sign flips of the rows, or permutations of their labels.
    n : int
        Number of shuffles, the identity included.
    n_rows : int
        Rows of the design.
    n_possible : int
        Number of different shuffles that exist.
    exhaustive : bool
        Whether the set holds each possible shuffle once.
    seed : int
        Seed of the draws; without effect on an exhaustive set.
    labels : ndarray of int, shape (n_rows,)
        Label of each row (all 0 for flips): rows with one label are exchangeable as they are.
    """

    kind: Kind
    n: int
    n_rows: int
    n_possible: int
    exhaustive: bool
    seed: int
    labels: npt.NDArray[np.int64] = field(repr=False)
    _table: npt.NDArray[np.int32] | None = field(repr=False)
    _ranks: npt.NDArray[np.int64] | None = field(repr=False)

    def shuffle(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
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
        if self.kind == 'flips':
            if self._ranks is not None:
                flipped = (self._ranks[number] >> rows) & 1
            else:
                flipped = random_words(self.seed, number, SHUFFLES, self.n_rows) >> np.uint64(63)
            return rows, 1.0 - 2.0 * flipped.astype(np.float64)
        if self._table is not None:
            return self._table[number].astype(np.int64), signs
        random = random_words(self.seed, number, SHUFFLES, self.n_rows)
        if self._ranks is None:
            return np.argsort(random, kind='stable'), signs
        return self._labelled(_unrank(int(self._ranks[number]), self.labels), random), signs

    def spread(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Shuffle ``number``, random where only the labels matter.

        A set of all arrangements of the labels holds one permutation of each, always the same.
        Where some rows are left out, that would favour some arrangements of the others; so this
        is any permutation that gives the labels of ``shuffle(number)``, each as likely. The
        identity stays as it is.

        Parameters
        ----------
        number : int

        Returns
        -------
        rows, signs : ndarray, shape (n_rows,)
            As those of `shuffle`.
        """
        rows, signs = self.shuffle(number)
        if self._table is None or number == 0:
            return rows, signs
        random = random_words(self.seed, number, SHUFFLES, self.n_rows)
        places = np.argsort(self.labels, kind='stable')
        return self._labelled(self.labels[rows][places], random), signs

    def _labelled(
        self, labels: npt.NDArray[np.int64], random: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.int64]:
        """Rows that bring ``labels`` to the rows sorted by label; random among equal labels."""
        places = np.argsort(self.labels, kind='stable')
        by_label = np.lexsort((random, self.labels))
        rows = np.empty(self.n_rows, dtype=np.int64)
        rows[places[np.argsort(labels, kind='stable')]] = by_label
        return rows


class RestrictedShuffles:
    """Shuffles of all rows, as they act on some of them.

    Flips are those of the rows; a permutation becomes its first return to them: row i gets row
    r(i) or, where that is not one of them, r(r(i)), and so on.

    Parameters
    ----------
    shuffles : ShuffleSet
    rows : ndarray of int, shape (n_rows,)
        Ascending.
    """

    def __init__(self, shuffles: ShuffleSet, rows: npt.NDArray[np.integer]) -> None:
        self.n, self.n_rows = shuffles.n, len(rows)
        self.n_possible, self.exhaustive = shuffles.n_possible, shuffles.exhaustive
        self._shuffles, self._rows = shuffles, rows
        self._place = np.full(shuffles.n_rows, -1)
        self._place[rows] = np.arange(len(rows))

    def shuffle(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Shuffle ``number`` of the rows, numbered from 0; as `ShuffleSet.shuffle`."""
        whole, signs = self._shuffles.spread(number)
        found = whole[self._rows]
        while (missing := self._place[found] < 0).any():
            found[missing] = whole[found[missing]]
        return self._place[found], signs[self._rows]


def make_shuffles(
    kind: Kind, labels: int | npt.ArrayLike, n_shuffles: int = 5000, seed: int = 0
) -> ShuffleSet:
    """Choose the shuffles of an analysis.

    If no more than ``n_shuffles`` are possible, all are taken, in PALM's order: flips by the bits
    of their number, the first row the lowest; permutations by the lexicographic order of the
    sorted labels. If no more than twice as many are possible, they are drawn without repeats. Of
    more, each is drawn for itself. Shuffle j depends on the seed and on j only, by a
    counter-based generator, and not on threads, chunks or machines.

    Parameters
    ----------
    kind : {'flips', 'permutations'}
        Sign flips, for errors that are independent and symmetric; permutations, for exchangeable
        errors.
    labels : int or array_like, shape (n_rows,) or (n_rows, n_columns)
        Rows of the tested columns of the design: equal rows are equal labels, and exchanging
        them changes nothing. For flips the number of rows is enough.
    n_shuffles : int
        Wanted number of shuffles, the identity included.
    seed : int
        Not negative.

    Returns
    -------
    ShuffleSet

    Raises
    ------
    InputError
        Only the identity is possible, or an argument is out of its range.
    """
    if kind not in ('flips', 'permutations'):
        raise InputError(f"Shuffles are of kind 'flips' or 'permutations', not {kind!r}.")
    if n_shuffles < 1:
        raise InputError(f'The number of shuffles must be at least 1, not {n_shuffles}.')
    if not 0 <= seed < 1 << 128:
        raise InputError(f'The seed must be a number from 0 to 2^128 - 1, not {seed}.')
    codes = _codes(kind, labels)
    n_rows = len(codes)
    possible = 1 << n_rows if kind == 'flips' else n_arrangements(np.bincount(codes).tolist())
    if possible == 1:
        raise InputError(
            'Only one permutation is possible: all rows of the tested columns are equal, so '
            'that exchanging them changes nothing. Use sign flips for a one-sample test.'
        )
    exhaustive = possible <= n_shuffles
    n = min(possible, n_shuffles)
    table = _enumerate(codes, n) if exhaustive and kind == 'permutations' else None
    ranks = None
    if exhaustive and kind == 'flips':
        ranks = np.arange(n)
    elif not exhaustive and possible <= 2 * n_shuffles:
        random = random_words(seed, 0, RANKS, possible - 1)
        drawn = 1 + np.argsort(random, kind='stable')[: n - 1]
        ranks = np.concatenate([[0], drawn])
    return ShuffleSet(kind, n, n_rows, possible, exhaustive, seed, codes, table, ranks)


def _codes(kind: Kind, labels: int | npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Label of each row; all 0 for flips."""
    if isinstance(labels, int | np.integer):
        if kind == 'permutations':
            raise InputError('Permutations need the label of each row, not only their number.')
        return np.zeros(int(labels), dtype=np.int64)
    if kind == 'flips':
        return np.zeros(len(np.asarray(labels)), dtype=np.int64)
    return label_codes(labels)


def label_codes(labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Number of each row among the sorted different rows.

    Parameters
    ----------
    labels : array_like, shape (n_rows,) or (n_rows, n_columns)
        Rows that differ by rounding only (a column that was centred) are the same label.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        From 0.
    """
    values = np.asarray(labels, dtype=np.float64)
    values = values.reshape(len(values), -1)
    scale = np.abs(values).max(axis=0)
    rounded = np.round(values / np.where(scale > 0, scale, 1), 10) + 0.0
    return np.unique(rounded, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def n_arrangements(counts: list[int]) -> int:
    """Number of different sequences of labels that occur as often as ``counts`` say."""
    below = reduce(lambda product, count: product * math.factorial(count), counts, 1)
    return math.factorial(sum(counts)) // below


def random_words(
    seed: int, number: int, purpose: int, size: int, stream: int = 0
) -> npt.NDArray[np.uint64]:
    """Raw 64-bit draws of one shuffle, by a counter-based generator (Philox).

    Raw, because NumPy promises the same numbers in later versions for bit generators only.

    Parameters
    ----------
    seed, number, purpose, stream : int
        The draws are a function of these.
    size : int
        How many.

    Returns
    -------
    ndarray of uint64, shape (size,)
    """
    counter = np.array([0, number, purpose, stream], dtype=np.uint64)
    return np.random.Philox(counter=counter, key=seed).random_raw(size)


def _enumerate(codes: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int32]:
    """All permutations of the labels in lexicographic order; shape (n, n_rows).

    Knuth's algorithm L over the sorted labels; the row numbers travel with the labels and are
    put back at the places where the rows stood, as PALM does.
    """
    places = np.argsort(codes, kind='stable')
    labels = codes[places].tolist()
    rows = places.tolist()
    table = np.empty((n, len(codes)), dtype=np.int32)
    table[0, places] = rows
    for number in range(1, n):
        left = len(labels) - 2
        while labels[left] >= labels[left + 1]:
            left -= 1
        right = len(labels) - 1
        while labels[left] >= labels[right]:
            right -= 1
        for sequence in (labels, rows):
            sequence[left], sequence[right] = sequence[right], sequence[left]
            sequence[left + 1 :] = sequence[:left:-1]
        table[number, places] = rows
    return table


def _unrank(rank: int, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The label sequence that has ``rank`` others before it in lexicographic order."""
    counts = np.bincount(codes).tolist()
    sequence = []
    for _ in range(len(codes)):
        for label, count in enumerate(counts):
            if count == 0:
                continue
            counts[label] -= 1
            starting_so = n_arrangements(counts)
            if rank < starting_so:
                sequence.append(label)
                break
            rank -= starting_so
            counts[label] += 1
    return np.array(sequence, dtype=np.int64)
