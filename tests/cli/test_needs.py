"""What the first level was told to use, and what is there."""

import shutil
from dataclasses import replace

import pytest

from ketbids.cli.main import main
from ketbids.cli.needs import first_level_lacks
from tests.io.trees import hcp_run, hcp_surfaces
from tests.workflows.studies import settings


@pytest.mark.parametrize(
    ('smoother', 'there', 'lacks'),
    [
        ('wb_command', False, True),
        ('wb_command', True, False),
        ('native', False, False),
        ('auto', False, False),
    ],
)
def test_the_smoother(tmp_path, monkeypatch, smoother, there, lacks):
    monkeypatch.setattr(shutil, 'which', lambda name: f'/bin/{name}' if there else None)
    made = settings(tmp_path)
    made = replace(made, first_level=replace(made.first_level, smoother=smoother))
    found = first_level_lacks(made)
    assert len(found) == lacks
    assert all('--smoother native, which smooths with the same' in text for text in found)


def participant(root, *arguments):
    given = ['participant', '--derivatives', str(root / 'hcp'), '--dry-run', *arguments]
    return main([str(root / 'bids'), str(root / 'out'), *given])


def test_without_wb_command_nothing_starts(dataset, monkeypatch, capsys):
    monkeypatch.setenv('PATH', '/nonexistent')
    hcp_run(dataset / 'hcp', session='sub-01')
    assert participant(dataset, '--smoother', 'wb_command') == 4
    assert 'wb_command is not on the PATH' in capsys.readouterr().err
    assert not (dataset / 'out').exists()


def test_a_total_that_is_too_small_is_told_before_anything_runs(dataset, capsys):
    hcp_run(dataset / 'hcp', session='sub-01')
    hcp_surfaces(dataset / 'hcp', 'sub-01')
    options = ('--smoothing-mode', 'total', '--smoothing-fwhm')
    assert participant(dataset, *options, '1') != 0
    said = capsys.readouterr()
    assert 'A total smoothing of 1 mm FWHM cannot be reached' in said.out + said.err
    assert participant(dataset, *options, '5') == 1
