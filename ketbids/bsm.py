"""The BIDS Stats Models schema with unknown keys forbidden.

The released schema accepts misspelt keys, and parts that ketbids would not carry out: both are
refused here, so that a model file never means something else than what is computed.
"""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from bsmschema import models as bsm
from pydantic import BaseModel, BeforeValidator, Field, StrictStr, ValidationError

from ketbids import modelblocks, modelpeopleblocks, modelstatisticblocks
from ketbids.errors import ModelError
from ketbids.modelblocks import Block, DatasetBlock, Number, RunBlock, number
from ketbids.modelpeopleblocks import SessionBlock
from ketbids.modelstatisticblocks import STATISTIC_KINDS, UNION_TAGS

__all__ = ['BIDSStatsModel', 'Contrast', 'DatasetNode', 'EdgeFilter', 'RunContrast', 'RunNode']
__all__ += ['SessionNode', 'read_json', 'validate']

#: Model files are small; anything bigger is another file.
MAX_BYTES = 1_000_000
#: Where the list of statistics stands in a node.
_STATISTICS = ('Model', 'Software', 'ketbids', 'Statistics')


def _variable(value: Any) -> Any:
    """Name of a variable; the intercept 1 as '1'."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value == 1:
        return '1'
    raise ValueError('a name, or 1 for the intercept, is needed')


def _weight(value: Any) -> float | list[float]:
    """One weight, or one row of them."""
    if isinstance(value, list) and value:
        return [number(weight) for weight in value]
    return number(value)


def _refuse(value: Any) -> None:
    if value is not None:
        raise ValueError('ketbids does not carry this out here: take it out')


Variable = Annotated[str, BeforeValidator(_variable)]
Weight = Annotated[float | list[float], BeforeValidator(_weight)]
Refused = Annotated[None, BeforeValidator(_refuse)]
HrfName = Literal[
    'spm',
    'spm + derivative',
    'glover',
    'glover + derivative',
]


class RunSoftware(Block):
    """Software of the run node."""

    ketbids: RunBlock


class SessionSoftware(Block):
    """Software of the session node."""

    ketbids: SessionBlock


class DatasetSoftware(Block):
    """Software of a dataset node."""

    ketbids: DatasetBlock


class Hrf(bsm.HRF, extra='forbid'):
    """Haemodynamic response."""

    Model: HrfName
    Parameters: Refused = None


class EstimationOptions(bsm.Options, extra='forbid'):
    """Estimation options."""

    HighPassFilterCutoffHz: Number | None = None
    LowPassFilterCutoffHz: Refused = None
    ReplaceVariables: Refused = None
    Mask: Refused = None
    Aggregate: Refused = None


class Contrast(bsm.Contrast, extra='forbid'):
    """Weighted sum of parameters."""

    ConditionList: Annotated[list[Variable], Field(min_length=1)]  # type: ignore[assignment]
    Weights: list[Number]  # type: ignore[assignment]
    Test: Literal['t']


class RunContrast(bsm.Contrast, extra='forbid'):
    """Weighted sums of parameters of a run, tested by t or F."""

    ConditionList: Annotated[list[Variable], Field(min_length=1)]  # type: ignore[assignment]
    Weights: Annotated[list[Weight], Field(min_length=1)]  # type: ignore[assignment]
    Test: Literal['t', 'F']


class PassedOn(bsm.DummyContrasts, extra='forbid'):
    """Contrasts that are passed on under their own names."""

    Contrasts: Refused = None
    Test: Literal['t']


class _Model(bsm.Model, extra='forbid'):
    X: Annotated[list[Variable], Field(min_length=1)]  # type: ignore[assignment]
    Formula: Any = None
    HRF: Any = None
    Options: Any = None
    Software: Any = None


class RunModelBlock(_Model):
    """Model of a run."""

    Type: Literal['glm']
    Formula: Refused = None
    HRF: Hrf
    Options: EstimationOptions | None = None
    Software: RunSoftware


class SessionModelBlock(_Model):
    """Fixed effects over the runs of a session."""

    Type: Literal['meta']
    Formula: Refused = None
    HRF: Refused = None
    Options: Refused = None
    Software: SessionSoftware | None = None


class DatasetModelBlock(_Model):
    """Model of a group analysis."""

    Type: Literal['glm']
    Formula: StrictStr
    HRF: Refused = None
    Options: Refused = None
    Software: DatasetSoftware | None = None


class RunNode(bsm.Node, extra='forbid'):
    """First level."""

    Level: Literal['Run']
    Model: RunModelBlock
    Transformations: Refused = None
    Contrasts: Annotated[list[RunContrast], Field(min_length=1)]  # type: ignore[assignment]
    DummyContrasts: Refused = None


class SessionNode(bsm.Node, extra='forbid'):
    """Runs of a session."""

    Level: Literal['Session']
    Model: SessionModelBlock
    Transformations: Refused = None
    Contrasts: Refused = None
    DummyContrasts: PassedOn


class DatasetNode(bsm.Node, extra='forbid'):
    """A group analysis."""

    Level: Literal['Dataset']
    Model: DatasetModelBlock
    Transformations: Refused = None
    Contrasts: Annotated[list[Contrast], Field(min_length=1)]  # type: ignore[assignment]
    DummyContrasts: Refused = None


class EdgeFilter(Block):
    """First-level contrasts that an edge passes on."""

    contrast: Annotated[list[StrictStr], Field(min_length=1)]


class Edge(bsm.Edge, extra='forbid'):
    """Connection of two nodes."""

    Filter: EdgeFilter | None = None  # type: ignore[assignment]


class InputFilter(Block):
    """Which images."""

    task: Annotated[list[StrictStr], Field(min_length=1)]


Node = Annotated[RunNode | SessionNode | DatasetNode, Field(discriminator='Level')]


class BIDSStatsModel(bsm.BIDSStatsModel, extra='forbid'):
    """A whole model file."""

    BIDSModelVersion: Literal['1.0.0']
    Input: InputFilter  # type: ignore[assignment]
    Nodes: list[Node]  # type: ignore[assignment]
    Edges: list[Edge] | None = None  # type: ignore[assignment]


def read_json(path: Path) -> tuple[str, dict[str, Any]]:
    """Text and content of a JSON file that holds one object.

    Raises
    ------
    ModelError
        Not a readable file, too big, not UTF-8, not JSON (with line and column), a key that
        stands twice, NaN or Infinity.
    """
    if not path.is_file():
        raise ModelError('there is no such file')
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f'more than {MAX_BYTES} bytes: not a model file')
        text = path.read_bytes().decode('utf-8-sig')
    except OSError as error:
        raise ModelError(f'cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise ModelError(f'not a text in UTF-8 ({error.reason})') from error

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise ModelError(f'the key {key} stands twice in the object with {keys}')
        return dict(pairs)

    def no_number(word: str) -> None:
        raise ModelError(f'{word} is not a number in JSON')

    try:
        content = json.loads(text, object_pairs_hook=unique, parse_constant=no_number)
    except json.JSONDecodeError as error:
        raise ModelError(
            f'not JSON: line {error.lineno}, column {error.colno}: {error.msg}'
        ) from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f'not readable as JSON ({error})') from error
    if not isinstance(content, dict):
        raise ModelError('not a JSON object { ... }')
    return text, content


def validate(content: dict[str, Any]) -> BIDSStatsModel:
    """Check the shape of a model.

    Raises
    ------
    ModelError
        Names node and key of up to five faults; for an unknown key, the likely one.
    """
    try:
        return BIDSStatsModel.model_validate(content)
    except ValidationError as error:
        faults = [_fault(dict(fault), content) for fault in error.errors()]
        shown = list(dict.fromkeys(faults))
        more = f' (and {len(shown) - 5} more)' if len(shown) > 5 else ''
        raise ModelError('; '.join(shown[:5]) + more) from None


def _fault(fault: dict[str, Any], content: dict[str, Any]) -> str:
    """One fault as node, key and problem."""
    where, kind = list(fault['loc']), fault['type']
    prefix = kind_of = ''
    if where[0] == 'Nodes' and len(where) > 1:
        node = content['Nodes'][where[1]]
        name = node.get('Name') if isinstance(node, dict) else None
        prefix = f'node {name or where[1]}, '
        kind_of = _statistic_kind(where)
        where = _named(_without_tags(where[3:]), node)  # the level names the union's member
        if kind.startswith('union_tag'):
            where.append('Type' if where else 'Level')
    elif where[0] == 'Edges' and len(where) > 1:
        prefix, where = f'edge {where[1]}, ', where[2:]
    words = [f'[{part}]' if isinstance(part, int) else f'.{part}' for part in where]
    key = ''.join(words).removeprefix('.')
    message = fault['msg'].removeprefix('Value error, ')
    if kind == 'extra_forbidden':
        message = _unknown_key(str(where[-1]), kind_of)
    elif kind == 'missing':
        message = 'missing'
    elif kind.startswith('union_tag'):
        kinds = STATISTIC_KINDS if where[-1] == 'Type' else ('Run', 'Session', 'Dataset')
        shown = [f"'{name}'" for name in kinds]
        message = f'the {str(where[-1]).lower()} must be {", ".join(shown[:-1])} or {shown[-1]}'
    return f'{prefix}{key}: {message}' if key else f'{prefix.removesuffix(", ")}: {message}'


def _statistic_kind(where: list[Any]) -> str:
    """Kind of the statistic of which a fault is a key, '' elsewhere."""
    # Nodes, number, level, Model, Software, ketbids, Statistics, number, kind, key
    return str(where[8]) if where[6:7] == ['Statistics'] and len(where) == 10 else ''


def _named(where: list[Any], node: Any) -> list[Any]:
    """Give a statistic its name in place of its number, if it has one."""
    place = len(_STATISTICS)
    if tuple(where[:place]) != _STATISTICS or len(where) == place:
        return where
    entry = node
    for part in where[: place + 1]:
        entry = entry[part]
    name = entry.get('Name') if isinstance(entry, dict) else None
    known = isinstance(name, str) and bool(name)
    return [*where[:place], name if known else where[place], *where[place + 1 :]]


def _unknown_key(key: str, kind: str) -> str:
    """What to say of a key that does not stand where it can."""
    if key == 'Associations':
        return 'there is no such key; a statistic of Type correlation (Statistics) takes its place'
    known = _known_keys()
    if key in known:
        return f'does not belong to a statistic of type {kind}' if kind else 'does not belong here'
    close = get_close_matches(key, known, n=1)
    return 'unknown key' + (f' (did you mean {close[0]}?)' if close else '')


def _without_tags(where: list[Any]) -> list[Any]:
    """Leave out what tells the members of a union apart and is no key of the file."""
    kept = []
    for index, part in enumerate(where):
        shape = index > 0 and where[index - 1] == 'Outcome' and part in UNION_TAGS
        kind = index > 1 and where[index - 2] == 'Statistics'
        if not (shape or kind):
            kept.append(part)
    return kept


def _known_keys() -> list[str]:
    modules = (modelblocks, modelpeopleblocks, modelstatisticblocks)
    values = [*globals().values(), *(v for m in modules for v in vars(m).values())]
    classes = [value for value in values if isinstance(value, type)]
    fields = [c.model_fields for c in classes if issubclass(c, BaseModel)]
    return sorted({name for names in fields for name in names})
