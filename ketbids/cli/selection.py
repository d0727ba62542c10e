"""Who is in a run of ketbids: participants that were asked for, and exclusions."""

from collections.abc import Collection

from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, RunKey, participant_labels, read_exclusions
from ketbids.settings import Settings

__all__ = ['chosen_participants', 'read_exclusion_list', 'unused_exclusions']


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
