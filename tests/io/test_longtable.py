"""Tables of measurements: what is read, what is missing, what is refused and where."""

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.longtable import LINE, read_long_table, type_columns


@pytest.fixture
def write(tmp_path):
    def make(content, name='data.csv'):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def texts(table):
    return [[None if cell is None else str(cell) for cell in row] for row in table.to_numpy()]


@pytest.mark.parametrize('separator', [',', ';', '\t'])
def test_separators_are_found(write, separator):
    path = write(f'subject{separator}y\n01{separator}1.5\n02{separator}2\n')
    table = read_long_table(path, ('subject', 'y'))
    assert list(table.columns) == ['subject', 'y']
    assert texts(table) == [['01', '1.5'], ['02', '2']]
    assert list(table.index) == [2, 3]
    assert table.index.name == LINE


def test_quotation_marks_byte_order_mark_and_blank_lines(write):
    content = '\ufeff"subject","race, as told",y\r\n\r\n"s1","Black, or ""African""", 1 \r\n,,\r\n'
    table = read_long_table(write(content))
    assert list(table.columns) == ['subject', 'race, as told', 'y']
    assert texts(table) == [['s1', 'Black, or "African"', '1']]
    assert list(table.index) == [3]


def test_every_way_to_write_a_missing_value(write):
    path = write('s,y\na,n/a\nb,NA\nc,NaN\nd,\ne,N/A\nf,nan\ng,3\n')
    table = type_columns(path, read_long_table(path), names=('s',), numbers=('y',))
    assert np.isnan(table['y'].to_numpy()[:6]).all()
    assert table['y'].iloc[6] == 3
    assert list(table['s']) == list('abcdefg')


def test_a_decimal_comma_among_semicolons(write):
    path = write('s;y\na;0,95\nb;-1,5e-3\nc;2\n')
    table = type_columns(path, read_long_table(path), numbers=('y',))
    assert list(table['y']) == [0.95, -0.0015, 2]


def test_row_numbers_without_a_header_are_left_aside(write):
    assert list(read_long_table(write('"","s","y"\n"1","a",2\n')).columns) == ['s', 'y']


def test_names_stay_as_they_are_written(write):
    path = write('s,visit,code,age,sex\n007,1,01,30,F\n008,2,02,,M\n')
    table = type_columns(
        path, read_long_table(path), names=('s', 'visit'), either=('code', 'age', 'sex')
    )
    assert list(table['s']) == ['007', '008']
    assert list(table['visit']) == ['1', '2']
    assert list(table['code']) == ['01', '02']
    assert list(table['sex']) == ['F', 'M']
    assert table['age'].dtype == float


def test_columns_that_are_not_used_may_hold_anything(write):
    path = write('s,y,note,note\na,1,x,1\n')
    table = type_columns(path, read_long_table(path, ('s', 'y')), names=('s',), numbers=('y',))
    assert list(table.columns) == ['s', 'y']


@pytest.mark.parametrize(
    ('rows', 'words'),
    [
        ('a,1\nb,?\nc,2\n', ("line 3: y is '?'", 'a number is needed', 'n/a')),
        ('a,1\nb,x\nc,z\n', ("line 3: y is 'x' (1 more line has text, too)",)),
        ('a,1\nb,-Inf\n', ('line 3: y is -Inf', 'not a finite number')),
        ('a,1\nb,-1e300\n', ('line 3: y is -1e300', 'too large to compute with')),
        ('a,1\nb,1,5\n', ('line 3: 3 values', 'has 2 columns', 'commas')),
        ('a,1\nb,"1" 2\n', ('line 3: cannot be read as a table',)),
        ('', ('no row below',)),
    ],
)
def test_bad_rows_are_named(write, rows, words):
    path = write('s,y\n' + rows)
    with pytest.raises(InputError) as error:
        type_columns(path, read_long_table(path), names=('s',), numbers=('y',))
    for word in (str(path), *words):
        assert word in str(error.value)


def test_a_text_in_a_covariate_is_no_level(write):
    path = write('s,age\na,30\nb,n/a\nc,forty\n')
    table = read_long_table(path)
    with pytest.raises(InputError, match=r"line 4: age is 'forty', where other lines have") as e:
        type_columns(path, table, either=('age',))
    assert 'line 2: 30' in str(e.value)
    assert list(type_columns(path, table, names=('age',))['age']) == ['30', None, 'forty']


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('', ('is empty',)),
        ('s,y,y\na,1,2\n', ('2 columns y',)),
        ('s,Y\na,1\n', ('no column y; it has s, Y', 'Is Y meant?')),
        (b's,y\na,\xe4\n', ('line 2', '0xe4 is not UTF-8')),
        (b'PK\x03\x04s,y', ('workbook',)),
    ],
)
def test_bad_tables_are_refused(write, content, words):
    path = write(content)
    with pytest.raises(InputError) as error:
        read_long_table(path, ('s', 'y'))
    for word in (str(path), *words):
        assert word in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match='cannot be read: No such file'):
        read_long_table(tmp_path / 'none.csv')
