"""Formulas of group designs: a whitelist of tokens, and the model matrix by formulaic."""

import re
from collections.abc import Collection, Mapping, Sequence
from keyword import iskeyword
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.people import as_text, is_code

__all__ = ['FormulaMatrix', 'column_name', 'column_variables', 'formula_names', 'prepare']
__all__ += ['model_columns']

_TOKEN = re.compile(
    r'(?P<factor>C\(\s*(?P<name>[A-Za-z_]\w*)\s*(?:,\s*contr\.(?:sum|treatment)\s*)?\))'
    r'|(?P<word>[A-Za-z_]\w*)|(?P<number>[01](?![\w.]))|(?P<operator>[-+:*~()])',
    re.ASCII,
)
#: Words that mean something in a formula or a design.
RESERVED = frozenset({'C', 'contr', 'Intercept'})
#: Bounds that keep the expansion of a formula small.
_MAX_LENGTH, _MAX_NAMES, _MAX_PRODUCTS = 300, 24, 6
_RULE = (
    'a formula holds column names, C(name), C(name, contr.sum), C(name, contr.treatment), '
    '+ - : * ( ), and starts with 1 (intercept) or 0 (none)'
)


class FormulaMatrix(NamedTuple):
    """Model matrix of a formula.

    Attributes
    ----------
    matrix : DataFrame of float, shape (N, P)
    centred : tuple of str
        Variables that were demeaned over the rows.
    constant : tuple of str
        Variables that were left out because they have one value in all rows.
    """

    matrix: pd.DataFrame
    centred: tuple[str, ...]
    constant: tuple[str, ...]


def formula_names(formula: str) -> tuple[str, ...]:
    """Variables of a group formula, which may hold nothing but whitelisted tokens.

    Parameters
    ----------
    formula : str
        For example ``'0 + group + age + C(sex, contr.sum)'``.

    Returns
    -------
    tuple of str
        Each variable once, in the order of appearance.

    Raises
    ------
    InputError
        If anything else stands in it (formulaic would evaluate it as Python), or if it does not
        say whether there is an intercept.
    """

    def refuse(problem: str) -> InputError:
        return InputError(f"Formula '{str(formula)[:120]}': {problem}; {_RULE}")

    if not isinstance(formula, str) or len(formula) > _MAX_LENGTH:
        raise refuse(f'not a text of at most {_MAX_LENGTH} characters')
    tokens: list[re.Match[str]] = []
    text = formula.strip(' ').removeprefix('~').strip(' ')
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.group() == '~':
            raise refuse(f"'{text[position : position + 20]}' is not allowed")
        tokens.append(match)
        position = match.end()
        while text[position : position + 1] == ' ':
            position += 1
    if not tokens or tokens[0]['number'] is None:
        raise refuse('the intercept is not stated')
    wants_operand, depth = True, 0
    for index, token in enumerate(tokens):
        operator = token['operator']
        if operator == '(' and wants_operand:
            depth += 1
        elif operator == ')' and not wants_operand and depth:
            depth -= 1
        elif operator in {'+', '-', ':', '*'} and not wants_operand:
            if index == 1 and operator in {':', '*'}:
                raise refuse('the intercept cannot be multiplied')
            wants_operand = True
        elif operator is None and wants_operand and not (index and token['number']):
            wants_operand = False
        else:
            raise refuse(f"'{token.group()}' cannot stand where it stands")
    if wants_operand or depth:
        raise refuse('it ends too early')
    found = [token['name'] or token['word'] for token in tokens if not token['operator']][1:]
    products = sum(token.group() in {':', '*'} for token in tokens)
    if products > _MAX_PRODUCTS or len(found) > _MAX_NAMES:
        raise refuse(f'more than {_MAX_PRODUCTS} products or {_MAX_NAMES} names')
    for name in found:
        if name in RESERVED or iskeyword(name):
            raise refuse(f'{name} cannot be the name of a variable')
    return tuple(dict.fromkeys(found))


def column_name(term: str) -> str:
    """Name of a design column: ``C(sex, contr.sum)[S.F]`` is ``sex[S.F]``, ``1`` Intercept."""
    term = str(term).strip()
    return 'Intercept' if term == '1' else re.sub(r'C\(\s*(\w+)[^)]*\)', r'\1', term)


def column_variables(column: str) -> tuple[str, ...]:
    """Variables of a design column: ``age:group[T.TRD]`` has age and group."""
    return tuple(n for n in re.sub(r'\[[^]]*\]', '', column).split(':') if n != 'Intercept')


def prepare(
    frame: pd.DataFrame, formula: str, levels: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Variables as formulas need them.

    Parameters
    ----------
    frame : DataFrame
        The formula's variables, without missing values.
    formula : str
        A variable inside ``C(...)`` is a factor even if it holds numbers. Codes such as ``01``
        are no numbers.
    levels : mapping of str to sequence of str
        Order of a factor's levels; else they are sorted.

    Returns
    -------
    DataFrame
        Float columns, and categoricals that have only the levels that occur.

    Raises
    ------
    InputError
        A level that is not among ``levels``; a text among numbers.
    """
    factors = {match['name'] for match in _TOKEN.finditer(formula) if match['factor']}
    prepared = {}
    for name in frame.columns:
        column = frame[name]
        number = pd.to_numeric(column, errors='coerce')
        truth = all(isinstance(value, bool | np.bool_) for value in column)
        factor = name in factors or name in levels or truth or any(map(is_code, column))
        if not (factor or number.isna().any()):
            prepared[name] = number.astype(float)
            continue
        text = as_text(column)
        junk = text[number.isna()]
        if not factor and len(junk) < len(text) / 2:
            raise InputError(
                f"{name} of sub-{junk.index[0]} is '{junk.iloc[0]}' where others have a number: "
                'correct the table'
            )
        order = list(levels.get(name, sorted(set(text))))
        if strange := set(text).difference(order):
            raise InputError(f"{name} has '{min(strange)}', which is not in its Levels: {order}")
        present = [level for level in order if level in set(text)]
        prepared[name] = pd.Series(pd.Categorical(text, categories=present), index=frame.index)
    return pd.DataFrame(prepared, index=frame.index)


def model_columns(
    formula: str,
    covariates: pd.DataFrame,
    tested: Collection[str],
    center: Collection[str] | None = None,
) -> FormulaMatrix:
    """Model matrix of a formula, with nuisance variables demeaned over its rows.

    Parameters
    ----------
    formula : str
    covariates : DataFrame, N rows
        As `prepare` gives them.
    tested : collection of str
        Variables of the contrast: these must vary.
    center : collection of str, optional
        Variables to demean, by default all that are not tested. Numbers are demeaned before
        products are made; of a factor, its columns.

    Returns
    -------
    FormulaMatrix

    Raises
    ------
    InputError
        A tested variable with one value; a factor in ``center`` that cannot be demeaned.
    """
    from formulaic import Formula  # type: ignore[import-untyped]  # slow, and seldom needed

    names = [str(name) for name in covariates.columns]
    factors = {n for n in names if isinstance(covariates[n].dtype, pd.CategoricalDtype)}
    values = {name: covariates[name].unique() for name in names}
    constant = tuple(name for name in values if len(values[name]) == 1)
    for name in constant:
        if name in tested:
            raise InputError(
                f'{name}, which is tested, is {values[name][0]} for all {len(covariates)} '
                'participants'
            )
    terms = list(Formula(formula))
    kept = [term for term in terms if not set(_term_variables(term)) & set(constant)]
    if _has_intercept(terms, factors) and not _has_intercept(kept, factors):
        kept = [*Formula('1'), *kept]
    used = [n for n in names if any(n in _term_variables(term) for term in kept)]
    wanted = [n for n in used if (n not in tested if center is None else n in center)]
    frame = covariates[used].copy()
    for name in set(wanted) - factors:
        frame[name] -= frame[name].mean()
    # Nothing but these columns is in reach, and every token of the formula has been checked.
    found = Formula(kept).get_model_matrix(frame, context={}, na_action='raise')
    matrix = pd.DataFrame(
        found.to_numpy(dtype=float),
        index=covariates.index,
        columns=[column_name(name) for name in found.columns],
    )
    centred = set(wanted) - factors
    where = found.model_spec.term_indices
    for name in [name for name in wanted if name in factors]:
        having = [term for term in where if name in _term_variables(term)]
        columns = [column for term in having for column in where[term]]
        simple = len(having) == 1 and len(_term_variables(having[0])) == 1
        if name not in tested and simple and len(columns) < len(values[name]):
            matrix.iloc[:, columns] -= matrix.iloc[:, columns].mean()
            centred.add(name)
        elif center is not None:
            raise InputError(
                f'Center has the factor {name}, which cannot be demeaned here: it is tested, '
                'stands in a product, or takes the place of the intercept'
            )
    return FormulaMatrix(matrix, tuple(name for name in used if name in centred), constant)


def _term_variables(term: Any) -> tuple[str, ...]:
    """Variables of a formulaic term."""
    return tuple(column_name(factor.expr) for factor in term.factors if factor.expr != '1')


def _has_intercept(terms: Sequence[Any], factors: Collection[str]) -> bool:
    """True if a constant is in the span: an intercept, or all levels of a factor."""
    return any(
        not names or (len(names) == 1 and names[0] in factors)
        for names in map(_term_variables, terms)
    )
