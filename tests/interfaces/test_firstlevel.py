"""The participant level's interfaces, on a brain of a hundred grayordinates."""

import json
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from scipy import stats

from ketbids.errors import InputError
from ketbids.interfaces.firstlevel import FitGLM, read_surfaces
from ketbids.interfaces.rundesign import BuildRunDesign
from ketbids.interfaces.smoothing import SmoothingWeights
from ketbids.io.cifti import read_maps, read_series
from ketbids.io.tables import read_table
from tests.interfaces.files import (
    CONDITIONS,
    CONTRASTS,
    TR,
    BrainFiles,
    code,
    write_events,
    write_movement,
)
from tests.stats.small_brain import LEFT, RIGHT

N_VOLUMES = 170
NAMES = [condition['name'] for condition in CONDITIONS]


def build(trials, series, **inputs):
    rows = {name: {'rows': [weights], 'test': 't'} for name, weights in CONTRASTS.items()}
    options = {'conditions': NAMES, 'contrasts': rows, 'hrf_model': 'spm', 'high_pass': 0.005}
    return BuildRunDesign(
        trials_file=trials, series_file=series, **{**options, **inputs}
    ).run().outputs  # fmt: skip


@pytest.fixture
def series(brain):
    return brain.series('bold', brain.noise(N_VOLUMES))


@pytest.fixture
def trials(tmp_path, series):
    return code(write_events(tmp_path / 'events.tsv'), series)


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
            assert plan['weights'][name] == [expected]
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


def fit(planted, **inputs):
    series, design, contrasts = planted
    files = {'series_file': series, 'design_file': design, 'contrasts_file': contrasts}
    # Each in a folder of its own: the next one would write over its files.
    return FitGLM(**files, **inputs).run(cwd=mkdtemp(dir=Path(series).parent)).outputs


def changed(planted, folder, **content):
    """Another file of contrasts; what is given is changed."""
    path = folder / f'plan{len(list(folder.glob("plan*.json")))}.json'
    path.write_text(json.dumps(json.loads(Path(planted[2]).read_text()) | content))
    return str(path)


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
            assert sidecar['DegreesOfFreedomNominal'] == N_VOLUMES - n_columns
            assert 'AR(6)' in sidecar['NoiseModel']
            assert not {'DegreesOfFreedomEffective', 'NoiseSmoothingFWHM'} & set(sidecar)
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

    def test_nothing_to_estimate(self, tmp_path, planted, caplog):
        path = changed(planted, tmp_path, weights={}, not_estimable={'a': 'no trial of a'})
        found = fit((planted[0], planted[1], path))
        for name in ('contrasts', 'effect', 'sidecars', 'f_contrasts', 'f', 'f_joint'):
            assert getattr(found, name) == []
        assert found.not_estimable == {'a': 'no trial of a'}
        (note,) = found.notes
        assert 'no contrast can be estimated' in note
        assert 'a: no trial of a' in note
        assert f'{planted[0]}: no contrast' in caplog.text
        assert found.density == fit(planted).density
        assert found.quality == {}

    def test_a_collinear_condition_stops_only_its_contrasts(self, tmp_path, planted):
        design = read_table(Path(planted[1]))
        position = list(design.columns).index('incorrectNogo')
        design['incorrectNogo'] = 2 * design['correctGo']
        path = tmp_path / 'dependent.tsv'
        design.to_csv(path, sep='\t', index=False)
        row = np.zeros(design.shape[1])
        row[list(design.columns).index('correctNogo')] = 1
        other = changed(planted, tmp_path, weights={'nogo': [row.tolist()]}, tests={'nogo': 't'})
        found = fit((planted[0], str(path), other))
        assert found.sidecars[0]['DegreesOfFreedomNominal'] == N_VOLUMES - design.shape[1] + 1
        row[position] = 1
        other = changed(planted, tmp_path, weights={'nogo': [row.tolist()]}, tests={'nogo': 't'})
        with pytest.raises(InputError, match='dependent columns: correctGo, incorrectNogo') as e:
            fit((planted[0], str(path), other))
        assert str(e.value).startswith(f'{planted[0]}: ')

    def test_few_trials_are_in_the_sidecar(self, tmp_path, planted):
        found = fit((*planted[:2], changed(planted, tmp_path, few={'errors': 'two trials'})))
        few = {s['Contrast']: s.get('FewTrials') for s in found.sidecars}
        assert few == {'nogoVsGo': None, 'correctGo': None, 'errors': 'two trials'}

    @pytest.mark.parametrize('model', ['ols', 'ar1', 'ar12'])
    def test_noise_models(self, planted, model):
        plain, found = fit(planted), fit(planted, noise_model=model)
        text = {'ols': 'least squares', 'ar1': 'AR(1)', 'ar12': 'AR(12)'}[model]
        assert text in found.sidecars[0]['NoiseModel']
        assert found.quality['NoiseModel'] == found.sidecars[0]['NoiseModel']
        assert not np.array_equal(
            read_maps(Path(plain.t[0]))[0], read_maps(Path(found.t[0]))[0], equal_nan=True
        )

    @pytest.mark.parametrize(
        ('model', 'words'), [('ar200', 'no noise model'), ('ar99', 'no noise model .*ar1 to ar20')]
    )
    def test_noise_models_that_cannot_be(self, brain, planted, tmp_path, model, words):
        short = tmp_path / 'short.tsv'
        read_table(Path(planted[1]))[:100].to_csv(short, sep='\t', index=False)
        series = brain.series('short', brain.noise(100))
        with pytest.raises(InputError, match=words):
            fit((series, str(short), planted[2]), noise_model=model)

    def test_the_noise_model_is_smoothed(self, brain, planted):
        left, right = brain.pair()
        weights = SmoothingWeights(
            series_file=planted[0], left_surface=left, right_surface=right, fwhm=20.0
        ).run()
        plain = fit(planted)
        found = fit(planted, smoothing_file=weights.outputs.out_file)
        assert found.sidecars[0]['NoiseSmoothingFWHM'] == found.quality['NoiseSmoothingFWHM'] == 20
        one, two = (read_maps(Path(files.t[0]))[0][0] for files in (plain, found))
        assert np.isfinite(two).tolist() == np.isfinite(one).tolist()
        assert not np.array_equal(one, two, equal_nan=True)
        ols = fit(planted, smoothing_file=weights.outputs.out_file, noise_model='ols')
        assert 'NoiseSmoothingFWHM' not in ols.sidecars[0]

    def test_threads_do_not_matter(self, planted):
        one, two = fit(planted), fit(planted, num_threads=2)
        assert Path(one.t[0]).read_bytes() == Path(two.t[0]).read_bytes()

    def test_components_that_fix_removed(self, planted):
        found = fit(planted, removed_components=30)
        sidecar = found.sidecars[0]
        assert sidecar['ComponentsRemoved'] == 30
        nominal = sidecar['DegreesOfFreedomNominal']
        assert sidecar['DegreesOfFreedomEffective'] == nominal - 30
        assert 'optimistic' in sidecar['DegreesOfFreedomCaveat']
        # They are for the record: t and z stay as they are.
        assert Path(found.z[0]).read_bytes() == Path(fit(planted).z[0]).read_bytes()
        assert fit(planted, removed_components=1000).quality['DegreesOfFreedomEffective'] == 0


class TestFContrasts:
    @pytest.fixture
    def mixed(self, planted, tmp_path):
        weights = json.loads(Path(planted[2]).read_text())['weights']
        both = [*weights['correctGo'], *weights['errors']]
        path = changed(
            planted,
            tmp_path,
            weights={'go': weights['correctGo'], 'any': both, 'one': weights['correctGo']},
            tests={'go': 't', 'any': 'F', 'one': 'F', 'lost': 'F'},
        )
        return (*planted[:2], path)

    def test_maps(self, mixed):
        found = fit(mixed)
        assert (found.contrasts, found.f_contrasts) == (['go'], ['any', 'one'])
        assert [Path(path).name for path in found.f] == [
            'f_any.dscalar.nii', 'f_one.dscalar.nii'
        ]  # fmt: skip
        t, f = read_maps(Path(found.t[0]))[0][0], read_maps(Path(found.f[1]))[0][0]
        np.testing.assert_allclose(f, t**2, rtol=1e-5)
        joint = read_maps(Path(found.f_joint[0]))[0].astype(float)
        assert joint.shape[0] == 2 + 3
        f = read_maps(Path(found.f[0]))[0][0]
        inside = np.flatnonzero(np.isfinite(f))
        for v in inside[::9]:
            e, (a, b, c) = joint[:2, v], joint[2:, v]
            expected = e @ np.linalg.solve([[a, b], [b, c]], e) / 2
            assert f[v] == pytest.approx(expected, rel=1e-4)
        df = found.f_sidecars[0]['DegreesOfFreedomNominal']
        z = read_maps(Path(found.f_z[0]))[0][0]
        np.testing.assert_allclose(
            stats.norm.sf(z[inside]), stats.f.sf(f[inside], 2, df), rtol=1e-3
        )
        np.testing.assert_allclose(joint[0], read_maps(Path(found.effect[0]))[0][0], rtol=1e-6)

    def test_sidecars(self, mixed):
        sidecar, other = fit(mixed).f_sidecars
        assert sidecar['Contrast'] == 'any'
        assert sidecar['ConditionWeights'] == [{'correctGo': 1.0}, {'incorrectNogo': 1.0}]
        assert sidecar['DegreesOfFreedomNumerator'] == 2
        assert other['DegreesOfFreedomNumerator'] == 1
        json.dumps(sidecar, allow_nan=False)

    def test_f_contrasts_alone(self, planted, tmp_path):
        weights = json.loads(Path(planted[2]).read_text())['weights']
        path = changed(
            planted, tmp_path, weights={'any': weights['correctGo']}, tests={'any': 'F'}
        )
        found = fit((*planted[:2], path))
        assert (found.contrasts, found.t, found.f_contrasts) == ([], [], ['any'])


def test_whiteness_and_quality(brain, planted):
    found = fit(planted)
    maps, models = read_maps(Path(found.whiteness))
    assert models.same_as(brain.models)
    assert len(maps) == 4
    assert np.isnan(maps[:, -1]).all()
    assert np.isfinite(maps[:, :-1]).all()
    quality = found.quality
    assert quality['DegreesOfFreedomNominal'] == found.sidecars[0]['DegreesOfFreedomNominal']
    assert quality['Lags'] == list(range(1, 21))
    assert quality['PortmanteauDegreesOfFreedom'] == 14
    for when in ('Before', 'After'):
        assert {len(v) for v in quality[f'Autocorrelation{when}'].values()} == {20}
    assert 0 <= quality['PortmanteauRejected'] < 0.2
    json.dumps(quality, allow_nan=False)
