"""Tables of a fitted model: terms, coefficients, covariance parameters, means and pairs."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from ketbids.errors import InputError
from ketbids.stats.effectsizes import from_t, partial_eta2
from ketbids.stats.mixed.adjust import ADJUSTMENTS, adjust
from ketbids.stats.mixed.design import Design, HypothesisBasis, hypothesis
from ketbids.stats.mixed.inference import Ddf, FTest, TTests, f_test, kenward_roger, t_tests
from ketbids.stats.mixed.margins import MarginalRows, PairRows
from ketbids.stats.mixed.reml import RemlFit
from ketbids.stats.mixed.structures import get_structure

__all__ = ['Basis', 'covariance_table', 'criteria', 'd_denominator', 'estimates_table']
__all__ += ['means_table', 'pairs_table', 'resolve_basis', 'terms_table']

Basis = Literal['spss', 'lmertest']
Floats = npt.NDArray[np.float64]


def resolve_basis(basis: str, design: Design, covariance: str) -> HypothesisBasis:
    """Rows that stand for a hypothesis in SPSS and SAS, or in lmerTest (mmrm if marginal).

    Raises
    ------
    InputError
        Neither ``spss`` nor ``lmertest``.
    """
    if basis == 'spss':
        return 'last'
    if basis == 'lmertest':
        return 'doolittle' if covariance == 'ri' and len(design.terms) == 1 else 'first'
    raise InputError(f"Basis '{basis}' is unknown: choose spss or lmertest")


def terms_table(
    fit: RemlFit, design: Design, ddf: Ddf = 'satterthwaite', basis: str = 'spss'
) -> pd.DataFrame:
    """Type III tests; see `ketbids.stats.mixed.mixedfit.MixedFit.terms`."""
    rows = resolve_basis(basis, design, fit.structure)
    test: Callable[[RemlFit, Floats], FTest] = (
        f_test if _known(ddf) == 'satterthwaite' else kenward_roger
    )
    tests = [test(fit, hypothesis(design, term, rows)) for term in design.terms]
    f, num_df, den_df, p, log10p = (np.array(column) for column in zip(*tests, strict=True))
    eta = partial_eta2(f, num_df, den_df)
    return pd.DataFrame(
        {
            'term': design.terms,
            'num_df': num_df,
            'den_df': den_df,
            'f': f,
            'p': p,
            'p_log10': log10p,
            'partial_eta2': eta.eta2,
            'ci90_low': eta.low,
            'ci90_high': eta.high,
        }
    )


def estimates_table(
    fit: RemlFit, design: Design, coding: str = 'treatment', ddf: Ddf = 'satterthwaite'
) -> pd.DataFrame:
    """Coefficients; see `ketbids.stats.mixed.mixedfit.MixedFit.estimates`."""
    if coding not in ('treatment', 'sum'):
        raise InputError(f"Coding '{coding}' is unknown: choose treatment or sum")
    treatment = coding == 'treatment'
    rows = design.to_treatment if treatment else np.eye(len(design.names))
    found = t_tests(fit, rows, _known(ddf))
    low, high = _interval(found.estimate, found.se, found.df)
    names = design.treatment_names if treatment else design.names
    return pd.DataFrame(
        {'term': names, **_tested(found), 'ci95_low': low, 'ci95_high': high},
    )


def covariance_table(fit: RemlFit, visits: Sequence[str]) -> pd.DataFrame:
    """Covariance parameters; see `ketbids.stats.mixed.mixedfit.MixedFit.covariance`."""
    se = np.sqrt(np.where(fit.free, np.diag(fit.theta_cov), np.nan))
    return pd.DataFrame(
        {
            'parameter': get_structure(fit.structure).names(visits),
            'estimate': fit.theta,
            'se': se,
            'wald_z': fit.theta / se,
            'note': [None if free else 'on the boundary: no standard error' for free in fit.free],
        }
    )


def criteria(fit: RemlFit, design: Design) -> dict[str, float | int | str]:
    """Restricted likelihood and information criteria; see `MixedFit.criteria`."""
    loglik = fit.loglik + design.log_determinant
    k, p = len(fit.theta), len(fit.beta)
    cases = fit.n_obs - p
    aic = -2 * loglik + 2 * k
    return {
        'loglik': loglik,
        'minus2_restricted_loglik': -2 * loglik,
        'n_covariance_parameters': k,
        'n_fixed_parameters': p,
        'aic': aic,
        'aicc': aic + 2 * k * (k + 1) / (cases - k - 1) if cases > k + 1 else np.nan,
        'bic': -2 * loglik + k * np.log(cases),
        'bic_sas': -2 * loglik + k * np.log(fit.n_subjects),
        'aic_lme4': -2 * loglik + 2 * (k + p),
        'bic_lme4': -2 * loglik + (k + p) * np.log(fit.n_obs),
        'count': 'aic, aicc, bic, bic_sas: covariance parameters; *_lme4: fixed effects too',
    }


def means_table(
    fit: RemlFit,
    margins: MarginalRows,
    cell: npt.NDArray[np.int64],
    y: Floats,
    ddf: Ddf = 'satterthwaite',
) -> pd.DataFrame:
    """Marginal means beside raw ones; see `ketbids.stats.mixed.mixedfit.MixedFit.emmeans`."""
    found = t_tests(fit, margins.rows, _known(ddf))
    low, high = _interval(found.estimate, found.se, found.df)
    n = np.bincount(cell, minlength=len(low))
    with np.errstate(invalid='ignore', divide='ignore'):  # empty cells, and cells of one row
        mean = np.bincount(cell, y, len(low)) / n
        sd = np.sqrt(np.bincount(cell, (y - mean[cell]) ** 2, len(low)) / (n - 1))
    return pd.DataFrame(
        {
            **{str(name): margins.cells[name].to_numpy() for name in margins.cells},
            'n': n,
            'mean': mean,
            'sd': np.where(n > 1, sd, np.nan),
            'emmean': found.estimate,
            'se': found.se,
            'df': found.df,
            'ci95_low': low,
            'ci95_high': high,
        }
    )


def d_denominator(structure: str) -> str:
    """Say in which standard deviation d of pairs is measured."""
    if structure == 'ri':
        return 'sqrt(var(intercept) + var(residual))'
    if structure in ('independent', 'cs', 'ar1', 'toep'):
        return 'model SD of a visit'
    return 'sqrt(mean model variance of the visits)'


def pairs_table(fit: RemlFit, pairs: PairRows, ddf: Ddf = 'satterthwaite') -> pd.DataFrame:
    """Differences of means; see `ketbids.stats.mixed.mixedfit.MixedFit.pairs`."""
    found = t_tests(fit, pairs.rows, _known(ddf))
    low, high = _interval(found.estimate, found.se, found.df)
    corrected = {f'p_{method}': np.empty(len(found.p)) for method in ADJUSTMENTS[1:]}
    for family in np.unique(pairs.family):
        mine = pairs.family == family
        for method in ADJUSTMENTS[1:]:
            corrected[f'p_{method}'][mine] = adjust(
                found.p[mine], method, t=found.t[mine], df=found.df[mine], n_means=pairs.n_means
            )
    size = from_t(found.t, found.df, found.se / np.sqrt(fit.total_variance))
    return pd.DataFrame(
        {
            **{str(name): pairs.by[name].to_numpy() for name in pairs.by},
            'contrast': pairs.contrast,
            **_tested(found),
            **corrected,
            'ci95_low': low,
            'ci95_high': high,
            'd': size.d,
            'd_ci95_low': size.d_low,
            'd_ci95_high': size.d_high,
            'g': size.g,
            'g_ci95_low': size.g_low,
            'g_ci95_high': size.g_high,
            'denominator': d_denominator(fit.structure),
        }
    )


def _tested(found: TTests) -> dict[str, Floats]:
    return {name: getattr(found, name) for name in ('estimate', 'se', 'df', 't', 'p')}


def _known(ddf: Ddf) -> Ddf:
    if ddf not in ('satterthwaite', 'kenward-roger'):
        raise InputError(
            f"Degrees of freedom '{ddf}' are unknown: choose satterthwaite or kenward-roger"
        )
    return ddf


def _interval(estimate: Floats, se: Floats, df: Floats, level: float = 0.95) -> list[Floats]:
    half = special.stdtrit(df, (1 + level) / 2) * se
    return [estimate - half, estimate + half]
