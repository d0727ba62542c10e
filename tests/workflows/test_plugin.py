"""Nodes that fail end a workflow with reasons, and never keep it waiting."""

import multiprocessing
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nipype.pipeline import engine as pe

from ketbids.workflows.base import executor
from ketbids.workflows.plugin import exception_message
from tests.workflows.nodes import Act
from tests.workflows.studies import settings


@pytest.fixture
def limit():
    """End a test that hangs."""

    def on_alarm(number, frame):
        raise TimeoutError('the workflow did not end')

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def chain(tmp_path, how, name='wf'):
    """One node that acts and one that waits for it; and one beside them."""
    workflow = pe.Workflow(name=name, base_dir=str(tmp_path / 'work'))
    first = pe.Node(Act(how=how), name='first')
    then = pe.Node(Act(how='well'), name='then')
    beside = pe.Node(Act(how='well', value=5), name='beside')
    workflow.connect(first, 'out', then, 'value')
    workflow.add_nodes([beside])
    return workflow


def finished(tmp_path, node, name='wf'):
    return (tmp_path / 'work' / name / node / f'result_{node}.pklz').is_file()


def test_all_well(tmp_path, limit):
    with executor(settings(tmp_path)) as execute:
        assert execute(chain(tmp_path, 'well')) == {}
    assert finished(tmp_path, 'then')


def test_one_part_is_finished_before_the_next_begins(tmp_path, limit):
    done = []
    whole = pe.Workflow(name='whole', base_dir=str(tmp_path / 'work'))
    whole.add_nodes([chain(tmp_path, 'well', name) for name in 'cab'])
    with executor(settings(tmp_path, nprocs=1), report=done.append) as execute:
        assert execute(whole) == {}
    ends = {
        path.parts[-3]: path.stat().st_mtime_ns
        for path in (tmp_path / 'work' / 'whole').glob('*/then/result_then.pklz')
    }
    starts = {
        path.parts[-3]: path.stat().st_mtime_ns
        for path in (tmp_path / 'work' / 'whole').glob('*/first/result_first.pklz')
    }
    assert done == ['a', 'b', 'c']
    assert ends['a'] < starts['b'] < ends['b'] < starts['c']


def test_parts_are_reported_when_they_are_done(tmp_path, limit):
    done = []
    whole = pe.Workflow(name='whole', base_dir=str(tmp_path / 'work'))
    whole.add_nodes([chain(tmp_path, 'well', 'a'), chain(tmp_path, 'input', 'b')])
    whole.add_nodes([pe.Node(Act(how='well'), name='single')])
    with executor(settings(tmp_path), report=done.append) as execute:
        execute(whole)
    assert sorted(done) == ['a', 'single']


@pytest.mark.parametrize(
    ('how', 'message'),
    [
        ('input', 'events.tsv, line 3: no onset. Correct the row.'),
        ('other', 'ZeroDivisionError: by zero'),
    ],
)
def test_a_node_that_raises(tmp_path, limit, how, message):
    with executor(settings(tmp_path)) as execute:
        failures = execute(chain(tmp_path, how))
    # The reason comes before what could not be run for it.
    assert next(iter(failures.items())) == ('wf.first', message)
    assert 'wf.beside' not in failures
    assert finished(tmp_path, 'beside')
    assert not finished(tmp_path, 'then')
    assert list((tmp_path / 'out' / 'logs').glob('crash-*first*.txt'))


def test_a_node_that_exits(tmp_path, limit):
    with executor(settings(tmp_path)) as execute:
        failures = execute(chain(tmp_path, 'exit'))
    assert next(iter(failures)) == 'wf.first'
    assert 'wf.beside' not in failures


@pytest.mark.parametrize('nprocs', [1, 2])
def test_a_killed_worker_does_not_hang(tmp_path, limit, nprocs):
    with executor(settings(tmp_path, nprocs=nprocs)) as execute:
        failures = execute(chain(tmp_path, 'killed'))
    assert 'A worker process was killed' in failures['wf.first']
    assert '--nprocs' in failures['wf.first']
    assert not finished(tmp_path, 'then')


def test_after_a_killed_worker_the_next_workflow_runs(tmp_path, limit):
    with executor(settings(tmp_path)) as execute:
        assert execute(chain(tmp_path, 'killed', 'one'))
        assert execute(chain(tmp_path, 'well', 'two')) == {}
        assert next(iter(execute(chain(tmp_path, 'input', 'three')))) == 'three.first'
        assert execute(chain(tmp_path, 'well', 'four')) == {}
    assert finished(tmp_path, 'then', 'four')


ORPHANS = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from ketbids.workflows.plugin import start_worker
pool = ProcessPoolExecutor(1, initializer=start_worker, initargs=(os.getcwd(),))
print(pool.submit(os.getpid).result(), flush=True)
pool.submit(time.sleep, 60)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='the signal is of Linux')
def test_workers_do_not_outlive_a_killed_main_process(limit):
    with subprocess.Popen([sys.executable, '-c', ORPHANS], stdout=subprocess.PIPE) as main:
        assert main.stdout is not None
        worker = int(main.stdout.readline())
        assert Path(f'/proc/{worker}').exists()
        main.kill()
    for _ in range(100):
        status = Path(f'/proc/{worker}/stat')
        if not status.exists() or ') Z ' in status.read_text():
            return
        time.sleep(0.1)
    pytest.fail('the worker is still there')


def test_an_interruption_does_not_wait_for_the_node(tmp_path, limit):
    """Slurm kills 30 s after SIGTERM: the main process has to get away from a long node."""
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt), executor(settings(tmp_path)) as execute:
        execute(chain(tmp_path, 'interrupts'))
    assert time.monotonic() - before < 15
    for worker in multiprocessing.active_children():
        worker.kill()


HEAD = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    raise x\n'


@pytest.mark.parametrize(
    ('traceback', 'message'),
    [
        (f'{HEAD}ketbids.errors.InputError: a.tsv is empty.\n', 'a.tsv is empty.'),
        (f'{HEAD}ValueError: bad\n', 'ValueError: bad'),
        (f'{HEAD}numpy.linalg.LinAlgError: singular\n', 'LinAlgError: singular'),
        (f'{HEAD}MemoryError\n', 'MemoryError'),
        (f'{HEAD}ketbids.errors.InputError: one\nand two\n', 'one\nand two'),
        (
            'nipype.pipeline.engine.nodes.NodeExecutionError: Exception raised while executing '
            f'Node fit.\n\nTraceback:\n\t{HEAD}\tketbids.errors.KetbidsError: It ended:\n'
            '\t  | x: 1\n',
            'It ended:\n  | x: 1',
        ),
        (
            f'{HEAD}KeyError: 1\n\nDuring handling of the above exception, another exception '
            f'occurred:\n\n{HEAD}ketbids.errors.ModelError: node x\n',
            'node x',
        ),
        (
            'nipype.pipeline.engine.nodes.NodeExecutionError: Exception raised while executing '
            f'Node fit.\n\nTraceback:\n\t{HEAD}\tketbids.errors.KetbidsError: wb_command failed\n',
            'wb_command failed',
        ),
        ('Killed', 'Killed'),
        ('', 'unknown error'),
    ],
)
def test_message_of_a_traceback(traceback, message):
    assert exception_message(traceback) == message
