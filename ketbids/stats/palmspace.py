"""Where the locations of an input are: TFCE and clusters of its maps, as PALM defines them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ketbids.stats.brainmodels import CORTEX, SUBCORTEX, BrainModels, Surface
from ketbids.stats.clusterwise import ClusterMeasure
from ketbids.stats.graph import adjacency, extents
from ketbids.stats.palmtest import Measurement
from ketbids.stats.tfce import Enhancer, Exponents

__all__ = ['Space', 'TfceRule', 'cluster_measurement', 'palm_rule', 'tfce_measurement']

Floats = npt.NDArray[np.float64]

#: PALM's number of steps up to the maximum of a map.
STEPS = 100
#: PALM joins the voxels of a cluster over faces, edges and corners, whatever TFCE does.
_CLUSTER_CONNECTIVITY = 26

_PARTITIONS = {CORTEX: 'surface', SUBCORTEX: 'volume'}


@dataclass(frozen=True, eq=False)
class Space:
    """Places of the tested locations of an input.

    Attributes
    ----------
    models : BrainModels
        Of the tested locations, in their order.
    surfaces : mapping of str to Surface
        Mesh of each surface structure.
    areas : mapping of str to ndarray, shape (n_vertices,)
        Area of each vertex of it.
    """

    models: BrainModels
    surfaces: Mapping[str, Surface]
    areas: Mapping[str, Floats]

    @property
    def partitions(self) -> tuple[tuple[str, ...], npt.NDArray[np.integer]]:
        """Names of the kinds of locations that there are, and which one each is of."""
        codes, column = np.unique(self.models.partition, return_inverse=True)
        return tuple(_PARTITIONS[int(code)] for code in codes), column


@dataclass(frozen=True)
class TfceRule:
    """Parameters of TFCE.

    Attributes
    ----------
    exponents : mapping of int to Exponents
        Of ``CORTEX`` (vertices) and ``SUBCORTEX`` (voxels).
    connectivity : {6, 18, 26}
        Of voxels.
    exact : bool
        The integral in place of 100 steps.
    step_height : float, optional
        Height of a step in place of a hundredth of each map's maximum.
    """

    exponents: Mapping[int, Exponents]
    connectivity: int = 6
    exact: bool = False
    step_height: float | None = None


def palm_rule(
    mixed: bool,
    *,
    two_dimensional: bool = False,
    height: float | None = None,
    extent: float | None = None,
    connectivity: int | None = None,
    exact: bool = False,
    step_height: float | None = None,
) -> TfceRule:
    """Parameters of TFCE as PALM's options set them.

    PALM has one set for all inputs: H 2, E 0.5 and 6 neighbours, or H 2, E 1 and 26 neighbours
    with ``-tfce2D``; each can be set apart. Grayordinates, which PALM has no TFCE for, have E 1
    on surfaces, and E 0.5 and 6 neighbours in the volume, unless set.

    Parameters
    ----------
    mixed : bool
        Whether the input is of grayordinates.
    two_dimensional : bool
        ``-tfce2D``.
    height, extent, connectivity : optional
        H, E and neighbours as set apart.
    exact, step_height
        See `TfceRule`.

    Returns
    -------
    TfceRule
    """
    flat = two_dimensional and not mixed
    h = 2.0 if height is None else height
    volume = (1.0 if flat else 0.5) if extent is None else extent
    surface = (1.0 if mixed else volume) if extent is None else extent
    return TfceRule(
        {CORTEX: Exponents(h, surface), SUBCORTEX: Exponents(h, volume)},
        connectivity or (26 if flat else 6),
        exact,
        step_height,
    )


def tfce_measurement(space: Space, rule: TfceRule) -> Measurement:
    """TFCE of the positive values of a map.

    A map in steps has, like an input of PALM, one maximum for each surface and one for the
    volume.

    Parameters
    ----------
    space : Space
    rule : TfceRule

    Returns
    -------
    Measurement
    """
    models = space.models
    names, column = space.partitions
    groups = np.where(models.is_surface, models.structure, len(models.names))
    present = np.unique(models.partition)
    first = Enhancer(
        adjacency(models, space.surfaces, rule.connectivity),
        extents(models, space.areas),
        models.partition,
        rule.exponents,
        steps=STEPS if not rule.exact and rule.step_height is None else None,
        step_height=rule.step_height,
        groups=groups,
    )

    def make() -> '_Enhanced':
        return _Enhanced(first.twin(), present)

    return Measurement(make, column, names)


class _Enhanced:
    """TFCE as a measure, with a maximum of each partition that is there."""

    def __init__(self, enhancer: Enhancer, present: npt.NDArray[np.integer]) -> None:
        self._enhancer, self._present = enhancer, present

    def __call__(self, z: Floats, out: Floats) -> Floats:
        return self._enhancer.enhance(z, out, 'positive')[0, self._present]


def cluster_measurement(
    space: Space, threshold: float, statistic: Literal['extent', 'mass']
) -> Measurement:
    """Extent or mass of the cluster that a location is in; 0 outside of clusters.

    Parameters
    ----------
    space : Space
    threshold : float
        In z.
    statistic : {'extent', 'mass'}

    Returns
    -------
    Measurement
        Without uncorrected p, as in PALM.
    """
    models = space.models
    names, column = space.partitions
    graph = adjacency(models, space.surfaces, _CLUSTER_CONNECTIVITY)
    extent = extents(models, space.areas)

    def make() -> ClusterMeasure:
        return ClusterMeasure(graph, extent, threshold, statistic, column)

    return Measurement(make, column, names, uncorrected=False)
