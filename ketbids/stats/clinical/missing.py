"""How many were lost to what, over all statistics."""

from collections.abc import Mapping

import pandas as pd

__all__ = ['MISSING_COLUMNS', 'count_losses']

#: Columns of the table that `count_losses` makes.
MISSING_COLUMNS: tuple[str, ...] = ('statistic', 'outcome', 'missing', 'session_id', 'reason')
MISSING_COLUMNS += ('consequence', 'n', 'participants')


def count_losses(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Count the participants whom each thing that was missing concerned.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Of each statistic its table ``missing``: one row per participant (and session), see
        `ketbids.stats.clinical.rows.missing_table`.

    Returns
    -------
    DataFrame
        `MISSING_COLUMNS`: the statistic, its outcome, what was missing when and why, what
        followed, how many participants that concerned and who they are. Statistics in the order
        given; in each the largest loss first.
    """
    keys = list(MISSING_COLUMNS[1:6])
    rows = []
    for statistic, table in tables.items():
        known = table.astype(object).where(table.notna(), None)
        groups: dict[tuple[str | None, ...], set[str]] = {}
        for row in known.to_dict('records'):
            own = groups.setdefault(tuple(row[key] for key in keys), set())
            own.add(str(row['participant_id']))
        ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
        rows += [(statistic, *key, len(who), ', '.join(sorted(who))) for key, who in ordered]
    counted = pd.DataFrame(rows, columns=list(MISSING_COLUMNS), dtype='object')
    return counted.astype({'n': 'int64'})
