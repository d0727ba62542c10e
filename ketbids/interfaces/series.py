"""What several nodes do with the time series of a run and its surfaces."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.io.surfaces import read_surface
from ketbids.stats.brainmodels import BrainModels, Surface

__all__ = ['read_surfaces', 'with_data']


def read_surfaces(paths: list[str], models: BrainModels) -> dict[str, Surface]:
    """Read the left and the right surface and pair them with the structures of `models`."""
    surfaces = {}
    for path, side in zip(paths, ('LEFT', 'RIGHT'), strict=True):
        expected = f'CIFTI_STRUCTURE_CORTEX_{side}'
        surface, structure = read_surface(Path(path))
        if structure not in ('', expected):
            raise InputError(f'{path} is a surface of {structure}, not of {expected}.')
        vertices = models.n_vertices.get(expected)
        if vertices is not None and len(surface.coordinates) != vertices:
            raise InputError(
                f'{path} has {len(surface.coordinates)} vertices, the time series {vertices}: '
                'surfaces and data must be on the same mesh.'
            )
        surfaces[expected] = surface
    return surfaces


def with_data(data: npt.NDArray[np.floating], path: Path) -> npt.NDArray[np.bool_]:
    """Tell which grayordinates of a time series have data; shape (n_grayordinates,).

    Raises
    ------
    InputError
        None has.
    """
    from ketbids.stats.scaling import has_data
    from ketbids.stats.seriescheck import volumes_text

    filled = has_data(data)
    if not filled.any():
        empty = np.flatnonzero(~np.isfinite(data).any(axis=1))
        which = f' Nothing is finite in {volumes_text(empty)}.' if len(empty) else ''
        raise InputError(
            f'{path} has no data: every grayordinate is constant or not finite over time.{which} '
            'Preprocess the run again.'
        )
    return filled
