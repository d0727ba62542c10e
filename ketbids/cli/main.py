"""``ketbids``: the command."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from ketbids.cli.configuration import make_settings, parse_arguments
from ketbids.cli.environment import PACKAGE, holds_compiled_code, limit_threads
from ketbids.cli.exits import exit_code
from ketbids.cli.parser import installed_version
from ketbids.errors import InputError, UsageError
from ketbids.settings import Settings

__all__ = ['main']

logger = logging.getLogger('ketbids')

#: Nipype takes them in a path for wildcards.
_WILDCARDS = '[]*?'


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ketbids``.

    Returns
    -------
    int
        Exit code: 0 all done; 1 a participant or analysis failed; 2 wrong usage; 3 invalid or
        insufficient input; 4 a needed tool, a licence or room is missing; 130 or 143 interrupted.
    """
    return exit_code('ketbids', lambda: _start(argv), 'what is finished stays')


def _start(argv: Sequence[str] | None) -> int:
    options = parse_arguments(argv)
    # Lines that a program may read are all that a dry run of the preprocessing prints.
    commands = options.preproc == 'hcp' and options.level == 'participant' and options.dry_run
    _prepare_logging(options.verbose or 0, sys.stderr if commands else sys.stdout)
    return _run(options)


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
    if settings.level == 'participant' and settings.inputs.preproc == 'hcp':
        from ketbids.cli.preprocessing import run
    elif settings.level == 'participant':
        from ketbids.cli.participant import run
    else:
        from ketbids.cli.group import run
    return run(settings, model, verbosity=options.verbose or 0)


def _prepare_environment(options: Any) -> None:
    """Set what libraries read when they are imported, NumPy among them."""
    # Otherwise every process would take all cores.
    # The group level's shuffles have threads of their own, which those of BLAS would multiply.
    limit_threads(1 if options.level == 'group' else options.omp_nthreads or 1)
    # Nothing is asked of the network, and templateflow leaves a folder that holds files alone.
    os.environ['NIPYPE_NO_ET'] = '1'
    os.environ.setdefault('TEMPLATEFLOW_HOME', str(PACKAGE / 'data'))
    # In a container neither the package nor the home folder can be written to.
    cache = (options.work_dir or options.output_dir / 'work').absolute() / 'cache'
    if not holds_compiled_code():
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


def _prepare_logging(verbosity: int, stream: TextIO) -> None:
    handler = _Lines(stream)
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
    # The preprocessing looks at everything before it writes.
    if not settings.dry_run and settings.inputs.preproc != 'hcp':
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


if __name__ == '__main__':
    sys.exit(main())
