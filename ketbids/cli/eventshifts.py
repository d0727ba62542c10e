"""Runs whose events lie elsewhere than those of the other runs of the study."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.reports.page import SessionSection
from ketbids.reports.runparts import with_shift
from ketbids.stats.eventtiming import EventSpan, compare_spans

__all__ = ['known_spans', 'shifted_runs', 'with_event_shifts']

_TASK = re.compile(r'_task-([A-Za-z0-9]+)')


def with_event_shifts(
    output_dir: Path, sections: dict[Path, SessionSection]
) -> list[SessionSection]:
    """Add to each run how its events lie among those of all runs that were analysed.

    Parameters
    ----------
    output_dir : Path
        Where the sections of all participants stand.
    sections : dict of Path to SessionSection
        Of one participant, by their files.

    Returns
    -------
    list of SessionSection
        In the order given; runs that stand out have a warning.
    """
    spans = _spans(output_dir, sections)
    found = {task: compare_spans(known) for task, known in spans.items()}
    made = []
    for path, section in sections.items():
        messages = found.get(_task(path), {})
        runs = tuple(
            with_shift(run, messages[f'{path} {number}'])
            if f'{path} {number}' in messages
            else run
            for number, run in enumerate(section.runs)
        )
        made.append(replace(section, runs=runs))
    return made


def shifted_runs(output_dir: Path) -> list[str]:
    """Name the runs whose events stand out among all runs of their task that were analysed.

    Parameters
    ----------
    output_dir : Path
        Where the sections of all participants stand.

    Returns
    -------
    list of str
        A sentence for each.
    """
    found = []
    for known in _spans(output_dir, {}).values():
        for name, message in compare_spans(known).items():
            if message.level == 'warn':
                path, _, number = name.rpartition(' ')
                section = _other(Path(path))
                assert section is not None
                visit = Path(path).name.removesuffix('_section.json')
                run = section.runs[int(number)].title.partition(', ')[2]
                found.append(f'{visit}{f", {run}" if run else ""}: {message.text}')
    return found


def known_spans(output_dir: Path, task: str, apart: Collection[str]) -> dict[str, EventSpan]:
    """Give where the events lie in the runs of a task that were analysed before.

    Parameters
    ----------
    output_dir : Path
        Where the sections of all participants stand.
    task : str
    apart : collection of str
        Names of visits that are not wanted.
    """
    found = _spans(output_dir, {}).get(task, {})
    return {
        name: span
        for name, span in found.items()
        if not any(Path(name).name.startswith(f'{visit}_') for visit in apart)
    }


def _spans(
    output_dir: Path, sections: Mapping[Path, SessionSection]
) -> dict[str, dict[str, EventSpan]]:
    """Spans of all runs by task, then by the file and number of their section."""
    spans: dict[str, dict[str, EventSpan]] = defaultdict(dict)
    for path in sorted(output_dir.glob('sub-*/figures/*_section.json')):
        section = sections.get(path) or _other(path)
        if section is None:
            continue
        for number, run in enumerate(section.runs):
            if run.span is not None:
                spans[_task(path)][f'{path} {number}'] = EventSpan(**run.span)
    return spans


def _other(path: Path) -> SessionSection | None:
    """Section of somebody else; what is wrong with it is said where it belongs."""
    try:
        return SessionSection.from_dict(read_json(path))
    except InputError:
        return None


def _task(path: Path) -> str:
    match = _TASK.search(path.name)
    return match[1] if match else ''
