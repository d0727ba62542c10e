"""Contrasts of a run become weights, or reasons why not."""

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.runcontrasts import contrast_weights


@pytest.fixture
def matrix():
    a, b = np.random.default_rng(1).standard_normal((2, 50))
    return pd.DataFrame({'a': a, 'b': 1e4 * b, 'c': a + b, 'zero': 0.0, 'd': a * b, 'one': 1.0})


def test_weights_or_reasons(matrix):
    found = contrast_weights(
        matrix[['a', 'b', 'd']],
        {
            'difference': [{'b': 1, 'a': -1}],
            'ignored': [{'a': 1, 'never': 0}],
            'lost': [{'never': 1, 'a': -1}],
            'unknown': [{'typo': 1}],
            'nothing': [{'a': 0}],
            'row': [{'a': 1}, {}],
            'F': [{'a': 1}, {'d': 1}],
            'F lost': [{'a': 1}, {'never': 1}],
        },
        ['never'],
    )
    np.testing.assert_array_equal(found.weights['difference'], [[-1, 1, 0]])
    np.testing.assert_array_equal(found.weights['ignored'], [[1, 0, 0]])
    np.testing.assert_array_equal(found.weights['F'], [[1, 0, 0], [0, 0, 1]])
    assert found.reasons == {
        'lost': 'no trials of never in this run',
        'unknown': 'the design has no column typo',
        'nothing': 'all its weights are 0',
        'row': 'all its weights are 0',
        'F lost': 'no trials of never in this run',
    }
    assert all(found.weights[name] is None for name in found.reasons)


def test_estimability_is_membership_of_the_row_space(matrix):
    found = contrast_weights(
        matrix,
        {
            'a': [{'a': 1}],
            'sum': [{'a': 1, 'b': 1e4, 'c': 2}],
            'one': [{'one': 1}],
            'zero': [{'zero': 1, 'd': 1}],
            'a and d': [{'d': 1}, {'a': 1}],
        },
    )
    # The reason names the columns that are involved, and no others.
    assert found.reasons == {
        'a': 'a cannot be told from b, c',
        'zero': 'the regressor of zero is 0 throughout the run',
        'a and d': 'a cannot be told from b, c',
    }
    np.testing.assert_array_equal(found.weights['sum'], [[1, 1e4, 2, 0, 0, 0]])
    np.testing.assert_array_equal(found.weights['one'], [[0, 0, 0, 0, 0, 1]])


def test_equal_columns_cannot_be_told_from_each_other(matrix):
    twice = matrix[['a', 'd']].assign(again=matrix['a'])
    found = contrast_weights(twice, {'c': [{'a': 1, 'again': -1}], 'sum': [{'a': 1, 'again': 1}]})
    assert found.reasons == {'c': 'a, again cannot be told from each other'}
    np.testing.assert_array_equal(found.weights['sum'], [[1, 0, 1]])


def test_rows_that_add_nothing_are_left_out(matrix):
    rows = [{'a': 1}, {'d': 1e-6}, {'a': 2, 'd': -3}, {'one': 1}]
    found = contrast_weights(matrix[['a', 'd', 'one']], {'F': rows})
    np.testing.assert_array_equal(found.weights['F'], [[1, 0, 0], [0, 1e-6, 0], [0, 0, 1]])


def test_rows_of_an_f_contrast_that_nearly_depend_on_each_other():
    rng = np.random.default_rng(4)
    go = rng.standard_normal(80)
    twin = go + 1e-6 * rng.standard_normal(80)
    matrix = pd.DataFrame({'go': go, 'nogo': twin, 'constant': 1.0})
    found = contrast_weights(
        matrix, {'any': [{'go': 1}, {'nogo': 1}], 'go': [{'go': 1}], 'one': [{'go': 1}, {'go': 2}]}
    )
    assert found.weights['any'] is None
    assert found.weights['go'].shape == found.weights['one'].shape == (1, 3)
    assert found.reasons == {
        'any': 'its rows cannot be told apart: the columns of go, nogo are nearly linearly '
        'dependent'
    }
