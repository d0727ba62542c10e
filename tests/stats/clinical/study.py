"""A small made-up study: 12 controls at TP1, 20 patients at three visits, three regions."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ketbids.stats.circularity import DataUse
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.specs import Outcome, RegionChoice

__all__ = [
    'BEHAVIOUR',
    'CHOSEN',
    'CONTROLS',
    'FOUND',
    'LEFT',
    'PATIENTS',
    'REGIONS',
    'SESSIONS',
    'WHOLE',
    'searched_study',
    'study',
]

SESSIONS = ('TP1', 'TP2', 'TP3')
CONTROLS = [f'{i:02d}' for i in range(1, 13)]
PATIENTS = [f'{i:02d}' for i in range(21, 41)]
CHOSEN, WHOLE, LEFT = 'remitterChange:R_precentral', 'R_precentral', 'L_precentral'
REGIONS = Outcome(regions=RegionChoice('nogoVsGo', selected_by=('remitterChange',), atlas='DK'))
FOUND = Outcome(regions=RegionChoice('nogoVsGo', selected_by=('remitterChange',)))
BEHAVIOUR = Outcome(behaviour=('accuracy',))


def study(**changes: Any) -> ClinicalData:
    """Make the study; patients 21 to 30 are remitters. Nothing is missing."""
    rng = np.random.default_rng(7)
    everybody = CONTROLS + PATIENTS
    n = len(PATIENTS)
    people = pd.DataFrame(
        {
            'group': ['HC'] * len(CONTROLS) + ['TRD'] * n,
            'age': rng.integers(20, 60, len(everybody)).astype(float),
            'sex': ['F', 'M'] * (len(everybody) // 2),
        },
        index=everybody,
    )
    before = 20 + rng.normal(0, 3, n)
    after = np.where(np.arange(n) < 10, 5.0, 14.0) + rng.normal(0, 1, n)
    for name, values in zip(
        SESSIONS, (before, before - 4 + rng.normal(0, 2, n), after), strict=True
    ):
        people.loc[PATIENTS, f'hdrs_{name}'] = values
    people['remitter'] = (people['hdrs_TP3'] <= 9).astype('boolean')
    people.loc[CONTROLS, 'remitter'] = pd.NA
    people['hdrs_change'] = 100 * (people['hdrs_TP1'] - people['hdrs_TP3']) / people['hdrs_TP1']
    rows = []
    for outcome in (CHOSEN, WHOLE, LEFT, 'accuracy'):
        for who in everybody:
            level = rng.normal()
            for when in SESSIONS if who in PATIENTS else SESSIONS[:1]:
                rows.append((who, when, outcome, level + rng.normal()))
    outcomes = pd.DataFrame(rows, columns=['participant_id', 'session_id', 'outcome', 'value'])
    regions = pd.DataFrame(
        [
            (LEFT, 'parcel', None, 'DK', 'L_precentral'),
            (WHOLE, 'parcel', None, 'DK', 'R_precentral'),
            (CHOSEN, 'significant', 'remitterChange', 'DK', 'R_precentral'),
        ],
        columns=['outcome', 'source', 'selected_by', 'atlas', 'label'],
    )
    data = ClinicalData(
        people=people,
        outcomes=outcomes,
        regions=regions,
        selecting={
            'remitterChange': DataUse(
                ({'TP1': 1.0, 'TP3': -1.0},), frozenset({'hdrs'}), frozenset(PATIENTS)
            )
        },
        visits=outcomes[['participant_id', 'session_id']].drop_duplicates().assign(has_map='yes'),
        sessions=SESSIONS,
        levels={'group': ('HC', 'TRD')},
        roots={'remitter': frozenset({'hdrs'}), 'hdrs_change': frozenset({'hdrs'})},
    )
    return replace(data, **changes)


def searched_study() -> ClinicalData:
    """Make the study with both parcels as those in which the analysis searched."""
    regions = study().regions
    return study(regions=regions.assign(searched=['yes', 'yes', None]))
