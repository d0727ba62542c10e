"""Tests of distributions: normality and equality of variances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.errors import InputError
from ketbids.stats.ordinary.location import OmnibusTest
from ketbids.stats.ordinary.samples import f_between, is_constant, numbers, samples_of, too_few

__all__ = ['Normality', 'levene', 'shapiro']

Floats = npt.NDArray[np.float64]

#: Largest sample for which Royston's approximation was made.
_LARGEST = 5000


@dataclass(frozen=True)
class Normality:
    """Shapiro and Wilk's test.

    Attributes
    ----------
    n : int
    w, p : float
    not_available : str or None
        Why there is no result: then the numbers are NaN.
    """

    n: int
    w: float = np.nan
    p: float = np.nan
    not_available: str | None = None


def shapiro(values: npt.ArrayLike) -> Normality:
    """Test whether values are normally distributed (Shapiro & Wilk; Royston 1995).

    Parameters
    ----------
    values : array_like
        NaN where missing.

    Returns
    -------
    Normality
        Without a result for fewer than 3 or more than 5000 values, or equal ones.
    """
    from scipy.stats import shapiro as shapiro_wilk

    array = numbers(values, 'Value')
    array = array[~np.isnan(array)]
    found = Normality(len(array))
    if not 3 <= len(array) <= _LARGEST:
        return replace(found, not_available=f'{len(array)} values; 3 to {_LARGEST} are needed')
    if is_constant(array):
        return replace(found, not_available='all values are the same')
    centred = array - np.median(array)
    result = shapiro_wilk(centred / np.abs(centred).max())
    return replace(found, w=float(result.statistic), p=float(result.pvalue))


def levene(
    groups: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike],
    center: Literal['median', 'mean'] = 'median',
) -> OmnibusTest:
    """Test whether groups have the same variance, by the absolute deviations from their centres.

    Parameters
    ----------
    groups : sequence or mapping of array_like
        Values of each group, NaN where missing.
    center : {'median', 'mean'}
        Brown & Forsythe 1974, the robust choice, or Levene 1960.

    Returns
    -------
    OmnibusTest
    """
    if center not in ('median', 'mean'):
        raise InputError(f"The centre of deviations is 'median' or 'mean', not {center!r}")
    samples = samples_of(groups)
    n, k = sum(map(len, samples)), len(samples)
    found = OmnibusTest(
        'brown-forsythe' if center == 'median' else 'levene', tuple(map(len, samples))
    )
    if k < 2 or not all(map(len, samples)) or n - k < 1:
        return replace(found, not_available=too_few(samples))
    middle = np.median if center == 'median' else np.mean
    away = [np.abs(s - middle(s)) for s in samples]
    # Two values are equally far from their middle: their deviations have no spread.
    if all(is_constant(a) for a in away):
        return replace(found, not_available='the deviations of each group are all the same')
    f = f_between(away)
    return replace(
        found,
        statistic=f,
        num_df=k - 1.0,
        den_df=float(n - k),
        p=float(special.fdtrc(k - 1, n - k, f)),
    )
