"""What a mixed model cannot be fitted to, found before it is tried, in the table's own words."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.mixed.design import Design
from ketbids.stats.mixed.rows import LongTable, Rows, listed, row_name
from ketbids.stats.mixed.structures import get_structure

__all__ = ['check_covariance', 'check_design', 'check_response', 'check_rows', 'check_some_left']

#: Participants: below the first a refusal, below the second a warning.
FEWEST, FEW = 3, 10
#: A singular value this small, of columns of unit length, is rounding.
_COLLINEAR = 1e-9
#: Sizes of values whose fourth powers are finite numbers and not 0.
_SMALLEST, _LARGEST = 1e-70, 1e70


def check_some_left(table: LongTable, missing: pd.DataFrame) -> None:
    """Refuse a table of which no row has everything.

    Raises
    ------
    InputError
        With the number of missing values by column.
    """
    if missing.any(axis=1).all():
        counts = [f'{name} in {count}' for name, count in missing.sum().items() if count]
        raise InputError(
            f'None of {len(missing)} rows has all values of the model; missing: '
            f'{", ".join(counts) or "all"}'
        )


def check_rows(rows: Rows, *, repeated: bool = True) -> list[str]:
    """Check who was measured when, and in which group.

    Parameters
    ----------
    rows : Rows
    repeated : bool
        False: rows are independent, and participants may repeat.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    InputError
        Under 3 participants, a factor with one level, a between-participant factor that varies
        within participants, a participant with two rows of a visit.
    """
    warnings = list(rows.warnings)
    n = len(rows.subjects)
    if n < FEWEST:
        raise InputError(
            f'{n} participant{"s" * (n != 1)} ({listed(rows.subjects)}): at least {FEWEST} are '
            'needed'
        )
    if n < FEW:
        warnings.append(f'Only {n} participants: results depend much on the assumptions')
    for name, levels in rows.factors.items():
        if len(levels) < 2:
            raise InputError(
                f'Factor {name} has one level, {levels[0]}, in the {len(rows.values)} rows that '
                'are used: remove it from the formula'
            )
    if repeated:
        warnings += _check_between(rows) + _two_valued(rows) + _unnamed_visits(rows)
        _check_repeats(rows)
    for name in rows.factors:
        per_level = pd.Series(rows.subject).groupby(rows.values[name].to_numpy()).nunique()
        for level in per_level.index[per_level == 1]:
            warnings.append(f'{name} {level} has one participant')
    return warnings


def _check_between(rows: Rows) -> list[str]:
    """A factor that varies in some participants is an error; in most, it is within them."""
    warnings = []
    sizes = np.bincount(rows.subject, minlength=len(rows.subjects))
    several = sizes > 1
    for name in rows.factors:
        if name in rows.visit_name.split(':'):
            continue
        counts = rows.values[name].groupby(rows.subject).nunique().to_numpy()
        varies = counts > 1
        if not varies.any():
            continue
        if varies.sum() <= several.sum() / 2:
            who = [rows.subjects[i] for i in np.flatnonzero(varies)]
            raise InputError(
                f'{name} differs between rows of the same participant ({listed(who)}), though it '
                'is the same in the rows of most participants: correct it, or, if it truly '
                'changes over time, write it as a number (0 and 1 for two levels)'
            )
        warnings.append(
            f'{name} differs within {varies.sum()} of {several.sum()} participants: it is taken '
            'as a factor within participants'
        )
    return warnings


def _two_valued(rows: Rows) -> list[str]:
    """Warn of numbers such as 0 and 1 that differ within a few participants: mistyped groups."""
    warnings = []
    several = np.bincount(rows.subject, minlength=len(rows.subjects)) > 1
    for name in rows.values:
        if name in rows.factors or rows.values[name].nunique() != 2:
            continue
        varies = rows.values[name].groupby(rows.subject).nunique().to_numpy() > 1
        if varies.any() and varies.sum() <= several.sum() / 2:
            who = [rows.subjects[i] for i in np.flatnonzero(varies)]
            low, high = sorted(rows.values[name].unique())
            warnings.append(
                f'{name} is {low:g} or {high:g} and differs between rows of {listed(who)}, though '
                f'it is the same in the rows of most participants: if {name} is a group, correct '
                f'it, and give its levels ({low:g}, {high:g}) to make it a factor'
            )
    return warnings


def _unnamed_visits(rows: Rows) -> list[str]:
    """Say what tells the rows of a participant apart if no visit was named."""
    if rows.named:
        return []
    within = rows.visit_name.split(':')
    if len(within) > 1:
        return [
            f'No visit is named: {" and ".join(within)} differ within most participants, and '
            'together tell their rows apart; name the visit if one of them should not differ'
        ]
    if rows.visit_name in rows.factors:
        return []
    # Rows that differ in a number, such as age, are told apart by it.
    alike = rows.values.assign(**{' ': rows.subject}).duplicated(keep=False).to_numpy()
    if not alike.any():
        return []
    count = len(np.unique(rows.subject[alike]))
    first, second = np.flatnonzero(alike & (rows.subject == rows.subject[alike.argmax()]))[:2]
    index = rows.values.index
    return [
        f'No visit is named, and nothing in the formula tells the rows of {count} '
        f'participant{"s" * (count > 1)} apart (such as {row_name(index, index[first])} and '
        f'{row_name(index, index[second])}): they are taken as repetitions in any order; check '
        'that none is a copy, and name the visit'
    ]


def _check_repeats(rows: Rows) -> None:
    key = pd.MultiIndex.from_arrays([rows.subject, rows.visit])
    twice = key.duplicated(keep=False)
    if not twice.any():
        return
    index = rows.values.index
    groups: dict[tuple[int, int], list[str]] = {}
    for place in np.flatnonzero(twice).tolist():
        who, when = int(rows.subject[place]), int(rows.visit[place])
        groups.setdefault((who, when), []).append(row_name(index, index[place]))
    found = [
        f'{rows.subjects[who]} at {rows.visits[when]}: {", ".join(places)}'
        for (who, when), places in groups.items()
    ]
    raise InputError(
        f'More than one row of a participant ({rows.subject_name}) at a visit '
        f'({rows.visit_name}): {"; ".join(found[:8])}'
        + (f' and {len(found) - 8} more' if len(found) > 8 else '')
        + '. Keep one row of each'
    )


def check_design(design: Design) -> list[str]:
    """Check that every coefficient is estimable.

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    InputError
        A constant or collinear covariate, an empty cell of an interaction, not more rows than
        coefficients.
    """
    values = design.values
    for name in design.covariates:
        if np.ptp(values[name].to_numpy()) == 0:
            raise InputError(
                f'{name} is {values[name].iloc[0]:g} in all {len(values)} rows that are used: '
                'remove it from the formula'
            )
    for column, name in enumerate(design.names):
        _check_size(design.matrix[:, column], name)
    for term in design.formula.terms:
        factors = [name for name in term if name in design.factors]
        if len(factors) > 1:
            _check_cells(design, factors)
    n, p = design.matrix.shape
    _check_collinear(design)
    if n <= p:
        raise InputError(
            f'{n} rows are not enough for {p} coefficients ({listed(design.names)}): use fewer '
            'terms'
        )
    return _covariates_at_zero(design)


def _check_cells(design: Design, factors: Sequence[str]) -> None:
    present = set(design.values[factors].itertuples(index=False, name=None))
    every = pd.MultiIndex.from_product([design.factors[name] for name in factors])
    empty = [
        ', '.join(f'{name} {level}' for name, level in zip(factors, cell, strict=True))
        for cell in every
        if cell not in present
    ]
    if empty:
        term = ':'.join(factors)
        raise InputError(
            f'No row that is used has {"; or ".join(empty[:8])}'
            + (f'; and {len(empty) - 8} more such cells' if len(empty) > 8 else '')
            + f', so that type III tests with {term} are not defined: leave {term} out, or leave '
            'out or join levels'
        )


def _check_collinear(design: Design) -> None:
    matrix = design.matrix.copy()
    for name in design.covariates:
        matrix[:, design.slices[name]] -= design.means[name]
    length = np.linalg.norm(matrix, axis=0)
    _, sizes, directions = np.linalg.svd(matrix / np.where(length > 0, length, 1), False)
    null = directions[len(sizes) - int((sizes <= _COLLINEAR * sizes[0]).sum()) :]
    if not len(null) or len(matrix) < matrix.shape[1]:
        return
    involved = np.abs(null).max(axis=0) > 1e-6
    terms = [term for term, columns in design.slices.items() if involved[columns].any()]
    raise InputError(
        f'The columns of {", ".join(terms)} are collinear (one follows from the others) in the '
        f'{len(matrix)} rows that are used: leave one of them out'
    )


def _covariates_at_zero(design: Design) -> list[str]:
    warnings = []
    for name in design.covariates:
        others = {other for term in design.formula.terms if name in term for other in term} - {
            name
        }
        mean, sd = design.means[name], design.values[name].std()
        if others and abs(mean) > 1e-6 * sd:
            warnings.append(
                f'{name} stands in a product with {", ".join(sorted(others))}, whose own test is '
                f'at {name} = 0 (its mean is {mean:.4g}): centre {name} for a test at its mean'
            )
    return warnings


def check_covariance(rows: Rows, matrix: npt.NDArray[np.float64], covariance: str) -> list[str]:
    """Check that the rows can tell the covariance parameters.

    Parameters
    ----------
    rows : Rows
    matrix : array of (n, p)
    covariance : str

    Returns
    -------
    list of str
        Warnings.

    Raises
    ------
    InputError
        One row per participant, visits that nobody has both, too few participants.
    """
    structure = get_structure(covariance)
    warnings = []
    if covariance == 'diag':
        warnings.append(
            'diag takes the visits of a participant as independent, so that standard errors and '
            'p are wrong if they correlate: it is there to reproduce other results only'
        )
    if not structure.correlated:
        return warnings
    n, m, n_visits = len(rows.subject), len(rows.subjects), len(rows.visits)
    if n == m:
        raise InputError(
            f'Every participant ({rows.subject_name}) has one row, so that {structure.title} and '
            'residual variance cannot be told apart: use a linear model (ordinary least squares)'
        )
    means = np.zeros((m, matrix.shape[1]))
    np.add.at(means, rows.subject, matrix)
    means /= np.bincount(rows.subject)[:, None]
    centred = matrix - means[rows.subject]
    scale = np.linalg.norm(matrix, axis=0)
    rank = int((np.linalg.svd(centred / scale, compute_uv=False) > _COLLINEAR).sum())
    between, within = m - (matrix.shape[1] - rank), n - m - rank
    if between < 1 or within < 1:
        what = 'between' if between < 1 else 'within'
        raise InputError(
            f'{n} rows of {m} participants leave no degree of freedom {what} participants beside '
            f'{matrix.shape[1]} coefficients, so that {structure.title} cannot be estimated: use '
            'fewer terms'
        )
    if covariance in ('un', 'toep'):
        _check_pairs(rows, covariance)
    if covariance == 'un' and between < n_visits:
        raise InputError(
            f'Covariance un has {n_visits * (n_visits + 1) // 2} parameters, which {m} '
            f'participants with up to {n_visits} visits cannot tell: try cs'
        )
    return warnings


def _check_pairs(rows: Rows, covariance: str) -> None:
    seen = np.zeros((len(rows.subjects), len(rows.visits)), dtype=int)
    seen[rows.subject, rows.visit] = 1
    together = seen.T @ seen
    first, second = np.triu_indices(len(rows.visits), 1)
    never = [(a, b) for a, b in zip(first, second, strict=True) if not together[a, b]]
    if covariance == 'toep':
        lags = {b - a for a, b in zip(first, second, strict=True) if together[a, b]}
        never = [(a, b) for a, b in never if b - a not in lags]
    if never:
        pairs = [f'{rows.visits[a]} and {rows.visits[b]}' for a, b in never]
        raise InputError(
            f'No participant has both {listed(pairs)}, so that covariance {covariance} cannot be '
            'estimated: try cs'
        )


def check_response(y: npt.NDArray[np.float64], name: str, index: pd.Index) -> None:
    """Check the values of a response, NaN where missing.

    Raises
    ------
    InputError
        An infinite value, the same value in all rows, or values so large or small that products
        of four cannot be computed with.
    """
    infinite = np.flatnonzero(np.isinf(y))
    if len(infinite):
        raise InputError(
            f'{name} is infinite in {row_name(index, index[infinite[0]])}: correct it, or write '
            'n/a if it is missing'
        )
    present = y[~np.isnan(y)]
    if len(present) and (present == present[0]).all():
        raise InputError(f'{name} is {present[0]:g} in all {len(present)} rows: it must vary')
    _check_size(present, name)


def _check_size(values: npt.NDArray[np.float64], name: str) -> None:
    """Refuse units in which variances of variances are no finite numbers, or 0."""
    largest = float(np.abs(values).max(initial=0))
    if largest and not _SMALLEST < largest < _LARGEST:
        problem = 'large' if largest > 1 else 'small'
        raise InputError(
            f'{name} is at most {largest:.3g} in size, which is too {problem} to compute with: '
            'take another unit'
        )
