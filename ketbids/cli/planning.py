"""What the group level is to do: maps, designs, and what each result depends on."""

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.cli.dataset import record_path
from ketbids.cli.parser import installed_version
from ketbids.cli.selection import chosen_participants
from ketbids.errors import InputError
from ketbids.io.bids import Exclusion, RunKey, excluded_by, runs_of_visits
from ketbids.io.filters import read_filter
from ketbids.io.inventory import find_maps
from ketbids.io.records import file_stamp, fingerprint
from ketbids.model import Analysis, StudyModel
from ketbids.settings import Settings
from ketbids.stats.accounts import account
from ketbids.stats.formulas import column_variables, formula_names
from ketbids.stats.groupdesign import GroupDesign, build_group_design

__all__ = ['PlannedAnalysis', 'available_maps', 'chosen_visits', 'exclusion_table']
__all__ += ['finished_visits', 'map_paths', 'plan_analyses', 'scanned_visits', 'variance_columns']

logger = logging.getLogger('ketbids')

#: Fewest maps of which a variance is estimated.
_FEWEST_IN_GROUP = 3


@dataclass(frozen=True)
class PlannedAnalysis:
    """An analysis of one first-level contrast, with its design.

    Attributes
    ----------
    analysis : Analysis
    contrast : str
        First-level contrast.
    design : GroupDesign
    participants : DataFrame
        What was used of each person (see `ketbids.stats.accounts.account`).
    variance_columns : tuple of str
        Columns of the design whose equal rows share one variance; empty: all do.
    mark : str
        Fingerprint of all that the result depends on.
    """

    analysis: Analysis
    contrast: str
    design: GroupDesign
    participants: pd.DataFrame
    variance_columns: tuple[str, ...]
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
    chosen = chosen_visits(settings, maps)
    out = [
        excluded_by(exclusions, participant, session) is not None
        for participant, session in zip(maps['participant_id'], maps['session_id'], strict=True)
    ]
    maps = maps[chosen & ~np.array(out, bool)]
    finished = finished_visits(output_dir, maps)
    for name in sorted({name for name, whole in finished if not whole}):
        logger.warning('%s: the participant level did not finish; its maps are not used.', name)
    maps = maps[np.array([whole for _, whole in finished], bool)].reset_index(drop=True)
    densities = maps.groupby('density')['path'].first()
    if len(densities) > 1:
        raise InputError(
            f'{densities.iloc[0]} and {densities.iloc[1]} have different grayordinates; maps of '
            'one group must share them: choose with --bids-filter-file and {"bold": {"density": '
            f'"{densities.index[0]}"}}}}.'
        )
    _assert_one_per_visit(maps)
    if not len(maps):
        raise InputError(
            'No contrast map is left: each is excluded, was not chosen, or is of a visit that the '
            'participant level did not finish.'
        )
    logger.info(
        '%d contrast maps of %d participants.', len(maps), maps['participant_id'].nunique()
    )
    return maps


def scanned_visits(settings: Settings, model: StudyModel, maps: pd.DataFrame) -> pd.DataFrame:
    """List the visits that were scanned: those with events or images of the task, or with maps.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    maps : DataFrame
        As `available_maps` gives them.

    Returns
    -------
    DataFrame
        One row per visit of those who were chosen, excluded or not: ``participant_id``,
        ``session_id`` (labels), ``has_map`` (``yes`` if it is among `maps`, else ``no``).
    """
    selection, tasks = settings.selection, settings.selection.tasks or model.tasks
    people = set(chosen_participants(settings))
    made = find_maps(settings.paths.output_dir, tasks)
    made = made[chosen_visits(settings, made)]
    visits = {
        (who, when)
        for who, when in runs_of_visits(settings.paths.bids_dir, tasks)
        if who in people and (not selection.sessions or when in selection.sessions)
    }
    visits.update(zip(made['participant_id'], made['session_id'], strict=True))
    usable = set(zip(maps['participant_id'], maps['session_id'], strict=True))
    rows = [(*visit, 'yes' if visit in usable else 'no') for visit in sorted(visits)]
    return pd.DataFrame(rows, columns=['participant_id', 'session_id', 'has_map'])


def chosen_visits(settings: Settings, table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which rows are of participants, sessions and files that were asked for.

    Parameters
    ----------
    settings : Settings
    table : DataFrame
        ``participant_id``, ``session_id``, ``task``, ``acquisition`` and maybe ``density``.
    """
    chosen = table['participant_id'].isin(chosen_participants(settings))
    if settings.selection.sessions:
        chosen &= table['session_id'].isin(settings.selection.sessions)
    filters = read_filter(settings.paths.bids_filter_file)
    admitted = [filters.admits(labels) for labels in _entities(table)]
    return np.asarray(chosen, bool) & np.array(admitted, bool)


def exclusion_table(exclusions: Sequence[Exclusion]) -> pd.DataFrame | None:
    """Give an exclusion list as `build_group_design` takes it; None if it is empty."""
    if not exclusions:
        return None
    return pd.DataFrame(
        [
            {'participant_id': e.participant, 'session_id': e.session, 'run': e.run}
            | {'reason': e.reason}
            for e in exclusions
        ]
    ).replace('', None)


def _entities(table: pd.DataFrame) -> list[dict[str, str]]:
    """Give the entities of each row under the names that filter files have for them."""
    names = {'participant_id': 'subject', 'session_id': 'session'}
    columns = ['participant_id', 'session_id', 'task', 'acquisition', 'density']
    rows = table[[c for c in columns if c in table]].rename(columns=names).to_dict('records')
    return [{str(name): str(label) for name, label in row.items()} for row in rows]


def _assert_one_per_visit(maps: pd.DataFrame) -> None:
    """Refuse two maps of a contrast in one session of a participant: one has to be chosen."""
    for _, rows in maps.groupby(['participant_id', 'session_id', 'contrast'], sort=False):
        if len(rows) == 1:
            continue
        one, other = rows.iloc[0], rows.iloc[1]
        option = '--task-id'
        if one['acquisition'] != other['acquisition']:
            query = {'bold': {'acquisition': one['acquisition'] or None}}
            option = f'--bids-filter-file and {json.dumps(query)}'
        raise InputError(
            f'{one["path"]} and {other["path"]} are maps of one contrast and session. Choose one '
            f'with {option}.'
        )


def finished_visits(output_dir: Path, table: pd.DataFrame) -> list[tuple[str, bool]]:
    """Give the name of each row's visit, and whether it is recorded as finished."""
    columns = ('participant_id', 'session_id', 'task', 'acquisition')
    keys = zip(*(table[column] for column in columns), strict=True)
    names = [
        str(RunKey(participant, session, task, acquisition=acquisition))
        for participant, session, task, acquisition in keys
    ]
    return [(name, record_path(output_dir, name).is_file()) for name in names]


def plan_analyses(
    settings: Settings,
    model: StudyModel,
    maps: pd.DataFrame,
    people: pd.DataFrame,
    exclusions: list[Exclusion],
    not_chosen: Collection[str] = (),
) -> tuple[list[PlannedAnalysis], dict[str, str]]:
    """Make the design of every analysis; one that cannot be made does not stop the others.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    maps : DataFrame
        As `available_maps` gives them.
    people : DataFrame
        Everybody, indexed by label.
    exclusions : list of Exclusion
    not_chosen : collection of str
        Labels of people whom this call does not look at.

    Returns
    -------
    planned : list of PlannedAnalysis
    failures : dict of str to str
        Why an analysis cannot be made, by the start of the names of its files.
    """
    excluded = exclusion_table(exclusions)
    planned, failures = [], {}
    chosen = people[~people.index.isin(list(not_chosen))]
    for analysis in model.analyses:
        for contrast in analysis.first_level:
            try:
                own = maps.loc[
                    maps['contrast'] == contrast, ['participant_id', 'session_id', 'path']
                ]
                design = build_group_design(
                    own,
                    chosen,
                    formula=analysis.formula,
                    contrast=analysis.contrast.weights,
                    session=analysis.session,
                    difference=analysis.difference,
                    subset=analysis.subset,
                    center=analysis.center,
                    levels=model.levels,
                    derived=model.derived,
                    excluded=excluded,
                    scheme=analysis.scheme,
                    minimum_n=analysis.minimum_n,
                )
                variance = variance_columns(analysis, design)
                table = _account(model, analysis, design, own, people, not_chosen)
            except InputError as error:
                failures[f'node-{analysis.name}_contrast-{contrast}'] = str(error)
                continue
            mark = _fingerprint(settings, model, analysis, design, table, maps)
            planned.append(PlannedAnalysis(analysis, contrast, design, table, variance, mark))
    return planned, failures


def variance_columns(analysis: Analysis, design: GroupDesign) -> tuple[str, ...]:
    """Give the columns that tell the variance groups apart.

    Raises
    ------
    InputError
        The variable does not make groups of at least 3 maps each.
    """
    factor = analysis.variance_groups
    if factor is None:
        return ()
    columns = [name for name in design.names if column_variables(name) == (factor,)]
    sizes = design.rows.groupby(columns).size().tolist() if columns else []
    if len(sizes) < 2 or min(sizes) < _FEWEST_IN_GROUP:
        raise InputError(
            f'VarianceGroups: {factor} does not make two or more groups of at least '
            f'{_FEWEST_IN_GROUP} maps each; name a factor that does, or take the key out.'
        )
    return tuple(columns)


def _account(
    model: StudyModel,
    analysis: Analysis,
    design: GroupDesign,
    maps: pd.DataFrame,
    people: pd.DataFrame,
    not_chosen: Collection[str],
) -> pd.DataFrame:
    """Give what an analysis uses of each person."""
    return account(
        people,
        maps,
        design.rows,
        design.exclusions,
        sessions=design.sessions,
        variables=formula_names(analysis.formula),
        subset=analysis.subset,
        derived=model.derived,
        not_chosen=not_chosen,
    )


def map_paths(design: GroupDesign) -> list[str]:
    """List every map of a design, those that are subtracted too."""
    rows = design.rows
    return [*rows['path'], *rows.get('minus_path', ())]


def _fingerprint(
    settings: Settings,
    model: StudyModel,
    analysis: Analysis,
    design: GroupDesign,
    participants: pd.DataFrame,
    maps: pd.DataFrame,
) -> str:
    """Hash all that an analysis' outputs depend on."""
    output_dir = settings.paths.output_dir
    group = {k: v for k, v in asdict(settings.group).items() if k not in ('analyses', 'atlases')}
    own_atlas = dict(settings.group.atlases).get(analysis.roi_atlas)
    return fingerprint(
        {
            'version': installed_version(),
            'settings': group,
            'analysis': repr(analysis),
            'atlas': None if own_atlas is None else file_stamp(own_atlas),
            'derived': dict(model.derived),
            'design': design.rows.to_csv(),
            'excluded': design.exclusions.to_csv(),
            'contrast': design.contrast.tolist(),
            'participants': participants.to_csv(),
            'files': [file_stamp(output_dir / path) for path in maps['path']],
        }
    )
