"""What a model file asks of scores, behaviour and regions, as plain frozen values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

__all__ = ['CorrelationStatistic', 'CountStatistic', 'FlowStatistic', 'LinearStatistic']
__all__ += ['MixedStatistic', 'Outcome', 'ReferenceStatistic', 'RegionChoice', 'Statistic']
__all__ += ['TableStatistic', 'from_dict', 'to_dict']

Covariance = Literal['ri', 'cs', 'csh', 'un', 'ar1', 'arh1', 'toep', 'diag']
Basis = Literal['spss', 'lmertest']
Ddf = Literal['satterthwaite', 'kenward-roger']
Adjust = Literal['none', 'bonferroni', 'holm', 'sidak', 'tukey']
Method = Literal['pearson', 'spearman', 'kendall']


@dataclass(frozen=True)
class RegionChoice:
    """Regions whose mean contrast values are analysed, each apart.

    Attributes
    ----------
    contrast : str
        First-level contrast.
    selected_by : tuple of str
        Group analyses whose significant clusters, cut by an atlas, are regions; each comes with
        its whole parcel, which was chosen without the data.
    apriori : tuple of str
        Regions that the model file defines by labels.
    atlas : str or None
        Whole parcels of this atlas; ``Yeo7``: networks of each hemisphere (``L_Default``).
    labels : tuple of str
        Of the atlas only these; empty: all.
    area_weighted : bool
        Means weighted by the areas of vertices.
    """

    contrast: str
    selected_by: tuple[str, ...] = ()
    apriori: tuple[str, ...] = ()
    atlas: str | None = None
    labels: tuple[str, ...] = ()
    area_weighted: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is explained: exactly one of a score, regions and measures of behaviour.

    Attributes
    ----------
    score : str
        A score of visits (``hdrs``), or a variable of people (``hdrs_change``).
    regions : RegionChoice or None
    behaviour : tuple of str
        Columns of the group's table of behaviour.
    """

    score: str = ''
    regions: RegionChoice | None = None
    behaviour: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statistic:
    """What all kinds have in common.

    Attributes
    ----------
    name, description : str
    subset : str or None
        Expression that is true for whoever is in it.
    """

    name: str
    description: str = field(default='', kw_only=True)
    subset: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class _Modelled(Statistic):
    """A formula for outcomes.

    Attributes
    ----------
    outcome : Outcome
    formula : str
        Right side: ``time * remitter + age + sex``; the intercept is understood.
    means : tuple of str
        Marginal means and their pairs: ``time``, ``time:remitter`` (all cells), or
        ``time|remitter`` (simple effects of time at each level of remitter).
    center : tuple of str
        Numbers that are demeaned over the rows of each model.
    adjust : str
        Correction of the pairs that is called the chosen one; the others are written too.
    families : mapping of str to tuple of str
        Outcomes over which p are corrected, by name; an empty tuple: all. Others are made
        without being asked for (`ketbids.stats.clinical.families.automatic_families`).
    """

    outcome: Outcome = field(kw_only=True)
    formula: str = field(kw_only=True)
    means: tuple[str, ...] = field(default=(), kw_only=True)
    center: tuple[str, ...] = field(default=(), kw_only=True)
    adjust: Adjust = field(default='holm', kw_only=True)
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class MixedStatistic(_Modelled):
    """A mixed model over sessions; in the formula ``time`` is the factor of sessions.

    Attributes
    ----------
    sessions : tuple of str
        At least two, in the order of time.
    covariance, basis, ddf : str
        As in `ketbids.stats.mixed.model.fit_mixed`.
    compare : tuple of str
        Other covariance structures whose -2RLL, AIC, BIC and terms are written beside.
    """

    sessions: tuple[str, ...] = field(kw_only=True)
    covariance: Covariance = field(default='ri', kw_only=True)
    basis: Basis = field(default='spss', kw_only=True)
    ddf: Ddf = field(default='satterthwaite', kw_only=True)
    compare: tuple[Covariance, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class LinearStatistic(_Modelled):
    """A linear model of one value per participant: analysis of (co)variance, type III.

    Attributes
    ----------
    value : tuple of str
        One session, or two: the first minus the second; the empty text is the only visit of a
        study without sessions. Empty for a variable of people.
    """

    value: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class ReferenceStatistic(Statistic):
    """Groups at each session against a reference group at one session, adjusted.

    Attributes
    ----------
    outcome : Outcome
    groups : mapping of str to str
        Name and expression of each group.
    reference : str
        Name of the reference group.
    reference_subset : str
        Its expression.
    reference_session : str
    sessions : tuple of str
        Sessions of the groups.
    covariates : tuple of str
    families : mapping of str to tuple of str
        See `_Modelled`.
    """

    outcome: Outcome = field(kw_only=True)
    groups: Mapping[str, str] = field(kw_only=True)
    reference: str = field(kw_only=True)
    reference_subset: str = field(kw_only=True)
    reference_session: str = field(kw_only=True)
    sessions: tuple[str, ...] = field(kw_only=True)
    covariates: tuple[str, ...] = field(default=(), kw_only=True)
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class CorrelationStatistic(Statistic):
    """Values of outcomes against a variable of people.

    Attributes
    ----------
    outcome : Outcome
    variable : str
        Variable of people (``hdrs_change``).
    values : mapping of str to tuple of str
        By name, one session or two (the first minus the second); see `LinearStatistic`.
    method : str
    covariates : tuple of str
        For a partial correlation beside the plain one.
    families : mapping of str to tuple of str
        See `_Modelled`; p are corrected within one of `values`.
    """

    outcome: Outcome = field(kw_only=True)
    variable: str = field(kw_only=True)
    values: Mapping[str, tuple[str, ...]] = field(kw_only=True)
    method: Method = field(default='pearson', kw_only=True)
    covariates: tuple[str, ...] = field(default=(), kw_only=True)
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict, kw_only=True)


@dataclass(frozen=True)
class TableStatistic(Statistic):
    """Table 1: variables of people, and scores at each session, by group, with tests.

    Attributes
    ----------
    variables : tuple of str
        Variables of people or scores of visits.
    by : str
        Factor whose levels are the columns.
    sessions : tuple of str
        Sessions of the scores.
    """

    variables: tuple[str, ...] = field(kw_only=True)
    by: str = field(kw_only=True)
    sessions: tuple[str, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class CountStatistic(Statistic):
    """How many people meet conditions (remission, response).

    Attributes
    ----------
    conditions : mapping of str to str
        Name and expression of each.
    by : str or None
        Factor for whose levels they are counted apart, too.
    """

    conditions: Mapping[str, str] = field(kw_only=True)
    by: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class FlowStatistic(Statistic):
    """Participant flow, pairs of visits, and completers against drop-outs at the first session.

    Attributes
    ----------
    by : str or None
        Factor for whose levels people are counted apart.
    sessions : tuple of str
        In the order of time; completers have all of them.
    completers : str or None
        Expression: who could complete (others are not compared); None: `subset`.
    variables : tuple of str
        Variables of people, or scores at the first session, that are compared.
    """

    sessions: tuple[str, ...] = field(kw_only=True)
    by: str | None = field(default=None, kw_only=True)
    completers: str | None = field(default=None, kw_only=True)
    variables: tuple[str, ...] = field(default=(), kw_only=True)


#: Name of each kind in model files.
KINDS: Mapping[str, type[Statistic]] = {
    'mixed': MixedStatistic,
    'linear': LinearStatistic,
    'reference': ReferenceStatistic,
    'correlation': CorrelationStatistic,
    'table': TableStatistic,
    'counts': CountStatistic,
    'flow': FlowStatistic,
}


def to_dict(statistic: Statistic) -> dict[str, Any]:
    """Give plain values that a node can be given; `from_dict` turns them back."""
    kind = next(name for name, cls in KINDS.items() if type(statistic) is cls)
    return {'kind': kind, **asdict(statistic)}


def from_dict(values: Mapping[str, Any]) -> Statistic:
    """Make a statistic of what `to_dict` gave."""
    cls = KINDS[values['kind']]
    known = {f.name for f in fields(cls)}
    given = {name: _frozen(value) for name, value in values.items() if name in known}
    if given.get('outcome') is not None:
        outcome = dict(values['outcome'])
        regions = outcome.pop('regions')
        chosen = None if regions is None else RegionChoice(**_frozen(regions))
        given['outcome'] = Outcome(regions=chosen, **_frozen(outcome))
    return cls(**given)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _frozen(item) for name, item in value.items()}
    return tuple(value) if isinstance(value, list) else value
