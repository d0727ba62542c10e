"""What a declared statistic gives: tables, a summary, and sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

__all__ = ['Result']


@dataclass(frozen=True)
class Result:
    """Result of one statistic of a model file.

    Attributes
    ----------
    tables : mapping of str to DataFrame
        By suffix of the file that each becomes: ``terms``, ``pairs``, ``counts``, ... Tidy: one
        thing per row, missing values are NaN or None.
    summary : mapping of str to object
        What holds for the statistic as a whole, as values that JSON knows.
    methods : str
        Paragraph that states every choice, for the methods section of a paper.
    sentences : tuple of str
        Main results, one sentence each, as they would stand in a paper.
    warnings : tuple of str
        What a reader has to know before believing the numbers.
    """

    tables: Mapping[str, pd.DataFrame]
    summary: Mapping[str, Any]
    methods: str
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())
