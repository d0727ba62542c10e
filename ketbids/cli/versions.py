"""Versions of the programs that a session was preprocessed with, as its stages recorded them."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ketbids.interfaces.hcp.checkout import other_versions
from ketbids.io.stages import read_record
from ketbids.workflows.stages import StageCommand

__all__ = ['mixed_versions', 'recorded_versions']


def recorded_versions(folder: Path, stages: Collection[str]) -> dict[str, str | list[str]]:
    """Give the versions of the programs with which stages of a session were done.

    Parameters
    ----------
    folder : Path
        Where the stages of the session are recorded.
    stages : collection of str
        Those that count.

    Returns
    -------
    dict of str to str or list of str
        By the name of the program; a list if stages were done with several versions.
    """
    found: dict[str, set[str]] = {}
    for path in folder.glob('*.json'):
        record = read_record(path)
        if record is not None and path.stem.split('_')[0] in stages:
            for name, version in record.programs.items():
                found.setdefault(name, set()).add(version)
    return {name: _one_or_all(found[name]) for name in sorted(found)}


def _one_or_all(versions: Iterable[str]) -> str | list[str]:
    several = sorted(versions)
    return several if len(several) > 1 else several[0]


def mixed_versions(commands: Sequence[StageCommand], hcp_dir: Path) -> list[str]:
    """Say of which sessions one half would be made by another version of the HCP pipelines.

    That is, stages are done, with another version than `hcp_dir` holds, and others are to be
    done.

    Parameters
    ----------
    commands : sequence of StageCommand
        All stages of all sessions.
    hcp_dir : Path
        The version in use.

    Returns
    -------
    list of str
        A sentence for each such session.
    """
    sentences = []
    for session in dict.fromkeys(command.session for command in commands if command.todo):
        finished = [
            Path(command.record)
            for command in commands
            if command.session == session and not command.todo
        ]
        sentences += other_versions(session, finished, hcp_dir)
    return sentences
