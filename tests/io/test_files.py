"""Files appear whole or not at all."""

import json
import os
import subprocess
import sys

import pytest

from ketbids.errors import InputError
from ketbids.io.files import (
    claims,
    modification_times,
    publish,
    read_json,
    remove_unchanged,
    write_bytes,
    write_json,
    write_text,
    written_aside,
)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*'))


def test_written_aside_then_renamed(tmp_path):
    target = tmp_path / 'new' / 'a.dtseries.nii'
    with written_aside(target) as aside:
        assert aside.parent == target.parent
        assert aside.name.startswith('.')
        assert aside.name.endswith('a.dtseries.nii')
        aside.write_text('content')
        assert not target.exists()
    assert target.read_text() == 'content'
    assert names(target.parent) == ['a.dtseries.nii']


@pytest.mark.parametrize('error', [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path, error):
    target = write_text(tmp_path / 'a.txt', 'old')

    def interrupted():
        with written_aside(target) as aside:
            aside.write_text('half of the n')
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_text() == 'old'
    assert names(tmp_path) == ['a.txt']


def test_text_is_utf8_and_bytes_are_bytes(tmp_path):
    assert write_text(tmp_path / 'a', 'mm²\n').read_bytes() == b'mm\xc2\xb2\n'
    assert write_bytes(tmp_path / 'b', b'\x00\xff').read_bytes() == b'\x00\xff'


def test_json_round_trip(tmp_path):
    content = {'b': [1, 2.5, None], 'a': {'c': 'ü'}}
    assert read_json(write_json(tmp_path / 'a.json', content)) == content


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_json_has_no_nan(tmp_path, value):
    write_json(tmp_path / 'a.json', {'a': 1})
    with pytest.raises(ValueError, match='JSON compliant'):
        write_json(tmp_path / 'a.json', {'a': value})
    assert json.loads((tmp_path / 'a.json').read_text()) == {'a': 1}


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'{"a": ', 'not valid JSON'),
        (b'', 'not valid JSON'),
        (b'\xff\xfe', 'not valid JSON'),
        (b'[1]', 'must hold a JSON object, not a list'),
        (None, 'Cannot read'),
    ],
)
def test_bad_json(tmp_path, content, words):
    path = tmp_path / 'a.json'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_json_with_byte_order_mark(tmp_path):
    (tmp_path / 'a.json').write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / 'a.json') == {'a': 1}


def test_publish_moves_all(tmp_path):
    stage, destination = tmp_path / 'stage', tmp_path / 'out'
    for name in ('b.txt', 'sub/deep/a.nii', 'sub/a.json'):
        write_text(stage / name, f'new {name}')
    write_text(destination / 'sub' / 'a.json', 'old')
    write_text(destination / 'sub' / 'kept.json', 'kept')
    published = publish(stage, destination)
    assert published == [destination / name for name in ('b.txt', 'sub/a.json', 'sub/deep/a.nii')]
    for path in published:
        assert path.read_text() == f'new {path.relative_to(destination)}'
    assert (destination / 'sub' / 'kept.json').read_text() == 'kept'
    assert [path for path in stage.rglob('*') if path.is_file()] == []
    assert [n for n in names(destination) if '/.' in n or n.startswith('.')] == []


CLAIM = """
import sys
from pathlib import Path
from ketbids.io.files import claims
with claims(Path(sys.argv[1])) as claim:
    print(*(claim(name) for name in sys.argv[2:]))
"""


def claimed_elsewhere(path, *names):
    command = [sys.executable, '-c', CLAIM, str(path), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_work_that_is_claimed_is_not_claimed_again(tmp_path):
    path = tmp_path / 'logs' / 'lock'
    with claims(path) as claim:
        assert claim('one')
        assert claimed_elsewhere(path, 'one', 'two') == ['False', 'True']
    assert claimed_elsewhere(path, 'one', 'two') == ['True', 'True']


def test_files_that_were_not_made_again_are_removed(tmp_path):
    old, again, new = (tmp_path / name for name in ('old', 'again', 'new'))
    old.write_text('a')
    again.write_text('a')
    os.utime(again, (1, 1))
    before = modification_times([old, again])
    again.write_text('b')
    new.write_text('c')
    assert remove_unchanged([old, again, new], before) == [again, new]
    assert sorted(tmp_path.iterdir()) == [again, new]
