"""The runs of a session together."""

import json
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.interfaces.combineruns import CombineRuns, joint_metadata
from ketbids.io.cifti import read_maps, write_maps
from ketbids.io.preprocessed import AVERAGE_SURFACES
from tests.stats.small_brain import SmallBrain


def described(brain, *sidecars, **inputs):
    """Sidecars of the combination of two runs."""
    return CombineRuns(
        contrasts=[['a'], ['a']],
        effect=[[brain.map(f'e{n}', 1.0)] for n in range(2)],
        variance=[[brain.map(f'v{n}', 1.0)] for n in range(2)],
        sidecars=[[{'DegreesOfFreedomNominal': 10, **sidecar}] for sidecar in sidecars],
        series_files=['one.dtseries.nii', 'two.dtseries.nii'],
        **inputs,
    ).run().outputs.sidecars  # fmt: skip


class TestCombination:
    @pytest.fixture
    def combine(self, brain):
        def run(*runs):
            """Each run: contrast -> (effect, variance, dof)."""
            inputs = {'contrasts': [], 'effect': [], 'variance': [], 'sidecars': []}
            for number, run in enumerate(runs):
                inputs['contrasts'].append(list(run))
                for which, field in enumerate(('effect', 'variance')):
                    inputs[field].append(
                        [brain.map(f'{field}{number}{n}', v[which]) for n, v in run.items()]
                    )
                inputs['sidecars'].append(
                    [{'Contrast': n, 'DegreesOfFreedomNominal': v[2]} for n, v in run.items()]
                )
            return CombineRuns(**inputs).run(cwd=mkdtemp(dir=brain.folder)).outputs

        return run

    def test_weights_are_precisions(self, combine):
        found = combine({'a': (2.0, 1.0, 100)}, {'a': (6.0, 3.0, 90)})
        values = {
            s: read_maps(Path(getattr(found, s)[0]))[0][0] for s in ('effect', 'variance', 't')
        }
        np.testing.assert_allclose(values['effect'], (2 / 1 + 6 / 3) / (1 + 1 / 3))
        np.testing.assert_allclose(values['variance'], 0.75)
        np.testing.assert_allclose(values['t'], 3 / np.sqrt(0.75), rtol=1e-6)
        sidecar = found.sidecars[0]
        assert (sidecar['DegreesOfFreedomNominal'], sidecar['Runs']) == (190, 2)
        assert sidecar['Contrast'] == 'a'

    def test_a_contrast_that_one_run_lacks(self, combine):
        found = combine({'a': (2.0, 1.0, 100)}, {'b': (5.0, 1.0, 90), 'a': (4.0, 1.0, 90)})
        assert found.contrasts == ['a', 'b']
        means = [read_maps(Path(path))[0].mean() for path in found.effect]
        np.testing.assert_allclose(means, [3, 5])
        assert [s['Runs'] for s in found.sidecars] == [2, 1]
        assert [s['DegreesOfFreedomNominal'] for s in found.sidecars] == [190, 90]
        assert [Path(path).name for path in found.z] == ['z_a.dscalar.nii', 'z_b.dscalar.nii']

    def test_runs_of_other_grayordinates_are_named(self, brain, tmp_path, combine):
        other = SmallBrain(1, volume=False).models
        path = tmp_path / 'few.dscalar.nii'
        few = [str(write_maps(path, {'a': np.ones(len(other))}, other))]
        with pytest.raises(InputError, match='do not have the same brain models') as caught:
            CombineRuns(
                contrasts=[['a'], ['a']],
                effect=[[brain.map('e', 1.0)], few],
                variance=[[brain.map('v', 1.0)], few],
                sidecars=[[{'DegreesOfFreedomNominal': 10}]] * 2,
                series_files=['one.dtseries.nii', 'two.dtseries.nii'],
            ).run()
        sizes = f'two.dtseries.nii ({len(other)} grayordinates) and one.dtseries.nii'
        assert sizes in str(caught.value)

    def test_units_must_be_the_same(self, brain):
        with pytest.raises(
            InputError, match=r'mean was removed from two\.\S+ but not from one\.'
        ) as e:
            described(brain, {'MeanSignal': 10000.0}, {'MeanSignal': None})
        assert '--run-id' in str(e.value)

    @pytest.mark.parametrize(
        ('heights', 'expected'), [((0.2, 0.205), 0.2), ((0.2, 0.22), [0.2, 0.22])]
    )
    def test_peaks_that_differ_are_told(self, brain, heights, expected):
        (found,) = described(
            brain,
            *({'RegressorPeaks': {'go': height, 'stop': 0.1}} for height in heights),
            metadata=[{'Caveat': 'Before.'}] * 2,
        )
        assert found['RegressorPeaks'] == {'go': expected, 'stop': 0.1}
        assert found['Caveat'].startswith('Before.')
        differ = isinstance(expected, list)
        assert ('not defined by one peak' in found['Caveat']) == differ

    def test_what_differs_between_runs_is_a_list(self, brain):
        one = {'RepetitionTime': 0.8, 'SliceTimingReference': 0.5, 'NotEstimable': {}}
        other = {**one, 'RepetitionTime': 2.0, 'NotEstimable': {'b': 'no trials'}}
        (found,) = described(brain, one, other)
        assert found['RepetitionTime'] == [0.8, 2.0]
        assert found['SliceTimingReference'] == 0.5
        assert found['NotEstimable'] == [{}, {'b': 'no trials'}]
        assert 'Caveat' not in found
        assert 'RegressorPeaks' not in found

    def test_runs_that_are_not_in_a_map_are_not_among_its_sources(self, brain):
        """Sidecars describe the runs of each map; the others stand there with their reasons."""
        metadata = [
            {'Sources': [f'bold{n}', f'events{n}'], 'SmoothingAddedFWHM': float(n)}
            for n in (1, 2, 3)
        ]
        has = [['a', 'b'], ['a'], ['b']]
        found = CombineRuns(
            contrasts=has,
            effect=[[brain.map(f'e{n}{c}', 1.0) for c in of] for n, of in enumerate(has)],
            variance=[[brain.map(f'v{n}{c}', 1.0) for c in of] for n, of in enumerate(has)],
            sidecars=[
                [{'Contrast': c, 'DegreesOfFreedomNominal': 10} for c in of] for of in has
            ],
            not_estimable=[{}, {'b': 'no trials of x in this run'}, {'a': 'too'}],
            labels=['run-1', 'run-2', 'run-3'],
            metadata=metadata,
        ).run(cwd=mkdtemp(dir=brain.folder)).outputs.sidecars  # fmt: skip
        a, b = found
        assert a['Sources'] == ['bold1', 'events1', 'bold2', 'events2']
        assert b['Sources'] == ['bold1', 'events1', 'bold3', 'events3']
        assert b['SmoothingAddedFWHM'] == [1.0, 3.0]
        assert (b['Runs'], b['RunsUsed']) == (2, ['run-1', 'run-3'])
        assert b['RunsLeftOut'] == {'run-2': 'no trials of x in this run'}
        assert a['RunsLeftOut'] == {'run-3': 'too'}

    def test_order_of_runs_does_not_matter(self, combine):
        rng = np.random.default_rng(0)
        runs = [{'a': (rng.normal(), rng.uniform(1, 2), 100)} for _ in range(3)]
        one, other = combine(*runs), combine(*runs[::-1])
        for a, b in zip(one.z, other.z, strict=True):
            np.testing.assert_allclose(read_maps(Path(a))[0], read_maps(Path(b))[0], rtol=1e-6)

    def test_degrees_of_freedom_are_those_of_the_runs_with_data(self, brain, combine):
        variance = np.ones(len(brain.models))
        variance[3] = np.nan
        found = combine({'a': (2.0, variance, 10)}, {'a': (2.0, 1.0, 5)})
        z = read_maps(Path(found.z[0]))[0][0]
        expected = stats.norm.isf(stats.t.sf(2.0, 5))
        assert z[3] == pytest.approx(expected, rel=1e-6)
        expected = stats.norm.isf(stats.t.sf(2.0 * np.sqrt(2), 15))
        np.testing.assert_allclose(np.delete(z, 3), expected, rtol=1e-6)

    def test_a_run_without_contrasts(self, brain, combine):
        found = combine({}, {'a': (4.0, 1.0, 90)})
        assert found.contrasts == ['a']
        assert found.sidecars[0]['Runs'] == 1

    def test_no_run_with_contrasts(self, brain):
        found = (
            CombineRuns(
                contrasts=[[], []],
                effect=[[], []],
                variance=[[], []],
                sidecars=[[], []],
                f_contrasts=[[], []],
                f_joint=[[], []],
                f_sidecars=[[], []],
                not_estimable=[{'a': 'no trial of x'}, {'a': 'no trial of y'}],
                series_files=['one.dtseries.nii', 'two.dtseries.nii'],
            )
            .run()
            .outputs
        )
        for name in ('contrasts', 'effect', 'z', 'sidecars', 'f_contrasts', 'f', 'f_sidecars'):
            assert getattr(found, name) == [], name

    def test_sums_and_reasons(self, brain):
        one = {'ComponentsRemoved': 30, 'DegreesOfFreedomEffective': 20.0, 'FewTrials': 'one'}
        (found,) = described(brain, one, {**one, 'ComponentsRemoved': 12, 'FewTrials': None})
        assert found['ComponentsRemoved'] == 42
        assert found['DegreesOfFreedomEffective'] == 40
        assert found['FewTrials'] == ['one', None]
        # Of one run it is not known.
        counted = {**one, 'DegreesOfFreedomCaveat': 'lower by these'}
        for order in ((counted, {}), ({}, counted)):
            (found,) = described(brain, *order)
            assert not {'ComponentsRemoved', 'DegreesOfFreedomEffective'} & set(found)
            assert 'not known for all of these runs' in found['DegreesOfFreedomCaveat']
        assert described(brain, counted, counted)[0]['DegreesOfFreedomCaveat'] == 'lower by these'
        json.dumps(found)


class TestF:
    def run(self, brain, number, effects, covariances, df=50, name='any'):
        n = len(brain.models)
        values = [*effects, *covariances]
        maps = {f'm{i}': np.broadcast_to(float(v), n) for i, v in enumerate(values)}
        path = brain.folder / f'joint{number}.dscalar.nii'
        sidecar = {
            'Contrast': name,
            'DegreesOfFreedomNominal': df,
            'DegreesOfFreedomNumerator': len(effects),
            'ConditionWeights': [{str(i): 1.0} for i in range(len(effects))],
        }
        return [name], [str(write_maps(path, maps, brain.models))], [sidecar]

    def combine(self, *runs):
        names, joint, sidecars = zip(*runs, strict=True)
        nothing = [[] for _ in runs]
        return CombineRuns(
            contrasts=nothing,
            effect=nothing,
            variance=nothing,
            sidecars=nothing,
            f_contrasts=list(names),
            f_joint=list(joint),
            f_sidecars=list(sidecars),
        ).run().outputs  # fmt: skip

    def test_two_runs(self, brain):
        e, v = np.array([[1.0, 2.0], [2.0, -1.0]]), [(1.0, 0.3, 2.0), (3.0, -0.5, 1.0)]
        found = self.combine(*(self.run(brain, i, e[i], v[i]) for i in (0, 1)))
        precision = [np.linalg.inv([[a, b], [b, c]]) for a, b, c in v]
        total = sum(precision)
        mean = np.linalg.solve(total, sum(p @ x for p, x in zip(precision, e, strict=True)))
        f = mean @ total @ mean / 2
        assert found.f_contrasts == ['any']
        np.testing.assert_allclose(read_maps(Path(found.f[0]))[0], f, rtol=1e-5)
        z = stats.norm.isf(stats.f.sf(f, 2, 100))
        np.testing.assert_allclose(read_maps(Path(found.f_z[0]))[0], z, rtol=1e-4)
        (sidecar,) = found.f_sidecars
        assert (sidecar['DegreesOfFreedomNominal'], sidecar['Runs']) == (100, 2)
        assert sidecar['DegreesOfFreedomNumerator'] == 2

    def test_rows_that_are_not_the_same(self, brain):
        one = self.run(brain, 0, [1.0, 2.0], (1.0, 0.3, 2.0))
        other = self.run(brain, 1, [1.0], (1.0,))
        with pytest.raises(InputError, match='F contrast any has other rows'):
            self.combine(one, other)


def test_metadata_of_runs_that_differ():
    own, average = "participant's own", AVERAGE_SURFACES
    one = {'Sources': ['x'], 'Confounds': [], 'Surfaces': own, 'Preprocessing': 'fMRIPrep'}
    one |= {'Smoother': 'none', 'HRFModel': 'spm'}
    other = {'Sources': ['y'], 'Confounds': ['24'], 'Surfaces': average, 'Caveat': 'c'}
    other |= {'Preprocessing': 'HCP pipelines', 'Smoother': 'native', 'HRFModel': 'spm'}
    assert joint_metadata([one, other, one]) == {
        'Sources': ['x', 'y'],
        'Confounds': ['none', '24'],
        'Surfaces': average,
        'Preprocessing': 'HCP pipelines and fMRIPrep',
        'Smoother': 'native',
        'HRFModel': 'spm',
    }
    assert joint_metadata([other, other]) == other
