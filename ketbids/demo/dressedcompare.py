"""Hold the group means of a dressed study against what is planted for its trial types."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.demo.document import decode
from ketbids.demo.found import (
    check_truth,
    complaint,
    directions,
    group_folder,
    group_map,
    map_row,
    read_group_map,
    verdict,
)
from ketbids.errors import InputError

__all__ = ['DressedComparison', 'GroupContrast', 'compare_dressed', 'render_dressed']

#: Amplitudes below this (percent) are 0 but for rounding.
_NOTHING = 1e-6


@dataclass(frozen=True)
class GroupContrast:
    """A first-level contrast and the group analysis that tests it.

    Attributes
    ----------
    analysis, contrast : str
    weights : mapping of str to float
        Weight of each condition.
    trial_types : mapping of str to (tuple of str or None)
        Trial types of each condition; None: any.
    mean : float
        Weight of the intercept if the analysis tests the mean of single visits and nothing
        else, else 0: then nothing is planted.
    """

    analysis: str
    contrast: str
    weights: Mapping[str, float]
    trial_types: Mapping[str, tuple[str, ...] | None]
    mean: float


@dataclass(frozen=True)
class DressedComparison:
    """The outcome.

    Attributes
    ----------
    maps : DataFrame
        One row per analysis, contrast and direction: ``analysis``, ``contrast``, ``direction``,
        ``planted`` and ``found`` (numbers of grayordinates), ``lowest_p``, ``peak_inside``,
        ``dice``, ``required``, ``as_planted``.
    effects : DataFrame
        One row per mean: ``analysis``, ``contrast``, ``n`` (maps), ``correlation`` (over
        grayordinates, of the effect with the planted map), ``ratio`` (median of effect / planted
        in the planted regions, both in percent signal change; nan without the sidecars of the
        maps).
    failures : tuple of str
        What is required and does not hold.
    """

    maps: pd.DataFrame
    effects: pd.DataFrame
    failures: tuple[str, ...]

    @property
    def as_planted(self) -> bool:
        """True if all that is required holds."""
        return not self.failures


def compare_dressed(
    truth: Mapping[str, Any],
    truth_maps: Path,
    output: Path,
    tested: Sequence[GroupContrast],
) -> DressedComparison:
    """Read the results of the group level and compare them with the truth.

    What is planted for a condition is the mean over its trial types, weighted by how often they
    occur in the study; what further columns or responses select is not planted apart.

    Parameters
    ----------
    truth : mapping
        Content of ``truth.json``.
    truth_maps : Path
        ``truth.dscalar.nii``.
    output : Path
        The output folder of the analysis.
    tested : sequence of GroupContrast
        From the model file of the analysis.

    Returns
    -------
    DressedComparison
        Means of contrasts with something planted must be found.

    Raises
    ------
    InputError
        If `truth` is none, there is no group level in `output`, its files do not fit, or the
        model has trial types that the study lacks.
    """
    check_truth(truth, ('geometry', 'regions', 'trialTypes'))
    group = group_folder(output)
    rows: list[dict[str, Any]] = []
    effects: list[dict[str, Any]] = []
    failures: list[str] = []
    for test in tested:
        shares = _trial_type_weights(truth, test)
        hard = test.mean * _hard_map(truth, shares)
        found = list(_rows(group, test, truth, hard))
        rows += found
        name = f'{test.analysis}, {test.contrast}'
        if not found and test.mean and np.any(hard):
            failures.append(f'{name} has no results in {group}.')
        failures += [
            f'{name}, {row["direction"]}: {complaint(row)}'
            for row in found
            if row['required'] and not row['as_planted']
        ]
        if found and test.mean:
            effects.append(_effect(truth, truth_maps, Path(output), test, shares, hard))
    columns = list(rows[0]) if rows else ['analysis', 'as_planted']
    return DressedComparison(
        pd.DataFrame(rows, columns=columns), pd.DataFrame(effects), tuple(failures)
    )


def _trial_type_weights(truth: Mapping[str, Any], test: GroupContrast) -> dict[str, float]:
    counts = {name: int(entry['trials']) for name, entry in truth['trialTypes'].items()}
    weights = dict.fromkeys(counts, 0.0)
    for condition, weight in test.weights.items():
        wanted = test.trial_types[condition]
        types = list(counts) if wanted is None else [name for name in wanted if name in counts]
        if not types:
            raise InputError(
                f'Condition {condition} has the trial types {", ".join(wanted or ())}, the study '
                f'{", ".join(counts)}: these are not the results of this study.'
            )
        total = sum(counts[name] for name in types)
        for name in types:
            weights[name] += weight * counts[name] / total
    return weights


def _hard_map(truth: Mapping[str, Any], weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """Percent signal change by regions, shape (n_grayordinates,)."""
    n = truth['geometry']['n_grayordinates']
    amplitudes: dict[str, float] = {}
    for name, weight in weights.items():
        for region, amplitude in truth['trialTypes'][name]['amplitudes'].items():
            amplitudes[region] = amplitudes.get(region, 0.0) + weight * amplitude
    planted = np.zeros(n)
    for region, amplitude in amplitudes.items():
        planted += amplitude * decode(truth['regions'][region]['grayordinates'], n)
    return np.where(np.abs(planted) > _NOTHING, planted, 0.0)


def _rows(
    group: Path, test: GroupContrast, truth: Mapping[str, Any], hard: npt.NDArray[np.float64]
) -> Iterator[dict[str, Any]]:
    for sign, p, z in directions(group, test.analysis, test.contrast, truth):
        mask = hard > 0 if sign == 'pos' else hard < 0
        row: dict[str, Any] = {
            'analysis': test.analysis,
            'contrast': test.contrast,
            'direction': sign,
        }
        row |= map_row(p, z, mask)
        row['required'] = bool(mask.any())
        yield row | {'as_planted': complaint(row) == ''}


def _effect(
    truth: Mapping[str, Any],
    truth_maps: Path,
    output: Path,
    test: GroupContrast,
    shares: Mapping[str, float],
    hard: npt.NDArray[np.float64],
) -> dict[str, Any]:
    """Compare the effect map of a mean with the planted one."""
    from ketbids.io.cifti import read_maps
    from ketbids.io.files import read_json

    geometry = truth['geometry']
    path = group_map(output / 'group', test.analysis, test.contrast, geometry['density'], 'effect')
    effect = read_group_map(path, geometry['n_grayordinates'])
    stored, models = read_maps(truth_maps)
    if len(models) != len(effect) or len(stored) != len(shares):
        raise InputError(f'{truth_maps} does not fit truth.json: write the study again.')
    planted = test.mean * (np.array(list(shares.values())) @ stored)
    inside = np.isfinite(effect)
    varies = inside.any() and np.ptp(planted[inside]) > _NOTHING
    sources = read_json(path.with_name(path.name.replace('.dscalar.nii', '.json'))).get('Sources')
    scale, n_maps = _percent_per_unit(output, sources or (), test)
    region = inside & (hard != 0)
    return {
        'analysis': test.analysis,
        'contrast': test.contrast,
        'n': n_maps,
        'correlation': float(np.corrcoef(effect[inside], planted[inside])[0, 1])
        if varies
        else float('nan'),
        'ratio': float(np.median(scale * effect[region] / planted[region]))
        if region.any()
        else float('nan'),
    }


def _percent_per_unit(
    output: Path, sources: Sequence[str], test: GroupContrast
) -> tuple[float, int]:
    """Find what one unit of the effect is in percent signal change: the median over the maps.

    100 x peak / mean from the sidecars, the peak being the mean over the contrast's conditions,
    weighted by the size of their weights.
    """
    from ketbids.io.files import read_json

    factors = []
    for uri in sources:
        if not uri.startswith('bids::'):
            continue
        sidecar = output / uri.removeprefix('bids::').replace('.dscalar.nii', '.json')
        if not sidecar.is_file():
            continue
        found = read_json(sidecar)
        peaks, level = found.get('RegressorPeaks'), found.get('MeanSignal')
        if isinstance(peaks, dict) and level and set(test.weights) <= set(peaks):
            sizes = np.abs(list(test.weights.values()))
            factors.append(
                100 * np.average([np.mean(peaks[c]) for c in test.weights], weights=sizes) / level
            )
    return (float(np.median(factors)) if factors else float('nan')), len(sources)


def render_dressed(comparison: DressedComparison) -> str:
    """Write the tables and the verdict as text."""
    wide = max([8, *map(len, comparison.maps['analysis'])]) + 2
    maps = comparison.maps.to_dict('records')
    long = max([8, *(len(row['contrast']) for row in maps)]) + 2
    lines = [
        'Found against planted (grayordinates; found: corrected p < 0.05)',
        f'{"analysis":<{wide}}{"contrast":<{long}}{"direction":<11}{"planted":>8}{"found":>8}'
        f'{"lowest p":>10}{"peak inside":>13}{"Dice":>7}  as planted',
    ]
    for row in maps:
        inside = '-' if not row['found'] else ('yes' if row['peak_inside'] else 'no')
        overlap = f'{row["dice"]:.2f}' if row['planted'] else '-'
        outcome = ('yes' if row['as_planted'] else 'no') + (' *' if row['required'] else '')
        lines.append(
            f'{row["analysis"]:<{wide}}{row["contrast"]:<{long}}{row["direction"]:<11}'
            f'{row["planted"]:>8}{row["found"]:>8}{row["lowest_p"]:>10.4f}{inside:>13}'
            f'{overlap:>7}  {outcome}'
        )
    lines += ['', 'Effect against the planted map (percent signal change)']
    lines.append(
        f'{"analysis":<{wide}}{"contrast":<{long}}{"n":>5}{"correlation":>13}{"median ratio":>14}'
    )
    for row in comparison.effects.to_dict('records'):
        values = [
            '-' if np.isnan(row[key]) else f'{row[key]:.2f}' for key in ('correlation', 'ratio')
        ]
        lines.append(
            f'{row["analysis"]:<{wide}}{row["contrast"]:<{long}}{row["n"]:>5}{values[0]:>13}'
            f'{values[1]:>14}'
        )
    return '\n'.join([*lines, *verdict(comparison.failures)])
