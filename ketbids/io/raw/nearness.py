"""How near images are to each other: shim settings and time of acquisition."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ketbids.errors import InputError
from ketbids.io.raw.acquisition import is_number
from ketbids.io.raw.images import RawImage
from ketbids.io.raw.sidecars import Sidecars

__all__ = ['Ranking', 'acquisition_time', 'odd_values', 'rank', 'seconds_apart', 'shims']

#: Keys that say when, the one that wins first.
_TIME_KEYS = ('AcquisitionTime', 'AcquisitionDateTime')
#: Times as BIDS and as DICOM write them; converters leave out zeros before seconds.
_TIMES = (
    re.compile(r'(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d*)?'),
    re.compile(r'(\d{2})(\d{2})(\d{2})(\.\d*)?'),
)
#: Date and time, with or without a time zone.
_DATE_TIME = re.compile(r'(?:\d{4}-\d{2}-\d{2}[T ]|\d{8})(.+?)(?:Z|[+-]\d{2}:?\d{2})?')
_DAY = 86400.0


class Ranking(NamedTuple):
    """How near a field map is to the image that it is for; the smaller, the nearer."""

    shims: int
    distance: float
    start: float
    names: tuple[str, ...]

    @property
    def shimmed(self) -> str:
        """How the shim settings are; empty if that is not known."""
        return ('with the same shim settings', '', 'with other shim settings')[self.shims]

    @property
    def reason(self) -> str:
        """Why the best one is the best, in words."""
        words = [self.shimmed] if self.shimmed else []
        if math.isinf(self.distance):
            words += ['the first by name, since AcquisitionTime is missing']
        else:
            words += [f'nearest in time ({self.distance:.0f} s)']
        return ', '.join(words)


def rank(images: Sequence[RawImage], target: RawImage, sidecars: Sidecars) -> Ranking:
    """Rank a field map: same shims first, then the nearest in time, then the earlier."""
    wanted, own = shims(target, sidecars), [shims(image, sidecars) for image in images]
    if wanted is None or None in own:
        shimmed = 1
    else:
        shimmed = 0 if all(item == wanted for item in own) else 2
    now = acquisition_time(target, sidecars)
    times = [acquisition_time(image, sidecars) for image in images]
    known = [time for time in times if time is not None]
    distance, start = math.inf, math.inf
    if now is not None and len(known) == len(times):
        apart = sum(seconds_apart(time, now) for time in known) / len(known)
        distance, start = round(apart, 3), min(known)
    return Ranking(shimmed, distance, start, tuple(image.path.name for image in images))


def acquisition_time(image: RawImage, sidecars: Sidecars) -> float | None:
    """Find the time of day at which an image was acquired, s.

    Returns
    -------
    float or None
        ``AcquisitionTime``, else ``AcquisitionDateTime``; None if neither is a time.
    """
    times = (_clock(_said(image, key, sidecars), key) for key in _TIME_KEYS)
    return next((time for time in times if time is not None), None)


def seconds_apart(one: float, other: float) -> float:
    """Give the time between two times of day, s; a session may go past midnight."""
    apart = abs(one - other) % _DAY
    return min(apart, _DAY - apart)


def shims(image: RawImage, sidecars: Sidecars) -> tuple[float, ...] | None:
    """Give the shim settings; None if ``ShimSetting`` is missing or no list of numbers."""
    value = _said(image, 'ShimSetting', sidecars)
    if not isinstance(value, list) or not value or not all(is_number(item) for item in value):
        return None
    return tuple(float(item) for item in value)


def odd_values(images: Iterable[RawImage], sidecars: Sidecars) -> list[str]:
    """Say which times and shim settings of images cannot be understood, and so do not count."""
    said = []
    for image in images:
        unclear = {}
        if acquisition_time(image, sidecars) is None:
            unclear = dict.fromkeys(_TIME_KEYS, 'a time such as "10:20:30.5"')
        if shims(image, sidecars) is None:
            unclear['ShimSetting'] = 'a list of numbers'
        for key, what in unclear.items():
            value = _said(image, key, sidecars)
            if value is not None:
                said.append(f'{image.path.name}: {key} is {value!r}, not {what}; it is not known')
    return said


def _said(image: RawImage, key: str, sidecars: Sidecars) -> Any:
    """What a key says, if anything."""
    try:
        found = sidecars.value(image.path, key)
    except InputError:
        # A sidecar that cannot be read is named by the keys that are needed.
        return None
    return None if found is None else found[0]


def _clock(value: Any, key: str) -> float | None:
    """Seconds since midnight; None if it is no time."""
    clock = value.strip() if isinstance(value, str) else ''
    dated = _DATE_TIME.fullmatch(clock)
    if dated and key == 'AcquisitionDateTime':
        clock = dated[1]
    match = next((match for time in _TIMES if (match := time.fullmatch(clock))), None)
    if match is None:
        return None
    hours, minutes, seconds = (int(match[i]) for i in (1, 2, 3))
    if not (hours < 24 and minutes < 60 and seconds <= 60):
        return None
    return hours * 3600 + minutes * 60 + seconds + float(f'0{match[4] or ".0"}')
