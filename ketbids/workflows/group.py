"""Group analyses: what describes the group's maps, and one workflow per analysis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.atlas import GroupAtlas
from ketbids.interfaces.inference import ClusterTables, GroupTest, GroupTestBase
from ketbids.interfaces.palm import PalmTest
from ketbids.interfaces.reports import AnalysisFigures
from ketbids.interfaces.roi import AssociateScores, RoiMeans
from ketbids.settings import Settings
from ketbids.workflows.outputs import init_ds_analysis_wf

__all__ = [
    'AnalysisPlan',
    'analysis_wf_name',
    'init_analysis_wf',
    'init_associations_wf',
    'init_atlas_wf',
    'init_test_wf',
]

ATLAS_OUTPUTS = (
    *('midthickness', 'inflated', 'desikan_killiany', 'agreement', 'yeo7'),
    *('density', 'mesh'),
)
#: What does the shuffles, with the same inputs and outputs.
ENGINES: Mapping[str, type[GroupTestBase]] = {'native': GroupTest, 'palm': PalmTest}
#: Memory to plan with. PALM runs beside ketbids, which has all maps as well.
MEMORY_GB: Mapping[str, float] = {'native': 1.0, 'palm': 1.5}

TEST_OUTPUTS = ('maps', 'plain', 'pos', 'neg', 'nullmax', 'summary')


@dataclass(frozen=True)
class AnalysisPlan:
    """An analysis of one first-level contrast, ready to be computed.

    Attributes
    ----------
    name, contrast : str
        The analysis and the first-level contrast.
    design_file, excluded_file, participants_file, maps_file : Path
        Rows of the design, who is left out, what was used of each person, and all maps of the
        contrast.
    predictors, weights : sequences
        Columns of the design matrix and their weights.
    scheme : {'flips', 'permutations'}
    variance_columns : tuple of str
        Predictors whose equal rows share one variance; empty: all rows do.
    midthickness : tuple of (Path, Path)
        Left and right surface of every map in the design.
    stamp : str
        Fingerprint of all that the result depends on.
    atlas : {'DesikanKilliany', 'Yeo7'}
        Its labels cut significant clusters into regions.
    metadata : mapping
        What the sidecars of all maps say.
    scores, definitions : mapping
        Score per participant and sessions per name; empty: no correlations.
    """

    name: str
    contrast: str
    design_file: Path
    excluded_file: Path
    participants_file: Path
    maps_file: Path
    predictors: tuple[str, ...]
    weights: tuple[float, ...]
    scheme: str
    midthickness: tuple[tuple[Path, Path], ...]
    stamp: str
    atlas: str
    metadata: Mapping[str, Any]
    scores: Mapping[str, float] = field(default_factory=dict)
    definitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variance_columns: tuple[str, ...] = ()


def init_atlas_wf(
    *,
    map_file: str,
    maps_file: str,
    output_dir: str,
    surfaces: Mapping[str, Sequence[str]],
    labels: Sequence[str],
    stamp: str,
    name: str = 'atlas_wf',
) -> pe.Workflow:
    """Average surfaces, vote on labels, and average every map over whole parcels.

    Parameters
    ----------
    map_file : str
        Any map of the group.
    maps_file : str
        Table of all maps.
    output_dir : str
        What the paths of that table are below.
    surfaces : mapping of str to sequence of str
        Files of ``L_midthickness``, ``R_midthickness``, ``L_inflated``, ``R_inflated``.
    labels : sequence of str
        Desikan-Killiany labels, one file per participant.
    stamp : str
        Fingerprint of the maps.

    Outputs
    -------
    midthickness, inflated, desikan_killiany, agreement, yeo7, density, mesh
        See `GroupAtlas`.
    parcels
        Mean of every map over every parcel.
    """
    workflow = pe.Workflow(name=name)
    outputnode = pe.Node(
        niu.IdentityInterface(fields=[*ATLAS_OUTPUTS, 'parcels']), name='outputnode'
    )
    atlas = pe.Node(GroupAtlas(map_file=map_file, label_files=list(labels)), name='atlas')
    for side, hemi in (('left', 'L'), ('right', 'R')):
        for kind in ('midthickness', 'inflated'):
            setattr(atlas.inputs, f'{side}_{kind}', list(surfaces[f'{hemi}_{kind}']))
    parcels = pe.Node(
        RoiMeans(maps_file=maps_file, base_directory=output_dir, stamp=stamp), name='parcels'
    )
    workflow.connect([
        (atlas, parcels, [('desikan_killiany', 'desikan_killiany'), ('yeo7', 'yeo7')]),
        (atlas, outputnode, [(field, field) for field in ATLAS_OUTPUTS]),
        (parcels, outputnode, [('out_file', 'parcels')]),
    ])  # fmt: skip
    return workflow


def init_test_wf(
    *,
    test: GroupTestBase,
    maps_file: str,
    atlas: str,
    num_threads: int,
    mem_gb: float,
    name: str = 'test_wf',
) -> pe.Workflow:
    """Test one contrast, list its clusters, and average the maps of every visit inside them.

    Parameters
    ----------
    test : GroupTest or PalmTest
        The interface with design, contrast and options set.
    maps_file : str
        Table of all maps of the first-level contrast.
    atlas : {'DesikanKilliany', 'Yeo7'}
        Its labels cut significant clusters into regions.
    num_threads : int
    mem_gb : float

    Inputs
    ------
    midthickness, desikan_killiany, yeo7
        Of `init_atlas_wf`.

    Outputs
    -------
    maps, plain, pos, neg, nullmax, summary
        See `GroupTest`.
    clusters, roi
        Tables.
    """
    workflow = pe.Workflow(name=name)
    atlas_fields = ['midthickness', 'desikan_killiany', 'yeo7']
    inputnode = pe.Node(niu.IdentityInterface(fields=atlas_fields), name='inputnode')
    outputnode = pe.Node(
        niu.IdentityInterface(fields=[*TEST_OUTPUTS, 'clusters', 'roi']), name='outputnode'
    )
    shuffle = pe.Node(test, name='shuffle', n_procs=num_threads, mem_gb=mem_gb)
    clusters = pe.Node(ClusterTables(), name='clusters')
    roi = pe.Node(
        RoiMeans(
            maps_file=maps_file,
            base_directory=test.inputs.base_directory,
            stamp=test.inputs.stamp,
            atlas=atlas,
        ),
        name='roi',
    )
    workflow.connect([
        (inputnode, clusters, [(field, field) for field in atlas_fields]),
        (inputnode, roi, [(field, field) for field in atlas_fields[1:]]),
        (shuffle, clusters, [(field, field) for field in ('maps', 'summary', 'extent')]),
        (shuffle, roi, [('maps', 'significance'), ('summary', 'summary')]),
        (shuffle, outputnode, [(field, field) for field in TEST_OUTPUTS]),
        (clusters, outputnode, [('table', 'clusters')]),
        (roi, outputnode, [('out_file', 'roi')]),
    ])  # fmt: skip
    return workflow


def init_associations_wf(
    *,
    scores: Mapping[str, float],
    definitions: Mapping[str, Sequence[str]],
    name: str = 'associations_wf',
) -> pe.Workflow:
    """Correlate ROI values with a score: in the analysis' own ROIs and in whole parcels.

    Parameters
    ----------
    scores : mapping of str to float
        Score per participant.
    definitions : mapping of str to sequence of str
        One or two sessions, per name.

    Inputs
    ------
    roi, parcels
        Tables.

    Outputs
    -------
    out_file
        Table of correlations.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(niu.IdentityInterface(fields=['roi', 'parcels']), name='inputnode')
    outputnode = pe.Node(niu.IdentityInterface(fields=['out_file']), name='outputnode')
    tables = pe.Node(niu.Merge(2), name='tables')
    associate = pe.Node(
        AssociateScores(
            scores=dict(scores), definitions={k: list(v) for k, v in definitions.items()}
        ),
        name='associate',
    )
    workflow.connect([
        (inputnode, tables, [('roi', 'in1'), ('parcels', 'in2')]),
        (tables, associate, [('out', 'roi_files')]),
        (associate, outputnode, [('out_file', 'out_file')]),
    ])  # fmt: skip
    return workflow


def analysis_wf_name(analysis: str, contrast: str) -> str:
    """Name of the workflow of an analysis."""
    return f'{analysis}_{contrast}_wf'


def init_analysis_wf(settings: Settings, plan: AnalysisPlan) -> pe.Workflow:
    """Run one analysis on one first-level contrast and write everything that it makes.

    Parameters
    ----------
    settings : Settings
    plan : AnalysisPlan

    Inputs
    ------
    midthickness, inflated, desikan_killiany, yeo7, parcels, density
        Of `init_atlas_wf`.
    """
    group, output_dir = settings.group, str(settings.paths.output_dir)
    workflow = pe.Workflow(name=analysis_wf_name(plan.name, plan.contrast))
    inputnode = pe.Node(
        niu.IdentityInterface(fields=[*ATLAS_OUTPUTS, 'parcels']), name='inputnode'
    )
    test = ENGINES[group.engine](
        design_file=str(plan.design_file),
        base_directory=output_dir,
        stamp=plan.stamp,
        predictors=list(plan.predictors),
        weights=list(plan.weights),
        left_midthickness=[str(left) for left, _ in plan.midthickness],
        right_midthickness=[str(right) for _, right in plan.midthickness],
        scheme=plan.scheme,
        n_shuffles=group.permutations,
        seed=group.seed,
        tails=group.tails,
        min_coverage=group.min_coverage,
        tfce=group.tfce,
        joint=group.joint,
        connectivity=group.connectivity,
        within_structure=group.within_structure,
        variance_columns=list(plan.variance_columns),
        num_threads=settings.resources.omp_nthreads,
    )
    test_wf = init_test_wf(
        test=test,
        maps_file=str(plan.maps_file),
        atlas=plan.atlas,
        num_threads=settings.resources.omp_nthreads,
        mem_gb=MEMORY_GB[group.engine],
    )
    figures = pe.Node(AnalysisFigures(title=f'{plan.name}: {plan.contrast}'), name='figures')
    ds_analysis_wf = init_ds_analysis_wf(
        output_dir=output_dir,
        node=plan.name,
        contrast=plan.contrast,
        metadata=plan.metadata,
        directions=('pos',) if group.tails == 'positive' else ('pos', 'neg'),
        associations=bool(plan.definitions),
    )
    ds_analysis_wf.inputs.inputnode.design = str(plan.design_file)
    ds_analysis_wf.inputs.inputnode.excluded = str(plan.excluded_file)
    ds_analysis_wf.inputs.inputnode.participants = str(plan.participants_file)
    workflow.connect([
        (inputnode, test_wf, [
            (f, f'inputnode.{f}') for f in ('midthickness', 'desikan_killiany', 'yeo7')
        ]),
        (inputnode, figures, [('inflated', 'inflated')]),
        (inputnode, ds_analysis_wf, [('density', 'inputnode.density')]),
        (test_wf, figures, [('outputnode.maps', 'maps'), ('outputnode.summary', 'summary')]),
        (figures, ds_analysis_wf, [('figure', 'inputnode.figure')]),
        (test_wf, ds_analysis_wf, [
            (f'outputnode.{f}', f'inputnode.{f}')
            for f in ('plain', 'pos', 'neg', 'nullmax', 'summary', 'clusters', 'roi')
        ]),
    ])  # fmt: skip
    if plan.definitions:
        associations_wf = init_associations_wf(scores=plan.scores, definitions=plan.definitions)
        workflow.connect([
            (inputnode, associations_wf, [('parcels', 'inputnode.parcels')]),
            (test_wf, associations_wf, [('outputnode.roi', 'inputnode.roi')]),
            (associations_wf, ds_analysis_wf, [('outputnode.out_file', 'inputnode.associations')]),
        ])  # fmt: skip
    return workflow
