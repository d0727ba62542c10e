"""Clusters and parcels by Connectome Workbench, beside the package's own."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ketbids.errors import UsageError
from ketbids.interfaces.ciftiregions import CiftiFindClusters, CiftiParcellate
from ketbids.io.cifti import read_labels, read_maps
from ketbids.stats.atlas import parcel_means
from ketbids.stats.clusters import cluster_table
from tests.interfaces.files import BrainFiles
from tests.stats.small_brain import LEFT

NAMES = {0: '???', 1: 'first', 2: 'second', 3: 'third'}


@pytest.fixture
def fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return BrainFiles(tmp_path, level=3)


def patches(fine):
    """A map with several clusters in every structure."""
    values = np.random.default_rng(3).normal(size=len(fine.models))
    matrix = fine.brain.graph.matrix()
    values += 0.6 * (matrix @ values)
    return values / values.std() + 0.3


def test_arguments_of_clusters(brain):
    path = brain.map('z', 1.0)
    left, right = brain.pair()
    node = CiftiFindClusters(
        in_file=path,
        surface_threshold=2.3,
        surface_area=20.0,
        volume_threshold=3.1,
        volume_size=64.0,
    )
    assert node.argv == [
        *('wb_command', '-cifti-find-clusters', path, '2.3', '20.0', '3.1', '64.0', 'COLUMN'),
        'clusters.dscalar.nii',
    ]
    node.inputs.trait_set(
        direction='ROW',
        less_than=True,
        left_surface=left,
        left_areas=path,
        right_surface=right,
        right_areas=path,
        cerebellum_surface=left,
        cerebellum_areas=path,
        cifti_roi=path,
        merged_volume=True,
        surface_ratio=0.5,
        volume_ratio=0.25,
        surface_distance=30.0,
        volume_distance=20.0,
        start=7,
    )
    assert node.argv[7:] == [
        *('ROW', 'clusters.dscalar.nii', '-less-than'),
        *('-left-surface', left, '-corrected-areas', path),
        *('-right-surface', right, '-corrected-areas', path),
        *('-cerebellum-surface', left, '-corrected-areas', path),
        *('-cifti-roi', path, '-merged-volume', '-size-ratio', '0.5', '0.25'),
        *('-distance', '30.0', '20.0', '-start', '7'),
    ]


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        ({'left_areas': 'z'}, "'left_surface'"),
        ({'surface_ratio': 0.5}, "'volume_ratio'"),
        ({'volume_distance': 5.0}, "'surface_distance'"),
    ],
)
def test_what_clusters_refuses(brain, inputs, message):
    path = brain.map('z', 1.0)
    given = {name: path if value == 'z' else value for name, value in inputs.items()}
    node = CiftiFindClusters(
        in_file=path,
        surface_threshold=1.0,
        surface_area=0.0,
        volume_threshold=1.0,
        volume_size=0.0,
        **given,
    )
    with pytest.raises(UsageError, match=message):
        _ = node.argv
    with pytest.raises(UsageError, match='surface_threshold'):
        _ = CiftiFindClusters(in_file=path).argv


@pytest.mark.parametrize('below', [False, True])
def test_clusters_are_those_of_the_package(wb_command, fine, below):
    values = patches(fine)
    left, right = fine.pair()
    path = fine.map('z', -values if below else values)
    limits = {'surface_threshold': 1.2, 'volume_threshold': 0.8}
    node = CiftiFindClusters(
        in_file=path,
        **{name: -value if below else value for name, value in limits.items()},
        surface_area=0.0,
        volume_size=0.0,
        left_surface=left,
        right_surface=right,
        merged_volume=True,
        less_than=below,
    )
    theirs = read_maps(Path(node.run().outputs.out_file))[0][0].astype(int)
    models = fine.models
    limit = np.where(models.is_surface, *limits.values())
    # The file holds float32.
    significant = values.astype(np.float32) > limit.astype(np.float32)
    table, ours = cluster_table(
        significant,
        values,
        np.zeros(len(values)),
        models,
        fine.brain.graph,
        fine.brain.extent,
        np.zeros((len(values), 3)),
    )
    assert len(table) > 12
    assert set(table['unit']) == {'mm2', 'mm3'}
    # The same sets, numbered in another order.
    pairs = set(zip(ours.tolist(), theirs.tolist(), strict=True))
    assert len(pairs) == len(set(ours)) == len(set(theirs)) == len(table) + 1
    assert (0, 0) in pairs


def test_small_clusters_are_left_out_as_by_their_sizes(wb_command, fine):
    values = patches(fine)
    left, right = fine.pair()
    numbers = fine.brain.graph, fine.brain.extent, np.zeros((len(values), 3))
    significant = values.astype(np.float32) > np.float32(1.2)
    table, ours = cluster_table(significant, values, np.zeros(len(values)), fine.models, *numbers)
    area = table.loc[table['unit'] == 'mm2', 'size'].median() * 1.0001
    volume = table.loc[table['unit'] == 'mm3', 'size'].median() + 1
    node = CiftiFindClusters(
        in_file=fine.map('z', values),
        surface_threshold=1.2,
        surface_area=area,
        volume_threshold=1.2,
        volume_size=volume,
        left_surface=left,
        right_surface=right,
        merged_volume=True,
    )
    theirs = read_maps(Path(node.run().outputs.out_file))[0][0].astype(int)
    large = table['size'] > np.where(table['unit'] == 'mm2', area, volume)
    assert 0 < large.sum() < len(table)
    np.testing.assert_array_equal(theirs > 0, np.isin(ours, table.loc[large, 'cluster']))


def test_clusters_inside_a_region_with_given_areas(wb_command, fine):
    """Vertex areas of the group count, not those of the surface that is given."""
    values = np.ones(len(fine.models))
    inside = np.zeros(len(fine.models))
    inside[fine.models.where(LEFT)] = 1
    left, right = fine.pair()
    areas = nib.gifti.GiftiImage(
        darrays=[nib.gifti.GiftiDataArray(np.full(642, 0.5, np.float32), 'NIFTI_INTENT_SHAPE')],
        meta=nib.gifti.GiftiMetaData({'AnatomicalStructurePrimary': 'CortexLeft'}),
    )
    path = fine.folder / 'areas.shape.gii'
    nib.save(areas, path)
    count = int(inside.sum())
    found = {}
    for limit in (count / 2 - 1, count / 2 + 1):
        node = CiftiFindClusters(
            in_file=fine.map('z', values),
            surface_threshold=0.5,
            surface_area=limit,
            volume_threshold=0.5,
            volume_size=0.0,
            left_surface=left,
            left_areas=path,
            right_surface=right,
            cifti_roi=fine.map('roi', inside),
            start=5,
        )
        found[limit] = read_maps(Path(node.run().outputs.out_file))[0][0]
    first, second = found.values()
    np.testing.assert_array_equal(first, 5 * inside)
    assert not second.any()


def test_arguments_of_parcels(brain):
    data, labels = brain.map('z', 1.0), brain.labels('l', np.ones(len(brain.models)), NAMES)
    left, _ = brain.pair()
    node = CiftiParcellate(in_file=data, labels=labels)
    assert node.argv == [
        *('wb_command', '-cifti-parcellate', data, labels, 'COLUMN', 'parcellated.pscalar.nii'),
    ]
    node.inputs.trait_set(
        method='STDEV',
        left_area_surface=left,
        right_area_metric=data,
        exclude_outliers=(2.0, 2.5),
        only_numeric=True,
        fill_value=-1.5,
        nonempty_mask=True,
        legacy_mode=True,
    )
    assert node.argv[6:] == [
        *('-spatial-weights', '-left-area-surf', left, '-right-area-metric', data),
        *('-method', 'STDEV', '-exclude-outliers', '2.0', '2.5', '-only-numeric'),
        *('-fill-value', '-1.5', '-nonempty-mask-out', 'nonempty.pscalar.nii', '-legacy-mode'),
    ]
    whole = CiftiParcellate(in_file=data, labels=labels, cifti_weights=data)
    assert whole.argv[6:] == ['-cifti-weights', data]


def test_what_parcels_refuses(brain):
    data, labels = brain.map('z', 1.0), brain.labels('l', np.ones(len(brain.models)), NAMES)
    left, _ = brain.pair()
    node = CiftiParcellate(in_file=data, labels=labels, left_area_surface=left, method='TSNR')
    with pytest.raises(UsageError, match='TSNR cannot use weights; those that can are MEAN'):
        _ = node.argv
    with pytest.raises(UsageError, match='columns only'):
        _ = CiftiParcellate(in_file=data, labels=labels, direction='ROW').argv
    with pytest.raises(OSError, match='mutually exclusive'):
        CiftiParcellate(left_area_surface=left, left_area_metric=data)


def test_parcels_are_those_of_the_package(wb_command, fine):
    keys = np.arange(len(fine.models)) % 3
    keys[fine.models.where(LEFT)] = 0
    labels = fine.labels('parcels', keys, NAMES)
    values = patches(fine)
    values[np.flatnonzero(keys == 1)[:4]] = np.nan
    node = CiftiParcellate(
        in_file=fine.map('z', values),
        labels=labels,
        only_numeric=True,
        fill_value=-9.0,
        nonempty_mask=True,
    )
    outputs = node.run().outputs
    image = nib.load(outputs.out_file)
    assert image.header.get_axis(1).name.tolist() == ['first', 'second', 'third']
    read = read_labels(Path(labels))
    parcels = {name: read.keys == key for key, name in NAMES.items() if key}
    ours = parcel_means(values[None], parcels)
    assert ours['n_grayordinates'].tolist()[-1] == 0
    expected = ours['value'].fillna(-9.0)
    np.testing.assert_allclose(image.get_fdata()[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(nib.load(outputs.mask_file).get_fdata()[0], [1, 1, 0])


def test_weighted_parcels(wb_command, fine):
    """By the areas of the vertices, as extents are counted."""
    keys = (np.arange(len(fine.models)) % 3).astype(int)
    keys[~fine.models.is_surface] = 0
    values, (left, right) = patches(fine), fine.pair()
    node = CiftiParcellate(
        in_file=fine.map('z', values),
        labels=fine.labels('parcels', keys, {k: NAMES[k] for k in (0, 1, 2)}),
        left_area_surface=left,
        right_area_surface=right,
        method='MEAN',
    )
    found = nib.load(node.run().outputs.out_file).get_fdata()[0]
    extent = fine.brain.extent
    expected = [np.average(values[keys == k], weights=extent[keys == k]) for k in (1, 2)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_series_of_parcels(wb_command, fine):
    data = fine.noise(4)
    keys = np.arange(len(fine.models)) % 2
    node = CiftiParcellate(
        in_file=fine.series('bold', data), labels=fine.labels('p', keys, {0: '???', 1: 'a'})
    )
    path = node.run().outputs.out_file
    assert path.endswith('parcellated.ptseries.nii')
    expected = parcel_means(data, {'a': keys == 1})['value']
    np.testing.assert_allclose(nib.load(path).get_fdata()[:, 0], expected, rtol=1e-6)
