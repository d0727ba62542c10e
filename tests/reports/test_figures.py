import struct
import warnings

import numpy as np
import pandas as pd
import pytest

from ketbids.errors import InputError
from ketbids.reports.figures import design_figure, motion_figure
from tests.reports.meshes import pixels


def size(png):
    assert png[:8] == b'\x89PNG\r\n\x1a\n'
    return struct.unpack('>II', png[16:24])


@pytest.fixture
def matrix():
    time = np.arange(60)
    return pd.DataFrame(
        {'go $': np.sin(time / 5), 'ramp': time / 59, '<b>constant</b> of a very long name': 1.0}
    )


def test_design_figure_shows_each_regressor_over_time(matrix):
    picture = design_figure(matrix, 0.8)
    width, height = size(picture)
    assert width == 1600
    rgb = pixels(picture)
    # the rows of the matrix begin at 84 and are 34 pixels high; time from 310 to 1560
    ramp = rgb[84 + 34 + 17, 312:1558, 0]
    assert ramp[0] == pytest.approx(128, abs=4)
    assert ramp[-1] == 255
    assert (np.diff(ramp) >= 0).all()
    onsets = {'go $': [1.0, 5.0], 'absent': []}
    assert size(design_figure(matrix, 0.8, onsets=onsets))[1] > height


def test_design_figure_takes_constant_zero_and_missing_columns():
    frame = pd.DataFrame({'zero': np.zeros(5), 'missing': np.full(5, np.nan)})
    assert size(design_figure(frame, 2.0, onsets={'zero': [1], 'missing': [2]}))[0] == 1600
    with pytest.raises(InputError, match='nothing to draw'):
        design_figure(frame.iloc[:0], 2.0)


def test_motion_figure_marks_the_jump():
    movement = np.zeros((100, 6))
    movement[50:, 0] = 2.0
    jump = np.zeros(100)
    jump[50] = 2.0
    rgb = pixels(motion_figure(movement, jump, repetition_time=0.8))
    assert rgb.shape == (760, 1600, 3)
    # the vermilion point beyond the threshold, above its dashed line
    row, column = np.nonzero((np.abs(rgb[484:560] - [213, 94, 0]) < 12).all(axis=2))
    assert len(row) > 10
    expected = 310 + 1250 * (50.5 / 100)
    assert np.median(column) == pytest.approx(expected, abs=6)


@pytest.mark.parametrize(('movement', 'displacement'), [((10, 5), 10), ((10, 6), 9), ((0, 6), 0)])
def test_motion_of_the_wrong_shape_is_refused(movement, displacement):
    with pytest.raises(InputError):
        motion_figure(np.zeros(movement), np.zeros(displacement))


def test_motion_figure_shows_breathing_and_dvars():
    movement = np.zeros((100, 6))
    values = np.random.default_rng(0).random(100)
    values[0] = np.nan
    plain = pixels(motion_figure(movement, values))
    more = pixels(motion_figure(movement, values, filtered=0.4 * values, dvars=50 * values))
    assert more.shape[0] > plain.shape[0]
    # Nothing that is known adds nothing.
    unknown = np.full(100, np.nan)
    same = pixels(motion_figure(movement, values, filtered=unknown, dvars=unknown))
    np.testing.assert_array_equal(same, plain)
    with pytest.raises(InputError, match='99 values cannot be drawn over 100 volumes'):
        motion_figure(movement, values, dvars=np.ones(99))


@pytest.mark.parametrize('value', [0.0, 1.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('n_volumes', [2, 50])
def test_figures_bear_any_numbers(value, n_volumes):
    """Constant, unknown and infinite values are no reason to fail a run that is fitted."""
    flat = np.full(n_volumes, value)
    one = flat.copy()
    one[-1] = 3.0
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for values in (flat, one):
            moved = np.tile(values[:, None], 6)
            found = motion_figure(moved, values, filtered=values, dvars=values)
            assert size(found)[0] == 1600
            frame = pd.DataFrame({'a': values, 'constant': 1.0})
            assert size(design_figure(frame, 0.8, onsets={'a': []}))[0] == 1600
