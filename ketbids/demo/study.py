"""Write the synthetic study: a BIDS dataset, HCP-style derivatives, and the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ketbids.demo.brain import Brain, brain_like, full_brain, small_brain
from ketbids.demo.document import truth_document
from ketbids.demo.sample import Participant, Sample, draw_sample
from ketbids.demo.tree import Tree
from ketbids.demo.truth import Planted, plant
from ketbids.demo.writing import check_folder, digest, write_all

__all__ = ['SCALES', 'StudyOptions', 'Written', 'write_study']

#: Volumes of a run at each scale.
SCALES = {'small': 200, 'full': 300}

#: Increased with every change of what is written, so that an old folder is not taken for a new.
_FORMAT = 2


@dataclass(frozen=True)
class StudyOptions:
    """What is to be written.

    Attributes
    ----------
    scale : {'small', 'full'}
    participants : int
    seed : int
    like : Path or None
        A CIFTI file whose brain models are taken, at the full scale.
    """

    scale: str = 'small'
    participants: int = 24
    seed: int = 42
    like: Path | None = None

    @property
    def mesh(self) -> str:
        """What file names call the mesh."""
        return '3k' if self.scale == 'small' else '32k'

    def brain(self) -> Brain:
        """Make the geometry."""
        if self.like is not None:
            return brain_like(self.like)
        return small_brain() if self.scale == 'small' else full_brain()

    def record(self) -> dict[str, Any]:
        """Say what the study is made with, as ``truth.json`` keeps it."""
        return {
            'format': _FORMAT,
            'scale': self.scale,
            'participants': self.participants,
            'seed': self.seed,
            'like': None if self.like is None else digest(self.like),
        }


@dataclass(frozen=True)
class Written:
    """What a call has done: the study's paths and sample, and how many runs are new."""

    tree: Tree
    sample: Sample
    new_runs: int


def write_study(
    folder: Path,
    options: StudyOptions,
    nprocs: int = 1,
    report: Callable[[str], None] | None = None,
) -> Written:
    """Write what is not yet there.

    Every file is a function of the options alone and appears whole or not at all; a repeat of an
    interrupted call goes on where it stopped, and of a finished one returns at once.

    Parameters
    ----------
    folder : Path
        The study's folder.
    options : StudyOptions
    nprocs : int
        Processes; without effect on the result.
    report : callable, optional
        Called with a sentence on what is going on.

    Raises
    ------
    UsageError
        If the folder holds something else, such as a study made with other options.
    InputError
        If the file to take brain models from cannot be used.
    KetbidsError
        If a process is killed.
    """
    record = options.record()
    sample = draw_sample(options.participants, options.seed)
    tree = Tree(Path(folder), options.mesh)
    foreign = (tree.bids, tree.hcp, tree.exclusions, tree.truth_maps)
    check_folder(tree.root, tree.truth, record, foreign)
    tables = [path for path in (tree.truth, *tree.table_files(sample)) if not path.exists()]
    runs = [
        (person, session)
        for person, session in sample.runs
        if not all(path.exists() for path in tree.run_files(person.label, session))
    ]
    if not tables and not runs:
        return Written(tree, sample, 0)
    planted = plant(options.brain(), sample, options.seed)
    n_volumes = SCALES[options.scale]
    if tables:
        # The truth comes first: by it, a repeat knows what this folder is.
        from ketbids.demo.bids import write_tables
        from ketbids.io.files import write_json

        write_json(tree.truth, truth_document(planted, sample, record))
        write_tables(tree, planted, sample, n_volumes)
    if report is not None:
        report(
            f'Writing {len(runs)} runs of {n_volumes} volumes x {len(planted.brain.models)} '
            f'grayordinates to {tree.root} ...'
        )
    write_all(runs, _RunWriter(tree, planted, sample, n_volumes), nprocs)
    return Written(tree, sample, len(runs))


@dataclass(frozen=True)
class _RunWriter:
    """Writes one participant-session; travels to other processes."""

    tree: Tree
    planted: Planted
    sample: Sample
    n_volumes: int

    def __call__(self, run: tuple[Participant, str]) -> None:
        from ketbids.demo.labels import participant_labels
        from ketbids.demo.runs import participant_surfaces, simulate_run
        from ketbids.demo.task import REPETITION_TIME, draw_events
        from ketbids.io.cifti import write_labels, write_series
        from ketbids.io.files import write_text
        from ketbids.io.surfaces import write_surface

        person, session = run
        tree, label, seed = self.tree, person.label, self.planted.seed
        brain = self.planted.brain
        for kind, surfaces in participant_surfaces(brain, seed, label).items():
            geometry = 'Inflated' if kind == 'inflated' else 'Anatomical'
            for name, surface in surfaces.items():
                side = 'L' if name.endswith('LEFT') else 'R'
                path = tree.surface(label, session, side, kind)
                write_surface(path, surface, name, geometry)
        labels = participant_labels(brain, seed, label)
        write_labels(tree.labels(label, session), labels, f'sub-{label}_ses-{session}_aparc')
        regular = (label, session) == self.sample.without_incorrect_go
        events = draw_events(seed, label, session, self.n_volumes, regular)
        made = simulate_run(self.planted, self.sample, person, session, events, self.n_volumes)
        rows = ('  '.join(f'{value:.6f}' for value in row) for row in np.asarray(made.movement))
        write_text(tree.movement(label, session), '\n'.join(rows) + '\n')
        write_series(tree.series(label, session), made.series, brain.models, REPETITION_TIME)
