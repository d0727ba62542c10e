"""Options of the scripts of the HCP pipelines: from traits to arguments."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from nipype.interfaces.base import File
from nipype.interfaces.base.traits_extension import BasePath

from ketbids.errors import InputError
from ketbids.io.stages import content_stamp

__all__ = [
    'decimal',
    'declared',
    'formatted',
    'is_stamped',
    'paths_of',
    'refuse_label',
    'refuse_special',
    'stamp',
]

#: Characters that the scripts take for what they are, everywhere.
_PLAIN = re.compile(r'[A-Za-z0-9._/+:=@%,-]*')
_LABEL = re.compile(r'[A-Za-z0-9_+][A-Za-z0-9._+-]*')
_SEPARATORS = re.compile('[@%]')


def decimal(value: float) -> str:
    """Write a number without exponent, which ``bc`` does not understand."""
    return np.format_float_positional(float(value), trim='-')


def declared(spec: type) -> Iterator[str]:
    """Give the names of a spec's traits as they are declared, those of base classes first."""
    seen = {'trait_added', 'trait_modified'}
    for parent in reversed(spec.__mro__):
        for name in parent.__dict__.get('__base_traits__', ()):
            if name not in seen:
                seen.add(name)
                yield name


def _is_path(trait: Any) -> bool:
    kinds = (trait, *(trait.inner_traits or ()))
    return any(kind.is_trait_type(BasePath) for kind in kinds)


def paths_of(trait: Any, value: Any) -> list[str]:
    """Give the paths among the values of an option; ``NONE`` is none."""
    if not _is_path(trait):
        return []
    values = value if isinstance(value, list) else [value]
    return [str(item) for item in values if str(item) not in ('', 'NONE')]


def is_stamped(trait: Any) -> bool:
    """Tell whether the content of an option's files counts, and not their names."""
    kinds = (trait, *(trait.inner_traits or ()))
    exists = any(
        kind.is_trait_type(File) and getattr(kind.trait_type, 'exists', False) for kind in kinds
    )
    return bool(trait.stamp) or exists


def stamp(path: Path) -> str:
    """Give a file's name and a stamp of its content, or say that it is missing."""
    # An optional file that earlier stages or people provide need not be there yet.
    return f'{path.name} {content_stamp(path) if path.exists() else "missing"}'


def formatted(trait: Any, value: Any) -> list[str]:
    """Give the arguments of an option.

    A flag is its own argument, or none; a list is one argument if its trait has `sep`, otherwise
    one for each item; floats have no exponent.
    """
    template: str = trait.argstr
    if isinstance(value, bool):
        if '%' not in template:
            return [template] if value else []
        return [template % ('TRUE' if value else 'FALSE')]
    if isinstance(value, list):
        texts = [_text(item) for item in value]
        return [template % text for text in ([trait.sep.join(texts)] if trait.sep else texts)]
    return [template % _text(value)]


def _text(value: Any) -> str:
    return decimal(value) if isinstance(value, float) else str(value)


def refuse_special(text: str, stage: str, *, path: bool = False) -> None:
    """Refuse what the scripts would split, expand or execute."""
    if not _PLAIN.fullmatch(text):
        found = sorted(set(re.sub(_PLAIN, '', text)))
        raise InputError(
            f'{stage}: {text!r} holds {", ".join(map(repr, found))}, but the HCP pipelines can '
            'only use names of letters (without accents), digits and . _ / + : = , -. Rename the '
            'file or folder, or use another one.'
        )
    if path and _SEPARATORS.search(text):
        raise InputError(
            f'{stage}: {text!r} holds @ or %, which separate the items of lists in the HCP '
            'pipelines. Rename the file or folder, or use another one.'
        )


def refuse_label(text: str, stage: str) -> None:
    """Refuse what cannot be a part of a file's name."""
    if not _LABEL.fullmatch(text):
        raise InputError(
            f'{stage}: {text!r} cannot be part of the name of a file: letters, digits and . _ + - '
            'are possible, and the first one must be a letter or digit.'
        )
