"""Connected significant grayordinates, as a table."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse.csgraph import connected_components

from ketbids.errors import InputError
from ketbids.stats.brainmodels import BrainModels
from ketbids.stats.graph import Graph, restrict

__all__ = ['cluster_table', 'structure_name']

_COLUMNS = {
    'cluster': 'int64',
    'size': 'float64',
    'unit': 'str',
    'n_grayordinates': 'int64',
    'peak_value': 'float64',
    'peak_p': 'float64',
    'x': 'float64',
    'y': 'float64',
    'z': 'float64',
    'structure': 'str',
}


def structure_name(name: str) -> str:
    """A CIFTI structure in words: ``CIFTI_STRUCTURE_PUTAMEN_RIGHT`` is ``putamen right``."""
    return name.removeprefix('CIFTI_STRUCTURE_').replace('_', ' ').lower()


def cluster_table(
    significant: npt.NDArray[np.bool_],
    statistic: npt.NDArray[np.float64],
    pfwe: npt.NDArray[np.float64],
    models: BrainModels,
    graph: Graph,
    extent: npt.NDArray[np.float64],
    coordinates: npt.NDArray[np.float64],
    labels: Mapping[str, npt.NDArray] | None = None,
) -> tuple[pd.DataFrame, npt.NDArray[np.int32]]:
    """Clusters of significant grayordinates.

    Parameters
    ----------
    significant : ndarray of bool, shape (n_grayordinates,)
    statistic : ndarray, shape (n_grayordinates,)
        Larger is stronger; the peak is its maximum within the cluster.
    pfwe : ndarray, shape (n_grayordinates,)
    models : BrainModels
    graph : Graph
        Neighbours; a cluster is a connected part of it.
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex (voxels count by the volume of ``models``).
    coordinates : ndarray, shape (n_grayordinates, 3)
        Positions in mm.
    labels : mapping of str to array of str, shape (n_grayordinates,), optional
        Atlases: the label of each grayordinate.

    Returns
    -------
    table : DataFrame
        One row per cluster, sorted by the p of the peak, then size, with the columns ``cluster``
        (number from 1), ``size``, ``unit`` ('mm2' or 'mm3'), ``n_grayordinates``, ``peak_value``,
        ``peak_p``, ``x``, ``y``, ``z`` (mm, of the peak), ``structure`` (of the peak); for each
        atlas ``<atlas>`` (label at the peak), ``<atlas>_largest`` (label with the largest part of
        the cluster) and ``<atlas>_share`` (that part, from 0 to 1, by extent).
    numbers : ndarray of int32, shape (n_grayordinates,)
        Cluster of each grayordinate; 0 is none.

    Raises
    ------
    InputError
        The arrays have different lengths.
    """
    atlases = {} if labels is None else {name: np.asarray(v) for name, v in labels.items()}
    n = len(models)
    arrays = [significant, statistic, pfwe, extent, coordinates, graph.indptr[1:]]
    if any(len(values) != n for values in (*arrays, *atlases.values())):
        lengths = ', '.join(str(len(values)) for values in (*arrays, *atlases.values()))
        raise InputError(
            f'Clusters: the brain models have {n} grayordinates, the maps {lengths}; '
            'they must describe the same map.'
        )
    inside = np.flatnonzero(significant)
    _, component = connected_components(
        restrict(graph, np.asarray(significant, dtype=bool)).matrix(), directed=False
    )
    members = [inside[component == c] for c in range(component.max() + 1 if len(inside) else 0)]
    size = np.where(models.is_surface, extent, models.voxel_volume)
    rows = [
        _describe(part, statistic, pfwe, models, size, coordinates, atlases) for part in members
    ]
    order = sorted(range(len(rows)), key=lambda i: (rows[i]['peak_p'], -rows[i]['size'], i))
    numbers = np.zeros(n, dtype=np.int32)
    for number, i in enumerate(order, start=1):
        numbers[members[i]] = number
        rows[i]['cluster'] = number
    types = dict(_COLUMNS)
    for name in atlases:
        types |= {name: 'str', f'{name}_largest': 'str', f'{name}_share': 'float64'}
    table = pd.DataFrame([rows[i] for i in order], columns=list(types))
    return table.astype(types), numbers


def _describe(
    part: npt.NDArray[np.int64],
    statistic: npt.NDArray[np.float64],
    pfwe: npt.NDArray[np.float64],
    models: BrainModels,
    size: npt.NDArray[np.float64],
    coordinates: npt.NDArray[np.float64],
    atlases: Mapping[str, npt.NDArray],
) -> dict[str, Any]:
    """The row of one cluster, but for its number."""
    peak = part[np.argmax(statistic[part])]
    row: dict[str, Any] = {
        'size': round(float(size[part].sum()), 6),
        'unit': 'mm2' if models.is_surface[peak] else 'mm3',
        'n_grayordinates': len(part),
        'peak_value': float(statistic[peak]),
        'peak_p': float(pfwe[peak]),
        **dict(zip('xyz', coordinates[peak].tolist(), strict=True)),
        'structure': structure_name(models.names[models.structure[peak]]),
    }
    for name, values in atlases.items():
        found, code = np.unique(values[part].astype(str), return_inverse=True)
        share = np.bincount(code, weights=size[part])
        row[name] = str(values[peak])
        row[f'{name}_largest'] = str(found[share.argmax()])
        row[f'{name}_share'] = float(share.max() / share.sum())
    return row
