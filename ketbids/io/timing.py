"""The time axis of a run: from the header of its series and the JSON files that describe it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ketbids.errors import InputError
from ketbids.io.cifti import series_timing
from ketbids.io.files import read_json

__all__ = ['RunTiming', 'run_timing']

#: Longer than any repetition time in s.
_LONGEST = 30.0
#: Repetition times that differ by more than this share contradict each other.
_TOLERANCE = 0.01


class RunTiming(NamedTuple):
    """Times of the volumes of a run.

    Attributes
    ----------
    n_volumes : int
    repetition_time : float
        Seconds.
    slice_time_ref : float
        Time of a volume within its repetition time, from 0 (start) to 1.
    notes : tuple of str
        What was not as it should be, for the report.
    """

    n_volumes: int
    repetition_time: float
    slice_time_ref: float
    notes: tuple[str, ...]


def run_timing(series: Path, sidecars: Sequence[Path] = ()) -> RunTiming:
    """Find out the repetition time, and the time that a volume stands for.

    A volume stands for ``StartTime`` where a JSON file says ``SliceTimingCorrected``, as
    fMRIPrep writes them; else for the middle of its repetition time.

    Parameters
    ----------
    series : Path
        Dense time series.
    sidecars : sequence of Path
        JSON files that describe it, the most specific first.

    Raises
    ------
    InputError
        No file gives the repetition time, or two give different ones; or the start time does
        not lie within it.
    """
    n_volumes, in_header = series_timing(series)
    contents = [(path, read_json(path)) for path in sidecars]
    repetition_time, notes = _repetition_time(series, in_header, contents)
    corrected, _ = _first(contents, 'SliceTimingCorrected')
    start, path = _first(contents, 'StartTime')
    if corrected is not True or start is None:
        return RunTiming(n_volumes, repetition_time, 0.5, notes)
    if not _is_number(start) or not 0 <= start <= repetition_time:
        raise InputError(
            f'{path}: StartTime is {start!r}; it must be a number of seconds from 0 to the '
            f'repetition time ({repetition_time:g}). Correct it, or remove it if slice times were '
            'not corrected.'
        )
    return RunTiming(n_volumes, repetition_time, start / repetition_time, notes)


def _repetition_time(
    series: Path, in_header: float, contents: Sequence[tuple[Path, dict[str, Any]]]
) -> tuple[float, tuple[str, ...]]:
    found, path = _first(contents, 'RepetitionTime')
    header_says = not math.isnan(in_header)
    if found is None:
        if not header_says:
            looked = ', '.join(str(sidecar) for sidecar, _ in contents) or 'there is none'
            raise InputError(
                f'{series}: the header has no time step in seconds, and no JSON file says '
                f'RepetitionTime (looked in: {looked}). Add it to the JSON file of the series.'
            )
        return _in_seconds(in_header, series), ()
    if not _is_number(found) or not found > 0 or math.isinf(found):
        raise InputError(
            f'{path}: RepetitionTime is {found!r}; it must be a number of seconds above 0.'
        )
    if not header_says:
        note = f'the header of the series has no time step; {found:g} s is from the JSON file'
        return _in_seconds(float(found), path), (note,)
    if abs(found - in_header) > _TOLERANCE * max(found, in_header):
        raise InputError(
            f'The repetition time is {in_header:g} s in the header of {series}, but {found:g} s '
            f'in {path}: correct the one that is wrong.'
        )
    return _in_seconds(float(found), path), ()


def _in_seconds(repetition_time: float, path: Path | None) -> float:
    if repetition_time > _LONGEST:
        raise InputError(
            f'{path}: the repetition time is {repetition_time:g} s. This looks like milliseconds; '
            f'it must be in seconds ({repetition_time / 1000:g}). Correct the file.'
        )
    return repetition_time


def _first(contents: Sequence[tuple[Path, dict[str, Any]]], key: str) -> tuple[Any, Path | None]:
    """Value of a key in the most specific file that has it, and the file."""
    for path, content in contents:
        if content.get(key) is not None:
            return content[key], path
    return None, None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
