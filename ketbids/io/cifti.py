"""CIFTI-2 and GIFTI files as plain arrays, and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.files import written_aside
from ketbids.stats.brainmodels import BrainModels, Surface

__all__ = [
    'Labels',
    'Series',
    'assert_same_models',
    'brain_model_axis',
    'brain_models',
    'read_labels',
    'read_maps',
    'read_series',
    'read_surface',
    'series_timing',
    'write_labels',
    'write_maps',
    'write_series',
    'write_surface',
]


class Series(NamedTuple):
    """A dense time series: data (n_volumes, n_grayordinates), its geometry and TR in seconds."""

    data: npt.NDArray[np.float32]
    models: BrainModels
    repetition_time: float


class Labels(NamedTuple):
    """A dense label map: keys (n_grayordinates,), names and colours by key, and geometry."""

    keys: npt.NDArray[np.int32]
    names: dict[int, str]
    colours: dict[int, tuple[float, float, float, float]]
    models: BrainModels


def brain_models(axis: Any) -> BrainModels:
    """Describe a nibabel ``BrainModelAxis`` by plain arrays."""
    names: list[str] = []
    structure = np.empty(len(axis), np.int16)
    for name, columns, _ in axis.iter_structures():
        structure[columns] = len(names)
        names.append(str(name))
    surface = axis.surface_mask
    has_voxels = not surface.all()
    return BrainModels(
        names=tuple(names),
        structure=structure,
        vertex=np.where(surface, axis.vertex, -1).astype(np.int32),
        voxel=np.where(surface[:, None], -1, axis.voxel).astype(np.int32),
        n_vertices={str(name): int(count) for name, count in axis.nvertices.items()},
        affine=np.asarray(axis.affine, float) if has_voxels else None,
        volume_shape=tuple(int(n) for n in axis.volume_shape) if has_voxels else None,  # type: ignore[arg-type]
    )


def brain_model_axis(models: BrainModels) -> Any:
    """Make the nibabel ``BrainModelAxis`` that `models` describes."""
    from nibabel.cifti2 import BrainModelAxis

    return BrainModelAxis(
        np.array([models.names[code] for code in models.structure]),
        voxel=models.voxel,
        vertex=models.vertex,
        affine=models.affine,
        volume_shape=models.volume_shape,
        nvertices=dict(models.n_vertices),
    )


#: What the files are called, by what their rows are.
_KINDS = {
    'SERIES': 'dense time series (dtseries)',
    'SCALARS': 'dense scalar (dscalar)',
    'LABELS': 'dense label (dlabel)',
}


def _open(path: Path, rows: str) -> Any:
    """Open a CIFTI-2 file whose rows are `rows` and whose columns are grayordinates."""
    import nibabel as nb

    kind = _KINDS[rows]
    try:
        image: Any = nb.load(path)
        mappings = [
            image.header.matrix.get_index_map(axis).indices_map_to_data_type
            for axis in range(image.ndim)
        ]
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except Exception as error:  # nibabel, zlib and expat each have errors of their own
        raise InputError(f'{path} cannot be read as a CIFTI-2 {kind} file: {error}.') from error
    found = [mapping.removeprefix('CIFTI_INDEX_TYPE_') for mapping in mappings]
    if found != [rows, 'BRAIN_MODELS']:
        axes = ' x '.join(found).replace('_', ' ').lower()
        raise InputError(f'{path} is not a {kind} file: its axes are {axes}.')
    return image


def _data(path: Path, image: Any) -> npt.NDArray[np.float32]:
    try:
        return np.asarray(image.dataobj, np.float32)
    except Exception as error:  # a truncated file fails late, with many kinds of error
        raise InputError(f'{path} is damaged or truncated: {error}.') from error


def _axis(path: Path, image: Any, number: int) -> Any:
    try:
        return image.header.get_axis(number)
    except Exception as error:  # nibabel does not check what the XML says
        raise InputError(f'{path} has a damaged CIFTI-2 header: {error}.') from error


def _models(path: Path, image: Any) -> BrainModels:
    axis = _axis(path, image, 1)
    if None in axis.nvertices.values():
        raise InputError(f'{path} has a damaged CIFTI-2 header: a surface without its size.')
    models = brain_models(axis)
    if len(models) != image.shape[1]:
        raise InputError(
            f'{path} is damaged: its header describes {len(models)} grayordinates, its data have '
            f'{image.shape[1]}.'
        )
    return models


def read_series(path: Path) -> Series:
    """Read a ``.dtseries.nii``.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a dense time series in seconds.
    """
    image = _open(path, 'SERIES')
    repetition_time = _repetition_time(path, _axis(path, image, 0))
    return Series(_data(path, image), _models(path, image), repetition_time)


def series_timing(path: Path) -> tuple[int, float]:
    """Read the number of volumes and the TR in seconds from the header alone."""
    image = _open(path, 'SERIES')
    return image.shape[0], _repetition_time(path, _axis(path, image, 0))


def _repetition_time(path: Path, axis: Any) -> float:
    if axis.unit != 'SECOND' or not axis.step > 0:
        raise InputError(f'{path}: the time step is {axis.step} {axis.unit}; seconds are needed.')
    return float(axis.step)


def read_maps(path: Path) -> tuple[npt.NDArray[np.float32], BrainModels]:
    """Read a ``.dscalar.nii``: maps (n_maps, n_grayordinates) and their geometry."""
    image = _open(path, 'SCALARS')
    return _data(path, image), _models(path, image)


def read_labels(path: Path) -> Labels:
    """Read the first map of a ``.dlabel.nii``."""
    image = _open(path, 'LABELS')
    table = _axis(path, image, 0).label[0]
    return Labels(
        keys=np.rint(_data(path, image)[0]).astype(np.int32),
        names={int(key): str(name) for key, (name, _) in table.items()},
        colours={int(key): tuple(colour) for key, (_, colour) in table.items()},
        models=_models(path, image),
    )


def _write(
    target: Path, data: npt.ArrayLike, row_axis: Any, models: BrainModels, intent: str
) -> Path:
    from nibabel.cifti2 import Cifti2Header, Cifti2Image

    header = Cifti2Header.from_axes((row_axis, brain_model_axis(models)))
    image = Cifti2Image(np.asarray(data, np.float32), header=header)
    image.nifti_header.set_intent(intent)
    with written_aside(target) as aside:
        image.to_filename(aside)
    return Path(target)


def write_series(
    target: Path, data: npt.ArrayLike, models: BrainModels, repetition_time: float
) -> Path:
    """Write (n_volumes, n_grayordinates) as a float32 ``.dtseries.nii``; TR in seconds."""
    from nibabel.cifti2 import SeriesAxis

    axis = SeriesAxis(0.0, repetition_time, np.shape(data)[0], unit='SECOND')
    return _write(target, data, axis, models, 'ConnDenseSeries')


def write_maps(target: Path, maps: Mapping[str, npt.ArrayLike], models: BrainModels) -> Path:
    """Write named maps (n_grayordinates,) as a float32 ``.dscalar.nii``."""
    from nibabel.cifti2 import ScalarAxis

    return _write(
        target,
        np.stack([np.asarray(m) for m in maps.values()]),
        ScalarAxis(list(maps)),
        models,
        'ConnDenseScalar',
    )


def write_labels(target: Path, labels: Labels, name: str) -> Path:
    """Write one label map as a ``.dlabel.nii``."""
    from nibabel.cifti2 import LabelAxis

    table = {key: (text, labels.colours[key]) for key, text in labels.names.items()}
    return _write(
        target, labels.keys[None], LabelAxis([name], [table]), labels.models, 'ConnDenseLabel'
    )


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
    meta = image.darrays[0].meta.get('AnatomicalStructurePrimary', '')  # type: ignore[attr-defined]
    structure = {'CortexLeft': 'CORTEX_LEFT', 'CortexRight': 'CORTEX_RIGHT'}.get(meta, '')
    return Surface(coordinates, faces), f'CIFTI_STRUCTURE_{structure}' if structure else ''


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


def assert_same_models(models: Sequence[BrainModels], paths: Sequence[Path]) -> None:
    """Check that all maps of an analysis share the same brain models.

    Raises
    ------
    InputError
        Naming the first file and the first one that differs.
    """
    for other, path in zip(models[1:], paths[1:], strict=True):
        if not models[0].same_as(other):
            raise InputError(
                f'{path} ({len(other)} grayordinates) and {paths[0]} ({len(models[0])}) do not '
                'have the same brain models; maps of one analysis must share them.'
            )
