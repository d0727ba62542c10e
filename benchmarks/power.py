"""Power against truth: how much of what is planted in the demo study each way of testing finds.

The group maps of a finished demo study (`make demo`) are tested again, with the same shuffles, by

- the default: exact TFCE, corrected over cortex and subcortex by the smallest p;
- PALM's 100 steps; Bonferroni over cortex and subcortex;
- each grayordinate's own z (no TFCE), corrected by one maximum over all of them.

Effects are planted once; weaker ones are had by taking a part of the estimated effect away from
the maps, which leaves their residuals as they are.

    python benchmarks/power.py [DEMO_DIR] [--shuffles 500] [--threads 2]

For each analysis with a planted effect: the share of planted grayordinates that is found (in the
right direction, corrected p < .05), and of all that is found the share outside of what is planted
(smoothing spreads effects by some mm, so that this is not a rate of false positives). Exits with 1
if the default finds less of all that is planted than Bonferroni does, or than no TFCE.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from ketbids.demo.found import planted_mask
from ketbids.interfaces.inference import mean_areas, read_effects
from ketbids.io.files import read_json
from ketbids.io.tables import read_table
from ketbids.stats.freedman_lane import check_design, partition_design
from ketbids.stats.graph import adjacency, extents
from ketbids.stats.inference import TestOptions, permutation_test
from ketbids.stats.multiplicity import count_reaching
from ketbids.stats.nulls import itself, null_distributions
from ketbids.stats.shuffling import make_shuffles
from ketbids.stats.statistic import make_statistic

ALPHA = 0.05
CONTRAST = 'nogoVsGo'
STRENGTHS = (1.0, 0.75, 0.5)
WAYS = ('default', '100 steps', 'bonferroni', 'no TFCE')


def read_analysis(root: Path, name: str):
    """Design rows, their maps and geometry, columns and weights of a finished analysis."""
    folder = root / 'out' / 'group' / f'node-{name}'
    rows = read_table(folder / f'node-{name}_contrast-{CONTRAST}_design.tsv')
    about = read_json(next(folder.glob('*_stat-t_statmap.json')))
    data, models = read_effects(rows, root / 'out')
    known = ('participant_id', 'session_id', 'minus_session_id', 'path', 'minus_path')
    columns = [column for column in rows if column not in known]
    weights = [float(about['Contrast'].get(column, 0)) for column in columns]
    return rows[columns], np.array(weights), data, models, about['Shuffling']


def voxelwise(data, design, weights, options: TestOptions):
    """Corrected p of each direction by the maximum of |z|."""
    matrix, contrast = check_design(design, weights)
    shuffles = make_shuffles(
        options.kind, matrix[:, contrast != 0], options.n_shuffles, options.seed
    )
    statistic = make_statistic(data, partition_design(matrix, contrast))
    z = statistic.z(shuffles, range(1))[0]
    (null,) = null_distributions(
        statistic, shuffles, [lambda: itself], absolute=True, threads=options.threads
    )
    p = count_reaching(null.maxima[:, 0], null.observed) / shuffles.n
    return {'pos': np.where(z > 0, p, 1), 'neg': np.where(z < 0, p, 1)}


def weakened(data, design, weights, strength: float):
    """Maps with a part of the estimated effect."""
    tested = partition_design(*check_design(design, weights)).tested
    effect = tested @ data / (tested @ tested)
    return data - (1 - strength) * np.outer(tested, effect)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('demo', type=Path, nargs='?', default=Path('demo'))
    parser.add_argument('--shuffles', type=int, default=500)
    parser.add_argument('--threads', type=int, default=2)
    arguments = parser.parse_args()
    truth = read_json(arguments.demo / 'truth.json')
    group = arguments.demo / 'out' / 'group'
    heads = ' | '.join(f'{way}: found, outside' for way in WAYS)
    print(f'| analysis | N | strength | planted | {heads} |')
    print('|' + '---|' * (4 + len(WAYS)))
    totals = dict.fromkeys(WAYS, 0)
    surfaces = [sorted(group.glob(f'group_hemi-{side}_*_midthickness.surf.gii')) for side in 'LR']
    for name, planted in truth['analyses'].items():
        masks = {sign: planted_mask(truth, planted[sign]) for sign in ('pos', 'neg')}
        if not any(mask.any() for mask in masks.values()):
            continue
        design, weights, data, models, kind = read_analysis(arguments.demo, name)
        areas, meshes = mean_areas(*([str(path[0])] for path in surfaces), models)
        graph, extent = adjacency(models, meshes), extents(models, areas)
        options = TestOptions(kind, arguments.shuffles, threads=arguments.threads)
        variants = {
            'default': options,
            '100 steps': replace(options, tfce_steps=100),
            'bonferroni': replace(options, joint='bonferroni'),
        }
        inside = np.ptp(data, axis=0) > 0
        for strength in STRENGTHS:
            maps = weakened(data, design, weights, strength)
            cells = []
            for way in WAYS:
                if way in variants:
                    result = permutation_test(
                        maps, design, weights, models, graph, extent, variants[way]
                    )
                    p = result.pfwe
                else:
                    p = {sign: np.ones(len(models)) for sign in masks}
                    some = voxelwise(maps[:, inside], design, weights, options)
                    for sign in masks:
                        p[sign][inside] = some[sign]
                found = {sign: np.nan_to_num(p[sign], nan=1) < ALPHA for sign in masks}
                right = sum(int((found[sign] & masks[sign]).sum()) for sign in masks)
                all_found = sum(int(found[sign].sum()) for sign in masks)
                n_planted = sum(int(mask.sum()) for mask in masks.values())
                outside = f'{1 - right / all_found:.2f}' if all_found else '-'
                cells.append(f'{right / n_planted:.2f}, {outside}')
                totals[way] += right
            print(
                f'| {name} | {len(maps)} | {strength} | {n_planted} | {" | ".join(cells)} |',
                flush=True,
            )
    print(
        '\nPlanted grayordinates found in all: ' + ', '.join(f'{w} {n}' for w, n in totals.items())
    )
    good = totals['default'] >= max(totals['bonferroni'], totals['no TFCE'])
    print('PASS' if good else 'FAIL: the default is not the most powerful')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
