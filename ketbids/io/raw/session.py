"""Sessions of raw data that the HCP pipelines can process, and what is in the way of others."""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ketbids.io.bids import Exclusion, RunKey, excluded_by
from ketbids.io.filters import RawFilters, raw_labels
from ketbids.io.folders import Folders, labels_of, same_run
from ketbids.io.hcpinputs import HcpSession
from ketbids.io.raw.anat import is_phase
from ketbids.io.raw.images import DATATYPES, image_paths, unusable_path
from ketbids.io.raw.inputs import RawOptions, SessionReader
from ketbids.io.raw.sidecars import Sidecars, suffix_of

__all__ = ['RawOptions', 'find_hcp_sessions']

#: Names of images. Of others, those count that look as if they were needed.
_NAME = re.compile(r'sub-[A-Za-z0-9]+(?:_[a-z]+-[A-Za-z0-9]+)*_[A-Za-z0-9]+\.nii(?:\.gz)?')
_NEEDED = re.compile(r'T1w|T2w|bold|sbref|epi|phasediff|magnitude', re.IGNORECASE)


def find_hcp_sessions(
    bids_dir: Path,
    participants: Collection[str],
    *,
    sessions: Collection[str] = (),
    tasks: Collection[str] = (),
    runs: Collection[str] = (),
    filters: RawFilters | None = None,
    exclusions: Collection[Exclusion] = (),
    options: RawOptions | None = None,
) -> tuple[list[HcpSession], list[str]]:
    """Find the sessions that have BOLD runs of the chosen tasks.

    Only the folders of the chosen participants are listed, and only headers are read.

    Parameters
    ----------
    bids_dir : Path
    participants : collection of str
        Labels; those without chosen runs are passed over.
    sessions, tasks, runs : collection of str
        Labels; empty means all.
    filters : RawFilters, optional
        Of the filter file.
    exclusions : collection of Exclusion
        A session of which all runs are excluded is left out. Runs beside others are not, since
        FIX cleans the runs of a session together, and would have to begin anew: only if they
        cannot be processed. (The first level leaves them out.)
    options : RawOptions, optional

    Returns
    -------
    sessions : list of HcpSession
        Those without a problem, by participant and session.
    problems : list of str
        A sentence for everything that has to be corrected first, in all sessions; also if
        nothing at all was found.
    """
    bids_dir = Path(bids_dir)
    choice = _Choice(sessions, tasks, runs, filters or RawFilters(), exclusions)
    options, folders, sidecars = options or RawOptions(), Folders(), Sidecars(bids_dir)
    found: list[HcpSession] = []
    problems: list[str] = []
    if wrong := unusable_path(bids_dir):
        problems.append(wrong)
    for participant in sorted(participants):
        top = bids_dir / f'sub-{participant}'
        for label, folder in _sessions(top, choice, folders, problems):
            if not all(
                _readable(path, problems) for path in _subfolders(folder) if os.path.lexists(path)
            ):
                continue
            paths = image_paths(folder, folders)
            key = RunKey(participant, label, '')
            series = _series(paths, key, choice)
            excluded = _excluded(series, choice)
            wrong_names = _wrong_names(paths, key)
            if len(excluded) == len(series):
                if not series:
                    # A series that was chosen may be among those.
                    problems += [text for name, text in wrong_names if choice.may_take(name)]
                continue
            reader = SessionReader(
                key, folder, paths, sidecars=sidecars, filters=choice.filters, options=options
            )
            reader.problems += [text for _, text in wrong_names]
            session = reader.read(series, excluded)
            problems += reader.problems
            if session is not None:
                found.append(session)
    if not found and not problems:
        problems.append(_nothing(bids_dir, participants, choice, folders))
    return found, list(dict.fromkeys(problems))


@dataclass(frozen=True)
class _Choice:
    """Which runs were chosen; empty means all."""

    sessions: Collection[str] = ()
    tasks: Collection[str] = ()
    runs: Collection[str] = ()
    filters: RawFilters = field(default_factory=RawFilters)
    exclusions: Collection[Exclusion] = ()

    def takes(self, labels: dict[str, str]) -> bool:
        """Tell if a run was chosen, whether it is excluded or not."""
        run = labels.get('run', '')
        return (
            (not self.tasks or labels['task'] in self.tasks)
            and (not self.runs or any(same_run(one, run) for one in self.runs))
            and self.filters.bold.admits(raw_labels(labels))
        )

    def may_take(self, name: str) -> bool:
        """Tell if a file that is not named as BIDS has it looks like a chosen series."""
        # A label with other characters in it may be meant for any.
        task = labels_of(name).get('task')
        unclear = task is None or not self.tasks or task in self.tasks
        return 'bold' in name and 'task-' in name and unclear


def _subfolders(folder: Path) -> list[Path]:
    return [folder, *(folder / datatype for datatype in DATATYPES)]


def _sessions(
    top: Path, choice: _Choice, folders: Folders, problems: list[str]
) -> list[tuple[str, Path]]:
    """List the chosen sessions of a participant with their folders."""
    if not _readable(top, problems):
        return []
    found = [('', top)]
    for name in folders.names(top):
        if not name.startswith('ses-') or not (top / name).is_dir():
            continue
        if not re.fullmatch(r'ses-[A-Za-z0-9]+', name):
            problems.append(
                f'{top / name}: session labels are letters and digits. Rename the folder and its '
                'files.'
            )
            continue
        found.append((name.removeprefix('ses-'), top / name))
    return [item for item in found if not choice.sessions or item[0] in choice.sessions]


def _series(
    paths: Sequence[Path], session: RunKey, choice: _Choice
) -> list[tuple[RunKey, list[Path]]]:
    """List the chosen runs with their series: one, or a problem."""
    found: dict[RunKey, list[Path]] = {}
    for path in paths:
        labels = labels_of(path.name)
        if suffix_of(path.name) != 'bold' or 'task' not in labels or is_phase(path):
            continue
        if not choice.takes(labels):
            continue
        key = RunKey(
            session.participant,
            session.session,
            labels['task'],
            acquisition=labels.get('acq', ''),
            reconstruction=labels.get('rec', ''),
            direction=labels.get('dir', ''),
            run=labels.get('run', ''),
        )
        twin = next((other for other in found if _same(other, key)), key)
        found.setdefault(twin, []).append(path)
    return sorted(found.items())


def _excluded(
    series: Sequence[tuple[RunKey, Sequence[Path]]], choice: _Choice
) -> dict[RunKey, str]:
    """Give the runs that are excluded, with the reasons."""
    reasons = {
        key: excluded_by(choice.exclusions, key.participant, key.session, key.run)
        for key, _ in series
    }
    return {key: reason for key, reason in reasons.items() if reason is not None}


def _same(one: RunKey, other: RunKey) -> bool:
    """Tell if two keys are of one run: 1 is 01."""
    return (
        one.visit == other.visit
        and one.reconstruction == other.reconstruction
        and one.direction == other.direction
        and same_run(one.run, other.run)
    )


def _readable(folder: Path, problems: list[str]) -> bool:
    """Tell if a folder can be listed; if not, say so."""
    if not folder.is_dir():
        problems.append(f'{folder} is no folder.')
    elif not os.access(folder, os.R_OK | os.X_OK):
        problems.append(f'{folder} cannot be read: permission denied. Correct its permissions.')
    else:
        return True
    return False


def _wrong_names(paths: Sequence[Path], session: RunKey) -> list[tuple[str, str]]:
    """Say which images (by name) have one that BIDS does not know, or of another session."""
    problems = []
    for path in paths:
        labels = labels_of(path.name)
        if not _NAME.fullmatch(path.name):
            if _NEEDED.search(path.name):
                wrong = sorted(set(re.sub(r'[A-Za-z0-9_.-]', '', path.name)))
                holds = f'; it holds {" ".join(map(repr, wrong))}' if wrong else ''
                text = (
                    f'{path} is no BIDS name: labels and suffix are letters and digits (A-Z, a-z, '
                    f'0-9) only, and _ stands between them{holds}. Rename or remove it.'
                )
                problems.append((path.name, text))
        elif (labels.get('sub'), labels.get('ses', '')) != (session.participant, session.session):
            text = (
                f'{path}: its name is not one of {session}. Rename it, or move it to where it '
                'belongs.'
            )
            problems.append((path.name, text))
    return problems


def _nothing(
    bids_dir: Path, participants: Collection[str], choice: _Choice, folders: Folders
) -> str:
    """Say that there is no chosen run at all, and what there is."""
    tasks = set()
    for participant in participants:
        for _, folder in _sessions(bids_dir / f'sub-{participant}', _Choice(), folders, []):
            names = folders.names(folder / 'func')
            tasks |= {labels_of(name).get('task', '') for name in names if '_bold.nii' in name}
    others = ', '.join(sorted(tasks - {'', *choice.tasks}))
    there_are = f' There are series of {others}.' if others else ''
    for line in choice.exclusions:
        mine = line.participant in participants
        if mine and (not choice.sessions or line.session in ('', *choice.sessions)):
            name = RunKey(line.participant, line.session, '', run=line.run)
            there_are += f' On the exclusion list: {name} ({line.reason}).'
    of = f' of the task {", ".join(choice.tasks)}' if choice.tasks else ''
    return (
        f'{bids_dir}: no BOLD series (*_bold.nii.gz){of} is among what was chosen (participants, '
        f'sessions, tasks, runs, filter file, exclusion list).{there_are}'
    )
