"""Analysis of covariance: type III tests, adjusted means and their differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.effectsizes import from_t, partial_eta2
from ketbids.stats.mixed.design import Design, build_design, hypothesis, parse_formula
from ketbids.stats.mixed.margins import marginal_rows, pair_rows
from ketbids.stats.ordinary.corrections import adjust
from ketbids.stats.ordinary.samples import is_constant, t_interval
from ketbids.stats.people import as_text, is_missing

__all__ = ['Ancova', 'fit_ancova']

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ancova:
    """A linear model with independent errors of one variance, by statsmodels' least squares.

    Attributes
    ----------
    design : Design
        Sum-coded.
    n : int
        Rows that were used.
    dropped : tuple of int
        Places of the rows that lack a value.
    df : float
        Of the residuals.
    sigma : float
        Residual standard deviation.
    r2 : float
    """

    design: Design
    n: int
    dropped: tuple[int, ...]
    df: float
    sigma: float
    r2: float
    _fit: Any

    def terms(self) -> pd.DataFrame:
        """Type III F test of each term.

        Returns
        -------
        DataFrame
            ``term``, ``num_df``, ``den_df``, ``f``, ``p``, ``partial_eta2``, ``ci90_low``,
            ``ci90_high``.
        """
        rows = []
        for term in self.design.terms:
            test = self._fit.f_test(hypothesis(self.design, term, 'last'))
            f, q = float(np.squeeze(test.fvalue)), float(test.df_num)
            size = map(float, partial_eta2(f, q, self.df))
            rows.append((term, q, self.df, f, float(np.squeeze(test.pvalue)), *size))
        names = ['term', 'num_df', 'den_df', 'f', 'p', 'partial_eta2', 'ci90_low', 'ci90_high']
        return pd.DataFrame(rows, columns=names)

    def means(self, spec: str) -> pd.DataFrame:
        """Adjusted means: equal weights over the levels of factors, covariates at their mean.

        Parameters
        ----------
        spec : str
            ``group``, ``group:sex`` or ``group|sex``, see
            `ketbids.stats.mixed.margins.parse_means`.

        Returns
        -------
        DataFrame
            Levels of the factors, ``emmean``, ``se``, ``df``, ``ci95_low``, ``ci95_high``.
        """
        found = marginal_rows(self.design, spec)
        estimate, se = self._estimates(found.rows)
        return pd.concat(
            [
                found.cells.reset_index(drop=True),
                pd.DataFrame({'emmean': estimate, 'se': se, 'df': self.df}),
                self._limits(estimate, se),
            ],
            axis=1,
        )

    def pairs(self, spec: str) -> pd.DataFrame:
        """Differences of adjusted means, each family corrected apart.

        Parameters
        ----------
        spec : str
            See `means`.

        Returns
        -------
        DataFrame
            Levels behind the bar, ``contrast``, ``estimate``, ``se``, ``df``, ``t``, ``p``,
            ``p_bonferroni``, ``p_holm``, ``p_sidak``, ``ci95_low``, ``ci95_high``; ``d``,
            ``d_ci95_low``, ``d_ci95_high`` over the residual standard deviation, and the same of
            ``g``.
        """
        from scipy import special

        found = pair_rows(self.design, spec)
        estimate, se = self._estimates(found.rows)
        t = estimate / se
        p = 2 * special.stdtr(self.df, -np.abs(t))
        table = pd.DataFrame({'contrast': found.contrast, 'estimate': estimate, 'se': se})
        table = table.assign(df=self.df, t=t, p=p)
        for method in ('bonferroni', 'holm', 'sidak'):
            corrected = np.full(len(p), np.nan)
            for family in np.unique(found.family):
                mine = found.family == family
                corrected[mine] = adjust(p[mine], method)
            table[f'p_{method}'] = corrected
        size = from_t(t, self.df, se / self.sigma)
        effects = pd.DataFrame(
            {
                'd': size.d,
                'd_ci95_low': size.d_low,
                'd_ci95_high': size.d_high,
                'g': size.g,
                'g_ci95_low': size.g_low,
                'g_ci95_high': size.g_high,
            }
        )
        by = found.by.reset_index(drop=True)
        return pd.concat([by, table, self._limits(estimate, se), effects], axis=1)

    def _estimates(self, rows: Floats) -> tuple[Floats, Floats]:
        found = self._fit.t_test(rows)
        return np.ravel(found.effect), np.ravel(found.sd)

    def _limits(self, estimate: Floats, se: Floats) -> pd.DataFrame:
        limits = [t_interval(e, s, self.df, 0.95) for e, s in zip(estimate, se, strict=True)]
        return pd.DataFrame(limits, columns=['ci95_low', 'ci95_high'])


def fit_ancova(
    frame: pd.DataFrame, formula: str, levels: Mapping[str, Sequence[str]] | None = None
) -> Ancova:
    """Fit an analysis of covariance.

    Parameters
    ----------
    frame : DataFrame
        One row per participant; rows that lack a value are left out.
    formula : str
        ``roi ~ group + age + sex``. Texts and booleans are factors, and so are variables in
        ``C(...)`` or with `levels`.
    levels : mapping of str to sequence of str, optional
        Order of a factor's levels; by default sorted.

    Returns
    -------
    Ancova

    Raises
    ------
    InputError
        A column that there is not, a response that does not vary, a factor with one level, columns
        that depend on each other, no residual degrees of freedom or variance.
    """
    from statsmodels.regression.linear_model import OLS

    parsed = parse_formula(formula)
    if parsed.response is None:
        raise InputError(f"Formula '{formula}' has no response: write y ~ ...")
    names = [parsed.response, *parsed.variables]
    for name in names:
        if name not in frame.columns:
            raise InputError(
                f"Formula '{formula}': there is no column {name}; at hand: "
                f'{", ".join(map(str, frame.columns))}'
            )
    complete = ~frame[names].map(is_missing).any(axis=1).to_numpy()
    used = frame.loc[complete, names]
    order = {name: tuple(map(str, found)) for name, found in (levels or {}).items()}
    values, factors = _variables(used, parsed.variables, parsed.factors, order)
    y = _number(used, parsed.response)
    if is_constant(y):
        raise InputError(f'{parsed.response} does not vary: {len(y)} complete rows')
    design = build_design(values, parsed, factors)
    X = design.matrix
    sizes = np.sqrt((X * X).sum(axis=0))
    if (sizes == 0).any() or np.linalg.matrix_rank(X / np.where(sizes, sizes, 1)) < X.shape[1]:
        raise InputError(
            f"Formula '{formula}': its terms depend on each other in the {len(y)} complete rows "
            '(a constant or repeated covariate, or an empty cell): leave one out'
        )
    if len(y) <= X.shape[1]:
        raise InputError(f'{len(y)} complete rows are too few for {X.shape[1]} coefficients')
    fit = OLS(y, X).fit()
    if fit.ssr <= 1e-20 * (y @ y):
        raise InputError(f"'{formula}' explains {parsed.response} without a residual")
    dropped = tuple(int(i) for i in np.flatnonzero(~complete))
    sigma = float(np.sqrt(fit.scale))
    return Ancova(design, len(y), dropped, float(fit.df_resid), sigma, float(fit.rsquared), fit)


def _variables(
    used: pd.DataFrame,
    names: Sequence[str],
    declared: frozenset[str],
    order: Mapping[str, tuple[str, ...]],
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """Factors as text and numbers as float, and the levels of the factors."""
    values, factors = pd.DataFrame(index=used.index), {}
    for name in names:
        plain = all(
            isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in used[name]
        )
        if plain and name not in declared and name not in order:
            values[name] = _number(used, name)
            continue
        text = as_text(used[name])
        found = set(text)
        own = tuple(level for level in order.get(name, ()) if level in found)
        factors[name] = (*own, *sorted(found - set(own)))
        if len(found) < 2:
            raise InputError(
                f'The factor {name} has one level ({", ".join(found) or "none"}) in the '
                f'{len(used)} complete rows: leave it out'
            )
        values[name] = text
    return values, factors


def _number(used: pd.DataFrame, name: str) -> Floats:
    try:
        return used[name].to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f'The column {name} holds something that is no number: {error}') from None
