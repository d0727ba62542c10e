"""What the participant level has to do: who was chosen, what is there, what is missing."""

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ketbids.cli.progress import counted
from ketbids.cli.selection import chosen_participants, read_exclusion_list, unused_exclusions
from ketbids.errors import InputError, UsageError
from ketbids.io.bids import RunKey, find_events, inherited_events, participant_labels
from ketbids.io.derivatives import Derivatives
from ketbids.io.filters import BidsFilter, read_filter
from ketbids.io.folders import labels_of
from ketbids.io.hcp import HcpPattern, parse_pattern
from ketbids.io.inventory import Visit, find_visits
from ketbids.settings import Settings
from ketbids.stats.confounds import resolve_sets
from ketbids.stats.fwhm import INHERENT_FWHM, kernel_fwhm

__all__ = ['Work', 'find_work']

logger = logging.getLogger('ketbids')

#: Participants that a message names.
_NAMED = 10


class Work(NamedTuple):
    """What was found.

    Attributes
    ----------
    visits : list of Visit
    left_out : list of str
        A sentence for each excluded run, and on participants without events.
    errors : dict of str to InputError
        Why a visit cannot be done, by its name.
    """

    visits: list[Visit]
    left_out: list[str]
    errors: dict[str, InputError]


def find_work(
    settings: Settings,
    tasks: Collection[str],
    *,
    desc: Collection[str | None] = (),
    unprepared: Mapping[str, str] | None = None,
) -> Work:
    """Find the runs that were chosen, with their preprocessed data.

    Parameters
    ----------
    settings : Settings
    tasks : collection of str
        Tasks of the model file; the selection may name others.
    desc : collection of str or None
        Descriptions of the series to take, None for one without; empty: the furthest processed.
    unprepared : mapping of str to str
        Sessions, such as ``sub-01_ses-TP1``, whose data must not be used, and why.

    Raises
    ------
    InputError, UsageError
        If nothing can be found, or an input of all is unusable.
    """
    paths, selection = settings.paths, settings.selection
    pattern = _pattern(settings)
    filters = read_filter(paths.bids_filter_file)
    chosen = chosen_participants(settings)
    closed = _closed(settings, chosen)
    participants = [label for label in chosen if f'sub-{label}' not in closed]
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
        make_database=not settings.dry_run,
    )
    if not events:
        for error in closed.values():
            raise error
        raise InputError(
            f'{paths.bids_dir}: no events file (*_events.tsv) of the task {", ".join(tasks)}'
            f'{_chosen_by(_limits(settings))}{_inherited(settings, participants, tasks)}'
            f'{_other_tasks(settings, participants, tasks)}'
        )
    if not (selection.runs or filters.entities):
        for sentence in unused_exclusions(settings, exclusions, events):
            logger.warning('%s', sentence)
    unprepared = unprepared or {}
    ready = {key: path for key, path in events.items() if _session(key) not in unprepared}
    derivatives = Derivatives(
        _roots(settings),
        given=bool(paths.derivatives),
        pattern=pattern,
        filters=BidsFilter({**filters.entities, 'desc': tuple(desc)}) if desc else filters,
        bids_dir=paths.bids_dir,
    )
    visits, left_out, errors = find_visits(ready, derivatives, exclusions)
    for key in events:
        if key not in ready:
            errors.setdefault(str(key.visit), InputError(unprepared[_session(key)]))
    refused = _too_smooth(settings, visits)
    if refused and len(refused) == len(visits) and not errors and not closed:
        # It is the option that is wrong, not the data of anybody.
        raise next(iter(refused.values()))
    errors |= closed | refused | _without_confounds(settings, visits)
    visits = [visit for visit in visits if visit.name not in errors]
    for sentence in left_out:
        logger.info('%s', sentence)
    logger.info(
        '%s, %s with events, %d left out, %s without usable data.',
        counted(len(chosen), 'participant'),
        counted(len(events), 'run'),
        len(left_out),
        counted(len(errors), 'visit'),
    )
    nobody = _without_events(settings, participants, events, tasks)
    for sentence in nobody:
        logger.warning('%s', sentence)
    for visit in visits:
        _say_what_stands_in(visit)
        _say_where_from(visit)
    if not visits and not errors:
        raise InputError('Every run that was chosen is on the exclusion list.')
    return Work(visits, [*left_out, *nobody], errors)


def _session(key: RunKey) -> str:
    """Name the session of a run."""
    return str(RunKey(key.participant, key.session, ''))


def _closed(settings: Settings, participants: Sequence[str]) -> dict[str, InputError]:
    """Name the participants whose folder may not be read; they stop nobody else."""
    folders = {f'sub-{label}': settings.paths.bids_dir / f'sub-{label}' for label in participants}
    return {
        name: InputError(f'{folder} cannot be read: permission denied. Correct its permissions.')
        for name, folder in folders.items()
        if not os.access(folder, os.R_OK | os.X_OK)
    }


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


def _chosen_by(options: Sequence[str]) -> str:
    return f' for what was chosen by {", ".join(options)}.' if options else '.'


def _without_events(
    settings: Settings,
    participants: Sequence[str],
    events: Collection[RunKey],
    tasks: Collection[str],
) -> list[str]:
    """Say which of the chosen participants have nothing to analyse."""
    having = {key.participant for key in events}
    lacking = [label for label in participants if label not in having]
    if not lacking:
        return []
    options = [name for name in _limits(settings) if name != '--participant-label']
    names = ', '.join(f'sub-{label}' for label in lacking[:_NAMED])
    more = f' and {len(lacking) - _NAMED} more' if len(lacking) > _NAMED else ''
    return [
        f'{names}{more}: no events file of the task {", ".join(tasks)}'
        f'{_chosen_by(options)}{_inherited(settings, lacking, tasks)}'
    ]


def _other_tasks(settings: Settings, participants: Sequence[str], tasks: Collection[str]) -> str:
    """Say which tasks there are events of: perhaps the model file is that of another study."""
    found = {
        labels_of(path.name).get('task', '')
        for label in participants[:_NAMED]
        for pattern in ('func/*_events.tsv', 'ses-*/func/*_events.tsv')
        for path in (settings.paths.bids_dir / f'sub-{label}').glob(pattern)
    }
    others = sorted(found - {'', *tasks})
    if not others:
        return ''
    names = ', '.join(others)
    return f' There are events of {names}: give the model file of that study with --model.'


def _inherited(settings: Settings, participants: Sequence[str], tasks: Collection[str]) -> str:
    """Say that events which hold for several runs by BIDS' inheritance are not read."""
    found = inherited_events(settings.paths.bids_dir, participants, tasks)
    if not found:
        return ''
    return (
        f' {found[0]} would be inherited, but inherited events are not read: copy it into each '
        'folder func, under the name of the run.'
    )


def _too_smooth(settings: Settings, visits: Sequence[Visit]) -> dict[str, InputError]:
    """Refuse visits whose preprocessing has smoothed by more than the total that was asked for."""
    first = settings.first_level
    errors: dict[str, InputError] = {}
    for visit in visits:
        for origin in {run.preprocessed.origin for run in visit.runs}:
            try:
                kernel_fwhm(first.smoothing_fwhm, first.smoothing_mode, INHERENT_FWHM[origin])
            except InputError as error:
                errors[visit.name] = error
    return errors


def _without_confounds(settings: Settings, visits: Sequence[Visit]) -> dict[str, InputError]:
    """Refuse visits with a run that has no table of confounds, but is to have some."""
    errors: dict[str, InputError] = {}
    for visit in visits:
        for run in visit.runs:
            found = run.preprocessed
            sets = resolve_sets(
                settings.first_level.confounds, origin=found.origin, denoised=found.denoised
            )
            if found.confounds is None and sets:
                table = 'Movement_Regressors.txt'
                if found.origin == 'fmriprep':
                    stem = found.series.name.partition('_space-')[0]
                    table = f'{stem}_desc-confounds_timeseries.tsv'
                error = InputError(
                    f'{found.series.parent / table} is missing, which the confounds '
                    f'{" ".join(sets)} are taken from. Put it there, or do without: --confounds '
                    'none.'
                )
                errors.setdefault(visit.name, error)
    return errors


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
    found = [run.preprocessed for run in visit.runs]
    roots = [run.root for run in found if 'midthickness' in run.anatomy.template]
    if roots:
        logger.warning(
            '%s has no surfaces of its own on the mesh of its time series in %s: the S1200 '
            'average surfaces stand in for them.',
            visit.name,
            roots[0] / f'sub-{visit.participant}',
        )


def _say_where_from(visit: Visit) -> None:
    """Warn if the runs of a visit were not preprocessed together."""
    roots = {run.preprocessed.root: run.key.label for run in reversed(visit.runs)}
    if len(roots) > 1:
        places = ' and '.join(f'{root} ({label})' for root, label in reversed(roots.items()))
        logger.warning('%s: its runs come from different folders, %s.', visit.name, places)
