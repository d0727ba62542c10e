"""What the model file asks of scores, behaviour and regions, read and checked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ketbids.errors import ModelError
from ketbids.modelnames import (
    as_model_error,
    need_label,
    need_variable,
    read_expression,
    refuse_repeats,
    session_label,
    session_pair,
)
from ketbids.modeloutcomes import (
    TIME,
    Known,
    need_single,
    read_families,
    read_outcome,
    read_sessions,
)
from ketbids.modelstatisticblocks import (
    CorrelationBlock,
    CountsBlock,
    FlowBlock,
    LinearBlock,
    MixedBlock,
    ModelledBlock,
    ReferenceBlock,
    StatisticBlock,
    TableBlock,
)
from ketbids.stats.clinical.order import find_conflict
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    CountStatistic,
    FlowStatistic,
    LinearStatistic,
    MixedStatistic,
    Outcome,
    ReferenceStatistic,
    Statistic,
    TableStatistic,
)
from ketbids.stats.mixed.design import Formula, parse_formula
from ketbids.stats.mixed.margins import parse_means

__all__ = ['read_statistics']

#: A formula as the model file has it, for messages.
_EXAMPLE = 'time * group + age'


def read_statistics(
    blocks: Sequence[StatisticBlock], known: Known, where: str
) -> tuple[Statistic, ...]:
    """Read the statistics of a session node.

    Parameters
    ----------
    blocks : sequence of StatisticBlock
    known : Known
        What they may name.
    where : str
        Node and key, for messages.

    Raises
    ------
    ModelError
        Names the node, the statistic and the key.
    """
    refuse_repeats((block.Name for block in blocks), where, 'name', fold=True)
    analyses = {name.lower() for name in known.analyses}
    for block in blocks:
        need_label(block.Name, where, 'name of a statistic')
        if block.Name.lower() in analyses:
            raise ModelError(f'{where}: {block.Name} is the name of an analysis already')
    statistics = tuple(_read(block, known, f'{where}.{block.Name}') for block in blocks)
    conflict = find_conflict(statistics)
    if conflict is not None:
        first, second = conflict.sessions
        raise ModelError(
            f'{where}: {first} is before {second} in Sessions of {conflict.first}, and after it '
            f'in those of {conflict.second}; Sessions of mixed and flow are in the order of time'
        )
    return statistics


def _read(block: StatisticBlock, known: Known, where: str) -> Statistic:
    common: dict[str, Any] = {
        'name': block.Name,
        'description': block.Description or '',
        'subset': None,
    }
    if block.Subset is not None:
        common['subset'] = read_expression(block.Subset, known.levels, f'{where}.Subset')
    for kind, read in _READERS.items():
        if type(block) is kind:
            return read(block, known, where, common)
    raise TypeError(f'{type(block).__name__} is no kind of statistic')


def _mixed(block: MixedBlock, known: Known, where: str, common: dict[str, Any]) -> Statistic:
    modelled = _modelled(block, known, where)
    sessions = read_sessions(block.Sessions, modelled['outcome'], known, f'{where}.Sessions')
    if len(sessions) < 2:
        raise ModelError(
            f'{where}.Sessions: a mixed model needs two sessions or more; for one value per '
            'participant, take the type linear'
        )
    for taken, name in ((known.levels, 'Levels'), (known.derived, 'Derive')):
        if TIME in taken:
            raise ModelError(
                f'{where}: {name} has a variable {TIME}, which is the factor of sessions in '
                'mixed models: rename it'
            )
    refuse_repeats(block.Compare or (), f'{where}.Compare', 'structure')
    if block.Covariance in (block.Compare or ()):
        raise ModelError(
            f'{where}.Compare: {block.Covariance} is the structure of the model (Covariance); '
            'name others'
        )
    return MixedStatistic(
        **common,
        **modelled,
        sessions=sessions,
        covariance=block.Covariance,
        basis=block.Basis,
        ddf=block.Ddf,
        compare=tuple(block.Compare or ()),
    )


def _linear(block: LinearBlock, known: Known, where: str, common: dict[str, Any]) -> Statistic:
    modelled = _modelled(block, known, where)
    value = _value(block.Value, modelled['outcome'], known, f'{where}.Value')
    return LinearStatistic(**common, **modelled, value=value)


def _modelled(block: ModelledBlock, known: Known, where: str) -> dict[str, Any]:
    """Read what mixed and linear models have in common."""
    visits = isinstance(block, MixedBlock) or getattr(block, 'Value', None) is not None
    outcome = read_outcome(block.Outcome, known, f'{where}.Outcome', visits=visits)
    formula = _formula(block.Formula, f'{where}.Formula')
    for name in formula.variables:
        if name == outcome.score:
            raise ModelError(f'{where}.Formula: {name} is the outcome')
        if name != TIME or not isinstance(block, MixedBlock):
            need_single(name, known, f'{where}.Formula')
    refuse_repeats(block.Center or (), f'{where}.Center', 'name')
    for name in block.Center or ():
        if name not in formula.variables:
            raise ModelError(f"{where}.Center: {name} is not in the formula '{block.Formula}'")
        if name == TIME or name in known.levels or name in formula.factors:
            raise ModelError(f'{where}.Center: {name} is a factor; only numbers are demeaned')
    means = tuple(_mean(text, formula, block, f'{where}.Means') for text in block.Means or ())
    refuse_repeats(means, f'{where}.Means', 'entry')
    return {
        'outcome': outcome,
        'formula': block.Formula.strip(),
        'means': means,
        'center': tuple(block.Center or ()),
        'adjust': block.Adjust,
        'families': read_families(block.Families, outcome, f'{where}.Families'),
    }


def _formula(text: str, where: str) -> Formula:
    """Read a right side."""
    with as_model_error(where):
        formula = parse_formula(text, example=_EXAMPLE)
    if formula.response is not None:
        raise ModelError(f"{where}: write the right side only; Outcome is what stands before '~'")
    return formula


def _mean(text: str, formula: Formula, block: ModelledBlock, where: str) -> str:
    """Check one entry of Means, and give it without blanks."""
    with as_model_error(where):
        means = parse_means(text)
    for name in (*means.factors, *means.by):
        if name not in formula.variables:
            raise ModelError(f"{where}: {name} is not in the formula '{block.Formula}'")
        if name in (block.Center or ()):
            raise ModelError(f'{where}: {name} is a number (Center); means are those of factors')
    return '|'.join(':'.join(names) for names in means if names)


def _reference(
    block: ReferenceBlock, known: Known, where: str, common: dict[str, Any]
) -> Statistic:
    outcome = read_outcome(block.Outcome, known, f'{where}.Outcome', visits=True)
    reference, key = block.Reference, f'{where}.Reference'
    for name in (*block.Groups, reference.Name):
        need_label(name, where, 'name of a group')
    refuse_repeats((*block.Groups, reference.Name), f'{where}.Groups', 'group', fold=True)
    return ReferenceStatistic(
        **common,
        outcome=outcome,
        groups=_expressions(block.Groups, known, f'{where}.Groups'),
        reference=reference.Name,
        reference_subset=read_expression(reference.Subset, known.levels, f'{key}.Subset'),
        reference_session=read_sessions([reference.Session], outcome, known, f'{key}.Session')[0],
        sessions=read_sessions(block.Sessions, outcome, known, f'{where}.Sessions'),
        covariates=_covariates(block.Covariates, outcome, known, where),
        families=read_families(block.Families, outcome, f'{where}.Families'),
    )


def _correlation(
    block: CorrelationBlock, known: Known, where: str, common: dict[str, Any]
) -> Statistic:
    by_visit = any(value is not None for value in block.Values.values())
    outcome = read_outcome(block.Outcome, known, f'{where}.Outcome', visits=by_visit)
    need_single(block.Variable, known, f'{where}.Variable')
    covariates = _covariates(block.Covariates, outcome, known, where)
    if block.Variable == outcome.score:
        raise ModelError(f'{where}.Variable: {block.Variable} is the outcome')
    if block.Variable in covariates:
        raise ModelError(f'{where}.Covariates: {block.Variable} is the Variable')
    refuse_repeats(block.Values, f'{where}.Values', 'name', fold=True)
    values = {}
    for name, visits in block.Values.items():
        need_label(name, f'{where}.Values', 'name')
        # A variable of people is there once, as is the only visit of a study without sessions.
        values[name] = _value(visits, outcome, known, f'{where}.Values.{name}') or ('',)
    return CorrelationStatistic(
        **common,
        outcome=outcome,
        variable=block.Variable,
        values=values,
        method=block.Method,
        covariates=covariates,
        families=read_families(block.Families, outcome, f'{where}.Families'),
    )


def _covariates(
    names: Sequence[str] | None, outcome: Outcome, known: Known, where: str
) -> tuple[str, ...]:
    key = f'{where}.Covariates'
    refuse_repeats(names or (), key, 'name')
    for name in names or ():
        need_single(name, known, key)
        if name == outcome.score:
            raise ModelError(f'{key}: {name} is the outcome')
    return tuple(names or ())


def _value(
    visits: Sequence[str] | None, outcome: Outcome, known: Known, where: str
) -> tuple[str, ...]:
    """Read which of an outcome's values is taken: of one session, or a difference of two."""
    if visits is None:
        if outcome.score:
            need_single(outcome.score, known, where)
            return ()
        if known.with_sessions:
            raise ModelError(f'{where}: which session? Name one, or two for a difference')
        return ('',)
    if len(visits) > 1:
        session_pair(visits, where)
    else:
        session_label(visits[0], where)
    return read_sessions(visits, outcome, known, where)


def _table(block: TableBlock, known: Known, where: str, common: dict[str, Any]) -> Statistic:
    need_single(block.By, known, f'{where}.By')
    sessions = read_sessions(block.Sessions or (), None, known, f'{where}.Sessions')
    scored = _variables(block.Variables, block.By, known, f'{where}.Variables')
    if scored and known.with_sessions and not sessions:
        raise ModelError(f'{where}: Sessions is needed, for {scored[0]} has a value per session')
    if sessions and not scored:
        raise ModelError(
            f'{where}.Sessions: no effect, as none of Variables is among Scores '
            f'({", ".join(known.scores) or "none"})'
        )
    return TableStatistic(
        **common, variables=tuple(block.Variables), by=block.By, sessions=sessions
    )


def _counts(block: CountsBlock, known: Known, where: str, common: dict[str, Any]) -> Statistic:
    refuse_repeats(block.Conditions, f'{where}.Conditions', 'name', fold=True)
    for name in block.Conditions:
        need_label(name, f'{where}.Conditions', 'name of a condition')
    if block.By is not None:
        need_single(block.By, known, f'{where}.By')
    conditions = _expressions(block.Conditions, known, f'{where}.Conditions')
    return CountStatistic(**common, conditions=conditions, by=block.By)


def _flow(block: FlowBlock, known: Known, where: str, common: dict[str, Any]) -> Statistic:
    if not known.with_sessions:
        raise ModelError(
            f'{where}: the files of this study have no sessions (GroupBy of the session node), '
            'so nobody can be followed'
        )
    if block.By is not None:
        need_single(block.By, known, f'{where}.By')
    completers = block.Completers
    if completers is not None:
        read_expression(completers, known.levels, f'{where}.Completers')
    _variables(block.Variables or (), block.By, known, f'{where}.Variables')
    return FlowStatistic(
        **common,
        sessions=read_sessions(block.Sessions, None, known, f'{where}.Sessions'),
        by=block.By,
        completers=completers,
        variables=tuple(block.Variables or ()),
    )


def _variables(names: Sequence[str], by: str | None, known: Known, where: str) -> tuple[str, ...]:
    """Check variables of people and scores of visits, and give the latter."""
    refuse_repeats(names, where, 'name')
    for name in names:
        if name == by:
            raise ModelError(f'{where}: {name} makes the groups (By)')
        if name in known.scores:
            need_variable(name, where)
        else:
            need_single(name, known, where)
    return tuple(name for name in names if name in known.scores)


def _expressions(expressions: Mapping[str, str], known: Known, where: str) -> dict[str, str]:
    return {
        name: read_expression(expression, known.levels, f'{where}.{name}')
        for name, expression in expressions.items()
    }


_READERS: Mapping[type[StatisticBlock], Callable[..., Statistic]] = {
    MixedBlock: _mixed,
    LinearBlock: _linear,
    ReferenceBlock: _reference,
    CorrelationBlock: _correlation,
    TableBlock: _table,
    CountsBlock: _counts,
    FlowBlock: _flow,
}
