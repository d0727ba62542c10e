import numpy as np
import pytest
from scipy import ndimage

from ketbids.errors import InputError
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.graph import adjacency, extents, restrict, vertex_areas

from .small_brain import LEFT, PALLIDUM, PUTAMEN, STEM, SmallBrain, icosphere


@pytest.fixture(scope='module')
def brain():
    return SmallBrain()


def test_a_closed_mesh_has_three_edges_per_vertex_less_six():
    mesh = icosphere(2)
    n = len(mesh.coordinates)
    models = BrainModels(
        (LEFT,),
        np.zeros(n, np.int16),
        np.arange(n, dtype=np.int32),
        np.full((n, 3), -1, np.int32),
        {LEFT: n},
    )
    graph = adjacency(models, {LEFT: mesh})
    assert len(graph.indices) == 2 * 3 * (n - 2)
    assert graph.indptr.dtype == graph.indices.dtype == np.int32
    assert sorted(np.unique(np.diff(graph.indptr))) == [5, 6]


def test_the_graph_is_symmetric_sorted_and_without_loops(brain):
    matrix = brain.graph.matrix().toarray()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert not matrix.diagonal().any()
    for i in range(len(brain)):
        row = brain.graph.indices[brain.graph.indptr[i] : brain.graph.indptr[i + 1]]
        assert (np.diff(row) > 0).all()


def test_vertices_are_joined_by_triangle_edges_within_the_brain_models_only(brain):
    part = brain.models.where(LEFT)
    vertex = brain.models.vertex[part]
    edges = set()
    for triangle in brain.surfaces[LEFT].triangles:
        for i, j in ((0, 1), (1, 2), (2, 0)):
            edges |= {(triangle[i], triangle[j]), (triangle[j], triangle[i])}
    matrix = brain.graph.matrix().toarray()[part, part]
    expected = [[(a, b) in edges for b in vertex] for a in vertex]
    np.testing.assert_array_equal(matrix.astype(bool), expected)
    assert len(vertex) < brain.models.n_vertices[LEFT]


@pytest.mark.parametrize(('connectivity', 'rank'), [(6, 1), (18, 2), (26, 3)])
def test_voxels_have_the_neighbours_of_the_whole_grid(brain, connectivity, rank):
    graph = adjacency(brain.models, brain.surfaces, connectivity)
    columns = np.flatnonzero(~brain.models.is_surface)
    grid = np.zeros(brain.models.volume_shape, dtype=bool)
    structure = ndimage.generate_binary_structure(3, rank)
    for column in columns:
        grid[:] = False
        grid[tuple(brain.models.voxel[column])] = True
        near = ndimage.binary_dilation(grid, structure)
        expected = [c for c in columns if near[tuple(brain.models.voxel[c])] and c != column]
        found = graph.indices[graph.indptr[column] : graph.indptr[column + 1]]
        np.testing.assert_array_equal(found, expected)


def test_structures_that_touch_are_joined_and_those_apart_are_not(brain):
    matrix = brain.graph.matrix().toarray()
    where = brain.models.where
    assert matrix[where(PUTAMEN), where(PALLIDUM)].any()
    assert not matrix[where(PUTAMEN), where(STEM)].any()
    assert not matrix[where(LEFT)][:, where(PUTAMEN)].any()


def test_structures_that_touch_can_be_kept_apart(brain):
    whole = brain.graph.matrix().toarray()
    apart = adjacency(brain.models, brain.surfaces, within_structure=True).matrix().toarray()
    structure = brain.models.structure
    np.testing.assert_array_equal(apart, whole * (structure[:, None] == structure))
    where = brain.models.where
    assert not apart[where(PUTAMEN), where(PALLIDUM)].any()
    # Within a structure nothing changes.
    for name in brain.models.names:
        part = where(name)
        np.testing.assert_array_equal(apart[part, part], whole[part, part])
        assert apart[part, part].any()


def test_voxels_at_opposite_sides_of_the_grid_are_not_neighbours():
    voxel = np.array([[0, 0, 0], [0, 0, 3], [0, 3, 0], [3, 3, 3]], dtype=np.int32)
    models = BrainModels(
        (STEM,), np.zeros(4, np.int16), np.full(4, -1, np.int32), voxel, {}, np.eye(4), (4, 4, 4)
    )
    assert len(adjacency(models, {}, 26).indices) == 0


def test_restrict_is_the_submatrix(brain):
    keep = np.random.default_rng(0).random(len(brain)) < 0.6
    found = restrict(brain.graph, keep).matrix().toarray()
    np.testing.assert_array_equal(found, brain.graph.matrix().toarray()[keep][:, keep])
    assert restrict(brain.graph, np.ones(len(brain), bool)) is brain.graph


def test_vertex_areas_by_hand():
    square = Surface(
        np.array([[0, 0, 0], [3, 0, 0], [3, 2, 0], [0, 2, 0.0]]),
        np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32),
    )
    np.testing.assert_allclose(vertex_areas(square), [2, 1, 2, 1])


def test_vertex_areas_sum_to_nearly_the_area_of_the_sphere():
    areas = vertex_areas(icosphere(3, radius=10))
    assert areas.sum() == pytest.approx(4 * np.pi * 100, rel=0.01)


def test_vertex_areas_agree_with_workbench(shared):
    folder = shared / 'reference' / 'palm' / 'common'
    lines = (folder / 'L.srf').read_text().splitlines()
    n, _ = map(int, lines[1].split())
    rows = [line.split()[:3] for line in lines[2:]]
    mesh = Surface(np.array(rows[:n], dtype=float), np.array(rows[n:], dtype=np.int32))
    expected = np.loadtxt(folder / 'L_area.csv', delimiter=',')
    np.testing.assert_allclose(vertex_areas(mesh), expected, rtol=2e-5)


def test_extents_are_areas_of_the_vertices_in_the_file_and_one_per_voxel(brain):
    areas = {name: np.arange(n, dtype=float) for name, n in brain.models.n_vertices.items()}
    extent = extents(brain.models, areas)
    surface = brain.models.is_surface
    np.testing.assert_array_equal(extent[surface], brain.models.vertex[surface])
    np.testing.assert_array_equal(extent[~surface], 1)


def test_a_missing_surface_is_named(brain):
    with pytest.raises(InputError, match=f'{LEFT} is missing'):
        adjacency(brain.models, {})
    with pytest.raises(InputError, match=f'areas of {LEFT} are missing'):
        extents(brain.models, {})


def test_a_surface_of_another_mesh_is_refused_with_both_numbers(brain):
    wrong = dict.fromkeys(brain.surfaces, icosphere(2))
    with pytest.raises(InputError, match=rf'{LEFT}.* 162 vertices.* 42;'):
        adjacency(brain.models, wrong)
    with pytest.raises(InputError, match=rf'{LEFT}.* 162 vertices.* 42;'):
        extents(brain.models, {name: vertex_areas(mesh) for name, mesh in wrong.items()})


def test_areas_that_are_not_finite_are_refused(brain):
    areas = {name: np.full(n, np.nan) for name, n in brain.models.n_vertices.items()}
    with pytest.raises(InputError, match='not all finite'):
        extents(brain.models, areas)


def test_an_unknown_connectivity_is_refused(brain):
    with pytest.raises(InputError, match='8 neighbours; use 6'):
        adjacency(brain.models, brain.surfaces, 8)


@pytest.mark.parametrize('connectivity', [6, 18, 26])
def test_within_structures_only_edges_between_structures_go(brain, connectivity):
    whole = adjacency(brain.models, brain.surfaces, connectivity).matrix()
    within = adjacency(brain.models, brain.surfaces, connectivity, within_structure=True).matrix()
    structure = brain.models.structure
    same = structure[:, None] == structure
    np.testing.assert_array_equal(within.toarray(), np.where(same, whole.toarray(), 0))
    assert within.nnz < whole.nnz
