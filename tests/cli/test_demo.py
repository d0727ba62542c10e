import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ketbids.cli.demo import build_parser, main
from tests.demo.sources import make_source

SIX = ['--participants', '6', '--nprocs', '1', '--seed', '3']


@pytest.fixture
def no_runs(monkeypatch):
    monkeypatch.setattr('ketbids.demo.study.write_all', lambda *args: None)


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
        (['--compare', 'out', '--from-bids', 'src'], '--from-bids is for writing'),
        (['--from-bids', 'src'], '--from-bids needs --repetition-time'),
        (['--repetition-time', '2'], '--repetition-time goes with --from-bids'),
        (['--from-bids', 'src', '--repetition-time', '0'], '0 must be more than 0'),
        (['--from-bids', 'src', '--repetition-time', '-2'], '-2 must be more than 0'),
        (['--from-bids', 'src', '--repetition-time', 'inf'], 'inf must be more than 0'),
        (['--from-bids', 'src', '--repetition-time', 'two'], "'two' is not a number"),
        (['--from-bids', 'src', '--repetition-time', '2', '--scale', 'full'], '--scale does not'),
        (['--unknown'], 'unrecognized'),
    ],
)
def test_wrong_usage(tmp_path, capsys, options, words):
    assert main([str(tmp_path / 'd'), *options]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / 'd').exists()


def test_dresses_a_real_study_and_says_where(tmp_path, capsys):
    source = make_source(tmp_path / 'src')
    command = [str(tmp_path / 'd'), '--from-bids', str(source), '--repetition-time', '2']
    command += ['--nprocs', '1', '--participants', '2']
    assert main(command) == 0
    text = capsys.readouterr().out
    assert 'Writing 3 runs of 2 participants at 9922 grayordinates' in text
    assert '2 participants, 3 runs; trials: 90 go, 30 stop' in text
    assert str(tmp_path / 'd' / 'derivatives' / 'fmriprep') in text
    assert main(command) == 0
    assert 'is complete: nothing to write' in capsys.readouterr().out
    assert main([*command, '--seed', '1']) == 2
    assert 'made with other options' in capsys.readouterr().err
    assert main([str(tmp_path / 'd'), '--compare', str(tmp_path / 'out')]) == 3
    assert 'run the group level first' in capsys.readouterr().err


def test_bad_sources(tmp_path, capsys):
    command = ['--repetition-time', '2', '--from-bids']
    assert main([str(tmp_path / 'd'), *command, str(tmp_path / 'none')]) == 3
    assert 'none is not a folder' in capsys.readouterr().err
    source = make_source(tmp_path / 'src')
    assert main([str(source / 'd'), *command, str(source)]) == 2
    assert 'must be apart' in capsys.readouterr().err
    assert main([str(tmp_path), *command, str(source)]) == 2
    assert 'must be apart' in capsys.readouterr().err
    shutil.rmtree(source / 'derivatives')
    assert main([str(tmp_path / 'd'), *command, str(source)]) == 3
    assert 'no run with events and confounds; 5 are left out' in capsys.readouterr().err
    assert not (tmp_path / 'd').exists()


def test_comparison_of_a_dressed_study_reads_the_model(tmp_path, capsys):
    source = make_source(tmp_path / 'src')
    dressed = [str(tmp_path / 'd'), '--from-bids', str(source), '--repetition-time', '2']
    assert main([*dressed, '--nprocs', '1', '--participants', '1']) == 0
    out = tmp_path / 'out'
    (out / 'group').mkdir(parents=True)
    (out / 'logs').mkdir()
    example = Path(__file__).parents[2] / 'docs' / 'examples' / 'stopsignal.json'
    model = example.read_text().replace('"succesful_stop"', '"stop"')
    model = model.replace('"unsuccesful_stop"', '"go2"')
    (out / 'logs' / 'model.json').write_text(model)
    assert main([str(tmp_path / 'd'), '--compare', str(out)]) == 3
    assert 'unsuccesfulStop has the trial types go2, the study go, stop' in capsys.readouterr().err
    (out / 'logs' / 'model.json').unlink()
    assert main([str(tmp_path / 'd'), '--compare', str(out)]) == 3
    assert 'model.json' in capsys.readouterr().err


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

    monkeypatch.setattr('ketbids.demo.study.write_all', interrupt)
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
