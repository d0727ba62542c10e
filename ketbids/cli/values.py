"""Values of options, as argparse takes them from the command line."""

import argparse
import re
from pathlib import Path
from typing import Any

from ketbids.errors import InputError
from ketbids.stats.noisemodels import HIGHEST_ORDER, model_order

__all__ = ['MADE_ATLASES', 'atlas', 'count', 'high_pass', 'label', 'noise_model', 'path']
__all__ += ['percentage', 'positive_count', 'share', 'size']

#: Atlases that no file replaces.
MADE_ATLASES = ('Yeo7', 'Subcortex')


def number(text: str, kind: type, lowest: float, inclusive: bool = True) -> Any:
    """Take a number of a kind that is not too small."""
    try:
        value = kind(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number') from error
    if not (value > lowest or (inclusive and value == lowest)) or value == float('inf'):
        bound = 'at least' if inclusive else 'above'
        raise argparse.ArgumentTypeError(f'{text} must be {bound} {lowest:g}')
    return value


def path(text: str) -> Path:
    """Take a path; an empty one, as of a variable that is not set, would mean this folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError('the path is empty')
    return Path(text)


def count(text: str) -> int:
    """Take a whole number, 0 or more."""
    return number(text, int, 0)


def positive_count(text: str) -> int:
    """Take a whole number above 0."""
    return number(text, int, 1)


def size(text: str) -> float:
    """Take a number, 0 or more."""
    return number(text, float, 0)


def share(text: str) -> float:
    """Take a number above 0, at most 1."""
    value: float = number(text, float, 0, inclusive=False)
    if value > 1:
        raise argparse.ArgumentTypeError(f'{text} is a share: above 0, at most 1')
    return value


def atlas(text: str) -> tuple[str, Path]:
    """Take a name and a file, ``NAME=FILE``."""
    name, equals, file = text.partition('=')
    if not equals or not name.isascii() or not name.isalnum():
        raise argparse.ArgumentTypeError(
            f'{text!r} is not NAME=FILE with a name of letters and digits'
        )
    if name in MADE_ATLASES:
        raise argparse.ArgumentTypeError(
            f'{name} is an atlas that ketbids makes itself: give yours another name'
        )
    return name, path(file)


def label(prefix: str) -> Any:
    """Give a function that takes a label with or without its prefix, such as ``sub``."""

    def parse(text: str) -> str:
        label = text.removeprefix(f'{prefix}-')
        if not label.isalnum():
            raise argparse.ArgumentTypeError(f'{text!r} is not a BIDS label (letters and digits)')
        return label

    parse.__name__ = 'label'
    return parse


def percentage(text: str) -> int:
    """Take a whole number from 1 to 100."""
    value: int = number(text, int, 1)
    if value > 100:
        raise argparse.ArgumentTypeError(f'{text} must be from 1 to 100')
    return value


def high_pass(text: str) -> str:
    """Take seconds, or the order of a polynomial (pd0 to pd5)."""
    if re.fullmatch(r'[0-9]+|pd[0-5]', text):
        return text
    raise argparse.ArgumentTypeError(f'{text!r} is neither a number of seconds nor pd0 to pd5')


def noise_model(text: str) -> str:
    """Take ``ols``, ``film``, or ``ar`` with an order."""
    if text != 'film':
        try:
            model_order(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(
                f'{text!r} is none of ols, ar1 to ar{HIGHEST_ORDER}, film'
            ) from error
    return text
