"""Files beside a page."""

from dataclasses import dataclass

__all__ = ['Link']


@dataclass(frozen=True)
class Link:
    """A file beside the page: its name for people and its path relative to the page."""

    text: str
    path: str
