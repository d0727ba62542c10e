"""Run a stage of the HCP pipelines: locks, removal of half-written files, logs, failures."""

import ctypes
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from ketbids.errors import DISK_FULL, InputError, KetbidsError, disk_full
from ketbids.interfaces.hcp import stagewatch
from ketbids.interfaces.hcp.stagelogs import failure_message
from ketbids.io.files import warn_without_locks
from ketbids.io.stages import broken, read_record, to_disk

__all__ = ['Stage', 'held', 'remove_stale', 'run_stage']

#: Of <sys/prctl.h>: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1

#: Names the record of the stage in the environment of all its processes.
_MARKER = 'KETBIDS_STAGE'

_TAKEN = (errno.EACCES, errno.EAGAIN)


@dataclass(frozen=True)
class Stage:
    """A stage that is to be done.

    Attributes
    ----------
    title : str
        Stage, session and run in words.
    command : tuple of str
    environment : dict of str to str
        The whole environment.
    folder : Path
        Where the script runs.
    record, log : Path
    inner_logs, expected : tuple of Path
        See `ketbids.interfaces.hcp.script.HcpScript`.
    """

    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    record: Path
    log: Path
    inner_logs: tuple[Path, ...]
    expected: tuple[Path, ...]


# Locks


def _lock_of(record: Path) -> Path:
    return record.with_name(f'{record.name}.lock')


@contextmanager
def _locked(path: Path, *, shared: bool, taken: Callable[[], str]) -> Iterator[BinaryIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a+b') as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _TAKEN:
                raise KetbidsError(taken()) from error
            warn_without_locks(path)
        yield file


@contextmanager
def held(record: Path, after: Sequence[Path], title: str) -> Iterator[BinaryIO]:
    """Keep others from doing a stage, or one that it builds on, at the same time.

    The lock of the stage itself is handed to its script: if this process dies and the script, or
    a program of it, does not, the stage stays locked.

    Parameters
    ----------
    record : Path
        Of the stage; the lock is beside it.
    after : sequence of Path
        Records of the stages that it builds on; theirs are looked up.
    title : str
        For messages.

    Yields
    ------
    file
        The open lock.

    Raises
    ------
    KetbidsError
        If somebody else is at it.
    """

    def taken() -> str:
        return _still_running(title, record)

    with ExitStack() as stack:
        for other in _ancestors(after):
            stack.enter_context(_locked(_lock_of(other), shared=True, taken=taken))
        lock = stack.enter_context(_locked(_lock_of(record), shared=False, taken=taken))
        if _processes_of(record):
            raise KetbidsError(taken())
        yield lock


def _ancestors(records: Sequence[Path]) -> list[Path]:
    """Give records and all that they build on."""
    found: dict[Path, None] = {}
    left = [Path(os.path.abspath(path)) for path in records]
    while left:
        path = left.pop()
        if path in found:
            continue
        found[path] = None
        record = read_record(path)
        if record is not None:
            left += [Path(os.path.abspath(path.parent / name)) for name in record.after]
    return sorted(found)


def _still_running(title: str, record: Path) -> str:
    numbers = ', '.join(map(str, _processes_of(record)))
    which = f' (on this machine: process {numbers})' if numbers else ''
    return (
        f'{title}: it, or a stage that it builds on, is still running{which}: another job works '
        f'on this session, or one that crashed left programs behind. Wait for them or end them, '
        f'then repeat the command. The lock is {_lock_of(record)}.'
    )


def _processes_of(record: Path) -> list[int]:
    """Find processes on this machine that belong to a stage."""
    wanted = os.fsencode(f'{_MARKER}={os.path.abspath(record)}')
    found = []
    for entry in Path('/proc').glob('[0-9]*'):
        # Processes end, and those of others cannot be read.
        with suppress(OSError):
            if wanted in (entry / 'environ').read_bytes().split(b'\0'):
                found.append(int(entry.name))
    return sorted(found)


# Removal


def remove_stale(paths: Sequence[Path], top: Path) -> None:
    """Remove files and folders of a session; links are removed, and not what they lead to.

    Parameters
    ----------
    paths : sequence of Path
        Need not exist.
    top : Path
        Folder of the session; nothing outside of it is removed.

    Raises
    ------
    InputError
        If a path is not within `top`, or is reached through a link that leads out of it.
    KetbidsError
        If something cannot be removed.
    """
    study = Path(os.path.realpath(top.parent))
    inside = Path(os.path.realpath(top))
    for path in paths:
        parent = Path(os.path.realpath(path.parent))
        place = parent / path.name
        within = place != inside and place.is_relative_to(inside)
        if inside != study / top.name or not within or path.name in ('', '.', '..'):
            raise InputError(
                f'{path} was to be removed before its stage is done again, but it is not within '
                f'{top}, or a link leads out of there. Nothing outside of it is removed: put real '
                'folders in place of the links.'
            )
        try:
            if place.is_symlink() or place.is_file():
                place.unlink()
            elif place.is_dir():
                shutil.rmtree(place)
        except OSError as error:
            raise KetbidsError(
                f'{path} cannot be removed: {error.strerror} ({error.filename}). Remove it, or '
                'correct its permissions, and repeat the command.'
            ) from error


# Running


def run_stage(stage: Stage, lock: BinaryIO) -> None:
    """Do a stage: run the script, check what it made.

    Parameters
    ----------
    stage : Stage
    lock : file
        Of `held`; the script inherits it.

    Raises
    ------
    KetbidsError
        If the script fails, is killed, or does not make what it should. The message has the last
        lines of the log and says what to do.
    """
    try:
        stage.record.parent.mkdir(parents=True, exist_ok=True)
        _keep_earlier(stage.log)
        begun = time.time()
        with stage.log.open('xb') as log:
            code = _run(stage, log, lock)
        problems = [f'{path}: {reason}' for path in stage.expected if (reason := broken(path))]
        if code or problems:
            raise KetbidsError(
                failure_message(stage.title, code, problems, stage.log, stage.inner_logs, begun)
            )
        to_disk([path for path in stage.expected if path.is_file()])
    except OSError as error:
        if error.errno in DISK_FULL:
            raise KetbidsError(disk_full(error)) from error
        raise


def _keep_earlier(log: Path) -> None:
    """Give an earlier log a name with its time."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists():
        return
    when = datetime.fromtimestamp(log.stat().st_mtime).strftime('%Y%m%dT%H%M%S')
    name, number = f'{log.stem}_{when}{log.suffix}', 1
    while (log.parent / name).exists():
        number += 1
        name = f'{log.stem}_{when}_{number}{log.suffix}'
    log.rename(log.parent / name)


def _run(stage: Stage, log: BinaryIO, lock: BinaryIO) -> int:
    """Run the script; give its exit code, or minus the signal that ended it."""
    environment = {**stage.environment, _MARKER: os.path.abspath(stage.record)}
    log.write(os.fsencode(f'{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z} {stage.title}\n'))
    log.write(os.fsencode(' '.join(stage.command)) + b'\n\n')
    log.flush()
    try:
        script = subprocess.Popen(  # noqa: S603
            stage.command,
            cwd=stage.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            process_group=0,
            preexec_fn=_dying_with(os.getpid()),
        )
    except OSError as error:
        raise KetbidsError(
            f'{stage.title}: {stage.command[0]} cannot be executed: {error.strerror}. The copy of '
            'the HCP pipelines must be complete, its scripts executable, and bash installed.'
        ) from error
    # Not all programs of a script end with it: the watcher ends all, if this process dies.
    watcher = _watched(script.pid)
    code = -1
    try:
        code = script.wait()
    finally:
        if code:
            _end_group(script)
        with suppress(OSError):
            assert watcher.stdin is not None
            watcher.stdin.write(b'.')
            watcher.stdin.close()
        watcher.wait()
    return code


def _watched(group: int) -> 'subprocess.Popen[bytes]':
    """Start a process that ends a process group if this process dies."""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, '-I', '-S', stagewatch.__file__, str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
        bufsize=0,
    )


def _end_group(script: 'subprocess.Popen[Any]') -> None:
    """End what is left of a script's processes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(script.pid, signal.SIGKILL)
    script.wait()


def _dying_with(parent: int) -> Callable[[], None] | None:
    """Give what a new process does first: ask to be killed when its parent dies."""
    if sys.platform != 'linux':
        return None
    library = ctypes.CDLL(None)

    def first() -> None:
        # Workers ignore interrupts; scripts would inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return first
