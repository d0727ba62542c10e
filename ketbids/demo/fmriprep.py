"""Synthetic runs for real events and confounds, named as fMRIPrep names them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.demo.confounds import SHARES, Confounds, read_confounds
from ketbids.demo.noise import BROAD_FWHM, noise_deviation, smooth_noise
from ketbids.demo.runs import mean_map, participant_surfaces, run_noise
from ketbids.demo.source import SourceRun, read_events
from ketbids.demo.streams import stream
from ketbids.demo.task import event_regressor
from ketbids.demo.tree import StudyTree
from ketbids.demo.trialtypes import TrialEffects, person_effects

__all__ = ['FmriprepTree', 'FmriprepWriter', 'simulate']

#: Mean of the images, in the arbitrary units of a scanner, and how it varies over people (SD of
#: the logarithm).
LEVEL, LEVEL_SD = 1000.0, 0.1

_KINDS = {'midthickness': 'Anatomical', 'inflated': 'Inflated'}


@dataclass(frozen=True)
class FmriprepTree(StudyTree):
    """Paths of a dressed study.

    Attributes
    ----------
    density : str
        ``den`` label of the time series: ``91k``.
    several_sessions : frozenset of str
        Participants with more than one session: their surfaces belong to none of them.
    """

    density: str
    several_sessions: frozenset[str] = frozenset()

    @property
    def fmriprep(self) -> Path:
        """The derivatives."""
        return self.root / 'derivatives' / 'fmriprep'

    def series(self, run: SourceRun) -> Path:
        """Time series of a run."""
        name = f'{run.name}_space-fsLR_den-{self.density}_bold.dtseries.nii'
        return self.fmriprep / run.folder / 'func' / name

    def sidecar(self, run: SourceRun) -> Path:
        """Its description."""
        return self.series(run).with_name(
            self.series(run).name.removesuffix('.dtseries.nii') + '.json'
        )

    def confounds(self, run: SourceRun) -> Path:
        """Confounds of a run."""
        return self.fmriprep / run.folder / 'func' / run.confounds_name

    def surface(self, run: SourceRun, side: str, kind: str) -> Path:
        """Surface of the run's participant, or of the only session."""
        session = '' if run.participant in self.several_sessions else run.session
        name = '_'.join(filter(None, (run.participant, session)))
        folder = self.fmriprep / run.participant / session / 'anat'
        return folder / f'{name}_hemi-{side}_space-fsLR_den-{self.mesh}_{kind}.surf.gii'

    def surfaces(self, run: SourceRun) -> list[Path]:
        """All surfaces of the run's participant."""
        return [self.surface(run, side, kind) for kind in _KINDS for side in 'LR']


@dataclass(frozen=True)
class FmriprepWriter:
    """Writes one run, or a participant's surfaces; travels to other processes."""

    tree: FmriprepTree
    effects: TrialEffects
    repetition_time: float

    def __call__(self, item: tuple[str, SourceRun]) -> None:
        """Write the ``'surfaces'`` or the ``'series'`` of a run."""
        what, run = item
        if what == 'surfaces':
            self._surfaces(run)
        else:
            self._series(run)

    def _surfaces(self, run: SourceRun) -> None:
        from ketbids.io.surfaces import write_surface

        made = participant_surfaces(self.effects.brain, self.effects.seed, run.participant)
        for kind, surfaces in made.items():
            for name, surface in surfaces.items():
                side = 'L' if name.endswith('LEFT') else 'R'
                write_surface(self.tree.surface(run, side, kind), surface, name, _KINDS[kind])

    def _series(self, run: SourceRun) -> None:
        from ketbids.io.cifti import write_series
        from ketbids.io.files import write_json

        sidecar = {
            'Description': 'Synthetic: simulated by ketbids-demo; nobody was scanned for it.',
            'TaskName': run.task,
            'RepetitionTime': self.repetition_time,
            'StartTime': self.repetition_time / 2,
            'SliceTimingCorrected': True,
            'SkullStripped': False,
        }
        write_json(self.tree.sidecar(run), sidecar)
        series = simulate(self.effects, run, self.repetition_time)
        models = self.effects.brain.models
        write_series(self.tree.series(run), series, models, self.repetition_time)


def simulate(
    effects: TrialEffects, run: SourceRun, repetition_time: float
) -> npt.NDArray[np.float32]:
    """Simulate a run for its real events and confounds.

    In percent of the participant's mean image: noise (see `ketbids.demo.noise`), the confounds'
    time series with smooth random weights, and the responses to the events, sampled at the
    middle of each volume. Confounds have a share of 0.3 of the variance of both.

    Returns
    -------
    ndarray of float32, shape (n_volumes, n_grayordinates)
    """
    brain, seed = effects.brain, effects.seed
    rng = stream(seed, 'noise', run.name)
    series = run_noise(brain, run.n_volumes, repetition_time, rng)
    confounds = read_confounds(run.confounds)
    weights = _confound_weights(effects, run, confounds)
    # One series after the other: the result does not depend on a matrix library's threads.
    for course, weight in zip(confounds.series.T.astype(np.float32), weights, strict=True):
        series += course[:, None] * weight
    series *= noise_deviation(brain)
    trials, _ = read_events(run.events)
    frames = repetition_time * (np.arange(run.n_volumes) + 0.5)
    own = person_effects(effects, run.participant)
    for name, effect in zip(effects.amplitudes, own, strict=True):
        chosen = trials[trials['trial_type'] == name]
        if len(chosen):
            # An impulse is as short as the first level's: 1/200 of a volume.
            durations = chosen['duration'].clip(lower=repetition_time / 200)
            response = event_regressor(chosen['onset'], durations, frames)
            series += response.astype(np.float32)[:, None] * effect
    series *= np.float32(0.01)
    series += 1
    level = LEVEL * np.exp(stream(seed, 'level', run.participant).normal(0, LEVEL_SD))
    series *= mean_map(brain, seed, run.participant, level)
    return series


def _confound_weights(
    effects: TrialEffects, run: SourceRun, confounds: Confounds
) -> npt.NDArray[np.float32]:
    """Draw a smooth map for each confound, in standard deviations of the noise.

    The variance of independent fields adds up, so the sources' shares are those of `SHARES`
    on average over the brain, whatever the correlation of the series.
    """
    rng = stream(effects.seed, 'confounds', run.name)
    fields = smooth_noise(effects.brain, len(confounds.names), BROAD_FWHM, rng)
    left = 1 - sum(SHARES.values())
    for field, source in zip(fields, confounds.sources, strict=True):
        field *= np.float32((SHARES[source] / left / confounds.sources.count(source)) ** 0.5)
    return fields
