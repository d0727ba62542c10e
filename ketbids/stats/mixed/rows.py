"""Rows of a long table: what is a factor, what is a number, what is missing, who and when."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.mixed.design import Formula
from ketbids.stats.people import is_code

__all__ = [
    'MISSING',
    'LongTable',
    'Rows',
    'choose_rows',
    'in_order',
    'listed',
    'read_rows',
    'row_name',
]
__all__ += ['unique_index']

#: What stands for a missing value, in any case of letters.
MISSING = frozenset({'', 'n/a', 'na', 'nan'})
_SHOWN = 8


@dataclass(frozen=True)
class LongTable:
    """All rows of a table, typed; some values may be missing.

    Attributes
    ----------
    formula : Formula
    values : DataFrame, N rows
        Variables of the formula: factors as text, numbers as float; None or NaN where missing.
    factors : mapping of str to tuple of str
        Levels in their order, also such that do not occur.
    subject, visit : Series, N rows
        As text; visit is None throughout if no column was named.
    subject_name : str
    visit_name : str or None
    visits : tuple of str
        Their order.
    """

    formula: Formula
    values: pd.DataFrame
    factors: Mapping[str, tuple[str, ...]]
    subject: pd.Series
    visit: pd.Series
    subject_name: str
    visit_name: str | None
    visits: tuple[str, ...]

    def missing(self) -> pd.DataFrame:
        """Which values of which column are missing, (N, columns) of bool."""
        found = self.values.isna()
        found.insert(0, self.subject_name, self.subject.isna())
        if self.visit_name is not None and self.visit_name not in found.columns:
            found.insert(1, self.visit_name, self.visit.isna())
        return found


@dataclass(frozen=True)
class Rows:
    """The rows that are used.

    Attributes
    ----------
    values : DataFrame, n rows
        Without missing values; its index is that of the table.
    factors : mapping of str to tuple of str
        Levels that occur.
    subject, visit : array of int, shape (n,)
        Codes into `subjects` and `visits`.
    subjects, visits : tuple of str
    subject_name, visit_name : str
    named : bool
        A column of visits was named.
    warnings : tuple of str
    """

    values: pd.DataFrame
    factors: Mapping[str, tuple[str, ...]]
    subject: npt.NDArray[np.int64]
    visit: npt.NDArray[np.int64]
    subjects: tuple[str, ...]
    visits: tuple[str, ...]
    subject_name: str
    visit_name: str
    named: bool
    warnings: tuple[str, ...]


def row_name(index: pd.Index, label: object) -> str:
    """Name a row by its index: ``line 12`` if the index is called line, else ``row 12``."""
    return f'{index.name or "row"} {label}'


def listed(items: Collection[object]) -> str:
    """Write the first few of many, and how many more there are."""
    shown = [str(item) for item in items][:_SHOWN]
    more = len(items) - len(shown)
    return ', '.join(shown) + (f' and {more} more' if more else '')


def in_order(levels: Collection[str]) -> tuple[str, ...]:
    """Sort levels: as numbers if all are, else numbers in them as numbers (TP2 before TP10)."""

    def key(text: str) -> list[tuple[int, float, str]]:
        parts = re.split(r'([0-9]+)', text)
        return [
            (0, float(part), '') if place % 2 else (1, 0.0, part)
            for place, part in enumerate(parts)
            if part
        ]

    words = list(levels)
    numbers = pd.to_numeric(pd.Series(words, dtype=object), errors='coerce').tolist()
    if any(number != number for number in numbers):
        return tuple(sorted(words, key=lambda text: (key(text), text)))
    return tuple(word for _, word in sorted(zip(numbers, words, strict=True)))


def unique_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Name rows by their place, from 0, where the index has a label twice."""
    return frame if frame.index.is_unique else frame.reset_index(drop=True)


def read_rows(
    frame: pd.DataFrame,
    formula: Formula,
    subject: str,
    visit: str | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
) -> LongTable:
    """Type the columns of a long table.

    A column is a factor if it is the visit, has `levels`, stands in ``C(...)``, is Categorical, or
    holds text, truth values or codes such as ``01``. Levels are as given, or the categories that
    occur in their order, or sorted by `in_order`.

    Parameters
    ----------
    frame : DataFrame, N rows
        One row per participant and visit. None, NaN, empty texts, ``n/a``, ``NA`` and ``NaN`` are
        missing. Messages name rows by the index, or by place where it has a label twice.
    formula : Formula
    subject : str
    visit : str, optional
    levels : mapping of str to sequence of str, optional

    Returns
    -------
    LongTable

    Raises
    ------
    InputError
        A column that is not there, texts among numbers, dates, an infinite number, a value that is
        not among the levels.
    """
    frame = unique_index(frame)
    ordered = {name: tuple(map(str, given)) for name, given in (levels or {}).items()}
    categorical: dict[str, tuple[str, ...]] = {}
    needed = dict.fromkeys([subject, *([visit] if visit else []), *formula.variables])
    for name in needed:
        _check_column(frame, name)
        if isinstance(frame[name].dtype, pd.CategoricalDtype) and name not in ordered:
            categorical[name] = tuple(_categories(frame[name]))
    if strange := [name for name in ordered if name not in needed or name == subject]:
        raise InputError(f'Levels are given for {listed(strange)}, which the model does not have')
    if subject in formula.variables or subject == visit:
        raise InputError(
            f'{subject} says who was measured: it cannot be the visit or stand in the formula'
        )
    ordered |= {name: found for name, found in categorical.items() if name != subject}
    values, factors = {}, {}
    visits: tuple[str, ...]
    for name in formula.variables:
        factor = name == visit or name in ordered or name in formula.factors
        column = _typed(frame[name], factor)
        if column.dtype == object:
            factors[name] = _levels(column, ordered.get(name))
        values[name] = column
    if visit is None:
        when, visits = pd.Series(None, index=frame.index, dtype=object), ()
    else:
        when = values[visit] if visit in values else _text(frame[visit])
        visits = _levels(when, ordered.get(visit))
    return LongTable(
        formula=formula,
        values=pd.DataFrame(values, index=frame.index),
        factors=factors,
        subject=_text(frame[subject]),
        visit=when,
        subject_name=subject,
        visit_name=visit,
        visits=visits,
    )


def choose_rows(table: LongTable, used: npt.NDArray[np.bool_], *, numbered: bool = False) -> Rows:
    """Take the rows that are used; levels that no longer occur are left out, with a warning.

    Parameters
    ----------
    table : LongTable
    used : array of bool, shape (N,)
        No value of them is missing.
    numbered : bool
        Visits are running numbers in any case: rows are independent.

    Returns
    -------
    Rows
        Without a visit column, visits are the cells of the factors that vary within most
        participants who have several rows, or else running numbers.
    """
    values = table.values[used]
    factors, warnings = {}, []
    for name, levels in table.factors.items():
        present = set(values[name])
        factors[name] = tuple(level for level in levels if level in present)
        if absent := [level for level in levels if level not in present]:
            warnings.append(f'No row that is used has {name} {listed(absent)}: left out')
    subject, subjects = pd.factorize(table.subject[used], sort=True)
    if table.visit_name is not None and not numbered:
        when = table.visit[used]
        present = set(when)
        visits = tuple(level for level in table.visits if level in present)
        name = table.visit_name
    else:
        varying = [f for f in factors if _varies(values[f], subject).mean() > 0.5]
        within = [] if numbered else varying
        when, visits = _cells(values, within, factors, subject)
        name = ':'.join(within) or 'row'
    codes = pd.Categorical(when, list(visits)).codes
    return Rows(
        values=values,
        factors=factors,
        subject=subject.astype(np.int64),
        visit=codes.astype(np.int64),
        subjects=tuple(str(label) for label in subjects),
        visits=visits,
        subject_name=table.subject_name,
        visit_name=name,
        named=table.visit_name is not None,
        warnings=tuple(warnings),
    )


def _cells(
    values: pd.DataFrame,
    within: Sequence[str],
    factors: Mapping[str, tuple[str, ...]],
    subject: npt.NDArray[np.int64],
) -> tuple[pd.Series, tuple[str, ...]]:
    if not within:
        number = pd.Series(subject).groupby(subject).cumcount() + 1
        visits = tuple(str(i + 1) for i in range(int(number.max() or 1)))
        return pd.Series(number.astype(str).to_numpy(), index=values.index), visits
    cells = pd.MultiIndex.from_product([factors[name] for name in within])
    labels = tuple(' '.join(cell) for cell in cells)
    joined = values[list(within)].agg(' '.join, axis='columns')
    present = set(joined)
    return joined, tuple(label for label in labels if label in present)


def _varies(column: pd.Series, subject: npt.NDArray[np.int64]) -> pd.Series:
    """Whether the value varies, for each participant who has several rows."""
    groups = column.groupby(subject)
    varies = groups.nunique()[groups.size() > 1] > 1
    return varies if len(varies) else pd.Series([False])


def _check_column(frame: pd.DataFrame, name: str) -> None:
    count = list(frame.columns).count(name)
    if count != 1:
        have = f'it has {listed(list(frame.columns))}' if not count else 'each name must be unique'
        raise InputError(f'The table has {count or "no"} column{"s" * (count > 1)} {name}; {have}')


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().casefold() in MISSING
    return bool(pd.isna(value))


def _text(column: pd.Series) -> pd.Series:
    """Text of each value, None where missing; 1.0 is 1, truth is yes or no."""
    if column.dtype.kind == 'f' and (column.dropna() % 1 == 0).all():
        column = column.astype('Int64')
    return pd.Series([_word(v) for v in column], column.index, dtype=object, name=column.name)


def _categories(column: pd.Series) -> list[str]:
    """Categories that occur, as text, in their order."""
    found = _text(pd.Series(column.cat.remove_unused_categories().cat.categories))
    return [word for word in found if word is not None]


def _word(value: Any) -> str | None:
    if _is_missing(value):
        return None
    if isinstance(value, bool | np.bool_):
        return 'yes' if value else 'no'
    return str(value).strip()


def _typed(column: pd.Series, factor: bool) -> pd.Series:
    """Float, or text as object; see `read_rows`."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _text(column.astype(object))
    if factor or column.dtype.kind == 'b':
        return _text(column)
    if column.dtype.kind in 'mMc':
        raise InputError(
            f'{column.name} holds {"complex numbers" if column.dtype.kind == "c" else "dates"}, '
            'which a model cannot use: make a column of numbers, such as days or years'
        )
    if column.dtype.kind in 'iuf':
        numbers = column.astype(float)
    else:
        text = _text(column)
        if any(isinstance(value, bool | np.bool_) or is_code(value) for value in column):
            return text
        numbers = pd.to_numeric(text, errors='coerce').astype(float)
        known = text[text.notna()]
        junk = text[text.notna() & numbers.isna()]
        if len(junk) == len(known) and len(known):
            return text
        if len(junk):
            raise InputError(
                f"{column.name} is '{junk.iloc[0]}' in {row_name(column.index, junk.index[0])}, "
                f'where {len(known) - len(junk)} other rows have a number: write a number, or n/a '
                f'if it is missing; if {column.name} is a factor, give its levels'
            )
    infinite = numbers.index[np.isinf(numbers)]
    if len(infinite):
        raise InputError(
            f'{column.name} is infinite in {row_name(column.index, infinite[0])}: correct it, or '
            'write n/a if it is missing'
        )
    return numbers


def _levels(text: pd.Series, given: tuple[str, ...] | None) -> tuple[str, ...]:
    present = set(text.dropna())
    if given is None:
        return in_order(present)
    if len(set(given)) < len(given):
        raise InputError(f'The levels of {text.name} name one twice: {listed(given)}')
    strange = text[text.notna() & ~text.isin(given)]
    if len(strange):
        raise InputError(
            f"{text.name} is '{strange.iloc[0]}' in {row_name(text.index, strange.index[0])}, "
            f'which is not one of its levels: {listed(given)}'
        )
    return given
