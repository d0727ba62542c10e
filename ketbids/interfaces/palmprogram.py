"""The program PALM: where it is, if it starts, and how a run of it ends."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from ketbids.errors import KetbidsError, ToolError
from ketbids.io.palmfiles import last_words, plain_words

__all__ = ['assert_palm_starts', 'harmless', 'palm_command', 'palm_version', 'run_palm']

#: PALM's launcher pastes its arguments, and its own folder, into code of Octave or MATLAB.
_HARMLESS = re.compile(r'[A-Za-z0-9._/+:=@-]+')
#: Seconds that Octave or MATLAB may take to start.
_PATIENCE = 300.0
#: What a shell answers if there is no such program.
_NOT_FOUND = 127
#: A shell whose program was ended by a signal answers this and the signal's number.
_BY_SIGNAL = 128


def palm_command() -> str:
    """Find PALM: the file that ``KETBIDS_PALM`` names, or ``palm`` on the PATH.

    Returns
    -------
    str
        Absolute path of the script itself, whatever links lead there.

    Raises
    ------
    ToolError
        It is not there, or its path cannot be used.
    """
    named = os.environ.get('KETBIDS_PALM')
    found = shutil.which(named or 'palm')
    if found is None:
        missing = (
            f'KETBIDS_PALM names {named}, which is not a program'
            if named
            else 'there is no palm on the PATH'
        )
        raise ToolError(
            f'--engine palm needs PALM: {missing}. Set KETBIDS_PALM to the file "palm" of an '
            'installed PALM (github.com/andersonwinkler/PALM; it needs Octave with its packages '
            'image and statistics, or MATLAB), or use --engine native.'
        )
    # The launcher follows links by itself, and pastes where they lead into code.
    return harmless(str(Path(found).resolve()))


def palm_version(command: str) -> str | None:
    """Give the version that stands beside the script ``palm``; None if none does."""
    path = Path(command).resolve().with_name('palm_version.txt')
    try:
        return plain_words(path.read_text(encoding='utf-8', errors='replace')) or None
    except OSError:
        return None


def harmless(argument: str) -> str:
    """Refuse an argument that Octave or a shell could take for more than a word.

    Raises
    ------
    ToolError
        It has other characters than letters, digits and a few that mean nothing there.
    """
    if not _HARMLESS.fullmatch(argument):
        raise ToolError(
            f'PALM cannot be given {argument!r}: its launcher makes a line of code of its '
            'arguments, so that only letters, digits and . _ / + : = @ - are safe. Install PALM '
            'in a folder with such a name, or use --engine native.'
        )
    return argument


def assert_palm_starts(command: str) -> None:
    """Have PALM show its help: only its launcher knows which Octave or MATLAB it takes.

    Raises
    ------
    ToolError
        Octave or MATLAB is missing or does not start.
    """
    # In an empty folder: Octave runs an .octaverc of the folder in which it starts.
    with tempfile.TemporaryDirectory(prefix='ketbids_palm_') as folder:
        log = Path(folder) / 'help.log'
        try:
            code = _call([command, '-help'], Path(folder), log, timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise ToolError(
                f'PALM ({command}) did not show its help within {_PATIENCE:.0f} s: '
                f'{last_words(log)}'
            ) from error
        if code:
            raise _failure(f'PALM ({command})', code, log, ToolError)


def run_palm(argv: list[str], folder: Path, name: str, *, threads: int = 1) -> None:
    """Run PALM in the folder of its files; what it says is kept in ``<name>.log``.

    Parameters
    ----------
    argv : list of str
    folder : Path
    name : str
        Start of the names of its outputs, none of which is there yet.
    threads : int

    Raises
    ------
    ToolError
        Its launcher did not find Octave or MATLAB.
    KetbidsError
        PALM failed, or did not come to its end.
    """
    log, end = folder / f'{name}.log', folder / f'{name}_elapsed.csv'
    code = _call(argv, folder, log, threads=threads)
    if code:
        raise _failure(f'PALM ({name})', code, log, KetbidsError)
    # PALM writes its times last. With an old Octave, its launcher calls any end a success.
    if not end.is_file():
        raise KetbidsError(
            f'PALM ({name}) did not come to its end ({end} is missing): {last_words(log)}'
        )


def _call(
    argv: list[str], folder: Path, log: Path, *, threads: int = 1, timeout: float | None = None
) -> int:
    """Run a program and give its return code."""
    with log.open('wb') as said:
        try:
            return subprocess.run(  # noqa: S603
                argv,
                cwd=folder,
                env={**os.environ, 'OMP_NUM_THREADS': str(threads)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=timeout,
            ).returncode
        except OSError as error:
            raise ToolError(
                f'{argv[0]} cannot be started: {error.strerror}. Set KETBIDS_PALM to the file '
                '"palm" of an installed PALM, or use --engine native.'
            ) from error


def _failure(who: str, code: int, log: Path, kind: type[KetbidsError]) -> KetbidsError:
    """Say how a program ended."""
    if code == _NOT_FOUND:
        return ToolError(
            f'{who} has not found the program that it runs in: {last_words(log)}. Install Octave '
            '(octave-cli on the PATH) with its packages image and statistics, or name another '
            'Octave or MATLAB in the script "palm"; or use --engine native.'
        )
    by = -code if code < 0 else code - _BY_SIGNAL
    if by <= 0:
        return kind(f'{who} ended with code {code}: {last_words(log)}')
    why = '; perhaps memory ran out' if by == signal.SIGKILL else ''
    return kind(f'{who} was killed (signal {by}){why}: {last_words(log)}')
