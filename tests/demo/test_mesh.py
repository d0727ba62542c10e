import numpy as np
import pytest

from ketbids.demo.mesh import coarse_mesh, icosphere, interpolate
from ketbids.stats.graph import vertex_areas


def outward_volume(surface):
    a, b, c = (surface.coordinates[surface.triangles[:, k]] for k in range(3))
    return np.einsum('ij,ij->', a, np.cross(b, c)) / 6


@pytest.mark.parametrize('frequency', [1, 2, 5])
def test_icosphere_is_a_closed_sphere(frequency):
    ball = icosphere(frequency)
    n = 10 * frequency**2 + 2
    assert ball.coordinates.shape == (n, 3)
    assert ball.triangles.shape == (20 * frequency**2, 3)
    assert np.linalg.norm(ball.coordinates, axis=1) == pytest.approx(1)
    pairs = np.concatenate([ball.triangles[:, [i, (i + 1) % 3]] for i in range(3)])
    edges = np.unique(np.sort(pairs, axis=1), axis=0)
    assert n - len(edges) + len(ball.triangles) == 2  # Euler: no seams, no holes
    assert np.bincount(ball.triangles.ravel()).min() == 5
    assert 0 < outward_volume(ball) < 4 / 3 * np.pi


def test_volume_of_a_fine_icosphere_is_that_of_a_sphere():
    assert outward_volume(icosphere(18)) == pytest.approx(4 / 3 * np.pi, rel=0.01)


def test_interpolation_gives_points_of_the_sphere_back():
    ball = icosphere(6)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(200, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    corners, weights = interpolate(ball, points)
    assert weights.min() >= 0
    assert weights.sum(axis=1) == pytest.approx(1)
    found = np.einsum('ij,ijk->ik', weights, ball.coordinates[corners])
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    assert np.abs(found - points).max() < 1e-9
    apart = np.linalg.norm(ball.coordinates[corners] - points[:, None], axis=2)
    assert (apart[:, 0] <= apart.min(axis=1) + 1e-12).all()


def test_vertices_interpolate_to_themselves():
    ball = icosphere(3)
    corners, weights = interpolate(ball, ball.coordinates)
    assert (corners[:, 0] == np.arange(len(ball.coordinates))).all()
    assert weights[:, 0] == pytest.approx(1)


def test_hemispheres_mirror_each_other_and_keep_their_size():
    left, right = (coarse_mesh(side, 9) for side in ('L', 'R'))
    mirrored = right.midthickness.coordinates * [-1, 1, 1]
    apart = np.linalg.norm(mirrored - left.midthickness.coordinates, axis=1)
    assert np.median(apart) < 5  # the same place, though no hemisphere is the other's mirror image
    for mesh in (left, right):
        assert outward_volume(mesh.midthickness) > 3e5  # mm^3
        assert 4e4 < vertex_areas(mesh.midthickness).sum() < 7e4  # mm^2
