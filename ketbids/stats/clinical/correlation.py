"""Correlations of outcomes, or of their change, with a variable of people."""

from typing import Any

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.circularity import uses_of_analysis
from ketbids.stats.clinical import methods
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.families import family_table, family_warnings, with_family, with_stars
from ketbids.stats.clinical.outcomes import (
    Measure,
    find_measures,
    measure_columns,
    values_by_visit,
)
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.rows import Loss, Sample, find_sample, lost_values, missing_table
from ketbids.stats.clinical.selection import qualify, selection_of
from ketbids.stats.clinical.sentences import correlation_sentences
from ketbids.stats.clinical.specs import CorrelationStatistic
from ketbids.stats.clinical.summaries import missing_summary, no_outcomes
from ketbids.stats.ordinary.correlations import Correlation, correlate

__all__ = ['run_correlation']


def run_correlation(statistic: CorrelationStatistic, data: ClinicalData) -> Result:
    """Correlate every outcome, as each of the values, with the variable.

    Returns
    -------
    Result
        Tables ``correlations``, ``families`` (p corrected over outcomes within one of the
        values), ``values`` and ``missing``.

    Raises
    ------
    InputError
        Nothing could be correlated; a variable, a score or a column is absent.
    """
    measures = find_measures(statistic.outcome, data)
    if not measures:
        return no_outcomes(statistic.outcome)
    sessions = [session for pair in statistic.values.values() for session in pair]
    visits = values_by_visit(measures, data, sessions)
    # A covariate that is missing concerns the partial correlation only.
    sample = find_sample(data, statistic.subset, (statistic.variable,))
    if not len(sample.people):
        raise InputError(
            f'{statistic.name}: none of {len(sample.members)} participants has a value of '
            f'{statistic.variable}'
        )
    if statistic.variable in sample.levels:
        raise InputError(f'{statistic.variable} is not a number: it cannot be correlated')
    partial = find_sample(data, statistic.subset, (statistic.variable, *statistic.covariates))
    rows: list[dict[str, Any]] = []
    points: list[pd.DataFrame] = []
    losses: dict[str, list[Loss]] = {}
    for measure in measures:
        found = losses.setdefault(measure.name, list(sample.losses))
        if statistic.covariates:
            own = {loss.who for loss in sample.losses}
            found += [
                loss._replace(consequence='in no partial correlation')
                for loss in partial.losses
                if loss.who not in own
            ]
        kept, lost = lost_values(
            measure, visits[measure.name], data, sample.people.index, sessions
        )
        found += [loss._replace(consequence=_consequence(statistic, loss)) for loss in lost]
        for name, pair in statistic.values.items():
            value = kept[pair[0]] - (kept[pair[1]] if len(pair) > 1 else 0.0)
            rows.append(_row(statistic, data, measure, name, value, sample, partial))
            if not measure.detailed:
                continue
            table = pd.DataFrame({'outcome': measure.name, 'values': name, 'x': value})
            points.append(table.assign(y=sample.people[statistic.variable]).dropna())
    table = qualify(
        pd.DataFrame(rows).drop(columns='selection'), [row['selection'] for row in rows]
    )
    if table['r'].isna().all():
        reasons = sorted(set(table['not_available'].dropna()))
        raise InputError(f'{statistic.name}: nothing could be correlated: {"; ".join(reasons)}')
    table = with_stars(with_family(table, ['values'], measures))
    if statistic.covariates:
        tests = table[['outcome', 'values']].assign(p=table['p_partial'])
        corrected = with_family(tests, ['values'], measures)['p_holm']
        table.insert(list(table.columns).index('p_partial') + 1, 'p_partial_holm', corrected)
    tests = table.rename(columns={'values': 'test'})[['test', 'outcome', 'p']]
    values = pd.concat(points).rename_axis('participant_id').reset_index()
    missing = missing_table(losses)
    return Result(
        tables={
            'correlations': table,
            **family_table(tests, statistic.families, measures),
            'values': values[['outcome', 'participant_id', 'values', 'x', 'y']],
            'missing': missing,
        },
        summary={
            'Outcomes': [measure.name for measure in measures],
            'Method': statistic.method,
            'Variable': statistic.variable,
            'Values': {name: list(pair) for name, pair in statistic.values.items()},
            **missing_summary(sample, missing),
        },
        methods=methods.correlation_methods(statistic, measures),
        sentences=correlation_sentences(statistic, table),
        warnings=tuple(family_warnings(statistic.families, measures)),
    )


def _row(
    statistic: CorrelationStatistic,
    data: ClinicalData,
    measure: Measure,
    name: str,
    value: pd.Series,
    sample: Sample,
    partial: Sample,
) -> dict[str, Any]:
    score = sample.people[statistic.variable].astype(float)
    names = (measure.name, statistic.variable)
    plain = correlate(value, score, statistic.method, names=names)
    used = value.index[value.notna()]
    tested = uses_of_analysis(statistic.values[name], (statistic.variable,), used, data.roots)
    row = {
        **measure_columns(measure),
        'values': name,
        'variable': statistic.variable,
        'method': statistic.method,
        'selection': selection_of(measure, data, tested),
        **_numbers(plain, ''),
    }
    if statistic.covariates:
        people = value.index.intersection(partial.people.index)
        found = correlate(
            value[people],
            score[people],
            statistic.method,
            covariates=_covariates(partial, people, statistic.covariates),
            names=names,
        )
        # p_partial, because all p that a circular choice takes away start so.
        numbers = _numbers(found, 'partial_')
        row |= {('p_partial' if key == 'partial_p' else key): n for key, n in numbers.items()}
    row['not_available'] = plain.not_available
    return row


def _numbers(found: Correlation, prefix: str) -> dict[str, Any]:
    return {
        f'{prefix}n': found.n,
        f'{prefix}r': found.estimate,
        f'{prefix}ci95_low': found.low,
        f'{prefix}ci95_high': found.high,
        f'{prefix}df': found.df,
        f'{prefix}p': found.p,
    }


def _covariates(sample: Sample, people: pd.Index, names: tuple[str, ...]) -> np.ndarray:
    """Numbers, and indicators of all levels but the first of factors; shape (n, k)."""
    columns = []
    for name in names:
        values = sample.people.loc[people, name]
        if name in sample.levels:
            columns += [(values == level).to_numpy(float) for level in sample.levels[name][1:]]
        else:
            columns.append(values.to_numpy(float))
    return np.column_stack(columns)


def _consequence(statistic: CorrelationStatistic, loss: Loss) -> str:
    if not loss.when:
        return 'not analysed'
    lost = [name for name, pair in statistic.values.items() if loss.when in pair]
    return f'not in {" and ".join(lost)}'
