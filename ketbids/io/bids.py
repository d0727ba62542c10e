"""Find what a BIDS dataset holds. pybids finds the files and nothing else."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io.database import has_database, index_events, indexed_events
from ketbids.io.filters import BidsFilter
from ketbids.io.folders import labels_of, same_run
from ketbids.io.tables import read_header, read_table

__all__ = [
    'Exclusion',
    'RunKey',
    'entities_of',
    'excluded_by',
    'find_events',
    'inherited_events',
    'participant_labels',
    'read_exclusions',
    'runs_of_visits',
    'sessions_with_events',
]

#: Files of a run in a BIDS dataset: what they are, and how they end.
_RUN_FILES = (('events', 'tsv'), ('bold', 'nii.gz'), ('bold', 'nii'))


@dataclass(frozen=True, order=True)
class RunKey:
    """Which run: labels without prefix; empty text where the dataset has no such level.

    Runs sort by visit, then reconstruction, direction and run.
    """

    participant: str
    session: str
    task: str
    acquisition: str = field(default='', kw_only=True)
    reconstruction: str = field(default='', kw_only=True)
    direction: str = field(default='', kw_only=True)
    run: str = ''

    def __str__(self) -> str:
        """Give the BIDS name of the run."""
        parts = (
            ('sub', self.participant),
            ('ses', self.session),
            ('task', self.task),
            ('acq', self.acquisition),
        )
        names = [f'{key}-{value}' for key, value in parts if value]
        return '_'.join([*names, *([self.label] if self.label else [])])

    @property
    def label(self) -> str:
        """What tells the run from others of its visit, e.g. ``dir-LR_run-1``; may be empty."""
        parts = (('rec', self.reconstruction), ('dir', self.direction), ('run', self.run))
        return '_'.join(f'{key}-{value}' for key, value in parts if value)

    @property
    def visit(self) -> 'RunKey':
        """The key without what tells apart the runs of a visit."""
        return RunKey(self.participant, self.session, self.task, acquisition=self.acquisition)

    @property
    def title(self) -> str:
        """Task, acquisition and run in words, e.g. ``Task carit, dir LR, run 1``."""
        parts = [f'acq-{self.acquisition}'] if self.acquisition else []
        parts += self.label.split('_') if self.label else []
        return ', '.join([f'Task {self.task}', *(part.replace('-', ' ') for part in parts)])


@dataclass(frozen=True)
class Exclusion:
    """A line of the exclusion list; empty text means all."""

    participant: str
    session: str
    run: str
    reason: str

    def covers(self, participant: str, session: str, run: str | None = None) -> bool:
        """Tell if this line takes out the run (or, without `run`, the whole session)."""
        return (
            self.participant == participant
            and self.session in ('', session)
            and (not self.run if run is None else not self.run or same_run(self.run, run))
        )


def participant_labels(bids_dir: Path) -> list[str]:
    """List the participants that have a folder.

    Raises
    ------
    InputError
        If the folder is not a BIDS dataset.
    """
    bids_dir = Path(bids_dir)
    if not bids_dir.is_dir():
        raise InputError(f'{bids_dir} is not a folder.')
    if not (bids_dir / 'dataset_description.json').is_file():
        raise InputError(f'{bids_dir} is not a BIDS dataset: it has no dataset_description.json.')
    labels = sorted(
        path.name.removeprefix('sub-')
        for path in bids_dir.glob('sub-*')
        if re.fullmatch(r'sub-[A-Za-z0-9]+', path.name) and path.is_dir()
    )
    if not labels:
        raise InputError(f'{bids_dir} has no participant folder (sub-*).')
    return labels


#: BIDS entities of a run, by the fields of `RunKey`.
_ENTITIES = {
    'participant': 'sub',
    'session': 'ses',
    'task': 'task',
    'acquisition': 'acq',
    'reconstruction': 'rec',
    'direction': 'dir',
    'run': 'run',
}


def find_events(
    bids_dir: Path,
    participants: Collection[str],
    *,
    sessions: Collection[str] = (),
    tasks: Collection[str] = (),
    runs: Collection[str] = (),
    filters: BidsFilter | None = None,
    database_dir: Path | None = None,
    make_database: bool = True,
) -> dict[RunKey, Path]:
    """Find the events files of the chosen participants; empty selections mean all.

    Without a database only the folders of the chosen participants are indexed. Unless
    `make_database`, one that is not there yet is done without.

    Raises
    ------
    InputError
        If a run has two events files, or the database cannot be used.
    """
    if database_dir is None or not (make_database or has_database(database_dir)):
        everybody = set(participants) >= set(participant_labels(bids_dir))
        names = index_events(bids_dir, None if everybody else sorted(participants))
    else:
        names = indexed_events(bids_dir, database_dir, sorted(participants))
    filters = filters or BidsFilter()
    found: dict[RunKey, Path] = {}
    for path in sorted(names):
        labels = labels_of(path.name)
        if 'sub' not in labels or 'task' not in labels:
            continue
        key = RunKey(**{name: labels.get(short, '') for name, short in _ENTITIES.items()})
        wanted = (
            (participants, key.participant),
            (sessions, key.session),
            (tasks, key.task),
        )
        if not all(not choice or label in choice for choice, label in wanted):
            continue
        if runs and not any(same_run(run, key.run) for run in runs):
            continue
        if not filters.admits(entities_of(key) | {'ceagent': labels.get('ce', '')}):
            continue
        if key in found:
            raise InputError(
                f'{path} and {found[key]} are two events files of one run. Rename or remove one.'
            )
        found[key] = path
    return dict(sorted(found.items()))


def sessions_with_events(bids_dir: Path, participant: str) -> list[str]:
    """List the sessions in which a participant has events of any task."""
    found = (Path(bids_dir) / f'sub-{participant}').glob('ses-*/func/*_events.tsv')
    return sorted({path.parents[1].name.removeprefix('ses-') for path in found})


def runs_of_visits(bids_dir: Path, tasks: Collection[str]) -> dict[tuple[str, str], set[str]]:
    """List the runs of the tasks, those with events or images, of every visit.

    Returns
    -------
    dict of tuple of str to set of str
        By participant and session (empty in a study without sessions): labels of the runs, empty
        for a run without one.
    """
    visits: dict[tuple[str, str], set[str]] = {}
    for folder in ('sub-*/func', 'sub-*/ses-*/func'):
        for path in Path(bids_dir).glob(f'{folder}/*_task-*'):
            labels = labels_of(path.name)
            kind, _, ending = path.name.rpartition('_')[2].partition('.')
            wanted = (kind, ending) in _RUN_FILES and 'sub' in labels
            if wanted and labels.get('task') in tasks:
                visit = labels['sub'], labels.get('ses', '')
                visits.setdefault(visit, set()).add(labels.get('run', ''))
    return dict(sorted(visits.items()))


def inherited_events(
    bids_dir: Path, participants: Collection[str], tasks: Collection[str]
) -> list[Path]:
    """List the events files above the folders of runs, which BIDS lets hold for all below."""
    folders = [(Path(bids_dir), '*_events.tsv')]
    for label in sorted(participants):
        folder = Path(bids_dir) / f'sub-{label}'
        folders += [(folder, '*_events.tsv'), (folder, 'ses-*/*_events.tsv')]
    return [
        path
        for folder, pattern in folders
        for path in sorted(folder.glob(pattern))
        if labels_of(path.name).get('task') in tasks
    ]


def entities_of(key: RunKey) -> dict[str, str]:
    """Give the labels of a run by the names that pybids and filter files have for them."""
    labels = {name: str(getattr(key, name)) for name in _ENTITIES}
    return {'subject' if name == 'participant' else name: v for name, v in labels.items()}


def read_exclusions(path: Path) -> list[Exclusion]:
    """Read a list of runs to leave out.

    Columns are participant_id, session_id (both also without ``_id``), run and reason; n/a means
    all.
    """
    header = read_header(path)
    columns = tuple(
        short if name not in header and (short := name.removesuffix('_id')) in header else name
        for name in ('participant_id', 'session_id', 'run', 'reason')
    )
    table = read_table(path, columns)
    lines = []
    rows = zip(*(table[column].fillna('').astype(str) for column in columns), strict=True)
    for number, (participant, session, run, reason) in enumerate(rows, start=2):
        if not participant or not reason:
            raise InputError(f'{path}, line {number}: participant_id and reason must be given.')
        lines.append(
            Exclusion(
                participant.removeprefix('sub-'),
                session.removeprefix('ses-'),
                run.removeprefix('run-'),
                reason,
            )
        )
    return lines


def excluded_by(
    exclusions: Collection[Exclusion], participant: str, session: str, run: str | None = None
) -> str | None:
    """Give the reason why a run (or, without `run`, a session) is left out, or None."""
    for line in exclusions:
        if line.covers(participant, session, run):
            return line.reason
    return None
