"""What the columns of the tables are that ketbids writes."""

import json
from importlib.resources import files
from typing import Any

__all__ = ['column_descriptions']


def column_descriptions(table: str) -> dict[str, Any]:
    """Data dictionary of a table, from ``data/columns.json``."""
    text = files('ketbids.data').joinpath('columns.json').read_text(encoding='utf-8')
    return {name: {'Description': words} for name, words in json.loads(text)[table].items()}
