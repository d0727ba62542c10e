"""Results of a mixed model on the screen: sentences and tables of plain text."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ketbids.stats.apa import decimals, f_text, p_text
from ketbids.stats.mixed.structures import STRUCTURES

__all__ = ['screen_text']

_DDF = {'satterthwaite': 'Satterthwaite', 'kenward-roger': 'Kenward-Roger'}
_BASIS = {'spss': "SPSS's basis", 'lmertest': "lmerTest's basis"}
_ADJUST = {'bonferroni': 'Bonferroni', 'holm': 'Holm', 'sidak': 'Sidak', 'tukey': 'Tukey'}
#: Levels of a factor that are listed.
_SHOWN = 8


def screen_text(results: Mapping[str, Any], adjust: str) -> str:
    """Say what was found.

    Parameters
    ----------
    results : mapping
        What `ketbids.cli.mixedresults.mixed_results` gives.
    adjust : str
        Correction of the pairs that is shown.
    """
    parts = [
        _model(results),
        _section(f'Fixed effects, type III ({_ddf_text(results)})', _terms(results['terms'])),
        _section('Estimates (factors against their first level)', _estimates(results['fixed'])),
        _section('Covariance parameters', _covariance(results['covariance'])),
        _criteria(results),
    ]
    for spec, rows in results['emmeans'].items():
        parts.append(_section(f'Marginal means: {spec}', _means(rows)))
    for spec, rows in results['pairs'].items():
        named = f'p corrected by {_ADJUST[adjust]}' if adjust != 'none' else 'p not corrected'
        named += f'; d in units of {rows[0]["denominator"]}'
        parts.append(_section(f'Pairs: {spec} ({named})', _pairs(rows, adjust)))
    if results['comparison']:
        parts.append(_section('Covariance structures', _comparison(results)))
    return '\n\n'.join(parts)


def _model(results: Mapping[str, Any]) -> str:
    """What was fitted to what."""
    structure = results['covariance_structure']
    where = f' of {results["subject"]}' if structure == 'ri' else f' over {results["visit"]}'
    lines = [
        results['formula'],
        f'{results["n_obs"]} rows of {results["n_subjects"]} subjects; REML; '
        f'{STRUCTURES[structure].title}{where}',
    ]
    if found := results['visit_found']:
        order = 'any order (nothing tells them apart)' if found == 'row' else found
        lines.append(f'no visit named; rows of a subject by {order}')
    if results['n_dropped']:
        reasons: dict[str, int] = {}
        for row in results['dropped']:
            reasons[row['reason']] = reasons.get(row['reason'], 0) + 1
        told = '; '.join(f'{reason}: {count}' for reason, count in reasons.items())
        plural = 's' * (results['n_dropped'] > 1)
        lines.append(f'{results["n_dropped"]} row{plural} left out ({told})')
    for name, levels in results['factors'].items():
        more = f', ... ({len(levels)} levels)' if len(levels) > _SHOWN else ''
        lines.append(f'factor {name}: {", ".join(levels[:_SHOWN])}{more}')
    for name, mean in results['covariates'].items():
        centred = ', centred' if name in results['centered'] else ''
        lines.append(f'number {name}: mean {mean:.6g}{centred}')
    if results['singular']:
        lines.append('the fit is singular: a variance is 0')
    return '\n'.join(lines)


def _ddf_text(results: Mapping[str, Any]) -> str:
    told = f'degrees of freedom: {_DDF[results["ddf"]]}'
    if results['ddf'] == 'satterthwaite':
        return f'{told}, {_BASIS[results["basis"]]}'
    return f'{told}, {results["kenward_roger_information"]} information'


def _terms(terms: Mapping[str, Mapping[str, float]]) -> str:
    width = max((len(name) for name in terms), default=0)
    lines = []
    for name, row in terms.items():
        keys = ('F', 'num_df', 'den_df', 'p', 'partial_eta2', 'ci90_low', 'ci90_high')
        text = f_text(*(_known(row[key]) for key in keys))
        lines.append(f'{name:<{width}}  {text}')
    return '\n'.join(lines)


def _estimates(fixed: Mapping[str, Mapping[str, float]]) -> str:
    header = ('', 'estimate', 'SE', 'df', 't', 'p', '95% CI')
    rows = [
        (
            name,
            _number(row['estimate']),
            _number(row['se']),
            decimals(_known(row['df'])),
            decimals(_known(row['t'])),
            _p(row['p']),
            _interval(row['ci95_low'], row['ci95_high']),
        )
        for name, row in fixed.items()
    ]
    return _table(header, rows)


def _covariance(parameters: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        (name, _number(row['estimate']), _number(row['se']), decimals(_known(row['wald_z'])))
        for name, row in parameters.items()
    ]
    return _table(('', 'estimate', 'SE', 'Wald Z'), rows)


def _criteria(results: Mapping[str, Any]) -> str:
    found = results['criteria']
    count = found['n_covariance_parameters']
    return (
        f'-2 restricted log-likelihood = {decimals(found["minus2_restricted_loglik"])}, '
        f'AIC = {decimals(found["aic"])}, BIC = {decimals(found["bic"])}\n'
        f'(AIC and BIC count the {count} covariance parameters, as in SPSS and SAS)'
    )


def _means(rows: Sequence[Mapping[str, Any]]) -> str:
    factors = _leading(rows, 'n')
    header = (*factors, 'n', 'mean', 'SD', 'EMM', 'SE', 'df', '95% CI')
    cells = [
        (
            *(str(row[name]) for name in factors),
            str(row['n']),
            _number(row['mean']),
            _number(row['sd']),
            _number(row['emmean']),
            _number(row['se']),
            decimals(_known(row['df'])),
            _interval(row['ci95_low'], row['ci95_high']),
        )
        for row in rows
    ]
    return _table(header, cells, names=len(factors))


def _pairs(rows: Sequence[Mapping[str, Any]], adjust: str) -> str:
    key = 'p' if adjust == 'none' else f'p_{adjust}'
    by = _leading(rows, 'contrast')
    header = (*by, '', 'difference', 'SE', 't', 'df', 'p', '95% CI', 'd', '95% CI of d')
    cells = [
        (
            *(str(row[name]) for name in by),
            row['contrast'],
            _number(row['estimate']),
            _number(row['se']),
            decimals(_known(row['t'])),
            decimals(_known(row['df'])),
            _p(row[key]),
            _interval(row['ci95_low'], row['ci95_high']),
            decimals(_known(row['d'])),
            _interval(row['d_ci95_low'], row['d_ci95_high'], decimals),
        )
        for row in rows
    ]
    return _table(header, cells, names=len(by) + 1)


def _comparison(results: Mapping[str, Any]) -> str:
    lines = []
    width = max(len(name) for name in results['comparison'])
    for name, found in results['comparison'].items():
        if 'not_available' in found:
            lines.append(f'{name:<{width}}  n/a: {found["not_available"]}')
            continue
        lines.append(
            f'{name:<{width}}  -2RLL {decimals(found["minus2_restricted_loglik"])}, '
            f'AIC {decimals(found["aic"])}, BIC {decimals(found["bic"])}'
        )
        lines += [f'  {line}' for line in _terms(found['terms']).splitlines()]
    return '\n'.join(lines)


def _leading(rows: Sequence[Mapping[str, Any]], until: str) -> list[str]:
    """Columns before another one: those of factors."""
    names = list(rows[0]) if rows else []
    return names[: names.index(until)] if until in names else []


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _number(value: float | None) -> str:
    """Format a value of any size with five digits."""
    if value is None or not math.isfinite(value):
        return 'n/a'
    if value and not 1e-3 <= abs(value) < 1e6:
        return f'{value:.3e}'
    return f'{value:#.5g}' if abs(value) < 1e4 else f'{value:.2f}'


def _interval(
    low: float | None, high: float | None, text: Callable[[float], str] | None = None
) -> str:
    write = text or _number
    return 'n/a' if low is None or high is None else f'[{write(low)}, {write(high)}]'


def _p(value: float | None) -> str:
    return p_text(_known(value)).removeprefix('p ').removeprefix('= ')


def _section(title: str, body: str) -> str:
    return f'{title}\n{body}'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, names: int = 1) -> str:
    """Align columns: the first ones, of names, to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if i < names else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
