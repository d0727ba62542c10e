"""Work in threads: complete, the same whatever their number, and open to interrupts."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ketbids.stats.runner import run_chunks


class Summing:
    def __init__(self, seen):
        self.total, self.seen = 0, seen

    def work(self, numbers):
        self.total += sum(numbers)
        self.seen[list(numbers)] += 1


@pytest.mark.parametrize('threads', [1, 2, 5])
@pytest.mark.parametrize('chunk', [1, 4, 100])
def test_each_item_is_done_once(threads, chunk):
    seen, calls = np.zeros(30, int), []
    workers = run_chunks(
        range(3, 30), chunk, lambda: Summing(seen), threads, lambda *call: calls.append(call)
    )
    assert seen.tolist() == [0] * 3 + [1] * 27
    assert sum(worker.total for worker in workers) == sum(range(3, 30))
    assert calls == sorted(calls)
    assert calls[-1] == (30, 30)


def test_nothing_to_do():
    assert len(run_chunks(range(1, 1), 8, lambda: Summing(np.zeros(1, int)), 4)) == 1


@pytest.mark.parametrize('threads', [1, 3])
def test_the_first_error_ends_it(threads):
    class Failing(Summing):
        def work(self, numbers):
            super().work(numbers)
            if 10 in numbers:
                raise ValueError('ten')

    seen = np.zeros(100_000, int)
    with pytest.raises(ValueError, match='ten'):
        run_chunks(range(100_000), 1, lambda: Failing(seen), threads)
    assert seen.sum() < 100_000


CODE = """
import sys
from ketbids.stats.runner import run_chunks
class Worker:
    def work(self, numbers):
        pass
print('running', flush=True)
try:
    run_chunks(range(10**9), 1, Worker, int(sys.argv[1]))
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.parametrize('threads', [1, 2])
def test_an_interrupt_at_any_time_ends_it(threads):
    """With very many short chunks, where an executor's own locks would be left locked."""
    for pause in (0.0, 0.01, 0.1, 0.4):
        with subprocess.Popen(
            [sys.executable, '-c', CODE, str(threads)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == 'running\n'
            time.sleep(0.05 + pause)
            process.send_signal(signal.SIGINT)
            try:
                assert process.wait(timeout=10) == 7
            finally:
                process.kill()
