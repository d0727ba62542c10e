from ketbids.stats.clinical.order import find_conflict, session_order
from ketbids.stats.clinical.specs import (
    FlowStatistic,
    MixedStatistic,
    Outcome,
    TableStatistic,
)

THREE = ('TP1', 'TP2', 'TP3')


def mixed(name: str, *sessions: str) -> MixedStatistic:
    return MixedStatistic(name, outcome=Outcome(score='x'), formula='time', sessions=sessions)


TABLE = TableStatistic('t', variables=('x',), by='sex', sessions=('TP3', 'TP2', 'TP1', 'TP0'))


def test_only_mixed_models_and_flow_are_in_the_order_of_time() -> None:
    flow = FlowStatistic('f', sessions=THREE)
    assert session_order([TABLE, mixed('a', 'TP1', 'TP3'), flow], THREE) == THREE
    assert session_order([TABLE], THREE) == ()
    assert session_order([], ()) == ()


def test_an_order_that_lacks_a_session_is_not_known() -> None:
    """Where it belongs is not told, so that no visit is known to be in the middle of two."""
    assert session_order([mixed('a', 'TP1', 'TP3', 'TP4')], THREE) == ()
    assert session_order([mixed('a', *THREE), mixed('b', 'TP1', 'TP4')], ()) == ()


def test_conflicts() -> None:
    agreed = [mixed('a', 'TP1', 'TP3'), TABLE, mixed('b', *THREE), mixed('c', 'TP4', 'TP2')]
    assert find_conflict(agreed) is None
    backwards = mixed('d', 'TP4', 'TP3', 'TP2')
    assert find_conflict([*agreed, backwards]) == ('b', 'd', ('TP2', 'TP3'))
