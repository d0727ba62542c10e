"""Regions of interest: what the maps of every visit are, on average, inside a region."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from ketbids.interfaces.inference import label_text
from ketbids.interfaces.series import read_surfaces
from ketbids.io.cifti import Labels, assert_same_models, read_maps, write_labels, write_maps
from ketbids.io.files import read_json
from ketbids.io.tables import read_table, write_table
from ketbids.stats.brainmodels import BrainModels

if TYPE_CHECKING:
    from ketbids.stats.regions import Cut, Parcels, Region

__all__ = ['ParcelMeans', 'SignificantRegions', 'SignificantRegionsInputSpec', 'VisitAreas']
__all__ += ['read_parcels', 'read_visit_maps', 'with_visits']

_NETWORKS = 'Yeo7'
_ANATOMY = 'DesikanKilliany'


class _VisitAreasInputSpec(BaseInterfaceInputSpec):
    maps_file = File(
        exists=True,
        mandatory=True,
        desc='participant_id, session_id, path, left_midthickness, right_midthickness',
    )
    base_directory = traits.Str(mandatory=True, nohash=True, desc='folder the files are below')
    stamp = traits.Str(desc='fingerprint of the maps')


class _VisitAreasOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='area per vertex (voxels: 1), a map per row of the table')


class VisitAreas(SimpleInterface):
    """Measure the area of each vertex on the midthickness of every visit, mm2."""

    input_spec = _VisitAreasInputSpec
    output_spec = _VisitAreasOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.graph import extents, vertex_areas

        rows = read_table(Path(self.inputs.maps_file))
        _, models = read_maps(Path(self.inputs.base_directory) / rows['path'].iloc[0])
        areas = {}
        pairs = zip(rows['left_midthickness'], rows['right_midthickness'], strict=True)
        for number, pair in enumerate(pairs):
            surfaces = read_surfaces(list(pair), models)
            own = {name: vertex_areas(surface) for name, surface in surfaces.items()}
            areas[f'map {number}'] = extents(models, own)
        out_file = Path(runtime.cwd) / 'areas.dscalar.nii'
        self._results['out_file'] = str(write_maps(out_file, areas, models))
        return runtime


class _RegionsInputSpec(BaseInterfaceInputSpec):
    maps_file = File(exists=True, mandatory=True, desc='participant_id, session_id, path')
    areas_file = File(exists=True, mandatory=True, desc='of VisitAreas for the same table')
    base_directory = traits.Str(mandatory=True, nohash=True, desc='folder the files are below')
    stamp = traits.Str(desc='fingerprint of the maps')
    desikan_killiany = File(exists=True, desc='labels of the group')
    yeo7 = File(exists=True, mandatory=True)
    atlas_names = traits.List(traits.Str, desc='further atlases')
    atlas_files = traits.List(File(exists=True), desc='labels on the grayordinates of the maps')


class _ParcelMeansInputSpec(_RegionsInputSpec):
    declared = traits.Dict(
        traits.Str, traits.Dict(), usedefault=True, desc='atlas and labels, by name of a region'
    )


class _ParcelMeansOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per region and map')
    laterality = File(exists=True, desc='one row per pair of regions and map')
    about = traits.List(traits.Dict(), desc='notes: what could not be made, and why')


class ParcelMeans(SimpleInterface):
    """Average the maps of every visit over regions that were chosen without the data.

    These are the whole parcels of every atlas, the networks of each hemisphere, the structures of
    the voxels, and the regions that the model file declares.
    """

    input_spec = _ParcelMeansInputSpec
    output_spec = _ParcelMeansOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.regions import laterality, region_means

        i, cwd = self.inputs, Path(runtime.cwd)
        rows, data, areas, models = read_visit_maps(i.maps_file, i.areas_file, i.base_directory)
        regions, notes = parcel_regions(_label_files(i), i.declared, models)
        means = region_means(data, areas, regions, models, areas.mean(axis=0, dtype=float))
        table = with_visits(means, rows)
        write_table(cwd / 'parcels.tsv', table)
        write_table(cwd / 'laterality.tsv', laterality(table))
        self._results.update(
            out_file=str(cwd / 'parcels.tsv'),
            laterality=str(cwd / 'laterality.tsv'),
            about=[{'Notes': notes}],
        )
        return runtime


class SignificantRegionsInputSpec(_RegionsInputSpec):
    """What `SignificantRegions` needs."""

    significance = traits.Dict(mandatory=True, desc='pfwe_<direction> maps of the analysis')
    summary = File(exists=True, mandatory=True, desc='summary of the analysis')
    extent = File(exists=True, mandatory=True, desc='area of each vertex in the analysis, mm2')
    atlas = traits.Str(_ANATOMY, usedefault=True, desc='labels that cut')
    minimum_size = traits.Range(
        low=0.0, value=0.0, usedefault=True, desc='mm2 or mm3 that a region must have'
    )
    selected_by = traits.Str(mandatory=True, desc='name of the analysis')


class _SignificantRegionsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per region and map; none without a region')
    labels = File(exists=True, desc='number of the region of each grayordinate, if there is one')
    about_labels = traits.List(traits.Dict(), desc='what to know of the labels')
    about = traits.List(traits.Dict(), desc='notes: what was left out, and why')


class SignificantRegions(SimpleInterface):
    """Cut what is significant by the labels of an atlas, and average the maps of every visit.

    Nothing significant makes an empty table, no labels, and a note.
    """

    input_spec = SignificantRegionsInputSpec
    output_spec = _SignificantRegionsOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.regions import region_means

        i, cwd = self.inputs, Path(runtime.cwd)
        rows, data, areas, models = read_visit_maps(i.maps_file, i.areas_file, i.base_directory)
        extent = read_maps(Path(i.extent))[0][0].astype(float)
        cut, notes = self._cut(models, extent)
        table = with_visits(region_means(data, areas, cut.regions, models, extent), rows)
        write_table(cwd / 'roi.tsv', table)
        self._results.update(out_file=str(cwd / 'roi.tsv'), about=[{'Notes': notes}])
        if cut.regions:
            labels = region_labels(cut.regions, models)
            path = write_labels(cwd / 'roi.dlabel.nii', labels, 'significant regions')
            self._results.update(labels=str(path), about_labels=[self._about_labels(cut.regions)])
        return runtime

    def significant(self) -> 'dict[str, npt.NDArray[np.bool_]]':
        """Read what is significant in each direction."""
        summary = read_json(Path(self.inputs.summary))
        return {
            direction: read_maps(Path(self.inputs.significance[f'pfwe_{direction}']))[0][0]
            < summary['ClaimBelow']
            for direction in summary['SmallestP']
        }

    def cut(
        self,
        found: 'Mapping[str, npt.NDArray[np.bool_]]',
        models: BrainModels,
        extent: npt.NDArray[np.float64],
    ) -> 'Cut':
        """Cut what was found in each direction into regions."""
        from ketbids.stats.regions import cut_by_labels

        i = self.inputs
        files = _label_files(i)
        parcels = read_parcels(files[i.atlas], i.atlas, models) if i.atlas in files else {}
        return cut_by_labels(
            found,
            i.atlas,
            parcels,
            models,
            extent,
            selected_by=i.selected_by,
            minimum_size=i.minimum_size,
        )

    def _cut(self, models: BrainModels, extent: npt.NDArray[np.float64]) -> 'tuple[Cut, list]':
        """Find the regions, and say what there is to say of them."""
        from ketbids.stats.regions import SUBCORTEX_ATLAS

        found = self.significant()
        cut = self.cut(found, models, extent)
        absent = self.inputs.atlas not in (*_label_files(self.inputs), SUBCORTEX_ATLAS)
        return cut, self._notes(found, cut, absent=absent)

    def _notes(self, found: Mapping[str, Any], cut: 'Cut', *, absent: bool) -> list[str]:
        i = self.inputs
        if not any(mask.any() for mask in found.values()):
            return [f'Nothing is significant in {i.selected_by}: it selects no region.']
        notes = []
        if absent:
            notes.append(_no_atlas(i.atlas, 'the significant cortex is not cut into regions'))
        elif cut.unlabelled:
            notes.append(
                f'Significant grayordinates without a label of {i.atlas}, in no region: '
                f'{cut.unlabelled}.'
            )
        if cut.too_small:
            notes.append(
                f'Below the minimum size of {i.minimum_size:g} and left out: '
                f'{", ".join(cut.too_small)}.'
            )
        return notes

    def _about_labels(self, regions: 'tuple[Region, ...]') -> dict[str, Any]:
        i = self.inputs
        return {
            'Description': f'Significant grayordinates of {i.selected_by}, cut by {i.atlas} '
            '(voxels by their structure, where it has none). Chosen with the data of the '
            'analysis: what is tested in them with data that it used is circular.',
            'Atlas': i.atlas,
            'MinimumSize': i.minimum_size,
            'Regions': [region.roi for region in regions],
        }


def read_visit_maps(
    maps_file: str, areas_file: str, base_directory: str
) -> tuple[pd.DataFrame, npt.NDArray[np.float32], npt.NDArray[np.float32], BrainModels]:
    """Read every map of a table, and the areas that belong to it.

    Returns
    -------
    rows : DataFrame
        ``participant_id``, ``session_id``.
    data, areas : ndarray, shape (n_maps, n_grayordinates)
    models : BrainModels
    """
    rows = read_table(Path(maps_file))
    paths = [Path(base_directory) / name for name in rows['path']]
    loaded = [read_maps(path) for path in paths]
    areas, area_models = read_maps(Path(areas_file))
    models = [*(models for _, models in loaded), area_models]
    assert_same_models(models, [*paths, Path(areas_file)])
    data = np.concatenate([values[:1] for values, _ in loaded])
    return rows[['participant_id', 'session_id']], data, areas, models[0]


def with_visits(means: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Put participant and session in the place of the number of a map."""
    people = rows.loc[means['map'].astype(int)].reset_index(drop=True)
    return pd.concat([people, means.drop(columns='map').reset_index(drop=True)], axis=1)


def read_parcels(path: str, atlas: str, models: BrainModels) -> 'Parcels':
    """Read the parcels of an atlas; networks are those of each hemisphere."""
    from ketbids.stats.regions import atlas_parcels

    return atlas_parcels(label_text(path), models, by_hemisphere=atlas == _NETWORKS)


def parcel_regions(
    files: Mapping[str, str], declared: Mapping[str, Mapping[str, Any]], models: BrainModels
) -> 'tuple[list[Region], list[str]]':
    """Make all regions that were chosen without the data.

    Parameters
    ----------
    files : mapping of str to str
        Label file of each atlas.
    declared : mapping of str to mapping
        ``atlas`` and ``labels`` of each region of the model file.
    models : BrainModels

    Returns
    -------
    regions : list of Region
    notes : list of str
        Which declared regions lack their atlas.
    """
    from ketbids.stats.regions import (
        SUBCORTEX_ATLAS,
        declared_region,
        structure_parcels,
        whole_parcels,
    )

    atlases = {atlas: read_parcels(path, atlas, models) for atlas, path in files.items()}
    atlases[SUBCORTEX_ATLAS] = structure_parcels(models)
    regions, notes = [], []
    for atlas, parcels in atlases.items():
        regions += whole_parcels(atlas, parcels, 'network' if atlas == _NETWORKS else 'parcel')
    for name, choice in declared.items():
        if choice['atlas'] not in atlases and choice['atlas'] == _ANATOMY:
            notes.append(_no_atlas(_ANATOMY, f'the region {name} has no values'))
            continue
        regions.append(declared_region(name, choice['atlas'], choice['labels'], atlases, models))
    return regions, notes


def region_labels(regions: 'tuple[Region, ...]', models: BrainModels) -> Labels:
    """Number regions from 1, with colours that differ."""
    from colorsys import hsv_to_rgb

    keys = np.zeros(len(models), np.int32)
    names, colours = {0: '???'}, {0: (1.0, 1.0, 1.0, 0.0)}
    for key, region in enumerate(regions, start=1):
        keys[region.mask] = key
        names[key] = region.roi
        # Steps of the golden ratio keep the hues of neighbours in the list apart.
        red, green, blue = hsv_to_rgb(key * 0.618034 % 1, 0.65, 0.9)
        colours[key] = (round(red, 4), round(green, 4), round(blue, 4), 1.0)
    return Labels(keys, names, colours, models)


def _label_files(inputs: Any) -> dict[str, str]:
    """Name the label file of each atlas."""
    files = {_ANATOMY: inputs.desikan_killiany} if isdefined(inputs.desikan_killiany) else {}
    files[_NETWORKS] = inputs.yeo7
    if isdefined(inputs.atlas_files):
        files |= dict(zip(inputs.atlas_names, inputs.atlas_files, strict=True))
    return files


def _no_atlas(atlas: str, consequence: str) -> str:
    return f'There are no labels of {atlas}: {consequence}. Give them with --atlas {atlas}=FILE.'
