"""GIFTI surfaces as plain arrays, and back."""

from pathlib import Path

import numpy as np

from ketbids.errors import InputError
from ketbids.io.files import written_aside
from ketbids.stats.brainmodels import Surface
from ketbids.stats.surfacecheck import surface_fault

__all__ = ['read_surface', 'write_surface']


def read_surface(path: Path) -> tuple[Surface, str]:
    """Read a ``.surf.gii``.

    Returns
    -------
    surface : Surface
    structure : str
        CIFTI structure name; empty if the file does not say.
    """
    import nibabel as nb

    try:
        image = nb.load(path)
        points = image.agg_data('NIFTI_INTENT_POINTSET')  # type: ignore[attr-defined]
        triangles = image.agg_data('NIFTI_INTENT_TRIANGLE')  # type: ignore[attr-defined]
        coordinates = np.asarray(points, float).reshape(-1, 3)
        faces = np.asarray(triangles, np.int32).reshape(-1, 3)
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except Exception as error:  # nibabel, zlib and expat each have errors of their own
        raise InputError(f'{path} cannot be read as a GIFTI surface: {error}.') from error
    if not len(faces) or faces.min() < 0 or faces.max() >= len(coordinates):
        raise InputError(
            f'{path} is not a surface: its triangles do not fit its {len(coordinates)} points.'
        )
    surface = Surface(coordinates, faces)
    fault = surface_fault(surface)
    if fault:
        raise InputError(
            f'{path} is no usable surface: {fault}. Make it again, or take it from its source.'
        )
    meta = image.darrays[0].meta.get('AnatomicalStructurePrimary', '')  # type: ignore[attr-defined]
    structure = {'CortexLeft': 'CORTEX_LEFT', 'CortexRight': 'CORTEX_RIGHT'}.get(meta, '')
    return surface, f'CIFTI_STRUCTURE_{structure}' if structure else ''


def write_surface(
    target: Path,
    surface: Surface,
    structure: str,
    geometry: str = 'Anatomical',
    secondary: str = 'MidThickness',
) -> Path:
    """Write a ``.surf.gii`` that names its structure, as wb_command requires.

    Parameters
    ----------
    structure : str
        ``CIFTI_STRUCTURE_CORTEX_LEFT`` or ``CIFTI_STRUCTURE_CORTEX_RIGHT``.
    geometry, secondary : str
        GIFTI metadata ``GeometricType`` and ``AnatomicalStructureSecondary``.
    """
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    side = structure.removeprefix('CIFTI_STRUCTURE_CORTEX_').capitalize()
    meta = GiftiMetaData(
        {
            'AnatomicalStructurePrimary': f'Cortex{side}',
            'AnatomicalStructureSecondary': secondary,
            'GeometricType': geometry,
        }
    )
    image = GiftiImage(
        darrays=[
            GiftiDataArray(
                surface.coordinates.astype(np.float32), 'NIFTI_INTENT_POINTSET', meta=meta
            ),
            GiftiDataArray(surface.triangles.astype(np.int32), 'NIFTI_INTENT_TRIANGLE'),
        ]
    )
    with written_aside(target) as aside:
        image.to_filename(aside)
    return Path(target)
