"""Cells of the tables of statistics: what is read together stands in one cell."""

import math
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from ketbids.stats.apa import decimals, df_text, p_text, share_text

__all__ = ['P_VALUES', 'joined', 'p_cell']

#: Columns that hold p.
P_VALUES = frozenset(
    {'p', 'p_circular', 'p_fdr', 'p_holm', 'p_bonferroni', 'p_adjusted', 'p_partial', 'rank_p'}
    | {'p_holm_family', 'p_fdr_family', 'p_holm_outcome', 'p_partial_holm'}
)
#: Values that have an interval, what their limits begin with, and whether they cannot exceed 1.
_INTERVALS = (
    *((name, 'ci95', False) for name in ('estimate', 'emmean', 'difference', 'percent')),
    ('r', 'ci95', True),
    ('partial_r', 'partial_ci95', True),
    ('partial_eta2', 'ci90', True),
    ('eta2', 'eta2_ci90', True),
    ('g', 'g_ci95', False),
)
_MINUS = '\N{MINUS SIGN}'


def p_cell(p: float) -> str | None:
    """Write p as papers do, with three decimals: ``.735``, ``< .001``, ``> .999``.

    Parameters
    ----------
    p : float

    Returns
    -------
    str or None
        None of nan.
    """
    return p_text(p).removeprefix('p ').removeprefix('= ') if math.isfinite(p) else None


def joined(table: pd.DataFrame) -> pd.DataFrame:
    """Join statistics with their degrees of freedom, and values with their intervals.

    Parameters
    ----------
    table : DataFrame
        One of the tables of a statistic, with numbers.

    Returns
    -------
    DataFrame
        Text in place of numbers, under the name of the first of them: ``f`` is
        ``F(2, 23.85) = 121.66``, ``t`` is ``t(38.47) = 2.19``, ``estimate`` is
        ``1.20 [0.31, 2.09]``, ``mean`` is ``1.20 (0.92)``, ``n`` is ``5 (7)`` where
        ``n_reference`` is 7; each p has three decimals. The limits are left out.
    """
    table = table.copy()
    for name, within, share in _INTERVALS:
        low, high = f'{within}_low', f'{within}_high'
        if {name, low, high} <= set(table):
            form = _share_interval if share else _g_interval if name == 'g' else _interval
            _join(table, (name, low, high), form)
            table = table.drop(columns=[low, high])
    _join(table, ('f', 'num_df', 'den_df'), _f)
    _join(table, ('t', 'df'), _t)
    _join(table, ('statistic', 'num_df', 'den_df'), _statistic)
    _join(table, ('mean', 'sd'), _mean)
    _join(table, ('n', 'n_reference'), _n)
    for name in P_VALUES & set(table):
        table[name] = _text(p_cell(float(p)) for p in table[name])
    return table


def _join(table: pd.DataFrame, names: Sequence[str], form: Callable[..., str | None]) -> None:
    if not set(names) <= set(table):
        return
    parts = [table[name].astype(float) for name in names]
    table[names[0]] = _text(form(*values) for values in zip(*parts, strict=True))


def _text(cells: Iterable[str | None]) -> list[str | None]:
    return [cell.replace('-', _MINUS) if cell else None for cell in cells]


def _interval(value: float, low: float, high: float) -> str | None:
    known = [x for x in (value, low, high) if math.isfinite(x)]
    largest = max(map(abs, known), default=0.0)
    if 0 < largest < 1e-4:
        return _bracketed(value, low, high, lambda x: f'{x:.2e}')
    # Three digits of the largest, and as many decimals for the others.
    digits = 2 - math.floor(math.log10(largest)) if largest else 2
    return _bracketed(value, low, high, lambda x: decimals(x, max(digits, 0)))


def _share_interval(value: float, low: float, high: float) -> str | None:
    return _bracketed(value, low, high, share_text)


def _g_interval(value: float, low: float, high: float) -> str | None:
    return _bracketed(value, low, high, decimals)


def _bracketed(value: float, low: float, high: float, form: Callable[[float], str]) -> str | None:
    if not math.isfinite(value):
        return None
    known = math.isfinite(low) and math.isfinite(high)
    return form(value) + (f' [{form(low)}, {form(high)}]' if known else '')


def _f(f: float, num_df: float, den_df: float) -> str | None:
    if not math.isfinite(f):
        return None
    return f'F({df_text(num_df)}, {df_text(den_df)}) = {decimals(f)}'


def _t(t: float, df: float) -> str | None:
    return f't({df_text(df)}) = {decimals(t)}' if math.isfinite(t) else None


def _statistic(value: float, num_df: float, den_df: float) -> str | None:
    if not math.isfinite(value):
        return None
    df = ', '.join(df_text(df) for df in (num_df, den_df) if math.isfinite(df))
    return decimals(value) + (f' ({df})' if df else '')


def _mean(mean: float, sd: float) -> str | None:
    if not math.isfinite(sd):
        return _interval(mean, math.nan, math.nan)
    pair = _interval(mean, sd, sd)
    return pair and pair.split(',')[0].replace('[', '(') + ')'


def _n(n: float, reference: float) -> str | None:
    if not (math.isfinite(n) and math.isfinite(reference)):
        return None
    return f'{n:.0f} ({reference:.0f})'
