"""Runs of programs for benchmarks: time, memory, and who else was busy."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent


class Run(NamedTuple):
    """One run of a program.

    Attributes
    ----------
    seconds, processor : float
        From start to end; of the processor, all threads together.
    memory : float
        Bytes at its largest.
    others : float
        Processors that other programs kept busy meanwhile.
    said : str
        What it printed.
    """

    seconds: float
    processor: float
    memory: float
    others: float
    said: str


class Rate(NamedTuple):
    """What one more shuffle (or map) costs: both times as in `Run`, and what is left at none."""

    seconds: float
    processor: float
    fixed: float
    memory: float
    others: float


def run(words: Sequence[str | Path], folder: Path, threads: int = 1) -> Run:
    """Run a program to its end; its libraries shall start that many threads of their own."""
    names = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    with tempfile.TemporaryFile('w+', errors='replace') as output:
        busy, started = _busy_seconds(), time.monotonic()
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        # The kernel counts the parent's size at the fork as the child's: this process is small.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        busy = _busy_seconds() - busy
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode:
        raise SystemExit(f'{words[0]} ended with {process.returncode}:\n{said[-2000:]}')
    processor = used.ru_utime + used.ru_stime
    others = max(0.0, (busy - processor) / seconds)
    return Run(seconds, processor, used.ru_maxrss * 1024.0, others, said)


def _busy_seconds() -> float:
    """Seconds that all processors have been busy or taken away; 0 where that is not known."""
    try:
        fields = [
            int(word) for word in Path('/proc/stat').read_text().splitlines()[0].split()[1:9]
        ]
    except (OSError, ValueError):
        return 0.0
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf('SC_CLK_TCK')


def rate(make: Callable[[int], Run], few: int, many: int, repeats: int = 1) -> Rate:
    """Cost of one more, from runs of `few` and of `many`; of repeats the quickest."""
    short, long = zip(*[(make(few), make(many)) for _ in range(repeats)], strict=True)

    def more(name: str) -> float:
        least = [min(getattr(one, name) for one in runs) for runs in (short, long)]
        return (least[1] - least[0]) / (many - few)

    seconds = more('seconds')
    return Rate(
        seconds,
        more('processor'),
        min(one.seconds for one in short) - few * seconds,
        max(one.memory for one in long),
        max(one.others for one in long),
    )


def script(name: str, *words: str, folder: Path = HERE) -> Any:
    """Run a script that stands beside this one; what it prints as JSON in its last line."""
    return json.loads(run([sys.executable, HERE / name, *words], folder).said.splitlines()[-1])


def pin(n: int) -> list[int]:
    """Use `n` processors only, as do all programs that are started then."""
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])
        return sorted(os.sched_getaffinity(0))
    return []
