"""What the group's maps are described with: average surfaces and anatomical labels."""

from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.errors import InputError
from ketbids.io.cifti import Labels, read_labels, read_maps, write_labels, write_maps
from ketbids.io.surfaces import read_surface, write_surface
from ketbids.io.templates import MESH_SIZE, parcellation, template_surface
from ketbids.stats.atlas import nearest_labels, vote
from ketbids.stats.brainmodels import BrainModels, Surface

__all__ = ['GroupAtlas', 'place_labels']

SIDES = (('L', 'LEFT'), ('R', 'RIGHT'))
KINDS = ('midthickness', 'inflated')


class _GroupAtlasInputSpec(BaseInterfaceInputSpec):
    map_file = File(exists=True, mandatory=True, desc='any map of the group, for its geometry')
    label_files = traits.List(
        File(exists=True), desc='Desikan-Killiany labels, one per participant'
    )
    atlas_names = traits.List(traits.Str, desc='further atlases, or DesikanKilliany')
    atlas_files = traits.List(File(exists=True), desc='a label file of each')
    left_midthickness = traits.List(File(exists=True), mandatory=True)
    right_midthickness = traits.List(File(exists=True), mandatory=True)
    left_inflated = traits.List(File(exists=True), mandatory=True)
    right_inflated = traits.List(File(exists=True), mandatory=True)


class _GroupAtlasOutputSpec(TraitedSpec):
    midthickness = traits.List(File(exists=True), desc='average surfaces: left, right')
    inflated = traits.List(File(exists=True), desc='average surfaces: left, right')
    desikan_killiany = File(exists=True, desc='label that is given, or most participants have')
    agreement = File(exists=True, desc='share of the participants that have it')
    yeo7 = File(exists=True, desc='Yeo-7 network')
    given = traits.List(File(exists=True), desc='further atlases, on the grayordinates of maps')
    density = traits.Str(desc='BIDS den label of the maps')
    mesh = traits.Str(desc='BIDS den label of the surfaces')


class GroupAtlas(SimpleInterface):
    """Average the surfaces, let participants vote on labels, and carry over the networks."""

    input_spec = _GroupAtlasInputSpec
    output_spec = _GroupAtlasOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        cwd = Path(runtime.cwd)
        _, models = read_maps(Path(self.inputs.map_file))
        means: dict[str, dict[str, Surface]] = {}
        for kind in KINDS:
            means[kind] = {
                f'CIFTI_STRUCTURE_CORTEX_{side}': mean_surface(
                    getattr(self.inputs, f'{side.lower()}_{kind}')
                )
                for _, side in SIDES
            }
            self._results[kind] = [
                str(write_surface(cwd / f'{hemi}_{kind}.surf.gii', surface, name))
                for (hemi, _), (name, surface) in zip(SIDES, means[kind].items(), strict=True)
            ]
        self._anatomy(models, cwd)
        networks = yeo_networks(models, means['midthickness'])
        self._results['yeo7'] = str(write_labels(cwd / 'yeo7.dlabel.nii', networks, 'Yeo-7'))
        self._results['density'] = models.density
        self._results['mesh'] = models.mesh
        return runtime

    def _anatomy(self, models: BrainModels, cwd: Path) -> None:
        """Write the given atlases; without a given Desikan-Killiany one, that of the vote."""
        i = self.inputs
        names = i.atlas_names if isdefined(i.atlas_names) else []
        given = dict(zip(names, i.atlas_files if names else [], strict=True))
        written = {
            name: str(write_labels(cwd / f'{name}.dlabel.nii', place_labels(path, models), name))
            for name, path in given.items()
        }
        voted = isdefined(i.label_files) and i.label_files
        if 'DesikanKilliany' in written:
            self._results['desikan_killiany'] = written.pop('DesikanKilliany')
        elif voted:
            winner, agreement = vote_labels(i.label_files, models)
            labels = write_labels(cwd / 'desikan.dlabel.nii', winner, 'Desikan-Killiany')
            shares = write_maps(cwd / 'agreement.dscalar.nii', {'agreement': agreement}, models)
            self._results.update(desikan_killiany=str(labels), agreement=str(shares))
        if written:
            self._results['given'] = list(written.values())


def mean_surface(paths: list[str]) -> Surface:
    """Average vertex positions; all surfaces must be on one mesh."""
    first, _ = read_surface(Path(paths[0]))
    total = np.zeros_like(first.coordinates)
    for path in paths:
        surface, _ = read_surface(Path(path))
        if surface.coordinates.shape != total.shape:
            raise InputError(
                f'{path} has {len(surface.coordinates)} vertices, {paths[0]} {len(total)}: '
                'all participants must be on the same mesh.'
            )
        total += surface.coordinates
    return Surface(total / len(paths), first.triangles)


def vote_labels(paths: list[str], models: BrainModels) -> tuple[Labels, np.ndarray]:
    """Vote over label files and spread the result over all grayordinates of `models`."""
    files = [read_labels(Path(path)) for path in paths]
    first = files[0]
    for path, labels in zip(paths, files, strict=True):
        if labels.names != first.names:
            raise InputError(f'{path} and {paths[0]} have different label tables.')
    keys = np.stack(
        [spread(labels, models, path) for labels, path in zip(files, paths, strict=True)]
    )
    winner, agreement = vote(keys)
    names = {0: '???', **first.names}
    colours = {0: (1.0, 1.0, 1.0, 0.0), **first.colours}
    agreement = np.where(winner == 0, np.nan, agreement)
    return Labels(winner, names, colours, models), agreement


def place_labels(path: str, models: BrainModels) -> Labels:
    """Place the labels of an atlas into the grayordinates of the maps; those without one get 0.

    Raises
    ------
    InputError
        The file is no label file, is on another mesh or grid, has keys without a name, or leaves
        every grayordinate without a label.
    """
    labels = read_labels(Path(path))
    keys = spread(labels, models, path)
    voxels, own = ~models.is_surface, ~labels.models.is_surface
    if labels.models.affine is not None and models.affine is not None:
        if labels.models.volume_shape != models.volume_shape or not np.allclose(
            labels.models.affine, models.affine, atol=1e-3
        ):
            raise InputError(f'{path} has voxels of another grid than the maps.')
        grid = np.zeros(tuple(models.volume_shape or ()), np.int32)
        grid[tuple(labels.models.voxel[own].T)] = labels.keys[own]
        keys[voxels] = grid[tuple(models.voxel[voxels].T)]
    names = {0: '???', **labels.names}
    unknown = sorted(set(keys.tolist()) - set(names))
    if unknown:
        raise InputError(
            f'{path} has the label keys {", ".join(map(str, unknown[:5]))}, to which its label '
            'table gives no name.'
        )
    if not keys.any():
        raise InputError(f'{path} has no label on the grayordinates of the maps.')
    return Labels(keys, names, {0: (1.0, 1.0, 1.0, 0.0), **labels.colours}, models)


def spread(labels: Labels, models: BrainModels, path: str) -> np.ndarray:
    """Place the labels of surface vertices into the grayordinates of `models`; 0 elsewhere."""
    keys = np.zeros(len(models), np.int32)
    for name in labels.models.surface_names:
        if name not in models.surface_names:
            continue
        found, wanted = labels.models.n_vertices[name], models.n_vertices[name]
        if found != wanted:
            raise InputError(
                f'{path} is on another mesh than the maps: {found} vertices of {name} instead of '
                f'{wanted}.'
            )
        whole = np.zeros(wanted, np.int32)
        source = labels.models.where(name)
        whole[labels.models.vertex[source]] = labels.keys[source]
        keys[models.where(name)] = whole[models.vertex[models.where(name)]]
    return keys


def yeo_networks(models: BrainModels, midthickness: dict[str, Surface]) -> Labels:
    """Label cortical grayordinates by Yeo-7 network.

    On the fs_LR 32k mesh vertex by vertex; on another mesh by the nearest vertex of the S1200
    average surface, which is close enough for a name in a table.
    """
    text = np.full(len(models), '', dtype='U40')
    for hemi, side in SIDES:
        name = f'CIFTI_STRUCTURE_CORTEX_{side}'
        if name not in models.surface_names:
            continue
        here = models.where(name)
        networks = parcellation('yeo7', hemi)
        if models.n_vertices[name] == MESH_SIZE:
            text[here] = networks[models.vertex[here]]
        else:
            points = midthickness[name].coordinates[models.vertex[here]]
            template = template_surface(hemi, 'midthickness').coordinates
            known = networks != ''
            text[here] = nearest_labels(points, template[known], networks[known])
    names = {0: '???'} | dict(enumerate(sorted(set(text) - {''}), start=1))
    codes = {label: key for key, label in names.items()} | {'': 0}
    keys = np.array([codes[label] for label in text.tolist()], np.int32)
    return Labels(
        keys, names, {key: network_colour(label) for key, label in names.items()}, models
    )


def network_colour(label: str) -> tuple[float, float, float, float]:
    """Colour of a network as in Yeo et al. 2011, as RGBA."""
    colours = {
        'Visual': (120, 18, 134),
        'Somatomotor': (70, 130, 180),
        'Dorsal Attention': (0, 118, 14),
        'Ventral Attention': (196, 58, 250),
        'Limbic': (220, 248, 164),
        'Frontoparietal': (230, 148, 34),
        'Default': (205, 62, 78),
    }
    if label not in colours:
        return (1.0, 1.0, 1.0, 0.0)
    red, green, blue = (value / 255 for value in colours[label])
    return (red, green, blue, 1.0)
