"""Why a stage failed: the last lines of the right log, and what to do."""

import re
import signal
from collections.abc import Sequence
from pathlib import Path

__all__ = ['advice', 'failure_message', 'last_lines']

#: Of a log, for the message.
_LINES = 15

_ERROR = re.compile(
    r'\berrors?\b|exception|traceback|failed|no space left|quota exceeded|cannot|licen[cs]e|'
    r'killed',
    re.IGNORECASE,
)

#: Escape sequences of colours.
_COLOUR = re.compile(r'\x1b\[[0-9;]*[A-Za-z]')

_MEMORY = (
    'Most likely memory ran out: give the job more (32 GB are safe), or do fewer sessions at once '
    '(--nprocs, --mem-mb).'
)

_KILLED = (
    'It was killed from outside. Either memory ran out: give the job more (32 GB are safe), or do '
    'fewer sessions at once (--nprocs, --mem-mb). Or somebody or something ended it: scancel, the '
    'end of the time of the job, an administrator; give it more time if that was too short. The '
    'accounts of the scheduler say which it was (with Slurm: sacct).'
)

_ADVICE = (
    (
        r'no space left on device|disk quota exceeded',
        'The disk is full, or your share of it: make room (35 GB a session).',
    ),
    (
        r'\blicen[cs]e\b.*(not found|missing|invalid|expired|error)|'
        r'(error|cannot|could not|unable|no valid).*\blicen[cs]e\b',
        'FreeSurfer found no valid licence: name its file with --fs-license-file.',
    ),
    (
        r'bad_alloc|cannot allocate memory|out of memory|memoryerror|oom-kill',
        _MEMORY,
    ),
    # bash says so of any program that gets SIGKILL; behind the number of its process.
    (r'^killed\b|: killed\b|: line \d+: +\d+ killed\b', _KILLED),
    (
        r'libmw\w+|matlab runtime|matlab_compiler_runtime|mcr ?root|mclmcrrt',
        'MATLAB or its runtime is missing, or of another version than the programs were compiled '
        'for: set MATLAB_COMPILER_RUNTIME (R2022b for HCP pipelines 5.0, R2017b for 4.8).',
    ),
    (
        r'unrecognized option',
        'This version of the HCP pipelines does not know an option: version 4.8 or newer is '
        'needed (--hcp-dir).',
    ),
    (
        r'environment variable must be set|unbound variable',
        'A variable of the environment is missing: the log names it.',
    ),
    (
        r'command not found|no such file or directory.*(bin/|\.sh)',
        'A program is missing: install it, or correct PATH, FSLDIR, FREESURFER_HOME, CARET7DIR.',
    ),
    (
        r'permission denied|read-only file system',
        'A file or folder cannot be written: correct its permissions.',
    ),
)


def advice(text: str, code: int) -> str:
    """Say what to do about a failure.

    Parameters
    ----------
    text : str
        The end of a log.
    code : int
        Exit code of the script, or minus the signal that ended it.
    """
    for pattern, sentence in _ADVICE:
        if re.search(pattern, text, re.IGNORECASE | re.MULTILINE):
            return sentence
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return _KILLED
    if code in (-signal.SIGTERM, 128 + signal.SIGTERM):
        return 'It was ended from outside, as when the time of a job is over: give it more time.'
    return 'Correct what the log says.'


def last_lines(path: Path, count: int = _LINES) -> list[str]:
    """Give the last lines of a log that are not empty."""
    try:
        with path.open('rb') as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 64 * 1024))
            text = file.read().decode(errors='replace')
    except OSError:
        return []
    lines = [_COLOUR.sub('', line).rstrip() for line in text.replace('\r', '\n').split('\n')]
    return [line for line in lines if line][-count:]


def _right_log(log: Path, inner: Sequence[Path], begun: float) -> Path:
    """Give the newest inner log that was written in this run and names an error, else `log`."""
    found = []
    for path in inner:
        try:
            changed = path.stat().st_mtime
        except OSError:
            continue
        # File systems keep times at least by the second.
        if changed >= begun - 1 and _ERROR.search('\n'.join(last_lines(path))):
            found.append((changed, path))
    return max(found)[1] if found else log


def _ending(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f'was killed by signal {name}'
    if code > 128 and code - 128 in set(signal.Signals):
        name = signal.Signals(code - 128).name
        return f'ended with exit code {code} (a program of it was killed by signal {name})'
    return f'ended with exit code {code}'


def failure_message(
    title: str,
    code: int,
    problems: Sequence[str],
    log: Path,
    inner: Sequence[Path],
    begun: float,
) -> str:
    """Say how a stage failed.

    Parameters
    ----------
    title : str
        Stage, session and run in words.
    code : int
        Exit code of the script, or minus the signal that ended it.
    problems : sequence of str
        Outputs that are not whole, with the reason.
    log : Path
        What the script said.
    inner : sequence of Path
        Logs of programs within the script.
    begun : float
        When it began, s since the epoch.
    """
    right = _right_log(log, inner, begun)
    lines = last_lines(right)
    if code:
        what = _ending(code)
    else:
        few = '; '.join(problems[:5])
        more = f'; and {len(problems) - 5} more' if len(problems) > 5 else ''
        what = f'ended without an error, but did not make all files whole ({few}{more})'
    # Both logs may tell the cause.
    cause = advice('\n'.join([*lines, *(last_lines(log) if right != log else [])]), code)
    see = f'{right} (and {log})' if right != log else str(log)
    text = '\n'.join(f'| {line}' for line in lines)
    return (
        f'{title} {what}. {cause} Then repeat the command: what is finished is not done again. '
        f'Last lines of {see}:\n{text}'
    )
