"""Regions that are found without the participant whose maps are averaged in them."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from nipype.interfaces.base import File, TraitedSpec, traits

from ketbids.interfaces.inference import (
    GroupTestBase,
    GroupTestInputSpec,
    read_effects,
    variance_groups,
)
from ketbids.interfaces.roi import (
    SignificantRegions,
    SignificantRegionsInputSpec,
    read_visit_maps,
    with_visits,
)
from ketbids.interfaces.series import read_surfaces
from ketbids.io.cifti import read_maps
from ketbids.io.tables import read_table, write_table
from ketbids.stats.brainmodels import BrainModels

if TYPE_CHECKING:
    from ketbids.stats.leaveoneout import Selecting

__all__ = ['SHUFFLES', 'LeaveOneOut']

#: Shuffles of each analysis without a participant.
SHUFFLES = 1000


class _LeaveOneOutInputSpec(GroupTestInputSpec, SignificantRegionsInputSpec):
    n_shuffles = traits.Range(
        low=1, value=SHUFFLES, usedefault=True, desc='shuffles without each participant'
    )


class _LeaveOneOutOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc='one row per region and map; none without a region')
    about = traits.List(traits.Dict(), desc='how the regions were found')


class LeaveOneOut(GroupTestBase, SignificantRegions):
    """Average each participant's maps where the others make an analysis significant.

    The analysis is repeated without each of its participants by ketbids itself, whoever did the
    shuffles of the whole. Areas and labels are those of the group.
    """

    input_spec = _LeaveOneOutInputSpec
    output_spec = _LeaveOneOutOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.leaveoneout import leave_one_out

        i = self.inputs
        rows, maps, _, models = read_visit_maps(i.maps_file, i.areas_file, i.base_directory)
        extent = read_maps(Path(i.extent))[0][0].astype(float)
        table = leave_one_out(
            self._selecting(models, extent),
            self.cut(self.significant(), models, extent).regions,
            lambda found: self.cut(found, models, extent).regions,
            maps,
            _labels(rows['participant_id']),
        )
        out_file = Path(runtime.cwd) / 'loo.tsv'
        write_table(out_file, with_visits(table, rows))
        about = {'Engine': 'native', 'EngineVersion': version('ketbids'), 'Shuffles': i.n_shuffles}
        self._results.update(out_file=str(out_file), about=[about])
        return runtime

    def _selecting(self, models: BrainModels, extent: npt.NDArray[np.float64]) -> 'Selecting':
        """Read the analysis: maps, design and what its shuffles need."""
        from ketbids.stats.graph import adjacency
        from ketbids.stats.leaveoneout import Selecting

        i = self.inputs
        design = read_table(Path(i.design_file))
        data, _ = read_effects(design, Path(i.base_directory))
        surfaces = read_surfaces([i.left_midthickness[0], i.right_midthickness[0]], models)
        return Selecting(
            _labels(design['participant_id']),
            data,
            design[i.predictors],
            np.array(i.weights),
            models,
            adjacency(models, surfaces, i.connectivity, within_structure=i.within_structure),
            extent,
            self._options(),
            variance_groups(design, i.variance_columns),
        )


def _labels(participants: pd.Series) -> list[str]:
    """Give labels without ``sub-``: the design has it, the table of maps has not."""
    return participants.astype(str).str.removeprefix('sub-').tolist()
