"""What a dry run says of declared statistics that cannot be made."""

from dataclasses import replace

import numpy as np
import pytest

from ketbids.cli.listing import list_statistics
from ketbids.cli.statisticchecks import check_statistics
from ketbids.io.bids import Exclusion
from ketbids.model import load_model
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    CountStatistic,
    FlowStatistic,
    LinearStatistic,
    MixedStatistic,
    Outcome,
    ReferenceStatistic,
    TableStatistic,
)
from tests.stats.clinical.study import SESSIONS, study

MODEL = load_model()
ACCURACY = Outcome(behaviour=('accuracy',))
HDRS = Outcome(score='hdrs')


def people():
    """People without derived variables, as tables have them."""
    return study().people.drop(columns=['remitter', 'hdrs_change'])


def check(statistic, table=None):
    model = replace(MODEL, statistics=(statistic,))
    found = check_statistics(model, [statistic.name], people() if table is None else table)
    return found.get('s')


@pytest.mark.parametrize(
    ('statistic', 'why'),
    [
        (
            MixedStatistic('s', outcome=HDRS, formula='time * foo', sessions=SESSIONS),
            'no table of people has a column foo',
        ),
        (
            MixedStatistic('s', outcome=HDRS, formula='time', sessions=('TP1', 'T9')),
            'no table has a value of hdrs at ses-T9',
        ),
        (
            MixedStatistic(
                's', outcome=HDRS, formula='time', sessions=SESSIONS, subset="grp == 'TRD'"
            ),
            'no table of people has a column grp',
        ),
        (
            MixedStatistic(
                's', outcome=HDRS, formula='time', sessions=SESSIONS, subset='age > 200'
            ),
            "nobody is in the subset 'age > 200'",
        ),
        (
            LinearStatistic('s', outcome=ACCURACY, formula='group + iq', value=('TP1',)),
            'no table of people has a column iq',
        ),
        (
            CorrelationStatistic(
                's', outcome=ACCURACY, variable='foo', values={'baseline': ('TP1',)}
            ),
            'no table of people has a column foo',
        ),
        (
            CorrelationStatistic(
                's', outcome=ACCURACY, variable='sex', values={'baseline': ('TP1',)}
            ),
            "Statistic s: sex must be a number, and sub-01 has 'F'; correct the table, or take a "
            'variable of numbers',
        ),
        (
            ReferenceStatistic(
                's',
                outcome=ACCURACY,
                groups={'old': 'age > 200'},
                reference='controls',
                reference_subset="group == 'HC'",
                reference_session='TP1',
                sessions=('TP1',),
                covariates=('age',),
            ),
            'nobody is in old',
        ),
        (
            ReferenceStatistic(
                's',
                outcome=ACCURACY,
                groups={'all': 'age > 0'},
                reference='controls',
                reference_subset="group == 'HC'",
                reference_session='TP1',
                sessions=('TP1',),
            ),
            'sub-01 is in all and in controls, which it is compared with',
        ),
        (
            TableStatistic('s', variables=('age',), by='foo'),
            'no table of people has a column foo',
        ),
        (
            TableStatistic('s', variables=('hdrs',), by='group', sessions=('TP1', 'T9')),
            'hdrs has no value at T9',
        ),
        (
            FlowStatistic('s', sessions=SESSIONS, completers='foo == 1'),
            'no table of people has a column foo',
        ),
        (
            CountStatistic('s', conditions={'remission': 'madrs_TP3 <= 7'}),
            'no table of people has a column madrs_TP3',
        ),
    ],
)
def test_what_no_table_has_is_named(statistic, why):
    assert check(statistic) == why


def test_derived_variables_are_followed_to_their_columns():
    statistic = MixedStatistic('s', outcome=HDRS, formula='time * remitter', sessions=SESSIONS)
    assert check(statistic) is None
    assert check(statistic, people().drop(columns='hdrs_TP3')) == (
        'no table has a value of hdrs at ses-TP3; '
        'remitter cannot be worked out: no table has a value of hdrs at ses-TP3'
    )
    empty = people().assign(hdrs_TP3=np.nan)
    assert check(statistic, empty) == 'nobody has a value of remitter'


def test_the_packaged_statistics_can_be_made():
    names = [statistic.name for statistic in MODEL.statistics]
    assert check_statistics(MODEL, names, people()) == {}
    assert set(check_statistics(MODEL, names, people().drop(columns='hdrs_TP3'))) >= {
        'hdrsOverTime',
        'remission',
        'hdrsChange',
    }


def test_who_is_excluded_is_not_there():
    statistic = TableStatistic('s', subset='age > 30', variables=('age',), by='group')
    model = replace(MODEL, statistics=(statistic,))
    few = people().iloc[:2].assign(age=[20.0, 40.0])
    assert check_statistics(model, ['s'], few) == {}
    line = Exclusion(str(few.index[1]), '', '', 'withdrew')
    (told,) = check_statistics(model, ['s'], few, [line]).values()
    assert told.endswith(f"'age > 30' who is not excluded (excluded: sub-{few.index[1]})")


def test_only_those_that_are_asked_for_are_looked_at():
    model = replace(MODEL, statistics=(TableStatistic('s', variables=('foo',), by='group'),))
    assert check_statistics(model, [], people()) == {}


def test_the_list_has_the_reason_below_the_statistic():
    table = TableStatistic('s', variables=('age',), by='foo')
    lines = list_statistics([table], {'s': 'no table of people has a column foo'})
    assert lines == [
        'Statistics after that, if what they are made of has changed: 1, of which 1 cannot be '
        'done',
        '  s: table of age by foo',
        '    cannot be done: no table of people has a column foo',
    ]
