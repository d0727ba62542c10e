"""Minimisation by Newton's method in a trust region measured by the expected information."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.stats.mixed.criterion import Point

__all__ = ['Minimum', 'is_determined', 'minimise']

Floats = npt.NDArray[np.float64]

# Squared length of the gradient in the metric of the information, so in squared standard errors:
# solved; deviances too alike for comparison; good enough when rounding stops further steps.
_SOLVED, _ALIKE, _GOOD = 1e-22, 1e-7, 1e-12
_MAX_STEPS = 200
_SHORTEST = 1e-8
# Smallest eigenvalue of the information scaled to a unit diagonal.
_DETERMINED = 1e-10


class Minimum(NamedTuple):
    """Where the search ended.

    Attributes
    ----------
    point : Point
    converged : bool
    determined : bool
        The information there is positive definite: the data determine all parameters.
    n_steps : int
    """

    point: Point
    converged: bool
    determined: bool
    n_steps: int


class _Local(NamedTuple):
    """The quadratic model at a point, in coordinates where the information is the identity.

    ``back`` turns a step into one of theta; slopes and curvatures belong to its columns.
    """

    back: Floats
    slopes: Floats
    curvatures: Floats


def minimise(at: Callable[[Floats], Point | None], start: Point) -> Minimum:
    """Minimise a deviance from a start, whatever the units of the parameters.

    A step is the minimum of the local quadratic within a radius, which grows and shrinks with
    how well the quadratic predicts (Nocedal and Wright, Numerical Optimization, 2006, chapter 4).
    Length is measured by the expected information, so the path is the same in any units. Close
    to the minimum, where deviances no longer differ, a step must shorten the gradient.

    Parameters
    ----------
    at : callable
        theta -> `Point`, or None where the deviance is not defined.
    start : Point
    """
    point, local = start, _localise(start)
    # Half of a doubling of all variances.
    radius = 0.5 * float(np.sqrt(start.theta @ start.expected @ start.theta))
    for n_steps in range(_MAX_STEPS):
        if local is None:
            return Minimum(point, False, False, n_steps)
        squared = _squared(local)
        convex = bool(local.curvatures[0] > 0)
        if (convex and squared < _SOLVED) or radius < _SHORTEST:
            return Minimum(point, convex and squared < _GOOD, True, n_steps)
        step = _step(local, radius)
        length = float(np.linalg.norm(step))
        new = at(point.theta + local.back @ step)
        if new is None:
            radius = length / 4
            continue
        if convex and squared < _ALIKE:
            there = _localise(new)
            if there is None or _squared(there) >= squared:
                return Minimum(point, squared < _GOOD, True, n_steps)
            point, local = new, there
            continue
        predicted = -float(step @ (local.slopes + local.curvatures * step / 2))
        ratio = (point.deviance - new.deviance) / predicted
        if ratio < 0.25:
            radius = length / 4
        elif ratio > 0.75 and length > 0.9 * radius:
            radius *= 2
        if ratio > 1e-4:
            point, local = new, _localise(new)
    return Minimum(point, False, True, _MAX_STEPS)


def is_determined(point: Point) -> bool:
    """Tell whether the information is positive definite there, by more than rounding."""
    return _localise(point) is not None


def _squared(local: _Local) -> float:
    return float(local.slopes @ local.slopes)


def _localise(point: Point) -> _Local | None:
    """Diagonalise the Hessian relative to the information; None if the latter is singular."""
    diagonal = np.diag(point.expected)
    if not diagonal.min() > 0:
        return None
    unit = 1 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(point.expected * unit[:, None] * unit)
    if values[0] < _DETERMINED:
        return None
    root = unit[:, None] * vectors / np.sqrt(values)
    curvatures, turned = np.linalg.eigh(root.T @ point.hessian @ root)
    back = root @ turned
    return _Local(back, point.gradient @ back, curvatures)


def _step(local: _Local, radius: float) -> Floats:
    """Minimise the quadratic within the radius: ``-slopes / (curvatures + shift)``."""
    slopes, curvatures = local.slopes, local.curvatures
    if curvatures[0] > 0:
        step = -slopes / curvatures
        if step @ step <= radius**2:
            return step
    low = max(0.0, -float(curvatures[0]))
    high = low + max(float(np.linalg.norm(slopes)), 1e-12) / radius
    while high - low > 1e-3 * high:
        shift = (low + high) / 2
        step = -slopes / (curvatures + shift)
        low, high = (shift, high) if step @ step > radius**2 else (low, shift)
    step = -slopes / (curvatures + high)
    left = radius**2 - step @ step
    if curvatures[0] <= 0 and left > 0.1 * radius**2:
        # No slope along the most negative curvature: any direction along it leads down.
        step[0] += np.sqrt(left) * (1 if step[0] >= 0 else -1)
    return step
