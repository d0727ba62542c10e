"""``ketbids``: the command."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ketbids.cli.configuration import make_settings, parse_arguments
from ketbids.cli.parser import installed_version
from ketbids.errors import (
    DISK_FULL,
    InputError,
    KetbidsError,
    UsageError,
    cannot_use,
    disk_full,
)
from ketbids.settings import Settings

__all__ = ['main']

logger = logging.getLogger('ketbids')

#: What a shell reports of a command that writes to a closed pipe.
_SIGPIPE = 141

#: Nipype takes them in a path for wildcards.
_WILDCARDS = '[]*?'


class _Terminated(BaseException):
    """The process was asked to end."""


def _on_sigterm(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ketbids``.

    Returns
    -------
    int
        Exit code: 0 all done; 1 a participant or analysis failed; 2 wrong usage; 3 invalid or
        insufficient input; 4 a needed tool is missing; 130 or 143 interrupted.
    """
    try:
        options = parse_arguments(argv)
        _prepare_logging(options.verbose or 0)
        signal.signal(signal.SIGTERM, _on_sigterm)
        code = _run(options)
        sys.stdout.flush()  # a closed pipe is noticed here, not at the end of the process
        return code
    except KetbidsError as error:
        print(f'ketbids: {error}', file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads our lines has enough of them; what is buffered must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGPIPE
    except OSError as error:
        if error.errno in DISK_FULL:
            print(f'ketbids: {disk_full(error)}', file=sys.stderr)
            return KetbidsError.exit_code
        if error.filename is None:
            raise
        print(f'ketbids: {cannot_use(error)}', file=sys.stderr)
        return InputError.exit_code
    except KeyboardInterrupt:
        return _end_workers(130)
    except _Terminated:
        return _end_workers(143)


def _run(options: Any) -> int:
    _prepare_environment(options)
    from ketbids.model import default_model_path, load_model

    model = load_model(options.model)
    settings = make_settings(
        options,
        model=(options.model or default_model_path()).absolute(),
        hrf_model=model.run.hrf_model,
        high_pass=model.run.high_pass or 0.0,
    )
    _check_folders(settings)
    if settings.level == 'participant':
        from ketbids.cli.participant import run
    else:
        from ketbids.cli.group import run
    return run(settings, model, verbosity=options.verbose or 0)


def _prepare_environment(options: Any) -> None:
    """Set what libraries read when they are imported, NumPy among them."""
    # Otherwise every process would take all cores.
    threads = str(options.omp_nthreads or 1)
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ[name] = threads
    # Nothing is asked of the network, and templateflow leaves a folder that holds files alone.
    package = Path(__file__).parents[1]
    os.environ['NIPYPE_NO_ET'] = '1'
    os.environ.setdefault('TEMPLATEFLOW_HOME', str(package / 'data'))
    # In a container neither the package nor the home folder can be written to.
    cache = (options.work_dir or options.output_dir / 'work').absolute() / 'cache'
    if not os.access(package / 'stats', os.W_OK):
        os.environ.setdefault('NUMBA_CACHE_DIR', str(cache / 'numba'))
    if not os.access(os.path.expanduser('~'), os.W_OK):
        os.environ.setdefault('MPLCONFIGDIR', str(cache / 'matplotlib'))
        os.environ.setdefault('NIPYPE_CONFIG_DIR', str(cache / 'nipype'))


class _Lines(logging.StreamHandler):
    """Writes lines of the log; a closed pipe ends the command and is no error of logging."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        super().handleError(record)


def _prepare_logging(verbosity: int) -> None:
    handler = _Lines(sys.stdout)
    handler.setFormatter(logging.Formatter('%(asctime)s %(message)s', '%H:%M:%S'))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.DEBUG if verbosity else logging.INFO)
    logger.propagate = False
    logger.debug('ketbids %s', installed_version())


def _check_folders(settings: Settings) -> None:
    """Refuse folders that cannot serve; make the one for results, unless it is a dry run."""
    paths = settings.paths
    if not paths.bids_dir.is_dir():
        raise InputError(f'{paths.bids_dir} is not a folder.')
    raw = paths.bids_dir.resolve()
    for name, folder in (('OUTPUT_DIR', paths.output_dir), ('--work-dir', paths.work_dir)):
        out = folder.resolve()
        if out.is_relative_to(raw) and not out.is_relative_to(raw / 'derivatives'):
            raise UsageError(
                f'{name} must not be BIDS_DIR or a folder in it, except below its derivatives/: '
                'results would mix with the raw data.'
            )
        for root in paths.derivatives:
            if out.is_relative_to(root.resolve()):
                raise UsageError(
                    f'{name} must not be {root} (--derivatives) or a folder in it: results would '
                    'mix with the preprocessed data.'
                )
    if any(character in str(paths.work_dir) for character in _WILDCARDS):
        raise UsageError(
            f'{paths.work_dir}: Nipype cannot work in a folder with one of {_WILDCARDS} in its '
            'path. Name another one with --work-dir.'
        )
    _check_writable(paths.output_dir)
    _check_writable(paths.work_dir)
    from ketbids.cli.dataset import is_foreign

    if is_foreign(paths.output_dir):
        raise UsageError(
            f'{paths.output_dir} holds data that are not results of ketbids: they could be '
            'overwritten. Name another folder, or a new one in it.'
        )
    if not settings.dry_run:
        try:
            paths.output_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f'{paths.output_dir} cannot be made: {error.strerror}.') from error


def _check_writable(folder: Path) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f'{folder} cannot be made: {existing} is a file.')
    if not os.access(existing, os.W_OK):
        raise InputError(f'{existing} is not writable: name another folder than {folder}.')


def _end_workers(code: int) -> int:
    """End the worker processes; files are written aside, so nothing half-written stays."""
    import multiprocessing

    print('ketbids: interrupted; what is finished stays.', file=sys.stderr)
    for worker in multiprocessing.active_children():
        worker.kill()
    sys.stdout.flush()
    os._exit(code)


if __name__ == '__main__':
    sys.exit(main())
