import logging
import os
import signal

import pytest


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """Leave the environment, the logger and the handler of SIGTERM as they were."""
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'NUMBA_CACHE_DIR'):
        if name in os.environ:
            monkeypatch.setenv(name, os.environ[name])
        else:  # set and taken away: undone, it is as it was
            monkeypatch.setenv(name, '1')
            monkeypatch.delenv(name)
    logger = logging.getLogger('ketbids')
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.fixture
def dataset(tmp_path):
    """One participant with events; no derivatives."""
    folder = tmp_path / 'bids' / 'sub-01' / 'func'
    folder.mkdir(parents=True)
    (tmp_path / 'bids' / 'dataset_description.json').write_text(
        '{"Name": "x", "BIDSVersion": "1.10.0"}'
    )
    (tmp_path / 'bids' / 'participants.tsv').write_text(
        'participant_id\tgroup\tage\tsex\nsub-01\tHC\t30\tF\n'
    )
    (folder / 'sub-01_task-carit_events.tsv').write_text('onset\tduration\n1\t1\n')
    return tmp_path
