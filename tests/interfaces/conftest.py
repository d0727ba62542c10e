import pytest

from tests.interfaces.files import BrainFiles


@pytest.fixture
def brain(tmp_path, monkeypatch):
    """A small brain; interfaces run in the folder of its files."""
    monkeypatch.chdir(tmp_path)
    return BrainFiles(tmp_path)
