"""Mixed models of participants over visits: from a long table to tests, means and pairs."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.mixed.checks import (
    check_covariance,
    check_design,
    check_response,
    check_rows,
    check_some_left,
)
from ketbids.stats.mixed.design import build_design, parse_formula
from ketbids.stats.mixed.layout import lay_out
from ketbids.stats.mixed.mixedfit import MixedFit, Prepared
from ketbids.stats.mixed.reml import fit_layout
from ketbids.stats.mixed.rows import choose_rows, read_rows, unique_index
from ketbids.stats.mixed.structures import get_structure

__all__ = ['MixedFit', 'MixedModel', 'fit_mixed']

Floats = npt.NDArray[np.float64]


class MixedModel:
    """A model of a long table, for one response or many.

    Parameters
    ----------
    frame : DataFrame, N rows
        One row per participant and visit; see `ketbids.stats.mixed.rows.read_rows`. A Categorical
        column is a factor with its categories as levels.
    formula : str
        ``y ~ time * group + age``; the right side is enough for `fit` with values.
    subject : str
        Column that says who was measured.
    visit : str, optional
        Column of visits, always a factor. Without it, visits are the cells of the factors that
        vary within participants; every covariance but ``ri`` and ``independent`` needs it.
    levels : mapping of str to sequence of str, optional
        Order of the levels of factors (and of visits, for structures where it counts).
    covariance : str
        ``ri`` (random intercept), ``cs csh un ar1 arh1 toep diag`` (residuals of the visits), or
        ``independent`` (ordinary least squares).
    center : sequence of str
        Numbers from which their mean over the rows that are used is subtracted.

    Raises
    ------
    InputError
        As `read_rows`, for an unknown covariance, or one that needs visits.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        formula: str,
        *,
        subject: str,
        visit: str | None = None,
        levels: Mapping[str, Sequence[str]] | None = None,
        covariance: str = 'ri',
        center: Sequence[str] = (),
    ) -> None:
        self.formula = parse_formula(formula)
        self.covariance = get_structure(covariance).name
        self.center = tuple(center)
        self._frame = unique_index(frame)
        self._table = read_rows(self._frame, self.formula, subject, visit, levels)
        for name in self.center:
            if name not in self._table.values or name in self._table.factors:
                raise InputError(f'{name} cannot be centred: it is not a number in the formula')
        self._missing = self._table.missing()
        self._prepared: dict[bytes, Prepared] = {}

    @cached_property
    def index(self) -> pd.Index:
        """Index of the table, or places if a label stands twice: values for `fit` follow it."""
        return self._frame.index

    def fit(
        self, y: npt.ArrayLike | None = None, *, name: str = '', covariance: str | None = None
    ) -> MixedFit:
        """Fit a response.

        Parameters
        ----------
        y : array, shape (N,), optional
            One value per row of the table, NaN where missing; by default the column that the
            formula names. Responses that are missing in the same rows share their preparation.
        name : str
            Of the response, for messages.
        covariance : str, optional
            Another structure than the model's.

        Returns
        -------
        MixedFit

        Raises
        ------
        InputError
            What `ketbids.stats.mixed.checks` and `ketbids.stats.mixed.reml.fit_layout` refuse.
        """
        structure = get_structure(covariance or self.covariance).name
        if self._table.visit_name is None and structure not in ('ri', 'independent'):
            raise InputError(f'Covariance {structure} is over visits: name the column of visits')
        values, name = self._response(y, name)
        check_response(values, name, self.index)
        missing = self._missing.assign(**{name: np.isnan(values)})
        used = np.logical_not(missing.to_numpy().any(axis=1))
        check_some_left(self._table, missing)
        prepared = self._prepare(used, structure)
        check_response(values[used], name, self.index[used])
        warnings = list(prepared.warnings)
        rows, design = prepared.rows, prepared.design
        warnings += check_covariance(rows, design.matrix, structure)
        fit = fit_layout(values[used], prepared.layout, structure)
        if fit.singular:
            warnings.append(
                'Singular: the variance between participants is 0, and the tests are those of '
                'ordinary least squares; rows of a participant may be negatively correlated '
                '(covariance cs allows that)'
            )
        return MixedFit(
            name=name,
            structure=structure,
            fit=fit,
            prepared=prepared,
            y=values[used],
            dropped=self._dropped(missing),
            warnings=tuple(warnings),
        )

    def _response(self, y: npt.ArrayLike | None, name: str) -> tuple[Floats, str]:
        if y is not None:
            try:
                values = np.asarray(y, dtype=float)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f'{name or "The response"} holds something that is no number ({error})'
                ) from error
            if values.shape != (len(self._frame),):
                raise InputError(
                    f'{name or "The response"} has shape {values.shape}, the table '
                    f'{len(self._frame)} rows'
                )
            return values, name or self.formula.response or 'response'
        response = self.formula.response
        if response is None:
            raise InputError('The formula names no response: write y ~ ..., or give values')
        column = read_rows(
            self._frame,
            self.formula._replace(variables=(response,), factors=frozenset()),
            self._table.subject_name,
        ).values[response]
        if column.dtype == object:
            text = column.dropna().iloc[0]
            raise InputError(f"{response} has '{text}': the response must be numbers")
        return column.to_numpy(float), response

    def _prepare(self, used: npt.NDArray[np.bool_], structure: str) -> Prepared:
        repeated = structure != 'independent'
        key = used.tobytes() + bytes([repeated])
        if key not in self._prepared:
            rows = choose_rows(self._table, used, numbered=not repeated)
            warnings = check_rows(rows, repeated=repeated)
            values = rows.values.copy()
            for name in self.center:
                values[name] -= values[name].mean()
            design = build_design(values, self.formula, rows.factors)
            warnings += check_design(design)
            layout = lay_out(design.matrix, rows.subject, rows.visit, len(rows.visits))
            self._prepared[key] = Prepared(rows, design, layout, tuple(warnings))
        return self._prepared[key]

    def _dropped(self, missing: pd.DataFrame) -> pd.DataFrame:
        lost = np.asarray(missing.to_numpy().any(axis=1))
        names = np.array(missing.columns, dtype=object)
        reasons = [f'{", ".join(names[row])} missing' for row in missing.to_numpy()[lost]]
        return pd.DataFrame(
            {
                'row': self.index[lost],
                'subject': self._table.subject[lost].to_numpy(),
                'visit': self._table.visit[lost].to_numpy(),
                'reason': reasons,
            }
        )


def fit_mixed(
    frame: pd.DataFrame,
    formula: str,
    *,
    subject: str,
    visit: str | None = None,
    levels: Mapping[str, Sequence[str]] | None = None,
    covariance: str = 'ri',
    center: Sequence[str] = (),
    name: str = '',
) -> MixedFit:
    """Fit one response; see `MixedModel`, which fits many of one table."""
    model = MixedModel(
        frame,
        formula,
        subject=subject,
        visit=visit,
        levels=levels,
        covariance=covariance,
        center=center,
    )
    return model.fit(name=name)
