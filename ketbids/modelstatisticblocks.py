"""Blocks for statistics of scores, behaviour and regions in a model file."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StrictBool, StrictStr, Tag

from ketbids.modelblocks import Block

__all__ = ['STATISTIC_KINDS', 'UNION_TAGS', 'AnyStatistic', 'BehaviourBlock', 'CorrelationBlock']
__all__ += [
    'CountsBlock',
    'FlowBlock',
    'LinearBlock',
    'MixedBlock',
    'ModelledBlock',
    'OutcomeBlock',
]
__all__ += ['ReferenceBlock', 'ReferenceGroupBlock', 'RegionChoiceBlock', 'RegionsBlock']
__all__ += ['StatisticBlock', 'TableBlock']


def _visits(value: Any) -> Any:
    """One session or two as a list; null stays."""
    if value is None or isinstance(value, str):
        return [value] if value else value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    raise ValueError('one session ("TP1"), two for a difference (["TP1", "TP3"]), or null')


def _outcome_kind(value: Any) -> str | None:
    """Tell which of its shapes an outcome has; None if it has none of them."""
    if isinstance(value, str):
        return 'score'
    keys = value if isinstance(value, dict) else ()
    return next((key.lower() for key in ('Behaviour', 'Regions') if key in keys), None)


_Names = Annotated[list[StrictStr], Field(min_length=1)]
_Expressions = Annotated[dict[StrictStr, StrictStr], Field(min_length=1)]
_Families = dict[StrictStr, _Names]
_Visits = Annotated[list[StrictStr] | None, BeforeValidator(_visits)]
_Adjust = Literal['none', 'bonferroni', 'holm', 'sidak', 'tukey']
_Covariance = Literal['ri', 'cs', 'csh', 'un', 'ar1', 'arh1', 'toep', 'diag']


class RegionChoiceBlock(Block):
    """Regions whose mean values are analysed, each apart."""

    Contrast: StrictStr
    SelectedBy: _Names | None = None
    APriori: _Names | None = None
    Atlas: StrictStr | None = None
    Labels: _Names | None = None
    AreaWeighted: StrictBool = False


class RegionsBlock(Block):
    """Outcomes that are regions."""

    Regions: RegionChoiceBlock


class BehaviourBlock(Block):
    """Outcomes that are measures of behaviour."""

    Behaviour: _Names


#: What pydantic puts into the path of a fault for the shapes of an outcome and for the kinds of
#: statistics, though it is no key of the file.
UNION_TAGS = frozenset({'score', 'regions', 'behaviour'})

#: What ``Type`` of a statistic can be.
STATISTIC_KINDS = ('mixed', 'linear', 'reference', 'correlation', 'table', 'counts', 'flow')

OutcomeBlock = Annotated[
    Annotated[StrictStr, Tag('score')]
    | Annotated[RegionsBlock, Tag('regions')]
    | Annotated[BehaviourBlock, Tag('behaviour')],
    Discriminator(
        _outcome_kind,
        custom_error_type='outcome',
        custom_error_message='the name of a score, or an object with Regions or Behaviour',
    ),
]


class StatisticBlock(Block):
    """What all statistics have in common."""

    Name: StrictStr
    Subset: StrictStr | None = None


class ModelledBlock(StatisticBlock):
    """A formula for outcomes."""

    Outcome: OutcomeBlock
    Formula: StrictStr
    Means: _Names | None = None
    Center: _Names | None = None
    Adjust: _Adjust = 'holm'
    Families: _Families = Field(default_factory=dict)


class MixedBlock(ModelledBlock):
    """A mixed model over sessions."""

    Type: Literal['mixed']
    Sessions: _Names
    Covariance: _Covariance = 'ri'
    Basis: Literal['spss', 'lmertest'] = 'spss'
    Ddf: Literal['satterthwaite', 'kenward-roger'] = 'satterthwaite'
    Compare: Annotated[list[_Covariance], Field(min_length=1)] | None = None


class LinearBlock(ModelledBlock):
    """A linear model of one value per participant."""

    Type: Literal['linear']
    Value: _Visits = None


class ReferenceGroupBlock(Block):
    """The group that others are compared with."""

    Name: StrictStr
    Subset: StrictStr
    Session: StrictStr


class ReferenceBlock(StatisticBlock):
    """Groups at each session against a reference group."""

    Type: Literal['reference']
    Outcome: OutcomeBlock
    Groups: _Expressions
    Reference: ReferenceGroupBlock
    Sessions: _Names
    Covariates: _Names | None = None
    Families: _Families = Field(default_factory=dict)


class CorrelationBlock(StatisticBlock):
    """Outcomes against a variable of people."""

    Type: Literal['correlation']
    Outcome: OutcomeBlock
    Variable: StrictStr
    Values: Annotated[dict[StrictStr, _Visits], Field(min_length=1)]
    Method: Literal['pearson', 'spearman', 'kendall'] = 'pearson'
    Covariates: _Names | None = None
    Families: _Families = Field(default_factory=dict)


class TableBlock(StatisticBlock):
    """Variables by group."""

    Type: Literal['table']
    Variables: _Names
    By: StrictStr
    Sessions: _Names | None = None


class CountsBlock(StatisticBlock):
    """How many people meet conditions."""

    Type: Literal['counts']
    Conditions: _Expressions
    By: StrictStr | None = None


class FlowBlock(StatisticBlock):
    """Participant flow."""

    Type: Literal['flow']
    Sessions: _Names
    By: StrictStr | None = None
    Completers: StrictStr | None = None
    Variables: _Names | None = None


AnyStatistic = Annotated[
    MixedBlock
    | LinearBlock
    | ReferenceBlock
    | CorrelationBlock
    | TableBlock
    | CountsBlock
    | FlowBlock,
    Field(discriminator='Type'),
]
