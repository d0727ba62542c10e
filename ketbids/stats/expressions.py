"""Derived variables and subsets: small expressions over the columns of a table, as data.

An expression such as ``100 * (hdrs_TP1 - hdrs_TP3) / hdrs_TP1`` or ``group == 'TRD'`` is parsed
with :mod:`ast` and its tree is walked; nothing of it is ever executed as Python.
"""

import ast
import operator
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ketbids.errors import InputError

__all__ = ['derive', 'evaluate', 'names', 'numbers', 'texts']

#: Bounds that no honest expression reaches.
MAX_LENGTH, MAX_DEPTH, MAX_EXPONENT, MAX_NUMBER = 500, 30, 10, 1e15

_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_ORDER: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_EQUALITY = (ast.Eq, ast.NotEq)
_ALLOWED = (
    'allowed are column names, numbers, texts in quotes, + - * / **, comparisons, '
    'in (...), and, or, not and parentheses'
)


def names(expression: str) -> tuple[str, ...]:
    """Columns that an expression uses.

    Parameters
    ----------
    expression : str
        For example ``'hdrs_TP3 <= 7'``.

    Returns
    -------
    tuple of str
        Each name once, in the order of appearance.

    Raises
    ------
    InputError
        If the expression holds anything but the allowed parts, is too long, or uses no column.
    """
    tree = _parse(expression)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    if not found:
        raise _error(expression, 'it uses no column')
    return tuple(
        dict.fromkeys(
            node.id for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))
        )
    )


def numbers(expression: str) -> tuple[str, ...]:
    """Columns that an expression needs as numbers, by what it does with them.

    Parameters
    ----------
    expression : str

    Returns
    -------
    tuple of str
        Those in sums, products, comparisons of size, or comparisons with a number.

    Raises
    ------
    InputError
        As `names`.
    """
    names(expression)
    found = []
    for node in ast.walk(_parse(expression)):
        match node:
            case ast.BinOp(left=left, right=right):
                found += [left, right]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                found.append(operand)
            case ast.Compare(left=left, ops=ops, comparators=others):
                sides = [left, *others]
                sizes = any(type(link) in _ORDER for link in ops)
                if sizes or any(type(_constant(side)) in (int, float) for side in sides):
                    found += sides
    return tuple(dict.fromkeys(node.id for node in found if isinstance(node, ast.Name)))


def texts(expression: str) -> tuple[tuple[str, str], ...]:
    """Columns and the texts that an expression compares them with.

    Parameters
    ----------
    expression : str
        For example ``"group in ['HC', 'TRD']"``.

    Returns
    -------
    tuple of (str, str)
        Column and text, for each comparison of the two: ``('group', 'HC'), ('group', 'TRD')``.

    Raises
    ------
    InputError
        As `names`.
    """
    names(expression)
    found: list[tuple[str, str]] = []
    for node in ast.walk(_parse(expression)):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for left, right in pairwise(sides):
            items = right.elts if isinstance(right, ast.List | ast.Tuple) else [right]
            pairs = [(left, item) for item in items]
            for column, text in [*pairs, *((item, left) for item in items)]:
                value = _constant(text)
                if isinstance(column, ast.Name) and isinstance(value, str):
                    found.append((column.id, value))
    return tuple(dict.fromkeys(found))


def evaluate(expression: str, frame: pd.DataFrame) -> pd.Series:
    """Value of an expression in each row of a table.

    Parameters
    ----------
    expression : str
        Column names, numbers, texts in quotes, True, False, ``+ - * / **`` (constant exponents
        up to 10), comparisons (chained too), ``in`` and ``not in`` a list of constants,
        ``and or not``, parentheses.
    frame : DataFrame, n rows
        Columns that hold text are compared as text, booleans as booleans, numbers as numbers.

    Returns
    -------
    Series, n rows
        With the frame's index. Float (NaN where missing), ``boolean`` (NA where missing) or text.
        A row in which any column that is used is missing gets a missing value, also when the
        outcome would not depend on it; so does one whose number is not finite (a division by 0).

    Raises
    ------
    InputError
        Names the expression, the offending part and the columns at hand.
    """
    used = names(expression)
    for name in used:
        if name not in frame.columns:
            close = get_close_matches(name, [str(column) for column in frame.columns], n=1)
            hint = f' (did you mean {close[0]}?)' if close else ''
            raise _error(
                expression,
                f'there is no column {name}{hint}; columns at hand: '
                f'{", ".join(map(str, frame.columns)) or "none"}',
            )
        if not isinstance(frame[name], pd.Series):
            raise _error(expression, f'the table has more than one column {name}')
    complete = np.logical_and.reduce([_present(frame[name]) for name in used])
    tree = _parse(expression)
    if not complete.any():
        truth = isinstance(tree, ast.Compare | ast.BoolOp) or (
            isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)
        )
        return pd.Series(np.nan, index=frame.index, dtype='boolean' if truth else 'float64')
    walk = _Walk(expression, {name: _plain(frame.loc[complete, name]) for name in used})
    with np.errstate(all='ignore'):
        values = np.broadcast_to(walk.value(tree), (int(complete.sum()),))
    kind = _kind(values)
    dtype = {'boolean': 'boolean', 'number': 'float64', 'text': 'object'}[kind]
    result = pd.Series(np.nan, index=frame.index, dtype=dtype)
    complete[complete] = ~walk.undefined
    result[complete] = values[~walk.undefined]
    return result


def derive(
    frame: pd.DataFrame, derived: Mapping[str, str], needed: Collection[str] | None = None
) -> pd.DataFrame:
    """Table with derived variables as further columns.

    Parameters
    ----------
    frame : DataFrame
        One row per participant.
    derived : mapping of str to str
        Name and expression, in this order: an expression may use those before it.
    needed : collection of str, optional
        Evaluate only these, and what they use: a study without a score can then do whatever
        does not need it. By default all.

    Returns
    -------
    DataFrame
        A new table.

    Raises
    ------
    InputError
        If a name is a column already, or an expression cannot be evaluated.
    """
    wanted = set(derived if needed is None else needed)
    for name in reversed(list(derived)):
        if name in wanted:
            wanted.update(names(derived[name]))
    frame = frame.copy()
    for name, expression in derived.items():
        if name not in wanted:
            continue
        if name in frame.columns:
            raise InputError(
                f'The derived variable {name} has the name of a column that the tables have '
                'already: rename one of them'
            )
        frame[name] = evaluate(expression, frame)
    return frame


def _error(expression: str, problem: str) -> InputError:
    shown = expression if len(expression) <= 120 else f'{expression[:117]}...'
    return InputError(f"Expression '{shown}': {problem}")


def _parse(expression: str) -> ast.expr:
    """Tree of an expression in which every node is on the whitelist."""
    if not isinstance(expression, str) or not expression.strip():
        raise InputError(f'An expression must be a text that is not empty, got {expression!r}')
    if len(expression) > MAX_LENGTH:
        raise _error(expression, f'longer than {MAX_LENGTH} characters')
    # A backslash makes ast.parse warn; an f-string would be refused later anyway.
    if '\\' in expression or '\0' in expression:
        raise _error(expression, f'\\ is not allowed; {_ALLOWED}')
    try:
        tree = ast.parse(expression.strip(), mode='eval').body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        problem = getattr(error, 'msg', None) or str(error) or type(error).__name__
        raise _error(expression, f'cannot be read ({problem}); {_ALLOWED}') from None
    _check(tree, expression, depth=0)
    return tree


def _check(node: ast.expr, expression: str, depth: int) -> None:
    """Refuse any node that is not on the whitelist."""
    if depth > MAX_DEPTH:
        raise _error(expression, f'nested deeper than {MAX_DEPTH}')
    children: list[ast.expr]
    match node:
        case ast.Name():
            children = []
        case ast.Constant(value=bool() | str()):
            children = []
        case ast.Constant(value=int() | float() as number):
            if not abs(number) <= MAX_NUMBER:
                raise _error(expression, 'a number is too big')
            children = []
        case ast.BoolOp(values=children):
            pass
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            children = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            if isinstance(op, ast.Pow):
                exponent = _constant(right)
                if not isinstance(exponent, int | float) or abs(exponent) > MAX_EXPONENT:
                    raise _error(
                        expression,
                        f'the exponent {ast.unparse(right)} is not a number '
                        f'from -{MAX_EXPONENT} to {MAX_EXPONENT}',
                    )
            children = [left, right]
        case ast.Compare():
            children = [node.left]
            for link, right in zip(node.ops, node.comparators, strict=True):
                if isinstance(link, ast.In | ast.NotIn):
                    items = right.elts if isinstance(right, ast.List | ast.Tuple) else []
                    if not items or any(_constant(item) is None for item in items):
                        raise _error(
                            expression,
                            f'{ast.unparse(right)} after "in" is not a list of constants',
                        )
                    children += items
                elif type(link) in _ORDER or isinstance(link, _EQUALITY):
                    children.append(right)
                else:
                    raise _error(expression, f'{ast.unparse(node)} is not allowed; {_ALLOWED}')
        case _:
            raise _error(expression, f'{ast.unparse(node)} is not allowed; {_ALLOWED}')
    for child in children:
        _check(child, expression, depth + 1)


def _constant(node: ast.expr) -> bool | float | str | None:
    """Value of a constant (maybe with a minus), None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _constant(node.operand)
        return None if value is None or isinstance(value, str | bool) else -value
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
        return node.value
    return None


def _present(column: pd.Series) -> np.ndarray:
    """True where a column has a value; an infinite number is none."""
    present = column.notna().to_numpy()
    if pd.api.types.is_float_dtype(column):
        present = present & ~np.isinf(column.to_numpy(dtype=float, na_value=np.nan))
    return present


def _plain(column: pd.Series) -> np.ndarray:
    """Values of a column without missing ones, as booleans, floats or texts."""
    if pd.api.types.is_bool_dtype(column) or (
        column.dtype == object and all(isinstance(value, bool | np.bool_) for value in column)
    ):
        return column.to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float)
    return np.array([str(value) for value in column], dtype=object)


def _kind(value: Any) -> str:
    code = np.asarray(value).dtype.kind
    return {'b': 'boolean', 'f': 'number'}.get(code, 'text')


class _Walk:
    """Evaluation of a checked tree over columns without missing values.

    Attributes
    ----------
    undefined : ndarray of bool, one per row
        Rows in which arithmetic gave no finite number (a division by 0, say): whatever is built
        on it, a comparison too, is missing.
    """

    def __init__(self, expression: str, columns: Mapping[str, np.ndarray]) -> None:
        self.expression, self.columns = expression, columns
        self.undefined = np.zeros(len(next(iter(columns.values()))), dtype=bool)

    def value(self, node: ast.expr) -> np.ndarray:
        """Value of a node: one entry per row, or a scalar array."""
        match node:
            case ast.Name():
                return self.columns[node.id]
            case ast.Constant(value=str() as text):
                return np.array(text, dtype=object)
            case ast.Constant(value=bool() as truth):
                return np.array(truth)
            case ast.Constant(value=int() | float() as number):
                return np.array(float(number))
            case ast.BoolOp(op=op, values=parts):
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return join.reduce(np.broadcast_arrays(*[self.need('boolean', p) for p in parts]))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return np.logical_not(self.need('boolean', operand))
            case ast.UnaryOp(operand=operand):
                return np.negative(self.need('number', operand))
            case ast.BinOp(left=left, op=op, right=right):
                result = _ARITHMETIC[type(op)](
                    self.need('number', left), self.need('number', right)
                )
                self.undefined |= ~np.isfinite(result)
                return np.asarray(result)
            case ast.Compare():
                return self.compare(node)
        raise _error(self.expression, f'{ast.unparse(node)} is not allowed; {_ALLOWED}')

    def need(self, kind: str, node: ast.expr) -> np.ndarray:
        """Value of a node that must be of one kind."""
        value = self.value(node)
        if _kind(value) != kind:
            raise _error(
                self.expression,
                f'{ast.unparse(node)} is a {_kind(value)} where a {kind} is needed',
            )
        return value

    def compare(self, node: ast.Compare) -> np.ndarray:
        """Chained comparison: every link must hold."""
        result = np.array(True)
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                assert isinstance(right, ast.List | ast.Tuple)
                link = np.array(False)
                for item in right.elts:
                    link = np.logical_or(link, self.equal(left, item))
            elif isinstance(op, _EQUALITY):
                link = self.equal(left, right)
            else:
                link = _ORDER[type(op)](self.need('number', left), self.need('number', right))
            if isinstance(op, ast.NotIn | ast.NotEq):
                link = np.logical_not(link)
            result = np.logical_and(result, link)
            left = right
        return result

    def equal(self, left: ast.expr, right: ast.expr) -> np.ndarray:
        """True where two values of the same kind are equal."""
        first, second = self.value(left), self.value(right)
        if _kind(first) != _kind(second):
            raise _error(
                self.expression,
                f'{ast.unparse(left)} is a {_kind(first)} but {ast.unparse(right)} is a '
                f'{_kind(second)}: they cannot be compared',
            )
        return np.asarray(first == second, dtype=bool)
