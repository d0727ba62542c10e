"""Surfaces as plain arrays, and back: GIFTI; FreeSurfer's formats are read only."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.files import written_aside
from ketbids.io.gifti import open_gifti
from ketbids.io.matrices import check_file
from ketbids.stats.brainmodels import Surface
from ketbids.stats.surfacecheck import surface_fault

__all__ = ['read_mesh', 'read_surface', 'write_surface']

#: GIFTI metadata that say which hemisphere it is.
_STRUCTURE = 'AnatomicalStructurePrimary'
#: Extensions of FreeSurfer's surfaces: as text, and names of binary files.
_TEXT = ('.srf', '.asc')
_BINARY = (
    '.white',
    '.pial',
    '.inflated',
    '.sphere',
    '.reg',
    '.orig',
    '.smoothwm',
    '.midthickness',
)


def read_surface(path: Path) -> tuple[Surface, str]:
    """Read a ``.surf.gii``.

    Returns
    -------
    surface : Surface
    structure : str
        CIFTI structure name; empty if the file does not say.
    """
    surface, structure = _read_gifti(path)
    fault = surface_fault(surface)
    if fault:
        raise InputError(
            f'{path} is no usable surface: {fault}. Make it again, or take it from its source.'
        )
    return surface, structure


def read_mesh(path: Path) -> tuple[Surface, str]:
    """Read any mesh of triangles; its size and unit are not judged, as those of a brain are.

    Parameters
    ----------
    path : Path
        ``.gii``, FreeSurfer's text format (``.srf``, ``.asc``) or one of its binary surfaces
        (``lh.white``, ``rh.pial``, ...).

    Returns
    -------
    surface : Surface
    structure : str
        CIFTI structure name; empty if the file does not say.

    Raises
    ------
    InputError
        The file is missing, damaged or of another kind.
    """
    path = check_file(path)
    suffix = path.suffix.lower()
    if suffix == '.gii':
        surface, structure = _read_gifti(path)
    elif suffix in _TEXT:
        surface, structure = _read_text(path), ''
    elif suffix in _BINARY:
        surface, structure = _read_binary(path), ''
    else:
        raise InputError(
            f'{path}: a surface must be GIFTI (.surf.gii), FreeSurfer text (.srf, .asc) or a '
            'FreeSurfer surface (lh.white, rh.pial, ...).'
        )
    lost = int((~np.isfinite(surface.coordinates).all(axis=1)).sum())
    if lost:
        raise InputError(
            f'{path}: {lost} of its {len(surface.coordinates)} points are not finite.'
        )
    return surface, structure


def _read_gifti(path: Path) -> tuple[Surface, str]:
    """Read points, triangles and the CIFTI structure name of a GIFTI surface."""
    image = open_gifti(path, 'a GIFTI surface')
    try:
        points = image.agg_data('NIFTI_INTENT_POINTSET')
        triangles = image.agg_data('NIFTI_INTENT_TRIANGLE')
        coordinates = np.asarray(points, float).reshape(-1, 3)
        faces = np.asarray(triangles, np.int32).reshape(-1, 3)
    except Exception as error:  # whatever nibabel and numpy make of other arrays
        raise InputError(f'{path} cannot be read as a GIFTI surface: {error}.') from error
    surface = _fitting(path, coordinates, faces)
    # Workbench names the structure with the points, nibabel's users often with the file.
    places = (image.darrays[0].meta, image.meta)
    told = next((found for meta in places if (found := meta.get(_STRUCTURE))), '')
    structure = {'CortexLeft': 'CORTEX_LEFT', 'CortexRight': 'CORTEX_RIGHT'}.get(told, '')
    return surface, f'CIFTI_STRUCTURE_{structure}' if structure else ''


def _fitting(
    path: Path, coordinates: npt.NDArray[np.float64], faces: npt.NDArray[np.int32]
) -> Surface:
    """Make a surface of points and triangles if these fit."""
    if not len(faces) or faces.min() < 0 or faces.max() >= len(coordinates):
        raise InputError(
            f'{path} is not a surface: its triangles do not fit its {len(coordinates)} points.'
        )
    return Surface(coordinates, faces)


def _read_text(path: Path) -> Surface:
    """Read FreeSurfer's text format.

    A comment; the numbers of vertices and triangles; ``x y z 0`` for each vertex; ``a b c 0`` for
    each triangle, counted from 0.
    """
    _, _, rest = path.read_bytes().partition(b'\n')
    head, _, body = rest.partition(b'\n')
    try:
        n_points, n_faces = (int(word) for word in head.split())
        if min(n_points, n_faces) < 1:
            raise ValueError
    except ValueError:
        raise InputError(
            f'{path} is not a FreeSurfer text surface: its second line must give the numbers of '
            'vertices and triangles.'
        ) from None
    words = body.split()
    if len(words) != 4 * (n_points + n_faces):
        raise InputError(
            f'{path} is damaged or truncated: {n_points} vertices and {n_faces} triangles need '
            f'{4 * (n_points + n_faces)} numbers, but it has {len(words)}.'
        )
    try:
        points = np.array(words[: 4 * n_points], dtype=np.float64).reshape(-1, 4)
        faces = np.array(words[4 * n_points :], dtype=np.int32).reshape(-1, 4)
    except (ValueError, OverflowError) as error:
        raise InputError(f'{path} is damaged: {error}.') from error
    return _fitting(path, np.ascontiguousarray(points[:, :3]), np.ascontiguousarray(faces[:, :3]))


def _read_binary(path: Path) -> Surface:
    from nibabel.freesurfer import read_geometry

    try:
        points, faces = read_geometry(path)[:2]
        coordinates, triangles = np.asarray(points, float), np.asarray(faces, np.int32)
    except Exception as error:  # whatever numpy makes of bytes that are no surface
        raise InputError(f'{path} cannot be read as a FreeSurfer surface: {error}.') from error
    return _fitting(path, coordinates, triangles)


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
