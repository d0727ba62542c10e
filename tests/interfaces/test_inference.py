"""One analysis: what is tested, with which rows, and the table of clusters."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from nipype.interfaces.base import TraitError

from ketbids.errors import InputError
from ketbids.interfaces.inference import DIRECTED, PLAIN, ClusterTables, GroupTest, read_effects
from ketbids.interfaces.reports import AnalysisFigures
from ketbids.io.cifti import read_maps, write_maps
from ketbids.io.files import read_json
from ketbids.io.tables import read_table, write_table
from tests.interfaces.files import BrainFiles
from tests.stats.small_brain import LEFT

N = 8


@pytest.fixture
def data(brain):
    """Maps of 8 people with an effect in the left cortex."""
    values = np.random.default_rng(0).normal(size=(N, len(brain.models)))
    values[:, brain.models.where(LEFT)] += 4
    return values


@pytest.fixture
def test_group(brain, tmp_path):
    left, right = brain.pair()

    def run(rows, predictors=('Intercept',), weights=(1.0,), **options):
        design = tmp_path / 'design.tsv'
        write_table(design, rows)
        given = {'scheme': 'flips', 'n_shuffles': 64, 'seed': 0, 'tails': 'two', **options}
        return GroupTest(
            design_file=str(design),
            base_directory=str(tmp_path),
            predictors=list(predictors),
            weights=list(weights),
            left_midthickness=[left] * len(rows),
            right_midthickness=[right] * len(rows),
            **given,
        ).run().outputs  # fmt: skip

    return run


def one_sample(brain, data):
    paths = [Path(brain.map(f'm{n}', values)).name for n, values in enumerate(data)]
    people = [f'sub-{n}' for n in range(len(data))]
    return pd.DataFrame({'participant_id': people, 'path': paths, 'Intercept': 1.0})


def values(path):
    return read_maps(Path(path))[0][0]


@pytest.mark.parametrize(('tails', 'directions'), [
    ('two', ['pos', 'neg']), ('each', ['pos', 'neg']), ('positive', ['pos'])
])  # fmt: skip
def test_files(brain, data, test_group, tails, directions):
    found = test_group(one_sample(brain, data), tails=tails)
    names = [*PLAIN, *(f'{statistic}_{d}' for d in directions for statistic in DIRECTED)]
    assert sorted(found.maps) == sorted(names)
    assert [Path(path).name for path in found.plain] == [f'{n}.dscalar.nii' for n in PLAIN]
    assert [Path(path).name for path in found.pos] == [f'{n}_pos.dscalar.nii' for n in DIRECTED]
    assert isinstance(found.neg, list) == (tails != 'positive')
    assert len(read_table(Path(found.nullmax))) == 64
    summary = json.loads(Path(found.summary).read_text())
    assert list(summary['SmallestP']) == directions
    assert summary['TotalAlpha'] == (0.1 if tails == 'each' else 0.05)
    assert summary['NumberOfMaps'] == N
    assert summary['DegreesOfFreedom'] == N - 1
    assert summary['Grayordinates'] == len(brain.models)


def test_the_planted_effect_is_found(brain, data, test_group):
    found = test_group(one_sample(brain, data), n_shuffles=256)
    np.testing.assert_allclose(values(found.maps['effect']), data.mean(axis=0), atol=1e-5)
    expected = data.mean(axis=0) / (data.std(axis=0, ddof=1) / np.sqrt(N))
    np.testing.assert_allclose(values(found.maps['t']), expected, rtol=1e-4, atol=1e-4)
    pfwe = values(found.maps['pfwe_pos'])
    left = brain.models.where(LEFT)
    assert (pfwe[left] < 0.05).all()
    assert (np.delete(pfwe, np.arange(left.start, left.stop)) > 0.05).mean() > 0.9
    np.testing.assert_allclose(
        values(found.maps['logpfwe_pos']), -np.log10(pfwe), rtol=1e-5, atol=1e-6
    )
    summary = json.loads(Path(found.summary).read_text())
    assert summary['SignificantGrayordinates']['pos'] == int((pfwe < 0.05).sum())
    assert summary['SmallestP']['pos'] == pytest.approx(pfwe.min())
    assert summary['Exhaustive']


def test_how_large_and_how_sure(brain, data, test_group):
    """Of two groups: pooled, and by hand; where a map is missing with the rest."""
    data[7, 5] = np.nan
    group = np.array([1.0, 0, 0, 1, 1, 0, 0, 0])
    rows = one_sample(brain, data)
    rows['a'], rows['b'] = group, 1 - group
    given = {'scheme': 'permutations', 'n_shuffles': 8, 'min_coverage': 0.8}
    found = test_group(rows, ('a', 'b'), (1.0, -1.0), **given)
    maps = {name: values(found.maps[name]).astype(float) for name in PLAIN}
    for column, present in ((3, np.arange(8)), (5, np.arange(7))):
        one = data[present[group[present] == 1], column]
        other = data[present[group[present] == 0], column]
        squares = one.var() * len(one) + other.var() * len(other)
        dof = len(present) - 2
        pooled = np.sqrt(squares / dof)
        effect = one.mean() - other.mean()
        error = pooled * np.sqrt(1 / len(one) + 1 / len(other))
        reach = scipy.stats.t.ppf(0.975, dof) * error
        expected = {'effect': effect, 'stderr': error, 'cilow': effect - reach}
        expected |= {'cihigh': effect + reach, 'cohend': effect / pooled, 'n': len(present)}
        for name, value in expected.items():
            assert maps[name][column] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize(('within', 'joined'), [(False, True), (True, False)])
def test_voxels_of_other_structures(brain, data, test_group, atlas_files, within, joined):
    """Putamen and pallidum touch: one cluster, or two if none may cross."""
    data[:, ~brain.models.is_surface] += 5
    rows = one_sample(brain, data)
    found = test_group(rows, n_shuffles=256, connectivity=18, within_structure=within)
    summary = json.loads(Path(found.summary).read_text())
    assert (summary['Connectivity'], summary['WithinStructure']) == (18, within)
    table = read_table(Path(tables(brain, found, atlas_files).table))
    voxels = table[~table['structure'].str.startswith('cortex')]
    assert len(voxels) == (2 if joined else 3)


def test_joint_rule_and_kind_of_tfce(brain, data, test_group):
    rows = one_sample(brain, data)
    smallest = {}
    for joint in ('minp', 'bonferroni', 'sidak'):
        found = test_group(rows, n_shuffles=256, joint=joint, tfce='100')
        summary = json.loads(Path(found.summary).read_text())
        assert (summary['JointCorrection'], summary['TFCE']) == (joint, 'sum over 100 heights')
        smallest[joint] = summary['SmallestP']['pos']
    # The largest of 256 flips, and its mirror image; cortex and voxels.
    assert smallest['bonferroni'] == pytest.approx(2 * 2 / 256)
    assert smallest['sidak'] == pytest.approx(1 - (1 - 2 / 256) ** 2)
    heights = values(found.maps['tfce_pos'])
    exact = test_group(rows, n_shuffles=256)
    assert json.loads(Path(exact.summary).read_text())['TFCE'] == 'exact integral'
    integral = values(exact.maps['tfce_pos'])
    assert not np.array_equal(heights, integral)
    assert heights.max() == pytest.approx(integral.max(), rel=0.05)


def test_groups_may_vary_differently(brain, data, test_group):
    """Without covariates v is the t of Welch."""
    group = np.array([1.0, 1, 1, 0, 0, 0, 0, 0])
    data[group == 1] *= 4
    rows = one_sample(brain, data)
    rows['g[a]'], rows['g[b]'] = group, 1 - group
    given = {'scheme': 'permutations', 'n_shuffles': 100}
    columns = ('g[a]', 'g[b]')
    for groups in ([], list(columns)):
        found = test_group(rows, columns, (1.0, -1.0), variance_columns=groups, **given)
        summary = json.loads(Path(found.summary).read_text())
        assert summary['VarianceGroups'] == (2 if groups else 1)
        warned = any('VarianceGroups in the model' in w for w in summary['Warnings'])
        assert warned == (not groups)
    welch = scipy.stats.ttest_ind(data[group == 1], data[group == 0], equal_var=False)
    np.testing.assert_allclose(values(found.maps['t']), welch.statistic, rtol=1e-4)
    low, high = welch.confidence_interval()
    np.testing.assert_allclose(values(found.maps['cilow']), low, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(values(found.maps['cihigh']), high, rtol=1e-3, atol=1e-3)
    data[7, 5] = np.nan
    rows['path'] = one_sample(brain, data)['path']
    with pytest.raises(InputError, match='take VarianceGroups out of the analysis'):
        test_group(
            *(rows, columns, (1.0, -1.0)),
            variance_columns=list(columns),
            min_coverage=0.8,
            **given,
        )


def test_a_difference_is_a_subtraction(brain, data, test_group):
    other = np.random.default_rng(1).normal(size=data.shape)
    direct = test_group(one_sample(brain, data - other))
    rows = one_sample(brain, data)
    rows['minus_path'] = [Path(brain.map(f'o{n}', v)).name for n, v in enumerate(other)]
    paired = test_group(rows)
    for name in ('effect', 't', 'z', 'tfce_pos'):
        np.testing.assert_allclose(
            values(paired.maps[name]), values(direct.maps[name]), rtol=1e-3, atol=1e-3
        )
    for direction in ('pos', 'neg'):
        np.testing.assert_array_equal(
            values(paired.maps[f'pfwe_{direction}']), values(direct.maps[f'pfwe_{direction}'])
        )


def test_maps_and_rows_belong_together_by_path(brain, data, test_group):
    """Maps whose files sort in another order than the rows go with their own predictor."""
    rows = one_sample(brain, data)
    group = np.array([1.0, 0, 0, 1, 1, 0, 1, 0])
    rows['a'], rows['b'] = group, 1 - group
    mixed = rows.iloc[[3, 0, 7, 1, 6, 2, 5, 4]]
    predictors, weights = ('a', 'b'), (1.0, -1.0)
    options = {'scheme': 'permutations', 'n_shuffles': 1000}
    found = [test_group(r, predictors, weights, **options) for r in (rows, mixed)]
    expected = data[group == 1].mean(axis=0) - data[group == 0].mean(axis=0)
    for result in found:
        np.testing.assert_allclose(values(result.maps['effect']), expected, atol=1e-5)
    # All permutations are enumerated, so that their order does not matter either.
    for name in ('t', 'tfce_pos', 'puncorrected_pos', 'pfwe_pos', 'pfwe_neg'):
        np.testing.assert_allclose(*(values(r.maps[name]) for r in found), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('options', [{'num_threads': 2}, {}])
def test_repeats_are_equal_to_the_last_bit(brain, data, test_group, tmp_path, options):
    rows = one_sample(brain, data)
    stored = []
    for given in ({}, options):
        maps = test_group(rows, n_shuffles=50, **given).maps
        stored.append({name: values(path) for name, path in maps.items()})
    for name, first in stored[0].items():
        np.testing.assert_array_equal(stored[1][name], first)


def test_missing_data_leave_the_mask(brain, data, test_group):
    data[2, 5] = np.nan
    found = test_group(one_sample(brain, data))
    summary = json.loads(Path(found.summary).read_text())
    assert summary['GrayordinatesInMask'] == data.shape[1] - 1
    assert summary['MinimumCoverage'] == 1
    assert (summary['GrayordinatesIncomplete'], summary['GrayordinatesLost']) == (0, 1)
    for name, path in found.maps.items():
        expected = [] if name in ('n', 'coverage') else [5]
        assert np.flatnonzero(np.isnan(values(path))).tolist() == expected
    assert values(found.maps['n'])[4:7].tolist() == [8, 7, 8]
    coverage = values(found.maps['coverage'])
    assert coverage[5] == pytest.approx(7 / 8)
    assert (np.delete(coverage, 5) == 1).all()


def test_a_lower_minimum_tests_what_has_values(brain, data, test_group):
    data[2, 5] = np.nan
    data[:3, 6] = np.inf
    data[:, 7] = np.nan
    found = test_group(one_sample(brain, data), n_shuffles=256, min_coverage=0.8)
    summary = json.loads(Path(found.summary).read_text())
    assert summary['MinimumCoverage'] == 0.8
    assert summary['GrayordinatesInMask'] == data.shape[1] - 2
    assert (summary['GrayordinatesIncomplete'], summary['GrayordinatesLost']) == (1, 1)
    assert any('1 of the' in s and 'they have 7 of 8' in s for s in summary['Warnings'])
    rest = np.delete(data[:, 5], 2)
    assert values(found.maps['effect'])[5] == pytest.approx(rest.mean(), rel=1e-5)
    expected = rest.mean() / (rest.std(ddof=1) / np.sqrt(7))
    assert values(found.maps['t'])[5] == pytest.approx(expected, rel=1e-4)
    assert values(found.maps['variance'])[5] == pytest.approx(rest.var(ddof=1) / 7, rel=1e-4)
    np.testing.assert_allclose(values(found.maps['coverage'])[4:9], [1, 7 / 8, 5 / 8, 0, 1])
    for name in ('z', 'tfce_pos', 'pfwe_neg'):
        assert np.flatnonzero(np.isnan(values(found.maps[name]))).tolist() == [6, 7]


def test_the_map_that_costs_most_is_named(brain, data, test_group):
    data[2, 5:15] = np.nan
    rows = one_sample(brain, data).assign(session_id='ses-TP1')
    summary = json.loads(Path(test_group(rows).summary).read_text())
    assert any('sub-2 ses-TP1 costs most: 10 of them' in s for s in summary['Warnings'])
    rows = rows.assign(minus_session_id='ses-TP3', minus_path=rows['path'].iloc[0])
    summary = json.loads(Path(test_group(rows, n_shuffles=8).summary).read_text())
    assert any('sub-2 ses-TP1 minus ses-TP3 costs most' in s for s in summary['Warnings'])
    unnamed = one_sample(brain, data).drop(columns='participant_id')
    summary = json.loads(Path(test_group(unnamed, n_shuffles=8).summary).read_text())
    assert any('m2.dscalar.nii costs most' in s for s in summary['Warnings'])


def test_a_difference_lacks_what_either_map_lacks(brain, data, test_group):
    other = np.random.default_rng(1).normal(size=data.shape)
    data[2, 5] = other[3, 6] = np.nan
    rows = one_sample(brain, data)
    rows['minus_path'] = [Path(brain.map(f'o{n}', v)).name for n, v in enumerate(other)]
    coverage = values(test_group(rows, n_shuffles=4).maps['coverage'])
    np.testing.assert_allclose(coverage[4:8], [1, 7 / 8, 7 / 8, 1])


@pytest.mark.parametrize('share', [0.0, 1.1])
def test_a_minimum_that_is_no_share_is_refused(share):
    with pytest.raises(TraitError):
        GroupTest(min_coverage=share)


def test_other_brain_models_name_the_files(brain, data, tmp_path):
    (tmp_path / 'fine').mkdir()
    BrainFiles(tmp_path / 'fine', level=2).map('odd', 1.0)
    rows = one_sample(brain, data)
    rows.loc[3, 'path'] = 'fine/odd.dscalar.nii'
    with pytest.raises(InputError, match=r'fine/odd\.dscalar\.nii .*m0\.dscalar\.nii'):
        read_effects(rows, tmp_path)


def test_maps_of_other_brain_models_are_not_tested(brain, data, test_group, tmp_path):
    """As many grayordinates, but others: both files are named."""
    models = brain.models
    vertex = models.vertex.copy()
    vertex[0] = np.setdiff1d(np.arange(models.n_vertices[LEFT]), vertex[models.where(LEFT)])[0]
    other = dataclasses.replace(models, vertex=vertex)
    write_maps(tmp_path / 'odd.dscalar.nii', {'odd': data[0]}, other)
    rows = one_sample(brain, data)
    rows.loc[3, 'path'] = 'odd.dscalar.nii'
    with pytest.raises(InputError, match=r'odd\.dscalar\.nii .*m0\.dscalar\.nii'):
        test_group(rows)
    rows = one_sample(brain, data)
    rows['minus_path'] = [*rows['path'][:-1], 'odd.dscalar.nii']
    with pytest.raises(InputError, match=r'odd\.dscalar\.nii .*m0\.dscalar\.nii'):
        test_group(rows)


def test_missing_map_is_named(brain, data, tmp_path):
    rows = one_sample(brain, data)
    rows.loc[3, 'path'] = 'gone.dscalar.nii'
    with pytest.raises(InputError, match=r'gone\.dscalar\.nii does not exist'):
        read_effects(rows, tmp_path)


@pytest.fixture
def atlas_files(brain):
    keys = np.where(brain.models.is_surface, 1 + (np.arange(len(brain.models)) % 2), 0)
    names = {0: '???', 1: 'L_one', 2: 'L_two'}
    return {
        'desikan_killiany': brain.labels('dk', keys, names),
        'yeo7': brain.labels('yeo', np.minimum(keys, 1), {0: '???', 1: 'Default'}),
    }


def tables(brain, found, atlas_files):
    interface = ClusterTables(
        maps=found.maps,
        summary=found.summary,
        extent=found.extent,
        midthickness=list(brain.pair('mean')),
        **atlas_files,
    )
    return interface.run().outputs


def test_clusters(brain, data, test_group, atlas_files):
    data[:, -18:] -= 6  # the brain stem, apart from the rest
    found = test_group(one_sample(brain, data), n_shuffles=256)
    made = tables(brain, found, atlas_files)
    table = read_table(Path(made.table))
    numbers = read_maps(Path(made.clusters))[0]
    described = json.loads(
        (Path(__file__).parents[2] / 'ketbids' / 'data' / 'columns.json').read_text()
    )
    assert set(table.columns) == set(described['group_clusters'])
    largest = table.sort_values('n_grayordinates').groupby('direction').last()
    assert largest.loc['pos', 'structure'] == 'cortex left'
    assert largest.loc['pos', 'unit'] == 'mm2'
    assert largest.loc['pos', 'yeo7'] == 'Default'
    assert largest.loc['pos', 'desikan_killiany'] in ('L_one', 'L_two')
    assert largest.loc['neg', 'structure'] == 'brain stem'
    assert largest.loc['neg', 'unit'] == 'mm3'
    assert largest.loc['neg', 'size'] == 18 * 8
    for row, direction in zip(numbers, ('pos', 'neg'), strict=True):
        significant = values(found.maps[f'pfwe_{direction}']) < 0.05
        np.testing.assert_array_equal(row > 0, significant)
        own = table[table['direction'] == direction]
        for cluster, n in zip(own['cluster'], own['n_grayordinates'], strict=True):
            assert (row == cluster).sum() == n


def test_clusters_and_pictures_of_incomplete_maps(brain, data, test_group, atlas_files):
    """What lacks values in some maps is in a cluster; what is not tested splits it."""
    left = brain.models.where(LEFT)
    data[0, left.start : left.start + 6] = np.nan
    data[:4, left.start + 6] = np.nan
    found = test_group(one_sample(brain, data), n_shuffles=256, min_coverage=0.8)
    assert (values(found.maps['pfwe_pos'])[left.start : left.start + 6] < 0.05).all()
    made = tables(brain, found, atlas_files)
    numbers = read_maps(Path(made.clusters))[0]
    table = read_table(Path(made.table))
    assert (numbers[0, left.start : left.start + 6] > 0).all()
    assert numbers[0, left.start + 6] == 0
    assert np.isfinite(table[['size', 'peak_value', 'peak_p', 'x', 'y', 'z']]).all().all()
    assert table['n_grayordinates'].sum() == (numbers > 0).sum()
    figure = AnalysisFigures(
        title='mean', maps=found.maps, summary=found.summary, inflated=list(brain.pair('inflated'))
    )
    picture = Path(figure.run().outputs.figure).read_bytes()
    assert picture.startswith(b'\x89PNG')


def test_no_clusters(brain, test_group, atlas_files):
    noise = np.random.default_rng(5).normal(size=(5, len(brain.models)))
    found = test_group(one_sample(brain, noise))  # 32 flips: no p below .05 both ways
    table = read_table(Path(tables(brain, found, atlas_files).table))
    assert len(table) == 0
    assert {'direction', 'cluster', 'peak_p', 'structure'} <= set(table.columns)


def test_nothing_is_claimed_where_alpha_may_be_out_of_reach(brain, test_group, atlas_files):
    """6 maps: 64 flips, 2 partitions, both tails; one effect in all of the brain."""
    strong = np.random.default_rng(2).normal(size=(6, len(brain.models))) * 0.1 + 3
    found = test_group(one_sample(brain, strong))
    summary = read_json(Path(found.summary))
    assert summary['LowestP'] == 4 / 64
    assert summary['SmallestP']['pos'] == 2 / 64  # cortex and subcortex at once
    assert summary['ClaimBelow'] == 0
    assert summary['SignificantGrayordinates'] == {'pos': 0, 'neg': 0}
    assert any('no familywise claim is made' in sentence for sentence in summary['Warnings'])
    assert len(read_table(Path(tables(brain, found, atlas_files).table))) == 0
