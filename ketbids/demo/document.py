"""truth.json: what is planted and where, in terms that a comparison can read."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ketbids.demo.sample import REMISSION, Sample
from ketbids.demo.tables import packaged
from ketbids.demo.truth import Planted

__all__ = ['decode', 'encode', 'truth_document']

_SIZES = ('baseline', 'acute', 'serial', 'scatter')
_PRECENTRAL = ['leftPrecentral', 'rightPrecentral']


def encode(mask: npt.NDArray[np.bool_]) -> str:
    """Write the grayordinates of a region as ranges from first to last: ``0-3 7 9-12``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return ' '.join(
        str(first) if first == stop - 1 else f'{first}-{stop - 1}'
        for first, stop in edges.reshape(-1, 2).tolist()
    )


def decode(text: str, n_grayordinates: int) -> npt.NDArray[np.bool_]:
    """Read what `encode` wrote."""
    mask = np.zeros(n_grayordinates, bool)
    for part in text.split():
        first, _, last = part.partition('-')
        mask[int(first) : int(last or first) + 1] = True
    return mask


def truth_document(planted: Planted, sample: Sample, options: dict[str, Any]) -> dict[str, Any]:
    """Describe the planted model.

    Parameters
    ----------
    planted : Planted
    sample : Sample
    options : dict
        What the study was made with; a repeat is recognised by it.

    Returns
    -------
    dict
        For JSON: options, geometry, sample, regions, analyses, correlations.
    """
    table = packaged('planted.json')
    entries = {entry['name']: entry for entry in table['regions']}
    up = [name for name, entry in entries.items() if entry['amplitude'] > 0]
    down = [name for name, entry in entries.items() if entry['amplitude'] < 0]
    less = [name for name, entry in entries.items() if entry['decrease'] > 0]
    models = planted.brain.models
    return {
        'description': (
            'What is planted in the contrast correct NoGo - correct Go. Amplitudes are percent '
            'signal change at the peak of the response to one trial.'
        ),
        'options': options,
        'geometry': {
            'n_grayordinates': len(models),
            'density': models.density,
            'mesh': planted.brain.mesh,
        },
        'sample': _sample(sample),
        'regions': {
            name: {
                'amplitudeTP1': entries[name]['amplitude'] if name in entries else 0.0,
                'decreaseTP3': entries[name]['decrease'] if name in entries else 0.0,
                'n': int(mask.sum()),
                'grayordinates': encode(mask),
            }
            for name, mask in planted.regions.items()
        },
        'remission': {
            'regions': _PRECENTRAL,
            'slopes': {key: table['remission'][key] for key in _SIZES},
            'description': (
                'Percent per standard deviation of the improvement of the HDRS: the value at TP1; '
                'the changes TP2 - TP1 and TP3 - TP1, whose means over patients are 0. Scatter '
                'over people and visits: percent.'
            ),
            'amplitudes': {
                f'sub-{label}_ses-{session}': round(value, 6)
                for (label, session), value in sorted(planted.remission.items())
            },
        },
        'analyses': {
            'meanHC': _analysis(up, down, 'network'),
            'meanTRD': _analysis(up, down, 'network'),
            'meanAll': _analysis(up, down, 'network'),
            'hcVsTrd': _analysis(
                [], _PRECENTRAL, 'TRD - HC, weak: who will remit lies below the controls'
            ),
            'pairedTP1TP2': _analysis([], [], 'null', required=True),
            'pairedTP1TP3': _analysis(less, [], 'decrease', required=True),
            'pairedTP2TP3': _analysis(less, [], 'decrease'),
            'remitterChange': _analysis(
                [], _PRECENTRAL, 'remitters - non-remitters on TP1 - TP3', required=True
            ),
        },
        'correlations': {
            'statistic': 'hdrsChange',
            'outcomes': ['L_precentralGyrus', 'R_precentralGyrus'],
            'signs': {'baseline': -1, 'acute': -1, 'serial': -1},
            'description': (
                'Precentral value at TP1 and its changes TP1 - TP2 and TP1 - TP3 against '
                '100 (TP1 - TP3) / TP1 of the HDRS.'
            ),
        },
    }


def _analysis(pos: list[str], neg: list[str], what: str, required: bool = False) -> dict[str, Any]:
    return {'planted': what, 'pos': pos, 'neg': neg, 'required': required}


def _sample(sample: Sample) -> dict[str, Any]:
    def labels(wanted: bool | None) -> list[str]:
        return [f'sub-{p.label}' for p in sample.patients if p.remitter is wanted]

    left, without_age = sample.excluded, sample.without_age
    run_label, run_session = sample.without_incorrect_go
    return {
        'HC': [f'sub-{p.label}' for p in sample.participants if p.group == 'HC'],
        'remitters': labels(True),
        'nonRemitters': labels(False),
        'leftBeforeTP3': labels(None),
        'remission': f'HDRS <= {REMISSION} at TP3',
        'nRuns': len(sample.runs),
        'toExclude': f'sub-{left}' if left else None,
        'withoutAge': f'sub-{without_age}' if without_age else None,
        'runWithoutIncorrectGo': f'sub-{run_label}_ses-{run_session}',
        'lateAtTP3': [f'sub-{label}' for label in sample.late],
    }
