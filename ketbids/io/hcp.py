"""Find preprocessed runs in a study folder of the HCP pipelines."""

import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ketbids.errors import InputError, UsageError
from ketbids.io.bids import RunKey
from ketbids.io.filters import BidsFilter
from ketbids.io.fixcount import removed_components
from ketbids.io.folders import Folders, labels_of, same_run
from ketbids.io.meshes import density_name, described_by, make_anatomy, mesh_name, one_of
from ketbids.io.preprocessed import Anatomy, PreprocessedRun

__all__ = ['HcpPattern', 'find_run', 'looked_for', 'parse_pattern']

_PLACEHOLDERS = ('participant', 'session', 'task', 'acquisition', 'direction', 'run')

#: What follows the name of the run: resolution (of the 7 T release), registration, cleaning by
#: FIX with its high-pass, then by reclassified components and by temporal ICA.
_SERIES = re.compile(
    r'_Atlas(?P<resolution>_[0-9.]+mm)?(?P<registration>_MSM[A-Za-z0-9]*)?'
    r'(?P<clean>_hp(?:pd)?[0-9]+_clean(?P<steps>(?:_rclean)?(?:_tclean)?))?\.dtseries\.nii'
)


@dataclass(frozen=True)
class HcpPattern:
    """Names of session and run folders; `run` is None where BIDS entities name the runs."""

    session: str
    run: str | None = None

    @property
    def tells_sessions(self) -> bool:
        """True if folders of two sessions have different names."""
        return '{session}' in self.session + (self.run or '')


def parse_pattern(text: str) -> HcpPattern:
    """Read ``--hcp-pattern``: ``SESSION[/RUN]``.

    Raises
    ------
    UsageError
        If it cannot name folders, with the reason.
    """
    parts = text.split('/')
    reason = ''
    if len(parts) > 2:
        reason = 'it has more than one "/"'
    for part in parts:
        try:
            fields = [name for _, name, _, _ in string.Formatter().parse(part)]
            extras = any(spec or how for _, _, spec, how in string.Formatter().parse(part))
        except ValueError:
            fields, extras = [], True
        unknown = [name for name in fields if name is not None and name not in _PLACEHOLDERS]
        if not part:
            reason = 'a part of it is empty'
        elif part in ('.', '..') or '\0' in part:
            reason = f'{part!r} is no name of a folder'
        elif unknown:
            reason = f'{{{unknown[0]}}} is not known'
        elif extras or '{{' in part or '}}' in part:
            reason = 'its braces do not fit'
    if not reason and '{participant}' not in parts[0]:
        reason = 'the name of the session folder must hold {participant}'
    if reason:
        known = ', '.join(f'{{{name}}}' for name in _PLACEHOLDERS)
        raise UsageError(
            f'--hcp-pattern {text!r}: {reason}. It must be SESSION or SESSION/RUN, names of '
            f'folders with {known} and *.'
        )
    return HcpPattern(*parts)


#: What * stands for: anything; after a label, before one, and between two not what would make
#: another label of it.
_ANYTHING = {
    (False, False): '.*',
    (True, False): r'(?:[\W_].*)?',
    (False, True): r'(?:.*[\W_])?',
    (True, True): r'(?:[\W_](?:.*[\W_])?)?',
}


def _compiled(pattern: str, labels: Mapping[str, str], *, exact: bool) -> re.Pattern[str]:
    """Turn a pattern into a regular expression for one run; the task may be in any case."""
    expression, after = '', False
    for text, name, _, _ in string.Formatter().parse(re.sub(r'\*+', '*', pattern)):
        pieces = re.split(r'(\*)', text)
        for i, piece in enumerate(pieces):
            beside = (
                after and not any(pieces[:i]),
                name is not None and not any(pieces[i + 1 :]),
            )
            expression += _ANYTHING[beside] if piece == '*' else re.escape(piece)
        if name is not None:
            label = re.escape(labels[name])
            if name == 'run' and not exact:
                label = f'0*{int(labels[name])}'
            expression += f'(?i:{label})' if name == 'task' else label
        after = name is not None
    return re.compile(expression, re.DOTALL)


def _named(
    pattern: str, key: RunKey, folder: Path, folders: Folders, *, exact: bool
) -> list[Path]:
    """List the folders in `folder` whose name fits; unless `exact`, run 1 may be 01."""
    labels = {name: getattr(key, name) for name in _PLACEHOLDERS}
    used = {name for _, name, _, _ in string.Formatter().parse(pattern) if name}
    if any(not labels[name] for name in used):
        return []
    if '*' not in pattern and 'task' not in used and (exact or 'run' not in used):
        path = folder / pattern.format(**labels)
        return [path] if path.is_dir() else []
    fits = _compiled(pattern, labels, exact=exact)
    return [folder / name for name in folders.names(folder) if fits.fullmatch(name)]


def _session_pattern(key: RunKey, pattern: HcpPattern | None) -> str:
    if pattern is not None:
        return pattern.session
    return 'sub-{participant}_ses-{session}' if key.session else 'sub-{participant}'


def _is_of(name: str, key: RunKey, *, exact: bool) -> bool:
    """Tell by its BIDS entities if a folder is of a run."""
    labels = labels_of(name)
    run = labels.get('run', '')
    if labels.get('task') != key.task:
        return False
    if not (run == key.run if exact else same_run(run, key.run)):
        return False
    # Folders need not say whose they are, but must not say somebody else's.
    whose = {'sub': key.participant, 'ses': key.session}
    if any(labels.get(short, label) != label for short, label in whose.items()):
        return False
    others = {'acq': key.acquisition, 'rec': key.reconstruction, 'dir': key.direction}
    return all(labels.get(short, label) == label or not label for short, label in others.items())


def _description(name: str) -> str:
    """Letters and digits of what a series' name says of its processing, e.g. MSMAllhp0clean."""
    text = name.partition('_Atlas')[2].removesuffix('.dtseries.nii')
    return re.sub(r'[^A-Za-z0-9]', '', text)


def _candidates(
    folder: Path, filters: BidsFilter, folders: Folders
) -> list[tuple[Path, re.Match]]:
    """List the series of a run that the filter admits, only those that are processed furthest."""
    found = []
    for name in folders.names(folder):
        match = _SERIES.fullmatch(name.removeprefix(folder.name))
        if not match or not name.startswith(folder.name):
            continue
        labels = {'space': 'fsLR', 'desc': _description(match[0])}
        if 'density' in filters.entities:
            labels['density'] = density_name(folder / name)
        if filters.admits(labels):
            found.append((folder / name, match))
    ranks = [
        (match['clean'] is not None, match['registration'] is not None, len(match['steps'] or ''))
        for _, match in found
    ]
    best = max(ranks, default=None)
    return [item for item, rank in zip(found, ranks, strict=True) if rank == best]


def _surfaces(
    space: Path, name: str, kind: str, registrations: tuple[str, ...], mesh: str
) -> tuple[Path, Path] | None:
    """Find the surfaces of both hemispheres; those of the finest mesh lie one folder up."""
    for registration in registrations:
        for folder in (space / f'fsaverage_LR{mesh}', space):
            left, right = (
                folder / f'{name}.{hemi}.{kind}{registration}.{mesh}_fs_LR.surf.gii'
                for hemi in 'LR'
            )
            if left.is_file() != right.is_file():
                missing = right if left.is_file() else left
                raise InputError(f'{missing} is missing: the surfaces of {name} are incomplete.')
            if left.is_file():
                return left, right
    return None


def _anatomy(space: Path, name: str, match: re.Match[str], mesh: str) -> Anatomy:
    """Find the surfaces of a session that fit the registration and the mesh of the series."""
    registration, resolution = match['registration'] or '', match['resolution'] or ''
    registrations = tuple(dict.fromkeys((resolution + registration, registration)))
    midthickness = _surfaces(space, name, 'midthickness', registrations, mesh)
    if midthickness is None:
        wanted = f'{name}.L.midthickness{registrations[0]}.{mesh}_fs_LR.surf.gii'
        raise InputError(
            f'{space / f"fsaverage_LR{mesh}" / wanted} is missing: the surfaces of {name} that '
            f'belong to its {mesh} time series are incomplete.'
        )
    inflated = _surfaces(space, name, 'inflated', registrations, mesh)
    labels = space / f'fsaverage_LR{mesh}' / f'{name}.aparc.{mesh}_fs_LR.dlabel.nii'
    if not labels.is_file():
        labels = space / labels.name
    anatomy = make_anatomy(midthickness, inflated, labels if labels.is_file() else None, mesh)
    assert anatomy is not None
    return anatomy


def _spaces(
    root: Path,
    key: RunKey,
    pattern: HcpPattern | None,
    folders: Folders,
    *,
    exact: bool = True,
) -> list[Path]:
    """List the folders ``MNINonLinear`` of a session."""
    named = _named(_session_pattern(key, pattern), key, root, folders, exact=exact)
    return [path / 'MNINonLinear' for path in named if (path / 'MNINonLinear').is_dir()]


def _run_folders(
    results: Path, key: RunKey, pattern: HcpPattern | None, folders: Folders, *, exact: bool
) -> list[Path]:
    if pattern is not None and pattern.run is not None:
        return _named(pattern.run, key, results, folders, exact=exact)
    names = folders.names(results)
    return [results / name for name in names if _is_of(name, key, exact=exact)]


def find_run(
    root: Path,
    key: RunKey,
    *,
    pattern: HcpPattern | None,
    filters: BidsFilter,
    folders: Folders,
    sessions: Sequence[str] = (),
) -> PreprocessedRun | None:
    """Find one run in a study folder; None if it is not there.

    Without a pattern a session is a folder ``sub-<label>_ses-<label>`` (``sub-<label>`` without
    sessions), a run a folder below ``MNINonLinear/Results`` whose name holds the BIDS task and
    run labels, and no other participant, session, acquisition, reconstruction or direction. A
    run label that is spelled alike counts first, then one that is the same number.

    Parameters
    ----------
    root : Path
    key : RunKey
    pattern : HcpPattern or None
    filters : BidsFilter
    folders : Folders
    sessions : sequence of str
        Sessions in which the participant has events: of several, the pattern must tell which.

    Raises
    ------
    InputError
        If there are two candidates, or files that belong to the run are missing, or the pattern
        does not tell the participant's sessions apart.
    """
    spaces = _spaces(root, key, pattern, folders)
    if spaces and pattern is not None and not pattern.tells_sessions and len(sessions) > 1:
        raise InputError(
            f'{key}: --hcp-pattern lacks {{session}}, but sub-{key.participant} has events of '
            f'the sessions {", ".join(sessions)}: {spaces[0].parent} may be of any of them. '
            'Add {session} to the pattern.'
        )
    found = []
    for exact in (True, False) if key.run.isdecimal() else (True,):
        for space in spaces if exact else _spaces(root, key, pattern, folders, exact=False):
            found += [
                (space, run, candidates)
                for run in _run_folders(space / 'Results', key, pattern, folders, exact=exact)
                if (candidates := _candidates(run, filters, folders))
            ]
        if found:
            break
    if not found:
        return None
    one_of([run for _, run, _ in found], str(key), 'Choose one by --hcp-pattern or rename one.')
    space, run, candidates = found[0]
    described = [json.dumps(_description(match[0])) for _, match in candidates]
    one_of(
        [path for path, _ in candidates],
        f'the time series of {key}',
        f'Choose one with --bids-filter-file and {{"bold": {{"desc": {described[0]}}}}}.',
    )
    series, match = candidates[0]
    movement = run / 'Movement_Regressors.txt'
    return PreprocessedRun(
        series=series,
        confounds=movement if movement.is_file() else None,
        anatomy=_anatomy(space, space.parent.name, match, mesh_name(series)),
        origin='hcp',
        denoised=match['clean'] is not None,
        removed_components=removed_components(series),
        root=root,
        sidecars=tuple(
            path
            for name in ('.json', '.dtseries.json')
            if described_by(path := series.with_name(series.name.split('.dtseries')[0] + name))
        ),
    )


def looked_for(root: Path, key: RunKey, pattern: HcpPattern | None) -> str:
    """Say where a run was looked for."""
    labels = {name: getattr(key, name) or f'<{name}>' for name in _PLACEHOLDERS}
    session = _session_pattern(key, pattern).format(**labels)
    if pattern is not None and pattern.run is not None:
        run = pattern.run.format(**labels)
    else:
        run = f'*task-{key.task}*' + (f'run-{key.run}*' if key.run else '')
    return f'{root}/{session}/MNINonLinear/Results/{run}/*_Atlas*.dtseries.nii'
