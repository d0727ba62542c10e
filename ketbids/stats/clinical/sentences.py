"""Results as sentences, in the style of the APA."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from ketbids.stats.apa import decimals, f_text, p_text, r_text, t_text
from ketbids.stats.clinical.specs import CorrelationStatistic, LinearStatistic, MixedStatistic

__all__ = ['correlation_sentences', 'gathered', 'model_sentences', 'reference_sentences']

#: More tests than these, and only those below .05 have a sentence.
_MANY = 12
_SYMBOLS = {'pearson': 'r', 'spearman': 'r_s', 'kendall': 'tau'}


def model_sentences(
    statistic: MixedStatistic | LinearStatistic, tables: dict[str, pd.DataFrame]
) -> tuple[str, ...]:
    """Sentences about terms and, of a single outcome, pairs; circular tests have none."""
    found = []
    terms = tables['terms']
    chosen, count = _worth_telling(terms, ['term'])
    for row in chosen.to_dict('records'):
        text = f_text(
            row['f'],
            row['num_df'],
            row['den_df'],
            row['p'],
            row['partial_eta2'],
            row['ci90_low'],
            row['ci90_high'],
        )
        found.append(f'{row["outcome"]}, {row["term"]}: {_corrected(text, row)}.')
    pairs = tables.get('pairs', pd.DataFrame())
    if len(pairs) and len(set(terms['outcome'])) == 1:
        tested = pairs[pairs['p'].notna()]
        told = tested if len(tested) <= _MANY else tested[tested['p_adjusted'] < 0.05]
        for row in told.to_dict('records'):
            label = 'p' if statistic.adjust == 'none' else f'p({statistic.adjust})'
            size = t_text(row['t'], row['df'], row['p_adjusted'], row['d'], row['d_ci95_low'],
                          row['d_ci95_high'])  # fmt: skip
            size = size.replace(p_text(row['p_adjusted']), p_text(row['p_adjusted'], label))
            found.append(
                f'{row["outcome"]}, {row["means"]}, {_held(row)}{row["contrast"]}: '
                f'{decimals(row["estimate"])}, {size}.'
            )
    return (*count, *found)


def reference_sentences(statistic_reference: str, table: pd.DataFrame) -> tuple[str, ...]:
    """Sentences about distances to a reference group."""
    chosen, count = _worth_telling(table, ['group', 'session_id'])
    found = []
    for row in chosen.to_dict('records'):
        when = f' at {row["session_id"]}' if row['session_id'] else ''
        interval = f'95% CI [{decimals(row["ci95_low"])}, {decimals(row["ci95_high"])}]'
        found.append(
            f'{row["outcome"]}, {row["group"]}{when} minus {statistic_reference}: '
            f'{decimals(row["estimate"])}, {interval}, '
            f'{_corrected(t_text(row["t"], row["df"], row["p"], row["d"]), row)}.'
        )
    return (*count, *found)


def correlation_sentences(statistic: CorrelationStatistic, table: pd.DataFrame) -> tuple[str, ...]:
    """Sentences about correlations that are not circular."""
    chosen, count = _worth_telling(table, ['values'])
    found = []
    for row in chosen.to_dict('records'):
        text = r_text(
            row['r'],
            None if pd.isna(row['df']) else row['df'],
            row['p'],
            row['ci95_low'],
            row['ci95_high'],
            symbol=_SYMBOLS[statistic.method],
        )
        about = f'{row["outcome"]}, {row["values"]}, against {statistic.variable}'
        found.append(f'{about}: {_corrected(text, row)}.')
    return (*count, *found)


def gathered(warnings: Sequence[tuple[str, str]]) -> list[str]:
    """Warnings of outcomes, each said once with the outcomes that it is about."""
    about: dict[str, list[str]] = {}
    for outcome, words in warnings:
        about.setdefault(words, []).append(outcome)
    found = []
    for words, outcomes in about.items():
        names = list(dict.fromkeys(outcomes))
        shown = ', '.join(names[:3]) + (f' and {len(names) - 3} more' if len(names) > 3 else '')
        found.append(f'{shown}: {words.rstrip(".")}.')
    return found


def _worth_telling(table: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """All tests, or of many those below .05, and a sentence that says so.

    They have two columns more: how many tests are in the family, and whether the uncorrected p
    says nothing, because the parcel may be looked at for what was found in it.
    """
    tests = table[table['p'].notna()].copy()
    tests['n_tests.'] = tests.groupby(['family', *keys])['p'].transform('count')
    found = 'selected_by' in table and table['selected_by'].notna().any()
    tests['only.'] = tests['source'].isin(['parcel', 'network']) if found else False
    if len(tests) <= _MANY:
        return tests, []
    in_family = tests['family'].notna()
    below = tests[tests['p_holm'].where(in_family, tests['p']) < 0.05]
    how = "p (corrected within its family by Holm's method)" if in_family.any() else 'p'
    words = f'Of {len(tests)} tests, {len(below)} had a {how} below .05'
    return below, [f'{words}{":" if len(below) else "."}']


def _corrected(text: str, row: Mapping[Hashable, Any]) -> str:
    """Name the p that is corrected over the family, beside the plain one or in its place."""
    if not row['n_tests.'] > 1:
        return text
    plain = p_text(row['p'])
    corrected = p_text(row['p_holm'], f'p(holm, {row["n_tests."]:.0f} tests)')
    return text.replace(plain, corrected if row['only.'] else f'{plain}, {corrected}')


def _held(row: Mapping[Hashable, Any]) -> str:
    names = str(row['means']).partition('|')[2].replace(' ', '').split(':')
    held = [f'{name} {row[name]}' for name in names if name]
    return f'{", ".join(held)}: ' if held else ''
