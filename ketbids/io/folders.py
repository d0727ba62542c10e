"""What stands in folders, and what file names say."""

import os
import re
from pathlib import Path

__all__ = ['Folders', 'labels_of', 'same_run']

_LABEL = re.compile(r'(?:^|_)([a-z]+)-([A-Za-z0-9]+)(?=[_.]|$)')


def labels_of(name: str) -> dict[str, str]:
    """Give the labels of a BIDS name by their short keys, e.g. ``{'sub': '01'}``."""
    return dict(_LABEL.findall(name))


def same_run(one: str, other: str) -> bool:
    """Tell if two labels mean the same run: digits are numbers, as in pybids, so 1 is 01."""
    return one == other or (one.isdecimal() and other.isdecimal() and int(one) == int(other))


class Folders:
    """Lists folders, each once: many runs are looked for in the same."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[str, ...]] = {}

    def names(self, folder: Path) -> tuple[str, ...]:
        """Names in a folder, sorted; empty if it is none, or cannot be read."""
        if folder not in self._known:
            try:
                self._known[folder] = tuple(sorted(os.listdir(folder)))
            except OSError:
                self._known[folder] = ()
        return self._known[folder]
