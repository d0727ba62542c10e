"""What the group level found: its maps, and how they are held against planted regions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ketbids.demo.document import decode
from ketbids.errors import InputError

__all__ = [
    'ALPHA',
    'LOWEST_DICE',
    'check_truth',
    'complaint',
    'dice',
    'directions',
    'group_folder',
    'group_map',
    'map_row',
    'peak',
    'planted_mask',
    'read_group_map',
    'verdict',
]

#: Corrected p below which something is found.
ALPHA = 0.05

#: Overlap of what is found with what is planted that counts as finding it.
LOWEST_DICE = 0.3


def check_truth(truth: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Refuse what ketbids-demo did not write."""
    for key in keys:
        if key not in truth:
            raise InputError(f'truth.json lacks {key!r}: it was not written by ketbids-demo.')


def group_folder(output: Path) -> Path:
    """Name the folder of the group level; InputError if there is none."""
    group = Path(output) / 'group'
    if not group.is_dir():
        raise InputError(f'{group} does not exist: run the group level first.')
    return group


def dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    """Overlap of two sets of grayordinates, 2 |A and B| / (|A| + |B|); nan if both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else float('nan')


def peak(p: npt.NDArray[np.floating], z: npt.NDArray[np.floating]) -> int:
    """Find the highest `z` among the grayordinates with the lowest `p`."""
    return int(np.argmax(np.where(p == np.nanmin(p), np.nan_to_num(z), -np.inf)))


def group_map(
    group: Path, name: str, contrast: str, density: str, stat: str, direction: str = ''
) -> Path:
    """Name a map of the group level."""
    middle = f'_desc-{direction}' if direction else ''
    return (
        group
        / f'node-{name}'
        / (
            f'node-{name}_contrast-{contrast}{middle}_space-fsLR_den-{density}'
            f'_stat-{stat}_statmap.dscalar.nii'
        )
    )


def read_group_map(path: Path, n_grayordinates: int) -> npt.NDArray[np.float32]:
    """Read a map, shape (n_grayordinates,); InputError if it is that of another study."""
    from ketbids.io.cifti import read_maps

    data, models = read_maps(path)
    if len(models) != n_grayordinates:
        raise InputError(
            f'{path} has {len(models)} grayordinates, the truth {n_grayordinates}: it is not the '
            'result of this study.'
        )
    return data[0]


def planted_mask(truth: Mapping[str, Any], names: list[str]) -> npt.NDArray[np.bool_]:
    """Unite regions of ``truth.json``."""
    mask = np.zeros(truth['geometry']['n_grayordinates'], bool)
    for name in names:
        mask |= decode(truth['regions'][name]['grayordinates'], len(mask))
    return mask


def directions(
    group: Path, name: str, contrast: str, truth: Mapping[str, Any]
) -> Iterator[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Read the results of an analysis; nothing if it was not run.

    Yields
    ------
    sign : {'pos', 'neg'}
    p : ndarray, shape (n_grayordinates,)
        Corrected p; 1 outside of the mask.
    z : ndarray, shape (n_grayordinates,)
        Positive in this direction.
    """
    n, density = truth['geometry']['n_grayordinates'], truth['geometry']['density']
    z = None
    for sign in ('pos', 'neg'):
        path = group_map(group, name, contrast, density, 'pfwe', sign)
        if not path.exists():
            continue
        if z is None:
            z = read_group_map(group_map(group, name, contrast, density, 'z'), n)
        yield sign, np.nan_to_num(read_group_map(path, n), nan=1.0), z if sign == 'pos' else -z


def map_row(
    p: npt.NDArray[np.floating], z: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Hold one direction of an analysis against what is planted in it."""
    found = p < ALPHA
    return {
        'planted': int(mask.sum()),
        'found': int(found.sum()),
        'lowest_p': float(p.min()),
        'peak_inside': bool(found.any() and mask[peak(p, z)]),
        'dice': dice(found, mask),
    }


def complaint(row: Mapping[str, Any]) -> str:
    """Say in what a row differs from what is planted; empty if it does not."""
    if not row['planted']:
        return f'{row["found"]} grayordinates found, none planted.' if row['found'] else ''
    if not row['found']:
        return f'nothing found (lowest p {row["lowest_p"]:.3g}).'
    if not row['peak_inside']:
        return 'the peak lies outside of the planted region.'
    if row['dice'] < LOWEST_DICE:
        return f'Dice {row["dice"]:.2f} is below {LOWEST_DICE}.'
    return ''


def verdict(failures: tuple[str, ...]) -> list[str]:
    """Write the last lines of a comparison."""
    lines = ['* required']
    if not failures:
        return [*lines, 'All that is required was found as planted.']
    lines += [f'Not as planted: {failure}' for failure in failures]
    return [*lines, f'{len(failures)} of the requirements do not hold.']
