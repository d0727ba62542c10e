"""Regions that are found without the participant, from files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ketbids.interfaces.inference import GroupTest
from ketbids.interfaces.leaveoneout import SHUFFLES, LeaveOneOut
from ketbids.io.cifti import read_maps, write_maps
from ketbids.io.tables import read_table, write_table
from tests.stats.small_brain import LEFT, RIGHT

N = 8
PEOPLE = [f'{i:02d}' for i in range(N)]


@pytest.fixture
def outcome(brain, tmp_path):
    """Run an analysis with an effect in the left cortex, then leave each participant out."""
    left, right = brain.models.where(LEFT), brain.models.where(RIGHT)
    data = np.random.default_rng(0).normal(size=(N + 1, len(brain.models)))
    data[:, left] += 4
    paths = [Path(brain.map(f'm{n}', values)).name for n, values in enumerate(data)]
    visits = pd.DataFrame({'participant_id': [*PEOPLE, '99'], 'session_id': 'TP1', 'path': paths})
    write_table(tmp_path / 'maps.tsv', visits)
    # A design writes its participants with their prefix, the table of all maps without.
    named = [f'sub-{who}' for who in PEOPLE]
    write_table(tmp_path / 'design.tsv', visits[:N].assign(participant_id=named, Intercept=1.0))
    keys = np.zeros(len(brain.models))
    keys[left], keys[right] = 1, 2
    surfaces = brain.pair()
    common = {
        'design_file': str(tmp_path / 'design.tsv'),
        'base_directory': str(tmp_path),
        'predictors': ['Intercept'],
        'weights': [1.0],
        'left_midthickness': [surfaces[0]] * N,
        'right_midthickness': [surfaces[1]] * N,
        'scheme': 'flips',
        'seed': 0,
        'tails': 'two',
    }

    def run(*, threshold=None, **options):
        whole = GroupTest(**common, n_shuffles=256).run().outputs
        maps = dict(whole.maps)
        if threshold is not None:
            maps['pfwe_pos'] = brain.map('none', threshold)
        areas = {f'map {n}': np.ones(len(brain.models)) for n in range(N + 1)}
        areas_file = write_maps(tmp_path / 'areas.dscalar.nii', areas, brain.models)
        found = LeaveOneOut(
            **common,
            maps_file=str(tmp_path / 'maps.tsv'),
            areas_file=str(areas_file),
            desikan_killiany=brain.labels('dk', keys, {0: '???', 1: 'L_one', 2: 'R_two'}),
            yeo7=brain.labels('yeo', keys * 0 + 1, {0: '???', 1: 'Default'}),
            significance=maps,
            summary=whole.summary,
            extent=whole.extent,
            selected_by='mean',
            **options,
        ).run().outputs  # fmt: skip
        return read_table(Path(found.out_file)), found.about, maps

    return run


def test_every_visit_has_a_row_per_region(brain, outcome, tmp_path):
    table, about, maps = outcome()
    assert list(table.columns) == [
        *('participant_id', 'session_id', 'roi', 'atlas', 'label', 'direction', 'region'),
        *('value', 'n_grayordinates'),
    ]
    assert table['participant_id'].tolist() == [*PEOPLE, '99']
    assert set(table['roi']) == {'L_one'}
    assert set(table['direction']) == {'pos'}
    assert table['region'].tolist() == ['others'] * N + ['all']
    # Who is not in the analysis has the mean over the region of all.
    inside = read_maps(Path(maps['pfwe_pos']))[0][0] < 0.05
    inside &= np.arange(len(brain.models)) < brain.models.where(LEFT).stop
    own = read_maps(tmp_path / f'm{N}.dscalar.nii')[0][0]
    assert table['value'].iloc[-1] == pytest.approx(own[inside].mean(), rel=1e-5)
    assert about[0]['Shuffles'] == SHUFFLES == 1000


def test_nothing_significant_makes_an_empty_table(outcome):
    table, _, _ = outcome(threshold=1.0, n_shuffles=16)
    assert len(table) == 0
    assert 'region' in table.columns


def test_a_region_below_the_minimum_size_is_none(outcome):
    table, _, _ = outcome(minimum_size=1e9)
    assert len(table) == 0
