"""The tree of exchangeability blocks: where rows can go, and all arrangements in PALM's order."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.stats.shuffling import n_arrangements

__all__ = ['Branch', 'Orders', 'Places', 'branch', 'by_appearance', 'exchanged', 'places_of']

Integers = npt.NDArray[np.int64]

#: Numbers that are kept of the orders of one block: about 4 MB.
_KEPT = 1 << 20


class Places(NamedTuple):
    """Where rows can go, whatever their labels.

    Attributes
    ----------
    order : ndarray of int, shape (n_rows,)
        Rows in the order of their blocks.
    keys : ndarray of int, shape (n_levels - 1, n_rows)
        Which random number orders the block that holds the row, at each level but the first; at
        the last level, the row. Numbers below ``n_rows`` are rows.
    changes : ndarray of bool, shape (n_levels - 1, n_rows)
        Whether that block changes places with others ...
    fixed : ndarray of uint64, shape (n_levels - 1, n_rows)
        ... and its place, where it does not.
    units : ndarray of int, shape (n_rows,)
        Rows with one number flip together; numbered in the order of their blocks; -1 for none.
    n_keys : int
        Random numbers that are needed.
    """

    order: Integers
    keys: Integers
    changes: npt.NDArray[np.bool_]
    fixed: npt.NDArray[np.uint64]
    units: Integers
    n_keys: int


def places_of(blocks: Integers) -> Places:
    """Find where rows can go.

    Parameters
    ----------
    blocks : ndarray of int, shape (n_rows, n_levels)
        From `ketbids.stats.exchangeability.block_tree`.

    Returns
    -------
    Places
    """
    n_rows, n_levels = blocks.shape
    order = np.lexsort(blocks.T[::-1])
    keys = np.empty((n_levels - 1, n_rows), dtype=np.int64)
    fixed = np.empty((n_levels - 1, n_rows), dtype=np.uint64)
    n_keys = n_rows
    for level in range(n_levels - 1):
        _, block = np.unique(blocks[:, : level + 2], axis=0, return_inverse=True)
        keys[level] = n_keys + block.reshape(-1)
        fixed[level] = block.reshape(-1)
        n_keys += int(block.max()) + 1
    keys[-1] = np.arange(n_rows)
    n_keys -= n_rows  # the last level
    changes = blocks[:, :-1].T > 0
    # The outermost blocks that change places flip as a whole; where none do, single rows flip.
    # PALM flips nothing where the whole sample is one fixed block without any division.
    units = np.full(n_rows, -1)
    if n_levels > 2 or changes.any():
        level = np.where(changes.any(axis=0), changes.argmax(axis=0), n_levels - 2)
        units = by_appearance(keys[level, np.arange(n_rows)], order)
    return Places(order, keys, changes, fixed, units, n_keys)


def by_appearance(units: Integers, order: Integers) -> Integers:
    """Number units in the order in which their first row comes.

    Parameters
    ----------
    units : ndarray of int, shape (n_rows,)
    order : ndarray of int, shape (n_rows,)
        Rows, one after another.

    Returns
    -------
    ndarray of int, shape (n_rows,)
        From 0.
    """
    _, first, inverse = np.unique(units[order], return_index=True, return_inverse=True)
    numbers = np.empty_like(units)
    numbers[order] = np.argsort(np.argsort(first))[inverse.reshape(-1)]
    return numbers


class Branch(NamedTuple):
    """A block and its parts, which are sorted by label where they change places.

    Attributes
    ----------
    rows : ndarray of int, shape (n_rows,)
        In the order of the parts.
    children : tuple of Branch
        Its parts; empty if these are single rows.
    codes : ndarray of int, shape (n_parts,)
        Number of each part among the different ones, as PALM tells them apart: by the labels it
        holds, in whatever order.
    kinds : ndarray of int, shape (n_parts,)
        The same with the order of the labels told apart, where it can not be changed.
    keys : ndarray of int, shape (n_parts,)
        Random number that orders each part, as in `Places`.
    changes : bool
        Whether the parts change places.
    n_orders, n : int
        Number of different orders of the parts; and of these with those inside the parts.
    signature : tuple
        Equal for branches that are alike.
    """

    rows: Integers
    children: tuple['Branch', ...]
    codes: Integers
    kinds: Integers
    keys: Integers
    changes: bool
    n_orders: int
    n: int
    signature: tuple[Any, ...]


def branch(blocks: Integers, labels: Integers, rows: Integers, keys: Integers) -> Branch:
    """Make the branch of some rows, with all below it.

    Parameters
    ----------
    blocks : ndarray of int, shape (n_rows, n_levels)
        From the level of the branch on.
    labels, rows : ndarray of int, shape (n_rows,)
    keys : ndarray of int, shape (n_levels - 1, n_rows)

    Returns
    -------
    Branch
    """
    changes = bool(blocks[0, 0] > 0)
    parts = []
    for number in np.unique(blocks[:, 1]):
        inside = blocks[:, 1] == number
        child = None
        if blocks.shape[1] > 2:
            child = branch(blocks[inside, 1:], labels[inside], rows[inside], keys[1:, inside])
        parts.append((np.sort(labels[inside]).tolist(), child, rows[inside], keys[0, inside][0]))
    if changes:
        parts.sort(key=lambda part: part[0])
    children = tuple(part[1] for part in parts if part[1] is not None)
    signatures = [child.signature for child in children] or [tuple(part[0]) for part in parts]
    codes = _numbered([tuple(part[0]) for part in parts])
    n_orders = n_arrangements(np.bincount(codes).tolist()) if changes else 1
    return Branch(
        rows=np.concatenate([child.rows for child in children] or [part[2] for part in parts]),
        children=children,
        codes=codes,
        kinds=_numbered(signatures),
        keys=np.array([part[3] for part in parts]),
        changes=changes,
        n_orders=n_orders,
        n=n_orders * math.prod(child.n for child in children),
        signature=(changes, *(sorted(signatures) if changes else signatures)),
    )


def exchanged(tree: Branch) -> Iterator[Branch]:
    """Branches whose parts have more than one order."""
    if tree.n_orders > 1:
        yield tree
    for child in tree.children:
        yield from exchanged(child)


def _numbered(values: list[tuple[Any, ...]]) -> Integers:
    """Number of each value among the sorted different ones."""
    places = {value: place for place, value in enumerate(sorted(set(values)))}
    return np.array([places[value] for value in values], dtype=np.int64)


class Orders:
    """All different orders of things with codes, lexicographic by code.

    Things with one code keep no fixed order: they travel as Knuth's algorithm L moves them, as
    in PALM. Some orders are kept, those between are stepped to.

    Parameters
    ----------
    codes : ndarray of int, shape (n_things,)
        Ascending.
    """

    def __init__(self, codes: Integers) -> None:
        self._codes = codes
        n = n_arrangements(np.bincount(codes).tolist())
        self._stride = 1 + n * len(codes) // _KEPT
        self._kept = _every(codes, self._stride, -(-n // self._stride))

    def order(self, number: int) -> Integers:
        """Which thing is at each place; shape (n_things,)."""
        kept, steps = divmod(number, self._stride)
        order = self._kept[kept].astype(np.int64)
        _advance(self._codes, order, steps)
        return order


@njit(nogil=True, cache=True)
def _advance(codes, order, steps):
    """Take steps of algorithm L (Knuth, The Art of Computer Programming 7.2.1.2), in place."""
    for _ in range(steps):
        left = len(order) - 2
        while codes[order[left]] >= codes[order[left + 1]]:
            left -= 1
        right = len(order) - 1
        while codes[order[left]] >= codes[order[right]]:
            right -= 1
        order[left], order[right] = order[right], order[left]
        left, right = left + 1, len(order) - 1
        while left < right:
            order[left], order[right] = order[right], order[left]
            left, right = left + 1, right - 1


@njit(nogil=True, cache=True)
def _every(codes, stride, n):
    """Every ``stride``-th order; shape (n, n_things)."""
    kept = np.empty((n, len(codes)), np.int32)
    order = np.arange(len(codes))
    kept[0] = order
    for number in range(1, n):
        _advance(codes, order, stride)
        kept[number] = order
    return kept
