"""The program PALM: where it is, if it starts, and how a run of it ends."""

import shutil
from pathlib import Path

import pytest

from ketbids.errors import KetbidsError, ToolError
from ketbids.interfaces.palmprogram import (
    assert_palm_starts,
    palm_command,
    palm_version,
    run_palm,
)
from tests.interfaces.palm_programs import program

NOTHING = '#!/bin/sh\n'


def test_palm_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv('KETBIDS_PALM', raising=False)
    path = program(tmp_path / 'bin', NOTHING)
    monkeypatch.setenv('PATH', str(path.parent))
    assert palm_command() == str(path)
    other = program(tmp_path / 'other', NOTHING)
    monkeypatch.setenv('KETBIDS_PALM', str(other))
    assert palm_command() == str(other)
    assert palm_version(str(other)) is None
    other.with_name('palm_version.txt').write_text('alpha119\x1b\n')
    assert palm_version(str(other)) == 'alpha119'


def test_missing_palm_is_a_missing_tool(tmp_path, monkeypatch):
    monkeypatch.delenv('KETBIDS_PALM', raising=False)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ToolError, match=r'there is no palm on the PATH\. Set KETBIDS_PALM'):
        palm_command()
    monkeypatch.setenv('KETBIDS_PALM', str(tmp_path / 'gone'))
    with pytest.raises(ToolError, match='gone, which is not a program'):
        palm_command()
    spaced = program(tmp_path / 'my palm', NOTHING)
    monkeypatch.setenv('KETBIDS_PALM', str(spaced))
    with pytest.raises(ToolError, match='Install PALM in a folder with such a name'):
        palm_command()


@pytest.mark.parametrize('relative', [False, True])
def test_a_link_is_followed_before_palm_does(tmp_path, monkeypatch, relative):
    path = program(tmp_path / 'opt', NOTHING)
    link = tmp_path / 'links' / 'palm'
    link.parent.mkdir()
    link.symlink_to(Path('../opt/palm') if relative else path)
    monkeypatch.setenv('KETBIDS_PALM', str(link))
    assert palm_command() == str(path)
    monkeypatch.delenv('KETBIDS_PALM')
    monkeypatch.setenv('PATH', str(link.parent))
    assert palm_command() == str(path)


@pytest.mark.parametrize('name', ["a'); system('id'); ('", 'my palm', 'palm(2)', '$(id)'])
@pytest.mark.parametrize('of_folder', [False, True])
def test_a_link_does_not_hide_a_path_that_is_code(tmp_path, monkeypatch, name, of_folder):
    path = program(tmp_path / name, NOTHING)
    link = tmp_path / 'links'
    if of_folder:
        link.symlink_to(path.parent)
    else:
        link.mkdir()
        (link / 'palm').symlink_to(path)
    monkeypatch.setenv('KETBIDS_PALM', str(link / 'palm'))
    with pytest.raises(ToolError, match='only letters, digits'):
        palm_command()


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    path = program(tmp_path / 'opt', NOTHING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('KETBIDS_PALM', 'opt/palm')
    assert palm_command() == str(path)


def test_palm_is_started_in_an_empty_folder(tmp_path, monkeypatch):
    """Octave runs what it finds in its folder at its start."""
    (tmp_path / '.octaverc').write_text('')
    monkeypatch.chdir(tmp_path)
    record = f'{NOTHING}ls -A > {tmp_path}/seen; echo "$@" > {tmp_path}/given\n'
    assert_palm_starts(str(program(tmp_path / 'bin', record)))
    assert (tmp_path / 'seen').read_text() == 'help.log\n'
    assert (tmp_path / 'given').read_text() == '-help\n'


def test_missing_octave_is_a_missing_tool(tmp_path):
    lost = program(tmp_path / 'bin', f'{NOTHING}octave-that-is-not-there --eval "$1"\n')
    with pytest.raises(ToolError, match=r'not there|not found.*Install Octave \(octave-cli on'):
        assert_palm_starts(str(lost))
    with pytest.raises(ToolError, match=r'PALM \(cortex\) has not found the program'):
        run_palm([str(lost)], tmp_path, 'cortex')


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (f'{NOTHING}echo no licence; exit 1\n', 'ended with code 1: no licence'),
        ('#!/not/there\n', 'cannot be started: No such file or directory'),
        (f'{NOTHING}echo hm; exec sleep 60\n', 'did not show its help within 0 s: hm'),
    ],
)
def test_palm_that_does_not_start_is_a_missing_tool(tmp_path, monkeypatch, text, words):
    monkeypatch.setattr('ketbids.interfaces.palmprogram._PATIENCE', 0.4)
    with pytest.raises(ToolError, match=words):
        assert_palm_starts(str(program(tmp_path / 'bin', text)))


@pytest.mark.parametrize(
    ('end', 'words'),
    [
        ('kill -9 $$', r'was killed \(signal 9\); perhaps memory ran out: last words$'),
        ("sh -c 'kill -9 $$'; exit $?", r'was killed \(signal 9\); perhaps memory ran out: '),
        ('kill -15 $$', r'was killed \(signal 15\): last words$'),
        ('exit 139', r'was killed \(signal 11\): last words$'),
        ('exit 2', r'ended with code 2: last words$'),
        ('exit 0', r'did not come to its end \(.*x_elapsed\.csv is missing\): last words$'),
    ],
)
def test_how_a_run_ended(tmp_path, end, words):
    path = program(tmp_path / 'bin', f'{NOTHING}echo last words\n{end}\n')
    with pytest.raises(KetbidsError, match=rf'^PALM \(x\) {words}') as caught:
        run_palm([str(path)], tmp_path, 'x')
    assert caught.value.exit_code == 1


def test_a_run_gets_its_threads_and_comes_to_its_end(tmp_path):
    text = f'{NOTHING}echo $OMP_NUM_THREADS "$@"\ntouch x_elapsed.csv\n'
    run_palm([str(program(tmp_path / 'bin', text)), '-a', 'b'], tmp_path, 'x', threads=3)
    assert (tmp_path / 'x.log').read_text() == '3 -a b\n'


def test_palm_itself_starts_through_a_link(tmp_path, monkeypatch):
    try:
        command = palm_command()
    except ToolError as error:
        pytest.skip(str(error))
    if shutil.which('octave-cli') is None:
        pytest.skip('octave-cli is absent')
    (tmp_path / 'palm').symlink_to(command)
    monkeypatch.setenv('KETBIDS_PALM', str(tmp_path / 'palm'))
    assert_palm_starts(palm_command())
    tools = tmp_path / 'tools'
    tools.mkdir()
    for tool in ('bash', 'dirname', 'readlink', 'awk', 'sort', 'head', 'expr', 'rm', 'uname'):
        (tools / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv('PATH', str(tools))
    if Path('/opt/local/bin/octave').exists():
        pytest.skip('PALM takes Octave of MacPorts')
    with pytest.raises(ToolError, match=r'octave-cli: command not found.*Install Octave'):
        assert_palm_starts(command)
