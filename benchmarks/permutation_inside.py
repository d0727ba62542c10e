"""What benchmarks/permutation.py measures inside a process of Python of its own.

    python benchmarks/permutation_inside.py nilearn FOLDER N_MAPS N_SHUFFLES
    python benchmarks/permutation_inside.py agreement FOLDER
    python benchmarks/permutation_inside.py kernel FOLDER N_MAPS
    python benchmarks/permutation_inside.py parts FOLDER N_MAPS

Prints JSON. Times are seconds of the processor in this thread.
"""

import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ketbids.demo.brain import HEMISPHERES
from ketbids.io.cifti import read_maps
from ketbids.io.palmfiles import read_palm_image
from ketbids.io.surfaces import read_surface
from ketbids.stats.freedman_lane import partition_design
from ketbids.stats.graph import Graph, adjacency, extents, restrict, vertex_areas
from ketbids.stats.nulls import CHUNK, null_distributions
from ketbids.stats.shuffling import make_shuffles
from ketbids.stats.statistic import Statistic, make_statistic
from ketbids.stats.tfce import Enhancer

SEED, FEW_LOCATIONS = 1, 128
# Neither p nor maxima.
TFCE_MAP = re.compile(r'palm_tfce_tstat(_m\d)?\.nii\.gz')


def seconds(action: Callable[[], Any], repeats: int) -> float:
    """Median time of an action after a first one."""
    action()
    times = []
    for _ in range(repeats):
        started = time.thread_time()
        action()
        times.append(time.thread_time() - started)
    return statistics.median(times)


def space(folder: Path, n_rows: int) -> tuple[Any, Any, Graph, Any]:
    """Maps, brain models, neighbours and extents."""
    maps, models = read_maps(folder / f'maps{n_rows}.dscalar.nii')
    surfaces = {
        name: read_surface(folder / f'{side}.surf.gii')[0] for side, name in HEMISPHERES.items()
    }
    areas = {name: vertex_areas(surface) for name, surface in surfaces.items()}
    return maps, models, adjacency(models, surfaces), extents(models, areas)


def design_of(folder: Path, n_rows: int) -> Any:
    return np.loadtxt(folder / f'design{n_rows}.csv', delimiter=',')


def nilearn(folder: Path, n_rows: int, n_shuffles: int) -> dict[str, int]:
    """Run ``permuted_ols`` with TFCE, two-tailed, on the voxels."""
    import nibabel as nb
    from nilearn.maskers import NiftiMasker
    from nilearn.mass_univariate import permuted_ols

    image: Any = nb.load(folder / 'V.nii')
    roi: Any = nb.load(folder / 'V_roi.nii')
    inside = np.asarray(roi.dataobj)[..., 0] > 0
    masker = NiftiMasker(nb.Nifti1Image(inside.astype(np.int8), roi.affine), standardize=None)
    values = np.asarray(image.dataobj)[inside].T
    permuted_ols(
        np.ones((n_rows, 1)),
        values,
        design_of(folder, n_rows)[:, 1:],
        n_perm=n_shuffles,
        two_sided_test=True,
        random_state=SEED,
        masker=masker.fit(),
        tfce=True,
    )
    return {'voxels': values.shape[1]}


def agreement(folder: Path) -> dict[str, float]:
    """How far TFCE of the data as they are is from PALM's, relative to the largest value."""
    found = {}
    for path in sorted(folder.glob('palm_tfce_tstat*')):
        if TFCE_MAP.fullmatch(path.name):
            theirs = read_palm_image(path)
            ours = read_palm_image(folder / path.name.replace('palm', 'ketbids', 1))
            found[path.name] = float(np.abs(ours - theirs).max() / theirs.max())
    return found


def kernel(folder: Path, n_rows: int) -> dict[str, Any]:
    """Seconds per map of exact TFCE of both signs, and how far wb_command's values are away."""
    _, models, graph, extent = space(folder, n_rows)
    z = np.load(folder / 'z.npy').astype(np.float64)
    partition = models.partition
    found: dict[str, Any] = {}
    masks = {side: models.structure == models.names.index(n) for side, n in HEMISPHERES.items()}
    masks |= {'V': ~models.is_surface, 'all': np.ones(len(models), dtype=bool)}
    for part, mask in masks.items():
        enhancer = Enhancer(restrict(graph, mask), extent[mask], partition[mask])
        maps = np.ascontiguousarray(z[:, mask])
        out = np.empty_like(maps)

        def enhance(enhancer: Enhancer = enhancer, maps: Any = maps, out: Any = out) -> None:
            for values, enhanced in zip(maps, out, strict=True):
                enhancer.enhance(values, enhanced, 'signed')

        found[part] = {'seconds': seconds(enhance, 5) / len(maps)}
        if part != 'all':
            theirs = workbench_result(folder, part, models, mask)
            here = out[: len(theirs)]
            found[part]['difference'] = float(
                (np.abs(np.abs(theirs) - here).max(axis=1) / here.max(axis=1)).max()
            )
    return found


def workbench_result(folder: Path, part: str, models: Any, mask: Any) -> Any:
    """What wb_command has made of the first maps, shape (n_maps, n_in_part)."""
    import nibabel as nb

    if part == 'V':
        # Its extents are in mm^3, with the exponent 1/2.
        grid = read_palm_image(folder / 'V_wb.nii') / np.sqrt(abs(np.linalg.det(models.affine)))
        return grid[tuple(models.voxel[mask].T)].T
    image: Any = nb.load(folder / f'{part}_wb.func.gii')
    return np.array([array.data[models.vertex[mask]] for array in image.darrays])


def parts(folder: Path, n_rows: int) -> dict[str, float]:
    """Seconds per shuffle of each part of the engine, one thread."""
    maps, models, graph, extent = space(folder, n_rows)
    design = partition_design(design_of(folder, n_rows), np.array([1.0, 0.0, 0.0]))
    shuffles = make_shuffles('flips', n_rows, 1000, SEED)
    statistic = make_statistic(maps, design)
    some = range(1, 1 + CHUNK)
    z = statistic.z(shuffles, some)
    out = np.empty(len(models))
    found = {
        'z': seconds(lambda: statistic.z(shuffles, some), 15) / CHUNK,
        'shuffle': seconds(lambda: shuffles.shuffle(77), 50),
    }
    exact = Enhancer(graph, extent, models.partition)
    stepped = Enhancer(graph, extent, models.partition, steps=100)
    for name, enhancer in (('tfce', exact), ('steps', stepped)):

        def enhance(enhancer: Enhancer = enhancer) -> None:
            for values in z:
                enhancer.enhance(values, out, 'signed')

        found[name] = seconds(enhance, 9) / CHUNK
    found['all'] = per_shuffle(statistic, exact, n_rows)
    # As many steps of the interpreter, next to nothing to compute.
    near = np.arange(len(models)) < FEW_LOCATIONS
    little = Enhancer(restrict(graph, near), extent[near], models.partition[near])
    found['python'] = per_shuffle(make_statistic(maps[:, near], design), little, n_rows)
    return found


def per_shuffle(statistic: Statistic, enhancer: Enhancer, n_rows: int) -> float:
    """Seconds that one more shuffle takes in the engine."""

    def run(n: int) -> None:
        shuffles = make_shuffles('flips', n_rows, n, SEED)
        null_distributions(statistic, shuffles, [lambda: _Both(enhancer.twin())])

    few, many = 1 + CHUNK, 1 + 9 * CHUNK
    return (seconds(lambda: run(many), 5) - seconds(lambda: run(few), 5)) / (many - few)


class _Both:
    """TFCE of both signs as a measure."""

    def __init__(self, enhancer: Enhancer) -> None:
        self._enhancer = enhancer

    def __call__(self, z: Any, out: Any) -> Any:
        return self._enhancer.enhance(z, out, 'signed').max(axis=0)


def main() -> int:
    task, folder, *numbers = sys.argv[1:]
    tasks: dict[str, Callable[..., Any]] = {
        'nilearn': nilearn, 'agreement': agreement, 'kernel': kernel, 'parts': parts,
    }  # fmt: skip
    print(json.dumps(tasks[task](Path(folder), *map(int, numbers))))
    return 0


if __name__ == '__main__':
    sys.exit(main())
