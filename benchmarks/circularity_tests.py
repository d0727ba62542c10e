"""Null studies for benchmarks/circularity.py, and what is tested in their regions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from calibration import smooth_noise

from ketbids.errors import InputError
from ketbids.stats.circularity import (
    DataUse,
    uses_of_analysis,
    uses_of_pair,
    uses_of_reference,
    uses_of_term,
)
from ketbids.stats.mixed.inference import f_test
from ketbids.stats.mixed.reml import fit_reml
from ketbids.stats.ordinary.correlations import correlate
from ketbids.stats.ordinary.location import t_test

Floats = npt.NDArray[np.float64]

SESSIONS = ('TP1', 'TP2', 'TP3')
N_PATIENTS, N_COMPLETERS, N_SECOND, N_CONTROLS = 47, 37, 37, 32
CORRELATION = 0.6
#: Columns of tables behind the variables.
ROOTS = {'remitter': ('hdrs',), 'hdrs_change': ('hdrs',)}

_STEPS = np.abs(np.subtract.outer(range(3), range(3)))
_COMPOUND = CORRELATION + (1 - CORRELATION) * np.eye(3)
_SD = np.array([1.0, 1.0, 1.5])
#: Covariance of a person's maps over the visits.
COVARIANCES: Mapping[str, Floats] = {
    'compound symmetry': _COMPOUND,
    'AR(1)': CORRELATION**_STEPS,
    'SD 1, 1, 1.5': _COMPOUND * np.outer(_SD, _SD),
}
#: Values that are tested against the change of the score.
CHANGES = {
    'baseline': ('TP1',),
    'TP2': ('TP2',),
    'acute change': ('TP1', 'TP2'),
    'serial change': ('TP1', 'TP3'),
}
#: Groups and sessions that are compared with controls at TP1.
REFERENCES = (('patients', 'TP1'), ('remitters', 'TP1'), ('remitters', 'TP2'))


class Study(NamedTuple):
    """Maps without any effect, and people.

    ``maps`` has the shape (n_people, 3, n_grayordinates), NaN where a visit is missing;
    ``people`` has ``patient``, ``remitter`` (missing without TP3), ``hdrs_change``, ``age`` and
    ``sex``, a row per person.
    """

    maps: Floats
    people: pd.DataFrame


class TestUse(NamedTuple):
    """Name of a test, and what it uses."""

    name: str
    uses: tuple[DataUse, ...]


def draw_study(rng: np.random.Generator, covariance: str) -> Study:
    """Draw people, then maps that know nothing of them."""
    n = N_PATIENTS + N_CONTROLS
    first = rng.normal(22, 4, n).clip(14)
    last = (first * (1 - rng.normal(0.6, 0.3, n))).round().clip(0)
    present = np.zeros((n, 3), bool)
    present[:, 0] = True
    present[rng.permutation(N_PATIENTS)[:N_SECOND], 1] = True
    present[rng.permutation(N_PATIENTS)[:N_COMPLETERS], 2] = True
    scored = present[:, 2]
    people = pd.DataFrame(
        {
            'patient': np.arange(n) < N_PATIENTS,
            'remitter': np.where(scored, last <= 7, np.nan),
            'hdrs_change': np.where(scored, 100 * (first - last) / first, np.nan),
            'age': rng.normal(40, 12, n),
            'sex': rng.integers(0, 2, n).astype(float),
        },
        index=pd.Index([f'{i:02d}' for i in range(n)], name='participant_id'),
    )
    white = smooth_noise(rng, 3 * n).reshape(n, 3, -1)
    maps = np.einsum('st,ntg->nsg', np.linalg.cholesky(COVARIANCES[covariance]), white)
    maps[~present] = np.nan
    return Study(maps, people)


def visits(values: Floats, *sessions: str) -> Floats:
    """Give the value at a visit, or the first minus the second, per person."""
    columns = [values[:, SESSIONS.index(session)] for session in sessions]
    return columns[0] - columns[1] if len(columns) == 2 else columns[0]


def member(people: pd.DataFrame, group: str) -> npt.NDArray[np.bool_]:
    """Whether each person is in a group."""
    if group in ('patients', 'controls'):
        return people['patient'].to_numpy() == (group == 'patients')
    return (people['remitter'] == (group == 'remitters')).to_numpy()


def list_tests(people: pd.DataFrame, values: Floats) -> list[TestUse]:
    """Name every test, in the order of `p_values`, and say what it uses."""

    def who(rows: npt.NDArray[np.bool_], *sessions: str) -> list[str]:
        return people.index[rows & np.isfinite(visits(values, *sessions))].tolist()

    scored = people['remitter'].notna().to_numpy()
    everyone = people.index[scored].tolist()
    two, three = ['TP1', 'TP3'], list(SESSIONS)
    tests = [
        (f'time x remitter, {len(s)} visits', uses_of_term('time:remitter', s, everyone, ROOTS))
        for s in (two, three)
    ]
    tests += [
        ('time, 3 visits', uses_of_term('time', three, everyone, ROOTS)),
        (
            'TP1 - TP3 in remitters (simple effect)',
            uses_of_pair('TP1', 'TP3', three, ['remitter'], everyone, ROOTS),
        ),
        (
            'remitters - others at TP2 (simple effect)',
            uses_of_pair('TP2', 'TP2', three, ['remitter'], everyone, ROOTS),
        ),
    ]
    for name, sessions in CHANGES.items():
        use = uses_of_analysis(sessions, ['hdrs_change'], who(scored, *sessions), ROOTS)
        tests.append((f'{name} against HDRS change', use))
    for session in SESSIONS:
        use = uses_of_analysis([session], ['remitter'], who(scored, session), ROOTS)
        tests.append((f'remitters - others at {session}', use))
    found = [TestUse(name, (use,)) for name, use in tests]
    controls = who(member(people, 'controls'), 'TP1')
    for group, session in REFERENCES:
        uses = uses_of_reference(
            session, who(member(people, group), session), 'TP1', controls, [group], ROOTS
        )
        found.append(TestUse(f'{group} at {session} - controls', uses))
    return found


def p_values(values: Floats, people: pd.DataFrame) -> Floats:
    """Test values of the shape (n_people, 3) in every way; p in the order of `list_tests`."""
    p = [_mixed(values, people, ('TP1', 'TP3'))[0], *_mixed(values, people, SESSIONS)]
    score = people['hdrs_change'].to_numpy()
    for sessions in CHANGES.values():
        value = visits(values, *sessions)
        both = np.isfinite(value) & np.isfinite(score)
        p.append(correlate(value[both], score[both]).p)
    comparisons = [(('remitters', s), ('others', s)) for s in SESSIONS]
    comparisons += [(reference, ('controls', 'TP1')) for reference in REFERENCES]
    for pair in comparisons:
        sides = [visits(values, session)[member(people, group)] for group, session in pair]
        p.append(t_test(*(side[np.isfinite(side)] for side in sides)).p)
    return np.array(p)


def _mixed(values: Floats, people: pd.DataFrame, sessions: Sequence[str]) -> list[float]:
    """Random intercept: time x remitter; with three visits time and both simple effects, too."""
    table = np.column_stack([visits(values, session) for session in sessions])
    side = people['remitter'].to_numpy()
    person, visit = np.nonzero(np.isfinite(table) & np.isfinite(side)[:, None])
    n = len(sessions)
    cells = np.zeros((len(person), 2 * n + 2))
    cells[np.arange(len(person)), visit + n * side[person].astype(int)] = 1
    covariates = people[['age', 'sex']].to_numpy()[person]
    cells[:, -2:] = covariates - covariates.mean(axis=0)
    subject = np.unique(person, return_inverse=True)[1]
    try:
        fit = fit_reml(table[person, visit], cells, subject, visit, 'ri', n)
    except InputError:  # too few values of regions that are found without the participant
        return [float('nan')] * (1 if n == 2 else 4)
    steps = np.eye(n)[:1] - np.eye(n)[1:]  # first minus each other
    nothing, plain = np.zeros_like(steps), np.zeros((n - 1, 2))
    tests = [np.hstack([-steps, steps, plain])]
    if n == 3:
        tests.append(np.hstack([steps, steps, plain]) / 2)
        tests.append(np.hstack([nothing, steps, plain])[-1:])
        at = np.eye(n)[[1]]
        tests.append(np.hstack([-at, at, plain[:1]]))
    return [float(f_test(fit, rows).p) for rows in tests]
