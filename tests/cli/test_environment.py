"""What libraries read of the environment: threads, and a place for compiled code."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ketbids.cli import environment, main

REPOSITORY = Path(__file__).parents[2]

#: A group test in a worker process, as the command runs it.
SCRIPT = """
import sys
from argparse import Namespace
from pathlib import Path
from ketbids.cli.main import _prepare_environment
folder = Path(sys.argv[1])
_prepare_environment(
    Namespace(omp_nthreads=2, work_dir=folder / 'work', output_dir=folder, level='group')
)
import os
import numpy as np
import pandas as pd
from nipype.pipeline import engine as pe
import ketbids
from ketbids.interfaces.inference import GroupTest
from ketbids.io.tables import write_table
from ketbids.workflows.plugin import WatchedMultiProcPlugin
from tests.interfaces.files import BrainFiles

brain = BrainFiles(folder)
data = np.random.default_rng(0).normal(size=(4, len(brain.models)))
names = [Path(brain.map(f'm{n}', values)).name for n, values in enumerate(data)]
rows = pd.DataFrame({'participant_id': names, 'path': names, 'Intercept': 1.0})
write_table(folder / 'design.tsv', rows)
left, right = brain.pair()
test = GroupTest(
    design_file=str(folder / 'design.tsv'), base_directory=str(folder), predictors=['Intercept'],
    weights=[1.0], left_midthickness=[left] * 4, right_midthickness=[right] * 4, scheme='flips',
    n_shuffles=16, seed=0, tails='two', num_threads=2,
)
workflow = pe.Workflow('wf', base_dir=str(folder / 'work'))
workflow.add_nodes([pe.Node(test, name='test')])
plugin = WatchedMultiProcPlugin(plugin_args={'n_procs': 1, 'raise_insufficient': False})
workflow.run(plugin=plugin)
print(plugin.failures, ketbids.__file__, os.environ['OMP_NUM_THREADS'])
plugin.close()
"""


def test_group_test_where_package_and_home_cannot_be_written(tmp_path):
    """The folder of compiled code is no folder, which stops root too."""
    copy, out = tmp_path / 'copy', tmp_path / 'out'
    out.mkdir()
    for name in ('ketbids', 'tests'):
        ignored = shutil.ignore_patterns('__pycache__')
        shutil.copytree(REPOSITORY / name, copy / name, ignore=ignored)
    (copy / 'ketbids' / 'stats' / '__pycache__').touch()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(('NUMBA', 'MPL', 'XDG'))}
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(out)],
        env=clean
        | {'HOME': '/proc/none', 'PYTHONPATH': str(copy), 'PYTHONDONTWRITEBYTECODE': '1'},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # BLAS gets one thread: those of the shuffles are the group level's own.
    assert done.stdout.splitlines()[-1] == f'{{}} {copy}/ketbids/__init__.py 1'
    assert list((out / 'work' / 'cache' / 'numba').rglob('*.nbi'))
    assert not list(copy.rglob('*.nbi'))


@pytest.mark.parametrize(('level', 'threads'), [('participant', '3'), ('group', '1')])
def test_threads_of_blas(tmp_path, level, threads, monkeypatch):
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        monkeypatch.setenv(name, '7')
    options = argparse.Namespace(
        omp_nthreads=3, work_dir=None, output_dir=tmp_path / 'out', level=level
    )
    main._prepare_environment(options)
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        assert os.environ[name] == threads


def test_compiled_code_stands_beside_the_modules_if_it_can(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, 'PACKAGE', tmp_path)
    (tmp_path / 'stats').mkdir()
    assert environment.holds_compiled_code()
    (tmp_path / 'stats' / '__pycache__').mkdir()
    assert environment.holds_compiled_code()
    (tmp_path / 'stats' / '__pycache__').rmdir()
    (tmp_path / 'stats' / '__pycache__').touch()
    assert not environment.holds_compiled_code()
