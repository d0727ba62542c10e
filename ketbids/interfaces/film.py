"""FSL's FILM (Woolrich et al. 2001), called as the HCP pipelines call it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.errors import InputError, KetbidsError, ToolError, UsageError
from ketbids.interfaces.firstlevel import PreparedRun, not_fitted, prepare_run, write_fit
from ketbids.interfaces.fitspecs import FitInputSpec, FitOutputSpec
from ketbids.interfaces.hcp.tools import bare_version, fsl_version
from ketbids.interfaces.series import read_surfaces
from ketbids.interfaces.workbench import Workbench, WorkbenchInputSpec, option
from ketbids.io.filmfiles import read_metric, read_voxels, write_metric, write_voxels
from ketbids.io.fsldesign import write_contrasts, write_design
from ketbids.io.palmfiles import plain_words
from ketbids.stats.film import FilmModel, film_fit, film_model, film_whiteness
from ketbids.stats.glmresults import GlmFit
from ketbids.stats.scaling import GRAND_MEAN

__all__ = ['DilateMetric', 'FilmGLS', 'FitFilm', 'film_command', 'film_problems']

Floats = npt.NDArray[np.floating]

#: Settings of the HCP pipelines. In a volume: size of SUSAN's mask, mm, and the lowest mean of a
#: voxel; along a surface: sigma and extent of the smoothing of the autocorrelations, mm.
_VOLUMETRIC = {'mode': 'volumetric', 'mask_size': 5, 'threshold': 1.0}
_SURFACE = {'mode': 'surface', 'mask_size': 15, 'smoothing_sigma': 5}
#: Distance over which vertices without data get the series of the nearest with data, mm.
_DILATION = 50.0
#: The first FSL whose film_gls takes contrasts and surfaces.
_OLDEST = (5, 0, 7)
_NOISE = (
    'FILM (film_gls{version}): autocorrelation function with a Tukey window of sqrt(volumes), '
    'smoothed along the surface (sigma 5 mm) and by SUSAN in the volume (5 mm), as in the HCP '
    'pipelines; high-pass filter by cosines of the design'
)
_INSTALL = (
    'Install FSL (fsl.fmrib.ox.ac.uk) and set FSLDIR to its folder, or use another --noise-model.'
)


def film_command(environment: Mapping[str, str] | None = None) -> str | None:
    """Find film_gls: in the folder of FSL that FSLDIR names, else on the PATH; None without."""
    environment = os.environ if environment is None else environment
    folder = environment.get('FSLDIR')
    inside = Path(folder, 'bin', 'film_gls') if folder else None
    if inside is not None and os.access(inside, os.X_OK):
        return str(inside)
    return shutil.which('film_gls', path=environment.get('PATH', os.defpath))


def film_problems(environment: Mapping[str, str] | None = None) -> list[str]:
    """Say what ``--noise-model film`` needs and does not find, one sentence each."""
    environment = os.environ if environment is None else environment
    problems = []
    if film_command(environment) is None:
        problems.append(
            '--noise-model film needs film_gls of FSL, which is neither in FSLDIR/bin nor on the '
            f'PATH. {_INSTALL}'
        )
    version = fsl_version(environment)
    if version is not None and bare_version(version) < _OLDEST:
        problems.append(
            f'--noise-model film needs FSL 5.0.7 or later; FSL in {environment["FSLDIR"]} is '
            f'version {version}. {_INSTALL}'
        )
    if shutil.which('wb_command', path=environment.get('PATH', os.defpath)) is None:
        problems.append(
            '--noise-model film needs wb_command, which is not on the PATH. Install Connectome '
            'Workbench, or use another --noise-model.'
        )
    return problems


class _FilmGLSInputSpec(BaseInterfaceInputSpec):
    in_file = File(mandatory=True, desc='time series: NIfTI, or GIFTI in the mode "surface"')
    design_file = File(mandatory=True, desc='design matrix, FSL format')
    contrasts_file = File(mandatory=True, desc='t contrasts, FSL format')
    f_contrasts_file = File(desc='F contrasts, FSL format')
    mode = traits.Enum('volumetric', 'surface', usedefault=True, desc='kind of data')
    surface = File(desc='mesh along which the autocorrelations are smoothed')
    smooth_autocorrelation = traits.Bool(True, usedefault=True, desc='smooth them in space')
    mask_size = traits.Range(low=1, desc="SUSAN's mask, or extent along the surface, mm")
    smoothing_sigma = traits.Range(low=1, desc='sigma of the smoothing along the surface, mm')
    threshold = traits.Float(desc='lowest mean of a voxel that is fitted')
    results = traits.Str('results', usedefault=True, desc='name of the folder of results')


class _FilmGLSOutputSpec(TraitedSpec):
    results_dir = traits.Directory(exists=True, desc='folder of results')
    effects = traits.List(File(exists=True), desc='estimate of each contrast')
    variances = traits.List(File(exists=True), desc='variance of each contrast')
    residuals = File(exists=True, desc='residuals after prewhitening')
    degrees_of_freedom = traits.Float(desc='volumes less columns of the design')


class FilmGLS(SimpleInterface):
    """Call ``film_gls`` of FSL 5.0.7 or later."""

    input_spec = _FilmGLSInputSpec
    output_spec = _FilmGLSOutputSpec

    @property
    def argv(self) -> list[str]:
        """The command as it is executed; its files need not exist yet.

        Raises
        ------
        UsageError
            Inputs are missing, or do not go together.
        ToolError
            FSL is not there.
        """
        try:
            self._check_mandatory_inputs()
        except ValueError as error:
            raise UsageError(f'film_gls: {error}') from error
        i = self.inputs
        if (i.mode == 'surface') != isdefined(i.surface):
            raise UsageError(
                'film_gls: a surface is needed in the mode "surface", and only there.'
            )
        command = film_command()
        if command is None:
            raise ToolError(f'film_gls is neither in FSLDIR/bin nor on the PATH. {_INSTALL}')
        words = [command, f'--rn={i.results}', *(['--sa'] if i.smooth_autocorrelation else [])]
        values = (
            ('ms', i.mask_size),
            ('epith', i.smoothing_sigma),
            ('in2', i.surface),
            ('in', i.in_file),
            ('pd', i.design_file),
            ('con', i.contrasts_file),
            ('fcon', i.f_contrasts_file),
            ('thr', i.threshold),
            ('mode', i.mode),
        )
        return words + [
            f'--{name}={value:g}' if isinstance(value, float) else f'--{name}={value}'
            for name, value in values
            if isdefined(value)
        ]

    def _run_interface(self, runtime: Any) -> Any:
        self._results = self.call(Path(runtime.cwd))
        return runtime

    def call(self, folder: Path) -> dict[str, Any]:
        """Run the command in a folder and find its results; safe in threads.

        Raises
        ------
        KetbidsError
            It failed, or left something out.
        """
        results = folder / self.inputs.results
        # If there is such a folder, film_gls takes another name.
        shutil.rmtree(results, ignore_errors=True)
        log = folder / f'{results.name}.log'
        _run(self.argv, folder, log)
        ending = '.func.gii' if self.inputs.mode == 'surface' else '.nii.gz'
        effects = sorted(results.glob(f'cope*{ending}'), key=_number)
        variances = [path.with_name(f'var{path.name}') for path in effects]
        residuals = results / f'res4d{ending}'
        needed = (results / 'dof', residuals, *variances)
        missing = [path for path in needed if not path.is_file()]
        if not effects or missing:
            lacking = ', '.join(path.name for path in missing) or f'cope1{ending}'
            raise KetbidsError(
                f'film_gls ended without an error, but without {lacking} in {results}: '
                f'{_last_words(log)}'
            )
        return {
            'results_dir': str(results),
            'effects': [str(path) for path in effects],
            'variances': [str(path) for path in variances],
            'residuals': str(residuals),
            'degrees_of_freedom': _degrees(results / 'dof'),
        }


def _run(argv: list[str], folder: Path, log: Path) -> None:
    """Run film_gls; what it says is kept in `log`."""
    environment = {**os.environ, 'FSLOUTPUTTYPE': 'NIFTI_GZ'}
    try:
        with log.open('wb') as said:
            code = subprocess.run(  # noqa: S603
                argv,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
    except OSError as error:
        raise ToolError(f'{argv[0]} cannot be started: {error.strerror}. {_INSTALL}') from error
    if code:
        how = f'was killed (signal {-code})' if code < 0 else f'ended with code {code}'
        raise KetbidsError(f'film_gls {how}: {_last_words(log)}')


def _last_words(log: Path, lines: int = 5) -> str:
    text = log.read_text(encoding='utf-8', errors='replace')
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return plain_words(' | '.join(said[-lines:])) or 'without a word'


def _number(path: Path) -> int:
    return int(''.join(c for c in path.name.partition('.')[0] if c.isdigit()) or 0)


def _degrees(path: Path) -> float:
    try:
        return float(path.read_text().split()[0])
    except (ValueError, IndexError) as error:
        raise KetbidsError(f'{path} does not hold the degrees of freedom of film_gls.') from error


class _DilateMetricInputSpec(WorkbenchInputSpec):
    in_file = File(mandatory=True, desc='maps of a hemisphere')
    surface = File(mandatory=True, desc='its midthickness')
    distance = traits.Range(low=0.0, exclude_low=True, mandatory=True, desc='mm')
    bad_vertices = File(desc='map that is 1 where values are replaced')
    out_name = traits.Str('dilated.func.gii', usedefault=True, desc='name of the result')


class _DilateMetricOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='maps without holes')


class DilateMetric(Workbench):
    """Give vertices without data the values of the nearest vertex that has them."""

    input_spec = _DilateMetricInputSpec
    output_spec = _DilateMetricOutputSpec

    def _arguments(self) -> list[str]:
        i = self.inputs
        words = ['-metric-dilate', i.in_file, i.surface, f'{i.distance:g}', i.out_name]
        return [*words, *option('-bad-vertex-roi', i.bad_vertices), '-nearest']

    def _written(self) -> dict[str, Any]:
        return {'out_file': self.inputs.out_name}


class _FitFilmInputSpec(FitInputSpec):
    left_surface = File(exists=True, mandatory=True, desc='left midthickness')
    right_surface = File(exists=True, mandatory=True, desc='right midthickness')


class FitFilm(SimpleInterface):
    """Fit the GLM of one run by FILM: each hemisphere along its surface, all voxels together."""

    input_spec = _FitFilmInputSpec
    output_spec = FitOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i, cwd = self.inputs, Path(runtime.cwd)
        self._results = not_fitted(i) or {}
        if self._results:
            return runtime
        run = prepare_run(i)
        # The message of film_gls would not say which surface does not fit.
        read_surfaces([i.left_surface, i.right_surface], run.models)
        try:
            model = film_model(run.design, run.contrasts, run.f_contrasts)
        except InputError as error:
            raise InputError(f'{run.source}: {error}') from error
        version = fsl_version(os.environ)
        noise = _NOISE.format(version=f' of FSL {version}' if version else '')
        self._results = write_fit(
            cwd, i, run, self._fit(run, model, cwd / 'film'), {'NoiseModel': noise}
        )
        return runtime

    def _fit(self, run: PreparedRun, model: FilmModel, folder: Path) -> GlmFit:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        parts = self._parts(run, model, folder)
        with ThreadPoolExecutor(self.inputs.num_threads) as pool:
            answers = list(pool.map(lambda part: part[1].call(part[2]), parts))
        shape = (len(model.contrasts), len(run.models))
        effect, variance = np.full(shape, np.nan), np.full(shape, np.nan)
        innovations = np.full(run.data.shape, np.nan, np.float32)
        for (name, _, _), answer in zip(parts, answers, strict=True):
            if len(answer['effects']) != len(effect):
                raise KetbidsError(
                    f'film_gls was given {len(effect)} contrasts, but '
                    f'{answer["results_dir"]} has {len(answer["effects"])}.'
                )
            columns, read = _reader(run, name)
            for values, files in ((effect, answer['effects']), (variance, answer['variances'])):
                values[:, columns] = np.concatenate([read(Path(path)) for path in files])
            innovations[:, columns] = read(Path(answer['residuals']))
        for maps in (effect, variance, innovations):
            maps[:, np.isnan(run.data[0])] = np.nan
        df = {answer['degrees_of_freedom'] for answer in answers}
        shutil.rmtree(folder)
        white = film_whiteness(run.data, innovations, model)
        return film_fit(model, effect, variance, int(min(df)), white)

    def _parts(
        self, run: PreparedRun, model: FilmModel, folder: Path
    ) -> list[tuple[str, FilmGLS, Path]]:
        """Write the files of all parts of the brain that have data, and give their commands."""
        shared = {
            'design_file': str(write_design(folder / 'design.mat', model.design)),
            'contrasts_file': str(write_contrasts(folder / 'design.con', model.contrasts)),
        }
        i, parts = self.inputs, []
        for side, surface in (('LEFT', i.left_surface), ('RIGHT', i.right_surface)):
            name = f'CIFTI_STRUCTURE_CORTEX_{side}'
            if name in run.models.names and _has_data(run, run.models.where(name)):
                here = folder / side.lower()
                here.mkdir()
                series = _dilated(run, name, surface, here)
                film = FilmGLS(in_file=str(series), surface=surface, **_SURFACE, **shared)
                parts.append((name, film, here))
        if _has_data(run, ~run.models.is_surface):
            here = folder / 'voxels'
            here.mkdir()
            data = _with_mean(run, ~run.models.is_surface)
            series = write_voxels(
                here / 'series.nii.gz', np.nan_to_num(data), run.models, run.repetition_time
            )
            film = FilmGLS(in_file=str(series), **_VOLUMETRIC, **shared)
            parts.append(('', film, here))
        return parts


def _has_data(run: PreparedRun, where: Any) -> bool:
    return bool(np.isfinite(run.data[0, where]).any())


def _with_mean(run: PreparedRun, where: Any) -> Floats:
    """Series of some grayordinates; FILM finds the brain by its mean, so it gets one."""
    data = run.data[:, where]
    return data + np.float32(GRAND_MEAN) if np.isnan(run.scale.mean) else data


def _dilated(run: PreparedRun, name: str, surface: str, folder: Path) -> Path:
    """Write the series of a hemisphere, without holes.

    film_gls fits every vertex and smooths over all of them: a constant one has no
    autocorrelation, and would spoil those around it.
    """
    here = run.models.where(name)
    n_vertices = run.models.n_vertices[name]
    data = np.full((len(run.data), n_vertices), np.nan, np.float32)
    data[:, run.models.vertex[here]] = _with_mean(run, here)
    bad = np.isnan(data[0])
    series = write_metric(folder / 'series.func.gii', np.nan_to_num(data), name)
    if not bad.any():
        return series
    dilate = DilateMetric(
        in_file=str(series),
        surface=surface,
        distance=_DILATION,
        bad_vertices=str(write_metric(folder / 'bad.func.gii', bad[None], name)),
    )
    dilated = Path(dilate.run(cwd=str(folder)).outputs.out_file)
    filled = read_metric(dilated, n_vertices)
    left = np.ptp(filled, axis=0) == 0
    if left.any():  # farther than that; any series will do
        filled[:, left] = data[:, [int(np.flatnonzero(~bad)[0])]]
        write_metric(dilated, filled, name)
    return dilated


def _reader(run: PreparedRun, name: str) -> tuple[Any, Any]:
    """Where a part's results belong, and what reads them as (1, n) there."""
    if not name:
        return ~run.models.is_surface, lambda path: read_voxels(path, run.models)
    here = run.models.where(name)
    n_vertices, vertices = run.models.n_vertices[name], run.models.vertex[here]
    return here, lambda path: read_metric(path, n_vertices)[:, vertices]
