"""What there is to do: the visits to fit, and the contrast maps that were made."""

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, RunKey, excluded_by
from ketbids.io.derivatives import Derivatives
from ketbids.io.preprocessed import PreprocessedRun

__all__ = [
    'RunFiles',
    'Visit',
    'bids_uri',
    'find_maps',
    'find_visits',
    'link_name',
    'visit_surfaces',
]

SURFACES = ('midthickness', 'inflated')


@dataclass(frozen=True)
class RunFiles:
    """A run with its events and its preprocessed data."""

    key: RunKey
    events: Path
    preprocessed: PreprocessedRun

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the participant level reads for this run."""
        return (self.events, *self.preprocessed.files)


@dataclass(frozen=True)
class Visit:
    """The runs of one task that a participant did in one session, acquired in one way.

    Directions, reconstructions and runs are combined; another acquisition is another visit.
    """

    participant: str
    session: str
    task: str
    runs: tuple[RunFiles, ...]
    acquisition: str = ''

    @property
    def name(self) -> str:
        """BIDS name, e.g. ``sub-01_ses-TP1_task-carit``."""
        return str(RunKey(self.participant, self.session, self.task, acquisition=self.acquisition))


def find_visits(
    events: Mapping[RunKey, Path], derivatives: Derivatives, exclusions: Collection[Exclusion]
) -> tuple[list[Visit], list[str], dict[str, InputError]]:
    """Pair events files with preprocessed runs.

    Returns
    -------
    visits : list of Visit
        In the order of their names.
    left_out : list of str
        A sentence for each excluded run.
    errors : dict of str to InputError
        By the name of the visit: a run without usable preprocessed data takes its visit out, not
        the others.
    """
    runs: dict[RunKey, list[RunFiles]] = {}
    failed: dict[RunKey, InputError] = {}
    taken: dict[Path, RunKey] = {}
    left_out = []
    for key, path in sorted(events.items()):
        reason = excluded_by(exclusions, key.participant, key.session, key.run)
        if reason is not None:
            left_out.append(f'{key} is excluded: {reason}')
            continue
        try:
            found = derivatives.find(key)
        except InputError as error:
            failed.setdefault(key.visit, InputError(f'{error}{_without_session(key, path)}'))
            continue
        twin = taken.setdefault(found.series, key)
        if twin != key:
            same = InputError(
                f'{found.series} would be the time series of {twin} and of {key}: the names of '
                'the folders do not tell these runs apart (see --hcp-pattern).'
            )
            failed.setdefault(twin.visit, same)
            failed.setdefault(key.visit, same)
            continue
        runs.setdefault(key.visit, []).append(RunFiles(key, path, found))
    visits = [
        Visit(key.participant, key.session, key.task, tuple(files), key.acquisition)
        for key, files in runs.items()
        if key not in failed
    ]
    return visits, left_out, {str(key): error for key, error in failed.items()}


def _without_session(key: RunKey, events: Path) -> str:
    """Say that events are of no session although the participant has some."""
    sessions = [] if key.session else sorted(p.name for p in events.parents[1].glob('ses-*'))
    if not sessions:
        return ''
    return (
        f' {events} names no session, but sub-{key.participant} has {", ".join(sessions)}: put '
        'events into the folder func of their session, and its label into their names.'
    )


def link_name(root: Path) -> str:
    """Name a dataset in BIDS URIs, the same in every call whatever else is given.

    The number of a folder among those of one call would be another one's in the next call.
    """
    label = re.sub(r'[^A-Za-z0-9]', '', root.name)
    return f'{label}{hashlib.sha256(str(root).encode()).hexdigest()[:6]}'


def bids_uri(path: Path, roots: Mapping[str, Path]) -> str:
    """Name a file by a BIDS URI.

    Parameters
    ----------
    path : Path
    roots : mapping of str to Path
        Folder of each dataset name; an empty name is the dataset that refers.
    """
    for name, root in roots.items():
        if path.is_relative_to(root):
            return f'bids:{name}:{path.relative_to(root).as_posix()}'
    return path.as_uri()


_MAP = re.compile(
    r'sub-(?P<participant_id>[A-Za-z0-9]+)(?:_ses-(?P<session_id>[A-Za-z0-9]+))?'
    r'_task-(?P<task>[A-Za-z0-9]+)(?:_acq-(?P<acquisition>[A-Za-z0-9]+))?'
    r'_space-fsLR_den-(?P<density>[A-Za-z0-9]+)'
    r'_contrast-(?P<contrast>[A-Za-z0-9]+)_stat-effect_statmap\.dscalar\.nii'
)


def find_maps(output_dir: Path, tasks: Collection[str]) -> pd.DataFrame:
    """Find the effect maps of all visits (maps of single runs are left aside).

    Returns
    -------
    DataFrame
        Columns ``participant_id`` and ``session_id`` (labels), ``task``, ``acquisition``,
        ``density``, ``contrast``, ``path`` (below `output_dir`); sorted.
    """
    rows = []
    for pattern in ('sub-*/ses-*/func', 'sub-*/func'):
        for path in Path(output_dir).glob(f'{pattern}/*_stat-effect_statmap.dscalar.nii'):
            match = _MAP.fullmatch(path.name)
            if match and match['task'] in tasks:
                row = {key: value or '' for key, value in match.groupdict().items()}
                rows.append({**row, 'path': path.relative_to(output_dir).as_posix()})
    columns = [*_MAP.groupindex, 'path']
    return pd.DataFrame(rows, columns=columns).sort_values(columns, ignore_index=True)


def visit_surfaces(
    output_dir: Path, participant: str, session: str, mesh: str | None = None
) -> dict[str, Path]:
    """Find the surfaces and labels that the participant level put beside a visit's maps.

    Parameters
    ----------
    output_dir : Path
    participant, session : str
    mesh : str, optional
        BIDS den label of the surfaces, where a session has more than one.

    Returns
    -------
    dict of str to Path
        ``L_midthickness``, ``R_midthickness``, ``L_inflated``, ``R_inflated`` and, if there are
        any, ``labels``.
    """
    folder = Path(output_dir) / f'sub-{participant}'
    folder = folder / f'ses-{session}' / 'anat' if session else folder / 'anat'
    found = {}
    for hemi in 'LR':
        for kind in SURFACES:
            name = f'*_hemi-{hemi}_space-fsLR_den-{mesh or "*"}_{kind}.surf.gii'
            paths = sorted(folder.glob(name))
            if len(paths) != 1:
                raise InputError(
                    f'{folder} has {len(paths)} {hemi} {kind} surfaces instead of one: run the '
                    f'participant level of sub-{participant} again.'
                )
            found[f'{hemi}_{kind}'] = paths[0]
    name = f'*_den-{mesh or "*"}_atlas-DesikanKilliany_dseg.dlabel.nii'
    labels = sorted(folder.glob(name))
    if labels:
        found['labels'] = labels[0]
    return found
