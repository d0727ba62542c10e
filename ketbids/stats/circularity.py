"""Whether a region was chosen by the data, or by their like, that a test in it uses again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ['DataUse', 'Selection', 'classify', 'uses_of_analysis', 'uses_of_pair']
__all__ += ['uses_of_reference', 'uses_of_term']

Selection = Literal['direct', 'shared-data', 'independent']

#: From harmless to circular.
_RANKS: tuple[Selection, ...] = ('independent', 'shared-data', 'direct')


@dataclass(frozen=True)
class DataUse:
    """What an analysis, or a test, uses.

    Attributes
    ----------
    combinations : tuple of mapping of str to float
        Weights of sessions, by label (the empty text: the only visit of a study without
        sessions). Together they span what is used of each participant's maps:
        ``{'TP1': 1, 'TP3': -1}`` is a difference, ``{'TP1': 1}`` a level.
    variables : frozenset of str
        Columns of tables behind the variables that are tested; none for a mean.
    participants : frozenset of str
        Whose maps are used.
    """

    combinations: tuple[Mapping[str, float], ...]
    variables: frozenset[str] = frozenset()
    participants: frozenset[str] = frozenset()

    @property
    def sessions(self) -> frozenset[str]:
        """Sessions with weight."""
        return frozenset(s for c in self.combinations for s, weight in c.items() if weight)


def classify(
    selecting: DataUse | None,
    tested: DataUse | Iterable[DataUse],
    order: Sequence[str] = (),
) -> Selection:
    """Say how the test of a region depends on the analysis that chose the region.

    Parameters
    ----------
    selecting : DataUse or None
        Of the analysis whose significant maps are the region; None: not chosen by maps.
    tested : DataUse, or several
        Of the test. A test that compares people at different sessions uses several, one for
        each set of people; what is worst counts.
    order : sequence of str
        All sessions in the order of time, equally spaced; empty: not known.

    Returns
    -------
    {'independent', 'shared-data', 'direct'}
        ``independent``: the region was not chosen by maps, or none of the participants is in
        both, or the maps of other sessions are tested, and these are uncorrelated with what
        selected (see Notes). ``direct``: what selected is within what is tested, and the same
        variables are (or it is a mean both times). ``shared-data``: anything else.

    Notes
    -----
    A participant's maps resemble each other, so that maps of another session are no new data: a
    region in which a level was large by chance is large at the other sessions too. Only a
    difference may be free of what the sessions share. With weights c of what selected and d of
    what is tested, and covariances between visits that depend on nothing but their distance in
    `order`, ``c' V d`` is 0 for every such V only if at each distance the products of the weights
    sum to 0: the visit in the middle of the two of a difference. Whether that holds for a test
    that shares a session is not asked: visits are missing, and variances differ, in real studies.
    """
    if selecting is None:
        return 'independent'
    uses = [tested] if isinstance(tested, DataUse) else list(tested)
    return max((_classify(selecting, use, tuple(order)) for use in uses), key=_RANKS.index)


def _classify(selecting: DataUse, tested: DataUse, order: tuple[str, ...]) -> Selection:
    if not selecting.participants & tested.participants:
        return 'independent'
    if not selecting.sessions & tested.sessions and _uncorrelated(selecting, tested, order):
        return 'independent'
    alike = bool(selecting.variables & tested.variables) or not (
        selecting.variables or tested.variables
    )
    return 'direct' if alike and _spans(tested, selecting) else 'shared-data'


def _uncorrelated(selecting: DataUse, tested: DataUse, order: tuple[str, ...]) -> bool:
    """Whether no covariance that depends on distance alone links the two."""
    if not (selecting.sessions | tested.sessions) <= set(order):
        return False
    place = {session: i for i, session in enumerate(order)}
    for chosen in selecting.combinations:
        for used in tested.combinations:
            sums = np.zeros(len(order))
            for one, weight in chosen.items():
                for other, times in used.items():
                    sums[abs(place[one] - place[other])] += weight * times
            size = sum(map(abs, chosen.values())) * sum(map(abs, used.values()))
            if np.abs(sums).max() > 1e-9 * size:
                return False
    return True


def _spans(tested: DataUse, selecting: DataUse) -> bool:
    """Whether a selecting combination is one of those that the tested ones span."""
    sessions = sorted(tested.sessions | selecting.sessions)
    basis = _weights(tested.combinations, sessions)
    rank = np.linalg.matrix_rank(basis)
    return any(
        any(combination.values())
        and np.linalg.matrix_rank(np.vstack([basis, _weights([combination], sessions)])) == rank
        for combination in selecting.combinations
    )


def _weights(
    combinations: Sequence[Mapping[str, float]], sessions: Sequence[str]
) -> npt.NDArray[np.float64]:
    rows = [[float(c.get(session, 0.0)) for session in sessions] for c in combinations]
    return np.array(rows, float).reshape(len(rows), len(sessions))


def uses_of_analysis(
    sessions: Sequence[str],
    variables: Iterable[str],
    participants: Iterable[str],
    roots: Mapping[str, Iterable[str]] | None = None,
) -> DataUse:
    """Say what an analysis of one value per participant uses.

    Parameters
    ----------
    sessions : sequence of str
        One, or two whose difference is analysed; none: the only visit of a study without.
    variables : iterable of str
        Those that are tested (not nuisance); ``Intercept`` is none.
    participants : iterable of str
    roots : mapping of str to iterable of str, optional
        Columns of tables behind each derived variable; others are their own.

    Returns
    -------
    DataUse
    """
    labels = list(sessions) or ['']
    combination = {labels[0]: 1.0} | ({labels[1]: -1.0} if len(labels) > 1 else {})
    return DataUse((combination,), _roots(variables, roots), frozenset(participants))


def uses_of_term(
    term: str,
    sessions: Sequence[str],
    participants: Iterable[str],
    roots: Mapping[str, Iterable[str]] | None = None,
    time: str = 'time',
) -> DataUse:
    """Say what a term of a mixed model over sessions uses.

    Parameters
    ----------
    term : str
        Names joined by ``:``, for example ``time:remitter``.
    sessions : sequence of str
        Levels of the factor of sessions.
    participants, roots
        See `uses_of_analysis`.
    time : str
        Name of the factor of sessions.

    Returns
    -------
    DataUse
        With the factor of sessions in the term, the differences between sessions; without it,
        the mean over all of them.
    """
    names = [name.strip() for name in term.split(':')]
    who = frozenset(participants)
    between = _roots([name for name in names if name != time], roots)
    if time in names:
        first, *others = sessions
        return DataUse(tuple({first: 1.0, other: -1.0} for other in others), between, who)
    return DataUse((dict.fromkeys(sessions, 1.0 / len(sessions)),), between, who)


def uses_of_pair(
    first: str | None,
    second: str | None,
    sessions: Sequence[str],
    variables: Iterable[str],
    participants: Iterable[str],
    roots: Mapping[str, Iterable[str]] | None = None,
    *,
    same_people: bool = True,
) -> DataUse:
    """Say what a difference between two marginal means uses.

    Parameters
    ----------
    first, second : str or None
        Session of each mean; None: both are means over all sessions.
    sessions : sequence of str
        All sessions of the model.
    variables : iterable of str
        Variables whose levels differ between the means or are held (simple effects).
    participants, roots
        See `uses_of_analysis`.
    same_people : bool
        False if the means are those of different people, so that a difference between sessions
        is none within participants.

    Returns
    -------
    DataUse
    """
    who, between = frozenset(participants), _roots(variables, roots)
    if first is None or second is None:
        return DataUse((dict.fromkeys(sessions, 1.0 / len(sessions)),), between, who)
    if first == second:
        return DataUse(({first: 1.0},), between, who)
    if same_people:
        return DataUse(({first: 1.0, second: -1.0},), between, who)
    return DataUse(({first: 1.0}, {second: 1.0}), between, who)


def uses_of_reference(
    session: str,
    participants: Iterable[str],
    reference_session: str,
    reference_participants: Iterable[str],
    variables: Iterable[str] = (),
    roots: Mapping[str, Iterable[str]] | None = None,
) -> tuple[DataUse, DataUse]:
    """Say what a comparison of a group with a reference group uses: one for each group.

    Parameters
    ----------
    session, participants
        Session and members of the group.
    reference_session, reference_participants
        Those of the reference group.
    variables : iterable of str
        Those that tell the groups apart.
    roots
        See `uses_of_analysis`.
    """
    between = _roots(variables, roots)
    return (
        DataUse(({session: 1.0},), between, frozenset(participants)),
        DataUse(({reference_session: 1.0},), between, frozenset(reference_participants)),
    )


def _roots(variables: Iterable[str], roots: Mapping[str, Iterable[str]] | None) -> frozenset[str]:
    """Columns behind variables; the intercept is none."""
    known = roots or {}
    names = [name for name in variables if name.strip('()') not in ('Intercept', '1', '')]
    return frozenset(column for name in names for column in known.get(name, (name,)))
