"""Group analyses: what describes the group's maps, and one workflow per analysis."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.atlas import GroupAtlas
from ketbids.interfaces.inference import ClusterTables, GroupTest, GroupTestBase
from ketbids.interfaces.palm import PalmTest
from ketbids.interfaces.reports import AnalysisFigures
from ketbids.interfaces.roi import ParcelMeans, SignificantRegions, VisitAreas
from ketbids.settings import Settings
from ketbids.workflows.leaveoneout import init_leave_one_out_wf
from ketbids.workflows.outputs import init_ds_analysis_wf

__all__ = [
    'AnalysisPlan',
    'AtlasPlan',
    'analysis_wf_name',
    'init_analysis_wf',
    'init_atlas_wf',
    'init_test_wf',
]

ATLAS_OUTPUTS = (
    *('midthickness', 'inflated', 'desikan_killiany', 'agreement', 'yeo7', 'given'),
    *('density', 'mesh'),
)
#: Made of the maps of one contrast.
PARCEL_OUTPUTS = ('areas', 'parcels', 'about_parcels', 'laterality')
#: What does the shuffles, with the same inputs and outputs.
ENGINES: Mapping[str, type[GroupTestBase]] = {'native': GroupTest, 'palm': PalmTest}
#: Memory to plan with. PALM runs beside ketbids, which has all maps as well.
MEMORY_GB: Mapping[str, float] = {'native': 1.0, 'palm': 1.5}

TEST_OUTPUTS = ('maps', 'plain', 'pos', 'neg', 'nullmax', 'summary')
#: Outputs of SignificantRegions, under the names that they have elsewhere.
ROI_OUTPUTS: Mapping[str, str] = {
    'out_file': 'roi',
    'about': 'about_roi',
    'labels': 'roi_labels',
    'about_labels': 'about_roi_labels',
}
#: Of the regions that are found without each participant.
LOO_OUTPUTS = ('loo', 'about_loo')


@dataclass(frozen=True)
class AtlasPlan:
    """What describes the group's maps, whatever their contrast.

    Attributes
    ----------
    map_file : Path
        Any map of the group.
    surfaces : mapping of str to tuple of Path
        Files of ``L_midthickness``, ``R_midthickness``, ``L_inflated``, ``R_inflated``.
    stamp : str
        Fingerprint of the maps, the atlases and the declared regions.
    labels : tuple of Path
        Desikan-Killiany labels, one file per participant.
    atlases : mapping of str to Path
        Label files of further atlases; ``DesikanKilliany`` instead of a vote over `labels`.
    declared : mapping of str to mapping
        ``atlas`` and ``labels`` of each region of the model file.
    """

    map_file: Path
    surfaces: Mapping[str, tuple[Path, ...]]
    stamp: str
    labels: tuple[Path, ...] = ()
    atlases: Mapping[str, Path] = field(default_factory=dict)
    declared: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def voted(self) -> bool:
        """Whether the participants vote on labels."""
        return bool(self.labels) and 'DesikanKilliany' not in self.atlases

    @property
    def further(self) -> tuple[str, ...]:
        """Names of the atlases that stand beside those that every group has."""
        return tuple(name for name in self.atlases if name != 'DesikanKilliany')


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
    atlas : str
        Its labels cut significant clusters into regions.
    metadata : mapping
        What the sidecars of all maps say.
    atlas_names : tuple of str
        Further atlases that are given (see `AtlasPlan.further`).
    minimum_size : float
        mm2 or mm3 that a significant region must have.
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
    variance_columns: tuple[str, ...] = ()
    atlas_names: tuple[str, ...] = ()
    minimum_size: float = 0.0


def init_atlas_wf(
    plan: AtlasPlan, *, maps_file: str, output_dir: str, name: str = 'atlas_wf'
) -> pe.Workflow:
    """Average surfaces, vote on labels, and average every map over regions chosen without it.

    Parameters
    ----------
    plan : AtlasPlan
    maps_file : str
        Table of all maps of a contrast, with the midthickness surfaces of each.
    output_dir : str
        What the paths of that table are below.

    Outputs
    -------
    midthickness, inflated, desikan_killiany, agreement, yeo7, given, density, mesh
        See `GroupAtlas`.
    areas
        See `VisitAreas`.
    parcels, about_parcels, laterality
        See `ParcelMeans`.
    """
    workflow = pe.Workflow(name=name)
    outputnode = pe.Node(
        niu.IdentityInterface(fields=[*ATLAS_OUTPUTS, *PARCEL_OUTPUTS]), name='outputnode'
    )
    atlas = pe.Node(
        GroupAtlas(
            map_file=str(plan.map_file),
            label_files=[str(path) for path in plan.labels] if plan.voted else [],
            atlas_names=list(plan.atlases),
            atlas_files=[str(path) for path in plan.atlases.values()],
        ),
        name='atlas',
    )
    for side, hemi in (('left', 'L'), ('right', 'R')):
        for kind in ('midthickness', 'inflated'):
            files = [str(path) for path in plan.surfaces[f'{hemi}_{kind}']]
            setattr(atlas.inputs, f'{side}_{kind}', files)
    common = {'maps_file': maps_file, 'base_directory': output_dir, 'stamp': plan.stamp}
    areas = pe.Node(VisitAreas(**common), name='areas')
    parcels = pe.Node(
        ParcelMeans(
            **common,
            atlas_names=list(plan.further),
            declared={key: dict(value) for key, value in plan.declared.items()},
        ),
        name='parcels',
    )
    labels = [('desikan_killiany', 'desikan_killiany'), ('yeo7', 'yeo7')]
    labels += [('given', 'atlas_files')] if plan.further else []
    workflow.connect([
        (areas, parcels, [('out_file', 'areas_file')]),
        (atlas, parcels, labels),
        (areas, outputnode, [('out_file', 'areas')]),
        (atlas, outputnode, [(field, field) for field in ATLAS_OUTPUTS]),
        (parcels, outputnode, [
            ('out_file', 'parcels'),
            ('about', 'about_parcels'),
            ('laterality', 'laterality'),
        ]),
    ])  # fmt: skip
    return workflow


def init_test_wf(
    plan: AnalysisPlan,
    *,
    test: GroupTestBase,
    num_threads: int,
    mem_gb: float,
    leave_one_out: bool = False,
) -> pe.Workflow:
    """Test one contrast, list its clusters, and average the maps of every visit inside them.

    Parameters
    ----------
    plan : AnalysisPlan
    test : GroupTest or PalmTest
        The interface with design, contrast and options set.
    num_threads : int
    mem_gb : float
    leave_one_out : bool
        Find the regions once more without each participant.

    Inputs
    ------
    midthickness, desikan_killiany, yeo7, given, areas
        Of `init_atlas_wf`.

    Outputs
    -------
    maps, plain, pos, neg, nullmax, summary
        See `GroupTest`.
    clusters
        Table.
    roi, about_roi, roi_labels, about_roi_labels
        See `SignificantRegions`.
    loo, about_loo
        See `LeaveOneOut`; with `leave_one_out` only.
    """
    workflow = pe.Workflow(name='test_wf')
    inputnode = pe.Node(
        niu.IdentityInterface(
            fields=['midthickness', 'desikan_killiany', 'yeo7', 'given', 'areas']
        ),
        name='inputnode',
    )
    outputnode = pe.Node(
        niu.IdentityInterface(
            fields=[*TEST_OUTPUTS, 'clusters', *ROI_OUTPUTS.values(), *LOO_OUTPUTS]
        ),
        name='outputnode',
    )
    shuffle = pe.Node(test, name='shuffle', n_procs=num_threads, mem_gb=mem_gb)
    clusters = pe.Node(ClusterTables(), name='clusters')
    roi = pe.Node(
        SignificantRegions(
            maps_file=str(plan.maps_file),
            base_directory=test.inputs.base_directory,
            stamp=plan.stamp,
            atlas=plan.atlas,
            atlas_names=list(plan.atlas_names),
            minimum_size=plan.minimum_size,
            selected_by=plan.name,
        ),
        name='roi',
    )
    labels = [('desikan_killiany', 'desikan_killiany'), ('yeo7', 'yeo7')]
    given = [('given', 'atlas_files')] if plan.atlas_names else []
    workflow.connect([
        (inputnode, clusters, [('midthickness', 'midthickness'), *labels]),
        (inputnode, roi, [('areas', 'areas_file'), *labels, *given]),
        (shuffle, clusters, [(field, field) for field in ('maps', 'summary', 'extent')]),
        (shuffle, roi, [
            ('maps', 'significance'), ('summary', 'summary'), ('extent', 'extent')
        ]),
        (shuffle, outputnode, [(field, field) for field in TEST_OUTPUTS]),
        (clusters, outputnode, [('table', 'clusters')]),
        (roi, outputnode, list(ROI_OUTPUTS.items())),
    ])  # fmt: skip
    if leave_one_out:
        loo_wf = init_leave_one_out_wf(
            test=test, regions=roi.interface, num_threads=num_threads, mem_gb=mem_gb
        )
        workflow.connect([
            (inputnode, loo_wf, [
                (f, f'inputnode.{f}') for f in ('desikan_killiany', 'yeo7', 'given', 'areas')
            ]),
            (shuffle, loo_wf, [(f, f'inputnode.{f}') for f in ('maps', 'summary', 'extent')]),
            (loo_wf, outputnode, [(f'outputnode.{f}', f) for f in LOO_OUTPUTS]),
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
    midthickness, inflated, desikan_killiany, agreement, yeo7, given, density, mesh
        Of `init_atlas_wf`.
    areas, parcels, about_parcels, laterality
        Of `init_atlas_wf`.
    """
    group, output_dir = settings.group, str(settings.paths.output_dir)
    workflow = pe.Workflow(name=analysis_wf_name(plan.name, plan.contrast))
    inputnode = pe.Node(
        niu.IdentityInterface(fields=[*ATLAS_OUTPUTS, *PARCEL_OUTPUTS]), name='inputnode'
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
        plan,
        test=test,
        num_threads=settings.resources.omp_nthreads,
        mem_gb=MEMORY_GB[group.engine],
        leave_one_out=group.leave_one_out,
    )
    figures = pe.Node(AnalysisFigures(title=f'{plan.name}: {plan.contrast}'), name='figures')
    ds_analysis_wf = init_ds_analysis_wf(
        output_dir=output_dir,
        node=plan.name,
        contrast=plan.contrast,
        metadata=plan.metadata,
        directions=('pos',) if group.tails == 'positive' else ('pos', 'neg'),
        leave_one_out=group.leave_one_out,
    )
    loo = LOO_OUTPUTS if group.leave_one_out else ()
    ds_analysis_wf.inputs.inputnode.design = str(plan.design_file)
    ds_analysis_wf.inputs.inputnode.excluded = str(plan.excluded_file)
    ds_analysis_wf.inputs.inputnode.participants = str(plan.participants_file)
    workflow.connect([
        (inputnode, test_wf, [
            (f, f'inputnode.{f}')
            for f in ('midthickness', 'desikan_killiany', 'yeo7', 'given', 'areas')
        ]),
        (inputnode, figures, [('inflated', 'inflated')]),
        (inputnode, ds_analysis_wf, [('density', 'inputnode.density')]),
        (test_wf, figures, [('outputnode.maps', 'maps'), ('outputnode.summary', 'summary')]),
        (figures, ds_analysis_wf, [('figure', 'inputnode.figure')]),
        (test_wf, ds_analysis_wf, [
            (f'outputnode.{f}', f'inputnode.{f}')
            for f in (*TEST_OUTPUTS[1:], 'clusters', *ROI_OUTPUTS.values(), *loo)
        ]),
    ])  # fmt: skip
    return workflow
