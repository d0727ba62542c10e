"""How often the permutation test finds something where there is nothing.

Null data sets are drawn and tested as the group level does (exact TFCE, both tails, corrected over
cortex and subcortex by the smallest p), with 199 shuffles beside the data as they are, so that .05
can be reached exactly. The familywise rate at .05 is the share of the sets in which any
grayordinate has a corrected p of at most .05.

    python benchmarks/calibration.py [--sets 2000] [--nprocs 2]

Two spheres of about 330 vertices and three boxes of voxels, data smoothed. Each set is a function
of its cell and its number, whatever the number of processes.

- Where sign flips or permutations are valid, the rate must be within .017 of .05 (3.5 standard
  errors for 2,000 sets; with fewer sets as many standard errors of theirs), and the test may warn
  of skewness or unequal variances in at most one of 20 sets.
- Where they are not valid, the rate is reported, and the test must warn in most sets.
- With variance groups (v in place of t) the sets of the unequal variances are tested once more.
  It is not exact there: conservative with a third of Welch's degrees of freedom for its z, as in
  PALM (.035 of 2,000 sets; with all of them it would be .088). So the rate must not be above .05
  by more than .017, and its interval must be below that of t; it may be low.

Exits with 1 if something is not as it must be. With fewer than 1,000 sets the limits are so wide
that this only shows that the program runs.
"""

import argparse
import itertools
import multiprocessing
import os
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.demo.mesh import icosphere
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.graph import Graph, adjacency, extents, vertex_areas
from ketbids.stats.inference import TestOptions, permutation_test
from ketbids.stats.smoothing import smoothing_matrix

Floats = npt.NDArray[np.float64]

ALPHA, LIMIT, SETS = 0.05, 0.017, 2000
# With fewer sets only gross errors show.
ENOUGH = 1000
N_SHUFFLES = 200
RADIUS, FREQUENCY, VOXEL, FWHM = 50.0, 6, 4.0, 18.0
BOXES = {
    'CIFTI_STRUCTURE_PUTAMEN_RIGHT': ((1, 1, 1), (5, 5, 4)),
    'CIFTI_STRUCTURE_PALLIDUM_RIGHT': ((6, 1, 1), (3, 4, 4)),
    'CIFTI_STRUCTURE_BRAIN_STEM': ((2, 9, 2), (4, 4, 5)),
}
SKEWED, UNEQUAL = 'not symmetric', 'vary differently'
# At least this part of the sets of an invalid cell must carry its warning, and at most this part
# of the sets of a valid cell either warning.
WARNED, FALSE_ALARMS = 0.5, 0.05


class Geometry(NamedTuple):
    """Where the data live, and how white noise becomes smooth noise of variance 1."""

    models: BrainModels
    graph: Graph
    extent: Floats
    smoothing: Any


class Study(NamedTuple):
    """A null data set and how it is tested."""

    maps: Floats
    design: Floats
    contrast: list[float]
    kind: str


class Cell(NamedTuple):
    """One line of the table.

    ``warning`` is a part of the warning that is due; none where the test is valid. With
    ``better_than``, the sets of that cell are tested with variance groups.
    """

    name: str
    draw: Callable[[np.random.Generator], Study]
    warning: str = ''
    better_than: str = ''


class Outcome(NamedTuple):
    """What one set gave."""

    found: bool
    warned: bool


class Rate(NamedTuple):
    """A rate and its 95 % interval."""

    value: float
    low: float
    high: float


@cache
def geometry() -> Geometry:
    """Two spheres without a medial wall's cap, two boxes that touch, and one apart."""
    ball = icosphere(FREQUENCY)
    surface = Surface(RADIUS * ball.coordinates, ball.triangles)
    side = surface.coordinates[:, 0] / RADIUS
    names: list[str] = []
    vertices, voxels = [], []
    for name, wall in (('LEFT', side > 0.85), ('RIGHT', side < -0.85)):
        names.append(f'CIFTI_STRUCTURE_CORTEX_{name}')
        vertices.append(np.flatnonzero(~wall))
    for name, (corner, size) in BOXES.items():
        names.append(name)
        voxels.append(np.array(list(itertools.product(*map(range, size)))) + corner)
    sizes = [*map(len, vertices), *map(len, voxels)]
    vertex, voxel = np.concatenate(vertices), np.concatenate(voxels)
    models = BrainModels(
        names=tuple(names),
        structure=np.repeat(np.arange(len(sizes)), sizes).astype(np.int16),
        vertex=np.concatenate([vertex, np.full(len(voxel), -1)]).astype(np.int32),
        voxel=np.concatenate([np.full((len(vertex), 3), -1), voxel]).astype(np.int32),
        n_vertices=dict.fromkeys(names[:2], len(surface.coordinates)),
        affine=np.diag([VOXEL, VOXEL, VOXEL, 1.0]),
        volume_shape=(12, 14, 9),
    )
    surfaces = dict.fromkeys(names[:2], surface)
    areas = {name: vertex_areas(surface) for name in surfaces}
    smoothing = smoothing_matrix(models, surfaces, FWHM)
    scale = np.sqrt(np.asarray(smoothing.multiply(smoothing).sum(axis=1)).ravel())
    smoothing = smoothing.multiply(1 / scale[:, None]).tocsr()
    return Geometry(models, adjacency(models, surfaces), extents(models, areas), smoothing)


def smooth_noise(rng: np.random.Generator, n_rows: int) -> Floats:
    """Normal noise of mean 0 and variance 1, smooth within each structure; a map a row."""
    smoothing = geometry().smoothing
    return (smoothing @ rng.standard_normal((smoothing.shape[1], n_rows))).T


def covariates(rng: np.random.Generator, n_rows: int) -> Floats:
    """An age and a sex, demeaned over the rows."""
    values = np.column_stack([rng.normal(40, 12, n_rows), np.arange(n_rows) % 3 == 0])
    return values - values.mean(axis=0)


def one_sample(rng: np.random.Generator, n_rows: int, adjusted: bool, skewed: bool) -> Study:
    """A mean that is 0; errors normal or log-normal."""
    maps = smooth_noise(rng, n_rows)
    if skewed:
        maps = np.exp(maps) - np.exp(0.5)
    columns = [np.ones((n_rows, 1))] + [covariates(rng, n_rows)] * adjusted
    design = np.hstack(columns)
    return Study(maps, design, [1.0] + [0.0] * (design.shape[1] - 1), 'flips')


def paired(rng: np.random.Generator, n_rows: int, adjusted: bool) -> Study:
    """Differences of two sessions of the same people; a covariate is a change as well."""
    people = 2 * smooth_noise(rng, n_rows)
    first, second = (people + smooth_noise(rng, n_rows) for _ in range(2))
    columns = [np.ones((n_rows, 1))] + [covariates(rng, n_rows)] * adjusted
    design = np.hstack(columns)
    return Study(second - first, design, [1.0] + [0.0] * (design.shape[1] - 1), 'flips')


def two_samples(
    rng: np.random.Generator, sizes: tuple[int, int], adjusted: bool, ratio: float
) -> Study:
    """Two groups with equal means; the variance of the first is ``ratio`` times the other's."""
    n_rows = sum(sizes)
    first = np.arange(n_rows) < sizes[0]
    maps = smooth_noise(rng, n_rows)
    maps[first] *= np.sqrt(ratio)
    columns = [first[:, None], ~first[:, None]] + [covariates(rng, n_rows)] * adjusted
    design = np.hstack(columns).astype(np.float64)
    return Study(maps, design, [1.0, -1.0] + [0.0] * (design.shape[1] - 2), 'permutations')


_TWO_VARIANCES = partial(two_samples, sizes=(7, 17), adjusted=False, ratio=4)
CELLS = (
    Cell('one-sample', partial(one_sample, n_rows=18, adjusted=False, skewed=False)),
    Cell('one-sample, covariates', partial(one_sample, n_rows=18, adjusted=True, skewed=False)),
    Cell('two-sample', partial(two_samples, sizes=(9, 13), adjusted=False, ratio=1)),
    Cell('two-sample, covariates', partial(two_samples, sizes=(9, 13), adjusted=True, ratio=1)),
    Cell('paired', partial(paired, n_rows=16, adjusted=False)),
    Cell('paired, covariates', partial(paired, n_rows=16, adjusted=True)),
    Cell(
        'skewed errors, sign flips',
        partial(one_sample, n_rows=24, adjusted=False, skewed=True),
        SKEWED,
    ),
    Cell('variances 4 : 1, groups 7 : 17', _TWO_VARIANCES, UNEQUAL),
    Cell('the same with v', _TWO_VARIANCES, better_than='variances 4 : 1, groups 7 : 17'),
)


def run(job: tuple[str, int]) -> Outcome:
    """Draw and test one set of a cell."""
    name, number = job
    cell = next(cell for cell in CELLS if cell.name == name)
    rng = np.random.default_rng([zlib.crc32((cell.better_than or name).encode()), number])
    study = cell.draw(rng)
    models, graph, extent, _ = geometry()
    result = permutation_test(
        study.maps,
        study.design,
        study.contrast,
        models,
        graph,
        extent,
        TestOptions(study.kind, N_SHUFFLES, int(rng.integers(1 << 62))),  # type: ignore[arg-type]
        groups=study.design[:, 0].astype(int) if cell.better_than else None,
    )
    lowest = min(float(p.min()) for p in result.pfwe.values())
    texts = [cell.warning] if cell.warning else [SKEWED, UNEQUAL]
    warned = any(text in sentence for text in texts for sentence in result.warnings)
    return Outcome(lowest <= ALPHA, warned)


def rate_of(n_found: int, n: int) -> Rate:
    """A rate with Wilson's interval."""
    z = 1.959964
    rate, weight = n_found / n, z**2 / n
    middle = (rate + weight / 2) / (1 + weight)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + weight)
    return Rate(rate, max(0.0, middle - half), min(1.0, middle + half))


def limit_of(n: int) -> float:
    """How far from .05 the rate of so many sets may be."""
    return LIMIT * float(np.sqrt(max(1, SETS / n)))


def line(cell: Cell, outcomes: list[Outcome], rates: dict[str, Rate]) -> tuple[str, bool]:
    """Row of the table, and whether it is as it must be; adds to ``rates``."""
    n = len(outcomes)
    rate = rates[cell.name] = rate_of(sum(outcome.found for outcome in outcomes), n)
    warned = sum(outcome.warned for outcome in outcomes) / n
    limit = limit_of(n)
    if cell.warning:
        good = warned >= WARNED
        expected = f'any; warned >= {WARNED:.0%}'
    elif cell.better_than:
        other = rates[cell.better_than]
        good = rate.value <= ALPHA + limit and rate.high < other.low and warned <= FALSE_ALARMS
        expected = f'<= {ALPHA + limit:.3f}, interval below {other.low:.3f}'
        expected += f'; warned <= {FALSE_ALARMS:.0%}'
    else:
        good = abs(rate.value - ALPHA) <= limit and warned <= FALSE_ALARMS
        expected = f'{ALPHA:g} +- {limit:.3f}; warned <= {FALSE_ALARMS:.0%}'
    row = (
        f'| {cell.name} | {n} | {rate.value:.3f} | {rate.low:.3f} to {rate.high:.3f} '
        f'| {warned:.1%} | {expected} | {"PASS" if good else "FAIL"} |'
    )
    return row, good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sets', type=int, default=SETS, help='null data sets of each cell')
    parser.add_argument('--nprocs', type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    started = time.monotonic()
    models = geometry().models
    good, rates = True, dict[str, Rate]()
    print(f'{len(models)} grayordinates, {N_SHUFFLES - 1} shuffles and the data as they are\n')
    if arguments.sets < ENOUGH:
        print(
            f'Fewer than {ENOUGH} sets: a smoke test only. The rate may be off {ALPHA:g} by '
            f'{limit_of(arguments.sets):.3f} ({LIMIT:g} with {SETS} sets).\n'
        )
    print(f'| cell | sets | rate at {ALPHA:g} | 95 % interval | warned | expected | |')
    print('|---|---|---|---|---|---|---|')
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(arguments.nprocs, mp_context=context) as pool:
        for cell in CELLS:
            jobs = [(cell.name, number) for number in range(arguments.sets)]
            row, passed = line(cell, list(pool.map(run, jobs, chunksize=20)), rates)
            good = good and passed
            print(row, flush=True)
    print(f'\n{time.monotonic() - started:.0f} s with {arguments.nprocs} processes')
    return int(not good)


if __name__ == '__main__':
    sys.exit(main())
