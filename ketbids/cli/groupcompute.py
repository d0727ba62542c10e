"""The workflow of the group level: what it needs, and the records of what is whole."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ketbids.cli.dataset import record_path, remove_if_empty
from ketbids.cli.planning import PlannedAnalysis, map_paths
from ketbids.cli.progress import Progress
from ketbids.io.files import modification_times, remove_unchanged
from ketbids.io.inventory import visit_surfaces
from ketbids.io.meshes import mesh_name
from ketbids.io.records import write_record
from ketbids.io.tables import write_table
from ketbids.model import StudyModel
from ketbids.reports.sentences import TFCE_NAMES
from ketbids.settings import Settings
from ketbids.stats.groupdesign import GroupDesign

if TYPE_CHECKING:
    from ketbids.workflows.group import AnalysisPlan

__all__ = ['compute_analyses']


def compute_analyses(
    settings: Settings,
    model: StudyModel,
    todo: list[PlannedAnalysis],
    contrasts: list[str],
    maps: pd.DataFrame,
    stamp: str,
    *,
    verbosity: int,
) -> dict[str, str]:
    """Run the workflow and record what is whole; give the reason for what failed."""
    from ketbids.workflows.base import atlas_wf_names, executor, init_group_wf
    from ketbids.workflows.group import AtlasPlan, analysis_wf_name

    output_dir = settings.paths.output_dir
    plan_dir = settings.paths.work_dir / 'group_plan'
    mesh = mesh_name(output_dir / maps['path'].iloc[0])
    surfaces: dict[tuple[str, str], dict[str, Path]] = {
        key: visit_surfaces(output_dir, *key, mesh=mesh)
        for key in sorted(set(zip(maps['participant_id'], maps['session_id'], strict=True)))
    }
    maps_files = {}
    for contrast in contrasts:
        table = maps.loc[maps['contrast'] == contrast, ['participant_id', 'session_id', 'path']]
        own = [
            surfaces[key] for key in zip(table['participant_id'], table['session_id'], strict=True)
        ]
        for side, hemi in (('left', 'L'), ('right', 'R')):
            table[f'{side}_midthickness'] = [str(files[f'{hemi}_midthickness']) for files in own]
        maps_files[contrast] = plan_dir / f'maps_{contrast}.tsv'
        write_table(maps_files[contrast], table)
    plans = [_analysis_plan(settings, item, plan_dir, surfaces) for item in todo]
    first_visit = {key[0]: files for key, files in reversed(list(surfaces.items()))}
    workflow = init_group_wf(
        settings,
        plans,
        atlas=AtlasPlan(
            map_file=output_dir / maps['path'].iloc[0],
            surfaces={
                kind: tuple(files[kind] for files in surfaces.values())
                for kind in ('L_midthickness', 'R_midthickness', 'L_inflated', 'R_inflated')
            },
            stamp=stamp,
            labels=tuple(files['labels'] for files in first_visit.values() if 'labels' in files),
            atlases=dict(settings.group.atlases),
            declared={
                name: {'atlas': atlas, 'labels': list(labels)}
                for name, (atlas, labels) in model.regions.items()
            },
        ),
        maps_files=maps_files,
    )
    marks = {item.stem: item.mark for item in todo} | {f'group_{c}': stamp for c in contrasts}
    folders = {item.stem: item.folder(output_dir) for item in todo}
    before: dict[Path, int] = {}
    for name in marks:
        record_path(output_dir, name).unlink(missing_ok=True)
        before |= modification_times(_files(output_dir, folders, name))
    names = {analysis_wf_name(item.analysis.name, item.contrast): item.stem for item in todo}
    with executor(settings, verbosity=verbosity, report=Progress(names)) as execute:
        broken = execute(workflow)
    failures: dict[str, str] = {}
    for node, message in broken.items():
        section = node.split('.')[1]
        for item in todo:
            if section == analysis_wf_name(item.analysis.name, item.contrast):
                failures.setdefault(item.stem, message)
        for contrast in contrasts:
            if section in atlas_wf_names(contrast):
                failures.setdefault(f'group_{contrast}', message)
    for name, mark in marks.items():
        if name not in failures:
            outputs = remove_unchanged(_files(output_dir, folders, name), before)
            write_record(record_path(output_dir, name), mark, outputs, output_dir)
    if not failures:
        shutil.rmtree(settings.paths.work_dir / workflow.name, ignore_errors=True)
        shutil.rmtree(plan_dir, ignore_errors=True)
        remove_if_empty(settings.paths.work_dir)
    return failures


def _files(output_dir: Path, folders: dict[str, Path], name: str) -> list[Path]:
    """List the files of an analysis, or those that describe the group (``group_<contrast>``)."""
    if name in folders:
        return sorted(folders[name].glob(f'{name}_*'))
    contrast = name.removeprefix('group_')
    shared = output_dir / 'group'
    return [
        *shared.glob(f'group_contrast-{contrast}_*'),
        *shared.glob('group_hemi-*'),
        *shared.glob('group_space-*'),
    ]


def _analysis_plan(
    settings: Settings,
    item: PlannedAnalysis,
    plan_dir: Path,
    surfaces: dict[tuple[str, str], dict[str, Path]],
) -> 'AnalysisPlan':
    """Write the tables of an analysis and give the plain values that its workflow needs."""
    from ketbids.workflows.group import AnalysisPlan

    design, analysis = item.design, item.analysis
    design_file, excluded_file, participants_file = (
        plan_dir / f'{item.stem}_{t}.tsv' for t in ('design', 'excluded', 'participants')
    )
    write_table(design_file, design.rows)
    write_table(excluded_file, design.exclusions)
    write_table(participants_file, item.participants)
    visits = _visits(design)
    metadata: dict[str, Any] = {
        'Analysis': analysis.description,
        'Formula': analysis.formula,
        'Contrast': {
            name: weight
            for name, weight in zip(design.names, design.contrast.tolist(), strict=True)
            if weight
        },
        'Sources': [f'bids::{path}' for path in map_paths(design)],
        'Notes': list(design.notes),
        'Shuffling': design.scheme,
        'ShufflesAtMost': settings.group.permutations,
        'Seed': settings.group.seed,
        'Tails': settings.group.tails,
        'MinimumCoverage': settings.group.min_coverage,
        'VarianceGroups': analysis.variance_groups,
        'Engine': settings.group.engine,
        'TFCE': TFCE_NAMES[settings.group.tfce],
        'JointCorrection': settings.group.joint,
        'Connectivity': settings.group.connectivity,
        'WithinStructure': settings.group.within_structure,
    }
    return AnalysisPlan(
        name=analysis.name,
        contrast=item.contrast,
        design_file=design_file,
        excluded_file=excluded_file,
        participants_file=participants_file,
        maps_file=plan_dir / f'maps_{item.contrast}.tsv',
        predictors=design.names,
        weights=tuple(design.contrast.tolist()),
        scheme=design.scheme,
        variance_columns=item.variance_columns,
        midthickness=tuple(
            (surfaces[key]['L_midthickness'], surfaces[key]['R_midthickness']) for key in visits
        ),
        stamp=item.mark,
        atlas=analysis.roi_atlas,
        metadata=metadata,
        minimum_size=analysis.roi_minimum_size,
        atlas_names=tuple(name for name, _ in settings.group.atlases if name != 'DesikanKilliany'),
    )


def _visits(design: GroupDesign) -> list[tuple[str, str]]:
    """List participant and session of every map of a design."""
    rows = design.rows
    pairs = []
    for column in ('session_id', 'minus_session_id'):
        if column in rows:
            sessions = rows[column].fillna('')
            pairs += list(zip(rows['participant_id'], sessions, strict=True))
    return [(who.removeprefix('sub-'), when.removeprefix('ses-')) for who, when in pairs]
