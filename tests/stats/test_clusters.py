import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.stats.clusters import cluster_table, structure_name

from .small_brain import LEFT, PALLIDUM, PUTAMEN, STEM, SmallBrain

BRAIN = SmallBrain()
N = len(BRAIN)
COORDINATES = np.arange(3.0 * N).reshape(N, 3)


def table(significant, statistic, pfwe, labels=None):
    return cluster_table(
        significant, statistic, pfwe, BRAIN.models, BRAIN.graph, BRAIN.extent, COORDINATES, labels
    )


def mark(*columns):
    significant = np.zeros(N, dtype=bool)
    for part in columns:
        significant[part] = True
    return significant


def test_a_surface_cluster_is_measured_in_mm2():
    part = BRAIN.models.where(LEFT)
    statistic = np.zeros(N)
    statistic[part.start + 4] = 9.0
    pfwe = np.full(N, 0.04)
    pfwe[part.start + 4] = 0.01
    found, numbers = table(mark(part), statistic, pfwe)
    assert len(found) == 1
    row = found.iloc[0]
    assert row['size'] == pytest.approx(BRAIN.extent[part].sum())
    assert (row['unit'], row['structure']) == ('mm2', 'cortex left')
    assert (row['peak_value'], row['peak_p']) == (9.0, 0.01)
    assert row[['x', 'y', 'z']].tolist() == COORDINATES[part.start + 4].tolist()
    assert row['n_grayordinates'] == part.stop - part.start
    np.testing.assert_array_equal(numbers, mark(part).astype(int))


def test_structures_that_touch_are_one_cluster_and_those_apart_are_not():
    where = BRAIN.models.where
    statistic = np.arange(N, dtype=float)
    significant = mark(where(PUTAMEN), where(PALLIDUM), where(STEM), where(LEFT))
    found, numbers = table(significant, statistic, np.full(N, 0.02))
    assert len(found) == 3
    touching = found[found['n_grayordinates'] == 36].iloc[0]
    assert touching['size'] == 36 * 8
    assert touching['unit'] == 'mm3'
    assert touching['structure'] == 'pallidum right'
    assert set(found['structure']) == {'cortex left', 'pallidum right', 'brain stem'}
    assert len(np.unique(numbers[where(PUTAMEN)])) == 1
    assert numbers[where(PUTAMEN)][0] == numbers[where(PALLIDUM)][0]


def test_clusters_are_sorted_by_p_then_size():
    where = BRAIN.models.where
    pfwe = np.full(N, 0.03)
    pfwe[where(STEM)] = 0.001
    single = where(PUTAMEN).start
    found, numbers = table(mark(where(STEM), where(LEFT), single), np.ones(N), pfwe)
    assert found['structure'].tolist() == ['brain stem', 'cortex left', 'putamen right']
    assert found['cluster'].tolist() == [1, 2, 3]
    assert found['size'].iloc[2] == 8
    assert numbers[single] == 3
    assert numbers[where(STEM)].tolist() == [1] * 18
    assert (numbers[~mark(where(STEM), where(LEFT), single)] == 0).all()


def test_labels_at_the_peak_and_the_largest_one_by_extent():
    part = BRAIN.models.where(STEM)
    names = np.full(N, 'n/a', dtype=object)
    names[part] = ['a'] * 5 + ['b'] * 13
    statistic = np.zeros(N)
    statistic[part.start] = 3
    found, _ = table(mark(part), statistic, np.full(N, 0.01), {'atlas': names})
    row = found.iloc[0]
    assert (row['atlas'], row['atlas_largest']) == ('a', 'b')
    assert row['atlas_share'] == pytest.approx(13 / 18)
    assert list(found)[-3:] == ['atlas', 'atlas_largest', 'atlas_share']


def test_nothing_significant_is_an_empty_table_with_its_columns():
    labels = {'atlas': np.full(N, 'x')}
    found, numbers = table(np.zeros(N, bool), np.ones(N), np.ones(N), labels)
    assert len(found) == 0
    assert list(found)[:4] == ['cluster', 'size', 'unit', 'n_grayordinates']
    assert 'atlas_share' in found
    assert not numbers.any()


def test_nan_outside_the_mask_does_no_harm():
    statistic = np.full(N, np.nan)
    part = BRAIN.models.where(STEM)
    statistic[part] = 2.0
    found, _ = table(mark(part), statistic, np.where(np.isnan(statistic), np.nan, 0.01))
    assert found['peak_value'].tolist() == [2.0]


def test_names_in_words():
    assert structure_name('CIFTI_STRUCTURE_CORTEX_LEFT') == 'cortex left'
    assert (
        structure_name('CIFTI_STRUCTURE_DIENCEPHALON_VENTRAL_RIGHT')
        == 'diencephalon ventral right'
    )


def test_arrays_of_another_map_are_refused():
    with pytest.raises(InputError, match=f'have {N} grayordinates, the maps 3'):
        table(np.zeros(3, bool), np.ones(N), np.ones(N))
    with pytest.raises(InputError, match='same map'):
        table(np.zeros(N, bool), np.ones(N), np.ones(N), {'atlas': np.array(['a'])})
