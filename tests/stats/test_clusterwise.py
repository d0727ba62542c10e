import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from ketbids.errors import InputError
from ketbids.stats.clusterwise import ClusterMeasure
from ketbids.stats.graph import Graph

from .palm_reference import image, mesh, mesh_graph, observed_z, table, voxel_graph
from .small_brain import SmallBrain

BRAIN = SmallBrain()
N = len(BRAIN)
PARTITION = BRAIN.models.partition


def measured(z, threshold, statistic, partition=None):
    measure = ClusterMeasure(BRAIN.graph, BRAIN.extent, threshold, statistic, partition)
    out = np.full(N, -1.0)
    return out, measure(np.asarray(z, dtype=float), out)


def slow_clusters(z, graph, extent, threshold, statistic):
    """Statistics of the clusters by labelling them."""
    here = np.flatnonzero(z >= threshold)
    _, label = connected_components(graph.matrix().tocsr()[here][:, here], directed=False)
    out = np.zeros(len(z))
    out[here] = np.bincount(label, (z if statistic == 'mass' else extent)[here])[label]
    return out


def test_by_hand():
    chain = Graph(
        np.array([0, 1, 3, 5, 7, 8], np.int32), np.array([1, 0, 2, 1, 3, 2, 4, 3], np.int32)
    )
    z = np.array([2.0, 3.5, 1.9, 2.5, -4.0])
    areas = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    out = np.empty(5)
    # What reaches the threshold exactly is in the cluster.
    assert ClusterMeasure(chain, areas, 2.0)(z, out).tolist() == [8]
    assert out.tolist() == [3, 3, 0, 8, 0]
    # Mass is the sum of the statistic: nothing subtracted, no area.
    assert ClusterMeasure(chain, areas, 2.0, 'mass')(z, out).tolist() == [5.5]
    assert out.tolist() == [5.5, 5.5, 0, 2.5, 0]


@settings(max_examples=60, deadline=None)
@given(
    heights=st.lists(st.integers(-2, 4), min_size=N, max_size=N),
    threshold=st.sampled_from([0.5, 1.0, 2.0, 3.5]),
    statistic=st.sampled_from(['extent', 'mass']),
)
def test_equals_labelling(heights, threshold, statistic):
    z = np.array(heights, dtype=float)
    found, largest = measured(z, threshold, statistic)
    expected = slow_clusters(z, BRAIN.graph, BRAIN.extent, threshold, statistic)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert largest.tolist() == [found.max()]


@pytest.mark.parametrize('statistic', ['extent', 'mass'])
def test_the_maximum_of_each_partition(statistic):
    z = np.random.default_rng(0).standard_normal(N)
    found, largest = measured(z, 0.4, statistic, PARTITION)
    assert largest.tolist() == [found[code == PARTITION].max() for code in (0, 1)]


def test_nan_and_empty_maps_have_no_cluster():
    z = np.full(N, np.nan)
    for values in (z, np.zeros(N), -np.ones(N)):
        found, largest = measured(values, 1.5, 'mass', PARTITION)
        assert (found == 0).all()
        assert largest.tolist() == [0, 0]
    z[4] = 2
    found, largest = measured(z, 1.5, 'extent')
    assert largest.tolist() == [BRAIN.extent[4]] == [found[4]]
    assert np.count_nonzero(found) == 1


def test_bad_input():
    for threshold in (0, -2.3, np.nan, np.inf):
        with pytest.raises(InputError, match='must be a z above 0'):
            measured(np.ones(N), threshold, 'extent')
    with pytest.raises(InputError, match="'extent' or 'mass', not 'density'"):
        measured(np.ones(N), 1, 'density')
    with pytest.raises(InputError, match='extents 3'):
        ClusterMeasure(BRAIN.graph, np.ones(3), 1.0)


@pytest.mark.parametrize(
    ('run', 'statistic'),
    [
        ('opt_V_C2.3_extent', 'extent'),
        ('opt_V_C2.3_mass', 'mass'),
        ('opt_L_C2.3_extent', 'extent'),
    ],
)
def test_equals_palm(shared, run, statistic):
    palm = shared / 'reference' / 'palm'
    folder = palm / 'twosample_exact'
    surface = '_L_' in run
    if surface:
        graph = mesh_graph(mesh(palm / 'common' / 'L.srf'))
        extent = table(palm / 'common' / 'L_area.csv').ravel()
    else:
        graph = voxel_graph(26)
        extent = np.ones(len(graph.indptr) - 1)
    out = folder / 'out' / run
    name = 'dpv' if surface else 'vox'
    z = observed_z(out / f'palm_{name}_tstat.nii.gz', table(folder / 'inputs' / 'design.csv'))
    theirs = image(out / f'palm_cluster{statistic[0]}_tstat.nii.gz')
    ours = np.empty(len(z))
    largest = ClusterMeasure(graph, extent, 2.3, statistic)(z, ours)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    maxima = table(out / f'palm_cluster{statistic[0]}_tstat_max.csv').ravel()
    assert largest[0] == pytest.approx(maxima[0], rel=1e-9)
    assert maxima[0] > 0
