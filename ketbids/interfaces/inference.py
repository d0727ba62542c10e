"""The group level: one analysis tested by shuffling, and the table of its clusters."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

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

from ketbids.interfaces.firstlevel import read_surfaces
from ketbids.io.cifti import assert_same_models, read_labels, read_maps, write_maps
from ketbids.io.files import read_json, write_json
from ketbids.io.tables import read_table, write_table
from ketbids.reports.sentences import TFCE_NAMES
from ketbids.stats.brainmodels import BrainModels, Surface

if TYPE_CHECKING:
    from ketbids.stats.inference import Engine, TestOptions, TestResult

__all__ = ['ClusterTables', 'GroupTest', 'GroupTestBase', 'Problem']

#: Statistics without a direction, and those of each direction.
PLAIN = ('effect', 'variance', 'stderr', 'cilow', 'cihigh', 'cohend', 't', 'z', 'n', 'coverage')
DIRECTED = ('tfce', 'puncorrected', 'pfwe', 'logpfwe')
#: Fields of a result that have another name than the map.
_FIELDS = {
    'stderr': 'standard_error',
    'cilow': 'ci_low',
    'cihigh': 'ci_high',
    'cohend': 'cohen_d',
    'n': 'n_maps',
}


class GroupTestInputSpec(BaseInterfaceInputSpec):
    design_file = File(exists=True, mandatory=True, desc='one row per map, with its file')
    base_directory = traits.Str(mandatory=True, nohash=True, desc='folder the files are below')
    stamp = traits.Str(desc='fingerprint of the maps, so that changed maps are tested anew')
    predictors = traits.List(traits.Str, mandatory=True, desc='columns of the design matrix')
    weights = traits.List(traits.Float, mandatory=True, desc='contrast of the predictors')
    left_midthickness = traits.List(File(exists=True), mandatory=True, desc='of the maps')
    right_midthickness = traits.List(File(exists=True), mandatory=True, desc='of the maps')
    scheme = traits.Enum('flips', 'permutations', mandatory=True, desc='what is shuffled')
    n_shuffles = traits.Range(low=1, mandatory=True, desc='shuffles, the identity counted')
    seed = traits.Int(mandatory=True)
    tails = traits.Enum('two', 'each', 'positive', mandatory=True)
    alpha = traits.Range(low=0.0, high=1.0, value=0.05, usedefault=True)
    min_coverage = traits.Range(
        low=0.0,
        high=1.0,
        value=1.0,
        exclude_low=True,
        usedefault=True,
        desc='share of the maps that must have a value where it is tested',
    )
    tfce = traits.Enum('exact', '100', usedefault=True, desc='integral, or sum over 100 heights')
    joint = traits.Enum(
        *('minp', 'bonferroni', 'sidak'),
        usedefault=True,
        desc='correction over cortex and subcortical structures',
    )
    connectivity = traits.Enum(6, 18, 26, usedefault=True, desc='neighbours of a voxel')
    within_structure = traits.Bool(
        False, usedefault=True, desc='voxels of different structures are no neighbours'
    )
    variance_columns = traits.List(
        traits.Str, desc='predictors whose equal rows share one variance; empty: all rows do'
    )
    num_threads = traits.Range(low=1, value=1, usedefault=True, nohash=True)


class GroupTestOutputSpec(TraitedSpec):
    maps = traits.Dict(desc='file of each statistic: effect, ..., pfwe_pos, ...')
    plain = traits.List(File(exists=True), desc='maps without a direction, in order of PLAIN')
    pos = traits.List(File(exists=True), desc='maps of the direction, in order of DIRECTED')
    neg = traits.List(File(exists=True), desc='maps of the direction, in order of DIRECTED')
    nullmax = File(exists=True, desc='largest TFCE of each shuffle')
    extent = File(exists=True, desc='area or number of voxels per grayordinate')
    summary = File(exists=True, desc='numbers of the analysis')


class Problem(NamedTuple):
    """What is tested: a row of ``data`` and of ``design`` per map, and where the maps are."""

    data: npt.NDArray[np.float64]
    design: pd.DataFrame
    weights: npt.NDArray[np.float64]
    models: BrainModels
    surfaces: Mapping[str, Surface]
    extent: npt.NDArray[np.float64]
    options: 'TestOptions'
    groups: npt.NDArray[np.int64] | None = None
    connectivity: int = 6

    @property
    def n_groups(self) -> int:
        """Groups of rows with a variance each."""
        return 1 if self.groups is None else int(self.groups.max()) + 1


class GroupTestBase(SimpleInterface):
    """Test one contrast of a group design, whoever does the shuffles."""

    input_spec = GroupTestInputSpec
    output_spec = GroupTestOutputSpec

    def _engine(self, problem: Problem, folder: Path) -> 'Engine | None':
        """Give what does the shuffles; None: ketbids itself."""
        raise NotImplementedError

    def _about(self) -> dict[str, Any]:
        """Say which engine it was."""
        raise NotImplementedError

    def _limits(self) -> list[str]:
        """Say in sentences what the engine could not give."""
        return []

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.graph import adjacency, extents
        from ketbids.stats.inference import permutation_test

        i, cwd = self.inputs, Path(runtime.cwd)
        rows = read_table(Path(i.design_file))
        data, models = read_effects(rows, Path(i.base_directory))
        areas, surfaces = mean_areas(i.left_midthickness, i.right_midthickness, models)
        extent = extents(models, areas)
        problem = Problem(
            data,
            rows[i.predictors],
            np.array(i.weights),
            models,
            surfaces,
            extent,
            self._options(),
            variance_groups(rows, i.variance_columns),
            i.connectivity,
        )
        result = permutation_test(
            data,
            problem.design,
            problem.weights,
            models,
            adjacency(models, surfaces, i.connectivity, within_structure=i.within_structure),
            extent,
            problem.options,
            row_names=row_names(rows),
            engine=self._engine(problem, cwd),
            groups=problem.groups,
        )
        files = self._write_maps(result, models, cwd)
        self._results['maps'] = files
        self._results['plain'] = [files[name] for name in PLAIN]
        for direction in result.pfwe:
            self._results[direction] = [files[f'{name}_{direction}'] for name in DIRECTED]
        nullmax = cwd / 'nullmax.tsv'
        write_table(nullmax, result.null_max)
        summary = summarise(result, problem.options, len(rows)) | {
            **self._about(),
            'TFCE': TFCE_NAMES[i.tfce],
            'JointCorrection': i.joint,
            'Connectivity': i.connectivity,
            'WithinStructure': i.within_structure,
            'VarianceGroups': problem.n_groups,
        }
        summary['Warnings'] += self._limits()
        self._results.update(
            nullmax=str(nullmax),
            extent=str(write_maps(cwd / 'extent.dscalar.nii', {'extent': extent}, models)),
            summary=str(write_json(cwd / 'summary.json', summary)),
        )
        return runtime

    def _options(self) -> 'TestOptions':
        from ketbids.stats.inference import TestOptions

        i = self.inputs
        return TestOptions(
            kind=i.scheme,
            n_shuffles=i.n_shuffles,
            seed=i.seed,
            tails=i.tails,
            alpha=i.alpha,
            threads=i.num_threads,
            min_coverage=i.min_coverage,
            tfce_steps=None if i.tfce == 'exact' else int(i.tfce),
            joint=i.joint,
        )

    def _write_maps(self, result: 'TestResult', models: BrainModels, cwd: Path) -> dict[str, str]:
        """Write every map of a result; its file by its name."""
        maps = {name: getattr(result, _FIELDS.get(name, name)) for name in PLAIN}
        for direction, pfwe in result.pfwe.items():
            maps |= {
                f'tfce_{direction}': result.tfce[direction],
                f'puncorrected_{direction}': result.puncorrected[direction],
                f'pfwe_{direction}': pfwe,
                f'logpfwe_{direction}': -np.log10(pfwe),
            }
        return {
            name: str(write_maps(cwd / f'{name}.dscalar.nii', {name: values}, models))
            for name, values in maps.items()
        }


class GroupTest(GroupTestBase):
    """Test one contrast of a group design by shuffling, with TFCE over all grayordinates."""

    def _engine(self, problem: Problem, folder: Path) -> None:
        return None

    def _about(self) -> dict[str, Any]:
        return {'Engine': 'native', 'EngineVersion': version('ketbids')}


def summarise(result: 'TestResult', options: 'TestOptions', n_maps: int) -> dict[str, Any]:
    """Give the numbers of an analysis that the page and the reader need."""
    # Where an effect may not be able to reach alpha, the familywise error of those that do is
    # right, but who finds nothing knows nothing: nothing is claimed then.
    claim_below = options.alpha if result.lowest_p < options.alpha else 0.0
    return {
        'NumberOfMaps': n_maps,
        'DegreesOfFreedom': float(result.dof),
        'Shuffles': int(result.n_shuffles),
        'PossibleShuffles': str(result.n_possible),
        'Exhaustive': bool(result.exhaustive),
        'Scheme': options.kind,
        'Tails': options.tails,
        'Alpha': options.alpha,
        'TotalAlpha': options.total_alpha,
        'ClaimBelow': claim_below,
        'Seed': options.seed,
        'LowestP': float(result.lowest_p),
        'SmallestP': {d: float(np.nanmin(p)) for d, p in result.pfwe.items()},
        'SignificantGrayordinates': {
            d: int(np.sum(p < claim_below)) for d, p in result.pfwe.items()
        },
        'MinimumCoverage': options.min_coverage,
        'GrayordinatesInMask': int(result.mask.sum()),
        'GrayordinatesIncomplete': int((result.mask & (result.coverage < 1)).sum()),
        'GrayordinatesLost': int((~result.mask & (result.coverage > 0)).sum()),
        'Grayordinates': len(result.mask),
        'Assumptions': result.assumptions,
        'Warnings': list(result.warnings),
    }


def read_effects(rows: pd.DataFrame, root: Path) -> tuple[npt.NDArray[np.float64], BrainModels]:
    """Read the map of each design row (columns ``path`` and, for differences, ``minus_path``).

    Returns
    -------
    data : ndarray of float, shape (n_rows, n_grayordinates)
    models : BrainModels
    """
    paths = [root / name for name in rows['path']]
    if 'minus_path' in rows:
        paths += [root / name for name in rows['minus_path']]
    loaded = [read_maps(path) for path in paths]
    assert_same_models([models for _, models in loaded], paths)
    data = np.concatenate([values[:1] for values, _ in loaded]).astype(float)
    if 'minus_path' in rows:
        data = data[: len(rows)] - data[len(rows) :]
    return data, loaded[0][1]


def variance_groups(rows: pd.DataFrame, columns: list[str]) -> npt.NDArray[np.int64] | None:
    """Number the groups of rows that are equal in some columns; None without columns."""
    if not columns:
        return None
    return np.asarray(rows.groupby(columns).ngroup(), dtype=np.int64)


def row_names(rows: pd.DataFrame) -> list[str]:
    """Name the maps of a design for sentences: participant and sessions, as far as given."""
    names = rows['participant_id'].astype(str) if 'participant_id' in rows else rows['path']
    for column, link in (('session_id', ' '), ('minus_session_id', ' minus ')):
        if column in rows:
            names = names + (link + rows[column].astype(str)).where(rows[column].notna(), '')
    return names.tolist()


def mean_areas(left: list[str], right: list[str], models: BrainModels) -> tuple[dict, dict]:
    """Average the vertex areas of the participants' own surfaces (mm^2).

    Returns
    -------
    areas : dict of str to ndarray
        Per surface structure.
    surfaces : dict of str to Surface
        The first participant's surfaces: their triangles are everybody's.
    """
    from ketbids.stats.graph import vertex_areas

    total: dict[str, npt.NDArray[np.float64]] = {}
    first: dict = {}
    for pair in zip(left, right, strict=True):
        surfaces = read_surfaces(list(pair), models)
        first = first or surfaces
        for name, surface in surfaces.items():
            total[name] = total.get(name, 0.0) + vertex_areas(surface)
    return {name: area / len(left) for name, area in total.items()}, first


class _ClusterTablesInputSpec(BaseInterfaceInputSpec):
    maps = traits.Dict(mandatory=True, desc='maps of GroupTest')
    summary = File(exists=True, mandatory=True)
    extent = File(exists=True, mandatory=True)
    midthickness = traits.List(File(exists=True), mandatory=True, desc='average: left, right')
    desikan_killiany = File(exists=True)
    yeo7 = File(exists=True, mandatory=True)


class _ClusterTablesOutputSpec(TraitedSpec):
    table = File(exists=True, desc='clusters of all directions')
    clusters = File(exists=True, desc='cluster numbers: positive map, then negative')


class ClusterTables(SimpleInterface):
    """List the significant clusters of both directions: peak, extent, and anatomical names."""

    input_spec = _ClusterTablesInputSpec
    output_spec = _ClusterTablesOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from ketbids.stats.clusters import cluster_table
        from ketbids.stats.graph import adjacency

        i = self.inputs
        summary = read_json(Path(i.summary))
        extent, models = read_maps(Path(i.extent))
        surfaces = read_surfaces(list(i.midthickness), models)
        graph = adjacency(
            models,
            surfaces,
            summary['Connectivity'],
            within_structure=summary['WithinStructure'],
        )
        labels = {'yeo7': label_text(i.yeo7)}
        if isdefined(i.desikan_killiany):
            labels = {'desikan_killiany': label_text(i.desikan_killiany), **labels}
        tables, numbered = [], {}
        for direction in summary['SmallestP']:
            pfwe = read_maps(Path(i.maps[f'pfwe_{direction}']))[0][0]
            table, numbers = cluster_table(
                pfwe < summary['ClaimBelow'],
                read_maps(Path(i.maps[f'tfce_{direction}']))[0][0],
                pfwe,
                models,
                graph,
                extent[0].astype(float),
                grayordinate_positions(models, surfaces),
                labels,
            )
            table.insert(0, 'direction', direction)
            tables.append(table)
            numbered[direction] = numbers
        path = Path(runtime.cwd) / 'clusters.tsv'
        # p come from float32 maps: more digits would be noise.
        write_table(path, pd.concat(tables, ignore_index=True).round(6))
        self._results['table'] = str(path)
        numbers_file = Path(runtime.cwd) / 'clusters.dscalar.nii'
        self._results['clusters'] = str(write_maps(numbers_file, numbered, models))
        return runtime


def label_text(path: str) -> npt.NDArray[np.str_]:
    """Read the label of each grayordinate as text; empty where there is none."""
    labels = read_labels(Path(path))
    names = {**labels.names, 0: ''}
    return np.array([names[key] for key in labels.keys.tolist()])


def grayordinate_positions(models: BrainModels, surfaces: dict) -> npt.NDArray[np.float64]:
    """Give the position of each grayordinate in mm: vertices from `surfaces`, voxels' centres."""
    positions = np.full((len(models), 3), np.nan)
    for name in models.surface_names:
        here = models.where(name)
        positions[here] = surfaces[name].coordinates[models.vertex[here]]
    if models.affine is not None:
        voxels = ~models.is_surface
        homogeneous = np.c_[models.voxel[voxels], np.ones(voxels.sum())]
        positions[voxels] = (homogeneous @ models.affine.T)[:, :3]
    return positions
