"""``--bids-filter-file``: entities that images must have, in the format of fMRIPrep."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.io.folders import same_run

__all__ = ['BidsFilter', 'RawFilters', 'parse_query', 'raw_labels', 'read_filter']
__all__ += ['read_filters']

logger = logging.getLogger('ketbids')

#: The query that counts for preprocessed data, those that count for raw data, and others that the
#: format knows.
QUERY = 'bold'
_RAW_QUERIES = ('bold', 'sbref', 't1w', 't2w', 'fmap')
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
#: Those of raw data.
_RAW_ENTITIES = ENTITIES[: ENTITIES.index('run') + 1]
#: What a filter may hold because it is so anyway.
_FIXED = {
    'bold': {'datatype': 'func', 'suffix': 'bold'},
    'sbref': {'datatype': 'func', 'suffix': 'sbref'},
    't1w': {'datatype': 'anat', 'suffix': 'T1w'},
    't2w': {'datatype': 'anat', 'suffix': 'T2w'},
    'fmap': {'datatype': 'fmap'},
}
#: What preprocessing has put together, or what does not concern dense time series.
_WITHOUT_USE = ('echo', 'part', 'proc', 'extension', 'mt', 'inv', 'flip', 'modality', 'hemi')

_NOT_BY_IT = 'raw images are not chosen by it'

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


@dataclass(frozen=True)
class RawFilters:
    """What raw images must be, by their kind."""

    bold: BidsFilter = field(default_factory=BidsFilter)
    sbref: BidsFilter = field(default_factory=BidsFilter)
    t1w: BidsFilter = field(default_factory=BidsFilter)
    t2w: BidsFilter = field(default_factory=BidsFilter)
    fmap: BidsFilter = field(default_factory=BidsFilter)


def raw_labels(labels: Mapping[str, str], suffix: str = '') -> dict[str, str]:
    """Give the labels of a raw image by the names that filters have for them.

    Parameters
    ----------
    labels : mapping of str to str
        By the short keys of file names.
    suffix : str
    """
    short = {name: key for key, name in _SHORT.items()}
    found = {name: labels.get(short.get(name, name), '') for name in _RAW_ENTITIES}
    return found | {'suffix': suffix}


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
    content = _queries(path)
    useless = sorted(set(content) - {QUERY})
    if useless:
        logger.info('%s: only the query bold has a use here, not %s.', path, ', '.join(useless))
    why = 'preprocessed dense series do not have it'
    return _query(f'{path}: {QUERY}', QUERY, content.get(QUERY, {}), ENTITIES, why)


def read_filters(path: Path | None) -> RawFilters:
    """Read the queries of a filter file that concern raw data.

    In `bold`, entities that only preprocessed series have are passed over.

    Raises
    ------
    InputError
        As by `read_filter`.
    """
    content = _queries(path)
    useless = sorted(set(content) - set(_RAW_QUERIES))
    if useless:
        logger.info('%s: the queries %s have no use here.', path, ', '.join(useless))
    return RawFilters(
        **{
            name: parse_query(f'{path}: {name}', name, content[name])
            for name in _RAW_QUERIES
            if name in content
        }
    )


def parse_query(where: str, query: str, content: Any) -> BidsFilter:
    """Check the entities of a query for raw data.

    Parameters
    ----------
    where : str
        For messages.
    query : {'bold', 'sbref', 't1w', 't2w', 'fmap'}
    content : object
        A mapping of names of entities to a label, a number, None (absent), ``*`` (present), or a
        list of these.

    Raises
    ------
    InputError
        If it has an entity or a value that cannot be.
    """
    known = _RAW_ENTITIES
    if query == 'bold':
        # The same query chooses among preprocessed series, which have more entities.
        found = _query(where, query, content, ENTITIES, _NOT_BY_IT)
        return BidsFilter({k: v for k, v in found.entities.items() if k in known})
    if query == 'fmap':
        known = (*known, 'suffix')
    return _query(where, query, content, known, _NOT_BY_IT)


def _queries(path: Path | None) -> dict[str, Any]:
    """Read a filter file; refuse queries that are not known."""
    if path is None:
        return {}
    content = read_json(path)
    unknown = [name for name in content if name not in (QUERY, *_OTHER_QUERIES)]
    if unknown:
        raise InputError(
            f'{path}: unknown query {unknown[0]!r}; known are {QUERY}, '
            f'{", ".join(_OTHER_QUERIES)}.'
        )
    return content


def _query(
    where: str, query: str, content: Any, known: tuple[str, ...], useless: str
) -> BidsFilter:
    if not isinstance(content, dict):
        raise InputError(f'{where} must be an object of entities, not {_text(content)}.')
    fixed, entities = _FIXED[query], {}
    for name, value in content.items():
        key = f'{where}: {name}'
        if name in fixed:
            if value not in (fixed[name], [fixed[name]]):
                raise InputError(f'{key} is {_text(value)}, but only {fixed[name]} can be used.')
        elif name not in known and name in (*_WITHOUT_USE, *ENTITIES):
            logger.info('%s has no use here: %s.', key, useless)
        elif name not in known:
            if name in _SHORT:
                raise InputError(f'{key} is called {_SHORT[name]} in filter files: write that.')
            names = ', '.join([*known, *fixed])
            raise InputError(f'{key} is not an entity that is known here: {names}.')
        else:
            values = value if isinstance(value, list) else [value]
            if not values:
                raise InputError(f'{key} is an empty list: nothing could match.')
            if _OPTIONAL not in values:
                entities[name] = tuple(_value(key, name, item) for item in values)
    return BidsFilter(entities)


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
