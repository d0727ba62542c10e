"""Find preprocessed runs in a study folder of the HCP pipelines."""

import re
from collections.abc import Sequence
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io.bids import RunKey
from ketbids.io.preprocessed import Anatomy, PreprocessedRun

__all__ = ['find_preprocessed']

#: File name endings of a run's dense time series, the most processed first.
_SERIES = (
    '_Atlas_MSMAll_hp*_clean.dtseries.nii',
    '_Atlas_hp*_clean.dtseries.nii',
    '_Atlas_MSMAll.dtseries.nii',
    '_Atlas.dtseries.nii',
)


def _entity(name: str, key: str) -> str:
    match = re.search(rf'(?:^|_){key}-([A-Za-z0-9]+)(?=_|$)', name)
    return match[1] if match else ''


def _only(candidates: Sequence[Path], what: str) -> Path:
    if len(candidates) > 1:
        names = ' and '.join(str(path) for path in candidates[:2])
        raise InputError(f'Two candidates for {what}: {names}. Remove or rename one.')
    return candidates[0]


def _series(folder: Path) -> tuple[Path, bool] | None:
    for ending in _SERIES:
        found = sorted(folder.glob(f'{folder.name}{ending}'))
        if found:
            return _only(found, f'the time series of {folder.name}'), '_clean' in ending
    return None


def _anatomy(folder: Path, name: str, registration: str) -> Anatomy:
    """Find the surfaces of a session, in ``fsaverage_LR<mesh>``, of the series' registration."""
    meshes = sorted(folder.glob('fsaverage_LR*k'))
    if not meshes:
        raise InputError(f'{folder} has no fsaverage_LR*k folder with surfaces.')
    mesh = _only(
        [m for m in meshes if m.name == 'fsaverage_LR32k'] or meshes, f'the mesh of {name}'
    )
    size = mesh.name.removeprefix('fsaverage_LR')

    def surface(hemisphere: str, kind: str) -> Path:
        path = mesh / f'{name}.{hemisphere}.{kind}{registration}.{size}_fs_LR.surf.gii'
        if not path.is_file():
            raise InputError(f'{path} is missing: the surfaces of {name} are incomplete.')
        return path

    labels = mesh / f'{name}.aparc.{size}_fs_LR.dlabel.nii'
    return Anatomy(
        midthickness=(surface('L', 'midthickness'), surface('R', 'midthickness')),
        inflated=(surface('L', 'inflated'), surface('R', 'inflated')),
        labels=labels if labels.is_file() else None,
    )


def find_preprocessed(derivatives: Sequence[Path], key: RunKey) -> PreprocessedRun:
    """Find one run in the first derivatives folder that has it.

    A session is a folder ``sub-<label>_ses-<label>`` (``sub-<label>`` without sessions), a run a
    folder below ``MNINonLinear/Results`` whose name holds the BIDS task and run labels.

    Raises
    ------
    InputError
        If there is none (the message says where it looked), or more than one.
    """
    session = f'sub-{key.participant}' + (f'_ses-{key.session}' if key.session else '')
    for root in derivatives:
        folder = Path(root) / session / 'MNINonLinear'
        results = [
            (path, *found)
            for path in sorted(folder.glob('Results/*'))
            if _entity(path.name, 'task') == key.task
            and _entity(path.name, 'run') == key.run
            and (found := _series(path))
        ]
        if not results:
            continue
        _only([path for path, _, _ in results], str(key))
        run, series, denoised = results[0]
        movement = run / 'Movement_Regressors.txt'
        if not movement.is_file():
            raise InputError(f'{movement} is missing.')
        registration = '_MSMAll' if '_Atlas_MSMAll' in series.name else ''
        anatomy = _anatomy(folder, session, registration)
        return PreprocessedRun(
            series=series,
            confounds=movement,
            anatomy=anatomy,
            origin='hcp',
            denoised=denoised,
            root=Path(root),
        )
    looked = ', '.join(f'{root}/{session}/MNINonLinear/Results' for root in derivatives)
    raise InputError(f'{key}: no preprocessed time series. Looked in: {looked or "no folder"}.')
