"""What an analysis says of each person: nobody is dropped in silence."""

import numpy as np
import pandas as pd

from ketbids.stats.accounts import account
from ketbids.stats.groupdesign import build_group_design

PEOPLE = pd.DataFrame(
    {
        'group': ['TRD'] * 8 + ['HC', None],
        'age': [30, 31, 35, 37, 40, 44, np.nan, 52, 33, 34],
    },
    index=[f'{n:02d}' for n in range(1, 11)],
)
MAPS = pd.DataFrame(
    [
        (who, f'ses-{when}', f'{who}_{when}.nii')
        for who in [*PEOPLE.index[:9], '77']
        for when in ('A', 'B')
        if (who, when) != ('08', 'B')
    ],
    columns=['participant_id', 'session_id', 'path'],
)
TRD = "group == 'TRD'"


def table(not_chosen=()):
    design = build_group_design(
        MAPS[~MAPS['participant_id'].isin(list(not_chosen))],
        PEOPLE.drop(list(not_chosen)),
        formula='1 + age',
        contrast={'1': 1},
        difference=('A', 'B'),
        subset=TRD,
    )
    return account(
        PEOPLE,
        MAPS,
        design.rows,
        design.exclusions,
        sessions=design.sessions,
        variables=('age',),
        subset=TRD,
        derived={},
        not_chosen=not_chosen,
    ).set_index('participant_id')


def test_status_and_reason_of_everybody():
    found = table()
    assert found.index.tolist() == [*(f'sub-{n:02d}' for n in range(1, 11)), 'sub-77']
    assert found['status'].tolist() == [
        *['used'] * 6,
        *['left out'] * 2,
        'not in the subset',
        *['left out'] * 2,
    ]
    assert found.loc['sub-07', 'reason'] == 'age is missing'
    assert found.loc['sub-08', 'reason'] == 'ses-B: no map'
    reason = 'not known whether in the subset: group unknown; no map'
    assert found.loc['sub-10', 'reason'] == reason
    assert found.loc['sub-77', 'reason'] == 'not in participants.tsv'
    assert found.loc['sub-01', ['map', 'minus_map']].tolist() == ['01_A.nii', '01_B.nii']
    assert found.loc['sub-08', 'map'] == '08_A.nii'
    assert pd.isna(found.loc['sub-08', 'minus_map'])
    assert found['reason'].isna().sum() == 7
    np.testing.assert_array_equal(found['age'].iloc[:7], [30, 31, 35, 37, 40, 44, np.nan])


def test_people_who_are_not_chosen_are_named():
    found = table(not_chosen=['03'])
    assert found.loc['sub-03', ['status', 'reason']].tolist() == [
        'left out',
        'not chosen in this call',
    ]
    assert (found['status'] == 'used').sum() == 5


def test_levels_and_names_that_are_taken():
    people = PEOPLE.assign(map=1.0)
    rows = pd.DataFrame({'participant_id': ['sub-01']})
    none = pd.DataFrame(columns=['participant_id', 'session_id', 'reason'])
    found = account(
        people,
        MAPS,
        rows,
        none,
        sessions=('A',),
        variables=('old', 'map'),
        subset=None,
        derived={'old': 'age > 35'},
    )
    assert found['old'].fillna('').tolist()[:7] == ['no', 'no', 'no', 'yes', 'yes', 'yes', '']
    assert found['map_value'].tolist()[0] == 1


def test_a_study_without_sessions():
    people = pd.DataFrame(index=[f'{n:02d}' for n in range(8)])
    maps = pd.DataFrame({'participant_id': people.index, 'session_id': '', 'path': people.index})
    rows = maps.assign(participant_id='sub-' + maps['participant_id'])
    none = pd.DataFrame(columns=['participant_id', 'session_id', 'reason'])
    options = {'sessions': (), 'variables': (), 'subset': None, 'derived': {}}
    found = account(people, maps, rows, none, **options)
    assert (found['status'] == 'used').all()
    assert found['map'].tolist() == people.index.tolist()
