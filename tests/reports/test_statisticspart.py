"""Tables of declared statistics, as a page has them."""

from dataclasses import replace

import pandas as pd
import pytest

from ketbids.reports.links import Link
from ketbids.reports.statisticspart import statistic_section
from ketbids.stats.clinical.run import run_statistic
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    FlowStatistic,
    MixedStatistic,
    Outcome,
    ReferenceStatistic,
    TableStatistic,
)
from tests.stats.clinical.patients import study as patients
from tests.stats.clinical.study import (
    BEHAVIOUR,
    CHOSEN,
    LEFT,
    REGIONS,
    SESSIONS,
    WHOLE,
    searched_study,
    study,
)
from tests.stats.clinical.study import FOUND as FOUND_REGIONS

TRD = "group == 'TRD'"
HDRS = MixedStatistic(
    'hdrs',
    subset=TRD,
    outcome=Outcome(score='hdrs'),
    formula='time',
    sessions=SESSIONS,
    means=('time',),
)
CORRELATION = CorrelationStatistic(
    'regions',
    subset=TRD,
    outcome=REGIONS,
    variable='hdrs_change',
    values={'serial': ('TP1', 'TP3'), 'late': ('TP2',)},
)
DISTANCE = ReferenceStatistic(
    'distance',
    outcome=BEHAVIOUR,
    groups={'patients': TRD},
    reference='controls',
    reference_subset="group == 'HC'",
    reference_session='TP1',
    sessions=SESSIONS,
)


def section(statistic, data=None, **summary):
    """The section of a statistic that was computed, from its tables."""
    result = run_statistic(statistic, data or study())
    words = {'Methods': result.methods, 'Sentences': list(result.sentences)}
    return statistic_section(statistic.name, words | summary, result.tables)


def rows(table):
    """Rows of a table by heading."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_words_and_links():
    link = Link('hdrs_terms.tsv', 'group/statistics/hdrs_terms.tsv')
    made = statistic_section(
        'hdrs',
        {'Description': 'Scores.', 'Methods': 'A model.', 'Sentences': ['F.'], 'Notes': ['One.']}
        | {'Warnings': ['Few people.']},
        {'terms': pd.DataFrame(), 'values': pd.DataFrame({'value': [1.0]})},
        [link],
    )
    assert (made.title, made.description, made.methods) == ('hdrs', 'Scores.', 'A model.')
    assert (made.sentences, made.warnings) == (('F.',), ('One.', 'Few people.'))
    assert made.links == (link,)
    # Neither what is empty nor the values of everybody is on the page.
    assert (made.tables, made.details, made.footnotes) == ((), (), ())


def test_a_model_shows_its_terms_and_folds_the_rest():
    made = section(HDRS)
    assert [table.caption for table in made.tables] == ['Tests of the terms (type III)']
    captions = [table.caption for table in made.details]
    assert captions[:2] == ['Differences between marginal means', 'Marginal means']
    assert {'Estimates of the model', 'Covariance parameters'} <= set(captions)
    direct = run_statistic(HDRS, study()).tables
    (term,) = rows(made.tables[0])
    expected = direct['terms'].iloc[0]
    assert (term['outcome'], term['term']) == ('hdrs', 'time')
    assert term['F'] == f'{expected["f"]:.2f}'
    assert term['p'] == '< .001'
    assert term['90 % interval'] == (f'{expected["ci90_low"]:.3g} to {expected["ci90_high"]:.3g}')
    assert made.footnotes == ()
    assert not any(heading.endswith(('low', 'high')) for heading in made.tables[0].columns)


def test_limits_below_zero_have_a_minus_sign():
    made = section(DISTANCE)
    (table,) = [t for t in made.tables if t.caption == 'Distance to the reference group']
    limits = run_statistic(DISTANCE, study()).tables['comparisons']
    assert (limits['ci95_low'] < 0).any()
    shown = [row['95 % interval'] for row in rows(table)]
    for text, low, high in zip(shown, limits['ci95_low'], limits['ci95_high'], strict=True):
        assert text == f'{low:.3g} to {high:.3g}'.replace('-', '\N{MINUS SIGN}')
    assert {row['session'] for row in rows(table)} == {'ses-TP1', 'ses-TP2', 'ses-TP3'}


def test_circular_rows_have_no_p_and_a_footnote():
    made = section(CORRELATION)
    (table,) = [t for t in made.tables if t.caption == 'Correlations']
    found = {(row['outcome'], row['values']): row for row in rows(table)}
    chosen, whole = found[CHOSEN, 'serial'], found[WHOLE, 'serial']
    assert chosen['selection'] == 'direct'
    assert chosen['p'] == 'n/a'
    assert chosen['p circular'] != 'n/a'
    assert chosen.get('', 'n/a') in ('n/a', '')
    assert whole['selection'] == 'independent'
    assert whole['p circular'] == 'n/a'
    (note,) = made.footnotes
    assert 'no evidence' in note


def test_of_all_parcels_only_those_beside_a_region_are_shown_by_corrected_p():
    statistic = replace(
        HDRS, name='regions', outcome=FOUND_REGIONS, formula='time * remitter', compare=('un',)
    )
    made = section(statistic, searched_study())
    for table in (*made.tables, *made.details):
        if 'outcome' not in table.columns:
            continue
        found = rows(table)
        assert LEFT not in {row['outcome'] for row in found}, table.caption
        for row in found:
            assert row['outcome'] != WHOLE or row.get('p', 'n/a') == 'n/a', table.caption
    (term,) = [
        row
        for row in rows(made.tables[0])
        if (row['outcome'], row['term']) == (WHOLE, 'time:remitter')
    ]
    assert term['p Holm'] != 'n/a'


def test_no_footnote_where_nothing_is_circular():
    data = study()
    kept = data.regions['source'] == 'parcel'
    data = study(regions=data.regions[kept], outcomes=data.outcomes.query('outcome != @CHOSEN'))
    made = section(CORRELATION, data)
    assert made.footnotes == ()
    assert 'p circular' not in made.tables[0].columns


def test_groups_stand_side_by_side():
    table1 = TableStatistic(
        'table1', variables=('age', 'sex', 'hdrs'), by='group', sessions=SESSIONS
    )
    made = section(table1)
    first = made.tables[0]
    assert first.caption == 'By group'
    assert {'variable', 'session', 'all', 'HC', 'TRD'} <= set(first.columns)
    people = study().people
    age = people.loc[people['group'] == 'HC', 'age']
    (row,) = [r for r in rows(first) if r['variable'] == 'age']
    assert row['HC'] == f'{age.mean():.1f} ({age.std():.1f})'
    assert [t.caption for t in made.tables[1:2]] == ['Tests of differences between groups']


def test_flow_has_a_column_per_session():
    flow = FlowStatistic(
        'flow', sessions=('TP1', 'TP3'), by='group', subset="group in ['HC', 'TRD']"
    )
    made = section(flow, patients())
    (table,) = [t for t in made.tables if t.caption == 'Participants']
    assert table.columns == ('group', 'stage', 'study', 'ses-TP1', 'ses-TP3')
    found = {(row['group'], row['stage']): row for row in rows(table)}
    assert found['all', 'enrolled']['study'] == '23'
    assert found['TRD', 'enrolled']['study'] == '15'
    assert found['TRD', 'excluded (moved)']['ses-TP3'] == '1'


@pytest.mark.parametrize('column', ['not_available', 'stars'])
def test_columns_without_values_are_not_shown(column):
    table = pd.DataFrame(
        {'outcome': ['a'], 'term': ['time'], 'f': [2.0], 'p': [0.023], column: [None]}
    )
    made = statistic_section('a', {}, {'terms': table})
    assert made.tables[0].columns == ('outcome', 'term', 'F', 'p')
    assert made.tables[0].rows == (('a', 'time', '2.00', '.023'),)
