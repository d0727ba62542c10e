"""What FSL's FILM is asked to fit, and what its answers mean (Woolrich et al. 2001)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ketbids.errors import InputError
from ketbids.stats.glmresults import FContrast, GlmFit, f_statistic
from ketbids.stats.whiteness import Whiteness, n_lags, whiteness
from ketbids.stats.zscore import z_from_f, z_from_t

__all__ = ['FilmModel', 'film_fit', 'film_model', 'film_whiteness']

Floats = npt.NDArray[np.float64]

#: Grayordinates whose residuals are held in double precision at a time.
_AT_ONCE = 4096
#: A column whose values differ by less than this share of the largest is an intercept.
_CONSTANT = 1e-9
#: Columns of a design with a smaller singular value, against the largest, depend on others.
_DEPENDENT = 1e-10


class FilmModel(NamedTuple):
    """A design and its contrasts as FILM needs them.

    Attributes
    ----------
    design : ndarray, shape (n_volumes, n_columns)
        Columns of mean 0, without intercept.
    contrasts : ndarray, shape (n_rows, n_columns)
        The t contrasts; then, for each F contrast, its q rows and the sums of each two of them.
    n_t : int
        Number of t contrasts.
    ranks : tuple of int
        Rows q of each F contrast.
    """

    design: Floats
    contrasts: Floats
    n_t: int
    ranks: tuple[int, ...]


def film_model(
    design: pd.DataFrame, contrasts: Mapping[str, Floats], f_contrasts: Mapping[str, Floats]
) -> FilmModel:
    """Bring a design and its contrasts into the form that FILM needs.

    FILM takes the mean of each series away and expects the same of the design: an intercept would
    count as a parameter and estimate nothing. It tells the variances of contrasts, but not the
    covariances that an F contrast needs to be combined over runs; these follow from
    ``2 cov(a, b) = var(a + b) - var(a) - var(b)``, so the sums are contrasts too.

    Parameters
    ----------
    design : DataFrame, shape (n_volumes, n_columns)
    contrasts : mapping of str to ndarray, shape (n_columns,)
        Weights of the t contrasts.
    f_contrasts : mapping of str to ndarray, shape (q, n_columns)
        Weights of the F contrasts.

    Raises
    ------
    InputError
        A contrast weighs the intercept, or nothing but intercepts is in the design.
    """
    values = design.to_numpy(np.float64)
    constant = np.ptp(values, axis=0) <= _CONSTANT * np.abs(values).max(axis=0)
    if constant.all():
        raise InputError('The design has no column that changes over time: FILM cannot fit it.')
    every = {**{name: row[None] for name, row in contrasts.items()}, **f_contrasts}
    for name, rows in every.items():
        if np.asarray(rows)[:, constant].any():
            raise InputError(
                f'The contrast {name} gives a weight to the constant '
                f'{", ".join(design.columns[constant])}, which FILM takes out of the data. Take '
                'the weight out of the model file, or use another --noise-model.'
            )
    n_columns = values.shape[1]
    wanted = [np.reshape(list(contrasts.values()), (-1, n_columns))]
    for weights in f_contrasts.values():
        first, second = np.triu_indices(len(weights), 1)
        wanted += [weights, weights[first] + weights[second]]
    return FilmModel(
        (values - values.mean(axis=0))[:, ~constant],
        np.concatenate(wanted)[:, ~constant],
        len(contrasts),
        tuple(len(weights) for weights in f_contrasts.values()),
    )


def film_fit(
    model: FilmModel,
    effect: Floats,
    variance: Floats,
    df: int,
    white: Whiteness | None = None,
) -> GlmFit:
    """Make test statistics of what FILM estimated.

    Parameters
    ----------
    model : FilmModel
    effect, variance : ndarray, shape (n_rows, n_grayordinates)
        ``cope`` and ``varcope`` of each contrast of `model`; NaN where FILM fitted nothing.
    df : int
        Degrees of freedom that FILM used.
    white : Whiteness, optional
        Of `film_whiteness`.

    Returns
    -------
    GlmFit
        NaN where a variance is not above 0. Without autoregressive coefficients: FILM's noise
        model is a tapered autocorrelation function.
    """
    effect, variance = np.array(effect, np.float64), np.array(variance, np.float64)
    # The sum of two rows that cancel has a variance of 0; that alone says nothing.
    nothing = ~(np.isfinite(effect) & np.isfinite(variance)).all(axis=0) | ~variance.any(axis=0)
    effect[:, nothing] = variance[:, nothing] = np.nan
    found, at = [], model.n_t
    for rank in model.ranks:
        pairs = rank * (rank - 1) // 2
        rows, sums = slice(at, at + rank), slice(at + rank, at + rank + pairs)
        found.append(_f_contrast(effect[rows], variance[rows], variance[sums], df))
        at += rank + pairs
    t = np.full((model.n_t, effect.shape[1]), np.nan)
    error = np.sqrt(variance[: model.n_t])
    np.divide(effect[: model.n_t], error, out=t, where=error > 0)
    return GlmFit(
        effect=effect[: model.n_t],
        variance=variance[: model.n_t],
        t=t,
        z=z_from_t(t, df),
        df_nominal=df,
        ar=np.zeros((effect.shape[1], 0)),
        f=tuple(found),
        whiteness=white,
    )


def film_whiteness(
    data: npt.NDArray[np.floating], innovations: npt.NDArray[np.floating], model: FilmModel
) -> Whiteness:
    """Test what FILM's prewhitening leaves.

    FILM smooths its autocorrelation functions in space, so that no degrees of freedom are
    subtracted for them, and its filter is its own: the bias of its innovations is taken to be
    that of the design before whitening.

    Parameters
    ----------
    data : ndarray, shape (n_volumes, n_grayordinates)
        What was fitted; NaN where there are no data.
    innovations : ndarray, shape (n_volumes, n_grayordinates)
        FILM's residuals (``res4d``).
    model : FilmModel
    """
    n_volumes, n = data.shape
    columns = np.column_stack([np.ones(n_volumes), model.design])
    left, singular, _ = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), False)
    basis = left[:, singular > _DEPENDENT * singular[0]]
    lags = n_lags(n_volumes - basis.shape[1], 0)
    before, after = np.empty((lags + 1, n)), np.empty((lags + 1, n))
    for start in range(0, n, _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        y = np.asarray(data[:, here], np.float64)
        before[:, here] = _products(y - basis @ (basis.T @ y), lags)
        after[:, here] = _products(np.asarray(innovations[:, here], np.float64), lags)
    valid = (np.isfinite(before[0]) & (after[0] > 0)).sum()
    after[:, ~(after[0] > 0)] = before[:, ~(after[0] > 0)] = np.nan
    return whiteness(before, after, basis, np.zeros((0, int(valid))), smoothed=True)


def _products(series: Floats, lags: int) -> Floats:
    """Sums of products 0, 1, ... volumes apart."""
    n = len(series)
    return np.stack([(series[: n - lag] * series[lag:]).sum(axis=0) for lag in range(lags + 1)])


def _f_contrast(effect: Floats, variance: Floats, of_sums: Floats, df: int) -> FContrast:
    """Test the rows of an F contrast together."""
    rank = len(effect)
    first, second = np.triu_indices(rank, 1)
    between = (of_sums - variance[first] - variance[second]) / 2
    matrix_row, matrix_column = np.triu_indices(rank)
    covariance = np.empty((len(matrix_row), effect.shape[1]))
    diagonal = matrix_row == matrix_column
    covariance[diagonal], covariance[~diagonal] = variance, between
    f = f_statistic(effect, covariance)
    return FContrast(effect, covariance, f, z_from_f(f, rank, df))
