"""What every kind of synthetic study shares: its folder is checked, its runs are written."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ketbids.errors import InputError, KetbidsError, UsageError

__all__ = ['check_folder', 'digest', 'write_all']

_Item = TypeVar('_Item')

#: Items that a process is given at a time: it works out the brain's kernels once for them.
_BATCH = 8


def check_folder(
    root: Path, truth: Path, record: dict[str, Any], foreign: Iterable[Path] | None = None
) -> None:
    """Refuse a folder that holds something else than the study to be written.

    Parameters
    ----------
    root, truth : Path
        The study's folder and its ``truth.json``.
    record : dict
        What the study is made with, as ``truth.json`` keeps it.
    foreign : iterable of Path, optional
        What must not be there without ``truth.json``; by default anything but hidden files.

    Raises
    ------
    UsageError
        Naming what is in the way.
    """
    from ketbids.io.files import read_json

    if root.exists() and not root.is_dir():
        raise UsageError(f'{root} is a file; name a folder for the study.')
    if truth.exists():
        found = read_json(truth).get('options')
        if found != record:
            raise UsageError(
                f'{root} holds a synthetic study made with other options ({_words(found)}; now '
                f'{_words(record)}). Remove the folder or name another one.'
            )
        return
    if foreign is None:
        inside = sorted(root.iterdir()) if root.is_dir() else []
        foreign = [path for path in inside if not path.name.startswith('.')]
    for path in foreign:
        if path.exists():
            raise UsageError(
                f'{path} exists, but {root} holds no synthetic study (truth.json is missing). '
                'Remove it or name another folder.'
            )


def _words(record: Any) -> str:
    if not isinstance(record, dict):
        return 'unknown'
    return ', '.join(f'{key} {value}' for key, value in record.items() if value is not None)


def digest(path: Path) -> str:
    """Sum a file up (SHA-256).

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        with Path(path).open('rb') as stream:
            return hashlib.file_digest(stream, 'sha256').hexdigest()
    except OSError as error:
        raise InputError(f'{path} cannot be read: {error.strerror}.') from error


def write_all(items: Sequence[_Item], writer: Callable[[_Item], None], nprocs: int) -> None:
    """Call `writer` with each item, in `nprocs` processes.

    Raises
    ------
    KetbidsError
        If a process is killed.
    """
    n_processes = min(nprocs, len(items))
    if n_processes <= 1:
        _write_batch(writer, items)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Small enough that the processes end at about the same time.
    size = max(1, min(_BATCH, len(items) // (2 * n_processes)))
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    # Fresh processes: a fork of a process with threads can hang.
    with ProcessPoolExecutor(n_processes, mp_context=get_context('spawn')) as pool:
        futures = [pool.submit(_write_batch, writer, batch) for batch in batches]
        try:
            for future in as_completed(futures):
                future.result()
        except BrokenProcessPool as error:
            raise KetbidsError(
                'A process that wrote runs was killed, perhaps for want of memory; repeat the '
                'command with a smaller --nprocs. Finished runs are kept.'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _write_batch(writer: Callable[[_Item], None], items: Sequence[_Item]) -> None:
    for item in items:
        writer(item)
