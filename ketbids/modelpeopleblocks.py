"""Blocks for what is known of people in a model file, and for what is computed of them."""

from typing import Annotated

from pydantic import Field, StrictStr

from ketbids.modelblocks import Block, Number
from ketbids.modelstatisticblocks import AnyStatistic

__all__ = ['CheckBlock', 'RegionBlock', 'SessionBlock']


class CheckBlock(Block):
    """Range that a value is expected in."""

    Name: StrictStr
    Value: StrictStr
    Minimum: Number | None = None
    Maximum: Number | None = None
    Subset: StrictStr | None = None


class RegionBlock(Block):
    """A region that is chosen before the data are seen: labels of an atlas, taken together."""

    Atlas: StrictStr
    Labels: Annotated[list[StrictStr], Field(min_length=1)]


class SessionBlock(Block):
    """What is known of participants."""

    Scores: list[StrictStr] = Field(default_factory=list)
    Derive: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    Levels: dict[StrictStr, Annotated[list[StrictStr], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    Checks: list[CheckBlock] = Field(default_factory=list)
    Regions: dict[StrictStr, RegionBlock] = Field(default_factory=dict)
    Statistics: list[AnyStatistic] = Field(default_factory=list)
