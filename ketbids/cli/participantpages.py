"""The pages of the participants who were chosen."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ketbids.cli.pages import write_participant_page
from ketbids.errors import InputError
from ketbids.io.tables import read_participants
from ketbids.settings import Settings

__all__ = ['write_pages']

logger = logging.getLogger('ketbids')


def write_pages(
    settings: Settings, participants: Collection[str], failures: Mapping[str, str]
) -> None:
    """Write the pages of participants, also of those for whom nothing was done.

    What a page says of events that are shifted depends on the runs of everybody else. A page that
    stands there to the letter is left alone.

    Parameters
    ----------
    settings : Settings
    participants : collection of str
    failures : mapping of str to str
        What failed and why, by the name of the visit or session: it stands on the page.
    """
    output_dir = settings.paths.output_dir
    about = _about(settings.paths.bids_dir)
    messages: dict[str, list[str]] = {label: [] for label in participants}
    for name, message in failures.items():
        participant = name.split('_')[0].removeprefix('sub-')
        messages.setdefault(participant, []).append(f'{name} failed: {message}')
    for participant, lines in sorted(messages.items()):
        write_participant_page(output_dir, participant, about.get(participant, ()), tuple(lines))


def _about(bids_dir: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """Give what participants.tsv says of each participant; nothing without that file."""
    if not (bids_dir / 'participants.tsv').is_file():
        return {}
    try:
        table = read_participants(bids_dir)
    except InputError as error:  # the fits do not need it
        logger.warning('The pages say nothing of age, group and so on: %s', error)
        return {}
    return {
        str(row['participant_id']).removeprefix('sub-'): tuple(
            (str(key), _text(value)) for key, value in row.items() if key != 'participant_id'
        )
        for row in table.to_dict('records')
    }


def _text(value: Any) -> str:
    if pd.isna(value):
        return 'n/a'
    return f'{value:g}' if isinstance(value, float) else str(value)
