import subprocess

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.errors import InputError
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX, BrainModels
from ketbids.stats.graph import Graph, adjacency, extents, vertex_areas
from ketbids.stats.tfce import DEFAULT_EXPONENTS, Enhancer, Exponents, tfce

from .small_brain import LEFT, STEM, SmallBrain, icosphere, slow_tfce

BRAIN = SmallBrain()
N = len(BRAIN)
PARTITION = BRAIN.models.partition


def enhanced(z, exponents=DEFAULT_EXPONENTS):
    return tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, exponents)


def chain(n: int) -> Graph:
    pairs = [[j for j in (i - 1, i + 1) if 0 <= j < n] for i in range(n)]
    indptr = np.cumsum([0] + [len(row) for row in pairs])
    return Graph(indptr.astype(np.int32), np.concatenate(pairs).astype(np.int32))


def test_one_vertex_alone():
    alone = Graph(np.zeros(2, np.int32), np.empty(0, np.int32))
    found = tfce([3.0], alone, np.array([2.5]), np.array([CORTEX]))
    np.testing.assert_allclose(found, [2.5 * 3**3 / 3])


def test_two_peaks_by_hand():
    # Heights 3 1 2: above 1 the peaks stand apart, below it all three are one cluster.
    found = tfce([3.0, 1.0, 2.0], chain(3), np.array([1.0, 2.0, 4.0]), np.zeros(3, int))
    base = 7 * 1 / 3
    np.testing.assert_allclose(found, [base + 1 * 26 / 3, base, base + 4 * 7 / 3])


def test_subcortex_by_hand():
    found = tfce([2.0, 1.0], chain(2), np.ones(2), np.full(2, SUBCORTEX))
    base = np.sqrt(2) / 3
    np.testing.assert_allclose(found, [base + 7 / 3, base])


def test_equal_heights_are_one_step():
    # However the ties are ordered, the plateau enters at once.
    heights = [1.0, 2.0, 2.0, 2.0, 1.0]
    found = tfce(heights, chain(5), np.ones(5), np.zeros(5, int))
    np.testing.assert_allclose(found, [5 / 3] + [5 / 3 + 7] * 3 + [5 / 3])


@pytest.mark.parametrize('seed', range(5))
def test_equals_the_integral_by_labelling_at_each_height(seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(N)
    if seed % 2:
        z = np.round(2 * z) / 2  # many ties
    expected = slow_tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, DEFAULT_EXPONENTS)
    np.testing.assert_allclose(enhanced(z), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    heights=st.lists(st.integers(-3, 6), min_size=N, max_size=N),
    H=st.sampled_from([1.0, 2.0, 2.5]),
    E=st.sampled_from([0.5, 0.75, 1.0]),
)
def test_equals_the_integral_with_ties_and_any_exponents(heights, H, E):
    exponents = {CORTEX: Exponents(H, E), SUBCORTEX: Exponents(2.0, E / 2)}
    z = np.array(heights) / 3
    expected = slow_tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, exponents)
    np.testing.assert_allclose(enhanced(z, exponents), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.01, 100))
def test_scales_with_the_cube_of_the_statistic(seed, factor):
    z = np.random.default_rng(seed).standard_normal(N)
    np.testing.assert_allclose(enhanced(factor * z), factor**3 * enhanced(z), rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_map_that_is_higher_everywhere_is_enhanced_more_everywhere(seed):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(N)
    assert (enhanced(z + rng.random(N)) >= enhanced(z) - 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_numbering_of_the_grayordinates_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    z = np.round(rng.standard_normal(N), 1)
    order = rng.permutation(N)
    matrix = BRAIN.graph.matrix()[order][:, order].tocsr()
    graph = Graph(matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32))
    found = tfce(z[order], graph, BRAIN.extent[order], PARTITION[order])
    np.testing.assert_allclose(found, enhanced(z)[order], rtol=1e-12)


def test_only_the_positive_part_takes_part():
    z = np.random.default_rng(1).standard_normal(N)
    found = enhanced(z)
    assert (found[z > 0] > 0).all()
    assert (found[z <= 0] == 0).all()
    np.testing.assert_array_equal(found, enhanced(np.maximum(z, 0)))
    assert (enhanced(np.zeros(N)) == 0).all()


def test_nan_takes_no_part_and_joins_nothing():
    found = tfce([2.0, np.nan, 1.0], chain(3), np.ones(3), np.zeros(3, int))
    np.testing.assert_allclose(found, [8 / 3, np.nan, 1 / 3])


def test_both_signs_and_the_maximum_of_each_partition():
    z = np.random.default_rng(2).standard_normal(N)
    enhancer = Enhancer(BRAIN.graph, BRAIN.extent, PARTITION)
    out = np.empty(N)
    for sign in (1.0, -1.0, 1.0):  # a third time: memory is reused
        largest = enhancer.enhance(z, sign, out)
        np.testing.assert_array_equal(out, enhanced(sign * z))
        for code in (CORTEX, SUBCORTEX):
            assert largest[code] == out[code == PARTITION].max()


def test_values_of_very_different_size_are_sorted_rightly():
    z = np.random.default_rng(3).permutation(np.geomspace(1e-12, 1e9, N))
    expected = slow_tfce(z, BRAIN.graph, BRAIN.extent, PARTITION, DEFAULT_EXPONENTS)
    np.testing.assert_allclose(enhanced(z), expected, rtol=1e-10)


def test_bad_input():
    with pytest.raises(InputError, match='infinite'):
        enhanced(np.full(N, np.inf))
    with pytest.raises(InputError, match=r'shape \(3,\)'):
        enhanced(np.ones(3))
    with pytest.raises(InputError, match='extents 2'):
        tfce(np.ones(N), BRAIN.graph, np.ones(2), PARTITION)
    with pytest.raises(InputError, match='must be finite'):
        tfce(np.ones(N), BRAIN.graph, np.full(N, np.nan), PARTITION)
    with pytest.raises(InputError, match='partition 7'):
        tfce(np.ones(N), BRAIN.graph, BRAIN.extent, np.full(N, 7))


def test_agrees_with_workbench_on_a_surface(tmp_path, wb_command):
    mesh = icosphere(3)
    n = len(mesh.coordinates)
    models = BrainModels(
        (LEFT,),
        np.zeros(n, np.int16),
        np.arange(n, dtype=np.int32),
        np.full((n, 3), -1, np.int32),
        {LEFT: n},
    )
    z = np.random.default_rng(4).standard_normal(n).astype(np.float32)
    arrays = [
        nib.gifti.GiftiDataArray(mesh.coordinates.astype(np.float32), 'NIFTI_INTENT_POINTSET'),
        nib.gifti.GiftiDataArray(mesh.triangles, 'NIFTI_INTENT_TRIANGLE'),
    ]
    surface = nib.GiftiImage(darrays=arrays)
    metric = nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(z, 'NIFTI_INTENT_NONE')])
    for image in (surface, metric):
        image.meta['AnatomicalStructurePrimary'] = 'CortexLeft'
    surface.darrays[0].meta['AnatomicalStructurePrimary'] = 'CortexLeft'
    nib.save(surface, tmp_path / 'a.surf.gii')
    nib.save(metric, tmp_path / 'in.func.gii')
    command = [wb_command, '-metric-tfce', 'a.surf.gii', 'in.func.gii', 'out.func.gii']
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = nib.load(tmp_path / 'out.func.gii').darrays[0].data.astype(float)
    graph = adjacency(models, {LEFT: mesh})
    extent = extents(models, {LEFT: vertex_areas(mesh)})
    ours = [tfce(sign * z.astype(float), graph, extent, models.partition) for sign in (1, -1)]
    np.testing.assert_allclose(ours[0] - ours[1], theirs, rtol=2e-5, atol=1e-4)


def test_agrees_with_workbench_in_a_volume(tmp_path, wb_command):
    shape = (9, 8, 7)
    z = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    nib.save(nib.Nifti1Image(z, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / 'in.nii')
    command = [wb_command, '-volume-tfce', 'in.nii', 'out.nii']
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    theirs = nib.load(tmp_path / 'out.nii').get_fdata().ravel()
    n = z.size
    models = BrainModels(
        (STEM,),
        np.zeros(n, np.int16),
        np.full(n, -1, np.int32),
        np.argwhere(np.ones(shape, bool)).astype(np.int32),
        {},
        np.diag([2.0, 2.0, 2.0, 1.0]),
        shape,
    )
    flat = z.ravel().astype(float)
    graph = adjacency(models, {})
    # Workbench measures the cluster in mm^3, 8 a voxel.
    ours = [tfce(sign * flat, graph, np.full(n, 8.0), models.partition) for sign in (1, -1)]
    np.testing.assert_allclose(ours[0] - ours[1], theirs, rtol=2e-5, atol=1e-4)
