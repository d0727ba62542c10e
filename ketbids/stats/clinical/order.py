"""Sessions in the order of time, as the statistics of a model file have them."""

from collections.abc import Collection, Sequence
from itertools import combinations
from typing import NamedTuple

from ketbids.stats.clinical.specs import FlowStatistic, MixedStatistic, Statistic

__all__ = ['Conflict', 'find_conflict', 'session_order']


class Conflict(NamedTuple):
    """Two statistics that have two sessions in opposite orders.

    Attributes
    ----------
    first, second : str
        Names of the statistics.
    sessions : tuple of str
        The two sessions, as the first has them.
    """

    first: str
    second: str
    sessions: tuple[str, str]


def find_conflict(statistics: Sequence[Statistic]) -> Conflict | None:
    """Find two statistics that do not agree on the order of two sessions."""
    orders = [(statistic.name, _ordered(statistic)) for statistic in statistics]
    for (first, before), (second, after) in combinations(orders, 2):
        for pair in combinations(before, 2):
            if set(pair) <= set(after) and after.index(pair[0]) > after.index(pair[1]):
                return Conflict(first, second, (pair[0], pair[1]))
    return None


def session_order(statistics: Sequence[Statistic], sessions: Collection[str]) -> tuple[str, ...]:
    """Give all sessions of a study in the order of time.

    Only mixed models and participant flow have their sessions in that order. What a reader of
    the order takes for granted is that no session is left out of it, since the visit in the
    middle of two is found by counting.

    Parameters
    ----------
    statistics : sequence of Statistic
        All of a model file.
    sessions : collection of str
        Those at which somebody was scanned.

    Returns
    -------
    tuple of str
        The longest order; empty if it lacks a session of `sessions` or of another order, so that
        it is not known where that one belongs.
    """
    orders = [_ordered(statistic) for statistic in statistics]
    longest = max(orders, key=len, default=())
    return longest if set(longest) >= set(sessions).union(*orders) else ()


def _ordered(statistic: Statistic) -> tuple[str, ...]:
    if isinstance(statistic, MixedStatistic | FlowStatistic):
        return statistic.sessions
    return ()
