"""What participants did, for the page of the group."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ketbids.reports.tables import Table

__all__ = ['BehaviourSection', 'behaviour_section']

#: Headings of the measures; seconds where nothing is said.
WORDS = {
    'accuracy': 'Accuracy, all trials',
    'go_accuracy': 'Go accuracy',
    'nogo_accuracy': 'NoGo accuracy',
    'omission_rate': 'Omissions, share of Go trials',
    'commission_rate': 'Commission errors, share of NoGo trials',
    'rt_correct_go_mean': 'Response time, correct Go: mean (s)',
    'rt_correct_go_median': 'Response time, correct Go: median (s)',
    'rt_correct_go_sd': 'Response time, correct Go: SD (s)',
    'rt_incorrect_nogo_mean': 'Response time, incorrect NoGo: mean (s)',
    'rt_incorrect_nogo_median': 'Response time, incorrect NoGo: median (s)',
    'rt_incorrect_nogo_sd': 'Response time, incorrect NoGo: SD (s)',
    'dprime': "Sensitivity d'",
    'criterion': 'Criterion c',
    'post_error_slowing': 'Slowing after errors, pairs around an error (s)',
    'post_error_slowing_mean': 'Slowing after errors, difference of means (s)',
    'rt_drift': 'Drift of response time (s per minute)',
    'go_accuracy_drift': 'Change of Go accuracy, second half',
    'nogo_accuracy_drift': 'Change of NoGo accuracy, second half',
}


@dataclass(frozen=True)
class BehaviourSection:
    """Behaviour on the group page.

    Attributes
    ----------
    summary : Table
        Mean and standard deviation of every measure, per group and session.
    flagged : Table, optional
        Sessions that break a validity rule, or of which this cannot be told.
    messages : tuple of str
        Whose behaviour is not known.
    """

    summary: Table
    flagged: Table | None = None
    messages: tuple[str, ...] = ()


def behaviour_section(
    table: pd.DataFrame,
    people: pd.DataFrame,
    measures: Sequence[str],
    messages: Sequence[str] = (),
) -> BehaviourSection:
    """Make the section of the page.

    Parameters
    ----------
    table : DataFrame
        One row per session: ``participant_id``, ``session_id`` (labels), the measures, ``valid``,
        ``invalid_reason``, and ``excluded`` (why the session is in no analysis; else missing).
    people : DataFrame
        Indexed by label; ``group`` is used if it is there.
    measures : sequence of str
        Those to show, in order.
    messages : sequence of str
    """
    used = table[table['excluded'].isna()]
    names = used['session_id'].replace('', 'all sessions')
    if 'group' in people.columns:
        names = used['participant_id'].map(people['group']).fillna('n/a').astype(str) + ' ' + names
    columns = {f'{name} (n = {len(rows)})': rows for name, rows in used.groupby(names)}
    rows = [
        (WORDS[measure], *(_spread(sessions[measure]) for sessions in columns.values()))
        for measure in measures
    ]
    summary = Table(
        ('', *columns),
        tuple(rows),
        (False, *[True] * len(columns)),
        'Mean (standard deviation; n where it is not that of the heading); '
        "d' and the criterion with the log-linear correction (0.5 added to the presses and 1 to "
        'the trials of each kind)',
    )
    doubtful = table[table['invalid_reason'].notna()]
    shown = doubtful[['participant_id', 'session_id', 'invalid_reason', 'excluded']]
    return BehaviourSection(
        summary=summary,
        flagged=Table.from_frame(
            shown.replace('', None).rename(columns={'invalid_reason': 'reason'}),
            caption='Sessions in which the task may not have been done, or of which this cannot '
            'be told; they stay in the analyses unless they are excluded',
        )
        if len(shown)
        else None,
        messages=tuple(messages),
    )


def _spread(values: pd.Series) -> str:
    found = values.dropna()
    if not len(found):
        return 'n/a'
    spread = f'{found.std():.3f}' if len(found) > 1 else 'n/a'
    n = '' if len(found) == len(values) else f'; n = {len(found)}'
    return f'{found.mean():.3f} ({spread}{n})'.replace('-', '\N{MINUS SIGN}')
