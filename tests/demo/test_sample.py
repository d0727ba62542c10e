from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ketbids.demo.sample import MINIMUM, REMISSION, draw_sample
from ketbids.errors import UsageError


def test_default_sample(sample):
    people = sample.participants
    assert [p.group for p in people].count('HC') == 8
    assert len(sample.patients) == 16
    assert len(sample.runs) == 50
    assert [
        sum('TP2' in p.sessions for p in people),
        sum('TP3' in p.sessions for p in people),
    ] == [
        14,
        12,
    ]
    assert sum(p.remitter is True for p in people) == 5
    excluded = next(p for p in people if p.label == sample.excluded)
    assert excluded.group == 'HC'
    missing = [p for p in people if p.age is None]
    assert [p.label for p in missing] == [sample.without_age]
    # Their loss costs the mean at TP1 a row, and no longitudinal analysis.
    assert missing[0].sessions == ('TP1', 'TP2')


@given(n=st.integers(MINIMUM, 60), seed=st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_rules_of_the_scores(n, seed):
    sample = draw_sample(n, seed)
    assert len(sample.participants) == n
    assert len({p.label for p in sample.participants}) == n
    remitters = [p for p in sample.patients if p.remitter is True]
    others = [p for p in sample.patients if p.remitter is False]
    assert len(remitters) >= 2
    assert len(others) >= 2
    for person in sample.participants:
        assert person.age is None or 20 <= person.age <= 64
        assert person.sex in 'FM'
        if person.group == 'HC':
            assert person.hdrs == {}
            assert person.sessions == ('TP1',)
            continue
        assert tuple(person.hdrs) == person.sessions
        assert person.hdrs['TP1'] >= 17
        assert all(0 <= score <= 52 for score in person.hdrs.values())
        if 'TP3' in person.hdrs:
            first, last = person.hdrs['TP1'], person.hdrs['TP3']
            assert person.improvement == pytest.approx(100 * (first - last) / first)
            assert person.remitter == (last <= REMISSION)
    assert sample.without_incorrect_go in [(p.label, s) for p, s in sample.runs]


def test_groups_are_balanced(sample):
    ages = {
        g: [p.age for p in sample.participants if p.group == g and p.age] for g in ('HC', 'TRD')
    }
    assert abs(np.mean(ages['HC']) - np.mean(ages['TRD'])) < 10
    sexes = [p.sex for p in sample.patients if p.remitter]
    assert set(sexes) == {'F', 'M'}


def test_seed_repeats_and_changes():
    assert draw_sample(12, 1) == draw_sample(12, 1)
    assert draw_sample(12, 1) != draw_sample(12, 2)


def test_too_few_participants():
    with pytest.raises(UsageError, match='at least 6'):
        draw_sample(5, 1)


@given(n=st.integers(MINIMUM, 60), seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_times_of_scans_and_infusions(n, seed):
    sample = draw_sample(n, seed)
    assert sample.late
    for person in sample.participants:
        assert tuple(person.scanned) == person.sessions
        assert list(person.scanned.values()) == sorted(person.scanned.values())
        assert all(time < '1925' for time in person.scanned.values())
        assert set(person.infused) == set(person.sessions if person.hdrs else ()) - {'TP1'}
        hours = {
            session: (
                datetime.fromisoformat(person.scanned[session]) - datetime.fromisoformat(time)
            ).total_seconds()
            / 3600
            for session, time in person.infused.items()
        }
        assert 22 <= hours.get('TP2', 24) <= 26
        if 'TP3' in hours:
            assert (person.label in sample.late) == (hours['TP3'] > 72)
            assert hours['TP3'] >= 24
            assert person.scanned['TP1'] < person.infused['TP2']
