"""Names in the model file: what they may look like, and where they have to stand."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from keyword import iskeyword

from ketbids.errors import InputError, ModelError
from ketbids.stats import expressions
from ketbids.stats.formulas import RESERVED

__all__ = ['as_model_error', 'need_label', 'need_task', 'need_variable', 'read_expression']
__all__ += ['refuse_repeats', 'same_names', 'session_label', 'session_pair']

_LABEL = re.compile(r'[A-Za-z][A-Za-z0-9]*', re.ASCII)
_BIDS_LABEL = re.compile(r'[A-Za-z0-9]+', re.ASCII)
_IDENTIFIER = re.compile(r'[A-Za-z_][A-Za-z0-9_]*', re.ASCII)


def need_label(name: str, where: str, what: str) -> None:
    """Refuse a name that cannot be part of a file name."""
    if not _LABEL.fullmatch(name):
        raise ModelError(
            f"{where}: the {what} '{name}' becomes part of file names: letters and digits only, "
            'a letter first'
        )


def need_task(label: str, where: str) -> None:
    """Refuse what is not a task label of BIDS."""
    if not _BIDS_LABEL.fullmatch(label):
        raise ModelError(f"{where}: '{label}' is not a task label (letters and digits)")


def session_label(label: str, where: str) -> str:
    """Return a session label of BIDS, without ``ses-``; refuse anything else."""
    if not _BIDS_LABEL.fullmatch(label):
        raise ModelError(
            f"{where}: '{label}' is not a session label (letters and digits, no ses-)"
        )
    return label


def session_pair(labels: Sequence[str], where: str) -> tuple[str, str]:
    """Return the two session labels of a difference; refuse anything else."""
    if len(labels) != 2 or labels[0] == labels[1]:
        raise ModelError(f'{where}: a difference needs two different sessions, got {list(labels)}')
    first, second = (session_label(label, where) for label in labels)
    return first, second


def need_variable(name: str, where: str) -> None:
    """Refuse a name that cannot stand in expressions and formulas."""
    if not _IDENTIFIER.fullmatch(name) or name in RESERVED or iskeyword(name):
        raise ModelError(f"{where}: '{name}' cannot be the name of a variable")


def refuse_repeats(items: Iterable[str], where: str, what: str, *, fold: bool = False) -> None:
    """Refuse a name that stands twice; with ``fold`` also in another case, for file names."""
    seen = set()
    for item in items:
        key = item.lower() if fold else item
        if key in seen:
            raise ModelError(f'{where}: the {what} {item} stands twice')
        seen.add(key)


def same_names(found: Sequence[str], needed: Sequence[str], where: str, other: str) -> None:
    """Refuse names that stand in one of two places only."""
    for name in found:
        if name not in needed:
            raise ModelError(f'{where}: {name} is not in {other} ({", ".join(needed) or "none"})')
    for name in needed:
        if name not in found:
            raise ModelError(f'{where}: {name} of {other} is missing')


@contextmanager
def as_model_error(where: str) -> Iterator[None]:
    """Raise an `InputError` as a `ModelError` that names the node and the key."""
    try:
        yield
    except InputError as error:
        raise ModelError(f'{where}: {error}') from None


def read_expression(expression: str, levels: Mapping[str, Sequence[str]], where: str) -> str:
    """Return an expression; refuse one that cannot be read, and levels that do not exist."""
    with as_model_error(where):
        compared = expressions.texts(expression)
    for name, text in compared:
        if name in levels and text not in levels[name]:
            raise ModelError(
                f"{where}: '{text}' is no level of {name}; Levels has {', '.join(levels[name])}"
            )
    return expression
