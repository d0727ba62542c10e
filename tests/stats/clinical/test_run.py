import json
from importlib.resources import files

import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.clinical.run import run_statistic
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    CountStatistic,
    FlowStatistic,
    LinearStatistic,
    MixedStatistic,
    ReferenceStatistic,
    Statistic,
    TableStatistic,
)
from tests.stats.clinical.study import REGIONS, SESSIONS, study

TRD = "group == 'TRD'"
STATISTICS: list[Statistic] = [
    MixedStatistic(
        'mixed', subset=TRD, outcome=REGIONS, formula='time * remitter + age', sessions=SESSIONS,
        means=('time', 'time|remitter'), compare=('un',), center=('age',),
    ),
    LinearStatistic(
        'linear', outcome=REGIONS, formula='group + age', value=('TP1',), means=('group',)
    ),
    ReferenceStatistic(
        'reference', outcome=REGIONS, groups={'patients': TRD}, reference='controls',
        reference_subset="group == 'HC'", reference_session='TP1', sessions=('TP1',),
        covariates=('age',),
    ),
    CorrelationStatistic(
        'correlation', subset=TRD, outcome=REGIONS, variable='hdrs_change',
        values={'serial': ('TP1', 'TP3')}, covariates=('age',),
    ),
    TableStatistic('table', variables=('age', 'sex'), by='group'),
    CountStatistic('counts', subset=TRD, conditions={'remission': 'hdrs_TP3 <= 7'}),
    FlowStatistic('flow', sessions=SESSIONS, by='group'),
]  # fmt: skip


@pytest.mark.parametrize('statistic', STATISTICS, ids=lambda statistic: statistic.name)
def test_every_kind_runs_and_every_column_is_described(statistic: Statistic) -> None:
    result = run_statistic(statistic, study())
    text = files('ketbids.data').joinpath('columns.json').read_text(encoding='utf-8')
    described = json.loads(text)
    assert result.tables
    assert result.methods
    json.dumps(dict(result.summary), allow_nan=False)
    for name, table in result.tables.items():
        known = described[f'statistics_{name}']
        # Variables of a formula are columns that no dictionary can name.
        others = {'time', 'remitter', 'age', 'sex'} if 'factor columns' in known else set()
        assert set(table.columns) - set(known) - others - {'group'} == set(), name


def test_participants_and_sessions_have_their_prefixes() -> None:
    tables = run_statistic(STATISTICS[0], study()).tables
    assert tables['values']['participant_id'].iloc[0] == 'sub-21'
    assert set(tables['values']['session_id']) == {'ses-TP1', 'ses-TP2', 'ses-TP3'}


def test_what_is_no_statistic_is_refused() -> None:
    with pytest.raises(TypeError, match='Statistic is no kind'):
        run_statistic(Statistic('s'), study())


@pytest.mark.parametrize('statistic', STATISTICS, ids=lambda statistic: statistic.name)
def test_who_is_excluded_wholly_is_in_no_statistic_but_the_flow(statistic: Statistic) -> None:
    out = pd.DataFrame(
        [('21', '', 'metal'), ('22', 'TP1', 'motion')],
        columns=['participant_id', 'session_id', 'reason'],
    )
    found = run_statistic(statistic, study(excluded=out))
    whole = run_statistic(statistic, study())
    missing = found.tables['missing']
    row = missing[(missing['participant_id'] == 'sub-21') & missing['session_id'].isna()].iloc[0]
    assert (row['missing'], row['reason']) == ('excluded', 'excluded: metal')
    if isinstance(statistic, FlowStatistic):
        assert found.summary['NEnrolled'] == whole.summary['NEnrolled']
        assert row['consequence'] == 'in the flow, not among completers and drop-outs'
        assert found.summary['NCompleters'] == whole.summary['NCompleters'] - 1
        assert 'neither completers nor drop-outs' in found.methods
        return
    counted = 'NParticipants'
    if counted not in found.summary:
        counted = 'NParticipantsInSubset'
    assert found.summary[counted] == whole.summary[counted] - 1
    words = 'Left out, as the exclusion list excludes all their visits: sub-21 (metal).'
    assert found.methods.endswith(words)
    assert 'Left out, as' not in whole.methods


def test_a_subset_of_those_who_are_excluded() -> None:
    out = pd.DataFrame([('21', '', 'metal')], columns=['participant_id', 'session_id', 'reason'])
    counts = CountStatistic('c', subset='hdrs_TP1 == one', conditions={'ill': 'hdrs_TP1 > 9'})
    data = study(excluded=out)
    one = data.people.assign(one=data.people.loc['21', 'hdrs_TP1'])
    words = "nobody is in the subset 'hdrs_TP1 == one' who is not excluded .excluded: sub-21."
    with pytest.raises(InputError, match=words):
        run_statistic(counts, study(excluded=out, people=one))
