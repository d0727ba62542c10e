"""How the commands end: messages of errors, exit codes, interrupts."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from ketbids.errors import DISK_FULL, InputError, KetbidsError, cannot_use, disk_full

__all__ = ['exit_code']

#: What a shell reports of a command that writes to a closed pipe.
_SIGPIPE = 141


class _Terminated(BaseException):
    """The process was asked to end."""


def _on_sigterm(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def exit_code(program: str, run: Callable[[], int], kept: str) -> int:
    """Run a command; whatever ends it becomes a message and an exit code.

    Parameters
    ----------
    program : str
        Name of the command, before its messages.
    run : callable
        Gives the exit code.
    kept : str
        What an interrupted command leaves, for the message.

    Returns
    -------
    int
        That of `run`; 1 failed; 2 wrong usage; 3 invalid or insufficient input; 4 a needed
        tool, licence or room is missing; 130 interrupted, 143 terminated.
    """
    try:
        signal.signal(signal.SIGTERM, _on_sigterm)
        code = run()
        sys.stdout.flush()  # a closed pipe is noticed here, not at the end of the process
        return code
    except KetbidsError as error:
        print(f'{program}: {error}', file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads our lines has enough of them; what is buffered must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGPIPE
    except OSError as error:
        if error.errno in DISK_FULL:
            print(f'{program}: {disk_full(error)}', file=sys.stderr)
            return KetbidsError.exit_code
        if error.filename is None:
            raise
        print(f'{program}: {cannot_use(error)}', file=sys.stderr)
        return InputError.exit_code
    except KeyboardInterrupt:
        return _end(program, kept, 130)
    except _Terminated:
        return _end(program, kept, 143)


def _descendants(pid: int | None) -> list[int]:
    """Find the processes that a process has started, and those that these have; on Linux."""
    found = []
    for path in Path(f'/proc/{pid}/task').glob('*/children'):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *_descendants(child)]
    return found


def _end(program: str, kept: str, code: int) -> int:
    """End the workers; files are written aside, so nothing half-written stays."""
    import multiprocessing

    print(f'{program}: interrupted; {kept}.', file=sys.stderr)
    workers = multiprocessing.active_children()
    if workers:
        # A program that a worker waits for (PALM has hours to go) would live on.
        programs = [pid for worker in workers for pid in _descendants(worker.pid)]
        for worker in workers:
            worker.kill()
        for pid in programs:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sys.stdout.flush()
        os._exit(code)  # a pool would wait for its workers
    return code
