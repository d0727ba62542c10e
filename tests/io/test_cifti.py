"""CIFTI and GIFTI files: what is written is what is read, and bad files are named."""

import contextlib
import itertools
import os
import re

import nibabel as nb
import numpy as np
import pytest
from nibabel.cifti2 import Cifti2Header, Cifti2Image, ScalarAxis, SeriesAxis

from ketbids.errors import InputError
from ketbids.io.cifti import (
    Labels,
    assert_same_models,
    brain_model_axis,
    brain_models,
    labels_misfit,
    read_labels,
    read_maps,
    read_series,
    series_blocks,
    series_timing,
    write_labels,
    write_maps,
    write_series,
    write_series_parts,
)
from ketbids.io.surfaces import read_surface, write_surface
from ketbids.stats.brainmodels import Surface
from tests.stats.small_brain import LEFT, RIGHT, SmallBrain

BRAINS = {
    'both': SmallBrain(),
    'surfaces': SmallBrain(volume=False),
    'volume': SmallBrain(surfaces=False),
}
BRAIN = BRAINS['both']


def random_series(n_volumes=7, models=BRAIN.models):
    rng = np.random.default_rng(1)
    return rng.normal(1e4, 100, (n_volumes, len(models))).astype(np.float32)


def test_bytes_are_those_of_nibabel(tmp_path):
    """The header is put together from parts; nibabel's own is the measure."""
    models = SmallBrain(1).models
    names = ['one', 'a < b & "c" é']
    data = np.random.default_rng(0).normal(size=(2, len(models))).astype(np.float32)
    header = Cifti2Header.from_axes((ScalarAxis(names), brain_model_axis(models)))
    image = Cifti2Image(data, header=header)
    image.nifti_header.set_intent('ConnDenseScalar')
    path = write_maps(tmp_path / 'x.dscalar.nii', dict(zip(names, data, strict=True)), models)
    assert path.read_bytes() == image.to_bytes()


@pytest.mark.parametrize('kind', BRAINS)
def test_models_survive_nibabel(kind):
    models = BRAINS[kind].models
    again = brain_models(brain_model_axis(models))
    assert again.same_as(models)
    assert again.volume_shape == models.volume_shape
    assert (again.affine is None) == (models.affine is None)


@pytest.mark.parametrize('kind', BRAINS)
def test_series_round_trip(tmp_path, kind):
    models = BRAINS[kind].models
    data = random_series(models=models)
    path = write_series(tmp_path / 'a.dtseries.nii', data, models, 0.8)
    series = read_series(path)
    np.testing.assert_array_equal(series.data, data)
    assert series.data.dtype == np.float32
    assert series.models.same_as(models)
    assert series.repetition_time == 0.8
    assert series_timing(path) == (7, 0.8)
    assert nb.load(path).get_data_dtype() == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ['a.dtseries.nii']


@pytest.mark.parametrize('size', [1, 7, 1000])
def test_a_series_piece_by_piece(tmp_path, size):
    models = SmallBrain(1).models
    data = np.random.default_rng(0).normal(size=(5, len(models))).astype(np.float32)
    path = write_series(tmp_path / 'a.dtseries.nii', data, models, 0.8)
    blocks = list(series_blocks(path, size))
    assert [block.shape[1] for block in blocks][:-1] == [size] * (len(blocks) - 1)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), data)


def test_a_series_written_in_parts(tmp_path):
    data, models = random_series(), BRAIN.models
    path = write_series(tmp_path / 'a.dtseries.nii', data, models, 0.8)
    parts = [data[:, :3], np.asfortranarray(data[:, 3:50]), data[:, 50:].astype(float)]
    again = write_series_parts(tmp_path / 'b.dtseries.nii', iter(parts), 7, models, 0.8)
    assert again.read_bytes() == path.read_bytes()
    for wrong, message in ((parts[:2], '50 grayordinates instead'), ([data[:6]], '6 volumes')):
        with pytest.raises(ValueError, match=message):
            write_series_parts(tmp_path / 'c.dtseries.nii', wrong, 7, models, 0.8)
    assert sorted(tmp_path.iterdir()) == [path, again]


def test_intent_is_that_of_the_standard(tmp_path):
    series = write_series(tmp_path / 'a.dtseries.nii', random_series(), BRAIN.models, 0.8)
    maps = write_maps(tmp_path / 'a.dscalar.nii', {'a': random_series(1)[0]}, BRAIN.models)
    # CIFTI-2, table of intents: 3002 ConnDenseSeries, 3006 ConnDenseScalar.
    for path, code in ((series, 3002), (maps, 3006)):
        assert int(nb.load(path).nifti_header['intent_code']) == code


def test_maps_round_trip_with_nan(tmp_path):
    first, second = random_series(2)
    first[3] = np.nan
    path = write_maps(tmp_path / 'a.dscalar.nii', {'one': first, 'two': second}, BRAIN.models)
    values, models = read_maps(path)
    np.testing.assert_array_equal(values, np.stack([first, second]))
    assert values.dtype == np.float32
    assert models.same_as(BRAIN.models)
    assert list(nb.load(path).header.get_axis(0).name) == ['one', 'two']


def test_labels_round_trip(tmp_path):
    keys = (np.arange(len(BRAIN)) % 3).astype(np.int32)
    names = {0: '???', 1: 'L_bankssts', 2: 'with space & <sign>'}
    colours = {0: (1.0, 1.0, 1.0, 0.0), 1: (0.5, 0.25, 0.0, 1.0), 2: (0.0, 0.0, 1.0, 1.0)}
    path = tmp_path / 'a.dlabel.nii'
    write_labels(path, Labels(keys, names, colours, BRAIN.models), 'name')
    labels = read_labels(path)
    np.testing.assert_array_equal(labels.keys, keys)
    assert labels.names == names
    assert labels.colours == colours
    assert labels.models.same_as(BRAIN.models)


@pytest.mark.parametrize('structure', [LEFT, RIGHT])
def test_surface_round_trip(tmp_path, structure):
    surface = BRAIN.surfaces[structure]
    path = write_surface(tmp_path / 'a.surf.gii', surface, structure)
    again, name = read_surface(path)
    assert name == structure
    np.testing.assert_allclose(again.coordinates, surface.coordinates, atol=1e-5)
    np.testing.assert_array_equal(again.triangles, surface.triangles)


def test_surface_that_does_not_say_its_structure(tmp_path):
    path = write_surface(tmp_path / 'a.surf.gii', BRAIN.surfaces[LEFT], LEFT)
    path.write_text(path.read_text().replace('CortexLeft', 'Cerebellum'))
    assert read_surface(path)[1] == ''


READERS = {
    'a.dtseries.nii': read_series,
    'a.dscalar.nii': read_maps,
    'a.dlabel.nii': read_labels,
    'a.surf.gii': read_surface,
}


@pytest.fixture
def files(tmp_path):
    """A good file of each kind."""
    data = random_series(50)
    write_series(tmp_path / 'a.dtseries.nii', data, BRAIN.models, 0.8)
    write_maps(tmp_path / 'a.dscalar.nii', {str(i): m for i, m in enumerate(data)}, BRAIN.models)
    labels = Labels(
        np.zeros(len(BRAIN), np.int32), {0: '???'}, {0: (1.0, 1.0, 1.0, 0.0)}, BRAIN.models
    )
    write_labels(tmp_path / 'a.dlabel.nii', labels, 'a')
    write_surface(tmp_path / 'a.surf.gii', BRAIN.surfaces[LEFT], LEFT)
    return tmp_path


@pytest.mark.parametrize('name', READERS)
def test_missing_file(tmp_path, name):
    with pytest.raises(InputError, match=re.escape(f'{tmp_path / name} does not exist')):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize('name', READERS)
@pytest.mark.parametrize('part', [0, 0.02, 0.5, 0.99])
def test_truncated_file(files, name, part):
    path = files / name
    os.truncate(path, int(part * path.stat().st_size))
    with pytest.raises(InputError, match=re.escape(str(path))):
        READERS[name](path)


@pytest.mark.parametrize('name', READERS)
def test_a_folder_or_text_is_no_image(files, name):
    path = files / name
    path.write_text('n/a\n')
    with pytest.raises(InputError, match=re.escape(str(path))):
        READERS[name](path)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=re.escape(str(path))):
        READERS[name](path)


@pytest.mark.parametrize('name', ['a.dtseries.nii', 'a.dscalar.nii', 'a.dlabel.nii'])
def test_flipped_bits_in_the_header(files, name):
    """Damage to the XML is refused, or does not matter; it never ends in another error."""
    path = files / name
    content = path.read_bytes()
    start = content.index(b'<CIFTI')
    end = content.index(b'</CIFTI>')
    rng = np.random.default_rng(0)
    refused = harmless = 0
    for place, bit in zip(rng.integers(start, end, 150), itertools.cycle(range(8)), strict=False):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            READERS[name](path)
        except InputError as error:
            refused += str(path) in str(error)
        else:
            harmless += 1
    assert refused > 0
    assert refused + harmless == 150


@pytest.mark.parametrize(('name', 'wanted'), [
    ('a.dscalar.nii', 'dtseries'),
    ('a.dtseries.nii', 'dscalar'),
    ('a.dscalar.nii', 'dlabel'),
])  # fmt: skip
def test_another_kind_of_file(files, name, wanted):
    found = {'a.dscalar.nii': 'scalars', 'a.dtseries.nii': 'series'}[name]
    with pytest.raises(InputError, match=f'not a .*{wanted}.*axes are {found} x brain models'):
        READERS[f'a.{wanted}.nii'](files / name)


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        (b'SurfaceNumberOfVertices', b'SurfaceNumberOfVerticez'),
        (b'SeriesStep=', b'SeriesStap='),
        (b'<VertexIndices>0 1', b'<VertexIndices>0  '),
    ],
)
def test_a_header_that_does_not_say_all(files, old, new):
    path = files / 'a.dtseries.nii'
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_series(path)


def test_a_volume_is_no_series(tmp_path):
    path = tmp_path / 'bold.nii'
    nb.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)).to_filename(path)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_series(path)


@pytest.mark.parametrize(
    ('unit', 'step'), [('HERTZ', 0.8), ('METER', 0.8), ('RADIAN', 0.8), ('SECOND', 0.0)]
)
def test_a_header_without_a_time_step(tmp_path, unit, step):
    axes = (SeriesAxis(0, step, 7, unit), brain_model_axis(BRAIN.models))
    path = tmp_path / 'a.dtseries.nii'
    Cifti2Image(random_series(), Cifti2Header.from_axes(axes)).to_filename(path)
    assert np.isnan(read_series(path).repetition_time)
    assert series_timing(path)[0] == 7
    assert np.isnan(series_timing(path)[1])


def test_a_series_without_a_time_step_is_written_as_one(tmp_path):
    path = write_series(tmp_path / 'a.dtseries.nii', random_series(), BRAIN.models, np.nan)
    assert np.isnan(read_series(path).repetition_time)


def test_a_truncated_file_is_seen_by_its_header(files):
    """Before anybody asks for its data."""
    path = files / 'a.dtseries.nii'
    size = path.stat().st_size
    os.truncate(path, size - 4)
    with pytest.raises(InputError, match=f'truncated: {size - 4} bytes instead of {size}'):
        series_timing(path)


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        (b'<VertexIndices>0 1 ', b'<VertexIndices>0 99 ', 'outside its surface'),
        (b'<VertexIndices>0 1 ', b'<VertexIndices>1 1 ', 'twice'),
    ],
)
def test_grayordinates_that_cannot_be(files, old, new, message):
    path = files / 'a.dtseries.nii'
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(InputError, match=f'CORTEX_LEFT has grayordinates {message}'):
        read_series(path)


def test_parcels_are_no_grayordinates(tmp_path):
    path = tmp_path / 'a.dscalar.nii'
    axes = (ScalarAxis(['a']), ScalarAxis(['b', 'c']))
    Cifti2Image(np.zeros((1, 2), np.float32), Cifti2Header.from_axes(axes)).to_filename(path)
    with pytest.raises(InputError, match='scalars x scalars'):
        read_maps(path)


@pytest.mark.parametrize('faces', [[[0, 1, 99]], [[0, 1, -1]], np.empty((0, 3))])
def test_triangles_must_fit_the_points(tmp_path, faces):
    surface = Surface(BRAIN.surfaces[LEFT].coordinates, np.array(faces, np.int32))
    path = write_surface(tmp_path / 'a.surf.gii', surface, LEFT)
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_surface(path)


def test_a_header_that_does_not_fit_the_data(tmp_path):
    path = tmp_path / 'a.dtseries.nii'
    few = SmallBrain(volume=False).models
    write_series(tmp_path / 'b.nii', random_series(7, few), few, 0.8)
    header = nb.Nifti2Image.from_filename(tmp_path / 'b.nii').header
    data = random_series().reshape(1, 1, 1, 1, 7, len(BRAIN))
    nb.Nifti2Image(data, None, header).to_filename(path)
    words = f'its header describes {len(few)} grayordinates, its data have {len(BRAIN)}'
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read_series(path)
    assert str(path) in str(caught.value)


def test_nibabel_keeps_quiet(files, capfd, caplog):
    """What it would say on stderr names no file."""
    path = files / 'a.dtseries.nii'
    content = path.read_bytes()
    path.write_bytes(b'\1' * 4 + content[4:])
    with contextlib.suppress(InputError):
        read_series(path)
    path.write_bytes(content[:12] + b'\x99\x99' + content[14:])
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_series(path)
    out, err = capfd.readouterr()
    assert out + err + caplog.text == ''


def changed(points):
    return Surface(points, BRAIN.surfaces[LEFT].triangles)


SPHERE = BRAIN.surfaces[LEFT].coordinates


@pytest.mark.parametrize(
    ('points', 'message'),
    [
        (np.where(np.arange(42)[:, None] == 3, np.nan, SPHERE), '1 of its 42 points are not'),
        (np.zeros((42, 3)), 'it is collapsed: all its points'),
        (SPHERE * [1, 1e-6, 1e-6], 'it is collapsed: its area is'),
        (np.where(np.arange(42)[:, None] < 34, SPHERE[0], SPHERE), 'it is collapsed: its area'),
        (SPHERE / 1000, r'it is 0\.\S+ mm long, which no brain is: coordinates must be in mm'),
        (SPHERE * 1000, 'mm long, which no brain is'),
    ],
)
def test_surfaces_that_no_brain_has(tmp_path, points, message):
    path = write_surface(tmp_path / 'a.surf.gii', changed(points), LEFT)
    with pytest.raises(InputError, match=message) as caught:
        read_surface(path)
    assert str(caught.value).startswith(f'{path} is no usable surface: ')


def test_models_that_differ_name_both_files():
    other = SmallBrain(volume=False).models
    same = SmallBrain().models
    assert_same_models([BRAIN.models, same], ['one', 'two'])
    with pytest.raises(InputError, match=rf'three \({len(other)} .* one \({len(BRAIN)}\)'):
        assert_same_models([BRAIN.models, same, other], ['one', 'two', 'three'])


def test_models_of_one_size_may_differ():
    models = SmallBrain().models
    moved = models.vertex.copy()
    moved[0] += 1
    other = type(models)(
        models.names,
        models.structure,
        moved,
        models.voxel,
        models.n_vertices,
        models.affine,
        models.volume_shape,
    )
    with pytest.raises(InputError, match='do not have the same brain models'):
        assert_same_models([models, other], ['one', 'two'])


def test_labels_that_do_not_fit(files):
    series = files / 'a.dtseries.nii'
    assert labels_misfit(files / 'a.dlabel.nii', series) is None
    fine = SmallBrain(2).models
    path = files / 'fine.dlabel.nii'
    keys = np.zeros(len(fine), np.int32)
    write_labels(path, Labels(keys, {0: '???'}, {0: (1.0, 1.0, 1.0, 0.0)}, fine), 'a')
    reason = f'{path} has 162 vertices of {LEFT}, the time series 42 vertices.'
    assert labels_misfit(path, series) == reason
    path.write_text('labels')
    assert f'{path} cannot be read as a CIFTI-2 dense label' in labels_misfit(path, series)
    volume = BRAINS['volume'].models
    write_series(series, random_series(models=volume), volume, 0.8)
    assert 'the time series no such surface' in labels_misfit(files / 'a.dlabel.nii', series)
    with pytest.raises(InputError, match='does not exist'):
        labels_misfit(path, files / 'b.dtseries.nii')
