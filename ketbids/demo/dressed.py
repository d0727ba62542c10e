"""Dress a real dataset that has events and confounds but no images in synthetic images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketbids.demo.brain import Brain, brain_like, small_brain
from ketbids.demo.confounds import SHARES
from ketbids.demo.document import encode
from ketbids.demo.fmriprep import FmriprepTree, FmriprepWriter
from ketbids.demo.source import Source, SourceRun, read_source
from ketbids.demo.trialtypes import (
    GAIN_SD,
    OWN_SD,
    SHARED_SD,
    TrialEffects,
    plant_trial_types,
)
from ketbids.demo.writing import check_folder, digest, write_all
from ketbids.errors import InputError, UsageError

__all__ = ['DressOptions', 'Dressed', 'dress']

#: Increased with every change of what is written, so that an old folder is not taken for a new.
_FORMAT = 1

#: A longer TR (s) is milliseconds taken for seconds.
_LONGEST = 30.0


@dataclass(frozen=True)
class DressOptions:
    """What is to be written.

    Attributes
    ----------
    source : Path
        BIDS dataset with events, and confounds of fMRIPrep in its derivatives.
    repetition_time : float
        Seconds from one volume to the next.
    participants : int or None
        How many of them, in the order of their names; None: all.
    seed : int
    like : Path or None
        A CIFTI file whose brain models are taken; without it, about 10,000 grayordinates.
    """

    source: Path
    repetition_time: float
    participants: int | None = None
    seed: int = 42
    like: Path | None = None

    @property
    def mesh(self) -> str:
        """What file names call the mesh."""
        return '3k' if self.like is None else '32k'

    def brain(self) -> Brain:
        """Make the geometry."""
        return small_brain() if self.like is None else brain_like(self.like)

    def record(self, source: Source) -> dict[str, Any]:
        """Say what the study is made with, as ``truth.json`` keeps it."""
        return {
            'format': _FORMAT,
            'source': source.digest(),
            'repetitionTime': self.repetition_time,
            'participants': self.participants,
            'seed': self.seed,
            'like': None if self.like is None else digest(self.like),
        }


@dataclass(frozen=True)
class Dressed:
    """What a call has done: the study's paths and source, and how many runs are new."""

    tree: FmriprepTree
    source: Source
    new_runs: int


def dress(
    folder: Path,
    options: DressOptions,
    nprocs: int = 1,
    report: Callable[[str], None] | None = None,
) -> Dressed:
    """Write what is not yet there.

    Every file is a function of the options and of the dataset's files alone and appears whole
    or not at all; a repeat of an interrupted call goes on where it stopped.

    Parameters
    ----------
    folder : Path
        The study's folder.
    options : DressOptions
    nprocs : int
        Processes; without effect on the result.
    report : callable, optional
        Called with a sentence on what is going on.

    Raises
    ------
    UsageError
        If the folder holds something else, such as a study made with other options, or lies in
        the dataset, or the dataset in it.
    InputError
        If the dataset or the file to take brain models from cannot be used.
    KetbidsError
        If a process is killed.
    """
    if not 0 < options.repetition_time <= _LONGEST:
        raise UsageError(
            f'The repetition time is {options.repetition_time:g}; it must be in seconds, above 0 '
            f'and at most {_LONGEST:g}.'
        )
    root = Path(folder)
    _check_apart(root, options.source)
    source = read_source(options.source, options.repetition_time, options.participants)
    record = options.record(source)
    check_folder(root, root / 'truth.json', record)
    brain = options.brain()
    visits = {(run.participant, run.session) for run in source.runs}
    tree = FmriprepTree(
        root,
        options.mesh,
        brain.models.density,
        frozenset(p for p in source.participants if sum(p == who for who, _ in visits) > 1),
    )
    if report is not None:
        for line in _remarks(source, options.repetition_time):
            report(line)
    items = _missing(tree, source)
    tables = _tables(tree, source)
    if not items and all(path.exists() for path in (tree.truth, tree.truth_maps, *tables)):
        return Dressed(tree, source, 0)
    effects = plant_trial_types(brain, source.trials, options.seed)
    if not tree.truth.exists():
        # The truth comes first: by it, a repeat knows what this folder is.
        from ketbids.io.files import write_json

        write_json(tree.truth, _truth(effects, source, record))
    _write_tables(tree, effects, tables)
    n_series = sum(what == 'series' for what, _ in items)
    if report is not None:
        report(
            f'Writing {n_series} runs of {len(source.participants)} participants at '
            f'{len(brain.models)} grayordinates to {root} ...'
        )
    write_all(items, FmriprepWriter(tree, effects, options.repetition_time), nprocs)
    return Dressed(tree, source, n_series)


def _check_apart(folder: Path, source: Path) -> None:
    mine, theirs = folder.resolve(), Path(source).resolve()
    if mine == theirs or mine.is_relative_to(theirs) or theirs.is_relative_to(mine):
        raise UsageError(
            f'{folder} and {source} must be apart: one of them lies in the other. Name another '
            'folder for the study.'
        )


def _remarks(source: Source, repetition_time: float) -> list[str]:
    """Say what is not as one would wish."""
    lines = [f'Left out: {name}: {reason}.' for name, reason in source.left_out.items()]
    for run in source.runs:
        if run.rows_left_out:
            lines.append(
                f'{run.name}: {run.rows_left_out} rows of the events are left out: without a '
                'trial type, or without an onset and duration of at least 0.'
            )
        if run.last_onset >= run.n_volumes * repetition_time:
            lines.append(
                f'{run.name}: the last event starts at {run.last_onset:g} s, but the '
                f'{run.n_volumes} volumes of the confounds last '
                f'{run.n_volumes * repetition_time:g} s. Is the repetition time right?'
            )
    return lines


def _missing(tree: FmriprepTree, source: Source) -> list[tuple[str, SourceRun]]:
    items: list[tuple[str, SourceRun]] = []
    seen = set()
    for run in source.runs:
        surfaces = tree.surfaces(run)
        if surfaces[0] not in seen and not all(path.exists() for path in surfaces):
            items.append(('surfaces', run))
        seen.add(surfaces[0])
        if not (tree.series(run).exists() and tree.sidecar(run).exists()):
            items.append(('series', run))
    return items


def _tables(tree: FmriprepTree, source: Source) -> dict[Path, Path | None]:
    """Give every small file, and what it is a copy of (None: it is not)."""
    tables: dict[Path, Path | None] = {
        tree.bids / name: path for name, path in source.copies.items()
    }
    tables[tree.fmriprep / 'dataset_description.json'] = None
    for run in source.runs:
        tables[tree.confounds(run)] = run.confounds
        if run.confounds_sidecar is not None:
            tables[tree.confounds(run).with_suffix('.json')] = run.confounds_sidecar
    return tables


def _write_tables(
    tree: FmriprepTree, effects: TrialEffects, tables: dict[Path, Path | None]
) -> None:
    from ketbids.io.cifti import write_maps
    from ketbids.io.files import write_bytes, write_json

    for target, original in tables.items():
        if target.exists():
            continue
        if original is None:
            write_json(target, _DERIVATIVES)
            continue
        try:
            content = original.read_bytes()
        except OSError as error:
            raise InputError(f'{original} cannot be read: {error.strerror}.') from error
        write_bytes(target, content)
    if not tree.truth_maps.exists():
        maps = {
            f'{name} (percent)': row
            for name, row in zip(effects.amplitudes, effects.maps, strict=True)
        }
        write_maps(tree.truth_maps, maps, effects.brain.models)


_DERIVATIVES = {
    'Name': 'Synthetic images with the confounds of a real study, named as fMRIPrep names them',
    'BIDSVersion': '1.10.0',
    'DatasetType': 'derivative',
    'GeneratedBy': [
        {
            'Name': 'ketbids-demo',
            'Description': (
                'Synthetic images: simulated from real events and confounds. fMRIPrep made the '
                'confounds and nothing else here.'
            ),
        }
    ],
}


def _truth(effects: TrialEffects, source: Source, options: dict[str, Any]) -> dict[str, Any]:
    """Describe what is planted, for ``truth.json``."""
    models = effects.brain.models
    return {
        'description': (
            'Synthetic images for the real events and confounds of a study. Amplitudes are '
            'percent signal change at the peak of the response to one trial of the most frequent '
            "duration of its type in the run. The planted map of a contrast is its weights' sum "
            'of the trial types; truth.dscalar.nii holds them with soft edges.'
        ),
        'options': options,
        'geometry': {
            'n_grayordinates': len(models),
            'density': models.density,
            'mesh': effects.brain.mesh,
        },
        'trialTypes': {
            name: {'trials': source.trials[name], 'amplitudes': amplitudes}
            for name, amplitudes in effects.amplitudes.items()
        },
        'regions': {
            name: {
                'parts': list(region.parts),
                'n': int(region.mask.sum()),
                'grayordinates': encode(region.mask),
            }
            for name, region in effects.regions.items()
        },
        'people': {
            'gainLogSD': GAIN_SD,
            'sharedFieldSD': SHARED_SD,
            'ownFieldSD': OWN_SD,
            'description': (
                "A person's effects are the planted maps times a gain, and smooth random fields "
                '(SD in percent): one for all trial types, and one for each.'
            ),
        },
        'confounds': {
            'shares': SHARES,
            'description': (
                'Mean shares of the temporal variance without the task: six motion parameters and '
                'their differences, mean signals of CSF and white matter, the first six '
                'components of aCompCor. The rest is noise.'
            ),
        },
        'runs': {
            run.name: {
                'volumes': run.n_volumes,
                'trials': run.trials,
                'rowsLeftOut': run.rows_left_out,
            }
            for run in source.runs
        },
        'leftOut': source.left_out,
    }
