"""How still a run is: framewise displacement, without breathing too, and DVARS."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from nipype.interfaces.base import File, SimpleInterface, TraitedSpec, isdefined, traits

from ketbids.errors import InputError
from ketbids.interfaces.rundesign import TimedInputSpec, paths
from ketbids.io.cifti import series_blocks
from ketbids.io.confounds import read_confounds, read_movement
from ketbids.io.tables import write_table
from ketbids.io.timing import run_timing
from ketbids.stats.confounds import current_names
from ketbids.stats.motion import BREATHING, filtered_displacement, framewise_displacement
from ketbids.stats.quality import MOTION_LIMIT, series_quality, summarize_motion

__all__ = ['RunQuality', 'by_fact', 'motion_columns', 'motion_summary']
__all__ += ['movement_columns', 'plain_number']

Floats = npt.NDArray[np.float64]

#: Columns of the table.
_DISPLACEMENT, _FILTERED = 'framewise_displacement', 'framewise_displacement_filtered'
_DVARS = 'dvars'
_NO_MOVEMENT = 'There is no table of the head movement.'
_MEAN = 'MeanFramewiseDisplacement'
_MEAN_FILTERED = 'MeanFramewiseDisplacementFiltered'


class _RunQualityInputSpec(TimedInputSpec):
    confounds_file = File(exists=True, desc='confounds of the run, or Movement_Regressors.txt')
    origin = traits.Enum('hcp', 'fmriprep', usedefault=True, desc='who preprocessed the run')
    descriptions = traits.Dict(
        traits.Str, traits.Dict, usedefault=True, desc='data dictionary of all columns'
    )


class _RunQualityOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='table, one row per volume')
    dictionary = traits.List(traits.Dict, desc='data dictionary of the table')
    facts = traits.Dict(desc='what can be said of the whole run; None is explained in it')


class RunQuality(SimpleInterface):
    """Tell how much the head and the signal of a run move from volume to volume.

    fMRIPrep's own framewise displacement and DVARS are taken where its table has them; all else
    is computed, DVARS from the time series as it is analysed, before smoothing. The first volume
    has no value; a column that cannot be computed has none, and the data dictionary says why.
    """

    input_spec = _RunQualityInputSpec
    output_spec = _RunQualityOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i = self.inputs
        timing = run_timing(Path(i.series_file), paths(i.sidecars))
        n_volumes = timing.n_volumes
        path = Path(i.confounds_file) if isdefined(i.confounds_file) else None
        columns, reasons, own = movement_columns(path, n_volumes, i.origin, timing.repetition_time)
        if _DVARS not in columns:
            columns[_DVARS], lacking = _dvars(Path(i.series_file), n_volumes)
            reasons |= {_DVARS: lacking} if lacking else {}
        names = (_DISPLACEMENT, _FILTERED, _DVARS)
        out_file, *_ = write_table(
            Path(runtime.cwd) / 'motion.tsv', pd.DataFrame({name: columns[name] for name in names})
        )
        self._results.update(
            out_file=str(out_file),
            dictionary=[_dictionary(i.descriptions, names, own, reasons)],
            facts=_facts(columns, reasons),
        )
        return runtime


def movement_columns(
    path: Path | None, n_volumes: int, origin: Literal['hcp', 'fmriprep'], repetition_time: float
) -> tuple[dict[str, Floats], dict[str, str], tuple[str, ...]]:
    """Give what the table of confounds tells of the movement; nothing in it fails a run.

    Parameters
    ----------
    path : Path or None
        Confounds of the run, or ``Movement_Regressors.txt``.
    n_volumes : int
    origin : {'hcp', 'fmriprep'}
        Who preprocessed the run.
    repetition_time : float
        Seconds; NaN if unknown.

    Returns
    -------
    columns : dict of str to ndarray, shape (n_volumes,)
        By name of the column; NaN what is not known.
    reasons : dict of str to str
        Why a column is NaN throughout.
    own : tuple of str
        Columns that fMRIPrep computed.
    """
    if path is None:
        reasons = dict.fromkeys((_DISPLACEMENT, _FILTERED), _NO_MOVEMENT)
        return {name: np.full(n_volumes, np.nan) for name in reasons}, reasons, ()
    columns, reasons, lacking = _displacements(path, n_volumes, origin, repetition_time)
    own = _own(path, n_volumes) if origin == 'fmriprep' else {}
    if lacking and _DISPLACEMENT in own:
        del reasons[_DISPLACEMENT]
    return columns | own, reasons, tuple(own)


def motion_columns(
    movement: npt.ArrayLike, repetition_time: float
) -> tuple[dict[str, Floats], dict[str, str]]:
    """Compute framewise displacement with and without breathing.

    Parameters
    ----------
    movement : array_like, shape (n_volumes, 6)
        Translations in mm, rotations in degrees.
    repetition_time : float
        Seconds; NaN if unknown.

    Returns
    -------
    columns : dict of str to ndarray, shape (n_volumes,)
        By name of the column, mm; NaN in the first row.
    reasons : dict of str to str
        Why a column is NaN throughout.
    """
    displacement = framewise_displacement(movement)
    filtered = filtered_displacement(movement, repetition_time)
    values = filtered.values
    displacement[:1] = values[:1] = np.nan
    reasons = {_FILTERED: _sentence(filtered.reason)} if filtered.reason else {}
    return {_DISPLACEMENT: displacement, _FILTERED: values}, reasons


def motion_summary(columns: dict[str, Floats]) -> dict[str, Any]:
    """Describe a run by its displacements: plain values for a JSON file, None if not known."""
    motion = summarize_motion(columns[_DISPLACEMENT])
    return {
        _MEAN: plain_number(motion.mean),
        'FramewiseDisplacementLimit': MOTION_LIMIT,
        'ShareAboveFramewiseDisplacementLimit': (
            plain_number(motion.share_above) if np.isfinite(motion.mean) else None
        ),
        _MEAN_FILTERED: plain_number(summarize_motion(columns[_FILTERED]).mean),
        'BreathingBand': list(BREATHING),
    }


def by_fact(reasons: dict[str, str]) -> dict[str, str]:
    """Turn the reasons why columns have no values into those why their means have none."""
    means = {_DISPLACEMENT: _MEAN, _FILTERED: _MEAN_FILTERED, _DVARS: 'MeanDVARS'}
    return {means[name]: reason for name, reason in reasons.items()}


def plain_number(value: float | np.floating[Any]) -> float | None:
    """Give a number as JSON has it; null is no number."""
    return float(f'{float(value):.6g}') if np.isfinite(value) else None


def _displacements(
    path: Path, n_volumes: int, origin: Any, repetition_time: float
) -> tuple[dict[str, Floats], dict[str, str], bool]:
    """Displacements of a table, if it has the movement: no reason to fail a run that is fitted."""
    try:
        movement = read_movement(path, n_volumes, origin)
    except InputError as error:
        nothing = {name: np.full(n_volumes, np.nan) for name in (_DISPLACEMENT, _FILTERED)}
        return nothing, dict.fromkeys(nothing, str(error)), True
    return *motion_columns(movement.to_numpy(), repetition_time), False


def _own(path: Path, n_volumes: int) -> dict[str, Floats]:
    """Columns that fMRIPrep computed itself."""
    try:
        table = current_names(read_confounds(path, n_volumes, 'fmriprep').table)
    except InputError:  # the displacements say so
        return {}
    return {
        name: table[name].to_numpy(np.float64)
        for name in (_DISPLACEMENT, _DVARS)
        if name in table.columns and pd.api.types.is_numeric_dtype(table[name])
    }


def _dvars(series: Path, n_volumes: int) -> tuple[Floats, str]:
    if n_volumes < 3:
        return np.full(n_volumes, np.nan), f'The run has {n_volumes} volumes; 3 are needed.'
    values = series_quality(series_blocks(series), n_volumes).dvars
    return values, '' if np.isfinite(values).any() else 'No grayordinate has data.'


def _dictionary(
    descriptions: dict[str, dict[str, Any]],
    names: tuple[str, ...],
    own: tuple[str, ...],
    reasons: dict[str, str],
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {name: dict(descriptions.get(name, {})) for name in names}
    found[_FILTERED]['BreathingBand'] = list(BREATHING)
    for name in own:
        found[name]['Description'] = 'As fMRIPrep computed it, in the volume.'
    for name, reason in reasons.items():
        found[name]['NotAvailable'] = reason
    return found


def _facts(columns: dict[str, Floats], reasons: dict[str, str]) -> dict[str, Any]:
    dvars = columns[_DVARS][1:]
    return {
        **motion_summary(columns),
        'MeanDVARS': plain_number(np.mean(dvars)) if len(dvars) else None,
        'NotAvailable': by_fact(reasons),
    }


def _sentence(text: str) -> str:
    return f'{text[:1].upper()}{text[1:]}.'
