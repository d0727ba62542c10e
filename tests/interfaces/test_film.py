"""FSL's FILM: the command, what it is given, and what is made of its answers."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ketbids.errors import InputError, KetbidsError, ToolError, UsageError
from ketbids.interfaces.film import DilateMetric, FilmGLS, FitFilm, film_problems
from ketbids.interfaces.firstlevel import FitGLM
from ketbids.io.cifti import read_maps, write_series
from ketbids.io.files import write_json
from ketbids.io.tables import write_table
from tests.film_programs import install_film
from tests.interfaces.files import TR
from tests.stats.small_brain import LEFT, RIGHT

N = 120
#: The real program, found before any test changes the PATH.
REAL = shutil.which('film_gls')
needs_wb = pytest.mark.skipif(shutil.which('wb_command') is None, reason='no wb_command')


@pytest.fixture
def fsl(tmp_path, monkeypatch):
    folder = install_film(tmp_path / 'fsl')
    monkeypatch.setenv('FSLDIR', str(folder))
    return folder


def films(**changes):
    inputs = {'in_file': 'a b.nii.gz', 'design_file': 'd.mat', 'contrasts_file': 'd.con'}
    return FilmGLS(**{**inputs, **changes})


class TestCommand:
    def test_as_the_hcp_pipelines_call_it(self, fsl):
        volume = films(mask_size=5, threshold=1.0, results='out')
        program = str(fsl / 'bin' / 'film_gls')
        shared = ['--pd=d.mat', '--con=d.con']
        assert volume.argv == [
            *(program, '--rn=out', '--sa', '--ms=5', '--in=a b.nii.gz', *shared),
            *('--thr=1', '--mode=volumetric'),
        ]
        surface = films(mode='surface', surface='L.gii', mask_size=15, smoothing_sigma=5)
        assert surface.argv == [
            *(program, '--rn=results', '--sa', '--ms=15', '--epith=5', '--in2=L.gii'),
            *('--in=a b.nii.gz', *shared, '--mode=surface'),
        ]
        assert '--fcon=d.fts' in films(f_contrasts_file='d.fts').argv
        assert '--sa' not in films(smooth_autocorrelation=False).argv

    def test_dilation_as_the_hcp_pipelines_call_it(self):
        dilate = DilateMetric(in_file='a.gii', surface='L.gii', distance=50.0)
        words = ['wb_command', '-metric-dilate', 'a.gii', 'L.gii', '50', 'dilated.func.gii']
        assert dilate.argv == [*words, '-nearest']
        dilate.inputs.bad_vertices = 'roi.gii'
        assert dilate.argv[-3:] == ['-bad-vertex-roi', 'roi.gii', '-nearest']

    def test_inputs_that_do_not_go_together(self, fsl):
        for wrong in (films(mode='surface'), films(surface='L.gii')):
            with pytest.raises(UsageError, match='a surface is needed in the mode'):
                _ = wrong.argv
        with pytest.raises(UsageError, match=r'film_gls: .*design_file'):
            _ = FilmGLS(in_file='a.nii.gz', contrasts_file='d.con').argv

    def test_without_fsl(self, monkeypatch):
        monkeypatch.delenv('FSLDIR', raising=False)
        monkeypatch.setenv('PATH', '/nowhere')
        with pytest.raises(ToolError, match='film_gls is neither in FSLDIR/bin nor on the PATH'):
            _ = films().argv


def test_what_is_missing_before_anything_runs(tmp_path):
    empty = {'PATH': str(tmp_path)}
    film, workbench = film_problems(empty)
    assert 'film_gls of FSL' in film
    assert 'wb_command' in workbench
    old = install_film(tmp_path / 'old', version='5.0.6')
    problems = film_problems({'PATH': os.environ['PATH'], 'FSLDIR': str(old)})
    assert f'FSL in {old} is version 5.0.6' in problems[0]
    path = tmp_path / 'wb_command'
    path.write_text('#!/bin/sh\n')
    path.chmod(0o755)
    fsl = install_film(tmp_path / 'fsl')
    assert film_problems({'PATH': str(tmp_path), 'FSLDIR': str(fsl)}) == []


F_ROWS = [[1, 0, 0, 0], [0, 1, 0, 0]]


def plan(**changes):
    content = {
        'weights': {'aVsB': [[1, -1, 0, 0]], 'a': [[1, 0, 0, 0]], 'any': F_ROWS},
        'tests': {'aVsB': 't', 'a': 't', 'any': 'F'},
        'not_estimable': {},
        'few': {'a': 'rests on 1 trial'},
        'dropped': [],
        'peaks': {'a': 1.0, 'b': 1.0},
        'confounds': [],
        'repetition_time': TR,
        'slice_time_ref': 0.5,
        'notes': [],
    }
    return {**content, **changes}


@pytest.fixture
def run(brain, fsl):
    """A run with effects; a vertex and a voxel lack data. The surface has a medial wall."""
    rng = np.random.default_rng(1)
    time = np.arange(N) / N
    design = pd.DataFrame(
        {
            'a': rng.normal(size=N),
            'b': rng.normal(1, 1, N),
            'cosine00': np.cos(np.pi * (time + 0.5 / N)),
            'constant': 1.0,
        }
    )
    data = brain.noise(N, seed=2) + 60 * design[['a']].to_numpy()
    data[:, [3, -1]] = [0, np.nan]
    left, right = brain.pair()
    brain.design, brain.data = design, data.astype(np.float32)
    write_table(Path('design.tsv'), design)
    brain.inputs = {
        'series_file': brain.series('bold', data),
        'design_file': str(Path('design.tsv').absolute()),
        'contrasts_file': str(write_json(Path('contrasts.json').absolute(), plan())),
        'left_surface': left,
        'right_surface': right,
        'noise_model': 'film',
    }
    return brain


def maps(paths):
    return np.concatenate([read_maps(Path(path))[0] for path in paths]).astype(float)


def least_squares(design, data, rows):
    """Effects, their covariance (n, q, q) and degrees of freedom as FSL counts them."""
    x, y = design.to_numpy(), data.astype(float)
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    df = len(x) - (x.shape[1] - 1)  # FSL does not count the mean
    sigma = ((y - x @ beta) ** 2).sum(axis=0) / df
    rows = np.array(rows, float)
    return rows @ beta, sigma[:, None, None] * (rows @ inverse @ rows.T), df


def with_data(data):
    return np.isfinite(data).all(axis=0) & (np.ptp(data, axis=0) > 0)


@needs_wb
class TestFit:
    def test_effects_go_where_they_belong(self, run):
        found = FitFilm(**run.inputs, removed_components=20).run().outputs
        has = with_data(run.data)
        assert (~has).sum() == 2
        effect, covariance, df = least_squares(
            run.design, run.data[:, has], [[1, -1, 0, 0], [1, 0, 0, 0]]
        )
        variance = np.diagonal(covariance, axis1=1, axis2=2).T
        assert found.contrasts == ['aVsB', 'a']
        got = {name: maps(getattr(found, name)) for name in ('effect', 'variance', 't', 'z')}
        np.testing.assert_allclose(got['effect'][:, has], effect, rtol=2e-4, atol=1e-2)
        np.testing.assert_allclose(got['variance'][:, has], variance, rtol=1e-4)
        t = effect / np.sqrt(variance)
        np.testing.assert_allclose(got['t'][:, has], t, rtol=1e-3, atol=1e-3)
        p = stats.t.sf(np.abs(t), df)
        np.testing.assert_allclose(stats.norm.sf(np.abs(got['z'][:, has])), p, rtol=2e-2)
        for values in got.values():
            assert np.isnan(values[:, ~has]).all()
        self.check_f_contrast(run, found, has)
        self.check_sidecars(found)
        self.check_whiteness(run, found, has)
        assert not Path('film').exists()
        again = FitFilm(**run.inputs, num_threads=3).run().outputs
        np.testing.assert_array_equal(maps(again.effect), got['effect'])

    def check_f_contrast(self, run, found, has):
        effect, covariance, df = least_squares(run.design, run.data[:, has], F_ROWS)
        inverse = np.linalg.inv(covariance)
        expected = np.einsum('in,nij,jn->n', effect, inverse, effect) / 2
        assert found.f_contrasts == ['any']
        np.testing.assert_allclose(maps(found.f)[0, has], expected, rtol=1e-3)
        p = stats.f.sf(expected, 2, df)
        seen = (p > 1e-12) & (p < 0.5)
        z = maps(found.f_z)[0, has]
        np.testing.assert_allclose(stats.norm.sf(z)[seen], p[seen], rtol=3e-2)
        joint = maps(found.f_joint)[:, has]
        np.testing.assert_allclose(joint[:2], effect, rtol=2e-4, atol=1e-2)
        wanted = [covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]]
        np.testing.assert_allclose(joint[2:], wanted, rtol=1e-3, atol=1e-4 * covariance.max())

    def check_sidecars(self, found):
        first, second = found.sidecars
        assert first['DegreesOfFreedomNominal'] == N - 3
        assert first['DegreesOfFreedomEffective'] == N - 23
        assert 'film_gls of FSL 6.0.7' in first['NoiseModel']
        assert first['ConditionWeights'] == {'a': 1.0, 'b': -1.0}
        assert second['FewTrials'] == 'rests on 1 trial'
        assert first['GrayordinatesWithoutData'] == 2

    def check_whiteness(self, run, found, has):
        """The stand-in whitens nothing, so that what is left is what least squares leave."""
        tested = maps([found.whiteness])
        assert np.isfinite(tested[:, has]).all()
        assert np.isnan(tested[:, ~has]).all()
        inputs = {name: run.inputs[name] for name in ('series_file', 'design_file')}
        inputs['contrasts_file'] = run.inputs['contrasts_file']
        Path('ols').mkdir()
        plain = FitGLM(**inputs, noise_model='ols').run(cwd=str(Path('ols').absolute())).outputs
        expected = maps([plain.whiteness])
        np.testing.assert_allclose(tested[:, has], expected[:, has], rtol=1e-3, atol=2e-4)
        assert found.quality['PortmanteauRejected'] < 0.2

    def test_what_film_is_given(self, run, monkeypatch):
        """The folder is kept if its removal is forbidden."""
        monkeypatch.setattr('ketbids.interfaces.film.shutil.rmtree', lambda *_, **__: None)
        FitFilm(**run.inputs).run()
        argv, kind = json.loads(Path('film/left/results_argv.json').read_text())
        assert kind == 'NIFTI_GZ'
        assert argv[2:5] == ['--sa', '--ms=15', '--epith=5']
        assert argv[5] == f'--in2={run.inputs["left_surface"]}'
        argv, _ = json.loads(Path('film/voxels/results_argv.json').read_text())
        assert argv[2:4] == ['--sa', '--ms=5']
        assert argv[-2:] == ['--thr=1', '--mode=volumetric']
        design = np.array(Path('film/design.mat').read_text().split('/Matrix')[1].split(), float)
        design = design.reshape(N, 3)
        np.testing.assert_allclose(design.mean(axis=0), 0, atol=1e-14)
        given = run.design.to_numpy()[:, :3]
        np.testing.assert_allclose(design, given - given.mean(axis=0), rtol=1e-12, atol=1e-14)

    def test_series_without_a_mean(self, run):
        """film_gls looks for the brain by the mean; series that lost it are fitted too."""
        expected = maps(FitFilm(**run.inputs).run().outputs.effect)
        centred = run.data - run.data.mean(axis=0)
        run.inputs['series_file'] = run.series('centred', centred)
        found = FitFilm(**run.inputs).run().outputs
        np.testing.assert_allclose(maps(found.effect), expected, atol=0.02)
        assert found.sidecars[0]['MeanSignal'] is None

    def test_vertices_far_from_any_data(self, run):
        """The spheres have a radius of 50 mm, so that their far sides are 157 mm apart."""
        here = run.models.where(LEFT)
        data = run.data.copy()
        data[:, np.arange(here.start + 4, here.stop)] = 0
        run.inputs['series_file'] = run.series('patch', data)
        effect = maps(FitFilm(**run.inputs).run().outputs.effect)
        assert np.isfinite(effect[0, here]).sum() == 3

    def test_parts_of_the_brain_without_data_or_not_there(self, run, tmp_path):
        data = run.data.copy()
        data[:, run.models.where(RIGHT)] = 0
        run.inputs['series_file'] = run.series('half', data)
        effect = maps(FitFilm(**run.inputs).run().outputs.effect)
        assert np.isnan(effect[0, run.models.where(RIGHT)]).all()
        assert np.isfinite(effect[0, run.models.where(LEFT)]).sum() > 30
        keep = run.models.is_surface
        path = tmp_path / 'cortex.dtseries.nii'
        write_series(path, run.data[:, keep], run.models.select(keep), TR)
        run.inputs['series_file'] = str(path)
        assert maps(FitFilm(**run.inputs).run().outputs.effect).shape == (2, keep.sum())

    def test_nothing_to_estimate(self, run):
        empty = plan(weights={}, tests={}, not_estimable={'a': 'no trials'})
        write_json(Path(run.inputs['contrasts_file']), empty)
        found = FitFilm(**run.inputs).run().outputs
        assert (found.contrasts, found.effect, found.f) == ([], [], [])
        assert 'no trials' in found.notes[0]

    def test_a_contrast_of_the_mean(self, run):
        weights = {'mean': [[0, 0, 0, 1]]}
        write_json(Path(run.inputs['contrasts_file']), plan(weights=weights, tests={'mean': 't'}))
        with pytest.raises(InputError, match=r'bold.dtseries.nii: The contrast mean .* constant'):
            FitFilm(**run.inputs).run()

    def test_swapped_surfaces(self, run):
        swapped = {
            'left_surface': run.inputs['right_surface'],
            'right_surface': run.inputs['left_surface'],
        }
        with pytest.raises(InputError, match=r'is a surface of .*RIGHT'):
            FitFilm(**{**run.inputs, **swapped}).run()


@needs_wb
@pytest.mark.parametrize(
    ('program', 'message'),
    [
        ('echo Reading; echo no memory >&2; exit 3', 'ended with code 3: Reading | no memory'),
        ('kill -9 $$', 'was killed (signal 9)'),
        (
            'mkdir results; echo 5 > results/dof; touch results/res4d.func.gii',
            'without an error, but without cope1.func.gii in',
        ),
        ('mkdir results; touch results/cope1.func.gii results/cope1.nii.gz', 'without dof, res4d'),
    ],
)
def test_film_fails(run, fsl, program, message):
    path = fsl / 'bin' / 'film_gls'
    path.write_text(f'#!/bin/sh\n{program}\n')
    with pytest.raises(KetbidsError) as caught:
        FitFilm(**run.inputs).run()
    assert message in str(caught.value)


@pytest.mark.skipif(REAL is None, reason='film_gls of FSL is not on the PATH')
@needs_wb
def test_the_real_program_and_least_squares_agree_on_white_noise(run, monkeypatch):
    """Without autocorrelation, prewhitening changes little."""
    monkeypatch.setenv('FSLDIR', str(Path(REAL).resolve().parents[1]))
    found = FitFilm(**run.inputs).run().outputs
    has = with_data(run.data)
    rows = [[1, -1, 0, 0], [1, 0, 0, 0]]
    effect, _, df = least_squares(run.design, run.data[:, has], rows)
    assert found.sidecars[0]['DegreesOfFreedomNominal'] == df
    got = maps(found.effect)[:, has]
    assert np.isfinite(got).mean() > 0.99
    assert np.nanmedian(np.abs(got - effect)) < 0.2 * np.std(effect)
