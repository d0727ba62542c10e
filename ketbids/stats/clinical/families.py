"""p corrected over the outcomes of a family."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.outcomes import Measure, find_measures, measure_columns
from ketbids.stats.clinical.selection import stars
from ketbids.stats.clinical.specs import Statistic
from ketbids.stats.ordinary.corrections import Correction, adjust
from ketbids.stats.people import listing

__all__ = ['ALL', 'automatic_families', 'corrected_in_family', 'family_table']
__all__ += ['check_families', 'family_warnings', 'with_family', 'with_stars']

#: Family of all outcomes that are no regions.
ALL = 'all'
_METHODS: Mapping[str, Correction] = {
    'p_bonferroni': 'bonferroni',
    'p_holm': 'holm',
    'p_fdr': 'bh',
}


def automatic_families(measures: Sequence[Measure]) -> dict[str, tuple[str, ...]]:
    """Name the families that are made without being asked for; each outcome is in one.

    Parameters
    ----------
    measures : sequence of Measure

    Returns
    -------
    dict of str to tuple of str
        Outcomes by name of the family. Regions: those that the model file defines, those that
        one analysis found, the parcels (or networks) of one atlas; all parcels that an analysis
        searched are one family, of whatever atlas. Others: `ALL`, unless there is but one.
    """
    if not any(measure.kind == 'region' for measure in measures):
        return {ALL: tuple(measure.name for measure in measures)} if len(measures) > 1 else {}
    searched = sorted({str(measure.atlas) for measure in measures if measure.searched})
    found: dict[str, list[str]] = {}
    for measure in measures:
        if measure.source == 'apriori':
            family = 'a-priori regions'
        elif measure.source == 'significant':
            family = f'regions found by {measure.selected_by}'
        elif measure.searched:
            family = f'parcels of {listing(searched)}'
        else:
            family = f'{"networks" if measure.source == "network" else "parcels"} of '
            family += str(measure.atlas)
        found.setdefault(family, []).append(measure.name)
    return {family: tuple(names) for family, names in found.items()}


def with_family(
    table: pd.DataFrame,
    keys: Sequence[str],
    measures: Sequence[Measure],
    corrected: Mapping[str, Correction] | None = None,
) -> pd.DataFrame:
    """Put p that are corrected over the automatic family of a row behind its p.

    Parameters
    ----------
    table : DataFrame
        With ``outcome`` and ``p``; without p a row is in no family.
    keys : sequence of str
        Columns that tell tests apart: p of one test are corrected together.
    measures : sequence of Measure
        Outcomes of the table.
    corrected : mapping of str to str, optional
        Methods of correction by name of their columns; ``p_holm`` and ``p_fdr`` if not given.

    Returns
    -------
    DataFrame
        Also ``family``; of a single outcome that is no region all are missing.
    """
    of = {name: f for f, names in automatic_families(measures).items() for name in names}
    methods: Mapping[str, Correction] = corrected or {'p_holm': 'holm', 'p_fdr': 'bh'}
    family = table['outcome'].map(of).astype(object).where(table['p'].notna(), None)
    added = {name: pd.Series(np.nan, index=table.index, name=name) for name in methods}
    if of:
        by = [family, *(table[key].fillna('') for key in keys)]
        for _, group in table.groupby(by, sort=False):
            for name, method in methods.items():
                added[name].loc[group.index] = adjust(group['p'].to_numpy(float), method)
    place = list(table.columns).index('p') + 1
    head, tail = table.iloc[:, :place], table.iloc[:, place:]
    return pd.concat([head, family.rename('family'), *added.values(), tail], axis=1)


def with_stars(table: pd.DataFrame) -> pd.DataFrame:
    """Put ``stars`` behind what `with_family` gave: by ``p_holm``, without a family by p."""
    found = table.copy()
    counts = found['p_holm'].where(found['family'].notna(), found['p'])
    found.insert(list(found.columns).index('p_fdr') + 1, 'stars', stars(counts))
    return found


def corrected_in_family(
    tests: pd.DataFrame, families: Mapping[str, Sequence[str]], measures: Sequence[Measure]
) -> pd.DataFrame:
    """Correct the p of each test over the outcomes of each family.

    Parameters
    ----------
    tests : DataFrame
        ``outcome``, ``test`` and ``p``. Rows without p (tests of a region that was chosen by the
        same data, or that could not be made) are in no family.
    families : mapping of str to sequence of str
        Outcomes by name of the family, beside `automatic_families`; none: all.
    measures : sequence of Measure

    Returns
    -------
    DataFrame
        ``family``, ``test``, what `measure_columns` gives, ``n_tests``, ``p``,
        ``p_bonferroni``, ``p_holm``, ``p_fdr`` (false discovery rate), ``stars`` (by p_holm).
    """
    about = {measure.name: measure_columns(measure) for measure in measures}
    parts = []
    for family, outcomes in {**automatic_families(measures), **families}.items():
        inside = tests[tests['p'].notna()]
        if outcomes:
            inside = inside[inside['outcome'].isin(list(outcomes))]
        for test, group in inside.groupby('test', sort=False):
            part = pd.DataFrame([about[name] for name in group['outcome']])
            part.insert(0, 'test', test)
            part.insert(0, 'family', family)
            part['n_tests'] = len(group)
            part['p'] = group['p'].to_numpy(float)
            for column, method in _METHODS.items():
                part[column] = adjust(part['p'], method)
            part['stars'] = stars(part['p_holm'])
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def family_table(
    tests: pd.DataFrame, families: Mapping[str, Sequence[str]], measures: Sequence[Measure]
) -> dict[str, pd.DataFrame]:
    """Table ``families`` as `corrected_in_family` makes it; none for a single outcome."""
    if len(measures) < 2:
        return {}
    table = corrected_in_family(tests, families, measures)
    return {'families': table} if len(table) else {}


def check_families(statistic: Statistic, data: ClinicalData) -> list[str]:
    """Look for the outcomes that families name, before anything is computed.

    Returns
    -------
    list of str
        Sentences that name those that there are not: maybe a region that no analysis found.

    Raises
    ------
    InputError
        There cannot be such an outcome: the labels of the atlas are known.
    """
    families, outcome = getattr(statistic, 'families', {}), getattr(statistic, 'outcome', None)
    if outcome is None or not any(families.values()):
        return []
    measures = find_measures(outcome, data)
    told = family_warnings(families, measures)
    choice = outcome.regions
    if told and choice is not None and choice.atlas is not None and not choice.selected_by:
        there = [m.name for m in measures if m.atlas == choice.atlas and m.source != 'apriori']
        unmade = set(choice.apriori) - {measure.name for measure in measures}
        wrong = {n for names in families.values() for n in names} - unmade
        if there and wrong - {measure.name for measure in measures}:
            raise InputError(f'{" ".join(told)} There are {", ".join(m.name for m in measures)}.')
    return told


def family_warnings(
    families: Mapping[str, Sequence[str]], measures: Sequence[Measure]
) -> list[str]:
    """Name the outcomes of families that there are not."""
    known = {measure.name for measure in measures}
    return [
        f'Family {family}: there is no outcome {", ".join(lacking)}.'
        for family, outcomes in families.items()
        if (lacking := [name for name in outcomes if name not in known])
    ]
