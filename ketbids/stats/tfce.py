"""Threshold-free cluster enhancement, exact or in steps, over the component tree.

The enhanced value of a grayordinate p with statistic D(p) > 0 is

    TFCE(p) = integral from 0 to D(p) of e_p(h)^E h^H dh

where e_p(h) is the extent of the connected part of {D >= h} that contains p (Smith & Nichols
2009, NeuroImage 44:83-98). e_p is a step function: it changes only where the part that contains p
takes in another grayordinate. Between two such heights a < b the integral grows by e_p^E times
L(b) - L(a), L(h) = h^(H+1) / (H+1): a finite sum that needs no step size.

PALM's sum over thresholds h_k, dh * sum of e_p(h_k)^E h_k^H over the h_k <= D(p), is the same sum
with another L: L(h) = dh * sum of h_k^H over the h_k <= h.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.errors import InputError
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX
from ketbids.stats.componenttree import DIGIT, build_tree, in_decreasing_order, tree_memory
from ketbids.stats.graph import Graph
from ketbids.stats.treesums import MOST_STEPS, accumulate, exact_levels, step_levels

__all__ = ['DEFAULT_EXPONENTS', 'Directions', 'Enhancer', 'Exponents', 'tfce']

Directions = Literal['signed', 'positive']

# Rows of the graph that are made equally long.
_BLOCK = 64


class Exponents(NamedTuple):
    """Exponents of TFCE: ``height`` (H) of the threshold, ``extent`` (E) of the cluster."""

    height: float
    extent: float


#: Smith & Nichols 2009 for volumes; PALM's ``-tfce2D`` for surfaces.
DEFAULT_EXPONENTS: Mapping[int, Exponents] = MappingProxyType(
    {CORTEX: Exponents(2.0, 1.0), SUBCORTEX: Exponents(2.0, 0.5)}
)


class _Kinds(NamedTuple):
    """Grayordinates that share partition and group are of one kind.

    The arrays but the first have an element for the positive values of each kind, then one for
    the negative values of each.
    """

    of: npt.NDArray[np.uint32]  # (n_grayordinates,)
    direction: npt.NDArray[np.int64]  # the rest (2 * n_kinds,)
    partition: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    height: npt.NDArray[np.float64]
    extent: npt.NDArray[np.float64]


class Enhancer:
    """TFCE of many maps over the same grayordinates, with memory that is reused.

    One instance serves one thread at a time; `twin` makes one for another thread.

    Parameters
    ----------
    graph : Graph
        Neighbours.
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex, 1 for a voxel.
    partition : ndarray of int, shape (n_grayordinates,)
        Code of the partition of each grayordinate; neighbours share it.
    exponents : mapping of int to Exponents
        H and E of each partition code.
    steps : int, optional
        Sum over so many thresholds, evenly spaced up to the maximum, as PALM does with 100; the
        exact integral by default.
    step_height : float, optional
        Sum over thresholds of this distance instead (PALM's ``-tfce_dh``).
    groups : ndarray of int, shape (n_grayordinates,), optional
        Which grayordinates share the maximum that ``steps`` divides; neighbours share it. Each
        partition by default.

    Attributes
    ----------
    n_partitions : int
        One more than the highest partition code of ``exponents``.

    Raises
    ------
    InputError
        The arguments have different lengths, an extent is not finite or negative, a partition
        has no exponents, an exponent or the steps are out of range, or both kinds of steps are
        given.
    """

    def __init__(
        self,
        graph: Graph,
        extent: npt.NDArray[np.float64],
        partition: npt.NDArray[np.integer],
        exponents: Mapping[int, Exponents] = DEFAULT_EXPONENTS,
        *,
        steps: int | None = None,
        step_height: float | None = None,
        groups: npt.NDArray[np.integer] | None = None,
    ) -> None:
        n = len(graph.indptr) - 1
        groups = partition if groups is None else groups
        if not n == len(extent) == len(partition) == len(groups):
            raise InputError(
                f'TFCE: the graph has {n} grayordinates, the extents {len(extent)}, '
                f'the partitions {len(partition)}, the groups {len(groups)}; they must describe '
                'the same map.'
            )
        if not np.all(np.isfinite(extent) & (np.asarray(extent) >= 0)):
            raise InputError('TFCE: the extents (mm^2 or voxels) must be finite and >= 0.')
        _check_rule(exponents, steps, step_height)
        self.n_partitions = max(exponents) + 1
        self._kinds = _find_kinds(np.asarray(partition), np.asarray(groups), exponents)
        self._steps = (0 if steps is None else steps, 0.0 if step_height is None else step_height)
        self._indptr, self._indices = _even_rows(graph)
        self._extent = np.ascontiguousarray(extent, dtype=np.float64)
        self._allocate()

    def _allocate(self) -> None:
        n = len(self._extent)
        self._values = np.empty(n)
        # The last element stands for what is below the tree.
        self._tree = (
            np.empty(n + 1, dtype=np.uint32),
            np.empty(n + 1),
            np.empty(n + 1, dtype=np.uint32),
        )
        self._level = np.empty(n + 1)
        self._height = np.empty(n + 1)
        self._order, self._basins, key = np.empty((3, n), dtype=np.uint32)
        self._sorting = (key, np.empty(n, dtype=np.uint64), np.empty((2, DIGIT), dtype=np.uint32))
        self._memory = tree_memory(self._extent, len(self._indices))

    def twin(self) -> 'Enhancer':
        """Another one with memory of its own, for another thread."""
        other = object.__new__(Enhancer)
        other.__dict__.update(self.__dict__)
        other._allocate()
        return other

    def enhance(
        self,
        statistic: npt.NDArray[np.float64],
        out: npt.NDArray[np.float64],
        directions: Directions,
    ) -> npt.NDArray[np.float64]:
        """TFCE of a map.

        Parameters
        ----------
        statistic : ndarray of float64, shape (n_grayordinates,)
            Map, finite or NaN; NaN takes no part and joins nothing.
        out : ndarray of float64, shape (n_grayordinates,)
            Filled with the enhanced map, >= 0; 0 where ``statistic`` is 0 or NaN.
        directions : {'signed', 'positive'}
            Positive and negative values, each enhanced for themselves in the direction of their
            sign; or positive values only, so that ``out`` is 0 at the others.

        Returns
        -------
        ndarray, shape (2, n_partitions) or (1, n_partitions)
            The largest enhanced value of each partition, positive and, if signed, negative (0 if
            there is none).
        """
        return _enhance(
            statistic,
            directions == 'signed',
            self._indptr,
            self._indices,
            self._kinds,
            self._steps,
            self.n_partitions,
            self._values,
            self._order,
            self._height,
            self._sorting,
            self._tree,
            self._basins,
            self._memory,
            self._level,
            out,
        )


def tfce(
    statistic: npt.ArrayLike,
    graph: Graph,
    extent: npt.NDArray[np.float64],
    partition: npt.NDArray[np.integer],
    exponents: Mapping[int, Exponents] = DEFAULT_EXPONENTS,
) -> npt.NDArray[np.float64]:
    """Exact TFCE of the positive part of a map; negate the map for the other direction.

    Parameters
    ----------
    statistic : array_like, shape (n_grayordinates,)
        Map (z units in group analyses). NaN takes no part, joins nothing and stays NaN.
    graph : Graph
        Neighbours.
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex, 1 for a voxel.
    partition : ndarray of int, shape (n_grayordinates,)
        Which exponents are used; connected grayordinates must share their partition.
    exponents : mapping of int to Exponents
        H and E of each partition; default: cortex 2 and 1, subcortex 2 and 0.5.

    Returns
    -------
    ndarray, shape (n_grayordinates,)
        Enhanced values >= 0, NaN where ``statistic`` is.

    Raises
    ------
    InputError
        Lengths differ, or a value is infinite.

    References
    ----------
    Smith & Nichols 2009, NeuroImage 44:83-98.
    """
    values = np.ascontiguousarray(statistic, dtype=np.float64)
    enhancer = Enhancer(graph, extent, partition, exponents)
    if values.shape != (len(graph.indptr) - 1,):
        raise InputError(
            f'TFCE: the map has shape {values.shape}, the graph {len(graph.indptr) - 1} '
            'grayordinates; they must describe the same map.'
        )
    if np.isinf(values).any():
        raise InputError('TFCE: the map has infinite values; mask them with NaN.')
    out = np.empty_like(values)
    enhancer.enhance(values, out, 'positive')
    out[np.isnan(values)] = np.nan
    return out


def _even_rows(graph: Graph) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Rows as long as the longest nearby, filled with themselves: loops that end as foreseen.

    A location is no higher than itself and in its own basin, so that it adds nothing.
    """
    degree = np.diff(graph.indptr)
    n = len(degree)
    starts = np.arange(0, n, _BLOCK)
    longest = np.maximum.reduceat(degree, starts) if n else degree
    width = np.repeat(longest, _BLOCK)[:n]
    if width.sum() > 1.5 * len(graph.indices):
        width = degree
    indptr = np.concatenate([[0], np.cumsum(width)])
    indices = np.repeat(np.arange(n), width)
    indices[np.arange(len(graph.indices)) + np.repeat(indptr[:-1] - graph.indptr[:-1], degree)] = (
        graph.indices
    )
    return indptr.astype(np.uint32), indices.astype(np.uint32)


def _check_rule(
    exponents: Mapping[int, Exponents], steps: int | None, step_height: float | None
) -> None:
    for pair in exponents.values():
        # h^H must be integrable from 0.
        if not (-1 < pair[0] < np.inf and abs(pair[1]) < np.inf):
            raise InputError(f'TFCE: H = {pair[0]}, E = {pair[1]} are not usable as exponents.')
    if steps is not None and step_height is not None:
        raise InputError('TFCE: give the number of steps or their height, not both.')
    if steps is not None and not 1 <= steps <= MOST_STEPS:
        raise InputError(f'TFCE: the number of steps is from 1 to {MOST_STEPS}, not {steps}.')
    if step_height is not None and not 0 < step_height < np.inf:
        raise InputError(f'TFCE: the step height must be above 0, not {step_height}.')


def _find_kinds(
    partition: npt.NDArray[np.integer],
    groups: npt.NDArray[np.integer],
    exponents: Mapping[int, Exponents],
) -> _Kinds:
    codes, code = np.unique(partition, return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    missing = sorted(set(codes.tolist()) - set(exponents))
    if missing:
        raise InputError(f'TFCE: no exponents H and E for partition {missing[0]}.')
    pairs, of = np.unique(code * len(names) + group, return_inverse=True)
    code, group = np.divmod(pairs, max(1, len(names)))
    powers = np.array([exponents[c] for c in codes[code].tolist()], dtype=np.float64)
    powers = powers.reshape(-1, 2)
    return _Kinds(
        of.astype(np.uint32),
        np.repeat([0, 1], len(pairs)),
        np.tile(codes[code].astype(np.int64), 2),
        np.tile(group.astype(np.int64), 2),
        np.tile(powers[:, 0], 2),
        np.tile(powers[:, 1], 2),
    )


@njit(nogil=True, cache=True, error_model='numpy')
def _enhance(
    statistic,
    signed,
    indptr,
    indices,
    kinds,
    steps,
    n_partitions,
    values,
    order,
    height,
    sorting,
    tree,
    basins,
    memory,
    level,
    out,
):
    """Build the trees of a map, sum over them, and give the maxima."""
    for i in range(len(statistic)):
        # Selections and no branches: signs cannot be foreseen. NaN is not above 0.
        here = statistic[i]
        magnitude = abs(here) if signed else here
        values[i] = here if magnitude > 0 else 0.0
    n = in_decreasing_order(values, order, height, *sorting)
    highest = np.zeros((2 if signed else 1, n_partitions))
    if n < len(out):
        out[:] = 0.0
    if n == 0:
        return highest
    n_basins = build_tree(values, order, n, indptr, indices, tree, basins, memory)
    kind_of = np.empty(n_basins, dtype=np.uint32)
    kind, direction, partition = kinds.of, kinds.direction, kinds.partition
    n_kinds = len(partition) // 2
    for b in range(n_basins):
        peak = order[basins[b]]
        kind_of[b] = kind[peak] + (n_kinds if values[peak] < 0 else 0)
    below, area, part = tree
    if steps[0] == 0 and steps[1] == 0.0:
        exact_levels(height, n, part, kind_of, kinds.height, level)
    else:
        step_levels(height, n, part, kind_of, basins[:n_basins], kinds, steps, level)
    # The heights are not needed any more.
    accumulate(order, n, below, area, level, part, kind_of, kinds.extent, height, out)
    best = np.zeros(len(partition))
    for b in range(n_basins):
        best[kind_of[b]] = max(best[kind_of[b]], height[basins[b]])
    for c in range(len(best)):
        if best[c] > 0:
            place = direction[c], partition[c]
            highest[place] = max(highest[place], best[c])
    return highest
