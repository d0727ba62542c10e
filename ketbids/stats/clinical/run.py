"""Declared statistics, computed."""

import pandas as pd

from ketbids.stats.clinical.correlation import run_correlation
from ketbids.stats.clinical.counts import run_counts
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.flow import run_flow
from ketbids.stats.clinical.modelled import run_linear, run_mixed
from ketbids.stats.clinical.reference import run_reference
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    CountStatistic,
    FlowStatistic,
    LinearStatistic,
    MixedStatistic,
    ReferenceStatistic,
    Statistic,
    TableStatistic,
)
from ketbids.stats.clinical.summaries import excluded_text
from ketbids.stats.clinical.tableone import run_table
from ketbids.stats.clinical.uses import need_numbers

__all__ = ['run_statistic']

_PREFIXES = {'participant_id': 'sub-', 'session_id': 'ses-', 'reference_session_id': 'ses-'}
_PREFIXES |= {'session_1': 'ses-', 'session_2': 'ses-'}


def run_statistic(statistic: Statistic, data: ClinicalData) -> Result:
    """Compute a statistic of a model file.

    Parameters
    ----------
    statistic : Statistic
    data : ClinicalData

    Returns
    -------
    Result
        Participants and sessions in its tables have their prefixes (``sub-01``, ``ses-TP1``);
        a study without sessions has missing ones.

    Raises
    ------
    InputError
        The data do not allow any of it; the message says why.
    """
    need_numbers(statistic, data.people)
    match statistic:
        case MixedStatistic():
            result = run_mixed(statistic, data)
        case LinearStatistic():
            result = run_linear(statistic, data)
        case ReferenceStatistic():
            result = run_reference(statistic, data)
        case CorrelationStatistic():
            result = run_correlation(statistic, data)
        case TableStatistic():
            result = run_table(statistic, data)
        case CountStatistic():
            result = run_counts(statistic, data)
        case FlowStatistic():
            result = run_flow(statistic, data)
        case _:
            raise TypeError(f'{type(statistic).__name__} is no kind of statistic')
    tables = {name: _prefixed(table) for name, table in result.tables.items()}
    text = result.methods
    if not isinstance(statistic, FlowStatistic) and 'missing' in tables:
        text = ' '.join(filter(None, (text, excluded_text(tables['missing']))))
    return Result(tables, result.summary, text, result.sentences, result.warnings)


def _prefixed(table: pd.DataFrame) -> pd.DataFrame:
    """Participants and sessions as BIDS has them."""
    found = table.copy()
    for name, prefix in _PREFIXES.items():
        if name in found:
            found[name] = pd.Series(
                [
                    None if pd.isna(v) or v == '' else f'{prefix}{str(v).removeprefix(prefix)}'
                    for v in found[name]
                ],
                index=found.index,
                dtype=object,
            )
    return found
