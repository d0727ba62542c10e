"""The index of a BIDS dataset: made by pybids, of one participant or of all."""

import logging
import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ketbids.errors import InputError

__all__ = ['has_database', 'index_events', 'indexed_events']

logger = logging.getLogger('ketbids')

#: Folders of a dataset that are no raw data.
_NO_DATA = re.compile(r'^/?(derivatives|sourcedata|code|stimuli)(/|$)')
_FILE = 'layout_index.sqlite'


def _layout(bids_dir: Path, participants: Sequence[str] | None, **options: Any) -> Any:
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    ignore = [_NO_DATA, re.compile(r'^/?\.')]
    if participants is not None:
        # One expression for all: one per participant would be tried on each of their folders.
        labels = '|'.join(re.escape(label) for label in participants)
        ignore.append(re.compile(rf'^/?sub-(?!(?:{labels})(?:/|$))'))
    indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignore)
    return BIDSLayout(bids_dir, validate=False, indexer=indexer, **options)


def _events(layout: Any, **query: Any) -> list[Path]:
    """List the events files of runs; those above their folders only serve inheritance."""
    found = [Path(file.path) for file in layout.get(suffix='events', extension='.tsv', **query)]
    return [path for path in found if path.parent.name == 'func']


def index_events(bids_dir: Path, participants: Sequence[str] | None) -> list[Path]:
    """List events files after indexing the folders of these participants (None: of all)."""
    return _events(_layout(bids_dir, participants))


def has_database(database_dir: Path) -> bool:
    """Tell if there is a database already, whole or not.

    Raises
    ------
    InputError
        If the folder holds something else.
    """
    if (database_dir / _FILE).is_file():
        return True
    if database_dir.exists() and (not database_dir.is_dir() or any(database_dir.iterdir())):
        if (database_dir / _FILE).is_file():
            return True  # another process made it meanwhile
        raise InputError(
            f'{database_dir} (--bids-database-dir) is not a database of pybids: it has no '
            f'{_FILE}. Remove it, or give the name of a new folder.'
        )
    return False


def indexed_events(bids_dir: Path, database_dir: Path, participants: Sequence[str]) -> list[Path]:
    """List events files that a database knows; it is made if it is not there, then only read.

    A warning says which files of these participants it does not know, or are gone.

    Raises
    ------
    InputError
        If the folder holds something else, the database of another dataset, or half a one.
    """
    if not has_database(database_dir):
        _make(bids_dir, database_dir)
    root = _check(bids_dir, database_dir)
    from bids.layout import BIDSLayout

    try:
        layout = BIDSLayout(bids_dir, validate=False, database_path=database_dir)
        listed = _events(layout, subject=list(participants))
    except Exception as error:  # SQLAlchemy and pybids each have errors of their own
        raise InputError(_advice(database_dir, f'cannot be read: {error}')) from error
    # The dataset may have been reached by another path when it was indexed.
    known = [bids_dir / path.relative_to(root) for path in listed]
    here = set(_walk(bids_dir, participants))
    for difference, words in (
        (
            here - set(known),
            'does not know {}: it is older than the dataset, and they are not used',
        ),
        (set(known) - here, 'lists {}, which are gone'),
    ):
        if difference:
            count = len(difference)
            files = f'{count} events file{"s" if count > 1 else ""} such as {min(difference)}'
            logger.warning(
                'The index %s %s. Remove its folder to make it anew.',
                database_dir,
                words.format(files),
            )
    return [path for path in known if path in here]


def _walk(bids_dir: Path, participants: Iterable[str]) -> Iterable[Path]:
    for label in participants:
        folder = bids_dir / f'sub-{label}'
        for pattern in ('func/*_events.tsv', 'ses-*/func/*_events.tsv'):
            yield from folder.glob(pattern)


def _make(bids_dir: Path, database_dir: Path) -> None:
    """Make a database beside its place and rename it: half a one is never seen."""
    logger.info('Indexing %s into %s ...', bids_dir, database_dir)
    aside = database_dir.with_name(f'.{database_dir.name}.{secrets.token_hex(4)}')
    try:
        database_dir.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
    except OSError as error:
        raise InputError(
            f'{database_dir} (--bids-database-dir) cannot be made: {error.strerror}.'
        ) from error
    try:
        _layout(bids_dir, None, database_path=aside).connection_manager.engine.dispose()
        # Fails if another process was faster; then its database is as good.
        with suppress(OSError):
            os.rename(aside, database_dir)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if not (database_dir / _FILE).is_file():
        raise InputError(f'{database_dir} (--bids-database-dir) cannot be written.')


def _check(bids_dir: Path, database_dir: Path) -> Path:
    """Refuse a database that is not whole, or of another dataset; give its path of the dataset."""
    try:
        address = f'{(database_dir / _FILE).absolute().as_uri()}?mode=ro'
        with closing(sqlite3.connect(address, uri=True)) as connection:
            info = connection.execute('SELECT root, _derivatives FROM layout_info').fetchone()
            (count,) = connection.execute('SELECT COUNT(*) FROM files').fetchone()
    except sqlite3.Error as error:
        raise InputError(_advice(database_dir, f'is damaged or incomplete ({error})')) from error
    if info is None or not count:
        raise InputError(_advice(database_dir, 'is incomplete: it lists no files'))
    root, derivatives = info
    if Path(root).resolve() != Path(bids_dir).resolve():
        raise InputError(_advice(database_dir, f'is of another dataset, {root}'))
    if derivatives not in (None, 'null', 'false'):
        raise InputError(_advice(database_dir, 'was made with derivatives'))
    return Path(root)


def _advice(database_dir: Path, what: str) -> str:
    return (
        f'The index {database_dir} (--bids-database-dir) {what}. Remove that folder, so that it '
        'is made anew, or give another one.'
    )
