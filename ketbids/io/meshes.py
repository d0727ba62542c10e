"""Which mesh a time series is on, and the surfaces that are taken where there are none."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ketbids.errors import InputError
from ketbids.io.preprocessed import Anatomy
from ketbids.io.templates import template_files

__all__ = ['density_name', 'described_by', 'make_anatomy', 'mesh_name', 'one_of']

#: NIfTI-2: size of the header, where it says how many grayordinates there are, and at which byte
#: the data begin.
_HEADER, _COLUMNS, _OFFSET = 540, slice(64, 72), slice(168, 176)
_MAGIC = b'n+2\0'
_LONGEST_XML = 1 << 28
_VERTICES = re.compile(rb'\bSurfaceNumberOfVertices="(\d+)"')

Pair = tuple[Path, Path]


def _read_start(series: Path) -> tuple[int, bytes]:
    """Read the number of grayordinates and the XML; no more is understood than is needed here."""
    try:
        with Path(series).open('rb') as file:
            header = file.read(_HEADER)
            order: Literal['little', 'big'] = (
                'little' if header[:4] == _HEADER.to_bytes(4, 'little') else 'big'
            )
            length = int.from_bytes(header[_OFFSET], order) - _HEADER
            valid = header[4:8] == _MAGIC and 0 < length < _LONGEST_XML
            xml = file.read(length) if valid else b''
    except FileNotFoundError as error:
        raise InputError(f'{series} does not exist.') from error
    except OSError as error:
        raise InputError(f'{series} cannot be read: {error.strerror}.') from error
    if b'<CIFTI' not in xml or len(xml) < length:
        raise InputError(f'{series} cannot be read as a CIFTI-2 file: it is damaged or no CIFTI.')
    return int.from_bytes(header[_COLUMNS], order), xml


def mesh_name(series: Path) -> str:
    """Name the mesh of a time series by its thousands of vertices, e.g. ``32k`` for 32492.

    Raises
    ------
    InputError
        If the file is missing, is not a CIFTI-2 file, or has no cortex.
    """
    found = _VERTICES.search(_read_start(series)[1])
    if found is None:
        raise InputError(f'{series} has no cortex: it holds volumes only.')
    return f'{round(int(found[1]) / 1000)}k'


def density_name(series: Path) -> str:
    """Name the density of a time series by its thousands of grayordinates, e.g. ``91k``."""
    return f'{round(_read_start(series)[0] / 1000)}k'


def described_by(path: Path) -> bool:
    """Tell if there is a JSON file.

    Raises
    ------
    InputError
        Something else has its name.
    """
    if path.is_file():
        return True
    if path.exists() or path.is_symlink():
        raise InputError(
            f'{path} is no file that can be read: remove or rename it; if it is a link of DataLad '
            'or git-annex, fetch its content.'
        )
    return False


def one_of(candidates: Sequence[Path], what: str, advice: str = 'Remove or rename one.') -> Path:
    """Give the only candidate.

    Raises
    ------
    InputError
        If there are several; the message names two and gives the advice.
    """
    if len(candidates) > 1:
        names = ' and '.join(str(path) for path in candidates[:2])
        raise InputError(f'Two candidates for {what}: {names}. {advice}')
    return candidates[0]


def make_anatomy(
    midthickness: Pair | None, inflated: Pair | None, labels: Path | None, mesh: str
) -> Anatomy | None:
    """Put together the surfaces of a session; average ones stand in for what is missing.

    Parameters
    ----------
    midthickness, inflated : tuple of Path or None
        The participant's own: left, right.
    labels : Path or None
    mesh : str
        E.g. ``32k``.

    Returns
    -------
    Anatomy or None
        None without midthickness surfaces on a mesh for which there are no average ones.
        ``inflated`` serves pictures only: without average ones, midthickness takes its place.
    """
    template = tuple(
        name
        for name, own in (('midthickness', midthickness), ('inflated', inflated))
        if own is None and template_files(name, mesh) is not None
    )
    midthickness = midthickness or template_files('midthickness', mesh)
    if midthickness is None:
        return None
    inflated = inflated or template_files('inflated', mesh) or midthickness
    return Anatomy(midthickness, inflated, labels, mesh, template)
