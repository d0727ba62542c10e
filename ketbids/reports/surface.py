"""A software painter of triangle meshes: what each pixel sees is worked out once per view."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ketbids.errors import InputError
from ketbids.reports.raster import rasterise
from ketbids.stats.brainmodels import Surface

__all__ = [
    'Hemisphere',
    'Side',
    'SurfacePainter',
    'View',
    'folding',
    'hemisphere_of',
    'interpolate',
    'paint',
    'view',
]

Hemisphere = Literal['L', 'R']
Side = Literal['lateral', 'medial']

#: Grey of vertices without data (medial wall, outside of the mask), 0 to 1.
MISSING_GREY = 0.64
#: Grey under translucent colours where no folding is given.
BASE_GREY = 0.86
OUTLINE = (0.09, 0.09, 0.11)


@dataclass(frozen=True, eq=False)
class View:
    """What each sample of a picture sees of a mesh.

    Samples are a regular grid, `supersample` times finer than the pixels in each direction.

    Attributes
    ----------
    width, height : int
        Size of the picture in pixels.
    supersample : int
        Samples per pixel in each direction.
    n_vertices : int
        Vertices of the mesh.
    sample : ndarray of int, shape (n_samples,)
        Flat index on the (height * supersample, width * supersample) grid of each sample that
        sees the mesh, row 0 at the top.
    vertices : ndarray of int, shape (n_samples, 3)
        Corners of the front-most triangle there.
    weights : ndarray of float, shape (n_samples, 3)
        Barycentric weights of the corners; sum to 1.
    shade : ndarray of float, shape (n_samples,)
        Brightness, 0 to 1.
    """

    width: int
    height: int
    supersample: int
    n_vertices: int
    sample: npt.NDArray[np.int32]
    vertices: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    shade: npt.NDArray[np.float32]


def view(
    surface: Surface,
    hemisphere: Hemisphere,
    side: Side,
    width: int,
    height: int,
    *,
    supersample: int = 2,
    scale: float | None = None,
) -> View:
    """Look at a hemisphere from its side, orthographically, superior up.

    Parameters
    ----------
    surface : Surface
        Mesh in mm, axes right, anterior, superior; triangles counter-clockwise from outside.
    hemisphere : {'L', 'R'}
        Which hemisphere it is.
    side : {'lateral', 'medial'}
        From where it is seen. Anterior is on the left in the left hemisphere's lateral view and
        in the right hemisphere's medial view, on the right in the other two.
    width, height : int
        Size of the picture in pixels.
    supersample : int
        Samples per pixel in each direction, averaged by `paint`.
    scale : float, optional
        Pixels per mm; the largest that fits by default.

    Raises
    ------
    InputError
        The mesh is flat, empty or not finite.
    """
    right_of_brain = (hemisphere == 'R') == (side == 'lateral')
    towards = 1.0 if right_of_brain else -1.0
    xyz = np.asarray(surface.coordinates, dtype=np.float64)
    span = np.ptp(xyz[:, 1:], axis=0) if len(xyz) else np.zeros(2)
    if not np.isfinite(span).all() or (span <= 0).any() or not len(surface.triangles):
        raise InputError(
            'A surface cannot be drawn: it is flat, empty or has coordinates that are not finite. '
            'Check the surface file.'
        )
    fit = fitting_scale(surface, width, height)
    per_mm = (fit if scale is None else scale) * supersample
    grid_width, grid_height = width * supersample, height * supersample
    middle = (xyz[:, 1:].max(axis=0) + xyz[:, 1:].min(axis=0)) / 2
    across = towards * (xyz[:, 1] - middle[0]) * per_mm + grid_width / 2
    down = (middle[1] - xyz[:, 2]) * per_mm + grid_height / 2
    depth = towards * xyz[:, 0]

    triangles, normals, vertex_normals = _normals(surface, xyz)
    facing = np.flatnonzero(normals[:, 0] * towards > 0)
    if not len(facing):
        raise InputError(
            'No triangle of a surface faces outwards: its triangles may be listed clockwise. '
            'Check the surface file.'
        )
    seen = triangles[facing]
    corners = np.stack([across[seen], down[seen]], axis=-1)
    sample, which, weights = rasterise(corners, depth[seen], grid_width, grid_height)
    vertices = seen[which]
    light = np.array([towards * 0.82, 0.10, 0.56])
    light /= np.linalg.norm(light)
    normal = sum(weights[:, k, None] * vertex_normals[vertices[:, k]] for k in range(3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    lambert = np.clip(normal @ light, 0, 1)
    # the rim, seen at a grazing angle, darkens: it gives the shape where the folding is smooth
    rim = np.clip(normal[:, 0] * towards, 0, 1) ** 0.6
    shade = 0.44 + 0.36 * lambert + 0.24 * rim
    return View(
        width=width,
        height=height,
        supersample=supersample,
        n_vertices=len(xyz),
        sample=sample.astype(np.int32),
        vertices=vertices.astype(np.int32),
        weights=weights.astype(np.float32),
        shade=np.minimum(shade, 1).astype(np.float32),
    )


def fitting_scale(surface: Surface, width: int, height: int, margin: float = 0.02) -> float:
    """Pixels per mm at which a side view of `surface` fills `width` by `height` pixels."""
    span = np.ptp(np.asarray(surface.coordinates)[:, 1:], axis=0)
    return float(min(width * (1 - 2 * margin) / span[0], height * (1 - 2 * margin) / span[1]))


def _normals(
    surface: Surface, xyz: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    triangles = np.asarray(surface.triangles)
    edge1 = xyz[triangles[:, 1]] - xyz[triangles[:, 0]]
    edge2 = xyz[triangles[:, 2]] - xyz[triangles[:, 0]]
    normals = np.cross(edge1, edge2)
    summed = np.stack(
        [
            np.bincount(triangles.ravel(), np.repeat(normals[:, axis], 3), minlength=len(xyz))
            for axis in range(3)
        ],
        axis=1,
    )
    return triangles, normals, summed / (np.linalg.norm(summed, axis=1, keepdims=True) + 1e-12)


def interpolate(seen: View, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Values at the samples of a view; shape (n_samples,).

    Barycentric where all three corners are finite; otherwise the value of the nearest corner,
    so that missing data never bleed into their neighbours.

    Parameters
    ----------
    seen : View
        From `view`.
    values : ndarray, shape (n_vertices,)
        One value per vertex, NaN where there is none.
    """
    values = np.asarray(values, dtype=np.float32)
    if values.shape != (seen.n_vertices,):
        raise InputError(
            f'A map with shape {values.shape} cannot be drawn on a surface of {seen.n_vertices} '
            'vertices. Use the surfaces that belong to the map.'
        )
    result = (values[seen.vertices] * seen.weights).sum(axis=1)
    broken = np.flatnonzero(~np.isfinite(result))
    nearest = seen.weights[broken].argmax(axis=1)
    lone = values[seen.vertices[broken, nearest]]
    result[broken] = np.where(np.isfinite(lone), lone, np.nan)
    return result


def paint(
    seen: View,
    values: npt.NDArray[np.floating],
    colours: npt.NDArray[np.floating],
    limits: tuple[float, float],
    *,
    emphasis: npt.NDArray[np.bool_] | None = None,
    sulc: npt.NDArray[np.floating] | None = None,
) -> npt.NDArray[np.uint8]:
    """Paint a map.

    Parameters
    ----------
    seen : View
        From `view`.
    values : ndarray, shape (n_vertices,)
        The map; vertices that are not finite are plain grey.
    colours : ndarray, shape (n_colours, 4)
        Red, green, blue and opacity (0 to 1) from the lower to the upper limit.
    limits : (float, float)
        Values of the first and the last colour; values beyond take those colours.
    emphasis : ndarray of bool, shape (n_vertices,), optional
        Where the colours are opaque whatever their opacity, and outlined.
    sulc : ndarray, shape (n_vertices,), optional
        Folding, positive on gyri (the sign of HCP's ``sulc`` files; see `folding`), drawn
        under translucent colours.

    Returns
    -------
    ndarray of uint8, shape (height, width, 4)
        Transparent where the mesh is not.
    """
    value = interpolate(seen, values)
    missing = np.isnan(value)
    low, high = limits
    step = np.clip((np.where(missing, low, value) - low) / (high - low), 0, 1)
    colour = np.asarray(colours, dtype=np.float32)[
        np.rint(step * (len(colours) - 1)).astype(np.int32)
    ]
    opacity = colour[:, 3]
    outline = None
    if emphasis is not None:
        strong = interpolate(seen, np.asarray(emphasis, dtype=np.float32)) >= 0.5
        strong &= ~missing
        opacity = np.where(strong, np.float32(1), opacity)
        outline = _rim(seen, strong)
    under = _underlay(seen, sulc)
    rgb = under[:, None] + opacity[:, None] * (colour[:, :3] - under[:, None])
    rgb[missing] = MISSING_GREY
    rgb *= seen.shade[:, None]
    if outline is not None:
        rgb[outline] = OUTLINE
    return _average(seen, rgb)


def _underlay(seen: View, sulc: npt.NDArray[np.floating] | None) -> npt.NDArray[np.float32]:
    if sulc is None:
        return np.full(len(seen.sample), BASE_GREY, dtype=np.float32)
    fold = interpolate(seen, sulc)
    spread = np.nanstd(fold)
    fold = np.nan_to_num(fold / spread) if spread > 0 else np.zeros_like(fold)
    return (BASE_GREY + 0.10 * np.tanh(1.5 * fold)).astype(np.float32)


def _rim(seen: View, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Samples within the region, up to 1.5 pixels from its edge (the mesh's own edge is none)."""
    grid = np.ones((seen.height * seen.supersample, seen.width * seen.supersample), dtype=bool)
    grid.ravel()[seen.sample] = inside
    core = grid
    for turn in range(max(1, round(1.5 * seen.supersample))):
        padded = np.pad(core, 1, constant_values=True)
        core = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1]
        core = core & padded[1:-1, :-2] & padded[1:-1, 2:]
        if turn % 2:  # alternate the neighbourhoods: the eroded shape stays round
            core = core & padded[:-2, :-2] & padded[2:, 2:] & padded[:-2, 2:] & padded[2:, :-2]
    return inside & ~core.ravel()[seen.sample]


def _average(seen: View, rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    fine = seen.supersample
    grid = np.zeros((seen.height * fine * seen.width * fine, 4), dtype=np.float32)
    grid[seen.sample, :3] = rgb
    grid[seen.sample, 3] = 1
    picture = grid.reshape(seen.height, fine, seen.width, fine, 4).mean(axis=(1, 3))
    alpha = picture[..., 3:]
    picture[..., :3] /= np.where(alpha > 0, alpha, 1)
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def hemisphere_of(structure: str) -> Hemisphere | None:
    """Hemisphere of a CIFTI structure's name if it is a cortical surface, else None."""
    if structure.endswith('CORTEX_LEFT'):
        return 'L'
    return 'R' if structure.endswith('CORTEX_RIGHT') else None


class SurfacePainter:
    """Lateral and medial views of the cortical surfaces, worked out once for many maps.

    Parameters
    ----------
    surfaces : mapping of str to Surface
        By CIFTI structure name (``CIFTI_STRUCTURE_CORTEX_LEFT`` ...); others are not drawn.
    width, height : int
        Size of one view in pixels. Both hemispheres are drawn to the same scale.
    supersample : int
        Samples per pixel in each direction.
    """

    def __init__(
        self,
        surfaces: Mapping[str, Surface],
        width: int = 530,
        height: int = 380,
        *,
        supersample: int = 2,
    ) -> None:
        self.width, self.height = width, height
        shown = {
            name: (surface, hemisphere)
            for name, surface in surfaces.items()
            if (hemisphere := hemisphere_of(name)) is not None
        }
        if not shown:
            raise InputError(
                'There is no cortical surface to draw on: expected structures whose names end in '
                f'CORTEX_LEFT or CORTEX_RIGHT, found {sorted(surfaces) or "none"}.'
            )
        scale = min(fitting_scale(surface, width, height) for surface, _ in shown.values())
        sides: tuple[Side, ...] = ('lateral', 'medial')
        self.views: dict[tuple[str, Side], View] = {
            (name, side): view(
                surface, hemisphere, side, width, height, supersample=supersample, scale=scale
            )
            for name, (surface, hemisphere) in shown.items()
            for side in sides
        }

    @property
    def structures(self) -> tuple[str, ...]:
        """Structures that are drawn, left before right."""
        return tuple(sorted({name for name, _ in self.views}))


def folding(midthickness: Surface, *, smoothing_steps: int = 3) -> npt.NDArray[np.float64]:
    """Folding of a surface from its geometry, for the grey underlay where no ``sulc`` is at hand.

    Parameters
    ----------
    midthickness : Surface
        A folded (not inflated) surface.
    smoothing_steps : int
        Rounds of averaging over neighbours.

    Returns
    -------
    ndarray, shape (n_vertices,)
        Height of a vertex above the mean of its neighbours along its normal, averaged over
        neighbours: positive on gyri, negative in sulci; arbitrary units.
    """
    xyz = np.asarray(midthickness.coordinates, dtype=np.float64)
    triangles, _, normals = _normals(midthickness, xyz)
    ends = np.concatenate([triangles, triangles[:, [1, 2, 0]]]).ravel()
    others = np.concatenate([triangles[:, [1, 2, 0]], triangles]).ravel()
    degree = np.maximum(np.bincount(ends, minlength=len(xyz)), 1)

    def neighbour_mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(ends, values[others], minlength=len(xyz)) / degree

    around = np.stack([neighbour_mean(xyz[:, axis]) for axis in range(3)], axis=1)
    height = ((xyz - around) * normals).sum(axis=1)
    for _ in range(smoothing_steps):
        height = (height + neighbour_mean(height)) / 2
    return height - height.mean()
