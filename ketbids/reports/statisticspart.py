"""Declared statistics, for the page of the group."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ketbids.reports.links import Link
from ketbids.reports.tables import Table

__all__ = ['StatisticSection', 'statistic_section']

#: Tables that are shown, in this order: caption, and whether it stands open on the page.
_SHOWN: Mapping[str, tuple[str, bool]] = {
    'table': ('By group', True),
    'tests': ('Tests of differences between groups', True),
    'counts': ('Counts', True),
    'flow': ('Participants', True),
    'visit_pairs': ('Participants with both, or one, of two visits', True),
    'dropout': ('Completers and drop-outs at the first visit', True),
    'dropout_tests': ('Tests of completers against drop-outs', True),
    'terms': ('Tests of the terms (type III)', True),
    'comparisons': ('Distance to the reference group', True),
    'correlations': ('Correlations', True),
    'families': ('Corrected p, per family of tests', False),
    'pairs': ('Differences between marginal means', False),
    'emmeans': ('Marginal means', False),
    'estimates': ('Estimates of the model', False),
    'covariance': ('Covariance parameters', False),
    'comparison': ('Other covariance structures', False),
    'missing': ('What was missing, and what followed', False),
}
#: Columns of tables that have more of them than a page is wide, in this order.
_TESTS = (
    *('variable', 'session_id', 'test', 'n', 'statistic', 'den_df', 'p', 'difference', 'ci95'),
    *('g', 'rank_p', 'note', 'not_available'),
)
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    'tests': _TESTS,
    'dropout_tests': _TESTS,
    'terms': (
        *('outcome', 'term', 'n_subjects', 'num_df', 'den_df', 'f', 'selection', 'p', 'p_holm'),
        *('stars', 'p_circular', 'partial_eta2', 'ci90', 'not_available'),
    ),
    'comparisons': (
        *('outcome', 'group', 'session_id', 'n', 'n_reference', 'estimate', 'ci95', 't', 'df'),
        *('selection', 'p', 'p_holm', 'stars', 'p_holm_outcome', 'p_circular', 'g'),
        'not_available',
    ),
    'correlations': (
        *('outcome', 'values', 'n', 'r', 'ci95', 'selection', 'p', 'p_holm', 'stars'),
        *('p_circular', 'partial_r', 'p_partial', 'p_partial_holm', 'not_available'),
    ),
}
#: Columns of the others that a page does without.
_LEFT_OUT = frozenset(
    {'source', 'selected_by', 'companion', 'expression', 'denominator', 'means', 'adjust'}
    | {'d', 'p_bonferroni', 'p_sidak', 'p_tukey', 'percent_of_all', 'minimum', 'maximum'}
)
_HEADINGS = {
    'session_id': 'session',
    'ci95': '95 % interval',
    'ci90': '90 % interval',
    'p_holm': 'p Holm',
    'p_holm_family': 'p Holm (family)',
    'p_holm_outcome': 'p Holm (outcome)',
    'p_partial_holm': 'of it, Holm',
    'p_bh': 'p FDR',
    'p_fdr': 'p FDR',
    'f': 'F',
    'num_df': 'df 1',
    'den_df': 'df 2',
    'n_subjects': 'n',
    'rank_p': 'p of ranks',
    'partial_r': 'partial r',
    'p_partial': 'p of it',
    'stars': '',
    'not_available': 'why n/a',
}
_P_VALUES = frozenset(
    {'p', 'p_circular', 'p_fdr', 'p_bh', 'p_holm', 'p_bonferroni', 'p_adjusted', 'p_partial'}
    | {'rank_p', 'p_holm_family', 'p_fdr_family', 'p_holm_outcome', 'p_partial_holm'}
)
#: Longer tables are folded.
_MOST_ROWS = 40
_CIRCULAR = (
    'Rows marked direct or shared-data are of regions that were chosen with the maps that they '
    'test: their p stands apart (p circular), is not corrected, and is no evidence. After each '
    'stands its whole parcel. That parcel is looked at because a region was found in it, so only '
    'p Holm counts, which is corrected over all parcels of the atlas; those that are not '
    'shown here are in the table beside the page.'
)


@dataclass(frozen=True)
class StatisticSection:
    """One declared statistic on the group page.

    Attributes
    ----------
    title, description : str
    sentences : tuple of str
        Results as they would stand in a paper.
    warnings : tuple of str
    methods : str
    tables, details : tuple of Table
        Those that stand open, and those that are folded.
    footnotes : tuple of str
    links : tuple of Link
        Its files.
    """

    title: str
    description: str = ''
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    methods: str = ''
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    footnotes: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


def statistic_section(
    name: str,
    summary: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    links: Sequence[Link] = (),
) -> StatisticSection:
    """Make the section of a statistic.

    Parameters
    ----------
    name : str
    summary : mapping
        ``Description``, ``Methods``, ``Sentences``, ``Warnings``, ``Notes``.
    tables : mapping of str to DataFrame
        By suffix of the file.
    links : sequence of Link
        Its files.
    """
    opened: list[Table] = []
    folded: list[Table] = []
    circular = False
    beside = {n for table in tables.values() for n in table.get('companion', ()) if n == n and n}
    for suffix, (caption, is_open) in _SHOWN.items():
        if suffix not in tables or not len(tables[suffix]):
            continue
        table = tables[suffix]
        circular |= bool({'direct', 'shared-data'} & set(table.get('selection', ())))
        shown = _table(suffix, table, caption, beside)
        (opened if is_open and len(shown.rows) <= _MOST_ROWS else folded).append(shown)
    return StatisticSection(
        title=name,
        description=str(summary.get('Description') or ''),
        sentences=tuple(summary.get('Sentences', ())),
        warnings=(*summary.get('Notes', ()), *summary.get('Warnings', ())),
        methods=str(summary.get('Methods', '')),
        tables=tuple(opened),
        details=tuple(folded),
        footnotes=(_CIRCULAR,) if circular else (),
        links=tuple(links),
    )


def _table(suffix: str, table: pd.DataFrame, caption: str, beside: Collection[str]) -> Table:
    """Leave out columns without any value, and write numbers for people."""
    if 'shown' in table:
        table = _side_by_side(table)
    elif suffix == 'flow':
        table = _by_session(table)
    else:
        table = _with_interval(_found(table, beside))
    names = [str(name) for name in table]
    wanted = _COLUMNS.get(suffix, [name for name in names if name not in _LEFT_OUT])
    kept = [name for name in wanted if name in names and table[name].notna().any()]
    headings = {name: _HEADINGS.get(name, name.replace('_', ' ')) for name in kept}
    whole = [n for n in kept if n.startswith('n_') or n in ('n', 'num_df', 'count')]
    cells = table[kept].replace('', None)
    if 'stars' in kept:
        cells['stars'] = cells['stars'].astype(object).where(cells['stars'].notna(), '')
    return Table.from_frame(
        cells,
        caption=caption,
        headings=headings,
        decimals={**dict.fromkeys(whole, 0), 'den_df': 2, 'df': 2, 'f': 2, 't': 2},
        p_values=tuple(name for name in kept if name in _P_VALUES),
    )


def _found(table: pd.DataFrame, beside: Collection[str]) -> pd.DataFrame:
    """Of the parcels of an atlas show those with a region that was found, by corrected p."""
    if 'source' not in table or not beside:
        return table
    parcel = table['source'] == 'parcel'
    shown = table[~parcel | table['outcome'].isin(beside)].copy()
    # Other corrections of pairs are within an outcome.
    own = 'p_holm_family' if 'p_holm_family' in shown else 'p_holm'
    kept = {own, own.replace('holm', 'fdr'), 'p_partial_holm', 'p_bh', 'p_circular'}
    whole = shown['source'] == 'parcel'
    for name in map(str, list(shown)):
        if name not in kept and (name == 'p' or name.startswith('p_')):
            shown[name] = shown[name].mask(whole)
    return shown


def _by_session(flow: pd.DataFrame) -> pd.DataFrame:
    """Give the study and each session a column."""
    sessions = list(dict.fromkeys(flow['session_id'].dropna()))
    reason = flow['reason'].map(lambda why: f' ({why})' if isinstance(why, str) else '')
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for group, stage, session, n in zip(
        flow['group'], flow['stage'] + reason, flow['session_id'], flow['n'], strict=True
    ):
        row = rows.setdefault((group, stage), {'group': group, 'stage': stage})
        row[session if isinstance(session, str) else 'study'] = str(n)
    return pd.DataFrame(rows.values(), columns=['group', 'stage', 'study', *sessions])


def _side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Give the groups a column each, as papers have it."""
    keys = [name for name in ('variable', 'session_id', 'level') if table[name].notna().any()]
    groups = list(dict.fromkeys(table['group']))
    rows = []
    for key, own in table.groupby(keys, sort=False, dropna=False):
        cells = dict(zip(own['group'], own['shown'], strict=True))
        row = dict(zip(keys, key, strict=True))
        rows.append(row | {str(group): cells.get(group) for group in groups})
    return pd.DataFrame(rows)


def _with_interval(table: pd.DataFrame) -> pd.DataFrame:
    """Put the limits of an interval into one column, where the first of them stands."""
    for name in ('ci95', 'ci90'):
        low, high = f'{name}_low', f'{name}_high'
        if low in table and high in table:
            limits = zip(table[low].astype(float), table[high].astype(float), strict=True)
            text = pd.Series(
                [f'{a:.3g} to {b:.3g}' if a == a and b == b else None for a, b in limits],
                index=table.index,
                dtype='object',
            )
            table = table.drop(columns=high).rename(columns={low: name})
            table[name] = text.str.replace('-', '\N{MINUS SIGN}')
    unshown = [name for name in table if str(name).endswith(('ci95_low', 'ci95_high'))]
    return table.drop(columns=unshown)
