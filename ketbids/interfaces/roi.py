"""Regions of interest: what the maps of every visit are, on average, inside a region."""

from pathlib import Path
from typing import Any

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
from ketbids.io.cifti import assert_same_models, read_maps
from ketbids.io.files import read_json
from ketbids.io.tables import read_table, write_table

__all__ = ['AssociateScores', 'RoiMeans']


class _RoiMeansInputSpec(BaseInterfaceInputSpec):
    maps_file = File(exists=True, mandatory=True, desc='participant_id, session_id, path')
    base_directory = traits.Str(mandatory=True, nohash=True, desc='folder the files are below')
    stamp = traits.Str(desc='fingerprint of the maps')
    desikan_killiany = File(exists=True, desc='labels of the group')
    yeo7 = File(exists=True, mandatory=True)
    atlas = traits.Enum(
        'DesikanKilliany', 'Yeo7', usedefault=True, desc='labels that cut significant ROIs'
    )
    significance = traits.Dict(desc='pfwe_<direction> maps of an analysis: significant ROIs')
    summary = File(exists=True, desc='summary of that analysis')


class _RoiMeansOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per map and ROI')


class RoiMeans(SimpleInterface):
    """Average the maps of every visit over ROIs.

    ROIs are whole parcels, chosen without the data (``independent``): those of the
    Desikan-Killiany atlas and the Yeo-7 networks of each hemisphere. With `significance` they are
    the significant grayordinates inside one label of `atlas` (``shared-data``).
    """

    input_spec = _RoiMeansInputSpec
    output_spec = _RoiMeansOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.atlas import parcel_means

        i = self.inputs
        rows = read_table(Path(i.maps_file))
        root = Path(i.base_directory)
        paths = [root / name for name in rows['path']]
        loaded = [read_maps(path) for path in paths]
        assert_same_models([models for _, models in loaded], paths)
        data = np.concatenate([values[:1] for values, _ in loaded])
        selection, parcels = self._parcels(loaded[0][1].structure, loaded[0][1].names)
        means = parcel_means(data, parcels)
        people = rows.loc[means['map'], ['participant_id', 'session_id']].reset_index(drop=True)
        table = pd.concat([people, means.drop(columns='map')], axis=1)
        table.insert(3, 'selection', selection)
        out_file = Path(runtime.cwd) / 'roi.tsv'
        write_table(out_file, table)
        self._results['out_file'] = str(out_file)
        return runtime

    def _parcels(
        self, structure: npt.NDArray[Any], names: tuple[str, ...]
    ) -> tuple[str, dict[str, npt.NDArray[np.bool_]]]:
        i = self.inputs
        labels = label_text(i.desikan_killiany) if isdefined(i.desikan_killiany) else None
        regions = {} if labels is None else named_parcels(labels)
        networks = hemispheric_parcels(label_text(i.yeo7), structure, names)
        if not isdefined(i.significance):
            return 'independent', regions | networks
        summary = read_json(Path(i.summary))
        significant = np.zeros(len(structure), bool)
        for direction in summary['SmallestP']:
            pfwe = read_maps(Path(i.significance[f'pfwe_{direction}']))[0][0]
            significant |= pfwe < summary['ClaimBelow']
        atlas = networks if i.atlas == 'Yeo7' else regions
        inside = {name: mask & significant for name, mask in atlas.items()}
        return 'shared-data', {name: mask for name, mask in inside.items() if mask.any()}


def hemispheric_parcels(
    labels: npt.NDArray[np.str_], structure: npt.NDArray[Any], names: tuple[str, ...]
) -> dict[str, npt.NDArray[np.bool_]]:
    """Give the grayordinates of each label in each hemisphere: ``L_Default``, ``R_Default``."""
    parcels: dict[str, npt.NDArray[np.bool_]] = {}
    for side, name in (('L', 'CORTEX_LEFT'), ('R', 'CORTEX_RIGHT')):
        if f'CIFTI_STRUCTURE_{name}' in names:
            here = structure == names.index(f'CIFTI_STRUCTURE_{name}')
            found = named_parcels(np.where(here, labels, ''))
            parcels |= {f'{side}_{label}': mask for label, mask in found.items()}
    return parcels


def named_parcels(labels: npt.NDArray[np.str_]) -> dict[str, npt.NDArray[np.bool_]]:
    """Give the grayordinates of each label, leaving out unlabelled ones and the medial wall."""
    outside = {'', '???', 'unknown', 'corpuscallosum', 'L_unknown', 'R_unknown'}
    outside |= {'L_corpuscallosum', 'R_corpuscallosum'}
    return {str(name): labels == name for name in np.unique(labels) if name not in outside}


class _AssociateScoresInputSpec(BaseInterfaceInputSpec):
    roi_files = traits.List(File(exists=True), mandatory=True, desc='tables of RoiMeans')
    scores = traits.Dict(traits.Str, traits.Float, mandatory=True, desc='score per participant')
    definitions = traits.Dict(
        traits.Str, traits.List(traits.Str), mandatory=True, desc='one or two sessions per name'
    )


class _AssociateScoresOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='correlations')


class AssociateScores(SimpleInterface):
    """Correlate ROI values, or their change between two visits, with a score."""

    input_spec = _AssociateScoresInputSpec
    output_spec = _AssociateScoresOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.associations import associate

        tables = [read_table(Path(name)) for name in self.inputs.roi_files]
        result = associate(
            pd.concat([table for table in tables if len(table)], ignore_index=True),
            pd.Series(self.inputs.scores, dtype=float),
            {name: tuple(sessions) for name, sessions in self.inputs.definitions.items()},
        )
        out_file = Path(runtime.cwd) / 'associations.tsv'
        write_table(out_file, result)
        self._results['out_file'] = str(out_file)
        return runtime
