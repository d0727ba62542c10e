"""The pages, assembled from what stands in the output folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ketbids.cli.eventshifts import with_event_shifts
from ketbids.cli.parser import installed_version
from ketbids.cli.planning import PlannedAnalysis
from ketbids.cli.quality import quality_section
from ketbids.cli.statisticpages import write_methods
from ketbids.io.files import read_json, write_text
from ketbids.io.tables import read_table
from ketbids.model import StudyModel
from ketbids.reports.behaviourgroup import BehaviourSection
from ketbids.reports.links import Link
from ketbids.reports.page import (
    AnalysisSection,
    Direction,
    GroupPage,
    ParticipantPage,
    Picture,
    SessionSection,
    group_page,
    participant_page,
)
from ketbids.reports.sentences import JOINT_NAMES, TFCE_NAMES, format_p, survival_sentence
from ketbids.reports.statisticspart import StatisticSection
from ketbids.reports.tables import Table
from ketbids.settings import Settings
from ketbids.stats.checks import summarize
from ketbids.stats.groupdesign import describe, directions

__all__ = ['write_group_page', 'write_participant_page']

_TAILS = {
    'two': 'both directions together at FWE p < {alpha:g}',
    'each': 'each direction at FWE p < {alpha:g} (together {total:g})',
    'positive': 'the positive direction only, at FWE p < {alpha:g}',
}


def write_participant_page(
    output_dir: Path,
    participant: str,
    about: tuple[tuple[str, str], ...],
    messages: tuple[str, ...] = (),
) -> Path:
    """Assemble a participant's page from the sections of the visits that are there."""
    figures = output_dir / f'sub-{participant}' / 'figures'
    found = {
        path: SessionSection.from_dict(read_json(path))
        for path in sorted(figures.glob('*_section.json'))
    }
    sections = tuple(with_event_shifts(output_dir, found))
    quality = quality_section(output_dir, participant)
    page = ParticipantPage(participant, installed_version(), sections, messages, about, quality)
    html = participant_page(page, lambda path: (output_dir / path).read_bytes())
    return _write_page(output_dir / f'sub-{participant}.html', html)


def write_group_page(
    settings: Settings,
    model: StudyModel,
    analyses: list[PlannedAnalysis],
    people: pd.DataFrame,
    maps: pd.DataFrame,
    common: Mapping[str, Any],
    messages: Sequence[str],
    checked: pd.DataFrame,
    behaviour: BehaviourSection | None = None,
    statistics: tuple[StatisticSection, ...] = (),
) -> Path:
    """Assemble the group page from the files of the analyses."""
    output_dir = settings.paths.output_dir
    page = GroupPage(
        title=f'{model.name}: group analyses',
        version=installed_version(),
        methods=_methods(settings, model, common),
        participants=_participants(people, maps),
        checks=_checks(model, checked) if model.checks else None,
        behaviour=behaviour,
        analyses=tuple(_analysis(output_dir, item, _title(item)) for item in analyses),
        statistics=statistics,
        messages=tuple(messages),
    )
    write_methods(output_dir, page.methods, statistics)
    html = group_page(page, lambda path: (output_dir / path).read_bytes())
    return _write_page(output_dir / 'group.html', html)


def _write_page(path: Path, html: str) -> Path:
    """Write a page, unless it stands there to the letter."""
    if path.is_file() and path.read_text(encoding='utf-8') == html:
        return path
    return write_text(path, html)


def _title(item: PlannedAnalysis) -> str:
    """Name an analysis, and the contrast where it has several."""
    several = len(item.analysis.first_level) > 1
    return f'{item.analysis.name}: {item.contrast}' if several else item.analysis.name


def _analysis(output_dir: Path, item: PlannedAnalysis, title: str) -> AnalysisSection:
    design, folder = item.design, item.folder(output_dir)
    summary = read_json(folder / f'{item.stem}_summary.json')
    clusters = read_table(folder / f'{item.stem}_clusters.tsv')
    regions = read_table(folder / f'{item.stem}_roi.tsv')
    notes = read_json(folder / f'{item.stem}_roi.json').get('Notes', [])
    figure = (folder / f'{item.stem}_figure.png').relative_to(output_dir).as_posix()
    files = sorted(folder.glob(f'{item.stem}_*'))
    return AnalysisSection(
        title=title,
        design=' '.join(
            filter(None, (item.analysis.description, describe(design, item.contrast)))
        ),
        n=len(design.rows),
        participants=tuple(design.rows['participant_id']),
        excluded=Table.from_frame(design.exclusions) if len(design.exclusions) else None,
        settings=_settings_line(summary),
        warnings=(*design.notes, *summary['Warnings'], *notes),
        figure=Picture(figure, f'z map of {item.analysis.name}, {item.contrast}'),
        directions=tuple(_directions(item, summary, clusters)),
        regions=_region_table(regions) if len(regions) else None,
        links=tuple(
            Link(path.name, path.relative_to(output_dir).as_posix())
            for path in files
            if path.suffix != '.json'
        ),
    )


def _directions(
    item: PlannedAnalysis, summary: dict[str, Any], clusters: pd.DataFrame
) -> list[Direction]:
    headings = dict(zip(('pos', 'neg'), directions(item.design, item.contrast), strict=True))
    found = []
    for direction, smallest in summary['SmallestP'].items():
        table = clusters[clusters['direction'] == direction].drop(columns='direction')
        sentence = survival_sentence(
            smallest,
            summary['Alpha'],
            n_surviving=summary['SignificantGrayordinates'][direction],
            n_clusters=len(table),
            lowest_p=summary['LowestP'],
        )
        shown = Table.from_frame(table, p_values=('peak_p',)) if len(table) else None
        found.append(Direction(headings[direction], sentence, shown))
    return found


def _settings_line(summary: dict[str, Any]) -> str:
    tails = _TAILS[summary['Tails']].format(alpha=summary['Alpha'], total=summary['TotalAlpha'])
    kind = 'sign flips' if summary['Scheme'] == 'flips' else 'permutations'
    groups = summary['VarianceGroups']
    variances = f'a variance for each of {groups} groups; ' if groups > 1 else ''
    within = ' within structures' if summary['WithinStructure'] else ''
    number = f'all {summary["Shuffles"]}' if summary['Exhaustive'] else str(summary['Shuffles'])
    number += f' {kind}'
    if summary['Engine'] == 'palm':
        number += f' by PALM ({summary["EngineVersion"] or "of unknown version"})'
    return (
        f'{number}, seed {summary["Seed"]}; {variances}TFCE ({summary["TFCE"]}, '
        f'{summary["Connectivity"]} neighbours of a voxel{within}), corrected over cortex and '
        f'subcortical structures {JOINT_NAMES[summary["JointCorrection"]]}; {tails}; lowest p '
        f'that is sure to be reached {format_p(summary["LowestP"])}; '
        f'{summary["GrayordinatesInMask"]} of {summary["Grayordinates"]} grayordinates.'
    )


def _region_table(regions: pd.DataFrame) -> Table:
    """Mean and spread of each region per session."""
    columns = ['roi', 'atlas', 'direction', 'extent', 'unit', 'session_id']
    grouped = regions.groupby(columns, sort=False, dropna=False)
    table = grouped.agg(
        n=('value', 'count'), mean=('value', 'mean'), sd=('value', 'std')
    ).reset_index()
    return Table.from_frame(table, caption='Mean contrast value of the significant regions')


def _participants(people: pd.DataFrame, maps: pd.DataFrame) -> Table:
    """Count the visits with maps, per session and (where there are groups) group."""
    visits = maps[['participant_id', 'session_id']].drop_duplicates()
    columns = ['session_id']
    if 'group' in people.columns:
        visits = visits.assign(group=visits['participant_id'].map(people['group']))
        columns = ['group', 'session_id']
    counts = visits.groupby(columns, dropna=False).size().reset_index(name='participants')
    return Table.from_frame(counts, caption='Visits with contrast maps')


def _checks(model: StudyModel, checked: pd.DataFrame) -> Table:
    """Count who is inside and outside of each range, and name who is outside."""
    words = {check.name: check.description or check.value for check in model.checks}
    table = summarize(model.checks, checked)
    table.insert(1, 'value', table['check'].map(words))
    caption = 'Range checks. Whoever is outside is named here and not left out'
    return Table.from_frame(table, caption=caption)


def _weighted(row: Mapping[str, float]) -> str:
    return ' '.join(f'{weight:+g} {name}' for name, weight in row.items() if weight)


def _mm(widths: float | Sequence[float] | None) -> str:
    """Give a width, or that of each run of a visit."""
    if widths is None:
        return 'unknown'
    return ' and '.join(f'{width:.3g}' for width in np.atleast_1d(widths)) + ' mm'


def _noise(common: Mapping[str, Any]) -> str:
    smoothed = common['NoiseSmoothingFWHM']
    text = str(common['NoiseModel'])
    return f'{text}, its autocorrelations smoothed by {_mm(smoothed)} FWHM' if smoothed else text


def _methods(settings: Settings, model: StudyModel, common: Mapping[str, Any]) -> tuple[str, ...]:
    contrasts = ', '.join(
        f'{c.name} ({c.test}: {"; ".join(_weighted(row) for row in c.rows)})'
        for c in model.run.contrasts
    )
    conditions = ', '.join(condition.name for condition in model.run.events.conditions)
    return (
        model.description,
        f'First level: conditions {conditions}, convolved '
        f'with the {common["HRFModel"]} haemodynamic response; contrasts {contrasts}; smoothing '
        f'of {_mm(common["SmoothingAddedFWHM"])} FWHM added, '
        f'{_mm(common["SmoothingTotalFWHM"])} with that of the preprocessing; high-pass filter at '
        f'{common["HighPassCutoffHz"]:g} Hz; confounds: '
        f'{", ".join(common["Confounds"]) or "none"}; volumes that were removed before: '
        f'{common["DroppedVolumes"]}; noise {_noise(common)}. The sidecar '
        'of each map says how it was made.',
        f'Group level: every analysis is a linear model tested by {settings.group.permutations} '
        'shuffles at most (sign flips or permutations, Freedman and Lane), threshold-free cluster '
        f'enhancement ({TFCE_NAMES[settings.group.tfce]}; cortex H 2, E 1, extent in mm2 on the '
        "participants' surfaces; subcortical structures H 2, E 0.5, extent in voxels), "
        'family-wise error corrected over all grayordinates of cortex and subcortical structures '
        f'{JOINT_NAMES[settings.group.joint]}. Nuisance variables are demeaned over the rows of '
        'each analysis.',
    )
