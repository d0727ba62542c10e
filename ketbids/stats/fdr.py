"""Adjusted p-values for the false discovery rate."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['FDRMethod', 'adjusted_p', 'adjusted_together']

Floats = npt.NDArray[np.float64]
FDRMethod = Literal['BH', 'BKY']


def adjusted_p(p: npt.ArrayLike, method: FDRMethod = 'BKY') -> Floats:
    """p-values adjusted for the false discovery rate: rejecting adjusted p <= q controls it at q.

    With p_1 <= ... <= p_V, as PALM defines them (``-fdr``):

    - ``BH`` (Benjamini & Hochberg 1995, J R Stat Soc B 57:289-300): min over j >= i of p_j V / j,
      at most 1;
    - ``BKY`` (Benjamini, Krieger & Yekutieli 2006, Biometrika 93:491-507, definition 7): the
      largest over h <= i of c_h = min over j >= h of p_j (V + 1 - h) / (j - h p_j), at most 1.

    Parameters
    ----------
    p : array_like
        From 0 to 1; NaN where there is none, which does not count.
    method : {'BKY', 'BH'}

    Returns
    -------
    ndarray, the shape of ``p``
        NaN where ``p`` is.

    Notes
    -----
    p_j / (j - h p_j) = 1 / (j / p_j - h), so that for each h the minimum is at the largest j / p_j
    from h on: one pass from the end finds them all.
    """
    if method not in get_args(FDRMethod):
        raise InputError(
            f"The method for the false discovery rate is 'BH' or 'BKY', not {method!r}."
        )
    values = np.asarray(p, dtype=np.float64)
    out = np.full(values.shape, np.nan)
    present = np.isfinite(values)
    found = values[present]
    order = np.argsort(found, kind='stable')
    adjusted = np.empty(len(found))
    adjusted[order] = (_bh if method == 'BH' else _bky)(found[order])
    out[present] = adjusted
    return out


def adjusted_together(maps: Sequence[Floats], method: FDRMethod = 'BKY') -> list[Floats]:
    """Adjust the p-values of several maps as one family.

    PALM does so over the inputs of a contrast (``-corrmod``, ``_mfdrp``), over the contrasts of
    an input (``-corrcon``, ``_cfdrp``), or over all of both (``_mcfdrp``).

    Parameters
    ----------
    maps : sequence of ndarray
        Of any shapes.
    method : {'BKY', 'BH'}

    Returns
    -------
    list of ndarray
        Of the same shapes.
    """
    adjusted = adjusted_p(np.concatenate([np.ravel(values) for values in maps]), method)
    ends = np.cumsum([np.size(values) for values in maps])
    return [
        piece.reshape(np.shape(values))
        for piece, values in zip(np.split(adjusted, ends[:-1]), maps, strict=True)
    ]


def _bh(p: Floats) -> Floats:
    """Benjamini and Hochberg's, of ascending p."""
    steps = p * len(p) / np.arange(1, len(p) + 1)
    return np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)


def _bky(p: Floats) -> Floats:
    """Benjamini, Krieger and Yekutieli's, of ascending p."""
    n = len(p)
    rank = np.arange(1, n + 1)
    with np.errstate(divide='ignore', over='ignore'):
        ratio = rank / p
    # Place of the largest ratio from each rank on.
    largest = np.maximum.accumulate(ratio[::-1])[::-1]
    best = np.where(ratio == largest, np.arange(n), n)
    best = np.minimum.accumulate(best[::-1])[::-1]
    best_p, best_rank = p[best], best + 1
    with np.errstate(divide='ignore'):
        steps = best_p * (n + 1 - rank) / (best_rank - rank * best_p)
    return np.maximum.accumulate(np.minimum(steps, 1.0))
