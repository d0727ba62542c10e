"""Sinks: one place that names and writes the outputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from ketbids.interfaces.bids import DerivativesDataSink
from ketbids.interfaces.inference import DIRECTED, PLAIN
from ketbids.io.columns import column_descriptions

__all__ = [
    'MAP_FIELDS',
    'figure_sink',
    'group_sink',
    'init_ds_analysis_wf',
    'init_ds_anatomy_wf',
    'init_ds_atlas_wf',
    'init_ds_statmaps_wf',
    'sink',
]

STATISTICS = ('effect', 'variance', 't', 'z')
#: What describes the maps of a run or a visit to their sinks.
MAP_FIELDS = (
    *('contrasts', *STATISTICS, 'sidecars'),
    *('f_contrasts', 'f', 'f_z', 'f_sidecars', 'density'),
)
SURFACE_KINDS = ('midthickness', 'inflated')

#: Entities that tell apart the runs of a visit.
RUN_ENTITIES = ('reconstruction', 'direction', 'run')

#: What the numbers of a first-level map are.
_UNITS = {
    'effect': 'SignalUnits; percent signal change is 100 x effect x RegressorPeaks / MeanSignal',
    'variance': 'square of the unit of the effect',
    't': 'arbitrary',
    'F': 'arbitrary',
    'z': 'arbitrary',
}

_ATLAS_TEXT = {
    'desikan_killiany': 'Desikan-Killiany label that most participants have, one vote each; '
    'the lowest key wins a tie.',
    'agreement': 'Share of the participants that have the Desikan-Killiany label of the group.',
    'given': 'Labels of an atlas that was given, on the grayordinates of the maps.',
    'yeo7': 'Yeo-7 network; off the fs_LR 32k mesh, that of the nearest S1200 vertex.',
    'midthickness': 'Average of the surfaces of all visits. For pictures and positions only: its '
    'areas are too small.',
    'inflated': 'Average of the surfaces of all visits. For pictures only.',
}

_STATISTIC_TEXT = {
    'effect': 'Contrast estimate, in the unit of the first-level effects.',
    'variance': 'Variance of the contrast estimate.',
    'stderr': 'Standard error of the contrast estimate.',
    'cilow': 'Lower limit of the 95 % confidence interval of the contrast estimate, parametric, '
    'at the grayordinate alone.',
    'cihigh': 'Upper limit of that interval.',
    'cohend': "Cohen's d: contrast estimate by the residual standard deviation; of a slope, per "
    'unit of its covariate.',
    't': "Student's t; with variance groups the v of Aspin and Welch.",
    'z': 'Normal deviate with the same tail as t; with variance groups that of v by a third of '
    "Welch's degrees of freedom, as in PALM.",
    'n': 'Number of maps with a value.',
    'coverage': 'Share of the maps of the analysis that have a value.',
    'tfce': 'Threshold-free cluster enhancement of z; 0 where z points elsewhere.',
    'puncorrected': 'p of the TFCE value by shuffling, uncorrected. Of PALM with both tails, NaN '
    'unless all shuffles were done.',
    'pfwe': 'p of the TFCE value, family-wise error corrected over all grayordinates.',
    'logpfwe': '-log10 of pfwe.',
}


def sink(name: str, output_dir: str, source_file: Any = None, **entities: Any) -> pe.Node:
    """Make a sink node; `entities` are BIDS entities or metadata of the sidecar."""
    known = {'base_directory': output_dir, 'check_hdr': False, **entities}
    if source_file is not None:
        known['source_file'] = source_file
    return pe.Node(DerivativesDataSink(**known), name=name)


def group_sink(name: str, output_dir: str, **entities: Any) -> pe.Node:
    """Make a sink into the folder of the group."""
    # A sink takes entities from a source below a participant's folder; these are all dropped.
    source = str(Path(output_dir) / 'sub-group' / 'sub-group_group.json')
    return sink(
        name, output_dir, source, dismiss_entities=['subject', 'suffix', 'extension'], **entities
    )


def figure_sink(
    name: str,
    output_dir: str,
    source_file: str,
    *,
    suffix: str,
    dismiss_run: bool = False,
    **entities: Any,
) -> pe.Node:
    """Make a sink into the participant's folder of figures; there may be no maps to show."""
    return sink(
        name,
        output_dir,
        source_file,
        datatype='figures',
        optional=suffix == 'statmap',
        dismiss_entities=list(RUN_ENTITIES) if dismiss_run else [],
        suffix=suffix,
        **{'extension': '.json' if suffix == 'section' else '.png', **entities},
    )


def init_ds_statmaps_wf(
    *,
    output_dir: str,
    source_file: str,
    metadata: Mapping[str, Any],
    f_contrasts: bool = False,
    dismiss_run: bool = False,
    name: str = 'ds_statmaps_wf',
) -> pe.Workflow:
    """Write the maps of all contrasts.

    Parameters
    ----------
    output_dir : str
    source_file : str
        A raw file with the run's BIDS entities.
    metadata : mapping
        What the sidecars of all maps say.
    f_contrasts : bool
        Whether the model has F contrasts.
    dismiss_run : bool
        Leave out what tells runs apart: the maps are those of the visit.

    Inputs
    ------
    contrasts
        Names of the contrasts.
    effect, variance, t, z
        A list of files each, in the order of `contrasts`.
    sidecars
        Metadata of each contrast.
    f_contrasts, f, f_z, f_sidecars
        The same of F contrasts.
    density
        BIDS den label.
    """
    workflow = pe.Workflow(name=name)
    inputnode = pe.Node(niu.IdentityInterface(fields=list(MAP_FIELDS)), name='inputnode')
    maps = [('', stat, stat) for stat in STATISTICS]
    maps += [('f_', 'f', 'F'), ('f_', 'f_z', 'z')] if f_contrasts else []
    for kind, field, stat in maps:
        ds_stat = sink(
            f'ds_{field}',
            output_dir,
            source_file,
            space='fsLR',
            stat=stat,
            suffix='statmap',
            datatype='func',
            optional=True,
            dismiss_entities=list(RUN_ENTITIES) if dismiss_run else [],
            meta_dict={**metadata, 'Statistic': stat, 'Units': _UNITS[stat]},
        )
        workflow.connect([
            (inputnode, ds_stat, [
                (field, 'in_file'),
                (f'{kind}contrasts', 'contrast'),
                (f'{kind}sidecars', 'sidecars'),
                ('density', 'den'),
            ]),
        ])  # fmt: skip
    return workflow


def init_ds_anatomy_wf(
    *,
    output_dir: str,
    source_file: str,
    surfaces: Mapping[str, str],
    labels: str | None,
    mesh: str,
    sources: Mapping[str, str],
    name: str = 'ds_anatomy_wf',
) -> pe.Workflow:
    """Keep the surfaces and labels beside the maps: the group level needs nothing else.

    Parameters
    ----------
    output_dir : str
    source_file : str
        A raw file with the visit's BIDS entities.
    surfaces : mapping of str to str
        File of ``L_midthickness``, ``R_midthickness``, ``L_inflated``, ``R_inflated``.
    labels : str or None
        Desikan-Killiany labels.
    mesh : str
        BIDS den label of the surfaces.
    sources : mapping of str to str
        BIDS URI of each file.
    """
    workflow = pe.Workflow(name=name)
    dismissed = [*RUN_ENTITIES, 'acquisition', 'task', 'suffix']
    common = {'space': 'fsLR', 'den': mesh, 'datatype': 'anat', 'dismiss_entities': dismissed}
    nodes = []
    for key, path in surfaces.items():
        hemi, kind = key.split('_')
        nodes.append(
            sink(
                f'ds_{key}',
                output_dir,
                source_file,
                in_file=path,
                hemi=hemi,
                extension='.surf.gii',
                suffix=kind,
                meta_dict={'Sources': [sources[path]]},
                **common,
            )
        )
    if labels is not None:
        nodes.append(
            sink(
                'ds_labels',
                output_dir,
                source_file,
                in_file=labels,
                atlas='DesikanKilliany',
                extension='.dlabel.nii',
                suffix='dseg',
                meta_dict={'Sources': [sources[labels]]},
                **common,
            )
        )
    workflow.add_nodes(nodes)
    return workflow


def init_ds_atlas_wf(
    *,
    output_dir: str,
    contrast: str,
    voted: bool,
    given: tuple[str, ...] = (),
    name: str = 'ds_atlas_wf',
) -> pe.Workflow:
    """Write what describes the group's maps: labels, their agreement, average surfaces.

    Parameters
    ----------
    output_dir : str
    contrast : str
        First-level contrast of the tables of parcels.
    voted : bool
        Whether the participants voted on Desikan-Killiany labels.
    given : tuple of str
        Names of the atlases that were given.

    Inputs
    ------
    midthickness, inflated, desikan_killiany, agreement, yeo7, given, density, mesh
        See `GroupAtlas`.
    parcels, about_parcels, laterality
        See `ParcelMeans`.
    """
    workflow = pe.Workflow(name=name)
    fields = ['desikan_killiany', 'agreement', 'yeo7', 'given', 'density', 'mesh', 'areas']
    fields += ['parcels', 'about_parcels', 'laterality', *SURFACE_KINDS]
    inputnode = pe.Node(niu.IdentityInterface(fields=fields), name='inputnode')
    anatomy = 'DesikanKilliany'
    sinks: dict[str, dict[str, Any]] = {'yeo7': {'atlas': 'Yeo7'}}
    if voted or anatomy in given:
        sinks['desikan_killiany'] = {'atlas': anatomy}
    if voted:
        sinks['agreement'] = {'atlas': anatomy, 'suffix': 'agreement'}
    if further := [name for name in given if name != anatomy]:
        sinks['given'] = {'atlas': further}
    for field, entities in sinks.items():
        node = group_sink(
            f'ds_{field}', output_dir, space='fsLR', **{'suffix': 'dseg', **entities}
        )
        text = 'given' if field == 'desikan_killiany' and not voted else field
        node.inputs.meta_dict = {'Description': _ATLAS_TEXT[text]}
        workflow.connect(inputnode, 'density', node, 'den')
        workflow.connect(inputnode, field, node, 'in_file')
    for kind in SURFACE_KINDS:
        node = group_sink(f'ds_{kind}', output_dir, space='fsLR', suffix=kind)
        node.inputs.hemi = ['L', 'R']
        node.inputs.meta_dict = {'Description': _ATLAS_TEXT[kind]}
        workflow.connect(inputnode, 'mesh', node, 'den')
        workflow.connect(inputnode, kind, node, 'in_file')
    for table, columns in (('parcels', 'group_roi'), ('laterality', 'group_laterality')):
        node = group_sink(f'ds_{table}', output_dir, contrast=contrast, suffix=table)
        node.inputs.meta_dict = column_descriptions(columns)
        workflow.connect(inputnode, table, node, 'in_file')
        if table == 'parcels':
            workflow.connect(inputnode, 'about_parcels', node, 'sidecars')
    return workflow


def init_ds_analysis_wf(
    *,
    output_dir: str,
    node: str,
    contrast: str,
    metadata: Mapping[str, Any],
    directions: tuple[str, ...],
    leave_one_out: bool = False,
    name: str = 'ds_analysis_wf',
) -> pe.Workflow:
    """Write the maps, tables, regions and figure of one analysis.

    Inputs
    ------
    plain, pos, neg
        Maps of `GroupTest`.
    density
        BIDS den label.
    design, excluded, participants, clusters, nullmax, summary, figure
        Files.
    roi, about_roi, roi_labels, about_roi_labels
        See `SignificantRegions`.
    loo, about_loo
        See `LeaveOneOut`; with `leave_one_out` only.
    """
    workflow = pe.Workflow(name=name)
    tables = ['design', 'excluded', 'participants', 'clusters', 'nullmax', 'roi']
    tables += ['loo'] if leave_one_out else []
    fields = ['plain', 'pos', 'neg', 'density', 'summary', 'figure', *tables]
    fields += ['about_roi', 'about_loo', 'roi_labels', 'about_roi_labels']
    inputnode = pe.Node(niu.IdentityInterface(fields=fields), name='inputnode')
    common = {'node': node, 'contrast': contrast}
    for group in ('plain', *directions):
        statistics = PLAIN if group == 'plain' else DIRECTED
        ds_maps = group_sink(f'ds_{group}', output_dir, space='fsLR', **common)
        ds_maps.inputs.trait_set(suffix='statmap', stat=list(statistics), meta_dict=dict(metadata))
        ds_maps.inputs.sidecars = [
            {'Statistic': stat, 'Description': _STATISTIC_TEXT[stat]} for stat in statistics
        ]
        if group != 'plain':
            ds_maps.inputs.desc = group
        workflow.connect([(inputnode, ds_maps, [(group, 'in_file'), ('density', 'den')])])
    for table in tables:
        ds_table = group_sink(f'ds_{table}', output_dir, suffix=table, **common)
        ds_table.inputs.meta_dict = column_descriptions(f'group_{table}')
        workflow.connect(inputnode, table, ds_table, 'in_file')
        if table in ('roi', 'loo'):
            workflow.connect(inputnode, f'about_{table}', ds_table, 'sidecars')
    ds_labels = group_sink('ds_roi_labels', output_dir, space='fsLR', desc='roi', **common)
    ds_labels.inputs.trait_set(suffix='dseg', optional=True)
    workflow.connect([
        (inputnode, ds_labels, [
            ('roi_labels', 'in_file'), ('about_roi_labels', 'sidecars'), ('density', 'den'),
        ]),
    ])  # fmt: skip
    for field, suffix in (('summary', 'summary'), ('figure', 'figure')):
        ds_file = group_sink(f'ds_{field}', output_dir, suffix=suffix, **common)
        workflow.connect(inputnode, field, ds_file, 'in_file')
    return workflow
