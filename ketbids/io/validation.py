"""Ask bids-validator-deno, where it is installed, if a dataset is valid BIDS."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ketbids.errors import InputError
from ketbids.io.files import read_json, write_json
from ketbids.io.records import fingerprint

__all__ = ['Issue', 'check_dataset', 'find_validator', 'run_validator']

logger = logging.getLogger('ketbids')

_COMMAND = 'bids-validator-deno'
_TIME_LIMIT = 900.0
_SHOWN = 5

#: Raw images are not read: an image that is empty, or a link to content that was not fetched, is
#: no reason to stop.
_NOT_READ = ('.nii', '.nii.gz')


#: Errors of the dataset that do no harm here, and what becomes of them.
_HANDLED = {
    'PARTICIPANT_ID_MISMATCH': (
        'participants.tsv and the folders sub-* do not name the same people. Whoever is not in '
        'participants.tsv can be fitted, but is left out of analyses that need something of it.'
    )
}

#: Errors of what a table holds. Events are read by ketbids itself, which is as strict, names row
#: and column, and knows what the model file puts right (`Units`, `Rename`).
_CONTENT = ('TSV_', 'EMPTY_FILE', 'INVALID_FILE_ENCODING')
_EVENTS = '_events.tsv'


class Issue(NamedTuple):
    """An error that the validator found: its code, the file below the dataset, line and words."""

    code: str
    location: str
    line: str = ''
    detail: str = ''

    @property
    def participant(self) -> str:
        """Label of the participant whose file it is; empty for the dataset as a whole."""
        first = self.location.lstrip('/').split('/')[0]
        return first.removeprefix('sub-') if first.startswith('sub-') else ''

    @property
    def of_events(self) -> bool:
        """Whether it is about the content of an events file."""
        return self.location.endswith(_EVENTS) and self.code.startswith(_CONTENT)

    def __str__(self) -> str:
        line = f', line {self.line}' if self.line else ''
        detail = f': {self.detail}' if self.detail else ''
        return f'{self.code} ({self.location or "dataset"}{line}{detail})'


class Findings(NamedTuple):
    """What the validator said."""

    errors: list[Issue]
    n_warnings: int


def find_validator() -> str | None:
    """Find the validator on PATH or beside the Python that runs."""
    beside = Path(sys.executable).with_name(_COMMAND)
    return shutil.which(_COMMAND) or (str(beside) if os.access(beside, os.X_OK) else None)


def run_validator(
    command: str, bids_dir: Path, time_limit: float = _TIME_LIMIT
) -> Findings | None:
    """Run the validator; None, with a warning, if it says nothing that can be understood."""
    arguments = [command, '--json', '--ignoreNiftiHeaders', str(Path(bids_dir).absolute())]
    try:
        output = _output(arguments, time_limit)
        issues = json.loads(output)['issues']['issues']
        errors = [_issue(issue) for issue in issues if issue['severity'] == 'error']
        n_warnings = sum(issue['severity'] == 'warning' for issue in issues)
    except OSError as error:
        logger.warning('%s cannot be run (%s): not validated.', command, error.strerror)
        return None
    except subprocess.TimeoutExpired:
        logger.warning('%s took longer than %.0f s: not validated.', command, time_limit)
        return None
    except (ValueError, KeyError, TypeError):
        logger.warning('%s said nothing that can be understood: not validated.', command)
        return None
    return Findings([e for e in errors if not e.location.endswith(_NOT_READ)], n_warnings)


def _issue(issue: Mapping[str, Any]) -> Issue:
    words = [' '.join(str(issue.get(key) or '').split()) for key in ('subCode', 'issueMessage')]
    return Issue(
        str(issue['code']),
        str(issue.get('location') or ''),
        str(issue.get('line') or ''),
        ' '.join(filter(None, words)),
    )


def _output(arguments: list[str], time_limit: float) -> bytes:
    """Run a command with what it starts, and end all of it after `time_limit` seconds."""
    with subprocess.Popen(  # noqa: S603 (a list of arguments, no shell)
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.communicate(timeout=time_limit)[0]
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def check_dataset(
    bids_dir: Path, participants: Collection[str], record: Path, *, keep: bool = True
) -> dict[str, str]:
    """Ask the validator for errors that concern these participants.

    What it found is kept in `record`, and is asked for again when a file of these participants or
    of the dataset as a whole has changed.

    Parameters
    ----------
    bids_dir : Path
    participants : collection of str
    record : Path
    keep : bool
        Write `record`.

    Returns
    -------
    dict of str to str
        What is wrong with the files of a participant, by label.

    Raises
    ------
    InputError
        If there are errors of the dataset as a whole; the message names the first.
    """
    command = find_validator()
    if command is None:
        logger.info('%s is not installed: %s was not validated.', _COMMAND, bids_dir)
        return {}
    errors = _recorded(record, bids_dir, participants)
    if errors is None:
        logger.info('Validating %s ...', bids_dir)
        # Stamps before: what changes meanwhile is validated again.
        labels = sorted(path.name.removeprefix('sub-') for path in bids_dir.glob('sub-*'))
        stamps = {label: _stamp(bids_dir, label) for label in ('', *labels)}
        findings = run_validator(command, bids_dir)
        if findings is None:
            return {}
        errors = findings.errors
        logger.info('%d errors, %d warnings.', len(errors), findings.n_warnings)
        if keep:
            content = {'Dataset': str(bids_dir), 'Stamps': stamps, 'Errors': errors}
            write_json(record, content)
    for error in errors:
        if error.code in _HANDLED:
            logger.warning('%s: %s', bids_dir, _HANDLED[error.code])
    wanted = {*participants, ''}
    if events := [e for e in errors if e.of_events and e.participant in wanted]:
        logger.warning(
            '%s: the validator objects to %s. ketbids reads events itself: a run whose events it '
            'cannot read or repair fails alone.',
            bids_dir,
            _listed(events),
        )
    counted = [error for error in errors if error.code not in _HANDLED and not error.of_events]
    if common := [error for error in counted if not error.participant]:
        raise InputError(_complaint(bids_dir, common))
    return {
        label: _complaint(bids_dir, own)
        for label in participants
        if (own := [error for error in counted if error.participant == label])
    }


def _complaint(bids_dir: Path, errors: Collection[Issue]) -> str:
    """Say what is wrong, and what to do."""
    return (
        f'{bids_dir} is not valid BIDS: {_listed(errors)}. Correct it ("{_COMMAND} {bids_dir}" '
        'says more), or give --skip-bids-validation to go on.'
    )


def _listed(errors: Collection[Issue]) -> str:
    """Name each kind of error once per file, with the first line that has it."""
    distinct = list({(e.code, e.location): e for e in reversed(list(errors))}.values())[::-1]
    more = f' and {len(distinct) - _SHOWN} more' if len(distinct) > _SHOWN else ''
    return ', '.join(map(str, distinct[:_SHOWN])) + more


def _recorded(record: Path, bids_dir: Path, participants: Collection[str]) -> list[Issue] | None:
    """Give the errors of an earlier call if nothing has changed since that concerns this one."""
    if not record.is_file():
        return None
    try:
        content = read_json(record)
        stamps = content['Stamps']
        same = content['Dataset'] == str(bids_dir) and all(
            stamps.get(label) == _stamp(bids_dir, label) for label in ('', *participants)
        )
        # One of an earlier version says less of each.
        whole = all(len(error) == len(Issue._fields) for error in content['Errors'])
        return [Issue(*map(str, e)) for e in content['Errors']] if same and whole else None
    except (InputError, LookupError, TypeError, AttributeError):
        return None


def _stamp(bids_dir: Path, participant: str) -> str:
    """Describe the state of a participant's files, or of those beside the participants' folders.

    Only the names of folders beside them count: the validator looks into few of these.
    """
    folder = bids_dir / f'sub-{participant}' if participant else bids_dir
    return fingerprint({'files': list(_states(folder, deep=bool(participant)))})


def _states(folder: Path, *, deep: bool) -> Iterator[tuple[str, int, int]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=not deep):
            if deep:
                yield from _states(Path(entry.path), deep=True)
            elif not entry.name.startswith('.'):
                yield (entry.name, 0, 0)
        else:
            try:
                state = entry.stat()
            except OSError:  # a link to nothing
                yield (entry.path, -1, -1)
                continue
            yield (entry.path, state.st_size, state.st_mtime_ns)
