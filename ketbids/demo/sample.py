"""Who takes part: groups, sessions, scores, and the irregularities of a real study."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from ketbids.demo.streams import stream
from ketbids.errors import UsageError

__all__ = ['MINIMUM', 'REMISSION', 'Participant', 'Sample', 'draw_sample']

#: Fewest participants: 2 controls, 2 patients who remit and 2 who do not.
MINIMUM = 6

#: Remission is an HDRS of at most this at TP3.
REMISSION = 7

_LOWEST_BASELINE = 17
_AGES = (20, 64)

#: Dates before 1925 say that they are not the real ones.
_DAY_ONE = datetime(1901, 1, 7, 9)

#: One patient of so many comes too late to TP3.
_EVERY_LATE = 6


@dataclass(frozen=True)
class Participant:
    """A person of the study.

    Attributes
    ----------
    label : str
        BIDS label, without ``sub-``.
    group : str
        ``HC`` or ``TRD``.
    age : int or None
        Years; None where the study does not know.
    sex : str
        ``F`` or ``M``.
    hdrs : dict of str to int
        Score per attended session; empty for controls.
    sessions : tuple of str
        Sessions attended, of ``TP1``, ``TP2``, ``TP3``.
    scanned : dict of str to str
        Time of the scan per attended session.
    infused : dict of str to str
        Per attended session of a patient, time of the last infusion before it; none at TP1.
    improvement : float
        100 (TP1 - TP3) / TP1 of the HDRS; for a patient who left before TP3, of the course that
        the patient would have had. Controls: nan.
    """

    label: str
    group: str
    age: int | None
    sex: str
    hdrs: dict[str, int] = field(default_factory=dict)
    sessions: tuple[str, ...] = ('TP1',)
    improvement: float = float('nan')
    scanned: dict[str, str] = field(default_factory=dict)
    infused: dict[str, str] = field(default_factory=dict)

    @property
    def remitter(self) -> bool | None:
        """Remission at TP3; None for controls and for who was not seen at TP3."""
        return self.hdrs['TP3'] <= REMISSION if 'TP3' in self.hdrs else None


@dataclass(frozen=True)
class Sample:
    """The participants and what is irregular about some of them.

    Attributes
    ----------
    participants : tuple of Participant
    excluded : str or None
        Label of a control whose run has motion artefacts.
    without_age : str or None
        Label of a patient whose age is missing.
    without_incorrect_go : tuple of str
        Label and session of the run in which every Go trial was answered in time.
    late : tuple of str
        Labels of patients who were scanned at TP3 more than 72 hours after the last infusion.
    """

    participants: tuple[Participant, ...]
    excluded: str | None
    without_age: str | None
    without_incorrect_go: tuple[str, str]
    late: tuple[str, ...]

    @property
    def runs(self) -> list[tuple[Participant, str]]:
        """Every participant-session."""
        return [(person, session) for person in self.participants for session in person.sessions]

    @property
    def patients(self) -> list[Participant]:
        """The TRD group."""
        return [person for person in self.participants if person.group == 'TRD']


def draw_sample(n_participants: int, seed: int) -> Sample:
    """Draw the participants.

    A third are controls (HC), seen at TP1. Of the patients (TRD), an eighth leave after TP1 and
    an eighth after TP2; 40 % of the others remit. Ages and sexes are balanced over the groups
    and over remission. From 12 participants on, a patient who leaves after TP2 has no age, which
    costs no row of the longitudinal analyses; from 9 on, the last control is to be excluded.

    Parameters
    ----------
    n_participants : int
        At least `MINIMUM`.
    seed : int
        Seed of the study.

    Raises
    ------
    UsageError
        With fewer than `MINIMUM` participants.
    """
    if n_participants < MINIMUM:
        raise UsageError(
            f'{n_participants} participants are too few: at least {MINIMUM} are needed for 2 '
            'controls, 2 patients who remit and 2 who do not.'
        )
    rng = stream(seed, 'sample')
    n_controls = round(n_participants / 3)
    n_patients = n_participants - n_controls
    n_left = n_patients // 8
    n_completers = n_patients - 2 * n_left
    n_remitters = max(2, round(0.4 * n_completers))
    strata = ['HC'] * n_controls
    courses = (
        ['remitter'] * n_remitters
        + ['nonremitter'] * (n_completers - n_remitters)
        + ['leftAfterTP2'] * n_left
        + ['leftAfterTP1'] * n_left
    )
    strata += [courses[i] for i in rng.permutation(n_patients)]
    ages, sexes = _balanced(strata, rng)
    labels = [f'{number:02d}' for number in range(1, n_participants + 1)]
    without_age = next(
        (
            label
            for label, stratum in zip(labels, strata, strict=True)
            if stratum == 'leftAfterTP2'
        ),
        None,
    )
    people = []
    for label, stratum, age, sex in zip(labels, strata, ages, sexes, strict=True):
        known = None if label == without_age else age
        if stratum == 'HC':
            people.append(Participant(label, 'HC', known, sex))
            continue
        scores, improvement = _course(stratum, rng)
        people.append(Participant(label, 'TRD', known, sex, scores, tuple(scores), improvement))
    seen = [person.label for person in people if 'TP3' in person.sessions]
    late = tuple(seen[::-_EVERY_LATE][: max(1, len(seen) // _EVERY_LATE)])
    people = [_timed(person, seed, late=person.label in late) for person in people]
    first_patient = people[n_controls]
    return Sample(
        participants=tuple(people),
        excluded=labels[n_controls - 1] if n_controls >= 3 else None,
        without_age=without_age,
        without_incorrect_go=(first_patient.label, first_patient.sessions[-1]),
        late=late,
    )


def _timed(person: Participant, seed: int, *, late: bool) -> Participant:
    """Add the times of scans and infusions.

    The first infusion is within a week after TP1, TP2 a day after it; of the last of four
    infusions, 9 to 12 days later, TP3 is 24 to 72 hours after, or, if late, up to 96.
    """
    rng = stream(seed, 'times', person.label)
    begin = _DAY_ONE + timedelta(days=int(rng.integers(700)), minutes=int(rng.integers(480)))
    first = begin + timedelta(days=int(rng.integers(1, 7)), minutes=int(rng.integers(-60, 60)))
    last = first + timedelta(days=int(rng.integers(9, 13)), minutes=int(rng.integers(-60, 60)))
    a_day = rng.uniform(22.5, 25.5)
    gap = rng.uniform(76, 96) if late else rng.uniform(24.5, 70)
    scanned = {'TP1': begin, 'TP2': first + timedelta(hours=a_day)}
    scanned['TP3'] = last + timedelta(hours=gap)
    infused = {'TP2': first, 'TP3': last} if person.group == 'TRD' else {}
    return replace(
        person,
        scanned={s: scanned[s].isoformat(timespec='seconds') for s in person.sessions},
        infused={s: t.isoformat() for s, t in infused.items() if s in person.sessions},
    )


def _balanced(strata: list[str], rng: np.random.Generator) -> tuple[list[int], list[str]]:
    """Spread ages evenly and alternate sexes within each stratum."""
    ages, sexes = [0] * len(strata), [''] * len(strata)
    for stratum in sorted(set(strata)):
        members = [i for i, other in enumerate(strata) if other == stratum]
        edges = np.linspace(_AGES[0], _AGES[1] + 1, len(members) + 1)
        drawn = rng.permutation(rng.uniform(edges[:-1], edges[1:]))
        first = int(rng.integers(2))
        for rank, i in enumerate(members):
            ages[i] = int(drawn[rank])
            sexes[i] = 'FM'[(rank + first) % 2]
    return ages, sexes


def _course(stratum: str, rng: np.random.Generator) -> tuple[dict[str, int], float]:
    """HDRS of the attended sessions, and the improvement in percent."""
    first = int(rng.integers(_LOWEST_BASELINE, 29))
    if stratum == 'remitter':
        last = min(REMISSION, round(first * (1 - rng.uniform(0.68, 0.9))))
    else:
        last = max(REMISSION + 1, round(first * (1 - rng.uniform(0.0, 0.5))))
    middle = round(first - (first - last) * rng.uniform(0.3, 0.7) + rng.normal(0, 1))
    scores = {'TP1': first, 'TP2': int(np.clip(middle, 0, first)), 'TP3': last}
    attended = {'leftAfterTP1': 1, 'leftAfterTP2': 2}.get(stratum, 3)
    return dict(list(scores.items())[:attended]), 100 * (first - last) / first
