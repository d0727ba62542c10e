"""The runs of a session together."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    InputMultiObject,
    SimpleInterface,
    isdefined,
    traits,
)

from ketbids.errors import InputError
from ketbids.interfaces.fitspecs import STATISTICS, MapsOutputSpec
from ketbids.io.cifti import assert_same_models, read_maps, write_maps
from ketbids.io.preprocessed import AVERAGE_SURFACES
from ketbids.stats.brainmodels import BrainModels

__all__ = ['CombineRuns', 'joint_metadata']

#: Fields of a sidecar that may differ from run to run.
_BY_RUN = (
    'SignalUnits',
    'MeanSignal',
    'RepetitionTime',
    'SliceTimingReference',
    'NotEstimable',
    'FewTrials',
)
#: Fields of a sidecar that add up over runs.
_SUMS = ('DegreesOfFreedomNominal', 'DegreesOfFreedomEffective', 'ComponentsRemoved')
_SOME_COUNTED = (
    'FIX took noise components out of the time series, and their degrees of freedom with them. '
    'Their number is not known for all of these runs, so that there are no effective degrees of '
    'freedom; t, F and z use DegreesOfFreedomNominal and are optimistic.'
)
#: Peaks of runs that differ by less than this share count as one.
_SAME_PEAK = 0.05
_PEAKS_DIFFER = (
    'The runs have events of different lengths, so that percent signal change of the combined map '
    'is not defined by one peak; effects are responses to activity of height 1 in every run.'
)


class _Part(NamedTuple):
    """A contrast of one run: number of the run, files that hold its values, its sidecar."""

    run: int
    files: tuple[str, ...]
    sidecar: Mapping[str, Any]


class _Run(NamedTuple):
    """What sidecars tell of a run: its name, metadata of its maps, contrasts that it lacks."""

    label: str
    metadata: Mapping[str, Any]
    reasons: Mapping[str, str]


class _CombineRunsInputSpec(BaseInterfaceInputSpec):
    contrasts = InputMultiObject(
        traits.List(traits.Str), mandatory=True, desc='t contrasts of each run'
    )
    effect = InputMultiObject(traits.List(File(exists=True)), mandatory=True, desc='per run')
    variance = InputMultiObject(traits.List(File(exists=True)), mandatory=True, desc='per run')
    sidecars = InputMultiObject(traits.List(traits.Dict), mandatory=True, desc='per run')
    f_contrasts = InputMultiObject(traits.List(traits.Str), desc='F contrasts of each run')
    f_joint = InputMultiObject(traits.List(File(exists=True)), desc='per run')
    f_sidecars = InputMultiObject(traits.List(traits.Dict), desc='per run')
    not_estimable = InputMultiObject(traits.Dict, desc='reasons of each run')
    series_files = traits.List(traits.Str, desc='time series of each run, for messages')
    labels = traits.List(traits.Str, desc='names of the runs, for sidecars')
    metadata = InputMultiObject(traits.Dict, desc='what the sidecars of the maps of each run say')


class CombineRuns(SimpleInterface):
    """Combine the runs of a session by precision-weighted fixed effects.

    A run takes part in the contrasts that could be estimated in it.
    """

    input_spec = _CombineRunsInputSpec
    output_spec = MapsOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        i, cwd = self.inputs, Path(runtime.cwd)
        about = self._about(len(i.contrasts))
        runs = _by_name(i.contrasts, i.sidecars, i.effect, i.variance)
        f_runs = []
        if isdefined(i.f_contrasts):
            f_runs = _by_name(i.f_contrasts, i.f_sidecars, i.f_joint)
        models = self._models(runs, f_runs, self._series())
        results: dict[str, list[Any]] = {
            key: [] for key in (*STATISTICS, 'sidecars', 'f', 'f_z', 'f_sidecars')
        }
        if models is None:
            self._results.update(results, contrasts=[], f_contrasts=[], density='')
            return runtime
        for found, combine, described, first in (
            (runs, _combined_t, 'sidecars', 'effect'),
            (f_runs, _combined_f, 'f_sidecars', 'f'),
        ):
            for name, parts in _parts(found).items():
                maps = combine(parts)
                for statistic, values in maps.items():
                    path = cwd / f'{statistic}_{name}.dscalar.nii'
                    results[statistic].append(str(write_maps(path, {name: values}, models)))
                results[described].append(_combined_sidecar(parts, maps[first], about))
        names = {'contrasts': list(_parts(runs)), 'f_contrasts': list(_parts(f_runs))}
        self._results.update(results, **names, density=models.density)
        return runtime

    def _about(self, n_runs: int) -> list[_Run]:
        i = self.inputs
        labels = i.labels if isdefined(i.labels) else [f'run {n}' for n in range(1, n_runs + 1)]
        metadata = i.metadata if isdefined(i.metadata) else [{}] * n_runs
        reasons = i.not_estimable if isdefined(i.not_estimable) else [{}] * n_runs
        return [_Run(*of_run) for of_run in zip(labels, metadata, reasons, strict=True)]

    def _series(self) -> list[str]:
        """Time series of the runs; without them, what messages can call the runs."""
        i = self.inputs
        if isdefined(i.series_files):
            return list(i.series_files)
        return [files[0] if files else f'run {n}' for n, files in enumerate(i.effect, 1)]

    def _models(
        self,
        runs: Sequence[Mapping[str, _Part]],
        f_runs: Sequence[Mapping[str, _Part]],
        series: Sequence[str],
    ) -> BrainModels | None:
        """Check that the runs go together; the brain models of all, None without any contrast."""
        firsts: dict[int, _Part] = {}
        for found in (runs, f_runs):
            for run, parts in enumerate(found):
                for part in parts.values():
                    firsts.setdefault(run, part)
        if not firsts:
            return None
        geometry = [read_maps(Path(part.files[0]))[1] for part in firsts.values()]
        having = [Path(series[run]) for run in firsts]
        assert_same_models(geometry, having)
        _assert_same_units([part.sidecar for part in firsts.values()], having)
        return geometry[0]


def _by_name(
    contrasts: Iterable[Sequence[str]],
    sidecars: Iterable[Sequence[Mapping[str, Any]]],
    *files: Iterable[Sequence[str]],
) -> list[dict[str, _Part]]:
    """Contrasts of each run; several lists of files are one file each."""
    return [
        {
            name: _Part(run, tuple(paths), sidecar)
            for name, sidecar, *paths in zip(names, described, *lists, strict=True)
        }
        for run, (names, described, *lists) in enumerate(
            zip(contrasts, sidecars, *files, strict=True)
        )
    ]


def _parts(runs: Sequence[Mapping[str, _Part]]) -> dict[str, list[_Part]]:
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: [run[name] for run in runs if name in run] for name in names}


def _degrees(parts: Sequence[_Part], counts: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Degrees of freedom of the runs that a grayordinate has data in; shape (n_grayordinates,)."""
    nominal = np.array([part.sidecar['DegreesOfFreedomNominal'] for part in parts], dtype=float)
    # Where no run counts the statistic is NaN, whatever they are.
    return np.maximum(nominal @ counts, 1.0)


def _combined_t(parts: Sequence[_Part]) -> dict[str, npt.NDArray[np.float64]]:
    from ketbids.stats.fixedeffects import combine_runs
    from ketbids.stats.zscore import z_from_t

    stacks = [
        np.concatenate([read_maps(Path(part.files[which]))[0] for part in parts]).astype(float)
        for which in (0, 1)
    ]
    effect, variance, counts = combine_runs(*stacks)
    t = effect / np.sqrt(variance)
    z = z_from_t(t, _degrees(parts, counts))
    return {'effect': effect, 'variance': variance, 't': t, 'z': z}


def _combined_f(parts: Sequence[_Part]) -> dict[str, npt.NDArray[np.float64]]:
    from ketbids.stats.fixedeffects import combine_joint
    from ketbids.stats.glmresults import f_statistic
    from ketbids.stats.zscore import z_from_f

    weights = [part.sidecar['ConditionWeights'] for part in parts]
    if any(others != weights[0] for others in weights):
        raise InputError(
            f'The F contrast {parts[0].sidecar["Contrast"]} has other rows in one run than in '
            'another, so that they cannot be combined.'
        )
    rows = int(parts[0].sidecar['DegreesOfFreedomNumerator'])
    joint = np.stack([read_maps(Path(part.files[0]))[0] for part in parts]).astype(float)
    effect, covariance, counts = combine_joint(joint[:, :rows], joint[:, rows:])
    f = f_statistic(effect, covariance)
    return {'f': f, 'f_z': z_from_f(f, rows, _degrees(parts, counts))}


def _assert_same_units(sidecars: Sequence[Mapping[str, Any]], series: Sequence[Path]) -> None:
    """Check that the effects of all runs are in percent, or those of none."""
    having = {
        sidecar['MeanSignal'] is not None: path
        for sidecar, path in zip(sidecars, series, strict=True)
        if 'MeanSignal' in sidecar
    }
    if len(having) == 2:
        raise InputError(
            f'The mean was removed from {having[False]}, but not from {having[True]}: their '
            'effects are in different units and cannot be combined. Preprocess both in the same '
            'way, or choose runs that go together with --run-id.'
        )


def _combined_sidecar(
    parts: Sequence[_Part], values: npt.NDArray[np.float64], runs: Sequence[_Run]
) -> dict[str, Any]:
    """Describe a map of several runs; what differs between them is a list, one entry per run.

    Runs that the contrast cannot be estimated in have no entry but in ``RunsLeftOut``.
    """
    sidecars = [part.sidecar for part in parts]
    used = [part.run for part in parts]
    name = sidecars[0].get('Contrast', '')
    about = joint_metadata([runs[run].metadata for run in used])
    caveat = about.get('Caveat', '')
    combined: dict[str, Any] = {
        **about,
        **sidecars[0],
        'ConfoundColumns': _union(s.get('ConfoundColumns', ()) for s in sidecars),
        'GrayordinatesWithoutData': int(np.isnan(values).sum()),
        'Runs': len(sidecars),
        'RunsUsed': [runs[run].label for run in used],
        'RunsLeftOut': {
            run.label: run.reasons.get(name, 'the contrast cannot be estimated')
            for number, run in enumerate(runs)
            if number not in used
        },
        'Estimator': 'fixed effects',
    }
    for key in _SUMS:
        combined.pop(key, None)
        if all(key in s for s in sidecars):
            combined[key] = sum(s[key] for s in sidecars)
    # What is known of some runs only does not add up, and a sentence on the sum would mislead.
    known = [s['DegreesOfFreedomCaveat'] for s in sidecars if 'DegreesOfFreedomCaveat' in s]
    if known:
        all_known = len(known) == len(sidecars)
        combined['DegreesOfFreedomCaveat'] = known[0] if all_known else _SOME_COUNTED
    for key in _BY_RUN:
        of_runs = [s.get(key) for s in sidecars]
        if any(value != of_runs[0] for value in of_runs):
            combined[key] = of_runs
    peaks = {}
    for name in _union(s.get('RegressorPeaks', ()) for s in sidecars):
        heights = [s['RegressorPeaks'][name] for s in sidecars if name in s['RegressorPeaks']]
        same = max(heights) - min(heights) <= _SAME_PEAK * max(heights)
        peaks[name] = heights[0] if same else heights
    if peaks:
        combined['RegressorPeaks'] = peaks
    differ = any(isinstance(height, list) for height in peaks.values())
    caveats = [text for text in (caveat, _PEAKS_DIFFER if differ else '') if text]
    if caveats:
        combined['Caveat'] = ' '.join(caveats)
    return combined


def joint_metadata(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join what the sidecars of several runs say of how their maps were made.

    Parameters
    ----------
    runs : sequence of mapping
        Of each run. ``Sources`` are joined; ``Caveat`` holds if it holds for all; other fields
        that differ between runs become a list, one entry per run; of ``Preprocessing``,
        ``Confounds``, ``Smoother`` and ``Surfaces`` what was used in any.
    """
    if not runs:
        return {}
    joint: dict[str, Any] = {}
    for key in _union(runs):
        values = [run[key] for run in runs if key in run]
        if key == 'Sources':
            joint[key] = _union(values)
        elif key == 'Caveat':
            joint |= {key: values[0]} if len(values) == len(runs) else {}
        elif all(value == values[0] for value in values):
            joint[key] = values[0]
        elif key == 'Preprocessing':
            joint[key] = ' and '.join(sorted(set(values)))
        elif key == 'Confounds':
            joint[key] = _union([' '.join(sets) or 'none'] for sets in values)
        elif key == 'Surfaces':
            joint[key] = AVERAGE_SURFACES
        elif key == 'Smoother':
            joint[key] = next(value for value in values if value != 'none')
        else:
            joint[key] = values
    return joint


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for names in lists for name in names))
