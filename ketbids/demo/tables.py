"""The facts that the synthetic study is made from, as packaged JSON tables."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ['packaged']


@cache
def packaged(name: str) -> dict[str, Any]:
    """Read a JSON table of this package."""
    return json.loads(files('ketbids.demo').joinpath(name).read_text(encoding='utf-8'))
