"""What is known of people and their visits, from all tables of a BIDS dataset that hold it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ketbids.errors import InputError
from ketbids.io.cells import Cell, Found, typed_values
from ketbids.io.tables import read_header, read_texts
from ketbids.stats.people import build_people, is_missing

__all__ = ['People', 'read_people']


class People(NamedTuple):
    """The people of a study.

    Attributes
    ----------
    table : DataFrame
        As `ketbids.stats.people.build_people` gives it.
    notes : tuple of str
        Sentences on what was repaired or left aside.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]


def read_people(
    bids_dir: Path,
    *,
    variables: Collection[str] = (),
    required: Collection[str] = (),
    numbers: Collection[str] = (),
    scores: Sequence[str] = (),
    levels: Mapping[str, Sequence[str]] | None = None,
    tasks: Sequence[str] = (),
    acquisitions: Mapping[tuple[str, str], str] | None = None,
    participants: Iterable[str] = (),
) -> People:
    """Read what is known of people from participants, sessions, phenotype and scans tables.

    A table other than participants.tsv is read only if its header has a name that is asked for.
    Times (``2019-03-01T10:30:00``) become hours since a fixed date, so that their differences
    are hours.

    Parameters
    ----------
    bids_dir : Path
    variables : collection of str
        Names that the model uses: of columns, or of scores with their session.
    required : collection of str
        Those of them without which there is no analysis.
    numbers : collection of str
        Those of them that must be numbers or times.
    scores : sequence of str
        Columns that become one variable per session: ``hdrs`` becomes ``hdrs_TP1``, ...
    levels : mapping of str to sequence of str, optional
        The values that a column may have.
    tasks : sequence of str
        Tasks that are analysed: the first run of one gives the values of a session in a scans
        table.
    acquisitions : mapping of (str, str) to str, optional
        Acquisition label that was analysed, by labels of participant and session.
    participants : iterable of str
        Labels of the people of a study without participants.tsv.

    Returns
    -------
    People

    Raises
    ------
    InputError
        A table that cannot be read or is ambiguous, two tables that contradict each other, a text
        or an infinite value where a number is needed. It names file, line and column.
    """
    bids_dir, found = Path(bids_dir), Found()
    wanted, scores = {*variables, *scores}, tuple(dict.fromkeys(scores))
    path = bids_dir / 'participants.tsv'
    listed = path.is_file()
    if listed:
        texts, who = _read_participants(path, found)
        for name in texts.columns.drop('participant_id'):
            _add_column(found, path, texts[name], who, [''] * len(who))
    else:
        who = sorted(participants)
    if wanted:
        for file in sorted(bids_dir.glob('sub-*/sub-*_sessions.tsv')):
            _add_sessions(found, file, wanted, scores)
        for file in sorted((bids_dir / 'phenotype').glob('*.tsv')):
            _add_phenotype(found, file, wanted, scores, set(who))
        for pattern in ('sub-*/sub-*_scans.tsv', 'sub-*/ses-*/sub-*_scans.tsv'):
            for file in sorted(bids_dir.glob(pattern)):
                _add_scans(found, file, wanted, scores, tasks, acquisitions or {})
    _note_strange_sessions(found, bids_dir)
    _split_wide(found, scores)
    lacking = sorted(set(required) - set(_names(found)))
    if lacking and not listed:
        raise InputError(
            f'{path} does not exist, and no other table has {", ".join(lacking)}, which the model '
            'file uses: write one line per participant, with participant_id and these columns.'
        )
    values = {
        name: typed_values(name, cells, found, must=_is_number(name, scores, numbers), used=wanted)
        for name, cells in found.cells.items()
    }
    table = pd.DataFrame({'participant_id': who})
    for name, series in values.items():
        if '' in series.index.get_level_values('when'):
            table[name] = series.xs('', level='when').reindex(who).to_numpy()
        elif not len(series) and name not in scores:
            table[name] = None
    by_session = [name for name in scores if any(when for _, when in found.cells.get(name, {}))]
    rows = sorted({key for name in by_session for key in values[name].index if key[1]})
    sessions = pd.DataFrame(rows, columns=['participant_id', 'session_id'])
    for name in by_session:
        sessions[name] = values[name].reindex(rows).to_numpy()
    people = build_people(table, sessions if rows else None, by_session, levels)
    return People(people, tuple(found.notes))


def _names(found: Found) -> Iterator[str]:
    """Names of all variables as a model uses them."""
    for name, cells in found.cells.items():
        yield from {f'{name}_{when}' if when else name for _, when in cells}


def _is_number(name: str, scores: Collection[str], numbers: Collection[str]) -> bool:
    """Tell if a column is used as a number, by its own name or that of one of its sessions."""
    if name in numbers:
        return True
    start = f'{name}_'
    return name in scores and any(
        other.startswith(start) and other.removeprefix(start).isalnum() for other in numbers
    )


def _labels(path: Path, texts: pd.DataFrame, column: str) -> list[str]:
    """Labels of participants or sessions, without their prefix."""
    prefix = {'participant_id': 'sub-', 'session_id': 'ses-'}[column]
    for line, value in texts[column].items():
        if is_missing(value):
            raise InputError(f'{path}, line {line}: {column} is missing.')
    return [str(value).strip().removeprefix(prefix) for value in texts[column]]


def _session_labels(found: Found, path: Path, texts: pd.DataFrame) -> list[str]:
    labels = _labels(path, texts, 'session_id')
    for line, label in zip(texts.index, labels, strict=True):
        found.sessions.setdefault(label, f'{path}, line {line}')
    return labels


def _note_strange_sessions(found: Found, bids_dir: Path) -> None:
    """Say which sessions of tables are those of no folder: perhaps they are misspelt."""
    known = {path.name.removeprefix('ses-') for path in bids_dir.glob('sub-*/ses-*')}
    strange = sorted(set(found.sessions) - known)
    if known and strange:
        more = f' and {len(strange) - 3} more' if len(strange) > 3 else ''
        listed = ', '.join(f'{label} ({found.sessions[label]})' for label in strange[:3])
        found.notes.append(
            f'No participant has a folder of the session {listed}{more}; there are '
            f'{", ".join(sorted(known))}. Labels are compared letter by letter.'
        )


def _refuse_repeats(path: Path, lines: Iterable[int], keys: Iterable[str]) -> None:
    """Refuse a table in which one key has two rows."""
    first: dict[str, int] = {}
    for line, key in zip(lines, keys, strict=True):
        if key in first:
            raise InputError(
                f'{path}, lines {first[key]} and {line}: more than one row of {key}. Keep one.'
            )
        first[key] = line


def _read_participants(path: Path, found: Found) -> tuple[pd.DataFrame, list[str]]:
    texts = read_texts(path, ('participant_id',))
    column = texts['participant_id']
    who = _labels(path, texts, 'participant_id')
    _refuse_repeats(path, texts.index, (f'sub-{label}' for label in who))
    bare = [(line, v) for line, v in column.items() if not str(v).strip().startswith('sub-')]
    if bare:
        line, value = bare[0]
        found.notes.append(
            f'{path}: participant_id without sub- in {len(bare)} rows; line {line} ({value}) is '
            f'read as sub-{str(value).strip()}, and so on.'
        )
    return texts, who


def _add_column(
    found: Found, path: Path, column: pd.Series, who: Sequence[str], when: Sequence[str]
) -> None:
    found.cells.setdefault(str(column.name), {})
    for line, text, label, session in zip(column.index, column, who, when, strict=True):
        cell = None if is_missing(text) else Cell(str(text).strip(), path, int(line))
        found.add(str(column.name), label, session, cell)


def _add_sessions(
    found: Found, path: Path, wanted: Collection[str], scores: Collection[str]
) -> None:
    header = read_header(path)
    if 'session_id' in header and not set(header) & set(scores):
        _note_unlisted(found, path, header, wanted, scores)
        return
    texts = read_texts(path, ('session_id',))
    when = _session_labels(found, path, texts)
    _refuse_repeats(path, texts.index, (f'ses-{label}' for label in when))
    who = [path.parent.name.removeprefix('sub-')] * len(when)
    for name in texts.columns.intersection(list(scores)):
        _add_column(found, path, texts[name], who, when)


def _add_phenotype(
    found: Found,
    path: Path,
    wanted: Collection[str],
    scores: Collection[str],
    known: Collection[str],
) -> None:
    header = read_header(path)
    names = (set(scores) if 'session_id' in header else set(wanted)) & set(header)
    if 'session_id' in header:
        _note_unlisted(found, path, header, wanted, scores)
    if not names:
        return
    texts = read_texts(path, ('participant_id',))
    who = _labels(path, texts, 'participant_id')
    when = [''] * len(who)
    if 'session_id' in header:
        when = _session_labels(found, path, texts)
    keys = (f'sub-{a} ses-{b}' if b else f'sub-{a}' for a, b in zip(who, when, strict=True))
    _refuse_repeats(path, texts.index, keys)
    for name in texts.columns:
        if name in names:
            _add_column(found, path, texts[name], who, when)
    if strangers := sorted(set(who) - set(known)):
        more = ', ...' if len(strangers) > 3 else ''
        found.notes.append(
            f'{path}: {len(strangers)} people are not in participants.tsv and are left aside '
            f'({", ".join(f"sub-{label}" for label in strangers[:3])}{more}).'
        )


def _note_unlisted(
    found: Found,
    path: Path,
    header: Sequence[str],
    wanted: Collection[str],
    scores: Collection[str],
) -> None:
    """Say that a variable is there per session, but is not among the scores."""
    kind = path.name.rsplit('_', 1)[-1] if path.name.startswith('sub-') else path.name
    for name in header:
        note = (
            f'{name} is a column per session of {kind}, but not among the Scores of the model '
            f'file: list it there and use {name}_<session>.'
        )
        if name in wanted and name not in scores and note not in found.notes:
            found.notes.append(note)


def _add_scans(
    found: Found,
    path: Path,
    wanted: Collection[str],
    scores: Collection[str],
    tasks: Sequence[str],
    acquisitions: Mapping[tuple[str, str], str],
) -> None:
    """Add the values of the first run of the analysed task."""
    session = path.parent.name if path.parent.name.startswith('ses-') else ''
    who, when = path.name.split('_')[0].removeprefix('sub-'), session.removeprefix('ses-')
    header = read_header(path)
    names = set(header) & (set(scores) if session else set(wanted))
    if not names:
        if session:
            _note_unlisted(found, path, header, wanted, scores)
        return
    texts = read_texts(path, ('filename',))
    runs = []
    for line, value in texts['filename'].items():
        name = str(value).strip().rsplit('/', 1)[-1]
        stem, suffix = name.split('.')[0].rsplit('_', 1) if '_' in name else (name, '')
        entities = dict(part.split('-', 1) for part in stem.split('_') if '-' in part)
        own = entities.get('acq', '')
        same = entities.get('task') in tasks and own == acquisitions.get((who, when), own)
        if same and suffix != 'sbref':
            run = entities.get('run', '')
            # The images themselves before whatever else is recorded with them.
            runs.append((suffix != 'bold', int(run) if run.isdigit() else 0, name, line))
    if runs:
        first = texts.loc[[min(runs)[-1]]]
        for column in texts.columns:
            if column in names:
                _add_column(found, path, first[column], [who], [when])


def _split_wide(found: Found, scores: Sequence[str]) -> None:
    """Let a column ``hdrs_TP1`` of a table of people meet the score of that session."""
    for score in scores:
        sessions = {when for _, when in found.cells.get(score, {}) if when}
        for when in sessions:
            wide = found.cells.get(f'{score}_{when}', {})
            if wide and all(session == '' for _, session in wide):
                del found.cells[f'{score}_{when}']
                for (who, _), cells in wide.items():
                    found.cells[score].setdefault((who, when), []).extend(cells)
