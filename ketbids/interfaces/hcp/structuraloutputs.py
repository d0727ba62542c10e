"""Files that the structural scripts of the HCP pipelines make."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ketbids.io.hcpnames import SessionFolders

__all__ = ['post_freesurfer_outputs', 'post_freesurfer_stale', 'pre_freesurfer_outputs']

_LABELS = ('wmparc', 'aparc+aseg', 'aparc.a2009s+aseg')


def _images(folder: Path, names: dict[str, str]) -> dict[str, str]:
    return {key: str(folder / f'{name}.nii.gz') for key, name in names.items()}


def pre_freesurfer_outputs(folders: SessionFolders, *, with_t2w: bool) -> dict[str, str]:
    """List the files that PreFreeSurfer makes, by the names of its outputs.

    Parameters
    ----------
    folders : SessionFolders
    with_t2w : bool
    """
    t1w, t2w, atlas = folders.t1w, folders.top / 'T2w', folders.atlas
    made = {
        **_images(
            t1w,
            {
                't1w': 'T1w',
                't1w_acpc': 'T1w_acpc',
                't1w_acpc_dc': 'T1w_acpc_dc',
                't1w_acpc_dc_restore': 'T1w_acpc_dc_restore',
                't1w_acpc_dc_restore_brain': 'T1w_acpc_dc_restore_brain',
                'bias_field': 'BiasField_acpc_dc',
                't1w_dc_warp': 'xfms/T1w_dc',
            },
        ),
        'acpc_transform': str(t1w / 'xfms' / 'acpc.mat'),
        **_images(
            atlas,
            {
                'mni_t1w': 'T1w',
                'mni_t1w_restore': 'T1w_restore',
                'mni_t1w_restore_brain': 'T1w_restore_brain',
                'to_standard': 'xfms/acpc_dc2standard',
                'from_standard': 'xfms/standard2acpc_dc',
                'jacobians': 'xfms/NonlinearRegJacobians',
            },
        ),
    }
    if with_t2w:
        made['t2w'] = str(t2w / 'T2w.nii.gz')
        made['t2w_acpc_transform'] = str(t2w / 'xfms' / 'acpc.mat')
        made |= _images(
            t1w,
            {
                't2w_warp': 'xfms/T2w_reg_dc',
                't2w_acpc_dc': 'T2w_acpc_dc',
                't2w_acpc_dc_restore': 'T2w_acpc_dc_restore',
                't2w_acpc_dc_restore_brain': 'T2w_acpc_dc_restore_brain',
            },
        )
        made |= _images(
            atlas,
            {
                'mni_t2w': 'T2w',
                'mni_t2w_restore': 'T2w_restore',
                'mni_t2w_restore_brain': 'T2w_restore_brain',
            },
        )
    return made


def _both(folder: Path, session: str, kinds: Iterable[str], ending: str) -> list[str]:
    """List files of both hemispheres."""
    return [str(folder / f'{session}.{h}.{kind}.{ending}') for h in 'LR' for kind in kinds]


def post_freesurfer_outputs(
    folders: SessionFolders,
    *,
    with_t2w: bool,
    resolution: str,
    high: int,
    low: Sequence[int],
    sphere: str,
) -> dict[str, Any]:
    """List the files that PostFreeSurfer makes, by the names of its outputs.

    Parameters
    ----------
    folders : SessionFolders
    with_t2w : bool
    resolution : str
        Of grayordinates, mm.
    high : int
        High-resolution mesh, thousands of vertices.
    low : sequence of int
        Low-resolution meshes, thousands of vertices.
    sphere : str
        Of the surface registration, such as ``MSMSulc``.
    """
    t1w, atlas, name = folders.t1w, folders.atlas, folders.session
    native = atlas / 'Native'
    meshes = [(f'{n}k_fs_LR', f'fsaverage_LR{n}k') for n in low]
    shapes = ('white', 'midthickness', 'pial', 'inflated', 'very_inflated')
    distortions = [
        f'{kind}_{of}'
        for of in ('FS', *(['MSMSulc'] if sphere == 'MSMSulc' else []))
        for kind in ('ArealDistortion', 'EdgeDistortion', 'StrainJ', 'StrainR')
    ]
    maps = ('sulc', 'curvature', 'thickness', 'corrThickness', *distortions)
    myelin = ('MyelinMap', 'MyelinMap_BC', 'SmoothedMyelinMap', 'SmoothedMyelinMap_BC')

    def dense(kinds: Iterable[str], ending: str) -> list[str]:
        return [
            str(atlas / folder / f'{name}.{kind}.{mesh}.{ending}.nii')
            for mesh, folder in meshes
            for kind in kinds
        ]

    def low_mesh(top: Path, kinds: Iterable[str], ending: str) -> list[str]:
        return [
            path
            for mesh, folder in meshes
            for path in _both(top / folder, name, kinds, f'{mesh}.{ending}.gii')
        ]

    made: dict[str, Any] = {
        't1w_volumes': [str(t1w / f'{n}.nii.gz') for n in (*_LABELS, 'brainmask_fs', 'ribbon')],
        't1w_acpc_dc_restore': str(t1w / 'T1w_acpc_dc_restore.nii.gz'),
        'orig_to_t1w': str(t1w / 'xfms' / 'OrigT1w2T1w.nii.gz'),
        'mni_volumes': [
            *(str(atlas / f'{n}.nii.gz') for n in (*_LABELS, 'brainmask_fs', 'ribbon')),
            *(str(atlas / f'T1w{n}.nii.gz') for n in ('', '_restore', '_restore_brain')),
        ],
        'bias_field': str(atlas / 'BiasField.nii.gz'),
        'rois': [
            str(atlas / 'ROIs' / f'{n}.{resolution}.nii.gz')
            for n in ('Atlas_ROIs', 'ROIs', 'wmparc', 'Atlas_wmparc')
        ],
        't1w_surfaces': low_mesh(t1w, shapes, 'surf'),
        'vertex_areas': [
            str(t1w / folder / f'{name}.{kind}.{mesh}.dscalar.nii')
            for mesh, folder in meshes
            for kind in ('midthickness_va', 'midthickness_va_norm')
        ],
        'native_surfaces': _both(native, name, (*shapes, 'sphere'), 'native.surf.gii'),
        'native_rois': _both(native, name, ('roi',), 'native.shape.gii'),
        'registered_spheres': _both(native, name, (f'sphere.{sphere}',), 'native.surf.gii'),
        'high_res_surfaces': _both(atlas, name, (*shapes, 'sphere'), f'{high}k_fs_LR.surf.gii'),
        'surfaces': low_mesh(atlas, (*shapes, 'sphere'), 'surf'),
        'atlas_rois': low_mesh(atlas, ('atlasroi',), 'shape'),
        'maps': dense(maps, 'dscalar'),
        'parcellations': dense(('aparc', 'aparc.a2009s'), 'dlabel'),
        'spec_files': [
            str(atlas / f'{name}.{high}k_fs_LR.wb.spec'),
            *(str(atlas / folder / f'{name}.{mesh}.wb.spec') for mesh, folder in meshes),
        ],
    }
    if with_t2w:
        made['t2w_acpc_dc_restore'] = str(t1w / 'T2w_acpc_dc_restore.nii.gz')
        made['mni_volumes'] += [
            str(atlas / f'T2w{n}.nii.gz') for n in ('', '_restore', '_restore_brain')
        ]
        made['myelin_maps'] = dense(myelin, 'dscalar')
    return made


def post_freesurfer_stale(folders: SessionFolders, *, high: int, low: Sequence[int]) -> list[Path]:
    """List what only PostFreeSurfer makes.

    Images that it replaces are not among them (it starts from them), nor is the warp that tells
    that it replaced them.

    Parameters
    ----------
    folders : SessionFolders
    high, low
        See `post_freesurfer_outputs`.
    """
    t1w, atlas, name = folders.t1w, folders.atlas, folders.session
    volumes = (*_LABELS, 'brainmask_fs')
    meshes = [f'fsaverage_LR{n}k' for n in (*low, high)]
    return [
        *(t1w / f'{n}{size}.nii.gz' for n in volumes for size in ('', '_1mm')),
        t1w / 'ribbon.nii.gz',
        *(t1w / folder for folder in ('Native', *meshes)),
        *(Path(path) for path in _both(t1w, name, ('midthickness',), f'{high}k_fs_LR.surf.gii')),
        *(atlas / f'{n}.nii.gz' for n in (*volumes, 'ribbon', 'BiasField')),
        *(atlas / folder for folder in ('Native', 'fsaverage', 'ROIs', 'StructuralQC', *meshes)),
        *sorted(atlas.glob(f'{name}.*{high}k_fs_LR.*')),
    ]
