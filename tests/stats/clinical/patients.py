"""A small made-up study of patients and controls, of whom much is missing."""

from typing import Any

import numpy as np
import pandas as pd

from ketbids.stats.clinical.data import ClinicalData

#: Fifteen patients (p01 to p15) and eight controls (c01 to c08).
PATIENTS = [f'p{i:02d}' for i in range(1, 16)]
CONTROLS = [f'c{i:02d}' for i in range(1, 9)]
HDRS_1 = [20, 22, 18, 25, 19, 21, 24, 17, 23, 20, 26, 18, 22, 19, 21]
HDRS_3 = [7, 12, 5, 7, 15, 4, 11, np.nan, 9, 6, 14, np.nan, 7, 3, 10]


def study(**changes: Any) -> ClinicalData:
    """The study; p08 and p12 left after the first session, p03's last visit is excluded.

    There is no map of p05's last visit, nor of c01, who is excluded.
    """
    n, m = len(PATIENTS), len(CONTROLS)
    people = pd.DataFrame(
        {
            'group': ['TRD'] * n + ['HC'] * m,
            'age': [30.0 + i for i in range(n)] + [28.0 + 2 * i for i in range(m)],
            'sex': list('FMFMFMFMFMFMFMF') + list('FMFFMFMF'),
            'hdrs_TP1': [*map(float, HDRS_1), *[np.nan] * m],
            'hdrs_TP3': [*map(float, HDRS_3), *[np.nan] * m],
        },
        index=pd.Index(PATIENTS + CONTROLS, dtype='object'),
    )
    remitter = (people['hdrs_TP3'] <= 7).astype('boolean')
    people['remitter'] = remitter.where(people['hdrs_TP3'].notna())
    people.loc['c02', 'age'] = np.nan
    visits = [(who, 'TP1') for who in PATIENTS + CONTROLS[:7]]
    visits += [(who, 'TP3') for who in PATIENTS if who not in ('p08', 'p12')]
    scanned = pd.DataFrame(visits, columns=['participant_id', 'session_id'])
    no_map = (scanned['participant_id'] == 'p05') & (scanned['session_id'] == 'TP3')
    no_map |= scanned['participant_id'] == 'c01'
    values: dict[str, Any] = {
        'people': people,
        'visits': scanned.assign(has_map=np.where(no_map, 'no', 'yes')),
        'excluded': pd.DataFrame(
            [('p03', 'TP3', 'moved'), ('c01', 'TP1', 'wrong protocol'), ('p08', 'TP3', 'unused')],
            columns=['participant_id', 'session_id', 'reason'],
        ),
        'levels': {'group': ('HC', 'TRD')},
        'roots': {name: frozenset({'hdrs'}) for name in ('remitter', 'hdrs_TP1', 'hdrs_TP3')},
        'inputs': {'remitter': frozenset({'hdrs_TP3'})},
    }
    return ClinicalData(**(values | changes))
