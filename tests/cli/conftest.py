import logging
import os
import shutil
import signal

import nibabel as nib
import pytest

from tests.cli.hcpstudy import NAME, Study, with_log
from tests.hcp_programs import write_hcp_programs
from tests.io import rawtrees


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


@pytest.fixture(scope='session')
def raw(demo_study, tmp_path_factory):
    """The first visit of the synthetic study, as if it were raw."""
    folder = tmp_path_factory.mktemp('raw')
    series = nib.load(demo_study.series('01', 'TP1'))
    bids = rawtrees.study(folder / 'bids', sessions=('TP1',), volumes=series.shape[0])
    shutil.copy(demo_study.events('01', 'TP1'), bids / f'sub-01/ses-TP1/func/{NAME}_events.tsv')
    programs = write_hcp_programs(folder / 'programs', demo=demo_study)
    environment = {k: v for k, v in os.environ.items() if not k.startswith('PYTEST')}
    environment |= programs.environment
    environment['PATH'] = f'{programs.environment["PATH"]}:{os.environ["PATH"]}'
    return Study(bids, programs, environment)


@pytest.fixture
def study(raw, tmp_path):
    return with_log(raw, tmp_path)


@pytest.fixture(scope='session')
def finished(raw, tmp_path_factory):
    """Where everything was done, what a dry run had listed, and what was called."""
    folder = tmp_path_factory.mktemp('finished')
    study, out = with_log(raw, folder), folder / 'out'
    listed = study.ketbids(out, '--dry-run', check=0).stdout
    assert not out.exists()
    study.ketbids(out, check=0)
    return out, listed, study.calls()


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of what was done."""
    return shutil.copytree(finished[0], tmp_path / 'copied' / 'out', symlinks=True)
