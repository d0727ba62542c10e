"""R, where it is at hand: runs a program of tests/data."""

import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ['run_r']

PROGRAMS = Path(__file__).parent / 'data'


def run_r(program: str, *arguments: Path) -> list[list[str]]:
    """Lines of what a program of R prints, split at tabs; skips the test if R cannot run it."""
    if shutil.which('Rscript') is None:
        pytest.skip('there is no Rscript')
    words = ['Rscript', '--vanilla', str(PROGRAMS / program), *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    if done.returncode and 'there is no package called' in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[0])
    assert done.returncode == 0, done.stderr
    return [line.split('\t') for line in done.stdout.splitlines()]
