import json
from importlib.resources import files

import pytest

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
