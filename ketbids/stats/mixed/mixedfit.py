"""A fitted mixed model: tests, coefficients, means, pairs, influence and residuals."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.stats.mixed import results
from ketbids.stats.mixed.design import Design
from ketbids.stats.mixed.inference import Ddf
from ketbids.stats.mixed.influence import cooks_distances, whitened_residuals
from ketbids.stats.mixed.layout import Layout
from ketbids.stats.mixed.margins import MarginalRows, PairRows, marginal_rows, pair_rows
from ketbids.stats.mixed.reml import RemlFit
from ketbids.stats.mixed.rows import Rows

__all__ = ['MixedFit', 'Prepared']

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """What all responses that are missing in the same rows have in common.

    Attributes
    ----------
    rows : Rows
    design : Design
    layout : Layout
    warnings : tuple of str
    margins, pairs : dict
        Rows of means and of pairs, by specification, as they are asked for.
    """

    rows: Rows
    design: Design
    layout: Layout
    warnings: tuple[str, ...]
    margins: dict[str, tuple[MarginalRows, npt.NDArray[np.int64]]] = field(default_factory=dict)
    pairs: dict[str, PairRows] = field(default_factory=dict)

    def marginal_rows(self, spec: str) -> tuple[MarginalRows, npt.NDArray[np.int64]]:
        """Rows of marginal means, and the cell of each row of the table; made once."""
        if spec not in self.margins:
            found = marginal_rows(self.design, spec)
            factors = list(found.cells)
            cells = pd.MultiIndex.from_frame(found.cells)
            own = pd.MultiIndex.from_frame(self.design.values[factors])
            self.margins[spec] = found, cells.get_indexer(own).astype(np.int64)
        return self.margins[spec]

    def pair_rows(self, spec: str) -> PairRows:
        """Rows of pairs, made once."""
        if spec not in self.pairs:
            self.pairs[spec] = pair_rows(self.design, spec)
        return self.pairs[spec]


@dataclass(frozen=True)
class MixedFit:
    """A fitted model.

    Attributes
    ----------
    name : str
        Of the response.
    structure : str
        Of covariance.
    fit : RemlFit
        Coefficients are those of sum coding.
    prepared : Prepared
    y : array, shape (n,)
        Of the rows that are used.
    dropped : DataFrame
        ``row`` (label of the table's index), ``subject``, ``visit``, ``reason`` of each row
        that is not used.
    warnings : tuple of str
    """

    name: str
    structure: str
    fit: RemlFit
    prepared: Prepared
    y: Floats
    dropped: pd.DataFrame
    warnings: tuple[str, ...]

    @property
    def design(self) -> Design:
        """The model matrix and its names."""
        return self.prepared.design

    @property
    def n_obs(self) -> int:
        """Rows that are used."""
        return self.fit.n_obs

    @property
    def n_subjects(self) -> int:
        """Participants who have a row that is used."""
        return len(self.prepared.rows.subjects)

    @property
    def n_dropped(self) -> int:
        """Rows that are not used."""
        return len(self.dropped)

    @property
    def singular(self) -> bool:
        """The variance between participants is 0."""
        return self.fit.singular

    @property
    def converged(self) -> bool:
        """Whether the estimates converged: true of any fit, since one that does not is an error.

        Tables have it as a column, beside fits of other programs.
        """
        return self.fit.converged

    def terms(self, ddf: Ddf = 'satterthwaite', basis: results.Basis = 'spss') -> pd.DataFrame:
        """Type III tests of the terms.

        Parameters
        ----------
        ddf : str
            ``satterthwaite`` or ``kenward-roger`` (expected information for ``ri``, as pbkrtest;
            else observed, as SAS's and mmrm's linear one).
        basis : str
            Of Satterthwaite's degrees of freedom with several numerator degrees of freedom:
            ``spss`` (and SAS) or ``lmertest``.

        Returns
        -------
        DataFrame
            ``term, num_df, den_df, f, p, p_log10, partial_eta2, ci90_low, ci90_high``. p_log10 is
            exact where p is too small for a number.
        """
        return results.terms_table(self.fit, self.design, ddf, basis)

    def estimates(self, coding: str = 'treatment', ddf: Ddf = 'satterthwaite') -> pd.DataFrame:
        """Coefficients in ``treatment`` (reference: first level) or ``sum`` coding.

        Returns
        -------
        DataFrame
            ``term, estimate, se, df, t, p, ci95_low, ci95_high``.
        """
        return results.estimates_table(self.fit, self.design, coding, ddf)

    def covariance(self) -> pd.DataFrame:
        """Covariance parameters, with Wald's z as SPSS.

        Returns
        -------
        DataFrame
            ``parameter, estimate, se, wald_z, note``; the note says why there is no standard
            error.
        """
        return results.covariance_table(self.fit, self.prepared.rows.visits)

    def criteria(self) -> dict[str, float | int | str]:
        """Likelihood and information criteria; the smaller the better.

        Returns
        -------
        dict
            ``loglik`` (restricted, treatment coding: other codings differ by a constant),
            ``minus2_restricted_loglik``, ``n_covariance_parameters``, ``n_fixed_parameters``;
            ``aic``, ``aicc``, ``bic`` as SPSS (counting covariance parameters; n - p cases),
            ``bic_sas`` (participants as cases), ``aic_lme4``, ``bic_lme4`` (fixed effects are
            counted, too); ``count`` says so.
        """
        return results.criteria(self.fit, self.design)

    def emmeans(self, spec: str, ddf: Ddf = 'satterthwaite') -> pd.DataFrame:
        """Estimated marginal means.

        Parameters
        ----------
        spec : str
            ``time``, or all cells of ``time:group`` or ``time|group``.
        ddf : str

        Returns
        -------
        DataFrame
            One column per factor, then ``n, mean, sd`` (of the rows), ``emmean, se, df, ci95_low,
            ci95_high``.
        """
        margins, cell = self.prepared.marginal_rows(spec)
        return results.means_table(self.fit, margins, cell, self.y, ddf)

    def pairs(self, spec: str, ddf: Ddf = 'satterthwaite') -> pd.DataFrame:
        """Differences of all pairs of marginal means.

        Parameters
        ----------
        spec : str
            ``time``, ``time:group`` (all pairs of cells) or ``time|group`` (pairs of time at each
            level of group; each level is a family of its own).
        ddf : str

        Returns
        -------
        DataFrame
            Columns of the factors behind the bar, ``contrast, estimate, se, df, t, p``
            (uncorrected), ``p_bonferroni, p_holm, p_sidak, p_tukey, ci95_low, ci95_high``
            (uncorrected), ``d`` (estimate over the model's standard deviation, which
            ``denominator`` names; limits from the noncentral t with these degrees of freedom) and
            ``g`` with ``*_ci95_low, *_ci95_high``.
        """
        return results.pairs_table(self.fit, self.prepared.pair_rows(spec), ddf)

    def influence(self) -> pd.DataFrame:
        """Cook's distance of each participant, covariance parameters held.

        Returns
        -------
        DataFrame
            ``subject, n, cooks_distance, not_available`` (reason). Source: `cooks_distances`.
        """
        found = cooks_distances(self.fit, self.prepared.layout, self.y)
        reason = 'without the participant a coefficient cannot be estimated'
        rows = self.prepared.rows
        return pd.DataFrame(
            {
                'subject': rows.subjects,
                'n': np.bincount(rows.subject),
                'cooks_distance': found.cooks_distance,
                'not_available': [None if fine else reason for fine in found.estimable],
            }
        )

    def residuals(self) -> pd.DataFrame:
        """Residuals of each row.

        Returns
        -------
        DataFrame
            ``subject, visit, value, fitted, residual, whitened``, with the table's index.
            Whitened: multiplied by the inverse Cholesky factor of the covariance matrix.
        """
        residual, whitened = whitened_residuals(self.fit, self.prepared.layout, self.y)
        rows = self.prepared.rows
        return pd.DataFrame(
            {
                'subject': np.array(rows.subjects, dtype=object)[rows.subject],
                'visit': np.array(rows.visits, dtype=object)[rows.visit],
                'value': self.y,
                'fitted': self.y - residual,
                'residual': residual,
                'whitened': whitened,
            },
            index=rows.values.index,
        )

    def normality(self) -> dict[str, float | int | str | None]:
        """Shapiro and Wilk's test of the whitened residuals: ``n, w, p, not_available``."""
        from ketbids.stats.ordinary.distribution import shapiro

        _, whitened = whitened_residuals(self.fit, self.prepared.layout, self.y)
        found = shapiro(whitened)
        return {'n': found.n, 'w': found.w, 'p': found.p, 'not_available': found.not_available}
