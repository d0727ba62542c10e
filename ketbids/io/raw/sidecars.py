"""Metadata of raw images, as BIDS lets them be inherited."""

from pathlib import Path
from typing import Any

from ketbids.errors import InputError
from ketbids.io.files import read_json
from ketbids.io.folders import Folders, labels_of

__all__ = ['Sidecars', 'sidecar_path', 'suffix_of']


def suffix_of(name: str) -> str:
    """Give the suffix of a BIDS name, e.g. ``bold``."""
    return name.partition('.')[0].rpartition('_')[2]


def sidecar_path(image: Path) -> Path:
    """Give the sidecar that belongs to an image alone; it need not exist."""
    return image.with_name(image.name.removesuffix('.gz').removesuffix('.nii') + '.json')


class Sidecars:
    """Reads JSON sidecars, each once.

    A file holds for an image of the same suffix if the image has all labels of the file's name,
    and lies in the same folder or below. Of two files, the one that is nearer to the image wins;
    in one folder, the one with more labels.

    Parameters
    ----------
    bids_dir : Path
        Files above it are not looked at.
    """

    def __init__(self, bids_dir: Path) -> None:
        self.bids_dir = Path(bids_dir)
        self._folders = Folders()
        self._content: dict[Path, dict[str, Any] | InputError] = {}
        self._named: dict[Path, dict[str, list[tuple[dict[str, str], Path]]]] = {}
        self._files: dict[Path, tuple[Path, ...]] = {}

    def files(self, image: Path) -> tuple[Path, ...]:
        """List the files that hold for an image, the one that wins first."""
        if image not in self._files:
            labels, suffix = labels_of(image.name), suffix_of(image.name)
            found: list[Path] = []
            for folder in self._levels(image):
                applying = [
                    (len(wanted), path.name, path)
                    for wanted, path in self._sidecars(folder).get(suffix, ())
                    if wanted.items() <= labels.items()
                ]
                found += [path for _, _, path in sorted(applying, reverse=True)]
            self._files[image] = tuple(found)
        return self._files[image]

    def value(self, image: Path, key: str) -> tuple[Any, Path] | None:
        """Give what is said of an image.

        Parameters
        ----------
        image : Path
        key : str
            E.g. ``EffectiveEchoSpacing``.

        Returns
        -------
        tuple of value and Path, or None
            The value, and the file that says so; None if no file does, or says ``null``.

        Raises
        ------
        InputError
            If a file that holds for the image cannot be read or is no JSON object, or two files
            of one folder that are equally specific contradict each other.
        """
        files = self.files(image)
        for i, path in enumerate(files):
            content = self._read(path)
            if key not in content:
                continue
            for other in files[i + 1 :]:
                equal = other.parent == path.parent and len(labels_of(other.name)) == len(
                    labels_of(path.name)
                )
                if equal and self._read(other).get(key, content[key]) != content[key]:
                    raise InputError(
                        f'{path} and {other} both hold for {image.name}, and contradict each '
                        f'other in {key}. Write it in {sidecar_path(image)}.'
                    )
            return None if content[key] is None else (content[key], path)
        return None

    def _levels(self, image: Path) -> list[Path]:
        """List the folders from the image's up to the dataset."""
        levels = []
        for folder in image.parents:
            levels.append(folder)
            if folder == self.bids_dir:
                return levels
        return levels[:1]

    def _sidecars(self, folder: Path) -> dict[str, list[tuple[dict[str, str], Path]]]:
        """List the sidecars of a folder by suffix, with their labels."""
        if folder not in self._named:
            by_suffix: dict[str, list[tuple[dict[str, str], Path]]] = {}
            for name in self._folders.names(folder):
                if name.endswith('.json') and not name.startswith('.'):
                    entry = (labels_of(name), folder / name)
                    by_suffix.setdefault(suffix_of(name), []).append(entry)
            self._named[folder] = by_suffix
        return self._named[folder]

    def _read(self, path: Path) -> dict[str, Any]:
        if path not in self._content:
            try:
                self._content[path] = read_json(path)
            except InputError as error:
                self._content[path] = error
        content = self._content[path]
        if isinstance(content, InputError):
            raise InputError(str(content))
        return content
