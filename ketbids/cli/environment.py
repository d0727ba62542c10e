"""What libraries read of the environment when they are imported."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ['PACKAGE', 'holds_compiled_code', 'limit_threads', 'numba_cache']

#: Folder of the package.
PACKAGE = Path(__file__).parents[1]


def limit_threads(n: int) -> None:
    """Let no library start more than `n` threads; to be called before NumPy is imported."""
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ[name] = str(n)


def holds_compiled_code() -> bool:
    """Whether Numba can keep compiled code beside the package's modules."""
    folder = PACKAGE / 'stats' / '__pycache__'
    if not folder.exists():
        return os.access(folder.parent, os.W_OK)
    return folder.is_dir() and os.access(folder, os.W_OK)


@contextmanager
def numba_cache() -> Iterator[None]:
    """See that Numba has a place for compiled code; to be entered before its import.

    Where neither the package nor the home folder can be written to, as in a container, that is a
    new temporary folder: the cache is code, and must not come from others.
    """
    home = Path.home()
    given = 'NUMBA_CACHE_DIR' in os.environ
    if given or holds_compiled_code() or os.access(home, os.W_OK):
        yield
        return
    folder = tempfile.mkdtemp(prefix='ketbids-')
    os.environ['NUMBA_CACHE_DIR'] = folder
    try:
        yield
    finally:
        del os.environ['NUMBA_CACHE_DIR']
        shutil.rmtree(folder, ignore_errors=True)
