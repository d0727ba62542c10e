"""Small files for interfaces to work on."""

from pathlib import Path

import numpy as np

from ketbids.interfaces.trials import CodeTrials
from ketbids.io.cifti import Labels, write_labels, write_maps, write_series
from ketbids.io.surfaces import write_surface
from ketbids.stats.brainmodels import BrainModels, Surface
from ketbids.stats.eventrules import Condition, EventRules, ResponseRule
from tests.stats.small_brain import LEFT, RIGHT, SmallBrain

TR = 0.8
CONDITIONS = [
    {'name': 'correctGo', 'where': {'trial_type': ('go',)}, 'response': True},
    {'name': 'correctNogo', 'where': {'trial_type': ('nogo',)}, 'response': False},
    {'name': 'incorrectNogo', 'where': {'trial_type': ('nogo',)}, 'response': True},
]
CONTRASTS = {
    'nogoVsGo': {'correctNogo': 1.0, 'correctGo': -1.0},
    'correctGo': {'correctGo': 1.0},
    'errors': {'incorrectNogo': 1.0},
}
RULES = EventRules(
    tuple(Condition(**condition) for condition in CONDITIONS),
    ResponseRule((0.0, 0.8), 'response_time'),
)


class BrainFiles:
    """A small brain and its files in a folder."""

    def __init__(self, folder: Path, level: int = 1) -> None:
        self.folder, self.brain = folder, SmallBrain(level)
        self.models: BrainModels = self.brain.models

    def surface(self, name: str, structure: str = LEFT, factor: float = 1.0) -> str:
        mesh = self.brain.surfaces[structure]
        scaled = Surface(mesh.coordinates * factor, mesh.triangles)
        return str(write_surface(self.folder / f'{name}.surf.gii', scaled, structure))

    def pair(self, name: str = 'mid', factor: float = 1.0) -> tuple[str, str]:
        left = self.surface(f'{name}_L', LEFT, factor)
        return left, self.surface(f'{name}_R', RIGHT, factor)

    def map(self, name: str, values) -> str:
        values = np.broadcast_to(np.asarray(values, float), len(self.models))
        return str(write_maps(self.folder / f'{name}.dscalar.nii', {name: values}, self.models))

    def labels(self, name: str, keys, names, models: BrainModels | None = None) -> str:
        colours = dict.fromkeys(names, (1.0, 0.0, 0.0, 1.0))
        labels = Labels(np.asarray(keys, np.int32), names, colours, models or self.models)
        return str(write_labels(self.folder / f'{name}.dlabel.nii', labels, name))

    def series(self, name: str, data) -> str:
        path = self.folder / f'{name}.dtseries.nii'
        return str(write_series(path, np.asarray(data), self.models, TR))

    def noise(self, n_volumes: int, seed: int = 0):
        return np.random.default_rng(seed).normal(1e4, 50, (n_volumes, len(self.models)))


def write_events(path: Path, n_trials: int = 60, *, errors: bool = True) -> str:
    """Go trials, every fourth NoGo; one NoGo is answered unless without `errors`."""
    rows = ['onset\tduration\ttrial_type\tresponse_time']
    for n in range(n_trials):
        nogo = n % 4 == 3
        wrong = errors and n in (7, 23)
        time = '0.4' if wrong or not nogo else 'n/a'
        rows.append(f'{2 + 2.1 * n + 0.3 * (n % 3):.2f}\t0.6\t{"nogo" if nogo else "go"}\t{time}')
    path.write_text('\n'.join(rows) + '\n')
    return str(path)


def code(events: str, series: str, rules: EventRules = RULES, **inputs) -> str:
    """Table of the trials of an events file."""
    node = CodeTrials(events_file=events, series_file=series, rules=rules.to_dict(), **inputs)
    return node.run().outputs.out_file


def write_movement(path: Path, n_volumes: int, columns: int = 12) -> str:
    values = np.random.default_rng(0).normal(0, 0.1, (n_volumes, columns))
    np.savetxt(path, values)
    return str(path)
