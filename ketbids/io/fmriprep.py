"""Find preprocessed runs among the derivatives of fMRIPrep."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io.bids import RunKey
from ketbids.io.filters import BidsFilter
from ketbids.io.folders import Folders, labels_of, same_run
from ketbids.io.meshes import described_by, make_anatomy, mesh_name, one_of
from ketbids.io.preprocessed import Anatomy, PreprocessedRun

__all__ = ['find_run', 'looked_for']

_SERIES = '_bold.dtseries.nii'

#: Entities that tell runs apart, by the fields of `RunKey`.
_RUN = {
    'sub': 'participant',
    'ses': 'session',
    'task': 'task',
    'acq': 'acquisition',
    'rec': 'reconstruction',
    'dir': 'direction',
    'run': 'run',
}
#: Entities that tell apart the outputs of one run, by their names in a filter.
_OUTPUT = {
    'den': 'density',
    'desc': 'desc',
    'res': 'resolution',
    'cohort': 'cohort',
    'space': 'space',
    'ce': 'ceagent',
}

#: Labels desc of the series that fMRIPrep writes.
_USUAL = ('', 'preproc')

#: Endings of the confounds: from release 20.2, from 1.2, and before.
_CONFOUNDS = (
    '_desc-confounds_timeseries.tsv',
    '_desc-confounds_regressors.tsv',
    '_bold_confounds.tsv',
)


def _folder(root: Path, key: RunKey, datatype: str, *, session: bool = True) -> Path:
    folder = root / f'sub-{key.participant}'
    if key.session and session:
        folder /= f'ses-{key.session}'
    return folder / datatype


def find_run(
    root: Path, key: RunKey, *, filters: BidsFilter, folders: Folders
) -> PreprocessedRun | None:
    """Find one run in a folder of fMRIPrep's derivatives; None if it is not there.

    Raises
    ------
    InputError
        If there are two candidates, or no surfaces for the mesh of the series.
    """
    func = _folder(root, key, 'func')
    wanted = {short: getattr(key, field) for short, field in _RUN.items()}
    run = wanted.pop('run')
    found = []
    for name in folders.names(func):
        labels = labels_of(name) if name.endswith(_SERIES) else {}
        if labels.get('space') != 'fsLR':
            continue
        outputs = {long: labels.get(short, '') for short, long in _OUTPUT.items()}
        same = all(labels.get(short, '') == label for short, label in wanted.items())
        if same and same_run(labels.get('run', ''), run) and filters.admits(outputs):
            found.append((func / name, outputs))
    # Run 1 may be 01, as older releases wrote it; the exact spelling counts first.
    exact = [item for item in found if labels_of(item[0].name).get('run', '') == run]
    found = exact or found
    if not found:
        return None
    series = one_of([path for path, _ in found], str(key), _how_to_choose(found))
    if found[0][1]['desc'] not in _USUAL and 'desc' not in filters.entities:
        query = {'bold': {'desc': found[0][1]['desc']}}
        raise InputError(
            f"{series} is not a series as fMRIPrep's own are named: desc-{found[0][1]['desc']} "
            'says that something else was done to it. If it is meant, choose it with '
            f'--bids-filter-file and {json.dumps(query)}; else name the folder of other '
            'derivatives with --derivatives.'
        )
    stem = series.name.partition('_space-')[0]
    names = folders.names(func)
    tables = [func / (stem + end) for end in _CONFOUNDS if stem + end in names]
    confounds = one_of(tables, f'the confounds of {series}') if tables else None
    sidecar = confounds.with_suffix('.json') if confounds else None
    return PreprocessedRun(
        series=series,
        confounds=confounds,
        anatomy=_anatomy(root, key, series, folders),
        origin='fmriprep',
        denoised=False,
        root=root,
        sidecars=_sidecars(root, series, folders),
        confounds_sidecar=sidecar if sidecar and described_by(sidecar) else None,
    )


def _how_to_choose(found: Sequence[tuple[Path, Mapping[str, str]]]) -> str:
    outputs = [labels for _, labels in found[:2]]
    differing = [name for name in outputs[0] if outputs[0][name] != outputs[-1][name]]
    if not differing:
        return 'Remove or rename one.'
    query = {'bold': {differing[0]: outputs[0][differing[0]] or None}}
    return f'Choose one with --bids-filter-file and {json.dumps(query)}.'


def _sidecars(root: Path, series: Path, folders: Folders) -> tuple[Path, ...]:
    """List the JSON files that describe a series by BIDS' inheritance, most specific first."""
    labels = labels_of(series.name).items()
    found: list[Path] = []
    folder = series.parent
    while True:
        here = [
            name
            for name in folders.names(folder)
            if name.endswith(('bold.json', 'bold.dtseries.json'))
            and name.split('.')[0].rpartition('_')[2] == 'bold'
            and labels_of(name).items() <= labels
        ]
        # BIDS writes name.json; some releases wrote name.dtseries.json.
        here.sort(key=lambda name: (-len(labels_of(name)), name.endswith('.dtseries.json'), name))
        found += [folder / name for name in here if described_by(folder / name)]
        if folder == root:
            return tuple(found)
        folder = folder.parent


def _surfaces(
    folder: Path, key: RunKey, kind: str, mesh: str, folders: Folders
) -> tuple[Path, Path] | None:
    """Find the surfaces of both hemispheres in a folder of anatomical derivatives."""
    found: dict[str, list[Path]] = {'L': [], 'R': []}
    for name in folders.names(folder):
        if not name.endswith(f'_{kind}.surf.gii'):
            continue
        labels = labels_of(name)
        same = (labels.get('sub'), labels.get('space'), labels.get('den'))
        if same == (key.participant, 'fsLR', mesh) and labels.get('hemi') in found:
            found[labels['hemi']].append(folder / name)
    if not found['L'] and not found['R']:
        return None
    for hemi, paths in found.items():
        if not paths:
            raise InputError(
                f'{folder} has a {kind} surface of one hemisphere on the fsLR {mesh} mesh, but '
                f'none of hemi-{hemi}: the surfaces of sub-{key.participant} are incomplete.'
            )
        one_of(paths, f'the {hemi} {kind} surface of {key.visit}')
    return found['L'][0], found['R'][0]


def _anatomy(root: Path, key: RunKey, series: Path, folders: Folders) -> Anatomy:
    """Find the surfaces of the participant on the mesh of the series.

    Those of the session count first, then those of all sessions, then those of the only session
    that has any: one T1w image may serve several sessions.
    """
    mesh = mesh_name(series)
    places = list(
        dict.fromkeys(_folder(root, key, 'anat', session=session) for session in (True, False))
    )

    def pairs(kind: str, among: Sequence[Path]) -> dict[Path, tuple[Path, Path]]:
        found = ((place, _surfaces(place, key, kind, mesh, folders)) for place in among)
        return {place: pair for place, pair in found if pair is not None}

    midthickness = pairs('midthickness', places)
    if not midthickness:
        subject = root / f'sub-{key.participant}'
        names = [name for name in folders.names(subject) if name.startswith('ses-')]
        others = [place for name in names if (place := subject / name / 'anat') not in places]
        midthickness = pairs('midthickness', others)
        if len(midthickness) > 1:
            raise InputError(
                f'{series} has no surfaces on the fsLR {mesh} mesh in '
                f'{" or ".join(str(place) for place in places)}, but '
                f'{" and ".join(str(place) for place in midthickness)} have some, and which '
                f'belong to it is not said. Copy or link the right ones to {places[0]}.'
            )
        places += midthickness
    inflated = pairs('inflated', places)
    anatomy = make_anatomy(
        next(iter(midthickness.values()), None), next(iter(inflated.values()), None), None, mesh
    )
    if anatomy is None:
        raise InputError(
            f'{series} is on the fsLR {mesh} mesh, but there are no surfaces '
            f'*_hemi-{{L,R}}_space-fsLR_den-{mesh}[_desc-<label>]_midthickness.surf.gii in '
            f'{" or ".join(str(place) for place in places)}, and average ones are at hand for '
            '32k only. Give fMRIPrep --cifti-output (release 25.0 or newer), or make them.'
        )
    return anatomy


def looked_for(root: Path, key: RunKey) -> str:
    """Say where a run was looked for."""
    return f'{_folder(root, key, "func")}/{key}_space-fsLR_den-*{_SERIES}'
