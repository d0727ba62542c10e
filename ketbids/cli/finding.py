"""What the participant level has to do: who was chosen, what is there, what is missing."""

import logging
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ketbids.cli.selection import chosen_participants, read_exclusion_list, unused_exclusions
from ketbids.errors import InputError, UsageError
from ketbids.io.bids import find_events, participant_labels
from ketbids.io.derivatives import Derivatives
from ketbids.io.filters import read_filter
from ketbids.io.hcp import HcpPattern, parse_pattern
from ketbids.io.inventory import Visit, find_visits
from ketbids.settings import Settings

__all__ = ['Work', 'find_work']

logger = logging.getLogger('ketbids')


class Work(NamedTuple):
    """What was found.

    Attributes
    ----------
    visits : list of Visit
    left_out : list of str
        A sentence for each excluded run.
    errors : dict of str to InputError
        Why a visit cannot be done, by its name.
    """

    visits: list[Visit]
    left_out: list[str]
    errors: dict[str, InputError]


def find_work(settings: Settings, tasks: Collection[str]) -> Work:
    """Find the runs that were chosen, with their preprocessed data.

    Parameters
    ----------
    settings : Settings
    tasks : collection of str
        Tasks of the model file; the selection may name others.

    Raises
    ------
    InputError, UsageError
        If nothing can be found, or an input of all is unusable.
    """
    paths, selection = settings.paths, settings.selection
    pattern = _pattern(settings)
    filters = read_filter(paths.bids_filter_file)
    participants = chosen_participants(settings)
    exclusions = read_exclusion_list(settings, participant_labels(paths.bids_dir))
    tasks = selection.tasks or tasks
    events = find_events(
        paths.bids_dir,
        participants,
        sessions=selection.sessions,
        tasks=tasks,
        runs=selection.runs,
        filters=filters,
        database_dir=paths.bids_database_dir,
    )
    if not events:
        options = ', '.join(_limits(settings))
        raise InputError(
            f'{paths.bids_dir}: no events file (*_events.tsv) of the task {", ".join(tasks)}'
            + (f' for what was chosen by {options}.' if options else '.')
        )
    if not (selection.runs or filters.entities):
        for sentence in unused_exclusions(settings, exclusions, events):
            logger.warning('%s', sentence)
    derivatives = Derivatives(
        _roots(settings), given=bool(paths.derivatives), pattern=pattern, filters=filters
    )
    work = Work(*find_visits(events, derivatives, exclusions))
    for sentence in work.left_out:
        logger.info('%s', sentence)
    logger.info(
        '%d participants, %d runs with events, %d left out, %d visits without usable data.',
        len(participants),
        len(events),
        len(work.left_out),
        len(work.errors),
    )
    for visit in work.visits:
        _say_what_stands_in(visit)
    if not work.visits and not work.errors:
        raise InputError('Every run that was chosen is on the exclusion list.')
    return work


def _limits(settings: Settings) -> list[str]:
    """Name the options that narrow down what is read."""
    selection = settings.selection
    given = {
        '--participant-label': selection.participants,
        '--session-label': selection.sessions,
        '--task-id': selection.tasks,
        '--run-id': selection.runs,
        '--bids-filter-file': settings.paths.bids_filter_file,
        '--bids-database-dir': settings.paths.bids_database_dir,
    }
    return [name for name, value in given.items() if value]


def _pattern(settings: Settings) -> HcpPattern | None:
    """Check how preprocessed data are asked for; give the names of HCP folders."""
    if settings.inputs.preproc == 'existing' and not settings.paths.derivatives:
        raise UsageError('--preproc existing needs --derivatives DIR: where the data are.')
    text = settings.inputs.hcp_pattern
    return None if text is None else parse_pattern(text)


def _roots(settings: Settings) -> tuple[Path, ...]:
    """Say in which folders to look for preprocessed data."""
    paths = settings.paths
    for root in paths.derivatives:
        if not root.is_dir():
            raise InputError(f'{root} (--derivatives) is not a folder.')
    roots = paths.derivatives or _inside(paths.bids_dir, paths.output_dir)
    if not roots:
        raise InputError(
            'No preprocessed data: say where they are with --derivatives DIR (derivatives of '
            'fMRIPrep with --cifti-output, or a study folder of the HCP pipelines), or put them '
            f'below {paths.bids_dir / "derivatives"}.'
        )
    return roots


def _inside(bids_dir: Path, output_dir: Path) -> tuple[Path, ...]:
    """List the derivatives folders of a dataset, without the one that is written to."""
    folders = sorted((bids_dir / 'derivatives').glob('*'))
    return tuple(path for path in folders if path.is_dir() and path != output_dir)


def _say_what_stands_in(visit: Visit) -> None:
    """Warn of average surfaces: smoothing and areas are not those of the participant."""
    if any('midthickness' in run.preprocessed.anatomy.template for run in visit.runs):
        logger.warning(
            '%s has no surfaces of its own on the mesh of its time series: the S1200 average '
            'surfaces stand in for them.',
            visit.name,
        )
