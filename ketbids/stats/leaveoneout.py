"""Values of each participant in the regions that the others select."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.brainmodels import BrainModels
from ketbids.stats.graph import Graph
from ketbids.stats.inference import permutation_test
from ketbids.stats.regions import Region
from ketbids.stats.testoptions import TestOptions

__all__ = ['ALL', 'COLUMNS', 'NONE', 'OTHERS', 'Selecting', 'leave_one_out', 'significant_without']

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: Cuts significant grayordinates of each direction into regions.
Cutter = Callable[[Mapping[str, Mask]], Sequence[Region]]

COLUMNS = ('roi', 'atlas', 'label', 'direction', 'region', 'value', 'n_grayordinates')
#: Whose region it is: the others', nobody's (they select none there), or everybody's, because
#: the participant is not in the analysis.
OTHERS, NONE, ALL = 'others', 'none', 'all'


class Selecting(NamedTuple):
    """An analysis whose significant grayordinates are the regions.

    Attributes
    ----------
    participants : sequence of str
        Of each row.
    data : ndarray, shape (n_rows, n_grayordinates)
    design : DataFrame, shape (n_rows, n_columns)
    weights : ndarray, shape (n_columns,)
    models, graph, extent
        See `permutation_test`.
    options : TestOptions
    groups : ndarray of int, shape (n_rows,), optional
    """

    participants: Sequence[str]
    data: Floats
    design: pd.DataFrame
    weights: Floats
    models: BrainModels
    graph: Graph
    extent: Floats
    options: TestOptions
    groups: npt.NDArray[np.int64] | None = None


def significant_without(selecting: Selecting, participant: str) -> dict[str, Mask]:
    """Test an analysis without a participant.

    Columns that were demeaned over all rows are demeaned over those that are left.

    Returns
    -------
    dict of str to ndarray of bool, shape (n_grayordinates,)
        What is significant in each direction; nothing where the others are too few or too alike
        to be tested, or too few to reach the level.
    """
    keep = np.array([who != participant for who in selecting.participants])
    design = selecting.design.loc[keep].reset_index(drop=True)
    whole = selecting.design.to_numpy(float)
    centred = np.abs(whole.mean(axis=0)) <= 1e-9 * np.abs(whole).max(axis=0)
    design.loc[:, centred] -= design.loc[:, centred].mean()
    nothing = dict.fromkeys(
        selecting.options.directions, np.zeros(selecting.data.shape[1], dtype=bool)
    )
    try:
        result = permutation_test(
            selecting.data[keep],
            design,
            selecting.weights,
            selecting.models,
            selecting.graph,
            selecting.extent,
            selecting.options,
            groups=None if selecting.groups is None else selecting.groups[keep],
        )
    except InputError:
        return nothing
    if result.lowest_p >= selecting.options.alpha:
        return nothing
    return {direction: p < selecting.options.alpha for direction, p in result.pfwe.items()}


def leave_one_out(
    selecting: Selecting,
    regions: Sequence[Region],
    cut: Cutter,
    maps: npt.ArrayLike,
    people: Sequence[str],
) -> pd.DataFrame:
    """Average each participant's maps over the part of a parcel that the others select.

    The estimate is free of the bias that the participant's own maps bring into the choice of
    their region, but not of that of the discovery: only regions that all participants together
    selected are looked at (after Esterman et al. 2010, NeuroImage
    50:572-576). Its values are linked among participants; they describe and are not tested.

    Parameters
    ----------
    selecting : Selecting
    regions : sequence of Region
        What all participants together select.
    cut : callable
        Makes regions of what is significant, in the same way.
    maps : array_like, shape (n_maps, n_grayordinates)
        Of every visit, NaN where a value is missing.
    people : sequence of str
        Whose map it is.

    Returns
    -------
    DataFrame
        One row per map and region: ``map`` (row of `maps`) and `COLUMNS`. ``value`` is the mean
        over finite grayordinates, nan where the others select nothing in that parcel and
        direction.
    """
    values = np.asarray(maps, float)
    inside = set(selecting.participants)
    rows: list[dict] = []
    if not regions:
        return pd.DataFrame(columns=['map', *COLUMNS])
    for who in dict.fromkeys(people):
        own: dict[tuple, Mask] = {}
        if who in inside:
            for region in cut(significant_without(selecting, who)):
                own[region.atlas, region.label, region.direction] = region.mask
        for number in (i for i, owner in enumerate(people) if owner == who):
            for region in regions:
                place = (region.atlas, region.label, region.direction)
                mask = own.get(place) if who in inside else region.mask
                here = values[number, mask] if mask is not None else np.empty(0)
                finite = here[np.isfinite(here)]
                rows.append(
                    {
                        'map': number,
                        **dict(zip(('atlas', 'label', 'direction'), place, strict=True)),
                        'roi': region.roi,
                        'region': ALL if who not in inside else NONE if mask is None else OTHERS,
                        'value': finite.mean() if len(finite) else np.nan,
                        'n_grayordinates': len(finite),
                    }
                )
    table = pd.DataFrame(rows, columns=['map', *COLUMNS])
    return table.sort_values(['roi', 'map'], kind='stable', ignore_index=True)
