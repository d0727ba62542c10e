"""Values in regions that are found without the participant."""

import numpy as np
import pandas as pd
import pytest

from ketbids.stats.inference import TestOptions, permutation_test
from ketbids.stats.leaveoneout import (
    ALL,
    NONE,
    OTHERS,
    Selecting,
    leave_one_out,
    significant_without,
)
from ketbids.stats.regions import Region
from tests.stats.small_brain import LEFT, SmallBrain

N = 9
PEOPLE = [f'{i:02d}' for i in range(N)]


@pytest.fixture(scope='module')
def brain():
    return SmallBrain()


def study(brain, *, effect=4.0, seed=0):
    data = np.random.default_rng(seed).normal(size=(N, len(brain)))
    data[:, brain.models.where(LEFT)] += effect
    age = np.arange(N, dtype=float)
    design = pd.DataFrame({'Intercept': 1.0, 'age': age - age.mean()})
    return Selecting(
        PEOPLE,
        data,
        design,
        np.array([1.0, 0.0]),
        brain.models,
        brain.graph,
        brain.extent,
        TestOptions('flips', 128, seed=3),
    )


def cutter(brain):
    parcel = np.zeros(len(brain), bool)
    parcel[brain.models.where(LEFT)] = True

    def cut(found):
        return [
            Region('L_one', 'significant', 'A', 'L_one', parcel & mask, 'mean', direction)
            for direction, mask in found.items()
            if (parcel & mask).any()
        ]

    return cut


def test_without_a_participant_the_others_are_tested_as_if_they_were_all(brain):
    selecting = study(brain, effect=1.5)
    found = significant_without(selecting, '04')
    age = np.delete(np.arange(N, dtype=float), 4)
    design = pd.DataFrame({'Intercept': 1.0, 'age': age - age.mean()})
    expected = permutation_test(
        np.delete(selecting.data, 4, axis=0),
        design,
        selecting.weights,
        brain.models,
        brain.graph,
        brain.extent,
        selecting.options,
    )
    for direction in ('pos', 'neg'):
        np.testing.assert_array_equal(found[direction], expected.pfwe[direction] < 0.05)


def test_the_own_map_has_no_part_in_the_own_region(brain):
    selecting, cut = study(brain, effect=1.5), cutter(brain)
    region = cut(significant_without(selecting, 'nobody'))
    before = leave_one_out(selecting, region, cut, selecting.data, PEOPLE)
    changed = selecting.data.copy()
    changed[2] *= -3
    after = leave_one_out(selecting._replace(data=changed), region, cut, changed, PEOPLE)
    one, other = (t[t['map'] == 2].iloc[0] for t in (before, after))
    assert one['region'] == other['region'] == OTHERS
    assert one['n_grayordinates'] == other['n_grayordinates']
    assert other['value'] == pytest.approx(-3 * one['value'])


def test_values_are_means_over_the_region_of_the_others(brain):
    selecting, cut = study(brain), cutter(brain)
    region = cut(significant_without(selecting, 'nobody'))
    maps = np.vstack([selecting.data, selecting.data[:1] + 1, selecting.data[:1]])
    maps[1, brain.models.where(LEFT).start + 3] = np.nan
    people = [*PEOPLE, '00', 'control']
    table = leave_one_out(selecting, region, cut, maps, people)
    assert list(table['map']) == list(range(N + 2))
    assert set(table['roi']) == {'L_one'}
    assert list(table['region']) == [OTHERS] * (N + 1) + [ALL]
    for number, who in enumerate(people):
        masks = [r.mask for r in cut(significant_without(selecting, who))]
        here = maps[number, masks[0]]
        assert table['value'][number] == pytest.approx(np.nanmean(here))
        assert table['n_grayordinates'][number] == np.isfinite(here).sum()


def test_a_region_that_hangs_on_one_participant_is_not_found_without_them(brain):
    # 6 flips of signs cannot reach .05 in both directions; 7 can.
    selecting = study(brain)
    few = selecting._replace(
        participants=PEOPLE[:7],
        data=selecting.data[:7],
        design=selecting.design[:7][['Intercept']],
        weights=np.array([1.0]),
    )
    cut = cutter(brain)
    region = cut(significant_without(few, 'nobody'))
    assert [r.direction for r in region] == ['pos']
    table = leave_one_out(few, region, cut, few.data, PEOPLE[:7])
    assert list(table['region']) == [NONE] * 7
    assert table['value'].isna().all()
    assert (table['n_grayordinates'] == 0).all()


def test_others_who_cannot_be_tested_select_nothing(brain):
    selecting = study(brain)
    one = pd.DataFrame({'a': [1.0] + [0.0] * (N - 1), 'b': [0.0] + [1.0] * (N - 1)})
    alone = selecting._replace(
        design=one, weights=np.array([1.0, -1.0]), options=TestOptions('permutations', 50)
    )
    found = significant_without(alone, '00')
    assert not any(mask.any() for mask in found.values())


def test_no_region_no_shuffles(brain, monkeypatch):
    monkeypatch.setattr('ketbids.stats.leaveoneout.permutation_test', None)
    selecting = study(brain)
    table = leave_one_out(selecting, [], cutter(brain), selecting.data, PEOPLE)
    assert len(table) == 0
    assert 'value' in table.columns
