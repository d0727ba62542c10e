"""How often the paired analysis of TP1 and TP2 finds something, though nothing is planted.

Contrast maps are drawn straight from the planted model of the synthetic study, once per seed (the
participants, their scores and their differences are drawn anew as well), and tested by the native
engine as the group level does. The analyses in which something is planted are run beside it.

    python benchmarks/null_rate.py [--seeds 40] [--shuffles 1000] [--nprocs 2]

Exits with 1 if TP1-TP2 is significant for more than 5 seeds in 40 (in proportion for other
numbers): with a true rate of .05, more are found with a chance of .014.
"""

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ketbids.demo.brain import Brain, small_brain
from ketbids.demo.contrasts import analysis_rows, draw_contrasts
from ketbids.demo.document import decode, truth_document
from ketbids.demo.found import ALPHA, LOWEST_DICE, dice, peak
from ketbids.demo.sample import Participant, draw_sample
from ketbids.demo.truth import plant
from ketbids.stats.graph import extents, vertex_areas
from ketbids.stats.inference import TestOptions, permutation_test
from ketbids.stats.smoothing import smoothing_matrix

N_PARTICIPANTS, N_VOLUMES, FWHM = 24, 200, 5.0
ANALYSES = {
    'pairedTP1TP2': ('TP1', 'TP2'),
    'pairedTP1TP3': ('TP1', 'TP3'),
    'remitterChange': ('TP1', 'TP3'),
}


class Outcome(NamedTuple):
    """What one analysis of one seed found."""

    significant: bool
    inside: bool
    overlap: float
    lowest_p: float


@cache
def geometry() -> tuple[Brain, Any, np.ndarray]:
    brain = small_brain()
    areas = {name: vertex_areas(surface) for name, surface in brain.midthickness.items()}
    smoothing = smoothing_matrix(brain.models, brain.midthickness, FWHM).astype(np.float32)
    return brain, smoothing, extents(brain.models, areas)


def design_of(name: str, people: list[Participant]) -> tuple[np.ndarray, list[float], str]:
    if name != 'remitterChange':
        return np.ones((len(people), 1)), [1.0], 'flips'
    covariates = np.array([[p.age, p.sex == 'F'] for p in people], float)
    remitter = np.array([bool(p.remitter) for p in people], float)
    design = np.column_stack([remitter, 1 - remitter, covariates - covariates.mean(axis=0)])
    return design, [1.0, -1.0, 0.0, 0.0], 'permutations'


def run(seed: int, n_shuffles: int) -> dict[str, Outcome]:
    brain, smoothing, extent = geometry()
    sample = draw_sample(N_PARTICIPANTS, seed)
    planted = plant(brain, sample, seed)
    truth = truth_document(planted, sample, {})
    maps = draw_contrasts(planted, sample, N_VOLUMES, smoothing)
    people = {person.label: person for person in sample.patients}
    outcomes = {}
    for name, (first, second) in ANALYSES.items():
        labels, rows = analysis_rows(sample, maps, first, second)
        design, contrast, kind = design_of(name, [people[label] for label in labels])
        options = TestOptions(kind, n_shuffles, seed)  # type: ignore[arg-type]
        result = permutation_test(
            rows, design, contrast, brain.models, brain.graph, extent, options
        )
        sign = 'neg' if truth['analyses'][name]['neg'] else 'pos'
        mask = np.zeros(len(brain.models), bool)
        for region in truth['analyses'][name][sign]:
            mask |= decode(truth['regions'][region]['grayordinates'], len(mask))
        found = result.pfwe[sign] < ALPHA
        highest = peak(result.pfwe[sign], result.z if sign == 'pos' else -result.z)
        lowest = min(float(p.min()) for p in result.pfwe.values())
        outcomes[name] = Outcome(lowest < ALPHA, bool(mask[highest]), dice(found, mask), lowest)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=40)
    parser.add_argument('--shuffles', type=int, default=1000)
    parser.add_argument('--nprocs', type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    started = time.monotonic()
    seeds = range(1, arguments.seeds + 1)
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(arguments.nprocs, mp_context=context) as pool:
        results = list(pool.map(run, seeds, [arguments.shuffles] * len(seeds)))
    for name in ANALYSES:
        outcomes = [result[name] for result in results]
        line = f'{name:<16} significant {sum(o.significant for o in outcomes):>3} of {len(seeds)}'
        if name == 'pairedTP1TP2':
            seeds_found = [s for s, o in zip(seeds, outcomes, strict=True) if o.significant]
            line += f'  (seeds {seeds_found})' if seeds_found else ''
        else:
            found = [o for o in outcomes if o.inside and o.overlap >= LOWEST_DICE]
            line += (
                f'; peak inside and Dice >= {LOWEST_DICE}: {len(found)}; median Dice '
                f'{np.median([o.overlap for o in outcomes]):.2f}'
            )
        print(line)
    print(f'{time.monotonic() - started:.0f} s, {arguments.shuffles} shuffles')
    false = sum(result['pairedTP1TP2'].significant for result in results)
    allowed = 5 * len(seeds) / 40
    verdict = 'at most' if false <= allowed else 'more than'
    print(f'TP1-TP2 was found for {verdict} {allowed:g} seeds.')
    return int(false > allowed)


if __name__ == '__main__':
    sys.exit(main())
