"""Participant flow of a made-up study."""

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.columns import column_descriptions
from ketbids.stats.clinical.flow import run_flow
from ketbids.stats.clinical.missing import MISSING_COLUMNS, count_losses
from ketbids.stats.clinical.run import run_statistic
from ketbids.stats.clinical.specs import FlowStatistic
from ketbids.stats.ordinary.location import t_test
from tests.stats.clinical.patients import PATIENTS, study

FLOW = FlowStatistic(
    'flow',
    sessions=('TP1', 'TP3'),
    by='group',
    completers="group == 'TRD'",
    variables=('age', 'sex', 'hdrs'),
)


def numbers(table: pd.DataFrame, group: str, session: str | None) -> dict[str, int]:
    mine = table[(table['group'] == group)]
    mine = mine[mine['session_id'].isna() if session is None else mine['session_id'] == session]
    return {
        row['stage'] if row['reason'] is None else f'{row["stage"]}: {row["reason"]}': row['n']
        for row in mine.to_dict('records')
    }


def test_stages_of_the_study_and_of_each_session() -> None:
    flow = run_flow(FLOW, study()).tables['flow']

    assert numbers(flow, 'all', None) == {
        'enrolled': 23,
        'scanned': 22,
        'excluded: wrong protocol': 1,
        'no map': 0,
        'analysed': 21,
        'analysed at every session': 11,
    }
    assert numbers(flow, 'HC', 'TP1') == {
        'not scanned or not due': 1,
        'scanned': 7,
        'excluded: wrong protocol': 1,
        'no map': 0,
        'analysed': 6,
    }
    assert numbers(flow, 'TRD', 'TP3') == {
        'not scanned or not due': 2,
        'scanned': 13,
        'excluded: moved': 1,
        'no map': 1,
        'analysed': 11,
    }


def test_a_participant_is_what_the_best_visit_is() -> None:
    data = study()
    moved = pd.DataFrame(
        [('p03', 'TP1', 'slept'), ('p03', 'TP3', 'moved'), ('p05', 'TP3', 'moved')],
        columns=['participant_id', 'session_id', 'reason'],
    )
    visits = data.visits.set_index(['participant_id', 'session_id'])
    visits.loc['p09', 'has_map'] = 'no'

    flow = run_flow(FLOW, study(visits=visits.reset_index(), excluded=moved)).tables['flow']

    assert numbers(flow, 'all', None) == {
        'enrolled': 23,
        'scanned': 22,
        'excluded: slept; moved': 1,
        'no map': 2,
        'analysed': 19,
        'analysed at every session': 10,
    }


def test_each_visit_has_a_status() -> None:
    visits = run_flow(FLOW, study()).tables['visits'].set_index(['participant_id', 'session_id'])

    assert tuple(visits.loc[('p03', 'TP3')]) == ('TRD', 'excluded', 'moved')
    assert tuple(visits.loc[('p05', 'TP3')]) == ('TRD', 'no map', None)
    assert tuple(visits.loc[('p08', 'TP3')]) == ('TRD', 'not scanned or not due', None)
    assert tuple(visits.loc[('c01', 'TP1')]) == ('HC', 'excluded', 'wrong protocol')
    assert len(visits) == 46


def test_pairs_of_visits() -> None:
    pairs = run_flow(FLOW, study()).tables['visit_pairs'].set_index('group')

    assert list(pairs.loc['TRD']) == ['TP1', 'TP3', 11, 4, 0, 0]
    assert list(pairs.loc['all'])[2:] == [11, 10, 0, 2]


def test_completers_are_compared_with_those_who_left() -> None:
    data = study()

    result = run_flow(FLOW, data)

    assert (result.summary['NCompleters'], result.summary['NDropOuts']) == (13, 2)
    tests = result.tables['dropout_tests'].set_index('variable')
    left = data.people.index.isin(['p08', 'p12'])
    patients = data.people.index.isin(PATIENTS)
    expected = t_test(
        data.people.loc[patients & ~left, 'hdrs_TP1'], data.people.loc[left, 'hdrs_TP1']
    )
    assert tests.loc['hdrs', 'p'] == pytest.approx(expected.p)
    assert tests.loc['hdrs', 'session_id'] == 'TP1'
    assert tests.loc['hdrs', 'groups'] == 'completers, drop-outs'
    assert tests.loc['sex', 'test'] == 'Fisher exact'
    described = result.tables['dropout']
    mine = described[(described['variable'] == 'age') & (described['group'] == 'drop-outs')]
    assert mine['n'].item() == 2
    assert '13 of 15 were scanned at every session.' in result.sentences


def test_nobody_left() -> None:
    stayed = FlowStatistic(
        'flow',
        subset="group == 'TRD' and hdrs_TP3 > 0",
        sessions=('TP1', 'TP3'),
        variables=('age',),
    )

    result = run_flow(stayed, study())

    assert result.tables['dropout_tests']['not_available'].item() == (
        'only the group completers is there'
    )
    assert result.summary['NDropOuts'] == 0
    lost = result.tables['missing']
    assert 'p08' in set(lost[lost['missing'] == 'subset']['participant_id'])


def test_a_study_without_sessions() -> None:
    data = study()
    visits = pd.DataFrame(
        {'participant_id': PATIENTS[:10], 'session_id': '', 'has_map': ['yes'] * 9 + ['no']}
    )
    excluded = pd.DataFrame(
        [('p01', '', np.nan)], columns=['participant_id', 'session_id', 'reason']
    )

    result = run_flow(
        FlowStatistic('flow', sessions=('',)),
        study(people=data.people, visits=visits, excluded=excluded),
    )

    assert numbers(result.tables['flow'], 'all', None) == {
        'enrolled': 23,
        'scanned': 10,
        'analysed': 8,
        'not scanned or not due': 13,
        'excluded: no reason given': 1,
        'no map': 1,
    }
    assert len(result.tables['visit_pairs']) == 0
    assert len(result.tables['dropout']) == 0
    assert result.sentences[0] == (
        '23 enrolled, 10 scanned, 1 excluded (no reason given), 1 without a map, 8 analysed.'
    )


def test_sentences_and_dictionaries() -> None:
    result = run_flow(FLOW, study())

    assert result.sentences[0] == (
        '23 enrolled, 22 scanned, 1 excluded (wrong protocol), 21 analysed, 11 analysed at every '
        'session.'
    )
    assert result.sentences[2] == (
        'TP3: 10 not scanned or not due, 13 scanned, 1 excluded (moved), 1 without a map, '
        '11 analysed.'
    )
    for name in ('flow', 'visits', 'visit_pairs', 'dropout', 'dropout_tests'):
        assert list(result.tables[name].columns) == list(column_descriptions(f'statistics_{name}'))


def test_completers_must_be_a_condition_that_is_true_of_somebody() -> None:
    with pytest.raises(InputError, match="completers 'age' is not true or false"):
        run_flow(FlowStatistic('flow', sessions=('TP1', 'TP3'), completers='age'), study())
    nobody = FlowStatistic('flow', sessions=('TP1', 'TP3'), completers='age > 99')
    assert run_flow(nobody, study()).warnings == (
        "completers 'age > 99' is true for no participant",
    )


def test_losses_are_counted_over_statistics() -> None:
    missing = run_flow(FLOW, study()).tables['missing']

    found = count_losses({'flow': missing, 'again': missing.iloc[:0]})

    assert tuple(found.columns) == MISSING_COLUMNS
    assert list(found.columns) == list(column_descriptions('group_missing'))
    assert found['n'].sum() == len(missing)


def test_participants_and_sessions_get_their_prefixes() -> None:
    tables = run_statistic(FLOW, study()).tables

    assert set(tables['visit_pairs']['session_1']) == {'ses-TP1'}
    assert tables['visits']['participant_id'][0].startswith('sub-')
    assert set(tables['dropout_tests']['session_id'].dropna()) == {'ses-TP1'}
