"""Files appear whole or not at all: they are written aside, then renamed."""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ketbids.errors import DISK_FULL, InputError, KetbidsError, disk_full

__all__ = [
    'claims',
    'modification_times',
    'publish',
    'read_json',
    'remove_unchanged',
    'write_bytes',
    'write_json',
    'write_text',
    'written_aside',
]


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


def write_bytes(target: Path, content: bytes) -> Path:
    """Write bytes whole or not at all."""
    with written_aside(target) as aside:
        aside.write_bytes(content)
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
                # Some file systems know no locks: then nobody can be kept out.
                return error.errno not in (errno.EACCES, errno.EAGAIN)
            return True

        yield claim


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
