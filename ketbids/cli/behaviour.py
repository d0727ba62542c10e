"""Behaviour at the group level: who did the task, and one table of all sessions."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ketbids.cli.dataset import describe_dataset
from ketbids.cli.planning import chosen_visits, finished_visits
from ketbids.cli.progress import counted
from ketbids.errors import InputError
from ketbids.io.behaviour import find_performance, read_performance, remove_group_tables
from ketbids.io.bids import Exclusion, excluded_by
from ketbids.io.tables import table_text, write_table
from ketbids.model import StudyModel
from ketbids.reports.behaviourgroup import BehaviourSection, behaviour_section
from ketbids.settings import Settings
from ketbids.stats.behaviour import COUNTS, MEASURES, SESSION, distinct_measures
from ketbids.stats.eventrules import StimulusRules
from ketbids.stats.taskdone import validity

__all__ = ['Behaviour', 'collect_behaviour', 'report_behaviour']

logger = logging.getLogger('ketbids')

#: Stem of the table that is written.
_TABLE = 'group_behaviour'
#: Table of tests that earlier versions wrote, where declared statistics are now.
_TESTS = 'group_behaviour_tests'
_KEYS = ('participant_id', 'session_id', 'task', 'acquisition')
#: Visits that a message names.
_NAMED = 5
_NOT_KNOWN = 'has behaviour that does not tell whether the task was done'


class Behaviour(NamedTuple):
    """What all sessions did.

    Attributes
    ----------
    table : DataFrame
        One row per session: `_KEYS` (labels), counts, measures, ``valid``, ``invalid_reason``,
        ``not_available``.
    not_done : list of Exclusion
        Sessions that the model file excludes because the task was not done.
    messages : list of str
        Whose behaviour is not known.
    """

    table: pd.DataFrame
    not_done: list[Exclusion]
    messages: list[str]


def collect_behaviour(
    settings: Settings, model: StudyModel, exclusions: list[Exclusion]
) -> Behaviour | None:
    """Read the behaviour of the sessions that were chosen; None if the model describes none.

    The validity rules are those of the model file of this call, whatever those were by which the
    participant level flagged sessions.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    exclusions : list of Exclusion
        The exclusion list. Its sessions stay in the table.

    Raises
    ------
    InputError
        Two tables of one session, or one that cannot be read.
    """
    stimuli = model.run.events.stimuli
    if stimuli is None:
        return None
    output_dir = settings.paths.output_dir
    found = find_performance(output_dir, settings.selection.tasks or model.tasks)
    found = found[chosen_visits(settings, found)]
    finished = finished_visits(output_dir, found)
    unfinished = sorted(name for name, whole in finished if not whole)
    whole = np.array([whole for _, whole in finished], bool)
    found = found[whole].reset_index(drop=True)
    messages = []
    if unfinished:
        messages.append(
            'The participant level did not finish, and behaviour is not used, of '
            f'{_listed(unfinished)}.'
        )
    _assert_one_per_session(found)
    columns = (*COUNTS, *MEASURES, 'not_available')
    table = read_performance(output_dir, found, columns, SESSION).drop(columns='path')
    table[list(MEASURES)] = table[list(MEASURES)].astype(float)
    table = _judged(table, stimuli)
    not_done = []
    if stimuli.validity.exclude:
        for row in table[table['valid'].eq(False)].to_dict('records'):
            who, when = str(row['participant_id']), str(row['session_id'])
            if excluded_by(exclusions, who, when) is None:
                reason = f'the task was not done: {row["invalid_reason"]}'
                not_done.append(Exclusion(who, when, '', reason))
    if not_done:
        names = [
            _name({'participant_id': e.participant, 'session_id': e.session}) for e in not_done
        ]
        logger.warning('Excluded, as the task was not done: %s.', _listed(names))
    return Behaviour(table, not_done, messages)


def _judged(table: pd.DataFrame, stimuli: StimulusRules) -> pd.DataFrame:
    """Put what the rules say of each session before the last column."""
    counts = table[list(COUNTS)].astype(int).to_dict('records')
    judged = [validity({str(k): v for k, v in row.items()}, stimuli.validity) for row in counts]
    place = list(table.columns).index('not_available')
    for number, name in enumerate(('valid', 'invalid_reason')):
        column = pd.Series([line[number] for line in judged], dtype=object)
        table.insert(place + number, name, column)
    return table


def _assert_one_per_session(found: pd.DataFrame) -> None:
    twice = found[found.duplicated(['participant_id', 'session_id'], keep=False)]
    if len(twice):
        one, other = twice['path'].iloc[:2]
        raise InputError(
            f'{one} and {other} are tables of one session. Choose one with --task-id or '
            '--bids-filter-file.'
        )


def report_behaviour(
    settings: Settings,
    model: StudyModel,
    behaviour: Behaviour | None,
    exclusions: list[Exclusion],
    people: pd.DataFrame,
    maps: pd.DataFrame,
) -> BehaviourSection | None:
    """Write the table of the group and give what the page shows of it.

    It is tested by the statistics of the model file that have behaviour as their outcome. A table
    of an earlier call that does not hold any more is removed.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    behaviour : Behaviour or None
        As `collect_behaviour` gives it.
    exclusions : list of Exclusion
        All of them: those sessions are in the table with the reason, and in no statistic.
    people : DataFrame
        The people of this call, indexed by label.
    maps : DataFrame
        Maps of the analyses, to tell whose behaviour is missing.

    Returns
    -------
    BehaviourSection or None
        None if there is no behaviour at all.
    """
    output_dir, stimuli = settings.paths.output_dir, model.run.events.stimuli
    _remove(output_dir, 'declared statistics test behaviour now', _TESTS)
    if behaviour is None or stimuli is None:
        _remove(output_dir, 'the model file has no Stimuli')
        return None
    messages = [*behaviour.messages, *_without(behaviour.table, maps)]
    for message in messages:
        logger.warning('%s', message)
    table = behaviour.table
    if not len(table):
        _remove(output_dir, 'there is no behaviour of those who were chosen')
        return None
    keys = zip(table['participant_id'], table['session_id'], strict=True)
    reasons = pd.Series([excluded_by(exclusions, *key) for key in keys], dtype=object)
    _report_doubts(table[reasons.isna()])
    if _write(output_dir / 'group' / f'{_TABLE}.tsv', _written(table, reasons)):
        describe_dataset(settings, model.source)
    return behaviour_section(
        table.assign(excluded=reasons), people, distinct_measures(stimuli), messages
    )


def _remove(output_dir: Path, why: str, stem: str = _TABLE) -> None:
    """Remove the table of an earlier call, and say so."""
    removed = remove_group_tables(output_dir, [stem])
    if removed:
        logger.info('Removed, as %s: %s.', why, ', '.join(removed))


def _report_doubts(table: pd.DataFrame) -> None:
    """Name the sessions that may not have done the task, or of which it cannot be told."""
    doubtful = table[table['invalid_reason'].notna()].to_dict('records')
    for row in doubtful[:_NAMED]:
        words = 'may not have done the task' if row['valid'] is False else _NOT_KNOWN
        logger.warning('%s %s: %s.', _name(row), words, row['invalid_reason'])
    if len(doubtful) > _NAMED:
        logger.warning(
            '%s more in which the task may not have been done, or that cannot be told: see '
            'group/group_behaviour.tsv.',
            counted(len(doubtful) - _NAMED, 'session'),
        )


def _without(table: pd.DataFrame, maps: pd.DataFrame) -> list[str]:
    """Name the visits that have maps and no behaviour."""
    keys = list(_KEYS[:2])
    visits = maps[keys].drop_duplicates().merge(table[keys], how='left', on=keys, indicator=True)
    names = [_name(row) for row in visits[visits['_merge'] == 'left_only'].to_dict('records')]
    if not names:
        return []
    return [
        f'There are maps, but no table of behaviour, of {_listed(names)}: run the participant '
        'level again.'
    ]


def _written(table: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """Give the table as it is written: BIDS names, and why a session is in no statistic."""
    out = table.assign(
        participant_id='sub-' + table['participant_id'],
        session_id=('ses-' + table['session_id']).where(table['session_id'] != '', None),
        acquisition=table['acquisition'].replace('', None),
    )
    out.insert(list(out.columns).index('not_available'), 'excluded', reasons)
    return out


def _write(path: Path, table: pd.DataFrame) -> bool:
    """Write a table with its data dictionary, unless it stands there to the letter."""
    if path.is_file() and path.read_text(encoding='utf-8') == table_text(table):
        return False
    from ketbids.io.columns import column_descriptions

    entries = column_descriptions(path.stem)
    entries = {**column_descriptions('performance'), **entries}
    write_table(path, table, {name: entry['Description'] for name, entry in entries.items()})
    return True


def _name(row: dict[Any, Any]) -> str:
    session = f' ses-{row["session_id"]}' if row['session_id'] else ''
    return f'sub-{row["participant_id"]}{session}'


def _listed(names: list[str]) -> str:
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(names[:_NAMED]) + more
