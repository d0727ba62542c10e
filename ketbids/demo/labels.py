"""Desikan-Killiany labels of the synthetic participants."""

import numpy as np
import numpy.typing as npt

from ketbids.demo.brain import Brain
from ketbids.demo.streams import stream
from ketbids.demo.tables import packaged
from ketbids.io.cifti import Labels
from ketbids.stats.brainmodels import BrainModels

__all__ = ['anatomical_keys', 'cortex_models', 'participant_labels', 'region_names']

_CHANCE = 0.3


def region_names() -> dict[int, str]:
    """Name of each key, as in the HCP's ``aparc``: left 1 to 35, right 36 to 70, 0 unlabelled."""
    regions = [entry['name'] for entry in packaged('desikan_killiany.json')['regions']]
    names = {0: '???'}
    for side in 'LR':
        names.update({len(names) + i: f'{side}_{name}' for i, name in enumerate(regions)})
    return names


def anatomical_keys(brain: Brain) -> npt.NDArray[np.int32]:
    """Key of the template's label at each grayordinate; 0 for voxels and the medial wall."""
    keys = {name: key for key, name in region_names().items()}
    of_area = {
        f'{side}_{area}': keys[f'{side}_{entry["name"]}']
        for side in 'LR'
        for entry in packaged('desikan_killiany.json')['regions']
        for area in entry['areas']
    }
    unique, inverse = np.unique(brain.area, return_inverse=True)
    return np.array([of_area.get(str(area), 0) for area in unique], np.int32)[inverse]


def cortex_models(models: BrainModels) -> BrainModels:
    """Keep the vertices of the brain models: label files of the HCP have no voxels."""
    n = int(models.is_surface.sum())
    names = models.surface_names
    if models.names[: len(names)] != names:
        raise ValueError('surfaces must come before voxels')
    return BrainModels(
        names, models.structure[:n], models.vertex[:n], models.voxel[:n], dict(models.n_vertices)
    )


def participant_labels(brain: Brain, seed: int, label: str) -> Labels:
    """Draw a participant's own parcellation: the template's with ragged boundaries.

    In two rounds, each vertex beside another region takes a neighbour's label with a chance
    of 0.3.
    """
    models = cortex_models(brain.models)
    n = len(models)
    rng = stream(seed, 'labels', label)
    keys = anatomical_keys(brain)[:n]
    indptr, indices = brain.graph.indptr[: n + 1], brain.graph.indices
    degree = np.maximum(np.diff(indptr), 1)
    for _ in range(2):
        slot = (indptr[:-1] + (rng.random(n) * degree).astype(int)).clip(max=len(indices) - 1)
        other = keys[indices[slot]]
        takes = (rng.random(n) < _CHANCE) & (keys > 0) & (other > 0) & (np.diff(indptr) > 0)
        keys = np.where(takes, other, keys)
    regions = packaged('desikan_killiany.json')['regions']
    shades = [tuple(level / 255 for level in entry['colour']) for entry in regions] * 2
    colours = {key: (*shade, 1.0) for key, shade in enumerate(shades, start=1)}
    return Labels(keys, region_names(), {0: (0.0, 0.0, 0.0, 0.0), **colours}, models)
