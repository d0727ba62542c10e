"""p values of regions by how the region was chosen."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.circularity import DataUse, Selection, classify
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.outcomes import Measure

__all__ = ['qualify', 'selection_of', 'stars']

_LEVELS = ((0.001, '***'), (0.01, '**'), (0.05, '*'))


def selection_of(
    measure: Measure, data: ClinicalData, tested: DataUse | Iterable[DataUse]
) -> Selection | None:
    """Say how a test depends on what chose its region; None for what is no region.

    Raises
    ------
    InputError
        It is not known what the analysis used that selected the region.
    """
    if measure.kind != 'region':
        return None
    if measure.source != 'significant':
        return 'independent'
    selecting = data.selecting.get(measure.selected_by or '')
    if selecting is None:
        raise InputError(
            f'{measure.name} was selected by {measure.selected_by}, and what that analysis used '
            'is not known: run it again'
        )
    return classify(selecting, tested, data.sessions)


def qualify(table: pd.DataFrame, selections: Sequence[Selection | None]) -> pd.DataFrame:
    """Keep p for tests that are independent of the choice of their region, and only there.

    Parameters
    ----------
    table : DataFrame
        With a column ``p``, maybe others whose names start with ``p_``.
    selections : sequence, one per row
        None: no region, so there was no choice.

    Returns
    -------
    DataFrame
        If a row is about a region, with ``selection`` and ``p_circular``, where the p of the
        others stands; all their other p are missing.
    """
    if all(selection is None for selection in selections):
        return table
    given = [name for name in table.columns if name == 'p' or str(name).startswith('p_')]
    circular = np.array([selection not in (None, 'independent') for selection in selections])
    found = table.copy()
    place = list(found.columns).index('p')
    found.insert(place, 'selection', pd.Series(list(selections), index=found.index, dtype=object))
    found.insert(place + 2, 'p_circular', found['p'].where(circular))
    found.loc[circular, given] = np.nan
    return found


def stars(p: pd.Series) -> pd.Series:
    """``*`` for p < .05, ``**`` < .01, ``***`` < .001, None above and without p."""
    return pd.Series(
        [next((mark for level, mark in _LEVELS if value < level), None) for value in p],
        index=p.index,
        dtype=object,
    )
