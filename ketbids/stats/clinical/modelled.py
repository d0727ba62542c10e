"""Mixed models over sessions, and linear models of one value per participant."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.circularity import (
    DataUse,
    uses_of_analysis,
    uses_of_pair,
    uses_of_term,
)
from ketbids.stats.clinical import fittables, methods
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.families import family_table, family_warnings
from ketbids.stats.clinical.fits import TIME, Fitted, fit_outcomes, long_rows
from ketbids.stats.clinical.outcomes import Measure, find_measures, values_by_visit
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.rows import (
    Loss,
    Sample,
    find_sample,
    lost_values,
    missing_table,
    present_levels,
)
from ketbids.stats.clinical.sentences import gathered, model_sentences
from ketbids.stats.clinical.specs import LinearStatistic, MixedStatistic
from ketbids.stats.clinical.summaries import missing_summary, no_outcomes
from ketbids.stats.mixed.design import parse_formula
from ketbids.stats.people import listing

__all__ = ['run_linear', 'run_mixed']


def run_mixed(statistic: MixedStatistic, data: ClinicalData) -> Result:
    """Fit a mixed model over sessions to every outcome.

    Returns
    -------
    Result
        Tables ``terms``, ``estimates``, ``covariance``, ``emmeans``, ``pairs``, ``families``,
        ``influence``, ``values``, ``comparison`` and ``missing``; those that would be empty are
        left out. Outcomes that are there for the correction of others only are in those of
        tests: ``terms``, ``estimates``, ``pairs`` and ``families``.

    Raises
    ------
    InputError
        No outcome could be fitted, or the data lack what the statistic names.
    """
    measures = find_measures(statistic.outcome, data)
    if not measures:
        return no_outcomes(statistic.outcome)
    variables = [name for name in parse_formula(statistic.formula).variables if name != TIME]
    sample = find_sample(data, statistic.subset, variables, f'1 + {statistic.formula}')
    if not len(sample.people):
        raise InputError(f'{statistic.name}: nobody has all of {listing(variables)}')
    rows = long_rows(sample.people, statistic.sessions)
    visits = values_by_visit(measures, data, statistic.sessions)
    values: dict[Measure, np.ndarray] = {}
    losses: dict[str, list[Loss]] = {}
    for measure in measures:
        kept, lost = lost_values(
            measure, visits[measure.name], data, sample.people.index, statistic.sessions
        )
        values[measure] = kept.loc[sample.people.index].to_numpy(float).ravel()
        here = kept.notna()
        losses[measure.name] = [
            *sample.losses,
            *(loss._replace(consequence=_visit_lost(here, loss.who)) for loss in lost),
        ]
    levels = present_levels(sample.people, sample.levels) | {TIME: statistic.sessions}
    fits = fit_outcomes(
        rows,
        values,
        statistic.formula,
        covariance=statistic.covariance,
        levels=levels,
        center=statistic.center,
    )
    uses = _mixed_uses(statistic, data.roots)
    visits_asked = len(sample.members) * len(statistic.sessions)
    tables = _tables(statistic, data, fits, uses, rows, visits_asked, None)
    detailed = [item for item in fits if item.measure.detailed]
    tables['covariance'] = fittables.covariance_table(detailed)
    if statistic.compare:
        tables['comparison'] = fittables.compare_table(
            detailed,
            data,
            uses,
            structures=statistic.compare,
            ddf=statistic.ddf,
            basis=statistic.basis,
        )
    singular = [item.measure.name for item in fits if item.fit is not None and item.fit.singular]
    text = methods.mixed_methods(statistic, measures, singular)
    return _result(statistic, measures, fits, tables, sample, missing_table(losses), text)


def run_linear(statistic: LinearStatistic, data: ClinicalData) -> Result:
    """Fit a linear model to one value per participant, for every outcome.

    Returns
    -------
    Result
        Tables as of `run_mixed`, but ``covariance`` and ``comparison``.

    Raises
    ------
    InputError
        As `run_mixed`.
    """
    measures = find_measures(statistic.outcome, data)
    if not measures:
        return no_outcomes(statistic.outcome)
    variables = list(parse_formula(statistic.formula).variables)
    sample = find_sample(data, statistic.subset, variables, f'1 + {statistic.formula}')
    if not len(sample.people):
        raise InputError(f'{statistic.name}: nobody has all of {listing(variables)}')
    pair = statistic.value or ('',)
    visits = values_by_visit(measures, data, pair)
    values: dict[Measure, np.ndarray] = {}
    losses: dict[str, list[Loss]] = {}
    for measure in measures:
        kept, lost = lost_values(measure, visits[measure.name], data, sample.people.index, pair)
        kept = kept.loc[sample.people.index]
        value = kept[pair[0]] - (kept[pair[1]] if len(pair) > 1 else 0.0)
        values[measure] = value.to_numpy(float)
        losses[measure.name] = [*sample.losses, *lost]
    rows = long_rows(sample.people, None)
    fits = fit_outcomes(
        rows,
        values,
        statistic.formula,
        covariance='independent',
        levels=present_levels(sample.people, sample.levels),
        center=statistic.center,
    )
    label = ' - '.join(pair)
    uses = _linear_uses(statistic, data.roots)
    tables = _tables(statistic, data, fits, uses, rows, len(sample.members), label)
    text = methods.linear_methods(statistic, measures)
    return _result(statistic, measures, fits, tables, sample, missing_table(losses), text)


def _tables(
    statistic: MixedStatistic | LinearStatistic,
    data: ClinicalData,
    fits: Sequence[Fitted],
    uses: fittables.Uses,
    rows: pd.DataFrame,
    visits: int,
    session: str | None,
) -> dict[str, pd.DataFrame]:
    reasons = {item.reason for item in fits if item.reason is not None}
    if all(item.fit is None for item in fits):
        raise InputError(
            f'{statistic.name}: nothing could be fitted: {"; ".join(sorted(reasons))}'
        )
    ddf = statistic.ddf if isinstance(statistic, MixedStatistic) else 'satterthwaite'
    basis = statistic.basis if isinstance(statistic, MixedStatistic) else 'spss'
    tables = {
        'terms': fittables.terms_table(
            fits, data, uses, formula=statistic.formula, ddf=ddf, basis=basis, visits=visits
        ),
        'estimates': fittables.estimates_table(fits, data, uses, ddf=ddf),
    }
    detailed = [item for item in fits if item.measure.detailed]
    if statistic.means:
        tables['emmeans'] = fittables.means_table(
            detailed, data, uses, means=statistic.means, ddf=ddf
        )
        tables['pairs'] = fittables.pairs_table(
            fits, data, uses, means=statistic.means, ddf=ddf, correction=statistic.adjust
        )
    tables['influence'] = fittables.influence_table(detailed)
    tables['values'] = fittables.values_table(detailed, rows, session)
    return tables


def _result(
    statistic: MixedStatistic | LinearStatistic,
    measures: Sequence[Measure],
    fits: Sequence[Fitted],
    tables: dict[str, pd.DataFrame],
    sample: Sample,
    missing: pd.DataFrame,
    text: str,
) -> Result:
    tests = tables['terms'].rename(columns={'term': 'test'})[['outcome', 'test', 'p']]
    pairs = fittables.pair_tests(tables.get('pairs', pd.DataFrame()), statistic.means)
    tests = pd.concat([part for part in (tests, pairs) if len(part)], ignore_index=True)
    tables |= family_table(tests, statistic.families, measures)
    warnings = gathered(
        [(item.measure.name, words) for item in fits if item.fit for words in item.fit.warnings]
        + [(item.measure.name, f'not fitted: {item.reason}') for item in fits if item.reason]
    )
    return Result(
        tables={name: table for name, table in tables.items() if len(table)}
        | {'missing': missing},
        summary={
            'Outcomes': [measure.name for measure in measures],
            'Models': {i.measure.name: _model(i) for i in fits if i.measure.detailed},
            **missing_summary(sample, missing),
        },
        methods=text,
        sentences=model_sentences(statistic, tables),
        warnings=(*warnings, *family_warnings(statistic.families, measures)),
    )


def _model(item: Fitted) -> dict[str, Any]:
    """What is known of one fit."""
    if item.fit is None:
        return {'NotAvailable': item.reason}
    fit = item.fit
    normality = fit.normality()
    influence = fit.influence().dropna(subset='cooks_distance')
    found: dict[str, Any] = {
        'NParticipants': fit.n_subjects,
        'NObservations': fit.n_obs,
        'Singular': bool(fit.singular),
        'Converged': bool(fit.converged),
        'Criteria': {key: _plain(value) for key, value in fit.criteria().items()},
        'ShapiroWilk': {key: _plain(value) for key, value in normality.items()},
    }
    if len(influence):
        largest = influence.iloc[int(influence['cooks_distance'].argmax())]
        found['LargestCooksDistance'] = {
            'Participant': f'sub-{largest["subject"]}',
            'Distance': float(largest['cooks_distance']),
        }
    return found


def _plain(value: Any) -> Any:
    """A value that JSON knows."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _visit_lost(here: pd.DataFrame, who: str) -> str:
    others = [str(session) for session in here.columns if here.loc[who, session]]
    if not others:
        return 'not analysed'
    verb = 'is' if len(others) == 1 else 'are'
    return f'this visit is left out; {listing(others)} {verb} analysed'


def _mixed_uses(statistic: MixedStatistic, roots: Mapping[str, frozenset[str]]) -> fittables.Uses:
    formula = parse_formula(statistic.formula)
    sessions = statistic.sessions
    interacting = {name for term in formula.terms if TIME in term for name in term if name != TIME}

    def term(name: str, who: Sequence[str]) -> DataUse:
        return uses_of_term(name, sessions, who, roots, TIME)

    def coefficient(name: str, who: Sequence[str]) -> DataUse:
        parts = [] if name == 'Intercept' else name.split(':')
        if TIME in parts:
            # Treatment coding: at the first levels of what interacts with time.
            held = [*(part for part in parts if part != TIME), *sorted(interacting)]
            return uses_of_term(':'.join([TIME, *held]), sessions, who, roots, TIME)
        first = sessions[0] if not parts or interacting & set(parts) else None
        return uses_of_pair(first, first, sessions, parts, who, roots)

    def cells(one: dict[str, str], other: dict[str, str], who: Sequence[str]) -> DataUse:
        between = [name for name in one if name != TIME]
        alike = all(one[name] == other[name] for name in between)
        return uses_of_pair(
            one.get(TIME), other.get(TIME), sessions, between, who, roots, same_people=alike
        )

    return fittables.Uses(term, coefficient, cells)


def _linear_uses(
    statistic: LinearStatistic, roots: Mapping[str, frozenset[str]]
) -> fittables.Uses:
    def term(name: str, who: Sequence[str]) -> DataUse:
        return uses_of_analysis(statistic.value, name.split(':'), who, roots)

    def cells(one: dict[str, str], other: dict[str, str], who: Sequence[str]) -> DataUse:
        return uses_of_analysis(statistic.value, list(one), who, roots)

    return fittables.Uses(term, term, cells)
