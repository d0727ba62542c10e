"""The part of a participant's page on the runs that were preprocessed here."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.reports.page import QualitySection
from ketbids.reports.tables import Table

__all__ = ['quality_section']

_ENDING = '_desc-quality_metrics.json'
#: What the first level leaves of each run that it fits.
_FITTED = '_desc-trials_events.tsv'
_COLUMNS = (
    'Run',
    'Volumes',
    'Mean FD, mm',
    'FD without breathing, mm',
    'FD above {limit:g} mm',
    'DVARS',
    'tSNR of cortex',
    'tSNR of subcortex',
    'Noise components',
    'Cortex covered',
)
_NUMBERS = (
    'FD is framewise displacement, how far the head moves from volume to volume; breathing '
    'shifts the image though the head is still, and is also filtered out of it; DVARS is how '
    'much the signal changes from volume to volume (less is better), tSNR how large it is beside '
    'its noise (more is better); where two numbers stand, before and after FIX. Cortex covered: '
    'share of the cortex, left and right, that voxels without strong noise see.'
)
_EXCLUDE = (
    'To leave a run out, add a line with participant_id, session_id, run and reason to the table '
    'of --exclusions, and give it to both levels.'
)
_LEFT_OUT = (
    'Runs marked "left out" have no maps of the first level, though other runs of their task and '
    'session have: they are excluded, or have no events that could be used.'
)
_LOOK = 'To look at the components, open the scene in wb_view; paths are below the output folder.'
_CHANGE = (
    'To change the class of components, write their numbers, separated by spaces or line breaks, '
    'into ReclassifyAsNoise.txt or ReclassifyAsSignal.txt in the folder for labels, and repeat '
    'the command: the runs are then cleaned and analysed again.'
)


def quality_section(output_dir: Path, participant: str) -> QualitySection | None:
    """Put together the numbers of a participant's runs.

    Returns
    -------
    QualitySection or None
        None if no run was preprocessed here.

    Raises
    ------
    InputError
        A file of numbers is damaged.
    """
    folder = output_dir / f'sub-{participant}'
    paths = sorted([*folder.glob(f'func/*{_ENDING}'), *folder.glob(f'ses-*/func/*{_ENDING}')])
    if not paths:
        return None
    runs = {path: read_json(path) for path in paths}
    try:
        limit = next(iter(runs.values()))['FramewiseDisplacementLimit']
        left_out = {path for path in paths if _is_left_out(path)}
        rows = tuple(
            _row(path, content, left_out=path in left_out) for path, content in runs.items()
        )
        components = _components(runs)
        advice = (
            _NUMBERS,
            *([_LEFT_OUT] if left_out else []),
            *(_advice(components.rows) if components else []),
            _EXCLUDE,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'The numbers of the runs in {folder} cannot be read ({type(error).__name__}: '
            f'{error}). Remove {paths[0].name} and its like, and repeat the command.'
        ) from error
    columns = tuple(name.format(limit=limit) for name in _COLUMNS)
    numeric = tuple(name not in ('Run', 'Noise components') for name in columns)
    table = Table(columns, rows, numeric, 'Quality of the runs')
    return QualitySection(table, advice, components)


def _is_left_out(path: Path) -> bool:
    """Tell if the first level left out a run, but not its whole task and session."""
    name = path.name.removesuffix(_ENDING)
    if path.with_name(name + _FITTED).exists():
        return False
    task = name.partition('_task-')[2].split('_')[0]
    return any(
        f'_task-{task}_' in other.name for other in path.parent.glob(f'sub-*_task-*{_FITTED}')
    )


def _title(path: Path) -> str:
    return path.name.removesuffix(_ENDING).split('_', 1)[1].replace('_', ' ')


def _row(path: Path, content: Mapping[str, Any], *, left_out: bool) -> tuple[str, ...]:
    before, after = content['MedianTSNR'], content['MedianTSNRAfterFIX'] or {}
    coverage = content['GoodVoxelsCoverage']
    return (
        _title(path) + (' (left out)' if left_out else ''),
        str(content['NumberOfVolumes']),
        _text(content['MeanFramewiseDisplacement'], '.2f'),
        _text(content.get('MeanFramewiseDisplacementFiltered'), '.2f'),
        _text(content['ShareAboveFramewiseDisplacementLimit'], '.0%'),
        _change(content['MeanDVARS'], content['MeanDVARSAfterFIX'], '.0f'),
        _change(before['Cortex'], after.get('Cortex'), '.0f'),
        _change(before['Subcortex'], after.get('Subcortex'), '.0f'),
        _noise(content['FIX']),
        ' / '.join(_text(coverage[hemi], '.0%') for hemi in 'LR'),
    )


def _text(value: float | None, form: str) -> str:
    return 'n/a' if value is None else f'{value:{form}}'.replace('%', ' %')


def _change(before: float | None, after: float | None, form: str) -> str:
    start = _text(before, form)
    return start if after is None else f'{start} \N{RIGHTWARDS ARROW} {_text(after, form)}'


def _noise(fix: Mapping[str, Any] | None) -> str:
    """Say how many components are noise, and how much of the explained variance is theirs."""
    if fix is None:
        return 'n/a (no FIX)'
    text = f'{fix["NumberOfNoiseComponents"]} of {fix["NumberOfComponents"]}'
    share = fix['NoiseShareOfExplainedVariance']
    text += '' if share is None else f', {_text(share, ".0%")} of variance'
    changed = len(fix['ReclassifiedAsNoise']) + len(fix['ReclassifiedAsSignal'])
    if changed:
        text += f'; {changed} by hand' + (
            '' if fix['ReclassificationApplied'] else ', not applied'
        )
    return text


def _components(runs: Mapping[Path, Mapping[str, Any]]) -> Table | None:
    """List the components: one line for the runs that FIX cleaned together.

    Returns
    -------
    Table or None
        Columns: runs, folder, scene, folder for labels; None without FIX.
    """
    rows: dict[str, tuple[str, ...]] = {}
    for path, content in runs.items():
        fix = content['FIX']
        if fix is None or fix['Components'] in rows:
            continue
        labels = PurePosixPath(_below(fix['Components']))
        scene = PurePosixPath(_below(fix['Scene'])) if fix['Scene'] else None
        rows[fix['Components']] = (
            _together(path, fix['Runs']),
            str(labels.parent),
            'n/a' if scene is None else _within(scene, labels.parent),
            labels.name,
        )
    columns = ('Runs', 'Folder', 'Scene in it', 'Folder for labels in it')
    if not rows:
        return None
    return Table(columns, tuple(rows.values()), (False,) * len(columns), 'Components of FIX')


def _together(path: Path, runs: Collection[str]) -> str:
    """Name the runs that were cleaned together, by one of them."""
    if len(runs) < 2:
        return _title(path)
    session = re.search(r'_ses-[^_]+', path.name)
    return ': '.join(
        [*([session[0][1:]] if session else []), f'{len(runs)} runs, cleaned together']
    )


def _within(path: PurePosixPath, folder: PurePosixPath) -> str:
    return path.name if path.parent == folder else str(path)


def _advice(rows: Collection[tuple[str, ...]]) -> list[str]:
    """Say how to look at components, where there are scenes, and how to change their classes."""
    scenes = any(scene != 'n/a' for _, _, scene, _ in rows)
    return [*([_LOOK] if scenes else []), _CHANGE]


def _below(uri: str) -> str:
    """Turn a BIDS URI of this dataset into a path below the output folder."""
    return uri.removeprefix('bids::')
