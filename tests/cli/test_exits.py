"""What is left when a command is interrupted: nothing that runs."""

import os
import signal
import subprocess
import sys
import time

import pytest

#: A command whose worker waits for a program, which waits for another, as PALM's launcher does.
SCRIPT = """
import subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from ketbids.cli.exits import exit_code

def work():
    subprocess.run(['sh', '-c', 'sleep 60 & echo $! > pid; wait'])

def run():
    pool = ProcessPoolExecutor(1)
    pool.submit(work)
    time.sleep(60)

sys.exit(exit_code('command', run, 'nothing stays'))
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_programs_of_workers_end_too(tmp_path):
    command = subprocess.Popen([sys.executable, '-c', SCRIPT], cwd=tmp_path)
    path = tmp_path / 'pid'
    deadline = time.monotonic() + 30
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    command.send_signal(signal.SIGTERM)
    assert command.wait(30) == 143
    pid = int(path.read_text())
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        with open(f'/proc/{pid}/stat') as file:
            if file.read().split()[2] == 'Z':
                return
        time.sleep(0.05)
    pytest.fail(f'process {pid} lives on')
