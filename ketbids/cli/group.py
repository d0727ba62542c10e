"""The group level: pair maps with designs, run what is not yet whole, write the page."""

import logging
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ketbids.cli.behaviour import collect_behaviour, report_behaviour
from ketbids.cli.dataset import describe_dataset, lock_path, record_path, remove_if_empty
from ketbids.cli.eventshifts import shifted_runs
from ketbids.cli.listing import list_analyses
from ketbids.cli.mapsettings import common_settings
from ketbids.cli.pages import write_group_page
from ketbids.cli.parser import installed_version
from ketbids.cli.planning import (
    PlannedAnalysis,
    available_maps,
    map_paths,
    plan_analyses,
)
from ketbids.cli.progress import Progress, counted
from ketbids.cli.selection import read_exclusion_list, with_runs_in_maps
from ketbids.errors import InputError, KetbidsError
from ketbids.io.bids import participant_labels
from ketbids.io.files import claims, modification_times, remove_unchanged
from ketbids.io.inventory import visit_surfaces
from ketbids.io.meshes import mesh_name
from ketbids.io.people import read_people
from ketbids.io.records import file_stamp, fingerprint, is_whole, write_record
from ketbids.io.tables import table_text, write_table
from ketbids.model import StudyModel
from ketbids.reports.sentences import TFCE_NAMES
from ketbids.settings import Settings
from ketbids.stats.checks import Checked, evaluate_checks, summarize
from ketbids.stats.groupdesign import GroupDesign

if TYPE_CHECKING:
    from ketbids.workflows.group import AnalysisPlan

__all__ = ['run']

logger = logging.getLogger('ketbids')

#: People outside a range who are named in the log; the table has them all.
_NAMED = 5


def run(settings: Settings, model: StudyModel, *, verbosity: int = 0) -> int:
    """Run the group level; see `ketbids.cli.main.main` for the exit code."""
    started = time.time()
    output_dir = settings.paths.output_dir
    if settings.group.engine == 'palm':
        _assert_palm(settings)
    asked = [model.analysis(name).name for name in settings.group.analyses] or [
        analysis.name for analysis in model.analyses
    ]
    known = participant_labels(settings.paths.bids_dir)
    tasks = settings.selection.tasks or model.tasks
    exclusions = with_runs_in_maps(settings, read_exclusion_list(settings, known), tasks)
    behaviour = collect_behaviour(settings, model, exclusions)
    exclusions += behaviour.not_done if behaviour else []
    maps = available_maps(settings, model, exclusions)
    people = _read_people(settings, model, maps, known)
    wanted = settings.selection.participants
    not_chosen = [who for who in people.index if wanted and who not in wanted]
    common = common_settings(output_dir, maps, model.run.contrasts)
    planned, failures = plan_analyses(settings, model, maps, people, exclusions, not_chosen)
    checked = evaluate_checks(model.checks, people.drop(not_chosen), model.derived)
    failures = {name: why for name, why in failures.items() if _analysis_name(name) in asked}
    unmade = set(failures)
    chosen = [item for item in planned if item.analysis.name in asked]

    def unfinished(name: str, mark: str) -> bool:
        return not is_whole(record_path(output_dir, name), mark, output_dir)

    todo = [item for item in chosen if unfinished(item.stem, item.mark)]
    stamp = fingerprint(
        {
            'version': installed_version(),
            'files': [file_stamp(output_dir / path) for path in maps['path']],
        }
    )
    contrasts = [
        contrast
        for contrast in dict.fromkeys(item.contrast for item in chosen)
        if unfinished(f'group_{contrast}', stamp) or any(i.contrast == contrast for i in todo)
    ]
    logger.info(
        '%s: %d to do, %d done before, %d that cannot be made.',
        counted(len(chosen) + len(failures), 'analysis'),
        len(todo),
        len(chosen) - len(todo),
        len(failures),
    )
    if settings.dry_run:
        print(list_analyses(chosen, [item.stem for item in todo], failures))
        return _exit_code(chosen, failures)
    with claims(lock_path(output_dir)) as claim:
        if not claim('group'):
            raise KetbidsError(f'Another group run is at work in {output_dir}: wait for its end.')
        if model.checks:
            _report_checks(settings, model, checked)
        shown = report_behaviour(
            settings, model, behaviour, exclusions, people.drop(not_chosen), maps
        )
        if contrasts:
            describe_dataset(settings, model.source)
            failures |= _compute(settings, todo, contrasts, maps, stamp, verbosity=verbosity)
        finished = [item for item in planned if not unfinished(item.stem, item.mark)]
        stale = [item.stem for item in planned if item not in finished]
        stale = [name for name in stale if record_path(output_dir, name).is_file()]
        messages = [f'{name} failed: {message}' for name, message in failures.items()]
        messages += [
            f'{name} was made with other settings or maps: not shown until it is made again.'
            for name in stale
        ]
        messages += _left_behind(output_dir, failures)
        messages += shifted_runs(output_dir)
        messages += [
            f'One event of {condition} has a regressor of {low:.3g} in one map and of {high:.3g} '
            'in another: durations differ, and percent signal change is not the same multiple of '
            'the effect in all maps.'
            for condition, (low, high) in common['UnevenPeaks'].items()
        ]
        if common['AverageSurfaces']:
            messages.append(
                f'{common["AverageSurfaces"]} of {len(maps)} maps are of participants without '
                'surfaces of their own: average ones stand in, whose areas, and with them the '
                'extents in TFCE and tables, are too small.'
            )
        page = write_group_page(
            settings, model, finished, people, maps, common, messages, checked.table, shown
        )
    for name, message in failures.items():
        logger.error('%s failed: %s', name, message)
    stems = {item.stem for item in chosen} | unmade
    logger.info(
        'Group level: %d of %s done, %d failed, in %.0f s. Page: %s',
        len(stems - set(failures)),
        counted(len(stems), 'analysis'),
        len(stems & set(failures)),
        time.time() - started,
        page,
    )
    return _exit_code(chosen, failures)


def _assert_palm(settings: Settings) -> None:
    """Refuse PALM as the engine if it does not start, or cannot do what is asked for."""
    from ketbids.interfaces.palm import assert_palm_can
    from ketbids.interfaces.palmprogram import assert_palm_starts, palm_command

    group = settings.group
    assert_palm_can(
        tfce=group.tfce,
        within_structure=group.within_structure,
        min_coverage=group.min_coverage,
        seed=group.seed,
    )
    command = palm_command()
    assert_palm_starts(command)
    # Analyses run in folders of their own, where a relative path would lead elsewhere.
    os.environ['KETBIDS_PALM'] = command
    logger.info('Shuffles by PALM: %s', command)


def _exit_code(chosen: list[PlannedAnalysis], failures: dict[str, str]) -> int:
    if failures and not chosen:
        return InputError.exit_code
    return 1 if failures else 0


def _left_behind(output_dir: Path, failures: dict[str, str]) -> list[str]:
    """Say of which failed analyses files of an earlier run are still there, and forget them."""
    messages = []
    for name in failures:
        record = record_path(output_dir, name)
        folder = output_dir / 'group' / f'node-{_analysis_name(name)}'
        if record.is_file() or any(folder.glob(f'{name}_*')):
            record.unlink(missing_ok=True)
            messages.append(
                f'{folder} still has files {name}_* of an earlier run or of the part that went '
                'well: they are not results of these data.'
            )
    return messages


def _analysis_name(stem: str) -> str:
    return stem.split('_')[0].removeprefix('node-')


def _read_people(
    settings: Settings, model: StudyModel, maps: pd.DataFrame, known: list[str]
) -> pd.DataFrame:
    """Read what is known of people, and say what was repaired or is not there."""
    variables = model.variables()
    keys = zip(maps['participant_id'], maps['session_id'], strict=True)
    people = read_people(
        settings.paths.bids_dir,
        variables=variables.all,
        required=variables.required,
        numbers=variables.numbers,
        scores=model.scores,
        levels=model.levels,
        tasks=settings.selection.tasks or model.tasks,
        acquisitions=dict(zip(keys, maps['acquisition'], strict=True)),
        participants=known,
    )
    for note in people.notes:
        logger.warning('%s', note)
    strangers = sorted(set(maps['participant_id']) - set(people.table.index))
    if strangers:
        logger.warning(
            'Not in participants.tsv and therefore left out, though there are maps: %s.',
            ', '.join(f'sub-{who}' for who in strangers),
        )
    return people.table


def _report_checks(settings: Settings, model: StudyModel, checked: Checked) -> None:
    """Write the table of range checks and name who is outside; nobody is dropped."""
    for note in checked.notes:
        logger.warning('%s', note)
    summary = summarize(model.checks, checked.table)
    for line in summary[summary['outside'] > 0].to_dict('records'):
        names = str(line['who is outside']).split(', ')
        more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
        logger.warning(
            'Check %s: %d outside %s, but not left out: %s%s.',
            line['check'],
            line['outside'],
            line['range'],
            ', '.join(names[:_NAMED]),
            more,
        )
    path = settings.paths.output_dir / 'group' / 'group_checks.tsv'
    if path.is_file() and path.read_text(encoding='utf-8') == table_text(checked.table):
        return
    from ketbids.io.columns import column_descriptions

    describe_dataset(settings, model.source)
    entries = column_descriptions('group_checks').items()
    write_table(path, checked.table, {name: entry['Description'] for name, entry in entries})


def _compute(
    settings: Settings,
    todo: list[PlannedAnalysis],
    contrasts: list[str],
    maps: pd.DataFrame,
    stamp: str,
    *,
    verbosity: int,
) -> dict[str, str]:
    """Run the workflow and record what is whole; give the reason for what failed."""
    from ketbids.workflows.base import atlas_wf_names, executor, init_group_wf
    from ketbids.workflows.group import analysis_wf_name

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
        maps_files[contrast] = plan_dir / f'maps_{contrast}.tsv'
        write_table(maps_files[contrast], table)
    plans = [_analysis_plan(settings, item, plan_dir, surfaces) for item in todo]
    first_visit = {key[0]: files for key, files in reversed(list(surfaces.items()))}
    workflow = init_group_wf(
        settings,
        plans,
        map_file=output_dir / maps['path'].iloc[0],
        maps_files=maps_files,
        surfaces={
            kind: [files[kind] for files in surfaces.values()]
            for kind in ('L_midthickness', 'R_midthickness', 'L_inflated', 'R_inflated')
        },
        labels=[files['labels'] for files in first_visit.values() if 'labels' in files],
        stamp=stamp,
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
        scores=item.scores,
        definitions=analysis.associations.values if analysis.associations else {},
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
