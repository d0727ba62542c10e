"""The participant level's interfaces, on a brain of a hundred grayordinates."""

import json
from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.firstlevel import CombineRuns, FitGLM, SmoothSeries, read_surfaces
from ketbids.interfaces.rundesign import BuildRunDesign, CodeTrials
from ketbids.io.cifti import read_maps, read_series, write_maps
from ketbids.io.tables import read_table
from tests.interfaces.files import (
    CONDITIONS,
    CONTRASTS,
    RESPONSE,
    TR,
    BrainFiles,
    write_events,
    write_movement,
)
from tests.stats.small_brain import LEFT, RIGHT, SmallBrain

N_VOLUMES = 170
NAMES = [condition['name'] for condition in CONDITIONS]


def code(events, series, **inputs):
    interface = CodeTrials(
        events_file=events, series_file=series, conditions=CONDITIONS, **RESPONSE, **inputs
    )
    return interface.run().outputs.out_file


def build(trials, series, **inputs):
    options = {'conditions': NAMES, 'contrasts': CONTRASTS, 'hrf_model': 'spm', 'high_pass': 0.005}
    return BuildRunDesign(
        trials_file=trials, series_file=series, **{**options, **inputs}
    ).run().outputs  # fmt: skip


@pytest.fixture
def series(brain):
    return brain.series('bold', brain.noise(N_VOLUMES))


@pytest.fixture
def trials(tmp_path, series):
    return code(write_events(tmp_path / 'events.tsv'), series)


class TestTrials:
    def test_rows_and_columns(self, tmp_path, trials):
        events, coded = read_table(tmp_path / 'events.tsv'), read_table(Path(trials))
        assert list(coded.columns) == [
            'onset',
            'duration',
            'condition',
            'responded',
            'response_time',
            'note',
        ]
        np.testing.assert_allclose(coded['onset'], events['onset'])
        counts = coded['condition'].value_counts().to_dict()
        assert counts == {'correctGo': 45, 'correctNogo': 13, 'incorrectNogo': 2}

    def test_removed_volumes_shift_the_onsets(self, tmp_path, series):
        path = write_events(tmp_path / 'events.tsv')
        shifted = read_table(Path(code(path, series, drop_volumes=10)))['onset']
        np.testing.assert_allclose(shifted, read_table(Path(path))['onset'] - 10 * TR)

    @pytest.mark.parametrize('n_dropped', [159, 500])
    def test_events_before_the_first_volume(self, tmp_path, series, n_dropped):
        """The last event is from 126.5 to 127.1 s."""
        path = write_events(tmp_path / 'events.tsv')
        with pytest.raises(InputError, match='every event ends within') as caught:
            code(path, series, drop_volumes=n_dropped)
        seconds = f'{n_dropped} volumes ({n_dropped * TR:g} s)'
        for words in (path, series, seconds, '--drop-volumes'):
            assert words in str(caught.value)
        # An event that has begun still counts.
        code(path, series, drop_volumes=158)

    def test_events_after_the_end(self, brain, tmp_path):
        short = brain.series('short', brain.noise(100))
        path = write_events(tmp_path / 'events.tsv')
        with pytest.raises(InputError, match='--drop-volumes') as caught:
            code(path, short)
        for words in (path, short, '100 volumes', 'ends at 80 s', 'starts at 126.5 s'):
            assert words in str(caught.value)
        # Said to be without its first 60 volumes, the run goes on until 128 s.
        code(path, short, drop_volumes=60)

    def test_a_bad_row_names_the_file(self, tmp_path, series):
        path = tmp_path / 'events.tsv'
        path.write_text('onset\tduration\ttrial_type\tresponse_time\nsoon\t0.6\tgo\t0.4\n')
        with pytest.raises(InputError, match='soon') as caught:
            code(str(path), series)
        assert str(path) in str(caught.value)

    def test_missing_column_names_the_file(self, tmp_path, series):
        path = tmp_path / 'events.tsv'
        path.write_text('onset\tduration\ttrial_type\n1\t0.6\tgo\n')
        with pytest.raises(InputError, match='response_time') as caught:
            code(str(path), series)
        assert str(path) in str(caught.value)

    def test_a_model_without_responses(self, tmp_path, series):
        events = write_events(tmp_path / 'events.tsv')
        conditions = [{'name': 'go', 'where': {'trial_type': ('go',)}, 'response': None}]
        interface = CodeTrials(events_file=events, series_file=series, conditions=conditions)
        coded = read_table(Path(interface.run().outputs.out_file))
        assert coded['condition'].value_counts().to_dict() == {'go': 45}


class TestDesign:
    def test_design_and_contrasts(self, series, trials):
        found = build(trials, series)
        design = read_table(Path(found.design_file))
        plan = json.loads(Path(found.contrasts_file).read_text())
        assert len(design) == N_VOLUMES
        assert list(design.columns)[:3] == NAMES
        assert design.columns[-1] == 'constant'
        assert set(plan['weights']) == set(CONTRASTS)
        columns = list(design.columns)
        for name, weights in CONTRASTS.items():
            expected = [weights.get(column, 0) for column in columns]
            assert plan['weights'][name] == expected
        assert (plan['not_estimable'], plan['dropped']) == ({}, [])
        assert set(plan['peaks']) == set(NAMES)

    def test_a_condition_without_trials(self, tmp_path, series):
        trials = code(write_events(tmp_path / 'events.tsv', errors=False), series)
        found = build(trials, series)
        plan = json.loads(Path(found.contrasts_file).read_text())
        assert plan['dropped'] == ['incorrectNogo']
        assert set(plan['weights']) == {'nogoVsGo', 'correctGo'}
        assert list(plan['not_estimable']) == ['errors']
        assert 'incorrectNogo' in plan['not_estimable']['errors']
        assert 'incorrectNogo' not in read_table(Path(found.design_file)).columns

    def test_movement_enters_where_it_is_given(self, tmp_path, series, trials):
        plain = set(read_table(Path(build(trials, series).design_file)).columns)
        movement = write_movement(tmp_path / 'movement.txt', N_VOLUMES)
        found = build(trials, series, confounds_file=movement, origin='hcp', sets=['12'])
        assert len(set(read_table(Path(found.design_file)).columns) - plain) == 12
        found = build(trials, series, confounds_file=movement, origin='hcp', sets=[])
        assert set(read_table(Path(found.design_file)).columns) == plain

    def test_high_pass_of_zero_has_no_drifts(self, series, trials):
        design = read_table(Path(build(trials, series, high_pass=0.0).design_file))
        assert list(design.columns) == [*NAMES, 'constant']


def test_surfaces_of_the_wrong_side_or_mesh(brain, tmp_path):
    left, right = brain.pair()
    assert set(read_surfaces([left, right], brain.models)) == {LEFT, RIGHT}
    with pytest.raises(InputError, match=r'mid_R.* is a surface of .*RIGHT, not of .*LEFT'):
        read_surfaces([right, left], brain.models)
    (tmp_path / 'fine').mkdir()
    fine, _ = BrainFiles(tmp_path / 'fine', level=2).pair()
    with pytest.raises(InputError, match='has 162 vertices, the time series 42'):
        read_surfaces([fine, right], brain.models)


def test_smoothing_keeps_constants(brain):
    left, right = brain.pair()
    constant = np.full((3, len(brain.models)), 7.0) + np.arange(3)[:, None]
    path = brain.series('bold', constant)
    out = SmoothSeries(in_file=path, left_surface=left, right_surface=right, fwhm=20.0).run()
    np.testing.assert_allclose(read_series(out.outputs.out_file).data, constant, rtol=1e-5)


@pytest.fixture
def planted(brain, tmp_path):
    """Noise with 8 % signal of correct NoGo trials in the left cortex; its design."""
    plain = brain.series('plain', brain.noise(N_VOLUMES))
    found = build(code(write_events(tmp_path / 'events.tsv'), plain), plain)
    design = read_table(Path(found.design_file))
    data = brain.noise(N_VOLUMES, seed=1)
    here = brain.models.where(LEFT)
    data[:, here] += 800 * design[['correctNogo']].to_numpy()
    data[:, -1] = 0  # outside the field of view
    return brain.series('planted', data), found.design_file, found.contrasts_file


def fit(planted):
    series, design, contrasts = planted
    return FitGLM(series_file=series, design_file=design, contrasts_file=contrasts).run().outputs


class TestFit:
    def test_files(self, brain, planted):
        found = fit(planted)
        assert found.contrasts == list(CONTRASTS)
        assert found.density == brain.models.density
        for statistic in ('effect', 'variance', 't', 'z'):
            names = [Path(path).name for path in getattr(found, statistic)]
            assert names == [f'{statistic}_{name}.dscalar.nii' for name in CONTRASTS]

    def test_the_planted_signal_is_found_where_it_is(self, brain, planted):
        found = fit(planted)
        effect, models = read_maps(Path(found.effect[0]))
        variance, t, z = (read_maps(Path(f[0]))[0][0] for f in (found.variance, found.t, found.z))
        assert models.same_as(brain.models)
        left, right = models.where(LEFT), models.where(RIGHT)
        # 800 of a mean of 10000; the standard error of a grayordinate is about 80.
        assert effect[0][left].mean() == pytest.approx(800, abs=50)
        assert effect[0][right].mean() == pytest.approx(0, abs=50)
        inside = np.isfinite(t)
        np.testing.assert_allclose(
            t[inside], (effect[0] / np.sqrt(variance))[inside], rtol=1e-4, atol=1e-4
        )
        assert np.all(z[left] > 3)
        assert np.abs(z[right]).mean() < 1.6
        other = read_maps(Path(found.effect[1]))[0][0]
        assert np.abs(other[left]).mean() < 50

    def test_what_has_no_signal_is_nan(self, planted):
        found = fit(planted)
        for files in (found.effect, found.variance, found.t, found.z):
            for path in files:
                values = read_maps(Path(path))[0][0]
                assert np.isnan(values[-1])
                assert np.isfinite(values[:-1]).all()

    def test_sidecars(self, planted):
        found = fit(planted)
        for name, sidecar in zip(found.contrasts, found.sidecars, strict=True):
            assert sidecar['Contrast'] == name
            assert sidecar['ConditionWeights'] == CONTRASTS[name]
            assert sidecar['RepetitionTime'] == TR
            n_columns = read_table(Path(planted[1])).shape[1]
            assert sidecar['DegreesOfFreedom'] == N_VOLUMES - n_columns
            assert 'AR(6)' in sidecar['NoiseModel']
            assert sidecar['MeanSignal'] == pytest.approx(10000, rel=0.05)
            json.dumps(sidecar, allow_nan=False)

    def test_units_do_not_matter(self, brain, planted):
        data = read_series(Path(planted[0])).data
        scaled = brain.series('scaled', data * np.float32(0.37))
        ours, theirs = fit(planted), fit((scaled, *planted[1:]))
        for a, b in zip(ours.effect, theirs.effect, strict=True):
            one, two = read_maps(Path(a))[0], read_maps(Path(b))[0]
            np.testing.assert_allclose(one, two, rtol=1e-3, atol=0.5)

    @pytest.mark.parametrize(
        ('origin', 'mean', 'words'),
        [
            ('hcp', 12000, 'units of the input, whose grand mean is 10000'),
            ('hcp', 700, 'the grand mean of 10000 expected of this input was not found'),
            ('fmriprep', 12000, 'scaled by 0.83'),
            ('fmriprep', 700, 'scaled by 14.2'),
            ('fmriprep', 0, 'no percent signal change can be given'),
        ],
    )
    def test_units_by_origin(self, brain, planted, origin, mean, words):
        """Only data of the HCP pipelines have the grand mean by which effects are in percent."""
        data = brain.noise(N_VOLUMES) - 10000 + mean
        data[:, :3] += 1000
        found = FitGLM(
            series_file=brain.series('other', data),
            design_file=planted[1],
            contrasts_file=planted[2],
            origin=origin,
        ).run()
        (sidecar, *_) = found.outputs.sidecars
        assert words in sidecar['SignalUnits']
        assert sidecar['MeanSignal'] == (10000 if mean else None)

    def test_what_is_missing_is_counted(self, brain, planted):
        data = read_series(Path(planted[0])).data.copy()
        data[5, 0], data[7, 1], data[:, 2], data[3, 4] = np.nan, np.inf, 55.0, 3e38
        found = fit((brain.series('holes', data), *planted[1:]))
        values = read_maps(Path(found.effect[0]))[0][0]
        assert np.flatnonzero(np.isnan(values)).tolist() == [0, 1, 2, 4, len(values) - 1]
        assert found.sidecars[0]['GrayordinatesWithoutData'] == 5

    def test_no_data_at_all_names_the_series_before_smoothing(self, brain, planted):
        flat = brain.series('flat', np.full((N_VOLUMES, len(brain.models)), 3.0))
        with pytest.raises(InputError, match='every grayordinate is constant') as caught:
            FitGLM(
                series_file=flat,
                source_file=planted[0],
                design_file=planted[1],
                contrasts_file=planted[2],
            ).run()
        assert str(caught.value).startswith(planted[0])

    def test_volumes_without_anything_finite_are_named(self, brain, planted):
        data = brain.noise(N_VOLUMES)
        data[[6, 16]] = np.nan
        path = brain.series('lost', data)
        with pytest.raises(InputError, match=r'Nothing is finite in volumes 7, 17\. Preprocess'):
            fit((path, *planted[1:]))
        left, right = brain.pair()
        with pytest.raises(InputError, match='volumes 7, 17'):
            SmoothSeries(in_file=path, left_surface=left, right_surface=right, fwhm=5.0).run()

    def test_odd_series_are_told(self, brain, planted, caplog):
        data = brain.noise(N_VOLUMES)
        assert fit((brain.series('usual', data), *planted[1:])).notes == []
        data[30, 4] = 5e4
        data[100:] = 0
        path = brain.series('odd', data)
        constant, far = fit((path, *planted[1:])).notes
        assert 'the last 70 of 170 volumes are all the same' in constant
        assert '1 grayordinate has values more than 50 ' in far
        assert 'in volume 31: look at' in far
        assert f'{path}: the last 70' in caplog.text

    def test_dependent_columns_name_the_series(self, tmp_path, planted):
        design = read_table(Path(planted[1]))
        design['incorrectNogo'] = 2 * design['correctGo']
        path = tmp_path / 'dependent.tsv'
        design.to_csv(path, sep='\t', index=False)
        with pytest.raises(InputError, match='dependent columns: correctGo, incorrectNogo') as e:
            fit((planted[0], str(path), planted[2]))
        assert str(e.value).startswith(f'{planted[0]}: ')

    def test_nothing_to_estimate(self, tmp_path, planted):
        plan = json.loads(Path(planted[2]).read_text())
        plan |= {'weights': {}, 'not_estimable': {'nogoVsGo': 'no trial of correctNogo'}}
        path = tmp_path / 'plan.json'
        path.write_text(json.dumps(plan))
        with pytest.raises(InputError, match='no trial of correctNogo') as caught:
            fit((planted[0], planted[1], str(path)))
        assert planted[0] in str(caught.value)


def described(brain, *sidecars, **inputs):
    """Sidecars of the combination of two runs."""
    return CombineRuns(
        contrasts=[['a'], ['a']],
        effect=[[brain.map(f'e{n}', 1.0)] for n in range(2)],
        variance=[[brain.map(f'v{n}', 1.0)] for n in range(2)],
        sidecars=[[{'DegreesOfFreedom': 10, **sidecar}] for sidecar in sidecars],
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
                    [{'Contrast': n, 'DegreesOfFreedom': v[2]} for n, v in run.items()]
                )
            return CombineRuns(**inputs).run().outputs

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
        assert (sidecar['DegreesOfFreedom'], sidecar['Runs']) == (190, 2)
        assert sidecar['Contrast'] == 'a'

    def test_a_contrast_that_one_run_lacks(self, combine):
        found = combine({'a': (2.0, 1.0, 100)}, {'b': (5.0, 1.0, 90), 'a': (4.0, 1.0, 90)})
        assert found.contrasts == ['a', 'b']
        means = [read_maps(Path(path))[0].mean() for path in found.effect]
        np.testing.assert_allclose(means, [3, 5])
        assert [s['Runs'] for s in found.sidecars] == [2, 1]
        assert [s['DegreesOfFreedom'] for s in found.sidecars] == [190, 90]
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
                sidecars=[[{'DegreesOfFreedom': 10}]] * 2,
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
            caveat='Before.',
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

    def test_order_of_runs_does_not_matter(self, combine):
        rng = np.random.default_rng(0)
        runs = [{'a': (rng.normal(), rng.uniform(1, 2), 100)} for _ in range(3)]
        one, other = combine(*runs), combine(*runs[::-1])
        for a, b in zip(one.z, other.z, strict=True):
            np.testing.assert_allclose(read_maps(Path(a))[0], read_maps(Path(b))[0], rtol=1e-6)
