"""Files of the preprocessing under their BIDS names: links into the study folder."""

import errno
import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Literal

from ketbids.errors import InputError
from ketbids.io.files import read_json, written_aside
from ketbids.io.hcpnames import study_folder

__all__ = ['STORAGE', 'place_link', 'published', 'unpublish']

#: Field of a sidecar that says whether its file is a link or a copy.
STORAGE = 'Storage'

#: What systems say that have no symbolic links.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

#: Files that are made of a session's runs, beside the links.
_MADE = re.compile(r'_desc-(?:confounds_timeseries\.tsv|quality_metrics\.json)')


def place_link(target: Path, source: Path) -> Literal['link', 'copy', 'kept']:
    """Make `target` a relative symbolic link to `source`; a copy where there are no links.

    A link (or copy) of before is replaced at once; nobody sees a moment without one.

    Returns
    -------
    {'link', 'copy', 'kept'}
        ``kept``: a file of somebody else stands there, and stays.
    """
    target, source = Path(target).absolute(), Path(source).absolute()
    if target.exists() and not target.is_symlink() and not _is_copy(target):
        return 'kept'
    target.parent.mkdir(parents=True, exist_ok=True)
    relative = os.path.relpath(source, target.parent)
    if not _leads(target.parent / relative, source):
        # A folder on the way is a link itself: .. is then another folder than its name says.
        relative = os.path.relpath(source.resolve(), target.parent.resolve())
    aside = target.with_name(f'.{secrets.token_hex(6)}_{target.name}')
    try:
        aside.symlink_to(relative)
        aside.replace(target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        with written_aside(target) as copy:
            shutil.copyfile(source, copy)
        return 'copy'
    finally:
        aside.unlink(missing_ok=True)
    return 'link'


def _leads(path: Path, source: Path) -> bool:
    try:
        return path.samefile(source)
    except OSError:
        return False


def _sidecar(path: Path) -> Path:
    return path.with_name(f'{path.name.split(".")[0]}.json')


def _is_copy(path: Path) -> bool:
    """Tell by its sidecar if a file is a copy that stands for a link."""
    try:
        return read_json(_sidecar(path)).get(STORAGE) == 'copy'
    except InputError:
        return False


def unpublish(output_dir: Path, session: str) -> list[Path]:
    """Remove what the preprocessing of a session put under BIDS names.

    That is for the moment when a stage is about to be done again: no link shall lead to files
    that are half made, no table describe data that are gone. Files that the participant level
    made are not touched, whatever their names.

    Parameters
    ----------
    output_dir : Path
    session : str
        E.g. ``sub-01_ses-TP1``.

    Returns
    -------
    list of Path
        What was removed, sorted.
    """
    removed = []
    for path in published(output_dir, session):
        # The sidecar last: as long as it is there, a copy is known for one.
        for gone in (path, _sidecar(path)):
            if gone.is_symlink() or gone.is_file():
                gone.unlink()
                removed.append(gone)
    return sorted(removed)


def published(output_dir: Path, session: str) -> list[Path]:
    """List what the preprocessing of a session put under BIDS names, without sidecars; sorted."""
    study = study_folder(Path(os.path.abspath(output_dir))) / session
    folder = Path(output_dir).joinpath(*session.split('_'))
    found = [path for kind in ('anat', 'func') for path in folder.glob(f'{kind}/{session}_*')]
    return sorted(path for path in found if _is_ours(path, study))


def _is_ours(path: Path, study: Path) -> bool:
    if path.is_symlink():
        return _is_into(path, study)
    if _MADE.search(path.name):
        return path.is_file()
    return path.suffix != '.json' and path.is_file() and _is_copy(path)


def _is_into(link: Path, folder: Path) -> bool:
    """Tell if a link leads below a folder, whether or not there is anything."""
    by_name = Path(os.path.abspath(link.parent / link.readlink()))
    real = Path(os.path.realpath(link))
    return by_name.is_relative_to(folder) or real.is_relative_to(os.path.realpath(folder))
