"""Who is in a run of ketbids: participants that were asked for, and exclusions."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from ketbids.errors import InputError
from ketbids.io.bids import (
    Exclusion,
    RunKey,
    excluded_by,
    participant_labels,
    read_exclusions,
    runs_of_visits,
)
from ketbids.io.files import read_json
from ketbids.io.folders import labels_of, same_run
from ketbids.io.inventory import find_maps
from ketbids.settings import Settings

__all__ = [
    'chosen_participants',
    'read_exclusion_list',
    'unused_exclusions',
    'with_runs_in_maps',
    'with_sessions_without_runs',
]


def chosen_participants(settings: Settings) -> list[str]:
    """Give the chosen participants.

    Raises
    ------
    InputError
        If a participant that was asked for does not exist.
    """
    labels = participant_labels(settings.paths.bids_dir)
    wanted = settings.selection.participants
    unknown = sorted(set(wanted) - set(labels))
    if unknown:
        raise InputError(
            f'{settings.paths.bids_dir} has no participant {", ".join(unknown)}; it has '
            f'{", ".join(labels[:10])}{" ..." if len(labels) > 10 else ""}.'
        )
    return list(wanted) or labels


def read_exclusion_list(settings: Settings, known: list[str]) -> list[Exclusion]:
    """Read the exclusion list; a line that names nobody of the dataset is an error."""
    path = settings.paths.exclusions
    if path is None:
        return []
    lines = read_exclusions(path)
    for line in lines:
        if line.participant not in known:
            raise InputError(
                f'{path}: there is no participant sub-{line.participant}. Correct or remove the '
                'line.'
            )
    return lines


def unused_exclusions(
    settings: Settings, exclusions: Collection[Exclusion], keys: Collection[RunKey]
) -> list[str]:
    """Say which lines of the exclusion list name a session or run that is not there.

    Parameters
    ----------
    settings : Settings
    exclusions : collection of Exclusion
    keys : collection of RunKey
        All runs with events of the participants and sessions that were chosen.
    """
    selection, sentences = settings.selection, []
    for line in exclusions:
        if selection.participants and line.participant not in selection.participants:
            continue
        if selection.sessions and line.session and line.session not in selection.sessions:
            continue
        if any(line.covers(key.participant, key.session, key.run) for key in keys):
            continue
        name = RunKey(line.participant, line.session, '', line.run)
        sentences.append(
            f'{settings.paths.exclusions}: no events file of the task belongs to {name}; the line '
            'takes nothing out.'
        )
    return sentences


def with_runs_in_maps(
    settings: Settings, exclusions: Sequence[Exclusion], tasks: Collection[str]
) -> list[Exclusion]:
    """Exclude sessions whose maps were made with a run that is excluded meanwhile.

    Parameters
    ----------
    settings : Settings
    exclusions : sequence of Exclusion
    tasks : collection of str

    Returns
    -------
    list of Exclusion
        `exclusions`, and a line for each such session, which says what to do.
    """
    output_dir = settings.paths.output_dir
    lines = [line for line in exclusions if line.run]
    if not lines:
        return list(exclusions)
    added: dict[Exclusion, None] = {}
    maps = find_maps(output_dir, tasks)
    for row in maps[
        maps['participant_id'].isin([line.participant for line in lines])
    ].itertuples():
        sidecar = read_json(output_dir / str(row.path).replace('.dscalar.nii', '.json'))
        names = [str(source).rpartition('/')[2] for source in sidecar.get('Sources', ())]
        runs = {labels_of(name).get('run', '') for name in names if name.endswith('_events.tsv')}
        for line in lines:
            mine = line.participant == row.participant_id and line.session in ('', row.session_id)
            if mine and any(same_run(line.run, run) for run in runs):
                reason = (
                    f'{line.reason} (run {line.run} is excluded, but still in the maps: repeat '
                    'the participant level with this list)'
                )
                session = str(row.session_id)
                added[replace(line, session=session, run='', reason=reason)] = None
    return [*exclusions, *added]


def with_sessions_without_runs(
    settings: Settings, exclusions: Sequence[Exclusion], tasks: Collection[str]
) -> list[Exclusion]:
    """Exclude sessions of which every run is excluded, and say why.

    Parameters
    ----------
    settings : Settings
    exclusions : sequence of Exclusion
    tasks : collection of str

    Returns
    -------
    list of Exclusion
        `exclusions`, and a line for each such session with the reasons of its runs.
    """
    lines = [line for line in exclusions if line.run]
    if not lines:
        return list(exclusions)
    added = []
    for (who, when), runs in runs_of_visits(settings.paths.bids_dir, tasks).items():
        ordered = sorted(runs, key=lambda run: (int(run) if run.isdecimal() else 0, run))
        found = [excluded_by(lines, who, when, run) for run in ordered]
        reasons = [reason for reason in found if reason is not None]
        if len(reasons) == len(runs) and excluded_by(exclusions, who, when) is None:
            added.append(Exclusion(who, when, '', '; '.join(dict.fromkeys(reasons))))
    return [*exclusions, *added]
