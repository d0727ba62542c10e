"""What tests share: reference material beside the repository, and tools that may be absent."""

import fcntl
import os
import shutil
import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

# A shell lets what it starts in the background ignore Ctrl-C, which some tests are about.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture(scope='session')
def demo_study(tmp_path_factory: pytest.TempPathFactory):
    """The synthetic study of 6 participants, written once for all workers; not to be changed.

    Returns
    -------
    ketbids.demo.tree.Tree
        Its paths.
    """
    from ketbids.demo.study import StudyOptions, write_study

    folder = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        folder = folder.parent
    with (folder / 'demo.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Finds what another worker has written and returns at once.
        return write_study(folder / 'demo', StudyOptions(participants=6)).tree
