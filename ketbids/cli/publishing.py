"""What the preprocessing made, under BIDS names in the output folder."""

import shutil
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from ketbids.cli.dataset import record_path, remove_if_empty
from ketbids.cli.parser import installed_version
from ketbids.cli.versions import recorded_versions
from ketbids.errors import KetbidsError
from ketbids.io.hcpinputs import HcpSession
from ketbids.io.hcpnames import SessionFolders, study_folder
from ketbids.io.published import published, unpublish
from ketbids.io.records import fingerprint, is_whole, write_record
from ketbids.settings import Settings
from ketbids.workflows.base import executor
from ketbids.workflows.hcpoutputs import hcp_outputs_wf_name, init_publishing_wf

__all__ = ['publish', 'withdraw']

#: Stages of which something is published.
_SOURCES = {'PostFreeSurfer', 'fMRISurface'}


def publish(
    settings: Settings,
    sessions: Sequence[HcpSession],
    done: Mapping[str, Collection[str]],
    *,
    commands: Mapping[str, Sequence[str]],
    verbosity: int,
) -> dict[str, str]:
    """Publish what the stages of sessions made, where that is not done yet.

    Parameters
    ----------
    settings : Settings
    sessions : sequence of HcpSession
    done : mapping of str to collection of str
        Stages that are whole, by the name of the session.
    commands : mapping of str to sequence of str
        By which the session was made.
    verbosity : int

    Returns
    -------
    dict of str to str
        Why sessions failed, by their names.
    """
    output_dir, work_dir = settings.paths.output_dir, settings.paths.work_dir
    study = study_folder(output_dir)
    versions = {
        session.name: recorded_versions(
            SessionFolders(study, session.name).stages, done[session.name]
        )
        for session in sessions
    }
    marks = {
        session.name: fingerprint(
            {
                'version': installed_version(),
                'done': sorted(done[session.name]),
                'commands': list(commands[session.name]),
                'programs': versions[session.name],
            }
        )
        for session in sessions
    }
    records = {session.name: _record(output_dir, session.name) for session in sessions}
    todo = [
        session
        for session in sessions
        if _SOURCES & set(done[session.name])
        and not is_whole(records[session.name], marks[session.name], output_dir)
    ]
    build = partial(init_publishing_wf, settings, done=done, versions=versions)
    failures: dict[str, str] = {}
    for session in todo:
        try:
            build([session])
        except KetbidsError as error:  # of a file that is missing: it is no matter of others
            failures[session.name] = str(error)
    todo = [session for session in todo if session.name not in failures]
    if not todo:
        return failures
    for session in todo:  # what other options had made may have other names
        withdraw(settings, session.name)
    workflow = build(todo)
    names = {hcp_outputs_wf_name(session): session.name for session in todo}
    with executor(settings, verbosity=verbosity) as execute:
        for node, message in execute(workflow).items():
            failures.setdefault(names[node.split('.')[1]], message)
    for session in todo:
        if session.name not in failures:
            outputs = published(output_dir, session.name)
            write_record(records[session.name], marks[session.name], outputs, output_dir)
            folder = work_dir / workflow.name / hcp_outputs_wf_name(session)
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (work_dir / workflow.name, work_dir):
        remove_if_empty(folder)
    return failures


def withdraw(settings: Settings, session: str) -> None:
    """Take back what was published of a session, before its stages are done again."""
    _record(settings.paths.output_dir, session).unlink(missing_ok=True)
    unpublish(settings.paths.output_dir, session)


def _record(output_dir: Path, session: str) -> Path:
    return record_path(output_dir, f'preprocessing_{session}')
