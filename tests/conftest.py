"""What tests share: reference material beside the repository, and tools that may be absent."""

import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope='session')
def shared() -> Path:
    """Reference material beside the repository (`../shared`)."""
    folder = REPOSITORY.parent / 'shared'
    if not (folder / 'reference').is_dir():
        pytest.skip('the reference folder ../shared is absent')
    return folder


@pytest.fixture(scope='session')
def wb_command() -> str:
    """Path of wb_command."""
    found = shutil.which('wb_command')
    if found is None:
        pytest.skip('wb_command (connectome-workbench) is absent')
    return found
