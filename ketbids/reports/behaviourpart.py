"""What a participant did, for the page of the participant."""

import math
from typing import Any

import pandas as pd

from ketbids.reports.page import Part
from ketbids.reports.tables import Table

__all__ = ['behaviour_part']

_DOUBT = 'The task may not have been done'
_NOT_KNOWN = 'Behaviour does not tell whether the task was done'
_SHARE, _TIME = 'share', 'time'
#: Rows of the table: heading, column of the numerator or value, and kind or column of the total.
_ROWS = (
    ('Go trials with a correct response', 'n_correct_go', 'n_go'),
    ('NoGo trials without a response', 'n_correct_nogo', 'n_nogo'),
    ('Go trials without a response in the window (omissions)', 'n_omissions', 'n_go'),
    ('Of them with a response outside of the window', 'n_outside', 'n_omissions'),
    ('NoGo trials with a response (commission errors)', 'n_commissions', 'n_nogo'),
    ('Rows of events that are of no kind of trial', 'n_unmatched', 0),
    ('Accuracy, all trials', 'accuracy', _SHARE),
    ('Response time, correct Go: mean (s)', 'rt_correct_go_mean', _TIME),
    ('Response time, correct Go: median (s)', 'rt_correct_go_median', _TIME),
    ('Response time, correct Go: SD (s)', 'rt_correct_go_sd', _TIME),
    ('Response time, incorrect NoGo: mean (s)', 'rt_incorrect_nogo_mean', _TIME),
    ("Sensitivity d'", 'dprime', 2),
    ('Criterion c', 'criterion', 2),
    ('Slowing after errors (s)', 'post_error_slowing', _TIME),
    ('Drift of response time (s per minute)', 'rt_drift', 4),
    ('Change of Go accuracy, second half', 'go_accuracy_drift', 2),
    ('Change of NoGo accuracy, second half', 'nogo_accuracy_drift', 2),
)
_WORDS = (
    'Did the participant do the task? Worry if Go accuracy is low, if there are few NoGo trials '
    "without a response, or if d' is near 0 (responses do not depend on the stimulus). A negative "
    'criterion is a readiness to press. Rows of no kind of trial may be misspelt types, that the '
    'counts lack: see Rename and Ignore of the model file. n/a: it cannot be computed, the file '
    'of behaviour says why.'
)


def behaviour_part(performance: pd.DataFrame) -> tuple[Part, list[str]]:
    """Show the behaviour of a session, one column per run.

    Parameters
    ----------
    performance : DataFrame
        One row per run and one, ``run`` = ``all``, for the session.

    Returns
    -------
    part : Part
    flags : list of str
        A sentence for each run, or the session, that breaks a rule of the model file, or of which
        this cannot be told.
    """
    runs = performance.to_dict('records')
    # A session of one run is that run.
    runs = runs[-1:] if len(runs) == 2 else runs
    names = [_name(run, alone=len(runs) == 1) for run in runs]
    rows = [
        (heading, *(_cell(run, value, kind) for run in runs)) for heading, value, kind in _ROWS
    ]
    rows.append(('Task done', *(_valid(run) for run in runs)))
    table = Table(
        ('', *names), tuple(rows), (False, *[True] * len(names)), 'How the task was done'
    )
    flags = [
        f'{_DOUBT if _is(run.get("valid"), False) else _NOT_KNOWN}'
        f'{"" if len(runs) == 1 else f" ({name})"}: {run["invalid_reason"]}.'
        for run, name in zip(runs, names, strict=True)
        if not _missing(run.get('invalid_reason'))
    ]
    return Part('Behaviour', _WORDS, table), flags


def _name(run: dict[Any, Any], *, alone: bool) -> str:
    if alone:
        return 'value'
    label = run['run']
    if label == 'all':
        return 'all runs'
    if _missing(label):
        return 'run'
    words = str(label).replace('_', ', ').replace('-', ' ')
    return words if '-' in str(label) else f'run {words}'


def _cell(run: dict[Any, Any], value: str, kind: str | int) -> str:
    if _missing(run.get(value)):
        return 'n/a'
    number = float(run[value])
    if kind == _SHARE:
        return f'{100 * number:.1f} %'
    if kind == _TIME or isinstance(kind, int):
        digits = kind if isinstance(kind, int) else 3
        return f'{number:z.{digits}f}'.replace('-', '\N{MINUS SIGN}')
    total = float(run[kind])
    share = f' ({100 * number / total:.1f} %)' if total else ''
    return f'{number:.0f} of {total:.0f}{share}'


def _valid(run: dict[Any, Any]) -> str:
    if _missing(run.get('valid')):
        return 'no rule' if _missing(run.get('invalid_reason')) else 'not known'
    return 'yes' if _is(run['valid'], True) else 'doubtful'


def _is(value: Any, wanted: bool) -> bool:
    return not _missing(value) and str(value).lower() == str(wanted).lower()


def _missing(value: Any) -> bool:
    return (
        value is None
        or value is pd.NA
        or value == 'n/a'
        or (isinstance(value, float) and math.isnan(value))
    )
