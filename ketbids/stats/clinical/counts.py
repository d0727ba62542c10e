"""How many people meet conditions, such as remission and response."""

from typing import Any

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions
from ketbids.stats.apa import decimals, interval_text
from ketbids.stats.clinical.comparisons import ALL, group_levels, members
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.rows import Loss, missing_table
from ketbids.stats.clinical.specs import CountStatistic
from ketbids.stats.ordinary.contingency import proportion
from ketbids.stats.people import as_text, is_missing, listing

__all__ = ['run_counts']

_COLUMNS: tuple[str, ...] = ('condition', 'expression', 'group', 'count', 'n', 'n_missing')
_COLUMNS += ('percent', 'ci95_low', 'ci95_high', 'percent_of_all')


def run_counts(statistic: CountStatistic, data: ClinicalData) -> Result:
    """Count for whom conditions are true.

    Parameters
    ----------
    statistic : CountStatistic
    data : ClinicalData

    Returns
    -------
    Result
        Tables ``counts`` (one row per condition and group, ``all`` among them) and ``missing``.

    Raises
    ------
    InputError
        A condition that is none, or that uses a column that there is not; nobody in the subset.
    """
    people, losses = members(data, statistic)
    levels: tuple[str, ...] = ()
    groups = pd.Series(None, index=people.index, dtype='object')
    if statistic.by is not None:
        levels = group_levels(people, statistic.by, data)
        groups = as_text(people[statistic.by])
    rows: list[dict[str, Any]] = []
    missing: dict[str, list[Loss]] = {'counts': losses} if losses else {}
    for name, expression in statistic.conditions.items():
        met = expressions.evaluate(expression, people)
        if not pd.api.types.is_bool_dtype(met):
            raise InputError(
                f"Statistic {statistic.name}: condition {name} ('{expression}') is not true or "
                'false: write a comparison, such as hdrs_TP3 <= 7'
            )
        for group in (ALL, *levels):
            own = met if group == ALL else met[(groups == group).to_numpy(bool)]
            rows.append({'condition': name, 'expression': expression, 'group': group} | _row(own))
        unknown = [_unknown(str(w), expression, people) for w in people.index[met.isna()]]
        if unknown:
            missing[name] = unknown
    counts = pd.DataFrame(rows, columns=list(_COLUMNS))
    return Result(
        tables={'counts': counts, 'missing': missing_table(missing)},
        summary={
            'NParticipants': len(people),
            'Conditions': dict(statistic.conditions),
            'Counts': {
                row['condition']: [row['count'], row['n']] for row in rows if row['group'] == ALL
            },
        },
        methods=(
            'Participants who met a condition ('
            + '; '.join(f'{name}: {text}' for name, text in statistic.conditions.items())
            + ') were counted among those for whom it is known; percentages have 95 % intervals '
            "by Wilson's score method. percent_of_all counts those for whom it is not known as "
            'not meeting it.'
        ),
        sentences=tuple(_sentence(row) for row in rows),
    )


def _row(met: pd.Series) -> dict[str, Any]:
    known = met.dropna().astype(bool)
    found = proportion(int(known.sum()), len(known))
    return {
        'count': found.count,
        'n': found.n,
        'n_missing': len(met) - found.n,
        'percent': found.percent,
        'ci95_low': found.low,
        'ci95_high': found.high,
        'percent_of_all': 100 * found.count / len(met) if len(met) else np.nan,
    }


def _unknown(who: str, expression: str, people: pd.DataFrame) -> Loss:
    lacking = [n for n in expressions.names(expression) if is_missing(people.loc[who, n])]
    why = f'{listing(lacking)} missing' if lacking else 'undefined'
    return Loss(who, '', 'condition', why, 'not among those who could meet it')


def _sentence(row: dict[str, Any]) -> str:
    whom = '' if row['group'] == ALL else f' in {row["group"]}'
    if not row['n']:
        return f'{row["condition"]}{whom}: not known for any of {row["n_missing"]} participants.'
    lost = f'; not known for {row["n_missing"]}' if row['n_missing'] else ''
    return (
        f'{row["condition"]}{whom}: {row["count"]}/{row["n"]} ({decimals(row["percent"], 1)} %, '
        f'{interval_text(row["ci95_low"], row["ci95_high"], 95)}){lost}.'
    )
