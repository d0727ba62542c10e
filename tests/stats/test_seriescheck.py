"""Values that are no measurement are found, and named."""

import numpy as np
import pytest

from ketbids.stats.seriescheck import series_notes, volumes_text


@pytest.fixture
def data():
    return np.random.default_rng(0).normal(1e4, 50, (200, 30)).astype(np.float32)


def notes(data):
    return series_notes(data, np.isfinite(data).all(axis=0))


def test_usual_data_pass(data):
    assert notes(data) == []
    data[:, 3] = 7
    data[5, 4] = np.nan
    assert notes(data) == []


def test_single_values_and_whole_volumes(data):
    data[7, 2] += 4000
    (note,) = notes(data)
    assert note.startswith('1 grayordinate has values more than 50 robust standard deviations')
    assert note.endswith('in volume 8: look at the data')
    data[9] *= 1000
    (note,) = notes(data)
    assert note.startswith('30 grayordinates have')
    assert 'in volumes 8, 10:' in note


def test_an_end_without_signal(data):
    data[100:] = 0
    (note,) = notes(data)
    assert note.startswith('the last 100 of 200 volumes are all the same')
    assert notes(np.zeros((5, 3)))[0].startswith('the last 5 of 5')


def test_few_volumes_are_listed():
    assert volumes_text(np.array([0])) == 'volume 1'
    assert volumes_text(np.arange(7)) == 'volumes 1, 2, 3, 4, 5 and 2 more'
