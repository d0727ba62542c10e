"""What a statistic is about: its scores, regions or measures of behaviour, and their values."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.specs import Outcome, RegionChoice
from ketbids.stats.people import is_missing, listing

__all__ = ['Measure', 'find_measures', 'measure_columns', 'values_by_visit']


class Measure(NamedTuple):
    """One outcome.

    Attributes
    ----------
    name : str
    kind : {'score', 'region', 'behaviour'}
    source, selected_by, atlas, label : str or None
        Of a region: see `ClinicalData`.
    companion : str or None
        Of a region that maps selected: name of the outcome that is the whole parcel.
    searched : bool
        Whether it is one of the parcels in all of which the selecting analyses searched.
    detailed : bool
        False for a parcel that is there for the correction of others only.
    """

    name: str
    kind: Literal['score', 'region', 'behaviour']
    source: str | None = None
    selected_by: str | None = None
    atlas: str | None = None
    label: str | None = None
    companion: str | None = None
    searched: bool = False
    detailed: bool = True


def find_measures(outcome: Outcome, data: ClinicalData) -> list[Measure]:
    """List the outcomes of a statistic: regions that maps chose, each before its whole parcel.

    Beside a region that maps chose, all parcels that were searched are outcomes: the p of a
    parcel in which something was found means little before it is corrected over all of them.

    Returns
    -------
    list of Measure
        Empty if the only regions that are asked for are significant ones, and there are none.

    Raises
    ------
    InputError
        Two rows of one region.
    """
    if outcome.regions is None:
        names = (outcome.score,) if outcome.score else outcome.behaviour
        return [Measure(name, 'score' if outcome.score else 'behaviour') for name in names]
    table = data.regions.reset_index(drop=True)
    repeated = table['outcome'][table['outcome'].duplicated()]
    if len(repeated):
        raise InputError(f'Two regions are called {repeated.iloc[0]}: give them different names')
    regions = [_region(row) for row in table.to_dict('records')]
    whole = {
        (region.atlas, region.label): region.name
        for region in regions
        if region.source in ('parcel', 'network')
    }
    chosen: dict[str, Measure] = {}
    by_name = {region.name: region for region in regions}
    for region in regions:
        if region.source == 'significant' and region.selected_by in outcome.regions.selected_by:
            companion = whole.get((region.atlas, region.label))
            chosen[region.name] = region._replace(companion=companion)
            if companion is not None:
                chosen.setdefault(companion, by_name[companion])
    for region in regions:
        if _is_chosen(region, outcome.regions):
            chosen.setdefault(region.name, region)
    if any(measure.source == 'significant' for measure in chosen.values()):
        for region in regions:
            if region.searched:
                chosen.setdefault(region.name, region._replace(detailed=False))
    return list(chosen.values())


def measure_columns(measure: Measure) -> dict[str, str | None]:
    """Columns that say which outcome a row is about; a region has more of them."""
    columns: dict[str, str | None] = {'outcome': measure.name}
    if measure.kind == 'region':
        columns |= {
            'source': measure.source,
            'selected_by': measure.selected_by,
            'companion': measure.companion,
        }
    return columns


def values_by_visit(
    measures: Sequence[Measure], data: ClinicalData, sessions: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """Values of each outcome.

    Parameters
    ----------
    measures : sequence of Measure
    data : ClinicalData
    sessions : sequence of str
        Labels; the empty text is the only visit of a study without sessions, or stands for a
        variable of people, which has no visits.

    Returns
    -------
    dict of str to DataFrame
        By outcome: participants as rows, `sessions` as columns, NaN where there is no value.

    Raises
    ------
    InputError
        A score that no table has, a text where a number belongs, two values of one visit; a
        session at which nobody has a value of any outcome.
    """
    labels = list(dict.fromkeys(sessions))
    found: dict[str, pd.DataFrame] = {}
    wanted = {measure.name for measure in measures if measure.kind != 'score'}
    long = data.outcomes[data.outcomes['outcome'].isin(wanted)]
    keys = ['outcome', 'participant_id', 'session_id']
    repeated = long[long.duplicated(keys)]
    if len(repeated):
        row = repeated.iloc[0]
        raise InputError(
            f'{row["outcome"]} has two values of sub-{row["participant_id"]}'
            f'{_at(row["session_id"])}: keep one'
        )
    _refuse_unknown(labels, long)
    parts: Mapping[str, pd.DataFrame] = {str(name): part for name, part in long.groupby('outcome')}
    for measure in measures:
        if measure.kind == 'score':
            found[measure.name] = _scores(measure.name, data.people, labels)
        elif measure.name in parts:
            part = parts[measure.name].set_index(['participant_id', 'session_id'])
            wide = part['value'].unstack()  # noqa: PD010
            wide = wide.reindex(columns=labels).astype(float)
            found[measure.name] = wide.reindex(wide.index.union(data.people.index))
        else:
            found[measure.name] = pd.DataFrame(np.nan, index=data.people.index, columns=labels)
    return found


def _region(row: Mapping[Hashable, object]) -> Measure:
    def text(name: str) -> str | None:
        value = row.get(name)
        return None if is_missing(value) else str(value)

    return Measure(
        str(row['outcome']),
        'region',
        source=text('source'),
        selected_by=text('selected_by'),
        atlas=text('atlas'),
        label=text('label'),
        searched=text('searched') == 'yes',
    )


def _is_chosen(region: Measure, choice: RegionChoice) -> bool:
    if region.source == 'apriori':
        return region.name in choice.apriori
    if region.source == 'significant' or region.atlas != choice.atlas:
        return False
    return not choice.labels or bool({region.name, region.label} & set(choice.labels))


def _scores(score: str, people: pd.DataFrame, sessions: Sequence[str]) -> pd.DataFrame:
    """Values of a score at sessions, or of a variable of people."""
    columns = {}
    for session in sessions:
        name = f'{score}_{session}' if session else score
        if name not in people.columns:
            raise InputError(
                f'There is no {score}{_at(session)}: the tables of participants and sessions have '
                f'no value of it (column {name})'
            )
        given = people[name]
        numbers = pd.to_numeric(given, errors='coerce')
        text = given[numbers.isna() & ~given.map(is_missing)]
        if len(text):
            raise InputError(
                f"{name} of sub-{text.index[0]} is '{text.iloc[0]}', which is no number: correct "
                'the table'
            )
        columns[session] = numbers.astype(float)
    return pd.DataFrame(columns, index=people.index)


def _refuse_unknown(sessions: Sequence[str], values: pd.DataFrame) -> None:
    """Refuse a session at which nobody has a value of any outcome: its name may be wrong."""
    there = set(values['session_id'][values['value'].notna()])
    unknown = [session for session in sessions if session not in there]
    if there and unknown:
        raise InputError(
            f'Nobody has a value at {listing([when or "no session" for when in unknown])}; there '
            f'are values at {listing([when or "no session" for when in sorted(there)])}'
        )


def _at(session: str) -> str:
    return f' at ses-{session}' if session else ''
