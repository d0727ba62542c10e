"""Expressions: values by hand, missing values, and nothing that Python would execute."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.expressions import derive, evaluate, names, numbers, texts


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            'hdrs_TP1': [20.0, 18.0, 0.0, np.nan],
            'hdrs_TP3': [5, 12, 3, 4],
            'group': ['TRD', 'TRD', None, 'HC'],
            'done': pd.array([True, False, None, True], dtype='boolean'),
        },
        index=['01', '02', '03', '04'],
    )


@pytest.mark.parametrize(
    ('expression', 'expected'),
    [
        ('hdrs_TP3 <= 7', [True, False, True, True]),
        ('100 * (hdrs_TP1 - hdrs_TP3) / hdrs_TP1', [75, 100 / 3, None, None]),
        ('hdrs_TP3 / hdrs_TP1 > -5', [True, True, None, None]),
        ("group == 'TRD'", [True, True, None, False]),
        ("group != 'TRD'", [False, False, None, True]),
        ("group in ['HC', 'other'] or hdrs_TP3 < 8", [True, False, None, True]),
        ("group not in ('HC', 'other')", [True, True, None, False]),
        ('not done', [False, True, None, False]),
        ('done == True', [True, False, None, True]),
        # Missing wherever an input is missing, even where the outcome would be known.
        ('done or hdrs_TP3 > 0', [True, True, None, True]),
        ('4 < hdrs_TP3 <= 5', [True, False, False, False]),
        ('-hdrs_TP3 ** 2', [-25, -144, -9, -16]),
        ('hdrs_TP3 ** -1', [1 / 5, 1 / 12, 1 / 3, 1 / 4]),
        ('hdrs_TP3 in [5, -4, 4]', [True, False, False, True]),
        ('(hdrs_TP3 - 13) ** 0.5', [None, None, None, None]),
        ('group', ['TRD', 'TRD', None, 'HC']),
    ],
)
def test_value_in_each_row(frame: pd.DataFrame, expression: str, expected: list) -> None:
    result = evaluate(expression, frame)
    assert list(result.index) == list(frame.index)
    for value, wanted in zip(result, expected, strict=True):
        if wanted is None:
            assert pd.isna(value)
        else:
            assert value == (pytest.approx(wanted) if isinstance(wanted, float) else wanted)


def test_types(frame: pd.DataFrame) -> None:
    assert evaluate('hdrs_TP3 < 7', frame).dtype == 'boolean'
    assert evaluate('hdrs_TP3 + 1', frame).dtype == 'float64'
    empty = frame.assign(hdrs_TP3=np.nan)
    assert evaluate('hdrs_TP3 < 7', empty).dtype == 'boolean'
    assert evaluate('hdrs_TP3 < 7', empty).isna().all()
    assert evaluate('hdrs_TP3 + 1', empty).isna().all()
    assert len(evaluate('hdrs_TP3 < 7', frame.iloc[:0])) == 0


def test_infinite_input_is_missing(frame: pd.DataFrame) -> None:
    frame.loc['01', 'hdrs_TP1'] = -np.inf
    assert pd.isna(evaluate('hdrs_TP1 <= 7', frame)['01'])


@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.integers(-50, 50).map(float))] * 2),
        min_size=1,
        max_size=8,
    )
)
def test_agrees_with_python_row_by_row(rows: list) -> None:
    frame = pd.DataFrame(rows, columns=['a', 'b'], dtype='float64')
    result = evaluate('(a - b) / 2 >= 1 and not a * b == 4', frame)
    for (a, b), value in zip(rows, result, strict=True):
        if a is None or b is None:
            assert pd.isna(value)
        else:
            assert value == ((a - b) / 2 >= 1 and a * b != 4)


def test_names_in_order_of_appearance() -> None:
    assert names('b + a * b > c') == ('b', 'a', 'c')
    assert names("group in ['a', 'b']") == ('group',)


HOSTILE = [
    "__import__('os').system('true')",
    'a.__class__',
    'a[0]',
    "f'{a}'",
    'lambda: a',
    '[x for x in a]',
    '{a}',
    "{'a': a}",
    'a if a else b',
    '(a := 3)',
    'print(a)',
    '@a',
    'a @ b',
    'a % b',
    'a // b',
    '~a',
    '+a',
    'a is b',
    'a & b',
    'a << 2',
    'a in b',
    "'x' in 'xyz' and a",
    'a in [b]',
    'a in []',
    'a == None',
    'a == ...',
    "a == b'x'",
    'a == 1j',
    'a; b',
    'a = 3',
    'import os',
    '*a',
    'a\\\n+b',
    'a\x00',
    'await a',
    'yield a',
    '2 ** a',
    'a ** 11',
    'a ** 9 ** 9',
    '9 ** 9 ** 9 ** a',
    'a ** -99',
    'a < 9e999',
    'a < 99999999999999999999',
    '-' * 60 + 'a',
    '(' * 250 + 'a' + ')' * 250,
    'a' + '+a' * 40,
    'a' * 501,
    '1 < 2',
    '',
    '  ',
]


@pytest.mark.parametrize('expression', HOSTILE)
def test_refuses_what_is_not_data(expression: str) -> None:
    with pytest.raises(InputError):
        names(expression)
    with pytest.raises(InputError):
        evaluate(expression, pd.DataFrame({'a': [1.0], 'b': [2.0]}))


@given(st.text(alphabet='ab01 +-*/<>=()[]{}.,\'"@:_\\\n', max_size=60))
def test_any_text_gives_a_value_or_an_input_error(text: str) -> None:
    try:
        result = evaluate(text, pd.DataFrame({'a': [1.0, 2.0], 'b': [0.0, np.nan]}))
    except InputError:
        return
    assert len(result) == 2


@pytest.mark.parametrize(
    ('expression', 'words'),
    [
        (
            'hdrs_TP4 <= 7',
            ['hdrs_TP4 <= 7', 'no column hdrs_TP4', 'did you mean hdrs_TP', 'group'],
        ),
        ("group < 'x'", ['group is a text where a number is needed']),
        ('group == 1', ['group is a text but 1 is a number']),
        ("done == 'yes'", ["done is a boolean but 'yes' is a text"]),
        ('not hdrs_TP1', ['hdrs_TP1 is a number where a boolean is needed']),
        ('hdrs_TP1 + done', ['done is a boolean where a number is needed']),
        ('abs(hdrs_TP1)', ['abs(hdrs_TP1) is not allowed']),
        ('hdrs_TP1 ** group', ['exponent group']),
    ],
)
def test_messages(frame: pd.DataFrame, expression: str, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        evaluate(expression, frame)
    for word in words:
        assert word in str(error.value)


def test_column_twice() -> None:
    frame = pd.DataFrame([[1, 2]], columns=['a', 'a'])
    with pytest.raises(InputError, match='more than one column a'):
        evaluate('a > 1', frame)


def test_derive_in_order_and_only_what_is_needed(frame: pd.DataFrame) -> None:
    derived = {
        'change': '100 * (hdrs_TP1 - hdrs_TP3) / hdrs_TP1',
        'responder': 'change >= 50',
        'other': 'absent > 1',
    }
    result = derive(frame, derived, needed=['responder'])
    assert list(result.columns) == [*frame.columns, 'change', 'responder']
    assert result['responder'].tolist()[:2] == [True, False]
    assert result['responder'].isna().tolist() == [False, False, True, True]
    assert 'change' not in frame.columns
    with pytest.raises(InputError, match='absent'):
        derive(frame, derived)
    with pytest.raises(InputError, match=r'derived variable group .* already'):
        derive(frame, {'group': 'hdrs_TP1 > 3'})


@pytest.mark.parametrize(
    ('expression', 'expected'),
    [
        ('100 * (a - b) / a', ('a', 'b')),
        ("site == '01' and age >= 18", ('age',)),
        ('1 < a <= b', ('a', 'b')),
        ('visit == 2', ('visit',)),
        ("group in ['HC', 'TRD']", ()),
        ('not -a > b', ('a', 'b')),
    ],
)
def test_columns_that_must_be_numbers(expression: str, expected: tuple) -> None:
    assert sorted(numbers(expression)) == sorted(expected)


@pytest.mark.parametrize(
    ('expression', 'expected'),
    [
        ("group == 'TRD'", (('group', 'TRD'),)),
        ("'TRD' != group", (('group', 'TRD'),)),
        ("group in ['HC', 'TRD'] and age > 3", (('group', 'HC'), ('group', 'TRD'))),
        ("not (site not in ('01',) or group == sex)", (('site', '01'),)),
        ('visit == 2', ()),
        ("a == b == 'x'", (('b', 'x'),)),
    ],
)
def test_texts_that_columns_are_compared_with(expression: str, expected: tuple) -> None:
    assert sorted(texts(expression)) == sorted(expected)


def test_texts_of_what_is_not_data() -> None:
    with pytest.raises(InputError, match='uses no column'):
        texts("'a' == 'a'")
