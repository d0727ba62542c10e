import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ketbids.reports.sentences import format_p, p_equals, survival_sentence


@pytest.mark.parametrize(
    ('p', 'text'),
    [
        (0.21, '.21'), (0.0123, '.012'), (0.05, '.050'), (0.0502, '.0502'), (0.0498, '.0498'),
        (0.001, '.0010'), (0.0002, '< .001'), (1.0, '1'), (0.997, '.997'), (math.nan, 'n/a'),
        (0.1, '.10'),
    ],
)  # fmt: skip
def test_format_p(p, text):
    assert format_p(p) == text


@given(st.floats(0.001, 1), st.sampled_from([0.05, 0.025, 0.01]))
def test_a_formatted_p_never_crosses_alpha(p, alpha):
    shown = float(format_p(p, alpha=alpha))
    assert shown == pytest.approx(p, rel=0.06)
    if abs(p - alpha) > 1e-9:
        assert (shown < alpha) == (p < alpha)


def test_p_equals():
    assert p_equals(0.3) == '= .30'
    assert p_equals(1e-5) == '< .001'


def test_nothing_survives():
    assert survival_sentence(0.21) == (
        'No grayordinate survived FWE correction at p < .05 (smallest corrected p = .21).'
    )
    assert survival_sentence(0.03, 0.025) == (
        'No grayordinate survived FWE correction at p < .025 (smallest corrected p = .030).'
    )
    assert survival_sentence(math.nan) == 'No grayordinate could be tested.'


def test_something_survives():
    assert survival_sentence(0.0002, n_surviving=1523, n_clusters=1) == (
        '1,523 grayordinates in 1 cluster survived FWE correction at p < .05 '
        '(smallest corrected p < .001).'
    )
    assert survival_sentence(0.04, n_surviving=1) == (
        '1 grayordinate survived FWE correction at p < .05 (smallest corrected p = .040).'
    )


def test_no_claim_where_the_shuffles_cannot_reach_alpha():
    sentence = survival_sentence(0.125, lowest_p=0.125)
    assert sentence.startswith('No statement about FWE at p < .05 is made')
    assert sentence.endswith('is .12.')
    assert survival_sentence(0.2, lowest_p=0.01).startswith('No grayordinate survived')
