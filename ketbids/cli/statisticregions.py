"""Regions of declared statistics: their mean values, what they are, and which are not there."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from ketbids.cli.planning import PlannedAnalysis
from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.io.tables import read_table
from ketbids.stats.clinical.specs import RegionChoice
from ketbids.stats.regions import SUBCORTEX_ATLAS

__all__ = ['REGION_COLUMNS', 'VALUE_COLUMNS', 'region_values', 'without_prefixes']

#: Columns of the tables of values and of regions.
VALUE_COLUMNS = ('participant_id', 'session_id', 'outcome', 'value')
REGION_COLUMNS = ('outcome', 'source', 'selected_by', 'atlas', 'label', 'searched')


def region_values(
    output_dir: Path,
    choice: RegionChoice,
    analyses: Sequence[PlannedAnalysis],
    contrasts: Collection[str],
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Read the mean values of regions, what each region is, and which are not there.

    If an analysis found something, all parcels are taken in which it looked for it.

    Parameters
    ----------
    output_dir : Path
    choice : RegionChoice
    analyses : sequence of PlannedAnalysis
        Those whose files are whole.
    contrasts : collection of str
        First-level contrasts whose table of parcels is of the present maps.

    Returns
    -------
    values : DataFrame
        `VALUE_COLUMNS`.
    regions : DataFrame
        `REGION_COLUMNS`.
    notes : list of str
        Which regions are not there, and why.

    Raises
    ------
    InputError
        There is none, but not since nothing is significant; a label that the atlas does not have.
    """
    if choice.contrast not in contrasts:
        raise InputError(
            f'The regions of {choice.contrast} failed, or are of other maps: run the group level '
            'again for this statistic.'
        )
    parcels = read_table(output_dir / _parcels_name(choice.contrast))
    tables, notes, atlases = [], [], {SUBCORTEX_ATLAS}
    known = {i.analysis.name: i for i in analyses if i.contrast == choice.contrast}
    for name in choice.selected_by:
        if name not in known:
            notes.append(
                f'there are no regions of {name}, as that analysis failed or is not yet done'
            )
            continue
        item = known[name]
        found = read_table(item.folder(output_dir) / f'{item.stem}_roi.tsv')
        tables.append(found.assign(outcome=f'{name}:' + found['roi'].astype(str)))
        atlases.add(item.analysis.roi_atlas)
        notes += _selection_notes(output_dir, item, len(found) > 0)
    selected = pd.concat(tables) if tables else parcels.iloc[:0].assign(outcome='')
    declared = parcels['source'] == 'apriori'
    searched = ~declared & parcels['atlas'].isin(atlases) & bool(len(selected))
    asked = declared & parcels['roi'].isin(choice.apriori)
    whole = ~declared & (parcels['atlas'] == choice.atlas)
    asked |= whole & parcels['roi'].isin(choice.labels) if choice.labels else whole
    kept = parcels[searched | asked]
    kept = kept.assign(outcome=_named(kept), searched=searched[kept.index].map({True: 'yes'}))
    notes += _lacking(choice, parcels)
    table = pd.concat([selected.assign(searched=None), kept], ignore_index=True)
    # That nothing is significant is a result.
    undone = [name for name in choice.selected_by if name not in known]
    if not len(table) and (undone or not choice.selected_by):
        raise InputError(f'There is no region to analyse: {"; ".join(notes)}.')
    table['value'] = table['value_area' if choice.area_weighted else 'value']
    regions = table[list(REGION_COLUMNS)].drop_duplicates('outcome').reset_index(drop=True)
    return without_prefixes(table[list(VALUE_COLUMNS)]), regions, notes


def _named(regions: pd.DataFrame) -> pd.Series:
    """Names of the outcomes; parcels of two atlases that share a name have the atlas in it."""
    name = regions['roi'].astype(str)
    shared = regions.groupby('roi')['atlas'].transform('nunique') > 1
    shared &= regions['source'] != 'apriori'
    return name.where(~shared, regions['atlas'].astype(str) + ':' + name)


def _selection_notes(output_dir: Path, item: PlannedAnalysis, any_region: bool) -> list[str]:
    """Say why an analysis gives no region, or not all that it could have given."""
    name, start = item.analysis.name, item.folder(output_dir) / item.stem
    significant = read_json(Path(f'{start}_summary.json'))['SignificantGrayordinates']
    if not any(significant.values()):
        return [f'nothing is significant in {name}']
    told = read_json(Path(f'{start}_roi.json')).get('Notes', [])
    notes = [f'regions of {name}: {note[0].lower()}{note[1:].removesuffix(".")}' for note in told]
    if any_region:
        return notes
    return notes or [f'what is significant in {name} makes no region']


def _parcels_name(contrast: str) -> str:
    return f'group/group_contrast-{contrast}_parcels.tsv'


def _lacking(choice: RegionChoice, parcels: pd.DataFrame) -> list[str]:
    """Say which regions are not there; a label that its atlas does not have is an error."""
    declared = parcels['source'] == 'apriori'
    of_atlas = set(parcels.loc[~declared & (parcels['atlas'] == choice.atlas), 'roi'])
    wrong = sorted(set(choice.labels) - of_atlas)
    if wrong and of_atlas:
        raise InputError(
            f'There is no region {", ".join(wrong)}: see the column roi of '
            f'{_parcels_name(choice.contrast)}.'
        )
    notes = []
    if choice.atlas is not None and not of_atlas:
        notes.append(f'there are no labels of {choice.atlas} (see --atlas)')
    unmade = sorted(set(choice.apriori) - set(parcels.loc[declared, 'roi']))
    if unmade:
        notes.append(
            f'the regions {", ".join(unmade)} could not be made, as their atlas is not there '
            '(see --atlas)'
        )
    return notes


def without_prefixes(table: pd.DataFrame) -> pd.DataFrame:
    """Take the prefixes off the labels of participants and sessions.

    Parameters
    ----------
    table : DataFrame
    """
    return table.assign(
        participant_id=table['participant_id'].astype(str).str.removeprefix('sub-'),
        session_id=table['session_id'].fillna('').astype(str).str.removeprefix('ses-'),
    )
