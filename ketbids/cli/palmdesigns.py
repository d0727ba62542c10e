"""Designs of a call of ketbids-palm: files become contrasts with their shuffles."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.cli.palmoptions import PalmOptions
from ketbids.errors import InputError, UsageError
from ketbids.io.fsldesign import (
    default_contrasts,
    pair_contrasts,
    read_blocks,
    read_contrast_set,
    read_design,
    read_variance_groups,
)
from ketbids.io.matrices import read_matrix
from ketbids.stats.exchangeability import block_tree, block_variance_groups
from ketbids.stats.freedman_lane import (
    PartitionedDesign,
    check_design,
    partition_design,
    restrict_design,
    same_as_identity,
)
from ketbids.stats.palmshuffles import given_shuffles, palm_shuffles
from ketbids.stats.shuffling import Shuffles, label_codes

__all__ = ['Designs', 'Test', 'read_designs']

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: PALM's number of shuffles.
_DEFAULT_SHUFFLES = 10000
# A demeaned column that is smaller than this part of what it was is gone.
_GONE = 1e-10


class Test(NamedTuple):
    """One contrast of one design; both are numbered from 1."""

    design: int
    contrast: int
    parts: PartitionedDesign
    shuffles: Shuffles


class _Contrast(NamedTuple):
    """One contrast before its shuffles are chosen: weights of shape (n_columns, rank)."""

    design: int
    number: int
    name: str
    matrix: Floats
    weights: Floats

    @property
    def labels(self) -> Ints:
        """Observations that are equal in the tested columns have one label."""
        return label_codes(self.matrix[:, self.weights.any(axis=1)])


class Designs(NamedTuple):
    """All tests of a call.

    Attributes
    ----------
    tests : tuple of Test
    groups : ndarray of int, shape (n_observations,), or None
        Variance groups.
    notes : tuple of str
        Sentences for the user.
    """

    tests: tuple[Test, ...]
    groups: Ints | None
    notes: tuple[str, ...]


def read_designs(options: PalmOptions, n: int) -> Designs:
    """Read designs, contrasts, blocks, variance groups and shuffles of a call.

    Parameters
    ----------
    options : PalmOptions
    n : int
        Number of observations.

    Raises
    ------
    UsageError
        Options do not fit the files.
    InputError
        A file cannot be read or used, or there is nothing to shuffle.
    """
    contrasts, notes = _read_contrasts(options, n)
    tree = _read_tree(options, n)
    parts = [_partition(contrast, options.demean) for contrast in contrasts]
    shuffles, said = _choose_shuffles(options, contrasts, tree, n)
    tests = tuple(
        Test(contrast.design, contrast.number, split, chosen)
        for contrast, split, chosen in zip(contrasts, parts, shuffles, strict=True)
    )
    if options.permidx:
        _check_given(tests)
    return Designs(tests, _read_groups(options, tree, n), (*notes, *said))


def _read_contrasts(options: PalmOptions, n: int) -> tuple[list[_Contrast], list[str]]:
    """All contrasts of all designs, in the order in which PALM numbers them."""
    words: list[tuple[str, Path]] = []
    for k, name in enumerate(options.t_contrasts):
        words.append(('-t', Path(name)))
        if k < len(options.f_contrasts) and options.f_contrasts[k]:
            words.append(('-f', Path(options.f_contrasts[k])))
    pairs = pair_contrasts(words, len(options.designs))
    found: list[_Contrast] = []
    notes: list[str] = []
    for d, name in enumerate(options.designs or ('',)):
        matrix = read_design(Path(name), n) if name else np.ones((n, 1))
        if pairs is None:
            rows = default_contrasts(matrix.shape[1])
        else:
            rows, said = read_contrast_set(pairs[d], matrix.shape[1])
            notes += said
        found += [
            _Contrast(d + 1, c + 1, f'{name}, contrast {c + 1}'.lstrip(', '), matrix, row.T)
            for c, row in enumerate(rows)
        ]
    return found, notes


def _partition(contrast: _Contrast, demean: bool) -> PartitionedDesign:
    """Split the design by the contrast, if it can be tested."""
    try:
        matrix, weights = check_design(contrast.matrix, contrast.weights)
    except InputError as error:
        raise InputError(f'{contrast.name}: {error}') from error
    if not demean:
        return partition_design(matrix, weights)
    centred = matrix - matrix.mean(axis=0)
    centred[:, np.abs(centred).max(axis=0) <= _GONE * np.abs(matrix).max(axis=0)] = 0
    # Columns that held the mean together depend on each other now.
    parts = restrict_design(centred, weights, np.arange(len(matrix)))
    if parts is None:
        raise InputError(
            f'{contrast.name}: it tests the mean, which -demean removes. Leave -demean out.'
        )
    return parts


def _read_tree(options: PalmOptions, n: int) -> Ints | None:
    if not options.blocks:
        return None
    blocks = read_blocks(Path(options.blocks), n)
    try:
        return block_tree(blocks, options.within, options.whole)
    except InputError as error:
        raise InputError(f'{options.blocks}: {error}') from error


def _read_groups(options: PalmOptions, tree: Ints | None, n: int) -> Ints | None:
    """Variance groups, if there are several."""
    if not options.variance_groups:
        return None
    if options.variance_groups != 'auto':
        groups = read_variance_groups(Path(options.variance_groups), n)
    elif tree is None:
        return None
    else:
        groups = block_variance_groups(tree)
    return groups if len(np.unique(groups)) > 1 else None


def _choose_shuffles(
    options: PalmOptions, contrasts: Sequence[_Contrast], tree: Ints | None, n: int
) -> tuple[list[Shuffles], list[str]]:
    """The shuffles of each contrast, and sentences about them."""
    if options.permidx:
        return _given_shuffles(options, len(contrasts), n)
    synchronised = options.synchronised or options.correct_contrasts
    labels = [contrast.labels for contrast in contrasts]
    notes = []
    if tree is not None and tree.shape[1] != 3 and (options.within or options.whole):
        notes.append(f'-within and -whole have no effect: {options.blocks} has several levels.')
    if synchronised and any((other != labels[0]).any() for other in labels[1:]):
        labels = [np.arange(n)] * len(contrasts)
        notes.append(
            'Equal observations differ between the contrasts: to shuffle all contrasts alike, '
            'all observations are told apart (as by -cmcx of PALM).'
        )
    one_sample = not options.designs
    chosen: list[Shuffles] = []
    for number, (contrast, codes) in enumerate(zip(contrasts, labels, strict=True)):
        if synchronised and chosen:
            chosen.append(chosen[0])
            continue
        try:
            shuffles = palm_shuffles(
                codes,
                blocks=tree,
                permute=options.permute and not one_sample,
                flip=options.flip or one_sample,
                n=_DEFAULT_SHUFFLES if options.n_shuffles is None else options.n_shuffles,
                seed=options.seed,
                stream=number,
            )
        except InputError as error:
            raise InputError(f'{contrast.name}: {error}') from error
        chosen.append(shuffles)
    return chosen, notes


def _given_shuffles(
    options: PalmOptions, n_contrasts: int, n: int
) -> tuple[list[Shuffles], list[str]]:
    """Shuffles of ``-permidx``."""
    if len(options.permidx) not in (1, n_contrasts):
        raise UsageError(
            f'There are {len(options.permidx)} -permidx for {n_contrasts} contrasts: give one '
            'for all, or one each.'
        )
    tables = [_read_table(Path(name), n, options.n_shuffles) for name in options.permidx]
    if (options.synchronised or options.correct_contrasts) and any(
        not np.array_equal(table, tables[0]) for table in tables[1:]
    ):
        raise InputError(
            'Contrasts that are corrected together need the same shuffles, but the tables of '
            '-permidx differ: give one for all.'
        )
    names = {'-ee': True, '-ise': options.flip, '-eb': options.blocks, '-seed': options.seed}
    unused = [name for name, given in names.items() if given and name in options.words]
    note = [f'The shuffles are given: {", ".join(unused)} have no effect on them.']
    shuffles: list[Shuffles] = [given_shuffles(table, n) for table in tables]
    return shuffles * (n_contrasts // len(shuffles)), note if unused else []


def _read_table(path: Path, n: int, wanted: int | None) -> Ints:
    table = read_matrix(path)
    try:
        given = given_shuffles(table, n, wanted)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    return table[: given.n].astype(np.int64)


def _check_given(tests: Sequence[Test]) -> None:
    """Refuse shuffles under which nothing changes: every p would be 1."""
    for test in tests:
        same, _ = same_as_identity(test.shuffles, test.parts)
        if test.shuffles.n > 1 and same.all():
            raise InputError(
                f'None of the shuffles of -permidx changes the statistic of contrast '
                f'{test.contrast} of design {test.design}: every p would be 1. A one-sample '
                'test needs sign flips.'
            )
