"""Declared statistics, for the page of the group."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ketbids.reports.links import Link
from ketbids.reports.statisticcells import P_VALUES, joined
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
#: Columns of the tables of means and pairs that are no factors.
_NO_FACTORS = frozenset(
    {'outcome', 'source', 'selected_by', 'companion', 'means', 'contrast', 'estimate', 'se', 'df'}
    | {'t', 'selection', 'p', 'family', 'p_holm_family', 'p_fdr_family', 'p_circular', 'stars'}
    | {'p_adjusted', 'adjust', 'p_bonferroni', 'p_holm', 'p_sidak', 'p_tukey', 'ci95_low'}
    | {'ci95_high', 'd', 'd_ci95_low', 'd_ci95_high', 'g', 'g_ci95_low', 'g_ci95_high'}
    | {'denominator', 'n', 'mean', 'sd', 'emmean', 'not_available'}
)
#: Columns that are shown, the most important first, as the rest may be beyond the edge.
_TESTS = (
    *('variable', 'session_id', 'test', 'n', 'statistic', 'p', 'difference', 'g', 'rank_p'),
    'not_available',
)
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    'tests': _TESTS,
    'dropout_tests': _TESTS,
    'terms': (
        *('outcome', 'term', 'selection', 'f', 'p', 'p_circular', 'p_holm', 'stars'),
        *('partial_eta2', 'n_subjects', 'not_available'),
    ),
    'comparisons': (
        *('outcome', 'group', 'session_id', 'selection', 'estimate', 't', 'p', 'p_circular'),
        *('p_holm', 'stars', 'p_holm_outcome', 'g', 'n', 'not_available'),
    ),
    'correlations': (
        *('outcome', 'values', 'selection', 'r', 'p', 'p_circular', 'p_holm', 'stars'),
        *('partial_r', 'p_partial', 'p_partial_holm', 'n', 'not_available'),
    ),
    'families': ('family', 'test', 'outcome', 'n_tests', 'p', 'p_holm', 'p_fdr', 'stars'),
    'pairs': (
        *('outcome', 'contrast', 'selection', 'estimate', 't', 'p_adjusted', 'p_circular'),
        *('p_holm_family', 'stars', 'g', 'not_available'),
    ),
    'emmeans': ('outcome', 'selection', 'emmean', 'n', 'mean'),
    'estimates': ('outcome', 'term', 'selection', 'estimate', 't', 'p', 'p_circular', 'p_holm'),
    'covariance': ('outcome', 'parameter', 'estimate', 'se', 'wald_z', 'note'),
    'comparison': (
        *('outcome', 'covariance', 'term', 'selection', 'f', 'p', 'p_circular', 'aic', 'bic'),
        *('minus2_restricted_loglik', 'n_covariance_parameters', 'singular', 'not_available'),
    ),
}
#: Columns of the others that a page does without.
_LEFT_OUT = frozenset({'expression', 'percent_of_all', 'minimum', 'maximum'})
_HEADINGS = {
    'session_id': 'session',
    'p_holm': 'p Holm',
    'p_holm_family': 'p Holm (family)',
    'p_holm_outcome': 'p Holm (outcome)',
    'p_partial_holm': 'of it, Holm',
    'p_fdr': 'p FDR',
    'f': 'F',
    't': 't',
    'statistic': 'statistic (df)',
    'n_subjects': 'n',
    'n_tests': 'tests',
    'rank_p': 'p of ranks',
    'p_partial': 'p of it',
    'minus2_restricted_loglik': '\N{MINUS SIGN}2 restricted log-likelihood',
    'n_covariance_parameters': 'parameters',
    'aic': 'AIC',
    'bic': 'BIC',
    'stars': '',
    'not_available': 'why n/a',
}
#: Headings of values that have an interval beside them.
_WITH_INTERVAL = {
    'ci95': {'estimate': 'estimate', 'emmean': 'marginal mean', 'difference': 'difference'}
    | {'percent': 'percent', 'r': 'r'},
    'ci90': {'partial_eta2': 'partial \u03b7\u00b2'},
    'partial_ci95': {'partial_r': 'partial r'},
    'g_ci95': {'g': 'g'},
}
_ADJUSTED = {'none': 'p', 'bonferroni': 'p Bonferroni', 'holm': 'p Holm', 'sidak': 'p Sidak'}
_ADJUSTED |= {'tukey': 'p Tukey'}
_TWO_DECIMALS = ('aic', 'bic', 'wald_z', 'minus2_restricted_loglik')
#: Longer tables are folded, and those that are longer still are not on the page.
_MOST_ROWS = 40
_MOST_FOLDED_ROWS = 200
_CHOSEN = frozenset({'direct', 'shared-data'})
_CIRCULAR = (
    'Rows marked direct or shared-data are of regions that were chosen with the maps that they '
    'test: in place of p they have the word circular. The number stands apart (p circular), is '
    'not corrected, and is no evidence. After each stands its whole parcel. That parcel is looked '
    'at because a region was found in it, so only p Holm counts, which is corrected over all '
    'parcels of the atlas; those that are not shown here are in the table beside the page.'
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
    unshown: list[str] = []
    beside = {n for table in tables.values() for n in table.get('companion', ()) if n == n and n}
    asked = _asked(summary)
    for suffix, (caption, is_open) in _SHOWN.items():
        if suffix not in tables or not len(tables[suffix]):
            continue
        rows = _found(tables[suffix], beside, asked)
        if suffix == 'families' and 'Statistic' in summary:
            # The others stand as p Holm beside each p.
            rows = rows[rows['family'].isin(list(summary['Statistic'].get('families') or ()))]
            if not len(rows):
                continue
        file = f'{name}_{suffix}.tsv'
        if len(rows) > _MOST_FOLDED_ROWS:
            rows = _named_beforehand(rows)
        if len(rows) > _MOST_FOLDED_ROWS:
            unshown.append(f'{caption} ({len(rows)} rows): {file}')
            continue
        if len(rows) < len(tables[suffix]):
            caption += f', {len(rows)} of {len(tables[suffix])} rows (all: {file})'
        shown = _table(suffix, rows, caption)
        (opened if is_open and len(shown.rows) <= _MOST_ROWS else folded).append(shown)
    circular = any(_CHOSEN & set(table.get('selection', ())) for table in tables.values())
    footnotes = [_CIRCULAR] if circular else []
    footnotes += _notes(tables)
    if unshown:
        footnotes.append(f'Too long for a page, in files only: {"; ".join(unshown)}.')
    return StatisticSection(
        title=name,
        description=str(summary.get('Description') or ''),
        sentences=tuple(summary.get('Sentences', ())),
        warnings=(*summary.get('Notes', ()), *summary.get('Warnings', ())),
        methods=str(summary.get('Methods', '')),
        tables=tuple(opened),
        details=tuple(folded),
        footnotes=tuple(footnotes),
        links=tuple(links),
    )


def _asked(summary: Mapping[str, Any]) -> frozenset[str]:
    """Labels that the model file names."""
    outcome = summary.get('Statistic', {}).get('outcome') or {}
    return frozenset((outcome.get('regions') or {}).get('labels', ()))


def _notes(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Say once what is to be known of variables in a table of tests."""
    found: dict[str, list[str]] = {}
    for suffix in ('tests', 'dropout_tests'):
        table = tables.get(suffix)
        if table is None or 'note' not in table:
            continue
        for variable, session, note in zip(
            table['variable'], table['session_id'], table['note'], strict=True
        ):
            if isinstance(note, str) and note:
                at = f' at {session.removeprefix("ses-")}' if isinstance(session, str) else ''
                found.setdefault(note, []).append(f'{variable}{at}')
    return [f'{", ".join(names)}: {note}.' for note, names in found.items()]


def _table(suffix: str, table: pd.DataFrame, caption: str) -> Table:
    """Leave out columns without any value, and write numbers for people."""
    if 'shown' in table:
        cells = _side_by_side(table)
    elif suffix == 'flow':
        cells = _by_session(table)
    else:
        cells = joined(table)
    names = [str(name) for name in cells]
    wanted = _COLUMNS.get(suffix, tuple(name for name in names if name not in _LEFT_OUT))
    if suffix in ('pairs', 'emmeans'):
        factors = tuple(name for name in names if name not in _NO_FACTORS)
        wanted = (wanted[0], *factors, *wanted[1:])
        cells[list(factors)] = cells[list(factors)].astype(object).fillna('')
    cells = cells.replace('', None) if suffix not in ('pairs', 'emmeans') else cells
    if 'selection' in names:
        _mark_circular(cells, wanted)
    kept = [
        name for name in wanted if name in names and cells[name].replace('', None).notna().any()
    ]
    cells = cells[kept]
    for name in {'stars', 'p_circular', 'not_available'} & set(kept):
        cells[name] = cells[name].astype(object).where(cells[name].notna(), '')
    whole = [n for n in kept if n.startswith('n_') or n in ('n', 'count')]
    made = Table.from_frame(
        cells,
        caption=caption,
        headings={name: _heading(name, table) for name in kept},
        decimals=dict.fromkeys(whole, 0) | dict.fromkeys(_TWO_DECIMALS, 2),
    )
    numeric = [known or name in P_VALUES for known, name in zip(made.numeric, kept, strict=True)]
    return replace(made, numeric=tuple(numeric))


def _mark_circular(cells: pd.DataFrame, wanted: Collection[str]) -> None:
    """Say in the first p of a row why it has none."""
    first = next((name for name in wanted if name in ('p', 'p_adjusted') and name in cells), None)
    if first:
        chosen = cells['selection'].isin(_CHOSEN) & cells[first].isna()
        cells[first] = cells[first].astype(object).mask(chosen, 'circular')


def _heading(name: str, table: pd.DataFrame) -> str:
    """Heading of a column, by what stands in its cells."""
    if name == 'p_adjusted':
        methods = {str(method) for method in table['adjust'].dropna()}
        known = _ADJUSTED.get(methods.pop(), 'p') if len(methods) == 1 else 'p'
        return known if known == 'p' else f'{known} (pairs)'
    if name == 'mean' and 'sd' in table:
        return 'mean (SD)'
    if name == 'n' and 'n_reference' in table:
        return 'n (of the reference)'
    for within, values in _WITH_INTERVAL.items():
        if name in values and f'{within}_low' in table:
            return f'{values[name]} [{90 if within == "ci90" else 95}% CI]'
    return _HEADINGS.get(name, name.replace('_', ' '))


def _named_beforehand(table: pd.DataFrame) -> pd.DataFrame:
    """Of too many regions keep those that the model file names, if it names any."""
    named = table['source'] == 'apriori' if 'source' in table else pd.Series(dtype=bool)
    return table[named] if named.any() else table


def _found(table: pd.DataFrame, beside: Collection[str], asked: Collection[str]) -> pd.DataFrame:
    """Of the parcels of an atlas show those with a region that was found, by corrected p."""
    if 'source' not in table or not beside:
        return table
    parcel = table['source'] == 'parcel'
    shown = table[~parcel | table['outcome'].isin({*beside, *asked})].copy()
    # Other corrections of pairs are within an outcome.
    own = 'p_holm_family' if 'p_holm_family' in shown else 'p_holm'
    kept = {own, own.replace('holm', 'fdr'), 'p_partial_holm', 'p_circular'}
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
