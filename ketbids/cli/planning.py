"""What the group level is to do: maps, designs, and what each result depends on."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.cli.dataset import record_path
from ketbids.cli.parser import installed_version
from ketbids.cli.selection import chosen_participants
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, RunKey, excluded_by
from ketbids.io.files import read_json
from ketbids.io.inventory import find_maps
from ketbids.io.records import file_stamp, fingerprint
from ketbids.model import Analysis, Contrast, StudyModel
from ketbids.settings import Settings
from ketbids.stats.groupdesign import GroupDesign, build_group_design

__all__ = ['PlannedAnalysis', 'available_maps', 'common_settings', 'map_paths', 'plan_analyses']

logger = logging.getLogger('ketbids')

#: What the sidecars of all maps of a group must agree on.
_SAME_IN_ALL = (
    'SmoothingAddedFWHM',
    'HRFModel',
    'HighPassCutoffHz',
    'DroppedVolumes',
    'Confounds',
    'NoiseModel',
)


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
    maps = maps[chosen & ~np.array(out, bool)]
    maps = maps[_finished(output_dir, maps)].reset_index(drop=True)
    densities = maps.groupby('density')['path'].first()
    if len(densities) > 1:
        raise InputError(
            f'{densities.iloc[0]} and {densities.iloc[1]} have different grayordinates; maps of '
            'one group must share them.'
        )
    if not len(maps):
        raise InputError(
            'No contrast map is left: each is excluded, was not chosen, or is of a visit that the '
            'participant level did not finish.'
        )
    logger.info(
        '%d contrast maps of %d participants.', len(maps), maps['participant_id'].nunique()
    )
    return maps


def _finished(output_dir: Path, maps: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which maps belong to visits that are recorded as finished."""
    keys = zip(maps['participant_id'], maps['session_id'], maps['task'], strict=True)
    names = [str(RunKey(*key)) for key in keys]
    recorded = {name: record_path(output_dir, name).is_file() for name in names}
    for name in sorted(name for name, found in recorded.items() if not found):
        logger.warning('%s: the participant level did not finish; its maps are not used.', name)
    return np.array([recorded[name] for name in names], bool)


def common_settings(
    output_dir: Path, maps: pd.DataFrame, contrasts: Sequence[Contrast]
) -> dict[str, Any]:
    """Give how all maps were made, from their sidecars.

    Raises
    ------
    InputError
        If two maps of a contrast were made differently, or otherwise than the model file says.
    """
    common: dict[str, Any] = {}
    weights = {c.name: {k: float(w) for k, w in c.weights.items() if w} for c in contrasts}
    for contrast, paths in maps.groupby('contrast')['path']:
        name, first = str(contrast), dict[str, Any]()
        for path in paths:
            sidecar = read_json(output_dir / path.replace('.dscalar.nii', '.json'))
            made = {key: sidecar.get(key) for key in (*_SAME_IN_ALL, 'ConditionWeights')}
            first = first or made
            for key, value in made.items():
                if value != first[key]:
                    raise InputError(
                        f'{paths.iloc[0]} and {path} were made differently: {key} is '
                        f'{first[key]!r} and {value!r}. Run the participant level for everybody '
                        'with the same options.'
                    )
        if name in weights and first['ConditionWeights'] != weights[name]:
            raise InputError(
                f'{paths.iloc[0]}: the contrast {name} is {first["ConditionWeights"]}, but the '
                f'model file says {weights[name]}. Run the participant level with it.'
            )
        common |= {key: first[key] for key in _SAME_IN_ALL}
    return common


def plan_analyses(
    settings: Settings,
    model: StudyModel,
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
    for analysis in model.analyses:
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
