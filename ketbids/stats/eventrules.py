"""What a model file says of the rows of events files, as frozen values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ['Condition', 'EventRules', 'ResponseRule', 'StimulusRules', 'ValidityRules', 'Where']

#: Column to the values that are accepted in it; every column must agree. Numbers are compared as
#: text (``1`` and ``1.0`` are the same value ``'1'``).
Where = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Condition:
    """Which rows of an events table are trials of one condition.

    Attributes
    ----------
    name : str
        Name of the condition.
    where : mapping of str to tuple of str
        See `Where`.
    response : bool or None
        True if a response inside the window is required, False if there must be none, None if
        it does not matter.
    """

    name: str
    where: Where
    response: bool | None = None


@dataclass(frozen=True)
class ResponseRule:
    """What a response is; it stands in the row of its trial, or in a row of its own.

    Attributes
    ----------
    window : tuple of float
        First and last time (s after onset) at which a response belongs to the trial, both
        included.
    column : str or None
        Column with the time of the response after the onset of the trial.
    rows : mapping or None
        Which rows are responses (see `Where`): their onset is the time of the press. Either this
        or `column` is given.
    press : mapping
        What counts as a press: values that the row with the response must have; empty: any.
    """

    window: tuple[float, float]
    column: str | None = None
    rows: Where | None = None
    press: Where = field(default_factory=dict)


@dataclass(frozen=True)
class ValidityRules:
    """When a participant did the task, by behaviour alone.

    Attributes
    ----------
    correct_nogo : int or None
        Fewest NoGo trials without a response; None: no such rule.
    go_accuracy : float or None
        Lowest share of Go trials with a correct response; None: no such rule.
    exclude : bool
        Leave sessions that break a rule out of group analyses; else they are only marked.
    """

    correct_nogo: int | None = 10
    go_accuracy: float | None = 0.7
    # Of group analyses alone: what is finished must not look as if it were of another model.
    exclude: bool = field(default=False, repr=False)


@dataclass(frozen=True)
class StimulusRules:
    """Which trials ask for a response and which for none, whatever became of them.

    Attributes
    ----------
    go, nogo : mapping
        See `Where`; no row may be both.
    correct : mapping
        What makes a press in a Go trial correct; empty: any press is.
    validity : ValidityRules
    """

    go: Where
    nogo: Where
    correct: Where = field(default_factory=dict)
    validity: ValidityRules = field(default_factory=ValidityRules)


@dataclass(frozen=True)
class EventRules:
    """How rows of events files become trials of conditions.

    Attributes
    ----------
    conditions : tuple of Condition
        One regressor each.
    response : ResponseRule or None
    units : mapping of str to {'s', 'ms'}
        Unit of ``onset``, ``duration`` or the response column, where it is not seconds.
    rename : mapping of str to mapping of str to str
        By column, what a value is to be read as (misspelt types).
    ignore : tuple of mapping
        Rows of any of these kinds are no trials (pauses, feedback).
    duration : float or None
        Seconds, for rows whose duration is ``n/a``; None: that is an error.
    stimuli : StimulusRules or None
        For behaviour; None: it is not described.
    """

    conditions: tuple[Condition, ...]
    response: ResponseRule | None = None
    units: Mapping[str, Literal['s', 'ms']] = field(default_factory=dict)
    rename: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ignore: tuple[Where, ...] = ()
    duration: float | None = None
    stimuli: StimulusRules | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain values, for a node of a workflow."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> 'EventRules':
        """Take back what `to_dict` gave; lists (of JSON) may stand for tuples."""
        response, stimuli = content.get('response'), content.get('stimuli')
        return cls(
            conditions=tuple(
                Condition(c['name'], _where(c['where']), c.get('response'))
                for c in content['conditions']
            ),
            response=None
            if response is None
            else ResponseRule(
                (float(response['window'][0]), float(response['window'][1])),
                response.get('column'),
                None if response.get('rows') is None else _where(response['rows']),
                _where(response.get('press') or {}),
            ),
            units=dict(content.get('units') or {}),
            rename={k: dict(v) for k, v in (content.get('rename') or {}).items()},
            ignore=tuple(_where(where) for where in content.get('ignore') or ()),
            duration=content.get('duration'),
            stimuli=None
            if stimuli is None
            else StimulusRules(
                _where(stimuli['go']),
                _where(stimuli['nogo']),
                _where(stimuli.get('correct') or {}),
                ValidityRules(**(stimuli.get('validity') or {})),
            ),
        )


def _where(content: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {column: tuple(values) for column, values in content.items()}
