"""What the design of a run promises, before anything is fitted: collinearity and efficiency."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.linalg

from ketbids.stats.eventtiming import EventSpan, Message, timing_messages
from ketbids.stats.runcontrasts import ContrastWeights, contrast_variance
from ketbids.stats.rundesign import RunDesign

__all__ = [
    'FEW_DEGREES',
    'VIF_ALARM',
    'VIF_WARN',
    'ContrastCheck',
    'DesignChecks',
    'RegressorCheck',
]
__all__ += ['contrast_vif', 'design_checks', 'vif_level']

#: Variance inflation above which a design is doubtful, and above which it is bad: the limits in
#: common use.
VIF_WARN, VIF_ALARM = 5.0, 10.0
#: Degrees of freedom below which the default noise model lets t be too large (docs/firstlevel.md).
FEW_DEGREES = 100
#: With fewer trials than this, a contrast is marked: one bad trial decides.
_FEW = 5
#: A regressor lower than this share of one event's has its responses after the end of the run.
_CUT_OFF = 0.5
#: Share of a column's height by which it must vary to have correlations.
_CONSTANT = 1e-9

Level = Literal['ok', 'warn', 'alarm']


class RegressorCheck(NamedTuple):
    """One regressor of the task.

    Attributes
    ----------
    name : str
        Column of the design.
    trials : int
        Trials of its condition.
    vif : float or None
        Variance inflation; None: it depends linearly on other columns, or there is no column.
    level : {'ok', 'warn', 'alarm'}
    correlation : float or None
        Largest in magnitude with another regressor of the task.
    partner : str
        The regressor that it is with.
    mark : str
        What is wrong; empty: nothing.
    """

    name: str
    trials: int
    vif: float | None
    level: Level
    correlation: float | None
    partner: str
    mark: str

    @property
    def few(self) -> bool:
        """Whether it is marked for its few trials."""
        return self.mark == _few_mark(self.trials)


class ContrastCheck(NamedTuple):
    """One contrast.

    Attributes
    ----------
    name : str
    vif : float or None
        Variance inflation (`contrast_vif`); None: not estimable.
    efficiency : float or None
        1 / trace(C (X'X)^-1 C'), for white noise of variance 1 (Dale 1999, Hum Brain Mapp 8:109).
    level : {'ok', 'warn', 'alarm'}
    mark : str
        Few trials, or why it is not estimable; empty: nothing.
    """

    name: str
    vif: float | None
    efficiency: float | None
    level: Level
    mark: str


class DesignChecks(NamedTuple):
    """What was found.

    Attributes
    ----------
    regressors : tuple of RegressorCheck
        Conditions (and derivatives) in the order of the design, then conditions without trials.
    contrasts : tuple of ContrastCheck
    correlations : DataFrame, shape (n_task, n_task + n_others)
        Of the regressors of the task with each other and with all others that vary; those of one
        that does not vary are 0, also with itself.
    span : EventSpan or None
        Where the events lie in the run.
    messages : tuple of Message
        Warnings and alarms.
    """

    regressors: tuple[RegressorCheck, ...]
    contrasts: tuple[ContrastCheck, ...]
    correlations: pd.DataFrame
    span: EventSpan | None
    messages: tuple[Message, ...]

    @property
    def few(self) -> dict[str, str]:
        """Reason by contrast, of those that can be estimated but rest on few trials."""
        return {c.name: c.mark for c in self.contrasts if c.vif is not None and c.mark}

    def to_dict(self) -> dict[str, Any]:
        """Give plain values that JSON can hold."""
        return {
            'regressors': [check._asdict() for check in self.regressors],
            'contrasts': [check._asdict() for check in self.contrasts],
            'correlations': {
                'names': list(self.correlations.index),
                'columns': list(self.correlations.columns),
                'values': self.correlations.to_numpy().tolist(),
            },
            'span': None if self.span is None else self.span._asdict(),
            'messages': [message._asdict() for message in self.messages],
        }


def design_checks(
    design: RunDesign,
    contrasts: ContrastWeights,
    trials: pd.DataFrame,
    repetition_time: float,
    *,
    drop_volumes: int = 0,
    raw_volumes: int | None = None,
) -> DesignChecks:
    """Check the design of a run.

    Parameters
    ----------
    design : RunDesign
    contrasts : ContrastWeights
        Its contrasts.
    trials : DataFrame
        Coded trials: ``onset``, ``duration`` (s, after the first volume that is left),
        ``condition``, and ``status`` if there is one.
    repetition_time : float
        Seconds.
    drop_volumes : int
        Volumes that were removed from the start, as the user says.
    raw_volumes : int, optional
        Volumes of the raw image, if it is there.

    Returns
    -------
    DesignChecks
    """
    counts = {
        name: int((trials['condition'] == name).sum())
        for name in (*design.conditions, *design.dropped)
    }
    task = [c for c in design.matrix.columns if _condition_of(c, design.conditions) is not None]
    correlations = _correlations(design.matrix, task)
    regressors = [_regressor(name, design, counts, correlations) for name in task]
    regressors += [
        RegressorCheck(name, 0, None, 'warn', None, '', 'no trial: not in the design')
        for name in design.dropped
    ]
    few = _few_trials(contrasts, design, counts)
    checked = [
        _contrast(name, weights, design.matrix, contrasts.reasons.get(name, few.get(name, '')))
        for name, weights in contrasts.weights.items()
    ]
    n_volumes = len(design.matrix)
    span = EventSpan.of_trials(trials, n_volumes, repetition_time)
    messages = [*_vif_messages(regressors, checked), *_mark_messages(regressors, checked)]
    messages += _freedom_messages(design.matrix)
    messages += timing_messages(
        span, n_volumes, drop_volumes=drop_volumes, raw_volumes=raw_volumes
    )
    return DesignChecks(tuple(regressors), tuple(checked), correlations, span, tuple(messages))


def _few_trials(
    contrasts: ContrastWeights, design: RunDesign, counts: Mapping[str, int]
) -> dict[str, str]:
    """Say which contrasts can be estimated, but rest on very few trials.

    Parameters
    ----------
    contrasts : ContrastWeights
    design : RunDesign
    counts : mapping of str to int
        Trials of each condition.

    Returns
    -------
    dict of str to str
        Reason by contrast.
    """
    found = {}
    columns = list(design.matrix.columns)
    for name, weights in contrasts.weights.items():
        if weights is None:
            continue
        used = {
            _condition_of(columns[k], design.conditions) for k in np.flatnonzero(weights.any(0))
        }
        parts = [
            f'{_number(counts[c])} of {c}'
            for c in design.conditions
            if c in used and counts[c] < _FEW
        ]
        if parts:
            found[name] = f'rests on {" and ".join(parts)}'
    return found


def contrast_vif(matrix: npt.ArrayLike, weights: npt.ArrayLike) -> float | None:
    """Variance inflation of a contrast.

    The variance of the contrast in the design, by the one that it would have if the columns were
    not correlated: c (X'X)^-1 c' / c diag(X'X)^-1 c', X with centred columns (Mumford et al.
    2025, Imaging Neuroscience, appendix C; here in the units of the design, so that it is the
    ratio for the very contrast that is tested). The weights of one column alone give the
    regressor's own VIF, 1 / (1 - R^2). Differences of regressors that are correlated negatively
    have less than 1. Several rows (F): the largest ratio of all their linear combinations.

    Parameters
    ----------
    matrix : array_like, shape (n_volumes, n_columns)
        Design with a constant.
    weights : array_like, shape (q, n_columns) or (n_columns,)
        Weights; none of the constant.

    Returns
    -------
    float or None
        None if it is not estimable.
    """
    x = np.asarray(matrix, dtype=np.float64)
    c = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    variance = contrast_variance(x, c)
    if variance is None:
        return None
    squares = ((x - x.mean(axis=0)) ** 2).sum(axis=0)
    used = c.any(axis=0)
    if (squares[used] <= 0).any():
        return None
    ideal = (c[:, used] / squares[used]) @ c[:, used].T
    return float(scipy.linalg.eigh(variance, ideal, eigvals_only=True)[-1])


def vif_level(vif: float | None) -> Level:
    """Judge a variance inflation; None (not estimable) is an alarm."""
    if vif is None or vif > VIF_ALARM:
        return 'alarm'
    return 'warn' if vif > VIF_WARN else 'ok'


def _condition_of(column: str, conditions: Sequence[str]) -> str | None:
    if column in conditions:
        return column
    base = column.removesuffix('_derivative')
    return base if base != column and base in conditions else None


def _correlations(matrix: pd.DataFrame, task: Sequence[str]) -> pd.DataFrame:
    values = matrix.to_numpy(dtype=np.float64)
    varies = np.ptp(values, axis=0) > _CONSTANT * np.abs(values).max(axis=0)
    values = values - values.mean(axis=0)
    values = np.where(varies, values / np.where(varies, np.linalg.norm(values, axis=0), 1), 0)
    columns = list(matrix.columns)
    rows = [columns.index(name) for name in task]
    others = [k for k in range(len(columns)) if k not in rows and varies[k]]
    table = pd.DataFrame(values.T @ values, index=columns, columns=columns)
    return table.iloc[rows, [*rows, *others]]


def _regressor(
    name: str, design: RunDesign, counts: Mapping[str, int], correlations: pd.DataFrame
) -> RegressorCheck:
    matrix = design.matrix
    condition = _condition_of(name, design.conditions)
    assert condition is not None
    vif = contrast_vif(matrix, (matrix.columns == name).astype(float))
    others = [other for other in correlations.index if other != name]
    values = correlations.loc[[name], others].to_numpy()[0]
    nearest = int(np.abs(values).argmax()) if others else 0
    partner = others[nearest] if others else ''
    level, mark = vif_level(vif), ''
    if not matrix[name].any():
        level, mark = 'alarm', 'is 0 throughout: its response comes after the end of the run'
    elif vif is None:
        mark = 'depends linearly on other regressors'
    elif name == condition and matrix[name].max() < _CUT_OFF * design.peaks[condition]:
        level, mark = 'alarm', 'has most of its response after the end of the run'
    elif name == condition and counts[condition] < _FEW:
        level, mark = ('warn' if level == 'ok' else level), _few_mark(counts[condition])
    largest = float(values[nearest]) if others else None
    return RegressorCheck(name, counts[condition], vif, level, largest, partner, mark)


def _contrast(
    name: str, weights: npt.NDArray[np.float64] | None, matrix: pd.DataFrame, mark: str
) -> ContrastCheck:
    variance = None if weights is None else contrast_variance(matrix, weights)
    if weights is None or variance is None:
        return ContrastCheck(name, None, None, 'alarm', mark)
    vif = contrast_vif(matrix, weights)
    level = vif_level(vif)
    if mark and level == 'ok':
        level = 'warn'
    return ContrastCheck(name, vif, float(1 / np.trace(variance)), level, mark)


def _vif_messages(
    regressors: Sequence[RegressorCheck], contrasts: Sequence[ContrastCheck]
) -> list[Message]:
    """One message per level; derivatives stand in the table only."""
    found = []
    limits: tuple[tuple[Level, float], ...] = (('alarm', VIF_ALARM), ('warn', VIF_WARN))
    for level, limit in limits:
        parts = []
        for kind, checks in (('regressor', regressors), ('contrast', contrasts)):
            named = [
                f'{check.name} ({check.vif:.1f})'
                for check in checks
                if check.vif is not None
                and vif_level(check.vif) == level
                and not check.name.endswith('_derivative')
            ]
            if named:
                parts.append(f'{kind}{"s" if len(named) > 1 else ""} {", ".join(named)}')
        if parts:
            text = (
                f'Variance inflation (VIF) above {limit:g}: {"; ".join(parts)}. The data hardly '
                'tell these from the rest of the design.'
            )
            found.append(Message(level, text, 'design'))
    return found


def _freedom_messages(matrix: pd.DataFrame) -> list[Message]:
    """Warn of a run that is short for its model: the noise is then not known well enough."""
    values = matrix.to_numpy(np.float64)
    sizes = np.linalg.norm(values, axis=0)
    left = len(values) - int(np.linalg.matrix_rank(values[:, sizes > 0] / sizes[sizes > 0]))
    if left >= FEW_DEGREES:
        return []
    text = (
        f'{len(values)} volumes leave {left} degrees of freedom: with fewer than {FEW_DEGREES} '
        'the noise is estimated badly, and t, F and z are somewhat too large. Fewer confounds '
        'leave more.'
    )
    return [Message('warn', text, 'design')]


def _mark_messages(
    regressors: Sequence[RegressorCheck], contrasts: Sequence[ContrastCheck]
) -> list[Message]:
    found = []
    for check in regressors:
        if check.trials == 0:
            text = f'No trial of {check.name}: the condition is not in the design.'
            found.append(Message('warn', text, 'design'))
        elif check.level == 'alarm' and check.mark and not check.name.endswith('_derivative'):
            found.append(Message('alarm', _sentence(check), 'design'))
        elif check.few:
            found.append(Message('warn', _sentence(check), 'design'))
    for contrast in contrasts:
        if contrast.vif is None:
            text = f'The contrast {contrast.name} cannot be estimated: {contrast.mark}.'
            found.append(Message('alarm', text, 'design'))
        elif contrast.mark:
            text = f'The contrast {contrast.name} {contrast.mark}: a single trial decides much.'
            found.append(Message('warn', text, 'design'))
    return found


def _sentence(check: RegressorCheck) -> str:
    if check.few:
        return f'{check.name} has {check.mark}: a single trial decides much.'
    return f'The regressor {check.name} {check.mark}.'


def _few_mark(trials: int) -> str:
    return f'{_number(trials)} only'


def _number(trials: int) -> str:
    return 'one trial' if trials == 1 else f'{trials} trials'
