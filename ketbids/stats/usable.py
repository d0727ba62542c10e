"""Which locations have data that can be tested, and why the others have not."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ['Usable', 'UsableScan', 'usable']

Bools = npt.NDArray[np.bool_]


class Usable(NamedTuple):
    """Locations that can be tested, and how many cannot, each counted once.

    Attributes
    ----------
    mask : ndarray of bool, shape (n_locations,)
        Finite in all observations, and not constant.
    n_not_finite : int
        Locations with a NaN or an infinity in at least one observation.
    n_constant : int
        Finite and the same in all observations, but not zero.
    n_zero : int
        Zero in all observations, as outside the brain and in the medial wall.
    """

    mask: Bools
    n_not_finite: int
    n_constant: int
    n_zero: int

    def sentence(self) -> str:
        """Say how many locations are left out, and why."""
        return (
            f'{len(self.mask) - int(self.mask.sum())} of {len(self.mask)} locations are left '
            f'out: {self.n_not_finite} with NaN or Inf, {self.n_constant} constant, '
            f'{self.n_zero} zero in all observations.'
        )


class UsableScan:
    """Looks at one observation after the other, so that they need not all be in memory.

    Parameters
    ----------
    n_locations : int
    """

    def __init__(self, n_locations: int) -> None:
        self._finite = np.ones(n_locations, dtype=bool)
        self._changes = np.zeros(n_locations)
        self._last: npt.NDArray[np.float64] | None = None

    def add(self, observation: npt.NDArray[np.floating]) -> None:
        """Take the next observation, shape (n_locations,)."""
        values = np.asarray(observation, dtype=np.float64)
        self._finite &= np.isfinite(values)
        with np.errstate(invalid='ignore', over='ignore', under='ignore'):
            if self._last is not None:
                self._changes += (values - self._last) ** 2
        self._last = values

    def result(self) -> Usable:
        """Sum up what has been seen."""
        same = self._finite & (self._changes == 0)
        last = np.zeros(len(same)) if self._last is None else self._last
        zero = same & (last == 0)
        return Usable(
            self._finite & ~same,
            int((~self._finite).sum()),
            int(same.sum()) - int(zero.sum()),
            int(zero.sum()),
        )


def usable(data: npt.NDArray[np.floating]) -> Usable:
    """Find the locations that can be tested, by PALM's rule for its automatic mask.

    A location is dropped if an observation is NaN or infinite there, or if the squares of the
    differences between successive observations sum to 0 (in double precision).

    Parameters
    ----------
    data : ndarray, shape (n_observations, n_locations)

    Returns
    -------
    Usable
    """
    scan = UsableScan(data.shape[1])
    for observation in data:
        scan.add(observation)
    return scan.result()
