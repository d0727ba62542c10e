"""Compiled parts of generalised least squares, a tile of grayordinates at a time.

Every grayordinate has a lane of its own in all loops, and sums run over volumes, columns or lags
in a fixed order. So its result does not depend on its neighbours, on how the data are cut, or on
the number of threads.

The covariance of the noise, for innovations of variance 1, is never made: with W from the
Durbin-Levinson recursion, which predicts volume t from the min(t, p) before it, the inverse is
W'W, the exact stationary one.
"""

import numpy as np
from numba import njit

from ketbids.stats.products import BLOCK, interleave, multiply

__all__ = ['PERFECT', 'interleave', 'lag_sums', 'project', 'solve_tile', 'step_up']

#: A residual sum of squares below this share of the total counts as a perfect fit.
PERFECT = 1e-18
#: Rounding of lagged cross-products, against the smallest pivot, beyond which a grayordinate's
#: design is whitened by itself.
_CANCELLED = 1e-6


@njit(nogil=True, cache=True)
def subtract(tile, weights, rows, product):
    """Take a basis times `weights`, (n_columns, BLOCK), from a tile."""
    multiply(weights, rows, product[: rows.shape[0] * 4 * BLOCK])
    for t in range(len(tile)):
        x = tile[t]
        y = product[t * BLOCK : (t + 1) * BLOCK]
        for v in range(BLOCK):
            x[v] -= y[v]


@njit(nogil=True, cache=True)
def project(tile, columns, rows, fitted):
    """Take the part in a basis out of a tile, and keep its coefficients.

    Parameters
    ----------
    tile : ndarray, shape (n_volumes, BLOCK)
        Data; changed to the residuals.
    columns, rows : ndarray
        `interleave` of the basis (transposed), and of the basis itself.
    fitted : ndarray, shape (n_columns, BLOCK)
        Filled with the coefficients.
    """
    n_columns = len(fitted)
    product = np.empty(max(columns.shape[0], rows.shape[0]) * 4 * BLOCK)
    multiply(tile, columns, product[: columns.shape[0] * 4 * BLOCK])
    for k in range(n_columns):
        fitted[k] = product[k * BLOCK : (k + 1) * BLOCK]
    subtract(tile, fitted, rows, product)
    # Once more, for what rounding left of a mean that is large against the changes.
    multiply(tile, columns, product[: columns.shape[0] * 4 * BLOCK])
    again = product[: n_columns * BLOCK].copy().reshape(n_columns, BLOCK)
    for k in range(n_columns):
        for v in range(BLOCK):
            fitted[k, v] += again[k, v]
    subtract(tile, again, rows, product)


@njit(nogil=True, cache=True)
def lag_sums(tile, sums):
    """Fill `sums`, shape (n_lags + 1, BLOCK), with sums of products of rows 0, 1, ... apart."""
    n_volumes = len(tile)
    sums[:] = 0.0
    for t in range(n_volumes):
        y = tile[t]
        for lag in range(min(len(sums), t + 1)):
            x = tile[t - lag]
            s = sums[lag]
            for v in range(BLOCK):
                s[v] += x[v] * y[v]


@njit(nogil=True, cache=True)
def step_up(reflections, filters, scale):
    """Filters that predict from 0, 1, ..., p volumes.

    Parameters
    ----------
    reflections : ndarray, shape (order, BLOCK)
    filters : ndarray, shape (order + 1, order + 1, BLOCK)
        Filled: entry (o, i) is the weight of the volume i before, in the error of the predictor
        of order o; that of the volume itself is 1.
    scale : ndarray, shape (order + 1, BLOCK)
        Filled: what brings that error to variance 1.
    """
    order = len(reflections)
    filters[:] = 0.0
    scale[order] = 1.0
    for o in range(order - 1, -1, -1):
        for v in range(BLOCK):
            scale[o, v] = scale[o + 1, v] * np.sqrt(1.0 - reflections[o, v] ** 2)
    filters[0, 0] = 1.0
    for o in range(1, order + 1):
        k = reflections[o - 1]
        for i in range(o + 1):
            x, y, z = filters[o, i], filters[o - 1, i], filters[o - 1, o - i]
            for v in range(BLOCK):
                x[v] = y[v] - k[v] * z[v]


@njit(nogil=True, cache=True)
def whiten(tile, filters, scale, out):
    """Innovations W x of a tile, scaled to variance 1; shapes (n_volumes, BLOCK)."""
    order = len(filters) - 1
    for t in range(len(tile)):
        o = min(t, order)
        y = out[t]
        y[:] = tile[t]
        for i in range(1, o + 1):
            x, a = tile[t - i], filters[o, i]
            for v in range(BLOCK):
                y[v] += a[v] * x[v]
        if o < order:
            s = scale[o]
            for v in range(BLOCK):
                y[v] *= s[v]


@njit(nogil=True, cache=True)
def whiten_back(tile, filters, scale, out):
    """W' x of a tile; shapes (n_volumes, BLOCK)."""
    order = len(filters) - 1
    n_volumes = len(tile)
    scaled = np.empty(BLOCK)
    out[:] = 0.0
    for t in range(n_volumes):
        o = min(t, order)
        x = tile[t]
        if o < order:
            s = scale[o]
            for v in range(BLOCK):
                scaled[v] = x[v] * s[v]
        else:
            scaled[:] = x
        for i in range(o + 1):
            y, a = out[t - i], filters[o, i]
            for v in range(BLOCK):
                y[v] += a[v] * scaled[v]


@njit(nogil=True, cache=True)
def cholesky(information, n, lower, pivot):
    """Cholesky factors of packed matrices, a lane each.

    Parameters
    ----------
    information : ndarray, shape (at least n (n + 1) / 2 * BLOCK,)
        Lower triangles, row by row.
    n : int
    lower : ndarray, shape (n (n + 1) / 2, BLOCK)
        Filled.
    pivot : ndarray, shape (BLOCK,)
        Filled with the smallest squared pivot; where it is not positive the factor is not valid.
    """
    pivot[:] = np.inf
    for i in range(n):
        for j in range(i + 1):
            at = i * (i + 1) // 2 + j
            s = lower[at]
            s[:] = information[at * BLOCK : (at + 1) * BLOCK]
            for k in range(j):
                a, b = lower[i * (i + 1) // 2 + k], lower[j * (j + 1) // 2 + k]
                for v in range(BLOCK):
                    s[v] -= a[v] * b[v]
            if i == j:
                for v in range(BLOCK):
                    pivot[v] = min(pivot[v], s[v])
                    s[v] = np.sqrt(max(s[v], 1e-300))
            else:
                d = lower[j * (j + 1) // 2 + j]
                for v in range(BLOCK):
                    s[v] /= d[v]


@njit(nogil=True, cache=True)
def forward(lower, n, x):
    """Solve L z = x in place; x of shape (n, BLOCK)."""
    for i in range(n):
        y = x[i]
        for k in range(i):
            a, z = lower[i * (i + 1) // 2 + k], x[k]
            for v in range(BLOCK):
                y[v] -= a[v] * z[v]
        d = lower[i * (i + 1) // 2 + i]
        for v in range(BLOCK):
            y[v] /= d[v]


@njit(nogil=True, cache=True)
def backward(lower, n, x):
    """Solve L' z = x in place; x of shape (n, BLOCK)."""
    for i in range(n - 1, -1, -1):
        y = x[i]
        for k in range(i + 1, n):
            a, z = lower[k * (k + 1) // 2 + i], x[k]
            for v in range(BLOCK):
                y[v] -= a[v] * z[v]
        d = lower[i * (i + 1) // 2 + i]
        for v in range(BLOCK):
            y[v] /= d[v]


@njit(nogil=True, cache=True)
def by_itself(basis, v, filters, scale, white, lower, g):
    """Whiten the design of one lane and orthogonalise it (modified Gram-Schmidt, twice).

    Fills column v of `lower` with R' of W X = Q R, and of `g` with Q' times the innovations
    `white`: the same as the factor and the forward solution of the normal equations, but rounding
    is not squared.
    """
    n_volumes, n = basis.shape
    order = len(filters) - 1
    q = np.empty((n, n_volumes))
    for k in range(n):
        for t in range(n_volumes):
            o = min(t, order)
            total = 0.0
            for i in range(o + 1):
                total += filters[o, i, v] * basis[t - i, k]
            q[k, t] = total * scale[o, v]
    for k in range(n):
        x = q[k]
        for j in range(k):
            lower[k * (k + 1) // 2 + j, v] = 0.0
        for _ in range(2):
            for j in range(k):
                y = q[j]
                total = 0.0
                for t in range(n_volumes):
                    total += y[t] * x[t]
                lower[k * (k + 1) // 2 + j, v] += total
                for t in range(n_volumes):
                    x[t] -= total * y[t]
        total = 0.0
        for t in range(n_volumes):
            total += x[t] * x[t]
        length = np.sqrt(total)
        lower[k * (k + 1) // 2 + k, v] = length
        total = 0.0
        for t in range(n_volumes):
            x[t] /= length
            total += x[t] * white[t, v]
        g[k, v] = total


@njit(nogil=True, cache=True)
def solve_tile(
    tile, reflections, basis, columns, rows, products, contrasts, pairs, fitted, effect, cov, sums
):
    """Generalised least squares of a tile of least-squares residuals.

    Parameters
    ----------
    tile : ndarray, shape (n_volumes, BLOCK)
        Residuals of `project`; changed.
    reflections : ndarray, shape (order, BLOCK)
    basis : ndarray, shape (n_volumes, n_columns)
        Orthonormal.
    columns, rows : ndarray
        `interleave` of the basis, as for `project`.
    products : ndarray
        `interleave` of the lagged cross-products of the basis.
    contrasts : ndarray, shape (n_rows, n_columns)
        In the basis.
    pairs : ndarray of int, shape (n_pairs, 2)
        Rows of which covariances are wanted.
    fitted : ndarray, shape (n_columns, BLOCK)
        Coefficients of least squares.
    effect : ndarray, shape (n_rows, BLOCK)
        Filled with the effects.
    cov : ndarray, shape (n_pairs, BLOCK)
        Filled with covariances, for innovations of variance 1.
    sums : ndarray, shape (n_lags + 1, BLOCK)
        Filled with `lag_sums` of the innovations.
    """
    n_volumes, n = basis.shape
    order = len(reflections)
    size = n * (n + 1) // 2
    filters = np.empty((order + 1, order + 1, BLOCK))
    scale = np.empty((order + 1, BLOCK))
    step_up(reflections, filters, scale)
    white, back = np.empty((n_volumes, BLOCK)), np.empty((n_volumes, BLOCK))
    whiten(tile, filters, scale, white)
    whiten_back(white, filters, scale, back)
    longest = max(columns.shape[0], rows.shape[0], products.shape[0]) * 4 * BLOCK
    product = np.empty(longest)
    multiply(back, columns, product[: columns.shape[0] * 4 * BLOCK])
    g = product[: n * BLOCK].copy().reshape(n, BLOCK)

    # X' Sigma^-1 X is a sum over pairs of weights of the filter, times products of the design.
    both = np.empty(((order + 1) * (order + 2) // 2, BLOCK))
    reach = np.zeros(BLOCK)
    at = 0
    for i in range(order + 1):
        a = filters[order, i]
        for v in range(BLOCK):
            reach[v] += abs(a[v])
        for j in range(i, order + 1):
            b, c = filters[order, j], both[at]
            for v in range(BLOCK):
                c[v] = a[v] * b[v]
            at += 1
    multiply(both, products, product[: products.shape[0] * 4 * BLOCK])
    lower = np.empty((size, BLOCK))
    pivot = np.empty(BLOCK)
    cholesky(product, n, lower, pivot)
    forward(lower, n, g)
    for v in range(BLOCK):
        if not pivot[v] > _CANCELLED * reach[v] ** 2:
            by_itself(basis, v, filters, scale, white, lower, g)

    z = np.empty((len(contrasts), n, BLOCK))
    for c in range(len(contrasts)):
        for k in range(n):
            z[c, k] = contrasts[c, k]
        forward(lower, n, z[c])
        e = effect[c]
        e[:] = 0.0
        for k in range(n):
            w, x, y, f = contrasts[c, k], z[c, k], g[k], fitted[k]
            for v in range(BLOCK):
                e[v] += w * f[v] + x[v] * y[v]
    for pair in range(len(pairs)):
        left, right, s = z[pairs[pair, 0]], z[pairs[pair, 1]], cov[pair]
        s[:] = 0.0
        for k in range(n):
            x, y = left[k], right[k]
            for v in range(BLOCK):
                s[v] += x[v] * y[v]

    backward(lower, n, g)
    subtract(tile, g, rows, product)
    whiten(tile, filters, scale, white)
    lag_sums(white, sums)
