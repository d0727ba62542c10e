"""Files of the statistics that a model file declares."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ketbids.stats.people import is_missing

__all__ = ['remove_statistic', 'results', 'statistic_files', 'statistic_names', 'statistic_path']

#: Tables of results; the others have single values, or who was lost.
_RESULTS = (
    *('terms', 'estimates', 'covariance', 'emmeans', 'pairs', 'families', 'comparison'),
    *('comparisons', 'correlations', 'table', 'tests', 'counts'),
    *('flow', 'visit_pairs', 'dropout', 'dropout_tests'),
)


def statistic_path(output_dir: Path, name: str, table: str = '') -> Path:
    """Where a table of a statistic stands; without a table, its summary."""
    folder = Path(output_dir) / 'group' / 'statistics'
    return folder / (f'{name}_{table}.tsv' if table else f'{name}.json')


def statistic_files(output_dir: Path, name: str) -> list[Path]:
    """List what there is of a statistic."""
    summary = statistic_path(output_dir, name)
    files = sorted(summary.parent.glob(f'{name}_*'))
    return [*files, *([summary] if summary.is_file() else [])]


def statistic_names(output_dir: Path) -> list[str]:
    """List the statistics whose summaries are there; names have no underscore, tables do."""
    folder = statistic_path(output_dir, '').parent
    return sorted(path.stem for path in folder.glob('*.json') if '_' not in path.name)


def remove_statistic(output_dir: Path, name: str) -> None:
    """Remove what an earlier call left of a statistic."""
    for path in statistic_files(output_dir, name):
        path.unlink(missing_ok=True)


def results(tables: Mapping[str, pd.DataFrame]) -> dict[str, list[dict[str, Any]]]:
    """Rows of the tables of results as values that JSON knows.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        All tables of a statistic, by suffix.

    Returns
    -------
    dict of str to list of dict
        Per table its rows; what is missing, or is no finite number, is None.
    """
    return {
        name: [
            {str(column): _plain(value) for column, value in row.items()}
            for row in tables[name].to_dict('records')
        ]
        for name in _RESULTS
        if name in tables
    }


def _plain(value: Any) -> Any:
    if is_missing(value):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return str(value)
