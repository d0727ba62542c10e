"""What the group level is to do: maps, designs, and what each result depends on."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ketbids.cli.parser import installed_version
from ketbids.cli.selection import chosen_participants
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, excluded_by
from ketbids.io.inventory import find_maps
from ketbids.io.records import file_stamp, fingerprint
from ketbids.model import Analysis, StudyModel
from ketbids.settings import Settings
from ketbids.stats.groupdesign import GroupDesign, build_group_design

__all__ = ['PlannedAnalysis', 'available_maps', 'map_paths', 'plan_analyses']

logger = logging.getLogger('ketbids')


@dataclass(frozen=True)
class PlannedAnalysis:
    """An analysis of one first-level contrast, with its design.

    Attributes
    ----------
    analysis : Analysis
    contrast : str
        First-level contrast.
    design : GroupDesign
    mark : str
        Fingerprint of all that the result depends on.
    """

    analysis: Analysis
    contrast: str
    design: GroupDesign
    mark: str

    @property
    def stem(self) -> str:
        """Start of the names of its files."""
        return f'node-{self.analysis.name}_contrast-{self.contrast}'

    def folder(self, output_dir: Path) -> Path:
        """Folder of its files."""
        return output_dir / 'group' / f'node-{self.analysis.name}'


def available_maps(
    settings: Settings, model: StudyModel, exclusions: list[Exclusion]
) -> pd.DataFrame:
    """List the maps that analyses may use: chosen and not excluded."""
    output_dir, selection = settings.paths.output_dir, settings.selection
    maps = find_maps(output_dir, selection.tasks or model.tasks)
    if not len(maps):
        raise InputError(
            f'{output_dir} holds no contrast maps of the task '
            f'{", ".join(selection.tasks or model.tasks)}: run the participant level first.'
        )
    chosen = maps['participant_id'].isin(chosen_participants(settings))
    if selection.sessions:
        chosen &= maps['session_id'].isin(selection.sessions)
    out = [
        excluded_by(exclusions, participant, session) is not None
        for participant, session in zip(maps['participant_id'], maps['session_id'], strict=True)
    ]
    maps = maps[chosen & ~np.array(out, bool)].reset_index(drop=True)
    densities = maps.groupby('density')['path'].first()
    if len(densities) > 1:
        raise InputError(
            f'{densities.iloc[0]} and {densities.iloc[1]} have different grayordinates; maps of '
            'one group must share them.'
        )
    if not len(maps):
        raise InputError('Every contrast map is excluded or was not chosen.')
    logger.info(
        '%d contrast maps of %d participants.', len(maps), maps['participant_id'].nunique()
    )
    return maps


def plan_analyses(
    settings: Settings,
    model: StudyModel,
    analyses: list[Analysis],
    maps: pd.DataFrame,
    people: pd.DataFrame,
    exclusions: list[Exclusion],
) -> tuple[list[PlannedAnalysis], dict[str, str]]:
    """Make the design of every analysis; one that cannot be made does not stop the others."""
    excluded = pd.DataFrame(
        [
            {'participant_id': e.participant, 'session_id': e.session, 'run': e.run}
            | {'reason': e.reason}
            for e in exclusions
        ],
        columns=['participant_id', 'session_id', 'run', 'reason'],
    ).replace('', None)
    planned, failures = [], {}
    for analysis in analyses:
        for contrast in analysis.first_level:
            try:
                design = build_group_design(
                    maps.loc[
                        maps['contrast'] == contrast, ['participant_id', 'session_id', 'path']
                    ],
                    people,
                    formula=analysis.formula,
                    contrast=analysis.contrast.weights,
                    session=analysis.session,
                    difference=analysis.difference,
                    subset=analysis.subset,
                    center=analysis.center,
                    levels=model.levels,
                    derived=model.derived,
                    excluded=excluded if len(excluded) else None,
                    scheme=analysis.scheme,
                    minimum_n=analysis.minimum_n,
                )
            except InputError as error:
                failures[f'node-{analysis.name}_contrast-{contrast}'] = str(error)
                continue
            mark = _fingerprint(settings, model, analysis, design, maps, people)
            planned.append(PlannedAnalysis(analysis, contrast, design, mark))
    return planned, failures


def map_paths(design: GroupDesign) -> list[str]:
    """List every map of a design, those that are subtracted too."""
    rows = design.rows
    return [*rows['path'], *rows.get('minus_path', ())]


def _fingerprint(
    settings: Settings,
    model: StudyModel,
    analysis: Analysis,
    design: GroupDesign,
    maps: pd.DataFrame,
    people: pd.DataFrame,
) -> str:
    """Hash all that an analysis' outputs depend on."""
    output_dir = settings.paths.output_dir
    group = {k: v for k, v in asdict(settings.group).items() if k != 'analyses'}
    return fingerprint(
        {
            'version': installed_version(),
            'settings': group,
            'analysis': repr(analysis),
            'derived': dict(model.derived),
            'design': design.rows.to_csv(),
            'excluded': design.exclusions.to_csv(),
            'contrast': design.contrast.tolist(),
            'people': people.to_csv() if analysis.associations else '',
            'files': [file_stamp(output_dir / path) for path in maps['path']],
        }
    )
