"""Participant flow: who was enrolled, scanned, excluded and analysed, and who left."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from ketbids.errors import InputError
from ketbids.stats import expressions
from ketbids.stats.clinical.comparisons import (
    ALL,
    METHODS,
    compare,
    comparison_table,
    describe,
    description_table,
    find_variables,
    group_levels,
    members,
)
from ketbids.stats.clinical.data import VISIT_COLUMNS, ClinicalData
from ketbids.stats.clinical.results import Result
from ketbids.stats.clinical.rows import Loss, in_subset, missing_table
from ketbids.stats.clinical.specs import FlowStatistic
from ketbids.stats.clinical.tableone import comparison_sentences, losses_of
from ketbids.stats.people import as_text, is_missing

__all__ = ['COMPLETERS', 'DROPOUTS', 'run_flow']

#: Groups of the comparison of those who left.
COMPLETERS, DROPOUTS = 'completers', 'drop-outs'

_FLOW = ('group', 'session_id', 'stage', 'reason', 'n')
_VISITS = ('participant_id', 'session_id', 'group', 'status', 'reason')
_PAIRS: tuple[str, ...] = ('group', 'session_1', 'session_2')
_PAIRS += ('n_both', 'n_only_first', 'n_only_second', 'n_neither')

_ANALYSED, _EXCLUDED, _NO_MAP, _ABSENT = 'analysed', 'excluded', 'no map', 'not scanned or not due'

#: Stages that a sentence leaves out where nobody is in them.
_UNTOLD = (_ABSENT, _NO_MAP)
#: What a sentence calls a stage, if not by its name.
_WORDS = {_NO_MAP: 'without a map'}


def run_flow(statistic: FlowStatistic, data: ClinicalData) -> Result:
    """Follow participants from enrolment to analysis.

    Enrolled: in the table of participants (and the subset). Scanned: did the task at the session,
    or has maps of it. Excluded: scanned, and on the exclusion list. No map: scanned, not
    excluded, and without a map that can be used, as the first level failed or was not done.
    Analysed: the others who were scanned. Completers were scanned at every session; drop-outs
    could have been (`completers` is true for them) and were not.

    Parameters
    ----------
    statistic : FlowStatistic
    data : ClinicalData

    Returns
    -------
    Result
        Tables ``flow`` (one row per group, session, stage and reason), ``visits`` (one row per
        participant and session), ``visit_pairs`` (who has both visits of a pair), ``dropout`` and
        ``dropout_tests`` (completers against drop-outs at the first session), and ``missing``.

    Raises
    ------
    InputError
        A variable or factor that there is not; nobody in the subset.
    """
    people, unknown = members(data, statistic, excluded=True)
    levels: tuple[str, ...] = ()
    groups = pd.Series(None, index=people.index, dtype='object')
    if statistic.by is not None:
        levels = group_levels(people, statistic.by, data)
        groups = as_text(people[statistic.by])
    visits = _visits(people, groups, statistic.sessions, data)
    status = {
        (row['participant_id'], row['session_id']): (row['status'], row['reason'])
        for row in visits
    }
    own = {ALL: [str(who) for who in people.index]}
    own |= {level: [str(w) for w in people.index[(groups == level)]] for level in levels}
    flow = [row for group, who in own.items() for row in _stages(group, who, statistic, status)]
    pairs = [row for group, who in own.items() for row in _pairs(group, who, statistic, status)]
    out = in_subset(data, statistic.subset)[1]
    left = _Left(statistic, people, status, [loss for loss in out if loss.missing == 'excluded'])
    described, tests, losses = left.compared(data)
    missing = {'flow': unknown, 'dropout': left.excluded, **losses}
    return Result(
        tables={
            'flow': _typed(pd.DataFrame(flow, columns=list(_FLOW), dtype='object')),
            'visits': _typed(pd.DataFrame(visits, columns=list(_VISITS), dtype='object')),
            'visit_pairs': _typed(pd.DataFrame(pairs, columns=list(_PAIRS), dtype='object')),
            'dropout': description_table(described),
            'dropout_tests': comparison_table(tests),
            'missing': missing_table({name: rows for name, rows in missing.items() if rows}),
        },
        summary={
            'NEnrolled': len(people),
            'NAnalysed': {
                session or 'all': sum(status[who, session][0] == _ANALYSED for who in own[ALL])
                for session in statistic.sessions
            },
            'NCompleters': len(left.completers),
            'NDropOuts': len(left.dropouts),
        },
        methods=_methods(statistic),
        sentences=(
            *_sentences(flow, statistic),
            *left.sentence(),
            *comparison_sentences(comparison_table(tests)),
        ),
        warnings=left.warnings(),
    )


def _visits(
    people: pd.DataFrame, groups: pd.Series, sessions: Sequence[str], data: ClinicalData
) -> list[dict[str, Any]]:
    """What became of each session of each participant."""
    columns = (data.visits[name] for name in VISIT_COLUMNS)
    maps = {(who, when): has_map == 'yes' for who, when, has_map in zip(*columns, strict=True)}
    reasons: dict[tuple[str, str], str] = {}
    lines = data.excluded[['participant_id', 'session_id', 'reason']]
    for who, when, why in lines.itertuples(index=False):
        told = 'no reason given' if is_missing(why) else str(why)
        key = str(who), '' if is_missing(when) else str(when)
        reasons[key] = f'{reasons[key]}; {told}' if key in reasons else told
    rows = []
    for who in map(str, people.index):
        for session in sessions:
            why = reasons.get((who, ''), reasons.get((who, session)))
            if (who, session) not in maps:
                state = _ABSENT
            elif why:
                state = _EXCLUDED
            else:
                state = _ANALYSED if maps[who, session] else _NO_MAP
            rows.append(
                {
                    'participant_id': who,
                    'session_id': session,
                    'group': groups[who],
                    'status': state,
                    'reason': why if state == _EXCLUDED else None,
                }
            )
    return rows


def _stages(
    group: str,
    who: Sequence[str],
    statistic: FlowStatistic,
    status: Mapping[tuple[str, str], tuple[str, str | None]],
) -> Iterator[dict[str, Any]]:
    """Rows of a group: the study as a whole, then each session."""

    def row(session: str | None, stage: str, n: int, reason: str | None = None) -> dict[str, Any]:
        return dict(zip(_FLOW, (group, session, stage, reason, n), strict=True))

    whole = [_overall([status[w, session] for session in statistic.sessions]) for w in who]
    yield row(None, 'enrolled', len(who))
    for stage, n, reason in _counted(whole):
        yield row(None, stage, n, reason)
    if len(statistic.sessions) > 1:
        every = [all(status[w, s][0] == _ANALYSED for s in statistic.sessions) for w in who]
        yield row(None, 'analysed at every session', sum(every))
    for session in statistic.sessions:
        here = [status[w, session] for w in who]
        yield row(session, _ABSENT, sum(state == _ABSENT for state, _ in here))
        for stage, n, reason in _counted(here):
            yield row(session, stage, n, reason)


def _overall(visits: Sequence[tuple[str, str | None]]) -> tuple[str, str | None]:
    """What became of a participant: the best that became of a visit."""
    states = {state for state, _ in visits}
    if _EXCLUDED in states and _ANALYSED not in states:
        reasons = dict.fromkeys(why for state, why in visits if state == _EXCLUDED and why)
        return _EXCLUDED, '; '.join(reasons)
    return next(state for state in (_ANALYSED, _NO_MAP, _ABSENT) if state in states), None


def _counted(
    states: Sequence[tuple[str, str | None]],
) -> Iterator[tuple[str, int, str | None]]:
    """Count the stages from those who were scanned to those who are analysed."""
    found = [state for state, _ in states]
    yield 'scanned', len(found) - found.count(_ABSENT), None
    reasons = [why for state, why in states if state == _EXCLUDED]
    for why in dict.fromkeys(reasons):
        yield _EXCLUDED, reasons.count(why), why
    for stage in (_NO_MAP, _ANALYSED):
        yield stage, found.count(stage), None


def _pairs(
    group: str,
    who: Sequence[str],
    statistic: FlowStatistic,
    status: Mapping[tuple[str, str], tuple[str, str | None]],
) -> Iterator[dict[str, Any]]:
    """How many of a group have both visits of a pair, or one of them."""
    for first, second in combinations(statistic.sessions, 2):
        have = [(status[w, first][0] == _ANALYSED, status[w, second][0] == _ANALYSED) for w in who]
        numbers = [
            have.count(which)
            for which in ((True, True), (True, False), (False, True), (False, False))
        ]
        yield dict(zip(_PAIRS, (group, first, second, *numbers), strict=True))


class _Left:
    """Those who were scanned at every session, and those who could have been and were not."""

    def __init__(
        self,
        statistic: FlowStatistic,
        people: pd.DataFrame,
        status: Mapping[tuple[str, str], tuple[str, str | None]],
        excluded: Sequence[Loss],
    ) -> None:
        self.statistic = statistic
        able = people
        if statistic.completers is not None:
            could = expressions.evaluate(statistic.completers, people)
            if not pd.api.types.is_bool_dtype(could):
                raise InputError(
                    f"Statistic {statistic.name}: completers '{statistic.completers}' is not "
                    'true or false'
                )
            able = people[could.fillna(False).to_numpy(bool)]
        self.excluded = [
            loss._replace(consequence='in the flow, not among completers and drop-outs')
            for loss in excluded
            if loss.who in able.index and len(statistic.sessions) > 1
        ]
        able = able.drop([loss.who for loss in self.excluded])
        self.people = able
        stayed = [
            all(status[str(who), session][0] != _ABSENT for session in statistic.sessions)
            for who in able.index
        ]
        self.groups = pd.Series(
            [COMPLETERS if yes else DROPOUTS for yes in stayed], index=able.index, dtype='object'
        )
        self.completers = able.index[stayed]
        self.dropouts = able.index[[not yes for yes in stayed]]

    def compared(
        self, data: ClinicalData
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
        """Descriptions, tests, and who lacks a value, by variable."""
        if (
            len(self.statistic.sessions) < 2
            or not self.statistic.variables
            or not len(self.people)
        ):
            return [], [], {}
        first = self.statistic.sessions[:1]
        variables = find_variables(self.statistic.variables, first, self.people, data)
        both = COMPLETERS, DROPOUTS
        present = tuple(level for level in both if (self.groups == level).any())
        described = [row for v in variables for row in describe(self.people, self.groups, both, v)]
        tests = [compare(self.people, self.groups, present, v) for v in variables]
        losses = {v.column: losses_of(self.people, v) for v in variables}
        return described, tests, losses

    def sentence(self) -> tuple[str, ...]:
        """How many left."""
        if len(self.statistic.sessions) < 2:
            return ()
        n = len(self.people)
        return (f'{len(self.completers)} of {n} were scanned at every session.',)

    def warnings(self) -> tuple[str, ...]:
        """Tell if nobody could complete."""
        if len(self.people) or self.statistic.completers is None:
            return ()
        return (f"completers '{self.statistic.completers}' is true for no participant",)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers as such, and the only session of a study without sessions as missing."""
    for name in table.columns:
        if name.startswith('session'):
            table[name] = pd.Series([when or None for when in table[name]], dtype='object')
        elif name == 'n' or name.startswith('n_'):
            table[name] = table[name].astype('int64')
    return table


def _sentences(flow: Sequence[Mapping[str, Any]], statistic: FlowStatistic) -> Iterator[str]:
    """What a flow diagram would show, of everybody."""
    mine = [row for row in flow if row['group'] == ALL]
    for session in (None, *statistic.sessions):
        parts = [
            f'{row["n"]} {_WORDS.get(row["stage"], row["stage"])}'
            + (f' ({row["reason"]})' if row['reason'] else '')
            for row in mine
            if row['session_id'] == session and (row['n'] or row['stage'] not in _UNTOLD)
        ]
        start = '' if session is None else f'{session or "The only visit"}: '
        yield f'{start}{", ".join(parts)}.'


def _methods(statistic: FlowStatistic) -> str:
    text = (
        'Enrolled are participants of the table of participants'
        + (f' for whom {statistic.subset}' if statistic.subset else '')
        + '; scanned at a session who has events or images of the task, or maps of it; analysed '
        'who was scanned, is not on the exclusion list and has a map.'
    )
    if len(statistic.sessions) < 2:
        return text
    could = f' and for whom {statistic.completers}' if statistic.completers else ''
    return (
        f'{text} Completers were scanned at every session ({", ".join(statistic.sessions)}); '
        f'drop-outs are the others who were enrolled{could}. Participants who are excluded with '
        'all their visits are in the flow, and neither completers nor drop-outs. The two are '
        'compared by what was '
        f'measured at the first session. {METHODS}'
    )
