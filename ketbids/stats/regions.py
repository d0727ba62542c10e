"""Regions of interest: which grayordinates they are, and what maps are inside, on average."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.brainmodels import BrainModels

__all__ = ['COLUMNS', 'SUBCORTEX_ATLAS', 'Cut', 'Parcels', 'Region', 'atlas_parcels']
__all__ += ['cut_by_labels', 'declared_region', 'laterality', 'region_means', 'region_size']
__all__ += ['structure_parcels', 'whole_parcels']

Mask = npt.NDArray[np.bool_]
#: Grayordinates of each label of an atlas.
Parcels = Mapping[str, Mask]

#: Name of the atlas whose labels are the structures of the voxels themselves.
SUBCORTEX_ATLAS = 'Subcortex'

#: Columns of a table of regional means, without those that say of which map they are.
COLUMNS = (
    *('roi', 'source', 'atlas', 'label', 'selected_by', 'direction', 'value', 'value_area'),
    *('n_grayordinates', 'coverage', 'extent', 'unit'),
)

#: Labels for what is not of interest, in lower case and without the prefix of a hemisphere.
_OUTSIDE = frozenset(
    {
        *('', '???', 'unknown', 'corpuscallosum', 'medial_wall', 'medialwall'),
        'freesurfer_defined_medial_wall',
    }
)
_SIDES = {'CIFTI_STRUCTURE_CORTEX_LEFT': 'L', 'CIFTI_STRUCTURE_CORTEX_RIGHT': 'R'}
_HEMISPHERES = ('L', 'R')


class Region(NamedTuple):
    """A set of grayordinates with a name.

    Attributes
    ----------
    roi : str
    source : str
        ``significant``, ``apriori``, ``parcel`` or ``network``.
    atlas, label : str
        Parcel that it is, or is a part of; of a declared region all its labels.
    mask : ndarray of bool, shape (n_grayordinates,)
    selected_by, direction : str or None
        Of a significant region the analysis, and ``pos`` or ``neg``.
    """

    roi: str
    source: str
    atlas: str
    label: str
    mask: Mask
    selected_by: str | None = None
    direction: str | None = None


class Cut(NamedTuple):
    """Significant grayordinates, cut by labels.

    Attributes
    ----------
    regions : tuple of Region
    too_small : tuple of str
        Names of those below the minimum size.
    unlabelled : int
        Significant grayordinates that have no label.
    """

    regions: tuple[Region, ...]
    too_small: tuple[str, ...]
    unlabelled: int


def atlas_parcels(
    labels: npt.NDArray[np.str_], models: BrainModels, *, by_hemisphere: bool = False
) -> dict[str, Mask]:
    """Grayordinates of each label, none of both hemispheres.

    A label that several of left cortex, right cortex and everything else have becomes a parcel in
    each: ``L_Default``, ``R_Default``, ``subcortical_Default``. Unlabelled grayordinates, the
    medial wall and the corpus callosum belong to no parcel.

    Parameters
    ----------
    labels : ndarray of str, shape (n_grayordinates,)
        Empty where there is none.
    models : BrainModels
    by_hemisphere : bool
        Put the hemisphere before every label, of one hemisphere too.

    Returns
    -------
    dict of str to ndarray of bool, shape (n_grayordinates,)
        By name, sorted.
    """
    side = np.full(len(models), 'subcortical')
    for structure, hemisphere in _SIDES.items():
        if structure in models.names:
            side[models.where(structure)] = hemisphere
    parcels: dict[str, Mask] = {}
    for name in np.unique(labels).tolist():
        if name.lower().removeprefix('l_').removeprefix('r_') in _OUTSIDE:
            continue
        inside = labels == name
        sides = np.unique(side[inside]).tolist()
        for part in sides:
            prefixed = by_hemisphere or len(sides) > 1
            parcels[f'{part}_{name}' if prefixed else name] = inside & (side == part)
    return dict(sorted(parcels.items()))


def structure_parcels(models: BrainModels) -> dict[str, Mask]:
    """Voxels of each structure of a CIFTI file: ``L_thalamus``, ``R_thalamus``, ``brain_stem``."""
    parcels: dict[str, Mask] = {}
    for number, name in enumerate(models.names):
        words = name.removeprefix('CIFTI_STRUCTURE_').lower()
        inside = (models.structure == number) & ~models.is_surface
        if not inside.any():
            continue
        for ending, hemisphere in (('_left', 'L'), ('_right', 'R')):
            if words.endswith(ending):
                words = f'{hemisphere}_{words.removesuffix(ending)}'
        parcels[words] = inside
    return dict(sorted(parcels.items()))


def whole_parcels(atlas: str, parcels: Parcels, source: str = 'parcel') -> list[Region]:
    """Make a region of every parcel of an atlas."""
    return [Region(name, source, atlas, name, mask) for name, mask in parcels.items()]


def declared_region(
    name: str,
    atlas: str,
    labels: Sequence[str],
    atlases: Mapping[str, Parcels],
    models: BrainModels,
) -> Region:
    """Unite parcels to a region that was chosen without the data.

    Parameters
    ----------
    name, atlas : str
    labels : sequence of str
        Names of `atlas_parcels`.
    atlases : mapping of str to mapping of str to ndarray of bool
    models : BrainModels

    Raises
    ------
    InputError
        An atlas or label that is not there, or labels of cortex and of voxels together, whose
        sizes have different units.
    """
    if atlas not in atlases:
        raise InputError(
            f'The region {name} needs the atlas {atlas}; there are {", ".join(atlases)}.'
        )
    parcels = atlases[atlas]
    for label in labels:
        if label not in parcels:
            raise InputError(
                f'The region {name} needs the label {label}, which {atlas} does not have on these '
                f'grayordinates; it has {", ".join(parcels)}.'
            )
    mask = np.logical_or.reduce([parcels[label] for label in labels])
    if len(np.unique(models.is_surface[mask])) > 1:
        raise InputError(
            f'The region {name} joins vertices of the cortex and voxels, whose sizes have '
            'different units: make one region of each.'
        )
    return Region(name, 'apriori', atlas, ' + '.join(labels), mask)


def cut_by_labels(
    found: Mapping[str, Mask],
    atlas: str,
    parcels: Parcels,
    models: BrainModels,
    extent: npt.NDArray[np.float64],
    *,
    selected_by: str,
    minimum_size: float = 0.0,
) -> Cut:
    """Cut significant grayordinates by labels, each direction for itself.

    Where no label of the atlas has voxels, the structures of the voxels are their labels. A
    region is called as its parcel; if it has grayordinates of both directions, ``_pos`` and
    ``_neg`` follow.

    Parameters
    ----------
    found : mapping of str to ndarray of bool, shape (n_grayordinates,)
        Significant grayordinates of ``pos`` and ``neg``.
    atlas : str
    parcels : mapping of str to ndarray of bool
        Of `atlas_parcels`; may be empty.
    models : BrainModels
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex (voxels count by the volume of `models`).
    selected_by : str
        The analysis.
    minimum_size : float
        mm^2 or mm^3 that a region must have.

    Returns
    -------
    Cut
    """
    pieces = [(atlas, label, mask) for label, mask in parcels.items()]
    if not any((mask & ~models.is_surface).any() for mask in parcels.values()):
        pieces += [(SUBCORTEX_ATLAS, *item) for item in structure_parcels(models).items()]
    regions, too_small = [], []
    for source, label, parcel in pieces:
        inside = {d: parcel & mask for d, mask in found.items() if (parcel & mask).any()}
        for direction, mask in inside.items():
            roi = f'{label}_{direction}' if len(inside) > 1 else label
            size, unit = region_size(mask, models, extent)
            if size < minimum_size:
                too_small.append(f'{roi} ({size:.3g} {unit})')
                continue
            regions.append(Region(roi, 'significant', source, label, mask, selected_by, direction))
    labelled = np.zeros(len(models), bool)
    for _, _, parcel in pieces:
        labelled |= parcel
    unlabelled = sum(int((mask & ~labelled).sum()) for mask in found.values())
    return Cut(tuple(regions), tuple(too_small), unlabelled)


def region_size(
    mask: Mask, models: BrainModels, extent: npt.NDArray[np.float64]
) -> tuple[float, str]:
    """Extent of a region, all vertices or all voxels, and its unit: ``mm2`` or ``mm3``.

    Parameters
    ----------
    mask : ndarray of bool, shape (n_grayordinates,)
    models : BrainModels
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex, 1 for a voxel.
    """
    if models.is_surface[mask].any():
        return float(extent[mask].sum()), 'mm2'
    return int(mask.sum()) * models.voxel_volume, 'mm3'


def region_means(
    data: npt.ArrayLike,
    areas: npt.ArrayLike,
    regions: Sequence[Region],
    models: BrainModels,
    extent: npt.NDArray[np.float64],
) -> pd.DataFrame:
    """Mean of each map over the finite grayordinates of each region.

    Parameters
    ----------
    data : array_like, shape (n_maps, n_grayordinates)
    areas : array_like, shape (n_maps, n_grayordinates)
        Area of each vertex on the surface that belongs to the map, mm^2; voxels alike.
    regions : sequence of Region
    models : BrainModels
    extent : ndarray, shape (n_grayordinates,)
        mm^2 of a vertex, 1 for a voxel, by which the size of a region is given.

    Returns
    -------
    DataFrame
        One row per region and map: ``map`` (row of `data`) and `COLUMNS`. ``value`` and
        ``value_area`` (weighted by `areas`) are nan without a finite grayordinate;
        ``n_grayordinates`` are the finite ones and ``coverage`` is their share.
    """
    values, weights = np.asarray(data), np.asarray(areas)
    parts = []
    for region in regions:
        inside = np.flatnonzero(region.mask)
        here = values[:, inside].astype(float)
        finite = np.isfinite(here)
        weight = np.where(finite, weights[:, inside], 0.0)
        here = np.where(finite, here, 0.0)
        count = finite.sum(axis=1)
        size, unit = region_size(region.mask, models, extent)
        parts.append(
            pd.DataFrame(
                {
                    'map': np.arange(len(values)),
                    'roi': region.roi,
                    'source': region.source,
                    'atlas': region.atlas,
                    'label': region.label,
                    'selected_by': region.selected_by,
                    'direction': region.direction,
                    'value': _ratio(here.sum(axis=1), count),
                    'value_area': _ratio((weight * here).sum(axis=1), weight.sum(axis=1)),
                    'n_grayordinates': count,
                    'coverage': count / len(inside),
                    'extent': size,
                    'unit': unit,
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=['map', *COLUMNS])
    return pd.concat(parts, ignore_index=True)


def _ratio(
    above: npt.NDArray[np.float64], below: npt.NDArray[np.number]
) -> npt.NDArray[np.float64]:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def laterality(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the two hemispheres, for regions that have a counterpart in the other one.

    The index is (L - R) / (|L| + |R|), from -1 to 1 (Seghier 2008, doi:10.1016/j.mri.2007.10.010,
    with magnitudes because means of contrasts may be negative). Where the two differ in sign it
    is -1 or 1 whatever their size: the difference stands beside it.

    Parameters
    ----------
    table : DataFrame
        ``participant_id``, ``session_id``, and the columns of `region_means`. Regions whose names
        differ in ``L_`` and ``R_`` alone are a pair.

    Returns
    -------
    DataFrame
        ``participant_id``, ``session_id``, ``roi`` (without the hemisphere), ``source``,
        ``atlas``, ``left``, ``right``, ``difference`` (left minus right), ``laterality`` (nan
        where a side has no value, or both are 0).
    """
    keys = ['participant_id', 'session_id', 'roi', 'source', 'atlas']
    sides = []
    for hemisphere, name in zip(_HEMISPHERES, ('left', 'right'), strict=True):
        own = table[table['roi'].str.startswith(f'{hemisphere}_')]
        own = own.assign(roi=own['roi'].str[2:]).rename(columns={'value': name})
        sides.append(own[[*keys, name]])
    pairs = sides[0].merge(sides[1], on=keys, how='inner', validate='one_to_one')
    pairs['difference'] = pairs['left'] - pairs['right']
    total = (pairs['left'].abs() + pairs['right'].abs()).to_numpy(float)
    pairs['laterality'] = _ratio(pairs['difference'].to_numpy(float), total)
    return pairs
