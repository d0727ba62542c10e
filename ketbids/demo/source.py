"""A real BIDS dataset with events and confounds, to be dressed in synthetic images."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from ketbids.demo.writing import digest
from ketbids.errors import InputError, UsageError

__all__ = ['Source', 'SourceRun', 'read_events', 'read_source']

#: How fMRIPrep has named the confounds of a run, the newest name first.
_CONFOUNDS = (
    '_desc-confounds_timeseries.tsv',
    '_desc-confounds_regressors.tsv',
    '_bold_confounds.tsv',
)

#: Tables and descriptions that a copy keeps, by folder below the dataset.
_TOP: tuple[str, ...] = (
    'participants.tsv',
    'participants.json',
    'README*',
    'CHANGES',
    'LICENSE*',
    '.bidsignore',
)
_TOP += ('task-*.json', 'sessions.json', 'scans.json', 'phenotype/*.tsv', 'phenotype/*.json')
_DESCRIPTION = 'dataset_description.json'

_RUN = re.compile(
    r'(?P<sub>sub-[A-Za-z0-9]+)(?:_(?P<ses>ses-[A-Za-z0-9]+))?_task-(?P<task>[A-Za-z0-9]+)'
    r'(?:_[a-z]+-[A-Za-z0-9]+)*'
)


@dataclass(frozen=True)
class SourceRun:
    """A run that has events and confounds.

    Attributes
    ----------
    name : str
        What its files begin with: ``sub-01_ses-1_task-stop_run-1``.
    participant, session : str
        With prefix (``sub-01``, ``ses-1``); the session may be empty.
    task : str
    events, confounds : Path
        Resolved paths to read.
    confounds_name : str
        Name of the confounds in their folder.
    confounds_sidecar : Path or None
    trials : dict of str to int
        Trials by type, without the rows that are left out.
    rows_left_out : int
        Rows of the events without a trial type, or without an onset and duration of at least 0.
    last_onset : float
        Seconds.
    n_volumes : int
        Rows of the confounds.
    """

    name: str
    participant: str
    session: str
    task: str
    events: Path
    confounds: Path
    confounds_name: str
    confounds_sidecar: Path | None
    trials: dict[str, int]
    rows_left_out: int
    last_onset: float
    n_volumes: int

    @property
    def folder(self) -> Path:
        """Folder of the visit, relative to a dataset."""
        return Path(self.participant, self.session)


@dataclass(frozen=True)
class Source:
    """What is read from the dataset.

    Attributes
    ----------
    root : Path
    runs : tuple of SourceRun
        Sorted by name.
    copies : dict of str to Path
        Files to copy: path below the dataset, and the file to read.
    left_out : dict of str to str
        Runs (and files) that cannot be used, and why.
    """

    root: Path
    runs: tuple[SourceRun, ...]
    copies: dict[str, Path]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def participants(self) -> list[str]:
        """Participants with runs, with prefix."""
        return list(dict.fromkeys(run.participant for run in self.runs))

    @property
    def trials(self) -> dict[str, int]:
        """Trials by type over all runs, by name."""
        counts: dict[str, int] = {}
        for run in self.runs:
            for name, count in run.trials.items():
                counts[name] = counts.get(name, 0) + count
        return dict(sorted(counts.items()))

    def digest(self) -> str:
        """Sum up all that the study is made from: names and contents."""
        total = hashlib.sha256()
        files = dict(self.copies)
        for run in self.runs:
            files[f'{run.name} {run.confounds_name}'] = run.confounds
            if run.confounds_sidecar is not None:
                files[f'{run.name} {run.confounds_name} sidecar'] = run.confounds_sidecar
        for name, path in sorted(files.items()):
            total.update(f'{name}\0{digest(path)}\0'.encode())
        return total.hexdigest()


def read_source(root: Path, repetition_time: float, n_participants: int | None = None) -> Source:
    """Find the runs of a BIDS dataset that have events and confounds.

    Only regular files below the dataset are read: a link that leads out of it, or to content
    that is not there, counts as missing.

    Parameters
    ----------
    root : Path
        The dataset; fMRIPrep's tables are looked for in its ``derivatives/fmriprep`` and then in
        the other folders of ``derivatives``.
    repetition_time : float
        Seconds from one volume to the next; a description in the dataset that says something
        else is an error.
    n_participants : int, optional
        Only the first participants, by name, that have runs.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If the folder is no BIDS dataset, or has no run with events and confounds.
    UsageError
        If it has fewer participants than asked for.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f'{root} is not a folder: give a BIDS dataset.')
    description, why = _regular(root, root / _DESCRIPTION)
    if description is None:
        raise InputError(f'{root} is not a BIDS dataset: {_DESCRIPTION} {why}.')
    runs, left_out = _runs(root, n_participants)
    if not runs:
        if not left_out:
            raise InputError(
                f'{root} has no events: there is no sub-*/func/*_events.tsv and no '
                'sub-*/ses-*/func/*_events.tsv.'
            )
        first = next(iter(left_out.items()))
        raise InputError(
            f'{root} has no run with events and confounds; {len(left_out)} are left out. The '
            f'first, {first[0]}: {first[1]}.'
        )
    found = len({run.participant for run in runs})
    if n_participants is not None and found < n_participants:
        raise UsageError(
            f'--participants {n_participants}: {root} has {found} participants with events and '
            'confounds.'
        )
    copies = {_DESCRIPTION: description}
    for path in _candidates(root, runs):
        file, why = _regular(root, path)
        if file is None:
            left_out[str(path.relative_to(root))] = f'the file {why}'
        else:
            copies[str(path.relative_to(root))] = file
    _check_repetition_time(copies, repetition_time)
    return Source(root, tuple(runs), copies, left_out)


def _runs(root: Path, n_participants: int | None) -> tuple[list[SourceRun], dict[str, str]]:
    runs: list[SourceRun] = []
    left_out: dict[str, str] = {}
    complete = 0
    for folder in sorted(root.glob('sub-*')):
        if n_participants is not None and complete == n_participants:
            break
        before = len(runs)
        events = [*folder.glob('func/*_events.tsv'), *folder.glob('ses-*/func/*_events.tsv')]
        for path in sorted(events, key=lambda path: path.name):
            name = path.name.removesuffix('_events.tsv')
            try:
                runs.append(_run(root, path, name))
            except InputError as error:
                # What is written must not depend on where the dataset lies.
                reason = str(error).replace(f'{root}/', '').replace(f'{root.resolve()}/', '')
                left_out[name] = reason.rstrip('.')
        complete += len(runs) > before
    return runs, left_out


def _run(root: Path, path: Path, name: str) -> SourceRun:
    entities = _RUN.fullmatch(name)
    if entities is None or path.parent.parent != root.joinpath(
        *filter(None, entities.group('sub', 'ses'))
    ):
        raise InputError(f'{path} does not have a BIDS name for its folder')
    events, why = _regular(root, path)
    if events is None:
        raise InputError(f'{path} {why}')
    trials, rows_left_out = read_events(events)
    confounds = _find_confounds(root, path.parent.relative_to(root), name)
    from ketbids.demo.confounds import read_confounds

    file = _regular(root, confounds)[0]
    assert file is not None
    sidecar = _regular(root, confounds.with_suffix('.json'))[0]
    return SourceRun(
        name=name,
        participant=entities['sub'],
        session=entities['ses'] or '',
        task=entities['task'],
        events=events,
        confounds=file,
        confounds_name=confounds.name,
        confounds_sidecar=sidecar,
        trials=dict(sorted(Counter(trials['trial_type'].tolist()).items())),
        rows_left_out=rows_left_out,
        last_onset=float(trials['onset'].iloc[-1]),
        n_volumes=len(read_confounds(file).series),
    )


def _find_confounds(root: Path, func: Path, name: str) -> Path:
    folders = sorted(root.glob('derivatives/*'), key=lambda p: (p.name != 'fmriprep', p.name))
    absent = []
    for folder in folders:
        for ending in _CONFOUNDS:
            path = folder / func / f'{name}{ending}'
            if not (path.exists() or path.is_symlink()):
                continue
            file, why = _regular(root, path)
            if file is not None:
                return path
            absent.append(f'{path} {why}')
    looked = f'{root}/derivatives/*/{func}/{name}{{{",".join(_CONFOUNDS)}}}'
    raise InputError(f'it has no confounds: {"; ".join(absent) or f"looked for {looked}"}')


def _regular(root: Path, path: Path) -> tuple[Path | None, str]:
    """Resolve a file of the dataset; without one, say why."""
    base = root.resolve()
    try:
        file = path.resolve(strict=True)
    except (OSError, RuntimeError):
        if path.is_symlink():
            return None, 'is a link to content that is not there (datalad get fetches it)'
        return None, 'is missing'
    if not file.is_relative_to(base):
        return None, 'is a link that leads out of the dataset'
    return (file, '') if file.is_file() else (None, 'is not a regular file')


def _candidates(root: Path, runs: list[SourceRun]) -> Iterator[Path]:
    """Everything that a copy keeps, where it is there."""
    for pattern in _TOP:
        yield from sorted(root.glob(pattern))
    for participant in sorted({run.participant for run in runs}):
        for ending in ('sessions.tsv', 'sessions.json', 'scans.tsv', 'scans.json'):
            yield from sorted((root / participant).glob(f'{participant}_{ending}'))
    for visit in sorted({run.folder for run in runs if run.session}):
        yield from sorted((root / visit).glob('sub-*_scans.tsv'))
        yield from sorted((root / visit).glob('sub-*_scans.json'))
    for run in runs:
        for path in sorted((root / run.folder / 'func').glob(f'{run.name}_events.*')):
            if path.suffix in ('.tsv', '.json'):
                yield path


def _check_repetition_time(copies: dict[str, Path], repetition_time: float) -> None:
    from ketbids.io.files import read_json

    for name, path in copies.items():
        if re.fullmatch(r'task-[A-Za-z0-9]+.*_bold\.json', name) is None:
            continue
        stated = read_json(path).get('RepetitionTime')
        if isinstance(stated, int | float) and abs(stated - repetition_time) > 1e-4:
            raise InputError(
                f'{path} says RepetitionTime {stated:g} s, --repetition-time {repetition_time:g}.'
            )


def read_events(path: Path) -> tuple[pd.DataFrame, int]:
    """Read the trials of a run that can be used.

    Returns
    -------
    trials : DataFrame
        ``onset`` and ``duration`` (s), ``trial_type`` (text), sorted by onset.
    left_out : int
        Rows without a trial type, or without an onset and duration of at least 0.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or has no such trials.
    """
    from ketbids.io.tables import read_table

    table = read_table(path, ('onset', 'duration', 'trial_type'))
    trials = pd.DataFrame(
        {
            'onset': pd.to_numeric(table['onset'], errors='coerce').astype(float),
            'duration': pd.to_numeric(table['duration'], errors='coerce').astype(float),
            'trial_type': [_text(value) for value in table['trial_type']],
        }
    )
    # Comparisons with a missing value are False; infinity is no time either.
    usable = (trials[['onset', 'duration']] >= 0).all(axis=1)
    usable &= (trials[['onset', 'duration']] < float('inf')).all(axis=1)
    usable &= trials['trial_type'] != ''
    kept = trials[usable].sort_values('onset', kind='stable').reset_index(drop=True)
    if not len(kept):
        raise InputError(f'{path} has no trials with onset, duration and trial_type')
    return kept, int((~usable).sum())


def _text(value: object) -> str:
    """Write a trial type as text: codes that are whole numbers without a point."""
    if pd.isna(value):  # type: ignore[call-overload]
        return ''
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
