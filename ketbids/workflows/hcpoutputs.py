"""What the HCP pipelines made of a session, under BIDS names."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from nipype.pipeline import engine as pe

from ketbids.errors import InputError
from ketbids.interfaces.hcp.results import DescribeConfounds, RunQuality
from ketbids.io.columns import column_descriptions
from ketbids.io.hcpinputs import BoldInputs, HcpSession
from ketbids.io.hcpnames import FixGroup, SessionFolders, study_folder
from ketbids.io.inventory import bids_uri
from ketbids.io.meshes import density_name
from ketbids.settings import Settings
from ketbids.workflows.outputs import sink
from ketbids.workflows.session import groups_of

__all__ = ['Versions', 'hcp_outputs_wf_name', 'init_hcp_outputs_wf', 'init_publishing_wf']

#: Versions of programs, by their names; several where stages were done with several.
Versions: TypeAlias = Mapping[str, str | list[str]]

#: Surfaces by what the HCP pipelines call them, and BIDS suffixes.
_SURFACES = {
    'white': 'white',
    'midthickness': 'midthickness',
    'pial': 'pial',
    'inflated': 'inflated',
    'very_inflated': 'veryinflated',
    'sphere': 'sphere',
}
#: Maps of the cortex, likewise.
_MAPS = {'sulc': 'sulc', 'thickness': 'thickness', 'MyelinMap_BC': 'myelinmap'}
#: Parcellations of FreeSurfer, and BIDS labels of atlases.
_ATLASES = {'aparc': 'DesikanKilliany', 'aparc.a2009s': 'Destrieux'}
_MESH = '32k'

_TEXT = {
    'white': 'Border of white and grey matter, mm, MNI space.',
    'midthickness': 'Middle of the cortex, mm, MNI space.',
    'pial': 'Outer border of the cortex, mm, MNI space.',
    'inflated': 'Inflated midthickness, for pictures.',
    'veryinflated': 'Very inflated midthickness, for pictures.',
    'sphere': 'Sphere of the mesh.',
    'sulc': 'Depth of the sulci, as FreeSurfer has it.',
    'thickness': 'Thickness of the cortex, mm.',
    'myelinmap': 'Ratio of T1w and T2w, corrected for the bias field.',
    'DesikanKilliany': 'Labels of Desikan and Killiany (aparc of FreeSurfer).',
    'Destrieux': 'Labels of Destrieux (aparc.a2009s of FreeSurfer).',
}
_UNITS = {'trans': 'mm', 'rot': 'rad', 'framewise': 'mm', 'dvars': 'arbitrary'}


def hcp_outputs_wf_name(session: HcpSession) -> str:
    """Name of a session's workflow."""
    return session.name.replace('-', '_') + '_outputs_wf'


def init_publishing_wf(
    settings: Settings,
    sessions: Sequence[HcpSession],
    *,
    done: Mapping[str, Collection[str]],
    versions: Mapping[str, Versions],
) -> pe.Workflow:
    """Publish sessions, independent of each other (see `init_hcp_outputs_wf`).

    Parameters
    ----------
    settings : Settings
    sessions : sequence of HcpSession
    done : mapping of str to collection of str
        Stages that are whole, by the name of the session.
    versions : mapping of str to mapping
        Of the programs, likewise (see `init_hcp_outputs_wf`).
    """
    workflow = pe.Workflow(name='publishing_wf', base_dir=str(settings.paths.work_dir))
    workflow.add_nodes(
        [
            init_hcp_outputs_wf(
                settings, session, done=done[session.name], versions=versions[session.name]
            )
            for session in sessions
        ]
    )
    return workflow


def init_hcp_outputs_wf(
    settings: Settings,
    session: HcpSession,
    *,
    done: Collection[str],
    versions: Versions,
) -> pe.Workflow:
    """Put a session's surfaces, labels and time series under BIDS names, and describe its runs.

    The workflow is built when the stages are done: what it links must be there. Before a stage
    is done again, `ketbids.io.published.unpublish` takes all of it away.

    Parameters
    ----------
    settings : Settings
    session : HcpSession
    done : collection of str
        Stages that are whole, those of runs for all runs; what others make is left out.
    versions : mapping of str to str or list of str
        Of the programs, by their names; a list where stages were done with several.

    Raises
    ------
    InputError
        A file is missing although its stage is done.
    """
    workflow = pe.Workflow(
        name=hcp_outputs_wf_name(session), base_dir=str(settings.paths.work_dir)
    )
    if 'PostFreeSurfer' in done:
        workflow.add_nodes([_init_anat_outputs_wf(settings, session, done, versions)])
    if 'fMRISurface' in done:
        groups = {name: group for group in groups_of(settings, session) for name in group.runs}
        workflow.add_nodes(
            [
                _init_run_outputs_wf(
                    settings, session, run, groups.get(run.name), done=done, versions=versions
                )
                for run in session.runs
            ]
        )
    return workflow


def _folders(settings: Settings, session: HcpSession) -> SessionFolders:
    return SessionFolders(study_folder(settings.paths.output_dir), session.name)


def _registration(done: Collection[str]) -> str:
    return 'MSMAll' if 'DeDriftAndResample' in done else 'MSMSulc'


def _uris(settings: Settings, files: Iterable[Path]) -> list[str]:
    roots = {'': settings.paths.output_dir, 'raw': settings.paths.bids_dir}
    return [bids_uri(path, roots) for path in files]


def _found(path: Path, stage: str) -> str:
    """Give the path of a file that a stage must have made."""
    if not path.is_file():
        raise InputError(
            f'{path} is missing, although the stage {stage} is done. Repeat the command: the '
            'stage is then done again.'
        )
    return str(path)


def _init_anat_outputs_wf(
    settings: Settings, session: HcpSession, done: Collection[str], versions: Versions
) -> pe.Workflow:
    """Link surfaces, maps and labels on the 32k mesh."""
    folder, registration = _folders(settings, session).mesh32, _registration(done)
    suffix = '' if registration == 'MSMSulc' else f'_{registration}'
    stage = 'DeDriftAndResample' if suffix else 'PostFreeSurfer'
    levels = [f'sub-{session.participant}', *([f'ses-{session.session}'] * bool(session.session))]
    source = settings.paths.output_dir.joinpath(*levels, 'anat', f'{session.name}_T1w.json')
    common = {
        'link': True,
        'space': 'fsLR',
        'den': _MESH,
        'datatype': 'anat',
        'dismiss_entities': ['suffix', 'extension'],
    }
    said = {
        'SpatialReference': 'fsLR',
        'Density': {_MESH: '32492 vertices of each hemisphere.'},
        'SurfaceRegistration': registration,
        'SoftwareVersions': _versions(versions),
    }

    def linked(name: str, text: str, files: Sequence[Path], **entities: Any) -> pe.Node:
        node = sink(name, str(settings.paths.output_dir), str(source), **common, **entities)
        node.inputs.in_file = [_found(path, stage) for path in files]
        node.inputs.meta_dict = {'Description': text, **said}
        node.inputs.sidecars = [{'Sources': _uris(settings, [path])} for path in files]
        return node

    nodes = []
    for kind, name in _SURFACES.items():
        middle = kind if name == 'sphere' else f'{kind}{suffix}'
        files = [folder / f'{session.name}.{h}.{middle}.32k_fs_LR.surf.gii' for h in 'LR']
        entities = {'suffix': name, 'extension': '.surf.gii', 'hemi': ['L', 'R']}
        nodes.append(linked(f'ds_{name}', _TEXT[name], files, **entities))
    for kind, name in _MAPS.items():
        path = folder / f'{session.name}.{kind}{suffix}.32k_fs_LR.dscalar.nii'
        if path.is_file():  # no myelin without T2w
            entities = {'suffix': name, 'extension': '.dscalar.nii'}
            nodes.append(linked(f'ds_{name}', _TEXT[name], [path], **entities))
    for kind, name in _ATLASES.items():
        path = folder / f'{session.name}.{kind}.32k_fs_LR.dlabel.nii'
        if path.is_file():
            entities = {'atlas': name, 'suffix': 'dseg', 'extension': '.dlabel.nii'}
            node = linked(f'ds_{name}', _TEXT[name], [path], **entities)
            # DeDriftAndResample leaves the labels as they are.
            node.inputs.meta_dict = {**node.inputs.meta_dict, 'SurfaceRegistration': 'MSMSulc'}
            nodes.append(node)
    workflow = pe.Workflow(name='anat_outputs_wf')
    workflow.add_nodes(nodes)
    return workflow


def _init_run_outputs_wf(
    settings: Settings,
    session: HcpSession,
    run: BoldInputs,
    group: FixGroup | None,
    *,
    done: Collection[str],
    versions: Versions,
) -> pe.Workflow:
    """Link a run's time series, and describe the run."""
    workflow = pe.Workflow(name=f'{run.name.replace("-", "_")}_outputs_wf')
    folders = _folders(settings, session)
    results = folders.results(run.name)
    series = Path(_found(results / f'{run.name}_Atlas.dtseries.nii', 'fMRISurface'))
    fixed = group if group is not None and 'ICAFIX' in done else None
    cleaned = Path(_found(results / fixed.cleaned(run.name), 'ICAFIX')) if fixed else None
    movement = Path(_found(results / 'Movement_Regressors.txt', 'fMRIVolume'))

    confounds = pe.Node(
        DescribeConfounds(
            series=str(series),
            movement=str(movement),
            descriptions=_dictionary(),
        ),
        name='confounds',
        mem_gb=0.5,
        overwrite=True,
    )
    ribbon = results / 'RibbonVolumeToSurfaceMapping'
    quality = pe.Node(
        RunQuality(
            series=str(series),
            goodvoxels={h: str(ribbon / f'{h}.goodvoxels.32k_fs_LR.func.gii') for h in 'LR'},
            without_fix=_why_without(settings),
            metadata={
                'Sources': _uris(settings, [series, *([cleaned] if cleaned else []), movement]),
                'RawSources': _uris(settings, [run.series]),
                'SoftwareVersions': _versions(versions),
            },
        ),
        name='quality',
        overwrite=True,
    )
    if fixed and cleaned:
        confounds.inputs.cleaned = str(cleaned)
        quality.inputs.ica = str(fixed.ica(folders))
        quality.inputs.fix = _fix(settings, folders, fixed, done)

    ds_series = _run_sink(settings, run, 'ds_series', suffix='bold', extension='.dtseries.nii')
    ds_series.inputs.trait_set(link=True, **_series(settings, folders, run, fixed, done, versions))
    table = {'desc': 'confounds', 'suffix': 'timeseries', 'extension': '.tsv'}
    ds_confounds = _run_sink(settings, run, 'ds_confounds', **table)
    metrics = {'desc': 'quality', 'suffix': 'metrics', 'extension': '.json'}
    ds_quality = _run_sink(settings, run, 'ds_quality', **metrics)
    workflow.add_nodes([ds_series])
    workflow.connect([
        (confounds, quality, [('summary', 'summary')]),
        (confounds, ds_confounds, [('out_file', 'in_file'), ('dictionary', 'sidecars')]),
        (quality, ds_quality, [('out_file', 'in_file')]),
    ])  # fmt: skip
    return workflow


def _run_sink(settings: Settings, run: BoldInputs, name: str, **entities: Any) -> pe.Node:
    """Make a sink into the folder func, named after the run."""
    key, output_dir = run.key, settings.paths.output_dir
    levels = [f'sub-{key.participant}', *([f'ses-{key.session}'] * bool(key.session))]
    source = output_dir.joinpath(*levels, 'func', f'{key}_bold.json')
    dismissed = ['suffix', 'extension']
    return sink(
        name,
        str(output_dir),
        str(source),
        datatype='func',
        dismiss_entities=dismissed,
        **entities,
    )


def _series(
    settings: Settings,
    folders: SessionFolders,
    run: BoldInputs,
    fixed: FixGroup | None,
    done: Collection[str],
    versions: Versions,
) -> dict[str, Any]:
    """Choose the series that was processed furthest, and say what was done with it."""
    registration = _registration(done)
    name, stage = f'{run.name}_Atlas.dtseries.nii', 'fMRISurface'
    if fixed:
        name, stage = fixed.cleaned(run.name), 'ICAFIX'
    if registration == 'MSMAll':
        name = name.replace('_Atlas', '_Atlas_MSMAll', 1)
        stage = 'DeDriftAndResample'
    path = Path(_found(folders.results(run.name) / name, stage))
    steps = ['fix'] if fixed else []
    steps += [registration] if registration == 'MSMAll' else []
    density = density_name(path)
    metadata: dict[str, Any] = {
        'Description': 'Dense time series of the HCP pipelines'
        + (', cleaned by ICA and FIX.' if fixed else ', not cleaned.'),
        'TaskName': run.key.task,
        'RepetitionTime': run.repetition_time,
        'SkullStripped': True,
        'Sources': _uris(settings, [path]),
        'RawSources': _uris(settings, [run.series]),
        'SpatialReference': 'fsLR, MNI152NLin6Asym',
        'Density': {density: 'Vertices of the 32k meshes, and voxels of 2 mm.'},
        'SurfaceRegistration': registration,
        'SmoothingFWHM': 2.0,
        'SoftwareVersions': _versions(versions),
    }
    if fixed:
        metadata['FIX'] = _fix(settings, folders, fixed, done)
    entities = {'space': 'fsLR', 'den': density, 'meta_dict': metadata}
    return {'in_file': [str(path)], **entities, **({'desc': ''.join(steps)} if steps else {})}


def _fix(
    settings: Settings, folders: SessionFolders, group: FixGroup, done: Collection[str]
) -> dict[str, Any]:
    """Say how FIX was called, and where its components are."""
    ica = group.ica(folders)
    name = f'{folders.session}_{ica.stem}_ICA_Classification_singlescreen.scene'
    scene = ica.parent / name
    return {
        'Method': group.kind,
        'Group': group.name,
        'Runs': list(group.runs),
        'HighPass': group.high_pass,
        'Threshold': settings.hcp.fix_threshold,
        'MotionRegression': settings.hcp.fix_motion_regression,
        'Components': _uris(settings, [ica])[0],
        'Scene': _uris(settings, [scene])[0] if 'PostFix' in done and scene.is_file() else None,
    }


def _why_without(settings: Settings) -> str:
    if settings.hcp.fix == 'none':
        return 'FIX was not asked for (--fix none).'
    return 'The stage ICAFIX is not done.'


def _versions(versions: Versions) -> Versions:
    return {'ketbids': version('ketbids'), **versions}


def _dictionary() -> dict[str, dict[str, str]]:
    """Give the data dictionary of confounds, with units."""
    return {
        name: {**entry, 'Units': _UNITS[name.split('_')[0]]}
        for name, entry in column_descriptions('confounds').items()
    }
