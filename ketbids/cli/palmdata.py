"""What a call of ketbids-palm works on: files become inputs, spaces and tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from ketbids.cli.palmdesigns import Test, read_designs
from ketbids.cli.palmoptions import PalmOptions
from ketbids.errors import InputError, UsageError
from ketbids.io.matrices import check_file
from ketbids.io.palminputs import PalmInput, read_inputs, volume_models
from ketbids.io.palmmasks import read_masks
from ketbids.io.palmnames import PalmNames, check_writable
from ketbids.io.palmsurfaces import assign_surfaces, check_mesh, read_areas
from ketbids.io.surfaces import read_mesh
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.palmspace import Space, cluster_measurement, palm_rule, tfce_measurement
from ketbids.stats.palmtest import Measurement

__all__ = ['CLUSTER', 'TFCE', 'PalmData', 'Test', 'read_data']

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Names of the measures of a map beside itself.
TFCE, CLUSTER = 'tfce', 'cluster'


@dataclass(frozen=True, eq=False)
class PalmData:
    """All that a call works on.

    Attributes
    ----------
    inputs : tuple of PalmInput
    measurements : tuple of dict of str to Measurement
        Of each input: `TFCE`, `CLUSTER`, as they are asked for.
    on_surface : tuple of bool
        Whether an input's locations are vertices of a surface that is used.
    groups : ndarray of int, shape (n_observations,), or None
        Variance groups.
    tests : tuple of Test
    names : PalmNames
        Of the results.
    options : PalmOptions
        With what follows from the data.
    notes : tuple of str
        Sentences for the user.
    """

    inputs: tuple[PalmInput, ...]
    measurements: tuple[dict[str, Measurement], ...]
    on_surface: tuple[bool, ...]
    groups: Ints | None
    tests: tuple[Test, ...]
    names: PalmNames
    options: PalmOptions
    notes: tuple[str, ...]


def read_data(options: PalmOptions) -> PalmData:
    """Read all files of a call and check that they fit.

    Raises
    ------
    UsageError
        Options do not fit the files.
    InputError
        A file cannot be read or used, or there is nothing to shuffle.
    """
    files = (
        *(*options.inputs, *options.masks, *options.designs, *options.t_contrasts),
        *(*options.f_contrasts, options.blocks, options.variance_groups, *options.permidx),
        *(name for surface in options.surfaces for name in surface),
    )
    check_writable(options.prefix, [Path(name) for name in files if name])
    inputs = read_inputs(
        [Path(name) for name in options.inputs], read_masks(options.masks, len(options.inputs))
    )
    n = inputs[0].n_observations
    designs = read_designs(options, n)
    if options.demean:
        inputs = [
            replace(source, data=source.data - source.data.mean(axis=0, dtype=np.float64))
            for source in inputs
        ]
    spatial = options.tfce or options.cluster_threshold is not None
    spaces = _spaces(options, inputs) if spatial else [None] * len(inputs)
    measurements = tuple(
        _measurements(options, *pair) for pair in zip(inputs, spaces, strict=True)
    )
    notes = [note for source in inputs for note in _notes(source)]
    notes += [*designs.notes, *_notes_on_options(options, inputs, measurements)]
    ranks = {test.parts.rank for test in designs.tests}
    if options.correct_contrasts and len(ranks) > 1 and not options.z_statistic:
        options = replace(options, z_statistic=True)
        notes.append('t and F have no common scale: for -corrcon their z are saved (-zstat).')
    return PalmData(
        inputs=tuple(inputs),
        measurements=measurements,
        on_surface=tuple(space is not None and bool(space.models.n_vertices) for space in spaces),
        groups=designs.groups,
        tests=designs.tests,
        names=PalmNames(
            options.prefix,
            len(inputs),
            max(1, len(options.designs)),
            max(test.contrast for test in designs.tests),
        ),
        options=options,
        notes=tuple(notes),
    )


def _notes(source: PalmInput) -> Iterator[str]:
    yield from source.notes
    if not source.usable.mask.all():
        yield f'{source.path}: {source.usable.sentence()}'


def _notes_on_options(
    options: PalmOptions,
    inputs: Sequence[PalmInput],
    measurements: Sequence[dict[str, Measurement]],
) -> Iterator[str]:
    """Say which options have no effect on these inputs; refuse ours that has none."""
    if options.surfaces and not any(measurements):
        for surface in options.surfaces:
            check_file(Path(surface.mesh))
        yield 'Without -T or -C the surfaces (-s) are not used.'
    grayordinates = any(source.kind == 'cifti' for source in inputs)
    if options.tfce_2d and grayordinates:
        yield (
            '-tfce2D changes nothing for grayordinates: vertices have H 2 and E 1 anyway, and '
            'it does not mean voxels. -tfce_E and -tfce_C set those.'
        )
    names = {name for found in measurements for name in found}
    kinds = [{found[name].partitions for found in measurements} for name in names]
    if '-joint' in options.words and all(len(p) < 2 for kind in kinds for p in kind):
        raise UsageError(
            '-joint joins the surfaces and the volume of a dscalar under -T or -C; there is '
            'nothing to join here: leave it out.'
        )
    if options.correct_inputs and any(len(kind) > 1 for kind in kinds):
        yield (
            '-corrmod does not go over TFCE and clusters here: some inputs have surfaces, others '
            'a volume or both, and mm^2 and voxels have no common scale.'
        )


def _spaces(options: PalmOptions, inputs: Sequence[PalmInput]) -> list[Space]:
    """Where the locations of each input are."""
    meshes = [_read_mesh(surface.mesh, surface.area) for surface in options.surfaces]
    mixed = [source.kind == 'cifti' for source in inputs]
    if any(mixed):
        if not all(mixed):
            raise UsageError(
                'Inputs of grayordinates (dscalar, dtseries) and others cannot share TFCE or '
                'clusters: test them in calls of their own.'
            )
        return [_grayordinates(source, meshes) for source in inputs]
    if len(meshes) not in (0, 1, len(inputs)):
        raise UsageError(
            f'There are {len(meshes)} surfaces (-s) for {len(inputs)} inputs: give one for all, '
            'or one for each.'
        )
    spaces = []
    for number, source in enumerate(inputs):
        if meshes:
            spaces.append(_vertices(source, *meshes[0 if len(meshes) == 1 else number]))
        elif source.grid is not None:
            spaces.append(Space(volume_models(source), {}, {}))
        else:
            raise UsageError(
                f'{source.path}: TFCE and clusters need to know who is whose neighbour: give the '
                'surface with -s.'
            )
    return spaces


def _read_mesh(mesh: str, area: str) -> tuple[Surface, str, Path, Floats]:
    surface, structure = read_mesh(Path(mesh))
    return surface, structure, Path(mesh), read_areas(area or None, surface, Path(mesh))


def _vertices(
    source: PalmInput, surface: Surface, structure: str, mesh: Path, area: Floats
) -> Space:
    """One surface."""
    side = source.structure.removeprefix('Cortex').upper()
    if side and structure and not structure.endswith(f'_{side}'):
        raise InputError(
            f'{source.path} says that it is of the {side.lower()} hemisphere, but {mesh} says '
            f'that it is of {structure}: give each input its own surface, in the same order.'
        )
    check_mesh(surface, mesh, source.n_locations, source.path)
    name = 'surface'
    vertex = np.flatnonzero(source.mask).astype(np.int32)
    models = BrainModels(
        names=(name,),
        structure=np.zeros(len(vertex), np.int16),
        vertex=vertex,
        voxel=np.full((len(vertex), 3), -1, np.int32),
        n_vertices={name: source.n_locations},
    )
    return Space(models, {name: surface}, {name: area})


def _grayordinates(source: PalmInput, meshes: Sequence[tuple[Any, ...]]) -> Space:
    """Surfaces and volume of a CIFTI file."""
    assert source.models is not None
    chosen = assign_surfaces(source.models, [mesh[:3] for mesh in meshes], source.path)
    return Space(
        source.models.select(source.mask),
        {name: meshes[index][0] for name, index in chosen.items()},
        {name: meshes[index][3] for name, index in chosen.items()},
    )


def _measurements(
    options: PalmOptions, source: PalmInput, space: Space | None
) -> dict[str, Measurement]:
    """TFCE and clusters, as they are asked for."""
    found: dict[str, Measurement] = {}
    if space is None:
        return found
    if options.tfce:
        rule = palm_rule(
            source.kind == 'cifti',
            two_dimensional=options.tfce_2d,
            height=options.height,
            extent=options.extent,
            connectivity=options.connectivity,
            exact=options.exact,
            step_height=options.step,
        )
        found[TFCE] = tfce_measurement(space, rule)
    if options.cluster_threshold is not None:
        statistic = cast(Literal['extent', 'mass'], options.cluster_statistic)
        found[CLUSTER] = cluster_measurement(space, options.cluster_threshold, statistic)
    if options.tail and options.joint == 'minp' and len(space.partitions[0]) > 1:
        raise UsageError(
            f'{source.path}: with -accel tail surfaces and volume are joined by -joint bonferroni '
            'or -joint sidak: the smallest of their p is ranked among the shuffles, not fitted.'
        )
    return found
