"""Groups at each session against a reference group at one session."""

from typing import Any

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions
from ketbids.stats.circularity import uses_of_reference
from ketbids.stats.clinical import methods
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.families import family_table, family_warnings, with_family, with_stars
from ketbids.stats.clinical.fits import SUBJECT, Fitted, fit_outcomes, long_rows
from ketbids.stats.clinical.outcomes import (
    Measure,
    find_measures,
    measure_columns,
    values_by_visit,
)
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.rows import (
    Loss,
    Sample,
    find_sample,
    in_subset,
    lost_values,
    missing_table,
    nobody,
    present_levels,
)
from ketbids.stats.clinical.selection import qualify, selection_of
from ketbids.stats.clinical.sentences import gathered, reference_sentences
from ketbids.stats.clinical.specs import ReferenceStatistic
from ketbids.stats.clinical.summaries import missing_summary, no_outcomes
from ketbids.stats.ordinary.corrections import adjust
from ketbids.stats.people import listing

__all__ = ['run_reference']

#: Factor that tells the two groups apart; no variable can have this name.
_GROUP = 'group.'
_MEANS = ('mean', 'mean_reference', 'sd', 'sd_reference')


class _Groups:
    """Who is in which group, and what is known of them.

    Attributes
    ----------
    samples : dict of str to Sample
        By name of the group, the reference among them.
    losses : list of Loss
    reasons : dict of str to str
        Why there is nobody in a group, by its name; the reference is never empty.
    variables : frozenset of str
        Those that tell the groups apart.
    """

    def __init__(self, statistic: ReferenceStatistic, data: ClinicalData) -> None:
        rules = {**statistic.groups, statistic.reference: statistic.reference_subset}
        self.samples: dict[str, Sample] = {}
        self.losses: list[Loss] = []
        self.reasons: dict[str, str] = {}
        # An excluded member of the reference is still no unknown member of a group.
        rule = _both(statistic, statistic.reference_subset)
        reference = set(in_subset(data, rule, excluded=True)[0])
        for name, rule in rules.items():
            sample = self._sample(statistic, data, name, rule)
            self.samples[name] = sample
            self.losses += [loss for loss in sample.losses if loss.missing != 'subset']
            self.losses += [
                loss._replace(consequence=f'not in {name}')
                for loss in sample.losses
                if loss.missing == 'subset' and loss.who not in reference
            ]
            if name != statistic.reference and (shared := reference & set(sample.members)):
                raise InputError(
                    f'{statistic.name}: sub-{min(shared)} is in {name} and in '
                    f'{statistic.reference}, which it is compared with'
                )
        used = {n for rule in rules.values() for n in expressions.names(rule)}
        self.variables = frozenset(used)

    def _sample(
        self, statistic: ReferenceStatistic, data: ClinicalData, name: str, rule: str
    ) -> Sample:
        """Find who is in a group; one without anybody does not stop the others."""
        subset = _both(statistic, rule)
        members, losses = in_subset(data, subset)
        if members:
            sample = find_sample(data, subset, statistic.covariates)
        else:
            empty = data.people.iloc[:0].reindex(columns=list(statistic.covariates))
            sample = Sample(empty, (), tuple(losses), {})
            self.reasons[name] = f'{name}: {nobody(subset, losses)}'
        if members and not len(sample.people):
            self.reasons[name] = f'{name}: nobody has all of {listing(statistic.covariates)}'
        if name == statistic.reference and name in self.reasons:
            raise InputError(f'{statistic.name}: {self.reasons[name]}')
        return sample


def run_reference(statistic: ReferenceStatistic, data: ClinicalData) -> Result:
    """Compare groups at each session with a reference group, for every outcome.

    Returns
    -------
    Result
        Tables ``comparisons``, ``families``, ``values`` and ``missing``.

    Raises
    ------
    InputError
        Nothing could be compared; somebody is in a group and in the reference group.
    """
    measures = find_measures(statistic.outcome, data)
    if not measures:
        return no_outcomes(statistic.outcome)
    groups = _Groups(statistic, data)
    sessions = [*statistic.sessions, statistic.reference_session]
    visits = values_by_visit(measures, data, sessions)
    kept: dict[str, dict[str, pd.DataFrame]] = {measure.name: {} for measure in measures}
    losses: dict[str, list[Loss]] = {measure.name: list(groups.losses) for measure in measures}
    for measure in measures:
        for name, sample in groups.samples.items():
            when = _sessions_of(statistic, name)
            kept[measure.name][name], lost = lost_values(
                measure, visits[measure.name], data, sample.people.index, when
            )
            losses[measure.name] += [_tell(loss) for loss in lost]
    rows: list[dict[str, Any]] = []
    warnings: list[tuple[str, str]] = []
    for name in statistic.groups:
        for session in statistic.sessions:
            found, told = _compare(statistic, data, measures, groups, kept, name, session)
            rows += found
            warnings += told
    order = {measure.name: place for place, measure in enumerate(measures)}
    rows.sort(key=lambda row: order[row['outcome']])
    table = qualify(
        pd.DataFrame(rows).drop(columns='selection'), [row['selection'] for row in rows]
    )
    if table['estimate'].isna().all():
        reasons = sorted(set(table['not_available'].dropna()))
        raise InputError(f'{statistic.name}: nothing could be compared: {"; ".join(reasons)}')
    place = list(table.columns).index('p') + 1
    table.insert(place, 'p_holm_outcome', np.nan)
    for _, part in table.groupby('outcome'):
        table.loc[part.index, 'p_holm_outcome'] = adjust(part['p'], 'holm')
    table = with_stars(with_family(table, ['group', 'session_id'], measures))
    tests = table[['outcome', 'p']].assign(
        test=[f'{g} {s}'.strip() for g, s in zip(table['group'], table['session_id'], strict=True)]
    )
    missing = missing_table(losses)
    everybody = Sample(
        pd.concat([s.people for s in groups.samples.values()]).loc[
            lambda p: ~p.index.duplicated()
        ],
        tuple(sorted({who for s in groups.samples.values() for who in s.members})),
        (),
        {},
    )
    return Result(
        tables={
            'comparisons': table,
            **family_table(tests, statistic.families, measures),
            'values': _values(statistic, measures, kept),
            'missing': missing,
        },
        summary={
            'Outcomes': [measure.name for measure in measures],
            'Groups': dict(statistic.groups),
            'Reference': {
                'Name': statistic.reference,
                'Subset': statistic.reference_subset,
                'Session': statistic.reference_session,
            },
            **missing_summary(everybody, missing),
        },
        methods=methods.reference_methods(statistic, measures),
        sentences=reference_sentences(statistic.reference, table),
        warnings=(*gathered(warnings), *family_warnings(statistic.families, measures)),
    )


def _compare(
    statistic: ReferenceStatistic,
    data: ClinicalData,
    measures: list[Measure],
    groups: _Groups,
    kept: dict[str, dict[str, pd.DataFrame]],
    name: str,
    session: str,
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Rows of one group at one session, one per outcome."""
    group, reference = groups.samples[name], groups.samples[statistic.reference]
    people = pd.concat([group.people, reference.people])
    levels = dict(group.levels)
    for key, order in reference.levels.items():
        levels[key] = tuple(dict.fromkeys((*levels.get(key, ()), *order)))
    marks = [name] * len(group.people) + [statistic.reference] * len(reference.people)
    rows = long_rows(people.assign(**{_GROUP: marks}), None)
    values = {}
    for measure in measures:
        own = kept[measure.name]
        values[measure] = np.concatenate(
            [
                own[name].loc[group.people.index, session].to_numpy(float),
                own[statistic.reference]
                .loc[reference.people.index, statistic.reference_session]
                .to_numpy(float),
            ]
        )
    fits: dict[Measure, Fitted] = {}
    problem = groups.reasons.get(name)
    if problem is None:
        try:
            found = fit_outcomes(
                rows,
                values,
                ' + '.join((_GROUP, *statistic.covariates)),
                covariance='independent',
                levels=present_levels(people, levels) | {_GROUP: (name, statistic.reference)},
            )
            fits = {item.measure: item for item in found}
        except InputError as error:
            # Of this group only: another may have all levels of a covariate.
            problem = str(error)
    table: list[dict[str, Any]] = []
    warnings: list[tuple[str, str]] = []
    for measure in measures:
        there = np.isfinite(values[measure])
        members = list(rows[SUBJECT][there & (rows[_GROUP] == name)])
        others = list(rows[SUBJECT][there & (rows[_GROUP] == statistic.reference)])
        tested = uses_of_reference(
            session,
            members,
            statistic.reference_session,
            others,
            groups.variables,
            data.roots,
        )
        row: dict[str, Any] = {
            **measure_columns(measure),
            'group': name,
            'session_id': session,
            'reference': statistic.reference,
            'reference_session_id': statistic.reference_session,
            'n': len(members),
            'n_reference': len(others),
            'selection': selection_of(measure, data, tested),
        }
        item = fits.get(measure)
        fit = None if item is None else item.fit
        why = problem if item is None else item.reason
        for label, when, who in (
            (statistic.reference, statistic.reference_session, others),
            (name, session, members),
        ):
            if not who and name not in groups.reasons:
                why = f'nobody of {label} has a value{f" at {when}" if when else ""}'
        reason = {'not_available': None if why is None else _named(why)}
        table.append(row | _distance(fit) | reason)
        if fit is not None:
            label = f'{measure.name} ({f"{name} {session}".strip()})'
            warnings += [(label, _named(words)) for words in fit.warnings]
    return table, warnings


def _named(words: str) -> str:
    """Words of a model in which the factor of the two groups has its own name."""
    return words.replace(_GROUP, 'group')


def _distance(fit: Any) -> dict[str, Any]:
    """Means, their difference, its test and its size."""
    names = ['estimate', 'se', 'ci95_low', 'ci95_high', 't', 'df', 'p', 'd', 'd_ci95_low']
    names += ['d_ci95_high', 'g', 'g_ci95_low', 'g_ci95_high']
    if fit is None:
        return dict.fromkeys([*_MEANS, *names], np.nan)
    both = fit.emmeans(_GROUP)[['emmean', 'sd']].to_numpy(float).T.ravel()
    pair = fit.pairs(_GROUP).iloc[0]
    return dict(zip(_MEANS, map(float, both), strict=True)) | {n: float(pair[n]) for n in names}


def _values(
    statistic: ReferenceStatistic,
    measures: list[Measure],
    kept: dict[str, dict[str, pd.DataFrame]],
) -> pd.DataFrame:
    """Values that were compared, one per row."""
    parts = []
    for measure in measures:
        if not measure.detailed:
            continue
        for name, wide in kept[measure.name].items():
            for session in _sessions_of(statistic, name):
                part = wide[session].dropna().rename('value').rename_axis(SUBJECT).reset_index()
                part.insert(0, 'group', name)
                part.insert(0, 'session_id', session)
                part.insert(0, 'outcome', measure.name)
                parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _sessions_of(statistic: ReferenceStatistic, group: str) -> tuple[str, ...]:
    if group == statistic.reference:
        return (statistic.reference_session,)
    return statistic.sessions


def _both(statistic: ReferenceStatistic, rule: str) -> str:
    return f'({statistic.subset}) and ({rule})' if statistic.subset else rule


def _tell(loss: Loss) -> Loss:
    when = listing([loss.when]) if loss.when else ''
    return loss._replace(
        consequence=f'not in the comparisons of {when}' if when else 'not analysed'
    )
