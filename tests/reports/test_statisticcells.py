"""Cells of the tables of statistics."""

import math

import pandas as pd
import pytest

from ketbids.reports.statisticcells import joined, p_cell

MINUS = '\N{MINUS SIGN}'


@pytest.mark.parametrize(
    ('p', 'text'),
    [(0.735, '.735'), (0.00099, '< .001'), (0.001, '.001'), (0.05, '.050'), (1.0, '> .999'),
     (math.nan, None)],
)  # fmt: skip
def test_p_has_three_decimals(p, text):
    assert p_cell(p) == text


@pytest.mark.parametrize(
    ('numbers', 'text'),
    [
        ((-2.6003, -24.3705, 19.7698), f'{MINUS}2.6 [{MINUS}24.4, 19.8]'),
        ((-0.000135, -0.0281065, 0.0278365), f'{MINUS}0.0001 [{MINUS}0.0281, 0.0278]'),
        ((-98.4, -322.241, 125.49), f'{MINUS}98 [{MINUS}322, 125]'),
        ((0.0, 0.0, 0.0), '0.00 [0.00, 0.00]'),
        ((2e-6, -1e-6, 5e-6), f'2.00e{MINUS}06 [{MINUS}1.00e{MINUS}06, 5.00e{MINUS}06]'),
        ((1.5, math.nan, math.nan), '1.50'),
        ((math.nan, 1.0, 2.0), None),
    ],
)
def test_limits_have_the_decimals_of_their_value(numbers, text):
    columns = ('estimate', 'ci95_low', 'ci95_high')
    made = joined(pd.DataFrame([dict(zip(columns, numbers, strict=True))]))
    assert list(made) == ['estimate']
    assert made['estimate'].tolist() == [text]


def test_statistics_have_their_degrees_of_freedom_beside_them():
    table = pd.DataFrame(
        {'f': [121.664], 'num_df': [2], 'den_df': [23.8491], 't': [-2.194], 'df': [39.0000000001]}
        | {'mean': [80.3926], 'sd': [136.908], 'n': [5], 'n_reference': [7], 'r': [-0.4029]}
        | {'ci95_low': [-0.7933], 'ci95_high': [0.2223], 'p': [0.19397]}
    )
    (row,) = joined(table).to_dict('records')
    assert row['f'] == 'F(2, 23.85) = 121.66'
    assert row['t'] == f't(39) = {MINUS}2.19'
    assert row['mean'] == '80 (137)'
    assert row['n'] == '5 (7)'
    assert row['r'] == f'{MINUS}.40 [{MINUS}.79, .22]'
    assert row['p'] == '.194'
    assert table['f'].tolist() == [121.664]
