"""Tables of numbers: what is read, and where a fault is."""

import re

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.io.matrices import read_csv_numbers, read_matrix, read_vest

VEST = '/NumWaves 2\n/NumPoints 3\n/PPheights 1 2\n\n/Matrix\n1 0\n0.5 -1\n1e-3 2\n'


def written(tmp_path, text, name='a.csv'):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    'text',
    [
        '1,2\n3,-4.5\n',
        '1, 2\r\n3 ,-4.5',
        '1 2\n\n3\t-4.5\n',
        '\ufeff1,2,\n3,-4.5,\n',
        '# a comment\n1,2 % another\n3,-45e-1\n',
    ],
)
def test_numbers_are_read_as_octave_reads_them(tmp_path, text):
    found = read_csv_numbers(written(tmp_path, text))
    np.testing.assert_array_equal(found, [[1, 2], [3, -4.5]])
    assert found.dtype == np.float64


def test_missing_values_pass_unless_they_must_be_finite(tmp_path):
    path = written(tmp_path, '1,2\n3,NaN\n')
    np.testing.assert_array_equal(read_csv_numbers(path), [[1, 2], [3, np.nan]])
    with pytest.raises(InputError, match=r'a\.csv, line 2, column 2: NaN cannot be used here'):
        read_matrix(path)


BAD_CSV = [
    ('', 'is empty'),
    ('\n# nothing\n', 'holds no numbers'),
    ('age,sex\n1,2\n', r"line 1, column 1: 'age' is not a number. If this is a header line"),
    ('1,2\n3,x\n', r"line 2, column 2: 'x' is not a number. All values"),
    ('1,2\n\n3\n', r'line 3: 1 values, but line 1 has 2'),
    ('1,,2\n', 'line 1, column 2: the value is missing'),
    ('1;2\n', 'line 1: values are separated by semicolons'),
    ('1 2,3\n', r"line 1, column 1: '1 2' is not a number"),
    ('"1",2\n', 'column 1: \'"1"\' is not a number'),
    ('1_0,2\n', r"column 1: '1_0' is not a number"),
    ('0x10\n', r"'0x10' is not a number"),
    (b'PK\x03\x04', 'workbook or archive'),
    ('1,2\n'.encode('utf-16'), 'NUL bytes'),
    (b'1,\xe9\n', 'column 2'),
]


@pytest.mark.parametrize(('text', 'message'), BAD_CSV)
def test_bad_tables_are_named(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_csv_numbers(path)
    assert str(path) in str(caught.value)


def test_files_that_are_none(tmp_path):
    for path, message in (
        (tmp_path / 'no.csv', 'does not exist'),
        (tmp_path, 'is a folder'),
        (tmp_path / 'no.csv' / 'x', 'does not exist'),
    ):
        with pytest.raises(InputError, match=f'{re.escape(str(path))} {message}'):
            read_csv_numbers(path)
    with pytest.raises(InputError, match=r'a table must be a \.csv file'):
        read_matrix(written(tmp_path, '1', 'a.txt'))


@pytest.mark.parametrize('suffix', ['mat', 'con', 'fts', 'grp', 'MAT'])
@pytest.mark.parametrize('rows', ['/NumPoints', '/NumContrasts'])
def test_fsl_matrices(tmp_path, suffix, rows):
    path = written(tmp_path, VEST.replace('/NumPoints', rows), f'design.{suffix}')
    np.testing.assert_array_equal(read_matrix(path), [[1, 0], [0.5, -1], [0.001, 2]])


def test_lines_of_an_fsl_matrix_may_be_broken(tmp_path):
    path = written(tmp_path, VEST.replace('0.5 -1\n', '0.5\n-1\n'), 'a.mat')
    np.testing.assert_array_equal(read_vest(path)[1], [0.5, -1])


BAD_VEST = [
    ('1 2\n3 4\n', 'no line /Matrix'),
    (VEST.replace('/NumWaves 2\n', ''), 'the header lacks /NumWaves'),
    (VEST.replace('/NumWaves 2', '/NumWaves x'), 'the header says /NumWaves x'),
    (VEST.replace('/NumPoints 3\n', ''), 'lacks /NumPoints or /NumContrasts'),
    (VEST.replace('/NumWaves 2', '/NumWaves 3'), r'3 rows of 3 values, but 6 .*Line 6 has 2'),
    (VEST.replace('0.5 -1\n', '0.5\n'), r'3 rows of 2 values, but 5 .*Line 7 has 1'),
    (VEST.replace('-1', 'a'), r"line 7, column 2: 'a' is not a number"),
    (VEST.replace('-1', 'nan'), 'line 7, column 2: nan cannot be used'),
    (b'MATLAB 5.0 MAT-file\0', 'is a MATLAB file'),
]


@pytest.mark.parametrize(('text', 'message'), BAD_VEST)
def test_bad_fsl_matrices_are_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_matrix(written(tmp_path, text, 'a.mat'))
