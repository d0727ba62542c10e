import numpy as np
import pandas as pd
import pytest

from ketbids.reports.tables import Table


def test_cells_are_written_as_people_write_them():
    frame = pd.DataFrame(
        {
            'n': [3, -12],
            'value': [0.12345, -1234.5],
            'p': [0.0001, 0.034],
            'x': [-12.0, np.nan],
            'name': ['a', None],
            'flag': [True, False],
        }
    )
    table = Table.from_frame(
        frame, headings={'n': 'Count'}, decimals={'x': 0}, p_values=('p',), caption='c'
    )
    assert table.columns == ('Count', 'value', 'p', 'x', 'name', 'flag')
    assert table.numeric == (True, True, True, True, False, False)
    assert table.rows == (
        ('3', '0.123', '< .001', '\N{MINUS SIGN}12', 'a', 'True'),
        ('\N{MINUS SIGN}12', '\N{MINUS SIGN}1234', '.034', 'n/a', 'n/a', 'False'),
    )


def test_empty_frames_and_repeated_columns():
    assert Table.from_frame(pd.DataFrame({'a': []})).rows == ()
    twice = pd.DataFrame([[1, 2]], columns=['a', 'a'])
    assert Table.from_frame(twice).rows == (('1', '2'),)


@pytest.mark.parametrize(
    ('number', 'text'),
    [(0.0, '0.00'), (1e-7, '1.00e\N{MINUS SIGN}07'), (99999.4, '99999'), (1e9, '1.00e+09'),
     (np.inf, 'inf'), (99.96, '100'), (5.0, '5.00')],
)  # fmt: skip
def test_extreme_numbers(number, text):
    assert Table.from_frame(pd.DataFrame({'v': [number]})).rows == ((text,),)


def test_rows_must_be_as_long_as_the_headings():
    with pytest.raises(ValueError, match='one cell per column'):
        Table(('a', 'b'), (('1',),), (False, False))
