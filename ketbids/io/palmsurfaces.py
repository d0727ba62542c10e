"""What stands after ``-s``: the area of each vertex, and whether a mesh fits the data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.gifti import open_gifti
from ketbids.io.matrices import check_file, read_csv_numbers
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.graph import vertex_areas

__all__ = ['assign_surfaces', 'check_mesh', 'read_areas']

Floats = npt.NDArray[np.float64]

#: FreeSurfer's data per vertex as text: number, x, y, z, value.
_TEXT = ('.dpv', '.asc')
_BINARY = ('.area', '.mid', '.curv', '.thickness')


def read_areas(given: str | None, surface: Surface, mesh: Path) -> Floats:
    """Find the area of each vertex.

    Parameters
    ----------
    given : str or None
        A file (``.csv``, ``.dpv``, ``.asc``, ``.gii``, ``.nii``, ``.nii.gz``, ``lh.area``), a
        number for every vertex, or None: a third of the triangles around it.
    surface : Surface
    mesh : Path
        File of the surface, for messages.

    Returns
    -------
    ndarray, shape (n_vertices,)
        mm^2, or whatever unit the file has.

    Raises
    ------
    InputError
        It is neither a file nor a number, or its values do not fit the mesh.
    """
    n_vertices = len(surface.coordinates)
    if given is None:
        return vertex_areas(surface)
    path = Path(given)
    if path.exists():
        values = _read_values(check_file(path))
        if len(values) == 1:
            values = np.repeat(values, n_vertices)
    else:
        try:
            values = np.full(n_vertices, float(given))
        except ValueError:
            raise InputError(
                f'-s {mesh} {given}: this is neither a file that exists nor a number for the '
                'area of each vertex.'
            ) from None
    if len(values) != n_vertices:
        raise InputError(
            f'{given} has {len(values)} areas, but {mesh} has {n_vertices} vertices. Use the '
            'areas of the same mesh.'
        )
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise InputError(f'{given}: areas must be finite, not negative, and not all 0.')
    return values


def _read_values(path: Path) -> Floats:
    """Values of a file with one for each vertex."""
    name, suffix = path.name.lower(), path.suffix.lower()
    if suffix == '.csv':
        return read_csv_numbers(path).reshape(-1)
    if suffix in _TEXT:
        table = read_csv_numbers(path)
        if table.shape[1] != 5:
            raise InputError(
                f'{path}: data per vertex have 5 columns (number, x, y, z, value), not '
                f'{table.shape[1]}.'
            )
        return np.ascontiguousarray(table[:, 4])
    try:
        if suffix == '.gii':
            return _gifti_values(path)
        if name.endswith(('.nii', '.nii.gz')):
            import nibabel as nb

            image: Any = nb.load(path)
            return np.asarray(image.dataobj, dtype=np.float64).reshape(-1)
        if suffix in _BINARY:
            from nibabel.freesurfer import read_morph_data

            return np.asarray(read_morph_data(path), dtype=np.float64)
    except InputError:
        raise
    except Exception as error:  # nibabel and zlib have errors of their own
        raise InputError(f'{path} cannot be read as areas: {error}.') from error
    raise InputError(
        f'{path}: areas must be .csv, .dpv, .asc, .gii, .nii, .nii.gz or a FreeSurfer area file.'
    )


def _gifti_values(path: Path) -> Floats:
    arrays = open_gifti(path, 'areas').darrays
    if len(arrays) != 1:
        raise InputError(
            f'{path} cannot be read as areas: it has {len(arrays)} data arrays instead of 1.'
        )
    return np.asarray(arrays[0].data, dtype=np.float64).reshape(-1)


def check_mesh(surface: Surface, mesh: Path, n_locations: int, data: Path) -> None:
    """Refuse a mesh that is not that of the data.

    Raises
    ------
    InputError
        The numbers of vertices and locations differ.
    """
    n_vertices = len(surface.coordinates)
    if n_vertices == n_locations:
        return
    faces = len(surface.triangles)
    advice = (
        'Data per face are not supported by ketbids-palm; run PALM itself.'
        if faces == n_locations
        else 'Use the mesh that the data were sampled on.'
    )
    raise InputError(
        f'{mesh} has {n_vertices} vertices, but {data} has {n_locations} locations. {advice}'
    )


def assign_surfaces(
    models: BrainModels, meshes: Sequence[tuple[Surface, str, Path]], data: Path
) -> dict[str, int]:
    """Find which mesh is that of which surface of a CIFTI file.

    Parameters
    ----------
    models : BrainModels
    meshes : sequence of (Surface, str, Path)
        Mesh, CIFTI structure that its file names (or empty), and file, in the order of ``-s``.
    data : Path
        The CIFTI file, for messages.

    Returns
    -------
    dict of str to int
        Index of the mesh of each surface structure: by the name in the mesh's file where all of
        them have one, else in order.

    Raises
    ------
    InputError
        There are not as many meshes as surfaces, or one does not fit.
    """
    names = models.surface_names
    if len(meshes) != len(names):
        raise InputError(
            f'{data} has {len(names)} surfaces ({", ".join(names) or "none"}), but there are '
            f'{len(meshes)} meshes: give one -s for each.'
        )
    told = [structure for _, structure, _ in meshes]
    if all(told):
        if sorted(told) != sorted(names):
            raise InputError(
                f'The meshes are of {", ".join(told)}, but {data} has {", ".join(names)}: give '
                'one -s for each.'
            )
        chosen = {name: told.index(name) for name in names}
    else:
        chosen = {name: index for index, name in enumerate(names)}
    for name, index in chosen.items():
        surface, structure, mesh = meshes[index]
        if structure not in ('', name):
            raise InputError(
                f'{mesh} is of {structure}, but stands where that of {name} must: order the '
                'meshes as the surfaces in the data, or name their structures in their files.'
            )
        if len(surface.coordinates) != models.n_vertices[name]:
            raise InputError(
                f'{mesh} has {len(surface.coordinates)} vertices, but {data} says that {name} '
                f'has {models.n_vertices[name]}. Use the mesh that the data were sampled on.'
            )
    return chosen
