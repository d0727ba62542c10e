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

MINUS = '\N{MINUS SIGN}'
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
    f, df = expected['f'], expected['den_df']
    assert term['F'] in (f'F(2, {df:.0f}) = {f:.2f}', f'F(2, {df:.2f}) = {f:.2f}')
    assert term['p'] == '< .001'
    eta2, low, high = expected[['partial_eta2', 'ci90_low', 'ci90_high']]
    text = f'{eta2:.2f} [{low:.2f}, {high:.2f}]'.replace('0.', '.')
    assert term['partial \N{GREEK SMALL LETTER ETA}\N{SUPERSCRIPT TWO} [90% CI]'] == text
    assert made.footnotes == ()
    assert not any(heading.endswith(('low', 'high')) for heading in made.tables[0].columns)


def test_limits_below_zero_have_a_minus_sign():
    made = section(DISTANCE)
    (table,) = [t for t in made.tables if t.caption == 'Distance to the reference group']
    limits = run_statistic(DISTANCE, study()).tables['comparisons']
    assert (limits['g_ci95_low'] < 0).any()
    shown = [row['g [95% CI]'] for row in rows(table)]
    expected = zip(limits['g'], limits['g_ci95_low'], limits['g_ci95_high'], strict=True)
    for text, (g, low, high) in zip(shown, expected, strict=True):
        told = f'{g:.2f} [{low:.2f}, {high:.2f}]'.replace('-', MINUS)
        assert text == told.replace(f'{MINUS}0.00', '0.00')
    assert {row['session'] for row in rows(table)} == {'ses-TP1', 'ses-TP2', 'ses-TP3'}


def test_circular_rows_say_so_in_place_of_p_and_have_a_footnote():
    made = section(CORRELATION)
    (table,) = [t for t in made.tables if t.caption.startswith('Correlations')]
    assert table.columns[:6] == ('outcome', 'values', 'selection', 'r [95% CI]', 'p', 'p circular')
    assert table.numeric[:6] == (False, False, False, False, True, True)
    found = {(row['outcome'], row['values']): row for row in rows(table)}
    chosen, whole = found[CHOSEN, 'serial'], found[WHOLE, 'serial']
    assert chosen['selection'] == 'direct'
    assert chosen['p'] == 'circular'
    assert chosen['p circular'].lstrip('< ').startswith('.')
    assert chosen.get('', '') == ''
    assert whole['selection'] == 'independent'
    assert whole['p'] != 'circular'
    assert whole['p circular'] == ''
    (note,) = made.footnotes
    assert 'no evidence' in note


def parcels(*names, **columns):
    """Terms of a region that was found, and of whole parcels."""
    table = pd.DataFrame({'outcome': ['a:L_x', *names], 'term': 'time', 'num_df': 2.0})
    table['den_df'], table['f'], table['p'], table['p_holm'] = 20.5, 3.0, 0.0712, 0.2136
    table['source'] = ['significant', *['parcel'] * len(names)]
    table['companion'] = ['L_x', *[None] * len(names)]
    return table.assign(**columns)


def test_parcels_that_the_model_file_names_are_shown_and_the_caption_tells_of_the_others():
    table = parcels('L_x', 'L_y', 'L_z')
    regions = {'outcome': {'regions': {'labels': ['L_z']}}}
    made = statistic_section('roi', {'Statistic': regions}, {'terms': table})
    (shown,) = made.tables
    assert [row[0] for row in shown.rows] == ['a:L_x', 'L_x', 'L_z']
    assert shown.caption.endswith(', 3 of 4 rows (all: roi_terms.tsv)')
    assert rows(shown)[0]['F'] == 'F(2, 20.50) = 3.00'
    assert [row['p'] for row in rows(shown)] == ['.071', 'n/a', 'n/a']
    assert {row['p Holm'] for row in rows(shown)} == {'.214'}


@pytest.mark.parametrize(('n', 'where'), [(40, 'open'), (41, 'folded'), (201, 'file')])
def test_long_tables_are_folded_and_very_long_ones_not_shown(n, where):
    table = parcels(*(f'L_{i}' for i in range(n - 1)), companion=None)
    made = statistic_section('roi', {}, {'terms': table})
    assert (len(made.tables), len(made.details)) == (where == 'open', where == 'folded')
    told = f'Tests of the terms (type III) ({n} rows): roi_terms.tsv'
    assert any(told in note for note in made.footnotes) == (where == 'file')


def test_pairs_begin_with_the_factors_and_name_their_correction():
    pairs = pd.DataFrame(
        {
            'outcome': ['a:L_x', 'L_x'],
            'source': ['significant', 'parcel'],
            'companion': ['L_x', None],
            'means': 'time|group',
            'contrast': 'TP1 - TP3',
            'estimate': -2.6,
            'df': 38.47,
            't': -2.194,
            'selection': ['direct', 'independent'],
            'p': [None, 0.03],
            'p_holm_family': [None, 0.24],
            'p_circular': [0.0349, None],
            'p_adjusted': [None, 0.06],
            'adjust': 'holm',
            'ci95_low': -24.42,
            'ci95_high': 19.77,
            'group': ['HC', None],
        }
    ).astype({'p': float, 'p_circular': float, 'p_adjusted': float, 'p_holm_family': float})
    made = statistic_section('roi', {}, {'pairs': pairs})
    (table,) = made.details
    assert table.columns == (
        *('outcome', 'group', 'contrast', 'selection', 'estimate [95% CI]', 't'),
        *('p Holm (pairs)', 'p circular', 'p Holm (family)'),
    )
    first, second = rows(table)
    assert first['estimate [95% CI]'] == f'{MINUS}2.6 [{MINUS}24.4, 19.8]'
    assert first['t'] == f't(38.47) = {MINUS}2.19'
    assert (first['group'], second['group']) == ('HC', '')
    assert (first['p circular'], second['p Holm (family)']) == ('.035', '.240')
    # Of the parcel only p over the family is left.
    assert (first['p Holm (pairs)'], second['p Holm (pairs)']) == ('circular', 'n/a')


def test_automatic_families_are_beside_each_p_and_not_shown_again():
    families = pd.DataFrame(
        {'family': ['all', 'memory'], 'test': 'time', 'outcome': 'a', 'n_tests': 2, 'p': 0.0104}
    )
    summary = {'Statistic': {'families': {'memory': ['a']}}}
    (table,) = statistic_section('x', summary, {'families': families}).details
    assert table.rows == (('memory', 'time', 'a', '2', '.010'),)
    assert statistic_section('x', {'Statistic': {}}, {'families': families}).details == ()


def test_notes_of_tests_stand_once_below():
    table = pd.DataFrame(
        {
            'variable': ['age', 'hdrs', 'hdrs_change'],
            'session_id': [None, 'ses-TP3', None],
            'test': 'Welch t',
            'statistic': [0.2189, -9.47, 1.0],
            'num_df': None,
            'den_df': [14.779, 7.125, 5.0],
            'p': [0.8297, 0.0000285, 1.0],
            'note': [None, 'by definition', 'by definition'],
        }
    )
    made = statistic_section('table1', {}, {'tests': table})
    (shown,) = made.tables
    assert shown.columns == ('variable', 'session', 'test', 'statistic (df)', 'p')
    assert [row[3:] for row in shown.rows] == [
        ('0.22 (14.78)', '.830'),
        (f'{MINUS}9.47 (7.12)', '< .001'),
        ('1.00 (5)', '> .999'),
    ]
    assert made.footnotes == ('hdrs at TP3, hdrs_change: by definition.',)


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


def test_of_too_many_regions_those_named_beforehand_are_shown() -> None:
    names = ['front', *(f'parcel{i}' for i in range(300))]
    table = pd.DataFrame(
        {'outcome': names, 'source': ['apriori', *['parcel'] * 300], 'term': 'time', 'p': 0.5}
    )
    section = statistic_section('x', {}, {'terms': table})
    (shown,) = section.tables
    assert [row[0] for row in shown.rows] == ['front']
    assert '1 of 301 rows (all: x_terms.tsv)' in shown.caption
    section = statistic_section('x', {}, {'terms': table[1:]})
    assert section.tables == section.details == ()
    assert 'x_terms.tsv' in section.footnotes[-1]
