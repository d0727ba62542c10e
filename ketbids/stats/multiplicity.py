"""p-values from the maxima of shuffles, over partitions, inputs and contrasts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['FAMILIES', 'TIE', 'Family', 'Joint', 'combine', 'corrected_p', 'count_reaching']
__all__ += ['familywise_p', 'lowest_corrected_p', 'tie_threshold']

Floats = npt.NDArray[np.float64]
#: How partitions are corrected together.
Joint = Literal['minp', 'bonferroni', 'sidak']


class Family(NamedTuple):
    """What a familywise correction goes over beside the locations: all inputs, all contrasts."""

    inputs: bool
    contrasts: bool


#: PALM's corrections by the ending of their files: own, ``-corrmod``, ``-corrcon``, both. One
#: shuffle serves all that is corrected together, and all is in z (or made of z).
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        'fwep': Family(False, False),
        'mfwep': Family(True, False),
        'cfwep': Family(False, True),
        'mcfwep': Family(True, True),
    }
)

#: Values closer than this, relatively, are ties: mirrored shuffles differ in the last bits.
TIE = 1e-9
#: Part of a map's maximum below which differences are rounding.
_NOISE = 1e-15


def tie_threshold(values: Floats, largest: float) -> Floats:
    """What a shuffle must reach to count as at least as large as ``values``.

    Parameters
    ----------
    values : ndarray
        Observed values, of any sign.
    largest : float
        Maximum of the map they come from.

    Returns
    -------
    ndarray, the shape of ``values``
    """
    return values * (1 - TIE * np.sign(values)) - _NOISE * abs(largest)


def count_reaching(maxima: Floats, values: Floats) -> npt.NDArray[np.int64]:
    """Number of shuffles whose maximum reaches each value, ties included.

    Parameters
    ----------
    maxima : ndarray, shape (n_shuffles,)
        One of each shuffle, the identity included.
    values : ndarray

    Returns
    -------
    ndarray of int, the shape of ``values``
    """
    ordered = np.sort(maxima)
    reached = tie_threshold(values, float(ordered[-1]))
    return len(maxima) - np.searchsorted(ordered, reached, side='left')


def familywise_p(distribution: Floats, observed: Floats) -> Floats:
    """Share of the shuffles whose maximum reaches each value, ties included.

    Parameters
    ----------
    distribution : ndarray, shape (n_shuffles,)
        Maximum of each shuffle over what is corrected together, the identity included.
    observed : ndarray

    Returns
    -------
    ndarray, the shape of ``observed``
    """
    return count_reaching(distribution, observed) / len(distribution)


def corrected_p(
    maxima: Floats,
    observed: Floats,
    column: npt.NDArray[np.integer],
    joint: Joint = 'minp',
) -> Floats:
    """Familywise-corrected p over all partitions.

    Partitions have other units (mm^2 and voxels), so that each is ranked among its own maxima:
    p_k(v) = #{i: max_k(i) >= v} / J. Over all K of them the p is then

    - ``minp``: p(v) = #{j: min_k p_k(j) <= p_k(v)} / J with p_k(j) the rank of shuffle j, where
      one shuffle serves all partitions (Tippett's combination; Pesarin & Salmaso 2010; Winkler
      et al. 2016, Hum Brain Mapp 37:1486-1511). It makes use of what partitions have in common.
      With one partition this is the usual p by the distribution of the maximum;
    - ``bonferroni``: min(1, K p_k(v)), whatever the dependence;
    - ``sidak``: 1 - (1 - p_k(v))^K, for partitions that are independent or positively dependent.

    Parameters
    ----------
    maxima : ndarray, shape (n_shuffles, n_partitions)
        Maximum of each partition in each shuffle; the first row is the data as they are.
    observed : ndarray, shape (n_grayordinates,)
        Values of the data as they are.
    column : ndarray of int, shape (n_grayordinates,)
        Column of ``maxima`` of each grayordinate; those that occur are the K partitions.
    joint : {'minp', 'bonferroni', 'sidak'}

    Returns
    -------
    ndarray, shape (n_grayordinates,)
        From 1 / n_shuffles to 1.
    """
    _check_joint(joint)
    n_shuffles = len(maxima)
    smallest = np.full(n_shuffles, n_shuffles, dtype=np.int64)
    counts = np.empty(len(observed), dtype=np.int64)
    present = np.unique(column)
    for k in present:
        smallest = np.minimum(smallest, count_reaching(maxima[:, k], maxima[:, k]))
        here = column == k
        counts[here] = count_reaching(maxima[:, k], observed[here])
    if joint == 'minp':
        return np.searchsorted(np.sort(smallest), counts, side='right') / n_shuffles
    return np.asarray(combine(counts / n_shuffles, len(present), joint))


def lowest_corrected_p(
    n_shuffles: int, n_equal: int, n_partitions: int, joint: Joint = 'minp'
) -> float:
    """The lowest corrected p that an effect in one partition is sure to reach.

    The largest effect ties with the ``n_equal`` shuffles that give the same statistic whatever
    the data are. With ``minp`` as many shuffles are the most extreme in each other partition.

    Parameters
    ----------
    n_shuffles : int
    n_equal : int
        Shuffles equal to the identity, itself included (2 in an exhaustive set of flips with
        both tails).
    n_partitions : int
    joint : {'minp', 'bonferroni', 'sidak'}

    Returns
    -------
    float
    """
    _check_joint(joint)
    rule: Literal['bonferroni', 'sidak'] = 'sidak' if joint == 'sidak' else 'bonferroni'
    return float(combine(min(1.0, n_equal / n_shuffles), n_partitions, rule))


def _check_joint(joint: str) -> None:
    if joint not in get_args(Joint):
        raise InputError(f"joint is 'minp', 'bonferroni' or 'sidak', not {joint!r}.")


def combine(
    p: Floats | float, n_partitions: int, rule: Literal['bonferroni', 'sidak']
) -> Floats | float:
    """Give p over several partitions from the p in one (see `corrected_p`)."""
    if rule == 'sidak':
        return 1 - (1 - p) ** n_partitions
    return np.minimum(1.0, n_partitions * p)
