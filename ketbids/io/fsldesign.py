"""Designs, contrasts, F tests, blocks and variance groups in the files of FSL."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError, UsageError
from ketbids.io.files import write_text
from ketbids.io.matrices import read_matrix

__all__ = [
    'ContrastFiles',
    'default_contrasts',
    'pair_contrasts',
    'read_blocks',
    'read_contrast_set',
    'read_contrasts',
    'read_design',
    'read_ftests',
    'read_variance_groups',
    'write_contrasts',
    'write_design',
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class ContrastFiles(NamedTuple):
    """The files of one design's contrasts: ``-t``, and ``-f`` if there are F tests."""

    t: Path
    f: Path | None


def read_design(path: Path, n_observations: int) -> Floats:
    """Read a design matrix, shape (n_observations, n_columns).

    Raises
    ------
    InputError
        It cannot be read, is not finite, or has another number of rows than there are
        observations.
    """
    design = read_matrix(path)
    if len(design) != n_observations:
        raise InputError(
            f'{path}: the design has {len(design)} rows, but the data have {n_observations} '
            'observations. It needs one row for each, in the same order.'
        )
    return design


def read_contrasts(path: Path, n_columns: int) -> Floats:
    """Read t contrasts, shape (n_contrasts, n_columns).

    Raises
    ------
    InputError
        The file cannot be read, is not finite, or has another number of columns than the design.
    """
    contrasts = read_matrix(path)
    if contrasts.shape[1] != n_columns:
        raise InputError(
            f'{path}: the contrasts have {contrasts.shape[1]} weights, but the design has '
            f'{n_columns} columns. Each contrast is one row with a weight for each column.'
        )
    return contrasts


def read_ftests(path: Path, contrasts: Floats) -> list[Floats]:
    """Read F tests: each row of the file picks rows of the t contrasts.

    Parameters
    ----------
    path : Path
    contrasts : ndarray, shape (n_contrasts, n_columns)
        The contrasts of the ``-t`` before this ``-f``.

    Returns
    -------
    list of ndarray, each of shape (n_picked, n_columns)

    Raises
    ------
    InputError
        The file cannot be read, has another number of columns than there are contrasts, or a row
        that picks none.
    """
    picks = read_matrix(path)
    if picks.shape[1] != len(contrasts):
        raise InputError(
            f'{path}: the F tests have {picks.shape[1]} columns, but there are {len(contrasts)} '
            't contrasts. Each row needs a 1 or 0 for each of them.'
        )
    for row, pick in enumerate(picks, start=1):
        if not pick.any():
            raise InputError(f'{path}: F test {row} picks no contrast, all its values are 0.')
    return [contrasts[pick != 0] for pick in picks]


def read_contrast_set(files: ContrastFiles, n_columns: int) -> tuple[list[Floats], list[str]]:
    """Read all contrasts of a design in the order in which PALM numbers them.

    Returns
    -------
    contrasts : list of ndarray, each of shape (n_rows, n_columns)
        One row for a t contrast, those of the F tests after them.
    notes : list of str
        Sentences about contrasts whose weights are all 0: they are left out, and the others
        numbered without them.

    Raises
    ------
    InputError
        A file cannot be read or does not fit the design, or no contrast is left.
    """
    t_contrasts = read_contrasts(files.t, n_columns)
    found = [row[None] for row in t_contrasts]
    if files.f is not None:
        found += read_ftests(files.f, t_contrasts)
    kept = [contrast for contrast in found if contrast.any()]
    if not kept:
        raise InputError(f'{files.t}: the weights of all contrasts are 0: there is no test.')
    notes = [
        f'{files.t}: contrast {number} has only weights of 0 and is left out; the contrasts after '
        'it move up in the names of the files.'
        for number, contrast in enumerate(found, start=1)
        if not contrast.any()
    ]
    return kept, notes


def default_contrasts(n_columns: int) -> list[Floats]:
    """Contrasts for a design without ``-t``: both directions, or one F test of all columns."""
    if n_columns == 1:
        return [np.ones((1, 1)), -np.ones((1, 1))]
    return [np.eye(n_columns)]


def pair_contrasts(
    options: Sequence[tuple[str, Path]], n_designs: int
) -> list[ContrastFiles] | None:
    """Find which ``-t`` and ``-f`` files belong to which design.

    A ``-f`` belongs to the ``-t`` before it. One ``-t`` serves all designs, several serve one
    each, in order.

    Parameters
    ----------
    options : sequence of (str, Path)
        ``'-t'`` or ``'-f'`` and its file, in the order of the command line.
    n_designs : int
        Number of ``-d``.

    Returns
    -------
    list of ContrastFiles, one for each design, or None
        None without ``-t``: see :func:`default_contrasts`.

    Raises
    ------
    UsageError
        The options do not fit together.
    """
    pairs: list[ContrastFiles] = []
    for option, path in options:
        if option == '-t':
            pairs.append(ContrastFiles(path, None))
        elif not pairs:
            raise UsageError(f'-f {path} stands before the -t whose contrasts it picks from.')
        elif pairs[-1].f is not None:
            raise UsageError(f'-t {pairs[-1].t} has two -f: {pairs[-1].f} and {path}. Give one.')
        else:
            pairs[-1] = ContrastFiles(pairs[-1].t, path)
    if not pairs:
        return None
    if n_designs == 0:
        raise UsageError(f'-t {pairs[0].t} needs a design: give -d.')
    if len(pairs) not in (1, n_designs):
        raise UsageError(
            f'There are {len(pairs)} -t for {n_designs} -d: give one for all designs, or one each.'
        )
    return pairs * n_designs if len(pairs) == 1 else pairs


def read_blocks(path: Path, n_observations: int) -> Ints:
    """Read exchangeability blocks, shape (n_observations, n_levels); one level if not a tree.

    Raises
    ------
    InputError
        The file cannot be read, has values that are no whole numbers, or another number of rows
        than there are observations.
    """
    values = _vector_or_rows(path, n_observations, 'exchangeability blocks')
    wrong = np.argwhere(values != np.rint(values))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f'{path}, row {row + 1}, column {column + 1}: {values[row, column]:g} is no whole '
            'number. Blocks are named by whole numbers, with a sign.'
        )
    return values.astype(np.int64)


def read_variance_groups(path: Path, n_observations: int) -> Ints:
    """Read variance groups as codes 0, 1, ... in increasing order of their numbers in the file.

    Returns
    -------
    ndarray of int64, shape (n_observations,)

    Raises
    ------
    InputError
        The file cannot be read, has several columns, or another number of rows than there are
        observations.
    """
    values = _vector_or_rows(path, n_observations, 'variance groups')
    if values.shape[1] != 1:
        raise InputError(
            f'{path}: variance groups are one column of numbers, not {values.shape[1]}.'
        )
    return np.unique(values[:, 0], return_inverse=True)[1].reshape(-1).astype(np.int64)


def _vector_or_rows(path: Path, n_observations: int, what: str) -> Floats:
    """A table with a row for each observation; a single row is taken for a column."""
    values = read_matrix(path)
    if len(values) == 1 and n_observations > 1:
        values = values.T
    if len(values) != n_observations:
        raise InputError(
            f'{path}: the {what} have {len(values)} rows, but the data have {n_observations} '
            'observations.'
        )
    return values


def write_design(target: Path, design: npt.ArrayLike) -> Path:
    """Write a design matrix (n_volumes, n_columns) as FSL's ``.mat``."""
    values = np.asarray(design, dtype=np.float64)
    heights = ' '.join(f'{height:.6e}' for height in np.ptp(values, axis=0))
    head = [f'/NumWaves\t{values.shape[1]}', f'/NumPoints\t{len(values)}']
    return write_text(target, _vest([*head, f'/PPheights\t{heights}'], values))


def write_contrasts(target: Path, contrasts: npt.ArrayLike) -> Path:
    """Write t contrasts (n_contrasts, n_columns) as FSL's ``.con``."""
    values = np.asarray(contrasts, dtype=np.float64)
    head = [f'/NumWaves\t{values.shape[1]}', f'/NumContrasts\t{len(values)}']
    return write_text(target, _vest(head, values))


def _vest(head: Sequence[str], values: Floats) -> str:
    rows = ['\t'.join(f'{value:.16e}' for value in row) for row in values]
    return '\n'.join([*head, '', '/Matrix', *rows]) + '\n'
