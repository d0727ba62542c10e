"""Atlases that regions need: those that are given, and those that a group makes itself."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ketbids.cli.values import MADE_ATLASES
from ketbids.errors import InputError
from ketbids.io.records import file_stamp
from ketbids.model import StudyModel
from ketbids.settings import Settings

__all__ = ['atlas_stamps', 'check_atlases']


def check_atlases(
    settings: Settings, model: StudyModel, asked: Collection[str], map_file: Path
) -> None:
    """Refuse atlases that do not fit the maps, and a model file that needs others.

    Parameters
    ----------
    settings : Settings
    model : StudyModel
    asked : collection of str
        Analyses that are wanted.
    map_file : Path
        Any map of the group.

    Raises
    ------
    InputError
        Names the file, or the key of the model file.
    """
    given = dict(settings.group.atlases)
    for who, atlas in _needed(model, asked):
        if atlas not in (*MADE_ATLASES, 'DesikanKilliany', *given):
            raise InputError(
                f'{model.path}, {who}: there is no atlas {atlas}. Give its label file with '
                f'--atlas {atlas}=FILE.'
            )
    if not given:
        return
    from ketbids.interfaces.atlas import place_labels
    from ketbids.io.cifti import read_maps

    _, models = read_maps(map_file)
    for path in given.values():
        place_labels(str(path), models)


def _needed(model: StudyModel, asked: Collection[str]) -> list[tuple[str, str]]:
    """List what needs an atlas, and its name."""
    needed = [
        (f'node {analysis.name}, Rois.Atlas', analysis.roi_atlas)
        for analysis in model.analyses
        if analysis.name in asked
    ]
    needed += [(f'Regions.{name}', atlas) for name, (atlas, _) in model.regions.items()]
    for statistic in model.statistics:
        outcome = getattr(statistic, 'outcome', None)
        if outcome is not None and outcome.regions is not None and outcome.regions.atlas:
            needed.append((f'Statistics.{statistic.name}', outcome.regions.atlas))
    return needed


def atlas_stamps(settings: Settings) -> dict[str, list[Any]]:
    """State of the file of each given atlas, by its name."""
    return {name: file_stamp(path) for name, path in settings.group.atlases}
