"""Variables of people by group: descriptions, and the tests that go with them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.clinical.data import ClinicalData
from ketbids.stats.clinical.rows import Loss, in_subset, nobody
from ketbids.stats.clinical.specs import Statistic
from ketbids.stats.effectsizes import partial_eta2
from ketbids.stats.ordinary.contingency import chi_squared, fisher_exact
from ketbids.stats.ordinary.distribution import levene
from ketbids.stats.ordinary.location import OmnibusTest, anova, t_test
from ketbids.stats.ordinary.ranks import RankTest, kruskal_wallis, mann_whitney
from ketbids.stats.people import as_text, is_missing, listing

__all__ = ['ALL', 'METHODS', 'Variable', 'compare', 'comparison_table', 'describe']
__all__ += ['description_table', 'find_variables', 'group_levels', 'members']

#: Everybody, whatever the group.
ALL = 'all'

#: How `compare` tests, for the methods section.
METHODS = (
    "Numbers of two groups were compared by Welch's t test (Cohen's d over the pooled standard "
    "deviation and Hedges' g with exact 95 % confidence intervals; the Mann-Whitney test beside "
    'it), of more groups by one-way analysis of variance (eta squared with an exact 90 % '
    'confidence interval; the Kruskal-Wallis test beside it); equality of variances was checked '
    "by the Brown-Forsythe test. Factors were compared by Pearson's chi-squared test without "
    "Yates' correction, or by Fisher's exact test where a count below 5 was expected. All tests "
    'are two-sided; p is not corrected for the number of variables. Who lacked a value was left '
    'out of the description and the test of that variable only; a group in which nobody had one '
    'was left out of that test, which names the others.'
)

_DESCRIPTION: tuple[str, ...] = ('variable', 'session_id', 'level', 'group', 'n', 'n_missing')
_DESCRIPTION += ('mean', 'sd', 'median', 'minimum', 'maximum', 'count', 'percent', 'shown')
_TEST: tuple[str, ...] = ('variable', 'session_id', 'groups', 'n', 'test', 'statistic')
_TEST += ('num_df', 'den_df', 'p')
_TEST += ('difference', 'ci95_low', 'ci95_high', 'd', 'd_ci95_low', 'd_ci95_high')
_TEST += ('g', 'g_ci95_low', 'g_ci95_high', 'eta2', 'eta2_ci90_low', 'eta2_ci90_high')
_TEST += ('cramers_v', 'smallest_expected', 'rank_test', 'rank_statistic', 'rank_p')
_TEST += ('equal_variances_p', 'note', 'not_available')

#: Levels of a factor that the model file does not list, beyond which it is taken for a mistake.
_MOST_GROUPS = 10

_TEXTS = {'variable', 'session_id', 'level', 'group', 'groups', 'test', 'rank_test', 'shown'}
_TEXTS |= {'note', 'not_available'}
_COUNTS = {'n', 'n_missing'}

#: Below this expected count the chi-squared approximation is not trusted.
_SMALL = 5


class Variable(NamedTuple):
    """A variable of people, or a score at a session.

    Attributes
    ----------
    name : str
    session : str
        The empty text for a variable of people.
    column : str
        Column of the table of people.
    levels : tuple of str
        Of a factor; empty: a number.
    """

    name: str
    session: str
    column: str
    levels: tuple[str, ...]


def members(
    data: ClinicalData, statistic: Statistic, *, excluded: bool = False
) -> tuple[pd.DataFrame, list[Loss]]:
    """People of a statistic's subset, and who is not among them; see `in_subset`.

    Raises
    ------
    InputError
        Nobody is.
    """
    found, losses = in_subset(data, statistic.subset, excluded=excluded)
    if not found:
        raise InputError(f'Statistic {statistic.name}: {nobody(statistic.subset, losses)}')
    return data.people.loc[found], losses


def group_levels(people: pd.DataFrame, by: str, data: ClinicalData) -> tuple[str, ...]:
    """Levels of a factor that occur, in the order of the model file, else as sorted.

    Raises
    ------
    InputError
        There is no such variable, or it does not make groups: a number with decimals, or more
        than 10 values that ``Levels`` of the model file does not list.
    """
    if by not in people.columns:
        raise InputError(
            f'There is no variable {by} to group people by; at hand: '
            f'{", ".join(map(str, people.columns))}'
        )
    found = set(as_text(people[by]).dropna())
    ordered = [level for level in data.levels.get(by, ()) if level in found]
    if by not in data.levels:
        broken = [v for v in people[by] if isinstance(v, float) and not is_missing(v) and v % 1]
        if broken:
            raise InputError(
                f'{by} cannot make groups: it is a number, such as {broken[0]:g}; take a factor, '
                'or derive one from it (Derive of the model file)'
            )
        if len(found) > _MOST_GROUPS:
            raise InputError(
                f'{by} cannot make groups: it has {len(found)} values, more than {_MOST_GROUPS} '
                f'({", ".join(sorted(found)[:3])}, ...); if it is a factor, list its Levels in '
                'the model file'
            )
    return (*ordered, *sorted(found - set(ordered)))


def find_variables(
    names: Sequence[str], sessions: Sequence[str], people: pd.DataFrame, data: ClinicalData
) -> list[Variable]:
    """Find the columns of variables of people, and of scores at each session.

    Raises
    ------
    InputError
        If neither is there.
    """
    found = []
    for name in names:
        if name in people.columns:
            columns = [('', name)]
        else:
            columns = [(s, f'{name}_{s}') for s in sessions if f'{name}_{s}' in people.columns]
        if not columns:
            when = f' nor a score of {", ".join(sessions)}' if any(sessions) else ''
            raise InputError(
                f'{name} is neither a variable of people{when}; at hand: '
                f'{", ".join(map(str, people.columns))}'
            )
        for session, column in columns:
            found.append(Variable(name, session, column, _levels(people, column, name, data)))
    scored = [name for name in names if name not in people.columns]
    lacking = [s for s in sessions if s and s not in {variable.session for variable in found}]
    if scored and lacking:
        raise InputError(f'{listing(scored)} has no value at {listing(lacking)}')
    return found


def _levels(people: pd.DataFrame, column: str, name: str, data: ClinicalData) -> tuple[str, ...]:
    """Levels of a factor; none for a number."""
    known = [value for value in people[column] if not is_missing(value)]
    declared = column in data.levels or name in data.levels
    plain = all(
        isinstance(v, int | float | np.integer | np.floating) and not isinstance(v, bool)
        for v in known
    )
    if plain and not declared:
        return ()
    text = set(as_text(people[column]).dropna())
    ordered = [v for v in data.levels.get(column, data.levels.get(name, ())) if v in text]
    return (*ordered, *sorted(text - set(ordered)))


def describe(
    people: pd.DataFrame, groups: pd.Series, levels: Sequence[str], variable: Variable
) -> list[dict[str, Any]]:
    """Describe a variable in everybody and in each group.

    Parameters
    ----------
    people : DataFrame
        Indexed by participant.
    groups : Series
        Group of each, None where unknown.
    levels : sequence of str
        Groups in their order.
    variable : Variable

    Returns
    -------
    list of dict
        Rows of `description_table`: one per group, and of a factor one per level and group.
    """
    rows: list[dict[str, Any]] = []
    for group in (ALL, *levels):
        own = people if group == ALL else people[(groups == group).to_numpy(bool)]
        start: dict[str, Any] = {
            'variable': variable.name,
            'session_id': _label(variable),
            'group': group,
        }
        if variable.levels:
            values = as_text(own[variable.column]).dropna()
            sizes: dict[str, Any] = {'n': len(values), 'n_missing': len(own) - len(values)}
            for level in variable.levels:
                count = int((values == level).sum())
                percent = 100 * count / len(values) if len(values) else np.nan
                shown = f'{count} ({percent:.1f} %)' if len(values) else None
                rows.append(
                    start
                    | sizes
                    | {'level': level, 'count': count, 'percent': percent, 'shown': shown}
                )
            continue
        numbers = _numbers(own[variable.column])
        row = start | {'n': len(numbers), 'n_missing': len(own) - len(numbers)}
        if len(numbers):
            mean, sd = numbers.mean(), numbers.std(ddof=1) if len(numbers) > 1 else np.nan
            row |= {'mean': mean, 'sd': sd, 'median': np.median(numbers)}
            row |= {'minimum': numbers.min(), 'maximum': numbers.max(), 'shown': _shown(mean, sd)}
        rows.append(row)
    return rows


def compare(
    people: pd.DataFrame, groups: pd.Series, levels: Sequence[str], variable: Variable
) -> dict[str, Any]:
    """Test whether a variable differs between groups.

    Parameters
    ----------
    people, groups, levels, variable
        See `describe`.

    Returns
    -------
    dict
        A row of `comparison_table`; ``not_available`` says why there is no test. Levels without
        any value are left out of the test, if two others have some: ``groups`` and ``note`` say
        so.
    """
    row: dict[str, Any] = {'variable': variable.name, 'session_id': _label(variable)}
    row['groups'] = ', '.join(levels)
    if len(levels) < 2:
        told = f'only the group {levels[0]}' if levels else 'no group'
        return row | {'n': 0, 'not_available': f'{told} is there'}
    known = ~people[variable.column].map(is_missing).to_numpy(bool)
    own = {
        level: people[variable.column][(groups == level).to_numpy(bool) & known]
        for level in levels
    }
    row['n'] = sum(map(len, own.values()))
    there = [level for level, values in own.items() if len(values)]
    none = f'no value in {", ".join(level for level in levels if level not in there)}'
    if len(there) < 2:
        return row | {'not_available': none}
    if variable.levels:
        found = _compare_factor({level: as_text(own[level]) for level in there}, variable.levels)
    else:
        samples = {level: _numbers(own[level]) for level in there}
        found = _compare_two(samples) if len(samples) == 2 else _compare_many(samples)
    if len(there) < len(levels):
        told = f'{none}: over {listing(there)}'
        found['note'] = f'{told}; {found["note"]}' if found.get('note') else told
        row['groups'] = ', '.join(there)
    return row | found


def _compare_two(samples: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Any]:
    first, second = samples.values()
    found = t_test(first, second)
    row: dict[str, Any] = {'test': 'Welch t', **_beside(samples, mann_whitney(first, second))}
    if found.not_available or found.effect is None:
        return row | {'not_available': found.not_available}
    size = found.effect
    row |= {'statistic': found.t, 'den_df': found.df, 'p': found.p}
    row |= {'difference': found.difference, 'ci95_low': found.low, 'ci95_high': found.high}
    row |= {'d': size.d, 'd_ci95_low': size.d_low, 'd_ci95_high': size.d_high}
    return row | {'g': size.g, 'g_ci95_low': size.g_low, 'g_ci95_high': size.g_high}


def _compare_many(samples: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Any]:
    found = anova(samples)
    row: dict[str, Any] = {'test': 'ANOVA', **_beside(samples, kruskal_wallis(samples))}
    if found.not_available:
        return row | {'not_available': found.not_available}
    size = partial_eta2(found.statistic, found.num_df, found.den_df)
    row |= {'statistic': found.statistic, 'p': found.p}
    row |= {'num_df': found.num_df, 'den_df': found.den_df}
    return row | {'eta2': size.eta2, 'eta2_ci90_low': size.low, 'eta2_ci90_high': size.high}


def _beside(
    samples: Mapping[str, npt.NDArray[np.float64]], ranks: RankTest | OmnibusTest
) -> dict[str, Any]:
    name = 'Mann-Whitney' if isinstance(ranks, RankTest) else 'Kruskal-Wallis'
    return {
        'rank_test': name,
        'rank_statistic': ranks.statistic,
        'rank_p': ranks.p,
        'equal_variances_p': levene(samples).p,
    }


def _compare_factor(texts: Mapping[str, pd.Series], levels: Sequence[str]) -> dict[str, Any]:
    table = np.array([[int((own == level).sum()) for level in levels] for own in texts.values()])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return {'test': 'chi-squared', 'not_available': 'everybody has the same level'}
    found = chi_squared(table)
    row: dict[str, Any] = {'test': 'chi-squared', 'statistic': found.statistic}
    row |= {'num_df': found.df, 'p': found.p, 'cramers_v': found.cramers_v}
    row['smallest_expected'] = found.smallest_expected
    if found.smallest_expected >= _SMALL:
        return row
    exact = fisher_exact(table)
    if exact.not_available:
        few = f'a count of {found.smallest_expected:.1f} is expected: the approximation is poor'
        return row | {'note': few}
    return row | {'test': 'Fisher exact', 'statistic': np.nan, 'num_df': np.nan, 'p': exact.p}


def description_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Table of rows from `describe`."""
    return _table(rows, _DESCRIPTION)


def comparison_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Table of rows from `compare`."""
    return _table(rows, _TEST)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame([dict(row) for row in rows], columns=list(columns))
    for name in columns:
        if name in _TEXTS:
            table[name] = pd.Series(
                [None if is_missing(v) else v for v in table[name]], dtype='object'
            )
        else:
            table[name] = table[name].astype('float64')
            if name in _COUNTS:
                table[name] = table[name].fillna(0).astype('int64')
    return table


def _label(variable: Variable) -> str | None:
    return variable.session or None


def _numbers(column: pd.Series) -> npt.NDArray[np.float64]:
    return np.array([float(value) for value in column if not is_missing(value)])


def _shown(mean: float, sd: float) -> str:
    """Mean and standard deviation with as many decimals as the latter gives reason for."""
    if not sd > 0:
        return f'{mean:.1f}' + ('' if np.isnan(sd) else f' ({sd:.1f})')
    decimals = int(np.clip(1 - np.floor(np.log10(sd)), 1, 6))
    return f'{mean:.{decimals}f} ({sd:.{decimals}f})'
