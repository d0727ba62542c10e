"""Regions: which grayordinates, how large, and what maps are inside."""

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.stats.graph import extents, vertex_areas
from ketbids.stats.regions import (
    COLUMNS,
    Region,
    atlas_parcels,
    cut_by_labels,
    declared_region,
    laterality,
    region_means,
    structure_parcels,
)
from tests.stats.small_brain import LEFT, PUTAMEN, RIGHT, SmallBrain

BRAIN = SmallBrain()
MODELS = BRAIN.models
N = len(MODELS)
LEFT_FIRST, RIGHT_FIRST = MODELS.where(LEFT).start, MODELS.where(RIGHT).start
VOXEL_FIRST = MODELS.where(PUTAMEN).start


def labels(**ranges):
    """Labels by name, each of some ranges of grayordinates."""
    text = np.full(N, '', dtype='U40')
    for name, parts in ranges.items():
        for start, stop in parts:
            text[start:stop] = name
    return text


def mask(*ranges):
    inside = np.zeros(N, bool)
    for start, stop in ranges:
        inside[start:stop] = True
    return inside


def test_a_label_of_both_hemispheres_is_two_parcels():
    text = labels(
        Default=[(LEFT_FIRST, LEFT_FIRST + 3), (RIGHT_FIRST, RIGHT_FIRST + 2)],
        L_own=[(LEFT_FIRST + 3, LEFT_FIRST + 5)],
        both=[(LEFT_FIRST + 5, LEFT_FIRST + 6), (VOXEL_FIRST, VOXEL_FIRST + 4)],
    )
    found = {name: int(inside.sum()) for name, inside in atlas_parcels(text, MODELS).items()}
    assert found == {
        'L_Default': 3,
        'R_Default': 2,
        'L_own': 2,
        'L_both': 1,
        'subcortical_both': 4,
    }


def test_networks_have_their_hemisphere_even_if_there_is_only_one():
    text = labels(Limbic=[(RIGHT_FIRST, RIGHT_FIRST + 2)])
    assert list(atlas_parcels(text, MODELS)) == ['Limbic']
    assert list(atlas_parcels(text, MODELS, by_hemisphere=True)) == ['R_Limbic']


@pytest.mark.parametrize(
    'name', ['???', 'unknown', 'R_unknown', 'L_corpuscallosum', 'Medial_wall', 'L_Medial_wall']
)
def test_what_is_unknown_is_no_parcel(name):
    text = labels(L_a=[(0, 2)])
    text[2:5] = name
    assert list(atlas_parcels(text, MODELS)) == ['L_a']


def test_structures_of_the_voxels():
    found = {name: int(inside.sum()) for name, inside in structure_parcels(MODELS).items()}
    assert found == {'R_pallidum': 18, 'R_putamen': 18, 'brain_stem': 18}
    assert structure_parcels(SmallBrain(volume=False).models) == {}


def test_significant_grayordinates_are_cut_by_labels_and_direction():
    parcels = {'L_a': mask((0, 6)), 'L_b': mask((6, 9)), 'R_c': mask((RIGHT_FIRST, N))}
    parcels['R_c'] &= MODELS.is_surface
    found = {'pos': mask((2, 8), (VOXEL_FIRST, VOXEL_FIRST + 5)), 'neg': mask((0, 1), (9, 11))}
    extent = np.full(N, 2.5)
    cut = cut_by_labels(found, 'atlas', parcels, MODELS, extent, selected_by='test')
    rows = [(r.roi, r.atlas, r.label, r.direction, int(r.mask.sum())) for r in cut.regions]
    assert rows == [
        ('L_a_pos', 'atlas', 'L_a', 'pos', 4),
        ('L_a_neg', 'atlas', 'L_a', 'neg', 1),
        ('L_b', 'atlas', 'L_b', 'pos', 2),
        ('R_putamen', 'Subcortex', 'R_putamen', 'pos', 5),
    ]
    assert {(r.source, r.selected_by) for r in cut.regions} == {('significant', 'test')}
    assert cut.unlabelled == 2
    assert cut.too_small == ()


def test_the_minimum_size_is_in_mm2_and_mm3():
    parcels = {'L_a': mask((0, 6)), 'L_b': mask((6, 9))}
    found = {'pos': mask((2, 8), (VOXEL_FIRST, VOXEL_FIRST + 5)), 'neg': mask()}
    options = {'selected_by': 'test', 'minimum_size': 10.0}
    cut = cut_by_labels(found, 'atlas', parcels, MODELS, np.full(N, 2.5), **options)
    # Four vertices are 10 mm2, two are 5; five voxels of 8 mm3 are 40.
    assert [region.roi for region in cut.regions] == ['L_a', 'R_putamen']
    assert cut.too_small == ('L_b (5 mm2)',)


def test_an_atlas_with_voxels_cuts_them_itself():
    parcels = {'R_striatum': mask((VOXEL_FIRST, VOXEL_FIRST + 3))}
    found = {'pos': mask((VOXEL_FIRST, VOXEL_FIRST + 5))}
    cut = cut_by_labels(found, 'own', parcels, MODELS, np.ones(N), selected_by='t')
    assert [(region.roi, region.atlas) for region in cut.regions] == [('R_striatum', 'own')]
    assert cut.unlabelled == 2


def test_nothing_significant_is_no_region():
    found = {'pos': mask(), 'neg': mask()}
    cut = cut_by_labels(found, 'a', {'L_a': mask((0, 6))}, MODELS, np.ones(N), selected_by='t')
    assert cut == ((), (), 0)


def test_a_declared_region_is_the_union_of_labels():
    atlases = {'DK': {'L_a': mask((0, 2)), 'L_b': mask((4, 6)), 'voxels': mask((N - 3, N))}}
    region = declared_region('front', 'DK', ['L_a', 'L_b'], atlases, MODELS)
    assert (region.roi, region.source, region.label) == ('front', 'apriori', 'L_a + L_b')
    np.testing.assert_array_equal(region.mask, mask((0, 2), (4, 6)))
    with pytest.raises(InputError, match=r'front needs the label L_c, .* it has L_a, L_b, voxels'):
        declared_region('front', 'DK', ['L_c'], atlases, MODELS)
    with pytest.raises(InputError, match=r'front needs the atlas X; there are DK'):
        declared_region('front', 'X', ['L_a'], atlases, MODELS)
    with pytest.raises(InputError, match=r'front joins vertices of the cortex and voxels'):
        declared_region('front', 'DK', ['L_a', 'voxels'], atlases, MODELS)


def test_means_plain_and_by_area():
    values, areas = np.zeros((2, N)), np.ones((2, N))
    values[0, :4], areas[0, :4] = [1, 2, 3, np.nan], [1, 1, 2, 5]
    values[1, :4] = np.nan
    regions = [
        Region('L_a', 'parcel', 'DK', 'L_a', mask((0, 4))),
        Region('R_v', 'significant', 'S', 'R_v', mask((N - 2, N)), 'test', 'neg'),
    ]
    table = region_means(values, areas, regions, MODELS, np.full(N, 3.0))
    assert list(table.columns) == ['map', *COLUMNS]
    first = table.iloc[0]
    assert (first['value'], first['value_area']) == (2, 9 / 4)
    assert (first['n_grayordinates'], first['coverage']) == (3, 0.75)
    assert (first['extent'], first['unit']) == (12, 'mm2')
    assert table.loc[1, ['value', 'value_area']].isna().all()
    assert table.loc[1, ['n_grayordinates', 'coverage']].tolist() == [0, 0]
    assert table.loc[2, ['extent', 'unit', 'selected_by', 'direction']].tolist() == [
        *(16, 'mm3', 'test', 'neg')
    ]
    empty = region_means(values, areas, [], MODELS, np.ones(N))
    assert list(empty.columns) == ['map', *COLUMNS]
    assert len(empty) == 0


def test_the_mean_by_area_is_an_integral_over_the_surface():
    """Of a coordinate on a sphere of which a patch is stretched: known from the triangles."""
    mesh = BRAIN.surfaces[LEFT]
    stretched = type(mesh)(mesh.coordinates * [1, 1, 3], mesh.triangles)
    extent = extents(MODELS, {LEFT: vertex_areas(stretched), RIGHT: vertex_areas(mesh)})
    height = np.zeros(N)
    here = MODELS.where(LEFT)
    height[here] = np.abs(stretched.coordinates[MODELS.vertex[here], 2])
    inside = np.zeros(N, bool)
    inside[here] = True
    region = Region('L', 'parcel', 'a', 'L', inside)
    row = region_means(height[None], extent[None], [region], MODELS, extent).iloc[0]
    expected = (height * extent)[here].sum() / extent[here].sum()
    assert row['value_area'] == pytest.approx(expected, rel=1e-12)
    assert abs(row['value_area'] - row['value']) > 1
    assert row['extent'] == pytest.approx(extent[here].sum())


def visits(**values):
    """One visit of a person with a value per region."""
    return pd.DataFrame(
        [
            {'participant_id': 'sub-01', 'session_id': None, 'roi': roi, 'source': 'parcel'}
            | {'atlas': 'DK', 'value': value}
            for roi, value in values.items()
        ]
    )


def test_laterality():
    table = visits(
        **{'L_a': 3.0, 'R_a': 1.0, 'L_b': -1.0, 'R_b': 2.0, 'L_c': 0.0, 'R_c': 0.0},
        **{'L_d': np.nan, 'R_d': 1.0, 'L_alone': 1.0, 'brain_stem': 5.0},
    )
    found = laterality(table).set_index('roi')
    assert found.index.tolist() == ['a', 'b', 'c', 'd']
    assert found['difference'].tolist()[:3] == [2, -3, 0]
    np.testing.assert_allclose(found['laterality'], [0.5, -1, np.nan, np.nan])
    assert found.loc['a', ['left', 'right']].tolist() == [3, 1]


def test_no_pair_is_an_empty_table():
    assert list(laterality(visits(brain_stem=1.0)).columns) == [
        *('participant_id', 'session_id', 'roi', 'source', 'atlas'),
        *('left', 'right', 'difference', 'laterality'),
    ]
