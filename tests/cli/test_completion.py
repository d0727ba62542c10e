"""Completion in the shell: the scripts that are printed, and what bash makes of them."""

import subprocess

import pytest

from ketbids.cli.main import main

COMPLETE = """
source "$1"
COMP_WORDS=(ketbids "${@:2}")
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
function=$(complete -p ketbids | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function ketbids "${COMP_WORDS[$COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def printed(capsys, shell):
    with pytest.raises(SystemExit) as end:
        main(['--print-completion', shell])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def complete(capsys, tmp_path):
    script = tmp_path / 'ketbids.bash'
    script.write_text(printed(capsys, 'bash'))

    def complete(*words):
        command = ['bash', '-c', COMPLETE, 'bash', str(script), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        return set(done.stdout.split())

    return complete


def test_bash_completes_options_and_choices(complete, tmp_path):
    assert complete('--con') == {'--config-file', '--confounds', '--connectivity'}
    assert complete('--connectivity', '') == {'6', '18', '26'}
    assert complete('--tails', '') == {'two', 'each', 'positive'}
    assert complete('bids', 'out', '') == {'participant', 'group'}


def test_bash_completes_folders_where_folders_are_wanted(complete, tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file.json').touch()
    assert complete('--work-dir', 'f') == {'folder'}
    assert complete('--model', 'f') == {'folder', 'file.json'}


@pytest.mark.parametrize('shell', ['zsh', 'tcsh'])
def test_other_shells(capsys, shell):
    text = printed(capsys, shell)
    assert 'min-coverage' in text
    assert 'ketbids' in text.splitlines()[0] + text


def test_unknown_shell(capsys):
    assert main(['--print-completion', 'fish']) == 2
    assert "choose from 'bash', 'zsh', 'tcsh'" in capsys.readouterr().err
