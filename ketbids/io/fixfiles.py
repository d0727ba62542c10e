"""What FIX and the scripts around it say of the components of a run."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.gifti import open_gifti
from ketbids.io.handlabels import read_hand_labels
from ketbids.stats.quality import reclassified

__all__ = [
    'Classification',
    'Components',
    'read_classification',
    'read_components',
    'read_numbers',
    'read_surface_metric',
    'read_variances',
]

#: No list of components is longer.
_LARGEST = 1 << 22
_AGAIN = 'Remove it and do the stage ICAFIX again.'


class Classification(NamedTuple):
    """Classes of all components: labels in their order, and the numbers of those of noise."""

    labels: tuple[str, ...]
    noise: tuple[int, ...]


class Components(NamedTuple):
    """What became of the components of a group of runs.

    Attributes
    ----------
    number : int
    noise : tuple of int
        Those that were removed from the data; the first component is 1.
    as_noise, as_signal : tuple of int
        Those that were reclassified by hand.
    applied : bool or None
        Whether the data were cleaned by these labels; None: there never were any.
    percent : ndarray, shape (n_components, 2), or None
        Percent of explained and of all variance, if there is a table of them.
    training : str or None
        Name of the training set, if FIX left its table.
    """

    number: int
    noise: tuple[int, ...]
    as_noise: tuple[int, ...]
    as_signal: tuple[int, ...]
    applied: bool | None
    percent: npt.NDArray[np.float64] | None
    training: str | None


def _text(path: Path) -> str:
    """Read a small text file."""
    try:
        with Path(path).open('rb') as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise InputError(f'{path} is too large to be a list of components. {_AGAIN}')
        return content.decode('utf-8-sig')
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist.') from error
    except OSError as error:
        raise InputError(f'{path} cannot be read: {error.strerror}.') from error
    except UnicodeDecodeError as error:
        raise InputError(f'{path} is not text. {_AGAIN}') from error


def _number(path: Path, text: str, line: int) -> int:
    if not re.fullmatch(r'[0-9]{1,6}', text) or not int(text):
        raise InputError(
            f'{path}, line {line}: {text[:40]!r} is not the number of a component (1, 2, ...).'
        )
    return int(text)


def read_numbers(path: Path) -> tuple[int, ...]:
    """Read a list of components, as ``.fix``, ``Noise.txt`` or ``HandNoise.txt``.

    Numbers stand one in a line, or with blanks or commas between them, also in brackets.

    Returns
    -------
    tuple of int
        In their order, each once; empty for an empty file.

    Raises
    ------
    InputError
        The file cannot be read, or holds something else.
    """
    found: set[int] = set()
    for line, content in enumerate(_text(path).splitlines(), 1):
        words = re.sub(r'^\s*\[|\]\s*$', ' ', content).replace(',', ' ').split()
        found |= {_number(path, word, line) for word in words}
    return tuple(sorted(found))


def read_classification(path: Path) -> Classification:
    """Read ``fix4melview_<training>_thr<N>.txt``.

    The first line is a folder, the last one the list of noise components in brackets; between
    them, a line for each component: number, label, whether it is noise, and (newer FIX) its
    probability of being signal.

    Raises
    ------
    InputError
        The file cannot be read, lacks a component, or contradicts itself.
    """
    lines = [line.strip() for line in _text(path).splitlines() if line.strip()]
    rows, last = lines[1:-1], lines[-1] if len(lines) > 1 else ''
    if not re.fullmatch(r'\[[0-9, ]*\]', last):
        raise InputError(
            f'{path}: its last line is not the list of noise components ([1, 2, ...]), so the '
            f'file is not whole. {_AGAIN}'
        )
    labels: list[str] = []
    noise: list[int] = []
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row.split(',')]
        if len(cells) < 3 or cells[2].lower() not in ('true', 'false'):
            raise InputError(
                f'{path}, line {number + 1}: {row[:40]!r} is not the number, the label and '
                f'True or False of a component. {_AGAIN}'
            )
        if _number(path, cells[0], number + 1) != number:
            raise InputError(
                f'{path}, line {number + 1}: component {cells[0]} stands where {number} must '
                f'be. {_AGAIN}'
            )
        labels.append(cells[1])
        noise += [number] if cells[2].lower() == 'true' else []
    listed = sorted({_number(path, word, len(lines)) for word in re.findall('[0-9]+', last)})
    if listed != noise:
        raise InputError(
            f'{path}: its last line names other noise components than the lines before. {_AGAIN}'
        )
    return Classification(tuple(labels), tuple(noise))


def read_variances(path: Path) -> npt.NDArray[np.float64]:
    """Read ``melodic_ICstats``.

    Returns
    -------
    ndarray, shape (n_components, 2)
        Percent of the variance that all components explain together, and of all variance.

    Raises
    ------
    InputError
        The file cannot be read, or holds no such numbers.
    """
    rows: list[list[float]] = []
    for line, content in enumerate(_text(path).splitlines(), 1):
        if not content.strip():
            continue
        try:
            row = [float(word) for word in content.split()[:2]]
        except ValueError:
            row = []
        if len(row) < 2 or not all(0 <= value <= 100.5 for value in row):
            raise InputError(
                f'{path}, line {line}: two numbers from 0 to 100 are needed, percent of '
                f'explained and of all variance. {_AGAIN}'
            )
        rows.append(row)
    if not rows:
        raise InputError(f'{path} is empty. {_AGAIN}')
    return np.array(rows)


def _columns(path: Path) -> int:
    """Count the components in the first line of ``melodic_mix``."""
    try:
        with Path(path).open('rb') as file:
            words = file.readline(_LARGEST).split()
        [float(word) for word in words]
    except FileNotFoundError as error:
        raise InputError(f'{path} does not exist. {_AGAIN}') from error
    except OSError as error:
        raise InputError(f'{path} cannot be read: {error.strerror}.') from error
    except ValueError:
        words = []
    if not words:
        raise InputError(f'{path} does not begin with a line of numbers. {_AGAIN}')
    return len(words)


def read_components(ica: Path, threshold: int) -> Components:
    """Read how the components of a group of runs were classified, and what was removed.

    Parameters
    ----------
    ica : Path
        The folder ``<name>_hp<high-pass>.ica``.
    threshold : int
        Of FIX, as the name of its table has it.

    Raises
    ------
    InputError
        A file is missing or damaged, or they contradict each other.
    """
    ica = Path(ica)
    number = _columns(ica / 'filtered_func_data.ica' / 'melodic_mix')
    noise = _first_noise(ica, threshold, number)
    # Who reads the labels, and where they may stand, is the same for the stage that applies them.
    labels = read_hand_labels(ica)
    wanted = reclassified(noise, labels.noise, labels.signal)
    applied = ica / 'HandNoise.txt'
    hand = _within(applied, read_numbers(applied), number) if applied.is_file() else None
    stats = ica / 'filtered_func_data.ica' / 'melodic_ICstats'
    percent = read_variances(stats) if stats.is_file() else None
    if percent is not None and len(percent) != number:
        raise InputError(
            f'{stats} has {len(percent)} components, melodic_mix beside it {number}. {_AGAIN}'
        )
    return Components(
        number=number,
        noise=noise if hand is None else hand,
        as_noise=labels.noise,
        as_signal=labels.signal,
        applied=hand == wanted if labels or hand is not None else None,
        percent=percent,
        training=_training(ica, threshold),
    )


def _tables(ica: Path, threshold: int) -> list[Path]:
    return sorted(ica.glob(f'fix4melview_*_thr{threshold}.txt'))


def _training(ica: Path, threshold: int) -> str | None:
    """Read the name of the training set out of that of FIX's table."""
    names = [path.stem.removeprefix('fix4melview_') for path in _tables(ica, threshold)]
    return names[0].removesuffix(f'_thr{threshold}') if len(names) == 1 else None


def _first_noise(ica: Path, threshold: int, number: int) -> tuple[int, ...]:
    """Read which components are noise by FIX itself."""
    for name in ('.fix', 'Noise.txt'):
        if (ica / name).is_file():
            return _within(ica / name, read_numbers(ica / name), number)
    tables = _tables(ica, threshold)
    if len(tables) != 1:
        raise InputError(
            f'{ica} has no list of noise components (.fix, Noise.txt, or one file '
            f'fix4melview_*_thr{threshold}.txt). Do the stage ICAFIX again.'
        )
    found = read_classification(tables[0])
    if len(found.labels) != number:
        raise InputError(
            f'{tables[0]} has {len(found.labels)} components, melodic_mix {number}. {_AGAIN}'
        )
    return found.noise


def _within(path: Path, numbers: tuple[int, ...], number: int) -> tuple[int, ...]:
    if numbers and numbers[-1] > number:
        raise InputError(
            f'{path}: there is no component {numbers[-1]}; there are {number}. Correct the list.'
        )
    return numbers


def read_surface_metric(path: Path) -> npt.NDArray[np.float64]:
    """Read the first map of a ``.func.gii`` or ``.shape.gii``.

    Returns
    -------
    ndarray, shape (n_vertices,)

    Raises
    ------
    InputError
        The file cannot be read, or its numbers are not one per vertex and finite.
    """
    image = open_gifti(Path(path), 'a GIFTI metric file')
    if not image.darrays:
        raise InputError(f'{path} holds no map.')
    values = np.asarray(image.darrays[0].data, np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InputError(f'{path}: its first map is not one finite number for each vertex.')
    return values
