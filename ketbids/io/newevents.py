"""Events files of BIDS that are made from the files of other programs."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ketbids.errors import InputError, UsageError
from ketbids.io.files import delivered_together, write_json, write_text
from ketbids.io.tables import table_text

__all__ = ['NewEvents', 'check_target', 'decoded', 'placed', 'write_events']

#: Onsets are rounded to it: a microsecond.
_DIGITS = 6
#: Name of the events of a run.
_NAME = re.compile(
    r'sub-[0-9A-Za-z+]+(_ses-[0-9A-Za-z+]+)?_task-[0-9A-Za-z+]+(_[a-z]+-[0-9A-Za-z+]+)*'
    r'_events\.tsv',
    re.ASCII,
)


class NewEvents(NamedTuple):
    """A table of events and what is to be said of it.

    Attributes
    ----------
    table : DataFrame
        ``onset`` and ``duration`` (s), then the columns that describe the events; by onset.
    dictionary : dict
        The sidecar: what BIDS says of each column, by its name.
    notes : tuple of str
        Where every row of the source went, and what is odd.
    """

    table: pd.DataFrame
    dictionary: dict[str, Any]
    notes: tuple[str, ...]


def placed(new: NewEvents, *, offset: float, dropped_volumes: int, step: float) -> NewEvents:
    """Put events on the time axis of their run.

    Parameters
    ----------
    new : NewEvents
        Onsets by the clock of the source.
    offset : float
        Time of the first volume by that clock, s.
    dropped_volumes : int
        Volumes that were removed from the start of the run.
    step : float
        Repetition time, s; not used if no volume was removed.

    Returns
    -------
    NewEvents
        Onsets from the first volume that is left.

    Raises
    ------
    InputError
        Every event ends before that volume.
    """
    dropped = dropped_volumes * step if dropped_volumes else 0.0
    table = new.table.copy()
    table['onset'] = (table['onset'] - offset - dropped).round(_DIGITS)
    told = f'Seconds from the first volume: the time of the source minus {offset:g} s'
    if dropped_volumes:
        told += f' and minus {dropped_volumes} removed volumes of {step:g} s'
    if len(table) and (table['onset'] + table['duration'] <= 0).all():
        raise InputError(
            f'every event ends before the first volume: {told[0].lower()}{told[1:]}. Give the '
            'time of the first volume by the clock of the source with --offset.'
        )
    notes, early = list(new.notes), int((table['onset'] < 0).sum())
    if early:
        notes.append(
            f'{early} events start before the first volume, the first at '
            f'{table["onset"].min():g} s: right only if volumes were removed, else check --offset'
        )
    if dropped_volumes:
        notes.append(
            f'the onsets are {dropped:g} s earlier for the {dropped_volumes} removed volumes: do '
            'not give ketbids --drop-volumes for them, too'
        )
    return NewEvents(
        table, {**new.dictionary, 'onset': {'Description': f'{told}.', 'Units': 's'}}, tuple(notes)
    )


def check_target(target: Path, sources: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse a name that is not one of an events file, or that is taken.

    Parameters
    ----------
    target : Path
    sources : iterable of Path
        Files that are read: they are never replaced.
    overwrite : bool
        Other files may be.

    Raises
    ------
    UsageError
    """
    if not _NAME.fullmatch(target.name):
        raise UsageError(
            f'{target}: the name must be that of the events of a run in BIDS, sub-<label>, maybe '
            'ses-<label>, task-<label> and more, and must end in _events.tsv, as in '
            'sub-01_ses-TP1_task-carit_run-01_events.tsv; labels are letters and digits.'
        )
    written = (target, target.with_suffix('.json'))
    for source in sources:
        for path in written:
            if path.exists() and source.exists() and path.samefile(source):
                raise UsageError(
                    f'{path} is the same file as {source}, which is to be read: give another '
                    'name; nothing was written.'
                )
    for path in written:
        if os.path.lexists(path) and not overwrite:
            raise UsageError(
                f'{path} exists already. Give --overwrite to replace it, or another name; '
                'nothing was written.'
            )


def write_events(target: Path, new: NewEvents) -> list[Path]:
    """Write the table and its sidecar, both or none.

    Raises
    ------
    InputError
        The folder cannot be written to.
    """
    undescribed = [str(c) for c in new.table.columns if c not in new.dictionary]
    if undescribed:
        raise ValueError(f'{target.name}: no description of {undescribed}')
    sidecar = target.with_suffix('.json')
    with delivered_together(target.parent, last=target.name) as folder:
        write_text(folder / target.name, table_text(new.table))
        write_json(folder / sidecar.name, _in_order(new))
    return [target, sidecar]


def decoded(path: Path, kind: str) -> str:
    """Read a text file of a stimulus program.

    Parameters
    ----------
    path : Path
    kind : str
        What it should be, for messages.

    Raises
    ------
    InputError
        It cannot be read, or is no text in UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f'{path} cannot be read: {error.strerror}.') from error
    if b'\0' in content or content.startswith((b'PK\3\4', b'\x1f\x8b', b'\xff\xfe', b'\xfe\xff')):
        raise InputError(
            f'{path} is no text in UTF-8, but a workbook, an archive or text in UTF-16: it must '
            f'be {kind}.'
        )
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise InputError(
            f'{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8: save the file '
            f'in UTF-8; it must be {kind}.'
        ) from error


def _in_order(new: NewEvents) -> Mapping[str, Any]:
    """Columns as in the table, then what is not of a column."""
    names = [str(name) for name in new.table.columns]
    rest = {key: value for key, value in new.dictionary.items() if key[:1].isupper()}
    return {**{name: new.dictionary[name] for name in names}, **rest}
