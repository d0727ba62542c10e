"""What is planted for the trial types of any task, by one rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ketbids.demo.brain import Brain
from ketbids.demo.noise import diffuse, smooth_noise
from ketbids.demo.streams import stream
from ketbids.demo.tables import packaged
from ketbids.demo.truth import region_mask

__all__ = ['Region', 'TrialEffects', 'person_effects', 'plant_trial_types']

Map = npt.NDArray[np.float32]

#: Percent signal change of the regions that a trial type has of its own: cortex, a nucleus.
_CORTEX, _NUCLEUS = (0.6, -0.5, 0.5, -0.4, 0.4), 0.6
#: A region is an area and its nearest neighbours of the same hemisphere, so many in all.
_N_AREAS = 4
#: Regions of one trial type lie at least so far apart (mm), where there is room.
_APART = 45.0
_NUCLEI = ('CAUDATE', 'PUTAMEN', 'THALAMUS')

_EDGE_FWHM, _RANDOM_FWHM = 4.0, 12.0
#: Standard deviations over people: of the logarithm of the strength of all effects; of smooth
#: fields that all trial types share, and of those that one has of its own (percent).
GAIN_SD, SHARED_SD, OWN_SD = 0.15, 0.12, 0.09


@dataclass(frozen=True, eq=False)
class Region:
    """A region of the planted maps.

    Attributes
    ----------
    parts : tuple of str
        Areas of the HCP multimodal parcellation (``L_44``), or a CIFTI structure.
    mask : ndarray of bool, shape (n_grayordinates,)
    """

    parts: tuple[str, ...]
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TrialEffects:
    """The planted effects.

    Attributes
    ----------
    brain : Brain
    seed : int
    regions : dict of str to Region
    amplitudes : dict of str to dict of str to float
        By trial type, in the order of their names, and region: percent signal change at the
        peak of the response to one trial.
    maps : ndarray of float32, shape (n_trial_types, n_grayordinates)
        The regions with soft edges.
    """

    brain: Brain
    seed: int
    regions: dict[str, Region]
    amplitudes: dict[str, dict[str, float]]
    maps: Map


def plant_trial_types(brain: Brain, trials: Mapping[str, int], seed: int) -> TrialEffects:
    """Plant effects for trial types.

    All of them share a network for the task (visual, motor, attention). Each but the most
    frequent (the first by name of equals) has regions of its own in addition: three areas of
    cortex where the signal rises, two where it falls, and a nucleus where it rises. Which these
    are is drawn by the seed and the sorted names; no two trial types share one as long as there
    are enough.

    Parameters
    ----------
    brain : Brain
    trials : mapping of str to int
        Number of trials by type.
    seed : int
    """
    names = sorted(trials)
    reference = max(names, key=lambda name: (trials[name], -names.index(name)))
    network = {
        f'{entry["name"]}Network': (entry['go'], Region(tuple(_areas(entry)), mask))
        for entry in packaged('planted.json')['other_activity']
        if entry['go'] and (mask := region_mask(brain, entry)).any()
    }
    regions = {name: region for name, (_, region) in network.items()}
    shared = {name: amplitude for name, (amplitude, _) in network.items()}
    own = _own_regions(
        brain, {a for region in regions.values() for a in region.parts}, names, seed
    )
    amplitudes = {}
    for name in names:
        amplitudes[name] = dict(shared)
        if name != reference:
            for label, amplitude, region in next(own):
                regions[label] = region
                amplitudes[name][label] = amplitude
    hard = np.zeros((len(names), len(brain.models)), np.float32)
    for row, name in zip(hard, names, strict=True):
        for label, amplitude in amplitudes[name].items():
            row += np.float32(amplitude) * regions[label].mask
    soft = np.ascontiguousarray(diffuse(brain, hard, brain.steps(_EDGE_FWHM)))
    return TrialEffects(brain, seed, regions, amplitudes, soft)


def _areas(entry: Mapping[str, list[str]]) -> list[str]:
    return [f'{side}_{area}' for side in entry['hemispheres'] for area in entry['areas']]


def _own_regions(
    brain: Brain, taken: set[str], names: list[str], seed: int
) -> Iterator[list[tuple[str, float, Region]]]:
    """Give the regions of one trial type after the other, each with its name and amplitude."""
    areas = [str(area) for area in np.unique(brain.area) if area and str(area) not in taken]
    centres = np.array([brain.coordinates[brain.area == area].mean(axis=0) for area in areas])
    rng = stream(seed, 'regions', *names)
    order = rng.permutation(len(areas)).tolist()
    nuclei = [
        f'{nucleus}_{side}'
        for nucleus in _NUCLEI
        for side in ('LEFT', 'RIGHT')
        if f'CIFTI_STRUCTURE_{nucleus}_{side}' in brain.models.names
    ]
    nuclei = [nuclei[i] for i in rng.permutation(len(nuclei))]
    free: list[int] = []
    turn = 0
    while True:
        chosen: list[int] = []
        found: list[tuple[str, float, Region]] = []
        if len(free) < _N_AREAS * len(_CORTEX):
            free = list(order)  # there are more trial types than room: begin again
        for amplitude in _CORTEX[: len(areas)]:
            middle = _next_centre(free, chosen, centres)
            chosen.append(middle)
            parts = _neighbourhood(middle, free, areas, centres)
            free = [i for i in free if i not in parts]
            labels = tuple(areas[i] for i in parts)
            found.append((areas[middle], amplitude, Region(labels, np.isin(brain.area, labels))))
        if nuclei:
            nucleus = nuclei[turn % len(nuclei)]
            mask = np.zeros(len(brain.models), bool)
            mask[brain.models.where(f'CIFTI_STRUCTURE_{nucleus}')] = True
            found.append((nucleus, _NUCLEUS, Region((nucleus,), mask)))
        turn += 1
        yield found


def _next_centre(free: list[int], chosen: list[int], centres: npt.NDArray[np.float64]) -> int:
    """Take the first free area that lies far from those chosen; failing that, the first."""
    for area in free:
        if all(np.linalg.norm(centres[area] - centres[other]) >= _APART for other in chosen):
            return area
    return free[0]


def _neighbourhood(
    middle: int, free: list[int], areas: list[str], centres: npt.NDArray[np.float64]
) -> list[int]:
    side = [i for i in free if areas[i][0] == areas[middle][0]]
    return sorted(side, key=lambda i: float(np.linalg.norm(centres[i] - centres[middle])))[
        :_N_AREAS
    ]


def person_effects(effects: TrialEffects, participant: str) -> Map:
    """Percent signal change of one person, at the peak of the response to one trial.

    The planted maps times the person's gain, a smooth field that all trial types share, and one
    for each.

    Returns
    -------
    ndarray of float32, shape (n_trial_types, n_grayordinates)
        In the order of `TrialEffects.amplitudes`.
    """
    brain, seed = effects.brain, effects.seed
    rng = stream(seed, 'person', participant)
    gain = np.float32(np.exp(rng.normal(0, GAIN_SD)))
    shared = np.float32(SHARED_SD) * smooth_noise(brain, 1, _RANDOM_FWHM, rng)[0]
    maps = gain * effects.maps + shared
    for row, name in zip(maps, effects.amplitudes, strict=True):
        own = smooth_noise(brain, 1, _RANDOM_FWHM, stream(seed, 'trial type', participant, name))
        row += np.float32(OWN_SD) * own[0]
    return maps
