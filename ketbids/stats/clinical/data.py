"""What statistics of people, scores, behaviour and regions are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ketbids.stats.circularity import DataUse

__all__ = ['EXCLUDED_COLUMNS', 'OUTCOME_COLUMNS', 'REGION_COLUMNS', 'VISIT_COLUMNS']
__all__ += ['ClinicalData']

#: Columns that the tables of `ClinicalData` have, at least.
OUTCOME_COLUMNS = ('participant_id', 'session_id', 'outcome', 'value')
REGION_COLUMNS = ('outcome', 'source', 'selected_by', 'atlas', 'label')
EXCLUDED_COLUMNS = ('participant_id', 'session_id', 'reason')
VISIT_COLUMNS = ('participant_id', 'session_id', 'has_map')


def _empty(columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype='object') for name in columns})


@dataclass(frozen=True)
class ClinicalData:
    """Everything that a statistic of a model file may need; labels are without sub- and ses-.

    Attributes
    ----------
    people : DataFrame
        One row per participant, indexed by label: variables of the participants table, derived
        variables, and scores as one column per session (``hdrs_TP1``). Missing values are NaN or
        None.
    outcomes : DataFrame
        Measured values, one per row: ``participant_id``, ``session_id`` (the empty text is the
        only visit of a study without sessions), ``outcome`` and ``value``. Regions and behaviour;
        scores are taken from `people`.
    regions : DataFrame
        One row per outcome that is a region: ``outcome``, ``source`` (significant, apriori,
        parcel or network), ``selected_by`` (the group analysis that found a significant region,
        else missing), ``atlas`` and ``label`` (the atlas' own; a significant region and the whole
        parcel beside it have the same). An outcome has one row: where the regions of two analyses
        share a name, the caller gives them different names. Maybe ``searched``: yes for each
        parcel of the atlases that cut the significant regions, whether one was found in it or
        not.
    selecting : mapping of str to DataUse
        What each group analysis that selects regions used.
    excluded : DataFrame
        Exclusion list: ``participant_id``, ``session_id`` (the empty text: all), ``reason``.
    visits : DataFrame
        Visits that were scanned (with events or images of the task, or with maps), those that
        are excluded too: ``participant_id``, ``session_id``, ``has_map`` (``yes``: it has maps
        that can be used; else ``no``).
    sessions : tuple of str
        All sessions of the study in the order of time; empty: not known.
    levels : mapping of str to tuple of str
        Order of a factor's levels.
    roots : mapping of str to frozenset of str
        Of each derived variable the columns of tables that it comes from; a score is one,
        whatever the session.
    inputs : mapping of str to frozenset of str
        Of each derived variable the columns of `people` that it is computed from.
    """

    people: pd.DataFrame
    outcomes: pd.DataFrame = field(default_factory=lambda: _empty(OUTCOME_COLUMNS))
    regions: pd.DataFrame = field(default_factory=lambda: _empty(REGION_COLUMNS))
    selecting: Mapping[str, DataUse] = field(default_factory=dict)
    excluded: pd.DataFrame = field(default_factory=lambda: _empty(EXCLUDED_COLUMNS))
    visits: pd.DataFrame = field(default_factory=lambda: _empty(VISIT_COLUMNS))
    sessions: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    roots: Mapping[str, frozenset[str]] = field(default_factory=dict)
    inputs: Mapping[str, frozenset[str]] = field(default_factory=dict)
