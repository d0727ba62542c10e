"""Finished stages of the preprocessing: their records, and whether their files are whole."""

import errno
import gzip
import hashlib
import json
import os
import secrets
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nb
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from ketbids.errors import InputError, cannot_use
from ketbids.io.files import read_json, write_json

__all__ = ['StageRecord', 'broken', 'content_stamp', 'read_record', 'to_disk', 'write_record']

#: Size and number of the samples that stand for the content of a large file, bytes.
_SAMPLE = 64 * 1024
_SAMPLES = 256

#: What compressed files begin with.
_GZIP = b'\x1f\x8b'

#: What a header takes at most, bytes.
_HEADER = 1024

#: What FreeSurfer may write behind the data of an .mgz file (tags), bytes.
_MGH_TAGS = 16 * 1024 * 1024

#: What file systems say that cannot write single files to the disk.
_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EROFS)

_TEXT = ('.txt', '.csv', '.tsv', '.json', '.mat', '.stats', '.con', '.fsf', '.log', '.ctab')
_XML = {'.gii': b'</GIFTI>', '.spec': b'>', '.scene': b'>', '.wb_scene': b'>'}


@dataclass(frozen=True)
class StageRecord:
    """A stage that was finished.

    Attributes
    ----------
    mark : dict
        What it was made with, by option; where folders were plays no part.
    token : str
        Another one each time that the stage is done.
    after : dict of str to str
        Tokens of the stages that it builds on, by their records' paths relative to this one's
        folder.
    version : str
        Of the HCP pipelines.
    command : str
    outputs : tuple of str
        Relative to the record's folder.
    programs : dict of str to str
        Versions of the programs that it was made with, by their names.
    """

    mark: Mapping[str, Any]
    token: str
    after: Mapping[str, str]
    version: str
    command: str
    outputs: tuple[str, ...]
    programs: Mapping[str, str] = field(default_factory=dict)


def content_stamp(path: Path) -> str:
    """Give a text that changes with the content of a file, but not with its place or date.

    It is the size, and the SHA-256 of the content; of files beyond 16 MB, of 256 samples of
    64 kB, evenly spaced from the first to the last byte, so that images whose faces were removed
    are told from what they were. Of compressed files, the first and the last sample do: the end
    holds a checksum of all.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    try:
        with Path(path).open('rb') as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(_SAMPLE)
            digest = hashlib.sha256(start)
            for place in _places(size, compressed=start.startswith(_GZIP)):
                file.seek(place)
                digest.update(file.read(_SAMPLE))
    except OSError as error:
        raise InputError(cannot_use(error)) from error
    return f'{size}-{digest.hexdigest()[:32]}'


def _places(size: int, *, compressed: bool) -> Iterable[int]:
    """Say where the samples of a file begin, behind the first one; none lies within another."""
    last = size - _SAMPLE
    if last <= 0:
        return ()
    if compressed:
        return (max(last, _SAMPLE),)
    if size <= _SAMPLE * _SAMPLES:
        return range(_SAMPLE, size, _SAMPLE)
    return (last * number // (_SAMPLES - 1) for number in range(1, _SAMPLES))


def read_record(path: Path) -> StageRecord | None:
    """Read the record of a stage; None if there is none, or none that can be understood."""
    if not Path(path).is_file():
        return None
    try:
        content = read_json(path)
        return StageRecord(
            mark=dict(content['Mark']),
            token=str(content['Token']),
            after=dict(content['After']),
            version=str(content['Version']),
            command=str(content['Command']),
            outputs=tuple(map(str, content['Outputs'])),
            programs={name: str(text) for name, text in content.get('Programs', {}).items()},
        )
    except (InputError, AttributeError, KeyError, TypeError, ValueError):
        return None


def write_record(
    path: Path,
    *,
    mark: Mapping[str, Any],
    after: Mapping[str, str],
    version: str,
    command: str,
    outputs: Iterable[Path],
    programs: Mapping[str, str] | None = None,
) -> StageRecord:
    """Record a finished stage, under a new token; the record is whole, and on the disk.

    Parameters
    ----------
    path : Path
    mark, after, version, command, programs
        See `StageRecord`.
    outputs : iterable of Path
    """
    folder = Path(path).parent
    relative = tuple(os.path.relpath(output, folder) for output in outputs)
    token = secrets.token_hex(16)
    record = StageRecord(
        dict(mark), token, dict(after), version, command, relative, dict(programs or {})
    )
    content = {
        'Mark': record.mark,
        'Token': record.token,
        'After': record.after,
        'Version': record.version,
        'Programs': record.programs,
        'Command': record.command,
        'Outputs': list(record.outputs),
    }
    # As it will be read: tuples become lists.
    write_json(path, json.loads(json.dumps(content)))
    to_disk([path, folder])
    return record


def to_disk(paths: Sequence[Path]) -> None:
    """Have the content of files and folders written to the disk, so that it survives a power cut.

    Raises
    ------
    OSError
        The disk is full, or does not work.
    """
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        except OSError as error:
            # Some file systems cannot, above all for folders.
            if error.errno not in _NO_FSYNC:
                raise
        finally:
            os.close(number)


def broken(path: Path) -> str | None:
    """Say why a file is not whole, or None if it is.

    A file that is there may have been cut off: images are held against the size that their
    header gives, compressed ones by the length in their trailer; XML must end, and text must not
    hold zeros, as after a power cut. A folder must not be empty.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str or None
        Such as ``it is missing``.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return None if any(path.iterdir()) else 'it is an empty folder'
        if not path.is_file():
            return 'it is missing'
        if not path.stat().st_size:
            return 'it is empty'
        return _broken_content(path)
    except OSError as error:
        return f'it cannot be read ({error.strerror or error})'


def _broken_content(path: Path) -> str | None:
    name = path.name.lower()
    if name.endswith('.nii'):
        with path.open('rb') as file:
            needed = _nifti_size(file.read(_HEADER))
        return _cut(needed is None or path.stat().st_size < needed)
    if name.endswith(('.nii.gz', '.mgz')):
        return _broken_compressed(path, mgh=name.endswith('.mgz'))
    if name.endswith('.gz'):
        return _cut(_unpacked_size(path) is None)
    for suffix, end in _XML.items():
        if name.endswith(suffix):
            return _cut(not _tail(path, 256).rstrip().endswith(end))
    if name.endswith(_TEXT) and b'\0' in _tail(path, 4096):
        return 'it holds zeros instead of text'
    return None


def _cut(is_cut: bool) -> str | None:
    return 'it is cut off' if is_cut else None


def _tail(path: Path, length: int) -> bytes:
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - length))
        return file.read()


def _broken_compressed(path: Path, *, mgh: bool) -> str | None:
    """Hold the length in the last four bytes against the header; if in doubt, unpack."""
    try:
        with gzip.open(path) as file:
            header = file.read(_HEADER)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return 'it is cut off'
    needed = _mgh_size(header) if mgh else _nifti_size(header)
    if needed is None:
        return 'it is cut off'
    (length,) = struct.unpack('<I', _tail(path, 4))
    spare = (length - needed) % 2**32
    if spare <= (_MGH_TAGS if mgh else 0):
        return None
    # Several compressed parts in one file are whole, too.
    whole = _unpacked_size(path)
    return _cut(whole is None or whole < needed)


def _unpacked_size(path: Path) -> int | None:
    """Give the size of the content of a compressed file, bytes; None if it is cut off."""
    size = 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(1 << 20):
                size += len(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    return size


def _nifti_size(start: bytes) -> int | None:
    """Give the size that a NIfTI header says the file has, bytes; None for no such header."""
    lengths = {struct.unpack(order + 'i', start[:4])[0] for order in '<>'} if start[4:] else set()
    kind = nb.Nifti2Header if 540 in lengths else nb.Nifti1Header if 348 in lengths else None
    if kind is None or len(start) < kind.template_dtype.itemsize:
        return None
    try:
        header = kind(start[: kind.template_dtype.itemsize], check=False)
        shape = header.get_data_shape()
        item = header.get_data_dtype().itemsize
        offset = max(int(header['vox_offset']), kind.template_dtype.itemsize)
    except (HeaderDataError, WrapStructError, ValueError, KeyError):
        return None
    return offset + _product(shape) * item


def _mgh_size(start: bytes) -> int | None:
    """Give the size that an MGH header says the file has at least, bytes; None for none."""
    length = MGHHeader._hdrdtype.itemsize
    try:
        header = MGHHeader(start[:length], check=False)
        return int(header.get_data_offset()) + _product(header.get_data_shape()) * (
            header.get_data_dtype().itemsize
        )
    except (HeaderDataError, WrapStructError, ValueError, KeyError):
        return None


def _product(shape: Iterable[int]) -> int:
    count = 1
    for extent in shape:
        count *= int(extent)
    return count
