"""One model of several outcomes: the fits, and who is in each."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.clinical.outcomes import Measure
from ketbids.stats.mixed.model import MixedFit, MixedModel

__all__ = ['SUBJECT', 'TIME', 'Fitted', 'fit_outcomes', 'long_rows']

SUBJECT, TIME = 'participant_id', 'time'


class Fitted(NamedTuple):
    """An outcome and its fit.

    Attributes
    ----------
    measure : Measure
    values : ndarray of float
        One per row of the table, NaN where missing.
    fit : MixedFit or None
    participants : tuple of str
        Labels of those who have a value.
    model : MixedModel
    reason : str or None
        Why there is no fit.
    """

    measure: Measure
    values: np.ndarray
    fit: MixedFit | None
    participants: tuple[str, ...]
    model: MixedModel
    reason: str | None = None


def long_rows(people: pd.DataFrame, sessions: Sequence[str] | None) -> pd.DataFrame:
    """Table of all participants, at all sessions if there are any.

    Returns
    -------
    DataFrame
        `SUBJECT`, with sessions `TIME`, and the variables of people.
    """
    rows = people.rename_axis(SUBJECT).reset_index()
    rows[SUBJECT] = rows[SUBJECT].astype(str).astype(object)
    if sessions is None:
        return rows
    rows = rows.loc[np.repeat(np.arange(len(rows)), len(sessions))].reset_index(drop=True)
    rows.insert(1, TIME, pd.Series(list(sessions) * len(people), dtype=object))
    return rows


def fit_outcomes(
    rows: pd.DataFrame,
    values: Mapping[Measure, np.ndarray],
    formula: str,
    *,
    covariance: str,
    levels: Mapping[str, Sequence[str]],
    center: Sequence[str] = (),
) -> list[Fitted]:
    """Fit one model to every outcome.

    Parameters
    ----------
    rows : DataFrame, N rows
        As `long_rows` gives them.
    values : mapping of Measure to ndarray of (N,)
    formula : str
        Right side.
    covariance : str
        ``independent`` for ordinary least squares.
    levels : mapping of str to sequence of str
    center : sequence of str
        Numbers that are demeaned over the rows of each fit.

    Returns
    -------
    list of Fitted
        What cannot be fitted has the reason.

    Raises
    ------
    InputError
        The formula or a variable cannot be used.
    """
    model = MixedModel(
        rows,
        formula,
        subject=SUBJECT,
        visit=TIME if TIME in rows else None,
        levels=levels,
        covariance=covariance,
        center=center,
    )
    found = []
    for measure, value in values.items():
        who = tuple(dict.fromkeys(rows[SUBJECT][~np.isnan(value)]))
        try:
            fit = model.fit(value, name=measure.name)
            found.append(Fitted(measure, value, fit, who, model))
        except InputError as error:
            found.append(Fitted(measure, value, None, who, model, str(error)))
    return found
