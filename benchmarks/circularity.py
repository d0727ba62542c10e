"""How often a test finds something where there is nothing, in a region that maps have chosen.

Null studies are drawn: 47 patients at TP1, 37 of them at TP3 and 37 (not the same) at TP2, and 32
controls at TP1; maps are smooth noise, a person's maps resemble each other (correlation .6), and
the scores (HDRS, its change, who remits) have nothing to do with the maps. Each study is tested as
the group level does (exact TFCE, both tails, corrected over all grayordinates at .05). Where that
finds something by chance, the largest significant part of a parcel is the region, and what the
clinical statistics test is tested there. A test that is what it says rejects 5 % of these, too.

    python benchmarks/circularity.py [--sets 2500] [--left-out 60] [--nprocs 2]

Columns: what `ketbids.stats.circularity.classify` says of the test in the region; false positives
in the region, and in the whole parcel around it (what is given is that a region was found there);
in that parcel with its p corrected by Holm's method over all parcels, once as a share of the
studies in which a region was found, and once (`any study`) of all studies; in a parcel that was
named beforehand, over the first studies whatever was found; for one cell, with values of regions
that are found without the participant.

- A study is given up where 40 shuffles give no corrected p of at most .2; others have 199 beside
  the data as they are.
- A person's maps are equally correlated at all visits (compound symmetry), or less with distance
  (AR(1)), or their standard deviation differs between visits, which `classify` does not allow for.
- Exits with 1 if a test that is called independent rejects more often than .05 by more than 3.5
  standard errors (but with differing standard deviations), or any test in the parcel named
  beforehand, or corrected in any study, does (with compound symmetry only: for others a random
  intercept is not right); or if the test that selected rejects in less than half of the studies:
  then this measures nothing.

900 grayordinates (two spheres and three boxes), 27 parcels. Each study is a function of its cell
and its number, whatever the number of processes. With few sets only gross errors show.
"""

import argparse
import multiprocessing
import os
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from calibration import geometry, rate_of
from circularity_tests import (
    ROOTS,
    SESSIONS,
    Study,
    draw_study,
    list_tests,
    p_values,
    visits,
)

from ketbids.demo.mesh import icosphere
from ketbids.stats.circularity import DataUse, Selection, classify, uses_of_analysis
from ketbids.stats.inference import TestOptions, permutation_test
from ketbids.stats.ordinary.corrections import adjust

Floats = npt.NDArray[np.float64]

ALPHA, SETS, BEFOREHAND, LEFT_OUT = 0.05, 2500, 1500, 60
N_SHUFFLES, N_FIRST, HOPELESS = 200, 40, 0.2
#: Parcels of a sphere: its vertices by the nearest of these.
N_PARCELS = 12


class Cell(NamedTuple):
    """What selects: sessions, variable (empty: the mean), covariance of the visits.

    ``holds``: covariances depend on nothing but the distance of visits, as `classify` assumes.
    """

    name: str
    sessions: tuple[str, str]
    variable: str
    covariance: str
    holds: bool = True
    leave_out: bool = False


CELLS = (
    Cell('remitterChange', ('TP1', 'TP3'), 'remitter', 'compound symmetry', leave_out=True),
    Cell('pairedTP1TP3', ('TP1', 'TP3'), '', 'compound symmetry'),
    Cell('remitterChange', ('TP1', 'TP3'), 'remitter', 'AR(1)'),
    Cell('remitterChange', ('TP1', 'TP3'), 'remitter', 'SD 1, 1, 1.5', holds=False),
    Cell('remitters, TP1 - TP2', ('TP1', 'TP2'), 'remitter', 'AR(1)'),
)


class Outcome(NamedTuple):
    """p of every test in the region, its parcel (also corrected), a fixed one, and left out."""

    region: Floats | None = None
    parcel: Floats | None = None
    corrected: Floats | None = None
    fixed: Floats | None = None
    left_out: Floats | None = None


COLUMNS = {
    'region': 'region',
    'parcel': 'parcel around it',
    'corrected': 'parcel around it, Holm',
    'fixed': 'parcel named beforehand',
    'left_out': 'leave one out',
}


@cache
def parcels() -> npt.NDArray[np.int64]:
    """Parcel number of each grayordinate: some per sphere, one per box."""
    models = geometry().models
    height = 1 - 2 * (np.arange(N_PARCELS) + 0.5) / N_PARCELS
    angle = np.arange(N_PARCELS) * np.pi * (3 - 5**0.5)
    radius = np.sqrt(1 - height**2)
    centres = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])
    nearest = (icosphere(6).coordinates @ centres.T).argmax(axis=1)
    structure = models.structure.astype(int)
    own = np.where(models.is_surface, structure * N_PARCELS + nearest[models.vertex], 0)
    return np.where(models.is_surface, own, 2 * N_PARCELS + structure - 2)


class Selecting(NamedTuple):
    """Rows of a selecting analysis, and how it is tested."""

    rows: npt.NDArray[np.bool_]
    data: Floats
    design: Floats
    contrast: list[float]


def prepare(study: Study, cell: Cell) -> Selecting:
    """Choose rows and make the design: the tested column, then age and sex, demeaned."""
    difference = visits(study.maps, *cell.sessions)
    rows = np.isfinite(difference[:, 0]) & study.people['remitter'].notna().to_numpy()
    people = study.people[rows]
    covariates = people[['age', 'sex']].to_numpy()
    columns = [np.ones(len(people)), *(covariates - covariates.mean(axis=0)).T]
    if cell.variable:
        columns.append(people[cell.variable].to_numpy())
    contrast = [0.0] * len(columns)
    contrast[-1 if cell.variable else 0] = 1.0
    return Selecting(rows, difference[rows], np.column_stack(columns), contrast)


def significant(chosen: Selecting, kind: str, n_shuffles: int, seed: int) -> dict[str, Floats]:
    """Corrected p of both directions."""
    models, graph, extent, _ = geometry()
    options = TestOptions(kind, n_shuffles, seed)  # type: ignore[arg-type]
    _, data, design, contrast = chosen
    return permutation_test(data, design, contrast, models, graph, extent, options).pfwe


def find_region(pfwe: dict[str, Floats]) -> tuple[str, npt.NDArray[np.bool_], int] | None:
    """Find the largest significant part of a parcel: direction, where, and the parcel."""
    best, found = 0, None
    for direction, p in pfwe.items():
        inside = p < ALPHA
        counts = np.bincount(parcels()[inside], minlength=parcels().max() + 1)
        if counts.max() > best:
            best, parcel = int(counts.max()), int(counts.argmax())
            found = direction, inside & (parcels() == parcel), parcel
    return found


def run(job: tuple[int, int, bool, bool]) -> Outcome:
    """Draw a study of a cell, select a region, and test in it."""
    index, number, beforehand, leave_out = job
    cell = CELLS[index]
    key = zlib.crc32(f'{cell.name} {cell.covariance}'.encode())
    rng = np.random.default_rng([key, number])
    study, seed = draw_study(rng, cell.covariance), int(rng.integers(1 << 62))
    kind = 'permutations' if cell.variable else 'flips'
    chosen = prepare(study, cell)

    def test(where: npt.NDArray[np.bool_]) -> Floats:
        return p_values(study.maps[:, :, where].mean(axis=2), study.people)

    fixed = test(parcels() == number % (parcels().max() + 1)) if beforehand else None
    hope = significant(chosen, kind, N_FIRST, seed)
    if min(p.min() for p in hope.values()) > HOPELESS:
        return Outcome(fixed=fixed)
    region = find_region(significant(chosen, kind, N_SHUFFLES, seed))
    if region is None:
        return Outcome(fixed=fixed)
    direction, where, parcel = region
    left_out = None
    if leave_out:
        values = study.maps[:, :, where].mean(axis=2)
        for i, person in enumerate(np.flatnonzero(chosen.rows)):
            keep = np.arange(len(chosen.data)) != i
            others = Selecting(
                chosen.rows, chosen.data[keep], chosen.design[keep], chosen.contrast
            )
            pfwe = significant(others, kind, N_SHUFFLES, seed)[direction]
            inside = (pfwe < ALPHA) & (parcels() == parcel)
            values[person] = study.maps[person][:, inside].mean(axis=1) if inside.any() else np.nan
        left_out = p_values(values, study.people)
    every = np.stack([test(parcels() == n) for n in range(parcels().max() + 1)])
    corrected = np.array([adjust(p, 'holm')[parcel] for p in every.T])
    return Outcome(test(where), every[parcel], corrected, fixed, left_out)


def classes(cell: Cell) -> list[tuple[str, Selection]]:
    """Name every test, and say what it is in a region of this cell."""
    study = draw_study(np.random.default_rng(0), cell.covariance)
    chosen = prepare(study, cell)
    who = study.people.index[chosen.rows]
    variables = [cell.variable] if cell.variable else []
    selecting: DataUse = uses_of_analysis(cell.sessions, variables, who, ROOTS)
    return [
        (test.name, classify(selecting, test.uses, SESSIONS))
        for test in list_tests(study.people, study.maps[:, :, 0])
    ]


def limit_of(n: int) -> float:
    """Largest rate that is still .05, as far as so many sets can tell."""
    return ALPHA + 3.5 * float(np.sqrt(ALPHA * (1 - ALPHA) / max(n, 1)))


def report(cell: Cell, outcomes: list[Outcome]) -> bool:
    """Print the table of a cell; whether it is as it must be."""
    found = {
        name: np.array([p for o in outcomes if (p := getattr(o, name)) is not None])
        for name in Outcome._fields
    }
    shown = [name for name in found if len(found[name])]
    print(f'\n### {cell.name}, {cell.covariance}\n')
    print('; '.join(f'{COLUMNS[name]}: {len(found[name])} studies' for name in shown), end='.\n\n')
    heads = ' | '.join(COLUMNS[name] for name in shown)
    print(f'| test | selection | {heads} | any study, Holm | |')
    print('|---' * (len(shown) + 4) + '|')
    good = True
    for i, (test, selection) in enumerate(classes(cell)):
        p = {name: found[name][:, i][np.isfinite(found[name][:, i])] for name in shown}
        rates = {
            name: rate_of(int((p[name] <= ALPHA).sum()), max(len(p[name]), 1)) for name in shown
        }
        fails = [name for name in shown if rates[name].value > limit_of(len(p[name]))]
        bad = cell.holds and selection == 'independent' and 'region' in fails
        n_found = int((p['corrected'] <= ALPHA).sum()) if 'corrected' in p else 0
        rates['any study'] = rate_of(n_found, len(outcomes))
        too_many = 'fixed' in fails or rates['any study'].value > limit_of(len(outcomes))
        bad = bad or (cell.covariance == 'compound symmetry' and too_many)
        good = good and not bad
        texts = [f'{r.value:.3f} ({r.low:.3f} to {r.high:.3f})' for r in rates.values()]
        print(f'| {test} | {selection} | {" | ".join(texts)} | {"FAIL" if bad else ""} |')
    if not len(found['region']):
        print('\nNo region was found: take more sets.')
        return False
    direct = found['region'][:, [name for _, name in classes(cell)].index('direct')]
    return good and bool((direct <= ALPHA).mean() > 0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sets', type=int, default=SETS, help='null studies of each cell')
    parser.add_argument(
        '--left-out', type=int, default=LEFT_OUT, help='regions found without each participant'
    )
    parser.add_argument('--nprocs', type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    started = time.monotonic()
    n, good = arguments.sets, True
    print(f'{len(parcels())} grayordinates, {parcels().max() + 1} parcels, {n} studies per cell')
    # The first studies are enough for so many regions; how many these are does not matter.
    last = int(arguments.left_out / 0.04)
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(arguments.nprocs, mp_context=context) as pool:
        for index, cell in enumerate(CELLS):
            jobs = [(index, k, k < BEFOREHAND, cell.leave_out and k < last) for k in range(n)]
            good = report(cell, list(pool.map(run, jobs, chunksize=20))) and good
            sys.stdout.flush()
    print(f'\n{time.monotonic() - started:.0f} s with {arguments.nprocs} processes')
    return int(not good)


if __name__ == '__main__':
    sys.exit(main())
