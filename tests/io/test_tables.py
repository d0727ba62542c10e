"""Tables: what counts as missing, what is refused, and the dictionaries beside them."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.io.tables import (
    read_header,
    read_participants,
    read_table,
    read_texts,
    write_table,
)
from ketbids.stats.expressions import evaluate
from ketbids.stats.groupdesign import build_group_design
from ketbids.stats.people import build_people


@pytest.fixture
def table(tmp_path):
    def write(content, name='a.tsv', encoding='utf-8'):
        path = tmp_path / name
        path.write_bytes(content.encode(encoding))
        return path

    return write


@pytest.mark.parametrize('missing', ['n/a', 'N/A', 'NA', 'NaN', 'nan', ''])
def test_missing_values(table, missing):
    found = read_table(table(f'age\tsex\n{missing}\tF\n30\tM\n'))
    np.testing.assert_array_equal(found['age'], [np.nan, 30])


@pytest.mark.parametrize('text', ['None', 'null', '-', 'inf?'])
def test_other_words_are_not_missing(table, text):
    assert read_table(table(f'note\n{text}\n'))['note'].tolist() == [text]


def test_labels_stay_text(table):
    found = read_table(table('participant_id\tsession_id\trun\tage\n01\t001\t02\t30\n'))
    assert found.iloc[0].tolist()[:3] == ['01', '001', '02']
    assert found['age'].dtype.kind == 'i'


@pytest.mark.parametrize('code', ['01', '007', '-01', '+02', '00', '01.5', '0e1x'])
def test_codes_with_leading_zeros_stay_text(table, code):
    found = read_table(table(f'site\tage\n{code}\t30\nn/a\t31\n10\t32\n'))
    assert not pd.api.types.is_numeric_dtype(found['site'])
    assert found['site'].dropna().tolist() == [code, '10']
    assert found['age'].tolist() == [30, 31, 32]


@pytest.mark.parametrize(
    ('cells', 'kind', 'values'),
    [
        ('0 1 -1 +2', 'i', [0, 1, -1, 2]),
        ('0 n/a 12', 'f', [0, np.nan, 12]),
        ('0 0.5 -1 1e-3 .5 5. 2E+3', 'f', [0, 0.5, -1, 1e-3, 0.5, 5, 2000]),
        ('-0.0 inf -Infinity', 'f', [0, np.inf, -np.inf]),
        ('0.1 123456789.123456789 5e-324', 'f', [0.1, 123456789.123456789, 5e-324]),
        ('9007199254740993 1', 'i', [9007199254740993, 1]),
        ('n/a n/a', 'f', [np.nan, np.nan]),
        ('True False', 'b', [True, False]),
    ],
)
def test_numbers_and_booleans(table, cells, kind, values):
    found = read_table(table('x\n' + '\n'.join(cells.split()) + '\n'))['x']
    assert found.dtype.kind == kind
    np.testing.assert_array_equal(found, values)


def test_a_missing_boolean_is_not_false(table):
    found = read_table(table('responded\nTrue\nn/a\nFalse\n'))['responded']
    assert [found[0], found[2]] == [True, False]
    assert pd.isna(found[1])


@pytest.mark.parametrize('word', ['1_000', '0x10', '1,5', '1 2', '\N{ARABIC-INDIC DIGIT THREE}'])
def test_what_only_a_program_takes_for_a_number_is_text(table, word):
    assert read_table(table(f'x\n1\n{word}\n'))['x'].tolist() == ['1', word]


def test_codes_reach_levels_subsets_and_designs(tmp_path, table):
    """A site coded 01, 02 and 10 is a factor from the file to the design."""
    rows = [(f'sub-{n:02d}', ('01', '02', '10')[n % 3], 20 + n * n % 7) for n in range(15)]
    lines = ''.join(f'{who}\t{site}\t{age}\n' for who, site, age in rows)
    table(f'participant_id\tsite\tage\n{lines}', 'participants.tsv')
    people = build_people(read_participants(tmp_path), levels={'site': ['01', '02', '10']})
    assert evaluate("site == '01'", people).tolist() == [site == '01' for _, site, _ in rows]
    with pytest.raises(InputError, match="site of sub-02 is '10', which is not one of 01, 02"):
        build_people(read_participants(tmp_path), levels={'site': ['01', '02']})
    maps = pd.DataFrame([(who, '', who) for who, _, _ in rows])
    maps.columns = ['participant_id', 'session_id', 'path']
    one = build_group_design(
        maps, people, formula='1 + age', contrast={'1': 1}, subset="site == '01'"
    )
    assert one.rows['participant_id'].tolist() == [who for who, site, _ in rows if site == '01']
    two = build_group_design(
        maps,
        people,
        formula='0 + site + age',
        contrast={'site[02]': 1, 'site[01]': -1},
        subset="site in ['01', '02']",
    )
    assert two.names == ('site[01]', 'site[02]', 'age')
    assert two.counts == {'01': 5, '02': 5}


def test_byte_order_mark_and_windows_line_ends(table):
    found = read_table(table('participant_id\tage\r\nsub-01\t30\r\n', encoding='utf-8-sig'))
    assert list(found.columns) == ['participant_id', 'age']
    assert found['age'].tolist() == [30]


def test_missing_column_is_named(table):
    path = table('onset\tdur\n1\t2\n')
    words = f'{path} lacks the column duration; it has onset, dur.'
    with pytest.raises(InputError, match=re.escape(words)):
        read_table(path, ('onset', 'duration'))


def test_empty_file(table):
    with pytest.raises(InputError, match=r'a\.tsv is empty'):
        read_table(table(''))


def test_header_alone_is_a_table_without_rows(table):
    assert len(read_table(table('onset\tduration\n'), ('onset',))) == 0


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match='does not exist'):
        read_table(tmp_path / 'a.tsv')


@pytest.mark.parametrize('content', [b'a\tb\n\xff\xfe\t1\n', b'a\tb\n1\t2\n1\t2\t3\t4\n'])
def test_unreadable(tmp_path, content):
    path = tmp_path / 'a.tsv'
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_table(path)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        read_table(tmp_path)


def test_write_and_read(tmp_path):
    frame = pd.DataFrame({'name': ['a', None], 'value': [0.1, np.nan]})
    assert write_table(tmp_path / 'x' / 'a.tsv', frame) == [tmp_path / 'x' / 'a.tsv']
    text = (tmp_path / 'x' / 'a.tsv').read_text()
    assert text == 'name\tvalue\na\t0.1\nn/a\tn/a\n'
    again = read_table(tmp_path / 'x' / 'a.tsv')
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)


def test_numbers_survive(tmp_path):
    values = np.random.default_rng(0).normal(size=100) * 10.0 ** np.arange(-50, 50)
    (path,) = write_table(tmp_path / 'a.tsv', pd.DataFrame({'x': values}))
    np.testing.assert_array_equal(read_table(path)['x'], values)


def test_data_dictionary(tmp_path):
    frame = pd.DataFrame({'b': [1], 'a': [2]})
    table, sidecar = write_table(tmp_path / 'a.tsv', frame, {'a': 'First', 'b': 'B', 'c': 'C'})
    assert (table.name, sidecar.name) == ('a.tsv', 'a.json')
    assert json.loads(sidecar.read_text()) == {
        'b': {'Description': 'B'},
        'a': {'Description': 'First'},
    }


def test_column_without_description(tmp_path):
    with pytest.raises(ValueError, match=r"no description of \['b'\]"):
        write_table(tmp_path / 'a.tsv', pd.DataFrame({'a': [1], 'b': [2]}), {'a': 'A'})


def test_participants_need_their_identifier(tmp_path, table):
    table('id\tage\nsub-01\t30\n', 'participants.tsv')
    with pytest.raises(InputError, match='participant_id'):
        read_participants(tmp_path)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'a\tb\n1\t2\n1\n', 'line 3: 1 values, but the header has 2 columns'),
        (b'a\tb\n1\t2\t3\n', 'line 2: 3 values, but the header has 2 columns'),
        ('a\nJosé\n'.encode('latin-1'), 'line 2: byte 5 (0xe9) is not UTF-8, perhaps Latin-1'),
        ('a\n1\n'.encode('utf-16'), 'is in UTF-16: save it as tab-separated text in UTF-8'),
        (b'a\tb\n1\t\x002\n', 'line 2: a NUL byte, so this is no text'),
        (b'PK\x03\x04abc', 'a workbook or archive'),
        (b'a\ta\n1\t2\n', 'has two columns a: each needs its own name'),
        (b'a\t\tb\n1\t2\t3\n', 'a column without name (number 2)'),
        (b'a\tb\n1\t"open\n2\t3\n', 'cannot be read as a tab-separated table'),
        (b'\n\n', 'is empty'),
    ],
)
def test_what_is_no_table(tmp_path, content, words):
    path = tmp_path / 'a.tsv'
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_table(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


def test_what_spreadsheets_leave(table):
    """Blank rows at the end, a tab at the end of every line, quoted texts."""
    found = read_table(table('a\tb\t\n1\tx\t\n2\t"two ""words"""\t\n\t\t\n\n'))
    assert found.to_dict('list') == {'a': [1, 2], 'b': ['x', 'two "words"']}


def test_lines_and_header(table):
    path = table('a\tb\n\n1\tn/a\n\n2\tx\n')
    texts = read_texts(path, ('a',))
    assert texts.index.tolist() == [3, 5]
    assert texts['a'].tolist() == ['1', '2']
    assert read_header(path) == ['a', 'b']
    assert read_header(table('a\té\n', 'latin.tsv', 'latin-1'))[0] == 'a'
    with pytest.raises(InputError, match='UTF-16'):
        read_header(table('a\tb\n', 'wide.tsv', 'utf-16'))


@pytest.mark.parametrize('cell', [' NaN', 'n/a ', ' ', '  NA '])
def test_missing_values_with_blanks(tmp_path, cell):
    path = tmp_path / 'x.tsv'
    path.write_text(f'a\tb\tc\n1\tx\ty\n{cell}\t{cell}\tz\n')
    table = read_table(path)
    assert table['a'].dtype == float
    assert table.isna().to_numpy().tolist() == [[False, False, False], [True, True, False]]
