"""PALM itself (Winkler et al. 2014) as the engine of a group analysis.

PALM's TFCE takes surfaces or a volume, not both: one run has the hemispheres, one the voxels, with
the same seed, so that one shuffle serves both. Both directions of the contrast share the set too.
What is corrected over all grayordinates is then combined from the maxima of each shuffle, as the
native engine does it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError, KetbidsError, UsageError
from ketbids.interfaces.inference import GroupTestBase, Problem
from ketbids.interfaces.palmprogram import harmless, palm_command, palm_version, run_palm
from ketbids.io.palmfiles import (
    MOST_VERTICES,
    read_palm_image,
    read_palm_maxima,
    write_palm_image,
    write_palm_surface,
    write_palm_table,
)
from ketbids.stats.brainmodels import CORTEX, SUBCORTEX, BrainModels
from ketbids.stats.estimates import estimate
from ketbids.stats.freedman_lane import check_design, partition_design, same_as_identity
from ketbids.stats.inference import PARTITION_NAMES, Shuffled, TestOptions
from ketbids.stats.shuffling import make_shuffles

__all__ = ['PalmTest', 'assert_palm_can', 'palm_argv']

Floats = npt.NDArray[np.float64]

#: Largest seed that PALM's generator takes.
_LARGEST_SEED = 2**32 - 1
#: t of PALM and of ketbids differ by rounding only; more would mean other data or another design.
_SAME_T = 1e-6
_SCHEMES = {'flips': '-ise', 'permutations': '-ee'}


def assert_palm_can(
    *,
    tfce: str,
    within_structure: bool,
    min_coverage: float,
    seed: int,
    models: BrainModels | None = None,
) -> None:
    """Refuse what PALM cannot do, or does otherwise.

    Parameters
    ----------
    tfce : {'exact', '100'}
    within_structure : bool
    min_coverage : float
    seed : int
    models : BrainModels, optional
        Grayordinates of the maps.

    Raises
    ------
    UsageError
        Names the option and what to do.
    InputError
        The meshes are too large for the files that PALM reads.
    """
    if tfce == 'exact':
        raise UsageError('--engine palm has no exact TFCE: use --tfce 100, or --engine native.')
    if within_structure:
        raise UsageError(
            '--engine palm joins voxels over the whole grid: leave --within-structure out, or use '
            '--engine native.'
        )
    if min_coverage < 1:
        raise UsageError(
            '--engine palm tests only where all maps have a value: use --min-coverage 1, or '
            '--engine native.'
        )
    if seed > _LARGEST_SEED:
        raise UsageError(
            f'--engine palm takes seeds up to {_LARGEST_SEED}, not {seed}: use another '
            '--seed, or --engine native.'
        )
    largest = max(models.n_vertices.values(), default=0) if models is not None else 0
    if largest > MOST_VERTICES:
        raise InputError(
            f'The surfaces have {largest} vertices; the files that PALM reads hold at most '
            f'{MOST_VERTICES}. Use --engine native.'
        )


def palm_argv(
    command: str,
    name: str,
    options: TestOptions,
    *,
    images: list[str],
    surfaces: list[tuple[str, str]],
    n_contrasts: int,
    connectivity: int = 6,
    variance_groups: bool = False,
) -> list[str]:
    """Give a run of PALM as an argument list; files are named relative to its folder.

    Parameters
    ----------
    command : str
        The program.
    name : str
        Start of the names of its outputs.
    options : TestOptions
    images : list of str
        One per hemisphere, or one of the voxels.
    surfaces : list of (str, str)
        Mesh and areas of each hemisphere; empty for voxels.
    n_contrasts : int
        1, or 2 if the second is the first turned around.
    connectivity : {6, 18, 26}
        Neighbours of a voxel.
    variance_groups : bool
        Rows have variances of their groups (``variancegroups.csv``).
    """
    inputs = [word for image in images for word in ('-i', image)]
    meshes = [word for pair in surfaces for word in ('-s', *pair)]
    enhance = ['-T', '-tfce2D'] if surfaces else ['-T', '-tfce_H', '2', '-tfce_E', '0.5']
    enhance += [] if surfaces else ['-tfce_C', str(connectivity)]
    together = ['-corrmod'] if len(images) > 1 else []
    together += ['-syncperms'] if n_contrasts > 1 else []
    argv = [command, *inputs, *meshes, '-d', 'design.csv', '-t', 'contrasts.csv']
    argv += ['-vg', 'variancegroups.csv'] if variance_groups else []
    argv += [_SCHEMES[options.kind], '-n', str(options.n_shuffles), '-seed', str(options.seed)]
    argv += [*enhance, *together, '-savemax', '-noniiclass', '-quiet', '-o', name]
    return [harmless(argument) for argument in argv]


class PalmTest(GroupTestBase):
    """Test one contrast of a group design with PALM; the files and outputs of `GroupTest`."""

    _runs: '_PalmRuns'

    def _engine(self, problem: Problem, folder: Path) -> Callable[..., Shuffled]:
        i = self.inputs
        assert_palm_can(
            tfce=i.tfce,
            within_structure=i.within_structure,
            min_coverage=i.min_coverage,
            seed=i.seed,
            models=problem.models,
        )
        self._runs = _PalmRuns(palm_command(), problem, folder)
        return self._runs

    def _about(self) -> dict[str, Any]:
        return {'Engine': 'palm', 'EngineVersion': palm_version(self._runs.command)}

    def _limits(self) -> list[str]:
        if self.inputs.tails != 'two' or self._runs.both_known:
            return []
        return [
            'PALM counts each direction for itself, so that uncorrected p of both tails are not '
            'known from these shuffles: they are NaN. Corrected p are not concerned.'
        ]


class _Place(NamedTuple):
    """Where the values of an image belong: columns of a map, and their places in the image."""

    columns: npt.NDArray[np.int64]
    shape: tuple[int, ...]
    where: npt.NDArray[np.integer]


class _PalmRuns:
    """The runs of an analysis: of the hemispheres, and of the voxels."""

    def __init__(self, command: str, problem: Problem, folder: Path) -> None:
        self.command, self._problem, self._folder = command, problem, folder
        options = problem.options
        design, weights = check_design(problem.design, problem.weights)
        parts = partition_design(design, weights)
        labels = design[:, weights != 0]
        self._design = _one_value_per_label(design, weights != 0)
        self._contrasts = np.stack([weights, -weights][: len(options.directions)])
        shuffles = make_shuffles(options.kind, labels, options.n_shuffles, options.seed)
        self._n = shuffles.n
        # With each shuffle its mirror image is in the set: both tails have as many.
        mirrored = shuffles.exhaustive and same_as_identity(shuffles, parts)[1].any()
        self.both_known, self._parts = bool(mirrored), parts

    def __call__(self, mask: npt.NDArray[np.bool_]) -> Shuffled:
        """Run PALM on the grayordinates of a mask and collect what remains of all shuffles."""
        options, models = self._problem.options, self._problem.models
        write_palm_table(self._folder / 'design.csv', self._design)
        write_palm_table(self._folder / 'contrasts.csv', self._contrasts)
        if self._problem.groups is not None:
            groups = self._problem.groups[:, None] + 1
            write_palm_table(self._folder / 'variancegroups.csv', groups)
        n = len(options.directions)
        data = np.where(mask, self._problem.data, 0.0)
        t, enhanced, p = np.zeros((3, n, len(mask)))
        maxima = np.zeros((self._n, n, max(CORTEX, SUBCORTEX) + 1))
        for code, name in PARTITION_NAMES.items():
            if not (mask & (models.partition == code)).any():
                continue
            for path in list(self._folder.glob(f'{name}_*')):  # of a run that did not end
                path.unlink()
            write = self._write_voxels if code == SUBCORTEX else self._write_surfaces
            images, surfaces, places = write(data)
            argv = palm_argv(
                self.command,
                name,
                options,
                images=images,
                surfaces=surfaces,
                n_contrasts=n,
                connectivity=self._problem.connectivity,
                variance_groups=self._problem.n_groups > 1,
            )
            run_palm(argv, self._folder, name, threads=options.threads)
            maxima[:, :, code] = self._collect(name, places, (t, enhanced, p))
        self._assert_same_t(t[0, mask], data[:, mask])
        counts = p * self._n
        if options.tails == 'two':
            maxima = maxima.max(axis=1, keepdims=True)
            counts = np.where(enhanced > 0, 2 * counts if self.both_known else np.nan, self._n)
        names = options.directions
        return Shuffled(
            {name: enhanced[k, mask] for k, name in enumerate(names)},
            {name: np.round(counts[k, mask]) for k, name in enumerate(names)},
            maxima,
        )

    def _write_surfaces(
        self, data: Floats
    ) -> tuple[list[str], list[tuple[str, str]], list[_Place]]:
        """Write data, mesh and areas of the hemispheres that have data."""
        models = self._problem.models
        images, surfaces, places = [], [], []
        for name in models.surface_names:
            here = models.where(name)
            if not data[:, here].any():
                continue
            stem = name.removeprefix('CIFTI_STRUCTURE_').lower()
            vertices, n = models.vertex[here], models.n_vertices[name]
            whole, areas = np.zeros((len(data), n)), np.zeros(n)
            whole[:, vertices] = data[:, here]
            areas[vertices] = self._problem.extent[here]
            write_palm_image(self._folder / f'{stem}.nii', whole)
            write_palm_surface(self._folder / f'{stem}.srf', self._problem.surfaces[name])
            write_palm_table(self._folder / f'{stem}_area.csv', areas)
            images.append(f'{stem}.nii')
            surfaces.append((f'{stem}.srf', f'{stem}_area.csv'))
            places.append(_Place(np.arange(here.start, here.stop), (n, 1, 1), vertices))
        return images, surfaces, places

    def _write_voxels(self, data: Floats) -> tuple[list[str], list, list[_Place]]:
        """Write the box of voxels that have data, with an empty margin: PALM holds all of it."""
        models = self._problem.models
        columns = np.flatnonzero(~models.is_surface)
        corner = models.voxel[columns].min(axis=0) - 1
        voxels = models.voxel[columns] - corner
        shape = tuple((voxels.max(axis=0) + 2).tolist())
        box = np.zeros((len(data), *shape))
        box[:, *voxels.T] = data[:, columns]
        affine = np.array(models.affine, dtype=float)
        affine[:3, 3] = affine[:3] @ [*corner, 1]
        write_palm_image(self._folder / 'subcortex.nii', box, affine)
        return (
            ['subcortex.nii'],
            [],
            [_Place(columns, shape, np.ravel_multi_index(voxels.T, shape))],
        )

    def _collect(self, name: str, places: list[_Place], maps: tuple[Floats, ...]) -> Floats:
        """Fill t, TFCE and uncorrected p; the maxima, shape (n_shuffles, n_contrasts)."""
        several, turned = len(places) > 1, len(self._contrasts) > 1
        kind = 'vox' if name == PARTITION_NAMES[SUBCORTEX] else 'dpv'
        stat = 'vstat' if self._problem.n_groups > 1 else 'tstat'
        files = (f'{kind}_{stat}', f'tfce_{stat}', f'tfce_{stat}_uncp')
        maxima = np.zeros((self._n, len(self._contrasts)))
        for c in range(len(self._contrasts)):
            for m, (columns, shape, where) in enumerate(places):
                end = (f'_m{m + 1}' if several else '') + (f'_c{c + 1}' if turned else '')
                for target, file in zip(maps, files, strict=True):
                    path = self._folder / f'{name}_{file}{end}.nii.gz'
                    image = read_palm_image(path)
                    if image.size != np.prod(shape):
                        raise KetbidsError(f'{path} has shape {image.shape}, not {shape}.')
                    target[c, columns] = image.reshape(-1)[where]
                path = self._folder / f'{name}_tfce_{stat}_max{end}.csv'
                largest = read_palm_maxima(path)
                if len(largest) != self._n:
                    raise KetbidsError(f'{path} has {len(largest)} shuffles, not {self._n}.')
                maxima[:, c] = np.maximum(maxima[:, c], largest)
        return maxima

    def _assert_same_t(self, t: Floats, data: Floats) -> None:
        """Refuse results of something else than the design that was meant."""
        own = estimate(data, self._parts, self._problem.groups).t
        apart = float(np.max(np.abs(t - own) / (1 + np.abs(own))))
        if not apart < _SAME_T:
            raise KetbidsError(
                f'The t of PALM and of ketbids differ by up to {apart:.2g} (relative): PALM has '
                'not tested this contrast of these maps. Is this PALM changed or another program?'
            )


def _one_value_per_label(design: Floats, tested: npt.NDArray[np.bool_]) -> Floats:
    """Give rows that are equal but for rounding in the tested columns the same values there.

    PALM finds labels by comparing to the last bit.
    """
    exact = design.copy()
    for column in np.flatnonzero(tested):
        values = design[:, column]
        scale = np.abs(values).max() or 1.0
        _, first, code = np.unique(
            np.round(values / scale, 10) + 0.0, return_index=True, return_inverse=True
        )
        exact[:, column] = values[first[code]]
    return exact
