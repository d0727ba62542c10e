"""Methods paragraphs: every choice of a statistic, in words."""

from collections.abc import Collection, Mapping, Sequence

from ketbids.stats.clinical.families import ALL, automatic_families
from ketbids.stats.clinical.outcomes import Measure
from ketbids.stats.clinical.specs import (
    CorrelationStatistic,
    LinearStatistic,
    MixedStatistic,
    Outcome,
    ReferenceStatistic,
    Statistic,
)
from ketbids.stats.mixed.design import parse_formula
from ketbids.stats.people import listing

__all__ = ['correlation_methods', 'linear_methods', 'mixed_methods', 'reference_methods']

#: Outcomes that a sentence names.
_NAMED = 10
_STRUCTURES = {
    'ri': 'a random intercept of participants',
    'cs': 'compound-symmetric residuals',
    'csh': 'residuals with heterogeneous compound symmetry (a variance per visit, one '
    'correlation)',
    'un': 'unstructured residual covariance',
    'ar1': 'first-order autoregressive residuals',
    'arh1': 'heterogeneous first-order autoregressive residuals (a variance per visit)',
    'toep': 'Toeplitz residual covariance',
    'diag': 'independent residuals with a variance per visit, which ignores that visits of a '
    'participant are alike',
}
_CORRECTIONS = {
    'none': 'were not corrected',
    'bonferroni': "were corrected by Bonferroni's method",
    'holm': "were corrected by Holm's method",
    'sidak': "were corrected by Sidak's method",
    'tukey': "were corrected by Tukey's method",
}
_METHODS = {
    'pearson': "Pearson's product-moment correlation",
    'spearman': "Spearman's rank correlation",
    'kendall': "Kendall's tau-b",
}
_INTERVALS = {
    'pearson': "95 % confidence intervals by Fisher's z",
    'spearman': "95 % confidence intervals by Fisher's z",
    'kendall': '95 % confidence intervals by the z of Fieller, Hartley and Pearson',
}


def mixed_methods(
    statistic: MixedStatistic, measures: Sequence[Measure], singular: Sequence[str] = ()
) -> str:
    """Methods of a mixed model over sessions.

    Parameters
    ----------
    statistic : MixedStatistic
    measures : sequence of Measure
    singular : sequence of str
        Outcomes in which the variance between participants came out as 0.
    """
    if statistic.ddf == 'kenward-roger':
        flavour = 'expected' if statistic.covariance == 'ri' else 'observed'
        ddf = (
            "degrees of freedom and F by Kenward and Roger's method without second derivatives "
            f'({flavour} information)'
        )
    else:
        basis = (
            'rows that compare each level with the last, as SAS and SPSS have them'
            if statistic.basis == 'spss'
            else 'rows that compare each level with the first, as lmerTest prints them'
            if statistic.covariance == 'ri'
            else 'rows that compare each level with the first'
        )
        ddf = (
            "Satterthwaite's degrees of freedom with the observed information (of terms with "
            f'several numerator degrees of freedom by {basis})'
        )
    compared = ''
    if statistic.compare:
        names = listing([_STRUCTURES[name] for name in statistic.compare])
        compared = (
            f' The same model with {names} was fitted beside it and compared by -2 restricted '
            'log-likelihood, AIC and BIC (covariance parameters counted, as SAS and SPSS do); '
            'that comparison chose nothing.'
        )
    return _joined(
        f'{_subject(statistic.outcome, measures)} over {listing(list(statistic.sessions))} '
        f'was explained by {statistic.formula} (time: the session, a factor) '
        f'in a linear mixed model with {_STRUCTURES[statistic.covariance]}, estimated by '
        f'restricted maximum likelihood; type III tests, {ddf}.{compared}',
        _singular(singular),
        _who(statistic),
        'Every visit with a value was analysed, also of participants who miss other visits '
        '(valid if what is missing depends on nothing but what was observed); nothing was '
        'imputed.',
        _lacking(parse_formula(statistic.formula).variables),
        *_modelled(statistic),
        _circular(measures),
        _families(statistic.families, measures, 'each test'),
    )


def linear_methods(statistic: LinearStatistic, measures: Sequence[Measure]) -> str:
    """Methods of a linear model of one value per participant."""
    return _joined(
        f'{_subject(statistic.outcome, measures)}{_value(statistic.value)} was '
        f'explained by {statistic.formula} in a linear model (ordinary least squares, analysis '
        'of covariance), with type III tests.',
        _who(statistic),
        'Who lacks the value was left out; nothing was imputed.',
        _lacking(parse_formula(statistic.formula).variables),
        *_modelled(statistic),
        _circular(measures),
        _families(statistic.families, measures, 'each test'),
    )


def reference_methods(statistic: ReferenceStatistic, measures: Sequence[Measure]) -> str:
    """Methods of comparisons with a reference group."""
    adjusted = (
        f', adjusted for {listing(list(statistic.covariates))} by ordinary least squares'
        if statistic.covariates
        else ''
    )
    groups = listing([f'{name} ({rule})' for name, rule in statistic.groups.items()])
    at = f' at {statistic.reference_session}' if statistic.reference_session else ''
    when = (
        listing([session for session in statistic.sessions if session])
        if any(statistic.sessions)
        else ''
    )
    return _joined(
        f'{_subject(statistic.outcome, measures)} of {groups}{f" at {when}" if when else ""} '
        f'was compared with {statistic.reference} ({statistic.reference_subset})'
        f'{at}{adjusted}, each group and session in a model of its own with equal variances of '
        'the two groups.',
        'The distance to the reference group is the group minus the reference, with its 95 % '
        'confidence interval; d is that over the residual standard deviation, g the same '
        'without the bias of small samples, with exact intervals of the noncentral t. p are '
        "given uncorrected, and corrected by Holm's method over the groups and sessions of one "
        'outcome (p_holm_outcome).',
        _who(statistic),
        f'Who lacks the value of a session{" or a covariate" if statistic.covariates else ""} was '
        'left out of that comparison.',
        _circular(measures),
        _families(statistic.families, measures, 'each group and session'),
    )


def correlation_methods(statistic: CorrelationStatistic, measures: Sequence[Measure]) -> str:
    """Methods of correlations."""
    values = listing([f'{name}{_value(pair)}' for name, pair in statistic.values.items()])
    partial = ''
    if statistic.covariates:
        partial = (
            f' A partial correlation, with {listing(list(statistic.covariates))} taken out of '
            'both, stands beside each.'
        )
    return _joined(
        f'{_subject(statistic.outcome, measures)} ({values}) was correlated with '
        f'{statistic.variable}: {_METHODS[statistic.method]}, two-sided, '
        f'{_INTERVALS[statistic.method]}.{partial}',
        _who(statistic),
        'Who lacks a value was left out of the correlations that need it.',
        _circular(measures),
        _families(statistic.families, measures, 'each kind of value'),
    )


def _singular(names: Sequence[str]) -> str:
    """What it means that visits of a participant are not alike."""
    if not names:
        return ''
    more = len(names) - _NAMED
    told = f'{", ".join(names[:_NAMED])} and {more} more' if more > 0 else listing(list(names))
    return (
        f'In {told}, the variance between participants was estimated as 0 (a singular fit): there '
        'the tests are those of ordinary least squares, as lmerTest has them, with all rows '
        'counted as independent. Visits that correlate negatively give such a fit, and then tests '
        'of changes over time are more liberal than paired ones. Compound-symmetric residuals '
        '(cs) allow a negative correlation: with two complete visits they give the t test of the '
        'differences.'
    )


def _lacking(variables: Collection[str]) -> str:
    """What was done with participants of whom a variable of the formula is not known."""
    names = [name for name in variables if name != 'time']
    told = ' or '.join(filter(None, (', '.join(names[:-1]), *names[-1:])))
    return f'Who lacks {told} was left out.' if names else ''


def _modelled(statistic: MixedStatistic | LinearStatistic) -> list[str]:
    centred = (
        f'{listing(list(statistic.center))} {"was" if len(statistic.center) == 1 else "were"} '
        'demeaned over the rows of each model.'
        if statistic.center
        else 'Nothing was centred; marginal means are at the means of the numbers.'
    )
    unit = (
        'the square root of the mean variance of a visit'
        if isinstance(statistic, MixedStatistic)
        else 'the residual standard deviation'
    )
    pairs = (
        'Marginal means weigh the levels of factors equally. The p of pairs of means '
        f'{_CORRECTIONS[statistic.adjust]} within one outcome and one set of means; d of a pair '
        f'is its difference over {unit}, g the same without the bias of small samples.'
        if statistic.means
        else ''
    )
    return [
        centred,
        'Partial eta squared comes from F and its degrees of freedom, with 90 % confidence '
        'intervals of the noncentral F.',
        pairs,
        'Residuals (whitened by the estimated covariance) are given with normal quantiles in the '
        "table of values, and tested by Shapiro and Wilk's test; the influence of participants is "
        "given as Cook's distance. Nobody was left out for either.",
    ]


def _subject(outcome: Outcome, measures: Sequence[Measure]) -> str:
    if outcome.score:
        return f'The score {outcome.score}'
    if outcome.behaviour:
        return f'Behaviour ({", ".join(outcome.behaviour)})'
    choice = outcome.regions
    assert choice is not None
    weighted = 'area-weighted mean' if choice.area_weighted else 'mean'
    kinds = []
    if any(m.source == 'significant' for m in measures):
        found = listing(list(choice.selected_by))
        kinds.append(f'regions with a significant effect in {found} (cut by an atlas)')
    if searched := sorted({str(m.atlas) for m in measures if m.searched}):
        kinds.append(f'all whole parcels of {" and ".join(searched)}')
    if choice.apriori:
        kinds.append(f'the a-priori regions {listing(list(choice.apriori))}')
    if choice.atlas is not None and choice.atlas not in searched:
        kinds.append(f'regions of the atlas {choice.atlas}')
    return f'The {weighted} of {choice.contrast} in {listing(kinds)}'


def _value(pair: Sequence[str]) -> str:
    if len(pair) == 2:
        return f' ({pair[0]} minus {pair[1]})'
    return f' at {pair[0]}' if pair and pair[0] else ''


def _who(statistic: Statistic) -> str:
    return f'Participants: {statistic.subset}.' if statistic.subset else 'Participants: all.'


def _circular(measures: Sequence[Measure]) -> str:
    if not any(measure.source == 'significant' for measure in measures):
        return ''
    found = (
        'A test in a region that was chosen by the maps of the same participants is circular: '
        'such rows say so (selection), have no p but p_circular, and enter no correction.'
    )
    if not any(measure.searched for measure in measures):
        return found
    return (
        f'{found} The whole parcel stands beside each region. It was chosen without the values '
        'inside it, but is looked at because a region was found there; so all parcels were '
        'tested, and the p of a parcel is the one that is corrected over all of them.'
    )


def _families(
    families: Mapping[str, tuple[str, ...]], measures: Sequence[Measure], within: str
) -> str:
    if len(measures) < 2:
        return ''
    automatic = automatic_families(measures)
    about = [
        'all outcomes' if family == ALL else f'the {len(names)} {family}'
        for family, names in automatic.items()
        if len(names) > 1
    ]
    about += [
        f'the family {name} ({", ".join(outcomes) if outcomes else "all"})'
        for name, outcomes in families.items()
    ]
    if not about:
        return ''
    each = ', each for itself' if len(about) > 1 else ''
    return (
        f'For {within}, p are given uncorrected, and corrected (Bonferroni, Holm, and the false '
        f'discovery rate of Benjamini and Hochberg) over {listing(about)} as far as they have a '
        f"p{each}; stars are by Holm's method over the outcomes of one kind."
    )


def _joined(*sentences: str) -> str:
    return ' '.join(sentence for sentence in sentences if sentence)
