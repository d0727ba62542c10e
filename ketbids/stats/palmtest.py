"""Tests as PALM does them: inputs, contrasts, measures of each map, and all of their p-values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.stats.fdr import FDRMethod, adjusted_together
from ketbids.stats.multiplicity import FAMILIES, Family, Joint, combine, corrected_p
from ketbids.stats.nulls import (
    MapStatistic,
    Measure,
    Null,
    collect_null,
    itself,
    null_distributions,
)
from ketbids.stats.paretotail import REFINED_BELOW, tail_p, tail_p_columns
from ketbids.stats.runner import Progress
from ketbids.stats.shuffling import Shuffles

__all__ = ['STATISTIC', 'Corrections', 'Measurement', 'Outcome', 'PMap', 'measure_map', 'p_maps']

Floats = npt.NDArray[np.float64]

#: Name of the measure that is the map itself.
STATISTIC = 'statistic'

# Bytes of the null distributions that are held at a time for fits.
_BUDGET = 1 << 28


@dataclass(frozen=True)
class Measurement:
    """A measure of the maps of one input.

    Attributes
    ----------
    make : callable
        Makes the measure for one thread.
    column : ndarray of int, shape (n_locations,)
        Partition of each location: which of the maxima it is ranked among.
    partitions : tuple of str
        What they are; only values of the same partitions can be compared between inputs.
    uncorrected : bool
        Whether a value at one location has a p of its own.
    """

    make: Callable[[], Measure]
    column: npt.NDArray[np.integer]
    partitions: tuple[str, ...]
    uncorrected: bool = True


class Outcome(NamedTuple):
    """One contrast of one input.

    Attributes
    ----------
    measurements : mapping of str to Measurement
        `STATISTIC` among them.
    nulls : mapping of str to Null
        Of each measure.
    uncorrected : mapping of str to ndarray, shape (n_locations,)
        p at the location alone, of the measures that have such.
    """

    measurements: Mapping[str, Measurement]
    nulls: Mapping[str, Null]
    uncorrected: Mapping[str, Floats]


@dataclass(frozen=True)
class Corrections:
    """Which p-values are wanted.

    Attributes
    ----------
    inputs, contrasts : bool
        Correct over all of them, too.
    fdr : {'BH', 'BKY'}, optional
        Control of the false discovery rate.
    joint : {'minp', 'bonferroni', 'sidak'}
        How partitions of one measure are joined.
    tail : bool
        Fit the tail of the distribution.
    """

    inputs: bool = False
    contrasts: bool = False
    fdr: FDRMethod | None = None
    joint: Joint = 'minp'
    tail: bool = False

    def families(self) -> dict[str, Family]:
        """Wanted families, by the ending of PALM's file names."""
        return {
            name: family
            for name, family in FAMILIES.items()
            if family.inputs <= self.inputs and family.contrasts <= self.contrasts
        }


def measure_map(
    statistic: MapStatistic[Shuffles],
    shuffles: Shuffles,
    measurements: Mapping[str, Measurement],
    *,
    absolute: bool = False,
    tail: bool = False,
    uncorrected: bool = True,
    threads: int = 1,
    progress: Progress | None = None,
) -> Outcome:
    """Compare the measures of a map with those of its shuffles.

    Parameters
    ----------
    statistic : MapStatistic
    shuffles : Shuffles
    measurements : mapping of str to Measurement
        Beside the map itself, which is always measured.
    absolute : bool
        Test the absolute value.
    tail : bool
        Fit tails; uncorrected p below .10 then need a second pass over the shuffles.
    uncorrected : bool
        Whether these are wanted.
    threads, progress
        See `null_distributions`.

    Returns
    -------
    Outcome
    """
    whole = Measurement(lambda: itself, np.zeros(statistic.n, dtype=np.int8), ('all',))
    measurements = {STATISTIC: whole, **measurements}
    found = null_distributions(
        statistic,
        shuffles,
        [measurement.make for measurement in measurements.values()],
        absolute=absolute,
        threads=threads,
        progress=progress,
    )
    nulls = dict(zip(measurements, found, strict=True))
    p = {
        name: nulls[name].counts / shuffles.n
        for name, measurement in measurements.items()
        if uncorrected and measurement.uncorrected
    }
    if tail:
        for name, values in p.items():
            small = np.flatnonzero(values < REFINED_BELOW)
            size = max(1, _BUDGET // (8 * shuffles.n))
            for start in range(0, len(small), size):
                columns = small[start : start + size]
                null = collect_null(
                    statistic,
                    shuffles,
                    measurements[name].make,
                    columns,
                    absolute=absolute,
                    threads=threads,
                )
                values[columns] = tail_p_columns(null, nulls[name].observed[columns])
    return Outcome(measurements, nulls, p)


class PMap(NamedTuple):
    """p-values: of input ``source`` and contrast ``contrast`` (both from 0), measure and kind."""

    source: int
    contrast: int
    measure: str
    kind: str
    values: Floats


def p_maps(tested: Sequence[Sequence[Outcome]], wanted: Corrections) -> Iterator[PMap]:
    """Give all p-values of a call.

    Parameters
    ----------
    tested : sequence of sequence of Outcome
        By input, then by contrast. What is corrected together must have the same shuffles.
    wanted : Corrections

    Yields
    ------
    PMap
        ``kind`` is ``uncp``, ``fwep``, ``mfwep``, ``cfwep``, ``mcfwep``, ``fdrp``, ``mfdrp``,
        ``cfdrp`` or ``mcfdrp``. Inputs are not corrected together in a measure whose partitions
        differ between them: mm^2 and voxels have no common scale.
    """
    for measure in dict.fromkeys(name for row in tested for t in row for name in t.nulls):
        alike = len({row[0].measurements[measure].partitions for row in tested}) == 1
        places = [(y, c) for y, row in enumerate(tested) for c in range(len(row))]
        for y, c in places:
            if measure in tested[y][c].uncorrected:
                yield PMap(y, c, measure, 'uncp', tested[y][c].uncorrected[measure])
        for name, family in wanted.families().items():
            if family.inputs and not alike:
                continue
            for y, c in places:
                members = _members(places, y, c, family)
                yield PMap(
                    y, c, measure, name, _familywise(tested, members, y, c, measure, wanted)
                )
            if wanted.fdr and measure in tested[0][0].uncorrected:
                yield from _discovery(tested, places, family, measure, name, wanted.fdr)


def _members(
    places: Sequence[tuple[int, int]], y: int, c: int, family: Family
) -> list[tuple[int, int]]:
    """What is corrected together with input `y` and contrast `c`."""
    return [
        (source, contrast)
        for source, contrast in places
        if (family.inputs or source == y) and (family.contrasts or contrast == c)
    ]


def _familywise(
    tested: Sequence[Sequence[Outcome]],
    members: Sequence[tuple[int, int]],
    y: int,
    c: int,
    measure: str,
    wanted: Corrections,
) -> Floats:
    maxima = np.max([tested[i][k].nulls[measure].maxima for i, k in members], axis=0)
    null, measurement = tested[y][c].nulls[measure], tested[y][c].measurements[measure]
    if wanted.tail:
        return _fitted(maxima, null.observed, measurement.column, wanted.joint)
    return corrected_p(maxima, null.observed, measurement.column, wanted.joint)


def _fitted(
    maxima: Floats, observed: Floats, column: npt.NDArray[np.integer], joint: Joint
) -> Floats:
    """Correct by the fitted distribution of the maximum of each partition."""
    p = np.empty(len(observed))
    present = np.unique(column)
    if len(present) > 1 and joint == 'minp':
        raise InputError(
            'The smallest p of several partitions is ranked among the shuffles, not fitted: join '
            'them by bonferroni or sidak, or leave the fit of the tail out.'
        )
    for k in present:
        here = column == k
        p[here] = tail_p(maxima[:, k], observed[here])
    return np.asarray(combine(p, len(present), 'sidak' if joint == 'sidak' else 'bonferroni'))


def _discovery(
    tested: Sequence[Sequence[Outcome]],
    places: Sequence[tuple[int, int]],
    family: Family,
    measure: str,
    name: str,
    method: FDRMethod,
) -> Iterator[PMap]:
    """Adjust the uncorrected p of each family for the false discovery rate."""
    done: set[tuple[int, int]] = set()
    for y, c in places:
        if (y, c) in done:
            continue
        members = _members(places, y, c, family)
        maps = [tested[i][k].uncorrected[measure] for i, k in members]
        adjusted = adjusted_together(maps, method)
        for (source, contrast), values in zip(members, adjusted, strict=True):
            yield PMap(source, contrast, measure, name.replace('fwep', 'fdrp'), values)
        done |= set(members)
