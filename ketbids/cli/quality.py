"""The part of a participant's page on the runs that were preprocessed here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.reports.page import QualitySection
from ketbids.reports.tables import Table

__all__ = ['quality_section']

_ENDING = '_desc-quality_metrics.json'
_COLUMNS = (
    'Run',
    'Volumes',
    'Mean head movement, mm',
    'Moved more than {limit:g} mm',
    'DVARS',
    'tSNR of cortex',
    'tSNR of subcortex',
    'Noise components',
    'Cortex covered, L / R',
)
_NUMBERS = (
    'Head movement is framewise displacement; DVARS is how much the signal changes from volume to '
    'volume (less is better), tSNR how large it is beside its noise (more is better); where two '
    'numbers stand, before and after FIX. Cortex covered: share of the cortex that voxels without '
    'strong noise see.'
)
_EXCLUDE = (
    'To leave a run out, add a line with participant_id, session_id, run and reason to the table '
    'of --exclusions, and give it to both levels.'
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
        rows = tuple(_row(path, content) for path, content in runs.items())
        advice = (_NUMBERS, *_components(runs.values()), _EXCLUDE)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'The numbers of the runs in {folder} cannot be read ({type(error).__name__}: '
            f'{error}). Remove {paths[0].name} and its like, and repeat the command.'
        ) from error
    columns = tuple(name.format(limit=limit) for name in _COLUMNS)
    numeric = tuple(name not in ('Run', 'Noise components') for name in columns)
    return QualitySection(Table(columns, rows, numeric, 'Quality of the runs'), advice)


def _row(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    before, after = content['MedianTSNR'], content['MedianTSNRAfterFIX'] or {}
    coverage = content['GoodVoxelsCoverage']
    return (
        path.name.removesuffix(_ENDING).split('_', 1)[1].replace('_', ' '),
        str(content['NumberOfVolumes']),
        _text(content['MeanFramewiseDisplacement'], '.2f'),
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


def _components(runs: Any) -> tuple[str, ...]:
    """Say where the components are, and how to change their classes."""
    found = [content['FIX'] for content in runs if content['FIX'] is not None]
    if not found:
        return ()
    scenes = sorted({_below(fix['Scene']) for fix in found if fix['Scene']})
    folders = sorted({_below(fix['Components']) for fix in found})
    look = f'To look at the components, open in wb_view: {", ".join(scenes)}.' if scenes else ''
    change = (
        'To change the class of components, write their numbers, one in a line, into '
        f'ReclassifyAsNoise.txt or ReclassifyAsSignal.txt in {", ".join(folders)}, and repeat the '
        'command: the runs are then cleaned and analysed again.'
    )
    together = any(len(fix['Runs']) > 1 for fix in found)
    several = 'Components are those of all runs of a session together.' if together else ''
    return tuple(text for text in (several, look, change) if text)


def _below(uri: str) -> str:
    """Turn a BIDS URI of this dataset into a path below the output folder."""
    return uri.removeprefix('bids::')
