"""Find what a BIDS dataset holds. pybids finds the files and nothing else."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io.tables import read_table

__all__ = [
    'Exclusion',
    'RunKey',
    'excluded_by',
    'find_events',
    'participant_labels',
    'read_exclusions',
]


@dataclass(frozen=True, order=True)
class RunKey:
    """Which run: labels without prefix; empty text where the dataset has no such level."""

    participant: str
    session: str
    task: str
    run: str = ''

    def __str__(self) -> str:
        """Give the BIDS name of the run."""
        parts = zip(
            ('sub', 'ses', 'task', 'run'),
            (self.participant, self.session, self.task, self.run),
            strict=True,
        )
        return '_'.join(f'{key}-{value}' for key, value in parts if value)


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
            and (not self.run if run is None else self.run in ('', run))
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
        path.name.removeprefix('sub-') for path in bids_dir.glob('sub-*') if path.is_dir()
    )
    if not labels:
        raise InputError(f'{bids_dir} has no participant folder (sub-*).')
    return labels


def find_events(
    bids_dir: Path,
    participants: Collection[str],
    *,
    sessions: Collection[str] = (),
    tasks: Collection[str] = (),
    runs: Collection[str] = (),
) -> dict[RunKey, Path]:
    """Find the events files of the chosen participants; empty selections mean all.

    Only the folders of the chosen participants are indexed.
    """
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    others = set(participant_labels(bids_dir)) - set(participants)
    ignore = [re.compile(rf'^/?sub-{re.escape(label)}(/|$)') for label in sorted(others)]
    ignore += [re.compile(r'^/?(derivatives|sourcedata|code|stimuli)(/|$)')]
    layout = BIDSLayout(
        bids_dir,
        validate=False,
        indexer=BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignore),
    )
    found: dict[RunKey, Path] = {}
    for file in layout.get(suffix='events', extension='.tsv'):
        entities = file.get_entities()
        if 'subject' not in entities or 'task' not in entities:
            continue
        key = RunKey(
            participant=str(entities['subject']),
            session=str(entities.get('session', '')),
            task=str(entities['task']),
            run=_run_label(file.filename),
        )
        wanted = (
            (participants, key.participant),
            (sessions, key.session),
            (tasks, key.task),
            (runs, key.run),
        )
        if not all(not choice or label in choice for choice, label in wanted):
            continue
        if key in found:
            raise InputError(f'{file.path} and {found[key]} are two events files of one run.')
        found[key] = Path(file.path)
    return dict(sorted(found.items()))


def _run_label(name: str) -> str:
    """Give the run label as it is spelled (pybids turns ``01`` into a number)."""
    match = re.search(r'_run-([A-Za-z0-9]+)', name)
    return match[1] if match else ''


def read_exclusions(path: Path) -> list[Exclusion]:
    """Read a list of runs to leave out: participant_id, session_id, run, reason; n/a = all."""
    table = read_table(path, ('participant_id', 'session_id', 'run', 'reason'))
    lines = []
    columns = ('participant_id', 'session_id', 'run', 'reason')
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
