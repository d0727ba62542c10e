"""Small trees of preprocessed data: files are empty but for the headers that are read."""

import numpy as np

from ketbids.io.cifti import write_series
from ketbids.stats.brainmodels import BrainModels

LEFT, RIGHT = 'CIFTI_STRUCTURE_CORTEX_LEFT', 'CIFTI_STRUCTURE_CORTEX_RIGHT'

#: Vertices of a hemisphere.
VERTICES = {'3k': 2562, '10k': 10242, '32k': 32492, '59k': 59292, '164k': 163842}


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def series(path, mesh='32k', n_grayordinates=4):
    """A dense time series of two volumes with few grayordinates of a large mesh."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = n_grayordinates // 2
    models = BrainModels(
        names=(LEFT, RIGHT),
        structure=np.repeat([0, 1], half).astype(np.int16),
        vertex=np.tile(np.arange(half, dtype=np.int32), 2),
        voxel=np.full((2 * half, 3), -1, np.int32),
        n_vertices=dict.fromkeys((LEFT, RIGHT), VERTICES[mesh]),
        affine=None,
        volume_shape=None,
    )
    return write_series(path, np.ones((2, 2 * half)), models, 0.8)


def hcp_surfaces(root, session='sub-01_ses-TP1', mesh='32k', registration=''):
    folder = root / session / 'MNINonLinear' / f'fsaverage_LR{mesh}'
    for hemi in 'LR':
        for kind in ('midthickness', 'inflated'):
            touch(folder / f'{session}.{hemi}.{kind}{registration}.{mesh}_fs_LR.surf.gii')
    return folder


def hcp_run(
    root,
    name='task-carit',
    endings=('_Atlas.dtseries.nii',),
    session='sub-01_ses-TP1',
    mesh='32k',
):
    folder = root / session / 'MNINonLinear' / 'Results' / name
    touch(folder / 'Movement_Regressors.txt')
    for ending in endings:
        series(folder / f'{name}{ending}', mesh)
    return folder


def fmriprep_run(
    root, name='sub-01_ses-TP1_task-carit', outputs='space-fsLR_den-91k', mesh='32k', **options
):
    """A run with its confounds and sidecar; `name` says in which folder."""
    folders = [part for part in name.split('_') if part.startswith(('sub-', 'ses-'))]
    folder = root.joinpath(*folders, 'func')
    series(folder / f'{name}_{outputs}_bold.dtseries.nii', mesh, **options)
    touch(folder / f'{name}_{outputs}_bold.json')
    touch(folder / f'{name}_desc-confounds_timeseries.tsv')
    touch(folder / f'{name}_desc-confounds_timeseries.json')
    return folder


def fmriprep_surfaces(root, stem='sub-01', mesh='32k', kinds=('midthickness',), desc=''):
    folder = root.joinpath(*[p for p in stem.split('_') if p.startswith(('sub-', 'ses-'))], 'anat')
    for hemi in 'LR':
        for kind in kinds:
            touch(folder / f'{stem}_hemi-{hemi}_space-fsLR_den-{mesh}{desc}_{kind}.surf.gii')
    return folder
