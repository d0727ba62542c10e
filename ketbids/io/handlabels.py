"""Classes that a person gave to the components of FIX: who reads them, and when they are valid."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ketbids.errors import InputError, cannot_use

__all__ = ['HandLabels', 'assert_no_labels', 'label_files', 'labels_given', 'labels_matter']
__all__ += ['read_classes', 'read_hand_labels']

#: Files in the folder of the components, as the HCP pipelines call them.
_FILES = {'signal': 'ReclassifyAsSignal.txt', 'noise': 'ReclassifyAsNoise.txt'}
#: What ApplyHandReClassifications makes, and ReApplyFix cleans by.
_APPLIED = 'HandNoise.txt'


@dataclass(frozen=True)
class HandLabels:
    """Components whose class a person changed.

    Attributes
    ----------
    signal, noise : tuple of int
        Numbers of the components that are signal, or noise, whatever FIX says; from 1, ascending.
    signal_file, noise_file : Path
        Where the numbers stand; the files may be missing if nothing was changed.
    notes : tuple of str
        Labels that change nothing.
    """

    signal: tuple[int, ...]
    noise: tuple[int, ...]
    signal_file: Path
    noise_file: Path
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any label."""
        return bool(self.signal or self.noise)


def labels_matter(ica: Path) -> bool:
    """Say whether the cleaned data are to be made by hand labels.

    Parameters
    ----------
    ica : Path
        Folder of the components, such as ``.../ICAFIX_ALL/ICAFIX_ALL_hp0.ica``.

    Returns
    -------
    bool
        True if there are labels, or if there were: the data were then cleaned by labels that are
        withdrawn meanwhile, and have to be cleaned again.

    Raises
    ------
    InputError
        A file of labels cannot be read, or holds anything but numbers.
    """
    return (ica / _APPLIED).exists() or labels_given(ica)


def label_files(ica: Path) -> tuple[Path, Path]:
    """Give the files where labels stand: signal, noise; they may be missing or empty.

    Raises
    ------
    InputError
        See `labels_matter`.
    """
    return _label_file(ica, 'signal'), _label_file(ica, 'noise')


def labels_given(ica: Path) -> bool:
    """Say whether there are hand labels.

    If there were some, and they are withdrawn meanwhile, ApplyHandReClassifications makes
    ``HandNoise.txt`` of FIX's own classes, by which ReApplyFix cleans volumes and grayordinates.

    Raises
    ------
    InputError
        See `labels_matter`.
    """
    return any(_numbers(_label_file(ica, kind)) for kind in _FILES)


def read_hand_labels(ica: Path) -> HandLabels:
    """Read and check the hand labels of a set of components.

    Parameters
    ----------
    ica : Path
        Folder of the components. Labels stand in ``ReclassifyAsSignal.txt`` and
        ``ReclassifyAsNoise.txt``, here or in the folder above.

    Returns
    -------
    HandLabels

    Raises
    ------
    InputError
        A component has both labels or does not exist, a file holds something else than numbers,
        or FIX's own classes are missing or wrong.
    """
    files = {kind: _label_file(ica, kind) for kind in _FILES}
    labels = {kind: _numbers(path) for kind, path in files.items()}
    both = sorted(labels['signal'] & labels['noise'])
    if both:
        raise InputError(
            f'{files["signal"]} and {files["noise"].name} both name {_listed(both)}: a component '
            'is signal or noise.'
        )
    if not any(labels.values()):
        return HandLabels((), (), files['signal'], files['noise'])
    classes = read_classes(ica)
    n_components = sum(map(len, classes.values()))
    notes = []
    for kind, numbers in labels.items():
        unknown = sorted(numbers - classes['signal'] - classes['noise'])
        if unknown:
            raise InputError(
                f'{files[kind]}: {_listed(unknown)} cannot be: FIX found {n_components} '
                'components, numbered from 1.'
            )
        same = sorted(numbers & classes[kind])
        if same:
            notes.append(f'{files[kind]}: {_listed(same)}: {kind} by FIX already.')
    return HandLabels(
        tuple(sorted(labels['signal'])),
        tuple(sorted(labels['noise'])),
        files['signal'],
        files['noise'],
        tuple(notes),
    )


def read_classes(ica: Path) -> dict[str, set[int]]:
    """Read the classes that FIX gave, as PostFix lists them.

    Parameters
    ----------
    ica : Path
        Folder of the components.

    Returns
    -------
    dict
        ``signal`` and ``noise``: numbers of the components, from 1.

    Raises
    ------
    InputError
        ``Signal.txt`` or ``Noise.txt`` is missing, or they do not name each component once.
    """
    classes = {}
    for kind, name in (('signal', 'Signal.txt'), ('noise', 'Noise.txt')):
        if not (ica / name).is_file():
            raise InputError(
                f'{ica / name} is missing: labels by hand need the classes that FIX gave. Let the '
                'stages ICAFIX and PostFix run first.'
            )
        classes[kind] = _numbers(ica / name)
    together = classes['signal'] | classes['noise']
    if classes['signal'] & classes['noise'] or together != set(range(1, len(together) + 1)):
        raise InputError(
            f'{ica}: Signal.txt and Noise.txt do not name each component once. Remove both; the '
            'stage PostFix then makes them again.'
        )
    return classes


def assert_no_labels(paths: Iterable[Path], title: str) -> None:
    """Refuse to remove labels, which somebody took hours to give.

    Parameters
    ----------
    paths : iterable of Path
        Files and folders that would be removed; they need not exist.
    title : str
        Stage, session and run, for the message.

    Raises
    ------
    InputError
        Names the files that hold labels.
    """
    wanted = set(_FILES.values())
    found = []
    for path in paths:
        inside = path.rglob('ReclassifyAs*.txt') if path.is_dir() else [path]
        found += [file for file in inside if file.name in wanted and not file.is_symlink()]
    kept = sorted({str(file) for file in found if file.is_file() and file.read_bytes().strip()})
    if kept:
        raise InputError(
            f'{title} has to be done again, which removes components that were labelled by hand: '
            f'{", ".join(kept)}. The new components will have other numbers. Move these files to '
            'another place, or remove them, if that is what you want; or go back to the options '
            'and data of before.'
        )


def _label_file(ica: Path, kind: str) -> Path:
    """Find the file of one kind; PostFix links it into the folder above."""
    inside, above = ica / _FILES[kind], ica.parent / _FILES[kind]
    if not above.is_file() or above.resolve() == inside.resolve():
        return inside
    mine, other = _numbers(inside), _numbers(above)
    if mine and other and mine != other:
        raise InputError(f'{inside} and {above} differ: keep the one that holds.')
    return above if other else inside


def _numbers(path: Path) -> set[int]:
    """Read numbers; anything else would be computed by the shell that reads it next."""
    try:
        words = path.read_text(encoding='utf-8-sig').split()
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise InputError(cannot_use(error)) from error
    except UnicodeDecodeError as error:
        raise InputError(f'{path} is not plain text.') from error
    for word in words:
        if not re.fullmatch('[1-9][0-9]{0,5}', word, re.ASCII):
            raise InputError(
                f'{path}: {word[:40]!r} is not the number of a component. Write whole numbers '
                'from 1, with spaces or line breaks between them and nothing else.'
            )
    return {int(word) for word in words}


def _listed(numbers: Iterable[int]) -> str:
    listed = [str(number) for number in numbers]
    return ('component ' if len(listed) == 1 else 'components ') + ', '.join(listed)
