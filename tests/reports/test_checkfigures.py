"""Figures that check the model of a run: what is drawn, where, in which colour."""

import warnings
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ketbids.errors import InputError
from ketbids.reports.checkfigures import correlation_figure, whiteness_figure


def pixels(png):
    return np.asarray(Image.open(BytesIO(png)).convert('RGB')).astype(int)


def share(rgb, colour):
    return (np.abs(rgb - colour).max(axis=2) < 12).mean()


RED, BLUE = [103, 0, 31], [5, 48, 97]


def correlations(frame, task):
    varying = frame.loc[:, np.ptp(frame.to_numpy(), axis=0) > 0]
    others = [name for name in varying if name not in task]
    return varying[[*task, *others]].corr().loc[task]


@pytest.fixture
def columns():
    a, b = np.linalg.qr(np.random.default_rng(0).standard_normal((60, 3)))[0].T[:2]
    a, b = a - a.mean(), b - b.mean()
    return pd.DataFrame({'a': a, 'minus a': -a, 'b': b, 'constant': 1.0})


def test_cells_have_the_colour_of_their_correlation(columns):
    rgb = pixels(correlation_figure(correlations(columns, ['a', 'minus a'])))
    assert rgb.shape[1] == 1600
    # Cells of 120 x 64 pixels from (310, 84); near their corners, away from the numbers.
    corner = {(i, j): rgb[84 + 64 * i + 8, 310 + 120 * j + 8] for i in (0, 1) for j in (0, 1)}
    for i, j in corner:
        expected = RED if i == j else BLUE
        np.testing.assert_allclose(corner[i, j], expected, atol=6)
    # One cell of the other regressor, b; the constant has no correlation.
    right = rgb[92, 310 + 240 + 46 + 8]
    assert (right > 120).all()
    assert (rgb[92, 310 + 240 + 46 + 75] == 255).all()


def test_only_the_task(columns):
    rgb = pixels(correlation_figure(correlations(columns[['a', 'b', 'constant']], ['a', 'b'])))
    assert rgb.shape[1] == 1600
    assert (rgb[84:180, 600:1580] == 255).all()


def test_many_regressors_and_long_names_fit():
    values = np.random.default_rng(1).standard_normal((200, 60))
    names = [f'condition with a rather long name {n}' for n in range(20)]
    names += [f'a_comp_cor_{n:02d}' for n in range(40)]
    rgb = pixels(correlation_figure(correlations(pd.DataFrame(values, columns=names), names[:20])))
    assert (rgb[:, 1575:] == 255).all()
    assert (rgb[:4] == 255).all()
    assert (rgb[-4:] == 255).all()


def test_nothing_to_draw(columns):
    with pytest.raises(InputError, match='nothing to draw'):
        correlation_figure(correlations(columns, []))


def test_whiteness_shows_both_and_bears_what_is_missing():
    before = {'Percentile5': [0.1, 0.0], 'Median': [0.5, 0.3], 'Percentile95': [0.7, 0.5]}
    after = {'Percentile5': [-0.1, -0.1], 'Median': [0.0, 0.0], 'Percentile95': [0.1, 0.1]}
    quality = {'Lags': [1, 2], 'AutocorrelationBefore': before, 'AutocorrelationAfter': after}
    vermilion, blue = [213, 94, 0], [0, 114, 178]
    both = pixels(whiteness_figure(quality))
    assert share(both, vermilion) > 1e-4
    assert share(both, blue) > 1e-4
    # Medians before whitening lie higher on the page.
    rows = [
        np.nonzero((np.abs(both[120:490] - c).max(2) < 12).any(axis=1))[0]
        for c in (vermilion, blue)
    ]
    assert rows[0].mean() < rows[1].mean()
    unknown = {**quality, 'AutocorrelationAfter': {key: [None, None] for key in after}}
    assert share(pixels(whiteness_figure(unknown)), vermilion) > 1e-4


@pytest.mark.parametrize('value', [None, 0.0])
@pytest.mark.parametrize('n_lags', [1, 6])
def test_whiteness_of_nothing_and_of_one_lag(value, n_lags):
    """A run whose grayordinates have no data is drawn, too."""
    level = {key: [value] * n_lags for key in ('Percentile5', 'Median', 'Percentile95')}
    quality = {'Lags': list(range(1, n_lags + 1))}
    quality |= {'AutocorrelationBefore': level, 'AutocorrelationAfter': level}
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert pixels(whiteness_figure(quality)).shape[1] == 1600
        assert pixels(whiteness_figure({'Lags': [1]})).shape[1] == 1600
