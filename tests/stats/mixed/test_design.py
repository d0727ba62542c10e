"""Formulas, model matrices, type III hypotheses."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.mixed.design import build_design, hypothesis, parse_formula, sum_coding

LEVELS = {'time': ('TP1', 'TP2', 'TP3'), 'group': ('r', 'n'), 'sex': ('F', 'M')}


def grid(**numbers):
    """All cells once, twice where age differs."""
    cells = pd.DataFrame(
        list(itertools.product(*LEVELS.values(), (20.0, 43.0))), columns=[*LEVELS, 'age']
    )
    return cells.assign(**numbers)


def design_of(formula, values=None):
    formula = parse_formula(formula)
    return build_design(grid() if values is None else values, formula, LEVELS)


@pytest.mark.parametrize(
    ('formula', 'response', 'terms'),
    [
        ('y ~ time', 'y', ['time']),
        ('time', None, ['time']),
        ('~ time + age', None, ['time', 'age']),
        ('y~1+time', 'y', ['time']),
        ('y ~ time*group + age', 'y', ['time', 'group', 'age', 'time:group']),
        ('y ~ age + time:group + time + group', 'y', ['age', 'time', 'group', 'time:group']),
        ('y ~ time + group + group:time', 'y', ['time', 'group', 'time:group']),
        ('y ~ a*b*c', 'y', ['a', 'b', 'c', 'a:b', 'a:c', 'b:c', 'a:b:c']),
        ('y ~ a + b + c + a:b + b:c + a:c + a * b:c', 'y', None),
        ('hdrs.pct ~ C(site) + C(site):age + age', 'hdrs.pct', ['site', 'age', 'site:age']),
        ('y ~ time + time', 'y', ['time']),
        ('β ~ größe', 'β', ['größe']),
    ],
)
def test_a_formula_gives_terms_in_the_order_of_r(formula, response, terms):
    found = parse_formula(formula)
    assert found.response == response
    assert found.names == tuple(terms or ('a', 'b', 'c', 'a:b', 'b:c', 'a:c', 'a:b:c'))


def test_a_part_that_stands_twice_in_a_product_counts_once():
    assert parse_formula('y ~ ' + '*'.join(['a', 'b'] * 20)).names == ('a', 'b', 'a:b')


def test_messages_show_the_example_that_is_given():
    with pytest.raises(InputError, match=r'for example time \* arm$'):
        parse_formula('time -', example='time * arm')


def test_factors_can_be_marked():
    assert parse_formula('y ~ C( site ) + age').factors == {'site'}


@pytest.mark.parametrize(
    ('formula', 'problem'),
    [
        ('y ~', 'it ends too early'),
        ('', 'it ends too early'),
        ('y ~ 1', 'it has no term'),
        ('y ~ time +', 'it ends too early'),
        ('y ~ + time', "'+' cannot stand where it stands"),
        ('y ~ time age', "'age' cannot stand where it stands"),
        ('y ~ time ~ age', "'y ~ time' cannot be the response"),
        ('log(y) ~ time', "'log(y)' cannot be the response"),
        ('y ~ time - 1', "'- 1' is not allowed"),
        ('y ~ 0 + time', "'0 + time' is not allowed"),
        ('y ~ time + 1', '1 (the intercept, which is always there) can only stand first'),
        ('y ~ 1 * time', '1 (the intercept, which is always there) can only stand first'),
        ('y ~ (time + group) * age', "'(time + group) * age' is not allowed"),
        ('y ~ time + (1|subject)', "'(1|subject)' is not allowed"),
        ('y ~ poly(age, 2)', "'(age, 2)' is not allowed"),
        ("y ~ __import__('os').system('ls')", 'is not allowed'),
        ('y ~ age**2', "'*' cannot stand where it stands"),
        ('y ~ y + time', 'y stands on both sides'),
        ('y ~ time:group', 'time:group stands there without time'),
        ('y ~ time + time:group', 'write time * group'),
        ('y ~ a*b*c*d*e', 'a product of more than 4'),
        ('y ~ a:b:c:d:e', 'a product of more than 4'),
        ('y ~ a:b * c:d * e', 'a product of more than 4'),
        # Expanded, that would be 16 million terms.
        ('y ~ ' + '*'.join('abcdefghijklmnopqrstuvwx'), 'a product of more than 4'),
        ('y ~ ' + '+'.join(f'a{i}*b{i}*c{i}*d{i}' for i in range(20)), 'more than 60 terms (300)'),
        ('y ~ ' + '+'.join(f'x{i}' for i in range(61)), 'more than 60 terms'),
        ('y ~ ' + 'x' * 500, 'not a text of at most 500 characters'),
        (None, 'not a text'),
    ],
)
def test_anything_else_is_refused(formula, problem):
    with pytest.raises(InputError) as error:
        parse_formula(formula)
    assert problem in str(error.value)
    assert 'for example y ~ time * group + age' in str(error.value)


@given(st.text(alphabet='y~ab1+*: C()|-^x.', max_size=20))
def test_a_formula_is_read_or_refused(text):
    try:
        found = parse_formula(text)
    except InputError:
        return
    assert found.terms
    assert set(found.variables) == {name for term in found.terms for name in term}


def test_columns_are_sum_coded_and_named_as_in_r():
    design = design_of('y ~ time * group + age')
    assert design.names == (
        '(Intercept)', 'time1', 'time2', 'group1', 'age', 'time1:group1', 'time2:group1',
    )  # fmt: skip
    assert design.treatment_names == (
        '(Intercept)', 'timeTP2', 'timeTP3', 'groupn', 'age', 'timeTP2:groupn', 'timeTP3:groupn',
    )  # fmt: skip
    last = design.rows_at(pd.DataFrame({'time': ['TP3'], 'group': ['r'], 'age': [7.0]}))
    np.testing.assert_array_equal(last, [[1, -1, -1, 1, 7, -1, -1]])
    assert design.slices['time:group'] == slice(5, 7)
    assert design.means == {'age': 31.5}


@pytest.mark.parametrize(
    'formula', ['time', 'time*group', 'time*group*sex + age', 'time*age + sex', 'time*group*age']
)
def test_treatment_coding_is_the_same_model(formula):
    design = design_of(formula)
    values, columns = design.values, []
    for name in design.treatment_names:
        column = np.ones(len(values))
        for part in [] if name == '(Intercept)' else name.split(':'):
            factor = next((f for f in design.factors if part.startswith(f)), None)
            if factor is None:
                column = column * values[part]
            else:
                column = column * (values[factor] == part.removeprefix(factor))
        columns.append(column)
    treatment = np.column_stack(columns)
    np.testing.assert_allclose(treatment @ design.to_treatment, design.matrix, atol=1e-12)
    np.testing.assert_allclose(design.treatment, treatment, atol=1e-10)
    ratio = np.linalg.slogdet(design.matrix.T @ design.matrix)[1]
    ratio -= np.linalg.slogdet(treatment.T @ treatment)[1]
    np.testing.assert_allclose(design.log_determinant, ratio / 2)


def test_hypotheses_are_differences_of_marginal_means():
    design = design_of('time * group')
    cells = pd.DataFrame(
        list(itertools.product(LEVELS['time'], LEVELS['group'])), columns=['time', 'group']
    )
    means = design.rows_at(cells).reshape(3, 2, -1)  # time, group
    time = means.mean(axis=1)
    np.testing.assert_allclose(hypothesis(design, 'time', 'last'), time[:2] - time[2])
    np.testing.assert_allclose(hypothesis(design, 'time', 'first'), time[1:] - time[0])
    both = (means[1:, 1] - means[0, 1]) - (means[1:, 0] - means[0, 0])
    np.testing.assert_allclose(hypothesis(design, 'time:group', 'first'), both, atol=1e-15)


def test_interactions_of_a_number_are_differences_of_slopes():
    design = design_of('time * age')
    rows = hypothesis(design, 'time:age', 'last')
    np.testing.assert_array_equal(rows[:, :4], 0)
    np.testing.assert_array_equal(rows[:, 4:], sum_coding(3)[:2] - sum_coding(3)[2])
    np.testing.assert_array_equal(hypothesis(design, 'age', 'last'), [[0, 0, 0, 1, 0, 0]])


def test_doolittle_rows_are_the_sequential_ones():
    """Forward reduction of X'X: means of levels weighted by rows, as type I tests have them."""
    values = grid().iloc[[*range(24), 0, 1, 2]]
    design = design_of('time', values)
    n = values['time'].value_counts().reindex(LEVELS['time']).to_numpy()
    rows = hypothesis(design, 'time', 'doolittle') @ np.linalg.inv(design.to_treatment)
    np.testing.assert_allclose(rows[0], [0, 1, -n[2] / (n[0] + n[2])], atol=1e-12)
    np.testing.assert_allclose(rows[1], [0, 0, 1], atol=1e-12)
