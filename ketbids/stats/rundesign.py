"""Design matrices of single runs."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError

__all__ = ['HRF_MODELS', 'LONGEST_BEFORE', 'RunDesign', 'run_design']

#: Haemodynamic responses on offer, by nilearn's names.
HRF_MODELS = ('spm', 'spm + derivative', 'glover', 'glover + derivative')

#: Time grid of the convolution; nilearn's 50 lets the height of a 0.6 s event vary by 1.5 %.
_OVERSAMPLING = 200
#: Events that start longer than this before the first volume (s) leave no trace in the run.
LONGEST_BEFORE = 24.0
#: Longer than any haemodynamic response on offer (s).
_RESPONSE_LENGTH = 32.0
#: Columns lower than this share of the highest are 0.
_NOTHING = 1e-9
#: Confounds of which less than this share is new are left out.
_DEPENDENT = 1e-6


class RunDesign(NamedTuple):
    """The design of one run.

    Attributes
    ----------
    matrix : DataFrame, shape (n_volumes, n_columns)
        Conditions (each followed by its ``_derivative`` if asked for), confounds, cosines
        (``drift_1``, ...) and ``constant``; the index is the time of the volumes in s.
    conditions : tuple of str
        Conditions with trials.
    dropped : tuple of str
        Conditions without trials, which have no column.
    peaks : dict of str to float
        Height of the regressor of one isolated event of the condition's most frequent duration.
    notes : tuple of str
        What was done to the input, for the report.
    confounds : tuple of str
        Columns of confounds.
    """

    matrix: pd.DataFrame
    conditions: tuple[str, ...]
    dropped: tuple[str, ...]
    peaks: dict[str, float]
    notes: tuple[str, ...]
    confounds: tuple[str, ...] = ()


def run_design(
    coded: pd.DataFrame,
    conditions: Sequence[str],
    n_volumes: int,
    repetition_time: float,
    *,
    slice_time_ref: float = 0.5,
    hrf_model: str = 'spm',
    high_pass: float = 0.005,
    confounds: pd.DataFrame | None = None,
) -> RunDesign:
    """Build the design matrix of a run.

    Regressors are events of the file's durations, of height 1, convolved with the haemodynamic
    response and sampled at the time of each volume (nilearn's
    ``make_first_level_design_matrix``; a derivative is orthogonalised to its condition there).
    A condition without trials has no column; without any trial, there is no task in the design.

    Parameters
    ----------
    coded : DataFrame
        Columns ``onset``, ``duration`` (s) and ``condition``; rows of other conditions are not
        modelled. Onsets may be negative where first volumes were removed.
    conditions : sequence of str
        Conditions, in the order of the columns.
    n_volumes : int
        Volumes of the run.
    repetition_time : float
        Seconds from one volume to the next.
    slice_time_ref : float
        Time of a volume within its repetition time, from 0 (start) to 1.
    hrf_model : {'spm', 'spm + derivative', 'glover', 'glover + derivative'}
        Haemodynamic response.
    high_pass : float
        Cut-off of the cosines in Hz; 0 for none.
    confounds : DataFrame, shape (n_volumes, n_confounds), optional
        Regressors of no interest, of finite numbers. What depends linearly on the cosines, the
        constant and the confounds before it is left out, and noted.

    Returns
    -------
    RunDesign
        The matrix, conditions with and without trials, heights of one event's regressor.

    Raises
    ------
    InputError
        An option is out of range, an event starts after the end of the run, the confounds do not
        fit, or there are more regressors than volumes.
    """
    _check_options(conditions, n_volumes, repetition_time, slice_time_ref, hrf_model, high_pass)
    modelled, notes = _modelled_events(coded, conditions, n_volumes * repetition_time)
    present = tuple(name for name in conditions if (modelled['condition'] == name).any())
    dropped = tuple(name for name in conditions if name not in present)
    if not present:
        notes.append(f'no event of the run belongs to a condition ({", ".join(conditions)})')
    extra = _confounds(confounds, n_volumes)
    frame_times = (np.arange(n_volumes, dtype=np.float64) + slice_time_ref) * repetition_time
    matrix = _convolved(modelled, present, frame_times, hrf_model, high_pass)
    clash = sorted(set(matrix.columns) & set(extra.columns))
    if clash:
        raise InputError(
            f'Confound columns have the names of design columns: {", ".join(clash)}. Rename them.'
        )
    extra.index = matrix.index
    n_task = sum(1 + ('derivative' in hrf_model) for _ in present)
    task, drifts = matrix.iloc[:, :n_task], matrix.iloc[:, n_task:]
    n_columns = matrix.shape[1] + extra.shape[1]
    if n_columns >= n_volumes:
        raise InputError(
            f'{n_columns} regressors ({n_task} of the task, {extra.shape[1]} confounds, '
            f'{drifts.shape[1]} drifts and constant) for {n_volumes} volumes leave no residual '
            'degrees of freedom: choose fewer confounds with --confounds.'
        )
    extra, left_out = _independent(extra, drifts)
    if left_out:
        notes.append(
            'confounds that depend linearly on other regressors, left out: ' + ', '.join(left_out)
        )
    peaks = {}
    for name in present:
        durations = modelled.loc[modelled['condition'] == name, 'duration']
        duration = float(durations.round(3).mode().iloc[0])
        peaks[name] = _peak(duration, repetition_time, hrf_model)
    whole = pd.concat([task, extra, drifts], axis=1)
    return RunDesign(whole, present, dropped, peaks, tuple(notes), tuple(extra.columns))


def _check_options(
    conditions: Sequence[str],
    n_volumes: int,
    repetition_time: float,
    slice_time_ref: float,
    hrf_model: str,
    high_pass: float,
) -> None:
    if hrf_model not in HRF_MODELS:
        raise InputError(
            f'There is no haemodynamic response {hrf_model!r}; choose from: '
            f'{", ".join(HRF_MODELS)}.'
        )
    if not (np.isfinite(repetition_time) and repetition_time > 0):
        raise InputError(
            f'The repetition time is {repetition_time} s; it must be more than 0: correct the '
            'sidecar or header of the run.'
        )
    if n_volumes < 2:
        raise InputError(f'The run has {n_volumes} volumes; a design needs at least 2.')
    if not 0 <= slice_time_ref <= 1:
        raise InputError(f'The slice time reference is {slice_time_ref}; it must be 0 to 1.')
    nyquist = 0.5 / repetition_time
    if not 0 <= high_pass < nyquist:
        raise InputError(
            f'The high-pass cut-off is {high_pass} Hz; at a repetition time of '
            f'{repetition_time} s it must be 0 or more and less than {nyquist:g} Hz.'
        )
    if not conditions or len(set(conditions)) != len(conditions):
        raise InputError(
            f'The conditions must be different names, at least one; there are: '
            f'{", ".join(conditions) or "none"}.'
        )


def _modelled_events(
    coded: pd.DataFrame, conditions: Sequence[str], run_length: float
) -> tuple[pd.DataFrame, list[str]]:
    modelled = coded.loc[coded['condition'].isin(list(conditions))]
    modelled = modelled[['onset', 'duration', 'condition']].reset_index(drop=True)
    late = modelled.loc[modelled['onset'] >= run_length]
    if len(late):
        row = late.iloc[-1]
        raise InputError(
            f'{len(late)} events start after the run has ended (the last, {row["condition"]}, at '
            f'{row["onset"]:g} s; the volumes last {run_length:g} s): the events belong to '
            'another run, volumes are missing, or the repetition time is wrong.'
        )
    notes = []
    early = modelled['onset'] < -LONGEST_BEFORE
    if early.any():
        notes.append(
            f'events more than {LONGEST_BEFORE:g} s before the first volume, left out: '
            f'{int(early.sum())}'
        )
        modelled = modelled.loc[~early].reset_index(drop=True)
    repeated = modelled.duplicated()
    if repeated.any():
        notes.append(f'events repeated in the file, modelled once: {int(repeated.sum())}')
        modelled = modelled.loc[~repeated].reset_index(drop=True)
    impulses = modelled.loc[modelled['duration'] == 0, 'condition'].value_counts()
    notes.extend(
        f'events of {name} with duration 0, modelled as impulses of 1/{_OVERSAMPLING} of the '
        f'repetition time: {count}'
        for name, count in impulses.items()
    )
    return modelled, notes


def _confounds(confounds: pd.DataFrame | None, n_volumes: int) -> pd.DataFrame:
    if confounds is None:
        return pd.DataFrame(index=range(n_volumes))
    if len(confounds) != n_volumes:
        raise InputError(
            f'The confounds have {len(confounds)} rows, the run has {n_volumes} volumes: give '
            'the confounds of this run, cut as its volumes are.'
        )
    for name in confounds.columns:
        bad = np.flatnonzero(~np.isfinite(confounds[name].to_numpy(np.float64)))
        if len(bad):
            raise InputError(
                f'Confound {name} has no number in row {bad[0] + 1} '
                f'({confounds[name].iloc[bad[0]]}): correct or leave out the column.'
            )
    return confounds.copy()


def _independent(confounds: pd.DataFrame, base: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep the confounds that say something new; give the names of the others.

    Two spikes at one volume, or a signal that is a cosine, are no reason to refuse a run. Gram
    and Schmidt's procedure, done twice for precision.
    """
    values = base.to_numpy(np.float64)
    basis = np.linalg.qr(values / np.linalg.norm(values, axis=0))[0]
    left_out = []
    for name in confounds.columns:
        column = confounds[name].to_numpy(np.float64)
        rest = column / (np.linalg.norm(column) or 1)
        for _ in range(2):
            rest = rest - basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size < _DEPENDENT:
            left_out.append(str(name))
        else:
            basis = np.column_stack([basis, rest / size])
    return confounds.drop(columns=left_out), left_out


def _convolved(
    modelled: pd.DataFrame,
    present: Sequence[str],
    frame_times: npt.NDArray[np.float64],
    hrf_model: str,
    high_pass: float,
) -> pd.DataFrame:
    # Slow to import (1.5 s), and needed here only.
    from nilearn.glm.first_level import make_first_level_design_matrix

    # nilearn sorts conditions by name, and some names surprise it: ours go in under codes.
    codes = {name: f'c{number:04d}' for number, name in enumerate(present)}
    events = modelled.assign(trial_type=modelled['condition'].map(codes))
    # A column that is 0 throughout has no condition number.
    with warnings.catch_warnings(), np.errstate(divide='ignore', invalid='ignore'):
        # Impulses are in the notes of the design already.
        warnings.filterwarnings('ignore', message='.*null duration')
        # What cannot be told apart is found and named with the contrasts.
        warnings.filterwarnings('ignore', message='Matrix is singular')
        matrix = make_first_level_design_matrix(
            frame_times,
            events[['onset', 'duration', 'trial_type']] if present else None,
            hrf_model=hrf_model,
            drift_model='cosine' if high_pass > 0 else None,
            high_pass=high_pass,
            min_onset=-LONGEST_BEFORE - 1,
            oversampling=_OVERSAMPLING,
        )
    names = {code: name for name, code in codes.items()}
    names.update({f'{code}_derivative': f'{name}_derivative' for name, code in codes.items()})
    # Nilearn adds rounding errors to columns that are 0 or 1 throughout.
    matrix = matrix.rename(columns=names).assign(constant=1.0)
    size = matrix.abs().max()
    matrix.loc[:, size < _NOTHING * size.max()] = 0.0
    return matrix


def _peak(duration: float, repetition_time: float, hrf_model: str) -> float:
    """Maximum of the regressor of one event, sampled ten times per volume."""
    from nilearn.glm.first_level import compute_regressor

    step = repetition_time / 10
    times = np.arange(0, duration + _RESPONSE_LENGTH + step, step)
    # The oversampling keeps the time grid of the design, on which an impulse has its length.
    regressor, _ = compute_regressor(
        (np.zeros(1), np.full(1, duration), np.ones(1)),
        hrf_model.split(' ')[0],
        times,
        oversampling=_OVERSAMPLING // 10,
        min_onset=0,
    )
    return float(regressor[:, 0].max())
