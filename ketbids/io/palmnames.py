"""What PALM calls its files, and whether they can be written."""

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ketbids.errors import InputError, UsageError

__all__ = ['KINDS', 'PalmNames', 'check_writable', 'is_output_of', 'map_kind', 'output_name']

#: What a file is about: data by kind of location, clusters by extent or mass, TFCE.
KINDS = ('vox', 'dpv', 'dat', 'clustere', 'clusterm', 'tfce')
_STATISTIC = r'(?:z?[tfvg]stat|cope|varcope|cohen|cfvar)'
#: P-values and maxima; m: over modalities, c: over contrasts.
_RESULT = r'(?:uncp|(?:m|c|mc)?(?:fwep|fdrp)|uncparap|fdrparap|max)'
_TAIL = r'(?:dof|meandof|perm\d{6,})'
_NUMBERED = r'(?:_d\d+)?(?:_c\d+)?'
_EXTENSION = r'(?:\.dscalar\.nii|\.nii\.gz|\.nii|\.gii|\.csv|\.txt)'
#: What may follow the prefix.
_REST = re.compile(
    rf'(?:_(?:{"|".join(KINDS)})_{_STATISTIC}(?:_{_RESULT})?(?:_m\d+)?{_NUMBERED}(?:_{_TAIL})?'
    rf'|{_NUMBERED}_permidx|mask(?:_m\d+)?|_?palmconfig|_elapsed){_EXTENSION}'
)


def map_kind(source: str, *, surface: bool) -> str:
    """What PALM calls maps of an input.

    Parameters
    ----------
    source : {'nifti', 'gifti', 'cifti', 'csv'}
    surface : bool
        A ``-s`` is used for it: there is one, and TFCE or clusters are asked for. (PALM does not
        look at ``-s`` otherwise; surface data in a NIfTI file are then ``vox``.)

    Returns
    -------
    {'vox', 'dpv', 'dat'}
        A dscalar stays ``dat`` with surfaces: it holds more than vertices.
    """
    if source == 'cifti':
        return 'dat'
    if surface or source == 'gifti':
        return 'dpv'
    return 'vox' if source == 'nifti' else 'dat'


def output_name(
    prefix: str,
    kind: str,
    statistic: str,
    result: str = '',
    *,
    modality: int | None = None,
    design: int | None = None,
    contrast: int | None = None,
    tail: str = '',
) -> str:
    """Name a file as PALM does, without extension.

    Parameters
    ----------
    prefix : str
        The ``-o``.
    kind : str
        One of :data:`KINDS`.
    statistic : str
        ``tstat``, ``fstat``, ``vstat``, ``gstat``, with ``z`` before it under ``-zstat``; or
        ``cope``, ``varcope``, ``cohen``, ``cfvar``.
    result : str
        ``uncp``, ``fwep``, ``fdrp`` with ``m``, ``c`` or ``mc`` before it for a correction over
        modalities or contrasts; ``uncparap``, ``fdrparap``; ``max``. Empty for the statistic.
    modality, design, contrast : int, optional
        From 1; None if there is only one.
    tail : str
        What stands after the numbers: ``dof``, ``meandof`` or ``perm000001``.

    Raises
    ------
    ValueError
        A part is none of PALM's.
    """
    patterns = ((_STATISTIC, statistic), (f'(?:{_RESULT})?', result), (f'(?:{_TAIL})?', tail))
    if kind not in KINDS or not all(re.fullmatch(*pair) for pair in patterns):
        raise ValueError(f'PALM has no file {kind} {statistic} {result} {tail}')
    parts = [prefix, kind, statistic]
    parts += [result] if result else []
    numbered = (('m', modality), ('d', design), ('c', contrast))
    parts += [f'{letter}{number}' for letter, number in numbered if number is not None]
    return '_'.join(parts + ([tail] if tail else []))


@dataclass(frozen=True)
class PalmNames:
    """Names of the files of one call; numbers from 1 stand in them where there are several.

    Attributes
    ----------
    prefix : str
        The ``-o``.
    n_modalities, n_designs, n_contrasts : int
        Numbers of ``-i`` and ``-d``, and the largest number of contrasts of a design.
    """

    prefix: str
    n_modalities: int = 1
    n_designs: int = 1
    n_contrasts: int = 1

    def map(
        self,
        kind: str,
        statistic: str,
        result: str = '',
        *,
        modality: int = 1,
        design: int = 1,
        contrast: int = 1,
        tail: str = '',
    ) -> str:
        """Name a map or table (see :func:`output_name`), without extension."""
        return output_name(
            self.prefix,
            kind,
            statistic,
            result,
            modality=modality if self.n_modalities > 1 else None,
            design=design if self.n_designs > 1 else None,
            contrast=contrast if self.n_contrasts > 1 else None,
            tail=tail,
        )

    def shuffles(self, *, design: int = 1, contrast: int = 1) -> str:
        """Name the table of the shuffles of a contrast (``-saveperms``)."""
        numbers = f'_d{design}' if self.n_designs > 1 else ''
        numbers += f'_c{contrast}' if self.n_contrasts > 1 else ''
        return f'{self.prefix}{numbers}_permidx.csv'

    def mask(self, *, modality: int = 1) -> str:
        """Name a mask (``-savemask``), without extension: PALM puts no ``_`` before it."""
        return f'{self.prefix}mask' + (f'_m{modality}' if self.n_modalities > 1 else '')

    def configuration(self) -> str:
        """Name the list of the options; a prefix that ends in ``_`` gets no second one."""
        return f'{self.prefix.removesuffix("_")}_palmconfig.txt'

    def elapsed(self) -> str:
        """Name the table of the times, which PALM writes last."""
        return f'{self.prefix}_elapsed.csv'


def is_output_of(prefix: str, path: Path) -> bool:
    """Tell if PALM could write a file of this name with this ``-o``."""
    start, name = Path(f'{prefix}_'), Path(path)
    begin = start.name[:-1]
    if not name.name.startswith(begin.removesuffix('_')):
        return False
    rests = {name.name[len(head) :] for head in (begin, begin.removesuffix('_'))}
    if not any(_REST.fullmatch(rest) for rest in rests):
        return False
    return start.parent.resolve() == name.parent.resolve()


def check_writable(prefix: str, inputs: Iterable[Path] = ()) -> None:
    """Make sure, before any computing, that files of this prefix can be written.

    Nothing is left behind: a folder that does not exist is made with the first file, as PALM
    makes it, and what it would stand in is tried with a file without a name.

    Raises
    ------
    UsageError
        An input has the name of an output, and would be overwritten.
    InputError
        The folder cannot be written to.
    """
    for path in inputs:
        for name in {Path(path).absolute(), Path(path).resolve()}:
            if is_output_of(prefix, name):
                raise UsageError(
                    f'-o {prefix}: the input {path} has the name of an output of this prefix and '
                    'could be overwritten. Choose another -o.'
                )
    folder = Path(f'{prefix}_').parent
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f'-o {prefix}: {folder} is not a folder.')
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f'-o {prefix}: nothing can be written in {folder}: {error.strerror}.'
        ) from error
