"""Labels of a group: one vote per participant, and labels carried over from another mesh."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError

__all__ = ['nearest_labels', 'parcel_means', 'vote']


def vote(keys: npt.ArrayLike) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Give each grayordinate the label that most participants give it.

    Parameters
    ----------
    keys : array_like of int, shape (n_participants, n_grayordinates)
        Label keys, one vote per participant.

    Returns
    -------
    winner : ndarray of int32, shape (n_grayordinates,)
        The most frequent key; of several, the lowest.
    agreement : ndarray of float, shape (n_grayordinates,)
        Share of the participants that voted for it.
    """
    votes = np.asarray(keys)
    if votes.ndim != 2 or not len(votes):
        raise InputError('Labels of at least one participant are needed for a vote.')
    winner = np.zeros(votes.shape[1], np.int32)
    most = np.zeros(votes.shape[1], np.int64)
    for key in np.unique(votes):  # increasing, so that a tie keeps the lowest
        count = (votes == key).sum(axis=0)
        better = count > most
        winner[better] = key
        most[better] = count[better]
    return winner, most / len(votes)


def nearest_labels(
    points: npt.ArrayLike, template: npt.ArrayLike, labels: npt.NDArray[np.str_]
) -> npt.NDArray[np.str_]:
    """Carry the labels of a template mesh over to the nearest points.

    Parameters
    ----------
    points : array_like, shape (n, 3)
        Where labels are wanted, mm.
    template : array_like, shape (m, 3)
        Where labels are known, mm.
    labels : ndarray of str, shape (m,)

    Returns
    -------
    ndarray of str, shape (n,)
    """
    from scipy.spatial import cKDTree

    _, nearest = cKDTree(np.asarray(template, float)).query(np.asarray(points, float))
    return labels[nearest]


def parcel_means(
    data: npt.ArrayLike, parcels: Mapping[str, npt.NDArray[np.bool_]]
) -> pd.DataFrame:
    """Mean of each map over the finite grayordinates of each parcel.

    Parameters
    ----------
    data : array_like, shape (n_maps, n_grayordinates)
    parcels : mapping of str to ndarray of bool, shape (n_grayordinates,)

    Returns
    -------
    DataFrame
        One row per map and parcel: ``map`` (row of `data`), ``roi``, ``value`` (nan without a
        finite grayordinate), ``n_grayordinates`` (finite ones).
    """
    values = np.asarray(data, float)
    finite = np.isfinite(values)
    rows = []
    for name, inside in parcels.items():
        count = finite[:, inside].sum(axis=1)
        total = np.where(finite, values, 0.0)[:, inside].sum(axis=1)
        mean = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
        rows += [
            {
                'map': number,
                'roi': name,
                'value': mean[number],
                'n_grayordinates': int(count[number]),
            }
            for number in range(len(values))
        ]
    return pd.DataFrame(rows, columns=['map', 'roi', 'value', 'n_grayordinates'])
