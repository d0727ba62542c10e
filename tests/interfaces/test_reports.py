"""Figures of maps."""

import json
from pathlib import Path

import numpy as np
import pytest

from ketbids.interfaces.reports import AnalysisFigures, MapFigures

PNG = b'\x89PNG\r\n\x1a\n'


def is_picture(path):
    return Path(path).read_bytes().startswith(PNG) and Path(path).stat().st_size > 2000


@pytest.fixture
def inflated(brain):
    return brain.pair('inflated')


def test_pictures_of_maps(brain, inflated):
    values = np.random.default_rng(0).normal(0, 3, len(brain.models))
    values[3] = np.nan
    found = MapFigures(
        z=[brain.map('a', values), brain.map('b', 0.0)],
        contrasts=['a', 'b'],
        left_inflated=inflated[0],
        right_inflated=inflated[1],
    ).run()
    pictures = found.outputs.figures
    assert [Path(path).name for path in pictures] == ['map_a.png', 'map_b.png']
    assert all(is_picture(path) for path in pictures)
    assert len({Path(path).read_bytes() for path in pictures}) == 2


@pytest.mark.parametrize('p', [0.01, 0.5])
def test_picture_of_an_analysis(brain, inflated, tmp_path, p):
    summary = tmp_path / 'summary.json'
    summary.write_text(json.dumps({'SmallestP': {'pos': p}, 'Alpha': 0.05, 'ClaimBelow': 0.05}))
    found = AnalysisFigures(
        title='meanHC',
        maps={'z': brain.map('z', 4.0), 'pfwe_pos': brain.map('p', p)},
        summary=str(summary),
        inflated=list(inflated),
    ).run()
    assert is_picture(found.outputs.figure)
