"""What ``ketbids-mixed`` computes: a table becomes plain values for the screen and for JSON."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ketbids.errors import InputError, UsageError
from ketbids.io.longtable import read_long_table, type_columns
from ketbids.stats.mixed.design import Formula, parse_formula
from ketbids.stats.mixed.inference import Ddf, kr_information
from ketbids.stats.mixed.margins import check_means
from ketbids.stats.mixed.model import MixedFit, MixedModel
from ketbids.stats.mixed.results import Basis
from ketbids.stats.mixed.rows import in_order

__all__ = ['Request', 'mixed_results']

#: Columns of the table of terms that are called otherwise here.
_TERMS = {'f': 'F', 'p_log10': 'log10p'}


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    formula : str
        With a response.
    subject : str
    visit : str or None
    covariance, ddf, basis : str
    levels : mapping of str to tuple of str
        Levels of factors, in their order.
    center : tuple of str
        Numbers from which their mean is subtracted.
    means : tuple of str
        Marginal means.
    compare : tuple of str
        Other covariance structures.
    diagnostics : bool
        Normality of the residuals, and influence of the subjects.
    """

    formula: str
    subject: str
    visit: str | None = None
    covariance: str = 'ri'
    ddf: Ddf = 'satterthwaite'
    basis: Basis = 'spss'
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    center: tuple[str, ...] = ()
    means: tuple[str, ...] = ()
    compare: tuple[str, ...] = ()
    diagnostics: bool = False


def mixed_results(path: Path, request: Request) -> dict[str, Any]:
    """Fit the model to a table.

    Parameters
    ----------
    path : Path
        CSV or TSV.
    request : Request

    Returns
    -------
    dict
        Values that JSON can hold; what is not known is None.

    Raises
    ------
    InputError
        The table, or what the model asks of it; the message names the file.
    UsageError
        The formula is none, or the request names variables that it does not have.
    """
    try:
        formula = parse_formula(request.formula)
    except InputError as error:
        raise UsageError(f'{str(error).rstrip(".")}.') from error
    _check(formula, request)
    frame, levels = _read(path, formula, request)
    try:
        counts = frame.dropna().nunique()
        for spec in request.means:
            check_means(spec, {name: int(counts[name]) for name in levels})
        model = MixedModel(
            frame,
            request.formula,
            subject=request.subject,
            visit=request.visit,
            levels=levels,
            covariance=request.covariance,
            center=request.center,
        )
        return _report(model.fit(), model, request)
    except InputError as error:
        raise InputError(f'{path}: {str(error).rstrip(".")}.') from error


def _check(formula: Formula, request: Request) -> None:
    if formula.response is None:
        raise UsageError(
            f"Formula '{request.formula}' has no response: write y ~ {request.formula.strip()}, "
            'with the column that is explained for y.'
        )
    known = {*formula.variables, *([request.visit] if request.visit else [])}
    for option, names in (('--levels', request.levels), ('--center', request.center)):
        for name in names:
            if name not in known:
                raise UsageError(
                    f'{option} {name}: the formula has no {name}; it has '
                    f'{", ".join(formula.variables)}.'
                )
    for spec in request.means:
        for name in re.split(r'[:|]', spec):
            if name.strip() not in formula.variables:
                raise UsageError(
                    f'--emm {spec}: the formula has no {name.strip() or "empty name"}; it has '
                    f'{", ".join(formula.variables)}.'
                )
    for name in request.center:
        if name in request.levels or name in formula.factors or name == request.visit:
            raise UsageError(f'--center {name}: {name} is a factor, and has no mean.')
    if request.subject in formula.variables:
        raise UsageError(
            f'--subject {request.subject} stands in the formula, too: its effect is random and '
            'has no fixed term.'
        )


def _read(
    path: Path, formula: Formula, request: Request
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Columns that are used, and the levels of factors in their order."""
    assert formula.response is not None
    names = {request.subject, *request.levels, *formula.factors}
    if request.visit is not None:
        names.add(request.visit)
    if formula.response in names:
        raise UsageError(f'{formula.response} is the response, and cannot be a factor too.')
    needed = [formula.response, *formula.variables, request.subject]
    needed += [request.visit] if request.visit is not None else []
    table = read_long_table(path, tuple(dict.fromkeys(needed)))
    frame = type_columns(
        path, table, names=names, numbers=(formula.response,), either=set(formula.variables)
    )
    levels = dict(request.levels)
    for name in frame.columns:
        if name == request.subject or pd.api.types.is_float_dtype(frame[name]):
            continue
        if name in levels:
            levels[name] = tuple(_plain(level) for level in levels[name])
        frame[name] = frame[name].map(_plain, na_action='ignore')
        levels.setdefault(name, in_order(frame[name].dropna().unique().tolist()))
    for name in request.center:
        if name in levels:
            raise InputError(f'{path}: --center {name}: {name} holds names, and has no mean.')
    return frame, levels


def _plain(level: str) -> str:
    """Write a level that is a whole number in one way: ``4.0`` is ``4``."""
    return level.partition('.')[0] if re.fullmatch(r'-?\d+\.0*', level) else level


def _compared(model: MixedModel, request: Request, covariance: str) -> dict[str, Any]:
    """Criteria and terms of another covariance, or why there are none."""
    try:
        fit = model.fit(covariance=covariance)
    except InputError as error:
        return {'not_available': str(error)}
    return {**_criteria(fit), 'terms': _terms(fit, request)}


def _report(fit: MixedFit, model: MixedModel, request: Request) -> dict[str, Any]:
    """Everything about one fit, and others beside it."""
    criteria, used = _criteria(fit), fit.prepared.rows.values
    terms = _terms(fit, request)
    compared = {name: _compared(model, request, name) for name in request.compare}
    untested = _untested(terms, request, request.covariance)
    for name, found in compared.items():
        untested += _untested(found.get('terms', {}), request, name)
    return {
        'formula': request.formula,
        'subject': request.subject,
        'visit': request.visit,
        'visit_found': fit.prepared.rows.visit_name if request.visit is None else None,
        'method': 'REML',
        'covariance_structure': request.covariance,
        'ddf': request.ddf,
        'basis': request.basis if request.ddf == 'satterthwaite' else None,
        'kenward_roger_information': _flavour(fit, request),
        'n_obs': int(fit.n_obs),
        'n_subjects': int(fit.n_subjects),
        'n_dropped': int(fit.n_dropped),
        'dropped': _records(fit.dropped),
        'factors': {name: list(found) for name, found in fit.design.factors.items()},
        'covariates': {name: float(used[name].mean()) for name in fit.design.covariates},
        'centered': list(request.center),
        'singular': bool(fit.singular),
        'converged': bool(fit.converged),
        'loglik': criteria['loglik'],
        'criteria': criteria,
        'terms': terms,
        'fixed': _keyed(fit.estimates(ddf=request.ddf), 'term'),
        'covariance': _keyed(fit.covariance(), 'parameter'),
        'emmeans': {spec: _records(fit.emmeans(spec, ddf=request.ddf)) for spec in request.means},
        'pairs': {spec: _records(fit.pairs(spec, ddf=request.ddf)) for spec in request.means},
        'comparison': compared,
        **(_diagnostics(fit) if request.diagnostics else {}),
        'warnings': [*fit.warnings, *_missing_levels(fit), *untested],
    }


def _missing_levels(fit: MixedFit) -> list[str]:
    """Say that rows lack a factor, for ``NA`` may have been meant as one of its levels."""
    reasons = [reason.removesuffix(' missing').split(', ') for reason in fit.dropped['reason']]
    counts = {name: sum(name in lacking for lacking in reasons) for name in fit.design.factors}
    return [
        f'{name} is missing (empty, n/a, NA or NaN) in {count} row{"s" * (count > 1)}, which '
        f'{"are" if count > 1 else "is"} left out: a level must have another name'
        for name, count in counts.items()
        if count
    ]


def _untested(
    terms: Mapping[str, Mapping[str, Any]], request: Request, covariance: str
) -> list[str]:
    """Say which terms have no p."""
    names = [name for name, row in terms.items() if row['p'] is None]
    if not names:
        return []
    where = '' if covariance == request.covariance else f' with covariance {covariance}'
    other = 'satterthwaite' if request.ddf == 'kenward-roger' else 'kenward-roger'
    return [
        f'No test of {", ".join(names)}{where}: its degrees of freedom by {request.ddf} are not '
        f'defined in these data; try {other}, or fewer terms'
    ]


def _diagnostics(fit: MixedFit) -> dict[str, Any]:
    """Shapiro and Wilk's test of the whitened residuals, Cook's distances."""
    return {
        'normality': {name: _value(value) for name, value in fit.normality().items()},
        'influence': _records(fit.influence()),
    }


def _flavour(fit: MixedFit, request: Request) -> str | None:
    return kr_information(fit.structure) if request.ddf == 'kenward-roger' else None


def _criteria(fit: MixedFit) -> dict[str, Any]:
    return {name: _value(value) for name, value in fit.criteria().items()}


def _terms(fit: MixedFit, request: Request) -> dict[str, dict[str, Any]]:
    table = fit.terms(ddf=request.ddf, basis=request.basis)
    return _keyed(table.rename(columns=_TERMS), 'term')


def _keyed(table: pd.DataFrame, key: str) -> dict[str, dict[str, Any]]:
    return {record.pop(key): record for record in _records(table)}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(name): _value(value) for name, value in row.items()}
        for row in table.to_dict('records')
    ]


def _value(value: Any) -> Any:
    """Give what JSON can hold."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
