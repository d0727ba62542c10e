import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ketbids.errors import InputError
from ketbids.stats.motion import framewise_displacement


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
