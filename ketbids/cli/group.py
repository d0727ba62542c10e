"""The group level: pair maps with designs, run what is not yet whole, write the page."""

import logging
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ketbids.cli.dataset import describe_dataset, record_path, remove_if_empty
from ketbids.cli.pages import write_group_page
from ketbids.cli.planning import PlannedAnalysis, available_maps, map_paths, plan_analyses
from ketbids.cli.selection import chosen_participants, read_exclusion_list
from ketbids.errors import InputError
from ketbids.io.bids import participant_labels
from ketbids.io.inventory import visit_surfaces
from ketbids.io.records import file_stamp, fingerprint, is_whole, write_record
from ketbids.io.tables import read_participants, read_sessions, write_table
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.stats import expressions
from ketbids.stats.groupdesign import GroupDesign
from ketbids.stats.people import build_people

if TYPE_CHECKING:
    from ketbids.workflows.group import AnalysisPlan

__all__ = ['run']

logger = logging.getLogger('ketbids')


def run(settings: Settings, model: StudyModel, *, verbosity: int = 0) -> int:
    """Run the group level; see `ketbids.cli.main.main` for the exit code."""
    started = time.time()
    output_dir = settings.paths.output_dir
    known = participant_labels(settings.paths.bids_dir)
    exclusions = read_exclusion_list(settings, known)
    maps = available_maps(settings, model, exclusions)
    people = build_people(
        read_participants(settings.paths.bids_dir),
        read_sessions(settings.paths.bids_dir),
        model.scores,
        model.levels,
    )
    people = people[people.index.isin(chosen_participants(settings))]
    names = settings.group.analyses or tuple(a.name for a in model.analyses)
    analyses = [model.analysis(name) for name in names]
    planned, failures = plan_analyses(settings, model, analyses, maps, people, exclusions)
    todo = [
        item
        for item in planned
        if not is_whole(record_path(output_dir, item.stem), item.mark, output_dir)
    ]
    logger.info('%d analyses, %d of them to do.', len(planned), len(todo))
    if todo:
        describe_dataset(settings, model.source)
        for item in todo:
            record_path(output_dir, item.stem).unlink(missing_ok=True)
            for path in item.folder(output_dir).glob(f'{item.stem}_*'):
                path.unlink()
        broken = _compute(settings, model, todo, maps, people, verbosity=verbosity)
        failures |= broken
        for item in todo:
            if item.stem not in broken:
                outputs = item.folder(output_dir).glob(f'{item.stem}_*')
                write_record(record_path(output_dir, item.stem), item.mark, outputs, output_dir)
        if not broken:
            shutil.rmtree(settings.paths.work_dir / 'group_wf', ignore_errors=True)
            shutil.rmtree(settings.paths.work_dir / 'group_plan', ignore_errors=True)
            remove_if_empty(settings.paths.work_dir)
    page = output_dir / 'group.html'
    if todo or failures or not page.is_file():
        finished = [item for item in planned if item.stem not in failures]
        write_group_page(settings, model, finished, people, maps, failures)
    for name, message in failures.items():
        logger.error('%s failed: %s', name, message)
    logger.info(
        'Group level: %d analyses done, %d failed, in %.0f s. Page: %s',
        len(planned) - sum(item.stem in failures for item in planned),
        len(failures),
        time.time() - started,
        page,
    )
    if failures and not planned:
        return InputError.exit_code
    return 1 if failures else 0


def _compute(
    settings: Settings,
    model: StudyModel,
    todo: list[PlannedAnalysis],
    maps: pd.DataFrame,
    people: pd.DataFrame,
    *,
    verbosity: int,
) -> dict[str, str]:
    """Run the workflow; give the reason for each analysis that failed."""
    from ketbids.workflows.base import executor, init_group_wf

    output_dir = settings.paths.output_dir
    plan_dir = settings.paths.work_dir / 'group_plan'
    surfaces: dict[tuple[str, str], dict[str, Path]] = {
        key: visit_surfaces(output_dir, *key)
        for key in sorted(set(zip(maps['participant_id'], maps['session_id'], strict=True)))
    }
    maps_files = {}
    for contrast in dict.fromkeys(item.contrast for item in todo):
        table = maps.loc[maps['contrast'] == contrast, ['participant_id', 'session_id', 'path']]
        maps_files[contrast] = plan_dir / f'maps_{contrast}.tsv'
        write_table(maps_files[contrast], table)
    plans = [_analysis_plan(settings, model, item, plan_dir, surfaces, people) for item in todo]
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
        stamp=fingerprint({'files': [file_stamp(output_dir / path) for path in maps['path']]}),
    )
    with executor(settings, verbosity=verbosity) as execute:
        broken = execute(workflow)
    failures: dict[str, str] = {}
    for node, message in broken.items():
        section = node.split('.')[1]
        for item in todo:
            if section in (
                f'{item.analysis.name}_{item.contrast}_wf',
                f'atlas_{item.contrast}_wf',
            ):
                failures.setdefault(item.stem, message)
    return failures


def _analysis_plan(
    settings: Settings,
    model: StudyModel,
    item: PlannedAnalysis,
    plan_dir: Path,
    surfaces: dict[tuple[str, str], dict[str, Path]],
    people: pd.DataFrame,
) -> 'AnalysisPlan':
    """Write the tables of an analysis and give the plain values that its workflow needs."""
    from ketbids.workflows.group import AnalysisPlan

    design, analysis = item.design, item.analysis
    design_file, excluded_file = (
        plan_dir / f'{item.stem}_{t}.tsv' for t in ('design', 'excluded')
    )
    write_table(design_file, design.rows)
    write_table(excluded_file, design.exclusions)
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
    }
    scores: dict[str, float] = {}
    if analysis.associations:
        values = score_values(analysis.associations.score, model, people)
        scores = {str(who): float(value) for who, value in values.dropna().items()}
    return AnalysisPlan(
        name=analysis.name,
        contrast=item.contrast,
        design_file=design_file,
        excluded_file=excluded_file,
        maps_file=plan_dir / f'maps_{item.contrast}.tsv',
        predictors=design.names,
        weights=tuple(design.contrast.tolist()),
        scheme=design.scheme,
        midthickness=tuple(
            (surfaces[key]['L_midthickness'], surfaces[key]['R_midthickness']) for key in visits
        ),
        stamp=item.mark,
        metadata=metadata,
        scores=scores,
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


def score_values(score: str, model: StudyModel, people: pd.DataFrame) -> pd.Series:
    """Give a score per participant: a column of the tables, or a derived variable."""
    frame = expressions.derive(people, model.derived, [score])
    if score not in frame.columns:
        raise InputError(f'There is no score {score}: neither in the tables nor derived.')
    return pd.to_numeric(frame[score], errors='coerce')
