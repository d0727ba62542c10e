"""Surfaces of brains pass, others do not."""

import numpy as np
import pytest

from ketbids.stats.brainmodels import Surface
from ketbids.stats.surfacecheck import surface_fault
from tests.stats.small_brain import icosphere


@pytest.mark.parametrize('level', [0, 1, 3])
@pytest.mark.parametrize('radius', [5, 80, 300])
def test_spheres_of_many_sizes_pass(level, radius):
    assert surface_fault(icosphere(level, radius)) is None


def test_points_in_another_order():
    mesh = icosphere(4)
    points = np.random.default_rng(0).permutation(mesh.coordinates)
    fault = surface_fault(Surface(points, mesh.triangles))
    assert fault is not None
    assert 'do not fit the order of its points' in fault
