import subprocess
import sys

import pytest

from ketbids.cli.demo import build_parser, main

SIX = ['--participants', '6', '--nprocs', '1', '--seed', '3']


@pytest.fixture
def no_runs(monkeypatch):
    monkeypatch.setattr('ketbids.demo.study._write_runs', lambda *args: None)


def test_writes_and_says_where(tmp_path, capsys, no_runs):
    assert main([str(tmp_path / 'd'), *SIX]) == 0
    text = capsys.readouterr().out
    assert 'Writing 14 runs of 200 volumes' in text
    assert str(tmp_path / 'd' / 'bids') in text
    assert (tmp_path / 'd' / 'truth.json').exists()


def test_other_options_are_wrong_usage(tmp_path, capsys, no_runs):
    main([str(tmp_path / 'd'), *SIX])
    assert main([str(tmp_path / 'd'), '--participants', '7']) == 2
    assert 'other options' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--participants', '3'], 'at least 6'),
        (['--participants', 'many'], 'not a whole number'),
        (['--seed', '-1'], 'at least 0'),
        (['--scale', 'huge'], 'invalid choice'),
        (['--nprocs', '0'], 'at least 1'),
        (['--scale', 'small', '--like', 'x.nii'], 'full scale'),
        (['--compare', 'out', '--seed', '1'], '--seed is for writing'),
        (['--unknown'], 'unrecognized'),
    ],
)
def test_wrong_usage(tmp_path, capsys, options, words):
    assert main([str(tmp_path / 'd'), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'd').exists()


def test_folder_is_needed(capsys):
    assert main([]) == 2
    assert 'DIR' in capsys.readouterr().err


def test_comparison_needs_a_study_and_results(tmp_path, capsys, no_runs):
    assert main([str(tmp_path / 'd'), '--compare', str(tmp_path)]) == 3
    assert 'truth.json' in capsys.readouterr().err
    main([str(tmp_path / 'd'), *SIX])
    assert main([str(tmp_path / 'd'), '--compare', str(tmp_path / 'out')]) == 3
    assert 'run the group level first' in capsys.readouterr().err


def test_comparison_that_finds_nothing_fails(tmp_path, capsys, no_runs):
    main([str(tmp_path / 'd'), *SIX])
    (tmp_path / 'out' / 'group').mkdir(parents=True)
    assert main([str(tmp_path / 'd'), '--compare', str(tmp_path / 'out')]) == 1
    assert 'pairedTP1TP3 has no results' in capsys.readouterr().out


def test_interruption(tmp_path, capsys, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr('ketbids.demo.study._write_runs', interrupt)
    assert main([str(tmp_path / 'd'), *SIX]) == 130
    assert 'repeat the command' in capsys.readouterr().err


def test_help_names_every_option_and_imports_nothing_slow():
    code = (
        'import sys; from ketbids.cli.demo import main\n'
        'try: main(["--help"])\n'
        'except SystemExit as end: assert end.code == 0\n'
        'slow = {"numpy", "scipy", "pandas", "nibabel"} & set(sys.modules)\n'
        'assert not slow, slow'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    for action in build_parser()._actions:
        assert all(name in done.stdout for name in action.option_strings)
