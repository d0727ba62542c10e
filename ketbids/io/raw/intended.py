"""Which images a field map is for: B0FieldIdentifier, B0FieldSource and IntendedFor."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ketbids.errors import InputError
from ketbids.io.folders import labels_of
from ketbids.io.raw.images import RawImage
from ketbids.io.raw.sidecars import Sidecars

__all__ = ['MapSet', 'field_sources', 'find_field_maps', 'is_intended', 'relative_path']

#: Images of func that may be part of a field map.
_FUNCTIONAL = ('bold', 'sbref')


@dataclass(frozen=True)
class MapSet:
    """Field maps of a session.

    Attributes
    ----------
    identifier : str
        What ``B0FieldIdentifier`` calls them; empty for the set of everything in ``fmap``.
    images : tuple of RawImage
    targets : mapping of Path to frozenset of str
        Of the set of everything: images that ``IntendedFor`` of each names and that are there,
        as paths below the dataset.
    identified : frozenset of Path
        Images that have an identifier.
    notes, problems : tuple of str
        Of the set of everything: names of files that are not there; unreadable keys.
    """

    identifier: str
    images: tuple[RawImage, ...]
    targets: Mapping[Path, frozenset[str]] = field(default_factory=dict, compare=False)
    identified: frozenset[Path] = frozenset()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def intended_for(self, target: RawImage, sidecars: Sidecars) -> tuple[RawImage, ...]:
        """Give the images whose ``IntendedFor`` names an image."""
        name = relative_path(target.path, sidecars)
        return tuple(image for image in self.images if name in self.targets.get(image.path, ()))


def relative_path(path: Path, sidecars: Sidecars) -> str:
    """Give the path of an image below the dataset, as in a BIDS URI."""
    try:
        return path.relative_to(sidecars.bids_dir).as_posix()
    except ValueError:
        return path.as_posix()


def find_field_maps(images: Sequence[RawImage], sidecars: Sidecars) -> list[MapSet]:
    """Find the field maps of a session.

    Parameters
    ----------
    images : sequence of RawImage
        All images of the session: fmap, func and anat.
    sidecars : Sidecars

    Returns
    -------
    list of MapSet
        First that of everything in ``fmap`` (identifier ''), then one for each
        ``B0FieldIdentifier`` of images in ``fmap`` or of BOLD and SBRef images. Empty without
        any field map.
    """
    images = sorted(images, key=lambda image: image.path)
    maps = [image for image in images if image.datatype == 'fmap']
    functional = [
        image for image in images if image.datatype == 'func' and image.suffix in _FUNCTIONAL
    ]
    named: dict[str, list[RawImage]] = {}
    targets: dict[Path, frozenset[str]] = {}
    identified: set[Path] = set()
    notes: list[str] = []
    problems: list[str] = []
    for image in (*maps, *functional):
        try:
            for identifier in _texts(image.path, 'B0FieldIdentifier', sidecars):
                named.setdefault(identifier, []).append(image)
                identified.add(image.path)
            if image.datatype == 'fmap':
                targets[image.path], wrong = _intended(image.path, sidecars)
                notes += wrong
        except InputError as error:
            # What nobody can read anyway is in the way only where it is needed.
            (notes if image.broken else problems).append(str(error))
    if not maps and not named and not problems:
        return []
    everything = MapSet(
        '',
        tuple(maps),
        targets,
        frozenset(identified),
        tuple(dict.fromkeys(notes)),
        tuple(dict.fromkeys(problems)),
    )
    return [everything, *(MapSet(name, tuple(named[name])) for name in sorted(named))]


def field_sources(image: RawImage, sidecars: Sidecars) -> tuple[str, ...]:
    """Give the identifiers of the field maps that an image names in ``B0FieldSource``.

    Raises
    ------
    InputError
        If it is neither text nor a list of text.
    """
    return _texts(image.path, 'B0FieldSource', sidecars)


def is_intended(field_map: Path, target: Path, sidecars: Sidecars) -> bool:
    """Tell if ``IntendedFor`` of a field map names an image; if it is unreadable, it does not."""
    try:
        names, _ = _intended(field_map, sidecars)
    except InputError:
        return False
    return target.relative_to(sidecars.bids_dir).as_posix() in names


def _texts(image: Path, key: str, sidecars: Sidecars) -> tuple[str, ...]:
    found = sidecars.value(image, key)
    if found is None:
        return ()
    value, path = found
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) and item for item in values):
        raise InputError(f'{path}: {key} is {value!r}; it must be text, or a list of texts.')
    return tuple(dict.fromkeys(values))


def _intended(image: Path, sidecars: Sidecars) -> tuple[frozenset[str], list[str]]:
    """Images that a field map names: below the dataset; and a note on those that are not there."""
    entries = _texts(image, 'IntendedFor', sidecars)
    there, missing = set(), []
    for entry in entries:
        name = _below_dataset(image, entry, sidecars)
        if name is not None and os.path.lexists(sidecars.bids_dir / name):
            there.add(name)
        else:
            missing.append(entry)
    if not missing:
        return frozenset(there), []
    found = sidecars.value(image, 'IntendedFor')
    assert found is not None
    some = ', '.join(missing[:3]) + (f' and {len(missing) - 3} more' if missing[3:] else '')
    note = (
        f'{found[1]}: IntendedFor names files that are not there: {some}. They must be below the '
        "participant's folder (such as ses-1/func/...), or BIDS URIs (bids::sub-01/...)."
    )
    return frozenset(there), [note]


def _below_dataset(image: Path, entry: str, sidecars: Sidecars) -> str | None:
    """What an entry of IntendedFor names, below the dataset; None if it leads outside."""
    if entry.startswith('bids:'):
        # bids::path is of this dataset; bids:name:path of one that DatasetLinks names, which may
        # be this one, under the name it has for its derivatives.
        name = PurePosixPath(entry.partition(':')[2].partition(':')[2])
    else:
        participant = labels_of(image.name).get('sub', '')
        name = PurePosixPath(f'sub-{participant}') / entry
    if name.is_absolute() or '..' in name.parts or not name.parts:
        return None
    return name.as_posix()
