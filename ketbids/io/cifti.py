"""CIFTI-2 files as plain arrays, and back."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.files import write_bytes, write_parts
from ketbids.stats.brainmodels import BrainModels

__all__ = [
    'Labels',
    'Series',
    'assert_same_models',
    'brain_model_axis',
    'brain_models',
    'labels_misfit',
    'read_labels',
    'read_maps',
    'read_series',
    'series_blocks',
    'series_models',
    'series_timing',
    'write_labels',
    'write_maps',
    'write_series',
    'write_series_parts',
]


class Series(NamedTuple):
    """A dense time series: data (n_volumes, n_grayordinates), its geometry and TR in seconds.

    The TR is NaN if the header does not say it.
    """

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
_INTENTS = {'SERIES': 'ConnDenseSeries', 'SCALARS': 'ConnDenseScalar', 'LABELS': 'ConnDenseLabel'}

#: One dimension of a CIFTI-2 file, in its XML.
_MAPPING = re.compile(
    rb'<MatrixIndicesMap\b[^>]*/>|<MatrixIndicesMap\b.*?</MatrixIndicesMap>', re.DOTALL
)
_ECODE = 32


@lru_cache(maxsize=16)
def _axis(mapping: bytes) -> Any:
    """Parse one dimension; the files of a study repeat theirs to the letter."""
    from nibabel.cifti2.cifti2_axes import from_index_mapping
    from nibabel.cifti2.parse_cifti2 import Cifti2Parser

    parser: Any = Cifti2Parser()
    try:
        parser.parse(b'<CIFTI Version="2"><Matrix>' + mapping + b'</Matrix></CIFTI>')
        return from_index_mapping(next(iter(parser.header.matrix)))
    except Exception as error:  # of expat, of nibabel, and of numpy where counts do not fit lists
        raise ValueError(
            'it is damaged: the description of its rows or columns does not fit together '
            f'({error})'
        ) from error


@lru_cache(maxsize=16)
def _models(mapping: bytes) -> BrainModels:
    models = brain_models(_axis(mapping))
    for name in models.names:
        here = models.where(name)
        size: tuple[int, ...] = models.volume_shape or (0, 0, 0)
        places = models.voxel[here]
        if name in models.n_vertices:
            places, size = models.vertex[here, None], (int(models.n_vertices[name]),)
        if (places < 0).any() or (places >= size).any():
            raise ValueError(f'{name} has grayordinates outside its surface or volume')
        if len(np.unique(np.ravel_multi_index(tuple(places.T), size))) < len(places):
            raise ValueError(f'{name} has grayordinates twice')
    return models


class _File(NamedTuple):
    """An opened CIFTI-2 file: the NIfTI image, and the XML of rows and columns."""

    path: Path
    image: Any
    rows: bytes
    columns: bytes

    @property
    def data(self) -> npt.NDArray[np.float32]:
        """Values, shape (n_rows, n_grayordinates)."""
        try:
            return np.asarray(self.image.dataobj, np.float32).reshape(self.image.shape[4:])
        except Exception as error:  # a truncated file fails late, with many kinds of error
            raise InputError(f'{self.path} is damaged or truncated: {error}.') from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep nibabel from saying what is wrong without saying with which file."""
    logger = logging.getLogger('nibabel.global')
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _open(path: Path, kind: str) -> _File:
    """Open a CIFTI-2 file whose columns are grayordinates."""
    import nibabel as nb

    called = _KINDS[kind]
    try:
        with _quiet():
            image = nb.Nifti2Image.from_filename(path)
        xml = [e.content for e in image.header.extensions if e.get_code() == _ECODE]
        mappings = _MAPPING.findall(xml[0]) if xml else []
        dimensions = {_attribute(m, b'AppliesToMatrixDimension'): m for m in mappings}
        found = [_attribute(dimensions[i], b'IndicesMapToDataType') for i in sorted(dimensions)]
        found = [name.removeprefix('CIFTI_INDEX_TYPE_') for name in found]
        if found == [kind, 'BRAIN_MODELS']:
            described = len(_axis(dimensions['0'])), len(_models(dimensions['1']))
            _check_shape(described, image.shape[4:])
        _check_size(path, image)
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except Exception as error:  # nibabel, zlib and expat each have errors of their own
        raise InputError(f'{path} cannot be read as a CIFTI-2 {called} file: {error}.') from error
    if found != [kind, 'BRAIN_MODELS']:
        axes = ' x '.join(found).replace('_', ' ').lower() or 'not those of CIFTI-2'
        raise InputError(
            f'{path} is not a {called} file: its axes are {axes}. Put the {called} file there, '
            'or remove this one.'
        )
    return _File(path, image, dimensions['0'], dimensions['1'])


def _check_shape(described: tuple[int, int], shape: Sequence[int]) -> None:
    """Compare what the XML describes with the size of the matrix, each (rows, columns)."""
    for what, told, there in zip(('rows', 'grayordinates'), described, shape, strict=False):
        if told != there:
            raise ValueError(
                f'it is damaged: its header describes {told} {what}, its data have {there}'
            )
    if len(shape) != len(described):
        raise ValueError(f'it is damaged: its data have {len(shape)} dimensions instead of 2')


def _check_size(path: Path, image: Any) -> None:
    """Find a truncated file before its data are needed."""
    size, dtype = Path(path).stat().st_size, image.header.get_data_dtype()
    expected = image.dataobj.offset + int(np.prod(image.shape, dtype=np.int64)) * dtype.itemsize
    if Path(path).suffix != '.gz' and size < expected:
        raise ValueError(f'it is truncated: {size} bytes instead of {expected}')


def _attribute(mapping: bytes, name: bytes) -> str:
    found = re.search(rb'\b' + name + rb'="([^"]*)"', mapping)
    return found[1].decode() if found else ''


def read_series(path: Path) -> Series:
    """Read a ``.dtseries.nii``.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a dense time series.
    """
    file = _open(path, 'SERIES')
    return Series(file.data, _models(file.columns), _repetition_time(file))


def series_blocks(path: Path, size: int = 4096) -> Iterator[npt.NDArray[np.float32]]:
    """Read a ``.dtseries.nii`` piece by piece: (n_volumes, at most `size` grayordinates) each.

    Raises
    ------
    InputError
        See `read_series`.
    """
    file = _open(path, 'SERIES')
    n_volumes, n_grayordinates = file.image.shape[4:]
    for start in range(0, n_grayordinates, size):
        try:
            block = file.image.dataobj[..., start : start + size]
        except Exception as error:  # see _File.data
            raise InputError(f'{path} is damaged or truncated: {error}.') from error
        yield np.asarray(block, np.float32).reshape(n_volumes, -1)


def series_timing(path: Path) -> tuple[int, float]:
    """Read the number of volumes and the TR in seconds from the header alone.

    The TR is NaN if the header does not say it (see `ketbids.io.timing.run_timing`).
    """
    file = _open(path, 'SERIES')
    return file.image.shape[4], _repetition_time(file)


def series_models(path: Path) -> BrainModels:
    """Read the geometry of a ``.dtseries.nii`` from the header alone."""
    return _models(_open(path, 'SERIES').columns)


def _repetition_time(file: _File) -> float:
    axis = _axis(file.rows)
    if axis.unit != 'SECOND' or not 0 < axis.step < np.inf:
        return float('nan')
    return float(axis.step)


def read_maps(path: Path) -> tuple[npt.NDArray[np.float32], BrainModels]:
    """Read a ``.dscalar.nii``: maps (n_maps, n_grayordinates) and their geometry."""
    file = _open(path, 'SCALARS')
    return file.data, _models(file.columns)


def read_labels(path: Path) -> Labels:
    """Read the first map of a ``.dlabel.nii``."""
    file = _open(path, 'LABELS')
    table = _axis(file.rows).label[0]
    return Labels(
        keys=np.rint(file.data[0]).astype(np.int32),
        names={int(key): str(name) for key, (name, _) in table.items()},
        colours={int(key): tuple(colour) for key, (_, colour) in table.items()},
        models=_models(file.columns),
    )


@lru_cache(maxsize=8)
def _head(kind: str, rows: tuple[Any, ...], models: BrainModels) -> bytes:
    """Make all of a float32 file but its data.

    Parameters
    ----------
    kind : {'SERIES', 'SCALARS', 'LABELS'}
    rows : tuple
        Arguments of nibabel's axis, made hashable.
    models : BrainModels
    """
    from nibabel.cifti2 import Cifti2Header, Cifti2Image, LabelAxis, ScalarAxis, SeriesAxis
    from nibabel.nifti1 import Nifti1Extension
    from nibabel.nifti2 import Nifti2Image

    row_axis: Any
    if kind == 'SERIES':
        start, step, n_volumes = rows
        row_axis = SeriesAxis(start, step, n_volumes, unit='SECOND')
    elif kind == 'SCALARS':
        row_axis = ScalarAxis(list(rows))
    else:
        row_axis = LabelAxis([rows[0]], [dict(rows[1:])])
    # nibabel takes half a second to describe a whole brain: that is done once, and here for one
    # grayordinate, whose description is then replaced.
    columns, one = _columns(models)
    header = Cifti2Header.from_axes((row_axis, one))
    image = Cifti2Image(np.zeros((len(row_axis), 1), np.float32), header=header)
    nifti = image.nifti_header
    nifti.set_intent(_INTENTS[kind])
    xml = header.to_xml()
    nifti.extensions.append(Nifti1Extension(_ECODE, xml.replace(_column_mapping(xml), columns)))
    shape = (1, 1, 1, 1, len(row_axis), len(models))
    content = Nifti2Image(np.zeros(shape, np.float32), None, nifti).to_bytes()
    return content[: len(content) - 4 * len(row_axis) * len(models)]


@lru_cache(maxsize=8)
def _columns(models: BrainModels) -> tuple[bytes, Any]:
    """Give the XML of the brain models, and nibabel's axis of the first grayordinate."""
    from nibabel.cifti2 import Cifti2Header, ScalarAxis

    axis = brain_model_axis(models)
    xml = Cifti2Header.from_axes((ScalarAxis(['map']), axis)).to_xml()
    return _column_mapping(xml), axis[:1]


def _column_mapping(xml: bytes) -> bytes:
    """Find the description of the columns in the XML of a file."""
    mappings = _MAPPING.findall(xml)
    return next(m for m in mappings if _attribute(m, b'AppliesToMatrixDimension') == '1')


def _write(
    target: Path, data: npt.ArrayLike, kind: str, rows: tuple[Any, ...], models: BrainModels
) -> Path:
    # In the file the first index runs fastest.
    values = np.asarray(data, '<f4').ravel(order='F')
    return write_bytes(target, _head(kind, rows, models), values.data)


def write_series(
    target: Path, data: npt.ArrayLike, models: BrainModels, repetition_time: float
) -> Path:
    """Write (n_volumes, n_grayordinates) as a float32 ``.dtseries.nii``; TR in seconds.

    A TR of NaN is written as 0.
    """
    return _write(target, data, 'SERIES', _rows(np.shape(data)[0], repetition_time), models)


def write_series_parts(
    target: Path,
    parts: Iterable[npt.NDArray[np.floating]],
    n_volumes: int,
    models: BrainModels,
    repetition_time: float,
) -> Path:
    """Write a series as `write_series` does, from parts (n_volumes, some grayordinates) in order.

    Each is written before the next one is asked for.

    Raises
    ------
    ValueError
        The parts are not all grayordinates of `models`; nothing is written.
    """

    def content() -> Iterator[bytes | memoryview]:
        yield _head('SERIES', _rows(n_volumes, repetition_time), models)
        found = 0
        for part in parts:
            if len(part) != n_volumes:
                raise ValueError(f'{len(part)} volumes instead of {n_volumes}')
            found += part.shape[1]
            yield np.asarray(part, '<f4').ravel(order='F').data
        if found != len(models):
            raise ValueError(f'{found} grayordinates instead of {len(models)}')

    return write_parts(target, content())


def _rows(n_volumes: int, repetition_time: float) -> tuple[float, float, int]:
    return 0.0, float(np.nan_to_num(repetition_time)), n_volumes


def write_maps(target: Path, maps: Mapping[str, npt.ArrayLike], models: BrainModels) -> Path:
    """Write named maps (n_grayordinates,) as a float32 ``.dscalar.nii``."""
    data = np.stack([np.asarray(values) for values in maps.values()])
    return _write(target, data, 'SCALARS', tuple(maps), models)


def write_labels(target: Path, labels: Labels, name: str) -> Path:
    """Write one label map as a ``.dlabel.nii``."""
    table = tuple((key, (text, labels.colours[key])) for key, text in labels.names.items())
    return _write(target, labels.keys[None], 'LABELS', (name, *table), labels.models)


def labels_misfit(labels: Path, series: Path) -> str | None:
    """Say why labels cannot be used with a time series; None if they can.

    Labels of surface vertices fit if each of their surfaces has as many vertices as the series'.

    Raises
    ------
    InputError
        The series cannot be read.
    """
    models = series_models(series)
    try:
        found = read_labels(labels).models
    except InputError as error:
        return str(error)
    for name in found.surface_names:
        vertices, wanted = found.n_vertices[name], models.n_vertices.get(name)
        if vertices != wanted:
            there = 'no such surface' if wanted is None else f'{wanted} vertices'
            return f'{labels} has {vertices} vertices of {name}, the time series {there}.'
    if not found.surface_names:
        return f'{labels} has no surface.'
    return None


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
