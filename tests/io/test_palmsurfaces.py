"""Meshes and areas of ketbids-palm."""

import numpy as np
import pytest
from nibabel.freesurfer import write_geometry, write_morph_data

from ketbids.errors import InputError
from ketbids.io.palmsurfaces import assign_surfaces, check_mesh, read_areas
from ketbids.io.surfaces import read_mesh, read_surface, write_surface
from ketbids.stats.brainmodels import Surface
from ketbids.stats.graph import vertex_areas
from tests.io.palmfiles import BRAIN, save_csv, save_gifti, save_nifti
from tests.stats.small_brain import LEFT, RIGHT

MESH = BRAIN.surfaces[LEFT]
N = len(MESH.coordinates)

#: A square of two triangles, in no unit that a brain has, and one triangle without area.
TEXT = '#!ascii from nowhere\n4 3\n0 0 0 0\n1 0 0 0\n1 1 0 0\n0 1 0 0\n0 1 2 0\n0 2 3 0\n0 1 1 0\n'


def test_text_surfaces(tmp_path):
    for name in ('a.srf', 'a.asc'):
        (tmp_path / name).write_text(TEXT)
        surface, structure = read_mesh(tmp_path / name)
        assert structure == ''
        np.testing.assert_array_equal(surface.coordinates[2], [1, 1, 0])
        np.testing.assert_array_equal(surface.triangles, [[0, 1, 2], [0, 2, 3], [0, 1, 1]])
        areas = read_areas(None, surface, tmp_path / name)
        np.testing.assert_allclose(areas, [1 / 3, 1 / 6, 1 / 3, 1 / 6])


def test_other_surfaces(tmp_path):
    write_surface(tmp_path / 'a.surf.gii', MESH, RIGHT)
    write_geometry(tmp_path / 'lh.white', MESH.coordinates, MESH.triangles)
    for name, told in (('a.surf.gii', RIGHT), ('lh.white', '')):
        surface, structure = read_mesh(tmp_path / name)
        assert structure == told
        np.testing.assert_allclose(surface.coordinates, MESH.coordinates, atol=1e-4)
        np.testing.assert_array_equal(surface.triangles, MESH.triangles)


def test_any_mesh_is_a_mesh_but_not_a_brain(tmp_path):
    tiny = Surface(MESH.coordinates / 1e6, MESH.triangles)
    write_surface(tmp_path / 'a.surf.gii', tiny, LEFT)
    assert len(read_mesh(tmp_path / 'a.surf.gii')[0].coordinates) == N
    with pytest.raises(InputError, match='which no brain is'):
        read_surface(tmp_path / 'a.surf.gii')


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.srf', '', 'is empty'),
        ('a.srf', '#!ascii\n', 'second line must give the numbers'),
        ('a.srf', '#!ascii\n4 x\n', 'second line must give the numbers'),
        ('a.srf', '#!ascii\n4 0\n', 'second line must give the numbers'),
        ('a.srf', TEXT[:-6], 'need 28 numbers, but it has 25'),
        ('a.srf', TEXT.replace('1 1 0 0', '1 z 0 0'), "damaged: .*'z'"),
        ('a.srf', TEXT.replace('1 1 0 0', '1 nan 0 0'), '1 of its 4 points are not finite'),
        ('a.srf', TEXT.replace('0 2 3 0', '0 2 4 0'), 'triangles do not fit its 4 points'),
        ('a.srf', TEXT.replace('0 2 3 0', '0 2 99999999999 0'), 'is damaged'),
        ('lh.white', 'text', 'cannot be read as a FreeSurfer surface'),
        ('a.surf.gii', 'text', 'cannot be read as a GIFTI surface'),
        ('a.obj', 'v 1', 'a surface must be GIFTI'),
    ],
)
def test_bad_surfaces_are_named(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_mesh(path)
    assert str(path) in str(caught.value)


def test_areas_from_every_kind_of_file(tmp_path):
    areas = np.random.default_rng(0).uniform(1, 2, N).astype(np.float32)
    table = np.column_stack([np.arange(N), MESH.coordinates, areas])
    np.savetxt(tmp_path / 'a.dpv', table, fmt='%.9g')
    np.savetxt(tmp_path / 'a.asc', table, fmt='%.9g')
    write_morph_data(tmp_path / 'lh.area', areas)
    files = [
        save_csv(tmp_path / 'row.csv', areas[None]),
        save_csv(tmp_path / 'column.csv', areas[:, None]),
        tmp_path / 'a.dpv',
        tmp_path / 'a.asc',
        tmp_path / 'lh.area',
        save_gifti(tmp_path / 'a.shape.gii', [areas]),
        save_nifti(tmp_path / 'a.nii', areas.reshape(N, 1, 1)),
        save_nifti(tmp_path / 'a.nii.gz', areas.reshape(N, 1, 1)),
    ]
    for path in files:
        np.testing.assert_allclose(read_areas(str(path), MESH, path), areas, rtol=1e-7)


def test_one_area_for_every_vertex(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(read_areas('1.5', MESH, tmp_path), np.full(N, 1.5))
    # A file of that name goes before the number, as in PALM.
    (tmp_path / '1.csv').write_text('4\n')
    np.testing.assert_array_equal(read_areas('1.csv', MESH, tmp_path), np.full(N, 4.0))


@pytest.mark.parametrize(
    ('given', 'content', 'message'),
    [
        ('none.csv', None, 'neither a file that exists nor a number'),
        ('a.csv', '1,2,3\n', f'a.csv has 3 areas, but m.srf has {N} vertices'),
        ('a.dpv', '0 1 2 3\n', '5 columns'),
        ('a.txt', '1', 'areas must be .csv'),
        ('a.gii', 'x', 'cannot be read as areas'),
        ('-1', None, 'not negative'),
        ('nan', None, 'must be finite'),
        ('0', None, 'not all 0'),
    ],
)
def test_bad_areas_are_named(tmp_path, monkeypatch, given, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / given).write_text(content)
    with pytest.raises(InputError, match=message):
        read_areas(given, MESH, 'm.srf')


def test_a_mesh_of_other_data(tmp_path):
    check_mesh(MESH, 'm.srf', N, 'd.nii')
    with pytest.raises(
        InputError, match=f'm.srf has {N} vertices, but d.nii has 7 locations. Use'
    ):
        check_mesh(MESH, 'm.srf', 7, 'd.nii')
    with pytest.raises(InputError, match='per face are not supported by ketbids-palm'):
        check_mesh(MESH, 'm.srf', len(MESH.triangles), 'd.nii')


def test_meshes_of_a_dscalar():
    small = Surface(MESH.coordinates[:4], np.array([[0, 1, 2]], np.int32))
    left, right = (MESH, LEFT, 'l.gii'), (MESH, RIGHT, 'r.gii')
    assert assign_surfaces(BRAIN.models, [left, right], 'd') == {LEFT: 0, RIGHT: 1}
    assert assign_surfaces(BRAIN.models, [right, left], 'd') == {LEFT: 1, RIGHT: 0}
    unnamed = (MESH, '', 'u.srf')
    assert assign_surfaces(BRAIN.models, [unnamed, unnamed], 'd') == {LEFT: 0, RIGHT: 1}
    for meshes, message in (
        ([left], 'd has 2 surfaces .* but there are 1 meshes'),
        ([left, left], f'The meshes are of {LEFT}, {LEFT}'),
        ([right, unnamed], f'r.gii is of {RIGHT}, but stands where that of {LEFT}'),
        ([left, (small, RIGHT, 's.gii')], f's.gii has 4 vertices, but d says that {RIGHT} has'),
    ):
        with pytest.raises(InputError, match=message):
            assign_surfaces(BRAIN.models, meshes, 'd')


def test_reference_meshes_agree(shared):
    common = shared / 'reference/palm/common'
    for side in 'LR':
        text, structure = read_mesh(common / f'{side}.srf')
        gifti, told = read_mesh(common / f'{side}.surf.gii')
        assert structure == ''
        assert told.endswith({'L': 'LEFT', 'R': 'RIGHT'}[side])
        np.testing.assert_allclose(text.coordinates, gifti.coordinates, atol=1e-5)
        np.testing.assert_array_equal(text.triangles, gifti.triangles)
        given = [
            read_areas(str(common / name), text, common)
            for name in (f'{side}_area.csv', f'{side}.area.shape.gii')
        ]
        np.testing.assert_allclose(*given, rtol=1e-6)
        np.testing.assert_allclose(vertex_areas(text), given[0], rtol=1e-4)
    joint, _ = read_mesh(common / 'LRV.srf')
    assert len(joint.coordinates) == 2 * 642 + 1100
    assert (joint.triangles[:, 1] == joint.triangles[:, 2]).any()
