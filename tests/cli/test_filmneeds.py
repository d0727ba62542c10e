"""``--noise-model film`` without FSL or wb_command."""

import os
from pathlib import Path

import pytest

from ketbids.cli.needs import first_level_lacks
from ketbids.cli.participant import run
from ketbids.errors import ToolError
from ketbids.settings import (
    FirstLevelSettings,
    GroupSettings,
    HcpSettings,
    InputSettings,
    PathSettings,
    ResourceSettings,
    SelectionSettings,
    Settings,
)
from tests.film_programs import install_film


def settings(folder, noise_model):
    paths = {
        name: folder / name.removesuffix('_dir')
        for name in ('bids_dir', 'output_dir', 'work_dir', 'model')
    }
    return Settings(
        level='participant',
        paths=PathSettings(**paths),
        inputs=InputSettings(preproc='existing'),
        hcp=HcpSettings(),
        selection=SelectionSettings(),
        first_level=FirstLevelSettings(
            0, 5.0, 'spm', 0.005, smoother='native', noise_model=noise_model
        ),
        group=GroupSettings(),
        resources=ResourceSettings(),
    )


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    """A machine without the programs."""
    monkeypatch.delenv('FSLDIR', raising=False)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    return tmp_path


def test_other_noise_models_need_nothing(nothing):
    for noise_model in ('ols', 'ar6'):
        assert first_level_lacks(settings(nothing, noise_model)) == []


def test_film_is_refused_before_anything_is_read(nothing):
    with pytest.raises(ToolError, match=r'film_gls of FSL.* needs wb_command'):
        run(settings(nothing, 'film'), None)
    assert list(nothing.iterdir()) == []


def test_film_with_what_it_needs(nothing, monkeypatch):
    fsl = install_film(nothing / 'fsl')
    monkeypatch.setenv('FSLDIR', str(fsl))
    (lacking,) = first_level_lacks(settings(nothing, 'film'))
    assert 'wb_command' in lacking
    workbench = Path(os.environ['PATH'], 'wb_command')
    workbench.parent.mkdir()
    workbench.write_text('#!/bin/sh\n')
    workbench.chmod(0o755)
    assert first_level_lacks(settings(nothing, 'film')) == []
    # FSL whose folder is on the PATH only
    monkeypatch.delenv('FSLDIR')
    monkeypatch.setenv('PATH', f'{workbench.parent}:{fsl / "bin"}')
    assert first_level_lacks(settings(nothing, 'film')) == []
