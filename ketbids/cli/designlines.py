"""The design of a run as lines of text for a terminal."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ketbids.interfaces.motion import motion_summary, movement_columns
from ketbids.interfaces.rundesign import RunPlan
from ketbids.io.timing import RunTiming
from ketbids.stats.designchecks import VIF_ALARM, VIF_WARN

__all__ = ['design_lines', 'design_picture', 'movement_line']

#: Reasons that a kind of rows is shown with.
_REASONS = 4
#: Characters that a run is drawn with, and how high a regressor is: where the terminal has no
#: blocks, by how dark a character is.
_WIDTH = 60
_BLOCKS, _DARK = ' \N{LOWER ONE EIGHTH BLOCK}\N{LOWER ONE QUARTER BLOCK}', ' .:-=+*#@'
_BLOCKS += ''.join(chr(0x2583 + k) for k in range(6))


def design_lines(
    counts: pd.DataFrame, plan: RunPlan, timing: RunTiming, tests: Mapping[str, str]
) -> list[str]:
    """Write trials, size of the design, and tables of its regressors and contrasts.

    Parameters
    ----------
    counts : DataFrame
        Where every row of the events file went.
    plan : RunPlan
    timing : RunTiming
    tests : mapping of str to str
        ``t`` or ``F`` by contrast.
    """
    return [
        *_counts(counts),
        _size(plan, timing),
        *_regressors(plan),
        *_contrasts(plan, tests),
    ]


def design_picture(regressors: Mapping[str, Sequence[float]]) -> list[str]:
    """Draw regressors over time, one line each, from the start to the end of the run.

    Parameters
    ----------
    regressors : mapping of str to sequence of float
        Each drawn up to its own maximum; what is negative is blank.
    """
    if not regressors:
        return []
    ramp = _BLOCKS if _can_write(_BLOCKS) else _DARK
    width = max(map(len, regressors))
    lines = ['over the run, each up to its own maximum:']
    for name, values in regressors.items():
        parts = np.array_split(np.asarray(values, float), min(_WIDTH, len(values)))
        heights = np.array([max(part.max(), 0.0) for part in parts])
        steps = np.ceil((len(ramp) - 1) * heights / (heights.max() or 1.0)).astype(int)
        lines.append(f'  {name.ljust(width)} |{"".join(ramp[step] for step in steps)}|')
    return lines


def movement_line(
    confounds: Path | None, timing: RunTiming, origin: Literal['hcp', 'fmriprep']
) -> str:
    """Write the mean framewise displacement of a run, or why it is not known.

    Parameters
    ----------
    confounds : Path or None
        Table with the head movement.
    timing : RunTiming
    origin : {'hcp', 'fmriprep'}
        Who preprocessed the run.
    """
    columns, reasons, _ = movement_columns(
        confounds, timing.n_volumes, origin, timing.repetition_time
    )
    facts = motion_summary(columns)
    parts = []
    for fact, column, words in (
        ('MeanFramewiseDisplacement', 'framewise_displacement', 'mean FD'),
        ('MeanFramewiseDisplacementFiltered', 'framewise_displacement_filtered', 'filtered'),
    ):
        why = reasons.get(column, 'a value is missing').rstrip('.')
        value = facts[fact]
        parts.append(f'{words} n/a ({why})' if value is None else f'{words} {value:.3f} mm')
    share = facts['ShareAboveFramewiseDisplacementLimit']
    if share is not None:
        parts.append(f'{100 * share:.1f} % above {facts["FramewiseDisplacementLimit"]:g} mm')
    elif len(set(reasons.values())) == 1:
        parts = [f'FD and filtered FD n/a ({next(iter(reasons.values())).rstrip(".")})']
    return f'movement: {", ".join(parts)}'


def _can_write(text: str) -> bool:
    for stream in (sys.stdout, sys.stderr):
        try:
            text.encode(getattr(stream, 'encoding', None) or 'ascii')
        except (UnicodeEncodeError, LookupError):
            return False
    return True


def _counts(counts: pd.DataFrame) -> Iterator[str]:
    """Trials of each condition, and where the other rows of the events file went."""
    trials = counts[counts['status'] == 'trial'].groupby('condition', sort=False)['n_rows'].sum()
    parts = ', '.join(f'{name} {n}' for name, n in trials.items())
    yield f'trials: {parts} ({int(trials.sum())} of {int(counts["n_rows"].sum())} rows)'
    others = counts[(counts['status'] != 'trial') & (counts['n_rows'] > 0)]
    for status, rows in others.groupby('status', sort=False):
        reasons = rows.sort_values('n_rows', ascending=False, kind='stable')
        told = [f'{row["reason"]} {row["n_rows"]}' for _, row in reasons.iterrows()]
        more = ['...'] if len(told) > _REASONS else []
        said = '; '.join([*told[:_REASONS], *more])
        yield f'{status}: {int(rows["n_rows"].sum())} rows ({said})'


def _size(plan: RunPlan, timing: RunTiming) -> str:
    n_volumes, n_columns = plan.design.matrix.shape
    n_task = len(plan.checks.correlations)
    drifts = n_columns - n_task - len(plan.design.confounds) - 1
    length = n_volumes * timing.repetition_time
    return (
        f'design: {n_volumes} volumes of {timing.repetition_time:g} s ({length:g} s), '
        f'{n_columns} columns: {n_task} of the task, {len(plan.design.confounds)} confounds, '
        f'{drifts} drifts, 1 constant'
    )


def _regressors(plan: RunPlan) -> list[str]:
    """Table of the regressors of the task with their correlations."""
    correlations, rows = plan.checks.correlations, []
    names = list(correlations.index)
    for check in plan.checks.regressors:
        label = (
            f'{names.index(check.name) + 1} {check.name}' if check.name in names else check.name
        )
        row = [label, str(check.trials), _vif(check.vif)]
        if check.name in names:
            before = names[: names.index(check.name) + 1]
            row += [f'{r:.2f}' for r in correlations.loc[check.name, before]]
        rows.append((row, check.mark))
    numbers = [str(k + 1) for k in range(len(names))]
    return _table(['regressor', 'trials', 'VIF', *numbers], rows)


def _contrasts(plan: RunPlan, tests: Mapping[str, str]) -> list[str]:
    rows = []
    for check in plan.checks.contrasts:
        efficiency = 'n/a' if check.efficiency is None else f'{check.efficiency:.3g}'
        mark = f'cannot be estimated: {check.mark}' if check.vif is None else check.mark
        rows.append(([check.name, tests[check.name], _vif(check.vif), efficiency], mark))
    return _table(['contrast', 'test', 'VIF', 'efficiency'], rows)


def _vif(vif: float | None) -> str:
    if vif is None:
        return 'n/a'
    mark = ' alarm' if vif > VIF_ALARM else ' warn' if vif > VIF_WARN else ''
    return f'{vif:.2f}{mark}'


def _table(header: Sequence[str], rows: Sequence[tuple[list[str], str]]) -> list[str]:
    """Lines in columns: names to the left, numbers to the right, remarks after them."""
    widths = [
        max(len(header[k]), *(len(row[k]) if k < len(row) else 0 for row, _ in rows))
        for k in range(len(header))
    ]

    def line(cells: Sequence[str], mark: str = '') -> str:
        parts = [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=False))
        ]
        return '  '.join(['', *parts, mark] if mark else ['', *parts]).rstrip()

    return [line(header), *(line(row, mark) for row, mark in rows)] if rows else []
