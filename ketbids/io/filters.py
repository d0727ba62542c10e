"""``--bids-filter-file``: entities that runs must have, in the format of fMRIPrep."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.io.folders import same_run

__all__ = ['BidsFilter', 'read_filter']

logger = logging.getLogger('ketbids')

#: The query that counts here, and others that the format knows.
QUERY = 'bold'
_OTHER_QUERIES = ('asl', 'flair', 'fmap', 'm0scan', 'pet', 'roi', 'sbref', 't1w', 't2w')

#: Entities of events files and of preprocessed series, as pybids calls them.
ENTITIES = (
    'subject',
    'session',
    'task',
    'acquisition',
    'ceagent',
    'reconstruction',
    'direction',
    'run',
    'space',
    'density',
    'resolution',
    'cohort',
    'desc',
)
#: What a filter may hold because it is so anyway.
_FIXED = {'datatype': 'func', 'suffix': 'bold'}
#: What preprocessing has put together, or what does not concern dense time series.
_WITHOUT_USE = ('echo', 'part', 'proc', 'extension', 'mt', 'inv', 'flip', 'modality', 'hemi')

#: What entities are called in file names.
_SHORT = {
    'sub': 'subject',
    'ses': 'session',
    'acq': 'acquisition',
    'ce': 'ceagent',
    'rec': 'reconstruction',
    'dir': 'direction',
    'den': 'density',
    'res': 'resolution',
}

#: An entity must be absent, or present.
_ABSENT, _PRESENT = (None, 'Query.NONE'), ('*', 'Query.ANY')
_OPTIONAL = 'Query.OPTIONAL'

Value = str | int | None


@dataclass(frozen=True)
class BidsFilter:
    """What the entities of a run must be; without entries it admits everything.

    Attributes
    ----------
    entities : mapping of str to tuple
        Alternatives by name of the entity: text, numbers, None (absent), ``*`` (present).
    """

    entities: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Tell if labels satisfy the filter; it says nothing of entities that are not in them.

        Parameters
        ----------
        labels : mapping of str to str
            Label of each entity, empty text for one that is absent.
        """
        return all(
            any(_matches(name, labels[name], value) for value in values)
            for name, values in self.entities.items()
            if name in labels
        )


def _matches(name: str, label: str, value: Value) -> bool:
    if value is None:
        return not label
    if value == '*':
        return bool(label)
    if isinstance(value, int) or name == 'run':
        return same_run(label, str(value))
    return label == value


def read_filter(path: Path | None) -> BidsFilter:
    """Read a filter file.

    Raises
    ------
    InputError
        If it is not JSON, or has a query, an entity or a value that cannot be; the message names
        the key.
    """
    if path is None:
        return BidsFilter()
    content = read_json(path)
    unknown = [name for name in content if name not in (QUERY, *_OTHER_QUERIES)]
    if unknown:
        raise InputError(
            f'{path}: unknown query {unknown[0]!r}; known are {QUERY}, '
            f'{", ".join(_OTHER_QUERIES)}.'
        )
    useless = sorted(set(content) - {QUERY})
    if useless:
        logger.info('%s: only the query bold has a use here, not %s.', path, ', '.join(useless))
    query = content.get(QUERY, {})
    if not isinstance(query, dict):
        raise InputError(f'{path}: {QUERY} must be an object of entities, not {_text(query)}.')
    entities = {}
    for name, value in query.items():
        checked = _checked(f'{path}: {QUERY}: {name}', name, value)
        if checked is not None:
            entities[name] = checked
    return BidsFilter(entities)


def _checked(where: str, name: str, value: Any) -> tuple[Value, ...] | None:
    """Check one entry; None if it filters nothing."""
    if name in _FIXED:
        if value not in (_FIXED[name], [_FIXED[name]]):
            raise InputError(f'{where} is {_text(value)}, but only {_FIXED[name]} can be used.')
        return None
    if name in _WITHOUT_USE:
        logger.info('%s has no use here: preprocessed dense series do not have it.', where)
        return None
    if name not in ENTITIES:
        if name in _SHORT:
            raise InputError(f'{where} is called {_SHORT[name]} in filter files: write that.')
        known = ', '.join([*ENTITIES, *_FIXED])
        raise InputError(f'{where} is not an entity that is known here: {known}.')
    values = value if isinstance(value, list) else [value]
    if not values:
        raise InputError(f'{where} is an empty list: nothing could match.')
    if _OPTIONAL in values:
        return None
    return tuple(_value(where, name, item) for item in values)


#: Prefixes of labels that people write although the format has none.
_PREFIXES = {'subject': 'sub-', 'session': 'ses-', 'task': 'task-', 'acquisition': 'acq-'}
_PREFIXES |= {'reconstruction': 'rec-', 'direction': 'dir-', 'run': 'run-', 'density': 'den-'}


def _value(where: str, name: str, value: Any) -> Value:
    if value in _ABSENT:
        return None
    if value in _PRESENT:
        return '*'
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        label = value.removeprefix(_PREFIXES.get(name, ''))
        if label.isascii() and label.isalnum():
            return label
    raise InputError(
        f'{where} is {_text(value)}; it must be a label (letters and digits), a whole number, '
        'null (absent), "*" (any), or a list of these.'
    )


def _text(value: Any) -> str:
    return json.dumps(value)[:60]
