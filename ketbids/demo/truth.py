"""What is planted: percent signal change of each condition, person and session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ketbids.demo.brain import Brain
from ketbids.demo.labels import anatomical_keys, region_names
from ketbids.demo.noise import diffuse, smooth_noise
from ketbids.demo.sample import Participant, Sample
from ketbids.demo.streams import stream
from ketbids.demo.tables import packaged
from ketbids.errors import InputError

__all__ = [
    'Planted',
    'condition_maps',
    'contrast_map',
    'plant',
    'region_mask',
    'remission_amplitudes',
]

Map = npt.NDArray[np.float32]

#: Standard deviations over people and over one person's sessions, in percent signal change.
_PERSON_SD, _SESSION_SD = 0.12, 0.06
_RANDOM_FWHM = 12.0
#: People differ in the strength of the whole network, by this standard deviation of the log.
_GAIN_SD = 0.15
_EDGE_FWHM = 4.0


@dataclass(frozen=True, eq=False)
class Planted:
    """The planted model.

    Attributes
    ----------
    brain : Brain
    seed : int
    regions : dict of str to ndarray of bool, shape (n_grayordinates,)
        Regions of the contrast, and ``leftPrecentral`` and ``rightPrecentral``.
    network : ndarray, shape (n_grayordinates,)
        Correct NoGo - correct Go at TP1, in percent.
    decrease : ndarray, shape (n_grayordinates,)
        What is missing of it at TP3.
    precentral : ndarray, shape (n_grayordinates,)
        1 in the precentral gyri, less at their edges.
    go, error : ndarray, shape (n_grayordinates,)
        Activity of every trial, and what an answered NoGo trial has in addition.
    remission : dict of (label, session) to float
        Amplitude of `precentral`, in percent.
    """

    brain: Brain
    seed: int
    regions: dict[str, npt.NDArray[np.bool_]]
    network: Map
    decrease: Map
    precentral: Map
    go: Map
    error: Map
    remission: dict[tuple[str, str], float]

    def mask(self, names: list[str]) -> npt.NDArray[np.bool_]:
        """Union of regions."""
        return np.logical_or.reduce([self.regions[name] for name in names])


def remission_amplitudes(sample: Sample, seed: int) -> dict[tuple[str, str], float]:
    """Amplitude of the precentral effect of each patient's session, in percent.

    With u, the improvement of the HDRS as a z score over patients: at TP1 the effect falls with
    u, so that those who will remit lie below the controls (at 0) and those who will not lie near
    them. It then changes in proportion to u, with a scatter over people, and centred over the
    patients scanned at that session: the mean change is exactly 0 at TP2 and at TP3, yet the
    change at TP2 foretells improvement.

    Returns
    -------
    dict of (label, session) to float
        Without controls, whose amplitude is 0.
    """
    size = packaged('planted.json')['remission']
    patients = sample.patients
    improvement = np.array([person.improvement for person in patients])
    scores = (improvement - improvement.mean()) / improvement.std()
    worse = np.array([person.remitter is False for person in patients])
    scatter = stream(seed, 'precentral').normal(0, size['scatter'], (3, len(patients)))
    first = size['baseline'] * (scores - scores[worse].mean()) + scatter[0]
    amplitudes = {(p.label, 'TP1'): float(value) for p, value in zip(patients, first, strict=True)}
    for session, slope, noise in (
        ('TP2', size['acute'], scatter[1]),
        ('TP3', size['serial'], scatter[2]),
    ):
        seen = [i for i, person in enumerate(patients) if session in person.sessions]
        change = slope * scores[seen] + noise[seen]
        for i, value in zip(seen, change - change.mean(), strict=True):
            amplitudes[patients[i].label, session] = float(first[i] + value)
    return amplitudes


def plant(brain: Brain, sample: Sample, seed: int) -> Planted:
    """Lay the planted model out on a brain.

    Raises
    ------
    InputError
        If a cortical region has no grayordinate (only brain models of a file can lack one).
    """
    table = packaged('planted.json')
    regions, network, decrease = {}, np.zeros(len(brain.models)), np.zeros(len(brain.models))
    for entry in table['regions']:
        mask = region_mask(brain, entry)
        if 'structure' not in entry and not mask.any():
            raise InputError(f'The grayordinates leave no vertex for the region {entry["name"]}.')
        regions[entry['name']] = mask
        network += entry['amplitude'] * mask
        decrease += entry['decrease'] * mask
    keys, names = anatomical_keys(brain), region_names()
    label = table['remission']['label']
    for side, word in (('L', 'left'), ('R', 'right')):
        key = next(key for key, name in names.items() if name == f'{side}_{label}')
        regions[f'{word}{label.capitalize()}'] = keys == key
        if not (keys == key).any():
            raise InputError(f'The grayordinates leave no vertex for {side}_{label}.')
    precentral = regions['leftPrecentral'] | regions['rightPrecentral']
    activity = {
        kind: np.sum([e[kind] * region_mask(brain, e) for e in table['other_activity']], axis=0)
        for kind in ('go', 'error')
    }
    maps = np.stack([network, decrease, precentral, activity['go'], activity['error']])
    soft = diffuse(brain, maps.astype(np.float32), brain.steps(_EDGE_FWHM))
    return Planted(
        brain=brain,
        seed=seed,
        regions=regions,
        network=soft[0],
        decrease=soft[1],
        precentral=soft[2],
        go=soft[3],
        error=soft[4],
        remission=remission_amplitudes(sample, seed),
    )


def contrast_map(planted: Planted, person: Participant, session: str) -> Map:
    """Correct NoGo - correct Go of one person and session, in percent signal change.

    The planted effects, with differences between people (smooth fields, and the strength of
    their network) and between one person's sessions.
    """
    rng = stream(planted.seed, 'person', person.label)
    gain = np.float32(np.exp(rng.normal(0, _GAIN_SD)))
    own = smooth_noise(planted.brain, 1, _RANDOM_FWHM, rng)[0]
    today = smooth_noise(
        planted.brain, 1, _RANDOM_FWHM, stream(planted.seed, 'session', person.label, session)
    )[0]
    network = planted.network - planted.decrease if session == 'TP3' else planted.network
    amplitude = planted.remission.get((person.label, session), 0.0)
    return (
        gain * network
        + np.float32(amplitude) * planted.precentral
        + np.float32(_PERSON_SD) * own
        + np.float32(_SESSION_SD) * today
    )


def condition_maps(planted: Planted, person: Participant, session: str) -> Map:
    """Percent signal change at the peak of one trial's response.

    Returns
    -------
    ndarray of float32, shape (4, n_grayordinates)
        In the order of `ketbids.demo.task.CONDITIONS`.
    """
    contrast = contrast_map(planted, person, session)
    own = smooth_noise(
        planted.brain, 1, _RANDOM_FWHM, stream(planted.seed, 'activity', person.label)
    )[0]
    go = planted.go + np.float32(_PERSON_SD) * own
    nogo = go + contrast
    return np.stack([go, nogo, nogo + planted.error, go + np.float32(0.5) * planted.error])


def region_mask(brain: Brain, entry: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Find the grayordinates of an entry of ``planted.json``, shape (n_grayordinates,)."""
    if 'structure' in entry:
        mask = np.zeros(len(brain.models), bool)
        name = f'CIFTI_STRUCTURE_{entry["structure"]}'
        if name in brain.models.names:
            mask[brain.models.where(name)] = True
    else:
        sides = entry.get('hemispheres') or [entry['hemisphere']]
        wanted = [f'{side}_{area}' for side in sides for area in entry['areas']]
        mask = np.isin(brain.area, wanted)
    if 'centre' in entry:
        apart = np.linalg.norm(brain.coordinates - entry['centre'], axis=1)
        mask &= apart <= entry['radius']
    return mask
