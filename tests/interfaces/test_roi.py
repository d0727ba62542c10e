"""Regions of interest and the mean of every visit's map inside them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.roi import ParcelMeans, SignificantRegions, VisitAreas
from ketbids.io.cifti import read_labels, read_maps
from ketbids.io.tables import read_table, write_table
from tests.interfaces.files import BrainFiles
from tests.stats.small_brain import LEFT, PUTAMEN, RIGHT

DK = {0: '???', 1: 'L_one', 2: 'R_two', 3: 'L_corpuscallosum', 4: 'R_unknown'}
COLUMNS = [
    *('participant_id', 'session_id', 'roi', 'source', 'atlas', 'label', 'selected_by'),
    *('direction', 'value', 'value_area', 'n_grayordinates', 'coverage', 'extent', 'unit'),
]
VOXELS = {'R_pallidum', 'R_putamen', 'brain_stem'}


@pytest.fixture
def inputs(brain, tmp_path):
    """Maps of two visits; parcels of the left and the right cortex, some of it unlabelled."""
    left, right = brain.models.where(LEFT), brain.models.where(RIGHT)
    keys = np.zeros(len(brain.models))
    keys[left], keys[right] = 1, 2
    keys[left.start], keys[right.start] = 3, 4
    pairs = [brain.pair(f'mid{n}', n) for n in (1, 2)]
    rows = pd.DataFrame(
        {
            'participant_id': ['01', '02'],
            'session_id': ['TP1', np.nan],
            'path': [Path(brain.map(f'm{n}', np.where(keys == 1, n, 5))).name for n in (1, 2)],
            'left_midthickness': [left for left, _ in pairs],
            'right_midthickness': [right for _, right in pairs],
        }
    )
    maps_file = tmp_path / 'maps.tsv'
    write_table(maps_file, rows)
    networks = np.where(brain.models.is_surface, 1, 0)
    common = {'maps_file': str(maps_file), 'base_directory': str(tmp_path)}
    return {
        **common,
        'areas_file': VisitAreas(**common).run().outputs.out_file,
        'desikan_killiany': brain.labels('dk', keys, DK),
        'yeo7': brain.labels('yeo', networks, {0: '???', 1: 'Default'}),
    }


def parcels(**inputs):
    outputs = ParcelMeans(**inputs).run().outputs
    return read_table(Path(outputs.out_file)), outputs


@pytest.fixture
def significant(brain, inputs, tmp_path):
    def run(pos, neg=1.0, claim_below=0.05, **changes):
        maps = {'pfwe_pos': brain.map('pos', pos), 'pfwe_neg': brain.map('neg', neg)}
        summary = tmp_path / 'summary.json'
        about = {'SmallestP': {'pos': 0.01, 'neg': 1.0}, 'ClaimBelow': claim_below}
        summary.write_text(json.dumps(about))
        extent = brain.map('extent', np.where(brain.models.is_surface, 2.0, 1.0))
        given = {**inputs, 'significance': maps, 'summary': str(summary), 'extent': extent}
        outputs = SignificantRegions(**given, selected_by='paired', **changes).run().outputs
        return read_table(Path(outputs.out_file)), outputs

    return run


def first(brain, structure, count):
    """Corrected p: small for the first grayordinates of a structure."""
    p = np.ones(len(brain.models))
    start = brain.models.where(structure).start
    p[start : start + count] = 0.01
    return p


def test_areas_are_those_of_each_visit(brain, inputs):
    areas, models = read_maps(Path(inputs['areas_file']))
    assert models.same_as(brain.models)
    surface = brain.models.is_surface
    np.testing.assert_allclose(areas[1, surface], 4 * areas[0, surface], rtol=1e-4)
    np.testing.assert_array_equal(areas[:, ~surface], 1)


def test_whole_parcels(brain, inputs):
    table, outputs = parcels(**inputs)
    assert list(table.columns) == COLUMNS
    assert set(table['roi']) == {'L_one', 'R_two', 'L_Default', 'R_Default', *VOXELS}
    assert table['selected_by'].isna().all()
    assert table.groupby('source')['atlas'].unique().map(set).to_dict() == {
        'network': {'Yeo7'},
        'parcel': {'DesikanKilliany', 'Subcortex'},
    }
    one = table[table['roi'] == 'L_one']
    assert one['participant_id'].tolist() == ['01', '02']
    assert one['session_id'].iloc[0] == 'TP1'
    assert pd.isna(one['session_id'].iloc[1])
    assert one['value'].tolist() == [1, 2]
    here = brain.models.where(LEFT)
    assert one['n_grayordinates'].tolist() == [here.stop - here.start - 1] * 2
    assert one['coverage'].tolist() == [1, 1]
    areas, _ = read_maps(Path(inputs['areas_file']))
    assert one['extent'].iloc[0] == pytest.approx(
        areas[:, here.start + 1 : here.stop].mean(axis=0).sum(), rel=1e-5
    )
    assert set(one['unit']) == {'mm2'}
    stem = table[table['roi'] == 'brain_stem'].iloc[0]
    assert (stem['extent'], stem['unit'], stem['atlas']) == (18 * 8, 'mm3', 'Subcortex')
    assert outputs.about == [{'Notes': []}]
    sides = read_table(Path(outputs.laterality))
    assert sides['roi'].tolist() == ['Default'] * 2
    assert (sides['difference'] == sides['left'] - sides['right']).all()


def test_means_by_area_use_the_surface_of_the_visit(brain, inputs):
    here = brain.models.where(LEFT)
    values = np.zeros(len(brain.models))
    values[here] = np.arange(here.stop - here.start) ** 2
    brain.map('m1', values)
    areas, _ = read_maps(Path(inputs['areas_file']))
    inside = slice(here.start + 1, here.stop)
    expected = np.average(values[inside], weights=areas[0, inside])
    row = parcels(**inputs)[0].query("roi == 'L_one'").iloc[0]
    assert row['value_area'] == pytest.approx(expected, rel=1e-6)
    assert row['value'] == pytest.approx(values[inside].mean())
    assert row['value_area'] != pytest.approx(row['value'], rel=1e-3)


def test_missing_values_are_not_averaged(brain, inputs):
    left = brain.models.where(LEFT)
    values = np.full(len(brain.models), 2.0)
    values[left.start + 1 : left.start + 4] = [np.nan, 8, np.nan]
    brain.map('m1', values)
    empty = np.full(len(brain.models), np.nan)
    empty[brain.models.where(RIGHT)] = 5
    brain.map('m2', empty)
    table, _ = parcels(**inputs)
    one = table[table['roi'] == 'L_one']
    n = left.stop - left.start - 1
    assert one['n_grayordinates'].tolist() == [n - 2, 0]
    np.testing.assert_allclose(one['coverage'], [(n - 2) / n, 0])
    assert one['value'].iloc[0] == pytest.approx((2 * (n - 3) + 8) / (n - 2))
    assert one[['value', 'value_area']].iloc[1].isna().all()
    assert table.loc[table['roi'] == 'R_two', 'value'].tolist() == [2, 5]


def test_declared_regions_and_further_atlases(brain, inputs):
    keys = np.zeros(len(brain.models))
    left = brain.models.where(LEFT)
    keys[left.start : left.start + 3], keys[left.start + 3 : left.start + 5] = 1, 2
    own = brain.labels('own', keys, {0: '???', 1: 'motor', 2: 'visual'})
    further = {'atlas_names': ['own'], 'atlas_files': [own]}
    declared = {
        'front': {'atlas': 'own', 'labels': ['motor', 'visual']},
        'network': {'atlas': 'Yeo7', 'labels': ['L_Default']},
    }
    table, _ = parcels(**inputs, **further, declared=declared)
    rows = table.drop_duplicates('roi').set_index('roi')
    assert rows.loc[['motor', 'front'], 'n_grayordinates'].tolist() == [3, 5]
    assert rows.loc[['motor', 'front'], 'source'].tolist() == ['parcel', 'apriori']
    assert rows.loc[['front', 'network'], 'label'].tolist() == ['motor + visual', 'L_Default']
    assert rows.loc['network', 'value'] == rows.loc['L_Default', 'value']
    with pytest.raises(InputError, match='The region front needs the label taste'):
        parcels(**inputs, **further, declared={'front': {'atlas': 'own', 'labels': ['taste']}})


def test_without_anatomical_labels_networks_remain(inputs):
    del inputs['desikan_killiany']
    declared = {'front': {'atlas': 'DesikanKilliany', 'labels': ['L_one']}}
    table, outputs = parcels(**inputs, declared=declared)
    assert set(table['roi']) == {'L_Default', 'R_Default', *VOXELS}
    assert outputs.about == [
        {
            'Notes': [
                'There are no labels of DesikanKilliany: the region front has no values. Give '
                'them with --atlas DesikanKilliany=FILE.'
            ]
        }
    ]


def test_significant_regions(brain, significant):
    table, outputs = significant(first(brain, LEFT, 4))
    assert list(table.columns) == COLUMNS
    # The first of the four is corpus callosum and belongs to no region.
    assert table['n_grayordinates'].tolist() == [3, 3]
    assert table['value'].tolist() == [1, 2]
    assert table['extent'].tolist() == [6, 6]
    fixed = ('roi', 'source', 'atlas', 'label', 'selected_by', 'direction')
    assert table.loc[0, list(fixed)].tolist() == [
        *('L_one', 'significant', 'DesikanKilliany', 'L_one', 'paired', 'pos')
    ]
    labels = read_labels(Path(outputs.labels))
    assert labels.names == {0: '???', 1: 'L_one'}
    start = brain.models.where(LEFT).start
    assert np.flatnonzero(labels.keys).tolist() == [start + 1, start + 2, start + 3]
    assert outputs.about == [
        {
            'Notes': [
                'Significant grayordinates without a label of DesikanKilliany, in no region: 1.'
            ]
        }
    ]
    (about,) = outputs.about_labels
    assert (about['Atlas'], about['Regions']) == ('DesikanKilliany', ['L_one'])


def test_networks_and_both_directions(brain, significant):
    p = first(brain, LEFT, 4)
    neg = np.where(p < 1, 1.0, np.roll(p, 4))
    table, outputs = significant(p, neg, atlas='Yeo7')
    rows = table.drop_duplicates('roi')
    assert rows['roi'].tolist() == ['L_Default_pos', 'L_Default_neg']
    assert rows['label'].tolist() == ['L_Default'] * 2
    labels = read_labels(Path(outputs.labels))
    assert list(labels.names.values()) == ['???', 'L_Default_pos', 'L_Default_neg']
    assert labels.colours[1] != labels.colours[2]
    assert outputs.about == [{'Notes': []}]


def test_voxels_are_cut_by_their_structure(brain, significant):
    table, _ = significant(first(brain, PUTAMEN, 3))
    assert set(table['roi']) == {'R_putamen'}
    assert table['extent'].tolist() == [24, 24]
    assert set(table['unit']) == {'mm3'}
    table, outputs = significant(first(brain, PUTAMEN, 3), atlas='Subcortex')
    assert set(table['roi']) == {'R_putamen'}
    assert outputs.about == [{'Notes': []}]


def test_the_minimum_size(brain, significant):
    table, outputs = significant(
        np.minimum(first(brain, LEFT, 4), first(brain, PUTAMEN, 3)), minimum_size=6.5
    )
    assert set(table['roi']) == {'R_putamen'}
    assert outputs.about[0]['Notes'][1] == (
        'Below the minimum size of 6.5 and left out: L_one (6 mm2).'
    )


@pytest.mark.parametrize('claim_below', [0.05, 0.0])
def test_nothing_significant_makes_no_region(brain, significant, claim_below):
    p = 1.0 if claim_below else first(brain, LEFT, 4)
    table, outputs = significant(p, claim_below=claim_below)
    assert len(table) == 0
    assert list(table.columns) == COLUMNS
    assert not isinstance(outputs.labels, str)
    assert outputs.about == [
        {'Notes': ['Nothing is significant in paired: it selects no region.']}
    ]


def test_significant_cortex_without_labels(brain, inputs, significant):
    del inputs['desikan_killiany']
    table, outputs = significant(np.minimum(first(brain, LEFT, 4), first(brain, PUTAMEN, 3)))
    assert set(table['roi']) == {'R_putamen'}
    assert outputs.about[0]['Notes'] == [
        'There are no labels of DesikanKilliany: the significant cortex is not cut into regions. '
        'Give them with --atlas DesikanKilliany=FILE.'
    ]


def test_maps_must_share_their_grayordinates(inputs, tmp_path):
    (tmp_path / 'fine').mkdir()
    odd = Path(BrainFiles(tmp_path / 'fine', level=2).map('m2', 1.0))
    odd.replace(tmp_path / 'm2.dscalar.nii')
    with pytest.raises(InputError, match=r'm2\.dscalar\.nii .*m1\.dscalar\.nii'):
        parcels(**inputs)
