"""What a call of ketbids-palm works on: files become inputs, spaces and tests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ketbids.cli.palmoptions import PalmOptions
from ketbids.errors import InputError, UsageError
from ketbids.io.fsldesign import (
    default_contrasts,
    pair_contrasts,
    read_blocks,
    read_contrast_set,
    read_design,
    read_variance_groups,
)
from ketbids.io.matrices import read_matrix
from ketbids.io.palminputs import PalmInput, read_inputs, volume_models
from ketbids.io.palmmasks import read_masks
from ketbids.io.palmnames import PalmNames, check_writable
from ketbids.io.palmsurfaces import assign_surfaces, check_mesh, read_areas
from ketbids.io.surfaces import read_mesh
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.exchangeability import block_tree, block_variance_groups
from ketbids.stats.freedman_lane import PartitionedDesign, check_design, partition_design
from ketbids.stats.palmshuffles import given_shuffles, palm_shuffles
from ketbids.stats.palmspace import Space, cluster_measurement, palm_rule, tfce_measurement
from ketbids.stats.palmtest import Measurement
from ketbids.stats.shuffling import Shuffles, label_codes

__all__ = ['CLUSTER', 'TFCE', 'PalmData', 'Test', 'read_data']

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Names of the measures of a map beside itself.
TFCE, CLUSTER = 'tfce', 'cluster'

#: PALM's number of shuffles.
_DEFAULT_SHUFFLES = 10000
# A demeaned column that is smaller than this part of what it was is gone.
_GONE = 1e-10


class Test(NamedTuple):
    """One contrast of one design; both are numbered from 1."""

    design: int
    contrast: int
    parts: PartitionedDesign
    shuffles: Shuffles


class _Contrast(NamedTuple):
    """One contrast before its shuffles are chosen: weights of shape (n_columns, rank)."""

    design: int
    number: int
    matrix: Floats
    weights: Floats

    @property
    def labels(self) -> Ints:
        """Observations that are equal in the tested columns have one label."""
        return label_codes(self.matrix[:, self.weights.any(axis=1)])


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
    notes : tuple of str
        Sentences for the user.
    """

    inputs: tuple[PalmInput, ...]
    measurements: tuple[dict[str, Measurement], ...]
    on_surface: tuple[bool, ...]
    groups: Ints | None
    tests: tuple[Test, ...]
    names: PalmNames
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
    notes = [note for source in inputs for note in _notes(source)]
    contrasts, more = _read_contrasts(options, n)
    tree = (
        block_tree(read_blocks(Path(options.blocks), n), options.within, options.whole)
        if (options.blocks)
        else None
    )
    groups = _read_groups(options, tree, n)
    if options.demean:
        contrasts = [_demeaned(contrast) for contrast in contrasts]
        inputs = [
            replace(source, data=source.data - source.data.mean(axis=0, dtype=np.float64))
            for source in inputs
        ]
    parts = [partition_design(*check_design(c.matrix, c.weights)) for c in contrasts]
    shuffles, said = _choose_shuffles(options, contrasts, tree, n)
    tests = tuple(
        Test(contrast.design, contrast.number, split, chosen)
        for contrast, split, chosen in zip(contrasts, parts, shuffles, strict=True)
    )
    spatial = options.tfce or options.cluster_threshold is not None
    spaces = _spaces(options, inputs) if spatial else [None] * len(inputs)
    return PalmData(
        inputs=tuple(inputs),
        measurements=tuple(
            _measurements(options, *pair) for pair in zip(inputs, spaces, strict=True)
        ),
        on_surface=tuple(space is not None and bool(space.models.n_vertices) for space in spaces),
        groups=groups,
        tests=tests,
        names=PalmNames(
            options.prefix,
            len(inputs),
            max(1, len(options.designs)),
            max(c.number for c in contrasts),
        ),
        notes=(*notes, *more, *said),
    )


def _notes(source: PalmInput) -> Iterator[str]:
    yield from source.notes
    if not source.usable.mask.all():
        yield f'{source.path}: {source.usable.sentence()}'


def _read_contrasts(options: PalmOptions, n: int) -> tuple[list[_Contrast], list[str]]:
    """All contrasts of all designs, in the order in which PALM numbers them."""
    designs = [read_design(Path(name), n) for name in options.designs] or [np.ones((n, 1))]
    words: list[tuple[str, Path]] = []
    for k, name in enumerate(options.t_contrasts):
        words.append(('-t', Path(name)))
        if k < len(options.f_contrasts) and options.f_contrasts[k]:
            words.append(('-f', Path(options.f_contrasts[k])))
    pairs = pair_contrasts(words, len(options.designs))
    found, notes = [], []
    for d, matrix in enumerate(designs):
        if pairs is None:
            rows = default_contrasts(matrix.shape[1])
        else:
            rows, said = read_contrast_set(pairs[d], matrix.shape[1])
            notes += said
        found += [_Contrast(d + 1, c + 1, matrix, row.T) for c, row in enumerate(rows)]
    return found, notes


def _demeaned(contrast: _Contrast) -> _Contrast:
    """Subtract the means of the columns; those that were constant are left out."""
    centred = contrast.matrix - contrast.matrix.mean(axis=0)
    tested = contrast.matrix @ contrast.weights
    gone = np.abs(centred).max(axis=0) <= _GONE * np.abs(contrast.matrix).max(axis=0)
    if (np.ptp(tested, axis=0) <= _GONE * np.abs(tested).max(axis=0)).any():
        raise InputError(
            f'Contrast {contrast.number} of design {contrast.design} tests the mean, which '
            '-demean removes: leave -demean out.'
        )
    return contrast._replace(matrix=centred[:, ~gone], weights=contrast.weights[~gone])


def _read_groups(options: PalmOptions, tree: Ints | None, n: int) -> Ints | None:
    """Variance groups, if there are several."""
    if not options.variance_groups:
        return None
    if options.variance_groups != 'auto':
        groups = read_variance_groups(Path(options.variance_groups), n)
    elif tree is None:
        return None
    else:
        groups = block_variance_groups(tree)
    return groups if len(np.unique(groups)) > 1 else None


def _choose_shuffles(
    options: PalmOptions, contrasts: Sequence[_Contrast], tree: Ints | None, n: int
) -> tuple[list[Shuffles], list[str]]:
    """The shuffles of each contrast, and sentences about them."""
    if options.permidx:
        if len(options.permidx) not in (1, len(contrasts)):
            raise UsageError(
                f'There are {len(options.permidx)} -permidx for {len(contrasts)} contrasts: give '
                'one for all, or one each.'
            )
        given = [_read_shuffles(Path(name), n, options.n_shuffles) for name in options.permidx]
        return given * (len(contrasts) // len(given)), []
    synchronised = options.synchronised or options.correct_contrasts
    labels = [contrast.labels for contrast in contrasts]
    notes = []
    if synchronised and any((other != labels[0]).any() for other in labels[1:]):
        labels = [np.arange(n)] * len(contrasts)
        notes.append(
            'Equal observations differ between the contrasts: to shuffle all contrasts alike, '
            'all observations are told apart (as by -cmcx of PALM).'
        )
    one_sample = not options.designs
    chosen: list[Shuffles] = []
    for number, codes in enumerate(labels):
        chosen.append(
            chosen[0]
            if synchronised and chosen
            else palm_shuffles(
                codes,
                blocks=tree,
                permute=options.permute and not one_sample,
                flip=options.flip or one_sample,
                n=_DEFAULT_SHUFFLES if options.n_shuffles is None else options.n_shuffles,
                seed=options.seed,
                stream=number,
            )
        )
    return chosen, notes


def _read_shuffles(path: Path, n: int, wanted: int | None) -> Shuffles:
    table = read_matrix(path)
    try:
        return given_shuffles(table, n, wanted)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error


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
