"""Files of a synthetic study for benchmarks/permutation.py, in the formats of all programs.

    python benchmarks/permutation_files.py FOLDER JSON

JSON: ``rows`` (a dscalar and a design for each of these numbers of maps), ``peers`` (the number
of maps whose files are written for the other programs too, or null), ``z_maps`` (z maps of that
many shuffles, for timings of TFCE alone), ``frequency`` and ``voxel`` (mesh and voxels of an
artificial brain; null for the standard one) and ``like`` (a CIFTI file whose grayordinates are
taken, or null).

The data are normal noise after ten averagings over neighbours, and an effect in part of the
brain; the design is a column of ones and two covariates with mean 0.
"""

import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.demo.brain import HEMISPHERES, Brain, brain_like, full_brain
from ketbids.demo.mesh import coarse_mesh
from ketbids.demo.subcortex import subcortex
from ketbids.io.cifti import write_maps
from ketbids.io.palmfiles import write_palm_image, write_palm_surface, write_palm_table
from ketbids.io.surfaces import write_surface
from ketbids.io.templates import cortex_vertices
from ketbids.stats.brainmodels import BrainModels
from ketbids.stats.freedman_lane import partition_design
from ketbids.stats.graph import vertex_areas
from ketbids.stats.shuffling import make_shuffles
from ketbids.stats.statistic import make_statistic

Floats = npt.NDArray[np.floating]

AVERAGINGS, SEED, EFFECT = 10, 20200401, 0.4


def artificial_brain(frequency: int, voxel: float) -> Brain:
    """Hemispheres of 10 f^2 + 2 vertices cut from the average ones; voxels of any size."""
    meshes = {side: coarse_mesh(side, frequency) for side in HEMISPHERES}
    grid = subcortex(voxel)
    kept = [
        np.flatnonzero(np.isin(meshes[side].nearest, cortex_vertices(side)))
        for side in HEMISPHERES
    ]
    sizes = [*map(len, kept), *map(len, grid.voxels.values())]
    vertex, places = np.concatenate(kept), np.concatenate([*grid.voxels.values()])
    models = BrainModels(
        names=(*HEMISPHERES.values(), *(f'CIFTI_STRUCTURE_{name}' for name in grid.voxels)),
        structure=np.repeat(np.arange(len(sizes)), sizes).astype(np.int16),
        vertex=np.concatenate([vertex, np.full(len(places), -1)]).astype(np.int32),
        voxel=np.concatenate([np.full((len(vertex), 3), -1), places]).astype(np.int32),
        n_vertices={HEMISPHERES[side]: len(mesh.nearest) for side, mesh in meshes.items()},
        affine=grid.affine,
        volume_shape=grid.shape,
    )
    surfaces = {HEMISPHERES[side]: mesh.midthickness for side, mesh in meshes.items()}
    return Brain(models, surfaces, surfaces, np.full(len(models), ''), f'f{frequency}')


def smooth_maps(brain: Brain, n_rows: int) -> Floats:
    """Smooth noise of variance 1 and an effect around the first vertex; a map a column."""
    rng = np.random.default_rng(SEED)
    maps = rng.standard_normal((len(brain.models), n_rows)).astype(np.float32)
    distance = np.linalg.norm(brain.coordinates - brain.coordinates[0], axis=1)
    for _ in range(AVERAGINGS):
        maps = brain.diffusion @ maps
    maps /= maps.std()
    return maps + (EFFECT * np.exp(-((distance / 20.0) ** 2)))[:, None].astype(np.float32)


def design_of(n_rows: int) -> Floats:
    """Ones, an age and a sex."""
    rng = np.random.default_rng([SEED, n_rows])
    covariates = np.column_stack([rng.normal(40, 12, n_rows), np.arange(n_rows) % 2])
    return np.column_stack([np.ones(n_rows), covariates - covariates.mean(axis=0)])


def write_metric(target: Path, maps: Floats, structure: str) -> None:
    """Write maps (n_maps, n_vertices) as wb_command likes them best."""
    from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData

    side = structure.removeprefix('CIFTI_STRUCTURE_CORTEX_').capitalize()
    GiftiImage(
        meta=GiftiMetaData({'AnatomicalStructurePrimary': f'Cortex{side}'}),
        darrays=[
            GiftiDataArray(values.astype(np.float32), 'NIFTI_INTENT_NORMAL') for values in maps
        ],
    ).to_filename(target)


def in_volume(models: BrainModels, maps: Floats) -> Floats:
    """Maps (n_maps, n_grayordinates) on the grid, shape (n_maps, x, y, z)."""
    voxels = ~models.is_surface
    assert models.volume_shape is not None
    grid = np.zeros((len(maps), *models.volume_shape), dtype=maps.dtype)
    grid[(slice(None), *models.voxel[voxels].T)] = maps[:, voxels]
    return grid


def on_surface(models: BrainModels, maps: Floats, name: str) -> Floats:
    """Maps of a surface with 0 at the medial wall, shape (n_maps, n_vertices)."""
    part = models.where(name)
    whole = np.zeros((len(maps), models.n_vertices[name]), dtype=maps.dtype)
    whole[:, models.vertex[part]] = maps[:, part]
    return whole


def write_peers(folder: Path, brain: Brain, maps: Floats) -> None:
    """Write what PALM reads without compiled parts."""
    for side, name in HEMISPHERES.items():
        surface = brain.midthickness[name]
        write_palm_surface(folder / f'{side}.srf', surface)
        write_palm_table(folder / f'{side}_area.csv', vertex_areas(surface))
        write_palm_image(folder / f'{side}.nii', on_surface(brain.models, maps, name))
    write_palm_image(folder / 'V.nii', in_volume(brain.models, maps), brain.models.affine)


def write_z_maps(
    folder: Path, brain: Brain, maps: Floats, design: Floats, counts: list[int]
) -> None:
    """Write z maps of shuffles for wb_command, in files of several sizes."""
    import nibabel as nb

    shuffles = make_shuffles('flips', len(design), max(counts) + 1, SEED)
    parts = partition_design(design, np.array([1.0, 0.0, 0.0]))
    z = make_statistic(maps, parts).z(shuffles, range(1, max(counts) + 1)).astype(np.float32)
    np.save(folder / 'z.npy', z)
    models = brain.models
    inside = np.ones((1, len(models)), dtype=np.float32)
    for side, name in HEMISPHERES.items():
        write_metric(folder / f'{side}_roi.func.gii', on_surface(models, inside, name), name)
        for count in counts:
            metric = on_surface(models, z[:count], name)
            write_metric(folder / f'{side}_z{count}.func.gii', metric, name)
    for stem, values in {'V_roi': inside, **{f'V_z{n}': z[:n] for n in counts}}.items():
        grid = np.moveaxis(in_volume(models, values), 0, -1)
        nb.save(nb.Nifti1Image(grid, models.affine), folder / f'{stem}.nii')


def main() -> int:
    folder, wanted = Path(sys.argv[1]), json.loads(sys.argv[2])
    if wanted['frequency']:
        brain = artificial_brain(wanted['frequency'], wanted['voxel'])
    else:
        brain = brain_like(Path(wanted['like'])) if wanted['like'] else full_brain()
    maps = smooth_maps(brain, max(wanted['rows'])).T
    for name in HEMISPHERES:
        structure = HEMISPHERES[name]
        write_surface(folder / f'{name}.surf.gii', brain.midthickness[structure], structure)
    write_palm_table(folder / 'contrast.csv', [1, 0, 0])
    for n in wanted['rows']:
        named = {f'map {k + 1}': maps[k] for k in range(n)}
        write_maps(folder / f'maps{n}.dscalar.nii', named, brain.models)
        write_palm_table(folder / f'design{n}.csv', design_of(n))
    if wanted['peers']:
        n = wanted['peers']
        write_peers(folder, brain, maps[:n])
        write_z_maps(folder, brain, maps[:n], design_of(n), wanted['z_maps'])
    models = brain.models
    counts = [models.where(name).stop - models.where(name).start for name in HEMISPHERES.values()]
    print(json.dumps({'n': len(models), 'L': counts[0], 'R': counts[1]}))
    return 0


if __name__ == '__main__':
    sys.exit(main())
