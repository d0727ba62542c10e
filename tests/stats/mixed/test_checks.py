"""Tables that a mixed model cannot be fitted to: each is refused in the table's own words."""

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.mixed.design import parse_formula
from ketbids.stats.mixed.model import MixedModel, fit_mixed
from ketbids.stats.mixed.rows import in_order, read_rows
from tests.stats.mixed.simulated import trial

FORMULA = 'y ~ time * group + age + sex'


@pytest.fixture
def table():
    """36 participants, ordered; the index is the line of a file."""
    found = trial(3).sort_values(['subject', 'time'], ignore_index=True)
    return found.set_axis(pd.RangeIndex(2, len(found) + 2, name='line'), axis='index')


def fit(table, formula=FORMULA, **options):
    return fit_mixed(table, formula, **{'subject': 'subject', 'visit': 'time', **options})


def refused(table, formula=FORMULA, **options):
    with pytest.raises(InputError) as error:
        fit(table, formula, **options)
    return str(error.value)


def at(table, who, when='TP1'):
    return table.index[(table['subject'] == who) & (table['time'] == when)][0]


def test_the_table_itself_is_fine(table):
    found = fit(table)
    assert (found.n_dropped, found.warnings) == (0, ())


def test_two_rows_of_a_visit_are_named(table):
    table.loc[999] = table.loc[at(table, 's03')]
    first = at(table, 's03')
    for visit in ('time', None):
        message = refused(table, visit=visit)
        assert f's03 at TP1: line {first}, line 999. Keep one row of each' in message
        assert '(subject) at a visit (time)' in message


def test_a_group_that_differs_within_a_participant(table):
    table.loc[at(table, 's07'), 'group'] = 'remitter'
    for visit in ('time', None):
        message = refused(table, visit=visit)
        assert message.startswith('group differs between rows of the same participant (s07)')


def test_a_factor_within_participants_is_told_from_a_mistake(table):
    table['drug'] = np.where((table['time'] == 'TP1') ^ (table['subject'] > 's20'), 'a', 'b')
    found = fit(table, 'y ~ time + drug')
    assert any('drug differs within' in warning for warning in found.warnings)


def test_text_among_numbers(table):
    table['age'] = table['age'].astype(object)
    line = at(table, 's02')
    table.loc[line, 'age'] = 'forty'
    assert f"age is 'forty' in line {line}, where" in refused(table)
    table['y'] = table['y'].astype(object)
    table.loc[line, 'y'] = '12 points'
    assert f"y is '12 points' in line {line}" in refused(table, 'y ~ time')


def test_missing_values_in_every_spelling(table):
    expected = fit(table.drop(index=[4, 5, 6, 7, 8])).terms()
    table[['age', 'sex']] = table[['age', 'sex']].astype(object)
    table.loc[4:7, 'age'] = ['n/a', 'NA', 'NaN', '']
    table.loc[8, 'sex'] = None
    found = fit(table)
    pd.testing.assert_frame_equal(found.terms(), expected)
    assert found.n_dropped == 5
    assert found.dropped['reason'].tolist() == ['age missing'] * 4 + ['sex missing']
    assert found.dropped['row'].tolist() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize('word', ['n/a', np.nan, None, 'NA'])
def test_a_missing_subject_or_visit_loses_the_row(table, word):
    table.loc[4, 'subject'] = word
    table.loc[9, 'time'] = word
    found = fit(table)
    assert found.dropped['reason'].tolist() == ['subject missing', 'time missing']


def test_nothing_left(table):
    table['age'] = np.nan
    assert refused(table) == (
        f'None of {len(table)} rows has all values of the model; missing: age in {len(table)}'
    )
    n = len(table)
    for nothing in (np.nan, 'n/a', None):
        assert f'missing: age in {n}, y in {n}' in refused(table.assign(y=nothing))


def test_a_factor_with_one_level(table):
    assert 'Factor sex has one level, F, in the' in refused(table[table['sex'] == 'F'])
    assert 'Factor time has one level, TP1' in refused(table[table['time'] == 'TP1'])


def test_levels_that_do_not_occur_are_left_out_with_a_warning(table):
    levels = {'sex': ['M', 'X', 'F'], 'time': ['TP0', 'TP1', 'TP2', 'TP3']}
    found = fit(table, levels=levels)
    assert found.design.factors['sex'] == ('M', 'F')
    assert 'No row that is used has sex X: left out' in found.warnings
    assert found.prepared.rows.visits == ('TP1', 'TP2', 'TP3')


def test_a_value_that_is_no_level(table):
    message = refused(table, levels={'time': ['TP1', 'TP2']})
    assert "time is 'TP3' in line" in message
    assert 'which is not one of its levels: TP1, TP2' in message
    assert 'name one twice' in refused(table, levels={'sex': ['F', 'M', 'F']})
    assert 'Levels are given for site' in refused(table, levels={'site': ['a', 'b']})


def test_a_constant_response(table):
    assert refused(table.assign(y=3.5)).startswith('y is 3.5 in all')


def test_a_response_without_residual_variance(table):
    cells = table['time'].map({'TP1': 1.0, 'TP2': 5.0, 'TP3': 4.0})
    for covariance in ('ri', 'cs', 'un', 'independent'):
        message = refused(table.assign(y=cells), covariance=covariance)
        assert 'The residual variance is 0' in message


def test_rows_of_a_participant_that_do_not_differ(table):
    level = table['subject'].str[1:].astype(float) ** 2
    cells = table['time'].map({'TP1': 1.0, 'TP2': 5.0, 'TP3': 4.0})
    for covariance in ('ri', 'cs'):
        assert 'The residual variance is 0' in refused(
            table.assign(y=level + cells), 'y ~ time', covariance=covariance
        )


def test_collinear_covariates_are_named(table):
    table['months'] = table['age'] * 12 + 3
    message = refused(table, 'y ~ time + age + months + sex')
    assert message.startswith('The columns of age, months are collinear')
    table['site'] = table['group'].map({'remitter': 'a', 'nonremitter': 'b'})
    message = refused(table, 'y ~ time + group + site + age')
    assert message.startswith('The columns of group, site are collinear')


def test_a_constant_covariate(table):
    assert refused(table.assign(age=40.0)).startswith('age is 40 in all')


@pytest.mark.parametrize('scale', [1e-9, 1e9])
def test_units_of_a_covariate_make_nothing_collinear(table, scale):
    expected = fit(table).terms()
    found = fit(table.assign(age=table['age'] * scale + 1e3 * scale)).terms()
    np.testing.assert_allclose(found['f'], expected['f'], rtol=1e-7)
    np.testing.assert_allclose(found['den_df'], expected['den_df'], rtol=1e-7)


def test_an_empty_cell(table):
    lost = (table['time'] == 'TP3') & (table['group'] == 'remitter')
    message = refused(table[~lost])
    assert 'No row that is used has time TP3, group remitter' in message
    assert 'type III tests with time:group are not defined' in message
    fit(table[~lost], 'y ~ time + group')


def test_one_row_per_participant(table):
    one = table[table['time'].eq('TP1') ^ table['subject'].gt('s20')].drop_duplicates('subject')
    message = refused(one, 'y ~ time')
    assert message.startswith('Every participant (subject) has one row')
    assert 'ordinary least squares' in message
    assert fit(one, 'y ~ time', covariance='independent').n_obs == 36


@pytest.mark.parametrize(('n', 'refuses'), [(1, True), (2, True), (3, False), (9, False)])
def test_few_participants(table, n, refuses):
    few = table[table['subject'] < f's{n:02d}']
    if refuses:
        assert refused(few, 'y ~ time').startswith(f'{n} participant')
        assert 'at least 3 are needed' in refused(few, 'y ~ time')
    else:
        warnings = fit(few, 'y ~ time').warnings
        assert f'Only {n} participants: results depend much on the assumptions' in warnings
        many = table[table['subject'] < 's10']
        assert not any('Only' in warning for warning in fit(many, 'y ~ time').warnings)


def test_a_group_of_one(table):
    kept = table['group'].eq('nonremitter') | table['subject'].eq('s01')
    assert 'group remitter has one participant' in fit(table[kept], 'y ~ time + group').warnings


def test_too_few_rows(table):
    few = table[table['subject'] < 's03']
    numbers = {f'x{i}': np.random.default_rng(i).normal(size=len(few)) for i in range(len(few))}
    formula = 'y ~ time + ' + ' + '.join(numbers)
    assert 'rows are not enough for' in refused(few.assign(**numbers), formula)


def test_no_degree_of_freedom_between_participants(table):
    few = table[table['subject'].isin(['s00', 's01', 's02'])]
    assert 'leave no degree of freedom between participants' in refused(
        few, 'y ~ time + age + sex'
    )


def test_a_covariance_with_too_many_parameters(table):
    few = table[table['subject'].isin(['s00', 's01', 's02'])]
    message = refused(few, 'y ~ time', covariance='un')
    assert 'Covariance un has 6 parameters' in message
    assert 'try cs' in message


def test_visits_that_nobody_has_both(table):
    early = table['subject'] < 's15'
    kept = table['time'].eq('TP1') | (table['time'].eq('TP2') == early)
    message = refused(table[kept], 'y ~ time', covariance='un')
    assert message.startswith('No participant has both TP2 and TP3')
    fit(table[kept], 'y ~ time', covariance='cs')


@pytest.mark.parametrize('value', [np.inf, -np.inf, 'inf'])
def test_infinite_values(table, value):
    table[['y', 'age']] = table[['y', 'age']].astype(object)
    table.loc[11, 'y'] = value
    assert refused(table).startswith('y is infinite in line 11')
    table.loc[11, 'y'] = 4
    table.loc[12, 'age'] = value
    assert refused(table).startswith('age is infinite in line 12')


def test_a_column_that_is_not_there(table):
    assert refused(table, 'y ~ time + agee').startswith(
        'The table has no column agee; it has subject'
    )
    assert refused(table, 'score ~ time').startswith('The table has no column score')
    assert 'no column who' in refused(table, subject='who')
    twice = pd.concat([table, table[['age']]], axis='columns')
    assert refused(twice).startswith('The table has 2 columns age; each name must be unique')


def test_the_subject_is_no_term(table):
    assert 'it cannot be the visit or stand in the formula' in refused(table, 'y ~ subject + time')


def test_a_response_of_text(table):
    assert "y has 'high': the response must be numbers" in refused(table.assign(y='high'))


def test_unknown_choices(table):
    assert 'Unknown covariance structure' in refused(table, covariance='ar2')
    found = fit(table)
    for ask, message in (
        (lambda: found.terms(basis='r'), "Basis 'r' is unknown: choose spss or lmertest"),
        (lambda: found.terms(ddf='z'), 'choose satterthwaite or kenward-roger'),
        (lambda: found.estimates(coding='helmert'), 'choose treatment or sum'),
        (lambda: found.emmeans('age'), 'age is a number'),
    ):
        with pytest.raises(InputError, match=message):
            ask()


def test_a_structure_over_visits_needs_visits(table):
    message = refused(table, visit=None, covariance='csh')
    assert message == 'Covariance csh is over visits: name the column of visits'


def test_diag_warns(table):
    assert any('diag takes the visits' in w for w in fit(table, covariance='diag').warnings)


def test_a_test_at_zero_of_a_number_warns(table):
    found = fit(table, 'y ~ time * age').warnings
    assert len(found) == 1
    assert 'age stands in a product with time, whose own test is at age = 0' in found[0]
    assert fit(table, 'y ~ time * age', center=['age']).warnings == ()


def test_what_is_a_factor():
    frame = pd.DataFrame(
        {
            'id': [1.0, 2.0, 3.0],
            'visit': [1, 2, 10],
            'code': ['01', '02', '01'],
            'yes': [True, False, None],
            'site': [3, 1, 2],
            'text': ['1', '2', 'NA'],
        }
    )
    formula = parse_formula('visit + code + yes + C(site) + text')
    found = read_rows(frame, formula, 'id', 'visit')
    assert found.subject.tolist() == ['1', '2', '3']
    assert dict(found.factors) == {
        'visit': ('1', '2', '10'),
        'code': ('01', '02'),
        'yes': ('no', 'yes'),
        'site': ('1', '2', '3'),
    }
    np.testing.assert_array_equal(found.values['text'], [1, 2, np.nan])


def test_a_response_of_the_wrong_length(table):
    model = MixedModel(table, 'time', subject='subject', visit='time')
    with pytest.raises(InputError, match=r'roi has shape \(3,\), the table'):
        model.fit(np.zeros(3), name='roi')
    with pytest.raises(InputError, match='The formula names no response'):
        model.fit()
    with pytest.raises(InputError, match='sex cannot be centred'):
        MixedModel(table, 'time + sex', subject='subject', visit='time', center=['sex'])


def numbered(table):
    """The group as 0 and 1."""
    return table.assign(group=(table['group'] == 'remitter').astype(int))


def test_a_group_of_numbers_that_differs_within_a_participant_warns(table):
    table = numbered(table)
    assert not [w for w in fit(table).warnings if 'group is' in w]
    table.loc[at(table, 's07'), 'group'] = 1 - table.loc[at(table, 's07'), 'group']
    warnings = [w for w in fit(table).warnings if w.startswith('group is 0 or 1')]
    assert len(warnings) == 1
    assert 'differs between rows of s07, though' in warnings[0]
    assert 'give its levels (0, 1) to make it a factor' in warnings[0]


def test_a_factor_that_truly_changes_has_a_way_out(table):
    assert 'write it as a number (0 and 1' in refused(
        table.assign(group=table['group'].where(table.index != at(table, 's07'), 'other'))
    )


def test_a_product_of_numbers_warns(table):
    table['weight'] = np.random.default_rng(0).normal(70, 9, len(table))
    warnings = fit(table, 'y ~ time + age * weight').warnings
    assert [w.split(',')[0] for w in warnings] == [
        'age stands in a product with weight',
        'weight stands in a product with age',
    ]
    assert fit(table, 'y ~ time + age * weight', center=['age', 'weight']).warnings == ()


def test_visits_that_are_not_named_are_told_if_they_are_not_plain(table):
    assert fit(table, 'y ~ time * group', visit=None).warnings == ()
    table['task'] = np.where(np.arange(len(table)) % 2, 'go', 'stop')
    found = fit(table, 'y ~ time + task', visit=None)
    assert found.warnings == (
        'No visit is named: time and task differ within most participants, and together tell '
        'their rows apart; name the visit if one of them should not differ',
    )
    told = fit(table, 'y ~ group', visit=None).warnings[0]
    assert 'nothing in the formula tells the rows of 36 participants apart' in told
    assert '(such as line 2 and line 3)' in told
    number = table.assign(week=table['time'].str[2].astype(int))
    assert fit(number, 'y ~ week + group', visit=None).warnings == ()


def test_empty_cells_are_counted(table):
    table['site'] = [f'site{int(who[1:]) % 12:02d}' for who in table['subject']]
    table = table[(table['time'] != 'TP3') | (table['site'] == 'site00')]
    assert '; and 3 more such cells, so that type III' in refused(table, 'y ~ time * site')


@pytest.mark.parametrize('scale', [1e-100, 1e95, 1e300])
def test_units_beyond_numbers_are_refused(table, scale):
    size = 'small' if scale < 1 else 'large'
    told = refused(table.assign(y=table['y'] * scale))
    assert told.startswith('y is at most ')
    assert told.endswith(f'which is too {size} to compute with: take another unit')
    assert f'too {size} to' in refused(table.assign(age=table['age'] * scale))


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('scale', [1e-65, 1e65])
def test_units_that_numbers_can_hold_change_nothing(table, scale):
    one, other = fit(table), fit(table.assign(y=table['y'] * scale))
    for ddf in ('satterthwaite', 'kenward-roger'):
        np.testing.assert_allclose(other.terms(ddf)['den_df'], one.terms(ddf)['den_df'])
    np.testing.assert_allclose(other.pairs('time')['d'], one.pairs('time')['d'])


def test_an_index_with_labels_twice_counts_rows_by_place(table):
    table = table.astype({'age': object})
    table.loc[at(table, 's07'), 'age'] = 'old'
    place = table.index.get_loc(at(table, 's07'))
    twice = table.set_axis(np.arange(len(table)) // 2, axis='index')
    assert f"age is 'old' in row {place}, where" in refused(twice)
    fine = twice.assign(age=pd.to_numeric(twice['age'], errors='coerce'))
    assert fit(fine).dropped['row'].tolist() == [place]


def test_categories_are_levels_in_their_order(table):
    order = ['TP9', 'TP3', 'TP1', 'TP2']
    found = fit(table.assign(time=pd.Categorical(table['time'], order)))
    assert found.design.factors['time'] == ('TP3', 'TP1', 'TP2')
    assert found.prepared.rows.visits == ('TP3', 'TP1', 'TP2')
    assert found.warnings == ()
    numbers = pd.Categorical(table['time'].str[2].astype(int), [3, 1, 2])
    found = fit(table.assign(week=numbers), 'y ~ week', visit=None)
    assert found.design.factors['week'] == ('3', '1', '2')


def test_levels_are_in_their_natural_order(table):
    names = {'TP1': 'TP2', 'TP2': 'TP10', 'TP3': 'TP30'}
    found = fit(table.replace({'time': names}))
    assert found.design.factors['time'] == ('TP2', 'TP10', 'TP30')
    assert in_order({'10', '9', '-1.5'}) == ('-1.5', '9', '10')
    assert in_order({'b', 'a2', 'a10', 'a'}) == ('a', 'a2', 'a10', 'b')


def test_dates_and_texts_are_no_numbers(table):
    day = pd.Timestamp('2026-01-01') + pd.to_timedelta(np.arange(len(table)), 'D')
    assert refused(table.assign(day=day), 'y ~ time + day').startswith('day holds dates')
    model = MixedModel(table, 'time', subject='subject')
    with pytest.raises(InputError, match='hdrs holds something that is no number'):
        model.fit(['a'] * len(table), name='hdrs')
