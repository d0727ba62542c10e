"""Nodes that smooth without wb_command."""

from pathlib import Path

import numpy as np
import pytest

from ketbids.errors import InputError
from ketbids.interfaces.smoothing import SmoothingWeights, SmoothSeries
from ketbids.io.cifti import read_series
from ketbids.stats.smoothing import apply_smoothing, smoothing_matrix
from tests.interfaces.files import TR, BrainFiles


def weights(brain, series, fwhm=20.0):
    left, right = brain.pair()
    node = SmoothingWeights(series_file=series, left_surface=left, right_surface=right, fwhm=fwhm)
    return node.run().outputs.out_file


def smooth(series, weights_file, **options):
    node = SmoothSeries(in_file=series, weights_file=weights_file, **options)
    return read_series(Path(node.run().outputs.out_file))


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_weights_serve_every_run(brain):
    one, two = brain.noise(4, seed=1), brain.noise(7, seed=2)
    first, second = brain.series('one', one), brain.series('two', two)
    made = weights(brain, first)
    matrix = smoothing_matrix(brain.models, brain.brain.surfaces, 20.0)
    for path, data in ((first, one), (second, two)):
        found = smooth(path, made, num_threads=2)
        expected = apply_smoothing(matrix, data.astype(np.float32))
        np.testing.assert_allclose(found.data, expected, rtol=3e-7)
        assert found.models.same_as(brain.models)
        assert found.repetition_time == TR


def test_constants_stay(brain):
    constant = np.full((3, len(brain.models)), 7.0) + np.arange(3)[:, None]
    path = brain.series('bold', constant)
    found = smooth(path, weights(brain, path)).data
    np.testing.assert_allclose(found, constant, rtol=2e-7)


def test_without_data(brain):
    data = brain.noise(5)
    data[:, 3], data[2, 8], data[:, 60], data[:, -4] = 0, np.nan, 5e3, np.inf
    path = brain.series('holes', data)
    made = weights(brain, path)
    found = smooth(path, made).data
    lost = [3, 8, 60, len(brain.models) - 4]
    np.testing.assert_array_equal(found[:, lost], data[:, lost].astype(np.float32))
    data[:, lost] = 1.0
    np.testing.assert_array_equal(
        np.delete(smooth(brain.series('ones', data), made).data, lost, axis=1),
        np.delete(found, lost, axis=1),
    )


def test_volumes_without_anything_finite_are_named(brain):
    data = brain.noise(20)
    data[[6, 16]] = np.nan
    path = brain.series('lost', data)
    with pytest.raises(InputError, match=r'Nothing is finite in volumes 7, 17\. Preprocess'):
        smooth(path, weights(brain, path))


def test_weights_of_other_data(brain, tmp_path):
    (tmp_path / 'fine').mkdir()
    fine = BrainFiles(tmp_path / 'fine', level=2)
    made = weights(fine, fine.series('fine', fine.noise(2)))
    path = brain.series('bold', brain.noise(2))
    words = 'are for 340 other grayordinates than the 124 of'
    with pytest.raises(InputError, match=words) as caught:
        smooth(path, made)
    assert path in str(caught.value)
    assert made in str(caught.value)


@pytest.mark.parametrize('fwhm', [0.0, -1.0])
def test_kernel_must_be_positive(brain, fwhm):
    with pytest.raises(Exception, match='fwhm'):
        SmoothingWeights(fwhm=fwhm)


def test_surfaces_that_are_exchanged(brain):
    left, right = brain.pair()
    node = SmoothingWeights(
        series_file=brain.series('bold', brain.noise(2)),
        left_surface=right,
        right_surface=left,
        fwhm=5.0,
    )
    with pytest.raises(InputError, match=r'mid_R.* is a surface of .*RIGHT, not of .*LEFT'):
        node.run()
