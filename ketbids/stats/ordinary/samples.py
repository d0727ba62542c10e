"""What the ordinary tests share: samples without missing values, and reasons for no result."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from ketbids.errors import InputError

__all__ = ['f_between', 'is_constant', 'numbers', 'paired', 'samples_of', 't_interval']
__all__ += ['too_few', 'two_sided_t']

Floats = npt.NDArray[np.float64]

#: Deviations smaller than this part of the largest value are rounding.
_ROUNDING = 1e-12


def numbers(values: npt.ArrayLike, what: str) -> Floats:
    """Values as numbers, NaN where missing; InputError for texts, and rows of infinite ones."""
    try:
        array = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise InputError(f'{what} holds something that is no number ({error})') from error
    rows = np.flatnonzero(np.isinf(array)) + 1
    if len(rows):
        shown = ', '.join(map(str, rows[:5])) + (', ...' if len(rows) > 5 else '')
        raise InputError(
            f'{what} is infinite in row {shown} of {len(array)}: give a number, or n/a'
        )
    return array


def paired(*columns: Floats) -> tuple[Floats, ...]:
    """Rows in which no column is missing."""
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise InputError(
            'Values that belong together have to be of the same length, not '
            f'{", ".join(map(str, sorted(lengths)))}'
        )
    complete = np.logical_and.reduce([~np.isnan(column) for column in columns])
    return tuple(column[complete] for column in columns)


def is_constant(values: Floats) -> bool:
    """True if all values are the same but for rounding."""
    if not len(values):
        return True
    return bool(np.ptp(values) <= _ROUNDING * np.abs(values).max())


def two_sided_t(t: float, df: float) -> float:
    """Two-sided p of a t statistic."""
    return float(2 * special.stdtr(df, -abs(t)))


def t_interval(estimate: float, se: float, df: float, level: float) -> tuple[float, float]:
    """Confidence interval of an estimate with a t distribution."""
    half = special.stdtrit(df, (1 + level) / 2) * se
    return float(estimate - half), float(estimate + half)


def samples_of(
    groups: Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike],
) -> list[Floats]:
    """Values of each group without the missing ones."""
    named = (
        groups if isinstance(groups, Mapping) else {str(i + 1): g for i, g in enumerate(groups)}
    )
    arrays = [numbers(values, f'Group {name}') for name, values in named.items()]
    return [values[~np.isnan(values)] for values in arrays]


def f_between(samples: Sequence[Floats]) -> float:
    """F of a one-way analysis of variance."""
    sizes = np.array([len(s) for s in samples])
    means = np.array([s.mean() for s in samples])
    grand = np.concatenate(samples).mean()
    between = (sizes * (means - grand) ** 2).sum() / (len(samples) - 1)
    within = sum(((s - m) ** 2).sum() for s, m in zip(samples, means, strict=True))
    return float(between / (within / (sizes.sum() - len(samples))))


def too_few(samples: Sequence[Floats]) -> str:
    """Reason why groups are not compared."""
    sizes = ', '.join(str(len(s)) for s in samples) or 'none'
    return f'too few values: groups of {sizes}'
