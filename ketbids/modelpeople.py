"""What the model file says of people: scores, derived variables, levels, checks."""

from typing import NamedTuple

from ketbids import bsm
from ketbids.errors import ModelError
from ketbids.modelnames import (
    as_model_error,
    need_label,
    need_variable,
    refuse_repeats,
)
from ketbids.modelpeopleblocks import CheckBlock
from ketbids.stats import expressions
from ketbids.stats.checks import Check

__all__ = ['SessionNode', 'read_session_node']


class SessionNode(NamedTuple):
    """What stands in the session node; the fields are those of `StudyModel`."""

    scores: tuple[str, ...]
    derived: dict[str, str]
    levels: dict[str, tuple[str, ...]]
    checks: tuple[Check, ...]


def read_session_node(node: bsm.SessionNode) -> SessionNode:
    """Read scores, derived variables, levels and checks.

    Raises
    ------
    ModelError
        Names the node and the key.
    """
    where = f'node {node.Name}'
    if sorted(node.GroupBy) not in (['contrast', 'subject'], ['contrast', 'session', 'subject']):
        raise ModelError(
            f'{where}, GroupBy: a session node needs ["contrast", "session", "subject"]'
        )
    if node.Model.X != ['1']:
        raise ModelError(f'{where}, Model.X: fixed effects over runs need [1]')
    if node.Model.Software is None:
        return SessionNode((), {}, {}, ())
    block, key = node.Model.Software.ketbids, f'{where}, Model.Software.ketbids'
    refuse_repeats(block.Scores, f'{key}.Scores', 'name')
    later = list(block.Derive)
    for name in (*block.Scores, *block.Derive):
        need_variable(name, key)
    for name, expression in block.Derive.items():
        with as_model_error(f'{key}.Derive.{name}'):
            used = expressions.names(expression)
        for other in used:
            if other in later:
                raise ModelError(f'{key}.Derive.{name}: {other} is not derived before it')
        later.remove(name)
    for name, levels in block.Levels.items():
        refuse_repeats(levels, f'{key}.Levels.{name}', 'level')
    refuse_repeats((check.Name for check in block.Checks), f'{key}.Checks', 'name', fold=True)
    return SessionNode(
        scores=tuple(block.Scores),
        derived=dict(block.Derive),
        levels={name: tuple(levels) for name, levels in block.Levels.items()},
        checks=tuple(_check(check, f'{key}.Checks') for check in block.Checks),
    )


def _check(block: CheckBlock, where: str) -> Check:
    need_label(block.Name, where, 'check name')
    key = f'{where}.{block.Name}'
    for part, expression in (('Value', block.Value), ('Subset', block.Subset)):
        if expression is not None:
            with as_model_error(f'{key}.{part}'):
                expressions.names(expression)
    if block.Minimum is None and block.Maximum is None:
        raise ModelError(f'{key}: Minimum, Maximum or both are needed')
    if None not in (block.Minimum, block.Maximum) and block.Minimum > block.Maximum:  # type: ignore[operator]
        raise ModelError(f'{key}: Minimum {block.Minimum:g} is above Maximum {block.Maximum:g}')
    return Check(
        name=block.Name,
        value=block.Value,
        minimum=block.Minimum,
        maximum=block.Maximum,
        subset=block.Subset,
        description=block.Description or '',
    )
