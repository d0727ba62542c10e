"""The section on behaviour of the group page."""

import numpy as np
import pandas as pd
import pytest

from ketbids.reports.behaviourgroup import WORDS, behaviour_section
from ketbids.reports.page import GroupPage, group_page
from ketbids.stats.behaviour import MEASURES

TABLE = pd.DataFrame(
    {
        'participant_id': ['01', '02', '03'],
        'session_id': ['TP1', 'TP1', 'TP2'],
        'dprime': [2.0, 3.0, -0.5],
        'rt_drift': [0.01, np.nan, np.nan],
        'valid': [True, True, False],
        'invalid_reason': [None, None, 'pressed <never>'],
        'excluded': None,
    }
)
PEOPLE = pd.DataFrame({'group': ['HC', 'HC', 'TRD']}, index=['01', '02', '03'])


def section(table=TABLE, people=PEOPLE):
    return behaviour_section(table, people, ('dprime', 'rt_drift'), ['sub-09 is missing.'])


def test_every_measure_has_a_heading():
    assert tuple(WORDS) == MEASURES


def test_means_by_group_and_session():
    summary = section().summary
    assert summary.columns == ('', 'HC TP1 (n = 2)', 'TRD TP2 (n = 1)')
    assert summary.rows == (
        ("Sensitivity d'", '2.500 (0.707)', '\N{MINUS SIGN}0.500 (n/a)'),
        ('Drift of response time (s per minute)', '0.010 (n/a; n = 1)', 'n/a'),
    )


@pytest.mark.parametrize(
    ('table', 'columns'),
    [
        (TABLE, ('', 'TP1 (n = 2)', 'TP2 (n = 1)')),
        (TABLE.assign(session_id=''), ('', 'all sessions (n = 3)')),
        (TABLE.assign(excluded=['asleep', None, None]), ('', 'TP1 (n = 1)', 'TP2 (n = 1)')),
    ],
)
def test_studies_without_groups_or_sessions(table, columns):
    assert section(table, people=pd.DataFrame(index=PEOPLE.index)).summary.columns == columns


def test_page_shows_it_all_and_escapes_it():
    html = group_page(GroupPage('t', '1', behaviour=section()), lambda path: b'')
    assert '<a href="#behaviour">Behaviour</a>' in html
    for text in ('sub-09 is missing.', 'pressed &lt;never&gt;', '2.500 (0.707)', 'log-linear'):
        assert text in html
    assert '<never>' not in html


def test_nobody_is_flagged():
    fine = TABLE.assign(invalid_reason=None)
    assert section(fine.assign(valid=True)).flagged is None
    assert section(fine.assign(valid=None)).flagged is None


def test_who_cannot_be_judged_is_shown():
    odd = TABLE.assign(valid=None, invalid_reason=[None, '20 of 60 rows', None])
    assert section(odd).flagged.rows == (('02', 'TP1', '20 of 60 rows', 'n/a'),)
