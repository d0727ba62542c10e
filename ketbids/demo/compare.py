"""Hold what the group level found against what is planted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ketbids.demo.found import (
    check_truth,
    complaint,
    directions,
    group_folder,
    map_row,
    planted_mask,
    verdict,
)

__all__ = ['Comparison', 'compare', 'render']

_CONTRAST = 'nogoVsGo'


@dataclass(frozen=True)
class Comparison:
    """The outcome.

    Attributes
    ----------
    maps : DataFrame
        One row per analysis and direction: ``analysis``, ``direction``, ``planted`` and ``found``
        (numbers of grayordinates), ``lowest_p``, ``peak_inside``, ``dice``, ``required``,
        ``as_planted``.
    correlations : DataFrame
        One row per region and kind of value: ``outcome``, ``values``, ``n``, ``r``, ``p``,
        ``as_planted``.
    failures : tuple of str
        What is required and does not hold.
    """

    maps: pd.DataFrame
    correlations: pd.DataFrame
    failures: tuple[str, ...]

    @property
    def as_planted(self) -> bool:
        """True if all that is required holds."""
        return not self.failures


def compare(truth: Mapping[str, Any], output: Path) -> Comparison:
    """Read the results of the group level and compare them with the truth.

    Parameters
    ----------
    truth : mapping
        Content of ``truth.json``.
    output : Path
        The output folder of the analysis.

    Returns
    -------
    Comparison
        A required analysis or correlation that is absent is a failure.

    Raises
    ------
    InputError
        If `truth` is none, there is no group level in `output`, or its files do not fit.
    """
    check_truth(truth, ('geometry', 'regions', 'analyses', 'correlations'))
    group = group_folder(output)
    rows, failures = [], []
    for name, planted in truth['analyses'].items():
        found = list(_directions(truth, group, name, planted))
        rows += found
        if not found and planted['required']:
            failures.append(f'{name} has no results in {group}.')
    failures += [
        f'{row["analysis"]}, {row["direction"]}: {complaint(row)}'
        for row in rows
        if row['required'] and not row['as_planted']
    ]
    correlations = _correlations(truth['correlations'], group)
    failures += [
        f'{row["outcome"]}, {row["values"]}: no correlation in the results.'
        if np.isnan(row['r'])
        else f'{row["outcome"]}, {row["values"]}: r = {row["r"]:.2f} does not have the planted '
        'sign.'
        for row in correlations.to_dict('records')
        if not row['as_planted']
    ]
    columns = list(rows[0]) if rows else ['analysis', 'as_planted']
    return Comparison(pd.DataFrame(rows, columns=columns), correlations, tuple(failures))


def _directions(
    truth: Mapping[str, Any], group: Path, name: str, planted: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Give one row per direction of an analysis; nothing if it was not run."""
    for sign, p, z in directions(group, name, _CONTRAST, truth):
        row: dict[str, Any] = {'analysis': name, 'direction': sign}
        row |= map_row(p, z, planted_mask(truth, planted[sign]))
        row['required'] = _is_required(planted, sign)
        yield row | {'as_planted': complaint(row) == ''}


def _is_required(planted: Mapping[str, Any], sign: str) -> bool:
    """An effect must be found; where none is planted in either direction, none may be found."""
    nothing = not planted['pos'] and not planted['neg']
    return bool(planted['required'] and (planted[sign] or nothing))


def _correlations(planted: Mapping[str, Any], group: Path) -> pd.DataFrame:
    """Look up the planted correlations among those of regions chosen without the data."""
    from ketbids.io.tables import read_table

    path = group / 'statistics' / f'{planted["statistic"]}_correlations.tsv'
    columns = ('outcome', 'values', 'selection', 'n', 'r', 'p')
    table = read_table(path, columns) if path.exists() else pd.DataFrame(columns=list(columns))
    table = table[table['selection'] == 'independent']
    rows = []
    for outcome in planted['outcomes']:
        for values, sign in planted['signs'].items():
            found = table[(table['outcome'] == outcome) & (table['values'] == values)]
            n, r, p = found.iloc[0][['n', 'r', 'p']] if len(found) else (0, np.nan, np.nan)
            row = {'outcome': outcome, 'values': values, 'n': int(n), 'r': float(r), 'p': float(p)}
            rows.append(row | {'as_planted': bool(np.sign(r) == sign)})
    return pd.DataFrame(rows)


def render(comparison: Comparison) -> str:
    """Write the tables and the verdict as text."""
    lines = [
        'Found against planted (grayordinates; found: corrected p < 0.05)',
        f'{"analysis":<16}{"direction":<11}{"planted":>8}{"found":>8}{"lowest p":>10}'
        f'{"peak inside":>13}{"Dice":>7}  as planted',
    ]
    for row in comparison.maps.to_dict('records'):
        inside = '-' if not row['found'] else ('yes' if row['peak_inside'] else 'no')
        overlap = f'{row["dice"]:.2f}' if row['planted'] else '-'
        outcome = ('yes' if row['as_planted'] else 'no') + (' *' if row['required'] else '')
        lines.append(
            f'{row["analysis"]:<16}{row["direction"]:<11}{row["planted"]:>8}{row["found"]:>8}'
            f'{row["lowest_p"]:>10.4f}{inside:>13}{overlap:>7}  {outcome}'
        )
    lines += [
        '',
        'Precentral values (whole gyri) against the improvement of the HDRS (planted: r < 0)',
        f'{"region":<20}{"values":<11}{"n":>8}{"r":>8}{"p":>10}{"":>16}  as planted',
    ]
    for row in comparison.correlations.to_dict('records'):
        outcome = 'yes *' if row['as_planted'] else 'no *'
        lines.append(
            f'{row["outcome"]:<20}{row["values"]:<11}{row["n"]:>8}{row["r"]:>8.2f}'
            f'{row["p"]:>10.4f}{"":>16}  {outcome}'
        )
    return '\n'.join([*lines, *verdict(comparison.failures)])
