"""Files appear whole or not at all: they are written aside, then renamed."""

import errno
import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from ketbids.errors import DISK_FULL, InputError, KetbidsError, disk_full

__all__ = [
    'claims',
    'delivered_together',
    'modification_times',
    'publish',
    'read_json',
    'remove_unchanged',
    'warn_without_locks',
    'write_bytes',
    'write_json',
    'write_parts',
    'write_text',
    'written_aside',
]

logger = logging.getLogger('ketbids')


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target` and rename it on success.

    The temporary name keeps the suffixes of the target, since nibabel reads the format from
    them. If the block raises, the temporary file is removed and `target` stays as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f'.{secrets.token_hex(6)}_{target.name}')
    try:
        yield aside
        aside.replace(target)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise KetbidsError(disk_full(error, target)) from error
        raise
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def delivered_together(folder: Path, last: str = '') -> Iterator[Path]:
    """Give a folder for new files that appear in `folder` together, or not at all.

    If the block raises, is interrupted, or a file cannot be moved, `folder` is as it was: older
    files of the same names are there, and a folder that had to be made is gone.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    last : str
        Name of the file that appears last: where it is, all are.

    Yields
    ------
    Path
        A hidden folder in `folder`; the files are written directly into it.

    Raises
    ------
    InputError
        `folder` cannot be written to, or something that is not a file has the name of one.
    KetbidsError
        The disk is full.
    """
    folder = Path(folder)
    made: list[Path] = []
    hidden = folder / f'.{secrets.token_hex(6)}'
    try:
        with _errors_within(hidden, folder):
            with _signals_held():
                missing = [path for path in (folder, *folder.parents) if not path.exists()]
                for path in reversed(missing):
                    with suppress(FileExistsError):
                        path.mkdir()
                        made.append(path)
                hidden.mkdir(mode=0o700)
                for part in ('new', 'old'):
                    (hidden / part).mkdir()
            yield hidden / 'new'
        with _signals_held():
            _deliver(hidden / 'new', hidden / 'old', folder, last)
            shutil.rmtree(hidden, ignore_errors=True)
    finally:
        with _signals_held():
            shutil.rmtree(hidden / 'new', ignore_errors=True)
            # What is not empty stays: results, or older files that could not be put back.
            for path in (hidden / 'old', hidden, *reversed(made)):
                with suppress(OSError):
                    path.rmdir()


@contextmanager
def _errors_within(hidden: Path, folder: Path) -> Iterator[None]:
    """Tell errors that are of a hidden folder as errors of the folder that it is in."""
    try:
        yield
    except (OSError, KetbidsError) as error:
        # A file that was written aside has told already that the disk is full.
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        within = cause is error and hidden.name in Path(error.filename or '').parts
        if within or cause.errno in DISK_FULL:
            raise _undelivered(cause, folder.absolute()) from cause
        raise


def _deliver(new: Path, old: Path, folder: Path, last: str) -> None:
    """Move the files of `new` to `folder`, and those that they replace to `old`; or none."""
    names = sorted((path.name for path in new.iterdir()), key=lambda name: (name == last, name))
    present = [name for name in names if os.path.lexists(folder / name)]
    for path in (folder / name for name in present):
        if not (path.is_file() or path.is_symlink()):
            what = 'a folder' if path.is_dir() else 'not a file'
            raise InputError(
                f'{path} is {what}, but a new file has this name. Remove or rename it, or choose '
                'another name; nothing was written.'
            )
    # The last file is the first that goes: it never stands beside others than its own.
    moves = [(folder / name, old / name) for name in reversed(present)]
    moves += [(new / name, folder / name) for name in names]
    done: list[tuple[Path, Path]] = []
    try:
        for source, place in moves:
            source.rename(place)
            done.append((source, place))
    except BaseException as error:
        for source, place in reversed(done):
            with suppress(OSError):
                place.rename(source)
        lost = (
            f' Older files could not be put back; they are in {old}.' if any(old.iterdir()) else ''
        )
        if isinstance(error, OSError):
            target = folder / moves[len(done)][0].name
            raise _undelivered(error, target, lost) from error
        raise


def _undelivered(error: OSError, path: Path, more: str = '') -> KetbidsError:
    """Say that no file appeared, because of which file or folder, and why."""
    full = error.errno in DISK_FULL
    advice = 'Make room' if full else 'Correct its name or its permissions'
    kind = KetbidsError if full else InputError
    return kind(
        f'{path} cannot be written: {error.strerror}. {advice} and repeat the command; nothing '
        f'was written.{more}'
    )


@contextmanager
def _signals_held() -> Iterator[None]:
    """Let an interrupt wait until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def write_bytes(target: Path, *content: bytes | memoryview) -> Path:
    """Write bytes, one part after the other, whole or not at all."""
    return write_parts(target, content)


def write_parts(target: Path, parts: Iterable[bytes | memoryview]) -> Path:
    """Write parts as they come, each done with before the next is asked for; all or nothing."""
    with written_aside(target) as aside, aside.open('wb') as file:
        for part in parts:
            file.write(part)
    return Path(target)


def write_text(target: Path, content: str) -> Path:
    """Write UTF-8 text whole or not at all."""
    return write_bytes(target, content.encode())


def write_json(target: Path, content: Mapping[str, Any]) -> Path:
    """Write a JSON object, indented, whole or not at all (nan and inf are refused)."""
    return write_text(target, json.dumps(content, indent=2, allow_nan=False) + '\n')


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    InputError
        If the file cannot be read, is not JSON, or holds something else than an object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise InputError(f'Cannot read {path}: {error.strerror}.') from error
    except ValueError as error:
        raise InputError(f'{path} is not valid JSON: {error}.') from error
    if not isinstance(content, dict):
        raise InputError(f'{path} must hold a JSON object, not a {type(content).__name__}.')
    return content


@contextmanager
def claims(path: Path) -> Iterator[Callable[[str], bool]]:
    """Keep processes that write to one folder from doing the same work at the same time.

    Parameters
    ----------
    path : Path
        A file that all of them know.

    Yields
    ------
    callable
        Takes the name of a piece of work; True if it is this process's until the end of the
        block, False if another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a+b') as file:

        def claim(name: str) -> bool:
            # One byte of the file stands for each name; the byte itself need not exist.
            place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    return False
                warn_without_locks(path)
            return True

        yield claim


def warn_without_locks(path: Path) -> None:
    """Warn that a file cannot be locked; once per process and file system.

    Some file systems know no locks: then nobody can be kept out, and people must take care.
    """
    place = Path(path).absolute()
    while not place.is_mount() and place != place.parent:
        place = place.parent
    _warn_of(place)


@cache
def _warn_of(mount: Path) -> None:
    logger.warning(
        'Locks do not work on the file system of %s: do not run two jobs on one session at the '
        'same time, for nothing would keep them apart.',
        mount,
    )


def modification_times(paths: Iterable[Path]) -> dict[Path, int]:
    """Note when files were last changed, in ns."""
    return {path: path.stat().st_mtime_ns for path in paths}


def remove_unchanged(paths: Iterable[Path], before: Mapping[Path, int]) -> list[Path]:
    """Remove the files that have not changed since `before`; give the others."""
    kept = []
    for path in paths:
        if path.stat().st_mtime_ns == before.get(path):
            path.unlink()
        else:
            kept.append(path)
    return kept


def publish(stage: Path, destination: Path) -> list[Path]:
    """Move every file below `stage` to the same place below `destination`.

    Each file is first moved to a temporary name in its final folder (which may be on another
    file system) and then renamed, so that nobody ever sees half a file.

    Returns
    -------
    list of Path
        The files at their final places, sorted.
    """
    published = []
    for source in sorted(path for path in Path(stage).rglob('*') if path.is_file()):
        target = Path(destination) / source.relative_to(stage)
        with written_aside(target) as aside:
            shutil.copyfile(source, aside)
            os.utime(aside)
        source.unlink()
        published.append(target)
    return published
