"""Sums over a component tree: levels of its nodes, exact or in steps, and values at them."""

import numpy as np
from numba import njit

from ketbids.errors import InputError

__all__ = ['MOST_STEPS', 'accumulate', 'exact_levels', 'step_levels']

#: Thresholds of one map; more would not end in a reasonable time.
MOST_STEPS = 1_000_000


@njit(nogil=True, cache=True)
def _power(base, exponent):
    """``base ** exponent`` with the common exponents done without pow."""
    if exponent == 1.0:
        return base
    if exponent == 0.5:
        return np.sqrt(base)
    if exponent == 2.0:
        return base * base
    if exponent == 3.0:
        return base * base * base
    return base**exponent


@njit(nogil=True, cache=True)
def exact_levels(height, n, part, kind_of, exponents, level):
    """L(h) = h^(H+1) / (H+1) at each node."""
    first = exponents[0] + 1
    if np.all(exponents == exponents[0]):
        for k in range(n):
            level[k] = _power(height[k], first) / first
        return
    for k in range(n):
        power = exponents[kind_of[part[k]]] + 1
        level[k] = _power(height[k], power) / power


@njit(nogil=True, cache=True)
def step_levels(height, n, part, kind_of, basins, kinds, steps, level):
    """L(h) = dh * sum of h_k^H over the thresholds h_k <= h at each node."""
    n_kinds = len(kinds.partition)
    direction, group = kinds.direction, kinds.group
    top = np.zeros((2, group.max() + 1))
    for b in range(len(basins)):
        place = direction[kind_of[b]], group[kind_of[b]]
        top[place] = max(top[place], height[basins[b]])
    n_steps, step = steps
    longest = n_steps
    if n_steps == 0:
        if not top.max() / step < MOST_STEPS:
            raise InputError(
                'TFCE: the step height is less than a millionth of the largest value of the map; '
                'use a larger one.'
            )
        # Rounding may take one threshold more or less than the division says.
        longest = int(top.max() / step) + 2
    thresholds = np.empty((n_kinds, longest))
    sums = np.zeros((n_kinds, longest + 1))
    counts = np.zeros(n_kinds, dtype=np.int64)
    widths = np.empty(n_kinds)
    for c in range(n_kinds):
        largest = top[direction[c], group[c]]
        widths[c] = step if n_steps == 0 else largest / n_steps
        if not widths[c] > 0:
            continue
        counts[c] = _fill_thresholds(widths[c], n_steps, largest, thresholds[c])
        for k in range(counts[c]):
            sums[c, k + 1] = sums[c, k] + widths[c] * _power(thresholds[c, k], kinds.height[c])
    for k in range(n):
        c = kind_of[part[k]]
        if counts[c] == 0:
            level[k] = 0.0
            continue
        reached = min(int(height[k] / widths[c]), counts[c])
        while reached < counts[c] and thresholds[c, reached] <= height[k]:
            reached += 1
        while reached > 0 and thresholds[c, reached - 1] > height[k]:
            reached -= 1
        level[k] = sums[c, reached]


@njit(nogil=True, cache=True)
def _fill_thresholds(width, n_steps, largest, thresholds):
    """Thresholds of a map as PALM has them; their number.

    A given number of steps is Octave's range ``width:width:largest``, whose last element is its
    limit; a given height is added again and again as long as something reaches the threshold.
    """
    if n_steps > 0:
        for k in range(n_steps):
            thresholds[k] = width + k * width
        thresholds[n_steps - 1] = largest
        return n_steps
    n = 0
    here = width
    while here <= largest and n < len(thresholds):
        thresholds[n] = here
        here += width
        n += 1
    return n


@njit(nogil=True, cache=True)
def accumulate(order, n, below, area, level, part, kind_of, exponents, value, out):
    """Sum from the lowest node up: e^E (L - L below) of each node."""
    level[n] = 0.0
    value[n] = 0.0
    if np.all((exponents == 1.0) | (exponents == 0.5)):
        rooted = exponents == 0.5
        for k in range(n - 1, -1, -1):
            # Both are computed: a branch that cannot be foreseen takes longer.
            root = np.sqrt(area[k])
            size = root if rooted[kind_of[part[k]]] else area[k]
            value[k] = value[below[k]] + size * (level[k] - level[below[k]])
            out[order[k]] = value[k]
        return
    for k in range(n - 1, -1, -1):
        size = _power(area[k], exponents[kind_of[part[k]]])
        value[k] = value[below[k]] + size * (level[k] - level[below[k]])
        out[order[k]] = value[k]
