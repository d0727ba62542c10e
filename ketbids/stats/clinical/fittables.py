"""Tables of fitted models of several outcomes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.circularity import DataUse, Selection
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.families import with_family, with_stars
from ketbids.stats.clinical.fits import SUBJECT, TIME, Fitted
from ketbids.stats.clinical.outcomes import measure_columns
from ketbids.stats.clinical.selection import qualify, selection_of, stars
from ketbids.stats.clinical.specs import Basis, Ddf
from ketbids.stats.mixed.margins import parse_means
from ketbids.stats.mixed.model import MixedFit
from ketbids.stats.ordinary.corrections import Correction

__all__ = ['Uses', 'compare_table', 'covariance_table', 'estimates_table', 'influence_table']
__all__ += ['means_table', 'pair_tests', 'pairs_table', 'terms_table', 'values_table']


class Uses(NamedTuple):
    """What tests of a model use of the data, given who is in the fit.

    Attributes
    ----------
    term : callable
        (term, participants) -> DataUse.
    coefficient : callable
        The same for a coefficient of treatment coding, by its term.
    cells : callable
        (level of each factor in the first mean, in the second one, participants) -> DataUse; for
        a mean alone both are the same.
    """

    term: Callable[[str, Sequence[str]], DataUse]
    coefficient: Callable[[str, Sequence[str]], DataUse]
    cells: Callable[[dict[str, str], dict[str, str], Sequence[str]], DataUse]


def terms_table(
    fits: Sequence[Fitted],
    data: ClinicalData,
    uses: Uses,
    *,
    formula: str,
    ddf: Ddf,
    basis: Basis,
    visits: int,
) -> pd.DataFrame:
    """Type III tests; one row with the reason for what was not fitted.

    Parameters
    ----------
    fits : sequence of Fitted
    data : ClinicalData
    uses : Uses
    formula, ddf, basis : str
    visits : int
        How many values there would be of each outcome if nothing were missing.
    """
    parts: list[pd.DataFrame] = []
    selections: list[Selection | None] = []
    for item in fits:
        about: dict[str, Any] = {**measure_columns(item.measure), 'model': formula}
        if item.fit is None:
            about |= {'n_obs': int(np.isfinite(item.values).sum()), 'p': np.nan}
            parts.append(pd.DataFrame([about | {'not_available': item.reason}]))
            selections.append(None if item.measure.kind != 'region' else 'independent')
            continue
        fit = item.fit
        about |= {
            'covariance': fit.structure,
            'method': 'OLS' if fit.structure == 'independent' else 'REML',
            'n_subjects': fit.n_subjects,
            'n_obs': fit.n_obs,
            'n_dropped': visits - fit.n_obs,
        }
        table = fit.terms(ddf=ddf, basis=basis)
        for place, (name, value) in enumerate(about.items()):
            table.insert(place, name, value)
        plain = ddf == 'satterthwaite'
        table['ddf_method'] = 'residual' if fit.structure == 'independent' else ddf
        table['ddf_basis'] = basis if plain and fit.structure != 'independent' else None
        table['singular'], table['converged'] = fit.singular, fit.converged
        table['not_available'] = _untested(table, ddf)
        parts.append(table)
        selections += [
            selection_of(item.measure, data, uses.term(term, item.participants))
            for term in table['term']
        ]
    found = qualify(_joined(parts), selections)
    return with_stars(with_family(found, ['term'], [item.measure for item in fits]))


def _untested(table: pd.DataFrame, ddf: str) -> list[str | None]:
    """Why a term has no p."""
    reason = f'degrees of freedom by {ddf} are not defined in these data'
    return [reason if np.isnan(p) else None for p in table['p']]


def estimates_table(
    fits: Sequence[Fitted], data: ClinicalData, uses: Uses, *, ddf: Ddf
) -> pd.DataFrame:
    """Coefficients in treatment coding."""
    parts: list[pd.DataFrame] = []
    selections: list[Selection | None] = []
    for item in _fitted(fits):
        assert item.fit is not None
        table = item.fit.estimates(ddf=ddf)
        terms = ['Intercept'] * len(table)
        for term, columns in item.fit.design.slices.items():
            for column in range(*columns.indices(len(table))):
                terms[column] = term
        parts.append(_about(item, table))
        selections += [
            selection_of(item.measure, data, uses.coefficient(term, item.participants))
            for term in terms
        ]
    found = qualify(_joined(parts), selections)
    return with_family(found, ['term'], [item.measure for item in fits])


def covariance_table(fits: Sequence[Fitted]) -> pd.DataFrame:
    """Covariance parameters."""
    parts = []
    for item in _fitted(fits):
        assert item.fit is not None
        table = item.fit.covariance()
        table.insert(0, 'covariance', item.fit.structure)
        parts.append(_about(item, table))
    return _joined(parts)


def means_table(
    fits: Sequence[Fitted], data: ClinicalData, uses: Uses, *, means: Sequence[str], ddf: Ddf
) -> pd.DataFrame:
    """Marginal means; the selection says whether the level of a region is biased."""
    parts = []
    for item in _fitted(fits):
        assert item.fit is not None
        for spec in means:
            table = item.fit.emmeans(spec, ddf=ddf)
            table.insert(0, 'means', spec)
            if item.measure.kind == 'region':
                table['selection'] = [
                    selection_of(item.measure, data, uses.cells(cell, cell, item.participants))
                    for cell in _cells(item.fit, spec)
                ]
            parts.append(_about(item, table))
    return _joined(parts)


def pairs_table(
    fits: Sequence[Fitted],
    data: ClinicalData,
    uses: Uses,
    *,
    means: Sequence[str],
    ddf: Ddf,
    correction: str,
) -> pd.DataFrame:
    """Pairs of marginal means; ``p_adjusted`` is by the chosen correction within an outcome."""
    parts: list[pd.DataFrame] = []
    selections: list[Selection | None] = []
    for item in _fitted(fits):
        assert item.fit is not None
        for spec in means:
            table = item.fit.pairs(spec, ddf=ddf)
            cells = _cells(item.fit, spec)
            pairs = item.fit.prepared.pair_rows(spec).pairs
            table.insert(0, 'means', spec)
            parts.append(_about(item, table))
            selections += [
                selection_of(
                    item.measure, data, uses.cells(cells[one], cells[other], item.participants)
                )
                for one, other in pairs
            ]
    if not parts:
        return pd.DataFrame()
    found = qualify(_joined(parts), selections)
    place = list(found.columns).index('p_bonferroni')
    chosen = found['p' if correction == 'none' else f'p_{correction}']
    found.insert(place, 'adjust', correction)
    found.insert(place, 'p_adjusted', chosen)
    found['test.'] = pair_tests(found, means)['test']
    methods: dict[str, Correction] = {'p_holm_family': 'holm', 'p_fdr_family': 'bh'}
    measures = [item.measure for item in fits]
    found = with_family(found, ['test.'], measures, methods).drop(columns='test.')
    place = list(found.columns).index('p_bonferroni')
    found.insert(place, 'stars', stars(found[['p_adjusted', 'p_holm_family']].max(axis=1)))
    return found


def influence_table(fits: Sequence[Fitted]) -> pd.DataFrame:
    """Cook's distance of each participant."""
    parts = []
    for item in _fitted(fits):
        assert item.fit is not None
        table = item.fit.influence().rename(columns={'subject': SUBJECT})
        parts.append(_about(item, table, brief=True))
    return _joined(parts)


def values_table(
    fits: Sequence[Fitted], rows: pd.DataFrame, session: str | None = None
) -> pd.DataFrame:
    """Values, factors, whitened residuals and their normal quantiles, one row per value.

    Quantiles are those of (rank - 3/8) / (n + 1/4) (Blom 1958).

    Parameters
    ----------
    fits : sequence of Fitted
    rows : DataFrame
        Rows that were fitted.
    session : str, optional
        Session of all values, where there is no column of it.
    """
    from scipy.special import ndtri

    parts = []
    for item in fits:
        table = rows[np.isfinite(item.values)].copy()
        if TIME in table:
            table.insert(1, 'session_id', table[TIME])
            table = table.drop(columns=TIME)
        elif session is not None:
            table.insert(1, 'session_id', session)
        table['value'] = item.values[np.isfinite(item.values)]
        if item.fit is not None:
            residuals = item.fit.residuals()
            table['fitted'] = residuals['fitted']
            table['residual'] = residuals['residual']
            whitened = residuals['whitened']
            table['residual_whitened'] = whitened
            ranks = whitened.rank(method='average')
            table['quantile'] = ndtri((ranks - 0.375) / (len(ranks) + 0.25))
        table.insert(0, 'outcome', item.measure.name)
        parts.append(table)
    return _joined(parts)


def compare_table(
    fits: Sequence[Fitted],
    data: ClinicalData,
    uses: Uses,
    *,
    structures: Sequence[str],
    ddf: Ddf,
    basis: Basis,
) -> pd.DataFrame:
    """Criteria and terms with other covariance structures, the model's own one first."""
    parts: list[pd.DataFrame] = []
    selections: list[Selection | None] = []
    for item in _fitted(fits):
        assert item.fit is not None
        for name in dict.fromkeys((item.fit.structure, *structures)):
            about: dict[str, Any] = {**measure_columns(item.measure), 'covariance': name}
            try:
                fit = item.model.fit(item.values, name=item.measure.name, covariance=name)
                table = fit.terms(ddf=ddf, basis=basis)
            except InputError as error:
                parts.append(pd.DataFrame([about | {'p': np.nan, 'not_available': str(error)}]))
                selections.append(None if item.measure.kind != 'region' else 'independent')
                continue
            criteria = fit.criteria()
            kept = ('n_covariance_parameters', 'minus2_restricted_loglik', 'aic', 'bic')
            about |= {key: criteria[key] for key in kept}
            about['singular'] = fit.singular
            names = ['term', 'num_df', 'den_df', 'f', 'p']
            table = table[names].copy()
            for place, (key, value) in enumerate(about.items()):
                table.insert(place, key, value)
            table['not_available'] = _untested(table, ddf)
            parts.append(table)
            selections += [
                selection_of(item.measure, data, uses.term(term, item.participants))
                for term in table['term']
            ]
    return qualify(_joined(parts), selections)


def pair_tests(pairs: pd.DataFrame, means: Sequence[str]) -> pd.DataFrame:
    """``outcome``, ``test`` and ``p`` of pairs, for correction over outcomes."""
    if not len(pairs):
        return pd.DataFrame(columns=['outcome', 'test', 'p'])
    tests = []
    for row in pairs.to_dict('records'):
        held = [f'{name} {row[name]}' for name in parse_means(row['means']).by]
        where = f' at {", ".join(held)}' if held else ''
        tests.append(f'{row["means"]}: {row["contrast"]}{where}')
    return pairs[['outcome', 'p']].assign(test=tests)


def _fitted(fits: Sequence[Fitted]) -> list[Fitted]:
    return [item for item in fits if item.fit is not None]


def _about(item: Fitted, table: pd.DataFrame, *, brief: bool = False) -> pd.DataFrame:
    about = {'outcome': item.measure.name} if brief else measure_columns(item.measure)
    for place, (name, value) in enumerate(about.items()):
        table.insert(place, name, value)
    return table


def _cells(fit: MixedFit, spec: str) -> list[dict[str, str]]:
    """Level of each factor in each marginal mean."""
    cells = fit.prepared.marginal_rows(spec)[0].cells.to_dict('records')
    return [{str(name): str(level) for name, level in cell.items()} for cell in cells]


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table; a column that some parts lack keeps its place among those that have it."""
    if not parts:
        return pd.DataFrame()
    longest = max(parts, key=lambda part: len(part.columns))
    columns: dict[str, list[Any]] = {str(name): [] for name in longest.columns}
    columns |= {str(name): [] for part in parts for name in part.columns}
    for part in parts:
        for name, values in columns.items():
            values += part[name].tolist() if name in part else [None] * len(part)
    return pd.DataFrame(columns)
