"""Cluster extent and cluster mass as measures of a map, as PALM's ``-C`` has them.

A cluster is a connected part of {z >= threshold}. Its extent is the area of its vertices in mm^2
or the number of its voxels; its mass is the sum of z over its vertices or voxels, the threshold
not subtracted and areas not weighed (Bullmore et al. 1999, IEEE Trans Med Imaging 18:32-42).
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from numba import njit

from ketbids.errors import InputError
from ketbids.stats.graph import Graph

__all__ = ['ClusterMeasure', 'ClusterStatistic']

ClusterStatistic = Literal['extent', 'mass']


class ClusterMeasure:
    """Extent or mass of the cluster of each location; of one thread at a time.

    Parameters
    ----------
    graph : Graph
        Neighbours; PALM has 26 in volumes, whatever TFCE has.
    extent : ndarray, shape (n_locations,)
        mm^2 of a vertex, 1 for a voxel.
    threshold : float
        Above 0; what reaches it is in a cluster.
    statistic : {'extent', 'mass'}
    partition : ndarray of int, shape (n_locations,), optional
        Code of the partition of each location, if each has a maximum of its own.

    Raises
    ------
    InputError
        Lengths differ, the threshold is not above 0, or the statistic is another.
    """

    def __init__(
        self,
        graph: Graph,
        extent: npt.NDArray[np.float64],
        threshold: float,
        statistic: ClusterStatistic = 'extent',
        partition: npt.NDArray[np.integer] | None = None,
    ) -> None:
        n = len(graph.indptr) - 1
        partition = np.zeros(n, dtype=np.int8) if partition is None else partition
        if not n == len(extent) == len(partition):
            raise InputError(
                f'Clusters: the graph has {n} locations, the extents {len(extent)}, the '
                f'partitions {len(partition)}; they must describe the same map.'
            )
        if not 0 < threshold < np.inf:
            raise InputError(
                f'The cluster-forming threshold must be a z above 0, not {threshold}.'
            )
        if statistic not in get_args(ClusterStatistic):
            raise InputError(f"The cluster statistic is 'extent' or 'mass', not {statistic!r}.")
        self._indptr = graph.indptr.astype(np.uint32)
        self._indices = graph.indices.astype(np.uint32)
        self._extent = np.ascontiguousarray(extent, dtype=np.float64)
        self._partition = np.ascontiguousarray(partition, dtype=np.int64)
        self._n_partitions = int(self._partition.max(initial=0)) + 1
        self._threshold = float(threshold)
        self._mass = statistic == 'mass'
        self._memory = np.empty((2, n), dtype=np.uint32)

    def __call__(
        self, z: npt.NDArray[np.float64], out: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Measure a map.

        Parameters
        ----------
        z : ndarray of float64, shape (n_locations,)
            NaN is in no cluster. For the other direction negate the map, for both give its
            absolute value.
        out : ndarray of float64, shape (n_locations,)
            Filled with the statistic of the cluster of each location, 0 outside of clusters.

        Returns
        -------
        ndarray, shape (n_partitions,)
            The largest of each partition; 0 without a cluster.
        """
        return _measure(
            z,
            self._threshold,
            self._mass,
            self._indptr,
            self._indices,
            self._extent,
            self._partition,
            self._n_partitions,
            self._memory[0],
            self._memory[1],
            out,
        )


@njit(nogil=True, cache=True)
def _measure(
    z, threshold, mass, indptr, indices, extent, partition, n_partitions, root, members, out
):
    """Join neighbours with union-find, where the first location of a cluster is its root."""
    out[:] = 0.0
    n = 0
    for v in range(len(z)):
        members[n] = v
        n += int(z[v] >= threshold)
    for k in range(n):
        v = members[k]
        root[v] = v
        for j in range(indptr[v], indptr[v + 1]):
            u = indices[j]
            # Neighbours that come later will see this one.
            if u >= v:
                continue
            if not z[u] >= threshold:
                continue
            while root[u] != u:
                root[u] = root[root[u]]
                u = root[u]
            w = v
            while root[w] != w:
                root[w] = root[root[w]]
                w = root[w]
            if u < w:
                root[w] = u
            elif w < u:
                root[u] = w
    highest = np.zeros(n_partitions)
    for k in range(n):
        v = members[k]
        # The root stands earlier and is its own.
        root[v] = root[root[v]]
        out[root[v]] += z[v] if mass else extent[v]
    for k in range(n):
        v = members[k]
        out[v] = out[root[v]]
        highest[partition[v]] = max(highest[partition[v]], out[v])
    return highest
