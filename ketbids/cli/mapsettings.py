"""How the maps of a group were made, which must be alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.io.preprocessed import AVERAGE_SURFACES
from ketbids.model import RunContrast

__all__ = ['common_settings']

#: What the sidecars of all maps of a group must agree on.
_SAME_IN_ALL = (
    'SmoothingAddedFWHM',
    'SmoothingTotalFWHM',
    'HRFModel',
    'HighPassCutoffHz',
    'DroppedVolumes',
    'Preprocessing',
    'Confounds',
    'NoiseModel',
    'NoiseSmoothingFWHM',
)

#: Heights of one event's regressor that differ more than this are of other durations.
_UNEVEN = 1.25


def common_settings(
    output_dir: Path, maps: pd.DataFrame, contrasts: Sequence[RunContrast]
) -> dict[str, Any]:
    """Give how all maps were made, from their sidecars.

    Returns
    -------
    dict
        The fields that all share; ``AverageSurfaces``, the number of maps whose participants
        have no surfaces; ``UnevenPeaks``, lowest and highest ``RegressorPeaks`` of conditions
        whose events differ between maps.

    Raises
    ------
    InputError
        If two maps of a contrast were made differently, or otherwise than the model file says.
    """
    common: dict[str, Any] = {}
    averages = 0
    peaks: dict[str, list[float]] = {}
    weights = {
        c.name: {k: float(w) for k, w in c.rows[0].items() if w}
        for c in contrasts
        if c.test == 't'
    }
    for contrast, paths in maps.groupby('contrast')['path']:
        name, first = str(contrast), dict[str, Any]()
        for path in paths:
            sidecar = read_json(output_dir / path.replace('.dscalar.nii', '.json'))
            averages += sidecar.get('Surfaces') == AVERAGE_SURFACES
            made = {key: sidecar.get(key) for key in (*_SAME_IN_ALL, 'ConditionWeights')}
            made['MeanSignal'] = 'unknown' if sidecar.get('MeanSignal') is None else 'known'
            for condition in made['ConditionWeights'] or ():
                peak = sidecar.get('RegressorPeaks', {}).get(condition)
                heights = peak if isinstance(peak, list) else [peak]
                peaks.setdefault(condition, []).extend(filter(None, heights))
            first = first or made
            for key, value in made.items():
                if value != first[key]:
                    raise InputError(
                        f'{paths.iloc[0]} and {path} were made differently: {key} is '
                        f'{first[key]!r} and {value!r}. Run the participant level for everybody '
                        'with the same options.'
                    )
        if name in weights and first['ConditionWeights'] != weights[name]:
            raise InputError(
                f'{paths.iloc[0]}: the contrast {name} is {first["ConditionWeights"]}, but the '
                f'model file says {weights[name]}. Run the participant level with it.'
            )
        common |= {key: first[key] for key in _SAME_IN_ALL}
    uneven = {c: (min(p), max(p)) for c, p in peaks.items() if p and max(p) > _UNEVEN * min(p)}
    return common | {'AverageSurfaces': averages, 'UnevenPeaks': uneven}
