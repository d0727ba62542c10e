"""Events files are read as text, with the lines of their rows."""

import pytest

from ketbids.errors import InputError
from ketbids.io.events import read_events


def test_values_stay_as_they_are_written(tmp_path):
    path = tmp_path / 'events.tsv'
    path.write_text('onset\tduration\tkind\n1.50\t0.6\t01\n\n2\tn/a\tTRUE\n')
    events = read_events(path)
    assert events.index.name == 'line'
    assert events.index.tolist() == [2, 4]
    assert events['onset'].tolist() == ['1.50', '2']
    assert events['kind'].tolist() == ['01', 'TRUE']
    assert events['duration'].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty'),
        (b'onset\tkind\n1\tgo\n', 'lacks the column duration; it has onset, kind'),
        (b'onset,duration,kind\n1,1,go\n', 'separated by commas: put one tab between them'),
        (b'onset;duration;kind\n1;1;go\n', 'separated by semicolons: put one tab between'),
        (b'onset duration kind\n1 1 go\n', 'separated by blanks: put one tab between'),
        (b'onset\tduration, kind\n1\t1, go\n', 'lacks .* duration; .* separated by commas'),
        (b'onset\tduration\n1\n', 'line 2: 1 values, but the header has 2 columns'),
        (b'onset\tduration\tkind\n1\t1\tgo\n2\t1\tg\xf6\n', 'line 3: byte 32 .* not UTF-8'),
        (b'onset\tduration\tkind\n1\t1\t"go\n', 'line 2: cannot be read'),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path, content, message):
    path = tmp_path / 'events.tsv'
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_events(path)
    assert str(path) in str(caught.value)
