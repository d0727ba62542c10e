"""The group level: pair maps with designs, run what is not yet whole, write the page."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ketbids.cli.atlases import atlas_stamps, check_atlases
from ketbids.cli.behaviour import collect_behaviour, report_behaviour
from ketbids.cli.dataset import describe_dataset, lock_path, record_path
from ketbids.cli.eventshifts import shifted_runs
from ketbids.cli.groupcompute import compute_analyses
from ketbids.cli.listing import list_analyses
from ketbids.cli.mapsettings import common_settings
from ketbids.cli.pages import write_group_page
from ketbids.cli.parser import installed_version
from ketbids.cli.planning import (
    PlannedAnalysis,
    available_maps,
    plan_analyses,
    scanned_visits,
)
from ketbids.cli.progress import counted
from ketbids.cli.selection import (
    read_exclusion_list,
    with_runs_in_maps,
    with_sessions_without_runs,
)
from ketbids.cli.statisticchecks import check_statistics
from ketbids.cli.statisticdata import StatisticSource
from ketbids.cli.statisticpages import statistic_sections, write_missing
from ketbids.cli.statistics import region_contrasts, run_statistics, undeclared_statistics
from ketbids.errors import InputError, KetbidsError
from ketbids.io.bids import participant_labels
from ketbids.io.files import claims
from ketbids.io.people import read_people
from ketbids.io.records import file_stamp, fingerprint, is_whole
from ketbids.io.tables import table_text, write_table
from ketbids.model import StudyModel
from ketbids.settings import Settings
from ketbids.stats.checks import Checked, evaluate_checks, summarize

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
    asked, asked_statistics = model.chosen(settings.group.analyses)
    known = participant_labels(settings.paths.bids_dir)
    tasks = settings.selection.tasks or model.tasks
    exclusions = with_runs_in_maps(settings, read_exclusion_list(settings, known), tasks)
    exclusions = with_sessions_without_runs(settings, exclusions, tasks)
    behaviour = collect_behaviour(settings, model, exclusions)
    exclusions += behaviour.not_done if behaviour else []
    maps = available_maps(settings, model, exclusions)
    visits = scanned_visits(settings, model, maps)
    check_atlases(settings, model, asked, output_dir / maps['path'].iloc[0])
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
            'atlases': atlas_stamps(settings),
            'regions': dict(model.regions),
        }
    )
    contrasts = [
        contrast
        for contrast in dict.fromkeys(
            [item.contrast for item in chosen] + region_contrasts(model, asked_statistics)
        )
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
        names = [item.stem for item in todo]
        statistics = [s for s in model.statistics if s.name in asked_statistics]
        everybody = people.drop(not_chosen)
        refused = check_statistics(model, asked_statistics, everybody, exclusions)
        gone = undeclared_statistics(output_dir, [s.name for s in model.statistics])
        print(list_analyses(chosen, names, failures, statistics, refused, gone))
        return _exit_code(bool(chosen) or len(refused) < len(statistics), failures | refused)
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
            failures |= compute_analyses(
                settings, model, todo, contrasts, maps, stamp, verbosity=verbosity
            )
        finished = [item for item in planned if not unfinished(item.stem, item.mark)]
        everybody = people.drop(not_chosen)
        source = StatisticSource(
            everybody,
            visits,
            exclusions,
            behaviour,
            finished,
            [c.name for c in model.run.contrasts if not unfinished(f'group_{c.name}', stamp)],
        )
        done = run_statistics(settings, model, asked_statistics, source, verbosity=verbosity)
        failures |= done.failures
        messages = _messages(output_dir, failures, planned, finished, common, len(maps))
        messages += done.messages
        sections = statistic_sections(output_dir, done.current)
        page = write_group_page(
            settings,
            model,
            finished,
            people,
            maps,
            common,
            messages,
            checked.table,
            shown,
            sections,
        )
        write_missing(output_dir, finished, [section.title for section in sections])
    for name, message in failures.items():
        logger.error('%s failed: %s', name, message)
    stems = {item.stem for item in chosen} | unmade | set(asked_statistics)
    logger.info(
        'Group level: %d of %s done, %d failed, in %.0f s. Page: %s',
        len(stems - set(failures)),
        counted(len(stems), 'analysis'),
        len(stems & set(failures)),
        time.time() - started,
        page,
    )
    return _exit_code(bool(chosen) or bool(set(asked_statistics) - set(failures)), failures)


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


def _exit_code(possible: bool, failures: dict[str, str]) -> int:
    if failures and not possible:
        return InputError.exit_code
    return 1 if failures else 0


def _messages(
    output_dir: Path,
    failures: Mapping[str, str],
    planned: Sequence[PlannedAnalysis],
    finished: Sequence[PlannedAnalysis],
    common: Mapping[str, Any],
    n_maps: int,
) -> list[str]:
    """Collect what the page says before anything else."""
    messages = [f'{name} failed: {message}' for name, message in failures.items()]
    messages += [
        f'{item.stem} was made with other settings or maps: not shown until it is made again.'
        for item in planned
        if item not in finished and record_path(output_dir, item.stem).is_file()
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
            f'{common["AverageSurfaces"]} of {n_maps} maps are of participants without '
            'surfaces of their own: average ones stand in, whose areas, and with them the '
            'extents in TFCE and tables, are too small.'
        )
    return messages


def _left_behind(output_dir: Path, failures: Mapping[str, str]) -> list[str]:
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
