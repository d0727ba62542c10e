"""Tables of a page: headings and cells that are already text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import pandas as pd

__all__ = ['Table']


@dataclass(frozen=True)
class Table:
    """A table whose cells are text.

    Attributes
    ----------
    columns : tuple of str
        Headings.
    rows : tuple of tuple of str
        Cells, as many per row as there are columns.
    numeric : tuple of bool
        Which columns are numbers (they are set flush right).
    caption : str
        Above the table.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    caption: str = ''

    def __post_init__(self) -> None:
        if len(self.numeric) != len(self.columns) or any(
            len(row) != len(self.columns) for row in self.rows
        ):
            raise ValueError('every row of a table needs one cell per column')

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        caption: str = '',
        headings: Mapping[str, str] | None = None,
        decimals: Mapping[str, int] | None = None,
        p_values: tuple[str, ...] = (),
    ) -> 'Table':
        """Make a table of a frame's columns (not of its index).

        Parameters
        ----------
        frame : DataFrame
            One row per row of the table. Missing values become ``n/a``.
        caption : str
            Above the table.
        headings : mapping of str to str, optional
            Headings in place of column names.
        decimals : mapping of str to int, optional
            Digits after the point, per column; three significant digits by default.
        p_values : tuple of str
            Columns that hold p values (``.012``, ``< .001``).
        """
        headings, decimals = headings or {}, decimals or {}
        columns = []
        for position, name in enumerate(frame.columns):
            digits = decimals.get(name)
            cells = frame.iloc[:, position].tolist()
            columns.append([_cell(cell, digits, name in p_values) for cell in cells])
        numeric = tuple(
            bool(pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype))
            for dtype in frame.dtypes
        )
        return cls(
            columns=tuple(str(headings.get(name, name)) for name in frame.columns),
            rows=tuple(zip(*columns, strict=True)) if columns else (),
            numeric=numeric,
            caption=caption,
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'Table':
        """Undo ``dataclasses.asdict`` after a round trip through JSON."""
        return cls(
            columns=tuple(content['columns']),
            rows=tuple(tuple(row) for row in content['rows']),
            numeric=tuple(content['numeric']),
            caption=content['caption'],
        )


def _cell(value: object, digits: int | None, is_p: bool) -> str:
    from ketbids.reports.sentences import format_p

    if value is None or value is pd.NA or value is pd.NaT:
        return 'n/a'
    if isinstance(value, bool) or not isinstance(value, Real):
        return str(value)
    number = float(value)
    if math.isnan(number):
        return 'n/a'
    if is_p:
        return format_p(number)
    if isinstance(value, Integral) and digits is None:
        return str(int(value)).replace('-', '\N{MINUS SIGN}')
    text = _three_digits(number) if digits is None else f'{number:.{digits}f}'
    return text.replace('-', '\N{MINUS SIGN}')


def _three_digits(number: float) -> str:
    if not math.isfinite(number) or number == 0 or 0.001 <= abs(number) < 1e5:
        whole = math.isfinite(number) and abs(number) >= 100
        return f'{number:.0f}' if whole else f'{number:#.3g}'.rstrip('.')
    return f'{number:.2e}'
