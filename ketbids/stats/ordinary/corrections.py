"""Correction of p-values for the number of tests in a family."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.stats.fdr import adjusted_p

__all__ = ['Correction', 'adjust']

Floats = npt.NDArray[np.float64]
Correction = Literal['none', 'bonferroni', 'holm', 'sidak', 'bh', 'by']


def adjust(p: npt.ArrayLike, method: Correction, n_tests: int | None = None) -> Floats:
    """p-values corrected for the tests of one family.

    With p_1 <= ... <= p_m:

    - ``bonferroni``: m p;
    - ``holm`` (Holm 1979, Scand J Stat 6:65-70): max over j <= i of (m + 1 - j) p_j;
    - ``sidak``: 1 - (1 - p)^m;
    - ``bh`` (Benjamini & Hochberg 1995, J R Stat Soc B 57:289-300): min over j >= i of p_j m / j;
    - ``by`` (Benjamini & Yekutieli 2001, Ann Stat 29:1165-1188): the same times
      1 + 1/2 + ... + 1/m, for tests that depend on each other in any way;

    all at most 1.

    Parameters
    ----------
    p : array_like
        NaN where a test has none: it does not count in m, as in R's ``p.adjust``.
    method : {'none', 'bonferroni', 'holm', 'sidak', 'bh', 'by'}
    n_tests : int, optional
        m for ``bonferroni`` and ``sidak``, if there were more tests than `p` holds.

    Returns
    -------
    ndarray, the shape of ``p``
        NaN where ``p`` is.

    Raises
    ------
    InputError
        If the method is unknown, a p is not between 0 and 1, or `n_tests` is less than the number
        of p.
    """
    if method not in get_args(Correction):
        raise InputError(
            f'A correction is one of {", ".join(get_args(Correction))}, not {method!r}.'
        )
    values = np.asarray(p, dtype=np.float64)
    present = ~np.isnan(values)
    found = values[present]
    if np.any((found < 0) | (found > 1)):
        raise InputError('A p-value to be corrected is not between 0 and 1.')
    out = np.full(values.shape, np.nan)
    m = len(found) if n_tests is None else n_tests
    if m < len(found):
        raise InputError(f'{m} tests are fewer than the {len(found)} p-values to be corrected.')
    match method:
        case 'none':
            out[present] = found
        case 'bonferroni':
            out[present] = np.minimum(m * found, 1.0)
        case 'sidak':
            with np.errstate(divide='ignore'):
                out[present] = -np.expm1(m * np.log1p(-found))
        case 'holm':
            out[present] = _holm(found)
        case 'bh':
            out = adjusted_p(values, 'BH')
        case 'by':
            # BH is capped at 1 already: the factor must meet the uncapped minimum.
            out[present] = _benjamini_yekutieli(found)
    return out


def _holm(p: Floats) -> Floats:
    order = np.argsort(p, kind='stable')
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _benjamini_yekutieli(p: Floats) -> Floats:
    m = len(p)
    order = np.argsort(p, kind='stable')
    ranks = np.arange(1, m + 1)
    steps = p[order] * m / ranks * (1 / ranks).sum()
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted
