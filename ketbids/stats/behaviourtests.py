"""Group analyses of behaviour: the designs of the maps, applied to one number per session."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from ketbids.errors import InputError
from ketbids.stats.estimates import estimate, intervals
from ketbids.stats.formulas import column_variables
from ketbids.stats.freedman_lane import partition_design
from ketbids.stats.groupdesign import GroupDesign, build_group_design

__all__ = ['RESULTS', 'analyse_measures']

#: What is reported of a test, in the order of the columns.
RESULTS = ('n', 'estimate', 'stderr', 't', 'df', 'p', 'ci_low', 'ci_high')

_NO_QUESTION = 'whether the level is 0 is no question: estimate and interval only'

#: Residuals smaller than this part of the largest value are rounding.
_ROUNDING = 1e-10


def analyse_measures(
    values: pd.DataFrame,
    people: pd.DataFrame,
    measures: Sequence[str],
    *,
    formula: str,
    contrast: Mapping[str, float],
    session: str | None = None,
    difference: tuple[str, str] | None = None,
    subset: str | None = None,
    center: Collection[str] | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    derived: Mapping[str, str] | None = None,
    excluded: pd.DataFrame | None = None,
    minimum_n: int | None = None,
    variance_groups: str | None = None,
    against_zero: Collection[str] | None = None,
) -> pd.DataFrame:
    """Test the contrast of an analysis in every measure, by the linear model of its maps.

    Who has no value of a measure is left out of the test of that measure only. With
    `variance_groups` the test is that of Aspin and Welch with Welch's degrees of freedom. A
    contrast of levels (the mean of a group, not a difference between people or sessions) would
    change if a constant were added to everybody's value; it is tested only where 0 means
    something.

    Parameters
    ----------
    values : DataFrame
        One row per session: ``participant_id``, ``session_id`` (missing in a study without
        sessions), and a column per measure, NaN where it has no value.
    people : DataFrame
        One row per participant, indexed by participant.
    measures : sequence of str
        Columns of `values` to test.
    formula, contrast, session, difference, subset, center, levels, derived, excluded, minimum_n
        See `ketbids.stats.groupdesign.build_group_design`.
    variance_groups : str, optional
        Factor of the formula whose levels may differ in variance.
    against_zero : collection of str, optional
        Measures whose level is tested against 0; those of the others get estimate and interval
        only, and are not among those that p are corrected for. All by default.

    Returns
    -------
    DataFrame
        One row per measure: ``measure``, ``n`` participants, ``estimate`` of the contrast in the
        unit of the measure, ``stderr``, ``t``, ``df``, two-sided ``p``, 95 % confidence interval
        ``ci_low``, ``ci_high``, ``p_holm`` (Holm's correction over the measures that have a p),
        ``not_available`` (why the others have none).
    """
    options: dict[str, Any] = {
        'formula': formula,
        'contrast': contrast,
        'session': session,
        'difference': difference,
        'subset': subset,
        'center': center,
        'levels': levels,
        'derived': derived,
        'excluded': excluded,
        'minimum_n': minimum_n,
    }
    rows = values[['participant_id', 'session_id']].reset_index(drop=True)
    rows = rows.assign(path=[str(i) for i in range(len(rows))])
    designs: dict[bytes, GroupDesign | str] = {}
    results = []
    for measure in measures:
        column = values[measure].to_numpy(float)
        present = np.isfinite(column)
        # Most measures have a value in every session: their design is one and the same.
        key = present.tobytes()
        if key not in designs:
            designs[key] = _design(rows[present], people, options)
        design = designs[key]
        found: dict[str, Any] = dict.fromkeys(RESULTS, np.nan)
        reason = None
        if isinstance(design, str):
            found['n'], reason = 0, design
        else:
            found['n'] = len(design.rows)
            try:
                found |= _test(design, column, variance_groups)
            except InputError as error:
                reason = str(error)
            else:
                if against_zero is not None and measure not in against_zero and _of_level(design):
                    found |= {'t': np.nan, 'p': np.nan}
                    reason = _NO_QUESTION
        results.append({'measure': measure, **found, 'p_holm': np.nan, 'not_available': reason})
    table = pd.DataFrame(
        results, columns=['measure', *RESULTS, 'p_holm', 'not_available']
    ).reset_index(drop=True)
    _correct(table)
    return table


def _design(
    rows: pd.DataFrame, people: pd.DataFrame, options: Mapping[str, Any]
) -> GroupDesign | str:
    """Build the design of the sessions that have a value, or say why it cannot be made."""
    if not len(rows):
        return 'no session has a value'
    try:
        return build_group_design(rows, people, **options)
    except InputError as error:
        # The builder is that of maps; what is lacking here are values.
        return str(error).replace('no map', 'no value')


def _of_level(design: GroupDesign) -> bool:
    """Tell whether the contrast changes if a constant is added to all values."""
    if 'minus_path' in design.rows:  # of differences: no change is a question
        return False
    matrix = design.matrix.to_numpy(float)
    ones = np.linalg.lstsq(matrix, np.ones(len(matrix)), rcond=None)[0]
    return bool(abs(design.contrast @ ones) > _ROUNDING * np.abs(design.contrast).max())


def _test(design: GroupDesign, column: np.ndarray, variance_groups: str | None) -> dict[str, Any]:
    y = column[design.rows['path'].astype(int)]
    largest = float(np.abs(y).max())
    if 'minus_path' in design.rows:
        minus = column[design.rows['minus_path'].astype(int)]
        y, largest = y - minus, max(largest, float(np.abs(minus).max()))
    matrix = design.matrix.to_numpy(float)
    residuals = y - matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]
    if np.abs(residuals).max() <= _ROUNDING * largest:
        raise InputError('the values do not vary: there is nothing to test')
    groups = None
    if variance_groups is not None:
        names = [n for n in design.names if column_variables(n) == (variance_groups,)]
        groups = design.rows.groupby(names).ngroup().to_numpy()
    fit = estimate(y[:, None], partition_design(matrix, design.contrast), groups)
    limits = intervals(fit)
    # z of maps takes a third of Welch's degrees of freedom, as PALM does; a t-test takes Welch's.
    df = float(fit.dof[0]) * (3 if fit.kind == 'v' else 1)
    t = float(fit.statistic[0])
    return {
        'estimate': float(fit.effect[0]),
        'stderr': float(limits.standard_error[0]),
        't': t,
        'df': df,
        'p': float(2 * special.stdtr(df, -abs(t))),
        'ci_low': float(limits.low[0]),
        'ci_high': float(limits.high[0]),
    }


def _correct(table: pd.DataFrame) -> None:
    """Fill in p by Holm's method (Holm 1979, Scand J Stat 6:65), over the measures with a p."""
    p = table['p'].to_numpy(float)
    order = np.argsort(p, kind='stable')[: int(np.isfinite(p).sum())]
    factors = np.arange(len(order), 0, -1)
    corrected = np.minimum(np.maximum.accumulate(p[order] * factors), 1)
    table.loc[order, 'p_holm'] = corrected
