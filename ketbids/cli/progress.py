"""How far a level is, as lines of the log."""

import logging
import time
from collections.abc import Mapping

__all__ = ['Progress', 'counted', 'duration']

logger = logging.getLogger('ketbids')


class Progress:
    """Says what is done, how much of how much, and how long the rest may take.

    Parameters
    ----------
    names : mapping of str to str
        What people know a part of a workflow by; other parts are passed over.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._done = 0
        self._started = time.monotonic()

    def __call__(self, part: str) -> None:
        """Count a part that is done."""
        if part not in self._names:
            return
        self._done += 1
        left = len(self._names) - self._done
        pace = (time.monotonic() - self._started) / self._done
        rest = f', about {duration(left * pace)} left' if left else ''
        logger.info(
            '%s: done (%d of %d%s).', self._names[part], self._done, len(self._names), rest
        )


def duration(seconds: float) -> str:
    """Write a time for people, e.g. ``40 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f'{max(1, round(seconds))} s'
    minutes = round(seconds / 60)
    if minutes < 90:
        return f'{minutes} min'
    return f'{minutes // 60} h {minutes % 60} min'


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, e.g. ``1 visit``, ``2 visits``, ``2 analyses``."""
    several = f'{noun.removesuffix("is")}es' if noun.endswith('is') else f'{noun}s'
    return f'{number} {noun if number == 1 else several}'
