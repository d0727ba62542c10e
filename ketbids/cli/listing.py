"""``--dry-run``: what would be done, and what is missing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ketbids.cli.planning import PlannedAnalysis
from ketbids.io.inventory import Visit
from ketbids.io.preprocessed import Anatomy
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
    to_dict,
)
from ketbids.stats.groupdesign import describe

if TYPE_CHECKING:
    from ketbids.cli.designpreview import DesignPreview

__all__ = ['list_analyses', 'list_designs', 'list_statistics', 'list_visits']

#: People who are named, of those who are left out for one reason.
_NAMED = 10


def list_visits(
    visits: Sequence[Visit],
    states: Mapping[str, str],
    left_out: Sequence[str],
    failures: Mapping[str, str],
    designs: Mapping[Path, 'DesignPreview'],
) -> str:
    """Write what the participant level would do, one visit after the other.

    Parameters
    ----------
    visits : sequence of Visit
    states : mapping of str to str
        What would be done with each visit, by its name.
    left_out : sequence of str
        A sentence for each excluded run, and on participants without events.
    failures : mapping of str to str
        Why a visit cannot be done, by its name.
    designs : mapping of Path to DesignPreview
        What will be modelled, by the events file of the run.
    """
    lines, told = [], dict(states)
    for visit in visits:
        # One run that cannot be modelled stops its visit; results that are whole stay.
        bad = [run for run in visit.runs if designs[run.events].level == 'failed']
        if bad and states[visit.name] != 'already done':
            told[visit.name] = 'cannot be modelled'
        lines.append(f'{visit.name}: {states[visit.name]}')
        for run in visit.runs:
            found = run.preprocessed
            lines.append(f'  {run.key.label or "run"}: {found.series}')
            lines.append(f'    events: {run.events}')
            lines.append(f'    confounds: {found.confounds or "none found"}')
            lines.append(f'    surfaces: {_surfaces(found.anatomy)}')
            lines += [f'    {line}' for line in designs[run.events].lines]
    lines += [f'{name}: cannot be done: {why}' for name, why in failures.items()]
    lines += list(left_out)
    if designs:
        from ketbids.cli.designpreview import summarise_designs  # of Nipype, slow to import

        lines.append(summarise_designs(designs))
    counts = {state: list(told.values()).count(state) for state in dict.fromkeys(told.values())}
    parts = [f'{count} {state}' for state, count in counts.items()]
    parts += [f'{len(failures)} cannot be done'] if failures else []
    return '\n'.join([*lines, f'Visits: {", ".join(parts) or "none"}. Nothing was written.'])


def list_designs(designs: Mapping[Path, 'DesignPreview']) -> str:
    """Write what will be modelled once the runs are preprocessed.

    Parameters
    ----------
    designs : mapping of Path to DesignPreview
        By the events file of the run.
    """
    from ketbids.cli.designpreview import summarise_designs

    lines = ['What the first level will model:']
    for events, design in designs.items():
        lines += [f'  {events}', *(f'    {line}' for line in design.lines)]
    return '\n'.join([*lines, summarise_designs(designs)])


def list_analyses(
    analyses: Sequence[PlannedAnalysis],
    todo: Sequence[str],
    failures: Mapping[str, str],
    statistics: Sequence[Statistic] = (),
    refused: Mapping[str, str] | None = None,
    undeclared: Sequence[str] = (),
) -> str:
    """Write what the group level would do, one analysis after the other, and who is left out.

    Parameters
    ----------
    analyses : sequence of PlannedAnalysis
    todo : sequence of str
        Start of the names of the files of those that are not finished.
    failures : mapping of str to str
        Why an analysis cannot be made, by the start of the names of its files.
    statistics : sequence of Statistic
        What is computed after the analyses, of their regions too.
    refused : mapping of str to str, optional
        Why a statistic cannot be made, by its name.
    undeclared : sequence of str
        Statistics of earlier calls that the model file does not have.
    """
    lines = []
    for item in analyses:
        lines.append(f'{item.stem}: {"to do" if item.stem in todo else "already done"}')
        lines.append(f'  {describe(item.design, item.contrast)}')
        out = item.participants[item.participants['status'] == 'left out']
        for why, people in out.groupby('reason', sort=False)['participant_id']:
            more = f' and {len(people) - _NAMED} more' if len(people) > _NAMED else ''
            lines.append(f'  left out: {", ".join(people[:_NAMED])}{more}: {why}')
    lines += [f'{name}: cannot be done: {why}' for name, why in failures.items()]
    lines += list_statistics(statistics, refused or {})
    if undeclared:
        lines.append(
            f'Not in the model file, so that their files in group/statistics will be removed: '
            f'{", ".join(undeclared)}'
        )
    done = len(analyses) - len(todo)
    return '\n'.join([
        *lines,
        f'Analyses: {len(todo)} to do, {done} already done, {len(failures)} cannot be done. '
        'Nothing was written.',
    ])  # fmt: skip


def list_statistics(statistics: Sequence[Statistic], refused: Mapping[str, str]) -> list[str]:
    """Write what each statistic is of, and why one cannot be made; maps are not looked at."""
    if not statistics:
        return []
    head = f'Statistics after that, if what they are made of has changed: {len(statistics)}'
    if refused:
        head += f', of which {len(refused)} cannot be done'
    lines = [head]
    for item in statistics:
        lines.append(f'  {item.name}: {_about(item)}')
        if item.name in refused:
            lines.append(f'    cannot be done: {refused[item.name]}')
    return lines


def _about(statistic: Statistic) -> str:
    match statistic:
        case MixedStatistic():
            when = ', '.join(statistic.sessions)
            about = f'{_outcome(statistic.outcome)} over {when}, by {statistic.formula}'
            about += f' ({statistic.covariance})'
        case LinearStatistic():
            about = (
                f'{_outcome(statistic.outcome)}{_when(statistic.value)}, by {statistic.formula}'
            )
        case ReferenceStatistic():
            about = (
                f'{_outcome(statistic.outcome)} of {", ".join(statistic.groups)} against '
                f'{statistic.reference}{_adjusted(statistic.covariates)}'
            )
        case CorrelationStatistic():
            values = ', '.join(f'{n}{_when(of)}' for n, of in statistic.values.items())
            about = (
                f'{_outcome(statistic.outcome)} ({values}) with '
                f'{statistic.variable}{_adjusted(statistic.covariates)}'
            )
        case TableStatistic():
            about = f'{", ".join(statistic.variables)} by {statistic.by}'
        case CountStatistic():
            about = ', '.join(statistic.conditions)
        case FlowStatistic():
            about = 'participants' + (f' by {statistic.by}' if statistic.by else '')
            about += f' over {", ".join(statistic.sessions)}' if any(statistic.sessions) else ''
    subset = '' if statistic.subset is None else f'; where {statistic.subset}'
    return f'{to_dict(statistic)["kind"]} of {about}{subset}'


def _outcome(outcome: Outcome) -> str:
    if outcome.regions is None:
        return outcome.score or ', '.join(outcome.behaviour)
    choice = outcome.regions
    regions = [f'significant in {", ".join(choice.selected_by)}'] if choice.selected_by else []
    regions += [', '.join(choice.apriori)] if choice.apriori else []
    if choice.atlas is not None:
        regions.append(', '.join(choice.labels) or f'all of {choice.atlas}')
    return f'{choice.contrast} in regions ({"; ".join(regions)})'


def _when(sessions: Sequence[str]) -> str:
    return f' at {" - ".join(sessions)}' if any(sessions) else ''


def _adjusted(covariates: Sequence[str]) -> str:
    return f', adjusted for {", ".join(covariates)}' if covariates else ''


def _surfaces(anatomy: Anatomy) -> str:
    average = ' (average surfaces)' if 'midthickness' in anatomy.template else ''
    return f'{anatomy.midthickness[0].parent}{average}'
