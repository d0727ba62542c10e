"""Blocks for ketbids in a model file: what stands in ``Software.ketbids`` of a node."""

import math
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, StrictBool, StrictInt, StrictStr

__all__ = ['Block', 'ConditionBlock', 'DatasetBlock', 'EventsBlock', 'Number']
__all__ += ['PermutationBlock', 'PreprocessingBlock', 'ResponseBlock', 'RoisBlock', 'RunBlock']
__all__ += ['StimuliBlock', 'ValidityBlock', 'WhereBlock', 'number']


def number(value: Any) -> float:
    """Give a finite number, maybe written as a fraction ("1/3"); ValueError for anything else."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        found = float(Fraction(value)) if isinstance(value, str) else float(value)
        if not math.isfinite(found):
            raise ValueError
    except (ValueError, ArithmeticError):
        raise ValueError(f'{value!r} is not a finite number') from None
    return found


Number = Annotated[float, BeforeValidator(number)]
#: Column of the events to the values that count.
WhereBlock = Annotated[
    dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]], Field(min_length=1)
]
_Unit = Literal['s', 'ms']
_Names = Annotated[dict[StrictStr, StrictStr], Field(min_length=1)]


class Block(BaseModel, extra='forbid'):
    """Part of a ``Software.ketbids`` block."""

    Description: StrictStr | None = None


class ConditionBlock(Block):
    """Trials of one condition."""

    Name: StrictStr
    Where: WhereBlock
    Response: StrictBool | None = None


class EventsBlock(Block):
    """How the rows of events files are to be read."""

    Units: Annotated[dict[StrictStr, _Unit], Field(min_length=1)] | None = None
    Rename: Annotated[dict[StrictStr, _Names], Field(min_length=1)] | None = None
    Ignore: Annotated[list[WhereBlock], Field(min_length=1)] | None = None
    Duration: Number | None = None


class ResponseBlock(Block):
    """What a response is: a time in a column, or a row of its own, within a window (s)."""

    Column: StrictStr | None = None
    Rows: WhereBlock | None = None
    Press: WhereBlock | None = None
    Window: Annotated[list[Number], Field(min_length=2, max_length=2)]


class ValidityBlock(Block):
    """When a participant did the task."""

    CorrectNogo: Annotated[StrictInt, Field(ge=1)] | None = 10
    GoAccuracy: Annotated[Number, Field(gt=0, le=1)] | None = 0.7
    Exclude: StrictBool = False


class StimuliBlock(Block):
    """Which trials ask for a response, and which for none."""

    Go: WhereBlock
    Nogo: WhereBlock
    Correct: WhereBlock | None = None
    Validity: ValidityBlock | None = None


class PreprocessingBlock(Block):
    """Entities that tell which anatomical images are meant, where there are several."""

    T1w: dict[StrictStr, Any] = {}
    T2w: dict[StrictStr, Any] = {}


class RunBlock(Block):
    """How raw data are preprocessed, and how trials become conditions."""

    Conditions: Annotated[list[ConditionBlock], Field(min_length=1)]
    Events: EventsBlock | None = None
    Response: ResponseBlock | None = None
    Stimuli: StimuliBlock | None = None
    Preprocessing: PreprocessingBlock | None = None


class PermutationBlock(Block):
    """How data are shuffled."""

    Scheme: Literal['flips', 'permutations']


class RoisBlock(Block):
    """Which labels cut significant clusters into regions, and how big these must be."""

    Atlas: StrictStr = 'DesikanKilliany'
    MinimumSize: Annotated[Number, Field(ge=0)] = 0.0


class DatasetBlock(Block):
    """Who and what is in a group analysis."""

    Subset: StrictStr | None = None
    Session: StrictStr | None = None
    Difference: list[StrictStr] | None = None
    Center: list[StrictStr] | None = None
    MinimumN: Annotated[StrictInt, Field(ge=1)] | None = None
    Permutation: PermutationBlock | None = None
    VarianceGroups: StrictStr | None = None
    Rois: RoisBlock | None = None
