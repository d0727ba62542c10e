"""Regions of interest and their correlations with scores."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.roi import AssociateScores, RoiMeans
from ketbids.io.tables import read_table, write_table
from tests.interfaces.files import BrainFiles
from tests.stats.small_brain import LEFT, RIGHT

DK = {0: '???', 1: 'L_one', 2: 'R_two', 3: 'L_corpuscallosum', 4: 'R_unknown'}


@pytest.fixture
def inputs(brain, tmp_path):
    """Maps of two visits; parcels of the left and the right cortex, some of it unlabelled."""
    left, right = brain.models.where(LEFT), brain.models.where(RIGHT)
    keys = np.zeros(len(brain.models))
    keys[left], keys[right] = 1, 2
    keys[left.start], keys[right.start] = 3, 4
    rows = pd.DataFrame(
        {
            'participant_id': ['01', '02'],
            'session_id': ['TP1', np.nan],
            'path': [Path(brain.map(f'm{n}', np.where(keys == 1, n, 5))).name for n in (1, 2)],
        }
    )
    write_table(tmp_path / 'maps.tsv', rows)
    networks = np.where(brain.models.is_surface, 1, 0)
    return {
        'maps_file': str(tmp_path / 'maps.tsv'),
        'base_directory': str(tmp_path),
        'desikan_killiany': brain.labels('dk', keys, DK),
        'yeo7': brain.labels('yeo', networks, {0: '???', 1: 'Default'}),
    }


def run(**inputs):
    return read_table(Path(RoiMeans(**inputs).run().outputs.out_file))


def test_whole_parcels_are_independent(brain, inputs):
    table = run(**inputs)
    assert list(table.columns) == [
        'participant_id',
        'session_id',
        'roi',
        'selection',
        'value',
        'n_grayordinates',
    ]
    assert set(table['selection']) == {'independent'}
    assert set(table['roi']) == {'L_one', 'R_two', 'L_Default', 'R_Default'}
    one = table[table['roi'] == 'L_one']
    assert one['participant_id'].tolist() == ['01', '02']
    assert one['value'].tolist() == [1, 2]
    n = brain.models.where(LEFT)
    assert one['n_grayordinates'].tolist() == [n.stop - n.start - 1] * 2
    assert table.loc[table['roi'] == 'R_two', 'value'].tolist() == [5, 5]


def test_missing_values_are_not_averaged(brain, inputs):
    left = brain.models.where(LEFT)
    values = np.full(len(brain.models), 2.0)
    values[left.start + 1 : left.start + 4] = [np.nan, 8, np.nan]
    brain.map('m1', values)
    empty = np.full(len(brain.models), np.nan)
    empty[brain.models.where(RIGHT)] = 5
    brain.map('m2', empty)
    table = run(**inputs)
    one = table[table['roi'] == 'L_one']
    n = left.stop - left.start - 1
    assert one['n_grayordinates'].tolist() == [n - 2, 0]
    assert one['value'].iloc[0] == pytest.approx((2 * (n - 3) + 8) / (n - 2))
    assert np.isnan(one['value'].iloc[1])
    assert table.loc[table['roi'] == 'R_two', 'value'].tolist() == [2, 5]


def test_significant_parcels_share_their_data(brain, inputs, tmp_path):
    left = brain.models.where(LEFT)
    p = np.ones(len(brain.models))
    p[left.start : left.start + 4] = 0.01
    summary = tmp_path / 'summary.json'
    about = {'SmallestP': {'pos': 0.01, 'neg': 1.0}, 'Alpha': 0.05, 'ClaimBelow': 0.05}
    summary.write_text(json.dumps(about))
    maps = {'pfwe_pos': brain.map('pos', p), 'pfwe_neg': brain.map('neg', 1.0)}
    table = run(**inputs, significance=maps, summary=str(summary))
    assert set(table['selection']) == {'shared-data'}
    assert set(table['roi']) == {'L_one'}
    # The first of the four is corpus callosum and belongs to no region.
    assert table['n_grayordinates'].tolist() == [3, 3]
    assert table['value'].tolist() == [1, 2]
    networks = run(**inputs, significance=maps, summary=str(summary), atlas='Yeo7')
    assert set(networks['roi']) == {'L_Default'}
    assert networks['n_grayordinates'].tolist() == [4, 4]


def test_nothing_significant_gives_an_empty_table(brain, inputs, tmp_path):
    summary = tmp_path / 'summary.json'
    summary.write_text(json.dumps({'SmallestP': {'pos': 1.0}, 'Alpha': 0.05, 'ClaimBelow': 0.05}))
    table = run(**inputs, significance={'pfwe_pos': brain.map('p', 1.0)}, summary=str(summary))
    assert len(table) == 0
    assert 'roi' in table.columns


def test_without_anatomical_labels_networks_remain(inputs):
    del inputs['desikan_killiany']
    assert set(run(**inputs)['roi']) == {'L_Default', 'R_Default'}


def test_maps_must_share_their_grayordinates(inputs, tmp_path):
    (tmp_path / 'fine').mkdir()
    odd = Path(BrainFiles(tmp_path / 'fine', level=2).map('m2', 1.0))
    odd.replace(tmp_path / 'm2.dscalar.nii')
    with pytest.raises(InputError, match=r'm2\.dscalar\.nii .*m1\.dscalar\.nii'):
        run(**inputs)


@pytest.fixture
def associate(tmp_path):
    def run(tables, scores, definitions):
        files = []
        for n, table in enumerate(tables):
            files.append(str(tmp_path / f'roi{n}.tsv'))
            write_table(Path(files[-1]), table)
        interface = AssociateScores(roi_files=files, scores=scores, definitions=definitions)
        return read_table(Path(interface.run().outputs.out_file))

    return run


def roi_table(selection, values):
    """Values per session: {session: [one per participant]}."""
    return pd.DataFrame(
        [
            {
                'participant_id': f'{n:02d}',
                'session_id': session,
                'roi': 'L_one',
                'selection': selection,
                'value': value,
                'n_grayordinates': 3,
            }
            for session, column in values.items()
            for n, value in enumerate(column)
        ]
    )


def test_only_independent_regions_have_a_p(brain, associate):
    rng = np.random.default_rng(0)
    values = {'TP1': rng.normal(size=8), 'TP2': rng.normal(size=8)}
    scores = {f'{n:02d}': float(n) for n in range(8)}
    table = associate(
        [roi_table('shared-data', values), roi_table('independent', values)],
        scores,
        {'baseline': ['TP1'], 'acute': ['TP1', 'TP2']},
    )
    assert table['p'].notna().tolist() == (table['selection'] == 'independent').tolist()
    assert len(table) == 4
    for name, x in (('baseline', values['TP1']), ('acute', values['TP1'] - values['TP2'])):
        rows = table[table['values'] == name]
        np.testing.assert_allclose(rows['r'], np.corrcoef(x, np.arange(8))[0, 1], rtol=1e-6)
        assert rows['n'].tolist() == [8, 8]


def test_people_without_score_or_visit_are_left_out(brain, associate):
    table = roi_table('independent', {'TP1': range(8), 'TP2': range(0, 12, 2)})
    scores = {f'{n:02d}': float(n**2) for n in range(2, 8)} | {'nobody': 3.0}
    found = associate([table], scores, {'baseline': ['TP1'], 'acute': ['TP1', 'TP2']})
    assert found.set_index('values')['n'].to_dict() == {'baseline': 6, 'acute': 4}


def test_an_empty_table_of_regions(brain, associate):
    table = roi_table('independent', {'TP1': range(8)})
    scores = {f'{n:02d}': float(n) for n in range(8)}
    found = associate([table.iloc[:0], table], scores, {'baseline': ['TP1']})
    assert found['r'].tolist() == pytest.approx([1])
