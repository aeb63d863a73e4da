"""Grid: the shape of a raster and its place on the earth; how truth relates to its image."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.raw.rasters.gdal import opened, require_rasterio
from segpipe.runtime.errors import DataError

_NOWHERE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
# How far the corners of truth and image may lie apart, in pixels of the image.
_TOLERANCE = 0.5
Transform = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Grid:
    """What the header of a raster tells.

    height, width: pixels. dtype: numpy's name of the values (uint16). transform: (a, b, c, d, e, f)
    of x = a*column + b*row + c, y = d*column + e*row + f, with column and row counted from the
    upper left corner of the raster; the identity where the file has none. crs: the coordinate
    reference system as WKT. nodata: the value that stands for `not measured`.
    """

    height: int
    width: int
    bands: int
    dtype: str
    transform: Transform = _NOWHERE
    crs: str | None = None
    nodata: float | None = None

    @property
    def placed(self) -> bool:
        """Whether the file says where on the earth it lies."""
        return self.transform != _NOWHERE

    def coarser(self, ratio: int) -> "Grid":
        """Return the grid of the same extent with pixels `ratio` times as long; it must divide."""
        if self.height % ratio or self.width % ratio:
            raise ValueError(f"{self.height} x {self.width} pixels do not divide by {ratio}")
        a, b, c, d, e, f = self.transform
        scaled = (a * ratio, b * ratio, c, d * ratio, e * ratio, f) if self.placed else _NOWHERE
        return Grid(
            self.height // ratio, self.width // ratio, self.bands, self.dtype, scaled, self.crs
        )


def read_grid(path: Path) -> Grid:
    """Read the header of a GeoTIFF; raise DataError when it is missing, is none, or is cut off."""
    with opened(path) as dataset:
        return Grid(
            height=dataset.height,
            width=dataset.width,
            bands=dataset.count,
            dtype=dataset.dtypes[0],
            transform=tuple(dataset.transform)[:6],
            crs=dataset.crs.to_wkt() if dataset.crs else None,
            nodata=dataset.nodata,
        )


def truth_ratio(image: Grid, truth: Grid, image_name: str, truth_name: str) -> int:
    """Return how many image pixels a truth pixel has along each side; 1 for the same grid.

    The names stand in errors. Raises DataError when the ratio is not one whole number for both
    sides, or when both files say where they lie and that differs by more than half a pixel.
    """
    ratio = shape_ratio(image, truth, image_name, truth_name)
    faults = contradictions(image, truth)
    if faults:
        raise DataError(
            f"{truth_name}: does not lie on its image {image_name}: {'; '.join(faults)}; "
            "bring both to one grid (gdalwarp)"
        )
    return ratio


def shape_ratio(image: Grid, truth: Grid, image_name: str, truth_name: str) -> int:
    """As `truth_ratio`, from the numbers of pixels alone."""
    ratio, rest = divmod(image.height, truth.height)
    if rest or ratio < 1 or truth.width * ratio != image.width:
        raise DataError(
            f"{truth_name}: has {truth.height} x {truth.width} pixels and its image {image_name} "
            f"{image.height} x {image.width}; both sides of the image must be the same whole number "
            "of times as long as those of the truth"
        )
    return ratio


def contradictions(image: Grid, truth: Grid) -> list[str]:
    """Say where two grids of the same extent claim to lie in different places.

    A file without georeference contradicts nothing.
    """
    if not (image.placed and truth.placed):
        return []
    faults = []
    if image.crs and truth.crs and not _same_crs(image.crs, truth.crs):
        faults.append("the coordinate reference systems differ")
    apart = _farthest_corner(image, truth)
    if apart > _TOLERANCE:
        faults.append(f"its corners are up to {apart:.1f} image pixels off")
    return faults


def _same_crs(one: str, other: str) -> bool:
    crs = require_rasterio().crs.CRS
    return bool(one == other or crs.from_wkt(one) == crs.from_wkt(other))


def _farthest_corner(image: Grid, truth: Grid) -> float:
    """Return how far the truth's corners lie from the image's, in pixels of the image."""
    apart_42 = _corners(truth) - _corners(image)
    a, b, _, d, e, _ = image.transform
    pixels_42 = np.linalg.solve(np.array([[a, b], [d, e]]), apart_42.T).T
    return float(np.abs(pixels_42).max())


def _corners(grid: Grid) -> NDArray[np.float64]:
    """Return x and y of the four corners, (4, 2)."""
    a, b, c, d, e, f = grid.transform
    ends = [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)]
    return np.array([(a * x + b * y + c, d * x + e * y + f) for x, y in ends])
