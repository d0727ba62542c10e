"""Declared statistics, once they are done: their part of the page, and what they share."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ketbids.cli.planning import PlannedAnalysis
from ketbids.io.columns import column_descriptions
from ketbids.io.files import read_json, write_text
from ketbids.io.statistics import statistic_files, statistic_path
from ketbids.io.tables import read_table, table_text, write_table
from ketbids.reports.links import Link
from ketbids.reports.statisticspart import StatisticSection, statistic_section
from ketbids.stats.clinical.missing import count_losses

__all__ = ['statistic_sections', 'write_methods', 'write_missing']


def statistic_sections(output_dir: Path, names: Sequence[str]) -> tuple[StatisticSection, ...]:
    """Make the sections of the page, of those statistics whose files are there."""
    sections = []
    for name in names:
        summary = statistic_path(output_dir, name)
        if not summary.is_file():
            continue
        files = statistic_files(output_dir, name)
        tables = {
            path.stem.removeprefix(f'{name}_'): read_table(path)
            for path in files
            if path.suffix == '.tsv'
        }
        links = [
            Link(path.name, path.relative_to(output_dir).as_posix())
            for path in files
            if path.suffix == '.tsv' or path == summary
        ]
        sections.append(statistic_section(name, read_json(summary), tables, links))
    return tuple(sections)


def write_missing(
    output_dir: Path, analyses: Sequence[PlannedAnalysis], names: Sequence[str]
) -> None:
    """Write what was missing in any analysis or statistic, and what followed from it."""
    tables: dict[str, pd.DataFrame] = {}
    for item in analyses:
        lost = item.design.exclusions
        # A row without a session concerns the participant: a variable, or the subset.
        kind = lost['session_id'].notna().map({True: 'map', False: 'variable'})
        kind = kind.mask(lost['reason'].str.match('excluded(:|$)').fillna(False), 'excluded')
        table = lost.assign(
            outcome=item.contrast, missing=kind, consequence='the participant is not in the test'
        )
        known = tables.get(item.analysis.name)
        tables[item.analysis.name] = table if known is None else pd.concat([known, table])
    for name in names:
        path = statistic_path(output_dir, name, 'missing')
        if path.is_file():
            tables[name] = read_table(path)
    table = count_losses(tables)
    path = output_dir / 'group' / 'group_missing.tsv'
    if path.is_file() and path.read_text(encoding='utf-8') == table_text(table):
        return
    entries = column_descriptions('group_missing').items()
    write_table(path, table, {name: entry['Description'] for name, entry in entries})


def write_methods(
    output_dir: Path, paragraphs: Sequence[str], sections: Sequence[StatisticSection]
) -> None:
    """Write the methods of all analyses and statistics as one text."""
    text = '\n\n'.join(
        [
            '# Methods',
            *filter(None, paragraphs),
            *(f'## {s.title}\n\n{s.methods}' for s in sections if s.methods),
        ]
    )
    path = output_dir / 'group' / 'group_methods.md'
    if not path.is_file() or path.read_text(encoding='utf-8') != f'{text}\n':
        write_text(path, f'{text}\n')
