"""How many components FIX removed from a run that others have cleaned."""

import logging
import re
from pathlib import Path

from ketbids.errors import InputError
from ketbids.io.fixfiles import read_classification, read_numbers

__all__ = ['removed_components']

logger = logging.getLogger('ketbids')

#: The series of a run that was cleaned after a high-pass: registration, then the high-pass.
_CLEAN = re.compile(r'_Atlas(?:_[0-9.]+mm)?(?:_MSM[A-Za-z0-9]*)?_(hp(?:pd)?[0-9]+)_clean')
#: Where the number of volumes is in the header of a dense time series (NIfTI-2).
_VOLUMES_AXIS = 5


def removed_components(series: Path) -> int | None:
    """Count the components that FIX removed from a run of an HCP study folder.

    Cleaning a single run leaves its list in ``<run>/<run>_hp<N>.ica``, cleaning a group of runs
    in ``<group>/<group>_hp<N>.ica``. The components of a group are those of all its volumes; a
    run is given its share of them, rounded. That a group is that of the run is known if the
    volumes of its mixing matrix are those of all runs beside it that have no list of their own.

    Parameters
    ----------
    series : Path
        ``Results/<run>/<run>_Atlas*_hp<N>_clean.dtseries.nii``.

    Returns
    -------
    int or None
        None if it is not known: the lists are gone, cannot be read, or do not tell whose they
        are, or what was removed later (reclassified components, temporal ICA).
    """
    series = Path(series)
    run, results = series.parent.name, series.parent.parent
    stem = series.name.removesuffix('.dtseries.nii').removeprefix(run)
    found = _CLEAN.fullmatch(stem)
    if not found or not series.name.startswith(run):
        return None
    high_pass = found[1]
    try:
        own = _noise(_folder(series.parent, high_pass))
        return own if own is not None else _share(series, results, high_pass)
    except (InputError, OSError) as error:
        logger.warning('%s: components that FIX removed cannot be counted: %s', series, error)
        return None


def _folder(parent: Path, high_pass: str) -> Path:
    return parent / f'{parent.name}_{high_pass}.ica'


def _noise(ica: Path) -> int | None:
    """Number of noise components; lists made by hand come first. None without any list."""
    for name in ('HandNoise.txt', '.fix', 'Noise.txt'):
        if (ica / name).is_file():
            return len(read_numbers(ica / name))
    tables = sorted(ica.glob('fix4melview_*_thr*.txt')) if ica.is_dir() else []
    return len(read_classification(tables[0]).noise) if len(tables) == 1 else None


def _share(series: Path, results: Path, high_pass: str) -> int | None:
    """Share of a run in the components of the only group that it can be of."""
    folders = [path for path in sorted(results.iterdir()) if path.is_dir()]
    groups, together = [], 0
    name = series.name.removeprefix(series.parent.name)
    for folder in folders:
        noise = _noise(_folder(folder, high_pass))
        if noise is not None:
            mixing = _folder(folder, high_pass) / 'filtered_func_data.ica' / 'melodic_mix'
            if mixing.is_file():
                groups.append((noise, _lines(mixing)))
        elif (folder / f'{folder.name}{name}').is_file():
            together += _volumes(folder / f'{folder.name}{name}')
    fitting = [(noise, volumes) for noise, volumes in groups if volumes == together]
    if len(fitting) != 1:
        return None
    return round(fitting[0][0] * _volumes(series) / together)


def _lines(path: Path) -> int:
    """Count the lines of a matrix that are not empty."""
    with path.open('rb') as file:
        return sum(1 for line in file if line.strip())


def _volumes(series: Path) -> int:
    """Read the number of volumes from the first bytes of a dense time series."""
    import nibabel as nb
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        with series.open('rb') as file:
            return int(nb.Nifti2Header.from_fileobj(file)['dim'][_VOLUMES_AXIS])
    except (WrapStructError, HeaderDataError) as error:
        raise InputError(f'{series} is not a dense time series: {error}.') from error
