"""Rows of a long table laid out by participant and visit, once for any number of responses."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError

__all__ = ['Layout', 'lay_out']

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# A column that keeps a smaller part of its length beside the columns before it is made of them.
_COLLINEAR = 1e-10


@dataclass(frozen=True)
class Layout:
    """A design matrix and the sums of its cross-products over alike participants.

    Participants with the same visits have the same covariance matrix, so all that a fit needs
    of them are sums of products of their rows, by pair of visits: a fit never sees n rows. The
    columns of the design are orthonormal here (QR), so that such sums lose no digits.

    Attributes
    ----------
    X : array of (n, p)
        The design matrix as given.
    subject, visit : array of (n,)
        Integer codes from 0.
    n_subjects, n_visits : int
        Participants, and visits T.
    orthonormal : array of (n, p)
        Q of ``X = Q R``.
    to_given : array of (p, p)
        Inverse of R: ``to_given @ g`` are coefficients of X if g are those of Q.
    log_det : float
        ``log |R'R|``: what ``log |X' V^-1 X|`` has more than the same with Q.
    grid : array of (N, T)
        Row of each participant and visit, -1 where there is none; participants with the same
        visits (of one pattern) follow one another.
    observed : array of (G, T)
        Visits of each pattern.
    counts : array of (G,)
        Participants of each pattern.
    wide : array of (N, T, p)
        Q by participant and visit as in the grid, 0 where there is no row.
    cells : tuple of three arrays of (R,)
        Pattern and visits a <= b of the sums of products.
    products : array of (R, p * p)
        Sums over the participants of ``q_a q_a'``, or ``q_a q_b' + q_b q_a'`` if a < b.
    """

    X: Floats
    subject: Integers
    visit: Integers
    n_subjects: int
    n_visits: int
    orthonormal: Floats
    to_given: Floats
    log_det: float
    grid: Integers
    observed: npt.NDArray[np.bool_]
    counts: Integers
    wide: Floats
    cells: tuple[Integers, Integers, Integers]
    products: Floats

    def with_response(self, response: Floats) -> Floats:
        """Put the sums of products with a response (n,) beside the others.

        Returns
        -------
        array of (R, p * p + p + 1)
            `products`; Q with the response; the response with itself.
        """
        wide = _widen(response[:, None], self.grid)
        with_columns = _sum_products(self.wide, wide, self.counts, self.cells)
        with_itself = _sum_products(wide, wide, self.counts, self.cells)
        return np.hstack([self.products, with_columns, with_itself])


def lay_out(
    X: npt.ArrayLike, subject: npt.ArrayLike, visit: npt.ArrayLike, n_visits: int | None = None
) -> Layout:
    """Prepare a design for `ketbids.stats.mixed.reml.fit_layout`.

    Parameters
    ----------
    X : array of (n, p)
        Full column rank, finite.
    subject, visit : array of (n,)
        Integer codes from 0; each pair at most once.
    n_visits : int, optional
        Number of visits T; as many as the codes need unless given.

    Raises
    ------
    InputError
        A participant has two rows of a visit, there are not more rows than columns, or a column
        is a combination of others (columns are counted from 1).
    """
    X = np.asarray(X, dtype=float)
    visit = np.asarray(visit, dtype=np.int64)
    subject = np.unique(np.asarray(subject, dtype=np.int64), return_inverse=True)[1]
    n, p = X.shape
    if n <= p:
        raise InputError(f'{n} rows are not enough for {p} coefficients: at least {p + 1}.')
    n_visits = int(visit.max()) + 1 if n_visits is None else n_visits
    Q, to_given, log_det = _orthonormal(X)
    grid = _grid(subject, visit, n_visits)
    observed, pattern = np.unique(grid >= 0, axis=0, return_inverse=True)
    order = np.argsort(pattern, kind='stable')
    grid = grid[order]
    counts = np.bincount(pattern)
    a, b = np.triu_indices(n_visits)
    number, pair = np.nonzero(observed[:, a] & observed[:, b])
    cells = (number, a[pair], b[pair])
    wide = _widen(Q, grid)
    products = _sum_products(wide, wide, counts, cells)
    return Layout(
        X, subject, visit, len(grid), n_visits, Q, to_given, log_det, grid, observed, counts,
        wide, cells, products,
    )  # fmt: skip


def _orthonormal(X: Floats) -> tuple[Floats, Floats, float]:
    Q, R = np.linalg.qr(X)
    length = np.linalg.norm(X, axis=0)
    left = np.abs(np.diag(R))
    collinear = np.flatnonzero(left <= _COLLINEAR * length)
    if len(collinear):
        raise InputError(
            'Columns of the design matrix are constant 0 or combinations of the columns before '
            f'them: {", ".join(str(column + 1) for column in collinear)}.'
        )
    return Q, np.linalg.inv(R), 2 * float(np.log(left).sum())


def _grid(subject: Integers, visit: Integers, n_visits: int) -> Integers:
    if visit.min() < 0 or visit.max() >= n_visits:
        raise InputError(f'Visits must be numbers from 0 to {n_visits - 1}.')
    grid = np.full((subject.max() + 1, n_visits), -1)
    rows = np.arange(len(subject))
    grid[subject, visit] = rows
    hidden = np.flatnonzero(grid[subject, visit] != rows)
    if len(hidden):
        first, second = hidden[0], grid[subject[hidden[0]], visit[hidden[0]]]
        raise InputError(
            f'Rows {first + 1} and {second + 1} are the same visit of the same participant: keep '
            'one of them.'
        )
    return grid


def _widen(columns: Floats, grid: Integers) -> Floats:
    """Rows by participant and visit, (N, T, columns); 0 for every visit that somebody lacks."""
    return np.vstack([columns, np.zeros(columns.shape[1])])[grid]


def _sum_products(
    left: Floats, right: Floats, counts: Integers, cells: tuple[Integers, Integers, Integers]
) -> Floats:
    """``l_a r_b'``, plus ``l_b r_a'`` if a < b, summed over the participants of each pattern."""
    n_visits, p, q = left.shape[1], left.shape[2], right.shape[2]
    number, a, b = cells
    sums = np.empty((len(number), p, q))
    start = cell = 0
    for count, n_cells in zip(counts, np.bincount(number), strict=True):
        mine = slice(start, start + count)
        product = left[mine].reshape(count, -1).T @ right[mine].reshape(count, -1)
        product = product.reshape(n_visits, p, n_visits, q).swapaxes(1, 2)
        here = slice(cell, cell + n_cells)
        apart = (a[here] < b[here])[:, None, None]
        sums[here] = product[a[here], b[here]] + apart * product[b[here], a[here]]
        start, cell = start + count, cell + n_cells
    return sums.reshape(len(sums), p * q)
