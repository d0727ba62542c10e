"""What an analysis says of each person: nobody is dropped in silence."""

import numpy as np
import pandas as pd

from ketbids.stats.accounts import account, correlated_scores, members
from ketbids.stats.associations import associate
from ketbids.stats.groupdesign import build_group_design

PEOPLE = pd.DataFrame(
    {
        'group': ['TRD'] * 8 + ['HC', None],
        'age': [30, 31, 35, 37, 40, 44, np.nan, 52, 33, 34],
        'score': [5.0, 6, 9, 7, 1, np.nan, 3, 8, 4, 2],
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


def table(not_chosen=(), **options):
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
        **options,
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


def test_correlations_are_pairwise():
    found = table(score=PEOPLE['score'], values={'first': ('A',), 'change': ('A', 'B')})
    # In the correlations is also who has no age, and for the first visit who has no second.
    first = ['used'] * 5 + ['no score'] + ['used'] * 2
    assert found['correlation_first'].tolist()[:8] == first
    assert found['correlation_change'].tolist()[:8] == [*first[:7], 'no map']
    assert found['correlation_first'].iloc[8:].isna().all()
    assert found.loc['sub-09', 'score'] == 4


def test_the_table_counts_what_is_correlated():
    found = table(score=PEOPLE['score'], values={'first': ('A',), 'change': ('A', 'B')})
    scores = correlated_scores(PEOPLE['score'], members(PEOPLE, TRD, {}))
    assert sorted(scores) == ['01', '02', '03', '04', '05', '07', '08']
    values = MAPS.assign(roi='x', selection='independent', value=np.arange(len(MAPS)) % 7.0)
    values['session_id'] = values['session_id'].str.removeprefix('ses-')
    result = associate(values, pd.Series(scores), {'first': ('A',), 'change': ('A', 'B')})
    for row in result.itertuples():
        assert row.n == (found[f'correlation_{row.values}'] == 'used').sum()


def test_people_who_are_not_chosen_are_named():
    found = table(not_chosen=['03'], score=PEOPLE['score'], values={'first': ('A',)})
    assert found.loc['sub-03', ['status', 'reason']].tolist() == [
        'left out',
        'not chosen in this call',
    ]
    assert pd.isna(found.loc['sub-03', 'correlation_first'])
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


def test_correlations_of_a_study_without_sessions():
    rng = np.random.default_rng(0)
    score = pd.Series(rng.normal(size=8), index=[f'{n:02d}' for n in range(8)])
    values = pd.DataFrame({'participant_id': score.index, 'session_id': None})
    values = values.assign(roi='x', selection='independent', value=2 * score.to_numpy())
    row = associate(values, score, {'activity': ('',)}).iloc[0]
    assert (row['n'], row['values']) == (8, 'activity')
    assert row['r'] == np.float64(1) or abs(row['r'] - 1) < 1e-12
    maps = pd.DataFrame({'participant_id': score.index, 'session_id': '', 'path': score.index})
    rows = maps.assign(participant_id='sub-' + maps['participant_id'])
    none = pd.DataFrame(columns=['participant_id', 'session_id', 'reason'])
    found = account(
        pd.DataFrame(index=score.index),
        maps,
        rows,
        none,
        sessions=(),
        variables=(),
        subset=None,
        derived={},
        score=score.rename('mood'),
        values={'activity': ('',)},
    )
    assert (found['correlation_activity'] == 'used').all()
    assert found['map'].tolist() == score.index.tolist()
