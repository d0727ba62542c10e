"""Correlations of ROI values, or their change, with a score."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

__all__ = ['associate']


def associate(
    values: pd.DataFrame, scores: pd.Series, definitions: Mapping[str, tuple[str, ...]]
) -> pd.DataFrame:
    """Correlate ROI values with a score over participants (Pearson).

    Parameters
    ----------
    values : DataFrame
        Columns ``participant_id``, ``session_id`` (missing in a study without sessions), ``roi``,
        ``selection``, ``value``.
    scores : Series
        Indexed by participant.
    definitions : mapping of str to tuple of str
        One session (its value) or two (first minus second), per name; the empty text is the only
        visit of a study without sessions.

    Returns
    -------
    DataFrame
        Columns ``roi``, ``selection``, ``values`` (name of the definition), ``n``, ``r``, ``p``,
        ``p_holm`` (corrected by Holm's method over the regions of the same definition).
        ``p`` is given for ``independent`` selections only: where the data that chose an ROI test
        it again, p has no meaning. Fewer than four participants give a missing ``r``.
    """
    from scipy.stats import pearsonr
    from statsmodels.stats.multitest import multipletests

    rows = []
    values = values.assign(session_id=values['session_id'].fillna('').astype(str))
    for (roi, selection), region in values.groupby(['roi', 'selection'], sort=False):
        wide = region.set_index(['participant_id', 'session_id'])['value'].unstack()  # noqa: PD010
        for name, sessions in definitions.items():
            columns = [wide.get(s, pd.Series(np.nan, wide.index)) for s in sessions]
            value = columns[0] if len(columns) == 1 else columns[0] - columns[1]
            pair = pd.DataFrame({'x': value, 'y': scores}).dropna().astype(float)
            row = {'roi': roi, 'selection': selection, 'values': name, 'n': len(pair)}
            row |= {'r': np.nan, 'p': np.nan}
            if len(pair) >= 4 and pair['x'].std() > 0 and pair['y'].std() > 0:
                result = pearsonr(pair['x'], pair['y'])
                row['r'] = float(result.statistic)
                if selection == 'independent':
                    row['p'] = float(result.pvalue)
            rows.append(row)
    names = ['roi', 'selection', 'values', 'n', 'r', 'p']
    table = pd.DataFrame(rows, columns=names)
    table['p_holm'] = np.nan
    for _, family in table.dropna(subset='p').groupby('values'):
        table.loc[family.index, 'p_holm'] = multipletests(family['p'], method='holm')[1]
    return table
