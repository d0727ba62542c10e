import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ketbids.errors import InputError
from ketbids.stats.motion import (
    filtered_displacement,
    framewise_displacement,
    without_breathing,
)


def test_translations_add_up_and_rotations_are_arcs():
    movement = np.zeros((4, 6))
    movement[1] = [0.1, -0.2, 0.3, 0, 0, 0]
    movement[2] = [0.1, -0.2, 0.3, 1, 0, -1]
    got = framewise_displacement(movement)
    # by hand: .1 + .2 + .3; two arcs of one degree on 50 mm; and all the way back
    arcs = 2 * 50 * np.pi / 180
    np.testing.assert_allclose(got, [0, 0.6, arcs, 0.6 + arcs])
    in_radians = movement * [1, 1, 1, *[np.pi / 180] * 3]
    np.testing.assert_allclose(framewise_displacement(in_radians, rotation_unit='rad'), got)
    np.testing.assert_allclose(framewise_displacement(movement, radius=100)[2], 2 * arcs)


@given(arrays(float, (6, 6), elements=st.floats(-5, 5)), st.floats(-3, 3))
def test_where_the_head_began_and_which_way_time_runs_do_not_matter(movement, shift):
    moved = framewise_displacement(movement)
    assert moved[0] == 0
    assert (moved >= 0).all()
    np.testing.assert_allclose(framewise_displacement(movement + shift), moved, atol=1e-9)
    backwards = framewise_displacement(movement[::-1])
    np.testing.assert_allclose(backwards[1:][::-1], moved[1:], atol=1e-9)


@pytest.mark.parametrize('shape', [(5,), (5, 12), (5, 3)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(InputError, match='three translations'):
        framewise_displacement(np.zeros(shape))


def test_unknown_units_are_refused():
    with pytest.raises(InputError, match='deg or rad'):
        framewise_displacement(np.zeros((3, 6)), rotation_unit='degrees')


TR = 0.8


def breathing(frequency, n=300, amplitude=0.2, tr=TR):
    """Realignment parameters of a head that is still but breathes along y."""
    movement = np.zeros((n, 6))
    movement[:, 1] = amplitude * np.sin(2 * np.pi * frequency * tr * np.arange(n))
    return movement


def test_the_notch_takes_out_its_centre_and_halves_its_edges():
    inside = slice(60, -60)
    for frequency, left in ((0.25, 0.0), (0.2, 0.5), (0.3, 0.5)):
        movement = breathing(frequency)
        filtered = without_breathing(movement, TR)
        spread = filtered[inside, 1].std() / movement[inside, 1].std()
        assert spread == pytest.approx(left, abs=0.03)
        assert not filtered[:, [0, 2, 3, 4, 5]].any()
    # what is slow, or faster than breathing, stays
    for frequency, at_least in ((0.02, 0.995), (0.05, 0.97), (0.55, 0.85)):
        movement = breathing(frequency)
        spread = without_breathing(movement, TR)[inside, 1].std() / movement[inside, 1].std()
        assert at_least < spread <= 1.001


def test_the_notch_is_that_of_the_analog_formula():
    """|H|^2 for both directions: 1 / (1 + (w b / (w0^2 - w^2))^2), bilinear with prewarping."""
    frequency = np.array([0.05, 0.15, 0.22, 0.28, 0.4, 0.6])
    impulse = np.zeros((2001, 6))
    impulse[1000, 0] = 1
    response = without_breathing(impulse, TR)[:, 0]
    spectrum = [
        abs(np.sum(response * np.exp(-2j * np.pi * f * TR * np.arange(2001)))) for f in frequency
    ]
    # The warped axis turns a digital frequency into tan(pi f TR); the notch is exact there.
    w, w0 = np.tan(np.pi * TR * frequency), np.tan(np.pi * TR * 0.25)
    bandwidth = np.tan(np.pi * TR * 0.1) * (1 + w0**2)
    expected = 1 / (1 + (w * bandwidth / (w0**2 - w**2)) ** 2)
    np.testing.assert_allclose(spectrum, expected, atol=1e-6)


def test_breathing_leaves_the_displacement_and_a_jump_stays():
    movement = breathing(0.25)
    movement[150:, 0] += 2.0
    plain = framewise_displacement(movement)
    filtered = filtered_displacement(movement, TR)
    assert filtered.reason is None
    assert filtered.values[0] == 0
    assert filtered.values.argmax() == 150
    assert filtered.values[150] > 1.5
    calm = np.r_[30:130, 170:270]
    assert plain[calm].mean() > 0.1
    assert filtered.values[calm].mean() < 0.002


def test_nothing_is_delayed():
    """Time backwards gives the result backwards."""
    movement = np.random.default_rng(0).normal(size=(200, 6)).cumsum(axis=0)
    forwards = without_breathing(movement, TR)
    np.testing.assert_allclose(without_breathing(movement[::-1], TR)[::-1], forwards, atol=0.05)
    offset = np.array([5.0, 0, 0, 0, 0, -3])
    shifted = without_breathing(movement + offset, TR)
    np.testing.assert_allclose(shifted, forwards + offset, atol=1e-9)


def test_rotations_become_arcs_after_the_filter():
    movement = np.random.default_rng(1).normal(size=(100, 6))
    in_degrees = filtered_displacement(movement * [1, 1, 1, *[180 / np.pi] * 3], TR).values
    in_radians = filtered_displacement(movement, TR, rotation_unit='rad').values
    np.testing.assert_allclose(in_degrees, in_radians)
    expected = framewise_displacement(without_breathing(movement, TR), rotation_unit='rad')
    np.testing.assert_array_equal(in_radians, expected)


@pytest.mark.parametrize(
    ('n_volumes', 'tr', 'reason'),
    [
        (300, 2.0, 'with a repetition time of 2 s, breathing (0.2-0.3 Hz) is above the highest'),
        (62, 0.8, 'the run lasts 49.6 s; 50 s are needed'),
        (300, np.nan, 'the repetition time is not known'),
    ],
)
def test_runs_that_do_not_allow_it(n_volumes, tr, reason):
    movement = np.zeros((n_volumes, 6))
    found = filtered_displacement(movement, tr)
    assert np.isnan(found.values).all()
    assert len(found.values) == n_volumes
    assert reason in found.reason
    with pytest.raises(InputError, match='Breathing cannot be filtered'):
        without_breathing(movement, tr)


def test_the_shortest_run_and_the_longest_repetition_time():
    assert filtered_displacement(np.zeros((63, 6)), 0.8).reason is None
    assert filtered_displacement(np.zeros((63, 6)), 1.66).reason is None
    assert '1.67 s' in filtered_displacement(np.zeros((63, 6)), 1.67).reason


def test_movement_that_is_not_finite():
    movement = np.zeros((100, 6))
    movement[3, 2] = np.nan
    assert 'not finite' in filtered_displacement(movement, TR).reason


@pytest.mark.parametrize('band', [(0.3, 0.2), (0.0, 0.2)])
def test_bands_that_are_none(band):
    with pytest.raises(InputError, match='is no band of frequencies'):
        filtered_displacement(np.zeros((100, 6)), TR, band=band)
