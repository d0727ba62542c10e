"""Formulas of mixed models, their model matrices, and type III hypotheses."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError

__all__ = ['Design', 'Formula', 'HypothesisBasis', 'build_design', 'hypothesis', 'parse_formula']
__all__ += ['sum_coding']

HypothesisBasis = Literal['last', 'first', 'doolittle']

_NAME = r'[^\W\d][\w.]*'
_TOKEN = re.compile(
    rf'(?P<factor>C\(\s*(?P<inner>{_NAME})\s*\))|(?P<word>{_NAME})|(?P<one>1(?![\w.]))'
    r'|(?P<operator>[+*:])'
)
#: Bounds that keep the expansion of a formula small.
_MAX_LENGTH, _MAX_TERMS, _MAX_ORDER = 500, 60, 4
_RULE = 'a formula holds names of columns, C(name), +, * and :, for example'
_INTERCEPT = '(Intercept)'


class Formula(NamedTuple):
    """What a formula says.

    Attributes
    ----------
    response : str or None
        Left side; None if there is none.
    terms : tuple of tuple of str
        Variables of each term, lower orders first, as R orders them.
    variables : tuple of str
        Of the right side, in the order of appearance.
    factors : frozenset of str
        Variables that stand in ``C(...)``.
    """

    response: str | None
    terms: tuple[tuple[str, ...], ...]
    variables: tuple[str, ...]
    factors: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the terms, such as ``time:group``."""
        return tuple(':'.join(term) for term in self.terms)


def parse_formula(formula: str, *, example: str = 'y ~ time * group + age') -> Formula:
    """Read ``y ~ time * group + age``, or its right side alone.

    Parameters
    ----------
    formula : str
        The intercept is always there. Nothing in a formula is executed.
    example : str
        What messages show.

    Returns
    -------
    Formula

    Raises
    ------
    InputError
        Anything that is not allowed, and a product without its parts (``time:group`` without
        ``time`` and ``group``), for which type III tests are not defined.
    """

    def refuse(problem: str) -> InputError:
        return InputError(f"Formula '{str(formula)[:120]}': {problem}; {_RULE} {example}")

    if not isinstance(formula, str) or len(formula) > _MAX_LENGTH:
        raise refuse(f'not a text of at most {_MAX_LENGTH} characters')
    left, tilde, right = formula.rpartition('~')
    response = left.strip()
    if '~' in left or (tilde and response and not re.fullmatch(_NAME, response)):
        raise refuse(
            f"'{response[:40]}' cannot be the response: write the name of one column, of letters, "
            'digits, _ and . (rename the column if it has others)'
        )
    tokens = _tokens(right, refuse)
    products: list[list[tuple[str, ...]]] = [[]]
    operator = '+'
    for index, token in enumerate(tokens):
        if index % 2:
            if (operator := token.group()) == '+':
                products.append([])
            continue
        if token['one'] and (index or any(t.group() != '+' for t in tokens[1:2])):
            raise refuse('1 (the intercept, which is always there) can only stand first')
        name = token['inner'] or token['word'] or ''
        products[-1] += [(operator, name)] if name else []
    named = [t['inner'] or t['word'] for t in tokens if not (t['operator'] or t['one'])]
    variables = tuple(dict.fromkeys(named))
    if not variables:
        raise refuse('it has no term')
    if response in variables:
        raise refuse(f'{response} stands on both sides')
    joined = [_parts(product) for product in products]
    for parts in joined:
        # What is too big must not be expanded first: n parts make 2^n - 1 terms.
        if len(parts) > _MAX_ORDER or len({name for part in parts for name in part}) > _MAX_ORDER:
            raise refuse(f'it has a product of more than {_MAX_ORDER} parts')
    expanded = [term for parts in joined for term in _expand(parts)]
    order = {name: place for place, name in enumerate(variables)}
    sets = dict.fromkeys(tuple(sorted(set(term), key=order.__getitem__)) for term in expanded)
    terms = tuple(sorted(sets, key=len))
    if len(terms) > _MAX_TERMS:
        raise refuse(f'it has more than {_MAX_TERMS} terms ({len(terms)})')
    for term in terms:
        for size in range(1, len(term)):
            for part in itertools.combinations(term, size):
                if part not in sets:
                    raise refuse(
                        f'{":".join(term)} stands there without {":".join(part)}, so that type '
                        f'III tests are not defined: write {" * ".join(term)}'
                    )
    factors = frozenset(token['inner'] for token in tokens if token['factor'])
    return Formula(response or None, terms, variables, factors)


def _tokens(text: str, refuse: Callable[[str], InputError]) -> list[re.Match[str]]:
    tokens: list[re.Match[str]] = []
    position, text = 0, text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise refuse(f"'{text[position : position + 20]}' is not allowed")
        if bool(match['operator']) != bool(len(tokens) % 2):
            raise refuse(f"'{match.group()}' cannot stand where it stands")
        tokens.append(match)
        position = match.end()
        while text[position : position + 1].isspace():
            position += 1
    if not len(tokens) % 2:
        raise refuse('it ends too early')
    return tokens


def _parts(product: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Parts of ``a * b:c``: a and b:c (``:`` binds tighter than ``*``), each once."""
    parts: list[tuple[str, ...]] = []
    for operator, name in product:
        if operator == ':':
            parts[-1] += (name,)
        else:
            parts.append((name,))
    return list(dict.fromkeys(parts))


def _expand(parts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Terms of all parts of a product: of a and b:c also a:b:c."""
    return [
        sum(chosen, ())
        for size in range(1, len(parts) + 1)
        for chosen in itertools.combinations(parts, size)
    ]


@dataclass(frozen=True)
class Design:
    """Model matrix of the rows that are used.

    Sum-to-zero coding: the type III test of a term is the test of its own columns, as all cells
    are filled (which `ketbids.stats.mixed.checks` makes sure of).

    Attributes
    ----------
    formula : Formula
    factors : mapping of str to tuple of str
        Levels of each factor in their order; factors in the order of the formula.
    covariates : tuple of str
        The numbers among the formula's variables.
    values : DataFrame, n rows
        Variables of the formula: factors as text, covariates as float.
    matrix : array, shape (n, p)
    names : tuple of str
        Of the columns: ``time1`` (sum coding), ``age``.
    slices : mapping of str to slice
        Columns of each term.
    """

    formula: Formula
    factors: Mapping[str, tuple[str, ...]]
    covariates: tuple[str, ...]
    values: pd.DataFrame
    matrix: np.ndarray
    names: tuple[str, ...]
    slices: Mapping[str, slice]

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms."""
        return self.formula.names

    @cached_property
    def means(self) -> dict[str, float]:
        """Mean of each covariate over the rows."""
        return {name: float(self.values[name].mean()) for name in self.covariates}

    @cached_property
    def to_treatment(self) -> np.ndarray:
        """Matrix T, shape (p, p): coefficients of treatment coding are T times those of here."""
        return _to_treatment(self)

    @cached_property
    def treatment(self) -> np.ndarray:
        """Model matrix in treatment coding (reference: the first level), shape (n, p)."""
        return np.linalg.solve(self.to_treatment.T, self.matrix.T).T

    @cached_property
    def treatment_names(self) -> tuple[str, ...]:
        """Names of coefficients in treatment coding, as R writes them: ``timeTP2``."""
        return _column_names(self.formula, self.factors, 'treatment')

    @cached_property
    def log_determinant(self) -> float:
        """Log abs det T: what is added to the REML log-likelihood for treatment coding."""
        return float(np.linalg.slogdet(self.to_treatment)[1])

    def rows_at(self, values: pd.DataFrame) -> np.ndarray:
        """Rows of the model matrix at given values of all variables, shape (len(values), p)."""
        return _matrix(self.formula, self.factors, values)


def sum_coding(levels: int) -> np.ndarray:
    """Sum-to-zero coding, shape (levels, levels - 1): the last level is minus one throughout."""
    return np.vstack([np.eye(levels - 1), -np.ones((1, levels - 1))])


def build_design(
    values: pd.DataFrame, formula: Formula, factors: Mapping[str, Sequence[str]]
) -> Design:
    """Make the model matrix.

    Parameters
    ----------
    values : DataFrame, n rows
        The formula's variables without missing values.
    formula : Formula
    factors : mapping of str to sequence of str
        Levels of each factor, all of which occur; the other variables are numbers.

    Returns
    -------
    Design
    """
    levels = {name: tuple(factors[name]) for name in formula.variables if name in factors}
    covariates = tuple(name for name in formula.variables if name not in levels)
    sizes = [_size(term, levels) for term in formula.terms]
    stops = 1 + np.cumsum(sizes)
    slices = {
        name: slice(int(stop - size), int(stop))
        for name, stop, size in zip(formula.names, stops, sizes, strict=True)
    }
    return Design(
        formula=formula,
        factors=levels,
        covariates=covariates,
        values=values[list(formula.variables)],
        matrix=_matrix(formula, levels, values),
        names=_column_names(formula, levels, 'sum'),
        slices=slices,
    )


def hypothesis(design: Design, term: str, basis: HypothesisBasis) -> np.ndarray:
    """Type III hypothesis of a term on the coefficients of sum coding.

    F does not depend on the basis, nor does Kenward-Roger; Satterthwaite's degrees of freedom of a
    test with several numerator degrees of freedom do (the eigenvectors of L C L' depend on it).

    Parameters
    ----------
    design : Design
    term : str
    basis : str
        ``last``: each level minus the last one, as SPSS and SAS; ``first``: each minus the first,
        as lmerTest under treatment coding; ``doolittle``: type I rows from the forward reduction
        of X'X in treatment coding, what lmerTest takes for models with one term.

    Returns
    -------
    array, shape (q, p)
    """
    columns = design.slices[term]
    if basis == 'doolittle':
        scale = np.sqrt((design.treatment**2).sum(axis=0))
        upper = np.linalg.qr(design.treatment / scale, mode='r')
        reduction = upper * scale / (np.diag(upper) * scale)[:, None]
        return (reduction @ design.to_treatment)[columns]
    blocks = [_differences(len(design.factors[name]), basis) for name in _factors_of(design, term)]
    rows = np.zeros((columns.stop - columns.start, design.matrix.shape[1]))
    rows[:, columns] = reduce(lambda block, next_: np.kron(next_, block), blocks, np.ones((1, 1)))
    return rows


def _factors_of(design: Design, term: str) -> list[str]:
    return [name for name in _variables(design.formula, term) if name in design.factors]


def _variables(formula: Formula, term: str) -> tuple[str, ...]:
    return formula.terms[formula.names.index(term)]


def _differences(levels: int, basis: HypothesisBasis) -> np.ndarray:
    """Differences of levels from the last or the first, on sum-coded coefficients."""
    coding = sum_coding(levels)
    return coding[:-1] - coding[-1] if basis == 'last' else coding[1:] - coding[0]


def _size(term: Sequence[str], levels: Mapping[str, Sequence[str]]) -> int:
    return int(np.prod([len(levels[name]) - 1 for name in term if name in levels], dtype=int))


def _columnwise(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Products of columns; those of the left vary fastest, as in R."""
    return np.einsum('ni,nj->nji', left, right).reshape(len(left), -1)


def _matrix(
    formula: Formula, levels: Mapping[str, tuple[str, ...]], values: pd.DataFrame
) -> np.ndarray:
    blocks = {}
    for name in formula.variables:
        if name in levels:
            codes = pd.Categorical(values[name], list(levels[name])).codes
            blocks[name] = sum_coding(len(levels[name]))[codes]
        else:
            blocks[name] = values[name].to_numpy(float)[:, None]
    columns = [np.ones((len(values), 1))]
    columns += [reduce(_columnwise, [blocks[name] for name in term]) for term in formula.terms]
    return np.hstack(columns)


def _column_names(
    formula: Formula, levels: Mapping[str, Sequence[str]], coding: Literal['sum', 'treatment']
) -> tuple[str, ...]:
    names = {name: [name] for name in formula.variables}
    for name, ordered in levels.items():
        labels = ordered[1:] if coding == 'treatment' else range(1, len(ordered))
        names[name] = [f'{name}{label}' for label in labels]
    found = [_INTERCEPT]
    for term in formula.terms:
        reversed_ = [names[name] for name in reversed(term)]
        found += [':'.join(reversed(parts)) for parts in itertools.product(*reversed_)]
    return tuple(found)


def _to_treatment(design: Design) -> np.ndarray:
    """Expand each sum-coded column in treatment-coded ones of its term and of the terms within.

    A column of a factor is its value at the first level, plus the differences from it times the
    indicators of the other levels; a covariate is itself. A product of them multiplies out.
    """
    slices: dict[tuple[str, ...], slice] = {(): slice(0, 1)}
    for term, name in zip(design.formula.terms, design.terms, strict=True):
        slices[term] = design.slices[name]
    found = np.zeros((len(design.names), len(design.names)))
    found[0, 0] = 1
    for term in design.formula.terms:
        codings = {n: sum_coding(len(design.factors[n])) for n in term if n in design.factors}
        for size in range(len(codings) + 1):
            for constant in itertools.combinations(codings, size):
                block = np.ones((1, 1))
                for name, coding in codings.items():
                    part = coding[:1] if name in constant else coding[1:] - coding[:1]
                    block = np.kron(part, block)
                rest = tuple(name for name in term if name not in constant)
                found[slices[rest], slices[term]] += block
    return found
